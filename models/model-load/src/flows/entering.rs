//! What the platform tells of that which is before Services.

use model_api::ServiceId;

use super::{Flows, Input};
use crate::entrance::Entrance;

impl Flows {
    /// Tells where the load balancer before a Service leads to.
    pub fn set_entrance(&mut self, service: ServiceId, entrance: Entrance) {
        if let Some((part, node)) = self.plan.place_of(service)
            && self.plan.parts[part].nodes[node].door.is_some()
        {
            self.tell(part, Input::Entrance(node, entrance));
        }
    }
}
