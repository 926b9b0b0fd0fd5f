//! The horizontal pod autoscaler: one metric, the limits alone, or a whole reconcile.

use model_api::kube::{
    HorizontalPodAutoscaler, LabelSelector, MetricIdentifier, MetricSource, MetricSpec,
    MetricTarget, PodTemplate,
};
use model_api::{SimSpan, SimTime};
use model_kube::horizontal_pod_autoscaler::limits::normalize;
use model_kube::horizontal_pod_autoscaler::{
    ConditionStatus, Decision, History, Measurement, PodFacts, PodPhase, ReadyCondition,
    Recommendation, Requests, Sample, ScaleEvent, Selector, Settings, Target, reconcile,
    request_of,
};
use scenario_format::manifest::live;
use scenario_format::quantity::Quantity;

use crate::case::{Case, Judged};
use crate::object;
use crate::tree::Tree;

/// Why a metric cannot be had that nobody serves.
const NOTHING: &str = "no metrics returned";
/// Window of custom metrics that state none.
const CUSTOM_WINDOW: SimSpan = SimSpan::from_mins(1);

pub(crate) fn check(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let read = given.at("horizontalPodAutoscaler");
    let autoscaler = object::read(read, &mut case.diagnostics, live::autoscaler);
    let autoscaler = autoscaler.ok_or("the autoscaler cannot be read")?;
    let now = given.at("now").time().ok_or("it does not say when it is")?;
    let current = given.at("currentReplicas").int().ok_or("it does not say how many there are")?;
    let current = i32::try_from(current).map_err(|_| "there are too many".to_owned())?;
    let settings = Settings::default();
    let mut history = history(given, now);
    if let Some(proposal) = given.at("metricRecommendation").int() {
        let proposal = i32::try_from(proposal).unwrap_or(i32::MAX);
        history.seed(current, now);
        let limited = normalize(&autoscaler, &settings, &mut history, current, proposal, now);
        case.compare_if_given("desiredReplicas", Tree::int32, limited.replicas);
        case.compare_if_given("scalingLimitedReason", Tree::text, limited.limited_reason);
        case.compare_if_given("ableToScaleReason", Tree::text, limited.able_reason);
        return Ok(());
    }
    let scene = Scene::of(case, &autoscaler);
    let gathered: Vec<Gathered> = autoscaler.metrics.iter().map(|it| scene.gather(it)).collect();
    let measurements: Vec<Measurement<'_>> = gathered.iter().map(Gathered::measurement).collect();
    let status = given.at("statusReplicas");
    let target = Target {
        spec_replicas: current,
        status_replicas: if status.is_given() { status.int32() } else { current },
        selector: scene.selector_state,
        pods: &scene.facts,
        was_scaled_to_zero: false,
    };
    let decision = reconcile(&autoscaler, &settings, &target, &measurements, &mut history, now);
    compare(case, &decision);
    Ok(())
}

fn compare(case: &mut Case<'_>, decision: &Decision) {
    let first = decision.metrics.first();
    let proposal = first.and_then(|it| it.as_ref().ok()).copied().unwrap_or_default();
    let millis = |tree: Tree<'_>| quantity_millis(tree);
    let shown = |tree: Tree<'_>| tree.int().and_then(|value| i32::try_from(value).ok());
    case.compare_if_given("metricRecommendation", shown, decision.proposal);
    case.compare_if_given("currentAverageUtilization", shown, proposal.average_utilization);
    case.compare_if_given("currentAverageValue", millis, proposal.average_value);
    case.compare_if_given("currentValue", millis, proposal.value);
    let has_failed = decision.metrics.iter().any(Result::is_err);
    case.compare_if_given("error", Tree::is_true, has_failed);
    case.compare_if_given("desiredReplicas", Tree::int32, decision.desired);
    let reason = |condition: Option<_>| {
        condition.map(|it: model_kube::horizontal_pod_autoscaler::Condition| it.reason)
    };
    let some = |tree: Tree<'_>| Some(tree.text().to_owned());
    let owned = |reason: Option<&'static str>| reason.map(str::to_owned);
    case.compare_if_given("scalingLimitedReason", some, owned(reason(decision.scaling_limited)));
    case.compare_if_given("scalingActiveReason", some, owned(reason(decision.scaling_active)));
    case.compare_if_given("ableToScaleReason", Tree::text, decision.able_to_scale.reason);
}

