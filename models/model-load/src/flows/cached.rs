//! What the platform tells of caches before calls, and what it has to know to tell it.

use std::sync::Arc;

use model_api::ServiceId;

use super::{Flows, Input};

impl Flows {
    /// Tells how many of a million requests that a Service works on need its call number `call`, of those in
    /// [`ServiceProfile::depends_on`](model_api::load::ServiceProfile::depends_on).
    pub fn set_needed(&mut self, service: ServiceId, call: usize, needed_ppm: u32) {
        let Some((part, node)) = self.plan.place_of(service) else { return };
        let plan = Arc::clone(&self.plan);
        let graph = &plan.parts[part];
        let twin = graph.nodes[node].twin;
        for caller in graph.nodes_of(&node).iter().copied().chain(twin) {
            if let Some(edge) = graph.edges.of_node[caller].get(call) {
                self.tell(part, Input::Needed(*edge, needed_ppm));
            }
        }
    }

    /// Of a million requests to a Service with a caller that has a cache, how many were answered well when it
    /// was looked at last, as those see it who ask; all where nobody asks.
    pub fn answered_ppm(&self, service: ServiceId) -> u32 {
        let place = self.plan.place_of(service);
        let fluid = place.and_then(|(part, node)| Some((self.parts[part].fluid.as_ref()?, node)));
        let rates = fluid.map(|(fluid, node)| fluid.rates(node)).filter(|it| it.offered > 0);
        rates.map_or(1_000_000, |it| {
            let ppm = u128::from(it.served) * 1_000_000 / u128::from(it.offered);
            u32::try_from(ppm).expect("no more than all")
        })
    }
}
