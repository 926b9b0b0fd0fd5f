//! Specs that change while a cluster runs, and gates that change what they mean.
//!
//! Replicas and templates, which change all the time, are in `workloads` and `rollouts`.

use std::sync::Arc;

use model_api::kube::{PodDisruptionBudget, Workload};
use model_api::{BudgetId, Observation, WorkloadId};
use sim_kernel::{Context, Recorder};

use super::{Cluster, KubeEvent};

impl Cluster {
    /// Changes how a workload replaces its pods and for how long they must be ready: `strategy`,
    /// `progressDeadlineSeconds`, `updateStrategy` and `minReadySeconds`, as an apply does. Its kind,
    /// replicas and template stay what they were.
    ///
    /// # Panics
    /// When the workload is given another kind.
    pub fn change_strategy<E, R>(
        &mut self,
        id: WorkloadId,
        to: &Workload,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = &mut Arc::make_mut(&mut self.blueprint).workloads[id.index()];
        assert_eq!(workload.kind.name(), to.kind.name(), "a workload never changes its kind");
        workload.kind = to.kind.clone();
        workload.min_ready = to.min_ready;
        let template = self.template(id);
        if self.is_deployment(id) {
            self.request_deployment_sync(id, ctx);
        } else {
            // A partition that is lowered lets an update go on that was over.
            let pods = self.pods_of(id).iter();
            let has_old =
                pods.map(|pod| &self.pods[pod.index()]).any(|pod| pod.template != template);
            self.workloads[id.index()].is_rolling |= has_old;
            self.request_sync(id, ctx);
        }
        self.settle(ctx);
    }

    /// Changes what a budget demands and its policy for pods that are not ready. Whom it selects stays
    /// what it was.
    pub fn change_budget(&mut self, id: BudgetId, to: &PodDisruptionBudget) {
        let budget = &mut Arc::make_mut(&mut self.blueprint).budgets[id.index()];
        budget.min_available = to.min_available;
        budget.max_unavailable = to.max_unavailable;
        budget.unhealthy_pods = to.unhealthy_pods;
    }

    /// Switches the gate MaxUnavailableStatefulSet, which is off in 1.36. Before the run.
    pub fn preset_set_max_unavailable(&mut self, is_on: bool) {
        self.has_set_max_unavailable = is_on;
    }
}
