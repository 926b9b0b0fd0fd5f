//! Input that is wrong in every way we could think of: a clear message at a place, never a panic.

use scenario_format::files::{Disk, Files as _};
use scenario_format::yaml::FILE_BYTES_MAX;

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario, web};

/// Loads files of which the manifest `m.yaml` is the bad one.
fn manifest_says(bytes: impl AsRef<[u8]>) -> Vec<String> {
    let files = web("").with("m.yaml", bytes);
    let loaded = load_all(&files, &["m.yaml"], &[]);
    for diagnostic in &loaded.diagnostics {
        // Rendering must cope with whatever the file holds, too.
        assert!(!diagnostic.render(&loaded.sources, true).is_empty());
    }
    said(&loaded)
}

fn check(says: &[String], expected: &str) {
    assert!(
        says.iter().any(|line| line.starts_with(expected)),
        "expected {expected:?} among\n{}",
        says.join("\n")
    );
}

#[test]
fn manifests_that_are_no_manifests() {
    let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
    let deep_block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", ")));
    }
    let many_documents = "---\nx: 1\n".repeat(20_001);
    let utf16: Vec<u8> = std::iter::once(0xfeff_u16)
        .chain("a: b".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let long_key = format!("{}: 1\n", "k".repeat(100_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"\x7fELF\x02\x01\x01\x00\x00".to_vec(), "m.yaml:1:8: E0003: m.yaml is no text"),
        (b"a: b\nc: \xff\xfe\n".to_vec(), "m.yaml:2:4: E0003"),
        (utf16, "m.yaml:1:1: E0003: m.yaml is UTF-16"),
        (b"a: \"unclosed\nb: 1\n".to_vec(), "m.yaml:"),
        (b"a: [1, 2\n".to_vec(), "m.yaml:"),
        (b"a: b: c\n".to_vec(), "m.yaml:1:5: E0004"),
        (b"a:\n\t- b\n".to_vec(), "m.yaml:2:"),
        (b"a: *nothing\n".to_vec(), "m.yaml:1:4: E0004"),
        (b"a: &a [*a]\n".to_vec(), "m.yaml:1:8: E0008"),
        (deep.into_bytes(), "m.yaml:1:67: E0005"),
        (deep_block.into_bytes(), "m.yaml:65:65: E0005"),
        (bomb.into_bytes(), "m.yaml:7:15: E0006"),
        (many_documents.into_bytes(), "m.yaml:40001:1: E0006"),
        (
            b"apiVersion: v1\nkind: Service\nkind: Pod\n".to_vec(),
            "m.yaml:3:1: E0007: the key `kind` is here twice",
        ),
        (b"".to_vec(), "m.yaml:1:1: E0009"),
        (b"# nothing but a comment\n---\n".to_vec(), "m.yaml:1:1: E0009"),
        (b"just text\n".to_vec(), "m.yaml:1:1: E0011: a manifest is a mapping, found text"),
        (b"- a\n- b\n".to_vec(), "m.yaml:1:1: E0011"),
        (b"{{ if .Values.x }}\n".to_vec(), "m.yaml:1:"),
        (long_key.into_bytes(), "m.yaml:1:100001: E0004"),
        (
            b"kind: Pod\nmetadata: {name: x}\n".to_vec(),
            "m.yaml:1:1: E0013: a manifest needs `apiVersion`",
        ),
        (
            b"apiVersion: v1\nkind: Pod\n".to_vec(),
            "m.yaml:1:1: E0013: a manifest needs `metadata.name`",
        ),
        (b"apiVersion: v1\nkind: List\nitems: 7\n".to_vec(), "m.yaml:3:8: E0011"),
        (PLATFORM.as_bytes().to_vec(), "m.yaml:2:7: E0026"),
        (vec![b'#'; FILE_BYTES_MAX + 1], "m.yaml:1:1: E0002"),
    ];
    for (bytes, expected) in cases {
        check(&manifest_says(bytes), expected);
    }
}

