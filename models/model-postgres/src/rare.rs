//! Rare branches of database clusters: a campaign names those that none of its runs reached.

sim_kernel::declare_probes! {
    NO_CANDIDATE = "a primary failed and no standby could be promoted",
    QUORUM_REFUSED = "the failover quorum refused a promotion",
    OPERATOR_AWAY = "a primary failed while its operator was away",
    FAILOVER_STALLED = "a failover that had begun did not go on",
    PRIMARY_RECOVERED = "a primary came back before anybody was promoted",
    CANDIDATE_DIED = "a candidate died while it waited for the primary lease",
    PROMOTION_BROKEN = "a candidate died while it was promoted",
    LEASE_ABANDONED = "a candidate waited for a lease that nobody released",
    PRIMARY_STOPPED_ITSELF = "an isolated primary stopped itself",
    TWO_PRIMARIES = "two primaries took writes at once",
    COMMITS_LOST = "acknowledged commits were lost",
    REWOUND = "an old primary had to rewind",
    SYNCHRONOUS_NUMBER_CHANGED = "the number of synchronous standbys was adjusted",
    COMMITS_STALLED = "commits waited for a synchronous standby",
}
