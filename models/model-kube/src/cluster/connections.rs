//! Kubelets and the API server that each is connected to.
//!
//! # Modelled
//! Every kubelet holds one HTTP/2 connection, spread over the API servers by the balancer in front
//! of them ([`super::api_balancer`]); those of the control plane's own machines ask the server beside
//! them. When the machine of a server vanishes without a word, its kubelets hang: the client
//! sends a ping after 30 s without a frame and gives the connection up 15 s later. Until then they
//! renew no lease, learn of no pod and report nothing. A server that ends by itself closes its
//! connections, and one that has no etcd lets requests fail, until two renewals in a row have timed out.
//! Who dials is sent to any server that the balancer takes for alive: one whose process has ended refuses,
//! and the next try follows at once; one that is silent costs the time that a renewal may take.
//! # Not modelled
//! Watchers other than kubelets, proxies ([`super::proxies`]) and pods that lead or configure
//! ([`super::api_clients`]) that hang as long.
//! # Defaults and their sources
//! `apimachinery/pkg/util/net/http.go` (`HTTP2_READ_IDLE_TIMEOUT_SECONDS` 30,
//! `HTTP2_PING_TIMEOUT_SECONDS` 15), `component-helpers/apimachinery/lease/controller.go` (five tries to
//! renew, connections are closed after the second that fails), `pkg/kubelet/kubelet.go` (a try may take
//! as long as the renewal period), Kubernetes 1.36.
//! # Invariants
//! A kubelet whose server answers never hangs; without a stated balancer no kubelet hangs for longer than
//! 45 s after its last renewal, so with the default grace period of 50 s none is taken for dead.
//! # Checked against
//! Timelines worked out by hand; `tests/it/api_balancer.rs`.

use model_api::{NodeId, Observation};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::tables::Tables;
use super::{Cluster, Island, KubeEvent, priority};
use crate::rare;
use crate::reflector::{PING_TIMEOUT, READ_IDLE};

const CONNECT: Purpose = Purpose::new("kubelet connects");

/// Tries of a kubelet to renew its lease before it waits for the next renewal.
const RENEWAL_TRIES: u64 = 5;
/// Failed renewals after which a kubelet closes its connections.
const FAILURES_UNTIL_CLOSED: u64 = 2;

/// The connection of one kubelet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    /// The member whose API server it leads to; `None` without members.
    member: Option<usize>,
    /// It leads to nobody, and the kubelet does not know yet, or finds nobody to connect to.
    is_hung: bool,
    timer: Timer,
    count: u64,
    dialed_at: Option<SimTime>,
}

impl Connection {
    pub(super) fn all(tables: &Tables, streams: Streams) -> Vec<Self> {
        let servers = tables.members.iter().filter(|member| member.has_server).count();
        let connection = |(idx, key): (usize, &EntityKey)| {
            let node = Some(NodeId::from_index(idx));
            let own = tables.members.iter().position(|member| member.node == node);
            let drawn = || (servers > 0).then(|| streams.draw(*key, CONNECT, 0).index(servers));
            Self { member: own.or_else(drawn), ..Self::default() }
        };
        tables.node_keys.iter().enumerate().map(connection).collect()
    }

    /// It leads somewhere, or its kubelet does not need one.
    pub(super) fn is_alive(&self) -> bool {
        !self.is_hung
    }

    /// A kubelet that has just dialed tries at once what it could not do before.
    pub(super) fn was_dialed_at(&self, now: SimTime) -> bool {
        self.dialed_at == Some(now)
    }
}

/// What a client finds at the address of an API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It runs and has an etcd to ask.
    Answers,
    /// It runs without an etcd: requests fail.
    Fails,
    /// Its process has ended, its machine runs: connections are closed or refused.
    Refuses,
    /// Its machine is gone.
    Silent,
}

/// What every member's API server looks like on its side of the network: what connections depend on.
pub(super) type Serving = Vec<(Sight, Island)>;

/// All servers answer.
pub(super) fn all_serve(tables: &Tables) -> Serving {
    vec![(Sight::Answers, Island::Mainland); tables.members.len()]
}

