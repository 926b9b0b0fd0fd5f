//! Our own documents as they are written: `apiVersion: eidp-sim/v1`, kinds `Scenario` and
//! `Platform`.
//!
//! Names in them are still text; [`crate::resolve`] looks them up.

use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;

mod backup;
mod dns;
mod fault;
mod gateway;
mod job;
mod load;
mod memory;
mod metric;
mod parameters;
mod path;
mod platform;
mod profile;
mod samples;
mod scenario;
mod storage;
mod usage;
mod writes;

pub use backup::{
    ArchiveSpec, BackupPolicySpec, BackupsSpec, CopySpec, DataSetSpec, HookSpec, KeySpec, OnError,
    PlaceSpec, RecoverySpec, StepSpec,
};
pub use dns::{ClusterDnsSpec, KeepingSpec, NameSpec, RecordCheckSpec, ResolverSpec};
pub use fault::{
    AccountLossSpec, ApiFloodSpec, ApiServerSpec, ArchiveBrokenSpec, BackupTargetLossSpec,
    BackupsBrokenSpec, BadRolloutSpec, BalancerMachineLossSpec, BucketFullSpec, CacheColdSpec,
    ConditionSpec, ConfigurationDeletedSpec, ControlPlaneUpgradeSpec, DeleteAutoscalerSpec,
    DestroyInstanceSpec, DiskLeakSpec, DiskLossSpec, DrainSpec, EmptySpec, Endless,
    EndpointsBelowSpec, EtcdDataLossSpec, EtcdDiskSpec, EtcdMemberSpec, EtcdRole, FaultSpec,
    FenceSpec, FreezePrimarySpec, GrowStorageSpec, HoldSpec, HoldStandbySpec, KeyDisabledSpec,
    KeyLossSpec, LeaderKillSpec, LiftGatesSpec, LoadSpikeSpec, LogicalLossSpec, MemberLossSpec,
    MemoryLeakSpec, NameFaultSpec, NoCapacitySpec, NodeCrashSpec, NodesSpec, PausePoolerSpec,
    PlainFaultSpec, PodCrashSpec, ProcessLeakSpec, RegionLossSpec, RegistryOutageSpec, RolloutSpec,
    ScaleSpec, SetAutoscalerSpec, SetMinSizeSpec, SlowApiSpec, SlowDnsSpec, StartKeys,
    SwitchoverSpec, ThrottleSpec, VaultSealedSpec, WalVolumeAboveSpec, WebhookOutageSpec,
    WindowSpec, ZoneFaultSpec,
};
pub use gateway::{
    CertificateKey, FailoverSpec, GatewaySpec, LimitByName, LimitPolicy, LoadBalancerSpec,
    MonitorSpec, RateLimitsSpec, TlsSpec, Topology,
};
pub use job::{JobProfileSpec, WorkTimeSpec};
pub use load::{DatabaseSpec, LoadPointSpec, LoadSpec, ServiceSpec, SessionsSpec, UsersSpec};
pub use memory::MemorySpec;
pub use metric::MetricSpec;
pub use parameters::{ParametersSpec, RangeSpec};
pub use path::{
    BreakerSpec, CacheSpec, CallSpec, InFlight, PolicySpec, RateLimitSpec, ReadinessSpec,
    SessionState, WarmUpSpec,
};
pub use platform::{
    ApiBalancerSpec, BootTimeSpec, ClusterAutoscalerSpec, ControlPlaneSpec, ControllersSpec,
    EtcdSpec, KubeletSpec, MinorVersion, NodePoolSpec, PlatformDocument, PlatformSpec,
    PoolAutoscalingSpec, RegionSpec, ShutdownPeriodSpec, TaintSpec, VaultSpec, ZoneSpec,
};
pub use profile::{
    BurstSpec, DailyPointSpec, Decay, SeasonSpec, SelfSimilarSpec, SpikeSpec, TraceSpec, WeeklySpec,
};
pub use samples::{ContainerSamplesSpec, OomKillSpec, UsageSpec};
pub use scenario::{ExpressionSpec, GuaranteeText, ScenarioDocument, ScenarioSpec};
pub use storage::{ErasureCodedSpec, ReplicatedSpec, StoragePoolSpec};
pub use usage::{DiskSpec, ProcessesSpec};
pub use writes::{WriteSpec, WritesTo};

/// The version of our documents.
pub const API_VERSION: &str = "eidp-sim/v1";

/// `apiVersion` of our documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersion;

impl FromText for ApiVersion {
    const EXPECTED: &'static str = "the version eidp-sim/v1";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == API_VERSION { Ok(Self) } else { Err(format!("write {API_VERSION}")) }
    }

    fn schema() -> Json {
        json!({"const": API_VERSION})
    }
}

/// `kind` of our documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a platform is.
    Platform,
    /// What happens to a platform, and what it promises.
    Scenario,
}

impl FromText for Kind {
    const EXPECTED: &'static str = "a kind of eidp-sim/v1";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "Platform" => Ok(Self::Platform),
            "Scenario" => Ok(Self::Scenario),
            _ => Err("there are Platform and Scenario".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["Platform", "Scenario"]})
    }
}

record! {
    /// What the document is called.
    pub struct Metadata("metadata") {
        /// Name in lists and reports.
        name: Spanned<String>,
        /// What it is about, in a sentence or two.
        description: Option<Spanned<String>>,
    }
}
