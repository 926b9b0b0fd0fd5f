//! Recovery in time: the parts, the order, the queue, and the worked values of the specification.

use model_api::backup::{
    BackupPolicy, Hook, Key, Method, Protection, Recovery, Retention, RunbookStep,
};
use model_api::observation::{BackupFact, Lack, RecoveryParts};
use model_api::parameters::Range;
use model_api::{DataSetId, KeyId, Origin, PlaceId, SimSpan, SimTime, WorkloadId};

use crate::town::{Deed, SECOND_ZONE, Town, archive, blueprint, data_set, place, policy, run};

/// A key that is kept where a place stands.
fn key(name: &str, at: &model_api::backup::Place) -> Key {
    Key { name: name.to_owned(), kept_at: vec![at.location.clone()], ..any_key() }
}

fn any_key() -> Key {
    let (kept_at, kept_in) = (Vec::new(), Vec::new());
    Key { name: "key".to_owned(), kept_at, kept_in, origin: Origin::default() }
}

fn fixed(minutes: u64) -> Range {
    let span = SimSpan::from_mins(minutes);
    Range { least: span, most: span }
}

/// People who take no time.
fn at_once() -> Recovery {
    let none = Range::default();
    Recovery {
        detect: none,
        respond: none,
        decide: none,
        rebuild: none,
        provision: none,
        verify: none,
        ..Recovery::default()
    }
}

fn databases(names: &[&str]) -> Protection {
    let ids = 0..u32::try_from(names.len()).expect("few");
    Protection {
        data_sets: names.iter().map(|name| data_set(name, &[0])).collect(),
        places: vec![place("bucket", &[], Some("west"), "platform")],
        policies: ids
            .clone()
            .map(|id| policy(&format!("daily {id}"), id, Method::Base, 0))
            .collect(),
        archives: ids.map(|id| archive(id, 0)).collect(),
        recovery: at_once(),
        history: SimSpan::from_days(40),
        ..Protection::default()
    }
}

fn returns(protection: Protection, at: SimTime) -> Vec<(DataSetId, SimSpan, RecoveryParts)> {
    let deeds = [(at, Deed::Strike(1))];
    let (_, facts) = run(&blueprint(protection), 1, &deeds, at + SimSpan::from_days(3));
    let returned = facts.0.into_iter().filter_map(|(back_at, fact)| match fact {
        BackupFact::Returned { data_set, parts, .. } => Some((data_set, back_at - at, parts)),
        _ => None,
    });
    returned.collect()
}

#[test]
fn the_worked_values_of_the_specification() {
    // PG-22: 100 GiB at 100 MiB/s, 1 MiB/s of log, 60 MiB/s replay, 5 min besides; a base backup that
    // is a day or a week old.
    for (days, expected_mins) in [(1, 46), (7, 190)] {
        let mut protection = databases(&["db"]);
        protection.recovery.provision = fixed(5);
        protection.recovery.replay_bytes_per_second = 60 << 20;
        protection.policies[0].schedule =
            model_api::backup::Schedule::Every(SimSpan::from_days(days));
        protection.policies[0].overhead = SimSpan::ZERO;
        protection.policies[0].moved_bytes = 0;
        // The history of 40 days ends 5 days after a weekly backup: the strike meets the next one.
        let until_next = if days == 7 { 2 } else { 1 };
        let at = SimTime::ZERO + SimSpan::from_days(until_next);
        let back = returns(protection, at)[0].1;
        assert_eq!((back.as_secs() + 30) / 60, expected_mins, "a base of {days} days: {back}");
    }
}

