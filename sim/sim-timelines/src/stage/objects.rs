//! The objects of a trace: manifests, classes of bare pods, what is created or patched later.

use std::collections::BTreeMap;

use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, PodTemplate, ResourceList, Workload, WorkloadKind,
};
use model_api::{AutoscalerId, Blueprint, BudgetId, SimSpan, WorkloadId};
use model_kube::cluster::{NewTemplate, TemplateHealth};
use scenario_format::manifest::{Manifests, Tier, read_objects};
use scenario_format::yaml::{Entry, Node, Scalar, Value};
use scenario_format::{Code, Diagnostic, Severity, Span, nearest};

use crate::fields::Fields;
use crate::operation::{Change, Edit, Operation, Script, kind_of, name_of};
use crate::patch::{Way, patched};

/// With this annotation the recorder's kubelets never reported a pod as ready.
const NEVER_READY: &str = "refk8s/neverReady";
/// What the name of a resource becomes that the recorder's metrics.k8s.io does not serve.
const UNSERVED: &str = "memory/unserved";
/// Kinds that keep pods in being.
const WORKLOADS: &[&str] = &["DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"];

/// All objects that ever are.
#[derive(Debug)]
pub(crate) struct Objects {
    manifests: Manifests,
    /// Kinds and names of those that are there before the scenario's zero.
    of_start: Vec<(String, String)>,
    /// Where the classes of bare pods begin among the workloads.
    first_class_idx: usize,
    templates: Vec<NewTemplate>,
    /// What the schedule changes, when, and by which of its entries.
    changed: Vec<(SimSpan, usize, Operation)>,
}

impl Objects {
    /// Reads `manifests`, `podClasses` and what the schedule creates.
    pub(super) fn read(
        fields: &Fields<'_>,
        script: &Script<'_>,
        default_toleration: SimSpan,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let before = fields.items("manifests", diagnostics);
        let mut nodes: Vec<Node> = before.to_vec();
        nodes.extend(script.creations(before, diagnostics));
        let written = nodes.clone();
        let classes = fields.get("podClasses").and_then(Node::entries).unwrap_or_default();
        let bare = classes.iter().map(class);
        let mut objects = Vec::new();
        for node in nodes.into_iter().chain(bare) {
            read_objects(node, Tier::CommandLine, &mut objects, diagnostics);
        }
        let mut manifests = Manifests::convert(objects, default_toleration, diagnostics);
        for workload in &mut manifests.workloads {
            play_kubelet(&mut workload.value.template);
        }
        let first_class_idx = manifests.workloads.len().saturating_sub(classes.len());
        let named = |node: &Node| (kind_of(node).to_owned(), name_of(node).to_owned());
        let of_start = before.iter().map(named).collect();
        let (templates, changed) = (Vec::new(), Vec::new());
        let mut objects = Self { manifests, of_start, first_class_idx, templates, changed };
        let changes = script.changes(before, diagnostics);
        objects.change(written, &changes, default_toleration, diagnostics);
        objects
    }

