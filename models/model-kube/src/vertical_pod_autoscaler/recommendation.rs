//! From what was seen to what is recommended
//! (`pkg/recommender/logic/recommender.go`, `pkg/utils/vpa/capping.go`).

use std::collections::BTreeMap;

use model_api::kube::{VerticalPodAutoscaler, container_policy};
use sim_kernel::SimSpan;

use super::container::Aggregate;
use super::estimator::{amount_from_float, at_least, scaled, with_confidence, with_margin};

/// Flags of the recommender.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `--recommendation-margin-fraction`.
    pub margin_fraction: f64,
    /// `--pod-recommendation-min-cpu-millicores`.
    pub pod_min_cpu_millis: f64,
    /// `--pod-recommendation-min-memory-mb`: in fact mebibytes.
    pub pod_min_memory_mib: f64,
    /// Percentiles for lower bound, target, upper bound of CPU.
    pub cpu_percentiles: [f64; 3],
    /// Percentiles for lower bound, target, upper bound of memory.
    pub memory_percentiles: [f64; 3],
    /// `--confidence-interval-cpu`.
    pub cpu_confidence_interval: SimSpan,
    /// `--confidence-interval-memory`.
    pub memory_confidence_interval: SimSpan,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: SimSpan = SimSpan::from_secs(86_400);
        Self {
            margin_fraction: 0.15,
            pod_min_cpu_millis: 25.0,
            pod_min_memory_mib: 250.0,
            cpu_percentiles: [0.5, 0.9, 0.95],
            memory_percentiles: [0.5, 0.9, 0.95],
            cpu_confidence_interval: DAY,
            memory_confidence_interval: DAY,
        }
    }
}

/// Amounts of the two resources that are recommended; `None` where one is not controlled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU in millicores.
    pub cpu_millis: Option<i64>,
    /// Memory in bytes.
    pub memory_bytes: Option<i64>,
}

/// `spec.resourcePolicy.containerPolicies[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPolicy {
    /// `containerName`; `*` is for all that have none of their own.
    pub container_name: String,
    /// `mode: Off`: nothing is recommended.
    pub is_off: bool,
    /// `minAllowed`.
    pub min_allowed: Resources,
    /// `maxAllowed`.
    pub max_allowed: Resources,
    /// `controlledResources` has `cpu`.
    pub controls_cpu: bool,
    /// `controlledResources` has `memory`.
    pub controls_memory: bool,
}

/// `status.recommendation.containerRecommendations[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerRecommendation {
    /// `containerName`.
    pub container_name: String,
    /// `target`.
    pub target: Resources,
    /// `lowerBound`.
    pub lower_bound: Resources,
    /// `upperBound`.
    pub upper_bound: Resources,
    /// `uncappedTarget`: the target before the policy.
    pub uncapped_target: Resources,
}

/// The least amounts for each of a pod's containers: the minimum of a pod divided by their number.
pub fn pod_minimum(settings: &Settings, container_count: usize) -> (i64, i64) {
    let fraction = 1.0 / container_count as f64;
    let cpu = amount_from_float(settings.pod_min_cpu_millis * 0.001 * 1000.0);
    let memory = amount_from_float(settings.pod_min_memory_mib * 1024.0 * 1024.0);
    (scaled(cpu, fraction), scaled(memory, fraction))
}

/// What is recommended for the containers of a pod, by name: for all but those of mode Off, even
/// for one without samples, and these share the minimum of a pod
/// (`routines/vpa.go`, GetContainerNameToAggregateStateMap, and `logic/recommender.go`,
/// GetRecommendedPodResources, 1.7).
pub fn recommend(
    aggregates: &BTreeMap<String, Aggregate>,
    policies: &[ContainerPolicy],
    settings: &Settings,
) -> Vec<ContainerRecommendation> {
    let with_policy = aggregates.iter().map(|(name, aggregate)| {
        (name, aggregate, container_policy(policies, name, |it| &it.container_name))
    });
    let kept: Vec<_> =
        with_policy.filter(|(_, _, policy)| policy.is_none_or(|policy| !policy.is_off)).collect();
    let minimum = pod_minimum(settings, kept.len().max(1));
    let mut recommendations = Vec::new();
    for (name, aggregate, policy) in kept {
        let [lower_bound, target, upper_bound] = estimate(aggregate, minimum, settings);
        let controlled = |it: Resources| policy.map_or(it, |policy| policy.controlled(it));
        let capped = |it: Resources| policy.map_or(it, |policy| policy.capped(it));
        let uncapped_target = controlled(target);
        recommendations.push(ContainerRecommendation {
            container_name: name.clone(),
            target: capped(uncapped_target),
            lower_bound: capped(controlled(lower_bound)),
            upper_bound: capped(controlled(upper_bound)),
            uncapped_target,
        });
    }
    recommendations
}

