//! How it came to the longest time in which a database took no writes, and what that was spent on.

use std::collections::BTreeSet;

use model_api::observation::{BackupFact, InstanceFact};
use model_api::{DataSetId, DatabaseId, Observation};
use report_data::{Explanation, Step};
use sim_kernel::{EventId, SimSpan, SimTime};

use super::Story;
use super::path::Told;

/// A stretch without writes.
struct Stretch {
    from: SimTime,
    stopped_by: EventId,
    until: SimTime,
    /// `None` when the run ended first.
    resumed_by: Option<EventId>,
}

/// Standbys that are there connect to a new primary and confirm within this time.
const CONFIRMED_SOON: SimSpan = SimSpan::from_secs(60);

/// Which of the things that are done about a lost data set a fact is.
fn deed_about(fact: &BackupFact, wanted: DataSetId) -> Option<u8> {
    let (data_set, deed) = match *fact {
        BackupFact::Struck { data_set, .. } => (data_set, 0),
        BackupFact::LossDiscovered { data_set } => (data_set, 1),
        BackupFact::RestoreDecided { data_set } => (data_set, 2),
        BackupFact::RunbookDone { data_set } => (data_set, 3),
        BackupFact::RestoreStarted { data_set, .. } => (data_set, 4),
        BackupFact::RestoreDone { data_set } => (data_set, 5),
        BackupFact::Unrestorable { data_set, .. } => (data_set, 6),
        _ => return None,
    };
    (data_set == wanted).then_some(deed)
}

impl<E> Story<'_, E> {
    /// Explains the longest time without writes of a database in run number `run`, which lasts to `end`.
    pub fn write_outage(
        &self,
        run: u64,
        database: DatabaseId,
        end: SimTime,
    ) -> Option<Explanation> {
        let stretch = self.longest_stretch(database, end)?;
        let mut steps = self.steps(stretch.stopped_by);
        let name = self.blueprint.database_name(database);
        steps.push(Step {
            at_ns: stretch.from.as_nanos(),
            text: format!("{name} takes no writes"),
            position: None,
        });
        // Where nothing resumed, whatever happened to it.
        let ending = stretch.resumed_by.unwrap_or(EventId::NONE);
        let mut path = self.path(ending);
        for told in self.deeds(database, &stretch) {
            if !path.contains(&told) {
                path.push(told);
            }
        }
        path.sort_by_key(|told| told.at);
        for step in self.tell(&path) {
            if step.at_ns >= stretch.from.as_nanos() && !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps.extend(self.unconfirmed(database, &stretch));
        if stretch.resumed_by.is_none() {
            let workload = self.blueprint.databases[database.index()].workload;
            steps.extend(self.obstacles(stretch.until, |it| it == workload));
            let text = format!("the run ends; {name} takes no writes still");
            steps.push(Step { at_ns: stretch.until.as_nanos(), text, position: None });
        }
        super::in_order(&mut steps);
        let is_over = stretch.resumed_by.is_some();
        let outage_parts = self.parts_of(&path, stretch.from, stretch.until, is_over);
        Some(Explanation { run, steps, outage_parts })
    }

    /// What was done about a database while it took no writes, whether it led to the end of that or not:
    /// each kind of thing at its first time.
    fn deeds(&self, database: DatabaseId, stretch: &Stretch) -> Vec<Told> {
        use Observation as O;
        let data_set = self.blueprint.protection.of_database(database);
        let mut seen = BTreeSet::new();
        let records = self.journal.observations().iter();
        let within = records.filter(|it| it.at >= stretch.from && it.at <= stretch.until);
        let its = within.filter_map(|record| {
            let key = match record.observation {
                O::FailoverStarted { database: of, .. } if of == database => (0, 0),
                O::PrimaryPromoted { database: of, .. } if of == database => (1, 0),
                O::FailoverBlocked { database: of, reason } if of == database => (2, reason as u8),
                O::Instance { database: of, fact: InstanceFact::Fenced, .. } if of == database => {
                    (4, 0)
                }
                O::Backup(fact) => (3, deed_about(&fact, data_set?)?),
                _ => return None,
            };
            seen.insert(key).then_some(Told { at: record.at, observation: record.observation })
        });
        its.collect()
    }

    /// Says of a primary that was promoted and takes no writes long after that it waits for standbys,
    /// where its commits do: PostgreSQL holds each until as many have confirmed it.
    fn unconfirmed(&self, database: DatabaseId, stretch: &Stretch) -> Option<Step> {
        let spec = &self.blueprint.databases[database.index()];
        // With `dataDurability: preferred` the number shrinks with the standbys.
        let count = spec.synchronous.as_ref().filter(|it| it.is_required)?.number;
        let promoted = self.journal.observations().iter().rfind(|record| {
            let is_its = matches!(
                record.observation,
                Observation::PrimaryPromoted { database: of, .. } if of == database
            );
            is_its && record.at > stretch.from && record.at <= stretch.until
        })?;
        let is_given_up = self.journal.observations().iter().any(|record| {
            let is_its = match record.observation {
                Observation::FailoverStarted { database: of, .. }
                | Observation::FailoverBlocked { database: of, .. } => of == database,
                _ => false,
            };
            is_its && record.at > promoted.at && record.at <= stretch.until
        });
        if is_given_up || stretch.until.saturating_since(promoted.at) < CONFIRMED_SOON {
            return None;
        }
        let name = self.blueprint.database_name(database);
        let wanted = match count {
            1 => "a standby".to_owned(),
            count => format!("{count} standbys"),
        };
        let text =
            format!("commits to {name} wait for {wanted} to confirm them, and fewer are there");
        let position = self.position(spec.origin.of("spec.postgresql.synchronous.number"));
        Some(Step { at_ns: promoted.at.as_nanos(), text, position })
    }

    /// As the judge measures it: from the first stop to the next resumption.
    fn longest_stretch(&self, database: DatabaseId, end: SimTime) -> Option<Stretch> {
        let mut longest: Option<Stretch> = None;
        let mut open: Option<(SimTime, EventId)> = None;
        let mut keep = |stretch: Stretch| {
            let length = |it: &Stretch| it.until.saturating_since(it.from);
            if longest.as_ref().is_none_or(|it| length(it) < length(&stretch)) {
                longest = Some(stretch);
            }
        };
        for record in self.journal.observations() {
            match record.observation {
                Observation::WritesStopped { database: id } if id == database => {
                    open.get_or_insert((record.at, record.cause));
                }
                Observation::WritesResumed { database: id } if id == database => {
                    if let Some((from, stopped_by)) = open.take() {
                        let resumed_by = Some(record.cause);
                        keep(Stretch { from, stopped_by, until: record.at, resumed_by });
                    }
                }
                _ => {}
            }
        }
        if let Some((from, stopped_by)) = open {
            keep(Stretch { from, stopped_by, until: end.max(from), resumed_by: None });
        }
        longest
    }
}
