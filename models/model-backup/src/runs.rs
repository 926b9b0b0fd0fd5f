//! Backups as they are made: runs in the order of time, each with a copy or without.
//!
//! Nothing here is an event of a world. A lane is brought forward to a moment when somebody looks, or
//! before something changes; in between nobody could tell the difference.
//!
//! # Modelled
//! Schedules; a server that makes one backup at a time, whoever asked; a run that is late because the
//! one before was not over, and is then made at once; runs that fail because source or place are
//! away, because they take longer than their time-out, because the server that makes them restarts, or by
//! bad luck; copies that look complete and
//! are not, from some run on until a restore test finds it; hooks that fail, after which nothing is
//! copied, or what was not at rest; time to live, recovery windows, a fixed number of copies; locks
//! that keep a copy longer; a server that is away, while which nothing expires that it would delete. A backup of many data sets that fails for one of them (`PartiallyFailed`)
//! holds the others: each data set has runs of its own.
//! # Not modelled
//! Repository maintenance; incremental chains; how much a bucket holds, so that only a fault fills it.
//! # Defaults and their sources
//! Velero 1.17 `pkg/controller/schedule_controller.go`: a schedule that is due while a backup of it is
//! new or in progress waits for its end, and several missed times are made up for by one run;
//! `pkg/cmd/server/config/config.go`: one backup at a time, time to live 720 h. Retention of
//! CloudNativePG: a base backup goes when the next one is older than the window, looked at after a
//! backup succeeded (plugin-barman-cloud `retention.md`).
//! # Invariants
//! A copy is ready after it was begun, and is never there before. Runs of a lane do not overlap. Copies
//! of a policy expire, and are pruned, in the order in which they were made.
//! # Checked against
//! The tests below; `tests/it`.

use std::collections::VecDeque;
use std::sync::Arc;

use model_api::backup::{BackupPolicy, Method, Protection, Retention};
use model_api::{PlaceId, PolicyId};
use sim_kernel::{EntityKey, Purpose, SimSpan, Streams};

use crate::schedule::Timetable;
use crate::stamp::{Stamp, transfer};

const FAILS: Purpose = Purpose::new("backup run fails");
const HOOK: Purpose = Purpose::new("hook fails");
const SILENT: Purpose = Purpose::new("backups fail silently");
const TEST: Purpose = Purpose::new("first restore test");

/// A copy of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// When its run began.
    pub(crate) started_at: Stamp,
    /// It holds everything that was written before.
    pub(crate) taken_at: Stamp,
    /// It is there from then on.
    pub(crate) ready_at: Stamp,
    /// It can be restored.
    pub(crate) is_sound: bool,
    /// It is deleted then, whatever else happens: never, while whoever would do it is away.
    pub(crate) expires_at: Stamp,
    /// It is to be deleted then.
    due_at: Stamp,
    /// It is deleted then, because of those that came after it.
    pub(crate) pruned_at: Stamp,
    /// Nobody can delete it before.
    pub(crate) locked_until: Stamp,
}

impl Copy {
    fn gone_at(&self) -> Stamp {
        self.expires_at.min(self.pruned_at)
    }
}

/// What the runs of a policy see of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The source can be read.
    pub(crate) is_source_up: bool,
    /// The place can be written to.
    pub(crate) is_place_up: bool,
    /// A fault makes every run fail.
    pub(crate) is_broken: bool,
}

impl Conditions {
    const GOOD: Self = Self { is_source_up: true, is_place_up: true, is_broken: false };
}

/// Where a policy stands.
#[derive(Clone, Debug)]
pub(crate) struct PolicyState {
    key: EntityKey,
    pub(crate) conditions: Conditions,
    /// Copies look complete and are not.
    is_silent: bool,
    next_due: Option<Stamp>,
    next_test: Option<Stamp>,
    attempt: u64,
    /// Copies by the time they were begun.
    pub(crate) copies: VecDeque<Copy>,
    /// The least age at which a copy was deleted.
    pub(crate) kept_least: Option<SimSpan>,
}

/// A run that is not over.
#[derive(Clone, Copy, Debug)]
struct Running {
    policy: PolicyId,
    ends_at: Stamp,
    /// What it will leave; `None` when it fails.
    copy: Option<Copy>,
}

