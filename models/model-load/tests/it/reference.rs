//! The slow obvious answer: the flows of one instant in floating point, by recursion, from the
//! script alone.

use crate::world::{Act, Case};

/// Rates of one Service, per 1000 s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) offered: f64,
    pub(crate) served: f64,
}

/// Everything that was told up to an instant.
struct Told<'a> {
    case: &'a Case,
    secs: f64,
    endpoints: Vec<(f64, f64, f64)>,
    writable: Vec<bool>,
    factors: Vec<f64>,
    /// By gateway that asks others itself: the share that it passes on.
    passed: Vec<Option<f64>>,
}

/// Rounds until gateways pass on what is left after what they ask themselves.
const ROUND_COUNT: u32 = 40;

/// What a Service asks and serves at an instant at which nothing changes.
pub(crate) fn expected(case: &Case, millis: f64, service: usize) -> Expected {
    let mut told = Told::until(case, millis);
    told.settle();
    let node = &case.nodes[service];
    let mut offered = told.called(service) + told.through(service);
    let mut served = offered * told.answer(service);
    for (via, points) in &node.loads {
        let asked = told.rate(points) * told.factors[service];
        offered += asked;
        let gateway = via.map_or(1.0, |via| told.answer(via as usize));
        served += asked * gateway * told.answer(service);
    }
    Expected { offered, served }
}

/// Whether any Service is so near its capacity that its queue is full by chance now and then, of which
/// the reference knows nothing.
pub(crate) fn is_at_capacity(case: &Case, millis: f64) -> bool {
    let mut told = Told::until(case, millis);
    told.settle();
    (0..case.nodes.len()).any(|service| {
        let (ready, live, capacity) = told.endpoints[service];
        if live <= 0.0 || capacity <= 0.0 {
            return false;
        }
        let reached = told.arriving(service) * live / ready;
        let (small, large) = (reached.min(capacity), reached.max(capacity));
        // Room for what workers do in a second.
        reached > 0.0 && (capacity / 1000.0).round() * (1.0 - small / large) < 16.0
    })
}

impl<'a> Told<'a> {
    fn until(case: &'a Case, millis: f64) -> Self {
        let count = case.nodes.len();
        let mut told = Self {
            case,
            secs: millis / 1e3,
            endpoints: vec![(0.0, 0.0, 0.0); count],
            writable: vec![true; 8],
            factors: Vec::new(),
            passed: vec![None; count],
        };
        let start = case.start.iter().map(|&act| (0.0, act));
        let script = case.script.iter().map(|&(at, act)| (at as f64, act));
        // From, until and ramp of each factor, at its start.
        let mut ramps = vec![(1.0, 1.0, 0.0, 0.0); count];
        let value = |(from, until, start, span): (f64, f64, f64, f64), at: f64| {
            if at >= start + span { until } else { from + (until - from) * (at - start) / span }
        };
        for (at, act) in start.chain(script).filter(|&(at, _)| at <= millis) {
            match act {
                Act::Failing(..) | Act::Needed(..) | Act::Split(..) | Act::Deaths(..) => {
                    unreachable!("the reference knows no canaries, and no deaths")
                }
                Act::Entrance(..)
                | Act::Choice(..)
                | Act::Store(..)
                | Act::StorePart(..)
                | Act::TenantFactor(..)
                | Act::News(..)
                | Act::Inside(..)
                | Act::LookUp(..) => {
                    unreachable!("the reference knows no load balancers and gateways")
                }
                Act::Stations(..)
                | Act::Pool(..)
                | Act::Pods(..)
                | Act::Places(..)
                | Act::Outside(..) => {
                    unreachable!("the reference knows no zones")
                }
                Act::OnNodes(..) | Act::NodePlaces(..) | Act::Going(..) | Act::Fronts(..) => {
                    unreachable!("the reference knows no nodes")
                }
                Act::Endpoints(service, ready, live, capacity) => {
                    told.endpoints[service as usize] =
                        (f64::from(ready), f64::from(live), capacity as f64);
                }
                Act::Writable(database, is) => told.writable[database as usize] = is,
                Act::Factor(service, milli, secs) => {
                    let ramp = &mut ramps[service as usize];
                    let from = value(*ramp, at / 1e3);
                    *ramp = (from, milli as f64 / 1e3, at / 1e3, secs as f64);
                }
            }
        }
        told.factors = ramps.iter().map(|&ramp| value(ramp, told.secs)).collect();
        told
    }

