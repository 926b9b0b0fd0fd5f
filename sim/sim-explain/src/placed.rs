//! The cluster as the manifests fill it: every pod where the scheduler puts it, one after the other.

use model_api::blueprint::{Blueprint, NodeSpec};
use model_api::kube::{PersistentVolumeClaim, VolumeBindingMode, Workload, WorkloadKind};
use model_api::observation::UnschedulableReason;
use model_api::{NodeId, PodId};
use model_kube::daemon_set::should_run;
use model_kube::disruption::{Covered, Demand, status_of};
use model_kube::kubelet_admission;
use model_kube::scheduling::{
    Attempt, Claim, ClaimClass, Placement, PodDescription, SchedulerCache, ShapeId, UnboundClaim,
    VolumesId, default_selector,
};

use crate::refusal::{Refusal, one_of};

/// A cluster with pods on its nodes.
pub(crate) struct Placed<'a> {
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) cache: SchedulerCache,
    /// By workload.
    pub(crate) shapes: Vec<ShapeId>,
    volumes: Vec<VolumesId>,
    /// By pod id: the workload it is of.
    pub(crate) pods: Vec<usize>,
    /// By workload: pods that found no node.
    pub(crate) waiting: Vec<u32>,
}

/// The nodes that are there at the start, with their positions: not those that a node group may
/// get.
pub(crate) fn nodes(blueprint: &Blueprint) -> impl Iterator<Item = (usize, &NodeSpec)> {
    let there = blueprint.nodes.iter().enumerate().zip(blueprint.spare_nodes());
    there.filter(|(_, is_spare)| !is_spare).map(|(node, _)| node)
}

/// Names of workloads, `namespace/name`.
pub(crate) fn workload_names(blueprint: &Blueprint) -> Vec<String> {
    blueprint.workloads.iter().map(|it| format!("{}/{}", it.namespace, it.name)).collect()
}

/// The workload that a name of a pod means: a workload's own name, or that of one of its pods as
/// StatefulSets number and Deployments hash them.
pub(crate) fn workload_of_pod(blueprint: &Blueprint, pod: Option<&str>) -> Result<usize, Refusal> {
    let names = workload_names(blueprint);
    let found = one_of("pod or workload", pod, &names);
    let Some(pod) = pod.filter(|_| found.is_err()) else { return found };
    // `web-0`, `web-6d5f8c7b9-x2x4z`: up to two words behind the name of the workload.
    let mut shorter = pod;
    for _ in 0..2 {
        let Some((front, _)) = shorter.rsplit_once('-') else { break };
        shorter = front;
        if let Ok(idx) = one_of("pod or workload", Some(shorter), &names) {
            return Ok(idx);
        }
    }
    found
}

/// `deployment shop/web`.
pub(crate) fn title(workload: &Workload) -> String {
    format!("{} {}/{}", workload.kind.name(), workload.namespace, workload.name)
}

impl<'a> Placed<'a> {
    /// All nodes that are there, no pod.
    pub(crate) fn empty(blueprint: &'a Blueprint) -> Self {
        let mut cache = SchedulerCache::new();
        for (idx, spec) in nodes(blueprint) {
            cache.add_node(NodeId::from_index(idx), &spec.node);
        }
        let (mut shapes, mut volumes) = (Vec::new(), Vec::new());
        for workload in &blueprint.workloads {
            let owner = workload.selector.as_ref();
            let labels = &workload.template.labels;
            let selector =
                default_selector(&workload.namespace, labels, &blueprint.services, owner);
            shapes.push(cache.compile(PodDescription {
                namespace: &workload.namespace,
                template: &workload.template,
                default_selector: selector.as_ref(),
            }));
            volumes.push(cache.volumes(claims(blueprint, workload)));
        }
        let waiting = vec![0; blueprint.workloads.len()];
        Self { blueprint, cache, shapes, volumes, pods: Vec::new(), waiting }
    }

