//! Decisions of upstream kube-scheduler as cases: every one must come out the same.
//!
//! A case becomes a [`Case`] (`case_of`), is asked what its `expect` names (`differences`), and the
//! answers are compared. All that is specific to scheduling is in `model_kube::scheduling::case`;
//! what is here is reading and comparing.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::{Labels, Service};
use model_api::observation::UnschedulableReason;
use model_kube::scheduling::case::{Case, CaseBudget, CasePod, LoadedCase};
use model_kube::scheduling::{
    BoundClaim, Claim, ClaimClass, Code, DefaultSpreading, Profile, ScorePlugin, ScoringStrategy,
    UnboundClaim, Volume, default_selector,
};
use serde_json::Value;

use crate::scheduling_objects::{
    at, constraint, int, is_true, labels, list, node, node_affinity, node_selector, selector,
    service, template, text, texts, time, topology_requirement,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");

/// Fails when one case of a file comes out otherwise than upstream.
fn check(file: &str) {
    let path = format!("{FOLDER}/{file}");
    let Ok(content) = std::fs::read_to_string(&path) else {
        #[expect(clippy::disallowed_methods, reason = "CI must not skip for lack of the cases")]
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "{file} is missing");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: {file} is not there");
        }
        return;
    };
    let cases: Vec<Value> = serde_saphyr::from_str(&content).expect("the case file is YAML");
    assert!(!cases.is_empty(), "{file} has no cases");
    let mut failures = Vec::new();
    for case in &cases {
        let found = differences(case);
        if !found.is_empty() {
            failures.push(format!("{}:\n  {}", text(case, "name"), found.join("\n  ")));
        }
    }
    let count = failures.len();
    assert!(count == 0, "{count} of {} cases differ:\n{}", cases.len(), failures.join("\n"));
}

#[test]
fn node_fit_filters() {
    check("node-fit-filters.yaml");
}

#[test]
fn pod_topology_spread_filter() {
    check("pod-topology-spread-filter.yaml");
}

#[test]
fn pod_topology_spread_score() {
    check("pod-topology-spread-score.yaml");
}

#[test]
fn inter_pod_affinity_filter() {
    check("inter-pod-affinity-filter.yaml");
}

#[test]
fn inter_pod_affinity_score() {
    check("inter-pod-affinity-score.yaml");
}

#[test]
fn taints_and_node_affinity() {
    check("taints-and-node-affinity.yaml");
}

#[test]
fn resource_scoring() {
    check("resource-scoring.yaml");
}

#[test]
fn preemption() {
    check("preemption.yaml");
}

#[test]
fn default_profile_placement() {
    check("default-profile-placement.yaml");
}

/// What a case's expectations and the model's answers disagree about.
fn differences(case: &Value) -> Vec<String> {
    let given = at(case, "given");
    let expect = at(case, "expect");
    let plugin = text(given, "plugin");
    let mut loaded = case_of(given).load();
    let mut found = Vec::new();
    for (what, wanted) in expect.as_object().expect("a case expects something") {
        let answer = match what.as_str() {
            "filter" => filter(&loaded, &plugin),
            "reasons" => reasons(&loaded, &plugin),
            "feasibleNodes" => feasible_nodes(&mut loaded),
            "domainCounts" => domain_counts(&loaded),
            "scores" => scores(&loaded, wanted, given),
            "preScore" => pre_score(&loaded, &plugin, given),
            "weightedScores" => weighted_scores(&mut loaded),
            "totalScores" => total_scores(&mut loaded),
            "rejectedBy" => rejected_by(&mut loaded),
            "selectedNode" => match is_selected(&mut loaded, wanted) {
                Ok(()) => continue,
                Err(answer) => answer,
            },
            "candidates" => candidates(&mut loaded),
            "nominatedNode" => match is_nominated(&mut loaded, wanted) {
                Ok(()) => continue,
                Err(answer) => answer,
            },
            other => Value::String(format!("nobody knows how to answer {other}")),
        };
        if sorted(&answer) != sorted(wanted) {
            found.push(format!("{what}: expected {wanted}, got {answer}"));
        }
    }
    found
}

