//! Samples of containers and what is kept of them
//! (`pkg/recommender/model/{container,aggregate_container_state,aggregations_config}.go`).

use sim_kernel::SimSpan;

use super::estimator::{amount_from_float, scaled};
use super::histogram::{BucketScheme, DecayingHistogram, Timestamp};

/// How samples are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// `--memory-aggregation-interval`: the window of which the memory peak counts.
    pub memory_interval: SimSpan,
    /// `--memory-histogram-decay-half-life`.
    pub memory_half_life: SimSpan,
    /// `--cpu-histogram-decay-half-life`.
    pub cpu_half_life: SimSpan,
    /// `--oom-bump-up-ratio`.
    pub oom_ratio: f64,
    /// `--oom-min-bump-up-bytes`.
    pub oom_min_bytes: f64,
    /// Buckets of CPU, in cores.
    pub cpu_scheme: BucketScheme,
    /// Buckets of memory, in bytes.
    pub memory_scheme: BucketScheme,
}

/// The weight of a CPU sample (`minSampleWeight`), whatever the container requests.
const CPU_WEIGHT: f64 = 0.1;

impl Default for Aggregation {
    fn default() -> Self {
        const DAY: SimSpan = SimSpan::from_secs(86_400);
        const RATIO: f64 = 1.05;
        const EPSILON: f64 = 0.001 * CPU_WEIGHT;
        let scheme = |max, first| {
            BucketScheme::exponential(max, first, RATIO, EPSILON)
                .expect("all arguments are positive")
        };
        Self {
            memory_interval: DAY,
            memory_half_life: DAY,
            cpu_half_life: DAY,
            oom_ratio: 1.2,
            oom_min_bytes: 100.0 * 1024.0 * 1024.0,
            cpu_scheme: scheme(1000.0, 0.01),
            memory_scheme: scheme(1e12, 1e7),
        }
    }
}

/// What happens to the histogram of memory peaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOperation {
    /// A peak is added, stamped with the end of its window.
    Add {
        /// The peak in bytes.
        bytes: i64,
        /// The end of the window.
        at: Timestamp,
    },
    /// A peak that a higher one of the same window replaces is taken away.
    Subtract {
        /// The peak in bytes.
        bytes: i64,
        /// The end of the window.
        at: Timestamp,
    },
}

/// The recent past of one container of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerUsage {
    last_cpu_sample: Timestamp,
    last_memory_sample: Timestamp,
    /// Largest usage in the window.
    memory_peak: i64,
    /// Largest amount worked out from an OOM in the window.
    oom_peak: i64,
    window_end: Timestamp,
    /// The most that an OOM may ask for, when there is a limit.
    memory_max: Option<i64>,
}

impl ContainerUsage {
    /// A container that OOM events may not push beyond `bytes`.
    pub fn with_memory_max(bytes: i64) -> Self {
        Self { memory_max: Some(bytes), ..Self::default() }
    }

    /// How much of the window is left at a moment; nothing before the first sample.
    pub fn window_left(&self, at: Timestamp) -> SimSpan {
        if self.window_end.is_never() {
            return SimSpan::ZERO;
        }
        SimSpan::from_nanos(u64::try_from(self.window_end.nanos_since(at)).unwrap_or(0))
    }

    /// `addCPUSample`: whether a sample counts. Those out of order and negative ones do not.
    pub fn accepts_cpu(&mut self, millis: i64, at: Timestamp) -> bool {
        let accepted = millis >= 0 && at > self.last_cpu_sample;
        if accepted {
            self.last_cpu_sample = at;
        }
        accepted
    }

    /// `addMemorySample`: what a sample changes. Those out of order and negative ones change
    /// nothing.
    pub fn memory_sample(
        &mut self,
        bytes: i64,
        at: Timestamp,
        aggregation: &Aggregation,
    ) -> Vec<MemoryOperation> {
        if at < self.last_memory_sample {
            return Vec::new();
        }
        self.peak(bytes, at, false, aggregation)
    }

    /// `RecordOOM`: what a container that was killed with this request changes. An event that is
    /// older than the last sample by more than a window changes nothing. What an earlier OOM asked
    /// for does not count as used, so that a row of kills does not run away.
    pub fn out_of_memory(
        &mut self,
        request_bytes: i64,
        at: Timestamp,
        aggregation: &Aggregation,
    ) -> Vec<MemoryOperation> {
        if at < self.last_memory_sample.minus(aggregation.memory_interval) {
            return Vec::new();
        }
        let capped = |bytes: i64| match self.memory_max {
            Some(max) if max > 0 => bytes.min(max),
            _ => bytes,
        };
        let used = capped(request_bytes.max(self.memory_peak));
        let needed = (used + amount_from_float(aggregation.oom_min_bytes))
            .max(scaled(used, aggregation.oom_ratio));
        self.peak(capped(needed), at, true, aggregation)
    }

