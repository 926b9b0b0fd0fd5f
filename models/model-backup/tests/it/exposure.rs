//! What a strike would cost is what it costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::backup::{DisasterClass, Method, Protection, Retention};
use model_api::observation::{BackupFact, ExposureStretch};
use model_api::{Blueprint, DataSetId, SimSpan, SimTime, ZoneId};
use model_backup::{ALL, Cost, Disaster};
use proptest::prelude::*;
use sim_kernel::{Priority, Simulation};

use crate::town::{
    DISASTER_COUNT, Deed, Facts, NODES, SECOND_ZONE, Town, TownEvent, any_deeds, any_protection,
    archive, blueprint, data_set, disaster, place, policy, run, simulation,
};

/// What became of each data set: time lost and time to be back; `None` when it was not struck.
fn struck(
    world: &Arc<Blueprint>,
    seed: u64,
    deeds: &[(SimTime, Deed)],
    at: SimTime,
    number: u8,
) -> Vec<Option<Outcome>> {
    let mut deeds = deeds.to_vec();
    // A strike comes before anything else of its moment.
    deeds.retain(|(before, _)| *before < at);
    deeds.push((at, Deed::Strike(number)));
    let (town, facts) = run(world, seed, &deeds, at + SimSpan::from_days(40));
    outcomes(&town, &facts, at)
}

/// Time lost, and time to be back.
type Outcome = (SimSpan, SimSpan);

/// What became of each data set that was struck at a moment.
fn outcomes(town: &Town, facts: &Facts, at: SimTime) -> Vec<Option<Outcome>> {
    let asked = town.asked.iter().enumerate();
    asked.map(|(idx, cost)| cost.map(|_| outcome(facts, DataSetId::from_index(idx), at))).collect()
}

/// What did not come as foretold. Data that holds a key may be back before the key is asked for, and
/// restores that read one place at once take longer than each by itself: those of what was struck before
/// among them.
fn untrue(
    actual: &[Option<Outcome>],
    foretold: &[Option<Outcome>],
    keys_fall: bool,
    deeds: &[(SimTime, Deed)],
) -> Vec<(Option<Outcome>, Option<Outcome>)> {
    let was_struck = deeds.iter().any(|(_, deed)| matches!(deed, Deed::Strike(_)));
    let is_alone = actual.iter().flatten().count() < 2 && !was_struck;
    let is_true = |actual: Outcome, foretold: Outcome| {
        if keys_fall {
            return actual.0 <= foretold.0;
        }
        let is_back = actual.1 == foretold.1 || !is_alone && actual.1 > foretold.1;
        actual.0 == foretold.0 && is_back
    };
    let pairs = actual.iter().copied().zip(foretold.iter().copied());
    pairs
        .filter(|pair| match *pair {
            (Some(actual), Some(foretold)) => !is_true(actual, foretold),
            (actual, foretold) => actual != foretold,
        })
        .collect()
}

/// What became of a data set that was struck at a moment.
fn outcome(facts: &Facts, id: DataSetId, at: SimTime) -> Outcome {
    let returned = facts.0.iter().find_map(|(back_at, fact)| match fact {
        BackupFact::Returned { data_set, lost_ns, parts } if *data_set == id && *back_at > at => {
            assert_eq!(parts.sum_ns(), (*back_at - at).as_nanos(), "the parts are the whole");
            Some((SimSpan::from_nanos(*lost_ns), *back_at - at))
        }
        _ => None,
    });
    returned.unwrap_or((ALL, ALL))
}

/// As [`struck`], what was foretold at that moment.
fn foretold(
    world: &Arc<Blueprint>,
    seed: u64,
    deeds: &[(SimTime, Deed)],
    at: SimTime,
    number: u8,
) -> Vec<Option<Outcome>> {
    let mut deeds = deeds.to_vec();
    // A strike comes before anything else of its moment.
    deeds.retain(|(before, _)| *before < at);
    deeds.push((at, Deed::Strike(number)));
    let (town, _) = run(world, seed, &deeds, at);
    town.asked.iter().map(|cost| cost.map(|cost| (cost.loss, cost.back))).collect()
}

fn stretches(facts: &[(SimTime, BackupFact)]) -> impl Iterator<Item = ExposureStretch> + '_ {
    facts.iter().filter_map(|(_, fact)| match fact {
        BackupFact::Exposure(stretch) => Some(*stretch),
        _ => None,
    })
}

