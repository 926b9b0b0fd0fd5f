//! What is done to the cluster of a trace.

use model_api::kube::{HorizontalPodAutoscaler, PodDisruptionBudget, Workload};
use model_api::{AutoscalerId, Blueprint, BudgetId, NodeId, SimSpan, SimTime, WorkloadId, ZoneId};
use model_kube::cluster::Component;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic, nearest};

use crate::fields::{Fields, refuse};
use crate::read::Timeline;
use crate::stage::objects::Objects;

/// Most replicas that a trace scales to.
const REPLICAS_MAX: u32 = 10_000;

/// Something that is done.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// No lease, no status, no pod is handled from now on.
    Kill(Nodes),
    /// The kubelets go on.
    Revive(Nodes),
    /// Node objects are deleted.
    Delete(Nodes),
    /// The out-of-service taint is set, or taken away.
    OutOfService(Nodes, bool),
    /// New pods are kept away, or let in again.
    Cordon(Nodes, bool),
    /// Nodes are emptied one after the other.
    Drain(Nodes, Drain),
    /// The process that leads dies; another one waits.
    KillLeader(Component),
    /// A workload's replicas are changed, or it is created.
    Scale(WorkloadId, u32),
    /// A workload gets another template: its position among the new ones.
    Patch(usize),
    /// A Deployment is paused, or a Job suspended; or goes on.
    Hold(WorkloadId, bool),
    /// How a workload replaces its pods is changed.
    Strategy(WorkloadId, Box<Workload>),
    /// What a budget demands is changed.
    Budget(BudgetId, Box<PodDisruptionBudget>),
    /// Limits and behavior of an autoscaler are changed.
    Autoscaler(AutoscalerId, Box<HorizontalPodAutoscaler>),
    /// Evictions of pods are posted, once each.
    Evict(Vec<Pods>),
    /// Pods are deleted.
    DeletePods(Vec<Pods>),
}

/// Which pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pods {
    /// All of a workload.
    Of(WorkloadId),
    /// The one of a StatefulSet with an ordinal.
    Ordinal(WorkloadId, u32),
    /// A bare pod: its position among the arrivals.
    Arrived(u32),
}

/// Which nodes.
#[derive(Clone, Debug)]
pub(crate) enum Nodes {
    All,
    /// Those that are down.
    Killed,
    Of(ZoneId),
    /// Of the zone in which a workload has most pods.
    MostOf(WorkloadId),
    Listed(Vec<NodeId>),
}

impl Operation {
    /// Whether it is about the zone with most pods, whichever that is.
    pub(crate) fn asks_for_most(&self) -> bool {
        match self {
            Self::Kill(nodes)
            | Self::Revive(nodes)
            | Self::Delete(nodes)
            | Self::OutOfService(nodes, _)
            | Self::Cordon(nodes, _)
            | Self::Drain(nodes, _) => matches!(nodes, Nodes::MostOf(_)),
            Self::KillLeader(_)
            | Self::Scale(..)
            | Self::Patch(_)
            | Self::Hold(..)
            | Self::Strategy(..)
            | Self::Budget(..)
            | Self::Autoscaler(..)
            | Self::Evict(_)
            | Self::DeletePods(_) => false,
        }
    }
}

/// How nodes are drained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// How long one node is given.
    pub(crate) timeout: Option<SimSpan>,
    /// A node that timed out does not end it.
    pub(crate) goes_on: bool,
}

/// `schedule`, entry by entry.
pub(crate) struct Script<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    at: SimSpan,
    op: &'a str,
    node: &'a Node,
}

/// A patch of an object.
pub(crate) struct PatchOrder<'a> {
    pub(crate) at: SimSpan,
    /// Empty when any kind is meant.
    pub(crate) kind: &'a str,
    pub(crate) name: &'a Node,
    pub(crate) patch: &'a Node,
}

