//! What database clusters wait for.

use model_api::DatabaseId;

/// What database clusters wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "every event names its cluster, and an instance by its number")]
pub enum PgEvent {
    /// The operator has seen the failure and `failoverDelay` is over.
    FailoverDue { database: DatabaseId },
    /// No standby receives from the old primary any more.
    ReceiversDown { database: DatabaseId },
    /// The candidate holds the primary lease.
    LeaseFree { database: DatabaseId },
    /// The candidate is primary.
    PromotionDone { database: DatabaseId },
    /// The `-rw` Service selects the new primary.
    BackendDue { database: DatabaseId },
    /// Clients have reconnected.
    ClientsDue { database: DatabaseId },
    /// `synchronous_standby_names` has its new number.
    AdjustDue { database: DatabaseId },
    /// The primary gives up a standby that fell silent.
    SilenceOver { database: DatabaseId },
    /// An instance has recovered, rewound or shut down.
    InstanceUp { database: DatabaseId, ordinal: u8 },
    /// A standby has caught up and streams.
    LinkUp { database: DatabaseId, ordinal: u8 },
    /// The liveness check of an isolated primary has failed often enough.
    IsolationDue { database: DatabaseId, ordinal: u8 },
    /// The operator has seen that the node of the primary takes no pods any more.
    SwitchoverDue { database: DatabaseId },
    /// The operator looks at what is left of an update.
    UpdateDue { database: DatabaseId },
    /// The sessions of a primary that is to restart had their time.
    RestartDue { database: DatabaseId },
    /// A pod of a pooler logs in.
    PoolerDue { database: DatabaseId },
    /// The log takes so much of its volume that something happens.
    WalDue { database: DatabaseId },
    /// The volumes are larger.
    VolumeGrown { database: DatabaseId },
    /// A turn of a member's loop begins.
    MemberTurn { database: DatabaseId, ordinal: u8 },
    /// What a member's loop waited for is there.
    MemberStep { database: DatabaseId, ordinal: u8 },
    /// What a member does beside its loop is done.
    MemberAction { database: DatabaseId, ordinal: u8 },
    /// The lease of a member has run out.
    LeaseOver { database: DatabaseId, ordinal: u8 },
    /// The etcd of a cluster has a leader again.
    StoreElected { database: DatabaseId },
}

const _: () = assert!(size_of::<PgEvent>() <= 12);

impl PgEvent {
    /// The cluster it belongs to.
    pub fn database(self) -> DatabaseId {
        match self {
            Self::FailoverDue { database }
            | Self::ReceiversDown { database }
            | Self::LeaseFree { database }
            | Self::PromotionDone { database }
            | Self::BackendDue { database }
            | Self::ClientsDue { database }
            | Self::AdjustDue { database }
            | Self::SilenceOver { database }
            | Self::StoreElected { database }
            | Self::SwitchoverDue { database }
            | Self::UpdateDue { database }
            | Self::RestartDue { database }
            | Self::PoolerDue { database }
            | Self::WalDue { database }
            | Self::VolumeGrown { database }
            | Self::MemberTurn { database, .. }
            | Self::MemberStep { database, .. }
            | Self::MemberAction { database, .. }
            | Self::LeaseOver { database, .. }
            | Self::InstanceUp { database, .. }
            | Self::LinkUp { database, .. }
            | Self::IsolationDue { database, .. } => database,
        }
    }
}
