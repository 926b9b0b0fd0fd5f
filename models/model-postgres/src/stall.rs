//! Volumes that hang: whatever touches the disk of an instance waits.
//!
//! Commits of a primary wait, at most one a session, and are acknowledged when its volume goes on. A
//! standby receives nothing meanwhile and confirms nothing; it catches up as one does that was away.
//!
//! Simplified: nobody fails over because of it, as neither probes (`pg_isready`) nor the operator look at
//! the disk; an instance whose volume hangs is not chosen to be promoted; what is read from memory and
//! what is not makes no difference.

use crate::cluster::{Cluster, Port};

impl Cluster {
    /// The volume of an instance neither reads nor writes, or does again.
    pub(crate) fn set_stalled(&mut self, port: &mut impl Port, ordinal: u8, is_stalled: bool) {
        if self.at(ordinal).is_stalled == is_stalled {
            return;
        }
        self.catch_up_any(port);
        if is_stalled {
            // What was acknowledged until now is; from now on nothing is.
            let open: Vec<u8> = self.ordinals().filter(|&other| self.at(other).is_open).collect();
            for primary in open {
                self.freeze(port, primary, false, |_| false);
            }
        }
        self.at_mut(ordinal).is_stalled = is_stalled;
        let holds = is_stalled && !self.at(ordinal).is_open;
        self.set_held(port, ordinal, holds);
        self.refresh(port);
    }
}
