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

use model_api::fault::{ControlPlaneFault, Fault, FaultKind, FaultPlan, Start};
use model_api::{Blueprint, ServiceId};
use platform::{Fidelity, Plan};
use report_data::{LoadEdge, LoadMap, LoadMapCell, LoadMapColumn, LoadMapRow, LoadRegion};
use sim_check::{Monitor, Subjects};
use sim_kernel::{SimSpan, SimTime};

use crate::campaign::{CampaignError, in_order};

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
    /// Lengths of the trigger to try, in parts per million of the scenario's.
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
        match self.trigger.faults.iter().find(|fault| is_endless(fault)) {
            Some(fault) => Err(MapError::Endless(fault.name.clone())),
            None => Ok(()),
        }
    }

    /// Draws the map of a scenario. `progress` may be called from any thread.
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
        let columns = self.columns(&self.loads_ppm, &progress)?;
        let stable = self.edge(&columns, LoadRegion::Stable, &progress)?;
        let borne = self.edge(&columns, LoadRegion::Vulnerable, &progress)?;
        let mut rows: Vec<LoadMapRow> = self
            .lengths_ppm
            .iter()
            .map(|&length_ppm| LoadMapRow { length_ppm, cells: Vec::new() })
            .collect();
        for tried in &columns {
            for (row, cell) in rows.iter_mut().zip(&tried.triggered) {
                row.cells.push(cell.clone());
            }
        }
        Ok(LoadMap {
            scenario: scenario.to_owned(),
            root_seed: self.root_seed,
            run_count: u64::from(self.run_count),
            share_ppm: self.share_ppm,
            within_ns: self.within.as_nanos(),
            mean_millirps: self.mean_millirps(),
            trigger: self.trigger.faults.iter().map(|fault| fault.name.clone()).collect(),
            stable_up_to: stable,
            borne_up_to: borne,
            columns: columns.into_iter().map(|tried| tried.column).collect(),
            rows,
        })
    }

    /// Requests per 1000 s that clients of the scenario ask for in the mean.
    fn mean_millirps(&self) -> u64 {
        let plan = self.plan(Try { load_ppm: 1_000_000, length_ppm: None });
        let count = u128::from(plan.client_request_count());
        let nanos = u128::from(plan.horizon().as_nanos()).max(1);
        u64::try_from(count * 1_000 * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// Tries loads: untroubled first, with the trigger where they are borne.
    fn columns(
        &self,
        loads_ppm: &[u32],
        progress: &(impl Fn(MapProgress) + Sync),
    ) -> Result<Vec<Column>, CampaignError> {
        let alone: Vec<Try> =
            loads_ppm.iter().map(|&load_ppm| Try { load_ppm, length_ppm: None }).collect();
        let alone = self.cells(&alone, progress)?;
        let is_borne = |cell: &LoadMapCell| cell.well_count == u64::from(self.run_count);
        let troubled: Vec<Try> = loads_ppm
            .iter()
            .zip(&alone)
            .filter(|(_, alone)| is_borne(alone))
            .flat_map(|(&load_ppm, _)| {
                let lengths = self.lengths_ppm.iter();
                lengths.map(move |&length| Try { load_ppm, length_ppm: Some(length) })
            })
            .collect();
        let mut troubled = self.cells(&troubled, progress)?.into_iter();
        let columns = loads_ppm.iter().zip(alone).map(|(&load_ppm, alone)| {
            let is_borne = is_borne(&alone);
            let triggered: Vec<Option<LoadMapCell>> = self
                .lengths_ppm
                .iter()
                .map(|_| if is_borne { troubled.next() } else { None })
                .collect();
            let comes_back =
                triggered.iter().flatten().all(|it| it.well_count == u64::from(self.run_count));
            let region = match (is_borne, comes_back) {
                (false, _) => LoadRegion::Overloaded,
                (true, false) => LoadRegion::Vulnerable,
                (true, true) => LoadRegion::Stable,
            };
            Column { column: LoadMapColumn { load_ppm, region, alone }, triggered }
        });
        Ok(columns.collect())
    }

    /// The highest load up to which no load is worse than `region`, and the next one that is.
    fn edge(
        &self,
        columns: &[Column],
        region: LoadRegion,
        progress: &(impl Fn(MapProgress) + Sync),
    ) -> Result<LoadEdge, CampaignError> {
        let worse = columns.iter().position(|tried| tried.column.region > region);
        let load_at = |idx: usize| columns[idx].column.load_ppm;
        let Some(worse) = worse else {
            return Ok(LoadEdge {
                up_to_ppm: columns.last().map(|it| it.column.load_ppm),
                below_ppm: None,
            });
        };
        let (mut high, Some(mut low)) = (load_at(worse), worse.checked_sub(1).map(load_at)) else {
            return Ok(LoadEdge { up_to_ppm: None, below_ppm: Some(load_at(worse)) });
        };
        while high - low > EDGE_PPM {
            let steps = (high - low).div_ceil(EDGE_PPM);
            let middle = low + steps / 2 * EDGE_PPM;
            let tried = self.columns(&[middle], progress)?;
            if tried.iter().any(|tried| tried.column.region > region) {
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
        let mut faults = FaultPlan::default();
        let mut until = SimTime::ZERO + self.horizon;
        if let Some(length_ppm) = one.length_ppm {
            faults = self.trigger.clone();
            for fault in &mut faults.faults {
                let stated = fault.duration.unwrap_or_default();
                let length = SimSpan::from_nanos(scaled(stated.as_nanos(), length_ppm));
                fault.duration = fault.duration.map(|_| length);
                let ends_at = match fault.start {
                    Start::At(at) | Start::Within(_, at) => at + length,
                    // When it starts is not known; the scenario leaves it time for its own length.
                    Start::When { .. } => {
                        SimTime::ZERO + self.horizon + (length - length.min(stated))
                    }
                };
                until = until.max(ends_at + self.within);
            }
        }
        Plan::new(blueprint, faults, until - SimTime::ZERO)
            .expect("the scenario's own plan was made of the same Services")
            .with_fidelity(self.fidelity)
    }
}

/// A load that was tried.
struct Column {
    column: LoadMapColumn,
    /// By length of the trigger; none where the load is not borne.
    triggered: Vec<Option<LoadMapCell>>,
}

fn scaled(amount: u64, ppm: u32) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(ppm) / 1_000_000).unwrap_or(u64::MAX)
}

/// Whether what a fault does goes on to the end of the run.
fn is_endless(fault: &Fault) -> bool {
    let is_momentary = match &fault.kind {
        FaultKind::PodCrash { .. } | FaultKind::Action(_) | FaultKind::Data(_) => true,
        FaultKind::ControlPlane(kind) => matches!(kind, ControlPlaneFault::LeaderKill(_)),
        FaultKind::ZonePowerLoss { .. }
        | FaultKind::ZoneIsolation { .. }
        | FaultKind::NodeCrash { .. }
        | FaultKind::MemoryLeak { .. }
        | FaultKind::NoCapacity { .. }
        | FaultKind::LoadSpike { .. } => false,
    };
    fault.duration.is_none() && !is_momentary
}