    /// Works out what the changes of the schedule make of the objects.
    fn change(
        &mut self,
        mut written: Vec<Node>,
        changes: &[Change<'_>],
        default_toleration: SimSpan,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut now = self.manifests.clone();
        let mut revisions = Revisions::default();
        for change in changes {
            let Some(idx) = self.found(&written, change, diagnostics) else { continue };
            let (kind, name) =
                (kind_of(&written[idx]).to_owned(), name_of(&written[idx]).to_owned());
            if matches!(change.edit, Edit::Delete) {
                self.note_deletion(change, (&kind, &name), &now, diagnostics);
                continue;
            }
            let edited = match edited(&written[idx], &change.edit, revisions.of(idx, &written[idx]))
            {
                Ok(edited) => edited,
                Err(wrong) => {
                    diagnostics.push(Diagnostic::new(Code::E0014, change.place.span, wrong));
                    continue;
                }
            };
            revisions.note(idx, &edited);
            written[idx] = edited;
            let (mut all, mut said) = (Vec::new(), Vec::new());
            for node in &written {
                read_objects(node.clone(), Tier::CommandLine, &mut all, &mut said);
            }
            let mut after = Manifests::convert(all, default_toleration, &mut said);
            for workload in &mut after.workloads {
                play_kubelet(&mut workload.value.template);
            }
            // What is odd about the objects was said when they were read first.
            diagnostics.extend(said.into_iter().filter(|it| it.code.severity() == Severity::Error));
            let is_told = match kind.as_str() {
                "PodDisruptionBudget" => self.note_budget(change, &name, &now, &after),
                "HorizontalPodAutoscaler" => self.note_autoscaler(change, &name, &now, &after),
                _ => self.note_workload(change, (&kind, &name), &now, &after),
            };
            if !is_told {
                let message = format!("a patch of {kind} `{name}` changes what never changes here");
                let help = "of a workload its replicas, template, strategy, minReadySeconds and \
                            whether it is paused may change; of a budget what it demands; of an \
                            autoscaler its limits, behavior and metrics";
                let diagnostic =
                    Diagnostic::new(Code::E0014, change.edit.place(change).span, message);
                diagnostics.push(diagnostic.help(help));
            }
            now = after;
        }
    }

    /// The object that a change is about, by its position.
    fn found(
        &self,
        written: &[Node],
        change: &Change<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<usize> {
        let is_of_workload =
            !matches!(change.edit, Edit::Patch(..) | Edit::Replace(_) | Edit::Delete);
        let is_it = |node: &Node| {
            let kind = kind_of(node);
            name_of(node) == change.name
                && (change.kind.is_empty() || kind.eq_ignore_ascii_case(change.kind))
                && (!is_of_workload || WORKLOADS.contains(&kind))
        };
        // A name alone is that of a workload, if there is one.
        let is_workload = |node: &Node| is_it(node) && WORKLOADS.contains(&kind_of(node));
        let found = written.iter().position(is_workload);
        let found = found.or_else(|| written.iter().position(is_it));
        if found.is_none() {
            let what = if is_of_workload { "workload" } else { "object" };
            let message = format!("there is no {what} `{}` that could be changed", change.name);
            let help = nearest::suggestion(change.name, written.iter().map(name_of));
            let diagnostic = Diagnostic::new(Code::E0016, change.place.span, message);
            diagnostics.push(diagnostic.help_if(help));
        }
        found
    }

    /// Notes that an object is deleted.
    fn note_deletion(
        &mut self,
        change: &Change<'_>,
        (kind, name): (&str, &str),
        now: &Manifests,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let workload = now.workloads.iter().position(|it| {
            it.value.kind.name() == kind && it.value.name == name && it.value.kind.has_scale()
        });
        let autoscaler = now.autoscalers.iter().position(|it| it.value.name == name);
        let operation = match kind {
            "HorizontalPodAutoscaler" => {
                autoscaler.map(|idx| Operation::DeleteAutoscaler(AutoscalerId::from_index(idx)))
            }
            _ => workload.map(|idx| Operation::DeleteWorkload(WorkloadId::from_index(idx))),
        };
        match operation {
            Some(operation) => self.changed.push((change.at, change.nth, operation)),
            None => {
                let message = format!("{kind} `{name}` is never deleted here");
                let help =
                    "a Deployment, ReplicaSet, StatefulSet or HorizontalPodAutoscaler may be";
                let diagnostic = Diagnostic::new(Code::E0014, change.place.span, message);
                diagnostics.push(diagnostic.help(help));
            }
        }
    }

    /// Notes what a patch changes of a workload; false when it changes something that stays as it is.
    fn note_workload(
        &mut self,
        change: &Change<'_>,
        (kind, name): (&str, &str),
        before: &Manifests,
        after: &Manifests,
    ) -> bool {
        let is_it = |workload: &Workload| workload.kind.name() == kind && workload.name == name;
        let of = |manifests: &Manifests| {
            let found = manifests.workloads.iter().position(|it| is_it(&it.value))?;
            Some((WorkloadId::from_index(found), manifests.workloads[found].value.clone()))
        };
        let (Some((id, before)), Some((_, after))) = (of(before), of(after)) else { return false };
        let mut operations = Vec::new();
        let was_held = before.kind.is_held().unwrap_or(false);
        let is_held = after.kind.is_held().unwrap_or(false);
        if is_held && !was_held {
            operations.push(Operation::Hold(id, true));
        }
        if before.kind != after.kind || before.min_ready != after.min_ready {
            operations.push(Operation::Strategy(id, Box::new(after.clone())));
        }
        // What is said anew counts even where an autoscaler said otherwise meanwhile.
        if before.replicas != after.replicas || change.edit.states_replicas() {
            operations.push(Operation::Scale(id, after.replicas));
        }
        if before.template != after.template {
            operations.push(Operation::Patch(self.template_idx(id, after.template.clone())));
        }
        if was_held && !is_held {
            operations.push(Operation::Hold(id, false));
        }
        let of_change = |operation| (change.at, change.nth, operation);
        self.changed.extend(operations.into_iter().map(of_change));
        has_same_rest(&before, &after)
    }

    /// The number of a template among those that workloads get later. One that was there before is
    /// itself again: a rollback.
    fn template_idx(&mut self, workload: WorkloadId, template: PodTemplate) -> usize {
        let is_it = |it: &NewTemplate| it.workload == workload && it.template == template;
        self.templates.iter().position(is_it).unwrap_or_else(|| {
            let health = TemplateHealth::Good;
            self.templates.push(NewTemplate { workload, template, health });
            self.templates.len() - 1
        })
    }

    fn note_budget(
        &mut self,
        change: &Change<'_>,
        name: &str,
        before: &Manifests,
        after: &Manifests,
    ) -> bool {
        let of = |manifests: &Manifests| {
            let found = manifests.budgets.iter().position(|it| it.value.name == name)?;
            Some((BudgetId::from_index(found), manifests.budgets[found].value.clone()))
        };
        let (Some((id, before)), Some((_, after))) = (of(before), of(after)) else { return false };
        let is_alike = before.selector == after.selector;
        let operation = Operation::Budget(id, Box::new(after));
        self.changed.push((change.at, change.nth, operation));
        is_alike
    }

    fn note_autoscaler(
        &mut self,
        change: &Change<'_>,
        name: &str,
        before: &Manifests,
        after: &Manifests,
    ) -> bool {
        let of = |manifests: &Manifests| {
            let found = manifests.autoscalers.iter().position(|it| it.value.name == name)?;
            Some((AutoscalerId::from_index(found), manifests.autoscalers[found].value.clone()))
        };
        let (Some((id, before)), Some((_, after))) = (of(before), of(after)) else { return false };
        let is_alike = before.target == after.target;
        let operation = Operation::Autoscaler(id, Box::new(played(&after)));
        self.changed.push((change.at, change.nth, operation));
        is_alike
    }

    /// Templates that workloads get later.
    pub(super) fn templates(&self) -> &[NewTemplate] {
        &self.templates
    }

    /// What the schedule changes, in its order: when, and by which of its entries.
    pub(crate) fn changed(&self) -> &[(SimSpan, usize, Operation)] {
        &self.changed
    }

    /// Whether an object is there before the scenario's zero.
    pub(crate) fn is_of_start(&self, kind: &str, name: &str) -> bool {
        self.of_start.iter().any(|(of, named)| of == kind && named == name)
    }

    /// Puts all of them into a blueprint; no workload wants a pod before it is born.
    pub(super) fn fill(&self, blueprint: &mut Blueprint) {
        let manifests = &self.manifests;
        let unborn = |workload: &Workload| Workload { replicas: 0, ..workload.clone() };
        blueprint.workloads = manifests.workloads.iter().map(|it| unborn(&it.value)).collect();
        blueprint.services = manifests.services.iter().map(|it| it.value.clone()).collect();
        blueprint.budgets = manifests.budgets.iter().map(|it| it.value.clone()).collect();
        blueprint.autoscalers = manifests.autoscalers.iter().map(|it| played(&it.value)).collect();
        blueprint.quotas = manifests.quotas.iter().map(|it| it.value.clone()).collect();
        blueprint.claims = manifests.claims.iter().map(|it| it.value.clone()).collect();
        blueprint.storage_classes =
            manifests.storage_classes.iter().map(|it| it.value.clone()).collect();
    }

    /// The workload of that name.
    pub(crate) fn workload(&self, name: &str) -> Option<WorkloadId> {
        let found = self.manifests.workloads.iter().position(|it| it.value.name == name);
        found.map(WorkloadId::from_index)
    }

    /// Workloads that are no classes: name, kind, id, how many pods they want.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = (&str, &'static str, WorkloadId, u32)> {
        let workloads = self.manifests.workloads[..self.first_class_idx].iter().enumerate();
        workloads.map(|(idx, it)| {
            let workload = &it.value;
            let id = WorkloadId::from_index(idx);
            (workload.name.as_str(), workload.kind.name(), id, workload.replicas)
        })
    }

    /// Classes of bare pods.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (String, WorkloadId)> {
        let workloads = self.manifests.workloads.iter().enumerate().skip(self.first_class_idx);
        workloads.map(|(idx, it)| (it.value.name.clone(), WorkloadId::from_index(idx)))
    }
}

