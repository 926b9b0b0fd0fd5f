//! Volumes that one node at a time may mount.
//!
//! # Modelled
//! A volume stays attached until no pod object on its node needs it any more; then it is detached
//! at once from a node whose kubelet confirms, or that is tainted out of service, and by force
//! after 6 minutes from a node that is silent. A pod on another node waits (`Multi-Attach error`)
//! and tries again ever more slowly. Nodes that attach so many volumes take no pod with another one:
//! the scheduler counts those of the pods that it has there. A claim that is `ReadWriteOncePod` is used
//! by one pod: the scheduler binds no other one, and a more important one preempts it. Volumes of a class
//! with `volumeBindingMode: Immediate` are made when a pod is, in the zone that the name of their claim
//! leads to (see [`model_api::kube::early_claims`]); where those of one pod are in two zones, it fits no
//! node. An instance of CloudNativePG whose volumes are destroyed gets a new number, and so perhaps
//! another zone. A class with `allowedTopologies` makes volumes in the zones that these name, and pods without
//! a volume go to nodes there. Volumes that are restored for those that a zone took with it stand where their pods are
//! bound next.
//! A volume is attached to another node by the controller manager, and, where it is the cloud's, by that: while
//! one of them does not answer, its pod waits (see `cloud.rs`).
//! # Not modelled
//! A CSI driver that is away; a kubelet
//! that comes back within the 6 minutes frees the volume no earlier for pods that already wait.
//! # Defaults and their sources
//! `pkg/controller/volume/attachdetach/reconciler/reconciler.go` (`maxWaitForUnmountDuration`
//! 6 min), `pkg/util/goroutinemap/exponentialbackoff` (500 ms, doubled up to 2 min 2 s), 1.36.
//! # Invariants
//! No volume is attached to two nodes.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::kube::{PersistentVolumeClaim, StorageClass, Workload, WorkloadKind, zone_position};
use model_api::observation::DeletionReason;
use model_api::{Blueprint, NodeId, Observation, PodId, WorkloadId, ZoneId};
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::pod::{PodPhase, PodState};
use super::{Cluster, KubeEvent};
use crate::rare;
use crate::scheduling::queue::ClusterEvent;
use crate::scheduling::{BoundClaim, Claim, SchedulerCache, ShapeId, Subject, VolumesId};

/// How long a silent node keeps a volume that nobody needs on it.
const FORCE_DETACH: SimSpan = SimSpan::from_mins(6);
const RETRY_LEAST: SimSpan = SimSpan::from_millis(500);
const RETRY_MOST: SimSpan = SimSpan::from_secs(122);

/// The first try to attach at or after `free_at`, when the first one was made at `start`.
fn try_at_or_after(start: SimTime, free_at: SimTime) -> SimTime {
    let (mut at, mut gap) = (start, RETRY_LEAST);
    while at < free_at {
        at += gap;
        gap = (gap * 2).min(RETRY_MOST);
    }
    at
}

/// The volumes of one ordinal, or those that all pods of a workload share.
#[derive(Clone, Debug, Default)]
pub(super) struct Attachment {
    node: Option<NodeId>,
    /// Pods whose objects need it there.
    users: Vec<PodId>,
    /// When it can go to another node, once it has no users.
    free_at: SimTime,
    /// It is taken from its node by force.
    is_forced: bool,
    /// Pods on other nodes, with the time of their first try.
    waiting: Vec<(PodId, SimTime)>,
}

/// By workload and ordinal.
pub(super) type Attachments = BTreeMap<(WorkloadId, u32), Attachment>;

/// By workload: its pods have claims that one node at a time may mount.
pub(super) fn exclusive(blueprint: &Blueprint) -> Vec<bool> {
    let of = |workload: &Workload| {
        let is_exclusive = |claim: &PersistentVolumeClaim| !claim.is_shared;
        let named = workload.template.spec.claim_names.iter().any(|name| {
            let mut claims = blueprint.claims.iter();
            let found =
                claims.find(|claim| claim.namespace == workload.namespace && claim.name == *name);
            found.is_some_and(is_exclusive)
        });
        named
            || match &workload.kind {
                WorkloadKind::StatefulSet { claims, .. } => claims.iter().any(is_exclusive),
                WorkloadKind::DatabaseInstances => true,
                _ => false,
            }
    };
    blueprint.workloads.iter().map(of).collect()
}

/// Who attaches volumes. Simplified: each node has one limit, for all drivers together.
pub(super) const DRIVER: &str = "csi";

