//! Leader election and etcd's quorum.

use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::tree::Tree;
use model_kube::etcd;
use model_kube::leader_election::{ElectionConfig, Elector, LeaseRecord};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    match case.operation() {
        "tryAcquireOrRenew" => check_attempts(case),
        "takeover" => check_takeover(case),
        "healthz" => check_health(case),
        "takeoverWindow" => check_window(case),
        "renewDeadline" => check_giving_up(case),
        "quorum" => check_quorum(case),
        "zoneLoss" => check_zone_loss(case),
        _ => None,
    }
}

fn config(case: &Case<'_>) -> ElectionConfig {
    let config = case.given.at("config");
    let secs =
        |name: &str, default| config.at(name).duration().unwrap_or(SimSpan::from_secs(default));
    ElectionConfig {
        lease: secs("leaseDurationSeconds", 15),
        renew_deadline: secs("renewDeadlineSeconds", 10),
        retry_period: secs("retryPeriodSeconds", 2),
    }
}

/// A moment that leaves room before it.
const BASE: SimTime = SimTime::from_days(365);

fn record(case: &Case<'_>) -> Option<LeaseRecord> {
    let leases = case.objects("Lease");
    let spec = leases.first()?.at("spec");
    Some(LeaseRecord {
        holder: spec.at("holderIdentity").text().to_owned(),
        lease: spec.at("leaseDurationSeconds").duration().unwrap_or(SimSpan::ZERO),
        acquired_at: spec.at("acquireTime").time().unwrap_or(SimTime::ZERO),
        renewed_at: spec.at("renewTime").time().unwrap_or(SimTime::ZERO),
        transitions: spec.at("leaseTransitions").count(),
    })
}

/// An elector that saw the record as long ago as the case says.
fn elector(case: &Case<'_>, record: Option<&LeaseRecord>) -> Elector {
    let mut elector = Elector::new(case.given.at("identity").text(), config(case));
    let ago = case.given.at("secondsSinceThisClientLastSawTheRecordChange").duration();
    if let (Some(record), Some(ago)) = (record, ago) {
        elector.observe(record, BASE - ago);
    }
    elector
}

fn check_attempts(case: &mut Case<'_>) -> Option<()> {
    let mut record = record(case);
    let before = record.as_ref().map_or(0, |record| record.transitions);
    let mut elector = elector(case, record.as_ref());
    let mut got = Vec::new();
    for at in case.given.at("attemptsAtSeconds").items() {
        got.push(elector.try_acquire_or_renew(&mut record, BASE + at.duration()?));
    }
    let read = |tree: Tree<'_>| tree.items().map(Tree::is_true).collect::<Vec<_>>();
    case.compare_if_given("success", read, got);
    let record = record.unwrap_or_default();
    case.compare_if_given("holderAfter", |it| it.text().to_owned(), record.holder.clone());
    case.compare_if_given("leaderTransitionsAdded", Tree::count, record.transitions - before);
    Some(())
}

