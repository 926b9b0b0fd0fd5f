//! `schedule`: its entries, and what they do to objects.

use model_api::{Blueprint, NodeId, SimSpan, SimTime, WorkloadId};
use scenario_format::yaml::{self, Node, Scalar, Value};
use scenario_format::{Code, Diagnostic, Span, nearest};

use super::Operation;
use super::resolver::Resolver;
use crate::fields::{Fields, refuse};
use crate::patch::Way;
use crate::read::Timeline;
use crate::stage::nodes::KEYS as GROUP;
use crate::stage::objects::Objects;

/// Most replicas that a trace scales to.
const REPLICAS_MAX: u32 = 10_000;

/// `schedule`, entry by entry, in the order of time.
pub(crate) struct Script<'a> {
    entries: Vec<Entry<'a>>,
}

pub(super) struct Entry<'a> {
    pub(super) at: SimSpan,
    pub(super) op: &'a str,
    pub(super) node: &'a Node,
}

/// Something that an entry does to an object.
pub(crate) struct Change<'a> {
    pub(crate) at: SimSpan,
    /// The entry's position in the schedule.
    pub(crate) nth: usize,
    /// Empty when any kind is meant.
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// Where the name, or the entry, stands.
    pub(crate) place: &'a Node,
    pub(crate) edit: Edit<'a>,
}

