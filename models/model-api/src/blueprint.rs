//! What a platform is: everything that does not change during a run.
//!
//! Built once from the user's files, then shared by all runs behind one `Arc`.

use sim_kernel::SimSpan;

use crate::backup::Protection;
use crate::canary::Canary;
pub use crate::control_plane::{ApiBalancer, ControlPlane};
use crate::dns::{ClusterDns, DnsName};
use crate::gateway::{Gateway, GatewayUpstream, LoadBalancer};
use crate::ids::{DatabaseId, PoolerId, ServiceId, WorkloadId, ZoneId};
use crate::kube::off_peak::Schedule;
use crate::kube::{
    HorizontalPodAutoscaler, Ingress, MadeSecret, Node, PersistentVolumeClaim, PodDisruptionBudget,
    ResourceQuota, SecretProvider, Service, StorageClass, Vault, Version, VerticalPodAutoscaler,
    Webhook, Workload, WorkloadKind,
};
use crate::limiter::Limiter;
use crate::load::{Bursts, Load, ServiceProfile};
use crate::machines::{ClusterAutoscaler, NodeGroup, ShutdownGrace};
use crate::memory::MemoryProfile;
use crate::metric::RequestMetric;
use crate::parameters::Parameters;
use crate::path::{Callee, DeniedCall};
use crate::session::{Stickiness, StickyUpstream};
use crate::source::Origin;
use crate::storage::Pool;
use crate::usage::UsageProfile;

/// An immutable platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blueprint {
    /// Name of the Platform object.
    pub name: String,
    /// Input files, as the user named them; a [`SourceRef`](crate::SourceRef) points in here.
    pub files: Vec<String>,
    /// Region, for example `eu-de-1`.
    pub region: String,
    /// Zones of the region.
    pub zones: Vec<Zone>,
    /// Nodes, workers and control-plane nodes alike, and those that may come during a run.
    pub nodes: Vec<NodeSpec>,
    /// Nodes that come and go.
    pub node_groups: Vec<NodeGroup>,
    /// What makes them come and go; without it no group changes its size.
    pub cluster_autoscaler: Option<ClusterAutoscaler>,
    /// The members of the control plane.
    pub control_plane: ControlPlane,
    /// Workloads, the instances of databases included.
    pub workloads: Vec<Workload>,
    /// Services.
    pub services: Vec<Service>,
    /// What leads to Services from outside.
    pub ingresses: Vec<Ingress>,
    /// Disruption budgets.
    pub budgets: Vec<PodDisruptionBudget>,
    /// Admission webhooks.
    pub webhooks: Vec<Webhook>,
    /// What pods of a namespace may take together.
    pub quotas: Vec<ResourceQuota>,
    /// Horizontal autoscalers.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// Vertical autoscalers.
    pub vertical_autoscalers: Vec<VerticalPodAutoscaler>,
    /// Storage classes.
    pub storage_classes: Vec<StorageClass>,
    /// Claims that exist by themselves.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Secrets that something in the cluster makes.
    pub made_secrets: Vec<MadeSecret>,
    /// Classes of the Secrets Store CSI Driver: what pods mount is read when they start.
    pub secret_providers: Vec<SecretProvider>,
    /// Vaults whose state is looked at; those of which nothing is stated give what they have.
    pub vaults: Vec<Vault>,
    /// Workloads that are small outside of their hours.
    pub off_peak: Vec<OffPeak>,
    /// Deployments whose revisions are tried before they answer all requests, at most one entry
    /// each.
    pub canaries: Vec<Canary>,
    /// Database clusters.
    pub databases: Vec<Database>,
    /// Storage pools that volumes and places for copies stand on; [`PoolId`](crate::PoolId) is the
    /// position.
    pub pools: Vec<Pool>,
    /// Poolers between clients and the primaries of these.
    pub poolers: Vec<Pooler>,
    /// Load balancers before Services; [`BalancerId`](crate::BalancerId) is the position. At most one
    /// a Service.
    pub balancers: Vec<LoadBalancer>,
    /// Gateways that choose pods themselves, at most one entry a Service.
    pub gateways: Vec<Gateway>,
    /// Names that clients find entrances by.
    pub names: Vec<DnsName>,
    /// DNS of the cluster; names of Services are always found without.
    pub cluster_dns: Option<ClusterDns>,
    /// Services whose pods gateways choose by who asks, at most one entry a Service.
    pub stickies: Vec<StickyUpstream>,
    /// Rate limits that gateways keep, whichever of them requests meet.
    pub limiters: Vec<Limiter>,
    /// How data is protected.
    pub protection: Protection,
    /// How each Service serves: at most one entry a Service, in the order of their ids.
    pub profiles: Vec<ServiceProfile>,
    /// What memory pods use, where that is stated: at most one entry a workload. Where there is one,
    /// the pods of all other workloads use what they request; where there is none, memory is not
    /// looked at.
    pub memory: Vec<MemoryProfile>,
    /// What pods use of disks, inodes and process ids, where that is stated: at most one entry for a
    /// workload and resource. Pods of which nothing is stated use none; a resource of which nothing is
    /// stated is not looked at.
    pub usage: Vec<UsageProfile>,
    /// What metrics of requests are that autoscalers read, where that is stated: each name once.
    pub metrics: Vec<RequestMetric>,
    /// Calls among them, and from outside, that network policies deny.
    pub denied: Vec<DeniedCall>,
    /// Requests from outside.
    pub loads: Vec<Load>,
    /// What is random about some of them.
    pub bursts: Vec<Bursts>,
    /// Timers and rates.
    pub parameters: Parameters,
    /// What had to be assumed, for the report.
    pub assumptions: Vec<Assumption>,
}

