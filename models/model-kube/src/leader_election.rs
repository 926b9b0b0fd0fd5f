//! Which replica of a controller leads, and when another takes over.
//!
//! # Modelled
//! The Lease record, a candidate's own observation of it, renewal and giving up.
//! # Not modelled
//! Coordinated leader election (off in 1.36); release on exit of kube-controller-manager (off).
//! # Defaults and their sources
//! `client-go/tools/leaderelection/leaderelection.go`, Kubernetes 1.36: lease 15 s, renew deadline
//! 10 s, retry period 2 s.
//! # Invariants
//! At most one holder; a candidate never compares another machine's clock with its own.
//! # Checked against
//! `conformance/nodes-leader-election.yaml`; recorded take-overs.

use sim_kernel::{Draw, SimSpan, SimTime};

/// Timers of an elector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionConfig {
    /// `leaseDuration`.
    pub lease: SimSpan,
    /// `renewDeadline`.
    pub renew_deadline: SimSpan,
    /// `retryPeriod`.
    pub retry_period: SimSpan,
}

impl ElectionConfig {
    /// The components' defaults, with the lease and retry period given.
    pub fn new(lease: SimSpan, retry_period: SimSpan) -> Self {
        Self { lease, renew_deadline: SimSpan::from_secs(10).min(lease), retry_period }
    }

    /// From a leader's last success to the moment it stops leading: it tries again one retry
    /// period after the success, and for the renew deadline from then on.
    pub fn stops_after(&self) -> SimSpan {
        self.retry_period + self.renew_deadline
    }

    /// A candidate's pause until its next look: `jitter(retryPeriod, 1.2)`.
    pub fn poll_pause(&self, draw: Draw) -> SimSpan {
        draw.jitter(self.retry_period, 1.2)
    }

    /// The longest that pause can be.
    pub fn longest_pause(&self) -> SimSpan {
        self.retry_period * 22 / 10
    }
}

/// The record in the Lease object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseRecord {
    /// `holderIdentity`, empty when released.
    pub holder: String,
    /// `leaseDurationSeconds`.
    pub lease: SimSpan,
    /// `acquireTime`.
    pub acquired_at: SimTime,
    /// `renewTime`.
    pub renewed_at: SimTime,
    /// `leaseTransitions`.
    pub transitions: u32,
}

/// One replica's elector.
#[derive(Clone, Debug)]
pub struct Elector {
    identity: String,
    config: ElectionConfig,
    observed: Option<(LeaseRecord, SimTime)>,
}

impl Elector {
    /// An elector that has seen no record.
    pub fn new(identity: &str, config: ElectionConfig) -> Self {
        Self { identity: identity.to_owned(), config, observed: None }
    }

    /// Notes the record as first seen at `at`.
    pub fn observe(&mut self, record: &LeaseRecord, at: SimTime) {
        if self.observed.as_ref().is_none_or(|(seen, _)| seen != record) {
            self.observed = Some((record.clone(), at));
        }
    }

    /// Whether this replica holds the record it last saw.
    pub fn is_leader(&self) -> bool {
        self.observed.as_ref().is_some_and(|(record, _)| record.holder == self.identity)
    }

    /// One attempt to get or keep the lease (`tryAcquireOrRenew`); `None` stands for an object
    /// that does not exist. On success the record is the new one.
    pub fn try_acquire_or_renew(&mut self, record: &mut Option<LeaseRecord>, now: SimTime) -> bool {
        let mut wanted = LeaseRecord {
            holder: self.identity.clone(),
            lease: self.config.lease,
            acquired_at: now,
            renewed_at: now,
            transitions: 0,
        };
        if let Some(old) = record.as_ref() {
            self.observe(old, now);
            let seen_at = self.observed.as_ref().map_or(now, |(_, at)| *at);
            let is_held = !old.holder.is_empty() && seen_at + old.lease > now;
            if is_held && old.holder != self.identity {
                return false;
            }
            if old.holder == self.identity {
                wanted.acquired_at = old.acquired_at;
                wanted.transitions = old.transitions;
            } else {
                wanted.transitions = old.transitions + 1;
            }
        }
        self.observed = Some((wanted.clone(), now));
        *record = Some(wanted);
        true
    }

    /// Whether `/healthz` is fine at `now` (`Check`): a leader must have renewed within its lease
    /// and `tolerance`.
    pub fn is_healthy(&self, now: SimTime, tolerance: SimSpan) -> bool {
        let Some((_, at)) = self.observed.as_ref().filter(|_| self.is_leader()) else {
            return true;
        };
        now.saturating_since(*at) <= self.config.lease + tolerance
    }
}

/// When a candidate takes a lease whose record it first saw at `observed_at`: its first look at or
/// after the lease has run out. `looks_at` is one of its looks at or after `observed_at`, and
/// `pauses` are those after it.
pub fn takeover_at(
    observed_at: SimTime,
    lease: SimSpan,
    looks_at: SimTime,
    pauses: impl IntoIterator<Item = SimSpan>,
) -> SimTime {
    let free_at = observed_at + lease;
    let mut look = looks_at;
    for pause in pauses {
        if look >= free_at {
            break;
        }
        look += pause;
    }
    look.max(free_at)
}

