//! Requests as flows or one by one: who asks for how much, who serves it, what is lost.
//!
//! A flow is a rate, not a set of requests. It costs an event only where it bends: at a knot of a
//! load curve, at the end of a ramp, where it meets a capacity. A constant load has no events.
//! This crate must never look at pods, nodes or databases; it is told how many endpoints a Service
//! has, how many of them live and what they can do.
//!
//! # For the platform
//! - Construct: [`Flows::new`] from the blueprint; it fails only for graphs and curves that the
//!   reader of scenarios refuses first. The value is `Clone` and compact; the graph is shared.
//! - Inputs, cheap, without a context, in any order: [`Flows::set_endpoints`],
//!   [`Flows::set_database_writable`], [`Flows::set_load_factor`], [`Flows::set_failing`],
//!   [`Flows::set_split`]; where hints, traffic policies or sessions divide requests by zone, node or pod
//!   also [`Flows::set_stations`], [`Flows::set_places`], [`Flows::set_outside`] and
//!   [`Flows::set_fronts`]; where a load balancer is before a Service, [`Flows::set_entrance`], and of a
//!   gateway that chooses pods itself [`Flows::set_choice`]. They take effect at the next
//!   [`Flows::settle`], which must be called at the same instant: once after each event of the
//!   world, after everything else it did. It costs nothing when nothing was set. Until endpoints
//!   are set a Service has none; databases are writable. Call it once at time zero.
//! - Before the run, [`Flows::with_sessions`], so that each run has its luck in which pod a client gets, and
//!   [`Flows::watch_answers`] for the Services whose answers probes wait for.
//! - Capacity of a Service: the sum of [`Flows::pod_capacity_millirps`] over its live pods.
//! - Events: [`LoadEvent`], back into [`Flows::handle`]; at most one bend is pending for each set of
//!   Services that are connected, one turn of each readiness probe that asks for a database, one step
//!   of each call whose callers stay with a pod while sessions end, and one window where single requests
//!   are played.
//! - Notices: none. What happened comes out as `Observation::Flow` and, of single requests, at the
//!   end as `Observation::Answered`, of loads whose clients are counted by themselves also as
//!   `Observation::ClientFlow` and `Observation::ClientAnswered`, of Services that are divided by zone
//!   `Observation::ServedFlow` and `Observation::ServedAnswered`; [`Flows::take_bends`] tells from
//!   each bend on how many requests are answered and what CPU they cost,
//!   [`Flows::take_late_answers`] what the probes of kubelets meet.
//! - At the horizon: [`Flows::finish`], within `Simulation::apply`.
//!
//! # Modelled
//! - External load: linear between points, multiplied by a factor that may ramp. It enters through
//!   the Service named `via` (the gateway), whose own endpoints and capacity apply, then reaches
//!   its Service, which calls each Service it depends on once, or as often as is stated, and writes once
//!   to each database; or a share of its requests does, always the same ones however often they are tried.
//! - Clients of tenants, and of the zones they have nearest: what they ask for and get is told of
//!   each load by itself, beside the whole of its Service. Clients stand outside: a lost zone takes
//!   none of them away, and what they then lose counts.
//! - Users who wait for each answer, think, and ask again: how many they are follows the curve. In
//!   flows they are spread over thinking and waiting at once as in the long run.
//! - Ready endpoints get requests alike: the share that goes to endpoints that cannot answer is lost,
//!   or waits in vain where the caller has a time-out.
//! - Each pod has a queue and workers of its own, and requests are sent to any of them, as kube-proxy does, to
//!   each in turn, or to the one with the fewest (`Balancing`): M/M/c in each. What exceeds its capacity or
//!   finds the queue full is refused. Or its requests share the workers: processor sharing, each as
//!   fast as the others and none faster than one worker.
//! - Or a Service is one queue before all workers of its live pods (`Balancing::Shared`).
//! - CPU quotas of pods, where the period is stated: threads as fast as cores, that all stand still once
//!   they used up the quota of a period (`quota`); each pod has its own queue then.
//! - Calls that are made one after the other, or at the same time: then the slowest counts, and different
//!   Services are busy together (`slowest`). Several calls to one Service wait together, and for each other.
//! - Work that varies more than exponential work: waits as of M/H/c (`fluid::varied`).
//! - Calls, at each hop and by clients: time-outs (work for callers that are gone is done all the
//!   same), retries with doubling pauses, retry budgets, circuit breakers. So the same load may be
//!   well or stay in the overload that a spike left behind.
//! - Calls, and writes to databases, that network policies deny: packets are dropped, so that a caller
//!   waits for its time-out ([`LossReason::Denied`]).
//! - Services whose endpoints carry hints for zones: each zone's endpoints have a queue of their own,
//!   which gets all that comes from the zone; what endpoints of each zone get and answer, and which
//!   part of it crosses zones (`stations`).
//! - Services whose traffic policies keep requests on their node, or whose endpoints carry hints for
//!   nodes: the same of each node. What comes to a node without an endpoint under a policy is dropped
//!   ([`LossReason::NotLocal`]).
//! - Load balancers before Services, which requests from outside come through (`entrance`).
//! - What probes meet that wait in line with requests (`strain`).
//! - Clients that stay with a pod: each pod of such a Service has a queue of its own, which gets what its
//!   clients ask for (`sessions`).
//! - Rate limits in fixed windows, counted by each pod or together, of a Service or by whose requests they
//!   are at a gateway (`limits`).
//! - Names that lead clients to entrances, answers that are kept, and the time that Services take to look up
//!   those that they call (`lookup`).
//! - Requests in pods that die, and those that a pod that is deleted does not finish within its grace
//!   period (`flows::cut`).
//! - Errors of faulty pods ([`LossReason::Errors`]), and requests that are divided by weight between
//!   two sets of pods, or copied to one of them: each set has a queue of its own.
//! - A Service is charged with what its clients lose on the way to it: the requests offered to it
//!   are counted before the gateway, and [`LossReason::Dependency`] of the gateway names who lost
//!   them. A gateway is charged only with what it loses itself (and what *it* depends on), of all
//!   that it is asked, retries included.
//! - Two engines: flows (the default) and, with [`Flows::with_requests`], every single request.
//!
//! # Not modelled
//! Balancers that spare pods that are new (slow start), or that choose by how long answers take; endpoints of unequal size behind one
//! Service, of which what all can do together counts, so that a cold pod slows all answers a little
//! instead of its own much; what a cold pod costs more CPU; workers that are kept while
//! a call goes on; that a queue tips over
//! by chance and its retries keep it there (flows have no luck); jitter of pauses; the time that a way between zones takes.
//! Autoscalers see the CPU of the flow, and probes its waits, also where single requests are played.
//!
//! # Defaults and their sources
//! Capacity of a pod: the CPU that it serves with (`PodCpu`) divided by the CPU time of a request
//! (`ServiceProfile`), of no more cores than it has workers, where these are stated: a thread runs on one
//! core at a time. Room of a queue without a limit: [`OVERLOAD_WAIT`]. Erlang's C formula: Erlang 1917, in
//! the recursion for B (Jagerman 1974). Finite users: the machine repairman, Palm 1947. Round-robin: the
//! default balancer of Kong 3 (`algorithm: round-robin`) and of kube-proxy's nftables and iptables modes
//! (uniform random, which has the same shares). Retry budget: Finagle 24.2.0. Zones: kube-proxy's
//! `CategorizeEndpoints`, Kubernetes 1.36. Circuit breaker: resilience4j 2.x. Windows of a rate limit:
//! Kong 3's `rate-limiting` plugin.
//!
//! # Invariants
//! - `served <= offered` at both ends of every segment, and what is not served is accounted for.
//! - The segments of a Service follow each other without a gap from time zero to the horizon.
//! - Between its ends a segment is linear: exactly (to rounding) where nothing that ramps is
//!   divided by something that ramps, else within [`CURVE_ERROR_PPM`]; where flows have a memory, to
//!   a few percent of a step.
//! - A Service whose flow an input does not touch keeps its open segment; Services that share no
//!   call and no gateway never touch each other.
//! - Draws belong to a Service, a client or a call, by name: adding a Service or a tenant changes
//!   none of others.
//! - What is told of the clients of a Service sums to what is told of it.
//!
//! # Checked against
//! Brute-force evaluation at random times, Erlang C tables, conservation; single requests against
//! M/M/c, M/D/1, M/G/1, finite queues and processor sharing; flows against single requests (`docs/REQUESTS.md`).
//!
//! [`LossReason::Dependency`]: model_api::observation::LossReason::Dependency
//! [`LossReason::Denied`]: model_api::observation::LossReason::Denied
//! [`LossReason::NotLocal`]: model_api::observation::LossReason::NotLocal
//! [`LossReason::Errors`]: model_api::observation::LossReason::Errors

mod backlog;
pub mod caches;
mod curve;
mod delay;
mod edges;
mod entrance;
mod evaluation;
mod flows;
mod fluid;
mod graph;
mod limits;
mod lookup;
pub mod profile;
mod quota;
pub mod rare;
mod readiness;
mod request;
mod sessions;
mod share;
mod slowest;
mod split;
mod stations;
mod strain;
mod stretch;
mod wait;

pub use entrance::{Choice, Entrance};
pub use flows::{CanarySeen, Flows, LoadEvent, Traffic, WorkFlow};
pub use graph::{GraphError, pod_capacity_millirps};
pub use lookup::News;
pub use request::{Latencies, Requests, WINDOW};
pub use stations::{Place, Standing, Station};
pub use stretch::CURVE_ERROR_PPM;
pub use wait::OVERLOAD_WAIT;