impl Cluster {
    fn server_sight(&self, member: usize) -> Sight {
        if !self.is_member_up(member) {
            Sight::Silent
        } else if !self.runs_server(member) {
            Sight::Refuses
        } else if self.has_own_etcd(member) {
            Sight::Answers
        } else {
            Sight::Fails
        }
    }

    /// Members may have come or gone: kubelets that run and whose server is gone hang; those
    /// without a server find one when there is one.
    pub(super) fn refresh_connections<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let members = 0..self.member_count();
        let serving: Serving = members
            .map(|member| (self.server_sight(member), self.island_of_member(member)))
            .collect();
        if self.serving == serving {
            return;
        }
        self.serving = serving;
        let mut hung_count = 0;
        for idx in 0..self.nodes.len() {
            hung_count += u32::from(self.refresh_connection(NodeId::from_index(idx), ctx));
        }
        self.tell_hung(hung_count, ctx);
        self.refresh_api_clients(ctx);
    }

    fn tell_hung<E, R>(&self, count: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy,
        R: Recorder<Observation>,
    {
        if count > 0 {
            ctx.hit(&rare::KUBELET_HUNG);
            ctx.observe(|| Observation::KubeletsHung { count });
        }
    }

    /// The member on whose machine a kubelet runs.
    fn own_server(&self, id: NodeId) -> Option<usize> {
        self.tables.members.iter().position(|member| member.node == Some(id))
    }

    /// What a kubelet finds at a server that it is connected to.
    pub(super) fn sight_from(&self, member: usize, node: NodeId) -> Sight {
        let (sight, island) = self.serving[member];
        let is_own = self.tables.members[member].node == Some(node);
        if island != self.island_of_node(node) && !is_own { Sight::Silent } else { sight }
    }

    /// Looks at one kubelet's connection anew; whether it hangs from now on.
    pub(super) fn refresh_connection<E, R>(
        &mut self,
        id: NodeId,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.refresh_watch(id, ctx);
        if self.member_count() == 0 {
            return false;
        }
        let connection = self.connections[id.index()];
        let is_running = self.is_running(id);
        let own = self.own_server(id);
        let sight = connection.member.map(|member| self.sight_from(member, id));
        let is_let_through = own.is_some() || self.is_balancer_open();
        let is_served = sight == Some(Sight::Answers) && is_let_through;
        let says_goodbye =
            connection.member.is_some_and(|member| self.control_plane.says_goodbye(member));
        let had_contact = self.nodes[id.index()].has_contact;
        if !is_running || is_served {
            ctx.cancel(connection.timer);
            let connection = &mut self.connections[id.index()];
            connection.is_hung = false;
            // Who boots dials anew.
            connection.member = connection.member.filter(|_| is_running).or(own);
        } else if own.is_some() {
            // There is no other server for it.
            self.connections[id.index()].is_hung = true;
        } else if matches!(sight, None | Some(Sight::Refuses)) || says_goodbye {
            if !connection.is_hung || connection.member.is_some() {
                self.dial(id, ctx);
            }
        } else if !connection.is_hung {
            let since = match sight {
                Some(Sight::Fails) => self.renewal_period() * (1 + FAILURES_UNTIL_CLOSED),
                _ => READ_IDLE + PING_TIMEOUT,
            };
            let at = self.nodes[id.index()].last_renewal_plus(since, ctx.now());
            self.hang(id, at, ctx);
        }
        self.refresh_contact(id, ctx);
        let hangs = self.connections[id.index()].is_hung;
        hangs && !connection.is_hung && had_contact
    }

    fn renewal_period(&self) -> SimSpan {
        self.blueprint.parameters.lease_renew_period
    }

    /// A kubelet does without a connection until it dials at a time.
    fn hang<E, R>(&mut self, id: NodeId, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let event = KubeEvent::ConnectionDropped(id);
        let connection = &mut self.connections[id.index()];
        ctx.cancel(connection.timer);
        connection.is_hung = true;
        connection.timer = ctx.timer_at(at.max(ctx.now()), priority::KUBELET, event);
    }

    pub(super) fn on_connection_dropped<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.redial(id, ctx);
    }

    /// A kubelet without a connection dials.
    pub(super) fn redial<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.dial(id, ctx);
        self.refresh_contact(id, ctx);
    }

    /// A kubelet dials: at whichever server answers or, through a balancer, at any that this takes for
    /// alive.
    fn dial<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let timer = std::mem::take(&mut self.connections[id.index()].timer);
        ctx.cancel(timer);
        self.connections[id.index()].is_hung = false;
        if !self.api_pool.is_stated() {
            let members = 0..self.member_count();
            let answers = |member: &usize| self.sight_from(*member, id) == Sight::Answers;
            let servers: Vec<usize> = members.filter(answers).collect();
            let picked = self.pick_server(id, &servers);
            return self.connect(id, picked, ctx.now());
        }
        let pool: Vec<usize> = self.api_pool.pool().collect();
        for _ in 0..RENEWAL_TRIES {
            let Some(member) = self.pick_server(id, &pool) else {
                // It is told when the balancer lets somebody through.
                self.connections[id.index()].member = None;
                self.connections[id.index()].is_hung = true;
                return;
            };
            match self.sight_from(member, id) {
                Sight::Answers => return self.connect(id, Some(member), ctx.now()),
                Sight::Refuses => tell_in_vain(member, ctx),
                Sight::Silent | Sight::Fails => {
                    tell_in_vain(member, ctx);
                    self.connections[id.index()].member = Some(member);
                    return self.hang(id, ctx.now() + self.renewal_period(), ctx);
                }
            }
        }
        self.connections[id.index()].member = None;
        self.hang(id, ctx.now() + self.renewal_period(), ctx);
    }

    fn pick_server(&mut self, id: NodeId, servers: &[usize]) -> Option<usize> {
        self.connections[id.index()].count += 1;
        let occurrence = self.connections[id.index()].count;
        let draw = self.draw(self.tables.node_keys[id.index()], CONNECT, occurrence);
        draw.pick(servers).copied()
    }

    fn connect(&mut self, id: NodeId, member: Option<usize>, now: SimTime) {
        let connection = &mut self.connections[id.index()];
        connection.member = member;
        connection.dialed_at = member.map(|_| now);
    }
}

