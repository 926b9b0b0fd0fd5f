//! Actions and faults that overlap, and what is taken back when.

use model_api::action::Action;
use model_api::fault::{ControlPlaneFault, Fault, FaultKind, FaultPlan, NodePick, Start, ZonePick};
use model_api::observation::InstanceUpdate;
use model_api::{Blueprint, NodeId, Observation, SimSpan, SimTime, WorkloadId, ZoneId};
use model_kube::cluster::PodView;
use platform::{Event, Plan, World};
use sim_kernel::{Journal, Simulation};

use crate::archives::archiving;
use crate::{fault, small, zone_loss};

type Sim = Simulation<World, Journal<Event, Observation>>;

fn simulation(blueprint: Blueprint, faults: Vec<Fault>) -> Sim {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(2));
    plan.expect("no circle").simulation(1, 0, Journal::new())
}

fn run_to(simulation: &mut Sim, secs: u64) {
    let outcome = simulation.run_until(SimTime::from_secs(secs));
    assert!(outcome.is_complete(), "{outcome}");
}

fn at(name: &str, kind: FaultKind, (start, end): (u64, u64)) -> Fault {
    fault(name, kind, Start::At(SimTime::from_secs(start)), Some(end - start))
}

fn broken_rollout(tag: &str, is_undone_when_stalled: bool, span: (u64, u64)) -> Fault {
    let mut template = small().workloads[0].template.clone();
    template.spec.containers[0].image = format!("registry/web:{tag}");
    let (workload, template) = (WorkloadId(0), Box::new(template));
    let kind = Action::Rollout {
        workload,
        template,
        is_broken: true,
        failing_ppm: 0,
        is_undone_when_stalled,
    };
    at(tag, FaultKind::Action(kind), span)
}

#[test]
fn the_end_of_a_rollout_never_rolls_a_bad_template_out_again() {
    let cases = [
        vec![broken_rollout("2", true, (100, 3000))],
        vec![broken_rollout("2", false, (100, 3000)), broken_rollout("3", false, (200, 1000))],
        vec![broken_rollout("2", false, (100, 1000)), broken_rollout("3", false, (200, 3000))],
        vec![broken_rollout("2", true, (100, 3000)), broken_rollout("3", true, (200, 3500))],
    ];
    for (number, faults) in cases.into_iter().enumerate() {
        let mut simulation = simulation(small(), faults);
        let template = simulation.model().cluster().template(WorkloadId(0));
        run_to(&mut simulation, 300);
        assert_ne!(simulation.model().cluster().template(WorkloadId(0)), template, "{number}");
        run_to(&mut simulation, 7000);
        assert_eq!(simulation.model().cluster().template(WorkloadId(0)), template, "{number}");
    }
}

#[test]
fn what_ends_while_the_api_is_away_is_taken_back_when_it_is_there() {
    let scale = Action::Scale { workload: WorkloadId(0), replicas: 6 };
    let outage = FaultKind::ControlPlane(ControlPlaneFault::ApiOutage);
    let faults =
        vec![at("scale", FaultKind::Action(scale), (600, 900)), at("outage", outage, (800, 1200))];
    let mut simulation = simulation(small(), faults);
    let replicas: Vec<u32> = [700, 1100, 1300]
        .into_iter()
        .map(|secs| {
            run_to(&mut simulation, secs);
            simulation.model().cluster().replicas(WorkloadId(0))
        })
        .collect();
    assert_eq!(replicas, [6, 6, 3]);
}