/// A failure zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Name, the value of `topology.kubernetes.io/zone`.
    pub name: String,
    /// Jurisdiction the hardware stands in, for example `EU`.
    pub jurisdiction: String,
    /// Workers that the provider lets run here at once (its quota); any number when `None`.
    pub node_limit: Option<u32>,
    /// Where it was written.
    pub origin: Origin,
}

/// A node and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeSpec {
    /// The Node object as it is while healthy.
    pub node: Node,
    /// Its zone.
    pub zone: ZoneId,
    /// Carries a control-plane member.
    pub is_control_plane: bool,
    /// Version of its kubelet and kube-proxy, if it is stated.
    pub version: Option<Version>,
    /// What its kubelet does when the machine shuts down.
    pub shutdown_grace: ShutdownGrace,
    /// Where its pool was written.
    pub origin: Origin,
}

/// A workload that opted in to be small outside of its hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffPeak {
    /// Which.
    pub workload: WorkloadId,
    /// Its hours, and its size besides.
    pub schedule: Schedule,
}

/// A database cluster: `postgresql.cnpg.io/v1 Cluster`, or instances that Patroni manages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The workload of kind `DatabaseInstances` whose pods are its instances.
    pub workload: WorkloadId,
    /// Service of the primary (`<name>-rw`).
    pub read_write_service: ServiceId,
    /// Service of the standbys (`<name>-ro`).
    pub read_only_service: ServiceId,
    /// The workload that fails it over (the operator), when the input has one.
    pub operator: Option<WorkloadId>,
    /// `spec.instances`.
    pub instances: u32,
    /// Synchronous replication, `None` when asynchronous.
    pub synchronous: Option<Synchronous>,
    /// What its commits wait for.
    pub commit_wait: CommitWait,
    /// `spec.failoverDelay`.
    pub failover_delay: SimSpan,
    /// `spec.switchoverDelay`: the most that a primary may take to shut down.
    pub switchover_delay: SimSpan,
    /// `spec.smartShutdownTimeout`: how long a primary whose pod is deleted, or that is restarted, waits
    /// for its sessions to end before it ends them.
    pub smart_shutdown: SimSpan,
    /// How its operator brings a change to the primary.
    pub primary_update: PrimaryUpdate,
    /// `spec.enablePDB`: its operator makes a budget for the primary and one for the standbys.
    pub has_budgets: bool,
    /// `spec.nodeMaintenanceWindow` is open and volumes are kept: there is no budget for the standbys.
    pub is_maintained: bool,
    /// `spec.probes.liveness.isolationCheck.enabled`: a primary that reaches neither the API server nor
    /// all other instances stops itself.
    pub has_isolation_check: bool,
    /// How long its liveness probe fails before a primary that is cut off is stopped: what its manifest
    /// says, or [`Parameters::isolation_stop`] when `None`.
    pub isolation_stop: Option<SimSpan>,
    /// `spec.primaryLease.leaseDurationSeconds`, or [`Parameters::primary_lease_duration`] when `None`.
    pub lease_duration: Option<SimSpan>,
    /// `cnpg.io/fencedInstances`: instances whose PostgreSQL is kept off from the start, counted from zero.
    pub fenced: Vec<u8>,
    /// `cnpg.io/hibernation: on`: it has volumes and no instance runs.
    pub is_hibernated: bool,
    /// `cnpg.io/reconciliationLoop: disabled`: its operator does nothing about it.
    pub is_left_alone: bool,
    /// A field that decides who may write to it and that is not modelled: promises about it are not judged.
    pub not_modelled: Option<String>,
    /// Who decides which instance is primary.
    pub manager: DatabaseManager,
    /// WAL written per second at the configured load, in bytes.
    pub wal_bytes_per_second: u64,
    /// Commits per second at the configured load.
    pub commits_per_second: u64,
    /// Services whose requests commit to it: then the load decides at which rate, and the configured
    /// rates say how much write-ahead log a commit makes. Nobody when the rates are what is written.
    pub writers: Vec<Writes>,
    /// Bytes of its data, which an instance with an empty volume copies.
    pub data_bytes: u64,
    /// How many of them a second; `None` where nothing says so.
    pub clone_bytes_per_second: Option<u64>,
    /// Sessions that may commit at a time: `max_connections` without those of the superuser.
    pub session_count: u32,
    /// Where its write-ahead log lies; `None` where nobody looks at how full that is.
    pub wal: Option<WalVolume>,
    /// Where it was written.
    pub origin: Origin,
}

