//! Quotas in time: who creates a pod that one refuses tries again with back-off.
//!
//! Simplified: what somebody creates by hand is not counted against a quota.

use model_api::kube::WorkloadKind;
use model_api::{Observation, WorkloadId};
use sim_kernel::{Context, Recorder, SimTime};

use super::pod::{PodPhase, PodState};
use super::templates::TemplateId;
use super::{Cluster, KubeEvent};
use crate::quota::{self, Usage};

impl Cluster {
    /// The quota that one more pod of a template would exceed, if any. What others take is counted when
    /// it is asked for, and only in a namespace that has a quota.
    pub(super) fn exceeded_quota(
        &self,
        workload: WorkloadId,
        template: TemplateId,
        now: SimTime,
    ) -> Option<usize> {
        let namespace = &self.blueprint.workloads[workload.index()].namespace;
        let quotas = self.blueprint.quotas.iter().enumerate();
        let mut here = quotas.filter(|(_, quota)| quota.namespace == *namespace).peekable();
        here.peek()?;
        let mut used = Usage::new();
        for pod in self.pods.iter().filter(|pod| pod.exists() && !pod.is_forgotten) {
            if self.blueprint.workloads[pod.workload.index()].namespace == *namespace {
                let spec = &self.tables.template_of(pod).template.spec;
                quota::add(&mut used, quota::usage_of(spec, has_ended(pod, now)));
            }
        }
        let spec = &self.tables.templates[template.index()].template.spec;
        let wanted = quota::usage_of(spec, false);
        here.find(|(_, it)| quota::exceeded(it, &used, &wanted).is_some()).map(|(idx, _)| idx)
    }

    /// Asks the quotas whether a pod may be created. When it may not, its controller is made to try
    /// again.
    pub(super) fn ask_quotas<E, R>(
        &mut self,
        id: WorkloadId,
        template: TemplateId,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(quota) = self.exceeded_quota(id, template, ctx.now()) else { return true };
        if self.note_over_quota(id, ctx) {
            let quota = u32::try_from(quota).expect("quotas are few");
            ctx.observe(|| Observation::PodOverQuota { workload: id, quota });
        }
        false
    }

    /// Controllers make what a quota let nobody have at the start.
    pub(super) fn begin_quotas<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.blueprint.quotas.is_empty() {
            return;
        }
        for idx in 0..self.workloads.len() {
            let is_bare = self.blueprint.workloads[idx].kind == WorkloadKind::Pod;
            if !is_bare && self.is_short(idx) {
                self.request_sync(WorkloadId::from_index(idx), ctx);
            }
        }
    }

    fn is_short(&self, workload: usize) -> bool {
        let state = &self.workloads[workload];
        match self.blueprint.workloads[workload].kind {
            WorkloadKind::DaemonSet { .. } => true,
            WorkloadKind::Job(_) => false,
            _ => state.pods.len() < state.replicas as usize,
        }
    }
}

/// Whether a pod has ended, or should have (`QuotaV1Pod`).
fn has_ended(pod: &PodState, now: SimTime) -> bool {
    pod.phase == PodPhase::Finished || pod.deleted_at.is_some_and(|at| at < now)
}
