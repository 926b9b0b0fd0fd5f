//! Requests in pods that die are lost, and of those in pods that are deleted what takes too long.

use model_api::action::{Action, NodeWork};
use model_api::fault::{FaultKind, Start};
use model_api::{Blueprint, NodeId, SimSpan, SimTime, WorkloadId};

use crate::{fault, flows, run, small};

/// Requests that are lost by a fault that strikes after ten minutes.
fn lost(kind: FaultKind, are_lost: bool) -> f64 {
    lost_of(small(), kind, are_lost)
}

fn lost_of(mut blueprint: Blueprint, kind: FaultKind, are_lost: bool) -> f64 {
    blueprint.profiles[0].serving.loses_requests = are_lost;
    blueprint.profiles[0].base_latency = SimSpan::from_secs(5);
    let faults = vec![fault("it", kind, Start::At(SimTime::from_secs(600)), None)];
    let journal = run(blueprint, faults, 3);
    let count = |from: u64, until: u64, secs: f64| (from + until) as f64 / 2e3 * secs;
    let told = flows(&journal, 0);
    let lost = told.iter().map(|(it, _)| {
        let secs = (it.until - it.from).as_secs_f64();
        count(it.offered_from_millirps, it.offered_until_millirps, secs)
            - count(it.served_from_millirps, it.served_until_millirps, secs)
    });
    lost.sum()
}

#[test]
fn a_crash_loses_what_is_in_the_pod() {
    let crash = || FaultKind::PodCrash { workload: WorkloadId(0), count: Some(1) };
    let rate = small().loads[0].points[0].rate_millirps as f64 / 1e3;
    let more = lost(crash(), true) - lost(crash(), false);
    // A third of five seconds of requests.
    let inside = rate * 5.0 / 3.0;
    assert!((more - inside).abs() < 0.35 * inside, "{more} of {inside}");
}

/// The same of a drain, with grace periods so long.
fn lost_by_drain(grace_secs: u64, are_lost: bool) -> f64 {
    let work = NodeWork { nodes: vec![NodeId(0)], ..NodeWork::default() };
    let mut blueprint = small();
    blueprint.workloads[0].template.spec.termination_grace = SimSpan::from_secs(grace_secs);
    lost_of(blueprint, FaultKind::Action(Action::Drain(work)), are_lost)
}

#[test]
fn a_drain_loses_only_what_takes_longer_than_the_grace_period() {
    // A request takes five seconds.
    let more = |secs| lost_by_drain(secs, true) - lost_by_drain(secs, false);
    assert!(more(30).abs() < 1e-6, "{}", more(30));
    assert!(more(5).abs() < 1e-6, "{}", more(5));
    // A third of five seconds of requests was in the pod, and three fifths of them take longer than 2 s.
    let rate = small().loads[0].points[0].rate_millirps as f64 / 1e3;
    let late = rate * 5.0 / 3.0 * 0.6;
    assert!((more(2) - late).abs() < 0.35 * late, "{} of {late}", more(2));
}