    /// Every pod placed: of higher priority first, then in the order of the input; of `but` only so
    /// many. Of equally good nodes the first is taken, where upstream draws.
    pub(crate) fn filled(blueprint: &'a Blueprint, but: Option<(usize, u32)>) -> Self {
        let mut placed = Self::empty(blueprint);
        let mut order: Vec<usize> = (0..blueprint.workloads.len()).collect();
        let priority = |idx: &usize| blueprint.workloads[*idx].template.spec.priority;
        order.sort_by_key(|idx| std::cmp::Reverse(priority(idx)));
        for idx in order {
            let workload = &blueprint.workloads[idx];
            if matches!(workload.kind, WorkloadKind::DaemonSet { .. }) {
                placed.put_on_every_node(idx);
                continue;
            }
            let count = but.filter(|(known, _)| *known == idx).map(|(_, count)| count);
            placed.put(idx, count.unwrap_or(workload.replicas));
        }
        placed
    }

    /// The question that the next pod of a workload is.
    pub(crate) fn attempt(&self, workload_idx: usize) -> Attempt {
        let pod = Some(PodId::from_index(self.pods.len()));
        let (shape, volumes) = (self.shapes[workload_idx], self.volumes[workload_idx]);
        Attempt { volumes, pod, ..Attempt::new(shape) }
    }

    /// Places so many pods of a workload. When one finds no node, those after it find none either:
    /// they are alike, and the cluster only got fuller.
    pub(crate) fn put(&mut self, workload_idx: usize, count: u32) {
        if let Some(name) = &self.blueprint.workloads[workload_idx].template.spec.node_name {
            for _ in 0..count {
                match self.admit(workload_idx, name) {
                    Some((node, Ok(()))) => self.bind(workload_idx, node),
                    _ => self.waiting[workload_idx] += 1,
                }
            }
            return;
        }
        for done in 0..count {
            let attempt = self.attempt(workload_idx);
            match self.cache.attempt(attempt, |_| 0) {
                Placement::Node(node) => self.bind(workload_idx, node),
                Placement::Unschedulable(_) => {
                    self.waiting[workload_idx] += count - done;
                    return;
                }
            }
        }
    }

    /// The node that a pod of a workload names, and what its kubelet makes of one more; `None` when
    /// there is no such node.
    pub(crate) fn admit(
        &self,
        workload_idx: usize,
        name: &str,
    ) -> Option<(NodeId, Result<(), UnschedulableReason>)> {
        let (idx, spec) = self.nodes().find(|(_, it)| it.node.name == name)?;
        let (node, taints) = (NodeId::from_index(idx), &spec.node.taints);
        let pod = &self.blueprint.workloads[workload_idx].template.spec;
        let attempt = self.attempt(workload_idx);
        Some((node, kubelet_admission::admit(&self.cache, attempt, node, pod, taints)))
    }

    fn put_on_every_node(&mut self, workload_idx: usize) {
        let spec = &self.blueprint.workloads[workload_idx].template.spec;
        for (idx, node) in self.nodes() {
            if !should_run(spec, &node.node) {
                continue;
            }
            let node = NodeId::from_index(idx);
            if self.cache.check(self.shapes[workload_idx], None, node).is_ok() {
                self.bind(workload_idx, node);
            } else {
                self.waiting[workload_idx] += 1;
            }
        }
    }

    fn bind(&mut self, workload_idx: usize, node: NodeId) {
        let pod = PodId::from_index(self.pods.len());
        let (shape, volumes) = (self.shapes[workload_idx], self.volumes[workload_idx]);
        self.cache.add_pod_with_volumes(pod, shape, node, volumes);
        self.pods.push(workload_idx);
    }

    /// Takes the pods of a workload off one node.
    pub(crate) fn take_off(&mut self, workload_idx: usize, node: NodeId) {
        let on_it = self.cache.pods_on(node).to_vec();
        for pod in on_it.into_iter().filter(|pod| self.pods[pod.index()] == workload_idx) {
            self.cache.remove_pod(pod);
        }
    }

    /// Takes the pods of some workloads off their nodes, as if they were not looked at.
    pub(crate) fn forget(&mut self, is_meant: impl Fn(&usize) -> bool) {
        for (pod, _) in self.pods.iter().enumerate().filter(|(_, idx)| is_meant(idx)) {
            self.cache.remove_pod(PodId::from_index(pod));
        }
    }

