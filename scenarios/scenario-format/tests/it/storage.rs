//! Storage pools: what is read, what is assumed, what is refused, what is warned of.

use model_api::fault::{DiskCount, FaultKind, StorageFault};
use model_api::storage::{FailureDomain, Redundancy};
use model_api::{PoolId, WorkloadId};
use scenario_format::Resolved;

use crate::support::{Memory, PLATFORM, load_all, said, scenario};

/// The small platform with a third zone.
fn platform() -> String {
    PLATFORM
        .replace("{name: az-b}]", "{name: az-b}, {name: az-c}]")
        .replace("zones: [az-a, az-b], count", "zones: [az-a, az-b, az-c], count")
}

/// A StatefulSet with a volume of a class.
const STATEFUL: &str = "\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: block}
provisioner: rbd.csi.ceph.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: index, namespace: shop}
spec:
  replicas: 1
  serviceName: index
  selector: {matchLabels: {app: index}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: block, resources: {requests: {storage: 1Gi}}}
  template:
    metadata: {labels: {app: index}}
    spec:
      containers: [{name: index, image: 'index:1', resources: {requests: {cpu: 100m, memory: 64Mi}}}]
---
apiVersion: v1
kind: Service
metadata: {name: index, namespace: shop}
spec: {clusterIP: None, selector: {app: index}, ports: [{port: 80}]}
";

/// Pools that nobody could complain of.
const POOLS: &str = "  \
storagePools:
    - {name: buckets, erasureCoded: {k: 5, m: 4}, failureDomain: zone, stored: 20Ti, monitors: [az-a, az-b, az-c]}
    - {name: blocks, replicated: {size: 3, minSize: 2}, failureDomain: zone, storageClasses: [block], volumeIops: 3000, stalls: [shop/index]}
  backups:
    places:
      - {name: bucket, pool: buckets}
      - {name: snapshots, pool: blocks, snapshots: true}
    dataSets: [{name: index, workload: shop/index}]
    policies:
      - {name: nightly, of: index, method: snapshot, schedule: '0 2 * * *', to: snapshots, copies: [{to: bucket}], keep: 30d, restoreTest: 30d}
      - {name: etcd, of: etcd, method: snapshot, schedule: '0 3 * * *', to: bucket, keep: 30d, restoreTest: 30d}
  faults:
    - diskLoss: {pool: buckets, zone: az-b, hosts: 1, at: 1m, for: 10m}
    - diskLoss: {pool: blocks, osds: 2, destroyed: true, at: 2m}
    - throttle: {place: bucket, write: 1Mi, at: 3m, for: 1m}
    - setMinSize: {pool: buckets, minSize: 5, at: 5m}
";

fn files(pools: &str) -> Memory {
    let files = Memory::default().with("s.yaml", scenario(pools)).with("small.yaml", platform());
    files.with("m.yaml", STATEFUL)
}

/// What is said of storage when one text of the good pools is replaced by another.
fn with(from: &str, to: &str) -> Vec<String> {
    assert!(POOLS.contains(from), "{from}");
    let lines = said(&load_all(&files(&POOLS.replacen(from, to, 1)), &["m.yaml"], &[]));
    // The StatefulSet is no example of how to write one.
    let is_ours = |line: &String| !line.contains("W011");
    lines.into_iter().filter(is_ours).collect()
}

fn resolved() -> Resolved {
    let loaded = load_all(&files(POOLS), &["m.yaml"], &[]);
    let said = said(&loaded);
    loaded.resolved.unwrap_or_else(|| panic!("{said:?}"))
}

#[test]
fn pools_places_volumes_and_faults_find_each_other() {
    let found = resolved();
    let [buckets, blocks] = &found.blueprint.pools[..] else { panic!("two") };
    assert_eq!(buckets.redundancy, Redundancy::Erasure { k: 5, m: 4 });
    assert_eq!((buckets.min_size, buckets.failure_domain), (6, FailureDomain::Zone));
    assert_eq!((buckets.zones.len(), buckets.osd_count(), buckets.group_count), (3, 72, 512));
    assert_eq!(blocks.monitor_zones.len(), 3);
    let index = WorkloadId(0);
    assert_eq!((&blocks.holders, &blocks.stalled), (&vec![index], &vec![index]));
    assert!(!found.blueprint.storage_classes[0].is_zonal, "a pool over zones binds to none");
    let protection = &found.blueprint.protection;
    let location = &protection.places[0].location;
    assert_eq!((location.pool, location.zones_needed), (Some(PoolId(0)), 2));
    assert_eq!(location.zones_needed_to_serve, 2);
    let set = protection.data_sets.iter().find(|set| set.name == "index").expect("it is there");
    assert_eq!(set.pools, [PoolId(1)]);
    assert_eq!(set.volume_bytes_per_second, Some(3_000 << 18));
    assert_eq!(protection.policies[0].moved_bytes, 0, "a snapshot shares blocks");
    let count = |idx: usize| match found.faults.faults[idx].kind {
        FaultKind::Storage(StorageFault::DiskLoss { count, is_destroyed, .. }) => {
            (count, is_destroyed)
        }
        _ => panic!("{idx}"),
    };
    assert_eq!([count(0), count(1)], [(DiskCount::Hosts(1), false), (DiskCount::Osds(2), true)]);
}

#[test]
fn what_is_left_open_is_assumed_and_said() {
    let assumed = resolved().blueprint.assumptions;
    let of = |pool: &str| {
        let found = assumed.iter().find(|it| it.text.starts_with(pool));
        found.map(|it| it.text.clone()).unwrap_or_default()
    };
    assert!(of("blocks:").contains("10 TiB of data"), "{assumed:?}");
    assert!(!of("buckets:").contains("10 TiB"), "{assumed:?}");
}

