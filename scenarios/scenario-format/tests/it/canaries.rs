//! Canaries: what Flagger makes of them, what is refused, and what is warned about.

use model_api::canary::{Analysis, Metric, MetricCheck, MetricKind, Routing};
use model_api::kube::Labels;
use model_api::{Blueprint, SimSpan};

use crate::support::{load_all, said, web};

const LOAD: &str = "  load: [{service: shop/web, rate: 1}]\n";

fn canary(spec: &str) -> String {
    format!(
        "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: web, namespace: shop}}\nspec:\n  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n  service: {{port: 80, targetPort: http}}\n{spec}"
    )
}

const STEPS: &str = "  analysis: {interval: 30s, threshold: 3, stepWeight: 10, maxWeight: 50}\n";

/// What is said of a canary beside `web.yaml`, with other manifests.
fn told(more: &str, spec: &str, others: &str) -> Vec<String> {
    let files = web(more).with("c.yaml", canary(spec)).with("o.yaml", others);
    let all: &[&str] = &["web.yaml", "c.yaml", "o.yaml"];
    said(&load_all(&files, if others.is_empty() { &all[..2] } else { all }, &[]))
}

fn read(spec: &str) -> Blueprint {
    let files = web(LOAD).with("c.yaml", canary(spec));
    let loaded = load_all(&files, &["web.yaml", "c.yaml"], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    loaded.resolved.expect("valid").blueprint
}

fn app(value: &str) -> Labels {
    [("app".to_owned(), value.to_owned())].into_iter().collect()
}

#[test]
fn the_primary_and_its_services_are_made() {
    let blueprint = read(STEPS);
    let canary = &blueprint.canaries[0];
    let (target, primary) =
        (&blueprint.workloads[canary.target.index()], &blueprint.workloads[canary.primary.index()]);
    assert_eq!((target.name.as_str(), target.replicas), ("web", 0));
    assert_eq!((primary.name.as_str(), primary.replicas), ("web-primary", 2));
    assert_eq!(primary.template.labels, app("web-primary"));
    let spread = &primary.template.spec.topology_spread_constraints[0];
    let spread = spread.label_selector.as_ref().expect("it has one");
    assert_eq!(spread.match_labels, app("web-primary"), "it counts its own pods");
    let of: Vec<(&str, &Labels)> =
        blueprint.services.iter().map(|it| (it.name.as_str(), &it.selector)).collect();
    let (own, tried) = (app("web-primary"), app("web"));
    assert_eq!(of, [("web", &own), ("web-primary", &own), ("web-canary", &tried)]);
    assert_eq!(blueprint.service_name(canary.service), "shop/web");
    assert_eq!(blueprint.service_name(canary.canary_service), "shop/web-canary");
    let analysis = Analysis {
        interval: SimSpan::from_secs(30),
        threshold: 3,
        step_weight: 10,
        max_weight: 50,
        ..Analysis::default()
    };
    assert_eq!(canary.analysis, analysis);
    assert_eq!((canary.replicas, canary.is_suspended), (None, false));
}

#[test]
fn every_part_of_an_analysis_is_read() {
    let spec = "  provider: kubernetes
  progressDeadlineSeconds: 90
  skipAnalysis: true
  suspend: true
  analysis:
    interval: 5s
    threshold: 2
    stepWeights: [1, 20, 80]
    stepWeightPromotion: 25
    iterations: 7
    mirror: true
    primaryReadyThreshold: 50
    canaryReadyThreshold: 75
    metrics:
      - {name: request-success-rate, thresholdRange: {min: 99.5}, interval: 2m}
      - {name: request-duration, threshold: 500}
      - {name: latency, templateRef: {name: latency}, thresholdRange: {max: 1}}
    webhooks:
      - {name: gate, type: confirm-promotion, url: 'http://gate/'}
      - {name: load, url: 'http://tester/', metadata: {cmd: 'hey -z 1m http://web-canary.shop/'}}
";
    let canary = read(spec).canaries.remove(0);
    let metric = |kind, check, secs| Metric { kind, check, window: SimSpan::from_secs(secs) };
    let analysis = Analysis {
        interval: SimSpan::from_secs(5),
        threshold: 2,
        max_weight: 0,
        step_weight: 0,
        step_weights: vec![1, 20, 80],
        step_weight_promotion: 25,
        iterations: 7,
        mirrors: true,
        metrics: vec![
            metric(MetricKind::SuccessRate, MetricCheck::success_rate(995_000), 120),
            metric(MetricKind::Duration, MetricCheck::duration(500_000_000), 60),
        ],
        has_load_test: true,
        primary_ready_percent: 50,
        canary_ready_percent: 75,
        is_skipped: true,
        progress_deadline: SimSpan::from_secs(90),
        routing: Routing::Whole,
    };
    assert_eq!(
        (canary.analysis.effective_interval(), canary.is_suspended),
        (SimSpan::from_secs(10), true)
    );
    assert_eq!(canary.analysis, analysis);
}

#[test]
fn an_autoscaler_is_copied_for_the_primary() {
    let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 3, maxReplicas: 9}\n";
    let spec = format!(
        "  autoscalerRef: {{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, name: h}}\n{STEPS}"
    );
    let files = web(LOAD).with("c.yaml", canary(&spec)).with("h.yaml", scaler);
    let loaded = load_all(&files, &["web.yaml", "c.yaml", "h.yaml"], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let targets: Vec<(&str, &str)> = blueprint
        .autoscalers
        .iter()
        .map(|it| (it.name.as_str(), it.target.name.as_str()))
        .collect();
    assert_eq!(targets, [("h", "web"), ("h-primary", "web-primary")]);
    assert_eq!(blueprint.canaries[0].replicas, Some(3));
    // The primary's may have bounds of its own.
    let bounds = "name: h, primaryScalerReplicas: {minReplicas: 4, maxReplicas: 12}}";
    let files = files.with("c.yaml", canary(&spec.replace("name: h}", bounds)));
    let loaded = load_all(&files, &["web.yaml", "c.yaml", "h.yaml"], &[]);
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let primary = &blueprint.autoscalers[1];
    assert_eq!((primary.min_replicas, primary.max_replicas), (4, 12));
    assert_eq!(blueprint.canaries[0].replicas, Some(3));
    // Flagger tries nothing while the one that is named is not there.
    let files = files.with("c.yaml", canary(&spec.replace("name: h}", "name: hh}")));
    let told = said(&load_all(&files, &["web.yaml", "c.yaml", "h.yaml"], &[]));
    assert!(told[0].contains(": W0170: ") && told[0].contains("hh"), "{told:?}");
}

#[test]
fn clients_ask_neither_the_canary_nor_the_primary_beside_the_service() {
    let made = ["web-canary", "web-primary"].map(|name| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n---\n")
    });
    let files = web("  load: [{service: '*', rate: 1}]\n")
        .with("c.yaml", canary(STEPS))
        .with("made.yaml", made.concat());
    let loaded = load_all(&files, &["web.yaml", "c.yaml", "made.yaml"], &[]);
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let asked: Vec<String> =
        blueprint.loads.iter().map(|load| blueprint.service_name(load.service)).collect();
    assert_eq!(asked, ["shop/web"]);
}

