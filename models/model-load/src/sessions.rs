//! Clients that stay with a pod: which pod each of them has, and how that changes. Pure.
//!
//! # Modelled
//! - `sessionAffinity: ClientIP`: a client that proxies know keeps its endpoint until it has made no
//!   connection for as long as they remember it, or the endpoint is gone; any other client gets an endpoint
//!   by chance. So an endpoint that is new gets only clients that are new.
//! - Kong's `consistent-hashing`: a ring of as many places as it has `slots`; each pod has 160 of them, and
//!   each client belongs to the next pod below its hash. So a pod that is new gets a part of all clients.
//!   Requests that show nothing of what is hashed all belong to one pod.
//! - Kong's `sticky-sessions`: as the first, until the session ends.
//! - Clients that ask unequally often, the heaviest of them one by one; sessions that end.
//! - Addresses that clients share: behind a load balancer of Octavia proxies see one address on each node;
//!   calls of a Service, and of a gateway that leaves the choice to proxies, come from the addresses of its
//!   pods.
//! # Not modelled
//! Hashes of paths, queries and captures. Weights of targets. Simplified: clients keep to the node that they
//! came in at, whose proxy remembers them; users who wait for answers ask as often whichever pod they have;
//! where sessions end, the luck of those who come next is drawn once for each set of pods. A gateway
//! knows pods as proxies do, and checks nothing itself.
//! # Defaults and their sources
//! kube-proxy of Kubernetes 1.36: `-m recent --rcheck --seconds … --reap` before the random choice, and
//! `--set` in the chain of the endpoint (`pkg/proxy/iptables/proxier.go`), a set with `update … timeout` in
//! `pkg/proxy/nftables/proxier.go`; both only of endpoints that get traffic. Kong 3: 160 points a target,
//! counter-clockwise search (`kong/runloop/balancer/consistent_hashing.lua`); an unhealthy target is passed
//! over. Amphorae of Octavia 14 end connections and make others from their own address.
//! # Invariants
//! Shares sum to one while any pod is there. Who has a pod keeps it while it is there, unless hashes decide
//! or its session ends.
//! # Checked against
//! The expected share of each pod; the ring of Kong in the share that moves.

use model_api::Blueprint;
use model_api::blueprint::Division;
use model_api::load::Clients;
use model_api::session::{HashInput, Sessions, Stickiness};
use sim_kernel::{EntityKey, SimSpan, SimTime, Stream};

use crate::edges::{Caller, EdgeIdx, Edges};
use crate::graph::{Node, NodeIdx, NodeLoad};

/// Clients that are looked at one by one: those that ask most.
const TRACKED_MAX: u32 = 4096;
/// Clients whose shares are added up one by one.
const SUMMED_MAX: u32 = 20_000;
/// Points of a target on the ring of Kong, where all have the same weight.
const POINTS: u64 = 160;
/// The place of a client that has none.
const NOWHERE: u16 = u16::MAX;
/// What takes longer than any run does not happen.
const NEVER_SECS: f64 = 1e9;
/// Sessions of so few of all that would still move are as good as none.
const SETTLED: f64 = 0.005;

/// A call whose callers stay with a pod.
#[derive(Clone, Debug)]
pub(crate) struct Sticky {
    pub(crate) edge: EdgeIdx,
    pub(crate) rule: Rule,
    pub(crate) whose: Whose,
    /// Where what is remembered by place begins, among that of all such calls.
    pub(crate) at: usize,
    pub(crate) key: EntityKey,
}

/// How a pod is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// By chance, and then kept: for so long after the last request where there is an end to it.
    Kept(Option<SimSpan>),
    /// By a hash, on a ring of so many places.
    Hashed(u32),
}

/// Who stays.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// The clients of a source.
    Source(usize, Population),
    /// Machines of a load balancer, as each node sees them.
    Balancer(Population),
    /// The pods of a Service.
    Pods(NodeIdx),
}

