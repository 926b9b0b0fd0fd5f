//! Revisions that are tried: when each step is taken, who answers meanwhile, and what is lost.

use model_api::action::Action;
use model_api::canary::{
    Analysis, Canary, Metric, MetricCheck, MetricKind, primary_labels, primary_template,
};
use model_api::fault::{ControlPlaneFault, Fault, FaultKind, FaultPlan, Start};
use model_api::kube::{LabelSelector, Service, Workload};
use model_api::observation::{CanaryFact, CanaryFailure, LossReason};
use model_api::path::{RateLimit, RateLimitCounts};
use model_api::{Blueprint, Observation, Origin, ServiceId, SimSpan, SimTime, WorkloadId};
use model_kube::cluster::KubeEvent;
use platform::{Event, Fidelity, Plan};
use sim_kernel::Journal;

use crate::{fault, flows, labels, small, web, zone_loss};

const SERVICE: u32 = 0;
const TRIED: u32 = 1;
/// Requests per second of the load.
const RATE: f64 = 90.0;

fn success(min_ppm: i64) -> Metric {
    let window = SimSpan::from_secs(60);
    Metric { kind: MetricKind::SuccessRate, check: MetricCheck::success_rate(min_ppm), window }
}

fn steps() -> Analysis {
    Analysis {
        step_weight: 20,
        max_weight: 60,
        threshold: 2,
        metrics: vec![success(990_000)],
        progress_deadline: SimSpan::from_secs(300),
        ..Analysis::default()
    }
}

/// The small platform with `web` as the target of a canary.
fn with_canary(analysis: Analysis) -> Blueprint {
    let mut blueprint = small();
    let target = blueprint.workloads[0].clone();
    let label = ("app", "web");
    let selected = primary_labels(&labels(&[]), label.0, label.1);
    blueprint.workloads.push(Workload {
        name: "web-primary".to_owned(),
        selector: Some(LabelSelector {
            match_labels: selected.clone(),
            ..LabelSelector::default()
        }),
        template: primary_template(&target.template, "web", label),
        ..target
    });
    blueprint.workloads[0].replicas = 0;
    let own = std::mem::replace(&mut blueprint.services[0].selector, selected);
    blueprint.services.push(Service {
        namespace: "shop".to_owned(),
        name: "web-canary".to_owned(),
        selector: own,
        ..Service::default()
    });
    blueprint.canaries.push(Canary {
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        target: WorkloadId(0),
        primary: WorkloadId(1),
        service: ServiceId(SERVICE),
        canary_service: ServiceId(TRIED),
        label: "app".to_owned(),
        replicas: None,
        analysis,
        is_suspended: false,
        origin: Origin::default(),
    });
    blueprint
}

/// A release at ten minutes: of a version that never gets ready, or answers so many errors.
fn release(is_broken: bool, failing_ppm: u32, secs: Option<u64>) -> Fault {
    let mut template = small().workloads[0].template.clone();
    template.spec.containers[0].image = "registry/web:2".to_owned();
    let action = Action::Rollout {
        workload: WorkloadId(0),
        template: Box::new(template),
        is_broken,
        failing_ppm,
        is_undone_when_stalled: false,
    };
    fault("release", FaultKind::Action(action), Start::At(SimTime::from_secs(600)), secs)
}

fn run(
    blueprint: Blueprint,
    faults: Vec<Fault>,
    seed: u64,
    fidelity: Fidelity,
) -> Journal<Event, Observation> {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(1));
    let plan = plan.expect("no circle").with_fidelity(fidelity);
    let (journal, end) = plan.run(seed, 0, Journal::new());
    assert!(end.outcome.is_complete(), "{:?}", end.outcome);
    journal
}

fn facts(journal: &Journal<Event, Observation>) -> Vec<(SimTime, CanaryFact)> {
    let fact = |record: &sim_kernel::ObservationRecord<Observation>| match record.observation {
        Observation::Canary { fact, .. } => Some((record.at, fact)),
        _ => None,
    };
    journal.observations().iter().filter_map(fact).collect()
}

/// Requests that were offered to a Service, and those lost.
fn sums(journal: &Journal<Event, Observation>, service: u32) -> (f64, f64) {
    flows(journal, service).iter().fold((0.0, 0.0), |(all, lost), (it, _)| {
        let secs = (it.until - it.from).as_secs_f64() / 2000.0;
        let offered = (it.offered_from_millirps + it.offered_until_millirps) as f64 * secs;
        let served = (it.served_from_millirps + it.served_until_millirps) as f64 * secs;
        (all + offered, lost + offered - served)
    })
}

/// Seconds times the share of requests that the revision answered.
fn weighted_secs(facts: &[(SimTime, CanaryFact)]) -> f64 {
    let (mut sum, mut since, mut share) = (0.0, SimTime::ZERO, 0.0);
    for (at, fact) in facts {
        if let CanaryFact::Routed { weight, .. } = fact {
            sum += share * (*at - since).as_secs_f64();
            (since, share) = (*at, f64::from(*weight) / 100.0);
        }
    }
    sum
}

