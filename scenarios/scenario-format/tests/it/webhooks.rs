//! Webhooks that are asked about what keeps a cluster together.

use crate::support::{WEB, load_all, said, web};

/// What is said with W0246 of a webhook with these lines, which come before `sideEffects`.
fn told(rule: &str, more: &str) -> String {
    let guard = format!(
        "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
         metadata: {{name: guard}}\nwebhooks:\n  - name: guard.shop.svc\n    admissionReviewVersions: [v1]\n    \
         clientConfig: {{url: 'https://guard.example'}}\n    rules: [{{{rule}}}]\n{more}    sideEffects: None\n"
    );
    let files = web("  load: [{service: '*', rate: 1}]\n").with("m.yaml", format!("{WEB}{guard}"));
    let lines = said(&load_all(&files, &["m.yaml"], &[]));
    lines.into_iter().filter(|line| line.contains("W0246")).collect()
}

#[test]
fn webhooks_that_stop_a_cluster_are_told_of() {
    let all = "apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']";
    let rule = |group: &str, operation: &str, resource: &str| {
        format!(
            "apiGroups: ['{group}'], apiVersions: [v1], operations: [{operation}], resources: ['{resource}']"
        )
    };
    let elsewhere = "    namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-node-lease]}]}\n";
    let namespaced = format!("{all}, scope: Namespaced");
    for (rule, more, expected) in [
        (all.to_owned(), "", "writes of leases are refused"),
        (all.to_owned(), elsewhere, "writes of nodes are refused"),
        (namespaced, elsewhere, "writes of endpointslices are refused"),
        (rule("coordination.k8s.io", "UPDATE", "leases"), "", "writes of leases"),
        (rule("coordination.k8s.io", "UPDATE", "leases"), elsewhere, ""),
        (rule("coordination.k8s.io", "DELETE", "leases"), "", ""),
        (rule("", "UPDATE", "nodes"), "", "writes of nodes are"),
        (rule("", "UPDATE", "*/status"), "", "writes of nodes/status"),
        (rule("discovery.k8s.io", "CREATE", "endpointslices"), "", "writes of endpointslices"),
        (rule("", "UPDATE", "pods/status"), "", "writes of pods/status"),
        (rule("", "CREATE", "pods/eviction"), "", "writes of pods/eviction"),
        (rule("", "CREATE", "pods/*"), "", "writes of pods/binding"),
        (rule("", "CREATE", "pods"), "", ""),
        (rule("apps", "'*'", "*"), "", ""),
        (all.to_owned(), "    failurePolicy: Ignore\n", ""),
        (all.to_owned(), "    objectSelector: {matchLabels: {app: web}}\n", ""),
        (all.to_owned(), "    matchConditions: [{name: c, expression: 'true'}]\n", ""),
    ] {
        let told = told(&rule, more);
        assert_eq!(told.is_empty(), expected.is_empty(), "{rule} {more}: {told}");
        assert!(told.contains(expected), "{rule} {more}: {told}");
    }
}