/// Keys of every entry, then those of each operation.
const COMMON: [&str; 2] = ["at", "op"];
const OPERATIONS: &[(&str, &[&str])] = &[
    ("arrive", &["order"]),
    ("cordon", &["nodes"]),
    ("create", &["manifest", "manifests", "object", "objects"]),
    ("deleteNodes", &["nodes"]),
    ("deletePods", &["pods"]),
    ("drain", &["goOn", "nodes", "timeoutPerNode"]),
    ("evict", &["pods"]),
    ("inService", &["nodes"]),
    ("kill", &["nodes"]),
    ("killLeader", LEADER),
    ("outOfService", &["nodes"]),
    ("patch", &["kind", "name", "patch"]),
    ("revive", &["nodes"]),
    ("scale", &["kind", "name", "replicas"]),
    ("taint", &["effect", "key", "nodes", "value"]),
    ("uncordon", &["nodes"]),
    ("untaint", &["effect", "key", "nodes", "value"]),
];

/// The taint that says that a node is gone for good, and the one of a cordon
/// (`k8s.io/api/core/v1/well_known_taints.go`, 1.36).
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Where recorders say whose leader is killed.
const LEADER: &[&str] = &["component", "leader", "name", "nodes"];

impl<'a> Script<'a> {
    /// Reads the entries; an unknown operation is an error.
    pub(crate) fn read(nodes: &'a [Node], diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut entries = Vec::new();
        for node in nodes {
            let Some(op_node) = node.get("op") else {
                let message = "an entry of `schedule` needs `op`";
                diagnostics.push(Diagnostic::new(Code::E0013, node.span, message));
                continue;
            };
            let op = op_node.text().unwrap_or_default();
            let Some((_, keys)) = OPERATIONS.iter().find(|(known, _)| *known == op) else {
                let message = format!("there is no operation `{op}`");
                let known = OPERATIONS.iter().map(|(known, _)| *known);
                let help = nearest::suggestion(op, known);
                diagnostics.push(Diagnostic::new(Code::E0016, op_node.span, message).help_if(help));
                continue;
            };
            let keys: Vec<&'static str> = COMMON.iter().chain(*keys).copied().collect();
            let fields = Fields::of(node, "an entry of `schedule`", &keys, diagnostics);
            let at = fields.seconds("at", 0.0, diagnostics);
            entries.push(Entry { at, op, node });
        }
        Self { entries }
    }

    fn of(&self, op: &'static str) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(move |entry| entry.op == op)
    }

    /// Whether some leader is killed.
    pub(crate) fn kills_leaders(&self) -> bool {
        self.of("killLeader").next().is_some()
    }

    /// Manifests of objects that are created during the scenario.
    pub(crate) fn creations(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<Node> {
        let mut nodes = Vec::new();
        for entry in self.of("create") {
            let created = entry.creations();
            if created.is_empty() {
                let message = "`create` needs `manifests`";
                diagnostics.push(Diagnostic::new(Code::E0013, entry.node.span, message));
            }
            nodes.extend(created);
        }
        nodes
    }

    /// Patches in the order of the schedule.
    pub(crate) fn patches(&self, diagnostics: &mut Vec<Diagnostic>) -> Vec<PatchOrder<'a>> {
        let mut patches = Vec::new();
        for entry in self.of("patch") {
            let fields = Fields::known(entry.node, "a patch");
            if entry.is_of_node() {
                continue;
            }
            let name = fields.need("name", diagnostics);
            let patch = fields.need("patch", diagnostics);
            if let (Some(name), Some(patch)) = (name, patch) {
                let kind = fields.text("kind");
                patches.push(PatchOrder { at: entry.at, kind, name, patch });
            }
        }
        patches
    }

    /// When a workload of that kind and name is created during the scenario.
    fn created_at(&self, kind: &str, name: &str) -> Option<SimSpan> {
        let text =
            |node: &Node, path: &[&str]| node.at(path).and_then(Node::text).map(str::to_owned);
        let is_it = |node: &Node| {
            text(node, &["kind"]).as_deref() == Some(kind)
                && text(node, &["metadata", "name"]).as_deref() == Some(name)
        };
        let creation = self.of("create").find(|entry| entry.creations().iter().any(is_it));
        creation.map(|entry| entry.at)
    }

