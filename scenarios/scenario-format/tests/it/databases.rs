//! Databases: the volume of their log, what makes it larger, what is refused and warned about.

use model_api::SimSpan;
use model_api::action::{Action, Fenced};
use model_api::blueprint::{CommitWait, WalVolume};
use model_api::fault::{Condition, FaultKind, InstanceFault, InstanceHarm, InstancePick, Start};

use scenario_format::Resolved;

use crate::support::{Memory, load_all, said, web};

const CLASS: &str = "---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: cinder.csi.openstack.org
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
";

/// A cluster with these fields of `spec`, and a scenario with these keys.
fn files(spec: &str, more: &str) -> Memory {
    let cluster = format!(
        "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {{name: db, namespace: shop}}\nspec:\n  instances: 3\n{spec}{CLASS}"
    );
    web(more).with("db.yaml", cluster)
}

fn read(files: &Memory) -> model_api::Blueprint {
    let loaded = load_all(files, &["db.yaml"], &[]);
    loaded.resolved.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)).blueprint
}

fn volume(spec: &str) -> WalVolume {
    read(&files(spec, "")).databases[0].wal.expect("its size is stated")
}

const STORAGE: &str = "  storage: {size: 100Gi}\n";

#[test]
fn the_log_lies_where_its_volume_is() {
    let plain = volume(STORAGE);
    let expected = WalVolume {
        size_bytes: 100 << 30,
        data_bytes: 50 << 30,
        segment_bytes: 16 << 20,
        switch_after: Some(SimSpan::from_mins(5)),
        least_bytes: 512 << 20,
        kept_bytes: None,
        kept_for: None,
    };
    assert_eq!(plain, expected);
    let stated = "  storage: {size: 100Gi}
  walStorage: {size: 20Gi}
  bootstrap: {initdb: {walSegmentSize: 64}}
  postgresql: {parameters: {archive_timeout: '0', wal_keep_size: '1024', max_slot_wal_keep_size: 10GB}}
";
    let expected = WalVolume {
        size_bytes: 20 << 30,
        data_bytes: 0,
        segment_bytes: 64 << 20,
        switch_after: None,
        least_bytes: 1 << 30,
        kept_bytes: Some(10 << 30),
        kept_for: None,
    };
    assert_eq!(volume(stated), expected);
    // Without slots a standby that is away finds what is kept in any case.
    let slots = |more: &str| {
        volume(&format!("{STORAGE}  replicationSlots: {{highAvailability: {{enabled: {more}}}}}\n"))
    };
    assert_eq!(slots("true").kept_bytes, None);
    assert_eq!(slots("false").kept_bytes, Some(512 << 20));
    let of_claim = "  storage: {pvcTemplate: {resources: {requests: {storage: 1Gi}}}}\n";
    assert_eq!(read(&files(of_claim, "")).databases[0].wal, None);
}

