//! Kubernetes objects as the case files write them, to the types that models read.
//!
//! Reads what scheduling looks at and fills in what the API server would (defaults of constraints,
//! tolerations, ports), nothing else.

use std::collections::BTreeMap;

use model_api::SimTime;
use model_api::kube::{
    Affinity, Container, ContainerPort, LabelSelector, Labels, Node, NodeAffinity, NodeSelector,
    NodeSelectorTerm, Operator, PodAffinityTerm, PodSpec, PodTemplate, PreferredSchedulingTerm,
    Requirement, ResourceList, Service, Taint, TaintEffect, Toleration, TolerationOperator,
    TopologySpreadConstraint, UnsatisfiableAction, WeightedPodAffinityTerm,
};
use serde_json::Value;

/// A field, `null` when absent.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| value.get(key).unwrap_or(&Value::Null))
}

/// A text; empty when absent.
pub(crate) fn text(value: &Value, path: &str) -> String {
    match at(value, path) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn texts(value: &Value, path: &str) -> Vec<String> {
    let items = list(value, path).iter();
    items.map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
}

fn map<T>(value: &Value, path: &str, read: fn(&Value) -> T) -> Vec<T> {
    list(value, path).iter().map(read).collect()
}

pub(crate) fn int(value: &Value, path: &str) -> Option<i64> {
    at(value, path).as_i64()
}

pub(crate) fn is_true(value: &Value, path: &str) -> bool {
    at(value, path) == &Value::Bool(true)
}

/// Labels, or any other map of texts.
pub(crate) fn labels(value: &Value, path: &str) -> Labels {
    let pairs = at(value, path).as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    pairs.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// `status.startTime` and the like, in whole seconds since 1970 (no case is older).
pub(crate) fn time(value: &Value, path: &str) -> Option<SimTime> {
    let text = at(value, path).as_str()?;
    let numbers: Vec<u64> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second, ..] = numbers[..] else { return None };
    // Days since 1970-01-01, counting years from March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let seconds = ((days - 719_469) * 24 + hour) * 3600 + minute * 60 + second;
    Some(SimTime::from_secs(seconds))
}

/// A quantity in thousandths, rounded up.
fn quantity_millis(text: &str) -> i128 {
    let split = text.find(|c: char| !"+-.0123456789".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().expect("a quantity is a number");
    let mut divisor = 10_i128.pow(u32::try_from(fraction.len()).expect("short"));
    let factor: i128 = match suffix {
        "n" => {
            divisor *= 1_000_000;
            1
        }
        "u" => {
            divisor *= 1000;
            1
        }
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "P" => 1_000_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        "Pi" => 1000 << 50,
        exponent => {
            let power = exponent.trim_start_matches(['e', 'E']).parse().expect("an exponent");
            1000 * 10_i128.pow(power)
        }
    };
    let product = digits * factor;
    product.div_euclid(divisor) + i128::from(product.rem_euclid(divisor) != 0)
}

pub(crate) fn resources(value: &Value, path: &str) -> ResourceList {
    let mut amounts = BTreeMap::new();
    for (name, quantity) in at(value, path).as_object().into_iter().flatten() {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
        let millis = quantity_millis(&text);
        let amount = if name == ResourceList::CPU {
            millis
        } else {
            millis.div_euclid(1000) + i128::from(millis.rem_euclid(1000) != 0)
        };
        amounts.insert(name.clone(), i64::try_from(amount).expect("amounts fit 64 bits"));
    }
    ResourceList(amounts)
}

pub(crate) fn node(value: &Value) -> Node {
    Node {
        name: text(value, "metadata.name"),
        labels: labels(value, "metadata.labels"),
        taints: map(value, "spec.taints", taint),
        unschedulable: is_true(value, "spec.unschedulable"),
        allocatable: resources(value, "status.allocatable"),
        images: list(value, "status.images")
            .iter()
            .map(|image| (texts(image, "names"), int(image, "sizeBytes").unwrap_or(0)))
            .collect(),
    }
}

fn taint(value: &Value) -> Taint {
    Taint {
        key: text(value, "key"),
        value: text(value, "value"),
        effect: effect(&text(value, "effect")).expect("a taint has an effect"),
    }
}

fn effect(name: &str) -> Option<TaintEffect> {
    match name {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}

pub(crate) fn template(value: &Value) -> PodTemplate {
    PodTemplate {
        labels: labels(value, "metadata.labels"),
        annotations: labels(value, "metadata.annotations"),
        spec: spec(at(value, "spec")),
    }
}

fn spec(value: &Value) -> PodSpec {
    PodSpec {
        init_containers: map(value, "initContainers", container),
        containers: map(value, "containers", container),
        overhead: resources(value, "overhead"),
        requests: resources(value, "resources.requests"),
        node_selector: labels(value, "nodeSelector"),
        affinity: affinity(at(value, "affinity")),
        tolerations: map(value, "tolerations", toleration),
        topology_spread_constraints: map(value, "topologySpreadConstraints", constraint),
        priority: int(value, "priority").map_or(0, |it| i32::try_from(it).expect("32 bits")),
        never_preempts: text(value, "preemptionPolicy") == "Never",
        host_network: is_true(value, "hostNetwork"),
        claim_names: list(value, "volumes")
            .iter()
            .map(|volume| text(volume, "persistentVolumeClaim.claimName"))
            .filter(|name| !name.is_empty())
            .collect(),
        ..PodSpec::default()
    }
}

fn container(value: &Value) -> Container {
    Container {
        name: text(value, "name"),
        image: text(value, "image"),
        requests: resources(value, "resources.requests"),
        ports: map(value, "ports", port),
        restart_always: text(value, "restartPolicy") == "Always",
        ..Container::default()
    }
}

fn port(value: &Value) -> ContainerPort {
    let number = |path: &str| int(value, path).and_then(|it| u16::try_from(it).ok());
    ContainerPort {
        name: None,
        container_port: number("containerPort").unwrap_or(0),
        host_port: number("hostPort").filter(|port| *port > 0),
        host_ip: text(value, "hostIP"),
        protocol: text(value, "protocol"),
    }
}

fn toleration(value: &Value) -> Toleration {
    Toleration {
        key: text(value, "key"),
        operator: match text(value, "operator").as_str() {
            "Exists" => TolerationOperator::Exists,
            _ => TolerationOperator::Equal,
        },
        value: text(value, "value"),
        effect: effect(&text(value, "effect")),
        toleration: None,
    }
}

pub(crate) fn constraint(value: &Value) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: int(value, "maxSkew").map_or(1, |it| i32::try_from(it).expect("32 bits")),
        topology_key: text(value, "topologyKey"),
        when_unsatisfiable: match text(value, "whenUnsatisfiable").as_str() {
            "ScheduleAnyway" => UnsatisfiableAction::ScheduleAnyway,
            _ => UnsatisfiableAction::DoNotSchedule,
        },
        label_selector: selector(at(value, "labelSelector")),
        min_domains: int(value, "minDomains").map(|it| i32::try_from(it).expect("32 bits")),
        honors_node_affinity: text(value, "nodeAffinityPolicy") != "Ignore",
        honors_node_taints: text(value, "nodeTaintsPolicy") == "Honor",
        match_label_keys: texts(value, "matchLabelKeys"),
    }
}

/// A label selector; `None` when absent.
pub(crate) fn selector(value: &Value) -> Option<LabelSelector> {
    (!value.is_null()).then(|| LabelSelector {
        match_labels: labels(value, "matchLabels"),
        match_expressions: map(value, "matchExpressions", requirement),
    })
}

fn requirement(value: &Value) -> Requirement {
    Requirement {
        key: text(value, "key"),
        operator: match text(value, "operator").as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::Gt,
            "Lt" => Operator::Lt,
            other => panic!("operator {other:?} is unknown"),
        },
        values: texts(value, "values"),
    }
}

