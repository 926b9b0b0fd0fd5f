//! Workloads that are small outside of their hours.

use model_api::Observation as O;
use model_api::blueprint::OffPeak;
use model_api::kube::off_peak::schedule_of;
use model_api::time_zone::TimeZone;

use crate::world::World;

/// A Deployment of six with hours, as a world from Monday, midnight.
fn world(replicas: &str, script: &str) -> World {
    let mut world = World::read(&format!("nodes 1 per zone a b c\n deployment web 6\n {script}"));
    let entries = [
        ("downscaler/uptime", "Mon-Fri 07:00-20:00 UTC"),
        ("downscaler/downtime-replicas", replicas),
    ];
    let annotations = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let schedule = schedule_of(&annotations, |_| Some(TimeZone::default()))
        .expect("hours")
        .expect("it opted in");
    let workload = world.workload("web");
    world.blueprint.off_peak.push(OffPeak { workload, schedule });
    world
}

#[test]
fn sizes_change_at_the_first_look_after_an_edge() {
    let run = world("2", "").run(1, 8 * 86_400);
    let sized = run.times(|seen| matches!(seen, O::OffPeakResized { .. }));
    let edges: Vec<f64> = (0..8)
        .filter(|day| ![5, 6].contains(day))
        .flat_map(|day| [7, 20].map(|hour| f64::from(day * 86_400 + hour * 3_600)))
        .collect();
    assert_eq!(sized.len(), edges.len());
    for (at, edge) in sized.iter().zip(&edges) {
        assert!((0.0..=30.0).contains(&(at - edge)), "{at} after {edge}");
    }
    let at_start = run.times(|seen| matches!(seen, O::PodCreated { .. }));
    assert_eq!(at_start.iter().filter(|at| **at == 0.0).count(), 2, "small on a Monday, midnight");
    assert_eq!(run.cluster().replicas(world("2", "").workload("web")), 2);
}

#[test]
fn whoever_sizes_it_in_its_downtime_is_undone_and_remembered() {
    let world = world("2", "at 3600 scale web 3");
    let run = world.run(1, 10 * 3_600);
    let sized = run.times(|seen| matches!(seen, O::OffPeakResized { .. }));
    assert!(matches!(sized[..], [3_600.0..=3_630.0, 25_200.0..=25_230.0]), "{sized:?}");
    assert_eq!(run.cluster().replicas(world.workload("web")), 3);
}

#[test]
fn whoever_sizes_it_in_its_hours_is_not_overruled() {
    let world = world("2", "at 36000 scale web 4");
    let noon = world.run(1, 12 * 3_600);
    assert_eq!(noon.cluster().replicas(world.workload("web")), 4);
    let next_noon = world.run(1, 36 * 3_600);
    assert_eq!(next_noon.cluster().replicas(world.workload("web")), 4);
}

/// Size and remembered size go back together, whichever of them the snapshot has.
#[test]
fn a_restore_brings_back_what_is_remembered() {
    const HOUR: u64 = 3_600;
    // Etcd is lost at 10 h or 30 h; the state that comes back is of the night or of the day before.
    let rows = [
        (10 * HOUR, 5 * HOUR, 16 * HOUR, 6),
        (10 * HOUR, 5 * HOUR, 34 * HOUR, 6),
        (23 * HOUR, 12 * HOUR, 26 * HOUR, 2),
        (23 * HOUR, 12 * HOUR, 34 * HOUR, 6),
    ];
    for (lost, until, seen, replicas) in rows {
        let script = format!("at {lost} lose etcd\nat {} restore etcd {until}", lost + HOUR);
        let world = world("2", &format!("members a b c\n{script}"));
        let run = world.run_with(1, seen, |cluster| cluster.keep_history());
        let left = run.cluster().replicas(world.workload("web"));
        assert_eq!(left, replicas, "lost at {lost} s, restored from {until} s, seen at {seen} s");
    }
}
