//! When a pod's requests leave: paced over a time, or back to back within one.

use std::time::Duration;

use proto::plan::{MAX_DURATION, Shape, Until};

use super::{
    GoDuration, keys,
    reader::{Reader, check_that},
};

/// The time over which requests are spread, or within which their latency is to be stable, where a pod says nothing.
const DEFAULT: Duration = Duration::from_secs(30);

/// Reads the annotations that say when requests leave. Those that nobody wants paced follow one another `until` the
/// latency is stable.
pub(super) fn read(reader: &mut Reader<'_, '_>, until: Until) -> Shape {
    let duration = reader.read(&keys::DURATION, |text| between(text, Duration::from_millis(1)));
    let timeout = reader.read(&keys::TIMEOUT, |text| between(text, Duration::from_secs(1)));
    let ramp = reader.read(&keys::RAMP, |text| between(text, Duration::ZERO)).unwrap_or_default();
    reader.exclude(&keys::TIMEOUT, &keys::DURATION);
    let is_paced = until == Until::Count || duration.is_some() || !ramp.is_zero();
    let timeout = timeout.or((!is_paced).then_some(DEFAULT));
    let duration = duration.unwrap_or(DEFAULT);
    if !ramp.is_zero() && !reader.exclude(&keys::RAMP, &keys::TIMEOUT) && ramp > duration {
        reader.bad(&keys::RAMP, format!("is longer than the requests take, {}", GoDuration(duration)));
    }
    match timeout {
        Some(timeout) => Shape::BackToBack { timeout_ms: millis(timeout) },
        None => Shape::Paced { duration_ms: millis(duration), ramp_ms: millis(ramp) },
    }
}

fn between(text: &str, shortest: Duration) -> Result<Duration, String> {
    let GoDuration(duration) = text.parse().map_err(|error| format!("is {error}"))?;
    check_that(duration >= shortest, "is too short")?;
    check_that(duration <= MAX_DURATION, "is too long")?;
    Ok(duration)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;
    use crate::ground::{annotations, pod::Texts};

    fn read(annotations: &Value) -> Result<Shape, String> {
        let prefixed: serde_json::Map<String, Value> = annotations
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (format!("kube-booster.io/warmup-{key}"), value.clone()))
            .collect();
        let text = serde_json::to_string(&prefixed).unwrap();
        let texts: Texts<'_> = serde_json::from_str(&text).unwrap();
        let lines = |problems: Vec<annotations::Problem>| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        annotations::read(&texts).map(|settings| settings.shape).map_err(lines)
    }

    fn refused(annotations: &Value, expected: &Expect) {
        expected.assert_eq(&read(annotations).unwrap_err());
    }

    #[test]
    fn a_time_limit_makes_requests_follow_one_another() {
        let shape = read(&json!({"timeout": "1m"}));
        assert_eq!(shape, Ok(Shape::BackToBack { timeout_ms: 60_000 }));
        let ramp = read(&json!({"ramp": "30s"}));
        assert_eq!(ramp, Ok(Shape::Paced { duration_ms: 30_000, ramp_ms: 30_000 }));
        assert_eq!(
            read(&json!({"ramp": "0s", "timeout": "1s"})),
            Ok(Shape::BackToBack { timeout_ms: 1_000 })
        );
    }

    #[test]
    fn a_time_limit_excludes_what_is_for_paced_requests() {
        refused(
            &json!({"timeout": "10s", "duration": "10s", "ramp": "5s"}),
            &expect![[r#"
                kube-booster.io/warmup-timeout: "10s" excludes kube-booster.io/warmup-duration; leave one of them out
                kube-booster.io/warmup-ramp: "5s" excludes kube-booster.io/warmup-timeout; leave one of them out"#]],
        );
    }

    #[test]
    fn a_ramp_is_no_longer_than_the_requests() {
        refused(
            &json!({"ramp": "31s"}),
            &expect![[
                r#"kube-booster.io/warmup-ramp: "31s" is longer than the requests take, 30s; use a duration up to that of the requests, such as 5s"#
            ]],
        );
        refused(
            &json!({"duration": "2s", "ramp": "3s"}),
            &expect![[
                r#"kube-booster.io/warmup-ramp: "3s" is longer than the requests take, 2s; use a duration up to that of the requests, such as 5s"#
            ]],
        );
    }

    #[test]
    fn times_outside_their_bounds_are_refused() {
        refused(
            &json!({"timeout": "999ms", "ramp": "soon"}),
            &expect![[r#"
                kube-booster.io/warmup-timeout: "999ms" is too short; use a duration from 1s to 5m, such as 30s
                kube-booster.io/warmup-ramp: "soon" is not a duration; use a duration up to that of the requests, such as 5s"#]],
        );
    }
}
