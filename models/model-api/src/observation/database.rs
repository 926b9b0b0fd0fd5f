//! What happens to instances of databases.

/// Something about one instance of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceFact {
    /// PostgreSQL is kept off on purpose.
    Fenced,
    /// Its volume is empty, and it begins to copy the primary.
    CloneStarted {
        /// How long that takes unless the primary goes meanwhile, in nanoseconds.
        takes_ns: u64,
    },
    /// It has the copy, and replays the log that came with it.
    Cloned,
}

/// How a change that needs a restart comes to an instance of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceUpdate {
    /// The pod of a standby is deleted, and made again of the new template.
    StandbyReplaced,
    /// The pod of the primary is, and nobody takes over meanwhile.
    PrimaryReplaced,
    /// PostgreSQL of the primary restarts in its pod.
    PrimaryRestarted,
    /// Somebody has to hand over: `primaryUpdateStrategy: supervised`.
    WaitsForUser,
}

/// What keeps a database from promoting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailoverBlock {
    /// No standby is left that could be promoted.
    NoCandidate,
    /// The failover quorum does not hold.
    Quorum,
    /// The operator does not run, or the API does not answer.
    Operator,
    /// The volume of an instance is full, which a failover would not mend.
    WalVolume,
}

impl FailoverBlock {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoCandidate => "no standby is left that may be promoted",
            Self::Quorum => "too few standbys answer to know that one has all commits",
            Self::Operator => "its operator does not run, or the API does not answer",
            Self::WalVolume => "a volume is full, which another primary would not mend",
        }
    }
}
