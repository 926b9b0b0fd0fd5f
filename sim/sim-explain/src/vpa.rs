//! What a VerticalPodAutoscaler recommends, from samples of usage.

use std::collections::{BTreeMap, BTreeSet};

use model_api::blueprint::Blueprint;
use model_api::kube::{Container, VerticalPodAutoscaler, Workload};
use model_kube::vertical_pod_autoscaler::{
    Aggregate, Aggregation, ContainerPolicy, ContainerRecommendation, ContainerUsage, OomKill,
    Resources, Settings, Timestamp, UsageSegment, pod_minimum, recommend, replay,
};
use report_data::{DecisionKind, DecisionReport, Program};
use scenario_format::decode::Decode as _;
use scenario_format::document::{ContainerSamplesSpec, OomKillSpec};
use scenario_format::files::Files;
use scenario_format::source::Span;
use scenario_format::{Code, Diagnostic, Sources, read_trees};

use crate::amount;
use crate::draft::{Draft, row};
use crate::placed::{title, workload_names};
use crate::refusal::{Refusal, one_of};

/// When samples begin; decay counts from midnights, so any midnight is as good.
const START: Timestamp = Timestamp::from_unix(1_767_225_600, 0);

/// Which workload, and how it was used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VpaQuestion {
    /// The workload; the only one when there is none.
    pub name: Option<String>,
    /// Usage by container; the name is empty when it holds for every container.
    pub samples: Samples,
}

/// Usage of containers.
pub type Samples = BTreeMap<String, (Vec<UsageSegment>, Vec<OomKill>)>;

/// Explains what would be recommended.
///
/// # Errors
/// When there is no such workload or container, or nothing was sampled.
pub fn vpa(
    blueprint: &Blueprint,
    program: &Program,
    question: &VpaQuestion,
) -> Result<DecisionReport, Refusal> {
    let names = workload_names(blueprint);
    let idx = one_of("workload", question.name.as_deref(), &names)?;
    let workload = &blueprint.workloads[idx];
    let containers = &workload.template.spec.containers;
    let container_names: Vec<String> = containers.iter().map(|it| it.name.clone()).collect();
    for name in question.samples.keys().filter(|name| !name.is_empty()) {
        one_of("container", Some(name), &container_names)?;
    }
    let aggregation = Aggregation::default();
    let mut aggregates: BTreeMap<String, Aggregate> = BTreeMap::new();
    let mut sampled: BTreeSet<&String> = BTreeSet::new();
    for name in &container_names {
        let mut aggregate = Aggregate::new(&aggregation);
        let samples = question.samples.get(name).or_else(|| question.samples.get(""));
        if let Some((segments, kills)) = samples
            && !(segments.is_empty() && kills.is_empty())
        {
            let mut usage = ContainerUsage::default();
            replay(&mut aggregate, &mut usage, segments, kills, START, &aggregation);
            sampled.insert(name);
        }
        aggregates.insert(name.clone(), aggregate);
    }
    let settings = Settings::default();
    // Those without samples share the minimum of the pod, but nothing is known of them to be told.
    if sampled.is_empty() {
        return Err(Refusal::new("there is no sample of any container")
            .help("give --usage cpu=100m,memory=200Mi or --samples FILE"));
    }
    let mut draft = Draft::new(blueprint, program, DecisionKind::Vpa, title(workload));
    let is_its = |it: &&VerticalPodAutoscaler| {
        blueprint.vertical_target(it).is_some_and(|target| target.index() == idx)
    };
    let autoscalers: Vec<&VerticalPodAutoscaler> =
        blueprint.vertical_autoscalers.iter().filter(is_its).collect();
    let autoscaler = autoscalers.first().copied();
    let policies = autoscaler.map_or_else(Vec::new, ContainerPolicy::all_of);
    let mut got = recommend(&aggregates, &policies, &settings);
    got.retain(|it| sampled.contains(&it.container_name));
    // Containers that a policy switches off take no share of the minimum of the pod.
    let sharing = recommend(&aggregates, &policies, &settings).len();
    for name in sampled {
        let aggregate = &aggregates[name];
        let confidence = aggregate.confidence(settings.cpu_confidence_interval);
        let text = format!(
            "CPU p50 {}, p90 {}, p95 {}; memory peaks p90 {}; confidence {confidence:.2} days",
            cores(aggregate.cpu().percentile(0.5)),
            cores(aggregate.cpu().percentile(0.9)),
            cores(aggregate.cpu().percentile(0.95)),
            amount::bytes(aggregate.memory_peaks().percentile(0.9) as i64),
        );
        draft.step(format!("samples of {name}"), text);
    }
    let (cpu, memory) = pod_minimum(&settings, sharing.max(1));
    let text = format!(
        "each container at least cpu {}, memory {}",
        amount::cpu(cpu),
        amount::bytes(memory)
    );
    draft.step("least", text);
    draft.step("target", "90th percentile and a margin of 15 %");
    let mut parts = Vec::new();
    for recommended in &got {
        parts.push(compare(&mut draft, workload, containers, recommended));
    }
    if let Some(autoscaler) = autoscaler {
        bounds(&mut draft, autoscaler, &got);
    }
    draft.answer(if got.is_empty() {
        "nothing: a policy switches every sampled container off".to_owned()
    } else {
        parts.join("; ")
    });
    table(&mut draft, containers, &got);
    if let [first, _, ..] = autoscalers.as_slice() {
        draft.note(format!(
            "{} autoscalers have this target; the policies are those of {}, the first one",
            autoscalers.len(),
            first.name
        ));
    }
    draft.note("this is what would be recommended; what becomes of it (updateMode) is left out, and what is recommended for a load stands in the result of a run");
    Ok(draft.finish())
}