/// Who stays with a pod, and how much each of them asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Population {
    /// Of those that are looked at one by one: their share of all requests.
    weights: Vec<f64>,
    /// The share of all others, which are spread as they come.
    rest: f64,
    /// How many they are in all, where that is known.
    count: Option<u32>,
    /// How long each of them stays the same.
    lasts: Option<SimSpan>,
    /// What their hashes follow from.
    key: EntityKey,
}

impl Population {
    /// So many, of these habits; spread as they come where it is not known how many.
    fn of(count: Option<u32>, sessions: Sessions, key: EntityKey) -> Self {
        let lasts = sessions.lasts;
        let Some(all) = count else {
            return Self { weights: Vec::new(), rest: 1.0, count, lasts, key };
        };
        let exponent = f64::from(sessions.skew_milli) / 1000.0;
        let weight = |number: u32| libm::pow(f64::from(number), -exponent);
        let whole = zipf_sum(all, exponent);
        let weights: Vec<f64> =
            (1..=all.min(TRACKED_MAX)).map(|number| weight(number) / whole).collect();
        let rest =
            if all > TRACKED_MAX { (1.0 - weights.iter().sum::<f64>()).max(0.0) } else { 0.0 };
        Self { weights, rest, count, lasts, key }
    }

    /// So many that ask alike and stay.
    pub(crate) fn even(count: u32, key: EntityKey) -> Self {
        Self::of(Some(count).filter(|count| *count > 0), Sessions::default(), key)
    }

    /// The share of one of those that are not looked at one by one.
    fn weight_of_rest(&self) -> Option<f64> {
        let others = self.count?.checked_sub(TRACKED_MAX).filter(|others| *others > 0)?;
        Some(self.rest / f64::from(others))
    }
}

/// Calls whose callers stay with a pod; they are told their number.
pub(crate) fn stickies(nodes: &[Node], edges: &mut Edges, blueprint: &Blueprint) -> Vec<Sticky> {
    let mut all: Vec<Sticky> = Vec::new();
    let mut at = 0;
    for idx in 0..edges.all.len() {
        let edge = &edges.all[idx];
        let callee = &nodes[edge.callee];
        if callee.division != Division::Pods || callee.stations.is_empty() || edge.is_denied {
            continue;
        }
        let is_from_gateway = matches!(edge.from, Caller::Gateway(_));
        let stickiness = blueprint.stickiness_of(callee.service, is_from_gateway);
        let load_of = |source: usize| {
            let source = &edges.sources[source];
            &nodes[source.service].loads[source.load]
        };
        let found = stickiness.and_then(|stickiness| match (edge.from, stickiness) {
            (Caller::Client(source), Stickiness::Address { timeout }) => {
                let whose = if edge.door.is_some() {
                    let is_member = |it: &&model_api::blueprint::NodeSpec| !it.is_control_plane;
                    let members = blueprint.nodes.iter().filter(is_member).count();
                    let members = u32::try_from(members).expect("nodes are limited far below 2^32");
                    Whose::Balancer(Population::even(members, edge.key))
                } else {
                    let load = load_of(source);
                    Whose::Source(source, of_load(load, HashInput::Address))
                };
                Some((Rule::Kept(Some(timeout)), whose))
            }
            (Caller::Gateway(source), Stickiness::Address { timeout }) => {
                let via = load_of(source).via?;
                Some((Rule::Kept(Some(timeout)), Whose::Pods(via)))
            }
            (Caller::Service(caller), Stickiness::Address { timeout }) => {
                Some((Rule::Kept(Some(timeout)), Whose::Pods(caller)))
            }
            (Caller::Gateway(source), Stickiness::Named) => {
                let whose = Whose::Source(source, of_load(load_of(source), HashInput::Cookie));
                Some((Rule::Kept(None), whose))
            }
            (Caller::Gateway(source), Stickiness::Hashed { by, fallback, slots }) => {
                let load = load_of(source);
                let shown = |input: &HashInput| {
                    *input != HashInput::Consumer || load.clients.tenant.is_some()
                };
                let input = by.filter(shown).or(fallback.filter(shown));
                let clients = match input {
                    Some(input) => of_load(load, input),
                    None => Population::even(1, EntityKey::of("nothing to hash")),
                };
                Some((Rule::Hashed(slots), Whose::Source(source, clients)))
            }
            _ => None,
        });
        let Some((rule, whose)) = found else { continue };
        let (key, count) = (edge.key, callee.stations.len());
        edges.all[idx].sticky = Some(all.len());
        all.push(Sticky { edge: idx, rule, whose, at, key });
        at += count;
    }
    all
}