#[test]
fn a_machine_that_two_faults_hold_down_boots_after_the_last() {
    let node = || FaultKind::NodeCrash { node: NodePick::Node(NodeId(0)) };
    let member = || {
        let zone = Some(ZonePick::Zone(ZoneId(0)));
        FaultKind::ControlPlane(ControlPlaneFault::MemberLoss { zone, count: None })
    };
    let cases = [
        [at("node", node(), (600, 1200)), at("member", member(), (660, 720))],
        [at("node", node(), (660, 720)), at("member", member(), (600, 1200))],
    ];
    for faults in cases {
        let mut blueprint = small();
        blueprint.nodes[0].is_control_plane = true;
        let mut simulation = simulation(blueprint, faults.into());
        run_to(&mut simulation, 1190);
        assert!(!simulation.model().cluster().is_running(NodeId(0)));
        run_to(&mut simulation, 2000);
        assert!(simulation.model().cluster().is_running(NodeId(0)));
    }
}

#[test]
fn a_zone_that_is_dark_and_cut_off_is_down_for_backups_until_both_are_over() {
    let isolation = FaultKind::ZoneIsolation { zone: ZonePick::Zone(ZoneId(0)) };
    let faults = vec![zone_loss(0, 600, Some(600)), at("cut", isolation, (660, 720))];
    let mut simulation = simulation(small(), faults);
    let down: Vec<bool> = [650, 800, 1300]
        .into_iter()
        .map(|secs| {
            run_to(&mut simulation, secs);
            simulation.model().backups().is_zone_down(ZoneId(0))
        })
        .collect();
    assert_eq!(down, [true, true, false]);
}

/// Rollouts of a database, each at a moment: of an image, or a restart only. What was done to its primary,
/// with the moments, and how many of its pods are of the newest template and were made after the first.
fn updates_of_database(rollouts: &[(Option<&str>, u64)]) -> (Vec<(u64, InstanceUpdate)>, usize) {
    let blueprint = archiving(1 << 10, 1 << 40);
    let workload = WorkloadId(1);
    let faults = rollouts.iter().map(|(image, start)| {
        let mut template = blueprint.workloads[1].template.clone();
        match image {
            Some(image) => template.spec.containers[0].image = (*image).to_owned(),
            None => {
                template.annotations.insert("restartedAt".to_owned(), "now".to_owned());
            }
        }
        let kind = Action::Rollout {
            workload,
            template: Box::new(template),
            is_broken: false,
            failing_ppm: 0,
            is_undone_when_stalled: false,
        };
        at("rollout", FaultKind::Action(kind), (*start, 7_000))
    });
    let faults = faults.collect();
    let mut simulation = simulation(blueprint, faults);
    run_to(&mut simulation, 6_000);
    let of_primary =
        simulation.recorder().observations().iter().filter_map(|record| match record.observation {
            Observation::InstanceUpdated { how: InstanceUpdate::StandbyReplaced, .. } => None,
            Observation::InstanceUpdated { how, .. } => Some((record.at.as_secs(), how)),
            _ => None,
        });
    let of_primary = of_primary.collect();
    let cluster = simulation.model().cluster();
    let newest = cluster.template(workload);
    let pods = cluster.pods_of(workload).iter().map(|pod| (pod.index(), cluster.pod(*pod)));
    // Those of the start have the lowest numbers: three of each workload.
    let is_new = |(number, pod): &(usize, PodView)| *number >= 6 && pod.template == newest;
    (of_primary, pods.filter(is_new).count())
}

#[test]
fn another_image_makes_pods_anew_whatever_came_before_it() {
    let image = Some("registry/orders:2");
    let (done, new_count) = updates_of_database(&[(None, 600), (image, 800)]);
    let [(at, InstanceUpdate::PrimaryRestarted), (_, InstanceUpdate::PrimaryReplaced)] = done[..]
    else {
        panic!("{done:?}")
    };
    assert!((620..800).contains(&at) && new_count == 3, "{at} {new_count}");
    // The same image again changes nothing.
    for second in [610, 700, 800] {
        let (done, new_count) = updates_of_database(&[(image, 600), (image, second)]);
        assert!(matches!(done[..], [(_, InstanceUpdate::PrimaryReplaced)]), "{second}: {done:?}");
        assert_eq!(new_count, 3);
    }
}
