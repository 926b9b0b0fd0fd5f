//! Every shipped scenario: how it ends, and that its results depend on nothing but its input.

use std::fmt::Write as _;

use snapbox::assert_data_eq;

use crate::{ended, root, scratch};

/// Scenarios and the exit code they end with. `sim/tidy` fails when one is missing here.
pub(crate) const LIBRARY: &[(&str, i32)] = &[
    ("account-lost", 0),
    ("agent-leaks-with-limit", 0),
    ("agent-leaks-without-limit", 1),
    ("alert-too-late", 1),
    ("any-pod-under-spike", 0),
    ("api-balancer-blip", 0),
    ("api-balancer-outage", 1),
    ("api-flood-catch-all", 0),
    ("api-flood-controllers", 1),
    ("api-outage", 1),
    ("api-server-down", 0),
    ("archive-broken-fills-volume", 1),
    ("archive-broken-volume-grown", 0),
    ("archive-broken-zone-destroyed", 1),
    ("archive-gap-zone-destroyed", 1),
    ("archive-gap-zone-returns", 0),
    ("archive-on-4-2", 1),
    ("archive-on-5-4", 0),
    ("az-loss-docs", 0),
    ("az-loss", 1),
    ("backlog-after-spike", 1),
    ("backup-target-lost", 1),
    ("backups-broken", 1),
    ("backups-in-the-lost-zone", 1),
    ("bad-rollout", 0),
    ("balancer-machine-lost", 1),
    ("balancer-machine-stands-by", 0),
    ("bucket-full", 1),
    ("calls-at-once", 0),
    ("calls-in-a-loop", 1),
    ("calls-in-one", 0),
    ("calls-kept-on-node", 1),
    ("calls-prefer-node", 0),
    ("canary-never-ready", 0),
    ("canary-promoted", 0),
    ("cluster-dns-away-kept", 0),
    ("cluster-dns-away", 1),
    ("cluster-dns-slow-kept", 0),
    ("cluster-dns-slow", 1),
    ("cold-cache-floods-stock", 1),
    ("cold-cache-shared", 0),
    ("cold-cache-shed", 0),
    ("cold-pods-under-spike", 1),
    ("config-map-deleted", 1),
    ("control-plane-upgrade", 0),
    ("control-plane-zone-cut-off", 1),
    ("controllers-in-one-zone", 1),
    ("controllers-in-two-zones", 0),
    ("cpu-limit-throttles", 1),
    ("cpu-limit-with-room", 0),
    ("crash-loses-requests", 1),
    ("crash-tried-again", 0),
    ("daily-curve", 0),
    ("database-update-registry-lost", 1),
    ("database-update-restart", 1),
    ("database-update-supervised", 1),
    ("database-update-switchover", 0),
    ("drain-moves-primary", 0),
    ("drain-stuck", 1),
    ("drain-zone", 0),
    ("etcd-apart", 0),
    ("etcd-beside-servers", 1),
    ("etcd-five-members", 0),
    ("etcd-forgets-secret", 1),
    ("etcd-from-yesterday", 1),
    ("etcd-slow-disk-follower", 0),
    ("etcd-slow-disk-leader", 1),
    ("etcd-three-members", 1),
    ("failover-cannot-pull", 1),
    ("failover-needs-no-pull", 0),
    ("faulty-blue-green", 0),
    ("faulty-canary", 0),
    ("faulty-rollout", 1),
    ("fenced-primary", 1),
    ("gates-lifted", 0),
    ("gateway-image-elsewhere", 0),
    ("gateway-loses-database", 1),
    ("gateway-own-image", 1),
    ("gateway-starts-from-database", 0),
    ("gateway-starts-unconfigured", 1),
    ("gateway-tries-other-pods", 0),
    ("gateway-waits-for-dead-pods", 1),
    ("handshake-for-each-request", 1),
    ("handshake-for-ten-requests", 0),
    ("key-lost", 1),
    ("leader-loss", 0),
    ("limit-in-a-store", 0),
    ("limit-in-each-pod", 1),
    ("limit-keeps-its-store", 0),
    ("limit-loses-its-store", 1),
    ("limit-store-required", 1),
    ("liveness-kills-under-spike", 1),
    ("liveness-off-the-work-path", 0),
    ("local-disk-one-instance", 1),
    ("local-disk-three-instances", 0),
    ("local-policy-with-monitor", 0),
    ("local-policy-without-monitor", 1),
    ("log-volumes-made-early", 1),
    ("logical-loss-6h", 0),
    ("long-requests-block", 1),
    ("long-requests-share", 0),
    ("memory-leak", 0),
    ("must-fail", 1),
    ("name-kept-a-minute", 0),
    ("name-kept-for-ever", 1),
    ("name-kept-long", 1),
    ("name-servers-away-kept", 0),
    ("name-servers-away", 1),
    ("nightly-job-deadline", 1),
    ("nightly-job", 0),
    ("no-limit-alone", 0),
    ("no-limit-beside-batch", 1),
    ("node-at-stake-async", 1),
    ("node-crash", 0),
    ("node-shutdown-by-power", 1),
    ("node-shutdown-in-order", 0),
    ("node-upgrade", 0),
    ("noisy-tenant-limited", 0),
    ("noisy-tenant", 1),
    ("off-peak-one", 1),
    ("off-peak-two", 0),
    ("operator-ends-in-outage", 1),
    ("operator-hangs-on-lost-server", 1),
    ("operator-stands-by-in-outage", 0),
    ("passive-checks-find-a-pod", 0),
    ("passive-checks-off", 1),
    ("patroni-api-flood-failsafe", 0),
    ("patroni-api-flood", 1),
    ("patroni-api-outage", 1),
    ("patroni-archive-broken-hours", 0),
    ("patroni-archive-broken", 1),
    ("patroni-primary-zone-lost", 0),
    ("patroni-standby-held-back", 1),
    ("patroni-switchover", 0),
    ("policy-forgets-gateway", 1),
    ("pooler-by-session", 1),
    ("pooler-by-transaction", 0),
    ("pooler-login-retry", 1),
    ("pooler-quick-login", 0),
    ("primary-frozen", 1),
    ("primary-frozen-sync", 0),
    ("primary-isolated-checked", 1),
    ("primary-isolated-fast", 0),
    ("primary-isolated-patient", 1),
    ("primary-isolated-split-brain", 1),
    ("primary-volume-destroyed", 1),
    ("primary-zone-lost-async", 1),
    ("primary-zone-lost-at-peak", 1),
    ("primary-zone-lost-commit-off", 1),
    ("primary-zone-lost-mostly-read", 0),
    ("primary-zone-lost-operator-too", 1),
    ("primary-zone-lost-standby-down", 1),
    ("primary-zone-lost-sync", 0),
    ("ransomware-locked", 0),
    ("ransomware-unlocked", 1),
    ("ranked-nodes-run-out", 0),
    ("rate-limit-protects", 0),
    ("reconnect-storm-ecdsa", 0),
    ("reconnect-storm", 1),
    ("region-lost", 0),
    ("registry-lost-in-failover", 0),
    ("registry-outage", 0),
    ("requests-too-large", 0),
    ("restore-never-tested", 1),
    ("restore-throttled", 1),
    ("retry-storm-budget", 0),
    ("retry-storm", 1),
    ("rolling-two-zones", 1),
    ("rollout-az-loss", 0),
    ("rollout-with-pre-stop", 0),
    ("rollout-without-pre-stop", 1),
    ("rollout", 0),
    ("scratch-fills-disks", 1),
    ("scratch-with-size-limit", 0),
    ("second-loss-three-copies", 0),
    ("second-loss-two-copies", 1),
    ("secret-deleted", 1),
    ("secret-made-anew", 0),
    ("sessions-lost-with-node", 1),
    ("single-thread-by-cpu", 1),
    ("single-thread-by-requests", 0),
    ("slow-api-loses-leaders", 1),
    ("snapshots-moved", 0),
    ("snapshots-on-their-pool", 1),
    ("spike-fills-memory", 1),
    ("spike-fits-memory", 0),
    ("spike-nodes-late", 1),
    ("spike-without-headroom", 1),
    ("standby-gone-fills-volume", 1),
    ("standby-gone-slot-limit", 0),
    ("standby-held-back", 1),
    ("starts-policy-blocks-network", 1),
    ("starts-registry-feeds-itself", 1),
    ("starts-vault-from-vault", 1),
    ("starts-vault-needs-storage", 1),
    ("static-stability-balancer-lost", 1),
    ("static-stability-balancer-stands-by", 0),
    ("static-stability-scales", 1),
    ("static-stability-zone-checked", 0),
    ("static-stability-zone-lost", 1),
    ("static-stability", 0),
    ("sticky-sessions-under-spike", 1),
    ("switchover-under-pause", 0),
    ("switchover-with-backlog", 1),
    ("switchover-with-delay", 0),
    ("switchover", 0),
    ("vault-restarts-sealed", 1),
    ("vault-sealed", 1),
    ("vault-sealed-rollout", 1),
    ("vault-unsealed-soon", 0),
    ("velero-restarts", 1),
    ("volume-hangs", 1),
    ("volume-over-zones", 0),
    ("volume-restored-elsewhere", 0),
    ("warm-pods-under-spike", 0),
    ("webhook-blocks-leases", 1),
    ("webhook-outage", 0),
    ("webhook-spares-nodes", 0),
    ("wrong-record", 1),
    ("zone-at-stake-async", 1),
    ("zone-at-stake-sync", 0),
    ("zone-hints-even", 0),
    ("zone-hints-uneven", 1),
    ("zone-hints-zone-lost", 0),
    ("zone-isolation-60s", 0),
    ("zone-loss-at-peak-users", 0),
    ("zone-loss-at-peak", 1),
    ("zone-loss-behind-balancer", 1),
    ("zone-loss-behind-monitor", 0),
    ("zone-loss-no-capacity", 1),
    ("zone-loss-nodes-come", 0),
    ("zone-loss-nodes-late", 1),
    ("zone-loss-overprovisioned", 0),
    ("zone-loss-with-headroom", 0),
];

