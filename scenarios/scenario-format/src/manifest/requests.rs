//! Requests that nobody wrote: those of containers from their limits, those of a pod as a whole from
//! its containers.
//!
//! # Defaults and their sources
//! Kubernetes 1.36: `pkg/apis/core/v1/defaults.go` (SetDefaults_Pod, setDefaultPodRequests,
//! SetDefaults_ResourceList).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource;
use model_api::kube::{Container, ResourceList};

use crate::quantity::Quantity;

/// Requests, with limits where no request was stated (SetDefaults_Pod).
pub(crate) fn with_limits(mut requests: ResourceList, limits: &ResourceList) -> ResourceList {
    for (name, limit) in &limits.0 {
        requests.0.entry(name.clone()).or_insert(*limit);
    }
    requests
}

/// Requests of a pod as a whole. One that states limits of its own gets those that it does not
/// state: of CPU and memory what its containers request together, and what none of them requests
/// from its limits (setDefaultPodRequests).
pub(super) fn of_pod(
    mut requests: ResourceList,
    limits: &ResourceList,
    of_containers: &ResourceList,
) -> ResourceList {
    if limits.0.is_empty() {
        return requests;
    }
    for name in [ResourceList::CPU, ResourceList::MEMORY] {
        if let Some(amount) = of_containers.get(name) {
            requests.0.entry(name.to_owned()).or_insert(amount);
        }
    }
    with_limits(requests, limits)
}

/// Resources that a pod may state as a whole
/// (k8s.io/component-helpers `resource/helpers.go`, IsSupportedPodLevelResource).
pub(super) fn is_pod_level(name: &str) -> bool {
    name == ResourceList::CPU || name == ResourceList::MEMORY || name.starts_with("hugepages-")
}

/// What containers request ([`together`]).
pub(crate) fn of_containers(
    init_containers: &[Container],
    containers: &[Container],
) -> ResourceList {
    together(init_containers, containers, |it| &it.requests)
}

/// What containers request or may use: the larger of those that run together and of each init
/// container with the sidecars before it (k8s.io/component-helpers `resource/helpers.go`,
/// AggregateContainerRequests, AggregateContainerLimits).
pub(super) fn together(
    init_containers: &[Container],
    containers: &[Container],
    of: fn(&Container) -> &ResourceList,
) -> ResourceList {
    let mut running: BTreeMap<String, i64> = BTreeMap::new();
    let mut peak: BTreeMap<String, i64> = BTreeMap::new();
    for container in init_containers {
        for (name, amount) in &of(container).0 {
            let sidecars = running.get(name).copied().unwrap_or(0);
            let now = sidecars.saturating_add(*amount);
            let most = peak.entry(name.clone()).or_insert(0);
            *most = (*most).max(now);
            if container.restart_always {
                running.insert(name.clone(), now);
            }
        }
    }
    for container in containers {
        for (name, amount) in &of(container).0 {
            let total = running.entry(name.clone()).or_insert(0);
            *total = total.saturating_add(*amount);
        }
    }
    for (name, amount) in peak {
        let total = running.entry(name).or_insert(0);
        *total = (*total).max(amount);
    }
    ResourceList(running)
}

/// Thousandths by which requests are more than what was written, of those that have a fraction. The
/// API keeps thousandths, rounded up (SetDefaults_ResourceList).
pub(super) fn rounded_up_millis(
    given: Option<&core::ResourceRequirements>,
    takes_limits: bool,
) -> ResourceList {
    let mut result = ResourceList::default();
    let Some(given) = given else { return result };
    let requests = given.requests.iter().flatten();
    let is_stated = |name: &String| given.requests.as_ref().is_some_and(|it| it.contains_key(name));
    let limits = given.limits.iter().flatten().filter(|(name, _)| takes_limits && !is_stated(name));
    for (name, quantity) in requests.chain(limits) {
        if let Some(excess) = excess_millis(name, quantity) {
            result.0.insert(name.clone(), excess);
        }
    }
    result
}

fn excess_millis(name: &str, quantity: &resource::Quantity) -> Option<i64> {
    let amount = Quantity::parse(&quantity.0).ok().filter(|it| name != "cpu" && !it.is_whole())?;
    let excess = amount.ceil().saturating_mul(1000).saturating_sub(amount.ceil_millis());
    (excess > 0).then_some(excess)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(pairs: &[(&str, i64)]) -> ResourceList {
        ResourceList(pairs.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect())
    }

    /// Rows of TestSetDefaultPodRequests of `pkg/apis/core/v1/defaults_test.go`, 1.36, retold.
    #[test]
    fn a_pod_with_limits_requests_what_its_containers_do() {
        type Listed<'a> = &'a [(&'a str, i64)];
        let rows: [(Listed<'_>, Listed<'_>, Listed<'_>, Listed<'_>); 6] = [
            // Requests, limits, what containers request: what comes of it.
            (&[], &[], &[("cpu", 300)], &[]),
            (&[("cpu", 500)], &[], &[("memory", 7)], &[("cpu", 500)]),
            (&[], &[("cpu", 900)], &[("cpu", 300)], &[("cpu", 300)]),
            (&[], &[("cpu", 900)], &[], &[("cpu", 900)]),
            (&[], &[("cpu", 900)], &[("memory", 7)], &[("cpu", 900), ("memory", 7)]),
            (
                &[("cpu", 1)],
                &[("memory", 9)],
                &[("cpu", 300), ("example.com/gpu", 1)],
                &[("cpu", 1), ("memory", 9)],
            ),
        ];
        for (requests, limits, of_containers, expected) in rows {
            let got = of_pod(amounts(requests), &amounts(limits), &amounts(of_containers));
            assert_eq!(got, amounts(expected), "{requests:?} {limits:?} {of_containers:?}");
        }
    }

    #[test]
    fn fractions_are_remembered_in_thousandths() {
        let quantities = |pairs: &[(&str, &str)]| {
            let named = |(name, amount): &(&str, &str)| {
                ((*name).to_owned(), resource::Quantity((*amount).to_owned()))
            };
            Some(pairs.iter().map(named).collect())
        };
        let given = core::ResourceRequirements {
            requests: quantities(&[("cpu", "1500u"), ("memory", "1.5")]),
            limits: quantities(&[("memory", "2.2"), ("ephemeral-storage", "100u")]),
            ..core::ResourceRequirements::default()
        };
        let of = |takes_limits| rounded_up_millis(Some(&given), takes_limits);
        assert_eq!(of(false), amounts(&[("memory", 500)]));
        assert_eq!(of(true), amounts(&[("ephemeral-storage", 999), ("memory", 500)]));
        assert_eq!(rounded_up_millis(None, true), ResourceList::default());
    }
}
