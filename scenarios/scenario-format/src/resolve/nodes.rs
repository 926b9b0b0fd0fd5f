//! Zones and nodes of a platform.

use std::collections::BTreeMap;

use model_api::blueprint::{NodeSpec, Zone};
use model_api::kube::{Node, ResourceList, Taint, TaintEffect};
use model_api::machines::{BootTime, NodeGroup, ShutdownGrace};
use model_api::{NodeId, Parameters, SimSpan, ZoneId};

use super::{sense, skew};
use crate::diagnostic::{Code, Diagnostic, has_errors};
use crate::document::{
    ControllersSpec, MinorVersion, NodePoolSpec, PlatformSpec, PoolAutoscalingSpec,
};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};

/// The pool of a node, which its name begins with: `<pool>-<zone>-<number>`.
pub(super) fn pool_of<'a>(node: &'a str, zone: &str) -> Option<&'a str> {
    let (rest, _) = node.rsplit_once('-')?;
    rest.strip_suffix(zone)?.strip_suffix('-')
}

/// Pods that a node holds when nothing is stated: `maxPods` of the kubelet.
const PODS_PER_NODE: i64 = 110;
/// Most nodes of a platform.
const NODES_MAX: usize = 20_000;

pub(super) struct Placed {
    pub(super) zones: Vec<Zone>,
    pub(super) nodes: Vec<NodeSpec>,
    pub(super) groups: Vec<NodeGroup>,
    pub(super) member_zones: Vec<ZoneId>,
    pub(super) etcd_zones: Vec<ZoneId>,
    pub(super) controller_manager_zones: Vec<ZoneId>,
    pub(super) scheduler_zones: Vec<ZoneId>,
}

pub(super) fn place(spec: &PlatformSpec, diagnostics: &mut Vec<Diagnostic>) -> Placed {
    let zones = zones(spec, diagnostics);
    let names: Vec<String> = zones.iter().map(|zone| zone.name.clone()).collect();
    let version = spec.control_plane.version;
    let hard_nodefs = spec.parameters.as_ref().and_then(|it| it.eviction_hard_nodefs);
    let eviction_hard_nodefs_ppm =
        hard_nodefs.map_or(Parameters::default().eviction_hard_nodefs_ppm, |share| share.value.ppm);
    let region = &spec.region.name.value;
    let builder = Builder { region, version, names: &names, eviction_hard_nodefs_ppm };
    skew::refuse_pools(spec, diagnostics);
    let (mut nodes, mut groups) = (Vec::new(), Vec::new());
    let mut pools: BTreeMap<&str, Span> = BTreeMap::new();
    for pool in &spec.node_pools {
        if let Some(first) = pools.insert(&pool.name.value, pool.name.span) {
            let message = format!("there is a node pool `{}` already", pool.name.value);
            diagnostics.push(
                Diagnostic::new(Code::E0018, pool.name.span, message).related(first, "first here"),
            );
        }
        builder.pool(pool, &mut nodes, &mut groups, diagnostics);
    }
    // Of a pool that is wrong in itself it was said already.
    if nodes.is_empty() && !has_errors(diagnostics) {
        let message = "the platform has no worker node";
        diagnostics.push(Diagnostic::new(Code::E0027, spec.span, message));
    }
    let member_zones = builder.members(spec, &mut nodes, diagnostics);
    let etcd_zones = builder.etcd_members(spec, diagnostics);
    let control_plane = &spec.control_plane;
    let mut replicas = |stated: &Option<ControllersSpec>, what: &str| {
        builder.replicas(stated.as_ref(), what, diagnostics)
    };
    let controller_manager_zones =
        replicas(&control_plane.controller_manager, "controller manager");
    let scheduler_zones = replicas(&control_plane.scheduler, "scheduler");
    Placed {
        zones,
        nodes,
        groups,
        member_zones,
        etcd_zones,
        controller_manager_zones,
        scheduler_zones,
    }
}

/// Sets of zones are bits of a word.
const ZONES_MAX: usize = 64;

