//! Figures of a run by name, for guarantees that are expressions.
//!
//! An expression sees four maps, [`SERVICES`], [`DATABASES`], [`WORKLOADS`] and [`POOLS`], from the names
//! of things to their figures: `services['shop/frontend'].availability >= 0.999`.

/// The map of Services.
pub const SERVICES: &str = "services";
/// The map of databases.
pub const DATABASES: &str = "databases";
/// The map of workloads.
pub const WORKLOADS: &str = "workloads";
/// The map of storage pools.
pub const POOLS: &str = "pools";

/// A figure of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceFigure {
    /// Answered well / asked for, from 0 to 1; not there when nobody asked.
    Availability,
    /// The longest outage in seconds.
    OutageSeconds,
    /// How many outages there were.
    OutageCount,
    /// Requests that were not answered well.
    LostRequests,
    /// Of these, those that a rate limit refused.
    LimitedRequests,
    /// Answered well / those that no rate limit refused, from 0 to 1; not there when there were none.
    AdmittedAvailability,
    /// Of the periods of CPU quotas in which its pods ran, the share in which they were throttled, from 0
    /// to 1; not there where no period is stated.
    ThrottledPeriods,
    /// Sessions that another pod took over; not there where no client stays with a pod.
    MovedSessions,
    /// Of these, those that were lost, because pods keep them in memory.
    LostSessions,
    /// Requests of the pod that got most of them, as a multiple of what each would get if all got as many:
    /// the largest of the run. Not there where no client stays with a pod.
    HottestPod,
}

impl ServiceFigure {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Availability,
        Self::OutageSeconds,
        Self::OutageCount,
        Self::LostRequests,
        Self::LimitedRequests,
        Self::AdmittedAvailability,
        Self::ThrottledPeriods,
        Self::MovedSessions,
        Self::LostSessions,
        Self::HottestPod,
    ];

    /// Its name in an expression.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::OutageSeconds => "outageSeconds",
            Self::OutageCount => "outageCount",
            Self::LostRequests => "lostRequests",
            Self::LimitedRequests => "limitedRequests",
            Self::AdmittedAvailability => "admittedAvailability",
            Self::ThrottledPeriods => "throttledPeriods",
            Self::MovedSessions => "movedSessions",
            Self::LostSessions => "lostSessions",
            Self::HottestPod => "hottestPod",
        }
    }

    /// A count, not a share or a time.
    pub const fn is_whole(self) -> bool {
        matches!(
            self,
            Self::OutageCount
                | Self::LostRequests
                | Self::LimitedRequests
                | Self::MovedSessions
                | Self::LostSessions
        )
    }
}

/// A figure of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseFigure {
    /// Longest stretch of acknowledged commits lost at once, in seconds.
    LostSeconds,
    /// Commits lost.
    LostCommits,
    /// Commits of which no client heard how they ended.
    UnknownCommits,
    /// Standbys that were promoted.
    FailoverCount,
    /// The longest time without writes, in seconds.
    WriteOutageSeconds,
    /// How often commits waited although the primary ran.
    StallCount,
    /// How long they did, in seconds.
    StalledSeconds,
    /// How long fewer standbys followed the primary than there are, in seconds.
    ReducedRedundancySeconds,
    /// Most log that waited for the archive, in bytes.
    ArchiveBacklogBytes,
    /// The least that was free on the volume of the log, in bytes; absent where none is known.
    LogFreeBytes,
}

impl DatabaseFigure {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::LostSeconds,
        Self::LostCommits,
        Self::UnknownCommits,
        Self::FailoverCount,
        Self::WriteOutageSeconds,
        Self::StallCount,
        Self::StalledSeconds,
        Self::ReducedRedundancySeconds,
        Self::ArchiveBacklogBytes,
        Self::LogFreeBytes,
    ];

    /// Its name in an expression.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostSeconds => "lostSeconds",
            Self::LostCommits => "lostCommits",
            Self::UnknownCommits => "unknownCommits",
            Self::FailoverCount => "failoverCount",
            Self::WriteOutageSeconds => "writeOutageSeconds",
            Self::StallCount => "stallCount",
            Self::StalledSeconds => "stalledSeconds",
            Self::ReducedRedundancySeconds => "reducedRedundancySeconds",
            Self::ArchiveBacklogBytes => "archiveBacklogBytes",
            Self::LogFreeBytes => "logFreeBytes",
        }
    }

    /// A count, not a time.
    pub const fn is_whole(self) -> bool {
        matches!(
            self,
            Self::LostCommits
                | Self::UnknownCommits
                | Self::FailoverCount
                | Self::StallCount
                | Self::ArchiveBacklogBytes
                | Self::LogFreeBytes
        )
    }
}

/// A figure of a workload. All are counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadFigure {
    /// Containers that were killed at their limit of memory, or because their node had none left.
    MemoryKills,
    /// Pods that a kubelet evicted because memory ran out.
    MemoryEvictions,
}

impl WorkloadFigure {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::MemoryKills, Self::MemoryEvictions];

    /// Its name in an expression.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemoryKills => "memoryKills",
            Self::MemoryEvictions => "memoryEvictions",
        }
    }
}

/// A figure of a storage pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolFigure {
    /// Time in which placement groups had fewer chunks than they should, in seconds.
    BelowSizeSeconds,
    /// Time in which reads and writes stopped, in seconds.
    StoppedSeconds,
    /// Most bytes that one more loss would have taken.
    AtOneBytes,
    /// Time in which missing chunks were made anew, in seconds.
    RebuildSeconds,
    /// Bytes of data that are lost.
    LostBytes,
}

impl PoolFigure {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::BelowSizeSeconds,
        Self::StoppedSeconds,
        Self::AtOneBytes,
        Self::RebuildSeconds,
        Self::LostBytes,
    ];

    /// Its name in an expression.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BelowSizeSeconds => "belowSizeSeconds",
            Self::StoppedSeconds => "stoppedSeconds",
            Self::AtOneBytes => "atOneBytes",
            Self::RebuildSeconds => "rebuildSeconds",
            Self::LostBytes => "lostBytes",
        }
    }

    /// A count, not a time.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::AtOneBytes | Self::LostBytes)
    }
}
