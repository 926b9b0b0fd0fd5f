//! What starts after what when nothing runs, on a platform with a registry of its own.

use scenario_format::{Resolved, Stage, StartFrom, black_start, start_circles};

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
    black_start(&resolved(load, platform, manifests).blueprint, StartFrom::Etcd)
}

fn resolved(load: &str, platform: String, manifests: String) -> Resolved {
    let files = Memory::default()
        .with("s.yaml", scenario(load))
        .with("small.yaml", platform)
        .with("m.yaml", manifests);
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let said: Vec<String> =
        loaded.diagnostics.iter().map(|it| it.one_line(&loaded.sources)).collect();
    loaded.resolved.unwrap_or_else(|| panic!("{said:?}"))
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
    for (name, imported) in [
        ("gateway", &["edge/gateway"][..]),
        ("core", &["harbor/core"]),
        ("store", &["harbor/store"]),
        // Instances of a database begin with its image.
        ("operator", &["harbor/db", "cnpg-system/operator"]),
    ] {
        let stages = stages(&[name]);
        let found: Vec<&str> = steps(&stages).into_iter().filter(|it| *it != UNSEAL).collect();
        let of = |name: &&str| {
            format!("import the images of {name} on a node by hand (ctr -n k8s.io images import)")
        };
        assert_eq!(found, imported.iter().map(of).collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(steps(&stages(&["portal"])), [UNSEAL], "nobody pulls through its pages");
}

/// Members of the circles of a platform with these manifests, and what is done by hand.
fn circles(from: StartFrom, manifests: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let load = "  load: [{service: shop/web, rate: 1}]\n";
    let manifests = format!("{}{manifests}", workload("shop", "web", "web:1"));
    let blueprint = resolved(load, PLATFORM.to_owned(), manifests).blueprint;
    let of = |circle: model_api::black_start::StartCircle| {
        assert!(circle.is_smallest && !circle.because.is_empty());
        let names = circle.members.iter().map(|id| blueprint.workload_name(*id));
        (names.collect(), circle.steps)
    };
    start_circles(&blueprint, from).into_iter().map(of).collect()
}

/// A vault with this more in its pods and its claims.
fn vault(pods: &str, claims: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: vault, namespace: vault}}\n\
         spec:\n  serviceName: vault\n  selector: {{matchLabels: {{app.kubernetes.io/name: vault}}}}\n{claims}  template:\n    \
         metadata: {{labels: {{app.kubernetes.io/name: vault}}}}\n    \
         spec: {{containers: [{{name: vault, image: 'vault:1'{pods}}}]}}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: vault, namespace: vault}}\n\
         spec: {{selector: {{app.kubernetes.io/name: vault}}, ports: [{{port: 8200}}]}}\n"
    )
}

const CLAIMS: &str = "  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: sealed, resources: {requests: {storage: 1Gi}}}
";

/// An encrypted class whose keys are at this address, as Rook or as Ceph CSI has it.
fn encrypted(address: &str, is_rook: bool) -> String {
    let settings = format!("{{\"encryptionKMSType\": \"vault\", \"vaultAddress\": \"{address}\"}}");
    let (name, key, value) = if is_rook {
        ("csi-kms-connection-details", "keys", settings)
    } else {
        ("ceph-csi-encryption-kms-config", "config.json", format!("{{\"keys\": {settings}}}"))
    };
    format!(
        "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: sealed}}\n\
         provisioner: rook-ceph.rbd.csi.ceph.com\nvolumeBindingMode: WaitForFirstConsumer\n\
         parameters: {{encrypted: 'true', encryptionKMSID: keys}}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: rook-ceph}}\n\
         data: {{{key}: '{value}'}}\n"
    )
}

fn one(members: &[&str], steps: &[&str]) -> Vec<(Vec<String>, Vec<String>)> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    vec![(owned(members), owned(steps))]
}

#[test]
fn a_vault_and_the_storage_that_asks_it_wait_for_each_other() {
    let another_class = ["start vault/vault on a volume of another class"];
    let address = "http://vault.vault.svc:8200";
    for is_rook in [true, false] {
        let manifests = format!("{}{}", encrypted(address, is_rook), vault("", CLAIMS));
        let found = circles(StartFrom::Etcd, &manifests);
        assert_eq!(found, one(&["vault/vault"], &another_class), "{is_rook}");
    }
    let elsewhere = encrypted("https://vault.example:8200", true);
    let manifests = format!("{elsewhere}{}", vault("", CLAIMS));
    assert_eq!(circles(StartFrom::Etcd, &manifests), []);
    // The disks ask the vault, too: one step is still enough.
    let disks = workload("rook-ceph", "osd", "ceph:1").replace(
        "metadata: {labels: {app.kubernetes.io/name: osd}}",
        "metadata: {labels: {app.kubernetes.io/name: osd}, annotations: {vault.hashicorp.com/agent-inject: 'true'}}",
    );
    let manifests = format!("{}{}{disks}", encrypted(address, true), vault("", CLAIMS));
    let members = ["vault/vault", "rook-ceph/osd"];
    assert_eq!(circles(StartFrom::Etcd, &manifests), one(&members, &another_class));
}

