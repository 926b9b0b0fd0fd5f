//! The volume of the log in time: what keeps log on it, when it is full, how it comes back.

use model_api::Observation;
use model_api::observation::FailoverBlock;
use model_api::parameters::Range;
use sim_kernel::{EventId, Purpose, SimSpan, SimTime};

use crate::cluster::{Cluster, Port};
use crate::databases::{PgNotice, StopKind};
use crate::event::PgEvent;
use crate::instance::{Link, Process};
use crate::rare;
use crate::wal::{Archiver, Wal, next_start};

/// From a larger size in the Cluster to a larger file system. **Assumption**: a controller, the
/// provider and the kubelet have to act, while the volume is in use.
pub const VOLUME_GROWTH: Range = Range::millis(5_000, 60_000);

const GROWING: Purpose = Purpose::new("postgres volume grows");

/// A primary that was shut down in good order: its archiver stores what is left before the server ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Storing {
    /// Until when.
    pub(crate) until: SimTime,
    /// Everything is stored by then.
    is_complete: bool,
}

impl Cluster {
    /// A primary begins to shut down. The server ends once its archiver has stored what is left
    /// (`PM_WAIT_XLOG_ARCHIVAL` of PostgreSQL's `postmaster.c`), or when it is killed after `budget`.
    ///
    /// Simplified: its pod counts as gone meanwhile, and its last segment is closed when
    /// `archive_timeout` says so.
    pub(crate) fn store_rest(&mut self, port: &mut impl Port, ordinal: u8, budget: SimSpan) {
        let now = port.now();
        let Some(wal) = self.wal.as_mut().filter(|_| ordinal == self.current) else { return };
        wal.advance(now);
        let takes = if wal.can_fetch() { wal.time_to_store() } else { SimSpan::ZERO };
        if takes.is_zero() {
            return;
        }
        port.hit(&rare::REST_STORED);
        let until = now.saturating_add(takes.min(budget));
        self.storing = Storing { until, is_complete: takes <= budget };
        port.timer_at(until, PgEvent::SilenceOver { database: self.setup.id });
    }

    /// Whether an old primary that was shut down still stores its log.
    pub(crate) fn is_storing(&self, now: SimTime) -> bool {
        now < self.storing.until
    }

    /// Whether an old primary that was shut down will have stored all of its log.
    pub(crate) fn stores_all(&self, now: SimTime) -> bool {
        self.is_storing(now) && self.storing.is_complete
    }

    /// Whether the primary stopped because its volume was full, and does not run again. The operator
    /// looks at how a container that is not ready ended last (`hasPostgresContainerTerminationReason`).
    pub(crate) fn is_stopped_by_volume(&self) -> bool {
        self.wal.as_ref().is_some_and(|wal| wal.full_since.is_some())
    }

    /// Whether another segment fits on the volume.
    pub(crate) fn has_room(&self) -> bool {
        self.wal.as_ref().is_none_or(|wal| self.held_bytes(wal) < wal.room())
    }

    /// Whether what a standby lacks can be had from the archive.
    pub(crate) fn can_fetch(&self) -> bool {
        self.wal.as_ref().is_some_and(Wal::can_fetch)
    }

    /// The archive works or fails from now on; `None` when there is none.
    pub(crate) fn set_archiver(&mut self, port: &mut impl Port, archiver: Archiver) {
        let (now, cause) = (port.now(), port.cause());
        let Some(wal) = &mut self.wal else { return };
        wal.advance(now);
        wal.set_archiver(archiver);
        wal.failed_by = cause;
        let is_back = wal.can_fetch();
        if is_back && self.patroni.is_some() {
            self.retry_full(port);
        }
        self.refresh(port);
    }

    /// The volume is to have another size. One that it has already, or is larger than, is no change.
    pub(crate) fn grow(&mut self, port: &mut impl Port, size_bytes: u64) {
        let database = self.setup.id;
        let Some(wal) = &mut self.wal else { return };
        if size_bytes <= wal.size_bytes {
            port.notice(PgNotice::VolumeGrown { database });
        }
        wal.wanted_bytes = wal.wanted_bytes.max(size_bytes);
        self.refresh(port);
    }

    /// The operator asks for the size that the Cluster says; once the primary has no room it looks at
    /// nothing else any more (`ensureNoFailoverOnFullDisk` comes before `reconcileResources`), and
    /// people change the claims themselves, as its `tests/e2e/disk_space_test.go` does.
    pub(crate) fn tend_volume(&mut self, port: &mut impl Port) {
        let is_due = self.wal.as_ref().is_some_and(|wal| wal.wanted_bytes > wal.size_bytes);
        let may_grow = self.is_stopped_by_volume() || self.has_operator(port);
        if is_due && may_grow && !port.is_pending(self.growth_timer) {
            let span = port.draw(self.setup.key, GROWING, self.growth_count, VOLUME_GROWTH);
            self.growth_count += 1;
            let event = PgEvent::VolumeGrown { database: self.setup.id };
            self.growth_timer = port.timer_in(span, event);
        }
    }

