//! Flags that the Deployment of the cluster autoscaler states, and the ranking of node groups in its
//! ConfigMap. What the Platform states comes before them.
//!
//! # Defaults and their sources
//! cluster-autoscaler `config/flags/flags.go` (names, `--namespace` kube-system),
//! `expander/factory/expander_factory.go` (what chains are allowed), `expander/priority/priority.go`
//! (name and key of the ConfigMap), 1.36.

use model_api::machines::{ClusterAutoscaler, ExpanderKind, PriorityRank};
use model_api::{Origin, SimSpan};
use regex::Regex;

use super::Resolver;
use crate::coverage::NODE_GROUP_RANKING;
use crate::decode::FromText;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;
use crate::source::{Span, Spanned};
use crate::yaml::{self, Node};

/// The key in it.
const RANKING_FIELD: &str = "data.priorities";
/// Where it is looked for without `--namespace`.
const NAMESPACE: &str = "kube-system";

/// Flags that say how the process runs, logs and finds its provider: they decide nothing that a run
/// shows, or the node pools of the Platform say it instead.
const SILENT: &[&str] = &[
    "address",
    "alsologtostderr",
    "cloud-config",
    "cloud-provider",
    "cluster-name",
    "clusterapi-cloud-config-authoritative",
    "debugging-snapshot-enabled",
    "emit-per-nodegroup-metrics",
    "kubeconfig",
    "kube-client-burst",
    "kube-client-qps",
    "leader-elect",
    "leader-elect-lease-duration",
    "leader-elect-renew-deadline",
    "leader-elect-resource-name",
    "leader-elect-resource-namespace",
    "leader-elect-retry-period",
    "log-file",
    "logtostderr",
    "max-bulk-soft-taint-count",
    "max-bulk-soft-taint-time",
    "max-inactivity",
    "max-failing-time",
    "namespace",
    "node-group-auto-discovery",
    "nodes",
    "profiling",
    "record-duplicated-events",
    "regional",
    "status-config-map-name",
    "stderrthreshold",
    "user-agent",
    "v",
    "vmodule",
    "write-status-configmap",
];

/// A flag as it is written.
#[derive(Clone, Debug)]
struct Flag {
    name: String,
    /// `None` when nothing follows: a switch that is on.
    value: Option<String>,
    span: Span,
}

impl Flag {
    fn text(&self) -> &str {
        self.value.as_deref().unwrap_or("true")
    }

    fn span_value(&self) -> Result<SimSpan, String> {
        if self.text() == "0" { Ok(SimSpan::ZERO) } else { SimSpan::from_text(self.text()) }
    }

    fn switch(&self) -> Result<bool, String> {
        match self.text() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("is no truth value".to_owned()),
        }
    }

    fn count(&self) -> Result<u32, String> {
        self.text().parse().map_err(|_| "is no count".to_owned())
    }

    /// A share from 0 to 1, in parts per million.
    fn share_ppm(&self) -> Result<u32, String> {
        let share: f64 = self.text().parse().map_err(|_| "is no number".to_owned())?;
        if (0.0..=1.0).contains(&share) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it lies between 0 and a million"
            )]
            return Ok((share * 1e6).round() as u32);
        }
        Err("is no share from 0 to 1".to_owned())
    }
}

/// Takes a value where nobody stated one.
fn fill<T>(slot: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    let value = value?;
    slot.get_or_insert(value);
    Ok(())
}

