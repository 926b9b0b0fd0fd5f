//! Off-peak downsizing in time: the first look of the downscaler after an edge of the hours.
//!
//! # Modelled
//! What [`crate::off_peak`] decides, for workloads that opted in. At the start of a run a workload has
//! the size of that hour. Between two edges nothing is looked at.
//! # Not modelled
//! The downscaler as a workload that may itself be away: it looks whenever the API answers.
//! # Defaults and their sources
//! `off_peak::LOOK_INTERVAL`.
//! # Invariants
//! Nothing happens but at an edge.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::{Blueprint, Observation, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::tables::Tables;
use super::{Cluster, KubeEvent, priority};
use crate::off_peak::{self, LOOK_INTERVAL, Resize, Schedule, Sized};

const LOOK: Purpose = Purpose::new("phase of the downscaler");

/// Workloads that opted in.
#[derive(Clone, Debug, Default)]
pub(super) struct OffPeakTables {
    schedules: BTreeMap<WorkloadId, Schedule>,
}

/// By workload that opted in: the size that it had before its downtime, while it is remembered.
pub(super) type Originals = BTreeMap<WorkloadId, Option<u32>>;

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
        let sized = Sized { replicas, original: None, created_at: None };
        Some(sized.after(off_peak::resize(schedule, sized, SimTime::ZERO)))
    }
}

/// What is remembered at the start.
pub(super) fn originals(blueprint: &Blueprint, tables: &Tables) -> Originals {
    let ids = tables.off_peak.schedules.keys();
    let original = |id: &WorkloadId| {
        let stated = blueprint.workloads[id.index()].replicas;
        let up = tables.scalers.replicas_at_start(*id, stated);
        (*id, tables.off_peak.at_start(*id, up).and_then(|sized| sized.original))
    };
    ids.map(original).collect()
}

impl Cluster {
    /// The downscaler begins to look.
    pub(super) fn begin_off_peak<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for id in self.off_peak.keys().copied().collect::<Vec<_>>() {
            self.expect_off_peak_edge(id, ctx);
        }
    }

    fn expect_off_peak_edge<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let schedule = &self.tables.off_peak.schedules[&id];
        let Some(edge) = schedule.next_change(ctx.now()) else { return };
        let draw = self.draw(EntityKey::of("downscaler"), LOOK, 0);
        let phase = draw.span_between(SimSpan::ZERO, LOOK_INTERVAL);
        let at = edge.next_tick(LOOK_INTERVAL, phase);
        ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::OffPeakDue(id));
    }

    /// The downscaler looks at a workload after an edge of its hours.
    pub(super) fn on_off_peak_due<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let from = self.replicas(id);
        let sized = Sized { replicas: from, original: self.off_peak[&id], created_at: None };
        let resize = off_peak::resize(&self.tables.off_peak.schedules[&id], sized, ctx.now());
        let after = sized.after(resize);
        self.off_peak.insert(id, after.original);
        if resize != Resize::Keep {
            let to = after.replicas;
            ctx.observe(|| Observation::OffPeakResized { workload: id, from, to });
            self.scale(id, to, ctx);
        }
        self.expect_off_peak_edge(id, ctx);
    }
}