/// Policies whose runs follow one another.
#[derive(Clone, Debug)]
struct Lane {
    policies: Vec<PolicyId>,
    free_at: Stamp,
    running: Option<Running>,
    /// Nobody makes runs: the server is away.
    is_stopped: bool,
}

/// All backups of a platform.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    lanes: Vec<Lane>,
    pub(crate) policies: Vec<PolicyState>,
    /// By place: bytes a second that can be written.
    write_rates: Vec<u64>,
    /// By policy: when it is due in the time before the run.
    timetables: Arc<[Timetable]>,
    origin: Stamp,
    streams: Streams,
}

impl Runs {
    /// Everything that was made before the run, on a platform that began at `origin`.
    pub(crate) fn new(protection: &Protection, origin: Stamp, streams: Streams) -> Self {
        let policies = protection.policies.iter();
        let timetables = policies.map(|it| Timetable::new(&it.schedule, origin, Stamp::ZERO));
        Self::with_past(protection, origin, streams, timetables.collect())
    }

    /// What other draws make of the same time.
    pub(crate) fn with_streams(self, protection: &Protection, streams: Streams) -> Self {
        Self::with_past(protection, self.origin, streams, self.timetables)
    }

    fn with_past(
        protection: &Protection,
        origin: Stamp,
        streams: Streams,
        timetables: Arc<[Timetable]>,
    ) -> Self {
        let policies = protection.policies.iter().zip(timetables.iter());
        let policies: Vec<PolicyState> = policies
            .map(|(policy, times)| PolicyState::new(policy, times, origin, streams))
            .collect();
        let mut lanes: Vec<(Option<u32>, Lane)> = Vec::new();
        for (idx, policy) in protection.policies.iter().enumerate() {
            let id = PolicyId::from_index(idx);
            let shared = lanes.iter_mut().find(|(lane, _)| lane.is_some() && *lane == policy.lane);
            match shared {
                Some((_, lane)) => lane.policies.push(id),
                None => {
                    let lane = Lane {
                        policies: vec![id],
                        free_at: origin,
                        running: None,
                        is_stopped: false,
                    };
                    lanes.push((policy.lane, lane));
                }
            }
        }
        let write_rates = protection.places.iter().map(|it| it.write_bytes_per_second).collect();
        let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
        let mut runs = Self { lanes, policies, write_rates, timetables, origin, streams };
        runs.advance(protection, Stamp::ZERO, false);
        runs
    }

    /// Makes all runs that begin or end before `until`. With `keeps_all` copies that are gone by then
    /// stay in the list, for whoever looks back.
    pub(crate) fn advance(&mut self, protection: &Protection, until: Stamp, keeps_all: bool) {
        for idx in 0..self.lanes.len() {
            self.advance_lane(idx, protection, until, keeps_all);
        }
        if !keeps_all {
            for policy in &mut self.policies {
                policy.forget(until);
            }
        }
    }

    fn advance_lane(&mut self, idx: usize, protection: &Protection, until: Stamp, keeps_all: bool) {
        loop {
            if let Some(running) = self.lanes[idx].running {
                if running.ends_at >= until {
                    return;
                }
                let lane = &mut self.lanes[idx];
                (lane.running, lane.free_at) = (None, running.ends_at);
                let policy = running.policy.index();
                self.policies[policy].finish(&protection.policies[policy], running);
                // Each run looks at all copies there are.
                if !keeps_all {
                    self.policies[policy].forget(running.ends_at);
                }
                continue;
            }
            if self.lanes[idx].is_stopped {
                return;
            }
            let due = |id: &PolicyId| Some((self.policies[id.index()].next_due?, *id));
            let Some((due_at, id)) = self.lanes[idx].policies.iter().filter_map(due).min() else {
                return;
            };
            let start = due_at.max(self.lanes[idx].free_at);
            if start >= until {
                return;
            }
            let (spec, state) = (&protection.policies[id.index()], &mut self.policies[id.index()]);
            let place = &protection.places[spec.to.index()];
            let volume = protection.data_sets[spec.data_set.index()].volume_bytes_per_second;
            let rate = self.write_rates[spec.to.index()].min(volume.unwrap_or(u64::MAX));
            let moved = transfer(spec.moved_bytes, rate);
            let hook =
                spec.hook.map_or(SimSpan::ZERO, |hook| hook.takes.saturating_add(hook.after));
            let needed = spec.overhead.saturating_add(hook).saturating_add(moved);
            let running = state.start(id, spec, needed, place.lock, start, self.streams);
            let times = &self.timetables[id.index()];
            state.next_due = times.next_after(&spec.schedule, start, self.origin);
            self.lanes[idx].running = Some(running);
        }
    }

