//! What becomes of data sets and their copies.

use sim_kernel::SimTime;

use crate::backup::DisasterClass;
use crate::ids::DataSetId;

/// Something about one data set and its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackupFact {
    /// If it had struck at some moment of a stretch of time that ends now.
    Exposure(ExposureStretch),
    /// The least age at which copies of it were deleted, so far; `u64::MAX` when nothing keeps any.
    Kept {
        /// Which data set.
        data_set: DataSetId,
        /// Age in nanoseconds, of the policy that keeps them longest.
        age_ns: u64,
    },
    /// Its last live copy is gone, or its content is destroyed.
    Struck {
        /// Which data set.
        data_set: DataSetId,
        /// By what.
        class: DisasterClass,
    },
    /// People know; what is left of it takes no more writes.
    LossDiscovered {
        /// Which data set.
        data_set: DataSetId,
    },
    /// Somebody looked, and it is decided to restore.
    RestoreDecided {
        /// Which data set.
        data_set: DataSetId,
    },
    /// The steps of the runbook are done.
    RunbookDone {
        /// Which data set.
        data_set: DataSetId,
    },
    /// A restore begins to read.
    RestoreStarted {
        /// Which data set.
        data_set: DataSetId,
        /// Copies that will turn out not to be restorable before one is.
        bad_count: u32,
    },
    /// Nothing is left to restore from.
    Unrestorable {
        /// Which data set.
        data_set: DataSetId,
        /// What its copies lack.
        lack: Lack,
    },
    /// The run ends and it is not back. Told at the end, of what a restore may still bring back.
    StillLost {
        /// Which data set.
        data_set: DataSetId,
        /// What is lost at least, as time in nanoseconds; `u64::MAX` for everything.
        lost_ns: u64,
        /// No more than that is: it is being restored, or nothing is left to restore.
        is_known: bool,
    },
    /// A standby took over from a primary that had closed segments of its log and not archived them: no
    /// restore leads past these until that one is back.
    LogStranded {
        /// Which data set.
        data_set: DataSetId,
        /// Segments.
        segment_count: u64,
    },
    /// The data is there.
    RestoreDone {
        /// Which data set.
        data_set: DataSetId,
    },
    /// It serves again.
    Returned {
        /// Which data set.
        data_set: DataSetId,
        /// What is lost, as time in nanoseconds.
        lost_ns: u64,
        /// What the time was spent on.
        parts: RecoveryParts,
    },
}

/// Why nothing of a data set can be restored: what that copy lacks which comes furthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// Nothing copies it.
    Policy,
    /// No place with copies of it is left, or none that can be read.
    Place,
    /// Copies are left, but no key that opens them.
    Key,
    /// A place is left that can be read, but no copy is in it: none was made in time, or none is kept.
    Copy,
    /// Base backups are left, but no log that leads beyond the end of one.
    Log,
    /// So many copies are left, and none of them is sound: their runs failed and nobody saw it.
    Soundness {
        /// How many.
        copy_count: u32,
    },
}

impl Lack {
    /// As the end of a sentence.
    pub fn words(self) -> String {
        match self {
            Self::Policy => "nothing copies it".to_owned(),
            Self::Place => "no place with a copy of it is left".to_owned(),
            Self::Key => "copies are left, and no key that opens them".to_owned(),
            Self::Copy => "no copy is there that was made in time and is kept still".to_owned(),
            Self::Log => {
                "a base backup is there, and no archived log that leads beyond its end".to_owned()
            }
            Self::Soundness { copy_count: 1 } => {
                "the copy that is left failed when it was made, and no restore test found it"
                    .to_owned()
            }
            Self::Soundness { copy_count } => {
                format!(
                    "all {copy_count} copies that are left failed when they were made, and no restore test \
                     found it"
                )
            }
        }
    }
}

/// If it had struck at some moment of `(from, now]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExposureStretch {
    /// Which data set.
    pub data_set: DataSetId,
    /// What had struck; of several disasters of a class each has a stretch.
    pub class: DisasterClass,
    /// Start of the stretch, itself left out.
    pub from: SimTime,
    /// Its end.
    pub until: SimTime,
    /// Time that would be lost at its first moment, in nanoseconds; `u64::MAX` for everything.
    pub loss_from_ns: u64,
    /// Most that would be lost.
    pub loss_max_ns: u64,
    /// When that is.
    pub loss_max_at: SimTime,
    /// Longest time to be back, in nanoseconds; `u64::MAX` for never.
    pub back_max_ns: u64,
    /// When that is.
    pub back_max_at: SimTime,
    /// The loss is no more than that, and may be less: who goes on is not known yet.
    pub is_loss_bound: bool,
    /// So much would be lost at least, at the moment of the greatest loss.
    pub loss_sure_ns: u64,
    /// Why everything would be lost at the moment of the greatest loss, where that is so.
    pub lack: Option<Lack>,
    /// A live copy takes over. How soon is not worked out, and no part of the time to be back.
    pub takes_over: bool,
}

/// What the time of a recovery was spent on; the parts sum to it exactly. All in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RecoveryParts {
    /// Until the loss was known.
    pub detect_ns: u64,
    /// Until somebody looked and it was decided what to do.
    pub decide_ns: u64,
    /// Steps of the runbook.
    pub act_ns: u64,
    /// Until there was something to restore to, waiting for others and for their order included, and what was
    /// done before it was struck again.
    pub provision_ns: u64,
    /// Moving bytes, and making objects one after another.
    pub fetch_ns: u64,
    /// Replaying a log.
    pub replay_ns: u64,
    /// Checks, and leading clients to it.
    pub verify_ns: u64,
}

impl RecoveryParts {
    /// The whole.
    pub fn sum_ns(&self) -> u64 {
        let parts = [
            self.detect_ns,
            self.decide_ns,
            self.act_ns,
            self.provision_ns,
            self.fetch_ns,
            self.replay_ns,
            self.verify_ns,
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}
