//! Timers of a platform: how short and how long each can be.
//!
//! # Defaults and their sources
//! A period of nothing is refused by what has one: `NewLeaderElector` of
//! `client-go/tools/leaderelection` (its lease too), `wait.Until` loops around the node monitor and the
//! pod garbage collector, the kubelet's lease (`nodeLeaseDurationSeconds`); 1.36. An election time-out
//! is at least five heartbeats of etcd, which are 100 ms each, and at most 50 s (`Config.Validate` of
//! etcd `server/embed/config.go`, 3.6). The longest delay of a crash loop is 1 s to 5 min
//! (`ValidateKubeletConfiguration` of `pkg/kubelet/apis/config/validation`, 1.36).

use model_api::SimSpan;

use super::Resolver;
use crate::diagnostic::Code;
use crate::document::{ParametersSpec, PlatformDocument};
use crate::source::Spanned;

/// A timer that something waits for again and again: long enough that a run comes to its end, and short
/// enough that many of them end before time does.
const PERIOD: Bounds = Bounds { least: SimSpan::from_millis(1), most: SimSpan::from_days(366) };
/// Five to five hundred heartbeats of etcd.
const ELECTION: Bounds = Bounds { least: SimSpan::from_millis(500), most: SimSpan::from_secs(50) };
const CRASH_LOOP: Bounds = Bounds { least: SimSpan::from_secs(1), most: SimSpan::from_secs(300) };

/// From when to when a timer can go, both included.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: SimSpan,
    most: SimSpan,
}

/// What a platform states of timers that have bounds.
fn bounded(stated: &ParametersSpec) -> [(Option<Spanned<SimSpan>>, Bounds); 8] {
    [
        (stated.lease_renew_period, PERIOD),
        (stated.node_monitor_period, PERIOD),
        (stated.pod_gc_period, PERIOD),
        (stated.leader_lease_duration, PERIOD),
        (stated.leader_retry_period, PERIOD),
        (stated.crash_loop_initial, PERIOD),
        (stated.crash_loop_max, CRASH_LOOP),
        (stated.etcd_election_timeout, ELECTION),
    ]
}

impl Resolver<'_> {
    /// What a platform says of its timers can be.
    pub(super) fn timers(&mut self, platform: &PlatformDocument) {
        let Some(stated) = &platform.spec.parameters else { return };
        for (timer, Bounds { least, most }) in bounded(stated) {
            if let Some(timer) = timer
                && !(least..=most).contains(&timer.value)
            {
                let message = format!("this is {least} at least and {most} at most");
                self.report(Code::E0021, timer.span, message);
            }
        }
    }
}
