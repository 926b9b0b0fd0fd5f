//! How much of each resource a pod asks for.

use std::collections::BTreeMap;

use model_api::kube::{PodSpec, ResourceList};

/// What a container without a CPU request counts when nodes are scored, in millicores
/// (pkg/scheduler/util/pod_resources.go, DefaultMilliCPURequest, 1.36).
const DEFAULT_CPU_MILLIS: i64 = 100;
/// The same for memory, in bytes (DefaultMemoryRequest, 1.36).
const DEFAULT_MEMORY_BYTES: i64 = 200 * 1024 * 1024;

/// Requests of a pod: the larger of what runs together (containers and sidecars) and what any init
/// container needs beside the sidecars listed before it; a CPU, memory or huge page amount that the
/// pod itself names replaces that sum; then the overhead
/// (k8s.io/component-helpers `resource/helpers.go`, PodRequests, 1.36).
pub fn pod_requests(spec: &PodSpec) -> ResourceList {
    requests_with(spec, &[])
}

/// CPU in millicores and memory in bytes that scoring counts for pods on a node: a container that
/// states none counts 100m and 200 MiB, an explicit 0 counts 0. Where the pod as a whole states
/// requests, only a resource that nobody names is filled in
/// (pkg/scheduler/framework/types.go, PodInfo.CalculateResource, 1.36).
pub(super) fn scored_requests(spec: &PodSpec) -> [i64; 2] {
    let stated = pod_requests(spec);
    let is_pod_level_set = spec.requests.0.keys().any(|name| is_pod_level(name));
    let is_needed = |name: &str| !is_pod_level_set || stated.get(name).is_none();
    let missing: Vec<(&str, i64)> = defaults().into_iter().filter(|(n, _)| is_needed(n)).collect();
    let requests = requests_with(spec, &missing);
    [requests.cpu_millis().unwrap_or(0), requests.memory_bytes().unwrap_or(0)]
}

/// The same for the incoming pod, where every container is filled in
/// (noderesources/resource_allocation.go, calculatePodResourceRequest, 1.36).
pub(super) fn scored_incoming_requests(spec: &PodSpec) -> [i64; 2] {
    let requests = requests_with(spec, &defaults());
    [requests.cpu_millis().unwrap_or(0), requests.memory_bytes().unwrap_or(0)]
}

fn defaults() -> [(&'static str, i64); 2] {
    [(ResourceList::CPU, DEFAULT_CPU_MILLIS), (ResourceList::MEMORY, DEFAULT_MEMORY_BYTES)]
}

/// `missing` is what a container counts for a resource that it does not name.
fn requests_with(spec: &PodSpec, missing: &[(&str, i64)]) -> ResourceList {
    let of = |requests: &ResourceList| {
        let mut filled = requests.0.clone();
        for (name, amount) in missing {
            filled.entry((*name).to_owned()).or_insert(*amount);
        }
        filled
    };
    let mut together = BTreeMap::new();
    for container in &spec.containers {
        add(&mut together, &of(&container.requests));
    }
    let mut sidecars = BTreeMap::new();
    let mut initial = BTreeMap::new();
    for container in &spec.init_containers {
        let own = of(&container.requests);
        let mut needed = sidecars.clone();
        add(&mut needed, &own);
        raise(&mut initial, &needed);
        if container.restart_always {
            add(&mut together, &own);
            add(&mut sidecars, &own);
        }
    }
    raise(&mut together, &initial);
    for (name, amount) in spec.requests.0.iter().filter(|(name, _)| is_pod_level(name)) {
        together.insert(name.clone(), *amount);
    }
    add(&mut together, &spec.overhead.0);
    ResourceList(together)
}

/// Resources that a pod may state as a whole
/// (k8s.io/component-helpers `resource/helpers.go`, IsSupportedPodLevelResource, 1.36).
fn is_pod_level(name: &str) -> bool {
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
    use model_api::kube::Container;

    fn container(cpu: i64, restart_always: bool) -> Container {
        let requests = ResourceList(BTreeMap::from([("cpu".to_owned(), cpu)]));
        Container { requests, restart_always, ..Container::default() }
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

    #[test]
    fn names_that_nodes_count() {
        let names = ["example.com/gpu", "hugepages-2Mi", "kubernetes.io/x", "foo", "pods"];
        assert_eq!(names.map(is_scalar), [true, true, true, false, false]);
        assert_eq!(names.map(is_extended), [true, false, false, false, false]);
    }
}
