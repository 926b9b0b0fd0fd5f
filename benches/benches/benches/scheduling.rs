//! Criterion benchmarks of the scheduler: spread pods, and the batch workloads W1 to W3.

use benches::batch::{Batch, place_spread};
use benches::day::Day;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn spread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scheduling/spread");
    group.sample_size(10);
    for (pod_count, node_count) in [(5_000, 500), (10_000, 500), (10_000, 1_000), (20_000, 2_000)] {
        let name = format!("{pod_count} pods, {node_count} nodes, 3 zones");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let placed_count = place_spread(pod_count, node_count);
                assert_eq!(placed_count, pod_count, "there is room for all");
                placed_count
            });
        });
    }
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scheduling/batch");
    group.sample_size(10);
    for (name, batch) in Batch::ALL {
        let prepared = batch.prepare();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| prepared.clone(), |it| it.run(), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn days(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("autoscaling/day");
    group.sample_size(10);
    for (name, day) in Day::ALL {
        group.bench_function(name, |bencher| bencher.iter(|| day.run()));
    }
    group.finish();
}

criterion_group!(benchmarks, spread, batches, days);
criterion_main!(benchmarks);