/// Lists in the cases are sets; numbers of domain counts are compared as they stand.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let fields: BTreeMap<&String, Value> =
                fields.iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        other => other.clone(),
    }
}

fn filter(loaded: &LoadedCase, plugin: &str) -> Value {
    let answers = loaded.filter(filter_named(plugin)).into_iter();
    let code = |code: Code| match code {
        Code::Unschedulable => "Unschedulable",
        Code::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
    };
    answers
        .map(|(node, answer)| {
            (node, Value::from(answer.map_or_else(|it| code(it.rejection.code), |()| "Success")))
        })
        .collect()
}

fn reasons(loaded: &LoadedCase, plugin: &str) -> Value {
    let answers = loaded.filter(filter_named(plugin)).into_iter();
    answers.filter_map(|(node, answer)| Some((node, Value::from(answer.err()?.reasons)))).collect()
}

fn feasible_nodes(loaded: &mut LoadedCase) -> Value {
    let reports = loaded.explain();
    let passing = reports.iter().filter(|report| report.outcome.is_ok());
    passing.map(|report| Value::from(loaded.node_name(report.node))).collect()
}

fn domain_counts(loaded: &LoadedCase) -> Value {
    let counts = loaded.domain_counts().into_iter();
    counts
        .map(|(key, counts)| {
            let counts: BTreeMap<String, i64> = counts.into_iter().collect();
            serde_json::json!({ "topologyKey": key, "counts": counts })
        })
        .collect()
}

/// Only the plugins that the case names.
fn scores(loaded: &LoadedCase, wanted: &Value, given: &Value) -> Value {
    let candidates = texts(given, "candidates");
    let plugins = wanted.as_object().expect("scores by plugin").keys();
    plugins
        .map(|plugin| {
            let scores = loaded.scores(scorer_named(plugin), &candidates);
            let scores: BTreeMap<String, i64> = match scores {
                Some(scores) => scores.into_iter().collect(),
                None => candidates.iter().map(|node| (node.clone(), 0)).collect(),
            };
            (plugin.clone(), serde_json::json!(scores))
        })
        .collect()
}

fn pre_score(loaded: &LoadedCase, plugin: &str, given: &Value) -> Value {
    let scores = loaded.scores(scorer_named(plugin), &texts(given, "candidates"));
    Value::from(if scores.is_none() { "Skip" } else { "Success" })
}

fn weighted_scores(loaded: &mut LoadedCase) -> Value {
    let reports = loaded.explain();
    let scored = reports.iter().filter_map(|report| {
        let scores = report.outcome.as_ref().ok()?.iter();
        let weighted: BTreeMap<&str, i64> =
            scores.map(|it| (it.plugin.name(), it.weight * it.score)).collect();
        Some((loaded.node_name(report.node).to_owned(), serde_json::json!(weighted)))
    });
    scored.collect()
}

fn total_scores(loaded: &mut LoadedCase) -> Value {
    let reports = loaded.explain();
    let totals = reports.iter().filter_map(|report| {
        Some((loaded.node_name(report.node).to_owned(), Value::from(report.total()?)))
    });
    totals.collect()
}

fn rejected_by(loaded: &mut LoadedCase) -> Value {
    let reports = loaded.explain();
    let rejected = reports.iter().filter_map(|report| {
        let refusal = report.outcome.as_ref().err()?;
        let filter = format!("{:?}", refusal.rejection.filter);
        Some((loaded.node_name(report.node).to_owned(), Value::from(filter)))
    });
    rejected.collect()
}

/// The best nodes must be exactly those upstream may choose from.
fn is_selected(loaded: &mut LoadedCase, wanted: &Value) -> Result<(), Value> {
    let reports = loaded.explain();
    let best = reports.iter().filter_map(|report| report.total()).max();
    let tied: BTreeSet<String> = reports
        .iter()
        .filter(|report| best.is_some() && report.total() == best)
        .map(|report| loaded.node_name(report.node).to_owned())
        .collect();
    let allowed: BTreeSet<String> = texts(wanted, "anyOf").into_iter().collect();
    if tied == allowed { Ok(()) } else { Err(serde_json::json!({ "anyOf": tied })) }
}