/// A lease that nobody renews any more.
#[derive(Clone, Copy, Debug)]
pub struct LostLease {
    /// When it was renewed last.
    pub renewed_at: SimTime,
    /// When its holder let it go of its own accord.
    pub released_at: Option<SimTime>,
}

/// What there is to know of a candidate for it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// When its process began to look.
    pub fresh_since: SimTime,
    /// Since when the API answers it without a break.
    pub served_since: SimTime,
}

/// When a candidate takes a lost lease. `draw` gives its draws since the loss, by number, of which fewer
/// than 32 are made.
pub fn takes_at(
    config: &ElectionConfig,
    lease: LostLease,
    candidate: Candidate,
    draw: impl Fn(u64) -> Draw,
) -> SimTime {
    let pause = |nth: u64| config.poll_pause(draw(nth));
    let part = |nth: u64| draw(nth).span_between(SimSpan::ZERO, pause(nth + 1));
    let Candidate { fresh_since, served_since } = candidate;
    if let Some(released_at) = lease.released_at {
        if fresh_since > released_at {
            return fresh_since.max(served_since);
        }
        return released_at.max(served_since) + part(0);
    }
    // A candidate looks at once when it starts; one that runs is between two looks.
    let first_look = if fresh_since > lease.renewed_at {
        fresh_since.max(served_since)
    } else {
        lease.renewed_at + part(0)
    };
    // Twenty looks of at least 2 s cover the lease of any sensible configuration.
    let free_at = takeover_at(first_look, config.lease, first_look, (2..20).map(pause));
    if free_at >= served_since { free_at } else { served_since + part(21) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sim_kernel::{EntityKey, Purpose, Streams};

    use super::*;

    proptest! {
        /// Clusters in time ask the closed form when a candidate takes over; recorded cases ask the
        /// elector, look by look. Both are one: whenever a leader renews for the last time and
        /// however a candidate pauses between its looks.
        #[test]
        fn an_elector_takes_over_when_the_closed_form_says(
            renewal_count in 0..8_u64,
            renewal_late in 0..400_u64,
            first_look in 0..4_400_u64,
            pauses in vec(2_000..4_400_u64, 40),
            lease_secs in 3..20_u64,
        ) {
            let config =
                ElectionConfig::new(SimSpan::from_secs(lease_secs), SimSpan::from_secs(2));
            let millis = |at: u64| SimTime::from_nanos(at * 1_000_000);
            let renewals: Vec<SimTime> =
                (0..=renewal_count).map(|nth| millis(nth * (2_000 + renewal_late))).collect();
            let last_renewal = *renewals.last().expect("one at least");
            let mut looks = vec![millis(first_look)];
            for pause in &pauses {
                looks.push(*looks.last().expect("one at least") + SimSpan::from_millis(*pause));
            }
            let (mut leader, mut candidate) =
                (Elector::new("a", config), Elector::new("b", config));
            let (mut record, mut left) = (None, renewals.as_slice());
            let taken_at = looks.iter().copied().find(|look| {
                while let Some((at, later)) = left.split_first().filter(|(at, _)| *at <= look) {
                    assert!(leader.try_acquire_or_renew(&mut record, *at), "it leads");
                    left = later;
                }
                candidate.try_acquire_or_renew(&mut record, *look)
            });
            let seen = looks.iter().position(|look| *look >= last_renewal).expect("80 s of them");
            let later = pauses[seen..].iter().map(|pause| SimSpan::from_millis(*pause));
            let predicted = takeover_at(looks[seen], config.lease, looks[seen], later);
            prop_assert_eq!(taken_at, Some(predicted));
        }
    }

    #[test]
    fn a_candidate_waits_a_full_lease_from_its_own_first_look() {
        let config = ElectionConfig::new(SimSpan::from_secs(15), SimSpan::from_secs(2));
        let mut record = None;
        let mut leader = Elector::new("a", config);
        assert!(!leader.is_leader());
        assert!(leader.try_acquire_or_renew(&mut record, SimTime::from_secs(0)));
        let mut candidate = Elector::new("b", config);
        for (at, succeeds) in [(30, false), (44, false), (45, true)] {
            let got = candidate.try_acquire_or_renew(&mut record, SimTime::from_secs(at));
            assert_eq!((got, candidate.is_leader()), (succeeds, succeeds), "at {at} s");
        }
        assert_eq!(record.map(|record| record.transitions), Some(1));
        assert_eq!(config.stops_after(), SimSpan::from_secs(12));
    }

    /// `JitterUntil` with a factor of 1.2: two seconds and up to 2.4 more.
    #[test]
    fn candidates_pause_for_two_to_four_and_a_half_seconds() {
        let (lease, retry) = (SimSpan::from_secs(15), SimSpan::from_secs(2));
        let config = ElectionConfig::new(lease, retry);
        assert_eq!(config.longest_pause(), SimSpan::from_millis(4_400));
        let draw = |nth| {
            let (streams, purpose) = (Streams::new(1, 0), Purpose::new("pause"));
            streams.draw(EntityKey::of("candidate"), purpose, nth)
        };
        let pauses: Vec<SimSpan> = (0..200).map(|nth| config.poll_pause(draw(nth))).collect();
        assert!(pauses.iter().all(|it| (retry..=config.longest_pause()).contains(it)));
        let is_near = |edge: u64| pauses.iter().any(|it| it.as_millis().abs_diff(edge) < 100);
        assert!(is_near(2_000) && is_near(4_400));
    }
}
