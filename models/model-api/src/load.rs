//! Who asks for how much, and what a request costs.

use sim_kernel::{SimSpan, SimTime};

use crate::dns::Found;
use crate::ids::{DatabaseId, ServiceId, ZoneId};
use crate::path::{CallPolicy, Readiness, Serving};
use crate::session::Sessions;
use crate::source::Origin;

/// How a Service serves requests.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceProfile {
    /// The Service.
    pub service: ServiceId,
    /// CPU time one request takes in a pod. With the pod's CPU limit (its request, when it has no
    /// limit) this gives the capacity of a pod: `cpu_millis * 1 s / (1000 * cpu_per_request)`.
    pub cpu_per_request: SimSpan,
    /// Time a request takes without waiting, apart from what it calls.
    pub base_latency: SimSpan,
    /// Services a request needs, each called as often as it is there. Acyclic.
    pub depends_on: Vec<ServiceId>,
    /// How it calls each of them, in the same order; what is missing is the default.
    pub policies: Vec<CallPolicy>,
    /// How it calls the Services behind it, when loads come in through it.
    pub upstream: CallPolicy,
    /// Databases a request writes to, each once.
    pub writes_to: Vec<DatabaseId>,
    /// How a pod of it serves.
    pub serving: Serving,
    /// What its readiness probe asks for.
    pub readiness: Readiness,
    /// Where it was written.
    pub origin: Origin,
}

impl ServiceProfile {
    /// How it makes its call number `idx`.
    pub fn policy(&self, idx: usize) -> CallPolicy {
        self.policies.get(idx).copied().unwrap_or_default()
    }
}

/// Requests from outside for one Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The Service they are for.
    pub service: ServiceId,
    /// The Service they come in through (the gateway), if any.
    pub via: Option<ServiceId>,
    /// Who they come from.
    pub clients: Clients,
    /// How the clients call.
    pub client: CallPolicy,
    /// Where its clients are users who wait for each answer before they ask again; then its points
    /// are how many there are, in thousandths, and no rates.
    pub users: Option<Thinking>,
    /// Rate over time: linear between points, constant before the first and after the last; two
    /// points of one time make a step.
    pub points: Vec<LoadPoint>,
    /// Where it was written.
    pub origin: Origin,
}

/// Whose requests a load has, as far as it matters. The default is everybody.
///
/// Clients stand outside the platform: a zone that is lost takes none of them away. Who had it
/// nearest asks on, through the address of the region, and what is then lost is lost to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// The tenant that all of them belong to.
    pub tenant: Option<String>,
    /// The zone that is nearest to all of them.
    pub zone: Option<ZoneId>,
    /// From how many addresses they come, each as often as the others, where that is known. It matters
    /// to limits that count by address.
    pub addresses: Option<u32>,
    /// Which of them have sessions that stay with a pod, and how long.
    pub sessions: Sessions,
    /// How they found the entrance, where a name leads them: all loads of one name have the rate of all its
    /// clients, of which those come that it leads there.
    pub found: Option<Found>,
}

impl Clients {
    /// The groups that they are counted in, besides all clients of the Service.
    pub fn groups(&self) -> impl Iterator<Item = ClientGroup> {
        let tenant = self.tenant.clone().map(ClientGroup::Tenant);
        tenant.into_iter().chain(self.zone.map(ClientGroup::Zone))
    }

    /// Whether they are counted by themselves.
    pub fn are_counted(&self) -> bool {
        self.tenant.is_some() || self.zone.is_some()
    }
}

/// What users do between an answer, or what they take for one, and their next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thinking {
    /// How long it takes them in the mean; longer than nothing.
    pub mean: SimSpan,
    /// How that varies.
    pub law: ThinkLaw,
}

/// How the time between an answer and the next request varies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkLaw {
    /// Exponentially.
    #[default]
    Exponential,
    /// Not at all.
    Constant,
}

/// Requests to a Service whose figures are told apart from those of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientGroup {
    /// Those of the clients of a tenant.
    Tenant(String),
    /// Those of the clients that are nearest to a zone.
    Zone(ZoneId),
    /// Those that endpoints in a zone got, whoever asked: each attempt, as the endpoints see it.
    ServedIn(ZoneId),
}

/// What is random about a load: it multiplies the rate, in each run otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The load: position in [`Blueprint::loads`](crate::Blueprint::loads).
    pub load: usize,
    /// How.
    pub kind: BurstKind,
    /// When the run ends: there are no bursts after it.
    pub until: SimTime,
}

/// How a rate varies at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BurstKind {
    /// Calm and burst alternate, each for an exponentially distributed time: a Markov-modulated
    /// Poisson process of two states.
    Markov {
        /// What the rate is multiplied by in a burst, in thousandths.
        factor_milli: u64,
        /// How long it is calm, in the mean.
        calm: SimSpan,
        /// How long a burst lasts, in the mean.
        burst: SimSpan,
    },
    /// Sources that go on and off for Pareto-distributed times.
    SelfSimilar {
        /// How many, at least one.
        sources: u32,
        /// How long a source is on, in the mean.
        on: SimSpan,
        /// How long it is off, in the mean.
        off: SimSpan,
        /// The Hurst parameter H in parts per million, between a half and one; the Pareto times have
        /// the exponent 3 - 2 H.
        hurst_ppm: u32,
        /// The share of the rate that the sources make, in parts per million.
        share_ppm: u32,
    },
}

/// A point of a load curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPoint {
    /// When.
    pub at: SimTime,
    /// Requests per 1000 seconds; users in thousandths, where there are [users](Load::users).
    pub rate_millirps: u64,
}
