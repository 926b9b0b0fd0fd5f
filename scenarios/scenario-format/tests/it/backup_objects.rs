//! Backups that manifests make: what they become, what is asked, what contradicts them.

use model_api::SimSpan;
use model_api::backup::{BackupPolicy, Hook, Method, Protection, Retention, Schedule};

use crate::support::{Memory, PLATFORM, load_all, said, scenario};

/// A volume, a database, Velero and CloudNativePG, as their charts and guides write them.
const MANIFESTS: &str = "\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: index, namespace: shop}
spec:
  replicas: 1
  serviceName: index
  selector: {matchLabels: {app: index}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
  template:
    metadata:
      labels: {app: index}
      annotations: {pre.hook.backup.velero.io/command: '[\"/sbin/fsfreeze\"]', pre.hook.backup.velero.io/timeout: 1m}
    spec: {containers: [{name: index, image: index}]}
---
apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata: {name: default, namespace: velero}
spec: {provider: velero.io/aws, objectStorage: {bucket: eidp}, config: {region: minio}}
---
apiVersion: velero.io/v1
kind: Schedule
metadata: {name: daily, namespace: velero}
spec:
  schedule: 0 7 * * *
  template:
    includedNamespaces: ['*']
    includedResources: ['*']
    snapshotMoveData: true
    storageLocation: default
    itemOperationTimeout: 1h0m0s
    ttl: 168h0m0s
  useOwnerReferencesInBackup: false
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: db, namespace: shop}
spec:
  instances: 2
  storage: {size: 20Gi}
  postgresql: {parameters: {archive_timeout: 2min}}
  backup:
    retentionPolicy: 4w
    barmanObjectStore:
      destinationPath: s3://eidp/db
      endpointURL: https://s3.example
      s3Credentials: {accessKeyId: {name: s3, key: ID}, secretAccessKey: {name: s3, key: KEY}}
      wal: {compression: gzip, maxParallel: 8}
---
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: db-nightly, namespace: shop}
spec: {schedule: 15 0 2 * * *, backupOwnerReference: self, cluster: {name: db}}
";

/// What a platform adds: where the bucket stands, and what no manifest can say.
const STATED: &str = "  backups:
    places:
      - {name: 's3://eidp', zones: [az-a, az-b], copies: [{to: away, lag: 5m}], key: key}
      - {name: away, region: west, account: vault}
    keys: [{name: key, region: west, account: vault}]
    policies:
      - {name: velero/daily, restoreTest: 30d, hook: {failures: 1%}}
      - {name: shop/db-nightly, restoreTest: 30d}
";

fn files(manifests: &str, stated: &str) -> Memory {
    let spec = format!("  manifests: [m.yaml]\n{stated}");
    Memory::default()
        .with("s.yaml", scenario(&spec))
        .with("m.yaml", manifests)
        .with("small.yaml", PLATFORM)
}

fn protection(manifests: &str, stated: &str) -> Protection {
    let loaded = load_all(&files(manifests, stated), &[], &[]);
    let said = said(&loaded);
    loaded.resolved.unwrap_or_else(|| panic!("{said:?}")).blueprint.protection
}

/// What is said of backups.
fn backups_said(manifests: &str, stated: &str) -> Vec<String> {
    let mut said = said(&load_all(&files(manifests, stated), &[], &[]));
    said.retain(|line| {
        ["W0121", "W013", "W016", "W0174", "E00"].iter().any(|code| line.contains(code))
    });
    said
}

fn named<'a>(protection: &'a Protection, name: &str) -> &'a BackupPolicy {
    let found = protection.policies.iter().find(|policy| policy.name == name);
    found.unwrap_or_else(|| panic!("{name}: {:?}", names(protection)))
}

fn names(protection: &Protection) -> Vec<&str> {
    protection.policies.iter().map(|policy| policy.name.as_str()).collect()
}

