//! Whether a goodput is back after faults.
//!
//! Goodput is the share of the requests asked for that are answered well: a load that falls by itself
//! takes nothing from it. Its level is the share from the start of the run to the first fault, or all of
//! them when nobody asked before. It is *below* a share of this level as an outage is: at a moment, and
//! over the next 30 s; a request that is late now and then takes nothing from it either.

use model_api::observation::FlowSegment;
use sim_kernel::{SimSpan, SimTime};

use crate::measures::ServiceMeasures;
use crate::outage::OutageWatch;

/// What became of a goodput after the last fault of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// No fault struck.
    NoFault,
    /// Nothing was answered before the first fault: there is no level that it could return to.
    NoLevel,
    /// Nobody asked after the last fault struck.
    NobodyAsked,
    /// It was back for good so long after the last fault struck; zero when it never fell.
    After(SimSpan),
    /// It was below its level when the run ended.
    Below,
}

/// What became of a goodput that is to return to so much of its level, given when the first and the last
/// fault struck.
pub(crate) fn returned(
    segments: &[(FlowSegment, SimTime)],
    struck: Option<(SimTime, SimTime)>,
    to_ppm: u32,
) -> Returned {
    let Some((first, last)) = struck else { return Returned::NoFault };
    let Some(level_ppm) = level_ppm(segments, first) else { return Returned::NoLevel };
    let wanted_ppm = u64::from(level_ppm) * u64::from(to_ppm) / 1_000_000;
    let wanted_ppm = u32::try_from(wanted_ppm).expect("a share of a share");
    let after = segments.iter().filter(|(_, until)| *until > last);
    if after.clone().all(|(it, _)| it.offered_from_millirps + it.offered_until_millirps == 0) {
        return Returned::NobodyAsked;
    }
    let mut watch = OutageWatch::below(wanted_ppm);
    for (segment, until) in after {
        watch.fold(segment, *until);
    }
    let falls = watch.finish();
    match falls.last() {
        Some(fall) if !fall.is_over => Returned::Below,
        fall => {
            Returned::After(fall.map_or(SimSpan::ZERO, |fall| fall.until.saturating_since(last)))
        }
    }
}

/// The share that was answered before a moment, in parts per million, rounded down; `None` when it is
/// nothing.
fn level_ppm(segments: &[(FlowSegment, SimTime)], first: SimTime) -> Option<u32> {
    let mut seen = ServiceMeasures::default();
    for (segment, until) in segments.iter().take_while(|(segment, _)| segment.from < first) {
        // A stretch is one rate or one slope; what is cut off of it may have another share by a slope
        // only, and no more than that.
        let until = (*until).min(first);
        seen.fold(segment, until);
    }
    match seen.availability_ppm() {
        None => Some(1_000_000),
        Some(0) => None,
        level => level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::segment;

    fn secs(at: u64) -> SimTime {
        SimTime::from_secs(at)
    }

    /// Until a second, from the last one: requests asked for and answered a second, at the start and the
    /// end.
    type Stretch = (u64, [u64; 2], [u64; 2]);

    /// Name, what happens, when the first and the last fault strike, what comes of it.
    type Case<'a> = (&'a str, &'a [Stretch], (u64, u64), Returned);

    fn found(stretches: &[Stretch], struck: (u64, u64)) -> Returned {
        let mut from = 0;
        let mut segments = Vec::new();
        for (until, asked, answered) in stretches {
            let rates = |it: &[u64; 2]| it.map(|rate| rate * 1000);
            let told = segment((secs(from), secs(*until)), rates(asked), rates(answered));
            segments.push((told, secs(*until)));
            from = *until;
        }
        returned(&segments, Some((secs(struck.0), secs(struck.1))), 950_000)
    }

    const fn flat(until: u64, asked: u64, answered: u64) -> Stretch {
        (until, [asked, asked], [answered, answered])
    }

    #[test]
    fn a_goodput_is_what_is_answered_of_what_is_asked() {
        let after = |secs| Returned::After(SimSpan::from_secs(secs));
        let cases: [Case<'_>; 9] = [
            ("it never falls", &[flat(3600, 100, 100)], (600, 600), after(0)),
            (
                "it falls and comes back",
                &[flat(600, 100, 100), flat(700, 100, 0), flat(3600, 100, 100)],
                (600, 600),
                // Of the 30 s from then on 95 % are answered.
                Returned::After(SimSpan::from_millis(98_500)),
            ),
            (
                "it stays away",
                &[flat(600, 100, 100), flat(3600, 100, 90)],
                (600, 600),
                Returned::Below,
            ),
            (
                "the load falls by itself",
                &[flat(600, 100, 100), (3600, [100, 10], [100, 10])],
                (600, 600),
                after(0),
            ),
            ("a fault at the start", &[flat(3600, 100, 100)], (0, 0), after(0)),
            ("and nothing is answered after it", &[flat(3600, 100, 0)], (0, 0), Returned::Below),
            ("nothing was answered before", &[flat(3600, 100, 0)], (600, 600), Returned::NoLevel),
            ("nobody asks", &[flat(3600, 0, 0)], (600, 600), Returned::NobodyAsked),
            (
                "half of them are answered before and after",
                &[flat(600, 100, 50), flat(700, 100, 0), flat(3600, 100, 50)],
                (600, 650),
                Returned::After(SimSpan::from_millis(48_500)),
            ),
        ];
        for (name, stretches, struck, expected) in cases {
            assert_eq!(found(stretches, struck), expected, "{name}");
        }
    }

    #[test]
    fn a_late_request_much_later_is_no_fall() {
        let mut segments = Vec::new();
        let mut push = |from: u64, until: u64, answered: u64| {
            let (from, until) = (SimTime::from_millis(from), SimTime::from_millis(until));
            segments.push((segment((from, until), [100_000; 2], [answered; 2]), until));
        };
        push(0, 600_000, 100_000);
        push(600_000, 601_000, 0);
        push(601_000, 3_000_000, 100_000);
        push(3_000_000, 3_000_011, 66_000);
        push(3_000_011, 3_600_000, 100_000);
        let struck = Some((secs(600), secs(600)));
        assert_eq!(returned(&segments, struck, 950_000), Returned::After(SimSpan::ZERO));
        assert_eq!(
            returned(&segments, struck, 1_000_000),
            Returned::After(SimSpan::from_millis(2_400_011)),
            "whoever wants all of it gets all of it",
        );
        assert_eq!(returned(&segments, None, 950_000), Returned::NoFault);
    }
}
