//! How much of each resource a pod asks for.

use std::collections::BTreeMap;

use model_api::kube::{Container, PodSpec, ReportedRequests, ResourceList};

/// What a container without a CPU request counts when nodes are scored, in millicores
/// (pkg/scheduler/util/pod_resources.go, DefaultMilliCPURequest, 1.36).
const DEFAULT_CPU_MILLIS: i64 = 100;
/// The same for memory, in bytes (DefaultMemoryRequest, 1.36).
const DEFAULT_MEMORY_BYTES: i64 = 200 * 1024 * 1024;

/// Requests of a pod: the larger of what runs together (containers and sidecars) and what any init
/// container needs beside the sidecars listed before it; a CPU, memory or huge page amount that the
/// pod itself names replaces that sum; then the overhead
/// (k8s.io/component-helpers `resource/helpers.go`, PodRequests, 1.36).
///
/// While a running pod is resized in place, the largest of what its spec asks for, what is in force
/// and what its node has granted counts (determineEffectiveRequests).
pub fn pod_requests(spec: &PodSpec) -> ResourceList {
    requests_with(spec, &[], in_force)
}

/// The same of the spec alone, whatever the status reports.
pub fn stated_requests(spec: &PodSpec) -> ResourceList {
    requests_with(spec, &[], |_, stated, _| stated.0.clone())
}

/// Requests that count of a container or of a pod as a whole, by what its status reports. A resize
/// that the node will never grant counts for nothing
/// (k8s.io/component-helpers `resource/helpers.go`, determineEffectiveRequests, 1.36).
fn in_force(
    spec: &PodSpec,
    stated: &ResourceList,
    reported: Option<&ReportedRequests>,
) -> BTreeMap<String, i64> {
    let Some(reported) = reported else { return stated.0.clone() };
    let mut most = if spec.resize_is_infeasible { BTreeMap::new() } else { stated.0.clone() };
    raise(&mut most, &reported.actuated.0);
    raise(&mut most, &reported.allocated.0);
    most
}

/// See [`in_force`].
type Effective = fn(&PodSpec, &ResourceList, Option<&ReportedRequests>) -> BTreeMap<String, i64>;

/// CPU in millicores and memory in bytes that scoring counts for pods on a node: a container that
/// states none counts 100m and 200 MiB, an explicit 0 counts 0. Where the pod as a whole states
/// requests, only a resource that nobody names is filled in
/// (pkg/scheduler/framework/types.go, PodInfo.CalculateResource, 1.36).
pub(super) fn scored_requests(spec: &PodSpec) -> [i64; 2] {
    let stated = pod_requests(spec);
    let is_pod_level_set = spec.requests.0.keys().any(|name| is_pod_level(name));
    let is_needed = |name: &str| !is_pod_level_set || stated.get(name).is_none();
    let missing: Vec<(&str, i64)> = defaults().into_iter().filter(|(n, _)| is_needed(n)).collect();
    let requests = requests_with(spec, &missing, in_force);
    [requests.cpu_millis().unwrap_or(0), requests.memory_bytes().unwrap_or(0)]
}

/// The same for the incoming pod, where every container is filled in
/// (noderesources/resource_allocation.go, calculatePodResourceRequest, 1.36).
pub(super) fn scored_incoming_requests(spec: &PodSpec) -> [i64; 2] {
    let requests = requests_with(spec, &defaults(), in_force);
    [requests.cpu_millis().unwrap_or(0), requests.memory_bytes().unwrap_or(0)]
}

