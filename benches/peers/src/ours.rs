//! The workloads on `sim-kernel`, as `benches` defines them.

use benches::{Work, Workload};

use crate::watch::Watch;

/// Runs a workload; ours runs all.
pub fn run(workload: Workload, watch: &mut Watch) -> Option<Work> {
    let prepared = benches::kernel::prepare(workload);
    watch.start();
    let work = prepared();
    watch.stop();
    Some(work)
}
