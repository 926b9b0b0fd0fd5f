//! Poolers: whose clients go through them, and how many they serve at a time.

use std::collections::BTreeMap;

use model_api::blueprint::{Pooler, PoolerTarget};
use model_api::load::ServiceProfile;
use model_api::path::Serving;
use model_api::{DatabaseId, PoolerId, ServiceId, SimSpan, WorkloadId};

use super::Resolver;
use super::load::assumed_profile;
use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::suggestion;
use crate::source::Spanned;

/// How long a transaction keeps a connection of a pooler that states no profile. Assumed.
const TRANSACTION: SimSpan = SimSpan::from_millis(2);

impl Resolver<'_> {
    /// The poolers that lead to instances of known Clusters.
    pub(super) fn poolers(&mut self) {
        for written in &self.manifests.poolers {
            let written = &written.value;
            let full = format!("{}/{}", written.namespace, written.cluster);
            let found = self.names.databases.iter().position(|name| *name == full);
            let Some(database) = found else { continue };
            // More connections than PostgreSQL takes are refused: W0194.
            let sessions = self.blueprint.databases[database].session_count;
            let share = (sessions / written.instances.max(1)).max(1);
            self.blueprint.poolers.push(Pooler {
                namespace: written.namespace.clone(),
                name: written.name.clone(),
                database: DatabaseId::from_index(database),
                workload: WorkloadId::from_index(written.workload_idx),
                service: ServiceId::from_index(written.service_idx),
                instances: written.instances,
                login_retry: written.login_retry,
                wait_max: written.wait_max,
                leads_to: written.leads_to,
                pool_size: written.pool_size.clamp(1, share),
                lends_sessions: !written.lends_by_transaction,
                clients: Vec::new(),
                client_max: written.client_max,
                is_paused: written.is_paused,
                is_assumed: true,
                origin: written.origin.clone(),
            });
        }
    }

    /// The Service of a pooler that leads to the primary of a database.
    pub(super) fn through(
        &mut self,
        name: &Spanned<String>,
        database: DatabaseId,
    ) -> Option<ServiceId> {
        let full = |it: &Pooler| format!("{}/{}", it.namespace, it.name);
        let is_writable = |it: &&Pooler| it.leads_to == PoolerTarget::Primary;
        let poolers = self.blueprint.poolers.iter().filter(is_writable);
        let found = poolers.clone().find(|it| full(it) == name.value);
        if let Some(pooler) = found.filter(|it| it.database == database) {
            return Some(pooler.service);
        }
        let own = poolers.filter(|it| it.database == database).map(full);
        let own: Vec<String> = own.collect();
        let help = suggestion(&name.value, own.iter().map(String::as_str));
        let (code, message) = if found.is_some() {
            let database = self.blueprint.database_name(database);
            (Code::E0066, format!("`{}` does not lead to {database}", name.value))
        } else {
            let message = format!("there is no pooler `{}` that leads to a primary", name.value);
            (Code::E0065, message)
        };
        self.diagnostics.push(Diagnostic::new(code, name.span, message).help_if(help));
        None
    }

    /// Clients that wait for a connection of one pod: as many as it takes, and no more than it serves within
    /// `query_wait_timeout`.
    ///
    /// Simplified: whoever would wait for longer is refused at once, not after that time.
    fn queue_limit(&self, pooler: &Pooler) -> u32 {
        let waiting = pooler.client_max.saturating_sub(pooler.pool_size);
        let written = self.manifests.poolers.iter().map(|it| &it.value);
        let mut own =
            written.filter(|it| it.namespace == pooler.namespace && it.name == pooler.name);
        let wait_max = own.find_map(|it| it.wait_max).unwrap_or(SimSpan::MAX);
        let rounds = wait_max.as_nanos() / TRANSACTION.as_nanos();
        let served = rounds.saturating_mul(u64::from(pooler.pool_size));
        waiting.min(u32::try_from(served).unwrap_or(u32::MAX))
    }

    /// Notes that each pod of a Service stays connected to a pooler. Where connections are lent for whole
    /// sessions, it matters with how many.
    pub(super) fn connect(
        &mut self,
        client: ServiceId,
        pooler: ServiceId,
        (through, connections): (&Spanned<String>, Option<Spanned<u32>>),
    ) {
        let mut poolers = self.blueprint.poolers.iter_mut();
        let Some(pooler) = poolers.find(|it| it.service == pooler) else { return };
        match connections {
            Some(connections) => pooler.clients.push((client, connections.value)),
            None if pooler.lends_sessions && self.is_mine(through.span) => {
                let message = format!(
                    "`{}` lends a connection for a whole session, and nothing says how many clients stay connected",
                    through.value
                );
                self.report(Code::W0220, through.span, message);
            }
            None => {}
        }
    }

    /// Gives the poolers that are asked and state no profile one: as many transactions at a time as they have
    /// connections.
    pub(super) fn pool_profiles(&mut self, profiles: &mut BTreeMap<ServiceId, ServiceProfile>) {
        for idx in 0..self.blueprint.poolers.len() {
            let pooler = self.blueprint.poolers[idx].clone();
            let is_asked = profiles.values().any(|it| it.depends_on.contains(&pooler.service));
            let is_stated = profiles.contains_key(&pooler.service);
            if is_stated {
                self.blueprint.poolers[PoolerId::from_index(idx).index()].is_assumed = false;
            }
            if is_asked && !is_stated {
                let text = format!(
                    "{}/{}: a transaction keeps a connection for 2 ms, where nothing is stated",
                    pooler.namespace, pooler.name
                );
                self.assume(text, &pooler.origin);
                let profile = ServiceProfile {
                    cpu_per_request: TRANSACTION,
                    base_latency: TRANSACTION,
                    serving: Serving {
                        workers: pooler.pool_size,
                        queue_limit: Some(self.queue_limit(&pooler)),
                        ..Serving::default()
                    },
                    origin: pooler.origin.clone(),
                    ..assumed_profile(pooler.service)
                };
                profiles.insert(pooler.service, profile);
            }
        }
    }
}
