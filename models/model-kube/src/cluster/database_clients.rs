//! What looks after databases and needs an API that is flooded: operators, and Patroni that keeps its
//! leader key there.
//!
//! # Modelled
//! Their requests belong to the level of service accounts (`workload-low`), in one flow for an operator
//! and one for the Patronis of a namespace. A client fails when a row of its tries does: Patroni asks for
//! `retry_timeout` each `loop_wait`, and for no answer longer; an operator gives up after ten retries of a
//! second. From then on its database is without an API, until a try gets through or the flood is over.
//! # Not modelled
//! Failures that end before a row is full: a request that is tried again for seconds. Events that are
//! watched, which a flood does not stop. An operator that loses its own lease in a flood: in an outage it
//! does (`operators`).
//! # Defaults and their sources
//! Patroni 3.0 `patroni/dcs/kubernetes.py` (what has a `Retry-After` is tried again until
//! `retry_timeout` is over, each time after that; that is the time for an answer too), `patroni/ha.py` (then a primary gives up);
//! `apiserver/pkg/apis/flowcontrol/bootstrap/default.go` (`service-accounts`, told apart by user),
//! `client-go/rest/with_retry.go`, Kubernetes 1.36. Zalando's operator gives all databases of a
//! namespace one service account (`pod_service_account_name`), CloudNativePG has one operator.
//! # Invariants
//! Without a flood no client fails, and nothing is kept.
//! # Checked against
//! `tests/it/overload.rs`; the shipped scenarios `patroni-api-flood` and `patroni-api-flood-failsafe`.

use model_api::blueprint::{Database, DatabaseManager, PatroniStore};
use model_api::{DatabaseId, Observation};
use sim_kernel::{Context, EntityKey, Recorder, SimSpan, Timer};

use super::overload::{RETRY_AFTER, Requester, TRIES};
use super::{Cluster, KubeEvent, Notice, priority};
use crate::priority_and_fairness::{Level, Odds, REQUEST_TIMEOUT};

/// By database; empty until something strains the API.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DatabaseClient {
    /// Its requests fail.
    is_stalled: bool,
    /// When that changes.
    timer: Timer,
}

/// How long a row of tries is, and how often one begins.
struct Row {
    allowed: SimSpan,
    period: SimSpan,
    /// A request that waits for so long is given up.
    patience: Option<SimSpan>,
}

impl Row {
    /// `None` for a database that needs no API.
    fn of(database: &Database) -> Option<Self> {
        match database.manager {
            DatabaseManager::CloudNativePg => {
                let allowed = RETRY_AFTER * u64::from(TRIES);
                Some(Self { allowed, period: allowed, patience: None })
            }
            DatabaseManager::Patroni(patroni) => (patroni.store == PatroniStore::Kubernetes)
                .then_some(Self {
                    allowed: patroni.retry_timeout,
                    period: patroni.loop_wait,
                    patience: Some(patroni.retry_timeout),
                }),
        }
    }
}

impl Cluster {
    /// Whether what looks after a database fails at a flooded API.
    pub fn is_database_client_stalled(&self, id: DatabaseId) -> bool {
        self.database_clients.get(id.index()).is_some_and(|client| client.is_stalled)
    }

    fn client_of(&self, id: DatabaseId) -> Requester {
        let database = &self.blueprint.databases[id.index()];
        let flow = match (database.manager, database.operator) {
            (DatabaseManager::CloudNativePg, Some(operator)) => {
                self.tables.workload_keys[operator.index()]
            }
            (DatabaseManager::CloudNativePg, None) => EntityKey::of("operator of databases"),
            (DatabaseManager::Patroni(_), _) => {
                EntityKey::of("service account of Patroni").child(&database.namespace)
            }
        };
        let entity = self.tables.workload_keys[database.workload.index()];
        let (timeout, write) = (REQUEST_TIMEOUT, None);
        Requester { level: Level::WorkloadLow, flow, entity, timeout, write }
    }

    /// Works out anew when requests about databases fail, or get through.
    pub(super) fn expect_database_clients<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let count = self.blueprint.databases.len();
        self.database_clients.resize(count, DatabaseClient::default());
        for id in (0..count).map(DatabaseId::from_index) {
            self.expect_database_client(id, SimSpan::ZERO, ctx);
        }
    }

    /// One that fails does so for `least` in any case: its whole row.
    fn expect_database_client<E, R>(
        &mut self,
        id: DatabaseId,
        least: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let DatabaseClient { is_stalled, timer } = self.database_clients[id.index()];
        ctx.cancel(timer);
        let Some(row) = Row::of(&self.blueprint.databases[id.index()]) else { return };
        let of = self.client_of(id);
        let odds = self.odds(of);
        let is_too_slow = row.patience.is_some_and(|patience| odds.wait >= patience);
        let after = match is_stalled {
            true if is_too_slow => None,
            true => self.served_after(of, ctx.now()).map(|span| least + span),
            false if is_too_slow => Some(SimSpan::ZERO),
            false if odds == Odds::FREE => None,
            false => self.stall_after(of, ctx.now().as_nanos(), row.allowed, row.period),
        };
        let event = KubeEvent::DatabaseClientTurned(id);
        let timer = after.map(|after| ctx.timer_in(after, priority::CONTROLLER, event));
        self.database_clients[id.index()].timer = timer.unwrap_or(Timer::NONE);
    }

    /// A client of a database begins to fail, or gets through again.
    pub(super) fn on_database_client_turned<E, R>(
        &mut self,
        id: DatabaseId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let client = &mut self.database_clients[id.index()];
        client.is_stalled = !client.is_stalled;
        let is_stalled = client.is_stalled;
        self.notify(Notice::DatabaseClientTurned { database: id, is_stalled });
        let row = Row::of(&self.blueprint.databases[id.index()]);
        let least = row.filter(|_| is_stalled).map_or(SimSpan::ZERO, |row| row.allowed);
        self.expect_database_client(id, least, ctx);
    }
}
