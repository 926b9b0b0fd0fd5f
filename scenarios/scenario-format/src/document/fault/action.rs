//! Actions of a scenario: what people and automation do.

use model_api::{SimSpan, SimTime};

use super::super::platform::MinorVersion;
use super::{ConditionSpec, StartKeys, WindowSpec};
use crate::decode::record;
use crate::source::Spanned;
use crate::units::{Bytes, Share};

fault_record! {
    /// A workload gets another image, or its pods are made anew when none is named. A Cluster of
    /// CloudNativePG is updated by its operator, standbys first; without an image it needs a restart
    /// only, as after a change of parameters.
    pub struct RolloutSpec("rollout") {
        /// Which, as `namespace/name`: a Deployment, a StatefulSet, a DaemonSet or a Cluster.
        workload: Spanned<String>,
        /// The image from now on.
        image: Option<Spanned<String>>,
        /// Name of the container that gets the image; the first one when left out.
        container: Option<Spanned<String>>,
    }
}

fault_record! {
    /// A workload gets an image whose pods run, but never become ready; or that are ready and answer
    /// some requests with errors.
    pub struct BadRolloutSpec("badRollout") {
        /// Which, as `namespace/name`: a Deployment, a StatefulSet, a DaemonSet or a Cluster.
        workload: Spanned<String>,
        /// The image.
        image: Option<Spanned<String>>,
        /// Name of the container that gets the image; the first one when left out.
        container: Option<Spanned<String>>,
        /// Its pods become ready, and answer this share of requests with errors.
        failing: Option<Spanned<Share>>,
        /// Whatever deploys undoes it once `progressDeadlineSeconds` are exceeded (Deployments).
        undone_when_stalled: Option<bool>,
    }
}

fault_record! {
    /// A workload gets another number of replicas.
    pub struct ScaleSpec("scale") {
        /// Which, as `namespace/name`.
        workload: Spanned<String>,
        /// How many replicas.
        replicas: Spanned<u32>,
    }
}

fault_record! {
    /// A HorizontalPodAutoscaler gets other limits.
    pub struct SetAutoscalerSpec("setAutoscaler") {
        /// Which, as `namespace/name`.
        autoscaler: Spanned<String>,
        /// `minReplicas` from now on.
        min_replicas: Option<Spanned<u32>>,
        /// `maxReplicas` from now on.
        max_replicas: Option<Spanned<u32>>,
    }
}

fault_record! {
    /// A HorizontalPodAutoscaler is deleted.
    pub struct DeleteAutoscalerSpec("deleteAutoscaler") {
        /// Which, as `namespace/name`.
        autoscaler: Spanned<String>,
    }
}

fault_record! {
    /// A Deployment, a Job or a CronJob.
    pub struct HoldSpec("suspend") {
        /// Which, as `namespace/name`.
        workload: Spanned<String>,
    }
}

fault_record! {
    /// Scheduling gates are lifted, as by a queueing controller that admits pods.
    pub struct LiftGatesSpec("liftGates") {
        /// Whose pods, as `namespace/name`.
        workload: Spanned<String>,
    }
}

fault_record! {
    /// Nodes are drained, one after the other: one by name, or those of a pool, of a zone or of both.
    pub struct DrainSpec("drain") {
        /// Name of the node.
        node: Option<Spanned<String>>,
        /// Nodes of this pool.
        pool: Option<Spanned<String>>,
        /// Nodes of this zone.
        zone: Option<Spanned<String>>,
        /// Time for each node; left out, it waits for ever.
        timeout: Option<Spanned<SimSpan>>,
        /// Pods that nothing replaces are deleted, too (`--force`).
        force: Option<bool>,
        /// A node that cannot be drained does not stop the work on the others.
        goes_on: Option<bool>,
    }
}

fault_record! {
    /// An upgrade of the control plane.
    pub struct ControlPlaneUpgradeSpec("controlPlaneUpgrade") {
        /// The version afterwards, for example `1.37`; left out, the minor version stays.
        to: Option<Spanned<MinorVersion>>,
        /// Each machine boots anew, as where machines are replaced; left out, only processes do.
        reboots: Option<bool>,
        /// Kubelets that are too old for the new version do not stop it (`--force`).
        force: Option<bool>,
    }
}

fault_record! {
    /// Nodes by name, or those of a pool, of a zone or of both.
    pub struct NodesSpec("an action on nodes") {
        /// Name of the node.
        node: Option<Spanned<String>>,
        /// Nodes of this pool.
        pool: Option<Spanned<String>>,
        /// Nodes of this zone.
        zone: Option<Spanned<String>>,
    }
}

fault_record! {
    /// PostgreSQL of an instance is kept off, as `kubectl cnpg fencing` does it; at the end it runs again.
    pub struct FenceSpec("fence") {
        /// Which database, as `namespace/name`: a Cluster of CloudNativePG.
        database: Spanned<String>,
        /// Name of the instance, such as `orders-db-2`, or `*` for all; the primary when left out.
        instance: Option<Spanned<String>>,
    }
}

fault_record! {
    /// A pooler is paused (`PAUSE` of PgBouncer); at the end it goes on (`RESUME`).
    pub struct PausePoolerSpec("pausePooler") {
        /// Which, as `namespace/name`.
        pooler: Spanned<String>,
    }
}

fault_record! {
    /// The primary of a database hands over to a standby.
    pub struct SwitchoverSpec("switchover") {
        /// Which, as `namespace/name`.
        database: Spanned<String>,
        /// Name of the instance that is to be primary, such as `orders-db-2`; whichever has most when left out.
        to: Option<Spanned<String>>,
    }
}

fault_record! {
    /// The volumes that hold the write-ahead log of a database are made larger.
    pub struct GrowStorageSpec("growStorage") {
        /// Which, as `namespace/name`: a Cluster of CloudNativePG.
        database: Spanned<String>,
        /// The size of each from now on: of `walStorage`, or of `storage` where the log lies beside the data.
        size: Spanned<Bytes>,
    }
}
