//! Input that can be run and says nothing, and input that the API server would refuse: one change of
//! something that is right for each.

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario};

const CALM: &str = "  load: [{service: shop/web, rate: 1}]\n  \
    faults: [{zonePowerLoss: {name: lost, zone: az-a, at: 10m, for: 20m}}]\n  \
    guarantees:\n    back: rto(shop/web) <= 60s for 95% of runs\n    \
    up: availability(shop/web, 10m) >= 90%\n    quick: latency(shop/web, p99) <= 1s\n    \
    few: {cel: \"services['shop/web'].lostRequests < 100\"}\n";

/// All that is said when one text is changed in the scenario, the platform or the manifest.
fn changed(from: &str, to: &str) -> Vec<String> {
    let texts = [scenario(CALM), PLATFORM.to_owned(), WEB.to_owned()];
    let hits = texts.iter().filter(|text| text.contains(from)).count();
    assert!(from.is_empty() || hits == 1, "{from:?} is in {hits} files");
    let [scenario, platform, manifest] =
        texts.map(|text| if from.is_empty() { text } else { text.replacen(from, to, 1) });
    let files = Memory::default()
        .with("s.yaml", scenario)
        .with("small.yaml", platform)
        .with("m.yaml", manifest);
    said(&load_all(&files, &["m.yaml"], &[]))
}

/// Each row: what is changed to what, and what is said of it, place and code first.
fn check(rows: &[(&str, &str, &str)]) {
    assert_eq!(changed("", ""), Vec::<String>::new(), "what is changed is right");
    for (from, to, expected) in rows {
        let says = changed(from, to);
        assert!(
            says.iter().any(|line| line.contains(expected)),
            "{from:?} to {to:?}: expected {expected:?} among\n{}",
            says.join("\n")
        );
    }
}

#[test]
fn promises_that_say_nothing() {
    check(&[
        ("at: 10m", "at: 59m 5s", "s.yaml:10:11: W0235: the run ends after 1h"),
        ("at: 10m", "within: [10m, 59m 5s]", "W0235"),
        ("at: 10m", "within: [10m, 3h]", "W0235: the window reaches past the end"),
        ("for 95% of", "for 0% of", "s.yaml:10:11: W0236"),
        (">= 90%", ">= 0%", "W0236: an availability of 0 %"),
        (">= 90%", "> 100%", "W0236: no availability is more"),
        ("shop/web, 10m", "shop/web, 2h", "W0236: a window of 2h"),
        ("<= 1s", "<= 0ms", "W0236: every answer takes some time"),
        ("services['shop/web'].lostRequests < 100", "true", "W0236: this expression"),
        ("for: 20m", "for: 0s", "W0237: zonePowerLoss lasts no time"),
        ("availability(shop/web, 10m) >= 90%", "statically_stable(shop/web, 90%)", "W0278"),
        (
            "zonePowerLoss: {name: lost, zone: az-a, at: 10m, for: 20m}",
            "loadSpike: {factor: 2, at: 10m, for: 5m, ramp: 6m}",
            "W0237: the ramp",
        ),
    ]);
}

#[test]
fn platforms_that_nobody_runs() {
    check(&[
        ("[az-a, az-b, az-b]", "[az-a, az-b]", "W0238: 2 members"),
        ("[az-a, az-b, az-b]", "[az-a, az-b], version: '1.2'", "W0239: nobody runs Kubernetes 1.2"),
        ("[az-a, az-b, az-b]", "[az-a, az-b], version: '1.99'", "W0239: the models follow"),
        ("  nodePools", "  parameters: {nodeMonitorGracePeriod: 8s}\n  nodePools", "W0240"),
        (
            "  nodePools",
            "  services: [{service: shop/web, cpuPerRequest: 5ms, baseLatency: 1ms}]\n  nodePools",
            "W0270",
        ),
        ("cpu: 4", "cpu: 0", "small.yaml:9:"),
        ("memory: 8Gi", "memory: 16", "E0021: a node with 16 bytes of memory"),
        ("memory: 8Gi", "memory: 16m", "E0021: a node with 1 byte of memory"),
        ("memory: 8Gi", "memory: 8Gi, pods: 0", "E0021: a node that holds 0 pods"),
    ]);
}