#[test]
fn what_flagger_would_refuse_is_refused_with_its_place() {
    let rows = [
        ("  analysis: {stepWeight: 101}\n", "c.yaml:7:26: E0022"),
        ("  analysis: {stepWeights: [5, 5]}\n", "c.yaml:7:27: E0022"),
        ("  analysis: {stepWeight: 5, interval: soon}\n", "c.yaml:7:39: E0022"),
        ("  provider: isto\n  analysis: {stepWeight: 5}\n", "c.yaml:7:13: E0022"),
        (
            "  analysis: {stepWeight: 5, metrics: [{name: request-success-rate, thresholdRange: {min: most}}]}\n",
            "c.yaml:7:90: E0022",
        ),
    ];
    for (spec, start) in rows {
        let told = told(LOAD, spec, "");
        assert!(told.iter().any(|line| line.starts_with(start)), "{spec}: {told:?}");
    }
    let twice = canary(STEPS).replacen("name: web", "name: other", 1);
    let told_twice = told(LOAD, STEPS, &twice);
    assert!(told_twice.iter().any(|line| line.contains(": E0040: ")), "{told_twice:?}");
    let of_primary = web(LOAD)
        .with("p.yaml", crate::support::WEB.replace("name: web", "name: web-primary"))
        .with("b.yaml", canary(STEPS).replace("name: web", "name: web-primary"))
        .with("c.yaml", canary(STEPS));
    let told_nested =
        said(&load_all(&of_primary, &["web.yaml", "p.yaml", "b.yaml", "c.yaml"], &[]));
    assert!(told_nested.iter().any(|line| line.contains(": E0040: ")), "{told_nested:?}");
    let asked = "  load: [{service: shop/web-canary, rate: 1}]\n";
    let told_asked = told(asked, STEPS, "");
    assert!(told_asked.iter().any(|line| line.contains(": E0042: ")), "{told_asked:?}");
    let unlabelled = crate::support::WEB.replace("app: web", "tier: web");
    let files = web("  load: [{service: '*', rate: 1}]\n")
        .with("web.yaml", unlabelled)
        .with("c.yaml", canary(STEPS));
    let told = said(&load_all(&files, &["web.yaml", "c.yaml"], &[]));
    assert!(told.iter().any(|line| line.contains(": E0041: ")), "{told:?}");
}

