//! Faults of a scenario, and what is done on purpose.

mod control_plane;
mod endless;

use model_api::memory::Growth;
use model_api::{SimSpan, SimTime};
use serde_json::{Value as Json, json};

use crate::decode::{Decode, Definitions, Fields, record, tagged, wrong_type};
use crate::diagnostic::Diagnostic;
use crate::source::Spanned;
use crate::units::{Factor, Rate, Share};
use crate::yaml::Node;

pub use control_plane::{
    ApiFloodSpec, ApiServerSpec, ConfigurationDeletedSpec, EtcdDiskSpec, EtcdMemberSpec, EtcdRole,
    LeaderKillSpec, MemberLossSpec, PlainFaultSpec, RegistryOutageSpec, SlowApiSpec,
    VaultSealedSpec, WebhookOutageSpec,
};
pub use endless::Endless;

/// The keys that say when: every fault has them.
#[derive(Clone, Copy, Debug)]
pub struct StartKeys<'a> {
    /// `name`.
    pub name: Option<&'a Spanned<String>>,
    /// `at`.
    pub at: Option<&'a Spanned<SimTime>>,
    /// `within`.
    pub within: Option<&'a WindowSpec>,
    /// `when`.
    pub when: Option<&'a ConditionSpec>,
    /// `after`.
    pub after: Option<&'a Spanned<SimSpan>>,
    /// `for`.
    pub duration: Option<&'a Spanned<SimSpan>>,
}

