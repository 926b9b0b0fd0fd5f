//! Horizontal autoscalers: what is filled in, what is refused, and where.

use model_api::action::Action;
use model_api::fault::FaultKind;
use model_api::kube::{
    ContainerResourcePolicy, HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget,
    ScalingRules, SelectPolicy, UpdateMode,
};
use model_api::metric::RequestFigure;
use model_api::{AutoscalerId, Blueprint, SimSpan};

use crate::support::{load_all, said, web};

fn manifest(version: &str, spec: &str) -> String {
    format!(
        "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h, namespace: shop}}\nspec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n{spec}"
    )
}

/// What is read, when all that is said is that some metrics are not simulated.
fn read(version: &str, spec: &str) -> HorizontalPodAutoscaler {
    let files = web("").with("h.yaml", manifest(version, spec));
    let loaded = load_all(&files, &["web.yaml", "h.yaml"], &[]);
    let others =
        said(&loaded).into_iter().filter(|it| !it.contains("W0175") && !it.contains("W0177"));
    assert_eq!(others.collect::<Vec<String>>(), Vec::<String>::new());
    loaded.resolved.expect("valid").blueprint.autoscalers.remove(0)
}

fn cpu(target: MetricTarget) -> MetricSpec {
    MetricSpec { source: MetricSource::Resource { name: "cpu".to_owned() }, target }
}

#[test]
fn defaults_are_those_of_the_api_server() {
    let found = read("v2", "  maxReplicas: 5\n");
    assert_eq!((found.min_replicas, found.max_replicas), (1, 5));
    assert_eq!(found.metrics, [cpu(MetricTarget::Utilization(80))]);
    assert_eq!(found.behavior, None);
    assert_eq!((found.target.kind.as_str(), found.target.name.as_str()), ("Deployment", "web"));
    let old =
        read("v1", "  minReplicas: 2\n  maxReplicas: 5\n  targetCPUUtilizationPercentage: 55\n");
    assert_eq!((old.min_replicas, old.metrics), (2, vec![cpu(MetricTarget::Utilization(55))]));
}

#[test]
fn a_behavior_is_filled_in_on_both_sides() {
    let spec = "  maxReplicas: 5\n  behavior:\n    scaleDown: {tolerance: 50m, policies: [{type: Pods, value: 2, periodSeconds: 60}]}\n";
    let behavior = read("v2", spec).behavior.expect("stated");
    assert_eq!(behavior.scale_up, ScalingRules::default_up());
    let down = behavior.scale_down;
    assert_eq!((down.stabilization_window, down.tolerance), (None, Some(0.05)));
    assert_eq!((down.select_policy, down.policies.len()), (SelectPolicy::Max, 1));
    assert_eq!(down.policies[0].period, SimSpan::from_secs(60));
    let spec = "  maxReplicas: 5\n  behavior: {scaleUp: {stabilizationWindowSeconds: 30, selectPolicy: Disabled}}\n";
    let behavior = read("v2", spec).behavior.expect("stated");
    assert_eq!(behavior.scale_down, ScalingRules::default_down());
    let up = behavior.scale_up;
    assert_eq!(up.stabilization_window, Some(SimSpan::from_secs(30)));
    assert_eq!((up.select_policy, up.policies.len()), (SelectPolicy::Disabled, 2));
}

#[test]
fn every_kind_of_metric_is_read() {
    let spec = "  maxReplicas: 5\n  metrics:\n    - {type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 1k}}}\n    - {type: Object, object: {describedObject: {apiVersion: v1, kind: Service, name: web}, metric: {name: hits}, target: {type: Value, value: 2500m}}}\n    - {type: External, external: {metric: {name: queue, selector: {matchLabels: {q: a}}}, target: {type: AverageValue, averageValue: 30}}}\n    - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Ki}}}\n";
    let metrics = read("v2", spec).metrics;
    let targets: Vec<MetricTarget> = metrics.iter().map(|metric| metric.target).collect();
    let average = MetricTarget::AverageValue;
    let expected =
        [average(1_000_000), MetricTarget::Value(2500), average(30_000), average(1_024_000)];
    assert_eq!(targets, expected);
    assert!(matches!(&metrics[2].source, MetricSource::External(it) if it.selector.is_some()));
}

