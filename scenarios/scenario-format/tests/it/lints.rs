//! Each rule: an input that it warns of, and its neighbour that it does not.

use scenario_format::{Stage, black_start};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario, web};

/// Codes said about a manifest beside `web.yaml`.
fn codes(manifest: &str) -> Vec<String> {
    let more = "  load: [{service: '*', rate: 1}]\n";
    let files = web(more).with("m.yaml", manifest);
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let code = |line: String| line.split(": ").nth(1).unwrap_or_default().to_owned();
    said(&loaded).into_iter().map(code).collect()
}

/// A change of the web manifest makes a rule speak that was silent.
fn speaks(code: &str, change: impl Fn(&str) -> String) {
    assert_eq!(codes(WEB), Vec::<String>::new(), "the neighbour is clean");
    let text = change(WEB);
    assert_ne!(text, WEB, "{code}: the change hits");
    assert!(codes(&text).contains(&code.to_owned()), "{code}: {:?}", codes(&text));
}

fn plus(more: &str) -> impl Fn(&str) -> String + use<> {
    let more = more.to_owned();
    move |text| format!("{text}---\n{more}")
}

fn swap(from: &str, to: &str) -> impl Fn(&str) -> String {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |text| text.replacen(&from, &to, 1)
}

const SPREAD: &str = "      topologySpreadConstraints:\n        - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}\n";

fn anti(kind: &str, selector: &str, key: &str) -> String {
    let term =
        format!("{{labelSelector: {{matchLabels: {{app: {selector}}}}}, topologyKey: {key}}}");
    let list = match kind {
        "required" => format!("requiredDuringSchedulingIgnoredDuringExecution: [{term}]"),
        _ => format!(
            "preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 100, podAffinityTerm: {term}}}]"
        ),
    };
    format!("      affinity: {{podAntiAffinity: {{{list}}}}}\n")
}

#[test]
fn selectors_that_select_nothing() {
    speaks("W0101", swap("selector: {app: web}", "selector: {app: wep}"));
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b, namespace: shop}\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: wep}}}\n";
    speaks("W0102", plus(budget));
    let lost = anti("preferred", "docs", "kubernetes.io/hostname");
    speaks("W0103", swap("      containers", &format!("{lost}      containers")));
    speaks(
        "W0104",
        swap("labelSelector: {matchLabels: {app: web}}", "labelSelector: {matchLabels: {app: x}}"),
    );
    speaks("W0104", swap(", labelSelector: {matchLabels: {app: web}}", ""));
    let own = anti("preferred", "web", "kubernetes.io/hostname");
    let text = WEB.replacen("      containers", &format!("{own}      containers"), 1);
    assert_eq!(codes(&text), Vec::<String>::new());
}

#[test]
fn budgets() {
    let budget = |name: &str, limit: &str| {
        format!(
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{{limit}, selector: {{matchLabels: {{app: web}}}}}}\n"
        )
    };
    speaks("W0105", plus(&budget("b", "minAvailable: 2")));
    speaks("W0105", plus(&budget("b", "maxUnavailable: 0%")));
    let fine = budget("b", "minAvailable: 1");
    assert_eq!(codes(&format!("{WEB}---\n{fine}")), Vec::<String>::new());
    speaks("W0106", plus(&format!("{fine}---\n{}", budget("c", "maxUnavailable: 1"))));
}

