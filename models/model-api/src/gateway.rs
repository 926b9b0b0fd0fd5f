//! What stands between clients and Services: load balancers, gateways.

use sim_kernel::SimSpan;

use crate::ids::{DatabaseId, ServiceId, WorkloadId, ZoneId};
use crate::parameters::Range;
use crate::source::Origin;

/// A load balancer as Octavia makes one for a Service of type `LoadBalancer`: machines with HAProxy
/// that share an address and lead to nodes of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// Name in reports.
    pub name: String,
    /// The Service that it leads to, whichever node it chooses.
    pub service: ServiceId,
    /// The zone of each machine at the start, that which holds the address first: one
    /// (`topology: SINGLE`) or two (`ACTIVE_STANDBY`).
    pub machine_zones: Vec<ZoneId>,
    /// Zones in which machines may be made in place of others.
    pub zones: Vec<ZoneId>,
    /// The health monitor of its members; nobody looks after them without one.
    pub monitor: Option<HealthMonitor>,
    /// `timeout_member_connect`: how long a node may take to accept a connection.
    pub connect_timeout: SimSpan,
    /// Nodes that a connection tries, one after the other, before it is closed.
    pub try_count: u32,
    /// How the machines watch each other.
    pub vrrp: Vrrp,
    /// How they are watched, and replaced.
    pub failover: Failover,
    /// Where it was written.
    pub origin: Origin,
}

/// How a pool looks after its members: a health monitor of Octavia.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthMonitor {
    /// From the end of one check of a member to the start of the next one.
    pub delay: SimSpan,
    /// How long a member that accepted the connection may take to answer.
    pub timeout: SimSpan,
    /// `max_retries`: checks that must succeed, one after the other, for a member that is down.
    pub rise: u32,
    /// `max_retries_down`: checks that must fail, one after the other, for one that is up.
    pub fall: u32,
}

impl Default for HealthMonitor {
    /// `monitor-delay`, `monitor-timeout`, `monitor-max-retries`, `monitor-max-retries-down` of the cloud
    /// controller manager of OpenStack 1.31 (`using-openstack-cloud-controller-manager.md`).
    fn default() -> Self {
        Self { delay: SimSpan::from_secs(5), timeout: SimSpan::from_secs(3), rise: 1, fall: 3 }
    }
}

/// How two machines agree on which of them holds the address: keepalived, version 2 of VRRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vrrp {
    /// `vrrp_advert_int`: from one advertisement of the machine that holds it to the next.
    pub advert_interval: SimSpan,
    /// Priority of the machine that stands by, of 256 (`ROLE_BACKUP_PRIORITY`): the lower, the later
    /// it takes over.
    pub standby_priority: u32,
}

impl Default for Vrrp {
    /// `octavia/common/config.py` and `octavia/common/constants.py` of Octavia 14.
    fn default() -> Self {
        Self { advert_interval: SimSpan::from_secs(1), standby_priority: 90 }
    }
}

/// How a machine that is lost is noticed and another one made: Octavia's health manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// `heartbeat_interval`: from one message of a machine to the next.
    pub heartbeat_interval: SimSpan,
    /// `heartbeat_timeout`: a machine that was silent for so long is given up.
    pub heartbeat_timeout: SimSpan,
    /// `health_check_interval`: how often the health manager looks.
    pub check_interval: SimSpan,
    /// From the request for a machine until it takes connections, least and most. **Assumption.**
    pub build: Range,
}

impl Default for Failover {
    /// `octavia/common/config.py` of Octavia 14; the time to build is GW-3 of the specification of
    /// platform services.
    fn default() -> Self {
        Self {
            heartbeat_interval: SimSpan::from_secs(10),
            heartbeat_timeout: SimSpan::from_secs(60),
            check_interval: SimSpan::from_secs(3),
            build: Range::millis(60_000, 180_000),
        }
    }
}

