use super::*;

const PULL: Trouble = Trouble { cause: Cause::Pull, reason: "ErrImagePull" };
const BACK_OFF: Trouble = Trouble { cause: Cause::Pull, reason: "ImagePullBackOff" };
const CRASH: Trouble = Trouble { cause: Cause::Crash, reason: "CrashLoopBackOff" };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A gated pod on node n1 whose sidecar is all that has been awaited since second 100.
fn pod(state: State) -> Observed {
    Observed {
        pod: PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() },
        node: Some("n1".into()),
        resource_version: "1".into(),
        gate: Gate::Closed(None),
        planned: None,
        containers_ready: None,
        app_started: None,
        sidecar: Some(Box::new(Sidecar {
            index: 1,
            image: "sidecar:1".into(),
            state,
            restarts: 0,
            awaited: Some(at(100)),
        })),
        says_why: false,
    }
}

fn failing(trouble: Trouble) -> Observed {
    pod(State::Failing(trouble))
}

fn with(mut observed: Observed, change: impl FnOnce(&mut Sidecar)) -> Observed {
    change(observed.sidecar.as_mut().unwrap());
    observed
}

fn fallbacks() -> Fallbacks {
    Fallbacks::new(Some("pause:1".into()))
}

/// What is due, and when, after these news.
fn due_after(news: &[(i64, Observed)]) -> Option<i64> {
    let mut fallbacks = fallbacks();
    for (second, observed) in news {
        fallbacks.apply(observed, at(*second));
    }
    fallbacks.next_due().map(Timestamp::as_second)
}

#[test]
fn ten_seconds_after_the_first_error_the_image_is_exchanged() {
    let mut fallbacks = fallbacks();
    fallbacks.apply(&failing(PULL), at(105));
    assert_eq!(fallbacks.next(at(114)), None);
    let Due { failure, is_new, exchange } = fallbacks.next(at(115)).unwrap();
    assert_eq!((failure.trouble, &*failure.image, failure.node.as_deref()), (PULL, "sidecar:1", Some("n1")));
    assert!(is_new && !failure.is_open);
    let exchange = exchange.unwrap();
    assert_eq!((exchange.index, &*exchange.from, &*exchange.to), (1, "sidecar:1", "pause:1"));
    fallbacks.ended("u1", &Outcome::Applied { resource_version: None }, at(115));
    assert!(fallbacks.entries.is_empty() && fallbacks.due.is_empty());
}

#[test]
fn errors_that_come_and_go_are_counted_from_the_first() {
    let flapping =
        [(105, failing(PULL)), (107, failing(BACK_OFF)), (110, pod(State::Absent)), (112, failing(PULL))];
    assert_eq!(due_after(&flapping), Some(115));
}

#[test]
fn a_sidecar_that_comes_to_run_is_not_given_up() {
    assert_eq!(due_after(&[(105, failing(PULL)), (110, pod(State::Running(Some(at(110)))))]), None);
    let again = [(105, failing(PULL)), (110, pod(State::Running(Some(at(110))))), (200, failing(PULL))];
    assert_eq!(due_after(&again), Some(210), "and what was before counts no more");
}

#[test]
fn without_an_error_a_minute_after_it_alone_is_awaited() {
    assert_eq!(due_after(&[(101, pod(State::Absent))]), Some(160));
    let early = with(pod(State::Absent), |sidecar| sidecar.awaited = None);
    assert_eq!(due_after(&[(101, early.clone())]), None, "others are awaited first");
    assert_eq!(due_after(&[(101, early), (400, pod(State::Absent))]), Some(160));
}

#[test]
fn a_control_plane_that_starts_late_comes_to_the_same_moment_but_looks_twice() {
    assert_eq!(due_after(&[(130, pod(State::Absent))]), Some(160));
    assert_eq!(due_after(&[(500, pod(State::Absent))]), Some(510));
    assert_eq!(due_after(&[(158, failing(PULL))]), Some(168));
}

#[test]
fn a_sidecar_that_is_killed_once_is_not_given_up_and_one_that_keeps_ending_is() {
    let once = with(pod(State::Absent), |sidecar| (sidecar.restarts, sidecar.awaited) = (0, Some(at(300))));
    let back = with(pod(State::Running(Some(at(301)))), |sidecar| sidecar.restarts = 1);
    assert_eq!(due_after(&[(300, once.clone())]), Some(360));
    assert_eq!(due_after(&[(300, once), (301, back)]), None);

    let backed_off = with(failing(CRASH), |sidecar| sidecar.restarts = 1);
    assert_eq!(due_after(&[(302, backed_off)]), Some(312));
    let twice = with(failing(CRASH), |sidecar| sidecar.restarts = 2);
    assert_eq!(due_after(&[(302, twice)]), Some(302), "at once");
}

