//! Pods whose processes stand still: stopped by a signal, or their sandbox is paused.
//!
//! # Modelled
//! Probes that ask a process run into their time-out, so that the pod is not ready after a while, and the
//! kubelet ends its containers. TERM waits for a process that stands still; it acts once that goes on, for as
//! long as what runs there lets its sessions finish, unless the grace period is over first: KILL acts at once.
//! # Not modelled
//! Simplified: a pod that is deleted ends as others do, although TERM waits there too; TCP probes succeed, as
//! the kernel takes connections; a pod that TERM waits for is not ready from then on, whatever its readiness
//! probe allows for.
//! # Defaults and their sources
//! `pkg/kubelet/prober`, `killContainer` of `pkg/kubelet/kuberuntime/kuberuntime_container.go`, Kubernetes
//! 1.36; signal(7): KILL is the only one that a stopped process takes.
//! # Invariants
//! A pod that nobody stopped has no part in this.
//! # Checked against
//! `tests/it/instances.rs` of `platform`.

use model_api::observation::UnreadyReason;
use model_api::{Observation, PodId};
use sim_kernel::{Context, Recorder};

use super::pod::{PodPhase, Step};
use super::{Cluster, KubeEvent};

/// What the kubelet did about processes that stand still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// It sent TERM, which waits, and will send KILL.
    Term,
}

impl Cluster {
    /// The processes of a pod that runs stand still from now on.
    pub fn freeze_pod<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.pods[id.index()].phase == PodPhase::Running {
            self.forget_probes(id, ctx);
            self.probing.still.insert(id, Told::Nothing);
            self.watch_probes(id, ctx);
        }
    }

    /// They go on. Returns whether they find that they were told to end.
    pub fn thaw_pod<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(told) = self.probing.still.remove(&id) else { return false };
        if told == Told::Nothing {
            self.watch_probes(id, ctx);
            return false;
        }
        let linger = self.pods[id.index()].linger;
        self.set_step(id, Step::Killed, ctx.now() + linger, ctx);
        true
    }

    /// Whether TERM waits for processes that stand still; they get KILL when their grace period is over.
    pub(super) fn waits_for_kill<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        match self.probing.still.get_mut(&id) {
            Some(told @ Told::Nothing) => *told = Told::Term,
            Some(Told::Term) | None => return false,
        }
        // Its readiness is asked for still.
        self.pods[id.index()].is_locally_ready = false;
        self.publish_status(id, UnreadyReason::Probe, ctx);
        let grace = self.pods[id.index()].kill_grace;
        self.set_step(id, Step::Killed, ctx.now() + grace, ctx);
        true
    }
}
