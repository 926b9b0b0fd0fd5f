//! Faults of what decides and of what nodes need to start something new.
//!
//! None of them stops a process that serves requests: what they do shows when something has to
//! change while they last.

use super::ZonePick;

/// What fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPlaneFault {
    /// Machines of the control plane stop: their etcd, API server and controllers with them.
    MemberLoss {
        /// Only members of this zone.
        zone: Option<ZonePick>,
        /// How many of them, drawn at random; `None` means all.
        count: Option<u32>,
    },
    /// The process that leads ends with an error and starts again as a candidate.
    LeaderKill(Leading),
    /// No API server answers; etcd and the machines are well.
    ApiOutage,
    /// The endpoints of a webhook accept calls and answer none.
    WebhookOutage {
        /// Its name, or that of its configuration.
        name: String,
    },
    /// An image registry does not answer.
    RegistryOutage {
        /// Host of the registry as image names have it; `None` means every one.
        host: Option<String>,
    },
}

/// What has a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leading {
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// etcd.
    Etcd,
}