fn class_of(disaster: Disaster) -> DisasterClass {
    match disaster {
        Disaster::Node => DisasterClass::Node,
        Disaster::Zone(_) => DisasterClass::Zone,
        Disaster::Region => DisasterClass::Region,
        Disaster::Account(_) => DisasterClass::Account,
        Disaster::Logical => DisasterClass::Logical,
        Disaster::Ransomware => DisasterClass::Ransomware,
    }
}

const HOURS: u64 = 24 * 12;

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_branch_that_is_struck_loses_what_was_foretold(
        protection in any_protection(),
        deeds in any_deeds(HOURS),
        seed in 0_u64..1000,
        at in 1_u64..HOURS * 3600,
        number in 0..DISASTER_COUNT,
    ) {
        let world = blueprint(protection);
        let at = SimTime::from_secs(at);
        let expected = foretold(&world, seed, &deeds, at, number);
        let actual = struck(&world, seed, &deeds, at, number);
        let keys_fall = world.protection.keys.iter().any(|key| !key.kept_in.is_empty());
        let untrue = untrue(&actual, &expected, keys_fall, &deeds);
        prop_assert!(untrue.is_empty(), "{:?}", untrue);
    }

    #[test]
    fn a_node_that_is_lost_costs_what_was_foretold(
        protection in any_protection(),
        deeds in any_deeds(HOURS),
        seed in 0_u64..1000,
        at in 1_u64..HOURS * 3600,
    ) {
        let mut protection = protection;
        for data_set in &mut protection.data_sets {
            data_set.is_on_nodes = true;
        }
        for key in &mut protection.keys {
            // Data that holds the key may be back before the key is asked for.
            key.kept_in.clear();
        }
        let (world, at) = (blueprint(protection), SimTime::from_secs(at));
        let expected = foretold(&world, seed, &deeds, at, NODES);
        let actual = struck(&world, seed, &deeds, at, NODES);
        let untrue = untrue(&actual, &expected, false, &deeds);
        prop_assert!(untrue.is_empty(), "{:?}", untrue);
    }

    #[test]
    fn what_one_run_shares_with_another_is_as_if_made_anew(
        protection in any_protection(), seed in 0_u64..1000,
    ) {
        let world = blueprint(protection);
        let of = |run| model_backup::Backups::new(&world, sim_kernel::Streams::new(seed, run));
        let shared = of(0).with_streams(sim_kernel::Streams::new(seed, 1));
        prop_assert_eq!(format!("{shared:?}"), format!("{:?}", of(1)));
    }

    #[test]
    fn a_strike_within_a_stretch_costs_no_more_than_its_most(
        protection in any_protection(),
        deeds in any_deeds(HOURS),
        seed in 0_u64..1000,
        at in 1_u64..HOURS * 3600 * 1_000_000_000,
        number in 0..DISASTER_COUNT,
    ) {
        let world = blueprint(protection);
        let at = SimTime::from_nanos(at);
        let (_, facts) = run(&world, seed, &deeds, SimTime::from_secs(HOURS * 3600));
        let class = class_of(disaster(number));
        for (idx, cost) in foretold(&world, seed, &deeds, at, number).into_iter().enumerate() {
            let Some((loss, back)) = cost else { continue };
            let id = DataSetId::from_index(idx);
            let around: Vec<ExposureStretch> = stretches(&facts.0)
                .filter(|it| it.data_set == id && it.class == class && it.from < at && at <= it.until)
                .collect();
            prop_assert!(!around.is_empty(), "{id} {class:?} at {at:?}");
            let most = |of: fn(&ExposureStretch) -> u64| around.iter().map(of).max().expect("some");
            prop_assert!(loss.as_nanos() <= most(|it| it.loss_max_ns), "{loss:?} {around:?}");
            prop_assert!(back.as_nanos() <= most(|it| it.back_max_ns), "{back:?} {around:?}");
        }
    }

    #[test]
    fn strikes_at_every_end_of_a_stretch_are_what_they_were_to_be(
        protection in any_protection(),
        deeds in any_deeds(48),
        seed in 0_u64..1000,
        first_struck in 0_usize..STRUCK_EVERY,
    ) {
        let keys_fall = protection.keys.iter().any(|key| !key.kept_in.is_empty());
        let world = blueprint(protection);
        let facts = run(&world, seed, &deeds, SimTime::from_secs(48 * 3600)).1;
        let told: Vec<ExposureStretch> = stretches(&facts.0).take(STRETCHES_MAX).collect();
        let mut moments: Vec<SimTime> = told.iter().flat_map(moments_of).collect();
        moments.sort_unstable();
        moments.dedup();
        let mut seen: BTreeMap<(SimTime, usize, u8), Cost> = BTreeMap::new();
        let mut passing = Passing::new(&world, seed, &deeds);
        for (count, at) in moments.iter().enumerate() {
            passing.go_to(*at);
            for number in 0..=NODES {
                let costs = passing.costs(number, *at);
                let costs = costs.into_iter().enumerate();
                seen.extend(costs.filter_map(|(idx, cost)| Some(((*at, idx, number), cost?))));
            }
            if (count + first_struck).is_multiple_of(STRUCK_EVERY) {
                let number = u8::try_from(count / STRUCK_EVERY).unwrap_or(u8::MAX) % (NODES + 1);
                let (actual, expected) = passing.strike(number, *at);
                let untrue = untrue(&actual, &expected, keys_fall, &deeds);
                prop_assert!(untrue.is_empty(), "{} at {:?}: {:?}", number, at, untrue);
            }
        }
        for stretch in &told {
            // Of a class some disaster is what the stretch tells of: of zones and accounts there are several.
            let of_class = (0..=NODES).filter(|it| class_of(disaster(*it)) == stretch.class);
            let fits = |number: u8| {
                let cost = |at| seen.get(&(at, stretch.data_set.index(), number));
                let [first, worst, slowest, last] = moments_of(stretch).map(cost);
                first.is_some_and(|it| it.loss.as_nanos() == stretch.loss_from_ns)
                    && worst.is_some_and(|it| it.loss.as_nanos() == stretch.loss_max_ns)
                    && slowest.is_some_and(|it| it.back.as_nanos() == stretch.back_max_ns)
                    && last.is_some_and(|it| it.loss.as_nanos() <= stretch.loss_max_ns)
            };
            prop_assert!(of_class.into_iter().any(fits), "{:?}", stretch);
        }
    }
}

