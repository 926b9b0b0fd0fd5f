//! From what the user named to a resolved input.

use std::collections::BTreeMap;

use model_api::load::LoadPoint;

use crate::coverage::Coverage;
use crate::decode::Decode;
use crate::diagnostic::{self, Code, Diagnostic, Severity};
use crate::document::{LoadSpec, PlatformDocument, ScenarioDocument};
use crate::files::{Files, RawFile, ReadError};
use crate::input::{Loaded, Request, Resolved};
use crate::library::{self, WithLibrary};
use crate::lint;
use crate::manifest::{Manifests, Object, Tier, read_objects};
use crate::nearest::suggestion;
use crate::overrides::{Override, Target};
use crate::resolve::{self, Input};
use crate::source::{Source, Sources, Span, Spanned};
use crate::text;
use crate::trace;
use crate::yaml::{self, Node};

mod cluster;
mod trees;

pub use cluster::{ClusterRequest, load_cluster};
pub use trees::{TreeFile, Trees, read_trees};

/// Extensions that may be left out.
const EXTENSIONS: [&str; 3] = ["", ".yaml", ".yml"];
/// Most diagnostics of each severity that are kept; who has more has one cause.
const DIAGNOSTICS_MAX: usize = 100;

/// Reads a scenario with its platform and all manifests, looks up every name, and says everything
/// that is wrong. Never panics, whatever the files hold.
pub fn load(request: &Request, files: &dyn Files) -> Loaded {
    let files = WithLibrary { first: files };
    let mut loader = Loader { files, sources: Sources::default(), diagnostics: Vec::new() };
    let resolved = loader.run(request);
    loader.finish(resolved)
}

/// Keeps the first diagnostics of each severity; how many it dropped.
fn drop_surplus(diagnostics: &mut Vec<Diagnostic>) -> usize {
    let count = diagnostics.len();
    let (mut errors, mut warnings) = (0, 0);
    diagnostics.retain(|diagnostic| {
        let seen = match diagnostic.severity() {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
        };
        *seen += 1;
        *seen <= DIAGNOSTICS_MAX
    });
    count - diagnostics.len()
}

/// The file that a scenario's name or path means, or `None`. Tried in this order: the path, the path
/// with `.yaml` or `.yml`, a shipped scenario of that name.
pub fn scenario_path(name: &str, files: &dyn Files) -> Option<String> {
    let files = WithLibrary { first: files };
    let candidates = EXTENSIONS.iter().map(|extension| format!("{name}{extension}"));
    let shipped = EXTENSIONS.iter().map(|ext| format!("{}{name}{ext}", library::PREFIX));
    candidates.chain(shipped).find(|path| files.is_file(path))
}