/// `postgresql.cnpg.io/v1 Pooler`: pods of PgBouncer between clients and a primary, or standbys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pooler {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The database.
    pub database: DatabaseId,
    /// Its Deployment.
    pub workload: WorkloadId,
    /// Its Service, which clients ask.
    pub service: ServiceId,
    /// `spec.instances`.
    pub instances: u32,
    /// `server_login_retry`: after a login that failed, nobody tries again for so long.
    pub login_retry: SimSpan,
    /// `query_wait_timeout`: who waits longer for a connection is turned away; `None` never is.
    pub wait_max: Option<SimSpan>,
    /// `spec.type` is `ro` or `r`: it leads to standbys, or to all instances.
    pub leads_to: PoolerTarget,
    /// Connections of each pod to the database: `default_pool_size` and `reserve_pool_size`,
    /// `max_db_connections`, and no more than its share of what PostgreSQL takes.
    pub pool_size: u32,
    /// `spec.pgbouncer.poolMode` is `session`: a client keeps its connection for as long as it stays.
    pub lends_sessions: bool,
    /// Services whose pods stay connected to it, and with how many connections each pod does.
    pub clients: Vec<(ServiceId, u32)>,
    /// `max_client_conn`: clients of each pod.
    pub client_max: u32,
    /// `spec.pgbouncer.paused`: it lends no connection.
    pub is_paused: bool,
    /// Its connections are what bounds it, because nothing is stated of what its requests cost.
    pub is_assumed: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a pooler leads: `spec.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolerTarget {
    /// `rw`: the primary.
    #[default]
    Primary,
    /// `ro`: standbys.
    Standbys,
    /// `r`: any instance.
    Any,
}

/// The volume that holds the write-ahead log of each instance, and what keeps log there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalVolume {
    /// `walStorage.size`, or `storage.size` where the log lies beside the data.
    pub size_bytes: u64,
    /// What of it is taken by data.
    pub data_bytes: u64,
    /// Size of a segment (`walSegmentSize`): a closed one is that large on disk, however little was
    /// written to it.
    pub segment_bytes: u64,
    /// `archive_timeout`: a segment that was begun is closed after that, `None` when only a full one is.
    pub switch_after: Option<SimSpan>,
    /// `wal_keep_size`: log that is there in any case.
    pub least_bytes: u64,
    /// How much is kept for a standby that is not there; `None` keeps all (a replication slot without
    /// `max_slot_wal_keep_size`).
    pub kept_bytes: Option<u64>,
    /// How long it is kept for one; `None` for as long as it takes. Patroni drops the slot of a member that
    /// is away for `member_slots_ttl`.
    pub kept_for: Option<SimSpan>,
}

/// A Service whose requests commit to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writes {
    /// The Service.
    pub service: ServiceId,
    /// The share of its requests that do, in parts per million.
    pub share_ppm: u32,
}

/// How a change that needs a restart comes to the primary, once all standbys have it. The default is
/// that of `api/v1/cluster_types.go`: unsupervised, by a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrimaryUpdate {
    /// `spec.primaryUpdateStrategy: supervised`: somebody has to hand over, or to restart it.
    pub is_supervised: bool,
    /// `spec.primaryUpdateMethod: switchover`: a standby takes over first.
    pub hands_over: bool,
}

/// `spec.postgresql.synchronous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synchronous {
    /// `number`: standbys that must confirm a commit.
    pub number: u32,
    /// `method: any` (a quorum of them) rather than `first` (by priority).
    pub is_any: bool,
    /// `dataDurability: required`: commits wait when too few standbys are there. Otherwise the
    /// requirement shrinks with them.
    pub is_required: bool,
    /// `failoverQuorum`: promote only when the promoted instance is sure to have every commit.
    pub failover_quorum: bool,
}

