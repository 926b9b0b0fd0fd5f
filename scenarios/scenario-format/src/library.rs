//! The shipped scenarios and platforms, part of the program.
//!
//! Their paths begin with [`PREFIX`], as in the repository, so that messages name files that exist
//! there, and so that a checkout finds the files of its own disk first.

use crate::files::{Files, RawFile, ReadError};

/// Where shipped files stand in the repository.
pub const PREFIX: &str = "scenarios/library/";

macro_rules! shipped {
    ($($path:literal)*) => {
        /// Paths below [`PREFIX`] and texts, sorted by path.
        const FILES: &[(&str, &str)] =
            &[$( ($path, include_str!(concat!("../../library/", $path))) ),*];
    };
}

shipped! {
    "account-lost.yaml"
    "agent-leaks-with-limit.yaml"
    "agent-leaks-without-limit.yaml"
    "alert-too-late.yaml"
    "any-pod-under-spike.yaml"
    "api-balancer-blip.yaml"
    "api-balancer-outage.yaml"
    "api-flood-catch-all.yaml"
    "api-flood-controllers.yaml"
    "api-outage.yaml"
    "api-server-down.yaml"
    "archive-broken-fills-volume.yaml"
    "archive-broken-volume-grown.yaml"
    "archive-broken-zone-destroyed.yaml"
    "archive-gap-zone-destroyed.yaml"
    "archive-gap-zone-returns.yaml"
    "archive-on-4-2.yaml"
    "archive-on-5-4.yaml"
    "az-loss-docs.yaml"
    "az-loss.yaml"
    "backlog-after-spike.yaml"
    "backup-target-lost.yaml"
    "backups-broken.yaml"
    "backups-in-the-lost-zone.yaml"
    "bad-rollout.yaml"
    "balancer-machine-lost.yaml"
    "balancer-machine-stands-by.yaml"
    "bucket-full.yaml"
    "calls-at-once.yaml"
    "calls-in-a-loop.yaml"
    "calls-in-one.yaml"
    "calls-kept-on-node.yaml"
    "calls-prefer-node.yaml"
    "canary-never-ready.yaml"
    "canary-promoted.yaml"
    "cluster-dns-away-kept.yaml"
    "cluster-dns-away.yaml"
    "cluster-dns-slow-kept.yaml"
    "cluster-dns-slow.yaml"
    "cold-cache-floods-stock.yaml"
    "cold-cache-shared.yaml"
    "cold-cache-shed.yaml"
    "cold-pods-under-spike.yaml"
    "config-map-deleted.yaml"
    "control-plane-upgrade.yaml"
    "control-plane-zone-cut-off.yaml"
    "controllers-in-one-zone.yaml"
    "controllers-in-two-zones.yaml"
    "cpu-limit-throttles.yaml"
    "cpu-limit-with-room.yaml"
    "crash-loses-requests.yaml"
    "crash-tried-again.yaml"
    "daily-curve.yaml"
    "database-update-registry-lost.yaml"
    "database-update-restart.yaml"
    "database-update-supervised.yaml"
    "database-update-switchover.yaml"
    "drain-moves-primary.yaml"
    "drain-stuck.yaml"
    "drain-zone.yaml"
    "etcd-apart.yaml"
    "etcd-beside-servers.yaml"
    "etcd-five-members.yaml"
    "etcd-forgets-secret.yaml"
    "etcd-from-yesterday.yaml"
    "etcd-slow-disk-follower.yaml"
    "etcd-slow-disk-leader.yaml"
    "etcd-three-members.yaml"
    "failover-cannot-pull.yaml"
    "failover-needs-no-pull.yaml"
    "faulty-blue-green.yaml"
    "faulty-canary.yaml"
    "faulty-rollout.yaml"
    "fenced-primary.yaml"
    "gates-lifted.yaml"
    "gateway-image-elsewhere.yaml"
    "gateway-loses-database.yaml"
    "gateway-own-image.yaml"
    "gateway-starts-from-database.yaml"
    "gateway-starts-unconfigured.yaml"
    "gateway-tries-other-pods.yaml"
    "gateway-waits-for-dead-pods.yaml"
    "handshake-for-each-request.yaml"
    "handshake-for-ten-requests.yaml"
    "key-lost.yaml"
    "leader-loss.yaml"
    "limit-in-a-store.yaml"
    "limit-in-each-pod.yaml"
    "limit-keeps-its-store.yaml"
    "limit-loses-its-store.yaml"
    "limit-store-required.yaml"
    "liveness-kills-under-spike.yaml"
    "liveness-off-the-work-path.yaml"
    "local-disk-one-instance.yaml"
    "local-disk-three-instances.yaml"
    "local-policy-with-monitor.yaml"
    "local-policy-without-monitor.yaml"
    "log-volumes-made-early.yaml"
    "logical-loss-6h.yaml"
    "long-requests-block.yaml"
    "long-requests-share.yaml"
    "manifests/agent-with-limit.yaml"
    "manifests/agent-without-limit.yaml"
    "manifests/closed-webhook.yaml"
    "manifests/cluster-dns.yaml"
    "manifests/docs-site.yaml"
    "manifests/frontend-blue-green.yaml"
    "manifests/frontend-canary.yaml"
    "manifests/gateway-controller.yaml"
    "manifests/gateway-local.yaml"
    "manifests/gateway-own-image.yaml"
    "manifests/gateway-recreated.yaml"
    "manifests/gateway-redis.yaml"
    "manifests/ledger-db.yaml"
    "manifests/ledger.yaml"
    "manifests/nightly-job-deadline.yaml"
    "manifests/nightly-job.yaml"
    "manifests/off-peak-one.yaml"
    "manifests/off-peak-two.yaml"
    "manifests/orders-db-archived.yaml"
    "manifests/orders-db-async.yaml"
    "manifests/orders-db-commit-off.yaml"
    "manifests/orders-db-fast.yaml"
    "manifests/orders-db-local-alone.yaml"
    "manifests/orders-db-local.yaml"
    "manifests/orders-db-log-early.yaml"
    "manifests/orders-db-patient.yaml"
    "manifests/orders-db-slot-limit.yaml"
    "manifests/orders-db-switchover-delay.yaml"
    "manifests/orders-db-unchecked.yaml"
    "manifests/orders-db-update-supervised.yaml"
    "manifests/orders-db-update-switchover.yaml"
    "manifests/orders-operator-in-az-a.yaml"
    "manifests/orders-patroni-failsafe.yaml"
    "manifests/orders-pooler-quick-login.yaml"
    "manifests/orders-pooler-sessions.yaml"
    "manifests/overprovisioning.yaml"
    "manifests/policy-over-network.yaml"
    "manifests/registry-own-images.yaml"
    "manifests/reindex-gated.yaml"
    "manifests/scratch-with-size-limit.yaml"
    "manifests/scratch-without-size-limit.yaml"
    "manifests/stock-kept-on-node.yaml"
    "manifests/stock-prefers-node.yaml"
    "manifests/stock-uneven.yaml"
    "manifests/storefront-checked.yaml"
    "manifests/storefront-policies.yaml"
    "manifests/two-gateways.yaml"
    "manifests/vault-from-vault.yaml"
    "manifests/vault-on-encrypted-volumes.yaml"
    "manifests/web-autoscaler-requests.yaml"
    "manifests/web-autoscaler-warm.yaml"
    "manifests/web-autoscaler-wide.yaml"
    "manifests/web-autoscaler.yaml"
    "manifests/web-from-secret.yaml"
    "manifests/web-injected.yaml"
    "manifests/web-limit-tight.yaml"
    "manifests/web-limit-wide.yaml"
    "manifests/web-liveness-apart.yaml"
    "manifests/web-liveness.yaml"
    "manifests/web-passive-checks.yaml"
    "manifests/web-passive-off.yaml"
    "manifests/web-pre-stop.yaml"
    "manifests/web-roomy.yaml"
    "manifests/web-secret-made.yaml"
    "manifests/web-sticky.yaml"
    "manifests/web-tries-pods.yaml"
    "manifests/web-two-cores.yaml"
    "manifests/web-vertical.yaml"
    "manifests/web-without-limit.yaml"
    "manifests/webhook-about-leases.yaml"
    "manifests/webhook-spares-nodes.yaml"
    "memory-leak.yaml"
    "must-fail.yaml"
    "name-kept-a-minute.yaml"
    "name-kept-for-ever.yaml"
    "name-kept-long.yaml"
    "name-servers-away-kept.yaml"
    "name-servers-away.yaml"
    "nightly-job-deadline.yaml"
    "nightly-job.yaml"
    "no-limit-alone.yaml"
    "no-limit-beside-batch.yaml"
    "node-at-stake-async.yaml"
    "node-crash.yaml"
    "node-shutdown-by-power.yaml"
    "node-shutdown-in-order.yaml"
    "node-upgrade.yaml"
    "noisy-tenant-limited.yaml"
    "noisy-tenant.yaml"
    "off-peak-one.yaml"
    "off-peak-two.yaml"
    "operator-ends-in-outage.yaml"
    "operator-hangs-on-lost-server.yaml"
    "operator-stands-by-in-outage.yaml"
    "passive-checks-find-a-pod.yaml"
    "passive-checks-off.yaml"
    "patroni-api-flood-failsafe.yaml"
    "patroni-api-flood.yaml"
    "patroni-api-outage.yaml"
    "patroni-archive-broken-hours.yaml"
    "patroni-archive-broken.yaml"
    "patroni-primary-zone-lost.yaml"
    "patroni-standby-held-back.yaml"
    "patroni-switchover.yaml"
    "platforms/eidp-production.yaml"
    "platforms/eidp-production/00-cluster.yaml"
    "platforms/eidp-production/10-gateway.yaml"
    "platforms/eidp-production/20-registry.yaml"
    "platforms/eidp-production/30-vault.yaml"
    "platforms/eidp-production/40-observability.yaml"
    "platforms/eidp-production/50-delivery.yaml"
    "platforms/eidp-production/60-shop.yaml"
    "platforms/eidp-production/61-tools.yaml"
    "platforms/elastic-shop.yaml"
    "platforms/elastic-shop/shop.yaml"
    "platforms/orders-cloudnativepg.yaml"
    "platforms/orders-cloudnativepg/database.yaml"
    "platforms/orders-in-cluster-clients.yaml"
    "platforms/orders-mostly-read.yaml"
    "platforms/orders-patroni.yaml"
    "platforms/orders-patroni/database.yaml"
    "platforms/orders-pooled.yaml"
    "platforms/orders-pooled/pooler.yaml"
    "platforms/orders/api.yaml"
    "platforms/ranked-nodes.yaml"
    "platforms/ranked-nodes/ranking.yaml"
    "platforms/storefront-at-once.yaml"
    "platforms/storefront-batch.yaml"
    "platforms/storefront-cached-shared.yaml"
    "platforms/storefront-cached-sheds.yaml"
    "platforms/storefront-cached.yaml"
    "platforms/storefront-cached/stock.yaml"
    "platforms/storefront-cold.yaml"
    "platforms/storefront-control-in-one-zone.yaml"
    "platforms/storefront-controllers-in-one-zone.yaml"
    "platforms/storefront-controllers-in-two-zones.yaml"
    "platforms/storefront-database.yaml"
    "platforms/storefront-database/database.yaml"
    "platforms/storefront-etcd-five.yaml"
    "platforms/storefront-etcd-three.yaml"
    "platforms/storefront-exports.yaml"
    "platforms/storefront-graceful.yaml"
    "platforms/storefront-limited.yaml"
    "platforms/storefront-long-shared.yaml"
    "platforms/storefront-long.yaml"
    "platforms/storefront-loop.yaml"
    "platforms/storefront-sessions.yaml"
    "platforms/storefront-single-thread.yaml"
    "platforms/storefront-stock.yaml"
    "platforms/storefront-stock/stock.yaml"
    "platforms/storefront-threads.yaml"
    "platforms/storefront-vault.yaml"
    "platforms/storefront-vault/vault.yaml"
    "platforms/storefront.yaml"
    "platforms/storefront/shop.yaml"
    "policy-forgets-gateway.yaml"
    "pooler-by-session.yaml"
    "pooler-by-transaction.yaml"
    "pooler-login-retry.yaml"
    "pooler-quick-login.yaml"
    "primary-frozen-sync.yaml"
    "primary-frozen.yaml"
    "primary-isolated-checked.yaml"
    "primary-isolated-fast.yaml"
    "primary-isolated-patient.yaml"
    "primary-isolated-split-brain.yaml"
    "primary-volume-destroyed.yaml"
    "primary-zone-lost-async.yaml"
    "primary-zone-lost-at-peak.yaml"
    "primary-zone-lost-commit-off.yaml"
    "primary-zone-lost-mostly-read.yaml"
    "primary-zone-lost-operator-too.yaml"
    "primary-zone-lost-standby-down.yaml"
    "primary-zone-lost-sync.yaml"
    "ranked-nodes-run-out.yaml"
    "ransomware-locked.yaml"
    "ransomware-unlocked.yaml"
    "rate-limit-protects.yaml"
    "reconnect-storm-ecdsa.yaml"
    "reconnect-storm.yaml"
    "region-lost.yaml"
    "registry-lost-in-failover.yaml"
    "registry-outage.yaml"
    "requests-too-large.yaml"
    "restore-never-tested.yaml"
    "restore-throttled.yaml"
    "retry-storm-budget.yaml"
    "retry-storm.yaml"
    "rolling-two-zones.yaml"
    "rollout-az-loss.yaml"
    "rollout-with-pre-stop.yaml"
    "rollout-without-pre-stop.yaml"
    "rollout.yaml"
    "scratch-fills-disks.yaml"
    "scratch-with-size-limit.yaml"
    "second-loss-three-copies.yaml"
    "second-loss-two-copies.yaml"
    "secret-deleted.yaml"
    "secret-made-anew.yaml"
    "sessions-lost-with-node.yaml"
    "single-thread-by-cpu.yaml"
    "single-thread-by-requests.yaml"
    "slow-api-loses-leaders.yaml"
    "snapshots-moved.yaml"
    "snapshots-on-their-pool.yaml"
    "spike-fills-memory.yaml"
    "spike-fits-memory.yaml"
    "spike-nodes-late.yaml"
    "spike-without-headroom.yaml"
    "standby-gone-fills-volume.yaml"
    "standby-gone-slot-limit.yaml"
    "standby-held-back.yaml"
    "starts-policy-blocks-network.yaml"
    "starts-registry-feeds-itself.yaml"
    "starts-vault-from-vault.yaml"
    "starts-vault-needs-storage.yaml"
    "static-stability-balancer-lost.yaml"
    "static-stability-balancer-stands-by.yaml"
    "static-stability-scales.yaml"
    "static-stability-zone-checked.yaml"
    "static-stability-zone-lost.yaml"
    "static-stability.yaml"
    "sticky-sessions-under-spike.yaml"
    "switchover-under-pause.yaml"
    "switchover-with-backlog.yaml"
    "switchover-with-delay.yaml"
    "switchover.yaml"
    "vault-restarts-sealed.yaml"
    "vault-sealed-rollout.yaml"
    "vault-sealed.yaml"
    "vault-unsealed-soon.yaml"
    "velero-restarts.yaml"
    "volume-hangs.yaml"
    "volume-over-zones.yaml"
    "volume-restored-elsewhere.yaml"
    "warm-pods-under-spike.yaml"
    "webhook-blocks-leases.yaml"
    "webhook-outage.yaml"
    "webhook-spares-nodes.yaml"
    "wrong-record.yaml"
    "zone-at-stake-async.yaml"
    "zone-at-stake-sync.yaml"
    "zone-hints-even.yaml"
    "zone-hints-uneven.yaml"
    "zone-hints-zone-lost.yaml"
    "zone-isolation-60s.yaml"
    "zone-loss-at-peak-users.yaml"
    "zone-loss-at-peak.yaml"
    "zone-loss-behind-balancer.yaml"
    "zone-loss-behind-monitor.yaml"
    "zone-loss-no-capacity.yaml"
    "zone-loss-nodes-come.yaml"
    "zone-loss-nodes-late.yaml"
    "zone-loss-overprovisioned.yaml"
    "zone-loss-with-headroom.yaml"
}

