//! How long a live copy takes to take over is what runs show in which a zone or a node is really lost.

use model_api::backup::DisasterClass;
use model_api::fault::{
    DataFault, Fault, FaultKind, FaultPlan, InstanceHarm, NodePick, Start, ZonePick,
};
use model_api::{Blueprint, DataSetId, NodeId, Observation, SimSpan, SimTime, ZoneId};
use platform::{Event, Plan, TakeoverTrials};
use sim_kernel::Journal;

use crate::fault;
use crate::stakes::{Numbers, any_one, database, harm, patroni, random_database, random_faults};

const HORIZON: SimSpan = SimSpan::from_hours(1);
const DATA_SET: DataSetId = DataSetId(0);

fn plan(blueprint: &Blueprint, faults: &[Fault]) -> Plan {
    let faults = FaultPlan { faults: faults.to_vec() };
    Plan::new(blueprint.clone(), faults, HORIZON).expect("no circle")
}

/// What destroys a zone, or crashes a node for good, at a moment.
fn strike(class: DisasterClass, place: usize, when: SimTime) -> Fault {
    let kind = match class {
        DisasterClass::Zone => {
            let zone = ZonePick::Zone(ZoneId::from_index(place));
            FaultKind::Data(DataFault::ZoneDestroyed { zone })
        }
        _ => FaultKind::NodeCrash { node: NodePick::Node(NodeId::from_index(place)) },
    };
    fault("the strike", kind, Start::At(when), None)
}

/// How long clients wait in a run in which that happens; `None` when they could not write before, or
/// do not wait.
fn waited(blueprint: &Blueprint, faults: &[Fault], seed: u64, when: SimTime) -> Option<SimSpan> {
    let journal = Journal::<Event, Observation>::new();
    let plan = Plan::new(
        blueprint.clone(),
        FaultPlan { faults: faults.to_vec() },
        SimSpan::from_hours(30),
    );
    let (journal, _) = plan.expect("no circle").run(seed, 0, journal);
    let (mut is_writable, mut stopped) = (false, false);
    for record in journal.observations() {
        match record.observation {
            Observation::WritesStopped { .. } => {
                if record.at >= when && is_writable && !stopped {
                    stopped = record.at <= when + SimSpan::from_mins(1);
                }
                is_writable = false;
            }
            Observation::WritesResumed { .. } => {
                if record.at > when && stopped {
                    return Some(record.at.saturating_since(when));
                }
                is_writable = true;
            }
            _ => {}
        }
    }
    stopped.then_some(SimSpan::MAX)
}

#[test]
fn a_run_that_is_struck_waits_no_longer_than_strikes_that_were_tried() {
    let (mut count, mut wait_count, mut sure_count) = (0, 0, 0);
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let blueprint = random_database(&mut numbers, seed);
        let faults = random_faults(&mut numbers);
        for class in [DisasterClass::Zone, DisasterClass::Node] {
            let plan = plan(&blueprint, &faults);
            let trials = TakeoverTrials::new(&plan, DATA_SET, class).expect("it is a database");
            let Some(found) = trials.run(seed, 0) else { continue };
            assert!(found.strike_count > 0);
            // Where too much changes not all of it was tried.
            let most = found.longest.saturating_add(found.slack);
            sure_count += u32::from(most < SimSpan::MAX);
            for _ in 0..4 {
                let when = SimTime::from_millis(20_000 + numbers.below(3_500_000));
                let place = numbers.below(if class == DisasterClass::Zone { 3 } else { 6 });
                let place = usize::try_from(place).expect("few");
                // What comes later is not known to a strike.
                let is_known = |it: &&Fault| matches!(it.start, Start::At(at) if at < when);
                let mut faults: Vec<Fault> = faults.iter().filter(is_known).cloned().collect();
                faults.push(strike(class, place, when));
                let Some(waited) = waited(&blueprint, &faults, seed, when) else { continue };
                assert!(
                    waited <= most,
                    "world {seed}, {class:?} {place} at {when:?}: {waited:?} {found:?}"
                );
                count += 1;
                wait_count += u32::from(waited < SimSpan::MAX);
            }
        }
    }
    assert!(count > 40 && wait_count > 20 && sure_count > 10, "{count} {wait_count} {sure_count}");
}

/// What was found is what the run shows whose zone is destroyed at the moment that was found.
#[test]
fn the_longest_wait_comes_true() {
    let cases = [
        ("asynchronous", database(None, true)),
        ("any one", database(any_one(true), true)),
        ("Patroni", {
            let mut blueprint = database(None, true);
            blueprint.databases[0].manager = patroni(false, false, 1);
            blueprint
        }),
    ];
    for (name, blueprint) in cases {
        for seed in 0..3 {
            let trials = TakeoverTrials::new(&plan(&blueprint, &[]), DATA_SET, DisasterClass::Zone);
            let found = trials.expect("it is a database").run(seed, 0).expect("two are left");
            let run = |zone| {
                let faults = [strike(DisasterClass::Zone, zone, found.at)];
                waited(&blueprint, &faults, seed, found.at)
            };
            let longest = (0..3).filter_map(run).max().expect("one of them has the primary");
            assert_eq!(longest, found.longest, "{name} {seed}: {found:?}");
            assert!(longest > SimSpan::from_secs(15) && longest < SimSpan::from_mins(3), "{name}");
        }
    }
}

/// A standby that does not follow, where the other one is lost: nobody can be promoted who confirms.
#[test]
fn what_changes_on_the_way_is_tried() {
    let blueprint = database(any_one(true), true);
    let held =
        harm(model_api::fault::InstancePick::Instance(1), InstanceHarm::HeldBack, (1_200, 600));
    let of = |faults: &[Fault]| {
        let trials = TakeoverTrials::new(&plan(&blueprint, faults), DATA_SET, DisasterClass::Zone);
        trials.expect("it is a database").run(1, 0).expect("two are left")
    };
    let (calm, during) = (of(&[]), of(&[held]));
    assert!(during.longest >= calm.longest, "{during:?} {calm:?}");
    assert!(during.strike_count > calm.strike_count, "{during:?} {calm:?}");
}
