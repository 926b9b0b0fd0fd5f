//! Webhooks: which Service answers for each, and whose pods it guards.

use std::collections::BTreeSet;

use model_api::kube::{Webhook, WebhookRule};
use model_api::{ServiceId, WorkloadId};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{Sourced, WrittenWebhook};
use crate::nearest::suggestion;

impl Resolver<'_> {
    pub(super) fn webhooks(&mut self) {
        for written in &self.manifests.webhooks {
            let service = self.service_of_webhook(written);
            let guards = self.guarded_by(&written.value);
            let webhook = written.value.webhook.clone();
            self.blueprint.webhooks.push(Webhook { service, guards, ..webhook });
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

    /// Workloads whose pods are not created without the webhook.
    fn guarded_by(&self, written: &WrittenWebhook) -> BTreeSet<WorkloadId> {
        if !written.rules.iter().any(WebhookRule::names_pod_creation) {
            return BTreeSet::new();
        }
        let is_asked = |workload: &model_api::kube::Workload| {
            let namespace = self.manifests.labels_of_namespace(&workload.namespace);
            let pod = &workload.template.labels;
            model_api::kube::admission::is_asked(
                &written.namespace_selector,
                &written.object_selector,
                &namespace,
                pod,
            )
        };
        let workloads = self.blueprint.workloads.iter().enumerate();
        let guarded = workloads.filter(|(_, workload)| is_asked(workload));
        guarded.map(|(idx, _)| WorkloadId::from_index(idx)).collect()
    }
}
