//! What is read from good input.

use model_api::blueprint::DatabaseManager;
use model_api::guarantee::{Promise, Subject};
use model_api::kube::{IntOrPercent, Probe, ProbeHandler, TaintEffect, WorkloadKind};
use model_api::{Parameters, SimSpan};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario, web};

#[test]
fn line_ends_marks_lists_and_json_make_no_difference() {
    let json = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "shop"},
         "spec": {"clusterIP": "None", "selector": {"app": "web"}}}]}"#;
    let plain = load_all(&web(""), &["web.yaml"], &[]).resolved.expect("valid").blueprint;
    let cases = [
        WEB.replace('\n', "\r\n"),
        format!("\u{feff}{WEB}"),
        format!("---\n{WEB}---\n"),
        format!("# a comment\n\n{WEB}...\n"),
    ];
    for text in cases {
        let loaded = load_all(&web("").with("web.yaml", &text), &["web.yaml"], &[]);
        assert_eq!(said(&loaded), Vec::<String>::new());
        let found = loaded.resolved.expect("valid").blueprint;
        assert_eq!(found.workloads[0].template, plain.workloads[0].template);
        assert_eq!(found.services[0].selector, plain.services[0].selector);
    }
    let loaded = load_all(&web("").with("l.json", json), &["web.yaml", "l.json"], &[]);
    let services = loaded.resolved.expect("valid").blueprint.services;
    assert!(services[1].is_headless && services[1].name == "a");
}

#[test]
fn positions_lead_to_the_lines_of_the_manifest() {
    let loaded = load_all(&web(""), &["web.yaml"], &[]);
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let origin = &blueprint.workloads[0].origin;
    let at = |path: &str| (origin.of(path).line, origin.of(path).column);
    assert_eq!((origin.object.line, origin.object.column), (3, 18));
    assert_eq!(at("spec.replicas"), (5, 3));
    assert_eq!(at("spec.template.spec.topologySpreadConstraints"), (10, 7));
    assert_eq!(at("spec.template.spec.topologySpreadConstraints[0].topologyKey"), (11, 24));
    assert_eq!(at("spec.template.spec.containers[0].readinessProbe.periodSeconds"), (16, 11));
    let file = &blueprint.files[origin.object.file_idx as usize];
    assert_eq!(file, "web.yaml");
}

#[test]
fn defaults_are_those_of_the_api_server() {
    let loaded = load_all(&web(""), &["web.yaml"], &[]);
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let web = &blueprint.workloads[0];
    let WorkloadKind::Deployment { strategy, progress_deadline, is_paused: false } = &web.kind
    else {
        panic!("a Deployment");
    };
    let quarter = IntOrPercent::Percent(25);
    let rolling = model_api::kube::DeploymentStrategy::RollingUpdate {
        max_surge: quarter,
        max_unavailable: quarter,
    };
    assert_eq!((*strategy, *progress_deadline), (rolling, SimSpan::from_secs(600)));
    let spec = &web.template.spec;
    assert_eq!(spec.termination_grace, SimSpan::from_secs(30));
    let tolerated: Vec<(&str, Option<SimSpan>)> =
        spec.tolerations.iter().map(|it| (it.key.as_str(), it.toleration)).collect();
    let five_minutes = Some(SimSpan::from_secs(300));
    assert_eq!(
        tolerated,
        [
            ("node.kubernetes.io/not-ready", five_minutes),
            ("node.kubernetes.io/unreachable", five_minutes),
        ]
    );
    assert!(spec.tolerations.iter().all(|it| it.effect == Some(TaintEffect::NoExecute)));
    let probe = spec.containers[0].readiness.expect("stated");
    assert_eq!(probe.handler, ProbeHandler::HttpGet);
    assert_eq!(probe.period, SimSpan::from_secs(10));
    assert_eq!((probe.success_threshold, probe.failure_threshold), (1, 3));
    assert_eq!(spec.containers[0].ports[0].protocol, "TCP");
}

