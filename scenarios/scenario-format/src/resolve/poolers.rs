//! Poolers: whose clients go through them, and how many they serve at a time.

use std::collections::BTreeMap;

use model_api::blueprint::Pooler;
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
    /// The poolers that lead to the primaries of known Clusters.
    pub(super) fn poolers(&mut self) {
        for written in &self.manifests.poolers {
            let written = &written.value;
            let full = format!("{}/{}", written.namespace, written.cluster);
            let found = self.names.databases.iter().position(|name| *name == full);
            let Some(database) = found.filter(|_| written.is_read_write) else { continue };
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
                pool_size: written.pool_size.clamp(1, share),
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
        let found = self.blueprint.poolers.iter().find(|it| full(it) == name.value);
        if let Some(pooler) = found.filter(|it| it.database == database) {
            return Some(pooler.service);
        }
        let own = self.blueprint.poolers.iter().filter(|it| it.database == database).map(full);
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
                        queue_limit: Some(pooler.client_max.saturating_sub(pooler.pool_size)),
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
