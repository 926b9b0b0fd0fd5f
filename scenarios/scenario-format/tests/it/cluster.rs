//! Manifests without a scenario.

use scenario_format::{ClusterRequest, Loaded, load_cluster};

use crate::support::{Memory, PLATFORM, WEB, said};

const NODES: &str = "\
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: east}}
status: {allocatable: {cpu: 2, memory: 4Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {topology.kubernetes.io/zone: west, node-role.kubernetes.io/control-plane: ''}}
spec: {taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]}
status: {allocatable: {cpu: 2, memory: 4Gi, pods: 10}}
";

fn cluster(platform: Option<&str>, manifests: &[&str]) -> Loaded {
    let files = Memory::default()
        .with("small.yaml", PLATFORM)
        .with("web.yaml", WEB)
        .with("nodes.yaml", NODES)
        .with("twice.yaml", format!("{NODES}---\n{NODES}"));
    let request = ClusterRequest {
        platform: platform.map(str::to_owned),
        manifests: manifests.iter().map(|it| (*it).to_owned()).collect(),
        overrides: Vec::new(),
    };
    load_cluster(&request, &files)
}

fn names(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    let resolved = loaded.resolved.as_ref().expect("nothing is wrong with it");
    let blueprint = &resolved.blueprint;
    let nodes = blueprint.nodes.iter().map(|it| it.node.name.clone());
    let workloads = blueprint.workloads.iter().map(|it| it.name.clone());
    (nodes.collect(), workloads.collect())
}

#[test]
fn nodes_come_from_manifests_or_from_a_platform() {
    let (nodes, workloads) = names(&cluster(None, &["web.yaml", "nodes.yaml"]));
    assert_eq!(
        (nodes, workloads),
        (vec!["n1".to_owned(), "n2".to_owned()], vec!["web".to_owned()])
    );
    let own = cluster(None, &["nodes.yaml"]);
    let blueprint = own.resolved.expect("nothing is wrong with it").blueprint;
    let zones: Vec<&str> = blueprint.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(zones, ["east", "west"]);
    assert_eq!(blueprint.nodes[1].node.taints.len(), 1);
    assert!(blueprint.nodes[1].is_control_plane && blueprint.assumptions.is_empty());
    let (nodes, workloads) = names(&cluster(Some("small.yaml"), &["web.yaml"]));
    assert_eq!((nodes.len(), workloads.len()), (5, 1));
    let shipped = cluster(None, &["web.yaml"]);
    let (nodes, workloads) = names(&shipped);
    assert_eq!((nodes.len(), workloads.len()), (15, 1), "its machines, not its workloads");
    let blueprint = shipped.resolved.expect("nothing is wrong with it").blueprint;
    assert!(blueprint.assumptions.iter().any(|it| it.text.contains("eidp-production")));
}

#[test]
fn what_is_wrong_is_said() {
    let typo = said(&cluster(Some("smal"), &["web.yaml"]));
    assert_eq!(typo.len(), 1, "{typo:?}");
    assert!(
        typo[0].contains("E0001") && typo[0].contains("there is no platform `smal`"),
        "{typo:?}"
    );
    let twice = said(&cluster(None, &["twice.yaml"]));
    assert_eq!(twice.len(), 2, "{twice:?}");
    assert!(twice[0].contains("Node n1 is there twice"), "{twice:?}");
    assert!(!cluster(None, &["missing.yaml"]).diagnostics.is_empty());
}