fn quantity_millis(tree: Tree<'_>) -> Option<i64> {
    Quantity::parse(tree.text()).ok().map(Quantity::ceil_millis)
}

/// What is remembered: nothing at all when the list is null.
fn history(given: Tree<'_>, now: SimTime) -> History {
    let list = given.at("recommendationHistory");
    if !list.is_list() {
        return History::default();
    }
    let at =
        |it: Tree<'_>| now.saturating_sub(it.at("secondsAgo").duration().unwrap_or(SimSpan::ZERO));
    let recommended: Vec<Recommendation> = list
        .items()
        .map(|it| Recommendation { replicas: it.at("replicas").int32(), at: at(it) })
        .collect();
    let events = |name: &str| -> Vec<ScaleEvent> {
        let items = given.at(name).items();
        items.map(|it| ScaleEvent { change: it.at("replicas").int32(), at: at(it) }).collect()
    };
    History::with(&recommended, &events("scaleUpEvents"), &events("scaleDownEvents"))
}

/// Pods of the target and all metrics.
struct Scene<'a> {
    given: Tree<'a>,
    namespace: String,
    names: Vec<&'a str>,
    templates: Vec<PodTemplate>,
    facts: Vec<PodFacts>,
    selector: Option<LabelSelector>,
    selector_state: Selector,
}

/// What a metric found, owned.
enum Gathered {
    Unavailable(String),
    OfPods { samples: Vec<Option<Sample>>, stray: Vec<i64>, requests: Result<Vec<i64>, String> },
    Values(Vec<i64>),
}

impl Gathered {
    fn measurement(&self) -> Measurement<'_> {
        match self {
            Self::Unavailable(why) => Measurement::Unavailable(why),
            Self::Values(values) => Measurement::Values(values),
            Self::OfPods { samples, stray, requests } => Measurement::OfPods {
                samples,
                stray,
                requests: match requests {
                    Ok(requests) => Requests::Each(requests),
                    Err(what) => Requests::Missing(what),
                },
            },
        }
    }
}

impl<'a> Scene<'a> {
    fn of(case: &mut Case<'a>, autoscaler: &HorizontalPodAutoscaler) -> Self {
        let given = case.given;
        let written = given.at("scaleTarget.spec.selector");
        let selector = object::selector(written);
        let selector_state = match &selector {
            Some(_) => Selector::Good,
            None if written.is_given() => Selector::Invalid,
            None => Selector::Missing,
        };
        let mut scene = Self {
            given,
            namespace: autoscaler.namespace.clone(),
            names: Vec::new(),
            templates: Vec::new(),
            facts: Vec::new(),
            selector,
            selector_state,
        };
        for pod in given.at("pods").items().filter(|pod| scene.selects(*pod)).collect::<Vec<_>>() {
            scene.names.push(pod.at("metadata.name").text());
            scene.templates.push(object::pod(pod, &mut case.diagnostics));
            scene.facts.push(facts(pod));
        }
        scene
    }

    fn selects(&self, object: Tree<'_>) -> bool {
        let labels = object::labels(object.at("metadata.labels"));
        object.at("metadata.namespace").text() == self.namespace
            && self.selector.as_ref().is_some_and(|it| it.matches(&labels))
    }

    fn gather(&self, metric: &MetricSpec) -> Gathered {
        match &metric.source {
            MetricSource::Resource { name } => self.resource(name, None, metric.target),
            MetricSource::ContainerResource { name, container } => {
                self.resource(name, Some(container), metric.target)
            }
            MetricSource::Pods(metric) => {
                let entries: Vec<Tree<'a>> = self
                    .custom(metric)
                    .filter(|it| it.at("describedObject.kind").text() == "Pod")
                    .collect();
                if entries.is_empty() {
                    return Gathered::Unavailable(NOTHING.to_owned());
                }
                let samples = entries.iter().map(|it| {
                    let sample = sample(*it, quantity_millis(it.at("value")));
                    (it.at("describedObject.name").text(), sample)
                });
                self.of_pods(samples.collect(), Ok(vec![0; self.facts.len()]))
            }
            MetricSource::Object { described, metric } => {
                let mut values = self.custom(metric).filter(|it| {
                    it.at("describedObject.kind").text() == described.kind
                        && it.at("describedObject.name").text() == described.name
                });
                match values.next().and_then(|it| quantity_millis(it.at("value"))) {
                    Some(value) => Gathered::Values(vec![value]),
                    None => Gathered::Unavailable(NOTHING.to_owned()),
                }
            }
            MetricSource::Unknown { kind } => Gathered::Unavailable(kind.clone()),
            MetricSource::External(metric) => {
                let entries = self.given.at("externalMetrics").items();
                let entries = entries.filter(|it| is_series(*it, metric));
                let values: Vec<i64> =
                    entries.filter_map(|it| quantity_millis(it.at("value"))).collect();
                if values.is_empty() {
                    return Gathered::Unavailable(NOTHING.to_owned());
                }
                Gathered::Values(values)
            }
        }
    }

