//! Whole deliveries, and what holds in all of them.

use proptest::prelude::*;

use model_api::canary::Routing;

use super::*;

const GOOD: Seen = Seen {
    is_suspended: false,
    is_target_changed: false,
    primary: Readiness::Ready,
    canary: Readiness::Ready,
    checks_pass: true,
    may_start: true,
    may_increase: true,
    may_promote: true,
    wants_rollback: false,
};

const CHANGED: Seen = Seen { is_target_changed: true, ..GOOD };

/// Takes steps and tells phase and canary weight after each.
fn play(analysis: &Analysis, seen: &[Seen]) -> Vec<(Phase, u32)> {
    let mut delivery = Delivery { phase: Phase::Initialized, ..Delivery::default() };
    let mut told = Vec::new();
    for seen in seen {
        delivery = advance(analysis, delivery, *seen).0;
        told.push((delivery.phase, delivery.routes.canary));
    }
    told
}

fn canary() -> Analysis {
    Analysis { step_weight: 30, max_weight: 60, threshold: 2, ..Analysis::default() }
}

#[test]
fn a_good_canary_is_promoted_by_steps() {
    let mut seen = vec![GOOD; 8];
    seen[0] = CHANGED;
    use Phase::{Finalising, Progressing, Promoting, Succeeded};
    let told = [
        (Progressing, 0),
        (Progressing, 30),
        (Progressing, 60),
        (Promoting, 60),
        (Finalising, 0),
        (Succeeded, 0),
        (Succeeded, 0),
        (Succeeded, 0),
    ];
    assert_eq!(play(&canary(), &seen), told);
}

#[test]
fn a_bad_canary_is_rolled_back_one_interval_after_its_last_chance() {
    let bad = Seen { checks_pass: false, ..GOOD };
    let told = play(&canary(), &[CHANGED, GOOD, bad, bad, bad, GOOD]);
    let weights: Vec<u32> = told.iter().map(|(_, weight)| *weight).collect();
    assert_eq!(weights, [0, 30, 30, 30, 0, 0]);
    assert_eq!(told[3].0, Phase::Progressing);
    assert_eq!(told[4].0, Phase::Failed);
    assert_eq!(told[5].0, Phase::Failed, "it stays failed until there is another revision");
}

#[test]
fn traffic_stays_on_the_canary_until_the_primary_has_rolled() {
    let rolling = Seen { primary: Readiness::NotYet, ..GOOD };
    let told = play(&canary(), &[CHANGED, GOOD, GOOD, GOOD, rolling, rolling, GOOD]);
    assert_eq!(told[3..6], [(Phase::Promoting, 60); 3]);
    assert_eq!(told[6], (Phase::Finalising, 0));
}

#[test]
fn blue_green_shifts_at_once_after_its_iterations() {
    let analysis = Analysis { iterations: 2, ..Analysis::default() };
    let mut seen = vec![GOOD; 7];
    seen[0] = CHANGED;
    let told = play(&analysis, &seen);
    let weights: Vec<u32> = told.iter().map(|(_, weight)| *weight).collect();
    assert_eq!(weights, [0, 0, 0, 100, 100, 0, 0]);
    assert_eq!(told[4].0, Phase::Promoting);
    assert_eq!(told[6].0, Phase::Succeeded);
}

#[test]
fn a_newer_revision_starts_anew_and_a_gate_holds() {
    let closed = Seen { may_promote: false, ..GOOD };
    let told = play(&canary(), &[CHANGED, GOOD, GOOD, closed, closed, GOOD]);
    assert_eq!(told[3], (Phase::WaitingPromotion, 60));
    assert_eq!(told[5], (Phase::Promoting, 60));
    let analysis = Analysis { iterations: 1, ..Analysis::default() };
    let told = play(&analysis, &[CHANGED, GOOD, closed, GOOD, GOOD, GOOD]);
    assert_eq!(told[2], (Phase::WaitingPromotion, 0));
    assert_eq!(told[3], (Phase::WaitingPromotion, 0), "one more check comes first");
    assert_eq!(told[4..], [(Phase::WaitingPromotion, 100), (Phase::Promoting, 100)]);
    assert_eq!(play(&canary(), &[CHANGED, GOOD, CHANGED])[2], (Phase::Progressing, 0));
}

