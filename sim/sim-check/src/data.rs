//! What was exposed, what was kept, what came back: of each data set.

use model_api::backup::{DataSetKind, DisasterClass, Location, Protection};
use model_api::guarantee::{Comparison, DataPromise};
use model_api::observation::{BackupFact, RecoveryParts};
use model_api::{Blueprint, DataSetId};
use sim_kernel::{SimSpan, SimTime};

use crate::explain::data::words;

/// Had it struck at the worst moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Most that would have been lost, as time; [`SimSpan::MAX`] for everything.
    pub loss_max: SimSpan,
    /// When.
    pub loss_max_at: SimTime,
    /// Longest time to be back; [`SimSpan::MAX`] for never.
    pub back_max: SimSpan,
    /// When.
    pub back_max_at: SimTime,
    /// It may take so much longer than what was found by trying; [`SimSpan::MAX`] when not all of a run was
    /// tried.
    pub back_slack: SimSpan,
    /// The most that would have been lost is a bound: who would have gone on was not known yet.
    pub is_loss_bound: bool,
    /// So much would have been lost at some moment for sure.
    pub loss_sure: SimSpan,
    /// Some disaster of the class leaves a live copy that takes over, and how soon is not foretold.
    pub takes_over: bool,
}

/// What happened to one data set, and what could have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataMeasures {
    /// By class, in the order of [`DisasterClass::ALL`]; `None` when it was never exposed.
    pub exposures: [Option<Exposure>; DisasterClass::ALL.len()],
    /// The least age at which copies were deleted; `None` when none were.
    pub kept: Option<SimSpan>,
    /// It was lost so many times.
    pub struck_count: u32,
    /// It could not be restored.
    pub is_gone: bool,
    /// What its recoveries were spent on.
    pub recoveries: Vec<RecoveryParts>,
}

impl DataMeasures {
    /// Takes in how long clients waited in strikes that were tried until a live copy had taken over, and how
    /// much longer it may be.
    pub fn note_takeover(
        &mut self,
        class: DisasterClass,
        (longest, at): (SimSpan, SimTime),
        slack: SimSpan,
    ) {
        let Some(seen) = &mut self.exposures[class as usize] else { return };
        seen.takes_over = false;
        if longest >= seen.back_max {
            (seen.back_max, seen.back_max_at) = (longest, at);
        }
        seen.back_slack = match slack {
            SimSpan::MAX => SimSpan::MAX,
            slack => longest.saturating_add(slack).saturating_sub(seen.back_max),
        };
    }

    /// Its exposure to a class.
    pub fn exposure(&self, class: DisasterClass) -> Option<Exposure> {
        self.exposures[class as usize]
    }
}

fn span(nanos: u64) -> SimSpan {
    SimSpan::from_nanos(nanos)
}

/// Takes a fact.
pub(crate) fn fold(data: &mut [DataMeasures], fact: &BackupFact) {
    match *fact {
        BackupFact::Exposure(stretch) => {
            let seen = Exposure {
                loss_max: span(stretch.loss_max_ns),
                loss_max_at: stretch.loss_max_at,
                back_max: span(stretch.back_max_ns),
                back_max_at: stretch.back_max_at,
                back_slack: SimSpan::ZERO,
                is_loss_bound: stretch.is_loss_bound,
                loss_sure: span(stretch.loss_sure_ns),
                takes_over: stretch.takes_over,
            };
            let slot = &mut data[stretch.data_set.index()].exposures[stretch.class as usize];
            let worst = slot.get_or_insert(seen);
            // Of equals one that is sure, so that the most is called a bound only where nothing else is so bad.
            if seen.loss_max > worst.loss_max {
                (worst.loss_max, worst.loss_max_at) = (seen.loss_max, seen.loss_max_at);
                worst.is_loss_bound = seen.is_loss_bound;
            } else if seen.loss_max == worst.loss_max {
                worst.is_loss_bound &= seen.is_loss_bound;
            }
            worst.loss_sure = worst.loss_sure.max(seen.loss_sure);
            worst.takes_over |= seen.takes_over;
            if seen.back_max > worst.back_max {
                (worst.back_max, worst.back_max_at) = (seen.back_max, seen.back_max_at);
            }
        }
        BackupFact::Kept { data_set, age_ns } => {
            let kept = &mut data[data_set.index()].kept;
            *kept = Some(kept.map_or(span(age_ns), |least| least.min(span(age_ns))));
        }
        BackupFact::Struck { data_set, .. } => data[data_set.index()].struck_count += 1,
        BackupFact::Unrestorable { data_set, .. } => data[data_set.index()].is_gone = true,
        BackupFact::Returned { data_set, parts, .. } => {
            data[data_set.index()].recoveries.push(parts);
        }
        BackupFact::StillLost { .. }
        | BackupFact::LogStranded { .. }
        | BackupFact::LossDiscovered { .. }
        | BackupFact::RestoreDecided { .. }
        | BackupFact::RunbookDone { .. }
        | BackupFact::RestoreStarted { .. }
        | BackupFact::RestoreDone { .. } => {}
    }
}

