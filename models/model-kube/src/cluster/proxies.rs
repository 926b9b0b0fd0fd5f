//! Proxies that hear nothing of endpoints, and go on with those that they knew.
//!
//! # Modelled
//! Every proxy watches EndpointSlices at one API server. While it is cut off from it, by an island of the
//! network, by a machine that vanished or by an API that is away, it routes to what it knew; what changes
//! meanwhile it learns when it lists anew, after the back-off of its reflector ([`crate::reflector`]) and
//! its turn among all that list at the same time ([`super::relists`]). A cut that is shorter than it takes
//! to notice leaves the watch alive, and then it hears of everything at once. An API server without its
//! etcd, and one whose etcd has no quorum, keeps watches open and silent until its liveness probe kills it.
//! A node that boots lists as soon as somebody answers, and until then has no rules: its kubelet starts
//! nothing and the checks of a load balancer (`healthz` of the proxy) keep requests from it, so it counts
//! neither for nor against what others know.
//! # Not modelled
//! Watchers other than kubelets and proxies. Proxies that are started anew on a node that runs on. Requests
//! that enter at a node without rules. What kube-proxy hears of Services and Nodes.
//!
//! Simplified: a proxy whose API server ends while another one answers is back at once, upstream 0.8 to
//! 1.6 s later; and a connection that outlives a cut brings what was missed when that ends, upstream when
//! TCP sends again. In clusters of more than a hundred nodes shares of those who are behind are followed to
//! one in a hundred.
//! # Defaults and their sources
//! [`crate::reflector`]; `pkg/proxy/config/config.go` (one informer for EndpointSlices),
//! `pkg/proxy/healthcheck/proxy_health.go` (not healthy before the first sync), Kubernetes 1.36.
//! # Invariants
//! While every proxy hears there is nothing here and nothing is done. Proxies that fell behind at the same
//! state of all endpoints share what they know, and only Services that changed since are kept.
//! # Checked against
//! `tests/it/proxies.rs`, among it what each proxy knows against a proxy of its own that is told
//! everything.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model_api::{NodeId, Observation, ServiceId, ZoneId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::connections::Sight;
use super::control_plane::SERVER_GIVES_UP;
use super::relists::LIST_LEAST;
use super::routing::Known;
use super::{Cluster, KubeEvent, priority};
use crate::rare;
use crate::reflector::{self, Outage, PING_TIMEOUT, READ_IDLE};

const CONNECT: Purpose = Purpose::new("proxy connects");
const LAST_FRAME: Purpose = Purpose::new("last frame to a proxy");
const PAUSE: Purpose = Purpose::new("proxy waits to list");
const TURN: Purpose = Purpose::new("turn of a proxy that lists");

/// How many nodes a cluster has at least of which single ones are not told: each would have all Services
/// that changed since looked at again.
const TOLD_OF: u32 = 100;

/// What some proxies know that fell behind together.
#[derive(Clone, Debug, Default)]
struct View {
    /// Of Services whose endpoints changed since: those before.
    known: BTreeMap<ServiceId, Known>,
    nodes: BTreeSet<NodeId>,
    /// Of these nodes, those that clients reach.
    reachable: u32,
    /// It was told that they go by what is no more.
    is_told: bool,
}

/// A proxy that hears nothing.
#[derive(Clone, Copy, Debug)]
struct Late {
    /// `None`: it is started anew and has no rules.
    view: Option<u64>,
    /// When it knows that its watch is lost. Until then it may hear again at once.
    lost_at: SimTime,
    /// Whom it asks meanwhile is silent, and does not refuse.
    is_silent: bool,
    timer: Timer,
}

/// What the watch of a proxy went through.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    /// The member that it comes from, once that is not the first.
    member: Option<usize>,
    connect_count: u64,
    loss_count: u64,
    /// Its machine ended, and since then it has not listed.
    has_no_rules: bool,
}

/// A time in which the API lets no proxy through.
#[derive(Clone, Copy, Debug)]
struct Shut {
    since: SimTime,
    end: End,
}

/// How watches end that were alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Their server ends, and closes them.
    Closed,
    /// Nothing comes, and after a while a ping finds out.
    Silent,
    /// Nothing comes, and after a while their server is killed.
    Idle,
}

/// Proxies that hear nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    late: BTreeMap<NodeId, Late>,
    /// By number, in the order in which they began.
    views: BTreeMap<u64, View>,
    view_count: u64,
    pasts: BTreeMap<NodeId, Past>,
    shut: Option<Shut>,
    /// The changes of nodes and of proxies that were counted.
    counted: (u64, u64),
    change_count: u64,
    /// Nodes that clients reach, while somebody is behind.
    reachable: u32,
}

