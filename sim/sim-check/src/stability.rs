//! Whether a Service answers its requests again, and does so without its control planes while they are
//! frozen.

use model_api::observation::FlowSegment;
use sim_kernel::{SimSpan, SimTime};

/// Merges stretches of time that touch or overlap.
pub(crate) fn merged(mut stretches: Vec<(SimTime, SimTime)>) -> Vec<(SimTime, SimTime)> {
    stretches.sort();
    let mut merged: Vec<(SimTime, SimTime)> = Vec::new();
    for (from, until) in stretches {
        match merged.last_mut() {
            Some((_, last)) if from <= *last => *last = until.max(*last),
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// The longest time that a Service took in any frozen stretch until it answered `share_ppm` of its
/// requests again, for as long as that stretch lasted; `None` when it did not in one of them.
pub(crate) fn longest_recovery(
    segments: &[(FlowSegment, SimTime)],
    frozen: &[(SimTime, SimTime)],
    share_ppm: u32,
) -> Option<SimSpan> {
    let recoveries = frozen.iter().map(|stretch| recovery(segments, *stretch, share_ppm));
    recoveries
        .collect::<Option<Vec<SimSpan>>>()
        .map(|all| all.into_iter().max().unwrap_or_default())
}

/// How long a Service took from the start of a stretch of time until it answered `share_ppm` of its
/// requests, and did so to the end of the stretch; `None` when it did not at the end.
pub(crate) fn recovery(
    segments: &[(FlowSegment, SimTime)],
    (from, until): (SimTime, SimTime),
    share_ppm: u32,
) -> Option<SimSpan> {
    let mut good_since = from;
    let inside = segments.iter().filter(|(segment, end)| segment.from < until && *end > from);
    for (segment, end) in inside {
        let (start, end) = (segment.from.max(from), (*end).min(until));
        let (at_start, at_end) =
            (margin(segment, start, share_ppm), margin(segment, end, share_ppm));
        if at_end < 0 {
            good_since = end;
        } else if at_start < 0 {
            // Both rates are linear, so the margin is.
            let length = i128::from((end - start).as_nanos());
            let part = length * -at_start / (at_end - at_start);
            good_since = start + SimSpan::from_nanos(u64::try_from(part).expect("a part of it"));
        }
    }
    (good_since < until || from == until).then(|| good_since - from)
}

/// By how much the answered rate exceeds what is wanted at a moment of a stretch, in a unit that is
/// the same all over it.
fn margin(segment: &FlowSegment, at: SimTime, share_ppm: u32) -> i128 {
    let length = i128::from((segment.until - segment.from).as_nanos());
    let passed = i128::from((at - segment.from).as_nanos()).min(length);
    let rate = |from: u64, until: u64| {
        let (from, until) = (i128::from(from), i128::from(until));
        from * length + (until - from) * passed
    };
    let served = rate(segment.served_from_millirps, segment.served_until_millirps);
    let offered = rate(segment.offered_from_millirps, segment.offered_until_millirps);
    served * 1_000_000 - offered * i128::from(share_ppm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::segment;

    fn secs(at: u64) -> SimTime {
        SimTime::from_secs(at)
    }

    /// Stretches of 100 requests a second, of which so many are answered at the start and the end.
    fn flow(stretches: &[(u64, u64, u64, u64)]) -> Vec<(FlowSegment, SimTime)> {
        let flow = |&(from, until, served_from, served_until): &(u64, u64, u64, u64)| {
            let served = [served_from * 1000, served_until * 1000];
            (segment((secs(from), secs(until)), [100_000; 2], served), secs(until))
        };
        stretches.iter().map(flow).collect()
    }

    #[test]
    fn a_recovery_counts_when_it_comes_before_the_thaw_and_lasts_until_then() {
        let dip = [(0, 10, 100, 100), (10, 20, 50, 50), (20, 100, 100, 100)];
        let slope = [(0, 10, 100, 100), (10, 20, 0, 100), (20, 100, 100, 100)];
        let again = [(0, 40, 100, 100), (40, 100, 98, 98)];
        let cases: [(&[_], &[_], Option<u64>); 8] = [
            (&dip, &[(10, 60)], Some(10_000)),
            // Until the thaw it had not recovered, whatever came of it.
            (&dip, &[(10, 20)], None),
            (&dip, &[(10, 15)], None),
            (&dip, &[(20, 60)], Some(0)),
            (&slope, &[(10, 60)], Some(9_900)),
            (&again, &[(10, 60)], None),
            // Every stretch counts, and the longest recovery is told.
            (&dip, &[(5, 9), (12, 30)], Some(8_000)),
            (&dip, &[(12, 30), (14, 18)], None),
        ];
        for (stretches, frozen, expected) in cases {
            let frozen: Vec<_> = frozen.iter().map(|&(a, b)| (secs(a), secs(b))).collect();
            let found = longest_recovery(&flow(stretches), &frozen, 990_000);
            assert_eq!(found.map(|span| span.as_millis()), expected, "{stretches:?} {frozen:?}");
        }
    }

    #[test]
    fn stretches_that_overlap_are_one() {
        let pairs = |pairs: &[(u64, u64)]| -> Vec<(SimTime, SimTime)> {
            pairs.iter().map(|&(a, b)| (secs(a), secs(b))).collect()
        };
        let found = merged(pairs(&[(50, 60), (10, 20), (15, 30), (30, 40)]));
        assert_eq!(found, pairs(&[(10, 40), (50, 60)]));
    }
}
