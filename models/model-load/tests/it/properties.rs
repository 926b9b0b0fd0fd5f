//! What must hold for every platform.

use model_api::observation::{FlowSegment, LossReason};
use model_load::CURVE_ERROR_PPM;
use proptest::prelude::*;
use sim_kernel::SimTime;

use crate::reference::{expected, is_at_capacity};
use crate::world::{Act, Case, Node};

const HORIZON_MILLIS: u64 = 2_000_000;

fn points() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0_u64..600, 0_u64..400_000), 0..5).prop_map(|steps| {
        let mut at = 0;
        let point = |(pause, rate)| {
            // A pause below 100 s makes a step.
            at += if pause < 100 { 0 } else { pause };
            (at, rate)
        };
        steps.into_iter().map(point).collect()
    })
}

fn act(count: u32) -> impl Strategy<Value = Act> {
    let endpoints = (0..count, 0_u32..6, 0_u32..6, 0_u64..500_000).prop_map(
        |(service, ready, live, capacity)| {
            // Now and then without limit, to have flows that bend nowhere.
            let capacity = if capacity > 400_000 { u64::MAX } else { capacity };
            Act::Endpoints(service, ready, live.min(ready), capacity)
        },
    );
    prop_oneof![
        4 => endpoints,
        1 => (0_u32..2, any::<bool>()).prop_map(|(database, is)| Act::Writable(database, is)),
        1 => (0..count, 0_u64..3000, 0_u64..300).prop_map(|(service, milli, secs)| {
            Act::Factor(service, milli, secs)
        }),
    ]
}

/// Up to six Services; calls and gateways go from lower to higher numbers only.
fn case() -> impl Strategy<Value = Case> {
    (2_u32..6).prop_flat_map(|count| {
        let edge = (0..count, 0..count);
        (
            Just(count),
            prop::collection::vec(edge, 0..8),
            prop::collection::vec((0..count, prop::option::of(0..count), points()), 1..4),
            prop::collection::vec((0..count, 0_u32..2), 0..3),
            prop::collection::vec(act(count), count as usize * 2),
            prop::collection::vec((0_u64..HORIZON_MILLIS, act(count)), 0..12),
        )
            .prop_map(|(count, edges, loads, writes, start, mut script)| {
                let mut nodes =
                    vec![Node { databases: Vec::new(), ..Node::default() }; count as usize];
                for (from, until) in edges {
                    let calls = &mut nodes[from.min(until) as usize].calls;
                    if from != until && !calls.contains(&from.max(until)) {
                        calls.push(from.max(until));
                    }
                }
                for (service, via, points) in loads {
                    let via = via.filter(|&via| via < service);
                    nodes[service as usize].loads.push((via, points));
                }
                // Both databases exist in every case.
                nodes[0].databases.extend([0, 1]);
                for (service, database) in writes {
                    nodes[service as usize].databases = vec![database, 1 - database];
                }
                script.sort_by_key(|&(at, _)| at);
                Case { nodes, start, script, millis: HORIZON_MILLIS, ..Case::default() }
            })
    })
}

fn at(segment: &FlowSegment, until: SimTime, millis: f64) -> (f64, f64) {
    let (from, until) = (segment.from.as_nanos() as f64, until.as_nanos() as f64);
    let share = (millis * 1e6 - from) / (until - from);
    let line = |first: u64, last: u64| first as f64 + (last as f64 - first as f64) * share;
    (
        line(segment.offered_from_millirps, segment.offered_until_millirps),
        line(segment.served_from_millirps, segment.served_until_millirps),
    )
}

/// Rounding of a few units, and the error that curves are allowed.
fn is_near(found: f64, expected: f64) -> bool {
    let curve = CURVE_ERROR_PPM as f64 * 4.0 / 1e6;
    (found - expected).abs() <= 24.0 + expected.max(found) * curve
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn segments_agree_with_brute_force(case in case(), times in prop::collection::vec(0.0_f64..1.0, 12)) {
        let run = case.run();
        for time in times {
            let millis: f64 = (time * HORIZON_MILLIS as f64).floor() + 0.5;
            if is_at_capacity(&case, millis) {
                continue;
            }
            for service in 0..case.nodes.len() {
                let segments = run.of(u32::try_from(service).expect("few"));
                let now = SimTime::from_nanos((millis * 1e6) as u64);
                let Some((until, segment)) =
                    segments.iter().find(|(until, segment)| segment.from <= now && now < *until)
                else {
                    prop_assert!(segments.is_empty(), "a gap at {now} of {service}");
                    continue;
                };
                let (offered, served) = at(segment, *until, millis);
                let truth = expected(&case, millis, service);
                prop_assert!(is_near(offered, truth.offered), "{now} s{service} {truth:?} {segment:?}");
                prop_assert!(is_near(served, truth.served), "{now} s{service} {truth:?} {segment:?}");
            }
        }
    }

    #[test]
    fn segments_are_contiguous_and_lose_for_a_reason(case in case()) {
        let run = case.run();
        let horizon = SimTime::from_millis(HORIZON_MILLIS);
        for service in 0..case.nodes.len() {
            let segments = run.of(u32::try_from(service).expect("few"));
            let mut from = SimTime::ZERO;
            for (until, segment) in &segments {
                prop_assert_eq!(segment.from, from);
                prop_assert!(segment.from < *until);
                prop_assert!(segment.served_from_millirps <= segment.offered_from_millirps);
                prop_assert!(segment.served_until_millirps <= segment.offered_until_millirps);
                prop_assert!(segment.wait_probability_ppm <= 1_000_000);
                prop_assert!(segment.wait_mean_ns <= 10_000_000_000);
                let lost = segment.offered_from_millirps - segment.served_from_millirps
                    + segment.offered_until_millirps - segment.served_until_millirps;
                // A share that rounds to nothing needs no reason, one that does not needs one. The reason is that of
                // the middle, and a queue near its capacity may begin to lose after it: less than one in 10,000.
                let offered = segment.offered_from_millirps + segment.offered_until_millirps;
                prop_assert!(lost <= 16.max(offered / 10_000) || segment.loss != LossReason::None, "{segment:?}");
                prop_assert!(lost > 0 || segment.loss == LossReason::None
                    || segment.offered_from_millirps == 0, "{segment:?}");
                from = *until;
            }
            prop_assert!(segments.is_empty() || from == horizon);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_segments(case in case()) {
        prop_assert_eq!(case.run(), case.run());
    }

    #[test]
    fn an_unrelated_service_changes_no_segment(case in case(), points in points()) {
        let alone = case.run();
        let mut with = case.clone();
        let added = u32::try_from(case.nodes.len()).expect("few");
        with.nodes.push(Node { loads: vec![(None, points)], ..Node::default() });
        with.start.push(Act::Endpoints(added, 2, 2, 100_000));
        with.script.push((900_000, Act::Endpoints(added, 2, 1, 50_000)));
        with.script.sort_by_key(|&(at, _)| at);
        let with = with.run();
        for service in 0..added {
            prop_assert_eq!(alone.of(service), with.of(service));
        }
    }

    #[test]
    fn the_number_of_events_is_bounded_by_what_changes(case in case()) {
        let run = case.run();
        prop_assert!(run.event_count < 2_000, "{} events", run.event_count);
    }
}
