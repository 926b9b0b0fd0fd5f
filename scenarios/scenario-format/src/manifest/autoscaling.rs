//! Horizontal autoscalers, of both versions of the API.
//!
//! # Defaults and their sources
//! Kubernetes 1.36: `pkg/apis/autoscaling/v2/defaults.go`, `pkg/apis/autoscaling/v1/defaults.go`;
//! what is refused: `pkg/apis/autoscaling/validation/validation.go`.

use k8s_openapi::api::autoscaling::{v1, v2};
use k8s_openapi::apimachinery::pkg::api::resource;
use model_api::kube::{
    DescribedObject, HorizontalPodAutoscaler, MetricIdentifier, MetricSource, MetricSpec,
    MetricTarget, ResourceList, ScaleTarget, ScalingBehavior, ScalingPolicy, ScalingRules,
    SelectPolicy,
};

use super::Reader;
use crate::quantity::Quantity;

/// Target of CPU utilization when no metric is stated, in percent.
const UTILIZATION_DEFAULT: i32 = 80;
/// Longest `periodSeconds` of a policy.
const PERIOD_SECONDS_MAX: i32 = 1800;
/// Longest `stabilizationWindowSeconds`.
const WINDOW_SECONDS_MAX: i32 = 3600;

impl Reader<'_> {
    /// `autoscaling/v2`.
    pub(crate) fn autoscaler(
        &mut self,
        spec: &v2::HorizontalPodAutoscalerSpec,
    ) -> HorizontalPodAutoscaler {
        let reference = &spec.scale_target_ref;
        let mut metrics = Vec::new();
        for (idx, metric) in spec.metrics.iter().flatten().enumerate() {
            metrics.extend(self.metric(&format!("spec.metrics[{idx}]"), metric));
        }
        let is_silent = spec.metrics.as_ref().is_none_or(Vec::is_empty);
        if is_silent {
            metrics.push(cpu_utilization(UTILIZATION_DEFAULT));
        }
        let behavior = spec.behavior.as_ref().map(|behavior| ScalingBehavior {
            scale_up: self.rules(
                "spec.behavior.scaleUp",
                behavior.scale_up.as_ref(),
                ScalingRules::default_up(),
            ),
            scale_down: self.rules(
                "spec.behavior.scaleDown",
                behavior.scale_down.as_ref(),
                ScalingRules::default_down(),
            ),
        });
        let bounds = (spec.min_replicas, spec.max_replicas);
        self.scaler(&reference.kind, &reference.name, bounds, metrics, behavior)
    }

    /// `autoscaling/v1`.
    pub(crate) fn autoscaler_v1(
        &mut self,
        spec: &v1::HorizontalPodAutoscalerSpec,
    ) -> HorizontalPodAutoscaler {
        let reference = &spec.scale_target_ref;
        let target = spec.target_cpu_utilization_percentage.unwrap_or(UTILIZATION_DEFAULT);
        if target < 1 {
            self.refuse("spec.targetCPUUtilizationPercentage", "must be greater than 0");
        }
        let metrics = vec![cpu_utilization(target.max(1))];
        let bounds = (spec.min_replicas, spec.max_replicas);
        self.scaler(&reference.kind, &reference.name, bounds, metrics, None)
    }

    fn scaler(
        &mut self,
        kind: &str,
        name: &str,
        (least, most): (Option<i32>, i32),
        metrics: Vec<MetricSpec>,
        behavior: Option<ScalingBehavior>,
    ) -> HorizontalPodAutoscaler {
        let least = least.unwrap_or(1);
        if least < 1 {
            self.refuse("spec.minReplicas", format!("must be at least 1, is {least}"));
        }
        if most < 1 {
            self.refuse("spec.maxReplicas", format!("must be at least 1, is {most}"));
        } else if most < least {
            let message = format!("must not be below minReplicas, which is {least}: it is {most}");
            self.refuse("spec.maxReplicas", message);
        }
        HorizontalPodAutoscaler {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            target: ScaleTarget { kind: kind.to_owned(), name: name.to_owned() },
            min_replicas: least.max(0),
            max_replicas: most.max(1),
            metrics,
            behavior,
            origin: self.origin(),
        }
    }

    fn metric(&mut self, path: &str, metric: &v2::MetricSpec) -> Option<MetricSpec> {
        let (field, source, target) = match metric.type_.as_str() {
            "Resource" => metric.resource.as_ref().map(|it| {
                ("resource", MetricSource::Resource { name: it.name.clone() }, &it.target)
            }),
            "ContainerResource" => metric.container_resource.as_ref().map(|it| {
                let (name, container) = (it.name.clone(), it.container.clone());
                (
                    "containerResource",
                    MetricSource::ContainerResource { name, container },
                    &it.target,
                )
            }),
            "Pods" => metric.pods.as_ref().map(|it| {
                let metric = self.identifier(&format!("{path}.pods.metric"), &it.metric);
                ("pods", MetricSource::Pods(metric), &it.target)
            }),
            "Object" => metric.object.as_ref().map(|it| {
                let metric = self.identifier(&format!("{path}.object.metric"), &it.metric);
                let described = DescribedObject {
                    kind: it.described_object.kind.clone(),
                    name: it.described_object.name.clone(),
                };
                ("object", MetricSource::Object { described, metric }, &it.target)
            }),
            "External" => metric.external.as_ref().map(|it| {
                let metric = self.identifier(&format!("{path}.external.metric"), &it.metric);
                ("external", MetricSource::External(metric), &it.target)
            }),
            other => {
                const KNOWN: &str = "Resource, ContainerResource, Pods, Object, External";
                self.refuse(
                    &format!("{path}.type"),
                    format!("must be one of {KNOWN}, is `{other}`"),
                );
                // The controller counts it as a metric that cannot be had.
                let source = MetricSource::Unknown { kind: other.to_owned() };
                return Some(MetricSpec { source, target: MetricTarget::AverageValue(1) });
            }
        }
        .or_else(|| {
            let message = format!("is {}, but that part is missing", metric.type_);
            self.refuse(&format!("{path}.type"), message);
            None
        })?;
        let target = self.metric_target(&format!("{path}.{field}.target"), &source, target)?;
        Some(MetricSpec { source, target })
    }

    fn identifier(&mut self, path: &str, metric: &v2::MetricIdentifier) -> MetricIdentifier {
        let selector = metric.selector.as_ref();
        MetricIdentifier {
            name: metric.name.clone(),
            selector: selector.map(|it| self.label_selector(&format!("{path}.selector"), it)),
        }
    }

    /// The one target that the controller would take: it asks for an average before a total, and
    /// for a value before a share.
    fn metric_target(
        &mut self,
        path: &str,
        source: &MetricSource,
        target: &v2::MetricTarget,
    ) -> Option<MetricTarget> {
        let is_resource = matches!(
            source,
            MetricSource::Resource { .. } | MetricSource::ContainerResource { .. }
        );
        if let Some(utilization) = target.average_utilization.filter(|_| is_resource) {
            if target.average_value.is_some() {
                self.refuse(path, "must not set averageUtilization and averageValue both");
            }
            if utilization < 1 {
                let message = format!("must be greater than 0, is {utilization}");
                self.refuse(&format!("{path}.averageUtilization"), message);
            }
            return Some(MetricTarget::Utilization(utilization.max(1)));
        }
        let average = target.average_value.as_ref();
        if let Some(amount) = average {
            return self
                .amount(&format!("{path}.averageValue"), amount)
                .map(MetricTarget::AverageValue);
        }
        let takes_total = matches!(source, MetricSource::Object { .. } | MetricSource::External(_));
        match target.value.as_ref().filter(|_| takes_total) {
            Some(amount) => self.amount(&format!("{path}.value"), amount).map(MetricTarget::Value),
            None => {
                let wanted = match (is_resource, takes_total) {
                    (true, _) => "averageUtilization or averageValue",
                    (_, true) => "value or averageValue",
                    _ => "averageValue",
                };
                self.refuse(path, format!("must set {wanted}"));
                None
            }
        }
    }

    /// A positive amount in thousandths.
    fn amount(&mut self, path: &str, amount: &resource::Quantity) -> Option<i64> {
        match Quantity::parse(&amount.0) {
            Ok(parsed) if parsed.nanos() > 0 => Some(parsed.ceil_millis()),
            Ok(_) => {
                self.refuse(path, format!("must be positive, is {}", amount.0));
                None
            }
            Err(error) => {
                self.refuse(path, format!("`{}` {error}", amount.0));
                None
            }
        }
    }

    /// Rules of one direction: what is not stated stays as it is by default.
    fn rules(
        &mut self,
        path: &str,
        given: Option<&v2::HPAScalingRules>,
        mut rules: ScalingRules,
    ) -> ScalingRules {
        let Some(given) = given else { return rules };
        if let Some(seconds) = given.stabilization_window_seconds {
            let path = format!("{path}.stabilizationWindowSeconds");
            if seconds > WINDOW_SECONDS_MAX {
                self.refuse(&path, format!("must not exceed {WINDOW_SECONDS_MAX}, is {seconds}"));
            }
            rules.stabilization_window = Some(self.seconds(&path, i64::from(seconds)));
        }
        rules.select_policy = self.choice(
            &format!("{path}.selectPolicy"),
            given.select_policy.as_deref(),
            rules.select_policy,
            &[
                ("Max", SelectPolicy::Max),
                ("Min", SelectPolicy::Min),
                ("Disabled", SelectPolicy::Disabled),
            ],
        );
        if let Some(tolerance) = &given.tolerance {
            rules.tolerance = self.share(&format!("{path}.tolerance"), tolerance);
        }
        if let Some(policies) = &given.policies {
            if policies.is_empty() {
                self.refuse(&format!("{path}.policies"), "must not be empty");
            }
            let path = |idx: usize| format!("{path}.policies[{idx}]");
            let policies = policies.iter().enumerate();
            rules.policies = policies.map(|(idx, it)| self.policy(&path(idx), it)).collect();
        }
        rules
    }

    fn policy(&mut self, path: &str, policy: &v2::HPAScalingPolicy) -> ScalingPolicy {
        let kinds = [("Pods", false), ("Percent", true)];
        let is_percent = self.choice(&format!("{path}.type"), Some(&policy.type_), false, &kinds);
        if policy.value < 1 {
            let message = format!("must be greater than 0, is {}", policy.value);
            self.refuse(&format!("{path}.value"), message);
        }
        let seconds = policy.period_seconds;
        if !(1..=PERIOD_SECONDS_MAX).contains(&seconds) {
            let message = format!("must be 1 to {PERIOD_SECONDS_MAX}, is {seconds}");
            self.refuse(&format!("{path}.periodSeconds"), message);
        }
        let period = self.seconds(&format!("{path}.periodSeconds"), i64::from(seconds.max(1)));
        ScalingPolicy { is_percent, value: policy.value, period }
    }

    /// A share, as a float: exact to the nanos that a quantity keeps.
    fn share(&mut self, path: &str, given: &resource::Quantity) -> Option<f64> {
        match Quantity::parse(&given.0) {
            Ok(share) if share.nanos() >= 0 => Some(share.approximate()),
            Ok(_) => {
                self.refuse(path, format!("must not be negative, is {}", given.0));
                None
            }
            Err(error) => {
                self.refuse(path, format!("`{}` {error}", given.0));
                None
            }
        }
    }
}

fn cpu_utilization(percent: i32) -> MetricSpec {
    MetricSpec {
        source: MetricSource::Resource { name: ResourceList::CPU.to_owned() },
        target: MetricTarget::Utilization(percent),
    }
}