impl Resolver<'_> {
    /// Fills in what the Deployment of the autoscaler states. `expanders` are those that the Platform
    /// states, with their places.
    pub(super) fn autoscaler_flags(
        &mut self,
        expanders: &[Spanned<ExpanderKind>],
        autoscaler: &mut ClusterAutoscaler,
    ) {
        let flags = self.flags_of_autoscaler(autoscaler);
        let mut chain = expanders.to_vec();
        for flag in &flags {
            let taken = match flag.name.as_str() {
                "expander" if !expanders.is_empty() => Ok(true),
                "expander" => chain_of(flag).map(|found| {
                    chain = found;
                    true
                }),
                _ => apply(flag, autoscaler),
            };
            match taken {
                Ok(true) => {}
                Ok(false) if SILENT.contains(&flag.name.as_str()) => {}
                Ok(false) => {
                    let message = format!("--{} of the cluster autoscaler is not read", flag.name);
                    self.report(Code::W0250, flag.span, message);
                }
                Err(why) => {
                    let message = format!("--{}: `{}` {why}", flag.name, flag.text());
                    self.report(Code::E0090, flag.span, message);
                }
            }
        }
        self.check_chain(&chain);
        autoscaler.expanders = chain.iter().map(|it| it.value).collect();
        let ranks = chain.iter().find(|it| it.value == ExpanderKind::Priority);
        if let Some(place) = ranks.map(|it| it.span) {
            let namespace = flags.iter().find(|flag| flag.name == "namespace");
            let namespace = namespace.map_or(NAMESPACE, Flag::text);
            if let Some((ranks, origin)) = self.ranking(namespace, place) {
                autoscaler.priorities = Some(ranks);
                autoscaler.priorities_origin = origin;
            }
        }
    }

    /// Flags of the container that runs the autoscaler: in the workload that the Platform names, else
    /// in the first that runs its image.
    fn flags_of_autoscaler(&self, autoscaler: &ClusterAutoscaler) -> Vec<Flag> {
        let mut workloads = self.manifests.workloads.iter().enumerate();
        let container = workloads.find_map(|(idx, sourced)| {
            let is_named = autoscaler.workload.is_none_or(|id| id.index() == idx);
            let object = self.manifests.object(sourced);
            is_named.then(|| container_of(object)).flatten()
        });
        container.map_or_else(Vec::new, flags_of)
    }

    /// Upstream refuses to start with an expander that is there twice, and with one after `random`,
    /// which leaves nothing to choose from.
    fn check_chain(&mut self, chain: &[Spanned<ExpanderKind>]) {
        for (idx, expander) in chain.iter().enumerate() {
            let earlier = chain[..idx].iter().map(|it| it.value);
            if earlier.clone().any(|it| it == expander.value) {
                self.report(Code::E0090, expander.span, "an expander must not be there twice");
            } else if earlier.clone().any(|it| it == ExpanderKind::Random) {
                let message = "nothing may follow the expander random, which always leaves one";
                self.report(Code::E0090, expander.span, message);
            }
        }
    }

    /// The ranking of the priority expander and where it is written; `None` when there is none that
    /// can be read, and then it passes every option on.
    fn ranking(&mut self, namespace: &str, place: Span) -> Option<(Vec<PriorityRank>, Origin)> {
        let named = |object: &&Object| {
            object.key.kind == "ConfigMap" && object.key.name == NODE_GROUP_RANKING
        };
        let objects = self.manifests.objects.iter().filter(named);
        let Some(object) = objects.clone().find(|it| it.key.namespace == namespace) else {
            let message = format!(
                "the expander priority finds no ConfigMap {namespace}/{NODE_GROUP_RANKING}, so it passes every \
                 node group on"
            );
            let elsewhere = objects.map(|it| it.key.namespace.clone()).next();
            let help = elsewhere.map(|other| {
                format!(
                    "there is one in the namespace {other}, and it is looked for in {namespace}"
                )
            });
            self.diagnostics.push(Diagnostic::new(Code::W0251, place, message).help_if(help));
            return None;
        };
        let found = object.find(RANKING_FIELD).and_then(Node::text);
        let span = object.value_span(RANKING_FIELD);
        let ranks = match ranks_of(found.unwrap_or_default()) {
            Ok(ranks) => ranks,
            Err(why) => {
                let message = format!(
                    "{}: {why}, so the expander priority passes every node group on",
                    object.title()
                );
                self.diagnostics.push(Diagnostic::new(Code::W0251, span, message));
                return None;
            }
        };
        let patterns = ranks.iter().filter(|it| it.rank >= 0).flat_map(|it| &it.patterns);
        let mut patterns = patterns.filter_map(|pattern| Regex::new(pattern).ok());
        let groups = &self.blueprint.node_groups;
        if !patterns.any(|pattern| groups.iter().any(|group| pattern.is_match(&group.name))) {
            let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
            let message = format!("{} ranks none of the node groups", object.title());
            let help = format!("a node group is called POOL-ZONE: {}", names.join(", "));
            self.diagnostics.push(Diagnostic::new(Code::W0251, span, message).help(help));
        }
        Some((ranks, object.origin.clone()))
    }
}

