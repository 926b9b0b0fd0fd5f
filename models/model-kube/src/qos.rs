//! Quality of service of a pod, and how readily the kernel kills its containers.
//!
//! # Modelled
//! The class of a pod; `oom_score_adj` of containers and sidecars, requests and limits of the pod as
//! such included.
//! # Not modelled
//! Static pods; the tie break between small requests
//! (`KubeletOOMScoreAdjTieBreak`, off); memory of devices.
//! # Defaults and their sources
//! `pkg/apis/core/v1/helper/qos/qos.go`, `pkg/kubelet/qos/policy.go`,
//! `pkg/kubelet/types/pod_update.go`, Kubernetes 1.36.
//! # Invariants
//! A container of a `BestEffort` pod is killed more readily than any of a `Burstable` one, and that
//! more readily than any of a `Guaranteed` one, as long as they use the same.
//! # Checked against
//! Cases worked out by hand from the sources; properties.

use model_api::kube::{Container, PodSpec, ResourceList};

use crate::scheduling::pod_requests;

/// `oom_score_adj` of containers that are to be killed last (`guaranteedOOMScoreAdj`).
const GUARANTEED_ADJ: i64 = -997;
/// `oom_score_adj` of containers that are to be killed first (`besteffortOOMScoreAdj`).
const BEST_EFFORT_ADJ: i64 = 1000;
/// Least priority of a critical pod (`SystemCriticalPriority`).
const CRITICAL_PRIORITY: i32 = 2_000_000_000;
/// The class of pods that a node cannot do without.
const NODE_CRITICAL: &str = "system-node-critical";

/// `status.qosClass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum QosClass {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// Whether kubelets keep a pod whatever happens (`IsCriticalPod`).
pub const fn is_critical(spec: &PodSpec) -> bool {
    spec.priority >= CRITICAL_PRIORITY
}

