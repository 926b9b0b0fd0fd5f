//! Which load a platform bears, and at which the trigger of a scenario leaves it down for good.
//!
//! A system is *stable* at a load when it comes back from the trigger by itself, *vulnerable* when it
//! bears the load but the trigger can leave it in a failure that feeds itself, and *overloaded* when
//! it does not even bear the load untroubled (Huang et al., "Metastable Failures in the Wild", OSDI
//! 2022, section 2; Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021).
//!
//! All loads are scaled together, and each is tried untroubled and with the trigger as long as the
//! scenario says, shorter and longer. The edges between regions are then found by halving.

use std::collections::BTreeMap;

use model_api::fault::{ControlPlaneFault, Fault, FaultKind, FaultPlan, InstanceHarm, Start};
use model_api::{Blueprint, ServiceId};
use platform::{Fidelity, Plan};
use report_data::{LoadEdge, LoadMap, LoadMapCell, LoadMapColumn, LoadMapRow, LoadRegion};
use sim_check::{Monitor, Subjects};
use sim_kernel::{SimSpan, SimTime};

use crate::campaign::{CampaignError, in_order};

/// Longest run: what a scenario may ask for as well.
const HORIZON_MAX: SimSpan = SimSpan::from_days(3_653);

/// How near the edges between regions are found: a hundredth of the scenario's load.
const EDGE_PPM: u32 = 10_000;

/// What is mapped, and how finely.
#[derive(Clone, Debug)]
pub struct LoadMapping<'a> {
    /// The platform with its loads.
    pub blueprint: &'a Blueprint,
    /// The trigger: every fault of the scenario.
    pub trigger: &'a FaultPlan,
    /// When a run of the scenario ends; runs last longer where the trigger or `within` asks for it.
    pub horizon: SimSpan,
    /// How requests are treated.
    pub fidelity: Fidelity,
    /// Seed of all luck.
    pub root_seed: u64,
    /// Runs of each cell.
    pub run_count: u32,
    /// Threads; all cores when `None`. No result depends on it.
    pub thread_count: Option<usize>,
    /// Loads to try, rising, in parts per million of the scenario's.
    pub loads_ppm: Vec<u32>,
    /// Lengths of the trigger to try, in parts per million of the scenario's. A trigger that takes
    /// no time at all is tried once instead.
    pub lengths_ppm: Vec<u32>,
    /// Share of requests that is answered when all is well, in parts per million.
    pub share_ppm: u32,
    /// How soon after the trigger all must be well again.
    pub within: SimSpan,
}

/// Why there is no map.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// No load.
    #[error("nothing asks for anything: a map of loads needs a scenario with `load:`")]
    NoLoad,
    /// No trigger.
    #[error(
        "nothing happens: a map shows from what a platform comes back, so the scenario needs a fault"
    )]
    NoTrigger,
    /// A fault lasts for ever.
    #[error(
        "`{0}` never ends: what does not come back after it is no failure that feeds itself; say how long it lasts, with `for:`"
    )]
    Endless(String),
    /// Runs would last longer than a scenario may.
    #[error(
        "a run would last more than ten years: its faults as long as --lengths makes them, and what --within leaves after them"
    )]
    TooLong,
}

/// What a map tells on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapProgress {
    /// So many more runs will be made.
    Planned(u64),
    /// A run was made.
    Made,
}

/// A cell of the map, before it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Try {
    load_ppm: u32,
    /// Without: untroubled.
    length_ppm: Option<u32>,
}

/// What became of one run.
struct Outcome {
    /// By Service with a load: how long it took to be well, if ever.
    settled: BTreeMap<ServiceId, Option<SimSpan>>,
    has_struck: bool,
    is_limited: bool,
}