#[test]
fn what_the_api_server_refuses_is_refused_at_its_place() {
    let cases = [
        ("  maxReplicas: 2\n  minReplicas: 3\n", "maxReplicas"),
        ("  maxReplicas: 2\n  minReplicas: 0\n", "minReplicas"),
        ("  maxReplicas: 0\n", "maxReplicas"),
        ("  maxReplicas: 2\n  metrics: [{type: Pod}]\n", "type"),
        ("  maxReplicas: 2\n  metrics: [{type: Pods}]\n", "type"),
        (
            "  maxReplicas: 2\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization}}}]\n",
            "target",
        ),
        (
            "  maxReplicas: 2\n  behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}}\n",
            "periodSeconds",
        ),
        (
            "  maxReplicas: 2\n  behavior: {scaleUp: {stabilizationWindowSeconds: 3601}}\n",
            "stabilizationWindowSeconds",
        ),
        ("  maxReplicas: 2\n  behavior: {scaleDown: {policies: []}}\n", "policies"),
        ("  maxReplicas: 2\n  behavior: {scaleUp: {tolerance: -1}}\n", "tolerance"),
    ];
    for (spec, field) in cases {
        let text = manifest("v2", spec);
        let key = format!("{field}:");
        let (row, line) =
            text.lines().enumerate().find(|(_, line)| line.contains(&key)).expect("it is there");
        let value_at = line.find(&key).expect("it is there") + key.len() + 1;
        let place = format!("{}:{}", row + 1, value_at + 1);
        let files = web("").with("h.yaml", &text);
        let loaded = load_all(&files, &["web.yaml", "h.yaml"], &[]);
        let said = said(&loaded);
        let start = format!("h.yaml:{place}: E0022");
        let is_said = said.iter().any(|line| line.starts_with(&start) && line.contains(field));
        assert!(is_said, "{start} {field} in {said:?}");
    }
}

const PODS: &str =
    "{type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 100}}}";
const SERVICE: &str = "{type: Object, object: {describedObject: {apiVersion: v1, kind: Service, name: web}, metric: {name: rps}, target: {type: Value, value: 100}}}";
const OTHER: &str = "{type: Object, object: {describedObject: {kind: Queue, name: q}, metric: {name: rps}, target: {type: Value, value: 100}}}";
const OUTSIDE: &str = "{type: External, external: {metric: {name: rps}, target: {type: AverageValue, averageValue: 30}}}";

/// What is said of an autoscaler with a metric, and the blueprint.
fn with_metric(metric: &str, more: &str) -> (Vec<String>, Option<Blueprint>) {
    let text = manifest("v2", &format!("  maxReplicas: 5\n  metrics: [{metric}]\n"));
    let files = web(more).with("h.yaml", text);
    let loaded = load_all(&files, &["web.yaml", "h.yaml"], &[]);
    (said(&loaded), loaded.resolved.map(|it| it.blueprint))
}

#[test]
fn a_metric_is_what_the_scenario_says_it_is() {
    let by_itself = "  metrics: [{name: rps, measures: requestRate}]\n";
    let of_web = "  metrics: [{name: rps, measures: requestsInFlight, service: shop/web, scrapeInterval: 10s, window: 40s}]\n";
    let cases = [
        (PODS, by_itself),
        (SERVICE, by_itself),
        (PODS, of_web),
        (OTHER, of_web),
        (OUTSIDE, of_web),
    ];
    for (metric, more) in cases {
        let (said, blueprint) = with_metric(metric, more);
        assert_eq!(said, Vec::<String>::new(), "{metric} {more}");
        let blueprint = blueprint.expect("valid");
        let autoscaler = &blueprint.autoscalers[0];
        let source = &autoscaler.metrics[0].source;
        assert!(blueprint.is_measured(autoscaler, source), "{metric}");
        let (metric, services) = blueprint.request_metric(autoscaler, source).expect("measured");
        assert_eq!(services.len(), 1);
        assert_eq!(blueprint.service_name(services[0]), "shop/web");
        let (figure, window) = if more == by_itself {
            (RequestFigure::Rate, SimSpan::from_mins(2))
        } else {
            (RequestFigure::InFlight, SimSpan::from_secs(40))
        };
        assert_eq!((metric.figure, metric.window), (figure, window));
    }
}

