//! Scale-up: estimates, the order of pods, expanders, balancing.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::{Node, PodTemplate};
use model_api::machines::{ExpanderKind, PriorityRank};
use model_api::{NodeId, PodId};
use model_kube::cluster_autoscaler::{
    Expander, ExpansionOption, GroupSize, NodeLimit, NodeTemplate, PendingGroup,
    balance as balanced, decreasing_order, estimate as estimated, narrowed, pod_score,
};
use model_kube::scheduling::{PodDescription, SchedulerCache};
use scenario_format::yaml;

use crate::amounts;
use crate::case::{Case, Judged};
use crate::object;
use crate::tree::Tree;

fn count(tree: Tree<'_>) -> usize {
    tree.count() as usize
}

/// A pod's namespace and template.
fn template(pod: Tree<'_>, case: &mut Case<'_>) -> (String, PodTemplate) {
    let mut template = object::pod(pod, &mut case.diagnostics);
    template.spec.node_name = None;
    (object::text(pod, "metadata.namespace"), template)
}

fn compiled(
    cache: &mut SchedulerCache,
    (namespace, template): &(String, PodTemplate),
) -> model_kube::scheduling::ShapeId {
    cache.compile(PodDescription { namespace, template, default_selector: None })
}

pub(super) fn estimate(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let mut cache = SchedulerCache::new();
    let mut names = Vec::new();
    for node in given.at("existingNodes").items() {
        let node: Node = object::node(node, &mut case.diagnostics);
        cache.add_node(NodeId::from_index(names.len()), &node);
        names.push(node.name);
    }
    for (idx, pod) in given.at("pods").items().enumerate() {
        let node = pod.at("spec.nodeName").text();
        let Some(place) = names.iter().position(|name| name == node) else { continue };
        let described = template(pod, case);
        let shape = compiled(&mut cache, &described);
        cache.add_pod(PodId::from_index(idx), shape, NodeId::from_index(place));
    }
    let node = object::node(given.at("template"), &mut case.diagnostics);
    let mut groups = Vec::new();
    for group in given.at("pendingPodGroups").items() {
        let described = template(group.at("pod"), case);
        let shape = compiled(&mut cache, &described);
        groups.push(PendingGroup::new(shape, count(group.at("count")), &described.1.spec, &node));
    }
    let limit = match given.at("flags").field("max-nodes-per-scaleup").int() {
        Some(limit) if limit > 0 => NodeLimit::AtMost(usize::try_from(limit).unwrap_or(usize::MAX)),
        _ => NodeLimit::None,
    };
    let mut daemon_set_pods = Vec::new();
    for pod in given.at("templatePods").items() {
        let described = template(pod, case);
        daemon_set_pods.push(compiled(&mut cache, &described));
    }
    let made = NodeTemplate { node: &node, daemon_set_pods: &daemon_set_pods };
    let got = estimated(&cache, made, &groups, limit);
    case.compare_if_given("newNodes", count, got.node_count);
    case.compare_if_given("podsScheduled", count, got.scheduled_count());
    let per_group = |it: Tree<'_>| it.items().map(count).collect::<Vec<_>>();
    case.compare_if_given("podsScheduledPerGroup", per_group, got.scheduled);
    Ok(())
}

pub(super) fn pod_order(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let node = object::node(given.at("template"), &mut case.diagnostics);
    let mut scores = Vec::new();
    let mut names = Vec::new();
    for pod in given.at("pods").items() {
        names.push(object::name(pod));
        scores.push(pod_score(&template(pod, case).1.spec, &node.allocatable));
    }
    let got = decreasing_order(&scores).into_iter().map(|idx| names[idx].clone()).collect();
    case.compare("order", case.expect.at("order").texts(), got);
    Ok(())
}

pub(super) fn expander(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let mut options = Vec::new();
    for option in given.at("options").items() {
        options.push(expansion_option(option, case));
    }
    let ranking = priorities(given.at("configMap.data.priorities"));
    let named = |name: &str| match ExpanderKind::named(name.trim()) {
        Some(kind) => Ok(Expander::of(kind, ranking.as_deref())),
        None => Err(format!("the expander `{name}` is not modelled")),
    };
    let chain = given.at("expander").text().split(',').map(named);
    let chain: Vec<Expander> = chain.collect::<Result<_, String>>()?;
    let left = narrowed(&chain, &options).pop().unwrap_or_default();
    let got: BTreeSet<String> = left.into_iter().map(|idx| options[idx].group.clone()).collect();
    let wanted = case.expect.at("bestOptions").texts().into_iter().collect();
    case.compare("bestOptions", wanted, got);
    Ok(())
}

fn expansion_option(option: Tree<'_>, case: &mut Case<'_>) -> ExpansionOption {
    let mut read = ExpansionOption {
        group: object::text(option, "nodeGroup"),
        node_count: count(option.at("newNodes")),
        capacity: amounts::resources(option.at("template.status.capacity")),
        pod_count: count(option.at("podCount")),
        ..ExpansionOption::default()
    };
    for pod in option.at("pods").items() {
        let spec = template(pod, case).1.spec;
        read.pod_count += 1;
        for container in &spec.containers {
            read.requested_cpu_millis += container.requests.cpu_millis().unwrap_or(0);
            read.requested_memory_bytes += container.requests.memory_bytes().unwrap_or(0);
        }
    }
    read
}

/// The ranking in a ConfigMap's text; `None` when it is not one.
fn priorities(text: Tree<'_>) -> Option<Vec<PriorityRank>> {
    let (documents, diagnostics) = yaml::parse(0, text.text());
    if !diagnostics.is_empty() {
        return None;
    }
    let ranking = Tree::of(documents.first()?);
    let mut entries = Vec::new();
    for (rank, patterns) in ranking.fields() {
        if !patterns.is_list() {
            return None;
        }
        entries.push(PriorityRank { rank: rank.parse().ok()?, patterns: patterns.texts() });
    }
    if entries.is_empty() {
        return None;
    }
    Some(entries)
}

pub(super) fn balance(case: &mut Case<'_>) -> Judged {
    let groups = case.given.at("nodeGroups");
    let sizes: Vec<GroupSize> = groups
        .items()
        .map(|group| GroupSize {
            min: count(group.at("minSize")),
            max: count(group.at("maxSize")),
            target: count(group.at("targetSize")),
        })
        .collect();
    let targets = balanced(&sizes, count(case.given.at("newNodes")));
    let changed = groups.items().zip(sizes.iter().zip(targets));
    let changed = changed.filter(|(_, (size, target))| size.target != *target);
    let got: BTreeMap<String, usize> =
        changed.map(|(group, (_, target))| (object::text(group, "name"), target)).collect();
    let wanted = case.expect.at("newSizes").fields();
    let wanted = wanted.map(|(name, size)| (name.to_owned(), count(size))).collect();
    case.compare_maps("newSizes", &wanted, &got);
    Ok(())
}
