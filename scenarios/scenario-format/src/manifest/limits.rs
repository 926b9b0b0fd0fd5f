//! `v1 LimitRange` and `v1 ResourceQuota`: what is filled in and what is refused when a pod is created.
//!
//! # Modelled
//! Defaults, bounds and ratios for containers and pods, applied to the templates of workloads as they
//! are read, and that a quota of CPU or memory wants every container to say what it takes. What a
//! quota leaves room for is played.
//! # Not modelled
//! Bounds of claims; quotas with scopes, and of other objects than pods.
//! # Defaults and their sources
//! Kubernetes 1.36: `pkg/apis/core/v1/defaults.go` (SetDefaults_LimitRangeItem),
//! `plugin/pkg/admission/limitranger/admission.go` (mergePodResourceRequirements,
//! PodValidateLimitFunc), `pkg/quota/v1/evaluator/core/pods.go` (Constraints). A LimitRange comes
//! before a quota (`pkg/kubeapiserver/options/plugins.go`).

use k8s_openapi::api::core::v1 as core;
use model_api::kube::{Container, PodSpec, QuotaResource, ResourceList, ResourceQuota, Workload};

use super::requests::{is_pod_level, together};
use super::{Manifests, Object, Reader, Sourced};
use crate::diagnostic::{Code, Diagnostic};
use crate::quantity::Quantity;

/// An item of a LimitRange, as the API keeps it.
#[derive(Clone, Debug, Default)]
struct Bounds {
    /// Of the pod as a whole, rather than of each container.
    is_of_pod: bool,
    default_limit: ResourceList,
    default_request: ResourceList,
    min: ResourceList,
    max: ResourceList,
    /// Billionths.
    ratio_nanos: Vec<(String, i128)>,
}

/// A LimitRange: its namespace and items.
#[derive(Clone, Debug)]
pub(super) struct LimitRange {
    namespace: String,
    name: String,
    items: Vec<Bounds>,
}

impl Reader<'_> {
    pub(super) fn limit_range(&mut self, spec: &core::LimitRangeSpec) -> LimitRange {
        let mut items = Vec::new();
        for (idx, item) in spec.limits.iter().enumerate() {
            let path = format!("spec.limits[{idx}]");
            if !matches!(item.type_.as_str(), "Container" | "Pod") {
                continue;
            }
            let mut read =
                |field: &str, amounts| self.resources(&format!("{path}.{field}"), amounts);
            let mut bounds = Bounds {
                is_of_pod: item.type_ == "Pod",
                default_limit: read("default", item.default.as_ref()),
                default_request: read("defaultRequest", item.default_request.as_ref()),
                min: read("min", item.min.as_ref()),
                max: read("max", item.max.as_ref()),
                ratio_nanos: Vec::new(),
            };
            for (name, ratio) in item.max_limit_request_ratio.iter().flatten() {
                if let Ok(ratio) = Quantity::parse(&ratio.0) {
                    bounds.ratio_nanos.push((name.clone(), ratio.nanos()));
                }
            }
            if !bounds.is_of_pod {
                fill(&mut bounds.default_limit, &bounds.max);
                fill(&mut bounds.default_request, &bounds.default_limit);
                fill(&mut bounds.default_request, &bounds.min);
            }
            items.push(bounds);
        }
        let key = &self.object.key;
        LimitRange { namespace: key.namespace.clone(), name: key.name.clone(), items }
    }

    /// A quota of pods; `None` of one with scopes, which is told, and of one that counts other things.
    pub(super) fn resource_quota(
        &mut self,
        spec: &core::ResourceQuotaSpec,
    ) -> Option<ResourceQuota> {
        let stated = self.resources("spec.hard", spec.hard.as_ref());
        let mut quota = ResourceQuota {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            origin: self.origin(),
            ..ResourceQuota::default()
        };
        for (key, amount) in stated.0 {
            let Some(resource) = QuotaResource::of(&key) else { continue };
            // Only a bare `cpu` was read in thousandths.
            let is_millis = key.ends_with(".cpu");
            let text = spec.hard.as_ref().and_then(|hard| hard.get(&key));
            let millis = text.and_then(|it| Quantity::parse(&it.0).ok()).map(|it| it.ceil_millis());
            let amount = millis.filter(|_| is_millis).unwrap_or(amount);
            let bound = quota.hard.entry(resource).or_insert(amount);
            *bound = amount.min(*bound);
        }
        let has_scopes = spec.scope_selector.is_some() || spec.scopes.is_some();
        if has_scopes && !quota.hard.is_empty() {
            let message =
                format!("{}: a quota with scopes refuses no pod in a run", self.object.title());
            let place = if spec.scopes.is_some() { "spec.scopes" } else { "spec.scopeSelector" };
            self.diagnostics.push(Diagnostic::new(Code::W0398, self.object.span(place), message));
            return None;
        }
        (!quota.hard.is_empty()).then_some(quota)
    }
}

