//! How much is written to databases, where the requests of the load decide that.
//!
//! Simplified: over a stretch in which the load changes linearly, its mean is written; a request that
//! is made again commits again.

use model_api::path::Callee;
use model_api::{Blueprint, DatabaseId, Observation, ServiceId};
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

/// Requests of a Service that commit to a database.
#[derive(Clone, Copy, Debug)]
struct Writer {
    service: ServiceId,
    database: DatabaseId,
    share_ppm: u32,
    /// What the Service answers, per 1000 s.
    answered_millirps: u64,
}

/// Who writes to which database, and how much.
#[derive(Clone, Debug, Default)]
pub(super) struct Writers {
    /// In the order of databases.
    writers: Vec<Writer>,
    /// Databases of which a writer changed.
    news: Vec<DatabaseId>,
}

impl Writers {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let databases = blueprint.databases.iter().enumerate();
        let writers = databases.flat_map(|(idx, spec)| {
            let database = DatabaseId::from_index(idx);
            spec.writers.iter().map(move |it| {
                let is_denied = blueprint.is_denied(Some(it.service), Callee::Database(database));
                Writer {
                    service: it.service,
                    database,
                    share_ppm: if is_denied { 0 } else { it.share_ppm },
                    answered_millirps: 0,
                }
            })
        });
        let writers: Vec<Writer> = writers.collect();
        let news = writers.iter().map(|it| it.database).collect();
        Self { writers, news }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writers.is_empty()
    }

    /// A Service answers so much from now on.
    pub(super) fn note(&mut self, service: ServiceId, answered_millirps: u64) {
        let of_it = self.writers.iter_mut().filter(|it| it.service == service);
        for writer in of_it.filter(|it| it.answered_millirps != answered_millirps) {
            writer.answered_millirps = answered_millirps;
            self.news.push(writer.database);
        }
    }

    /// Commits to a database, in thousandths a second.
    fn commits_milli(&self, database: DatabaseId) -> u64 {
        let of_it = self.writers.iter().filter(|it| it.database == database);
        let parts = of_it.map(|it| u128::from(it.answered_millirps) * u128::from(it.share_ppm));
        u64::try_from(parts.sum::<u128>() / 1_000_000).unwrap_or(u64::MAX)
    }

    /// Databases with another rate than before, and what share of the configured rate it is.
    fn take_news(&mut self, blueprint: &Blueprint) -> Vec<(DatabaseId, u32)> {
        let mut news = std::mem::take(&mut self.news);
        news.sort_unstable();
        news.dedup();
        let share = |database: DatabaseId| {
            let configured = blueprint.databases[database.index()].commits_per_second.max(1);
            let ppm = u128::from(self.commits_milli(database)) * 1_000 / u128::from(configured);
            (database, u32::try_from(ppm).unwrap_or(u32::MAX))
        };
        news.into_iter().map(share).collect()
    }
}

impl World {
    /// Tells databases at which rate requests commit from now on.
    pub(super) fn tell_write_rates<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for (database, rate_ppm) in self.writers.take_news(&self.blueprint) {
            self.databases.set_load(database, rate_ppm, ctx, &mut self.pg_notices);
            self.data.set_rate(database, rate_ppm, ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use model_api::blueprint::{Database, Writes};
    use model_api::path::DeniedCall;

    use super::*;

    #[test]
    fn the_load_of_all_writers_is_a_share_of_the_configured_rate() {
        let writes = |service, share_ppm| Writes { service: ServiceId(service), share_ppm };
        let database = |commits_per_second, writers| Database {
            commits_per_second,
            writers,
            ..Database::default()
        };
        let blueprint = Blueprint {
            databases: vec![
                database(200, Vec::new()),
                database(100, vec![writes(0, 1_000_000), writes(1, 200_000)]),
            ],
            ..Blueprint::default()
        };
        let mut writers = Writers::of(&blueprint);
        let is_stated = |news: Vec<(DatabaseId, u32)>| news.iter().all(|it| it.0 != DatabaseId(0));
        assert!(is_stated(writers.take_news(&blueprint)));
        writers.note(ServiceId(0), 40_000);
        writers.note(ServiceId(1), 50_000);
        // 40 and a fifth of 50 are half of 100.
        assert_eq!(writers.take_news(&blueprint), [(DatabaseId(1), 500_000)]);
        writers.note(ServiceId(1), 50_000);
        assert_eq!(writers.take_news(&blueprint), []);
    }

    /// Parts per million of the configured rate, when a Service answers ten requests a second.
    fn told(blueprint: &Blueprint) -> Vec<(DatabaseId, u32)> {
        let mut writers = Writers::of(blueprint);
        writers.note(ServiceId(0), 10_000);
        writers.take_news(blueprint)
    }

    #[test]
    fn a_database_that_policies_deny_is_not_written_to() {
        let writes = Writes { service: ServiceId(0), share_ppm: 500_000 };
        let database =
            Database { writers: vec![writes], commits_per_second: 10, ..Database::default() };
        let mut blueprint = Blueprint { databases: vec![database], ..Blueprint::default() };
        assert_eq!(told(&blueprint), [(DatabaseId(0), 500_000)]);
        let callee = Callee::Database(DatabaseId(0));
        blueprint.denied.push(DeniedCall { caller: Some(ServiceId(0)), callee });
        assert_eq!(told(&blueprint), [(DatabaseId(0), 0)]);
    }
}
