//! Jobs and CronJobs in time.

use model_api::Observation as O;
use model_api::kube::JobEnd;
use proptest::prelude::*;

use crate::world::{Run, World};

/// How each Job ended, and when, in whole seconds.
fn ends(run: &Run) -> Vec<(u64, JobEnd)> {
    let records = run.simulation.recorder().observations().iter();
    let ended = records.filter_map(|record| match record.observation {
        O::JobEnded { end, .. } => Some((record.at.as_secs_f64() as u64, end)),
        _ => None,
    });
    ended.collect()
}

fn created(run: &Run) -> Vec<u64> {
    let times = run.times(|seen| matches!(seen, O::JobCreated { .. }));
    times.into_iter().map(|at| at as u64).collect()
}

fn pods_created(run: &Run) -> usize {
    run.times(|seen| matches!(seen, O::PodCreated { .. })).len()
}

#[test]
fn a_job_runs_as_many_pods_at_a_time_and_in_all_as_it_says() {
    let run = World::read(
        "nodes 1 per zone a b c
         job batch 2 completions=5 work=60",
    )
    .run(1, 3_600);
    let ended = ends(&run);
    assert_eq!(pods_created(&run), 5);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].1, JobEnd::Complete);
    // Three rounds of a minute, and what it takes to start and to see the end of each pod.
    assert!((180..240).contains(&ended[0].0), "{ended:?}");
}

#[test]
fn pods_that_a_zone_takes_along_are_replaced_with_back_off() {
    let world = |flags: &str| {
        let text = format!(
            "nodes 2 per zone a b c
             job batch 12 work=600 tolerate=30 cpu=2000 {flags}
             at 100 lose zone a
             at 800 restore zone a"
        );
        World::read(&text).run(1, 7_200)
    };
    let replaced = world("");
    let lost = replaced.times(|seen| matches!(seen, O::PodDeletionRequested { .. }));
    assert_eq!(lost.len(), 4);
    assert_eq!(pods_created(&replaced), 12 + lost.len());
    let again = replaced.times(|seen| matches!(seen, O::PodCreated { .. }));
    let after_the_first = again.iter().find(|at| **at > lost[0]).expect("they come again");
    assert!(after_the_first - lost[0] >= 10.0, "ten seconds after a failure");
    assert!(
        matches!(ends(&replaced)[..], [(700..1_000, JobEnd::Complete)]),
        "{:?}",
        ends(&replaced)
    );
    // Decided within minutes, and final when the zone is back and can tell that its pods are gone.
    let limited = ends(&world("backoff=1"));
    assert!(matches!(limited[..], [(800..900, JobEnd::BackoffLimitExceeded)]), "{limited:?}");
    let late = ends(&world("deadline=700"));
    assert!(matches!(late[..], [(800..900, JobEnd::DeadlineExceeded)]), "{late:?}");
}

#[test]
fn a_job_ends_with_its_last_pod() {
    let world = |more: &str| {
        let text = format!(
            "nodes 1 per zone a b
             job batch 2 work=600 cpu=4000 tolerate=30 deadline=300
             {more}"
        );
        World::read(&text).run(1, 7_200)
    };
    let stopped = world("");
    let gone = stopped.times(|seen| matches!(seen, O::PodGone { .. }));
    assert_eq!(gone.len(), 2);
    let ended = stopped.times(|seen| matches!(seen, O::JobEnded { .. }))[0];
    assert!(ended > 300.0 && (gone[1]..gone[1] + 1.0).contains(&ended), "{gone:?} {ended}");
    // A node that is silent never says that its pod is gone.
    assert_eq!(ends(&world("at 100 lose node a-0")), []);
    let deleted = ends(&world("at 100 lose node a-0\nat 1000 delete node a-0"));
    assert!(matches!(deleted[..], [(1000..1100, JobEnd::DeadlineExceeded)]), "{deleted:?}");
}