impl Proxies {
    /// Endpoints of a Service are about to change: who hears nothing keeps them as they are.
    pub(super) fn keep(&mut self, service: ServiceId, known: &Known) {
        for view in self.views.values_mut() {
            view.known.entry(service).or_insert_with(|| known.clone());
        }
    }

    /// What proxies of a view know of a Service, where that is not what all others know.
    pub(super) fn known(&self, view: Option<u64>, service: ServiceId) -> Option<&Known> {
        self.views.get(&view?)?.known.get(&service)
    }

    /// What proxies know of a Service: views, `None` for what is known to all that hear, each with how many
    /// of its nodes clients reach. That of most nodes comes first.
    pub(super) fn views_of(&self, service: ServiceId) -> Vec<(u32, Option<u64>)> {
        let mut well = self.reachable;
        let mut found = Vec::new();
        for (number, view) in &self.views {
            if view.known.contains_key(&service) && view.reachable > 0 {
                well = well.saturating_sub(view.reachable);
                found.push((view.reachable, Some(*number)));
            }
        }
        if well > 0 || found.is_empty() {
            found.insert(0, (well, None));
        }
        // Stable, so that what all know comes before what as many know.
        found.sort_by_key(|(nodes, _)| Reverse(*nodes));
        found
    }

    /// What the proxy of a node knows of a Service, as in [`Self::views_of`].
    pub(super) fn view_of(&self, node: NodeId, service: ServiceId) -> Option<u64> {
        let view = self.late.get(&node)?.view?;
        self.views[&view].known.contains_key(&service).then_some(view)
    }

    /// The view of a proxy that from now on hears nothing.
    fn fall_behind(&mut self, node: NodeId) -> u64 {
        self.change_count += 1;
        // What nothing was kept of is what all know.
        let fresh = self.views.last_key_value().filter(|(_, view)| view.known.is_empty());
        let number = fresh.map_or(self.view_count, |(number, _)| *number);
        self.view_count = self.view_count.max(number + 1);
        self.views.entry(number).or_default().nodes.insert(node);
        number
    }

    fn past(&mut self, node: NodeId) -> &mut Past {
        self.pasts.entry(node).or_default()
    }
}

/// Who hears, and who does not.
impl Cluster {
    /// The member that the watch of a proxy comes from; `None` without members.
    fn server_of_proxy(&self, id: NodeId) -> Option<usize> {
        if let Some(member) = self.proxies.pasts.get(&id).and_then(|past| past.member) {
            return Some(member);
        }
        let has_server = |member: &usize| self.tables.members[*member].has_server;
        let servers: Vec<usize> = (0..self.member_count()).filter(has_server).collect();
        self.draw(self.tables.node_keys[id.index()], CONNECT, 0).pick(&servers).copied()
    }

    /// A node and the API are on the same side of the network.
    fn is_on_api_side(&self, id: NodeId) -> bool {
        self.island_of_node(id) == self.control_plane.island()
    }

    fn watch_sight(&self, id: NodeId) -> Sight {
        let is_there = self.is_on_api_side(id);
        match self.server_of_proxy(id).map(|member| self.sight_from(member, id)) {
            None if is_there => Sight::Answers,
            None => Sight::Silent,
            // It runs, and its etcd has no quorum.
            Some(Sight::Answers) if !is_there => Sight::Fails,
            Some(sight) => sight,
        }
    }

    /// Members that answer a node.
    fn servers_for(&self, id: NodeId) -> Vec<usize> {
        let members = 0..self.member_count();
        members.filter(|member| self.sight_from(*member, id) == Sight::Answers).collect()
    }

    /// Whether somebody would answer the proxy of a node.
    fn can_list(&self, id: NodeId) -> bool {
        self.is_api_available()
            && self.is_on_api_side(id)
            && self.is_balancer_open()
            && (self.member_count() == 0 || !self.servers_for(id).is_empty())
    }

