//! Floods of the API and slow writes, as they are written.

use model_api::fault::{ApiFlood, ControlPlaneFault, FaultKind, PriorityLevel};
use model_api::{Parameters, SimSpan};

use crate::support::{PLATFORM, load_all, said, web};

fn fault(text: &str) -> FaultKind {
    let loaded = load_all(&web(&format!("  faults: [{{{text}}}]\n")), &["web.yaml"], &[]);
    let said = said(&loaded);
    loaded.resolved.unwrap_or_else(|| panic!("{said:?}")).faults.faults.remove(0).kind
}

fn flood(text: &str) -> ApiFlood {
    match fault(&format!("apiFlood: {{{text}, at: 1m}}")) {
        FaultKind::ControlPlane(ControlPlaneFault::ApiFlood(flood)) => flood,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flood_says_whose_it_is_by_level_or_schema() {
    let whole = flood(
        "requests: 2000/s, as: service-accounts, objects: 500, takes: 40ms, clients: 7, writes: true",
    );
    assert_eq!(
        whole,
        ApiFlood {
            level: PriorityLevel::WorkloadLow,
            millirps: 2_000_000,
            objects: 500,
            takes: Some(SimSpan::from_millis(40)),
            flows: 7,
            is_mutating: true,
        }
    );
    let short = flood("requests: 5/s, as: node-high");
    assert_eq!((short.objects, short.takes, short.flows), (0, None, 1));
    assert!(short.is_mutating, "what lists nothing writes");
    assert!(!flood("requests: 5/s, as: node-high, objects: 1").is_mutating);
    for level in PriorityLevel::ALL {
        for name in [level.name()].iter().chain(level.schemas()) {
            assert_eq!(flood(&format!("requests: 5/s, as: {name}")).level, level);
        }
    }
}

#[test]
fn writes_are_slowed_by_a_time() {
    let latency = SimSpan::from_secs(6);
    let slow = FaultKind::ControlPlane(ControlPlaneFault::SlowApi { latency });
    assert_eq!(fault("slowApi: {latency: 6s, at: 1m, for: 5m}"), slow);
}

#[test]
fn what_cannot_be_is_refused_and_what_misleads_warned_of() {
    let cases = [
        ("apiFlood: {requests: 5/s, as: workload-hihg, at: 1m}", "s.yaml:7:43: E0014"),
        ("apiFlood: {requests: 5/s, at: 1m}", "s.yaml:7:23: E0013"),
        ("apiFlood: {requests: 5/s, as: system, clients: 0, at: 1m}", "s.yaml:7:60: E0047"),
        ("apiFlood: {requests: 5/s, as: system, takes: 0s, at: 1m}", "s.yaml:7:58: E0047"),
        ("apiFlood: {requests: 5/s, as: exempt, at: 1m}", "s.yaml:7:43: W0178"),
        ("slowApi: {latency: 60s, at: 1m}", "s.yaml:7:32: E0048"),
    ];
    for (text, expected) in cases {
        let lines = said(&load_all(&web(&format!("  faults: [{{{text}}}]\n")), &["web.yaml"], &[]));
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{text}\n{lines:?}");
    }
}

#[test]
fn servers_have_the_limits_that_are_stated() {
    let parameters =
        "maxRequestsInflight: 800, maxMutatingRequestsInflight: 400, priorityAndFairness: false";
    let platform = format!("{PLATFORM}  parameters: {{{parameters}}}\n");
    let files = web("").with("small.yaml", platform);
    let loaded = load_all(&files, &["web.yaml"], &[]);
    let found = loaded.resolved.expect("it is well").blueprint.parameters;
    assert_eq!((found.max_requests_inflight, found.max_mutating_requests_inflight), (800, 400));
    assert!(!found.priority_and_fairness);
    assert!(Parameters::default().priority_and_fairness);
}

#[test]
fn limits_that_no_server_has_are_refused() {
    let none = "maxRequestsInflight: 0, maxMutatingRequestsInflight: 0";
    let cases = [
        (none.to_owned(), Some("E0085")),
        (format!("{none}, priorityAndFairness: false"), None),
        ("maxMutatingRequestsInflight: 0".to_owned(), None),
        ("maxRequestsInflight: 1000000".to_owned(), None),
        ("maxRequestsInflight: 1000001".to_owned(), Some("E0086")),
        ("maxMutatingRequestsInflight: 4294967295".to_owned(), Some("E0086")),
    ];
    for (text, expected) in cases {
        let platform = format!("{PLATFORM}  parameters: {{{text}}}\n");
        let lines = said(&load_all(&web("").with("small.yaml", platform), &["web.yaml"], &[]));
        let mut codes = ["E0085", "E0086"].into_iter();
        let found = codes.find(|code| lines.iter().any(|line| line.contains(code)));
        assert_eq!(found, expected, "{text}\n{lines:?}");
    }
}
