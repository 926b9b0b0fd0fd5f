//! The vertical pod autoscaler's recommender.
//!
//! `given.computation` names what is computed: a histogram, a bucket scheme, a checkpoint, one
//! estimator, the minimum of a pod, memory peaks, a whole recommendation.

use std::collections::BTreeMap;

use model_api::SimSpan;
use model_kube::vertical_pod_autoscaler::{
    Aggregate, Aggregation, BucketScheme, Checkpoint, ContainerPolicy, ContainerUsage,
    DecayingHistogram, Histogram, MemoryOperation, OomKill, Resources, Settings, Timestamp,
    UsageSegment, amount_from_float, at_least, pod_minimum, recommend, replay, with_confidence,
    with_margin,
};

use crate::amounts;
use crate::case::{Case, Judged};
use crate::tree::Tree;

/// Expectations that only say how to compare.
pub(crate) const SILENT: &[&str] = &["tolerance"];

/// Values read back from a histogram are compared as upstream's tests do: within a relative 1e-15
/// they are the same number.
const SAME: f64 = 4.0 * f64::EPSILON;

/// The beginning of time in cases of recommendations: 2026-01-01T00:00:00Z.
const EPOCH_SECS: i64 = 1_767_225_600;

pub(crate) fn check(case: &mut Case<'_>) -> Judged {
    match case.given.at("computation").text() {
        "histogram" => histogram(case),
        "bucketScheme" => bucket_scheme(case),
        "saveCheckpoint" => save_checkpoint(case),
        "loadCheckpoint" => load_checkpoint(case),
        "estimator" => estimator(case),
        "podMinimum" => minimum_of_pod(case),
        "memoryPeaks" => memory_peaks(case),
        "recommendation" => recommendation(case),
        other => Err(format!("the computation `{other}` is not modelled")),
    }
}

fn number(tree: Tree<'_>, path: &str) -> f64 {
    tree.at(path).number().unwrap_or(0.0)
}

fn is_same(expected: f64, got: f64) -> bool {
    expected == got || (expected - got).abs() <= SAME * expected.abs().max(got.abs())
}

fn compare_number(case: &mut Case<'_>, what: &str, expected: f64, got: f64) {
    case.judge(what);
    if !is_same(expected, got) {
        case.differ(what, format!("{expected:?}"), format!("{got:?}"));
    }
}

fn compare_number_if_given(case: &mut Case<'_>, what: &str, got: f64) {
    if let Some(expected) = case.expect.at(what).number() {
        compare_number(case, what, expected, got);
    }
}

fn scheme(options: Tree<'_>) -> Result<BucketScheme, String> {
    let of = |name| number(options, name);
    let scheme = match options.at("type").text() {
        "linear" => BucketScheme::linear(of("maxValue"), of("bucketSize"), of("epsilon")),
        "exponential" => BucketScheme::exponential(
            of("maxValue"),
            of("firstBucketSize"),
            of("ratio"),
            of("epsilon"),
        ),
        other => return Err(format!("buckets of type `{other}` are not modelled")),
    };
    scheme.map_err(|_| "the options give no buckets".to_owned())
}

fn seconds(tree: Tree<'_>) -> Timestamp {
    let nanos = tree.number().unwrap_or(0.0) * 1e9;
    let nanos = nanos.round() as i64;
    let secs = nanos.div_euclid(1_000_000_000);
    Timestamp::from_unix(secs, u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0))
}

/// The histogram of a case with all its samples.
fn filled(given: Tree<'_>) -> Result<DecayingOrNot, String> {
    let scheme = scheme(given.at("options"))?;
    let mut histogram = match given.at("halfLife").duration() {
        Some(half_life) => DecayingOrNot::Decaying(DecayingHistogram::new(scheme, half_life)),
        None => DecayingOrNot::Plain(Histogram::new(scheme)),
    };
    for sample in given.at("samples").items() {
        let (value, weight) = (number(sample, "value"), number(sample, "weight"));
        let is_taken_away = sample.at("op").text() == "subtract";
        let at = seconds(sample.at("timeSeconds"));
        match &mut histogram {
            DecayingOrNot::Plain(it) if is_taken_away => it.subtract(value, weight),
            DecayingOrNot::Plain(it) => it.add(value, weight),
            DecayingOrNot::Decaying(it) if is_taken_away => it.subtract(value, weight, at),
            DecayingOrNot::Decaying(it) => it.add(value, weight, at),
        }
    }
    Ok(histogram)
}

enum DecayingOrNot {
    Plain(Histogram),
    Decaying(DecayingHistogram),
}

impl DecayingOrNot {
    fn plain(&self) -> &Histogram {
        match self {
            Self::Plain(histogram) => histogram,
            Self::Decaying(histogram) => histogram.histogram(),
        }
    }