fn candidates(loaded: &mut LoadedCase) -> Value {
    let candidates = loaded.preemption_candidates().into_iter();
    candidates
        .map(|candidate| {
            let victims: Vec<&str> =
                candidate.victims.iter().map(|pod| loaded.pod_name(*pod)).collect();
            let answer =
                serde_json::json!({ "victims": victims, "pdbViolations": candidate.violation_count });
            (loaded.node_name(candidate.node).to_owned(), answer)
        })
        .collect()
}

fn is_nominated(loaded: &mut LoadedCase, wanted: &Value) -> Result<(), Value> {
    let nominated = loaded.nominated();
    let name = nominated.map(|candidate| loaded.node_name(candidate.node).to_owned());
    let allowed = texts(wanted, "anyOf");
    let is_right = match &name {
        Some(name) => allowed.contains(name),
        None => wanted.is_null() || allowed.is_empty(),
    };
    if is_right { Ok(()) } else { Err(Value::from(name)) }
}

fn filter_named(name: &str) -> UnschedulableReason {
    use UnschedulableReason as R;
    let all = [
        R::NodeUnschedulable,
        R::NodeName,
        R::TaintToleration,
        R::NodeAffinity,
        R::NodePorts,
        R::NodeResourcesFit,
        R::VolumeRestrictions,
        R::NodeVolumeLimits,
        R::VolumeBinding,
        R::VolumeZone,
        R::PodTopologySpread,
        R::InterPodAffinity,
    ];
    let found = all.into_iter().find(|filter| format!("{filter:?}") == name);
    found.unwrap_or_else(|| panic!("filter {name:?} is unknown"))
}

fn scorer_named(name: &str) -> ScorePlugin {
    let found = ScorePlugin::ALL.into_iter().find(|plugin| plugin.name() == name);
    found.unwrap_or_else(|| panic!("score plugin {name:?} is unknown"))
}

/// Objects of a case beside nodes and pods.
struct Objects<'a> {
    all: &'a [Value],
    services: Vec<Service>,
}

impl<'a> Objects<'a> {
    fn of(given: &'a Value) -> Self {
        let all = list(given, "objects");
        let services = all.iter().filter(|object| text(object, "kind") == "Service");
        Self { all, services: services.map(service).collect() }
    }

    fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&'a Value> {
        self.all.iter().find(|object| {
            text(object, "kind") == kind
                && text(object, "metadata.namespace") == namespace
                && text(object, "metadata.name") == name
        })
    }

    fn pod(&self, pod: &Value) -> CasePod {
        let namespace = text(pod, "metadata.namespace");
        let mut template = template(pod);
        // Only the incoming pod's own nodeName is a wish; see `case_of`.
        template.spec.node_name = None;
        let node = Some(text(pod, "spec.nodeName")).filter(|name| !name.is_empty());
        let claims = template.spec.claim_names.iter();
        let claims = claims.map(|name| self.claim(&namespace, name)).collect();
        let nominated = Some(text(pod, "status.nominatedNodeName"));
        let is_preemption = |condition: &&Value| {
            text(condition, "type") == "DisruptionTarget"
                && text(condition, "status") == "True"
                && text(condition, "reason") == "PreemptionByScheduler"
        };
        let is_terminating = !at(pod, "metadata.deletionTimestamp").is_null();
        CasePod {
            name: text(pod, "metadata.name"),
            default_selector: self.selector_of(pod, &namespace, &template.labels),
            namespace,
            template,
            node,
            nominated_node: nominated.filter(|name| !name.is_empty()),
            claims,
            is_terminating,
            is_preempted: is_terminating
                && list(pod, "status.conditions").iter().any(|it| is_preemption(&it)),
            started: time(pod, "status.startTime"),
        }
    }

    /// What default spreading selects for a pod.
    fn selector_of(
        &self,
        pod: &Value,
        namespace: &str,
        pod_labels: &Labels,
    ) -> Option<model_api::kube::LabelSelector> {
        let owners = list(pod, "metadata.ownerReferences").iter();
        let owner = owners.filter(|owner| is_true(owner, "controller")).find_map(|owner| {
            let kind = text(owner, "kind");
            let object = self.find(&kind, namespace, &text(owner, "name"))?;
            match kind.as_str() {
                "ReplicaSet" | "StatefulSet" => selector(at(object, "spec.selector")),
                "ReplicationController" => Some(model_api::kube::LabelSelector {
                    match_labels: labels(object, "spec.selector"),
                    ..Default::default()
                }),
                _ => None,
            }
        });
        default_selector(namespace, pod_labels, &self.services, owner.as_ref())
    }

    fn claim(&self, namespace: &str, name: &str) -> Claim {
        let Some(claim) = self.find("PersistentVolumeClaim", namespace, name) else {
            return Claim::Missing;
        };
        let full_name = format!("{namespace}/{name}");
        let is_read_write_once_pod =
            texts(claim, "spec.accessModes").contains(&"ReadWriteOncePod".to_owned());
        let volume_name = text(claim, "spec.volumeName");
        if volume_name.is_empty() {
            let class = self.class(claim);
            return Claim::Unbound(UnboundClaim { name: full_name, is_read_write_once_pod, class });
        }
        let volume = self.find("PersistentVolume", "", &volume_name);
        Claim::Bound(BoundClaim {
            name: full_name,
            is_read_write_once_pod,
            volume: volume.map(|volume| Volume {
                node_affinity: node_selector(at(volume, "spec.nodeAffinity.required")),
                labels: labels(volume, "metadata.labels"),
                attachment: (!at(volume, "spec.csi").is_null()).then(|| {
                    (text(volume, "spec.csi.driver"), text(volume, "spec.csi.volumeHandle"))
                }),
            }),
        })
    }

    fn class(&self, claim: &Value) -> ClaimClass {
        let name = text(claim, "spec.storageClassName");
        if name.is_empty() {
            return ClaimClass::Unnamed;
        }
        let Some(class) = self.find("StorageClass", "", &name) else { return ClaimClass::Missing };
        if text(class, "volumeBindingMode") != "WaitForFirstConsumer" {
            return ClaimClass::Immediate;
        }
        let provisioner = text(class, "provisioner");
        let terms = list(class, "allowedTopologies").iter();
        let expressions = |term: &Value| {
            let items = list(term, "matchLabelExpressions").iter();
            items.map(topology_requirement).collect()
        };
        let selected =
            labels(claim, "metadata.annotations").remove("volume.kubernetes.io/selected-node");
        ClaimClass::WaitForFirstConsumer {
            provisioner: Some(provisioner)
                .filter(|it| !it.is_empty() && it != "kubernetes.io/no-provisioner"),
            allowed_topologies: terms.map(expressions).collect(),
            available: self.volumes_for(&name),
            selected_node: selected,
        }
    }

    /// Volumes of a class that nobody has claimed.
    fn volumes_for(&self, class: &str) -> Vec<Option<model_api::kube::NodeSelector>> {
        let volumes = self.all.iter().filter(|object| {
            text(object, "kind") == "PersistentVolume"
                && text(object, "spec.storageClassName") == class
                && at(object, "spec.claimRef").is_null()
        });
        volumes.map(|it| node_selector(at(it, "spec.nodeAffinity.required"))).collect()
    }
}

/// The case as the model is asked it.
fn case_of(given: &Value) -> Case {
    let objects = Objects::of(given);
    let is_gone =
        |pod: &&Value| matches!(text(pod, "status.phase").as_str(), "Succeeded" | "Failed");
    let incoming = at(given, "pod");
    let mut pod = objects.pod(incoming);
    pod.template.spec.node_name = pod.node.take();
    let namespaces = objects.all.iter().filter(|object| text(object, "kind") == "Namespace");
    Case {
        profile: profile(at(given, "schedulerConfiguration")),
        namespaces: namespaces
            .map(|it| (text(it, "metadata.name"), labels(it, "metadata.labels")))
            .collect(),
        nodes: list(given, "nodes").iter().map(node).collect(),
        attach_limits: attach_limits(objects.all),
        pods: list(given, "pods")
            .iter()
            .filter(|pod| !is_gone(pod))
            .map(|pod| objects.pod(pod))
            .collect(),
        pod,
        budgets: list(given, "podDisruptionBudgets").iter().map(budget).collect(),
    }
}