/// What becomes of the object.
pub(crate) enum Edit<'a> {
    Patch(&'a Node, Way),
    /// The same by an entry of its own, as a strategic merge patch.
    Set(Node),
    /// It is written anew (`kubectl apply`).
    Replace(&'a Node),
    /// Its template is the one before, or that of a revision (`kubectl rollout undo`).
    Undo(Option<u32>),
    Delete,
}

/// Keys of every entry, then those of each operation.
const COMMON: [&str; 2] = ["at", "op"];
const OPERATIONS: &[(&str, &[&str])] = &[
    ("addNodes", GROUP),
    ("apply", OBJECTS),
    ("arrive", &["order"]),
    ("cordon", NODES),
    ("create", OBJECTS),
    ("delete", &["kind", "manifest", "manifests", "name", "object", "objects"]),
    ("deleteNodes", NODES),
    ("deletePods", &["count", "force", "grace", "gracePeriodSeconds", "nodes", "pods"]),
    ("drain", &["count", "goOn", "nodes", "timeoutPerNode"]),
    ("evict", &["count", "nodes", "pods"]),
    ("heal", NODES),
    ("inService", NODES),
    ("kill", NODES),
    ("killLeader", LEADER),
    ("outOfService", NODES),
    ("partition", NODES),
    ("patch", &["kind", "name", "patch", "subresource", "type"]),
    ("pause", OBJECT),
    ("reboot", &["count", "duration", "nodes"]),
    ("restart", &["component", "duration", "kind", "name"]),
    ("resume", OBJECT),
    ("revive", NODES),
    ("rollback", &["kind", "name", "toRevision"]),
    ("scale", &["kind", "name", "replicas"]),
    ("taint", TAINT),
    ("uncordon", NODES),
    ("undo", &["kind", "name", "toRevision"]),
    ("untaint", TAINT),
];
const NODES: &[&str] = &["count", "nodes"];
const OBJECT: &[&str] = &["kind", "name"];
const OBJECTS: &[&str] = &["manifest", "manifests", "object", "objects"];
const TAINT: &[&str] = &["count", "effect", "key", "nodes", "taint", "value"];

/// Where recorders say whose leader is killed.
pub(super) const LEADER: &[&str] = &["component", "leader", "lease", "n", "name", "nodes"];

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
        // Recorders do what is next, however it was written down.
        entries.sort_by_key(|entry| entry.at);
        Self { entries }
    }

    fn of(&self, op: &'static str) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(move |entry| entry.op == op)
    }

    /// Whether some leader is killed.
    pub(crate) fn kills_leaders(&self) -> bool {
        self.of("killLeader").next().is_some() || self.of("restart").any(Entry::is_of_component)
    }

    /// Groups of nodes that come during the scenario, by the position of their entry.
    pub(crate) fn groups(&self) -> Vec<(usize, Vec<Node>)> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.op == "addNodes");
        entries
            .map(|(nth, entry)| {
                let listed = entry.node.get("nodes").and_then(Node::items);
                (nth, listed.map_or_else(|| vec![entry.without_common()], <[Node]>::to_vec))
            })
            .collect()
    }

    /// Manifests of objects that are created during the scenario; an object that was there before, or
    /// was created by an entry before, is no new one.
    pub(crate) fn creations(
        &self,
        before: &[Node],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<Node> {
        let mut nodes: Vec<Node> = before.to_vec();
        for entry in self.entries.iter().filter(|it| matches!(it.op, "create" | "apply")) {
            let written = entry.objects();
            if written.is_empty() {
                let message = format!("`{}` needs `manifests`", entry.op);
                diagnostics.push(Diagnostic::new(Code::E0013, entry.node.span, message));
            }
            for object in written {
                if entry.op == "create" || !nodes.iter().any(|it| is_same(it, object)) {
                    nodes.push(object.clone());
                }
            }
        }
        nodes.split_off(before.len())
    }

    /// What the schedule does to objects, in its order. `before` are the objects of the start.
    pub(crate) fn changes(
        &self,
        before: &[Node],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<Change<'a>> {
        let mut known: Vec<&Node> = before.iter().collect();
        let mut changes = Vec::new();
        for (nth, entry) in self.entries.iter().enumerate() {
            if entry.is_of_node() || entry.is_of_component() {
                continue;
            }
            match entry.op {
                "create" => known.extend(entry.objects()),
                "apply" => {
                    for object in entry.objects() {
                        if known.iter().any(|it| is_same(it, object)) {
                            changes.extend(entry.change_of(nth, object, Edit::Replace(object)));
                        } else {
                            known.push(object);
                        }
                    }
                }
                "delete" if entry.node.get("name").is_none() => {
                    let objects = entry.objects().into_iter();
                    changes.extend(objects.filter_map(|it| entry.change_of(nth, it, Edit::Delete)));
                }
                _ => changes.extend(entry.change(nth, diagnostics)),
            }
        }
        changes
    }

    /// When a workload of that kind and name is created during the scenario, and by which entry.
    fn created_at(&self, kind: &str, name: &str) -> Option<(SimSpan, usize)> {
        let is_it = |node: &&Node| kind_of(node) == kind && name_of(node) == name;
        let mut entries = self.entries.iter().enumerate();
        let (nth, entry) = entries.find(|(_, entry)| {
            matches!(entry.op, "create" | "apply") && entry.objects().iter().any(is_it)
        })?;
        Some((entry.at, nth))
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

    /// Everything but arrivals, with all names looked up, in the order in which it is done.
    pub(crate) fn resolve(
        &self,
        blueprint: &Blueprint,
        objects: &Objects,
        arrivals: &[(SimTime, WorkloadId, String)],
        added: &[(usize, Vec<NodeId>)],
        zero_at: SimTime,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<(SimTime, Operation)> {
        let mut resolver = Resolver { blueprint, objects, arrivals, diagnostics };
        let mut operations = Vec::new();
        for (nth, entry) in self.entries.iter().enumerate() {
            if let Some((_, nodes)) = added.iter().find(|(of, _)| *of == nth) {
                operations.push((entry.at, nth, Operation::Add(nodes.clone())));
            }
            let done = resolver.operations(entry);
            operations.extend(done.into_iter().map(|(after, it)| (entry.at + after, nth, it)));
        }
        for (name, kind, workload, replicas) in objects.workloads() {
            if !objects.is_of_start(kind, name)
                && let Some((at, nth)) = self.created_at(kind, name)
            {
                operations.push((at, nth, Operation::Scale(workload, replicas)));
            }
        }
        operations.extend(objects.changed().iter().cloned());
        operations.sort_by_key(|(at, nth, _)| (*at, *nth));
        operations.into_iter().map(|(at, _, operation)| (zero_at + at, operation)).collect()
    }
}

impl<'a> Entry<'a> {
    /// A patch of Nodes.
    pub(super) fn is_of_node(&self) -> bool {
        let kind = self.node.get("kind").and_then(Node::text).unwrap_or_default();
        kind.eq_ignore_ascii_case("Node")
    }

    /// A restart of a component, not of a workload.
    pub(super) fn is_of_component(&self) -> bool {
        self.op == "restart" && self.node.get("component").is_some()
    }

    /// The objects that it names: one, a list of them, or both.
    fn objects(&self) -> Vec<&'a Node> {
        let found = OBJECTS.iter().filter_map(|key| self.node.get(key));
        found
            .flat_map(|node| node.items().map_or_else(|| vec![node], |it| it.iter().collect()))
            .collect()
    }

    /// The entry as a group of nodes.
    fn without_common(&self) -> Node {
        let entries = self.node.entries().unwrap_or_default().iter();
        let entries = entries.filter(|it| !COMMON.contains(&it.key.as_str()));
        Node { span: self.node.span, value: Value::Mapping(entries.cloned().collect()) }
    }

    /// A change of an object that is written in full.
    fn change_of(&self, nth: usize, object: &'a Node, edit: Edit<'a>) -> Option<Change<'a>> {
        let place = object.at(&["metadata", "name"])?;
        let (kind, name) = (object.get("kind").and_then(Node::text)?, place.text()?);
        Some(Change { at: self.at, nth, kind, name, place, edit })
    }

    /// A change of an object that is named.
    fn change(&self, nth: usize, diagnostics: &mut Vec<Diagnostic>) -> Option<Change<'a>> {
        let fields = Fields::known(self.node, "an operation");
        let edit = match self.op {
            "patch" => {
                let way = self.way(diagnostics);
                Edit::Patch(fields.need("patch", diagnostics)?, way)
            }
            "scale" => {
                let replicas = fields.count("replicas", 0, 0..=REPLICAS_MAX, diagnostics);
                self.set(&["spec", "replicas"], &replicas.to_string())
            }
            "pause" => self.set(&["spec", "paused"], "true"),
            "resume" => self.set(&["spec", "paused"], "false"),
            // `kubectl rollout restart` writes when it was.
            "restart" => {
                let path = ["spec", "template", "metadata", "annotations", RESTARTED_AT];
                self.set(&path, &format!("after {} ms", self.at.as_millis()))
            }
            "rollback" | "undo" => {
                let stated = fields.get("toRevision");
                let revision = fields.count("toRevision", 0, 0..=u32::MAX, diagnostics);
                Edit::Undo(stated.map(|_| revision).filter(|revision| *revision > 0))
            }
            "delete" => Edit::Delete,
            _ => return None,
        };
        let place = fields.need("name", diagnostics)?;
        let name = place.text().unwrap_or_default();
        Some(Change { at: self.at, nth, kind: fields.text("kind"), name, place, edit })
    }

    /// How its patch is written: as a list, it can be but a JSON patch.
    fn way(&self, diagnostics: &mut Vec<Diagnostic>) -> Way {
        let is_list = self.node.get("patch").is_some_and(|it| it.items().is_some());
        let default = if is_list { Way::Json } else { Way::Strategic };
        let Some(stated) = self.node.get("type") else { return default };
        let text = stated.text().unwrap_or_default();
        let found =
            Way::NAMES.iter().find(|(name, _)| text == *name || text.contains(&format!("/{name}")));
        found.map_or_else(
            || {
                refuse(stated, "strategic, merge or json", diagnostics);
                default
            },
            |(_, way)| *way,
        )
    }

    /// A patch of one field.
    fn set(&self, path: &[&str], value: &str) -> Edit<'a> {
        let span = self.node.span;
        let leaf =
            Node { span, value: Value::Scalar(Scalar { text: value.to_owned(), is_plain: true }) };
        Edit::Set(path.iter().rev().fold(leaf, |value, key| mapping(span, key, value)))
    }
}

/// The annotation of `kubectl rollout restart`
/// (`kubectl/pkg/polymorphichelpers/objectrestarter.go`, 1.36).
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

fn mapping(span: Span, key: &str, value: Node) -> Node {
    let entry = yaml::Entry { key: key.to_owned(), key_span: span, value };
    Node { span, value: Value::Mapping(vec![entry]) }
}

pub(crate) fn kind_of(object: &Node) -> &str {
    object.get("kind").and_then(Node::text).unwrap_or_default()
}

pub(crate) fn name_of(object: &Node) -> &str {
    object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or_default()
}

fn is_same(one: &Node, other: &Node) -> bool {
    kind_of(one) == kind_of(other) && name_of(one) == name_of(other)
}
