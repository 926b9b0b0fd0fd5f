//! Timers and rates of the platform's components, with their upstream defaults.

use sim_kernel::SimSpan;

use crate::path::Balancing;

/// What a pod serves with: CPU of the container that its requests come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodCpu {
    /// `limits.cpu`, or `requests.cpu` without a limit, whatever else runs on its node. A container that
    /// states neither has its share of the node.
    Stated,
    /// What its node gives it when all pods there that serve use all they may: by weight, which follows
    /// requests (pkg/kubelet/cm/helpers_linux.go `MilliCPUToShares`), up to limits.
    #[default]
    NodeShare,
}

/// How many requests a client of the API sends: client-go's token bucket (`--kube-api-qps`,
/// `--kube-api-burst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRate {
    /// Tokens that come back in 1000 s; nothing is no limit at all.
    pub per_1000_secs: Option<u64>,
    /// Tokens of a full bucket.
    pub burst: u64,
}

impl ClientRate {
    /// A limit in requests per second.
    pub const fn per_second(rate: u64, burst: u64) -> Self {
        Self { per_1000_secs: Some(rate * 1000), burst }
    }
}

/// Every timer and rate. Defaults are those of Kubernetes 1.36 and CloudNativePG 1.30 unless marked
/// **assumption**: those are not upstream facts, and a report lists them.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Kubelet lease renewal period: 10 s (0.25 × leaseDurationSeconds 40,
    /// pkg/kubelet/kubelet.go), each with a jitter of 4 %.
    pub lease_renew_period: SimSpan,
    /// `--node-monitor-period` of kube-controller-manager: 5 s.
    pub node_monitor_period: SimSpan,
    /// `--node-monitor-grace-period`: 50 s since 1.32.
    pub node_monitor_grace_period: SimSpan,
    /// `--node-eviction-rate`, in nodes per 1000 s: 100 (0.1/s).
    pub node_eviction_rate_milli: u64,
    /// `--secondary-node-eviction-rate`, in nodes per 1000 s: 10 (0.01/s).
    pub secondary_node_eviction_rate_milli: u64,
    /// `--large-cluster-size-threshold`: 50 nodes of a zone.
    pub large_cluster_size_threshold: u32,
    /// `--unhealthy-zone-threshold`, in parts per million: 550 000.
    pub unhealthy_zone_threshold_ppm: u32,
    /// `tolerationSeconds` that admission adds for not-ready and unreachable: 300 s
    /// (plugin/pkg/admission/defaulttolerationseconds).
    pub default_toleration: SimSpan,
    /// Pod garbage collector period: 20 s (pkg/controller/podgc).
    pub pod_gc_period: SimSpan,
    /// How long the collector waits before it removes pods of a deleted node: 40 s.
    pub pod_gc_quarantine: SimSpan,
    /// `--terminated-pod-gc-threshold` of kube-controller-manager: 12500 finished pods; 0 keeps all.
    pub terminated_pod_gc_threshold: u32,
    /// Leader election `leaseDuration`: 15 s (client-go).
    pub leader_lease_duration: SimSpan,
    /// Leader election `retryPeriod`: 2 s.
    pub leader_retry_period: SimSpan,
    /// Each controller's client: 20 requests/s, burst 30
    /// (pkg/controller/apis/config/v1alpha1/defaults.go).
    pub controller_client: ClientRate,
    /// kube-scheduler's client: 50 requests/s, burst 100
    /// (pkg/scheduler/apis/config/v1/defaults.go).
    pub scheduler_client: ClientRate,
    /// From the start of a new leader until its caches are filled, least and most. **Assumption.**
    pub leader_start: Range,
    /// From the boot of a control-plane machine until its API server answers, least and most.
    /// **Assumption.**
    pub apiserver_start: Range,
    /// `--max-requests-inflight` of kube-apiserver: 400. With priority and fairness it and the next one
    /// together are the seats of a server; without, 0 is no limit.
    pub max_requests_inflight: u32,
    /// `--max-mutating-requests-inflight` of kube-apiserver: 200.
    pub max_mutating_requests_inflight: u32,
    /// `--enable-priority-and-fairness` of kube-apiserver: on.
    pub priority_and_fairness: bool,
    /// What pods serve with.
    pub pod_cpu: PodCpu,
    /// Which pod gets a request, of Services that do not say it: any, as kube-proxy chooses.
    pub balancing: Balancing,
    /// etcd election time-out, lower end: 1 s; members draw 1 to 1.9 s.
    pub etcd_election_timeout: SimSpan,
    /// Watch latency between API and a controller's cache, least and most. **Assumption.**
    pub watch_latency: Range,
    /// From a readiness change to the last proxy that knows it, least and most: 0.2 to 2 s.
    /// **Assumption.**
    pub endpoint_propagation: Range,
    /// Sandbox and network of a pod, least and most: 0.3 to 1.5 s. **Assumption.**
    pub sandbox_start: Range,
    /// Create and start of one container, least and most: 0.1 to 0.5 s. **Assumption.**
    pub container_start: Range,
    /// Pull of an image that the node does not have, least and most. **Assumption.**
    pub image_pull: Range,
    /// From TERM until the processes of a pod are gone, least and most. **Assumption.**
    pub container_stop: Range,
    /// From a container's start until it can answer its probe, least and most, when nothing says
    /// otherwise. **Assumption.**
    pub app_start: Range,
    /// From a change of a container until the kubelet sees it, least and most: 0 to 1 s, the period of
    /// its relisting (pkg/kubelet/pleg/generic.go).
    pub kubelet_relist: Range,
    /// From the last exit of a terminating pod's containers until its object is gone, least and most:
    /// 1 to 2 s. **Assumption.**
    pub pod_clear: Range,
    /// Attach and mount of a volume, least and most: 2 to 15 s. **Assumption.**
    pub volume_attach: Range,
    /// From power to a kubelet that posts Ready, least and most. **Assumption.**
    pub node_boot: Range,
    /// Restart back-off of a container: first delay 10 s, doubled up to
    /// [`Self::crash_loop_max`] (pkg/kubelet, newCrashLoopBackOff).
    pub crash_loop_initial: SimSpan,
    /// Longest restart back-off: 300 s.
    pub crash_loop_max: SimSpan,
    /// A container that ran this long starts its back-off anew: 600 s.
    pub crash_loop_reset: SimSpan,
    /// `evictionHard` `memory.available` of kubelets: 100 MiB
    /// (pkg/kubelet/eviction/defaults_linux.go).
    pub eviction_hard_memory_bytes: u64,
    /// `evictionSoft` `memory.available` of kubelets: 0, which is never crossed; there is none by
    /// default.
    pub eviction_soft_memory_bytes: u64,
    /// `evictionSoft` `imagefs.available` of kubelets, in parts per million: 0, none by default.
    pub eviction_soft_imagefs_ppm: u32,
    /// `evictionSoft` `nodefs.available` of kubelets, in parts per million: 0, none by default.
    pub eviction_soft_nodefs_ppm: u32,
    /// `evictionSoft` `nodefs.inodesFree` of kubelets, in parts per million: 0, none by default.
    pub eviction_soft_inodes_ppm: u32,
    /// `evictionSoft` `pid.available` of kubelets, in parts per million: 0, none by default.
    pub eviction_soft_pids_ppm: u32,
    /// `evictionSoftGracePeriod` of all of them.
    pub eviction_soft_grace_period: SimSpan,
    /// `evictionMinimumReclaim` `memory.available` of kubelets: 0.
    pub eviction_minimum_reclaim_bytes: u64,
    /// `evictionHard` `imagefs.available` of kubelets, in parts per million of the file system: 15 %.
    pub eviction_hard_imagefs_ppm: u32,
    /// `evictionHard` `nodefs.available` of kubelets, in parts per million: 10 %.
    pub eviction_hard_nodefs_ppm: u32,
    /// `evictionHard` `nodefs.inodesFree` of kubelets, in parts per million: 5 %.
    pub eviction_hard_inodes_ppm: u32,
    /// `evictionHard` `pid.available` of kubelets, in parts per million: 0, which is never crossed;
    /// there is none by default.
    pub eviction_hard_pids_ppm: u32,
    /// `evictionMinimumReclaim` `nodefs.available` and `imagefs.available` of kubelets: 0.
    pub eviction_minimum_reclaim_disk_bytes: u64,
    /// What the system and images that are in use take of a node's disk: 10 GiB. **Assumption.**
    pub node_disk_system_bytes: u64,
    /// What images take that no container uses, which a kubelet deletes before it evicts: 0.
    /// **Assumption.**
    pub node_disk_unused_images_bytes: u64,
    /// Bytes of a file system for each of its inodes: 16 KiB (`mke2fs`, `inode_ratio`).
    pub node_bytes_per_inode: u64,
    /// `kernel.pid_max` of nodes: 4,194,304, as systemd sets it on 64 bits.
    pub node_pid_max: u64,
    /// `evictionMaxPodGracePeriod` of kubelets: 0, so that soft evictions are as quick as hard ones
    /// (pkg/kubelet/apis/config/v1beta1).
    pub eviction_max_pod_grace_period: SimSpan,
    /// `evictionPressureTransitionPeriod` of kubelets: 5 min, and zero means the same.
    pub eviction_pressure_transition_period: SimSpan,
    /// Replication lag of an asynchronous standby in another zone, least and most: 5 to 100 ms.
    /// **Assumption.**
    pub replication_lag: Range,
    /// CloudNativePG primary lease: a candidate watches it unchanged for 15 s
    /// (`spec.primaryLease`, 1.30).
    pub primary_lease_duration: SimSpan,
    /// Promotion of a standby (replay of the rest, new timeline), least and most: 1 to 10 s.
    /// **Assumption.**
    pub promotion: Range,
    /// Reconnection of clients and poolers to a new primary, least and most: 0 to 15 s
    /// (PgBouncer `server_login_retry` 15 s).
    pub client_reconnect: Range,
    /// From a client's COMMIT until it hears, apart from the wait for a standby, least and most: 1 to
    /// 10 ms, half of it before the commit is on disk. **Assumption.**
    pub commit_round_trip: Range,
    /// CloudNativePG isolation check: an isolated primary stops itself after about 30 s
    /// (3 × 10 s liveness probes).
    pub isolation_stop: SimSpan,
}

