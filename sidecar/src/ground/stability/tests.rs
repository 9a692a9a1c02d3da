use proptest::{collection::vec, prelude::*};

use super::*;

/// Windows of these series.
const LEN: usize = 50;

fn micros(micros: f64) -> Duration {
    Duration::from_secs_f64(micros / 1e6)
}

/// After how many requests a series of latencies in µs is stable; `None` where it never is.
fn stable_after(pass: usize, latencies: impl IntoIterator<Item = f64>) -> Option<usize> {
    stable_after_of(pass, latencies.into_iter().map(|latency| (micros(latency), true)))
}

fn stable_after_of(pass: usize, requests: impl IntoIterator<Item = (Duration, bool)>) -> Option<usize> {
    let mut stability = Stability::of_passes(pass);
    for (index, (latency, is_success)) in requests.into_iter().enumerate() {
        stability.record(latency, is_success);
        if stability.is_reached() {
            return Some(index + 1);
        }
    }
    None
}

/// Requests of a series.
const ALL: usize = 120 * LEN;

/// Factors from 0.9 to 1.1, another series for each `seed` (splitmix64).
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let states = std::iter::successors(Some(seed), |state| Some(state.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    states.take(ALL).map(|state| {
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        0.9 + 0.2 * f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
    })
}

/// `level(window)` times noise.
fn series(seed: u64, level: impl Fn(usize) -> f64) -> Vec<f64> {
    noise(seed).enumerate().map(|(index, noise)| level(index / LEN) * noise).collect()
}

/// The first window and those without progress.
const SOONEST: usize = PATIENCE as usize * LEN;
/// Noise may pass for progress of each quantile, at the end of all patience.
const SOON: usize = 3 * SOONEST;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_flat_stops_as_soon_as_can_be(seed: u64, level in 50.0..15_000.0) {
        let after = stable_after(1, series(seed, |_| level));
        prop_assert!(after.is_some_and(|after| (SOONEST + 10..=SOON).contains(&after)), "{after:?}");
    }

    #[test]
    fn what_still_falls_does_not_stop_and_stops_soon_after_its_end(
        seed: u64, level in 5_000.0..15_000.0, share in 0.85..0.96_f64, end in 1..50_usize,
    ) {
        let fall = |window: usize| level * share.powi(i32::try_from(window.min(end)).unwrap());
        let after = stable_after(1, series(seed, fall));
        let soon = end * LEN..=end * LEN + SOON;
        prop_assert!(after.is_some_and(|after| soon.contains(&after)), "{after:?} of {soon:?}");
    }

    #[test]
    fn steps_are_waited_for(seed: u64, steps in vec((1..PATIENCE as usize, 0.3..0.8_f64), 1..8)) {
        let level = |window: usize| {
            let mut start = 0;
            let passed = steps.iter().take_while(|(windows, _)| { start += windows; start <= window });
            15_000.0 * passed.map(|(_, share)| share).product::<f64>()
        };
        let last = steps.iter().map(|(windows, _)| windows).sum::<usize>() * LEN;
        let after = stable_after(1, series(seed, level));
        prop_assert!(after.is_some_and(|after| after > last && after <= last + SOON), "{after:?}, {last}");
    }

    #[test]
    fn a_burst_neither_ends_nor_prolongs_what_falls(
        seed: u64, begin in 1..20_usize, length in 1..6_usize, factor in 2.0..20.0,
    ) {
        let calm = |window: usize| 5_000.0 * 0.94_f64.powi(i32::try_from(window.min(30)).unwrap());
        let is_burst = |window: usize| (begin..begin + length).contains(&window);
        let level = |window| if is_burst(window) { calm(window) * factor } else { calm(window) };
        let after = stable_after(1, series(seed, level));
        prop_assert!(after.is_some_and(|after| (30 * LEN..=30 * LEN + SOON).contains(&after)), "{after:?}");
    }

    #[test]
    fn spikes_do_not_keep_what_is_flat(
        seed: u64, spikes in vec(any::<prop::sample::Index>(), 0..30), factor in 2.0..500.0,
    ) {
        let mut spiky = series(seed, |_| 1_000.0);
        for spike in spikes {
            *spike.get_mut(&mut spiky) *= factor;
        }
        let after = stable_after(1, spiky);
        prop_assert!(after.is_some_and(|after| after <= SOON), "{after:?}");
    }

    #[test]
    fn failures_are_not_fast(seed: u64, failures in vec(any::<prop::sample::Index>(), 0..1_500)) {
        let falling = series(seed, |window| 15_000.0 * 0.94_f64.powi(i32::try_from(window.min(30)).unwrap()));
        let mut requests: Vec<_> = falling.into_iter().map(|latency| (micros(latency), true)).collect();
        for failure in failures {
            *failure.get_mut(&mut requests) = (Duration::from_micros(1), false);
        }
        let after = stable_after_of(1, requests);
        prop_assert!(after.is_some_and(|after| after >= 30 * LEN), "{after:?}");
    }

    #[test]
    fn paths_of_different_speed_are_one_series(seed: u64, pass in 1..64_usize) {
        let mixed = noise(seed).enumerate().map(|(index, noise)| noise * if index % pass == 0 { 9_000.0 } else { 100.0 });
        let window = pass * LEN.div_ceil(pass);
        let after = stable_after(pass, mixed);
        prop_assert!(after.is_none_or(|after| after.is_multiple_of(pass)), "{after:?}");
        prop_assert!(after.is_some_and(|after| after <= 3 * PATIENCE as usize * window) || 3 * PATIENCE as usize * window > ALL, "{after:?}");
    }
}

