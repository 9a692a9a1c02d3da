use proptest::prelude::*;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn bounds(limit: Duration) -> Bounds {
    Bounds { limit, slots: 64, retries: 0 }
}

fn paced(count: u32, millis: u64) -> Course {
    Course::new(Schedule::paced(count, ms(millis), Duration::ZERO), bounds(ms(millis)))
}

fn back_to_back(count: u32, millis: u64, slots: usize) -> Course {
    let schedule = Schedule::back_to_back(count, ms(millis), 1);
    Course::new(schedule, Bounds { slots, ..bounds(ms(millis)) })
}

fn retrying(count: u32, millis: u64, retries: u32) -> Course {
    Course::new(Schedule::paced(count, ms(millis), Duration::ZERO), Bounds { retries, ..bounds(ms(millis)) })
}

fn departure(next: Next) -> Departure {
    match next {
        Next::Send(departure) => departure,
        other => panic!("{other:?}"),
    }
}

fn landing(departure: Departure, now: Duration, outcome: Outcome) -> Landing {
    let sample = Sample {
        index: departure.index,
        kind: 0,
        latency: now.saturating_sub(departure.due),
        service_time: Duration::ZERO,
        lateness: Duration::ZERO,
        outcome,
    };
    Landing { departure, sample, retry_after: None, is_idempotent: true }
}

/// Sends the next request `at` a time and lands it then.
fn pass(course: &mut Course, at: Duration, outcome: Outcome) -> Option<Sample> {
    let departure = departure(course.next(at));
    course.landed(landing(departure, at, outcome), at, u64::MAX)
}

const OK: Outcome = Outcome::Status(200);
const REFUSED: Outcome = Outcome::Failed(Failure::Refused);
const CLOSED: Outcome = Outcome::Failed(Failure::Closed);

#[test]
fn paced_requests_leave_when_they_are_due_and_not_when_others_land() {
    let mut course = paced(3, 300);
    let first = departure(course.next(ms(0)));
    assert_eq!(course.next(ms(0)), Next::Wait(ms(100)));
    let second = departure(course.next(ms(104)));
    assert_eq!((second.index, second.due, second.possible), (1, ms(100), ms(100)));
    departure(course.next(ms(200)));
    assert_eq!(course.next(ms(200)), Next::Drain);
    for landed in [first, second] {
        course.landed(landing(landed, ms(210), OK), ms(210), 0);
        assert_eq!(course.next(ms(210)), Next::Drain);
    }
}

#[test]
fn the_end_comes_when_the_last_request_has_landed() {
    let mut course = paced(1, 300);
    pass(&mut course, ms(5), OK);
    assert_eq!(course.next(ms(5)), Next::End(EndedBy::Count));
}

#[test]
fn a_request_without_a_slot_waits_for_one_up_to_the_limit() {
    let mut course =
        Course::new(Schedule::paced(3, ms(300), Duration::ZERO), Bounds { slots: 1, ..bounds(ms(300)) });
    let first = departure(course.next(ms(0)));
    assert_eq!(course.next(ms(100)), Next::Wait(ms(300)));
    course.landed(landing(first, ms(150), OK), ms(150), 0);
    let second = departure(course.next(ms(151)));
    assert_eq!((second.due, second.possible), (ms(100), ms(150)));
    assert_eq!(course.next(ms(300)), Next::Drain);
    course.landed(landing(second, ms(310), OK), ms(310), 0);
    assert_eq!(course.next(ms(310)), Next::End(EndedBy::Time));
}

#[test]
fn back_to_back_a_request_is_due_when_a_slot_is_free() {
    let mut course = back_to_back(9, 1_000, 2);
    let (first, second) = (departure(course.next(ms(0))), departure(course.next(ms(0))));
    assert_eq!(course.next(ms(0)), Next::Wait(ms(1_000)));
    course.landed(landing(first, ms(70), OK), ms(70), 0);
    let third = departure(course.next(ms(71)));
    assert_eq!((third.index, third.due, third.possible), (2, ms(70), ms(70)));
    course.landed(landing(second, ms(1_001), OK), ms(1_001), 0);
    assert_eq!(course.next(ms(1_001)), Next::Drain);
}