/// Adds the keys that every fault has to those that one kind of fault has.
macro_rules! fault_record {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident ($what:literal) {
            $( $(#[doc = $field_doc:literal])* $field:ident : $type:ty, )*
        }
    ) => {
        record! {
            $(#[doc = $doc])*
            pub struct $name($what) {
                $( $(#[doc = $field_doc])* $field: $type, )*
                /// Name in reports and conditions; made up when left out.
                name: Option<Spanned<String>>,
                /// When it starts: a time since the start of the run.
                at: Option<Spanned<SimTime>>,
                /// When it starts: at a random time of this window, `[earliest, latest]`.
                within: Option<WindowSpec>,
                /// When it starts: once this holds.
                when: Option<ConditionSpec>,
                /// How long after the condition of `when`.
                after: Option<Spanned<SimSpan>>,
                /// How long it lasts; left out, it does not end.
                r#for: Option<Spanned<SimSpan>>,
            }
        }

        impl $name {
            pub(super) fn start_keys(&self) -> StartKeys<'_> {
                StartKeys {
                    name: self.name.as_ref(),
                    at: self.at.as_ref(),
                    within: self.within.as_ref(),
                    when: self.when.as_ref(),
                    after: self.after.as_ref(),
                    duration: self.r#for.as_ref(),
                }
            }
        }
    };
}

use fault_record;
mod action;
mod instance;
mod storage;

pub use action::{
    BadRolloutSpec, ControlPlaneUpgradeSpec, DeleteAutoscalerSpec, DrainSpec, FenceSpec,
    GrowStorageSpec, HoldSpec, LiftGatesSpec, NodesSpec, PausePoolerSpec, RolloutSpec, ScaleSpec,
    SetAutoscalerSpec, SwitchoverSpec,
};
pub use instance::{DestroyInstanceSpec, FreezePrimarySpec, HoldStandbySpec};
pub use storage::{DiskLossSpec, SetMinSizeSpec, ThrottleSpec};

tagged! {
    /// A fault, or something that is done on purpose.
    pub enum FaultSpec("a fault") {
        /// Power of a zone is gone: machines stop, volumes come back intact.
        ZonePowerLoss(ZoneFaultSpec),
        /// A zone runs on, but nothing outside reaches it and it reaches nothing outside.
        ZoneIsolation(ZoneFaultSpec),
        /// A node stops.
        NodeCrash(NodeCrashSpec),
        /// A node shuts down in order: its kubelet ends the pods as its pool's `kubelet` says, then it has no power; at the end it boots.
        NodeShutdown(NodeCrashSpec),
        /// The processes of pods end with an error; the kubelet starts them again. `for` only says how long control planes are frozen with it.
        PodCrash(PodCrashSpec),
        /// The memory of pods grows; what they took stays theirs until they end, or the kernel or a kubelet ends them.
        MemoryLeak(MemoryLeakSpec),
        /// Pods fill the disk of their node, or its inodes, until they are gone.
        DiskLeak(DiskLeakSpec),
        /// Pods take process ids of their node until their containers end.
        ProcessLeak(ProcessLeakSpec),
        /// The provider has no capacity for new machines in a zone.
        NoCapacity(NoCapacitySpec),
        /// Requests from outside multiply.
        LoadSpike(LoadSpikeSpec),
        /// A machine of a load balancer is gone: the other one takes over, or another one is made. `for` only says how long control planes are frozen with it.
        BalancerMachineLoss(BalancerMachineLossSpec),
        /// The name servers of a name do not answer: what is kept holds until its TTL is over, then nobody finds it.
        DnsOutage(NameFaultSpec),
        /// A name leads to an address where nobody answers, as after a mistake in its zone.
        WrongRecord(NameFaultSpec),
        /// The DNS of the cluster takes long for each answer: calls that look their name up begin so much later, or not at all where resolvers give up before.
        SlowDns(SlowDnsSpec),
        /// Caches before calls are emptied, as by a flush or a change of what things are called. `for` only says how long control planes are frozen with it.
        CacheCold(CacheColdSpec),
        /// Machines of the control plane stop: their etcd, API server and controllers with them.
        ControlPlaneMemberLoss(MemberLossSpec),
        /// The processes of members of etcd end and stay down; their machines run.
        EtcdMemberDown(EtcdMemberSpec),
        /// The disk under members of etcd is slow: that costs what the leader, or a majority, needs.
        EtcdSlowDisk(EtcdDiskSpec),
        /// The processes of API servers end and stay down; their machines run.
        ApiServerDown(ApiServerSpec),
        /// Nobody gets through the load balancer before the API servers: kubelets and proxies hear nothing, controllers go on.
        ApiBalancerOutage(PlainFaultSpec),
        /// The process that leads ends with an error; another one takes over.
        LeaderKill(Endless<LeaderKillSpec>),
        /// No API server answers: what runs goes on, and nothing is moved, scaled or routed anew.
        ApiOutage(PlainFaultSpec),
        /// The control plane of the cloud answers nothing: no machine is made or removed, no volume attached, no lost machine of a load balancer replaced; what runs goes on.
        CloudApiOutage(PlainFaultSpec),
        /// API servers that run get more requests than they let through: those of some priority levels wait or are refused.
        ApiFlood(ApiFloodSpec),
        /// The API stores slowly, as with a slow disk under etcd.
        SlowApi(SlowApiSpec),
        /// The endpoints of an admission webhook accept calls and answer none.
        WebhookOutage(WebhookOutageSpec),
        /// An image registry does not answer: what a node does not have cannot start on it.
        RegistryOutage(RegistryOutageSpec),
        /// A vault is sealed: pods that start wait for what it has.
        VaultSealed(VaultSealedSpec),
        /// A Secret or ConfigMap is deleted: containers that start and name it wait.
        ConfigurationDeleted(ConfigurationDeletedSpec),
        /// A zone is destroyed: it never comes back, and its volumes are gone.
        ZoneDestroyed(Endless<ZoneFaultSpec>),
        /// The region is destroyed, with everything in it.
        RegionLoss(Endless<RegionLossSpec>),
        /// An account of the provider is gone, with everything in it.
        AccountLoss(Endless<AccountLossSpec>),
        /// The content of a data set is destroyed in every live copy, which is noticed later.
        LogicalLoss(Endless<LogicalLossSpec>),
        /// Every member of etcd loses its data: no API server answers until a snapshot is restored, and what comes back is old.
        EtcdDataLoss(Endless<EtcdDataLossSpec>),
        /// As logicalLoss, under the name of its usual cause.
        BadMigration(Endless<LogicalLossSpec>),
        /// As logicalLoss, and every copy that the account of the data set can delete is deleted.
        Ransomware(Endless<LogicalLossSpec>),
        /// A place for copies is gone, with everything in it.
        BackupTargetLoss(Endless<BackupTargetLossSpec>),
        /// A place for copies takes nothing more: it is full, or its quota is reached. What is in it can be read.
        BucketFull(BucketFullSpec),
        /// A key is gone.
        KeyLoss(Endless<KeyLossSpec>),
        /// A key cannot be used: it is disabled, its KMS is away, its vault is sealed.
        KeyDisabled(KeyDisabledSpec),
        /// Runs of a backup policy fail.
        BackupsBroken(BackupsBrokenSpec),
        /// The archive of a database stores nothing.
        ArchiveBroken(ArchiveBrokenSpec),
        /// The volume of an instance of a database is gone; its pod comes back with an empty one and copies the primary.
        DestroyInstance(Endless<DestroyInstanceSpec>),
        /// The processes of a primary stand still, and go on at the end.
        FreezePrimary(FreezePrimarySpec),
        /// Nothing that a primary sends reaches a standby.
        HoldStandby(HoldStandbySpec),
        /// Disks of a storage pool are away, or destroyed.
        DiskLoss(DiskLossSpec),
        /// A place for copies is limited to fewer bytes a second.
        Throttle(ThrottleSpec),
        /// Somebody sets the `min_size` of a storage pool.
        SetMinSize(SetMinSizeSpec),
        /// A workload gets another image; when the rollout ends it gets the former one back.
        Rollout(RolloutSpec),
        /// The same with pods that never become ready.
        BadRollout(BadRolloutSpec),
        /// A workload gets another number of replicas; at the end it gets the former one back.
        Scale(ScaleSpec),
        /// A HorizontalPodAutoscaler gets other limits; at the end it has the former ones back.
        SetAutoscaler(SetAutoscalerSpec),
        /// A HorizontalPodAutoscaler is deleted, and its workload keeps its size; at the end it is made anew.
        DeleteAutoscaler(DeleteAutoscalerSpec),
        /// A Deployment is paused, or a Job or CronJob suspended; at the end it goes on.
        Suspend(HoldSpec),
        /// A Deployment that is paused, or a Job or CronJob that is suspended, goes on; at the end it waits again.
        Resume(HoldSpec),
        /// Somebody takes the scheduling gates off the pods of a workload, off new ones as soon as they are there; at the end new ones keep theirs.
        LiftGates(LiftGatesSpec),
        /// Nodes are drained, one after the other, and stay cordoned; at the end they are not.
        Drain(DrainSpec),
        /// Nodes are drained, boot anew and take pods again, one after the other.
        NodeUpgrade(Endless<DrainSpec>),
        /// The control plane is upgraded, one member after the other, the one that leads etcd last.
        ControlPlaneUpgrade(Endless<ControlPlaneUpgradeSpec>),
        /// Node objects are deleted, as by a cloud controller whose machines are no more.
        DeleteNode(Endless<NodesSpec>),
        /// Nodes are tainted `node.kubernetes.io/out-of-service`; at the end they are not.
        OutOfServiceTaint(NodesSpec),
        /// Pods are evicted through the API, which asks their disruption budgets.
        Evict(Endless<PodCrashSpec>),
        /// The volumes that hold the write-ahead log of a database are made larger.
        GrowStorage(Endless<GrowStorageSpec>),
        /// The primary of a database hands over to a standby.
        Switchover(Endless<SwitchoverSpec>),
        /// PostgreSQL of an instance is kept off; at the end it runs again.
        Fence(FenceSpec),
        /// A pooler is paused, as `spec.pgbouncer.paused` does it: it lends no connection, and who asks waits until it goes on at the end.
        PausePooler(PausePoolerSpec),
    }
}

fault_record! {
    /// The region is destroyed.
    pub struct RegionLossSpec("regionLoss") {
    }
}

fault_record! {
    /// An account is gone.
    pub struct AccountLossSpec("accountLoss") {
        /// Which; the account that the platform runs in when left out.
        account: Option<Spanned<String>>,
    }
}

fault_record! {
    /// Content is destroyed.
    pub struct LogicalLossSpec("a logical loss") {
        /// Of which data set.
        data_set: Spanned<String>,
        /// How long until it is noticed; what the data set says when left out.
        discovered_after: Option<Spanned<SimSpan>>,
    }
}

fault_record! {
    /// etcd's data is lost.
    pub struct EtcdDataLossSpec("etcdDataLoss") {
        /// How long until it is noticed; what the data set of etcd says when left out.
        discovered_after: Option<Spanned<SimSpan>>,
    }
}

fault_record! {
    /// A place for copies is gone.
    pub struct BackupTargetLossSpec("backupTargetLoss") {
        /// Which.
        place: Spanned<String>,
    }
}

fault_record! {
    /// A place for copies takes nothing more, for a while: runs that write there fail, and segments of logs wait.
    pub struct BucketFullSpec("bucketFull") {
        /// Which.
        place: Spanned<String>,
    }
}

fault_record! {
    /// A key is gone.
    pub struct KeyLossSpec("keyLoss") {
        /// Which.
        key: Spanned<String>,
    }
}

fault_record! {
    /// A key cannot be used for a while: nothing is encrypted with it, so that what copies or archives under it fails, and restores that need it wait.
    pub struct KeyDisabledSpec("keyDisabled") {
        /// Which.
        key: Spanned<String>,
    }
}

fault_record! {
    /// Backups fail.
    pub struct BackupsBrokenSpec("backupsBroken") {
        /// Of which policy.
        policy: Spanned<String>,
        /// They look complete.
        silent: Option<bool>,
    }
}

fault_record! {
    /// An archive stores nothing.
    pub struct ArchiveBrokenSpec("archiveBroken") {
        /// Of which data set.
        data_set: Spanned<String>,
        /// It says that it does, so that nothing is kept to be stored later.
        silent: Option<bool>,
    }
}

fault_record! {
    /// A provider without capacity for new machines in a zone.
    pub struct NoCapacitySpec("noCapacity") {
        /// Name of the zone, or `random` for another one in each run.
        zone: Spanned<String>,
        /// It says so at once. When left out, it takes requests, and the machines do not come while the fault lasts.
        refuses: Option<bool>,
    }
}

fault_record! {
    /// A fault of a whole zone.
    pub struct ZoneFaultSpec("a fault of a zone") {
        /// Name of the zone, or `random` for another one in each run.
        zone: Spanned<String>,
    }
}

fault_record! {
    /// A node that stops or shuts down: one by name, one under a workload, or a random worker.
    pub struct NodeCrashSpec("nodeCrash") {
        /// Name of the node.
        node: Option<Spanned<String>>,
        /// A random worker of this zone.
        zone: Option<Spanned<String>>,
        /// The node under the primary, or the first pod, of this workload, `namespace/name`.
        of: Option<Spanned<String>>,
    }
}

fault_record! {
    /// Pods of a workload.
    pub struct PodCrashSpec("a choice of pods") {
        /// Whose pods, as `namespace/name`.
        workload: Spanned<String>,
        /// How many of them, drawn at random; all when left out.
        count: Option<Spanned<u32>>,
    }
}

fault_record! {
    /// Pods that leak.
    pub struct MemoryLeakSpec("memoryLeak") {
        /// Whose pods, as `namespace/name`.
        workload: Spanned<String>,
        /// How many of them, drawn at random; all when left out, those to come as well.
        count: Option<Spanned<u32>>,
        /// How fast, such as `100Mi/h`, besides how they grow anyway.
        growth: Spanned<Growth>,
    }
}

fault_record! {
    /// Pods that fill a disk.
    pub struct DiskLeakSpec("diskLeak") {
        /// Whose pods, as `namespace/name`.
        workload: Spanned<String>,
        /// How many of them, drawn at random; all when left out, those to come as well.
        count: Option<Spanned<u32>>,
        /// How fast, such as `10Gi/h`, besides how they grow anyway.
        growth: Option<Spanned<Growth>>,
        /// How many files they make, such as `1000/s`, instead of how large these are.
        new_files: Option<Spanned<Rate>>,
    }
}

fault_record! {
    /// Pods that take process ids.
    pub struct ProcessLeakSpec("processLeak") {
        /// Whose pods, as `namespace/name`.
        workload: Spanned<String>,
        /// How many of them, drawn at random; all when left out, those to come as well.
        count: Option<Spanned<u32>>,
        /// How many each takes, such as `10/s`.
        growth: Spanned<Rate>,
    }
}

fault_record! {
    /// Requests from outside multiply.
    pub struct LoadSpikeSpec("loadSpike") {
        /// Services as `namespace/name`; all that have a load when left out.
        services: Vec<Spanned<String>>,
        /// What this tenant asks for only, as a load names it.
        tenant: Option<Spanned<String>>,
        /// By how much.
        factor: Spanned<Factor>,
        /// Time to reach the factor, and to fall back afterwards.
        ramp: Option<Spanned<SimSpan>>,
    }
}

fault_record! {
    /// The machine of a load balancer that holds its address is gone.
    pub struct BalancerMachineLossSpec("balancerMachineLoss") {
        /// The name of the balancer.
        balancer: Spanned<String>,
        /// The machine that stands by is gone too.
        both: Option<bool>,
    }
}

fault_record! {
    /// A name that clients ask for goes wrong.
    pub struct NameFaultSpec("a fault of a name") {
        /// The name, as `names` has it.
        host: Spanned<String>,
    }
}

fault_record! {
    /// The DNS of the cluster is slow.
    pub struct SlowDnsSpec("slowDns") {
        /// From a question to its answer.
        latency: Spanned<SimSpan>,
    }
}

fault_record! {
    /// Caches lose what they have.
    pub struct CacheColdSpec("cacheCold") {
        /// The Service whose calls have caches before them, or whose pods hold some, as `namespace/name`.
        service: Spanned<String>,
        /// Which share of what they have; all when it is not stated.
        share: Option<Spanned<Share>>,
    }
}

impl FaultSpec {
    /// The keys that say when.
    pub fn start_keys(&self) -> StartKeys<'_> {
        match self {
            Self::ZonePowerLoss(spec) | Self::ZoneIsolation(spec) => spec.start_keys(),
            Self::ZoneDestroyed(spec) => spec.start_keys(),
            Self::NodeCrash(spec) | Self::NodeShutdown(spec) => spec.start_keys(),
            Self::PodCrash(spec) => spec.start_keys(),
            Self::Evict(spec) => spec.start_keys(),
            Self::MemoryLeak(spec) => spec.start_keys(),
            Self::DiskLeak(spec) => spec.start_keys(),
            Self::ProcessLeak(spec) => spec.start_keys(),
            Self::NoCapacity(spec) => spec.start_keys(),
            Self::LoadSpike(spec) => spec.start_keys(),
            Self::BalancerMachineLoss(spec) => spec.start_keys(),
            Self::DnsOutage(spec) | Self::WrongRecord(spec) => spec.start_keys(),
            Self::SlowDns(spec) => spec.start_keys(),
            Self::CacheCold(spec) => spec.start_keys(),
            Self::ControlPlaneMemberLoss(spec) => spec.start_keys(),
            Self::EtcdMemberDown(spec) => spec.start_keys(),
            Self::EtcdSlowDisk(spec) => spec.start_keys(),
            Self::ApiServerDown(spec) => spec.start_keys(),
            Self::LeaderKill(spec) => spec.start_keys(),
            Self::ApiOutage(spec) | Self::CloudApiOutage(spec) | Self::ApiBalancerOutage(spec) => {
                spec.start_keys()
            }
            Self::ApiFlood(spec) => spec.start_keys(),
            Self::SlowApi(spec) => spec.start_keys(),
            Self::WebhookOutage(spec) => spec.start_keys(),
            Self::RegistryOutage(spec) => spec.start_keys(),
            Self::VaultSealed(spec) => spec.start_keys(),
            Self::ConfigurationDeleted(spec) => spec.start_keys(),
            Self::RegionLoss(spec) => spec.start_keys(),
            Self::AccountLoss(spec) => spec.start_keys(),
            Self::LogicalLoss(spec) | Self::BadMigration(spec) | Self::Ransomware(spec) => {
                spec.start_keys()
            }
            Self::EtcdDataLoss(spec) => spec.start_keys(),
            Self::BackupTargetLoss(spec) => spec.start_keys(),
            Self::BucketFull(spec) => spec.start_keys(),
            Self::KeyLoss(spec) => spec.start_keys(),
            Self::KeyDisabled(spec) => spec.start_keys(),
            Self::BackupsBroken(spec) => spec.start_keys(),
            Self::ArchiveBroken(spec) => spec.start_keys(),
            Self::DestroyInstance(spec) => spec.start_keys(),
            Self::FreezePrimary(spec) => spec.start_keys(),
            Self::HoldStandby(spec) => spec.start_keys(),
            Self::DiskLoss(spec) => spec.start_keys(),
            Self::Throttle(spec) => spec.start_keys(),
            Self::SetMinSize(spec) => spec.start_keys(),
            Self::Rollout(spec) => spec.start_keys(),
            Self::BadRollout(spec) => spec.start_keys(),
            Self::Scale(spec) => spec.start_keys(),
            Self::Suspend(spec) | Self::Resume(spec) => spec.start_keys(),
            Self::LiftGates(spec) => spec.start_keys(),
            Self::SetAutoscaler(spec) => spec.start_keys(),
            Self::DeleteAutoscaler(spec) => spec.start_keys(),
            Self::Drain(spec) => spec.start_keys(),
            Self::NodeUpgrade(spec) => spec.start_keys(),
            Self::ControlPlaneUpgrade(spec) => spec.start_keys(),
            Self::DeleteNode(spec) => spec.start_keys(),
            Self::OutOfServiceTaint(spec) => spec.start_keys(),
            Self::GrowStorage(spec) => spec.start_keys(),
            Self::Switchover(spec) => spec.start_keys(),
            Self::Fence(spec) => spec.start_keys(),
            Self::PausePooler(spec) => spec.start_keys(),
        }
    }

    /// Whether it means nothing without `backups`: it strikes what only they describe.
    pub fn needs_backups(&self) -> bool {
        matches!(
            self,
            Self::AccountLoss(_)
                | Self::LogicalLoss(_)
                | Self::EtcdDataLoss(_)
                | Self::BadMigration(_)
                | Self::Ransomware(_)
                | Self::BackupTargetLoss(_)
                | Self::BucketFull(_)
                | Self::KeyLoss(_)
                | Self::KeyDisabled(_)
                | Self::BackupsBroken(_)
                | Self::ArchiveBroken(_)
                | Self::Throttle(_)
        )
    }

    /// Why its `for` says nothing but how long control planes are frozen with it; none when it says
    /// more.
    pub fn why_momentary(&self) -> Option<&'static str> {
        match self {
            Self::PodCrash(_) => Some("the kubelet starts what crashed again by itself"),
            Self::BalancerMachineLoss(_) => Some("another machine is made by itself"),
            _ => None,
        }
    }

    /// Why it has no end of its own that `for` could set; none when it has one.
    pub fn why_endless(&self) -> Option<&'static str> {
        Some(match self {
            Self::Evict(_) => "what made an evicted pod makes another one by itself",
            Self::LeaderKill(_) => "a killed process starts again by itself",
            Self::NodeUpgrade(_) => "it ends when the last node is upgraded",
            Self::ControlPlaneUpgrade(_) => "nothing takes the upgrade of a control plane back",
            Self::DeleteNode(_) => "a node that is deleted is gone",
            Self::GrowStorage(_) => "no volume can be made smaller",
            Self::Switchover(_) => "write another one to go back",
            Self::ZoneDestroyed(_)
            | Self::RegionLoss(_)
            | Self::AccountLoss(_)
            | Self::LogicalLoss(_)
            | Self::EtcdDataLoss(_)
            | Self::BadMigration(_)
            | Self::Ransomware(_)
            | Self::BackupTargetLoss(_)
            | Self::KeyLoss(_)
            | Self::DestroyInstance(_) => "what is gone is gone",
            Self::DiskLoss(spec) if spec.destroyed.unwrap_or(false) => {
                "disks that are destroyed do not come back"
            }
            _ => return None,
        })
    }

    /// The key it was written with.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ZonePowerLoss(_) => "zonePowerLoss",
            Self::ZoneIsolation(_) => "zoneIsolation",
            Self::NodeCrash(_) => "nodeCrash",
            Self::NodeShutdown(_) => "nodeShutdown",
            Self::PodCrash(_) => "podCrash",
            Self::MemoryLeak(_) => "memoryLeak",
            Self::DiskLeak(_) => "diskLeak",
            Self::ProcessLeak(_) => "processLeak",
            Self::NoCapacity(_) => "noCapacity",
            Self::LoadSpike(_) => "loadSpike",
            Self::BalancerMachineLoss(_) => "balancerMachineLoss",
            Self::DnsOutage(_) => "dnsOutage",
            Self::SlowDns(_) => "slowDns",
            Self::CacheCold(_) => "cacheCold",
            Self::WrongRecord(_) => "wrongRecord",
            Self::ControlPlaneMemberLoss(_) => "controlPlaneMemberLoss",
            Self::EtcdMemberDown(_) => "etcdMemberDown",
            Self::EtcdSlowDisk(_) => "etcdSlowDisk",
            Self::ApiServerDown(_) => "apiServerDown",
            Self::ApiBalancerOutage(_) => "apiBalancerOutage",
            Self::LeaderKill(_) => "leaderKill",
            Self::ApiOutage(_) => "apiOutage",
            Self::CloudApiOutage(_) => "cloudApiOutage",
            Self::ApiFlood(_) => "apiFlood",
            Self::SlowApi(_) => "slowApi",
            Self::WebhookOutage(_) => "webhookOutage",
            Self::RegistryOutage(_) => "registryOutage",
            Self::VaultSealed(_) => "vaultSealed",
            Self::ConfigurationDeleted(_) => "configurationDeleted",
            Self::ZoneDestroyed(_) => "zoneDestroyed",
            Self::RegionLoss(_) => "regionLoss",
            Self::AccountLoss(_) => "accountLoss",
            Self::LogicalLoss(_) => "logicalLoss",
            Self::EtcdDataLoss(_) => "etcdDataLoss",
            Self::BadMigration(_) => "badMigration",
            Self::Ransomware(_) => "ransomware",
            Self::BackupTargetLoss(_) => "backupTargetLoss",
            Self::KeyLoss(_) => "keyLoss",
            Self::BucketFull(_) => "bucketFull",
            Self::KeyDisabled(_) => "keyDisabled",
            Self::BackupsBroken(_) => "backupsBroken",
            Self::ArchiveBroken(_) => "archiveBroken",
            Self::DestroyInstance(_) => "destroyInstance",
            Self::FreezePrimary(_) => "freezePrimary",
            Self::HoldStandby(_) => "holdStandby",
            Self::DiskLoss(_) => "diskLoss",
            Self::Throttle(_) => "throttle",
            Self::SetMinSize(_) => "setMinSize",
            Self::Rollout(_) => "rollout",
            Self::BadRollout(_) => "badRollout",
            Self::Scale(_) => "scale",
            Self::Suspend(_) => "suspend",
            Self::Resume(_) => "resume",
            Self::LiftGates(_) => "liftGates",
            Self::SetAutoscaler(_) => "setAutoscaler",
            Self::DeleteAutoscaler(_) => "deleteAutoscaler",
            Self::Drain(_) => "drain",
            Self::NodeUpgrade(_) => "nodeUpgrade",
            Self::ControlPlaneUpgrade(_) => "controlPlaneUpgrade",
            Self::DeleteNode(_) => "deleteNode",
            Self::OutOfServiceTaint(_) => "outOfServiceTaint",
            Self::Evict(_) => "evict",
            Self::GrowStorage(_) => "growStorage",
            Self::Switchover(_) => "switchover",
            Self::Fence(_) => "fence",
            Self::PausePooler(_) => "pausePooler",
        }
    }

    /// Where it was written.
    pub fn span(&self) -> crate::source::Span {
        match self {
            Self::ZonePowerLoss(spec) | Self::ZoneIsolation(spec) => spec.span,
            Self::ZoneDestroyed(spec) => spec.span,
            Self::NodeCrash(spec) | Self::NodeShutdown(spec) => spec.span,
            Self::PodCrash(spec) => spec.span,
            Self::Evict(spec) => spec.span,
            Self::MemoryLeak(spec) => spec.span,
            Self::DiskLeak(spec) => spec.span,
            Self::ProcessLeak(spec) => spec.span,
            Self::NoCapacity(spec) => spec.span,
            Self::LoadSpike(spec) => spec.span,
            Self::BalancerMachineLoss(spec) => spec.span,
            Self::DnsOutage(spec) | Self::WrongRecord(spec) => spec.span,
            Self::SlowDns(spec) => spec.span,
            Self::CacheCold(spec) => spec.span,
            Self::ControlPlaneMemberLoss(spec) => spec.span,
            Self::EtcdMemberDown(spec) => spec.span,
            Self::EtcdSlowDisk(spec) => spec.span,
            Self::ApiServerDown(spec) => spec.span,
            Self::LeaderKill(spec) => spec.span,
            Self::ApiOutage(spec) | Self::CloudApiOutage(spec) | Self::ApiBalancerOutage(spec) => {
                spec.span
            }
            Self::ApiFlood(spec) => spec.span,
            Self::SlowApi(spec) => spec.span,
            Self::WebhookOutage(spec) => spec.span,
            Self::RegistryOutage(spec) => spec.span,
            Self::VaultSealed(spec) => spec.span,
            Self::ConfigurationDeleted(spec) => spec.span,
            Self::RegionLoss(spec) => spec.span,
            Self::AccountLoss(spec) => spec.span,
            Self::LogicalLoss(spec) | Self::BadMigration(spec) | Self::Ransomware(spec) => {
                spec.span
            }
            Self::EtcdDataLoss(spec) => spec.span,
            Self::BackupTargetLoss(spec) => spec.span,
            Self::KeyLoss(spec) => spec.span,
            Self::BucketFull(spec) => spec.span,
            Self::KeyDisabled(spec) => spec.span,
            Self::BackupsBroken(spec) => spec.span,
            Self::ArchiveBroken(spec) => spec.span,
            Self::DestroyInstance(spec) => spec.span,
            Self::FreezePrimary(spec) => spec.span,
            Self::HoldStandby(spec) => spec.span,
            Self::DiskLoss(spec) => spec.span,
            Self::Throttle(spec) => spec.span,
            Self::SetMinSize(spec) => spec.span,
            Self::Rollout(spec) => spec.span,
            Self::BadRollout(spec) => spec.span,
            Self::Scale(spec) => spec.span,
            Self::Suspend(spec) | Self::Resume(spec) => spec.span,
            Self::LiftGates(spec) => spec.span,
            Self::SetAutoscaler(spec) => spec.span,
            Self::DeleteAutoscaler(spec) => spec.span,
            Self::Drain(spec) => spec.span,
            Self::NodeUpgrade(spec) => spec.span,
            Self::ControlPlaneUpgrade(spec) => spec.span,
            Self::DeleteNode(spec) => spec.span,
            Self::OutOfServiceTaint(spec) => spec.span,
            Self::GrowStorage(spec) => spec.span,
            Self::Switchover(spec) => spec.span,
            Self::Fence(spec) => spec.span,
            Self::PausePooler(spec) => spec.span,
        }
    }
}

