//! Rare branches that a campaign should have reached.

sim_kernel::declare_probes! {
    STRUCK_AGAIN = "a data set was struck while it was being restored",
    BAD_COPY = "a copy that looked complete could not be restored",
    NOTHING_LEFT = "nothing was left to restore from",
    WAITED_FOR_PLACE = "a restore waited for a place to be reachable again",
    WAITED_FOR_ORDER = "a restore waited for data that it needs",
    QUEUED = "a restore waited for another to end",
    LOG_STRANDED = "a failover left log on the old primary that no archive had",
    LOG_HANDED_IN = "an old primary came back and closed a gap in its archive",
    RUN_CUT_SHORT = "a server that made a backup went away",
    ARCHIVE_GAP = "an archive that seemed to work left a gap",
}
