//! Histograms of usage (`pkg/recommender/util/{histogram,decaying_histogram,histogram_options}.go`).

use std::collections::BTreeMap;

use sim_kernel::SimSpan;

use super::float;

/// How values fall into buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketScheme {
    growth: Growth,
    bucket_count: usize,
    epsilon: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Growth {
    Linear { size: f64 },
    Exponential { first: f64, ratio: f64 },
}

/// A scheme that cannot be: some measure is not positive, or buckets do not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemeError;

impl BucketScheme {
    /// Buckets of equal size from 0; the last one begins at `max_value` or later. A bucket that
    /// weighs less than `epsilon` counts as empty.
    ///
    /// # Errors
    /// When an argument is not positive.
    pub fn linear(max_value: f64, size: f64, epsilon: f64) -> Result<Self, SchemeError> {
        if max_value <= 0.0 || size <= 0.0 || epsilon <= 0.0 {
            return Err(SchemeError);
        }
        let bucket_count = libm::ceil(max_value / size) as usize + 1;
        Ok(Self { growth: Growth::Linear { size }, bucket_count, epsilon })
    }

    /// Buckets each of which is `ratio` times as wide as the one before; the first reaches from 0 to
    /// `first`, the last begins at `max_value` or later.
    ///
    /// # Errors
    /// When an argument is not positive or `ratio` not above 1.
    pub fn exponential(
        max_value: f64,
        first: f64,
        ratio: f64,
        epsilon: f64,
    ) -> Result<Self, SchemeError> {
        if max_value <= 0.0 || first <= 0.0 || ratio <= 1.0 || epsilon <= 0.0 {
            return Err(SchemeError);
        }
        let last = libm::ceil(log(ratio, max_value * (ratio - 1.0) / first + 1.0));
        let bucket_count = last as usize + 1;
        Ok(Self { growth: Growth::Exponential { first, ratio }, bucket_count, epsilon })
    }

    /// `NumBuckets`.
    pub const fn bucket_count(&self) -> usize {
        self.bucket_count
    }

    /// `FindBucket`: where a value falls; the nearest bucket when it is out of range.
    pub fn bucket_of(&self, value: f64) -> usize {
        let bucket = match self.growth {
            Growth::Linear { size } => value / size,
            Growth::Exponential { first, .. } if value < first => 0.0,
            Growth::Exponential { first, ratio } => log(ratio, value * (ratio - 1.0) / first + 1.0),
        };
        // The cast cuts off the fraction and takes what is negative for 0.
        (bucket as usize).min(self.bucket_count - 1)
    }

    /// `GetBucketStart`: the least value of a bucket.
    pub fn bucket_start(&self, bucket: usize) -> f64 {
        debug_assert!(bucket < self.bucket_count, "bucket {bucket} of {}", self.bucket_count);
        match self.growth {
            Growth::Linear { size } => bucket as f64 * size,
            Growth::Exponential { .. } if bucket == 0 => 0.0,
            Growth::Exponential { first, ratio } => {
                let power = i32::try_from(bucket).expect("a scheme has few buckets");
                first * (float::pow(ratio, power) - 1.0) / (ratio - 1.0)
            }
        }
    }
}

fn log(base: f64, x: f64) -> f64 {
    float::ln(x) / float::ln(base)
}

/// The largest weight of a bucket in a checkpoint (`MaxCheckpointWeight`).
const CHECKPOINT_WEIGHT_MAX: f64 = 10_000.0;

/// Weights by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    scheme: BucketScheme,
    weights: Vec<f64>,
    total: f64,
    /// The first bucket that is not empty; the last of all when every one is.
    min: usize,
    /// The last bucket that is not empty; 0 when every one is.
    max: usize,
}

/// A histogram as it is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// `totalWeight`.
    pub total_weight: f64,
    /// `bucketWeights`: signed, as a file may hold anything.
    pub bucket_weights: BTreeMap<i64, u32>,
    /// `referenceTimestamp`, of decaying histograms.
    pub reference: Option<Timestamp>,
}

/// Why a checkpoint is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// There is none.
    Absent,
    /// The total weight is negative.
    NegativeWeight,
    /// A bucket is beyond those of the scheme, or negative.
    UnknownBucket(i64),
}

impl Histogram {
    /// An empty one.
    pub fn new(scheme: BucketScheme) -> Self {
        let bucket_count = scheme.bucket_count();
        Self { scheme, weights: vec![0.0; bucket_count], total: 0.0, min: bucket_count - 1, max: 0 }
    }

