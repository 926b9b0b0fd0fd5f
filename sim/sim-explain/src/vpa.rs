//! What a VerticalPodAutoscaler recommends, from samples of usage.

use std::collections::BTreeMap;

use model_api::SimSpan;
use model_api::blueprint::Blueprint;
use model_api::kube::{Container, Workload};
use model_kube::vertical_pod_autoscaler::{
    Aggregate, Aggregation, ContainerRecommendation, ContainerUsage, OomKill, Resources, Settings,
    Timestamp, UsageSegment, pod_minimum, recommend, replay,
};
use report_data::{DecisionKind, DecisionReport, Program};
use scenario_format::decode::FromText as _;
use scenario_format::files::Files;
use scenario_format::quantity::Quantity;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic, Sources, read_trees};

use crate::amount;
use crate::draft::{Draft, row};
use crate::placed::{pod_spec_path, title, workload_names};
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
    for name in &container_names {
        let samples = question.samples.get(name).or_else(|| question.samples.get(""));
        let Some((segments, kills)) = samples else { continue };
        let mut aggregate = Aggregate::new(&aggregation);
        let mut usage = ContainerUsage::default();
        replay(&mut aggregate, &mut usage, segments, kills, START, &aggregation);
        aggregates.insert(name.clone(), aggregate);
    }
    let settings = Settings::default();
    let got = recommend(&aggregates, container_names.len(), &[], &settings);
    if got.is_empty() {
        return Err(Refusal::new("there is no sample of any container")
            .help("give --usage cpu=100m,memory=200Mi or --samples FILE"));
    }
    let mut draft = Draft::new(blueprint, program, DecisionKind::Vpa, title(workload));
    for (name, aggregate) in &aggregates {
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
    let (cpu, memory) = pod_minimum(&settings, container_names.len());
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
    draft.answer(parts.join("; "));
    table(&mut draft, containers, &got);
    draft.note("only recommended (updateMode Off): nothing is changed; objects of kind VerticalPodAutoscaler, with their policies, are not read");
    Ok(draft.finish())
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
    let field = format!("{}.containers[{place}].resources.requests", pod_spec_path(workload));
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

/// Reads a file of samples: a list of containers, each with `name`, `usage` (`from`, `until`,
/// `every`, `cpu`, `memory`) and `oomKills` (`at`, `memoryRequest`).
pub fn read_samples(path: &str, files: &dyn Files) -> (Samples, Vec<Diagnostic>, Sources) {
    let read = read_trees(&[path.to_owned()], files);
    let mut diagnostics = read.diagnostics;
    let mut samples = Samples::new();
    for document in read.files.iter().flat_map(|file| &file.documents) {
        let Some(containers) = document.items() else {
            let message = "a file of samples is a list of containers";
            diagnostics.push(Diagnostic::new(Code::E0011, document.span, message));
            continue;
        };
        for container in containers {
            let name = container.get("name").and_then(Node::text).unwrap_or_default();
            let list = |name: &str| container.get(name).and_then(Node::items).unwrap_or_default();
            let mut reader = Reader { diagnostics: &mut diagnostics };
            let segments = list("usage").iter().filter_map(|it| reader.segment(it)).collect();
            let mut reader = Reader { diagnostics: &mut diagnostics };
            let kills = list("oomKills").iter().filter_map(|it| reader.kill(it)).collect();
            samples.insert(name.to_owned(), (segments, kills));
        }
    }
    (samples, diagnostics, read.sources)
}

struct Reader<'a> {
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn span(&mut self, node: &Node, name: &str) -> Option<SimSpan> {
        let value = node.get(name);
        let span = value.and_then(Node::text).and_then(|text| SimSpan::from_text(text).ok());
        if span.is_none() {
            let at = value.map_or(node.span, |value| value.span);
            let message = format!("`{name}` of a sample is a length of time such as 90s or 192h");
            self.diagnostics.push(Diagnostic::new(Code::E0014, at, message));
        }
        span
    }

    fn amount(&mut self, node: &Node, name: &str, read: fn(Quantity) -> i64) -> Option<i64> {
        let value = node.get(name)?;
        let quantity = value.text().and_then(|text| Quantity::parse(text).ok());
        if quantity.is_none() {
            let message = format!("`{name}` of a sample is a quantity such as 100m or 200Mi");
            self.diagnostics.push(Diagnostic::new(Code::E0014, value.span, message));
        }
        quantity.map(read)
    }

    fn segment(&mut self, node: &Node) -> Option<UsageSegment> {
        let (from, until, every) =
            (self.span(node, "from")?, self.span(node, "until")?, self.span(node, "every")?);
        let cpu_millis = self.amount(node, "cpu", Quantity::ceil_millis).unwrap_or(0);
        let memory_bytes = self.amount(node, "memory", Quantity::ceil).unwrap_or(0);
        if every.is_zero() {
            let message = "`every` of a sample is more than nothing";
            self.diagnostics.push(Diagnostic::new(Code::E0014, node.span, message));
            return None;
        }
        Some(UsageSegment { from, until, every, cpu_millis, memory_bytes })
    }

    fn kill(&mut self, node: &Node) -> Option<OomKill> {
        let at = self.span(node, "at")?;
        let request_bytes = self.amount(node, "memoryRequest", Quantity::ceil)?;
        Some(OomKill { at, request_bytes })
    }
}