/// Templates that workloads had, the newest last, with their numbers (`deployment.kubernetes.io/revision`).
#[derive(Debug, Default)]
struct Revisions(BTreeMap<usize, Vec<(u32, Node)>>);

impl Revisions {
    /// Those of an object so far.
    fn of(&mut self, idx: usize, object: &Node) -> &[(u32, Node)] {
        let template = object.at(&["spec", "template"]).cloned();
        self.0.entry(idx).or_insert_with(|| template.map(|it| (1, it)).into_iter().collect())
    }

    /// Notes the template of an object, which becomes the newest.
    fn note(&mut self, idx: usize, object: &Node) {
        let Some(template) = object.at(&["spec", "template"]) else { return };
        let all = self.0.entry(idx).or_default();
        let newest = all.last().map_or(0, |(number, _)| *number);
        if all.last().is_none_or(|(_, last)| last != template) {
            all.retain(|(_, known)| known != template);
            all.push((newest + 1, template.clone()));
        }
    }
}

/// The object after an edit; what is wrong with the edit, in words, otherwise.
fn edited(object: &Node, edit: &Edit<'_>, revisions: &[(u32, Node)]) -> Result<Node, String> {
    let revision = match edit {
        Edit::Patch(patch, way) => return patched(object, patch, *way),
        Edit::Set(patch) => return patched(object, patch, Way::Strategic),
        Edit::Replace(to) => return Ok((*to).clone()),
        Edit::Delete => return Ok(object.clone()),
        Edit::Undo(revision) => revision,
    };
    let found = match revision {
        Some(number) => revisions.iter().find(|(it, _)| it == number),
        None => revisions.len().checked_sub(2).map(|idx| &revisions[idx]),
    };
    let Some((_, template)) = found else {
        return Err("there is no revision to go back to".to_owned());
    };
    let mut object = object.clone();
    if let Value::Mapping(entries) = &mut object.value
        && let Some(spec) = entries.iter_mut().find(|it| it.key == "spec")
        && let Value::Mapping(entries) = &mut spec.value.value
        && let Some(old) = entries.iter_mut().find(|it| it.key == "template")
    {
        old.value = template.clone();
    }
    Ok(object)
}