#[test]
fn a_job_that_meets_its_success_policy_makes_no_more_pods() {
    let world = |flags: &str| {
        let text =
            format!("nodes 1 per zone a\n job batch 1 completions=5 indexed work=60 {flags}");
        let run = World::read(&text).run(1, 7_200);
        (pods_created(&run), ends(&run)[0].1)
    };
    assert_eq!(world(""), (5, JobEnd::Complete));
    assert_eq!(world("enough=2"), (2, JobEnd::SuccessPolicy));
    assert_eq!(world("enough=5"), (5, JobEnd::SuccessPolicy));
}

#[test]
fn a_machine_that_comes_back_does_not_bring_a_pod_back_that_is_never_restarted() {
    let world = |flags: &str| {
        let text = format!(
            "nodes 1 per zone a
             job batch 1 work=300 {flags}
             at 100 lose zone a
             at 110 restore zone a"
        );
        let run = World::read(&text).run(1, 7_200);
        (pods_created(&run), ends(&run)[0].1)
    };
    assert_eq!(world(""), (2, JobEnd::Complete));
    assert_eq!(world("on-failure"), (1, JobEnd::Complete));
}

#[test]
fn work_that_always_fails_ends_at_the_back_off_limit() {
    let run =
        World::read("nodes 1 per zone a\n job batch 1 work=10 fails=100 backoff=3").run(1, 7_200);
    assert_eq!(pods_created(&run), 4);
    // Waits of 10, 20 and 40 s, and four times the work.
    let ended = ends(&run);
    assert!(matches!(ended[..], [(110..170, JobEnd::BackoffLimitExceeded)]), "{ended:?}");
}

/// `pastBackoffLimitOnFailure`: the third restart ends a Job of backoffLimit 3, not the fourth failure.
#[test]
fn restarts_in_place_end_a_job_at_the_back_off_limit() {
    let world = |backoff| {
        let text = format!(
            "nodes 1 per zone a\n job batch 1 work=10 fails=100 backoff={backoff} on-failure"
        );
        let run = World::read(&text).run(1, 7_200);
        let started = run.times(|seen| matches!(seen, O::PodStarted { .. })).len();
        (pods_created(&run), started, ends(&run))
    };
    for (backoff, starts) in [(0, 2), (1, 2), (3, 4)] {
        let (created, started, ended) = world(backoff);
        assert_eq!((created, started), (1, starts), "backoffLimit {backoff}");
        assert!(matches!(ended[..], [(_, JobEnd::BackoffLimitExceeded)]), "{backoff}: {ended:?}");
    }
    // Restarts after 0, 10 and 20 s at the least, and what the kubelet comes late to them.
    assert!((60..150).contains(&world(3).2[0].0), "{:?}", world(3).2);
}

/// Each index waits for itself alone: ten seconds after its own failure.
#[test]
fn every_index_is_tried_again_in_time() {
    let run = World::read(
        "nodes 2 per zone a b
         job batch 4 indexed per-index=1 backoff=4294967295 work=3600 fails=100",
    )
    .run(1, 40_000);
    let times = run.times(|seen| matches!(seen, O::PodCreated { .. }));
    assert_eq!(times.len(), 8);
    assert!(times[4..].iter().all(|at| (3_610.0..3_630.0).contains(at)), "{times:?}");
    assert!(matches!(ends(&run)[..], [(7_200..7_300, JobEnd::FailedIndexes)]), "{:?}", ends(&run));
}

#[test]
fn a_cron_job_makes_a_job_at_its_times() {
    let cron = |flags: &str| {
        let text = format!("nodes 1 per zone a\n job nightly 1 every=600 {flags}");
        World::read(&text).run(1, 3_000)
    };
    assert_eq!(created(&cron("work=60")), [600, 1200, 1800, 2400]);
    // One after the other: each begins when the one before it has ended.
    let late = created(&cron("work=700 forbid"));
    assert_eq!(late.len(), 4);
    assert!(late.windows(2).all(|pair| pair[1] > pair[0] + 700), "{late:?}");
    let replaced = cron("work=700 replace");
    assert_eq!(created(&replaced), [600, 1200, 1800, 2400]);
    assert!(ends(&replaced).is_empty());
    let missed = cron("work=700 forbid start-within=30");
    assert_eq!(missed.times(|seen| matches!(seen, O::JobMissed { .. })).len(), 2);
}

