//! Predicates over time: when each one held.

use model_api::Observation;
use model_api::guarantee::Predicate;
use model_api::observation::{BackupFact, DeletionReason};
use sim_kernel::SimTime;

use crate::measures::Subjects;

/// The predicates that guarantees watch, and what became of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    signals: Vec<Signal>,
}

/// One watched predicate.
#[derive(Clone, Debug, PartialEq)]
struct Signal {
    predicate: Predicate,
    /// When it first held; for `WithinRegion`, when it first did *not*.
    first_at: Option<SimTime>,
}

impl Signals {
    pub(crate) fn new(predicates: &[Predicate]) -> Self {
        let signal =
            |predicate: &Predicate| Signal { predicate: predicate.clone(), first_at: None };
        Self { signals: predicates.iter().map(signal).collect() }
    }

    pub(crate) fn fold(&mut self, subjects: &Subjects, at: SimTime, observation: Observation) {
        for signal in &mut self.signals {
            if signal.first_at.is_none() && signal.is_hit(subjects, observation) {
                signal.first_at = Some(at);
            }
        }
    }

    /// When the predicate first held; `None` if it never did.
    ///
    /// # Panics
    /// When it is not among those watched.
    pub(crate) fn first_at(&self, predicate: &Predicate) -> Option<SimTime> {
        let signal = self.signals.iter().find(|signal| signal.predicate == *predicate);
        signal.expect("every predicate of a guarantee is watched").first_at
    }

    /// Whether a predicate is a standing fact, of which the watch notes when it first broke.
    pub(crate) fn is_standing(predicate: &Predicate) -> bool {
        matches!(predicate, Predicate::WithinRegion(_))
    }
}

/// Whether an observation alone makes a predicate hold, for whoever looks for the first one. What
/// needs to know the platform (`WithinRegion`) never does.
pub fn breaks(predicate: &Predicate, observation: &Observation) -> bool {
    let signal = Signal { predicate: predicate.clone(), first_at: None };
    signal.is_hit(&Subjects::default(), *observation)
}

impl Signal {
    /// Whether this observation makes the predicate hold (break, for a standing one).
    fn is_hit(&self, subjects: &Subjects, observation: Observation) -> bool {
        use Observation as O;
        let about =
            |wanted: &Option<model_api::DatabaseId>, seen| wanted.is_none_or(|id| id == seen);
        match (&self.predicate, observation) {
            (Predicate::TwoWritablePrimaries(of), O::WritablePrimaries { database, count }) => {
                count >= 2 && about(of, database)
            }
            (Predicate::DataLost(of), O::CommitsLost { database, .. })
            | (Predicate::Failover(of), O::PrimaryPromoted { database, .. }) => about(of, database),
            // Of data that is no database: what is not there after a restore, or without one.
            (
                Predicate::DataLost(None),
                O::Backup(
                    BackupFact::Returned { lost_ns, .. } | BackupFact::StillLost { lost_ns, .. },
                ),
            ) => lost_ns > 0,
            (Predicate::DataLost(None), O::Backup(BackupFact::Unrestorable { .. }))
            | (Predicate::QuorumLost, O::QuorumLost)
            | (Predicate::ApiLost, O::ApiLost)
            | (Predicate::MasterDisruption, O::MasterDisruptionStarted) => true,
            (Predicate::PodUnschedulable(of), O::PodBecameUnschedulable { workload, .. })
            | (
                Predicate::PodEvicted(of),
                O::PodDeletionRequested { workload, reason: DeletionReason::Taint, .. },
            ) => of.is_none_or(|id| id == workload),
            (Predicate::NoEndpoints(of), O::EndpointsChanged { service, ready_count: 0, .. }) => {
                *of == service
            }
            (Predicate::WithinRegion(wanted), O::PodBound { node, .. }) => {
                subjects.jurisdiction(node).is_some_and(|have| have != wanted)
            }
            _ => false,
        }
    }
}
