//! Tiny worlds written as text, and their timelines as text.
//!
//! ```text
//! nodes 3 per zone a b c        three zones, nodes a-0 a-1 a-2 b-0 ...
//! group a 2 from 0 to 5          nodes a-2 ... a-6 come and go, two are there; zones come first
//! autoscaler balanced           the cluster autoscaler; also: quota a 3
//! members a b c                 control plane (none: always there)
//! deployment web 6 spread tolerate=30 cpu=500 probe=5 priority=1000
//!                               probes by their periods in seconds: also liveness=10, startup=5
//! statefulset db 3 claim        also: daemonset NAME, database NAME N, budget NAME max=1
//! job batch 2 completions=4     also: work=60 fails=50 backoff=0 deadline=300 ttl=60 on-failure
//! job nightly 1 every=600       of a CronJob; also: forbid, replace, start-within=60
//! deployment web 2 node=a-0      its pods name their node
//! quota pods=4 cpu=2000         of all that these pods request together, in thousandths
//! service web                   selects the pods of the workload web
//! webhook of engine guards web Fail      or Ignore; at 10 webhooks down
//! at 10 lose zone a             lose, restore, isolate, rejoin; zone or node; shut-down node a-0
//! at 10 capacity a stuck        enough, stuck, refused
//! at 10 crash web               also: scale web 3, delete node a-0, api down, api up, evict web 0,
//!                               kill scheduler, lose member 0, registries down, registries up,
//!                               registry HOST down, out-of-service node a-0, in-service node a-0
//! at 10 suspend web              pauses a Deployment, suspends a Job or CronJob; resume web
//! at 10 lift gates web           of pods that are `gated`; keep gates web
//! at 10 late web 500000         so many of a million answers are too late for a probe
//! at 10 rollout web 2           to image 2; rollout web 2 broken: never ready; undo web
//! at 10 drain a-0 a-1           also: upgrade a-0 a-1; with timeout=120, goes-on, force
//! at 10 upgrade control-plane   also: to=37, reboots, force
//! at 10 cloud down              its control plane answers nothing
//! at 10 limits 4 9              of the first horizontal autoscaler; autoscaler gone, autoscaler there
//! at 10 destroy db 1            the volumes of that pod
//! at 10 lose etcd               all of its data; restore etcd 5: as it was at 5 s
//! memory 1000                   of each node, in MiB; workloads request 256 and have no limit, but
//!                               with mem=100, limit=200; best-effort: they request nothing
//! uses web 200 grows=60         MiB, and MiB an hour; also vary=10, in percent
//! disk 1000                     of each node, in MiB; unused images 200: MiB that nobody needs
//! fills web 20 grows=60         MiB of the disk, and MiB an hour; volume=cache: of the emptyDir that
//!                               `deployment web 1 cache=100` has; also deployment web 1 disk-limit=100
//! files web 20 grows=60         inodes; forks web 20 grows=60: process ids
//! at 10 leak disk web 60        MiB an hour more of the disk
//! at 10 leak web 60             MiB an hour more, until: at 20 mend
//! at 10 flood catch-all 50 200 3    requests a second, each of so many milliseconds, in so many flows,
//!                               until: at 20 ebb; at 10 slow 500: milliseconds that writes take longer;
//!                               at 20 ebb 1: that which began second
//! ```
//! Deployments recreate their pods unless they have `surge=N` and `unavailable=N` (percent with a
//! `%` behind); also `deadline=60`, `min-ready=15`, `paused`. StatefulSets: `parallel`, `partition=1`,
//! `on-delete`. DaemonSets: `surge=N`, `unavailable=N`, `tolerant`: of pressures, as the API makes them.

mod job;
mod member;
mod pod;

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::action::ControlPlaneUpgrade;
use model_api::blueprint::{NodeSpec, Zone};
use model_api::fault::{ApiFlood, PriorityLevel};
use model_api::kube::{
    DaemonSetUpdate, DeploymentStrategy, HorizontalPodAutoscaler, IntOrPercent, LabelSelector,
    Labels, Node, PersistentVolumeClaim, PodDisruptionBudget, PodManagementPolicy, PodSpec,
    PodTemplate, QuotaResource, ResourceList, ResourceQuota, RestartPolicy, Service, ServicePort,
    StatefulSetUpdate, StorageClass, Version, VolumeBindingMode, Webhook, Workload, WorkloadKind,
};
use model_api::machines::{BootTime, ClusterAutoscaler, NodeGroup};
use model_api::memory::{Growth, MemoryProfile};
use model_api::usage::{DiskPlace, NodeResource, UsageProfile};
use model_api::{
    AutoscalerId, Blueprint, NodeId, Observation, Origin, PodId, ServiceId, WorkloadId, ZoneId,
};
use model_kube::cluster::{
    AfterDrain, Capacity, Component, DrainSpec, LeakId, NewTemplate, StrainId, TemplateHealth,
    TemplateId,
};
use model_kube::{Cluster, ClusterPlan, KubeEvent};
use sim_kernel::{
    Context, Journal, Limits, Model, Priority, Recorder, SimSpan, SimTime, Simulation, Streams,
};

