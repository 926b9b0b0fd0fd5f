//! The runs of a campaign and their fold.

use std::collections::BTreeMap;

use model_api::guarantee::{DataPromise, Guarantee, Promise, Subject};
use model_api::{Observation, ServiceId};
use platform::{Event, Plan, RunEnd, TakeoverTrials, World};
use rayon::prelude::*;
use report_data::{Explanation, ScenarioResult};
use sim_check::{GuaranteeJudgement, Monitor, RunMeasures, Story, Subjects, Verdict, judge};
use sim_kernel::{Divergence, Journal, ProbeCounter, ProbeHits, StableHasher, lockstep};
use std::hash::Hasher as _;

use crate::result;

/// A plan, what it must keep, and how often it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Campaign<'a> {
    /// What is run.
    pub plan: &'a Plan,
    /// What must hold.
    pub guarantees: &'a [Guarantee],
    /// Seed of all luck.
    pub root_seed: u64,
    /// How many runs.
    pub run_count: u32,
    /// Threads; all cores when `None`. No result depends on it.
    pub thread_count: Option<usize>,
    /// Every run is made twice and compared event by event.
    pub is_paranoid: bool,
}

/// Why a campaign has no result.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// Two executions of one run differ.
    #[error("run {run} is not deterministic: {divergence}")]
    NonDeterministic {
        /// The run.
        run: u64,
        /// The first difference, in words.
        divergence: String,
    },
    /// The operating system gives no threads.
    #[error("failed to start threads: {0}")]
    Threads(String),
    /// The figures of all runs would take more than [`MEMORY_BYTES_MAX`].
    #[error(
        "{run_count} runs are too many: figures of each are kept for the report, about {bytes_each} \
         bytes of this input, and {} GiB are kept at most: ask for fewer runs, at most -n {run_count_max}",
        MEMORY_BYTES_MAX >> 30
    )]
    TooManyRuns {
        /// What was asked for.
        run_count: u64,
        /// What a run takes.
        bytes_each: u64,
        /// How many would do.
        run_count_max: u64,
    },
}

/// Most memory that the figures of a campaign may take, by an estimate made before any run. A report
/// holds the figures of every run, so that two of them can be compared run by run; what is beyond
/// this would end in the hands of the operating system, after hours and without a word.
pub const MEMORY_BYTES_MAX: u64 = 8 << 30;

/// Refuses runs whose figures would not fit.
fn refuse_too_many(run_count: u64, bytes_each: u64) -> Result<(), CampaignError> {
    let run_count_max = MEMORY_BYTES_MAX / bytes_each.max(1);
    if run_count <= run_count_max {
        return Ok(());
    }
    Err(CampaignError::TooManyRuns { run_count, bytes_each, run_count_max })
}

/// Makes many things in parallel, each from its number alone, and returns them in the order of their
/// numbers: threads change no byte of a result.
///
/// # Errors
/// When the operating system gives no threads, or so many things cannot be kept.
pub fn in_order<T: Send>(
    count: u64,
    thread_count: Option<usize>,
    make: impl Fn(u64) -> T + Send + Sync,
) -> Result<Vec<T>, CampaignError> {
    refuse_too_many(count, size_of::<T>() as u64)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(thread_count.unwrap_or(0))
        .build()
        .map_err(|error| CampaignError::Threads(error.to_string()))?;
    Ok(pool.install(|| (0..count).into_par_iter().map(make).collect()))
}

/// One run, folded.
struct Run {
    measures: RunMeasures,
    end: RunEnd,
    hits: ProbeHits,
}