/// Lower bound, target, upper bound (`estimateContainerResources`). A long history narrows the
/// bounds: the upper one is doubled after one day, the lower one 5 % low after an hour.
fn estimate(aggregate: &Aggregate, minimum: (i64, i64), settings: &Settings) -> [Resources; 3] {
    let bounds = |percentiles: [i64; 3], confidence: f64, least: i64| {
        let [low, target, high] = percentiles.map(|it| with_margin(it, settings.margin_fraction));
        let low = with_confidence(low, 0.001, -2, confidence);
        let high = with_confidence(high, 1.0, 1, confidence);
        [low, target, high].map(|it| at_least(it, least))
    };
    let cpu = bounds(
        settings
            .cpu_percentiles
            .map(|it| amount_from_float(aggregate.cpu().percentile(it) * 1000.0)),
        aggregate.confidence(settings.cpu_confidence_interval),
        minimum.0,
    );
    let memory = bounds(
        settings
            .memory_percentiles
            .map(|it| amount_from_float(aggregate.memory_peaks().percentile(it))),
        aggregate.confidence(settings.memory_confidence_interval),
        minimum.1,
    );
    let both =
        |idx: usize| Resources { cpu_millis: Some(cpu[idx]), memory_bytes: Some(memory[idx]) };
    [both(0), both(1), both(2)]
}

impl ContainerPolicy {
    /// The policies of an autoscaler (`spec.resourcePolicy.containerPolicies`).
    pub fn all_of(autoscaler: &VerticalPodAutoscaler) -> Vec<Self> {
        let bound = |cpu_millis, memory_bytes| Resources { cpu_millis, memory_bytes };
        let policies = autoscaler.policies.iter().map(|given| Self {
            is_off: given.is_off,
            min_allowed: bound(given.cpu_millis_min, given.memory_bytes_min),
            max_allowed: bound(given.cpu_millis_max, given.memory_bytes_max),
            controls_cpu: given.controls_cpu,
            controls_memory: given.controls_memory,
            ..Self::new(&given.container_name)
        });
        policies.collect()
    }

    /// A policy that changes nothing.
    pub fn new(container_name: &str) -> Self {
        Self {
            container_name: container_name.to_owned(),
            is_off: false,
            min_allowed: Resources::default(),
            max_allowed: Resources::default(),
            controls_cpu: true,
            controls_memory: true,
        }
    }

    /// `FilterControlledResources`.
    fn controlled(&self, resources: Resources) -> Resources {
        Resources {
            cpu_millis: resources.cpu_millis.filter(|_| self.controls_cpu),
            memory_bytes: resources.memory_bytes.filter(|_| self.controls_memory),
        }
    }

