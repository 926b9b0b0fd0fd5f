//! What serving costs, and who asks.

use model_api::load::ThinkLaw;
use model_api::path::{Balancing, Discipline, Work};
use model_api::{SimSpan, SimTime};

use super::path::{
    CallSpec, InFlight, PolicySpec, RateLimitSpec, ReadinessSpec, SessionState, WarmUpSpec,
};
use super::profile::{
    BurstSpec, DailyPointSpec, SeasonSpec, SelfSimilarSpec, SpikeSpec, TraceSpec, WeeklySpec,
};
use super::writes::WritesTo;
use crate::decode::{Named, record};
use crate::source::Spanned;
use crate::units::{Bytes, Factor, Rate, Share};

record! {
    /// What a request to a Service costs and needs.
    pub struct ServiceSpec("a service profile") {
        /// The Service, as `namespace/name`.
        service: Spanned<String>,
        /// CPU time that one request takes in a pod.
        cpu_per_request: Option<Spanned<SimSpan>>,
        /// Time that one request takes when nothing waits, apart from what it calls.
        base_latency: Option<Spanned<SimSpan>>,
        /// Services that a request calls, as `namespace/name`, each once.
        depends_on: Vec<Spanned<String>>,
        /// Services that a request calls, each once, and how: like `dependsOn`, with a policy, several times, or at the same time.
        calls: Vec<CallSpec>,
        /// How it calls the Services that it passes requests from outside on to, when it is a gateway.
        upstream: Option<PolicySpec>,
        /// Databases that a request writes to, as `namespace/name`, each once; with a `share`, so many of them do.
        writes_to: Vec<WritesTo>,
        /// Requests that a pod works on at a time; 1 when it is not stated. They share its CPU, and where they are stated a pod uses no more cores than it has workers.
        workers: Option<Spanned<u32>>,
        /// Period of the CPU quota of its pods, as the kubelets have it (`cpuCFSQuotaPeriod`, 100 ms where nobody says otherwise): its `workers` are threads as fast as cores that use up together what the CPU limit allows for a period, and then all stand still until the next. Each pod has its own queue then. Without it the limit is spread evenly over workers and time.
        quota_period: Option<Spanned<SimSpan>>,
        /// What happens when there are more: `firstCome`, which is the default, has them wait for a free worker; with `sharing` all are worked on at once, each as fast as the others and none faster than a worker.
        discipline: Option<Spanned<Discipline>>,
        /// Which of its pods gets a request, which then waits there, whoever is idle elsewhere: `random`, which is the default, is any of them, as kube-proxy chooses, `roundRobin` each in turn, as gateways and IPVS do, `leastRequests` the one with the fewest, which is `least-connections` of Kong. With `shared` all pods work off one queue, as pods do that fetch their work: waits of others are longer where they are busy. An `algorithm` of a KongUpstreamPolicy says it too.
        balancing: Option<Spanned<Balancing>>,
        /// Requests that may wait in each pod; what it works off in a second when it is not stated.
        queue_limit: Option<Spanned<u32>>,
        /// How the work of a request varies: `exponential`, which is the default, `constant`, or its deviation divided by its mean.
        work: Option<Spanned<Work>>,
        /// Requests that it lets in.
        rate_limit: Option<RateLimitSpec>,
        /// How its pods are slow after their start; what all can do together is then less.
        warm_up: Option<WarmUpSpec>,
        /// What becomes of requests in a pod that dies before it could finish them (a crash, a lost node, too much memory, the end of its grace period): `lost`, which is the default, or `answered` all the same. A pod that is deleted finishes what it can within its grace period.
        in_flight: Option<Spanned<InFlight>>,
        /// Where it keeps the sessions of clients that stay with a pod: `shared`, which is the default, or `inPods`, so that whoever comes to another pod has lost its session, and its first request there is an error. Of loads that say how many `sessions` there are.
        session_state: Option<Spanned<SessionState>>,
        /// What its readiness probe asks for, besides the pod itself.
        readiness: Option<ReadinessSpec>,
    }
}

