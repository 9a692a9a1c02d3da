//! What a warm-up did, as the sidecar measured it and the pod's annotation keeps it.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// The version of the annotation's JSON form.
pub const VERSION: u32 = 1;
/// Longest message, in bytes.
pub const MAX_MESSAGE: usize = 256;
/// Longest annotation, in bytes.
pub const MAX_ANNOTATION: usize = 1024;
/// Longest path of a [`PathReport`], in bytes.
pub const MAX_PATH: usize = 128;
/// Most distinct statuses that an annotation keeps; the rarest are left out.
const MAX_STATUSES: usize = 8;

/// What a warm-up did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether at least the configured share of requests succeeded.
    pub success: bool,
    /// What ended the warm-up.
    pub ended_by: EndedBy,
    /// Requests that the plan asked for.
    pub planned_count: u32,
    /// Completed requests, failed ones included.
    pub request_count: u32,
    /// Requests without a response in time, with a status outside 200–399, or with another gRPC status than OK.
    pub failed_count: u32,
    /// Response times of all completed requests, from the moment they were scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Quantiles>,
    /// Response time of the first request.
    #[serde(
        rename = "firstRequestMs",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub first_request: Option<Duration>,
    /// Response times of the first tenth; absent when there are too few requests to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<Quantiles>,
    /// Response times of the last tenth; absent when there are too few requests to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Quantiles>,
    /// Responses by HTTP status, which is 200 for any gRPC call that was answered; 0 counts requests that got none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<u16, u32>,
    /// Connections opened for the requests.
    pub connections: u32,
    /// From the sidecar's start to the app's first answer.
    #[serde(
        rename = "appWaitMs",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub app_wait: Option<Duration>,
    /// How late the sidecar itself was, at the 99th percentile.
    #[serde(
        rename = "latenessP99Ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub lateness_p99: Option<Duration>,
    /// Times of all completed requests, from the moment they were really sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_time: Option<Quantiles>,
    /// Further tries of requests whose connection failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// How often the app went away and the warm-up began anew; the counts and times are of the last time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// How long nothing was sent because the app asked for it, or took no connections, over all times.
    #[serde(
        rename = "heldBackMs",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub held_back: Option<Duration>,
    /// What was requested, one by one, where there are several; as many as there is room for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathReport>,
    /// When the sidecar started to warm (or to wait, where no request was sent).
    #[serde(with = "timestamp")]
    pub started: SystemTime,
    /// When the last request was done.
    #[serde(with = "timestamp")]
    pub ended: SystemTime,
    /// One line for people, at most [`MAX_MESSAGE`] bytes.
    pub message: String,
}

/// What became of one of the requests that a warm-up cycles through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathReport {
    /// Path and query, or the gRPC method; at most [`MAX_PATH`] bytes.
    pub path: String,
    /// Completed requests, failed ones included.
    pub request_count: u32,
    /// Requests without a response in time, with another status than 200–399, or with another gRPC status than OK.
    pub failed_count: u32,
    /// Response time of the first request.
    #[serde(
        rename = "firstRequestMs",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub first_request: Option<Duration>,
    /// Median response time of the last tenth; absent when there are too few requests to tell.
    #[serde(
        rename = "warmP50Ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub warm_p50: Option<Duration>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over fields by reference
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Two quantiles of a set of response times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// The median.
    #[serde(rename = "p50Ms", with = "millis")]
    pub p50: Duration,
    /// The 99th percentile.
    #[serde(rename = "p99Ms", with = "millis")]
    pub p99: Duration,
}

/// What ended a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndedBy {
    /// All planned requests were sent.
    Count,
    /// The time limit came first.
    Time,
    /// The latency had become stable.
    Stable,
    /// The app never answered.
    AppUnavailable,
    /// The plan could not be read, or its gRPC calls do not fit the app; no request was sent.
    BadPlan,
    /// No report came; the control plane opened the gate.
    NoReport,
}

