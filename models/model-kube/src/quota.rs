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

use crate::scheduling::stated_requests;

/// What pods take of a quota.
pub type Usage = BTreeMap<QuotaResource, i64>;

/// What one pod takes. One that has ended, or that is being deleted and should have gone, only counts as
/// an object.
pub fn usage_of(spec: &PodSpec, has_ended: bool) -> Usage {
    let mut usage = Usage::from([(QuotaResource::AllPods, 1)]);
    if has_ended {
        return usage;
    }
    usage.insert(QuotaResource::Pods, 1);
    for (name, amount) in stated_requests(spec).0 {
        usage.insert(QuotaResource::Requests(name), amount);
    }
    for (name, amount) in limits(spec) {
        usage.insert(QuotaResource::Limits(name), amount);
    }
    usage
}

/// Adds what another pod takes.
pub fn add(usage: &mut Usage, other: Usage) {
    for (resource, amount) in other {
        *usage.entry(resource).or_default() += amount;
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
        used.get(*resource).copied().unwrap_or(0) + more > **hard
    };
    quota.hard.iter().find(is_over).map(|(resource, _)| resource)
}

/// Limits of a pod: of what runs together, or of any init container beside its sidecars
/// (k8s.io/component-helpers `resource/helpers.go`, PodLimits, 1.36).
fn limits(spec: &PodSpec) -> BTreeMap<String, i64> {
    fn plus(sum: &mut BTreeMap<String, i64>, container: &Container) {
        for (name, amount) in &container.limits.0 {
            *sum.entry(name.clone()).or_default() += amount;
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
    for (name, amount) in &spec.limits.0 {
        together.insert(name.clone(), *amount);
    }
    let overhead = &spec.overhead;
    for (name, amount) in &mut together {
        *amount += overhead.get(name).unwrap_or(0);
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
        let pod = usage_of(&spec, false);
        let requests = QuotaResource::Requests("cpu".to_owned());
        let limits = QuotaResource::Limits("cpu".to_owned());
        assert_eq!((pod[&requests], pod[&limits], pod[&QuotaResource::Pods]), (900, 900, 1));
        let mut used = usage_of(&spec, true);
        assert_eq!(used, Usage::from([(QuotaResource::AllPods, 1)]));
        add(&mut used, pod.clone());
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
    }
}
