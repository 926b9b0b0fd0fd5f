//! Volumes that are made before their pods are placed (`volumeBindingMode: Immediate`).

use model_api::kube::{PersistentVolumeClaim, VolumeBindingMode};
use model_api::{Observation as O, PodId};

use crate::world::{Run, World};

/// A world whose volumes are made early.
fn early(script: &str) -> World {
    let mut world = World::read(script);
    world.blueprint.storage_classes[0].binding_mode = VolumeBindingMode::Immediate;
    for workload in &mut world.blueprint.workloads {
        if let model_api::kube::WorkloadKind::StatefulSet { claims, .. } = &mut workload.kind {
            claims[0].name = "data".into();
        }
    }
    world
}

/// The zone of each pod that has a node.
fn zones(run: &Run, pods: std::ops::Range<u32>) -> Vec<Option<String>> {
    let cluster = run.cluster();
    let blueprint = cluster.blueprint();
    let zone = |pod: u32| {
        let node = cluster.pod(PodId(pod)).node?;
        let zone = blueprint.nodes[node.index()].zone;
        Some(blueprint.zones[zone.index()].name.clone())
    };
    pods.map(zone).collect()
}

#[test]
fn volumes_of_a_set_go_round_the_zones_from_that_of_its_name() {
    // The hash of `db`, modulo three, is one.
    let run = early("nodes 2 per zone a b c\n statefulset db 3 claim").run(1, 600);
    let found = zones(&run, 0..3);
    assert_eq!(found, ["b", "c", "a"].map(|zone| Some(zone.to_owned())));
    // A pod comes back to its volume.
    let evicted = early("nodes 2 per zone a b c\n statefulset db 3 claim\n at 100 evict db 0");
    assert_eq!(zones(&evicted.run(1, 600), 3..4), [Some("b".to_owned())]);
}

#[test]
fn a_pod_whose_volume_is_in_a_zone_without_nodes_waits() {
    let script = "nodes 2 per zone a b c
        statefulset db 1 claim tolerate=30
        at 100 delete node b-0
        at 100 delete node b-1";
    // There are nodes elsewhere, which do not help it.
    assert_eq!(zones(&early(script).run(1, 1200), 1..2), [None]);
}

/// Of an instance of CloudNativePG the log may lie elsewhere than the data: of `orders` that of the second.
#[test]
fn an_instance_whose_volumes_are_in_two_zones_never_runs() {
    let mut world = early("nodes 2 per zone a b c\n database orders 3");
    for number in 1..=3 {
        for end in ["", "-wal"] {
            world.blueprint.claims.push(PersistentVolumeClaim {
                namespace: "shop".into(),
                name: format!("orders-{number}{end}"),
                ..PersistentVolumeClaim::default()
            });
        }
    }
    let run = world.run(1, 3600);
    let found = zones(&run, 0..3);
    assert_eq!(found, [Some("c".to_owned()), None, Some("b".to_owned())]);
    let refused = run.times(|seen| matches!(seen, O::PodBecameUnschedulable { .. }));
    assert_eq!(refused.len(), 1, "{refused:?}");
}