/// Names of the shipped scenarios, sorted.
pub fn names() -> Vec<&'static str> {
    let scenarios = FILES.iter().filter(|(path, _)| !path.contains('/'));
    scenarios.filter_map(|(path, _)| path.strip_suffix(".yaml")).collect()
}

/// Names of the shipped platforms, sorted.
pub fn platform_names() -> Vec<&'static str> {
    let paths = FILES.iter().filter_map(|(path, _)| path.strip_prefix("platforms/"));
    paths.filter(|path| !path.contains('/')).filter_map(|path| path.strip_suffix(".yaml")).collect()
}

/// The text of a shipped file, by its path below [`PREFIX`].
pub fn get(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}

/// Other files, and the shipped ones where those have nothing.
#[derive(Clone, Copy)]
pub struct WithLibrary<'a> {
    /// What is looked at first.
    pub first: &'a dyn Files,
}

impl Files for WithLibrary<'_> {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        match (self.first.read(path), path.strip_prefix(PREFIX)) {
            (Err(ReadError::Missing), Some(inner)) => read_shipped(inner),
            (result, _) => result,
        }
    }

    fn is_file(&self, path: &str) -> bool {
        self.first.is_file(path)
            || path.strip_prefix(PREFIX).is_some_and(|path| get(path).is_some())
    }
}

fn read_shipped(path: &str) -> Result<Vec<RawFile>, ReadError> {
    let directory = format!("{}/", path.trim_end_matches('/'));
    let is_wanted = |known: &str| known == path || known.starts_with(&directory);
    let files: Vec<RawFile> = FILES
        .iter()
        .filter(|(known, _)| is_wanted(known))
        .map(|(known, text)| RawFile {
            name: format!("{PREFIX}{known}"),
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    if files.is_empty() { Err(ReadError::Missing) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../library");
        let mut found = Vec::new();
        let mut open = vec![std::path::PathBuf::from(root)];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).expect("the library is there") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let inner = path.strip_prefix(root).expect("below the root");
                    found.push(inner.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        let listed: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(listed, found);
    }

    #[test]
    fn every_scenario_bears_the_name_of_its_file() {
        for name in names() {
            let text = get(&format!("{name}.yaml")).expect("listed");
            assert!(text.contains(&format!("\n  name: {name}\n")), "{name}");
        }
    }
}
