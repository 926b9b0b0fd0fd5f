//! Rare branches that a campaign should have reached.

sim_kernel::declare_probes! {
    TOOK_OVER = "the machine that stood by took a load balancer over",
    ALL_MACHINES_LOST = "a load balancer had no machine left",
    BUILT_ELSEWHERE = "a machine of a load balancer was made in another zone",
    BUILT_NOWHERE = "no zone was there to make a machine of a load balancer in",
    BUILD_WAITED = "a machine of a load balancer waited for the cloud's control plane",
    BACK_BEFORE_GIVEN_UP = "a machine of a load balancer was back before it was given up",
    MEMBER_DOWN = "a health monitor found a node down",
    MEMBER_BACK_IN_TIME = "a node answered again before its health monitor found it down",
    LIST_STAYED = "a gateway kept its list of pods, because its controller was away",
    FOUND_UNHEALTHY = "a gateway found a pod unhealthy",
    NO_TARGET = "a gateway knew no pod that it could choose",
    NO_MEMBER = "a load balancer had no node left that it leads to",
}

/// The same of names.
pub mod names {
    sim_kernel::declare_probes! {
        RECORD_CHANGED = "the checks of a name found an entrance down or well, and its records changed",
        RECORD_BACK_IN_TIME = "an entrance answered again before the checks of its record found it down",
    }
}
