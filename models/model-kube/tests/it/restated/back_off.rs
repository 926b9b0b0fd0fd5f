//! Back-offs: `client-go/util/flowcontrol/backoff.go`, Kubernetes 1.36.

use model_api::{SimSpan, SimTime};
use model_kube::crash_loop::{Backoff, BackoffConfig};
use model_kube::daemon_set::{FAILED_POD_BACKOFF, wait_for_failed};
use model_kube::job::RecentFailures;
use proptest::collection::vec;
use proptest::prelude::*;

/// One entry of client-go's map, in milliseconds: its delay and when it was written last.
#[derive(Default)]
struct Entry(Option<(u64, u64)>);

impl Entry {
    /// An entry that is older than that is as good as none.
    fn known(&self, event: u64, reset: u64) -> Option<(u64, u64)> {
        self.0.filter(|(_, updated)| event.saturating_sub(*updated) <= reset)
    }

    fn next(&mut self, event: u64, now: u64, (initial, longest, reset): (u64, u64, u64)) {
        let delay = match self.known(event, reset) {
            None => initial.min(longest),
            Some((delay, _)) => (delay * 2).min(longest),
        };
        self.0 = Some((delay, now));
    }
}

fn span(millis: u64) -> SimSpan {
    SimSpan::from_millis(millis)
}

fn at(millis: u64) -> SimTime {
    SimTime::ZERO + span(millis)
}

proptest! {
    /// A container that ends again and again, after runs of any length: `Next` doubles the delay unless
    /// the entry has expired, and a restart waits for the delay from the end on.
    #[test]
    fn a_container_that_crashes(
        runs in vec(prop_oneof![0..60_000_u64, 0..2_000_000_u64], 1..20),
        initial in 1..20_000_u64,
        longest in 1..400_000_u64,
        reset in 1..900_000_u64,
    ) {
        let config = BackoffConfig {
            initial: span(initial),
            longest: span(longest),
            reset_after: span(reset),
        };
        let (mut backoff, mut entry) = (Backoff::default(), Entry::default());
        let mut started = 0;
        for run in runs {
            let ended = started + run;
            let waits = entry.known(ended, reset).map_or(0, |(delay, _)| delay);
            started = ended + waits;
            entry.next(ended, started, (initial, longest, reset));
            prop_assert_eq!(backoff.restart_at(at(ended), &config), at(started));
            prop_assert_eq!(backoff.delay(), span(entry.0.expect("it was written").0));
            prop_assert!(backoff.delay() <= config.longest);
        }
    }

    /// The DaemonSet controller deletes a pod that failed unless the delay since the last such deletion
    /// runs; then it looks again after all of that delay.
    #[test]
    fn daemons_that_fail(pauses in vec(prop_oneof![0..5_000_u64, 0..3_000_000_u64], 1..30)) {
        let (initial, longest, reset) = (1_000, 900_000, 1_800_000);
        prop_assert_eq!(FAILED_POD_BACKOFF.initial, span(initial));
        let (mut backoff, mut entry, mut now) = (Backoff::default(), Entry::default(), 0);
        for pause in pauses {
            now += pause;
            let running = entry.known(now, reset).filter(|(delay, since)| now - since < *delay);
            if running.is_none() {
                entry.next(now, now, (initial, longest, reset));
            }
            let wait = wait_for_failed(&mut backoff, at(now));
            prop_assert_eq!(wait, running.map(|(delay, _)| span(delay)));
        }
    }

    /// Jobs wait ten seconds after a failure, twice as long after each further one, ten minutes at most
    /// (`pkg/controller/job/backoff_utils.go`).
    #[test]
    fn jobs_that_fail(count in 0..40_u32, last_secs in 0..100_000_u64) {
        let last_at = SimTime::from_secs(last_secs);
        let mut wait = 0;
        for nth in 0..count {
            wait = if nth == 0 { 10 } else { (wait * 2).min(600) };
        }
        let expected = if count == 0 { SimTime::ZERO } else { last_at + SimSpan::from_secs(wait) };
        prop_assert_eq!(RecentFailures { count, last_at }.not_before(), expected);
    }
}