/// What came of a promise in one run.
pub(crate) enum Judged {
    /// It holds, or not, by this value in the promise's unit.
    By(bool, i64),
    /// There was nothing to judge, for this reason.
    Nothing(&'static str),
    /// It cannot be said whether it holds, for this reason.
    Open(String),
}

/// Judges a promise about a data set.
pub(crate) fn judge(
    data_set: DataSetId,
    promise: &DataPromise,
    data: &[DataMeasures],
    blueprint: &Blueprint,
) -> Judged {
    let seen = &data[data_set.index()];
    let nanos = |span: SimSpan| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    const NEVER_THERE: &str = "it was lost from the start to the end, so nothing could strike it";
    match promise {
        DataPromise::Loss { class, limit } => match seen.exposure(*class) {
            Some(it) => {
                let holds = limit.comparison.holds(&it.loss_max, &limit.value);
                // A bound decides only where the least that is lost says the same.
                if limit.comparison.holds(&it.loss_sure, &limit.value) == holds {
                    Judged::By(holds, nanos(it.loss_max))
                } else {
                    Judged::Open(who_goes_on(it.loss_sure, it.loss_max))
                }
            }
            None => Judged::Nothing(NEVER_THERE),
        },
        DataPromise::Back { class, limit } => match seen.exposure(*class) {
            Some(it) => {
                let holds = limit.comparison.holds(&it.back_max, &limit.value);
                // What is foretold is the least that it takes.
                let is_settled = match limit.comparison {
                    Comparison::LessOrEqual | Comparison::Less => !holds,
                    Comparison::GreaterOrEqual | Comparison::Greater => holds,
                    Comparison::Equal => it.back_max > limit.value,
                };
                let most = it.back_max.saturating_add(it.back_slack);
                let unknown = if it.takes_over {
                    Some(not_foretold(data_set, *class, blueprint))
                } else if limit.comparison.holds(&most, &limit.value) != holds {
                    Some(between(it.back_max, it.back_slack))
                } else {
                    without_pods(data_set, *class, blueprint)
                };
                match unknown.filter(|_| !is_settled) {
                    Some(why) => Judged::Open(why),
                    None => Judged::By(holds, nanos(it.back_max)),
                }
            }
            None => Judged::Nothing(NEVER_THERE),
        },
        DataPromise::Restorable { class } => match seen.exposure(*class) {
            Some(it) => {
                let is_restorable = it.loss_max != SimSpan::MAX;
                Judged::By(is_restorable, i64::from(is_restorable))
            }
            None => Judged::Nothing(NEVER_THERE),
        },
        DataPromise::Retention { limit } => match seen.kept {
            Some(kept) => Judged::By(limit.comparison.holds(&kept, &limit.value), nanos(kept)),
            None if blueprint.protection.policies_of(data_set).next().is_none() => {
                Judged::By(false, 0)
            }
            None => Judged::Nothing("no copy was deleted: neither in the run nor before it"),
        },
        DataPromise::Residency { jurisdiction } => {
            let strays = strays(data_set, jurisdiction, blueprint);
            Judged::By(strays.is_empty(), i64::from(strays.is_empty()))
        }
    }
}

/// Why it is not known how much is lost.
fn who_goes_on(least: SimSpan, most: SimSpan) -> String {
    format!(
        "between {} and {} would have been lost: who would have gone on was not known at the worst moment, \
         because no copy that was left could be promoted yet; strike it with a fault to see what one run does",
        words(least),
        words(most)
    )
}

/// Why it is not known how soon data is back from a disaster that leaves a live copy of it.
fn not_foretold(data_set: DataSetId, class: DisasterClass, blueprint: &Blueprint) -> String {
    let spec = &blueprint.protection.data_sets[data_set.index()];
    let (what, fault) = match class {
        DisasterClass::Node => ("node", "nodeCrash"),
        _ => ("zone", "zonePowerLoss"),
    };
    let subject = match spec.kind {
        DataSetKind::Database(_) => spec.name.as_str(),
        _ => "the Service that needs it",
    };
    format!(
        "a {what} leaves a live copy of {}, and how soon that takes over is known only when one is lost: promise rto({subject}) with a {fault} among the faults",
        spec.name
    )
}

/// Why strikes that were tried do not tell whether a promise holds.
fn between(longest: SimSpan, slack: SimSpan) -> String {
    if slack == SimSpan::MAX {
        format!(
            "the longest of the strikes that were tried took {longest}, and too much changes in a run for all of it to be tried: shorten the horizon"
        )
    } else {
        format!(
            "the longest of the strikes that were tried took {longest}, and one between two of them may take {slack} longer"
        )
    }
}

/// Why it is not known how soon volumes serve again that a disaster takes with the whole region: pods start on
/// them once they are restored, and only a run that is struck tells how soon.
fn without_pods(
    data_set: DataSetId,
    class: DisasterClass,
    blueprint: &Blueprint,
) -> Option<String> {
    let spec = &blueprint.protection.data_sets[data_set.index()];
    let takes_region = match class {
        DisasterClass::Region => true,
        DisasterClass::Account => spec.account == blueprint.protection.account,
        _ => false,
    };
    let is_of_pods = matches!(spec.kind, DataSetKind::Volumes(_));
    (takes_region && is_of_pods).then(|| {
        format!(
            "the {} takes the pods of {} as well, and how soon they run on what was restored is known only when it strikes: promise rto of the Service that needs it, with a regionLoss or an accountLoss among the faults",
            class.name(),
            spec.name
        )
    })
}

/// What of a data set, of its copies and of their keys stands outside of a jurisdiction.
pub(crate) fn strays(
    data_set: DataSetId,
    jurisdiction: &str,
    blueprint: &Blueprint,
) -> Vec<String> {
    let protection = &blueprint.protection;
    let is_stray = |location: &Location| location.jurisdiction != jurisdiction;
    let spec = &protection.data_sets[data_set.index()];
    let zones = spec.zones.iter().map(|zone| &blueprint.zones[zone.index()]);
    let mut found: Vec<String> = zones
        .filter(|zone| zone.jurisdiction != jurisdiction)
        .map(|zone| format!("zone {}", zone.name))
        .collect();
    let (places, keys) = used(data_set, protection);
    for place in places {
        let place = &protection.places[place];
        if is_stray(&place.location) {
            found.push(format!("place {}", place.name));
        }
    }
    for key in keys {
        let key = &protection.keys[key];
        if key.kept_at.iter().any(is_stray) {
            found.push(format!("key {}", key.name));
        }
    }
    found
}

/// Places and keys that copies of a data set go to.
fn used(data_set: DataSetId, protection: &Protection) -> (Vec<usize>, Vec<usize>) {
    let (mut places, mut keys) = (Vec::new(), Vec::new());
    for policy in protection.policies_of(data_set) {
        let policy = &protection.policies[policy.index()];
        places.push(policy.to);
        places.extend(policy.copies.iter().map(|copy| copy.to));
        keys.extend(policy.key);
    }
    if let Some(archive) = protection.archive_of(data_set) {
        places.push(archive.to);
        places.extend(archive.copies.iter().map(|copy| copy.to));
        keys.extend(archive.key);
    }
    places.sort_unstable();
    places.dedup();
    keys.sort_unstable();
    keys.dedup();
    let places = places.into_iter().map(|id| id.index()).collect();
    (places, keys.into_iter().map(|id| id.index()).collect())
}