    /// How values fall into buckets.
    pub const fn scheme(&self) -> &BucketScheme {
        &self.scheme
    }

    /// All weight.
    pub const fn total(&self) -> f64 {
        self.total
    }

    /// The weight of a bucket.
    pub fn weight(&self, bucket: usize) -> f64 {
        self.weights.get(bucket).copied().unwrap_or(0.0)
    }

    /// `AddSample`.
    ///
    /// # Panics
    /// When the weight is negative.
    pub fn add(&mut self, value: f64, weight: f64) {
        assert!(weight >= 0.0, "a sample weighs {weight}");
        let bucket = self.scheme.bucket_of(value);
        self.weights[bucket] += weight;
        self.total += weight;
        if self.weights[bucket] >= self.scheme.epsilon {
            self.min = self.min.min(bucket);
            self.max = self.max.max(bucket);
        }
    }

    /// `SubtractSample`: the weight of a bucket never becomes negative.
    ///
    /// # Panics
    /// When the weight is negative.
    pub fn subtract(&mut self, value: f64, weight: f64) {
        assert!(weight >= 0.0, "a sample weighs {weight}");
        let bucket = self.scheme.bucket_of(value);
        let held = self.weights[bucket];
        let weight = if weight > held - self.scheme.epsilon { held } else { weight };
        self.total -= weight;
        self.weights[bucket] -= weight;
        self.find_ends();
    }

    /// `Percentile`: the upper end of the first bucket up to which the share of the weight lies; the
    /// last bucket has no upper end and gives its lower one. 0 when there are no samples.
    pub fn percentile(&self, percentile: f64) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let threshold = percentile * self.total;
        let mut sum = 0.0;
        let mut bucket = self.min;
        while bucket < self.max {
            sum += self.weights[bucket];
            if sum >= threshold {
                break;
            }
            bucket += 1;
        }
        self.scheme.bucket_start((bucket + 1).min(self.scheme.bucket_count() - 1))
    }

    /// `IsEmpty`.
    pub fn is_empty(&self) -> bool {
        self.weights[self.min] < self.scheme.epsilon
    }

    /// `updateMinAndMaxBucket`.
    fn find_ends(&mut self) {
        let last = self.scheme.bucket_count() - 1;
        while self.weights[self.min] < self.scheme.epsilon && self.min < last {
            self.min += 1;
        }
        while self.weights[self.max] < self.scheme.epsilon && self.max > 0 {
            self.max -= 1;
        }
    }

    fn scale(&mut self, factor: f64) {
        if self.min <= self.max {
            for weight in &mut self.weights[self.min..=self.max] {
                *weight *= factor;
            }
        }
        self.total *= factor;
        self.find_ends();
    }

    /// `SaveToChekpoint`: the heaviest bucket weighs 10000, what is less than half of one is left
    /// out.
    pub fn save(&self) -> Checkpoint {
        let range = if self.min <= self.max { self.min..self.max + 1 } else { 0..0 };
        let heaviest = self.weights[range.clone()].iter().copied().fold(0.0, f64::max);
        let ratio = CHECKPOINT_WEIGHT_MAX / heaviest;
        let rounded = |weight: f64| libm::floor(weight * ratio + 0.5) as u32;
        let weights = range.map(|bucket| (bucket as i64, rounded(self.weights[bucket])));
        Checkpoint {
            total_weight: self.total,
            bucket_weights: weights.filter(|(_, weight)| *weight > 0).collect(),
            reference: None,
        }
    }

    /// `LoadFromCheckpoint`: adds what was stored.
    ///
    /// # Errors
    /// When the checkpoint is of no histogram with this scheme; nothing is added then.
    pub fn load(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), CheckpointError> {
        let checkpoint = checkpoint.ok_or(CheckpointError::Absent)?;
        if checkpoint.total_weight < 0.0 {
            return Err(CheckpointError::NegativeWeight);
        }
        let (mut sum, mut weights) = (0_i64, Vec::new());
        for (bucket, weight) in &checkpoint.bucket_weights {
            sum += i64::from(*weight);
            let known = usize::try_from(*bucket).ok().filter(|it| *it < self.weights.len());
            weights.push((known.ok_or(CheckpointError::UnknownBucket(*bucket))?, *weight));
        }
        if sum == 0 {
            return Ok(());
        }
        let ratio = checkpoint.total_weight / sum as f64;
        for (bucket, weight) in weights {
            self.min = self.min.min(bucket);
            self.max = self.max.max(bucket);
            self.weights[bucket] += f64::from(weight) * ratio;
        }
        self.total += checkpoint.total_weight;
        Ok(())
    }
}