#[test]
fn objects_that_the_api_would_refuse() {
    let cases = [
        (
            "replicas: 2",
            "replicas: -1",
            "m.yaml:5:13: E0022: Deployment shop/web: `spec.replicas` must not be negative",
        ),
        (
            "replicas: 2",
            "replicas: 2000000000",
            "m.yaml:5:13: E0021: Deployment shop/web: `spec.replicas` is 2000000000, and at most",
        ),
        (
            "replicas: 2",
            "replicas: two",
            "m.yaml:5:13: E0022: Deployment shop/web: invalid type: string \"two\", expected i32",
        ),
        (
            "replicas: 2",
            "replica: 2",
            "m.yaml:5:3: E0023: Deployment shop/web: there is no field `replica` here",
        ),
        ("cpu: 100m", "cpu: 100 millis", "m.yaml:17:"),
        ("cpu: 100m", "cpu: -1", "m.yaml:17:"),
        ("memory: 64Mi}", "memory: 64Mi}, limits: {memory: 32Mi}", "m.yaml:17:"),
        ("containerPort: 8080", "containerPort: 80800", "m.yaml:15:"),
        ("containers:\n", "container:\n", "m.yaml:12:7: E0023"),
        (
            "containers:\n",
            "tolerations: [{key: sla, operator: Gt, value: '950'}]\n      containers:\n",
            "m.yaml:12:42: E0022: Deployment shop/web: `spec.template.spec.tolerations[0].operator` must \
             be Equal or Exists, is `Gt`, which needs the feature gate",
        ),
        ("maxSkew: 1", "maxSkew: 0", "m.yaml:11:21: E0022"),
        ("whenUnsatisfiable: DoNotSchedule", "whenUnsatisfiable: Never", "m.yaml:11:"),
        (
            "matchLabels: {app: web}}\n  template",
            "matchLabels: {app: wep}}\n  template",
            "m.yaml:6:13: E0022",
        ),
        (
            "matchLabels: {app: web}}\n  template",
            "matchLabels: {app: web, tier/a/b: x}}\n  template",
            "m.yaml:6:27: E0022: Deployment shop/web: `spec.selector.matchLabels` has the key `tier/a/b`, \
             which has more than one `/`",
        ),
        (
            "containers:\n",
            "nodeSelector: {disk: 'very fast'}\n      containers:\n",
            "m.yaml:12:21: E0022: Deployment shop/web: `spec.template.spec.nodeSelector` gives disk the value \
             `very fast`, which has the character ` `; letters, digits, `-`, `_` and `.` are allowed",
        ),
        ("httpGet: {path: /, port: http}", "periodSeconds: 5", "m.yaml:16:27: E0022"),
        (
            "name: web, namespace: shop}\nspec:\n  replicas",
            "name: web, namespace: shop}\nspec:\n  minReadySeconds: yes\n  replicas",
            "m.yaml:5:20: E0022",
        ),
    ];
    for (from, to, expected) in cases {
        let text = WEB.replacen(from, to, 1);
        assert_ne!(text, WEB, "{from} is there");
        check(&manifest_says(text), expected);
    }
    let twice = format!("{WEB}---\n{}", WEB.replace("replicas: 2", "replicas: 3"));
    check(&manifest_says(twice), "m.yaml:28:18: E0024: Deployment shop/web is there twice");
}