#[test]
fn manifests_make_policies() {
    let protection = protection(MANIFESTS, STATED);
    let made = ["velero/daily@shop/index", "velero/daily@shop/db", "velero/daily@etcd"];
    assert_eq!(names(&protection), [&made[..], &["shop/db-nightly"]].concat());
    let volumes = named(&protection, made[0]);
    assert_eq!(volumes.method, Method::Snapshot);
    assert_eq!(volumes.retention, Retention::For(SimSpan::from_hours(168)));
    assert_eq!(volumes.timeout, Some(SimSpan::from_hours(1)));
    assert_eq!(volumes.moved_bytes, 10 << 30);
    assert_eq!(volumes.copies.len(), 1, "what the bucket is copied to");
    assert!(volumes.key.is_some() && volumes.tested_every.is_some());
    let (takes, after) = (SimSpan::from_mins(1), SimSpan::ZERO);
    let hook = Hook { takes, after, failure_ppm: 10_000, is_needed: true };
    assert_eq!(volumes.hook, Some(hook));
    let lanes: Vec<Option<u32>> = protection.policies.iter().map(|policy| policy.lane).collect();
    assert_eq!(lanes[0], lanes[2], "one server, one backup at a time");
    assert!(lanes[0].is_some() && lanes[3].is_none());
    let database = named(&protection, "shop/db-nightly");
    assert_eq!(database.method, Method::Base);
    assert_eq!(database.retention, Retention::Window(SimSpan::from_days(28)));
    let Schedule::Cron(cron) = &database.schedule else { panic!("{:?}", database.schedule) };
    assert_eq!((cron.seconds, cron.minutes, cron.hours), (1 << 15, 1, 1 << 2));
    let archive = &protection.archives[0];
    assert_eq!((archive.parallel, archive.timeout), (8, SimSpan::from_mins(2)));
    assert_eq!(archive.to, database.to, "one bucket is one place");
    assert_eq!(backups_said(MANIFESTS, STATED), Vec::<String>::new());
}

/// The Deployment of a server of Velero.
const SERVER: &str = "
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: velero}
spec:
  replicas: 1
  selector: {matchLabels: {app: velero}}
  template:
    metadata: {labels: {app: velero}}
    spec: {containers: [{name: velero, image: 'docker.io/velero/velero:v1.17.0', args: [server]}]}
";

#[test]
fn runs_of_velero_are_made_by_its_server() {
    let made_by = |manifests: &str, stated: &str| {
        let loaded = load_all(&files(manifests, stated), &[], &[]);
        let said = said(&loaded);
        let blueprint = loaded.resolved.unwrap_or_else(|| panic!("{said:?}")).blueprint;
        let servers = blueprint.protection.policies.iter().map(|policy| policy.server);
        let name = |server| blueprint.workload_name(server);
        servers.map(|server| server.map(name)).collect::<Vec<_>>()
    };
    let server = || Some("velero/server".to_owned());
    let found = [server(), server(), server(), None];
    assert_eq!(made_by(MANIFESTS, STATED), [None, None, None, None]);
    assert_eq!(made_by(&format!("{MANIFESTS}{SERVER}"), STATED), found);
    // Somebody may say so, and not otherwise than the manifests.
    let says = |server: &str| STATED.replace("{name: velero/daily,", server);
    let index = says("{name: velero/daily, server: shop/index,");
    let index_name = || Some("shop/index".to_owned());
    assert_eq!(made_by(MANIFESTS, &index), [index_name(), index_name(), index_name(), None]);
    let said = backups_said(&format!("{MANIFESTS}{SERVER}"), &index);
    assert!(said.iter().any(|line| line.contains("E0017")), "{said:?}");
    let unknown = backups_said(MANIFESTS, &says("{name: velero/daily, server: shop/idex,"));
    assert!(unknown.iter().any(|line| line.contains("E0016")), "{unknown:?}");
}

#[test]
fn hooks_after_a_copy_take_their_time() {
    let hook = |annotations: &str| {
        let manifests =
            MANIFESTS.replace("annotations: {", &format!("annotations: {{{annotations}, "));
        named(&protection(&manifests, STATED), "velero/daily@shop/index").hook.expect("it has one")
    };
    let command = "post.hook.backup.velero.io/command: '[\"/sbin/fsfreeze\"]'";
    assert_eq!(hook(command).after, SimSpan::from_secs(30));
    let patient = format!("{command}, post.hook.backup.velero.io/timeout: 2m");
    assert_eq!(hook(&patient).after, SimSpan::from_mins(2));
    assert_eq!(hook(&patient).takes, SimSpan::from_mins(1));
}

