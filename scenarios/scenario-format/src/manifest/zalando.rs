//! `acid.zalan.do/v1 postgresql`, read from the tree: a cluster that Patroni manages.
//!
//! # Modelled
//! Instances with node affinity, spread, tolerations, priority, resources and volumes; the Service of
//! the primary, named as the cluster, and `-repl` of the standbys; `spec.patroni`; the volume, which the log
//! can fill (`wal.rs`). The leader key lies
//! in the API server.
//! # Not modelled
//! What the operator's own configuration adds, anti-affinity of pods among it (off by default); its
//! disruption budget; poolers; clones and standby clusters; logical backups.
//! Simplified: instances are numbered from 1, as those of the other operator, and come back side by
//! side, where a StatefulSet with `OrderedReady` waits for the one before.
//! # Defaults and their sources
//! Zalando postgres-operator `docs/reference/{cluster_manifest,operator_parameters}.md`: pods without
//! a readiness probe (`enable_readiness_probe`), `pod_terminate_grace_period` 5 min; labels
//! `application: spilo`, `cluster-name`. Patroni: its own defaults, with `use_pg_rewind`, which Spilo's
//! `configure_spilo.py` sets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use model_api::SimSpan;
use model_api::blueprint::{DatabaseManager, Patroni, PatroniStore, PrimaryUpdate};
use model_api::kube::{Affinity, LabelSelector, PodSpec, Service};

use super::Reader;
use super::pod::Admission;
use super::postgresql::{Parts, service_port};
use crate::units::span_of_secs;

const CLUSTER_LABEL: &str = "cluster-name";
const APPLICATION_LABEL: (&str, &str) = ("application", "spilo");
const ROLE_LABEL: &str = "spilo-role";
const IMAGE: &str = "ghcr.io/zalando/spilo-17";
/// `pod_terminate_grace_period` of the operator.
const TERMINATION_GRACE: SimSpan = SimSpan::from_mins(5);

impl Reader<'_> {
    pub(crate) fn patroni_cluster(&mut self, admission: Admission<'_>) -> Parts {
        let instances = self.instance_count("spec.numberOfInstances");
        let labels = self.spilo_labels();
        let image = self.text("spec.dockerImage").unwrap_or(IMAGE);
        let container = self.instance_container(image);
        let (priority_class_name, priority) =
            self.instance_priority("spec.podPriorityClassName", admission);
        let mut spread = self.instance_spread();
        for constraint in &mut spread {
            // The operator lets a constraint that selects nothing select the pods of the cluster.
            constraint.label_selector.get_or_insert_with(|| LabelSelector {
                match_labels: labels.clone(),
                ..LabelSelector::default()
            });
        }
        let spec = PodSpec {
            containers: vec![container],
            affinity: self.spilo_affinity(),
            tolerations: self.instance_tolerations("spec.tolerations", admission),
            topology_spread_constraints: spread,
            priority,
            priority_class_name,
            termination_grace: TERMINATION_GRACE,
            ..PodSpec::default()
        };
        Parts {
            workload: self.instance_workload(instances, labels, spec),
            services: vec![
                self.spilo_service("", "master"),
                self.spilo_service("-repl", "replica"),
            ],
            claims: self.instance_claims(instances, "spec.volume"),
            instances,
            synchronous: None,
            commit_wait: self.commit_wait(),
            failover_delay: SimSpan::ZERO,
            switchover_delay: SimSpan::MAX,
            smart_shutdown: SimSpan::ZERO,
            primary_update: PrimaryUpdate::default(),
            has_budgets: false,
            is_maintained: false,
            has_isolation_check: false,
            isolation_stop: None,
            lease_duration: None,
            fenced: Vec::new(),
            is_hibernated: false,
            is_left_alone: false,
            not_modelled: self.stands_by(),
            manager: DatabaseManager::Patroni(self.patroni()),
            session_count: self.session_count("spec.postgresql.parameters"),
            log: self.spilo_log(),
        }
    }

    /// `spec.standby`: the leader replays the log of another cluster and takes no writes (`docs/user.md` of
    /// postgres-operator 1.14, setting up a standby cluster).
    fn stands_by(&self) -> Option<String> {
        let standby = self.object.find("spec.standby").filter(|it| !it.is_null())?;
        (!standby.entries().unwrap_or_default().is_empty()).then(|| "spec.standby".to_owned())
    }

    fn patroni(&mut self) -> Patroni {
        let default = Patroni::default();
        let mut secs = |name: &str, least: u32, default: SimSpan| {
            let path = format!("spec.patroni.{name}");
            let secs = self.integer(&path, u32::try_from(default.as_secs()).unwrap_or(u32::MAX));
            if secs < least {
                self.refuse(&path, format!("must be at least {least}, is {secs}"));
            }
            span_of_secs(secs.max(least))
        };
        // The least values are those of Patroni's `docs/dynamic_configuration.rst`.
        let (ttl, loop_wait, retry_timeout) = (
            secs("ttl", 20, default.ttl),
            secs("loop_wait", 1, default.loop_wait),
            secs("retry_timeout", 3, default.retry_timeout),
        );
        let lag = u32::try_from(default.maximum_lag_on_failover_bytes).unwrap_or(u32::MAX);
        Patroni {
            ttl,
            loop_wait,
            retry_timeout,
            maximum_lag_on_failover_bytes: u64::from(
                self.integer("spec.patroni.maximum_lag_on_failover", lag),
            ),
            is_synchronous: self.boolean("spec.patroni.synchronous_mode", false),
            is_strict: self.boolean("spec.patroni.synchronous_mode_strict", false),
            synchronous_node_count: self
                .integer("spec.patroni.synchronous_node_count", default.synchronous_node_count)
                .max(1),
            has_failsafe: self.boolean("spec.patroni.failsafe_mode", false),
            has_rewind: true,
            store: PatroniStore::Kubernetes,
            ..default
        }
    }

    fn spilo_labels(&self) -> BTreeMap<String, String> {
        let (key, value) = APPLICATION_LABEL;
        BTreeMap::from([
            (key.to_owned(), value.to_owned()),
            (CLUSTER_LABEL.to_owned(), self.object.key.name.clone()),
        ])
    }

    fn spilo_affinity(&mut self) -> Affinity {
        let given =
            core::Affinity { node_affinity: self.part("spec.nodeAffinity"), ..Default::default() };
        self.affinity("spec", &given)
    }

    fn spilo_service(&self, suffix: &str, role: &str) -> Service {
        let mut selector = self.spilo_labels();
        selector.insert(ROLE_LABEL.to_owned(), role.to_owned());
        Service {
            namespace: self.object.key.namespace.clone(),
            name: format!("{}{suffix}", self.object.key.name),
            selector,
            ports: vec![service_port()],
            origin: self.origin(),
            ..Service::default()
        }
    }
}
