//! The CFS quota of a pod: how much CPU time it has in each period.
//!
//! # Modelled
//! Threads of a pod each run on a core of their own until they used up the quota together; then all
//! stand still until the next period. Pods are alone with their quota and their queue: a request goes
//! to any of them.
//!
//! # Not modelled
//! Slices of 5 ms in which CPUs fetch quota, of which an idle one keeps up to a millisecond; ticks
//! between which a thread may use more than there is; garbage collectors and other threads that take
//! quota without a request; quotas of side-cars, which are their own; nodes with fewer free cores than
//! a pod has threads. A container without a limit has no quota: what it can do is its share of its node.
//! A pod that is not warm yet is taken for one with less quota.
//!
//! # Defaults and their sources
//! The kubelet writes `cpu.max` from the limit: `MilliCPUToQuota` (pkg/kubelet/cm/helpers_linux.go,
//! Kubernetes 1.36), with `cpuCFSQuotaPeriod`, 100 ms by default, and at least a millisecond of quota.
//! The kernel fills the quota up at each period and keeps nothing of the last one
//! (Documentation/scheduler/sched-bwc.rst; no burst, which the kubelet does not set).
//!
//! # Invariants
//! No thread works before its pod has quota, and no period gives more than the limit allows for it.
//!
//! # Checked against
//! Flows against single requests: `tests/it/agreement.rs`, the table of `docs/REQUESTS.md`.

use model_api::path::Serving;
use sim_kernel::SimSpan;

use crate::evaluation::Endpoints;

/// `minQuotaPeriod` of the kubelet, in seconds.
const QUOTA_MIN_SECS: f64 = 1e-3;

/// What the quotas of the pods of a Service follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quota {
    period: SimSpan,
    /// CPU time of a request, in seconds.
    pub(crate) work_secs: f64,
}

impl Quota {
    /// Of pods that have one.
    pub(crate) fn of(serving: &Serving, cpu_per_request: SimSpan) -> Option<Self> {
        let period = serving.quota_period.filter(|period| !period.is_zero())?;
        let work_secs = cpu_per_request.as_secs_f64();
        (work_secs > 0.0).then_some(Self { period, work_secs })
    }

    pub(crate) fn period_ns(&self) -> u64 {
        self.period.as_nanos()
    }

    pub(crate) fn period_secs(&self) -> f64 {
        self.period.as_secs_f64()
    }

    /// CPU time of each of so many pods in a period, in seconds, when all together can do so much.
    pub(crate) fn of_pod(&self, capacity_millirps: u64, pod_count: u32) -> f64 {
        let rate = capacity_millirps as f64 / 1e3 / f64::from(pod_count.max(1));
        (rate * self.work_secs * self.period_secs()).max(QUOTA_MIN_SECS)
    }

    /// Cores that a pod behind a Service has in the mean, rounded up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub(crate) fn cores_of_pod(&self, endpoints: Endpoints) -> u32 {
        let Endpoints { live_count, capacity_millirps, .. } = endpoints;
        let cores = self.of_pod(capacity_millirps, live_count) / self.period_secs();
        (libm::ceil(cores - 1e-9) as u32).clamp(1, 1 << 16)
    }
}