#[test]
fn hooks_of_pods_come_before_those_of_schedules_each_at_its_time() {
    const PRE: &str = "{exec: {command: [freeze], timeout: 90s, onError: Fail}}";
    const POST: &str = "{exec: {command: [thaw], timeout: 20s}}";
    let own_pre = "pre.hook.backup.velero.io/command: '[\"/sbin/fsfreeze\"]', \
                   pre.hook.backup.velero.io/timeout: 1m";
    let own_post = "post.hook.backup.velero.io/command: '[\"/sbin/fsfreeze\"]', \
                    post.hook.backup.velero.io/timeout: 2m";
    // Annotations, hooks of the schedule, and what comes of it: seconds before and after, and whether the
    // copy is nothing without.
    let both = format!("{{name: a, pre: [{PRE}]}}, {{name: b, pre: [{PRE}], post: [{POST}]}}");
    let only_post = format!("{{name: a, post: [{POST}]}}");
    let cases = [
        (own_pre, both.as_str(), (60, 20, true)),
        (own_post, &both, (180, 120, true)),
        ("", &both, (180, 20, true)),
        (own_post, &only_post, (0, 120, false)),
        (own_post, "", (0, 120, false)),
        ("", &only_post, (0, 20, false)),
    ];
    for (annotations, hooks, expected) in cases {
        let (was, schedule) = (own_pre, "    storageLocation: default\n");
        assert!(MANIFESTS.contains(was) && MANIFESTS.contains(schedule));
        let hooks = format!("{schedule}    hooks: {{resources: [{hooks}]}}\n");
        let manifests = MANIFESTS.replace(was, annotations).replace(schedule, &hooks);
        let protection = protection(&manifests, STATED);
        let hook = named(&protection, "velero/daily@shop/index").hook.expect("it has one");
        let found = (hook.takes.as_secs(), hook.after.as_secs(), hook.is_needed);
        assert_eq!(found, expected, "{annotations} {hooks}");
    }
}

