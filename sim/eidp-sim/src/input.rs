//! From what was typed to plans that can be run.

use std::io::Read as _;

use platform::Plan;
use report_data::{Note, Position};
use scenario_format::yaml::FILE_BYTES_MAX;
use scenario_format::{Code, Diagnostic, Disk, Loaded, Request, Resolved, Severity, Sources, load};

use crate::exit::Exit;
use crate::flags::{Fidelity, Input};
use crate::select::select;
use crate::streams::Streams;

/// What one side of a command works on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Scenarios, folders of them, or shipped names.
    pub(crate) scenarios: Vec<String>,
    /// Manifests to add.
    pub(crate) manifests: Vec<String>,
    /// Values to change.
    pub(crate) set: Vec<String>,
    /// How requests are treated.
    pub(crate) fidelity: Fidelity,
}

impl Wanted {
    pub(crate) fn new(input: &Input, set: &[String]) -> Self {
        Self {
            scenarios: input.scenarios.clone(),
            manifests: input.manifests.clone(),
            set: set.to_vec(),
            ..Self::default()
        }
    }

    /// The same, with requests treated like that.
    pub(crate) fn with_fidelity(self, fidelity: Fidelity) -> Self {
        Self { fidelity, ..self }
    }

    fn request(&self, scenario: &str) -> Request {
        Request {
            scenario: scenario.to_owned(),
            manifests: self.manifests.clone(),
            overrides: self.set.clone(),
        }
    }
}

/// A scenario that can be run.
pub(crate) struct Prepared {
    /// As it was named, so that it can be named again.
    pub(crate) word: String,
    /// Everything that was read and resolved.
    pub(crate) resolved: Resolved,
    /// Warnings about it.
    pub(crate) warnings: Vec<Note>,
    /// The same, ready to run.
    pub(crate) plan: Plan,
}

/// The disk, with standard input read when something asks for it.
pub(crate) fn disk(wanted: &Wanted) -> anyhow::Result<Disk> {
    let paths: Vec<String> = wanted.scenarios.iter().chain(&wanted.manifests).cloned().collect();
    disk_for(&paths)
}

/// The file system, with standard input when a path means it, and with what is in pipes.
pub(crate) fn disk_for(paths: &[String]) -> anyhow::Result<Disk> {
    let mut disk = Disk::default();
    if paths.iter().any(|path| path == "-") {
        disk.stdin = Some(read_once(std::io::stdin().lock())?);
    }
    for path in paths {
        // Of `<(command)` and /dev/stdin nobody can tell the length, and a second look finds nothing.
        let is_pipe = std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if is_pipe && !disk.pipes.contains_key(path) {
            let bytes = read_once(std::fs::File::open(path)?)?;
            disk.pipes.insert(path.clone(), bytes);
        }
    }
    Ok(disk)
}

/// All of a stream; one byte more than is accepted, so that a longer one is seen to be longer.
fn read_once(stream: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Scenarios behind the words, loaded, each under the word that names it.
///
/// # Errors
/// The exit code, when the words name nothing or a folder cannot be read; it has been said why.
pub(crate) fn load_all(
    wanted: &Wanted,
    disk: &Disk,
    streams: Streams,
) -> Result<Vec<(String, Loaded)>, Exit> {
    let words = select(&wanted.scenarios, disk).map_err(|diagnostic| {
        streams.say(&diagnostic.render(&Sources::default(), streams.has_color_err()));
        Exit::BadInput
    })?;
    if words.is_empty() {
        streams.error(&format!("there is no scenario in {}", wanted.scenarios.join(", ")));
        return Err(Exit::NothingSelected);
    }
    let loaded = words.into_iter().map(|word| {
        tracing::info!(scenario = word, "reading");
        let loaded = load(&wanted.request(&word), disk);
        (word, loaded)
    });
    Ok(loaded.collect())
}

/// Scenarios behind the words, ready to run.
///
/// # Errors
/// The exit code, when anything is wrong with any of them; all of it has been said. Nothing is run
/// then: a result that covers half of what was asked for passes too easily for the whole.
pub(crate) fn prepare(
    wanted: &Wanted,
    disk: &Disk,
    streams: Streams,
) -> Result<Vec<Prepared>, Exit> {
    let mut prepared = Vec::new();
    let mut has_errors = false;
    for (word, mut loaded) in load_all(wanted, disk, streams)? {
        let notes = warnings(&loaded);
        loaded.diagnostics.retain(|diagnostic| diagnostic.severity() == Severity::Error);
        match loaded.resolved.take() {
            Some(resolved) if !loaded.has_errors() => match plan(&resolved) {
                Ok(plan) => {
                    let plan = plan.with_fidelity(wanted.fidelity.into());
                    prepared.push(Prepared {
                        word: word.clone(),
                        resolved,
                        warnings: notes.clone(),
                        plan,
                    });
                }
                Err(diagnostic) => loaded.diagnostics.push(diagnostic),
            },
            _ => {}
        }
        if loaded.diagnostics.is_empty() {
            if !notes.is_empty() {
                streams.mention(&format!(
                    "{word}: {}, see eidp-sim check",
                    of(notes.len(), "warning")
                ));
            }
        } else {
            has_errors = true;
            streams.say(&loaded.render(streams.has_color_err()));
        }
    }
    if has_errors { Err(Exit::BadInput) } else { Ok(prepared) }
}

/// Warnings about an input, as a result tells them.
fn warnings(loaded: &Loaded) -> Vec<Note> {
    let warnings = loaded.diagnostics.iter().filter(|it| it.severity() == Severity::Warning);
    let note = |diagnostic: &Diagnostic| Note {
        text: format!("{}: {}", diagnostic.code, diagnostic.message),
        position: diagnostic.span.and_then(|span| {
            let file = loaded.sources.get(span.at.file_idx)?.name.clone();
            Some(Position { file, line: span.at.line, column: span.at.column })
        }),
    };
    warnings.map(note).collect()
}

/// The plan of a resolved input.
pub(crate) fn plan(resolved: &Resolved) -> Result<Plan, Diagnostic> {
    Plan::new(resolved.blueprint.clone(), resolved.faults.clone(), resolved.horizon)
        .map_err(|error| Diagnostic::nowhere(Code::E0020, error.to_string()))
}

/// How many diagnostics are this bad.
pub(crate) fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity() == severity).count()
}

/// `1 warning`, `2 warnings`.
pub(crate) fn of(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
