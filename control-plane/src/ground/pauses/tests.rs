use super::*;
use crate::ground::observed::{PodRef, Trouble};

const IMAGE: &str = "sidecar:1";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn failure(namespace: &str, node: &str, cause: Cause) -> Failure {
    Failure {
        pod: PodRef { namespace: namespace.into(), name: "web-1".into(), uid: "u1".into() },
        node: Some(node.into()),
        image: IMAGE.into(),
        trouble: Trouble { cause, reason: "" },
        is_open: false,
    }
}

fn no_pull(namespace: &str, node: &str) -> Failure {
    failure(namespace, node, Cause::Pull)
}

fn proof<'a>(namespace: &'a str, node: &'a str, started: i64) -> Proof<'a> {
    Proof { namespace, node: Some(node), image: IMAGE, started: at(started) }
}

fn namespace(name: &str) -> Scope {
    Scope::Namespace(name.into())
}

/// Pauses after these failures, a second apart from second 100 on.
fn after(failures: &[Failure]) -> Pauses {
    let mut pauses = Pauses::new(IMAGE);
    for (failure, second) in failures.iter().zip(100..) {
        pauses.fail(failure, at(second));
    }
    pauses
}

fn outage() -> Pauses {
    after(&[no_pull("a", "n1"), no_pull("b", "n1"), no_pull("c", "n2")])
}

#[test]
fn a_failure_pauses_its_own_namespace_and_no_other() {
    let mut pauses = Pauses::new(IMAGE);
    let change = Change::Paused(namespace("a"), Duration::from_secs(30));
    assert_eq!(pauses.fail(&failure("a", "n1", Cause::Crash), at(100)), [change]);
    assert_eq!(pauses.fail(&failure("a", "n1", Cause::Crash), at(101)), [], "it is paused");
    let barriers = pauses.barriers();
    assert!(!barriers.admit("a", false) && barriers.admit("b", false));
    assert_eq!((barriers.paused_namespaces(), barriers.is_everywhere()), (1, false));
}

#[test]
fn all_are_paused_when_the_configured_image_cannot_be_pulled_in_three_namespaces_and_on_two_nodes() {
    let mut pauses = after(&[no_pull("a", "n1"), no_pull("b", "n2")]);
    assert!(!pauses.barriers().is_everywhere());
    let changes = pauses.fail(&no_pull("c", "n1"), at(102));
    assert_eq!(changes[1], Change::Paused(Scope::Everywhere, Duration::from_secs(30)));
    assert!(!pauses.barriers().admit("bystander", false));
}

#[test]
fn no_user_of_a_single_namespace_can_pause_another_one() {
    let everything = || {
        let causes = [Cause::Pull, Cause::Create, Cause::Start, Cause::Crash, Cause::Silence];
        let nodes = ["n1", "n2", "n3", "n4"];
        causes.into_iter().flat_map(move |cause| nodes.map(|node| failure("mallory", node, cause)))
    };
    let by_hand = |failure: Failure| Failure { image: "mallory:1".into(), ..failure };
    let mut pauses = Pauses::new(IMAGE);
    for failure in everything().chain(everything().map(by_hand)) {
        for round in 0..50 {
            pauses.fail(&failure, at(100 + 31 * round));
            pauses.tick(at(100 + 31 * round));
        }
    }
    let barriers = pauses.barriers();
    assert_eq!((barriers.paused_namespaces(), barriers.is_everywhere()), (1, false));
    assert!(barriers.admit("bystander", false));
}

#[test]
fn what_users_can_bring_about_themselves_pauses_nobody_else_in_however_many_namespaces() {
    for cause in [Cause::Create, Cause::Start, Cause::Crash, Cause::Silence] {
        let failures = ["a", "b", "c", "d"].map(|name| failure(name, name, cause));
        assert!(!after(&failures).barriers().is_everywhere(), "{cause:?}");
    }
    let by_hand = ["a", "b", "c", "d"].map(|name| Failure { image: "other:1".into(), ..no_pull(name, name) });
    assert!(!after(&by_hand).barriers().is_everywhere());
    let unscheduled = ["a", "b", "c", "d"].map(|name| Failure { node: None, ..no_pull(name, name) });
    assert!(!after(&unscheduled).barriers().is_everywhere());
    let one_node = ["a", "b", "c", "d"].map(|name| no_pull(name, "n1"));
    assert!(!after(&one_node).barriers().is_everywhere());
}

