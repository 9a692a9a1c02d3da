use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use proto::report::{EndedBy, Reason, Record};

use super::*;
use crate::ground::observed::{Cause, Planned};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(uid: &str) -> PodRef {
    PodRef { namespace: "shop".into(), name: "web-1".into(), uid: uid.into() }
}

/// A gated pod whose containers were ready at second 100 and whose plan takes 30 s.
fn closed(uid: &str, version: u32) -> Observed {
    Observed {
        pod: pod(uid),
        node: None,
        resource_version: version.to_string().into(),
        gate: Gate::Closed(None),
        planned: Some(Planned { requests: 3, duration: Duration::from_secs(30) }),
        containers_ready: Some(at(100)),
        app_started: Some(at(99)),
        says_why: false,
        sidecar: None,
    }
}

fn open(uid: &str, version: u32) -> Observed {
    Observed { gate: Gate::Open, ..closed(uid, version) }
}

/// What `warmups` says of a pod that is being warmed.
fn explain(warmups: &mut Warmups, second: i64) -> Option<Holding> {
    warmups.explain(&pod("u1"), Why::WarmingUp, "being warmed", at(second))
}

#[test]
fn a_held_pod_says_why_once() {
    let mut warmups = warmups_with(closed("u1", 1));
    let holding = explain(&mut warmups, 101).unwrap();
    assert_eq!((&*holding.resource_version, holding.since), ("1", at(101)));
    assert_eq!(explain(&mut warmups, 102), None);
    let mut restarted = warmups_with(Observed { says_why: true, ..closed("u1", 2) });
    assert_eq!(explain(&mut restarted, 103), None, "an earlier control plane has said it");
}

#[test]
fn a_pod_whose_gate_is_open_or_being_opened_is_not_held() {
    let mut reported = warmups_with(closed("u1", 1));
    reported.record(&pod("u1"), report(true), at(101));
    assert_eq!(explain(&mut reported, 101), None);
    assert_eq!(explain(&mut warmups_with(open("u1", 1)), 101), None);
    assert_eq!(explain(&mut Warmups::new(Duration::from_secs(30), at(0)), 101), None);
}

#[test]
fn what_was_not_taken_because_the_pod_had_changed_may_be_said_again() {
    let mut warmups = warmups_with(closed("u1", 1));
    explain(&mut warmups, 101).unwrap();
    warmups.not_explained("u1");
    warmups.apply(closed("u1", 2), at(102));
    assert_eq!(&*explain(&mut warmups, 102).unwrap().resource_version, "2");
}

fn report(success: bool) -> Report {
    Report { success, ..Report::without_requests(EndedBy::Count, UNIX_EPOCH, "") }
}

fn warmups_with(observed: Observed) -> Warmups {
    let mut warmups = Warmups::new(Duration::from_secs(30), at(0));
    warmups.apply(observed, at(100));
    warmups
}

fn active() -> Active {
    Active { namespace: "shop".into(), node: None }
}

#[test]
fn a_report_opens_the_gate_with_its_own_reason() {
    for (success, reason) in [(true, Reason::WarmupSucceeded), (false, Reason::WarmupFailed)] {
        let mut warmups = warmups_with(closed("u1", 1));
        assert_eq!(warmups.record(&pod("u1"), report(success), at(101)), Recorded::Accepted);
        let opening = warmups.next(at(101)).unwrap();
        assert_eq!((opening.record.reason, opening.resource_version.clone()), (reason, None));
        let opened = warmups.applied("u1", Some("2"), at(101)).unwrap();
        assert_eq!(opened.opening, opening);
        assert_eq!(warmups.waiting(), 0);
    }
}

#[test]
fn without_a_report_the_gate_opens_at_the_deadline_and_only_if_nothing_has_changed() {
    let mut warmups = warmups_with(closed("u1", 7));
    assert_eq!(warmups.next_due(), Some(at(160)));
    assert_eq!(warmups.next(at(159)), None);
    let opening = warmups.next(at(200)).unwrap();
    assert_eq!(opening.record.reason, Reason::WarmupTimedOut);
    assert_eq!(opening.resource_version.as_deref(), Some("7"));
    assert_eq!(
        opening.transition,
        at(160),
        "the transition is the deadline itself, whoever acts on it and when"
    );
}

#[test]
fn the_first_report_of_a_pod_is_the_one_that_counts() {
    let mut warmups = warmups_with(closed("u1", 1));
    assert_eq!(warmups.record(&pod("u1"), report(true), at(101)), Recorded::Accepted);
    assert_eq!(warmups.record(&pod("u1"), report(false), at(101)), Recorded::Opening);
    let opening = warmups.next(at(101)).unwrap();
    assert_eq!(opening.record.reason, Reason::WarmupSucceeded);
    warmups.applied("u1", Some("2"), at(101));
    assert_eq!(warmups.record(&pod("u1"), report(false), at(102)), Recorded::AlreadyOpen);
    assert_eq!(warmups.begin(&pod("u1")), Begun::Park);
}

