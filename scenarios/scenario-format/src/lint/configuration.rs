//! Secrets and ConfigMaps that pods need: W0400 (nobody has or makes them) and W0401 (a key they lack).
//!
//! # Defaults and their sources
//! `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`generateContainerConfig`) and `pkg/volume/{secret,
//! configmap}` of Kubernetes 1.36: an object or key that is not there and not `optional` keeps containers from
//! being made. Who makes what: [`Producers`].

use std::collections::BTreeSet;

use model_api::kube::{SourceKind, WorkloadKind};

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::library;
use crate::manifest::Object;
use crate::nearest::suggestion;
use crate::source::Span;
use crate::yaml::Node;

use SourceKind::{ConfigMap, Secret};

/// Names that a message lists.
const NAMED_MAX: usize = 4;

/// What a pod names.
#[derive(Clone, Copy, Debug)]
struct Reference<'a> {
    kind: SourceKind,
    name: &'a str,
    /// The one key that it needs; all there are without one.
    key: Option<&'a str>,
    span: Span,
}

impl Lint<'_> {
    /// W0400 and W0401, once a workload each.
    pub(super) fn configuration(&mut self) {
        let producers = Producers::of(self);
        for (workload, object) in self.workloads() {
            // What ships names Secrets that nobody is to make.
            let file_idx = object.name_span.at.file_idx as usize;
            let is_shipped = self
                .blueprint
                .files
                .get(file_idx)
                .is_some_and(|file| file.starts_with(library::PREFIX));
            if workload.kind == WorkloadKind::DatabaseInstances || is_shipped {
                continue;
            }
            let Some(pod) = object.find(workload.pod_spec_path()) else { continue };
            let all = references(pod);
            let namespace = workload.namespace.as_str();
            self.missing_objects(object, namespace, &all, &producers);
            self.missing_keys(object, namespace, &all);
        }
    }

    /// W0400.
    fn missing_objects(
        &mut self,
        object: &Object,
        namespace: &str,
        all: &[Reference<'_>],
        producers: &Producers,
    ) {
        let missing = all.iter().filter(|it| !producers.has(it.kind, namespace, it.name));
        let missing: Vec<&Reference<'_>> = missing.collect();
        let Some(first) = missing.first() else { return };
        let mut names: Vec<String> = Vec::new();
        for it in &missing {
            let name = format!("{} `{}`", it.kind.name(), it.name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let (is_one, list) = (names.len() == 1, listed(&names));
        let message = format!(
            "{}: {list} {} not in the input, and nothing in it makes {}",
            object.title(),
            if is_one { "is" } else { "are" },
            if is_one { "it" } else { "them" },
        );
        let near = suggestion(first.name, producers.names(first.kind, namespace));
        let help = near.unwrap_or_else(|| {
            "a run takes it to be there; pass its manifest or what makes it, or write `optional: true`"
                .to_owned()
        });
        let diagnostic = Diagnostic::new(Code::W0400, first.span, message).help(help);
        self.push(object, diagnostic.label("named here"));
    }

    /// W0401.
    fn missing_keys(&mut self, object: &Object, namespace: &str, all: &[Reference<'_>]) {
        let manifests = self.manifests;
        let mut lacking = Vec::new();
        for it in all {
            let Some(key) = it.key else { continue };
            let source = manifests.objects.iter().find(|object| {
                object.key.group.is_empty()
                    && object.key.kind == it.kind.name()
                    && object.key.namespace == namespace
                    && object.key.name == it.name
            });
            let keys = source.and_then(keys_of).filter(|keys| !keys.contains(&key));
            lacking.extend(keys.map(|keys| (it, key, keys)));
        }
        let Some((first, key, keys)) = lacking.first() else { return };
        let more = match lacking.len() - 1 {
            0 => String::new(),
            count => format!(", and {count} more of its keys are not there"),
        };
        let message = format!(
            "{}: {} {namespace}/{} has no key `{key}`, without which its containers are not made{more}",
            object.title(),
            first.kind.name(),
            first.name
        );
        let help = suggestion(key, keys.iter().copied());
        self.push(object, Diagnostic::new(Code::W0401, first.span, message).help_if(help));
    }
}

/// `a, b and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        few if few.len() <= NAMED_MAX => {
            let (last, others) = few.split_last().expect("it is not empty");
            format!("{} and {last}", others.join(", "))
        }
        many => {
            let shown = many[..NAMED_MAX].join(", ");
            format!("{shown} and {} more", many.len() - NAMED_MAX)
        }
    }
}

