//! Faults of single instances of a database: what becomes of pods, volumes, readers and backups.

use model_api::backup::DisasterClass;
use model_api::fault::{
    Fault, FaultKind, FaultPlan, InstanceFault, InstanceHarm, InstancePick, Start,
};
use model_api::kube::{Probe, ProbeHandler};
use model_api::observation::{BackupFact, InstanceFact};
use model_api::{Blueprint, DatabaseId, Observation, PodId, SimSpan, SimTime, WorkloadId};
use platform::{Event, Plan};
use sim_kernel::Journal;

use crate::archives::archiving;
use crate::fault;

const INSTANCES: WorkloadId = WorkloadId(1);

/// A fault at 600 s.
fn strike(what: InstanceHarm, whom: InstancePick, secs: Option<u64>) -> Fault {
    let kind = FaultKind::Instance(InstanceFault { database: DatabaseId(0), whom, what });
    fault(&format!("{what:?} {whom:?}"), kind, Start::At(SimTime::from_secs(600)), secs)
}

/// A gigabyte of data, and the probes that the operator of CloudNativePG sets.
fn blueprint() -> Blueprint {
    let mut blueprint = archiving(1 << 20, 1 << 40);
    blueprint.databases[0].data_bytes = 10_000_000_000;
    blueprint.databases[0].smart_shutdown = SimSpan::from_secs(180);
    let probe = Probe {
        handler: ProbeHandler::HttpGet,
        period: SimSpan::from_secs(10),
        timeout: SimSpan::from_secs(5),
        port: None,
        initial_delay: SimSpan::ZERO,
        success_threshold: 1,
        failure_threshold: 3,
        termination_grace: None,
    };
    let container = &mut blueprint.workloads[1].template.spec.containers[0];
    (container.readiness, container.liveness) = (Some(probe), Some(probe));
    blueprint.workloads[1].template.spec.termination_grace = SimSpan::from_secs(1_800);
    blueprint
}

fn run(blueprint: Blueprint, faults: Vec<Fault>) -> Journal<Event, Observation> {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(2));
    let (journal, end) = plan.expect("no circle").run(1, 0, Journal::new());
    assert!(end.outcome.is_complete(), "{:?}", end.outcome);
    journal
}

/// When something is first told after the fault, in seconds after it.
fn first(
    journal: &Journal<Event, Observation>,
    is_it: impl Fn(&Observation) -> bool,
) -> Option<f64> {
    let struck_at = SimTime::from_secs(600);
    let mut records = journal.observations().iter().filter(|record| record.at >= struck_at);
    let found = records.find(|record| is_it(&record.observation))?;
    Some(found.at.saturating_since(struck_at).as_secs_f64())
}

fn is_fact(wanted: InstanceFact) -> impl Fn(&Observation) -> bool {
    move |seen| matches!(seen, Observation::Instance { fact, .. } if *fact == wanted)
}

fn is_start(seen: &Observation) -> Option<SimSpan> {
    match seen {
        Observation::Instance { fact: InstanceFact::CloneStarted { takes_ns }, .. } => {
            Some(SimSpan::from_nanos(*takes_ns))
        }
        _ => None,
    }
}

fn is_new_pod_ready(seen: &Observation) -> bool {
    // Those of the start are numbered first.
    let is_new = |pod: &PodId| pod.0 >= 6;
    matches!(seen, Observation::PodBecameReady { pod, workload: INSTANCES } if is_new(pod))
}

#[test]
fn a_pod_with_an_empty_volume_is_ready_once_it_has_copied_the_primary() {
    let destroyed =
        |whom| run(blueprint(), vec![strike(InstanceHarm::VolumeDestroyed, whom, None)]);
    for whom in [InstancePick::Standby, InstancePick::Primary, InstancePick::Instance(2)] {
        let journal = destroyed(whom);
        let began = first(&journal, |seen| is_start(seen).is_some()).expect("it copies");
        let takes = journal.observations().iter().find_map(|it| is_start(&it.observation));
        let takes = takes.expect("it copies").as_secs_f64();
        let cloned = first(&journal, is_fact(InstanceFact::Cloned)).expect("it has its copy");
        let ready = first(&journal, is_new_pod_ready).expect("it is ready");
        // 10 GB at 100 MB/s, after a checkpoint.
        assert!((100.0..=370.0).contains(&takes), "{takes}");
        assert!(began < 120.0 && (cloned - began - takes).abs() < 0.001, "{began} {cloned}");
        assert!((cloned..cloned + 60.0).contains(&ready), "{cloned} {ready}");
        let is_promoted = |seen: &Observation| matches!(seen, Observation::PrimaryPromoted { .. });
        let is_primary = whom == InstancePick::Primary;
        assert_eq!(first(&journal, is_promoted).is_some(), is_primary, "{whom:?}");
    }
}

