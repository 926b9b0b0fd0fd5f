//! Voluntary eviction: what budgets allow now, and the eviction API.
//!
//! Sources: those of [`crate::disruption`].

use model_api::kube::IntOrPercent;
use model_api::observation::DeletionReason;
use model_api::{BudgetId, Observation, PodId, WorkloadId};
use sim_kernel::{Context, Recorder};

use super::templates::TemplateId;
use super::{Cluster, KubeEvent};
use crate::disruption::{self, Admission, BudgetStatus, Covered, Demand, EvictionRequest};
use crate::rare;

/// Instances of a database whose operator makes budgets for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct InstanceGuard {
    workload: WorkloadId,
    primary: Option<PodId>,
    has_standbys: bool,
}

impl Cluster {
    /// `status` of a budget, as its controller would write it now.
    ///
    /// Simplified: there is no delay between a pod's change and the status.
    pub fn budget_status(&self, budget: BudgetId) -> Option<BudgetStatus> {
        let demand = Demand::of(&self.blueprint.budgets[budget.index()]);
        let mut covered = Vec::new();
        let is_covered = |template: TemplateId| {
            self.tables.templates[template.index()].budgets.contains(&budget)
        };
        for (idx, state) in self.workloads.iter().enumerate() {
            let is_selected = |pod: &&PodId| is_covered(self.pods[pod.index()].template);
            // Controllers are found by their pods.
            if !state.pods.iter().any(|pod| is_selected(&pod)) {
                continue;
            }
            let kind = &self.blueprint.workloads[idx].kind;
            let (replicas, mut pod_count, mut healthy_count) = (state.replicas, 0, 0);
            for pod in state.pods.iter().filter(is_selected) {
                let pod = &self.pods[pod.index()];
                pod_count += 1;
                healthy_count += u32::from(pod.is_ready && !pod.is_terminating);
            }
            covered.push(Covered { kind, replicas, pod_count, healthy_count });
        }
        // A sync that fails leaves nothing that is allowed.
        Some(disruption::status_of(demand, &covered).unwrap_or_default())
    }

    /// Says which instance of a database is its primary, where the operator makes the two budgets of
    /// `enablePDB`; `has_standbys` unless a window of maintenance lifts that of the standbys.
    ///
    /// They select by a label that changes with the role of a pod. Simplified: the eviction API alone
    /// asks them; preemption and the cluster autoscaler do not look at them before.
    pub fn guard_instances(
        &mut self,
        workload: WorkloadId,
        primary: Option<PodId>,
        has_standbys: bool,
    ) {
        let guard = InstanceGuard { workload, primary, has_standbys };
        match self.guards.iter_mut().find(|guard| guard.workload == workload) {
            Some(known) => *known = guard,
            None => self.guards.push(guard),
        }
    }

    /// `status` of the budget that the operator of a database makes for an instance: one primary, and
    /// of three instances and more all standbys but one (`pkg/specs/poddisruptionbudget.go`,
    /// CloudNativePG 1.30).
    fn guard_status(&self, workload: WorkloadId, pod: PodId) -> Option<BudgetStatus> {
        let guard = self.guards.iter().find(|guard| guard.workload == workload)?;
        let is_primary = guard.primary == Some(pod);
        let instances = i32::try_from(self.workloads[workload.index()].replicas).ok()?;
        let least = if is_primary { 1 } else { instances - 2 };
        if !is_primary && (instances < 3 || !guard.has_standbys) {
            return None;
        }
        let pods = self.workloads[workload.index()].pods.iter();
        let alike = pods.filter(|other| (guard.primary == Some(**other)) == is_primary);
        let (mut pod_count, mut healthy_count) = (0, 0);
        for other in alike.map(|other| &self.pods[other.index()]) {
            pod_count += 1;
            healthy_count += i32::from(other.is_ready && !other.is_terminating);
        }
        let demand = Demand::MinAvailable(IntOrPercent::Int(least));
        Some(disruption::status(demand, pod_count, instances, healthy_count))
    }

    /// Posts an eviction of a pod; `None` while the API is down.
    pub fn evict<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>) -> Option<Admission>
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let admission = self.post_eviction(pod, ctx);
        self.settle(ctx);
        admission
    }

    /// Somebody deletes pods by hand, whatever budgets say; nothing happens while the API is down.
    ///
    /// Simplified: it is told as what a controller deletes of its own
    /// ([`DeletionReason::ScaleDown`]); like that, it sets no condition `DisruptionTarget`.
    pub fn delete_pods<E, R>(&mut self, pods: &[PodId], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.is_api_available() {
            for pod in pods {
                self.delete_pod(*pod, DeletionReason::ScaleDown, ctx);
            }
        }
        self.settle(ctx);
    }

    /// Somebody deletes pods by hand with a grace period of zero: their objects are gone at once,
    /// whatever becomes of their containers
    /// (`staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go`, `BeforeDelete`, 1.36). Those that
    /// are being deleted already are as well.
    ///
    /// Simplified: the containers end with the object; a kubelet ends them within a second, and one
    /// without contact when it is back.
    pub fn force_delete_pods<E, R>(&mut self, pods: &[PodId], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.is_api_available() {
            for pod in pods {
                self.delete_pod(*pod, DeletionReason::ScaleDown, ctx);
                self.remove_pod(*pod, ctx);
            }
        }
        self.settle(ctx);
    }

    /// What an eviction is answered, and what follows.
    pub(super) fn post_eviction<E, R>(
        &mut self,
        pod: PodId,
        ctx: &mut Context<'_, E, R>,
    ) -> Option<Admission>
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.is_api_available() {
            return None;
        }
        let state = &self.pods[pod.index()];
        let workload = state.workload;
        let budgets = &self.tables.template_of(state).budgets;
        let guard = self.guard_status(workload, pod);
        let request = EvictionRequest {
            ignores_budgets: !state.is_active() || state.node.is_none() || !state.has_address,
            is_ready: state.is_ready,
            budget_count: budgets.len() + usize::from(guard.is_some()),
            // Simplified: no budget ever has 2000 pods entered that are still there.
            disrupted_count: 0,
        };
        let budget = budgets.first().copied();
        let status = budget.and_then(|budget| self.budget_status(budget)).or(guard);
        let policy = budget.map(|budget| self.blueprint.budgets[budget.index()].unhealthy_pods);
        let admission =
            disruption::admit(request, policy.unwrap_or_default(), status.as_ref(), true);
        if matches!(admission, Admission::Free | Admission::Charged) {
            self.delete_pod(pod, DeletionReason::Eviction, ctx);
        } else {
            ctx.hit(&rare::EVICTION_REFUSED);
            let code = admission.code();
            ctx.observe(|| Observation::EvictionRefused { pod, workload, code });
        }
        Some(admission)
    }
}