/// Somebody was led to a server that does not answer.
pub(super) fn tell_in_vain<E, R>(member: usize, ctx: &mut Context<'_, E, R>)
where
    E: Copy + From<KubeEvent>,
    R: Recorder<Observation>,
{
    ctx.hit(&rare::DIALED_IN_VAIN);
    let member = u32::try_from(member).expect("members are few");
    ctx.observe(|| Observation::DialedInVain { member });
}

/// Kubelets and the balancer.
impl Cluster {
    /// Whether a kubelet that runs waits until the balancer lets somebody through.
    pub(super) fn waits_for_balancer(&self, id: NodeId) -> bool {
        let connection = &self.connections[id.index()];
        connection.is_hung && connection.member.is_none() && self.own_server(id).is_none()
    }

    /// The balancer lets nobody through: all connections through it are gone.
    pub(super) fn drop_balanced<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let mut hung_count = 0;
        for node in (0..self.nodes.len()).map(NodeId::from_index) {
            if self.is_running(node) && self.own_server(node).is_none() {
                hung_count += u32::from(self.nodes[node.index()].has_contact);
                self.redial(node, ctx);
            }
        }
        self.tell_hung(hung_count, ctx);
    }

    /// The API answers after an outage that kubelets noticed: they dial anew, and the balancer may not
    /// let them through yet.
    pub(super) fn redial_after_outage<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let outage = ctx.now().saturating_since(self.control_plane.api_lost_at());
        let noticed_after = self.renewal_period() * (1 + FAILURES_UNTIL_CLOSED);
        if self.api_pool.is_stated() && outage >= noticed_after {
            self.drop_balanced(ctx);
        }
    }
}
