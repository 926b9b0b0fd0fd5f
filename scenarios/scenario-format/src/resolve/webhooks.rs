//! Webhooks: which Service answers for each, and what it is asked about.

use std::collections::BTreeSet;

use model_api::kube::{Labels, Webhook, WorkloadKind, Write, WriteShape, admission};
use model_api::{Blueprint, ServiceId, WorkloadId};

use super::Resolver;
use super::match_conditions::{About, Conditions, Verdict};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{Sourced, WrittenWebhook};
use crate::nearest::suggestion;

impl Resolver<'_> {
    pub(super) fn webhooks(&mut self) {
        for written in &self.manifests.webhooks {
            let service = self.service_of_webhook(written);
            let (guards, asked) = self.asked_about(written);
            let webhook = written.value.webhook.clone();
            self.blueprint.webhooks.push(Webhook { service, guards, asked, ..webhook });
        }
    }

    fn service_of_webhook(&mut self, written: &Sourced<WrittenWebhook>) -> Option<ServiceId> {
        let (namespace, name) = written.value.service.as_ref()?;
        let full = format!("{namespace}/{name}");
        let found = self.names.services.iter().position(|known| *known == full);
        if found.is_none() {
            let object = self.manifests.object(written);
            let message =
                format!("{} calls Service {full}, which is not in the input", object.title());
            let names: Vec<&str> = self.names.services.iter().map(String::as_str).collect();
            let help = suggestion(&full, names)
                .unwrap_or_else(|| "it is taken to answer: pass its manifests too".to_owned());
            let diagnostic = Diagnostic::new(Code::W0140, object.span("webhooks"), message);
            self.diagnostics.push(diagnostic.help(help));
        }
        found.map(ServiceId::from_index)
    }

    /// Workloads whose pods are not created without the webhook, and what else it is asked about.
    fn asked_about(
        &mut self,
        written: &Sourced<WrittenWebhook>,
    ) -> (BTreeSet<WorkloadId>, BTreeSet<Write>) {
        let conditions = Conditions::of(&written.value.conditions);
        let mut is_unknown = false;
        let mut is_asked = |about: &About<'_>| {
            let rules = &written.value.rules;
            if !rules.iter().any(|rule| rule.names(&about.shape)) || !self.selects(written, about) {
                return false;
            }
            let verdict = conditions.verdict(about);
            is_unknown |= verdict == Verdict::Unknown;
            verdict != Verdict::Spared
        };
        let mut guards = BTreeSet::new();
        for (idx, workload) in self.blueprint.workloads.iter().enumerate() {
            let about = About {
                shape: WriteShape::POD_CREATION,
                namespace: &workload.namespace,
                name: &workload.name,
                labels: &workload.template.labels,
            };
            if is_asked(&about) {
                guards.insert(WorkloadId::from_index(idx));
            }
        }
        let mut asked = BTreeSet::new();
        for write in writes(&self.blueprint) {
            let labels = labels_of(&self.blueprint, write);
            let (namespace, name) = place_of(&self.blueprint, write);
            let kind = write.workload().map(|id| &self.blueprint.workloads[id.index()].kind);
            let shape = kind.map_or_else(|| write.shape(), |kind| write.shape_of(kind));
            let about = About { shape, namespace, name, labels: &labels };
            if is_asked(&about) {
                asked.insert(write);
            }
        }
        if is_unknown {
            let object = self.manifests.object(written);
            let message = format!(
                "{}: a match condition of {} cannot be worked out for all writes, and is taken to hold",
                object.title(),
                written.value.webhook.name
            );
            self.diagnostics.push(Diagnostic::new(Code::W0207, object.span("webhooks"), message));
        }
        (guards, asked)
    }

    /// Whether selectors match. Those of namespaces never spare objects that are in none
    /// (`predicates/namespace/matcher.go`).
    fn selects(&self, written: &Sourced<WrittenWebhook>, about: &About<'_>) -> bool {
        let WrittenWebhook { namespace_selector, object_selector, .. } = &written.value;
        if !about.shape.is_namespaced {
            return object_selector.matches(about.labels);
        }
        let namespace = self.manifests.labels_of_namespace(about.namespace);
        admission::is_asked(namespace_selector, object_selector, &namespace, about.labels)
    }
}

/// All that components of a cluster write, besides the creation of pods.
fn writes(blueprint: &Blueprint) -> Vec<Write> {
    let mut all = vec![Write::NodeLease, Write::LeaderLease, Write::NodeStatus, Write::NodeTaints];
    for (idx, workload) in blueprint.workloads.iter().enumerate() {
        let id = WorkloadId::from_index(idx);
        all.extend([
            Write::PodStatus(id),
            Write::PodMark(id),
            Write::PodDeletion(id),
            Write::PodRemoval(id),
            Write::PodBinding(id),
            Write::PodEviction(id),
            Write::Scale(id),
            Write::Update(id),
        ]);
        match &workload.kind {
            WorkloadKind::Deployment { .. } => all.push(Write::Revision(id)),
            WorkloadKind::Job(job) if job.cron.is_some() => all.push(Write::JobCreation(id)),
            _ => {}
        }
    }
    all.extend(
        (0..blueprint.services.len()).map(|it| Write::EndpointSlices(ServiceId::from_index(it))),
    );
    all
}

/// Namespace and name of what is written.
fn place_of(blueprint: &Blueprint, write: Write) -> (&str, &str) {
    match (write, write.workload()) {
        (Write::NodeLease, _) => ("kube-node-lease", ""),
        (Write::LeaderLease, _) => ("kube-system", "kube-controller-manager"),
        (Write::EndpointSlices(id), _) => {
            let service = &blueprint.services[id.index()];
            (&service.namespace, &service.name)
        }
        (_, Some(id)) => {
            let workload = &blueprint.workloads[id.index()];
            (&workload.namespace, &workload.name)
        }
        _ => ("", ""),
    }
}

/// Labels of what is written. Simplified: nodes have those of the first; bindings, evictions, scales and
/// leases have none.
fn labels_of(blueprint: &Blueprint, write: Write) -> Labels {
    match write {
        Write::PodStatus(id)
        | Write::PodMark(id)
        | Write::PodDeletion(id)
        | Write::PodRemoval(id)
        | Write::Revision(id)
        | Write::Update(id)
        | Write::JobCreation(id) => blueprint.workloads[id.index()].template.labels.clone(),
        Write::NodeStatus | Write::NodeTaints => {
            blueprint.nodes.first().map(|it| it.node.labels.clone()).unwrap_or_default()
        }
        Write::EndpointSlices(id) => {
            let name = blueprint.services[id.index()].name.clone();
            [("kubernetes.io/service-name".to_owned(), name)].into()
        }
        _ => Labels::new(),
    }
}
