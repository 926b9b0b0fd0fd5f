//! Services whose readiness probe asks for a database: without it they leave the endpoints together,
//! although they could answer.
//!
//! Kong with a database is the known one: `/status/ready` opens a connection first
//! (`kong/status/ready.lua`, 3.x), while the proxy would go on with what it has cached.
//!
//! Simplified: only routing sees it. The pods stay ready for controllers and disruption budgets.

use model_api::{Blueprint, DatabaseId, ServiceId};
use sim_kernel::{SimSpan, Timer};

use crate::evaluation::Endpoints;

/// All such Services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    gates: Vec<Gate>,
}

/// A Service that is ready only while databases are.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) service: ServiceId,
    needs: Vec<DatabaseId>,
    fails_after: SimSpan,
    returns_after: SimSpan,
    /// Databases that it needs and that take no connections.
    away: Vec<DatabaseId>,
    pub(crate) is_shut: bool,
    /// What stands behind it, were it ready.
    pub(crate) behind: Endpoints,
    /// When its probes will have noticed the last change.
    pub(crate) timer: Timer,
    /// The state of its databases changed, and nobody waits for its probes yet.
    has_news: bool,
}

impl Gates {
    pub(crate) fn of(blueprint: &Blueprint) -> Self {
        let with_needs = blueprint.profiles.iter().filter(|it| !it.readiness.needs.is_empty());
        let with_pods = with_needs.flat_map(|profile| {
            let canaries = blueprint.canaries.iter().filter(|it| it.service == profile.service);
            let tried = canaries.map(|it| it.canary_service);
            [profile.service].into_iter().chain(tried).map(move |service| (service, profile))
        });
        let gates = with_pods.map(|(service, profile)| Gate {
            service,
            needs: profile.readiness.needs.clone(),
            fails_after: profile.readiness.fails_after,
            returns_after: profile.readiness.returns_after,
            away: Vec::new(),
            is_shut: false,
            behind: Endpoints::default(),
            timer: Timer::NONE,
            has_news: false,
        });
        Self { gates: gates.collect() }
    }

    pub(crate) fn get_mut(&mut self, idx: usize) -> &mut Gate {
        &mut self.gates[idx]
    }

    /// What callers find behind a Service of which this is told.
    pub(crate) fn pass(&mut self, service: ServiceId, endpoints: Endpoints) -> Endpoints {
        match self.gates.iter_mut().find(|gate| gate.service == service) {
            None => endpoints,
            Some(gate) => {
                gate.behind = endpoints;
                gate.shown()
            }
        }
    }

    pub(crate) fn set_writable(&mut self, database: DatabaseId, is_writable: bool) {
        for gate in self.gates.iter_mut().filter(|gate| gate.needs.contains(&database)) {
            let was_away = !gate.away.is_empty();
            gate.away.retain(|away| *away != database);
            if !is_writable {
                gate.away.push(database);
            }
            gate.has_news |= was_away == gate.away.is_empty();
        }
    }

    /// The gates whose probes begin to see something else, and how long that takes.
    pub(crate) fn take_news(&mut self) -> impl Iterator<Item = (usize, SimSpan)> + '_ {
        let news = |(idx, gate): (usize, &mut Gate)| {
            let delay = if gate.away.is_empty() { gate.returns_after } else { gate.fails_after };
            std::mem::take(&mut gate.has_news).then_some((idx, delay))
        };
        self.gates.iter_mut().enumerate().filter_map(news)
    }
}

impl Gate {
    /// The probes have noticed; returns what callers find from now on.
    pub(crate) fn turn(&mut self) -> Endpoints {
        self.is_shut = !self.away.is_empty();
        self.shown()
    }

    fn shown(&self) -> Endpoints {
        if self.is_shut { Endpoints::default() } else { self.behind }
    }
}
