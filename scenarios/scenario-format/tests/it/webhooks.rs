//! Webhooks that are asked about what keeps a cluster together.

use model_api::WorkloadId;
use model_api::kube::Write;

use crate::support::{WEB, load_all, said, web};

/// A webhook with these lines, which come before `sideEffects`.
fn guard(rule: &str, more: &str) -> String {
    format!(
        "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
         metadata: {{name: guard}}\nwebhooks:\n  - name: guard.shop.svc\n    admissionReviewVersions: [v1]\n    \
         clientConfig: {{url: 'https://guard.example'}}\n    rules: [{{{rule}}}]\n{more}    sideEffects: None\n"
    )
}

/// What is said of it with W0246.
fn told(rule: &str, more: &str) -> String {
    let guard = guard(rule, more);
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

const STORE: &str = "---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: shop}
spec:
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec: {containers: [{name: store, image: 'store:1'}]}
";

#[test]
fn what_is_scaled_or_changed_is_of_its_own_kind() {
    let asked = |resource: &str| {
        let rule = format!(
            "apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: ['{resource}']"
        );
        let guard = guard(&rule, "");
        let files = web("  load: [{service: shop/web, rate: 1}]\n")
            .with("m.yaml", format!("{WEB}{STORE}{guard}"));
        let resolved = load_all(&files, &["m.yaml"], &[]).resolved.expect("it is valid");
        let webhook = &resolved.blueprint.webhooks[0];
        let of = |name: &str| {
            let mut workloads = resolved.blueprint.workloads.iter();
            let idx = workloads.position(|it| it.name == name).expect("it is there");
            let id = WorkloadId::from_index(idx);
            [Write::Update(id), Write::Scale(id)].map(|write| webhook.asked.contains(&write))
        };
        [of("web"), of("store")]
    };
    for (resource, expected) in [
        ("deployments", [[true, false], [false, false]]),
        ("deployments/scale", [[false, true], [false, false]]),
        ("statefulsets", [[false, false], [true, false]]),
        ("*/scale", [[false, true], [false, true]]),
        ("*/*", [[true; 2]; 2]),
        ("daemonsets", [[false; 2]; 2]),
    ] {
        assert_eq!(asked(resource), expected, "{resource}");
    }
}
