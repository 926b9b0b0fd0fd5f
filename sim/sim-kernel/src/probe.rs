//! Probes: proof that a campaign reached the rare branches.
//!
//! Promises: a probe never changes a result; hits are counted exactly and per run, by the
//! recorder, so that runs in several threads share nothing and a run without a counting
//! recorder pays nothing; the probes of a crate are one declared list, so those never hit
//! can be named.
//!
//! ```
//! use sim_kernel::{Causes, NoRecorder, ProbeCounter, ProbeHits};
//!
//! mod rare {
//!     sim_kernel::declare_probes! {
//!         BUDGET_BLOCKED = "a budget blocked an eviction",
//!         SCORE_TIED = "two nodes scored alike",
//!     }
//! }
//!
//! // A model says `ctx.hit(&rare::BUDGET_BLOCKED)`, which ends here:
//! let mut run = ProbeCounter::new(NoRecorder);
//! run.hit(&rare::BUDGET_BLOCKED);
//!
//! let mut campaign = ProbeHits::default();
//! campaign.merge(&run.into_parts().1);
//! assert_eq!(campaign.count(&rare::BUDGET_BLOCKED), 1);
//! let never_hit = campaign.never_hit(rare::ALL);
//! assert_eq!(never_hit[0].description(), "two nodes scored alike");
//! ```

use crate::agenda::EventId;
use crate::journal::{Causes, EventRecord, EventRecorder, Recorder};
use crate::time::SimTime;

/// A named rare branch. Declared by [`declare_probes!`](crate::declare_probes); there is one
/// of each, and two are the same when they lie at the same place.
#[derive(Debug)]
pub struct Probe {
    module: &'static str,
    description: &'static str,
}

impl Probe {
    /// A probe. Made by [`declare_probes!`](crate::declare_probes).
    pub const fn new(module: &'static str, description: &'static str) -> Self {
        Probe { module, description }
    }

    /// The module that declares it, such as `model_kube::rare`.
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The crate that declares it, with hyphens: `model-kube`.
    pub fn crate_name(&self) -> String {
        let name = self.module.split("::").next().unwrap_or(self.module);
        name.replace('_', "-")
    }

    /// What happens in that branch, as a past fact.
    pub const fn description(&self) -> &'static str {
        self.description
    }
}

/// How often each probe was hit, in one run or in many.
#[derive(Clone, Debug, Default)]
pub struct ProbeHits {
    /// In the order of the first hit. Short: a run reaches few rare branches.
    counts: Vec<(&'static Probe, u64)>,
}

impl ProbeHits {
    /// Counts one hit.
    #[inline(never)]
    pub fn hit(&mut self, probe: &'static Probe) {
        self.add(probe, 1);
    }

    fn add(&mut self, probe: &'static Probe, hit_count: u64) {
        match self.counts.iter_mut().find(|(known, _)| std::ptr::eq(*known, probe)) {
            Some((_, count)) => *count += hit_count,
            None => self.counts.push((probe, hit_count)),
        }
    }

    /// Adds the hits of another run.
    pub fn merge(&mut self, other: &Self) {
        for (probe, hit_count) in &other.counts {
            self.add(probe, *hit_count);
        }
    }

    /// Hits of one probe.
    pub fn count(&self, probe: &'static Probe) -> u64 {
        let found = self.counts.iter().find(|(known, _)| std::ptr::eq(*known, probe));
        found.map_or(0, |(_, count)| *count)
    }

    /// Those of `probes` that were never hit, in their order.
    pub fn never_hit(&self, probes: &[&'static Probe]) -> Vec<&'static Probe> {
        probes.iter().copied().filter(|probe| self.count(probe) == 0).collect()
    }
}

/// A recorder that counts hits of probes and leaves all else to another one.
#[derive(Clone, Debug, Default)]
pub struct ProbeCounter<R> {
    recorder: R,
    hits: ProbeHits,
}

impl<R> ProbeCounter<R> {
    /// Counts from nought.
    pub fn new(recorder: R) -> Self {
        ProbeCounter { recorder, hits: ProbeHits::default() }
    }

    /// The other recorder, and what was counted.
    pub fn into_parts(self) -> (R, ProbeHits) {
        (self.recorder, self.hits)
    }
}

impl<R: Causes> Causes for ProbeCounter<R> {
    type Link = R::Link;

    #[inline]
    fn hit(&mut self, probe: &'static Probe) {
        self.hits.hit(probe);
    }
}

impl<O, R: Recorder<O>> Recorder<O> for ProbeCounter<R> {
    const RECORDS: bool = R::RECORDS;

    #[inline]
    fn observe(&mut self, at: SimTime, cause: EventId, observation: O) {
        self.recorder.observe(at, cause, observation);
    }
}

impl<E, R: EventRecorder<E>> EventRecorder<E> for ProbeCounter<R> {
    #[inline]
    fn event(&mut self, record: EventRecord<E>) {
        self.recorder.event(record);
    }
}

/// Declares probes in the present module, and a list `ALL` of them.
/// See the [`Probe`] type; a model counts one with [`Context::hit`](crate::Context::hit).
#[macro_export]
macro_rules! declare_probes {
    ($($name:ident = $description:literal),* $(,)?) => {
        $(
            #[doc = concat!("Counts that ", $description, ".")]
            pub static $name: $crate::Probe = $crate::Probe::new(module_path!(), $description);
        )*
        /// Every probe declared here, in the order of declaration.
        pub static ALL: &[&$crate::Probe] = &[$(&$name),*];
    };
}