    /// `applyVPAPolicy`: raised to the minimum, then lowered to the maximum. A bound of 0 is none
    /// (`maybeCapToMin`, `maybeCapToMax`).
    fn capped(&self, resources: Resources) -> Resources {
        let cap = |amount: Option<i64>, min: Option<i64>, max: Option<i64>| {
            let amount = amount.map(|it| min.map_or(it, |min| it.max(min)));
            amount.map(|it| max.filter(|max| *max != 0).map_or(it, |max| it.min(max)))
        };
        let (min, max) = (self.min_allowed, self.max_allowed);
        Resources {
            cpu_millis: cap(resources.cpu_millis, min.cpu_millis, max.cpu_millis),
            memory_bytes: cap(resources.memory_bytes, min.memory_bytes, max.memory_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::container::{Aggregation, ContainerUsage};
    use proptest::prelude::*;

    use super::super::histogram::{DecayingHistogram, Timestamp};
    use super::*;

    fn constant(minutes: u64, cpu_millis: i64, memory_bytes: i64) -> Aggregate {
        let aggregation = Aggregation::default();
        let mut aggregate = Aggregate::new(&aggregation);
        let mut container = ContainerUsage::default();
        for minute in 0..minutes {
            let at = Timestamp::from_unix(1_767_225_600, 0).plus(SimSpan::from_secs(60) * minute);
            aggregate.add_cpu(cpu_millis, at);
            for operation in container.memory_sample(memory_bytes, at, &aggregation) {
                aggregate.apply(operation);
            }
        }
        aggregate
    }

    #[test]
    fn the_minimum_of_a_pod_is_shared() {
        let settings = Settings::default();
        assert_eq!(pod_minimum(&settings, 1), (25, 262_144_000));
        assert_eq!(pod_minimum(&settings, 2), (12, 131_072_000));
    }

    #[test]
    fn policies_cap_and_filter() {
        let aggregates = [("app".to_owned(), constant(60, 100, 400 << 20))].into();
        let settings = Settings::default();
        let mut policy = ContainerPolicy::new("*");
        policy.max_allowed.cpu_millis = Some(50);
        policy.min_allowed.memory_bytes = Some(1 << 30);
        let of = |policy: &ContainerPolicy| {
            recommend(&aggregates, std::slice::from_ref(policy), &settings)
        };
        let capped = of(&policy).remove(0);
        assert_eq!(capped.target.cpu_millis, Some(50));
        assert_eq!(capped.target.memory_bytes, Some(1 << 30));
        assert_eq!(capped.uncapped_target.cpu_millis, Some(126));
        policy.controls_cpu = false;
        assert_eq!(of(&policy)[0].target.cpu_millis, None);
        policy.is_off = true;
        assert_eq!(of(&policy), []);
    }

    proptest! {
        #[test]
        fn bounds_enclose_the_target(
            samples in prop::collection::vec((0..5_000_000_u64, 0..20_000_i64, 0..1_i64 << 36), 0..60),
            kills in prop::collection::vec((0..5_000_000_u64, 0..1_i64 << 34), 0..4),
            containers in 1..4_usize,
        ) {
            let aggregation = Aggregation::default();
            let (mut aggregate, mut container) =
                (Aggregate::new(&aggregation), ContainerUsage::default());
            let start = Timestamp::from_unix(1_767_225_600, 0);
            let at = |secs| start.plus(SimSpan::from_secs(secs));
            let mut samples = samples;
            samples.sort_unstable();
            for (secs, cpu, memory) in samples {
                if container.accepts_cpu(cpu, at(secs)) {
                    aggregate.add_cpu(cpu, at(secs));
                }
                let operations = container.memory_sample(memory, at(secs), &aggregation);
                operations.into_iter().for_each(|operation| aggregate.apply(operation));
            }
            for (secs, request) in kills {
                let operations = container.out_of_memory(request, at(secs), &aggregation);
                operations.into_iter().for_each(|operation| aggregate.apply(operation));
            }
            let mut aggregates: BTreeMap<String, Aggregate> = [("app".to_owned(), aggregate)].into();
            for idx in 1..containers {
                aggregates.insert(format!("sidecar-{idx}"), Aggregate::new(&aggregation));
            }
            let got = recommend(&aggregates, &[], &Settings::default());
            prop_assert_eq!(got.len(), containers);
            for it in got {
                prop_assert!(it.lower_bound.cpu_millis <= it.target.cpu_millis);
                prop_assert!(it.target.cpu_millis <= it.upper_bound.cpu_millis);
                prop_assert!(it.lower_bound.memory_bytes <= it.target.memory_bytes);
                prop_assert!(it.target.memory_bytes <= it.upper_bound.memory_bytes);
                prop_assert!(it.lower_bound.cpu_millis >= Some(25 / containers as i64));
            }
        }

        // Several samples of different ages in one bucket leave a remainder of rounding, as they do
        // upstream; one by itself must not.
        #[test]
        fn what_is_taken_away_leaves_nothing(
            samples in prop::collection::btree_map(0..170_usize, 0..9_000_000_u64, 1..30),
        ) {
            let scheme = Aggregation::default().memory_scheme;
            let mut histogram = DecayingHistogram::new(scheme, SimSpan::from_days(1));
            let start = Timestamp::from_unix(1_767_225_600, 0);
            let samples: Vec<_> = samples
                .into_iter()
                .map(|(bucket, secs)| {
                    let value = scheme.bucket_start(bucket) * 1.001;
                    (value, start.plus(SimSpan::from_secs(secs)))
                })
                .collect();
            for (value, at) in &samples {
                histogram.add(*value, 1.0, *at);
            }
            for (value, at) in samples.iter().rev() {
                histogram.subtract(*value, 1.0, *at);
            }
            prop_assert!(histogram.histogram().is_empty());
            prop_assert_eq!(histogram.percentile(0.9), 0.0);
        }
    }
}
