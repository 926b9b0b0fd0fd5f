//! What breaks when something breaks that decides, or that starts need.

use model_api::blueprint::Database;
use model_api::kube::{Ingress, PersistentVolumeClaim};
use model_api::load::{Clients, Load, ServiceProfile};
use model_api::observation::{DeletionReason, PendingWrite};
use model_api::parameters::Range;
use model_api::path::{CallPolicy, Readiness, Serving};
use model_api::{DatabaseId, NodeId, Observation, Origin, ServiceId, WorkloadId};
use sim_kernel::SimSpan;

use crate::world::World;

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    service web";

fn run(script: &str, seed: u64, until_secs: u64) -> crate::world::Run {
    World::read(&format!("{TOWN}\n{script}")).run(seed, until_secs)
}

fn timeline(script: &str, until_secs: u64) -> String {
    run(script, 1, until_secs).timeline()
}

#[test]
fn kubelets_of_a_lost_api_server_hang_for_45_s_and_no_node_is_taken_for_dead() {
    let mut hung_count = 0;
    for seed in 0..40 {
        let run = run("at 100 lose member 0", seed, 400);
        hung_count += run.times(|it| matches!(it, Observation::KubeletsHung { .. })).len();
        let lost = run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }));
        assert!(lost.is_empty(), "seed {seed}: {lost:?}");
    }
    assert!(hung_count > 30, "nearly every time some kubelet was connected to it");
}

#[test]
fn with_the_grace_period_of_old_releases_healthy_nodes_are_taken_for_dead() {
    let mut world = World::read(&format!("{TOWN}\nat 100 lose member 0"));
    world.blueprint.parameters.node_monitor_grace_period = SimSpan::from_secs(40);
    let lost = (0..40).map(|seed| {
        let run = world.run(seed, 400);
        run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. })).len()
    });
    assert!(lost.sum::<usize>() > 20, "a hung kubelet is silent for longer than 40 s");
}

#[test]
fn pods_on_a_hung_node_start_when_its_kubelet_hears_of_them() {
    // Every node hangs on one of the lost members or none; each pod starts in the end.
    for seed in 0..10 {
        let run = run("at 100 lose member 0\nat 101 scale web 12", seed, 300);
        let started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
        let late = started.iter().filter(|at| **at > 130.0).count();
        assert_eq!(started.iter().filter(|at| **at > 0.0).count(), 6, "seed {seed}");
        assert!(started.iter().all(|at| *at < 160.0), "seed {seed}: {started:?}");
        assert!(late < 6, "seed {seed}: only the nodes of one server hang");
    }
}

#[test]
fn a_killed_leader_holds_its_lease_until_it_runs_out() {
    for seed in 0..40 {
        let run = run("at 100 kill controller-manager", seed, 300);
        let changed = run.times(|it| *it == Observation::LeaderChanged);
        assert_eq!(changed.len(), 1);
        // 13 to 19.4 s until a candidate looks, 1 to 10 s until its caches are filled.
        assert!((114.0..130.0).contains(&changed[0]), "seed {seed}: {changed:?}");
    }
}

#[test]
fn without_a_scheduler_pods_wait() {
    insta::assert_snapshot!(timeline("at 100 kill scheduler\nat 101 scale web 7", 200), @r"
    101.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 7 }
    101.14 web#6 (6) created
    101.22 WriteWaits { write: Binding(WorkloadId(0)) }
    122.87 web#6 (6) bound to b-2
    126.77 web#6 (6) has images
    126.90 web#6 (6) started
    132.81 web#6 (6) Ready
    133.82 service web: 7 routed, 7 live
    ");
}

#[test]
fn without_etcd_s_leader_nothing_is_written_for_a_second_or_two() {
    for seed in 0..40 {
        let run = run("at 100 kill etcd", seed, 200);
        let lost = run.times(|it| *it == Observation::ApiLost);
        let back = run.times(|it| *it == Observation::ApiRegained);
        assert_eq!(lost, [100.0]);
        assert!((100.8..102.1).contains(&back[0]), "seed {seed}: {back:?}");
    }
}