/// Fills in what LimitRanges add to the pods of workloads, and says which pods they and quotas would
/// never let be created.
pub(super) fn apply(
    objects: &[Object],
    ranges: &[LimitRange],
    manifests: &mut Manifests,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let quotas = &manifests.quotas;
    for Sourced { value: workload, object_idx } in &mut manifests.workloads {
        let object = &objects[*object_idx];
        let here: Vec<&LimitRange> =
            ranges.iter().filter(|range| range.namespace == workload.namespace).collect();
        for bounds in here.iter().flat_map(|range| &range.items).filter(|it| !it.is_of_pod) {
            let spec = &mut workload.template.spec;
            for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
                fill(&mut container.limits, &bounds.default_limit);
                fill(&mut container.requests, &bounds.default_request);
            }
        }
        for range in here {
            refuse_by_range(range, workload, object, diagnostics);
        }
        for quota in quotas.iter().filter(|it| it.value.namespace == workload.namespace) {
            refuse_by_quota(&quota.value, workload, object, diagnostics);
        }
    }
}

fn fill(amounts: &mut ResourceList, others: &ResourceList) {
    for (name, amount) in &others.0 {
        amounts.0.entry(name.clone()).or_insert(*amount);
    }
}

fn refuse_by_range(
    range: &LimitRange,
    workload: &Workload,
    object: &Object,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut refuse = |path: String, why: String| {
        let message =
            format!("{}: LimitRange {} forbids its pods: {why}", object.title(), range.name);
        diagnostics.push(Diagnostic::new(Code::E0146, object.span(&path), message));
    };
    for bounds in &range.items {
        if bounds.is_of_pod {
            let (requests, limits) = sums(&workload.template.spec);
            if let Some(why) = bounds.broken(&requests, &limits, "Pod") {
                refuse(workload.pod_path("containers"), why);
            }
            continue;
        }
        let spec = &workload.template.spec;
        for (field, list) in
            [("containers", &spec.containers), ("initContainers", &spec.init_containers)]
        {
            for (idx, container) in list.iter().enumerate() {
                if let Some(why) =
                    bounds.broken(&container.requests, &container.limits, "Container")
                {
                    refuse(workload.pod_path(&format!("{field}[{idx}].resources")), why);
                }
            }
        }
    }
}

/// Requests and limits of a pod: what it states as a whole, or else of its containers together
/// (`podRequests`, `podLimits`).
fn sums(spec: &PodSpec) -> (ResourceList, ResourceList) {
    let sum = |of: fn(&Container) -> &ResourceList, of_pod: &ResourceList| {
        let mut sum = together(&spec.init_containers, &spec.containers, of);
        for (name, amount) in of_pod.0.iter().filter(|(name, _)| is_pod_level(name)) {
            sum.0.insert(name.clone(), *amount);
        }
        sum
    };
    (sum(|it| &it.requests, &spec.requests), sum(|it| &it.limits, &spec.limits))
}

