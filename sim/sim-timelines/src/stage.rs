//! The scenario of a trace: a cluster, what is set up in it, what is done to it.

use std::sync::Arc;

use model_api::blueprint::{ControlPlane, Zone};
use model_api::parameters::Range;
use model_api::{Blueprint, NodeId, Parameters, ServiceId, SimSpan, SimTime, WorkloadId, ZoneId};
use model_kube::ClusterPlan;
use model_kube::horizontal_pod_autoscaler::Settings;
use scenario_format::Diagnostic;
use scenario_format::diagnostic::has_errors;
use scenario_format::yaml::Node;

use crate::fields::{Fields, number, refuse};
use crate::operation::{Operation, Script};
use crate::read::Timeline;

pub(crate) mod flags;
mod load;
pub(crate) mod nodes;
pub(crate) mod objects;

pub(crate) use load::PlayedLoad;
use objects::Objects;

/// The run begins here, so that nothing that is set up is taken to have always been there.
const BEGIN: SimTime = SimTime::from_secs(1);

/// From the first ready pods to the scenario's zero where the timeline does not tell.
const SETTLE: SimSpan = SimSpan::from_secs(15);

/// A scenario made ready.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) plan: ClusterPlan,
    /// Zones of nodes, by name.
    pub(crate) zone_names: Vec<String>,
    /// What is created before the scenario's zero, and when.
    pub(crate) births: Vec<(SimTime, Birth)>,
    /// What is done, and when.
    pub(crate) script: Vec<(SimTime, Operation)>,
    /// Bare pods that arrive: when, of which class, under which name.
    pub(crate) arrivals: Vec<(SimTime, WorkloadId, String)>,
    /// Classes of bare pods: names and workloads.
    pub(crate) classes: Vec<(String, WorkloadId)>,
    pub(crate) loads: Vec<PlayedLoad>,
    /// Flags of the horizontal autoscalers.
    pub(crate) autoscalers: Settings,
    /// Whether the gate of `maxUnavailable` of StatefulSets is on.
    pub(crate) has_set_max_unavailable: bool,
    /// What a pass of the node monitor took.
    pub(crate) passes: Range,
    /// The scenario's zero.
    pub(crate) zero_at: SimTime,
    pub(crate) end_at: SimTime,
    /// The zone that was lost because it had most pods of a workload, and how many it had.
    pub(crate) most: Option<(ZoneId, u32)>,
}

/// A workload that comes to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) workload: WorkloadId,
    pub(crate) replicas: u32,
}

const KEYS: &[&str] = &[
    "cleanup",
    "description",
    "duration",
    "flags",
    "id",
    "kind",
    "kubelet",
    "load",
    "manifests",
    "nodes",
    "parameters",
    "podClasses",
    "recording",
    "repetition",
    "schedule",
    "seed",
    "settle",
];