#[test]
fn data_that_others_need_comes_first_and_one_restore_follows_another() {
    let mut protection = databases(&["shop", "vault", "wiki"]);
    protection.data_sets[0].restored_after = vec![DataSetId(1)];
    // They do not share what the bucket gives.
    protection.places[0].read_bytes_per_second = 300 << 20;
    for data_set in &mut protection.data_sets {
        data_set.volume_bytes_per_second = Some(100 << 20);
    }
    let order: Vec<u32> = returns(protection.clone(), SimTime::from_secs(7200))
        .into_iter()
        .map(|(id, _, _)| id.0)
        .collect();
    assert_eq!(order, [1, 2, 0], "wiki uses the time that shop waits for the vault");
    protection.recovery.parallel = 3;
    let together = returns(protection.clone(), SimTime::from_secs(7200));
    protection.recovery.parallel = 1;
    let apart = returns(protection, SimTime::from_secs(7200));
    let last = |all: &[(DataSetId, SimSpan, RecoveryParts)]| all.last().expect("all return").1;
    assert!(last(&apart) > last(&together) + SimSpan::from_mins(17), "a third waits for two");
}

#[test]
fn mistakes_of_a_runbook_are_paid_for() {
    let mut protection = databases(&["db"]);
    let step = |error_ppm| RunbookStep {
        name: "point the pooler at it".to_owned(),
        takes: fixed(10),
        error_ppm,
        error_takes: fixed(7),
    };
    let mut act = |error_ppm| {
        protection.recovery.steps = vec![step(error_ppm)];
        let parts = returns(protection.clone(), SimTime::from_secs(7200))[0].2;
        parts.act_ns / 60_000_000_000
    };
    assert_eq!(act(0), 10);
    let with_mistakes = act(900_000);
    assert!(with_mistakes > 10 && (with_mistakes - 10) % 17 == 0, "{with_mistakes}");
}

#[test]
fn objects_are_made_one_after_another_before_bytes_move() {
    let mut protection = databases(&["db"]);
    let fetch = |protection: &Protection| {
        returns(protection.clone(), SimTime::from_secs(7200))[0].2.fetch_ns
    };
    let bytes_only = fetch(&protection);
    protection.policies[0].restore_overhead = SimSpan::from_mins(3);
    assert_eq!(fetch(&protection) - bytes_only, SimSpan::from_mins(3).as_nanos());
}

/// What a hook that fails in every run leaves: nothing, what was not at rest, or a good snapshot.
#[test]
fn a_hook_that_fails_costs_what_its_policy_says() {
    let cases = [
        (true, Method::Snapshot, 0),
        (true, Method::Files, 0),
        (false, Method::Files, 0),
        (false, Method::Snapshot, 1),
    ];
    for (is_needed, method, restored) in cases {
        let mut protection = databases(&["db"]);
        let (takes, after) = (SimSpan::from_secs(30), SimSpan::from_secs(30));
        let hook = Hook { takes, after, failure_ppm: 1_000_000, is_needed };
        for policy in &mut protection.policies {
            (policy.method, policy.hook) = (method, Some(hook));
        }
        let facts = said_of(protection, &[(7200, Deed::Strike(1))], 0);
        assert_eq!(returned_count(&facts), restored, "{is_needed} {method:?}: {facts:?}");
    }
}

/// Everything that became of one data set, in order.
fn said_of(protection: Protection, deeds: &[(u64, Deed)], id: u32) -> Vec<BackupFact> {
    let deeds: Vec<_> = deeds.iter().map(|(at, deed)| (SimTime::from_secs(*at), *deed)).collect();
    let end = SimTime::ZERO + SimSpan::from_days(60);
    let (_, facts) = run(&blueprint(protection), 1, &deeds, end);
    let wanted = DataSetId(id);
    let is_of = |fact: &BackupFact| match *fact {
        BackupFact::Struck { data_set, .. }
        | BackupFact::Unrestorable { data_set, .. }
        | BackupFact::Returned { data_set, .. } => data_set == wanted,
        _ => false,
    };
    facts.0.into_iter().map(|(_, fact)| fact).filter(is_of).collect()
}

fn returned_count(facts: &[BackupFact]) -> usize {
    facts.iter().filter(|fact| matches!(fact, BackupFact::Returned { .. })).count()
}

const DAY: u64 = 86_400;

