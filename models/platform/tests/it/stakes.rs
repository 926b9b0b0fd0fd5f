//! What is at stake with a zone or a node is what is lost when it is destroyed.

use model_api::backup::DisasterClass;
use model_api::blueprint::{DatabaseManager, Patroni, Synchronous};
use model_api::fault::{
    DataFault, Fault, FaultKind, FaultPlan, InstanceFault, InstanceHarm, InstancePick, NodePick,
    Start, ZonePick,
};
use model_api::observation::BackupFact;
use model_api::{
    Blueprint, DataSetId, DatabaseId, FaultId, NodeId, Observation, SimSpan, SimTime, ZoneId,
};
use model_backup::Disaster;
use platform::{Event, FaultEvent, Plan, World};
use sim_kernel::{Journal, Priority, Simulation};

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
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

pub(crate) const fn any_one(is_required: bool) -> Option<Synchronous> {
    Some(Synchronous { number: 1, is_any: true, is_required, failover_quorum: false })
}

const fn first(number: u32) -> Option<Synchronous> {
    Some(Synchronous { number, is_any: false, is_required: true, failover_quorum: false })
}

pub(crate) fn patroni(
    is_synchronous: bool,
    is_strict: bool,
    synchronous_node_count: u32,
) -> DatabaseManager {
    let settings = Patroni {
        is_synchronous,
        is_strict,
        synchronous_node_count,
        has_rewind: true,
        ..Patroni::default()
    };
    DatabaseManager::Patroni(settings)
}