#[test]
fn pulls_that_failed_on_nodes_where_others_start_say_nothing_about_the_image() {
    let mut pauses = after(&[no_pull("a", "n1"), no_pull("b", "n2")]);
    pauses.work(&proof("bystander", "n1", 105));
    pauses.work(&proof("bystander", "n2", 105));
    pauses.fail(&no_pull("c", "n1"), at(106));
    assert!(!pauses.barriers().is_everywhere());
}

#[test]
fn failures_that_are_far_apart_are_no_outage() {
    let mut pauses = after(&[no_pull("a", "n1"), no_pull("b", "n2")]);
    pauses.fail(&no_pull("c", "n1"), at(101 + 600));
    assert!(!pauses.barriers().is_everywhere());
}

#[test]
fn a_sidecar_that_works_lifts_the_pause_of_its_namespace_at_once() {
    let mut pauses = after(&[failure("a", "n1", Cause::Crash), failure("b", "n1", Cause::Crash)]);
    assert_eq!(pauses.work(&proof("a", "n1", 90)), [], "it started before anything failed");
    assert_eq!(pauses.work(&proof("a", "n1", 110)), [Change::Resumed(namespace("a"))]);
    assert!(pauses.barriers().admit("a", false) && !pauses.barriers().admit("b", false));
    assert_eq!(pauses.work(&proof("a", "n1", 111)), []);
}

#[test]
fn a_sidecar_with_another_image_lifts_its_own_namespaces_pause_only() {
    let mut pauses = outage();
    let changes = pauses.work(&Proof { image: "mirror/sidecar:1", ..proof("a", "n1", 110) });
    assert_eq!(changes, [Change::Resumed(namespace("a"))]);
    assert!(pauses.barriers().is_everywhere());
    assert_eq!(pauses.work(&proof("d", "n3", 110)), [Change::Resumed(Scope::Everywhere)]);
}

#[test]
fn after_a_while_one_pod_is_tried_and_when_it_fails_the_pause_is_twice_as_long() {
    let mut pauses = after(&[no_pull("a", "n1")]);
    assert_eq!(pauses.tick(at(129)), None);
    assert_eq!(pauses.tick(at(130)), Some(Vec::new()));
    assert!(pauses.barriers().admit("a", false));
    assert!(!pauses.barriers().admit("a", false), "one at a time");
    let change = Change::Paused(namespace("a"), Duration::from_mins(1));
    assert_eq!(pauses.fail(&no_pull("a", "n1"), at(140)), [change]);
    assert_eq!(pauses.next_due(), Some(at(200)));
}

#[test]
fn a_single_namespace_cannot_prolong_the_pause_of_all() {
    let mut pauses = outage();
    assert!(pauses.tick(at(140)).is_some());
    assert!(pauses.barriers().admit("bystander", false));
    for second in 141..200 {
        pauses.fail(&no_pull("mallory", if second % 2 == 0 { "n1" } else { "n2" }), at(second));
    }
    assert_eq!(pauses.work(&proof("bystander", "n1", 145)), [Change::Resumed(Scope::Everywhere)]);
    assert!(pauses.barriers().admit("bystander", false) && pauses.barriers().admit("bystander", false));
    assert!(!pauses.barriers().admit("mallory", false));
}

#[test]
fn an_outage_that_goes_on_is_paused_again_for_longer() {
    let mut pauses = outage();
    pauses.tick(at(140));
    let changes: Vec<Change> = [no_pull("d", "n1"), no_pull("e", "n1"), no_pull("f", "n2")]
        .iter()
        .flat_map(|failure| pauses.fail(failure, at(150)))
        .collect();
    assert_eq!(changes.last(), Some(&Change::Paused(Scope::Everywhere, Duration::from_mins(1))));
}

#[test]
fn a_pause_without_further_failures_is_forgotten() {
    let mut pauses = after(&[no_pull("a", "n1")]);
    pauses.tick(at(130));
    assert_eq!(pauses.tick(at(100 + 3_630)), Some(vec![Change::Resumed(namespace("a"))]));
    assert_eq!((pauses.next_due(), pauses.held.len()), (None, 0));
}