#[test]
fn a_probe_at_a_port_that_has_no_name_has_no_result() {
    let probes = |startup: &str, liveness: &str, readiness: &str| {
        let probe =
            |name: &str, port: &str| format!("          {name}: {{tcpSocket: {{port: {port}}}}}\n");
        let text = WEB.replacen(
            "          readinessProbe: {httpGet: {path: /, port: http}}\n",
            &[
                probe("startupProbe", startup),
                probe("livenessProbe", liveness),
                probe("readinessProbe", readiness),
            ]
            .concat(),
            1,
        );
        let files = web("").with("web.yaml", text);
        let blueprint = load_all(&files, &["web.yaml"], &[]).resolved.expect("valid").blueprint;
        let container = &blueprint.workloads[0].template.spec.containers[0];
        let never = Some(Probe::never_succeeds());
        (container.startup.is_some(), container.liveness.is_some(), container.readiness == never)
    };
    assert_eq!(probes("http", "http", "http"), (true, true, false), "the neighbour");
    assert_eq!(probes("http", "http", "nope"), (true, true, true), "never ready");
    assert_eq!(probes("http", "nope", "http"), (true, false, false), "never restarted");
    assert_eq!(probes("nope", "http", "http"), (false, false, true), "never started");
}

#[test]
fn requests_come_from_limits_and_seconds_from_the_platform() {
    let text = WEB
        .replace("requests: {cpu: 100m, memory: 64Mi}", "limits: {cpu: 0.5, memory: 64Mi}")
        .replace("replicas: 2", "replicas: 0o2");
    let platform = PLATFORM.replace("spec:\n", "spec:\n  parameters: {defaultToleration: 30s}\n");
    let files = web("").with("web.yaml", text).with("small.yaml", platform);
    let blueprint = load_all(&files, &["web.yaml"], &[]).resolved.expect("valid").blueprint;
    let spec = &blueprint.workloads[0].template.spec;
    assert_eq!(spec.containers[0].requests.cpu_millis(), Some(500));
    assert_eq!(spec.containers[0].requests.memory_bytes(), Some(64 << 20));
    assert_eq!(spec.tolerations[0].toleration, Some(SimSpan::from_secs(30)));
    assert_eq!(blueprint.workloads[0].replicas, 2);
}

#[test]
fn nodes_are_given_up_as_soon_as_their_version_does() {
    let grace = |more: &str| {
        let platform = PLATFORM.replace("az-b, az-b]", &format!("az-b, az-b]{more}"));
        let files = web("").with("small.yaml", platform);
        let blueprint = load_all(&files, &["web.yaml"], &[]).resolved.expect("valid").blueprint;
        blueprint.parameters.node_monitor_grace_period.as_secs()
    };
    assert_eq!(grace(""), 50);
    assert_eq!(grace(", version: '1.32'"), 50);
    assert_eq!(grace(", version: '1.31'"), 40);
    assert_eq!(grace("}\n  parameters: {nodeMonitorGracePeriod: 55s"), 55);
}

#[test]
fn every_parameter_can_be_stated() {
    let default = format!("{:?}", Parameters::default());
    let inner = default.strip_prefix("Parameters { ").expect("a struct");
    let mut depth = 0;
    let mut fields: Vec<String> = Vec::new();
    let mut word = String::new();
    for letter in inner.chars() {
        match letter {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ':' if depth == 0 => fields.push(std::mem::take(&mut word)),
            ',' | ' ' => word.clear(),
            _ => word.push(letter),
        }
    }
    assert!(fields.len() > 25, "{fields:?}");
    let schema = scenario_format::schema::platform();
    let known =
        schema["definitions"]["ParametersSpec"]["properties"].as_object().expect("a mapping");
    // A recording may state it (`--kube-api-qps`), a platform takes the default.
    fields.retain(|field| !["controller_client", "scheduler_client"].contains(&field.as_str()));
    for field in fields {
        let units = ["_milli", "_ppm", "_bytes"];
        let bare = units.iter().fold(field.as_str(), |name, unit| name.trim_end_matches(unit));
        let key: String = bare
            .split('_')
            .enumerate()
            .map(|(idx, part)| match idx {
                0 => part.to_owned(),
                _ => part[..1].to_uppercase() + &part[1..],
            })
            .collect();
        assert!(known.contains_key(&key), "{key} cannot be set");
    }
}

const DATABASE: &str = "\
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: db, namespace: shop}
spec:
  instances: 3
  failoverDelay: 5
  probes: {liveness: {isolationCheck: {enabled: false}}}
  storage: {size: 10Gi}
  postgresql: {synchronous: {method: first, number: 1, dataDurability: preferred}}
  affinity: {topologyKey: topology.kubernetes.io/zone, podAntiAffinityType: required}