/// The clients of a load, as far as this tells them apart.
fn of_load(load: &NodeLoad, input: HashInput) -> Population {
    let Clients { tenant, addresses, sessions, .. } = &load.clients;
    let one_by_one = match input {
        HashInput::Address => addresses.or(sessions.count),
        HashInput::Header | HashInput::Cookie => sessions.count.or(*addresses),
        HashInput::Consumer => {
            let name = tenant.as_deref().unwrap_or_default();
            return Population::even(1, EntityKey::of("tenant").child(name));
        }
    };
    Population::of(one_by_one, *sessions, load.key)
}

/// A place for a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodPlace {
    /// The pod that gets requests there, as a number that no other one has.
    pub(crate) pod: Option<u64>,
    /// Pods there: more than one where there are not enough places.
    pub(crate) ready_count: u32,
}

/// How clients and sessions come to an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turnover {
    /// Requests per second of all.
    pub(crate) rate: f64,
    /// How long after the last request a client is known.
    pub(crate) timeout: Option<SimSpan>,
}

impl Turnover {
    /// How often per second whoever makes this share of all requests gets another pod by chance: its
    /// session ends, or it was silent for so long that nobody knows it.
    fn of(self, weight: Option<f64>, lasts: Option<SimSpan>) -> f64 {
        let ends = lasts.map_or(0.0, |span| 1.0 / span.as_secs_f64().max(1e-9));
        let rate = weight.map_or(0.0, |weight| weight * self.rate);
        let forgotten = self.timeout.filter(|_| rate > 0.0);
        ends + forgotten.map_or(0.0, |it| rate * libm::exp(-rate * it.as_secs_f64()))
    }
}

/// Sessions that another pod took over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moved {
    /// Their share of all requests.
    pub(crate) share: f64,
    /// How many, of those that are counted.
    pub(crate) count: f64,
}

/// Which pod each client of a call has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    places: Vec<PodPlace>,
    /// By client: the place that it has, and that of whoever comes after it.
    now: Vec<u16>,
    next: Vec<u16>,
    /// By place: the share of the others.
    rest_now: Vec<f64>,
    rest_next: Vec<f64>,
    since: SimTime,
}

impl Bindings {
    /// Other pods are there from now on, or others ask.
    pub(crate) fn rebind(
        &mut self,
        places: &[PodPlace],
        population: &Population,
        (rule, turnover): (Rule, Turnover),
        now: SimTime,
        luck: &mut Stream,
    ) -> Moved {
        self.pass(population, turnover, now, luck);
        let mut moved = Moved::default();
        let is_kept = |place: usize| {
            places[place].pod.is_some()
                && self.places.get(place).is_some_and(|known| known.pod == places[place].pod)
        };
        let are_kept: Vec<bool> = (0..places.len()).map(is_kept).collect();
        let there: Vec<u16> = (0_u16..)
            .zip(places)
            .flat_map(|(place, it)| {
                std::iter::repeat_n(
                    place,
                    if it.pod.is_some() { it.ready_count as usize } else { 0 },
                )
            })
            .collect();
        let ring = match rule {
            Rule::Hashed(slots) => ring(places, slots),
            Rule::Kept(_) => Vec::new(),
        };
        self.now.resize(population.weights.len(), NOWHERE);
        for (client, place) in (0_u64..).zip(&mut self.now) {
            let before = *place;
            let stays = before != NOWHERE && are_kept[before as usize];
            *place = match rule {
                _ if there.is_empty() => NOWHERE,
                Rule::Hashed(_) => place_on(&ring, population.key.part(client).value()),
                Rule::Kept(_) if stays => before,
                Rule::Kept(_) => there[luck.draw().index(there.len())],
            };
            if before != NOWHERE && (!stays || *place != before) {
                moved.share += population.weights[usize::try_from(client).expect("it is a place")];
                moved.count += 1.0;
            }
        }
        moved = self.move_rest(population, (rule, &ring), &are_kept, &there, moved);
        self.next.clone_from(&self.now);
        self.rest_next.clone_from(&self.rest_now);
        if matches!(rule, Rule::Kept(_)) && !there.is_empty() {
            let rest = population.rest;
            self.rest_next = spread(rest, &there, places.len());
            for next in &mut self.next {
                *next = there[luck.draw().index(there.len())];
            }
        }
        self.places.clear();
        self.places.extend_from_slice(places);
        moved
    }