record! {
    /// What is written to a database.
    pub struct DatabaseSpec("a database profile") {
        /// The Cluster, as `namespace/name`.
        database: Spanned<String>,
        /// Write-ahead log per second.
        wal_per_second: Option<Spanned<Bytes>>,
        /// Commits per second.
        commits_per_second: Option<Spanned<u64>>,
        /// Bytes of its data: on the volume of the log, where they lie there, and what an instance with an empty volume copies; half of their volume when left out.
        data_size: Option<Spanned<Bytes>>,
        /// How many bytes of data an instance with an empty volume copies per second; 100 MB when left out.
        clone_rate: Option<Spanned<Bytes>>,
        /// The workload that fails it over, as `namespace/name`; found by itself when there is one operator.
        operator: Option<Spanned<String>>,
    }
}

record! {
    /// Requests from outside for a Service: a constant `rate`, `points` between which the rate is linear, a `trace`, or as many as `users` ask for; times what is said besides.
    pub struct LoadSpec("a load") {
        /// The Service, as `namespace/name`, or `*` for every exposed Service that has no load of its own.
        service: Spanned<String>,
        /// The Service that requests come in through, such as the gateway, as `namespace/name`.
        via: Option<Spanned<String>>,
        /// The name that clients ask for, as `names` has it, which leads them to the Services that requests come in through; in place of `via`.
        host: Option<Spanned<String>>,
        /// The tenant whose requests they are: figures are told of each tenant too. A Service may have a load for each tenant.
        tenant: Option<Spanned<String>>,
        /// Which share of the clients is nearest to which zone, such as `{az-a: 60%, az-b: 40%}`: figures are told of the clients of each zone too.
        from: Named<Spanned<Share>>,
        /// From how many addresses its requests come, each as often as the others; it matters to rate limits that count by address.
        addresses: Option<Spanned<u32>>,
        /// Clients that stay with a pod, where a Service (`sessionAffinity`) or a gateway keeps them there.
        sessions: Option<SessionsSpec>,
        /// How the clients call.
        client: Option<PolicySpec>,
        /// Users who wait for each answer before they ask again, in place of a rate.
        users: Option<UsersSpec>,
        /// Constant rate.
        rate: Option<Spanned<Rate>>,
        /// Rate over time.
        points: Vec<LoadPointSpec>,
        /// Rate over time as it was recorded elsewhere.
        trace: Option<TraceSpec>,
        /// What the rate is multiplied by over each day.
        daily: Vec<DailyPointSpec>,
        /// What the rate is multiplied by on each day of a week.
        weekly: Option<WeeklySpec>,
        /// Spikes with a shape, which multiply the rate too.
        spikes: Vec<SpikeSpec>,
        /// Seasons that multiply the rate.
        seasons: Vec<SeasonSpec>,
        /// Bursts at random times, in each run others.
        bursts: Option<BurstSpec>,
        /// Noise that looks alike on all time scales, in each run another.
        self_similar: Option<SelfSimilarSpec>,
    }
}

record! {
    /// Clients of a load that stay with a pod. What keeps them there is in manifests: `sessionAffinity: ClientIP` of a Service looks at their `addresses`, where these are stated, a KongUpstreamPolicy at what it hashes.
    pub struct SessionsSpec("sessions") {
        /// How many there are at a time; so many that every pod gets its share when left out.
        count: Option<Spanned<u32>>,
        /// How long one lasts in the mean, until another client takes its place; as long as the run when left out.
        lasts: Option<Spanned<SimSpan>>,
        /// How unequal they are: the k-th client asks as often as the first divided by k to this power (Zipf's law). 0, which is the default, is all alike, 1 is common.
        skew: Option<Spanned<Factor>>,
    }
}

record! {
    /// Users who wait for an answer, think, and ask again. What multiplies a rate multiplies how many they are. They hide an overload, because they ask less when answers are late: requests that come whether or not others are answered have a `rate`.
    pub struct UsersSpec("users") {
        /// How many they are.
        count: Spanned<u32>,
        /// How long they think between an answer and their next request, in the mean.
        think: Spanned<SimSpan>,
        /// How that varies: `exponential`, which is the default, or `constant`.
        law: Option<Spanned<ThinkLaw>>,
    }
}

record! {
    /// A point of a load curve.
    pub struct LoadPointSpec("a point of a load") {
        /// When, counted from the start of the run.
        at: Spanned<SimTime>,
        /// Rate at this time.
        rate: Spanned<Rate>,
    }
}