    /// The power or the contact of a node, or the server that its proxy watches, may have changed.
    pub(super) fn refresh_watch<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.is_running(id) {
            self.catch_up_proxy(id, ctx);
            self.proxies.past(id).has_no_rules = true;
            return;
        }
        let now = ctx.now();
        let sight = self.watch_sight(id);
        let is_new = self.proxies.past(id).has_no_rules;
        match self.proxies.late.get(&id).copied() {
            None if sight == Sight::Answers => self.proxies.past(id).has_no_rules = false,
            None if sight == Sight::Refuses && self.can_list(id) => {
                if let Some(found) = self.connect_to(id).filter(|it| *it != Sight::Answers) {
                    // The balancer sent it to one that is gone, too.
                    self.fall_behind(id, now, found == Sight::Silent, ctx);
                }
            }
            None => {
                let (lost_at, is_silent) = match sight {
                    _ if is_new => (now, sight == Sight::Silent),
                    Sight::Silent => (self.notices_silence(id, now), true),
                    Sight::Fails => (now + SERVER_GIVES_UP, false),
                    Sight::Refuses | Sight::Answers => (now, false),
                };
                self.fall_behind(id, lost_at, is_silent, ctx);
            }
            Some(late) if sight == Sight::Answers && now < late.lost_at => {
                self.catch_up_proxy(id, ctx);
            }
            Some(_) => self.expect_list(id, ctx),
        }
    }

    /// Every node may be on another side of the network than the API, or on the same again.
    pub(super) fn refresh_watches<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.nodes.len() {
            self.refresh_watch(NodeId::from_index(idx), ctx);
        }
    }

    /// When the client of a proxy to which nothing comes any more gives its connection up.
    fn notices_silence(&self, id: NodeId, now: SimTime) -> SimTime {
        let losses = self.proxies.pasts.get(&id).map_or(0, |past| past.loss_count);
        let draw = self.draw(self.tables.node_keys[id.index()], LAST_FRAME, losses);
        // It pings when no frame came for so long: the last one is not older.
        let since = draw.span_between(SimSpan::ZERO, READ_IDLE);
        (now + READ_IDLE + PING_TIMEOUT).saturating_sub(since)
    }

    fn fall_behind<E, R>(
        &mut self,
        id: NodeId,
        lost_at: SimTime,
        is_silent: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let past = self.proxies.past(id);
        past.loss_count += 1;
        let view = (!past.has_no_rules).then(|| self.proxies.fall_behind(id));
        let late = Late { view, lost_at, is_silent, timer: Timer::NONE };
        self.proxies.late.insert(id, late);
        self.expect_list(id, ctx);
    }

    /// Works out when a proxy that is behind lists, if somebody answers it.
    fn expect_list<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let late = self.proxies.late[&id];
        if ctx.is_pending(late.timer) || !self.can_list(id) {
            return;
        }
        let losses = self.proxies.past(id).loss_count;
        let key = self.tables.node_keys[id.index()];
        let Late { lost_at, is_silent, .. } = late;
        let outage = Outage { lost_at, back_at: ctx.now(), is_silent };
        let pause = |nth| reflector::pause(nth, self.draw(key.part(nth), PAUSE, losses));
        let (at, _) = reflector::connected_again(outage, pause);
        let turn = self.draw(key, TURN, losses);
        let queued = turn.span_between(SimSpan::ZERO, self.relists.proxies(at));
        self.expect_list_at(id, at + queued + LIST_LEAST, ctx);
    }

    fn expect_list_at<E, R>(&mut self, id: NodeId, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let timer = ctx.timer_at(at, priority::PROXY, KubeEvent::ProxyLists(id));
        self.proxies.late.get_mut(&id).expect("it is behind").timer = timer;
    }

    /// A proxy that was behind lists endpoints, if somebody answers.
    pub(super) fn on_proxy_lists<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.can_list(id) {
            return;
        }
        match self.connect_to(id) {
            None | Some(Sight::Answers) => self.catch_up_proxy(id, ctx),
            Some(sight) => {
                // The balancer sent it to one that is gone.
                let past = *self.proxies.past(id);
                let draw = self.draw(
                    self.tables.node_keys[id.index()].part(past.connect_count),
                    PAUSE,
                    past.loss_count,
                );
                let failed = reflector::failed_try(sight == Sight::Silent);
                let at = ctx.now() + failed + reflector::pause(past.connect_count, draw);
                self.expect_list_at(id, at, ctx);
            }
        }
    }

    /// The watch of a proxy comes from another server; what it finds there, `None` without members.
    fn connect_to(&mut self, id: NodeId) -> Option<Sight> {
        let servers: Vec<usize> = if self.api_pool.is_stated() {
            self.api_pool.pool().collect()
        } else {
            self.servers_for(id)
        };
        let past = self.proxies.past(id);
        past.connect_count += 1;
        let occurrence = past.connect_count;
        let draw = self.draw(self.tables.node_keys[id.index()], CONNECT, occurrence);
        let member = draw.pick(&servers).copied()?;
        let sight = self.sight_from(member, id);
        self.proxies.past(id).member = Some(member);
        Some(sight)
    }

    /// A proxy knows what all know, or is no more.
    fn catch_up_proxy<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(late) = self.proxies.late.remove(&id) else { return };
        ctx.cancel(late.timer);
        self.proxies.past(id).has_no_rules = false;
        let Some(number) = late.view else { return };
        self.proxies.change_count += 1;
        let view = self.proxies.views.get_mut(&number).expect("views last as long as proxies");
        view.nodes.remove(&id);
        if view.nodes.is_empty() {
            self.changed_services.extend(view.known.keys());
            if view.is_told {
                ctx.observe(|| Observation::ProxiesCaughtUp);
            }
            self.proxies.views.remove(&number);
        }
    }

    /// The API or the balancer before it may let proxies through again, or no more.
    pub(super) fn review_watches<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_open = self.is_api_available() && self.is_balancer_open();
        if !is_open {
            let end = if self.api_pool.is_down() {
                End::Silent
            } else if self.control_plane.is_closed() {
                End::Closed
            } else {
                End::Idle
            };
            let shut = self.proxies.shut.get_or_insert(Shut { since: ctx.now(), end });
            if shut.end == End::Idle && end != End::Idle {
                *shut = Shut { since: ctx.now(), end };
            }
            return;
        }
        let Some(Shut { since, end }) = self.proxies.shut.take() else { return };
        for node in (0..self.nodes.len()).map(NodeId::from_index) {
            if self.proxies.late.contains_key(&node) {
                self.expect_list(node, ctx);
                continue;
            }
            let lost_at = match end {
                End::Closed => since,
                End::Silent => self.notices_silence(node, since),
                End::Idle => since + SERVER_GIVES_UP,
            };
            if self.is_running(node) && lost_at <= ctx.now() {
                self.fall_behind(node, lost_at, end == End::Silent, ctx);
            }
        }
    }

    /// Counts who is behind anew, where that changed: routes follow, and it is told once that proxies miss
    /// something.
    pub(super) fn settle_proxies<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        if self.proxies.views.is_empty() {
            return;
        }
        let counted = (self.node_change_count, self.proxies.change_count);
        if self.proxies.counted != counted {
            self.proxies.counted = counted;
            let nodes = (0..self.nodes.len()).map(NodeId::from_index);
            let all = count(nodes.filter(|node| self.is_reachable(*node)).count());
            let mut views = std::mem::take(&mut self.proxies.views);
            let is_other = !is_about(self.proxies.reachable, all, all);
            for view in views.values_mut() {
                let reached = view.nodes.iter().filter(|node| self.is_reachable(**node)).count();
                if is_other || !is_about(view.reachable, count(reached), all) {
                    view.reachable = count(reached);
                    self.changed_services.extend(view.known.keys());
                }
            }
            if is_other {
                self.proxies.reachable = all;
            }
            self.proxies.views = views;
        }
        for view in self.proxies.views.values_mut() {
            if !view.is_told && view.reachable > 0 && !view.known.is_empty() {
                view.is_told = true;
                ctx.hit(&rare::PROXIES_BEHIND);
                let count = view.reachable;
                ctx.observe(|| Observation::ProxiesBehind { count });
            }
        }
    }
}

