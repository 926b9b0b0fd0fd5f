//! What becomes of that which stands between clients and Services.

use crate::ids::{BalancerId, NodeId, PodId, ServiceId, ZoneId};

/// Something about one load balancer or gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayFact {
    /// A machine of it is gone, or cut off.
    MachineLost {
        /// Which balancer.
        balancer: BalancerId,
        /// Where the machine stands.
        zone: ZoneId,
        /// It held the address, so that nobody answers there now.
        is_active: bool,
    },
    /// A machine holds the address from now on.
    MachineActive {
        /// Which balancer.
        balancer: BalancerId,
        /// Where the machine stands.
        zone: ZoneId,
    },
    /// The health manager gives a machine up and has another one made.
    MachineGivenUp {
        /// Which balancer.
        balancer: BalancerId,
        /// Where that stood which is given up.
        zone: ZoneId,
    },
    /// A machine in place of another one is there.
    MachineBuilt {
        /// Which balancer.
        balancer: BalancerId,
        /// Where it stands.
        zone: ZoneId,
    },
    /// Its health monitor found a node down: it leads there no more.
    MemberDown {
        /// Which balancer.
        balancer: BalancerId,
        /// Which node.
        node: NodeId,
    },
    /// Its health monitor found a node well again.
    MemberUp {
        /// Which balancer.
        balancer: BalancerId,
        /// Which node.
        node: NodeId,
    },
    /// Where it leads to changed.
    Led {
        /// Which balancer.
        balancer: BalancerId,
        /// Nodes that it leads to.
        member_count: u32,
        /// Of these, nodes that do not answer.
        silent_count: u32,
    },
    /// The checks of a record found that its entrance does not answer, or does again.
    RecordJudged {
        /// Position of the name.
        name: u32,
        /// The entrance.
        service: ServiceId,
        /// It answers.
        is_answering: bool,
    },
    /// The pods that a gateway chooses from changed.
    Knows {
        /// The Service of the gateway.
        gateway: ServiceId,
        /// The Service behind it.
        service: ServiceId,
        /// Pods that answer.
        live_count: u32,
        /// Pods that do not.
        silent_count: u32,
    },
    /// The checks of a gateway found a pod unhealthy, or healthy again.
    PodJudged {
        /// The Service of the gateway.
        gateway: ServiceId,
        /// The Service behind it.
        service: ServiceId,
        /// Which pod.
        pod: PodId,
        /// It is.
        is_healthy: bool,
    },
}