#[test]
fn while_the_api_is_away_what_runs_goes_on_and_nothing_is_replaced() {
    let script = "at 100 api down\nat 110 lose zone a\nat 900 api up";
    insta::assert_snapshot!(timeline(script, 1300), @r"
     100.00 ApiLost
     110.00 zone a lost
     110.00 a-0 lost
     110.00 a-1 lost
     110.00 a-2 lost
     110.00 service web: 6 routed, 4 live
     154.37 WriteWaits { write: Unready(WorkloadId(0)) }
     900.00 ApiRegained
     912.33 LeaderChanged
     962.43 a-0 NotReady
     962.43 web#4 (4) not Ready: NodeNotReady
     962.43 a-1 NotReady
     962.43 web#0 (0) not Ready: NodeNotReady
     962.43 a-2 NotReady
     962.44 a-0 tainted
     963.44 service web: 4 routed, 4 live
     972.44 a-1 tainted
     982.44 a-2 tainted
    1262.44 web#4 (4) deleted: Taint
    1262.52 web#6 (6) created
    1262.60 web#6 (6) bound to c-2
    1270.42 web#6 (6) has images
    1270.55 web#6 (6) started
    1272.44 web#0 (0) deleted: Taint
    1272.47 web#7 (7) created
    1272.51 web#7 (7) bound to b-2
    1276.13 web#7 (7) has images
    1276.25 web#7 (7) started
    1276.46 web#6 (6) Ready
    1277.20 service web: 5 routed, 5 live
    1281.62 web#7 (7) Ready
    1281.86 service web: 6 routed, 6 live
    ");
}

#[test]
fn a_silent_registry_keeps_pods_from_nodes_that_lack_the_image() {
    let script = "at 100 registries down\nat 101 scale web 12\nat 400 registries up";
    insta::assert_snapshot!(timeline(script, 900), @r"
    101.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 12 }
    101.14 web#6 (6) created
    101.21 web#7 (7) created
    101.21 web#8 (8) created
    101.22 web#6 (6) bound to b-2
    101.24 web#8 (8) bound to c-2
    101.25 web#7 (7) bound to a-2
    101.30 web#9 (9) created
    101.30 web#10 (10) created
    101.30 web#11 (11) created
    101.32 web#10 (10) bound to b-2
    101.33 web#11 (11) bound to a-0
    101.33 web#9 (9) bound to c-2
    101.83 web#7 (7) pull failed
    101.85 web#8 (8) pull failed
    101.87 web#9 (9) pull failed
    102.08 web#6 (6) pull failed
    102.38 web#10 (10) pull failed
    102.74 web#11 (11) has images
    103.16 web#11 (11) started
    108.59 web#11 (11) Ready
    109.60 service web: 7 routed, 7 live
    435.33 web#6 (6) has images
    435.46 web#6 (6) started
    441.37 web#6 (6) Ready
    442.35 service web: 8 routed, 8 live
    465.81 web#10 (10) has images
    466.08 web#10 (10) started
    467.84 web#9 (9) has images
    468.21 web#9 (9) started
    468.91 web#7 (7) has images
    469.03 web#7 (7) started
    471.85 web#10 (10) Ready
    472.23 service web: 9 routed, 9 live
    474.15 web#9 (9) Ready
    474.40 web#7 (7) Ready
    474.89 service web: 11 routed, 11 live
    480.19 web#8 (8) has images
    480.50 web#8 (8) started
    485.68 web#8 (8) Ready
    486.75 service web: 12 routed, 12 live
    ");
}

#[test]
fn a_pull_that_breaks_off_is_made_again() {
    let script = "at 100 scale web 9\nat 103 registries down\nat 110 registries up";
    let run = run(script, 1, 300);
    let failed = run.times(|it| matches!(it, Observation::PodImagePullFailed { .. }));
    assert!(!failed.is_empty());
    assert_eq!(run.cluster().endpoint_counts(ServiceId(0)), (9, 9));
}

#[test]
fn a_pod_bound_to_a_dead_node_that_nobody_knows_dead_does_not_run() {
    let run = run("at 100 lose node a-0\nat 101 scale web 27", 3, 140);
    let cluster = run.cluster();
    for pod in cluster.pods_on(NodeId(0)) {
        let view = cluster.pod(*pod);
        assert!(!view.answers && !view.is_live, "{view:?}");
    }
    assert!(cluster.pods_on(NodeId(0)).len() > 1, "some were bound to it");
}

const ENGINE: &str = "
    nodes 2 per zone a b c
    deployment web 3 spread probe=5
    deployment engine 1 spread
    service web
    service engine";

#[test]
fn a_webhook_that_fails_closed_keeps_pods_from_being_created() {
    let script = "webhook of engine guards web Fail
        at 100 webhooks down
        at 101 scale web 4
        at 200 webhooks up";
    insta::assert_snapshot!(World::read(&format!("{ENGINE}\n{script}")).run(1, 500).timeline(), @r"
    101.05 ReplicaSetScaled { workload: WorkloadId(0), revision: 0, replicas: 4 }
    101.14 pods of web refused
    206.25 web#3 (4) created
    206.31 web#3 (4) bound to a-1
    210.04 web#3 (4) has images
    210.16 web#3 (4) started
    215.53 web#3 (4) Ready
    216.54 service web: 4 routed, 4 live
    ");
}

#[test]
fn under_ignore_a_silent_webhook_only_costs_its_timeout() {
    let script = "webhook of engine guards web Ignore
        at 100 webhooks down
        at 101 scale web 4";
    let run = World::read(&format!("{ENGINE}\n{script}")).run(1, 500);
    let bound = run.times(|it| matches!(it, Observation::PodBound { .. }));
    let late = bound.iter().copied().find(|at| *at > 0.0).expect("it is created");
    assert!((111.0..112.0).contains(&late), "{late}");
    assert!(run.times(|it| matches!(it, Observation::PodCreationRefused { .. })).is_empty());
}

#[test]
fn an_engine_that_guards_itself_does_not_come_back() {
    let script = "webhook of engine guards engine Fail
        at 100 scale engine 0
        at 200 scale engine 1";
    let run = World::read(&format!("{ENGINE}\n{script}")).run(1, 50_000);
    assert_eq!(run.cluster().endpoint_counts(ServiceId(1)), (0, 0));
    // It tries ever more slowly, up to every 1000 s.
    assert!(run.simulation.stats().handled_count < 200);
}

#[test]
fn a_volume_of_a_silent_node_is_forced_off_after_six_minutes() {
    // The Node object goes, its pod is garbage 40 to 60 s later, and the volume another 360 s.
    let script = "nodes 3 per zone a
        statefulset db 1 claim tolerate=30
        at 100 lose node a-0
        at 100 lose node a-1
        at 110 delete node a-0
        at 110 delete node a-1";
    let mut checked_count = 0;
    for seed in 0..20 {
        let run = World::read(script).run(seed, 1000);
        let held = run.times(|it| matches!(it, Observation::PodVolumeHeld { .. }));
        let started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
        let Some(started) = started.iter().copied().find(|at| *at > 0.0) else { continue };
        assert_eq!(held.len(), 1, "seed {seed}");
        assert!((held[0] + 360.0..held[0] + 360.0 + 140.0).contains(&started), "seed {seed}");
        checked_count += 1;
    }
    assert!(checked_count > 0, "in no run the pod was on a lost node");
}

#[test]
fn out_of_service_frees_a_volume_at_once() {
    let script = "nodes 2 per zone a
        statefulset db 1 claim tolerate=3000
        at 100 lose node a-0
        at 200 out-of-service node a-0";
    let runs = (0..20).map(|seed| World::read(script).run(seed, 1000));
    let moved: Vec<f64> = runs
        .filter_map(|run| {
            assert!(run.times(|it| matches!(it, Observation::PodVolumeHeld { .. })).is_empty());
            run.times(|it| matches!(it, Observation::PodStarted { .. }))
                .pop()
                .filter(|at| *at > 0.0)
        })
        .collect();
    assert!(!moved.is_empty() && moved.iter().all(|at| *at < 260.0), "{moved:?}");
}

#[test]
fn without_pre_stop_requests_meet_pods_that_are_gone() {
    // From TERM on the old pod is dead, and proxies know 0.2 to 2 s later.
    let dead_secs = |pre_stop: Option<u64>| {
        let mut world = World::read(&format!("{TOWN}\nat 100 evict web 0"));
        let spec = &mut world.blueprint.workloads[0].template.spec;
        spec.containers[0].lifecycle.pre_stop = pre_stop.map(SimSpan::from_secs);
        let run = world.run(1, 200);
        let is_short = |it: &Observation| {
            matches!(it, Observation::EndpointsChanged { ready_count, live_count, .. }
                if live_count < ready_count)
        };
        run.times(is_short).len()
    };
    assert_eq!(dead_secs(None), 1);
    assert_eq!(dead_secs(Some(5)), 0);
}

/// Two nodes that boot in ten seconds, and one pod that another one replaces once its node is lost:
/// the volume of both is still attached there. `first` and `other` stand for the two nodes.
fn with_volume(script: &str) -> Vec<f64> {
    let mut world = World::read("nodes 2 per zone a\ndeployment web 1 tolerate=30");
    let claim = PersistentVolumeClaim {
        namespace: "shop".into(),
        name: "data".into(),
        ..PersistentVolumeClaim::default()
    };
    world.blueprint.workloads[0].template.spec.claim_names = vec![claim.name.clone()];
    world.blueprint.claims.push(claim);
    let boot = SimSpan::from_secs(10);
    world.blueprint.parameters.node_boot = Range { least: boot, most: boot };
    let is_on_second = world.run(1, 1).cluster().pods_on(NodeId(0)).is_empty();
    let (first, other) = if is_on_second { ("a-1", "a-0") } else { ("a-0", "a-1") };
    world.add(&script.replace("first", first).replace("other", other));
    let run = world.run(1, 3000);
    let held = run.times(|it| matches!(it, Observation::PodVolumeHeld { .. }));
    assert!((150.0..250.0).contains(&held[0]), "{held:?}");
    let mut started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
    started.retain(|at| *at > 0.0);
    started
}

#[test]
fn a_pod_that_waits_for_its_volume_goes_on_waiting_when_its_node_reboots() {
    let gone = "at 100 lose node first\nat 250 lose node other";
    let cases = [
        // The volume is let go after the boot: its node is deleted at 800, the pod on it is garbage
        // after 40 to 60 s, and the volume is forced off after 360 s.
        ("at 251 restore node other\nat 800 delete node first", 1200.0..1400.0),
        // Before it, while nobody is there to start anything.
        ("at 255 delete node first\nat 2000 restore node other", 2010.0..2040.0),
    ];
    for (script, expected) in cases {
        let started = with_volume(&format!("{gone}\n{script}"));
        assert!(started.len() == 1 && expected.contains(&started[0]), "{script}: {started:?}");
    }
}

#[test]
fn a_node_is_out_of_service_before_anybody_finds_it_silent() {
    let town = "nodes 2 per zone a\nmembers a a a\nstatefulset db 2 tolerate=3000";
    // It is found silent after 50 s and more; a pass of the collector comes within 21 s of that.
    let cases = [
        ("at 100 lose node a-0\nat 110 out-of-service node a-0", 130.0..190.0),
        // Pods that are deleted later go too.
        (
            "at 100 lose node a-0\nat 110 out-of-service node a-0\nat 400 scale db 1\n
             at 400 scale db 0",
            400.0..430.0,
        ),
    ];
    for (script, expected) in cases {
        let mut world = World::read(&format!("{town}\n{script}"));
        if expected.start > 200.0 {
            // These tolerate the taint until they are deleted.
            tolerate_out_of_service(&mut world, None);
        }
        let run = world.run(1, 1000);
        let gone = run.times(|it| matches!(it, Observation::PodGone { .. }));
        assert!(gone.iter().any(|at| expected.contains(at)), "{script}: {gone:?}");
        assert!(run.cluster().pods_on(NodeId(0)).is_empty(), "{script}");
    }
}

fn tolerate_out_of_service(world: &mut World, secs: Option<u64>) {
    let tolerations = &mut world.blueprint.workloads[0].template.spec.tolerations;
    let mut own = tolerations[0].clone();
    own.key = "node.kubernetes.io/out-of-service".to_owned();
    own.toleration = secs.map(SimSpan::from_secs);
    tolerations.push(own);
}

#[test]
fn a_tolerated_out_of_service_taint_lets_pods_stay_for_that_long() {
    let mut world = World::read(
        "nodes 1 per zone a\ndeployment web 1\n
         at 100 out-of-service node a-0\nat 400 in-service node a-0",
    );
    let deleted = |world: &World| {
        let run = world.run(1, 1000);
        // The next one is put on the same node.
        run.times(|it| matches!(it, Observation::PodDeletionRequested { .. })).first().copied()
    };
    for (secs, expected) in [(Some(60), Some(160.0)), (Some(301), None), (None, None)] {
        let mut world = world.clone();
        tolerate_out_of_service(&mut world, secs);
        assert_eq!(deleted(&world), expected, "{secs:?}");
    }
    assert_eq!(deleted(&world), Some(100.0));
    // A controller manager does that, once there is one.
    world.add("members a a a\nat 99 kill controller-manager");
    let deleted = deleted(&world);
    assert!(deleted.is_some_and(|at| (112.0..130.0).contains(&at)), "{deleted:?}");
}

#[test]
fn pulls_that_go_on_are_waited_for_when_a_registry_falls_silent() {
    let mut world = World::read(
        "nodes 1 per zone a\ndeployment first 0\ndeployment second 0\ndeployment third 0\n
         at 100 scale first 1\nat 102 scale second 1\nat 110 registry down.example down\n
         at 112 scale third 1",
    );
    let hosts = ["down.example", "up.example", "up.example"];
    for (workload, host) in world.blueprint.workloads.iter_mut().zip(hosts) {
        workload.template.spec.containers[0].image = format!("{host}/{}:1", workload.name);
    }
    let pull = SimSpan::from_secs(20);
    world.blueprint.parameters.image_pull = Range { least: pull, most: pull };
    let pulled = world.run(1, 200).times(|it| matches!(it, Observation::PodImagePulled { .. }));
    // The first breaks off; the second was to follow it, and the third follows the second.
    assert!((140.0..143.0).contains(&pulled[0]), "{pulled:?}");
    assert!((pulled[0] + 20.0 - pulled[1]).abs() < 0.001, "{pulled:?}");
}

#[test]
fn writes_that_wait_for_the_api_are_told_once() {
    let script = "nodes 2 per zone a b\nmembers a a a\ndeployment web 8 spread\nservice web
        at 100 api down\nat 101 lose zone b\nat 102 crash web\nat 900 api up";
    let run = World::read(script).run(1, 1200);
    let web = WorkloadId(0);
    let waits = |write| {
        run.times(|it| matches!(it, Observation::WriteWaits { write: found } if *found == write))
    };
    // Kubelets in contact restart what crashed; nobody learns of it.
    let readiness = waits(PendingWrite::Readiness(web));
    assert!(matches!(readiness[..], [at] if (102.0..105.0).contains(&at)), "{readiness:?}");
    // A pass that would have found the lost nodes silent.
    let unready = waits(PendingWrite::Unready(web));
    assert!(matches!(unready[..], [at] if (140.0..170.0).contains(&at)), "{unready:?}");
    assert!(waits(PendingWrite::Scale(web)).is_empty());
    let all = run.times(|it| matches!(it, Observation::WriteWaits { .. }));
    assert!(all.iter().all(|at| (100.0..900.0).contains(at)), "{all:?}");
}

#[test]
fn a_crowd_of_watchers_has_to_queue_and_a_small_one_has_not() {
    let queued = |nodes: u32, services: u32| {
        let mut town = format!("nodes {nodes} per zone a b c\nmembers a b c\ndeployment web 6\n");
        (0..services).for_each(|nth| town.push_str(&format!("service other-{nth}\n")));
        let script = "at 100 api down\nat 200 api up";
        let run = World::read(&format!("{town}{script}")).run(1, 300);
        let records = run.simulation.recorder().observations().iter();
        let mut found = records.filter_map(|it| match it.observation {
            Observation::RelistsQueued { refused, span_ns, .. } => Some((refused, span_ns)),
            _ => None,
        });
        found.next_back()
    };
    assert_eq!(queued(3, 10), None);
    // 900 proxies and 1,800 lists of kubelets at three servers, 4 seats each for 400 Services.
    let (refused, span_ns) = queued(300, 400).expect("they queue");
    assert_eq!(refused, 0);
    assert_eq!(span_ns / 1_000_000, 6 * 40);
}

#[test]
fn a_deletion_that_found_no_api_is_not_made_by_the_next_leader() {
    // The toleration runs out while the API is away, for so long that the leader gives up; the next one
    // finds the nodes silent, and pods have all of their time anew.
    for seed in 0..10 {
        let text = "nodes 2 per zone a b c
            members a b c
            deployment web 6 spread tolerate=30
            at 100 isolate node a-0
            at 101 isolate node b-0
            at 165 api down
            at 215 api up";
        let run = World::read(text).run(seed, 600);
        let tainted = run.times(|it| matches!(it, Observation::NodeTaintedNoExecute { .. }));
        let deleted = run.times(|it| {
            matches!(it, Observation::PodDeletionRequested { reason: DeletionReason::Taint, .. })
        });
        let since = tainted.iter().copied().filter(|at| *at > 215.0).fold(f64::MAX, f64::min);
        assert!(!deleted.is_empty(), "seed {seed}");
        assert!(
            deleted.iter().all(|at| *at >= since + 30.0),
            "seed {seed}: {tainted:?} {deleted:?}"
        );
    }
}

/// A registry behind a gateway, whose core asks a cache and writes to a database; its pages are
/// elsewhere.
fn own_registry() -> World {
    let names = ["gateway", "portal", "core", "cache", "db", "web"];
    let mut script = "nodes 1 per zone a\n".to_owned();
    for name in names {
        let count = usize::from(name != "web");
        script.push_str(&format!("deployment {name} {count}\nservice {name}\n"));
    }
    let mut world = World::read(&script);
    let service = |name| names.iter().position(|known| *known == name).map(ServiceId::from_index);
    let service = |name| service(name).expect("a known name");
    let ingress = |name: &str, prefix: &str| Ingress {
        namespace: "shop".into(),
        host: "registry.example".into(),
        service_name: name.into(),
        prefixes: vec![prefix.to_owned()],
        ..Ingress::default()
    };
    world.blueprint.ingresses = vec![ingress("portal", "/"), ingress("core", "/v2/")];
    world.blueprint.loads.push(Load {
        service: service("portal"),
        via: Some(service("gateway")),
        clients: Clients::default(),
        client: CallPolicy::default(),
        users: None,
        points: Vec::new(),
        origin: Origin::default(),
    });
    world.blueprint.profiles.push(ServiceProfile {
        service: service("core"),
        cpu_per_request: SimSpan::ZERO,
        base_latency: SimSpan::ZERO,
        depends_on: vec![service("cache")],
        policies: Vec::new(),
        upstream: CallPolicy::default(),
        writes_to: vec![DatabaseId(0)],
        serving: Serving::default(),
        readiness: Readiness::default(),
        origin: Origin::default(),
    });
    world.blueprint.databases.push(Database {
        workload: world.workload("db"),
        read_write_service: service("db"),
        read_only_service: service("db"),
        ..Database::default()
    });
    world
}

#[test]
fn a_registry_of_our_own_answers_while_all_that_it_stands_on_lives() {
    for (lost, answers) in
        [("gateway", false), ("core", false), ("cache", false), ("db", false), ("portal", true)]
    {
        let mut world = own_registry();
        world.add(&format!("at 100 scale {lost} 0\nat 200 scale web 1"));
        let run = world.run(1, 260);
        let failed = run.times(|it| matches!(it, Observation::PodImagePullFailed { .. }));
        let pulled = run.times(|it| matches!(it, Observation::PodImagePulled { .. }));
        assert_eq!((failed.is_empty(), pulled.is_empty()), (answers, !answers), "{lost}");
    }
}

/// A kubelet keeps no pods on its machine: one that began anew starts them once it has listed them.
#[test]
fn a_node_that_boots_without_an_api_starts_nothing() {
    let rows = [
        // While the API answers, as soon as it boots.
        ("at 100 lose node a-0\nat 130 restore node a-0", 130.0, 700.0),
        (
            "at 90 api down\nat 100 lose node a-0\nat 130 restore node a-0\nat 1800 api up",
            1800.0,
            1900.0,
        ),
        // Behind a cut, and booted anew twice.
        (
            "at 90 isolate node a-0\nat 100 lose node a-0\nat 130 restore node a-0\n\
             at 500 lose node a-0\nat 530 restore node a-0\nat 1800 rejoin node a-0",
            1800.0,
            1900.0,
        ),
    ];
    for (script, least, most) in rows {
        for seed in 0..10 {
            let world =
                format!("nodes 1 per zone a\nmembers a\ndeployment web 1 tolerate=9000\n{script}");
            let run = World::read(&world).run(seed, 2500);
            let started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
            let again: Vec<f64> = started.into_iter().filter(|at| *at > 100.0).collect();
            assert_eq!(again.len(), 1, "{script}, {seed}: {}", run.timeline());
            assert!((least..most).contains(&again[0]), "{script}, {seed}: {again:?}");
            let write = PendingWrite::Listing(WorkloadId(0));
            let waits = run.times(|it| *it == Observation::WriteWaits { write }).len();
            assert_eq!(waits, usize::from(script.contains("api down")), "{script}");
        }
    }
}

/// `terminationGracePeriodSeconds: 0`.
#[test]
fn without_grace_a_pod_is_gone_before_its_containers_are() {
    let script = "nodes 2 per zone a
        members a
        statefulset db 1 claim tolerate=30
        at 100 lose node a-0";
    let mut world = World::read(script);
    world.blueprint.workloads[0].template.spec.termination_grace = SimSpan::ZERO;
    let mut moved_count = 0;
    for seed in 0..10 {
        let run = world.run(seed, 1200);
        let gone = run.times(|it| matches!(it, Observation::PodGone { .. }));
        let Some(gone) = gone.first() else { continue };
        moved_count += 1;
        // 50 s until the node is found silent, and 30 s of patience.
        assert!((150.0..260.0).contains(gone), "seed {seed}: {}", run.timeline());
        let started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
        let again = started.last().expect("it moved");
        // The volume is free 6 min later, and tries come every 2 min 2 s in the end.
        assert!((gone + 360.0..gone + 500.0).contains(again), "{}", run.timeline());
    }
    assert!(moved_count > 0);
    // Where its kubelet hears of it the containers end within a second.
    let mut world = World::read("nodes 1 per zone a\ndeployment web 1\nat 100 evict web 0");
    world.blueprint.workloads[0].template.spec.termination_grace = SimSpan::ZERO;
    let run = world.run(1, 300);
    let created = run.times(|it| matches!(it, Observation::PodCreated { .. }));
    let gone = run.times(|it| matches!(it, Observation::PodGone { .. }));
    assert!(gone.len() == 1 && gone[0] < 110.0 && created[0] < gone[0], "{}", run.timeline());
}
