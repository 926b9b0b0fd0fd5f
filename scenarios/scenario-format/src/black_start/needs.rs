//! What pods need to be created and to start, and which workloads provide it.

use std::collections::{BTreeMap, BTreeSet};

use model_api::black_start::StartFrom;
use model_api::blueprint::DatabaseManager;
use model_api::kube::{
    SecretMaker, SecretProvider, SecretStore, SourceKind, StorageClass, Workload, WorkloadKind,
    is_injected, registry_host,
};
use model_api::{Blueprint, Registry, ServiceId};

/// DaemonSets that give pods their network, as their projects name them.
const NETWORK_PLUGINS: [&str; 9] = [
    "antrea-agent",
    "calico-node",
    "canal",
    "cilium",
    "kindnet",
    "kube-flannel-ds",
    "kube-router",
    "ovnkube-node",
    "weave-net",
];
/// `app.kubernetes.io/name` of vaults.
const VAULTS: [&str; 2] = ["vault", "openbao"];
/// The label `app` of the driver that mounts secrets, in the chart of Secrets Store CSI Driver 1.5.
const SECRETS_STORE_DRIVER: &str = "secrets-store-csi-driver";

/// What a pod waits for; the order is that of how little it costs to go without by hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// The answer of a webhook, by position.
    Webhook(usize),
    /// A Secret that something makes, by position.
    Made(usize),
    /// An image, from a registry of this host.
    Image(String),
    /// Secrets that a vault injects.
    Injected,
    /// Secrets mounted by a class of the CSI driver, by position.
    Mounted(usize),
    /// A volume of this storage class.
    Volume(String),
    /// The key of an encrypted volume of this storage class.
    VolumeKey(String),
    /// An address.
    Network,
    /// The operator of a database, by position: it creates the pods itself, without a StatefulSet
    /// (`internal/controller/cluster_create.go`, CloudNativePG 1.30).
    Operator(usize),
}

/// One pod needs another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) need: Need,
    pub(super) to: usize,
}

/// Whether somebody has to unseal it: a vault starts sealed (Vault 1.21, `docs/concepts/seal`).
pub(super) fn is_vault(workload: &Workload) -> bool {
    is_named(workload, &VAULTS)
}

/// Whether it opens what is sealed, with a key that is a Secret itself.
pub(super) fn is_sealed_secrets(workload: &Workload) -> bool {
    SecretMaker::SealedSecrets.is_run_by(workload)
}

fn is_named(workload: &Workload, names: &[&str]) -> bool {
    let name = workload.template.labels.get("app.kubernetes.io/name");
    name.is_some_and(|name| names.contains(&name.as_str()))
}

/// What each workload needs of which other one.
pub(super) fn edges(blueprint: &Blueprint, from: StartFrom) -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    let mut targets: BTreeMap<Need, Vec<usize>> = BTreeMap::new();
    for (idx, workload) in blueprint.workloads.iter().enumerate() {
        for need in needs(blueprint, idx, workload, from) {
            let providers =
                targets.entry(need.clone()).or_insert_with_key(|need| providers(blueprint, need));
            for to in providers.iter().copied() {
                edges.insert(Edge { from: idx, need: need.clone(), to });
            }
        }
    }
    edges
}

/// What a workload's pods need to be created and to start.
fn needs(
    blueprint: &Blueprint,
    idx: usize,
    workload: &Workload,
    from: StartFrom,
) -> BTreeSet<Need> {
    let spec = &workload.template.spec;
    let mut needs = BTreeSet::new();
    let is_new = from.has_new_nodes();
    for (nth, webhook) in blueprint.webhooks.iter().enumerate() {
        if is_new
            && webhook.fails_closed
            && webhook.guards.iter().any(|guarded| guarded.index() == idx)
        {
            needs.insert(Need::Webhook(nth));
        }
    }
    for container in spec.init_containers.iter().chain(&spec.containers) {
        // A registry is asked for what is pulled always, whatever the node has
        // (`pkg/kubelet/images/image_manager.go`, Kubernetes 1.36).
        if is_new || container.always_pulls {
            needs.insert(Need::Image(registry_host(&container.image).to_owned()));
        }
    }
    if !spec.host_network {
        needs.insert(Need::Network);
    }
    for (nth, database) in blueprint.databases.iter().enumerate() {
        let has_operator = is_new
            && database.manager == DatabaseManager::CloudNativePg
            && !database.is_hibernated
            && database.operator.is_some();
        if has_operator && database.workload.index() == idx {
            needs.insert(Need::Operator(nth));
        }
    }
    for class in classes(blueprint, workload) {
        needs.insert(Need::Volume(class.clone()));
        needs.insert(Need::VolumeKey(class));
    }
    needs.extend(secrets(blueprint, workload, from));
    needs
}

/// Without a Secret that it names, a container waits in `CreateContainerConfigError`
/// (`pkg/kubelet/kuberuntime/kuberuntime_container.go`, 1.36) or its volume is not mounted; one that is
/// in etcd is there, whoever made it.
fn secrets(blueprint: &Blueprint, workload: &Workload, from: StartFrom) -> Vec<Need> {
    let spec = &workload.template.spec;
    let mut needs = Vec::new();
    let annotations = &workload.template.annotations;
    if is_injected(annotations) {
        needs.push(Need::Injected);
    }
    for (nth, class) in blueprint.secret_providers.iter().enumerate() {
        if class.namespace == workload.namespace && spec.secret_providers.contains(&class.name) {
            needs.push(Need::Mounted(nth));
        }
    }
    for (nth, secret) in blueprint.made_secrets.iter().enumerate() {
        let mut of_kind = spec.sources.iter().filter(|it| it.kind == SourceKind::Secret);
        let is_named =
            secret.namespace == workload.namespace && of_kind.any(|it| it.name == secret.name);
        if is_named && from == StartFrom::Git {
            needs.push(Need::Made(nth));
        }
    }
    needs
}