#[test]
fn places() {
    speaks("W0107", swap("cpu: 100m", "cpu: 40"));
    speaks("W0107", swap("cpu: 100m", "example.com/gpu: 1, cpu: 100m"));
    speaks("W0262", swap("replicas: 2", "replicas: 2000"));
    speaks(
        "W0108",
        swap(
            "topologyKey: topology.kubernetes.io/zone",
            "topologyKey: topology.kubernetes.io/rack",
        ),
    );
    speaks("W0109", swap("      containers", "      nodeSelector: {disk: fast}\n      containers"));
    let affinity = "      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [az-z]}]}]}}}\n";
    speaks("W0109", swap("      containers", &format!("{affinity}      containers")));
    let compares = |kind: &str, value: &str| {
        let term =
            format!("{{matchExpressions: [{{key: cores, operator: Gt, values: ['{value}']}}]}}");
        let terms = match kind {
            "required" => format!("{{nodeSelectorTerms: [{term}]}}"),
            _ => format!("[{{weight: 1, preference: {term}}}]"),
        };
        format!(
            "      affinity: {{nodeAffinity: {{{kind}DuringSchedulingIgnoredDuringExecution: {terms}}}}}\n      containers"
        )
    };
    for kind in ["required", "preferred"] {
        speaks("W0200", swap("      containers", &compares(kind, "many")));
    }
    let fine = WEB.replacen("      containers", &compares("preferred", "8"), 1);
    assert_eq!(codes(&fine), Vec::<String>::new());
    speaks("W0110", swap("replicas: 2", "replicas: 1"));
    speaks("W0111", swap(SPREAD, ""));
    speaks("W0111", swap(SPREAD, &anti("preferred", "web", "kubernetes.io/hostname")));
    speaks("W0111", swap("maxSkew: 1", "maxSkew: 2"));
    let zones = WEB.replacen(SPREAD, &anti("preferred", "web", "topology.kubernetes.io/zone"), 1);
    assert_eq!(codes(&zones), Vec::<String>::new());
    let strict = anti("required", "web", "topology.kubernetes.io/zone");
    speaks("W0128", |text| text.replace(SPREAD, &strict).replace("replicas: 2", "replicas: 3"));
    // Two replicas, two zones, 25 % of two is nothing: a rollout cannot move.
    speaks("W0128", swap(SPREAD, &strict));
    let half = WEB
        .replace(SPREAD, &strict)
        .replace("replicas: 2", "replicas: 2\n  strategy: {rollingUpdate: {maxUnavailable: 1}}");
    assert_eq!(codes(&half), Vec::<String>::new());
}

#[test]
fn probes_and_requests() {
    speaks("W0112", swap("          readinessProbe: {httpGet: {path: /, port: http}}\n", ""));
    let liveness = |period: u32| {
        format!(
            "          livenessProbe: {{periodSeconds: {period}, httpGet: {{path: /, port: http}}}}\n          resources"
        )
    };
    speaks("W0113", swap("          resources", &liveness(10)));
    let patient = WEB.replacen("          resources", &liveness(30), 1);
    assert_eq!(codes(&patient), Vec::<String>::new());
    speaks("W0114", swap("          resources: {requests: {cpu: 100m, memory: 64Mi}}\n", ""));
    speaks("W0277", swap("memory: 64Mi", "memory: 64m"));
}

fn scaler(name: &str, kind: &str, metrics: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{maxReplicas: 3, scaleTargetRef: {{apiVersion: apps/v1, kind: {kind}, name: web}}, metrics: [{metrics}]}}\n"
    )
}

#[test]
fn autoscalers_that_cannot_work() {
    let of_pod = |resource: &str| {
        format!(
            "{{type: Resource, resource: {{name: {resource}, target: {{type: Utilization, averageUtilization: 60}}}}}}"
        )
    };
    let of_container = |name: &str| {
        format!(
            "{{type: ContainerResource, containerResource: {{name: cpu, container: {name}, target: {{type: Utilization, averageUtilization: 60}}}}}}"
        )
    };
    let value = "{type: Resource, resource: {name: storage, target: {type: AverageValue, averageValue: 5G}}}";
    for fine in [of_pod("cpu"), of_container("web")] {
        let text = format!("{WEB}---\n{}", scaler("h", "Deployment", &fine));
        assert_eq!(codes(&text), Vec::<String>::new(), "{fine}");
    }
    speaks("W0175", plus(&scaler("h", "Deployment", value)));
    speaks("W0177", plus(&scaler("h", "Deployment", &of_pod("memory"))));
    speaks("W0130", plus(&scaler("h", "Deployment", &of_pod("storage"))));
    speaks("W0130", plus(&scaler("h", "Deployment", &of_container("wep"))));
    let two = format!("{}---\n{}", scaler("h", "Deployment", ""), scaler("i", "Deployment", ""));
    speaks("W0131", plus(&two));
    let daemons = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: web, namespace: shop}\nspec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: d, image: d:1, resources: {requests: {cpu: 100m, memory: 64Mi}}}]}}}\n";
    let small = "annotations: {downscaler/uptime: Mon-Fri 07:00-20:00 UTC, downscaler/downtime-replicas: '1'}";
    let at_least_two =
        scaler("h", "Deployment", "").replacen("maxRep", "minReplicas: 2, maxRep", 1);
    speaks("W0142", |web| {
        let web = web.replacen("namespace: shop}", &format!("namespace: shop, {small}}}"), 1);
        format!("{web}---\n{at_least_two}")
    });
    speaks("W0132", plus(&format!("{daemons}---\n{}", scaler("h", "DaemonSet", ""))));
}

