//! Every output form of a result, drawn from [`report_data`] and from nothing else.
//!
//! Renders to text and never prints. Human text may change with any version; JSON and JUnit are
//! stable. Start reading at [`human`].

mod black_start;
mod clients;
mod conformance;
mod coverage;
mod decision;
mod diff;
mod groups;
mod human;
mod json;
mod junit;
mod limits;
mod load_map;
mod markdown;
mod members;
mod memory;
mod quantity;
mod recommended;
mod sessions;
mod storage;
mod timelines;
mod writes;

pub use black_start::{black_start_human, black_start_json};
pub use conformance::{conformance_human, conformance_json};
pub use decision::{decision_human, decision_json};
pub use diff::{diff_human, diff_json, diff_markdown};
pub use human::human;
pub use json::json;
pub use junit::junit;
pub use load_map::{load_map_human, load_map_json, load_map_markdown};
pub use markdown::{MARKDOWN_BYTES_MAX, markdown};
pub use timelines::{timelines_human, timelines_json};

/// How a result is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// With terminal colors.
    pub has_color: bool,
    /// Only guarantees that did not hold.
    pub fail_only: bool,
    /// What an inconclusive guarantee counts as, where the form tells tests from each other; none
    /// when it is neither.
    pub inconclusive: Option<CountAs>,
}

/// What an inconclusive guarantee counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountAs {
    /// As if it had held.
    Pass,
    /// As if it were violated.
    Fail,
}

impl Options {
    fn shows(self, guarantee: &report_data::GuaranteeResult) -> bool {
        !self.fail_only || guarantee.verdict != report_data::Verdict::Held
    }
}

#[cfg(test)]
mod tests;
