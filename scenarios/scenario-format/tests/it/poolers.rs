//! Poolers: what is read of them, who goes through them, what is refused and warned about.

use model_api::action::Action;
use model_api::blueprint::{Pooler, PoolerTarget};
use model_api::fault::FaultKind;
use model_api::{DatabaseId, PoolerId, SimSpan};

use crate::support::{Memory, PLATFORM, load_all, said, scenario, web};

const CLUSTER: &str = "apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: db, namespace: shop}
spec: {instances: 3, storage: {size: 100Gi}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: cinder.csi.openstack.org
---
";

/// A cluster and a pooler with these fields; `shop/web` writes to the cluster in this way.
fn files(spec: &str, writes: &str) -> Memory {
    let pooler = format!(
        "{CLUSTER}apiVersion: postgresql.cnpg.io/v1\nkind: Pooler\nmetadata: {{name: pool, namespace: shop}}\nspec:\n{spec}"
    );
    let platform = format!(
        "{PLATFORM}  services: [{{service: shop/web, writesTo: [{writes}]}}]\n  load: [{{service: shop/web, rate: 10}}]\n"
    );
    web("").with("db.yaml", pooler).with("small.yaml", platform)
}

fn told(spec: &str, writes: &str) -> (Vec<String>, Option<model_api::Blueprint>) {
    let loaded = load_all(&files(spec, writes), &["db.yaml", "web.yaml"], &[]);
    (said(&loaded), loaded.resolved.map(|it| it.blueprint))
}

const THROUGH: &str = "{database: shop/db, share: 50%, through: shop/pool}";

#[test]
fn a_pooler_is_a_deployment_whose_connections_bound_it() {
    let spec = "  cluster: {name: db}
  instances: 2
  pgbouncer: {poolMode: transaction, parameters: {default_pool_size: '30', max_db_connections: '25', server_login_retry: '3'}}
";
    let (lines, blueprint) = told(spec, THROUGH);
    let blueprint = blueprint.unwrap_or_else(|| panic!("{lines:?}"));
    let Pooler { database, instances, login_retry, pool_size, client_max, is_paused, .. } =
        blueprint.poolers[0].clone();
    assert_eq!((database, instances, is_paused), (DatabaseId(0), 2, false));
    assert_eq!((pool_size, client_max, login_retry), (25, 100, SimSpan::from_secs(3)));
    let workload = &blueprint.workloads[blueprint.poolers[0].workload.index()];
    assert_eq!((workload.name.as_str(), workload.replicas), ("pool", 2));
    assert!(workload.template.spec.containers[0].readiness.is_some());
    // Requests go through its Service, and what they commit counts all the same.
    let service = blueprint.poolers[0].service;
    let profile = |of: &dyn Fn(&model_api::load::ServiceProfile) -> bool| {
        blueprint.profiles.iter().find(|it| of(it)).expect("it is asked").clone()
    };
    let web = profile(&|it| it.service != service);
    assert_eq!((web.depends_on, web.writes_to), (vec![service], Vec::new()));
    let pool = profile(&|it| it.service == service).serving;
    assert_eq!((pool.workers, pool.queue_limit), (25, Some(75)));
    assert_eq!(blueprint.databases[0].writers[0].share_ppm, 500_000);
}

#[test]
fn what_leads_nowhere_is_refused() {
    let check = |spec: &str, writes: &str, expected: &str| {
        let (lines, _) = told(spec, writes);
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:?}");
    };
    let rw = "  cluster: {name: db}\n";
    check(rw, "{database: shop/db, through: shop/pol}", "E0065: there is no pooler `shop/pol`");
    check("  cluster: {name: db}\n  type: ro\n", THROUGH, "E0065");
    let other = "  cluster: {name: db}\n---\napiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: ledger, namespace: shop}\nspec: {instances: 1, storage: {size: 1Gi}}\n";
    let wrong = "{database: shop/ledger, through: shop/pool}";
    check(other, wrong, "E0066: `shop/pool` does not lead to shop/ledger");
    check("  cluster: {name: db}\n  type: rx\n", THROUGH, "must be one of rw, ro, r");
    let parameters = "  cluster: {name: db}\n  pgbouncer: {parameters: {max_client_conn: many}}\n";
    check(parameters, THROUGH, "max_client_conn` must be a whole number");
}

