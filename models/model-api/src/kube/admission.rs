//! Admission webhooks.

use std::collections::BTreeSet;

use sim_kernel::SimSpan;

use super::selector::{LabelSelector, Labels};
use crate::ids::{ServiceId, WorkloadId};
use crate::source::Origin;

/// One webhook of a `ValidatingWebhookConfiguration` or `MutatingWebhookConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// `metadata.name` of its configuration.
    pub configuration: String,
    /// `webhooks[].name`.
    pub name: String,
    /// Of a MutatingWebhookConfiguration.
    pub is_mutating: bool,
    /// The Service it calls; `None` when it calls a URL or a Service that is not in the input.
    pub service: Option<ServiceId>,
    /// `failurePolicy: Fail` (the default): a request that it does not answer is refused.
    pub fails_closed: bool,
    /// `timeoutSeconds`, default 10 s.
    pub timeout: SimSpan,
    /// Workloads whose pods are not created without its answer: its rules name the creation of
    /// pods, and both of its selectors match.
    pub guards: BTreeSet<WorkloadId>,
    /// Where it was written.
    pub origin: Origin,
}

/// Which requests a webhook is asked about (`webhooks[].rules[]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookRule {
    /// `operations`.
    pub operations: Vec<String>,
    /// `apiGroups`.
    pub groups: Vec<String>,
    /// `apiVersions`.
    pub versions: Vec<String>,
    /// `resources`, with `/` and subresource.
    pub resources: Vec<String>,
    /// `scope`: `Cluster`, `Namespaced` or `*`.
    pub scope: String,
}

impl WebhookRule {
    /// Whether it names the creation of pods
    /// (`apiserver/pkg/admission/plugin/webhook/predicates/rules/rules.go`, 1.36).
    pub fn names_pod_creation(&self) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|it| it == "*" || it == word);
        has(&self.operations, "CREATE")
            && has(&self.groups, "")
            && has(&self.versions, "v1")
            && self.resources.iter().any(|it| matches!(it.as_str(), "*" | "*/*" | "pods"))
            && self.scope != "Cluster"
    }
}

/// Whether a webhook is asked about an object of a namespace with these labels
/// (`predicates/namespace/matcher.go` and `predicates/object/matcher.go`). Every namespace has the
/// label `kubernetes.io/metadata.name`.
pub fn is_asked(
    namespace_selector: &LabelSelector,
    object_selector: &LabelSelector,
    namespace: &Labels,
    object: &Labels,
) -> bool {
    namespace_selector.matches(namespace) && object_selector.matches(object)
}
