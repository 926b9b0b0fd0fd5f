//! Recovery in time: the parts, the order, the queue, and the worked values of the specification.

use model_api::backup::{Method, Protection, Recovery, RunbookStep};
use model_api::observation::{BackupFact, RecoveryParts};
use model_api::parameters::Range;
use model_api::{DataSetId, SimSpan, SimTime};

use crate::town::{Deed, archive, blueprint, data_set, place, policy, run};

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