/// A span drawn uniformly between two ends, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Least.
    pub least: SimSpan,
    /// Most; not below the least.
    pub most: SimSpan,
}

impl Range {
    /// A range in milliseconds.
    pub const fn millis(least: u64, most: u64) -> Self {
        Self { least: SimSpan::from_millis(least), most: SimSpan::from_millis(most) }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            lease_renew_period: SimSpan::from_secs(10),
            node_monitor_period: SimSpan::from_secs(5),
            node_monitor_grace_period: SimSpan::from_secs(50),
            node_eviction_rate_milli: 100,
            secondary_node_eviction_rate_milli: 10,
            large_cluster_size_threshold: 50,
            unhealthy_zone_threshold_ppm: 550_000,
            default_toleration: SimSpan::from_secs(300),
            pod_gc_period: SimSpan::from_secs(20),
            pod_gc_quarantine: SimSpan::from_secs(40),
            terminated_pod_gc_threshold: 12_500,
            leader_lease_duration: SimSpan::from_secs(15),
            leader_retry_period: SimSpan::from_secs(2),
            controller_client: ClientRate::per_second(20, 30),
            scheduler_client: ClientRate::per_second(50, 100),
            leader_start: Range::millis(1000, 10_000),
            apiserver_start: Range::millis(5000, 30_000),
            max_requests_inflight: 400,
            max_mutating_requests_inflight: 200,
            priority_and_fairness: true,
            pod_cpu: PodCpu::NodeShare,
            balancing: Balancing::Random,
            etcd_election_timeout: SimSpan::from_millis(1000),
            watch_latency: Range::millis(10, 100),
            endpoint_propagation: Range::millis(200, 2000),
            sandbox_start: Range::millis(300, 1500),
            container_start: Range::millis(100, 500),
            image_pull: Range::millis(2000, 8000),
            container_stop: Range::millis(100, 2000),
            app_start: Range::millis(1000, 3000),
            kubelet_relist: Range::millis(0, 1000),
            pod_clear: Range::millis(1000, 2000),
            volume_attach: Range::millis(2000, 15_000),
            node_boot: Range::millis(60_000, 180_000),
            crash_loop_initial: SimSpan::from_secs(10),
            crash_loop_max: SimSpan::from_secs(300),
            crash_loop_reset: SimSpan::from_secs(600),
            eviction_hard_memory_bytes: 100 << 20,
            eviction_soft_memory_bytes: 0,
            eviction_soft_imagefs_ppm: 0,
            eviction_soft_nodefs_ppm: 0,
            eviction_soft_inodes_ppm: 0,
            eviction_soft_pids_ppm: 0,
            eviction_soft_grace_period: SimSpan::ZERO,
            eviction_minimum_reclaim_bytes: 0,
            eviction_hard_imagefs_ppm: 150_000,
            eviction_hard_nodefs_ppm: 100_000,
            eviction_hard_inodes_ppm: 50_000,
            eviction_hard_pids_ppm: 0,
            eviction_minimum_reclaim_disk_bytes: 0,
            node_disk_system_bytes: 10 << 30,
            node_disk_unused_images_bytes: 0,
            node_bytes_per_inode: 16 << 10,
            node_pid_max: 4_194_304,
            eviction_max_pod_grace_period: SimSpan::ZERO,
            eviction_pressure_transition_period: SimSpan::from_mins(5),
            replication_lag: Range::millis(5, 100),
            primary_lease_duration: SimSpan::from_secs(15),
            promotion: Range::millis(1000, 10_000),
            client_reconnect: Range::millis(0, 15_000),
            commit_round_trip: Range::millis(1, 10),
            isolation_stop: SimSpan::from_secs(30),
        }
    }
}
