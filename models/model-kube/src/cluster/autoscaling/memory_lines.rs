//! Memory of pods as it was, for as long as the last scrape is ago.

use std::collections::{BTreeMap, VecDeque};

use model_api::PodId;
use sim_kernel::SimTime;

use super::meter::RESOLUTION;
use crate::cluster::memory::Usage;

/// Of pods whose memory an autoscaler reads: what the container of their profile used since when.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryLines {
    by_pod: BTreeMap<PodId, VecDeque<(SimTime, Usage)>>,
}

impl MemoryLines {
    /// From now on it is like that.
    pub(super) fn tell(&mut self, pod: PodId, usage: Usage, now: SimTime) {
        let lines = self.by_pod.entry(pod).or_default();
        lines.retain(|(from, _)| *from < now);
        lines.push_back((now, usage));
        let oldest = now.saturating_sub(RESOLUTION);
        while lines.get(1).is_some_and(|(from, _)| *from <= oldest) {
            lines.pop_front();
        }
    }

    pub(super) fn forget(&mut self, pod: PodId) {
        self.by_pod.remove(&pod);
    }

    /// How it was then, or goes on to be.
    pub(super) fn at(&self, pod: PodId, at: SimTime) -> Option<Usage> {
        let lines = self.by_pod.get(&pod)?;
        let line = lines.iter().rev().find(|(from, _)| *from <= at).or(lines.front())?;
        Some(line.1)
    }
}