";

#[test]
fn a_cluster_is_its_instances_services_and_claims() {
    let files = web("").with("db.yaml", DATABASE);
    let loaded = load_all(&files, &["web.yaml", "db.yaml"], &[]);
    let blueprint = loaded.resolved.expect("valid").blueprint;
    let database = &blueprint.databases[0];
    assert_eq!(blueprint.service_name(database.read_write_service), "shop/db-rw");
    assert_eq!(blueprint.service_name(database.read_only_service), "shop/db-ro");
    let synchronous = database.synchronous.expect("stated");
    assert!(!synchronous.is_any && !synchronous.is_required && !synchronous.failover_quorum);
    assert_eq!(database.failover_delay, SimSpan::from_secs(5));
    assert!(!database.has_isolation_check);
    let workload = &blueprint.workloads[database.workload.index()];
    assert_eq!((workload.kind.name(), workload.replicas), ("Cluster", 3));
    let terms = &workload.template.spec.affinity.pod_anti_required;
    assert_eq!(terms[0].topology_key, "topology.kubernetes.io/zone");
    assert!(terms[0].label_selector.as_ref().expect("stated").matches(&workload.template.labels));
    let claims: Vec<&str> = blueprint.claims.iter().map(|claim| claim.name.as_str()).collect();
    assert_eq!(claims, ["db-1", "db-2", "db-3"]);
    let assumed: Vec<&str> = blueprint.assumptions.iter().map(|it| it.text.as_str()).collect();
    assert!(assumed.iter().any(|text| text.contains("shop/db: 1 MiB")), "{assumed:?}");
}

const PATRONI: &str = "\
apiVersion: acid.zalan.do/v1
kind: postgresql
metadata: {name: shop-db, namespace: shop}
spec:
  teamId: shop
  numberOfInstances: 3
  volume: {size: 10Gi}
  postgresql: {version: '17'}
  patroni: {ttl: 20, loop_wait: 5, retry_timeout: 5, synchronous_mode: true}
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}
";

#[test]
fn a_cluster_of_patroni_is_its_instances_services_and_settings() {
    let promise = "  guarantees: {back: rto(shop/shop-db) <= 1m}\n";
    let files = web(promise).with("db.yaml", PATRONI);
    let loaded = load_all(&files, &["web.yaml", "db.yaml"], &[]);
    let resolved = loaded.resolved.expect("valid");
    // The Service of the primary bears the name of the database.
    let back = &resolved.guarantees[0].promise;
    assert!(matches!(back, Promise::Rto { subject: Subject::Database(_), .. }), "{back:?}");
    let blueprint = resolved.blueprint;
    let database = &blueprint.databases[0];
    assert_eq!(blueprint.service_name(database.read_write_service), "shop/shop-db");
    assert_eq!(blueprint.service_name(database.read_only_service), "shop/shop-db-repl");
    let DatabaseManager::Patroni(settings) = database.manager else {
        panic!("{:?}", database.manager);
    };
    let secs = [settings.ttl, settings.loop_wait, settings.retry_timeout].map(SimSpan::as_secs);
    assert_eq!(secs, [20, 5, 5]);
    assert!(settings.is_synchronous && !settings.is_strict && settings.has_rewind);
    assert_eq!((database.operator, database.instances), (None, 3));
    let template = &blueprint.workloads[database.workload.index()].template;
    let spread = &template.spec.topology_spread_constraints[0];
    assert!(spread.label_selector.as_ref().expect("filled in").matches(&template.labels));
    let wrong = PATRONI.replace("loop_wait: 5", "loop_wait: 0");
    let says = said(&load_all(&web("").with("db.yaml", wrong), &["db.yaml"], &[]));
    assert!(says[0].starts_with("db.yaml:9:33: E0022"), "{says:?}");
}

#[test]
fn synchronous_standbys_are_fewer_than_instances() {
    let text = DATABASE.replace("number: 1", "number: 3");
    let loaded = load_all(&web("").with("db.yaml", text), &["db.yaml"], &[]);
    let says = said(&loaded);
    assert!(says[0].starts_with("db.yaml:9:53: E0022"), "{says:?}");
}