    /// Runs that begin from now on write to a place at another rate, in bytes a second.
    pub(crate) fn set_write_rate(&mut self, place: PlaceId, bytes_per_second: u64) {
        self.write_rates[place.index()] = bytes_per_second;
    }

    /// A condition changed: a run that needs it fails.
    pub(crate) fn set_conditions(&mut self, policy: PolicyId, conditions: Conditions) {
        self.policies[policy.index()].conditions = conditions;
        if conditions != Conditions::GOOD {
            for lane in &mut self.lanes {
                if let Some(running) = lane.running.as_mut().filter(|it| it.policy == policy) {
                    running.copy = None;
                }
            }
        }
    }

    /// The server that makes the runs of some policies is away from now on, or back. What it made when it
    /// went is lost, and it marks that as failed when it is back (`markInProgressBackupsFailed` of
    /// `pkg/cmd/server/server.go`, 1.17); what came due meanwhile is made once, late. Nor does anything expire
    /// while it is away: its garbage collection looks at all backups when it starts
    /// (`pkg/controller/gc_controller.go`).
    pub(crate) fn set_server(&mut self, policies: &[PolicyId], is_up: bool, now: Stamp) -> u32 {
        let mut failed_count = 0;
        for lane in &mut self.lanes {
            if lane.is_stopped != is_up || !lane.policies.iter().any(|it| policies.contains(it)) {
                continue;
            }
            lane.is_stopped = !is_up;
            for policy in &lane.policies {
                self.policies[policy.index()].set_deleter(is_up, now);
            }
            if is_up {
                lane.free_at = lane.free_at.max(now);
            } else if lane.running.take().is_some_and(|running| running.copy.is_some()) {
                failed_count += 1;
            }
        }
        failed_count
    }

    /// From now on copies of a policy only look complete, or are complete again. Restore tests before
    /// now have found nothing of it.
    pub(crate) fn set_silent(
        &mut self,
        protection: &Protection,
        policy: PolicyId,
        is_silent: bool,
        now: Stamp,
    ) {
        let state = &mut self.policies[policy.index()];
        state.test(&protection.policies[policy.index()], now);
        state.is_silent = is_silent;
    }

    /// Copies of a policy that hold what was written in `from..until` are spoilt.
    pub(crate) fn spoil(&mut self, policy: PolicyId, from: Stamp, until: Stamp) {
        let is_spoilt = |copy: &Copy| copy.taken_at >= from && copy.taken_at < until;
        for copy in &mut self.policies[policy.index()].copies {
            copy.is_sound &= !is_spoilt(copy);
        }
        for lane in &mut self.lanes {
            if let Some(running) = lane.running.as_mut().filter(|it| it.policy == policy)
                && let Some(copy) = &mut running.copy
            {
                copy.is_sound &= !is_spoilt(copy);
            }
        }
    }
}

impl PolicyState {
    fn new(policy: &BackupPolicy, times: &Timetable, origin: Stamp, streams: Streams) -> Self {
        let key = EntityKey::of("backup policy").child(&policy.name);
        let first_test = |every: SimSpan| {
            let most = SimSpan::from_nanos(every.as_nanos().saturating_sub(1));
            origin.plus(streams.draw(key, TEST, 0).span_between(SimSpan::ZERO, most))
        };
        Self {
            key,
            conditions: Conditions::GOOD,
            is_silent: false,
            next_due: (!policy.is_paused)
                .then(|| times.next_after(&policy.schedule, origin, origin))
                .flatten(),
            next_test: policy.tested_every.filter(|every| !every.is_zero()).map(first_test),
            attempt: 0,
            copies: VecDeque::new(),
            kept_least: None,
        }
    }

