//! Everybody lists anew: what a crowd of watchers costs when the API answers again.
//!
//! # Modelled
//! When the API answers again, every kubelet lists what concerns it and every proxy lists the
//! endpoints of all Services, at the API servers that are ready by then. Priority and fairness lets
//! so many of them through at once ([`crate::priority_and_fairness`]); the rest waits or is refused
//! and tries again. What a kubelet learns, and when a proxy whose watch was lost knows endpoints, is that
//! much later.
//! # Not modelled
//! A crowd of controllers (their caches have a time of their own). A flood beside a crowd
//! ([`super::overload`]). API servers that become ready while a crowd waits.
//! # Defaults and their sources
//! [`LIST_LEAST`] and [`LIST_EACH`]. **Assumption.**
//! # Invariants
//! A crowd that all gets its seats at once changes nothing: the first answers are part of the second
//! in which watches are back.
//! # Checked against
//! `tests/it/control_plane.rs`.

use model_api::Observation;
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::{Cluster, KubeEvent};
use crate::priority_and_fairness::{Crowd, Level, Limits, disperse};
use crate::rare;

/// What a list takes, however short.
pub(super) const LIST_LEAST: SimSpan = SimSpan::from_millis(20);
/// What each object of it takes besides.
pub(super) const LIST_EACH: SimSpan = SimSpan::from_micros(50);
/// Lists of one kubelet: its pods, and the Services.
const LISTS_PER_KUBELET: u64 = 2;

/// How much later than in a small cluster watchers know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Relists {
    /// The last kubelet has its lists.
    kubelets_at: SimTime,
    /// The last proxy has its lists.
    proxies_at: SimTime,
}

impl Relists {
    /// How long a kubelet that lists now waits at most.
    pub(super) fn kubelets(self, now: SimTime) -> SimSpan {
        self.kubelets_at.saturating_since(now)
    }

    /// How long a proxy that lists now waits at most.
    pub(super) fn proxies(self, now: SimTime) -> SimSpan {
        self.proxies_at.saturating_since(now)
    }
}

impl Cluster {
    /// The API answers again: kubelets and proxies that run list anew.
    pub(super) fn begin_relists<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let nodes = self.nodes.iter().filter(|node| node.has_contact);
        let (count, pods) = nodes
            .fold((0_u64, 0), |(count, pods), node| (count + 1, pods.max(node.pods.len() as u64)));
        let services = self.services.len() as u64;
        let kubelets = Crowd {
            level: Level::System,
            requests: count * LISTS_PER_KUBELET,
            objects: services.max(pods),
            takes: LIST_LEAST + LIST_EACH * services.max(pods),
        };
        let proxies = Crowd {
            level: Level::WorkloadHigh,
            requests: count,
            objects: services,
            takes: LIST_LEAST + LIST_EACH * services,
        };
        let Some(servers) = self.ready_servers(ctx.now()) else { return };
        let limits = Limits::of(&self.blueprint.parameters);
        let [kubelets, proxies] = [kubelets, proxies].map(|crowd| {
            let dispersal = disperse(crowd, servers, limits);
            (dispersal.span.saturating_sub(crowd.takes), dispersal.refused)
        });
        let now = ctx.now();
        self.relists = Relists { kubelets_at: now + kubelets.0, proxies_at: now + proxies.0 };
        let span_ns = kubelets.0.max(proxies.0).as_nanos();
        if span_ns > 0 {
            ctx.hit(&rare::RELISTS_QUEUED);
            let refused = kubelets.1 + proxies.1;
            ctx.observe(|| Observation::RelistsQueued { clients: 2 * count, refused, span_ns });
        }
    }
}
