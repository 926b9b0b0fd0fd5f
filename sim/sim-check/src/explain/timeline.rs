//! Everything that a run told, in order, each with what it came of.

use std::collections::BTreeMap;

use model_api::Observation;
use model_api::observation::{DeletionReason, UnreadyReason};
use report_data::Position;
use sim_kernel::EventId;

use super::Story;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Virtual time in nanoseconds.
    pub at_ns: u64,
    /// What happened, as a sentence.
    pub text: String,
    /// What it came of: a position in the timeline, before this one.
    pub because: Option<usize>,
    /// The field of the input that had it so.
    pub position: Option<Position>,
}

impl<E> Story<'_, E> {
    /// What happened, in order. Flows of requests are left out: they are figures, not events.
    pub fn timeline(&self) -> Vec<Moment> {
        let mut moments: Vec<Moment> = Vec::new();
        // Where the first thing stands that an event told.
        let mut head_by_event: BTreeMap<EventId, usize> = BTreeMap::new();
        let records = self.journal.observations();
        for group in records.chunk_by(|a, b| a.cause == b.cause && a.at == b.at) {
            let cause = group[0].cause;
            let is_fault = |seen: &Observation| {
                matches!(seen, Observation::FaultStruck { .. } | Observation::FaultEnded { .. })
            };
            // What a fault did is told before the fault itself, because it is counted first.
            let faults = group.iter().filter(|record| is_fault(&record.observation));
            let others = group.iter().filter(|record| !is_fault(&record.observation));
            for record in faults.chain(others) {
                let told = self.sentence(&record.observation);
                let Some((text, source)) = told.or_else(|| self.aside(&record.observation)) else {
                    continue;
                };
                let head = head_by_event.get(&cause).copied();
                moments.push(Moment {
                    at_ns: record.at.as_nanos(),
                    text,
                    because: head.or_else(|| self.ancestor(cause, &head_by_event)),
                    position: source.and_then(|source| self.position(source)),
                });
                head_by_event.entry(cause).or_insert(moments.len() - 1);
            }
        }
        moments
    }

    /// The nearest event above `id` that told something.
    fn ancestor(&self, id: EventId, head_by_event: &BTreeMap<EventId, usize>) -> Option<usize> {
        let chain = self.journal.chain(id);
        let above = chain.iter().rev().skip(1);
        above.into_iter().find_map(|record| head_by_event.get(&record.id).copied())
    }

    /// What a chain of causes leaves out, but a timeline does not.
    fn aside(&self, observation: &Observation) -> Option<(String, Option<model_api::SourceRef>)> {
        use Observation as O;
        let node = |id: model_api::NodeId| self.blueprint.nodes[id.index()].node.name.as_str();
        let workload = |id: model_api::WorkloadId| self.blueprint.workload_name(id);
        let database = |id: model_api::DatabaseId| self.blueprint.database_name(id);
        let text = match *observation {
            O::NodeUntainted { node: id } => format!("node {} has no taint any more", node(id)),
            O::PodBecameUnready { workload: id, reason, .. } => {
                format!("a pod of {} is not ready: {}", workload(id), unready(reason))
            }
            O::PodDeletionRequested { workload: id, reason, .. } => {
                format!("a pod of {} is deleted: {}", workload(id), deletion(reason))
            }
            O::PodDisrupted { workload: id, reason, .. } => {
                format!("a pod of {} that is going already: {}", workload(id), deletion(reason))
            }
            O::PodGone { workload: id, .. } => format!("a pod of {} is gone", workload(id)),
            O::PodOrphaned { workload: id, .. } => {
                format!("a pod of {} runs that the API does not know", workload(id))
            }
            O::PodReturned { workload: id, node: at, .. } => {
                format!("a deleted pod of {} is back, on {}", workload(id), node(at))
            }
            O::NodeForgotten { node: id } => format!("the API does not know node {}", node(id)),
            O::NodeReturned { node: id } => {
                format!("node {}, which was deleted, is back in the API", node(id))
            }
            O::CommitsKept { database: id } => format!("{} kept every commit", database(id)),
            O::CommitsUnknown { database: id, durable_count, lost_count, undecided_count } => {
                let count = durable_count + lost_count + undecided_count;
                format!(
                    "{count} commits to {} were never answered: {durable_count} of them are kept, {lost_count} are not",
                    database(id)
                )
            }
            O::WritablePrimaries { database: id, count } if count > 1 => {
                format!("{count} instances of {} take writes", database(id))
            }
            _ => return None,
        };
        Some((text, None))
    }
}

fn unready(reason: UnreadyReason) -> &'static str {
    match reason {
        UnreadyReason::NodeNotReady => "its node is silent",
        UnreadyReason::Probe => "its probe fails",
        UnreadyReason::ContainersEnded => "its containers ended",
        UnreadyReason::Terminating => "it is being deleted",
        UnreadyReason::Evicted => "its kubelet evicts it",
        UnreadyReason::NodeShutdown => "its node shuts down",
    }
}

fn deletion(reason: DeletionReason) -> &'static str {
    match reason {
        DeletionReason::Taint => "its toleration ran out",
        DeletionReason::ScaleDown => "fewer are wanted",
        DeletionReason::Rollout => "a new template replaces it",
        DeletionReason::Eviction => "it was evicted",
        DeletionReason::Preemption => "a pod of higher priority needs its place",
        DeletionReason::PodGc => "its node is gone",
        DeletionReason::VolumeLost => "its volume is gone",
    }
}
