//! Kubernetes objects as far as any model reads them.
//!
//! Field names and meanings are those of the Kubernetes 1.36 API; quantities are integers: CPU in
//! millicores, everything else in its base unit (bytes, counts). What the API server would fill in
//! is filled in already (defaulting is the reader's job), so a model never asks "or default".

pub mod admission;
pub mod affinity;
pub mod attaching;
pub mod autoscaling;
pub mod disruption;
pub mod job;
pub mod network_policy;
pub mod node;
pub mod off_peak;
pub mod pod;
pub mod provisioning;
pub mod quota;
pub mod scale_up_delay;
pub mod secret;
pub mod selector;
pub mod service;
pub mod storage;
pub mod version;
pub mod vertical;
pub mod workload;

pub use admission::{Webhook, WebhookRule, Write, WriteShape};
pub use affinity::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorTerm, PodAffinityTerm,
    PreferredSchedulingTerm, WeightedPodAffinityTerm,
};
pub use attaching::{asks_cloud, attacher};
pub use autoscaling::{
    DescribedObject, HorizontalPodAutoscaler, MetricIdentifier, MetricSource, MetricSpec,
    MetricTarget, ScaleTarget, ScalingBehavior, ScalingPolicy, ScalingRules, SelectPolicy,
};
pub use disruption::{PodDisruptionBudget, UnhealthyPodEvictionPolicy};
pub use job::{
    ConcurrencyPolicy, CronSpec, FailureAction, FailureRequirement, FailureRule, Job, JobEnd,
    JobSpec, JobWork, SuccessRule,
};
pub use network_policy::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule};
pub use node::{Node, Taint, TaintEffect, Toleration, TolerationOperator};
pub use pod::{
    Container, ContainerPort, Lifecycle, PodSpec, PodTemplate, Probe, ProbeHandler,
    ReportedRequests, ResourceList, RestartPolicy, TopologySpreadConstraint, UnsatisfiableAction,
    registry_host,
};
pub use provisioning::{EarlyClaim, early_claims, is_early, zone_position};
pub use quota::{QuotaResource, ResourceQuota};
pub use scale_up_delay::{SCALE_UP_DELAY, scale_up_delay};
pub use secret::{
    ConfigurationSource, MadeSecret, SecretMaker, SecretProvider, SecretStore, SourceKind, Vault,
    is_injected,
};
pub use selector::{LabelSelector, Labels, Operator, Requirement, key_fault, value_fault};
pub use service::{Ingress, Service, ServicePort, TrafficDistribution, TrafficPolicy};
pub use storage::{Attacher, PersistentVolumeClaim, StorageClass, VolumeBindingMode};
pub use version::{Skew, Version};
pub use vertical::{ContainerResourcePolicy, UpdateMode, VerticalPodAutoscaler, container_policy};
pub use workload::{
    DaemonSetUpdate, DeploymentStrategy, IntOrPercent, PodManagementPolicy, StatefulSetUpdate,
    Workload, WorkloadKind,
};
