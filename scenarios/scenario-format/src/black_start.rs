//! Black start: what runs before what, after everything stood still, and what keeps it from running.
//!
//! Edges lead from pods to the pods without which they are not created or cannot start: a webhook
//! that fails closed, a registry in this cluster (nodes are taken to have lost their images) with the
//! gateway before it and whatever is stated that it asks, the network plugin, a storage driver in this
//! cluster, a vault that injects secrets, the operator that creates the pods of a database. Whatever
//! stands outside of the input is taken to run, and etcd to have kept what it had: Secrets that an
//! operator made of what is in a vault are there, and nobody waits for the vault. What a ConfigMap says about
//! the seal of a vault is not read: that somebody unseals it is named of each.

use std::collections::{BTreeMap, BTreeSet};

use model_api::blueprint::DatabaseManager;
use model_api::kube::{Workload, WorkloadKind, registry_host};
use model_api::{Blueprint, Registry, WorkloadId};

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
/// Annotations with which pods ask a vault to inject their secrets.
const INJECTIONS: [&str; 2] = ["vault.hashicorp.com/agent-inject", "openbao.org/agent-inject"];
/// `app.kubernetes.io/name` of vaults.
const VAULTS: [&str; 2] = ["vault", "openbao"];

/// What a pod waits for; the order is that of how little it costs to go without by hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// The answer of a webhook, by position.
    Webhook(usize),
    /// An image, from a registry of this host.
    Image(String),
    /// Secrets that a vault injects.
    Secret,
    /// A volume of this storage class.
    Volume(String),
    /// An address.
    Network,
    /// The operator of a database, by position: it creates the pods itself, without a StatefulSet
    /// (`internal/controller/cluster_create.go`, CloudNativePG 1.30).
    Operator(usize),
}

/// One pod needs another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: usize,
    need: Need,
    to: usize,
}

/// One stage of a black start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// These start, each as soon as what it needs of earlier stages runs.
    Start {
        /// Which, as `namespace/name`.
        workloads: Vec<String>,
        /// What of earlier stages they wait for, in words; each once.
        waits_for: Vec<String>,
    },
    /// Nothing more starts by itself, or a vault has started and is sealed.
    ByHand {
        /// The way around the circle, or what is missing, in words.
        because: Vec<String>,
        /// The smallest step that breaks it, or that is missing.
        step: String,
    },
}

/// The order in which everything starts when nothing runs.
pub fn black_start(blueprint: &Blueprint) -> Vec<Stage> {
    let words = Words { blueprint };
    let mut edges = edges(blueprint);
    let mut left: BTreeSet<usize> = (0..blueprint.workloads.len()).collect();
    let mut stages = Vec::new();
    let mut started: BTreeSet<usize> = BTreeSet::new();
    while !left.is_empty() {
        let held: BTreeSet<usize> =
            edges.iter().filter(|it| left.contains(&it.to)).map(|edge| edge.from).collect();
        let ready: BTreeSet<usize> = left.difference(&held).copied().collect();
        if ready.is_empty() {
            let Some(circle) = first_circle(&edges, &left) else { break };
            for (need, pods) in steps_of(&circle) {
                let because = path_of(&circle).iter().map(|edge| words.reason(edge)).collect();
                stages.push(Stage::ByHand { because, step: words.step(&need, &pods) });
                // A webhook that is deleted guards nobody any more.
                let is_for_all = matches!(need, Need::Webhook(_));
                let is_met =
                    |edge: &Edge| edge.need == need && (is_for_all || pods.contains(&edge.from));
                edges.retain(|edge| !is_met(edge));
            }
            continue;
        }
        let waits = edges.iter().filter(|it| ready.contains(&it.from) && started.contains(&it.to));
        let waits: BTreeSet<String> = waits.map(|edge| words.met(edge)).collect();
        stages.push(Stage::Start {
            workloads: ready.iter().map(|idx| words.name(*idx)).collect(),
            waits_for: waits.into_iter().collect(),
        });
        let vaults = ready.iter().filter(|idx| is_vault(&blueprint.workloads[**idx]));
        stages.extend(vaults.map(|idx| words.unseal(*idx)));
        left.retain(|idx| !ready.contains(idx));
        started.extend(ready);
    }
    stages
}

/// Whether somebody has to unseal it: a vault starts sealed (Vault 1.21, `docs/concepts/seal`).
fn is_vault(workload: &Workload) -> bool {
    let name = workload.template.labels.get("app.kubernetes.io/name");
    name.is_some_and(|name| VAULTS.contains(&name.as_str()))
}

/// A circle among what is left that needs nothing else of it.
fn first_circle(edges: &BTreeSet<Edge>, left: &BTreeSet<usize>) -> Option<BTreeSet<Edge>> {
    let is_left = |edge: &&Edge| left.contains(&edge.from) && left.contains(&edge.to);
    let edges: BTreeSet<Edge> = edges.iter().filter(is_left).cloned().collect();
    circles(&edges).into_iter().find(|circle| {
        let members: BTreeSet<usize> = circle.iter().map(|edge| edge.from).collect();
        let leads_out = |edge: &Edge| members.contains(&edge.from) && !members.contains(&edge.to);
        !edges.iter().any(leads_out)
    })
}