/// Stretches of a world that are looked at.
const STRETCHES_MAX: usize = 400;
/// Of their moments one in so many is really struck: each strike is a branch of forty days.
const STRUCK_EVERY: usize = 16;

/// Its first moment, the worst, the slowest and the last.
fn moments_of(stretch: &ExposureStretch) -> [SimTime; 4] {
    let first = stretch.from + SimSpan::from_nanos(1);
    [first, stretch.loss_max_at, stretch.back_max_at, stretch.until]
}

/// A world that is gone through once, from moment to moment.
struct Passing {
    simulation: Simulation<Town, Facts>,
    deeds: Vec<(SimTime, Deed)>,
}

impl Passing {
    fn new(world: &Arc<Blueprint>, seed: u64, deeds: &[(SimTime, Deed)]) -> Self {
        let mut deeds = deeds.to_vec();
        deeds.sort_by_key(|(at, _)| *at);
        deeds.reverse();
        Self { simulation: simulation(world, seed), deeds }
    }

    /// To just before a moment: a strike comes before anything else of it.
    fn go_to(&mut self, at: SimTime) {
        while let Some((due, deed)) = self.deeds.pop_if(|(due, _)| *due < at) {
            self.simulation.schedule_at(due, Priority::new(1), TownEvent::Deed(deed));
        }
        assert!(self.simulation.run_until(at - SimSpan::from_nanos(1)).is_complete());
    }

    /// What a disaster would cost each data set.
    fn costs(&self, number: u8, at: SimTime) -> Vec<Option<Cost>> {
        let backups = &self.simulation.model().backups;
        let ids = (0..self.simulation.model().asked.len()).map(DataSetId::from_index);
        ids.map(|id| backups.cost_now(id, disaster(number), at)).collect()
    }

    /// What it really costs each data set that it strikes, and what was foretold.
    fn strike(&self, number: u8, at: SimTime) -> (Vec<Option<Outcome>>, Vec<Option<Outcome>>) {
        let mut branch = self.simulation.branch(Facts::default());
        branch.schedule_at(at, Priority::new(1), TownEvent::Deed(Deed::Strike(number)));
        assert!(branch.run_until(at + SimSpan::from_days(40)).is_complete());
        let (town, facts) = branch.into_parts();
        let foretold = town.asked.iter().map(|it| it.map(|it| (it.loss, it.back))).collect();
        (outcomes(&town, &facts, at), foretold)
    }
}

/// A database in one zone with a daily base backup, an archive and a bucket in three zones.
fn simple() -> Protection {
    Protection {
        data_sets: vec![data_set("db", &[0])],
        places: vec![place("bucket", &[0, 1, 2], None, "platform")],
        policies: vec![policy("daily", 0, Method::Base, 0)],
        archives: vec![archive(0, 0)],
        history: SimSpan::from_days(60),
        ..Protection::default()
    }
}