#[test]
fn a_pause_that_the_app_asks_for_moves_the_schedule() {
    let mut course = paced(4, 400);
    let first = departure(course.next(ms(0)));
    let busy = Landing { retry_after: Some(ms(150)), ..landing(first, ms(50), Outcome::Status(503)) };
    assert_eq!(course.landed(busy, ms(50), 0).map(|sample| sample.outcome), Some(Outcome::Status(503)));
    assert_eq!(course.next(ms(60)), Next::Wait(ms(200)));
    assert_eq!(course.next(ms(200)), Next::Wait(ms(250)));
    let second = departure(course.next(ms(250)));
    assert_eq!((second.due, second.possible), (ms(250), ms(250)));
    pass(&mut course, ms(350), OK);
    course.landed(landing(second, ms(360), OK), ms(360), 0);
    assert_eq!(course.next(ms(360)), Next::End(EndedBy::Time), "no time for the fourth, due at 450 ms");
    assert_eq!(course.held_back(ms(360)), ms(150));
}

#[test]
fn a_stall_moves_nothing() {
    let mut course = paced(4, 400);
    departure(course.next(ms(0)));
    let due: Vec<_> = (0..3).map(|_| departure(course.next(ms(390))).due).collect();
    assert_eq!(due, [ms(100), ms(200), ms(300)]);
    assert_eq!(course.held_back(ms(390)), Duration::ZERO);
}

#[test]
fn a_pause_past_the_limit_ends_it_at_once() {
    let mut course = paced(4, 400);
    let first = departure(course.next(ms(0)));
    let busy = Landing { retry_after: Some(ms(60_000)), ..landing(first, ms(5), Outcome::Status(429)) };
    course.landed(busy, ms(5), 0);
    assert_eq!(course.next(ms(5)), Next::End(EndedBy::Time));
    assert_eq!(course.obstacle(), Some(Obstacle::Pause));
}

#[test]
fn after_a_refusal_the_app_is_asked_before_anything_is_sent() {
    let mut course = paced(4, 400);
    assert!(pass(&mut course, ms(0), REFUSED).is_some());
    assert_eq!(course.next(ms(0)), Next::Wait(ms(50)));
    assert_eq!(course.next(ms(50)), Next::Ask);
    assert_eq!(course.next(ms(50)), Next::Wait(ms(400)));
    course.answered(true, ms(51));
    assert_eq!(course.next(ms(51)), Next::Wait(ms(101)));
    assert_eq!(course.next(ms(110)), Next::Ask);
    course.answered(false, ms(110));
    assert_eq!(course.next(ms(110)), Next::Wait(ms(210)), "the second, due at 100 ms, 110 ms later");
    assert_eq!(course.held_back(ms(110)), ms(110));
}

#[test]
fn an_app_that_refuses_for_long_is_gone() {
    let mut course = paced(400, 4_000);
    pass(&mut course, ms(0), REFUSED);
    let mut now = ms(0);
    loop {
        match course.next(now) {
            Next::Wait(until) => now = until,
            Next::Ask => course.answered(true, now),
            next => {
                assert_eq!(next, Next::Gone);
                break;
            }
        }
    }
    assert!((ms(500)..ms(700)).contains(&now), "{now:?}");
}

#[test]
fn an_app_that_refuses_up_to_the_limit_stood_in_the_way() {
    let mut course = paced(4, 400);
    pass(&mut course, ms(390), REFUSED);
    assert_eq!(course.next(ms(390)), Next::Wait(ms(400)));
    assert_eq!(course.next(ms(400)), Next::End(EndedBy::Time));
    assert_eq!(course.obstacle(), Some(Obstacle::Refusal));
}

#[test]
fn an_app_whose_last_answer_broke_off_is_asked_whether_it_still_lives() {
    for (is_refused, obstacle) in [(false, None), (true, Some(Obstacle::Refusal))] {
        let mut course = paced(1, 400);
        pass(&mut course, ms(0), CLOSED);
        assert_eq!(course.next(ms(0)), Next::Ask);
        course.answered(is_refused, ms(1));
        assert_eq!(course.obstacle(), obstacle);
        assert_eq!(course.next(ms(1)) == Next::End(EndedBy::Count), !is_refused);
    }
}

#[test]
fn a_lost_request_is_sent_again_after_growing_pauses_and_its_latency_runs_on() {
    let mut course = retrying(1, 2_000, 2);
    assert_eq!(pass(&mut course, ms(0), CLOSED), None);
    let Next::Wait(first) = course.next(ms(0)) else { panic!() };
    assert!((ms(50)..=ms(100)).contains(&first), "{first:?}");
    assert_eq!(pass(&mut course, first, CLOSED), None);
    let Next::Wait(second) = course.next(first) else { panic!() };
    assert!((ms(100)..=ms(200)).contains(&second.saturating_sub(first)), "{second:?}");
    let sample = pass(&mut course, second, CLOSED).unwrap();
    assert_eq!((sample.index, sample.latency), (0, second));
    assert_eq!((course.retries(), course.next(second)), (2, Next::Ask));
}