/// What the policies of an autoscaler made of each target.
fn bounds(
    draft: &mut Draft<'_>,
    autoscaler: &VerticalPodAutoscaler,
    got: &[ContainerRecommendation],
) {
    let origin = &autoscaler.origin;
    let show = |it: Resources| {
        let cpu = it.cpu_millis.map(|it| format!("cpu {}", amount::cpu(it)));
        let memory = it.memory_bytes.map(|it| format!("memory {}", amount::bytes(it)));
        let both: Vec<String> = cpu.into_iter().chain(memory).collect();
        if both.is_empty() { "nothing".to_owned() } else { both.join(", ") }
    };
    for it in got.iter().filter(|it| it.target != it.uncapped_target) {
        let text = format!(
            "{}: {} becomes {}",
            it.container_name,
            show(it.uncapped_target),
            show(it.target)
        );
        draft.step_at("policy", text, origin, "spec.resourcePolicy.containerPolicies");
    }
    for (idx, policy) in autoscaler.policies.iter().enumerate().filter(|(_, it)| it.is_off) {
        let text = format!("{}: nothing is recommended", policy.container_name);
        let field = format!("spec.resourcePolicy.containerPolicies[{idx}].mode");
        draft.step_at("policy", text, origin, &field);
    }
}

fn cores(cores: f64) -> String {
    amount::cpu((cores * 1000.0).round() as i64)
}

/// One container: what it requests beside what is recommended.
fn compare(
    draft: &mut Draft<'_>,
    workload: &Workload,
    containers: &[Container],
    recommended: &ContainerRecommendation,
) -> String {
    let name = &recommended.container_name;
    let place = containers.iter().position(|it| it.name == *name).unwrap_or_default();
    let requests = &containers[place].requests;
    let shown = |value: Option<i64>, show: fn(i64) -> String| value.map_or("none".to_owned(), show);
    let text = format!(
        "{name} requests cpu {}, memory {}",
        shown(requests.cpu_millis(), amount::cpu),
        shown(requests.memory_bytes(), amount::bytes)
    );
    let field = workload.pod_path(&format!("containers[{place}].resources.requests"));
    draft.step_at("now", text, &workload.origin, &field);
    let target = recommended.target;
    for (resource, value) in
        [("cpuMillis", target.cpu_millis), ("memoryBytes", target.memory_bytes)]
    {
        if let Some(value) = value {
            draft.figure(&format!("{name}.{resource}"), value);
        }
    }
    format!(
        "{name}: cpu {}, memory {}",
        shown(target.cpu_millis, amount::cpu),
        shown(target.memory_bytes, amount::bytes)
    )
}