    /// The volumes are larger: a primary that had no room finds it at the next start of its container, one that
    /// was replaced meanwhile too.
    pub(crate) fn volume_grown(&mut self, port: &mut impl Port) {
        let (now, database) = (port.now(), self.setup.id);
        let Some(wal) = &mut self.wal else { return };
        wal.size_bytes = wal.wanted_bytes;
        let full_since = wal.full_since;
        port.observe(Observation::VolumeGrown { database });
        port.notice(PgNotice::VolumeGrown { database });
        if self.patroni.is_some() {
            self.retry_full(port);
        } else {
            let since = full_since.unwrap_or(now);
            let parameters = port.parameters();
            let (first, most) = (parameters.crash_loop_initial, parameters.crash_loop_max);
            let wait = next_start(since, now, first, most).saturating_since(now);
            let has_room = self.has_room();
            let starts = |ordinal: &u8| {
                let is_full = self.at(*ordinal).process == Process::Full;
                is_full && (has_room || *ordinal != self.current)
            };
            let starting: Vec<u8> = self.ordinals().filter(starts).collect();
            for ordinal in starting {
                let recovery = self.recovery_span(port, ordinal);
                self.work(port, ordinal, wait.saturating_add(recovery));
            }
        }
        self.refresh(port);
    }

    /// Takes in what the primary writes and who is away, and plans for what comes of it.
    pub(crate) fn settle_wal(&mut self, port: &mut impl Port) {
        let (now, current) = (port.now(), self.current);
        let Some(wal) = &mut self.wal else { return };
        wal.advance(now);
        let written = wal.written();
        self.count_log();
        for ordinal in self.ordinals().filter(|&ordinal| ordinal != current) {
            let instance = *self.at(ordinal);
            // Nothing is kept for one that has nothing and copies nobody yet.
            let is_known =
                instance.pod.is_some() && (!instance.is_empty || instance.cloning.is_some());
            let is_away = is_known && !instance.streams_from(current);
            if !is_away {
                self.at_mut(ordinal).kept_from = None;
            } else if instance.kept_from.is_none() && !instance.is_outrun {
                let cause = port.cause();
                let instance = self.at_mut(ordinal);
                instance.kept_from = Some(written);
                instance.left_at = now;
                instance.left_by = cause;
            }
        }
        self.at_mut(current).kept_from = None;
        let primary = self.at(current);
        let rate_ppm = if self.can_commit(current, now) { primary.writer.rate_ppm() } else { 0 };
        let bytes = u128::from(self.setup.wal_bytes_per_second) * u128::from(rate_ppm) / 1_000_000;
        let is_running = primary.is_open && !self.is_frozen(current) || self.is_storing(now);
        if let Some(wal) = &mut self.wal {
            wal.set_rate(u64::try_from(bytes).unwrap_or(u64::MAX), is_running);
        }
        self.plan_wal(port);
    }

    /// Sets the timer of whatever comes first: a standby is outrun, a share of the volume is reached,
    /// the volume is full.
    fn plan_wal(&mut self, port: &mut impl Port) {
        let planned = self.next_wal();
        let is_set = port.is_pending(self.wal_timer);
        if planned.map(|(at, _)| at) == self.wal_due && is_set == planned.is_some() {
            return;
        }
        port.cancel(self.wal_timer);
        self.wal_due = planned.map(|(at, _)| at);
        if let Some((at, cause)) = planned {
            let event = PgEvent::WalDue { database: self.setup.id };
            self.wal_timer = port.timer_because(cause, at, event);
        }
    }

    fn next_wal(&self) -> Option<(SimTime, EventId)> {
        let wal = self.wal.as_ref().filter(|wal| wal.full_since.is_none())?;
        let is_open = self.at(self.current).is_open;
        let limits = wal.watched_ppm.iter().map(|&ppm| wal.room_to(ppm));
        let full = is_open.then(|| wal.room());
        let limits = limits.chain(full).filter_map(|bytes| self.log_reaches(bytes));
        let outrun = self.instances.iter().filter_map(|instance| {
            let from = instance.kept_from?;
            let by_bytes = wal.spec.kept_bytes.and_then(|bytes| wal.kept_reaches(from, bytes));
            // Nobody looked while the volume was full.
            let by_time = wal.spec.kept_for.map(|span| instance.left_at.saturating_add(span));
            let by_time = by_time.map(|at| at.max(wal.now()));
            let at = by_bytes.into_iter().chain(by_time).min()?;
            Some((at, instance.left_by))
        });
        limits.chain(outrun).min_by_key(|(at, _)| *at)
    }

