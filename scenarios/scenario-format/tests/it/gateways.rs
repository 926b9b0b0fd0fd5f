//! Load balancers: what is read, what Services are annotated with, what is refused and warned of.

use model_api::SimSpan;
use model_api::fault::FaultKind;
use model_api::gateway::{ActiveChecks, Gateway, HealthMonitor, LoadBalancer};

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

/// A gateway before the shop, and what the shop says of it.
fn kong(annotations: &str, policy: &str, from: &str, to: &str) -> (Option<Gateway>, Vec<String>) {
    let more = "  load: [{service: shop/web, via: shop/edge, rate: 10}]\n  \
                gateways: [{service: shop/edge, retries: 4, connectTimeout: 2s}]\n";
    assert!(more.contains(from), "{from}");
    let web = WEB.replacen(
        "kind: Service\nmetadata: {name: web, namespace: shop}",
        &format!(
            "kind: Service\nmetadata: {{name: web, namespace: shop, annotations: {{{annotations}}}}}"
        ),
        1,
    );
    assert!(web != WEB, "the Service was not found");
    let policy = format!(
        "---\napiVersion: configuration.konghq.com/v1beta1\nkind: KongUpstreamPolicy\n\
         metadata: {{name: checks, namespace: shop}}\nspec: {{healthchecks: {{{policy}}}}}\n"
    );
    let files = Memory::default()
        .with("s.yaml", scenario(&more.replacen(from, to, 1)))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", format!("{web}{EDGE}{policy}"));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let is_ours = |line: &String| line.contains("E00") || line.contains("W0214");
    let lines = said(&loaded).into_iter().filter(is_ours).collect();
    (loaded.resolved.and_then(|it| it.blueprint.gateways.first().cloned()), lines)
}

/// Checks that find pods and let them come back.
const CHECKS: &str = "active: {timeout: 2, healthy: {interval: 5, successes: 2}, \
                      unhealthy: {interval: 10, timeouts: 3}}, passive: {unhealthy: {timeouts: 4}}";

#[test]
fn gateways_are_read_with_the_annotations_and_policies_of_what_is_behind() {
    let its = "konghq.com/connect-timeout: '500', konghq.com/upstream-policy: checks";
    let (gateway, lines) = kong(its, CHECKS, "4", "4");
    assert_eq!(lines, Vec::<String>::new());
    let gateway = gateway.expect("it is read");
    let [upstream] = gateway.upstreams[..] else { panic!("{gateway:?}") };
    assert_eq!((upstream.retries, upstream.passive_timeouts), (4, 4));
    assert_eq!(upstream.connect_timeout, SimSpan::from_millis(500));
    let secs = SimSpan::from_secs;
    let active = ActiveChecks {
        healthy_interval: secs(5),
        unhealthy_interval: secs(10),
        timeout: secs(2),
        timeouts: 3,
        successes: 2,
    };
    assert_eq!(upstream.active, active);
    let plain = kong("note: it", CHECKS, "4", "4").0.expect("it is read").upstreams[0];
    assert_eq!((plain.connect_timeout, plain.active), (secs(2), ActiveChecks::default()));
}

#[test]
fn handshakes_cost_a_gateway_what_connections_share() {
    let cost = |tls: &str| {
        let to = format!("tls: {{{tls}}}, connectTimeout: 2s");
        let more = format!(
            "  load: [{{service: shop/web, via: shop/edge, rate: 10}}]\n  \
             gateways: [{{service: shop/edge, {to}}}]\n"
        );
        let files = Memory::default()
            .with("s.yaml", scenario(&more))
            .with("small.yaml", PLATFORM)
            .with("m.yaml", format!("{WEB}{EDGE}"));
        let loaded = load_all(&files, &["m.yaml"], &[]);
        let lines = said(&loaded);
        let blueprint = loaded.resolved.unwrap_or_else(|| panic!("{lines:?}")).blueprint;
        let edge = blueprint.services.iter().position(|it| it.name == "edge").expect("it is there");
        let its = blueprint.profiles.iter().find(|it| it.service.index() == edge);
        its.expect("it has a profile").cpu_per_request
    };
    let micros = SimSpan::from_micros;
    assert_eq!(cost("certificate: ecdsa"), micros(1_250));
    assert_eq!(cost("certificate: rsa"), micros(1_600));
    assert_eq!(cost("requestsPerConnection: 10"), micros(1_025));
    assert_eq!(cost("handshakeCpu: 4ms, requestsPerConnection: 4"), micros(2_000));
}

#[test]
fn what_kong_cannot_read_and_checks_that_never_act_are_told() {
    let policy = "konghq.com/upstream-policy: checks";
    let cases = [
        ("konghq.com/retries: many", CHECKS, "4", "4", "E0057"),
        (policy, "active: {healthy: {interval: soon}}", "4", "4", "E0057"),
        ("konghq.com/upstream-policy: cheks", CHECKS, "4", "4", "E0016"),
        ("note: it", CHECKS, "service: shop/edge, r", "service: shop/web, r", "E0054"),
        ("note: it", CHECKS, "2s", "0s", "E0021"),
        (policy, "active: {healthy: {interval: 5, successes: 1}}", "4", "4", "W0214"),
        (policy, "passive: {unhealthy: {timeouts: 3}}", "4", "4", "W0214"),
    ];
    for (annotations, checks, from, to, code) in cases {
        let lines = kong(annotations, checks, from, to).1;
        assert!(lines.iter().any(|line| line.contains(code)), "{annotations} {checks}: {lines:?}");
    }
}
