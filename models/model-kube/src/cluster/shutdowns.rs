//! Machines that shut down in order: kubelets end their pods first, group by group.
//!
//! Sources: `pkg/kubelet/nodeshutdown/nodeshutdown_manager.go` (`killPods`: a group is waited for until
//! all of its pods ended or its period is over), `_linux.go` (`processShutdownEvent`, and the status of
//! the node that is posted at once), `pkg/kubelet/kubelet_node_status.go` (Ready is False), 1.36.
//!
//! Simplified: the machine is off as soon as the last group ended. Pods of static manifests are not
//! there.

use std::collections::VecDeque;

use model_api::observation::EvictionReason;
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Recorder, SimTime, Timer};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, Notice, priority};
use crate::node_lifecycle::Ready;
use crate::node_shutdown::{ShutdownGroup, grace, groups, periods_of};
use crate::rare;

/// A shutdown that is in progress.
#[derive(Clone, Debug)]
pub(super) struct Shutdown {
    /// Groups that were not begun.
    left: VecDeque<(ShutdownGroup, Vec<PodId>)>,
    /// Pods of the group that ends now.
    waiting: Vec<PodId>,
    /// When that is not waited for any more.
    until: SimTime,
    timer: Timer,
    /// The machine boots at once when it is off.
    boots: bool,
}

impl Cluster {
    /// Shuts a machine down as an administrator does: its kubelet ends the pods within the periods of
    /// its configuration, and then it has no power. Without periods that is at once, as without a
    /// kubelet that holds the shutdown up.
    pub fn shut_down_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.begin_shutdown(node, false, ctx);
        self.settle(ctx);
    }

    /// The same, and it boots again.
    pub(super) fn reboot_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.begin_shutdown(node, true, ctx);
    }

    fn begin_shutdown<E, R>(&mut self, id: NodeId, boots: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.nodes[id.index()].shutdown.is_some() {
            return;
        }
        let spec = self.blueprint.nodes[id.index()].shutdown_grace.clone();
        let periods = periods_of(&spec);
        if periods.is_empty() || !self.is_running(id) {
            self.power_off(id, boots, ctx);
            return;
        }
        ctx.hit(&rare::NODE_SHUT_DOWN);
        let active: Vec<PodId> = self.nodes[id.index()]
            .pods
            .iter()
            .copied()
            .filter(|pod| self.pods[pod.index()].phase < PodPhase::Finished)
            .collect();
        let priority = |pod: &PodId| {
            let pod = &self.pods[pod.index()];
            self.tables.template_of(pod).template.spec.priority
        };
        let priorities: Vec<i32> = active.iter().map(priority).collect();
        let with_pods = |group: ShutdownGroup| {
            let pods = group.pods.iter().map(|position| active[*position]).collect();
            (group, pods)
        };
        let left = groups(&periods, &priorities).into_iter().map(with_pods).collect();
        self.nodes[id.index()].shutdown = Some(Shutdown {
            left,
            waiting: Vec::new(),
            until: ctx.now(),
            timer: Timer::NONE,
            boots,
        });
        self.tell_not_ready(id, ctx);
        self.go_on_shutting_down(id, ctx);
    }

    /// The kubelet posts that its node is not ready, if it can.
    fn tell_not_ready<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let has_contact = self.has_contact(id);
        let node = &mut self.nodes[id.index()];
        node.cause = ctx.cause();
        if !has_contact || node.is_deleted || node.ready != Ready::True {
            return;
        }
        node.ready = Ready::False;
        node.expiry_at = SimTime::MAX;
        self.node_change_count += 1;
        self.tell_scheduler_of(id, ctx);
        ctx.observe(|| Observation::NodeBecameNotReady { node: id });
        self.notify(Notice::NodeDetected(id));
        self.request_pass(ctx.now(), ctx);
    }

    /// A pod of a group ended, or its time is over.
    pub(super) fn on_shutdown_due<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.go_on_shutting_down(id, ctx);
    }

    /// Nothing is left of a pod: a shutdown that waits for it looks.
    pub(super) fn note_shutdown_pod<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(node) = self.pods[pod.index()].node else { return };
        let shutdown = self.nodes[node.index()].shutdown.as_mut();
        let Some(shutdown) = shutdown.filter(|it| it.waiting.contains(&pod)) else { return };
        shutdown.waiting.retain(|waiting| *waiting != pod);
        if shutdown.waiting.is_empty() {
            ctx.schedule_at(ctx.now(), priority::KUBELET, KubeEvent::ShutdownDue(node));
        }
    }

    /// Begins the next group once the present one is over, and cuts the power after the last.
    fn go_on_shutting_down<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        loop {
            let Some(shutdown) = &mut self.nodes[id.index()].shutdown else { return };
            if !shutdown.waiting.is_empty() && ctx.now() < shutdown.until {
                return;
            }
            let timer = std::mem::replace(&mut shutdown.timer, Timer::NONE);
            let next = shutdown.left.pop_front();
            let boots = shutdown.boots;
            ctx.cancel(timer);
            let Some((group, pods)) = next else {
                self.nodes[id.index()].shutdown = None;
                self.power_off(id, boots, ctx);
                return;
            };
            self.end_group(id, &group, pods, ctx);
        }
    }

    fn end_group<E, R>(
        &mut self,
        id: NodeId,
        group: &ShutdownGroup,
        pods: Vec<PodId>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let runs = |pod: &PodId| self.pods[pod.index()].phase < PodPhase::Finished;
        let waiting: Vec<PodId> = pods.into_iter().filter(runs).collect();
        let until = ctx.now() + group.period.period;
        for pod in &waiting {
            let state = &mut self.pods[pod.index()];
            state.is_shut_down = true;
            state.is_disrupted = true;
            let (workload, was_ending) = (state.workload, state.eviction_grace.is_some());
            let own =
                self.tables.template_of(&self.pods[pod.index()]).template.spec.termination_grace;
            if !was_ending {
                let reason = EvictionReason::NodeShutdown;
                ctx.observe(|| Observation::PodEvicted { pod: *pod, workload, node: id, reason });
            }
            self.stop_with_grace(*pod, grace(group, own), ctx);
        }
        let timer = ctx.timer_at(until, priority::KUBELET, KubeEvent::ShutdownDue(id));
        if let Some(shutdown) = &mut self.nodes[id.index()].shutdown {
            (shutdown.waiting, shutdown.until, shutdown.timer) = (waiting, until, timer);
        }
    }

    fn power_off<E, R>(&mut self, id: NodeId, boots: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.lose_node(id, ctx);
        if boots {
            self.restore_node(id, ctx);
        }
    }

    /// Whether a machine is given its power back while it still shuts down: then it boots when it has.
    pub(super) fn boots_after_shutdown(&mut self, id: NodeId) -> bool {
        let shutdown = self.nodes[id.index()].shutdown.as_mut();
        shutdown.map(|shutdown| shutdown.boots = true).is_some()
    }

    /// A machine lost its power while it shut down.
    pub(super) fn break_shutdown_off<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        if let Some(shutdown) = self.nodes[id.index()].shutdown.take() {
            ctx.cancel(shutdown.timer);
        }
    }
}
