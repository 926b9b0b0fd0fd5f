//! How many replicas a HorizontalPodAutoscaler wants: each metric, then windows, rates and limits.

use model_api::blueprint::Blueprint;
use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, ResourceList, ScalingRules,
    SelectPolicy, Workload,
};
use model_api::{SimSpan, SimTime};
use model_kube::horizontal_pod_autoscaler::limits::{
    UP_FACTOR, UP_MINIMUM, default_up_limit, normalize, policy_limits,
};
use model_kube::horizontal_pod_autoscaler::{
    ConditionStatus, Decision, History, Measurement, MetricError, PodFacts, PodPhase, Proposal,
    ReadyCondition, Recommendation, Requests, Sample, ScaleEvent, Selector, Settings, Target,
    Tolerances, reconcile, request_of,
};
use report_data::{DecisionKind, DecisionReport, Program};
use scenario_format::nearest::suggestion;

use crate::amount;
use crate::draft::{Draft, row};
use crate::refusal::{Refusal, one_of};
use crate::typed::Past;

/// The moment that is asked about: late enough for everything to have a past.
const NOW: SimTime = SimTime::from_days(365);

/// Which autoscaler, and what it sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HpaQuestion {
    /// Its name; the only one when there is none.
    pub name: Option<String>,
    /// Replicas there are; those of the target's manifest when there are none.
    pub current: Option<i32>,
    /// Pods that are ready and measured; those that are neither missing just started. All when there
    /// is none.
    pub ready: Option<u32>,
    /// Ready pods without a sample, of those.
    pub missing: u32,
    /// What is measured.
    pub readings: Vec<MetricReading>,
    /// Earlier recommendations: how many replicas, how long ago.
    pub recommended: Vec<Past>,
    /// Earlier changes: by how many, how long ago.
    pub changed: Vec<Past>,
}

/// What a metric shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricReading {
    /// `cpu`, `memory`, or the name of another metric; `CONTAINER/cpu` is that of one container only.
    pub metric: String,
    /// Its value.
    pub reading: Reading,
}

/// A value of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Percent: of the request where the target is a utilization, else of the target.
    Percent(u32),
    /// Thousandths: of each pod, or of all together, as the target is.
    Thousandths(i64),
}

/// Explains how many replicas an autoscaler wants.
///
/// # Errors
/// When there is no such autoscaler, target or metric.
pub fn hpa(
    blueprint: &Blueprint,
    program: &Program,
    question: &HpaQuestion,
) -> Result<DecisionReport, Refusal> {
    let names = blueprint.autoscalers.iter().map(|it| format!("{}/{}", it.namespace, it.name));
    let names: Vec<String> = names.collect();
    let idx = one_of("HorizontalPodAutoscaler", question.name.as_deref(), &names)?;
    let autoscaler = &blueprint.autoscalers[idx];
    let workload = target_of(blueprint, autoscaler)?;
    check_readings(autoscaler, question)?;
    let current =
        question.current.unwrap_or_else(|| i32::try_from(workload.replicas).unwrap_or(i32::MAX));
    let scene = Scene::new(workload, question, current)?;
    let gathered: Vec<Gathered> =
        autoscaler.metrics.iter().map(|metric| scene.gather(metric, question)).collect();
    let measurements: Vec<Measurement<'_>> = gathered.iter().map(Gathered::measurement).collect();
    let settings = Settings::default();
    let history = history(question);
    let target = Target {
        spec_replicas: current,
        status_replicas: current,
        selector: Selector::Good,
        pods: &scene.facts,
        was_scaled_to_zero: false,
    };
    let decision =
        reconcile(autoscaler, &settings, &target, &measurements, &mut history.clone(), NOW);
    let mut draft = Draft::new(blueprint, program, DecisionKind::Hpa, names[idx].clone());
    let origin = &autoscaler.origin;
    let text = format!("{} {}, {current} replicas", workload.kind.name(), workload.name);
    draft.step_at("target", text, origin, "spec.scaleTargetRef");
    draft.step("pods", scene.text());
    for reading in &question.readings {
        if let Some(text) = bare_number(workload, reading) {
            draft.step("warning", text);
        }
    }
    let mut told = Told { draft: &mut draft, autoscaler, settings: &settings, current };
    for (idx, proposed) in decision.metrics.iter().enumerate() {
        told.metric(idx, proposed, workload);
    }
    told.limits(&decision, &history);
    told.answer(&decision);
    if question.recommended.is_empty() && question.changed.is_empty() {
        draft.note(
            "nothing is known of the last minutes: no earlier recommendation (--recommended) and no earlier change (--changed) holds it back",
        );
    }
    Ok(draft.finish())
}