fn check_takeover(case: &mut Case<'_>) -> Option<()> {
    let config = config(case);
    let mut leader = Elector::new("old leader", config);
    let mut record = None;
    // Everything that happens, in order of time; the leader before candidates.
    let mut happenings: Vec<(SimTime, Option<usize>)> = Vec::new();
    for at in case.given.at("oldLeaderRenewalsAtSeconds").items() {
        happenings.push((BASE + at.duration()?, None));
    }
    let candidates: Vec<(&str, Tree<'_>)> =
        case.given.at("candidatePollsAtSeconds").fields().collect();
    let mut electors: Vec<Elector> =
        candidates.iter().map(|(name, _)| Elector::new(name, config)).collect();
    for (idx, (_, polls)) in candidates.iter().enumerate() {
        for at in polls.items() {
            happenings.push((BASE + at.duration()?, Some(idx)));
        }
    }
    happenings.sort_unstable();
    let mut taken = None;
    for (at, who) in happenings {
        match who {
            None => {
                leader.try_acquire_or_renew(&mut record, at);
            }
            Some(idx) if electors[idx].try_acquire_or_renew(&mut record, at) => {
                taken = Some((candidates[idx].0.to_owned(), at - BASE));
                break;
            }
            Some(_) => {}
        }
    }
    let (holder, at) = taken.unwrap_or_default();
    case.compare_if_given("newHolder", |it| it.text().to_owned(), holder);
    case.compare_if_given("acquiredAtSeconds", Tree::duration, Some(at));
    Some(())
}

fn check_health(case: &mut Case<'_>) -> Option<()> {
    if case.given.at("electorStarted").bool() == Some(false) {
        case.compare_if_given("healthy", Tree::is_true, true);
        return Some(());
    }
    let tolerance = case.given.at("config.healthTimeoutSeconds").duration()?;
    let record = record(case);
    let elector = elector(case, record.as_ref());
    case.compare_if_given("healthy", Tree::is_true, elector.is_healthy(BASE, tolerance));
    Some(())
}

/// The least and the most time to the take-over by one candidate: from the crash, or from the last
/// renewal where the expectation says so. Expectations are known by the words in their names.
fn check_window(case: &mut Case<'_>) -> Option<()> {
    let config = config(case);
    for (name, expected) in case.expect.fields() {
        let says = |words: &[&str]| words.iter().any(|word| name.to_lowercase().contains(word));
        let is_poll = says(&["poll", "retry"]);
        let got = if says(&["earliest", "least", "min", "lower", "shortest"]) {
            let since_renewal = says(&["renew"]);
            match (is_poll, since_renewal) {
                (true, _) => config.retry_period,
                (false, true) => config.lease,
                (false, false) => config.lease - config.retry_period,
            }
        } else if says(&["latest", "most", "max", "upper", "longest"]) {
            let longest = config.longest_pause();
            if is_poll { longest } else { config.lease + longest * 2 }
        } else {
            continue;
        };
        case.compare(name, expected.duration(), Some(got));
    }
    Some(())
}

/// When a leader that can no longer renew gives up: so long after its last success, at so many
/// seconds when the case says when that was.
fn check_giving_up(case: &mut Case<'_>) -> Option<()> {
    let span = config(case).stops_after();
    let succeeded_at = case.given.fields().find(|(name, _)| {
        let name = name.to_lowercase();
        name.contains("last") && name.ends_with("atseconds")
    });
    let succeeded_at = succeeded_at.and_then(|(_, at)| at.duration()).unwrap_or(SimSpan::ZERO);
    for (name, expected) in case.expect.fields() {
        let name_says_moment = name.ends_with("AtSeconds");
        let got = if name_says_moment { span + succeeded_at } else { span };
        case.compare(name, expected.duration(), Some(got));
    }
    Some(())
}

fn check_quorum(case: &mut Case<'_>) -> Option<()> {
    let count = case.given.at("members").count() as usize;
    let read = |tree: Tree<'_>| tree.count() as usize;
    case.compare_if_given("majority", read, etcd::majority(count));
    case.compare_if_given("failureTolerance", read, etcd::failure_tolerance(count));
    Some(())
}

fn check_zone_loss(case: &mut Case<'_>) -> Option<()> {
    let lost = case.given.at("lostZones").texts();
    let zones: Vec<(&str, Tree<'_>)> = case.given.at("membersPerZone").fields().collect();
    let count = |is_counted: &dyn Fn(&str) -> bool| -> usize {
        let counted = zones.iter().filter(|(zone, _)| is_counted(zone));
        counted.map(|(_, members)| members.count() as usize).sum()
    };
    let total = count(&|_| true);
    let down = case.given.at("otherMembersDown").count() as usize;
    let left = count(&|zone| !lost.iter().any(|it| it == zone)).saturating_sub(down);
    let has_quorum = etcd::has_quorum(left, total);
    let read = |tree: Tree<'_>| tree.count() as usize;
    case.compare_if_given("membersLeft", read, left);
    case.compare_if_given("majority", read, etcd::majority(total));
    case.compare_if_given("hasQuorum", Tree::is_true, has_quorum);
    case.compare_if_given("writes", Tree::is_true, has_quorum);
    case.compare_if_given("linearizableReads", Tree::is_true, has_quorum);
    case.compare_if_given("serializableReads", Tree::is_true, left > 0);
    Some(())
}