#[test]
fn nothing_waits_for_what_will_never_be_back() {
    // Nothing copies the vault, which the shop needs and which is ready to be restored later.
    let mut protection = databases(&["shop", "vault"]);
    protection.data_sets[0].restored_after = vec![DataSetId(1)];
    protection.policies.truncate(1);
    protection.recovery.detect = Range::millis(1, 1_000_000);
    let deeds = [(7200, Deed::Strike(1))];
    let vault = said_of(protection.clone(), &deeds, 1);
    let lacks = |facts: &[BackupFact]| match facts[1..] {
        [BackupFact::Unrestorable { lack, .. }] => lack,
        _ => panic!("{facts:?}"),
    };
    assert_eq!(lacks(&vault), Lack::Policy);
    assert_eq!(returned_count(&said_of(protection, &deeds, 0)), 1);
    // The zone of the bucket is down, so that the restore waits for it; then the bucket is destroyed.
    let deeds = [
        (Deed::PlaceLost(0), Lack::Place),
        (Deed::KeyLost(0), Lack::Key),
        (Deed::Strike(SECOND_ZONE), Lack::Place),
    ];
    for (last, lack) in deeds {
        let mut protection = databases(&["shop"]);
        protection.places[0] = place("bucket", &[1], None, "platform");
        protection.keys = vec![key("key", &protection.places[0])];
        protection.policies[0].key = Some(KeyId(0));
        let deeds = [(7100, Deed::ZoneDown(1, true)), (7200, Deed::Strike(0)), (9000, last)];
        let shop = said_of(protection, &deeds, 0);
        assert_eq!(lacks(&shop), lack, "{last:?}");
    }
}

#[test]
fn what_was_rebuilt_is_backed_up_holds_its_keys_and_is_not_struck_again() {
    // A key that only the vault holds, and that the copies of the shop need.
    let mut protection = databases(&["shop", "vault"]);
    protection.data_sets[0].restored_after = vec![DataSetId(1)];
    protection.keys = vec![Key { kept_at: Vec::new(), kept_in: vec![DataSetId(1)], ..any_key() }];
    protection.policies[0].key = Some(KeyId(0));
    for disaster in [1, 2] {
        let mut protection = protection.clone();
        // The account of the first place is the one that is lost.
        protection.places.push(place("bucket", &[], Some("west"), "vault"));
        protection.policies.iter_mut().for_each(|policy| policy.to = PlaceId(1));
        protection.archives.iter_mut().for_each(|archive| archive.to = PlaceId(1));
        let twice = [(7200, Deed::Strike(disaster)), (20 * DAY, Deed::Strike(disaster))];
        for id in 0..2 {
            let facts = said_of(protection.clone(), &twice, id);
            assert_eq!((facts.len(), returned_count(&facts)), (2, 1), "{id} {facts:?}");
        }
        // A bad migration much later costs what it takes to notice it, not everything since then.
        let spoilt = [(7200, Deed::Strike(disaster)), (30 * DAY, Deed::Strike(3))];
        let facts = said_of(protection, &spoilt, 0);
        let Some(BackupFact::Returned { lost_ns, .. }) = facts.last() else {
            panic!("{facts:?}");
        };
        assert_eq!(*lost_ns, SimSpan::from_hours(5).as_nanos(), "{facts:?}");
    }
}

#[test]
fn snapshots_beside_data_do_not_come_back_with_it() {
    let mut protection = databases(&["db"]);
    protection.archives.clear();
    protection.places.push(place("beside", &[], None, "platform"));
    protection.places[1].location.beside = Some(DataSetId(0));
    protection.policies[0].method = Method::Snapshot;
    protection.policies.push(policy("snapshots", 0, Method::Snapshot, 1));
    protection.policies[1].schedule = model_api::backup::Schedule::Every(SimSpan::from_hours(1));
    // The zone is destroyed after the hourly snapshot of 10:00, and the bucket once the data is back;
    // the bad migration comes before there is any new snapshot.
    let deeds = [
        (10 * 3600 + 60, Deed::Strike(0)),
        (10 * 3600 + 40 * 60, Deed::PlaceLost(0)),
        (10 * 3600 + 41 * 60, Deed::Strike(3)),
    ];
    let facts = said_of(protection, &deeds, 0);
    assert!(matches!(facts.last(), Some(BackupFact::Unrestorable { .. })), "{facts:?}");
}

