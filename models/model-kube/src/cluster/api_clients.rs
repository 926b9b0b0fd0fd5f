//! Connections to API servers of those who keep one for long: pods that come through the Service
//! `kubernetes`, and controller managers and schedulers that stand apart from API servers.
//!
//! # Modelled
//! The pods of operators and of the controllers of gateways, where the endpoint reconciler is stated; they
//! dial what the Service lists ([`super::api_service`]). Controllers apart dial through the load balancer,
//! or whichever server answers where none is stated. A server whose process ends closes connections, and
//! who had one dials anew: it is refused as often as it is led to a dead address, and tries again with its
//! next try to renew. A machine that vanishes without a word leaves callers hanging as it does kubelets, for
//! 30 s without a frame and 15 s for a ping; longer than a lease of theirs lasts, so that one that leads
//! ends by itself, starts anew and dials. A server without etcd of its own answers nothing and keeps
//! its connections until it is killed for that.
//! # Not modelled
//! Instances of databases: Patroni asks other servers within its `retry_timeout`, and the instance managers
//! of CloudNativePG are told by their operator. Other pods that ask the API: nothing that a run plays waits
//! for them.
//! # Defaults and their sources
//! `client-go/transport/cache.go` (a dial takes 30 s at most), `apimachinery/pkg/util/net/http.go` (30 s
//! and 15 s), `client-go/rest/request.go` (a request that is refused is not made again by itself), Kubernetes
//! 1.36.
//! # Invariants
//! Who is connected to a server that answers is never cut. Nothing is looked at while no server changes.
//! # Checked against
//! `tests/it/api_service.rs`, `tests/it/controllers_apart.rs`.

use std::collections::BTreeMap;

use model_api::{Blueprint, Observation, PodId, WorkloadId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::connections::{Sight, tell_in_vain};
use super::control_plane::{Component, SERVER_GIVES_UP};
use super::{Cluster, KubeEvent, operators, priority};
use crate::reflector::{DIAL_TIMEOUT, PING_TIMEOUT, READ_IDLE};

const DIAL: Purpose = Purpose::new("caller dials API");

/// From a dial that was refused to the next one: who leads or wants to asks for its lease again after
/// `retryPeriod`, 2 s by default in `component-base/config/v1alpha1/defaults.go`
/// (`RecommendedDefaultLeaderElectionConfiguration`, Kubernetes 1.36) and in controller-runtime 0.22
/// `pkg/manager/manager.go` (`defaultRetryPeriod`).
///
/// **Assumption**: informers, which wait 0.8 s at first (`client-go/tools/cache/reflector.go`), dial no
/// sooner.
const DIALED_AGAIN_AFTER: SimSpan = SimSpan::from_secs(2);

/// Who has a connection to an API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiCaller {
    /// A pod.
    Pod(PodId),
    /// The controller manager or the scheduler of a member, by its number.
    Controller(u32),
}

/// A connection.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    /// The member that it leads to, if it was not refused.
    member: Option<usize>,
    /// It gets no answers.
    is_cut: bool,
    /// Its process waits for the end of its first dial.
    is_starting: bool,
    /// Since when it gets answers.
    served_since: SimTime,
    timer: Timer,
}

/// All of them; none where nothing is stated.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiClients {
    /// Workloads whose pods come through the Service.
    workloads: Vec<WorkloadId>,
    all: BTreeMap<ApiCaller, Client>,
    dial_count: u64,
}

impl ApiClients {
    pub(super) fn at_start(blueprint: &Blueprint) -> Self {
        let is_stated = blueprint.control_plane.endpoint_reconciler.is_some();
        let controllers = blueprint.gateways.iter().filter_map(|it| it.controller);
        let callers = operators::workloads(blueprint).chain(controllers);
        let mut workloads: Vec<WorkloadId> = callers.filter(|_| is_stated).collect();
        workloads.sort_unstable();
        workloads.dedup();
        Self { workloads, ..Self::default() }
    }
}

/// What others ask.
impl Cluster {
    /// The connection of a pod leads to no API server that answers.
    pub fn is_api_client_cut(&self, pod: PodId) -> bool {
        self.is_caller_cut(ApiCaller::Pod(pod))
    }

    /// The connection of a caller leads to no API server that answers.
    pub(super) fn is_caller_cut(&self, caller: ApiCaller) -> bool {
        self.api_clients.all.get(&caller).is_some_and(|client| client.is_cut)
    }