#[test]
fn mistakes_are_refused_where_they_are() {
    let cases = [
        ("k: 5, m: 4", "k: 5, m: 0", "E0021"),
        ("minSize: 2", "minSize: 4", "E0068"),
        ("minSize: 5, at", "minSize: 4, at", "E0068"),
        ("failureDomain: zone, stored", "failureDomain: zone, hostsPerZone: 2, stored", "E0067"),
        ("failureDomain: zone, stored", "failureDomain: rack, stored", "E0014"),
        ("storageClasses: [block]", "storageClasses: [blok]", "E0016"),
        ("stored: 20Ti", "stored: 20Ti, storageClasses: [block]", "E0069"),
        (
            "failureDomain: zone, stored",
            "zones: [az-a, az-a], failureDomain: zone, stored",
            "E0018",
        ),
        ("pool: buckets}", "pool: bucket}", "E0016"),
        ("pool: buckets}", "pool: buckets, region: west}", "E0017"),
        ("hosts: 1", "hosts: 1, osds: 1", "E0017"),
        ("destroyed: true", "destroyed: true, for: 1m", "E0017"),
        ("write: 1Mi, ", "", "E0017"),
        ("replicated: {size: 3", "erasureCoded: {k: 2, m: 1}, replicated: {size: 3", "E0017"),
        ("method: snapshot, schedule: '0 2", "method: files, schedule: '0 2", "E0017"),
    ];
    for (from, to, code) in cases {
        let lines = with(from, to);
        let is_told = lines.iter().any(|line| line.contains(code));
        assert!(is_told, "{from} -> {to}: {lines:?}");
    }
}

#[test]
fn traps_are_warned_of_without_a_run() {
    assert_eq!(with("at: 1m", "at: 2m"), Vec::<String>::new());
    let cases = [
        // 4+2 keeps its data and stops.
        ("k: 5, m: 4", "k: 4, m: 2", "W0197"),
        // Two of three copies in one of two zones.
        (
            "failureDomain: zone, storageClasses",
            "zones: [az-a, az-b], monitors: [az-a, az-b, az-c], failureDomain: zone, storageClasses",
            "W0197",
        ),
        ("failureDomain: zone, storageClasses", "failureDomain: host, storageClasses", "W0197"),
        ("monitors: [az-a, az-b, az-c]", "monitors: [az-a, az-a, az-b]", "W0198"),
        ("copies: [{to: bucket}], ", "", "W0199"),
    ];
    for (from, to, code) in cases {
        let lines = with(from, to);
        assert!(lines.len() == 1 && lines[0].contains(code), "{from} -> {to}: {lines:?}");
    }
}

#[test]
fn volumes_that_are_made_before_their_pods_are_warned_of() {
    let says = |manifests: &str| {
        let files = crate::support::web("").with("m.yaml", manifests);
        said(&load_all(&files, &["m.yaml"], &[]))
    };
    let is_warned = |manifests: &str| says(manifests).iter().any(|it| it.contains("W0222"));
    assert!(!is_warned(STATEFUL));
    let early =
        STATEFUL.replace("volumeBindingMode: WaitForFirstConsumer", "volumeBindingMode: Immediate");
    assert!(is_warned(&early), "{:?}", says(&early));
    // Immediate is the default.
    assert!(is_warned(&STATEFUL.replace("volumeBindingMode: WaitForFirstConsumer\n", "")));
    // A file system is there in every zone, and what nobody claims hurts nobody.
    assert!(!is_warned(&early.replace("rbd.csi.ceph.com", "cephfs.csi.ceph.com")));
    assert!(!is_warned(&early.replace("metadata: {name: block}", "metadata: {name: other}")));
}

/// Both volumes of an instance of CloudNativePG, of a class that binds at once.
const EARLY_DATABASE: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: early}
provisioner: cinder.csi.openstack.org
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: orders, namespace: shop}
spec:
  instances: 3
  storage: {size: 10Gi, storageClass: early}
  walStorage: {size: 5Gi, storageClass: early}
";

#[test]
fn volumes_of_one_pod_in_two_zones_are_warned_of() {
    let says = |manifests: &str| {
        let files =
            crate::support::web("").with("small.yaml", platform()).with("m.yaml", manifests);
        let said = said(&load_all(&files, &["m.yaml"], &[]));
        said.into_iter().filter(|it| it.contains("W0380")).collect::<Vec<_>>()
    };
    let warned = says(EARLY_DATABASE);
    let [warning] = warned.as_slice() else { panic!("{warned:?}") };
    let wanted = "1 of 3 pods have volumes in two zones, and no node reaches both: orders-2 in az-a and orders-2-wal in az-c";
    assert!(warning.contains(wanted), "{warning}");
    let late = EARLY_DATABASE
        .replace("openstack.org", "openstack.org\nvolumeBindingMode: WaitForFirstConsumer");
    assert_eq!(says(&late), [""; 0]);
    let only_log = EARLY_DATABASE.replace("10Gi, storageClass: early", "10Gi, storageClass: other");
    assert_eq!(says(&only_log), [""; 0]);
    // Claims of a pod of a StatefulSet are in one zone.
    let early =
        STATEFUL.replace("volumeBindingMode: WaitForFirstConsumer", "volumeBindingMode: Immediate");
    assert_eq!(says(&early), [""; 0]);
}