    /// The same of those that are not looked at one by one.
    fn move_rest(
        &mut self,
        population: &Population,
        (rule, ring): (Rule, &[u16]),
        are_kept: &[bool],
        there: &[u16],
        mut moved: Moved,
    ) -> Moved {
        if population.rest <= 0.0 {
            self.rest_now = vec![0.0; are_kept.len()];
            return moved;
        }
        self.rest_now.resize(are_kept.len(), 0.0);
        let kept = |(share, is_kept): (&f64, &bool)| if *is_kept { *share } else { 0.0 };
        let stays: Vec<f64> = self.rest_now.iter().zip(are_kept).map(kept).collect();
        let had: f64 = self.rest_now.iter().sum();
        let then = match rule {
            Rule::Hashed(_) => {
                let mut shares = vec![0.0; are_kept.len()];
                for &place in ring.iter().filter(|place| **place != NOWHERE) {
                    shares[place as usize] += population.rest / ring.len() as f64;
                }
                shares
            }
            Rule::Kept(_) => {
                let left = population.rest - stays.iter().sum::<f64>();
                let new = spread(left, there, are_kept.len());
                stays.iter().zip(new).map(|(stays, new)| stays + new).collect()
            }
        };
        // Who had none is new, and not one that moved.
        let stayed: f64 = stays.iter().zip(&then).map(|(one, other)| one.min(*other)).sum();
        let share = (had - stayed).max(0.0);
        moved.share += share;
        moved.count += population.weight_of_rest().map_or(0.0, |weight| share / weight);
        self.rest_now = then;
        moved
    }

    /// Those whose sessions ended until now have left.
    fn pass(
        &mut self,
        population: &Population,
        turnover: Turnover,
        now: SimTime,
        luck: &mut Stream,
    ) {
        let secs = now.saturating_since(self.since).as_secs_f64();
        self.since = now;
        let clients = population.weights.iter().zip(self.now.iter_mut().zip(&self.next));
        for (weight, (place, next)) in clients {
            if *place != *next {
                let often = turnover.of(Some(*weight), population.lasts);
                if luck.draw().chance(1.0 - libm::exp(-often * secs)) {
                    *place = *next;
                }
            }
        }
        let left = libm::exp(-turnover.of(population.weight_of_rest(), population.lasts) * secs);
        for (place, next) in self.rest_now.iter_mut().zip(&self.rest_next) {
            *place = *next + (*place - *next) * left;
        }
    }

    /// By place, the share of all requests of those who have it at an instant; it sums to one while any
    /// pod is there.
    pub(crate) fn shares(
        &self,
        population: &Population,
        turnover: Turnover,
        at: SimTime,
    ) -> Vec<f64> {
        let secs = at.saturating_since(self.since).as_secs_f64();
        let mut shares = vec![0.0; self.places.len()];
        let clients = population.weights.iter().zip(self.now.iter().zip(&self.next));
        for (weight, (&place, &next)) in clients {
            if place == NOWHERE || next == NOWHERE {
                continue;
            }
            let left = if place == next {
                1.0
            } else {
                libm::exp(-turnover.of(Some(*weight), population.lasts) * secs)
            };
            shares[place as usize] += weight * left;
            shares[next as usize] += weight * (1.0 - left);
        }
        let left = libm::exp(-turnover.of(population.weight_of_rest(), population.lasts) * secs);
        let rest = self.rest_now.iter().zip(&self.rest_next);
        for (share, (place, next)) in shares.iter_mut().zip(rest) {
            *share += *next + (*place - *next) * left;
        }
        let whole: f64 = shares.iter().sum();
        if whole > 0.0 {
            shares.iter_mut().for_each(|share| *share /= whole);
        }
        shares
    }