    /// Since when a caller is connected to a server that answers.
    pub(super) fn caller_served_since(&self, caller: ApiCaller) -> SimTime {
        let client = self.api_clients.all.get(&caller);
        client.map_or(SimTime::ZERO, |client| client.served_since)
    }
}

/// Processes that begin and end.
impl Cluster {
    /// Connects everybody who runs at the start.
    pub(super) fn begin_api_clients(&mut self) {
        let members = self.tables.members.iter().enumerate();
        let apart = members.filter(|(_, it)| !it.has_server && it.runs.contains(&true));
        let apart = apart.map(|(idx, _)| u32::try_from(idx).expect("members are few"));
        let mut callers: Vec<ApiCaller> = apart.map(ApiCaller::Controller).collect();
        for workload in &self.api_clients.workloads {
            let pods = self.pods_of(*workload).iter().copied();
            let placed = pods.filter(|pod| self.pods[pod.index()].node.is_some());
            callers.extend(placed.map(ApiCaller::Pod));
        }
        let members = 0..self.tables.members.len();
        let servers: Vec<usize> =
            members.filter(|it| self.tables.members[*it].has_server).collect();
        for caller in callers {
            let draw = self.draw(self.caller_key(caller), DIAL, 0);
            let member = draw.pick(&servers).copied();
            self.api_clients.all.insert(caller, Client { member, ..Client::default() });
        }
    }

    /// The process of a pod begins. Whether it waits for an answer to its first packet, at the end of which
    /// it is called again.
    pub(super) fn dial_at_start<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.api_clients.workloads.contains(&self.pods[id.index()].workload) {
            return false;
        }
        let caller = ApiCaller::Pod(id);
        if let Some(client) = self.api_clients.all.get_mut(&caller).filter(|it| it.is_starting) {
            client.is_starting = false;
            return false;
        }
        self.forget_api_client(id, ctx);
        self.api_clients.all.insert(caller, Client::default());
        self.dial_api(caller, ctx);
        let client = self.api_clients.all.get_mut(&caller).expect("it was put there");
        client.is_starting = client.is_cut && client.member.is_some();
        client.is_starting
    }

    /// The process of a pod ended.
    pub(super) fn forget_api_client<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if let Some(client) = self.api_clients.all.remove(&ApiCaller::Pod(id)) {
            ctx.cancel(client.timer);
        }
    }

    /// A controller apart starts anew: it dials.
    pub(super) fn restart_controller_client<E, R>(
        &mut self,
        member: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let caller = ApiCaller::Controller(u32::try_from(member).expect("members are few"));
        if self.api_clients.all.contains_key(&caller) {
            self.dial_api(caller, ctx);
        }
    }
}

