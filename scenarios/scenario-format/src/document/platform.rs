//! Kind `Platform`.

use model_api::kube::TaintEffect;
use serde_json::{Value as Json, json};

use super::backup::BackupsSpec;
use super::load::{DatabaseSpec, LoadSpec, ServiceSpec};
use super::parameters::ParametersSpec;
use super::{ApiVersion, Kind, Metadata};
use crate::decode::{FromText, Named, record};
use crate::source::Spanned;
use crate::units::{Bytes, Cpu};

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
        /// Timers and rates that differ from their defaults.
        parameters: Option<ParametersSpec>,
        /// Files and directories of Kubernetes manifests, relative to this file.
        manifests: Vec<Spanned<String>>,
        /// What a request to a Service costs and needs.
        services: Vec<ServiceSpec>,
        /// What is written to databases.
        databases: Vec<DatabaseSpec>,
        /// Requests from outside.
        load: Vec<LoadSpec>,
        /// What there is to lose, where copies of it go, and who restores; nothing is known of backups when left out.
        backups: Option<BackupsSpec>,
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
    }
}

record! {
    /// Members of the control plane, each with an etcd member on its own machine.
    pub struct ControlPlaneSpec("controlPlane") {
        /// Zone of each member; a zone may be named more than once.
        zones: Vec<Spanned<String>>,
    }
}

record! {
    /// Nodes of one shape.
    pub struct NodePoolSpec("a node pool") {
        /// Name; nodes are called `<pool>-<zone>-<number from 1>`.
        name: Spanned<String>,
        /// Zones it spreads over.
        zones: Vec<Spanned<String>>,
        /// Nodes in each of these zones.
        count_per_zone: Spanned<u32>,
        /// CPU that pods of one node may request.
        cpu: Spanned<Cpu>,
        /// Memory that pods of one node may request.
        memory: Spanned<Bytes>,
        /// Pods that one node holds; 110 when left out, the default of the kubelet.
        pods: Option<Spanned<u32>>,
        /// Labels besides those of hostname, zone, region, architecture and operating system.
        labels: Named<Spanned<String>>,
        /// Taints.
        taints: Vec<TaintSpec>,
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
