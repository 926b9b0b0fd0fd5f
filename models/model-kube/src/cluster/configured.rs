//! Pods that get what they need to be ready from somebody else, after they started: their configuration, or
//! the data of a database whose volume is new.
//!
//! # Modelled
//! The readiness probe of a pod fails until it has it; one that has it once keeps it until its containers
//! are started anew.
//! # Not modelled
//! The time that it takes to bring it, which is less than what probes wait.
//! # Defaults and their sources
//! `/status/ready` of Kong 3 (`kong/api/routes/health.lua`, `kong/status/ready.lua`): 503 until a
//! configuration was loaded, or its database answered.
//! # Invariants
//! Workloads of which nobody says anything start as ever.
//! # Checked against
//! `tests/it/gateways.rs` of `platform`.

use std::collections::BTreeSet;

use model_api::{Observation, PodId, WorkloadId};
use sim_kernel::{Context, Recorder, SimTime};

use super::pod::{PodState, Step};
use super::{Cluster, KubeEvent};
use crate::probes;

/// Whose pods wait for their configuration, and those that do.
#[derive(Clone, Debug, Default)]
pub(super) struct Unconfigured {
    workloads: BTreeSet<WorkloadId>,
    pods: BTreeSet<PodId>,
    /// Instances of databases that are not ready before they have copied somebody, by ordinal.
    instances: BTreeSet<(WorkloadId, u32)>,
}

impl Cluster {
    /// Tells whether pods of a workload that start get their configuration.
    pub fn set_configured<E, R>(
        &mut self,
        workload: WorkloadId,
        is_configured: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !is_configured {
            self.unconfigured.workloads.insert(workload);
            return;
        }
        if !self.unconfigured.workloads.remove(&workload) {
            return;
        }
        self.go_on_configured(|pod| pod.workload == workload, ctx);
    }

    /// Tells whether the readiness probe of an instance of a database fails because it has no data yet. One
    /// without a probe is ready in any case.
    pub fn withhold<E, R>(
        &mut self,
        (workload, ordinal): (WorkloadId, u32),
        is_withheld: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if is_withheld {
            self.unconfigured.instances.insert((workload, ordinal));
        } else if self.unconfigured.instances.remove(&(workload, ordinal)) {
            self.go_on_configured(|pod| (pod.workload, pod.ordinal) == (workload, ordinal), ctx);
        }
    }

    /// Pods that waited go on to be ready.
    fn go_on_configured<E, R>(
        &mut self,
        is_meant: impl Fn(&PodState) -> bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let waiting = std::mem::take(&mut self.unconfigured.pods);
        for id in waiting {
            let pod = &self.pods[id.index()];
            if !is_meant(pod) {
                self.unconfigured.pods.insert(id);
                continue;
            }
            if !pod.exists() || pod.is_locally_ready || pod.plan.ready_at != SimTime::MAX {
                continue;
            }
            let (worker_at, started_at) = (pod.worker_at, pod.plan.started_at);
            let answers_at = ctx.now().max(pod.plan.answers_at);
            let containers = &self.tables.template_of(pod).template.spec.containers;
            let ready_at = containers
                .iter()
                .map(|it| probes::ready_at(it, worker_at, started_at, started_at, answers_at))
                .max();
            self.pods[id.index()].plan.ready_at = ready_at.unwrap_or(answers_at);
            self.go_on_starting(id, ctx);
        }
    }

    /// Whether a pod that would be ready now is not, because nobody brings it its configuration.
    pub(super) fn lacks_configuration(&mut self, id: PodId) -> bool {
        let pod = &self.pods[id.index()];
        let (of_all, of_one) = (pod.workload, (pod.workload, pod.ordinal));
        if !self.unconfigured.workloads.contains(&of_all)
            && !self.unconfigured.instances.contains(&of_one)
        {
            return false;
        }
        let mut containers = self.tables.template_of(pod).template.spec.containers.iter();
        if containers.all(|container| container.readiness.is_none()) {
            return false;
        }
        let pod = &mut self.pods[id.index()];
        (pod.plan.ready_at, pod.step) = (SimTime::MAX, Step::None);
        self.unconfigured.pods.insert(id);
        true
    }
}
