//! Operations of an entry of the schedule, with all names looked up.

use model_api::kube::Taint;
use model_api::{Blueprint, SimSpan, SimTime, WorkloadId};
use model_kube::cluster::Component;
use scenario_format::manifest::live;
use scenario_format::yaml::{Entry as YamlEntry, Node, Value};
use scenario_format::{Code, Diagnostic, nearest};

use super::script::{Entry, LEADER};
use super::{Drain, Nodes, Operation, Taints};
use crate::fields::{Fields, refuse};
use crate::stage::objects::Objects;

/// The taint that says that a node is gone for good, and the one of a cordon
/// (`k8s.io/api/core/v1/well_known_taints.go`, 1.36).
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Looks names up.
pub(super) struct Resolver<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) objects: &'a Objects,
    pub(super) arrivals: &'a [(SimTime, WorkloadId, String)],
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    /// What an entry does to nodes, pods and components, and how long after its moment.
    pub(super) fn operations(&mut self, entry: &Entry<'_>) -> Vec<(SimSpan, Operation)> {
        let fields = Fields::known(entry.node, "an operation");
        match entry.op {
            "reboot" => self.reboot(&fields),
            "restart" if entry.is_of_component() => self.restart(&fields),
            _ => self.operation(entry, &fields).into_iter().map(|it| (SimSpan::ZERO, it)).collect(),
        }
    }

    fn operation(&mut self, entry: &Entry<'_>, fields: &Fields<'_>) -> Option<Operation> {
        Some(match entry.op {
            // From outside, a partition and a loss of power look the same.
            "kill" | "partition" => Operation::Kill(self.nodes(fields)?),
            "revive" | "heal" => Operation::Revive(self.nodes(fields)?),
            "deleteNodes" => Operation::Delete(self.nodes(fields)?),
            "outOfService" => Operation::OutOfService(self.nodes(fields)?, true),
            "inService" => Operation::OutOfService(self.nodes(fields)?, false),
            "cordon" => Operation::Cordon(self.nodes(fields)?, true),
            "uncordon" => Operation::Cordon(self.nodes(fields)?, false),
            "taint" | "untaint" => self.taint(fields, entry.op == "taint")?,
            "evict" => Operation::Evict(self.pods(fields)?),
            "deletePods" => {
                let is_forced = self.is_forced(fields);
                Operation::DeletePods(self.pods(fields)?, is_forced)
            }
            "patch" if entry.is_of_node() => return self.node_patch(fields),
            "drain" => Operation::Drain(self.nodes(fields)?, self.drain(fields)),
            "killLeader" => Operation::KillLeader(self.component(fields)?),
            _ => return None,
        })
    }

    /// Whether pods are deleted without a grace period; one of another length says nothing to the
    /// played kubelets, whose pods stop after `stopDelay`.
    fn is_forced(&mut self, fields: &Fields<'_>) -> bool {
        let stated =
            ["grace", "gracePeriodSeconds"].into_iter().filter(|it| fields.get(it).is_some());
        let grace = stated.map(|key| fields.seconds(key, 0.0, self.diagnostics)).min();
        fields.bool("force", false, self.diagnostics) || grace.is_some_and(SimSpan::is_zero)
    }

    /// Machines stop and boot again.
    fn reboot(&mut self, fields: &Fields<'_>) -> Vec<(SimSpan, Operation)> {
        let nodes = self.nodes(fields);
        let duration = fields.need("duration", self.diagnostics);
        let away = fields.seconds("duration", 0.0, self.diagnostics);
        let (Some(nodes), Some(_)) = (nodes, duration) else { return Vec::new() };
        let power = |is_on| Operation::Power(nodes.clone(), is_on);
        vec![(SimSpan::ZERO, power(false)), (away, power(true))]
    }

    /// A component ends and starts again.
    fn restart(&mut self, fields: &Fields<'_>) -> Vec<(SimSpan, Operation)> {
        let Some(node) = fields.get("component") else { return Vec::new() };
        match node.text().unwrap_or_default() {
            // A controller manager that ends keeps its lease (`ReleaseOnCancel` is not set,
            // cmd/kube-controller-manager/app/controllermanager.go, 1.36).
            "kube-controller-manager" | "controller-manager" | "kcm" => {
                vec![(SimSpan::ZERO, Operation::KillLeader(Component::ControllerManager))]
            }
            "kube-apiserver" | "apiserver" => {
                let away = fields.seconds("duration", 0.0, self.diagnostics);
                vec![(SimSpan::ZERO, Operation::Api(false)), (away, Operation::Api(true))]
            }
            _ => {
                refuse(node, "kube-controller-manager or kube-apiserver", self.diagnostics);
                Vec::new()
            }
        }
    }

    /// A taint that nodes get or lose.
    fn taint(&mut self, fields: &Fields<'_>, is_set: bool) -> Option<Operation> {
        let nodes = self.nodes(fields)?;
        let taint = fields.get("taint");
        let stated = taint.map_or_else(
            || Fields::known(fields.node(), "a taint"),
            |node| Fields::of(node, "a taint", &["effect", "key", "value"], self.diagnostics),
        );
        let key = stated.need("key", self.diagnostics)?;
        match key.text().unwrap_or_default() {
            OUT_OF_SERVICE | "out-of-service" => {
                return Some(Operation::OutOfService(nodes, is_set));
            }
            UNSCHEDULABLE | "unschedulable" => return Some(Operation::Cordon(nodes, is_set)),
            _ => {}
        }
        if !is_set && stated.get("effect").is_none() {
            let key = key.text().unwrap_or_default().to_owned();
            return Some(Operation::Taint(nodes, Taints::Without(key, None)));
        }
        stated.need("effect", self.diagnostics)?;
        let taint = self.taint_of(stated.node())?;
        let change = if is_set {
            Taints::With(taint)
        } else {
            Taints::Without(taint.key, Some(taint.effect))
        };
        Some(Operation::Taint(nodes, change))
    }

    fn taint_of(&mut self, node: &Node) -> Option<Taint> {
        let is_known = |it: &&YamlEntry| ["effect", "key", "value"].contains(&it.key.as_str());
        let entries = node.entries().unwrap_or_default().iter().filter(is_known).cloned();
        let node = Node { span: node.span, value: Value::Mapping(entries.collect()) };
        live::taint(&node, self.diagnostics)
    }

    /// A patch of a Node: whether it takes pods, and its taints.
    fn node_patch(&mut self, fields: &Fields<'_>) -> Option<Operation> {
        let name = fields.need("name", self.diagnostics)?;
        let nodes = self.nodes_named(name.text().unwrap_or_default(), name);
        let patch = fields.need("patch", self.diagnostics)?;
        let spec = patch.get("spec").and_then(Node::entries).unwrap_or_default();
        let is_all = spec.len() == 1 && patch.entries().is_some_and(|it| it.len() == 1);
        let stated = spec.first().filter(|_| is_all);
        let nodes = (!nodes.is_empty()).then_some(Nodes::Listed(nodes))?;
        match stated.map(|it| (it.key.as_str(), &it.value)) {
            Some(("unschedulable", value)) => {
                Some(Operation::Cordon(nodes, value.text() == Some("true")))
            }
            Some(("taints", value)) => {
                let items = value.items().unwrap_or_default().iter();
                let taints = items.filter_map(|item| self.taint_of(item)).collect();
                Some(Operation::Taint(nodes, Taints::Only(taints)))
            }
            _ => {
                let message = "of a Node `spec.unschedulable` or `spec.taints` may change";
                let help = "`taint` sets a single taint, that of a node out of service included";
                let diagnostic = Diagnostic::new(Code::E0014, patch.span, message);
                self.diagnostics.push(diagnostic.help(help));
                None
            }
        }
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

    pub(super) fn workload_named(&mut self, name: &str, node: &Node) -> Option<WorkloadId> {
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
}