    fn save(&self) -> Checkpoint {
        match self {
            Self::Plain(histogram) => histogram.save(),
            Self::Decaying(histogram) => histogram.save(),
        }
    }

    fn load(&mut self, checkpoint: Option<&Checkpoint>) -> bool {
        match self {
            Self::Plain(histogram) => histogram.load(checkpoint).is_ok(),
            Self::Decaying(histogram) => histogram.load(checkpoint).is_ok(),
        }
    }
}

fn compare_contents(case: &mut Case<'_>, histogram: &Histogram) {
    for (idx, wanted) in case.expect.at("percentiles").items().enumerate() {
        let percentile = number(wanted, "percentile");
        let got = histogram.percentile(percentile);
        let expected = number(wanted, "value");
        case.judge("percentiles");
        if !is_same(expected, got) {
            let what = format!("percentiles.{idx}");
            case.differ(&what, format!("{expected} at {percentile}"), format!("{got}"));
        }
    }
    for name in ["isEmpty", "empty"] {
        case.compare_if_given(name, |it| it.is_true(), histogram.is_empty());
    }
}

fn histogram(case: &mut Case<'_>) -> Judged {
    let histogram = filled(case.given)?;
    compare_contents(case, histogram.plain());
    compare_number_if_given(case, "totalWeight", histogram.plain().total());
    Ok(())
}

fn bucket_scheme(case: &mut Case<'_>) -> Judged {
    let scheme = scheme(case.given.at("options"))?;
    let count = i64::try_from(scheme.bucket_count()).unwrap_or(i64::MAX);
    case.compare_if_given("numBuckets", |it| it.int(), Some(count));
    for (idx, wanted) in case.expect.at("bucketStart").items().enumerate() {
        let got = scheme.bucket_start(wanted.at("bucket").count() as usize);
        compare_number(case, &format!("bucketStart.{idx}"), number(wanted, "value"), got);
    }
    for (idx, wanted) in case.expect.at("findBucket").items().enumerate() {
        let got = scheme.bucket_of(number(wanted, "value"));
        let expected = wanted.at("bucket").count() as usize;
        case.compare(&format!("findBucket.{idx}"), expected, got);
    }
    Ok(())
}

fn save_checkpoint(case: &mut Case<'_>) -> Judged {
    let checkpoint = filled(case.given)?.save();
    compare_number_if_given(case, "totalWeight", checkpoint.total_weight);
    let wanted = case.expect.at("bucketWeights");
    let read = |it: Tree<'_>| it.int().unwrap_or(0);
    let expected: BTreeMap<String, i64> =
        wanted.fields().map(|(bucket, it)| (bucket.to_owned(), read(it))).collect();
    let got = checkpoint.bucket_weights.iter();
    let got = got.map(|(bucket, weight)| (bucket.to_string(), i64::from(*weight))).collect();
    if case.expect.field("bucketWeights").node().is_some() || !expected.is_empty() {
        case.compare_maps("bucketWeights", &expected, &got);
    }
    let reference = checkpoint.reference.map(Timestamp::unix_secs);
    case.compare_if_given("referenceTimeSeconds", |it| it.int(), reference);
    Ok(())
}

fn load_checkpoint(case: &mut Case<'_>) -> Judged {
    let mut histogram = filled(case.given)?;
    let given = case.given.at("checkpoint");
    let weights = given.at("bucketWeights").fields().filter_map(|(bucket, weight)| {
        Some((bucket.parse().ok()?, u32::try_from(weight.int()?).ok()?))
    });
    let checkpoint = given.is_given().then(|| Checkpoint {
        total_weight: number(given, "totalWeight"),
        bucket_weights: weights.collect(),
        reference: Some(given.at("referenceTimeSeconds")).filter(|it| it.is_given()).map(seconds),
    });
    let loaded = histogram.load(checkpoint.as_ref());
    case.compare_if_given("error", |it| it.is_true(), !loaded);
    compare_contents(case, histogram.plain());
    compare_number_if_given(case, "totalWeight", histogram.plain().total());
    for (bucket, wanted) in case.expect.at("bucketWeights").fields() {
        let got = bucket.parse().map_or(f64::NAN, |it| histogram.plain().weight(it));
        let expected = wanted.number().unwrap_or(f64::NAN);
        compare_number(case, &format!("bucketWeights.{bucket}"), expected, got);
    }
    Ok(())
}

/// CPU in millicores and memory in bytes, from cores and bytes.
fn cpu_and_memory(tree: Tree<'_>) -> [i64; 2] {
    [number(tree, "cpuCores") * 1000.0, number(tree, "memoryBytes")].map(amount_from_float)
}