/// Volumes are copied in the ways that Velero chooses from.
#[test]
fn volumes_are_copied_as_velero_chooses() {
    let with = |from: &str, to: &str| {
        assert!(MANIFESTS.contains(from), "{from}");
        protection(&MANIFESTS.replace(from, to), "")
    };
    let policy = |protection: &Protection| {
        let found = protection.policies.iter().find(|it| it.name == "velero/daily@shop/index");
        found.map(|it| {
            (it.method, it.moved_bytes > 0, it.timeout.expect("each has one").as_secs() / 60)
        })
    };
    let moved = "snapshotMoveData: true";
    let annotations = "annotations: {";
    let cases = [
        (moved, "defaultVolumesToFsBackup: true", Some((Method::Files, true, 240))),
        (moved, "defaultVolumesToRestic: true", Some((Method::Files, true, 240))),
        (moved, "snapshotVolumes: true", Some((Method::Snapshot, false, 10))),
        (moved, "snapshotVolumes: false", None),
        (moved, "csiSnapshotTimeout: 20m", Some((Method::Snapshot, false, 20))),
        (moved, "labelSelector: {matchLabels: {app: other}}", None),
        (moved, "excludedNamespaces: [shop]", None),
        ("includedResources: ['*']", "includedResources: [configmaps]", None),
        ("includedResources: ['*']", "includedNamespaceScopedResources: [configmaps]", None),
        ("includedResources: ['*']", "excludedClusterScopedResources: [persistentvolumes]", None),
        (
            annotations,
            "annotations: {backup.velero.io/backup-volumes: data, ",
            Some((Method::Files, true, 240)),
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(policy(&with(from, to)), expected, "{to}");
    }
    // A Schedule that leaves something out is no copy of all that the API has.
    assert!(names(&with(moved, moved)).contains(&"velero/daily@etcd"));
    // What no restore brings back is nothing that is left out.
    for never in ["excludedResources: [events, nodes]", "excludedClusterScopedResources: [nodes]"] {
        assert!(names(&with(moved, never)).contains(&"velero/daily@etcd"), "{never}");
    }
    for left_out in
        ["excludedNamespaces: [other]", "excludedClusterScopedResources: [clusterroles]"]
    {
        assert!(!names(&with(moved, left_out)).contains(&"velero/daily@etcd"), "{left_out}");
    }
    // Nothing is written to a location that is read-only.
    let bucket = "config: {region: minio}";
    let is_paused = |protection: &Protection| named(protection, "velero/daily@etcd").is_paused;
    assert!(!is_paused(&with(moved, moved)));
    assert!(is_paused(&with(bucket, &format!("{bucket}, accessMode: ReadOnly"))));
    let beside = with(moved, "snapshotVolumes: true");
    let place = beside.places.iter().find(|it| it.name == "snapshots of shop/index");
    assert!(place.is_some_and(|it| it.location.beside.is_some()));
    let files = with(moved, "defaultVolumesToFsBackup: true");
    assert!(!names(&files).contains(&"velero/daily@shop/db"), "files of a running database");
}

#[test]
fn a_server_has_its_defaults() {
    let server = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: velero, namespace: velero}
spec:
  selector: {matchLabels: {name: velero}}
  template:
    metadata: {labels: {name: velero}}
    spec: {containers: [{name: velero, image: 'velero/velero:v1.17.0', args: [server, --default-volumes-to-fs-backup, --fs-backup-timeout=90m, --default-backup-ttl=24h0m0s]}]}
";
    let text = format!("{MANIFESTS}{server}")
        .replace("    snapshotMoveData: true\n", "")
        .replace("    ttl: 168h0m0s\n", "");
    let protection = protection(&text, STATED);
    let policy = named(&protection, "velero/daily@shop/index");
    assert_eq!(policy.method, Method::Files);
    assert_eq!(policy.timeout, Some(SimSpan::from_mins(90)));
    assert_eq!(policy.retention, Retention::For(SimSpan::from_hours(24)));
}

/// What stands beside a server: node-agent, and a class of storage with classes of snapshots.
const AGENT: &str = "
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-agent, namespace: velero}
spec:
  selector: {matchLabels: {name: node-agent}}
  template:
    metadata: {labels: {name: node-agent}}
    spec: {containers: [{name: node-agent, image: 'velero/velero:v1.17.0', command: [/velero], args: [node-agent, server]}]}
";
const STORAGE_CLASS: &str = "
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
";

fn snapshot_class(name: &str, metadata: &str) -> String {
    format!(
        "\n---\napiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshotClass\nmetadata: {{name: {name}{metadata}}}\ndriver: ebs.csi.aws.com\ndeletionPolicy: Delete\n"
    )
}

