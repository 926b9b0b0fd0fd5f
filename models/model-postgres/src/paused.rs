//! Instances whose processes stand still, and standbys that nothing reaches: connections fall silent and stand.
//!
//! # Modelled
//! A primary whose processes are stopped (SIGSTOP, a paused machine under its container) neither commits nor
//! answers, and its connections stand: clients wait, standbys receive nothing until they give their
//! connection up. The operator of CloudNativePG sees what probes make of it and fails over; Patroni's leader
//! key runs out. When it goes on before clients were led elsewhere, they are all there again. Afterwards those
//! are that have waited ([`PATIENT_PPM`]): they get the answers that were due, and go on to commit,
//! until the instance manager has read that somebody else is primary and shuts it down. Where the kubelet had
//! given it up meanwhile, TERM is what the manager finds first: a smart shutdown, in which sessions go on for
//! `smartShutdownTimeout` whatever the Cluster says, because it looks at nothing else until that is over.
//!
//! A standby that nothing reaches keeps what it has. Commits that need it wait; its primary gives the
//! connection up after `wal_sender_timeout`. Being promoted, it needs nobody.
//!
//! # Not modelled
//! Simplified: clients that have a time-out all come to a successor at the same time; nobody but a primary that runs is stopped; a
//! member of Patroni is not killed by its kubelet, because the operator of Zalando sets no liveness probe.
//!
//! # Defaults and their sources
//! CloudNativePG 1.30: `PostgresLifecycle.Start` of `internal/cmd/manager/instance/run/lifecycle/lifecycle.go`
//! (one thing after the other), `reconcileOldPrimary` of
//! `internal/management/controller/instance_controller.go`; `wal_sender_timeout` and `wal_receiver_timeout` of
//! 5 s there and of 60 s in PostgreSQL.
//!
//! # Invariants
//! An instance that stands still acknowledges nothing. No client commits on two sides.
//!
//! # Checked against
//! `tests/it`: timelines, and every write is either lost or readable; recorded failovers of Patroni
//! (`sim-conformance`).

use model_api::{DatabaseId, Observation};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime};

use crate::cluster::{Cluster, Port};
use crate::databases::{Databases, PgNotice};
use crate::event::PgEvent;
use crate::instance::Link;
use crate::patroni::Freeze;
use crate::rare;
use crate::replication::{WAL_SENDER_TIMEOUT, WAL_TIMEOUT};
use crate::serving::share_of;

/// Share of the clients that wait for whoever stands still, in parts per million. Assumed: libpq and the JDBC
/// driver have no time-out of their own, and half of the applications set one.
pub const PATIENT_PPM: u32 = 500_000;

const AWAKENING: Purpose = Purpose::new("postgres manager reads after it stood still");

impl Databases {
    /// Stops all processes of an instance that runs; they stand still until [`Self::resume`]. Returns
    /// whether there were any.
    pub fn pause<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) -> bool
    where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        let instance = self.clusters[database.index()].at(ordinal);
        if !instance.is_running() || instance.paused_since.is_some() {
            return false;
        }
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            if cluster.patroni.is_some() {
                // Its store is the API server, or a cluster of etcd elsewhere.
                cluster.set_frozen(io, ordinal, Some(Freeze::PatroniAndPostgres));
            } else {
                cluster.pause(io, ordinal);
                cluster.refresh(io);
            }
        });
        true
    }

    /// Lets the processes of an instance go on. `is_ended` says that they were told to end meanwhile.
    pub fn resume<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_ended: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            if cluster.patroni.is_some() {
                cluster.set_frozen(io, ordinal, None);
            } else if cluster.at(ordinal).paused_since.is_some() {
                cluster.resume(io, ordinal, is_ended);
                cluster.refresh(io);
            }
        });
    }

    /// Lets nothing that a primary sends reach an instance, or lets it through again.
    pub fn set_starved<E, R>(
        &mut self,
        (database, ordinal): (DatabaseId, u8),
        is_starved: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            cluster.catch_up_any(io);
            cluster.set_starved(io, ordinal, is_starved);
        });
    }
}

impl Cluster {
    /// Whether an instance stands still, so that nothing comes from it although its connections stand.
    pub(crate) fn is_frozen(&self, ordinal: u8) -> bool {
        self.at(ordinal).paused_since.is_some()
    }

    /// Whether a standby receives nothing although its connection stands.
    pub(crate) fn is_held(&self, ordinal: u8) -> bool {
        let instance = self.at(ordinal);
        self.is_frozen(ordinal) || instance.is_held || instance.is_starved
    }

    /// Whether the manager of an instance reads what the API server has for it.
    pub(crate) fn hears(&self, port: &impl Port, ordinal: u8) -> bool {
        let instance = self.at(ordinal);
        port.is_api_reachable(instance.zone)
            && !self.is_frozen(ordinal)
            && !instance.is_closing
            && port.now() >= instance.deaf_until
    }

    /// How long a connection is kept over which nothing comes.
    fn silence_most(&self) -> SimSpan {
        if self.patroni.is_some() { WAL_SENDER_TIMEOUT } else { WAL_TIMEOUT }
    }

