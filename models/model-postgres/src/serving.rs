//! Whether clients can write: where the `-rw` Service leads, who reaches it, who may commit.

use model_api::Observation;
use sim_kernel::{Purpose, SimSpan, SimTime};

use crate::cluster::{Cluster, Port, Target};
use crate::databases::{Access, PgNotice};
use crate::event::PgEvent;
use crate::instance::{Link, Process, Role, WAL_SHIPPING_BYTES_PER_SECOND};
use crate::position::FULL_RATE_PPM;
use crate::rare;

const RELABELLING: Purpose = Purpose::new("postgres service relabelled");
const PROPAGATING: Purpose = Purpose::new("postgres service propagated");
const RECONNECTING: Purpose = Purpose::new("postgres clients reconnect");

impl Cluster {
    /// The operator labels the pod of the current primary, which the `-rw` Service selects.
    pub(crate) fn move_backend(&mut self, port: &mut impl Port) {
        let current = self.at(self.current);
        let wanted = current.pod.map(|pod| (self.current, pod));
        let is_due = self.target == Target::Current
            && current.is_open
            && wanted.is_some()
            && self.backend != wanted
            && (self.patroni.is_some() || self.has_operator(port));
        if !is_due {
            port.cancel(self.backend_timer);
        } else if !port.is_pending(self.backend_timer) {
            let range = port.parameters().watch_latency;
            let span = port.draw(self.setup.key, RELABELLING, self.backend_count, range);
            let event = PgEvent::BackendDue { database: self.setup.id };
            self.backend_timer = port.timer_in(span, event);
        }
    }

    pub(crate) fn backend_due(&mut self, port: &mut impl Port) {
        if let Some(pod) = self.at(self.current).pod {
            if let Some((old, _)) = self.backend.filter(|_| self.has_clients)
                && self.at(old).is_open
                && self.at(old).is_closing
                && !self.is_frozen(old)
            {
                // A smart shutdown waits for the sessions that it has, wherever the Service leads. Of one that
                // stands still those are left that wait.
                self.at_mut(old).old_sessions_ppm = FULL_RATE_PPM;
            }
            self.backend = Some((self.current, pod));
            self.backend_count += 1;
            self.has_clients = false;
            self.is_backend_new = true;
            let service = self.setup.read_write_service;
            port.notice(PgNotice::SetBackend { service, pod });
        }
        self.refresh(port);
    }

    /// What a client finds that connects to an instance.
    pub(crate) fn access_of(&self, ordinal: u8) -> Access {
        let instance = self.at(ordinal);
        match instance.process {
            _ if self.is_frozen(ordinal) && instance.process != Process::Down => Access::Silent,
            Process::Running if instance.is_open => Access::ReadWrite,
            Process::Running => Access::ReadOnly,
            Process::Working => Access::Starting,
            Process::Down | Process::Waiting | Process::Full | Process::Fenced => Access::Refused,
        }
    }

    /// The backend, if it takes writes and clients outside its zone reach it.
    pub(crate) fn reachable_backend(&self, port: &impl Port) -> Option<u8> {
        let (ordinal, pod) = self.backend?;
        let instance = self.at(ordinal);
        let is_it = instance.is_open && instance.pod == Some(pod);
        (is_it && !port.is_isolated(instance.zone)).then_some(ordinal)
    }

    /// Whether clients outside its zone can read from a standby, or from the primary too: it answers, its pod
    /// is ready, and nothing holds it.
    pub(crate) fn answers_reads(&self, port: &impl Port, ordinal: u8, or_primary: bool) -> bool {
        let instance = self.at(ordinal);
        instance.is_running()
            && instance.is_ready
            && (or_primary || instance.role == Role::Standby)
            && !instance.is_stalled
            && !self.is_frozen(ordinal)
            && !port.is_isolated(instance.zone)
    }

