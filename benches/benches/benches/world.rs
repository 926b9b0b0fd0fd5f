//! Criterion benchmarks of worlds and campaigns.

use benches::{Estate, hard_day, with_days, zone_loss};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model_api::SimSpan;
use model_api::fault::FaultPlan;
use platform::Plan;
use scenario_format::{Disk, Request, Resolved, load};
use sim_campaign::{Campaign, Naming};
use sim_check::{Monitor, Subjects};
use sim_kernel::{NoRecorder, SimTime};

const LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/library");

fn resolved(scenario: &str) -> Resolved {
    let request = Request { scenario: format!("{LIBRARY}/{scenario}.yaml"), ..Request::default() };
    load(&request, &Disk::default()).resolved.expect("a shipped scenario resolves")
}

fn plan(resolved: &Resolved, faults: FaultPlan, horizon: SimSpan) -> Plan {
    Plan::new(resolved.blueprint.clone(), faults, horizon).expect("nothing goes in a circle")
}

/// Runs of a shipped scenario: judged, merged, explained.
fn campaigns(criterion: &mut Criterion) {
    const RUN_COUNT: u32 = 1_000;
    let mut group = criterion.benchmark_group("campaign");
    group.throughput(Throughput::Elements(RUN_COUNT.into()));
    group.sample_size(10);
    for scenario in ["az-loss", "node-crash"] {
        let resolved = resolved(scenario);
        let plan = plan(&resolved, resolved.faults.clone(), SimSpan::from_hours(2));
        for thread_count in [1, 2] {
            let campaign = Campaign {
                plan: &plan,
                guarantees: &resolved.guarantees,
                root_seed: 1,
                run_count: RUN_COUNT,
                thread_count: Some(thread_count),
                is_paranoid: false,
            };
            group.bench_function(format!("{scenario} x{thread_count}"), |bencher| {
                bencher.iter(|| campaign.run(&Naming::default(), || ()).expect("it runs"));
            });
        }
    }
    group.finish();
}

/// A hundred Services of three pods over a day: a curve, a spike and a lost zone.
fn hard_day_plan() -> Plan {
    let estate = Estate { node_count: 30, service_count: 100, pod_count: 300 };
    let blueprint = with_days(estate.blueprint());
    Plan::new(blueprint, hard_day(), SimSpan::from_hours(24)).expect("nothing goes in a circle")
}

/// Single runs: what healthy time costs, what a zone costs.
fn runs(criterion: &mut Criterion) {
    let shipped = resolved("az-loss");
    let none = FaultPlan::default;
    let large = || Estate::LARGE.blueprint();
    let large_plan = |faults, hours| {
        Plan::new(large(), faults, SimSpan::from_hours(hours)).expect("nothing goes in a circle")
    };
    let plans = [
        ("healthy hour", plan(&shipped, none(), SimSpan::from_hours(1))),
        ("healthy month", plan(&shipped, none(), SimSpan::from_hours(30 * 24))),
        ("az-loss 2h", plan(&shipped, shipped.faults.clone(), SimSpan::from_hours(2))),
        ("300 nodes, healthy year", large_plan(none(), 365 * 24)),
        ("100 services, a hard day", hard_day_plan()),
        ("300 nodes, zone loss", large_plan(zone_loss(None), 365 * 24)),
    ];
    let mut group = criterion.benchmark_group("run");
    group.sample_size(20);
    for (name, plan) in plans {
        let subjects = Subjects::new(plan.blueprint(), plan.faults(), &[]);
        let mut run = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                run += 1;
                plan.run(1, run, Monitor::new(&subjects)).1
            });
        });
    }
    group.finish();
}

/// A snapshot in the middle of a fault.
fn snapshots(criterion: &mut Criterion) {
    let shipped = resolved("az-loss");
    let plans = [
        ("az-loss", plan(&shipped, shipped.faults.clone(), SimSpan::from_hours(2))),
        (
            "300 nodes, zone loss",
            Plan::new(Estate::LARGE.blueprint(), zone_loss(None), SimSpan::from_hours(2))
                .expect("nothing goes in a circle"),
        ),
    ];
    let mut group = criterion.benchmark_group("snapshot");
    for (name, plan) in plans {
        let mut simulation = plan.simulation(1, 0, NoRecorder);
        let outcome = simulation.run_until(SimTime::from_secs(15 * 60));
        assert!(outcome.is_complete());
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| (), |()| simulation.clone(), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benchmarks, campaigns, runs, snapshots);
criterion_main!(benchmarks);
