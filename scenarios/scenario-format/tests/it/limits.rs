//! Rate limits of gateways: what is stated, what plugins bring, what is refused and warned of.

use model_api::limiter::{Counters, LimitBy, Limiter, Period, Store};
use model_api::{ServiceId, SimSpan};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario};

/// A gateway, a Redis, and plugins of both kinds.
const EDGE: &str = "\
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 6379}]}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: limit, namespace: shop}
plugin: rate-limiting
config: {second: 5, hour: 10000, policy: redis, sync_rate: 0.5, redis: {host: redis, timeout: 700}}
---
apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata: {name: all, labels: {global: 'true'}}
plugin: rate-limiting
config: {minute: 90, limit_by: ip, fault_tolerant: false}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: acme, namespace: shop, annotations: {konghq.com/plugins: limit}}
username: acme
";

const MORE: &str = "  \
load: [{service: shop/web, via: shop/edge, rate: 10, tenant: acme, addresses: 20}]
  gateways: [{service: shop/edge, rateLimits: [{service: shop/web, second: 7, policy: local}]}]
";

/// The limits, and what is said, of a scenario and manifests with a text replaced.
fn limits(from: &str, to: &str) -> (Vec<Limiter>, Vec<String>) {
    assert!(EDGE.contains(from) || MORE.contains(from), "{from}");
    let files = Memory::default()
        .with("s.yaml", scenario(&MORE.replacen(from, to, 1)))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", format!("{WEB}{}", EDGE.replacen(from, to, 1)));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let is_ours = |line: &String| {
        let codes = ["E0", "W0213", "W0217", "W0218", "W0219"];
        codes.iter().any(|code| line.contains(code))
    };
    let lines = said(&loaded).into_iter().filter(is_ours).collect();
    (loaded.resolved.map(|it| it.blueprint.limiters).unwrap_or_default(), lines)
}

#[test]
fn limits_are_read_where_they_are_stated_and_attached() {
    let (all, lines) = limits("second: 7", "second: 7");
    assert_eq!(lines, Vec::<String>::new());
    let [stated, consumer, global] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(stated.limits, [(Period::Second, 7)]);
    assert_eq!((stated.by, stated.counters), (LimitBy::Tenant, Counters::EachPod));
    assert!(stated.service.is_some() && stated.tenant.is_none());
    assert_eq!(consumer.tenant.as_deref(), Some("acme"));
    assert_eq!(consumer.limits, [(Period::Second, 5), (Period::Hour, 10_000)]);
    let Counters::Shared { store, timeout, sync_every, counts_refused } = consumer.counters else {
        panic!("{consumer:?}")
    };
    assert!(matches!(store, Some(Store::Service(ServiceId(_)))));
    assert_eq!((timeout, sync_every), (SimSpan::from_millis(700), Some(SimSpan::from_millis(500))));
    assert!(!counts_refused && consumer.is_fault_tolerant);
    assert_eq!((global.by, global.is_fault_tolerant), (LimitBy::Address, false));
    assert!(global.service.is_none() && global.tenant.is_none());
    assert_eq!(stated.connecting_ppm, 0);
    let (all, _) = limits("policy: local", "policy: redis, store: shop/redis, newConnections: 5%");
    assert_eq!(all[0].connecting_ppm, 50_000);
}

#[test]
fn a_route_goes_before_a_service_and_a_namespace_before_the_cluster() {
    let web = "metadata: {name: edge, namespace: shop}";
    let (all, _) = limits(
        web,
        "metadata: {name: edge, namespace: shop, annotations: {konghq.com/plugins: 'limit, all'}}",
    );
    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["shop/web", "limit", "limit", "all", "all"]);
}

#[test]
fn what_the_plugin_refuses_is_refused_and_traps_are_told() {
    let cases = [
        ("second: 7, ", "", "E0100"),
        ("second: 7", "second: 7, minute: 3", "E0100"),
        ("second: 7", "second: 0", "E0100"),
        ("second: 5", "second: five", "E0100"),
        ("policy: redis", "policy: sliding", "E0100"),
        ("limit_by: ip", "limit_by: consumer-group", "E0100"),
        ("policy: local", "policy: local, store: shop/redis", "E0100"),
        ("policy: local", "policy: cluster", "E0101"),
        ("policy: local", "policy: redis, store: shop/rediss", "E0016"),
        ("policy: local", "policy: redis", "W0217"),
        ("host: redis", "host: redis.elsewhere.svc", "W0217"),
        (", addresses: 20", "", "W0218"),
        ("policy: local", "policy: local, tenant: bulk", "W0219"),
        ("plugin: rate-limiting", "plugin: request-termination", "W0213"),
        ("plugin: rate-limiting", "plugin: rate-limiting-advanced", "W0213"),
        ("konghq.com/plugins: limit", "konghq.com/plugins: limt", "W0213"),
        ("gateways: [", "loadBalancers: [] #", "W0213"),
        ("addresses: 20", "addresses: 0", "E0021"),
    ];
    for (from, to, code) in cases {
        let lines = limits(from, to).1;
        assert!(lines.iter().any(|line| line.contains(code)), "{from} -> {to}: {lines:?}");
    }
}

#[test]
fn a_spike_of_a_tenant_names_one_that_asks() {
    let with = |tenant: &str| {
        let more = format!(
            "{MORE}  faults: [{{loadSpike: {{factor: 2, at: 1m, for: 1m, tenant: {tenant}}}}}]\n"
        );
        let files = Memory::default()
            .with("s.yaml", scenario(&more))
            .with("small.yaml", PLATFORM)
            .with("m.yaml", format!("{WEB}{EDGE}"));
        let loaded = load_all(&files, &["m.yaml"], &[]);
        said(&loaded).iter().any(|line| line.contains("E0056"))
    };
    assert!(!with("acme") && with("acne"));
}
