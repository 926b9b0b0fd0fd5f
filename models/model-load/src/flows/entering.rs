//! What the platform tells of that which is before Services, and of who asks.

use model_api::ServiceId;
use model_api::dns::Found;
use model_api::limiter::StoreSeen;
use sim_kernel::SimSpan;

use super::{Flows, Input};
use crate::edges::Caller;
use crate::entrance::{Choice, Entrance};
use crate::lookup::News;

impl Flows {
    /// Tells where the load balancer before a Service leads to.
    pub fn set_entrance(&mut self, service: ServiceId, entrance: Entrance) {
        if let Some((part, node)) = self.plan.place_of(service)
            && self.plan.parts[part].nodes[node].door.is_some()
        {
            self.tell(part, Input::Entrance(node, entrance));
        }
    }

    /// Tells which pods of a Service a gateway chooses from, where it chooses them itself.
    pub fn set_choice(&mut self, gateway: ServiceId, service: ServiceId, choice: Choice) {
        let Some((part, node)) = self.plan.place_of(service) else { return };
        let plan = std::sync::Arc::clone(&self.plan);
        let graph = &plan.parts[part];
        for &edge in &graph.edges.to_node[node] {
            let spec = &graph.edges.all[edge];
            let Caller::Gateway(source) = spec.from else { continue };
            let client = &graph.edges.all[graph.edges.sources[source].client];
            if spec.door.is_some() && graph.nodes[client.callee].service == gateway {
                self.tell(part, Input::Choice(edge, choice));
            }
        }
    }

    /// Multiplies what the outside asks of a Service, in thousandths of the curve, reached after
    /// `ramp`, linearly from wherever it is: of each of its loads by what is said of its tenant, if
    /// anything is. Returns how many curves this changes.
    pub fn set_load_factor(
        &mut self,
        service: ServiceId,
        ramp: SimSpan,
        mut factor_milli: impl FnMut(Option<&str>) -> Option<u64>,
    ) -> u32 {
        let Some((part, node)) = self.plan.place_of(service) else { return 0 };
        let plan = std::sync::Arc::clone(&self.plan);
        let mut count = 0;
        for load in &plan.parts[part].nodes[node].loads {
            if let Some(factor_milli) = factor_milli(load.clients.tenant.as_deref()) {
                self.tell(part, Input::Factor(load.source, factor_milli, ramp));
                count += 1;
            }
        }
        count
    }

    /// Tells what becomes of pods of a gateway that ask the store of one of its limiters.
    pub fn set_store(&mut self, limiter: usize, seen: StoreSeen) {
        let plan = std::sync::Arc::clone(&self.plan);
        for (part, graph) in plan.parts.iter().enumerate() {
            for (idx, _) in graph.limits.iter().enumerate().filter(|it| it.1.limiter == limiter) {
                self.tell(part, Input::Store(idx, seen));
            }
        }
    }

    /// Tells clients of a name, who are led to one of its records, what they get to know from now on.
    pub fn hear(&mut self, found: Found, news: News) {
        let plan = std::sync::Arc::clone(&self.plan);
        for (part, graph) in plan.parts.iter().enumerate() {
            let loads = graph.nodes.iter().flat_map(|node| &node.loads);
            for load in loads.filter(|load| load.clients.found == Some(found)) {
                self.tell(part, Input::News(load.source, news));
            }
        }
    }

    /// Tells Services that look up whom they call what they get to know from now on.
    pub fn hear_inside(&mut self, news: News) {
        for part in 0..self.parts.len() {
            if self.plan.parts[part].resolvers.is_some() {
                self.tell(part, Input::Inside(news));
            }
        }
    }

    /// Tells Services that look up whom they call how long that takes from now on.
    pub fn set_look_up(&mut self, takes: SimSpan) {
        for part in 0..self.parts.len() {
            if self.plan.parts[part].resolvers.is_some() {
                self.tell(part, Input::LookUp(takes));
            }
        }
    }
}
