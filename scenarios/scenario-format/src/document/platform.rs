//! Kind `Platform`.

use model_api::SimSpan;
use model_api::control_plane::EndpointReconciler;
use model_api::kube::{TaintEffect, Version};
use model_api::machines::ExpanderKind;
use serde_json::{Value as Json, json};

use super::backup::BackupsSpec;
use super::dns::{ClusterDnsSpec, NameSpec};
use super::gateway::{GatewaySpec, LoadBalancerSpec};
use super::job::JobProfileSpec;
use super::load::{DatabaseSpec, LoadSpec, ServiceSpec};
use super::memory::MemorySpec;
use super::metric::MetricSpec;
use super::parameters::ParametersSpec;
use super::storage::StoragePoolSpec;
use super::usage::{DiskSpec, ProcessesSpec};
use super::{ApiVersion, Kind, Metadata};
use crate::decode::{FromText, Named, record};
use crate::source::Spanned;
use crate::units::{Bytes, Cpu, Share};

record! {
    /// A platform: zones, machines, the manifests that run on them and what serving costs.
    pub struct PlatformDocument("a Platform") {
        /// Version of this format.
        api_version: Spanned<ApiVersion>,
        /// `Platform`.
        kind: Spanned<Kind>,
        /// Name and description.
        metadata: Metadata,
        /// The platform.
        spec: PlatformSpec,
    }
}

record! {
    /// What the platform is.
    pub struct PlatformSpec("the spec of a Platform") {
        /// The region it stands in.
        region: RegionSpec,
        /// Failure zones of the region.
        zones: Vec<ZoneSpec>,
        /// Where the members of the control plane stand.
        control_plane: ControlPlaneSpec,
        /// Worker nodes.
        node_pools: Vec<NodePoolSpec>,
        /// Flags of the cluster autoscaler; with its defaults when a node pool says `autoscaling` and this is left out.
        cluster_autoscaler: Option<ClusterAutoscalerSpec>,
        /// Timers and rates that differ from their defaults.
        parameters: Option<ParametersSpec>,
        /// Files and directories of Kubernetes manifests, relative to this file.
        manifests: Vec<Spanned<String>>,
        /// What a request to a Service costs and needs.
        services: Vec<ServiceSpec>,
        /// What pods of Jobs do, which no manifest says.
        jobs: Vec<JobProfileSpec>,
        /// What memory pods use, which no manifest says. Where nothing is stated, memory is not looked at.
        memory: Vec<MemorySpec>,
        /// What pods take of the disks of nodes and of their inodes, which no manifest says. Where nothing is stated, they are not looked at.
        disk: Vec<DiskSpec>,
        /// Process ids that pods take. Where nothing is stated, they are not looked at.
        processes: Vec<ProcessesSpec>,
        /// What metrics measure that HorizontalPodAutoscalers read of pods, of objects or from outside; one that is not here takes no part in their decisions.
        metrics: Vec<MetricSpec>,
        /// What is written to databases.
        databases: Vec<DatabaseSpec>,
        /// Requests from outside.
        load: Vec<LoadSpec>,
        /// Load balancers before Services; requests reach a Service without one at once.
        load_balancers: Vec<LoadBalancerSpec>,
        /// Gateways that choose the pods behind them themselves; others leave that to proxies.
        gateways: Vec<GatewaySpec>,
        /// Names that clients find entrances by.
        names: Vec<NameSpec>,
        /// DNS of the cluster.
        cluster_dns: Option<ClusterDnsSpec>,
        /// Vaults without which pods that start do not get what an agent injects, the Secrets Store CSI Driver mounts or External Secrets makes; one that is not here gives what it has.
        vaults: Vec<VaultSpec>,
        /// Pools of disks that volumes and places for copies stand on; nothing of them ever stops when left out.
        storage_pools: Vec<StoragePoolSpec>,
        /// What there is to lose, where copies of it go, and who restores; nothing is known of backups when left out.
        backups: Option<BackupsSpec>,
    }
}