/// Velero copies volumes with what the input has, where it has the server.
#[test]
fn volumes_are_copied_by_what_is_there() {
    let with_csi = SERVER.replace("args: [server]", "args: [server, '--features=EnableCSI']");
    let class = snapshot_class("a", "");
    let labelled = snapshot_class("b", ", labels: {velero.io/csi-volumesnapshot-class: 'true'}");
    let picky = AGENT.replace("spec: {containers", "spec: {nodeSelector: {disk: big}, containers");
    let native = "
---
apiVersion: velero.io/v1
kind: VolumeSnapshotLocation
metadata: {name: default, namespace: velero}
spec: {provider: aws}
";
    let (moved, files, snapshots) =
        ("snapshotMoveData: true", "defaultVolumesToFsBackup: true", "snapshotVolumes: true");
    // How volumes are copied, what else is in the input, and the warning instead of a copy.
    let cases: &[(&str, Vec<&str>, Option<&str>)] = &[
        (files, vec![], None),
        (files, vec![SERVER], Some("W0430")),
        (files, vec![SERVER, AGENT], None),
        (files, vec![SERVER, &picky], Some("W0430")),
        (snapshots, vec![SERVER, STORAGE_CLASS, &class], Some("W0431")),
        (snapshots, vec![SERVER, STORAGE_CLASS, native], None),
        (snapshots, vec![&with_csi, STORAGE_CLASS], Some("W0432")),
        (snapshots, vec![&with_csi, STORAGE_CLASS, &class], None),
        (snapshots, vec![&with_csi, STORAGE_CLASS, &class, &labelled], None),
        (moved, vec![&with_csi, STORAGE_CLASS, &class], Some("W0430")),
        (moved, vec![SERVER, AGENT, STORAGE_CLASS, &class], Some("W0431")),
        (moved, vec![&with_csi, AGENT, STORAGE_CLASS, &class], None),
    ];
    for (way, parts, lacks) in cases {
        let manifests = MANIFESTS.replace(moved, way) + &parts.concat();
        let loaded = load_all(&files_of(&manifests), &[], &[]);
        let said = said(&loaded);
        let warned: Vec<_> = said.iter().filter(|line| line.contains("W043")).collect();
        assert_eq!(warned.len(), usize::from(lacks.is_some()), "{way} {parts:?}: {said:?}");
        assert!(lacks.is_none_or(|code| warned[0].contains(code)), "{way}: {said:?}");
        let protection = loaded.resolved.unwrap_or_else(|| panic!("{said:?}")).blueprint.protection;
        let volumes = named(&protection, "velero/daily@shop/index");
        assert_eq!(volumes.is_paused, lacks.is_some(), "{way} {parts:?}");
        // Objects of the API are copied all the same.
        assert!(!named(&protection, "velero/daily@etcd").is_paused);
    }
}

/// Two classes of one driver without a label or a default leave none to choose.
#[test]
fn snapshots_have_the_class_that_velero_chooses() {
    let with_csi = SERVER.replace("args: [server]", "args: [server, --features, EnableCSI]");
    let (one, other) = (snapshot_class("one", ""), snapshot_class("other", ""));
    let default = snapshot_class(
        "c",
        ", annotations: {snapshot.storage.kubernetes.io/is-default-class: 'true'}",
    );
    let naming = "fast, annotations: {velero.io/csi-volumesnapshot-class: other, ";
    let named = STORAGE_CLASS.replace("fast, annotations: {", naming);
    let cases = [
        (STORAGE_CLASS, vec![&one, &other], true),
        (STORAGE_CLASS, vec![&one, &other, &default], false),
        (&named, vec![&one, &other], false),
    ];
    for (storage, classes, is_missing) in cases {
        let classes: String = classes.into_iter().map(String::as_str).collect();
        let manifests = MANIFESTS.replace("snapshotMoveData: true", "snapshotVolumes: true");
        let said = said(&load_all(
            &files_of(&format!("{manifests}{with_csi}{storage}{classes}")),
            &[],
            &[],
        ));
        let is_said = said.iter().any(|line| line.contains("W0432"));
        assert_eq!(is_said, is_missing, "{classes}: {said:?}");
    }
}

/// CloudNativePG leaves the choice to the snapshot controller: one default of the driver, or what is named.
#[test]
fn snapshots_of_databases_need_a_class_of_their_driver() {
    let default = ", annotations: {snapshot.storage.kubernetes.io/is-default-class: 'true'}";
    let (plain, own) = (snapshot_class("plain", ""), snapshot_class("own", default));
    let other = snapshot_class("other", default).replace("ebs.csi.aws.com", "rbd.csi.ceph.com");
    // The class that is named, those in the input, and where snapshots go; nowhere with a warning.
    let cases = [
        ("{}", vec![&own], Some("snapshots of ebs.csi.aws.com")),
        ("{}", vec![&other, &own], Some("snapshots of ebs.csi.aws.com")),
        ("{}", vec![&plain], None),
        ("{}", vec![&other], None),
        ("{className: plain}", vec![&plain, &own], Some("snapshots of ebs.csi.aws.com")),
        ("{className: plian}", vec![&plain], None),
        ("{className: plain}", vec![], Some("snapshots of shop/db")),
    ];
    for (named_class, classes, expected) in cases {
        let classes: String = classes.into_iter().map(String::as_str).collect();
        let snapshots = format!("  backup:\n    volumeSnapshot: {named_class}\n");
        let manifests = MANIFESTS
            .replace("  backup:\n", &snapshots)
            .replace("cluster: {name: db}}\n", "cluster: {name: db}, method: volumeSnapshot}\n");
        let manifests = format!("{manifests}{STORAGE_CLASS}{classes}");
        let lines = said(&load_all(&files_of(&manifests), &[], &[]));
        let is_said = lines.iter().any(|line| line.contains("W0434"));
        assert_eq!(is_said, expected.is_none(), "{named_class}: {lines:?}");
        let protection = protection(&manifests, STATED);
        let policy = named(&protection, "shop/db-nightly");
        assert_eq!(policy.is_paused, expected.is_none(), "{named_class} {classes}");
        let place = &protection.places[policy.to.index()].name;
        assert!(expected.is_none_or(|it| it == place), "{named_class} {classes}: {place}");
    }
}