#[test]
fn finished_jobs_go_after_their_time_and_nothing_happens_later() {
    let world = World::read("nodes 1 per zone a\n job batch 1 work=60 ttl=100");
    let (hour, year) = (world.run(1, 3_600), world.run(1, 365 * 86_400));
    assert_eq!(hour.times(|seen| matches!(seen, O::PodGone { .. })).len(), 1);
    let counts = [&hour, &year].map(|run| run.simulation.stats().handled_count);
    assert_eq!(counts[0], counts[1]);
}

/// Pods of a Job that a restored API never knew have not failed, and those that ended do not run again.
#[test]
fn a_restored_api_makes_no_job_fail() {
    let text = "nodes 1 per zone a b c
        members a b c
        job batch 2 completions=6 work=600 backoff=0
        at 700 lose etcd
        at 900 restore etcd 500";
    for seed in 0..10 {
        let run = World::read(text).run_with(seed, 9_000, |cluster| cluster.keep_history());
        assert!(matches!(ends(&run)[..], [(_, JobEnd::Complete)]), "seed {seed}: {:?}", ends(&run));
    }
}

fn restored(text: &str, until_secs: u64) -> Run {
    let world = World::read(&format!("nodes 1 per zone a b c\nmembers a b c\n{text}"));
    world.run_with(1, until_secs, |cluster| cluster.keep_history())
}

/// What it had failed is forgotten with its pods; of those that the API knows it counts the failure again.
#[test]
fn a_restored_job_counts_again_what_it_counted_since() {
    let run = restored(
        "job batch 1 work=100 fails=100 backoff=2
         at 1000 lose etcd
         at 1500 restore etcd 50",
        9_000,
    );
    // Three pods at first; then the first one's failure, and two more tries.
    assert_eq!(pods_created(&run), 5);
    let ended = ends(&run);
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(ended.iter().all(|(_, end)| *end == JobEnd::BackoffLimitExceeded), "{ended:?}");
    assert!((330..400).contains(&ended[0].0) && ended[1].0 > 1_700, "{ended:?}");
}

#[test]
fn a_job_that_was_deleted_since_the_snapshot_works_again() {
    let run = restored(
        "job batch 2 completions=4 work=300 ttl=60
         at 1000 lose etcd
         at 1500 restore etcd 400",
        9_000,
    );
    let ended = ends(&run);
    // Two had succeeded before the snapshot; the other two are back, and work from the beginning.
    assert!(matches!(ended[..], [(600..700, JobEnd::Complete), (1_800..2_000, JobEnd::Complete)]));
    assert_eq!(pods_created(&run), 4);
    assert_eq!(run.times(|seen| matches!(seen, O::PodReturned { .. })).len(), 2);
}

#[test]
fn a_cron_job_makes_the_last_job_once_more_that_a_restored_api_forgot() {
    let run = restored(
        "job nightly 1 every=600 work=60
         at 2000 lose etcd
         at 2100 restore etcd 1000",
        3_000,
    );
    let records = run.simulation.recorder().observations().iter();
    let created: Vec<(u32, u64)> = records
        .filter_map(|record| match record.observation {
            O::JobCreated { job, due_at, .. } => Some((job, due_at.as_secs_f64() as u64)),
            _ => None,
        })
        .collect();
    // Of 1200 and 1800, which both had run, the last one.
    assert_eq!(created, [(0, 600), (1, 1200), (2, 1800), (2, 1800), (3, 2400)]);
    assert_eq!(run.times(|seen| matches!(seen, O::JobMissed { .. })).len(), 0);
}

