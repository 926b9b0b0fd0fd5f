//! How long clients would wait until a live copy of a database has taken over: tried in branches of a run.
//!
//! What a strike would lose is worked out beside the run ([`model_postgres`]). How long it would keep clients
//! from writing hangs on everything there is: who notices, leases, the operator and where it runs, the control
//! plane, what else is down. So it is not worked out but tried: at moments after everything that changes, a copy
//! of the world is struck and goes on until its clients write again. The run itself knows nothing of that.
//!
//! # Modelled
//! Zones that are destroyed and nodes that never return. What counts is the time from the strike until clients
//! write again. Faults that come later in the run are not known to a strike, and do not happen in its branch;
//! those that are under way end as they would.
//!
//! # Not modelled
//! Simplified: between changes, leases, loops and probes come round within [`WINDOW`], so that no more of the
//! time after a change is tried, every [`STEP`]. Who is struck later is not back earlier, so that a strike
//! between two that were tried takes no more than a step longer than the one after it.
//!
//! # Defaults and their sources
//! Ten seconds: kubelets renew their leases (`pkg/kubelet/kubelet.go`, a quarter of 40 s), Patroni loops
//! (`loop_wait`) and the kubelet asks probes (`periodSeconds`) every ten seconds by default.
//!
//! # Invariants
//! What is found is what a run would show in which that strike is a fault. A run of the same luck is tried at the
//! same moments.
//!
//! # Checked against
//! `tests/it/takeovers.rs`: runs whose zones and nodes are lost at random moments.

use model_api::backup::{DataSetKind, DisasterClass};
use model_api::fault::{DataFault, Fault, FaultKind, FaultPlan, NodePick, Start, ZonePick};
use model_api::observation::BackupFact;
use model_api::{
    DataSetId, DatabaseId, FaultId, NodeId, Observation, Origin, SimSpan, SimTime, ZoneId,
};
use sim_kernel::{Causes, EventId, EventRecorder, Priority, Recorder, Simulation};

use crate::fault::FaultEvent;
use crate::plan::Plan;
use crate::world::World;

/// How long after a change strikes are tried.
pub(crate) const WINDOW: SimSpan = SimSpan::from_secs(10);
/// How far apart.
pub(crate) const STEP: SimSpan = SimSpan::from_millis(2_500);
/// Most moments of a run that are tried.
const MOMENTS_MAX: usize = 64;
/// Clients that do not wait after that time do not wait for what the strike took.
const STOPS_WITHIN: SimSpan = SimSpan::from_mins(1);
/// How far a branch goes until it is looked at again whether clients write. Who does not write after the last
/// one never does.
const LOOKS: [SimSpan; 7] = [
    SimSpan::from_mins(1),
    SimSpan::from_mins(2),
    SimSpan::from_mins(5),
    SimSpan::from_mins(15),
    SimSpan::from_hours(1),
    SimSpan::from_hours(6),
    SimSpan::from_hours(24),
];
/// Strikes are faults that never come by themselves.
const NEVER: SimSpan = SimSpan::from_days(36_500);
const NANOSECOND: SimSpan = SimSpan::from_nanos(1);

/// A plan in which a class of disasters can strike a database.
#[derive(Clone, Debug)]
pub struct TakeoverTrials {
    plan: Plan,
    data_set: DataSetId,
    database: DatabaseId,
    class: DisasterClass,
    /// The first of the strikes among the faults.
    first: usize,
}

/// What strikes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The longest that clients waited; [`SimSpan::MAX`] for ever.
    pub longest: SimSpan,
    /// Of a strike at that moment.
    pub at: SimTime,
    /// A strike at any other moment takes no more than that longer; [`SimSpan::MAX`] when too much changed in
    /// the run for all of it to be tried.
    pub slack: SimSpan,
    /// So many strikes were tried.
    pub strike_count: u32,
}