fn zones(spec: &PlatformSpec, diagnostics: &mut Vec<Diagnostic>) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for zone in &spec.zones {
        if zones.iter().any(|known| known.name == zone.name.value) || zone.name.value == "random" {
            let message = match zone.name.value.as_str() {
                "random" => {
                    "a zone must not be called `random`: faults mean any zone by it".to_owned()
                }
                name => format!("there is a zone `{name}` already"),
            };
            diagnostics.push(Diagnostic::new(Code::E0018, zone.name.span, message));
            continue;
        }
        let jurisdiction = zone.jurisdiction.as_ref().unwrap_or(&spec.region.jurisdiction);
        zones.push(Zone {
            name: zone.name.value.clone(),
            jurisdiction: jurisdiction.value.clone(),
            node_limit: zone.node_limit.map(|limit| limit.value),
            origin: zone.span.origin(),
        });
    }
    if zones.is_empty() {
        diagnostics.push(Diagnostic::new(Code::E0027, spec.span, "the platform has no zone"));
    }
    if let Some(beyond) = spec.zones.get(ZONES_MAX) {
        let message = format!("a platform has up to {ZONES_MAX} zones, not {}", spec.zones.len());
        diagnostics.push(Diagnostic::new(Code::E0021, beyond.name.span, message));
    }
    zones
}

struct Builder<'a> {
    region: &'a str,
    /// Of the control plane.
    version: Option<Spanned<MinorVersion>>,
    names: &'a [String],
    eviction_hard_nodefs_ppm: u32,
}