#[test]
fn what_is_no_connection_error_and_what_may_not_be_sent_twice_is_not_sent_again() {
    for outcome in [OK, Outcome::Status(503), Outcome::Failed(Failure::TimedOut)] {
        assert!(pass(&mut retrying(1, 100, 9), ms(0), outcome).is_some(), "{outcome}");
    }
    let mut course = retrying(1, 1_000, 9);
    let post = Landing { is_idempotent: false, ..landing(departure(course.next(ms(0))), ms(0), REFUSED) };
    assert!(course.landed(post, ms(0), 0).is_some());
}

#[test]
fn a_request_that_waits_to_be_sent_again_counts_when_there_is_no_time_for_it() {
    let mut course = retrying(2, 200, 9);
    assert_eq!(pass(&mut course, ms(0), REFUSED), None);
    assert_eq!(course.next(ms(200)), Next::End(EndedBy::Time));
    assert_eq!(course.given_up().map(|sample| sample.index).collect::<Vec<_>>(), [0]);
}

/// Carries a course out in its own time. The i-th try takes `latencies[i % len]`, and comes to `outcomes[i % len]`.
fn simulate(
    mut course: Course,
    latencies: &[u64],
    outcomes: &[Outcome],
    slots: usize,
) -> (Vec<Sample>, Duration) {
    let (mut now, mut tries, mut samples) = (Duration::ZERO, 0, Vec::new());
    let mut in_flight: Vec<(Duration, Departure, Outcome)> = Vec::new();
    let mut asked = None;
    for _ in 0..20_000 {
        let wait = match course.next(now) {
            Next::Send(departure) => {
                assert!(departure.possible <= now && departure.due <= departure.possible);
                let lands = now + ms(latencies[tries % latencies.len()]);
                in_flight.push((lands, departure, outcomes[tries % outcomes.len()]));
                assert!(in_flight.len() <= slots);
                tries += 1;
                continue;
            }
            Next::Ask => {
                asked = Some(now);
                continue;
            }
            Next::Wait(until) => {
                assert!(until > now, "a busy loop at {now:?}");
                Some(until)
            }
            Next::Drain => None,
            Next::Gone => return (samples, now),
            Next::End(_) => {
                samples.extend(course.given_up());
                return (samples, now);
            }
        };
        let first = in_flight.iter().map(|(lands, ..)| *lands).chain(asked).min();
        now = wait.into_iter().chain(first).min().expect("something to wait for").max(now);
        if asked.take_if(|at| *at <= now).is_some() {
            course.answered(tries % 3 == 0, now);
        } else if let Some(position) = in_flight.iter().position(|(lands, ..)| *lands <= now) {
            let (_, departure, outcome) = in_flight.swap_remove(position);
            samples.extend(course.landed(landing(departure, now, outcome), now, 7));
        }
    }
    panic!("no end by {now:?}");
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![6 => Just(OK), 1 => Just(REFUSED), 1 => Just(CLOSED), 1 => Just(Outcome::Status(500))]
}

proptest! {
    /// Whatever the app does: no more requests than planned, none twice, none in flight beyond the slots, none sent
    /// after the limit, and always an end.
    #[test]
    fn every_course_ends_and_counts_each_request_once(
        (count, millis, slots, retries) in (1..200_u32, 1..3_000_u64, 1..9_usize, 0..4_u32),
        is_paced in any::<bool>(),
        latencies in proptest::collection::vec(0..400_u64, 1..20),
        outcomes in proptest::collection::vec(outcome(), 1..20),
    ) {
        let limit = ms(millis);
        let schedule = if is_paced {
            Schedule::paced(count, limit, limit / 3)
        } else {
            Schedule::back_to_back(count, limit, 1)
        };
        let course = Course::new(schedule, Bounds { limit, slots, retries });
        let (samples, ended) = simulate(course, &latencies, &outcomes, slots);
        let mut indices: Vec<_> = samples.iter().map(|sample| sample.index).collect();
        indices.sort_unstable();
        indices.dedup();
        prop_assert_eq!(indices.len(), samples.len());
        prop_assert!(indices.iter().all(|index| *index < count));
        prop_assert!(ended <= limit + ms(400) + ms(1_000));
    }

    /// An app that answers all is sent all that there is time for.
    #[test]
    fn an_app_without_faults_gets_every_request(
        (count, millis) in (1..300_u32, 1..3_000_u64),
        latencies in proptest::collection::vec(0..400_u64, 1..20),
    ) {
        let course = paced(count, millis);
        let (samples, _) = simulate(course, &latencies, &[OK], 64);
        let rate = u64::from(count) * 400 / millis;
        prop_assume!(rate < 60);
        prop_assert_eq!(samples.len(), count as usize);
    }
}