use job::{job, restart_policy};
pub(crate) use member::MemberCommand;
use pod::pod_spec;

/// What a test does to the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Zone(Verb, ZoneId),
    Node(Verb, NodeId),
    Crash(WorkloadId),
    Scale(WorkloadId, u32),
    Hold(WorkloadId, bool),
    Gates(WorkloadId, bool),
    DeleteNode(NodeId),
    OutOfService(NodeId, bool),
    Api(bool),
    Cloud(bool),
    /// Limits of the first horizontal autoscaler.
    Limits(i32, i32),
    /// Whether there is one.
    Autoscaler(bool),
    /// The volumes of a pod are gone.
    Destroy(WorkloadId, u32),
    Evict(WorkloadId, usize),
    /// To the template of this number.
    Rollout(usize),
    Undo(WorkloadId),
    Drain(DrainSpec),
    KillLeader(Component),
    KillEtcdLeader,
    Member(MemberCommand),
    UpgradeControlPlane(ControlPlaneUpgrade),
    LoseApiState,
    RestoreApiState(SimTime),
    Registries(Option<String>, bool),
    Webhooks(bool),
    Capacity(ZoneId, Capacity),
    Late(ServiceId, u32),
    Leak(WorkloadId, NodeResource, Growth),
    Mend,
    Flood(ApiFlood),
    SlowApi(SimSpan),
    /// Of all strains, or of that which began after so many others.
    Ebb(Option<usize>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Lose,
    Restore,
    Isolate,
    Rejoin,
    /// Of nodes.
    ShutDown,
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum RigEvent {
    Kube(KubeEvent),
    Command(u32),
}

impl From<KubeEvent> for RigEvent {
    fn from(event: KubeEvent) -> Self {
        RigEvent::Kube(event)
    }
}

/// A cluster with a script.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) script: Arc<Vec<(SimTime, Command)>>,
    templates: Vec<TemplateId>,
    leaks: Vec<LeakId>,
    strains: Vec<StrainId>,
}

impl Model for Rig {
    type Event = RigEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: RigEvent,
        ctx: &mut Context<'_, RigEvent, R>,
    ) {
        match event {
            RigEvent::Kube(event) => self.cluster.handle(event, ctx),
            RigEvent::Command(idx) => self.obey(idx as usize, ctx),
        }
        self.cluster.drain_notices();
    }
}

