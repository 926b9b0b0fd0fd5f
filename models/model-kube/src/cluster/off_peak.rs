//! Off-peak downsizing in time: the looks of the downscaler that find something to do.
//!
//! # Modelled
//! What [`crate::off_peak`] decides, for workloads that opted in. At the start of a run a workload has
//! the size of that hour. Who sizes it in its downtime is undone by the next look.
//! # Not modelled
//! The downscaler as a workload that may itself be away: it looks whenever the API answers.
//! # Defaults and their sources
//! `off_peak::LOOK_INTERVAL`.
//! # Invariants
//! Nothing happens but after an edge or after somebody sized the workload.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::{Blueprint, Observation, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::tables::Tables;
use super::{Cluster, KubeEvent, priority};
use crate::off_peak::{self, LOOK_INTERVAL, Resize, Schedule, Sized};

const LOOK: Purpose = Purpose::new("phase of the downscaler");

/// Workloads that opted in.
#[derive(Clone, Debug, Default)]
pub(super) struct OffPeakTables {
    schedules: BTreeMap<WorkloadId, Schedule>,
}

/// A workload that opted in.
#[derive(Clone, Copy, Debug)]
pub(super) struct OffPeakState {
    /// The size that it had before its downtime, while that is remembered.
    pub(super) original: Option<u32>,
    timer: Timer,
}

/// Workloads that opted in.
pub(super) type OffPeakStates = BTreeMap<WorkloadId, OffPeakState>;

impl OffPeakTables {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let entries = blueprint.off_peak.iter();
        let schedules = entries.map(|it| (it.workload, it.schedule.clone()));
        Self { schedules: schedules.collect() }
    }

    /// The size at the start of a workload that has `replicas` when it is up.
    pub(super) fn replicas_at_start(&self, id: WorkloadId, replicas: u32) -> u32 {
        self.at_start(id, replicas).map_or(replicas, |sized| sized.replicas)
    }

    fn at_start(&self, id: WorkloadId, replicas: u32) -> Option<Sized> {
        let schedule = self.schedules.get(&id)?;
        let sized = Sized { replicas, original: None };
        Some(sized.after(off_peak::resize(schedule, sized, SimTime::ZERO)))
    }
}

/// Workloads as they are at the start.
pub(super) fn all(blueprint: &Blueprint, tables: &Tables) -> OffPeakStates {
    let ids = tables.off_peak.schedules.keys();
    let state = |id: &WorkloadId| {
        let stated = blueprint.workloads[id.index()].replicas;
        let up = tables.scalers.replicas_at_start(*id, stated);
        let original = tables.off_peak.at_start(*id, up).and_then(|sized| sized.original);
        (*id, OffPeakState { original, timer: Timer::NONE })
    };
    ids.map(state).collect()
}

impl Cluster {
    /// The downscaler begins to look.
    pub(super) fn begin_off_peak<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for id in self.off_peak.keys().copied().collect::<Vec<_>>() {
            self.expect_off_peak_look(id, ctx);
        }
    }

    fn off_peak_resize(&self, id: WorkloadId, now: SimTime) -> (Sized, Resize) {
        let (replicas, original) = (self.replicas(id), self.off_peak[&id].original);
        let sized = Sized { replicas, original };
        (sized, off_peak::resize(&self.tables.off_peak.schedules[&id], sized, now))
    }

    /// The next look that finds something to do: the first one when somebody sized the workload
    /// otherwise than its hours want, else the first after their next edge.
    pub(super) fn expect_off_peak_look<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let Some(state) = self.off_peak.get_mut(&id) else { return };
        let earlier = std::mem::replace(&mut state.timer, Timer::NONE);
        ctx.cancel(earlier);
        let (_, resize) = self.off_peak_resize(id, now);
        let edge = || self.tables.off_peak.schedules[&id].next_change(now);
        let from = if resize == Resize::Keep { edge() } else { Some(now) };
        let Some(from) = from else { return };
        let draw = self.draw(EntityKey::of("downscaler"), LOOK, 0);
        let phase = draw.span_between(SimSpan::ZERO, LOOK_INTERVAL);
        let at = from.next_tick(LOOK_INTERVAL, phase);
        let timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::OffPeakDue(id));
        self.off_peak.insert(id, OffPeakState { timer, ..self.off_peak[&id] });
    }

    /// The downscaler looks at a workload.
    pub(super) fn on_off_peak_due<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let (sized, resize) = self.off_peak_resize(id, ctx.now());
        let after = sized.after(resize);
        if resize != Resize::Keep {
            // Size and annotation change in one write.
            self.note_spec(id, ctx.now());
        }
        let state = OffPeakState { original: after.original, ..self.off_peak[&id] };
        self.off_peak.insert(id, state);
        if resize == Resize::Keep {
            self.expect_off_peak_look(id, ctx);
            return;
        }
        let (from, to) = (sized.replicas, after.replicas);
        ctx.observe(|| Observation::OffPeakResized { workload: id, from, to });
        self.scale(id, to, ctx);
    }
}
