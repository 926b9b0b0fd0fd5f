//! PostgreSQL clusters: replication, failover, where RPO comes from.
//!
//! A cluster is a few instances, one of them primary, and somebody who decides: the operator of
//! CloudNativePG through the API server, or Patroni beside each instance through a key in a store
//! (`patroni.rs`). This crate must never look at pods, nodes or zones: it is told which processes run,
//! which pods the API calls ready, who is cut off and whether the operator works, and it says who
//! is primary, whether clients can write and what was lost.
//!
//! # For the platform
//! - Construct: [`Databases::new`] from the blueprint and the luck of the run.
//! - A run that starts healthy: [`Databases::place`] for every instance, then [`Databases::begin`]
//!   at time zero. Instance 0 is the first primary.
//! - Inputs, each with the context and a list that notices are appended to:
//!   [`Databases::instance_started`] (its container runs), [`Databases::instance_stopped`] (its
//!   processes are gone, whether or not anybody knows), [`Databases::instance_ready`] (the Ready
//!   condition *as the API has it*: false as soon as the node lifecycle controller says so),
//!   [`Databases::set_zone_isolated`], [`Databases::set_operator_available`] (a pod of the operator
//!   is ready and reaches the API; call it only for databases that have an operator),
//!   [`Databases::set_api_available`] (etcd has a quorum), [`Databases::set_load`] (clients commit at
//!   another share of the configured rate; only for databases whose writers are named),
//!   [`Databases::set_archiver`] (the archive takes segments or fails), [`Databases::set_stalled`] (the
//!   volume of an instance reads and writes or hangs), [`Databases::destroy_volume`], [`Databases::pause`]
//!   and [`Databases::resume`], [`Databases::set_starved`], [`Databases::grow_storage`],
//!   [`Databases::switch_over`], [`Databases::set_cordoned`] (the node takes pods or not),
//!   [`Databases::begin_update`] and [`Databases::set_lack`] (pods are not of the newest template).
//!   Telling what is already known is free.
//! - Events: [`PgEvent`], back into [`Databases::handle`].
//! - Notices: [`PgNotice`], to be carried out at once: the `-rw` Service has another backend,
//!   clients can write or cannot, an instance changed its role, runs, or stopped by itself.
//! - At the horizon: [`Databases::finish`], within `Simulation::apply`; it tells what is still unknown.
//!
//! # Modelled
//! - Failover as the operator does it: Ready=False of the primary, `failoverDelay`, failover
//!   quorum, target `pending` (a primary that still runs shuts down), all WAL receivers down, the
//!   most advanced ready standby, primary lease, promotion, relabelling of the `-rw` Service.
//! - Switchover: asked for, or because the node of a primary takes no pods any more. A primary that
//!   shuts down stores what its archive lacks first, at most for `switchoverDelay`; so does one whose pod
//!   is deleted, until it is killed, while a standby may take over already.
//! - Rolling updates of CloudNativePG: standbys first, then the primary by a restart in its pod, by a new
//!   pod, by a switchover, or once somebody says so; smart shutdown.
//! - Poolers: the tries at which their pods log in to a new primary ([`next_login`]).
//! - Fencing: an instance is kept off, and a fenced primary is not replaced; hibernation, and an operator
//!   that is told to leave a cluster alone, from the start.
//! - Synchronous replication `any` and `first`, `required` and `preferred`: commits stall while
//!   fewer standbys than required stream; `preferred` shrinks when the operator sees them unready;
//!   `first` also waits for the time-out of a standby that fell silent.
//! - Loss: what the old primary acknowledged and the promoted instance does not have, in time,
//!   commits and bytes. Asynchronous standbys lag; synchronous ones have what they confirmed.
//! - The liveness check of an isolated primary, unless it is off, the smart shutdown that follows, and what it
//!   accepts until it stops.
//! - Commits whose connection broke before they were answered: how many, and whether they are kept. Those
//!   that wait for a standby are at most one a session.
//! - A rate of commits that changes with the load.
//! - Return of an old primary by crash recovery, or as a standby by `pg_rewind` and catching up.
//! - An operator or API that is away: nothing is decided, and it is said why. An instance that starts meanwhile
//!   tries again after growing pauses, so that an operator may be back before the primary that it replaces.
//! - Clusters that Patroni manages: its loop, lease, race, synchronous modes, restarts, switchover.
//! - The volume of the log, which fills when the archive fails or a standby is away: PostgreSQL stops. The
//!   operator of CloudNativePG does not fail over, and somebody has to make it larger; a leader of Patroni
//!   tries to start, gives its key away, and a standby goes on; Patroni also drops the slot of a member that
//!   is away for half an hour (`member_slots_ttl`). A standby that is away for longer
//!   than log is kept for it comes back through the archive, or not at all.
//! - `synchronous_commit` of the whole cluster: `local` waits for no standby, `off` not even for the own disk.
//! - A volume that hangs: commits wait as for a standby, a standby confirms nothing, and nobody fails over.
//!   The probes and the status of CloudNativePG do not look at the disk (its issue 10678: hours, with 1.28).
//!   Patroni's main thread hangs on its data directory, so that the key runs out; but its API says that the
//!   primary answers, so that nobody takes the key (issues 2380 and 2388). Simplified: the key stays; reads
//!   are not played.
//! - A volume that is gone with all that is on it: the instance copies the primary before it follows it.
//! - A primary whose processes stand still, and what it acknowledges when it goes on; a standby that nothing
//!   reaches.
//! - The archive of WAL and the phases of a restore, as functions beside the clusters: [`archive`],
//!   [`recovery`].
//!
//! # Not modelled
//! Rolling updates by the operator of Zalando, replica clusters;
//! volumes that a window of maintenance gives up (`reusePVC: false`); clones from a backup; `PAUSE` of poolers for a while; sessions that
//! set `synchronous_commit` otherwise than their cluster; `maxStandbyNamesFromCluster`; clients that reach a database past its
//! poolers come back as [`Parameters::client_reconnect`] says.
//!
//! # Defaults and their sources
//! CloudNativePG 1.30. Order of the steps and the two-phase target: `internal/controller/replicas.go`
//! (`reconcileTargetPrimaryForNonReplicaCluster`). Order of candidates:
//! `pkg/postgres/status.go` (received LSN, then name). Quorum R + W > N:
//! `internal/controller/replicas_quorum.go`. Standby names by durability:
//! `pkg/postgres/replication/explicit.go`. Isolation:
//! `pkg/management/postgres/webserver/probes/{liveness,pinger}.go`: the primary stops when it does
//! not reach the API server *and* does not reach **every** instance it knows; a single instance
//! never does. What fails is its liveness probe, so that a smart shutdown follows (issue 11280 of upstream).
//! Lease: `spec.primaryLease`, a gate for promotion and not a fence (release notes of
//! 1.30). `wal_receiver_timeout` and `wal_sender_timeout` 5 s: `pkg/postgres/configuration.go`.
//! The rest is in [`Parameters`]; assumptions of this crate are [`WAL_SHIPPING_BYTES_PER_SECOND`],
//! [`ARCHIVE_FETCH_BYTES_PER_SECOND`], [`REATTACH`], [`REWIND`], [`FAST_SHUTDOWN`], [`VOLUME_GROWTH`] and
//! [`PATIENT_PPM`].
//!
//! # Invariants
//! - One instance is open for writes, or none; two only while one of them is cut off.
//! - Nothing acknowledged is lost when commits need a standby and an instance is promoted that
//!   confirmed them. The failover quorum promotes no other, unless its target dies before it is
//!   promoted: upstream does not ask for the quorum a second time.
//! - Nothing happens in a healthy cluster: no event is pending.
//!
//! # Checked against
//! Write outage and loss of the conformance set in the specification of platform services (PG-5 to
//! PG-10), and recorded failovers of a real cluster: what is comparable of CloudNativePG in
//! `tests/it`, whole repetitions of Patroni in `sim-conformance`. Where
//! that specification lets an isolated primary go on because one peer answers (PG-10), upstream's
//! code decides: every known instance must answer.
//!
//! [`Parameters`]: model_api::Parameters
//! [`Parameters::client_reconnect`]: model_api::Parameters::client_reconnect

