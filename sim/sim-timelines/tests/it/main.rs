//! Recorded timelines, from the shared folder beside the repository, and trace folders that are
//! wrong.

mod reading;
mod recorded;