/// A requirement of `allowedTopologies`.
pub(crate) fn topology_requirement(value: &Value) -> Requirement {
    Requirement { key: text(value, "key"), operator: Operator::In, values: texts(value, "values") }
}

fn affinity(value: &Value) -> Affinity {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let (pod, anti) = (at(value, "podAffinity"), at(value, "podAntiAffinity"));
    Affinity {
        node: node_affinity(at(value, "nodeAffinity")),
        pod_required: map(pod, REQUIRED, pod_term),
        pod_preferred: map(pod, PREFERRED, weighted_term),
        pod_anti_required: map(anti, REQUIRED, pod_term),
        pod_anti_preferred: map(anti, PREFERRED, weighted_term),
    }
}

pub(crate) fn node_affinity(value: &Value) -> NodeAffinity {
    NodeAffinity {
        required: node_selector(at(value, "requiredDuringSchedulingIgnoredDuringExecution")),
        preferred: map(value, "preferredDuringSchedulingIgnoredDuringExecution", |term| {
            PreferredSchedulingTerm {
                weight: int(term, "weight").map_or(0, |it| i32::try_from(it).expect("32 bits")),
                preference: node_term(at(term, "preference")),
            }
        }),
    }
}

pub(crate) fn node_selector(value: &Value) -> Option<NodeSelector> {
    (!value.is_null()).then(|| NodeSelector { terms: map(value, "nodeSelectorTerms", node_term) })
}

fn node_term(value: &Value) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: map(value, "matchExpressions", requirement),
        match_fields: map(value, "matchFields", requirement),
    }
}

fn pod_term(value: &Value) -> PodAffinityTerm {
    PodAffinityTerm {
        label_selector: selector(at(value, "labelSelector")),
        namespaces: texts(value, "namespaces"),
        namespace_selector: selector(at(value, "namespaceSelector")),
        topology_key: text(value, "topologyKey"),
        match_label_keys: texts(value, "matchLabelKeys"),
        mismatch_label_keys: texts(value, "mismatchLabelKeys"),
    }
}

fn weighted_term(value: &Value) -> WeightedPodAffinityTerm {
    WeightedPodAffinityTerm {
        weight: int(value, "weight").map_or(0, |it| i32::try_from(it).expect("32 bits")),
        term: pod_term(at(value, "podAffinityTerm")),
    }
}

pub(crate) fn service(value: &Value) -> Service {
    Service {
        namespace: text(value, "metadata.namespace"),
        name: text(value, "metadata.name"),
        selector: labels(value, "spec.selector"),
        ..Service::default()
    }
}

#[test]
fn quantities_are_read_as_kubernetes_does() {
    let millis = ["1", "500m", "1.5", "4k", "1Ki", "0.1m", "1e3", "100u"].map(quantity_millis);
    assert_eq!(millis, [1000, 500, 1500, 4_000_000, 1_024_000, 1, 1_000_000, 1]);
}

#[test]
fn times_are_read() {
    let value = serde_json::json!({ "a": "1970-01-01T00:00:02Z", "b": "2000-03-01T01:00:00Z" });
    assert_eq!(time(&value, "a"), Some(SimTime::from_secs(2)));
    assert_eq!(time(&value, "b"), Some(SimTime::from_secs(951_872_400)));
}
