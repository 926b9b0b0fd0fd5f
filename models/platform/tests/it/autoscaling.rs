//! Autoscalers over time, beside timelines recorded from a real controller: three replicas of 500m
//! that may use 1000m, target 60 %, 3 to 30 replicas.

use model_api::fault::FaultPlan;
use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, ScaleTarget, ScalingBehavior,
    ScalingPolicy, ScalingRules,
};
use model_api::load::LoadPoint;
use model_api::{Blueprint, Observation, Origin, SimSpan, SimTime};
use platform::{Event, Plan};
use sim_kernel::{Journal, Stats};

use crate::{node, small};

/// Millicores that one request per second costs: `cpu_per_request` of `web` is 2 ms.
const MILLICORES_PER_RPS: u64 = 2;

/// The scene of the recordings, with load points in seconds and millicores in all.
fn scene(points: &[(u64, u64)], behavior: Option<ScalingBehavior>) -> Blueprint {
    let mut blueprint = small();
    blueprint.nodes = (0..9).map(node).collect();
    let container = &mut blueprint.workloads[0].template.spec.containers[0];
    container.limits.0.insert("cpu".to_owned(), 1000);
    let point = |&(secs, millicores): &(u64, u64)| LoadPoint {
        at: SimTime::from_secs(secs),
        rate_millirps: millicores * 1000 / MILLICORES_PER_RPS,
    };
    blueprint.loads[0].points = points.iter().map(point).collect();
    blueprint.autoscalers.push(HorizontalPodAutoscaler {
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        target: ScaleTarget { kind: "Deployment".to_owned(), name: "web".to_owned() },
        min_replicas: 3,
        max_replicas: 30,
        metrics: vec![MetricSpec {
            source: MetricSource::Resource { name: "cpu".to_owned() },
            target: MetricTarget::Utilization(60),
        }],
        behavior,
        origin: Origin::default(),
    });
    blueprint
}

/// Changes of the replicas after `start`, in seconds since then, and what the run cost.
fn rescales(
    blueprint: &Blueprint,
    (start, horizon): (u64, u64),
    seed: u64,
    is_eager: bool,
) -> (Vec<(u64, u32)>, Stats) {
    let horizon = SimSpan::from_secs(horizon);
    let plan = Plan::new(blueprint.clone(), FaultPlan::default(), horizon).expect("no circle");
    let journal: Journal<Event, Observation> = Journal::new();
    let mut simulation = plan.simulation(seed, 0, journal);
    if is_eager {
        simulation.model_mut().look_at_every_sync();
    }
    let _ = simulation.run_until(plan.horizon());
    let stats = simulation.stats();
    let (_, journal) = simulation.into_parts();
    let changes = journal.observations().iter().filter_map(|record| match record.observation {
        Observation::Rescaled { to, .. } => {
            Some((record.at.saturating_since(SimTime::from_secs(start)).as_secs(), to))
        }
        _ => None,
    });
    (changes.collect(), stats)
}

const SEEDS: u64 = 20;

#[test]
fn a_step_is_followed_by_doubling_and_then_by_what_is_needed() {
    // hpa-step3: x3 at once. The sample that the first look sees may mean over the step, where the
    // recorder's is that of an instant: 3 -> 6 -> 8 there, possibly with a stop on the way here.
    let blueprint = scene(&[(600, 750), (600, 2250)], None);
    for seed in 0..SEEDS {
        let (changes, _) = rescales(&blueprint, (600, 1200), seed, false);
        // Seven are within the tolerance (64 %) when a mean over the step led there.
        let last = changes.last().map(|it| it.1).expect("it scales");
        assert!((7..=8).contains(&last), "seed {seed}: {changes:?}");
        assert!(changes.is_sorted_by_key(|it| it.1), "seed {seed}: {changes:?}");
        assert!(changes[0].0 <= 45, "seed {seed}: {changes:?}");
        assert!(changes.last().expect("some").0 <= 75, "seed {seed}: {changes:?}");
    }
}

#[test]
fn a_drop_waits_for_the_window_of_five_minutes() {
    // hpa-drop: 8 -> 3 at 293.8 s after the drop (the last high sample was just before it).
    let blueprint = scene(&[(900, 2250), (900, 750)], None);
    for seed in 0..SEEDS {
        let (changes, _) = rescales(&blueprint, (900, 1600), seed, false);
        let after: Vec<(u64, u32)> = changes.into_iter().filter(|it| it.0 > 0).collect();
        // A mean over the drop may keep some for one more sync.
        let (at, last) = after.last().expect("it scales");
        assert_eq!(*last, 3, "seed {seed}: {after:?}");
        assert!((285..=345).contains(at) && after[0].0 >= 285, "seed {seed}: {after:?}");
    }
}

#[test]
fn a_ramp_is_followed_in_the_recorded_steps() {
    // hpa-ramp: 750 to 3000 millicores in 300 s: 4, 5, 6, 7, 8, 10 at 54 to 327 s.
    let blueprint = scene(&[(600, 750), (900, 3000)], None);
    for seed in 0..SEEDS {
        let (changes, _) = rescales(&blueprint, (600, 1300), seed, false);
        assert!(changes.is_sorted_by_key(|it| it.1), "seed {seed}: {changes:?}");
        let last = changes.last().map(|it| it.1).expect("it scales");
        assert!((9..=10).contains(&last), "seed {seed}: {changes:?}");
        assert!((30..=90).contains(&changes[0].0), "seed {seed}: {changes:?}");
    }
}

fn slow() -> ScalingBehavior {
    let policy = ScalingPolicy { is_percent: false, value: 2, period: SimSpan::from_secs(60) };
    let rules = |window, rules: ScalingRules| ScalingRules {
        stabilization_window: Some(SimSpan::from_secs(window)),
        policies: vec![policy],
        ..rules
    };
    ScalingBehavior {
        scale_up: rules(30, ScalingRules::default_up()),
        scale_down: rules(120, ScalingRules::default_down()),
    }
}

#[test]
fn looks_that_are_left_out_change_nothing() {
    let waves = [
        (0, 750),
        (600, 750),
        (600, 2250),
        (900, 3000),
        (900, 400),
        (1500, 400),
        (1560, 2900),
        (2400, 2900),
        (2400, 1100),
        (4000, 1000),
    ];
    for behavior in [None, Some(slow())] {
        let blueprint = scene(&waves, behavior);
        for seed in 0..SEEDS {
            let (lazy, cheap) = rescales(&blueprint, (0, 7200), seed, false);
            let (eager, dear) = rescales(&blueprint, (0, 7200), seed, true);
            assert_eq!(lazy, eager, "seed {seed}");
            assert!(lazy.len() > 5, "seed {seed}: {lazy:?}");
            assert!(cheap.handled_count < dear.handled_count, "seed {seed}");
        }
    }
}

#[test]
fn a_constant_load_costs_nothing() {
    let blueprint = scene(&[(0, 750)], None);
    let (_, hour) = rescales(&blueprint, (0, 3600), 1, false);
    let (changes, week) = rescales(&blueprint, (0, 7 * 86_400), 1, false);
    assert_eq!(changes, []);
    assert_eq!(hour.handled_count, week.handled_count);
    assert!(hour.handled_count < 10, "{hour:?}");
}