#[test]
fn a_larger_volume_and_what_calls_for_it_are_read() {
    let more = "  faults:\n    - growStorage: {database: shop/db, size: 200Gi, when: {walVolumeAbove: {database: db, share: 70%}}, after: 30m}\n";
    let loaded = load_all(&files(STORAGE, more), &["db.yaml"], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let fault = loaded.resolved.expect("it is good").faults.faults.remove(0);
    let database = model_api::DatabaseId(0);
    let action = Action::GrowStorage { database, size_bytes: 200 << 30 };
    assert_eq!(fault.kind, FaultKind::Action(action));
    let condition = Condition::WalVolumeAbove(database, 700_000);
    assert_eq!(fault.start, Start::When { condition, delay: SimSpan::from_mins(30) });
}

#[test]
fn what_cannot_be_is_refused() {
    let check = |spec: &str, fault: &str, expected: &str| {
        let more = if fault.is_empty() { String::new() } else { format!("  faults: [{fault}]\n") };
        let told = said(&load_all(&files(spec, &more), &["db.yaml"], &[]));
        let found = told.iter().any(|line| line.contains(expected));
        assert!(found, "expected {expected:?} among\n{}", told.join("\n"));
    };
    let grow = |rest: &str| format!("{{growStorage: {{database: shop/db, at: 5m, {rest}}}}}");
    check(STORAGE, &grow("size: 100Gi"), "E0060: the volume has 100Gi already");
    check(STORAGE, &grow("size: 200Gi, for: 5m"), "E0017: growStorage does not end");
    check(STORAGE, &grow("size: huge"), "E0014");
    check(STORAGE, &grow("sise: 200Gi"), "sise");
    check(
        "  storage: {pvcTemplate: {resources: {requests: {storage: 1Gi}}}}\n",
        &grow("size: 200Gi"),
        "E0061: how full the volumes of `shop/db` are",
    );
    let named = "  storage: {size: 10Gi, storageClass: fast}\n";
    let loaded = files(named, &format!("  faults: [{}]\n", grow("size: 20Gi")));
    let fixed = loaded.bytes("db.yaml");
    let text = String::from_utf8(fixed).expect("text").replace("allowVolumeExpansion: true\n", "");
    let told = said(&load_all(&loaded.with("db.yaml", text), &["db.yaml"], &[]));
    assert!(told.iter().any(|line| line.contains("E0062: StorageClass fast")), "{told:?}");
    let above =
        "{podCrash: {workload: shop/db, when: {walVolumeAbove: {database: shop/dbb, share: 70%}}}}";
    check(STORAGE, above, "there is no database `shop/dbb`");
    let parameters = |text: &str| format!("{STORAGE}  postgresql: {{parameters: {{{text}}}}}\n");
    check("", "", "E0022: Cluster shop/db: `spec.storage.size` is required");
    let pair = |text: &str| format!("{STORAGE}  {text}\n");
    check(&pair("minSyncReplicas: 2"), "", "cannot be greater than maxSyncReplicas (0), is 2");
    check(&pair("maxSyncReplicas: 3"), "", "must be less than the 3 instances, is 3");
    check(&parameters("wal_keep_size: much"), "", "must be a size such as 10GB, or -1");
    check(&parameters("max_wal_size: 99999999999TB"), "", "must be a size such as 10GB, or -1");
    check("  storage: {size: 100Gi}\n  walStorage: {size: large}\n", "", "spec.walStorage.size");
}

#[test]
fn data_that_leave_no_room_are_refused() {
    let told = |size: &str| {
        let platform = format!(
            "{}  databases: [{{database: shop/db, dataSize: {size}}}]\n",
            crate::support::PLATFORM
        );
        let files = files(STORAGE, "").with("small.yaml", platform);
        let loaded = load_all(&files, &["db.yaml"], &[]);
        (said(&loaded), loaded.resolved)
    };
    let (lines, resolved) = told("30Gi");
    assert_eq!(lines, Vec::<String>::new());
    let wal = resolved.expect("it is good").blueprint.databases[0].wal;
    assert_eq!(wal.map(|wal| wal.data_bytes), Some(30 << 30));
    assert!(told("100Gi").0.iter().any(|line| line.contains("E0021: the data fill")));
}

#[test]
fn limits_that_never_act_are_warned_about() {
    let warned = |spec: &str| -> Vec<String> {
        let told = said(&load_all(&files(spec, ""), &["db.yaml"], &[]));
        told.into_iter().filter(|line| line.contains(": W01")).collect()
    };
    assert_eq!(warned(STORAGE), Vec::<String>::new());
    // Data leave half of the volume to the log.
    for (limit, expected) in [("100GB", Some("W0190")), ("60GB", Some("W0190")), ("40GB", None)] {
        let spec =
            format!("{STORAGE}  postgresql: {{parameters: {{max_slot_wal_keep_size: {limit}}}}}\n");
        let lines = warned(&spec);
        let found = lines.first().map(|line| line.split(": ").nth(1).expect("a code"));
        assert_eq!(found, expected, "{lines:?}");
    }
    let lines = warned("  storage: {size: 100Gi}\n  walStorage: {size: 1Gi}\n");
    assert!(lines.len() == 1 && lines[0].contains("W0191"), "{lines:?}");
}

#[test]
fn a_switchover_is_read_and_what_cannot_hand_over_is_refused() {
    let told = |instances: u32, rest: &str| {
        let more = format!("  faults: [{{switchover: {{database: shop/db, at: 5m, {rest}}}}}]\n");
        let files =
            files("  switchoverDelay: 40\n  enablePDB: false\n  storage: {size: 100Gi}\n", &more);
        let text = String::from_utf8(files.bytes("db.yaml")).expect("text");
        let text = text.replace("instances: 3", &format!("instances: {instances}"));
        let loaded = load_all(&files.with("db.yaml", text), &["db.yaml"], &[]);
        (said(&loaded), loaded.resolved)
    };
    let (lines, resolved) = told(3, "to: db-2");
    assert_eq!(lines, Vec::<String>::new());
    let mut resolved = resolved.expect("it is good");
    let database = &resolved.blueprint.databases[0];
    assert_eq!((database.switchover_delay, database.has_budgets), (SimSpan::from_secs(40), false));
    let action = Action::Switchover { database: model_api::DatabaseId(0), to: Some(1) };
    assert_eq!(resolved.faults.faults.remove(0).kind, FaultKind::Action(action));
    let refused = |instances, rest: &str, expected: &str| {
        let lines = told(instances, rest).0;
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:?}");
    };
    refused(3, "to: db-4", "E0016: there is no instance `db-4`");
    refused(3, "for: 5m", "E0017: switchover does not end");
    refused(1, "name: it", "E0063: `shop/db` has no standby to hand over to");
    let delay = files("  switchoverDelay: soon\n  storage: {size: 100Gi}\n", "");
    let lines = said(&load_all(&delay, &["db.yaml"], &[]));
    assert!(lines.iter().any(|line| line.contains("spec.switchoverDelay")), "{lines:?}");
}