pub(crate) fn database(synchronous: Option<Synchronous>, has_isolation_check: bool) -> Blueprint {
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

/// What befalls one instance.
pub(crate) fn harm(whom: InstancePick, what: InstanceHarm, (from, secs): (u64, u64)) -> Fault {
    let kind = FaultKind::Instance(InstanceFault { database: DatabaseId(0), whom, what });
    let secs = (what != InstanceHarm::VolumeDestroyed).then_some(secs);
    fault(&format!("{what:?} {whom:?} {from}"), kind, at(from), secs)
}

fn any_instance(numbers: &mut Numbers) -> InstancePick {
    match numbers.below(3) {
        0 => InstancePick::Primary,
        1 => InstancePick::Standby,
        _ => InstancePick::Instance(u8::try_from(numbers.below(3)).expect("few")),
    }
}

pub(crate) fn random_faults(numbers: &mut Numbers) -> Vec<Fault> {
    let one = |numbers: &mut Numbers| {
        let (from, secs) = (300 + numbers.below(1_500), 20 + numbers.below(1_500));
        let zone = u32::try_from(numbers.below(3)).expect("few");
        match numbers.below(7) {
            0 => isolation(zone, from, secs),
            1 => crate::zone_loss(zone, from, Some(secs)),
            2 => harm(InstancePick::Primary, InstanceHarm::Frozen, (from, secs)),
            3 => harm(InstancePick::Standby, InstanceHarm::HeldBack, (from, secs)),
            4 => harm(any_instance(numbers), InstanceHarm::VolumeDestroyed, (from, secs)),
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
    let pod = world.databases().primary_pod(DatabaseId(0)).expect("it was placed");
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

/// How a database of a random platform keeps its copies in step.
pub(crate) fn random_database(numbers: &mut Numbers, seed: u64) -> Blueprint {
    let quorum = Synchronous { failover_quorum: true, ..any_one(true).expect("it is some") };
    let any_two = Synchronous { number: 2, ..any_one(true).expect("it is some") };
    let wishes = [
        None,
        any_one(true),
        any_one(false),
        first(1),
        first(2),
        Some(any_two),
        Some(quorum),
        None,
        None,
        None,
    ];
    let idx = usize::try_from(seed).expect("few") % wishes.len();
    let mut blueprint = database(wishes[idx], numbers.below(2) == 0);
    if idx >= 7 {
        let (is_synchronous, is_strict) = (idx > 7, idx > 8);
        let count = 1 + u32::try_from(numbers.below(2)).expect("few");
        blueprint.databases[0].manager = patroni(is_synchronous, is_strict, count);
    }
    blueprint.databases[0].instances = 3 + u32::try_from(numbers.below(3)).expect("few");
    blueprint.protection.data_sets[0].is_on_nodes = (seed / 10).is_multiple_of(2);
    blueprint
}

/// What can strike, far beyond the end: branches bring it forward.
fn strikes(blueprint: &Blueprint) -> Vec<(Disaster, Fault)> {
    let never = Start::At(SimTime::ZERO + SimSpan::from_days(3_650));
    let zones = (0..3).map(|zone| (Disaster::Zone(ZoneId(zone)), destroyed(zone, never)));
    let nodes = (0..blueprint.nodes.len()).map(|node| {
        let kind = FaultKind::NodeCrash { node: NodePick::Node(NodeId::from_index(node)) };
        (Disaster::Node, fault(&format!("lost {node}"), kind, never, None))
    });
    zones.chain(nodes).collect()
}

/// Losses that are told, and when somebody is first promoted.
#[derive(Clone, Debug, Default)]
struct Outcome {
    losses: Vec<(SimTime, SimSpan)>,
    promoted_at: Option<SimTime>,
}

fn outcome(mut branch: Sim, end: SimTime) -> Outcome {
    assert!(branch.run_until(end).is_complete());
    let mut outcome = Outcome::default();
    for record in branch.recorder().observations() {
        match record.observation {
            Observation::CommitsLost { span_ns, .. } => {
                outcome.losses.push((record.at, SimSpan::from_nanos(span_ns)));
            }
            Observation::PrimaryPromoted { .. } => {
                outcome.promoted_at.get_or_insert(record.at);
            }
            _ => {}
        }
    }
    outcome
}

impl Outcome {
    /// The most that is lost at some moments.
    fn lost(&self, at: &[SimTime]) -> SimSpan {
        let losses = self.losses.iter().filter(|it| at.contains(&it.0));
        losses.map(|it| it.1).max().unwrap_or_default()
    }
}

/// Strikes that were tried of a class.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    sure_count: u32,
    bound_count: u32,
    loss_count: u32,
}

/// Strikes at a moment with everything that there is; what did not come true.
fn strike_all(
    base: &Sim,
    strikes: &[(Disaster, Fault)],
    first: usize,
    when: SimTime,
    tried: &mut [Tried; 2],
) -> Vec<String> {
    let backups = base.model().backups();
    let end = when + SimSpan::from_secs(3_000);
    let primary = base.model().databases().primary_pod(DatabaseId(0));
    let primary = base.model().cluster().pod(primary.expect("it was placed"));
    let (mut of_nodes, mut untrue) = (SimSpan::ZERO, Vec::new());
    for (idx, (disaster, _)) in strikes.iter().enumerate() {
        let Some(cost) = backups.cost_now(DataSetId(0), *disaster, when) else { continue };
        let mut branch = base.branch(Journal::new());
        let due = FaultEvent::StrikeDue(FaultId::from_index(first + idx));
        branch.apply(|_, ctx| ctx.schedule_at(when, Priority::new(1), due));
        let outcome = outcome(branch, end);
        let hits_primary = match disaster {
            Disaster::Zone(zone) => primary.zone == Some(*zone),
            _ => primary.node == Some(NodeId::from_index(idx - 3)),
        };
        // Sides that were replaced end with the strike; what others lose is lost without it too.
        let promoted_at = outcome.promoted_at.filter(|_| hits_primary);
        // So is what a promotion costs that comes in the very moment of the strike.
        let is_due_anyway = !hits_primary && outcome.promoted_at == Some(when);
        if is_due_anyway && *disaster != Disaster::Node {
            continue;
        }
        let lost = outcome.lost(&[when, promoted_at.unwrap_or(when)]);
        let is_sure = backups.is_cost_sure(DataSetId(0), *disaster, when);
        // Whoever is cut off goes on to acknowledge until it is replaced.
        let later = outcome.promoted_at.unwrap_or(end).saturating_since(when);
        let is_true = match disaster {
            _ if !is_sure => {
                let is_least = matches!(disaster, Disaster::Node)
                    || promoted_at.is_none()
                    || lost + LAG >= backups.least_cost(DataSetId(0), *disaster, when);
                is_least && lost <= cost.loss.saturating_add(later) + LAG
            }
            Disaster::Node => lost <= cost.loss,
            _ => is_equal(lost, cost.loss),
        };
        if !is_true {
            untrue.push(format!(
                "{disaster:?} {idx} at {when:?}, sure {is_sure}, hits {hits_primary}: {cost:?} {outcome:?}"
            ));
        }
        of_nodes = of_nodes.max(if *disaster == Disaster::Node { lost } else { SimSpan::ZERO });
        let tried = &mut tried[usize::from(*disaster == Disaster::Node)];
        tried.sure_count += u32::from(is_sure);
        tried.bound_count += u32::from(!is_sure);
        tried.loss_count += u32::from(is_sure && !cost.loss.is_zero());
    }
    let of_node = backups.cost_now(DataSetId(0), Disaster::Node, when);
    if backups.is_cost_sure(DataSetId(0), Disaster::Node, when)
        && let Some(cost) = of_node.filter(|it| !is_equal(of_nodes, it.loss))
    {
        untrue.push(format!("nodes at {when:?}: {cost:?} {of_nodes:?}"));
    }
    untrue
}

/// How many faults of single instances struck one.
fn harms_that_struck(base: &Sim, faults: &[Fault]) -> u32 {
    let struck = base.recorder().observations().iter().filter(|it| match it.observation {
        Observation::FaultStruck { fault, targets } => {
            targets > 0 && matches!(faults[fault.index()].kind, FaultKind::Instance(_))
        }
        _ => false,
    });
    u32::try_from(struck.count()).expect("few")
}

/// When commits are lost whatever strikes.
fn losses(base: &Sim) -> Vec<SimTime> {
    let is_loss = |it: &Observation| matches!(it, Observation::CommitsLost { .. });
    let records = base.recorder().observations().iter();
    records.filter(|it| is_loss(&it.observation)).map(|it| it.at).collect()
}

/// Nothing is told where no whole commit falls into what is lost: one comes every 10 ms.
fn is_equal(lost: SimSpan, foretold: SimSpan) -> bool {
    lost == foretold || lost.is_zero() && foretold < SimSpan::from_millis(10)
}

/// Ends of stretches of zones and nodes, and their worst moments.
fn breakpoints(base: &Sim) -> Vec<SimTime> {
    let stretches = base.recorder().observations().iter().filter_map(|it| match it.observation {
        Observation::Backup(BackupFact::Exposure(it))
            if matches!(it.class, DisasterClass::Zone | DisasterClass::Node) =>
        {
            Some(it)
        }
        _ => None,
    });
    let moments =
        stretches.flat_map(|it| [it.from + SimSpan::from_nanos(1), it.until, it.loss_max_at]);
    let mut moments: Vec<SimTime> = moments.collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

#[test]
fn a_branch_that_is_struck_loses_what_was_at_stake() {
    let (mut tried, mut untrue) = ([Tried::default(); 2], Vec::new());
    let mut harm_count = 0;
    for seed in 0..160 {
        let mut numbers = Numbers(seed);
        let blueprint = random_database(&mut numbers, seed);
        let mut faults = random_faults(&mut numbers);
        faults.sort_by_key(|fault| match fault.start {
            Start::At(at) => at,
            _ => SimTime::MAX,
        });
        let strikes = strikes(&blueprint);
        let mut from = SimTime::ZERO;
        // What comes later is not known to a strike, and does not happen in its branch.
        for count in 0..=faults.len() {
            let until = match faults.get(count).map(|fault| &fault.start) {
                Some(Start::At(at)) => *at,
                _ => SimTime::from_secs(3_600),
            };
            let known = faults[..count].iter().cloned();
            let known: Vec<Fault> = known.chain(strikes.iter().map(|it| it.1.clone())).collect();
            let mut whole = simulation(&blueprint, &known, seed);
            assert!(whole.run_until(until).is_complete());
            // What ends in the moment of the strike may come before or after it.
            let ends = faults.iter().filter_map(|fault| match fault.start {
                Start::At(at) => Some(at + fault.duration?),
                _ => None,
            });
            let ends: Vec<SimTime> = ends.collect();
            harm_count += harms_that_struck(&whole, &known);
            let moments = breakpoints(&whole).into_iter();
            // So may what is lost in that moment anyway: of that it is looked at just before.
            let lost_at = losses(&whole);
            let moments = moments.map(|it| {
                let is_lost = lost_at.contains(&it);
                it - SimSpan::from_nanos(u64::from(is_lost))
            });
            let moments = moments.filter(|it| *it > from && *it <= until && !ends.contains(it));
            let mut base = simulation(&blueprint, &known, seed);
            for when in moments {
                assert!(base.run_until(when - SimSpan::from_nanos(1)).is_complete());
                let found = strike_all(&base, &strikes, count, when, &mut tried);
                untrue.extend(found.into_iter().map(|it| format!("world {seed}: {it}")));
            }
            from = until;
        }
    }
    let (count, first) = (untrue.len(), untrue.iter().take(40));
    assert!(untrue.is_empty(), "{tried:?}, {count}: {:#?}", first.collect::<Vec<_>>());
    for class in tried {
        assert!(class.sure_count > 3_000 && class.loss_count > 300, "{tried:?}");
    }
    assert!(harm_count > 100, "{harm_count}");
    // Of nodes the worst counts, so that one whose loss is not known makes all a bound.
    assert!(tried[0].bound_count * 2 < tried[0].sure_count, "{tried:?}");
}
