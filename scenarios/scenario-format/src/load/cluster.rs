//! Manifests by themselves, for questions that need no scenario.

use std::collections::BTreeMap;

use model_api::blueprint::{Assumption, NodeSpec, Zone};
use model_api::{Blueprint, ZoneId};

use super::Loader;
use crate::coverage::Coverage;
use crate::decode::Decode;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{PlatformDocument, ScenarioDocument};
use crate::files::Files;
use crate::input::{Loaded, Resolved};
use crate::library::{self, WithLibrary};
use crate::manifest::{Manifests, Object, Tier, live};
use crate::nearest::suggestion;
use crate::resolve::{self, Input};
use crate::source::{Source, Sources};
use crate::yaml;

/// The shipped platform whose nodes are taken when the input has none.
const DEFAULT_PLATFORM: &str = "eidp-production";

/// A scenario in which nothing happens.
const NOTHING_HAPPENS: &str = "{apiVersion: eidp-sim/v1, kind: Scenario, metadata: {name: manifests}, spec: {platform: x, horizon: 1h}}";

const ZONE: &str = "topology.kubernetes.io/zone";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// What the user named, without a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterRequest {
    /// A platform with its own manifests: a path, or the name of a shipped one. Without one there
    /// are the manifests alone, on the nodes among them or else on those of a shipped platform.
    pub platform: Option<String>,
    /// Manifests: files, directories, `-`.
    pub manifests: Vec<String>,
    /// Overrides, as with a scenario.
    pub overrides: Vec<String>,
}

/// Reads manifests as a cluster: like [`load`](crate::load()), but nothing happens to it, and a
/// `v1 Node` among the manifests is a node. Never panics, whatever the files hold.
pub fn load_cluster(request: &ClusterRequest, files: &dyn Files) -> Loaded {
    let files = WithLibrary { first: files };
    let mut loader = Loader { files, sources: Sources::default(), diagnostics: Vec::new() };
    let resolved = loader.cluster(request);
    loader.finish(resolved)
}

impl Loader<'_> {
    fn cluster(&mut self, request: &ClusterRequest) -> Option<Resolved> {
        let overrides = self.overrides(&request.overrides);
        let path = self.platform_named(request.platform.as_deref().unwrap_or(DEFAULT_PLATFORM))?;
        let node = self.document(&path, "Platform", &overrides)?;
        let mut platform = PlatformDocument::decode(&node, &mut self.diagnostics)?;
        if request.platform.is_none() {
            // Its machines only.
            let spec = &mut platform.spec;
            (spec.manifests, spec.services) = (Vec::new(), Vec::new());
            (spec.databases, spec.load) = (Vec::new(), Vec::new());
            spec.backups = None;
        }
        let mut objects = Vec::new();
        for manifest in &platform.spec.manifests {
            self.manifest(&path, manifest, Tier::Platform, &mut objects);
        }
        for manifest in &request.manifests {
            let files = self.read(manifest, None);
            self.objects(files, Tier::CommandLine, &mut objects);
        }
        for change in &overrides {
            change.apply(&mut objects, &mut self.diagnostics);
        }
        let nodes = self.nodes(&mut objects);
        let scenario = self.nothing_happens();
        let parameters = resolve::parameters(&platform);
        let manifests =
            Manifests::convert(objects, parameters.default_toleration, &mut self.diagnostics);
        let coverage = Coverage::of(&manifests.objects);
        let mut traces = BTreeMap::new();
        self.traces(&path, &platform.spec.load, &mut traces);
        let input =
            Input { path: &path, scenario: &scenario, platform: &platform, manifests, traces };
        let files = self.sources.names();
        let mut resolved =
            resolve::resolve(&input, parameters, files, coverage, &mut self.diagnostics);
        if !nodes.is_empty() {
            take_nodes(&mut resolved.blueprint, nodes);
        } else if request.platform.is_none() {
            let text = format!(
                "there is no Node among the manifests: the nodes are those of the shipped platform {DEFAULT_PLATFORM}"
            );
            let origin = resolved.blueprint.control_plane.origin.clone();
            let assumption = Assumption { text, origin, is_about_nodes: true };
            resolved.blueprint.assumptions.push(assumption);
        }
        Some(resolved)
    }

    fn platform_named(&mut self, name: &str) -> Option<String> {
        let shipped = format!("{}platforms/{name}.yaml", library::PREFIX);
        let candidates = [name.to_owned(), format!("{name}.yaml"), format!("{name}.yml"), shipped];
        let found = candidates.into_iter().find(|path| self.files.is_file(path));
        if found.is_none() {
            let message = format!("there is no platform `{name}`");
            let shipped = library::platform_names();
            self.diagnostics.push(
                Diagnostic::nowhere(Code::E0001, message)
                    .help_if(suggestion(name, shipped.iter().copied())),
            );
        }
        found
    }

    /// Takes the nodes out of the objects.
    fn nodes(&mut self, objects: &mut Vec<Object>) -> Vec<(Object, model_api::kube::Node)> {
        let is_node = |object: &Object| object.key.kind == "Node" && object.api_version == "v1";
        let (nodes, others): (Vec<Object>, Vec<Object>) = objects.drain(..).partition(is_node);
        *objects = others;
        let mut read: Vec<(Object, model_api::kube::Node)> = Vec::new();
        for object in nodes {
            if let Some((first, _)) = read.iter().find(|(known, _)| known.key == object.key) {
                let message = format!("{} is there twice", object.title());
                self.diagnostics.push(
                    Diagnostic::new(Code::E0024, object.name_span, message)
                        .related(first.name_span, "first here"),
                );
            } else if let Some(node) = live::node(&object.node, &mut self.diagnostics) {
                read.push((object, node));
            }
        }
        read
    }

    fn nothing_happens(&mut self) -> ScenarioDocument {
        let source = Source { name: "(no scenario)".to_owned(), text: NOTHING_HAPPENS.to_owned() };
        let file_idx = self.sources.push(source);
        let (documents, _) = yaml::parse(file_idx, NOTHING_HAPPENS);
        let document = documents.first().expect("the text is one document");
        ScenarioDocument::decode(document, &mut self.diagnostics).expect("the text is a scenario")
    }
}

/// Nodes of manifests in the place of those of a platform; their zones come from their labels.
fn take_nodes(blueprint: &mut Blueprint, nodes: Vec<(Object, model_api::kube::Node)>) {
    blueprint.zones.clear();
    blueprint.nodes.clear();
    // Their nodes were those of the platform.
    blueprint.node_groups.clear();
    blueprint.cluster_autoscaler = None;
    let mut known: BTreeMap<String, ZoneId> = BTreeMap::new();
    for (object, node) in nodes {
        let name = node.labels.get(ZONE).cloned().unwrap_or_default();
        let zone = *known.entry(name.clone()).or_insert_with(|| {
            let origin = object.origin.clone();
            blueprint.zones.push(Zone { name, origin, ..Zone::default() });
            ZoneId::from_index(blueprint.zones.len() - 1)
        });
        let is_control_plane = node.labels.contains_key(CONTROL_PLANE);
        blueprint.nodes.push(NodeSpec {
            node,
            zone,
            is_control_plane,
            origin: object.origin,
            ..NodeSpec::default()
        });
    }
    blueprint.control_plane.member_zones =
        blueprint.nodes.iter().filter(|it| it.is_control_plane).map(|it| it.zone).collect();
}