/// An ExternalSecret in the namespace of the vault, read from a store at this address.
fn external(address: &str, target: &str) -> String {
    format!(
        "---\napiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: store}}\n\
         spec: {{provider: {{vault: {{server: '{address}'}}}}}}\n\
         ---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: own, namespace: vault}}\n\
         spec: {{secretStoreRef: {{name: store, kind: ClusterSecretStore}}, target: {{{target}}}}}\n"
    )
}

#[test]
fn secrets_are_made_anew_only_where_etcd_is_empty() {
    let operator = workload("external-secrets", "external-secrets", "eso:1");
    let from_env = |optional: &str| {
        let reference = format!("{{secretKeyRef: {{name: own, key: token{optional}}}}}");
        vault(&format!(", env: [{{name: TOKEN, valueFrom: {reference}}}]"), "")
    };
    let here = "http://vault.vault:8200";
    let needing = format!("{operator}{}", from_env(""));
    let found = |from, text: String| circles(from, &format!("{needing}{text}"));
    let circle = one(&["vault/vault"], &["kubectl create secret generic own -n vault"]);
    assert_eq!(found(StartFrom::Git, external(here, "")), circle);
    assert_eq!(found(StartFrom::Etcd, external(here, "")), [], "it is in etcd");
    for (address, target) in [
        ("https://vault.example", ""),
        (here, "name: other"),
        (here, "creationPolicy: Merge"),
        (here, "creationPolicy: None"),
    ] {
        assert_eq!(found(StartFrom::Git, external(address, target)), [], "{address} {target}");
    }
    let optional = format!("{operator}{}{}", from_env(", optional: true"), external(here, ""));
    assert_eq!(circles(StartFrom::Git, &optional), []);
}

#[test]
fn what_is_mounted_from_a_vault_is_waited_for_wherever_one_starts_from() {
    let class = "---\napiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {name: own, namespace: shop}\nspec: {provider: vault}\n";
    let volume = "volumes: [{name: own, csi: {driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {secretProviderClass: own}}}]";
    let web = workload("shop", "api", "api:1")
        .replace("spec: {containers", &format!("spec: {{{volume}, containers"));
    let manifests = format!("{}{class}{web}{}", workload("shop", "web", "web:1"), vault("", ""));
    let load = "  load: [{service: shop/web, rate: 1}]\n";
    let blueprint = resolved(load, PLATFORM.to_owned(), manifests).blueprint;
    for from in StartFrom::ALL {
        let stages = black_start(&blueprint, from);
        let waits = stages.iter().find_map(|stage| match stage {
            Stage::Start { workloads, waits_for } if workloads == &["shop/api"] => Some(waits_for),
            _ => None,
        });
        let expected = ["secrets of SecretProviderClass own, mounted by vault/vault".to_owned()];
        assert_eq!(waits.map(Vec::as_slice), Some(expected.as_slice()), "{from:?}");
    }
}

#[test]
fn what_was_sealed_is_opened_with_the_old_key_only() {
    let sealed = "---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: own, namespace: shop}\nspec: {encryptedData: {a: AgB}}\n";
    let api = workload("shop", "api", "api:1")
        .replace("image: 'api:1'", "image: 'api:1', envFrom: [{secretRef: {name: own}}]");
    let controller = workload("kube-system", "sealed-secrets", "sealed-secrets:1");
    let manifests = format!("{}{sealed}{api}{controller}", workload("shop", "web", "web:1"));
    let load = "  load: [{service: shop/web, rate: 1}]\n";
    let blueprint = resolved(load, PLATFORM.to_owned(), manifests).blueprint;
    assert_eq!(steps(&black_start(&blueprint, StartFrom::Etcd)), Vec::<&str>::new());
    let stages = black_start(&blueprint, StartFrom::Git);
    let key = "apply a backup of its keys (label sealedsecrets.bitnami.com/sealed-secrets-key) and restart kube-system/sealed-secrets";
    assert_eq!(steps(&stages), [key]);
    let Some(Stage::Start { workloads, .. }) = stages.last() else { panic!("{stages:?}") };
    assert_eq!(workloads, &["shop/api"]);
}

#[test]
fn a_store_that_nobody_describes_is_told_of() {
    let secret =
        external("http://vault.vault:8200", "").replace("{name: store, kind", "{name: stor, kind");
    let files = Memory::default()
        .with("s.yaml", scenario("  load: [{service: shop/web, rate: 1}]\n"))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", format!("{}{secret}", workload("shop", "web", "web:1")));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let told = loaded.diagnostics.iter().find(|it| it.code.as_str() == "W0340");
    let told = told.expect("the store has another name");
    assert!(told.help.as_deref().is_some_and(|help| help.contains("`store`")), "{told:?}");
    let wrong = external("http://vault.vault:8200", "")
        .replace("spec: {secretStoreRef", "spec: {refreshInterval: 5x, secretStoreRef");
    let files = files.with("m.yaml", format!("{}{wrong}", workload("shop", "web", "web:1")));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    assert!(loaded.diagnostics.iter().any(|it| it.code.as_str() == "E0022"));
}