/// Storage classes of the claims of a workload.
fn classes(blueprint: &Blueprint, workload: &Workload) -> Vec<String> {
    let of_templates = match &workload.kind {
        WorkloadKind::StatefulSet { claims, .. } => claims.as_slice(),
        _ => &[],
    };
    let names = &workload.template.spec.claim_names;
    let named = blueprint
        .claims
        .iter()
        .filter(|claim| claim.namespace == workload.namespace && names.contains(&claim.name));
    let default = || blueprint.storage_classes.iter().find(|class| class.is_default);
    of_templates
        .iter()
        .chain(named)
        .filter_map(|it| it.storage_class.clone().or_else(|| Some(default()?.name.clone())))
        .collect()
}

/// Workloads without which a need is not met.
fn providers(blueprint: &Blueprint, need: &Need) -> Vec<usize> {
    match need {
        Need::Webhook(idx) => {
            let service = blueprint.webhooks[*idx].service;
            service.map_or_else(Vec::new, |service| behind(blueprint, service))
        }
        Need::Image(host) => {
            let registry = Registry::of(blueprint, host);
            let behind = registry.services.iter().flat_map(|id| behind(blueprint, *id));
            let databases = registry.databases.iter().map(|id| &blueprint.databases[id.index()]);
            behind.chain(databases.map(|database| database.workload.index())).collect()
        }
        Need::Operator(idx) => {
            blueprint.databases[*idx].operator.iter().map(|id| id.index()).collect()
        }
        Need::Injected => which(blueprint, is_vault),
        Need::Made(idx) => {
            let maker = &blueprint.made_secrets[*idx].maker;
            let mut makers = which(blueprint, |it| maker.is_run_by(it));
            if let SecretMaker::ExternalSecrets { store, .. } = maker {
                makers.extend(stores(blueprint, *store));
            }
            makers
        }
        Need::Mounted(idx) => {
            let class = &blueprint.secret_providers[*idx];
            let mut mounting = which(blueprint, |it| mounts(class, it));
            mounting.extend(stores(blueprint, class.store));
            mounting
        }
        Need::Volume(class) => {
            let class = class_named(blueprint, class);
            let namespace = class.and_then(|class| driver_namespace(&class.provisioner));
            which(blueprint, |workload| Some(workload.namespace.as_str()) == namespace)
        }
        Need::VolumeKey(class) => class_named(blueprint, class)
            .map_or_else(Vec::new, |class| stores(blueprint, class.key_store)),
        Need::Network => which(blueprint, |workload| {
            matches!(workload.kind, WorkloadKind::DaemonSet { .. })
                && workload.template.spec.host_network
                && NETWORK_PLUGINS.contains(&workload.name.as_str())
        }),
    }
}

fn class_named<'a>(blueprint: &'a Blueprint, name: &str) -> Option<&'a StorageClass> {
    blueprint.storage_classes.iter().find(|known| known.name == name)
}

/// Workloads whose pods a Service leads to.
///
/// Simplified: where several answer for one Service, all of them are waited for.
fn behind(blueprint: &Blueprint, service: ServiceId) -> Vec<usize> {
    let service = &blueprint.services[service.index()];
    which(blueprint, |it| service.selects(&it.namespace, &it.template.labels))
}

/// Workloads that a store of secrets consists of.
fn stores(blueprint: &Blueprint, store: SecretStore) -> Vec<usize> {
    match store {
        SecretStore::Elsewhere => Vec::new(),
        SecretStore::Behind(service) => behind(blueprint, service),
        SecretStore::AnyVault => which(blueprint, is_vault),
    }
}

/// Whether a DaemonSet takes part in mounting: the driver, and the provider that it asks.
fn mounts(class: &SecretProvider, workload: &Workload) -> bool {
    let label = |key: &str| workload.template.labels.get(key).map(String::as_str);
    let provider = format!("{}-csi-provider", class.provider);
    matches!(workload.kind, WorkloadKind::DaemonSet { .. })
        && (label("app") == Some(SECRETS_STORE_DRIVER)
            || label("app.kubernetes.io/name") == Some(SECRETS_STORE_DRIVER)
            || label("app.kubernetes.io/name") == Some(provider.as_str())
            || workload.name == provider)
}

fn which(blueprint: &Blueprint, is_one: impl Fn(&Workload) -> bool) -> Vec<usize> {
    let workloads = blueprint.workloads.iter().enumerate();
    workloads.filter(|(_, workload)| is_one(workload)).map(|(idx, _)| idx).collect()
}

/// The namespace of a storage driver that runs in the cluster: Rook puts it first in the name of
/// its provisioners, Longhorn has one of its own.
fn driver_namespace(provisioner: &str) -> Option<&str> {
    if provisioner == "driver.longhorn.io" {
        return Some("longhorn-system");
    }
    let ceph = [".rbd.csi.ceph.com", ".cephfs.csi.ceph.com"];
    ceph.iter().find_map(|suffix| provisioner.strip_suffix(suffix))
}
