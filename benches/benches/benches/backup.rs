//! A year of backups: 100 databases with a base backup a day, kept for 30 days, and an archive of
//! their log, after another year of history. Exposure to every class of disaster is worked out.

use benches::guarded;
use criterion::{Criterion, criterion_group, criterion_main};
use model_api::fault::FaultPlan;
use model_api::{Blueprint, SimSpan};
use platform::Plan;
use sim_check::{Monitor, Subjects};
use sim_kernel::NoRecorder;

fn years(criterion: &mut Criterion) {
    let year = SimSpan::from_days(365);
    let plan = |blueprint: Blueprint| {
        Plan::new(blueprint, FaultPlan::default(), year).expect("nothing goes in a circle")
    };
    let mut group = criterion.benchmark_group("backups");
    group.sample_size(10);
    let hundred = plan(guarded(100));
    let subjects = Subjects::new(hundred.blueprint(), hundred.faults(), &[]);
    let mut run = 0;
    group.bench_function("100 databases, a year, watched", |bencher| {
        bencher.iter(|| {
            run += 1;
            hundred.run(1, run, Monitor::new(&subjects)).1
        });
    });
    group.bench_function("100 databases, a year, unwatched", |bencher| {
        bencher.iter(|| {
            run += 1;
            hundred.run(1, run, NoRecorder).1
        });
    });
    group.finish();
}

criterion_group!(benchmarks, years);
criterion_main!(benchmarks);
