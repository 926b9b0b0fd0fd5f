//! What the metrics are that autoscalers read.

use std::collections::BTreeMap;

use model_api::SimSpan;
use model_api::kube::{HorizontalPodAutoscaler, MetricSource};
use model_api::metric::{RequestMetric, name_of};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{MetricSpec, PlatformDocument, ScenarioDocument};
use crate::nearest::suggestion;
use crate::source::Span;

/// What a rate is the mean over: the range of the query that the walkthrough of prometheus-adapter
/// 0.12 writes (`docs/walkthrough.md`).
const WINDOW: SimSpan = SimSpan::from_mins(2);
/// From one scrape to the next: `scrapeInterval` of a Prometheus of prometheus-operator 0.84
/// (`pkg/apis/monitoring/v1/prometheus_types.go`).
const SCRAPE_INTERVAL: SimSpan = SimSpan::from_secs(30);
/// As long as the time before a run that its pods are there.
const WINDOW_MAX: SimSpan = SimSpan::from_hours(1);

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of metrics.
    pub(super) fn metrics(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let mut metrics: BTreeMap<String, (RequestMetric, &MetricSpec)> = BTreeMap::new();
        for specs in [&platform.spec.metrics, &scenario.spec.metrics] {
            let mut stated: BTreeMap<&str, Span> = BTreeMap::new();
            for spec in specs {
                let name = &spec.name;
                if let Some(first) = stated.insert(&name.value, name.span) {
                    let message = format!("what `{}` measures is stated already", name.value);
                    let diagnostic = Diagnostic::new(Code::E0018, name.span, message);
                    self.diagnostics.push(diagnostic.related(first, "first here"));
                } else if let Some(metric) = self.metric(spec) {
                    metrics.insert(name.value.clone(), (metric, spec));
                }
            }
        }
        self.blueprint.metrics = metrics.values().map(|(metric, _)| metric.clone()).collect();
        for (_, spec) in metrics.into_values() {
            self.check_readers(spec);
        }
    }

    fn metric(&mut self, spec: &MetricSpec) -> Option<RequestMetric> {
        let service = match &spec.service {
            Some(name) => Some(self.service(name)?),
            None => None,
        };
        let window = spec.window.map_or(WINDOW, |it| it.value);
        let scrape_interval = spec.scrape_interval.map_or(SCRAPE_INTERVAL, |it| it.value);
        let place = spec.window.or(spec.scrape_interval).map_or(spec.span, |it| it.span);
        if scrape_interval.is_zero() || window > WINDOW_MAX {
            let message =
                "scrapes are some time apart, and a rate is the mean over an hour at most";
            self.report(Code::E0021, place, message);
            return None;
        }
        if window < scrape_interval * 2 {
            let message = format!(
                "a window of {window} may hold a single scrape when there is one each {scrape_interval}"
            );
            let help = format!("a `window` of at least {}", scrape_interval * 2);
            self.diagnostics.push(Diagnostic::new(Code::E0045, place, message).help(help));
            return None;
        }
        Some(RequestMetric {
            name: spec.name.value.clone(),
            figure: spec.measures.value,
            service,
            scrape_interval,
            window,
            origin: spec.span.origin(),
        })
    }

    /// Whether each autoscaler that reads a metric finds requests in it.
    fn check_readers(&mut self, spec: &MetricSpec) {
        let manifests = self.manifests;
        let mut is_read = false;
        for sourced in &manifests.autoscalers {
            for (idx, metric) in sourced.value.metrics.iter().enumerate() {
                if name_of(&metric.source) == Some(&spec.name.value) {
                    is_read = true;
                    let path = format!("spec.metrics[{idx}]");
                    let reader = manifests.object(sourced);
                    let place = (reader.title(), reader.span(&path));
                    self.check_reader(spec, &sourced.value, &metric.source, place);
                }
            }
        }
        if !is_read {
            let metrics = manifests.autoscalers.iter().flat_map(|it| &it.value.metrics);
            let names: Vec<&str> =
                metrics.filter_map(|it| name_of(&it.source)).map(String::as_str).collect();
            let message = format!("no HorizontalPodAutoscaler reads `{}`", spec.name.value);
            let help = suggestion(&spec.name.value, names);
            let diagnostic = Diagnostic::new(Code::W0176, spec.name.span, message);
            self.diagnostics.push(diagnostic.help_if(help));
        }
    }

    fn check_reader(
        &mut self,
        spec: &MetricSpec,
        autoscaler: &HorizontalPodAutoscaler,
        source: &MetricSource,
        (title, span): (String, Span),
    ) {
        let name = &spec.name.value;
        let found = self.blueprint.request_metric(autoscaler, source);
        let Some((_, services)) = found else {
            if !matches!(source, MetricSource::Pods(_)) {
                let message =
                    format!("{title} reads `{name}`, and it is not said of which Service");
                let diagnostic = Diagnostic::new(Code::E0044, spec.span, message);
                let help = "add `service: namespace/name`";
                self.diagnostics.push(diagnostic.related(span, "read here").help(help));
            }
            return;
        };
        let Some(target) = self.blueprint.horizontal_target(autoscaler) else { return };
        let behind = self.blueprint.services_before(target);
        if matches!(source, MetricSource::Pods(_)) && services.iter().all(|it| !behind.contains(it))
        {
            let workload = self.blueprint.workload_name(target);
            let service = self.blueprint.service_name(services[0]);
            let message = format!(
                "{title} reads `{name}` of the pods of {workload}, and these do not stand behind {service}"
            );
            let place = spec.service.as_ref().map_or(spec.span, |it| it.span);
            let diagnostic = Diagnostic::new(Code::E0046, place, message);
            let help = "leave `service` out: then it is the Services that the pods stand behind";
            self.diagnostics.push(diagnostic.related(span, "read here").help(help));
        }
    }
}
