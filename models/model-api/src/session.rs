//! Requests of one client that stay with one pod.

use sim_kernel::SimSpan;

use crate::ids::ServiceId;

/// Clients that the requests of a load come from, as far as it matters which pod each of them gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Clients that have a session at a time; so many that every pod gets its share where `None`.
    pub count: Option<u32>,
    /// How long a session lasts in the mean, exponentially distributed, until a client with another
    /// address or cookie takes its place; as long as the run where `None`.
    pub lasts: Option<SimSpan>,
    /// How unequal they are, in thousandths: the exponent of Zipf's law, by which the k-th of them asks
    /// as often as the first divided by k to this power. Zero: all ask alike.
    pub skew_milli: u32,
}

/// What keeps the requests of one client with one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stickiness {
    /// Proxies remember for each address which endpoint its last connection went to
    /// (`sessionAffinity: ClientIP`).
    Address {
        /// `sessionAffinityConfig.clientIP.timeoutSeconds`: from the last connection on.
        timeout: SimSpan,
    },
    /// A gateway chooses by a hash of what a client shows: as the pods change, a part of all clients
    /// changes its pod (`algorithm: consistent-hashing` of Kong).
    Hashed {
        /// What is hashed.
        by: Option<HashInput>,
        /// What is hashed where a request shows nothing of that. What shows nothing at all has the same
        /// hash as everything else that does not, and so the same pod (`get_value_to_hash(…) or ""` in
        /// `kong/runloop/balancer/init.lua`, 3.x).
        fallback: Option<HashInput>,
        /// `slots`: places on the ring.
        slots: u32,
    },
    /// A gateway writes into a cookie which pod it chose (`algorithm: sticky-sessions` of Kong 3.11).
    Named,
}

/// What a gateway hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashInput {
    /// The address of the client.
    Address,
    /// The consumer that authenticated itself, which is the tenant of a load.
    Consumer,
    /// A header that tells clients apart.
    Header,
    /// A cookie, which the gateway makes for those who have none.
    Cookie,
}

/// A Service whose pods gateways choose by who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StickyUpstream {
    /// Which Service.
    pub service: ServiceId,
    /// How.
    pub stickiness: Stickiness,
}

impl Stickiness {
    /// `DefaultClientIPServiceAffinitySeconds` of Kubernetes (`staging/src/k8s.io/api/core/v1/types.go`,
    /// 1.36).
    pub const TIMEOUT: SimSpan = SimSpan::from_secs(10_800);
    /// `slots` of Kong 3 (`kong/db/schema/entities/upstreams.lua`).
    pub const SLOTS: u32 = 10_000;
}

/// What became of the sessions of a Service whose clients stay with a pod, over a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionsSeen {
    /// Sessions that another pod took over, where it is known how many there are.
    pub moved: u64,
    /// Of these, those that were lost, because pods keep them in memory.
    pub lost: u64,
    /// Requests of the pod that got most of them, as a multiple of what each would get if all got as
    /// many, in thousandths: the largest of the run.
    pub hottest_milli: u64,
}
