use super::*;
use crate::fixture::segment;
use proptest::prelude::*;

/// `(length in s, offered at start and end, served at start and end)`, in requests per second.
type Shape = (u64, [u64; 2], [u64; 2]);

/// Name, what happens, and the outages as `(from, until, is_over)`.
type Case = (&'static str, &'static [Shape], &'static [(f64, f64, bool)]);

fn outages(shapes: &[Shape]) -> Vec<Outage> {
    let mut watch = OutageWatch::default();
    for (segment, until) in segments(shapes) {
        watch.fold(&segment, until);
    }
    watch.finish()
}

fn segments(shapes: &[Shape]) -> Vec<(FlowSegment, SimTime)> {
    let mut from = SimTime::ZERO;
    let mut all = Vec::new();
    for &(length, offered, served) in shapes {
        let until = from + SimSpan::from_secs(length);
        let (offered, served) = (offered.map(|it| it * 1000), served.map(|it| it * 1000));
        all.push((segment((from, until), offered, served), until));
        from = until;
    }
    all
}

const fn flat(length: u64, offered: u64, served: u64) -> Shape {
    (length, [offered, offered], [served, served])
}

/// Outages as `(from, until, is_over)`, in seconds.
fn in_seconds(shapes: &[Shape]) -> Vec<(f64, f64, bool)> {
    let round = |at: SimTime| (at.as_nanos() as f64 / 1e9 * 1e6).round() / 1e6;
    outages(shapes).iter().map(|it| (round(it.from), round(it.until), it.is_over)).collect()
}

#[test]
fn what_counts_as_an_outage() {
    const CASES: &[Case] = &[
        ("nothing happens", &[flat(3600, 10, 10)], &[]),
        ("nobody asks", &[flat(3600, 0, 0)], &[]),
        (
            "a minute of nothing ends within the 1 % that may fail",
            &[flat(100, 10, 10), flat(60, 10, 0), flat(600, 10, 10)],
            &[(100.0, 159.7, true)],
        ),
        (
            "a failure now and then does not begin one",
            &[flat(100, 1000, 1000), flat(600, 1000, 995), flat(100, 1000, 1000)],
            &[],
        ),
        (
            "too short to spoil a window: 0.3 s in 30 s are 1 %",
            &[flat(100, 1000, 1000), flat(1, 1000, 701), flat(100, 1000, 1000)],
            &[],
        ),
        (
            "one lucky answer does not end it",
            &[
                flat(60, 10, 10),
                flat(60, 10, 0),
                flat(10, 10, 10),
                flat(60, 10, 0),
                flat(90, 10, 10),
            ],
            &[(60.0, 189.7, true)],
        ),
        (
            "two are two when a window of good stands between",
            &[
                flat(60, 10, 10),
                flat(60, 10, 0),
                flat(60, 10, 10),
                flat(60, 10, 0),
                flat(60, 10, 10),
            ],
            &[(60.0, 119.7, true), (180.0, 239.7, true)],
        ),
        ("the run ends in it", &[flat(60, 10, 10), flat(60, 10, 0)], &[(60.0, 120.0, false)]),
        (
            "the run ends before a window fits",
            &[flat(60, 10, 10), flat(60, 10, 0), flat(29, 10, 10)],
            &[(60.0, 149.0, false)],
        ),
        (
            "what fails ever more begins with the first that fails",
            &[flat(100, 100, 100), (100, [100, 100], [100, 0]), flat(100, 100, 100)],
            &[(100.0, 199.699_549, true)],
        ),
    ];
    for (name, shapes, expected) in CASES {
        assert_eq!(in_seconds(shapes), *expected, "{name}");
    }
}

/// A stretch, and whether what piled up waits at its end.
type Piled = (Shape, bool);

/// An outage as `(from, served_at, until, is_over)`, in whole seconds rounded down.
type Told = (u64, Option<u64>, u64, bool);

fn with_backlog(shapes: &[Piled]) -> Vec<Told> {
    let found = piled_up(shapes);
    let secs = |at: SimTime| at.as_nanos() / 1_000_000_000;
    let told =
        found.iter().map(|it| (secs(it.from), it.served_at.map(secs), secs(it.until), it.is_over));
    told.collect()
}

fn piled_up(shapes: &[Piled]) -> Vec<Outage> {
    let (shapes, flags): (Vec<Shape>, Vec<bool>) = shapes.iter().copied().unzip();
    let mut watch = OutageWatch::default();
    for ((mut segment, until), is_piled_up) in segments(&shapes).into_iter().zip(flags) {
        segment.is_piled_up = is_piled_up;
        watch.fold(&segment, until);
    }
    watch.finish()
}

#[test]
fn an_outage_lasts_until_its_backlog_is_gone() {
    const WELL: Shape = flat(100, 10, 10);
    const BAD: Shape = flat(60, 10, 0);
    let cases: [(&str, &[Piled], &[Told]); 6] = [
        (
            "it is served while enough is answered",
            &[(WELL, false), (BAD, false), (flat(45, 10, 10), true), (WELL, false), (WELL, false)],
            &[(100, Some(159), 305, true)],
        ),
        (
            "at the end of the stretch in which it is gone",
            &[(WELL, false), (BAD, true), (flat(5, 10, 10), false), (WELL, false)],
            &[(100, Some(159), 165, true)],
        ),
        (
            "what fails before it is gone belongs to the same outage",
            &[(WELL, false), (BAD, true), (WELL, true), (BAD, true), (WELL, false), (WELL, false)],
            &[(100, Some(319), 420, true)],
        ),
        (
            "it is there when the run ends",
            &[(WELL, false), (BAD, true), (WELL, true)],
            &[(100, Some(159), 260, false)],
        ),
        (
            "by itself it is none: who waits and is answered has no outage",
            &[(WELL, false), (WELL, true), (WELL, true), (WELL, false)],
            &[],
        ),
        (
            "nor does one that begins after the good window prolong it",
            &[(WELL, false), (BAD, false), (WELL, false), (WELL, true), (WELL, false)],
            &[(100, Some(159), 159, true)],
        ),
    ];
    for (name, shapes, expected) in cases {
        assert_eq!(with_backlog(shapes), expected, "{name}");
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    (1..90_u64, 0..50_u64, 0..50_u64, 0..=4_u64, 0..=4_u64).prop_map(
        |(length, a, b, good_a, good_b)| (length, [a, b], [a * good_a / 4, b * good_b / 4]),
    )
}

/// 100 × answered − 99 × asked for over `[from, from + 30 s]`, doubled, cut at the end of the run:
/// as slowly as can be.
fn margin(segments: &[(FlowSegment, SimTime)], from: SimTime) -> f64 {
    let until = from + RECOVERY_WINDOW;
    let level = |segment: &FlowSegment, end: SimTime, at: SimTime| {
        let part = (at - segment.from).as_secs_f64() / (end - segment.from).as_secs_f64();
        let between = |a: u64, b: u64| a as f64 + (b as f64 - a as f64) * part;
        100.0 * between(segment.served_from_millirps, segment.served_until_millirps)
            - 99.0 * between(segment.offered_from_millirps, segment.offered_until_millirps)
    };
    let overlap = |(segment, end): &(FlowSegment, SimTime)| {
        let (a, b) = (segment.from.max(from), (*end).min(until));
        if a >= b {
            return 0.0;
        }
        (level(segment, *end, a) + level(segment, *end, b)) * (b - a).as_secs_f64()
    };
    segments.iter().map(overlap).sum()
}

proptest! {
    #[test]
    fn outages_are_apart_and_each_ends_with_a_good_window(shapes in prop::collection::vec(shape(), 1..12)) {
        let all = segments(&shapes);
        let found = outages(&shapes);
        let end = all.last().expect("at least one").1;
        for pair in found.windows(2) {
            prop_assert!(pair[0].until <= pair[1].from);
        }
        for outage in &found {
            prop_assert!(outage.from < outage.until);
            prop_assert!(outage.is_over || outage.until == end);
            if outage.is_over {
                prop_assert!(margin(&all, outage.until) >= -1e-3, "{:?}", outage);
            }
            // No start in between has a good window.
            let last = end.saturating_sub(RECOVERY_WINDOW);
            for tenth in 1..10 {
                let at = outage.from + SimSpan::from_nanos((outage.until - outage.from).as_nanos() / 10 * tenth);
                let begins_bad = all.iter().any(|(segment, until)| {
                    segment.from <= outage.from && outage.from < *until
                        && segment.served_from_millirps < segment.offered_from_millirps
                });
                if begins_bad && at <= last {
                    prop_assert!(margin(&all, at) <= 1e-3, "{:?} has a good window at {}", outage, at);
                }
            }
        }
    }

    /// Nothing waits of what piled up in the window that ends an outage, and without the backlog each
    /// outage would have begun as it does and ended no later.
    #[test]
    fn no_outage_ends_before_its_backlog(
        shapes in prop::collection::vec((shape(), any::<bool>()), 1..12),
    ) {
        let (plain, flags): (Vec<Shape>, Vec<bool>) = shapes.iter().copied().unzip();
        let all = segments(&plain);
        let found = piled_up(&shapes);
        let without = outages(&plain);
        prop_assert!(found.len() <= without.len());
        for (before, outage) in std::iter::once(None).chain(found.iter().map(Some)).zip(&found) {
            prop_assert!(before.is_none_or(|before| before.until <= outage.from));
            prop_assert!(without.iter().any(|it| it.from == outage.from || it.until > outage.from));
            prop_assert!(outage.bad_until() <= outage.until);
            prop_assert_eq!(outage.bad_until() - outage.from + outage.backlog(), outage.length());
            let end = outage.until + RECOVERY_WINDOW;
            for (idx, (segment, until)) in all.iter().enumerate() {
                let is_piled_up = flags[idx] || idx > 0 && flags[idx - 1];
                let is_in_window = segment.from < end && *until > outage.until;
                prop_assert!(!(outage.is_over && is_piled_up && is_in_window), "{:?}", outage);
            }
        }
    }

    /// Outside of the outages nothing is bad for a whole window.
    #[test]
    fn no_bad_window_is_missed(shapes in prop::collection::vec(shape(), 1..12)) {
        let all = segments(&shapes);
        let found = outages(&shapes);
        for (segment, until) in &all {
            let is_bad_throughout = 100 * segment.served_from_millirps < 99 * segment.offered_from_millirps
                && 100 * segment.served_until_millirps < 99 * segment.offered_until_millirps;
            let at = segment.from + SimSpan::from_nanos((*until - segment.from).as_nanos() / 2);
            if is_bad_throughout && margin(&all, at) < -1e-3 {
                prop_assert!(
                    found.iter().any(|outage| outage.from <= at && at < outage.until),
                    "{at} lies in none of {found:?}"
                );
            }
        }
    }
}
