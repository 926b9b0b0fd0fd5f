//! Generated platforms of any size, for measuring how cost grows with it.

use model_api::blueprint::{ControlPlane, NodeSpec, Zone};
use model_api::fault::{Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::kube::{
    Container, DaemonSetUpdate, DeploymentStrategy, IntOrPercent, LabelSelector, Labels, Node,
    PodManagementPolicy, PodSpec, PodTemplate, ResourceList, Service, StatefulSetUpdate,
    TopologySpreadConstraint, UnsatisfiableAction, Workload, WorkloadKind,
};
use model_api::load::{Clients, Load, LoadPoint, ServiceProfile};
use model_api::{Blueprint, Origin, ServiceId, SimSpan, SimTime, ZoneId};
use platform::World;

const ZONES: [&str; 3] = ["az-a", "az-b", "az-c"];
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A platform of three zones: workers of 32 cores, and Services of equal size, each before a
/// workload whose pods take half a core and spread over zones. Every tenth workload is a
/// StatefulSet, the others are Deployments; every fifth Service calls the one after it. Two
/// DaemonSets run on every node.
#[derive(Clone, Copy, Debug)]
pub struct Estate {
    /// Workers, in turn in each zone.
    pub node_count: usize,
    /// Services, each with a workload.
    pub service_count: usize,
    /// Pods of all workloads together, at most as many as fit; rounded down to a multiple of the
    /// Services.
    pub pod_count: usize,
}

impl Estate {
    /// A large platform: what a company runs.
    pub const LARGE: Self = Self { node_count: 300, service_count: 100, pod_count: 3_000 };
    /// The largest cluster that Kubernetes supports.
    pub const LARGEST: Self = Self { node_count: 5_000, service_count: 1_000, pod_count: 150_000 };

    /// The platform.
    pub fn blueprint(self) -> Blueprint {
        let mut workloads: Vec<Workload> =
            (0..self.service_count).map(|idx| self.workload(idx)).collect();
        workloads.extend(["logs", "metrics"].map(daemon));
        let service = |idx| Service {
            namespace: "estate".to_owned(),
            name: name(idx),
            selector: labels(&[("app", &name(idx))]),
            ..Service::default()
        };
        Blueprint {
            name: "estate".to_owned(),
            zones: ZONES.map(zone).to_vec(),
            nodes: (0..self.node_count).map(worker).collect(),
            control_plane: ControlPlane {
                member_zones: (0..3).map(ZoneId::from_index).collect(),
                ..ControlPlane::default()
            },
            workloads,
            services: (0..self.service_count).map(service).collect(),
            profiles: (0..self.service_count).map(|idx| self.profile(idx)).collect(),
            loads: (0..self.service_count).map(load).collect(),
            ..Blueprint::default()
        }
    }

    fn workload(self, idx: usize) -> Workload {
        let own = labels(&[("app", &name(idx))]);
        let selector = LabelSelector { match_labels: own.clone(), ..LabelSelector::default() };
        let kind = if idx % 10 == 9 {
            WorkloadKind::StatefulSet {
                pod_management: PodManagementPolicy::Parallel,
                ordinals_start: 0,
                update: StatefulSetUpdate::default(),
                service_name: name(idx),
                claims: Vec::new(),
            }
        } else {
            WorkloadKind::Deployment {
                strategy: DeploymentStrategy::RollingUpdate {
                    max_surge: IntOrPercent::Percent(25),
                    max_unavailable: IntOrPercent::Percent(25),
                },
                is_paused: false,
                progress_deadline: SimSpan::from_secs(600),
            }
        };
        let replicas = self.pod_count / self.service_count;
        Workload {
            kind,
            namespace: "estate".to_owned(),
            name: name(idx),
            replicas: u32::try_from(replicas).expect("pods are fewer than 2^32"),
            selector: Some(selector.clone()),
            min_ready: SimSpan::ZERO,
            template: PodTemplate {
                labels: own,
                spec: PodSpec {
                    containers: vec![container(&name(idx), 500)],
                    topology_spread_constraints: vec![TopologySpreadConstraint {
                        max_skew: 1,
                        topology_key: ZONE_LABEL.to_owned(),
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
        }
    }

    fn profile(self, idx: usize) -> ServiceProfile {
        let calls = idx.is_multiple_of(5) && idx + 1 < self.service_count;
        ServiceProfile {
            service: ServiceId::from_index(idx),
            cpu_per_request: SimSpan::from_millis(2),
            base_latency: SimSpan::from_millis(5),
            depends_on: if calls { vec![ServiceId::from_index(idx + 1)] } else { Vec::new() },
            policies: Vec::new(),
            upstream: model_api::path::CallPolicy::default(),
            serving: model_api::path::Serving::default(),
            writes_to: Vec::new(),
            readiness: model_api::path::Readiness::default(),
            origin: Origin::default(),
        }
    }
}

/// The power of the first zone is gone from ten minutes after the start, for a while or for ever.
pub fn zone_loss(duration: Option<SimSpan>) -> FaultPlan {
    let fault = Fault {
        name: "zone lost".to_owned(),
        kind: FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(0)) },
        start: Start::At(SimTime::from_secs(600)),
        duration,
        origin: Origin::default(),
    };
    FaultPlan { faults: vec![fault] }
}

/// Gives every Service of a platform a day: hardly anybody at night, more than ever in the evening,
/// each a little later than the one before.
pub fn with_days(mut blueprint: Blueprint) -> Blueprint {
    const DAY: [(u64, u64); 6] = [(0, 20), (6, 15), (9, 100), (13, 80), (18, 120), (23, 30)];
    for (idx, load) in (0_u64..).zip(&mut blueprint.loads) {
        let rate = load.points[0].rate_millirps;
        let late = SimSpan::from_secs(20) * idx;
        let point = |(hour, percent): (u64, u64)| LoadPoint {
            at: SimTime::ZERO + SimSpan::from_hours(hour) + late,
            rate_millirps: rate * percent / 100,
        };
        load.points = DAY.map(point).to_vec();
    }
    blueprint
}

/// A day in which the load doubles at noon and a zone is lost for an hour in the evening.
pub fn hard_day() -> FaultPlan {
    let fault = |name: &str, kind, hour, minutes| Fault {
        name: name.to_owned(),
        kind,
        start: Start::At(SimTime::ZERO + SimSpan::from_hours(hour)),
        duration: Some(SimSpan::from_mins(minutes)),
        origin: Origin::default(),
    };
    let spike = FaultKind::LoadSpike {
        services: Vec::new(),
        tenant: None,
        factor_milli: 2000,
        ramp: SimSpan::from_mins(2),
    };
    let loss = FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(0)) };
    FaultPlan { faults: vec![fault("spike", spike, 12, 30), fault("zone lost", loss, 18, 60)] }
}

/// Endpoints of all Services that get traffic and can answer.
pub fn live_count(world: &World) -> usize {
    let services = 0..world.cluster().blueprint().services.len();
    let live = services.map(|idx| world.cluster().endpoint_counts(ServiceId::from_index(idx)).1);
    live.map(|count| count as usize).sum()
}

fn name(idx: usize) -> String {
    format!("service-{idx}")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn amounts(amounts: &[(&str, i64)]) -> ResourceList {
    ResourceList(amounts.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect())
}

fn zone(name: &str) -> Zone {
    Zone { name: name.to_owned(), ..Zone::default() }
}

fn worker(idx: usize) -> NodeSpec {
    let zone = idx % ZONES.len();
    let name = format!("worker-{idx}");
    NodeSpec {
        node: Node {
            labels: labels(&[(ZONE_LABEL, ZONES[zone]), ("kubernetes.io/hostname", &name)]),
            name,
            allocatable: amounts(&[("cpu", 32_000), ("memory", 128 << 30), ("pods", 110)]),
            ..Node::default()
        },
        zone: ZoneId::from_index(zone),
        ..NodeSpec::default()
    }
}

fn daemon(name: &str) -> Workload {
    let own = labels(&[("app", name)]);
    Workload {
        kind: WorkloadKind::DaemonSet { update: DaemonSetUpdate::default() },
        namespace: "estate".to_owned(),
        name: name.to_owned(),
        replicas: 0,
        selector: Some(LabelSelector { match_labels: own.clone(), ..LabelSelector::default() }),
        min_ready: SimSpan::ZERO,
        template: PodTemplate {
            labels: own,
            spec: PodSpec { containers: vec![container(name, 100)], ..PodSpec::default() },
            ..PodTemplate::default()
        },
        origin: Origin::default(),
    }
}

fn container(name: &str, cpu_millis: i64) -> Container {
    let requests = amounts(&[("cpu", cpu_millis), ("memory", 1 << 30)]);
    Container {
        name: name.to_owned(),
        image: format!("registry/{name}:1"),
        limits: requests.clone(),
        requests,
        ..Container::default()
    }
}

/// Ten requests a second for each pod of a small Service.
fn load(idx: usize) -> Load {
    Load {
        service: ServiceId::from_index(idx),
        via: None,
        clients: Clients::default(),
        client: model_api::path::CallPolicy::default(),
        users: None,
        points: vec![LoadPoint { at: SimTime::ZERO, rate_millirps: 300_000 }],
        origin: Origin::default(),
    }
}

#[cfg(test)]
mod tests {
    use platform::Plan;
    use scenario_format::{Disk, Request, load};
    use sim_kernel::NoRecorder;

    use super::*;

    const LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/library");

    fn shipped(scenario: &str) -> Blueprint {
        let scenario = format!("{LIBRARY}/{scenario}.yaml");
        let request = Request { scenario, ..Request::default() };
        load(&request, &Disk::default()).resolved.expect("a shipped scenario resolves").blueprint
    }

    /// Events of a run without faults.
    fn healthy_count(blueprint: &Blueprint, hours: u64, run: u64) -> u64 {
        let horizon = SimSpan::from_hours(hours);
        let plan = Plan::new(blueprint.clone(), FaultPlan::default(), horizon);
        let (_, end) = plan.expect("nothing goes in a circle").run(1, run, NoRecorder);
        assert!(end.outcome.is_complete(), "{:?}", end.outcome);
        end.stats.handled_count
    }

    #[test]
    fn healthy_time_costs_nothing() {
        let small = Estate { node_count: 30, service_count: 10, pod_count: 300 };
        let platforms = [shipped("az-loss"), shipped("zone-isolation-60s"), small.blueprint()];
        for blueprint in &platforms {
            for run in 0..5 {
                let hour = healthy_count(blueprint, 1, run);
                let year = healthy_count(blueprint, 365 * 24, run);
                assert_eq!(year, hour, "{}: something ticks", blueprint.name);
            }
        }
    }

    #[test]
    fn an_estate_survives_a_zone() {
        let estate = Estate { node_count: 30, service_count: 10, pod_count: 300 };
        // Pods of a StatefulSet stay on lost nodes, Terminating, until the nodes are back.
        let stuck_count = 10;
        for (duration, expected) in [(None, 300 - stuck_count), (Some(SimSpan::from_hours(1)), 300)]
        {
            let horizon = SimSpan::from_hours(4);
            let plan = Plan::new(estate.blueprint(), zone_loss(duration), horizon);
            let plan = plan.expect("nothing goes in a circle");
            let mut simulation = plan.simulation(1, 0, NoRecorder);
            simulation.run_until(plan.horizon());
            assert_eq!(live_count(simulation.model()), expected);
        }
    }
}
