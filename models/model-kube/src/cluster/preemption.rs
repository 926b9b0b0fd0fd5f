//! Preemption in time: who has to go, and what the pod that wants the place is promised.
//!
//! Sources: those of [`crate::scheduling`]; `pkg/scheduler/framework/preemption/executor.go`,
//! Kubernetes 1.36.

use model_api::observation::DeletionReason;
use model_api::{BudgetId, Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder};

use super::{Cluster, KubeEvent};
use crate::rare;
use crate::scheduling::{Attempt, Budget, Candidate, Preemption};

const PREEMPTION: Purpose = Purpose::new("preemption among equals");
/// Draws of one attempt at most: where the search starts, and who of equals is taken.
const DRAWS: u64 = 2;

/// What became of a preemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preempted {
    /// Pods have to go.
    Some,
    /// No pods whose absence would help.
    Hopeless,
    /// The pod may not preempt.
    None,
}

impl Cluster {
    /// Looks for pods of lower priority whose absence would make room
    /// (pkg/scheduler/framework/plugins/defaultpreemption, 1.36): they are deleted, and the pod is
    /// promised their node.
    pub(super) fn preempt_for<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>) -> Preempted
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let attempt = self.attempt_of(id);
        let (key, attempt_count) = (self.pods[id.index()].key, self.pods[id.index()].attempt_count);
        let blueprint = self.blueprint.clone();
        let budgets = blueprint.budgets.iter().enumerate().map(|(idx, budget)| {
            let status = self.budget_status(BudgetId::from_index(idx));
            Budget {
                namespace: &budget.namespace,
                selector: budget.selector.as_ref(),
                disruptions_allowed: status.map_or(0, |status| status.disruptions_allowed),
                disrupted: &[],
            }
        });
        let budgets: Vec<Budget<'_>> = budgets.collect();
        let streams = self.streams;
        let mut occurrence = DRAWS * u64::from(attempt_count);
        let draw = |count: usize| {
            occurrence += 1;
            streams.draw(key, PREEMPTION, occurrence).index(count)
        };
        match self.queue.cache.preempt(attempt, &budgets, draw) {
            Preemption::Nominate(candidate) => {
                self.preempt(id, attempt, &candidate, ctx);
                Preempted::Some
            }
            Preemption::Hopeless => {
                self.pods[id.index()].nominated = None;
                self.queue.cache.withdraw_nomination(id);
                Preempted::Hopeless
            }
            Preemption::NotEligible => Preempted::None,
        }
    }

    /// Deletes the victims and promises their node (preemption.go, prepareCandidate).
    fn preempt<E, R>(
        &mut self,
        id: PodId,
        attempt: Attempt,
        candidate: &Candidate,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::PODS_PREEMPTED);
        // Whoever is less important and was promised that node has to look again.
        let lesser = self.queue.cache.lesser_nominations(candidate.node, attempt.shape);
        for pod in &lesser {
            self.queue.cache.withdraw_nomination(*pod);
            self.pods[pod.index()].nominated = None;
        }
        self.queue.cache.nominate(id, attempt.shape, candidate.node);
        self.pods[id.index()].nominated = Some(candidate.node);
        for victim in &candidate.victims {
            self.queue.client.reserve(ctx.now());
            self.delete_pod(*victim, DeletionReason::Preemption, ctx);
            self.queue.cache.mark_preempted(*victim);
        }
        for pod in lesser {
            self.retry_pod(pod, ctx);
        }
    }
}