#[test]
fn objects_that_the_api_server_refuses() {
    check(&[
        ("apps/v1", "app/v1", "E0087"),
        ("kind: Deployment", "kind: Deploymnet", "m.yaml:2:7: E0087"),
        ("kind: Service", "kind: Servcie", "E0087"),
        ("image: web:1", "image: ''", "m.yaml:14:18: E0022"),
        (
            "name: web, namespace: shop}\nspec:\n  replicas",
            "name: Web_1, namespace: shop}\nspec:\n  replicas",
            "E0022: Deployment shop/Web_1: `metadata.name`",
        ),
        (
            "      containers:",
            "      restartPolicy: Never\n      containers:",
            "E0022: Deployment shop/web: `spec.template.spec.restartPolicy` must be Always",
        ),
        (
            "      containers:",
            "      tolerations: [{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 5}]\n      containers:",
            "must be NoExecute",
        ),
        (
            "      containers:",
            "      volumes: [{name: data, emptyDir: {}}, {name: data, emptyDir: {}}]\n      containers:",
            "`data` is there twice",
        ),
        (
            "image: web:1",
            "image: web:1\n          volumeMounts: [{name: date, mountPath: /d}]",
            "is no volume of the pod",
        ),
        (
            "image: web:1",
            "image: web:1\n          lifecycle: {preStop: {sleep: {seconds: 31}}}",
            "must not be more than terminationGracePeriodSeconds (30)",
        ),
        (
            "[{name: http, containerPort: 8080}]",
            "[{name: http, containerPort: 8080}, {name: http, containerPort: 8081}]",
            "`http` is there twice",
        ),
        (
            "[{name: http, containerPort: 8080}]",
            "[{name: a-name-too-long-x, containerPort: 8080}, {name: http, containerPort: 8081}]",
            "at most 15 letters",
        ),
        (
            "labels: {app: web}}\n    spec",
            "labels: {app: web, v: 'a b'}}\n    spec",
            "is no value of a label",
        ),
        (
            "[{port: 80, targetPort: http}]",
            "[{port: 80, targetPort: http}, {port: 81, targetPort: http}]",
            "is required where there are several",
        ),
        ("labels: {app: web}}\n    spec", "labels: {app: web, v: y}}\n    spec", "write \"y\""),
    ]);
}

#[test]
fn pods_that_wait_for_somebody() {
    check(&[
        ("      containers:", "      schedulingGates: [{name: a.b/c}]\n      containers:", "W0253"),
        (
            "      containers:",
            "      readinessGates: [{conditionType: a.b/c}]\n      containers:",
            "W0242",
        ),
        (
            "      containers:",
            "      schedulerName: volcano\n      containers:",
            "W0242: Deployment shop/web: a scheduler `volcano`",
        ),
        ("image: web:1", "image: web:1\n          imagePullPolicy: Never", "W0242"),
        ("{path: /, port: http}", "{path: /, port: htpp}", "W0243"),
        (
            "metadata: {name: web, namespace: shop}\nspec:\n  replicas",
            "metadata: {name: web, namespace: shop, annotations: {downscaler/uptme: 'Mon-Fri 08:00-18:00 UTC'}}\nspec:\n  replicas",
            "W0245",
        ),
    ]);
    let ingress = |port: &str| {
        format!(
            "ports: [{{port: 80, targetPort: http}}]\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{name: web, namespace: shop}}\nspec: {{rules: [{{http: {{paths: [{{path: /, pathType: Prefix, \
             backend: {{service: {{name: web, port: {{{port}}}}}}}}}]}}}}]}}"
        )
    };
    let ports = "ports: [{port: 80, targetPort: http}]";
    assert_eq!(changed(ports, &ingress("number: 80")), Vec::<String>::new());
    for wrong in ["number: 8080", "name: http"] {
        let says = changed(ports, &ingress(wrong));
        assert!(says.iter().any(|line| line.contains("W0244")), "{wrong}: {says:?}");
    }
}

/// A request that only machines with a taint could hold, and one that all can.
#[test]
fn a_node_that_a_pod_does_not_tolerate_does_not_hold_it() {
    // Control planes have 16 GiB and take no other pods; workers have 8 GiB.
    let says = changed("memory: 64Mi", "memory: 12Gi");
    let expected = "W0107: Deployment shop/web: no node can hold a pod: 12288 MiB of memory asked \
                    for, the largest of those it may stand on has 8192 MiB";
    assert!(says.iter().any(|line| line.contains(expected)), "{says:?}");
}