/// What has ended takes no room on a node that registers again.
#[test]
fn ended_pods_take_no_room_on_a_node_that_is_back() {
    let text = "nodes 1 per zone a
        job batch 1 work=60 cpu=6000
        deployment web 0 cpu=6000
        at 400 lose node a-0
        at 450 restore node a-0
        at 560 delete node a-0
        at 900 scale web 1";
    let world = World::read(text);
    let web = world.workload("web");
    let mut registered_count = 0;
    for seed in 0..40 {
        let run = world.run(seed, 1_200);
        // It registers when it boots: before it is deleted, after its pods were collected, or between.
        let boots = run.times(|seen| matches!(seen, O::NodeBecameReady { .. }));
        if boots.last().is_some_and(|at| (560.0..600.0).contains(at)) {
            registered_count += 1;
            let pods = run.cluster().pods_of(web).iter();
            let ready = pods.filter(|pod| run.cluster().pod(**pod).is_ready).count();
            assert_eq!(ready, 1, "seed {seed}: {}", run.timeline());
        }
    }
    assert!(registered_count > 0);
}

#[test]
fn a_suspended_job_deletes_its_pods_and_its_deadline_begins_anew_with_them() {
    let text = "nodes 1 per zone a
        job batch 2 work=300 deadline=400
        at 200 suspend batch
        at 1000 resume batch";
    let run = World::read(text).run(1, 3600);
    assert_eq!(pods_created(&run), 4, "none goes on where it was");
    let deleted = run.times(|seen| matches!(seen, O::PodDeletionRequested { .. }));
    assert!(deleted.len() == 2 && deleted.iter().all(|at| (200.0..201.0).contains(at)));
    let ended = ends(&run);
    let [(at, JobEnd::Complete)] = ended[..] else { panic!("{ended:?}") };
    assert!((1300..1330).contains(&at), "{at}");
    // Failures that nobody made do not count.
    let strict = text.replace("deadline=400", "deadline=200 backoff=0");
    let early = strict.replace("at 200 suspend", "at 100 suspend");
    let ended = ends(&World::read(&early).run(1, 3600));
    let [(at, JobEnd::DeadlineExceeded)] = ended[..] else { panic!("{ended:?}") };
    assert!((1200..1235).contains(&at), "{at}: from when it went on");
}

#[test]
fn a_suspended_cron_job_makes_no_jobs_and_lets_those_that_run_end() {
    let text = "nodes 1 per zone a
        job nightly 1 every=600 work=200
        at 700 suspend nightly
        at 2500 resume nightly";
    let run = World::read(text).run(1, 3700);
    // Upstream makes one Job for all times that passed meanwhile, the latest of them.
    assert_eq!(created(&run), [600, 2500, 3000, 3600]);
    let ended: Vec<u64> = ends(&run).iter().map(|(at, _)| at / 100).collect();
    assert_eq!(ended, [8, 27, 32]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However often it is suspended and resumed, a Job works as few pods at a time as it may, and is
    /// complete in the end.
    #[test]
    fn a_job_that_is_held_now_and_then_ends(
        mut moments in prop::collection::vec(1..2000_u64, 0..8),
        seed in 0..1000_u64,
    ) {
        moments.sort_unstable();
        let mut world = World::read("nodes 2 per zone a b\n job batch 3 completions=7 work=100");
        for (verb, at) in ["suspend", "resume"].into_iter().cycle().zip(&moments) {
            world.add(&format!("at {at} {verb} batch"));
        }
        world.add("at 2100 resume batch");
        let run = world.run(seed, 4000);
        let ended = ends(&run);
        prop_assert!(matches!(ended[..], [(_, JobEnd::Complete)]), "{ended:?} {moments:?}");
        let (mut active, mut most) = (std::collections::BTreeSet::new(), 0);
        for record in run.simulation.recorder().observations() {
            match record.observation {
                O::PodCreated { pod, .. } => drop(active.insert(pod)),
                O::PodDeletionRequested { pod, .. } | O::PodGone { pod, .. } => {
                    active.remove(&pod);
                }
                O::PodBecameUnready { pod, .. } => drop(active.remove(&pod)),
                _ => {}
            }
            most = most.max(active.len());
        }
        prop_assert!(most <= 3, "{most} at a time");
    }
}
