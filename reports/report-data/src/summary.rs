//! What follows from a result and is therefore not stored in it.

use crate::{Explanation, GuaranteeResult, Metric, Report, ScenarioResult, Step, Verdict};

/// Where measured values lie. Each is a value that some run had, none is interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// Runs in which something was measured.
    pub measured_count: u64,
    /// Least.
    pub min: i64,
    /// Median; of two in the middle the lower.
    pub p50: i64,
    /// 99 of 100 are at most this.
    pub p99: i64,
    /// Greatest.
    pub max: i64,
}

impl Quantiles {
    /// Quantiles by nearest rank; `None` when nothing was measured.
    pub fn of(values: &[Option<i64>]) -> Option<Self> {
        let mut sorted: Vec<i64> = values.iter().flatten().copied().collect();
        sorted.sort_unstable();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Self { measured_count: sorted.len() as u64, min, p50: rank(50), p99: rank(99), max })
    }
}

impl Report {
    /// The worst verdict of all scenarios; vacuous when there is none.
    pub fn verdict(&self) -> Verdict {
        self.results.iter().map(|result| result.verdict).max().unwrap_or(Verdict::Vacuous)
    }
}

impl ScenarioResult {
    /// How many guarantees have a verdict.
    pub fn count_of(&self, verdict: Verdict) -> usize {
        self.guarantees.iter().filter(|guarantee| guarantee.verdict == verdict).count()
    }
}

impl Verdict {
    /// Every verdict, from best to worst.
    pub const ALL: [Self; 6] = [
        Self::Held,
        Self::Vacuous,
        Self::NotModelled,
        Self::Inconclusive,
        Self::Unwinnable,
        Self::Violated,
    ];

    /// Whether a promise was broken; the others only failed to show that it is kept.
    pub const fn is_broken(self) -> bool {
        matches!(self, Self::Violated | Self::Unwinnable)
    }
}

impl GuaranteeResult {
    /// Where its measured values lie.
    pub fn quantiles(&self) -> Option<Quantiles> {
        Quantiles::of(&self.values)
    }

    /// Runs that could have held it and did not.
    pub const fn broken_count(&self) -> u64 {
        self.judged_count.saturating_sub(self.held_count)
    }

    /// What the worst run measured.
    pub fn worst_value(&self) -> Option<i64> {
        let run = usize::try_from(self.worst_run?).ok()?;
        self.values.get(run).copied().flatten()
    }
}

impl Metric {
    /// Where its values lie.
    pub fn quantiles(&self) -> Option<Quantiles> {
        Quantiles::of(&self.values)
    }
}

impl Explanation {
    /// Length of the outage in nanoseconds: the sum of its parts; `None` when it is not about an
    /// outage.
    pub fn outage_ns(&self) -> Option<u64> {
        let sum = self.outage_parts.iter().map(|part| part.length_ns).sum();
        (!self.outage_parts.is_empty()).then_some(sum)
    }

    /// The step that was waited for longest, of those that a field of the input is to blame for:
    /// where to look first.
    pub fn costliest_step(&self) -> Option<&Step> {
        let mut latest_ns = self.steps.first()?.at_ns;
        let mut costliest: Option<(u64, &Step)> = None;
        for step in &self.steps {
            let waited_ns = step.at_ns.saturating_sub(latest_ns);
            latest_ns = latest_ns.max(step.at_ns);
            // Of equals the first, because the others came of it.
            if step.position.is_some() && costliest.is_none_or(|(most_ns, _)| waited_ns > most_ns) {
                costliest = Some((waited_ns, step));
            }
        }
        costliest.map(|(_, step)| step)
    }
}
