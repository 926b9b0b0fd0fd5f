//! What happens while a revision is tried.

use crate::canary::MetricKind;

/// Something about the trial of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CanaryFact {
    /// Another revision was seen: its pods start beside those of the primary.
    Started,
    /// Another revision was seen while one was tried: the trial begins anew.
    Restarted,
    /// Requests are divided otherwise.
    Routed {
        /// Of a hundred requests, how many the revision answers.
        weight: u32,
        /// The others are copied to it, and its answers dropped.
        is_mirrored: bool,
    },
    /// A check failed.
    CheckFailed {
        /// Of which metric.
        metric: MetricKind,
        /// What it was, in the unit of the metric; `None` when there were no requests.
        value: Option<i64>,
        /// Checks of this trial that failed so far.
        failed_count: u32,
    },
    /// The primary gets the revision.
    Promoted,
    /// The primary has it and answers all requests; the trial is over.
    Succeeded,
    /// All requests go to the primary, whatever it runs; the trial is over.
    RolledBack {
        /// Why.
        reason: CanaryFailure,
    },
}

/// Why a revision is not promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CanaryFailure {
    /// As many checks failed as may.
    Checks,
    /// Its pods were not there in time.
    ProgressDeadline,
    /// Too few pods of the primary were there for too long.
    PrimaryDeadline,
}
