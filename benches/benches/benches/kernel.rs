//! Criterion benchmarks of the kernel, one for each workload, in time per event.

use benches::{Workload, kernel};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn workloads(criterion: &mut Criterion) {
    for (name, workload) in Workload::COLUMNS {
        let workload = workload.divided_by(4);
        let mut group = criterion.benchmark_group("kernel");
        group.throughput(Throughput::Elements(workload.event_count()));
        group.sample_size(10);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || kernel::prepare(workload),
                |prepared| prepared(),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benchmarks, workloads);
criterion_main!(benchmarks);
