//! The tracker against everything that it was told, looked at one by one.

use proptest::{collection::vec, prelude::*};

use super::*;

const WINDOW: Duration = Duration::from_mins(1);
const SLICE: Duration = Duration::from_secs(5);

fn review(took: Duration) -> Review {
    Review { ending: Ending::Answered, took, waited: Duration::ZERO, parts: Parts::default(), is_slow: false }
}

/// Times and durations of reviews, in the order in which they ended.
fn stories() -> impl Strategy<Value = Vec<(Duration, Duration)>> {
    let pause = prop_oneof![9 => 0..2_000_u64, 1 => 2_000..90_000_u64];
    let story = vec((pause, 0..12_000_000_000_u64), 1..200);
    story.prop_map(|story| {
        let mut at = Duration::ZERO;
        let ends = story.into_iter().map(|(pause, took)| {
            at += Duration::from_millis(pause);
            (at, Duration::from_nanos(took))
        });
        ends.collect()
    })
}

/// The smallest of `sorted` that a share of them does not exceed.
fn exact(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1].as_secs_f64()
}

fn is_close(measured: f64, exact: f64) -> bool {
    (measured - exact).abs() <= exact / 100.0 + 1e-7
}

fn check(figures: &Figures, mut expected: Vec<Duration>) -> Result<(), TestCaseError> {
    prop_assert_eq!(figures.requests, expected.len() as u64);
    expected.sort_unstable();
    let Some(durations) = figures.durations else {
        prop_assert!(expected.is_empty());
        return Ok(());
    };
    let total: Duration = expected.iter().sum();
    prop_assert!(is_close(durations.total_seconds, total.as_secs_f64()));
    let average = total / u32::try_from(expected.len()).unwrap();
    prop_assert!(is_close(durations.average_seconds, average.as_secs_f64()));
    for (measured, exact) in [(durations.min_seconds, 0), (durations.max_seconds, expected.len() - 1)] {
        prop_assert!((measured - expected[exact].as_secs_f64()).abs() < f64::EPSILON);
    }
    for (measured, percent) in
        [(durations.p50_seconds, 50), (durations.p90_seconds, 90), (durations.p99_seconds, 99)]
    {
        let exact = exact(&expected, percent);
        prop_assert!(is_close(measured, exact), "p{percent} is {exact} s, and {measured} s was told");
    }
    Ok(())
}

proptest! {
    #[test]
    fn figures_are_those_of_all_reviews_and_of_those_in_the_window(story in stories(), later in 0..70_u64) {
        let start = Instant::now();
        let tracker = Tracker::new(1, WINDOW, start);
        for (at, took) in &story {
            tracker.arrived();
            tracker.started(start + *at);
            tracker.ended(&review(*took), true, start + *at);
        }
        let now = story.last().unwrap().0 + Duration::from_secs(later);
        let snapshot = tracker.snapshot(start + now);
        check(&snapshot.since_start, story.iter().map(|(_, took)| *took).collect())?;
        // The slice that is not over, and eleven before it.
        let slice = |at: Duration| at.as_millis() / SLICE.as_millis();
        let lately = story.iter().filter(|(at, _)| slice(*at) + 12 > slice(now)).map(|(_, took)| *took);
        check(&snapshot.window, lately.collect())?;
        prop_assert!(snapshot.window.covered_seconds <= WINDOW.as_secs_f64());
        prop_assert_eq!((snapshot.waiting, snapshot.running), (0, 0));
    }

    #[test]
    fn the_window_covers_all_of_the_time_or_nearly_its_length(at in 0..1_000_000_u64) {
        let (start, at) = (Instant::now(), Duration::from_millis(at));
        let covered = Tracker::new(1, WINDOW, start).snapshot(start + at).window.covered_seconds;
        prop_assert!(covered <= WINDOW.as_secs_f64());
        prop_assert!(covered >= at.min(WINDOW.saturating_sub(SLICE)).as_secs_f64());
    }
}

