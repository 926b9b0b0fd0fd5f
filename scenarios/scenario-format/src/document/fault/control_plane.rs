//! Faults of the control plane and of what nodes need to start something new.

use model_api::{SimSpan, SimTime};
use serde_json::{Value as Json, json};

use super::{ConditionSpec, StartKeys, WindowSpec, fault_record};
use crate::decode::{FromText, record};
use crate::nearest::suggestion;
use crate::source::Spanned;
use crate::units::Rate;

fault_record! {
    /// Machines of the control plane that stop.
    pub struct MemberLossSpec("controlPlaneMemberLoss") {
        /// Only members of this zone, or of a `random` one; any when left out.
        zone: Option<Spanned<String>>,
        /// How many of them, drawn at random; all when left out.
        count: Option<Spanned<u32>>,
    }
}

fault_record! {
    /// Members of etcd whose processes end and stay down.
    pub struct EtcdMemberSpec("etcdMemberDown") {
        /// Only members of this zone, or of a `random` one; any when left out.
        zone: Option<Spanned<String>>,
        /// How many of them, drawn at random; one when left out.
        count: Option<Spanned<u32>>,
        /// `leader` or `follower`; either when left out.
        which: Option<Spanned<EtcdRole>>,
    }
}

fault_record! {
    /// A slow disk under members of etcd.
    pub struct EtcdDiskSpec("etcdSlowDisk") {
        /// How much longer each flush takes.
        latency: Spanned<SimSpan>,
        /// Only members of this zone, or of a `random` one; any when left out.
        zone: Option<Spanned<String>>,
        /// How many of them, drawn at random; one when left out.
        count: Option<Spanned<u32>>,
        /// `leader` or `follower`; either when left out.
        which: Option<Spanned<EtcdRole>>,
    }
}

fault_record! {
    /// API servers whose processes end and stay down.
    pub struct ApiServerSpec("apiServerDown") {
        /// Only those of this zone, or of a `random` one; any when left out.
        zone: Option<Spanned<String>>,
        /// How many of them, drawn at random; one when left out.
        count: Option<Spanned<u32>>,
    }
}

fault_record! {
    /// A leader whose process ends.
    pub struct LeaderKillSpec("leaderKill") {
        /// What it leads: `controllerManager`, `scheduler` or `etcd`.
        of: Spanned<Leading>,
    }
}

fault_record! {
    /// A fault that needs no more than a time.
    pub struct PlainFaultSpec("this fault") {
    }
}

fault_record! {
    /// Requests that flood the API servers.
    pub struct ApiFloodSpec("apiFlood") {
        /// How many come to all API servers together, such as `2000/s`.
        requests: Spanned<Rate>,
        /// Whose they are: a priority level such as `workload-low`, or a flow schema such as `service-accounts`; `exempt` for the group system:masters.
        r#as: Spanned<PriorityLevel>,
        /// Objects that each of them lists; none when left out.
        objects: Option<Spanned<u64>>,
        /// How long each takes once it is let through; when left out, 20 ms and 50 us for each object.
        takes: Option<Spanned<SimSpan>>,
        /// Clients, or namespaces where the schema tells flows apart by these; one when left out. Each flow has its own few queues.
        clients: Option<Spanned<u32>>,
        /// They write; left out, those do that list nothing.
        writes: Option<bool>,
    }
}

fault_record! {
    /// An API that stores slowly.
    pub struct SlowApiSpec("slowApi") {
        /// How much longer each write takes.
        latency: Spanned<SimSpan>,
    }
}

fault_record! {
    /// A webhook that does not answer.
    pub struct WebhookOutageSpec("webhookOutage") {
        /// Its name, or that of its configuration.
        webhook: Spanned<String>,
    }
}

fault_record! {
    /// A registry that does not answer.
    pub struct RegistryOutageSpec("registryOutage") {
        /// Host of the registry, as in the names of images; every registry when left out.
        registry: Option<Spanned<String>>,
    }
}

fault_record! {
    /// A vault that is sealed: its pods run and give nothing away.
    pub struct VaultSealedSpec("vaultSealed") {
        /// One of the `vaults` of the platform, by its Service.
        vault: Spanned<String>,
    }
}

fault_record! {
    /// A Secret or ConfigMap that is deleted, until it is there again.
    pub struct ConfigurationDeletedSpec("configurationDeleted") {
        /// A Secret, as `namespace/name`.
        secret: Option<Spanned<String>>,
        /// A ConfigMap, as `namespace/name`.
        config_map: Option<Spanned<String>>,
    }
}

/// What has a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leading(pub model_api::fault::Leading);

impl FromText for Leading {
    const EXPECTED: &'static str = "controllerManager, scheduler or etcd";

    fn from_text(text: &str) -> Result<Self, String> {
        use model_api::fault::Leading as L;
        match text {
            "controllerManager" => Ok(Self(L::ControllerManager)),
            "scheduler" => Ok(Self(L::Scheduler)),
            "etcd" => Ok(Self(L::Etcd)),
            _ => Err("it is one of controllerManager, scheduler, etcd".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["controllerManager", "scheduler", "etcd"]})
    }
}

/// What a member of etcd is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdRole {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
}

impl FromText for EtcdRole {
    const EXPECTED: &'static str = "leader or follower";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "leader" => Ok(Self::Leader),
            "follower" => Ok(Self::Follower),
            _ => Err("a member of etcd is leader or follower".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["leader", "follower"]})
    }
}

/// A priority level, by its own name or that of a flow schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityLevel(pub model_api::fault::PriorityLevel);

impl PriorityLevel {
    fn names() -> impl Iterator<Item = (&'static str, model_api::fault::PriorityLevel)> {
        let levels = model_api::fault::PriorityLevel::ALL.into_iter();
        levels.flat_map(|level| {
            let schemas = level.schemas().iter().filter(move |name| **name != level.name());
            [(level.name(), level)].into_iter().chain(schemas.map(move |name| (*name, level)))
        })
    }
}

impl FromText for PriorityLevel {
    const EXPECTED: &'static str = "a priority level or flow schema such as workload-low";

    fn from_text(text: &str) -> Result<Self, String> {
        let found = Self::names().find(|(name, _)| *name == text);
        found.map(|(_, level)| Self(level)).ok_or_else(|| {
            let names: Vec<&str> = Self::names().map(|(name, _)| name).collect();
            let hint = suggestion(text, names).map_or_else(String::new, |hint| format!(": {hint}"));
            format!("is no priority level or flow schema of every cluster{hint}")
        })
    }

    fn schema() -> Json {
        let names: Vec<&str> = Self::names().map(|(name, _)| name).collect();
        json!({"enum": names})
    }
}