impl Rig {
    fn obey<R: Recorder<Observation>>(&mut self, idx: usize, ctx: &mut Context<'_, RigEvent, R>) {
        let cluster = &mut self.cluster;
        let script = Arc::clone(&self.script);
        match script[idx].1 {
            Command::Zone(Verb::Lose, zone) => cluster.lose_zone(zone, ctx),
            Command::Zone(Verb::Restore, zone) => cluster.restore_zone(zone, ctx),
            Command::Zone(Verb::Isolate, zone) => cluster.isolate_zone(zone, ctx),
            Command::Zone(Verb::Rejoin, zone) => cluster.rejoin_zone(zone, ctx),
            Command::Zone(Verb::ShutDown, _) => panic!("nodes shut down one by one"),
            Command::Node(Verb::ShutDown, node) => cluster.shut_down_node(node, ctx),
            Command::Node(Verb::Lose, node) => cluster.lose_node(node, ctx),
            Command::Node(Verb::Restore, node) => cluster.restore_node(node, ctx),
            Command::Node(Verb::Isolate, node) => cluster.isolate_node(node, ctx),
            Command::Node(Verb::Rejoin, node) => cluster.rejoin_node(node, ctx),
            Command::Crash(workload) => {
                let pods = cluster.pods_of(workload).to_vec();
                cluster.crash_pods(&pods, ctx);
            }
            Command::Scale(workload, replicas) => cluster.scale(workload, replicas, ctx),
            Command::Hold(workload, is_held) => cluster.hold_workload(workload, is_held, ctx),
            Command::Gates(workload, lifted) => cluster.lift_gates(workload, lifted, ctx),
            Command::DeleteNode(node) => cluster.delete_node(node, ctx),
            Command::OutOfService(node, is_out) => {
                cluster.set_out_of_service(node, is_out, ctx);
            }
            Command::Capacity(zone, capacity) => {
                cluster.set_machine_capacity(zone, capacity, ctx);
            }
            Command::Late(service, ppm) => {
                let late = vec![ppm; cluster.probe_timeouts(service).len()];
                cluster.set_late_answers(service, &late, ctx);
            }
            Command::Leak(workload, resource, growth) => {
                self.leaks.push(cluster.start_leak(workload, resource, None, growth, ctx));
            }
            Command::Flood(flood) => self.strains.push(cluster.start_flood(flood, ctx)),
            Command::SlowApi(latency) => self.strains.push(cluster.slow_api(latency, ctx)),
            Command::Ebb(nth) => {
                let is_over = |idx: usize| nth.is_none_or(|nth| nth == idx);
                for (_, strain) in self.strains.iter().enumerate().filter(|(idx, _)| is_over(*idx))
                {
                    cluster.end_strain(*strain, ctx);
                }
            }
            Command::Mend => {
                for leak in self.leaks.drain(..) {
                    cluster.end_leak(leak, ctx);
                }
            }
            Command::Cloud(is_available) => {
                cluster.set_cloud_available(is_available, ctx);
            }
            Command::Limits(min_replicas, max_replicas) => {
                let spec = cluster.autoscaler_spec(AutoscalerId(0)).expect("there is one").clone();
                let spec = HorizontalPodAutoscaler { min_replicas, max_replicas, ..spec };
                cluster.change_autoscaler(AutoscalerId(0), spec, ctx);
            }
            Command::Autoscaler(exists) => {
                cluster.set_autoscaler_exists(AutoscalerId(0), exists, ctx);
            }
            Command::Destroy(workload, ordinal) => {
                cluster.destroy_volumes((workload, ordinal), ctx)
            }
            Command::Api(is_available) => cluster.set_api_available(is_available, ctx),
            Command::KillLeader(component) => {
                assert!(cluster.kill_leader(component, ctx), "there is no leader");
            }
            Command::KillEtcdLeader => assert!(cluster.kill_etcd_leader(ctx), "there is no leader"),
            Command::UpgradeControlPlane(spec) => {
                let _ = self.cluster.upgrade_control_plane(spec, ctx);
            }
            Command::LoseApiState => self.cluster.lose_api_state(ctx),
            Command::RestoreApiState(until) => self.cluster.restore_api_state(until, ctx),
            Command::Member(command) => member::obey(cluster, command, ctx),
            Command::Webhooks(answers) => {
                cluster.set_webhook_answers("guard", answers, ctx);
            }
            Command::Registries(ref host, is_available) => {
                cluster.set_registry_available(host.as_deref(), is_available, ctx);
            }
            Command::Evict(workload, nth) => {
                if let Some(pod) = cluster.pods_of(workload).get(nth).copied() {
                    cluster.evict(pod, ctx);
                }
            }
            Command::Rollout(number) => {
                cluster.patch_template(self.templates[number], ctx);
            }
            Command::Undo(workload) => {
                cluster.undo_rollout(workload, ctx);
            }
            Command::Drain(ref spec) => {
                cluster.drain(spec.clone(), ctx);
            }
        }
    }
}

/// A world as read.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) blueprint: Blueprint,
    pub(crate) script: Vec<(SimTime, Command)>,
    templates: Vec<NewTemplate>,
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The value of `key=value` among words.
fn value_of(words: &[&str], key: &str) -> Option<u64> {
    let word = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    word.map(|value| value.parse().expect("values are numbers"))
}

/// A count or, with a `%` behind, a share.
fn share_of(words: &[&str], key: &str) -> Option<IntOrPercent> {
    let value = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))?;
    Some(match value.strip_suffix('%') {
        Some(percent) => IntOrPercent::Percent(percent.parse().expect("a number")),
        None => IntOrPercent::Int(value.parse().expect("a number")),
    })
}

impl World {
    pub(crate) fn read(text: &str) -> Self {
        let mut world = Self::default();
        world.add(text);
        world
    }

