//! Trace folders.

use std::collections::{BTreeMap, BTreeSet};

use scenario_format::files::{Files, RawFile, ReadError};
use scenario_format::yaml::{self, Node};
use scenario_format::{Code, Diagnostic, Sources, read_trees};
use sim_kernel::{SimSpan, Streams};

use crate::election::Elections;
use crate::figures::Figures;
use crate::recorded::{Recorded, recorded};
use crate::rig;
use crate::stage::{self, Stage};

const SCENARIO: &str = "scenario.yaml";
const SUMMARY: &str = "summary.yaml";
const TIMELINE: &str = "timeline.json";

/// Further than this from a scenario's zero nothing is recorded: 30 days, in milliseconds.
const BEYOND_MS: u64 = 30 * 86_400_000;

/// What was read of all paths.
#[derive(Debug, Default)]
pub struct Read {
    /// Traces, in the order of the paths, sorted by name within one.
    pub traces: Vec<Trace>,
    /// What is wrong. With an error some trace is missing.
    pub diagnostics: Vec<Diagnostic>,
    /// All texts, for messages.
    pub sources: Sources,
}

/// One recorded timeline and how it is played again.
#[derive(Debug)]
pub struct Trace {
    /// `id` of its scenario.
    pub name: String,
    /// `kind` of its scenario.
    pub kind: String,
    pub(crate) recorded: Vec<Recorded>,
    play: Play,
}

/// What is played.
#[derive(Debug)]
enum Play {
    Stage(Box<Stage>),
    Elections(Elections),
}

impl Trace {
    /// Plays it once with the luck of one run; `None` when the scheduler of this run drew a start
    /// that the recording's faults do not fit (another zone had most pods), or when the run met a
    /// limit.
    pub fn simulate(&self, root_seed: u64, run: u64) -> Option<Figures> {
        let streams = Streams::new(root_seed, run);
        match &self.play {
            Play::Stage(stage) => rig::play(stage, streams),
            Play::Elections(elections) => Some(elections.play(streams)),
        }
    }
}

/// Reads trace folders: each path is one, or holds some. A path without any is no mistake.
pub fn read(paths: &[String], files: &dyn Files) -> Read {
    let mut read = Read::default();
    let mut folders = Vec::new();
    for path in paths {
        match found(path, files) {
            Ok(found) => folders.extend(found),
            Err(error) => {
                let message = format!("{path}: {error}");
                read.diagnostics.push(Diagnostic::nowhere(Code::E0001, message));
            }
        }
    }
    let texts: Vec<String> = folders
        .iter()
        .flat_map(|folder| [SCENARIO, SUMMARY].map(|name| format!("{}/{name}", folder.path)))
        .collect();
    let trees = read_trees(&texts, files);
    read.diagnostics.extend(trees.diagnostics);
    read.sources = trees.sources;
    let mut documents: BTreeMap<String, Node> = BTreeMap::new();
    for file in trees.files {
        documents.extend(file.documents.into_iter().next().map(|document| (file.name, document)));
    }
    for folder in folders {
        let document = |name: &str| documents.get(&format!("{}/{name}", folder.path));
        if let (Some(scenario), Some(summary)) = (document(SCENARIO), document(SUMMARY)) {
            let timeline = Timeline::of(&folder.timeline);
            if timeline.is_beyond {
                let message =
                    format!("{}/{TIMELINE}: a moment is more than 30 days from zero", folder.path);
                let help = "`t` counts milliseconds from the zero of the scenario";
                read.diagnostics.push(Diagnostic::nowhere(Code::E0014, message).help(help));
                continue;
            }
            read.traces.extend(trace(scenario, summary, &timeline, &mut read.diagnostics));
        }
    }
    read
}

/// A folder of a trace.
struct Folder {
    path: String,
    timeline: String,
}

/// The traces at a path: it is one, or holds some.
fn found(path: &str, files: &dyn Files) -> Result<Vec<Folder>, ReadError> {
    let path = path.trim_end_matches('/').trim_end_matches(SCENARIO).trim_end_matches('/');
    let all = match files.read(path) {
        Ok(all) => all,
        Err(ReadError::NoManifests) => Vec::new(),
        Err(error) => return Err(error),
    };
    let names: BTreeSet<&str> = all.iter().map(|file| file.name.as_str()).collect();
    let in_folder =
        |file: &RawFile| Some(file.name.strip_suffix(SCENARIO)?.trim_end_matches('/').to_owned());
    let folders = all.iter().filter_map(in_folder);
    let folders = folders.filter(|folder| names.contains(format!("{folder}/{SUMMARY}").as_str()));
    Ok(folders
        .map(|path| {
            let name = format!("{path}/{TIMELINE}");
            let timeline = all.iter().find(|file| file.name == name);
            let text = timeline.map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
            Folder { path, timeline: text.unwrap_or_default() }
        })
        .collect())
}

