//! Load balancers and gateways: what stands between clients and Services.

use model_api::SimSpan;
use model_api::limiter::LimitBy;
use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;
use crate::units::Share;

record! {
    /// A load balancer before a Service of type LoadBalancer, as Octavia makes one: machines that share an address and lead to the nodes of the cluster. Annotations `loadbalancer.openstack.org/…` of the Service count besides.
    pub struct LoadBalancerSpec("a load balancer") {
        /// The Service that it leads to, as `namespace/name`.
        service: Spanned<String>,
        /// Name in reports and faults; that of the Service when left out.
        name: Option<Spanned<String>>,
        /// `single`, which is the default of Octavia, or `activeStandby`: a second machine takes over.
        topology: Option<Spanned<Topology>>,
        /// Zones that its machines may stand in, one after the other; all when left out.
        zones: Vec<Spanned<String>>,
        /// The health monitor of its nodes, as `create-monitor` of the cloud controller manager makes one; none when left out, unless the Service asks for it.
        monitor: Option<MonitorSpec>,
        /// How long a node may take to accept a connection (`timeout_member_connect`); 5s when left out.
        connect_timeout: Option<Spanned<SimSpan>>,
        /// How lost machines are replaced.
        failover: Option<FailoverSpec>,
    }
}

record! {
    /// A health monitor.
    pub struct MonitorSpec("monitor") {
        /// From one check of a node to the next; 5s when left out.
        delay: Option<Spanned<SimSpan>>,
        /// How long a node may take to answer; 3s when left out.
        timeout: Option<Spanned<SimSpan>>,
        /// Checks that must succeed for a node that is down; 1 when left out.
        max_retries: Option<Spanned<u32>>,
        /// Checks that must fail for a node that is up; 3 when left out.
        max_retries_down: Option<Spanned<u32>>,
    }
}