fn defaults() -> [(&'static str, i64); 2] {
    [(ResourceList::CPU, DEFAULT_CPU_MILLIS), (ResourceList::MEMORY, DEFAULT_MEMORY_BYTES)]
}

/// `missing` is what a container counts for a resource that it does not name.
fn requests_with(spec: &PodSpec, missing: &[(&str, i64)], effective: Effective) -> ResourceList {
    let of = |container: &Container, counts_status: bool| {
        let reported = container.reported.as_deref().filter(|_| counts_status);
        let mut filled = effective(spec, &container.requests, reported);
        for (name, amount) in missing {
            filled.entry((*name).to_owned()).or_insert(*amount);
        }
        filled
    };
    let mut together = BTreeMap::new();
    for container in &spec.containers {
        add(&mut together, &of(container, true));
    }
    let mut sidecars = BTreeMap::new();
    let mut initial = BTreeMap::new();
    for container in &spec.init_containers {
        // An init container that ends is not resized.
        let own = of(container, container.restart_always);
        let mut needed = sidecars.clone();
        add(&mut needed, &own);
        raise(&mut initial, &needed);
        if container.restart_always {
            add(&mut together, &own);
            add(&mut sidecars, &own);
        }
    }
    raise(&mut together, &initial);
    let whole = effective(spec, &spec.requests, spec.reported.as_deref());
    for name in spec.requests.0.keys().filter(|name| is_pod_level(name)) {
        together.insert(name.clone(), whole.get(name).copied().unwrap_or(0));
    }
    add(&mut together, &spec.overhead.0);
    ResourceList(together)
}

/// Resources that a pod may state as a whole
/// (k8s.io/component-helpers `resource/helpers.go`, IsSupportedPodLevelResource, 1.36).
pub(crate) fn is_pod_level(name: &str) -> bool {
    name == ResourceList::CPU || name == ResourceList::MEMORY || name.starts_with("hugepages-")
}

/// Resources that nodes count beside CPU, memory and local storage; any other name is ignored
/// (pkg/scheduler/util/utils.go, IsScalarResourceName, 1.36).
pub(super) fn is_scalar(name: &str) -> bool {
    is_extended(name)
        || name.starts_with("hugepages-")
        || name.contains("kubernetes.io/")
        || name.starts_with("attachable-volumes-")
}

/// Resources of a domain other than Kubernetes' own
/// (k8s.io/component-helpers or pkg/apis/core/v1/helper, IsExtendedResourceName, 1.36).
pub(super) fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

fn add(sum: &mut BTreeMap<String, i64>, amounts: &BTreeMap<String, i64>) {
    for (name, amount) in amounts {
        let total = sum.entry(name.clone()).or_default();
        *total = total.saturating_add(*amount);
    }
}

fn raise(most: &mut BTreeMap<String, i64>, amounts: &BTreeMap<String, i64>) {
    for (name, amount) in amounts {
        let highest = most.entry(name.clone()).or_insert(*amount);
        *highest = (*highest).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu_of(amount: i64) -> ResourceList {
        ResourceList(BTreeMap::from([("cpu".to_owned(), amount)]))
    }

    fn container(cpu: i64, restart_always: bool) -> Container {
        Container { requests: cpu_of(cpu), restart_always, ..Container::default() }
    }

    #[test]
    fn a_sidecar_counts_beside_containers_and_later_init_containers() {
        let spec = PodSpec {
            init_containers: vec![
                container(500, false),
                container(100, true),
                container(700, false),
            ],
            containers: vec![container(200, false), container(300, false)],
            overhead: ResourceList(BTreeMap::from([("cpu".to_owned(), 10)])),
            ..PodSpec::default()
        };
        // Together 200 + 300 + 100; the last init container 700 beside the sidecar's 100.
        assert_eq!(pod_requests(&spec).cpu_millis(), Some(810));
    }

    #[test]
    fn what_states_nothing_is_scored_with_defaults() {
        let spec = PodSpec {
            containers: vec![Container::default(), container(0, false)],
            ..PodSpec::default()
        };
        assert_eq!(scored_requests(&spec), [100, 2 * 200 * 1024 * 1024]);
        assert_eq!(scored_incoming_requests(&spec), [100, 2 * 200 * 1024 * 1024]);
    }

    #[test]
    fn a_pod_level_request_replaces_the_sum_and_local_storage_cannot_be_one() {
        let mut spec = PodSpec { containers: vec![container(200, false)], ..PodSpec::default() };
        spec.requests.0 = BTreeMap::from([
            ("cpu".to_owned(), 900),
            (ResourceList::EPHEMERAL_STORAGE.to_owned(), 5),
        ]);
        let requests = pod_requests(&spec);
        assert_eq!(requests.cpu_millis(), Some(900));
        assert_eq!(requests.get(ResourceList::EPHEMERAL_STORAGE), None);
        assert_eq!(scored_requests(&spec), [900, 200 * 1024 * 1024]);
    }

    /// Rows of TestPodResourceRequests of `resource/helpers_test.go` that look at the status.
    #[test]
    fn the_largest_of_spec_and_status_counts_while_a_pod_is_resized() {
        // What the spec asks for, what is in force, what is granted; infeasible or not.
        let cases = [
            (200, Some((100, 100)), false, 200),
            (200, Some((400, 100)), false, 400),
            (200, Some((100, 500)), false, 500),
            (500, Some((200, 300)), true, 300),
            (500, None, true, 500),
        ];
        for (stated, reported, resize_is_infeasible, expected) in cases {
            let reported = reported.map(|(actuated, allocated)| {
                Box::new(ReportedRequests {
                    actuated: cpu_of(actuated),
                    allocated: cpu_of(allocated),
                })
            });
            let resized = |restart_always| Container {
                reported: reported.clone(),
                ..container(stated, restart_always)
            };
            let spec = PodSpec {
                containers: vec![resized(false)],
                resize_is_infeasible,
                ..PodSpec::default()
            };
            let requests = pod_requests(&spec).cpu_millis();
            assert_eq!(requests, Some(expected), "{stated} {reported:?}");
            assert_eq!(scored_requests(&spec)[0], expected);
            assert_eq!(stated_requests(&spec).cpu_millis(), Some(stated));
            let whole = PodSpec {
                requests: cpu_of(stated),
                reported: reported.clone(),
                containers: vec![container(10, false)],
                ..spec.clone()
            };
            assert_eq!(pod_requests(&whole).cpu_millis(), Some(expected), "of the whole");
            let init = PodSpec {
                init_containers: vec![resized(false), resized(true)],
                containers: vec![container(0, false)],
                ..spec
            };
            assert_eq!(pod_requests(&init).cpu_millis(), Some(expected.max(stated)), "sidecars");
        }
    }

    #[test]
    fn names_that_nodes_count() {
        let names = ["example.com/gpu", "hugepages-2Mi", "kubernetes.io/x", "foo", "pods"];
        assert_eq!(names.map(is_scalar), [true, true, true, false, false]);
        assert_eq!(names.map(is_extended), [true, false, false, false, false]);
    }
}
