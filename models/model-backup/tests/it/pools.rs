//! Places and data on storage pools: what waits, what is lost, what is only slow.

use std::sync::Arc;

use model_api::backup::{Method, Place, Protection};
use model_api::observation::{BackupFact, PoolIo};
use model_api::storage::{FailureDomain, Pool, Redundancy};
use model_api::{Blueprint, DataSetId, PoolId, SimSpan, SimTime, ZoneId};

use crate::town::{Deed, Facts, Town, blueprint, data_set, place, policy, run};

/// A pool of chunks over three zones.
fn pool(k: u32, m: u32) -> Pool {
    let zones: Vec<ZoneId> = (0..3).map(ZoneId).collect();
    let redundancy = Redundancy::Erasure { k, m };
    Pool {
        monitor_zones: zones.clone(),
        zones,
        hosts_per_zone: 4,
        osds_per_host: 2,
        redundancy,
        min_size: redundancy.min_size_default(),
        failure_domain: FailureDomain::Zone,
        ..Pool::default()
    }
}

fn place_on(pool: &Pool) -> Place {
    let mut place = place("bucket", &[0, 1, 2], None, "platform");
    place.location.pool = Some(PoolId(0));
    place.location.zones_needed = pool.zones_needed();
    place.location.zones_needed_to_serve = pool.zones_needed_to_serve();
    place
}

/// Something in the first zone, with copies on a pool.
fn copied_to(pool: Pool) -> Arc<Blueprint> {
    let protection = Protection {
        data_sets: vec![data_set("shop", &[0])],
        places: vec![place_on(&pool)],
        policies: vec![policy("daily", 0, Method::Files, 0)],
        history: SimSpan::from_days(40),
        ..Protection::default()
    };
    let mut town = Blueprint::clone(&blueprint(protection));
    town.pools = vec![pool];
    Arc::new(town)
}

fn hours(at: u64) -> SimTime {
    SimTime::from_secs(at * 3_600)
}

fn happened(facts: &Facts, is: fn(&BackupFact) -> bool) -> Option<u64> {
    facts.0.iter().find(|(_, fact)| is(fact)).map(|(at, _)| at.as_secs() / 3_600)
}

fn played(pool: Pool, deeds: &[(SimTime, Deed)]) -> (Town, Facts) {
    run(&copied_to(pool), 1, deeds, hours(200))
}

const ZONE: Deed = Deed::Strike(0);

#[test]
fn nothing_is_restored_from_a_pool_that_a_zone_stops_for_good() {
    for ((k, m), is_restorable) in [((4, 2), false), ((5, 4), true)] {
        let io = if is_restorable { PoolIo::Runs } else { PoolIo::BelowMinSize };
        let deeds = [(hours(30), ZONE), (hours(30), Deed::PoolIo(0, io))];
        let (town, facts) = played(pool(k, m), &deeds);
        let asked = town.asked[0].expect("it strikes");
        assert_eq!(asked.loss != SimSpan::MAX, is_restorable, "{k}+{m}");
        let back = happened(&facts, |fact| matches!(fact, BackupFact::Returned { .. }));
        assert_eq!(back.is_some(), is_restorable, "{k}+{m}");
        // It waits: somebody may lower min_size.
        let is_final = |fact: &BackupFact| matches!(fact, BackupFact::Unrestorable { .. });
        assert_eq!(happened(&facts, is_final), None);
    }
}

#[test]
fn a_restore_begins_when_its_pool_serves_again() {
    let stops = (hours(30), Deed::PoolIo(0, PoolIo::BelowMinSize));
    let goes_on = (hours(90), Deed::PoolIo(0, PoolIo::Runs));
    let (_, facts) = played(pool(4, 2), &[(hours(30), ZONE), stops, goes_on]);
    let started = happened(&facts, |fact| matches!(fact, BackupFact::RestoreStarted { .. }));
    assert_eq!(started, Some(90));
}

#[test]
fn a_pool_that_loses_data_takes_its_copies_and_what_lives_on_it() {
    let (town, facts) = played(pool(5, 4), &[(hours(29), Deed::PoolLost(0)), (hours(30), ZONE)]);
    assert_eq!(town.asked[0].expect("it strikes").loss, SimSpan::MAX);
    let is_final = |fact: &BackupFact| matches!(fact, BackupFact::Unrestorable { .. });
    assert!(happened(&facts, is_final).is_some());

    let mut lives = Blueprint::clone(&copied_to(pool(5, 4)));
    lives.protection.data_sets[0].pools = vec![PoolId(0)];
    lives.protection.places = vec![place("away", &[], Some("west"), "vault")];
    let lives = Arc::new(lives);
    // A zone takes a third of its chunks; the pool takes all.
    let (town, _) = run(&lives, 1, &[(hours(30), ZONE)], hours(200));
    assert_eq!(town.asked[0], None);
    let (town, facts) = run(&lives, 1, &[(hours(30), Deed::PoolLost(0))], hours(200));
    assert!(happened(&facts, |fact| matches!(fact, BackupFact::Returned { .. })).is_some());
    assert!(!town.backups.is_lost(DataSetId(0)));
}

#[test]
fn runs_fail_while_a_pool_stops_and_not_while_it_pauses() {
    let losses = |io| {
        // Over the backup of the second night.
        let deeds = [(hours(23), Deed::PoolIo(0, io)), (hours(26), Deed::PoolIo(0, PoolIo::Runs))];
        let deeds = [deeds[0], deeds[1], (hours(40), ZONE)];
        let (town, _) = played(pool(5, 4), &deeds);
        town.asked[0].expect("it strikes").loss
    };
    let day = SimSpan::from_days(1);
    assert!(losses(PoolIo::Pauses) < day && losses(PoolIo::BelowMinSize) > day);
}

#[test]
fn a_slow_place_takes_longer_to_restore_from() {
    let takes = |read| {
        let deeds = [(hours(29), Deed::Rates(0, read, 100 << 20)), (hours(30), ZONE)];
        let (_, facts) = played(pool(5, 4), &deeds);
        let parts = facts.0.iter().find_map(|(_, fact)| match fact {
            BackupFact::Returned { parts, .. } => Some(parts.fetch_ns / 1_000_000_000),
            _ => None,
        });
        parts.expect("it is back")
    };
    // 100 GiB.
    assert_eq!([100 << 20, 10 << 20].map(takes), [1_024, 10_240]);
}