/// The keys of a Secret or ConfigMap; `None` where something fills it, or its data was left out.
fn keys_of(object: &Object) -> Option<Vec<&str>> {
    if object.find("type").and_then(Node::text) == Some("kubernetes.io/service-account-token") {
        return None;
    }
    let parts = ["data", "stringData", "binaryData"];
    let entries = parts.iter().filter_map(|part| object.find(part)?.entries()).flatten();
    let keys: Vec<&str> = entries.map(|entry| entry.key.as_str()).collect();
    (!keys.is_empty()).then_some(keys)
}

/// What the pods of a template name and do not declare optional.
fn references(pod: &Node) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for list in ["containers", "initContainers"] {
        for container in items(pod, list) {
            for value in items(container, "env").filter_map(|it| it.get("valueFrom")) {
                note(value, "configMapKeyRef", (ConfigMap, "name"), &mut found);
                note(value, "secretKeyRef", (Secret, "name"), &mut found);
            }
            for source in items(container, "envFrom") {
                note(source, "configMapRef", (ConfigMap, "name"), &mut found);
                note(source, "secretRef", (Secret, "name"), &mut found);
            }
        }
    }
    for volume in items(pod, "volumes") {
        note(volume, "configMap", (ConfigMap, "name"), &mut found);
        note(volume, "secret", (Secret, "secretName"), &mut found);
        for source in volume.get("projected").into_iter().flat_map(|it| items(it, "sources")) {
            note(source, "configMap", (ConfigMap, "name"), &mut found);
            note(source, "secret", (Secret, "name"), &mut found);
        }
    }
    found
}

fn items<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Node> {
    node.get(key).and_then(Node::items).unwrap_or_default().iter()
}

/// Notes what a field names.
fn note<'a>(
    node: &'a Node,
    field: &str,
    (kind, name_key): (SourceKind, &str),
    found: &mut Vec<Reference<'a>>,
) {
    let Some(source) = node.get(field) else { return };
    let is_optional = source.get("optional").and_then(Node::text) == Some("true");
    let Some(name_node) = source.get(name_key).filter(|_| !is_optional) else { return };
    let Some(name) = name_node.text().filter(|name| !name.is_empty()) else { return };
    let reference = |key| Reference { kind, name, key, span: name_node.span };
    let own = source.get("key").and_then(Node::text);
    let listed = items(source, "items").filter_map(|it| it.get("key")?.text());
    let keys: Vec<&str> = own.into_iter().chain(listed).collect();
    if keys.is_empty() {
        found.push(reference(None));
    }
    found.extend(keys.into_iter().map(|key| reference(Some(key))));
}

/// Secrets and ConfigMaps that are in the input, or that something in it makes.
///
/// Sources: cert-manager 1.18 (`Certificate`, its shims of Ingress and Gateway, ACME accounts), trust-manager
/// (`Bundle`), CloudNativePG 1.27 (`-app`, `-superuser` and the certificates of a Cluster), the operator of
/// Zalando (`secret_name_template`), the operators of Vault, Strimzi, RabbitMQ and Elasticsearch, Crossplane
/// (`writeConnectionSecretToRef`), Kyverno (`generate`), Reflector and Replicator (copies in other namespaces),
/// `kube-webhook-certgen` (`--secret-name`).
#[derive(Debug, Default)]
struct Producers {
    /// Without a namespace: in any.
    made: BTreeSet<(SourceKind, Option<String>, String)>,
    /// Names that end so are made for roles of databases.
    endings: Vec<String>,
}

/// Objects that make a Secret of the name that a field has.
const BY_FIELD: [(&str, &str, &str); 9] = [
    ("cert-manager.io", "Certificate", "spec.secretName"),
    ("cert-manager.io", "Issuer", "spec.acme.privateKeySecretRef.name"),
    ("secrets.hashicorp.com", "VaultStaticSecret", "spec.destination.name"),
    ("secrets.hashicorp.com", "VaultDynamicSecret", "spec.destination.name"),
    ("secrets.hashicorp.com", "VaultPKISecret", "spec.destination.name"),
    ("secrets.infisical.com", "InfisicalSecret", "spec.managedSecretReference.secretName"),
    ("onepassword.com", "OnePasswordItem", "metadata.name"),
    ("kafka.strimzi.io", "KafkaUser", "metadata.name"),
    ("k8s.bitwarden.com", "BitwardenSecret", "spec.secretName"),
];