fn trace(
    scenario: &Node,
    summary: &Node,
    timeline: &Timeline,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Trace> {
    let text = |key: &str| scenario.get(key).and_then(Node::text).unwrap_or_default().to_owned();
    // One with nodes is a cluster whose leader is killed among other things.
    let has_nodes = scenario.get("nodes").and_then(Node::items).is_some_and(|it| !it.is_empty());
    let play = if text("kind") == "leader-election" && !has_nodes {
        Play::Elections(Elections::read(scenario, summary, timeline, diagnostics)?)
    } else {
        Play::Stage(Box::new(stage::read(scenario, summary, timeline, diagnostics)?))
    };
    let zones: &[String] = match &play {
        Play::Stage(stage) => &stage.zone_names,
        Play::Elections(_) => &[],
    };
    let duration = match &play {
        Play::Stage(stage) => stage.duration(),
        Play::Elections(_) => 0.0,
    };
    let recorded = recorded(summary, timeline, zones, duration);
    Some(Trace { name: text("id"), kind: text("kind"), recorded, play })
}

/// What is needed of `timeline.json`, one JSON object a line.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// When anything was recorded first, in milliseconds.
    first_ms: Option<i64>,
    /// And when last.
    last_ms: Option<i64>,
    /// Names that were struck by a fault.
    struck: BTreeSet<String>,
    /// Something was recorded at a moment that no scenario has.
    is_beyond: bool,
    /// By kind of record and name: when it was recorded first.
    first_of: BTreeMap<(String, String), i64>,
    /// By pod: when it was created and when it was bound.
    pub(crate) created: BTreeMap<String, i64>,
    pub(crate) bound: BTreeMap<String, i64>,
}

impl Timeline {
    pub(crate) fn of(text: &str) -> Self {
        let mut timeline = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (documents, _) = yaml::parse(0, line);
            let Some(record) = documents.first() else { continue };
            timeline.take(record);
        }
        timeline
    }

    fn take(&mut self, record: &Node) {
        let text = |key: &str| record.get(key).and_then(Node::text).unwrap_or_default();
        let Ok(at) = text("t").parse::<i64>() else { return };
        if at.unsigned_abs() > BEYOND_MS {
            self.is_beyond = true;
            return;
        }
        self.first_ms = Some(self.first_ms.map_or(at, |first| first.min(at)));
        self.last_ms = self.last_ms.max(Some(at));
        let (kind, name) = (text("k").to_owned(), text("n").to_owned());
        if kind == "fault" {
            let struck = record.get("nodes").and_then(Node::items).unwrap_or_default();
            self.struck.extend(struck.iter().filter_map(Node::text).map(str::to_owned));
        }
        if kind == "pod" {
            match text("op") {
                "created" => _ = self.created.entry(name.clone()).or_insert(at),
                "bound" => _ = self.bound.insert(name.clone(), at),
                _ => {}
            }
        }
        self.first_of.entry((kind, name)).or_insert(at);
    }

    /// ReplicaSets of a Deployment that were there before the scenario's zero, by age. Behind the name
    /// of the Deployment stands a hash, which has no dash: that of `web-2` is not one of `web`.
    pub(crate) fn replica_sets(&self, deployment: &str) -> Vec<String> {
        let of_it = |(kind, name): &(String, String)| {
            let hash = name.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
            (kind == "rs").then_some(hash.filter(|hash| !hash.contains('-'))?.to_owned())
        };
        let old = self.first_of.iter().filter(|(_, at)| **at < 0);
        let mut sets: Vec<(i64, String)> =
            old.filter_map(|(key, at)| Some((*at, of_it(key)?))).collect();
        sets.sort();
        sets.into_iter().map(|(_, hash)| hash).collect()
    }

    /// How many names were struck by faults.
    pub(crate) fn struck_count(&self) -> u32 {
        u32::try_from(self.struck.len()).unwrap_or(u32::MAX)
    }

    /// How long after the scenario's zero its recording ended.
    pub(crate) fn end(&self) -> Option<SimSpan> {
        let last = self.last_ms.and_then(|last| u64::try_from(last).ok());
        last.filter(|last| *last > 0).map(SimSpan::from_millis)
    }

    /// How long before the scenario's zero its recording began.
    pub(crate) fn lead(&self) -> Option<SimSpan> {
        let lead = self.first_ms.filter(|first| *first < 0)?;
        Some(SimSpan::from_millis(lead.unsigned_abs()))
    }

    /// When an object was first recorded, in milliseconds from the scenario's zero.
    pub(crate) fn first(&self, kind: &str, name: &str) -> Option<i64> {
        self.first_of.get(&(kind.to_owned(), name.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replica_sets_are_those_of_the_deployment_by_age() {
        let timeline = Timeline::of(
            r#"{"t":-9,"k":"rs","n":"web-zz"}
               {"t":-8,"k":"rs","n":"web-2-aa"}
               {"t":-7,"k":"rs","n":"web-bb"}
               {"t":5,"k":"rs","n":"web-cc"}"#,
        );
        assert_eq!(timeline.replica_sets("web"), ["zz", "bb"]);
        assert_eq!(timeline.replica_sets("web-2"), ["aa"]);
        assert_eq!(timeline.end(), Some(SimSpan::from_millis(5)));
    }
}
