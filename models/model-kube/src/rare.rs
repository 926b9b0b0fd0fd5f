//! Rare branches of clusters: a campaign names those that none of its runs reached.
//!
//! Not to be taken for [`crate::probes`], which are those of kubelets.

sim_kernel::declare_probes! {
    ALL_ZONES_DISRUPTED = "evictions halted because all zones are disrupted",
    DISRUPTION_LEFT = "evictions went on after all zones had been disrupted",
    NODE_BACK_BEFORE_TAINT = "a node came back before its NoExecute taint was due",
    NODE_BACK_BEFORE_EVICTION = "a node came back before a pod's toleration ran out",
    NODE_CLIENT_THROTTLED = "the node controller's client was throttled",
    NODE_REGISTERED_AGAIN = "a deleted node registered again",
    IMAGE_PULL_LOST = "a node stopped while it pulled an image",
    READINESS_CHANGED_UNSEEN = "a pod's readiness changed while its kubelet was cut off",
    QUORUM_LOST = "etcd lost its quorum",
    ETCD_LEADER_LOST = "etcd lost its leader and kept its quorum",
    QUORUM_MOVED = "the quorum of etcd moved between islands of the network",
    LEADER_GAVE_UP = "a leader could not renew its lease and gave up",
    LEADER_SURVIVED = "the API came back before a leader gave up",
    TAKEOVER_MET_NO_API = "a candidate found a lease free while the API was away",
    API_AWAY_WHILE_PODS_WAITED = "the API went away while pods waited for a node",
    CONTROLLERS_WAITED = "controllers had to wait for the API or for a leader",
    SCHEDULER_WAITED = "pods waited for the API or for a leading scheduler",
    UNSCHEDULABLE = "no node fitted a pod",
    VOLUME_HELD_POD = "a pod could not leave the zone of its volume",
    BACKOFF_REACHED_ITS_END = "a pod was refused until its back-off reached its longest",
    BINDING_THROTTLED = "the scheduler's client was throttled",
    PULL_QUEUED = "an image pull waited for another one on its node",
    CRASH_LOOPED = "a container waited for its crash-loop back-off",
    POD_FAILED = "a pod that never restarts failed",
    POD_ENDED_UNCONFIRMED = "a pod ended on a node that could not tell the API",
    EVICTION_REFUSED = "a disruption budget refused an eviction",
    TERMINATING_ENDPOINTS_USED = "proxies fell back to terminating endpoints",
}