impl LoadBalancer {
    /// `timeout_member_connect` of Octavia (`octavia/common/constants.py`, 14).
    pub const CONNECT_TIMEOUT: SimSpan = SimSpan::from_secs(5);
    /// `retries 3` in the configuration that Octavia writes (`base.j2` of its templates), after the
    /// first one; with `option redispatch` and round robin each goes to the next member
    /// (`stream_choose_redispatch`, HAProxy 2.8).
    pub const TRY_COUNT: u32 = 4;
}

/// A gateway that chooses the pods behind it itself: Kong with its ingress controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Its Service.
    pub service: ServiceId,
    /// The workload whose pods bring it what it knows; it always does without one.
    pub controller: Option<WorkloadId>,
    /// The database that keeps its configuration (DB mode), which it asks for changes; its controller brings
    /// it all without one.
    pub database: Option<DatabaseId>,
    /// How often it asks its database (`db_update_frequency`).
    pub poll_period: SimSpan,
    /// Workloads whose pods it is: those that start are not ready before they have a configuration.
    pub workloads: Vec<WorkloadId>,
    /// How often the controller looks for changes (`--proxy-sync-seconds`).
    pub sync_period: SimSpan,
    /// How often workers take over what it brought (`worker_state_update_frequency`).
    pub update_period: SimSpan,
    /// The Services that requests go to through it and whose pods it chooses itself.
    pub upstreams: Vec<GatewayUpstream>,
    /// Where it was written.
    pub origin: Origin,
}

/// A Service behind a gateway: `Service` and `Upstream` of Kong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayUpstream {
    /// Which.
    pub service: ServiceId,
    /// `retries`: tries after the first one.
    pub retries: u32,
    /// `connect_timeout`.
    pub connect_timeout: SimSpan,
    /// `read_timeout`: how long a pod may be silent that took the request.
    pub read_timeout: SimSpan,
    /// `healthchecks.active`.
    pub active: ActiveChecks,
    /// `healthchecks.passive.unhealthy.timeouts`: requests that must time out for a pod to be found
    /// unhealthy; zero switches that off.
    pub passive_timeouts: u32,
}

/// Checks that a gateway makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveChecks {
    /// `healthy.interval`: how often it looks at healthy pods; zero switches that off.
    pub healthy_interval: SimSpan,
    /// `unhealthy.interval`: how often it looks at unhealthy ones; zero switches that off.
    pub unhealthy_interval: SimSpan,
    /// `timeout`: how long a check may take.
    pub timeout: SimSpan,
    /// `unhealthy.timeouts`: checks that must time out; zero counts none.
    pub timeouts: u32,
    /// `healthy.successes`: checks that must succeed; zero counts none.
    pub successes: u32,
}

impl Gateway {
    /// `--proxy-sync-seconds` of Kong Ingress Controller 3 (`internal/dataplane/synchronizer.go`).
    pub const SYNC_PERIOD: SimSpan = SimSpan::from_secs(3);
    /// `db_update_frequency` of Kong 3 (`kong.conf.default`).
    pub const POLL_PERIOD: SimSpan = SimSpan::from_secs(5);
    /// `worker_state_update_frequency` of Kong 3 (`kong.conf.default`).
    pub const UPDATE_PERIOD: SimSpan = SimSpan::from_secs(5);
}

impl GatewayUpstream {
    /// Of a Service with the defaults of Kong 3: `kong/db/schema/entities/services.lua` and
    /// `upstreams.lua`, whose checks are all switched off.
    pub fn of(service: ServiceId) -> Self {
        Self {
            service,
            retries: 5,
            connect_timeout: SimSpan::from_secs(60),
            read_timeout: SimSpan::from_secs(60),
            active: ActiveChecks::default(),
            passive_timeouts: 0,
        }
    }
}

impl Default for ActiveChecks {
    fn default() -> Self {
        Self {
            healthy_interval: SimSpan::ZERO,
            unhealthy_interval: SimSpan::ZERO,
            timeout: SimSpan::from_secs(1),
            timeouts: 0,
            successes: 0,
        }
    }
}