#[test]
fn names_without_a_namespace_are_found_when_they_are_clear() {
    let more = "  load: [{service: web, rate: 60/min}]\n  guarantees:\n    a: availability(web) >= 99%\n    b: rto(*) <= 1m\n";
    let loaded = load_all(&web(more), &["web.yaml"], &[]);
    let resolved = loaded.resolved.expect("valid");
    assert_eq!(resolved.blueprint.loads[0].points[0].rate_millirps, 1000);
    let names: Vec<&str> = resolved.guarantees.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "b [shop/web]"]);
    let other = WEB.replace("namespace: shop", "namespace: other");
    let files = web(more).with("other.yaml", other);
    let says = said(&load_all(&files, &["web.yaml", "other.yaml"], &[]));
    assert!(says[0].contains("`web` may be one of shop/web, other/web"), "{says:?}");
}

#[test]
fn later_tiers_replace_earlier_ones() {
    let three = WEB.replace("replicas: 2", "replicas: 3");
    let files = web("  manifests: [web.yaml]\n").with("mine.yaml", three);
    let loaded = load_all(&files, &["mine.yaml"], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let blueprint = loaded.resolved.expect("valid").blueprint;
    assert_eq!(blueprint.workloads.len(), 1);
    assert_eq!(blueprint.workloads[0].replicas, 3);
}

#[test]
fn what_is_exposed_gets_the_wildcard_load() {
    let more = "  load: [{service: '*', rate: 5}]\n  guarantees: {g: availability(*) >= 99%}\n";
    // Nothing of the namespace is exposed: with -f each of its Services counts.
    let resolved = load_all(&web(more), &["web.yaml"], &[]).resolved.expect("valid");
    assert_eq!(resolved.guarantees[0].name, "g [shop/web]");
    // A platform's own inner Service does not.
    let files = web(&format!("  manifests: [web.yaml]\n{more}"));
    assert!(load_all(&files, &[], &[]).resolved.is_none());
    let front = "apiVersion: v1\nkind: Service\nmetadata: {name: front, namespace: shop}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}\n";
    let files = files.with("front.yaml", front);
    let resolved = load_all(&files, &["front.yaml"], &[]).resolved.expect("valid");
    assert_eq!(resolved.guarantees[0].name, "g [shop/front]");
}

#[test]
fn calls_are_guessed_from_the_environment_and_never_in_a_circle() {
    let service = |name: &str, calls: &str| {
        WEB.replace("web", name).replace(
            "          resources",
            &format!("          env: [{{name: PEER, value: \"{calls}\"}}]\n          resources"),
        )
    };
    let files = Memory::default()
        .with("s.yaml", scenario("  load: [{service: shop/a, rate: 5}]\n"))
        .with("small.yaml", PLATFORM)
        .with("m/a.yaml", service("a", "http://b.shop.svc.cluster.local/x"))
        .with("m/b.yaml", service("b", "c:80"))
        .with("m/c.yaml", service("c", "a:80"))
        .with("m/d.yaml", service("d", "a"));
    let blueprint = load_all(&files, &["m"], &[]).resolved.expect("valid").blueprint;
    let calls: Vec<(String, Vec<String>)> = blueprint
        .profiles
        .iter()
        .map(|it| {
            let called = it.depends_on.iter().map(|id| blueprint.service_name(*id)).collect();
            (blueprint.service_name(it.service), called)
        })
        .collect();
    let owned = |name: &str, called: &[&str]| {
        (name.to_owned(), called.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    };
    let expected =
        [owned("shop/a", &["shop/b"]), owned("shop/b", &["shop/c"]), owned("shop/c", &[])];
    assert_eq!(calls, expected);
}

#[test]
fn nodes_bear_the_labels_of_their_place() {
    let blueprint = load_all(&web(""), &[], &[]).resolved.expect("valid").blueprint;
    let names: Vec<&str> = blueprint.nodes.iter().map(|it| it.node.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "worker-az-a-1",
            "worker-az-b-1",
            "control-plane-az-a-1",
            "control-plane-az-b-1",
            "control-plane-az-b-2",
        ]
    );
    let node = &blueprint.nodes[1].node;
    assert_eq!(node.labels["topology.kubernetes.io/zone"], "az-b");
    assert_eq!(node.labels["kubernetes.io/hostname"], "worker-az-b-1");
    assert_eq!(node.allocatable.get("pods"), Some(110));
    assert!(blueprint.nodes[2].is_control_plane && !blueprint.nodes[2].node.taints.is_empty());
}

#[test]
fn coverage_lists_what_is_left_aside() {
    let text = WEB
        .replace("      containers:", "      securityContext: {runAsUser: 1}\n      containers:")
        + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: shop}\n";
    let loaded = load_all(&web("").with("web.yaml", text), &["web.yaml"], &[]);
    let coverage = loaded.resolved.expect("valid").coverage;
    let listed: Vec<String> = coverage
        .of_fidelity(scenario_format::coverage::Fidelity::NotModelled)
        .map(|it| format!("{} {} {}:{}", it.kind, it.field, it.places[0].line, it.note))
        .collect();
    assert_eq!(
        listed,
        [
            "apps/v1 Deployment spec.template.spec.securityContext 12:",
            "example.com/v1 Widget  33:an unknown kind",
            "v1 ConfigMap  29:",
        ]
    );
}

