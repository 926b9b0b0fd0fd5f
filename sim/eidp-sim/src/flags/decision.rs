//! `explain DECISION`: which decision, about which manifests.

use clap::{ArgGroup, Args, Subcommand};
use sim_explain::{Length, MetricReading, Past, PodCount, Reading, Usage};

use super::Output;

/// A decision that can be explained: what was decided, the numbers it came from, and the field of a
/// manifest that made it.
#[derive(Debug, Subcommand)]
pub(crate) enum Decision {
    /// Where a pod goes: per node the filter that refuses it, or the score of each plugin.
    Schedule(Schedule),
    /// How many replicas a HorizontalPodAutoscaler wants, step by step.
    Hpa(Hpa),
    /// What a PodDisruptionBudget allows, and which eviction is answered what.
    Pdb(Pdb),
    /// How the pods of a new template replace the old ones, step by step.
    Rollout(Rollout),
    /// Which nodes the cluster autoscaler would add, and which it would remove.
    Autoscaler(Autoscaler),
    /// What a VerticalPodAutoscaler would recommend, from samples of usage.
    Vpa(Vpa),
    /// When pods leave nodes that are lost.
    Eviction(Eviction),
}

/// The cluster that is asked about.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("cluster").required(true).multiple(true))]
pub(crate) struct Cluster {
    /// Kubernetes manifests: a file, a folder, or `-` for stdin. Repeatable.
    ///
    /// Objects of kind Node are the nodes; without any, those of the platform are.
    #[arg(short = 'f', long = "manifests", value_name = "PATH", group = "cluster")]
    pub(crate) manifests: Vec<String>,

    /// A platform with its nodes and manifests: a file, or the name of a shipped one. Without one
    /// there are only the manifests, on the nodes of eidp-production.
    #[arg(long, value_name = "PLATFORM", group = "cluster")]
    pub(crate) platform: Option<String>,

    /// Change a value of the input first, for example `deployment/shop/web:spec.replicas=3`.
    /// Repeatable.
    #[arg(long, value_name = "OBJECT:PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// Where the explanation goes: human or json, to stdout or to a file. Repeatable.
    #[arg(short, long, value_name = "FORMAT[=PATH]", default_value = "human")]
    pub(crate) output: Vec<Output>,
}

#[derive(Args, Debug)]
pub(crate) struct Schedule {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// The pod, or the workload whose pod it is. Not needed when there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) pod: Option<String>,

    /// Which pod of its workload, from 1; the last by default, when the others run already.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) replica: Option<u32>,

    /// Nothing else runs.
    #[arg(long)]
    pub(crate) empty: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Hpa {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// The autoscaler. Not needed when there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Replicas that there are; those of the manifest by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) current: Option<i32>,

    /// Pods of those that are ready and measured; the others just started. All by default.
    #[arg(long, value_name = "N")]
    pub(crate) ready: Option<u32>,

    /// Ready pods that have no sample.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) missing: u32,

    /// CPU: percent of the request, for example `90%`, or an amount for each pod, for example `450m`;
    /// a bare `90` is 90 cores.
    #[arg(long, value_name = "VALUE")]
    pub(crate) cpu: Option<Reading>,

    /// Memory: percent of the request, for example `90%`, or an amount for each pod, for example
    /// `300Mi`; a bare `90` is 90 bytes.
    #[arg(long, value_name = "VALUE")]
    pub(crate) memory: Option<Reading>,

    /// Any other metric: percent of its target, or an amount. Repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) metric: Vec<MetricReading>,

    /// An earlier recommendation, for example `8@2m`. Repeatable.
    #[arg(long, value_name = "REPLICAS@AGO")]
    pub(crate) recommended: Vec<Past>,

    /// An earlier change of the number of replicas, for example `+3@30s`. Repeatable.
    #[arg(long, value_name = "CHANGE@AGO", allow_hyphen_values = true)]
    pub(crate) changed: Vec<Past>,
}

#[derive(Args, Debug)]
pub(crate) struct Pdb {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// The budget. Not needed when there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Pods that are healthy; all by default.
    #[arg(long, value_name = "N")]
    pub(crate) healthy: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Rollout {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// A Deployment, StatefulSet or DaemonSet. Not needed when there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The new pods never become available.
    #[arg(long)]
    pub(crate) broken: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Autoscaler {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// So many more pods of a workload: those that find no node wait. Repeatable.
    #[arg(long, value_name = "WORKLOAD=N")]
    pub(crate) pods: Vec<PodCount>,

    /// How a node group is chosen, as a chain with commas: least-waste (the default), most-pods,
    /// least-nodes, priority or random.
    #[arg(long, value_name = "EXPANDER")]
    pub(crate) expander: Option<String>,

    /// Most nodes that a group may get.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_nodes: Option<u32>,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("samples-of").required(true))]
pub(crate) struct Vpa {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// The workload. Not needed when there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Usage of every container, all the time: `cpu=100m,memory=200Mi`.
    #[arg(long, value_name = "USAGE", group = "samples-of")]
    pub(crate) usage: Option<Usage>,

    /// How long that was seen.
    #[arg(long = "for", value_name = "SPAN", default_value = "192h")]
    pub(crate) length: Length,

    /// A file of samples: containers with `name`, `usage` (`from`, `until`, `every`, `cpu`,
    /// `memory`) and `oomKills` (`at`, `memoryRequest`).
    #[arg(long, value_name = "FILE", group = "samples-of")]
    pub(crate) samples: Option<String>,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("lost").required(true).multiple(true))]
pub(crate) struct Eviction {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// A pod or its workload. Not needed when there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) pod: Option<String>,

    /// All nodes of this zone are lost.
    #[arg(long, value_name = "ZONE", group = "lost")]
    pub(crate) zone: Option<String>,

    /// This node is lost. Repeatable.
    #[arg(long = "node", value_name = "NODE", group = "lost")]
    pub(crate) nodes: Vec<String>,
}