#[test]
fn an_archive_that_stored_nothing_has_a_gap_however_that_ends() {
    // The gap of an hour is followed by a loss before the next base backup.
    let lost = |deeds: &[(u64, Deed)]| {
        let facts = said_of(databases(&["db"]), deeds, 0);
        let Some(BackupFact::Returned { lost_ns, .. }) = facts.last() else {
            panic!("{facts:?}");
        };
        SimSpan::from_nanos(*lost_ns)
    };
    let struck = (6 * 3600, Deed::Strike(1));
    let silent = (2 * 3600, Deed::Archive(0, Some(true)));
    let mended = (4 * 3600, Deed::Archive(0, None));
    let at_once = lost(&[silent, mended, struck]);
    assert!(at_once >= SimSpan::from_hours(4), "{at_once}");
    let noticed = (3 * 3600, Deed::Archive(0, Some(false)));
    assert_eq!(lost(&[silent, noticed, mended, struck]), at_once);
}

/// Backups begin at midnight, tests fall at some hour of each day, and the backups break at noon.
#[test]
fn a_restore_test_finds_only_what_was_broken_before_it() {
    let tested_every = Some(SimSpan::from_days(1));
    let base = BackupPolicy { tested_every, ..policy("daily", 0, Method::Base, 0) };
    let world = Protection { policies: vec![base], archives: Vec::new(), ..databases(&["orders"]) };
    let world = blueprint(world);
    let hours = |hours: u64| SimTime::from_secs(hours * 3600);
    let deeds = [(hours(12), Deed::Policy(0, Some(true))), (hours(30), Deed::Strike(1))];
    let lost_days = |seed: u64| {
        let (_, facts) = run(&world, seed, &deeds, hours(72));
        let lost = facts.0.into_iter().find_map(|(_, fact)| match fact {
            BackupFact::Returned { lost_ns, .. } => Some(lost_ns),
            _ => None,
        });
        lost.expect("it comes back") / SimSpan::from_days(1).as_nanos()
    };
    let losses: Vec<u64> = (0..40).map(lost_days).collect();
    let missed = losses.iter().filter(|days| **days == 1).count();
    assert!((10..=30).contains(&missed), "a test before noon finds nothing: {losses:?}");
}

#[test]
fn a_key_that_cannot_be_used_stops_copies_and_holds_restores_up() {
    let mut protection = databases(&["db"]);
    protection.keys = vec![key("key", &protection.places[0])];
    protection.policies[0].key = Some(KeyId(0));
    protection.archives[0].key = Some(KeyId(0));
    let (disabled_at, struck_at) = (SimTime::from_secs(3_600), SimTime::from_secs(7_200));
    let enabled_at = SimTime::from_secs(10 * 3_600);
    let told = |deeds: &[(SimTime, Deed)]| {
        let (town, facts) =
            run(&blueprint(protection.clone()), 1, deeds, SimTime::ZERO + SimSpan::from_days(2));
        let returned = facts.0.iter().find_map(|(at, fact)| match fact {
            BackupFact::Returned { lost_ns, .. } => Some((*at, SimSpan::from_nanos(*lost_ns))),
            _ => None,
        });
        (returned, town.backups.archiver(DataSetId(0)))
    };
    let (usual, _) = told(&[(struck_at, Deed::Strike(1))]);
    let (usual_at, usual_lost) = usual.expect("it comes back");
    let disabled = (disabled_at, Deed::KeyDisabled(0, true));
    let (late, _) =
        told(&[disabled, (struck_at, Deed::Strike(1)), (enabled_at, Deed::KeyDisabled(0, false))]);
    let (late_at, late_lost) = late.expect("it comes back");
    assert!(usual_at < enabled_at && late_at > enabled_at, "{usual_at} {late_at}");
    // What was written since the key went is in no archive.
    assert!(late_lost >= struck_at - disabled_at && late_lost > usual_lost, "{late_lost}");
    let (never, archiver) = told(&[disabled, (struck_at, Deed::Strike(1))]);
    assert_eq!((never, archiver), (None, Some(None)));
}