#[test]
fn what_cannot_work_is_warned_about() {
    let budget = |app: &str| {
        format!(
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: web, namespace: shop}}\nspec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: {app}}}}}}}\n"
        )
    };
    let metric = "metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]";
    let rows = [
        (STEPS.to_owned(), budget("web"), "W0172"),
        (STEPS.to_owned(), budget("web-primary"), ""),
        (format!("  analysis: {{iterations: 5, {metric}}}\n"), String::new(), "W0173"),
        (format!("  analysis: {{iterations: 5, mirror: true, {metric}}}\n"), String::new(), ""),
        ("  analysis: {iterations: 5}\n".to_owned(), String::new(), ""),
        (
            "  provider: nginx\n  analysis: {stepWeight: 5, mirror: true}\n".to_owned(),
            String::new(),
            "W0173",
        ),
        (
            format!(
                "  provider: gatewayapi:v1\n  analysis: {{iterations: 5, mirror: true, {metric}}}\n"
            ),
            String::new(),
            "",
        ),
        ("  analysis: {threshold: 5}\n".to_owned(), String::new(), "W0173"),
        (
            "  analysis: {iterations: 5, match: [{headers: {x: {exact: y}}}]}\n".to_owned(),
            String::new(),
            "W0171",
        ),
    ];
    for (spec, others, code) in rows {
        let told = told(LOAD, &spec, &others);
        let codes: Vec<&str> = told.iter().filter_map(|line| line.split(": ").nth(1)).collect();
        let wanted: Vec<&str> = [code].into_iter().filter(|code| !code.is_empty()).collect();
        assert_eq!(codes, wanted, "{spec}: {told:?}");
    }
    let lost = canary(STEPS).replace("kind: Deployment, name: web", "kind: Deployment, name: wep");
    let files = web(LOAD).with("c.yaml", lost);
    let told = said(&load_all(&files, &["web.yaml", "c.yaml"], &[]));
    assert!(told[0].contains(": W0170: ") && told[0].contains("wep"), "{told:?}");
}