#[test]
fn a_single_instance_that_no_drain_gets_past_is_warned_about() {
    let warned = |more: &str| {
        let text = format!("{more}  storage: {{size: 100Gi}}\n");
        let files = files(&text, "");
        let cluster = String::from_utf8(files.bytes("db.yaml")).expect("text");
        let cluster = cluster.replace("instances: 3", "instances: 1");
        let lines = said(&load_all(&files.with("db.yaml", cluster), &["db.yaml"], &[]));
        lines.iter().any(|line| line.contains("W0192"))
    };
    assert!(warned(""));
    assert!(!warned("  enablePDB: false\n"));
}

#[test]
fn a_fence_is_read_and_stands_around_instances_that_there_are() {
    let told = |rest: &str| {
        let more = format!("  faults: [{{fence: {{database: db, at: 5m, for: 1m{rest}}}}}]\n");
        let loaded = load_all(&files(STORAGE, &more), &["db.yaml"], &[]);
        let lines = said(&loaded);
        (lines, loaded.resolved.map(|mut it| it.faults.faults.remove(0).kind))
    };
    let cases = [
        ("", Fenced::Primary),
        (", instance: '*'", Fenced::All),
        (", instance: db-3", Fenced::Instance(2)),
    ];
    for (rest, whom) in cases {
        let action = Action::Fence { database: model_api::DatabaseId(0), whom };
        assert_eq!(told(rest), (Vec::new(), Some(FaultKind::Action(action))), "{rest}");
    }
    let lines = told(", instance: db-9").0;
    assert!(lines[0].contains("E0016: there is no instance `db-9`"), "{lines:?}");
    let patroni = "apiVersion: acid.zalan.do/v1\nkind: postgresql\nmetadata: {name: db, namespace: shop}\nspec: {numberOfInstances: 2, teamId: t, volume: {size: 10Gi}, postgresql: {version: '17'}}\n";
    let more = "  faults: [{fence: {database: db, at: 5m}}]\n";
    let lines = said(&load_all(&web(more).with("db.yaml", patroni), &["db.yaml"], &[]));
    assert!(lines.iter().any(|line| line.contains("E0064")), "{lines:?}");
}

