//! Clients that proxies keep with an endpoint: W0320 and W0321.

use model_api::ServiceId;
use model_api::blueprint::Division;

use super::Lint;
use crate::diagnostic::Code;

const FIELD: &str = "spec.sessionAffinity";

impl Lint<'_> {
    pub(super) fn sessions(&mut self) {
        for (service, object) in self.services() {
            if service.session_affinity.is_none() {
                continue;
            }
            let Some(id) = self.id_of(service) else { continue };
            if let Some(why) = self.keeps_nobody(id) {
                let message = format!("{}: it keeps no client with a pod: {why}", object.title());
                self.warn(Code::W0320, object, FIELD, message);
            } else if let Some(who) = self.hides_clients(id) {
                let message = format!(
                    "{}: proxies see the addresses of {who} only, and keep each of these with one pod",
                    object.title()
                );
                self.warn(Code::W0321, object, FIELD, message);
            }
        }
    }

    /// Why the affinity of a Service that is asked for does nothing.
    fn keeps_nobody(&self, id: ServiceId) -> Option<&'static str> {
        let service = &self.blueprint.services[id.index()];
        let loads = || self.blueprint.loads.iter();
        let is_called = self.blueprint.profiles.iter().any(|it| it.depends_on.contains(&id));
        let enters = loads().any(|it| it.via == Some(id) || it.service == id && it.via.is_none());
        let is_behind = loads().any(|load| load.service == id && load.via.is_some());
        if !is_called && !enters && !is_behind {
            return None;
        }
        if service.is_headless {
            return Some("it is headless, so that clients find pods by name");
        }
        if is_behind && !is_called && !enters && !service.is_service_upstream {
            return Some("its gateway chooses the pods itself");
        }
        match self.blueprint.division_of(id) {
            Division::Pods => None,
            Division::Zones | Division::Nodes => {
                Some("a run plays its hints or traffic policies, and not both")
            }
            Division::Whole => Some("a canary divides its requests"),
        }
    }

    /// Who makes the connections that proxies see, in place of the clients.
    fn hides_clients(&self, id: ServiceId) -> Option<&'static str> {
        let service = &self.blueprint.services[id.index()];
        let mut loads = self.blueprint.loads.iter();
        if self.blueprint.balancer_of(id).is_some() {
            return Some("its load balancer");
        }
        let is_behind = loads.any(|load| load.service == id && load.via.is_some());
        (service.is_service_upstream && is_behind).then_some("the pods of its gateway")
    }
}
