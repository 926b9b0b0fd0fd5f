//! `parameters` of a Platform: timers and rates.

use model_api::parameters::{PodCpu, Range};
use model_api::path::Balancing;
use model_api::{Parameters, SimSpan};
use serde_json::{Value as Json, json};

use crate::decode::{Decode, Definitions, FromText, record, wrong_type};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::units::{Bytes, Rate, Share, Switch};
use crate::yaml::Node;

/// A span drawn uniformly from a range, written as `[10ms, 100ms]`, or as `50ms` when it is fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeSpec {
    /// The range.
    pub range: Range,
    /// Where it was written.
    pub span: Span,
}

impl Decode for RangeSpec {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let (least, most): (Spanned<SimSpan>, Spanned<SimSpan>) = match node.items() {
            Some([least, most]) => {
                let least = Spanned::decode(least, diagnostics);
                let most = Spanned::decode(most, diagnostics);
                (least?, most?)
            }
            Some(_) => {
                diagnostics.push(wrong_type(node, "a range such as [10ms, 100ms]"));
                return None;
            }
            None => {
                let fixed = Spanned::decode(node, diagnostics)?;
                (fixed, fixed)
            }
        };
        if least.value > most.value {
            let message = "the range ends before it begins";
            diagnostics.push(
                Diagnostic::new(Code::E0021, most.span, message)
                    .label("is less than")
                    .related(least.span, "this"),
            );
            return None;
        }
        Some(Self { range: Range { least: least.value, most: most.value }, span: node.span })
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let span = <Spanned<SimSpan> as Decode>::schema(definitions);
        json!({"oneOf": [
            span.clone(),
            {"type": "array", "items": span, "minItems": 2, "maxItems": 2},
        ]})
    }
}

impl FromText for PodCpu {
    const EXPECTED: &'static str = "stated or nodeShare";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "stated" => Ok(Self::Stated),
            "nodeShare" => Ok(Self::NodeShare),
            _ => Err("is neither of them".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["stated", "nodeShare"]})
    }
}