#[test]
fn another_pods_uid_is_unknown_even_under_the_same_name() {
    let mut warmups = warmups_with(closed("u2", 1));
    assert_eq!(warmups.record(&pod("u1"), report(true), at(101)), Recorded::Unknown);
    assert_eq!(warmups.begin(&pod("u1")), Begun::Unknown);
    assert_eq!(warmups.next(at(101)), None);
}

#[test]
fn a_late_fail_open_gives_way_to_a_result_that_it_has_not_seen() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.next(at(160)).unwrap();
    warmups.apply(open("u1", 2), at(160));
    assert_eq!(warmups.not_applied("u1", &Outcome::Conflict, at(160)), None);
    assert_eq!(warmups.next_due(), None);
    assert_eq!(warmups.record(&pod("u1"), report(true), at(161)), Recorded::AlreadyOpen);
}

#[test]
fn after_a_conflict_the_decision_is_made_again_on_the_newer_pod() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.next(at(160)).unwrap();
    warmups.apply(closed("u1", 2), at(160));
    warmups.not_applied("u1", &Outcome::Conflict, at(160));
    assert_eq!(warmups.next(at(161)).unwrap().resource_version.as_deref(), Some("2"));
}

#[test]
fn an_apply_that_fails_is_tried_again_ever_more_slowly_until_the_pod_is_gone() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.record(&pod("u1"), report(true), at(101));
    let mut now = at(101);
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(warmups.next(now).unwrap().record.reason, Reason::WarmupSucceeded);
        warmups.not_applied("u1", &Outcome::Failed, now);
        let due = warmups.next_due().unwrap();
        waits.push(due.duration_since(now).as_millis());
        now = due;
    }
    assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000, 30_000]);
    warmups.next(now).unwrap();
    warmups.not_applied("u1", &Outcome::Gone, now);
    assert_eq!((warmups.next_due(), warmups.waiting()), (None, 0));
}

#[test]
fn news_older_than_our_own_apply_does_not_close_the_gate_and_newer_news_does() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.record(&pod("u1"), report(true), at(101));
    warmups.next(at(101));
    warmups.applied("u1", Some("5"), at(101));
    warmups.apply(closed("u1", 4), at(102));
    assert_eq!(warmups.waiting(), 0);
    let record = Record::new("u1", Reason::WarmupSucceeded, report(true));
    warmups
        .apply(Observed { gate: Gate::Closed(Some(Box::new(record.clone()))), ..closed("u1", 6) }, at(103));
    assert_eq!(
        warmups.next(at(103)).unwrap().record,
        record,
        "what was open is opened again, its report kept"
    );
}

#[test]
fn a_list_that_does_not_name_a_pod_forgets_it() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.apply(closed("u2", 1), at(100));
    assert_eq!(warmups.begin(&pod("u1")), Begun::First(active()));
    assert_eq!(warmups.begin(&pod("u1")), Begun::Again);
    warmups.reset();
    warmups.apply(closed("u2", 1), at(101));
    assert_eq!(warmups.reset_done(), [active()], "what was active is handed back");
    assert_eq!(warmups.waiting(), 1);
}

#[test]
fn a_restarted_control_plane_comes_to_the_same_deadline() {
    let mut late = Warmups::new(Duration::from_secs(30), at(0));
    late.apply(closed("u1", 1), at(10_000));
    let mut early = warmups_with(closed("u1", 1));
    assert_eq!(late.next(at(10_000)), early.next(at(160)));
}

#[test]
fn a_report_replaces_a_fail_open_that_the_api_server_has_not_taken() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.next(at(160)).unwrap();
    assert_eq!(warmups.record(&pod("u1"), report(true), at(160)), Recorded::Opening, "it is under way");
    warmups.not_applied("u1", &Outcome::Failed, at(160));
    assert_eq!(warmups.record(&pod("u1"), report(true), at(161)), Recorded::Accepted);
    assert_eq!(warmups.next(at(161)).unwrap().record.reason, Reason::WarmupSucceeded);
}

