//! Backups: what can be restored at each moment, what would be lost, and how people bring it back.
//!
//! A database, the state of the API, the volumes of a workload, the metadata of a registry: each is a
//! *data set* with live copies, policies that make more of them in *places*, and perhaps an archive of
//! its log. This crate must never look at pods or databases: it is told which zones are down, whether
//! a data set is written to and what was destroyed, and it says what was lost and when it is back.
//!
//! # For the platform
//! - Construct: [`Backups::new`]; then [`Backups::set_home`] where pods say on which nodes live copies
//!   stand, and [`Backups::begin`] at time zero.
//! - Inputs: [`Backups::set_writing`], [`Backups::set_running`], [`Backups::set_rate`],
//!   [`Backups::fork_log`] and [`Backups::hand_in_log`] (failovers of databases),
//!   [`Backups::set_zone_down`], [`Backups::strike`],
//!   [`Backups::corrupt`], [`Backups::lose_place`], [`Backups::lose_key`],
//!   [`Backups::set_policy_fault`], [`Backups::set_archive_fault`], [`Backups::set_key_disabled`].
//! - Events: [`BackupEvent`], back into [`Backups::handle`].
//! - Notices: [`BackupNotice`], to be carried out at once.
//! - At the horizon: [`Backups::finish`]. At any moment: [`Backups::cost_now`],
//!   [`Backups::archiver`] (whether a log is taken).
//!
//! # Modelled
//! - Copies by schedule, with success, retention, locks, keys, copies of copies in other zones, regions
//!   and accounts; failures that nobody sees until a restore or a restore test; continuous archives.
//! - Exposure: for each data set and class of disaster, what a strike would cost at each moment.
//! - Strikes: a zone, the region or an account destroyed, content destroyed and noticed later, places
//!   and keys lost, keys that cannot be used for a while; recovery by people, in the order that data sets need each other.
//! - The time before the run: copies and silent failures of the platform's history.
//! # Not modelled
//! A data set that is struck again while it is restored begins no second recovery; copies that a place had before it was lost with the data beside it; what a backup costs the
//! database and the network; the contents of API objects (which of them diverge after etcd was
//! restored); keys that are rotated, of which older versions are
//! destroyed by themselves; hooks after a backup, which change nothing of a copy that is there.
//! # Defaults and their sources
//! See the modules; figures of people are assumptions of [`model_api::backup::Recovery`].
//! # Invariants
//! - The cost of a strike that is imagined is the cost of the strike.
//! - Nothing is an event unless something was struck: a quiet year has none.
//! - A run that nobody observes makes the same copies and computes no exposure.
//! # Checked against
//! `tests/it`: strikes at every end of a stretch and at random moments of 100 random platforms; the
//! worked values of the specification.

mod archive;
mod backups;
mod exposure;
mod fate;
mod people;
pub mod rare;
mod restore;
mod runs;
mod schedule;
mod stamp;

pub use backups::{BackupEvent, BackupNotice, Backups, Breakage, Outlook};
pub use exposure::{ALL, Cost};
pub use fate::{Disaster, Fates};
pub use people::Work;
pub use schedule::next_after;
pub use stamp::Stamp;
