//! The scheduler: cases of one plugin, of the whole profile, of preemption.
//!
//! A case becomes a [`model_kube::scheduling::case::Case`], is asked what its `expect` names, and
//! the answers are compared.

mod cluster;
mod configuration;

use std::collections::{BTreeMap, BTreeSet};

use model_api::observation::UnschedulableReason;
use model_kube::scheduling::case::LoadedCase;
use model_kube::scheduling::{Code, NodeReport, ScorePlugin};

use crate::case::{Case, Judged};
use crate::tree::Tree;

pub(crate) fn check(case: &mut Case<'_>) -> Judged {
    let profile = configuration::profile(case)?;
    let question = cluster::question(case, profile)?;
    let mut loaded = question.load();
    let plugin = case.given.at("plugin").text();
    for (what, wanted) in case.expect.fields() {
        match what {
            "filter" => filter(case, &loaded, filter_named(plugin)?, wanted),
            "reasons" => reasons(case, &loaded, filter_named(plugin)?, wanted),
            "feasibleNodes" => feasible_nodes(case, &mut loaded, wanted),
            "domainCounts" => domain_counts(case, &loaded, wanted),
            "scores" => scores(case, &loaded, wanted)?,
            "preScore" => {
                let scores = loaded.scores(scorer_named(plugin)?, &candidates_of(case));
                let got = if scores.is_none() { "Skip" } else { "Success" };
                case.compare(what, wanted.text(), got);
            }
            "weightedScores" => weighted_scores(case, &mut loaded, wanted),
            "totalScores" => total_scores(case, &mut loaded, wanted),
            "rejectedBy" => rejected_by(case, &mut loaded, wanted),
            "selectedNode" => selected_node(case, &mut loaded, wanted),
            "candidates" => candidates(case, &mut loaded, wanted),
            "nominatedNode" => nominated_node(case, &mut loaded, wanted),
            _ => {}
        }
    }
    Ok(())
}

fn map<'a, T>(tree: Tree<'a>, read: impl Fn(Tree<'a>) -> T) -> BTreeMap<String, T> {
    tree.fields().map(|(name, value)| (name.to_owned(), read(value))).collect()
}

fn set(tree: Tree<'_>) -> BTreeSet<String> {
    tree.texts().into_iter().collect()
}

fn filter(case: &mut Case<'_>, loaded: &LoadedCase, plugin: UnschedulableReason, wanted: Tree<'_>) {
    let code = |code: Code| match code {
        Code::Unschedulable => "Unschedulable",
        Code::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
    };
    let answers = loaded.filter(plugin).into_iter();
    let got = answers.map(|(node, answer)| {
        (node, answer.map_or_else(|it| code(it.rejection.code), |()| "Success").to_owned())
    });
    case.compare_maps("filter", &map(wanted, |it| it.text().to_owned()), &got.collect());
}

fn reasons(
    case: &mut Case<'_>,
    loaded: &LoadedCase,
    plugin: UnschedulableReason,
    wanted: Tree<'_>,
) {
    let answers = loaded.filter(plugin).into_iter();
    let refused = answers.filter_map(|(node, answer)| Some((node, answer.err()?)));
    let got = refused.map(|(node, refusal)| (node, refusal.reasons.into_iter().collect()));
    let mut got: BTreeMap<String, BTreeSet<String>> = got.collect();
    // A case may name the reasons of some nodes only.
    got.retain(|node, _| wanted.field(node).is_given());
    case.compare_maps("reasons", &map(wanted, set), &got);
}

fn passing(reports: &[NodeReport]) -> impl Iterator<Item = &NodeReport> {
    reports.iter().filter(|report| report.outcome.is_ok())
}

fn feasible_nodes(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    let reports = loaded.explain();
    let got = passing(&reports).map(|report| loaded.node_name(report.node).to_owned()).collect();
    case.compare("feasibleNodes", set(wanted), got);
}

fn domain_counts(case: &mut Case<'_>, loaded: &LoadedCase, wanted: Tree<'_>) {
    let mut got: Vec<(String, BTreeMap<String, i64>)> = loaded
        .domain_counts()
        .into_iter()
        .map(|(key, counts)| (key, counts.into_iter().collect()))
        .collect();
    let read = |it: Tree<'_>| {
        let key = it.at("topologyKey").text().to_owned();
        (key, map(it.at("counts"), |count| count.int().unwrap_or(0)))
    };
    let mut expected: Vec<_> = wanted.items().map(read).collect();
    got.sort();
    expected.sort();
    case.compare("domainCounts", expected, got);
}