#[test]
fn a_metric_that_is_not_simulated_says_what_to_write() {
    let memory = "{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Gi}}}";
    let of_container = "{type: ContainerResource, containerResource: {name: memory, container: web, target: {type: Utilization, averageUtilization: 60}}}";
    let base = "  memory: [{workload: shop/web, base: 30Mi}]\n";
    let wrong = |spec: &str| format!("  metrics: [{{name: rps, measures: requestRate{spec}}}]\n");
    let cases = [
        (PODS, String::new(), "W0175"),
        (SERVICE, String::new(), "W0175"),
        (OUTSIDE, String::new(), "W0175"),
        (PODS, "  metrics: [{name: rsp, measures: requestRate}]\n".to_owned(), "W0176"),
        (PODS, "  metrics: [{name: rsp, measures: requestRate}]\n".to_owned(), "W0175"),
        (memory, String::new(), "W0177"),
        (of_container, String::new(), "W0177"),
        (OUTSIDE, wrong(""), "E0044"),
        (OTHER, wrong(""), "E0044"),
        (PODS, wrong(", window: 59s"), "E0045"),
        (PODS, wrong(", scrapeInterval: 61s"), "E0045"),
        (PODS, wrong(", window: 2h"), "E0021"),
        (PODS, wrong(", scrapeInterval: 0s"), "E0021"),
        (PODS, wrong(", service: shop/wep"), "E0016"),
        (PODS, wrong("}, {name: rps, measures: requestRate"), "E0018"),
    ];
    for (metric, more, code) in cases {
        let (said, _) = with_metric(metric, &more);
        assert!(said.iter().any(|one| one.contains(code)), "{metric} {more}: {said:?}");
    }
    for metric in [memory, of_container] {
        assert_eq!(with_metric(metric, base).0, Vec::<String>::new());
    }
    let (said, _) = with_metric(PODS, "");
    let entry = "{name: rps, measures: requestRate}";
    assert!(said.iter().any(|one| one.contains("h.yaml:7")), "{said:?}");
    let loaded = load_all(
        &web("")
            .with("h.yaml", manifest("v2", &format!("  maxReplicas: 5\n  metrics: [{PODS}]\n"))),
        &["web.yaml", "h.yaml"],
        &[],
    );
    let helps = loaded.diagnostics.iter().filter_map(|it| it.help.as_deref());
    assert!(helps.into_iter().any(|help| help.contains(entry)));
}

#[test]
fn a_metric_of_pods_is_of_a_service_that_they_stand_behind() {
    let other = "---\napiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: shop}\nspec: {selector: {app: api}, ports: [{port: 80}]}\n";
    let text = manifest("v2", &format!("  maxReplicas: 5\n  metrics: [{PODS}]\n"));
    let more = "  metrics: [{name: rps, measures: requestRate, service: shop/api}]\n";
    let files = web(more).with("h.yaml", format!("{text}{other}"));
    let said = said(&load_all(&files, &["web.yaml", "h.yaml"], &[]));
    assert!(said.iter().any(|one| one.contains("E0046")), "{said:?}");
}

fn vertical(spec: &str) -> String {
    format!(
        "apiVersion: autoscaling.k8s.io/v1\nkind: VerticalPodAutoscaler\nmetadata: {{name: v, namespace: shop}}\nspec:\n  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n{spec}"
    )
}