#[test]
fn a_database_has_as_many_instances_as_can_be_simulated() {
    let refused = |instances: u32| {
        let files = files(STORAGE, "");
        let text = String::from_utf8(files.bytes("db.yaml")).expect("text");
        let text = text.replace("instances: 3", &format!("instances: {instances}"));
        let says = said(&load_all(&files.with("db.yaml", text), &["db.yaml"], &[]));
        says.iter().any(|line| line.contains("E0021") && line.contains("at most 100 instances"))
    };
    assert!(!refused(100) && refused(101) && refused(4_000_000_000));
}

#[test]
fn faults_of_single_instances_are_read() {
    let told = |instances: u32, fault: &str| {
        let files = files(STORAGE, &format!("  faults: [{{{fault}}}]\n"));
        let text = String::from_utf8(files.bytes("db.yaml")).expect("text");
        let text = text.replace("instances: 3", &format!("instances: {instances}"));
        let loaded = load_all(&files.with("db.yaml", text), &["db.yaml"], &[]);
        (said(&loaded), loaded.resolved.map(|mut it| it.faults.faults.remove(0).kind))
    };
    let database = model_api::DatabaseId(0);
    let (primary, second) = (InstancePick::Primary, InstancePick::Instance(1));
    for (fault, whom, what) in [
        ("destroyInstance: {database: db, at: 5m}", primary, InstanceHarm::VolumeDestroyed),
        (
            "destroyInstance: {database: db, instance: db-2, at: 5m}",
            second,
            InstanceHarm::VolumeDestroyed,
        ),
        ("freezePrimary: {database: db, at: 5m, for: 1m}", primary, InstanceHarm::Frozen),
        (
            "holdStandby: {database: db, at: 5m, for: 1m}",
            InstancePick::Standby,
            InstanceHarm::HeldBack,
        ),
        (
            "holdStandby: {database: db, instance: db-2, at: 5m, for: 1m}",
            second,
            InstanceHarm::HeldBack,
        ),
    ] {
        let kind = FaultKind::Instance(InstanceFault { database, whom, what });
        assert_eq!(told(3, fault), (Vec::new(), Some(kind)), "{fault}");
    }
    let refused = |instances, fault: &str, expected: &str| {
        let lines = told(instances, fault).0;
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:?}");
    };
    refused(3, "destroyInstance: {database: db, instance: db-9, at: 5m}", "E0016: there is no");
    refused(3, "destroyInstance: {database: db, at: 5m, for: 1m}", "E0017: destroyInstance does");
    refused(1, "holdStandby: {database: db, at: 5m}", "E0112: `db` has no standby to hold back");
    refused(1, "destroyInstance: {database: db, at: 5m}", "W0330: `db` has one instance and no");
    refused(3, "freezePrimary: {database: dbb, at: 5m}", "there is no database `dbb`");
}