/// What the API server looks at beyond the types of fields.
#[test]
fn pods_that_validation_would_refuse() {
    let cases = [
        (
            "          image: web:1\n",
            "",
            "m.yaml:13:11: E0022: Deployment shop/web: `spec.template.spec.containers[0].image` is required",
        ),
        (
            "httpGet: {path: /, port: http}",
            "httpGet: {path: /, port: http}, tcpSocket: {port: 80}",
            "m.yaml:16:71: E0022: Deployment shop/web: `spec.template.spec.containers[0].readinessProbe.\
             tcpSocket` may not be there beside httpGet",
        ),
        ("path: /, port: http}", "path: /, port: 99999}", "m.yaml:16:53: E0022"),
        (
            "          readinessProbe",
            "          livenessProbe: {httpGet: {path: /, port: 80}, successThreshold: 2}\n          readinessProbe",
            "m.yaml:16:75: E0022",
        ),
        (
            "  replicas: 2",
            "  strategy: {rollingUpdate: {maxUnavailable: 150%}}\n  replicas: 2",
            "m.yaml:5:46: E0022: Deployment shop/web: `spec.strategy.rollingUpdate.maxUnavailable` must not \
             be more than 100%",
        ),
        (
            "  replicas: 2",
            "  progressDeadlineSeconds: 60\n  minReadySeconds: 60\n  replicas: 2",
            "m.yaml:5:28: E0022",
        ),
        ("  replicas: 2", "  minReadySeconds: 600\n  replicas: 2", "m.yaml:5:20: E0022"),
        (
            "        - {maxSkew: 1",
            "        - {maxSkew: 2, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}\n        - {maxSkew: 1",
            "m.yaml:12:37: E0022",
        ),
        ("DoNotSchedule,", "ScheduleAnyway, minDomains: 3,", "m.yaml:11:113: E0022"),
    ];
    for (from, to, expected) in cases {
        let text = WEB.replacen(from, to, 1);
        assert_ne!(text, WEB, "{from} is there");
        check(&manifest_says(text), expected);
    }
}

#[test]
fn hosts_and_nodes_that_are_none() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: shop}\nspec: {rules: [{host: A.example}, {host: '*.a.example'}]}\n";
    let says = manifest_says(ingress);
    check(
        &says,
        "m.yaml:4:23: E0022: Ingress shop/i: `spec.rules[0].host` `A.example` must be small",
    );
    assert_eq!(says.iter().filter(|line| line.contains("E0022")).count(), 1, "{says:?}");
    let named =
        WEB.replace("      containers:", "      nodeName: worker-az-a-2\n      containers:");
    let loaded = load_all(&web("").with("m.yaml", named), &["m.yaml"], &[]);
    check(
        &said(&loaded),
        "m.yaml:12:17: E0145: Deployment shop/web: there is no node `worker-az-a-2`",
    );
    assert!(loaded.resolved.is_none());
}

