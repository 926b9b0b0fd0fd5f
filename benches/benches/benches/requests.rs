//! Criterion benchmarks of single requests.

use benches::Chain;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sim_kernel::SimTime;

/// Virtual time of an iteration: a million requests.
const SECS: u64 = 10;

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("requests");
    group.sample_size(10);
    for (name, chain) in [("M/M/16 at 0.8", Chain::SINGLE), ("three hops", Chain::three_hops())] {
        group.throughput(Throughput::Elements(chain.rps * SECS));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || chain.requests(1),
                |mut requests| {
                    requests.advance(SimTime::from_secs(SECS));
                    requests
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