    /// After how long another `step` of all requests will have moved with sessions that end; `None` when
    /// as good as nothing moves any more. From then on whoever would move has moved.
    pub(crate) fn next_step(
        &mut self,
        population: &Population,
        turnover: Turnover,
        now: SimTime,
        step: f64,
    ) -> Option<SimSpan> {
        let secs = now.saturating_since(self.since).as_secs_f64();
        let (mut left, mut speed) = (0.0, 0.0);
        let mut add = |share: f64, often: f64| {
            let there = share * libm::exp(-often * secs);
            left += there;
            speed += there * often;
        };
        let clients = population.weights.iter().zip(self.now.iter().zip(&self.next));
        for (weight, _) in clients.filter(|(_, (place, next))| place != next) {
            add(*weight, turnover.of(Some(*weight), population.lasts));
        }
        let rest = self.rest_now.iter().zip(&self.rest_next);
        let apart: f64 = rest.map(|(place, next)| (place - next).abs() / 2.0).sum();
        add(apart, turnover.of(population.weight_of_rest(), population.lasts));
        // Who asks often is as good as never forgotten.
        if left >= speed * NEVER_SECS {
            return None;
        }
        if left < SETTLED {
            self.now.clone_from(&self.next);
            self.rest_now.clone_from(&self.rest_next);
            return None;
        }
        Some(
            SimSpan::from_secs_f64_rounded(step.max(left / 16.0) / speed)
                .max(SimSpan::from_secs(1)),
        )
    }

    /// The busiest pod: how much more it gets than if all got as much.
    pub(crate) fn hottest(&self, shares: &[f64]) -> f64 {
        let pods: u32 = self.places.iter().map(|place| place.ready_count).sum();
        let of = |(share, place): (&f64, &PodPlace)| {
            share * f64::from(pods) / f64::from(place.ready_count.max(1))
        };
        shares.iter().zip(&self.places).map(of).fold(0.0, f64::max)
    }
}

/// The sum of what so many clients ask for, as a multiple of what the first does: from so many on by its
/// integral, which is as good.
fn zipf_sum(count: u32, exponent: f64) -> f64 {
    let one_by_one = count.min(SUMMED_MAX);
    let first: f64 = (1..=one_by_one).map(|it| libm::pow(f64::from(it), -exponent)).sum();
    let (from, to) = (f64::from(one_by_one) + 0.5, f64::from(count) + 0.5);
    let rest = if (exponent - 1.0).abs() < 1e-9 {
        libm::log(to / from)
    } else {
        let power = 1.0 - exponent;
        (libm::pow(to, power) - libm::pow(from, power)) / power
    };
    first + rest
}

/// A share, in equal parts over pods.
fn spread(share: f64, there: &[u16], count: usize) -> Vec<f64> {
    let mut shares = vec![0.0; count];
    for &place in there {
        shares[place as usize] += share / there.len() as f64;
    }
    shares
}

/// By place on the ring, the place of the pod that it belongs to: the next one below; nobody's where there
/// is no pod.
fn ring(places: &[PodPlace], slots: u32) -> Vec<u16> {
    let slots = slots.max(1);
    let mut ring = vec![NOWHERE; slots as usize];
    for (place, it) in (0_u16..).zip(places) {
        let Some(pod) = it.pod else { continue };
        let key = EntityKey::of("pod on a ring").part(pod);
        let (mut number, mut wanted) = (0, POINTS);
        // Where two meet, the later one tries further on, up to as many times as there are places.
        while number < wanted && number < u64::from(slots) {
            let slot = slot_of(key.part(number).value(), ring.len());
            number += 1;
            if ring[slot] == NOWHERE {
                ring[slot] = place;
            } else {
                wanted += 1;
            }
        }
    }
    let Some(last) = ring.iter().rev().copied().find(|place| *place != NOWHERE) else {
        return ring;
    };
    let mut below = last;
    for place in &mut ring {
        if *place == NOWHERE {
            *place = below;
        }
        below = *place;
    }
    ring
}

