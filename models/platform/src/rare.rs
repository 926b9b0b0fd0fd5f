//! Rare branches of faults and wires, and the list of those of all models.

use model_api::Blueprint;
use sim_kernel::Probe;

sim_kernel::declare_probes! {
    STRUCK_NOTHING = "a fault struck and hit nothing",
    OVERLAPPED = "two faults hit the same thing at once",
    TRIGGERED = "a fault was started by a condition",
    NO_SUCH_NODE = "a fault found no node to strike",
    ACTION_MET_NO_API = "an action was to be done while the API was away",
    ACTION_REFUSED = "a webhook that failed refused an action",
    ROLLOUT_UNDONE = "a rollout that made no progress was undone",
    SPIKES_MULTIPLIED = "two load faults multiplied",
}

/// The probes of every model that a platform has something for: one without databases need not
/// hear that no failover was tried.
pub(crate) fn all(blueprint: &Blueprint) -> Vec<&'static Probe> {
    let mut probes = model_kube::rare::ALL.to_vec();
    if !blueprint.databases.is_empty() {
        probes.extend_from_slice(model_postgres::rare::ALL);
    }
    if !blueprint.protection.data_sets.is_empty() {
        probes.extend_from_slice(model_backup::rare::ALL);
    }
    if !blueprint.pools.is_empty() {
        probes.extend_from_slice(model_storage::rare::ALL);
    }
    if !blueprint.balancers.is_empty() || !blueprint.gateways.is_empty() {
        probes.extend_from_slice(model_gateway::rare::ALL);
    }
    if !blueprint.names.is_empty() {
        probes.extend_from_slice(model_gateway::rare::names::ALL);
    }
    if !blueprint.loads.is_empty() {
        probes.extend_from_slice(model_load::rare::ALL);
    }
    probes.extend_from_slice(ALL);
    probes
}
