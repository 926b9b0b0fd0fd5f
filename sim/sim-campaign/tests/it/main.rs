//! Campaigns of a small platform: what they say does not depend on threads.

mod probes;
mod town;