/// An aggregate with CPU samples at even distances, for what counts samples.
fn sampled(given: Tree<'_>) -> Aggregate {
    let mut aggregate = Aggregate::new(&Aggregation::default());
    let samples = given.at("cpuSamples");
    let every = samples.at("everySeconds").duration().unwrap_or(SimSpan::ZERO);
    for idx in 0..samples.at("count").count() {
        aggregate.add_cpu(1000, Timestamp::from_unix(0, 0).plus(every * u64::from(idx)));
    }
    aggregate
}

fn estimator(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let base = cpu_and_memory(given.at("base"));
    // Estimators are known by the words in their names.
    let estimator = given.at("estimator").text();
    let says = |word: &str| estimator.to_lowercase().contains(word);
    let estimated = match () {
        () if says("confidence") => {
            let day = SimSpan::from_days(1);
            let interval = given.at("confidenceInterval").duration().unwrap_or(day);
            let confidence = sampled(given).confidence(interval);
            compare_number_if_given(case, "confidence", confidence);
            let exponent = number(given, "exponent");
            let power = exponent as i32;
            if f64::from(power) != exponent {
                return Err(format!("the exponent {exponent} is not modelled"));
            }
            base.map(|it| with_confidence(it, number(given, "multiplier"), power, confidence))
        }
        () if says("min") => {
            let least = cpu_and_memory(given.at("min"));
            [at_least(base[0], least[0]), at_least(base[1], least[1])]
        }
        () if says("margin") => {
            let mut fields = given.fields();
            let margin = fields.find(|(name, _)| name.to_lowercase().contains("margin"));
            let margin = margin.and_then(|(_, it)| it.number()).ok_or("no margin is given")?;
            base.map(|it| with_margin(it, margin))
        }
        () if says("percentile") => return percentile_estimator(case),
        () => return Err(format!("the estimator `{estimator}` is not modelled")),
    };
    compare_amounts(case, estimated);
    Ok(())
}

fn compare_amounts(case: &mut Case<'_>, [cpu, memory]: [i64; 2]) {
    case.compare_if_given("cpuMillicores", |it| it.int(), Some(cpu));
    case.compare_if_given("memoryBytes", |it| it.int(), Some(memory));
}

/// Percentiles of samples that the case lists.
fn percentile_estimator(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let aggregation = Aggregation::default();
    let of = |name: &str, scheme: BucketScheme, percentile: &str| {
        let mut histogram = Histogram::new(scheme);
        for sample in given.at(name).items() {
            histogram.add(number(sample, "value"), sample.at("weight").number().unwrap_or(1.0));
        }
        let own = given.at(percentile).number();
        histogram.percentile(own.unwrap_or_else(|| number(given, "percentile")))
    };
    let cpu = of("cpuHistogram", aggregation.cpu_scheme, "cpuPercentile");
    let memory = of("memoryHistogram", aggregation.memory_scheme, "memoryPercentile");
    compare_amounts(case, [cpu * 1000.0, memory].map(amount_from_float));
    Ok(())
}

fn minimum_of_pod(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let containers = given.at("containers");
    let named = ["containers", "containersPerPod", "containerCount"].map(|it| given.at(it).int());
    let count = named.into_iter().flatten().find_map(|it| usize::try_from(it).ok());
    let count = count.unwrap_or(containers.items().len()).max(1);
    let (cpu, memory) = pod_minimum(&Settings::default(), count);
    let base = cpu_and_memory(given.at("base"));
    let got = [at_least(base[0], cpu), at_least(base[1], memory)];
    compare_amounts(case, got);
    for recommended in case.expect.at("containerRecommendations").items() {
        let target = resources(recommended.at("target"));
        let expected = [target.cpu_millis, target.memory_bytes];
        case.compare("containerRecommendations", expected, got.map(Some));
    }
    Ok(())
}

fn memory_peaks(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let defaults = Aggregation::default();
    let ratio = given.at("oomBumpUpRatio").number();
    let aggregation = Aggregation {
        memory_interval: given
            .at("memoryAggregationInterval")
            .duration()
            .unwrap_or(defaults.memory_interval),
        oom_ratio: ratio.unwrap_or(defaults.oom_ratio),
        oom_min_bytes: given.at("oomMinBumpUpBytes").number().unwrap_or(defaults.oom_min_bytes),
        ..defaults
    };
    let mut container = match given.at("maxMemoryBytes").int() {
        Some(bytes) => ContainerUsage::with_memory_max(bytes),
        None => ContainerUsage::default(),
    };
    let mut got = Vec::new();
    for event in given.at("events").items() {
        let (at, bytes) = (seconds(event.at("timeSeconds")), event.at("bytes").int().unwrap_or(0));
        got.extend(match event.at("event").text() {
            "oom" => container.out_of_memory(bytes, at, &aggregation),
            "memorySample" => container.memory_sample(bytes, at, &aggregation),
            other => return Err(format!("the event `{other}` is not modelled")),
        });
    }
    let got: Vec<_> = got.into_iter().map(described).collect();
    let read = |it: Tree<'_>| {
        (
            it.at("op").text().to_owned(),
            it.at("bytes").int(),
            seconds(it.at("timeSeconds")).unix_secs(),
        )
    };
    let expected: Vec<_> = case.expect.at("histogramOperations").items().map(read).collect();
    case.compare("histogramOperations", expected, got);
    Ok(())
}