impl Edit<'_> {
    /// Where it is written.
    fn place<'a>(&'a self, change: &'a Change<'_>) -> &'a Node {
        match self {
            Self::Patch(patch, _) => patch,
            Self::Replace(object) => object,
            Self::Set(_) | Self::Undo(_) | Self::Delete => change.place,
        }
    }

    /// Whether it says how many pods there are to be.
    fn states_replicas(&self) -> bool {
        let states = |node: &Node| node.at(&["spec", "replicas"]).is_some();
        match self {
            Self::Patch(patch, Way::Json) => patch
                .items()
                .unwrap_or_default()
                .iter()
                .any(|it| it.get("path").and_then(Node::text) == Some("/spec/replicas")),
            Self::Patch(patch, _) => states(patch),
            Self::Set(patch) => states(patch),
            Self::Replace(object) => states(object),
            Self::Undo(_) | Self::Delete => false,
        }
    }
}

/// An autoscaler as the recorder's metrics.k8s.io serves it: of CPU alone. Memory is then a resource of
/// which no pod has a sample, and a metric that fails keeps an autoscaler from scaling down
/// (`computeReplicasForMetrics`, pkg/controller/podautoscaler/horizontal.go, 1.36).
fn played(autoscaler: &HorizontalPodAutoscaler) -> HorizontalPodAutoscaler {
    let mut played = autoscaler.clone();
    for metric in &mut played.metrics {
        if let MetricSource::Resource { name } | MetricSource::ContainerResource { name, .. } =
            &mut metric.source
            && name == ResourceList::MEMORY
        {
            UNSERVED.clone_into(name);
        }
    }
    played
}