struct Loader<'a> {
    files: WithLibrary<'a>,
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// Everything that was found out; nothing to run when anything is wrong.
    fn finish(self, resolved: Option<Resolved>) -> Loaded {
        let Loader { sources, mut diagnostics, .. } = self;
        diagnostic::sort(&mut diagnostics);
        // A name that is not there may stand in what could not be read: the reason comes first.
        diagnostics.sort_by_key(|diagnostic| diagnostic.code == Code::E0016);
        let omitted_count = drop_surplus(&mut diagnostics);
        let resolved = resolved.filter(|_| !diagnostic::has_errors(&diagnostics));
        Loaded { resolved, diagnostics, omitted_count, sources }
    }

    fn run(&mut self, request: &Request) -> Option<Resolved> {
        let overrides = self.overrides(&request.overrides);
        let path = self.scenario_file(&request.scenario)?;
        let scenario_node = self.document(&path, "Scenario", &overrides)?;
        let scenario = ScenarioDocument::decode(&scenario_node, &mut self.diagnostics);
        let name = scenario.as_ref().and_then(|scenario| bad_name(&scenario.metadata.name));
        self.diagnostics.extend(name);
        // Even of a scenario that is wrong elsewhere the platform is read, for its own mistakes.
        let platform_name = platform_of(&scenario_node)?;
        let platform_path = self.platform_file(&path, &platform_name)?;
        let platform_node = self.document(&platform_path, "Platform", &overrides)?;
        let platform = PlatformDocument::decode(&platform_node, &mut self.diagnostics);

        let mut objects = Vec::new();
        for manifest in platform.iter().flat_map(|platform| &platform.spec.manifests) {
            self.manifest(&platform_path, manifest, Tier::Platform, &mut objects);
        }
        for manifest in scenario.iter().flat_map(|scenario| &scenario.spec.manifests) {
            self.manifest(&path, manifest, Tier::Scenario, &mut objects);
        }
        for manifest in &request.manifests {
            let files = self.read(manifest, None);
            self.objects(files, Tier::CommandLine, &mut objects);
        }
        for change in &overrides {
            change.apply(&mut objects, &mut self.diagnostics);
        }
        let (scenario, platform) = (scenario?, platform?);
        let mut traces = BTreeMap::new();
        self.traces(&platform_path, &platform.spec.load, &mut traces);
        self.traces(&path, &scenario.spec.load, &mut traces);
        let parameters = resolve::parameters(&platform);
        let manifests =
            Manifests::convert(objects, parameters.default_toleration, &mut self.diagnostics);
        let coverage = Coverage::of(&manifests.objects);
        let input =
            Input { path: &path, scenario: &scenario, platform: &platform, manifests, traces };
        let files = self.sources.names();
        let resolved = resolve::resolve(&input, parameters, files, coverage, &mut self.diagnostics);
        // Of an input that is wrong elsewhere a rule would see half and complain of the rest.
        if !diagnostic::has_errors(&self.diagnostics) {
            lint::run(&input.manifests, &resolved, &mut self.diagnostics);
        }
        Some(resolved)
    }

    /// Reads the recorded loads that a file names.
    fn traces(
        &mut self,
        base: &str,
        loads: &[LoadSpec],
        traces: &mut BTreeMap<Span, Vec<LoadPoint>>,
    ) {
        for spec in loads.iter().filter_map(|load| load.trace.as_ref()) {
            let path = join(base, &spec.file.value);
            for file in self.read(&path, Some(spec.file.span)) {
                let Some((file_idx, text)) = self.text(file) else { continue };
                let points = trace::parse(file_idx, &text, spec, &mut self.diagnostics);
                if let Some(points) = points {
                    traces.insert(spec.file.span, points);
                }
            }
        }
    }

    fn overrides(&mut self, texts: &[String]) -> Vec<Override> {
        let mut overrides = Vec::new();
        for text in texts {
            let name = "--set".to_owned();
            let file_idx = self.sources.push(Source { name, text: text.clone() });
            match Override::parse(file_idx, text) {
                Ok(change) => overrides.push(change),
                Err(diagnostic) => self.diagnostics.push(*diagnostic),
            }
        }
        overrides
    }

    fn scenario_file(&mut self, name: &str) -> Option<String> {
        let found = scenario_path(name, self.files.first);
        if found.is_none() {
            // A directory or an unreadable file says more than "not found".
            if let Err(error) = self.files.read(name)
                && error != ReadError::Missing
            {
                self.unreadable(name, None, &error);
                return None;
            }
            let message = format!("there is no scenario `{name}`");
            let shipped = library::names();
            self.diagnostics.push(
                Diagnostic::nowhere(Code::E0001, message)
                    .help_if(suggestion(name, shipped.iter().copied())),
            );
        }
        found
    }

    /// A platform is a path relative to the scenario, or a name: then it is looked for in
    /// `platforms/` beside the scenario, and among the shipped ones.
    fn platform_file(&mut self, scenario: &str, name: &Spanned<String>) -> Option<String> {
        let is_name = !name.value.contains('/') && !name.value.contains(".y");
        let mut candidates = Vec::new();
        for extension in EXTENSIONS {
            candidates.push(join(scenario, &format!("{}{extension}", name.value)));
        }
        if is_name {
            candidates.push(join(scenario, &format!("platforms/{}.yaml", name.value)));
            candidates.push(format!("{}platforms/{}.yaml", library::PREFIX, name.value));
        }
        let found = candidates.iter().find(|path| self.files.is_file(path)).cloned();
        if found.is_none() {
            let message = format!("there is no platform `{}`", name.value);
            let shipped = library::platform_names();
            self.diagnostics.push(
                Diagnostic::new(Code::E0001, name.span, message)
                    .label("neither a file nor a shipped platform")
                    .help_if(suggestion(&name.value, shipped.iter().copied())),
            );
        }
        found
    }

    /// The one document of a file of ours.
    fn document(&mut self, path: &str, kind: &str, overrides: &[Override]) -> Option<Node> {
        let file = self.read(path, None).into_iter().next()?;
        let (file_idx, text) = self.text(file)?;
        let (documents, diagnostics) = yaml::parse(file_idx, &text);
        let is_broken = diagnostic::has_errors(&diagnostics);
        self.diagnostics.extend(diagnostics);
        let mut documents = documents.into_iter().filter(|document| !document.is_null());
        let Some(mut document) = documents.next() else {
            if !is_broken {
                let message = format!("{path} holds nothing");
                self.diagnostics.push(Diagnostic::new(Code::E0009, start_of(file_idx), message));
            }
            return None;
        };
        if let Some(second) = documents.next() {
            let message = format!("a file holds one {kind}, and this is a second document");
            self.diagnostics.push(Diagnostic::new(Code::E0026, second.span, message));
        }
        self.check_kind(&document, kind)?;
        let target = if kind == "Scenario" { Target::Scenario } else { Target::Platform };
        for change in overrides.iter().filter(|change| change.target == target) {
            change.apply_to(&mut document, &mut self.diagnostics);
        }
        Some(document)
    }

    fn check_kind(&mut self, document: &Node, kind: &str) -> Option<()> {
        let Some(found) = document.get("kind") else { return Some(()) };
        let text = found.text().unwrap_or_default();
        if text == kind {
            return Some(());
        }
        let message = format!("expected kind {kind}, found `{text}`");
        let is_manifest = document
            .get("apiVersion")
            .and_then(Node::text)
            .is_some_and(|version| !version.starts_with("eidp-sim/"));
        let help = if is_manifest {
            "this is a Kubernetes manifest: name it under `manifests`, or pass it with -f"
                .to_owned()
        } else {
            let kinds = ["Scenario", "Platform"];
            let known = kinds.contains(&text);
            let near = suggestion(text, kinds).filter(|_| !known);
            near.unwrap_or_else(|| "there are the kinds Scenario and Platform".to_owned())
        };
        self.diagnostics.push(Diagnostic::new(Code::E0015, found.span, message).help(help));
        None
    }

    fn manifest(
        &mut self,
        base: &str,
        path: &Spanned<String>,
        tier: Tier,
        objects: &mut Vec<Object>,
    ) {
        let files = self.read(&join(base, &path.value), Some(path.span));
        self.objects(files, tier, objects);
    }

    fn objects(&mut self, files: Vec<RawFile>, tier: Tier, objects: &mut Vec<Object>) {
        // What lies beside a kustomization or in a chart is not yet what a cluster gets.
        if let Some(diagnostic) = files.iter().find_map(to_build) {
            self.diagnostics.push(diagnostic);
            return;
        }
        for file in files {
            let name = file.name.clone();
            let Some((file_idx, text)) = self.text(file) else { continue };
            let (documents, diagnostics) = yaml::parse(file_idx, &text);
            let is_broken = diagnostic::has_errors(&diagnostics);
            self.diagnostics.extend(diagnostics);
            let is_empty = documents.iter().all(Node::is_null);
            if is_empty && !is_broken {
                let message = format!("{name} holds no manifest");
                self.diagnostics.push(Diagnostic::new(Code::E0009, start_of(file_idx), message));
            }
            for document in documents {
                read_objects(document, tier, objects, &mut self.diagnostics);
            }
        }
    }

    fn read(&mut self, path: &str, span: Option<Span>) -> Vec<RawFile> {
        match self.files.read(path) {
            Ok(files) => files,
            Err(error) => {
                self.unreadable(path, span, &error);
                Vec::new()
            }
        }
    }

    fn unreadable(&mut self, path: &str, span: Option<Span>, error: &ReadError) {
        let code = match error {
            ReadError::TooLarge(_) | ReadError::TooMany => Code::E0002,
            ReadError::NoManifests => Code::E0010,
            ReadError::Missing | ReadError::Other(_) => Code::E0001,
        };
        let diagnostic = Diagnostic::nowhere(code, format!("{path}: {error}"));
        self.diagnostics.push(Diagnostic { span, ..diagnostic });
    }

    /// The text of a file, kept for messages.
    fn text(&mut self, file: RawFile) -> Option<(u32, String)> {
        let (text, problem) = text::decode(&file.name, file.bytes);
        let file_idx = self.sources.push(Source { name: file.name, text: text.clone() });
        match problem {
            None => Some((file_idx, text)),
            Some(problem) => {
                self.diagnostics.push(problem.diagnostic(file_idx));
                None
            }
        }
    }
}