#[test]
fn poolers_that_cannot_work_are_warned_about() {
    let warned = |spec: &str| -> Vec<String> {
        let lines = told(spec, "shop/db").0.into_iter();
        let codes = lines.filter_map(|line| Some(line.split(": ").nth(1)?.to_owned()));
        // Its pods request nothing, which is said of every Deployment.
        codes.filter(|code| code.starts_with("W019")).collect()
    };
    assert_eq!(warned("  cluster: {name: db}\n"), Vec::<String>::new());
    // 5 pods of 20 connections want more than the 97 that there are.
    assert_eq!(warned("  cluster: {name: db}\n  instances: 5\n"), ["W0194"]);
    assert_eq!(warned("  cluster: {name: db}\n  pgbouncer: {paused: true}\n"), ["W0195"]);
    assert_eq!(warned("  cluster: {name: other}\n"), ["W0196"]);
}

#[test]
fn who_waits_has_room_or_time() {
    let limit = |parameters: &str| {
        let spec = format!(
            "  cluster: {{name: db}}\n  pgbouncer: {{poolMode: transaction, parameters: {{{parameters}}}}}\n"
        );
        let (lines, blueprint) = told(&spec, THROUGH);
        let blueprint = blueprint.unwrap_or_else(|| panic!("{lines:?}"));
        let service = blueprint.poolers[0].service;
        let profile = blueprint.profiles.iter().find(|it| it.service == service).expect("asked");
        (profile.serving.workers, profile.serving.queue_limit)
    };
    assert_eq!(limit(""), (20, Some(80)));
    assert_eq!(limit("default_pool_size: '10', reserve_pool_size: '5'"), (15, Some(85)));
    // Ten connections serve 5000 transactions of 2 ms in a second.
    let many = "default_pool_size: '10', max_client_conn: '100000'";
    assert_eq!(limit(&format!("{many}, query_wait_timeout: '1'")), (10, Some(5_000)));
    assert_eq!(limit(&format!("{many}, query_wait_timeout: '0'")), (10, Some(99_990)));
}

#[test]
fn clients_that_stay_connected_are_counted_or_asked_for() {
    let lines = |mode: &str, writes: &str| {
        let spec = format!("  cluster: {{name: db}}\n  pgbouncer: {{poolMode: {mode}}}\n");
        let (lines, blueprint) = told(&spec, writes);
        let clients = blueprint.map(|it| it.poolers[0].clients.iter().map(|it| it.1).collect());
        (lines.iter().any(|line| line.contains("W0220")), clients.unwrap_or_else(Vec::new))
    };
    let counted = "{database: shop/db, through: shop/pool, connections: 10}";
    assert_eq!(lines("session", THROUGH), (true, Vec::new()));
    assert_eq!(lines("session", counted), (false, vec![10]));
    assert_eq!(lines("transaction", THROUGH), (false, Vec::new()));
}

#[test]
fn a_pooler_of_readers_is_a_service_to_depend_on() {
    let spec = "  cluster: {name: db}\n  type: ro\n";
    let platform = format!(
        "{PLATFORM}  services: [{{service: shop/web, dependsOn: [shop/pool]}}]\n  load: [{{service: shop/web, rate: 10}}]\n"
    );
    let files = files(spec, "shop/db").with("small.yaml", platform);
    let loaded = load_all(&files, &["db.yaml", "web.yaml"], &[]);
    let blueprint = loaded.resolved.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)).blueprint;
    assert_eq!(blueprint.poolers[0].leads_to, PoolerTarget::Standbys);
    let service = blueprint.poolers[0].service;
    assert!(blueprint.profiles.iter().any(|it| it.service == service && it.serving.workers == 20));
}

#[test]
fn a_pooler_is_paused_by_its_name() {
    let with = |mode: &str, name: &str| {
        let spec = format!("  cluster: {{name: db}}\n  pgbouncer: {{poolMode: {mode}}}\n");
        let fault = format!("  faults:\n    - pausePooler: {{pooler: {name}, at: 1m, for: 10s}}\n");
        let files = files(&spec, THROUGH).with("s.yaml", scenario(&fault));
        let loaded = load_all(&files, &["db.yaml", "web.yaml"], &[]);
        let codes =
            said(&loaded).into_iter().filter(|it| it.contains("E0016") || it.contains("W0381"));
        (codes.count(), loaded.resolved.map(|it| (it.blueprint, it.faults)))
    };
    let (count, resolved) = with("transaction", "shop/pool");
    let (blueprint, plan) = resolved.expect("nothing is wrong");
    let action = Action::PausePooler { pooler: PoolerId(0) };
    assert_eq!((count, &plan.faults[0].kind), (0, &FaultKind::Action(action)));
    assert_eq!(blueprint.poolers[0].wait_max, Some(SimSpan::from_secs(120)));
    assert_eq!(with("session", "shop/pool").0, 1, "it waits for sessions");
    assert!(with("transaction", "shop/pol").1.is_none());
}