/// Declares the parameters: name, type in the file, and how it becomes the type of the model.
macro_rules! parameters {
    ($( $(#[doc = $doc:literal])* $field:ident => $target:ident : $type:ty, $value:ident . $($path:ident).+; )*) => {
        record! {
            /// Timers and rates that differ from their defaults.
            pub struct ParametersSpec("parameters") {
                $( $(#[doc = $doc])* $field: Option<$type>, )*
            }
        }

        impl ParametersSpec {
            /// Puts what was written over the defaults.
            pub fn apply(&self, parameters: &mut Parameters) {
                $( if let Some($value) = self.$field {
                    parameters.$target = $value.$($path).+;
                } )*
            }
        }
    };
}

parameters! {
    /// How often a kubelet renews its lease.
    lease_renew_period => lease_renew_period: Spanned<SimSpan>, it.value;
    /// `--node-monitor-period` of the controller manager.
    node_monitor_period => node_monitor_period: Spanned<SimSpan>, it.value;
    /// `--node-monitor-grace-period` of the controller manager.
    node_monitor_grace_period => node_monitor_grace_period: Spanned<SimSpan>, it.value;
    /// `--node-eviction-rate`, nodes per time.
    node_eviction_rate => node_eviction_rate_milli: Spanned<Rate>, it.value.millirps;
    /// `--secondary-node-eviction-rate`, nodes per time.
    secondary_node_eviction_rate => secondary_node_eviction_rate_milli: Spanned<Rate>, it.value.millirps;
    /// `--large-cluster-size-threshold`, nodes of a zone.
    large_cluster_size_threshold => large_cluster_size_threshold: Spanned<u32>, it.value;
    /// `--unhealthy-zone-threshold`, share of the nodes of a zone.
    unhealthy_zone_threshold => unhealthy_zone_threshold_ppm: Spanned<Share>, it.value.ppm;
    /// `tolerationSeconds` that admission adds for nodes that are not ready or unreachable.
    default_toleration => default_toleration: Spanned<SimSpan>, it.value;
    /// Period of the pod garbage collector.
    pod_gc_period => pod_gc_period: Spanned<SimSpan>, it.value;
    /// How long the collector waits before it removes pods of a deleted node.
    pod_gc_quarantine => pod_gc_quarantine: Spanned<SimSpan>, it.value;
    /// `--terminated-pod-gc-threshold` of the controller manager, finished pods; 0 keeps all.
    terminated_pod_gc_threshold => terminated_pod_gc_threshold: Spanned<u32>, it.value;
    /// `--leader-elect-lease-duration`.
    leader_lease_duration => leader_lease_duration: Spanned<SimSpan>, it.value;
    /// `--leader-elect-retry-period`.
    leader_retry_period => leader_retry_period: Spanned<SimSpan>, it.value;
    /// From the start of a new leader until its caches are filled.
    leader_start => leader_start: RangeSpec, it.range;
    /// From the boot of a control-plane machine until its API server answers.
    apiserver_start => apiserver_start: RangeSpec, it.range;
    /// `--max-requests-inflight` of API servers.
    max_requests_inflight => max_requests_inflight: Spanned<u32>, it.value;
    /// `--max-mutating-requests-inflight` of API servers.
    max_mutating_requests_inflight => max_mutating_requests_inflight: Spanned<u32>, it.value;
    /// `--enable-priority-and-fairness` of API servers.
    priority_and_fairness => priority_and_fairness: Spanned<Switch>, it.value.is_on;
    /// What a pod serves with: `nodeShare`, which is the default, its part of the node when all pods there that serve use all they may, up to its CPU limit; or `stated`, its limit or else its request, whatever else runs there.
    pod_cpu => pod_cpu: Spanned<PodCpu>, it.value;
    /// Which pod gets a request, of Services that say no `balancing`: `random`, which is the default, is any of them, as kube-proxy chooses; `shared` has all pods work off one queue.
    balancing => balancing: Spanned<Balancing>, it.value;
    /// `--election-timeout` of etcd.
    etcd_election_timeout => etcd_election_timeout: Spanned<SimSpan>, it.value;
    /// From a change in the API to a controller that knows it.
    watch_latency => watch_latency: RangeSpec, it.range;
    /// From a readiness change to the last proxy that knows it.
    endpoint_propagation => endpoint_propagation: RangeSpec, it.range;
    /// Sandbox and network of a pod.
    sandbox_start => sandbox_start: RangeSpec, it.range;
    /// Create and start of one container.
    container_start => container_start: RangeSpec, it.range;
    /// From TERM until the processes of a pod are gone.
    container_stop => container_stop: RangeSpec, it.range;
    /// Pull of an image that the node does not have.
    image_pull => image_pull: RangeSpec, it.range;
    /// From a container's start until it can answer its probe.
    app_start => app_start: RangeSpec, it.range;
    /// From a change of a container until the kubelet sees it.
    kubelet_relist => kubelet_relist: RangeSpec, it.range;
    /// From the last exit of a terminating pod's containers until its object is gone.
    pod_clear => pod_clear: RangeSpec, it.range;
    /// Attach and mount of a volume.
    volume_attach => volume_attach: RangeSpec, it.range;
    /// From power to a kubelet that posts Ready.
    node_boot => node_boot: RangeSpec, it.range;
    /// First delay before a crashed container starts again.
    crash_loop_initial => crash_loop_initial: Spanned<SimSpan>, it.value;
    /// Longest such delay.
    crash_loop_max => crash_loop_max: Spanned<SimSpan>, it.value;
    /// A container that ran this long starts its delays anew.
    crash_loop_reset => crash_loop_reset: Spanned<SimSpan>, it.value;
    /// `evictionHard` `memory.available` of kubelets.
    eviction_hard_memory => eviction_hard_memory_bytes: Spanned<Bytes>, it.value.count;
    /// `evictionSoft` `memory.available` of kubelets; none when left out.
    eviction_soft_memory => eviction_soft_memory_bytes: Spanned<Bytes>, it.value.count;
    /// `evictionSoft` `imagefs.available` of kubelets, a share of the file system; none when left out.
    eviction_soft_imagefs => eviction_soft_imagefs_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionSoft` `nodefs.available` of kubelets, a share of the file system; none when left out.
    eviction_soft_nodefs => eviction_soft_nodefs_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionSoft` `nodefs.inodesFree` of kubelets, a share of all inodes; none when left out.
    eviction_soft_inodes => eviction_soft_inodes_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionSoft` `pid.available` of kubelets, a share of all process ids; none when left out.
    eviction_soft_pids => eviction_soft_pids_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionSoftGracePeriod` of all soft thresholds.
    eviction_soft_grace_period => eviction_soft_grace_period: Spanned<SimSpan>, it.value;
    /// `evictionMinimumReclaim` `memory.available` of kubelets.
    eviction_minimum_reclaim => eviction_minimum_reclaim_bytes: Spanned<Bytes>, it.value.count;
    /// `evictionHard` `imagefs.available` of kubelets, a share of the file system.
    eviction_hard_imagefs => eviction_hard_imagefs_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionHard` `nodefs.available` of kubelets, a share of the file system.
    eviction_hard_nodefs => eviction_hard_nodefs_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionHard` `nodefs.inodesFree` of kubelets, a share of all inodes.
    eviction_hard_inodes => eviction_hard_inodes_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionHard` `pid.available` of kubelets, a share of all process ids; none when left out.
    eviction_hard_pids => eviction_hard_pids_ppm: Spanned<Share>, it.value.ppm;
    /// `evictionMinimumReclaim` `nodefs.available` and `imagefs.available` of kubelets.
    eviction_minimum_reclaim_disk => eviction_minimum_reclaim_disk_bytes: Spanned<Bytes>, it.value.count;
    /// What the system and images in use take of the disk of a node.
    node_disk_system => node_disk_system_bytes: Spanned<Bytes>, it.value.count;
    /// What images take on a node that no container uses: a kubelet deletes them before it evicts.
    node_disk_unused_images => node_disk_unused_images_bytes: Spanned<Bytes>, it.value.count;
    /// Bytes of a file system for each of its inodes.
    node_bytes_per_inode => node_bytes_per_inode: Spanned<Bytes>, it.value.count;
    /// `kernel.pid_max` of nodes.
    node_pid_max => node_pid_max: Spanned<u64>, it.value;
    /// `evictionMaxPodGracePeriod` of kubelets.
    eviction_max_pod_grace_period => eviction_max_pod_grace_period: Spanned<SimSpan>, it.value;
    /// `evictionPressureTransitionPeriod` of kubelets; as to them, zero means 5 min.
    eviction_pressure_transition_period => eviction_pressure_transition_period: Spanned<SimSpan>, it.value;
    /// Replication lag of a standby in another zone.
    replication_lag => replication_lag: RangeSpec, it.range;
    /// How long a candidate watches the primary's lease before it takes over.
    primary_lease_duration => primary_lease_duration: Spanned<SimSpan>, it.value;
    /// Promotion of a standby.
    promotion => promotion: RangeSpec, it.range;
    /// Reconnection of clients and poolers to a new primary.
    client_reconnect => client_reconnect: RangeSpec, it.range;
    /// From a client's COMMIT until it hears, apart from the wait for a standby.
    commit_round_trip => commit_round_trip: RangeSpec, it.range;
    /// After this an isolated primary stops itself.
    isolation_stop => isolation_stop: Spanned<SimSpan>, it.value;
}