#[test]
fn a_pod_whose_sidecar_is_given_up_is_opened_at_once_whatever_comes_between() {
    let pull = Trouble { cause: Cause::Pull, reason: "ErrImagePull" };
    let held = |version| Observed { containers_ready: None, app_started: None, ..closed("u1", version) };
    let mut warmups = warmups_with(held(1));
    assert_eq!(warmups.next_due(), None);
    warmups.give_up("u1", pull, at(110));
    warmups.give_up("u1", Trouble::UNKNOWN, at(110));
    let opening = warmups.next(at(110)).unwrap();
    assert_eq!((opening.record.reason, opening.transition), (Reason::SidecarUnavailable, at(110)));
    assert!(opening.message().contains("ErrImagePull"), "what was known stays known: {}", opening.message());
    warmups.apply(held(2), at(111));
    warmups.not_applied("u1", &Outcome::Conflict, at(111));
    let again = warmups.next(at(112)).unwrap();
    assert_eq!(
        (again.record.reason, again.resource_version.as_deref()),
        (Reason::SidecarUnavailable, Some("2"))
    );
    warmups.applied("u1", Some("3"), at(112));
    assert_eq!(warmups.waiting(), 0);
}

#[test]
fn a_report_that_came_before_its_sidecar_was_given_up_counts() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.record(&pod("u1"), report(true), at(101));
    warmups.give_up("u1", Trouble::UNKNOWN, at(101));
    assert_eq!(warmups.next(at(101)).unwrap().record.reason, Reason::WarmupSucceeded);
}

#[test]
fn after_a_start_reports_that_could_not_be_sent_come_before_deadlines() {
    let mut warmups = Warmups::new(Duration::from_secs(30), at(1_000));
    warmups.apply(closed("u1", 1), at(990));
    assert_eq!(warmups.next_due(), Some(at(1_000)));
    assert_eq!(
        warmups.next(at(1_000)).unwrap().transition,
        at(160),
        "the transition is the deadline all the same"
    );
}

#[test]
fn a_record_that_is_refused_twice_does_not_keep_the_gate_closed() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.record(&pod("u1"), report(true), at(101));
    let mut kept = Vec::new();
    for second in [101, 102, 103] {
        kept.push(warmups.next(at(second)).unwrap().keeps_record);
        warmups.not_applied("u1", &Outcome::Refused, at(second));
    }
    assert_eq!(kept, [true, true, false]);
}

#[test]
fn a_conflict_with_a_container_that_restarted_waits_for_the_new_deadline() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.next(at(160)).unwrap();
    let restarted = Observed { containers_ready: None, app_started: Some(at(159)), ..closed("u1", 2) };
    warmups.apply(restarted, at(160));
    warmups.not_applied("u1", &Outcome::Conflict, at(160));
    assert_eq!(warmups.next_due(), Some(at(159 + 15 * 60)));
}

#[test]
fn a_gate_that_is_closed_before_we_hear_that_it_was_opened_is_opened_again() {
    let mut warmups = warmups_with(closed("u1", 1));
    warmups.record(&pod("u1"), report(true), at(101));
    warmups.next(at(101)).unwrap();
    warmups.apply(closed("u1", 6), at(101));
    assert!(warmups.applied("u1", Some("5"), at(101)).is_some());
    assert!(warmups.next_due().is_some());
}

#[test]
fn an_active_warm_up_ends_once_however_it_ends() {
    let begun = || {
        let mut warmups = warmups_with(closed("u1", 1));
        assert_eq!(warmups.begin(&pod("u1")), Begun::First(active()));
        warmups
    };
    let opening = || {
        let mut warmups = begun();
        warmups.record(&pod("u1"), report(true), at(101));
        warmups.next(at(101)).unwrap();
        warmups
    };
    assert_eq!(begun().delete("u1"), Some(active()));
    assert_eq!(begun().apply(open("u1", 2), at(101)), Some(active()));
    assert_eq!(opening().not_applied("u1", &Outcome::Gone, at(101)), Some(active()));
    let mut opened = opening();
    assert_eq!(opened.applied("u1", Some("2"), at(101)).unwrap().ended, Some(active()));
    assert_eq!(opened.delete("u1"), None);
}

