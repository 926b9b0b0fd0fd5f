//! Probes that fail: under load, and because a start takes too long.

use model_api::observation::{KillReason, UnreadyReason};
use model_api::parameters::Range;
use model_api::{Observation, SimSpan};

use crate::world::World;

fn is_killed(observation: &Observation) -> bool {
    matches!(observation, Observation::ContainersKilled { .. })
}

fn is_unready(observation: &Observation) -> bool {
    matches!(observation, Observation::PodBecameUnready { reason: UnreadyReason::Probe, .. })
}

const THREE: &str = "nodes 1 per zone a b c
    deployment web 3 spread liveness=10 probe=5
    service web
    ";

#[test]
fn late_answers_kill_and_come_back_to_kill_again() {
    let text = "nodes 1 per zone a
        deployment web 1 liveness=10
        service web
        at 100 late web 1000000
        at 190 late web 0";
    insta::assert_snapshot!(World::read(text).run(1, 400).timeline(), @r"
    130.98 web#0 (0) killed: LivenessProbe
    130.98 service web: 1 routed, 0 live
    132.26 web#0 (0) not Ready: ContainersEnded
    132.26 web#0 (0) has images
    132.47 web#0 (0) started
    132.70 web#0 (0) Ready
    133.27 service web: 0 routed, 0 live
    133.68 service web: 1 routed, 0 live
    135.37 service web: 1 routed, 1 live
    160.98 web#0 (0) killed: LivenessProbe
    160.98 service web: 1 routed, 0 live
    162.59 web#0 (0) not Ready: ContainersEnded
    162.59 web#0 (0) has images
    162.79 web#0 (0) started
    162.84 web#0 (0) Ready
    162.98 service web: 0 routed, 0 live
    163.58 service web: 1 routed, 0 live
    164.49 service web: 1 routed, 1 live
    190.98 web#0 (0) killed: LivenessProbe
    190.98 service web: 1 routed, 0 live
    192.83 web#0 (0) not Ready: ContainersEnded
    192.83 web#0 (0) has images
    193.07 service web: 0 routed, 0 live
    193.14 web#0 (0) started
    193.57 web#0 (0) Ready
    194.63 service web: 1 routed, 0 live
    195.99 service web: 1 routed, 1 live
    ");
}

#[test]
fn each_pod_is_killed_by_a_tick_of_its_own() {
    for seed in 0..20 {
        let text = format!("{THREE} at 100 late web 1000000\n at 131 late web 0");
        let run = World::read(&text).run(seed, 300);
        // Readiness goes first: three ticks of 5 s.
        let unready = run.times(is_unready);
        assert_eq!(unready.len(), 3, "seed {seed}: {unready:?}");
        assert!(unready.iter().all(|at| (111.0..=116.0).contains(at)), "{unready:?}");

        let text = text.replace("probe=5", "");
        let killed = World::read(&text).run(seed, 135).times(is_killed);
        assert_eq!(killed.len(), 3, "seed {seed}: {killed:?}");
        assert!(killed.iter().all(|at| (121.0..=131.0).contains(at)), "{killed:?}");
        assert!(killed[0] < killed[1] && killed[1] < killed[2], "{killed:?}");
    }
}

#[test]
fn pods_that_leave_the_endpoints_return_and_leave_again() {
    let text = format!("{} at 100 late web 1000000", THREE.replace("liveness=10", ""));
    let run = World::read(&text).run(3, 200);
    let ready = |it: &Observation| matches!(it, Observation::PodBecameReady { .. });
    let ready: Vec<f64> = run.times(ready).into_iter().filter(|at| *at > 0.0).collect();
    assert!(ready.len() >= 6, "{ready:?}");
    assert!(run.times(is_unready).len() >= 9, "{:?}", run.times(is_unready));
}

#[test]
fn answers_in_time_cost_nothing() {
    let quiet = World::read(THREE).run(5, 3600);
    let text = format!("{THREE} at 100 late web 0\n at 200 late web 900");
    let asked = World::read(&text).run(5, 3600);
    assert_eq!(asked.simulation.stats().handled_count, quiet.simulation.stats().handled_count + 2);
}

#[test]
fn who_starts_too_slowly_never_comes_up() {
    let cases = [
        ("startup=5", KillReason::StartupProbe),
        ("liveness=5", KillReason::LivenessProbe),
        ("liveness=5 startup=5", KillReason::StartupProbe),
    ];
    for (probe, expected) in cases {
        let text = format!(
            "nodes 1 per zone a
            deployment web 1 {probe} probe=5
            service web
            at 100 crash web"
        );
        let mut world = World::read(&text);
        let minute = SimSpan::from_secs(60);
        world.blueprint.parameters.app_start = Range { least: minute, most: minute };
        let run = world.run(2, 1000);
        let killed = run.times(is_killed);
        assert!(killed.len() > 4, "{probe}: {killed:?}");
        let reason = |it: &Observation| matches!(it, Observation::ContainersKilled { reason, .. } if *reason == expected);
        assert_eq!(run.times(reason), killed, "{probe}");
        // The back-off grows.
        let gaps: Vec<f64> = killed.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().any(|gap| *gap > 4.0 * gaps[0]), "{probe}: {gaps:?}");
        assert!(!run.cluster().pod(model_api::PodId(0)).is_ready, "{probe}");

        // Time enough, and it comes up.
        let second = SimSpan::from_secs(3);
        world.blueprint.parameters.app_start = Range { least: second, most: second };
        assert_eq!(world.run(2, 1000).times(is_killed), [0.0; 0], "{probe}");
    }
}

#[test]
fn a_broken_rollout_fails_its_startup_probe() {
    let text = "nodes 1 per zone a
        deployment web 2 startup=5 probe=5 surge=1 unavailable=0
        service web
        at 100 rollout web 2 broken";
    let run = World::read(text).run(4, 300);
    let killed = run.times(is_killed);
    assert!(killed.len() >= 3, "{killed:?}");
}

/// `terminationGracePeriodSeconds` of a probe is in place of the pod's, preStop included.
#[test]
fn a_probe_that_kills_gives_the_time_that_it_states() {
    let text = "nodes 1 per zone a
        deployment web 1 liveness=10
        service web
        at 100 late web 1000000
        at 135 late web 0";
    for (grace, least, most) in [(None, 20.0, 26.0), (Some(5), 5.0, 11.0)] {
        let mut world = World::read(text);
        let container = &mut world.blueprint.workloads[0].template.spec.containers[0];
        container.lifecycle.pre_stop = Some(SimSpan::from_secs(20));
        let liveness = container.liveness.as_mut().expect("it has one");
        liveness.termination_grace = grace.map(SimSpan::from_secs);
        let run = world.run(1, 200);
        let killed = run.times(is_killed);
        let started = run.times(|it| matches!(it, Observation::PodStarted { .. }));
        let took = started.last().expect("it started again") - killed[0];
        assert!((least..most).contains(&took), "{grace:?}: {took}: {}", run.timeline());
    }
}