#[test]
fn a_canary_that_never_starts_fails_at_its_deadline() {
    let starting = Seen { canary: Readiness::NotYet, ..GOOD };
    let late = Seen { canary: Readiness::DeadlineExceeded, ..GOOD };
    let told = play(&canary(), &[CHANGED, starting, starting, late]);
    assert_eq!(told[2], (Phase::Progressing, 0));
    assert_eq!(told[3], (Phase::Failed, 0));
}

/// Also while the revision is promoted (`IsPrimaryReady` and `IsCanaryReady` that are not retriable).
#[test]
fn a_side_past_its_deadline_ends_the_trial_in_every_phase() {
    let rows = [
        Seen { primary: Readiness::DeadlineExceeded, ..GOOD },
        Seen { canary: Readiness::DeadlineExceeded, ..GOOD },
    ];
    for late in rows {
        for good_count in 0..5 {
            let mut seen = vec![GOOD; good_count];
            seen.insert(0, CHANGED);
            let before = play(&canary(), &seen)[good_count].0;
            seen.push(late);
            let after = play(&canary(), &seen)[good_count + 1];
            assert!(is_under_way(before), "{before:?}");
            assert_eq!(after, (Phase::Failed, 0), "{before:?}, {late:?}");
        }
    }
    let skips = Analysis { is_skipped: true, ..canary() };
    let told = play(&skips, &[CHANGED, rows[0]]);
    assert_eq!(told[1].0, Phase::Succeeded, "nobody asks for the primary without analysis");
}

#[test]
fn mirroring_comes_before_traffic() {
    let analysis = Analysis { mirrors: true, ..canary() };
    let start = Delivery { phase: Phase::Progressing, ..Delivery::default() };
    let (mirrored, _) = advance(&analysis, start, GOOD);
    assert_eq!(mirrored.routes, Routes { mirrored: true, ..Routes::PRIMARY });
    assert_eq!(advance(&analysis, mirrored, GOOD).0.routes.canary, 30);
    // A provider that copies no request keeps Flagger at this step for ever.
    for routing in [Routing::Split, Routing::SplitOrMirror] {
        let analysis = Analysis { routing, ..analysis.clone() };
        assert_eq!(advance(&analysis, start, GOOD).0, start);
    }
    let blue_green =
        Analysis { iterations: 1, routing: Routing::SplitOrMirror, ..analysis.clone() };
    assert!(advance(&blue_green, start, GOOD).0.routes.mirrored);
}

#[test]
fn nothing_moves_without_another_revision() {
    for phase in [Phase::Initialized, Phase::Succeeded, Phase::Failed] {
        let before = Delivery { phase, ..Delivery::default() };
        let (after, effects) = advance(&canary(), before, GOOD);
        assert_eq!((after, effects), (before, Vec::new()), "{phase:?}");
    }
}

/// The gate that may hold back more traffic has no say where the step gives none, or where a person
/// has already let the promotion pass.
#[test]
fn a_closed_gate_holds_back_more_traffic_and_nothing_else() {
    let closed = Seen { may_increase: false, ..GOOD };
    let rows = [
        (Phase::Progressing, false, false),
        (Phase::Progressing, true, true),
        (Phase::WaitingPromotion, false, true),
    ];
    for (phase, mirrored, moves) in rows {
        let routes = Routes { canary: 30, primary: 70, mirrored };
        let before = Delivery { phase, routes, ..Delivery::default() };
        let after = advance(&canary(), before, closed).0;
        assert_eq!(after != before, moves, "{phase:?}, mirrored: {mirrored}");
    }
}