pub mod archive;
mod clone;
mod cluster;
mod commit;
mod databases;
mod decision;
mod event;
mod failover;
mod fencing;
mod instance;
mod io;
mod names;
mod pace;
mod patroni;
mod paused;
mod pooler;
mod position;
pub mod rare;
mod rebuilt;
pub mod recovery;
mod replication;
mod serving;
mod stake;
mod stall;
mod switchover;
mod tally;
mod unknown;
mod update;
mod volume;
mod waiting;
mod wal;

pub use clone::CLONE_BYTES_PER_SECOND;
pub use databases::{Access, Databases, Leadership, PgNotice, StopKind};
pub use decision::{Candidate, QuorumView, commits_stall, failover_candidate, may_promote};
pub use event::PgEvent;
pub use instance::{
    ARCHIVE_FETCH_BYTES_PER_SECOND, FAST_SHUTDOWN, REATTACH, REWIND, Role,
    WAL_SHIPPING_BYTES_PER_SECOND,
};
pub use pace::Pace;
pub use patroni::Freeze;
pub use patroni::decision::{
    Action, Fitness, Lock, Peer, Postgres, Step, Turn, fitness, next_step,
};
pub use paused::PATIENT_PPM;
pub use pooler::next_login;
pub use stake::Seat;
pub use update::{Lack, UpdateStep, UpdateView, next_update};
pub use volume::VOLUME_GROWTH;
