//! `flagger.app/v1beta1 Canary`, read from the tree, and the objects that Flagger makes of it.
//!
//! # Modelled
//! Canaries of Deployments: the primary with its labels, its spread and its autoscaler, the three
//! Services, the analysis by steps, by listed weights, by iterations or by mirroring, the metrics that
//! are built in, suspension. A run begins where everything was set up: the primary answers, and the
//! target has no pod.
//! # Not modelled
//! Canaries of DaemonSets and Services, A/B tests, metrics of templates and queries (they pass), gates
//! and tests of webhooks (they pass), session affinity, time-outs and retries of the routes.
//! # Defaults and their sources
//! Flagger 1.x of 2025: `pkg/apis/flagger/v1beta1/canary.go`, `artifacts/flagger/crd.yaml`,
//! `pkg/router/kubernetes_default.go` (Services), `pkg/canary/deployment_controller.go` and
//! `hpa_reconciler.go`. Where no provider is stated, `-mesh-provider` of Flagger says which; it is
//! taken to be its default, Istio.

use model_api::canary::{
    Analysis, CANARY_SUFFIX, Canary, Metric, MetricCheck, MetricKind, PRIMARY_SUFFIX, Routing,
    SELECTOR_LABELS, TOTAL_WEIGHT, primary_labels, primary_template, selector_label,
};
use model_api::kube::{
    HorizontalPodAutoscaler, LabelSelector, Service, ServicePort, Workload, WorkloadKind,
};
use model_api::{ServiceId, SimSpan, WorkloadId};

use super::{EnvironmentValue, Manifests, Object, Reader, Sourced};
use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::suggestion;
use crate::quantity::Quantity;
use crate::yaml::Node;

/// Providers of `spec.provider` (`artifacts/flagger/crd.yaml`), and what they do with requests.
const PROVIDERS: [(&str, Routing); 19] = [
    ("apisix", Routing::Split),
    ("appmesh", Routing::Split),
    ("appmesh:v1beta2", Routing::Split),
    ("contour", Routing::Split),
    ("gatewayapi:v1", Routing::SplitOrMirror),
    ("gatewayapi:v1beta1", Routing::SplitOrMirror),
    ("gloo", Routing::Split),
    ("istio", Routing::SplitAndMirror),
    ("knative", Routing::Split),
    ("kubernetes", Routing::Whole),
    ("kuma", Routing::Split),
    ("linkerd", Routing::Split),
    ("nginx", Routing::Split),
    ("osm", Routing::Split),
    ("skipper", Routing::Split),
    ("smi:v1alpha1", Routing::Split),
    ("smi:v1alpha2", Routing::Split),
    ("smi:v1alpha3", Routing::Split),
    ("traefik", Routing::Split),
];
/// `MetricInterval`.
const WINDOW: SimSpan = SimSpan::from_secs(60);

/// Makes what Flagger makes of each `Canary` of the input, once everything else is read.
pub(super) fn make_all(objects: &[Object], out: &mut Manifests, diagnostics: &mut Vec<Diagnostic>) {
    for (object_idx, object) in objects.iter().enumerate() {
        if object.key.group == "flagger.app" && object.key.kind == "Canary" {
            let mut maker = Maker { object, object_idx, objects, out };
            maker.make(diagnostics);
        }
    }
}

struct Maker<'a> {
    object: &'a Object,
    object_idx: usize,
    objects: &'a [Object],
    out: &'a mut Manifests,
}

/// What sizes a target.
enum Autoscaler {
    None,
    Horizontal(Box<Sourced<HorizontalPodAutoscaler>>),
    /// Something that is not simulated.
    Scaled,
}