record! {
    /// How lost machines of a load balancer are noticed and replaced.
    pub struct FailoverSpec("failover") {
        /// `heartbeat_timeout`: a machine that was silent for so long is given up; 60s when left out.
        heartbeat_timeout: Option<Spanned<SimSpan>>,
        /// From the request for a machine until it takes connections, least; 60s when left out.
        build_least: Option<Spanned<SimSpan>>,
        /// The same, most; 180s when left out.
        build_most: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// A gateway that chooses the pods behind it itself, as Kong with its ingress controller does. Annotations `konghq.com/…` of Services behind it, and a KongUpstreamPolicy that they name, count besides.
    pub struct GatewaySpec("a gateway") {
        /// The Service of the gateway, which loads name as `via`.
        service: Spanned<String>,
        /// The workload whose pods tell it of endpoints, as `namespace/name`; when left out, somebody always does. Without a database, pods of the gateway that start are not ready before it brings them everything.
        controller: Option<Spanned<String>>,
        /// The database that keeps its configuration (DB mode), as `namespace/name`; when left out, its controller brings it all (DB-less).
        database: Option<Spanned<String>>,
        /// How often it asks its database for changes (`db_update_frequency`); 5s when left out.
        database_poll_period: Option<Spanned<SimSpan>>,
        /// How often the controller looks for changes; 3s when left out.
        sync_period: Option<Spanned<SimSpan>>,
        /// How often the workers of the gateway take over what it brought; 5s when left out.
        update_period: Option<Spanned<SimSpan>>,
        /// Pods that a request tries after the first one; 5 when left out.
        retries: Option<Spanned<u32>>,
        /// How long a pod may take to accept a connection; 60s when left out.
        connect_timeout: Option<Spanned<SimSpan>>,
        /// How long a pod may be silent that took a request; 60s when left out.
        read_timeout: Option<Spanned<SimSpan>>,
        /// Rate limits that it keeps, as Kong's plugin `rate-limiting` does; KongPlugins of that name that annotations of Services, Ingresses, HTTPRoutes and KongConsumers name count besides. A request meets the most particular of them.
        rate_limits: Vec<RateLimitsSpec>,
        /// TLS that it ends: handshakes take CPU time of its pods, besides `cpuPerRequest`; nothing when left out.
        tls: Option<TlsSpec>,
    }
}

record! {
    /// Requests that a gateway lets through in each second, minute, hour, day, month or year of the calendar.
    pub struct RateLimitsSpec("rate limits of a gateway") {
        /// Name in reports; what it is for when left out.
        name: Option<Spanned<String>>,
        /// For requests to this Service only, as `namespace/name`; to all behind the gateway when left out.
        service: Option<Spanned<String>>,
        /// For requests of this tenant only, as a load names it; of everybody when left out.
        tenant: Option<Spanned<String>>,
        /// Requests in each second.
        second: Option<Spanned<u64>>,
        /// Requests in each minute.
        minute: Option<Spanned<u64>>,
        /// Requests in each hour.
        hour: Option<Spanned<u64>>,
        /// Requests in each day.
        day: Option<Spanned<u64>>,
        /// Requests in each month.
        month: Option<Spanned<u64>>,
        /// Requests in each year.
        year: Option<Spanned<u64>>,
        /// Whose requests are counted together (`limit_by`): those of a `consumer` (a tenant), which is the default, of a `credential`, to a `service`, from an `ip`, with the same `header` or `path`. Requests without a tenant are counted by address.
        limit_by: Option<Spanned<LimitByName>>,
        /// Who counts: each pod for itself (`local`, the default), all in the database of the gateway (`cluster`), or in a Redis (`redis`).
        policy: Option<Spanned<LimitPolicy>>,
        /// Where they count: the Service of the Redis, or the database, as `namespace/name`; somewhere that never fails when left out.
        store: Option<Spanned<String>>,
        /// How long a pod waits for a store that says nothing; 2s for a Redis and 5s for a database when left out.
        timeout: Option<Spanned<SimSpan>>,
        /// How often a pod tells the Redis what it counted and asks it again (`sync_rate`); with every request when left out.
        sync_rate: Option<Spanned<SimSpan>>,
        /// Which share of the requests opens a connection to the store in place of one that is kept open, and so may be led to a pod of it that is dead; none when left out.
        new_connections: Option<Spanned<Share>>,
        /// Whether requests pass while the store does not answer, which is the default, or get an error.
        fault_tolerant: Option<bool>,
    }
}

record! {
    /// TLS 1.3 that ends at a gateway.
    pub struct TlsSpec("tls") {
        /// The key of its certificate: `ecdsa`, which is the default, or `rsa`, whose signatures cost more.
        certificate: Option<Spanned<CertificateKey>>,
        /// Requests that a client makes over one connection, in the mean; 1 when left out: nobody keeps one alive.
        requests_per_connection: Option<Spanned<u32>>,
        /// CPU time of one handshake; 250us with an ECDSA key and 600us with an RSA key when left out.
        handshake_cpu: Option<Spanned<SimSpan>>,
        /// Connections that clients keep open. Those through a pod of the gateway that is lost, and all when its load balancer fails over, are made anew with the next request of each client, which costs a handshake besides; nothing when left out.
        connections: Option<Spanned<u64>>,
    }
}

/// `limit_by` of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitByName(pub LimitBy);

impl FromText for LimitByName {
    const EXPECTED: &'static str = "consumer, credential, service, ip, header or path";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "consumer" | "credential" => Ok(Self(LimitBy::Tenant)),
            "service" | "path" => Ok(Self(LimitBy::Service)),
            "ip" | "header" => Ok(Self(LimitBy::Address)),
            "consumer-group" => Err("groups of consumers are not modelled".to_owned()),
            _ => Err("is nothing that the plugin counts by".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["consumer", "credential", "service", "ip", "header", "path"]})
    }
}

/// `policy` of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitPolicy {
    /// Each pod for itself.
    Local,
    /// In the database of the gateway.
    Cluster,
    /// In a Redis.
    Redis,
}

impl FromText for LimitPolicy {
    const EXPECTED: &'static str = "local, cluster or redis";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "cluster" => Ok(Self::Cluster),
            "redis" => Ok(Self::Redis),
            _ => Err("is no policy of the plugin".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["local", "cluster", "redis"]})
    }
}

/// The key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKey {
    /// On the curve P-256.
    Ecdsa,
    /// Of 2048 bits.
    Rsa,
}

impl FromText for CertificateKey {
    const EXPECTED: &'static str = "ecdsa or rsa";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "ecdsa" => Ok(Self::Ecdsa),
            "rsa" => Ok(Self::Rsa),
            _ => Err("is no kind of key whose cost is known".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["ecdsa", "rsa"]})
    }
}

/// How many machines a load balancer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One.
    Single,
    /// Two, of which one stands by.
    ActiveStandby,
}

impl FromText for Topology {
    const EXPECTED: &'static str = "single or activeStandby";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "single" | "SINGLE" => Ok(Self::Single),
            "activeStandby" | "ACTIVE_STANDBY" => Ok(Self::ActiveStandby),
            _ => Err("is no topology of a load balancer".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["single", "activeStandby", "SINGLE", "ACTIVE_STANDBY"]})
    }
}
