//! Rare branches that a campaign should have reached.

sim_kernel::declare_probes! {
    STOPPED = "a pool stopped reads and writes",
    NO_QUORUM = "the monitors of a pool had no quorum",
    NOT_MARKED_OUT = "disks were not marked out, because their whole zone or too many were away",
    NO_ROOM = "a chunk found no disk to be made anew on",
    REBUILT = "what a pool lacked was made anew",
    BEGUN_ANEW = "disks went or came while others were made anew",
    DATA_LOST = "a pool lost data",
}
