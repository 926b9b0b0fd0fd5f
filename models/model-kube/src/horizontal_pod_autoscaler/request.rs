//! What a pod requests of the resource that is measured
//! (`pkg/controller/podautoscaler/replica_calculator.go`, calculateRequests, Kubernetes 1.36).

use model_api::kube::{PodSpec, ResourceList};

use crate::scheduling::{is_pod_level, stated_requests};

/// The request of a pod, or of one of its containers, in thousandths (`calculateRequests`).
///
/// Requests of the pod as such take the place of those of its containers, except where one container
/// is meant.
///
/// # Errors
/// When a container states none, or there is no such container: who.
pub fn request_of(spec: &PodSpec, resource: &str, container: Option<&str>) -> Result<i64, String> {
    if container.is_none() && spec.requests.0.keys().any(|name| is_pod_level(name)) {
        let request = stated_requests(&in_thousandths(spec, resource)).get(resource);
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
        let amount = thousandths(resource, &it.requests, &it.rounded_up_millis);
        let amount = amount.ok_or_else(|| format!("{resource} in container {}", it.name))?;
        sum = sum.wrapping_add(amount);
    }
    match container {
        Some(name) if !is_found => Err(format!("container {name}, which is not there")),
        _ => Ok(sum),
    }
}

/// An amount in thousandths as it was written (`MilliValue`).
fn thousandths(resource: &str, amounts: &ResourceList, rounded_up: &ResourceList) -> Option<i64> {
    let amount = amounts.get(resource)?;
    if resource == ResourceList::CPU {
        return Some(amount);
    }
    Some(amount.wrapping_mul(1000).wrapping_sub(rounded_up.get(resource).unwrap_or(0)))
}

/// The pod, with all that it requests of the resource in thousandths.
fn in_thousandths(spec: &PodSpec, resource: &str) -> PodSpec {
    let mut scaled = spec.clone();
    let scale = |amounts: &mut ResourceList, rounded_up: &ResourceList| {
        if let Some(amount) = thousandths(resource, amounts, rounded_up) {
            amounts.0.insert(resource.to_owned(), amount);
        }
    };
    scale(&mut scaled.overhead, &ResourceList::default());
    scale(&mut scaled.requests, &spec.rounded_up_millis);
    for it in scaled.containers.iter_mut().chain(&mut scaled.init_containers) {
        scale(&mut it.requests, &it.rounded_up_millis);
    }
    scaled
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

    /// Autoscalers count thousandths of bytes: two containers that ask for half a byte each ask for
    /// one, and 1.5 bytes are 1500 thousandths.
    #[test]
    fn fractions_of_a_byte_count() {
        let memory = ResourceList::MEMORY;
        let half = |name: &str| Container {
            name: name.to_owned(),
            requests: amounts(&[(memory, 1)]),
            rounded_up_millis: amounts(&[(memory, 500)]),
            ..Container::default()
        };
        let mut spec = PodSpec { containers: vec![half("a"), half("b")], ..PodSpec::default() };
        assert_eq!(request_of(&spec, memory, None), Ok(1000));
        assert_eq!(request_of(&spec, memory, Some("a")), Ok(500));
        // Of a pod that states its CPU as a whole, the largest init container counts too.
        spec.requests = amounts(&[(ResourceList::CPU, 100)]);
        spec.init_containers = vec![half("init"), half("other")];
        spec.init_containers[1].requests = amounts(&[(memory, 2)]);
        assert_eq!(request_of(&spec, memory, None), Ok(1500));
        spec.requests = amounts(&[(memory, 4)]);
        spec.rounded_up_millis = amounts(&[(memory, 999)]);
        spec.overhead = amounts(&[(memory, 2)]);
        assert_eq!(request_of(&spec, memory, None), Ok(5001));
    }
}
