//! Load balancers: W0210.

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::resolve::BALANCER_ANNOTATIONS;

impl Lint<'_> {
    pub(super) fn gateways(&mut self) {
        for (idx, (service, object)) in self.services().enumerate() {
            let id = model_api::ServiceId::from_index(idx);
            if !service.is_external || self.blueprint.balancer_of(id).is_some() {
                continue;
            }
            let annotations = object.find("metadata.annotations");
            let mut entries =
                annotations.and_then(crate::yaml::Node::entries).into_iter().flatten();
            if let Some(entry) = entries.find(|it| it.key.starts_with(BALANCER_ANNOTATIONS)) {
                let message = format!(
                    "{}: `{}` changes nothing, because no load balancer is simulated before it",
                    object.title(),
                    entry.key
                );
                let help = format!(
                    "add `loadBalancers: [{{service: {}/{}}}]` to the platform or the scenario",
                    service.namespace, service.name
                );
                let diagnostic = Diagnostic::new(Code::W0210, entry.key_span, message);
                self.push(object, diagnostic.help(help));
            }
        }
    }
}
