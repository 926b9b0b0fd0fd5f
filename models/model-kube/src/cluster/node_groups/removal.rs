//! Nodes that go: taint, eviction, deletion of the machine
//! (cluster-autoscaler `core/scaledown/actuation/{actuator,drain,delete_in_batch}.go`).

use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::super::{Cluster, KubeEvent, priority};
use crate::cluster_autoscaler::is_daemon_set_pod;
use crate::disruption::Admission;
use crate::rare;

/// After this a refused eviction is tried again (`DefaultEvictionRetryTime`).
const RETRY: SimSpan = SimSpan::from_secs(10);
/// How often it is looked whether evicted pods are gone.
const POLL: SimSpan = SimSpan::from_secs(5);
/// How much longer than its grace a pod may take (`DefaultPodEvictionHeadroom`).
const HEADROOM: SimSpan = SimSpan::from_secs(30);

/// A node that is being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removing {
    node: NodeId,
    is_drain: bool,
    step: Step,
}

impl Removing {
    pub(super) fn is_drain(self) -> bool {
        self.is_drain
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It has its taint; watchers learn of it.
    Tainted,
    /// Its pods are evicted, until then.
    Evicting(SimTime),
    /// Its pods stop, until then.
    Stopping(SimTime),
}

impl Cluster {
    /// By group: removals that run.
    pub(super) fn removals_by_group(&self) -> Vec<usize> {
        let mut counts = vec![0; self.node_groups.targets.len()];
        for removal in &self.node_groups.removals {
            if let Some(group) = self.tables.groups.group_of(removal.node) {
                counts[group] += 1;
            }
        }
        counts
    }

    /// Taints a node `ToBeDeletedByClusterAutoscaler:NoSchedule`; the rest follows.
    pub(super) fn begin_removal<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[node.index()].is_going = true;
        self.tell_scheduler_of(node, ctx);
        let is_drain = !self.pods_to_evict(node).is_empty();
        self.node_groups.removals.push(Removing { node, is_drain, step: Step::Tainted });
        let options = self.node_groups.autoscaler.as_ref().map(|it| it.options());
        let delay = options.map_or(SimSpan::ZERO, |it| it.node_delete_delay_after_taint);
        ctx.schedule_in(delay, priority::NODE_GROUPS, KubeEvent::RemovalDue(node));
    }

    pub(in super::super) fn on_removal_due<E, R>(
        &mut self,
        node: NodeId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let removals = &self.node_groups.removals;
        let Some(place) = removals.iter().position(|it| it.node == node) else { return };
        let removal = removals[place];
        let Some(autoscaler) = &self.node_groups.autoscaler else { return };
        let options = autoscaler.options();
        let (now, eviction_time) = (ctx.now(), options.max_pod_eviction_time);
        let grace_max = options.max_graceful_termination;
        let next = match removal.step {
            Step::Tainted if !removal.is_drain => return self.end_removal(place, ctx),
            Step::Tainted => self.evict_all(node, now + eviction_time, grace_max, ctx),
            Step::Evicting(until) => self.evict_all(node, until, grace_max, ctx),
            Step::Stopping(until) => {
                if self.nodes[node.index()].pods.iter().all(|pod| self.ends_with_node(*pod)) {
                    return self.end_removal(place, ctx);
                }
                (now < until).then_some((Step::Stopping(until), POLL))
            }
        };
        match next {
            Some((step, delay)) => {
                // An eviction settles the cluster, so that places may have changed.
                let removals = self.node_groups.removals.iter_mut();
                if let Some(removal) = removals.into_iter().find(|it| it.node == node) {
                    removal.step = step;
                }
                ctx.schedule_in(delay, priority::NODE_GROUPS, KubeEvent::RemovalDue(node));
            }
            None => self.fail_removal(node, ctx),
        }
    }

    /// Evicts what is still to be evicted; what comes next, and when. `None` when it took too long.
    fn evict_all<E, R>(
        &mut self,
        node: NodeId,
        until: SimTime,
        grace_max: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) -> Option<(Step, SimSpan)>
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pods = self.pods_to_evict(node);
        let mut is_refused = false;
        for pod in &pods {
            let admission = self.evict(*pod, ctx);
            is_refused |= !matches!(admission, Some(Admission::Free | Admission::Charged));
        }
        let now = ctx.now();
        if is_refused {
            return (now + RETRY <= until).then_some((Step::Evicting(until), RETRY));
        }
        let graces = self.nodes[node.index()].pods.iter().map(|pod| {
            let state = &self.pods[pod.index()];
            self.tables.template_of(state).template.spec.termination_grace
        });
        let grace = graces.max().unwrap_or(SimSpan::ZERO).min(grace_max);
        Some((Step::Stopping(now + grace + HEADROOM), POLL))
    }

    /// Pods that go elsewhere: those that do not end with their node and are not on their way already.
    fn pods_to_evict(&self, node: NodeId) -> Vec<PodId> {
        let stays =
            |pod: &&PodId| self.pods[pod.index()].is_active() && !self.ends_with_node(**pod);
        self.nodes[node.index()].pods.iter().filter(stays).copied().collect()
    }

    /// Pods of DaemonSets, and expendable ones, of which a drain knows nothing (`createSnapshot`).
    fn ends_with_node(&self, pod: PodId) -> bool {
        let state = &self.pods[pod.index()];
        let options = self.node_groups.autoscaler.as_ref().map(|it| it.options());
        if options
            .is_some_and(|it| self.is_expendable(state.template, it.expendable_priority_cutoff))
        {
            return true;
        }
        let kind = self.blueprint.workloads[state.workload.index()].kind.name();
        is_daemon_set_pod(Some(kind), &self.tables.template_of(state).template.annotations)
    }

    /// Nothing of a node is left but its machine, which the cloud is asked to delete.
    fn end_removal<E, R>(&mut self, place: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.is_cloud_away {
            let node = self.node_groups.removals[place].node;
            return self.fail_removal(node, ctx);
        }
        self.finish_removal(place, ctx);
    }

    /// The machine goes, and the Node object with it.
    ///
    /// Simplified: a provider deletes a machine at once, in a lost zone too. Daemons end with it.
    fn finish_removal<E, R>(&mut self, place: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.node_groups.removals.remove(place).node;
        if let Some(autoscaler) = &mut self.node_groups.autoscaler {
            autoscaler.deletion_ended(true, ctx.now());
        }
        self.node_groups.is_dirty = true;
        // One whose Node object somebody deleted may have been given up meanwhile, machine and all.
        if !self.has_machine(node) {
            ctx.hit(&rare::REMOVED_NODE_WAS_GONE);
            return;
        }
        if let Some(group) = self.tables.groups.group_of(node) {
            self.node_groups.targets[group] -= 1;
        }
        ctx.observe(|| Observation::NodeRemoved { node });
        self.end_machine(node, ctx);
    }

    fn fail_removal<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::REMOVAL_FAILED);
        self.node_groups.removals.retain(|it| it.node != node);
        self.keep_node(node, ctx);
        if let Some(autoscaler) = &mut self.node_groups.autoscaler {
            autoscaler.deletion_ended(false, ctx.now());
        }
        self.node_groups.is_dirty = true;
    }

    /// Takes the taint away.
    fn keep_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[node.index()].is_going = false;
        self.tell_scheduler_of(node, ctx);
    }

    /// A new process takes all its taints away when it starts (`cleanUpTaintsForAllNodes`).
    pub(super) fn abandon_removals<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for removal in std::mem::take(&mut self.node_groups.removals) {
            self.keep_node(removal.node, ctx);
        }
    }
}
