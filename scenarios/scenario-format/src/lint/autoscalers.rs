//! Autoscalers that cannot work: W0116, W0130 to W0132, W0142, W0143, W0175, W0177, W0252.

use model_api::kube::off_peak::is_contradiction;
use model_api::kube::{
    Container, HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, ResourceList,
    SCALE_UP_DELAY, ScaleTarget, UpdateMode, Workload, WorkloadKind, scale_up_delay,
};
use model_api::metric::name_of;

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;
use crate::nearest::{nearest, suggestion};

impl<'a> Lint<'a> {
    pub(super) fn autoscalers(&mut self) {
        for (idx, autoscaler) in self.manifests.autoscalers.iter().enumerate() {
            let object = self.manifests.object(autoscaler);
            self.rival(idx, &autoscaler.value, object);
            match self.target_of(&autoscaler.value.namespace, &autoscaler.value.target) {
                None => {
                    self.lost_target(&autoscaler.value.target, object, "spec.scaleTargetRef.name")
                }
                Some((workload, target)) => {
                    self.unscalable(workload, &autoscaler.value, object);
                    self.undone(workload, target, &autoscaler.value);
                    for (idx, metric) in autoscaler.value.metrics.iter().enumerate() {
                        self.unmeasured(idx, metric, workload, object);
                        self.unplayed(idx, &autoscaler.value, object);
                    }
                }
            }
        }
    }

    /// W0252.
    pub(super) fn scale_up_delays(&mut self) {
        let Some(autoscaler) = &self.blueprint.cluster_autoscaler else { return };
        let least = autoscaler.new_pod_scale_up_delay.unwrap_or_default();
        for (workload, object) in self.workloads() {
            let why = match scale_up_delay(&workload.template.annotations) {
                Some(Err(text)) => format!("`{text}` is no duration"),
                Some(Ok(delay)) if delay < least => {
                    format!("{delay} is less than the {least} of --new-pod-scale-up-delay")
                }
                _ => continue,
            };
            let message = format!("{}: {SCALE_UP_DELAY}: {why}", object.title());
            let path = match workload.kind {
                WorkloadKind::Pod => "metadata.annotations",
                _ => "spec.template.metadata.annotations",
            };
            self.warn(Code::W0252, object, path, message);
        }
    }

    pub(super) fn vertical_autoscalers(&mut self) {
        for autoscaler in &self.manifests.vertical_autoscalers {
            let object = self.manifests.object(autoscaler);
            let autoscaler = &autoscaler.value;
            if self.target_of(&autoscaler.namespace, &autoscaler.target).is_none() {
                self.lost_target(&autoscaler.target, object, "spec.targetRef.name");
            }
            self.unapplied(autoscaler.update_mode, object);
        }
    }

    /// W0143.
    fn unapplied(&mut self, mode: UpdateMode, object: &Object) {
        if mode == UpdateMode::Off {
            return;
        }
        let message = format!(
            "{} has updateMode {}: what it recommends is told, not applied",
            object.title(),
            mode.name()
        );
        let span = object.value_span("spec.updatePolicy.updateMode");
        self.push(object, Diagnostic::new(Code::W0143, span, message));
    }

    fn target_of(
        &self,
        namespace: &str,
        target: &ScaleTarget,
    ) -> Option<(&'a Workload, &'a Object)> {
        self.workloads().find(|(workload, _)| {
            workload.kind.name() == target.kind
                && workload.name == target.name
                && workload.namespace == namespace
        })
    }

    /// W0116. Objects of kinds that are not read count too: a custom resource may have a scale.
    fn lost_target(&mut self, target: &ScaleTarget, object: &Object, path: &str) {
        let alike = |other: &&Object| {
            other.key.kind == target.kind && other.key.namespace == object.key.namespace
        };
        let objects = self.manifests.objects.iter().filter(alike);
        let names: Vec<&str> = objects.map(|other| other.key.name.as_str()).collect();
        if names.contains(&target.name.as_str()) {
            return;
        }
        let message = format!(
            "{} looks after {} {}, which is not in the input",
            object.title(),
            target.kind,
            target.name
        );
        let span = object.value_span(path);
        let help = suggestion(&target.name, names);
        self.push(object, Diagnostic::new(Code::W0116, span, message).help_if(help));
    }