    /// The processes of an instance stand still.
    pub(crate) fn pause(&mut self, port: &mut impl Port, ordinal: u8) {
        let now = port.now();
        let pod = self.at(ordinal).pod;
        let has_clients = self.has_clients
            && self.at(ordinal).is_open
            && self.backend.is_some_and(|backend| Some(backend) == pod.map(|pod| (ordinal, pod)));
        // Whoever is with another one, which ends or stands still too, does not wait for this one.
        let connected_ppm =
            has_clients.then(|| self.clients_ppm(port, Some(ordinal))[usize::from(ordinal)]);
        self.hold(port, ordinal);
        let instance = self.at_mut(ordinal);
        instance.paused_since = Some(now);
        instance.old_sessions_ppm = match connected_ppm {
            Some(share_ppm) => share_of(share_ppm, PATIENT_PPM),
            None => instance.old_sessions_ppm.min(PATIENT_PPM),
        };
        if self.patroni.is_none() && ordinal == self.current {
            self.receivers_down_at = self.receivers_down_at.max(now + WAL_TIMEOUT);
        }
    }

    /// They go on, where the operator of CloudNativePG decides.
    fn resume(&mut self, port: &mut impl Port, ordinal: u8, is_ended: bool) {
        let now = port.now();
        self.go_on(ordinal, now);
        let count = self.at(ordinal).attach_count;
        let range = port.parameters().watch_latency;
        let span = port.draw(self.key_of(ordinal), AWAKENING, count, range);
        if self.at(ordinal).is_closing && !port.is_pending(self.at(ordinal).isolation) {
            // It was to have ended meanwhile.
            let event = PgEvent::IsolationDue { database: self.setup.id, ordinal };
            self.at_mut(ordinal).isolation = port.timer_at(now, event);
        }
        let instance = self.at_mut(ordinal);
        instance.attach_count += 1;
        instance.is_closing |= is_ended;
        instance.deaf_until = now.saturating_add(span);
        let until = instance.deaf_until;
        port.timer_at(until, PgEvent::SilenceOver { database: self.setup.id });
        if ordinal != self.current {
            port.hit(&rare::THAWED_SUPERSEDED);
        }
    }

    /// Connections of an instance that nobody has given up yet carry again.
    pub(crate) fn go_on(&mut self, ordinal: u8, now: SimTime) {
        self.at_mut(ordinal).paused_since = None;
        for other in self.ordinals() {
            if let Link::Silent(from) = self.at(other).link
                && (from == ordinal || other == ordinal)
                && !self.is_frozen(from)
                && !self.is_held(other)
            {
                self.at_mut(other).link = Link::Streaming(from, now);
            }
        }
    }

    /// A held primary, or a held standby: what was on its way is all that arrives.
    pub(crate) fn hold(&mut self, port: &mut impl Port, ordinal: u8) {
        let now = port.now();
        let held = |other: u8| match self.at(other).link {
            Link::Streaming(from, _) if from == ordinal || other == ordinal => Some((other, from)),
            _ => None,
        };
        let held: Vec<(u8, u8)> = self.ordinals().filter_map(held).collect();
        let mut primaries: Vec<u8> = held.iter().map(|(_, from)| *from).collect();
        primaries.dedup();
        for primary in primaries {
            // All at once, so that what was acknowledged is what one of them has.
            self.freeze(port, primary, false, |one| held.contains(&(one, primary)));
        }
        for (other, from) in &held {
            let instance = self.at_mut(*other);
            (instance.link, instance.silent_since) = (Link::Silent(*from), now);
        }
        if !held.is_empty() {
            let until = now.saturating_add(self.silence_most());
            port.timer_at(until, PgEvent::SilenceOver { database: self.setup.id });
        }
    }

    /// Connections over which nothing came for too long are given up.
    pub(crate) fn break_silent(&mut self, port: &mut impl Port) {
        let (now, most) = (port.now(), self.silence_most());
        for ordinal in self.ordinals() {
            let instance = self.at_mut(ordinal);
            if matches!(instance.link, Link::Silent(_))
                && now >= instance.silent_since.saturating_add(most)
            {
                instance.link = Link::Broken;
            }
        }
    }

    /// A standby is made to receive nothing, or receives again.
    pub(crate) fn set_held(&mut self, port: &mut impl Port, ordinal: u8, is_held: bool) {
        if self.at(ordinal).is_held != is_held {
            self.at_mut(ordinal).is_held = is_held;
            self.settle_hold(port, ordinal);
        }
    }

    /// Nothing that a primary sends reaches an instance, or it does again.
    fn set_starved(&mut self, port: &mut impl Port, ordinal: u8, is_starved: bool) {
        if self.at(ordinal).is_starved == is_starved {
            return;
        }
        let primary = match self.at(ordinal).link {
            Link::Streaming(from, _) if is_starved => Some(from),
            _ => None,
        };
        self.at_mut(ordinal).is_starved = is_starved;
        if let Some(primary) = primary.filter(|_| self.patroni.is_none()) {
            // What it confirmed until now is acknowledged first.
            self.hold(port, ordinal);
            self.wait_for_silent(port, primary, ordinal);
            // Its receiver waits for as long, whatever becomes of its primary.
            self.receivers_down_at = self.receivers_down_at.max(port.now() + WAL_TIMEOUT);
        }
        self.settle_hold(port, ordinal);
    }

    /// Takes in that a standby receives nothing, or may receive again.
    fn settle_hold(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.is_held(ordinal) {
            self.hold_standby(port, ordinal);
        } else if matches!(self.at(ordinal).link, Link::Silent(_)) {
            // It catches up as a standby does that comes back.
            self.at_mut(ordinal).link = Link::Broken;
        }
        if self.patroni.is_some() {
            self.stir(port);
        }
        self.refresh(port);
    }

    fn hold_standby(&mut self, port: &mut impl Port, ordinal: u8) {
        if !self.at(ordinal).is_open {
            if matches!(self.at(ordinal).link, Link::Attaching(_)) {
                port.cancel(self.at(ordinal).attach);
                self.at_mut(ordinal).link = Link::Broken;
            }
            self.hold(port, ordinal);
        }
    }
}
