//! Disks, inodes and process ids that run out.

use model_api::observation::EvictionReason;
use model_api::usage::NodeResource;
use model_api::{NodeId, Observation, PodId, SimTime};

use crate::world::{Run, World};

/// Reasons and nodes of evictions, with their times.
fn evictions(run: &Run) -> Vec<(f64, EvictionReason, NodeId)> {
    let records = run.simulation.recorder().observations().iter();
    let evicted = records.filter_map(|record| match record.observation {
        Observation::PodEvicted { reason, node, .. } => {
            Some((record.at.as_secs_f64(), reason, node))
        }
        _ => None,
    });
    evicted.collect()
}

/// A node of 1000 MiB, of which 150 have to be free.
const SMALL: &str = "nodes 1 per zone a b
    disk 1000
    ";

#[test]
fn a_disk_that_fills_costs_the_pod_that_takes_most_of_it() {
    // A MiB a second.
    let text = format!("{SMALL} deployment web 1\n fills web 100 grows=3600");
    let run = World::read(&text).run(1, 1200);
    let found = evictions(&run);
    let [(at, reason, first), ..] = found[..] else { panic!("{found:?}") };
    assert!((750.0..=760.0).contains(&at), "{at}");
    assert_eq!(reason, EvictionReason::Pressure(NodeResource::Disk));
    // The next pod begins with an empty disk on the other node, as this one is tainted.
    let pod = run.cluster().pod(PodId(1));
    assert!(pod.node.is_some_and(|node| node != first), "{pod:?}");
    let taken = run.cluster().held_at(PodId(1), NodeResource::Disk, SimTime::from_secs(1200));
    assert!((500 << 20..560 << 20).contains(&taken), "{taken}");
}

#[test]
fn unused_images_go_before_pods() {
    let text = format!("{SMALL} unused images 200\n deployment web 1\n fills web 100 grows=3600");
    let run = World::read(&text).run(1, 1200);
    let collected = run.times(|it| matches!(it, Observation::ImagesCollected { .. }));
    assert!(!collected.is_empty() && (550.0..=560.0).contains(&collected[0]), "{collected:?}");
    let found = evictions(&run);
    assert!((750.0..=760.0).contains(&found[0].0), "{found:?}");
}

/// Kubelets collect images from just under 16 % of the disk on, back to 20 %: a disk that fills slowly
/// is never short of space for the eviction manager while there are some.
#[test]
fn a_slow_disk_is_kept_free_by_collecting_images() {
    // A MiB a minute.
    let text = format!("{SMALL} unused images 700\n deployment web 1\n fills web 100 grows=60");
    let run = World::read(&text).run(1, 3 * 3600);
    let collected = run.times(|it| matches!(it, Observation::ImagesCollected { .. }));
    // 840 MiB are used after 40 minutes, and 40 are freed.
    let [first, second, ..] = collected[..] else { panic!("{collected:?}") };
    assert!((2400.0..=2700.0).contains(&first), "{collected:?}");
    assert!((2400.0..=3000.0).contains(&(second - first)), "{collected:?}");
    assert_eq!(run.times(|it| matches!(it, Observation::NodePressureStarted { .. })), [0.0; 0]);
}

#[test]
fn files_outlast_containers_and_go_with_the_pod() {
    let text = format!("{SMALL} deployment web 1\n fills web 100 grows=3600\n at 300 crash web");
    let run = World::read(&text).run(1, 600);
    let taken = run.cluster().held_at(PodId(0), NodeResource::Disk, SimTime::from_secs(600));
    // It grew for 600 s but those of the start.
    assert!((690 << 20..700 << 20).contains(&taken), "{}", taken >> 20);
}

#[test]
fn a_limit_evicts_at_the_next_pass_whatever_the_disk_has() {
    for limit in ["disk-limit=400", "cache=400"] {
        let volume = if limit.starts_with("cache") { " volume=cache" } else { "" };
        let text = format!(
            "{SMALL} deployment web 1 {limit}\n fills web 100 grows=3600{volume}\n service web"
        );
        let run = World::read(&text).run(1, 420);
        let found = evictions(&run);
        let [(at, reason, _)] = found[..] else { panic!("{limit}: {found:?}") };
        assert!((300.0..=310.1).contains(&at), "{limit}: {at}");
        assert_eq!(reason, EvictionReason::StorageLimit);
        let short = run.times(|it| matches!(it, Observation::NodePressureStarted { .. }));
        assert_eq!(short, [0.0; 0]);
    }
}

