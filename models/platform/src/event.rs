//! Everything that can happen in a platform: the closed set of its events.

use model_api::ServiceId;
use model_backup::BackupEvent;
use model_gateway::GatewayEvent;
use model_kube::cluster::KubeEvent;
use model_load::LoadEvent;
use model_postgres::PgEvent;
use model_storage::StorageEvent;
use sim_kernel::Priority;

use crate::fault::FaultEvent;

/// One event of a platform, each kind handled by the model it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A fault strikes or ends.
    Fault(FaultEvent),
    /// Nodes, pods, controllers, the control plane.
    Kube(KubeEvent),
    /// Database clusters.
    Postgres(PgEvent),
    /// Flows of requests.
    Load(LoadEvent),
    /// Some pod of a Service, which started not long ago, can do a little more.
    WarmthDue(ServiceId),
    /// Losses of data and restores.
    Backup(BackupEvent),
    /// Storage pools.
    Storage(StorageEvent),
    /// Load balancers.
    Gateway(GatewayEvent),
}

const _: () = assert!(size_of::<Event>() <= sim_kernel::EVENT_BYTES_MAX);

/// The turn of faults within an instant: before anything that could react to them.
pub(crate) const FAULT_PRIORITY: Priority = Priority::new(1);

impl From<FaultEvent> for Event {
    fn from(event: FaultEvent) -> Self {
        Self::Fault(event)
    }
}

impl From<KubeEvent> for Event {
    fn from(event: KubeEvent) -> Self {
        Self::Kube(event)
    }
}

impl From<PgEvent> for Event {
    fn from(event: PgEvent) -> Self {
        Self::Postgres(event)
    }
}

impl From<LoadEvent> for Event {
    fn from(event: LoadEvent) -> Self {
        Self::Load(event)
    }
}

impl From<StorageEvent> for Event {
    fn from(event: StorageEvent) -> Self {
        Self::Storage(event)
    }
}

impl From<GatewayEvent> for Event {
    fn from(event: GatewayEvent) -> Self {
        Self::Gateway(event)
    }
}

impl From<BackupEvent> for Event {
    fn from(event: BackupEvent) -> Self {
        Self::Backup(event)
    }
}