#[test]
fn the_rate_is_that_of_wall_time_whatever_reviews_take() {
    let start = Instant::now();
    let tracker = Tracker::new(64, WINDOW, start);
    for second in 0..120 {
        for _ in 0..30 {
            tracker.arrived();
            tracker.ended(&review(Duration::from_micros(3)), false, start + Duration::from_secs(second));
        }
    }
    let snapshot = tracker.snapshot(start + Duration::from_mins(2));
    assert!((snapshot.since_start.requests_per_second - 30.0).abs() < 0.1, "{snapshot:?}");
    assert!((snapshot.window.requests_per_second - 30.0).abs() < 0.1, "{snapshot:?}");
}

#[test]
fn a_slow_hour_is_forgotten_by_the_window_and_not_by_the_start() {
    let start = Instant::now();
    let tracker = Tracker::new(1, WINDOW, start);
    for (second, took) in [(1, 9_000), (3_600, 2)] {
        tracker.arrived();
        tracker.ended(&review(Duration::from_millis(took)), false, start + Duration::from_secs(second));
    }
    let snapshot = tracker.snapshot(start + Duration::from_secs(3_601));
    let most = [snapshot.window, snapshot.since_start].map(|figures| figures.durations.unwrap().max_seconds);
    assert!(most[0] < 0.003 && most[1] > 8.9, "{most:?}");
    let later = tracker.snapshot(start + Duration::from_hours(2));
    assert_eq!((later.window.requests, later.window.durations), (0, None));
}

#[test]
fn saturation_is_the_share_of_time_with_all_slots_taken() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let tracker = Tracker::new(2, WINDOW, start);
    (0..3).for_each(|_| tracker.arrived());
    tracker.started(at(3));
    let partly = tracker.snapshot(at(10)).window.saturation_ratio;
    assert!(partly.abs() < f64::EPSILON, "one of two slots is taken");
    tracker.started(at(10));
    let snapshot = tracker.snapshot(at(16));
    assert_eq!((snapshot.waiting, snapshot.running), (1, 2));
    assert!((snapshot.window.saturation_ratio - 6.0 / 16.0).abs() < 1e-9, "{snapshot:?}");
    tracker.ended(&review(Duration::from_secs(17)), true, at(20));
    for (now, full, covered) in
        [(20, 10.0, 20.0), (40, 10.0, 40.0), (64, 10.0, 59.0), (72, 5.0, 57.0), (90, 0.0, 55.0)]
    {
        let snapshot = tracker.snapshot(at(now));
        assert!((snapshot.window.saturation_ratio - full / covered).abs() < 1e-9, "at {now} s: {snapshot:?}");
    }
    assert!((tracker.snapshot(at(100)).since_start.saturation_ratio - 0.1).abs() < 1e-9);
}

#[test]
fn what_is_shed_or_abandoned_is_counted_and_has_no_duration() {
    let start = Instant::now();
    let tracker = Tracker::new(1, WINDOW, start);
    for (ending, waited) in [(Ending::Shed, 1_000), (Ending::Abandoned, 200), (Ending::Shed, 0)] {
        tracker.arrived();
        let waited = Duration::from_millis(waited);
        tracker.ended(&Review { ending, waited, ..review(waited) }, false, start + waited);
    }
    let figures = tracker.snapshot(start + Duration::from_secs(1)).window;
    assert_eq!((figures.requests, figures.answered, figures.shed, figures.abandoned), (3, 0, 2, 1));
    assert_eq!(figures.durations, None);
    assert_eq!(figures.queue, Queue { waited: 2, average_wait_seconds: 0.6, max_wait_seconds: 1.0 });
}

#[test]
fn a_change_is_a_share_of_what_was_before() {
    assert_eq!(change(Some(4.0), Some(5.0)), Some(0.25));
    assert_eq!([change(None, Some(1.0)), change(Some(0.0), Some(1.0)), change(Some(1.0), None)], [None; 3]);
}