    /// Reads more lines.
    pub(crate) fn add(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            self.read_line(&words);
        }
    }

    fn read_line(&mut self, words: &[&str]) {
        match *words {
            ["nodes", count, "per", "zone", ref zones @ ..] => {
                self.add_nodes(count.parse().expect("a count"), zones);
            }
            ["group", zone, initial, "from", min, "to", max] => {
                let number = |text: &str| text.parse().expect("a count");
                self.add_group(zone, number(initial), number(min), number(max));
            }
            ["autoscaler", ref flags @ ..] => {
                let is_balanced = flags.contains(&"balanced");
                self.blueprint.cluster_autoscaler = Some(ClusterAutoscaler {
                    balances_similar_groups: Some(is_balanced),
                    ..ClusterAutoscaler::default()
                });
            }
            ["quota", zone, limit] => {
                let zone = self.zone(zone).index();
                self.blueprint.zones[zone].node_limit = Some(limit.parse().expect("a count"));
            }
            ["members" | "etcd" | "balancer" | "managers" | "schedulers" | "reconciler", ..] => {
                member::declare(&mut self.blueprint, words)
            }
            ["service", name] => self.blueprint.services.push(Service {
                namespace: "shop".into(),
                name: name.into(),
                selector: labels(&[("app", name)]),
                ports: vec![ServicePort { name: None, port: 80, target: "8080".into() }],
                ..Service::default()
            }),
            ["webhook", "of", service, "guards", workload, policy] => {
                let services = self.blueprint.services.iter();
                let position = services.map(|it| it.name.as_str()).position(|name| name == service);
                self.blueprint.webhooks.push(Webhook {
                    configuration: "guard".into(),
                    name: "guard".into(),
                    service: position.map(ServiceId::from_index),
                    fails_closed: policy == "Fail",
                    timeout: SimSpan::from_secs(10),
                    guards: [self.workload(workload)].into(),
                    ..Webhook::default()
                });
            }
            ["quota", ref words @ ..] => {
                let read = |key: &str| {
                    let amount = value_of(words, key.strip_prefix("requests.").unwrap_or(key))?;
                    let amount = i64::try_from(amount).expect("small");
                    Some((QuotaResource::of(key).expect("it counts pods"), amount))
                };
                self.blueprint.quotas.push(ResourceQuota {
                    namespace: "shop".into(),
                    name: "quota".into(),
                    hard: ["pods", "requests.cpu"].into_iter().filter_map(read).collect(),
                    ..ResourceQuota::default()
                });
            }
            ["budget", name, limit] => {
                let limit = value_of(&[limit], "max").expect("max=N");
                self.blueprint.budgets.push(PodDisruptionBudget {
                    namespace: "shop".into(),
                    name: name.into(),
                    selector: Some(selector(name)),
                    max_unavailable: Some(IntOrPercent::Int(limit.try_into().expect("small"))),
                    ..PodDisruptionBudget::default()
                });
            }
            ["memory", mebibytes] => {
                let bytes = mebibytes.parse::<i64>().expect("MiB") << 20;
                for spec in &mut self.blueprint.nodes {
                    spec.node.allocatable.0.insert("memory".to_owned(), bytes);
                }
            }
            // Of which a kubelet wants 15 % free; the system takes nothing.
            ["disk", mebibytes] => {
                let bytes = mebibytes.parse::<i64>().expect("MiB") << 20;
                let allocatable = bytes * 9 / 10;
                for spec in &mut self.blueprint.nodes {
                    let name = ResourceList::EPHEMERAL_STORAGE.to_owned();
                    spec.node.allocatable.0.insert(name, allocatable);
                }
                self.blueprint.parameters.node_disk_system_bytes = 0;
            }
            ["unused", "images", mebibytes] => {
                let bytes = mebibytes.parse::<u64>().expect("MiB") << 20;
                self.blueprint.parameters.node_disk_unused_images_bytes = bytes;
            }
            ["fills", name, base, ref rest @ ..] => {
                let place = rest.iter().find_map(|word| word.strip_prefix("volume="));
                let place = place
                    .map_or_else(DiskPlace::default, |name| DiskPlace::EmptyDir(name.to_owned()));
                self.add_usage(name, NodeResource::Disk, base, 20, place, rest);
            }
            ["files", name, base, ref rest @ ..] => {
                self.add_usage(name, NodeResource::Inodes, base, 0, DiskPlace::default(), rest);
            }
            ["forks", name, base, ref rest @ ..] => {
                let place = DiskPlace::default();
                self.add_usage(name, NodeResource::Processes, base, 0, place, rest);
            }
            ["uses", name, base, ref rest @ ..] => self.blueprint.memory.push(MemoryProfile {
                workload: self.workload(name),
                base_bytes: base.parse::<u64>().expect("MiB") << 20,
                growth: per_hour(value_of(rest, "grows").unwrap_or(0)),
                variation_ppm: value_of(rest, "vary").unwrap_or(0) as u32 * 10_000,
                ..MemoryProfile::default()
            }),
            ["at", at, ref command @ ..] => {
                let at = SimTime::from_secs(at.parse().expect("seconds"));
                let command = self.command(command);
                self.script.push((at, command));
            }
            [kind, name, ref rest @ ..] => self.add_workload(kind, name, rest),
            _ => panic!("cannot read the line {words:?}"),
        }
    }

    fn add_nodes(&mut self, count: u32, zones: &[&str]) {
        for name in zones {
            let zone = ZoneId::from_index(self.blueprint.zones.len());
            self.blueprint.zones.push(Zone { name: (*name).into(), ..Zone::default() });
            for nth in 0..count {
                self.add_node(name, zone, nth);
            }
        }
    }

    fn add_node(&mut self, zone_name: &str, zone: ZoneId, nth: u32) -> NodeId {
        let node_name = format!("{zone_name}-{nth}");
        let amounts = [("cpu", 8000), ("memory", 32 << 30), ("pods", 110)];
        let amounts = amounts.map(|(name, amount)| (name.to_owned(), amount));
        self.blueprint.nodes.push(NodeSpec {
            node: Node {
                labels: labels(&[
                    ("topology.kubernetes.io/zone", zone_name),
                    ("topology.kubernetes.io/region", "r"),
                    ("kubernetes.io/hostname", &node_name),
                ]),
                name: node_name,
                allocatable: ResourceList(BTreeMap::from(amounts)),
                ..Node::default()
            },
            zone,
            is_control_plane: false,
            ..NodeSpec::default()
        });
        NodeId::from_index(self.blueprint.nodes.len() - 1)
    }

    fn add_group(&mut self, zone_name: &str, initial: u32, min: u32, max: u32) {
        let zone = self.zone(zone_name);
        let in_zone = self.blueprint.nodes.iter().filter(|spec| spec.zone == zone).count();
        let first = u32::try_from(in_zone).expect("few");
        let nodes = (first..first + max).map(|nth| self.add_node(zone_name, zone, nth)).collect();
        let boot = BootTime::default();
        let (name, origin) = (format!("group-{zone_name}"), Origin::default());
        self.blueprint.node_groups.push(NodeGroup {
            name,
            zone,
            nodes,
            initial,
            min,
            boot,
            origin,
        });
    }

    fn add_workload(&mut self, kind: &str, name: &str, rest: &[&str]) {
        let claims = vec![PersistentVolumeClaim::default(); usize::from(rest.contains(&"claim"))];
        self.blueprint.storage_classes = vec![StorageClass {
            name: "zonal".into(),
            binding_mode: VolumeBindingMode::WaitForFirstConsumer,
            is_zonal: true,
            is_default: true,
            ..StorageClass::default()
        }];
        let is_job = kind == "job";
        let kind = match kind {
            "deployment" => WorkloadKind::Deployment {
                strategy: match (share_of(rest, "surge"), share_of(rest, "unavailable")) {
                    (Some(max_surge), Some(max_unavailable)) => {
                        DeploymentStrategy::RollingUpdate { max_surge, max_unavailable }
                    }
                    _ => DeploymentStrategy::Recreate,
                },
                is_paused: rest.contains(&"paused"),
                progress_deadline: SimSpan::from_secs(value_of(rest, "deadline").unwrap_or(600)),
            },
            "statefulset" => WorkloadKind::StatefulSet {
                pod_management: if rest.contains(&"parallel") {
                    PodManagementPolicy::Parallel
                } else {
                    PodManagementPolicy::OrderedReady
                },
                ordinals_start: 0,
                update: if rest.contains(&"on-delete") {
                    StatefulSetUpdate::OnDelete
                } else {
                    let partition = value_of(rest, "partition").unwrap_or(0);
                    let partition = u32::try_from(partition).expect("small");
                    StatefulSetUpdate::RollingUpdate { partition, max_unavailable: None }
                },
                claims,
                service_name: String::new(),
            },
            "daemonset" => WorkloadKind::DaemonSet {
                update: match (share_of(rest, "surge"), share_of(rest, "unavailable")) {
                    (Some(max_surge), Some(max_unavailable)) => {
                        DaemonSetUpdate::RollingUpdate { max_surge, max_unavailable }
                    }
                    _ => DaemonSetUpdate::default(),
                },
            },
            "database" => WorkloadKind::DatabaseInstances,
            "job" => WorkloadKind::Job(Box::new(job(rest))),
            kind => panic!("no kind {kind}"),
        };
        let replicas = rest.first().and_then(|count| count.parse().ok()).unwrap_or(0);
        self.blueprint.workloads.push(Workload {
            kind,
            namespace: "shop".into(),
            name: name.into(),
            replicas,
            selector: Some(selector(name)),
            min_ready: SimSpan::from_secs(value_of(rest, "min-ready").unwrap_or(0)),
            template: PodTemplate {
                labels: labels(&[("app", name)]),
                spec: PodSpec {
                    restart_policy: if is_job {
                        restart_policy(rest)
                    } else {
                        RestartPolicy::Always
                    },
                    ..pod_spec(name, rest)
                },
                ..PodTemplate::default()
            },
            origin: Origin::default(),
        });
    }

    /// What a workload takes of a resource, in units of so many powers of two, and how many an hour.
    fn add_usage(
        &mut self,
        name: &str,
        resource: NodeResource,
        base: &str,
        shift: u32,
        place: DiskPlace,
        rest: &[&str],
    ) {
        let base = base.parse::<u64>().expect("a number") << shift;
        let grows = value_of(rest, "grows").unwrap_or(0) << shift;
        self.blueprint.usage.push(UsageProfile {
            workload: self.workload(name),
            resource,
            base,
            growth: Growth { bytes_per_day: 24 * grows },
            variation_ppm: 0,
            place,
            origin: Origin::default(),
        });
    }

    fn zone(&self, name: &str) -> ZoneId {
        self.blueprint.zone_named(name).expect("a known zone")
    }

    fn node(&self, name: &str) -> NodeId {
        let found = self.blueprint.nodes.iter().position(|spec| spec.node.name == name);
        NodeId::from_index(found.expect("a known node"))
    }

    pub(crate) fn workload(&self, name: &str) -> WorkloadId {
        let found = self.blueprint.workloads.iter().position(|workload| workload.name == name);
        WorkloadId::from_index(found.expect("a known workload"))
    }

    /// Declares a template that differs from the workload's own in its image.
    fn declare_template(&mut self, name: &str, tag: &str, health: TemplateHealth) -> usize {
        let workload = self.workload(name);
        let mut template = self.blueprint.workloads[workload.index()].template.clone();
        template.spec.containers[0].image = format!("registry.example/{name}:{tag}");
        self.templates.push(NewTemplate { workload, template, health });
        self.templates.len() - 1
    }

    fn drain(&self, words: &[&str], then: AfterDrain) -> Command {
        let is_option = |word: &&&str| word.contains('=') || ["goes-on", "force"].contains(*word);
        let nodes = words.iter().filter(|word| !is_option(word)).map(|name| self.node(name));
        Command::Drain(DrainSpec {
            timeout: value_of(words, "timeout").map(SimSpan::from_secs),
            goes_on: words.contains(&"goes-on"),
            forces: words.contains(&"force"),
            then,
            ..DrainSpec::of(nodes.collect())
        })
    }

    fn command(&mut self, words: &[&str]) -> Command {
        let verb = |word: &str| match word {
            "lose" => Verb::Lose,
            "restore" => Verb::Restore,
            "isolate" => Verb::Isolate,
            "rejoin" => Verb::Rejoin,
            "shut-down" => Verb::ShutDown,
            word => panic!("no verb {word}"),
        };
        if let Some(command) = member::read(words) {
            return Command::Member(command);
        }
        match *words {
            ["crash", name] => Command::Crash(self.workload(name)),
            ["scale", name, count] => {
                Command::Scale(self.workload(name), count.parse().expect("a count"))
            }
            ["suspend", name] => Command::Hold(self.workload(name), true),
            ["resume", name] => Command::Hold(self.workload(name), false),
            ["lift", "gates", name] => Command::Gates(self.workload(name), true),
            ["keep", "gates", name] => Command::Gates(self.workload(name), false),
            ["delete", "node", name] => Command::DeleteNode(self.node(name)),
            ["out-of-service", "node", name] => Command::OutOfService(self.node(name), true),
            ["in-service", "node", name] => Command::OutOfService(self.node(name), false),
            ["rollout", name, tag] => {
                Command::Rollout(self.declare_template(name, tag, TemplateHealth::Good))
            }
            ["rollout", name, tag, "broken"] => {
                Command::Rollout(self.declare_template(name, tag, TemplateHealth::NeverReady))
            }
            ["undo", name] => Command::Undo(self.workload(name)),
            ["drain", ref words @ ..] => self.drain(words, AfterDrain::Nothing),
            ["upgrade", "control-plane", ref rest @ ..] => {
                let minor = value_of(rest, "to").map(|it| u16::try_from(it).expect("small"));
                Command::UpgradeControlPlane(ControlPlaneUpgrade {
                    to: minor.map(Version::new),
                    reboots: rest.contains(&"reboots"),
                    forces: rest.contains(&"force"),
                })
            }
            ["upgrade", ref words @ ..] => self.drain(words, AfterDrain::Reboot),
            ["kill", "scheduler"] => Command::KillLeader(Component::Scheduler),
            ["kill", "controller-manager"] => Command::KillLeader(Component::ControllerManager),
            ["kill", "etcd"] => Command::KillEtcdLeader,
            ["lose", "etcd"] => Command::LoseApiState,
            ["restore", "etcd", secs] => {
                Command::RestoreApiState(SimTime::from_secs(secs.parse().expect("seconds")))
            }
            ["limits", min, max] => {
                let number = |word: &str| word.parse().expect("a limit");
                Command::Limits(number(min), number(max))
            }
            ["autoscaler", state] => Command::Autoscaler(state == "there"),
            ["destroy", name, ordinal] => {
                Command::Destroy(self.workload(name), ordinal.parse().expect("an ordinal"))
            }
            ["cloud", state] => Command::Cloud(state == "up"),
            ["webhooks", state] => Command::Webhooks(state == "up"),
            ["registries", state] => Command::Registries(None, state == "up"),
            ["registry", host, state] => Command::Registries(Some(host.into()), state == "up"),
            ["capacity", zone, state] => {
                let capacity = match state {
                    "enough" => Capacity::Enough,
                    "stuck" => Capacity::Stuck,
                    "refused" => Capacity::Refused,
                    state => panic!("no capacity {state}"),
                };
                Command::Capacity(self.zone(zone), capacity)
            }
            ["late", name, ppm] => {
                let services = self.blueprint.services.iter();
                let position = services.map(|it| it.name.as_str()).position(|it| it == name);
                let service = ServiceId::from_index(position.expect("a known service"));
                Command::Late(service, ppm.parse().expect("parts per million"))
            }
            ["leak", name, mebibytes] => Command::Leak(
                self.workload(name),
                NodeResource::Memory,
                per_hour(mebibytes.parse().expect("MiB")),
            ),
            ["leak", "disk", name, mebibytes] => Command::Leak(
                self.workload(name),
                NodeResource::Disk,
                per_hour(mebibytes.parse().expect("MiB")),
            ),
            ["mend"] => Command::Mend,
            ["flood", level, rate, millis, flows] => Command::Flood(ApiFlood {
                level: PriorityLevel::ALL
                    .into_iter()
                    .find(|it| it.name() == level)
                    .expect("a priority level"),
                millirps: 1000 * rate.parse::<u64>().expect("requests a second"),
                objects: 0,
                takes: Some(SimSpan::from_millis(millis.parse().expect("milliseconds"))),
                flows: flows.parse().expect("a number"),
                is_mutating: true,
            }),
            ["slow", millis] => {
                Command::SlowApi(SimSpan::from_millis(millis.parse().expect("milliseconds")))
            }
            ["ebb"] => Command::Ebb(None),
            ["ebb", nth] => Command::Ebb(Some(nth.parse().expect("a number"))),
            ["api", state] => Command::Api(state == "up"),
            ["evict", name, nth] => {
                Command::Evict(self.workload(name), nth.parse().expect("a position"))
            }
            [word, "zone", name] => Command::Zone(verb(word), self.zone(name)),
            [word, "node", name] => Command::Node(verb(word), self.node(name)),
            _ => panic!("cannot read the command {words:?}"),
        }
    }

    /// Runs the script and returns the simulation at its end.
    pub(crate) fn run(&self, seed: u64, until_secs: u64) -> Run {
        self.run_with(seed, until_secs, |_| {})
    }

    /// Runs the script on a cluster that is set up differently.
    pub(crate) fn run_with(
        &self,
        seed: u64,
        until_secs: u64,
        set_up: impl FnOnce(&mut Cluster),
    ) -> Run {
        let plan = ClusterPlan::with_templates(Arc::new(self.blueprint.clone()), &self.templates);
        let templates = (0..self.templates.len()).map(|number| plan.template(number)).collect();
        let mut cluster = plan.start(Streams::new(seed, 0));
        set_up(&mut cluster);
        let rig = Rig {
            cluster,
            script: Arc::new(self.script.clone()),
            templates,
            leaks: Vec::new(),
            strains: Vec::new(),
        };
        let mut simulation = Simulation::new(rig, Journal::new(), Limits::default());
        simulation.apply(|rig, ctx| rig.cluster.announce(ctx));
        for (idx, (at, _)) in self.script.iter().enumerate() {
            let command = RigEvent::Command(u32::try_from(idx).expect("scripts are short"));
            simulation.schedule_at(*at, Priority::new(2), command);
        }
        let outcome = simulation.run_until(SimTime::from_secs(until_secs));
        assert!(outcome.is_complete(), "{outcome}");
        Run { simulation, blueprint: self.blueprint.clone() }
    }
}

