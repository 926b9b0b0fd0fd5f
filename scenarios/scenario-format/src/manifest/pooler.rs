//! `postgresql.cnpg.io/v1 Pooler`: PgBouncer between clients and a Cluster.
//!
//! # Modelled
//! Its Deployment (instances, pod template, strategy) and its Service; `type`, `poolMode`, `paused`;
//! `default_pool_size`, `reserve_pool_size`, `max_client_conn`, `max_db_connections`, `query_wait_timeout`
//! and `server_login_retry`.
//! # Not modelled
//! Authentication, `pg_hba`, several databases and users, each of which has a pool of its own; other
//! parameters of PgBouncer; a Service template.
//! # Defaults and their sources
//! CloudNativePG 1.30: `api/v1/pooler_types.go`, `pkg/specs/pgbouncer/{deployments,services}.go`.
//! PgBouncer 1.24, `doc/config.md`: pools of 20, none in reserve, 100 clients, no limit a database, 120 s
//! and 15 s. Simplified: connections in reserve are lent at once, where PgBouncer waits for
//! `reserve_pool_timeout`.

use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model_api::blueprint::PoolerTarget;
use model_api::kube::{Service, Workload};
use model_api::{Origin, SimSpan};

use super::Reader;
use super::pod::Admission;
use super::postgresql::service_port;
use crate::units::span_of_secs;

const LABEL: &str = "cnpg.io/poolerName";
const CONTAINER: &str = "pgbouncer";
const IMAGE: &str = "ghcr.io/cloudnative-pg/pgbouncer";
const PORT: i32 = 5432;
const PARAMETERS: &str = "spec.pgbouncer.parameters";

/// A pooler as far as the models read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooler {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`, which is also that of its Service.
    pub name: String,
    /// `spec.cluster.name`.
    pub cluster: String,
    /// Position of its Deployment in `Manifests::workloads`.
    pub workload_idx: usize,
    /// Position of its Service in `Manifests::services`.
    pub service_idx: usize,
    /// `spec.type`.
    pub leads_to: PoolerTarget,
    /// `spec.instances`.
    pub instances: u32,
    /// `spec.pgbouncer.poolMode` is `transaction` or `statement`: a connection is lent for no longer.
    pub lends_by_transaction: bool,
    /// Connections of one pod to the database, those in reserve included.
    pub pool_size: u32,
    /// `query_wait_timeout`; `None` for ever.
    pub wait_max: Option<SimSpan>,
    /// Clients of one pod.
    pub client_max: u32,
    /// `server_login_retry`.
    pub login_retry: SimSpan,
    /// `spec.pgbouncer.paused`.
    pub is_paused: bool,
    /// Where it was written.
    pub origin: Origin,
}

impl Reader<'_> {
    /// The Deployment and the Service that the operator makes of a Pooler.
    pub(crate) fn pooler_parts(&mut self, admission: Admission<'_>) -> (Workload, Service) {
        let given: Option<core::PodTemplateSpec> = self.part("spec.template");
        let strategy: Option<DeploymentStrategy> = self.part("spec.deploymentStrategy");
        let name = self.object.key.name.clone();
        let mut template = given.unwrap_or_default();
        let labels = &mut template.metadata.get_or_insert_default().labels;
        labels.get_or_insert_default().insert(LABEL.to_owned(), name.clone());
        let containers = &mut template.spec.get_or_insert_default().containers;
        if !containers.iter().any(|container| container.name == CONTAINER) {
            containers.push(core::Container { name: CONTAINER.to_owned(), ..Default::default() });
        }
        for container in containers.iter_mut().filter(|it| it.name == CONTAINER) {
            container.image.get_or_insert_with(|| IMAGE.to_owned());
            container.readiness_probe.get_or_insert_with(|| core::Probe {
                tcp_socket: Some(core::TCPSocketAction {
                    port: IntOrString::Int(PORT),
                    ..Default::default()
                }),
                timeout_seconds: Some(5),
                ..Default::default()
            });
        }
        let selector = LabelSelector {
            match_labels: Some([(LABEL.to_owned(), name.clone())].into()),
            ..Default::default()
        };
        let instances = i32::try_from(self.integer("spec.instances", 1)).unwrap_or(i32::MAX);
        let spec = DeploymentSpec {
            replicas: Some(instances),
            selector,
            strategy,
            template,
            ..Default::default()
        };
        let service = Service {
            namespace: self.object.key.namespace.clone(),
            name: name.clone(),
            selector: [(LABEL.to_owned(), name)].into(),
            ports: vec![service_port()],
            origin: self.origin(),
            ..Service::default()
        };
        (self.deployment(&spec, admission), service)
    }

    /// What PgBouncer does.
    pub(crate) fn pooler(&mut self, workload_idx: usize, service_idx: usize) -> Pooler {
        let kind = self.text("spec.type");
        let kinds = [
            ("rw", PoolerTarget::Primary),
            ("ro", PoolerTarget::Standbys),
            ("r", PoolerTarget::Any),
        ];
        let mode = self.text("spec.pgbouncer.poolMode");
        let modes = [("session", false), ("transaction", true), ("statement", true)];
        let reserve = self.pgbouncer_number("reserve_pool_size", 0);
        let pool_size = self.pgbouncer_number("default_pool_size", 20).saturating_add(reserve);
        let wait_max = self.pgbouncer_number("query_wait_timeout", 120);
        let per_database = self.pgbouncer_number("max_db_connections", 0);
        Pooler {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            cluster: self.text("spec.cluster.name").unwrap_or_default().to_owned(),
            workload_idx,
            service_idx,
            leads_to: self.choice("spec.type", kind, PoolerTarget::Primary, &kinds),
            instances: self.integer("spec.instances", 1),
            lends_by_transaction: self.choice("spec.pgbouncer.poolMode", mode, false, &modes),
            pool_size: match per_database {
                0 => pool_size,
                most => pool_size.min(most),
            },
            wait_max: (wait_max > 0).then(|| span_of_secs(wait_max)),
            client_max: self.pgbouncer_number("max_client_conn", 100),
            login_retry: span_of_secs(self.pgbouncer_number("server_login_retry", 15)),
            is_paused: self.boolean("spec.pgbouncer.paused", false),
            origin: self.origin(),
        }
    }

    /// A parameter of PgBouncer: text that is a whole number.
    fn pgbouncer_number(&mut self, name: &str, default: u32) -> u32 {
        let path = format!("{PARAMETERS}.{name}");
        let Some(text) = self.text(&path) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            self.refuse(&path, "must be a whole number, 0 or more");
            default
        })
    }
}