    /// The nodes that are there; see [`nodes`].
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (usize, &'a NodeSpec)> + use<'a> {
        nodes(self.blueprint)
    }

    /// Name of a node.
    pub(crate) fn node_name(&self, node: NodeId) -> &str {
        &self.blueprint.nodes[node.index()].node.name
    }

    /// Name of the zone of a node.
    pub(crate) fn zone_name(&self, node: NodeId) -> &str {
        let zone = self.blueprint.nodes[node.index()].zone;
        &self.blueprint.zones[zone.index()].name
    }

    /// What each budget allows while every placed pod is healthy.
    pub(crate) fn disruptions_allowed(&self) -> Vec<i32> {
        let workloads = &self.blueprint.workloads;
        let mut placed = vec![0_u32; workloads.len()];
        self.pods.iter().for_each(|idx| placed[*idx] += 1);
        let allowed = self.blueprint.budgets.iter().map(|budget| {
            let selected = |workload: &Workload| {
                budget.namespace == workload.namespace
                    && budget
                        .selector
                        .as_ref()
                        .is_some_and(|it| it.matches(&workload.template.labels))
            };
            let covered = workloads.iter().enumerate().filter(|(_, it)| selected(it));
            let covered = covered.map(|(idx, workload)| {
                let healthy = placed[idx];
                let pod_count = healthy.saturating_add(self.waiting[idx]);
                Covered {
                    kind: &workload.kind,
                    replicas: workload.replicas,
                    pod_count,
                    healthy_count: healthy,
                }
            });
            let covered: Vec<Covered<'_>> = covered.filter(|it| it.pod_count > 0).collect();
            status_of(Demand::of(budget), &covered).unwrap_or_default().disruptions_allowed
        });
        allowed.collect()
    }

    /// Pods that found no node, as a sentence; `None` when all did.
    pub(crate) fn who_waits(&self) -> Option<String> {
        let waiting = self.waiting.iter().enumerate().filter(|(_, count)| **count > 0);
        let each = waiting.map(|(idx, count)| {
            let workload = &self.blueprint.workloads[idx];
            format!("{count} of {}/{}", workload.namespace, workload.name)
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("no node takes these other pods: {}", each.join(", ")))
    }
}

/// The claims of each pod of a workload, none of them bound yet.
fn claims(blueprint: &Blueprint, workload: &Workload) -> Vec<Claim> {
    let mut claims = Vec::new();
    match &workload.kind {
        WorkloadKind::StatefulSet { claims: templates, .. } => {
            claims.extend(templates.iter().map(|claim| unbound(blueprint, workload, claim)));
        }
        WorkloadKind::DatabaseInstances => {
            claims.push(unbound(blueprint, workload, &PersistentVolumeClaim::default()));
        }
        _ => {}
    }
    for name in &workload.template.spec.claim_names {
        let is_it = |claim: &&PersistentVolumeClaim| {
            claim.namespace == workload.namespace && claim.name == *name
        };
        let found = blueprint.claims.iter().find(is_it);
        let named = |claim: &PersistentVolumeClaim| {
            let mut named = unbound(blueprint, workload, claim);
            if let Claim::Unbound(unbound) = &mut named {
                unbound.is_read_write_once_pod = claim.is_of_one_pod;
            }
            named
        };
        claims.push(found.map_or(Claim::Missing, named));
    }
    claims
}

/// A claim of a class that binds when its pod is placed, or that binds before: then its volume is
/// taken to be reachable from everywhere.
///
/// Simplified: a run knows its zone by the name of the claim, which has the number of a pod; which pod of
/// a set is asked about is not said here.
fn unbound(blueprint: &Blueprint, workload: &Workload, claim: &PersistentVolumeClaim) -> Claim {
    let class = blueprint.storage_classes.iter().find(|known| match &claim.storage_class {
        Some(name) => known.name == *name,
        None => known.is_default,
    });
    let provisioner = class.map_or("csi", |class| class.provisioner.as_str());
    let binds_late =
        class.is_none_or(|class| class.binding_mode == VolumeBindingMode::WaitForFirstConsumer);
    let has_provisioner = !binds_late || provisioner != "kubernetes.io/no-provisioner";
    Claim::Unbound(UnboundClaim {
        name: format!("{}/{}", workload.namespace, claim.name),
        is_read_write_once_pod: false,
        class: ClaimClass::WaitForFirstConsumer {
            provisioner: has_provisioner.then(|| provisioner.to_owned()),
            allowed_topologies: Vec::new(),
            available: Vec::new(),
            selected_node: None,
        },
    })
}
