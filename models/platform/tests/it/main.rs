//! The wires between models, on a platform small enough to reason about.

mod actions;
mod archives;
mod autoscaling;
mod caches;
mod canaries;
mod connections;
mod deaths;
mod gateways;
mod instances;
mod losses;
mod proxies;
mod recommended;
mod stakes;
mod storage;
mod takeovers;
mod volumes;
mod warmth;
mod zones;

use model_api::blueprint::{ControlPlane, NodeSpec, Zone};
use model_api::fault::{Condition, Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::kube::{
    Container, DeploymentStrategy, IntOrPercent, LabelSelector, Labels, Node, PodSpec, PodTemplate,
    ResourceList, Service, TopologySpreadConstraint, UnsatisfiableAction, Workload, WorkloadKind,
};
use model_api::load::{Clients, Load, LoadPoint, ServiceProfile};
use model_api::observation::{FlowSegment, LossReason};
use model_api::{Blueprint, FaultId, Observation, Origin, ServiceId, SimSpan, SimTime, ZoneId};
use platform::{Event, Plan};
use sim_kernel::Journal;

const ZONES: [&str; 3] = ["az-a", "az-b", "az-c"];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn amounts(cpu_millis: i64, memory_bytes: i64) -> ResourceList {
    let amounts = [("cpu", cpu_millis), ("memory", memory_bytes), ("pods", 110)];
    ResourceList(amounts.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect())
}

fn node(idx: usize) -> NodeSpec {
    let zone = ZONES[idx % 3];
    let name = format!("worker-{zone}-{}", idx / 3 + 1);
    NodeSpec {
        node: Node {
            labels: labels(&[
                ("topology.kubernetes.io/zone", zone),
                ("kubernetes.io/hostname", &name),
            ]),
            name,
            allocatable: amounts(4000, 16 << 30),
            ..Node::default()
        },
        zone: ZoneId::from_index(idx % 3),
        ..NodeSpec::default()
    }
}

/// A Deployment of `replicas` spread over zones, with a Service of the same name.
fn web(blueprint: &mut Blueprint, name: &str, replicas: u32) -> ServiceId {
    let own = labels(&[("app", name)]);
    let selector = LabelSelector { match_labels: own.clone(), ..LabelSelector::default() };
    let mut requests = amounts(500, 256 << 20);
    requests.0.remove("pods");
    blueprint.workloads.push(Workload {
        kind: WorkloadKind::Deployment {
            strategy: DeploymentStrategy::RollingUpdate {
                max_surge: IntOrPercent::Percent(25),
                max_unavailable: IntOrPercent::Percent(25),
            },
            is_paused: false,
            progress_deadline: SimSpan::from_secs(600),
        },
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        replicas,
        selector: Some(selector.clone()),
        min_ready: SimSpan::ZERO,
        template: PodTemplate {
            labels: own.clone(),
            spec: PodSpec {
                containers: vec![Container {
                    name: name.to_owned(),
                    image: format!("registry/{name}:1"),
                    limits: requests.clone(),
                    requests,
                    ..Container::default()
                }],
                topology_spread_constraints: vec![TopologySpreadConstraint {
                    max_skew: 1,
                    topology_key: "topology.kubernetes.io/zone".to_owned(),
                    when_unsatisfiable: UnsatisfiableAction::ScheduleAnyway,
                    label_selector: Some(selector),
                    min_domains: None,
                    honors_node_affinity: true,
                    honors_node_taints: false,
                    match_label_keys: Vec::new(),
                }],
                termination_grace: SimSpan::from_secs(30),
                ..PodSpec::default()
            },
            ..PodTemplate::default()
        },
        origin: Origin::default(),
    });
    let service = ServiceId::from_index(blueprint.services.len());
    blueprint.services.push(Service {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        selector: own,
        ..Service::default()
    });
    blueprint.profiles.push(ServiceProfile {
        service,
        cpu_per_request: SimSpan::from_millis(2),
        base_latency: SimSpan::from_millis(5),
        depends_on: Vec::new(),
        policies: Vec::new(),
        upstream: model_api::path::CallPolicy::default(),
        serving: model_api::path::Serving::default(),
        writes_to: Vec::new(),
        readiness: model_api::path::Readiness::default(),
        origin: Origin::default(),
    });
    blueprint.loads.push(Load {
        service,
        via: None,
        clients: Clients::default(),
        client: model_api::path::CallPolicy::default(),
        users: None,
        points: vec![LoadPoint { at: SimTime::ZERO, rate_millirps: 90_000 }],
        origin: Origin::default(),
    });
    service
}

/// Three zones of two nodes with one Service `web` of three pods.
fn small() -> Blueprint {
    let mut blueprint = Blueprint {
        name: "small".to_owned(),
        zones: ZONES
            .iter()
            .map(|name| Zone { name: (*name).to_owned(), ..Zone::default() })
            .collect(),
        nodes: (0..6).map(node).collect(),
        control_plane: ControlPlane {
            member_zones: (0..3).map(ZoneId::from_index).collect(),
            ..ControlPlane::default()
        },
        ..Blueprint::default()
    };
    web(&mut blueprint, "web", 3);
    blueprint
}

fn fault(name: &str, kind: FaultKind, start: Start, secs: Option<u64>) -> Fault {
    Fault {
        name: name.to_owned(),
        kind,
        start,
        duration: secs.map(SimSpan::from_secs),
        origin: Origin::default(),
    }
}

fn zone_loss(zone: u32, at_secs: u64, secs: Option<u64>) -> Fault {
    let kind = FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(zone)) };
    fault(&format!("zone {zone}"), kind, Start::At(SimTime::from_secs(at_secs)), secs)
}