#[test]
fn a_faulty_revision_loses_what_its_weight_loses_until_it_is_rolled_back() {
    for (seed, failing_ppm, threshold) in [(1, 300_000, 1), (2, 50_000, 2), (3, 1_000_000, 4)] {
        let analysis = Analysis { threshold, ..steps() };
        let release = || vec![release(false, failing_ppm, None)];
        let journal = run(with_canary(analysis.clone()), release(), seed, Fidelity::Flow);
        let facts = facts(&journal);
        let last = facts.iter().rev().nth(1).expect("it was tried").1;
        assert_eq!(last, CanaryFact::RolledBack { reason: CanaryFailure::Checks }, "{facts:?}");
        let secs = weighted_secs(&facts);
        // One step, as many failed checks as may, and the look that finds them.
        assert!((secs - 0.2 * 60.0 * f64::from(threshold + 1)).abs() < 1e-6, "{secs}");
        let (all, lost) = sums(&journal, SERVICE);
        let (tried, lost_by_it) = sums(&journal, TRIED);
        let wanted = RATE * secs * f64::from(failing_ppm) / 1e6;
        assert!((all - RATE * 3600.0).abs() < 0.1, "{all}");
        assert!((tried - RATE * secs).abs() < 0.1, "{tried}");
        assert!((lost - wanted).abs() < 0.1 && (lost_by_it - wanted).abs() < 0.1, "{lost}");
        // One by one: other requests, and the same steps.
        let journal = run(with_canary(analysis), release(), seed, Fidelity::Request);
        let singles: Vec<_> = facts_without_values(&self::facts(&journal));
        assert_eq!(singles, facts_without_values(&facts));
        let chance = 4.0 * (RATE * secs / 4.0).sqrt() + 1.0;
        assert!((sums(&journal, SERVICE).1 - wanted).abs() < chance, "{wanted}");
    }
}

fn facts_without_values(facts: &[(SimTime, CanaryFact)]) -> Vec<(SimTime, CanaryFact)> {
    let bare = |fact: CanaryFact| match fact {
        CanaryFact::CheckFailed { metric, failed_count, .. } => {
            CanaryFact::CheckFailed { metric, value: None, failed_count }
        }
        fact => fact,
    };
    facts.iter().map(|(at, fact)| (*at, bare(*fact))).collect()
}

#[test]
fn a_good_revision_is_promoted_and_then_nothing_happens_any_more() {
    for fidelity in [Fidelity::Flow, Fidelity::Request] {
        let journal = run(with_canary(steps()), vec![release(false, 0, None)], 5, fidelity);
        let facts = facts(&journal);
        let weights: Vec<u32> = facts
            .iter()
            .filter_map(|(_, fact)| match fact {
                CanaryFact::Routed { weight, .. } => Some(*weight),
                _ => None,
            })
            .collect();
        assert_eq!(weights, [20, 40, 60, 0]);
        let (end, last) = *facts.last().expect("it was tried");
        assert_eq!(last, CanaryFact::Succeeded);
        let is_end =
            |observation: &Observation| matches!(observation, Observation::ActionCompleted { .. });
        let completed = journal.observations().iter().find(|it| is_end(&it.observation));
        assert_eq!(completed.map(|it| it.at), Some(end));
        // Its pods have no probe, so that any rolling update loses some requests; errors are none.
        let reasons = [LossReason::None, LossReason::DeadEndpoints];
        assert!(flows(&journal, SERVICE).iter().all(|(it, _)| reasons.contains(&it.loss)));
        // Steps are a minute apart, on the ticks of one ticker.
        for pair in facts.windows(2) {
            assert_eq!((pair[1].0 - pair[0].0).as_nanos() % 60_000_000_000, 0);
        }
        // But for the look at the deadline of the primary's rollout.
        let looks = |event: &Event| matches!(event, Event::Kube(KubeEvent::DeliveryDue(_)));
        assert!(journal.events().iter().all(|it| it.at <= end || !looks(&it.event)));
    }
}

#[test]
fn a_revision_that_is_never_ready_gets_no_request() {
    let journal = run(with_canary(steps()), vec![release(true, 0, None)], 3, Fidelity::Flow);
    let facts = facts(&journal);
    let reason = CanaryFailure::ProgressDeadline;
    let told: Vec<CanaryFact> = facts.iter().map(|(_, fact)| *fact).collect();
    assert_eq!(told, [CanaryFact::Started, CanaryFact::RolledBack { reason }]);
    let span = facts[1].0 - facts[0].0;
    assert!(span > SimSpan::from_secs(300) && span <= SimSpan::from_secs(360), "{span}");
    assert_eq!(sums(&journal, SERVICE).1 + sums(&journal, TRIED).0, 0.0);
}