fn files_of(manifests: &str) -> Memory {
    files(manifests, STATED)
}

/// The first policy that matches a volume decides.
#[test]
fn resource_policies_decide_how_volumes_are_copied() {
    let with = |policies: &str| {
        let named = "snapshotMoveData: true\n    resourcePolicy: {kind: configmap, name: volumes}";
        let manifests = MANIFESTS.replace("snapshotMoveData: true", named);
        let map = format!(
            "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: volumes, namespace: velero}}\ndata: {{policies.yaml: '{policies}'}}\n"
        );
        format!("{manifests}{STORAGE_CLASS}{map}")
    };
    let policy = |conditions: &str, action: &str| {
        format!("{{conditions: {{{conditions}}}, action: {{type: {action}}}}}")
    };
    let v1 =
        |policies: &[String]| format!("{{version: v1, volumePolicies: [{}]}}", policies.join(", "));
    let cases = [
        (vec![policy("storageClass: [fast]", "fs-backup")], Some(Method::Files)),
        (vec![policy("storageClass: [slow]", "fs-backup")], Some(Method::Snapshot)),
        (vec![policy("capacity: \"0,100Gi\"", "skip")], None),
        (vec![policy("capacity: \"20Gi,\"", "skip")], Some(Method::Snapshot)),
        (vec![policy("csi: {driver: ebs.csi.aws.com}", "skip")], None),
        (vec![policy("csi: {driver: other}", "skip")], Some(Method::Snapshot)),
        (vec![policy("volumeTypes: [csi]", "fs-backup")], Some(Method::Files)),
        (vec![policy("pvcLabels: {a: b}", "snapshot")], None),
        (
            vec![policy("storageClass: [fast]", "snapshot"), policy("capacity: \",\"", "skip")],
            Some(Method::Snapshot),
        ),
    ];
    for (policies, expected) in cases {
        let text = v1(&policies);
        let protection = protection(&with(&text), "");
        let found = protection.policies.iter().find(|it| it.name == "velero/daily@shop/index");
        assert_eq!(found.map(|it| it.method), expected, "{text}");
    }
    // What cannot be read fails every backup.
    for wrong in ["{version: v2}", &v1(&[policy("size: 1", "skip")]), &v1(&[policy("", "drop")])] {
        let manifests = with(wrong);
        let said = said(&load_all(&files(&manifests, ""), &[], &[]));
        assert!(said.iter().any(|line| line.contains("W0433")), "{wrong}: {said:?}");
        assert!(named(&protection(&manifests, ""), "velero/daily@etcd").is_paused);
    }
}