/// Claims that a single pod may use, where their volumes stand.
fn claims_of_one_pod(names: &[String], node: Option<&str>, zone: Option<&str>) -> Vec<Claim> {
    let place = || match (node, zone) {
        (Some(node), _) => Claim::on_node(node),
        (None, Some(zone)) => Claim::in_zone(zone),
        (None, None) => Claim::Bound(BoundClaim::default()),
    };
    names.iter().map(|name| place().of_one_pod(name)).collect()
}

/// Claims of a class that allows some zones only, as long as they have no volume.
pub(super) fn limits(classes: impl Iterator<Item = StorageClass>) -> Vec<Claim> {
    let is_limited = |class: &StorageClass| !class.is_local && !class.allowed_zones.is_empty();
    classes
        .filter(is_limited)
        .map(|class| Claim::made_in(&class.provisioner, class.allowed_zones))
        .collect()
}

/// Lets a cache know, before runs begin that share it, what runs may ask of such claims.
pub(super) fn foresee(blueprint: &Blueprint, names: &[String], cache: &mut SchedulerCache) {
    let zones = blueprint.zones.iter().map(|zone| Some(zone.name.as_str()));
    for zone in zones.chain([None]).filter(|_| !names.is_empty()) {
        cache.volumes(claims_of_one_pod(names, None, zone));
    }
}

/// Lets a cache know, before runs begin that share it, that volumes of one pod may be in two zones.
pub(super) fn foresee_two_zones(blueprint: &Blueprint, cache: &mut SchedulerCache) {
    let zones = || blueprint.zones.iter().map(|zone| zone.name.as_str());
    for (first, other) in zones().flat_map(|first| zones().map(move |other| (first, other))) {
        if first != other {
            cache.volumes(vec![Claim::in_zone(first), Claim::in_zone(other)]);
        }
    }
}

impl Cluster {
    /// Makes the volumes of a pod that its claims get at once, unless they are there.
    pub(super) fn make_early_volumes(&mut self, workload: WorkloadId, ordinal: u32) {
        let tables = self.tables.clone();
        let early = &tables.early_claims[workload.index()];
        let state = &self.workloads[workload.index()];
        if early.is_empty() || state.volume_zone(ordinal).is_some() {
            return;
        }
        let number = state.claim_number(ordinal);
        let mut zones: Vec<ZoneId> = Vec::new();
        for (spec, node) in self.blueprint.nodes.iter().zip(&self.nodes) {
            if !node.is_deleted && !zones.contains(&spec.zone) {
                zones.push(spec.zone);
            }
        }
        zones.sort_by_key(|zone| self.blueprint.zones[zone.index()].name.as_str());
        for claim in early {
            let allows = |zone: &&ZoneId| claim.allows(&self.blueprint.zones[zone.index()].name);
            let allowed: Vec<ZoneId> = zones.iter().filter(allows).copied().collect();
            let position = zone_position(&claim.name(number), allowed.len());
            if let Some(zone) = allowed.get(position) {
                self.workloads[workload.index()].add_volume_zone(ordinal, *zone);
            }
        }
    }

    /// The claims of a pod as the scheduler sees them: where their volumes stand, and which they are,
    /// where nodes have limits or a single pod may use them.
    pub(super) fn volumes_of(&mut self, id: PodId) -> VolumesId {
        let pod = &self.pods[id.index()];
        let (workload, state) = (pod.workload, &self.workloads[pod.workload.index()]);
        let (zone, node) = (state.volume_zone(pod.ordinal), state.volume_node(pod.ordinal));
        let other = state.other_volume_zone(pod.ordinal);
        let table = self.tables.template_of(pod);
        let (blueprint, cache) = (&self.blueprint, &mut self.queue.cache);
        let zone_name = |zone: ZoneId| blueprint.zones[zone.index()].name.as_str();
        let zone = zone.map(zone_name);
        if let (Some(zone), Some(other)) = (zone, other.map(zone_name)) {
            return cache.volumes(vec![Claim::in_zone(zone), Claim::in_zone(other)]);
        }
        let node = node.map(|node| blueprint.nodes[node.index()].node.name.as_str());
        let is_limited =
            table.attached_count > 0 && self.tables.has_attach_limits && node.is_none();
        let limits = if zone.is_none() && node.is_none() { &table.limits[..] } else { &[] };
        if !is_limited && table.claims_of_one_pod.is_empty() {
            return match (node, zone) {
                (Some(node), _) => cache.volumes_on_node(node),
                (None, Some(zone)) => cache.volumes_in_zone(zone),
                (None, None) if limits.is_empty() => VolumesId::NONE,
                (None, None) => cache.volumes(limits.to_vec()),
            };
        }
        let mut claims = claims_of_one_pod(&table.claims_of_one_pod, node, zone);
        claims.extend_from_slice(limits);
        if is_limited {
            let key = state.volume_key(pod.ordinal);
            let handle = |idx: usize| format!("{}/{key}/{idx}", workload.index());
            let claim = |idx| Claim::attached(DRIVER, handle(idx), zone);
            claims.extend((0..table.attached_count).map(claim));
        }
        cache.volumes(claims)
    }