#[test]
fn names_that_lead_nowhere() {
    let scaler = |target: &str| {
        format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h, namespace: shop}}\nspec: {{maxReplicas: 3, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {target}}}}}\n"
        )
    };
    speaks("W0116", plus(&scaler("wep")));
    assert_eq!(codes(&format!("{WEB}---\n{}", scaler("web"))), Vec::<String>::new());
    speaks("W0115", plus(&WEB[..WEB.find("---").expect("two documents")].replace("\n---", "")));
    speaks("W0117", swap("      containers", "      priorityClassName: gold\n      containers"));
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c, namespace: shop}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    let mounts = swap(
        "      containers",
        "      volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n      containers",
    );
    speaks("W0125", &mounts);
    speaks("W0118", |text| format!("{}---\n{claim}", mounts(text)));
    let class = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: slow}\nprovisioner: x\n";
    speaks("W0126", |text| format!("{text}---\n{claim}---\n{class}"));
    let ingress = |service: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i, namespace: shop}}\nspec: {{rules: [{{http: {{paths: [{{pathType: Prefix, path: /, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        )
    };
    speaks("W0122", plus(&ingress("wep")));
    assert_eq!(codes(&format!("{WEB}---\n{}", ingress("web"))), Vec::<String>::new());
    speaks("W0123", swap("targetPort: http", "targetPort: https"));
    speaks("W0124", plus("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"));
}

#[test]
fn databases_and_schedules() {
    let cluster = |instances: u32| {
        format!(
            "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {{name: db, namespace: shop}}\nspec: {{instances: {instances}, storage: {{size: 10Gi}}, postgresql: {{synchronous: {{method: any, number: 1}}}}}}\n"
        )
    };
    speaks("W0119", plus(&cluster(2)));
    speaks("W0120", plus(&cluster(1)));
    assert_eq!(codes(&format!("{WEB}---\n{}", cluster(3))), Vec::<String>::new());
    let backup = |schedule: &str| {
        format!(
            "apiVersion: postgresql.cnpg.io/v1\nkind: ScheduledBackup\nmetadata: {{name: s, namespace: shop}}\nspec: {{schedule: \"{schedule}\", cluster: {{name: db}}}}\n---\n{}",
            cluster(3)
        )
    };
    speaks("W0121", plus(&backup("0 3 * * *")));
    // The cluster has nothing to make a backup with.
    assert_eq!(codes(&format!("{WEB}---\n{}", backup("0 0 3 * * *"))), ["W0161"]);
    assert_eq!(codes(&format!("{WEB}---\n{}", backup("@daily"))), ["W0161"]);
    let velero = "apiVersion: velero.io/v1\nkind: Schedule\nmetadata: {name: s, namespace: shop}\nspec: {schedule: 0 0 3 * * *}\n";
    speaks("W0121", plus(velero));
}

/// A Service is told what makes its pods where no model does.
#[test]
fn pods_of_strange_kinds() {
    let strange = WEB
        .replacen("apiVersion: apps/v1", "apiVersion: argoproj.io/v1alpha1", 1)
        .replacen("kind: Deployment", "kind: Rollout", 1);
    for (manifest, expected) in [(WEB, None), (strange.as_str(), Some("Rollout shop/web"))] {
        let loaded = load_all(&web("").with("m.yaml", manifest), &["m.yaml"], &[]);
        let resolved = loaded.resolved.as_ref().expect("it is read");
        let services = &resolved.blueprint.services;
        assert_eq!(services[0].strange_source.as_deref(), expected);
    }
}

#[test]
fn loads_and_faults_that_reach_nothing() {
    let outside = "apiVersion: v1\nkind: Service\nmetadata: {name: out, namespace: shop}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}\n";
    let files = web("").with("m.yaml", format!("{WEB}---\n{outside}"));
    let says = said(&load_all(&files, &["m.yaml"], &[]));
    assert!(says.iter().any(|it| it.contains("W0127: Service shop/out is exposed")), "{says:?}");
    let late = web("  faults:\n    - zonePowerLoss: {zone: az-a, at: 2h}\n");
    let says = said(&load_all(&late, &["web.yaml"], &[]));
    assert!(says.iter().any(|it| it.contains("E0021")), "{says:?}");
    for fault in [
        "loadSpike: {factor: 2, at: 1m, services: [shop/web]}",
        "zonePowerLoss: {zone: az-a, when: {faultEnded: zoneIsolation 2}}\n    - zoneIsolation: {zone: az-a, at: 1m}",
    ] {
        let files = web(&format!("  faults:\n    - {fault}\n"));
        let says = said(&load_all(&files, &["web.yaml"], &[]));
        assert!(says.iter().any(|it| it.contains("W0129")), "{fault}: {says:?}");
    }
}

const GUARD: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: guard}
webhooks:
  - name: guard.shop.svc
    admissionReviewVersions: [v1]
    sideEffects: None
    clientConfig: {service: {namespace: shop, name: web}}
    rules: [{apiGroups: [''], apiVersions: ['*'], operations: ['*'], resources: [pods]}]
";

#[test]
fn pods_that_need_each_other_to_start() {
    speaks("W0141", plus(GUARD));
    let open = format!(
        "{WEB}---\n{}",
        GUARD.replace("sideEffects", "failurePolicy: Ignore\n    sideEffects")
    );
    assert_eq!(codes(&open), Vec::<String>::new());
    let elsewhere = "namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}\n    sideEffects";
    let spared = format!("{WEB}---\n{}", GUARD.replace("sideEffects", elsewhere));
    assert_eq!(codes(&spared), Vec::<String>::new());
    speaks("W0140", plus(&GUARD.replace("name: web}", "name: engine}")));
}

const NETWORK: &str = "apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system}
spec:
  selector: {matchLabels: {app: cilium}}
  template:
    metadata: {labels: {app: cilium}}
    spec:
      hostNetwork: true
      containers: [{name: cilium, image: 'quay.io/cilium/cilium:1', resources: {requests: {cpu: 1m, memory: 1Mi}}}]
";

#[test]
fn a_circle_names_the_smallest_step_that_breaks_it() {
    let files = web("  load: [{service: '*', rate: 1}]\n");
    let files = files.with("m.yaml", format!("{WEB}---\n{NETWORK}---\n{GUARD}"));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let circle = loaded.diagnostics.iter().find(|it| it.code.as_str() == "W0141");
    let circle = circle.expect("the engine needs the network, and the network the engine");
    let help = circle.help.as_deref().unwrap_or_default();
    assert!(help.contains("kubectl delete validatingwebhookconfiguration guard"), "{help}");
    assert!(!help.contains("; then"), "one step is enough: {help}");
}

/// Pods that etcd has are bound, and kubelets start them without asking a webhook.
#[test]
fn a_webhook_is_in_the_way_of_new_pods_only() {
    use scenario_format::StartFrom;
    let files = web("  load: [{service: '*', rate: 1}]\n");
    let loaded = load_all(&files.with("m.yaml", format!("{WEB}---\n{GUARD}")), &["m.yaml"], &[]);
    let circle = loaded.diagnostics.iter().find(|it| it.code.as_str() == "W0141");
    let message = &circle.expect("the engine guards itself").message;
    assert!(message.starts_with("once their pods or nodes are gone, nothing starts"), "{message}");
    let blueprint = loaded.resolved.expect("it is valid").blueprint;
    let count = |from| scenario_format::start_circles(&blueprint, from).len();
    let counts = StartFrom::ALL.map(count);
    assert_eq!(counts, [0, 1, 1], "{:?}", StartFrom::ALL);
}

/// Images that are pulled always are asked for on nodes that have them, too.
#[test]
fn a_registry_is_in_the_way_of_what_a_node_has_only_where_it_is_asked_always() {
    use scenario_format::StartFrom;
    for (policy, circles) in [("", 0), (", imagePullPolicy: Always", 1)] {
        let text = REGISTRY_OF_ITSELF
            .replace("image: 'r.example/own:1'", &format!("image: 'r.example/own:1'{policy}"));
        let files = web("  load: [{service: '*', rate: 1}]\n");
        let files = files.with("m.yaml", format!("{WEB}---\n{text}"));
        let loaded = load_all(&files, &["m.yaml"], &[]);
        let resolved = loaded.resolved.expect("it is valid");
        let left = resolved.coverage.of_fidelity(scenario_format::coverage::Fidelity::NotModelled);
        let left: Vec<&str> = left.map(|it| it.field.as_str()).collect();
        assert!(!left.iter().any(|it| it.ends_with("imagePullPolicy")), "it is obeyed: {left:?}");
        let blueprint = resolved.blueprint;
        let found = scenario_format::start_circles(&blueprint, StartFrom::Nodes);
        assert_eq!(found.len(), circles, "{policy}");
        assert_eq!(scenario_format::start_circles(&blueprint, StartFrom::Etcd).len(), 1);
    }
}

const REGISTRY_OF_ITSELF: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: own, namespace: shop}
spec:
  selector: {matchLabels: {app: own}}
  template:
    metadata: {labels: {app: own}}
    spec: {containers: [{name: own, image: 'r.example/own:1', ports: [{containerPort: 80}], resources: {requests: {cpu: 1m, memory: 1Mi}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: own, namespace: shop}
spec: {selector: {app: own}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: own, namespace: shop}
spec:
  rules:
    - host: r.example
      http: {paths: [{path: /v2/, pathType: Prefix, backend: {service: {name: own, port: {number: 80}}}}]}
";

#[test]
fn a_black_start_goes_in_stages_and_names_what_is_done_by_hand() {
    let stages = |text: &str| {
        let files = web("  load: [{service: '*', rate: 1}]\n");
        let files = files.with("m.yaml", format!("{WEB}---\n{text}"));
        let resolved = load_all(&files, &["m.yaml"], &[]).resolved.expect("it is valid");
        black_start(&resolved.blueprint, scenario_format::StartFrom::Etcd)
    };
    let start = |name: &str, waits_for: &[&str]| Stage::Start {
        workloads: vec![name.to_owned()],
        waits_for: waits_for.iter().map(|text| (*text).to_owned()).collect(),
    };
    let cilium = start("kube-system/cilium", &[]);
    let address = "an address given by kube-system/cilium";
    assert_eq!(stages(NETWORK), [cilium.clone(), start("shop/web", &[address])]);
    let guarded = stages(&format!("{NETWORK}---\n{GUARD}"));
    let Stage::ByHand { because, step } = &guarded[0] else { panic!("{guarded:?}") };
    assert_eq!(step, "kubectl delete validatingwebhookconfiguration guard");
    assert!(!because.is_empty());
    assert_eq!(guarded[1..], [cilium, start("shop/web", &[address])]);
}

/// What is said of a pod with this limit, and a profile with these workers.
fn said_of_workers(workers: &str, limit: &str) -> Vec<String> {
    let files = web("");
    let text = |name: &str| String::from_utf8(files.bytes(name)).expect("it is ours");
    let pods = text("web.yaml").replace("memory: 64Mi}}", &format!("memory: 64Mi}}, {limit}}}"));
    let platform = format!("{}  services: [{{service: shop/web{workers}}}]\n", text("small.yaml"));
    let files = files.with("web.yaml", pods).with("small.yaml", platform);
    said(&load_all(&files, &["web.yaml"], &[]))
}

#[test]
fn threads_that_use_up_a_quota_are_told_of_unless_it_is_played() {
    for (workers, limit, expected) in [
        (", workers: 8", "limits: {cpu: 2}", "W0215"),
        (", workers: 2", "limits: {cpu: 2}", ""),
        (", workers: 8, quotaPeriod: 100ms", "limits: {cpu: 2}", ""),
        (", workers: 8, quotaPeriod: 100ms", "limits: {memory: 1Gi}", "W0216"),
        (", workers: 8", "limits: {memory: 1Gi}", ""),
    ] {
        let told = said_of_workers(workers, limit);
        let of_quota = told.iter().filter(|it| it.contains("W0215") || it.contains("W0216"));
        let of_quota: Vec<&String> = of_quota.collect();
        let is_expected = match of_quota[..] {
            [] => expected.is_empty(),
            [only] => !expected.is_empty() && only.contains(expected),
            _ => false,
        };
        assert!(is_expected, "{workers} {limit}: {told:?}");
    }
}

#[test]
fn a_limit_that_workers_cannot_use_is_told() {
    let said_of = said_of_workers;
    let is_told = |says: &[String]| says.iter().any(|line| line.contains("W0185"));
    let told = said_of(", workers: 1", "limits: {cpu: 2}");
    let message = "its 1 worker uses no more than 1 of the 2 cores of its limit";
    assert!(told.iter().any(|it| it.starts_with("web.yaml:") && it.contains(message)), "{told:?}");
    for (workers, limit) in [
        (", workers: 2", "limits: {cpu: 2}"),
        ("", "limits: {cpu: 2}"),
        (", workers: 1", "limits: {cpu: 1}"),
        (", workers: 1", "limits: {memory: 1Gi}"),
    ] {
        let told = said_of(workers, limit);
        assert!(!is_told(&told), "{workers} {limit}: {told:?}");
    }
}

#[test]
fn requests_that_stay_in_a_zone_need_pods_in_each() {
    let close = |text: &str| {
        text.replacen(
            "  selector: {app: web}\n",
            "  selector: {app: web}\n  trafficDistribution: PreferClose\n",
            1,
        )
    };
    assert_eq!(codes(&close(WEB)), Vec::<String>::new(), "spread strictly");
    speaks("W0186", |text| close(&text.replacen("maxSkew: 1", "maxSkew: 2", 1)));
    let loose = |text: &str| text.replacen("DoNotSchedule", "ScheduleAnyway", 1);
    speaks("W0186", |text| close(&loose(text)));
    // Hints of `Auto` are dropped by themselves.
    let auto = |text: &str| {
        let service = "kind: Service\nmetadata: {name: web, namespace: shop";
        let mode = ", annotations: {service.kubernetes.io/topology-mode: Auto}";
        text.replacen(service, &format!("{service}{mode}"), 1)
    };
    assert_eq!(codes(&auto(&loose(WEB))), Vec::<String>::new());
}

#[test]
fn hints_that_nobody_heeds_are_told() {
    let close = "  selector: {app: web}\n  trafficDistribution: PreferSameZone\n";
    let headless = format!("{close}  clusterIP: None\n");
    speaks("W0187", swap("  selector: {app: web}\n", &headless));
}

#[test]
fn traffic_policies_that_leave_nodes_without_a_pod_are_told() {
    let local = "  selector: {app: web}\n  externalTrafficPolicy: Local\n  type: LoadBalancer\n";
    speaks("W0225", swap("  selector: {app: web}\n", local));
    let by_host = |text: &str| {
        text.replacen(
            "topologyKey: topology.kubernetes.io/zone",
            "topologyKey: kubernetes.io/hostname",
            1,
        )
    };
    let spread = by_host(&WEB.replacen("  selector: {app: web}\n", local, 1));
    assert!(!codes(&spread).iter().any(|code| code == "W0225"), "{:?}", codes(&spread));
    // The policy counts only where something outside leads to the Service.
    let inside = "  selector: {app: web}\n  externalTrafficPolicy: Local\n";
    let text = WEB.replacen("  selector: {app: web}\n", inside, 1);
    assert!(!codes(&text).iter().any(|code| code == "W0225"), "{:?}", codes(&text));
}

#[test]
fn quotas_and_limit_ranges() {
    let quota = |hard: &str| {
        plus(&format!(
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: q, namespace: shop}}\nspec: {{{hard}}}\n"
        ))
    };
    speaks("W0397", quota("hard: {pods: 1}"));
    speaks("W0397", quota("hard: {requests.cpu: 150m}"));
    speaks("W0398", quota("hard: {pods: 1}, scopes: [BestEffort]"));
    speaks("E0147", quota("hard: {limits.cpu: 9}"));
    let fine = quota("hard: {pods: 2, cpu: 200m, requests.memory: 128Mi, services: 1}");
    assert_eq!(codes(&fine(WEB)), Vec::<String>::new());
    let range = |item: &str| {
        plus(&format!(
            "apiVersion: v1\nkind: LimitRange\nmetadata: {{name: l, namespace: shop}}\nspec: {{limits: [{{{item}}}]}}\n"
        ))
    };
    for item in [
        "type: Container, max: {cpu: 50m}",
        "type: Container, min: {memory: 65Mi}",
        "type: Container, default: {cpu: 200m}, maxLimitRequestRatio: {cpu: 1.5}",
        "type: Container, min: {ephemeral-storage: 1Gi}, defaultRequest: {ephemeral-storage: 1Mi}",
        "type: Pod, max: {cpu: 1}",
    ] {
        speaks("E0146", range(item));
    }
    let in_pod = |fields: &str| {
        let fields = format!("    spec:\n{fields}");
        move |text: &str| text.replacen("    spec:\n", &fields, 1)
    };
    let whole = in_pod("      resources: {limits: {cpu: 1, memory: 1Gi}}\n");
    assert_eq!(codes(&whole(&quota("hard: {limits.cpu: 9}")(WEB))), Vec::<String>::new());
    speaks("E0146", |text| whole(&range("type: Pod, max: {cpu: 900m}")(text)));
    assert_eq!(codes(&whole(&range("type: Pod, max: {cpu: 1}")(WEB))), Vec::<String>::new());
    let with_init = |is_sidecar: bool, memory: &str| {
        let policy = if is_sidecar { "restartPolicy: Always, " } else { "" };
        in_pod(&format!(
            "      initContainers:\n      - {{name: first, image: first, {policy}resources: {{requests: {{cpu: 100m, memory: {memory}}}, limits: {{memory: {memory}}}}}}}\n"
        ))
    };
    // A sidecar runs beside the others, an init container before them.
    for (is_sidecar, is_refused) in [(true, true), (false, false)] {
        let most = range("type: Pod, max: {memory: 140Mi}");
        let text = with_init(is_sidecar, "128Mi")(&most(WEB));
        let is_told = codes(&text).iter().any(|code| code == "E0146");
        assert_eq!(is_told, is_refused, "{:?}", codes(&text));
    }
    // No sum is more than a number holds.
    let text = with_init(true, "9223372036854775807")(&range("type: Pod, max: {memory: 1Gi}")(WEB));
    assert!(codes(&text).iter().any(|code| code == "E0146"), "{:?}", codes(&text));
    for item in [
        // A bound is the default of what is not stated.
        "type: Container, max: {cpu: 500m, memory: 1Gi}",
        "type: Container, default: {cpu: 200m}, maxLimitRequestRatio: {cpu: 2}",
        "type: Pod, min: {cpu: 100m}",
        "type: PersistentVolumeClaim, max: {storage: 1Gi}",
    ] {
        assert_eq!(codes(&range(item)(WEB)), Vec::<String>::new(), "{item}");
    }
}

#[test]
fn keys_of_custom_resources_that_are_misspelt() {
    let cluster = |spec: &str| {
        format!(
            "{WEB}---\napiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {{name: db, namespace: shop}}\nspec: {{{spec}}}\n"
        )
    };
    let has = |spec: &str| codes(&cluster(spec)).contains(&"W0396".to_owned());
    assert!(has("instnces: 3, storage: {size: 1Gi}"));
    assert!(has("instances: 3, storage: {size: 1Gi, storageClss: x}"));
    // Another key is no slip of one that is there, and settings of PostgreSQL are many.
    assert!(!has("instances: 3, storage: {size: 1Gi}, enableSuperuserAccess: true, startDelay: 9"));
    assert!(!has(
        "instances: 3, storage: {size: 1Gi}, postgresql: {parameters: {min_wal_size: 1GB}}"
    ));
}

#[test]
fn retries_that_can_keep_a_service_overloaded() {
    // Two pods of a tenth of a core do 200 requests of a millisecond.
    let codes = |load: &str, profile: &str| {
        let load = format!("  load: [{{service: shop/web, {load}}}]\n");
        let profile = format!("{{service: shop/web, cpuPerRequest: 1ms{profile}}}");
        let files = Memory::default()
            .with("s.yaml", scenario(&load))
            .with("small.yaml", format!("{PLATFORM}  services: [{profile}]\n"))
            .with("web.yaml", WEB);
        let lines = said(&load_all(&files, &["web.yaml"], &[]));
        lines.iter().any(|line| line.contains("W0410"))
    };
    assert!(codes("rate: 150, client: {timeout: 50ms, retries: 2}", ""));
    for neighbour in [
        "rate: 150, client: {timeout: 50ms}",
        "rate: 150, client: {timeout: 50ms, retries: 2, retryBudget: 10%}",
        // All retries together fit, or nobody ever waits so long.
        "rate: 60, client: {timeout: 50ms, retries: 2}",
        "rate: 150, client: {timeout: 5s, retries: 2}",
        // It is overloaded as it is.
        "rate: 250, client: {timeout: 50ms, retries: 2}",
    ] {
        assert!(!codes(neighbour, ""), "{neighbour}");
    }
}

#[test]
fn cold_caches_that_ask_for_more_than_pods_can_do() {
    // Two pods of a tenth of a core do 200 requests of a millisecond.
    let said_of = |rate: u32, hits: &str, fault: &str| {
        let load = format!("  load: [{{service: shop/front, rate: {rate}}}]\n{fault}");
        let services = format!(
            "  services:\n    - {{service: shop/web, cpuPerRequest: 1ms}}\n    - service: shop/front\n      cpuPerRequest: 1us\n      calls: [{{service: shop/web{hits}}}]\n"
        );
        let front = WEB.replace("web", "front");
        let files = Memory::default()
            .with("s.yaml", scenario(&load))
            .with("small.yaml", format!("{PLATFORM}{services}"))
            .with("web.yaml", WEB)
            .with("front.yaml", front);
        said(&load_all(&files, &["web.yaml", "front.yaml"], &[])).join("\n")
    };
    let cache = ", cache: {hits: 90%, keys: 1000}";
    assert!(said_of(500, cache, "").contains("W0411"), "{}", said_of(500, cache, ""));
    for (neighbour, hits) in [(150, cache), (2_500, cache), (150, ""), (500, "")] {
        assert!(!said_of(neighbour, hits, "").contains("W0411"), "{neighbour} {hits}");
    }
    let flush =
        |service: &str| format!("  faults: [{{cacheCold: {{service: {service}, at: 1m}}}}]\n");
    assert!(!said_of(500, cache, &flush("shop/front")).contains("E0161"));
    assert!(said_of(500, cache, &flush("shop/web")).contains("E0161"));
    assert!(said_of(500, "", &flush("shop/front")).contains("E0161"));
}