#[test]
fn a_plugin_and_snapshots_of_a_cluster() {
    let plugin = "  plugins: [{name: barman-cloud.cloudnative-pg.io, isWALArchiver: true, parameters: {barmanObjectName: store}}]
  backup: {volumeSnapshot: {className: fast}}
---
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata: {name: store, namespace: shop}
spec:
  retentionPolicy: 30d
  configuration: {destinationPath: 's3://other/', wal: {maxParallel: 2}}
---
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: db-snapshots, namespace: shop}
spec: {schedule: '@every 6h', method: volumeSnapshot, cluster: {name: db}}
---
";
    let from = MANIFESTS.find("  backup:\n").expect("the native one");
    let until = from + MANIFESTS[from..].find("---\n").expect("it ends") + 4;
    let text = format!("{}{plugin}{}", &MANIFESTS[..from], &MANIFESTS[until..]);
    let text = text.replace("cluster: {name: db}}\n", "cluster: {name: db}, method: plugin}\n");
    let text = text.replacen(
        "method: volumeSnapshot, cluster: {name: db}, method: plugin",
        "method: volumeSnapshot, cluster: {name: db}",
        1,
    );
    let protection = protection(&text, "");
    let base = named(&protection, "shop/db-nightly");
    assert_eq!(protection.places[base.to.index()].name, "s3://other");
    assert_eq!(base.retention, Retention::Window(SimSpan::from_days(30)));
    let snapshots = named(&protection, "shop/db-snapshots");
    assert_eq!((snapshots.method, snapshots.moved_bytes), (Method::Base, 0));
    assert_eq!(protection.archives[0].parallel, 2);
    // Without its log nothing of a base backup is restored; snapshots hold what was on disk.
    let silent = text.replace("isWALArchiver: true", "isWALArchiver: false");
    let of_silent = self::protection(&silent, "");
    assert!(of_silent.archives.is_empty() && !names(&of_silent).contains(&"shop/db-nightly"));
    assert_eq!(named(&of_silent, "shop/db-snapshots").method, Method::Snapshot);
    let lines = said(&load_all(&files(&silent, ""), &[], &[]));
    assert!(lines.iter().any(|it| it.contains("W0415")), "{lines:?}");
}

/// What is stated of an archive adds to what the manifest says of it.
#[test]
fn a_stated_archive_keeps_what_the_manifest_says() {
    let archive = "    archives: [{of: db, to: 's3://eidp', key: key}]\n";
    let stated = STATED.replacen("    places:", &format!("{archive}    places:"), 1);
    let found = |manifests: &str| {
        let archives = protection(manifests, &stated).archives;
        assert_eq!(archives.len(), 1);
        assert!(archives[0].key.is_some());
        (archives[0].parallel, archives[0].timeout)
    };
    assert_eq!(found(MANIFESTS), (8, SimSpan::from_mins(2)));
    // Zero turns the time-out off.
    assert_eq!(found(&MANIFESTS.replace("2min", "0")), (8, SimSpan::ZERO));
}

/// What the user says of a data set stands, whatever manifests make of it.
#[test]
fn a_stated_data_set_is_kept() {
    let sets = "    dataSets: [{name: shop/index, zones: [az-b], size: 2Ti}]\n";
    let stated = STATED.replacen("    places:", &format!("{sets}    places:"), 1);
    let protection = protection(MANIFESTS, &stated);
    let found: Vec<(u64, usize)> = protection
        .data_sets
        .iter()
        .filter(|set| set.name == "shop/index")
        .map(|set| (set.size_bytes, set.zones.len()))
        .collect();
    assert_eq!(found, [(2 << 40, 1)]);
}

#[test]
fn what_manifests_leave_open_is_asked() {
    let asked = backups_said(MANIFESTS, "");
    assert!(asked.iter().any(|line| line.starts_with("m.yaml:") && line.contains("W0162")));
    let protection = protection(MANIFESTS, "");
    let bucket = protection.places.iter().find(|place| place.name == "s3://eidp");
    let location = &bucket.expect("it is a place").location;
    assert_eq!((location.zones.len(), location.zones_needed), (2, 2), "lost with any zone");
}

