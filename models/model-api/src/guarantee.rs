//! Guarantees: what a platform promises, resolved to ids.

pub mod figure;

use sim_kernel::SimSpan;

use crate::backup::DisasterClass;
use crate::black_start::{StartCircle, StartFrom};
use crate::ids::{DataSetId, DatabaseId, FaultId, ServiceId, WorkloadId};
use crate::load::ClientGroup;
use crate::source::Origin;

/// One promise of one subject. A promise about `*` is written once and resolved to many of these.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarantee {
    /// Unique name: the user's, with ` [subject]` behind it when a wildcard was expanded.
    pub name: String,
    /// What the user wrote.
    pub text: String,
    /// What must hold in a run.
    pub promise: Promise,
    /// Share of runs in which it must hold, in parts per million; `None` means every run.
    pub share_ppm: Option<u32>,
    /// Where it was written.
    pub origin: Origin,
}

/// What must hold in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Promise {
    /// `availability(service) >= 99.9%`: answered well / asked for, weighted by requests; with
    /// `tenant: name` or `zone: name`, of these clients; with `admitted`, of those requests that no rate
    /// limit refused.
    Availability {
        /// Of this Service.
        service: ServiceId,
        /// As these clients see it; all of them when `None`.
        clients: Option<ClientGroup>,
        /// Requests that a rate limit refused are neither asked for nor lost.
        admitted_only: bool,
        /// Comparison with a share in parts per million.
        limit: Limit<u32>,
    },
    /// `availability(service, 1h) >= 99%`: the least availability of any whole window of that length,
    /// counted from the start of the run.
    AvailabilityIn {
        /// Of this Service.
        service: ServiceId,
        /// Length of a window.
        window: SimSpan,
        /// Comparison with a share in parts per million.
        limit: Limit<u32>,
    },
    /// `budget_burn(service, 99.9%, 30d) <= 10%`: the share of the error budget of such a period that
    /// the run spends.
    BudgetBurn {
        /// Of this Service.
        service: ServiceId,
        /// The objective, in parts per million: below a million.
        objective_ppm: u32,
        /// The period that the objective is for.
        period: SimSpan,
        /// Comparison with a share in parts per million.
        limit: Limit<u32>,
    },
    /// `alert(service, 99.9%) <= 5m`: from the first error until somebody is paged, wherever errors
    /// come so fast that they should page.
    Alert {
        /// Of this Service.
        service: ServiceId,
        /// The objective over 30 days, in parts per million: below a million.
        objective_ppm: u32,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `rto(subject) <= 60s`: the longest outage as its clients see it.
    Rto {
        /// Of this Service or database.
        subject: Subject,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `rpo(database) == 0s`: acknowledged writes lost, as the age of the newest that survived.
    Rpo {
        /// Of this database.
        database: DatabaseId,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `latency(service, p99) <= 300ms`; with `tenant: name` or `zone: name`, of these clients.
    Latency {
        /// Of this Service.
        service: ServiceId,
        /// As these clients see it; all of them when `None`.
        clients: Option<ClientGroup>,
        /// Quantile in parts per million: p99 is 990 000.
        quantile_ppm: u32,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `never predicate`: at no time.
    Never(Predicate),
    /// `always predicate`: at all times.
    Always(Predicate),
    /// `sometimes predicate`: at some time of at least one run (or of the share of runs asked for).
    Sometimes(Predicate),
    /// `returns(goodput(service), 95%, 10m)`: within this time after the last fault struck, the share
    /// of requests that are answered well is back at so much of what it was from the start to the first
    /// fault (of all of them, when nobody asked before), over the next 30 s, and stays there. A fourth
    /// word, `after_end`, counts from the end of the last fault that ends: the trigger is gone, and what
    /// it left behind is to be gone soon after. A fault that never ends counts from its beginning.
    Returns {
        /// The Service whose requests these are.
        service: ServiceId,
        /// Share of the level before, in parts per million.
        to_ppm: u32,
        /// How soon.
        within: SimSpan,
        /// Counted from the end of faults, not from their beginning.
        after_end: bool,
    },
    /// `statically_stable(service, 99%)`: whenever control planes are frozen, the Service answers this
    /// share of its requests again before they thaw, so that no write of theirs was needed for it.
    /// A scenario with this promise freezes them while its faults last.
    StaticallyStable {
        /// Of this Service.
        service: ServiceId,
        /// Share of requests, in parts per million.
        share_ppm: u32,
    },
    /// `starts_from(etcd)`: when nothing runs, everything starts again without anybody who breaks a
    /// circle of workloads that need each other. Known before any run.
    StartsFrom {
        /// What is left to start from.
        from: StartFrom,
        /// The circles.
        circles: Vec<StartCircle>,
    },
    /// `completes(action) <= 10m`: from the start of an action until it has done all it was for.
    Completes {
        /// The action, among the faults.
        fault: FaultId,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `completes(job/name) <= 10m`: from the moment at which a Job was to be created until it is
    /// complete; of a CronJob each of its Jobs, and none is missed.
    JobCompletes {
        /// The Job or CronJob.
        workload: WorkloadId,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `cel: expression`: anything else, evaluated for each run over the [figures](figure) of it.
    Cel {
        /// The expression, which gives true or false.
        source: String,
    },
    /// About a data set and its copies, whether anything strikes or not.
    Data {
        /// Which data set.
        data_set: DataSetId,
        /// What must hold.
        promise: DataPromise,
    },
}

/// What must hold of a data set at every moment of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataPromise {
    /// `rpo(data set, zone) <= 24h`: had it struck at any moment, no more would have been lost.
    Loss {
        /// What had struck.
        class: DisasterClass,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `rto(data set, zone) <= 4h`: had it struck at any moment, it would have been back so soon. Where a
    /// live copy takes over, how soon is not foretold.
    Back {
        /// What had struck.
        class: DisasterClass,
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `restorable(data set, zone)`: had it struck at any moment, something could have been restored.
    Restorable {
        /// What had struck.
        class: DisasterClass,
    },
    /// `retention(data set) >= 30d`: no copy was deleted before that age.
    Retention {
        /// Comparison.
        limit: Limit<SimSpan>,
    },
    /// `residency(data set, 'EU')`: it, its copies and their keys stand in this jurisdiction.
    Residency {
        /// The jurisdiction.
        jurisdiction: String,
    },
}

/// A comparison: measured value on the left, `value` on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<T> {
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub value: T,
}

impl<T: PartialOrd> Limit<T> {
    /// Whether `measured` keeps it.
    pub fn holds(&self, measured: &T) -> bool {
        self.comparison.holds(measured, &self.value)
    }
}

/// How a measured value relates to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the operators speak for themselves")]
pub enum Comparison {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
}

impl Comparison {
    /// The operator as it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::LessOrEqual => "<=",
            Self::Less => "<",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
            Self::Equal => "==",
        }
    }

    /// Whether `measured` stands in this relation to `limit`.
    pub fn holds<T: PartialOrd>(self, measured: &T, limit: &T) -> bool {
        match self {
            Self::LessOrEqual => measured <= limit,
            Self::Less => measured < limit,
            Self::GreaterOrEqual => measured >= limit,
            Self::Greater => measured > limit,
            Self::Equal => measured == limit,
        }
    }
}

/// Whose outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Clients of a Service.
    Service(ServiceId),
    /// Writers to a database.
    Database(DatabaseId),
}

/// A condition that holds or does not at each moment of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Predicate {
    /// `two_writable_primaries`, or of one database: split brain.
    TwoWritablePrimaries(Option<DatabaseId>),
    /// `data_lost`, or of one database: acknowledged commits are gone; without a name also what any
    /// other data set held.
    DataLost(Option<DatabaseId>),
    /// `failover`, or of one database: a standby was promoted.
    Failover(Option<DatabaseId>),
    /// `quorum_lost`: etcd cannot write.
    QuorumLost,
    /// `api_lost`: no API server answers, be it for an election of etcd.
    ApiLost,
    /// `master_disruption`: every zone is lost, so that nothing is evicted.
    MasterDisruption,
    /// `pod_unschedulable`, or of one workload: a pod waits because no node fits.
    PodUnschedulable(Option<WorkloadId>),
    /// `pod_evicted`, or of one workload: a pod was deleted because of a taint.
    PodEvicted(Option<WorkloadId>),
    /// `no_endpoints(service)`: a Service has nothing to route to.
    NoEndpoints(ServiceId),
    /// `within_region('EU')`: every running pod stands in this jurisdiction.
    WithinRegion(String),
}
