//! A platform of three zones with one Service, and what happens to it.

use model_api::blueprint::{ControlPlane, NodeSpec, Zone};
use model_api::fault::{Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::kube::{
    Container, DeploymentStrategy, IntOrPercent, LabelSelector, Labels, Node, PodSpec, PodTemplate,
    ResourceList, Service, Workload, WorkloadKind,
};
use model_api::load::{Clients, Load, LoadPoint, ServiceProfile};
use model_api::path::CallPolicy;
use model_api::{Blueprint, Origin, ServiceId, SimSpan, SimTime, ZoneId};
use platform::Plan;

const ZONES: [&str; 3] = ["az-a", "az-b", "az-c"];

fn labels(key: &str, value: &str) -> Labels {
    [(key.to_owned(), value.to_owned())].into_iter().collect()
}

fn amounts(amounts: &[(&str, i64)]) -> ResourceList {
    ResourceList(amounts.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect())
}

fn node(idx: usize) -> NodeSpec {
    let zone = idx % ZONES.len();
    NodeSpec {
        node: Node {
            name: format!("worker-{idx}"),
            labels: labels("topology.kubernetes.io/zone", ZONES[zone]),
            allocatable: amounts(&[("cpu", 4000), ("memory", 16 << 30), ("pods", 110)]),
            ..Node::default()
        },
        zone: ZoneId::from_index(zone),
        ..NodeSpec::default()
    }
}

/// A Deployment that is a Service and is asked 90 times a second.
fn web() -> Workload {
    let requests = amounts(&[("cpu", 500), ("memory", 256 << 20)]);
    let container = Container {
        name: "web".to_owned(),
        image: "registry/web:1".to_owned(),
        limits: requests.clone(),
        requests,
        ..Container::default()
    };
    let own = labels("app", "web");
    Workload {
        kind: WorkloadKind::Deployment {
            strategy: DeploymentStrategy::RollingUpdate {
                max_surge: IntOrPercent::Percent(25),
                max_unavailable: IntOrPercent::Percent(25),
            },
            is_paused: false,
            progress_deadline: SimSpan::from_secs(600),
        },
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        replicas: 6,
        selector: Some(LabelSelector { match_labels: own.clone(), ..LabelSelector::default() }),
        min_ready: SimSpan::ZERO,
        template: PodTemplate {
            labels: own,
            spec: PodSpec { containers: vec![container], ..PodSpec::default() },
            ..PodTemplate::default()
        },
        origin: Origin::default(),
    }
}

pub(crate) fn blueprint() -> Blueprint {
    let zone = |name: &&str| Zone { name: (*name).to_owned(), ..Zone::default() };
    Blueprint {
        name: "town".to_owned(),
        zones: ZONES.iter().map(zone).collect(),
        nodes: (0..6).map(node).collect(),
        control_plane: ControlPlane {
            member_zones: (0..3).map(ZoneId::from_index).collect(),
            ..ControlPlane::default()
        },
        workloads: vec![web()],
        services: vec![Service {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            selector: labels("app", "web"),
            ..Service::default()
        }],
        profiles: vec![ServiceProfile {
            service: ServiceId(0),
            cpu_per_request: SimSpan::from_millis(2),
            base_latency: SimSpan::from_millis(5),
            depends_on: Vec::new(),
            policies: Vec::new(),
            upstream: CallPolicy::default(),
            serving: model_api::path::Serving::default(),
            writes_to: Vec::new(),
            readiness: model_api::path::Readiness::default(),
            origin: Origin::default(),
        }],
        loads: vec![Load {
            service: ServiceId(0),
            via: None,
            clients: Clients::default(),
            client: CallPolicy::default(),
            users: None,
            points: vec![LoadPoint { at: SimTime::ZERO, rate_millirps: 90_000 }],
            origin: Origin::default(),
        }],
        ..Blueprint::default()
    }
}

/// The power of some zones is gone after ten minutes, for as long.
pub(crate) fn losing(zones: &[u32]) -> Plan {
    let fault = |zone: &u32| Fault {
        name: format!("zone {zone}"),
        kind: FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(*zone)) },
        start: Start::At(SimTime::from_secs(600)),
        duration: Some(SimSpan::from_secs(600)),
        origin: Origin::default(),
    };
    let faults = FaultPlan { faults: zones.iter().map(fault).collect() };
    Plan::new(blueprint(), faults, SimSpan::from_hours(1)).expect("nothing goes in a circle")
}

/// The town with clients that wait for a second and ask four times at most, who are three times as
/// many for half a minute.
pub(crate) fn crowded() -> (Blueprint, FaultPlan) {
    let mut town = blueprint();
    // Eight seconds of work may wait: longer than anybody does.
    town.profiles[0].serving.queue_limit = Some(2_000);
    town.loads[0].client =
        CallPolicy { timeout: Some(SimSpan::from_secs(1)), retries: 3, ..CallPolicy::default() };
    let spike = Fault {
        name: "spike".to_owned(),
        kind: FaultKind::LoadSpike {
            services: Vec::new(),
            tenant: None,
            factor_milli: 3_000,
            ramp: SimSpan::ZERO,
        },
        start: Start::At(SimTime::from_secs(60)),
        duration: Some(SimSpan::from_secs(30)),
        origin: Origin::default(),
    };
    (town, FaultPlan { faults: vec![spike] })
}