#[test]
fn what_has_to_be_built_is_told_so() {
    let files = || Memory::default().with("s.yaml", scenario(CALM)).with("small.yaml", PLATFORM);
    let chart = files().with("c/Chart.yaml", "name: a\n").with("c/templates/a.yaml", "{{ .a }}\n");
    let overlay = |name: &str| files().with(name, "resources: [a.yaml]\n").with("o/a.yaml", WEB);
    for (files, folder, command) in [
        (chart, "c", "helm template"),
        (overlay("o/kustomization.yaml"), "o", "kustomize build"),
        (overlay("o/Kustomization"), "o", "kustomize build"),
    ] {
        let loaded = load_all(&files, &[folder], &[]);
        let help: Vec<&str> =
            loaded.diagnostics.iter().filter_map(|it| it.help.as_deref()).collect();
        assert!(said(&loaded).iter().any(|line| line.starts_with("E0088")), "{:?}", said(&loaded));
        assert!(help.iter().any(|it| it.contains(command)), "{help:?}");
    }
}

#[test]
fn names_of_scenarios_are_plain() {
    for name in ["../a", "a/b", "\"a\\ab\"", "\"a\\uFFFE\"", ".a"] {
        let text = scenario(CALM).replacen("name: s", &format!("name: {name}"), 1);
        let files =
            Memory::default().with("s.yaml", text).with("small.yaml", PLATFORM).with("m.yaml", WEB);
        let says = said(&load_all(&files, &["m.yaml"], &[]));
        assert!(says.iter().any(|line| line.contains("E0089")), "{name}: {says:?}");
    }
}

#[test]
fn numbers_as_people_write_them() {
    assert_eq!(changed(">= 90%", ">= 90 %"), Vec::<String>::new());
    assert_eq!(changed("rate: 1}", "rate: 1e1}"), Vec::<String>::new());
}

#[test]
fn a_sentence_that_a_comma_cut_is_told_so() {
    let text = scenario(
        "  load: [{service: shop/web, rate: 1}]\n  guarantees: {a: latency(shop/web, p99) <= 1s}\n",
    );
    let files =
        Memory::default().with("s.yaml", text).with("small.yaml", PLATFORM).with("m.yaml", WEB);
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let helps = loaded.diagnostics.iter().filter_map(|it| it.help.as_deref());
    assert!(helps.clone().any(|help| help.contains("quotes")), "{:?}", said(&loaded));
}

#[test]
fn random_is_a_zone_of_faults_only() {
    let says =
        changed("zonePowerLoss: {name: lost, zone: az-a,", "drain: {name: lost, zone: random,");
    assert!(says.iter().any(|line| line.contains("here a zone is named")), "{says:?}");
}

#[test]
fn objects_of_unknown_kinds_may_have_no_namespace() {
    let more = "ports: [{port: 80, targetPort: http}]\n---\napiVersion: admissionregistration.k8s.io/v1\n\
                kind: ValidatingAdmissionPolicy\nmetadata: {name: p}\n---\n\
                apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: p}\n---\n\
                apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: p}";
    assert_eq!(changed("ports: [{port: 80, targetPort: http}]", more), Vec::<String>::new());
}

#[test]
fn what_other_controllers_read_is_listed_as_not_modelled() {
    use scenario_format::coverage::Fidelity;
    let manifest = WEB.replacen(
        "metadata: {name: web, namespace: shop}\nspec:\n  selector",
        "metadata: {name: web, namespace: shop, annotations: {nginx.ingress.kubernetes.io/limit-rps: '5'}}\nspec:\n  selector",
        1,
    );
    let files = Memory::default()
        .with("s.yaml", scenario(CALM))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", manifest);
    let resolved = load_all(&files, &["m.yaml"], &[]).resolved.expect("it is right");
    let fields: Vec<&str> = resolved
        .coverage
        .of_fidelity(Fidelity::NotModelled)
        .map(|one| one.field.as_str())
        .collect();
    let expected = "metadata.annotations[nginx.ingress.kubernetes.io/limit-rps]";
    assert!(fields.contains(&expected), "{fields:?}");
}

#[test]
fn services_that_nothing_judges_are_named() {
    let assumed = |more: &str| -> Vec<String> {
        let files = Memory::default()
            .with("s.yaml", scenario(more))
            .with("small.yaml", PLATFORM)
            .with("m.yaml", WEB);
        let resolved = load_all(&files, &["m.yaml"], &[]).resolved.expect("it is right");
        resolved.blueprint.assumptions.into_iter().map(|it| it.text).collect()
    };
    let expected = "nothing is judged of Services of -f that get no load or no guarantee: shop/web";
    for unjudged in ["", "  load: [{service: shop/web, rate: 1}]\n"] {
        assert!(assumed(unjudged).iter().any(|text| text == expected), "{unjudged:?}");
    }
    assert!(!assumed(CALM).iter().any(|text| text == expected));
}