/// A length of what has none is refused, and editors do not offer it.
#[test]
fn what_does_not_end_has_no_length() {
    let cases = [
        "evict: {workload: shop/web",
        "deleteNode: {zone: az-a",
        "nodeUpgrade: {zone: az-a",
        "leaderKill: {of: scheduler",
        "controlPlaneUpgrade: {reboots: true",
        "podCrash: {workload: shop/web",
        "zoneDestroyed: {zone: az-a",
        "regionLoss: {at: 1m",
    ];
    let text = scenario_format::schema::scenario().to_string();
    let schema: serde_json::Value = serde_json::from_str(&text).expect("a schema is JSON");
    for case in cases {
        let at = if case.contains("at:") { "" } else { ", at: 1m" };
        let spec = format!("  load: []\n  faults: [{case}{at}, for: 5m}}]\n  guarantees: {{}}\n");
        let kind = case.split(':').next().expect("the name of the fault");
        let says = said(&load_all(&web(&spec), &["web.yaml"], &[]));
        let expected = format!("E0017: {kind} does not end: ");
        assert!(says.iter().any(|it| it.contains(&expected)), "{case}: {says:?}");
        let choices = schema["definitions"]["FaultSpec"]["oneOf"].as_array().expect("a choice");
        let choice = choices.iter().find_map(|it| it["properties"].get(kind)).expect("it is one");
        let reference = choice["$ref"].as_str().or_else(|| choice["allOf"][0]["$ref"].as_str());
        let name = reference.expect("a record").rsplit('/').next().expect("a name");
        let keys = &schema["definitions"][name]["properties"];
        assert!(keys.get("at").is_some(), "{case}: {keys}");
        assert_eq!(keys.get("for").is_some(), kind == "podCrash", "{case}");
    }
}

#[test]
fn a_promise_of_static_stability_freezes_the_control_planes() {
    let frozen_count = |more: &str| {
        let spec = format!(
            "  load: [{{service: '*', rate: 1}}]
  faults:
    - podCrash: {{name: crash, workload: shop/web, at: 10m, for: 5m}}
    - apiOutage: {{name: outage, at: 30m, for: 5m}}
{more}"
        );
        let loaded = load_all(&web(&spec), &["web.yaml"], &[]);
        if more.is_empty() {
            // Without a freeze, there is nothing that the crash could be the length of.
            let says = said(&loaded);
            assert!(says.iter().any(|it| it.contains("E0017: podCrash does not end")), "{says:?}");
            return 0;
        }
        let resolved = loaded.resolved.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let is_freeze = |name: &str| name.starts_with("control plane frozen during");
        resolved.faults.faults.iter().filter(|fault| is_freeze(&fault.name)).count()
    };
    assert_eq!(frozen_count(""), 0);
    assert_eq!(frozen_count("  guarantees: {up: 'statically_stable(shop/web, 99%)'}"), 1);
    let both = "  freezeControlPlane: true\n  guarantees: {up: 'statically_stable(*, 99%)'}";
    assert_eq!(frozen_count(both), 1);
}

