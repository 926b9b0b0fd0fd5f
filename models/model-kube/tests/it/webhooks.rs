//! Webhooks that are asked about more than new pods, and what stops while they do not answer.

use model_api::kube::Write;
use model_api::{Observation, ServiceId, WorkloadId};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment web 6 spread probe=5
    deployment engine 2
    service web
    service engine
    webhook of engine guards engine Fail";

/// The town with a webhook about these writes, which fails closed or open.
fn run(asked: &[Write], fails_closed: bool, script: &str, seed: u64) -> Run {
    let mut world = World::read(&format!("{TOWN}\n{script}"));
    let webhook = &mut world.blueprint.webhooks[0];
    webhook.guards.clear();
    webhook.asked = asked.iter().copied().collect();
    webhook.fails_closed = fails_closed;
    world.run(seed, 900)
}

fn silent(run: &Run) -> Vec<f64> {
    run.times(|it| matches!(it, Observation::NodeBecameNotReady { .. }))
}

const OUTAGE: &str = "at 100 webhooks down\nat 400 webhooks up";

#[test]
fn leases_of_nodes_that_are_refused_make_every_node_count_as_lost() {
    for seed in 0..10 {
        let run = run(&[Write::NodeLease], true, OUTAGE, seed);
        let lost = silent(&run);
        assert_eq!(lost.len(), 9, "seed {seed}");
        // 50 s after the last renewal, which was up to 10 s before.
        assert!(lost.iter().all(|at| (135.0..160.0).contains(at)), "seed {seed}: {lost:?}");
        assert_eq!(run.times(|it| *it == Observation::MasterDisruptionStarted).len(), 1);
        let ready = run.times(|it| matches!(it, Observation::NodeBecameReady { .. }));
        assert_eq!(ready.len(), 9, "seed {seed}");
        assert!(ready.iter().all(|at| (400.0..402.0).contains(at)), "seed {seed}: {ready:?}");
    }
}

#[test]
fn where_leaders_cannot_renew_either_nobody_finds_nodes_silent() {
    for seed in 0..10 {
        let run = run(&[Write::NodeLease, Write::LeaderLease], true, OUTAGE, seed);
        let stalled = run.times(|it| matches!(it, Observation::LeaderStalled { .. }));
        assert_eq!(stalled, [100.0, 100.0], "seed {seed}");
        assert!(silent(&run).is_empty(), "seed {seed}: their leader was gone before");
        assert_eq!(run.times(|it| *it == Observation::LeaderChanged).len(), 1, "seed {seed}");
    }
}

#[test]
fn one_that_fails_open_is_too_late_for_leases_and_soon_enough_for_pods() {
    let (web, late) = (WorkloadId::from_index(0), Write::NodeLease);
    for seed in 0..10 {
        // It gives up after 10 s, as kubelets do.
        assert_eq!(silent(&run(&[late], false, OUTAGE, seed)).len(), 9, "seed {seed}");
        let script = format!("{OUTAGE}\nat 200 scale web 7");
        let bound = run(&[Write::PodBinding(web)], false, &script, seed);
        let bound = bound.times(|it| matches!(it, Observation::PodBound { .. }));
        assert!((210.0..212.0).contains(bound.last().expect("pods are bound")), "{bound:?}");
    }
}

#[test]
fn what_is_refused_waits_and_its_writer_comes_again_after_its_pause() {
    let web = WorkloadId::from_index(0);
    let bound = |run: &Run| {
        let bound = run.times(|it| matches!(it, Observation::PodBound { .. }));
        *bound.last().expect("pods are bound")
    };
    let deleted = |run: &Run| {
        let gone = run.times(|it| matches!(it, Observation::PodDeletionRequested { .. }));
        gone.first().copied()
    };
    for seed in 0..10 {
        let script = format!("{OUTAGE}\nat 200 scale web 7");
        let refused = run(&[Write::PodBinding(web)], true, &script, seed);
        // The scheduler pauses for 10 s at most, and each call takes its time-out.
        assert!((400.0..421.0).contains(&bound(&refused)), "seed {seed}: {}", bound(&refused));
        let script = format!("{OUTAGE}\nat 200 evict web 0");
        let spared = run(&[Write::PodEviction(WorkloadId::from_index(1))], true, &script, seed);
        assert!(deleted(&spared).is_some_and(|at| at < 201.0), "seed {seed}");
        // Proxies learn of a crashed pod when its slice can be written.
        let script = format!("{OUTAGE}\nat 150 lose node a-0");
        let slices = Write::EndpointSlices(ServiceId::from_index(0));
        let refused = run(&[slices], true, &script, seed);
        let routed = refused.times(|it| {
            matches!(it, Observation::EndpointsChanged { service, .. } if service.index() == 0)
        });
        let first = routed.iter().find(|at| **at > 151.0);
        assert!(first.is_none_or(|at| *at >= 400.0), "seed {seed}: {routed:?}");
    }
}

#[test]
fn one_that_is_asked_about_nothing_else_changes_nothing() {
    let web = WorkloadId::from_index(0);
    let quiet = run(&[Write::Scale(web)], true, OUTAGE, 1);
    let turned = quiet.times(|it| matches!(it, Observation::WebhookTurned { .. }));
    assert_eq!(turned, [100.0, 400.0]);
    assert!(silent(&quiet).is_empty());
    let none = run(&[], true, OUTAGE, 1);
    assert!(none.times(|it| matches!(it, Observation::WebhookTurned { .. })).is_empty());
}

#[test]
fn a_change_of_a_workload_is_refused_while_a_webhook_about_it_fails_closed() {
    let (web, engine) = (WorkloadId::from_index(0), WorkloadId::from_index(1));
    for (script, fails_closed, of, expected) in [
        ("at 100 webhooks down", true, web, true),
        ("at 100 webhooks down", true, engine, false),
        ("at 100 webhooks down", false, web, false),
        (OUTAGE, true, web, false),
    ] {
        let run = run(&[Write::Update(web)], fails_closed, script, 1);
        let is_refused = run.cluster().clone().is_update_refused(of);
        assert_eq!(is_refused, expected, "{script} {fails_closed} {of:?}");
    }
}