tagged! {
    /// A condition that starts a fault when it first holds.
    pub enum ConditionSpec("a condition") {
        /// The fault of this name has started.
        FaultStarted(Spanned<String>),
        /// The fault of this name has ended.
        FaultEnded(Spanned<String>),
        /// A Service has fewer ready endpoints than this.
        EndpointsBelow(EndpointsBelowSpec),
        /// Some pod waits because no node fits.
        PodUnschedulable(EmptySpec),
        /// A database promotes a new primary.
        FailoverStarted(EmptySpec),
        /// The volume that holds the write-ahead log of a database is full to a share.
        WalVolumeAbove(WalVolumeAboveSpec),
    }
}

record! {
    /// A volume that fills.
    pub struct WalVolumeAboveSpec("walVolumeAbove") {
        /// The database, as `namespace/name`: a Cluster of CloudNativePG.
        database: Spanned<String>,
        /// The share of the volume, data on it included.
        share: Spanned<Share>,
    }
}

record! {
    /// Too few endpoints.
    pub struct EndpointsBelowSpec("endpointsBelow") {
        /// The Service, as `namespace/name`.
        service: Spanned<String>,
        /// Fewer ready endpoints than this.
        count: Spanned<u32>,
    }
}

/// Nothing more to say: `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptySpec;

impl Decode for EmptySpec {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        Fields::of(node, "this condition", &[], diagnostics).map(|_| Self)
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": ["object", "null"], "additionalProperties": false})
    }
}

/// A window of time, written as `[10m, 20m]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowSpec {
    /// Its ends.
    pub from: Spanned<SimTime>,
    /// Its ends.
    pub until: Spanned<SimTime>,
}

impl Decode for WindowSpec {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let Some([from, until]) = node.items() else {
            diagnostics.push(wrong_type(node, "a window such as [10m, 20m]"));
            return None;
        };
        let from = Spanned::decode(from, diagnostics);
        let until = Spanned::decode(until, diagnostics);
        Some(Self { from: from?, until: until? })
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let time = <Spanned<SimTime> as Decode>::schema(definitions);
        json!({"type": "array", "items": time, "minItems": 2, "maxItems": 2})
    }
}