/// What a commit waits for before its client hears: `synchronous_commit` of PostgreSQL 17, as the cluster
/// sets it for all sessions.
///
/// Source: `doc/src/sgml/config.sgml` and `wal.sgml` ("Asynchronous Commit") of PostgreSQL 17. Simplified:
/// `remote_write` and `remote_apply` are taken as `on`; the first loses in addition what the operating system
/// of a standby had not written when both machines fail, the second waits until a standby replayed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitWait {
    /// For the standbys that synchronous replication asks for, and the own disk.
    #[default]
    Standbys,
    /// `local`: for the own disk, whatever is asked of standbys.
    Disk,
    /// `off`: for nothing.
    Nothing {
        /// How much of what was acknowledged a crash takes at most: three times `wal_writer_delay`.
        unwritten: SimSpan,
    },
}

/// Who decides which instance of a database is primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseManager {
    /// The operator of CloudNativePG, through the API server.
    #[default]
    CloudNativePg,
    /// Patroni beside each instance, through a leader key in a store.
    Patroni(Patroni),
}

/// How Patroni is configured. The defaults are those of `docs/dynamic_configuration.rst`, 3.0.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patroni {
    /// `ttl`: the leader key goes this long after it was last renewed.
    pub ttl: SimSpan,
    /// `loop_wait`: from one turn of the loop to the next.
    pub loop_wait: SimSpan,
    /// `retry_timeout`: how long the store is asked before a primary gives up.
    pub retry_timeout: SimSpan,
    /// `maximum_lag_on_failover`, in bytes of WAL.
    pub maximum_lag_on_failover_bytes: u64,
    /// `primary_start_timeout`: zero prefers a failover to the restart of a crashed primary.
    pub primary_start_timeout: SimSpan,
    /// `synchronous_mode`.
    pub is_synchronous: bool,
    /// `synchronous_mode_strict`: commits wait when there is no standby.
    pub is_strict: bool,
    /// `synchronous_node_count`.
    pub synchronous_node_count: u32,
    /// `failsafe_mode`: a primary goes on without the store while all members answer it.
    pub has_failsafe: bool,
    /// `use_pg_rewind`: an old primary is rewound; otherwise it stays away once it has diverged.
    pub has_rewind: bool,
    /// Where the leader key lies.
    pub store: PatroniStore,
    /// A leader whose lease is gone takes the key back only if nobody else holds it: since 3.0.3
    /// (`patroni/dcs/etcd3.py`, `_update_leader`); before, it overwrote the key.
    pub is_key_guarded: bool,
}