/// Whether two states of a workload differ in nothing but what may change.
fn has_same_rest(before: &Workload, after: &Workload) -> bool {
    let fixed = |kind: &WorkloadKind| match kind {
        WorkloadKind::StatefulSet {
            pod_management, ordinals_start, claims, service_name, ..
        } => Some((*pod_management, *ordinals_start, claims.clone(), service_name.clone())),
        _ => None,
    };
    before.kind.name() == after.kind.name()
        && before.selector == after.selector
        && fixed(&before.kind) == fixed(&after.kind)
}

/// The recorder's kubelets look at a container when its probe's initial delay is over, and never
/// again.
fn play_kubelet(template: &mut PodTemplate) {
    let is_sick = template.annotations.get(NEVER_READY).is_some_and(|value| value == "true");
    for container in &mut template.spec.containers {
        container.startup = None;
        container.liveness = None;
        if let Some(probe) = &mut container.readiness {
            probe.period = SimSpan::from_secs(1);
            probe.success_threshold = 1;
        }
    }
    if is_sick && let Some(first) = template.spec.containers.first_mut() {
        first.readiness = Some(model_api::kube::Probe::never_succeeds());
    }
}

/// A class of bare pods as a Pod: its spec, or `metadata` and `spec`; `app` is among its labels, which
/// may stand beside the fields of the spec.
fn class(entry: &Entry) -> Node {
    let span = entry.key_span;
    let name = entry.key.as_str();
    let written = entry.value.entries().unwrap_or_default();
    let is_whole = entry.value.get("spec").is_some();
    let labels = if is_whole { &["metadata", "labels"][..] } else { &["labels"][..] };
    let mut labels: Vec<Entry> =
        entry.value.at(labels).and_then(Node::entries).unwrap_or_default().to_vec();
    if labels.iter().all(|it| it.key != "app") {
        labels.push(Entry { key: "app".to_owned(), key_span: span, value: text(span, name) });
    }
    let labels = Node { span, value: Value::Mapping(labels) };
    let mut metadata = vec![("name", text(span, name)), ("labels", labels)];
    metadata
        .extend(entry.value.at(&["metadata", "annotations"]).map(|it| ("annotations", it.clone())));
    let is_of_spec = |it: &&Entry| it.key != "labels";
    let spec = match entry.value.get("spec") {
        Some(spec) => spec.clone(),
        None => {
            let entries = written.iter().filter(is_of_spec).cloned().collect();
            Node { span: entry.value.span, value: Value::Mapping(entries) }
        }
    };
    let fields = vec![
        ("apiVersion", text(span, "v1")),
        ("kind", text(span, "Pod")),
        ("metadata", mapping(span, metadata)),
        ("spec", spec),
    ];
    mapping(span, fields)
}

fn text(span: Span, text: &str) -> Node {
    let scalar = Scalar { text: text.to_owned(), is_plain: false };
    Node { span, value: Value::Scalar(scalar) }
}

fn mapping(span: Span, fields: Vec<(&str, Node)>) -> Node {
    let entry = |(key, value): (&str, Node)| Entry { key: key.to_owned(), key_span: span, value };
    Node { span, value: Value::Mapping(fields.into_iter().map(entry).collect()) }
}