#[test]
fn a_vertical_autoscaler_is_read() {
    let spec = "  updatePolicy: {updateMode: 'Off'}\n  resourcePolicy:\n    containerPolicies:\n      - {containerName: web, minAllowed: {cpu: 50m, memory: 1Gi}, maxAllowed: {cpu: 2}, controlledResources: [cpu]}\n      - {containerName: '*', mode: 'Off'}\n";
    let files = web("").with("v.yaml", vertical(spec));
    let loaded = load_all(&files, &["web.yaml", "v.yaml"], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let found = &blueprint.vertical_autoscalers[0];
    assert_eq!(blueprint.vertical_target(found).map(|id| id.index()), Some(0));
    assert_eq!(found.update_mode, UpdateMode::Off);
    let policy = |name: &str| ContainerResourcePolicy {
        container_name: name.to_owned(),
        is_off: false,
        cpu_millis_min: None,
        cpu_millis_max: None,
        memory_bytes_min: None,
        memory_bytes_max: None,
        controls_cpu: true,
        controls_memory: true,
    };
    let of_web = ContainerResourcePolicy {
        cpu_millis_min: Some(50),
        cpu_millis_max: Some(2000),
        memory_bytes_min: Some(1 << 30),
        controls_memory: false,
        ..policy("web")
    };
    assert_eq!(found.policies, [of_web, ContainerResourcePolicy { is_off: true, ..policy("*") }]);
}

#[test]
fn what_a_vertical_autoscaler_may_not_say() {
    let cases = [
        ("", "W0143"),
        ("  updatePolicy: {updateMode: Initial}\n", "W0143"),
        ("  updatePolicy: {updateMode: InPlace}\n", "W0143"),
        ("  updatePolicy: {updateMode: Sometimes}\n", "E0"),
        (
            "  updatePolicy: {updateMode: 'Off'}\n  resourcePolicy: {containerPolicies: [{mode: 'Off'}]}\n",
            "E0",
        ),
        (
            "  updatePolicy: {updateMode: 'Off'}\n  resourcePolicy: {containerPolicies: [{containerName: a, minAllowed: {cpu: lots}}]}\n",
            "E0",
        ),
        (
            "  updatePolicy: {updateMode: 'Off'}\n  resourcePolicy: {containerPolicies: [{containerName: a, minAllowed: {cpu: 187500u}}]}\n",
            "a whole number of millicores",
        ),
        (
            "  updatePolicy: {updateMode: 'Off'}\n  resourcePolicy: {containerPolicies: [{containerName: a, minAllowed: {cpu: 2}, maxAllowed: {cpu: 1}}]}\n",
            "E0",
        ),
    ];
    for (spec, code) in cases {
        let files = web("").with("v.yaml", vertical(spec));
        let said = said(&load_all(&files, &["web.yaml", "v.yaml"], &[]));
        assert!(said.iter().any(|one| one.contains(code)), "{spec}: {said:?}");
    }
    let lost = vertical("  updatePolicy: {updateMode: 'Off'}\n").replace("name: web", "name: wbe");
    let said = said(&load_all(&web("").with("v.yaml", lost), &["web.yaml", "v.yaml"], &[]));
    assert!(said.iter().any(|one| one.contains("W0116")), "{said:?}");
}

#[test]
fn limits_are_changed_within_what_the_api_takes() {
    let faults = |spec: &str| {
        let files = web(&format!("  faults: [{{{spec}}}]\n"))
            .with("h.yaml", manifest("v2", "  minReplicas: 2\n  maxReplicas: 5\n"));
        load_all(&files, &["web.yaml", "h.yaml"], &[])
    };
    let autoscaler = AutoscalerId(0);
    let rows = [
        (
            "setAutoscaler: {autoscaler: shop/h, minReplicas: 4, at: 1m, for: 5m}",
            Action::SetAutoscaler { autoscaler, min: Some(4), max: None },
        ),
        (
            "setAutoscaler: {autoscaler: h, minReplicas: 6, maxReplicas: 9, at: 1m}",
            Action::SetAutoscaler { autoscaler, min: Some(6), max: Some(9) },
        ),
        ("deleteAutoscaler: {autoscaler: shop/h, at: 1m}", Action::DeleteAutoscaler { autoscaler }),
    ];
    for (spec, wanted) in rows {
        let loaded = faults(spec);
        let resolved = loaded.resolved.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        assert_eq!(resolved.faults.faults[0].kind, FaultKind::Action(wanted), "{spec}");
    }
    for (spec, code) in [
        ("setAutoscaler: {autoscaler: shop/h, at: 1m}", "E0150"),
        ("setAutoscaler: {autoscaler: shop/h, minReplicas: 6, at: 1m}", "E0150"),
        ("setAutoscaler: {autoscaler: shop/h, maxReplicas: 0, at: 1m}", "E0150"),
        ("setAutoscaler: {autoscaler: shop/g, minReplicas: 3, at: 1m}", "E0016"),
    ] {
        let lines = said(&faults(spec));
        assert!(lines.iter().any(|line| line.contains(code)), "{spec}: {lines:?}");
    }
}
