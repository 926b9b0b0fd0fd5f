//! How it came to the longest time in which a database took no writes, and what that was spent on.

use model_api::{DatabaseId, Observation};
use report_data::{Explanation, Step};
use sim_kernel::{EventId, SimTime};

use super::Story;

/// A stretch without writes.
struct Stretch {
    from: SimTime,
    stopped_by: EventId,
    until: SimTime,
    /// `None` when the run ended first.
    resumed_by: Option<EventId>,
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
        // Where nothing resumed, whatever happened to it last.
        let ending = stretch.resumed_by.unwrap_or(EventId::NONE);
        let after = self.steps(ending).into_iter();
        steps.extend(after.filter(|step| step.at_ns > stretch.from.as_nanos()));
        if stretch.resumed_by.is_none() {
            let workload = self.blueprint.databases[database.index()].workload;
            steps.extend(self.obstacles(stretch.until, |it| it == workload));
            let text = format!("the run ends; {name} takes no writes still");
            steps.push(Step { at_ns: stretch.until.as_nanos(), text, position: None });
        }
        super::in_order(&mut steps);
        let is_over = stretch.resumed_by.is_some();
        let outage_parts = self.parts(ending, stretch.from, stretch.until, is_over);
        Some(Explanation { run, steps, outage_parts })
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