    /// W0131: said of the second.
    fn rival(&mut self, idx: usize, autoscaler: &HorizontalPodAutoscaler, object: &Object) {
        let earlier = self.manifests.autoscalers[..idx].iter().find(|earlier| {
            earlier.value.namespace == autoscaler.namespace
                && earlier.value.target == autoscaler.target
        });
        let Some(earlier) = earlier else { return };
        let first = self.manifests.object(earlier);
        let target = &autoscaler.target;
        let message = format!(
            "{} and {} scale the same {} {}",
            first.title(),
            object.title(),
            target.kind,
            target.name
        );
        let span = object.value_span("spec.scaleTargetRef.name");
        let diagnostic = Diagnostic::new(Code::W0131, span, message);
        self.push(object, diagnostic.related(first.name_span, "the first one"));
    }

    /// W0142.
    fn undone(
        &mut self,
        workload: &Workload,
        object: &Object,
        autoscaler: &HorizontalPodAutoscaler,
    ) {
        let min_replicas = u32::try_from(autoscaler.min_replicas).ok();
        let of_it = self.blueprint.off_peak.iter().find(|it| {
            let other = &self.blueprint.workloads[it.workload.index()];
            other.kind.name() == workload.kind.name()
                && (&other.namespace, &other.name) == (&workload.namespace, &workload.name)
        });
        let Some(off_peak) = of_it.filter(|it| is_contradiction(&it.schedule, min_replicas)) else {
            return;
        };
        let message = format!(
            "{} is {} in its downtime, and {} keeps it at {}",
            object.title(),
            off_peak.schedule.downtime_replicas,
            autoscaler.name,
            autoscaler.min_replicas
        );
        let span = object.value_span("metadata.annotations");
        self.push(object, Diagnostic::new(Code::W0142, span, message));
    }

    /// W0132.
    fn unscalable(
        &mut self,
        workload: &Workload,
        autoscaler: &HorizontalPodAutoscaler,
        object: &Object,
    ) {
        if !workload.kind.has_scale() {
            let kind = &autoscaler.target.kind;
            let message = format!("{}: a {kind} has no scale to be changed", object.title());
            let span = object.value_span("spec.scaleTargetRef.kind");
            self.push(object, Diagnostic::new(Code::W0132, span, message));
        }
    }

    /// W0175, W0177.
    fn unplayed(&mut self, idx: usize, autoscaler: &HorizontalPodAutoscaler, object: &Object) {
        let source = &autoscaler.metrics[idx].source;
        if self.blueprint.is_measured(autoscaler, source) {
            return;
        }
        let title = object.title();
        let (code, field, message, help) = match (source, name_of(source)) {
            (MetricSource::Resource { name }, _) if name == ResourceList::MEMORY => (
                Code::W0177,
                "resource.name",
                format!("{title} reads memory, and nothing says how much its pods use"),
                Some(self.memory_entry(autoscaler, None)),
            ),
            (MetricSource::ContainerResource { name, container }, _)
                if name == ResourceList::MEMORY =>
            {
                (
                    Code::W0177,
                    "containerResource.container",
                    format!(
                        "{title} reads memory of {container}, and nothing says how much it uses"
                    ),
                    Some(self.memory_entry(autoscaler, Some(container))),
                )
            }
            (MetricSource::Resource { name } | MetricSource::ContainerResource { name, .. }, _) => {
                (
                    Code::W0175,
                    "type",
                    format!(
                        "{title} reads {name}, which is not simulated: it fails, so that its target never shrinks"
                    ),
                    None,
                )
            }
            (_, name) => {
                let name = name.map_or("", String::as_str);
                let is_stated = self.blueprint.metrics.iter().any(|it| it.name == name);
                let message = if is_stated {
                    format!(
                        "{title} reads `{name}` of pods that stand behind no Service: it fails, so that its target never shrinks"
                    )
                } else {
                    format!(
                        "{title} reads `{name}`, and nothing says what it measures: it fails, so that its target never shrinks"
                    )
                };
                let help = (!is_stated).then(|| self.metric_entry(name, source));
                (Code::W0175, metric_field(source), message, help)
            }
        };
        let span = object.value_span(&format!("spec.metrics[{idx}].{field}"));
        // The primary of a canary has a copy of the autoscaler of its target.
        if self.diagnostics.iter().any(|it| it.code == code && it.span == Some(span)) {
            return;
        }
        self.push(object, Diagnostic::new(code, span, message).help_if(help));
    }

