//! The objects of a trace: manifests, classes of bare pods, what is created or patched later.

use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, PodTemplate, ResourceList, Workload, WorkloadKind,
};
use model_api::{AutoscalerId, Blueprint, BudgetId, SimSpan, WorkloadId};
use model_kube::cluster::{NewTemplate, TemplateHealth};
use scenario_format::manifest::{Manifests, Tier, read_objects};
use scenario_format::yaml::{Entry, Node, Scalar, Value};
use scenario_format::{Code, Diagnostic, Severity, Span};

use crate::fields::Fields;
use crate::operation::{Operation, Script};
use crate::patch::merged;

/// With this annotation the recorder's kubelets never reported a pod as ready.
const NEVER_READY: &str = "refk8s/neverReady";
/// What the name of a resource becomes that the recorder's metrics.k8s.io does not serve.
const UNSERVED: &str = "memory/unserved";

/// All objects that ever are.
#[derive(Debug)]
pub(crate) struct Objects {
    manifests: Manifests,
    /// Where the classes of bare pods begin among the workloads.
    first_class_idx: usize,
    templates: Vec<NewTemplate>,
    /// What patches change, and when.
    patched: Vec<(SimSpan, Operation)>,
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
        let mut now = self.manifests.clone();
        for order in script.patches(diagnostics) {
            let name = order.name.text().unwrap_or_default();
            let is_it = |node: &&mut Node| {
                text(node, &["metadata", "name"]) == name
                    && (order.kind.is_empty()
                        || text(node, &["kind"]).eq_ignore_ascii_case(order.kind))
            };
            let Some(node) = written.iter_mut().find(is_it) else {
                let message = format!("there is no object `{name}` that could be patched");
                diagnostics.push(Diagnostic::new(Code::E0016, order.name.span, message));
                continue;
            };
            *node = merged(node, order.patch);
            let kind = text(node, &["kind"]);
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
                "PodDisruptionBudget" => self.note_budget(order.at, name, &now, &after),
                "HorizontalPodAutoscaler" => self.note_autoscaler(order.at, name, &now, &after),
                _ => self.note_workload(order.at, (&kind, name), &now, &after),
            };
            if !is_told {
                let message = format!("a patch of {kind} `{name}` changes what never changes here");
                let help = "of a workload its replicas, template, strategy, minReadySeconds and \
                            whether it is paused may change; of a budget what it demands; of an \
                            autoscaler its limits and behavior";
                let diagnostic = Diagnostic::new(Code::E0014, order.patch.span, message);
                diagnostics.push(diagnostic.help(help));
            }
            now = after;
        }
    }

    /// Notes what a patch changes of a workload; false when it changes something that stays as it is.
    fn note_workload(
        &mut self,
        at: SimSpan,
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
        if before.replicas != after.replicas {
            operations.push(Operation::Scale(id, after.replicas));
        }
        if before.template != after.template {
            operations.push(Operation::Patch(self.template_idx(id, after.template.clone())));
        }
        if was_held && !is_held {
            operations.push(Operation::Hold(id, false));
        }
        self.patched.extend(operations.into_iter().map(|operation| (at, operation)));
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
        at: SimSpan,
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
        self.patched.push((at, Operation::Budget(id, Box::new(after))));
        is_alike
    }

    fn note_autoscaler(
        &mut self,
        at: SimSpan,
        name: &str,
        before: &Manifests,
        after: &Manifests,
    ) -> bool {
        let of = |manifests: &Manifests| {
            let found = manifests.autoscalers.iter().position(|it| it.value.name == name)?;
            Some((AutoscalerId::from_index(found), manifests.autoscalers[found].value.clone()))
        };
        let (Some((id, before)), Some((_, after))) = (of(before), of(after)) else { return false };
        let is_alike = before.metrics == after.metrics && before.target == after.target;
        self.patched.push((at, Operation::Autoscaler(id, Box::new(after))));
        is_alike
    }

    /// Templates that workloads get later.
    pub(super) fn templates(&self) -> &[NewTemplate] {
        &self.templates
    }

    /// What patches change, in the order of the schedule.
    pub(crate) fn patched(&self) -> &[(SimSpan, Operation)] {
        &self.patched
    }

    /// Puts all of them into a blueprint; no workload wants a pod before it is born.
    pub(super) fn fill(&self, blueprint: &mut Blueprint) {
        let manifests = &self.manifests;
        let unborn = |workload: &Workload| Workload { replicas: 0, ..workload.clone() };
        blueprint.workloads = manifests.workloads.iter().map(|it| unborn(&it.value)).collect();
        blueprint.services = manifests.services.iter().map(|it| it.value.clone()).collect();
        blueprint.budgets = manifests.budgets.iter().map(|it| it.value.clone()).collect();
        blueprint.autoscalers = manifests.autoscalers.iter().map(|it| played(&it.value)).collect();
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
