//! What a kubelet and the API tell each other once they reach each other again.

use model_api::observation::{PendingWrite, UnreadyReason};
use model_api::{NodeId, Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan};

use super::pod::PodPhase;
use super::{Cluster, KubeEvent, priority};
use crate::node_lifecycle::Ready;
use crate::rare;

const REWATCH: Purpose = Purpose::new("kubelet watches again");
const STATUS: Purpose = Purpose::new("status sync");

/// The kubelet's status manager reconciles every 10 s (pkg/kubelet/status/status_manager.go).
const STATUS_PERIOD: SimSpan = SimSpan::from_secs(10);
/// A kubelet's watches are back this long after contact at the latest.
const REWATCH_MOST: SimSpan = SimSpan::from_secs(1);

impl Cluster {
    /// The API answers again: kubelets in contact report what changed meanwhile.
    pub(super) fn catch_up_kubelets<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.nodes.len() {
            let node = &self.nodes[idx];
            let differs = |pod: &PodId| {
                let pod = &self.pods[pod.index()];
                let differs = pod.is_locally_ready != pod.is_ready;
                let has_ended = pod.phase == PodPhase::Finished && !pod.is_end_told;
                let is_new = pod.awaits_kubelet || pod.awaits_list;
                pod.is_terminating || is_new || differs || has_ended
            };
            let is_behind = node.pods.iter().any(differs);
            let (has_contact, is_ready) = (node.has_contact, node.ready == Ready::True);
            let id = NodeId::from_index(idx);
            if has_contact && (!is_ready || is_behind) {
                self.schedule_heartbeat(id, false, ctx);
                self.catch_up_pods(id, ctx);
            }
        }
    }

    /// A kubelet that reaches the API again hears of new pods and of deletions, and corrects the readiness that was
    /// changed without it. Its watches and its status manager do that, whatever its lease does.
    ///
    /// Simplified: the back-off of its watches is left out; they are back within a second, or when
    /// its lists have had their turn.
    pub(super) fn catch_up_pods<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for pod in self.nodes[id.index()].pods.clone() {
            let state = &mut self.pods[pod.index()];
            if state.phase == PodPhase::Finished && !state.is_end_told {
                state.is_end_told = true;
                let workload = state.workload;
                self.request_sync(workload, ctx);
                self.expect_surplus(ctx);
            }
            self.note_restart(pod, ctx);
            let state = &self.pods[pod.index()];
            if state.is_terminating || state.awaits_kubelet || state.awaits_list {
                let draw = self.draw(state.key, REWATCH, self.nodes[id.index()].resume_count);
                let most = REWATCH_MOST + self.relists.kubelets(ctx.now());
                let span = draw.span_between(SimSpan::ZERO, most);
                ctx.schedule_in(span, priority::KUBELET, KubeEvent::StatusSync(pod));
            } else if state.is_locally_ready != state.is_ready {
                ctx.hit(&rare::READINESS_CHANGED_UNSEEN);
                self.correct_readiness(pod, ctx);
            }
        }
    }

    /// A kubelet that began anew has no pods until it has listed them: nothing of them is kept on its machine
    /// (`pkg/kubelet/config/apiserver.go`, NewSourceApiserver, 1.36).
    pub(super) fn await_list<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::BOOTED_WITHOUT_API);
        self.pods[id.index()].awaits_list = true;
        // One that is cut off waits for the network.
        if !self.is_api_available() {
            let write = PendingWrite::Listing(self.pods[id.index()].workload);
            self.tell_pending(write, ctx);
        }
    }

    /// The status manager finds out within its period that the API shows something else.
    fn correct_readiness<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let Some(node) = pod.node else { return };
        let draw = self.draw(pod.key, STATUS, self.nodes[node.index()].resume_count);
        let span = draw.span_between(SimSpan::ZERO, STATUS_PERIOD);
        ctx.schedule_in(span, priority::KUBELET, KubeEvent::StatusSync(id));
    }

    /// Marks a pod of a silent node not ready. When its kubelet is back already, only its node's
    /// lease not yet, that does not last.
    pub(super) fn mark_pod_unready<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.set_ready(id, false, UnreadyReason::NodeNotReady, ctx);
        if self.is_in_contact(id) && self.pods[id.index()].is_locally_ready {
            self.correct_readiness(id, ctx);
        }
    }

    pub(super) fn on_status_sync<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let is_in_contact = pod.exists() && self.is_in_contact(id);
        if pod.is_terminating && is_in_contact {
            self.begin_stop(id, ctx);
        } else if pod.awaits_kubelet && is_in_contact {
            // What a restored API shows of it is older than what its kubelet knows.
            self.publish_status(id, UnreadyReason::ContainersEnded, ctx);
            self.begin_start(id, ctx.now(), ctx);
        } else if pod.awaits_list && pod.phase == PodPhase::Stopped {
            // Contact may be lost again: it still knows nothing of the pod then.
            if is_in_contact {
                self.begin_restart_on_boot(id, ctx);
            }
        } else {
            self.publish_status(id, UnreadyReason::Probe, ctx);
        }
    }
}