#[test]
fn restarts_of_long_ago_do_not_count() {
    let rebooted = with(pod(State::Running(Some(at(900)))), |sidecar| sidecar.restarts = 5);
    assert_eq!(due_after(&[(900, rebooted)]), None);
}

#[test]
fn an_open_gate_does_not_help_an_app_that_is_held_so_its_pod_is_helped_too() {
    let mut fallbacks = fallbacks();
    fallbacks.apply(&Observed { gate: Gate::Open, ..failing(PULL) }, at(105));
    assert!(fallbacks.next(at(115)).unwrap().failure.is_open);
    fallbacks.apply(&Observed { gate: Gate::Absent, ..failing(PULL) }, at(116));
    assert!(fallbacks.entries.is_empty(), "a pod that has ended is nobody's business");
}

#[test]
fn an_exchange_that_fails_is_tried_again_ever_more_slowly_and_is_no_new_failure() {
    let mut fallbacks = fallbacks();
    fallbacks.apply(&failing(PULL), at(105));
    let mut now = at(115);
    assert!(fallbacks.next(now).unwrap().is_new);
    let mut waits = Vec::new();
    for outcome in [
        Outcome::Refused,
        Outcome::Conflict,
        Outcome::Failed,
        Outcome::Failed,
        Outcome::Failed,
        Outcome::Failed,
    ] {
        fallbacks.ended("u1", &outcome, now);
        // News in between change nothing.
        fallbacks.apply(&failing(BACK_OFF), now);
        let due = fallbacks.next_due().unwrap();
        waits.push(due.duration_since(now).as_secs());
        now = due;
        assert!(!fallbacks.next(now).unwrap().is_new);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30]);
    fallbacks.ended("u1", &Outcome::Gone, now);
    assert!(fallbacks.entries.is_empty() && fallbacks.due.is_empty());
}

#[test]
fn without_a_fallback_image_a_failure_is_said_once_and_nothing_is_exchanged() {
    let mut fallbacks = Fallbacks::new(None);
    fallbacks.apply(&failing(PULL), at(105));
    let due = fallbacks.next(at(115)).unwrap();
    assert_eq!((due.is_new, due.exchange), (true, None));
    fallbacks.apply(&failing(BACK_OFF), at(120));
    assert_eq!(fallbacks.next_due(), None);
}

#[test]
fn a_pod_with_the_fallback_image_is_told_whoever_exchanged_it_as_long_as_its_gate_is_closed() {
    let exchanged = with(pod(State::Absent), |sidecar| sidecar.image = "pause:1".into());
    let mut fallbacks = fallbacks();
    assert_eq!(fallbacks.apply(&exchanged, at(105)), Some(Sign::Exchanged(Trouble::UNKNOWN)));
    fallbacks.apply(&failing(PULL), at(105));
    assert_eq!(fallbacks.apply(&exchanged, at(106)), Some(Sign::Exchanged(PULL)));
    assert_eq!(fallbacks.apply(&Observed { gate: Gate::Open, ..exchanged }, at(107)), None);
    assert_eq!(fallbacks.next_due(), None);
}

#[test]
fn a_sidecar_works_when_it_runs_and_its_gate_is_open() {
    let running = pod(State::Running(Some(at(110))));
    let open = Observed { gate: Gate::Open, ..running.clone() };
    let mut fallbacks = fallbacks();
    assert_eq!(fallbacks.apply(&running, at(111)), None);
    assert_eq!(fallbacks.apply(&open, at(112)), Some(Sign::Works(at(110))));
    assert_eq!(fallbacks.apply(&with(open, |sidecar| sidecar.restarts = 1), at(113)), None);
}

#[test]
fn a_list_that_does_not_name_a_pod_forgets_it() {
    let mut fallbacks = fallbacks();
    fallbacks.apply(&failing(PULL), at(105));
    fallbacks.reset();
    fallbacks.reset_done();
    assert_eq!((fallbacks.next_due(), fallbacks.entries.len()), (None, 0));
    assert!(fallbacks.due.is_empty());
}

#[test]
fn a_pod_without_our_container_has_nothing_to_exchange() {
    let mut fallbacks = fallbacks();
    fallbacks.apply(&Observed { sidecar: None, ..failing(PULL) }, at(105));
    assert_eq!(fallbacks.next_due(), None);
}
