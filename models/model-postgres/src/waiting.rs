//! Managers that start while the API server does not answer them, and when they find that it does again.
//!
//! # Modelled
//! The manager of an instance of CloudNativePG reads its Cluster before it starts PostgreSQL. It tries five
//! times, waits 1, 3, 9 and 27 s in between, ends, and is started again by its kubelet after the back-off of
//! its container. In a zone that is cut off a try lasts until the connection is given up, and only the next of
//! its packets gets through once the network is back. So an old primary comes back some time after its zone,
//! and an operator that is back earlier promotes a standby that lacks what it acknowledged meanwhile.
//!
//! # Not modelled
//! Simplified: where the zone is not cut off, tries are refused at once; from the end of a container to the
//! start of the next one no time goes by beside the back-off, which begins with its first delay.
//!
//! # Defaults and their sources
//! CloudNativePG 1.30: `readinessCheckRetry` and `WaitForGetClusterWithClient` of
//! `pkg/management/client.go`; `verifyPgDataCoherenceForPrimary` of
//! `internal/management/controller/instance_startup.go` (whoever is not the target any more waits and rewinds).
//! `wait.Backoff` of apimachinery (a tenth of jitter). client-go dials for 30 s (`http.DefaultTransport`); Linux
//! sends the first packet of a connection again after 1, 3, 7 and 15 s (`TCP_TIMEOUT_INIT`, doubled).
//!
//! # Invariants
//! Whoever waits is asked for nothing until its next try.
//!
//! # Checked against
//! `tests/it/timelines.rs`, worked out by hand; published measurements of 1.30.0 whose operator was cut off
//! with the primary: promoted 24 s after the network was back, or the primary came back first.

use model_api::parameters::Range;
use sim_kernel::{Purpose, SimSpan, SimTime};

use crate::cluster::{Cluster, Port};
use crate::event::PgEvent;
use crate::instance::Process;
use crate::rare;

/// Between two tries.
const WAITS: [SimSpan; 4] =
    [SimSpan::from_secs(1), SimSpan::from_secs(3), SimSpan::from_secs(9), SimSpan::from_secs(27)];
/// A connection that nobody answers is given up after it.
const DIAL: SimSpan = SimSpan::from_secs(30);
/// When the first packet of a connection is sent, from its beginning.
const PACKETS: [SimSpan; 5] = [
    SimSpan::ZERO,
    SimSpan::from_secs(1),
    SimSpan::from_secs(3),
    SimSpan::from_secs(7),
    SimSpan::from_secs(15),
];

const JITTER: Purpose = Purpose::new("postgres manager waits between two tries");

/// A manager that waits for the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Since then.
    pub(crate) since: SimTime,
    /// Nothing answers at all, rather than with a refusal.
    pub(crate) is_cut_off: bool,
}

impl Cluster {
    /// Notes who waits for the API server, and when whoever does finds that it answers again.
    pub(crate) fn tend_waiting(&mut self, port: &mut impl Port) {
        let now = port.now();
        for ordinal in self.ordinals() {
            let instance = *self.at(ordinal);
            if instance.process != Process::Waiting {
                self.at_mut(ordinal).waiting = None;
                continue;
            }
            if !port.is_api_reachable(instance.zone) {
                let is_cut_off = port.is_isolated(instance.zone);
                let waiting = Waiting { since: now, is_cut_off };
                self.at_mut(ordinal).waiting.get_or_insert(waiting);
            } else if let Some(waiting) = self.at_mut(ordinal).waiting.take() {
                let at = self.next_try(port, ordinal, waiting);
                if at > now {
                    port.hit(&rare::MANAGER_WAITED);
                    self.at_mut(ordinal).deaf_until = at;
                    port.timer_at(at, PgEvent::SilenceOver { database: self.setup.id });
                }
            }
        }
    }

    /// When a manager next reaches the API server, which answers from now on.
    fn next_try(&self, port: &impl Port, ordinal: u8, waiting: Waiting) -> SimTime {
        let now = port.now();
        let parameters = port.parameters();
        let (mut delay, most) = (parameters.crash_loop_initial, parameters.crash_loop_max);
        let first = self.at(ordinal).work_count.wrapping_mul(64);
        let (mut start, mut count) = (waiting.since, 0_u32);
        loop {
            for pause in WAITS.map(Some).into_iter().chain([None]) {
                let packets = if waiting.is_cut_off { &PACKETS[..] } else { &PACKETS[..1] };
                let sent = packets.iter().map(|after| start.saturating_add(*after));
                if let Some(at) = sent.into_iter().find(|at| *at >= now) {
                    return at;
                }
                if waiting.is_cut_off {
                    start = start.saturating_add(DIAL);
                }
                if let Some(pause) = pause {
                    let most = Range { least: SimSpan::ZERO, most: pause / 10 };
                    let draw = first.wrapping_add(count % 64);
                    let jitter = port.draw(self.key_of(ordinal), JITTER, draw, most);
                    start = start.saturating_add(pause).saturating_add(jitter);
                    count += 1;
                }
            }
            start = start.saturating_add(delay);
            delay = delay.saturating_mul(2).min(most).max(SimSpan::from_secs(1));
        }
    }
}
