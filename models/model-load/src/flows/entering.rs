//! What the platform tells of that which is before Services.

use model_api::ServiceId;

use super::{Flows, Input};
use crate::edges::Caller;
use crate::entrance::{Choice, Entrance};

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
}