record! {
    /// A vault that runs on the platform.
    pub struct VaultSpec("a vault") {
        /// The Service that leads to it, as `namespace/name`.
        service: Spanned<String>,
        /// How long a pod of it stays sealed that starts, until people have come with their shares of the key; none when left out, because a key service unseals it.
        unseal: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// A region.
    pub struct RegionSpec("a region") {
        /// Name, the value of `topology.kubernetes.io/region`.
        name: Spanned<String>,
        /// Jurisdiction of its data centers, for example `EU`.
        jurisdiction: Spanned<String>,
    }
}

record! {
    /// A failure zone.
    pub struct ZoneSpec("a zone") {
        /// Name, the value of `topology.kubernetes.io/zone`.
        name: Spanned<String>,
        /// Jurisdiction, when it differs from that of the region.
        jurisdiction: Option<Spanned<String>>,
        /// Workers of autoscaled pools that the provider lets run in this zone at once: its quota.
        node_limit: Option<Spanned<u32>>,
    }
}

record! {
    /// Members of the control plane: machines with an API server, and with a member of etcd, a controller manager and a scheduler unless `etcd`, `controllerManager` or `scheduler` says where these stand.
    pub struct ControlPlaneSpec("controlPlane") {
        /// Zone of each member; a zone may be named more than once.
        zones: Vec<Spanned<String>>,
        /// An etcd on machines of its own; when left out, a member of it runs beside each API server.
        etcd: Option<EtcdSpec>,
        /// Controller managers on machines of their own; when left out, one runs beside each API server.
        controller_manager: Option<ControllersSpec>,
        /// Schedulers on machines of their own; when left out, one runs beside each API server.
        scheduler: Option<ControllersSpec>,
        /// How API servers keep their addresses in the Service `kubernetes`, through which operators and controllers of gateways reach them: `--endpoint-reconciler-type` of kube-apiserver, of which `lease` is the default of Kubernetes; when left out, pods reach whichever server answers.
        endpoint_reconciler_type: Option<Spanned<EndpointReconciler>>,
        /// The load balancer through which kubelets, proxies and people reach the API servers; when left out, they reach whichever answers.
        load_balancer: Option<ApiBalancerSpec>,
        /// Version of Kubernetes that it runs, for example `1.36`; skew is not looked at when left out.
        version: Option<Spanned<MinorVersion>>,
    }
}

record! {
    /// An etcd on machines of its own.
    pub struct EtcdSpec("etcd") {
        /// Zone of each member; a zone may be named more than once.
        zones: Vec<Spanned<String>>,
    }
}

record! {
    /// Replicas of a controller on machines of their own, which reach API servers through `loadBalancer`, or whichever answers.
    pub struct ControllersSpec("replicas of a controller") {
        /// Zone of each replica; a zone may be named more than once.
        zones: Vec<Spanned<String>>,
    }
}

impl FromText for EndpointReconciler {
    const EXPECTED: &'static str = "lease or none";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "lease" => Ok(Self::Lease),
            "none" => Ok(Self::None),
            _ => Err("an endpoint reconciler is lease or none".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": [Self::Lease.name(), Self::None.name()]})
    }
}

record! {
    /// A load balancer before API servers, which looks at each of them. What is left out is as in the example of kubeadm.
    pub struct ApiBalancerSpec("loadBalancer") {
        /// From one check of a server to the next; 10s when left out.
        interval: Option<Spanned<SimSpan>>,
        /// How long a server may take to answer a check; 10s when left out.
        timeout: Option<Spanned<SimSpan>>,
        /// Checks in a row that must fail for a server to be taken out; 2 when left out.
        fall: Option<Spanned<u32>>,
        /// Checks in a row that must succeed for it to be taken in again; 2 when left out.
        rise: Option<Spanned<u32>>,
    }
}

/// A version of Kubernetes, of which the patch does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinorVersion(pub Version);

impl FromText for MinorVersion {
    const EXPECTED: &'static str = "a version such as 1.36";

