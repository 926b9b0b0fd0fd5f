//! What waits until the API, or a leader, is there again.

use model_api::Observation;
use sim_kernel::{Context, Recorder, SimSpan};

use super::{Cluster, Component, KubeEvent, priority};

impl Cluster {
    /// Whether what the event needs is there: nothing, the API, or the API and a leader.
    pub(super) fn can_happen(&self, event: KubeEvent) -> bool {
        match event {
            KubeEvent::MonitorPass
            | KubeEvent::TaintPass
            | KubeEvent::MarkPodDue(_)
            | KubeEvent::EvictionDue(_)
            | KubeEvent::WorkloadSync(_)
            | KubeEvent::DeploymentSync(_)
            | KubeEvent::JobDue(_)
            | KubeEvent::PodCreateDue(_)
            | KubeEvent::PodDeleteDue(_)
            | KubeEvent::AutoscalerSync(_)
            | KubeEvent::PressureSeen(_)
            | KubeEvent::GarbagePass
            | KubeEvent::GarbageDue(_) => self.runs(Component::ControllerManager),
            // A controller writes, and proxies hear of it.
            KubeEvent::EndpointsDue(_) => {
                self.runs(Component::ControllerManager) && self.is_balancer_open()
            }
            KubeEvent::DrainPodDue(..) => self.is_balancer_open(),
            KubeEvent::ScheduleDue => self.runs(Component::Scheduler),
            KubeEvent::HeartbeatResumed(_)
            | KubeEvent::RemovalDue(_)
            | KubeEvent::OffPeakDue(_)
            | KubeEvent::DeliveryDue(_) => self.control_plane.is_api_available(),
            KubeEvent::CloudPassDue(_) => {
                self.control_plane.is_api_available() && !self.is_cloud_away
            }
            _ => true,
        }
    }

    /// Hands out again what had to wait and can go on now.
    pub(super) fn resume_deferred<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.pending_writes.clear();
        self.resume_attachments(ctx);
        let waiting = std::mem::take(&mut self.deferred);
        for (event, cause) in waiting {
            if self.can_happen(event) {
                // Simplified: controllers have their watches back after 1 s.
                let at = ctx.now() + SimSpan::from_secs(1);
                let mut ctx = ctx.because(cause);
                if let KubeEvent::EvictionDue(pod) = event {
                    self.pods[pod.index()].eviction = ctx.timer_at(at, priority::CONTROLLER, event);
                } else {
                    ctx.schedule_at(at, priority::CONTROLLER, event);
                }
            } else {
                self.deferred.push((event, cause));
            }
        }
    }
}