fn target_of<'a>(
    blueprint: &'a Blueprint,
    autoscaler: &HorizontalPodAutoscaler,
) -> Result<&'a Workload, Refusal> {
    let target = &autoscaler.target;
    let is_it = |workload: &&Workload| {
        workload.namespace == autoscaler.namespace
            && workload.name == target.name
            && workload.kind.name() == target.kind
    };
    blueprint.workloads.iter().find(is_it).ok_or_else(|| {
        let names: Vec<String> =
            blueprint.workloads.iter().map(|it| format!("{}/{}", it.namespace, it.name)).collect();
        let wanted = format!("{}/{}", autoscaler.namespace, target.name);
        Refusal {
            message: format!("its target {} {wanted} is not in the input", target.kind),
            help: suggestion(&wanted, names.iter().map(String::as_str)),
        }
    })
}

/// The name by which a reading means a metric.
fn metric_name(metric: &MetricSpec) -> &str {
    match &metric.source {
        MetricSource::Resource { name } | MetricSource::ContainerResource { name, .. } => name,
        MetricSource::Pods(metric)
        | MetricSource::Object { metric, .. }
        | MetricSource::External(metric) => &metric.name,
        MetricSource::Unknown { kind } => kind,
    }
}

/// The same with the container before it, which tells metrics of two containers apart.
fn container_metric(metric: &MetricSpec) -> Option<String> {
    match &metric.source {
        MetricSource::ContainerResource { name, container } => Some(format!("{container}/{name}")),
        _ => None,
    }
}

/// The reading that is meant for a metric: that of its container before that of all.
fn reading_of<'a>(metric: &MetricSpec, question: &'a HpaQuestion) -> Option<&'a MetricReading> {
    let named = |name: &str| question.readings.iter().rev().find(|it| it.metric == name);
    let of_container = container_metric(metric).and_then(|name| named(&name));
    of_container.or_else(|| named(metric_name(metric)))
}

fn check_readings(
    autoscaler: &HorizontalPodAutoscaler,
    question: &HpaQuestion,
) -> Result<(), Refusal> {
    let of_containers: Vec<String> =
        autoscaler.metrics.iter().filter_map(container_metric).collect();
    let names = autoscaler.metrics.iter().map(metric_name);
    let names: Vec<&str> = names.chain(of_containers.iter().map(String::as_str)).collect();
    for reading in &question.readings {
        if !names.contains(&reading.metric.as_str()) {
            return Err(Refusal {
                message: format!("it has no metric `{}`", reading.metric),
                help: suggestion(&reading.metric, names.iter().copied()),
            });
        }
    }
    Ok(())
}

/// A whole number of cores that is far above what a pod requests, or of bytes that no pod is so small
/// to use, was most likely meant as percent.
fn bare_number(workload: &Workload, reading: &MetricReading) -> Option<String> {
    let Reading::Thousandths(value) = reading.reading else { return None };
    let number = value / 1000;
    let (container, name) = match reading.metric.split_once('/') {
        Some((container, name)) => (Some(container), name),
        None => (None, reading.metric.as_str()),
    };
    let request = || request_of(&workload.template.spec, name, container).ok();
    let unit = match name {
        ResourceList::CPU => (value > request()?.saturating_mul(10)).then_some("cores")?,
        ResourceList::MEMORY => (number < 1 << 20).then_some("bytes")?,
        _ => return None,
    };
    let is_whole = value > 0 && value % 1000 == 0;
    is_whole.then(|| {
        format!("{name} {number} means {number} {unit} for each pod; if it is percent of the request, write {number}%")
    })
}

fn history(question: &HpaQuestion) -> History {
    let before = |past: &Past| NOW.saturating_sub(past.ago);
    let recommended = question.recommended.iter();
    let recommended: Vec<Recommendation> =
        recommended.map(|it| Recommendation { replicas: it.count, at: before(it) }).collect();
    let events = |is_up: bool| -> Vec<ScaleEvent> {
        let changed = question.changed.iter().filter(|it| (it.count > 0) == is_up);
        changed.map(|it| ScaleEvent { change: it.count.saturating_abs(), at: before(it) }).collect()
    };
    History::with(&recommended, &events(true), &events(false))
}

