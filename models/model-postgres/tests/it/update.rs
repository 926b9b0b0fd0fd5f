//! Rolling updates, played.

use model_api::blueprint::PrimaryUpdate;

use crate::world::{Act, Case, fixed};

const IN_PLACE: Act = Act::Update { is_in_place: true };
const NEW_PODS: Act = Act::Update { is_in_place: false };

/// The timeline of an update that begins after 100 s.
fn told(update: PrimaryUpdate, script: &[(u64, Act)]) -> String {
    let case = Case { parameters: fixed(), primary_update: update, ..Case::default() };
    case.run(script, 1_800_000).text()
}

fn check(update: PrimaryUpdate, script: &[(u64, Act)], expected: &str) {
    let expected: String = expected.lines().map(|line| format!("{}\n", line.trim())).collect();
    assert_eq!(told(update, script), expected);
}

const RESTART: PrimaryUpdate = PrimaryUpdate { is_supervised: false, hands_over: false };
const SWITCHOVER: PrimaryUpdate = PrimaryUpdate { is_supervised: false, hands_over: true };
const SUPERVISED: PrimaryUpdate = PrimaryUpdate { is_supervised: true, hands_over: false };

#[test]
fn a_primary_that_is_made_again_is_away_for_as_long_as_its_pod() {
    // Each standby takes 20 s to run and 10 s to be ready. The primary serves for 180 s, then its pod
    // is away for 20 s, recovers for 4 s and clients come back after 5 s.
    check(
        RESTART,
        &[(100_000, NEW_PODS)],
        "100.000 StandbyReplaced 2
         130.000 StandbyReplaced 1
         160.000 PrimaryReplaced 0
         340.000 writes stop
         340.000 writable 0
         364.000 writable 1
         369.000 writes resume",
    );
}

#[test]
fn a_restart_in_the_pod_stops_writes_for_a_few_seconds() {
    let text = told(RESTART, &[(100_000, IN_PLACE)]);
    let expected = [
        "StandbyReplaced 2",
        "StandbyReplaced 1",
        "PrimaryRestarted 0",
        "writes stop",
        "writable 0",
        "writable 1",
        "writes resume",
    ];
    let facts = text.lines().map(|line| line.split_once(' ').expect("time and fact").1);
    assert_eq!(facts.collect::<Vec<_>>(), expected, "{text}");
    let stopped_at = |fact: &str| {
        let line = text.lines().find(|line| line.ends_with(fact)).expect("it happens");
        line.split(' ').next().and_then(|at| at.parse::<f64>().ok()).expect("a time")
    };
    // Shutdown takes up to 5 s, the start 4 s, and clients another 5 s.
    assert_eq!(stopped_at("writes stop"), 340.0);
    assert!((349.5..=354.0).contains(&stopped_at("writes resume")), "{text}");
}

#[test]
fn nobody_takes_over_while_the_pod_of_a_primary_does_not_come_back() {
    // The operator leaves it alone until all instances are ready, whatever happens to it.
    let script = [(100_000, NEW_PODS), (345_000, Act::Ready(1, false)), (361_000, Act::Power(0))];
    let text = told(RESTART, &script);
    assert!(!text.contains("promoted") && !text.contains("fails over"), "{text}");
    assert!(!text.contains("writes resume"), "{text}");
}

#[test]
fn an_update_waits_for_an_instance_that_is_not_ready_and_for_the_operator() {
    for act in [Act::Ready(1, false), Act::Operator(false), Act::Api(false)] {
        assert_eq!(told(RESTART, &[(90_000, act), (100_000, NEW_PODS)]), "", "{act:?}");
    }
    // Patroni is not updated by anybody here.
    let case = Case { parameters: fixed(), ..crate::world::patroni(Default::default()) };
    assert_eq!(case.run(&[(100_000, NEW_PODS)], 900_000).text(), "");
}

#[test]
fn a_standby_takes_over_before_its_primary_is_made_again() {
    check(
        SWITCHOVER,
        &[(100_000, NEW_PODS)],
        "100.000 StandbyReplaced 2
         130.000 StandbyReplaced 1
         160.000 hands over 0
         160.000 writes stop
         160.000 writable 0
         167.145 promoted 1
         167.145 kept
         167.145 writable 1
         167.145 StandbyReplaced 0
         173.145 writes resume",
    );
}

#[test]
fn a_supervised_update_waits_for_a_switchover() {
    check(
        SUPERVISED,
        &[(100_000, NEW_PODS), (900_000, Act::SwitchOver(None))],
        "100.000 StandbyReplaced 2
         130.000 StandbyReplaced 1
         160.000 WaitsForUser 0
         900.000 hands over 0
         900.000 writes stop
         900.000 writable 0
         907.145 promoted 1
         907.145 kept
         907.145 writable 1
         907.145 StandbyReplaced 0
         913.145 writes resume",
    );
}

#[test]
fn a_new_pod_that_is_wanted_during_a_restart_in_the_pod_comes_after_it() {
    let told = told(RESTART, &[(100_000, IN_PLACE), (200_000, NEW_PODS)]);
    let facts: Vec<&str> =
        told.lines().map(|line| line.split_once(' ').expect("time and fact").1).collect();
    let before = ["StandbyReplaced 2", "StandbyReplaced 1", "PrimaryRestarted 0"];
    assert_eq!(facts[..3], before, "{told}");
    let count = |fact: &str| facts.iter().filter(|it| **it == fact).count();
    assert_eq!(["StandbyReplaced 1", "PrimaryReplaced 0"].map(count), [2, 1], "{told}");
    assert_eq!(facts.last(), Some(&"writes resume"), "{told}");
}