    fn from_text(text: &str) -> Result<Self, String> {
        let version = Version::parse(text).map(Self);
        version.ok_or_else(|| "a version is written as 1.36, as a string".to_owned())
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^v?1\\.[0-9]+(\\.[0-9]+)?$"})
    }
}

record! {
    /// Nodes of one shape.
    pub struct NodePoolSpec("a node pool") {
        /// Name; nodes are called `<pool>-<zone>-<number from 1>`.
        name: Spanned<String>,
        /// Zones it spreads over.
        zones: Vec<Spanned<String>>,
        /// Nodes in each of these zones; at the start, when the pool is autoscaled.
        count_per_zone: Spanned<u32>,
        /// Bounds between which the cluster autoscaler changes the number of nodes.
        autoscaling: Option<PoolAutoscalingSpec>,
        /// CPU that pods of one node may request.
        cpu: Spanned<Cpu>,
        /// Memory that pods of one node may request.
        memory: Spanned<Bytes>,
        /// The file system of the kubelet, on which images, logs, writable layers and emptyDir volumes lie; when left out it never fills.
        disk: Option<Spanned<Bytes>>,
        /// Pods that one node holds; 110 when left out, the default of the kubelet.
        pods: Option<Spanned<u32>>,
        /// Volumes that one node can have attached, as its CSINode says; any number when left out.
        attach_limit: Option<Spanned<u32>>,
        /// Settings of its kubelets.
        kubelet: Option<KubeletSpec>,
        /// Labels besides those of hostname, zone, region, architecture and operating system.
        labels: Named<Spanned<String>>,
        /// Annotations; the cluster autoscaler reads `cluster-autoscaler.kubernetes.io/scale-down-disabled`.
        annotations: Named<Spanned<String>>,
        /// Taints.
        taints: Vec<TaintSpec>,
        /// Version of their kubelets and kube-proxies; that of the control plane when left out.
        version: Option<Spanned<MinorVersion>>,
    }
}

record! {
    /// Fields of a KubeletConfiguration that one pool has otherwise than another.
    pub struct KubeletSpec("kubelet") {
        /// How long pods have to end when a machine shuts down in order; left out, they have none, as by default.
        shutdown_grace_period: Option<Spanned<SimSpan>>,
        /// How much of it is for critical pods.
        shutdown_grace_period_critical_pods: Option<Spanned<SimSpan>>,
        /// Instead of the two: periods by the priority of pods.
        shutdown_grace_period_by_pod_priority: Vec<ShutdownPeriodSpec>,
    }
}

record! {
    /// Pods of this priority and above, up to the next one that is listed, end together.
    pub struct ShutdownPeriodSpec("a period of a shutdown") {
        /// The least priority.
        priority: Spanned<i32>,
        /// How many seconds they have.
        shutdown_grace_period_seconds: Spanned<u32>,
    }
}

record! {
    /// A pool whose nodes come and go; each of its zones is a node group of its own.
    pub struct PoolAutoscalingSpec("autoscaling") {
        /// Fewest nodes in each zone.
        min_per_zone: Spanned<u32>,
        /// Most nodes in each zone.
        max_per_zone: Spanned<u32>,
        /// From the request for a node until it is Ready; half of them need 150s and 95 of 100 at most 300s when left out.
        boot_time: Option<BootTimeSpec>,
    }
}

record! {
    /// A log-normal time, by two of its quantiles.
    pub struct BootTimeSpec("bootTime") {
        /// Half of all nodes need at most this.
        median: Spanned<SimSpan>,
        /// 95 of 100 nodes need at most this.
        p95: Spanned<SimSpan>,
    }
}

record! {
    /// Flags of the cluster autoscaler that differ from their defaults; what is left out here is read from the arguments of its Deployment, when that is among the manifests.
    pub struct ClusterAutoscalerSpec("clusterAutoscaler") {
        /// The workload whose pods run it, as `namespace/name`; left out, it runs whenever the API answers.
        workload: Option<Spanned<String>>,
        /// `--scan-interval`.
        scan_interval: Option<Spanned<SimSpan>>,
        /// `--expander`, the first of them first. The ranking of `priority` is the ConfigMap kube-system/cluster-autoscaler-priority-expander among the manifests.
        expanders: Vec<Spanned<ExpanderKind>>,
        /// `--balance-similar-node-groups`.
        balance_similar_node_groups: Option<bool>,
        /// `--max-nodes-total`.
        max_nodes_total: Option<Spanned<u32>>,
        /// `--max-node-provision-time`.
        max_node_provision_time: Option<Spanned<SimSpan>>,
        /// `--new-pod-scale-up-delay`.
        new_pod_scale_up_delay: Option<Spanned<SimSpan>>,
        /// `--scale-down-enabled`.
        scale_down_enabled: Option<bool>,
        /// `--scale-down-utilization-threshold`, as a share.
        scale_down_utilization_threshold: Option<Spanned<Share>>,
        /// `--scale-down-unneeded-time`.
        scale_down_unneeded_time: Option<Spanned<SimSpan>>,
        /// `--scale-down-unready-time`.
        scale_down_unready_time: Option<Spanned<SimSpan>>,
        /// `--scale-down-delay-after-add`.
        scale_down_delay_after_add: Option<Spanned<SimSpan>>,
        /// `--skip-nodes-with-system-pods`.
        skip_nodes_with_system_pods: Option<bool>,
    }
}

impl FromText for ExpanderKind {
    const EXPECTED: &'static str = "least-waste, most-pods, least-nodes, priority or random";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(|| "is no expander that is modeled".to_owned())
    }

    fn schema() -> Json {
        json!({"enum": Self::ALL.map(Self::name)})
    }
}

record! {
    /// A taint.
    pub struct TaintSpec("a taint") {
        /// Key.
        key: Spanned<String>,
        /// Value.
        value: Option<Spanned<String>>,
        /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
        effect: Spanned<TaintEffect>,
    }
}

impl FromText for TaintEffect {
    const EXPECTED: &'static str = "NoSchedule, PreferNoSchedule or NoExecute";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "NoSchedule" => Ok(Self::NoSchedule),
            "PreferNoSchedule" => Ok(Self::PreferNoSchedule),
            "NoExecute" => Ok(Self::NoExecute),
            _ => Err("is no effect of a taint".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]})
    }
}