    /// Sets at which rate each instance commits and tells what changed.
    ///
    /// Every client has one connection, and what it commits counts on the side that this one reaches: where two
    /// take writes, the rates of both are that of all clients together.
    ///
    /// Simplified: clients stand in all zones alike, so that an isolated primary goes on with the
    /// share of its zone; clients elsewhere count as unable to write then.
    pub(crate) fn settle_writes(&mut self, port: &mut impl Port) {
        let now = port.now();
        let backend = self.reachable_backend(port);
        if backend.is_none() {
            self.lose_clients(port);
        }
        for ordinal in self.ordinals() {
            let instance = self.at(ordinal);
            if instance.is_open && instance.is_closing && port.is_isolated(instance.zone) {
                // Whoever is beside one that ends stays when the network is back.
                let old = instance.old_sessions_ppm.max(self.setup.zone_share_ppm);
                self.at_mut(ordinal).old_sessions_ppm = old;
            }
        }
        let asked = backend.filter(|_| self.has_clients);
        if let Some(ordinal) = asked.filter(|it| !self.is_frozen(*it)) {
            // Whoever was connected when it stood still is one of its clients again.
            self.at_mut(ordinal).old_sessions_ppm = 0;
        }
        let clients_ppm = self.clients_ppm(port, asked);
        let (mut is_serving, mut writable_count) = (false, 0);
        for ordinal in self.ordinals() {
            let can_commit = self.can_commit(ordinal, now);
            is_serving |= can_commit && asked == Some(ordinal);
            writable_count += u32::from(can_commit);
            let takes = can_commit || self.lets_wait(ordinal);
            let clients_ppm = clients_ppm[usize::from(ordinal)];
            let rate_ppm = if takes { share_of(self.load_ppm, clients_ppm) } else { 0 };
            if self.at(ordinal).is_open {
                let limit_ns = (!can_commit).then(|| self.waiting_limit(ordinal, now));
                let stood = self.at(ordinal).writer.stands(now);
                self.at_mut(ordinal).writer.set_rate(rate_ppm, limit_ns, now);
                if stood && !self.at(ordinal).writer.stands(now) {
                    self.went_on(ordinal, now);
                }
            }
        }
        self.tell_writes(port, is_serving, writable_count);
    }

    /// Share of the clients that an instance keeps although the Service does not lead them to it.
    fn kept_ppm(&self, ordinal: u8, is_isolated: bool) -> u32 {
        let of_zone = if is_isolated { self.setup.zone_share_ppm } else { 0 };
        match self.at(ordinal).old_sessions_ppm {
            0 => of_zone,
            old if is_isolated => old.min(of_zone),
            old => old,
        }
    }

    /// By instance: the share of the clients that are with it. Who is asked has those that nobody else keeps;
    /// those of an isolated zone are kept while something there takes what they write.
    pub(crate) fn clients_ppm(&self, port: &impl Port, asked: Option<u8>) -> Vec<u32> {
        if self.has_direct_clients {
            return vec![FULL_RATE_PPM; self.instances.len()];
        }
        let now = port.now();
        let mut shares = vec![0; self.instances.len()];
        let mut left = FULL_RATE_PPM;
        for ordinal in self.ordinals().filter(|it| Some(*it) != asked && self.at(*it).is_open) {
            let is_isolated = port.is_isolated(self.at(ordinal).zone);
            let takes = self.can_commit(ordinal, now) || self.lets_wait(ordinal);
            if takes || self.at(ordinal).old_sessions_ppm > 0 {
                let kept = self.kept_ppm(ordinal, is_isolated).min(left);
                left -= kept;
                shares[usize::from(ordinal)] = kept;
            }
        }
        if let Some(asked) = asked {
            shares[usize::from(asked)] = left;
        }
        shares
    }

    /// Clients commit at another rate from now on.
    ///
    /// Simplified: a standby that had fallen behind because more was written than can be shipped has
    /// caught up when less is.
    pub(crate) fn set_load(&mut self, port: &mut impl Port, load_ppm: u32) {
        if load_ppm == self.load_ppm {
            return;
        }
        let now = port.now();
        let behind: Vec<Option<SimSpan>> = self
            .instances
            .iter()
            .map(|instance| {
                let Link::Streaming(_, since) = instance.link else { return None };
                Some(self.growth(now.saturating_since(since)))
            })
            .collect();
        self.load_ppm = load_ppm;
        for (idx, behind) in behind.into_iter().enumerate() {
            let fallen = behind.map(|behind| now.saturating_sub(self.time_to_fall(behind)));
            if let (Link::Streaming(_, since), Some(fallen)) =
                (&mut self.instances[idx].link, fallen)
            {
                *since = fallen;
            }
        }
        self.settle_writes(port);
        self.settle_wal(port);
    }

