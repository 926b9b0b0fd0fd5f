//! Peaks of memory, as the recommender takes them up.
//!
//! It keeps the highest sample of each container and day. Memory of a container only rises until
//! something changes it, so that of the samples of a stretch the last one of each day is the highest:
//! that one and the first are read, and no other.
//!
//! Simplified: samples of a kubelet that is cut off count as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::PodId;
use sim_kernel::SimTime;

use super::super::{BEFORE, moment};
use super::{FRESH_MIN, LOOP, START};
use crate::cluster::Cluster;
use crate::vertical_pod_autoscaler::{Aggregate, Aggregation, ContainerUsage, Timestamp};

/// Pods of one workload. Times are moments, as autoscalers count them.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    pods: BTreeMap<PodId, PodPeaks>,
    /// Some sample was taken up.
    is_used: bool,
}

/// One pod.
#[derive(Clone, Debug)]
struct PodPeaks {
    /// Samples before this are taken up.
    until: SimTime,
    /// By container.
    usages: Vec<ContainerUsage>,
}

impl Peaks {
    pub(super) const fn is_used(&self) -> bool {
        self.is_used
    }
}

/// A moment as the recommender sees it.
fn timestamp(at: SimTime) -> Timestamp {
    START.plus(at.saturating_since(SimTime::ZERO + BEFORE))
}

/// Takes up samples of one container at `first` and every loop after it, `last` among them, of which
/// each is at least as high as the one before.
fn take_up(
    usage: &mut ContainerUsage,
    aggregate: &mut Aggregate,
    (first, last): (SimTime, SimTime),
    bytes_at: impl Fn(SimTime) -> i64,
) {
    let aggregation = Aggregation::default();
    let mut at = first;
    loop {
        for operation in usage.memory_sample(bytes_at(at), timestamp(at), &aggregation) {
            aggregate.apply(operation);
        }
        if at >= last {
            break;
        }
        // The last one of the day that began with this one or before, or the first of the next.
        let left = usage.window_left(timestamp(at));
        let steps = left.as_nanos().saturating_sub(1) / LOOP.as_nanos();
        at = (at + LOOP * steps.max(1)).min(last);
    }
}

impl Cluster {
    /// Whether what a pod uses of memory is recommended from.
    fn has_watched_memory(&self, id: PodId) -> bool {
        let workload = self.pods[id.index()].workload;
        self.tables.scalers.vertical.watches(workload)
            && self.tables.memory.profile(workload).is_some()
    }

    /// Takes up what a pod used of memory until now, if a vertical autoscaler looks after it. To be
    /// called before anything changes how much that is.
    pub(in crate::cluster) fn take_up_memory(&mut self, id: PodId, now: SimTime) {
        if !self.has_watched_memory(id) {
            return;
        }
        let Some(began_at) = self.memory_began_at(id) else { return };
        let tables = Arc::clone(&self.tables);
        let vertical = &tables.scalers.vertical;
        let idx = vertical.by_workload[&self.pods[id.index()].workload];
        let phase = self.autoscaling.vertical.phase;
        let count = vertical.watched[idx].shares_ppm.len();
        let usages: Vec<_> = self.usages_of(id).map(|(_, usage)| usage).take(count).collect();
        let history = &mut self.autoscaling.vertical.histories[idx];
        let (peaks, aggregates) = (&mut history.peaks, &mut history.aggregates);
        let pod = peaks.pods.entry(id).or_insert_with(|| PodPeaks {
            until: SimTime::ZERO + BEFORE,
            usages: vec![ContainerUsage::default(); count],
        });
        // What is there at the start ran before it.
        let from = pod.until.max(moment(began_at) + FRESH_MIN);
        let until = now + BEFORE;
        pod.until = pod.until.max(until);
        let first = from.next_tick(LOOP, phase);
        if first >= until {
            return;
        }
        let steps = ((until - first).as_nanos() - 1) / LOOP.as_nanos();
        let span = (first, first + LOOP * steps);
        peaks.is_used = true;
        for ((usage, state), aggregate) in usages.iter().zip(&mut pod.usages).zip(aggregates) {
            take_up(state, aggregate, span, |at| {
                let bytes = usage.bytes_at(at.saturating_sub(BEFORE));
                i64::try_from(bytes).unwrap_or(i64::MAX)
            });
        }
    }

    /// A container of a pod was killed for its memory, or its pod evicted while it used so much
    /// (`used_bytes`): the recommender sees what it requested, or used (`pkg/recommender/input/oom`).
    pub(in crate::cluster) fn note_out_of_memory(
        &mut self,
        id: PodId,
        container: usize,
        used_bytes: Option<u64>,
        now: SimTime,
    ) {
        if !self.has_watched_memory(id) {
            return;
        }
        self.take_up_memory(id, now);
        let pod = &self.pods[id.index()];
        let workload = pod.workload;
        let containers = &self.tables.template_of(pod).template.spec.containers;
        let Some(spec) = containers.get(container) else { return };
        let requested = spec.requests.memory_bytes().unwrap_or(0);
        let used = used_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let idx = self.tables.scalers.vertical.by_workload[&workload];
        let history = &mut self.autoscaling.vertical.histories[idx];
        let Some(pod) = history.peaks.pods.get_mut(&id) else { return };
        let at = timestamp(now + BEFORE);
        let aggregation = Aggregation::default();
        let bytes = used.unwrap_or(requested);
        for operation in pod.usages[container].out_of_memory(bytes, at, &aggregation) {
            history.aggregates[container].apply(operation);
        }
        history.peaks.is_used = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sim_kernel::SimSpan;

    use super::*;

    proptest! {
        /// Stretches of minutes in which memory rises by so much a minute, each from a level of its own.
        #[test]
        fn first_and_last_samples_are_as_good_as_all(
            stretches in prop::collection::vec((1..4000_u64, 1..1_u64 << 32, 0..1_u64 << 22), 1..8),
        ) {
            let aggregation = Aggregation::default();
            let (mut all, mut few) =
                (Aggregate::new(&aggregation), Aggregate::new(&aggregation));
            let (mut of_all, mut of_few) =
                (ContainerUsage::default(), ContainerUsage::default());
            let mut from = SimTime::ZERO + BEFORE;
            for (minutes, base, growth) in stretches {
                let bytes_at = |at: SimTime| {
                    ((at - from).as_secs() / 60 * growth + base).cast_signed()
                };
                let last = from + LOOP * (minutes - 1);
                take_up(&mut of_few, &mut few, (from, last), bytes_at);
                for minute in 0..minutes {
                    let at = from + LOOP * minute;
                    let changes = of_all.memory_sample(bytes_at(at), timestamp(at), &aggregation);
                    changes.into_iter().for_each(|it| all.apply(it));
                }
                from += SimSpan::from_mins(minutes);
            }
            let (all, few) = (all.memory_peaks().histogram(), few.memory_peaks().histogram());
            for bucket in 0..all.scheme().bucket_count() {
                let (all, few) = (all.weight(bucket), few.weight(bucket));
                prop_assert!((all - few).abs() <= 1e-9 * all.abs().max(1e-6), "{bucket}: {all} {few}");
            }
        }
    }
}
