//! Caches before calls: what the pods that hold them have of it.
//!
//! A cache in the memory of a pod is gone when its containers start again, and a pod that is new has none. One
//! that several pods hold loses the part of each that does. What is not there is called for, and comes back as
//! fast as these calls are answered: see [`model_load::caches`].
//!
//! # Simplified
//! While a cache fills, what is asked and answered is that of the start of each step, of flows in both
//! engines: in the mean of all who call the same Service.
//! # Modelled
//! Pods that crash, move, restart with their node or are rolled out; pods that are only cut off come back with
//! what they had. A fault that empties a cache.
//! # Not modelled
//! Stores of caches that write what they have to a disk, or to a replica: whoever starts has nothing.
//! # Defaults and their sources
//! None.
//! # Invariants
//! Where all pods have run from the start there is no event of this.
//! # Checked against
//! `tests/it/caches.rs`.

use model_api::path::Cache;
use model_api::{Blueprint, Observation, PodId, ServiceId};
use model_load::caches::Contents;
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::World;
use crate::event::Event;

/// A pod, as long as its containers run.
type Life = (PodId, SimTime);

/// A cache before a call.
#[derive(Clone, Debug)]
struct Cached {
    caller: ServiceId,
    /// Which of its calls.
    call: usize,
    callee: ServiceId,
    cache: Cache,
    /// What those who hold it have; unknown before the start.
    contents: Option<Contents<Life>>,
    seen_at: SimTime,
}

impl Cached {
    /// Whose pods hold it.
    fn holder(&self) -> ServiceId {
        self.cache.held_by.unwrap_or(self.caller)
    }
}

/// All caches before calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Caches {
    all: Vec<Cached>,
}

impl Caches {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let profiles = blueprint.profiles.iter();
        let all = profiles.flat_map(|profile| {
            profile.depends_on.iter().enumerate().filter_map(|(call, &callee)| {
                let cache = profile.policy(call).cache?;
                let (caller, contents, seen_at) = (profile.service, None, SimTime::ZERO);
                Some(Cached { caller, call, callee, cache, contents, seen_at })
            })
        });
        Self { all: all.collect() }
    }
}

impl World {
    /// Caches that a Service asks, or that its pods hold, lose a share of what they have; returns how many.
    pub(super) fn lose_caches<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        share_ppm: u32,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        let mut holders = Vec::new();
        for cached in &mut self.caches.all {
            if (cached.caller == service || cached.holder() == service)
                && let Some(contents) = &mut cached.contents
            {
                contents.lose(share_ppm);
                holders.push(cached.holder());
            }
        }
        let count = u32::try_from(holders.len()).expect("calls are limited far below 2^32");
        holders.dedup();
        for holder in holders {
            self.tell_flows(holder, ctx);
        }
        count
    }

    /// Tells the flows what caches have that pods of a Service hold; returns for how long that is so.
    pub(super) fn tell_caches(&mut self, service: ServiceId, now: SimTime) -> Option<SimSpan> {
        let mut next = None;
        for idx in 0..self.caches.all.len() {
            if self.caches.all[idx].holder() == service {
                let left = self.tell_cache(idx, now);
                next = next.into_iter().chain(left).min();
            }
        }
        next
    }

    fn tell_cache(&mut self, idx: usize, now: SimTime) -> Option<SimSpan> {
        let cached = &mut self.caches.all[idx];
        let cluster = &self.cluster;
        let life = |pod: PodId| (pod, cluster.pod(pod).started_at);
        let live = cluster.routes(cached.holder()).iter().filter(|route| route.is_live);
        let live: Vec<Life> = live.map(|route| life(route.pod)).collect();
        let runs = |(pod, since): Life| {
            let view = cluster.pod(pod);
            view.started_at == since && cluster.pods_of(view.workload).contains(&pod)
        };
        let contents = cached.contents.get_or_insert_with(|| Contents::full(cached.cache, &live));
        contents.advance(now.saturating_since(cached.seen_at).as_secs_f64());
        cached.seen_at = now;
        contents.hold(&live, runs);
        let asked = self.flows.traffic(cached.caller).map_or(0, |it| it.answered_millirps.0);
        let secs = contents.fill(asked, self.flows.answered_ppm(cached.callee));
        self.flows.set_needed(cached.caller, cached.call, contents.needed_ppm());
        secs.map(SimSpan::from_secs_f64_rounded)
    }
}