    /// Whether another rate changes how late commits are with standbys: where nothing was or will be
    /// committed, where sessions wait, where more is or will be written than can be shipped.
    pub(crate) fn is_lag_of_rate(&self, load_ppm: u32) -> bool {
        let most = u128::from(self.load_ppm.max(load_ppm));
        let bytes = u128::from(self.setup.wal_bytes_per_second) * most / u128::from(FULL_RATE_PPM);
        let is_shipped = bytes <= u128::from(WAL_SHIPPING_BYTES_PER_SECOND);
        let waits = self.instances.iter().any(|instance| instance.writer.limit_ns().is_some());
        self.load_ppm == 0 || load_ppm == 0 || waits || !is_shipped
    }

    /// Write-ahead log per second at the present rate.
    pub(crate) fn wal_bytes_per_second(&self) -> u64 {
        let bytes = u128::from(self.setup.wal_bytes_per_second) * u128::from(self.load_ppm);
        u64::try_from(bytes / u128::from(FULL_RATE_PPM)).unwrap_or(u64::MAX)
    }

    /// Where a stream ends whose commits wait for a standby: when every session has one that waits.
    fn waiting_limit(&self, ordinal: u8, now: SimTime) -> u64 {
        let writer = &self.at(ordinal).writer;
        let sessions = u128::from(self.setup.session_count) * 1_000_000_000;
        let room = sessions.checked_div(u128::from(self.setup.commits_per_second)).unwrap_or(0);
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        writer.limit_ns().unwrap_or_else(|| writer.at(now).position_ns.saturating_add(room))
    }

    /// Clients and the primary that they are connected to do not reach each other any more.
    fn lose_clients(&mut self, port: &mut impl Port) {
        if let Some((ordinal, _)) = self.backend.filter(|_| self.has_clients)
            && self.at(ordinal).is_open
        {
            self.break_connections(port, ordinal);
        }
        self.has_clients = false;
    }

    fn tell_writes(&mut self, port: &mut impl Port, is_serving: bool, writable_count: u32) {
        let database = self.setup.id;
        let is_running = self.at(self.current).is_open && !self.is_frozen(self.current)
            || self.is_storing(port.now());
        if is_running != self.is_told_running {
            self.is_told_running = is_running;
            port.notice(PgNotice::PrimaryRuns { database, is_running });
        }
        if is_serving != self.is_serving {
            self.is_serving = is_serving;
            port.notice(PgNotice::SetWritable { database, is_writable: is_serving });
            if !is_serving && self.at(self.current).is_open {
                port.hit(&rare::COMMITS_STALLED);
            }
            port.observe(if is_serving {
                Observation::WritesResumed { database }
            } else {
                Observation::WritesStopped { database }
            });
        }
        if writable_count != self.writable_count {
            if writable_count > 1 {
                port.hit(&rare::TWO_PRIMARIES);
            }
            self.writable_count = writable_count;
            port.observe(Observation::WritablePrimaries { database, count: writable_count });
        }
    }

    /// Clients that lost their primary come back some time after there is one.
    pub(crate) fn reconnect_clients(&mut self, port: &mut impl Port) {
        let lets_in = |ordinal: u8| !self.at(ordinal).is_closing && !self.is_frozen(ordinal);
        if self.has_clients || !self.reachable_backend(port).is_some_and(lets_in) {
            port.cancel(self.clients_timer);
            return;
        }
        if port.is_pending(self.clients_timer) {
            return;
        }
        let (propagation, reconnect) =
            (port.parameters().endpoint_propagation, port.parameters().client_reconnect);
        let count = self.client_count;
        self.client_count += 1;
        let learning = if self.is_backend_new {
            port.draw(self.setup.key, PROPAGATING, count, propagation)
        } else {
            SimSpan::ZERO
        };
        let span = learning + port.draw(self.setup.key, RECONNECTING, count, reconnect);
        self.clients_timer = port.timer_in(span, PgEvent::ClientsDue { database: self.setup.id });
    }

    pub(crate) fn clients_due(&mut self, port: &mut impl Port) {
        self.has_clients = true;
        self.is_backend_new = false;
        self.refresh(port);
    }
}

/// A share of a rate, or of a share.
pub(crate) fn share_of(rate_ppm: u32, share_ppm: u32) -> u32 {
    let share = u64::from(rate_ppm) * u64::from(share_ppm) / u64::from(FULL_RATE_PPM);
    u32::try_from(share).expect("a share is less than the whole")
}