/// Why the gate is open: the reason of the pod's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The app was warmed.
    WarmupSucceeded,
    /// The report says not successful; opened all the same.
    WarmupFailed,
    /// No report came before the deadline; opened all the same.
    WarmupTimedOut,
    /// Our container could not run; opened all the same.
    SidecarUnavailable,
    /// kube-booster was taken out of the cluster.
    Released,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::WarmupSucceeded,
        Self::WarmupFailed,
        Self::WarmupTimedOut,
        Self::SidecarUnavailable,
        Self::Released,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Report {
    /// A report of a warm-up that sent nothing.
    #[must_use]
    pub fn without_requests(ended_by: EndedBy, at: SystemTime, message: &str) -> Self {
        Self {
            success: false,
            ended_by,
            planned_count: 0,
            request_count: 0,
            failed_count: 0,
            latency: None,
            first_request: None,
            cold: None,
            warm: None,
            statuses: BTreeMap::new(),
            connections: 0,
            app_wait: None,
            lateness_p99: None,
            service_time: None,
            retries: 0,
            restarts: 0,
            held_back: None,
            paths: Vec::new(),
            started: at,
            ended: at,
            message: one_line(message),
        }
    }

    /// Share of completed requests that succeeded, 0 to 1; 0 when there was none.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.request_count == 0 {
            return 0.0;
        }
        f64::from(self.request_count.saturating_sub(self.failed_count)) / f64::from(self.request_count)
    }

    /// From start to end; zero when the clock was set back in between.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.ended.duration_since(self.started).unwrap_or_default()
    }

    /// Requests that there should have been: all planned ones, or those after which more were not needed.
    #[must_use]
    pub fn wanted_count(&self) -> u32 {
        if self.ended_by == EndedBy::Stable {
            self.request_count
        } else {
            self.planned_count.max(self.request_count)
        }
    }

    /// How many times faster half of the requests were in the end than at first; `None` where too few tell, or most
    /// failed.
    #[must_use]
    pub fn speed_up(&self) -> Option<f64> {
        let (cold, warm) = (self.cold?.p50, self.warm?.p50);
        let tells = !warm.is_zero() && self.success_rate() > 0.5;
        tells.then(|| cold.as_secs_f64() / warm.as_secs_f64())
    }

    /// The numbers for people: `12/12 requests succeeded, p50 4 ms, p99 9 ms, first request 210 ms`, and with enough
    /// requests `…, p50 38 ms cold and 1.1 ms warm (35 times faster)`.
    #[must_use]
    pub fn summary(&self) -> String {
        let succeeded = self.request_count.saturating_sub(self.failed_count);
        let mut text = format!("{succeeded}/{} requests succeeded", self.wanted_count());
        if let Some(latency) = self.latency {
            text += &format!(", p50 {}, p99 {}", ForPeople(latency.p50), ForPeople(latency.p99));
        }
        if let Some(first) = self.first_request {
            text += &format!(", first request {}", ForPeople(first));
        }
        if let (Some(cold), Some(warm), Some(times)) = (self.cold, self.warm, self.speed_up()) {
            let [cold, warm] = [cold.p50, warm.p50].map(ForPeople);
            let digits = usize::from(times < 10.0);
            text += &format!(", p50 {cold} cold and {warm} warm");
            if times > 1.0 {
                text += &format!(" ({times:.digits$} times faster)");
            }
        }
        text
    }
}

/// Makes `text` fit for a report's message: one line without control characters, at most [`MAX_MESSAGE`] bytes.
#[must_use]
pub fn one_line(text: &str) -> String {
    line_of(text, MAX_MESSAGE)
}

/// Makes `text` fit for a [`PathReport`]: one line without control characters, at most [`MAX_PATH`] bytes.
#[must_use]
pub fn short_path(text: &str) -> String {
    line_of(text, MAX_PATH)
}

fn line_of(text: &str, most: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(most));
    line
}

/// A duration as people write it: `310 µs`, `4 ms`, `2.1 s`.
pub struct ForPeople(pub Duration);

impl fmt::Display for ForPeople {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            us @ 0..1_000 => write!(f, "{us} µs"),
            1_000..10_000 => write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3),
            us @ 10_000..1_000_000 => write!(f, "{} ms", us / 1_000),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}