    fn memory_entry(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        container: Option<&str>,
    ) -> String {
        let workload = format!("{}/{}", autoscaler.namespace, autoscaler.target.name);
        let container = container.map_or(String::new(), |name| format!(", container: {name}"));
        format!("under `memory`: {{workload: {workload}{container}, base: 200Mi}}")
    }

    fn metric_entry(&self, name: &str, source: &MetricSource) -> String {
        let stated = self.blueprint.metrics.iter().map(|it| it.name.as_str());
        if let Some(close) = nearest(name, stated) {
            return format!("`metrics` says what `{close}` measures: is it meant?");
        }
        let is_known = match source {
            MetricSource::Object { described, .. } => {
                described.kind == "Service" || described.kind == "Ingress"
            }
            MetricSource::External(_) => false,
            _ => true,
        };
        let service = if is_known { "" } else { ", service: namespace/name" };
        format!("under `metrics`: {{name: {name}, measures: requestRate{service}}}")
    }

    /// W0130.
    fn unmeasured(
        &mut self,
        idx: usize,
        metric: &MetricSpec,
        workload: &Workload,
        object: &Object,
    ) {
        let (field, resource, wanted) = match &metric.source {
            MetricSource::Resource { name } => ("resource.name", name, None),
            MetricSource::ContainerResource { name, container } => {
                ("containerResource.container", name, Some(container))
            }
            _ => return,
        };
        let span = object.value_span(&format!("spec.metrics[{idx}].{field}"));
        let spec = &workload.template.spec;
        let sidecars = spec.init_containers.iter().filter(|it| it.restart_always);
        let all = spec.containers.iter().chain(sidecars);
        let measured: Vec<&Container> =
            all.clone().filter(|it| wanted.is_none_or(|name| *name == it.name)).collect();
        if let (Some(name), true) = (wanted, measured.is_empty()) {
            let message = format!(
                "{}: {} {} has no container {name}",
                object.title(),
                workload.kind.name(),
                workload.name
            );
            let help = suggestion(name, all.map(|it| it.name.as_str()));
            self.push(object, Diagnostic::new(Code::W0130, span, message).help_if(help));
            return;
        }
        // With requests of the pod as such, those of the containers do not count.
        let asks_by_pod = wanted.is_none() && !spec.requests.0.is_empty();
        if asks_by_pod || !matches!(metric.target, MetricTarget::Utilization(_)) {
            return;
        }
        if let Some(silent) = measured.iter().find(|it| it.requests.get(resource).is_none()) {
            let message = format!(
                "{}: container {} of {} {} requests no {resource}, so there is no utilization",
                object.title(),
                silent.name,
                workload.kind.name(),
                workload.name
            );
            self.push(object, Diagnostic::new(Code::W0130, span, message));
        }
    }
}

/// Where a metric that is not of a resource has its name.
fn metric_field(source: &MetricSource) -> &'static str {
    match source {
        MetricSource::Object { .. } => "object.metric.name",
        MetricSource::External(_) => "external.metric.name",
        _ => "pods.metric.name",
    }
}
