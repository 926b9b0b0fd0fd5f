//! Hints for zones: a lost zone takes only its own callers with it, and who gets too few pods gets none.

use model_api::fault::{Fault, FaultPlan};
use model_api::kube::TrafficDistribution;
use model_api::observation::FlowSegment;
use model_api::{Blueprint, Observation, ServiceId, SimSpan, SimTime};
use platform::{Event, Fidelity, Plan};
use sim_kernel::Journal;

use crate::{flows, small, web, zone_loss};

const STOCK: u32 = 1;

/// Three pods of `web`, one in each zone, that call so many of `stock`, which nobody else asks.
fn platform(replicas: u32) -> Blueprint {
    let mut blueprint = small();
    let stock = web(&mut blueprint, "stock", replicas);
    blueprint.loads.pop();
    blueprint.profiles[0].depends_on.push(stock);
    blueprint
}

fn with_hints(replicas: u32) -> Blueprint {
    let mut blueprint = platform(replicas);
    blueprint.services[STOCK as usize].traffic_distribution = TrafficDistribution::PreferSameZone;
    blueprint
}

fn with_auto(replicas: u32) -> Blueprint {
    let mut blueprint = platform(replicas);
    blueprint.services[STOCK as usize].has_topology_mode_auto = true;
    blueprint
}

fn run(
    blueprint: Blueprint,
    faults: Vec<Fault>,
    fidelity: Fidelity,
) -> Journal<Event, Observation> {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_mins(20));
    let plan = plan.expect("no circle").with_fidelity(fidelity);
    let (journal, end) = plan.run(3, 0, Journal::new());
    assert!(end.outcome.is_complete(), "{:?}", end.outcome);
    journal
}

/// Requests of a segment, offered and served.
fn counts(it: &FlowSegment) -> (f64, f64) {
    let secs = (it.until - it.from).as_secs_f64() / 2e3;
    (
        secs * (it.offered_from_millirps + it.offered_until_millirps) as f64,
        secs * (it.served_from_millirps + it.served_until_millirps) as f64,
    )
}

/// Of the requests to the stock, those that are lost.
fn lost(journal: &Journal<Event, Observation>) -> f64 {
    let all = flows(journal, STOCK);
    all.iter().map(|(segment, _)| counts(segment)).map(|(offered, served)| offered - served).sum()
}

/// Requests to the stock from then on, by the zone that got them, and those that crossed zones.
fn served(journal: &Journal<Event, Observation>, from: SimTime) -> ([f64; 3], f64) {
    let (mut zones, mut crossed) = ([0.0; 3], 0.0);
    for record in journal.observations() {
        let Observation::ServedFlow { zone, segment, crossing_ppm } = record.observation else {
            continue;
        };
        assert_eq!(segment.service, ServiceId(STOCK), "no other Service has hints");
        if segment.from >= from {
            let (offered, _) = counts(&segment);
            zones[zone.index()] += offered;
            crossed += offered * f64::from(crossing_ppm) / 1e6;
        }
    }
    (zones, crossed)
}

#[test]
fn a_lost_zone_takes_only_its_own_callers_with_it() {
    for fidelity in [Fidelity::Flow, Fidelity::Request] {
        let faults = || vec![zone_loss(0, 600, None)];
        let plain = run(platform(3), faults(), fidelity);
        // 60 requests per second reach living pods of web; a third of their calls meets a dead one.
        assert!(lost(&plain) > 20.0 * 35.0, "{}", lost(&plain));
        let hinted = run(with_hints(3), faults(), fidelity);
        let found = lost(&hinted);
        // The pod in place of the lost one gets requests before it can answer: it has no probe.
        assert!(found < lost(&plain) / 10.0, "{fidelity:?}: {found} lost at the stock");
        let (zones, crossed) = served(&hinted, SimTime::ZERO);
        assert!(zones.iter().all(|count| *count > 30.0 * 595.0 * 0.97), "{zones:?}");
        // Later the pods in place of the lost ones may both be in one zone.
        assert!(crossed < 0.1 * zones.iter().sum::<f64>(), "{crossed} of {zones:?}");
        let (after, _) = served(&hinted, SimTime::from_secs(602));
        assert!(after[0] < 1.0, "nobody asks in the lost zone: {after:?}");
    }
}

#[test]
fn a_zone_without_a_pod_asks_all_others() {
    let (zones, crossed) = served(&run(with_hints(2), Vec::new(), Fidelity::Flow), SimTime::ZERO);
    let all: f64 = zones.iter().sum();
    assert!((crossed / all - 1.0 / 3.0).abs() < 1e-6, "{crossed} of {zones:?}");
    assert_eq!(zones.iter().filter(|count| **count > 0.0).count(), 2);
}

#[test]
fn hints_of_topology_mode_auto_are_dropped_below_one_pod_a_zone() {
    let crossing = |blueprint| {
        let (zones, crossed) = served(&run(blueprint, Vec::new(), Fidelity::Flow), SimTime::ZERO);
        crossed / zones.iter().sum::<f64>()
    };
    assert!(crossing(with_auto(3)).abs() < 1e-9);
    // Without hints two thirds of the calls cross, wherever the two pods are.
    assert!((crossing(with_auto(2)) - 2.0 / 3.0).abs() < 1e-6);
}

#[test]
fn nothing_is_told_by_zone_of_a_platform_without_hints() {
    let journal = run(platform(3), vec![zone_loss(0, 600, None)], Fidelity::Flow);
    let is_of_zone = |it: &Observation| matches!(it, Observation::ServedFlow { .. });
    assert!(!journal.observations().iter().any(|record| is_of_zone(&record.observation)));
}