#[test]
fn mistakes_have_a_place() {
    let manifests = [
        (
            "includedNamespaces: ['*']",
            "includedNamespaces: [shopp]",
            "W0161: velero/daily: nothing is in",
        ),
        (
            "storageLocation: default",
            "storageLocation: defalt",
            "W0161: velero/daily: there is no Backup",
        ),
        (
            "cluster: {name: db}",
            "cluster: {name: dp}",
            "W0161: shop/db-nightly: there is no Cluster",
        ),
        (
            "cluster: {name: db}",
            "cluster: {name: db}, method: plugin",
            "so that every backup fails",
        ),
        ("cluster: {name: db}", "cluster: {name: db}, method: dump", "E0022"),
        ("retentionPolicy: 4w", "retentionPolicy: 4y", "E0022"),
        ("ttl: 168h0m0s", "ttl: 7", "E0022"),
        ("destinationPath: s3://eidp/db", "serverName: db", "E0022"),
        ("schedule: 0 7 * * *", "schedule: 0 77 * * *", "E0022"),
        ("schedule: 0 7 * * *", "schedule: CRON_TZ=Europe/Berln 0 7 * * *", "E0043"),
        ("schedule: 0 7 * * *", "schedule: CRON_TZ=Europe/Berlin 0 2 * * *", "W0174"),
        ("schedule: 15 0 2 * * *", "schedule: CRON_TZ=Europe/Berlin 15 0 7 * * *", "E0022"),
        ("schedule: 15 0 2 * * *", "schedule: 0 2 * * *", "W0121"),
    ];
    for (from, to, expected) in manifests {
        assert!(MANIFESTS.contains(from), "{from}");
        let said = backups_said(&MANIFESTS.replacen(from, to, 1), STATED);
        let found = said.iter().any(|line| line.starts_with("m.yaml:") && line.contains(expected));
        assert!(found, "{to}: {said:?}");
    }
    let stated = [
        (
            "name: velero/daily, ",
            "name: velero/dayly, ",
            "E0013: a backup policy needs the key `of`",
        ),
        ("restoreTest: 30d, hook", "keep: 30d, hook", "E0017: `keep` is not what the manifest"),
        ("lag: 5m", "lag: 5", "E0014"),
        (
            "copies: [{to: away",
            "copies: [{to: 's3://eidp'",
            "E0020: `s3://eidp` is copied to itself",
        ),
        ("failures: 1%", "failures: 1%, onError: stop", "E0014"),
    ];
    for (from, to, expected) in stated {
        assert!(STATED.contains(from), "{from}");
        let said = backups_said(MANIFESTS, &STATED.replacen(from, to, 1));
        let found = said.iter().any(|line| line.starts_with("s.yaml:") && line.contains(expected));
        assert!(found, "{to}: {said:?}");
    }
}

#[test]
fn schedules_are_read_by_the_clocks_they_name() {
    let text = MANIFESTS
        .replace("schedule: 0 7 * * *", "schedule: CRON_TZ=Europe/Berlin 0 7 * * *")
        .replace("schedule: 15 0 2 * * *", "schedule: TZ=Europe/Berlin 15 0 7 * * *");
    let protection = protection(&text, STATED);
    let in_berlin = protection.policies.iter().filter(|policy| {
        matches!(&policy.schedule, Schedule::Cron(cron) if cron.time_zone.local(0) == 3600)
    });
    assert!(in_berlin.count() >= 2);
    assert_eq!(backups_said(&text, STATED), Vec::<String>::new());
}

/// Five fields of a `ScheduledBackup` begin with seconds: `0 2 * * *` is every hour.
#[test]
fn five_fields_begin_with_seconds() {
    let text = MANIFESTS.replace("schedule: 15 0 2 * * *", "schedule: 0 2 * * *");
    let protection = protection(&text, STATED);
    let Schedule::Cron(cron) = &named(&protection, "shop/db-nightly").schedule else { panic!() };
    assert_eq!((cron.seconds, cron.minutes, cron.hours), (1, 1 << 2, (1 << 24) - 1));
}

#[test]
fn a_fault_breaks_all_that_one_schedule_makes() {
    let stated =
        format!("{STATED}  faults: [{{backupsBroken: {{policy: velero/daily, at: 1m}}}}]\n");
    let loaded = load_all(&files(MANIFESTS, &stated), &[], &[]);
    let faults = loaded.resolved.expect("nothing is wrong").faults;
    let text = format!("{:?}", faults.faults[0].kind);
    assert_eq!(text.matches("PolicyId").count(), 3, "{text}");
}
