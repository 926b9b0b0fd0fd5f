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
    /// everything. It is exact: no strike at any moment costs more.
    pub loss_max_ns: Option<u64>,
    /// When that is.
    pub loss_max_at_ns: u64,
    /// In which run.
    pub loss_max_run: u64,
    /// Longest time to be back, in nanoseconds; nothing for never.
    pub back_max_ns: Option<u64>,
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