#[test]
fn an_empty_instance_copies_what_is_stated_or_half_a_volume() {
    let copies = |spec: &str, profile: &str| {
        let platform = format!("{}{profile}", crate::support::PLATFORM);
        let files = files(spec, "").with("small.yaml", platform);
        let loaded = load_all(&files, &["db.yaml"], &[]);
        let lines = said(&loaded);
        let database = |it: Resolved| {
            let database = &it.blueprint.databases[0];
            (database.data_bytes, database.clone_bytes_per_second)
        };
        (lines, loaded.resolved.map(database))
    };
    let separate = "  storage: {size: 60Gi}\n  walStorage: {size: 20Gi}\n";
    assert_eq!(copies(STORAGE, "").1, Some((50 << 30, None)));
    assert_eq!(copies(separate, "").1, Some((30 << 30, None)));
    let stated = "  databases: [{database: shop/db, dataSize: 9Gi, cloneRate: 64Mi}]\n";
    assert_eq!(copies(separate, stated).1, Some((9 << 30, Some(64 << 20))));
    let never = "  databases: [{database: shop/db, cloneRate: 0}]\n";
    assert!(copies(STORAGE, never).0.iter().any(|line| line.contains("E0021: nothing is ever")));
}

#[test]
fn annotations_that_switch_a_database_off_are_told() {
    let warned = |annotation: &str| {
        let files = files(STORAGE, "");
        let text = String::from_utf8(files.bytes("db.yaml")).expect("text");
        let name = format!("namespace: shop, annotations: {{{annotation}}}}}");
        let text = text.replacen("namespace: shop}", &name, 1);
        let lines = said(&load_all(&files.with("db.yaml", text), &["db.yaml"], &[]));
        lines.iter().any(|line| line.contains("W0193"))
    };
    let read = |annotation: &str| {
        let text = String::from_utf8(files(STORAGE, "").bytes("db.yaml")).expect("text");
        let name = format!("namespace: shop, annotations: {{{annotation}}}}}");
        let text = text.replacen("namespace: shop}", &name, 1);
        let blueprint = read(&files(STORAGE, "").with("db.yaml", text));
        let database = &blueprint.databases[0];
        let replicas = blueprint.workloads[database.workload.index()].replicas;
        (database.fenced.clone(), database.is_hibernated, database.is_left_alone, replicas)
    };
    let cases = [
        ("cnpg.io/fencedInstances: '[\"db-2\", \"db-9\"]'", (vec![1], false, false, 3)),
        ("cnpg.io/fencedInstances: '[\"*\"]'", (vec![0, 1, 2], false, false, 3)),
        ("cnpg.io/hibernation: 'on'", (vec![], true, false, 0)),
        ("cnpg.io/reconciliationLoop: disabled", (vec![], false, true, 3)),
        ("cnpg.io/hibernation: 'off'", (vec![], false, false, 3)),
    ];
    for (annotation, expected) in cases {
        assert_eq!(read(annotation), expected, "{annotation}");
    }
    for on in [
        "cnpg.io/fencedInstances: '[\"db-1\"]'",
        "cnpg.io/hibernation: 'on'",
        "cnpg.io/reconciliationLoop: disabled",
    ] {
        assert!(warned(on), "{on}");
    }
    for off in ["cnpg.io/fencedInstances: '[]'", "cnpg.io/hibernation: 'off'", "team: shop"] {
        assert!(!warned(off), "{off}");
    }
}

