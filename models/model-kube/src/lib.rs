//! Kubernetes: decisions as upstream makes them, and the cluster they act on.
//!
//! Two layers. The decisions are pure functions, one module a noun, each with its upstream source;
//! what checks them against upstream, what explains a run and what runs call the same function.
//! [`cluster`] is the thin stateful part that applies them in virtual time.
//!
//! Never reads a clock, a file or YAML, and knows no load and no database.

pub mod admission;
pub mod api_restore;
pub mod client_limit;
pub mod cluster;
pub mod cluster_autoscaler;
pub mod configuration;
pub mod counter_rate;
pub mod crash_loop;
pub mod cron_job;
pub mod daemon_set;
pub mod delivery;
pub mod deployment;
pub mod disruption;
pub mod endpoint_reconciler;
pub mod endpoints;
pub mod etcd;
pub mod horizontal_pod_autoscaler;
pub mod image_collection;
pub mod job;
pub mod kubelet_admission;
pub mod leader_election;
pub mod memory_growth;
pub mod node_lifecycle;
pub mod node_pressure;
pub mod node_shutdown;
pub mod off_peak;
pub mod oom_kill;
pub mod pod_gc;
pub mod priority_and_fairness;
pub mod probes;
pub mod qos;
pub mod quota;
pub mod rare;
pub mod reflector;
pub mod replica_set;
pub mod restart_policy;
pub mod scheduling;
pub mod stateful_set;
pub mod taint_eviction;
pub mod vertical_pod_autoscaler;

pub use cluster::{Cluster, ClusterPlan, KubeEvent, Notice, Route};