#[test]
fn scenarios_that_cannot_be_meant() {
    let fault = |text: &str| format!("  faults:\n    - {text}\n");
    let promise = |text: &str| format!("  guarantees:\n    g: {text}\n");
    let cases = [
        ("  runs: 0\n".to_owned(), "s.yaml:7:9: E0021"),
        ("  runs: many\n".to_owned(), "s.yaml:7:9: E0014"),
        ("  run: 5\n".to_owned(), "s.yaml:7:3: E0012: the spec of a Scenario has no key `run`"),
        ("  seed: -1\n".to_owned(), "s.yaml:7:9: E0014"),
        ("  manifests: web.yaml\n".to_owned(), "s.yaml:7:14: E0011: expected a list"),
        ("  manifests: [wep.yaml]\n".to_owned(), "s.yaml:7:15: E0001"),
        ("  load: [{service: shop/web, rate: 5 apples}]\n".to_owned(), "s.yaml:7:36: E0014"),
        ("  load: [{service: shop/web}]\n".to_owned(), "s.yaml:7:10: E0017"),
        (
            "  load: [{service: shop/wep, rate: 5}]\n".to_owned(),
            "s.yaml:7:20: E0016: there is no Service `shop/wep`",
        ),
        (
            "  load: [{service: web, points: [{at: 5m, rate: 1}, {at: 4m, rate: 1}]}]\n".to_owned(),
            "s.yaml:7:58: E0021",
        ),
        (
            fault("zonePowerLoos: {zone: az-a, at: 1m}"),
            "s.yaml:8:7: E0012: a fault has no key `zonePowerLoos`",
        ),
        (
            fault("zonePowerLoss: {zone: az-x, at: 1m}"),
            "s.yaml:8:29: E0016: there is no zone `az-x`",
        ),
        (fault("zonePowerLoss: {zone: az-a, at: 10}"), "s.yaml:8:39: E0014"),
        (fault("zonePowerLoss: {zone: az-a, at: 10 parsecs}"), "s.yaml:8:39: E0014"),
        (fault("zonePowerLoss: {zone: az-a}"), "s.yaml:8:22: E0017"),
        (fault("zonePowerLoss: {zone: az-a, at: 1m, within: [1m, 2m]}"), "s.yaml:8:52: E0017"),
        (fault("zonePowerLoss: {zone: az-a, within: [3m, 2m]}"), "s.yaml:8:48: E0021"),
        (fault("zonePowerLoss: {zone: az-a, at: 1m, after: 2m}"), "s.yaml:8:50: E0017"),
        (
            fault("zonePowerLoss: {at: 1m}"),
            "s.yaml:8:22: E0013: a fault of a zone needs the key `zone`",
        ),
        (fault("zonePowerLoss: {zone: az-a, when: {faultStarted: x}}"), "s.yaml:8:56: E0016"),
        (
            fault("zonePowerLoss: {name: x, zone: az-a, when: {faultEnded: x}}"),
            "s.yaml:8:22: E0020",
        ),
        (fault("nodeCrash: {node: worker-az-a-9, at: 1m}"), "s.yaml:8:25: E0016"),
        (fault("nodeCrash: {node: worker-az-a-1, of: shop/web, at: 1m}"), "s.yaml:8:44: E0017"),
        (fault("podCrash: {workload: shop/wep, at: 1m}"), "s.yaml:8:28: E0016"),
        (fault("loadSpike: {factor: 0, at: 1m}"), "s.yaml:8:27: E0021"),
        (fault("rollout: {workload: shop/wep, at: 1m}"), "s.yaml:8:27: E0016"),
        (
            fault("rollout: {workload: shop/web, container: wep, image: x, at: 1m}"),
            "s.yaml:8:48: E0016: there is no container `wep`",
        ),
        (fault("drain: {at: 1m}"), "s.yaml:8:14: E0017"),
        (fault("drain: {pool: wroker, at: 1m}"), "s.yaml:8:21: E0016: there is no node pool"),
        (fault("drain: {node: worker-az-a-1, zone: az-a, at: 1m}"), "s.yaml:8:42: E0017"),
        (fault("scale: {workload: shop/web, replicas: -1, at: 1m}"), "s.yaml:8:45: E0014"),
        (promise("completes(nothing) <= 1m"), "s.yaml:8:18: E0016: there is no fault"),
        (fault("{zonePowerLoss: {zone: az-a, at: 1m}, nodeCrash: {at: 1m}}"), "s.yaml:8:7: E0011"),
        (promise("availability(shop/wep) >= 99%"), "s.yaml:8:21: E0016"),
        (promise("avialability(shop/web) >= 99%"), "s.yaml:8:8: E0019"),
        (promise("\"rto(shop/web) <= 60\""), "s.yaml:8:26: E0019"),
        (promise("rto(*) <= 60s"), "s.yaml:8:12: E0016: `*` means every Service that carries load"),
        (promise("rpo(shop/db) == 0s"), "s.yaml:8:12: E0016"),
        (promise("always within_region('US')"), "s.yaml:8:29: E0016"),
        (promise("{sql: select}"), "s.yaml:8:9: E0012"),
        (promise("[1, 2]"), "s.yaml:8:8: E0011"),
    ];
    for (more, expected) in cases {
        let loaded = load_all(&web(&more), &["web.yaml"], &[]);
        check(&said(&loaded), expected);
        assert!(loaded.resolved.is_none(), "{more}");
    }
}