fn table(draft: &mut Draft<'_>, containers: &[Container], got: &[ContainerRecommendation]) {
    let mut rows = Vec::new();
    for recommended in got {
        let requests = containers.iter().find(|it| it.name == recommended.container_name);
        let requests = requests.map(|it| &it.requests);
        let text =
            |value: Option<i64>, show: fn(i64) -> String| value.map_or_else(String::new, show);
        let mut add =
            |resource: &str, read: fn(Resources) -> Option<i64>, now, show: fn(i64) -> String| {
                rows.push(row([
                    ("container", recommended.container_name.clone().into()),
                    ("resource", resource.into()),
                    ("request", text(now, show).into()),
                    ("lowerBound", text(read(recommended.lower_bound), show).into()),
                    ("target", text(read(recommended.target), show).into()),
                    ("upperBound", text(read(recommended.upper_bound), show).into()),
                ]));
            };
        let cpu = requests.and_then(|it| it.cpu_millis());
        add("cpu", |it| it.cpu_millis, cpu, amount::cpu);
        let memory = requests.and_then(|it| it.memory_bytes());
        add("memory", |it| it.memory_bytes, memory, amount::bytes);
    }
    let columns = [
        ("container", "container"),
        ("resource", "resource"),
        ("request", "requests"),
        ("lowerBound", "lower"),
        ("target", "target"),
        ("upperBound", "upper"),
    ];
    draft.table("recommendations", "recommendations", &columns, rows);
}

/// Most samples of a container: a hundred days, one a minute. More only takes longer.
const SAMPLES_MAX: u64 = 144_000;

/// Reads a file of samples: a list of containers, each with `name`, `usage` (`from`, `until`,
/// `every`, `cpu`, `memory`) and `oomKills` (`at`, `memoryRequest`).
pub fn read_samples(path: &str, files: &dyn Files) -> (Samples, Vec<Diagnostic>, Sources) {
    let read = read_trees(&[path.to_owned()], files);
    let mut diagnostics = read.diagnostics;
    let mut samples = Samples::new();
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    for document in read.files.iter().flat_map(|file| &file.documents) {
        let containers = Vec::<ContainerSamplesSpec>::decode(document, &mut diagnostics);
        for container in containers.into_iter().flatten() {
            let (name, span) = (container.name.value.clone(), container.name.span);
            if let Some(first) = names.insert(name.clone(), span) {
                let message = format!("there are samples of `{name}` already");
                let diagnostic = Diagnostic::new(Code::E0018, span, message);
                diagnostics.push(diagnostic.related(first, "the first ones"));
            }
            samples.insert(name, samples_of(&container, &mut diagnostics));
        }
    }
    (samples, diagnostics, read.sources)
}

fn samples_of(
    container: &ContainerSamplesSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<UsageSegment>, Vec<OomKill>) {
    let amount = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (mut segments, mut count) = (Vec::new(), 0_u64);
    for usage in &container.usage {
        let (from, until, every) = (usage.from.value, usage.until.value, usage.every.value);
        if every.is_zero() {
            let message = "samples are some time apart";
            diagnostics.push(Diagnostic::new(Code::E0021, usage.every.span, message));
            continue;
        }
        let Some(length) = until.checked_sub(from).filter(|length| !length.is_zero()) else {
            let message = "the usage ends before it begins";
            let diagnostic = Diagnostic::new(Code::E0021, usage.until.span, message);
            diagnostics.push(diagnostic.related(usage.from.span, "it begins here"));
            continue;
        };
        count = count.saturating_add(length.as_nanos().div_ceil(every.as_nanos()));
        if count > SAMPLES_MAX {
            let message = format!("these are {count} samples, more than {SAMPLES_MAX}");
            let help = "take fewer, further apart: weights depend on when they were taken, hardly on how many";
            diagnostics.push(Diagnostic::new(Code::E0021, usage.span, message).help(help));
            break;
        }
        segments.push(UsageSegment {
            from,
            until,
            every,
            cpu_millis: usage.cpu.map_or(0, |cpu| amount(cpu.value.millis)),
            memory_bytes: usage.memory.map_or(0, |memory| amount(memory.value.count)),
        });
    }
    let kill = |kill: &OomKillSpec| OomKill {
        at: kill.at.value,
        request_bytes: amount(kill.memory_request.value.count),
    };
    (segments, container.oom_kills.iter().map(kill).collect())
}
