//! Why answers are slow: the hop that takes the time, and a fault only where it brings that about.

use crate::{ended, scratch};

const PLATFORM: &str = "\
apiVersion: eidp-sim/v1
kind: Platform
metadata: {name: small}
spec:
  region: {name: north, jurisdiction: EU}
  zones: [{name: az-a}, {name: az-b}, {name: az-c}]
  controlPlane: {zones: [az-a, az-b, az-c]}
  nodePools: [{name: worker, zones: [az-a, az-b, az-c], countPerZone: 1, cpu: 4, memory: 8Gi}]
  manifests: [m.yaml]
  services:
    - {service: shop/web, baseLatency: 5ms, cpuPerRequest: 1ms, dependsOn: [shop/store]}
    - {service: shop/store, baseLatency: 5ms, cpuPerRequest: 10ms}
";

fn workload(name: &str, replicas: u32, cpu: u32) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {name}}}}}\n    spec:\n      topologySpreadConstraints: [{{maxSkew: 1, \
         topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: \
         {{matchLabels: {{app: {name}}}}}}}]\n      containers: [{{name: a, image: a, resources: \
         {{requests: {{cpu: {cpu}}}, limits: {{cpu: {cpu}}}}}}}]\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n"
    )
}

/// The cause that is given for a broken p99, of so many requests a second to pods whose store has so
/// many cores, and threads where that is said.
fn cause(test: &str, rate: u32, (cores, threads): (u32, &str)) -> String {
    let folder = scratch(test);
    let scenario = format!(
        "apiVersion: eidp-sim/v1\nkind: Scenario\nmetadata: {{name: slow}}\nspec:\n  platform: p.yaml\n  \
         horizon: 40m\n  runs: 2\n  load: [{{service: shop/web, rate: {rate}}}]\n  \
         faults: [{{zonePowerLoss: {{name: zone lost, zone: az-a, at: 10m, for: 20m}}}}]\n  \
         guarantees: {{quick: \"latency(shop/web, p99) <= 300ms\"}}\n"
    );
    let manifests = workload("web", 3, 1) + &workload("store", 3, cores);
    let platform =
        PLATFORM.replace("cpuPerRequest: 10ms", &format!("cpuPerRequest: 10ms{threads}"));
    for (name, text) in [("p.yaml", &platform), ("s.yaml", &scenario), ("m.yaml", &manifests)] {
        std::fs::write(folder.join(name), text).expect("the folder is ours");
    }
    let path = folder.join("s.yaml");
    let ended = ended(&["run", path.to_str().expect("the target folder is UTF-8")]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[test]
fn what_is_slow_without_a_fault_is_not_blamed_on_one() {
    // 285 of the 300 requests that three pods answer: each waits long, whatever happens.
    // A second core is of no use to a single thread.
    for (test, store) in [("slow-anyway", (1, "")), ("slow-thread", (2, ", workers: 1"))] {
        let text = cause(test, 285, store);
        assert!(text.contains("before any fault strikes"), "{text}");
        assert!(text.contains("shop/store: requests wait"), "{text}");
        assert!(text.contains("its 3 pods are 95 % busy"), "{text}");
        assert!(!text.contains("fault \"zone lost\" strikes"), "{text}");
    }
}

#[test]
fn what_a_fault_makes_slow_is_blamed_on_it() {
    // Two pods that are left are 95 % busy, three were 63 %.
    let text = cause("slow-then", 190, (1, ""));
    assert!(text.contains("fault \"zone lost\" strikes"), "{text}");
    assert!(text.contains("from then on, at the worst"), "{text}");
}