/// Connections in time.
impl Cluster {
    /// API servers, nodes, or what leads to them may have come or gone: looks at every connection anew.
    pub(super) fn refresh_api_clients<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let callers: Vec<ApiCaller> = self.api_clients.all.keys().copied().collect();
        for caller in callers {
            if !self.is_let_through(caller) {
                self.set_api_client(caller, None, None, ctx);
                continue;
            }
            let client = self.api_clients.all[&caller];
            let Some(member) = client.member else {
                if !ctx.is_pending(client.timer) {
                    self.dial_api(caller, ctx);
                }
                continue;
            };
            match self.sight_of_caller(caller, member) {
                Some(Sight::Answers) if client.is_cut => {
                    self.set_api_client(caller, Some(member), None, ctx);
                }
                Some(Sight::Refuses) => self.dial_api(caller, ctx),
                Some(Sight::Silent) if !client.is_cut => {
                    let at = ctx.now() + READ_IDLE + PING_TIMEOUT;
                    self.set_api_client(caller, Some(member), Some(at), ctx);
                }
                Some(Sight::Fails) if !client.is_cut => {
                    let at = ctx.now() + SERVER_GIVES_UP;
                    self.set_api_client(caller, Some(member), Some(at), ctx);
                }
                _ => {}
            }
        }
    }

    /// A caller gives a connection up, or tries again.
    pub(super) fn on_api_client_due<E, R>(&mut self, caller: ApiCaller, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.api_clients.all.contains_key(&caller) {
            self.dial_api(caller, ctx);
        }
    }

    fn caller_key(&self, caller: ApiCaller) -> sim_kernel::EntityKey {
        match caller {
            ApiCaller::Pod(pod) => self.pods[pod.index()].key,
            ApiCaller::Controller(member) => self.tables.members[member as usize].key,
        }
    }

    /// Whether a process of a caller runs, and nothing on its way to the servers is closed.
    fn is_let_through(&self, caller: ApiCaller) -> bool {
        match caller {
            ApiCaller::Pod(pod) => {
                self.pods[pod.index()].node.is_some_and(|it| self.is_running(it))
            }
            ApiCaller::Controller(member) => {
                self.is_at_work(member as usize) && self.is_balancer_open()
            }
        }
    }

    /// What a caller finds at a server; `None` when it is on no node.
    fn sight_of_caller(&self, caller: ApiCaller, server: usize) -> Option<Sight> {
        match caller {
            ApiCaller::Pod(pod) => {
                self.pods[pod.index()].node.map(|node| self.sight_from(server, node))
            }
            ApiCaller::Controller(member) => {
                let (sight, island) = self.serving[server];
                let is_beside = island == self.island_of_member(member as usize);
                Some(if is_beside { sight } else { Sight::Silent })
            }
        }
    }

    /// Servers that a caller may be led to.
    fn servers_dialed_by(&self, caller: ApiCaller) -> Vec<usize> {
        match caller {
            ApiCaller::Pod(_) => self.api_service.listed(),
            ApiCaller::Controller(_) if self.api_pool.is_stated() => self.api_pool.pool().collect(),
            ApiCaller::Controller(_) => self.answering_to(caller),
        }
    }

    /// Servers that answer a caller.
    fn answering_to(&self, caller: ApiCaller) -> Vec<usize> {
        let answers = |it: &usize| self.sight_of_caller(caller, *it) == Some(Sight::Answers);
        (0..self.tables.members.len())
            .filter(|it| self.tables.members[*it].has_server)
            .filter(answers)
            .collect()
    }

    /// A caller dials, and is led to some server.
    fn dial_api<E, R>(&mut self, caller: ApiCaller, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.is_let_through(caller) || self.answering_to(caller).is_empty() {
            // It is told when one answers.
            return self.set_api_client(caller, None, None, ctx);
        }
        let servers = self.servers_dialed_by(caller);
        self.api_clients.dial_count += 1;
        let occurrence = self.api_clients.dial_count;
        let picked = self.draw(self.caller_key(caller), DIAL, occurrence).pick(&servers).copied();
        let now = ctx.now();
        match picked.map(|server| (server, self.sight_of_caller(caller, server))) {
            Some((server, Some(Sight::Answers))) => {
                self.set_api_client(caller, Some(server), None, ctx);
            }
            Some((server, Some(Sight::Silent))) => {
                tell_in_vain(server, ctx);
                self.set_api_client(caller, Some(server), Some(now + DIAL_TIMEOUT), ctx);
            }
            Some((server, Some(Sight::Fails))) => {
                tell_in_vain(server, ctx);
                self.set_api_client(caller, Some(server), Some(now + SERVER_GIVES_UP), ctx);
            }
            _ => {
                if let Some(server) = picked {
                    tell_in_vain(server, ctx);
                }
                self.set_api_client(caller, None, Some(now + DIALED_AGAIN_AFTER), ctx);
            }
        }
    }

    /// A caller has a connection, or none until it dials again.
    fn set_api_client<E, R>(
        &mut self,
        caller: ApiCaller,
        member: Option<usize>,
        dials_at: Option<SimTime>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let client = self.api_clients.all.get_mut(&caller).expect("it has a connection");
        ctx.cancel(client.timer);
        let (was_cut, is_cut) = (client.is_cut, dials_at.is_some() || member.is_none());
        let event = KubeEvent::ApiClientDue(caller);
        let timer = dials_at.map(|at| ctx.timer_at(at, priority::CONTROL_PLANE, event));
        client.member = member;
        client.timer = timer.unwrap_or(Timer::NONE);
        client.is_cut = is_cut;
        if was_cut != is_cut {
            client.served_since = ctx.now();
            self.tell_api_client(caller, is_cut, ctx);
        }
    }

    fn tell_api_client<E, R>(
        &mut self,
        caller: ApiCaller,
        is_cut: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        // An outage of the whole API is told by itself.
        let is_told = self.is_api_available();
        match caller {
            ApiCaller::Pod(pod) => {
                let workload = self.pods[pod.index()].workload;
                self.operators.note_client(workload);
                if is_told {
                    ctx.observe(|| Observation::ApiClientTurned { pod, workload, is_cut });
                }
            }
            ApiCaller::Controller(member) => {
                if is_told && self.is_at_work(member as usize) {
                    ctx.observe(|| Observation::ControllerTurned { member, is_cut });
                }
                for component in Component::ALL {
                    self.review_candidate(component, member as usize, ctx);
                }
            }
        }
    }
}
