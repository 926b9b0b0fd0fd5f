//! Quotas in time: who creates a pod that one refuses tries again with back-off.
//!
//! Simplified: what somebody creates during a run is not checked, and counts for others.
//!
//! Source: `plugin/pkg/admission/resourcequota`, Kubernetes 1.36, with those of [`crate::quota`].

use std::collections::BTreeMap;

use model_api::kube::WorkloadKind;
use model_api::{Blueprint, Observation, WorkloadId};
use sim_kernel::{Context, Recorder, SimTime};

use super::pod::{PodPhase, PodState};
use super::templates::{TemplateId, TemplateTable};
use super::{Cluster, KubeEvent};
use crate::quota::{self, Usage};

/// What is worked out once of quotas; nothing where there are none.
#[derive(Debug, Default)]
pub(super) struct QuotaTables {
    namespaces: Vec<Namespace>,
    /// By workload: its namespace, if that has a quota.
    namespace_of: Vec<Option<usize>>,
    /// By template: what one pod takes.
    usages: Vec<Usage>,
}

/// A namespace that has a quota.
#[derive(Debug)]
struct Namespace {
    /// By number.
    quotas: Vec<usize>,
    workloads: Vec<WorkloadId>,
}

impl QuotaTables {
    pub(super) fn of(blueprint: &Blueprint, templates: &[TemplateTable]) -> Self {
        if blueprint.quotas.is_empty() {
            return Self::default();
        }
        let mut of_name: BTreeMap<&str, Namespace> = BTreeMap::new();
        for (idx, quota) in blueprint.quotas.iter().enumerate() {
            let empty = || Namespace { quotas: Vec::new(), workloads: Vec::new() };
            of_name.entry(&quota.namespace).or_insert_with(empty).quotas.push(idx);
        }
        for (idx, workload) in blueprint.workloads.iter().enumerate() {
            if let Some(namespace) = of_name.get_mut(workload.namespace.as_str()) {
                namespace.workloads.push(WorkloadId::from_index(idx));
            }
        }
        let namespaces: Vec<Namespace> = of_name.into_values().collect();
        let mut namespace_of = vec![None; blueprint.workloads.len()];
        for (number, namespace) in namespaces.iter().enumerate() {
            for workload in &namespace.workloads {
                namespace_of[workload.index()] = Some(number);
            }
        }
        let usages = templates.iter().map(|it| quota::usage_of(&it.template.spec));
        Self { namespaces, namespace_of, usages: usages.collect() }
    }

    fn namespace(&self, workload: WorkloadId) -> Option<&Namespace> {
        let number = self.namespace_of.get(workload.index()).copied().flatten()?;
        Some(&self.namespaces[number])
    }
}

impl Cluster {
    /// What pods in the namespace of a workload take now, if it has a quota.
    pub(super) fn quota_usage(&self, workload: WorkloadId, now: SimTime) -> Option<Usage> {
        let namespace = self.tables.quotas.namespace(workload)?;
        let mut counts: BTreeMap<TemplateId, i64> = BTreeMap::new();
        let mut ended_count = 0;
        let states = namespace.workloads.iter().map(|it| &self.workloads[it.index()]);
        for pod in states.flat_map(|state| &state.pods).map(|pod| &self.pods[pod.index()]) {
            if has_ended(pod, now) {
                ended_count += 1;
            } else {
                *counts.entry(pod.template).or_default() += 1;
            }
        }
        let mut used = Usage::new();
        quota::add(&mut used, &quota::usage_of_ended(), ended_count);
        for (template, count) in counts {
            quota::add(&mut used, &self.tables.quotas.usages[template.index()], count);
        }
        Some(used)
    }

    /// Counts one more pod of a template beside what is used, unless a quota would be exceeded: that
    /// is the error.
    pub(super) fn take_of_quotas(
        &self,
        workload: WorkloadId,
        template: TemplateId,
        used: &mut Usage,
    ) -> Result<(), usize> {
        let wanted = &self.tables.quotas.usages[template.index()];
        let namespace = self.tables.quotas.namespace(workload);
        for idx in namespace.map_or(&[][..], |it| &it.quotas) {
            if quota::exceeded(&self.blueprint.quotas[*idx], used, wanted).is_some() {
                return Err(*idx);
            }
        }
        quota::add(used, wanted, 1);
        Ok(())
    }

    /// Asks the quotas whether a pod may be created beside what is used, and counts it. When it may
    /// not, its controller is made to try again.
    pub(super) fn ask_quotas<E, R>(
        &mut self,
        id: WorkloadId,
        template: TemplateId,
        used: &mut Usage,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Err(quota) = self.take_of_quotas(id, template, used) else { return true };
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