fn attach_limits(objects: &[Value]) -> Vec<(String, Vec<(String, u32)>)> {
    let nodes = objects.iter().filter(|object| text(object, "kind") == "CSINode");
    nodes
        .map(|node| {
            let drivers = list(node, "spec.drivers").iter();
            let limits = drivers.filter_map(|driver| {
                let count = int(driver, "allocatable.count")?;
                Some((text(driver, "name"), u32::try_from(count).ok()?))
            });
            (text(node, "metadata.name"), limits.collect())
        })
        .collect()
}

fn budget(value: &Value) -> CaseBudget {
    let disrupted = at(value, "status.disruptedPods").as_object();
    let allowed = int(value, "status.disruptionsAllowed").unwrap_or(0);
    CaseBudget {
        namespace: text(value, "metadata.namespace"),
        selector: selector(at(value, "spec.selector")),
        disruptions_allowed: i32::try_from(allowed).expect("32 bits"),
        disrupted: disrupted.into_iter().flat_map(|pods| pods.keys().cloned()).collect(),
    }
}

/// A KubeSchedulerConfiguration's first profile.
fn profile(configuration: &Value) -> Profile {
    let mut profile = Profile::default();
    let percentage = int(configuration, "percentageOfNodesToScore").unwrap_or(0);
    profile.percentage_of_nodes_to_score = u32::try_from(percentage).expect("a percentage");
    let Some(first) = list(configuration, "profiles").first() else { return profile };
    for plugin in list(first, "pluginConfig") {
        let args = at(plugin, "args");
        match text(plugin, "name").as_str() {
            "NodeResourcesFit" => fit_args(&mut profile, args),
            "NodeResourcesBalancedAllocation" => {
                let resources = list(args, "resources").iter();
                profile.balanced_resources = resources.map(|it| text(it, "name")).collect();
            }
            "NodeAffinity" => {
                profile.added_affinity = node_affinity(at(args, "addedAffinity"));
            }
            "InterPodAffinity" => {
                profile.hard_pod_affinity_weight = int(args, "hardPodAffinityWeight").unwrap_or(1);
                profile.ignores_preferred_terms_of_existing_pods =
                    is_true(args, "ignorePreferredTermsOfExistingPods");
            }
            "PodTopologySpread" if text(args, "defaultingType") == "List" => {
                let constraints = list(args, "defaultConstraints").iter();
                profile.default_spreading =
                    DefaultSpreading::List(constraints.map(constraint).collect());
            }
            "PodTopologySpread" => {}
            other => panic!("the arguments of {other} are not read"),
        }
    }
    profile
}

fn fit_args(profile: &mut Profile, args: &Value) {
    profile.ignored_resources = texts(args, "ignoredResources");
    profile.ignored_resource_groups = texts(args, "ignoredResourceGroups");
    let strategy = at(args, "scoringStrategy");
    if strategy.is_null() {
        return;
    }
    let resources = list(strategy, "resources").iter();
    let resources = resources.map(|it| (text(it, "name"), int(it, "weight").unwrap_or(1)));
    profile.scored_resources = resources.collect();
    profile.scoring = match text(strategy, "type").as_str() {
        "MostAllocated" => ScoringStrategy::MostAllocated,
        "RequestedToCapacityRatio" => {
            let points = list(strategy, "requestedToCapacityRatio.shape").iter();
            let number = |point: &Value, path: &str| int(point, path).unwrap_or(0);
            ScoringStrategy::RequestedToCapacityRatio(
                points
                    .map(|point| (number(point, "utilization"), number(point, "score")))
                    .collect(),
            )
        }
        _ => ScoringStrategy::LeastAllocated,
    };
}
