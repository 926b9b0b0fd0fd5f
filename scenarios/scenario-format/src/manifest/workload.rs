//! Deployments, StatefulSets and the like.
//!
//! # Defaults and their sources
//! Kubernetes 1.36: `pkg/apis/apps/v1/defaults.go`.

use k8s_openapi::api::{apps, core};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model_api::SimSpan;
use model_api::kube::{
    DaemonSetUpdate, DeploymentStrategy, IntOrPercent, LabelSelector, PodManagementPolicy,
    PodTemplate, StatefulSetUpdate, Workload, WorkloadKind,
};

use super::Reader;
use super::pod::{Admission, add_daemon_tolerations};

const TEMPLATE: &str = "spec.template";

impl Reader<'_> {
    pub(crate) fn deployment(
        &mut self,
        spec: &apps::v1::DeploymentSpec,
        admission: Admission<'_>,
    ) -> Workload {
        let strategy = self.strategy(spec.strategy.as_ref());
        let deadline = spec.progress_deadline_seconds.unwrap_or(600);
        let progress_deadline = self.seconds("spec.progressDeadlineSeconds", i64::from(deadline));
        let is_paused = spec.paused.unwrap_or(false);
        let kind = WorkloadKind::Deployment { strategy, progress_deadline, is_paused };
        let template = self.template(&spec.template, admission);
        let mut workload = self.workload(kind, spec.replicas, Some(&spec.selector), template);
        workload.min_ready = self.min_ready(spec.min_ready_seconds);
        workload
    }

    pub(crate) fn replica_set(
        &mut self,
        spec: &apps::v1::ReplicaSetSpec,
        admission: Admission<'_>,
    ) -> Workload {
        let template = spec.template.clone().unwrap_or_default();
        let template = self.template(&template, admission);
        let kind = WorkloadKind::ReplicaSet;
        let mut workload = self.workload(kind, spec.replicas, Some(&spec.selector), template);
        workload.min_ready = self.min_ready(spec.min_ready_seconds);
        workload
    }

    pub(crate) fn stateful_set(
        &mut self,
        spec: &apps::v1::StatefulSetSpec,
        admission: Admission<'_>,
    ) -> Workload {
        let pod_management = self.choice(
            "spec.podManagementPolicy",
            spec.pod_management_policy.as_deref(),
            PodManagementPolicy::OrderedReady,
            &[
                ("OrderedReady", PodManagementPolicy::OrderedReady),
                ("Parallel", PodManagementPolicy::Parallel),
            ],
        );
        let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
        let update = self.stateful_set_update(spec.update_strategy.as_ref());
        let mut claims = Vec::new();
        for (idx, claim) in spec.volume_claim_templates.iter().flatten().enumerate() {
            let path = format!("spec.volumeClaimTemplates[{idx}]");
            let mut claim = self.claim(&path, claim);
            claim.namespace.clear();
            claims.push(claim);
        }
        let kind = WorkloadKind::StatefulSet {
            pod_management,
            ordinals_start: self.count("spec.ordinals.start", start),
            update,
            claims,
            service_name: spec.service_name.clone().unwrap_or_default(),
        };
        let template = self.template(&spec.template, admission);
        let mut workload = self.workload(kind, spec.replicas, Some(&spec.selector), template);
        workload.min_ready = self.min_ready(spec.min_ready_seconds);
        workload
    }

    pub(crate) fn daemon_set(
        &mut self,
        spec: &apps::v1::DaemonSetSpec,
        admission: Admission<'_>,
    ) -> Workload {
        let mut template = self.template(&spec.template, admission);
        add_daemon_tolerations(&mut template.spec);
        let update = self.daemon_set_update(spec.update_strategy.as_ref());
        let kind = WorkloadKind::DaemonSet { update };
        let mut workload = self.workload(kind, Some(0), Some(&spec.selector), template);
        workload.min_ready = self.min_ready(spec.min_ready_seconds);
        workload
    }

    pub(crate) fn bare_pod(&mut self, pod: &core::v1::Pod, admission: Admission<'_>) -> Workload {
        let template = self.running_pod(pod, admission);
        self.workload(WorkloadKind::Pod, Some(1), None, template)
    }

    fn template(
        &mut self,
        template: &core::v1::PodTemplateSpec,
        admission: Admission<'_>,
    ) -> PodTemplate {
        let metadata = template.metadata.clone().unwrap_or_default();
        let spec = template.spec.clone().unwrap_or_default();
        self.pod_template(TEMPLATE, metadata.labels, metadata.annotations, &spec, admission)
    }

    pub(super) fn workload(
        &mut self,
        kind: WorkloadKind,
        replicas: Option<i32>,
        selector: Option<&meta::LabelSelector>,
        template: PodTemplate,
    ) -> Workload {
        let selector = selector.map(|selector| self.label_selector("spec.selector", selector));
        if let Some(selector) = &selector {
            self.check_selector(selector, &template);
        }
        Workload {
            kind,
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            replicas: self.pod_count("spec.replicas", replicas.unwrap_or(1)),
            selector,
            min_ready: SimSpan::ZERO,
            template,
            origin: self.origin(),
        }
    }

    /// The API refuses a selector that is empty or does not select the template
    /// (`pkg/apis/apps/validation/validation.go`, ValidatePodTemplateSpecForReplicaSet).
    fn check_selector(&mut self, selector: &LabelSelector, template: &PodTemplate) {
        if selector.is_empty() {
            self.refuse("spec.selector", "must not be empty: it would select every pod");
        } else if !selector.matches(&template.labels) {
            self.refuse("spec.selector", "does not match the labels of the template");
        }
    }

    fn min_ready(&mut self, seconds: Option<i32>) -> SimSpan {
        self.seconds("spec.minReadySeconds", i64::from(seconds.unwrap_or(0)))
    }

    fn strategy(&mut self, strategy: Option<&apps::v1::DeploymentStrategy>) -> DeploymentStrategy {
        let kind = strategy.and_then(|strategy| strategy.type_.as_deref());
        let is_recreate = self.choice(
            "spec.strategy.type",
            kind,
            false,
            &[("RollingUpdate", false), ("Recreate", true)],
        );
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        if is_recreate {
            if rolling.is_some() {
                self.refuse("spec.strategy.rollingUpdate", "must be absent with type Recreate");
            }
            return DeploymentStrategy::Recreate;
        }
        let quarter = IntOrPercent::Percent(25);
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let path = "spec.strategy.rollingUpdate";
        let max_surge =
            surge.map_or(quarter, |it| self.int_or_percent(&format!("{path}.maxSurge"), it));
        let max_unavailable = unavailable
            .map_or(quarter, |it| self.int_or_percent(&format!("{path}.maxUnavailable"), it));
        let is_zero = |value| matches!(value, IntOrPercent::Int(0) | IntOrPercent::Percent(0));
        if is_zero(max_surge) && is_zero(max_unavailable) {
            let message = "must not be 0 while maxSurge is 0: a rollout could never move";
            self.refuse(&format!("{path}.maxUnavailable"), message);
        }
        DeploymentStrategy::RollingUpdate { max_surge, max_unavailable }
    }

    fn is_on_delete(&mut self, kind: Option<&str>) -> bool {
        let choices = [("RollingUpdate", false), ("OnDelete", true)];
        self.choice("spec.updateStrategy.type", kind, false, &choices)
    }

    fn stateful_set_update(
        &mut self,
        strategy: Option<&apps::v1::StatefulSetUpdateStrategy>,
    ) -> StatefulSetUpdate {
        if self.is_on_delete(strategy.and_then(|strategy| strategy.type_.as_deref())) {
            return StatefulSetUpdate::OnDelete;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let path = "spec.updateStrategy.rollingUpdate";
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
        let max_unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        StatefulSetUpdate::RollingUpdate {
            partition: self.count(&format!("{path}.partition"), partition),
            max_unavailable: max_unavailable
                .map(|it| self.int_or_percent(&format!("{path}.maxUnavailable"), it)),
        }
    }

    fn daemon_set_update(
        &mut self,
        strategy: Option<&apps::v1::DaemonSetUpdateStrategy>,
    ) -> DaemonSetUpdate {
        if self.is_on_delete(strategy.and_then(|strategy| strategy.type_.as_deref())) {
            return DaemonSetUpdate::OnDelete;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let path = "spec.updateStrategy.rollingUpdate";
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let mut value = |field: &str, stated: Option<&IntOrString>, default| {
            stated.map_or(default, |it| self.int_or_percent(&format!("{path}.{field}"), it))
        };
        let max_surge = value("maxSurge", surge, IntOrPercent::Int(0));
        let max_unavailable = value("maxUnavailable", unavailable, IntOrPercent::Int(1));
        let is_zero = |value| matches!(value, IntOrPercent::Int(0) | IntOrPercent::Percent(0));
        if is_zero(max_surge) == is_zero(max_unavailable) {
            let message = "of maxSurge and maxUnavailable exactly one must be 0";
            self.refuse(&format!("{path}.maxUnavailable"), message);
        }
        DaemonSetUpdate::RollingUpdate { max_surge, max_unavailable }
    }

    pub(crate) fn int_or_percent(&mut self, path: &str, value: &IntOrString) -> IntOrPercent {
        match value {
            IntOrString::Int(count) if *count >= 0 => IntOrPercent::Int(*count),
            IntOrString::Int(count) => {
                self.refuse(path, format!("must not be negative, is {count}"));
                IntOrPercent::Int(0)
            }
            IntOrString::String(text) => {
                let percent = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
                match percent {
                    Some(percent) if percent >= 0 => IntOrPercent::Percent(percent),
                    _ => {
                        self.refuse(path, format!("must be a number or a percentage, is `{text}`"));
                        IntOrPercent::Int(0)
                    }
                }
            }
        }
    }
}
