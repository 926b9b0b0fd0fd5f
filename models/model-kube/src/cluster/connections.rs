//! Kubelets and the API server that each is connected to.
//!
//! # Modelled
//! Every kubelet holds one HTTP/2 connection, spread over the API servers by the balancer in front
//! of them. When the machine of a server vanishes without a word, its kubelets hang: the client
//! sends a ping after 30 s without a frame and gives the connection up 15 s later. Until then they
//! renew no lease, learn of no pod and report nothing. Then they reach another server at once.
//! # Not modelled
//! Proxies and other watchers that hang as long (a change of endpoints may reach a share of the
//! nodes up to 45 s late). The balancer's own detection: 13 to 18 s, over by the time they dial.
//! # Defaults and their sources
//! `apimachinery/pkg/util/net/http.go` (`HTTP2_READ_IDLE_TIMEOUT_SECONDS` 30,
//! `HTTP2_PING_TIMEOUT_SECONDS` 15), Kubernetes 1.36.
//! # Invariants
//! A kubelet whose server lives never hangs; no kubelet hangs for longer than 45 s after its last
//! renewal, so with the default grace period of 50 s none is taken for dead.
//! # Checked against
//! Timelines worked out by hand.

use model_api::{NodeId, Observation};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::tables::Tables;
use super::{Cluster, Island, KubeEvent, priority};
use crate::rare;

const CONNECT: Purpose = Purpose::new("kubelet connects");

/// Without a frame for this long the client sends a ping.
const READ_IDLE: SimSpan = SimSpan::from_secs(30);
/// Without an answer to it for this long it gives the connection up.
const PING_TIMEOUT: SimSpan = SimSpan::from_secs(15);

/// The connection of one kubelet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    /// The member whose API server it leads to; `None` without members.
    member: Option<usize>,
    /// It leads to nobody, and the kubelet does not know yet.
    is_hung: bool,
    timer: Timer,
    count: u64,
    dialed_at: Option<SimTime>,
}

impl Connection {
    pub(super) fn all(tables: &Tables, streams: Streams) -> Vec<Self> {
        let member_count = tables.members.len();
        let connection = |key: &EntityKey| Self {
            member: (member_count > 0).then(|| streams.draw(*key, CONNECT, 0).index(member_count)),
            ..Self::default()
        };
        tables.node_keys.iter().map(connection).collect()
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

/// Which members run, and on which side of the network: what connections depend on.
pub(super) type Serving = Vec<Option<Island>>;

impl Cluster {
    /// Members may have come or gone: kubelets that run and whose server is gone hang; those
    /// without a server find one when there is one.
    pub(super) fn refresh_connections<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let members = 0..self.member_count();
        let serving: Serving = members
            .map(|member| self.is_member_up(member).then(|| self.island_of_member(member)))
            .collect();
        if self.serving == serving {
            return;
        }
        self.serving = serving;
        let mut hung_count = 0;
        for idx in 0..self.nodes.len() {
            hung_count += u32::from(self.refresh_connection(NodeId::from_index(idx), ctx));
        }
        if hung_count > 0 {
            ctx.hit(&rare::KUBELET_HUNG);
            ctx.observe(|| Observation::KubeletsHung { count: hung_count });
        }
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
        if self.member_count() == 0 {
            return false;
        }
        let connection = self.connections[id.index()];
        let is_running = self.is_running(id);
        let is_served = connection.member.is_some_and(|member| self.serves(member, id));
        if !is_running || is_served {
            ctx.cancel(connection.timer);
            let connection = &mut self.connections[id.index()];
            connection.is_hung = false;
            // Who boots dials anew.
            connection.member = connection.member.filter(|_| is_running);
        } else if connection.member.is_none_or(|member| self.control_plane.says_goodbye(member)) {
            self.dial(id, ctx.now());
        } else if !connection.is_hung {
            let at = self.nodes[id.index()].last_renewal_plus(READ_IDLE + PING_TIMEOUT, ctx.now());
            let event = KubeEvent::ConnectionDropped(id);
            let connection = &mut self.connections[id.index()];
            connection.is_hung = true;
            connection.timer = ctx.timer_at(at.max(ctx.now()), priority::KUBELET, event);
            let had_contact = self.nodes[id.index()].has_contact;
            self.refresh_contact(id, ctx);
            return had_contact;
        }
        self.refresh_contact(id, ctx);
        false
    }

    /// Whether a member's API server runs where a node reaches it.
    fn serves(&self, member: usize, node: NodeId) -> bool {
        self.serving[member] == Some(self.island_of_node(node))
    }

    pub(super) fn on_connection_dropped<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.connections[id.index()].is_hung = false;
        self.dial(id, ctx.now());
        self.refresh_contact(id, ctx);
    }

    /// A kubelet without a connection takes the server that the balancer gives it, if there is one.
    fn dial(&mut self, id: NodeId, now: SimTime) {
        let servers: Vec<usize> =
            (0..self.member_count()).filter(|member| self.serves(*member, id)).collect();
        let connection = &mut self.connections[id.index()];
        connection.count += 1;
        let occurrence = connection.count;
        let draw = self.draw(self.tables.node_keys[id.index()], CONNECT, occurrence);
        let connection = &mut self.connections[id.index()];
        connection.member = draw.pick(&servers).copied();
        connection.dialed_at = connection.member.map(|_| now);
    }
}
