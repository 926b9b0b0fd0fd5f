//! What is surely a mistake, though it can be run: warnings with a number and a place.
//!
//! Each rule has a code (`W01xx`) whose explanation says why it matters and what to do. Objects of a
//! shipped platform are not complained about: who runs a scenario on it cannot change them.

use model_api::fault::FaultPlan;
use model_api::kube::{Labels, Service, Workload, WorkloadKind};
use model_api::{Blueprint, ServiceId};

use crate::diagnostic::{Code, Diagnostic};
use crate::input::Resolved;
use crate::library;
use crate::manifest::{Manifests, Object, Sourced, Tier};

mod autoscalers;
pub(crate) mod backups;
mod black_start;
mod budgets;
mod canaries;
mod capacity;
mod cold_caches;
mod configuration;
mod databases;
mod gateways;
mod hints;
mod misspelt;
mod network_policies;
mod placement;
mod pods;
mod poolers;
mod quotas;
mod references;
mod schedules;
mod selectors;
mod sessions;
mod starts;
pub(crate) mod storage;
mod storms;
mod webhooks;

pub(crate) use placement::may_stand;

/// Runs all rules.
pub(crate) fn run(manifests: &Manifests, resolved: &Resolved, diagnostics: &mut Vec<Diagnostic>) {
    let (blueprint, faults) = (&resolved.blueprint, &resolved.faults);
    let mut lint = Lint { manifests, blueprint, faults, diagnostics };
    lint.selectors();
    lint.budgets();
    lint.canaries();
    lint.placement();
    lint.capacity();
    lint.quotas();
    lint.pods();
    lint.references();
    lint.configuration();
    lint.misspelt();
    lint.schedules();
    lint.databases();
    lint.poolers();
    lint.autoscalers();
    lint.vertical_autoscalers();
    lint.scale_up_delays();
    lint.black_start();
    lint.network_policies();
    lint.hints();
    lint.sessions();
    lint.traffic_policies();
    lint.starts();
    lint.gateways();
    lint.webhooks();
    lint.storms();
    lint.cold_caches();
}

/// What the rules look at.
struct Lint<'a> {
    manifests: &'a Manifests,
    blueprint: &'a Blueprint,
    faults: &'a FaultPlan,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Lint<'a> {
    /// Reports at the key of a field.
    fn warn(&mut self, code: Code, object: &Object, path: &str, message: String) {
        self.push(object, Diagnostic::new(code, object.span(path), message));
    }

    fn push(&mut self, object: &Object, diagnostic: Diagnostic) {
        if self.is_mine(object) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether an object is the user's to change.
    fn is_mine(&self, object: &Object) -> bool {
        let file_idx = object.name_span.at.file_idx as usize;
        let file = self.blueprint.files.get(file_idx).map_or("", String::as_str);
        object.tier != Tier::Platform || !file.starts_with(library::PREFIX)
    }

    fn workloads(&self) -> impl Iterator<Item = (&'a Workload, &'a Object)> + use<'a> {
        let manifests = self.manifests;
        manifests.workloads.iter().map(|it| (&it.value, manifests.object(it)))
    }

    fn services(&self) -> impl Iterator<Item = (&'a Service, &'a Object)> + use<'a> {
        let manifests = self.manifests;
        let is_written = |it: &&'a Sourced<Service>| manifests.object(it).key.kind == "Service";
        manifests.services.iter().filter(is_written).map(|it| (&it.value, manifests.object(it)))
    }

    /// A Service as the run knows it, if it does.
    fn id_of(&self, service: &Service) -> Option<ServiceId> {
        let key = (&service.namespace, &service.name);
        let idx = self.blueprint.services.iter().position(|it| (&it.namespace, &it.name) == key)?;
        Some(ServiceId::from_index(idx))
    }

    /// Services that send requests to pods of a workload.
    fn services_of(&self, workload: &Workload) -> Vec<&'a Service> {
        let services = self.services().map(|(service, _)| service);
        services
            .filter(|service| service.selects(&workload.namespace, &workload.template.labels))
            .collect()
    }
}

/// Whether it keeps a number of like pods that serve.
fn is_replicated(workload: &Workload) -> bool {
    matches!(
        workload.kind,
        WorkloadKind::Deployment { .. }
            | WorkloadKind::ReplicaSet
            | WorkloadKind::StatefulSet { .. }
    )
}

/// `app: web, tier: front`, for messages.
fn listed(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    pairs.join(", ")
}