#[test]
fn platforms_that_cannot_stand() {
    let further: String = (2..66).map(|idx| format!(", {{name: z-{idx}}}")).collect();
    let too_many = format!("{{name: az-b}}{further}]");
    let cases = [
        (
            "{name: az-b}]",
            too_many.as_str(),
            "small.yaml:6:906: E0021: a platform has up to 64 zones, not 66",
        ),
        ("zones: [{name: az-a}, {name: az-b}]", "zones: []", "small.yaml:"),
        ("{name: az-b}]", "{name: az-a}]", "small.yaml:6:32: E0018"),
        ("zones: [az-a, az-b, az-b]", "zones: [az-a, az-c]", "small.yaml:7:32: E0016"),
        ("zones: [az-a, az-b, az-b]", "zones: []", "small.yaml:7:17: E0027"),
        (
            "countPerZone: 1",
            "countPerZone: 0",
            "small.yaml:5:3: E0027: the platform has no worker node",
        ),
        ("countPerZone: 1", "countPerZone: 1000000", "small.yaml:9:57: E0021"),
        ("cpu: 4", "autoscaling: {minPerZone: 3, maxPerZone: 2}, cpu: 4", "small.yaml:9:86: E0021"),
        ("cpu: 4", "autoscaling: {minPerZone: 0, maxPerZone: 0}, cpu: 4", "small.yaml:9:57: E0021"),
        (
            "cpu: 4",
            "autoscaling: {minPerZone: 0, maxPerZone: 9, bootTime: {median: 9s, p95: 3s}}, cpu: 4",
            "small.yaml:9:132: E0021",
        ),
        ("spec:\n", "spec:\n  clusterAutoscaler: {}\n", "small.yaml:5:22: E0017"),
        ("spec:\n", "spec:\n  clusterAutoscaler: {expanders: [price]}\n", "small.yaml:5:35: E0014"),
        (
            "cpu: 4",
            "kubelet: {shutdownGracePeriod: 5s, shutdownGracePeriodCriticalPods: 6s}, cpu: 4",
            "small.yaml:9:128: E0092: critical pods",
        ),
        ("cpu: 4", "kubelet: {shutdownGracePeriod: 500ms}, cpu: 4", "small.yaml:9:91: E0092"),
        (
            "cpu: 4",
            "kubelet: {shutdownGracePeriod: 5s, shutdownGracePeriodByPodPriority: [{priority: -1, shutdownGracePeriodSeconds: 3}]}, cpu: 4",
            "small.yaml:9:91: E0092: periods by",
        ),
        ("cpu: 4", "cpu: four", "small.yaml:9:65: E0014"),
        ("memory: 8Gi", "memory: 8GB", "small.yaml:9:76: E0014"),
        ("kind: Platform", "kind: Platfrom", "small.yaml:2:7: E0015"),
        ("apiVersion: eidp-sim/v1", "apiVersion: eidp-sim/v9", "small.yaml:1:13: E0014"),
        ("jurisdiction: EU", "juristiction: EU", "small.yaml:5:25: E0012"),
        (
            "spec:\n",
            "spec:\n  services:\n    - {service: shop/web, dependsOn: [shop/web]}\n",
            "small.yaml:6:17: E0020: a request would never end: shop/web calls shop/web",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, warmUp: {for: 0s, factor: 2}}]\n",
            "small.yaml:5:48: E0021",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, warmUp: {for: 1m, factor: 1}}]\n",
            "small.yaml:5:60: E0021",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, warmUp: {for: 1m}}]\n",
            "small.yaml:5:42: E0013",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, quotaPeriod: 2s}]\n",
            "small.yaml:5:47: E0075",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, quotaPeriod: 100ms, discipline: sharing}]\n",
            "small.yaml:5:66: E0076",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, quotaPeriod: 100ms, balancing: shared}]\n",
            "small.yaml:5:65: E0155",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, balancing: roundrobin}]\n",
            "small.yaml:5:45: E0014",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, calls: [{service: shop/web, times: 0}]}]\n",
            "small.yaml:5:69: E0077",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, calls: [{service: shop/web, times: 3, cache: {hits: 90%, keys: 10}}]}]\n",
            "small.yaml:5:79: E0160",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, calls: [{service: shop/web, cache: {hits: 90%, keys: 0}}]}]\n",
            "small.yaml:5:87: E0160",
        ),
        (
            "spec:\n",
            "spec:\n  services: [{service: shop/web, calls: [{service: shop/web, cache: {hits: 0%, keys: 1}}]}]\n",
            "small.yaml:5:76: E0160",
        ),
        ("spec:\n", "spec:\n  parameters: {watchLatency: [5ms, 1ms]}\n", "small.yaml:5:36: E0021"),
        ("cpu: 4", "cpu: 18446744073709551615", "small.yaml:9:65: E0021: a node has at most"),
        ("memory: 8Gi", "memory: 7Ei", "small.yaml:9:76: E0021: a node has at most 1 PiB"),
        ("spec:\n", "spec:\n  parameters: {nodeMonitorPeriods: 5s}\n", "small.yaml:5:16: E0012"),
    ];
    for (from, to, expected) in cases {
        let text = PLATFORM.replacen(from, to, 1);
        assert_ne!(text, PLATFORM, "{from} is there");
        let loaded = load_all(&web("").with("small.yaml", text), &["web.yaml"], &[]);
        check(&said(&loaded), expected);
    }
}