/// The pods of the target as the controller sees them.
struct Scene<'a> {
    workload: &'a Workload,
    facts: Vec<PodFacts>,
    /// Ready pods with samples come first.
    measured: usize,
    unready: usize,
    missing: usize,
}

/// What a metric found, owned.
enum Gathered {
    Unavailable(String),
    OfPods { samples: Vec<Option<Sample>>, requests: Result<Vec<i64>, String> },
    Value(Vec<i64>),
}

impl Gathered {
    fn measurement(&self) -> Measurement<'_> {
        match self {
            Self::Unavailable(why) => Measurement::Unavailable(why),
            Self::Value(values) => Measurement::Values(values),
            Self::OfPods { samples, requests } => Measurement::OfPods {
                samples,
                stray: &[],
                requests: match requests {
                    Ok(requests) => Requests::Each(requests),
                    Err(what) => Requests::Missing(what),
                },
            },
        }
    }
}

impl<'a> Scene<'a> {
    fn new(workload: &'a Workload, question: &HpaQuestion, current: i32) -> Result<Self, Refusal> {
        const PODS_MAX: usize = 1_000_000;
        let all = usize::try_from(current).unwrap_or(0);
        let missing = question.missing as usize;
        let ready = question.ready.map_or(all.saturating_sub(missing), |ready| ready as usize);
        if all > PODS_MAX {
            return Err(Refusal::new(format!("{current} replicas are more than can be looked at")));
        }
        let Some(unready) = all.checked_sub(ready + missing) else {
            return Err(Refusal::new(format!(
                "{ready} ready pods and {missing} without a sample are more than the {all} there are"
            )));
        };
        let pod = |status, since: SimSpan, age: SimSpan| PodFacts {
            is_deleted: false,
            phase: PodPhase::Running,
            ready: Some(ReadyCondition { status, since: NOW - since }),
            started_at: Some(NOW - age),
        };
        let hour = SimSpan::from_hours(1);
        let settled = pod(ConditionStatus::True, hour, hour);
        let starting = pod(ConditionStatus::False, SimSpan::from_secs(20), SimSpan::from_secs(20));
        let mut facts = vec![settled; ready];
        facts.extend(std::iter::repeat_n(settled, missing));
        facts.extend(std::iter::repeat_n(starting, unready));
        Ok(Self { workload, facts, measured: ready, unready, missing })
    }

    fn text(&self) -> String {
        let mut text = format!("{} ready and measured", self.measured);
        if self.missing > 0 {
            text.push_str(&format!(", {} ready without a sample", self.missing));
        }
        if self.unready > 0 {
            text.push_str(&format!(", {} just started and not ready", self.unready));
        }
        text
    }

    fn gather(&self, metric: &MetricSpec, question: &HpaQuestion) -> Gathered {
        let name = metric_name(metric);
        let Some(reading) = reading_of(metric, question) else {
            let flag = container_metric(metric).unwrap_or_else(|| name.to_owned());
            return Gathered::Unavailable(format!("no value was given (--metric {flag}=VALUE)"));
        };
        let of_target = |target: i64| match reading.reading {
            Reading::Percent(percent) => target.saturating_mul(percent.into()) / 100,
            Reading::Thousandths(value) => value,
        };
        let (resource, container) = match &metric.source {
            MetricSource::Resource { name } => (Some(name), None),
            MetricSource::ContainerResource { name, container } => {
                (Some(name), Some(container.as_str()))
            }
            _ => (None, None),
        };
        let is_of_pods = resource.is_some() || matches!(metric.source, MetricSource::Pods(_));
        match metric.target {
            MetricTarget::Utilization(_) => {
                let resource = resource.map_or("", String::as_str);
                let request = request_of(&self.workload.template.spec, resource, container);
                self.utilization(reading.reading, request)
            }
            MetricTarget::AverageValue(target) if is_of_pods => {
                self.of_pods(|_| of_target(target), Ok(vec![0; self.facts.len()]))
            }
            MetricTarget::AverageValue(target) => {
                let count = i64::try_from(self.facts.len()).unwrap_or(i64::MAX);
                Gathered::Value(vec![match reading.reading {
                    Reading::Percent(_) => of_target(target).saturating_mul(count),
                    Reading::Thousandths(value) => value,
                }])
            }
            MetricTarget::Value(target) => Gathered::Value(vec![of_target(target)]),
        }
    }