    fn peak(
        &mut self,
        bytes: i64,
        at: Timestamp,
        is_oom: bool,
        aggregation: &Aggregation,
    ) -> Vec<MemoryOperation> {
        if bytes < 0 {
            return Vec::new();
        }
        self.last_memory_sample = at;
        if self.window_end.is_never() {
            self.window_end = at;
        }
        let mut operations = Vec::new();
        if at < self.window_end {
            let highest = self.memory_peak.max(self.oom_peak);
            if highest == 0 || bytes <= highest {
                return operations;
            }
            operations.push(MemoryOperation::Subtract { bytes: highest, at: self.window_end });
        } else {
            let interval = aggregation.memory_interval;
            let late_nanos = u64::try_from(at.nanos_since(self.window_end)).unwrap_or(0);
            let windows = late_nanos / interval.as_nanos().max(1) + 1;
            self.window_end = self.window_end.plus(interval * windows);
            self.memory_peak = 0;
            self.oom_peak = 0;
        }
        operations.push(MemoryOperation::Add { bytes, at: self.window_end });
        *(if is_oom { &mut self.oom_peak } else { &mut self.memory_peak }) = bytes;
        operations
    }
}

/// What is kept of all containers of one name under one autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    cpu: DecayingHistogram,
    memory_peaks: DecayingHistogram,
    first_sample: Timestamp,
    last_sample: Timestamp,
    cpu_sample_count: u64,
}

impl Aggregate {
    /// Nothing yet.
    pub fn new(aggregation: &Aggregation) -> Self {
        let memory = (aggregation.memory_scheme, aggregation.memory_half_life);
        Self {
            cpu: DecayingHistogram::new(aggregation.cpu_scheme, aggregation.cpu_half_life),
            memory_peaks: DecayingHistogram::new(memory.0, memory.1),
            first_sample: Timestamp::NEVER,
            last_sample: Timestamp::NEVER,
            cpu_sample_count: 0,
        }
    }

    /// CPU in cores.
    pub const fn cpu(&self) -> &DecayingHistogram {
        &self.cpu
    }

    /// Memory peaks in bytes.
    pub const fn memory_peaks(&self) -> &DecayingHistogram {
        &self.memory_peaks
    }

    /// `addCPUSample`.
    pub fn add_cpu(&mut self, millis: i64, at: Timestamp) {
        self.cpu.add(millis as f64 / 1000.0, CPU_WEIGHT, at);
        self.last_sample = self.last_sample.max(at);
        if self.first_sample.is_never() || at < self.first_sample {
            self.first_sample = at;
        }
        self.cpu_sample_count += 1;
    }

    /// As [`Self::add_cpu`] for each of `copies` containers and each of `count` samples that are
    /// `every` apart from `first` on. `millis` says what a sample measures, by its number; it only
    /// rises or only falls. Costs what the buckets cost that it passes through.
    pub fn add_cpu_row(
        &mut self,
        first: Timestamp,
        every: SimSpan,
        count: u64,
        copies: u64,
        millis: impl Fn(u64) -> i64,
    ) {
        if count == 0 || copies == 0 {
            return;
        }
        let scheme = *self.cpu.histogram().scheme();
        let cores = |number: u64| millis(number) as f64 / 1000.0;
        let mut number = 0;
        while number < count {
            let bucket = scheme.bucket_of(cores(number));
            let next = first_where(number + 1, count, |it| scheme.bucket_of(cores(it)) != bucket);
            let at = first.plus(every * number);
            let weight = CPU_WEIGHT * copies as f64;
            self.cpu.add_row(cores(number), weight, at, every, next - number);
            number = next;
        }
        self.last_sample = self.last_sample.max(first.plus(every * (count - 1)));
        if self.first_sample.is_never() || first < self.first_sample {
            self.first_sample = first;
        }
        self.cpu_sample_count += count * copies;
    }

    /// Applies what a sample of a container changes.
    pub fn apply(&mut self, operation: MemoryOperation) {
        match operation {
            MemoryOperation::Add { bytes, at } => self.memory_peaks.add(bytes as f64, 1.0, at),
            MemoryOperation::Subtract { bytes, at } => {
                self.memory_peaks.subtract(bytes as f64, 1.0, at);
            }
        }
    }

    /// `getConfidence`: the length of the history in units of `interval` when there is one sample
    /// per minute.
    pub fn confidence(&self, interval: SimSpan) -> f64 {
        let life = self.last_sample.nanos_since(self.first_sample) as f64;
        let life = life / interval.as_nanos() as f64;
        let minutes = interval.as_nanos() / 60_000_000_000;
        let rest = interval.as_nanos() % 60_000_000_000;
        let minutes = minutes as f64 + rest as f64 / 60e9;
        life.min(self.cpu_sample_count as f64 / minutes)
    }
}