#[test]
fn a_database_whose_instances_are_all_destroyed_is_restored_or_lost() {
    let all = || {
        let whom = (0..3).map(InstancePick::Instance);
        whom.map(|whom| strike(InstanceHarm::VolumeDestroyed, whom, None)).collect::<Vec<_>>()
    };
    let journal = run(blueprint(), all());
    let is_struck = |seen: &Observation| {
        let Observation::Backup(BackupFact::Struck { class, .. }) = seen else { return false };
        *class == DisasterClass::Node
    };
    assert_eq!(first(&journal, is_struck), Some(0.0));
    // Nobody can copy anybody.
    assert_eq!(first(&journal, is_fact(InstanceFact::Cloned)), None);
    let mut bare = blueprint();
    bare.protection = model_api::backup::Protection::default();
    let journal = run(bare, all());
    let is_all_lost = |seen: &Observation| {
        matches!(seen, Observation::CommitsLost { span_ns: u64::MAX, commit_count: 60_000, .. })
    };
    assert_eq!(first(&journal, is_all_lost), Some(0.0));
}

#[test]
fn probes_find_a_primary_that_stands_still_and_the_kubelet_ends_it() {
    let frozen = |secs| {
        let fault = strike(InstanceHarm::Frozen, InstancePick::Primary, Some(secs));
        run(blueprint(), vec![fault])
    };
    let is_unready = |seen: &Observation| {
        matches!(seen, Observation::PodBecameUnready { workload: INSTANCES, .. })
    };
    let is_killed = |seen: &Observation| {
        matches!(seen, Observation::ContainersKilled { workload: INSTANCES, .. })
    };
    let is_split =
        |seen: &Observation| matches!(seen, Observation::WritablePrimaries { count: 2, .. });
    let is_one =
        |seen: &Observation| matches!(seen, Observation::WritablePrimaries { count: 1, .. });
    let short = frozen(15);
    for is_it in [&is_unready as &dyn Fn(&Observation) -> bool, &is_killed, &is_split] {
        assert_eq!(first(&short, is_it), None);
    }
    assert_eq!(first(&short, is_one), Some(15.0));
    let long = frozen(120);
    let unready = first(&long, is_unready).expect("its probes fail");
    // Three failures 10 s apart, the first of which begins within 10 s, of 5 s each.
    assert!((25.0..36.0).contains(&unready), "{unready}");
    assert!(first(&long, is_killed).is_some_and(|killed| (25.0..36.0).contains(&killed)));
    // Its sessions go on when it does, for as long as a smart shutdown takes.
    assert_eq!(first(&long, is_split), Some(120.0));
    let ended = |seen: &Observation| matches!(seen, Observation::CommitsLost { .. });
    let ended = first(&long, ended).expect("what it wrote is thrown away");
    assert!((300.0..301.0).contains(&ended), "{ended}");
}

#[test]
fn a_standby_that_nothing_reaches_protects_nothing_until_it_is_reached_again() {
    let fault = strike(InstanceHarm::HeldBack, InstancePick::Standby, Some(900));
    let journal = run(blueprint(), vec![fault]);
    let thin = journal.observations().iter().find_map(|record| match record.observation {
        Observation::DatabaseTallied { thin_ns, .. } => Some(thin_ns / 1_000_000_000),
        _ => None,
    });
    // It is connected again within 10 s, and then catches up with 15 minutes of log.
    assert!(thin.is_some_and(|thin| (900..925).contains(&thin)), "{thin:?}");
}