#[derive(Debug, Clone)]
enum Event {
    Apply(Box<Observed>),
    Delete(&'static str),
    Begin(&'static str),
    Report(&'static str),
    GiveUp(&'static str),
    Next,
    Applied(&'static str),
    NotApplied(&'static str, Outcome),
    Relist,
}

fn events() -> impl Strategy<Value = Vec<(u8, Event)>> {
    let uid = prop_oneof![Just("u1"), Just("u2")];
    let outcome = prop_oneof![Just(Outcome::Gone), Just(Outcome::Conflict), Just(Outcome::Refused)];
    let event = prop_oneof![
        (uid.clone(), 1..20_u32).prop_map(|(uid, version)| Event::Apply(Box::new(closed(uid, version)))),
        (uid.clone(), 1..20_u32).prop_map(|(uid, version)| Event::Apply(Box::new(open(uid, version)))),
        uid.clone().prop_map(Event::Delete),
        uid.clone().prop_map(Event::Begin),
        uid.clone().prop_map(Event::Report),
        uid.clone().prop_map(Event::GiveUp),
        Just(Event::Next),
        uid.clone().prop_map(Event::Applied),
        (uid, outcome).prop_map(|(uid, outcome)| Event::NotApplied(uid, outcome)),
        Just(Event::Relist),
    ];
    proptest::collection::vec((0..60_u8, event), 0..60)
}

/// Whether the gate is open as far as anybody can know.
fn is_open(entry: &Entry) -> bool {
    let Stage::Open(version) = entry.stage else { return false };
    entry.observed.gate == Gate::Open || number(&entry.observed.resource_version) <= version
}

proptest! {
    /// Whatever happens, a pod whose gate is closed is opened: something is due for it, or is under way; and nothing is
    /// opened before its time.
    #[test]
    fn no_closed_gate_is_ever_forgotten(events in events()) {
        let mut warmups = Warmups::new(Duration::from_secs(30), at(0));
        let mut under_way: BTreeSet<Box<str>> = BTreeSet::new();
        let mut now = at(100);
        for (pause, event) in events {
            now += Duration::from_secs(pause.into());
            match event {
                Event::Apply(observed) => drop(warmups.apply(*observed, now)),
                Event::Delete(uid) => drop(warmups.delete(uid)),
                Event::Begin(uid) => drop(warmups.begin(&pod(uid))),
                Event::Report(uid) => { warmups.record(&pod(uid), report(true), now); }
                Event::GiveUp(uid) => warmups.give_up(uid, Trouble::UNKNOWN, now),
                Event::Next => if let Some(opening) = warmups.next(now) {
                    prop_assert!(opening.transition <= now);
                    under_way.insert(opening.pod.uid);
                },
                Event::Applied(uid) => if under_way.remove(uid) { warmups.applied(uid, Some("9"), now); },
                Event::NotApplied(uid, outcome) => if under_way.remove(uid) {
                    warmups.not_applied(uid, &outcome, now);
                },
                Event::Relist => {
                    warmups.reset();
                    warmups.apply(closed("u1", 30), now);
                    warmups.reset_done();
                }
            }
            for (uid, entry) in &warmups.entries {
                prop_assert!(is_open(entry) || entry.due.is_some() || under_way.contains(uid), "{uid} is forgotten");
                prop_assert_eq!(entry.due.is_some(), warmups.due.iter().any(|(_, due)| due == uid));
            }
        }
    }
}

#[test]
fn a_stray_gate_opens_at_its_deadline_and_says_why_it_had_to() {
    let mut warmups = Warmups::new(Duration::from_secs(30), at(0));
    assert_eq!(warmups.strays(vec![closed("u1", 7)], at(100)), []);
    // The watch, which does not show it, does not make it forgotten.
    warmups.reset();
    warmups.reset_done();
    assert_eq!(warmups.next_due(), Some(at(160)));
    let opening = warmups.next(at(160)).unwrap();
    assert_eq!(opening.record.reason, Reason::WarmupTimedOut);
    assert!(opening.message().contains("label kube-booster.io/injected"), "{}", opening.message());
    // Nor does the next scan, while how the apply ends is not known.
    warmups.strays(Vec::new(), at(161));
    assert!(warmups.applied("u1", Some("8"), at(161)).is_some());
    warmups.strays(Vec::new(), at(220));
    assert_eq!(warmups.begin(&pod("u1")), Begun::Unknown, "forgotten");
}

#[test]
fn a_stray_that_has_changed_since_the_scan_waits_for_the_next() {
    let mut warmups = Warmups::new(Duration::from_secs(30), at(0));
    warmups.strays(vec![closed("u1", 7)], at(170));
    warmups.next(at(170)).unwrap();
    warmups.not_applied("u1", &Outcome::Conflict, at(170));
    assert_eq!(warmups.next_due(), None);
    warmups.strays(vec![closed("u1", 8)], at(230));
    assert_eq!(warmups.next(at(230)).unwrap().resource_version.as_deref(), Some("8"));
}

#[test]
fn a_stray_that_reports_is_opened_by_its_report() {
    let mut warmups = Warmups::new(Duration::from_secs(30), at(0));
    warmups.strays(vec![closed("u1", 7)], at(100));
    assert_eq!(warmups.record(&pod("u1"), report(true), at(101)), Recorded::Accepted);
    assert_eq!(warmups.next(at(101)).unwrap().record.reason, Reason::WarmupSucceeded);
}

#[test]
fn what_the_watch_shows_is_no_stray() {
    let mut warmups = warmups_with(closed("u1", 9));
    warmups.strays(vec![closed("u1", 7)], at(101));
    warmups.strays(Vec::new(), at(102));
    assert_eq!(warmups.next(at(160)).unwrap().resource_version.as_deref(), Some("9"));
}
