//! What a pod requests of the resource that is measured.

use model_api::kube::{PodSpec, ResourceList};

use crate::scheduling::pod_requests;

/// The request of a pod, or of one of its containers, in thousandths (`calculateRequests`).
///
/// Requests of the pod as such take the place of those of its containers, except where one container
/// is meant.
///
/// # Errors
/// When a container states none, or there is no such container: who.
pub fn request_of(spec: &PodSpec, resource: &str, container: Option<&str>) -> Result<i64, String> {
    let is_pod_level = |name: &String| {
        name == ResourceList::CPU || name == ResourceList::MEMORY || name.starts_with("hugepages-")
    };
    if container.is_none() && spec.requests.0.keys().any(is_pod_level) {
        let requests = pod_requests(spec);
        let request = requests.get(resource).map(|amount| thousandths(resource, amount));
        return request.ok_or_else(|| format!("{resource} of the pod"));
    }
    let sidecars = spec.init_containers.iter().filter(|it| it.restart_always);
    let mut sum = 0_i64;
    let mut is_found = false;
    for it in spec.containers.iter().chain(sidecars) {
        if container.is_some_and(|name| name != it.name) {
            continue;
        }
        is_found = true;
        let amount = it.requests.get(resource);
        let amount = amount.ok_or_else(|| format!("{resource} in container {}", it.name))?;
        sum = sum.wrapping_add(thousandths(resource, amount));
    }
    match container {
        Some(name) if !is_found => Err(format!("container {name}, which is not there")),
        _ => Ok(sum),
    }
}

fn thousandths(resource: &str, amount: i64) -> i64 {
    if resource == ResourceList::CPU { amount } else { amount.wrapping_mul(1000) }
}
