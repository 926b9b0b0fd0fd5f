//! Kind `Scenario`.

use serde_json::{Value as Json, json};

use model_api::SimSpan;

use super::backup::BackupsSpec;
use super::dns::{ClusterDnsSpec, NameSpec};
use super::fault::FaultSpec;
use super::gateway::{GatewaySpec, LoadBalancerSpec};
use super::job::JobProfileSpec;
use super::load::LoadSpec;
use super::memory::MemorySpec;
use super::metric::MetricSpec;
use super::storage::StoragePoolSpec;
use super::usage::{DiskSpec, ProcessesSpec};
use super::{ApiVersion, Kind, Metadata};
use crate::decode::{Decode, Definitions, Named, record};
use crate::diagnostic::Diagnostic;
use crate::source::Spanned;
use crate::units::Share;
use crate::yaml::{Node, Value};

record! {
    /// A scenario: what happens to a platform, and what it promises meanwhile.
    pub struct ScenarioDocument("a Scenario") {
        /// Version of this format.
        api_version: Spanned<ApiVersion>,
        /// `Scenario`.
        kind: Spanned<Kind>,
        /// Name and description.
        metadata: Metadata,
        /// The scenario.
        spec: ScenarioSpec,
    }
}

record! {
    /// What happens, and what is promised.
    pub struct ScenarioSpec("the spec of a Scenario") {
        /// Name of a shipped platform, or path of a Platform file, relative to this file.
        platform: Spanned<String>,
        /// Files and directories of Kubernetes manifests, relative to this file, besides those of the platform.
        manifests: Vec<Spanned<String>>,
        /// How much virtual time a run covers.
        horizon: Spanned<SimSpan>,
        /// How many runs are made when the command line does not say.
        runs: Option<Spanned<u32>>,
        /// Root seed when the command line gives none.
        seed: Option<Spanned<u64>>,
        /// Requests from outside; an entry replaces that of the platform for the same Service.
        load: Vec<LoadSpec>,
        /// What pods of Jobs do; an entry replaces that of the platform for the same Job.
        jobs: Vec<JobProfileSpec>,
        /// What memory pods use; an entry replaces that of the platform for the same workload. Where nothing is stated, memory is not looked at.
        memory: Vec<MemorySpec>,
        /// What pods take of the disks of nodes and of their inodes, which no manifest says. Where nothing is stated, they are not looked at.
        disk: Vec<DiskSpec>,
        /// Process ids that pods take. Where nothing is stated, they are not looked at.
        processes: Vec<ProcessesSpec>,
        /// What metrics measure that autoscalers read; an entry replaces that of the platform for the same name.
        metrics: Vec<MetricSpec>,
        /// Load balancers; an entry replaces that of the platform for the same Service.
        load_balancers: Vec<LoadBalancerSpec>,
        /// Gateways that choose the pods behind them themselves; an entry replaces that of the platform for the same Service.
        gateways: Vec<GatewaySpec>,
        /// Names that clients find entrances by; an entry replaces that of the platform for the same name.
        names: Vec<NameSpec>,
        /// DNS of the cluster, in place of what the platform says.
        cluster_dns: Option<ClusterDnsSpec>,
        /// Storage pools; entries replace those of the platform with the same name.
        storage_pools: Vec<StoragePoolSpec>,
        /// Backups; entries replace those of the platform with the same name.
        backups: Option<BackupsSpec>,
        /// What goes wrong, and what people do to the platform.
        faults: Vec<FaultSpec>,
        /// While a fault of machines, pods or load lasts, no control plane answers: a promise that
        /// holds all the same has no write of a control plane on its way to recovery. A guarantee
        /// `statically_stable` says so by itself.
        freeze_control_plane: Option<bool>,
        /// What must hold, by name.
        guarantees: Named<GuaranteeText>,
    }
}

record! {
    /// A guarantee that is an expression over the figures of a run, in the Common Expression Language.
    pub struct ExpressionSpec("a guarantee that is no sentence") {
        /// The expression: `services['shop/web'].lostRequests < 100`.
        cel: Spanned<String>,
        /// In which share of runs it must hold: `95%`; in every run when there is none.
        for_runs: Option<Spanned<Share>>,
    }
}

/// A guarantee as it is written: a sentence of the guarantee language, or `cel: expression`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuaranteeText {
    /// A sentence such as `rto(shop/orders-api) <= 60s for 99% of runs`.
    Words {
        /// The sentence.
        text: Spanned<String>,
        /// The scalar is written on one line without escapes, so that columns in it are exact.
        is_exact: bool,
    },
    /// An expression in the Common Expression Language over the figures of a run.
    Cel {
        /// The expression.
        source: Spanned<String>,
        /// The share of runs in which it must hold; every run when there is none.
        share: Option<Share>,
    },
}

impl Decode for GuaranteeText {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value
            && !node.is_null()
        {
            let written = (node.span.end_byte - node.span.start_byte) as usize;
            let quotes = if scalar.is_plain { 0 } else { 2 };
            let is_exact = written == scalar.text.len() + quotes && !scalar.text.contains('\n');
            let text = Spanned { value: scalar.text.clone(), span: node.span };
            return Some(Self::Words { text, is_exact });
        }
        let spec = ExpressionSpec::decode(node, diagnostics)?;
        Some(Self::Cel { source: spec.cel, share: spec.for_runs.map(|share| share.value) })
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let expression = ExpressionSpec::schema(definitions);
        json!({"oneOf": [
            {"type": "string", "minLength": 1, "description": concat!(
                "A promise. Of a database, rto and rpo count the runs in which its primary was hit or took no ",
                "writes; where no run stops it, its rto is none. never data_lost and rpo count data that nothing brings back as lost without bound. ",
                "returns(goodput(service), 95%, 10m): within 10m of the last fault, of the requests of the next ",
                "30 s at least 95 % of the share that was answered before the first fault (of all of them, when ",
                "nobody asked before) are answered, and so on to the end. The time counts from the beginning of ",
                "the last fault; with `after_end` behind it, from the end of the last one that ends: what ",
                "triggered it is gone, and the goodput is to come back.",
            ), "examples": [
                "availability(shop/frontend) >= 99.9% for 99% of runs",
                "availability(shop/frontend, 1h) >= 99%",
                "budget_burn(shop/frontend, 99.9%, 30d) <= 10%",
                "alert(shop/frontend, 99.9%) <= 5m",
                "rto(*) <= 60s",
                "rpo(shop/orders-db) == 0s",
                "latency(shop/frontend, p99) <= 300ms",
                "never two_writable_primaries",
                "always within_region('EU')",
                "returns(goodput(shop/frontend), 95%, 10m)",
                "returns(goodput(shop/frontend), 95%, 10m, after_end)",
                "statically_stable(shop/frontend, 99%)",
                "starts_from(nodes)",
                "starts_from(etcd)",
                "completes(new version) <= 10m",
                "completes(job/shop/migrate) <= 10m",
            ]},
            expression,
        ]})
    }
}
