//! Where volumes let pods go: disks of nodes, and nodes that attach no more.

use std::collections::BTreeSet;

use model_api::action::Action;
use model_api::fault::{Fault, FaultKind, FaultPlan, Start};
use model_api::kube::{PersistentVolumeClaim, StorageClass, VolumeBindingMode};
use model_api::{Blueprint, NodeId, Observation, SimSpan, SimTime, WorkloadId};
use platform::{Event, Plan, World};
use sim_kernel::{Journal, Simulation};

use crate::archives::archiving;
use crate::fault;

const INSTANCES: WorkloadId = WorkloadId(1);

fn blueprint(is_local: bool) -> Blueprint {
    let mut blueprint = archiving(1 << 20, 1 << 40);
    blueprint.storage_classes.push(StorageClass {
        name: "fast".to_owned(),
        binding_mode: VolumeBindingMode::WaitForFirstConsumer,
        is_zonal: true,
        is_local,
        is_default: true,
        ..StorageClass::default()
    });
    blueprint
}

type Sim = Simulation<World, Journal<Event, Observation>>;

fn simulation(blueprint: Blueprint, faults: Vec<Fault>, secs: u64) -> Sim {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(2));
    let mut simulation = plan.expect("no circle").simulation(1, 0, Journal::new());
    assert!(simulation.run_until(SimTime::from_secs(secs)).is_complete());
    simulation
}

/// The node of each instance at the start.
fn hosts(blueprint: Blueprint) -> Vec<NodeId> {
    let simulation = simulation(blueprint, Vec::new(), 60);
    let cluster = simulation.model().cluster();
    cluster.pods_of(INSTANCES).iter().filter_map(|pod| cluster.pod(*pod).node).collect()
}

/// Where instances are bound to after the node of the first one was deleted.
fn moved(blueprint: Blueprint) -> Vec<NodeId> {
    let deleted = hosts(blueprint.clone())[0];
    let kind = FaultKind::Action(Action::DeleteNodes(vec![deleted]));
    let faults = vec![fault("deleted", kind, Start::At(SimTime::from_secs(600)), None)];
    let simulation = simulation(blueprint, faults, 7_200);
    let records = simulation.recorder().observations().iter();
    let bound = records.filter_map(|record| match record.observation {
        Observation::PodBound { workload: INSTANCES, node, .. } => Some((record.at, node)),
        _ => None,
    });
    bound.filter(|(at, _)| *at > SimTime::from_secs(600)).map(|(_, node)| node).collect()
}

#[test]
fn a_volume_on_a_disk_of_a_node_keeps_its_pod_there() {
    assert_eq!(moved(blueprint(false)).len(), 1, "to the other node of its zone");
    assert_eq!(moved(blueprint(true)), []);
}

#[test]
fn a_node_that_attaches_no_more_takes_no_pod_with_a_volume() {
    let hosts = hosts(blueprint(false));
    let limited = |limit: u32| {
        let mut blueprint = blueprint(false);
        for (idx, spec) in blueprint.nodes.iter_mut().enumerate() {
            let is_host = hosts.contains(&NodeId::from_index(idx));
            spec.node.attach_limit = Some(if is_host { 1 } else { limit });
        }
        moved(blueprint)
    };
    assert_eq!(limited(1), moved(blueprint(false)));
    // Its zone has no other node that could hold the volume.
    assert_eq!(limited(0), []);
}

/// Volumes that wait for their pods, and volumes that are made at once.
#[test]
fn a_class_that_allows_two_zones_makes_no_volume_in_the_third() {
    for binding_mode in [VolumeBindingMode::WaitForFirstConsumer, VolumeBindingMode::Immediate] {
        let zones_of = |allowed: &[&str]| {
            let mut blueprint = blueprint(false);
            let class = &mut blueprint.storage_classes[0];
            class.binding_mode = binding_mode;
            class.allowed_zones = allowed.iter().map(|zone| (*zone).to_owned()).collect();
            blueprint.claims.push(PersistentVolumeClaim {
                namespace: "shop".to_owned(),
                name: "orders-1".to_owned(),
                ..PersistentVolumeClaim::default()
            });
            let zones = hosts(blueprint).into_iter().map(|node| node.0 % 3);
            zones.collect::<BTreeSet<u32>>()
        };
        assert_eq!(zones_of(&[]), BTreeSet::from([0, 1, 2]), "{binding_mode:?}");
        assert_eq!(zones_of(&["az-a", "az-c"]), BTreeSet::from([0, 2]), "{binding_mode:?}");
        assert_eq!(zones_of(&["elsewhere"]), BTreeSet::new(), "{binding_mode:?}");
    }
}