impl Builder<'_> {
    fn zone(&self, name: &Spanned<String>, diagnostics: &mut Vec<Diagnostic>) -> Option<ZoneId> {
        let found = self.names.iter().position(|known| *known == name.value);
        if found.is_none() {
            diagnostics.push(unknown_zone(name, self.names));
        }
        found.map(ZoneId::from_index)
    }

    /// What pods may request of a disk: what is left without the hard threshold
    /// (pkg/kubelet/cm/node_container_manager_linux.go, 1.36).
    fn allocatable_disk(&self, bytes: u64) -> i64 {
        let hard_ppm = u128::from(self.eviction_hard_nodefs_ppm);
        let left = u128::from(bytes) * (1_000_000 - hard_ppm.min(999_999)) / 1_000_000;
        i64::try_from(left).unwrap_or(i64::MAX).min(DISK_MAX - 1)
    }

    /// Nodes of a pool, zone by zone.
    fn pool(
        &self,
        pool: &NodePoolSpec,
        nodes: &mut Vec<NodeSpec>,
        groups: &mut Vec<NodeGroup>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let millis = i64::try_from(pool.cpu.value.millis).unwrap_or(i64::MAX);
        let bytes = i64::try_from(pool.memory.value.count).unwrap_or(i64::MAX);
        let pods = pool.pods.map_or(PODS_PER_NODE, |pods| i64::from(pods.value));
        let disk = pool.disk.map(|disk| self.allocatable_disk(disk.value.count));
        let allocatable = allocatable(millis, bytes, pods, disk);
        let version = pool.version.or(self.version).map(|version| version.value.0);
        let autoscaling = pool.autoscaling.as_ref();
        sense::refuse_empty_pool(pool, diagnostics);
        let shutdown_grace = shutdown_grace(pool, diagnostics);
        if autoscaling.is_some_and(|it| refuse_bounds(pool, it, diagnostics)) {
            return;
        }
        let most = autoscaling.map_or(pool.count_per_zone, |it| it.max_per_zone);
        let count = most.value as usize;
        if nodes.len() + count * pool.zones.len() > NODES_MAX {
            let message = format!("a platform has at most {NODES_MAX} nodes");
            diagnostics.push(Diagnostic::new(Code::E0021, most.span, message));
            return;
        }
        for zone_name in &pool.zones {
            let Some(zone) = self.zone(zone_name, diagnostics) else { continue };
            if let Some(autoscaling) = autoscaling {
                let first = nodes.len();
                groups.push(NodeGroup {
                    name: format!("{}-{}", pool.name.value, zone_name.value),
                    zone,
                    nodes: (first..first + count).map(NodeId::from_index).collect(),
                    initial: pool.count_per_zone.value,
                    min: autoscaling.min_per_zone.value,
                    boot: boot_time(autoscaling),
                    origin: pool.span.origin(),
                });
            }
            for number in 1..=count {
                let name = format!("{}-{}-{number}", pool.name.value, zone_name.value);
                let mut labels = self.labels(&name, &zone_name.value);
                for (key, value) in &pool.labels.0 {
                    labels.insert(key.value.clone(), value.value.clone());
                }
                let taints = pool.taints.iter().map(|taint| Taint {
                    key: taint.key.value.clone(),
                    value: taint.value.clone().map(|value| value.value).unwrap_or_default(),
                    effect: taint.effect.value,
                });
                let annotations = pool.annotations.0.iter();
                let node = Node {
                    name,
                    labels,
                    annotations: annotations
                        .map(|(key, value)| (key.value.clone(), value.value.clone()))
                        .collect(),
                    taints: taints.collect(),
                    allocatable: allocatable.clone(),
                    attach_limit: pool.attach_limit.map(|it| it.value),
                    ..Node::default()
                };
                let origin = pool.span.origin();
                nodes.push(NodeSpec {
                    node,
                    zone,
                    is_control_plane: false,
                    version,
                    shutdown_grace: shutdown_grace.clone(),
                    origin,
                });
            }
        }
    }

    /// Members of the control plane, each on a machine that takes no other pods.
    fn members(
        &self,
        spec: &PlatformSpec,
        nodes: &mut Vec<NodeSpec>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<ZoneId> {
        const LABEL: &str = "node-role.kubernetes.io/control-plane";
        let mut member_zones: Vec<ZoneId> = Vec::new();
        for zone_name in &spec.control_plane.zones {
            let Some(zone) = self.zone(zone_name, diagnostics) else { continue };
            let number = member_zones.iter().filter(|have| **have == zone).count() + 1;
            member_zones.push(zone);
            let name = format!("control-plane-{}-{number}", zone_name.value);
            let mut labels = self.labels(&name, &zone_name.value);
            labels.insert(LABEL.to_owned(), String::new());
            let node = Node {
                name,
                labels,
                taints: vec![Taint {
                    key: LABEL.to_owned(),
                    value: String::new(),
                    effect: TaintEffect::NoSchedule,
                }],
                allocatable: allocatable(4000, 16 << 30, PODS_PER_NODE, None),
                ..Node::default()
            };
            let origin = spec.control_plane.span.origin();
            nodes.push(NodeSpec {
                node,
                zone,
                is_control_plane: true,
                origin,
                ..NodeSpec::default()
            });
        }
        if member_zones.is_empty() {
            let message = "the control plane has no member";
            let span = spec.control_plane.span;
            diagnostics.push(Diagnostic::new(Code::E0027, span, message));
        }
        member_zones
    }

    /// Members of an etcd on machines of its own, which are no nodes.
    fn etcd_members(&self, spec: &PlatformSpec, diagnostics: &mut Vec<Diagnostic>) -> Vec<ZoneId> {
        let Some(etcd) = &spec.control_plane.etcd else { return Vec::new() };
        if etcd.zones.is_empty() {
            let message = "an etcd of its own has no member";
            diagnostics.push(Diagnostic::new(Code::E0027, etcd.span, message));
        }
        etcd.zones.iter().filter_map(|zone| self.zone(zone, diagnostics)).collect()
    }

    /// Replicas of a controller on machines of their own, which are no nodes.
    fn replicas(
        &self,
        stated: Option<&ControllersSpec>,
        what: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<ZoneId> {
        let Some(stated) = stated else { return Vec::new() };
        if stated.zones.is_empty() {
            let message = format!("a {what} of its own has no replica");
            diagnostics.push(Diagnostic::new(Code::E0027, stated.span, message));
        }
        stated.zones.iter().filter_map(|zone| self.zone(zone, diagnostics)).collect()
    }

    /// The labels that a kubelet and the cloud provider set.
    fn labels(&self, name: &str, zone: &str) -> BTreeMap<String, String> {
        [
            ("kubernetes.io/hostname", name),
            ("kubernetes.io/arch", "amd64"),
            ("kubernetes.io/os", "linux"),
            ("topology.kubernetes.io/region", self.region),
            ("topology.kubernetes.io/zone", zone),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}

/// Says what is wrong with the bounds of a pool, if anything is.
fn refuse_bounds(
    pool: &NodePoolSpec,
    autoscaling: &PoolAutoscalingSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let (count, min, max) =
        (pool.count_per_zone, autoscaling.min_per_zone, autoscaling.max_per_zone);
    let mut refuse = |smaller: Spanned<u32>, larger: Spanned<u32>, message: &str| {
        let is_wrong = smaller.value > larger.value;
        if is_wrong {
            let diagnostic = Diagnostic::new(Code::E0021, smaller.span, message);
            diagnostics.push(diagnostic.related(larger.span, "this is less"));
        }
        is_wrong
    };
    let is_empty = max.value == 0;
    let is_wrong = refuse(min, max, "the fewest nodes are more than the most")
        || refuse(count, max, "there are more nodes at the start than there may be");
    if is_empty && !is_wrong {
        let message = "a pool that may have no node needs no `autoscaling`";
        diagnostics.push(Diagnostic::new(Code::E0021, max.span, message));
    }
    let boot = autoscaling.boot_time.as_ref();
    let is_boot_wrong = boot.is_some_and(|it| it.p95.value < it.median.value);
    if let Some(boot) = boot.filter(|_| is_boot_wrong) {
        let message = "95 of 100 nodes need at least as long as half of them";
        let diagnostic = Diagnostic::new(Code::E0021, boot.p95.span, message);
        diagnostics.push(diagnostic.related(boot.median.span, "half of them need this"));
    }
    is_wrong || is_empty || is_boot_wrong
}

fn boot_time(autoscaling: &PoolAutoscalingSpec) -> BootTime {
    let stated = autoscaling.boot_time.as_ref();
    stated.map_or_else(BootTime::default, |boot| BootTime {
        median: boot.median.value,
        p95: boot.p95.value,
    })
}

pub(super) fn unknown_zone(name: &Spanned<String>, names: &[String]) -> Diagnostic {
    let candidates: Vec<&str> = names.iter().map(String::as_str).collect();
    Diagnostic::new(Code::E0016, name.span, format!("there is no zone `{}`", name.value))
        .help_if(suggestion(&name.value, candidates))
}

/// More than any disk that is stated.
pub(super) const DISK_MAX: i64 = 1 << 60;

fn allocatable(cpu_millis: i64, memory_bytes: i64, pods: i64, disk: Option<i64>) -> ResourceList {
    let amounts = [
        (ResourceList::CPU, cpu_millis),
        (ResourceList::MEMORY, memory_bytes),
        (ResourceList::PODS, pods),
        // Simplified: a local disk whose size is not stated never runs out.
        (ResourceList::EPHEMERAL_STORAGE, disk.unwrap_or(DISK_MAX)),
    ];
    ResourceList(amounts.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect())
}

/// How long pods have when a machine of the pool shuts down, with the limits that the kubelet checks
/// (`pkg/kubelet/apis/config/validation/validation.go`, 1.36).
fn shutdown_grace(pool: &NodePoolSpec, diagnostics: &mut Vec<Diagnostic>) -> ShutdownGrace {
    let Some(kubelet) = &pool.kubelet else { return ShutdownGrace::default() };
    let total = kubelet.shutdown_grace_period;
    let critical = kubelet.shutdown_grace_period_critical_pods;
    let mut refuse = |span: Span, message: &str| {
        diagnostics.push(Diagnostic::new(Code::E0092, span, message));
    };
    for period in [total, critical].into_iter().flatten() {
        if !period.value.is_zero() && period.value < SimSpan::from_secs(1) {
            refuse(period.span, "a period of a shutdown is a second or more, or zero");
        }
    }
    let by_priority = &kubelet.shutdown_grace_period_by_pod_priority;
    if let (Some(stated), Some(_)) = (total.or(critical), by_priority.first()) {
        refuse(stated.span, "periods by priority stand in the place of this one, not beside it");
    }
    let span = |stated: Option<Spanned<SimSpan>>| stated.map(|it| it.value).unwrap_or_default();
    let (total, kept) = (span(total), span(critical));
    if let Some(critical) = critical.filter(|_| kept > total) {
        refuse(critical.span, "critical pods have a part of shutdownGracePeriod, not more");
    }
    let by_priority = by_priority.iter().map(|it| {
        let seconds = u64::from(it.shutdown_grace_period_seconds.value);
        (it.priority.value, SimSpan::from_secs(seconds))
    });
    ShutdownGrace { total, critical: kept, by_priority: by_priority.collect() }
}