#[test]
fn the_control_plane_of_the_cloud_is_frozen_where_something_is_asked_of_it() {
    let frozen = |more: &str, balancers: &str| {
        let spec = format!(
            "  freezeControlPlane: true\n{balancers}  faults:\n    \
             - podCrash: {{name: crash, workload: shop/web, at: 10m, for: 5m}}\n"
        );
        let exposed = WEB.replace(
            "  selector: {app: web}\n  ports",
            "  type: LoadBalancer\n  selector: {app: web}\n  ports",
        );
        let files = web(&spec).with("web.yaml", format!("{exposed}{more}"));
        let loaded = load_all(&files, &["web.yaml"], &[]);
        let resolved = loaded.resolved.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let faults = resolved.faults.faults.into_iter();
        faults.map(|it| it.name).filter(|name| name.contains("of the cloud")).collect::<Vec<_>>()
    };
    let claim = |class: &str| {
        format!(
            "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: own}}\n\
             provisioner: {class}\n---\napiVersion: apps/v1\nkind: StatefulSet\n\
             metadata: {{name: db, namespace: shop}}\nspec:\n  replicas: 1\n  serviceName: db\n  \
             selector: {{matchLabels: {{app: db}}}}\n  template:\n    \
             metadata: {{labels: {{app: db}}}}\n    \
             spec: {{containers: [{{name: db, image: db:1}}]}}\n  volumeClaimTemplates:\n    \
             - {{metadata: {{name: data}}, spec: {{storageClassName: own, accessModes: [ReadWriteOnce], \
             resources: {{requests: {{storage: 1Gi}}}}}}}}\n"
        )
    };
    let name = "control plane of the cloud frozen during crash";
    let balancer = "  loadBalancers: [{service: shop/web, name: edge}]\n";
    assert!(frozen("", "").is_empty());
    assert_eq!(frozen("", balancer), [name]);
    assert_eq!(frozen(&claim("cinder.csi.openstack.org"), ""), [name]);
    assert!(frozen(&claim("rook-ceph.rbd.csi.ceph.com"), "").is_empty());
    assert!(frozen(&claim("rancher.io/local-path"), "").is_empty());
}

/// What Helm runs once is no workload; what an installation leaves behind is there.
#[test]
fn helm_hooks_are_left_out_with_one_warning() {
    let hook = |kind: &str, name: &str, annotations: &str, rest: &str| {
        format!(
            "---\n{kind}\nmetadata: {{name: {name}, namespace: shop, labels: {{app: web}}, annotations: {{{annotations}}}}}\n{rest}\n"
        )
    };
    let pod = "containers: [{name: t, image: t:1, resources: {requests: {cpu: 1, memory: 1Mi}}}]";
    let bare = format!("spec: {{restartPolicy: Never, {pod}}}");
    let job = format!("spec: {{template: {{spec: {{restartPolicy: Never, {pod}}}}}}}");
    let secret = "apiVersion: v1\nkind: Secret";
    let text = [
        hook("apiVersion: v1\nkind: Pod", "web-test", "helm.sh/hook: test", &bare),
        hook("apiVersion: batch/v1\nkind: Job", "bye", "helm.sh/hook: pre-delete", &job),
        hook(
            "apiVersion: batch/v1\nkind: Job",
            "up",
            "helm.sh/hook: 'pre-install, pre-upgrade'",
            &job,
        ),
        hook(secret, "stays", "helm.sh/hook: pre-install", ""),
        hook(
            secret,
            "goes",
            "helm.sh/hook: pre-install, helm.sh/hook-delete-policy: 'before-hook-creation,hook-succeeded'",
            "",
        ),
    ];
    let loaded = load_all(&web("").with("h.yaml", text.concat()), &["web.yaml", "h.yaml"], &[]);
    assert_eq!(
        said(&loaded),
        ["h.yaml:4:79: W0395: Pod shop/web-test (test), Job shop/bye (pre-delete), Job shop/up \
          (pre-install, pre-upgrade), Secret shop/goes (pre-install) are Helm hooks, not part of what \
          runs: left out"]
    );
    let resolved = loaded.resolved.expect("valid");
    assert_eq!(resolved.blueprint.workloads.len(), 1);
    let secrets = resolved.coverage.uses.iter().find(|it| it.kind == "v1 Secret");
    assert_eq!(secrets.map(|it| it.places.len()), Some(1));
}