/// The least number of `from..until` at which something holds that holds from there on; `until`
/// where it holds for none.
fn first_where(from: u64, until: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut from, mut until) = (from, until);
    while from < until {
        let middle = from + (until - from) / 2;
        if holds(middle) {
            until = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: i64 = 1024 * 1024;
    const START: Timestamp = Timestamp::from_unix(1_000_000_000, 0);
    const DAY: SimSpan = SimSpan::from_secs(86_400);

    fn bytes(operations: &[MemoryOperation]) -> Vec<i64> {
        let signed = operations.iter().map(|operation| match operation {
            MemoryOperation::Add { bytes, .. } => *bytes / MIB,
            MemoryOperation::Subtract { bytes, .. } => -*bytes / MIB,
        });
        signed.collect()
    }

    #[test]
    fn smaller_kills_change_nothing_and_larger_ones_replace() {
        let aggregation = Aggregation::default();
        let mut container = ContainerUsage::default();
        let mut oom = |request| bytes(&container.out_of_memory(request * MIB, START, &aggregation));
        assert_eq!(oom(1000), [1200]);
        assert_eq!(oom(999), [0; 0]);
        assert_eq!(oom(2000), [-1200, 2400]);
    }

    #[test]
    fn a_kill_asks_for_100_mib_more_at_least_and_for_no_more_than_allowed() {
        let aggregation = Aggregation::default();
        let mut container = ContainerUsage::default();
        assert_eq!(bytes(&container.out_of_memory(MIB, START, &aggregation)), [101]);
        let mut capped = ContainerUsage::with_memory_max(50 * MIB);
        assert_eq!(bytes(&capped.out_of_memory(60 * MIB, START, &aggregation)), [50]);
    }

    #[test]
    fn usage_above_the_request_counts() {
        let aggregation = Aggregation::default();
        let mut container = ContainerUsage::default();
        container.memory_sample(3000 * MIB, START, &aggregation);
        let operations = container.out_of_memory(1000 * MIB, START, &aggregation);
        assert_eq!(bytes(&operations), [-3000, 3600]);
        let stale = START.minus(DAY).minus(SimSpan::from_secs(1));
        assert_eq!(bytes(&container.out_of_memory(9000 * MIB, stale, &aggregation)), [0; 0]);
    }

    proptest! {
        // Up to 300 days, so that the reference of ages moves.
        #[test]
        fn a_row_is_its_samples_one_by_one(
            rows in prop::collection::vec(
                (0..9000_i64, 0..9000_i64, 1..60_u64, 1..4_u64, 60..90_000_u64), 1..8,
            ),
        ) {
            let aggregation = Aggregation::default();
            let (mut one, mut all) = (Aggregate::new(&aggregation), Aggregate::new(&aggregation));
            let mut at = START;
            for (from, until, count, copies, every) in rows {
                let every = SimSpan::from_secs(every);
                let millis = |number: u64| from + (until - from) * number.cast_signed() / 60;
                all.add_cpu_row(at, every, count, copies, millis);
                for number in 0..count {
                    for _ in 0..copies {
                        one.add_cpu(millis(number), at.plus(every * number));
                    }
                }
                at = at.plus(every * count);
            }
            prop_assert_eq!(one.cpu_sample_count, all.cpu_sample_count);
            prop_assert_eq!((one.first_sample, one.last_sample), (all.first_sample, all.last_sample));
            let (one, all) = (one.cpu.histogram(), all.cpu.histogram());
            let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1e-9);
            prop_assert!(is_near(one.total(), all.total()), "{} {}", one.total(), all.total());
            for bucket in 0..one.scheme().bucket_count() {
                let (one, all) = (one.weight(bucket), all.weight(bucket));
                prop_assert!(is_near(one, all), "bucket {}: {} {}", bucket, one, all);
            }
        }
    }

    #[test]
    fn samples_out_of_order_and_negative_ones_do_not_count() {
        let mut container = ContainerUsage::default();
        let earlier = START.minus(DAY);
        assert!(container.accepts_cpu(1, START));
        assert!(!container.accepts_cpu(1, START) && !container.accepts_cpu(1, earlier));
        assert!(!container.accepts_cpu(-1, START.plus(DAY)));
        let aggregation = Aggregation::default();
        assert_eq!(container.memory_sample(5, START, &aggregation).len(), 1);
        assert_eq!(container.memory_sample(9, earlier, &aggregation), []);
        assert_eq!(container.memory_sample(-9, START.plus(DAY), &aggregation), []);
    }
}
