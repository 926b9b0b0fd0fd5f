//! Selectors and affinity.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use model_api::kube::{
    Affinity, LabelSelector, Labels, NodeAffinity, NodeSelector, NodeSelectorTerm, Operator,
    PodAffinityTerm, PreferredSchedulingTerm, Requirement, WeightedPodAffinityTerm, key_fault,
    value_fault,
};

use super::Reader;
use crate::diagnostic::{Code, Diagnostic};

const LABEL_OPERATORS: [(&str, Operator); 4] = [
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Exists", Operator::Exists),
    ("DoesNotExist", Operator::DoesNotExist),
];
const NODE_OPERATORS: [(&str, Operator); 6] = [
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Exists", Operator::Exists),
    ("DoesNotExist", Operator::DoesNotExist),
    ("Gt", Operator::Gt),
    ("Lt", Operator::Lt),
];

impl Reader<'_> {
    pub(crate) fn label_selector(
        &mut self,
        path: &str,
        selector: &meta::LabelSelector,
    ) -> LabelSelector {
        let mut match_expressions = Vec::new();
        for (idx, requirement) in
            selector.match_expressions.as_deref().unwrap_or_default().iter().enumerate()
        {
            let path = format!("{path}.matchExpressions[{idx}]");
            let requirement = self.requirement(
                &path,
                &requirement.key,
                &requirement.operator,
                requirement.values.as_deref().unwrap_or_default(),
                &LABEL_OPERATORS,
            );
            self.check_key(&format!("{path}.key"), &requirement.key);
            self.check_values(&format!("{path}.values"), &requirement.values);
            match_expressions.push(requirement);
        }
        self.check_labels(&format!("{path}.matchLabels"), selector.match_labels.as_ref());
        LabelSelector {
            match_labels: selector.match_labels.clone().unwrap_or_default(),
            match_expressions,
        }
    }

    fn requirement(
        &mut self,
        path: &str,
        key: &str,
        operator: &str,
        values: &[String],
        operators: &[(&str, Operator)],
    ) -> Requirement {
        let operator_path = format!("{path}.operator");
        let operator = self.choice(&operator_path, Some(operator), Operator::Exists, operators);
        let values_path = format!("{path}.values");
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                self.refuse(&values_path, "must not be empty with In and NotIn");
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                self.refuse(&values_path, "must be empty with Exists and DoesNotExist");
            }
            Operator::Gt | Operator::Lt if values.len() != 1 => {
                self.refuse(&values_path, "must be one integer with Gt and Lt");
            }
            _ => {}
        }
        Requirement { key: key.to_owned(), operator, values: values.to_vec() }
    }

    /// `ValidateLabels` (apimachinery, `pkg/apis/meta/v1/validation`).
    pub(crate) fn check_labels(&mut self, path: &str, labels: Option<&Labels>) {
        for (key, value) in labels.into_iter().flatten() {
            self.check_key(path, key);
            if let Some(fault) = value_fault(value) {
                self.refuse(path, format!("gives {key} the value `{value}`, which {fault}"));
            }
        }
    }

    fn check_key(&mut self, path: &str, key: &str) {
        if let Some(fault) = key_fault(key) {
            self.refuse(path, format!("has the key `{key}`, which {fault}"));
        }
    }

    fn check_values(&mut self, path: &str, values: &[String]) {
        for (idx, value) in values.iter().enumerate() {
            if let Some(fault) = value_fault(value) {
                self.refuse(&format!("{path}[{idx}]"), format!("is `{value}`, which {fault}"));
            }
        }
    }

    /// What the API server takes and the scheduler cannot read.
    fn check_readable(&mut self, path: &str, requirement: &Requirement, is_required: bool) {
        let compares = matches!(requirement.operator, Operator::Gt | Operator::Lt);
        let is_unread = |value: &String| match value_fault(value) {
            // Refused, where the term is required.
            Some(_) => !is_required,
            None => compares && value.parse::<i64>().is_err(),
        };
        let Some(idx) = requirement.values.iter().position(is_unread) else { return };
        let value = &requirement.values[idx];
        let wanted = if compares { "is no integer" } else { "is no value of a label" };
        let what_follows = if is_required {
            "the term matches no node"
        } else {
            "the scheduler places no pod as soon as two nodes would do"
        };
        let title = self.object.title();
        let message = format!("{title}: `{value}` {wanted}, so that {what_follows}");
        let place = self.object.value_span(&format!("{path}.values[{idx}]"));
        self.diagnostics.push(Diagnostic::new(Code::W0200, place, message));
    }

    pub(crate) fn affinity(&mut self, path: &str, affinity: &core::Affinity) -> Affinity {
        let mut result = Affinity::default();
        if let Some(node) = &affinity.node_affinity {
            result.node = self.node_affinity(&format!("{path}.nodeAffinity"), node);
        }
        if let Some(pod) = &affinity.pod_affinity {
            let path = format!("{path}.podAffinity");
            (result.pod_required, result.pod_preferred) = self.pod_terms(
                &path,
                pod.required_during_scheduling_ignored_during_execution.as_deref(),
                pod.preferred_during_scheduling_ignored_during_execution.as_deref(),
            );
        }
        if let Some(pod) = &affinity.pod_anti_affinity {
            let path = format!("{path}.podAntiAffinity");
            (result.pod_anti_required, result.pod_anti_preferred) = self.pod_terms(
                &path,
                pod.required_during_scheduling_ignored_during_execution.as_deref(),
                pod.preferred_during_scheduling_ignored_during_execution.as_deref(),
            );
        }
        result
    }

    pub(crate) fn node_affinity(
        &mut self,
        path: &str,
        affinity: &core::NodeAffinity,
    ) -> NodeAffinity {
        let required_path =
            format!("{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        let required =
            affinity.required_during_scheduling_ignored_during_execution.as_ref().map(|selector| {
                let terms = selector.node_selector_terms.iter().enumerate();
                let path = |idx: usize| format!("{required_path}[{idx}]");
                let terms = terms.map(|(idx, term)| self.node_term(&path(idx), term, true));
                let terms = terms.collect();
                NodeSelector { terms }
            });
        let mut preferred = Vec::new();
        let terms = affinity.preferred_during_scheduling_ignored_during_execution.as_deref();
        for (idx, term) in terms.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.preferredDuringSchedulingIgnoredDuringExecution[{idx}]");
            self.weight(&path, term.weight);
            let preference = self.node_term(&format!("{path}.preference"), &term.preference, false);
            preferred.push(PreferredSchedulingTerm { weight: term.weight, preference });
        }
        NodeAffinity { required, preferred }
    }

    /// Values of a preferred term may be anything (`ValidateNodeSelectorRequirement`).
    fn node_term(
        &mut self,
        path: &str,
        term: &core::NodeSelectorTerm,
        is_required: bool,
    ) -> NodeSelectorTerm {
        let mut read = |name: &str, requirements: Option<&[core::NodeSelectorRequirement]>| {
            let mut result = Vec::new();
            for (idx, requirement) in requirements.unwrap_or_default().iter().enumerate() {
                let path = format!("{path}.{name}[{idx}]");
                let requirement = self.requirement(
                    &path,
                    &requirement.key,
                    &requirement.operator,
                    requirement.values.as_deref().unwrap_or_default(),
                    &NODE_OPERATORS,
                );
                if name == "matchExpressions" {
                    self.check_key(&format!("{path}.key"), &requirement.key);
                    if is_required {
                        self.check_values(&format!("{path}.values"), &requirement.values);
                    }
                    self.check_readable(&path, &requirement, is_required);
                } else {
                    self.check_field(&path, &requirement);
                }
                result.push(requirement);
            }
            result
        };
        NodeSelectorTerm {
            match_expressions: read("matchExpressions", term.match_expressions.as_deref()),
            match_fields: read("matchFields", term.match_fields.as_deref()),
        }
    }

    /// `ValidateNodeFieldSelectorRequirement`.
    fn check_field(&mut self, path: &str, requirement: &Requirement) {
        if requirement.key != "metadata.name" {
            let message = format!("must be metadata.name, is `{}`", requirement.key);
            self.refuse(&format!("{path}.key"), message);
        }
        if !matches!(requirement.operator, Operator::In | Operator::NotIn) {
            self.refuse(&format!("{path}.operator"), "must be In or NotIn for a field");
        } else if requirement.values.len() > 1 {
            self.refuse(&format!("{path}.values"), "must be one name for a field");
        }
    }

    fn pod_terms(
        &mut self,
        path: &str,
        required: Option<&[core::PodAffinityTerm]>,
        preferred: Option<&[core::WeightedPodAffinityTerm]>,
    ) -> (Vec<PodAffinityTerm>, Vec<WeightedPodAffinityTerm>) {
        let mut hard = Vec::new();
        for (idx, term) in required.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.requiredDuringSchedulingIgnoredDuringExecution[{idx}]");
            hard.push(self.pod_term(&path, term));
        }
        let mut soft = Vec::new();
        for (idx, term) in preferred.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.preferredDuringSchedulingIgnoredDuringExecution[{idx}]");
            self.weight(&path, term.weight);
            let inner = self.pod_term(&format!("{path}.podAffinityTerm"), &term.pod_affinity_term);
            soft.push(WeightedPodAffinityTerm { weight: term.weight, term: inner });
        }
        (hard, soft)
    }

    fn pod_term(&mut self, path: &str, term: &core::PodAffinityTerm) -> PodAffinityTerm {
        let selector_path = format!("{path}.labelSelector");
        let namespace_path = format!("{path}.namespaceSelector");
        PodAffinityTerm {
            label_selector: term
                .label_selector
                .as_ref()
                .map(|selector| self.label_selector(&selector_path, selector)),
            namespaces: term.namespaces.clone().unwrap_or_default(),
            namespace_selector: term
                .namespace_selector
                .as_ref()
                .map(|selector| self.label_selector(&namespace_path, selector)),
            topology_key: term.topology_key.clone(),
            match_label_keys: term.match_label_keys.clone().unwrap_or_default(),
            mismatch_label_keys: term.mismatch_label_keys.clone().unwrap_or_default(),
        }
    }

    fn weight(&mut self, path: &str, weight: i32) {
        if !(1..=100).contains(&weight) {
            self.refuse(&format!("{path}.weight"), format!("must be 1 to 100, is {weight}"));
        }
    }
}
