//! The cluster of a scheduling case: nodes, pods, budgets, volumes.

use std::collections::BTreeSet;

use model_api::kube::{LabelSelector, Labels, NodeSelector, Operator, Requirement, Service};
use model_kube::scheduling::case::{Case as Question, CaseBudget, CasePod};
use model_kube::scheduling::{
    BoundClaim, Claim, ClaimClass, Profile, UnboundClaim, Volume, default_selector,
};
use scenario_format::Diagnostic;
use scenario_format::manifest::live;

use crate::amounts;
use crate::case::Case;
use crate::object;
use crate::tree::Tree;

/// The case as the model is asked it.
pub(super) fn question(case: &mut Case<'_>, profile: Profile) -> Result<Question, String> {
    let given = case.given;
    let diagnostics = &mut case.diagnostics;
    let objects = Objects::of(given);
    let mut names = BTreeSet::new();
    for node in given.at("nodes").items() {
        if !names.insert(object::name(node)) {
            return Err(format!("two nodes are named {}", object::name(node)));
        }
    }
    let mut pod = objects.pod(given.at("pod"), diagnostics);
    pod.template.spec.node_name = pod.node.take();
    let namespaces = objects.all.iter().filter(|object| object.at("kind").text() == "Namespace");
    let pods = given.at("pods").items().filter(|pod| !object::is_finished(*pod));
    Ok(Question {
        profile,
        namespaces: namespaces
            .map(|it| (object::name(*it), object::labels(it.at("metadata.labels"))))
            .collect(),
        nodes: given.at("nodes").items().map(|node| object::node(node, diagnostics)).collect(),
        attach_limits: attach_limits(&objects.all),
        pods: pods.map(|pod| objects.pod(pod, diagnostics)).collect(),
        pod,
        budgets: given.at("podDisruptionBudgets").items().map(budget).collect(),
    })
}

fn budget(budget: Tree<'_>) -> CaseBudget {
    CaseBudget {
        namespace: budget.at("metadata.namespace").text().to_owned(),
        selector: object::selector(budget.at("spec.selector")),
        disruptions_allowed: budget.at("status.disruptionsAllowed").int32(),
        disrupted: budget
            .at("status.disruptedPods")
            .fields()
            .map(|(name, _)| name.to_owned())
            .collect(),
    }
}

fn attach_limits(objects: &[Tree<'_>]) -> Vec<(String, Vec<(String, u32)>)> {
    let nodes = objects.iter().filter(|object| object.at("kind").text() == "CSINode");
    nodes
        .map(|node| {
            let drivers = node.at("spec.drivers").items();
            let limits = drivers.filter_map(|driver| {
                let count = driver.at("allocatable.count").int()?;
                Some((object::text(driver, "name"), u32::try_from(count).ok()?))
            });
            (object::name(*node), limits.collect())
        })
        .collect()
}

/// Objects of a case beside nodes and pods.
struct Objects<'a> {
    all: Vec<Tree<'a>>,
    services: Vec<Service>,
}