#[test]
fn timers_that_no_component_takes() {
    let cases = [
        ("leaseRenewPeriod: 0s", "1ms"),
        ("nodeMonitorPeriod: 0s", "1ms"),
        ("podGcPeriod: 0s", "1ms"),
        ("leaderLeaseDuration: 0s", "1ms"),
        ("leaderRetryPeriod: 0s", "1ms"),
        ("leaderRetryPeriod: 30000d", "1ms"),
        ("crashLoopInitial: 0s", "1ms"),
        ("crashLoopMax: 0s", "1.000s"),
        ("etcdElectionTimeout: 50ms", "500ms"),
        ("etcdElectionTimeout: 1h", "500ms"),
    ];
    for (timer, least) in cases {
        let parameters = format!("spec:\n  parameters: {{{timer}}}\n");
        let text = PLATFORM.replacen("spec:\n", &parameters, 1);
        let loaded = load_all(&web("").with("small.yaml", text), &["web.yaml"], &[]);
        let column = 17 + timer.find(' ').expect("a value");
        check(&said(&loaded), &format!("small.yaml:5:{column}: E0021: this is {least} at least"));
    }
}

/// Every number that a field takes can be read, however far beyond the end of time.
#[test]
fn spans_beyond_the_end_of_time() {
    let pod = |fields: &str| {
        WEB.replacen("      containers:\n", &format!("      {fields}\n      containers:\n"), 1)
    };
    let container = |fields: &str| {
        WEB.replacen(
            "          image: web:1\n",
            &format!("          image: web:1\n          {fields}\n"),
            1,
        )
    };
    let database = |fields: &str| {
        format!(
            "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {{name: db, namespace: shop}}\n\
             spec: {{instances: 2, storage: {{size: 1Gi}}, {fields}}}\n"
        )
    };
    let manifests = [
        pod(
            "tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 99999999999}]",
        ),
        pod("terminationGracePeriodSeconds: 99999999999"),
        container("lifecycle: {preStop: {exec: {command: [sh, -c, sleep 99999999999]}}}"),
        database("postgresql: {parameters: {archive_timeout: 9999999h}}"),
        database("postgresql: {parameters: {wal_writer_delay: 9999999999d}}"),
        database("stopDelay: 4294967295, failoverDelay: 4294967295"),
        database(
            "backup: {retentionPolicy: 999999999999w, barmanObjectStore: {destinationPath: 's3://a'}}",
        ),
    ];
    for manifest in manifests {
        let loaded = load_all(&web("").with("m.yaml", &manifest), &["m.yaml"], &[]);
        let errors: Vec<String> =
            said(&loaded).into_iter().filter(|line| line.contains(": E")).collect();
        assert!(errors.is_empty(), "{manifest}\n{}", errors.join("\n"));
    }
    let database = database("instances: 4294967295").replace("instances: 2, ", "");
    let loaded = load_all(&web("").with("m.yaml", &database), &["m.yaml"], &[]);
    check(&said(&loaded), "m.yaml:4:");
    let backups = "  backups:\n    places: [{name: bucket, write: 1}]\n    policies:\n      - {name: nightly, of: etcd, \
                   method: files, schedule: '0 2 * * *', to: bucket, keep: 30d, moves: 1Ei, timeout: 5m}\n";
    check(&said(&load_all(&web(backups), &["web.yaml"], &[])), "s.yaml:10:");
}