fn analyses() -> impl Strategy<Value = Analysis> {
    let weights = prop::collection::btree_set(1..=100_u32, 0..5);
    let numbers = (0..4_u32, 0..60_u32, 0..=100_u32, 0..60_u32, 0..4_u32);
    (numbers, weights, any::<[bool; 3]>()).prop_map(|(numbers, weights, flags)| Analysis {
        threshold: numbers.0,
        step_weight: numbers.1,
        max_weight: numbers.2,
        step_weight_promotion: numbers.3,
        iterations: numbers.4,
        step_weights: weights.into_iter().collect(),
        mirrors: flags[0],
        is_skipped: flags[1],
        routing: if flags[2] { Routing::SplitAndMirror } else { Routing::Whole },
        ..Analysis::default()
    })
}

fn sights() -> impl Strategy<Value = Seen> {
    let readiness = || {
        prop_oneof![
            20 => Just(Readiness::Ready),
            4 => Just(Readiness::NotYet),
            1 => Just(Readiness::DeadlineExceeded),
        ]
    };
    let often = || prop::bool::weighted(0.85);
    let seldom = || prop::bool::weighted(0.05);
    let flags = ([often(), often(), often(), often()], [seldom(), seldom(), seldom()]);
    (readiness(), readiness(), flags).prop_map(|(primary, canary, (often, seldom))| Seen {
        is_suspended: seldom[0],
        is_target_changed: seldom[1],
        primary,
        canary,
        checks_pass: often[0],
        may_start: often[1],
        may_increase: often[2],
        may_promote: often[3],
        wants_rollback: seldom[2],
    })
}

proptest! {
    #[test]
    fn traffic_goes_where_pods_are_ready(
        analysis in analyses(),
        sights in prop::collection::vec(sights(), 1..80),
    ) {
        let mut delivery = Delivery { phase: Phase::Initialized, ..Delivery::default() };
        // Whether the primary has the canary's revision, before the analysis passed.
        let mut is_copied = false;
        let seen_first = [Seen { is_target_changed: true, ..GOOD }];
        for seen in seen_first.into_iter().chain(sights) {
            let before = delivery;
            is_copied &= is_under_way(before.phase);
            let (after, effects) = advance(&analysis, before, seen);
            prop_assert_eq!(after.routes.primary + after.routes.canary, TOTAL_WEIGHT);
            let grows = after.routes.canary > before.routes.canary;
            let shrinks = after.routes.canary < before.routes.canary;
            if grows {
                prop_assert_eq!(seen.canary, Readiness::Ready);
                prop_assert!(seen.checks_pass || before.routes.canary == 0);
            }
            if shrinks {
                let has_failed = after.phase == Phase::Failed;
                let has_primary = seen.primary == Readiness::Ready;
                prop_assert!(has_primary || has_failed || analysis.is_skipped);
                let falls_to_nothing = after.routes.canary == 0;
                prop_assert!(falls_to_nothing || before.phase == Phase::Promoting);
            }
            if effects.contains(&Effect::ScaleCanaryToZero) {
                prop_assert_eq!(after.routes, Routes::PRIMARY);
            }
            is_copied |= effects.contains(&Effect::CopyToPrimary);
            if after.phase == Phase::Failed && before.phase != Phase::Failed {
                prop_assert_eq!(after.routes, Routes::PRIMARY);
                let is_late = matches!(before.phase, Phase::Promoting | Phase::Finalising);
                prop_assert!(is_late || !is_copied, "the primary changed before the analysis had passed");
            }
            delivery = after;
        }
    }

    #[test]
    fn every_delivery_comes_to_an_end(analysis in analyses()) {
        let can_move = analysis.is_skipped
            || analysis.effective_iterations() > 0
            || next_step(&analysis, 0) > 0;
        let mut delivery = Delivery { phase: Phase::Initialized, ..Delivery::default() };
        delivery = advance(&analysis, delivery, CHANGED).0;
        for _ in 0..260 {
            delivery = advance(&analysis, delivery, GOOD).0;
        }
        prop_assert_eq!(delivery.phase == Phase::Succeeded, can_move);
    }
}