    /// Percent of all requests together come out exactly, whatever one pod requests.
    fn utilization(&self, reading: Reading, request: Result<i64, String>) -> Gathered {
        let each = *request.as_ref().unwrap_or(&0);
        let count = self.measured as i64;
        let sum = |percent: u32| {
            let hundredfold = each.saturating_mul(count).saturating_mul(percent.into());
            hundredfold / 100 + i64::from(hundredfold % 100 > 0)
        };
        let used = |idx: usize| match reading {
            Reading::Thousandths(value) => value,
            Reading::Percent(percent) => {
                let sum = sum(percent);
                let until = |idx: i64| sum.saturating_mul(idx) / count.max(1);
                until(idx as i64 + 1) - until(idx as i64)
            }
        };
        self.of_pods(used, request.map(|request| vec![request; self.facts.len()]))
    }

    fn of_pods(&self, used: impl Fn(usize) -> i64, requests: Result<Vec<i64>, String>) -> Gathered {
        let window = SimSpan::from_secs(30);
        let sample = |idx: usize| {
            // Unready pods have samples too; they do not count for them.
            let is_missing = (self.measured..self.measured + self.missing).contains(&idx);
            (!is_missing).then(|| Sample { value: used(idx), at: NOW, window })
        };
        Gathered::OfPods { samples: (0..self.facts.len()).map(sample).collect(), requests }
    }
}

/// What is said of one autoscaler.
struct Told<'a, 'b> {
    draft: &'a mut Draft<'b>,
    autoscaler: &'a HorizontalPodAutoscaler,
    settings: &'a Settings,
    current: i32,
}

impl Told<'_, '_> {
    fn metric(
        &mut self,
        idx: usize,
        proposed: &Result<Proposal, MetricError>,
        workload: &Workload,
    ) {
        let metric = &self.autoscaler.metrics[idx];
        let name = metric_name(metric);
        let origin = &self.autoscaler.origin;
        let field = format!("spec.metrics[{idx}]");
        let target = match metric.target {
            MetricTarget::Utilization(percent) => format!("{percent} % of the request"),
            MetricTarget::AverageValue(value) => format!("{} a pod", amount::thousandths(value)),
            MetricTarget::Value(value) => amount::thousandths(value),
        };
        let proposal = match proposed {
            Ok(proposal) => proposal,
            Err(error) => {
                let text = format!("target {target}; proposes nothing: {error}");
                self.draft.step_at(format!("metric {name}"), text, origin, &field);
                if let MetricError::NoRequest(_) = error {
                    let only = workload.only_container(|_| true);
                    let path = workload.container_path(only, "resources");
                    let text = "every container must request what is measured";
                    self.draft.step_at("request", text, &workload.origin, &path);
                }
                return;
            }
        };
        let measured = measured(metric.target, proposal, self.current);
        let tolerances = Tolerances::of(self.autoscaler, self.settings);
        let (first, ratio) = (proposal.ratio, proposal.used_ratio);
        let recounted = if ratio == first {
            String::new()
        } else {
            format!(
                " becomes {ratio:.3} with the pods that are not ready or have no sample counted {}",
                if first > 1.0 { "as idle" } else { "as using what they request" }
            )
        };
        let text = format!(
            "target {target}, measured {measured}: ratio {first:.3}{recounted}, {} the tolerance of {}; proposes {}",
            if tolerances.hold(ratio) { "within" } else { "outside" },
            if ratio > 1.0 { tolerances.up } else { tolerances.down },
            proposal.replicas,
        );
        self.draft.step_at(format!("metric {name}"), text, origin, &field);
        let cells = row([
            ("metric", name.into()),
            ("target", target.into()),
            ("measured", measured.into()),
            ("proposal", proposal.replicas.into()),
        ]);
        self.draft.figure(&format!("proposal.{name}"), proposal.replicas);
        let columns = [
            ("metric", "metric"),
            ("target", "target"),
            ("measured", "measured"),
            ("proposal", "proposes"),
        ];
        if self.autoscaler.metrics.len() > 1 {
            self.draft.table(
                &format!("metric.{name}"),
                format!("metric {name}"),
                &columns,
                vec![cells],
            );
        }
    }