/// Where Patroni keeps its leader key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatroniStore {
    /// In an object of the API server, as the operator of Zalando configures it.
    #[default]
    Kubernetes,
    /// In etcd, one member beside each instance.
    Etcd,
}

impl Default for Patroni {
    fn default() -> Self {
        Self {
            ttl: SimSpan::from_secs(30),
            loop_wait: SimSpan::from_secs(10),
            retry_timeout: SimSpan::from_secs(10),
            maximum_lag_on_failover_bytes: 1_048_576,
            primary_start_timeout: SimSpan::from_secs(300),
            is_synchronous: false,
            is_strict: false,
            synchronous_node_count: 1,
            has_failsafe: false,
            has_rewind: false,
            store: PatroniStore::Kubernetes,
            is_key_guarded: true,
        }
    }
}

/// Something the input left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// What was assumed, as a sentence.
    pub text: String,
    /// Where a user would write it down.
    pub origin: Origin,
    /// It is about which machines there are, so that every decision about places depends on it.
    pub is_about_nodes: bool,
}

/// How requests to a Service are divided by where callers stand, or by who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Division {
    /// Not at all: proxies everywhere use all endpoints.
    #[default]
    Whole,
    /// By zone: endpoints carry hints for zones.
    Zones,
    /// By node: a traffic policy is `Local`, or endpoints carry hints for nodes too.
    Nodes,
    /// By pod: clients stay with the pod that they came to first.
    Pods,
}

impl Blueprint {
    /// How a gateway leads to a Service behind it, where it chooses the pods itself.
    pub fn upstream_of(&self, gateway: ServiceId, service: ServiceId) -> Option<&GatewayUpstream> {
        let found = self.gateways.iter().find(|it| it.service == gateway)?;
        found.upstreams.iter().find(|upstream| upstream.service == service)
    }

    /// The load balancer before a Service.
    pub fn balancer_of(&self, service: ServiceId) -> Option<&LoadBalancer> {
        self.balancers.iter().find(|balancer| balancer.service == service)
    }

    /// The limit that requests of a load meet at the gateway they come in through: its position.
    pub fn limiter_of(&self, load: &Load) -> Option<usize> {
        let ranked = self.limiters.iter().enumerate();
        let ranked = ranked.filter_map(|(idx, limiter)| Some((limiter.rank_for(load)?, idx)));
        // The first of equals.
        ranked.max_by_key(|(rank, idx)| (*rank, std::cmp::Reverse(*idx))).map(|(_, idx)| idx)
    }

    /// Whether network policies deny a call; `caller` is `None` for clients from outside.
    pub fn is_denied(&self, caller: Option<ServiceId>, callee: Callee) -> bool {
        self.denied.contains(&DeniedCall { caller, callee })
    }

    /// How requests to a Service are divided by where callers stand, or by who they are.
    ///
    /// Simplified: a Service whose requests a canary divides is not divided otherwise too, and where
    /// requests are divided by zone or node clients do not stay with a pod.
    pub fn division_of(&self, id: ServiceId) -> Division {
        let service = &self.services[id.index()];
        let is_of_canary = |it: &Canary| it.service == id || it.canary_service == id;
        if self.canaries.iter().any(is_of_canary) {
            Division::Whole
        } else if self.nodes.len() > 1 && service.is_by_node() {
            Division::Nodes
        } else if self.zones.len() > 1 && service.has_hints() {
            Division::Zones
        } else if !self.zones.is_empty() && self.is_sticky(id) {
            Division::Pods
        } else {
            Division::Whole
        }
    }