#[test]
fn faults_that_are_too_large() {
    let cases = [
        (
            "scale: {name: a, workload: shop/web, replicas: 2147483647, at: 1m}",
            "at most 1000000 pods",
        ),
        (
            "apiFlood: {name: a, as: service-accounts, requests: 5/s, objects: 18446744073709551615, at: 1m, for: 1m}",
            "a list has",
        ),
    ];
    for (fault, message) in cases {
        let says =
            said(&load_all(&web(&format!("  faults:\n    - {fault}\n")), &["web.yaml"], &[]));
        let is_said = |line: &String| line.contains(&format!(": E0021: {message}"));
        assert!(says.iter().any(is_said), "{}", says.join("\n"));
    }
}

#[test]
fn files_that_are_not_there() {
    let files = web("");
    check(
        &said(&load_all(&files, &["missing.yaml"], &[])),
        "E0001: missing.yaml: there is no such",
    );
    check(&said(&load_all(&files, &["-"], &[])), "E0001: -:");
    let request =
        |name: &str| scenario_format::Request { scenario: name.to_owned(), ..Default::default() };
    let loaded = scenario_format::load(&request("az-los"), &Memory::default());
    check(&said(&loaded), "E0001: there is no scenario `az-los`");
    assert_eq!(loaded.diagnostics[0].help.as_deref(), Some("did you mean `az-loss`?"));
    let other =
        Memory::default().with("s.yaml", scenario("").replace("small.yaml", "eidp-productoin"));
    let loaded = load_all(&other, &[], &[]);
    check(&said(&loaded), "s.yaml:5:13: E0001: there is no platform `eidp-productoin`");
    assert_eq!(loaded.diagnostics[0].help.as_deref(), Some("did you mean `eidp-production`?"));
    let kubernetes = Memory::default().with("s.yaml", WEB);
    check(&said(&load_all(&kubernetes, &[], &[])), "s.yaml:2:7: E0015: expected kind Scenario");
    let two = Memory::default().with("s.yaml", format!("{}---\na: 1\n", scenario("")));
    check(&said(&load_all(&two.with("small.yaml", PLATFORM), &[], &[])), "s.yaml:8:1: E0026");
}

#[test]
fn disks_that_disappoint() {
    let root = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("disks_that_disappoint");
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(root.join("empty/.hidden")).expect("writable");
    std::fs::create_dir_all(root.join("some/inner")).expect("writable");
    std::fs::write(root.join("some/b.yaml"), WEB).expect("writable");
    std::fs::write(root.join("some/inner/a.yml"), "a: 1").expect("writable");
    std::fs::write(root.join("some/readme.txt"), "no").expect("writable");
    let large = std::fs::File::create(root.join("large.yaml")).expect("writable");
    large.set_len(100 << 20).expect("a sparse file");
    let disk = Disk::default();
    let read = |name: &str| disk.read(&root.join(name).to_string_lossy());
    let error = |name: &str| read(name).expect_err(name).to_string();
    assert!(error("empty").contains("nothing in it ends in"), "{}", error("empty"));
    assert!(error("large.yaml").contains("104857600 bytes"), "{}", error("large.yaml"));
    assert!(error("missing").contains("no such file"));
    let names: Vec<String> = read("some")
        .expect("readable")
        .iter()
        .map(|file| file.name.rsplit_once("some/").expect("below").1.to_owned())
        .collect();
    assert_eq!(names, ["b.yaml", "inner/a.yml"]);
}
