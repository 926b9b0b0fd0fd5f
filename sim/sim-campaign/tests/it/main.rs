//! Campaigns of a small platform: what they say does not depend on threads.

mod actions;
mod load_map;
mod parts;
mod probes;
mod town;