/// What a region lost after this many seconds costs, after some deeds.
fn lost_after(protection: &Protection, deeds: &[(SimTime, Deed)], secs: u64) -> SimSpan {
    let struck_at = SimTime::from_secs(secs);
    let mut all = deeds.to_vec();
    all.push((struck_at, Deed::Strike(1)));
    let end = struck_at + SimSpan::from_days(3);
    let (_, facts) = run(&blueprint(protection.clone()), 1, &all, end);
    let lost = facts.0.iter().find_map(|(_, fact)| match fact {
        BackupFact::Returned { lost_ns, .. } => Some(SimSpan::from_nanos(*lost_ns)),
        _ => None,
    });
    lost.unwrap_or(SimSpan::MAX)
}

#[test]
fn a_full_bucket_takes_nothing_and_gives_what_it_has() {
    let protection = databases(&["db"]);
    let at = |hours: u64| SimTime::from_secs(hours * 3_600);
    let usual = lost_after(&protection, &[], 20 * 3_600);
    assert!(usual < SimSpan::from_mins(10), "{usual}");
    // What was archived before can be restored; the log since waits on the primary, and goes with it.
    let full = lost_after(&protection, &[(at(10), Deed::Full(0, true))], 20 * 3_600);
    assert!(full >= SimSpan::from_hours(10) && full < SimSpan::from_mins(610), "{full}");
    // Once there is room it is stored.
    let emptied = [(at(10), Deed::Full(0, true)), (at(12), Deed::Full(0, false))];
    let lost = lost_after(&protection, &emptied, 20 * 3_600);
    assert!(lost < SimSpan::from_mins(10), "{lost}");
}

/// A run of a day's backup begins at midnight and takes an hour.
#[test]
fn a_server_that_restarts_fails_the_run_that_it_makes() {
    let mut protection = databases(&["volume"]);
    protection.archives.clear();
    let policy = &mut protection.policies[0];
    (policy.method, policy.overhead) = (Method::Files, SimSpan::from_hours(1));
    policy.moved_bytes = 0;
    let at = |minutes: u64| SimTime::from_secs(minutes * 60);
    let midnight = 24 * 60;
    let lost = |deeds: &[(SimTime, Deed)]| lost_after(&protection, deeds, (midnight + 300) * 60);
    let around = |from: u64, until: u64| {
        [(at(from), Deed::Server(0, false)), (at(until), Deed::Server(0, true))]
    };
    // Two hours after midnight the day's copy is there, unless the server restarts while it is made.
    assert_eq!(lost(&[]), SimSpan::from_hours(5));
    assert_eq!(lost(&around(midnight + 90, midnight + 91)), SimSpan::from_hours(5));
    assert_eq!(lost(&around(midnight + 30, midnight + 31)), SimSpan::from_hours(29));
    // One that is away when a run is due makes it when it is back.
    assert_eq!(lost(&around(midnight - 10, midnight + 20)), SimSpan::from_mins(280));
}