impl TakeoverTrials {
    /// Trials of a class of disasters that a live copy of a database can outlive; `None` for anything else.
    pub fn new(plan: &Plan, data_set: DataSetId, class: DisasterClass) -> Option<Self> {
        let blueprint = plan.blueprint();
        let DataSetKind::Database(database) = blueprint.protection.data_sets[data_set.index()].kind
        else {
            return None;
        };
        let kinds: Vec<FaultKind> = match class {
            DisasterClass::Zone => {
                let zones = (0..blueprint.zones.len()).map(ZoneId::from_index);
                let destroyed = |zone| DataFault::ZoneDestroyed { zone: ZonePick::Zone(zone) };
                zones.map(|zone| FaultKind::Data(destroyed(zone))).collect()
            }
            DisasterClass::Node => {
                let nodes = (0..blueprint.nodes.len()).map(NodeId::from_index);
                nodes.map(|node| FaultKind::NodeCrash { node: NodePick::Node(node) }).collect()
            }
            _ => return None,
        };
        let strikes = kinds.into_iter().enumerate().map(|(idx, kind)| Fault {
            name: format!("{} tried {idx}", class.name()),
            kind,
            start: Start::At(SimTime::ZERO + NEVER),
            duration: None,
            origin: Origin::default(),
        });
        let mut faults = FaultPlan::clone(plan.faults());
        let first = faults.faults.len();
        faults.faults.extend(strikes);
        Some(Self { plan: plan.with_faults(faults), data_set, database, class, first })
    }

    /// Whose.
    pub fn data_set(&self) -> DataSetId {
        self.data_set
    }

    /// Of what.
    pub fn class(&self) -> DisasterClass {
        self.class
    }

    /// Tries a run; `None` when no strike left a live copy.
    pub fn run(&self, root_seed: u64, run: u64) -> Option<Takeover> {
        let mut whole = self.plan.simulation(root_seed, run, Changes::new(self));
        let _ = whole.run_until(self.plan.horizon());
        whole.apply(|world, ctx| world.finish(ctx));
        let (_, changes) = whole.into_parts();
        let (moments, is_thinned) = changes.moments(self.plan.horizon());
        let mut base = self.plan.simulation(root_seed, run, Quiet);
        let mut found: Option<Takeover> = None;
        for when in moments {
            if !base.run_until(when - NANOSECOND).is_complete() {
                break;
            }
            for strike in self.strikes(base.model()) {
                let waited = self.strike(&base, strike, when, changes.is_writable(when));
                let seen = found.get_or_insert(Takeover {
                    longest: waited,
                    at: when,
                    slack: if is_thinned { SimSpan::MAX } else { STEP },
                    strike_count: 0,
                });
                seen.strike_count += 1;
                if waited > seen.longest {
                    (seen.longest, seen.at) = (waited, when);
                }
            }
        }
        found
    }

    /// What can strike a database and leave a live copy: each zone, each node under an instance.
    fn strikes(&self, world: &World) -> Vec<FaultId> {
        let cluster = world.cluster();
        let workload = self.plan.blueprint().databases[self.database.index()].workload;
        let mut places: Vec<usize> = match self.class {
            DisasterClass::Zone => (0..self.plan.blueprint().zones.len()).collect(),
            _ => {
                let pods = cluster.pods_of(workload).iter();
                pods.filter_map(|pod| Some(cluster.pod(*pod).node?.index())).collect()
            }
        };
        places.sort_unstable();
        places.dedup();
        // Nodes that an autoscaler added have no fault of their own: others stand for them.
        places.retain(|idx| self.first + idx < self.plan.faults().faults.len());
        let leaves_copy = |idx: &usize| match self.class {
            DisasterClass::Zone => {
                let zone = ZoneId::from_index(*idx);
                world.backups().leaves_live_copy(self.data_set, zone)
            }
            _ => true,
        };
        places.retain(leaves_copy);
        places.into_iter().map(|idx| FaultId::from_index(self.first + idx)).collect()
    }

    /// How long clients wait that a branch strikes at a moment.
    fn strike(
        &self,
        base: &Simulation<World, Quiet>,
        strike: FaultId,
        when: SimTime,
        is_writable: bool,
    ) -> SimSpan {
        let stopped_at = (!is_writable).then_some(when);
        let watch = Watch { database: self.database, when, stopped_at, resumed_at: None };
        let mut branch = base.branch(watch);
        let due = FaultEvent::StrikeDue(strike);
        branch.apply(|world, ctx| {
            world.forget_faults(strike);
            ctx.schedule_at(when, Priority::new(1), due);
        });
        for look in LOOKS {
            let is_complete = branch.run_until(when.saturating_add(look)).is_complete();
            let watch = branch.recorder();
            match (watch.stopped_at, watch.resumed_at) {
                (None, _) => return SimSpan::ZERO,
                (Some(_), Some(at)) => return at.saturating_since(when),
                (Some(_), None) if is_complete => {}
                (Some(_), None) => break,
            }
        }
        SimSpan::MAX
    }
}