    /// Whether a workload of that kind and name is created during the scenario.
    pub(crate) fn creates(&self, kind: &str, name: &str) -> bool {
        self.created_at(kind, name).is_some()
    }

    /// Bare pods in the order of their creation: when, of which class, under which name. The moments
    /// are those of the recorder's create calls, which are input.
    pub(crate) fn arrivals(
        &self,
        objects: &Objects,
        timeline: &Timeline,
        zero_at: SimTime,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(SimTime, WorkloadId, String)> {
        let mut arrivals = Vec::new();
        for entry in self.of("arrive") {
            let order = entry.node.get("order").and_then(Node::items).unwrap_or_default();
            let mut at = zero_at + entry.at;
            for pod in order {
                let name = pod.text().unwrap_or_default();
                let class = name.rsplit_once('-').map_or(name, |(class, _)| class);
                let Some(workload) = objects.workload(class) else {
                    let message = format!("there is no class `{class}` of pods");
                    diagnostics.push(Diagnostic::new(Code::E0016, pod.span, message));
                    continue;
                };
                let created = timeline.created.get(name).and_then(|ms| u64::try_from(*ms).ok());
                at = created.map_or(at, |ms| zero_at + SimSpan::from_millis(ms)).max(at);
                arrivals.push((at, workload, name.to_owned()));
            }
        }
        arrivals
    }

    /// Everything but arrivals, with all names looked up.
    pub(crate) fn resolve(
        &self,
        blueprint: &Blueprint,
        objects: &Objects,
        arrivals: &[(SimTime, WorkloadId, String)],
        zero_at: SimTime,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(SimTime, Operation)> {
        let mut resolver = Resolver { blueprint, objects, arrivals, diagnostics };
        let mut operations = Vec::new();
        for entry in &self.entries {
            let at = zero_at + entry.at;
            let done = resolver.operations(entry);
            operations.extend(done.into_iter().map(|operation| (at, operation)));
        }
        for (name, kind, workload, replicas) in objects.workloads() {
            if let Some(at) = self.created_at(kind, name) {
                operations.push((zero_at + at, Operation::Scale(workload, replicas)));
            }
        }
        let patched = objects.patched().iter();
        operations.extend(patched.map(|(at, operation)| (zero_at + *at, operation.clone())));
        operations
    }
}

impl Entry<'_> {
    /// A patch of Nodes.
    fn is_of_node(&self) -> bool {
        let kind = self.node.get("kind").and_then(Node::text).unwrap_or_default();
        kind.eq_ignore_ascii_case("Node")
    }

    /// What it creates: an object, a list of them, or both.
    fn creations(&self) -> Vec<Node> {
        let keys = ["manifest", "manifests", "object", "objects"].into_iter();
        let found = keys.filter_map(|key| self.node.get(key));
        let listed =
            found.map(|node| node.items().map_or_else(|| vec![node.clone()], <[Node]>::to_vec));
        listed.flatten().collect()
    }
}

/// Looks names up.
struct Resolver<'a> {
    blueprint: &'a Blueprint,
    objects: &'a Objects,
    arrivals: &'a [(SimTime, WorkloadId, String)],
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn operations(&mut self, entry: &Entry<'_>) -> Option<Operation> {
        let fields = Fields::known(entry.node, "an operation");
        Some(match entry.op {
            "kill" => Operation::Kill(self.nodes(&fields)?),
            "revive" => Operation::Revive(self.nodes(&fields)?),
            "deleteNodes" => Operation::Delete(self.nodes(&fields)?),
            "outOfService" => Operation::OutOfService(self.nodes(&fields)?, true),
            "inService" => Operation::OutOfService(self.nodes(&fields)?, false),
            "cordon" => Operation::Cordon(self.nodes(&fields)?, true),
            "uncordon" => Operation::Cordon(self.nodes(&fields)?, false),
            "taint" | "untaint" => self.taint(&fields, entry.op == "taint")?,
            "evict" => Operation::Evict(self.pods(&fields)?),
            "deletePods" => Operation::DeletePods(self.pods(&fields)?),
            "patch" if entry.is_of_node() => return self.node_patch(&fields),
            "drain" => Operation::Drain(self.nodes(&fields)?, self.drain(&fields)),
            "killLeader" => Operation::KillLeader(self.component(&fields)?),
            "scale" => {
                let workload = self.workload(&fields)?;
                let replicas = fields.count("replicas", 0, 0..=REPLICAS_MAX, self.diagnostics);
                Operation::Scale(workload, replicas)
            }
            _ => return None,
        })
    }

