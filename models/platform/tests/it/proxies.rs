//! Requests follow what the proxy of each node knows.

use model_api::control_plane::ApiBalancer;
use model_api::fault::{ControlPlaneFault, Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::{Blueprint, Observation, SimSpan, SimTime, ZoneId};
use platform::{Event, Fidelity, Plan};
use sim_kernel::Journal;

use crate::{fault, flows, small, web};

fn run(
    blueprint: Blueprint,
    faults: Vec<Fault>,
    fidelity: Fidelity,
    seed: u64,
) -> Journal<Event, Observation> {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_mins(30));
    let plan = plan.expect("no circle").with_fidelity(fidelity);
    let (journal, end) = plan.run(seed, 0, Journal::new());
    assert!(end.outcome.is_complete(), "{:?}", end.outcome);
    journal
}

/// Of requests to a Service between two moments, the share that is answered.
fn answered(journal: &Journal<Event, Observation>, service: u32, from: u64, until: u64) -> f64 {
    let (mut offered, mut served) = (0.0, 0.0);
    for (it, _) in flows(journal, service) {
        let (start, end) = (it.from.as_secs_f64(), it.until.as_secs_f64());
        let overlap = end.min(until as f64) - start.max(from as f64);
        if overlap > 0.0 {
            offered += overlap * (it.offered_from_millirps + it.offered_until_millirps) as f64;
            served += overlap * (it.served_from_millirps + it.served_until_millirps) as f64;
        }
    }
    served / offered
}

fn isolation(zone: u32, at_secs: u64, secs: u64) -> Fault {
    let kind = FaultKind::ZoneIsolation { zone: ZonePick::Zone(ZoneId(zone)) };
    fault("cut", kind, Start::At(SimTime::from_secs(at_secs)), Some(secs))
}

fn with_members(zones: [u32; 3]) -> Blueprint {
    let mut blueprint = small();
    blueprint.control_plane.member_zones = zones.map(ZoneId).to_vec();
    blueprint
}

#[test]
fn outside_the_zone_of_the_control_plane_requests_go_on() {
    for fidelity in [Fidelity::Flow, Fidelity::Request] {
        let journal = run(with_members([0, 0, 0]), vec![isolation(0, 600, 600)], fidelity, 1);
        // The pod in the zone keeps its share; the control plane evicts the others, and nobody hears.
        let cut = answered(&journal, 0, 600, 1200);
        assert!((cut - 2.0 / 3.0).abs() < 0.01, "{fidelity:?}: {cut}");
        let before = answered(&journal, 0, 0, 600);
        assert!(before > 0.9999, "{fidelity:?}: {before}");
    }
}

/// Pods are evicted whose kubelets do not get through the balancer. When it opens they end, and each proxy leads
/// to them until it lists: both engines lose as much.
#[test]
fn requests_that_meet_different_proxies_are_lost_alike_in_both_engines() {
    let mut blueprint = with_members([0, 1, 2]);
    let secs = SimSpan::from_secs;
    blueprint.control_plane.balancer =
        Some(ApiBalancer { interval: secs(5), timeout: secs(2), fall: 2, rise: 1 });
    let stock = web(&mut blueprint, "stock", 3);
    blueprint.loads.pop();
    blueprint.profiles[0].depends_on.push(stock);
    let mut lost = 0.0;
    for seed in 0..4 {
        let by = [Fidelity::Flow, Fidelity::Request].map(|fidelity| {
            let kind = FaultKind::ControlPlane(ControlPlaneFault::ApiBalancerOutage);
            let outage = fault("no way in", kind, Start::At(SimTime::from_secs(300)), Some(600));
            let journal = run(blueprint.clone(), vec![outage], fidelity, seed);
            let is_told = |it: &Observation| matches!(it, Observation::ProxiesBehind { .. });
            assert!(journal.observations().iter().any(|it| is_told(&it.observation)));
            [(300, 900), (900, 930), (1000, 1200)]
                .map(|(from, until)| answered(&journal, 0, from, until))
        });
        for (flow, single) in by[0].iter().zip(&by[1]) {
            assert!((flow - single).abs() < 0.03, "seed {seed}: {by:?}");
        }
        let [away, opened, after] = by[0];
        assert!(away > 0.9999 && after > 0.9999, "seed {seed}: {by:?}");
        lost += 1.0 - opened;
    }
    assert!(lost > 0.05, "{lost}");
}
