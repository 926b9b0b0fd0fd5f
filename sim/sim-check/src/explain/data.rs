//! Losses of data and restores, in words.

use model_api::backup::DisasterClass;
use model_api::observation::BackupFact;
use model_api::{DataSetId, Observation, SourceRef};
use report_data::{Explanation, Part, Step};
use sim_kernel::{EventId, SimSpan, SimTime};

use super::Story;

impl<E> Story<'_, E> {
    /// A fact in words, with the place of the data set.
    pub(super) fn data_sentence(&self, fact: &BackupFact) -> Option<(String, Option<SourceRef>)> {
        let protection = &self.blueprint.protection;
        let (data_set, text) = match fact {
            BackupFact::Exposure(_) | BackupFact::Kept { .. } => return None,
            BackupFact::Struck { data_set, class } => {
                let text = match class {
                    DisasterClass::Logical => "its content is destroyed in every live copy",
                    DisasterClass::Ransomware => {
                        "its content is destroyed, and every copy that can be deleted is"
                    }
                    _ => "its last live copy is gone",
                };
                (data_set, text.to_owned())
            }
            BackupFact::LogStranded { data_set, segment_count } => (
                data_set,
                format!(
                    "{segment_count} segments of its log are on its old primary alone: no restore leads past them"
                ),
            ),
            BackupFact::LossDiscovered { data_set } => (data_set, "the loss is known".to_owned()),
            BackupFact::RestoreDecided { data_set } => {
                (data_set, "it is decided to restore".to_owned())
            }
            BackupFact::RunbookDone { data_set } => {
                (data_set, "the steps of the runbook are done".to_owned())
            }
            BackupFact::RestoreStarted { data_set, bad_count: 0 } => {
                (data_set, "a restore begins".to_owned())
            }
            BackupFact::RestoreStarted { data_set, bad_count } => (
                data_set,
                format!("a restore begins; {bad_count} copies turn out not to be restorable first"),
            ),
            BackupFact::Unrestorable { data_set, lack } => {
                (data_set, format!("nothing is left to restore from: {}", lack.words()))
            }
            BackupFact::StillLost { data_set, lost_ns, is_known } => {
                let at_least = if *is_known { "" } else { "at least " };
                let lost = lost(SimSpan::from_nanos(*lost_ns));
                (data_set, format!("the run ends, and {at_least}{lost} is lost"))
            }
            BackupFact::RestoreDone { data_set } => (data_set, "the data is there".to_owned()),
            BackupFact::Returned { data_set, lost_ns, .. } => {
                (data_set, format!("it is back, without {}", lost(SimSpan::from_nanos(*lost_ns))))
            }
        };
        let spec = &protection.data_sets[data_set.index()];
        Some((format!("{}: {text}", spec.name), Some(spec.origin.object)))
    }

    /// What came of an observation at the end of a run, where that has no event of its own: the loss of
    /// the data it speaks of.
    pub(super) fn lost_by(&self, observation: &Observation) -> Option<EventId> {
        let protection = &self.blueprint.protection;
        let data_set = match *observation {
            Observation::CommitsLost { database, .. } => protection.of_database(database)?,
            Observation::Backup(BackupFact::StillLost { data_set, .. }) => data_set,
            _ => return None,
        };
        let records = self.journal.observations().iter().rev();
        let mut struck = records.filter(|record| match record.observation {
            Observation::Backup(BackupFact::Struck { data_set: of, .. }) => of == data_set,
            _ => false,
        });
        struck.next().map(|record| record.cause)
    }

    /// Explains the worst moment of a data set's exposure to a class of disaster: what it costs, and when that is.
    pub fn exposure(
        &self,
        run: u64,
        data_set: DataSetId,
        class: DisasterClass,
        is_loss: bool,
        (most, at): (SimSpan, SimTime),
    ) -> Explanation {
        let records = self.journal.observations().iter();
        let mut lacks = records.clone().rev().filter_map(|record| match record.observation {
            Observation::Backup(BackupFact::Exposure(stretch))
                if stretch.data_set == data_set && stretch.class == class =>
            {
                stretch.lack
            }
            _ => None,
        });
        let lack = lacks.next();
        let before = records.filter(|record| record.at <= at).filter(|record| {
            matches!(
                record.observation,
                Observation::FaultStruck { .. } | Observation::FaultEnded { .. }
            )
        });
        let mut steps: Vec<Step> =
            before.filter_map(|record| self.step(record.at, &record.observation)).collect();
        let spec = &self.blueprint.protection.data_sets[data_set.index()];
        let cost = match (is_loss, most == SimSpan::MAX) {
            (true, _) => format!("would cost {}", lost(most)),
            (false, true) => "could not be recovered from".to_owned(),
            (false, false) => format!("would take {} to recover from", words(most)),
        };
        let why = lack.filter(|_| most == SimSpan::MAX);
        let why = why.map(|lack| format!(": {}", lack.words())).unwrap_or_default();
        steps.push(Step {
            at_ns: at.as_nanos(),
            text: format!("{}: {} at this moment {cost}{why}", spec.name, struck_by(class)),
            position: self.position(spec.origin.object),
        });
        Explanation { run, steps, outage_parts: Vec::new() }
    }

    /// Says of a promise that needs no run which input breaks it.
    pub fn stray(&self, run: u64, data_set: DataSetId, jurisdiction: &str) -> Explanation {
        let protection = &self.blueprint.protection;
        let strays = crate::data::strays(data_set, jurisdiction, self.blueprint);
        let spec = &protection.data_sets[data_set.index()];
        let step = Step {
            at_ns: SimTime::ZERO.as_nanos(),
            text: format!("{}: outside of {jurisdiction} stand {}", spec.name, strays.join(", ")),
            position: self.position(spec.origin.object),
        };
        Explanation { run, steps: vec![step], outage_parts: Vec::new() }
    }
}