    /// What keeps the clients of a Service with a pod, of requests that come from a gateway, or not.
    ///
    /// A gateway that chooses pods itself does not know what proxies do, and the other way round.
    pub fn stickiness_of(&self, id: ServiceId, is_from_gateway: bool) -> Option<Stickiness> {
        let service = &self.services[id.index()];
        if is_from_gateway && !service.is_service_upstream {
            let found = self.stickies.iter().find(|sticky| sticky.service == id)?;
            return Some(found.stickiness);
        }
        let timeout = service.session_affinity.filter(|_| !service.is_headless)?;
        Some(Stickiness::Address { timeout })
    }

    /// Whether somebody asks a Service whom something keeps with a pod.
    fn is_sticky(&self, id: ServiceId) -> bool {
        let of_proxies = self.stickiness_of(id, false).is_some();
        let of_gateways = self.stickiness_of(id, true).is_some();
        let comes = |load: &Load| match load.via {
            Some(via) => load.service == id && of_gateways || via == id && of_proxies,
            None => load.service == id && of_proxies,
        };
        self.loads.iter().any(comes)
            || of_proxies && self.profiles.iter().any(|it| it.depends_on.contains(&id))
    }

    /// Pods of a Service that can be there at once and are told apart, where they are: those that come
    /// before others go included.
    pub fn pod_place_count(&self, id: ServiceId) -> usize {
        let service = &self.services[id.index()];
        let selected =
            self.workloads.iter().filter(|it| service.selects(&it.namespace, &it.template.labels));
        let most = |workload: &Workload| match workload.kind {
            WorkloadKind::DaemonSet { .. } => self.nodes.len(),
            _ => {
                let scaled = self.autoscalers.iter().filter(|it| {
                    it.namespace == workload.namespace
                        && it.target.name == workload.name
                        && it.target.kind == workload.kind.name()
                });
                let most = scaled.map(|it| usize::try_from(it.max_replicas).unwrap_or(0)).max();
                most.unwrap_or(0).max(workload.replicas as usize)
            }
        };
        let count: usize = selected.map(most).sum();
        // A quarter more while they are replaced, as `maxSurge` is by default.
        (count + count.div_ceil(4)).clamp(1, Self::POD_PLACES_MAX)
    }

    /// Most pods of a Service that are told apart; more share their places.
    pub const POD_PLACES_MAX: usize = 128;

    /// Whether requests to a Service are divided by where callers stand, or by who they are.
    pub fn is_divided(&self, id: ServiceId) -> bool {
        self.division_of(id) != Division::Whole
    }

    /// By node: whether it is a place for one that may come during the run.
    pub fn spare_nodes(&self) -> Vec<bool> {
        let mut spare = vec![false; self.nodes.len()];
        for node in self.node_groups.iter().flat_map(NodeGroup::spare_nodes) {
            spare[node.index()] = true;
        }
        spare
    }

    /// The workload that a vertical autoscaler looks after.
    pub fn vertical_target(&self, autoscaler: &VerticalPodAutoscaler) -> Option<WorkloadId> {
        let is_target = |workload: &Workload| {
            workload.namespace == autoscaler.namespace
                && workload.name == autoscaler.target.name
                && workload.kind.name() == autoscaler.target.kind
        };
        self.workloads.iter().position(is_target).map(WorkloadId::from_index)
    }

    /// `namespace/name` of a Service.
    pub fn service_name(&self, id: ServiceId) -> String {
        let service = &self.services[id.index()];
        format!("{}/{}", service.namespace, service.name)
    }

    /// `namespace/name` of a workload.
    pub fn workload_name(&self, id: WorkloadId) -> String {
        let workload = &self.workloads[id.index()];
        format!("{}/{}", workload.namespace, workload.name)
    }

    /// `namespace/name` of a pooler.
    pub fn pooler_name(&self, id: PoolerId) -> String {
        let pooler = &self.poolers[id.index()];
        format!("{}/{}", pooler.namespace, pooler.name)
    }

    /// `namespace/name` of a database.
    pub fn database_name(&self, id: DatabaseId) -> String {
        let database = &self.databases[id.index()];
        format!("{}/{}", database.namespace, database.name)
    }

    /// Zone of that name.
    pub fn zone_named(&self, name: &str) -> Option<ZoneId> {
        self.zones.iter().position(|zone| zone.name == name).map(ZoneId::from_index)
    }
}