    fn rate(&self, points: &[(u64, u64)]) -> f64 {
        let at = self.secs;
        let Some(next) = points.iter().position(|&(secs, _)| secs as f64 > at) else {
            return points.last().map_or(0.0, |&(_, rate)| rate as f64);
        };
        let (until, last) = points[next];
        let Some(&(from, first)) = next.checked_sub(1).map(|before| &points[before]) else {
            return last as f64;
        };
        let share = (at - from as f64) / (until - from) as f64;
        first as f64 + (last as f64 - first as f64) * share
    }

    /// Requests that other Services send.
    fn called(&self, service: usize) -> f64 {
        let callers = (0..self.case.nodes.len()).flat_map(|caller| {
            let calls = self.case.nodes[caller].calls.iter();
            calls.filter(move |&&callee| callee as usize == service).map(move |_| caller)
        });
        callers.map(|caller| self.arriving(caller) * self.pass(caller)).sum()
    }

    fn arriving(&self, service: usize) -> f64 {
        let loads = self.case.nodes[service].loads.iter();
        let outside = loads.map(|(via, points)| {
            let gateway = via.map_or(1.0, |via| self.passing(via as usize));
            self.rate(points) * self.factors[service] * gateway
        });
        outside.sum::<f64>() + self.called(service) + self.through(service)
    }

    /// Requests from outside for other Services.
    fn through(&self, gateway: usize) -> f64 {
        let nodes = self.case.nodes.iter().zip(&self.factors);
        let loads =
            nodes.flat_map(|(node, factor)| node.loads.iter().map(move |load| (load, factor)));
        let mine = loads.filter(|((via, _), _)| via.is_some_and(|via| via as usize == gateway));
        mine.map(|((_, points), factor)| self.rate(points) * factor).sum()
    }

    /// What a gateway passes on depends on what it is answered, which may depend on what it passes on.
    fn settle(&mut self) {
        let is_via = |idx: usize| {
            let mut loads = self.case.nodes.iter().flat_map(|node| &node.loads);
            loads.any(|(via, _)| via.is_some_and(|via| via as usize == idx))
        };
        let asks = |idx: usize| {
            let node = &self.case.nodes[idx];
            !node.calls.is_empty() || !node.databases.is_empty()
        };
        let count = self.case.nodes.len();
        let asking: Vec<usize> = (0..count).filter(|idx| is_via(*idx) && asks(*idx)).collect();
        for idx in &asking {
            self.passed[*idx] = Some(1.0);
        }
        for _ in 0..ROUND_COUNT {
            let found: Vec<f64> = asking.iter().map(|idx| self.answer(*idx)).collect();
            for (idx, found) in asking.iter().zip(found) {
                self.passed[*idx] = self.passed[*idx].map(|known| f64::midpoint(known, found));
            }
        }
    }

    fn passing(&self, gateway: usize) -> f64 {
        self.passed[gateway].unwrap_or_else(|| self.pass(gateway))
    }

    fn pass(&self, service: usize) -> f64 {
        let (ready, live, capacity) = self.endpoints[service];
        if ready == 0.0 {
            return 0.0;
        }
        let reached = self.arriving(service) * live / ready;
        live / ready * if reached > capacity { capacity / reached } else { 1.0 }
    }

    fn answer(&self, service: usize) -> f64 {
        let node = &self.case.nodes[service];
        let calls: f64 = node.calls.iter().map(|&callee| self.answer(callee as usize)).product();
        let is_written = node.databases.iter().all(|&database| self.writable[database as usize]);
        self.pass(service) * calls * f64::from(u8::from(is_written))
    }
}
