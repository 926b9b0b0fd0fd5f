//! Autoscalers, claims, Secrets and ConfigMaps of a snapshot, when the API is put back to it.

use model_api::kube::{
    ConfigurationSource, HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget,
    ResourceList, ScaleTarget, SourceKind,
};
use model_api::{AutoscalerId, Observation, Origin, WorkloadId};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 4 spread cpu=100 probe=5
    statefulset db 2 claim";

const WEB: WorkloadId = WorkloadId(0);
const DB: WorkloadId = WorkloadId(1);

/// A town whose `web` has from 4 to 10 pods and names a Secret. What a script did until 1000 s is undone
/// at 2000 s, as far as it was done after 50 s.
fn run(script: &str, seed: u64, until_secs: u64) -> Run {
    let lost = "at 1000 lose etcd\nat 2000 restore etcd 50";
    let mut world = World::read(&format!("{TOWN}\n{script}\n{lost}"));
    let workload = &mut world.blueprint.workloads[WEB.index()];
    workload.template.spec.sources = vec![ConfigurationSource {
        kind: SourceKind::Secret,
        name: "session".to_owned(),
        is_mounted: false,
    }];
    let cpu = MetricSource::Resource { name: ResourceList::CPU.to_owned() };
    let autoscaler = HorizontalPodAutoscaler {
        namespace: workload.namespace.clone(),
        name: "web".to_owned(),
        target: ScaleTarget { kind: "Deployment".to_owned(), name: "web".to_owned() },
        min_replicas: 4,
        max_replicas: 10,
        metrics: vec![MetricSpec { source: cpu, target: MetricTarget::Utilization(80) }],
        behavior: None,
        origin: Origin::default(),
    };
    world.blueprint.autoscalers.push(autoscaler);
    world.run_with(seed, until_secs, |cluster| cluster.keep_history())
}

fn times(run: &Run, fact: Observation) -> Vec<f64> {
    run.times(|it| *it == fact)
}

fn limits(run: &Run) -> Option<(i32, i32)> {
    let spec = run.cluster().autoscaler_spec(AutoscalerId(0))?;
    Some((spec.min_replicas, spec.max_replicas))
}

fn ready(run: &Run, workload: WorkloadId) -> usize {
    let pods = run.cluster().pods_of(workload).iter();
    pods.filter(|pod| run.cluster().pod(**pod).is_ready).count()
}

/// A script, the limits and pods of `web` before the loss, and after the restore.
type Row<'a> = (&'a str, (Option<(i32, i32)>, usize), (Option<(i32, i32)>, usize));

#[test]
fn an_autoscaler_is_as_the_snapshot_has_it() {
    let there = Some((4, 10));
    let rows: [Row<'_>; 5] = [
        ("", (there, 4), (there, 4)),
        ("at 100 limits 7 20", (Some((7, 20)), 7), (there, 4)),
        ("at 20 limits 7 20", (Some((7, 20)), 7), (Some((7, 20)), 7)),
        ("at 100 autoscaler gone\nat 200 scale web 2", (None, 2), (there, 4)),
        ("at 10 autoscaler gone\nat 100 autoscaler there", (there, 4), (None, 4)),
    ];
    for (script, before, after) in rows {
        for seed in 0..5 {
            let earlier = run(script, seed, 999);
            assert_eq!((limits(&earlier), ready(&earlier, WEB)), before, "{script}, {seed}");
            let later = run(script, seed, 3500);
            let seen = (limits(&later), ready(&later, WEB));
            assert_eq!(seen, after, "{script}, {seed}: {}", later.timeline());
        }
    }
}

#[test]
fn volumes_made_since_are_orphans_and_the_next_pod_gets_others() {
    for seed in 0..10 {
        let run = run("at 100 scale db 3\nat 3000 scale db 3", seed, 4000);
        let orphaned = Observation::VolumeOrphaned { workload: DB, ordinal: 2 };
        assert_eq!(times(&run, orphaned), [2000.0], "seed {seed}");
        let others = run.times(|it| matches!(it, Observation::VolumeOrphaned { .. }));
        assert_eq!(others.len(), 1, "those that the snapshot knew are known");
        assert_eq!(ready(&run, DB), 3, "seed {seed}: {}", run.timeline());
        let started = run
            .times(|it| matches!(it, Observation::PodStarted { workload, .. } if *workload == DB));
        // Nobody waits for the volumes of before, which are still attached somewhere.
        assert!(started.last().is_some_and(|at| (3000.0..3060.0).contains(at)), "{started:?}");
    }
}

#[test]
fn claims_deleted_since_are_back_and_their_pods_never_start() {
    for seed in 0..10 {
        let run = run("at 100 destroy db 1", seed, 5000);
        let lost = Observation::ClaimLost { workload: DB, ordinal: 1 };
        let orphaned = Observation::VolumeOrphaned { workload: DB, ordinal: 1 };
        assert_eq!(times(&run, lost), [2000.0], "seed {seed}: {}", run.timeline());
        assert_eq!(times(&run, orphaned), [2000.0], "the one that was made instead");
        let missing = run.times(|it| matches!(it, Observation::PodVolumeMissing { .. }));
        assert!(!missing.is_empty() && missing[0] > 2000.0, "{}", run.timeline());
        assert_eq!((run.cluster().pods_of(DB).len(), ready(&run, DB)), (2, 1), "seed {seed}");
    }
    // Once somebody deletes them, there are new ones.
    let mended = run("at 100 destroy db 1\nat 3000 destroy db 1", 1, 5000);
    assert_eq!(ready(&mended, DB), 2, "{}", mended.timeline());
}

#[test]
fn a_secret_is_there_or_missing_as_the_snapshot_has_it() {
    let reverted = |is_there| Observation::ConfigurationReverted { workload: WEB, is_there };
    // Made anew since: whoever starts afterwards waits.
    let gone = run("at 20 secret gone\nat 100 secret there\nat 3000 crash web", 1, 4000);
    assert_eq!(times(&gone, reverted(false)), [2000.0]);
    assert_eq!(ready(&gone, WEB), 0, "{}", gone.timeline());
    // Deleted since: it is back, and who waited starts.
    let back = run("at 100 secret gone\nat 500 crash web", 1, 4000);
    assert_eq!(times(&back, reverted(true)), [2000.0]);
    assert_eq!(ready(&back, WEB), 4, "{}", back.timeline());
    // Deleted before the snapshot, and never made.
    let never = run("at 20 secret gone\nat 3000 crash web", 1, 4000);
    assert!(times(&never, reverted(false)).is_empty());
    assert_eq!(ready(&never, WEB), 0);
}
