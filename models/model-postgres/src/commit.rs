//! What a commit waits for: `synchronous_commit` of the cluster.
//!
//! With `local` clients hear once the primary has a commit on its disk, with `off` before that. The names of
//! synchronous standbys stay what they are, and so does the failover quorum that is counted from them: it
//! says nothing of such commits.
//!
//! Source: PostgreSQL 17, `SyncRepWaitForLSN` of `src/backend/replication/syncrep.c` (nobody waits unless
//! `synchronous_commit` is above `local`), `RecordTransactionCommit` of
//! `src/backend/access/transam/xact.c`, and `wal.sgml`: what a crash takes with `off` is at most three times
//! `wal_writer_delay`. `XLogSendPhysical` of `walsender.c`: standbys are sent what is on disk.
//!
//! Simplified: how much is not on disk is drawn evenly up to that bound; a commit that waits for a full
//! buffer of WAL is not played.

use model_api::blueprint::CommitWait;
use model_api::parameters::Range;
use sim_kernel::{Purpose, SimSpan};

use crate::cluster::{Cluster, OldSide, Port};
use crate::position::Mark;

const UNWRITTEN: Purpose = Purpose::new("postgres log not on disk");

impl Cluster {
    /// How many standbys must confirm a commit of an instance before its client hears.
    pub(crate) fn confirming_number(&self, primary: u8) -> u32 {
        match self.setup.commit_wait {
            CommitWait::Standbys => self.at(primary).applied_number,
            CommitWait::Disk | CommitWait::Nothing { .. } => 0,
        }
    }

    /// The newest stretch of commits that a primary has in memory alone, by one draw.
    pub(crate) fn unwritten(&self, port: &impl Port, occurrence: u32) -> SimSpan {
        let CommitWait::Nothing { unwritten: most } = self.setup.commit_wait else {
            return SimSpan::ZERO;
        };
        let range = Range { least: SimSpan::ZERO, most };
        port.draw(self.setup.key, UNWRITTEN, occurrence, range)
    }

    /// What is on the disk of a primary that ends now. What a standby has was on disk before.
    pub(crate) fn written_at_end(&self, port: &impl Port, primary: u8, is_clean: bool) -> Mark {
        let (now, writer) = (port.now(), &self.at(primary).writer);
        let all = writer.at(now);
        let unwritten =
            if is_clean { SimSpan::ZERO } else { self.unwritten(port, self.lag_draw(now)) };
        if unwritten.is_zero() {
            return all;
        }
        let shipped = self.ordinals().filter(|&other| self.at(other).streams_from(primary));
        let shipped = shipped.map(|other| self.at(other).received).max().unwrap_or_default();
        writer.at(now.saturating_sub(unwritten)).max(shipped).min(all)
    }

    /// A primary goes on from its own disk: tells what it had acknowledged and not written.
    pub(crate) fn tell_unwritten(&mut self, port: &mut impl Port, ordinal: u8) {
        let survivor = self.at(ordinal).received;
        if self.at(ordinal).acknowledged > survivor {
            let lost_from = self.at(ordinal).behind_since;
            self.observe_loss(port, OldSide { ordinal, survivor, lost_from });
            self.hand_on_unknowns(port, ordinal, survivor.position_ns);
        }
    }
}