/// Whether so few of all nodes came or went that nobody needs to be told: less than one in so many, and
/// neither the first nor the last. Of up to so many nodes each one is told of.
fn is_about(told: u32, now: u32, all: u32) -> bool {
    all > TOLD_OF
        && told > 0
        && now > 0
        && u64::from(told.abs_diff(now)) * u64::from(TOLD_OF) < u64::from(all)
}

fn count(nodes: usize) -> u32 {
    u32::try_from(nodes).expect("nodes are limited far below 2^32")
}

/// What the proxies of a place route to.
impl Cluster {
    /// Whether proxies that clients reach differ in what they know of a Service.
    pub fn is_seen_differently(&self, service: ServiceId) -> bool {
        !self.services[service.index()].others.is_empty()
    }

    /// Which of the views of a Service the proxy of a node has; those with the same know the same routes.
    pub fn view_from(&self, service: ServiceId, node: NodeId) -> Option<u64> {
        self.proxies.view_of(node, service)
    }

    /// What the proxy of a node that clients reach routes to for cluster traffic of a Service: see
    /// [`Cluster::routes`]. Of any other node, what most of these do.
    pub fn routes_from(&self, service: ServiceId, node: NodeId) -> &[super::Route] {
        self.services[service.index()].routes_of(self.proxies.view_of(node, service))
    }

    /// What most proxies of a zone route to that clients reach, of as many those who hear.
    pub fn routes_in(&self, service: ServiceId, zone: ZoneId) -> &[super::Route] {
        let state = &self.services[service.index()];
        if state.others.is_empty() {
            return &state.routes;
        }
        let mut counts: BTreeMap<Option<u64>, u32> = BTreeMap::new();
        for node in (0..self.nodes.len()).map(NodeId::from_index) {
            if self.blueprint.nodes[node.index()].zone == zone && self.is_reachable(node) {
                *counts.entry(self.proxies.view_of(node, service)).or_default() += 1;
            }
        }
        let most = counts.iter().rev().max_by_key(|(_, count)| **count);
        state.routes_of(most.and_then(|(view, _)| *view))
    }
}