/// A moment of wall-clock time as upstream counts it: from the first of January of the year 1. What
/// decays is measured against multiples of the half-life since then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    nanos: i128,
}

/// 1970-01-01 in seconds since 0001-01-01.
const UNIX_EPOCH_SECS: i128 = 62_135_596_800;

impl Timestamp {
    /// The zero of upstream's clock, which stands for "never".
    pub const NEVER: Self = Self { nanos: 0 };

    /// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn from_unix(secs: i64, nanos: u32) -> Self {
        Self { nanos: (secs as i128 + UNIX_EPOCH_SECS) * 1_000_000_000 + nanos as i128 }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn unix_secs(self) -> i64 {
        (self.nanos.div_euclid(1_000_000_000) - UNIX_EPOCH_SECS) as i64
    }

    /// Whether this stands for "never".
    pub const fn is_never(self) -> bool {
        self.nanos == 0
    }

    /// Later by a span.
    pub const fn plus(self, span: SimSpan) -> Self {
        Self { nanos: self.nanos + span.as_nanos() as i128 }
    }

    /// Earlier by a span.
    pub const fn minus(self, span: SimSpan) -> Self {
        Self { nanos: self.nanos - span.as_nanos() as i128 }
    }

    /// `Time.Sub`: nanoseconds since another moment, as far as 64 bits reach.
    pub fn nanos_since(self, other: Self) -> i64 {
        let difference = self.nanos - other.nanos;
        difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// `Time.Round`: to the nearest multiple of `unit`, halves up.
    fn rounded_to(self, unit: SimSpan) -> Self {
        let unit = i128::from(unit.as_nanos());
        if unit == 0 {
            return self;
        }
        let rest = self.nanos.rem_euclid(unit);
        let up = if rest + rest < unit { 0 } else { unit };
        Self { nanos: self.nanos - rest + up }
    }
}

/// After so many half-lives weights are measured from a new moment (`maxDecayExponent`).
const HALF_LIVES_MAX: i128 = 100;

/// A histogram in which newer samples weigh more: twice as much per half-life.
#[derive(Clone, Debug, PartialEq)]
pub struct DecayingHistogram {
    histogram: Histogram,
    half_life: SimSpan,
    /// From when ages are measured: a multiple of the half-life.
    reference: Timestamp,
}

impl DecayingHistogram {
    /// An empty one.
    pub fn new(scheme: BucketScheme, half_life: SimSpan) -> Self {
        Self { histogram: Histogram::new(scheme), half_life, reference: Timestamp::NEVER }
    }

    /// What it holds now.
    pub const fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// See [`Histogram::add`].
    pub fn add(&mut self, value: f64, weight: f64, at: Timestamp) {
        let weight = weight * self.decay_factor(at);
        self.histogram.add(value, weight);
    }

    /// See [`Histogram::add`]: as that for each of `count` samples of one bucket, `every` apart from
    /// `first` on. Their weights are a geometric series, so that any number of them costs the same;
    /// its sum differs from theirs by rounding only.
    ///
    /// # Panics
    /// When `every` is nothing.
    pub fn add_row(
        &mut self,
        value: f64,
        weight: f64,
        first: Timestamp,
        every: SimSpan,
        count: u64,
    ) {
        assert!(!every.is_zero(), "samples are some time apart");
        let (mut at, mut left) = (first, count);
        while left > 0 {
            // Moves the reference first, where a sample by itself would.
            let factor = self.decay_factor(at);
            let alike = left.min(self.samples_to_shift(at, every));
            let half_life = self.half_life.as_nanos() as f64;
            let growth = |samples: f64| {
                let half_lives = samples * every.as_nanos() as f64 / half_life;
                libm::expm1(half_lives * core::f64::consts::LN_2)
            };
            let series = growth(alike as f64) / growth(1.0);
            self.histogram.add(value, weight * factor * series);
            at = at.plus(every * alike);
            left -= alike;
        }
    }