/// The nodes to be scored: those the case lists, or all.
fn candidates_of(case: &Case<'_>) -> Vec<String> {
    let listed = case.given.at("candidates");
    if listed.is_given() {
        return listed.texts();
    }
    let nodes = case.given.at("nodes").items();
    nodes.map(|node| node.at("metadata.name").text().to_owned()).collect()
}

fn scores(case: &mut Case<'_>, loaded: &LoadedCase, wanted: Tree<'_>) -> Judged {
    let candidates = candidates_of(case);
    for (plugin, expected) in wanted.fields() {
        let scores = loaded.scores(scorer_named(plugin)?, &candidates);
        let got = match scores {
            Some(scores) => scores.into_iter().collect(),
            None => candidates.iter().map(|node| (node.clone(), 0)).collect(),
        };
        let what = format!("scores.{plugin}");
        case.compare_maps(&what, &map(expected, |it| it.int().unwrap_or(0)), &got);
    }
    Ok(())
}

fn weighted_scores(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    let reports = loaded.explain();
    let got = reports.iter().filter_map(|report| {
        let scores = report.outcome.as_ref().ok()?.iter();
        let weighted: BTreeMap<String, i64> =
            scores.map(|it| (it.plugin.name().to_owned(), it.weight * it.score)).collect();
        Some((loaded.node_name(report.node).to_owned(), weighted))
    });
    let expected = map(wanted, |scores| map(scores, |it| it.int().unwrap_or(0)));
    case.compare_maps("weightedScores", &expected, &got.collect());
}

fn total_scores(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    let reports = loaded.explain();
    let got = reports
        .iter()
        .filter_map(|report| Some((loaded.node_name(report.node).to_owned(), report.total()?)));
    case.compare_maps("totalScores", &map(wanted, |it| it.int().unwrap_or(0)), &got.collect());
}

fn rejected_by(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    let reports = loaded.explain();
    let got = reports.iter().filter_map(|report| {
        let refusal = report.outcome.as_ref().err()?;
        let filter = format!("{:?}", refusal.rejection.filter);
        Some((loaded.node_name(report.node).to_owned(), filter))
    });
    case.compare_maps("rejectedBy", &map(wanted, |it| it.text().to_owned()), &got.collect());
}

/// The best nodes must be exactly those upstream may choose from.
fn selected_node(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    let reports = loaded.explain();
    let best = reports.iter().filter_map(NodeReport::total).max();
    let tied = passing(&reports)
        .filter(|report| report.total() == best)
        .map(|report| loaded.node_name(report.node).to_owned())
        .collect();
    case.compare("selectedNode", set(wanted.at("anyOf")), tied);
}

fn candidates(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    let got = loaded.preemption_candidates().into_iter().map(|candidate| {
        let victims: BTreeSet<String> =
            candidate.victims.iter().map(|pod| loaded.pod_name(*pod).to_owned()).collect();
        let violations = i64::from(candidate.violation_count);
        (loaded.node_name(candidate.node).to_owned(), (victims, violations))
    });
    let read = |it: Tree<'_>| (set(it.at("victims")), it.at("pdbViolations").int().unwrap_or(0));
    case.compare_maps("candidates", &map(wanted, read), &got.collect());
}

fn nominated_node(case: &mut Case<'_>, loaded: &mut LoadedCase, wanted: Tree<'_>) {
    case.judge("nominatedNode");
    let nominated = loaded.nominated();
    let name = nominated.map(|candidate| loaded.node_name(candidate.node).to_owned());
    let allowed = wanted.at("anyOf").texts();
    let is_right = match &name {
        Some(name) => allowed.contains(name),
        None => allowed.is_empty(),
    };
    if !is_right {
        let got = name.unwrap_or_else(|| "none".to_owned());
        case.differ("nominatedNode", format!("any of {allowed:?}"), got);
    }
}

fn filter_named(name: &str) -> Result<UnschedulableReason, String> {
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
    found.ok_or_else(|| format!("the filter of `{name}` is not modelled"))
}

fn scorer_named(name: &str) -> Result<ScorePlugin, String> {
    let found = ScorePlugin::ALL.into_iter().find(|plugin| plugin.name() == name);
    found.ok_or_else(|| format!("the score of `{name}` is not modelled"))
}
