//! `explain DECISION`: one decision about the user's own manifests.

use std::io;

use report_data::DecisionReport;
use report_render::Options;
use scenario_format::diagnostic::has_errors;
use scenario_format::{ClusterRequest, Resolved, Severity, load_cluster};
use sim_explain::{
    AutoscalerQuestion, EvictionQuestion, HpaQuestion, MetricReading, PdbQuestion, Refusal,
    RolloutQuestion, Samples, ScheduleQuestion, VpaQuestion,
};

use crate::exit::Exit;
use crate::flags::Form;
use crate::flags::decision::{Cluster, Decision, Hpa, Vpa};
use crate::input::{count, disk_for, of};
use crate::runs::program;
use crate::streams::{Streams, check_outputs};

/// Columns where nobody looks through a terminal.
const WIDTH: usize = 100;

pub(crate) fn run(decision: &Decision, streams: Streams) -> anyhow::Result<Exit> {
    let cluster = cluster_of(decision);
    check_outputs(&cluster.output, &[Form::Human, Form::Json]).map_err(anyhow::Error::msg)?;
    let samples = match decision {
        Decision::Vpa(flags) => samples(flags, streams)?,
        _ => Some(Samples::new()),
    };
    let (Some(resolved), Some(samples)) = (load(cluster, streams)?, samples) else {
        return Ok(Exit::BadInput);
    };
    match explain(decision, &resolved, samples) {
        Ok(report) => write(&report, cluster, streams),
        Err(refusal) => {
            streams.error(&refusal.to_string());
            Ok(Exit::BadInput)
        }
    }
}

fn cluster_of(decision: &Decision) -> &Cluster {
    match decision {
        Decision::Schedule(flags) => &flags.cluster,
        Decision::Hpa(flags) => &flags.cluster,
        Decision::Pdb(flags) => &flags.cluster,
        Decision::Rollout(flags) => &flags.cluster,
        Decision::Autoscaler(flags) => &flags.cluster,
        Decision::Vpa(flags) => &flags.cluster,
        Decision::Eviction(flags) => &flags.cluster,
    }
}

/// The cluster; none when something is wrong with it, which has been said.
fn load(cluster: &Cluster, streams: Streams) -> anyhow::Result<Option<Resolved>> {
    let disk = disk_for(&cluster.manifests)?;
    let request = ClusterRequest {
        platform: cluster.platform.clone(),
        manifests: cluster.manifests.clone(),
        overrides: cluster.set.clone(),
    };
    let mut loaded = load_cluster(&request, &disk);
    let warnings = count(&loaded.diagnostics, Severity::Warning);
    loaded.diagnostics.retain(|diagnostic| diagnostic.severity() == Severity::Error);
    if loaded.has_errors() {
        streams.say(&loaded.render(streams.has_color_err()));
        return Ok(None);
    }
    if warnings > 0 {
        streams.mention(&format!(
            "{} about the manifests, see eidp-sim check",
            of(warnings, "warning")
        ));
    }
    Ok(loaded.resolved)
}

/// Samples of usage; none when something is wrong with them, which has been said.
fn samples(flags: &Vpa, streams: Streams) -> anyhow::Result<Option<Samples>> {
    let mut samples = Samples::new();
    if let Some(usage) = flags.usage {
        samples.insert(String::new(), (vec![usage.lasting(flags.length)], Vec::new()));
    }
    let Some(path) = &flags.samples else { return Ok(Some(samples)) };
    let disk = disk_for(std::slice::from_ref(path))?;
    let (samples, diagnostics, sources) = sim_explain::read_samples(path, &disk);
    for diagnostic in &diagnostics {
        streams.say(&diagnostic.render(&sources, streams.has_color_err()));
    }
    Ok((!has_errors(&diagnostics)).then_some(samples))
}

fn explain(
    decision: &Decision,
    resolved: &Resolved,
    samples: Samples,
) -> Result<DecisionReport, Refusal> {
    let blueprint = &resolved.blueprint;
    let program = &program();
    match decision {
        Decision::Schedule(flags) => {
            let (pod, replica) = (flags.pod.clone(), flags.replica);
            let question = ScheduleQuestion { pod, replica, on_empty: flags.empty };
            sim_explain::schedule(blueprint, program, &question)
        }
        Decision::Hpa(flags) => sim_explain::hpa(blueprint, program, &hpa_question(flags)),
        Decision::Pdb(flags) => {
            let question = PdbQuestion { name: flags.name.clone(), healthy: flags.healthy };
            sim_explain::pdb(blueprint, program, &question)
        }
        Decision::Rollout(flags) => {
            let question =
                RolloutQuestion { name: flags.name.clone(), never_available: flags.broken };
            sim_explain::rollout(blueprint, program, &question)
        }
        Decision::Autoscaler(flags) => {
            let question = AutoscalerQuestion {
                pods: flags.pods.clone(),
                expander: flags.expander.clone(),
                max_new_nodes: flags.max_nodes,
            };
            sim_explain::autoscaler(blueprint, program, &question)
        }
        Decision::Vpa(flags) => {
            let question = VpaQuestion { name: flags.name.clone(), samples };
            sim_explain::vpa(blueprint, program, &question)
        }
        Decision::Eviction(flags) => {
            let question = EvictionQuestion {
                pod: flags.pod.clone(),
                zone: flags.zone.clone(),
                nodes: flags.nodes.clone(),
            };
            sim_explain::eviction(blueprint, program, &question)
        }
    }
}

fn hpa_question(flags: &Hpa) -> HpaQuestion {
    let named = |metric: &str, reading| MetricReading { metric: metric.to_owned(), reading };
    let mut readings = flags.metric.clone();
    readings.extend(flags.cpu.map(|reading| named("cpu", reading)));
    readings.extend(flags.memory.map(|reading| named("memory", reading)));
    HpaQuestion {
        name: flags.name.clone(),
        current: flags.current,
        ready: flags.ready,
        missing: flags.missing,
        readings,
        recommended: flags.recommended.clone(),
        changed: flags.changed.clone(),
    }
}

fn write(report: &DecisionReport, cluster: &Cluster, streams: Streams) -> anyhow::Result<Exit> {
    for output in &cluster.output {
        let is_stdout = output.path.is_none();
        let size = is_stdout.then(|| terminal_size::terminal_size_of(io::stdout())).flatten();
        let width = size.map_or(WIDTH, |(width, _)| usize::from(width.0));
        let options =
            Options { has_color: is_stdout && streams.has_color_out(), ..Options::default() };
        let text = match output.form {
            Form::Json => report_render::decision_json(report),
            _ => report_render::decision_human(report, options, width),
        };
        streams.report(output, &text)?;
    }
    Ok(Exit::Held)
}
