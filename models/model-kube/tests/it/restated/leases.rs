//! Leases: `client-go/tools/leaderelection/leaderelection.go`, Kubernetes 1.36.

use model_api::{SimSpan, SimTime};
use model_kube::leader_election::{ElectionConfig, Elector, LeaseRecord};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a client remembers: the renewal that it saw last, by number, and when it saw that first.
type Seen = Option<(u64, u64)>;

/// The lease as numbers: holder, number of the renewal, transitions.
type Lease = Option<(usize, u64, u32)>;

proptest! {
    /// Clients look at a lease at any times. Its holder renews it; another one takes it when it has seen
    /// the same renewal for the length of the lease, by its own clock.
    #[test]
    fn who_takes_a_lease(
        looks in vec((0..3_usize, 0..12_000_u64), 1..60),
        lease_secs in 1..20_u64,
    ) {
        let config = ElectionConfig::new(SimSpan::from_secs(lease_secs), SimSpan::from_secs(2));
        let mut electors = ["a", "b", "c"].map(|name| Elector::new(name, config));
        let (mut record, mut lease): (Option<LeaseRecord>, Lease) = (None, None);
        let (mut seen, mut now, mut renewals): ([Seen; 3], _, _) = ([None; 3], 0_u64, 0_u64);
        let mut acquired = 0;
        for (who, pause) in looks {
            now += pause;
            let mut succeeds = true;
            if let Some((holder, renewal, _)) = lease {
                let since = seen[who].filter(|(known, _)| *known == renewal).map_or(now, |it| it.1);
                seen[who] = Some((renewal, since));
                succeeds = holder == who || since + lease_secs * 1000 <= now;
            }
            if succeeds {
                let (holder, _, transitions) = lease.unwrap_or((who, 0, 0));
                let is_taken = lease.is_none() || holder != who;
                acquired = if is_taken { now } else { acquired };
                renewals += 1;
                lease = Some((who, renewals, transitions + u32::from(holder != who)));
                seen[who] = Some((renewals, now));
            }
            let at = SimTime::ZERO + SimSpan::from_millis(now);
            prop_assert_eq!(electors[who].try_acquire_or_renew(&mut record, at), succeeds);
            let (holder, _, transitions) = lease.expect("somebody has it");
            let known = record.as_ref().expect("somebody has it");
            prop_assert_eq!(&known.holder, ["a", "b", "c"][holder]);
            prop_assert_eq!(known.transitions, transitions);
            prop_assert_eq!(known.acquired_at, SimTime::ZERO + SimSpan::from_millis(acquired));
            prop_assert_eq!(electors[who].is_leader(), holder == who);
            // Whoever leads has to have renewed within the length of the lease.
            let is_late = now - seen[who].map_or(now, |it| it.1) > lease_secs * 1000;
            let is_healthy = electors[who].is_healthy(at, SimSpan::ZERO);
            prop_assert_eq!(is_healthy, holder != who || !is_late);
        }
    }

    /// A leader that cannot renew tries again after the retry period, and gives up when the renew
    /// deadline has passed since then: before the lease is over for anybody.
    #[test]
    fn when_a_leader_gives_up(lease_secs in 13..60_u64, retry_secs in 1..4_u64) {
        let (lease, retry) = (SimSpan::from_secs(lease_secs), SimSpan::from_secs(retry_secs));
        let config = ElectionConfig::new(lease, retry);
        prop_assert_eq!(config.stops_after().as_secs(), retry_secs + 10);
        prop_assert!(config.stops_after() <= lease + retry);
    }
}