    /// A taint that nodes get or lose: one of those that something here acts on.
    fn taint(&mut self, fields: &Fields<'_>, is_set: bool) -> Option<Operation> {
        let nodes = self.nodes(fields)?;
        let key = fields.need("key", self.diagnostics)?;
        match key.text().unwrap_or_default() {
            OUT_OF_SERVICE | "out-of-service" => Some(Operation::OutOfService(nodes, is_set)),
            UNSCHEDULABLE | "unschedulable" => Some(Operation::Cordon(nodes, is_set)),
            _ => {
                refuse(key, "out-of-service or unschedulable", self.diagnostics);
                None
            }
        }
    }

    /// A patch of a Node: that it takes no pods, or does again.
    fn node_patch(&mut self, fields: &Fields<'_>) -> Option<Operation> {
        let name = fields.need("name", self.diagnostics)?;
        let nodes = self.nodes_named(name.text().unwrap_or_default(), name);
        let patch = fields.need("patch", self.diagnostics)?;
        let spec = patch.get("spec").and_then(Node::entries).unwrap_or_default();
        let is_all = spec.len() == 1 && patch.entries().is_some_and(|it| it.len() == 1);
        let stated = spec.iter().find(|it| it.key == "unschedulable").filter(|_| is_all);
        let Some(stated) = stated else {
            let message = "of a Node `spec.unschedulable` may change";
            let help = "`taint` sets the taint of a node that is out of service";
            let diagnostic = Diagnostic::new(Code::E0014, patch.span, message);
            self.diagnostics.push(diagnostic.help(help));
            return None;
        };
        let is_cordoned = stated.value.text() == Some("true");
        (!nodes.is_empty()).then_some(Operation::Cordon(Nodes::Listed(nodes), is_cordoned))
    }

    /// Names of pods: those of bare ones, those of a StatefulSet, or that of a workload for all of its.
    fn pods(&mut self, fields: &Fields<'_>) -> Option<Vec<Pods>> {
        let node = fields.need("pods", self.diagnostics)?;
        let one = std::slice::from_ref(node);
        let items = node.items().unwrap_or(one);
        let found: Vec<Pods> = items.iter().filter_map(|item| self.pod_named(item)).collect();
        (!found.is_empty()).then_some(found)
    }

    fn pod_named(&mut self, node: &Node) -> Option<Pods> {
        let name = node.text().unwrap_or_default();
        if let Some(nth) = self.arrivals.iter().position(|(_, _, known)| known == name) {
            return Some(Pods::Arrived(u32::try_from(nth).expect("a trace has few entries")));
        }
        let of_set = name.rsplit_once('-').and_then(|(set, ordinal)| {
            let mut workloads = self.objects.workloads();
            let found = workloads.find(|(known, kind, ..)| *known == set && *kind == "StatefulSet");
            Some(Pods::Ordinal(found?.2, ordinal.parse().ok()?))
        });
        of_set.or_else(|| self.workload_named(name, node).map(Pods::Of))
    }

    fn drain(&mut self, fields: &Fields<'_>) -> Drain {
        Drain {
            timeout: fields
                .get("timeoutPerNode")
                .map(|_| fields.seconds("timeoutPerNode", 0.0, self.diagnostics)),
            goes_on: fields.bool("goOn", false, self.diagnostics),
        }
    }