fn worst(protection: Protection, days: u64, class: DisasterClass) -> (u64, u64) {
    let (_, facts) = run(&blueprint(protection), 1, &[], SimTime::ZERO + SimSpan::from_days(days));
    let of_class: Vec<_> = stretches(&facts.0).filter(|it| it.class == class).collect();
    let most = |of: fn(&ExposureStretch) -> u64| of_class.iter().map(of).max().expect("it is told");
    (most(|it| it.loss_max_ns), most(|it| it.back_max_ns))
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn the_worst_loss_of_known_platforms_is_known() {
    let without_archive = Protection { archives: Vec::new(), ..simple() };
    let mut files = without_archive.clone();
    files.policies[0].method = Method::Files;
    let mut in_its_zone = simple();
    in_its_zone.places[0].location.zones.truncate(1);
    // A run takes 5 min and 10 GiB at 100 MiB/s: 402.4 s.
    let takes = 5 * 60 + 103;
    let day = 24 * 3600;
    let cases = [
        // A segment of 16 MiB at 1 MiB/s, and an upload of 2 s and 16 MiB at 100 MiB/s.
        ("archive", simple(), DisasterClass::Zone, 16 + 2 + 1),
        ("base only", without_archive, DisasterClass::Zone, day),
        ("files", files, DisasterClass::Zone, day + takes),
        ("logical", simple(), DisasterClass::Logical, 5 * 3600),
        ("region", simple(), DisasterClass::Region, u64::MAX / SECOND),
        ("same zone", in_its_zone, DisasterClass::Zone, u64::MAX / SECOND),
        ("node", simple(), DisasterClass::Node, 0),
    ];
    for (name, protection, class, expected_secs) in cases {
        let (loss, _) = worst(protection, 10, class);
        assert_eq!(loss.div_ceil(SECOND).min(u64::MAX / SECOND), expected_secs, "{name}");
    }
}

#[test]
fn copies_that_go_before_a_loss_is_found_are_of_no_use() {
    let mut short = Protection { archives: Vec::new(), ..simple() };
    short.policies[0].method = Method::Snapshot;
    short.policies[0].retention = Retention::Last(2);
    short.data_sets[0].discovery = SimSpan::from_days(1);
    let lost = |protection: &Protection| worst(protection.clone(), 10, DisasterClass::Logical).0;
    assert!(lost(&short) < 3 * 24 * 3600 * SECOND);
    // Two days later both copies hold what was destroyed.
    short.data_sets[0].discovery = SimSpan::from_days(3);
    assert_eq!(lost(&short), u64::MAX);
}

#[test]
fn nobody_looking_changes_nothing_and_costs_no_event() {
    use sim_kernel::{Limits, NoRecorder, Simulation, Streams};
    let world = blueprint(simple());
    let town = Town {
        backups: model_backup::Backups::new(&world, Streams::new(1, 0)),
        asked: vec![None],
        notices: Vec::new(),
        policy_count: 1,
        discovery: vec![SimSpan::ZERO],
    };
    let mut simulation = Simulation::new(town, NoRecorder, Limits::default());
    simulation.apply(|town, ctx| town.backups.begin(ctx));
    let end = SimTime::ZERO + SimSpan::from_days(365);
    simulation.run_until(end);
    simulation.apply(|town, ctx| town.backups.finish(ctx));
    assert_eq!(simulation.stats().handled_count, 0);
    let (seen, _) = run(&world, 1, &[], end);
    let cost = |town: &Town| town.backups.cost_now(DataSetId(0), Disaster::Region, end);
    assert_eq!(cost(simulation.model()), cost(&seen));
}

#[test]
fn a_copy_in_a_destroyed_zone_is_not_what_survives_a_node() {
    let mut protection = simple();
    protection.data_sets[0].zones.push(ZoneId(1));
    protection.data_sets[0].is_on_nodes = true;
    let destroyed_at = SimTime::ZERO + SimSpan::from_days(2);
    let deeds = [(destroyed_at, Deed::Strike(SECOND_ZONE))];
    let end = SimTime::ZERO + SimSpan::from_days(4);
    let (_, facts) = run(&blueprint(protection), 1, &deeds, end);
    let of_node = stretches(&facts.0).filter(|it| it.class == DisasterClass::Node);
    let (before, after): (Vec<_>, Vec<_>) = of_node.partition(|it| it.until <= destroyed_at);
    assert!(!before.is_empty() && before.iter().all(|it| it.loss_max_ns == 0));
    assert!(!after.is_empty() && after.iter().all(|it| it.loss_max_ns > 0));
}