fn place_on(ring: &[u16], hash: u64) -> u16 {
    ring[slot_of(hash, ring.len())]
}

fn slot_of(hash: u64, count: usize) -> usize {
    usize::try_from(hash % count as u64).expect("it is a place")
}

#[cfg(test)]
mod tests {
    use sim_kernel::{Purpose, Streams};

    use super::*;

    const MINUTE: SimSpan = SimSpan::from_mins(1);

    fn pods(all: &[Option<u64>]) -> Vec<PodPlace> {
        all.iter().map(|&pod| PodPlace { pod, ready_count: u32::from(pod.is_some()) }).collect()
    }

    fn luck() -> Stream {
        Streams::new(1, 0).stream(EntityKey::of("shop"), Purpose::new("test"))
    }

    fn population(count: Option<u32>, lasts: Option<SimSpan>, skew_milli: u32) -> Population {
        Population::of(count, Sessions { count, lasts, skew_milli }, EntityKey::of("clients"))
    }

    const STILL: Turnover = Turnover { rate: 100.0, timeout: None };

    #[test]
    fn new_pods_get_only_clients_that_are_new() {
        for count in [None, Some(20_000), Some(3_000)] {
            let (mut bound, mut luck) = (Bindings::default(), luck());
            let rule = (Rule::Kept(None), STILL);
            let stays = population(count, None, 0);
            let moved =
                bound.rebind(&pods(&[Some(1), Some(2)]), &stays, rule, SimTime::ZERO, &mut luck);
            assert_eq!(moved, Moved::default(), "who had none did not move");
            let later = SimTime::from_secs(60);
            let four = pods(&[Some(1), Some(2), Some(3), Some(4)]);
            let moved = bound.rebind(&four, &stays, rule, later, &mut luck);
            assert_eq!(moved, Moved::default());
            let shares = bound.shares(&stays, STILL, SimTime::from_secs(99_999));
            assert_eq!(&shares[2..], &[0.0, 0.0]);
            assert!((shares[0] - 0.5).abs() < 0.03, "{shares:?}");
            // Where sessions end, they come to all, as fast as these end.
            let ends = population(count, Some(MINUTE), 0);
            bound.rebind(&four, &ends, rule, later, &mut luck);
            for (secs, left) in [(60, libm::exp(-1.0)), (6_000, 0.0)] {
                let shares = bound.shares(&ends, STILL, later + SimSpan::from_secs(secs));
                let wanted = (1.0 - left) / 4.0;
                assert!((shares[2] - wanted).abs() < 0.03, "{secs}: {shares:?}");
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn clients_of_a_pod_that_is_gone_are_all_that_move() {
        let (mut bound, mut luck) = (Bindings::default(), luck());
        let rule = (Rule::Kept(None), STILL);
        let all = population(Some(10_000), None, 0);
        bound.rebind(&pods(&[Some(1), Some(2), Some(3)]), &all, rule, SimTime::ZERO, &mut luck);
        let before = bound.shares(&all, STILL, SimTime::ZERO);
        let at = SimTime::from_secs(1);
        let moved = bound.rebind(&pods(&[Some(1), Some(7), Some(3)]), &all, rule, at, &mut luck);
        assert!((moved.share - before[1]).abs() < 1e-9, "{moved:?} {before:?}");
        assert!((moved.count - before[1] * 10_000.0).abs() < 1.0);
        let after = bound.shares(&all, STILL, at);
        assert!((after[1] - before[1] / 3.0).abs() < 0.02, "a third of them, by chance: {after:?}");
        // Nobody is there, and then somebody.
        let moved = bound.rebind(&pods(&[None, None, None]), &all, rule, at, &mut luck);
        assert!((moved.share - 1.0).abs() < 1e-9);
        assert_eq!(bound.shares(&all, STILL, at), [0.0; 3]);
        let moved = bound.rebind(&pods(&[None, Some(9), None]), &all, rule, at, &mut luck);
        assert_eq!(moved, Moved::default());
        assert_eq!(bound.shares(&all, STILL, at), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_ring_gives_a_new_pod_its_part_and_moves_no_more() {
        for count in [None, Some(50_000), Some(2_000)] {
            let (mut bound, mut luck) = (Bindings::default(), luck());
            let rule = (Rule::Hashed(10_000), STILL);
            let all = population(count, None, 0);
            bound.rebind(&pods(&[Some(1), Some(2), Some(3)]), &all, rule, SimTime::ZERO, &mut luck);
            let four = pods(&[Some(1), Some(2), Some(3), Some(4)]);
            let moved = bound.rebind(&four, &all, rule, SimTime::ZERO, &mut luck);
            let shares = bound.shares(&all, STILL, SimTime::ZERO);
            // 160 points each: shares differ by a twelfth or so.
            assert!((shares[3] - 0.25).abs() < 0.06, "{shares:?}");
            assert!((moved.share - shares[3]).abs() < 1e-9, "{moved:?} {shares:?}");
        }
    }

    #[test]
    fn one_client_makes_one_pod_hot_and_the_law_of_zipf_a_little() {
        let (mut bound, mut luck) = (Bindings::default(), luck());
        let rule = (Rule::Kept(None), STILL);
        let four = pods(&[Some(1), Some(2), Some(3), Some(4)]);
        for (count, skew_milli, hottest) in
            [(1, 0, 4.0..4.1), (100, 0, 1.0..1.7), (1_000, 1000, 1.1..2.2)]
        {
            let all = population(Some(count), None, skew_milli);
            bound.rebind(&four, &all, rule, SimTime::ZERO, &mut luck);
            let found = bound.hottest(&bound.shares(&all, STILL, SimTime::ZERO));
            assert!(hottest.contains(&found), "{count} {skew_milli}: {found}");
        }
    }

    #[test]
    fn the_sum_of_many_is_that_of_all_of_them() {
        for exponent in [0.0, 0.5, 1.0, 2.5] {
            let exact: f64 = (1..=100_000).map(|it| f64::from(it).powf(-exponent)).sum();
            let found = zipf_sum(100_000, exponent);
            assert!((found / exact - 1.0).abs() < 1e-9, "{exponent}: {found}, exactly {exact}");
        }
    }

    #[test]
    fn who_is_silent_for_too_long_is_not_known_any_more() {
        // Each asks once in ten seconds and is known for ten.
        let turnover = Turnover { rate: 100.0, timeout: Some(SimSpan::from_secs(10)) };
        let often = turnover.of(Some(1e-3), None);
        assert!((often - 0.1 * libm::exp(-1.0)).abs() < 1e-12);
        assert!(turnover.of(Some(1.0), None) < 1e-300, "one that asks all the time is known");
    }

    #[test]
    fn steps_come_to_an_end() {
        let (mut bound, mut luck) = (Bindings::default(), luck());
        let rule = (Rule::Kept(None), STILL);
        let all = population(Some(10_000), Some(MINUTE), 0);
        bound.rebind(&pods(&[Some(1), None]), &all, rule, SimTime::ZERO, &mut luck);
        bound.rebind(&pods(&[Some(1), Some(2)]), &all, rule, SimTime::ZERO, &mut luck);
        let (mut now, mut count) = (SimTime::ZERO, 0);
        while let Some(span) = bound.next_step(&all, STILL, now, 0.02) {
            (now, count) = (now + span, count + 1);
            assert!(count < 200, "it does not end");
        }
        assert!((20..100).contains(&count), "{count} steps");
        assert!(now > SimTime::from_secs(180) && now < SimTime::from_secs(900), "{now:?}");
    }
}