    /// Begins a run.
    fn start(
        &mut self,
        id: PolicyId,
        spec: &BackupPolicy,
        needed: SimSpan,
        lock: Option<SimSpan>,
        at: Stamp,
        streams: Streams,
    ) -> Running {
        self.test(spec, at);
        let attempt = self.attempt;
        self.attempt += 1;
        let is_hit = |purpose, ppm: u32| {
            ppm > 0 && streams.draw(self.key, purpose, attempt).below(1_000_000) < u64::from(ppm)
        };
        self.is_silent |= is_hit(SILENT, spec.silent_failure_ppm);
        let is_late = spec.timeout.is_some_and(|timeout| needed > timeout);
        let takes = if is_late { spec.timeout.unwrap_or(needed) } else { needed };
        let failed_hook = spec.hook.filter(|hook| is_hit(HOOK, hook.failure_ppm));
        let fails = is_late
            || self.conditions != Conditions::GOOD
            || failed_hook.is_some_and(|hook| hook.is_needed)
            || is_hit(FAILS, spec.failure_ppm);
        let ends_at = at.plus(takes);
        let locked_until = lock.map_or(ends_at, |lock| ends_at.plus(lock));
        let expires_at = match spec.retention {
            Retention::For(span) => at.plus(span).max(locked_until),
            Retention::Window(_) | Retention::Last(_) => Stamp::MAX,
        };
        let copy = Copy {
            started_at: at,
            taken_at: if spec.method == Method::Base { ends_at } else { at },
            ready_at: ends_at,
            is_sound: !self.is_silent && (failed_hook.is_none() || spec.method != Method::Files),
            expires_at,
            due_at: expires_at,
            pruned_at: Stamp::MAX,
            locked_until,
        };
        Running { policy: id, ends_at, copy: (!fails).then_some(copy) }
    }

    /// Whoever deletes copies that are old enough is away from now on, or back.
    fn set_deleter(&mut self, is_up: bool, now: Stamp) {
        for copy in self.copies.iter_mut().filter(|copy| copy.expires_at >= now) {
            copy.expires_at = if is_up { copy.due_at.max(now) } else { Stamp::MAX };
        }
    }

    /// Restore tests up to now: they end a silent failure.
    fn test(&mut self, spec: &BackupPolicy, now: Stamp) {
        while let (Some(at), Some(every)) = (self.next_test, spec.tested_every)
            && at <= now
        {
            self.is_silent = false;
            self.next_test = Some(at.plus(every));
        }
    }

    fn finish(&mut self, spec: &BackupPolicy, running: Running) {
        let Some(copy) = running.copy else { return };
        let last = self.copies.back();
        assert!(
            last.is_none_or(|last| last.expires_at <= copy.expires_at),
            "copies of a policy expire in the order in which they were made"
        );
        self.copies.push_back(copy);
        let now = running.ends_at;
        match spec.retention {
            Retention::For(_) => {}
            Retention::Window(window) => {
                let start = now.minus(window);
                // A copy is needed until the next one is older than the window.
                for idx in 0..self.copies.len() - 1 {
                    if self.copies[idx + 1].taken_at < start {
                        self.prune(idx, now);
                    }
                }
            }
            Retention::Last(count) => {
                let kept = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
                let live = self.copies.iter().filter(|copy| copy.pruned_at > now).count();
                let mut left = live.saturating_sub(kept);
                for idx in 0..self.copies.len() {
                    if left > 0 && self.copies[idx].pruned_at > now {
                        left -= 1;
                        self.prune(idx, now);
                    }
                }
            }
        }
    }

    fn prune(&mut self, idx: usize, now: Stamp) {
        let before = idx.checked_sub(1).map(|before| self.copies[before].pruned_at);
        let copy = &mut self.copies[idx];
        if copy.pruned_at == Stamp::MAX {
            copy.pruned_at = now.max(copy.locked_until);
            assert!(
                before.is_none_or(|before| before <= copy.pruned_at),
                "copies of a policy are pruned in the order in which they were made"
            );
        }
    }

    /// Drops copies that are gone before `now`.
    fn forget(&mut self, now: Stamp) {
        while let Some(first) = self.copies.front().filter(|copy| copy.gone_at() < now) {
            let age = first.gone_at().since(first.started_at);
            self.kept_least = Some(self.kept_least.map_or(age, |least| least.min(age)));
            self.copies.pop_front();
        }
    }
}