    /// How many samples from `at` on keep the reference; that at `at` does.
    fn samples_to_shift(&self, at: Timestamp, every: SimSpan) -> u64 {
        let half_life = i128::from(self.half_life.as_nanos());
        let last = self.reference.nanos + HALF_LIVES_MAX * half_life;
        let steps = (last - at.nanos) / i128::from(every.as_nanos());
        u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// See [`Histogram::subtract`].
    pub fn subtract(&mut self, value: f64, weight: f64, at: Timestamp) {
        let weight = weight * self.decay_factor(at);
        self.histogram.subtract(value, weight);
    }

    /// See [`Histogram::percentile`].
    pub fn percentile(&self, percentile: f64) -> f64 {
        self.histogram.percentile(percentile)
    }

    /// See [`Histogram::save`].
    pub fn save(&self) -> Checkpoint {
        Checkpoint { reference: Some(self.reference), ..self.histogram.save() }
    }

    /// See [`Histogram::load`].
    ///
    /// # Errors
    /// When the checkpoint is of no histogram with this scheme.
    pub fn load(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), CheckpointError> {
        self.histogram.load(checkpoint)?;
        self.reference = checkpoint.and_then(|it| it.reference).unwrap_or_default();
        Ok(())
    }

    fn decay_factor(&mut self, at: Timestamp) -> f64 {
        let half_life = i128::from(self.half_life.as_nanos());
        if at.nanos > self.reference.nanos + HALF_LIVES_MAX * half_life {
            self.shift(at);
        }
        float::exp2(at.nanos_since(self.reference) as f64 / half_life as f64)
    }

    /// `shiftReferenceTimestamp`.
    fn shift(&mut self, to: Timestamp) {
        let to = to.rounded_to(self.half_life);
        let age = self.reference.nanos_since(to) as f64 / self.half_life.as_nanos() as f64;
        let exponent = libm::floor(age + 0.5) as i32;
        self.histogram.scale(libm::ldexp(1.0, exponent));
        self.reference = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_buckets() -> BucketScheme {
        BucketScheme::linear(10.0, 1.0, 1e-15).expect("the scheme is right")
    }

    const START: Timestamp = Timestamp::from_unix(1_234_567_890, 0);
    const HOUR: SimSpan = SimSpan::from_secs(3600);

    #[test]
    fn a_large_old_sample_fades() {
        let mut histogram = DecayingHistogram::new(ten_buckets(), HOUR);
        histogram.add(2.0, 1.0, START);
        histogram.add(1.0, 1.0, START.plus(HOUR * 101));
        assert_eq!(histogram.percentile(1.0), 2.0);
    }

    #[test]
    fn weights_halve_per_half_life() {
        let mut histogram = DecayingHistogram::new(ten_buckets(), HOUR);
        for step in 1..=4_u32 {
            let at = START.plus(HOUR * u64::from(step));
            histogram.add(f64::from(step), f64::from(step), at);
        }
        let of = |percentile| histogram.percentile(percentile);
        assert_eq!([0.0, 0.02, 0.03, 0.10].map(of), [2.0, 2.0, 3.0, 3.0]);
        assert_eq!([0.11, 0.34, 0.35, 1.0].map(of), [4.0, 4.0, 5.0, 5.0]);
    }

    #[test]
    fn a_bucket_is_empty_below_epsilon() {
        let epsilon = 1e-15;
        let mut histogram = Histogram::new(BucketScheme::linear(1.0, 0.1, epsilon).expect("right"));
        assert!(histogram.is_empty());
        histogram.add(0.1, epsilon * 2.5);
        histogram.subtract(0.1, epsilon);
        assert!(!histogram.is_empty());
        histogram.subtract(0.1, epsilon);
        assert!(histogram.is_empty());
        histogram.add(9.9, epsilon * 3.0);
        histogram.add(0.1, epsilon * 0.3);
        assert!(!histogram.is_empty());
    }

    #[test]
    fn a_checkpoint_adds_up_to_its_total() {
        let mut histogram = Histogram::new(ten_buckets());
        let checkpoint = Checkpoint {
            total_weight: 6.0,
            bucket_weights: [(0, 1), (1, 2)].into(),
            reference: None,
        };
        assert_eq!(histogram.load(Some(&checkpoint)), Ok(()));
        assert_eq!([histogram.weight(0), histogram.weight(1), histogram.total()], [2.0, 4.0, 6.0]);
        assert_eq!(histogram.load(None), Err(CheckpointError::Absent));
        let negative = Checkpoint { total_weight: -1.0, ..Checkpoint::default() };
        assert_eq!(histogram.load(Some(&negative)), Err(CheckpointError::NegativeWeight));
    }
}
