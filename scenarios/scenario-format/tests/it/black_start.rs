//! What starts after what when nothing runs, on a platform with a registry of its own.

use scenario_format::{Stage, black_start};

use crate::support::{Memory, PLATFORM, load_all, scenario};

/// A Deployment with its Service.
fn workload(namespace: &str, name: &str, image: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  selector: {{matchLabels: {{app.kubernetes.io/name: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app.kubernetes.io/name: {name}}}}}\n    \
         spec: {{containers: [{{name: {name}, image: '{image}', ports: [{{name: http, containerPort: 80}}]}}]}}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{selector: {{app.kubernetes.io/name: {name}}}, ports: [{{port: 80, targetPort: http}}]}}\n"
    )
}

const ROUTES: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: registry, namespace: harbor}
spec:
  rules:
    - host: registry.example
      http:
        paths:
          - {path: /v2/, pathType: Prefix, backend: {service: {name: core, port: {number: 80}}}}
          - {path: /, pathType: Prefix, backend: {service: {name: portal, port: {number: 80}}}}
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: db, namespace: harbor}
spec: {instances: 2, imageName: 'docker.io/postgres:18', storage: {size: 1Gi}}
";

/// The registry has these images on itself.
fn stages(on_registry: &[&str]) -> Vec<Stage> {
    let mut manifests = ROUTES.to_owned();
    for (namespace, name) in [
        ("edge", "gateway"),
        ("harbor", "core"),
        ("harbor", "portal"),
        ("harbor", "store"),
        ("cnpg-system", "operator"),
        ("vault", "vault"),
        ("shop", "web"),
    ] {
        let host = if on_registry.contains(&name) { "registry.example/" } else { "" };
        manifests.push_str(&workload(namespace, name, &format!("{host}{name}:1")));
    }
    let platform = format!(
        "{PLATFORM}  services:\n    - {{service: harbor/core, dependsOn: [harbor/store], writesTo: [harbor/db]}}\n  \
         databases: [{{database: harbor/db, operator: cnpg-system/operator}}]\n"
    );
    let load = "  load: [{service: harbor/portal, via: edge/gateway, rate: 1}]\n";
    let files = Memory::default()
        .with("s.yaml", scenario(load))
        .with("small.yaml", platform)
        .with("m.yaml", manifests);
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let said: Vec<String> =
        loaded.diagnostics.iter().map(|it| it.one_line(&loaded.sources)).collect();
    let resolved = loaded.resolved.unwrap_or_else(|| panic!("{said:?}"));
    black_start(&resolved.blueprint)
}

/// What is done by hand.
fn steps(stages: &[Stage]) -> Vec<&str> {
    let steps = stages.iter().filter_map(|stage| match stage {
        Stage::ByHand { step, .. } => Some(step.as_str()),
        Stage::Start { .. } => None,
    });
    steps.collect()
}

const UNSEAL: &str = "unseal each pod of vault/vault (vault operator unseal)";

#[test]
fn images_wait_for_all_that_their_registry_stands_on() {
    let stages = stages(&["web"]);
    let web = stages.iter().find_map(|stage| match stage {
        Stage::Start { workloads, waits_for } if workloads.contains(&"shop/web".to_owned()) => {
            Some(waits_for.clone())
        }
        _ => None,
    });
    let needed =
        ["cnpg-system/operator", "edge/gateway", "harbor/core", "harbor/db", "harbor/store"];
    let image = |name: &&str| format!("an image of registry.example, which needs {name}");
    // What creates the pods of its database is waited for through the database.
    let expected: Vec<String> = needed[1..].iter().map(image).collect();
    assert_eq!(web, Some(expected));
    assert_eq!(steps(&stages), [UNSEAL]);
}

#[test]
fn a_registry_that_has_the_image_of_what_it_stands_on_does_not_start() {
    for name in ["gateway", "core", "store", "operator"] {
        let stages = stages(&[name]);
        let steps = steps(&stages);
        assert!(
            steps.iter().any(|step| step.starts_with("import the images of")),
            "{name}: {steps:?}"
        );
        assert!(
            steps.iter().all(|step| *step == UNSEAL || step.contains(name)),
            "{name}: {steps:?}"
        );
    }
    assert_eq!(steps(&stages(&["portal"])), [UNSEAL], "nobody pulls through its pages");
}
