//! Admission webhooks.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, RuleWithOperations, ServiceReference, ValidatingWebhook,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as ApiSelector;
use model_api::kube::{LabelSelector, Webhook, WebhookRule};

use super::Reader;

/// A webhook as it is written, before names are looked up.
#[derive(Clone, Debug)]
pub struct WrittenWebhook {
    /// What the models see; whom it guards is not known yet.
    pub webhook: Webhook,
    /// Namespace and name of its Service.
    pub service: Option<(String, String)>,
    /// What it is asked about.
    pub rules: Vec<WebhookRule>,
    /// `namespaceSelector`; empty selects all.
    pub namespace_selector: LabelSelector,
    /// `objectSelector`; empty selects all.
    pub object_selector: LabelSelector,
    /// Expressions of `matchConditions`.
    pub conditions: Vec<String>,
}

/// The parts that both kinds have in common.
struct Parts<'a> {
    name: &'a str,
    client: &'a WebhookClientConfig,
    failure_policy: Option<&'a str>,
    timeout_seconds: Option<i32>,
    rules: &'a [RuleWithOperations],
    namespace_selector: Option<&'a ApiSelector>,
    object_selector: Option<&'a ApiSelector>,
    conditions: &'a [MatchCondition],
}

impl Reader<'_> {
    pub(crate) fn validating_webhook(
        &mut self,
        idx: usize,
        it: &ValidatingWebhook,
    ) -> WrittenWebhook {
        let parts = Parts {
            name: &it.name,
            client: &it.client_config,
            failure_policy: it.failure_policy.as_deref(),
            timeout_seconds: it.timeout_seconds,
            rules: it.rules.as_deref().unwrap_or_default(),
            namespace_selector: it.namespace_selector.as_ref(),
            object_selector: it.object_selector.as_ref(),
            conditions: it.match_conditions.as_deref().unwrap_or_default(),
        };
        self.webhook(idx, &parts, false)
    }

    pub(crate) fn mutating_webhook(&mut self, idx: usize, it: &MutatingWebhook) -> WrittenWebhook {
        let parts = Parts {
            name: &it.name,
            client: &it.client_config,
            failure_policy: it.failure_policy.as_deref(),
            timeout_seconds: it.timeout_seconds,
            rules: it.rules.as_deref().unwrap_or_default(),
            namespace_selector: it.namespace_selector.as_ref(),
            object_selector: it.object_selector.as_ref(),
            conditions: it.match_conditions.as_deref().unwrap_or_default(),
        };
        self.webhook(idx, &parts, true)
    }

    /// Defaults: `pkg/apis/admissionregistration/v1/defaults.go`, 1.36.
    fn webhook(&mut self, idx: usize, parts: &Parts<'_>, is_mutating: bool) -> WrittenWebhook {
        let path = format!("webhooks[{idx}]");
        let fails_closed = self.choice(
            &format!("{path}.failurePolicy"),
            parts.failure_policy,
            true,
            &[("Fail", true), ("Ignore", false)],
        );
        let seconds = parts.timeout_seconds.unwrap_or(10);
        if !(1..=30).contains(&seconds) {
            let path = format!("{path}.timeoutSeconds");
            self.refuse(&path, format!("must be between 1 and 30, is {seconds}"));
        }
        let timeout =
            self.seconds(&format!("{path}.timeoutSeconds"), i64::from(seconds.clamp(1, 30)));
        let service = parts.client.service.as_ref();
        let named = |it: &ServiceReference| (it.namespace.clone(), it.name.clone());
        let mut selector = |field: &str, selector: Option<&ApiSelector>| {
            let path = format!("{path}.{field}");
            selector.map(|it| self.label_selector(&path, it)).unwrap_or_default()
        };
        WrittenWebhook {
            namespace_selector: selector("namespaceSelector", parts.namespace_selector),
            object_selector: selector("objectSelector", parts.object_selector),
            conditions: parts.conditions.iter().map(|it| it.expression.clone()).collect(),
            service: service.map(named),
            rules: parts.rules.iter().map(rule).collect(),
            webhook: Webhook {
                configuration: self.object.key.name.clone(),
                name: parts.name.to_owned(),
                is_mutating,
                service: None,
                fails_closed,
                timeout,
                guards: BTreeSet::new(),
                asked: BTreeSet::new(),
                origin: self.origin(),
            },
        }
    }
}

fn rule(rule: &RuleWithOperations) -> WebhookRule {
    WebhookRule {
        operations: rule.operations.clone().unwrap_or_default(),
        groups: rule.api_groups.clone().unwrap_or_default(),
        versions: rule.api_versions.clone().unwrap_or_default(),
        resources: rule.resources.clone().unwrap_or_default(),
        scope: rule.scope.clone().unwrap_or_else(|| "*".to_owned()),
    }
}