/// What keeps nothing.
#[derive(Clone, Copy, Debug)]
struct Quiet;

impl Causes for Quiet {
    type Link = ();
}

/// It records, so that what is at stake is known to the world at every moment.
impl Recorder<Observation> for Quiet {
    const RECORDS: bool = true;

    fn observe(&mut self, _: SimTime, _: EventId, _: Observation) {}
}

impl<E> EventRecorder<E> for Quiet {}

/// Waits until clients of a database write again.
#[derive(Clone, Copy, Debug)]
struct Watch {
    database: DatabaseId,
    when: SimTime,
    stopped_at: Option<SimTime>,
    resumed_at: Option<SimTime>,
}

impl Causes for Watch {
    type Link = ();
}

impl Recorder<Observation> for Watch {
    const RECORDS: bool = true;

    fn observe(&mut self, at: SimTime, _: EventId, observation: Observation) {
        match observation {
            Observation::WritesStopped { database }
                if database == self.database
                    && self.stopped_at.is_none()
                    && at <= self.when.saturating_add(STOPS_WITHIN) =>
            {
                self.stopped_at = Some(at);
            }
            Observation::WritesResumed { database }
                if database == self.database && self.stopped_at.is_some() =>
            {
                self.resumed_at.get_or_insert(at);
            }
            _ => {}
        }
    }
}

impl<E> EventRecorder<E> for Watch {}

/// When something changed that a takeover may hang on.
#[derive(Clone, Debug)]
struct Changes<'a> {
    trials: &'a TakeoverTrials,
    changed_at: Vec<SimTime>,
    writable: Vec<(SimTime, bool)>,
}

impl<'a> Changes<'a> {
    fn new(trials: &'a TakeoverTrials) -> Self {
        Self { trials, changed_at: vec![SimTime::ZERO], writable: Vec::new() }
    }

    /// Whether clients could write just before a moment.
    fn is_writable(&self, when: SimTime) -> bool {
        let idx = self.writable.partition_point(|it| it.0 < when);
        idx.checked_sub(1).is_some_and(|idx| self.writable[idx].1)
    }

    /// The moments of a grid that come after changes, and whether there were too many.
    fn moments(&self, end: SimTime) -> (Vec<SimTime>, bool) {
        let step = STEP.as_nanos();
        let of_change = |at: &SimTime| {
            let first = at.as_nanos() / step + 1;
            (first..first + WINDOW.as_nanos() / step).map(|number| number * step)
        };
        let mut moments: Vec<u64> = self.changed_at.iter().flat_map(of_change).collect();
        moments.sort_unstable();
        moments.dedup();
        moments.retain(|at| *at <= end.as_nanos());
        let every = moments.len().div_ceil(MOMENTS_MAX).max(1);
        let is_thinned = every > 1;
        (moments.into_iter().step_by(every).map(SimTime::from_nanos).collect(), is_thinned)
    }

    fn note(&mut self, at: SimTime) {
        if self.changed_at.last() != Some(&at) {
            self.changed_at.push(at);
        }
    }
}

impl Causes for Changes<'_> {
    type Link = ();
}

impl Recorder<Observation> for Changes<'_> {
    const RECORDS: bool = true;

    fn observe(&mut self, at: SimTime, _: EventId, observation: Observation) {
        match observation {
            Observation::WritesStopped { database } if database == self.trials.database => {
                self.writable.push((at, false));
                self.note(at);
            }
            Observation::WritesResumed { database } if database == self.trials.database => {
                self.writable.push((at, true));
                self.note(at);
            }
            Observation::Backup(BackupFact::Exposure(stretch))
                if stretch.data_set == self.trials.data_set
                    && stretch.class == self.trials.class =>
            {
                self.note(stretch.from);
            }
            Observation::FaultStruck { .. }
            | Observation::FaultEnded { .. }
            | Observation::NodeLost { .. }
            | Observation::NodeRestored { .. }
            | Observation::NodeBecameNotReady { .. }
            | Observation::NodeBecameReady { .. }
            | Observation::OperatorTurned { .. }
            | Observation::MemberTurned { .. }
            | Observation::EtcdLed { .. }
            | Observation::ControllerTurned { .. }
            | Observation::ApiStateRestored { .. }
            | Observation::FailoverBlocked { .. }
            | Observation::PrimaryPromoted { .. } => self.note(at),
            _ => {}
        }
    }
}

impl<E> EventRecorder<E> for Changes<'_> {}
