//! Databases of a platform that was built again: restored to the volume of one instance, copied by the others.
//!
//! # Modelled
//! The instance that was primary last gets what was restored, once its pod runs; every other one is empty and
//! copies it. Nobody hears how commits ended that were under way when everything went.
//!
//! # Not modelled
//! Simplified: who has what counts on from before the loss. What is lost with a restore is told by whoever
//! restores.
//!
//! # Defaults and their sources
//! CloudNativePG 1.30: a cluster with `bootstrap.recovery` restores its first instance, and joins the others
//! once that one is primary (`internal/controller/cluster_create.go`).
//!
//! # Invariants
//! None that was there before is told to be kept.
//!
//! # Checked against
//! `platform/tests/it/losses.rs`.

use model_api::{DatabaseId, Observation};
use sim_kernel::{Context, Recorder};

use crate::cluster::{Cluster, Port};
use crate::databases::{Databases, PgNotice};
use crate::event::PgEvent;
use crate::position::Mark;
use crate::unknown::Fate;

impl Databases {
    /// Zones that were destroyed are built again, with nothing in them.
    pub fn rebuild_zones(&mut self) {
        self.is_gone.fill(false);
        for idx in 0..self.clusters.len() {
            self.touch(DatabaseId::from_index(idx));
        }
    }

    /// A database none of whose instances runs is restored to new volumes, before their pods start.
    pub fn restore<E, R>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            cluster.restored(io);
        });
    }
}

impl Cluster {
    fn restored(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            self.settle_unknowns(port, ordinal, Fate::Kept(0));
            let is_first = ordinal == self.current;
            let instance = self.at_mut(ordinal);
            instance.is_empty = !is_first;
            (instance.is_diverged, instance.is_outrun) = (false, false);
            (instance.fork, instance.behind_since) = (None, None);
            if !is_first {
                instance.received = Mark::default();
            }
        }
        self.unknowns.clear();
        if let Some(wal) = &mut self.wal {
            wal.full_since = None;
        }
        self.refresh(port);
    }
}
