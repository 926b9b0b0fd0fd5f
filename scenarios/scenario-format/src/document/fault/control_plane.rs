//! Faults of the control plane and of what nodes need to start something new.

use model_api::{SimSpan, SimTime};
use serde_json::{Value as Json, json};

use super::{ConditionSpec, StartKeys, WindowSpec, fault_record};
use crate::decode::{FromText, record};
use crate::source::Spanned;

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
