//! `KubeSchedulerConfiguration`: its first profile.

use model_kube::scheduling::{DefaultSpreading, Profile, ScorePlugin, ScoringStrategy};
use scenario_format::manifest::live;

use crate::case::Case;
use crate::object;
use crate::tree::Tree;

/// The profile of a case; the default one when it gives none.
pub(super) fn profile(case: &mut Case<'_>) -> Result<Profile, String> {
    let configuration = case.given.at("schedulerConfiguration");
    let mut profile = Profile {
        percentage_of_nodes_to_score: configuration.at("percentageOfNodesToScore").count(),
        ..Profile::default()
    };
    let Some(first) = configuration.at("profiles").items().next() else { return Ok(profile) };
    if first.at("percentageOfNodesToScore").is_given() {
        profile.percentage_of_nodes_to_score = first.at("percentageOfNodesToScore").count();
    }
    plugins(&mut profile, first.at("plugins"))?;
    for plugin in first.at("pluginConfig").items() {
        let args = plugin.at("args");
        match plugin.at("name").text() {
            "NodeResourcesFit" => fit(&mut profile, args)?,
            "NodeResourcesBalancedAllocation" => {
                let resources = args.at("resources");
                if resources.is_given() {
                    let names = resources.items().map(|it| object::text(it, "name"));
                    profile.balanced_resources = names.collect();
                }
            }
            "NodeAffinity" => {
                let added = args.at("addedAffinity");
                let added = object::read(added, &mut case.diagnostics, live::node_affinity);
                profile.added_affinity = added.unwrap_or_default();
            }
            "InterPodAffinity" => {
                profile.hard_pod_affinity_weight =
                    args.at("hardPodAffinityWeight").int().unwrap_or(1);
                profile.ignores_preferred_terms_of_existing_pods =
                    args.at("ignorePreferredTermsOfExistingPods").is_true();
            }
            "PodTopologySpread" if args.at("defaultingType").text() == "List" => {
                let constraints = args.at("defaultConstraints").items();
                let diagnostics = &mut case.diagnostics;
                profile.default_spreading = DefaultSpreading::List(
                    constraints
                        .filter_map(|it| object::read(it, diagnostics, live::spread_constraint))
                        .collect(),
                );
            }
            "PodTopologySpread" => {}
            "DefaultPreemption" => {
                let count = |name: &str, default| {
                    let given = args.at(name);
                    if given.is_given() { given.count() } else { default }
                };
                profile.min_candidate_nodes_percentage =
                    count("minCandidateNodesPercentage", profile.min_candidate_nodes_percentage);
                profile.min_candidate_nodes_absolute =
                    count("minCandidateNodesAbsolute", profile.min_candidate_nodes_absolute);
            }
            // Time-outs of binding say nothing about where a pod goes.
            "VolumeBinding" if !args.at("shape").is_given() => {}
            other => return Err(format!("the arguments of {other} are not modelled")),
        }
    }
    Ok(profile)
}

/// Extension points at which our scheduler runs the plugins of the default profile, whatever is said.
const FIXED_POINTS: [&str; 11] = [
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
];

/// Plugins that do nothing but score: without a weight they are as good as gone.
const ONLY_SCORES: [&str; 2] = ["ImageLocality", "NodeResourcesBalancedAllocation"];

/// Weights of score plugins: disabled ones weigh nothing, enabled ones what is given or 1
/// (pkg/scheduler/apis/config/v1/default_plugins.go, mergePluginSet, 1.36). Plugins that do more can be
/// disabled as scores only.
fn plugins(profile: &mut Profile, plugins: Tree<'_>) -> Result<(), String> {
    let disabled_at = |point: &str| plugins.at(point).at("disabled").items();
    if let Some(point) = FIXED_POINTS.into_iter().find(|point| disabled_at(point).next().is_some())
    {
        return Err(format!("plugins that are disabled at {point} are not modelled"));
    }
    for point in ["multiPoint", "score"] {
        for disabled in disabled_at(point) {
            let name = disabled.at("name").text();
            if point == "multiPoint" && !ONLY_SCORES.contains(&name) {
                return Err(format!("{name} that is disabled at all points is not modelled"));
            }
            let named = ScorePlugin::ALL.into_iter();
            for plugin in named.filter(|plugin| name == "*" || plugin.name() == name) {
                profile.set_weight(plugin, 0);
            }
        }
        for enabled in plugins.at(point).at("enabled").items() {
            let name = enabled.at("name").text();
            let weight = enabled.at("weight").int().filter(|weight| *weight != 0).unwrap_or(1);
            if let Some(plugin) = ScorePlugin::ALL.into_iter().find(|it| it.name() == name) {
                profile.set_weight(plugin, weight);
            }
        }
    }
    Ok(())
}

/// `NodeResourcesFitArgs`, with the defaults of what it leaves out
/// (pkg/scheduler/apis/config/v1/defaults.go, SetDefaults_NodeResourcesFitArgs, 1.36).
fn fit(profile: &mut Profile, args: Tree<'_>) -> Result<(), String> {
    profile.ignored_resources = args.at("ignoredResources").texts();
    profile.ignored_resource_groups = args.at("ignoredResourceGroups").texts();
    let strategy = args.at("scoringStrategy");
    if !strategy.is_given() {
        return Ok(());
    }
    let weight = |it: Tree<'_>| it.at("weight").int().filter(|weight| *weight != 0).unwrap_or(1);
    let resources = strategy.at("resources").items();
    if resources.len() > 0 {
        let weighted = resources.map(|it| (object::text(it, "name"), weight(it)));
        profile.scored_resources = weighted.collect();
    }
    profile.scoring = match strategy.at("type").text() {
        "" | "LeastAllocated" => ScoringStrategy::LeastAllocated,
        "MostAllocated" => ScoringStrategy::MostAllocated,
        "RequestedToCapacityRatio" => {
            let points = strategy.at("requestedToCapacityRatio.shape").items();
            let number = |point: Tree<'_>, name: &str| point.at(name).int().unwrap_or(0);
            ScoringStrategy::RequestedToCapacityRatio(
                points.map(|it| (number(it, "utilization"), number(it, "score"))).collect(),
            )
        }
        other => return Err(format!("there is no scoring strategy `{other}`")),
    };
    Ok(())
}