/// A report with the pod that it is about and the reason it gave, as the pod's annotation keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// UID of the pod; a record in any other pod is a copy and counts for nothing.
    pub pod_uid: String,
    /// Why the gate is open.
    pub reason: Reason,
    /// What the warm-up did.
    pub report: Report,
}

impl Record {
    /// The record of pod `pod_uid`.
    #[must_use]
    pub fn new(pod_uid: impl Into<String>, reason: Reason, report: Report) -> Self {
        Self { version: VERSION, pod_uid: pod_uid.into(), reason, report }
    }

    /// Reads an annotation of pod `pod_uid`; `None` where it holds no record of this very pod.
    #[must_use]
    pub fn of_pod(pod_uid: &str, annotation: &str) -> Option<Self> {
        let record: Self = serde_json::from_str(annotation).ok()?;
        (record.version == VERSION && record.pod_uid == pod_uid).then_some(record)
    }

    /// The annotation's value, at most [`MAX_ANNOTATION`] bytes: the rarest statuses, then the last paths, then the end of
    /// the message, are left out where it would be longer.
    ///
    /// # Panics
    /// Never: all keys are text or numbers.
    #[must_use]
    pub fn to_annotation(&self) -> String {
        let mut record = self.clone();
        record.report.message = one_line(&record.report.message);
        while record.report.statuses.len() > MAX_STATUSES {
            let rarest =
                record.report.statuses.iter().min_by_key(|(_, count)| **count).map(|(status, _)| *status);
            record.report.statuses.remove(&rarest.unwrap_or_default());
        }
        let json =
            |record: &Self| serde_json::to_string(record).expect("a record has only text and number keys");
        let mut text = json(&record);
        while text.len() > MAX_ANNOTATION && record.report.paths.pop().is_some() {
            text = json(&record);
        }
        while text.len() > MAX_ANNOTATION && record.report.message.pop().is_some() {
            text = json(&record);
        }
        text
    }
}

/// Durations as milliseconds, to the microsecond.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        to.serialize_f64(f64::from(micros) / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(from)?;
        let exact = Duration::try_from_secs_f64(millis / 1e3).map_err(serde::de::Error::custom)?;
        Ok(Duration::from_micros(u64::try_from(exact.as_nanos().div_ceil(500) / 2).unwrap_or(u64::MAX)))
    }
}

mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Millis(#[serde(with = "super::millis")] Duration);

    #[allow(clippy::ref_option)] // serde's `with` hands over the field by reference
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::millis::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Millis>::deserialize(from)?.map(|Millis(duration)| duration))
    }
}

/// Times as RFC 3339 with milliseconds.
mod timestamp {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn report() -> Report {
        let started = UNIX_EPOCH + ms(1_790_000_000_123);
        Report {
            success: true,
            ended_by: EndedBy::Count,
            planned_count: 12,
            request_count: 12,
            failed_count: 0,
            latency: Some(Quantiles { p50: Duration::from_micros(4_321), p99: ms(210) }),
            first_request: Some(ms(210)),
            statuses: BTreeMap::from([(200, 12)]),
            connections: 1,
            app_wait: Some(ms(1_500)),
            lateness_p99: Some(Duration::from_micros(120)),
            ended: started + ms(3_000),
            message: "warm".to_owned(),
            ..Report::without_requests(EndedBy::Count, started, "")
        }
    }