/// The circles of a platform, each with the way around it and the smallest steps that break it, in
/// words, and its first workload.
pub(crate) fn vicious_circles(blueprint: &Blueprint) -> Vec<Circle> {
    let words = Words { blueprint };
    let of = |circle: BTreeSet<Edge>| {
        let path = path_of(&circle);
        Circle {
            first: path.first().map_or(0, |edge| edge.from),
            because: path.iter().map(|edge| words.reason(edge)).collect(),
            steps: steps_of(&circle).iter().map(|(need, pods)| words.step(need, pods)).collect(),
        }
    };
    circles(&edges(blueprint)).into_iter().map(of).collect()
}

/// Workloads that need each other.
pub(crate) struct Circle {
    /// The one that the way around begins with.
    pub(crate) first: usize,
    /// The way around.
    pub(crate) because: Vec<String>,
    /// What somebody does by hand.
    pub(crate) steps: Vec<String>,
}

/// Names and needs in words.
struct Words<'a> {
    blueprint: &'a Blueprint,
}

impl Words<'_> {
    fn name(&self, idx: usize) -> String {
        self.blueprint.workload_name(WorkloadId::from_index(idx))
    }

    fn reason(&self, edge: &Edge) -> String {
        format!("{} needs {}", self.name(edge.from), self.met(edge))
    }

    /// What an edge is about, and who provides it.
    fn met(&self, edge: &Edge) -> String {
        format!("{} {}", self.need_text(&edge.need), self.name(edge.to))
    }

    fn need_text(&self, need: &Need) -> String {
        match need {
            Need::Webhook(idx) => {
                format!("webhook {} (failurePolicy Fail), answered by", self.webhook(*idx))
            }
            Need::Image(host) => format!("an image of {host}, which needs"),
            Need::Secret => "secrets injected by".to_owned(),
            Need::Volume(class) => format!("a volume of {class}, provided by"),
            Need::Network => "an address given by".to_owned(),
            Need::Operator(_) => "pods created by".to_owned(),
        }
    }

    /// What somebody does about a vault that has started.
    fn unseal(&self, idx: usize) -> Stage {
        let name = self.name(idx);
        let labels = &self.blueprint.workloads[idx].template.labels;
        let is_fork = labels.get("app.kubernetes.io/name").is_some_and(|name| name == "openbao");
        let program = if is_fork { "bao" } else { "vault" };
        Stage::ByHand {
            because: vec![format!(
                "{name} starts sealed, unless its configuration names a key elsewhere (auto-unseal)"
            )],
            step: format!("unseal each pod of {name} ({program} operator unseal)"),
        }
    }

    fn webhook(&self, idx: usize) -> &str {
        &self.blueprint.webhooks[idx].configuration
    }

    /// What somebody does by hand so that these pods can go without.
    fn step(&self, need: &Need, pods: &BTreeSet<usize>) -> String {
        let names: Vec<String> = pods.iter().map(|idx| self.name(*idx)).collect();
        let names = names.join(", ");
        match need {
            Need::Webhook(idx) => {
                let webhook = &self.blueprint.webhooks[*idx];
                let kind = if webhook.is_mutating { "mutating" } else { "validating" };
                let name = &webhook.configuration;
                format!("kubectl delete {kind}webhookconfiguration {name}")
            }
            Need::Image(_) => {
                format!(
                    "import the images of {names} on a node by hand (ctr -n k8s.io images import)"
                )
            }
            Need::Secret => format!("start {names} with a Secret made by hand"),
            Need::Volume(_) => format!("start {names} on a volume of another class"),
            Need::Network => format!("start {names} with hostNetwork"),
            Need::Operator(_) => format!("run the operator of {names} outside of the cluster"),
        }
    }
}

/// What each workload needs of which other one.
fn edges(blueprint: &Blueprint) -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    let mut targets: BTreeMap<Need, Vec<usize>> = BTreeMap::new();
    for (from, workload) in blueprint.workloads.iter().enumerate() {
        for need in needs(blueprint, from, workload) {
            let providers =
                targets.entry(need.clone()).or_insert_with_key(|need| providers(blueprint, need));
            for to in providers.iter().copied() {
                edges.insert(Edge { from, need: need.clone(), to });
            }
        }
    }
    edges
}

