//! How long the address of an API server that died stays in the Service `kubernetes`.
//!
//! # Modelled
//! Every API server renews a lease for its address and compares all leases with the Service once a period,
//! each by a phase of its own. The address of one that died goes with the first comparison of another one
//! after its lease has run out: 5 to 25 s after the death with the times of Kubernetes. A new leader of
//! etcd gives every lease its whole time again. A server that ends in order takes its address away
//! itself, and one that starts does so until it is ready.
//! # Not modelled
//! etcd revokes leases up to half a second late. A comparison that fails because two servers write at the
//! same time: the next one is made by another server.
//! # Defaults and their sources
//! `pkg/controlplane/reconcilers/lease.go` (`ReconcileEndpoints`, `RemoveEndpoints`),
//! `pkg/controlplane/controller/kubernetesservice/controller.go` (`Start`, `Run`, `Stop`) and
//! `pkg/controlplane/instance.go` (`DefaultEndpointReconcilerInterval`, `DefaultEndpointReconcilerTTL`),
//! Kubernetes 1.36; `lessor.Promote` of etcd 3.6 (`server/lease/lessor.go`).
//! # Invariants
//! No address goes before its lease has run out.
//! # Checked against
//! The tests below; `tests/it/api_service.rs`.

use sim_kernel::{SimSpan, SimTime};

/// From one comparison of a server to its next one.
pub const PERIOD: SimSpan = SimSpan::from_secs(10);
/// How long a lease is good for after its renewal.
pub const LEASE: SimSpan = SimSpan::from_secs(15);

/// When the lease of a server runs out that died at `died_at` and compared at `origin` and each period
/// before and after.
pub fn expires_at(origin: SimTime, died_at: SimTime) -> SimTime {
    let period = PERIOD.as_nanos();
    if died_at >= origin {
        let since = died_at.saturating_since(origin).as_nanos();
        return origin + SimSpan::from_nanos(since / period * period) + LEASE;
    }
    let before = origin.saturating_since(died_at).as_nanos().div_ceil(period);
    (origin + LEASE).saturating_sub(SimSpan::from_nanos(before * period))
}

/// The first comparison at or after a moment, of a server that compares at `origin` and each period after.
pub fn next_look(origin: SimTime, from: SimTime) -> SimTime {
    let since = from.saturating_since(origin).as_nanos();
    origin + SimSpan::from_nanos(since.div_ceil(PERIOD.as_nanos()) * PERIOD.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + SimSpan::from_secs(secs)
    }

    #[test]
    fn a_lease_runs_out_fifteen_seconds_after_its_last_renewal() {
        // The phase of a server, its death, and the end of its lease.
        let cases = [(3, 100, 108), (3, 103, 118), (3, 112, 118), (0, 9, 15)];
        for (origin, died, expected) in cases {
            assert_eq!(expires_at(at(origin), at(died)), at(expected), "{origin} {died}");
        }
        // It renewed before the run began.
        assert_eq!(expires_at(at(8), at(1)), at(13));
        assert_eq!(expires_at(at(8), at(8)), at(23));
    }

    #[test]
    fn others_look_once_a_period() {
        for (origin, from, expected) in [(4, 0, 4), (4, 4, 4), (4, 5, 14), (4, 108, 114)] {
            assert_eq!(next_look(at(origin), at(from)), at(expected), "{origin} {from}");
        }
    }

    #[test]
    fn an_address_stays_for_five_to_twenty_five_seconds() {
        let nanos = |tenths: u64| SimTime::ZERO + SimSpan::from_millis(100 * tenths);
        let (mut least, mut most) = (SimSpan::MAX, SimSpan::ZERO);
        for own in 0..100 {
            for other in 0..100 {
                let died = at(1000);
                let gone = next_look(nanos(other), expires_at(nanos(own), died));
                let stays = gone.saturating_since(died);
                (least, most) = (least.min(stays), most.max(stays));
            }
        }
        assert!(least >= SimSpan::from_secs(5) && least < SimSpan::from_millis(5_200), "{least}");
        assert!(most <= SimSpan::from_secs(25) && most > SimSpan::from_millis(24_700), "{most}");
    }
}
