//! What a Service waited for while control planes were frozen.

use std::collections::BTreeSet;

use model_api::observation::PendingWrite;
use model_api::{BalancerId, DatabaseId, Observation, ServiceId, WorkloadId};
use report_data::Explanation;

use super::Story;
use crate::outage::Outage;

impl<E> Story<'_, E> {
    /// Explains why a Service did not do without its control planes: its longest outage, if it had
    /// one, and every write for it, or for what it needs, that waited.
    pub fn frozen(
        &self,
        run: u64,
        service: ServiceId,
        outage: Option<&Outage>,
    ) -> Option<Explanation> {
        let mut explanation = outage.map_or_else(
            || Explanation { run, steps: Vec::new(), outage_parts: Vec::new() },
            |outage| self.outage(run, service, outage),
        );
        let needed = self.needed_by(service);
        let waits = self.journal.observations().iter().filter(|record| match record.observation {
            Observation::WriteWaits { write } => needed.has(write),
            Observation::FailoverBlocked { database, .. } => needed.databases.contains(&database),
            _ => false,
        });
        explanation.steps.extend(waits.filter_map(|it| self.step(it.at, &it.observation)));
        explanation.steps.sort_by_key(|step| step.at_ns);
        explanation.steps.dedup();
        (!explanation.steps.is_empty()).then_some(explanation)
    }

    /// A write that waits, in words.
    pub(super) fn waiting_sentence(&self, write: PendingWrite) -> String {
        let workload = |id: WorkloadId| self.blueprint.workload_name(id);
        let what = match write {
            PendingWrite::Unready(id) => {
                format!("that pods of {} on silent nodes are not ready", workload(id))
            }
            PendingWrite::Readiness(id) => {
                format!("whether pods of {} are ready", workload(id))
            }
            PendingWrite::Deletion(id) => format!("the deletion of pods of {}", workload(id)),
            PendingWrite::Creation(id) => format!("new pods of {}", workload(id)),
            PendingWrite::Binding(id) => format!("nodes for pods of {}", workload(id)),
            PendingWrite::Scale(id) => {
                format!("what its autoscaler makes of {}", workload(id))
            }
            PendingWrite::Endpoints(id) => {
                format!("the endpoints of {}", self.blueprint.service_name(id))
            }
            PendingWrite::Listing(id) => {
                format!("which pods of {} nodes have that booted", workload(id))
            }
            PendingWrite::Attachment(id) => {
                format!("volumes of pods of {} on other nodes", workload(id))
            }
            PendingWrite::Machines(zone) => {
                format!("new machines in {}", self.blueprint.zones[zone.index()].name)
            }
            PendingWrite::BalancerMachine(id) => {
                let name = &self.blueprint.balancers[id.index()].name;
                format!("another machine for load balancer {name}")
            }
        };
        let whose = match write {
            PendingWrite::Machines(_) | PendingWrite::BalancerMachine(_) => {
                "the control plane of the cloud"
            }
            _ => "the control plane",
        };
        format!("waits for {whose}: {what}")
    }

    /// Everything that answers of a Service need, as its profile says.
    fn needed_by(&self, service: ServiceId) -> Needed {
        let mut needed = Needed::default();
        // Requests come in through gateways, and through load balancers before these.
        let loads = self.blueprint.loads.iter().filter(|load| load.service == service);
        let mut open: Vec<ServiceId> = loads.filter_map(|load| load.via).collect();
        open.push(service);
        while let Some(service) = open.pop() {
            if !needed.services.insert(service) {
                continue;
            }
            let workloads = self.blueprint.workloads.iter().enumerate();
            let spec = &self.blueprint.services[service.index()];
            let behind =
                workloads.filter(|(_, it)| spec.selects(&it.namespace, &it.template.labels));
            needed.workloads.extend(behind.map(|(idx, _)| WorkloadId::from_index(idx)));
            for profile in self.blueprint.profiles.iter().filter(|it| it.service == service) {
                open.extend(profile.depends_on.iter().copied());
                needed.databases.extend(profile.writes_to.iter().copied());
            }
        }
        let balancers = self.blueprint.balancers.iter().enumerate();
        let before = balancers.filter(|(_, it)| needed.services.contains(&it.service));
        needed.balancers = before.map(|(idx, _)| BalancerId::from_index(idx)).collect();
        needed
    }
}

/// What a Service needs.
#[derive(Default)]
struct Needed {
    services: BTreeSet<ServiceId>,
    workloads: BTreeSet<WorkloadId>,
    databases: BTreeSet<DatabaseId>,
    balancers: BTreeSet<BalancerId>,
}

impl Needed {
    /// Whether a write is about it.
    fn has(&self, write: PendingWrite) -> bool {
        match write {
            PendingWrite::Endpoints(service) => self.services.contains(&service),
            PendingWrite::BalancerMachine(balancer) => self.balancers.contains(&balancer),
            // Whose pods would have come to them nobody knows.
            PendingWrite::Machines(_) => true,
            PendingWrite::Unready(workload)
            | PendingWrite::Readiness(workload)
            | PendingWrite::Deletion(workload)
            | PendingWrite::Creation(workload)
            | PendingWrite::Binding(workload)
            | PendingWrite::Listing(workload)
            | PendingWrite::Attachment(workload)
            | PendingWrite::Scale(workload) => self.workloads.contains(&workload),
        }
    }
}