/// Of daily copies that are kept for two days, none is left after five days without a run, unless whoever
/// deletes them is away like whoever makes them.
#[test]
fn nothing_expires_while_whoever_deletes_it_is_away() {
    let mut protection = databases(&["volume"]);
    protection.archives.clear();
    let policy = &mut protection.policies[0];
    (policy.method, policy.overhead, policy.moved_bytes) = (Method::Files, SimSpan::ZERO, 0);
    policy.retention = Retention::For(SimSpan::from_days(2));
    let at = |hours: u64| SimTime::from_secs(hours * 3_600);
    let lost = |deeds: &[(SimTime, Deed)]| lost_after(&protection, deeds, 125 * 3_600);
    assert_eq!(lost(&[(at(1), Deed::Policy(0, Some(false)))]), SimSpan::MAX);
    assert_eq!(lost(&[(at(1), Deed::Server(0, false))]), SimSpan::from_hours(125));
    // It looks at all of them when it is back, and has made another one by then.
    let back = [(at(1), Deed::Server(0, false)), (at(124), Deed::Server(0, true))];
    assert_eq!(lost(&back), SimSpan::from_hours(1));
    let broken = (at(1), Deed::Policy(0, Some(false)));
    assert_eq!(lost(&[&[broken], &back[..]].concat()), SimSpan::MAX);
}

/// A server that is lost with the region deletes nothing until people are ready to read.
#[test]
fn copies_outlive_the_region_of_whoever_deletes_them() {
    let mut protection = databases(&["volume"]);
    protection.archives.clear();
    protection.recovery.decide = fixed(5 * 24 * 60);
    protection.policies[0].method = Method::Snapshot;
    protection.policies[0].retention = Retention::For(SimSpan::from_days(2));
    assert_eq!(returns(protection.clone(), SimTime::from_secs(90_000)), []);
    protection.policies[0].server = Some(WorkloadId(0));
    let deeds = [(SimTime::from_secs(90_000), Deed::Strike(1))];
    let end = SimTime::from_secs(90_000) + SimSpan::from_days(9);
    let (_, facts) = run(&blueprint(protection), 1, &deeds, end);
    let is_back = |it: &(SimTime, BackupFact)| matches!(it.1, BackupFact::Returned { .. });
    assert!(facts.0.iter().any(is_back), "{facts:?}");
}

#[test]
fn the_end_of_a_run_tells_what_is_not_back() {
    let still = |protection: Protection, deed: Deed, end_hour: u64| {
        let end = SimTime::from_secs(end_hour * 3600);
        let (_, facts) = run(&blueprint(protection), 1, &[(SimTime::from_secs(7200), deed)], end);
        facts.0.into_iter().find_map(|(_, fact)| match fact {
            BackupFact::StillLost { lost_ns, is_known, .. } => {
                Some((SimSpan::from_nanos(lost_ns), is_known))
            }
            _ => None,
        })
    };
    let hours = SimSpan::from_hours;
    // A bad migration that is found after five hours: until then more is written to it.
    let spoilt = |hour| still(databases(&["db"]), Deed::Strike(3), hour);
    assert_eq!(spoilt(4), Some((hours(2), false)));
    assert_eq!(spoilt(6), Some((hours(4), false)));
    assert_eq!(spoilt(100), None);
    // Whatever is found, there is nothing.
    let mut bare = databases(&["db"]);
    bare.policies.clear();
    let all = Some((SimSpan::MAX, true));
    assert_eq!(still(bare.clone(), Deed::Strike(3), 4), all);
    assert_eq!(still(bare, Deed::Strike(3), 100), None, "that was told when it was found out");
    // A restore that reads still: what it brings back is known.
    let mut slow = databases(&["db"]);
    slow.places[0].read_bytes_per_second = 1;
    let reads = still(slow, Deed::Strike(1), 4).expect("it reads for years");
    assert!(reads.1 && !reads.0.is_zero() && reads.0 < hours(1), "{reads:?}");
}

/// What came of a loss in the content at 2 h that is found after an hour, with a second disaster.
fn struck_again(more: &[(u64, Deed)]) -> (Vec<(u64, BackupFact)>, Town) {
    let mut protection = databases(&["db"]);
    protection.data_sets[0].discovery = SimSpan::from_hours(1);
    let first = (SimTime::from_secs(7_200), Deed::Strike(3));
    let more = more.iter().map(|(secs, deed)| (SimTime::from_secs(*secs), *deed));
    let deeds: Vec<_> = std::iter::once(first).chain(more).collect();
    let end = SimTime::ZERO + SimSpan::from_days(3);
    let (town, facts) = run(&blueprint(protection), 1, &deeds, end);
    let is_told =
        |fact: &BackupFact| !matches!(fact, BackupFact::Exposure(_) | BackupFact::Kept { .. });
    let told = facts.0.into_iter().filter(|(_, fact)| is_told(fact));
    (told.map(|(at, fact)| (at.as_secs(), fact)).collect(), town)
}