impl Bounds {
    /// The first bound that is broken, in upstream's words (`minConstraint`, `maxConstraint`,
    /// `limitRequestRatioConstraint`).
    fn broken(&self, requests: &ResourceList, limits: &ResourceList, of: &str) -> Option<String> {
        for (name, least) in &self.min.0 {
            let bound = format!("minimum {name} usage per {of} is {}", amount(name, *least));
            match (requests.get(name), limits.get(name)) {
                (None, _) => return Some(format!("{bound}, but no request is specified")),
                (_, Some(limit)) if limit < *least => {
                    return Some(format!("{bound}, but limit is {}", amount(name, limit)));
                }
                (Some(request), _) if request < *least => {
                    return Some(format!("{bound}, but request is {}", amount(name, request)));
                }
                _ => {}
            }
        }
        for (name, most) in &self.max.0 {
            let bound = format!("maximum {name} usage per {of} is {}", amount(name, *most));
            match (requests.get(name), limits.get(name)) {
                (_, None) => return Some(format!("{bound}, but no limit is specified")),
                (_, Some(limit)) if limit > *most => {
                    return Some(format!("{bound}, but limit is {}", amount(name, limit)));
                }
                (Some(request), _) if request > *most => {
                    return Some(format!("{bound}, but request is {}", amount(name, request)));
                }
                _ => {}
            }
        }
        for (name, ratio_nanos) in &self.ratio_nanos {
            let request = requests.get(name).filter(|it| *it > 0);
            let limit = limits.get(name).filter(|it| *it > 0);
            let bound = format!("{name} max limit to request ratio per {of} is set");
            let Some((request, limit)) = request.zip(limit) else {
                return Some(format!("{bound}, but no request or no limit is specified"));
            };
            if i128::from(limit) * 1_000_000_000 > i128::from(request) * ratio_nanos {
                return Some(format!("{bound}, and the limit is beyond it"));
            }
        }
        None
    }
}

/// `500m`, or a whole number.
fn amount(name: &str, amount: i64) -> String {
    const MEBIBYTE: i64 = 1 << 20;
    match name {
        "cpu" if amount % 1000 != 0 => format!("{amount}m"),
        "cpu" => format!("{}", amount / 1000),
        _ if amount > 0 && amount % MEBIBYTE == 0 => format!("{}Mi", amount / MEBIBYTE),
        _ => amount.to_string(),
    }
}

/// A quota of CPU or memory wants every container to say what it takes of it, unless the pod states
/// resources as a whole (IsPodLevelResourcesSet).
fn refuse_by_quota(
    quota: &ResourceQuota,
    workload: &Workload,
    object: &Object,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let spec = &workload.template.spec;
    if spec.requests.0.keys().chain(spec.limits.0.keys()).any(|name| is_pod_level(name)) {
        return;
    }
    for (field, list) in
        [("containers", &spec.containers), ("initContainers", &spec.init_containers)]
    {
        for (idx, container) in list.iter().enumerate() {
            let lacks = |resource: &&QuotaResource| {
                let (of, name) = match resource {
                    QuotaResource::Requests(name) => (&container.requests, name),
                    QuotaResource::Limits(name) => (&container.limits, name),
                    QuotaResource::Pods | QuotaResource::AllPods => return false,
                };
                matches!(name.as_str(), "cpu" | "memory") && of.get(name).is_none()
            };
            let missing: Vec<String> =
                quota.hard.keys().filter(lacks).map(QuotaResource::key).collect();
            if missing.is_empty() {
                continue;
            }
            let message = format!(
                "{}: ResourceQuota {} forbids its pods: container {} must specify {}",
                object.title(),
                quota.name,
                container.name,
                missing.join(", ")
            );
            let path = workload.pod_path(&format!("{field}[{idx}].resources"));
            diagnostics.push(Diagnostic::new(Code::E0147, object.span(&path), message));
        }
    }
}
