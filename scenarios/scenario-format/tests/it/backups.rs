//! Backups: what is read, what is refused, what is warned of.

use model_api::backup::{DataSetKind, Method, Retention};
use model_api::guarantee::{DataPromise, Promise};

use crate::support::{Memory, PLATFORM, load_all, said, scenario};

/// Backups of a scenario that nobody could complain of.
const BACKUPS: &str = "  \
backups:
    places:
      - {name: bucket, zonesNeeded: 1}
      - {name: away, region: west, account: vault, lock: 30d}
    keys:
      - {name: key, region: west, account: vault}
    policies:
      - {name: nightly, of: etcd, method: snapshot, schedule: '0 2 * * *', to: bucket, copies: [{to: away, lag: 1h}], keep: 30d, key: key, restoreTest: 30d}
  faults:
    - badMigration: {dataSet: etcd, discoveredAfter: 10m, at: 30m}
  guarantees:
    a: rpo(etcd, logical) <= 25h for 90% of runs
    b: restorable(*, region)
    c: retention(etcd) >= 30d
    d: residency(etcd, 'EU')
";

fn files(backups: &str) -> Memory {
    Memory::default().with("s.yaml", scenario(backups)).with("small.yaml", PLATFORM)
}

/// What is said when one text of the good backups is replaced by another.
fn with(from: &str, to: &str) -> Vec<String> {
    assert!(BACKUPS.contains(from), "{from}");
    said(&load_all(&files(&BACKUPS.replacen(from, to, 1)), &[], &[]))
}

#[test]
fn everything_finds_its_place() {
    let loaded = load_all(&files(BACKUPS), &[], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let resolved = loaded.resolved.expect("nothing is wrong with it");
    let protection = &resolved.blueprint.protection;
    assert_eq!(protection.data_sets[0].kind, DataSetKind::Etcd);
    assert_eq!(protection.data_sets[0].zones.len(), 3, "a member each");
    let policy = &protection.policies[0];
    assert_eq!((policy.method, policy.copies.len()), (Method::Snapshot, 1));
    assert!(matches!(policy.retention, Retention::For(_)));
    assert_eq!(protection.places[0].location.zones.len(), 2, "all zones when none is named");
    assert!(protection.places[1].location.zones.is_empty());
    let promises: Vec<&DataPromise> = resolved
        .guarantees
        .iter()
        .filter_map(|guarantee| match &guarantee.promise {
            Promise::Data { promise, .. } => Some(promise),
            _ => None,
        })
        .collect();
    assert_eq!(promises.len(), 4);
}

#[test]
fn mistakes_have_a_place() {
    let cases = [
        ("of: etcd, method", "of: ectd, method", "E0016: there is no data set `ectd`"),
        ("to: bucket", "to: buckets", "E0016: there is no place `buckets`"),
        ("key: key", "key: kay", "E0016: there is no key `kay`"),
        ("method: snapshot", "method: base", "E0017: `etcd` is no database"),
        ("method: snapshot", "method: copy", "E0014: `copy` is not snapshot, files or base"),
        ("'0 2 * * *'", "'0 25 * * *'", "E0014: `0 25 * * *` is not a schedule"),
        (", keep: 30d", "", "E0017: a policy needs one of"),
        ("keep: 30d", "keep: 30d, last: 3", "E0017: of `keep`, `window` and `last`"),
        ("zonesNeeded: 1", "zonesNeeded: 3", "E0021: of 2 zones"),
        ("region: west, account: vault, lock", "region: west, zones: [az-a], lock", "E0017"),
        ("name: away, region", "name: bucket, region", "E0018: there is a `bucket` already"),
        ("rpo(etcd, logical)", "rpo(etcd, locical)", "E0019: `locical` is no disaster"),
        ("residency(etcd, 'EU')", "residency(etcd, EU)", "E0019: `residency` takes a text"),
        ("at: 30m}", "at: 30m, for: 5m}", "E0017: badMigration does not end"),
        ("places:", "place:", "E0012: backups has no key `place`"),
    ];
    for (from, to, expected) in cases {
        let said = with(from, to);
        assert!(said.iter().any(|line| line.contains(expected)), "{to}: {said:?}");
        assert!(said.iter().all(|line| line.starts_with("s.yaml:")), "{to}: {said:?}");
    }
    let none =
        "  faults: [{keyLoss: {key: key, at: 1m}}]\n  guarantees: {a: 'restorable(etcd, zone)'}\n";
    let said = said(&load_all(&files(none), &[], &[]));
    assert!(said.iter().any(|line| line.contains("keyLoss needs `backups`")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("there are no `backups`")), "{said:?}");
}

#[test]
fn what_surely_does_not_help_is_warned_of() {
    let cases = [
        (", copies: [{to: away, lag: 1h}]", "", "zonesNeeded: 1", "zones: [az-a]", "W0133"),
        ("region: west, account: vault}", "keptIn: [etcd]}", "", "", "W0134"),
        ("keep: 30d", "keep: 5h", "", "", "W0135"),
        (", restoreTest: 30d", "", "", "", "W0136"),
        (
            "of: etcd, method",
            "of: blobs, method",
            "    policies",
            "    dataSets: [{name: blobs, zones: [az-a]}]\n    policies",
            "W0137",
        ),
        ("keep: 30d", "keep: 30d, moves: 100Gi, timeout: 5m", "", "", "W0139"),
    ];
    for (from, to, from_too, to_too, code) in cases {
        assert!(BACKUPS.contains(from) && BACKUPS.contains(from_too), "{code}");
        let text = BACKUPS.replacen(from, to, 1).replacen(from_too, to_too, 1);
        let said = said(&load_all(&files(&text), &[], &[]));
        assert!(said.iter().any(|line| line.contains(code)), "{code}: {said:?}");
    }
}

#[test]
fn a_scenario_replaces_entries_of_its_platform() {
    let platform = format!(
        "{PLATFORM}  backups:\n    places: [{{name: bucket, lock: 7d}}, {{name: spare}}]\n"
    );
    let files = Memory::default()
        .with("s.yaml", scenario("  backups: {places: [{name: bucket, region: west}]}\n"))
        .with("small.yaml", platform);
    let loaded = load_all(&files, &[], &[]);
    let resolved = loaded.resolved.expect("only warnings");
    let places = &resolved.blueprint.protection.places;
    let names: Vec<&str> = places.iter().map(|place| place.name.as_str()).collect();
    assert_eq!(names, ["spare", "bucket"]);
    assert_eq!(places[1].lock, None);
}

#[test]
fn the_loss_of_etcd_s_data_is_that_of_its_data_set() {
    let written = BACKUPS.replace("badMigration: {dataSet: etcd, ", "etcdDataLoss: {");
    let loaded = load_all(&files(&written), &[], &[]);
    assert_eq!(said(&loaded), Vec::<String>::new());
    let before = load_all(&files(BACKUPS), &[], &[]).resolved.expect("nothing is wrong with it");
    let after = loaded.resolved.expect("nothing is wrong with it");
    assert_eq!(after.faults.faults[0].kind, before.faults.faults[0].kind);
    let ended = written.replace("at: 30m}\n  guarantees", "at: 30m, for: 5m}\n  guarantees");
    let says = said(&load_all(&files(&ended), &[], &[])).join("\n");
    assert!(says.contains("E0017: etcdDataLoss does not end"), "{says}");
    let others = "  faults:\n    - etcdDataLoss: {at: 30m}\n";
    let says = said(&load_all(&files(others), &[], &[])).join("\n");
    assert!(says.contains("E0013: etcdDataLoss needs `backups`"), "{says}");
}
