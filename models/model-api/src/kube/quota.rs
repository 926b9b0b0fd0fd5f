//! What the pods of a namespace may take together.

use std::collections::BTreeMap;

use super::ResourceList;
use crate::source::Origin;

/// `v1 ResourceQuota` without scopes, as far as it counts pods and what they ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceQuota {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `spec.hard`: CPU in millicores, all else in whole units.
    pub hard: BTreeMap<QuotaResource, i64>,
    /// Where it was written.
    pub origin: Origin,
}

/// Something that a quota counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaResource {
    /// `pods`: those that have not ended.
    Pods,
    /// `count/pods`: all that the API has.
    AllPods,
    /// `requests.cpu`, also written `cpu`, and the like.
    Requests(String),
    /// `limits.cpu` and the like.
    Limits(String),
}

impl QuotaResource {
    /// What a key of `spec.hard` counts of pods, if anything (`podResources` and
    /// `podComputeUsageHelper` of pkg/quota/v1/evaluator/core/pods.go, Kubernetes 1.36).
    pub fn of(key: &str) -> Option<Self> {
        let compute = [ResourceList::CPU, ResourceList::MEMORY, ResourceList::EPHEMERAL_STORAGE];
        let is_counted = |name: &str| compute.contains(&name) || name.starts_with("hugepages-");
        match key {
            "pods" => return Some(Self::Pods),
            "count/pods" => return Some(Self::AllPods),
            _ if is_counted(key) => return Some(Self::Requests(key.to_owned())),
            _ => {}
        }
        if let Some(name) = key.strip_prefix("limits.").filter(|name| compute.contains(name)) {
            return Some(Self::Limits(name.to_owned()));
        }
        let name = key.strip_prefix("requests.")?;
        // Extended resources have a domain; a class of storage counts claims.
        let is_extended = name.contains('/') && !name.contains("storageclass.storage.k8s.io");
        (is_counted(name) || is_extended).then(|| Self::Requests(name.to_owned()))
    }

    /// As `spec.hard` has it.
    pub fn key(&self) -> String {
        match self {
            Self::Pods => "pods".to_owned(),
            Self::AllPods => "count/pods".to_owned(),
            Self::Requests(name) => format!("requests.{name}"),
            Self::Limits(name) => format!("limits.{name}"),
        }
    }
}
