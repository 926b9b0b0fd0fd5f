//! What vertical autoscalers recommended in all runs, as the data of a report.

use model_api::kube::{ContainerResourcePolicy, VerticalPodAutoscaler, Workload, container_policy};
use model_api::{Blueprint, VerticalAutoscalerId};
use report_data::{Note, Recommendation};
use sim_check::{Amounts, ContainerAmounts, RunMeasures};

use crate::result::position;

/// Nobody says what memory the pods use.
const MEMORY: &str = "memory: what its pods use is not stated";
/// The load asks nothing of the pods, or nothing that costs CPU.
const UNUSED: &str = "CPU: the load of no run costs any here";

/// One entry an autoscaler and container of its target.
pub(crate) fn recommendations(
    blueprint: &Blueprint,
    measures: &[RunMeasures],
) -> Vec<Recommendation> {
    let mut recommendations = Vec::new();
    for (idx, autoscaler) in blueprint.vertical_autoscalers.iter().enumerate() {
        let Some(workload) = blueprint.vertical_target(autoscaler) else { continue };
        let workload = &blueprint.workloads[workload.index()];
        for (container, spec) in (0_u32..).zip(&workload.template.spec.containers) {
            let key = (VerticalAutoscalerId::from_index(idx), container);
            let by_run = |of: fn(&ContainerAmounts) -> Option<Amounts>,
                          read: fn(Amounts) -> i64| {
                let one = |run: &RunMeasures| run.recommended.get(&key).and_then(of).map(read);
                measures.iter().map(one).collect::<Vec<Option<i64>>>()
            };
            let cpu = |read| by_run(|it| it.cpu, read);
            let memory = |read| by_run(|it| it.memory, read);
            let mut made = Recommendation {
                autoscaler: format!("{}/{}", autoscaler.namespace, autoscaler.name),
                workload: format!(
                    "{} {}/{}",
                    workload.kind.name(),
                    workload.namespace,
                    workload.name
                ),
                container: spec.name.clone(),
                update_mode: autoscaler.update_mode.name().to_owned(),
                position: position(blueprint, requests_at(workload, container)),
                request_cpu_millis: spec.requests.cpu_millis(),
                target_cpu_millis: cpu(|it| it.target),
                lower_cpu_millis: cpu(|it| it.lower),
                upper_cpu_millis: cpu(|it| it.upper),
                uncapped_cpu_millis: cpu(|it| it.uncapped),
                request_memory_bytes: spec.requests.memory_bytes(),
                target_memory_bytes: memory(|it| it.target),
                lower_memory_bytes: memory(|it| it.lower),
                upper_memory_bytes: memory(|it| it.upper),
                uncapped_memory_bytes: memory(|it| it.uncapped),
                not_recommended: Vec::new(),
            };
            let policy =
                container_policy(&autoscaler.policies, &spec.name, |it| &it.container_name);
            let reason = why_not(policy, made.target().is_some(), made.target_memory().is_some());
            made.not_recommended = reason.map(|it| note(blueprint, autoscaler, it)).collect();
            recommendations.push(made);
        }
    }
    recommendations
}

/// What is not recommended for a container, in words. What its policy leaves out needs none.
fn why_not(
    policy: Option<&ContainerResourcePolicy>,
    has_target: bool,
    has_memory: bool,
) -> impl Iterator<Item = &'static str> {
    let is_off = policy.is_some_and(|it| it.is_off);
    let controls_cpu = policy.is_none_or(|it| it.controls_cpu);
    let controls_memory = policy.is_none_or(|it| it.controls_memory);
    let cpu = match (is_off, controls_cpu, has_target) {
        (true, ..) => Some("anything: its policy has mode Off"),
        (_, false, _) => Some("CPU: its policy does not control it"),
        (_, _, false) => Some(UNUSED),
        (_, _, true) => None,
    };
    let memory = match (is_off, controls_memory, has_memory) {
        (true, ..) | (_, false, _) | (_, _, true) => None,
        (false, true, false) => Some(MEMORY),
    };
    cpu.into_iter().chain(memory)
}

fn note(blueprint: &Blueprint, autoscaler: &VerticalPodAutoscaler, text: &str) -> Note {
    Note { text: text.to_owned(), position: position(blueprint, autoscaler.origin.object) }
}

/// Where a container's requests are written, or the field around them that is.
fn requests_at(workload: &Workload, container: u32) -> model_api::SourceRef {
    workload.origin.of(&workload.container_path(Some(container as usize), "resources.requests.cpu"))
}