fn lost(span: SimSpan) -> String {
    if span == SimSpan::MAX {
        "everything".to_owned()
    } else {
        format!("what was written in {}", words(span))
    }
}

/// A span as precisely as people speak of it: `93ms`, `5.2s`, `9m 17s`, `25h 00m`.
pub(crate) fn words(span: SimSpan) -> String {
    let secs = span.as_secs();
    match span.as_nanos() {
        0 => "0s".to_owned(),
        nanos if secs == 0 => format!("{}ms", nanos.div_ceil(1_000_000)),
        nanos if secs < 60 => {
            format!("{secs}.{}s", nanos % 1_000_000_000 / 100_000_000)
        }
        _ if secs < 3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        _ => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
    }
}

fn struck_by(class: DisasterClass) -> &'static str {
    match class {
        DisasterClass::Node => "the loss of a node",
        DisasterClass::Zone => "the loss of a zone",
        DisasterClass::Region => "the loss of the region",
        DisasterClass::Account => "the loss of its account",
        DisasterClass::Logical => "a loss in its content",
        DisasterClass::Ransomware => "ransomware",
    }
}

/// What the wait for a fact was spent on.
pub(super) fn part(fact: &BackupFact) -> Option<Part> {
    match fact {
        BackupFact::LossDiscovered { .. } => Some(Part::Detect),
        BackupFact::RestoreDecided { .. } => Some(Part::Decide),
        BackupFact::RunbookDone { .. } => Some(Part::Act),
        BackupFact::RestoreStarted { .. } => Some(Part::Provision),
        BackupFact::RestoreDone { .. } => Some(Part::Start),
        BackupFact::Returned { .. } => Some(Part::Warm),
        BackupFact::Exposure(_)
        | BackupFact::Kept { .. }
        | BackupFact::LogStranded { .. }
        | BackupFact::Struck { .. }
        | BackupFact::StillLost { .. }
        | BackupFact::Unrestorable { .. } => None,
    }
}