/// `spec.platform`, from the tree, so that it is found whatever else is wrong.
fn platform_of(scenario: &Node) -> Option<Spanned<String>> {
    let node = scenario.at(&["spec", "platform"]).filter(|node| !node.is_null())?;
    Some(Spanned { value: node.text()?.to_owned(), span: node.span })
}

/// The file of a kustomization or chart, which has to be built before it is read.
fn to_build(file: &RawFile) -> Option<Diagnostic> {
    let (folder, name) = match file.name.rsplit_once('/') {
        Some((folder, name)) => (folder, name),
        None => (".", file.name.as_str()),
    };
    let (what, command) = match name {
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => {
            ("a kustomization", "kustomize build")
        }
        "Chart.yaml" => ("a Helm chart", "helm template"),
        _ => return None,
    };
    let message = format!("{folder} holds {what}, which has to be built first");
    let help = format!("{command} '{folder}' | eidp-sim run SCENARIO -f -");
    Some(Diagnostic::nowhere(Code::E0088, message).help(help))
}

/// What is wrong with the name of a scenario, which stands in file names, XML and on terminals.
fn bad_name(name: &Spanned<String>) -> Option<Diagnostic> {
    let is_bad = |letter: char| {
        letter.is_control() || matches!(letter, '/' | '\\' | '\u{fffe}' | '\u{ffff}')
    };
    let reason = if name.value.chars().any(is_bad) {
        "holds a slash or a character that cannot be printed"
    } else if name.value.starts_with('.') {
        "begins with a dot"
    } else {
        return None;
    };
    let message = format!("the name of this scenario {reason}");
    Some(Diagnostic::new(Code::E0089, name.span, message))
}

fn start_of(file_idx: u32) -> Span {
    let at = model_api::SourceRef { file_idx, line: 1, column: 1 };
    Span { at, start_byte: 0, end_byte: 0 }
}

/// `path` as seen from the file `base`; `.` and `..` are resolved in the text, so that shipped files
/// find each other too.
fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let directory = base.rsplit_once('/').map_or("", |(directory, _)| directory);
    let is_absolute = directory.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_their_file() {
        let cases = [
            (
                "scenarios/library/az-loss.yaml",
                "manifests/x.yaml",
                "scenarios/library/manifests/x.yaml",
            ),
            ("scenarios/library/platforms/p.yaml", "../manifests", "scenarios/library/manifests"),
            ("a.yaml", "b.yaml", "b.yaml"),
            ("a.yaml", "../b.yaml", "../b.yaml"),
            ("../x/a.yaml", "../../b.yaml", "../../b.yaml"),
            ("/srv/a.yaml", "./b.yaml", "/srv/b.yaml"),
            ("/srv/a.yaml", "/etc/b.yaml", "/etc/b.yaml"),
        ];
        for (base, path, expected) in cases {
            assert_eq!(join(base, path), expected, "{base} {path}");
        }
    }
}
