//! Load balancers: what is read, what Services are annotated with, what is refused and warned of.

use model_api::SimSpan;
use model_api::fault::FaultKind;
use model_api::gateway::{HealthMonitor, LoadBalancer};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario};

/// A Service with room for annotations.
const EDGE: &str = "\
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: shop, annotations: {note: it}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]}
";

/// A balancer that nobody could complain of.
const BALANCER: &str = "  \
loadBalancers:
    - {service: shop/edge, name: front, topology: activeStandby, zones: [az-b, az-a], monitor: {delay: 4s, maxRetriesDown: 2}}
  faults:
    - balancerMachineLoss: {balancer: front, both: true, at: 1m}
";

/// The balancer, and what is said, of these annotations, with a text of the scenario replaced.
fn with(annotations: &str, from: &str, to: &str) -> (Option<LoadBalancer>, Vec<String>) {
    assert!(BALANCER.contains(from), "{from}");
    let files = Memory::default()
        .with("s.yaml", scenario(&BALANCER.replacen(from, to, 1)))
        .with("small.yaml", PLATFORM)
        .with("web.yaml", WEB)
        .with("m.yaml", EDGE.replace("note: it", annotations));
    let loaded = load_all(&files, &["web.yaml", "m.yaml"], &[]);
    let lines = said(&loaded);
    let is_ours = |line: &String| {
        let codes = ["E00", "W0129", "W0210", "W0211", "W0212"];
        codes.iter().any(|code| line.contains(code))
    };
    let lines = lines.into_iter().filter(is_ours).collect();
    let balancer = loaded.resolved.and_then(|it| it.blueprint.balancers.first().cloned());
    (balancer, lines)
}

fn key(name: &str, value: &str) -> String {
    format!("loadbalancer.openstack.org/{name}: '{value}'")
}

#[test]
fn balancers_are_read_with_the_annotations_of_their_services() {
    let (balancer, lines) = with("note: it", "front", "front");
    assert_eq!(lines, Vec::<String>::new());
    let balancer = balancer.expect("it is read");
    let zones: Vec<u32> = balancer.machine_zones.iter().map(|zone| zone.0).collect();
    assert_eq!((balancer.name.as_str(), zones), ("front", vec![1, 0]));
    let monitor = HealthMonitor { delay: SimSpan::from_secs(4), fall: 2, ..Default::default() };
    assert_eq!(balancer.monitor, Some(monitor));
    let annotations = [
        key("enable-health-monitor", "true"),
        key("health-monitor-delay", "7"),
        key("health-monitor-max-retries", "2"),
        key("timeout-member-connect", "1500"),
    ];
    let balancer = with(&annotations.join(", "), "front", "front").0.expect("it is read");
    let monitor = HealthMonitor { delay: SimSpan::from_secs(7), rise: 2, ..monitor };
    assert_eq!(balancer.monitor, Some(monitor));
    assert_eq!(balancer.connect_timeout, SimSpan::from_millis(1500));
    let off = with(&key("enable-health-monitor", "false"), "front", "front");
    assert_eq!(off.0.expect("it is read").monitor, None);
    let files = Memory::default()
        .with("s.yaml", scenario(BALANCER))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", format!("{WEB}{EDGE}"));
    let resolved = load_all(&files, &["m.yaml"], &[]).resolved.expect("it is read");
    let kind = &resolved.faults.faults[0].kind;
    assert!(matches!(kind, FaultKind::BalancerMachineLoss { takes_standby: true, .. }), "{kind:?}");
}

#[test]
fn mistakes_are_refused_and_traps_warned_of() {
    let cases = [
        ("note: it", "shop/edge", "shop/web", "E0052"),
        ("note: it", "shop/edge", "shop/edgy", "E0016"),
        ("note: it", "balancer: front", "balancer: frond", "E0016"),
        ("note: it", "activeStandby", "standby", "E0014"),
        ("note: it", "maxRetriesDown: 2", "maxRetriesDown: 0", "E0021"),
        ("note: it", "az-b, az-a", "az-c", "E0016"),
        ("loadbalancer.openstack.org/health-monitor-delay: 5s", "front", "front", "E0053"),
        ("loadbalancer.openstack.org/enable-health-monitor: 'yes'", "front", "front", "E0053"),
        ("note: it", ", monitor: {delay: 4s, maxRetriesDown: 2}", "", "W0211"),
        ("note: it", "az-b, az-a", "az-b", "W0212"),
        ("note: it", "activeStandby", "single", "W0212"),
        ("note: it", "activeStandby", "single", "W0129"),
    ];
    for (annotations, from, to, code) in cases {
        let lines = with(annotations, from, to).1;
        let is_told = lines.iter().any(|line| line.contains(code));
        assert!(is_told, "{from} -> {to}: {lines:?}");
    }
    let files = Memory::default().with("s.yaml", scenario("")).with("small.yaml", PLATFORM).with(
        "m.yaml",
        WEB.to_owned() + &EDGE.replace("note: it", &key("timeout-member-connect", "1")),
    );
    let lines = said(&load_all(&files, &["m.yaml"], &[]));
    assert!(lines.iter().any(|line| line.contains("W0210")), "{lines:?}");
}