/// Applies a flag; `false` when it is none of those that a run knows.
fn apply(flag: &Flag, to: &mut ClusterAutoscaler) -> Result<bool, String> {
    match flag.name.as_str() {
        "scan-interval" => fill(&mut to.scan_interval, flag.span_value())?,
        "balance-similar-node-groups" => fill(&mut to.balances_similar_groups, flag.switch())?,
        "max-nodes-total" => fill(&mut to.max_nodes_total, flag.count())?,
        "max-node-provision-time" => fill(&mut to.max_node_provision_time, flag.span_value())?,
        "new-pod-scale-up-delay" => fill(&mut to.new_pod_scale_up_delay, flag.span_value())?,
        "scale-down-enabled" => fill(&mut to.scale_down_enabled, flag.switch())?,
        "scale-down-utilization-threshold" => {
            fill(&mut to.scale_down_threshold_ppm, flag.share_ppm())?;
        }
        "scale-down-unneeded-time" => fill(&mut to.scale_down_unneeded_time, flag.span_value())?,
        "scale-down-unready-time" => fill(&mut to.scale_down_unready_time, flag.span_value())?,
        "scale-down-delay-after-add" => {
            fill(&mut to.scale_down_delay_after_add, flag.span_value())?;
        }
        "skip-nodes-with-system-pods" => fill(&mut to.skips_system_pods, flag.switch())?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The container that runs the image of the autoscaler, or its program.
fn container_of(object: &Object) -> Option<&Node> {
    let containers = object.find("spec.template.spec.containers")?.items()?;
    containers.iter().find(|container| {
        let image = container.get("image").and_then(Node::text).unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or_default();
        let name = name.split([':', '@']).next().unwrap_or_default();
        // Images of single architectures have that in their name.
        let runs = |item: &Node| item.text().is_some_and(|it| it.ends_with("cluster-autoscaler"));
        name.starts_with("cluster-autoscaler")
            || container.get("command").and_then(Node::items).unwrap_or_default().iter().any(runs)
    })
}

/// `--name=value`, `--name value` and `--name`, as pflag reads them.
fn flags_of(container: &Node) -> Vec<Flag> {
    let items = |key: &str| container.get(key).and_then(Node::items).unwrap_or_default();
    let words = items("command").iter().chain(items("args"));
    let mut flags: Vec<Flag> = Vec::new();
    for word in words {
        let text = word.text().unwrap_or_default();
        if let Some(flag) = text.strip_prefix("--") {
            let (name, value) = flag.split_once('=').map_or((flag, None), |(a, b)| (a, Some(b)));
            let value = value.map(str::to_owned);
            flags.push(Flag { name: name.to_owned(), value, span: word.span });
        } else if let Some(last) = flags.last_mut().filter(|it| it.value.is_none()) {
            last.value = Some(text.to_owned());
            last.span = word.span;
        }
    }
    flags
}

/// `--expander=priority,least-waste`.
fn chain_of(flag: &Flag) -> Result<Vec<Spanned<ExpanderKind>>, String> {
    let names = flag.text().split(',');
    let read = names.map(|name| {
        let kind = ExpanderKind::from_text(name.trim())?;
        Ok(Spanned { value: kind, span: flag.span })
    });
    read.collect()
}

/// Ranks from the text of the ConfigMap: upstream takes a mapping from integers to lists of regular
/// expressions, and nothing of it when any part cannot be read.
fn ranks_of(text: &str) -> Result<Vec<PriorityRank>, String> {
    if text.trim().is_empty() {
        return Err(format!("`{RANKING_FIELD}` is empty"));
    }
    let (documents, diagnostics) = yaml::parse(0, text);
    let wrong = || format!("`{RANKING_FIELD}` is no YAML of priorities with lists of patterns");
    if !diagnostics.is_empty() {
        return Err(wrong());
    }
    let entries = documents.first().and_then(Node::entries).ok_or_else(wrong)?;
    let mut ranks = Vec::new();
    for entry in entries {
        let rank: i64 = entry.key.trim().parse().map_err(|_| wrong())?;
        let patterns = entry.value.items().ok_or_else(wrong)?;
        let texts: Option<Vec<String>> =
            patterns.iter().map(|it| it.text().map(str::to_owned)).collect();
        let patterns = texts.ok_or_else(wrong)?;
        if let Some(bad) = patterns.iter().find(|pattern| Regex::new(pattern).is_err()) {
            return Err(format!("`{bad}` is no regular expression"));
        }
        ranks.push(PriorityRank { rank, patterns });
    }
    Ok(ranks)
}
