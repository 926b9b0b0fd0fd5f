//! Rare branches of flows: a campaign names those that none of its runs reached.

sim_kernel::declare_probes! {
    NO_ENDPOINTS = "a Service was asked while it had no endpoint",
    DEAD_ENDPOINTS = "requests went to endpoints that could not answer",
    OVERLOAD = "a Service was asked for more than its pods can answer",
    DATABASE_AWAY = "requests needed a database that took no writes",
    CURVED = "a flow bent between two points of its load curve",
}