#[test]
fn how_an_update_comes_to_a_primary_is_read() {
    let read = |spec: &str| {
        let blueprint = read(&files(&format!("{STORAGE}{spec}"), ""));
        let database = &blueprint.databases[0];
        let update = database.primary_update;
        let budgets = (database.has_budgets, database.is_maintained);
        (database.smart_shutdown.as_secs(), update.is_supervised, update.hands_over, budgets)
    };
    let cases = [
        ("", (180, false, false, (true, false))),
        ("  primaryUpdateStrategy: supervised\n", (180, true, false, (true, false))),
        ("  primaryUpdateMethod: switchover\n", (180, false, true, (true, false))),
        ("  smartShutdownTimeout: 15\n", (15, false, false, (true, false))),
        // All that a pod is given is for the fast shutdown then.
        ("  stopDelay: 100\n", (0, false, false, (true, false))),
        ("  nodeMaintenanceWindow: {inProgress: true}\n", (180, false, false, (true, true))),
        (
            "  nodeMaintenanceWindow: {inProgress: true, reusePVC: false}\n",
            (180, false, false, (true, false)),
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(read(spec), expected, "{spec}");
    }
    let lines = said(&load_all(
        &files(&format!("{STORAGE}  primaryUpdateMethod: slowly\n"), ""),
        &["db.yaml"],
        &[],
    ));
    assert!(lines.iter().any(|line| line.contains("primaryUpdateMethod")), "{lines:?}");
}

#[test]
fn a_rollout_of_a_cluster_is_read_and_one_of_patroni_is_refused() {
    let more = |name: &str| {
        format!("  faults: [{{rollout: {{workload: {name}, image: 'postgres:2', at: 5m}}}}]\n")
    };
    let loaded = load_all(&files(STORAGE, &more("shop/db")), &["db.yaml"], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let kind = loaded.resolved.expect("it is good").faults.faults.remove(0).kind;
    let FaultKind::Action(Action::Rollout { template, .. }) = kind else { panic!("{kind:?}") };
    assert_eq!(template.spec.containers[0].image, "postgres:2");
    let patroni = "apiVersion: acid.zalan.do/v1\nkind: postgresql\nmetadata: {name: db, namespace: shop}\nspec: {numberOfInstances: 2, teamId: t, volume: {size: 10Gi}, postgresql: {version: '17'}}\n";
    let lines = said(&load_all(&web(&more("shop/db")).with("db.yaml", patroni), &["db.yaml"], &[]));
    assert!(lines.iter().any(|line| line.contains("E0028")), "{lines:?}");
}

#[test]
fn instances_copy_their_manager_out_of_the_image_of_their_operator() {
    let images = |spec: &str| {
        let blueprint = read(&files(spec, ""));
        let spec = &blueprint.workloads[blueprint.databases[0].workload.index()].template.spec;
        let of = |container: &model_api::kube::Container| {
            (container.image.clone(), container.always_pulls)
        };
        spec.init_containers.iter().chain(&spec.containers).map(of).collect::<Vec<_>>()
    };
    let operator = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cnpg-controller-manager, namespace: shop}
spec:
  selector: {matchLabels: {app: operator}}
  template:
    metadata: {labels: {app: operator}}
    spec: {containers: [{name: proxy, image: 'mirror/proxy:1'}, {name: manager, image: 'mirror/operator:1.30.0'}]}
";
    let (upstream, own) = ("ghcr.io/cloudnative-pg/cloudnative-pg", "mirror/operator:1.30.0");
    let postgres = "ghcr.io/cloudnative-pg/postgresql";
    let expect =
        |first: &str, always| vec![(first.to_owned(), always), (postgres.to_owned(), always)];
    assert_eq!(images(STORAGE), expect(upstream, false));
    assert_eq!(images(&format!("{STORAGE}{operator}")), expect(own, false));
    let always = format!("{STORAGE}  imagePullPolicy: Always\n{operator}");
    assert_eq!(images(&always), expect(own, true));
}

#[test]
fn the_log_of_patroni_shares_the_volume_and_slots_have_an_end() {
    let cluster = "apiVersion: acid.zalan.do/v1
kind: postgresql
metadata: {name: db, namespace: shop}
spec:
  teamId: shop
  numberOfInstances: 3
  volume: {size: 100Gi}
  postgresql: {version: '17', parameters: {max_slot_wal_keep_size: 10GB}}
";
    let files = web("").with("db.yaml", format!("{cluster}{CLASS}"));
    let expected = WalVolume {
        size_bytes: 100 << 30,
        data_bytes: 50 << 30,
        segment_bytes: 16 << 20,
        switch_after: Some(SimSpan::from_mins(30)),
        least_bytes: 128 << 20,
        kept_bytes: Some(10 << 30),
        kept_for: Some(SimSpan::from_mins(30)),
    };
    assert_eq!(read(&files).databases[0].wal, Some(expected));
}

#[test]
fn what_lies_on_disks_of_nodes_is_lost_with_them() {
    let class = "---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks}
provisioner: PROVISIONER
";
    let local = "  storage: {size: 100Gi, storageClass: disks}\n";
    let more =
        "  backups: {}\n  guarantees: {a: 'rpo(shop/db, node) <= 0s', b: 'restorable(*, node)'}\n";
    for (provisioner, is_on_nodes) in [
        ("rancher.io/local-path", true),
        ("kubernetes.io/no-provisioner", true),
        ("topolvm.io", true),
        ("local.csi.openebs.io", true),
        ("cinder.csi.openstack.org", false),
    ] {
        let spec = format!("{local}{}", class.replace("PROVISIONER", provisioner));
        let loaded = load_all(&files(&spec, more), &["db.yaml"], &[]);
        let resolved = loaded.resolved.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let data_set = &resolved.blueprint.protection.data_sets[0];
        assert_eq!(data_set.is_on_nodes, is_on_nodes, "{provisioner}");
        // A standby that is promoted may lack something, wherever the data lies.
        assert_eq!(resolved.guarantees.len(), 2, "{provisioner}");
    }
    let backups = "{places: [{name: bucket}], policies: [{name: n, of: etcd, method: snapshot, schedule: '0 2 * * *', to: bucket, keep: 30d}]}";
    let etcd = more.replace("shop/db", "etcd").replace("{}", backups);
    let spec = format!("{local}{}", class.replace("PROVISIONER", "cinder.csi.openstack.org"));
    let said = said(&load_all(&files(&spec, &etcd), &["db.yaml"], &[]));
    let refused = said.iter().filter(|line| line.contains("E0080")).count();
    assert_eq!(refused, 1, "{said:?}");
}

#[test]
fn what_commits_wait_for_is_read_and_warned_of() {
    let with = |more: &str, synchronous: &str| {
        files(&format!("{STORAGE}  postgresql: {{parameters: {{{more}}}{synchronous}}}\n"), "")
    };
    let asked = ", synchronous: {method: any, number: 1}";
    let off = |millis| CommitWait::Nothing { unwritten: SimSpan::from_millis(millis) };
    // Parameters, what commits wait for, and whether a warning is due with and without standbys asked for.
    let cases = [
        ("", CommitWait::Standbys, false, false),
        ("synchronous_commit: 'on'", CommitWait::Standbys, false, false),
        ("synchronous_commit: remote_write", CommitWait::Standbys, false, false),
        ("synchronous_commit: Local", CommitWait::Disk, true, false),
        ("synchronous_commit: 'off'", off(600), true, true),
        ("synchronous_commit: 'off', wal_writer_delay: 1s", off(3000), true, true),
        ("synchronous_commit: 'off', wal_writer_delay: '50'", off(150), true, true),
    ];
    for (more, expected, warned_asked, warned) in cases {
        for (synchronous, is_due) in [(asked, warned_asked), ("", warned)] {
            let files = with(more, synchronous);
            assert_eq!(read(&files).databases[0].commit_wait, expected, "{more}");
            let says = said(&load_all(&files, &["db.yaml"], &[]));
            assert_eq!(says.iter().any(|it| it.contains("W0221")), is_due, "{more}: {says:?}");
        }
    }
    let says = said(&load_all(&with("synchronous_commit: async", ""), &["db.yaml"], &[]));
    assert!(says.iter().any(|it| it.contains("must be one of on, off, local")), "{says:?}");
}

/// Whoever is named beside a cluster's own standbys may confirm in their place.
#[test]
fn standbys_elsewhere_confirm_nothing_for_a_failover() {
    let cases = [
        ("method: any, number: 1", Some(1)),
        ("method: any, number: 1, standbyNamesPre: [west]", None),
        ("method: any, number: 2, standbyNamesPost: [west]", Some(1)),
        ("method: first, number: 1, standbyNamesPre: [west]", None),
        ("method: first, number: 1, standbyNamesPost: [west]", Some(1)),
        ("method: first, number: 1, maxStandbyNamesFromCluster: 0, standbyNamesPre: [west]", None),
        ("method: any, number: 1, maxStandbyNamesFromCluster: 1", Some(1)),
    ];
    for (synchronous, number) in cases {
        let spec = format!("{STORAGE}  postgresql: {{synchronous: {{{synchronous}}}}}\n");
        let files = files(&spec, "");
        let found = read(&files).databases[0].synchronous.map(|wish| wish.number);
        assert_eq!(found, number, "{synchronous}");
        let is_warned =
            said(&load_all(&files, &["db.yaml"], &[])).iter().any(|it| it.contains("W0417"));
        assert_eq!(
            is_warned,
            synchronous.contains("west") && number != Some(1) || synchronous.contains("2"),
            "{synchronous}"
        );
    }
}

#[test]
fn what_bounds_a_split_brain_is_read() {
    let secs = |count: u64| Some(SimSpan::from_secs(count));
    // Fields, how long a primary that is cut off goes on, and how long an abandoned lease counts.
    let cases = [
        ("", None, None),
        ("  livenessProbeTimeout: 300\n", secs(300), None),
        ("  livenessProbeTimeout: 25\n", secs(30), None),
        ("  livenessProbeTimeout: 3\n", secs(10), None),
        ("  probes: {liveness: {failureThreshold: 6}}\n", secs(60), None),
        ("  probes: {liveness: {periodSeconds: 5}}\n", secs(15), None),
        (
            "  livenessProbeTimeout: 300\n  probes: {liveness: {periodSeconds: 2, failureThreshold: 4}}\n",
            secs(8),
            None,
        ),
        ("  primaryLease: {leaseDurationSeconds: 40}\n", None, secs(40)),
    ];
    for (more, isolation_stop, lease_duration) in cases {
        let blueprint = read(&files(&format!("{STORAGE}{more}"), ""));
        let database = &blueprint.databases[0];
        assert_eq!(database.isolation_stop, isolation_stop, "{more}");
        assert_eq!(database.lease_duration, lease_duration, "{more}");
        let spec = &blueprint.workloads[database.workload.index()].template.spec;
        let liveness = spec.containers[0].liveness.as_ref().expect("every instance has one");
        let stop = liveness.period.saturating_mul(u64::from(liveness.failure_threshold));
        assert_eq!(stop, isolation_stop.unwrap_or(SimSpan::from_secs(30)), "{more}");
    }
    let more = "  probes: {readiness: {periodSeconds: 3, failureThreshold: 2}}\n";
    let blueprint = read(&files(&format!("{STORAGE}{more}"), ""));
    let spec = &blueprint.workloads[blueprint.databases[0].workload.index()].template.spec;
    let readiness = spec.containers[0].readiness.as_ref().expect("every instance has one");
    assert_eq!((readiness.period.as_secs(), readiness.failure_threshold), (3, 2));
}

/// A cluster that follows another takes no writes, which is not modelled: its promises are not judged.
#[test]
fn a_replica_cluster_is_told_from_one_that_takes_writes() {
    let field = |replica: &str| {
        let spec = format!("{STORAGE}  replica: {replica}\n");
        read(&files(&spec, "")).databases[0].not_modelled.clone()
    };
    let strange = Some("spec.replica".to_owned());
    assert_eq!(field("{enabled: true, source: other}"), strange);
    assert_eq!(field("{enabled: false, source: other}"), None);
    assert_eq!(field("{primary: other, source: other}"), strange);
    assert_eq!(field("{primary: db, source: other}"), None);
    assert_eq!(field("{self: here, primary: here, source: other}"), None);
    assert_eq!(field("{self: here, primary: db, source: other}"), strange);
}
