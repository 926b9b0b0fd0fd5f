//! What memory pods use.

use std::collections::BTreeMap;

use model_api::WorkloadId;
use model_api::blueprint::NodeSpec;
use model_api::fault::FaultKind;
use model_api::kube::Container;
use model_api::memory::{Growth, MemoryProfile};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::ScenarioDocument;
use crate::document::{MemoryLeakSpec, MemorySpec, ParametersSpec, PlatformDocument};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};

/// How differently pods grow, when nothing is stated. Assumed.
pub(super) const VARIATION_PPM: u32 = 100_000;

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of the memory of pods.
    pub(super) fn memory(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        if let Some(parameters) = &platform.spec.parameters {
            self.check_eviction(parameters);
        }
        let mut profiles: BTreeMap<WorkloadId, MemoryProfile> = BTreeMap::new();
        for specs in [&platform.spec.memory, &scenario.spec.memory] {
            let mut stated: BTreeMap<WorkloadId, Span> = BTreeMap::new();
            for spec in specs {
                let Some(id) = self.workload(&spec.workload) else { continue };
                if let Some(first) = stated.insert(id, spec.workload.span) {
                    let message = format!("`{}` has a profile already", spec.workload.value);
                    let diagnostic = Diagnostic::new(Code::E0018, spec.workload.span, message);
                    self.diagnostics.push(diagnostic.related(first, "first here"));
                    continue;
                }
                if let Some(profile) = self.memory_profile(id, spec) {
                    profiles.insert(id, profile);
                }
            }
        }
        self.blueprint.memory = profiles.into_values().collect();
        if let Some(first) = self.blueprint.memory.first() {
            let origin = first.origin.clone();
            let text = "pods of workloads whose memory is not stated use what they request of it";
            self.assume(text, &origin);
        }
    }

    fn memory_profile(&mut self, id: WorkloadId, spec: &MemorySpec) -> Option<MemoryProfile> {
        let container = match &spec.container {
            Some(name) => self.container(id, name)?,
            None => 0,
        };
        let growth = spec.growth.map_or(Growth::ZERO, |it| it.value);
        if spec.variation.is_none() && growth != Growth::ZERO {
            let name = &spec.workload.value;
            let text = format!(
                "{name}: a pod grows up to 10 % faster or slower than another, where nothing is stated"
            );
            self.assume(text, &spec.span.origin());
        }
        let profile = MemoryProfile {
            workload: id,
            container,
            base_bytes: spec.base.value.count,
            growth,
            variation_ppm: spec.variation.map_or(VARIATION_PPM, |it| it.value.ppm),
            per_request_bytes: spec.per_request.map_or(0, |it| it.value.count),
            origin: spec.span.origin(),
        };
        let limit = self.container_of(&profile).and_then(|it| it.limits.memory_bytes());
        let limit = limit.or_else(|| self.pod_limit_of(profile.workload));
        match limit.and_then(|bytes| u64::try_from(bytes).ok()) {
            Some(limit) if limit < profile.base_bytes => {
                let message = format!(
                    "a container of `{}` is limited to {limit} bytes and is killed as soon as it runs",
                    spec.workload.value
                );
                self.report(Code::W0180, spec.base.span, message);
            }
            None => {
                let growing = spec.growth.filter(|it| it.value != Growth::ZERO).map(|it| it.span);
                let held = spec.per_request.filter(|it| it.value.count > 0).map(|it| it.span);
                if let Some(span) = growing.or(held) {
                    self.report_unlimited(&spec.workload, span);
                }
            }
            Some(_) => {}
        }
        Some(profile)
    }

    /// What all containers of a pod may use together.
    fn pod_limit_of(&self, workload: WorkloadId) -> Option<i64> {
        self.blueprint.workloads[workload.index()].template.spec.limits.memory_bytes()
    }

    fn report_unlimited(&mut self, workload: &Spanned<String>, span: Span) {
        let message = format!("nothing limits the memory of `{}` but its node", workload.value);
        self.report(Code::W0181, span, message);
    }

    fn container_of(&self, profile: &MemoryProfile) -> Option<&Container> {
        let workload = &self.blueprint.workloads[profile.workload.index()];
        workload.template.spec.containers.get(profile.container)
    }

    /// The position of a container by its name.
    pub(super) fn container(&mut self, id: WorkloadId, name: &Spanned<String>) -> Option<usize> {
        let containers = &self.blueprint.workloads[id.index()].template.spec.containers;
        let found = containers.iter().position(|it| it.name == name.value);
        if found.is_none() {
            let names: Vec<&str> = containers.iter().map(|it| it.name.as_str()).collect();
            let workload = self.blueprint.workload_name(id);
            let message = format!("`{workload}` has no container `{}`", name.value);
            let help = suggestion(&name.value, names);
            self.diagnostics.push(Diagnostic::new(Code::E0016, name.span, message).help_if(help));
        }
        found
    }

    /// Pods leak. Those of a workload whose memory is not stated use what they request before.
    pub(super) fn memory_leak(&mut self, spec: &MemoryLeakSpec) -> Option<FaultKind> {
        let id = self.workload(&spec.workload)?;
        let growth = spec.growth.value;
        if !self.blueprint.memory.iter().any(|it| it.workload == id) {
            let container = self.blueprint.workloads[id.index()].template.spec.containers.first();
            let request = container.and_then(|it| it.requests.memory_bytes()).unwrap_or(0);
            let origin = spec.span.origin();
            let text = format!(
                "{}: pods use the memory that they request until they leak, where nothing is stated",
                spec.workload.value
            );
            self.assume(text, &origin);
            self.blueprint.memory.push(MemoryProfile {
                workload: id,
                base_bytes: u64::try_from(request).unwrap_or(0),
                variation_ppm: VARIATION_PPM,
                origin,
                ..MemoryProfile::default()
            });
        }
        let profile = self.blueprint.memory.iter().find(|it| it.workload == id);
        let limit = profile.and_then(|it| self.container_of(it)?.limits.memory_bytes());
        let limit = limit.or_else(|| profile.and_then(|it| self.pod_limit_of(it.workload)));
        if limit.is_none() {
            self.report_unlimited(&spec.workload, spec.growth.span);
        }
        let count = spec.count.map(|count| count.value);
        Some(FaultKind::MemoryLeak { workload: id, count, growth })
    }

    /// A kubelet does not start with a soft threshold that has no grace period.
    fn check_eviction(&mut self, parameters: &ParametersSpec) {
        let of_memory = parameters.eviction_soft_memory.filter(|it| it.value.count > 0);
        let shares = [
            parameters.eviction_soft_imagefs,
            parameters.eviction_soft_nodefs,
            parameters.eviction_soft_inodes,
            parameters.eviction_soft_pids,
        ];
        let of_others = shares.into_iter().flatten().filter(|it| it.value.ppm > 0);
        let spans = of_memory.map(|it| it.span).into_iter().chain(of_others.map(|it| it.span));
        let no_grace = parameters.eviction_soft_grace_period.is_none();
        for span in spans.filter(|_| no_grace) {
            let message = "a soft threshold needs a grace period";
            let help = "add `evictionSoftGracePeriod`, for example 90s";
            self.diagnostics.push(Diagnostic::new(Code::E0050, span, message).help(help));
        }
        self.check_thresholds(parameters);
    }

    /// A node that has less than a threshold is short of memory whatever its pods use.
    fn check_thresholds(&mut self, parameters: &ParametersSpec) {
        let hard_bytes = self.blueprint.parameters.eviction_hard_memory_bytes;
        let of_node = |it: &NodeSpec| {
            let bytes = u64::try_from(it.node.allocatable.memory_bytes()?).ok()?;
            Some((bytes.saturating_add(hard_bytes), it.node.name.clone()))
        };
        let Some((has_bytes, name)) = self.blueprint.nodes.iter().filter_map(of_node).min() else {
            return;
        };
        let soft_bytes = self.blueprint.parameters.eviction_soft_memory_bytes;
        let stated = [
            (parameters.eviction_soft_memory, 0, "be available"),
            (parameters.eviction_minimum_reclaim, hard_bytes.max(soft_bytes), "be reclaimed"),
        ];
        for (threshold, beside_bytes, what) in stated {
            if let Some(it) = threshold
                && it.value.count.saturating_add(beside_bytes) > has_bytes
            {
                let message =
                    format!("so much can never {what} on {name}, which has {has_bytes} bytes");
                self.report(Code::W0183, it.span, message);
            }
        }
    }
}