    /// Tells the scheduler that a pod takes its place on a node.
    pub(super) fn add_to_scheduler(&mut self, id: PodId, shape: ShapeId, node: NodeId) {
        if self.tables.tells_claims {
            let volumes = self.volumes_of(id);
            self.queue.cache.add_pod_with_volumes(id, shape, node, volumes);
        } else {
            self.queue.cache.add_pod(id, shape, node);
        }
    }

    fn attachment_of(&self, id: PodId) -> Option<(WorkloadId, u32)> {
        let pod = &self.pods[id.index()];
        let workload = pod.workload;
        let key = self.workloads[workload.index()].volume_key(pod.ordinal);
        self.tables.exclusive_volumes[workload.index()].then_some((workload, key))
    }

    /// A pod that is there from the start has its volumes.
    pub(super) fn attach_at_start(&mut self, id: PodId) {
        let node = self.pods[id.index()].node;
        if let Some(key) = self.attachment_of(id) {
            let attachment = self.attachments.entry(key).or_default();
            attachment.node = node;
            attachment.users.push(id);
        }
    }

    /// The volumes of an instance of a database are gone, and so are their claims. Its pod is deleted where
    /// the API answers, and the one that is made in its place gets new ones; otherwise its containers end,
    /// and start again beside new ones.
    pub fn destroy_volumes<E, R>(
        &mut self,
        (workload, ordinal): (WorkloadId, u32),
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pods = self.workloads[workload.index()].pods.iter().rev();
        let pod = pods.copied().find(|pod| self.pods[pod.index()].ordinal == ordinal);
        if !self.is_api_available() {
            self.crash_pods(pod.as_slice(), ctx);
            return;
        }
        self.attachments.remove(&(workload, ordinal));
        self.unclaim_volumes(workload, ordinal, ctx.now());
        self.workloads[workload.index()].forget_volumes(ordinal);
        if self.tables.numbers_anew[workload.index()] {
            self.workloads[workload.index()].number_anew(ordinal);
        }
        if let Some(pod) = pod {
            // Nothing is left in it that its sessions could go on with.
            self.set_linger(pod, SimSpan::ZERO, ctx);
            self.delete_pod(pod, DeletionReason::VolumeLost, ctx);
            self.settle(ctx);
        }
    }

    /// Volumes of a workload were restored that stood in zones that are gone. Whoever restores them deletes
    /// the claims that are bound there, and by force the pods on dead nodes that hold them: a restore goes
    /// past what is there already (Velero 1.16, `pkg/restore/restore.go`: existing resources). The new
    /// volumes stand where their pods are bound next. Returns how many there are.
    ///
    /// Simplified: with all of that nobody waits for an API that is away.
    pub fn restore_volumes<E, R>(
        &mut self,
        workload: WorkloadId,
        is_gone: impl Fn(ZoneId) -> bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let lost = self.workloads[workload.index()].volumes_in(&is_gone);
        for key in &lost {
            self.unclaim_volumes(workload, *key, ctx.now());
            self.workloads[workload.index()].forget_volumes(*key);
            self.claim_volumes(workload, *key, ctx.now());
            let pods = self.workloads[workload.index()].pods.iter().copied();
            let held: Vec<PodId> = pods
                .filter(|pod| {
                    let pod = &self.pods[pod.index()];
                    self.workloads[workload.index()].volume_key(pod.ordinal) == *key
                        && pod
                            .node
                            .is_some_and(|node| is_gone(self.blueprint.nodes[node.index()].zone))
                })
                .collect();
            for pod in held {
                self.delete_pod(pod, DeletionReason::VolumeLost, ctx);
                self.remove_pod(pod, ctx);
            }
            self.attachments.remove(&(workload, *key));
        }
        if !lost.is_empty() {
            self.tell_queue(ClusterEvent::ClaimChanged, Subject::Other, ctx);
            self.settle(ctx);
        }
        u32::try_from(lost.len()).expect("pods are few")
    }

    /// Whether a pod's volumes are attached to its node, or are about to be, or it has none.
    pub(super) fn has_volumes(&self, id: PodId) -> bool {
        let attachment = self.attachment_of(id).map(|key| self.attachments.get(&key));
        attachment.is_none_or(|it| it.is_some_and(|it| it.users.contains(&id)))
    }

