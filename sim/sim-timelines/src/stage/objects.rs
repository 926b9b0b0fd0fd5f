//! The objects of a trace: manifests, classes of bare pods, what is created or patched later.

use model_api::kube::{PodTemplate, Workload};
use model_api::{Blueprint, SimSpan, WorkloadId};
use model_kube::cluster::{NewTemplate, TemplateHealth};
use scenario_format::manifest::{Manifests, Tier, read_objects};
use scenario_format::yaml::{Entry, Node, Scalar, Value};
use scenario_format::{Code, Diagnostic, Span};

use crate::fields::Fields;
use crate::operation::Script;
use crate::patch::merged;

/// With this annotation the recorder's kubelets never reported a pod as ready.
const NEVER_READY: &str = "refk8s/neverReady";

/// All objects that ever are.
#[derive(Debug)]
pub(crate) struct Objects {
    manifests: Manifests,
    /// Where the classes of bare pods begin among the workloads.
    first_class_idx: usize,
    templates: Vec<NewTemplate>,
    patched: Vec<Patched>,
}

/// What a patch changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patched {
    pub(crate) at: SimSpan,
    pub(crate) workload: WorkloadId,
    pub(crate) replicas: Option<u32>,
    /// Position of the new template among [`Objects::templates`].
    pub(crate) template_idx: Option<usize>,
}

impl Objects {
    /// Reads `manifests`, `podClasses` and what the schedule creates.
    pub(super) fn read(
        fields: &Fields<'_>,
        script: &Script<'_>,
        default_toleration: SimSpan,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut nodes: Vec<Node> = fields.items("manifests", diagnostics).to_vec();
        nodes.extend(script.creations(diagnostics));
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
        let mut objects =
            Self { manifests, first_class_idx, templates: Vec::new(), patched: Vec::new() };
        objects.patch(written, script, default_toleration, diagnostics);
        objects
    }

    /// Works out what the patches of the schedule make of the objects.
    fn patch(
        &mut self,
        mut written: Vec<Node>,
        script: &Script<'_>,
        default_toleration: SimSpan,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let text = |node: &Node, path: &[&str]| {
            node.at(path).and_then(Node::text).unwrap_or_default().to_owned()
        };
        for order in script.patches(diagnostics) {
            let name = order.name.text().unwrap_or_default();
            let is_it = |node: &&mut Node| {
                text(node, &["metadata", "name"]) == name
                    && (order.kind.is_empty() || text(node, &["kind"]) == order.kind)
            };
            let workload = self.workload(name);
            let (Some(node), Some(workload)) = (written.iter_mut().find(is_it), workload) else {
                let message = format!("there is no workload `{name}` that could be patched");
                diagnostics.push(Diagnostic::new(Code::E0016, order.name.span, message));
                continue;
            };
            *node = merged(node, order.patch);
            let mut alone = Vec::new();
            read_objects(node.clone(), Tier::CommandLine, &mut alone, diagnostics);
            // Pods refer to priority classes.
            let classes = written.iter().filter(|it| text(it, &["kind"]) == "PriorityClass");
            for class in classes {
                read_objects(class.clone(), Tier::CommandLine, &mut alone, diagnostics);
            }
            let read = Manifests::convert(alone, default_toleration, diagnostics).workloads;
            if let Some(after) = read.into_iter().next() {
                self.note_patch(order.at, workload, after.value);
            }
        }
    }

    fn note_patch(&mut self, at: SimSpan, workload: WorkloadId, mut after: Workload) {
        play_kubelet(&mut after.template);
        let before = self.patched.iter().rev().filter(|it| it.workload == workload);
        let first = &self.manifests.workloads[workload.index()].value;
        let replicas = before.clone().find_map(|it| it.replicas).unwrap_or(first.replicas);
        let known = before.clone().find_map(|it| it.template_idx);
        let template = known.map_or(&first.template, |idx| &self.templates[idx].template);
        let is_new = *template != after.template;
        let template_idx = is_new.then_some(self.templates.len());
        let replicas = (replicas != after.replicas).then_some(after.replicas);
        if is_new {
            let health = TemplateHealth::Good;
            self.templates.push(NewTemplate { workload, template: after.template, health });
        }
        self.patched.push(Patched { at, workload, replicas, template_idx });
    }

    /// Templates that workloads get later.
    pub(super) fn templates(&self) -> &[NewTemplate] {
        &self.templates
    }

    /// What patches change, in the order of the schedule.
    pub(crate) fn patched(&self) -> &[Patched] {
        &self.patched
    }

    /// Puts all of them into a blueprint; no workload wants a pod before it is born.
    pub(super) fn fill(&self, blueprint: &mut Blueprint) {
        let manifests = &self.manifests;
        let unborn = |workload: &Workload| Workload { replicas: 0, ..workload.clone() };
        blueprint.workloads = manifests.workloads.iter().map(|it| unborn(&it.value)).collect();
        blueprint.services = manifests.services.iter().map(|it| it.value.clone()).collect();
        blueprint.budgets = manifests.budgets.iter().map(|it| it.value.clone()).collect();
        blueprint.autoscalers = manifests.autoscalers.iter().map(|it| it.value.clone()).collect();
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

/// A class of bare pods as a Pod; `app` is its label.
fn class(entry: &Entry) -> Node {
    let span = entry.key_span;
    let name = entry.key.as_str();
    let metadata = mapping(
        span,
        vec![
            ("name", text(span, name)),
            ("labels", mapping(span, vec![("app", text(span, name))])),
        ],
    );
    let fields = vec![
        ("apiVersion", text(span, "v1")),
        ("kind", text(span, "Pod")),
        ("metadata", metadata),
        ("spec", entry.value.clone()),
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
