//! Pods of tiny worlds.

use model_api::kube::{
    Container, PodSpec, Probe, ProbeHandler, ResourceList, TaintEffect, Toleration,
    TolerationOperator, TopologySpreadConstraint, UnsatisfiableAction,
};
use model_api::usage::EmptyDir;
use sim_kernel::SimSpan;

use super::{selector, value_of};

/// The spec that the words of a workload's line ask for.
pub(super) fn pod_spec(name: &str, rest: &[&str]) -> PodSpec {
    let cpu = i64::try_from(value_of(rest, "cpu").unwrap_or(500)).expect("small");
    let probe = |name: &str| {
        value_of(rest, name).map(|period_secs| Probe {
            handler: ProbeHandler::HttpGet,
            port: Some(8080),
            initial_delay: SimSpan::ZERO,
            period: SimSpan::from_secs(period_secs),
            timeout: SimSpan::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
            termination_grace: None,
        })
    };
    let mebibytes = |name: &str| {
        value_of(rest, name).map(|mebibytes| i64::try_from(mebibytes << 20).expect("small"))
    };
    let amounts = |stated: &[(&str, Option<i64>)]| {
        let stated =
            stated.iter().filter_map(|(name, amount)| Some(((*name).to_owned(), (*amount)?)));
        ResourceList(stated.collect())
    };
    let tolerated_secs = value_of(rest, "tolerate").unwrap_or(300);
    let tolerates = |key: &str| Toleration {
        key: format!("node.kubernetes.io/{key}"),
        operator: TolerationOperator::Exists,
        value: String::new(),
        effect: Some(TaintEffect::NoExecute),
        toleration: Some(SimSpan::from_secs(tolerated_secs)),
    };
    let mut tolerations = vec![tolerates("not-ready"), tolerates("unreachable")];
    if rest.contains(&"tolerant") {
        let pressures = ["disk-pressure", "memory-pressure", "pid-pressure"];
        tolerations.extend(pressures.map(|key| Toleration {
            effect: Some(TaintEffect::NoSchedule),
            toleration: None,
            ..tolerates(key)
        }));
    }
    let when_unsatisfiable = if rest.contains(&"hard-spread") {
        UnsatisfiableAction::DoNotSchedule
    } else {
        UnsatisfiableAction::ScheduleAnyway
    };
    let spread = TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".into(),
        when_unsatisfiable,
        label_selector: Some(selector(name)),
        min_domains: None,
        honors_node_affinity: true,
        honors_node_taints: false,
        match_label_keys: Vec::new(),
    };
    let is_spread = rest.contains(&"spread") || rest.contains(&"hard-spread");
    let priority = rest.iter().find_map(|word| word.strip_prefix("priority="));
    PodSpec {
        containers: vec![Container {
            name: "main".into(),
            image: format!("registry.example/{name}:1"),
            requests: if rest.contains(&"best-effort") {
                ResourceList::default()
            } else {
                amounts(&[("cpu", Some(cpu)), ("memory", mebibytes("mem").or(Some(256 << 20)))])
            },
            limits: amounts(&[
                ("memory", mebibytes("limit")),
                (ResourceList::EPHEMERAL_STORAGE, mebibytes("disk-limit")),
            ]),
            readiness: probe("probe"),
            liveness: probe("liveness"),
            startup: probe("startup"),
            ..Container::default()
        }],
        tolerations,
        topology_spread_constraints: if is_spread { vec![spread] } else { Vec::new() },
        termination_grace: SimSpan::from_secs(30),
        priority: priority.map_or(0, |text| text.parse().expect("a priority")),
        local_volumes: value_of(rest, "cache").map(|_| "cache".to_owned()).into_iter().collect(),
        empty_dirs: value_of(rest, "cache")
            .map(|mebibytes| EmptyDir {
                name: "cache".to_owned(),
                size_limit_bytes: Some(mebibytes << 20),
            })
            .into_iter()
            .collect(),
        node_name: rest.iter().find_map(|word| word.strip_prefix("node=")).map(str::to_owned),
        scheduling_gates: if rest.contains(&"gated") {
            vec!["shop/quota".into()]
        } else {
            Vec::new()
        },
        ..PodSpec::default()
    }
}