#[test]
fn inodes_and_process_ids_run_out_as_well() {
    // 1000 MiB have 64,000 inodes, of which 3,200 have to be free.
    let inodes = format!("{SMALL} deployment web 1\n files web 0 grows=360000");
    let found = evictions(&World::read(&inodes).run(1, 700));
    assert!((608.0..=619.0).contains(&found[0].0), "{found:?}");
    assert_eq!(found[0].1, EvictionReason::Pressure(NodeResource::Inodes));

    let pids = format!("{SMALL} deployment web 1\n forks web 0 grows=36000");
    let mut world = World::read(&pids);
    world.blueprint.parameters.node_pid_max = 10_000;
    assert_eq!(evictions(&world.run(1, 3000)), [], "there is no threshold by default");
    world.blueprint.parameters.eviction_hard_pids_ppm = 100_000;
    let run = world.run(1, 1000);
    let found = evictions(&run);
    assert!((900.0..=911.0).contains(&found[0].0), "{found:?}");
    assert_eq!(found[0].1, EvictionReason::Pressure(NodeResource::Processes));
}

#[test]
fn a_leak_of_a_disk_begins_and_is_mended() {
    let text = format!(
        "{SMALL} deployment web 1\n fills web 100\n at 100 leak disk web 3600\n at 200 mend"
    );
    let run = World::read(&text).run(1, 1000);
    let taken = run.cluster().held_at(PodId(0), NodeResource::Disk, SimTime::from_secs(1000));
    assert_eq!(taken, 200 << 20);
    assert_eq!(run.simulation.stats().handled_count, 2, "the two commands");
}

#[test]
fn a_volume_goes_when_its_pod_is_over_and_what_a_container_wrote_stays() {
    for (volume, left) in [(" volume=cache", 0), ("", 160)] {
        let text =
            format!("{SMALL} job batch 1 work=60 cache=900\n fills batch 100 grows=3600{volume}");
        let run = World::read(&text).run(1, 300);
        let pod = run.cluster().pod(PodId(0));
        assert_eq!(pod.phase, model_kube::cluster::PodPhase::Finished, "{volume}");
        let taken = run.cluster().held_at(PodId(0), NodeResource::Disk, SimTime::from_secs(300));
        assert!((taken >> 20).abs_diff(left) <= 1, "{volume}: {}", taken >> 20);
    }
}

#[test]
fn a_pod_that_waits_to_start_anew_ranks_by_what_its_volumes_hold() {
    // 600 MiB in a volume or in a container, beside 50 that grow by one a second: 850 are too many.
    for (volume, expected) in [(" volume=cache", "big"), ("", "small")] {
        let text = format!(
            "nodes 1 per zone a
            disk 1000
            deployment big 1 cache=2000
            deployment small 1
            fills big 600{volume}
            fills small 50 grows=3600
            at 20 crash big
            at 50 crash big
            at 100 crash big
            at 190 crash big"
        );
        let run = World::read(&text).run(1, 215);
        let records = run.simulation.recorder().observations().iter();
        let evicted: Vec<_> = records
            .filter_map(|record| match record.observation {
                Observation::PodEvicted { workload, .. } => Some(workload),
                _ => None,
            })
            .collect();
        assert_eq!(evicted, [World::read(&text).workload(expected)], "{volume}");
    }
}

#[test]
fn a_disk_is_free_before_a_flooded_api_hears_of_it() {
    let text = format!(
        "{SMALL} members a b\n deployment web 1\n fills web 100 grows=3600
        at 100 flood system 2000000 2000 2000"
    );
    let run = World::read(&text).run(1, 800);
    assert_eq!(evictions(&run).len(), 1);
    let cluster = run.cluster();
    assert_eq!(cluster.held_at(PodId(0), NodeResource::Disk, SimTime::from_secs(800)), 0);
    assert!(!matches!(cluster.pod(PodId(0)).phase, model_kube::cluster::PodPhase::Finished));
}

#[test]
fn a_soft_threshold_of_a_disk_waits_and_lets_pods_end() {
    // 40 % free are crossed at 500 s; 15 % would be at 750 s.
    let text = format!("{SMALL} deployment web 1\n fills web 100 grows=3600");
    let mut world = World::read(&text);
    let parameters = &mut world.blueprint.parameters;
    parameters.eviction_soft_nodefs_ppm = 400_000;
    parameters.eviction_soft_grace_period = sim_kernel::SimSpan::from_secs(90);
    parameters.eviction_max_pod_grace_period = sim_kernel::SimSpan::from_secs(20);
    let run = world.run(1, 720);
    let short = run.times(|it| matches!(it, Observation::NodePressureStarted { .. }));
    assert!((500.0..=511.0).contains(&short[0]), "{short:?}");
    let found = evictions(&run);
    assert!((590.0..=611.0).contains(&found[0].0), "{found:?}");
    assert_eq!(found[0].1, EvictionReason::Pressure(NodeResource::Disk));
}
