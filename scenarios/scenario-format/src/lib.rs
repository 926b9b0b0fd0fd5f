//! Scenario, platform and manifest files: types, places, diagnostics, schema.
//!
//! [`load()`] is the way in: it takes what the user named and gives a [`Resolved`] input in the
//! vocabulary of [`model_api`], with all diagnostics. It never panics, whatever the files hold, and
//! it knows neither models nor reports: `eidp-sim check` is this crate and little else.
//!
//! Start reading at [`load()`]; then [`document`] (our documents), [`manifest`] (Kubernetes objects),
//! [`sentence`] (guarantees), [`yaml`] (places).

pub mod black_start;
pub mod coverage;
mod cron;
pub mod decode;
pub mod diagnostic;
pub mod document;
pub mod files;
pub mod generated;
pub mod input;
pub mod library;
pub mod lint;
pub mod load;
pub mod manifest;
pub mod nearest;
pub mod overrides;
pub mod quantity;
mod reachability;
pub mod resolve;
pub mod schema;
pub mod sentence;
pub mod source;
mod text;
mod time_zone;
mod trace;
pub mod units;
pub mod yaml;

pub use black_start::{Stage, StartFrom, black_start, start_circles};
pub use diagnostic::{Code, Diagnostic, Explanation, Severity, explain, explanations};
pub use files::{Disk, Files};
pub use input::{Loaded, Request, Resolved};
pub use load::{ClusterRequest, Trees, load, load_cluster, read_trees, scenario_path};
pub use source::{Source, Sources, Span, Spanned};
