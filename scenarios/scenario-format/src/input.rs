//! What goes in and what comes out of [`load`](crate::load()).

use std::fmt::Write as _;

use model_api::fault::FaultPlan;
use model_api::guarantee::Guarantee;
use model_api::{Blueprint, SimSpan};

use crate::coverage::Coverage;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::source::Sources;

/// What the user named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The scenario: a path (its extension may be left out) or the name of a shipped one.
    pub scenario: String,
    /// Manifests besides those that the scenario and its platform name: files, directories, `-`.
    pub manifests: Vec<String>,
    /// Overrides, `KIND/NAMESPACE/NAME:PATH=VALUE`; see [`crate::overrides`].
    pub overrides: Vec<String>,
}

/// All that was found out.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The input, when nothing forbids to run it.
    pub resolved: Option<Resolved>,
    /// What is wrong, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were than are kept.
    pub omitted_count: usize,
    /// The texts that were read; places point in here.
    pub sources: Sources,
}

impl Loaded {
    /// Whether there is an error, so that nothing can be run.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }

    /// All diagnostics as text, with or without color.
    pub fn render(&self, has_color: bool) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            text.push_str(&diagnostic.render(&self.sources, has_color));
            text.push_str("\n\n");
        }
        if self.omitted_count > 0 {
            let _ = writeln!(text, "... and {} more\n", self.omitted_count);
        }
        text
    }
}

/// A scenario with every name looked up: ids are positions in [`Self::blueprint`].
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The file of the scenario, as it was found.
    pub path: String,
    /// `metadata.name` of the scenario.
    pub name: String,
    /// `metadata.description` of the scenario, empty when absent.
    pub description: String,
    /// Virtual time that a run covers.
    pub horizon: SimSpan,
    /// Runs, when the command line does not say.
    pub runs: u32,
    /// Root seed, when the command line gives none.
    pub seed: u64,
    /// The platform with all manifests, overrides applied.
    pub blueprint: Blueprint,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// What must hold, wildcards expanded.
    pub guarantees: Vec<Guarantee>,
    /// Which kinds and fields of the input are modelled, which are not, and where they stand.
    pub coverage: Coverage,
}