    /// When the attach of a pod's volumes begins that was first tried at `from`, and whether they are taken
    /// from another node by force; `None` when the pod has to wait until somebody lets them go.
    pub(super) fn begin_attach<E, R>(
        &mut self,
        id: PodId,
        from: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) -> Option<(SimTime, bool)>
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(key) = self.attachment_of(id) else { return Some((from, false)) };
        let PodState { workload, ordinal, .. } = self.pods[id.index()];
        if self.workloads[workload.index()].claims.are_lost(ordinal) {
            ctx.hit(&rare::VOLUME_IS_NO_MORE);
            ctx.observe(|| Observation::PodVolumeMissing { pod: id, workload });
            return None;
        }
        let (workload, node) = (self.pods[id.index()].workload, self.pods[id.index()].node);
        let can_attach = self.can_attach(workload);
        let attachment = self.attachments.entry(key).or_default();
        let is_elsewhere = attachment.node.is_some() && attachment.node != node;
        let is_held = is_elsewhere && !attachment.users.iter().all(|user| *user == id);
        let is_late = is_elsewhere && attachment.free_at > from;
        // One that waited before its node stopped goes on waiting.
        let waits = attachment.waiting.iter().any(|(waiting, _)| *waiting == id);
        if is_held && waits {
            return None;
        }
        if is_held || is_late {
            ctx.hit(&rare::VOLUME_HELD_ELSEWHERE);
            let holder = attachment.node.expect("it is attached elsewhere");
            let free_at = if is_held { SimTime::MAX } else { attachment.free_at };
            ctx.observe(|| Observation::PodVolumeHeld { pod: id, workload, holder, free_at });
        }
        if is_held {
            attachment.waiting.push((id, from));
            return None;
        }
        let is_new = attachment.node != node;
        if is_new && !can_attach {
            if !waits {
                attachment.waiting.push((id, from));
            }
            self.tell_attachment_waits(workload, ctx);
            return None;
        }
        let free_at = if is_new { attachment.free_at } else { from };
        attachment.node = node;
        if !attachment.users.contains(&id) {
            attachment.users.push(id);
        }
        let is_forced = std::mem::take(&mut attachment.is_forced) && is_elsewhere;
        Some((try_at_or_after(from, free_at), is_forced))
    }

    /// A pod object is gone: when it was the last one on its node, whoever waits may go on.
    pub(super) fn release_volumes<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(key) = self.attachment_of(id) else { return };
        let Some(attachment) = self.attachments.get_mut(&key) else { return };
        attachment.waiting.retain(|(waiting, _)| *waiting != id);
        let user_count = attachment.users.len();
        attachment.users.retain(|user| *user != id);
        if !attachment.users.is_empty() || attachment.users.len() == user_count {
            return;
        }
        let Some(node) = attachment.node else { return };
        let lets_go = self.nodes[node.index()].lets_volumes_go();
        if !lets_go {
            ctx.hit(&rare::VOLUME_FORCED_OFF);
        }
        attachment.free_at = ctx.now() + if lets_go { SimSpan::ZERO } else { FORCE_DETACH };
        attachment.is_forced = !lets_go;
        let waiting = std::mem::take(&mut attachment.waiting);
        self.let_attach(waiting, ctx);
    }

    /// Those who attach volumes answer again: pods that waited for them go on.
    pub(super) fn resume_attachments<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let waits = |(key, attachment): &(&(WorkloadId, u32), &Attachment)| {
            !attachment.waiting.is_empty() && attachment.users.is_empty() && self.can_attach(key.0)
        };
        let open: Vec<_> = self.attachments.iter().filter(waits).map(|(key, _)| *key).collect();
        for key in open {
            let attachment = self.attachments.get_mut(&key).expect("it was just there");
            attachment.free_at = attachment.free_at.max(ctx.now());
            let waiting = std::mem::take(&mut attachment.waiting);
            self.let_attach(waiting, ctx);
        }
    }

    /// Lets pods try again to attach what they waited for since.
    fn let_attach<E, R>(&mut self, waiting: Vec<(PodId, SimTime)>, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for (waiting, since) in waiting {
            let pod = &self.pods[waiting.index()];
            let runs = pod.node.is_some_and(|node| self.is_running(node));
            // A pod whose node is down asks anew when that boots.
            if runs && pod.phase == PodPhase::Creating {
                self.go_on_with_volumes(waiting, since, ctx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_ever_more_slowly() {
        let secs = SimTime::from_secs;
        let at = |free| try_at_or_after(secs(10), secs(free)).as_millis();
        assert_eq!([0, 10, 11, 12, 41].map(at), [10_000, 10_000, 11_500, 13_500, 41_500]);
        // From 61.5 s after the start on the gap is 122 s at most.
        assert_eq!(at(370) - 10_000, 63_500 + 64_000 + 122_000 * 2);
    }
}
