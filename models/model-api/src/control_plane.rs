//! What decides in a cluster, and where it stands: API servers, etcd, and what leads to them.

use sim_kernel::SimSpan;

use crate::ids::ZoneId;
use crate::kube::Version;
use crate::source::Origin;

/// Members of the control plane.
///
/// The machines of [`Self::member_zones`] run an API server each, and a controller manager and a
/// scheduler unless these have machines of their own. Stacked, the default of kubeadm, each runs a
/// member of etcd too, which its API server asks and no other; otherwise etcd has machines of its own,
/// and every API server asks all of its members (`cmd/kubeadm/app/phases/controlplane/manifests.go`:
/// `--etcd-servers`, Kubernetes 1.36).
///
/// Members are numbered: those of `member_zones` first, then those of `etcd_zones`, of
/// `controller_manager_zones` and of `scheduler_zones`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlPlane {
    /// Zone of each machine with an API server.
    pub member_zones: Vec<ZoneId>,
    /// Zone of each machine that runs a member of etcd and nothing else; empty where etcd is stacked.
    pub etcd_zones: Vec<ZoneId>,
    /// Zone of each machine that runs a controller manager and nothing else; empty where they run beside
    /// API servers.
    pub controller_manager_zones: Vec<ZoneId>,
    /// Zone of each machine that runs a scheduler and nothing else; empty where they run beside API
    /// servers.
    pub scheduler_zones: Vec<ZoneId>,
    /// The load balancer through which kubelets, proxies and people reach the API servers; when `None`
    /// they reach whichever answers.
    pub balancer: Option<ApiBalancer>,
    /// How API servers keep their addresses in the Service `kubernetes`, through which pods reach
    /// them; when `None` pods reach whichever answers.
    pub endpoint_reconciler: Option<EndpointReconciler>,
    /// Version of its components, if it is stated.
    pub version: Option<Version>,
    /// Where it was written.
    pub origin: Origin,
}

impl ControlPlane {
    /// Zone of every member, in the order of their numbers.
    pub fn zones(&self) -> impl Iterator<Item = ZoneId> + use<'_> {
        let machines = self.member_zones.iter().chain(&self.etcd_zones);
        machines.chain(&self.controller_manager_zones).chain(&self.scheduler_zones).copied()
    }

    /// Zone of a member.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn zone_of(&self, member: usize) -> ZoneId {
        self.zones().nth(member).expect("a member has a number below their count")
    }

    /// Each member of etcd runs beside an API server.
    pub fn is_stacked(&self) -> bool {
        self.etcd_zones.is_empty()
    }

    /// Zone of each member of etcd.
    pub fn voter_zones(&self) -> &[ZoneId] {
        if self.is_stacked() { &self.member_zones } else { &self.etcd_zones }
    }

    /// Whether a member runs an API server.
    pub fn has_server(&self, member: usize) -> bool {
        member < self.member_zones.len()
    }

    /// Whether a member runs etcd.
    pub fn has_etcd(&self, member: usize) -> bool {
        let servers = self.member_zones.len();
        if self.is_stacked() {
            self.has_server(member)
        } else {
            (servers..servers + self.etcd_zones.len()).contains(&member)
        }
    }

    /// Whether a member runs a controller manager.
    pub fn runs_controller_manager(&self, member: usize) -> bool {
        if self.controller_manager_zones.is_empty() {
            return self.has_server(member);
        }
        let first = self.member_zones.len() + self.etcd_zones.len();
        (first..first + self.controller_manager_zones.len()).contains(&member)
    }

    /// Whether a member runs a scheduler.
    pub fn runs_scheduler(&self, member: usize) -> bool {
        if self.scheduler_zones.is_empty() {
            return self.has_server(member);
        }
        let count = self.zones().count();
        (count - self.scheduler_zones.len()..count).contains(&member)
    }

    /// How many members of etcd must live for it to write: `floor(n/2) + 1`.
    pub fn quorum(&self) -> usize {
        self.voter_zones().len() / 2 + 1
    }
}

/// A load balancer before API servers. It passes connections through and looks at each server itself.
///
/// The default is the example of kubeadm (`docs/ha-considerations.md`: HAProxy with `inter 10s`,
/// `fall 2`, `rise 2`); how long a check may take is its `timeout check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiBalancer {
    /// From one check of a server to the next.
    pub interval: SimSpan,
    /// How long a server may take to answer a check.
    pub timeout: SimSpan,
    /// Checks in a row that must fail for a server that is in.
    pub fall: u32,
    /// Checks in a row that must succeed for a server that is out.
    pub rise: u32,
}

impl Default for ApiBalancer {
    fn default() -> Self {
        Self { interval: SimSpan::from_secs(10), timeout: SimSpan::from_secs(10), fall: 2, rise: 2 }
    }
}

/// Who keeps the addresses of API servers in the Service `kubernetes`: `--endpoint-reconciler-type` of
/// kube-apiserver (`pkg/controlplane/reconcilers/reconcilers.go`, Kubernetes 1.36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointReconciler {
    /// Each server by a lease of its own, the default of Kubernetes: one that died stays listed until its
    /// lease has run out and another server looks.
    Lease,
    /// None of them: whoever wrote the addresses leaves them, whatever dies.
    None,
}

impl EndpointReconciler {
    /// Its name as a value of the flag.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::None => "none",
        }
    }
}

/// A process of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberPart {
    /// Its member of etcd.
    Etcd,
    /// Its API server.
    ApiServer,
}
