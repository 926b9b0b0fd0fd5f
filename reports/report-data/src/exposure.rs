//! What a disaster would have cost at each moment, without striking.

use serde::{Deserialize, Serialize};

/// What one class of disaster would have cost one data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exposure {
    /// The data set.
    pub data_set: String,
    /// What would have struck: `node`, `zone`, `region`, `account`, `logical`, `ransomware`.
    pub class: String,
    /// Most that would have been lost at any moment of any run, as time in nanoseconds; nothing for
    /// everything. No strike at any moment costs more, and unless it is a bound one costs as much.
    pub loss_max_ns: Option<u64>,
    /// That is a bound: at that moment nobody could be promoted yet, so that it was not known who would have
    /// gone on, and less may have been lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loss_is_bound: bool,
    /// When that is.
    pub loss_max_at_ns: u64,
    /// In which run.
    pub loss_max_run: u64,
    /// Longest time to be back, in nanoseconds; nothing for never.
    pub back_max_ns: Option<u64>,
    /// That was found by trying strikes, of which a live copy took over; one between two of them may take so much
    /// longer, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_slack_ns: Option<u64>,
    /// Some of these disasters leave a live copy that takes over, and how soon is no part of the time to be
    /// back: it is tried where it is promised, and otherwise only a run that is struck tells.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_over: bool,
    /// When that is.
    pub back_max_at_ns: u64,
    /// In which run.
    pub back_max_run: u64,
    /// Run 0 over time, coarsened without hiding a peak.
    pub curve: Vec<CurvePoint>,
}

/// A stretch of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CurvePoint {
    /// Where it ends, in nanoseconds.
    pub until_ns: u64,
    /// Most that would have been lost in it; nothing for everything.
    pub loss_max_ns: Option<u64>,
    /// Longest time to be back in it; nothing for never.
    pub back_max_ns: Option<u64>,
}