impl Maker<'_> {
    fn make(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let object = self.object;
        let Some(target_idx) = self.target(diagnostics) else { return };
        let target = self.out.workloads[target_idx].value.clone();
        let label = target.selector.as_ref().and_then(selector_label);
        let Some((label, value)) = label.map(|(label, value)| (label, value.to_owned())) else {
            let message = format!(
                "{}: the selector of Deployment {} has none of the labels {}",
                object.title(),
                target.name,
                SELECTOR_LABELS.join(", ")
            );
            let span = object.value_span("spec.targetRef.name");
            diagnostics.push(Diagnostic::new(Code::E0041, span, message));
            return;
        };
        let mut reader = Reader { object, diagnostics };
        let apex = reader.text("spec.service.name").unwrap_or(&target.name).to_owned();
        let canary_name = format!("{apex}{CANARY_SUFFIX}");
        let analysis = reader.canary_analysis(&canary_name);
        let port = reader.canary_port();
        let is_suspended = reader.boolean("spec.suspend", false);
        let (title, origin) = (object.title(), object.origin.clone());
        if let Some((other, shared)) = self.rival(target_idx, &target, &apex) {
            let message = format!("{title} and {} {shared}", other.value.name);
            let first = self.objects[other.object_idx].name_span;
            diagnostics.push(
                Diagnostic::new(Code::E0040, object.name_span, message)
                    .related(first, "the first one"),
            );
            return;
        }
        let Some(autoscaler) = self.autoscaler(&target, diagnostics) else { return };
        let primary = self.primary(target_idx, &target, (label, &value));
        let least = self.scale_primary(&target, autoscaler, diagnostics);
        self.out.workloads[target_idx].value.replicas = 0;
        let selects = |value: &str| [(label.to_owned(), value.to_owned())].into_iter().collect();
        let primary_value = format!("{value}{PRIMARY_SUFFIX}");
        let service = self.service(&apex, selects(&primary_value), &port);
        self.service(&format!("{apex}{PRIMARY_SUFFIX}"), selects(&primary_value), &port);
        let canary_service = self.service(&canary_name, selects(&value), &port);
        let value = Canary {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            target: WorkloadId::from_index(target_idx),
            primary,
            service,
            canary_service,
            label: label.to_owned(),
            replicas: least,
            analysis,
            is_suspended,
            origin,
        };
        self.out.canaries.push(Sourced { value, object_idx: self.object_idx });
    }

    /// The position of the Deployment of `spec.targetRef`.
    fn target(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<usize> {
        let object = self.object;
        let reader = Reader { object, diagnostics };
        let kind = reader.text("spec.targetRef.kind").unwrap_or("Deployment").to_owned();
        let name = reader.text("spec.targetRef.name").unwrap_or_default().to_owned();
        let has_matches = object
            .find("spec.analysis.match")
            .is_some_and(|node| node.items().is_some_and(|items| !items.is_empty()));
        let left_out = if kind != "Deployment" {
            Some(("spec.targetRef.kind", format!("canaries of a {kind} are not simulated")))
        } else if has_matches {
            Some(("spec.analysis.match", "A/B tests are not simulated".to_owned()))
        } else {
            None
        };
        if let Some((path, why)) = left_out {
            let message = format!("{} is left out: {why}", object.title());
            diagnostics.push(Diagnostic::new(Code::W0171, object.value_span(path), message));
            return None;
        }
        let deployments = || {
            let all = self.out.workloads.iter().map(|it| &it.value).enumerate();
            all.filter(|(_, it)| {
                matches!(it.kind, WorkloadKind::Deployment { .. })
                    && it.namespace == object.key.namespace
            })
        };
        let found = deployments().find(|(_, it)| it.name == name).map(|(idx, _)| idx);
        if found.is_none() {
            let message =
                format!("{} tries Deployment {name}, which is not in the input", object.title());
            let help = suggestion(&name, deployments().map(|(_, it)| it.name.as_str()));
            let span = object.value_span("spec.targetRef.name");
            diagnostics.push(Diagnostic::new(Code::W0170, span, message).help_if(help));
        }
        found
    }

    /// The primary of a target: the one that is there already, or a copy.
    fn primary(&mut self, target_idx: usize, target: &Workload, label: (&str, &str)) -> WorkloadId {
        if let Some(id) = self.find_primary(target) {
            return id;
        }
        let name = format!("{}{PRIMARY_SUFFIX}", target.name);
        let (key, value) = label;
        let selected = primary_labels(&Default::default(), key, value);
        let primary = Workload {
            name,
            replicas: target.replicas.max(1),
            selector: Some(LabelSelector { match_labels: selected, ..LabelSelector::default() }),
            template: primary_template(&target.template, &target.name, label),
            ..target.clone()
        };
        let idx = self.out.workloads.len();
        let object_idx = self.out.workloads[target_idx].object_idx;
        self.out.workloads.push(Sourced { value: primary, object_idx });
        let variables = self.out.environment.iter().filter(|it| it.workload_idx == target_idx);
        let copies: Vec<EnvironmentValue> = variables
            .map(|it| EnvironmentValue { workload_idx: idx, value: it.value.clone() })
            .collect();
        self.out.environment.extend(copies);
        WorkloadId::from_index(idx)
    }

    /// A canary that came before and has a part in the same Deployments or Services, and which.
    fn rival(
        &self,
        target_idx: usize,
        target: &Workload,
        apex: &str,
    ) -> Option<(&Sourced<Canary>, &'static str)> {
        let primary = self.find_primary(target);
        let namespace = &self.object.key.namespace;
        self.out.canaries.iter().find_map(|it| {
            let other = &it.value;
            let service = &self.out.services[other.service.index()].value;
            let shared = if other.target.index() == target_idx {
                "have the same target"
            } else if other.primary.index() == target_idx || primary == Some(other.target) {
                "try revisions of a Deployment that is the primary of the other"
            } else if (&service.namespace, service.name.as_str()) == (namespace, apex) {
                "divide requests to the same Service"
            } else {
                return None;
            };
            Some((it, shared))
        })
    }

    fn find_primary(&self, target: &Workload) -> Option<WorkloadId> {
        let name = format!("{}{PRIMARY_SUFFIX}", target.name);
        let is_it = |it: &Sourced<Workload>| {
            matches!(it.value.kind, WorkloadKind::Deployment { .. })
                && (&it.value.namespace, &it.value.name) == (&target.namespace, &name)
        };
        self.out.workloads.iter().position(is_it).map(WorkloadId::from_index)
    }

    /// What `spec.autoscalerRef` names. Nothing is tried while it is not there
    /// (`ReconcilePrimaryScaler`), so that the canary is left out.
    fn autoscaler(
        &self,
        target: &Workload,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Autoscaler> {
        let mut reader = Reader { object: self.object, diagnostics };
        let Some(name) = reader.text("spec.autoscalerRef.name") else {
            return Some(Autoscaler::None);
        };
        let name = name.to_owned();
        let kinds = [("HorizontalPodAutoscaler", true), ("ScaledObject", false)];
        let kind = reader.text("spec.autoscalerRef.kind");
        if !reader.choice("spec.autoscalerRef.kind", kind, true, &kinds) {
            return Some(Autoscaler::Scaled);
        }
        let all =
            || self.out.autoscalers.iter().filter(|it| it.value.namespace == target.namespace);
        if let Some(found) = all().find(|it| it.value.name == name) {
            return Some(Autoscaler::Horizontal(Box::new(found.clone())));
        }
        let object = self.object;
        let message = format!(
            "{} names HorizontalPodAutoscaler {name}, which is not in the input",
            object.title()
        );
        let help = suggestion(&name, all().map(|it| it.value.name.as_str()));
        let span = object.value_span("spec.autoscalerRef.name");
        diagnostics.push(Diagnostic::new(Code::W0170, span, message).help_if(help));
        None
    }

    /// Makes the autoscaler of the primary; the least number of pods that the canary has.
    fn scale_primary(
        &mut self,
        target: &Workload,
        autoscaler: Autoscaler,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<u32> {
        let mut copy = match autoscaler {
            Autoscaler::None => return None,
            Autoscaler::Scaled => return Some(1),
            Autoscaler::Horizontal(found) => *found,
        };
        let least = u32::try_from(copy.value.min_replicas).unwrap_or(1).max(1);
        copy.value.name.push_str(PRIMARY_SUFFIX);
        copy.value.target.name = format!("{}{PRIMARY_SUFFIX}", target.name);
        let mut reader = Reader { object: self.object, diagnostics };
        let mut bound = |field: &str, stated: i32| {
            let path = format!("spec.autoscalerRef.primaryScalerReplicas.{field}");
            let stated = u32::try_from(stated).unwrap_or(0);
            i32::try_from(reader.integer(&path, stated)).unwrap_or(i32::MAX)
        };
        copy.value.min_replicas = bound("minReplicas", copy.value.min_replicas);
        copy.value.max_replicas = bound("maxReplicas", copy.value.max_replicas);
        let is_there = self.out.autoscalers.iter().any(|it| {
            (&it.value.namespace, &it.value.name) == (&copy.value.namespace, &copy.value.name)
        });
        if !is_there {
            self.out.autoscalers.push(copy);
        }
        Some(least)
    }

    /// A Service that Flagger makes, or whose selector and ports it replaces.
    fn service(
        &mut self,
        name: &str,
        selector: model_api::kube::Labels,
        port: &ServicePort,
    ) -> ServiceId {
        let namespace = &self.object.key.namespace;
        let is_it =
            |it: &Sourced<Service>| it.value.namespace == *namespace && it.value.name == name;
        if let Some(idx) = self.out.services.iter().position(is_it) {
            let service = &mut self.out.services[idx].value;
            service.selector = selector;
            service.ports = vec![port.clone()];
            return ServiceId::from_index(idx);
        }
        let value = Service {
            namespace: namespace.clone(),
            name: name.to_owned(),
            selector,
            ports: vec![port.clone()],
            origin: self.object.origin.clone(),
            ..Service::default()
        };
        self.out.services.push(Sourced { value, object_idx: self.object_idx });
        ServiceId::from_index(self.out.services.len() - 1)
    }
}

impl Reader<'_> {
    /// `spec.service`: the port of all three Services.
    fn canary_port(&mut self) -> ServicePort {
        let number = self.integer("spec.service.port", 80);
        let port = u16::try_from(number).unwrap_or_else(|_| {
            self.refuse("spec.service.port", format!("must be at most 65535, is {number}"));
            80
        });
        let target = self.text("spec.service.targetPort").map_or(port.to_string(), str::to_owned);
        let name = self.text("spec.service.portName").unwrap_or("http").to_owned();
        ServicePort { name: Some(name), port, target }
    }

    fn canary_analysis(&mut self, canary_service: &str) -> Analysis {
        let defaults = Analysis::default();
        let weight = |reader: &mut Self, field: &str| {
            let path = format!("spec.analysis.{field}");
            let weight = reader.integer(&path, 0);
            if weight > TOTAL_WEIGHT {
                reader.refuse(&path, format!("must be at most {TOTAL_WEIGHT}, is {weight}"));
            }
            weight.min(TOTAL_WEIGHT)
        };
        let interval = self.go_duration("spec.analysis.interval");
        let deadline = self.integer("spec.progressDeadlineSeconds", 600);
        let provider = self.text("spec.provider");
        Analysis {
            interval: interval.map_or(defaults.interval, |it| it.value),
            threshold: self.integer("spec.analysis.threshold", 0),
            max_weight: weight(self, "maxWeight"),
            step_weight: weight(self, "stepWeight"),
            step_weights: self.step_weights(),
            step_weight_promotion: weight(self, "stepWeightPromotion"),
            iterations: self.integer("spec.analysis.iterations", 0),
            mirrors: self.boolean("spec.analysis.mirror", false),
            metrics: self.canary_metrics(),
            has_load_test: self.has_load_test(canary_service),
            primary_ready_percent: self.integer("spec.analysis.primaryReadyThreshold", 100),
            canary_ready_percent: self.integer("spec.analysis.canaryReadyThreshold", 100),
            is_skipped: self.boolean("spec.skipAnalysis", false),
            progress_deadline: self.seconds("spec.progressDeadlineSeconds", i64::from(deadline)),
            routing: self.choice("spec.provider", provider, Routing::default(), &PROVIDERS),
        }
    }

    fn step_weights(&mut self) -> Vec<u32> {
        let path = "spec.analysis.stepWeights";
        let count = self.object.find(path).and_then(Node::items).map_or(0, <[Node]>::len);
        let weights: Vec<u32> =
            (0..count).map(|idx| self.integer(&format!("{path}[{idx}]"), 0)).collect();
        let rises = weights.windows(2).all(|pair| pair[0] < pair[1]);
        let is_in_range = weights.iter().all(|weight| (1..=TOTAL_WEIGHT).contains(weight));
        if rises && is_in_range {
            return weights;
        }
        self.refuse(path, format!("must rise from 1 to at most {TOTAL_WEIGHT}"));
        Vec::new()
    }

    fn canary_metrics(&mut self) -> Vec<Metric> {
        let path = "spec.analysis.metrics";
        let count = self.object.find(path).and_then(Node::items).map_or(0, <[Node]>::len);
        (0..count).filter_map(|idx| self.canary_metric(&format!("{path}[{idx}]"))).collect()
    }

    /// A metric that is built in, by its name, whatever else is to be asked (`runBuiltinMetricChecks`);
    /// others pass.
    fn canary_metric(&mut self, path: &str) -> Option<Metric> {
        let kind = match self.text(&format!("{path}.name"))? {
            "request-success-rate" => MetricKind::SuccessRate,
            "request-duration" => MetricKind::Duration,
            _ => return None,
        };
        let mut limit = |field: &str| self.metric_value(&format!("{path}.{field}"), kind);
        let (min, max) = (limit("thresholdRange.min"), limit("thresholdRange.max"));
        let threshold = limit("threshold");
        let has_range = self.object.find(&format!("{path}.thresholdRange")).is_some();
        let check = match kind {
            _ if has_range => MetricCheck { min, max },
            MetricKind::SuccessRate => MetricCheck { min: threshold, max: None },
            // Without a limit, any duration is too long (`runBuiltinMetricChecks`).
            MetricKind::Duration => MetricCheck::duration(threshold.unwrap_or(0)),
        };
        let window = self.go_duration(&format!("{path}.interval")).map_or(WINDOW, |it| it.value);
        Some(Metric { kind, check, window })
    }

    /// Percent as parts per million, milliseconds as nanoseconds.
    fn metric_value(&mut self, path: &str, kind: MetricKind) -> Option<i64> {
        let text = self.text(path)?;
        let Ok(value) = Quantity::parse(text) else {
            self.refuse(path, format!("must be a number, is `{text}`"));
            return None;
        };
        let nanos = value.nanos();
        let whole = match kind {
            MetricKind::SuccessRate => nanos / 100_000,
            MetricKind::Duration => nanos / 1_000_000_000 * 1_000_000,
        };
        Some(i64::try_from(whole).unwrap_or(i64::MAX))
    }

    /// Whether a webhook lets the load tester send requests to the Service of the canary: a command
    /// that runs in the background (`pkg/loadtester/server.go`).
    fn has_load_test(&self, canary_service: &str) -> bool {
        let webhooks = self.object.find("spec.analysis.webhooks").and_then(Node::items);
        webhooks.unwrap_or_default().iter().any(|webhook| {
            let text = |path: &[&str]| webhook.at(path).and_then(Node::text);
            let is_during = matches!(text(&["type"]), None | Some("" | "rollout"));
            let is_command = matches!(text(&["metadata", "type"]), None | Some("cmd"));
            let command = text(&["metadata", "cmd"]);
            is_during && is_command && command.is_some_and(|it| it.contains(canary_service))
        })
    }
}
