//! Resource quotas: whether a pod may be created beside those that its namespace has.
//!
//! # Modelled
//! Counts of pods, sums of their requests and of their limits.
//! # Not modelled
//! Scopes; other objects; the moment that the quota controller takes to count a pod that is gone.
//! # Defaults and their sources
//! `staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go` (`CheckRequest`),
//! `pkg/quota/v1/evaluator/core/pods.go` (`PodUsageFunc`, `QuotaV1Pod`), Kubernetes 1.36.
//! # Invariants
//! What is admitted leaves no amount above its bound that the pod adds to.
//! # Checked against
//! The tests below; timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::kube::{Container, PodSpec, QuotaResource, ResourceQuota};

use crate::scheduling::{is_pod_level, stated_requests};

/// What pods take of a quota.
pub type Usage = BTreeMap<QuotaResource, i64>;

/// What a pod takes that has ended, or that is being deleted and should have gone: it only counts as an
/// object.
pub fn usage_of_ended() -> Usage {
    Usage::from([(QuotaResource::AllPods, 1)])
}

/// What any other pod takes.
pub fn usage_of(spec: &PodSpec) -> Usage {
    let mut usage = usage_of_ended();
    usage.insert(QuotaResource::Pods, 1);
    for (name, amount) in stated_requests(spec).0 {
        usage.insert(QuotaResource::Requests(name), amount);
    }
    for (name, amount) in limits(spec) {
        usage.insert(QuotaResource::Limits(name), amount);
    }
    usage
}

/// Adds what so many other pods take, which take the same.
pub fn add(usage: &mut Usage, of_one: &Usage, count: i64) {
    for (resource, amount) in of_one {
        let amount = amount.saturating_mul(count);
        match usage.get_mut(resource) {
            Some(sum) => *sum = sum.saturating_add(amount),
            None => _ = usage.insert(resource.clone(), amount),
        }
    }
}

/// The first thing of a quota that a pod would take too much of, beside what is used.
pub fn exceeded<'a>(
    quota: &'a ResourceQuota,
    used: &Usage,
    wanted: &Usage,
) -> Option<&'a QuotaResource> {
    let is_over = |(resource, hard): &(&QuotaResource, &i64)| {
        let Some(more) = wanted.get(*resource) else { return false };
        used.get(*resource).copied().unwrap_or(0).saturating_add(*more) > **hard
    };
    quota.hard.iter().find(is_over).map(|(resource, _)| resource)
}

/// Limits of a pod: of what runs together, or of any init container beside its sidecars; what the pod
/// states itself replaces that; overhead is added to limits that are not zero
/// (k8s.io/component-helpers `resource/helpers.go`, PodLimits, 1.36).
fn limits(spec: &PodSpec) -> BTreeMap<String, i64> {
    fn plus(sum: &mut BTreeMap<String, i64>, container: &Container) {
        for (name, amount) in &container.limits.0 {
            let total = sum.entry(name.clone()).or_default();
            *total = total.saturating_add(*amount);
        }
    }
    let mut together = BTreeMap::new();
    spec.containers.iter().for_each(|it| plus(&mut together, it));
    let (mut sidecars, mut initial) = (BTreeMap::new(), BTreeMap::<String, i64>::new());
    for container in &spec.init_containers {
        let mut needed = sidecars.clone();
        plus(&mut needed, container);
        for (name, amount) in &needed {
            let most = initial.entry(name.clone()).or_default();
            *most = (*most).max(*amount);
        }
        if container.restart_always {
            plus(&mut together, container);
            plus(&mut sidecars, container);
        }
    }
    for (name, amount) in initial {
        let most = together.entry(name).or_default();
        *most = (*most).max(amount);
    }
    for (name, amount) in spec.limits.0.iter().filter(|(name, _)| is_pod_level(name)) {
        together.insert(name.clone(), *amount);
    }
    let overhead = &spec.overhead;
    for (name, amount) in together.iter_mut().filter(|(_, amount)| **amount != 0) {
        *amount = amount.saturating_add(overhead.get(name).unwrap_or(0));
    }
    together
}

#[cfg(test)]
mod tests {
    use model_api::kube::ResourceList;

    use super::*;

    fn list(cpu: i64) -> ResourceList {
        ResourceList([("cpu".to_owned(), cpu)].into())
    }

    #[test]
    fn a_pod_is_refused_for_what_it_adds_to() {
        let container = |requests, limits| Container {
            requests: list(requests),
            limits: list(limits),
            ..Container::default()
        };
        let spec = PodSpec {
            init_containers: vec![container(900, 900)],
            containers: vec![container(200, 400), container(100, 100)],
            ..PodSpec::default()
        };
        let pod = usage_of(&spec);
        let requests = QuotaResource::Requests("cpu".to_owned());
        let limits = QuotaResource::Limits("cpu".to_owned());
        assert_eq!((pod[&requests], pod[&limits], pod[&QuotaResource::Pods]), (900, 900, 1));
        let mut used = usage_of_ended();
        add(&mut used, &pod, 1);
        let check = |resource: &QuotaResource, hard| {
            let quota =
                ResourceQuota { hard: [(resource.clone(), hard)].into(), ..Default::default() };
            exceeded(&quota, &used, &pod).is_some()
        };
        for (resource, least) in [
            (QuotaResource::AllPods, 3),
            (QuotaResource::Pods, 2),
            (requests, 1800),
            (limits, 1800),
        ] {
            assert!(!check(&resource, least) && check(&resource, least - 1), "{resource:?}");
        }
        assert!(!check(&QuotaResource::Limits("memory".to_owned()), 0), "it takes none");
        add(&mut used, &pod, i64::MAX);
        let at_most = [(QuotaResource::Pods, i64::MAX - 1)].into();
        let quota = ResourceQuota { hard: at_most, ..ResourceQuota::default() };
        assert!(exceeded(&quota, &used, &pod).is_some(), "sums stop at the top");
    }

    #[test]
    fn a_pod_may_state_the_limits_that_nodes_know_and_overhead_is_added_to_what_is_limited() {
        let amounts = |pairs: &[(&str, i64)]| {
            ResourceList(pairs.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect())
        };
        let container = Container {
            limits: amounts(&[("cpu", 100), ("memory", 0), ("example.com/gpu", i64::MAX)]),
            ..Container::default()
        };
        let spec = PodSpec {
            containers: vec![container.clone(), container],
            limits: amounts(&[("cpu", 700), ("example.com/gpu", 1), ("ephemeral-storage", 5)]),
            overhead: amounts(&[("cpu", 10), ("memory", 20), ("ephemeral-storage", 30)]),
            ..PodSpec::default()
        };
        let expected = amounts(&[("cpu", 710), ("memory", 0), ("example.com/gpu", i64::MAX)]);
        assert_eq!(limits(&spec), expected.0);
    }
}