/// Objects that make Secrets of their own name with such endings.
const BY_ENDING: [(&str, &str, &[&str]); 4] = [
    (
        "postgresql.cnpg.io",
        "Cluster",
        &["-app", "-superuser", "-ca", "-server", "-replication", "-pull-secret"],
    ),
    (
        "kafka.strimzi.io",
        "Kafka",
        &["-cluster-ca", "-cluster-ca-cert", "-clients-ca", "-clients-ca-cert"],
    ),
    ("rabbitmq.com", "RabbitmqCluster", &["-default-user", "-erlang-cookie"]),
    (
        "elasticsearch.k8s.elastic.co",
        "Elasticsearch",
        &["-es-elastic-user", "-es-http-certs-public", "-es-http-certs-internal"],
    ),
];

/// Annotations of objects that a controller copies to other namespaces under the same name.
const COPIED: [&str; 4] = [
    "reflector.v1.k8s.emberstack.com/reflection-auto-enabled",
    "replicator.v1.mittwald.de/replicate-to",
    "replicator.v1.mittwald.de/replicate-to-matching",
    "kubed.appscode.com/sync",
];

/// ConfigMaps that Kubernetes, its installer or an operator puts there.
const BUILT_IN: [(&str, &str); 8] = [
    ("kube-root-ca.crt", ""),
    ("openshift-service-ca.crt", ""),
    ("cnpg-default-monitoring", ""),
    ("extension-apiserver-authentication", "kube-system"),
    ("kubeadm-config", "kube-system"),
    ("kubelet-config", "kube-system"),
    ("kube-proxy", "kube-system"),
    ("coredns", "kube-system"),
];

impl Producers {
    fn of(lint: &Lint<'_>) -> Self {
        let mut producers = Self::default();
        for object in &lint.manifests.objects {
            producers.add(object);
        }
        for made in &lint.blueprint.made_secrets {
            producers.put(Secret, Some(&made.namespace), &made.name);
        }
        for (namespace, name) in &lint.manifests.secrets_of_jobs {
            producers.put(Secret, Some(namespace.as_str()), name);
        }
        for (name, namespace) in BUILT_IN {
            producers.put(ConfigMap, Some(namespace).filter(|it| !it.is_empty()), name);
        }
        producers
    }

    fn put(&mut self, kind: SourceKind, namespace: Option<&str>, name: &str) {
        self.made.insert((kind, namespace.map(str::to_owned), name.to_owned()));
    }

    fn has(&self, kind: SourceKind, namespace: &str, name: &str) -> bool {
        let is_in = |namespace: Option<&str>| {
            self.made.contains(&(kind, namespace.map(str::to_owned), name.to_owned()))
        };
        let is_token = kind == Secret && is_token_name(name);
        let is_of_role = || self.endings.iter().any(|ending| name.ends_with(ending.as_str()));
        is_in(Some(namespace)) || is_in(None) || is_token || is_of_role()
    }

    /// Names of what is there.
    fn names(&self, kind: SourceKind, namespace: &str) -> Vec<&str> {
        let is_here = |of: &Option<String>| of.as_deref().is_none_or(|it| it == namespace);
        let here = self.made.iter().filter(|(known, of, _)| *known == kind && is_here(of));
        here.map(|(_, _, name)| name.as_str()).collect()
    }

