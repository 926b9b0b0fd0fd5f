//! Selectors that select nothing: W0101 to W0104.

use model_api::kube::{LabelSelector, Labels, PodAffinityTerm, Workload, WorkloadKind};

use super::{Lint, listed};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;

impl Lint<'_> {
    pub(super) fn selectors(&mut self) {
        for (service, object) in self.services() {
            let found = self.workloads().any(|(workload, _)| {
                service.selects(&workload.namespace, &workload.template.labels)
            });
            if !service.selector.is_empty() && !found {
                let message = format!(
                    "{} selects no pods: no workload of `{}` has {}",
                    object.title(),
                    service.namespace,
                    listed(&service.selector)
                );
                let help = self.nearest_labels(&service.namespace, &service.selector);
                self.push(
                    object,
                    Diagnostic::new(Code::W0101, object.span("spec.selector"), message)
                        .help_if(help),
                );
            }
        }
        for budget in &self.manifests.budgets {
            let object = self.manifests.object(budget);
            let budget = &budget.value;
            let found = self.workloads().any(|(workload, _)| {
                workload.namespace == budget.namespace
                    && budget
                        .selector
                        .as_ref()
                        .is_some_and(|it| it.matches(&workload.template.labels))
            });
            if !found {
                let wanted = budget.selector.as_ref().map(|it| &it.match_labels);
                let help = wanted.and_then(|it| self.nearest_labels(&budget.namespace, it));
                let message = format!("{} selects no pods, so it protects none", object.title());
                self.push(
                    object,
                    Diagnostic::new(Code::W0102, object.span("spec.selector"), message)
                        .help_if(help),
                );
            }
        }
        for (workload, object) in self.workloads() {
            self.affinity_terms(workload, object);
            self.spread_constraints(workload, object);
        }
    }

    fn affinity_terms(&mut self, workload: &Workload, object: &Object) {
        if workload.kind == WorkloadKind::DatabaseInstances {
            return;
        }
        let affinity = &workload.template.spec.affinity;
        let base = workload.pod_path("affinity");
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        let hard = [
            ("podAffinity", &affinity.pod_required),
            ("podAntiAffinity", &affinity.pod_anti_required),
        ];
        for (kind, terms) in hard {
            for (idx, term) in terms.iter().enumerate() {
                let path = format!("{base}.{kind}.{required}[{idx}]");
                self.affinity_term(workload, object, kind, term, &path);
            }
        }
        let soft = [
            ("podAffinity", &affinity.pod_preferred),
            ("podAntiAffinity", &affinity.pod_anti_preferred),
        ];
        for (kind, terms) in soft {
            for (idx, term) in terms.iter().enumerate() {
                let path = format!("{base}.{kind}.{preferred}[{idx}].podAffinityTerm");
                self.affinity_term(workload, object, kind, &term.term, &path);
            }
        }
    }

    fn affinity_term(
        &mut self,
        workload: &Workload,
        object: &Object,
        kind: &str,
        term: &PodAffinityTerm,
        path: &str,
    ) {
        let selects_some = |other: &Workload| {
            is_in_scope(term, &workload.namespace, &other.namespace)
                && term
                    .label_selector
                    .as_ref()
                    .is_some_and(|selector| selector.matches(&other.template.labels))
        };
        if self.workloads().any(|(other, _)| selects_some(other)) {
            return;
        }
        let message =
            format!("{}: this term of {kind} selects no pods, so it has no effect", object.title());
        let own = &workload.template.labels;
        let help = term
            .label_selector
            .as_ref()
            .and_then(|selector| own_labels(selector, own))
            .map(|labels| format!("the workload's own pods have {labels}"));
        let span = object.span(&format!("{path}.labelSelector"));
        self.push(object, Diagnostic::new(Code::W0103, span, message).help_if(help));
    }

    fn spread_constraints(&mut self, workload: &Workload, object: &Object) {
        let labels = &workload.template.labels;
        let constraints = &workload.template.spec.topology_spread_constraints;
        for (idx, constraint) in constraints.iter().enumerate() {
            if constraint.label_selector.as_ref().is_some_and(|it| it.matches(labels)) {
                continue;
            }
            let field = format!("topologySpreadConstraints[{idx}].labelSelector");
            let path = workload.pod_path(&field);
            let message = format!(
                "{}: this constraint does not select the workload's own pods, so it spreads nothing",
                object.title()
            );
            let help = format!("its pods have {}", listed(labels));
            self.push(object, Diagnostic::new(Code::W0104, object.span(&path), message).help(help));
        }
    }

    /// The workload that was probably meant: it has most of the wanted keys.
    fn nearest_labels(&self, namespace: &str, wanted: &Labels) -> Option<String> {
        let shared =
            |labels: &Labels| wanted.keys().filter(|key| labels.contains_key(*key)).count();
        let same_namespace = self.workloads().filter(|(it, _)| it.namespace == namespace);
        let (workload, object) =
            same_namespace.max_by_key(|(workload, _)| shared(&workload.template.labels))?;
        let labels = &workload.template.labels;
        (shared(labels) > 0).then(|| format!("pods of {} have {}", object.title(), listed(labels)))
    }
}

/// Whether pods of `other` are looked at (`namespaces` and `namespaceSelector` are ORed; without
/// either it is the pod's own namespace). A selector on labels may match any namespace.
fn is_in_scope(term: &PodAffinityTerm, own: &str, other: &str) -> bool {
    if term.namespaces.is_empty() && term.namespace_selector.is_none() {
        return own == other;
    }
    term.namespaces.iter().any(|namespace| namespace == other) || term.namespace_selector.is_some()
}

/// The workload's own values of the keys that a selector asks for.
fn own_labels(selector: &LabelSelector, own: &Labels) -> Option<String> {
    let keys = selector.match_labels.keys();
    let keys = keys.chain(selector.match_expressions.iter().map(|requirement| &requirement.key));
    let found: Labels = keys.filter_map(|key| Some((key.clone(), own.get(key)?.clone()))).collect();
    (!found.is_empty()).then(|| listed(&found))
}