/// Enough runs for a test of discipline; the verdicts have their own number.
const FEW: &str = "6";

/// A service that no other has to do with: it stands on nodes that no other pod may use, and stays
/// there whatever happens, so that it neither takes a place nor waits for one.
const BYSTANDER: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: bystander}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: idle, namespace: bystander}
spec:
  replicas: 1
  selector: {matchLabels: {app: idle}}
  template:
    metadata: {labels: {app: idle}}
    spec:
      terminationGracePeriodSeconds: 1
      nodeSelector: {node-role.kubernetes.io/control-plane: ''}
      tolerations: [{operator: Exists}]
      containers:
        - {name: idle, image: registry.k8s.io/pause:3.10}
---
apiVersion: v1
kind: Service
metadata: {name: idle, namespace: bystander}
spec:
  selector: {app: idle}
  ports: [{port: 80}]
";

#[test]
fn every_shipped_scenario_ends_as_it_should() {
    let mut wrong = String::new();
    for (name, code) in LIBRARY {
        let ended = ended(&["run", &format!("scenarios/library/{name}")]);
        if ended.code != Some(*code) {
            writeln!(
                wrong,
                "{name}: {:?}, not {code}\n{}{}",
                ended.code, ended.stdout, ended.stderr
            )
            .expect("writing to a String cannot fail");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_scenario_is_found_by_its_bare_name_anywhere() {
    let folder = scratch("elsewhere");
    let output = crate::eidp_sim(&["run", "node-crash", "--runs", "2"])
        .current_dir(folder)
        .output()
        .expect("the program was built for this test");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    for (name, _) in LIBRARY {
        let with =
            |threads| ended(&["run", name, "--runs", FEW, "-o", "json", "-j", threads]).stdout;
        let one = with("1");
        assert!(one.contains("\"digest\""), "{name} has no result");
        assert_eq!(one, with("2"), "{name}");
        assert_eq!(one, with("3"), "{name}");
    }
}

#[test]
fn two_executions_of_a_run_are_the_same() {
    for (name, _) in LIBRARY {
        let ended = ended(&["run", name, "--runs", "2", "--paranoid"]);
        assert_ne!(ended.code, Some(6), "{name}: {}", ended.stderr);
    }
}

#[test]
fn a_scenario_does_not_differ_from_itself() {
    let library = root().join("scenarios/library");
    let library = library.to_str().expect("the checkout has a UTF-8 path");
    let copy = scratch("copy");
    copy_folder(std::path::Path::new(library), &copy);
    let copy = copy.to_str().expect("the target folder has a UTF-8 path");
    let ended = ended(&["diff", "--base", library, "--head", copy, "--runs", FEW, "-o", "json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let diffs: serde_json::Value = serde_json::from_str(&ended.stdout).expect("this is JSON");
    let diffs = diffs.as_array().expect("one a scenario");
    assert_eq!(diffs.len(), LIBRARY.len());
    for diff in diffs {
        assert_eq!(diff["guarantees"], serde_json::json!([]), "{diff:#}");
        assert_eq!(diff["metrics"], serde_json::json!([]), "{diff:#}");
        assert_eq!(diff["unpaired"], serde_json::json!([]), "{diff:#}");
        assert_ne!(diff["equalMetricCount"], 0, "it compared nothing: {diff:#}");
    }
}

#[test]
fn a_bystander_changes_no_draw_of_the_others() {
    let folder = scratch("bystander");
    let manifest = folder.join("bystander.yaml");
    std::fs::write(&manifest, BYSTANDER).expect("the folder is ours");
    let manifest = manifest.to_str().expect("the target folder has a UTF-8 path");
    // When a region is built again all pods are created at once, and one more takes a turn of the client of
    // their controller.
    let is_rebuilt = |name: &str| ["account-lost", "region-lost"].contains(&name);
    for (name, _) in LIBRARY.iter().filter(|(name, _)| !is_rebuilt(name)) {
        let figures = |more: &[&str]| {
            let arguments = [&["run", name, "--runs", FEW, "-o", "json"], more].concat();
            let ended = ended(&arguments);
            let report: serde_json::Value =
                serde_json::from_str(&ended.stdout).expect("this is JSON");
            let result = report["results"][0].clone();
            let values = |of: &str| -> Vec<(serde_json::Value, serde_json::Value)> {
                let all = result[of].as_array().expect("a list").iter();
                all.map(|one| {
                    (serde_json::json!([one["name"], one["subject"]]), one["values"].clone())
                })
                .filter(|(name, _)| !name.to_string().contains("bystander"))
                .collect()
            };
            (values("metrics"), values("guarantees"))
        };
        let (without, with) = (figures(&[]), figures(&["-f", manifest]));
        assert!(!without.0.is_empty(), "{name} has no figures");
        assert_eq!(without, with, "{name}");
    }
}

#[test]
fn a_replay_has_the_digest_it_was_asked_for() {
    let first = ended(&["replay", "node-crash", "--run", "3", "--root-seed", "7"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let digest = first.stdout.split("digest ").nth(1).and_then(|rest| rest.split(',').next());
    let digest = digest.expect("the first line names the digest");
    let again = ["replay", "node-crash", "--run", "3", "--root-seed", "7", "--digest", digest];
    let again = ended(&again);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_data_eq!(again.stdout, first.stdout);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("the library is there") {
        let path = entry.expect("it can be listed").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("the folder is ours");
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("the folder is ours");
        }
    }
}