/// What a workload's pods need to be created and to start.
fn needs(blueprint: &Blueprint, idx: usize, workload: &Workload) -> BTreeSet<Need> {
    let spec = &workload.template.spec;
    let mut needs = BTreeSet::new();
    for (nth, webhook) in blueprint.webhooks.iter().enumerate() {
        if webhook.fails_closed && webhook.guards.iter().any(|guarded| guarded.index() == idx) {
            needs.insert(Need::Webhook(nth));
        }
    }
    for container in spec.init_containers.iter().chain(&spec.containers) {
        needs.insert(Need::Image(registry_host(&container.image).to_owned()));
    }
    let annotations = &workload.template.annotations;
    if INJECTIONS.iter().any(|key| annotations.get(*key).is_some_and(|value| value == "true")) {
        needs.insert(Need::Secret);
    }
    if !spec.host_network {
        needs.insert(Need::Network);
    }
    for (nth, database) in blueprint.databases.iter().enumerate() {
        let has_operator = database.manager == DatabaseManager::CloudNativePg
            && !database.is_hibernated
            && database.operator.is_some();
        if has_operator && database.workload.index() == idx {
            needs.insert(Need::Operator(nth));
        }
    }
    for class in classes(blueprint, workload) {
        needs.insert(Need::Volume(class));
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
    let behind = |namespace: &str, name: &str| {
        let service = blueprint
            .services
            .iter()
            .find(|service| service.namespace == namespace && service.name == name);
        which(blueprint, |workload| {
            service.is_some_and(|it| it.selects(&workload.namespace, &workload.template.labels))
        })
    };
    match need {
        Need::Webhook(idx) => blueprint.webhooks[*idx].service.map_or_else(Vec::new, |service| {
            let service = &blueprint.services[service.index()];
            behind(&service.namespace, &service.name)
        }),
        Need::Image(host) => {
            let registry = Registry::of(blueprint, host);
            let services = registry.services.iter().map(|id| &blueprint.services[id.index()]);
            let behind = services.flat_map(|it| behind(&it.namespace, &it.name));
            let databases = registry.databases.iter().map(|id| &blueprint.databases[id.index()]);
            behind.chain(databases.map(|database| database.workload.index())).collect()
        }
        Need::Operator(idx) => {
            blueprint.databases[*idx].operator.iter().map(|id| id.index()).collect()
        }
        Need::Secret => which(blueprint, is_vault),
        Need::Volume(class) => {
            let class = blueprint.storage_classes.iter().find(|known| known.name == *class);
            let namespace = class.and_then(|class| driver_namespace(&class.provisioner));
            which(blueprint, |workload| Some(workload.namespace.as_str()) == namespace)
        }
        Need::Network => which(blueprint, |workload| {
            matches!(workload.kind, WorkloadKind::DaemonSet { .. })
                && workload.template.spec.host_network
                && NETWORK_PLUGINS.contains(&workload.name.as_str())
        }),
    }
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

/// The edges of each set of workloads that need each other.
fn circles(edges: &BTreeSet<Edge>) -> Vec<BTreeSet<Edge>> {
    // What nobody needs can be part of none.
    let needed: BTreeSet<usize> = edges.iter().map(|edge| edge.to).collect();
    let edges: BTreeSet<&Edge> = edges.iter().filter(|it| needed.contains(&it.from)).collect();
    let mut next: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for edge in &edges {
        next.entry(edge.from).or_default().insert(edge.to);
    }
    let reached: BTreeMap<usize, BTreeSet<usize>> =
        next.keys().map(|from| (*from, reachable(&next, *from))).collect();
    let reaches = |from: usize, to: usize| reached.get(&from).is_some_and(|it| it.contains(&to));
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for from in next.keys().copied() {
        if !reaches(from, from) || seen.contains(&from) {
            continue;
        }
        let members: BTreeSet<usize> =
            next.keys().copied().filter(|to| reaches(from, *to) && reaches(*to, from)).collect();
        seen.extend(members.iter().copied());
        let inside = |edge: &&Edge| members.contains(&edge.from) && members.contains(&edge.to);
        circles.push(edges.iter().copied().filter(inside).cloned().collect());
    }
    circles
}

/// Where one can get from a workload in one step or more.
fn reachable(next: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for to in next.get(&at).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    reached
}

/// A shortest way around a circle, from its first workload.
fn path_of(circle: &BTreeSet<Edge>) -> Vec<Edge> {
    let Some(start) = circle.first().map(|edge| edge.from) else { return Vec::new() };
    let mut ways: Vec<Vec<Edge>> = vec![Vec::new()];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in &ways {
            let at = way.last().map_or(start, |edge| edge.to);
            for edge in circle.iter().filter(|edge| edge.from == at) {
                let mut way = way.clone();
                way.push(edge.clone());
                if edge.to == start {
                    return way;
                }
                if seen.insert(edge.to) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    Vec::new()
}

/// Needs to do without, each with the pods that do, until no circle is left: one, when one is
/// enough.
fn steps_of(circle: &BTreeSet<Edge>) -> Vec<(Need, BTreeSet<usize>)> {
    let mut left = circle.clone();
    let mut steps = Vec::new();
    while !circles(&left).is_empty() {
        let needs: BTreeSet<Need> = left.iter().map(|edge| edge.need.clone()).collect();
        let without = |need: &Need| -> BTreeSet<Edge> {
            left.iter().filter(|edge| edge.need != *need).cloned().collect()
        };
        let enough = needs.iter().find(|need| circles(&without(need)).is_empty());
        let Some(need) = enough.or(needs.first()) else { break };
        let pods = left.iter().filter(|edge| edge.need == *need).map(|edge| edge.from).collect();
        steps.push((need.clone(), pods));
        left = without(need);
    }
    steps
}