pub(crate) type Sim = Simulation<Rig, Journal<RigEvent, Observation>>;

/// A finished run.
pub(crate) struct Run {
    pub(crate) simulation: Sim,
    blueprint: Blueprint,
}

impl Run {
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.simulation.model().cluster
    }

    /// Times in seconds of the observations that `picks`.
    pub(crate) fn times(&self, picks: impl Fn(&Observation) -> bool) -> Vec<f64> {
        let records = self.simulation.recorder().observations().iter();
        records.filter(|it| picks(&it.observation)).map(|it| it.at.as_secs_f64()).collect()
    }

    fn pod(&self, pod: PodId) -> String {
        let view = self.cluster().pod(pod);
        let name = &self.blueprint.workloads[view.workload.index()].name;
        format!("{name}#{} ({})", view.ordinal, pod.0)
    }

    fn node(&self, node: NodeId) -> &str {
        &self.blueprint.nodes[node.index()].node.name
    }

    /// The observations after the start, one a line, in seconds; without what only figures are made of.
    pub(crate) fn timeline(&self) -> String {
        let mut text = String::new();
        for record in self.simulation.recorder().observations() {
            let is_figure = matches!(record.observation, Observation::MemberServes { .. });
            if record.at == SimTime::ZERO || is_figure {
                continue;
            }
            let line = self.line(&record.observation);
            text.push_str(&format!("{:8.2} {line}\n", record.at.as_secs_f64()));
        }
        text
    }

    fn line(&self, observation: &Observation) -> String {
        let zone = |zone: ZoneId| self.blueprint.zones[zone.index()].name.clone();
        let service = |id: ServiceId| self.blueprint.services[id.index()].name.clone();
        match *observation {
            Observation::ZoneLost { zone: id, .. } => format!("zone {} lost", zone(id)),
            Observation::ZoneRestored { zone: id } => format!("zone {} restored", zone(id)),
            Observation::NodeLost { node } => format!("{} lost", self.node(node)),
            Observation::NodeRestored { node } => format!("{} runs", self.node(node)),
            Observation::NodeBecameNotReady { node } => format!("{} NotReady", self.node(node)),
            Observation::NodeBecameReady { node } => format!("{} Ready", self.node(node)),
            Observation::NodeTaintedNoExecute { node } => format!("{} tainted", self.node(node)),
            Observation::NodeUntainted { node } => format!("{} untainted", self.node(node)),
            Observation::PodCreated { pod, .. } => format!("{} created", self.pod(pod)),
            Observation::PodBound { pod, node, .. } => {
                format!("{} bound to {}", self.pod(pod), self.node(node))
            }
            Observation::PodBecameUnschedulable { pod, reason, .. } => {
                format!("{} unschedulable: {reason:?}", self.pod(pod))
            }
            Observation::PodImagePulled { pod, .. } => format!("{} has images", self.pod(pod)),
            Observation::PodImagePullFailed { pod, .. } => {
                format!("{} pull failed", self.pod(pod))
            }
            Observation::PodCreationRefused { workload } => {
                format!("pods of {} refused", self.blueprint.workloads[workload.index()].name)
            }
            Observation::PodVolumesExpected { pod, at_ns, .. } => {
                let at = SimTime::from_nanos(at_ns).as_secs_f64();
                format!("{} volumes from {at:.2} on", self.pod(pod))
            }
            Observation::PodVolumeHeld { pod, .. } => format!("{} volume held", self.pod(pod)),
            Observation::PodStarted { pod, .. } => format!("{} started", self.pod(pod)),
            Observation::PodBecameReady { pod, .. } => format!("{} Ready", self.pod(pod)),
            Observation::PodBecameUnready { pod, reason, .. } => {
                format!("{} not Ready: {reason:?}", self.pod(pod))
            }
            Observation::PodDeletionRequested { pod, reason, .. } => {
                format!("{} deleted: {reason:?}", self.pod(pod))
            }
            Observation::PodGone { pod, .. } => format!("{} gone", self.pod(pod)),
            Observation::EndpointsChanged { service: id, ready_count, live_count } => {
                format!("service {}: {ready_count} routed, {live_count} live", service(id))
            }
            Observation::ContainersKilled { pod, reason, .. } => {
                format!("{} killed: {reason:?}", self.pod(pod))
            }
            Observation::NodePressureStarted { node, resource } => match resource {
                NodeResource::Memory => format!("{} under pressure", self.node(node)),
                _ => format!("{} short of {}", self.node(node), resource.words()),
            },
            Observation::NodePressureEnded { node, .. } => format!("{} relieved", self.node(node)),
            Observation::PodEvicted { pod, node, .. } => {
                format!("{} evicted from {}", self.pod(pod), self.node(node))
            }
            Observation::PodRefused { pod, node, .. } => {
                format!("{} refused by {}", self.pod(pod), self.node(node))
            }
            ref other => format!("{other:?}"),
        }
    }
}

/// MiB an hour.
fn per_hour(mebibytes: u64) -> Growth {
    Growth { bytes_per_day: mebibytes * (24 << 20) }
}

pub(crate) fn selector(name: &str) -> LabelSelector {
    LabelSelector { match_labels: labels(&[("app", name)]), match_expressions: Vec::new() }
}