#[test]
fn an_app_that_only_fails_is_never_stable() {
    assert_eq!(stable_after_of(1, std::iter::repeat_n((Duration::from_micros(100), false), 12_000)), None);
    let half = (0..12_000).map(|index| (Duration::from_millis(1), index % 2 == 0));
    assert_eq!(stable_after_of(1, half), None);
}

#[test]
fn a_slow_app_has_shorter_windows() {
    for (millis, pass, after) in
        [(1, 1, 510), (19, 1, 510), (25, 1, 410), (100, 1, 110), (100, 4, 132), (2_000, 1, 110)]
    {
        let requests = std::iter::repeat_n(f64::from(millis) * 1e3, 1_000);
        assert_eq!(stable_after(pass, requests), Some(after), "{millis} ms, {pass} paths");
    }
}

/// What `examples/record.rs` saw on a busy machine with two processors: name, paths, and after how many requests it is
/// stable.
const RECORDED: [(&str, &str, usize, Option<usize>); 6] = [
    ("Java, 1", include_str!("../../../tests/recorded/java-1.txt"), 6, Some(786)),
    ("Java, 2", include_str!("../../../tests/recorded/java-2.txt"), 6, Some(1_584)),
    ("Java, 3", include_str!("../../../tests/recorded/java-3.txt"), 6, None),
    ("Java on one processor", include_str!("../../../tests/recorded/java-one-cpu.txt"), 6, Some(1_728)),
    ("Node", include_str!("../../../tests/recorded/node.txt"), 5, Some(945)),
    ("Python", include_str!("../../../tests/recorded/python.txt"), 6, Some(1_146)),
];

fn recorded(text: &str) -> Vec<f64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn median(latencies: &[f64]) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[test]
fn recorded_apps_are_stable_when_their_fall_is_over() {
    for (name, text, pass, expected) in RECORDED {
        let latencies = recorded(text);
        let after = stable_after(pass, latencies.iter().copied());
        assert_eq!(after, expected, "{name}");
        let Some(after) = after else { continue };
        let then = median(&latencies[after..(after + 300).min(latencies.len())]);
        let last = median(&latencies[latencies.len() - 300..]);
        assert!(then < 3.0 * last, "{name}: {then} µs when stable, {last} µs later");
    }
}