    /// When the log on the volume first takes so many bytes, and what keeps it there.
    fn log_reaches(&self, bytes: u64) -> Option<(SimTime, EventId)> {
        let wal = self.wal.as_ref()?;
        let backlog = wal.backlog_reaches(bytes).map(|at| (at, wal.failed_by));
        let kept = self.instances.iter().filter_map(|instance| {
            Some((wal.kept_reaches(instance.kept_from?, bytes)?, instance.left_by))
        });
        backlog.into_iter().chain(kept).min_by_key(|(at, _)| *at)
    }

    /// Bytes of log on the volume.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.wal.as_ref().map_or(0, |wal| self.held_bytes(wal).max(wal.spec.least_bytes))
    }

    /// Those of them that somebody still needs. What is kept in any case fits for ever: a volume on
    /// which it does not is warned of, W0191.
    fn held_bytes(&self, wal: &Wal) -> u64 {
        let kept = self.instances.iter().filter_map(|instance| instance.kept_from);
        let kept = kept.map(|from| wal.written() - from).max().unwrap_or(0);
        wal.backlog().max(kept)
    }

    /// Something that was planned is due.
    pub(crate) fn wal_reached(&mut self, port: &mut impl Port) {
        self.wal_due = None;
        let now = port.now();
        let Some(wal) = &mut self.wal else { return };
        wal.advance(now);
        self.outrun_standbys(port);
        self.tell_watched(port);
        if self.at(self.current).is_open && !self.has_room() {
            self.fill(port);
        }
        self.refresh(port);
    }

    fn outrun_standbys(&mut self, port: &mut impl Port) {
        let Some(wal) = &self.wal else { return };
        let (written, spec, now) = (wal.written(), wal.spec, port.now());
        for ordinal in self.ordinals() {
            let instance = *self.at(ordinal);
            let Some(from) = instance.kept_from else { continue };
            // Simplified: what it lacks goes with its slot, also where `wal_keep_size` would keep it.
            let is_dropped =
                spec.kept_for.is_some_and(|span| now >= instance.left_at.saturating_add(span));
            let is_removed = spec.kept_bytes.is_some_and(|limit| written - from >= limit);
            if !is_dropped && !is_removed {
                continue;
            }
            port.hit(&rare::STANDBY_OUTRUN);
            let current = self.current;
            let instance = self.at_mut(ordinal);
            (instance.kept_from, instance.is_outrun) = (None, true);
            if instance.link == Link::Attaching(current) {
                // What it had begun to fetch is not there any more.
                port.cancel(instance.attach);
                instance.link = Link::Broken;
            }
            if let Some(pod) = instance.pod {
                port.observe(Observation::StandbyOutrun { database: self.setup.id, pod });
            }
        }
    }

    fn tell_watched(&mut self, port: &mut impl Port) {
        let (database, log) = (self.setup.id, self.log_bytes());
        let Some(wal) = &mut self.wal else { return };
        let mut reached = Vec::new();
        let rooms: Vec<(u32, u64)> =
            wal.watched_ppm.iter().map(|&ppm| (ppm, wal.room_to(ppm))).collect();
        wal.watched_ppm.clear();
        for (share_ppm, room) in rooms {
            if log >= room {
                reached.push(share_ppm);
            } else {
                wal.watched_ppm.push(share_ppm);
            }
        }
        for share_ppm in reached {
            port.notice(PgNotice::VolumeAbove { database, share_ppm });
        }
    }

    /// No segment fits any more: PostgreSQL ends with a panic, and the instance manager with the exit
    /// code that keeps the operator from failing over (`ensureNoFailoverOnFullDisk` of
    /// `internal/controller/cluster_controller.go`, `cmd/manager/instance/run`). What was committed is
    /// on the disk.
    fn fill(&mut self, port: &mut impl Port) {
        let (now, primary, database) = (port.now(), self.current, self.setup.id);
        port.hit(&rare::VOLUME_FULL);
        if let Some(wal) = &mut self.wal {
            wal.full_since = Some(now);
        }
        if let Some(pod) = self.at(primary).pod {
            port.observe(Observation::WalVolumeFull { database, pod });
        }
        self.close(port, primary, StopKind::Process);
        if self.patroni.is_some() {
            self.panicked(port, primary);
            return;
        }
        self.at_mut(primary).process = Process::Full;
        if self.instances.len() > 1 {
            let reason = FailoverBlock::WalVolume;
            port.observe(Observation::FailoverBlocked { database, reason });
        }
    }
}
