//! What of a cluster waits for the control plane of its cloud.

use model_api::kube::Attacher;
use model_api::observation::PendingWrite;
use model_api::{NodeId, Observation, WorkloadId, ZoneId};

use crate::world::{Run, World};

/// A pod whose volume is to move to the other node after the first is taken out of service at 200 s.
const MOVE: &str = "
    nodes 2 per zone a
    members a
    statefulset db 1 claim tolerate=3000
    at 100 lose node a-0
    at 200 out-of-service node a-0";

/// When the pod of [`MOVE`] started on its second node, in the runs in which it was on the first.
fn moved(more: &str, attacher: Attacher) -> Vec<f64> {
    let run = |seed| {
        let mut world = World::read(&format!("{MOVE}\n{more}"));
        world.blueprint.storage_classes[0].attacher = attacher;
        world.run(seed, 1500)
    };
    let started = |run: &Run| run.times(|it| matches!(it, Observation::PodStarted { .. })).pop();
    (0..20).map(run).filter_map(|run| started(&run)).filter(|at| *at > 0.0).collect()
}

#[test]
fn volumes_of_the_cloud_are_attached_when_it_answers() {
    let outage = "at 150 cloud down\nat 900 cloud up";
    let all = |times: &[f64], from: f64, to: f64| {
        !times.is_empty() && times.iter().all(|at| (from..to).contains(at))
    };
    let free = moved("", Attacher::Cloud);
    assert!(all(&free, 200.0, 260.0), "{free:?}");
    // Tries come every 2 min 2 s in the end.
    let late = moved(outage, Attacher::Cloud);
    assert!(all(&late, 900.0, 900.0 + 122.0 + 60.0), "{late:?}");
    for attacher in [Attacher::Cluster, Attacher::Nobody] {
        assert_eq!(moved(outage, attacher), free, "nobody asks the cloud");
    }
}

#[test]
fn volumes_are_attached_by_a_controller() {
    // The pod was bound when the API went, and its kubelet knows it.
    let script = "
        nodes 1 per zone a
        members a
        statefulset db 0 claim
        at 100 scale db 1
        at 100 cloud down
        at 300 api down
        at 400 cloud up
        at 600 api up";
    let run = World::read(script).run(1, 900);
    let started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
    assert!(started.len() == 1 && (600.0..780.0).contains(&started[0]), "{}", run.timeline());
    let write = PendingWrite::Attachment(WorkloadId(0));
    let waits = run.times(|it| *it == Observation::WriteWaits { write });
    assert!((100.0..105.0).contains(&waits[0]), "{waits:?}");
}

const TOWN: &str = "
    nodes 1 per zone a
    members a
    group a 0 from 0 to 2
    autoscaler
    deployment web 10 cpu=500
    deployment extra 0 cpu=500
";

fn nodes(run: &Run) -> usize {
    let cluster = run.cluster();
    let count = cluster.blueprint().nodes.len();
    (0..count).filter(|idx| cluster.is_node_ready(NodeId::from_index(*idx))).count()
}

fn town(script: &str, until_secs: u64) -> Run {
    let mut world = World::read(TOWN);
    world.add(script);
    world.run(1, until_secs)
}

#[test]
fn nodes_are_refused_until_the_cloud_answers() {
    let run = town("at 900 cloud down\nat 1000 scale extra 10\nat 2500 cloud up", 4500);
    let refused = run.times(|it| matches!(it, Observation::NodesRefused { .. }));
    let asked = run.times(|it| matches!(it, Observation::NodesRequested { .. }));
    assert!((1000.0..1020.0).contains(&refused[0]), "{refused:?}");
    assert!(asked.len() == 1 && asked[0] >= 2500.0, "{asked:?}");
    assert_eq!(nodes(&run), 2);
}

#[test]
fn machines_that_were_asked_for_are_started_when_the_cloud_answers() {
    let script = "
        at 900 capacity a stuck
        at 1000 scale extra 10
        at 1100 cloud down
        at 1200 capacity a enough
        at 1500 cloud up";
    let run = town(script, 3500);
    let write = PendingWrite::Machines(ZoneId(0));
    let waits = run.times(|it| *it == Observation::WriteWaits { write });
    assert_eq!(waits, [1200.0]);
    let came = run.times(|it| matches!(it, Observation::NodeRestored { .. }));
    assert!(came.len() == 1 && came[0] > 1500.0, "{came:?}");
}

#[test]
fn a_node_whose_machine_cannot_be_deleted_stays() {
    let script = "at 1000 scale extra 10\nat 3000 scale extra 0";
    let gone = |more: &str| {
        let run = town(&format!("{script}\n{more}"), 9000);
        run.times(|it| matches!(it, Observation::NodeRemoved { .. }))
    };
    let (freely, late) = (gone(""), gone("at 3100 cloud down\nat 6000 cloud up"));
    assert!(freely.len() == 1 && (3600.0..4000.0).contains(&freely[0]), "{freely:?}");
    assert!(late.len() == 1 && late[0] > 6000.0, "{late:?}");
}
