//! When a cluster notices that disks are away, and when it gives them up.
//!
//! # Modelled
//! OSDs that fall silent are missed by their peers after the grace period, counted from the last
//! heartbeat; one whose disk dies ends, and its peers are refused at once. Then the groups concerned
//! peer, during which nothing of theirs is read or written. A disk that stays away is marked out and
//! what it had is made anew, but not while its whole zone is away, and not when too few are in.
//! # Not modelled
//! Graces that are longer for OSDs that were slow before (`mon_osd_adjust_heartbeat_grace`); too few
//! reporters; flapping; racks inside a zone (the subtree limit is taken to reach zones only).
//! # Defaults and their sources
//! Ceph 19 `src/common/options/global.yaml.in`: `osd_heartbeat_interval` 6 s, `osd_heartbeat_grace` 20 s,
//! `osd_fast_fail_on_connection_refused`; `mon.yaml.in`: `mon_osd_down_out_interval` 600 s,
//! `mon_osd_down_out_subtree_limit` rack, `mon_osd_min_in_ratio` 0.75, `mon_lease` 5 s,
//! `mon_election_timeout` 5 s (both are over before the grace is). Peering of 1 to 9 s is an
//! **assumption** that makes the pause after the loss of a zone 21 to 35 s.
//! # Invariants
//! A whole zone is never marked out.
//! # Checked against
//! OS-1 and OS-2 of the specification of platform services.

use model_api::parameters::Range;
use sim_kernel::SimSpan;

/// A silent OSD is reported down after this time without an answer.
pub const HEARTBEAT_GRACE: SimSpan = SimSpan::from_secs(20);
/// A heartbeat is sent so often: how much the report is later than the grace at most.
pub const HEARTBEAT_INTERVAL: SimSpan = SimSpan::from_secs(6);
/// From a new map to reads and writes. **Assumption.**
pub const PEERING: Range = Range::millis(1_000, 9_000);
/// A disk that is down for so long is marked out.
pub const DOWN_OUT: SimSpan = SimSpan::from_secs(600);
/// Least share of disks that are in for another to be marked out, in parts per thousand.
pub const IN_RATIO_PERMILLE: u32 = 750;

/// How OSDs went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Their machines are silent.
    Silent,
    /// They ended on machines that live, or come back: peers are told at once.
    Told,
}

/// How long nothing is read or written after disks went or came, of two drawn times: that from the last
/// heartbeat to the next, and that of peering.
pub fn pause(departure: Departure, heartbeat: SimSpan, peering: SimSpan) -> SimSpan {
    match departure {
        Departure::Silent => HEARTBEAT_GRACE + heartbeat + peering,
        Departure::Told => peering,
    }
}

/// Whether another disk may be marked out, with so many of all in. (`OSDMonitor::can_mark_out` compares
/// what is in before.)
pub fn may_mark_out(in_count: u32, osd_count: u32) -> bool {
    u64::from(in_count) * 1000 >= u64::from(osd_count) * u64::from(IN_RATIO_PERMILLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_pauses_for_twenty_to_thirty_five_seconds() {
        let least = pause(Departure::Silent, SimSpan::ZERO, PEERING.least);
        let most = pause(Departure::Silent, HEARTBEAT_INTERVAL, PEERING.most);
        assert_eq!((least, most), (SimSpan::from_secs(21), SimSpan::from_secs(35)));
        assert_eq!(pause(Departure::Told, HEARTBEAT_INTERVAL, PEERING.least), PEERING.least);
    }

    #[test]
    fn a_quarter_of_the_disks_may_go() {
        let cases = [(100, true), (76, true), (75, true), (74, false), (0, false)];
        for (in_count, expected) in cases {
            assert_eq!(may_mark_out(in_count, 100), expected, "{in_count}");
        }
        assert!(may_mark_out(3, 4) && !may_mark_out(2, 4));
    }
}