impl<'a> Objects<'a> {
    fn of(given: Tree<'a>) -> Self {
        let all: Vec<Tree<'_>> = given.at("objects").items().collect();
        let services = all.iter().filter(|object| object.at("kind").text() == "Service");
        let service = |it: &Tree<'_>| Service {
            namespace: object::text(*it, "metadata.namespace"),
            name: object::name(*it),
            selector: object::labels(it.at("spec.selector")),
            ..Service::default()
        };
        Self { services: services.map(service).collect(), all }
    }

    fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<Tree<'a>> {
        let found = self.all.iter().find(|object| {
            object.at("kind").text() == kind
                && object.at("metadata.namespace").text() == namespace
                && object.at("metadata.name").text() == name
        });
        found.copied()
    }

    fn pod(&self, pod: Tree<'a>, diagnostics: &mut Vec<Diagnostic>) -> CasePod {
        let namespace = object::text(pod, "metadata.namespace");
        let mut template = object::pod(pod, diagnostics);
        // Only the incoming pod's own nodeName is a wish; see `question`.
        let node = template.spec.node_name.take().filter(|name| !name.is_empty());
        let claims = template.spec.claim_names.iter();
        let claims = claims.map(|name| self.claim(&namespace, name, diagnostics)).collect();
        let is_preemption = |condition: Tree<'_>| {
            condition.at("type").text() == "DisruptionTarget"
                && condition.at("status").text() == "True"
                && condition.at("reason").text() == "PreemptionByScheduler"
        };
        let is_terminating = object::is_terminating(pod);
        CasePod {
            name: object::name(pod),
            default_selector: self.selector_of(pod, &namespace, &template.labels),
            namespace,
            template,
            node,
            nominated_node: Some(object::text(pod, "status.nominatedNodeName"))
                .filter(|name| !name.is_empty()),
            claims,
            is_terminating,
            is_preempted: is_terminating && pod.at("status.conditions").items().any(is_preemption),
            started: pod.at("status.startTime").time(),
        }
    }

    /// What default spreading selects for a pod.
    fn selector_of(
        &self,
        pod: Tree<'_>,
        namespace: &str,
        pod_labels: &Labels,
    ) -> Option<LabelSelector> {
        let owners = pod.at("metadata.ownerReferences").items();
        let owner = owners.filter(|owner| owner.at("controller").is_true()).find_map(|owner| {
            let kind = owner.at("kind").text();
            let object = self.find(kind, namespace, owner.at("name").text())?;
            match kind {
                "ReplicaSet" | "StatefulSet" => object::selector(object.at("spec.selector")),
                "ReplicationController" => Some(LabelSelector {
                    match_labels: object::labels(object.at("spec.selector")),
                    ..LabelSelector::default()
                }),
                _ => None,
            }
        });
        default_selector(namespace, pod_labels, &self.services, owner.as_ref())
    }

    fn claim(&self, namespace: &str, name: &str, diagnostics: &mut Vec<Diagnostic>) -> Claim {
        let Some(claim) = self.find("PersistentVolumeClaim", namespace, name) else {
            return Claim::Missing;
        };
        let full_name = format!("{namespace}/{name}");
        let modes = claim.at("spec.accessModes").texts();
        let is_read_write_once_pod = modes.contains(&"ReadWriteOncePod".to_owned());
        let volume_name = claim.at("spec.volumeName").text();
        if volume_name.is_empty() {
            let class = self.class(claim, diagnostics);
            return Claim::Unbound(UnboundClaim { name: full_name, is_read_write_once_pod, class });
        }
        let volume = self.find("PersistentVolume", "", volume_name);
        Claim::Bound(BoundClaim {
            name: full_name,
            is_read_write_once_pod,
            volume: volume.map(|volume| Volume {
                node_affinity: reach(volume, diagnostics),
                labels: object::labels(volume.at("metadata.labels")),
                attachment: volume.at("spec.csi").is_given().then(|| {
                    let text = |name: &str| object::text(volume.at("spec.csi"), name);
                    (text("driver"), text("volumeHandle"))
                }),
            }),
        })
    }

    fn class(&self, claim: Tree<'_>, diagnostics: &mut Vec<Diagnostic>) -> ClaimClass {
        let name = claim.at("spec.storageClassName").text();
        if name.is_empty() {
            return ClaimClass::Unnamed;
        }
        let Some(class) = self.find("StorageClass", "", name) else { return ClaimClass::Missing };
        if class.at("volumeBindingMode").text() != "WaitForFirstConsumer" {
            return ClaimClass::Immediate;
        }
        let provisioner = object::text(class, "provisioner");
        let requirement = |it: Tree<'_>| Requirement {
            key: object::text(it, "key"),
            operator: Operator::In,
            values: it.at("values").texts(),
        };
        let terms = class.at("allowedTopologies").items();
        let mut annotations = object::labels(claim.at("metadata.annotations"));
        ClaimClass::WaitForFirstConsumer {
            provisioner: Some(provisioner)
                .filter(|it| !it.is_empty() && it != "kubernetes.io/no-provisioner"),
            allowed_topologies: terms
                .map(|term| term.at("matchLabelExpressions").items().map(requirement).collect())
                .collect(),
            available: self.volumes_for(claim, diagnostics),
            selected_node: annotations.remove("volume.kubernetes.io/selected-node"),
        }
    }

    /// Volumes that a claim could be bound to.
    fn volumes_for(
        &self,
        claim: Tree<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<Option<NodeSelector>> {
        let is_volume = |it: &&Tree<'_>| it.at("kind").text() == "PersistentVolume";
        let volumes = self.all.iter().filter(is_volume).filter(|it| suits(**it, claim));
        volumes.map(|it| reach(*it, diagnostics)).collect()
    }
}

/// Whether a volume can be a claim's, wherever it stands; what neither states is no obstacle
/// (component-helpers `storage/volume/pv_helpers.go`, FindMatchingVolume, 1.36).
fn suits(volume: Tree<'_>, claim: Tree<'_>) -> bool {
    let owner = volume.at("spec.claimRef");
    let is_its_own = owner.at("name").text() == claim.at("metadata.name").text()
        && owner.at("namespace").text() == claim.at("metadata.namespace").text();
    let storage = |amount: Tree<'_>| amount.is_given().then(|| amounts::units(amount));
    let wanted = storage(claim.at("spec.resources.requests.storage"));
    let offered = storage(volume.at("spec.capacity.storage"));
    let mode = |it: Tree<'_>| match it.at("spec.volumeMode").text() {
        "" => "Filesystem".to_owned(),
        mode => mode.to_owned(),
    };
    let modes = volume.at("spec.accessModes").texts();
    let labels = object::labels(volume.at("metadata.labels"));
    let selector = object::selector(claim.at("spec.selector"));
    volume.at("spec.storageClassName").text() == claim.at("spec.storageClassName").text()
        && (!owner.is_given() || is_its_own)
        && matches!(volume.at("status.phase").text(), "" | "Available")
        && offered.zip(wanted).is_none_or(|(offered, wanted)| offered >= wanted)
        && mode(volume) == mode(claim)
        && (modes.is_empty()
            || claim.at("spec.accessModes").texts().iter().all(|it| modes.contains(it)))
        && selector.is_none_or(|it| it.matches(&labels))
}

/// Nodes from which a volume can be reached; `None` means all.
fn reach(volume: Tree<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<NodeSelector> {
    object::read(volume.at("spec.nodeAffinity.required"), diagnostics, live::node_selector)
}
