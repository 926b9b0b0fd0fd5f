//! Decisions against short restatements of the rules that upstream states, in random cases.
//!
//! A restatement is as slow and as plain as it likes: it follows upstream's description step by step
//! and shares nothing with the code that it is held against.

mod back_off;
mod daemon_set;
mod etcd;
mod job;
mod leases;
mod probes;
mod zones;