    #[test]
    fn the_annotation_reads_as_users_see_it() {
        expect![[r#"{"version":1,"podUid":"u1","reason":"WarmupSucceeded","report":{"success":true,"endedBy":"count","plannedCount":12,"requestCount":12,"failedCount":0,"latency":{"p50Ms":4.321,"p99Ms":210.0},"firstRequestMs":210.0,"statuses":{"200":12},"connections":1,"appWaitMs":1500.0,"latenessP99Ms":0.12,"started":"2026-09-21T14:13:20.123Z","ended":"2026-09-21T14:13:23.123Z","message":"warm"}}"#]]
        .assert_eq(&Record::new("u1", Reason::WarmupSucceeded, report()).to_annotation());
    }

    #[test]
    fn a_summary_is_one_line_for_people() {
        expect!["12/12 requests succeeded, p50 4.3 ms, p99 210 ms, first request 210 ms"]
            .assert_eq(&report().summary());
        let none = Report::without_requests(EndedBy::AppUnavailable, UNIX_EPOCH, "");
        expect!["0/0 requests succeeded"].assert_eq(&none.summary());
    }

    #[test]
    fn a_summary_says_how_much_faster_the_app_became() {
        let quantiles = |p50| Some(Quantiles { p50, p99: ms(900) });
        let cold = quantiles(ms(38));
        let stable = Report {
            ended_by: EndedBy::Stable,
            planned_count: 2_000,
            request_count: 700,
            cold,
            warm: quantiles(Duration::from_micros(1_090)),
            ..report()
        };
        expect!["700/700 requests succeeded, p50 4.3 ms, p99 210 ms, first request 210 ms, p50 38 ms cold and 1.1 ms warm (35 times faster)"]
            .assert_eq(&stable.summary());
        let slight = Report { warm: quantiles(ms(31)), ended_by: EndedBy::Time, ..stable };
        expect!["700/2000 requests succeeded, p50 4.3 ms, p99 210 ms, first request 210 ms, p50 38 ms cold and 31 ms warm (1.2 times faster)"]
            .assert_eq(&slight.summary());
        assert_eq!(Report { warm: quantiles(Duration::ZERO), ..slight.clone() }.speed_up(), None);
        assert_eq!(Report { failed_count: 350, ..slight.clone() }.speed_up(), None);
        assert_eq!(Report { cold: None, ..slight }.speed_up(), None);
    }

    #[test]
    fn who_became_slower_is_not_called_faster() {
        let quantiles = |p50| Some(Quantiles { p50: ms(p50), p99: ms(p50) });
        let slower = Report { cold: quantiles(1), warm: quantiles(2), ..report() };
        assert!(slower.summary().ends_with("p50 1.0 ms cold and 2.0 ms warm"), "{}", slower.summary());
        let faster = Report { cold: quantiles(38), warm: quantiles(2), ..report() };
        assert!(faster.summary().ends_with("(19 times faster)"), "{}", faster.summary());
    }

    #[test]
    fn a_record_of_another_pod_is_no_record() {
        let copied = Record::new("u1", Reason::WarmupSucceeded, report()).to_annotation();
        assert!(Record::of_pod("u1", &copied).is_some());
        assert_eq!(Record::of_pod("u2", &copied), None);
        assert_eq!(Record::of_pod("u1", ""), None);
    }

    #[test]
    fn an_annotation_stays_small_whatever_the_app_answers() {
        let mut large = report();
        large.statuses = (100..600).map(|status| (status, 1)).collect();
        let path = PathReport {
            path: "/".repeat(MAX_PATH),
            request_count: 7,
            failed_count: 1,
            first_request: Some(ms(3)),
            warm_p50: Some(ms(2)),
        };
        large.paths = vec![path; 64];
        large.message = "\u{1f525}\"".repeat(4_000);
        let text =
            Record::new("12345678-1234-1234-1234-123456789012", Reason::WarmupFailed, large).to_annotation();
        assert!(text.len() <= MAX_ANNOTATION, "{} bytes", text.len());
    }

    proptest! {
        #[test]
        fn a_record_survives_its_annotation(
            micros in proptest::collection::vec(proptest::option::of(0..600_000_000_u64), 3),
            started in 0..4_000_000_000_000_u64,
            (requests, failed) in (0..12_000_u32, 0..12_000_u32),
            message in "[ -~]{0,80}",
        ) {
            let of = |i: usize| micros[i].map(Duration::from_micros);
            let written = Record::new("u1", Reason::WarmupFailed, Report {
                request_count: requests,
                failed_count: failed,
                first_request: of(0),
                app_wait: of(1),
                latency: of(2).map(|p50| Quantiles { p50, p99: p50 }),
                started: UNIX_EPOCH + ms(started),
                ended: UNIX_EPOCH + ms(started),
                message,
                ..report()
            });
            prop_assert_eq!(Record::of_pod("u1", &written.to_annotation()), Some(written));
        }
    }
}