fn described(operation: MemoryOperation) -> (String, Option<i64>, i64) {
    match operation {
        MemoryOperation::Add { bytes, at } => ("add".to_owned(), Some(bytes), at.unix_secs()),
        MemoryOperation::Subtract { bytes, at } => {
            ("subtract".to_owned(), Some(bytes), at.unix_secs())
        }
    }
}

fn resources(tree: Tree<'_>) -> Resources {
    let amounts = amounts::resources(tree);
    Resources { cpu_millis: amounts.cpu_millis(), memory_bytes: amounts.memory_bytes() }
}

/// What is seen of a container.
fn history(container: Tree<'_>) -> Result<(Vec<UsageSegment>, Vec<OomKill>), String> {
    let span = |it: Tree<'_>, name: &str| {
        it.at(name).duration().ok_or_else(|| format!("`{name}` is no length of time"))
    };
    let (mut segments, mut kills) = (Vec::new(), Vec::new());
    for segment in container.at("usage").items() {
        let used = resources(segment);
        let every = span(segment, "every")?;
        if every == SimSpan::ZERO {
            return Err("`every` is no time at all".to_owned());
        }
        segments.push(UsageSegment {
            from: span(segment, "from")?,
            until: span(segment, "until")?,
            every,
            cpu_millis: used.cpu_millis.unwrap_or(0),
            memory_bytes: used.memory_bytes.unwrap_or(0),
        });
    }
    for kill in container.at("oomKills").items() {
        let request_bytes = amounts::units(kill.at("memoryRequest"));
        kills.push(OomKill { at: span(kill, "at")?, request_bytes });
    }
    Ok((segments, kills))
}

fn recommendation(case: &mut Case<'_>) -> Judged {
    let aggregation = Aggregation::default();
    let mut aggregates: BTreeMap<String, Aggregate> = BTreeMap::new();
    let containers = case.given.at("containers");
    for container in containers.items() {
        let mut usage = ContainerUsage::default();
        let name = container.at("name").text().to_owned();
        let aggregate = aggregates.entry(name).or_insert_with(|| Aggregate::new(&aggregation));
        let (segments, kills) = history(container)?;
        let start = Timestamp::from_unix(EPOCH_SECS, 0);
        replay(aggregate, &mut usage, &segments, &kills, start, &aggregation);
    }
    let policies = policies(case.given);
    let settings = Settings::default();
    let got = recommend(&aggregates, &policies, &settings);
    let wanted = case.expect.at("containerRecommendations");
    case.compare("containerRecommendations", wanted.items().len(), got.len());
    for (idx, wanted) in wanted.items().enumerate() {
        let name = wanted.at("containerName").text();
        let found = got.iter().find(|it| it.container_name == name).cloned().unwrap_or_default();
        let parts = [
            ("target", found.target),
            ("lowerBound", found.lower_bound),
            ("upperBound", found.upper_bound),
            ("uncappedTarget", found.uncapped_target),
        ];
        for (part, got) in parts {
            if wanted.at(part).is_given() {
                let expected = resources(wanted.at(part));
                case.compare(&format!("containerRecommendations.{idx}.{part}"), expected, got);
            }
        }
    }
    Ok(())
}

fn policies(given: Tree<'_>) -> Vec<ContainerPolicy> {
    let listed = given.at("verticalPodAutoscaler.spec.resourcePolicy.containerPolicies");
    let policy = |it: Tree<'_>| {
        let controlled = it.at("controlledResources");
        let controls = |name: &str| {
            !controlled.is_list() || controlled.items().any(|resource| resource.text() == name)
        };
        ContainerPolicy {
            is_off: it.at("mode").text() == "Off",
            min_allowed: resources(it.at("minAllowed")),
            max_allowed: resources(it.at("maxAllowed")),
            controls_cpu: controls("cpu"),
            controls_memory: controls("memory"),
            ..ContainerPolicy::new(it.at("containerName").text())
        }
    };
    listed.items().map(policy).collect()
}
