//! Requests in pods that die are lost where a service says so, and those in pods that are deleted are not.

use model_api::action::{Action, NodeWork};
use model_api::fault::{FaultKind, Start};
use model_api::{NodeId, SimSpan, SimTime, WorkloadId};

use crate::{fault, flows, run, small};

/// Requests that are lost by a fault that strikes after ten minutes.
fn lost(kind: FaultKind, are_lost: bool) -> f64 {
    let mut blueprint = small();
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

#[test]
fn a_drain_loses_nothing_that_it_would_not() {
    let drain = || {
        let work = NodeWork { nodes: vec![NodeId(0)], ..NodeWork::default() };
        FaultKind::Action(Action::Drain(work))
    };
    let more = lost(drain(), true) - lost(drain(), false);
    assert!(more.abs() < 1e-6, "{more}");
}
