//! Caches before calls: what is lost with pods, and whether it comes back.

use model_api::fault::{FaultKind, Start};
use model_api::load::LoadPoint;
use model_api::observation::FlowSegment;
use model_api::path::{Cache, CallPolicy};
use model_api::{Blueprint, ServiceId, SimSpan, SimTime, WorkloadId};
use platform::{Event, Fidelity, Plan};
use sim_kernel::Journal;

use crate::{fault, small, web, zone_loss};

/// The three pods of `web` ask a stock for what a cache of a thousand things does not have, a tenth of 90 requests a
/// second; its three pods do 30, and as many wait in each as this.
fn cached(queue_limit: u32, held_by: Option<ServiceId>) -> Blueprint {
    let mut blueprint = small();
    let stock = web(&mut blueprint, "stock", 3);
    web(&mut blueprint, "memcached", 3);
    blueprint.loads.truncate(1);
    blueprint.loads[0].points = vec![LoadPoint { at: SimTime::ZERO, rate_millirps: 90_000 }];
    let cache = Some(Cache { hits_ppm: 900_000, key_count: 1_000, held_by });
    let timeout = Some(SimSpan::from_secs(2));
    blueprint.profiles[0].depends_on = vec![stock];
    blueprint.profiles[0].policies = vec![CallPolicy { timeout, cache, ..CallPolicy::default() }];
    blueprint.profiles[1].cpu_per_request = SimSpan::from_millis(50);
    blueprint.profiles[1].serving.queue_limit = Some(queue_limit);
    blueprint
}

/// Which share of the requests for `web` is answered from so long after a fault on that strikes after ten minutes,
/// until the end of an hour.
fn answered(
    blueprint: Blueprint,
    faults: Vec<model_api::fault::Fault>,
    from: u64,
    fidelity: Fidelity,
) -> f64 {
    let plan = Plan::new(blueprint, model_api::fault::FaultPlan { faults }, SimSpan::from_hours(1));
    let plan = plan.expect("no circle").with_fidelity(fidelity);
    let (journal, end) = plan.run(3, 0, Journal::new());
    assert!(end.outcome.is_complete(), "{:?}", end.outcome);
    let start = SimTime::from_secs(600 + from);
    let sum = |first: u64, last: u64, it: &FlowSegment| {
        (first + last) as f64 * it.until.saturating_since(it.from.max(start)).as_secs_f64()
    };
    let (mut offered, mut served) = (0.0, 0.0);
    for (it, _) in crate::flows(&journal, 0) {
        offered += sum(it.offered_from_millirps, it.offered_until_millirps, &it);
        served += sum(it.served_from_millirps, it.served_until_millirps, &it);
    }
    served / offered
}

fn crash(workload: u32) -> Vec<model_api::fault::Fault> {
    let kind = FaultKind::PodCrash { workload: WorkloadId(workload), count: None };
    vec![fault("it", kind, Start::At(SimTime::from_secs(600)), None)]
}

fn flush(service: u32) -> Vec<model_api::fault::Fault> {
    let kind = FaultKind::CacheCold { service: ServiceId(service), share_ppm: 1_000_000 };
    vec![fault("it", kind, Start::At(SimTime::from_secs(600)), None)]
}

#[test]
fn a_cold_cache_fills_again_or_never() {
    let in_cache = Some(ServiceId(2));
    for fidelity in [Fidelity::Flow, Fidelity::Request] {
        let cases = [
            // What waits for ten seconds is answered late, and nothing late is kept.
            ("pods restart before a long queue", cached(100, None), crash(0), (0.0, 0.5)),
            ("they are flushed", cached(100, None), flush(0), (0.0, 0.5)),
            ("pods restart before a short queue", cached(5, None), crash(0), (0.999, 1.0)),
            (
                "a shared cache is not in the pods that restart",
                cached(100, in_cache),
                crash(0),
                (0.999, 1.0),
            ),
            ("it restarts", cached(100, in_cache), crash(2), (0.0, 0.5)),
            ("it is flushed before a short queue", cached(5, in_cache), flush(2), (0.999, 1.0)),
        ];
        for (name, blueprint, faults, (low, high)) in cases {
            let found = answered(blueprint, faults, 1_800, fidelity);
            assert!((low..=high).contains(&found), "{name}, {fidelity:?}: {found}");
        }
    }
}

#[test]
fn both_engines_fill_alike() {
    for (blueprint, faults) in [
        (cached(5, None), crash(0)),
        (cached(5, Some(ServiceId(2))), vec![zone_loss(0, 600, Some(120))]),
    ] {
        let of = |fidelity| answered(blueprint.clone(), faults.clone(), 30, fidelity);
        let (flow, request) = (of(Fidelity::Flow), of(Fidelity::Request));
        assert!(flow < 0.999 && (flow - request).abs() < 0.003, "{flow} {request}");
    }
}

#[test]
fn a_cache_that_stays_full_costs_no_event() {
    let journal = crate::run(cached(5, None), Vec::new(), 1);
    let is_of_caches =
        |record: &&sim_kernel::EventRecord<Event>| matches!(record.event, Event::WarmthDue(_));
    assert_eq!(journal.events().iter().filter(is_of_caches).count(), 0);
}