/// When it is back, and what its parts sum to, in seconds.
fn back(facts: &[(u64, BackupFact)]) -> (u64, u64) {
    let returned: Vec<_> = facts
        .iter()
        .filter_map(|(at, fact)| match fact {
            BackupFact::Returned { parts, .. } => Some((*at, parts.sum_ns() / 1_000_000_000)),
            _ => None,
        })
        .collect();
    assert_eq!(returned.len(), 1, "{facts:?}");
    returned[0]
}

#[test]
fn what_is_struck_again_before_it_is_back_is_restored_again() {
    let struck = |facts: &[(u64, BackupFact)]| {
        facts.iter().filter(|(_, fact)| matches!(fact, BackupFact::Struck { .. })).count()
    };
    let once = struck_again(&[]).0;
    let (once_at, sum) = back(&once);
    // Found after an hour; 100 GiB at 100 MiB/s and a log take more than 17 min.
    let found_at = 7_200 + 3_600;
    assert_eq!(sum, once_at - 7_200);
    assert!(once_at > found_at + 1_000);
    // The same, 10 min before the restore begins and 10 min after.
    for (at, is_anew) in [(found_at - 600, false), (found_at + 600, true)] {
        let (facts, town) = struck_again(&[(at, Deed::Strike(3))]);
        let (back_at, sum) = back(&facts);
        assert_eq!((struck(&facts), sum), (2, back_at - 7_200), "{facts:?}");
        let expected = if is_anew { at + 3_600 + (once_at - found_at) } else { once_at };
        assert_eq!(back_at, expected, "{at}");
        assert!(!town.backups.is_lost(DataSetId(0)));
    }
    // The region, while bytes move, and before anybody knows of the first.
    for at in [found_at + 600, found_at - 600] {
        let (facts, _) = struck_again(&[(at, Deed::Strike(1))]);
        let (back_at, sum) = back(&facts);
        assert_eq!((struck(&facts), sum), (2, back_at - 7_200), "{facts:?}");
        assert_eq!(back_at, at + (once_at - found_at), "{at}");
    }
}

#[test]
fn restores_that_read_one_place_share_what_it_gives() {
    // 50 GiB and 100 GiB at 100 MiB/s: 512 s and 1024 s by themselves.
    let fetch = |read: u64, volume: Option<u64>, parallel: u32| {
        let mut protection = databases(&["small", "large"]);
        protection.data_sets[0].size_bytes = 50 << 30;
        protection.places[0].read_bytes_per_second = read << 20;
        for data_set in &mut protection.data_sets {
            data_set.volume_bytes_per_second = volume.map(|it| it << 20);
        }
        protection.recovery.parallel = parallel;
        let mut returned = returns(protection, SimTime::from_secs(7200));
        returned.sort_by_key(|(id, _, _)| *id);
        let (sums, back): (Vec<u64>, Vec<u64>) =
            returned.iter().map(|(_, back, parts)| (parts.sum_ns(), back.as_nanos())).unzip();
        assert_eq!(sums, back, "the parts are the whole");
        let secs = |parts: &RecoveryParts| (parts.fetch_ns + 500_000_000) / 1_000_000_000;
        returned.iter().map(|(_, _, parts)| secs(parts)).collect::<Vec<_>>()
    };
    // One after another; together at half the rate until the small one is done; each as fast as its volume.
    assert_eq!(fetch(100, None, 1), [512, 1024]);
    assert_eq!(fetch(100, None, 2), [1024, 1536]);
    assert_eq!(fetch(200, Some(100), 2), [512, 1024]);
    assert_eq!(fetch(150, Some(100), 2), [683, 1195]);
}