    fn component(&mut self, fields: &Fields<'_>) -> Option<Component> {
        let Some(node) = LEADER.iter().find_map(|key| fields.get(key)) else {
            return Some(Component::ControllerManager);
        };
        // Recorders list what is struck under `nodes`, one process here.
        let named = node.items().and_then(<[Node]>::first).unwrap_or(node);
        match named.text().unwrap_or_default() {
            "kube-controller-manager" | "controller-manager" | "kcm" => {
                Some(Component::ControllerManager)
            }
            "kube-scheduler" | "scheduler" => Some(Component::Scheduler),
            _ => {
                refuse(named, "kube-controller-manager or kube-scheduler", self.diagnostics);
                None
            }
        }
    }

    fn workload(&mut self, fields: &Fields<'_>) -> Option<WorkloadId> {
        let node = fields.need("name", self.diagnostics)?;
        self.workload_named(node.text().unwrap_or_default(), node)
    }

    fn workload_named(&mut self, name: &str, node: &Node) -> Option<WorkloadId> {
        let found = self.objects.workload(name);
        if found.is_none() {
            let message = format!("there is no workload `{name}`");
            let known = self.objects.workloads().map(|(name, ..)| name).collect::<Vec<_>>();
            let help = nearest::suggestion(name, known);
            let diagnostic = Diagnostic::new(Code::E0016, node.span, message);
            self.diagnostics.push(diagnostic.help_if(help));
        }
        found
    }

    /// `all`, `killed`, `zone=a`, `zone=a,b`, `zone=most:web`, names of nodes, or a list of such.
    fn nodes(&mut self, fields: &Fields<'_>) -> Option<Nodes> {
        let node = fields.need("nodes", self.diagnostics)?;
        if let Some(items) = node.items() {
            let mut nodes = Vec::new();
            for item in items {
                nodes.extend(self.nodes_named(item.text().unwrap_or_default(), item));
            }
            return Some(Nodes::Listed(nodes));
        }
        let text = node.text().unwrap_or_default();
        match text {
            "all" => return Some(Nodes::All),
            "killed" => return Some(Nodes::Killed),
            _ => {}
        }
        if let Some(workload) = text.strip_prefix("zone=most:") {
            return self.workload_named(workload, node).map(Nodes::MostOf);
        }
        if let Some(zone) = text.strip_prefix("zone=").and_then(|it| self.blueprint.zone_named(it))
        {
            return Some(Nodes::Of(zone));
        }
        let nodes = self.nodes_named(text, node);
        (!nodes.is_empty()).then_some(Nodes::Listed(nodes))
    }

    /// Names with commas between them, of nodes, or of zones behind `zone=`.
    fn nodes_named(&mut self, text: &str, place: &Node) -> Vec<NodeId> {
        let (names, is_zone) = match text.strip_prefix("zone=") {
            Some(zones) => (zones, true),
            None => (text, false),
        };
        let mut found = Vec::new();
        for name in names.split(',').map(|name| name.trim().trim_start_matches("zone=")) {
            let specs = self.blueprint.nodes.iter().enumerate();
            let known = found.len();
            if is_zone {
                let zone = self.blueprint.zone_named(name);
                let of_zone = specs.filter(|(_, spec)| Some(spec.zone) == zone);
                found.extend(of_zone.map(|(idx, _)| NodeId::from_index(idx)));
            } else {
                let named = specs.filter(|(_, spec)| spec.node.name == name);
                found.extend(named.map(|(idx, _)| NodeId::from_index(idx)));
            }
            if found.len() == known {
                self.unknown(if is_zone { "zone" } else { "node" }, name, place);
            }
        }
        found
    }

    fn unknown(&mut self, what: &str, name: &str, node: &Node) {
        let message = format!("there is no {what} `{name}`");
        self.diagnostics.push(Diagnostic::new(Code::E0016, node.span, message));
    }
}