    /// Windows, rates, least and most.
    fn limits(&mut self, decision: &Decision, history: &History) {
        let origin = &self.autoscaler.origin;
        let Some(proposal) = decision.proposal else { return };
        let (current, settings) = (self.current, self.settings);
        if self.autoscaler.metrics.len() > 1 {
            self.draft.step("highest", format!("of all metrics {proposal} is the highest"));
        }
        let normalized =
            normalize(self.autoscaler, settings, &mut history.clone(), current, proposal, NOW);
        let window = match &self.autoscaler.behavior {
            None => format!(
                "no behavior: the highest recommendation of the last {}",
                amount::span(settings.downscale_stabilization)
            ),
            Some(behavior) => format!(
                "up the lowest of {}, down the highest of {}",
                amount::span(behavior.scale_up.stabilization_window.unwrap_or(SimSpan::ZERO)),
                amount::span(
                    behavior
                        .scale_down
                        .stabilization_window
                        .unwrap_or(settings.downscale_stabilization)
                ),
            ),
        };
        let text = format!("{window}: {}", normalized.stabilized);
        if self.autoscaler.behavior.is_some() {
            self.draft.step_at("stabilization", text, origin, "spec.behavior");
        } else {
            self.draft.step("stabilization", text);
        }
        self.draft.figure("stabilized", normalized.stabilized);
        match &self.autoscaler.behavior {
            None => {
                let most = default_up_limit(current);
                self.draft.step(
                    "rate",
                    format!(
                        "no behavior: at most {UP_FACTOR} times {current}, or {UP_MINIMUM}: {most}"
                    ),
                );
            }
            Some(behavior) if normalized.stabilized > current => {
                self.rate("scaleUp", &behavior.scale_up, true, history);
            }
            Some(behavior) if normalized.stabilized < current => {
                self.rate("scaleDown", &behavior.scale_down, false, history);
            }
            Some(_) => {}
        }
        let (least, most) = (self.autoscaler.min_replicas, self.autoscaler.max_replicas);
        self.draft.setting("least", least.to_string(), origin, "spec.minReplicas");
        self.draft.step_at("most", most.to_string(), origin, "spec.maxReplicas");
        let text = match normalized.limited_reason {
            "DesiredWithinRange" => format!("{}: nothing limits it", normalized.replicas),
            reason => format!("{}: limited ({reason})", normalized.replicas),
        };
        self.draft.step("desired", text);
    }

    fn rate(&mut self, direction: &str, rules: &ScalingRules, is_up: bool, history: &History) {
        let limits = policy_limits(rules, is_up, history, self.current, NOW);
        let each: Vec<String> = rules
            .policies
            .iter()
            .zip(&limits)
            .map(|(policy, limit)| {
                let unit = if policy.is_percent { "%" } else { " pods" };
                format!("{}{unit} in {}: to {limit}", policy.value, amount::span(policy.period))
            })
            .collect();
        let select = match rules.select_policy {
            SelectPolicy::Max => "the largest change counts",
            SelectPolicy::Min => "the smallest change counts",
            SelectPolicy::Disabled => "disabled: no change",
        };
        let text = format!("{}; {select}", each.join(", "));
        let field = format!("spec.behavior.{direction}.policies");
        self.draft.setting("rate", text, &self.autoscaler.origin, &field);
    }

    fn answer(&mut self, decision: &Decision) {
        let (current, desired) = (self.current, decision.desired);
        let why = match (&decision.proposal, decision.scaling_active) {
            (_, Some(condition)) if !condition.is_true => {
                format!(" (ScalingActive is False: {})", condition.reason)
            }
            (Some(proposal), _) if *proposal != desired => {
                let limited = decision.scaling_limited.map_or("", |it| it.reason);
                let able = decision.able_to_scale.reason;
                let reason = if limited == "DesiredWithinRange" { able } else { limited };
                format!(", though the metrics propose {proposal} ({reason})")
            }
            _ => String::new(),
        };
        self.draft.answer(match desired.cmp(&current) {
            std::cmp::Ordering::Equal => format!("it stays at {current}{why}"),
            std::cmp::Ordering::Greater => format!("it grows from {current} to {desired}{why}"),
            std::cmp::Ordering::Less => format!("it shrinks from {current} to {desired}{why}"),
        });
        self.draft.figure("current", current);
        self.draft.figure("desired", desired);
        if let Some(proposal) = decision.proposal {
            self.draft.figure("proposal", proposal);
        }
    }
}

/// What goes to the status.
fn measured(target: MetricTarget, proposal: &Proposal, current: i32) -> String {
    match target {
        MetricTarget::Utilization(_) => {
            format!("{} %", proposal.average_utilization.unwrap_or_default())
        }
        MetricTarget::AverageValue(_) => {
            let value = proposal.average_value.unwrap_or_default();
            format!("{} a pod of {current}", amount::thousandths(value))
        }
        MetricTarget::Value(_) => amount::thousandths(proposal.value.unwrap_or_default()),
    }
}
