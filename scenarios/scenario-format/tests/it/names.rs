//! Names that lead clients to entrances: what is read, what is refused and warned of.

use model_api::dns::{Answers, DnsFault};
use model_api::fault::FaultKind;
use model_api::{Blueprint, SimSpan};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario};

/// Two entrances of the shop.
const ENTRANCES: &str = "\
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]}
";

const MORE: &str = "  \
names:
    - {name: shop.example, records: [shop/one, shop/other], ttl: 60s, check: {failures: 2}, keeping: {share: 10%, for: 1h}}
  load: [{service: shop/web, host: shop.example, rate: 10}]
  faults: [{wrongRecord: {host: shop.example, at: 1m, for: 1m}}]
";

/// The blueprint, the fault and what is said, with a text replaced.
fn names(from: &str, to: &str) -> (Option<(Blueprint, FaultKind)>, Vec<String>) {
    assert!(MORE.contains(from), "{from}");
    let files = Memory::default()
        .with("s.yaml", scenario(&MORE.replacen(from, to, 1)))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", format!("{WEB}{ENTRANCES}"));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let is_ours = |line: &String| {
        ["E0", "E1", "W0129", "W0260", "W0261"].iter().any(|code| line.contains(code))
    };
    let lines = said(&loaded).into_iter().filter(is_ours).collect();
    let found = loaded.resolved.map(|it| (it.blueprint, it.faults.faults[0].kind.clone()));
    (found, lines)
}

#[test]
fn a_load_has_a_part_for_each_record_and_for_who_keeps_answers() {
    let (found, lines) = names("10%", "10%");
    assert_eq!(lines, Vec::<String>::new());
    let (blueprint, fault) = found.expect("it is read");
    let [name] = blueprint.names.as_slice() else { panic!("{:?}", blueprint.names) };
    assert_eq!((name.ttl, name.answers), (SimSpan::from_secs(60), Answers::All));
    assert_eq!((name.keeping_ppm, name.kept_for), (100_000, Some(SimSpan::from_hours(1))));
    assert_eq!(name.check.map(|it| (it.failures, it.successes)), Some((2, 3)));
    let parts: Vec<_> = blueprint
        .loads
        .iter()
        .map(|load| {
            let found = load.clients.found.expect("a name leads all of them");
            assert_eq!(load.via, Some(name.records[found.record]));
            (found.record, found.keeps, load.points[0].rate_millirps)
        })
        .collect();
    assert_eq!(parts, [(0, false, 9_000), (0, true, 1_000), (1, false, 9_000), (1, true, 1_000)]);
    assert!(matches!(fault, FaultKind::Dns { name: 0, kind: DnsFault::WrongRecord }), "{fault:?}");
}

#[test]
fn mistakes_are_refused_and_traps_told() {
    let cases = [
        ("records: [shop/one, shop/other]", "records: []", "E0021"),
        ("records: [shop/one, shop/other]", "records: [shop/one, shop/one]", "E0018"),
        ("records: [shop/one, shop/other]", "records: [shop/one, shop/another]", "E0016"),
        ("failures: 2", "failures: 0", "E0021"),
        ("host: shop.example, rate: 10", "host: shop.exampel, rate: 10", "E0016"),
        ("host: shop.example, rate: 10", "host: shop.example, via: shop/one, rate: 10", "E0102"),
        (
            "host: shop.example, rate: 10",
            "host: shop.example, users: {count: 5, think: 1s}",
            "E0102",
        ),
        ("service: shop/web, host", "service: '*', host", "E0102"),
        ("host: shop.example, rate: 10", "rate: 10", "W0129"),
        ("host: shop.example, at", "host: shop.exampel, at", "E0016"),
        (", check: {failures: 2}", "", "W0260"),
        (", for: 1h", "", "W0261"),
    ];
    for (from, to, code) in cases {
        let lines = names(from, to).1;
        assert!(lines.iter().any(|line| line.contains(code)), "{from} -> {to}: {lines:?}");
    }
}

#[test]
fn the_dns_of_the_cluster_is_read_and_the_scenario_goes_first() {
    let with = |dns: &str| {
        let platform =
            format!("{PLATFORM}  clusterDns: {{service: shop/one, newConnections: 5%}}\n");
        let files = Memory::default()
            .with("s.yaml", scenario(dns))
            .with("small.yaml", platform)
            .with("m.yaml", format!("{WEB}{ENTRANCES}"));
        let loaded = load_all(&files, &["m.yaml"], &[]);
        let lines = said(&loaded);
        let dns = loaded.resolved.map(|it| it.blueprint.cluster_dns);
        (dns.flatten().map(|dns| (dns.kept_for, dns.connecting_ppm)), lines)
    };
    assert_eq!(with("").0, Some((SimSpan::ZERO, 50_000)));
    let own = "  clusterDns: {service: shop/other, cache: 30s}\n";
    assert_eq!(with(own).0, Some((SimSpan::from_secs(30), 1_000_000)));
    let lines = with("  clusterDns: {service: shop/another}\n").1;
    assert!(lines.iter().any(|line| line.contains("E0016")), "{lines:?}");
}

#[test]
fn look_ups_take_as_many_questions_as_names_have_search_lists() {
    let with = |dns: &str, faults: &str| {
        let files = Memory::default()
            .with("s.yaml", scenario(&format!("{dns}{faults}")))
            .with("small.yaml", PLATFORM)
            .with("m.yaml", format!("{WEB}{ENTRANCES}"));
        let loaded = load_all(&files, &["m.yaml"], &[]);
        let lines = said(&loaded);
        (loaded.resolved, lines)
    };
    let millis = SimSpan::from_millis;
    for (stated, wanted) in [
        ("", (SimSpan::ZERO, 1, millis(10_000))),
        (", latency: 2ms, written: namespace", (millis(2), 2, millis(10_000))),
        (", latency: 2ms, written: full", (millis(2), 4, millis(10_000))),
        (", written: full, ndots: 2", (SimSpan::ZERO, 1, millis(10_000))),
        (", resolver: {timeout: 1s, attempts: 3}", (SimSpan::ZERO, 1, millis(3_000))),
    ] {
        let (resolved, lines) =
            with(&format!("  clusterDns: {{service: shop/other{stated}}}\n"), "");
        let dns = resolved.and_then(|it| it.blueprint.cluster_dns).expect("it is read");
        let read = (dns.latency, dns.question_count, dns.gives_up_after);
        assert_eq!(read, wanted, "{stated}: {lines:?}");
    }
    let lines = with("  clusterDns: {service: shop/other, written: long}\n", "").1;
    assert!(lines.iter().any(|line| line.contains("short, namespace, service")), "{lines:?}");
}
