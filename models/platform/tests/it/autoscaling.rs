//! Autoscalers over time, beside timelines recorded from a real controller: three replicas of 500m
//! that may use 1000m, target 60 %, 3 to 30 replicas.

use model_api::fault::FaultPlan;
use model_api::kube::{
    DescribedObject, HorizontalPodAutoscaler, MetricIdentifier, MetricSource, MetricSpec,
    MetricTarget, ScaleTarget, ScalingBehavior, ScalingPolicy, ScalingRules,
};
use model_api::load::LoadPoint;
use model_api::memory::{Growth, MemoryProfile};
use model_api::metric::{RequestFigure, RequestMetric};
use model_api::{Blueprint, Observation, Origin, ServiceId, SimSpan, SimTime, WorkloadId};
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

/// A proxy beside it requests as much as the container that the requests come to, and uses nothing: half
/// of the pod's utilization is that of the container alone.
#[test]
fn a_container_has_a_utilization_of_its_own() {
    let of = |container: Option<&str>| {
        let mut blueprint = scene(&[(0, 1800)], None);
        let containers = &mut blueprint.workloads[0].template.spec.containers;
        containers[0].name = "main".to_owned();
        let mut proxy = containers[0].clone();
        proxy.name = "proxy".to_owned();
        proxy.ports.clear();
        proxy.readiness = None;
        containers.push(proxy);
        if let Some(container) = container {
            let (name, container) = ("cpu".to_owned(), container.to_owned());
            blueprint.autoscalers[0].metrics[0].source =
                MetricSource::ContainerResource { name, container };
        }
        let (changes, _) = rescales(&blueprint, (0, 900), 1, false);
        changes.last().map_or(3, |it| it.1)
    };
    // 1800 millicores are 6 pods at 60 % of 500, or 3 where the proxy's requests count as well.
    assert_eq!([of(Some("main")), of(Some("proxy")), of(None)], [6, 3, 3]);
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

/// The scene, with these metrics in place of CPU.
fn measured(points: &[(u64, u64)], metrics: Vec<MetricSpec>) -> Blueprint {
    let mut blueprint = scene(points, None);
    blueprint.autoscalers[0].metrics = metrics;
    blueprint
}

fn memory(target: MetricTarget) -> MetricSpec {
    MetricSpec { source: MetricSource::Resource { name: "memory".to_owned() }, target }
}

fn identifier(name: &str) -> MetricIdentifier {
    MetricIdentifier { name: name.to_owned(), selector: None }
}

fn of_pods(name: &str, average: i64) -> MetricSpec {
    let target = MetricTarget::AverageValue(average * 1000);
    MetricSpec { source: MetricSource::Pods(identifier(name)), target }
}

fn of_service(name: &str, target: MetricTarget) -> MetricSpec {
    let described = DescribedObject { kind: "Service".to_owned(), name: "web".to_owned() };
    MetricSpec { source: MetricSource::Object { described, metric: identifier(name) }, target }
}

fn from_outside(name: &str, target: MetricTarget) -> MetricSpec {
    MetricSpec { source: MetricSource::External(identifier(name)), target }
}

fn request_metric(name: &str, figure: RequestFigure, service: Option<ServiceId>) -> RequestMetric {
    RequestMetric {
        name: name.to_owned(),
        figure,
        service,
        scrape_interval: SimSpan::from_secs(30),
        window: SimSpan::from_mins(2),
        origin: Origin::default(),
    }
}

/// What `web` uses: 128 MiB, and so many more an hour.
fn profile(mebibytes_an_hour: u64, per_request_bytes: u64) -> MemoryProfile {
    MemoryProfile {
        workload: WorkloadId(0),
        base_bytes: 128 << 20,
        growth: Growth { bytes_per_day: (24 * mebibytes_an_hour) << 20 },
        per_request_bytes,
        ..MemoryProfile::default()
    }
}

#[test]
fn memory_that_grows_is_followed_at_computed_syncs() {
    // 128 of 256 MiB are 50 %. With 10 MiB an hour the tolerance of 60 % ends at 67 %, after 4.3 h;
    // then there are four, of which the old ones go on, and so forth.
    let mut blueprint = measured(&[(0, 750)], vec![memory(MetricTarget::Utilization(60))]);
    blueprint.memory.push(profile(10, 0));
    let (changes, cheap) = rescales(&blueprint, (0, 12 * 3600), 3, false);
    let (eager, dear) = rescales(&blueprint, (0, 12 * 3600), 3, true);
    assert_eq!(changes, eager);
    let (at, to) = changes[0];
    // 171.6 MiB are 67 %.
    assert_eq!(to, 4, "{changes:?}");
    let expected = (256 * 67 * 36 - 128 * 3600) / 10;
    assert!((expected..expected + 60).contains(&at), "{at} for {expected}");
    assert!(changes.len() >= 2, "{changes:?}");
    assert!(cheap.handled_count * 10 < dear.handled_count, "{cheap:?} {dear:?}");
    assert!(cheap.handled_count < 300, "{cheap:?}");

    // The same as an amount.
    let target = MetricTarget::AverageValue((150 << 20) * 1000);
    blueprint.autoscalers[0].metrics = vec![memory(target)];
    let (changes, cheap) = rescales(&blueprint, (0, 6 * 3600), 3, false);
    let (eager, _) = rescales(&blueprint, (0, 6 * 3600), 3, true);
    assert_eq!(changes, eager);
    // 165 MiB are a tenth more than 150.
    let expected = 37 * 360;
    assert!((expected..expected + 60).contains(&changes[0].0), "{changes:?}");
    assert!(cheap.handled_count < 200, "{cheap:?}");
}

#[test]
fn memory_that_nobody_stated_takes_no_part() {
    let blueprint = measured(&[(0, 750)], vec![memory(MetricTarget::Utilization(10))]);
    let (changes, stats) = rescales(&blueprint, (0, 3600), 1, false);
    assert_eq!(changes, []);
    assert!(stats.handled_count < 10, "{stats:?}");
}

#[test]
fn requests_of_pods_are_followed_as_their_adapter_shows_them() {
    // 375 requests a second on three pods, then 1125: eight of 150 each, seen by a mean of two
    // minutes.
    let mut blueprint = measured(&[(600, 750), (600, 2250)], vec![of_pods("rps", 150)]);
    blueprint.metrics.push(request_metric("rps", RequestFigure::Rate, None));
    for seed in 0..SEEDS {
        let (changes, _) = rescales(&blueprint, (600, 1500), seed, false);
        let (last_at, last) = *changes.last().expect("it scales");
        // Seven have 161 each, within the tolerance.
        assert!((7..=8).contains(&last), "seed {seed}: {changes:?}");
        assert!(changes[0].0 <= 105, "seed {seed}: {changes:?}");
        assert!((75..=240).contains(&last_at), "seed {seed}: {changes:?}");
    }
}

#[test]
fn what_is_said_of_a_service_counts_all_that_it_is_asked() {
    let outside = Some(ServiceId(0));
    // 1125 requests a second; as a total of 450 they are 2.5 times too many for three pods, as 150 for
    // each they take seven or eight.
    let cases = [
        (of_service("rps", MetricTarget::Value(450_000)), None),
        (of_service("rps", MetricTarget::AverageValue(150_000)), None),
        (from_outside("rps", MetricTarget::AverageValue(150_000)), outside),
    ];
    for (metric, service) in cases {
        let mut blueprint = measured(&[(600, 750), (600, 2250)], vec![metric.clone()]);
        blueprint.metrics.push(request_metric("rps", RequestFigure::Rate, service));
        let (changes, _) = rescales(&blueprint, (600, 1500), 1, false);
        let last = changes.last().map(|it| it.1).expect("it scales");
        match metric.target {
            // Each look multiplies what there is, up to the limit, for as long as the mean is high.
            MetricTarget::Value(_) => assert_eq!(last, 30, "{changes:?}"),
            _ => assert!((7..=8).contains(&last), "{changes:?}"),
        }
    }
    let unknown = measured(&[(600, 750), (600, 2250)], vec![of_pods("rps", 150)]);
    let (changes, _) = rescales(&unknown, (600, 1500), 1, false);
    assert_eq!(changes, [], "nobody said what it is");
}

#[test]
fn the_largest_of_several_proposals_wins() {
    let cpu = MetricSpec {
        source: MetricSource::Resource { name: "cpu".to_owned() },
        target: MetricTarget::Utilization(60),
    };
    // By CPU eight, by requests ten.
    let metrics = vec![cpu, of_pods("rps", 115)];
    let mut blueprint = measured(&[(600, 750), (600, 2250)], metrics);
    blueprint.metrics.push(request_metric("rps", RequestFigure::Rate, None));
    let (changes, _) = rescales(&blueprint, (600, 1500), 1, false);
    assert_eq!(changes.last().map(|it| it.1), Some(10), "{changes:?}");
}

/// Everything that can be read, with waves of load that overload the pods now and then.
fn everything() -> Vec<Blueprint> {
    let waves = [
        (0, 750),
        (600, 750),
        (600, 2250),
        (900, 3100),
        (1500, 400),
        (1560, 2900),
        (2400, 2900),
        (2400, 1100),
        (4000, 1000),
    ];
    let rate = || request_metric("rps", RequestFigure::Rate, None);
    let inside = || request_metric("inside", RequestFigure::InFlight, None);
    let scene = |metrics: Vec<MetricSpec>, grows: bool| {
        let mut blueprint = measured(&waves, metrics);
        blueprint.metrics = vec![rate(), inside()];
        blueprint.memory.push(profile(if grows { 40 } else { 0 }, 200 << 10));
        blueprint
    };
    let of_web = |value| of_service("rps", MetricTarget::AverageValue(value));
    vec![
        scene(vec![of_pods("rps", 150)], false),
        scene(vec![of_web(150_000), of_pods("inside", 4)], false),
        scene(vec![of_service("inside", MetricTarget::Value(12_000))], false),
        scene(vec![memory(MetricTarget::Utilization(60))], true),
        scene(vec![memory(MetricTarget::Utilization(60)), of_pods("inside", 3)], true),
    ]
}

#[test]
fn looks_at_other_metrics_that_are_left_out_change_nothing() {
    for (idx, blueprint) in everything().iter().enumerate() {
        for seed in 0..SEEDS / 2 {
            let (lazy, cheap) = rescales(blueprint, (0, 9000), seed, false);
            let (eager, dear) = rescales(blueprint, (0, 9000), seed, true);
            assert_eq!(lazy, eager, "{idx}, seed {seed}");
            assert!(lazy.len() > 2, "{idx}, seed {seed}: {lazy:?}");
            assert!(cheap.handled_count < dear.handled_count, "{idx}, seed {seed}");
        }
    }
}
