//! What a pod requests of the resource that is measured.

use model_api::kube::{PodSpec, ResourceList};

use crate::scheduling::stated_requests;

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
        let requests = stated_requests(spec);
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

#[cfg(test)]
mod tests {
    use model_api::kube::Container;

    use super::*;

    fn amounts(pairs: &[(&str, i64)]) -> ResourceList {
        ResourceList(pairs.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect())
    }

    #[test]
    fn requests_of_the_pod_take_the_place_of_those_of_its_containers() {
        let cpu = ResourceList::CPU;
        type Listed<'a> = &'a [(&'a str, i64)];
        let rows: [(Listed<'_>, _, Result<i64, ()>); 7] = [
            (&[], None, Ok(300)),
            (&[], Some("b"), Ok(200)),
            (&[], Some("c"), Err(())),
            (&[("cpu", 500)], None, Ok(500)),
            (&[("cpu", 500)], Some("a"), Ok(100)),
            // Memory alone makes them those of the pod, and CPU of it is what its containers ask for.
            (&[("memory", 1 << 30)], None, Ok(300)),
            (&[("example.com/gpu", 1)], None, Ok(300)),
        ];
        for (of_pod, container, expected) in rows {
            let named = |name: &str, cpu| Container {
                name: name.to_owned(),
                requests: amounts(&[("cpu", cpu)]),
                ..Container::default()
            };
            let spec = PodSpec {
                requests: amounts(of_pod),
                containers: vec![named("a", 100), named("b", 200)],
                ..PodSpec::default()
            };
            let got = request_of(&spec, cpu, container).map_err(|_| ());
            assert_eq!(got, expected, "{of_pod:?} {container:?}");
        }
    }
}
