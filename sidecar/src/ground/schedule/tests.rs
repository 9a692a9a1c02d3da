use proptest::prelude::*;
use proto::plan::{MAX_DURATION, MAX_REQUESTS};

use super::*;

fn even(count: u32, duration: Duration) -> Schedule {
    Schedule::paced(count, duration, Duration::ZERO)
}

fn due(schedule: &Schedule) -> Vec<Duration> {
    (0..schedule.count()).map(|index| schedule.due(index).unwrap()).collect()
}

#[test]
fn three_requests_over_thirty_seconds_leave_ten_seconds_apart() {
    let seconds = |schedule| due(&schedule).iter().map(Duration::as_secs).collect::<Vec<_>>();
    assert_eq!(seconds(even(3, Duration::from_secs(30))), [0, 10, 20]);
}

#[test]
fn a_ramp_sends_as_many_requests_in_as_much_time() {
    // The full rate is 8/(10 − 4/2) = 1 a second; 4²/2·4 = 2 requests leave in the ramp.
    let schedule = Schedule::paced(8, Duration::from_secs(10), Duration::from_secs(4));
    let millis: Vec<_> = due(&schedule).iter().map(Duration::as_millis).collect();
    assert_eq!(millis, [0, 2_828, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000]);
}

#[test]
fn a_request_has_ten_seconds_until_one_has_succeeded() {
    for (count, seconds, timeout) in [(3, 30, 10), (1, 300, 10), (10, 30, 3), (12_000, 300, 1), (1, 0, 1)] {
        let schedule = even(count, Duration::from_secs(seconds));
        assert_eq!(schedule.timeout(false), Duration::from_secs(10));
        assert_eq!(schedule.timeout(true), Duration::from_secs(timeout), "{count} over {seconds} s");
    }
}

#[test]
fn requests_back_to_back_share_the_time_of_as_many_as_run_at_once() {
    let schedule = |slots| Schedule::back_to_back(40, Duration::from_secs(20), slots);
    assert_eq!(schedule(1).due(7), None);
    assert_eq!(schedule(1).timeout(true), Duration::from_secs(1));
    assert_eq!(schedule(8).timeout(true), Duration::from_secs(4));
    assert_eq!(schedule(64).timeout(true), Duration::from_secs(10));
}

prop_compose! {
    /// Any count over any time, with any ramp within it.
    fn schedules()(
        count in 1..=MAX_REQUESTS,
        millis in 0..=u64::try_from(MAX_DURATION.as_millis()).unwrap(),
    )(count in Just(count), millis in Just(millis), ramp in 0..=millis) -> (Schedule, Duration) {
        let [duration, ramp] = [millis, ramp].map(Duration::from_millis);
        (Schedule::paced(count, duration, ramp), ramp)
    }
}

/// Requests that are to have left by `time`, of which some may be parts of one: what the rate adds up to.
fn sent_by(time: f64, schedule: &Schedule, ramp: Duration) -> f64 {
    let (duration, ramp) = (schedule.duration().as_secs_f64(), ramp.as_secs_f64());
    let rate = f64::from(schedule.count()) / (duration - ramp / 2.0);
    if time < ramp { rate * time * time / (2.0 * ramp) } else { rate * (time - ramp / 2.0) }
}

proptest! {
    #[test]
    fn requests_leave_in_order_within_the_duration((schedule, _) in schedules()) {
        let due = due(&schedule);
        prop_assert_eq!(due[0], Duration::ZERO);
        prop_assert!(due.is_sorted());
        prop_assert!(due.iter().all(|due| *due < schedule.duration() || schedule.duration().is_zero()));
    }

    #[test]
    fn without_a_ramp_requests_leave_in_even_steps(count in 1..=MAX_REQUESTS, millis in 0..300_000_u64) {
        let duration = Duration::from_millis(millis);
        for (index, due) in (0..).zip(due(&even(count, duration))) {
            let nanos = duration.as_nanos() * index / u128::from(count);
            prop_assert_eq!(due.as_nanos(), nanos);
        }
    }

    #[test]
    fn the_rate_rises_linearly_and_then_stays((schedule, ramp) in schedules()) {
        prop_assume!(!schedule.duration().is_zero());
        for (index, due) in (0_u32..).zip(due(&schedule)) {
            // The time is rounded down to a nanosecond; a nanosecond earlier, less was sent.
            let sent = sent_by(due.as_secs_f64(), &schedule, ramp);
            let next = sent_by(due.as_secs_f64() + 2e-9, &schedule, ramp);
            let index = f64::from(index);
            prop_assert!(sent <= index + 1e-4 && next >= index - 1e-4, "{} {} {}", index, sent, next);
        }
    }

    #[test]
    fn a_ramp_that_is_longer_than_the_time_is_as_long(count in 1..500_u32, millis in 1..9_000_u64) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(
            Schedule::paced(count, duration, duration * 2),
            Schedule::paced(count, duration, duration)
        );
    }
}