impl LoadMapping<'_> {
    /// Whether there is anything to map.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn check(&self) -> Result<(), MapError> {
        if self.blueprint.loads.is_empty() {
            return Err(MapError::NoLoad);
        }
        if self.trigger.faults.is_empty() {
            return Err(MapError::NoTrigger);
        }
        if let Some(fault) = self.trigger.faults.iter().find(|fault| is_endless(fault)) {
            return Err(MapError::Endless(fault.name.clone()));
        }
        let is_too_long = |length_ppm| self.triggered(length_ppm).1 > HORIZON_MAX;
        if self.lengths().iter().any(|&length_ppm| is_too_long(length_ppm)) {
            return Err(MapError::TooLong);
        }
        Ok(())
    }

    /// Whether no fault of the trigger takes any time, so that all its lengths are one.
    pub fn is_momentary(&self) -> bool {
        self.trigger.faults.iter().all(|fault| fault.duration.is_none())
    }

    /// The loads of all runs added up, in parts per million of the scenario's: no map needs more.
    /// Of those that look for edges as many as there may be count, at the highest load.
    pub fn load_ppm_max(&self) -> u128 {
        let lengths = self.lengths().len() as u128;
        let gaps = self.loads_ppm.windows(2).map(|pair| pair[1] - pair[0]);
        let steps = gaps.max().unwrap_or_default().div_ceil(EDGE_PPM).max(1);
        let halvings = u128::from(steps.next_power_of_two().ilog2());
        let highest = u128::from(self.loads_ppm.last().copied().unwrap_or_default());
        let loads: u128 = self.loads_ppm.iter().map(|&load_ppm| u128::from(load_ppm)).sum();
        // With all lengths where what is stable ends, alone where what is borne ends.
        let cells = loads * (1 + lengths) + highest * halvings * (2 + lengths);
        cells * u128::from(self.run_count)
    }

    /// Draws the map of a scenario. `progress` may be called from any thread.
    ///
    /// What is not modelled and the warnings are known to whoever read the input, and added there.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    ///
    /// # Panics
    /// When Services need each other in a circle, of which no plan can be made.
    pub fn draw(
        &self,
        scenario: &str,
        progress: impl Fn(MapProgress) + Sync,
    ) -> Result<LoadMap, CampaignError> {
        let mut tried = Tried::default();
        self.try_alone(&self.loads_ppm, &mut tried, &progress)?;
        self.try_triggered(&self.loads_ppm, &mut tried, &progress)?;
        let stable = self.edge(LoadRegion::Stable, &mut tried, &progress)?;
        let borne = self.edge(LoadRegion::Vulnerable, &mut tried, &progress)?;
        let columns = self.loads_ppm.iter().map(|&load_ppm| LoadMapColumn {
            load_ppm,
            region: self.region(&tried, load_ppm),
            alone: tried.alone[&load_ppm].clone(),
        });
        let row = |(idx, &length_ppm): (usize, &u32)| {
            let of_load = |load_ppm| Some(tried.triggered.get(load_ppm)?[idx].clone());
            LoadMapRow { length_ppm, cells: self.loads_ppm.iter().map(of_load).collect() }
        };
        Ok(LoadMap {
            scenario: scenario.to_owned(),
            root_seed: self.root_seed,
            run_count: u64::from(self.run_count),
            share_ppm: self.share_ppm,
            within_ns: self.within.as_nanos(),
            mean_millirps: self.mean_millirps(),
            trigger: self.trigger.faults.iter().map(|fault| fault.name.clone()).collect(),
            limited_count: tried.cells().map(|cell| cell.limited_count).sum(),
            stable_up_to: stable,
            borne_up_to: borne,
            columns: columns.collect(),
            rows: self.lengths().iter().enumerate().map(row).collect(),
            assumptions: crate::result::assumptions(self.blueprint),
            not_modelled: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Requests per 1000 s that clients of the scenario ask for in the mean.
    fn mean_millirps(&self) -> u64 {
        let plan = self.plan(Try { load_ppm: 1_000_000, length_ppm: None });
        let count = u128::from(plan.client_request_count());
        let nanos = u128::from(plan.horizon().as_nanos()).max(1);
        u64::try_from(count * 1_000 * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// The lengths of the trigger that differ.
    fn lengths(&self) -> &[u32] {
        if self.is_momentary() { &[1_000_000] } else { &self.lengths_ppm }
    }

    /// Tries loads without the trigger, those that were not tried yet.
    fn try_alone(
        &self,
        loads_ppm: &[u32],
        tried: &mut Tried,
        progress: &(impl Fn(MapProgress) + Sync),
    ) -> Result<(), CampaignError> {
        let is_new = |load_ppm: &u32| !tried.alone.contains_key(load_ppm);
        let new: Vec<u32> = loads_ppm.iter().copied().filter(is_new).collect();
        let tries: Vec<Try> =
            new.iter().map(|&load_ppm| Try { load_ppm, length_ppm: None }).collect();
        tried.alone.extend(new.into_iter().zip(self.cells(&tries, progress)?));
        Ok(())
    }

    /// Tries loads with every length of the trigger, those that are borne and were not tried yet.
    fn try_triggered(
        &self,
        loads_ppm: &[u32],
        tried: &mut Tried,
        progress: &(impl Fn(MapProgress) + Sync),
    ) -> Result<(), CampaignError> {
        let is_new = |load_ppm: &u32| {
            self.is_all_well(&tried.alone[load_ppm]) && !tried.triggered.contains_key(load_ppm)
        };
        let new: Vec<u32> = loads_ppm.iter().copied().filter(is_new).collect();
        let lengths = self.lengths();
        let tries: Vec<Try> = new
            .iter()
            .flat_map(|&load_ppm| {
                lengths.iter().map(move |&length| Try { load_ppm, length_ppm: Some(length) })
            })
            .collect();
        let cells = self.cells(&tries, progress)?;
        let by_load = cells.chunks(lengths.len().max(1)).map(<[LoadMapCell]>::to_vec);
        tried.triggered.extend(new.into_iter().zip(by_load));
        Ok(())
    }

    fn is_all_well(&self, cell: &LoadMapCell) -> bool {
        cell.well_count == u64::from(self.run_count)
    }

    /// What a load is; borne loads of which no trigger was tried count as stable.
    fn region(&self, tried: &Tried, load_ppm: u32) -> LoadRegion {
        let mut triggered = tried.triggered.get(&load_ppm).into_iter().flatten();
        if !self.is_all_well(&tried.alone[&load_ppm]) {
            LoadRegion::Overloaded
        } else if triggered.all(|cell| self.is_all_well(cell)) {
            LoadRegion::Stable
        } else {
            LoadRegion::Vulnerable
        }
    }

    /// The highest load up to which no load is worse than `region`, and the next one that is.
    fn edge(
        &self,
        region: LoadRegion,
        tried: &mut Tried,
        progress: &(impl Fn(MapProgress) + Sync),
    ) -> Result<LoadEdge, CampaignError> {
        let loads = &self.loads_ppm;
        let worse = loads.iter().position(|&load_ppm| self.region(tried, load_ppm) > region);
        let Some(worse) = worse else {
            return Ok(LoadEdge { up_to_ppm: loads.last().copied(), below_ppm: None });
        };
        let mut high = loads[worse];
        let Some(mut low) = worse.checked_sub(1).map(|idx| loads[idx]) else {
            return Ok(LoadEdge { up_to_ppm: None, below_ppm: Some(high) });
        };
        while high - low > EDGE_PPM {
            let steps = (high - low).div_ceil(EDGE_PPM);
            let middle = low + steps / 2 * EDGE_PPM;
            self.try_alone(&[middle], tried, progress)?;
            // No trigger makes a load one that is not borne.
            if region < LoadRegion::Vulnerable {
                self.try_triggered(&[middle], tried, progress)?;
            }
            if self.region(tried, middle) > region {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(LoadEdge { up_to_ppm: Some(low), below_ppm: Some(high) })
    }

    /// Makes all runs of all cells.
    fn cells(
        &self,
        tries: &[Try],
        progress: &(impl Fn(MapProgress) + Sync),
    ) -> Result<Vec<LoadMapCell>, CampaignError> {
        let run_count = u64::from(self.run_count);
        let count = run_count * tries.len() as u64;
        progress(MapProgress::Planned(count));
        let plans: Vec<Plan> = tries.iter().map(|one| self.plan(*one)).collect();
        let subjects: Vec<Subjects> = plans.iter().map(|plan| self.subjects(plan)).collect();
        let outcomes = in_order(count, self.thread_count, |number| {
            let idx = usize::try_from(number / run_count).expect("cells are few");
            let outcome = self.one(&plans[idx], &subjects[idx], number % run_count);
            progress(MapProgress::Made);
            outcome
        })?;
        let runs = usize::try_from(run_count).expect("runs are counted in 32 bits");
        Ok(outcomes.chunks(runs).map(|outcomes| self.cell(outcomes)).collect())
    }

    fn subjects(&self, plan: &Plan) -> Subjects {
        let nothing_else = Subjects::new(plan.blueprint(), plan.faults(), &[]);
        let services = plan.blueprint().loads.iter().map(|load| load.service);
        services.fold(nothing_else, |all, service| all.with_settling(service, self.share_ppm))
    }

    fn one(&self, plan: &Plan, subjects: &Subjects, run: u64) -> Outcome {
        let (monitor, end) = plan.run(self.root_seed, run, Monitor::new(subjects));
        let is_complete = end.outcome.is_complete();
        let ended_at = if is_complete { plan.horizon() } else { end.outcome.at() };
        let measures = monitor.finish(ended_at);
        Outcome {
            has_struck: measures.is_stressed(),
            is_limited: !is_complete,
            settled: measures
                .settled
                .into_iter()
                .map(|((service, _), took)| (service, took.filter(|took| *took <= self.within)))
                .collect(),
        }
    }

    fn cell(&self, outcomes: &[Outcome]) -> LoadMapCell {
        let is_well = |outcome: &Outcome| {
            !outcome.is_limited && outcome.settled.values().all(Option::is_some)
        };
        let count = |is_it: &dyn Fn(&Outcome) -> bool| {
            outcomes.iter().filter(|outcome| is_it(outcome)).count() as u64
        };
        let well = outcomes.iter().filter(|outcome| is_well(outcome));
        let longest = well.flat_map(|outcome| outcome.settled.values().flatten()).max();
        let mut down_by_service: BTreeMap<ServiceId, u64> = BTreeMap::new();
        for outcome in outcomes {
            let down = outcome.settled.iter().filter(|(_, took)| took.is_none());
            down.for_each(|(service, _)| *down_by_service.entry(*service).or_default() += 1);
        }
        LoadMapCell {
            well_count: count(&is_well),
            struck_count: count(&|outcome| outcome.has_struck),
            limited_count: count(&|outcome| outcome.is_limited),
            longest_ns: longest.map(|span| span.as_nanos()),
            down: down_by_service.keys().map(|id| self.blueprint.service_name(*id)).collect(),
        }
    }

    fn plan(&self, one: Try) -> Plan {
        let mut blueprint = self.blueprint.clone();
        for point in blueprint.loads.iter_mut().flat_map(|load| &mut load.points) {
            point.rate_millirps = scaled(point.rate_millirps, one.load_ppm);
        }
        let (faults, horizon) = match one.length_ppm {
            Some(length_ppm) => self.triggered(length_ppm),
            None => (FaultPlan::default(), self.horizon),
        };
        Plan::new(blueprint, faults, horizon)
            .expect("the scenario's own plan was made of the same Services")
            .with_fidelity(self.fidelity)
    }

    /// The trigger of a length, and how long a run with it lasts.
    fn triggered(&self, length_ppm: u32) -> (FaultPlan, SimSpan) {
        let mut faults = self.trigger.clone();
        let mut horizon = self.horizon;
        for fault in &mut faults.faults {
            let stated = fault.duration.unwrap_or_default();
            let length = SimSpan::from_nanos(scaled(stated.as_nanos(), length_ppm));
            fault.duration = fault.duration.map(|_| length);
            let ends_at = match fault.start {
                Start::At(at) | Start::Within(_, at) => (at - SimTime::ZERO).saturating_add(length),
                // When it starts is not known; the scenario leaves it time for its own length.
                Start::When { .. } => self.horizon.saturating_add(length.saturating_sub(stated)),
            };
            horizon = horizon.max(ends_at.saturating_add(self.within));
        }
        (faults, horizon)
    }
}

/// What became of the loads that were tried, in the columns of the map and between them.
#[derive(Debug, Default)]
struct Tried {
    alone: BTreeMap<u32, LoadMapCell>,
    /// By length of the trigger; none where the load is not borne.
    triggered: BTreeMap<u32, Vec<LoadMapCell>>,
}

impl Tried {
    fn cells(&self) -> impl Iterator<Item = &LoadMapCell> {
        self.alone.values().chain(self.triggered.values().flatten())
    }
}

fn scaled(amount: u64, ppm: u32) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(ppm) / 1_000_000).unwrap_or(u64::MAX)
}

/// Whether what a fault does goes on to the end of the run.
fn is_endless(fault: &Fault) -> bool {
    let is_momentary = match &fault.kind {
        FaultKind::PodCrash { .. }
        | FaultKind::Action(_)
        | FaultKind::Data(_)
        | FaultKind::CacheCold { .. }
        | FaultKind::BalancerMachineLoss { .. } => true,
        FaultKind::ControlPlane(kind) => matches!(kind, ControlPlaneFault::LeaderKill(_)),
        FaultKind::Instance(fault) => fault.what == InstanceHarm::VolumeDestroyed,
        FaultKind::ZonePowerLoss { .. }
        | FaultKind::ZoneIsolation { .. }
        | FaultKind::NodeCrash { .. }
        | FaultKind::NodeShutdown { .. }
        | FaultKind::MemoryLeak { .. }
        | FaultKind::UsageLeak { .. }
        | FaultKind::NoCapacity { .. }
        | FaultKind::Storage(_)
        | FaultKind::Dns { .. }
        | FaultKind::SlowDns { .. }
        | FaultKind::LoadSpike { .. } => false,
    };
    fault.duration.is_none() && !is_momentary
}