fn run(blueprint: Blueprint, faults: Vec<Fault>, seed: u64) -> Journal<Event, Observation> {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(1));
    let (journal, end) = plan.expect("no circle").run(seed, 0, Journal::new());
    assert!(end.outcome.is_complete(), "{:?}", end.outcome);
    journal
}

/// The stretches of a flow, each with its end.
fn flows(journal: &Journal<Event, Observation>, service: u32) -> Vec<(FlowSegment, SimTime)> {
    let segments = journal.observations().iter().filter_map(|record| match record.observation {
        Observation::Flow(segment) if segment.service == ServiceId(service) => {
            Some((segment, record.at))
        }
        _ => None,
    });
    segments.collect()
}

#[test]
fn nothing_happens_on_a_healthy_platform() {
    let journal = run(small(), Vec::new(), 1);
    assert_eq!(journal.events().len(), 0, "{:?}", journal.events());
    let flows = flows(&journal, 0);
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].0.served_until_millirps, 90_000);
}

#[test]
fn a_lost_zone_costs_a_third_until_its_nodes_are_found_silent() {
    // What is in its pods is lost besides: see `deaths`.
    let mut blueprint = small();
    blueprint.profiles[0].serving.loses_requests = false;
    for seed in 0..20 {
        let journal = run(blueprint.clone(), vec![zone_loss(0, 600, None)], seed);
        let flows = flows(&journal, 0);
        let is_lossy =
            |(segment, _): &&(FlowSegment, SimTime)| segment.loss == LossReason::DeadEndpoints;
        let start = flows.iter().position(|flow| is_lossy(&flow));
        let lossy = &flows[start.expect("a third of the requests goes to the dead pod")..];
        let (first, _) = lossy[0];
        assert_eq!(first.from, SimTime::from_secs(600));
        assert_eq!(first.served_from_millirps, 60_000);
        // Later, requests reach the pod in its place before it can answer: it has no readiness probe.
        let (_, ended_at) = lossy.iter().take_while(is_lossy).last().expect("as above");
        // Silence of 50 s since a lease up to 10.4 s old, passes of 5 s, propagation up to 2 s. A
        // leader lost with the zone is replaced after 13 to 24 s, and its successor starts anew.
        let changes_leader = journal
            .observations()
            .iter()
            .any(|record| record.observation == Observation::LeaderChanged);
        let expected = if changes_leader { 39_000..100_000 } else { 39_000..58_500 };
        let lasted = (*ended_at - first.from).as_millis();
        assert!(expected.contains(&lasted), "seed {seed}: {lasted} ms");
    }
}

#[test]
fn a_fault_may_wait_for_another() {
    let when = Start::When {
        condition: Condition::FaultStarted(FaultId(0)),
        delay: SimSpan::from_secs(90),
    };
    let kind = FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(1)) };
    let faults = vec![zone_loss(0, 600, Some(600)), fault("second", kind, when, None)];
    let journal = run(small(), faults, 1);
    let struck: Vec<_> = journal
        .observations()
        .iter()
        .filter_map(|record| match record.observation {
            Observation::FaultStruck { fault, targets } => Some((fault, record.at, targets)),
            _ => None,
        })
        .collect();
    assert_eq!(struck.len(), 2);
    assert_eq!(struck[1].1, SimTime::from_secs(690));
    assert!(struck.iter().all(|(_, _, targets)| *targets >= 2), "{struck:?}");
    let lost = journal.observations().iter().any(|r| r.observation == Observation::QuorumLost);
    assert!(lost, "two of three members are gone");
}

#[test]
fn a_zone_that_two_faults_darken_returns_with_the_last() {
    let mut second = zone_loss(0, 660, Some(600));
    second.name = "again".to_owned();
    let journal = run(small(), vec![zone_loss(0, 600, Some(120)), second], 1);
    let restored: Vec<_> = journal
        .observations()
        .iter()
        .filter(|record| matches!(record.observation, Observation::ZoneRestored { .. }))
        .map(|record| record.at)
        .collect();
    assert_eq!(restored, [SimTime::from_secs(1260)]);
}

#[test]
fn an_unrelated_service_changes_no_draw_of_another() {
    let alone = run(small(), vec![zone_loss(0, 600, Some(1200))], 5);
    let mut larger = small();
    // Without pods: those would share nodes and image pulls, which is no matter of luck.
    web(&mut larger, "unrelated", 0);
    let together = run(larger, vec![zone_loss(0, 600, Some(1200))], 5);
    assert_eq!(flows(&alone, 0), flows(&together, 0));
}

#[test]
fn a_spike_multiplies_and_falls_back() {
    let kind = FaultKind::LoadSpike {
        services: Vec::new(),
        tenant: None,
        factor_milli: 3000,
        ramp: SimSpan::from_secs(60),
    };
    let spike = fault("peak", kind, Start::At(SimTime::from_secs(600)), Some(600));
    let journal = run(small(), vec![spike], 1);
    let flows = flows(&journal, 0);
    let peak = flows.iter().map(|(segment, _)| segment.offered_until_millirps).max();
    assert_eq!(peak, Some(270_000));
    assert_eq!(flows.last().map(|(s, _)| s.offered_until_millirps), Some(90_000));
}

#[test]
fn two_runs_of_one_seed_are_one() {
    let make = || run(small(), vec![zone_loss(2, 600, Some(900))], 9);
    assert_eq!(make().events(), make().events());
    assert_eq!(make().observations(), make().observations());
}