impl Campaign<'_> {
    /// Makes all runs, judges them, explains what broke. `progress` is told after each run; it may
    /// be called from any thread.
    ///
    /// # Errors
    /// See [`CampaignError`].
    pub fn run(
        &self,
        naming: &result::Naming,
        progress: impl Fn() + Sync,
    ) -> Result<ScenarioResult, CampaignError> {
        refuse_too_many(self.run_count.into(), self.bytes_each())?;
        let subjects = Subjects::new(self.plan.blueprint(), self.plan.faults(), self.guarantees);
        let trials = self.takeover_trials();
        let runs = in_order(u64::from(self.run_count), self.thread_count, |run| {
            let made = self.one(run, &subjects, &trials);
            progress();
            made
        })?;
        let (mut measures, mut ends, mut hits) = (Vec::new(), Vec::new(), ProbeHits::default());
        for run in runs {
            let run = run?;
            measures.push(run.measures);
            ends.push(run.end);
            hits.merge(&run.hits);
        }
        let judgements: Vec<GuaranteeJudgement> = self
            .guarantees
            .iter()
            .map(|guarantee| judge(guarantee, &measures, self.plan.blueprint()))
            .collect();
        let mut explanations = self.explanations(&judgements, &measures);
        let judged: Vec<(GuaranteeJudgement, Option<Explanation>)> = judgements
            .into_iter()
            .enumerate()
            .map(|(idx, judgement)| (judgement, explanations.remove(&idx)))
            .collect();
        let mut digest = StableHasher::default();
        for end in &ends {
            digest.write_u64(end.digest);
        }
        Ok(result::scenario(self, naming, &measures, &ends, &hits, judged, digest.finish()))
    }

    /// About what the figures of a run take, those of the report and its text among them. Measured on
    /// shipped scenarios; what a run adds for each outage in it is little beside it.
    fn bytes_each(&self) -> u64 {
        let blueprint = self.plan.blueprint();
        let of = |count: usize, bytes: u64| count as u64 * bytes;
        2048 + of(blueprint.services.len(), 256)
            + of(blueprint.databases.len(), 1024)
            + of(blueprint.protection.data_sets.len(), 1024)
            + of(blueprint.pools.len(), 512)
            + of(self.plan.faults().faults.len(), 64)
            + of(self.guarantees.len(), 128)
    }

    /// Strikes that a live copy outlives, of which something is promised about how soon it takes over.
    fn takeover_trials(&self) -> Vec<TakeoverTrials> {
        let promised = self.guarantees.iter().filter_map(|guarantee| match guarantee.promise {
            Promise::Data { data_set, promise: DataPromise::Back { class, .. } } => {
                Some((data_set, class))
            }
            _ => None,
        });
        let mut promised: Vec<_> = promised.collect();
        promised.sort_unstable();
        promised.dedup();
        let trials = promised.into_iter();
        trials.filter_map(|(set, class)| TakeoverTrials::new(self.plan, set, class)).collect()
    }

    fn one(
        &self,
        run: u64,
        subjects: &Subjects,
        trials: &[TakeoverTrials],
    ) -> Result<Run, CampaignError> {
        if self.is_paranoid {
            self.compare(run)?;
        }
        let recorder = ProbeCounter::new(Monitor::new(subjects));
        let (recorder, end) = self.plan.run(self.root_seed, run, recorder);
        let (monitor, hits) = recorder.into_parts();
        // A run in which nothing is left to happen still lasts to its horizon.
        let end_at = if end.outcome.is_complete() { self.plan.horizon() } else { end.outcome.at() };
        let mut measures = monitor.finish(end_at);
        for trial in trials {
            let data = &mut measures.data[trial.data_set().index()];
            let takes_over = data.exposure(trial.class()).is_some_and(|it| it.takes_over);
            if takes_over && let Some(found) = trial.run(self.root_seed, run) {
                data.note_takeover(trial.class(), (found.longest, found.at), found.slack);
            }
        }
        Ok(Run { measures, end, hits })
    }

    /// Makes a run twice, one with a full journal, and compares event by event: recording must not
    /// change what happens either.
    fn compare(&self, run: u64) -> Result<(), CampaignError> {
        let recorded = Journal::<Event, Observation>::new();
        let mut first = self.plan.simulation(self.root_seed, run, recorded);
        let mut second = self.plan.simulation(self.root_seed, run, sim_kernel::NoRecorder);
        match lockstep(&mut first, &mut second, self.plan.horizon()) {
            Ok(_) => Ok(()),
            Err(divergence) => {
                Err(CampaignError::NonDeterministic { run, divergence: describe(&divergence) })
            }
        }
    }

    /// Makes a run again with a journal of everything.
    pub fn replay(&self, run: u64) -> (Journal<Event, Observation>, RunEnd) {
        self.plan.run(self.root_seed, run, Journal::new())
    }

    /// Explains the worst runs of the guarantees that did not hold, by position. A run that is the worst of
    /// many is made again once, and one journal is in memory at a time.
    fn explanations(
        &self,
        judgements: &[GuaranteeJudgement],
        measures: &[RunMeasures],
    ) -> BTreeMap<usize, Explanation> {
        let mut broken: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (idx, judgement) in judgements.iter().enumerate() {
            if matches!(judgement.verdict, Verdict::Violated | Verdict::Unwinnable)
                && let Some(run) = judgement.worst_run
            {
                broken.entry(run).or_default().push(idx);
            }
        }
        let mut explanations = BTreeMap::new();
        for (run, positions) in broken {
            let (journal, _) = self.replay(run);
            let story = Story::new(&journal, self.plan.blueprint(), self.plan.faults());
            let measures = &measures[usize::try_from(run).expect("runs are counted in 32 bits")];
            for idx in positions {
                let explanation = self.explain(&self.guarantees[idx], run, &story, measures);
                explanations.extend(explanation.map(|it| (idx, it)));
            }
        }
        explanations
    }

    /// Explains how a run broke a guarantee.
    fn explain(
        &self,
        guarantee: &Guarantee,
        run: u64,
        story: &Story<'_, Event>,
        measures: &RunMeasures,
    ) -> Option<Explanation> {
        let of_service = |service: ServiceId| {
            let outage = measures.services[service.index()].longest_outage()?;
            Some(story.outage(run, service, outage))
        };
        match &guarantee.promise {
            Promise::Availability { service, .. }
            | Promise::AvailabilityIn { service, .. }
            | Promise::BudgetBurn { service, .. }
            | Promise::Alert { service, .. }
            | Promise::Returns { service, .. }
            | Promise::Rto { subject: Subject::Service(service), .. } => of_service(*service),
            Promise::Latency { service, quantile_ppm, limit, .. } => {
                story.slow(run, *service, *quantile_ppm, limit)
            }
            Promise::StaticallyStable { service, .. } => {
                story.frozen(run, *service, measures.services[service.index()].longest_outage())
            }
            Promise::Rto { subject: Subject::Database(wanted), .. } => {
                story.write_outage(run, *wanted, self.plan.horizon())
            }
            Promise::Rpo { database: wanted, .. } => story.first(run, |seen| {
                matches!(seen, Observation::CommitsLost { database, .. } if database == wanted)
            }),
            Promise::Completes { fault, .. } => {
                story.completion(run, *fault, self.plan.horizon())
            }
            Promise::JobCompletes { workload, .. } => story.job(run, *workload),
            Promise::Never(predicate) => {
                story.first(run, |seen| sim_check::breaks(predicate, seen))
            }
            Promise::Data { data_set, promise } => match promise {
                DataPromise::Loss { class, .. } | DataPromise::Restorable { class } => {
                    let seen = measures.data[data_set.index()].exposure(*class)?;
                    let worst = (seen.loss_max, seen.loss_max_at);
                    Some(story.exposure(run, *data_set, *class, true, worst))
                }
                DataPromise::Back { class, .. } => {
                    let seen = measures.data[data_set.index()].exposure(*class)?;
                    let worst = (seen.back_max, seen.back_max_at);
                    Some(story.exposure(run, *data_set, *class, false, worst))
                }
                DataPromise::Residency { jurisdiction } => {
                    Some(story.stray(run, *data_set, jurisdiction))
                }
                DataPromise::Retention { .. } => None,
            },
            Promise::Cel { source } => {
                let blamed = sim_check::blamed(source, measures, self.plan.blueprint());
                let end = self.plan.horizon();
                blamed.into_iter().find_map(|it| story.figure(run, it, measures, end))
            }
            Promise::Always(_) | Promise::Sometimes(_) | Promise::StartsFrom { .. } => None,
        }
    }
}

fn describe(divergence: &Divergence<Event>) -> String {
    format!("{divergence:?}")
}

const _: fn() = || {
    fn is_sync<T: Sync>() {}
    is_sync::<Plan>();
    is_sync::<World>();
};