/// Reads `scenario.yaml`.
pub(crate) fn read(
    scenario: &Node,
    summary: &Node,
    timeline: &Timeline,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Stage> {
    let known_count = diagnostics.len();
    let fields = Fields::of(scenario, "a trace's scenario", KEYS, diagnostics);
    let flags = flags::read(&fields, diagnostics);
    let parameters = played_kubelet(&fields, flags.parameters, diagnostics);
    let mut blueprint = Blueprint { parameters, ..Blueprint::default() };
    nodes::add(fields.items("nodes", diagnostics), &mut blueprint, diagnostics);
    let script = Script::read(fields.items("schedule", diagnostics), diagnostics);
    let added: Vec<(usize, Vec<NodeId>)> = script
        .groups()
        .iter()
        .map(|(nth, groups)| (*nth, nodes::add_later(groups, &mut blueprint, diagnostics)))
        .collect();
    let zone_names: Vec<String> = blueprint.zones.iter().map(|zone| zone.name.clone()).collect();
    let settle = settle(&fields, &blueprint.parameters, diagnostics);
    let lead = timeline.lead().unwrap_or(settle);
    let zero_at = BEGIN + lead;
    let default_toleration = blueprint.parameters.default_toleration;
    let objects = Objects::read(&fields, &script, default_toleration, diagnostics);
    let births = births(&objects, timeline, zero_at);
    objects.fill(&mut blueprint);
    if script.kills_leaders() {
        add_members(&mut blueprint);
    }
    let loads = load::read(&fields, &objects, diagnostics);
    let duration = duration(&fields, timeline, diagnostics);
    let arrivals = script.arrivals(&objects, timeline, zero_at, diagnostics);
    let script = script.resolve(&blueprint, &objects, &arrivals, &added, zero_at, diagnostics);
    if has_errors(&diagnostics[known_count..]) {
        return None;
    }
    let most = most(&script, summary, &blueprint);
    let blueprint = Arc::new(blueprint);
    Some(Stage {
        plan: ClusterPlan::with_templates(Arc::clone(&blueprint), objects.templates()),
        zone_names,
        births,
        script,
        arrivals,
        classes: objects.classes().collect(),
        loads,
        autoscalers: flags.autoscalers,
        has_set_max_unavailable: flags.has_set_max_unavailable,
        passes: passes(scenario),
        zero_at,
        end_at: zero_at + duration,
        most,
        blueprint,
    })
}

/// How long a scenario lasts: until the last record of its timeline, if nothing else says it.
fn duration(
    fields: &Fields<'_>,
    timeline: &Timeline,
    diagnostics: &mut Vec<Diagnostic>,
) -> SimSpan {
    let stated = fields.seconds("duration", 0.0, diagnostics);
    if !stated.is_zero() {
        return stated;
    }
    timeline.end().unwrap_or_else(|| {
        fields.need("duration", diagnostics);
        if let Some(node) = fields.get("duration") {
            refuse(node, "how long it lasts, in seconds", diagnostics);
        }
        SimSpan::ZERO
    })
}

/// Timers of the components, with those of the played kubelet.
fn played_kubelet(
    fields: &Fields<'_>,
    mut parameters: Parameters,
    diagnostics: &mut Vec<Diagnostic>,
) -> Parameters {
    let none = Range::default();
    let Some(node) = fields.get("kubelet") else { return parameters };
    const KEYS: &[&str] = &["leasePeriod", "startDelay", "startJitter", "stopDelay", "stopJitter"];
    let kubelet = Fields::of(node, "`kubelet`", KEYS, diagnostics);
    let period = parameters.lease_renew_period.as_secs_f64();
    let lease = kubelet.seconds("leasePeriod", period, diagnostics);
    if let (true, Some(node)) = (lease.is_zero(), kubelet.get("leasePeriod")) {
        refuse(node, "seconds above 0", diagnostics);
        return parameters;
    }
    parameters.lease_renew_period = lease;
    let start = kubelet.seconds("startDelay", 0.0, diagnostics);
    let jitter = kubelet.seconds("startJitter", 0.0, diagnostics);
    let stop = kubelet.seconds("stopDelay", 0.0, diagnostics);
    let stop_jitter = kubelet.seconds("stopJitter", 0.0, diagnostics);
    parameters.sandbox_start = Range { least: start, most: start + jitter };
    parameters.container_stop = Range { least: stop, most: stop + stop_jitter };
    parameters.container_start = none;
    parameters.image_pull = none;
    parameters.app_start = none;
    parameters.kubelet_relist = none;
    parameters.pod_clear = none;
    parameters.volume_attach = none;
    parameters.node_boot = none;
    parameters
}

/// What a pass of the node monitor took: it writes the status of every silent node and of the pods on
/// it, within the limits of its client, and one control plane did so for all scenarios that it was
/// shared by. Recorded passes were 5.08 to 5.12 s apart for one scenario alone, and 5.03 to 6.1 s for
/// one of several; the first value that counts is that of passes that find nothing.
///
/// Simplified: drawn from what the recordings show, whatever a pass has to write.
fn passes(scenario: &Node) -> Range {
    let others = scenario.at(&["recording", "otherScenariosInTheSameControlPlane"]);
    let is_shared = others.and_then(number).is_some_and(|count| count > 0.0);
    if is_shared { Range::millis(10, 300) } else { Range::millis(10, 120) }
}

/// How long the set-up took, where the timeline does not tell.
fn settle(
    fields: &Fields<'_>,
    parameters: &Parameters,
    diagnostics: &mut Vec<Diagnostic>,
) -> SimSpan {
    let start = parameters.sandbox_start.most;
    let Some(node) = fields.get("settle") else { return start + SETTLE };
    let settle = Fields::of(node, "`settle`", &["extra", "wait"], diagnostics);
    let extra = settle.seconds("extra", SETTLE.as_secs_f64(), diagnostics);
    if settle.bool("wait", true, diagnostics) { start + extra } else { extra }
}

/// When each workload of the set-up came to be.
fn births(objects: &Objects, timeline: &Timeline, zero_at: SimTime) -> Vec<(SimTime, Birth)> {
    let births = objects.workloads().filter(|(name, kind, ..)| objects.is_of_start(kind, name));
    births
        .map(|(name, kind, workload, replicas)| {
            let kind = if kind == "StatefulSet" { "sts" } else { "deploy" };
            let born = timeline.first(kind, name).filter(|at| *at < 0);
            let at = born.map_or(BEGIN, |at| {
                zero_at.saturating_sub(SimSpan::from_millis(at.unsigned_abs()))
            });
            (at.max(BEGIN), Birth { workload, replicas })
        })
        .collect()
}

/// Two members in a place of their own, as recorded: one leads, the other waits for it to die.
fn add_members(blueprint: &mut Blueprint) {
    let zone = ZoneId::from_index(blueprint.zones.len());
    blueprint.zones.push(Zone { name: "control-plane".to_owned(), ..Zone::default() });
    blueprint.control_plane =
        ControlPlane { member_zones: vec![zone; 2], ..ControlPlane::default() };
}

/// For a loss of the zone with most pods: which it was, and how many it had.
fn most(
    script: &[(SimTime, Operation)],
    summary: &Node,
    blueprint: &Blueprint,
) -> Option<(ZoneId, u32)> {
    script.iter().find(|(_, operation)| operation.asks_for_most())?;
    let lost = summary.get("zones")?.entries()?.first()?;
    let count = summary.at(&["pods", "atStartByZone", &lost.key]).and_then(Node::text);
    Some((blueprint.zone_named(&lost.key)?, count.and_then(|it| it.parse().ok()).unwrap_or(0)))
}

impl Stage {
    /// Seconds since the scenario's zero; negative before.
    pub(crate) fn secs(&self, at: SimTime) -> f64 {
        match at.checked_since(self.zero_at) {
            Some(since) => since.as_secs_f64(),
            None => -(self.zero_at - at).as_secs_f64(),
        }
    }

    /// How long the scenario lasts, in seconds.
    pub(crate) fn duration(&self) -> f64 {
        self.secs(self.end_at)
    }

    /// When set-up begins.
    pub(crate) const fn begin_at(&self) -> SimTime {
        BEGIN
    }

    pub(crate) fn zone_name(&self, node: NodeId) -> &str {
        &self.zone_names[self.blueprint.nodes[node.index()].zone.index()]
    }

    pub(crate) fn node_name(&self, node: NodeId) -> &str {
        &self.blueprint.nodes[node.index()].node.name
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = (ServiceId, &str)> {
        let named = self.blueprint.services.iter().enumerate();
        named.map(|(idx, service)| (ServiceId::from_index(idx), service.name.as_str()))
    }
}