/// The class of a pod (`ComputePodQOS`): `Guaranteed` when every container limits CPU and memory and
/// all together request what they are limited to, `BestEffort` when none names either.
pub fn class(spec: &PodSpec) -> QosClass {
    const COUNTED: [&str; 2] = [ResourceList::CPU, ResourceList::MEMORY];
    let amount = |list: &ResourceList, name| list.get(name).filter(|amount| *amount > 0);
    let mut of_pod = spec.requests.0.keys().chain(spec.limits.0.keys());
    if of_pod.any(|name| COUNTED.contains(&name.as_str())) {
        let requested = COUNTED.map(|name| amount(&spec.requests, name));
        let limited = COUNTED.map(|name| amount(&spec.limits, name));
        return if requested.iter().chain(&limited).all(Option::is_none) {
            QosClass::BestEffort
        } else if limited.iter().all(Option::is_some) && requested == limited {
            QosClass::Guaranteed
        } else {
            QosClass::Burstable
        };
    }
    let containers = || spec.containers.iter().chain(&spec.init_containers);
    let sum = |list: fn(&Container) -> &ResourceList, name| {
        let amounts = containers().filter_map(|it| amount(list(it), name));
        amounts.reduce(i64::saturating_add)
    };
    let requested = COUNTED.map(|name| sum(|it| &it.requests, name));
    let limited = COUNTED.map(|name| sum(|it| &it.limits, name));
    if requested.iter().chain(&limited).all(Option::is_none) {
        return QosClass::BestEffort;
    }
    let is_limited = |it: &Container| COUNTED.iter().all(|name| amount(&it.limits, name).is_some());
    if containers().all(is_limited) && requested == limited {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

/// `oom_score_adj` of a container or sidecar of a pod on a node with so much memory, from -1000 to
/// 1000 (`GetContainerOOMScoreAdjust`).
///
/// What is less than 3 (1000 and `guaranteedOOMScoreAdj`) becomes 3, so that no `Burstable` container
/// is killed later than a `Guaranteed` one.
pub fn oom_score_adj(spec: &PodSpec, container: &Container, capacity_bytes: i64) -> i64 {
    if is_critical(spec) && spec.priority_class_name.as_deref() == Some(NODE_CRITICAL) {
        return GUARANTEED_ADJ;
    }
    match class(spec) {
        QosClass::Guaranteed => return GUARANTEED_ADJ,
        QosClass::BestEffort => return BEST_EFFORT_ADJ,
        QosClass::Burstable => {}
    }
    let unallocated = unallocated_per_container(spec);
    let of_request = |container: &Container| {
        let request = container.requests.memory_bytes().unwrap_or(0).saturating_add(unallocated);
        1000 - request.saturating_mul(1000) / capacity_bytes.max(1)
    };
    let mut adj = of_request(container);
    if container.restart_always {
        // A sidecar is killed no more readily than the container that requests least.
        let most_ready = spec.containers.iter().map(of_request).max();
        adj = adj.min(most_ready.unwrap_or(adj));
    }
    adj.clamp(1000 + GUARANTEED_ADJ, BEST_EFFORT_ADJ - 1)
}

/// The share of each container in what the pod as such requests beyond its containers
/// (`remainingPodMemReqPerContainer`).
pub(crate) fn unallocated_per_container(spec: &PodSpec) -> i64 {
    let Some(of_pod) = spec.requests.memory_bytes().filter(|bytes| *bytes > 0) else { return 0 };
    let bare = PodSpec {
        requests: ResourceList::default(),
        overhead: ResourceList::default(),
        ..spec.clone()
    };
    let of_containers = pod_requests(&bare).memory_bytes().unwrap_or(0);
    let count = spec.containers.len() + spec.init_containers.len();
    (of_pod - of_containers) / i64::try_from(count.max(1)).expect("a pod has few containers")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: i64 = 1 << 30;

    /// `cpu/memory` in millicores and GiB; `-` for none.
    fn list(text: &str) -> ResourceList {
        let (cpu, memory) = text.split_once('/').expect("cpu/memory");
        let mut list = ResourceList::default();
        for (name, text, unit) in [(ResourceList::CPU, cpu, 1), (ResourceList::MEMORY, memory, GIB)]
        {
            if text != "-" {
                list.0.insert(name.to_owned(), text.parse::<i64>().expect("a number") * unit);
            }
        }
        list
    }

    /// Containers as `requests limits`, separated by commas.
    fn pod(text: &str) -> PodSpec {
        let container = |text: &str| {
            let (requests, limits) = text.trim().split_once(' ').expect("requests limits");
            Container { requests: list(requests), limits: list(limits), ..Container::default() }
        };
        PodSpec { containers: text.split(',').map(container).collect(), ..PodSpec::default() }
    }

    #[test]
    fn a_class_needs_both_resources_in_every_container() {
        let cases = [
            ("-/- -/-", QosClass::BestEffort),
            ("0/0 -/-", QosClass::BestEffort),
            ("100/1 100/1", QosClass::Guaranteed),
            ("100/1 200/1", QosClass::Burstable),
            ("100/1 -/1", QosClass::Burstable),
            ("100/1 -/-", QosClass::Burstable),
            ("100/1 100/1, -/- -/-", QosClass::Burstable),
            ("100/1 100/1, 50/2 50/2", QosClass::Guaranteed),
            // As upstream, sums are compared and not each container.
            ("100/1 200/1, 200/1 100/1", QosClass::Guaranteed),
        ];
        for (text, expected) in cases {
            assert_eq!(class(&pod(text)), expected, "{text}");
        }
        let whole = PodSpec { requests: list("500/2"), ..pod("-/- -/-") };
        assert_eq!(class(&whole), QosClass::Burstable);
        for (requests, limits, expected) in [
            ("500/2", "500/2", QosClass::Guaranteed),
            ("500/2", "500/3", QosClass::Burstable),
            ("-/2", "-/2", QosClass::Burstable),
            ("-/-", "-/2", QosClass::Burstable),
            ("0/0", "-/-", QosClass::BestEffort),
        ] {
            let whole =
                PodSpec { requests: list(requests), limits: list(limits), ..pod("9/9 -/-") };
            assert_eq!(class(&whole), expected, "{requests} {limits}");
        }
    }

    #[test]
    fn requests_make_burstable_containers_last_longer() {
        let adj = |spec: &PodSpec| oom_score_adj(spec, &spec.containers[0], 16 * GIB);
        let cases = [
            ("-/- -/-", 1000),
            ("100/1 100/1", -997),
            ("100/- -/-", 999),
            ("100/1 -/-", 938),
            ("100/4 -/-", 750),
            ("100/16 -/-", 3),
        ];
        for (text, expected) in cases {
            assert_eq!(adj(&pod(text)), expected, "{text}");
        }
        let priority_class_name = Some(NODE_CRITICAL.to_owned());
        let critical = PodSpec { priority: 2_000_001_000, priority_class_name, ..pod("-/- -/-") };
        assert_eq!(adj(&critical), -997);
        // 4 GiB more than its two containers request, 2 for each.
        let whole = PodSpec { requests: list("-/6"), ..pod("100/1 -/-, 100/1 -/-") };
        assert_eq!(adj(&whole), 1000 - 1000 * 3 / 16);
    }

    #[test]
    fn a_sidecar_lasts_as_long_as_the_smallest_container() {
        let mut spec = pod("100/2 -/-, 100/4 -/-");
        let sidecar = Container { restart_always: true, ..Container::default() };
        spec.init_containers = vec![sidecar];
        assert_eq!(oom_score_adj(&spec, &spec.init_containers[0], 16 * GIB), 1000 - 125);
    }

    proptest! {
        #[test]
        fn classes_do_not_overlap(request in 0..64_i64, capacity in 1..64_i64) {
            let adj = |text: &str| {
                let spec = pod(text);
                oom_score_adj(&spec, &spec.containers[0], capacity * GIB)
            };
            let burstable = adj(&format!("100/{request} -/-"));
            prop_assert!(adj("100/1 100/1") < burstable && burstable < adj("-/- -/-"));
        }
    }
}
