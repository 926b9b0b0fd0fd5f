//! Who has to confirm commits: `synchronous_standby_names` and the `/sync` key.
//!
//! The key names only those that are sure to have everything: a name is taken out of the key
//! before it is taken out of PostgreSQL, and put in after.

use model_api::blueprint::PatroniStore;
use sim_kernel::SimSpan;

use super::Stage;
use super::decision::{SyncKey, picked};
use crate::cluster::{Cluster, Port};
use crate::instance::Link;
use crate::names::Names;
use crate::rare;

/// How long a leader waits until PostgreSQL counts a new standby as synchronous
/// (`process_sync_replication`).
const BECOMES_SYNCHRONOUS: SimSpan = SimSpan::from_secs(2);

impl Cluster {
    pub(super) fn begin_synchronous(&mut self) {
        let settings = self.patroni().settings;
        if !settings.is_synchronous {
            return;
        }
        let first = usize::try_from(settings.synchronous_node_count).unwrap_or(usize::MAX);
        let standbys = self.ordinals().filter(|&one| self.at(one).streams_from(0));
        let standbys: Names = standbys.take(first).collect();
        self.patroni_mut().sync = Some(SyncKey { leader: 0, standbys });
        let instance = self.at_mut(0);
        instance.listed = standbys;
        instance.applied_number = standbys.count();
    }

    /// A new leader asks nobody for confirmation, or, in strict mode, anybody.
    pub(super) fn list_nobody(&mut self, port: &mut impl Port, ordinal: u8) {
        let settings = self.patroni().settings;
        if settings.is_synchronous && settings.is_strict {
            self.list(port, ordinal, Names::ALL, 1);
        } else {
            self.list(port, ordinal, Names::NONE, 0);
        }
    }

    /// Sets `synchronous_standby_names`.
    fn list(&mut self, port: &mut impl Port, ordinal: u8, listed: Names, number: u32) {
        let instance = self.at(ordinal);
        if (instance.listed, instance.applied_number) == (listed, number) {
            return;
        }
        // What was acknowledged under the old names stays acknowledged.
        self.freeze(port, ordinal, false, |_| false);
        let instance = self.at_mut(ordinal);
        instance.listed = listed;
        instance.applied_number = number;
        port.hit(&rare::SYNCHRONOUS_NUMBER_CHANGED);
    }

    /// Standbys that a leader sees: their connection stands, and their key is in the store.
    fn seen(&self, port: &impl Port, leader: u8) -> Vec<(u8, u64)> {
        let patroni = self.patroni();
        let is_etcd = patroni.settings.store == PatroniStore::Etcd;
        let is_seen = |&other: &u8| {
            let instance = self.at(other);
            let is_linked = match instance.link {
                Link::Streaming(from, _) | Link::Silent(from) => from == leader,
                // Of another primary's connection it knows nothing.
                Link::Attaching(_) | Link::Broken => {
                    instance.ghost_until > port.now() && instance.ghost_of == leader
                }
            };
            other != leader && is_linked && (!is_etcd || patroni.at(other).has_lease)
        };
        let positioned = |other| (other, self.received_of(port, other));
        self.ordinals().filter(is_seen).map(positioned).collect()
    }

    /// `process_sync_replication`; it is also done anew when PostgreSQL has other names than the key, as newer
    /// versions of Patroni do (`_process_multisync_replication`).
    pub(super) fn see_to_standbys(&mut self, port: &mut impl Port, leader: u8) {
        let settings = self.patroni().settings;
        if !settings.is_synchronous {
            return;
        }
        let seen = self.seen(port, leader);
        let present: Names = seen.iter().map(|&(ordinal, _)| ordinal).collect();
        let key = self.patroni().sync;
        let current = key.filter(|key| key.leader == leader).map_or(Names::NONE, |it| it.standbys);
        let wanted = picked(current, &seen, settings.synchronous_node_count);
        let applied = (self.at(leader).listed, self.at(leader).applied_number);
        if wanted == current && applied == (wanted, wanted.count()) {
            return;
        }
        if wanted.is_empty() && settings.is_strict {
            self.patroni_mut().sync = Some(SyncKey { leader, standbys: Names::NONE });
            self.list(port, leader, Names::ALL, 1);
            return;
        }
        self.patroni_mut().at_mut(leader).quiet_turns = 0;
        self.patroni_mut().sync =
            Some(SyncKey { leader, standbys: current.both(present).both(wanted) });
        self.list(port, leader, wanted, wanted.count());
        if !wanted.is_empty() {
            self.stay_for(port, leader, Stage::Listing, BECOMES_SYNCHRONOUS);
        }
    }

    /// New synchronous standbys that stream are written into the key.
    pub(super) fn take_up_listed(&mut self, leader: u8) {
        if self.patroni().holder != Some(leader) || !self.at(leader).is_open {
            return;
        }
        let listed = self.at(leader).listed;
        let streams = |&other: &u8| listed.has(other) && self.at(other).streams_from(leader);
        let standbys: Names = self.ordinals().filter(streams).collect();
        self.patroni_mut().sync = Some(SyncKey { leader, standbys });
        self.patroni_mut().at_mut(leader).quiet_turns = 0;
    }
}
