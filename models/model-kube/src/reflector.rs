//! When a watcher that lost its connection lists anew: the back-off of client-go's reflectors.
//!
//! # Modelled
//! Pauses that double and are drawn, tries that are refused at once or meet silence, packets that open a
//! connection and are sent again, and connections that nobody closes until a ping finds them dead.
//! # Not modelled
//! A back-off that began before the connection was lost: watches are well for longer than the two
//! minutes after which it begins anew. Each kind of object has a reflector of its own; this is that of
//! EndpointSlices.
//! # Defaults and their sources
//! `client-go/tools/cache/reflector.go` (`NewExponentialBackoffManager` of 800 ms, 30 s, 2 min, factor 2,
//! jitter 1; a pause after each end of `ListAndWatch`), `client-go/transport/cache.go` (a dial takes 30 s at
//! most), `apimachinery/pkg/util/net/http.go` (a ping after 30 s without a frame, 15 s for its answer),
//! Kubernetes 1.36. SYN again after 1 s and then twice as long each time: RFC 6298, Linux tcp(7).
//! # Invariants
//! Nobody lists before the connection is known to be lost and somebody answers; who is refused lists
//! within two of the longest pauses after that.
//! # Checked against
//! Timelines worked out by hand.

use sim_kernel::{Draw, SimSpan, SimTime};

/// Without a frame for this long the client sends a ping.
pub const READ_IDLE: SimSpan = SimSpan::from_secs(30);
/// Without an answer to it for this long it gives the connection up.
pub const PING_TIMEOUT: SimSpan = SimSpan::from_secs(15);

const SHORTEST_PAUSE: SimSpan = SimSpan::from_millis(800);
const LONGEST_PAUSE: SimSpan = SimSpan::from_secs(30);
/// Pauses before the longest one: 0.8 s doubled so often is more.
const PAUSES_THAT_GROW: u64 = 6;
/// A try to connect that meets silence.
pub const DIAL_TIMEOUT: SimSpan = SimSpan::from_secs(30);
/// When such a try sends its packet, counted from its beginning.
const SYN_AT: [SimSpan; 5] = [
    SimSpan::ZERO,
    SimSpan::from_secs(1),
    SimSpan::from_secs(3),
    SimSpan::from_secs(7),
    SimSpan::from_secs(15),
];
/// A series of tries that has lasted this long has forgotten when it began.
const MEMORY: SimSpan = SimSpan::from_mins(20);

/// A time without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the watcher knows that its connection is lost.
    pub lost_at: SimTime,
    /// From then on a try succeeds.
    pub back_at: SimTime,
    /// Tries before that meet silence; otherwise they are refused at once.
    pub is_silent: bool,
}

/// A pause before a try, from the number of those before it.
pub fn pause(nth: u64, draw: Draw) -> SimSpan {
    draw.jitter(shortest(nth), 1.0)
}

fn shortest(nth: u64) -> SimSpan {
    (SHORTEST_PAUSE * (1 << nth.min(PAUSES_THAT_GROW))).min(LONGEST_PAUSE)
}

/// When a watcher is connected again, and how many pauses it made, from the [length](pause) of each.
pub fn connected_again(outage: Outage, pause: impl Fn(u64) -> SimSpan) -> (SimTime, u64) {
    let Outage { lost_at, back_at, is_silent } = outage;
    let (mut at, mut nth) = (lost_at, 0);
    if back_at.saturating_since(lost_at) > MEMORY * 2 {
        at = back_at.saturating_sub(MEMORY);
        nth = PAUSES_THAT_GROW;
    }
    loop {
        at += pause(nth);
        nth += 1;
        let mut packets = SYN_AT.iter().take(if is_silent { SYN_AT.len() } else { 1 });
        if let Some(after) = packets.find(|after| at + **after >= back_at) {
            return (at + *after, nth);
        }
        at += failed_try(is_silent);
    }
}

/// How long a try lasts that fails.
pub fn failed_try(is_silent: bool) -> SimSpan {
    if is_silent { DIAL_TIMEOUT } else { SimSpan::ZERO }
}

#[cfg(test)]
mod tests {
    use sim_kernel::{EntityKey, Purpose, Streams};

    use super::*;

    const TEST: Purpose = Purpose::new("test");

    fn secs(at: SimTime) -> f64 {
        at.as_secs_f64()
    }

    /// Pauses without jitter: 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30.
    #[test]
    fn tries_double_their_pauses_and_silence_costs_half_a_minute_each() {
        let cases = [
            // Refused: tries at 0.8, 2.4, 5.6, 12, 24.8, 50.4, 80.4.
            (false, 0.0, 0.8, 1),
            (false, 1.0, 2.4, 2),
            (false, 12.0, 12.0, 4),
            (false, 50.5, 80.4, 7),
            (false, 80.5, 110.4, 8),
            // Silent: tries from 0.8, from 32.4, from 65.6.
            (true, 0.0, 0.8, 1),
            (true, 1.0, 1.8, 1),
            (true, 4.0, 7.8, 1),
            (true, 15.8, 15.8, 1),
            (true, 16.0, 32.4, 2),
            (true, 50.0, 65.6, 3),
        ];
        for (is_silent, back, expected, pauses) in cases {
            let back_at = SimTime::ZERO + SimSpan::from_secs_f64_rounded(back);
            let outage = Outage { lost_at: SimTime::ZERO, back_at, is_silent };
            let (at, nth) = connected_again(outage, shortest);
            assert!((secs(at) - expected).abs() < 1e-6, "{outage:?}: {at:?}");
            assert_eq!(nth, pauses, "{outage:?}");
        }
    }

    #[test]
    fn however_long_it_lasted_the_next_try_is_at_most_a_try_and_a_pause_away() {
        for (run, hours) in [0, 1, 2, 24, 24 * 365].into_iter().cycle().take(500).enumerate() {
            for is_silent in [false, true] {
                let back_at = SimTime::ZERO + SimSpan::from_hours(hours);
                let streams = Streams::new(7, run as u64);
                let paused = |nth| pause(nth, streams.draw(EntityKey::of("node"), TEST, nth));
                let outage = Outage { lost_at: SimTime::ZERO, back_at, is_silent };
                let (at, _) = connected_again(outage, paused);
                let after = secs(at) - secs(back_at);
                let most = if is_silent { 90.0 } else { 60.0 };
                assert!((0.0..=most).contains(&after), "{outage:?}: {after}");
            }
        }
    }
}
