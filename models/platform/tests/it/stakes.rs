//! What is at stake with a zone is what is lost when it is destroyed.

use model_api::backup::DisasterClass;
use model_api::blueprint::Synchronous;
use model_api::fault::{DataFault, Fault, FaultKind, FaultPlan, NodePick, Start, ZonePick};
use model_api::observation::BackupFact;
use model_api::{Blueprint, DataSetId, NodeId, Observation, SimSpan, SimTime, ZoneId};
use model_backup::Disaster;
use platform::{Event, Plan, World};
use sim_kernel::{Journal, Simulation};

use crate::archives::archiving;
use crate::fault;

/// How far an asynchronous standby lags at most.
const LAG: SimSpan = SimSpan::from_millis(100);
const HORIZON: SimSpan = SimSpan::from_hours(3);

type Sim = Simulation<World, Journal<Event, Observation>>;

fn simulation(blueprint: &Blueprint, faults: &[Fault], seed: u64) -> Sim {
    let plan = Plan::new(blueprint.clone(), FaultPlan { faults: faults.to_vec() }, HORIZON);
    plan.expect("no circle").simulation(seed, 0, Journal::new())
}

/// Name, database, faults by the zone of the primary, when that is destroyed, seconds that are lost.
type Case = (&'static str, Blueprint, fn(u32) -> Vec<Fault>, u64, u64);

/// Numbers that a seed stands for (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

const fn any_one(is_required: bool) -> Option<Synchronous> {
    Some(Synchronous { number: 1, is_any: true, is_required, failover_quorum: false })
}

fn database(synchronous: Option<Synchronous>, has_isolation_check: bool) -> Blueprint {
    let mut blueprint = archiving(1 << 20, 1 << 40);
    blueprint.databases[0].synchronous = synchronous;
    blueprint.databases[0].has_isolation_check = has_isolation_check;
    let is_confirmed = synchronous.is_some();
    blueprint.protection.data_sets[0].live_lag = if is_confirmed { SimSpan::ZERO } else { LAG };
    blueprint
}

fn at(secs: u64) -> Start {
    Start::At(SimTime::from_secs(secs))
}

fn destroyed(zone: u32, start: Start) -> Fault {
    let kind = DataFault::ZoneDestroyed { zone: ZonePick::Zone(ZoneId(zone)) };
    fault("destroyed", FaultKind::Data(kind), start, None)
}

fn node_crash(node: u64, from: u64, secs: u64) -> Fault {
    let node = NodePick::Node(NodeId(u32::try_from(node).expect("few")));
    fault(&format!("node {node:?} {from}"), FaultKind::NodeCrash { node }, at(from), Some(secs))
}

fn isolation(zone: u32, from: u64, secs: u64) -> Fault {
    let kind = FaultKind::ZoneIsolation { zone: ZonePick::Zone(ZoneId(zone)) };
    fault(&format!("isolation {zone} {from}"), kind, at(from), Some(secs))
}

fn random_faults(numbers: &mut Numbers) -> Vec<Fault> {
    let one = |numbers: &mut Numbers| {
        let (from, secs) = (300 + numbers.below(1_500), 20 + numbers.below(1_500));
        let zone = u32::try_from(numbers.below(3)).expect("few");
        match numbers.below(4) {
            0 => isolation(zone, from, secs),
            1 => crate::zone_loss(zone, from, Some(secs)),
            _ => node_crash(numbers.below(6), from, secs),
        }
    };
    (0..numbers.below(4)).map(|_| one(numbers)).collect()
}

/// What is at stake with a zone at a moment.
fn foretold(
    blueprint: &Blueprint,
    faults: &[Fault],
    seed: u64,
    zone: u32,
    when: SimTime,
) -> SimSpan {
    let mut simulation = simulation(blueprint, faults, seed);
    assert!(simulation.run_until(when).is_complete());
    let backups = simulation.model().backups();
    let cost = backups.cost_now(DataSetId(0), Disaster::Zone(ZoneId(zone)), when);
    cost.expect("it is not lost").loss
}

/// The most that is lost at once from a moment on, and whether a standby is promoted.
fn lost(blueprint: &Blueprint, faults: &[Fault], seed: u64, from: SimTime) -> (SimSpan, bool) {
    let plan = Plan::new(blueprint.clone(), FaultPlan { faults: faults.to_vec() }, HORIZON);
    let journal: Journal<Event, Observation> =
        plan.expect("no circle").run(seed, 0, Journal::new()).0;
    let records = journal.observations().iter().filter(|it| it.at >= from);
    let (mut most, mut is_promoted) = (SimSpan::ZERO, false);
    for record in records {
        match record.observation {
            Observation::CommitsLost { span_ns, .. } => {
                most = most.max(SimSpan::from_nanos(span_ns));
            }
            Observation::PrimaryPromoted { .. } => is_promoted = true,
            _ => {}
        }
    }
    (most, is_promoted)
}

/// The zone of the primary, as every run begins.
fn home(blueprint: &Blueprint) -> u32 {
    let mut simulation = simulation(blueprint, &[], 1);
    assert!(simulation.run_until(SimTime::from_secs(10)).is_complete());
    primary_zone(&simulation)
}

fn primary_zone(simulation: &Sim) -> u32 {
    let world = simulation.model();
    let pod = world.databases().primary_pod(model_api::DatabaseId(0)).expect("it was placed");
    world.cluster().pod(pod).zone.expect("it was placed").0
}

/// Both nodes of every other zone are down from 10 to 50 min.
fn others_down(zone: u32) -> Vec<Fault> {
    let elsewhere = (0..6).filter(|node| node % 3 != u64::from(zone));
    elsewhere.map(|node| node_crash(node, 600, 2_400)).collect()
}

#[test]
fn what_nobody_else_has_is_at_stake_and_is_lost() {
    let isolated = |zone| vec![isolation(zone, 600, 900)];
    let cases: [Case; 5] = [
        ("no standby", database(None, true), others_down, 2_400, 1_800),
        ("preferred has shrunk", database(any_one(false), true), others_down, 2_400, 1_800),
        ("required waits", database(any_one(true), true), others_down, 2_400, 0),
        ("isolated", database(None, false), isolated, 1_080, 480),
        ("a standby streams", database(None, true), |_| Vec::new(), 1_080, 0),
    ];
    for (name, blueprint, faults, secs, expected) in cases {
        let zone = home(&blueprint);
        let (mut faults, when) = (faults(zone), SimTime::from_secs(secs));
        let foretold = foretold(&blueprint, &faults, 1, zone, when);
        faults.push(destroyed(zone, at(secs)));
        let (lost, is_promoted) = lost(&blueprint, &faults, 1, when);
        assert!(is_promoted || expected > 0, "{name}");
        assert!(lost <= foretold && foretold <= lost + LAG, "{name}: {lost:?} {foretold:?}");
        let expected = SimSpan::from_secs(expected);
        let off = lost.as_nanos().abs_diff(expected.as_nanos());
        assert!(off <= LAG.as_nanos(), "{name}: {lost:?}");
    }
}

#[test]
fn a_random_platform_loses_what_was_at_stake() {
    let (mut struck, mut loose) = (0, 0);
    for seed in 0..400 {
        let mut numbers = Numbers(seed);
        let synchronous =
            [None, None, any_one(true), any_one(false)][usize::try_from(seed % 4).expect("few")];
        let blueprint = database(synchronous, numbers.below(2) == 0);
        let mut faults = random_faults(&mut numbers);
        let zone = u32::try_from(numbers.below(3)).expect("few");
        let mut when = SimTime::from_nanos(numbers.below(3_600_000_000_000) + 1);
        if numbers.below(2) == 0 {
            // Right before or after something changed.
            let mut base = simulation(&blueprint, &faults, seed);
            assert!(base.run_until(SimTime::from_secs(3_600)).is_complete());
            let ends: Vec<SimTime> = base
                .recorder()
                .observations()
                .iter()
                .filter_map(|it| match it.observation {
                    Observation::Backup(BackupFact::Exposure(it))
                        if it.class == DisasterClass::Zone =>
                    {
                        Some(it.until)
                    }
                    _ => None,
                })
                .collect();
            if let Some(limit) = u64::try_from(ends.len()).ok().filter(|it| *it > 0) {
                let end = ends[usize::try_from(numbers.below(limit)).expect("few")];
                when = end + SimSpan::from_nanos(numbers.below(2));
            }
        }
        let is_before = |fault: &Fault| matches!(fault.start, Start::At(from) if from < when);
        faults.retain(is_before);
        let mut base = simulation(&blueprint, &faults, seed);
        assert!(base.run_until(when - SimSpan::from_nanos(1)).is_complete());
        let hits = primary_zone(&base) == zone;
        let foretold = foretold(&blueprint, &faults, seed, zone, when - SimSpan::from_nanos(1));
        let (anyway, _) = lost(&blueprint, &faults, seed, when);
        faults.push(destroyed(zone, Start::At(when)));
        let (lost, is_promoted) = lost(&blueprint, &faults, seed, when);
        let what = format!("{seed}: zone {zone} at {when:?}: {foretold:?} {lost:?} {anyway:?}");
        // Right after a standby is gone the others may not have confirmed what it had.
        assert!(lost <= foretold.max(anyway) + LAG, "{what}");
        if hits && is_promoted {
            struck += 1;
            loose += u32::from(foretold > lost + LAG);
        }
    }
    // Which of several standbys that are down comes back first is luck.
    assert!(struck > 100 && loose * 30 <= struck, "{loose} of {struck}");
}