    fn custom(&self, metric: &MetricIdentifier) -> impl Iterator<Item = Tree<'a>> {
        let entries = self.given.at("customMetrics").items();
        entries.filter(move |it| is_series(*it, metric))
    }

    /// A pod has a sample when all its containers have one; with a container, when that one has.
    fn resource(&self, name: &str, container: Option<&str>, target: MetricTarget) -> Gathered {
        let mut found = Vec::new();
        for metrics in self.given.at("podMetrics").items().filter(|it| self.selects(*it)) {
            let amount = |it: Tree<'_>| quantity_millis(it.at("usage").field(name));
            let mut containers = metrics.at("containers").items();
            let value = match container {
                None if containers.len() == 0 => None,
                None => containers.map(amount).sum::<Option<i64>>(),
                // A pod whose metrics lack the container only lacks a sample (metrics/client.go).
                Some(wanted) => {
                    containers.find(|it| it.at("name").text() == wanted).and_then(amount)
                }
            };
            found.push((metrics.at("metadata.name").text(), sample(metrics, value)));
        }
        if self.given.at("podMetrics").items().len() == 0 {
            return Gathered::Unavailable(NOTHING.to_owned());
        }
        let requests = match target {
            MetricTarget::Utilization(_) => {
                let each = self.templates.iter().map(|it| request_of(&it.spec, name, container));
                each.collect()
            }
            _ => Ok(vec![0; self.facts.len()]),
        };
        self.of_pods(found, requests)
    }

    fn of_pods(
        &self,
        found: Vec<(&str, Option<Sample>)>,
        requests: Result<Vec<i64>, String>,
    ) -> Gathered {
        let of = |name: &&str| {
            found.iter().find(|(found, _)| found == name).and_then(|(_, sample)| *sample)
        };
        let samples = self.names.iter().map(of).collect();
        let stray = found.iter().filter(|(name, _)| !self.names.contains(name));
        let stray = stray.filter_map(|(_, sample)| sample.map(|it| it.value)).collect();
        Gathered::OfPods { samples, stray, requests }
    }
}

fn is_series(entry: Tree<'_>, metric: &MetricIdentifier) -> bool {
    let labels = object::labels(entry.at("metricLabels"));
    entry.at("metricName").text() == metric.name
        && metric.selector.as_ref().is_none_or(|it| it.is_empty() || it.matches(&labels))
}

fn sample(metrics: Tree<'_>, value: Option<i64>) -> Option<Sample> {
    let window = metrics.at("window").duration();
    let window = window.or_else(|| metrics.at("windowSeconds").duration());
    Some(Sample {
        value: value?,
        at: metrics.at("timestamp").time().unwrap_or(SimTime::ZERO),
        window: window.unwrap_or(CUSTOM_WINDOW),
    })
}

fn facts(pod: Tree<'_>) -> PodFacts {
    let ready = object::condition(pod, "Ready").map(|it| ReadyCondition {
        status: match it.at("status").text() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        },
        since: it.at("lastTransitionTime").time().unwrap_or(SimTime::ZERO),
    });
    PodFacts {
        is_deleted: object::is_terminating(pod),
        phase: match pod.at("status.phase").text() {
            "Pending" => PodPhase::Pending,
            "Running" => PodPhase::Running,
            "Succeeded" => PodPhase::Succeeded,
            "Failed" => PodPhase::Failed,
            _ => PodPhase::Unknown,
        },
        ready,
        started_at: pod.at("status.startTime").time(),
    }
}