/// Whose pods are lost meanwhile, so that there is no room for them (`IsPrimaryReady`).
#[test]
fn a_primary_that_lacks_pods_for_too_long_ends_the_trial() {
    let mut blueprint = with_canary(steps());
    blueprint.workloads[1].replicas = 6;
    let container = &mut blueprint.workloads[1].template.spec.containers[0];
    container.requests.0.insert("cpu".to_owned(), 3_000);
    let faults = vec![release(false, 0, None), zone_loss(0, 700, None)];
    let journal = run(blueprint, faults, 3, Fidelity::Flow);
    let facts = facts(&journal);
    let reason = CanaryFailure::PrimaryDeadline;
    assert_eq!(
        facts.last().map(|it| it.1),
        Some(CanaryFact::Routed { weight: 0, is_mirrored: false })
    );
    assert!(facts.iter().any(|it| it.1 == CanaryFact::RolledBack { reason }), "{facts:?}");
}

/// What a gateway loses was never sent to the revision, and is none of its errors.
#[test]
fn losses_of_a_gateway_are_no_failed_checks() {
    for fidelity in [Fidelity::Flow, Fidelity::Request] {
        let mut blueprint = with_canary(steps());
        let gateway = web(&mut blueprint, "gateway", 3);
        blueprint.loads.pop();
        blueprint.loads[0].via = Some(gateway);
        let (window, counts) = (SimSpan::from_secs(1), RateLimitCounts::Together);
        let limit = RateLimit { limit: 80, window, counts };
        let profile = blueprint.profiles.last_mut().expect("the gateway's");
        profile.serving.rate_limit = Some(limit);
        let told = facts(&run(blueprint, vec![release(false, 0, None)], 2, fidelity));
        assert_eq!(
            told.last().map(|it| it.1),
            Some(CanaryFact::Succeeded),
            "{fidelity:?}: {told:?}"
        );
    }
}

#[test]
fn an_idle_canary_costs_no_event_and_what_was_promoted_is_not_tried_again() {
    let journal = run(with_canary(steps()), Vec::new(), 1, Fidelity::Flow);
    assert_eq!(journal.events().len(), 0, "{:?}", journal.events());
    // The release is taken back after it was rolled back.
    let faults = vec![release(false, 500_000, Some(1800))];
    let told = facts(&run(with_canary(steps()), faults, 1, Fidelity::Flow));
    let starts = told.iter().filter(|(_, fact)| *fact == CanaryFact::Started);
    assert_eq!(starts.count(), 1, "{told:?}");
}

#[test]
fn a_suspended_canary_waits_and_blue_green_shifts_at_once() {
    let mut suspended = with_canary(steps());
    suspended.canaries[0].is_suspended = true;
    let faults = || vec![release(false, 0, None)];
    assert_eq!(facts(&run(suspended, faults(), 1, Fidelity::Flow)), []);
    let blue_green = Analysis { iterations: 3, has_load_test: true, ..steps() };
    let told = facts(&run(with_canary(blue_green.clone()), faults(), 1, Fidelity::Flow));
    let weights: Vec<CanaryFact> = told.iter().map(|(_, fact)| *fact).collect();
    let routed = |weight| CanaryFact::Routed { weight, is_mirrored: false };
    let wanted =
        [CanaryFact::Started, routed(100), CanaryFact::Promoted, routed(0), CanaryFact::Succeeded];
    assert_eq!(weights, wanted);
    // Nobody asks it before it has passed: without a test its metrics have no value.
    let untested = Analysis { has_load_test: false, ..blue_green };
    let told = facts(&run(with_canary(untested), faults(), 1, Fidelity::Flow));
    let reason = CanaryFailure::Checks;
    assert_eq!(told.last().map(|it| it.1), Some(CanaryFact::RolledBack { reason }));
}

#[test]
fn steps_wait_for_the_api_and_keep_their_ticks() {
    let outage = FaultKind::ControlPlane(ControlPlaneFault::ApiOutage);
    let outage = fault("outage", outage, Start::At(SimTime::from_secs(800)), Some(400));
    let faults = vec![release(false, 0, None), outage];
    let told = facts(&run(with_canary(steps()), faults, 4, Fidelity::Flow));
    let is_in = |at: SimTime| at >= SimTime::from_secs(800) && at < SimTime::from_secs(1200);
    assert!(told.iter().all(|(at, _)| !is_in(*at)), "{told:?}");
    assert_eq!(told.last().map(|it| it.1), Some(CanaryFact::Succeeded));
    for pair in told.windows(2) {
        assert_eq!((pair[1].0 - pair[0].0).as_nanos() % 60_000_000_000, 0);
    }
}

#[test]
fn mirrored_requests_are_tried_before_any_is_answered() {
    let analysis = Analysis { mirrors: true, threshold: 1, ..steps() };
    for fidelity in [Fidelity::Flow, Fidelity::Request] {
        let faults = vec![release(false, 400_000, None)];
        let journal = run(with_canary(analysis.clone()), faults, 2, fidelity);
        let told = facts(&journal);
        assert!(
            told.iter()
                .any(|(_, fact)| *fact == CanaryFact::Routed { weight: 0, is_mirrored: true })
        );
        let reason = CanaryFailure::Checks;
        assert!(told.iter().any(|(_, fact)| *fact == CanaryFact::RolledBack { reason }));
        assert!(sums(&journal, SERVICE).1 < 0.5, "clients lose nothing");
        assert!(sums(&journal, TRIED).0 > RATE * 100.0, "copies of two minutes reached it");
    }
}