    /// Notes what an object is or makes.
    fn add(&mut self, object: &Object) {
        let (group, kind) = (object.key.group.as_str(), object.key.kind.as_str());
        let here = Some(object.key.namespace.as_str());
        let own = object.key.name.as_str();
        let text = |path: &str| object.find(path).and_then(Node::text);
        let annotations = object.node.at(&["metadata", "annotations"]);
        let has_annotation = |keys: &[&str]| {
            keys.iter().any(|key| annotations.is_some_and(|it| it.get(key).is_some()))
        };
        for (of_group, of_kind, path) in BY_FIELD {
            if (group, kind) == (of_group, of_kind)
                && let Some(name) = text(path)
            {
                self.put(Secret, here, name);
            }
        }
        for (of_group, of_kind, endings) in BY_ENDING {
            if (group, kind) == (of_group, of_kind) {
                endings.iter().for_each(|it| self.put(Secret, here, &format!("{own}{it}")));
            }
        }
        let template = object.node.at(&["spec", "secretTemplate", "annotations"]);
        let is_copied = has_annotation(&COPIED)
            || COPIED.iter().any(|key| template.is_some_and(|it| it.get(key).is_some()));
        let everywhere = if is_copied { None } else { here };
        match (group, kind) {
            ("", "Secret") => self.put(Secret, everywhere, own),
            ("", "ConfigMap") => self.put(ConfigMap, everywhere, own),
            ("cert-manager.io", "Certificate") if is_copied => {
                text("spec.secretName").into_iter().for_each(|name| self.put(Secret, None, name));
            }
            ("cert-manager.io", "ClusterIssuer") => {
                let account = text("spec.acme.privateKeySecretRef.name");
                account.into_iter().for_each(|name| self.put(Secret, None, name));
            }
            ("trust.cert-manager.io", "Bundle") => {
                self.put(ConfigMap, None, own);
                self.put(Secret, None, own);
            }
            ("external-secrets.io", "ClusterExternalSecret") => {
                let fields = ["spec.externalSecretSpec.target.name", "spec.externalSecretName"];
                let name = fields.into_iter().find_map(text).unwrap_or(own);
                self.put(Secret, None, name);
            }
            ("acid.zalan.do", "postgresql") => {
                self.endings.push(format!(".{own}.credentials.postgresql.acid.zalan.do"));
            }
            ("secrets-store.csi.x-k8s.io", "SecretProviderClass") => {
                self.named(object, &["spec", "secretObjects"], "secretName", here);
            }
            ("networking.k8s.io", "Ingress") if has_annotation(&ISSUERS) => {
                self.named(object, &["spec", "tls"], "secretName", here);
            }
            ("gateway.networking.k8s.io", "Gateway") if has_annotation(&ISSUERS) => {
                let listeners = object.node.at(&["spec", "listeners"]);
                for listener in listeners.and_then(Node::items).unwrap_or_default() {
                    let tls = listener.get("tls");
                    for entry in tls.into_iter().flat_map(|it| items(it, "certificateRefs")) {
                        let name = entry.get("name").and_then(Node::text);
                        name.into_iter().for_each(|name| self.put(Secret, here, name));
                    }
                }
            }
            ("kyverno.io", "ClusterPolicy" | "Policy") => self.generated(object),
            _ => {}
        }
        if let Some(name) = text("spec.writeConnectionSecretToRef.name") {
            let namespace = text("spec.writeConnectionSecretToRef.namespace").or(here);
            self.put(Secret, namespace, name);
        }
    }

    /// Names of Secrets in a field of each entry of a list.
    fn named(&mut self, object: &Object, list: &[&str], field: &str, here: Option<&str>) {
        for entry in object.node.at(list).and_then(Node::items).unwrap_or_default() {
            let name = entry.get(field).and_then(Node::text);
            name.into_iter().for_each(|name| self.put(Secret, here, name));
        }
    }

    /// What a policy of Kyverno makes in each namespace that it is about.
    fn generated(&mut self, object: &Object) {
        let rules = object.node.at(&["spec", "rules"]).and_then(Node::items).unwrap_or_default();
        for made in rules.iter().filter_map(|rule| rule.get("generate")) {
            let text = |key: &str| made.get(key).and_then(Node::text);
            let kind = match text("kind") {
                Some("Secret") => Secret,
                Some("ConfigMap") => ConfigMap,
                _ => continue,
            };
            text("name").into_iter().for_each(|name| self.put(kind, None, name));
        }
    }
}

/// Annotations with which an Ingress or Gateway has its certificates made.
const ISSUERS: [&str; 2] = ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer"];

/// The token of a ServiceAccount, as its controller named them until Kubernetes 1.24
/// (`<account>-token-<five characters>`).
fn is_token_name(name: &str) -> bool {
    name.rsplit_once("-token-").is_some_and(|(_, end)| {
        end.len() == 5 && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
