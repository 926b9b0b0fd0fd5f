//! What became of load balancers, in words.

use model_api::SourceRef;
use model_api::observation::GatewayFact;
use report_data::Part;

use super::Story;

impl<E> Story<'_, E> {
    /// A fact in words, with the place of the balancer.
    pub(super) fn gateway_sentence(&self, fact: &GatewayFact) -> (String, Option<SourceRef>) {
        let zone = |id: model_api::ZoneId| self.blueprint.zones[id.index()].name.as_str();
        let node = |id: model_api::NodeId| self.blueprint.nodes[id.index()].node.name.clone();
        let service = |id: model_api::ServiceId| self.blueprint.service_name(id);
        let (balancer, text) = match *fact {
            GatewayFact::Knows { gateway, service: of, live_count, silent_count } => {
                let all = live_count + silent_count;
                let text = format!(
                    "gateway {} chooses from {all} pods of {}, of which {silent_count} do not answer",
                    service(gateway),
                    service(of)
                );
                return (text, self.gateway_place(gateway));
            }
            GatewayFact::RecordJudged { name, service: of, is_answering } => {
                let name = &self.blueprint.names[name as usize];
                let verdict = if is_answering { "answers again" } else { "does not answer" };
                let text = format!(
                    "the checks of {} find that {} {verdict}, and its records change",
                    name.name,
                    service(of)
                );
                return (text, Some(name.origin.object));
            }
            GatewayFact::PodJudged { gateway, service: of, is_healthy, .. } => {
                let verdict = if is_healthy { "healthy again" } else { "unhealthy" };
                let text = format!(
                    "the checks of gateway {} find a pod of {} {verdict}",
                    service(gateway),
                    service(of)
                );
                return (text, self.gateway_place(gateway));
            }
            GatewayFact::MachineLost { balancer, zone: id, is_active: true } => (
                balancer,
                format!("its machine in {} is lost: nobody answers at its address", zone(id)),
            ),
            GatewayFact::MachineLost { balancer, zone: id, .. } => {
                (balancer, format!("its machine in {}, which stood by, is lost", zone(id)))
            }
            GatewayFact::MachineActive { balancer, zone: id } => {
                (balancer, format!("its machine in {} holds its address", zone(id)))
            }
            GatewayFact::MachineGivenUp { balancer, zone: id } => (
                balancer,
                format!("the health manager gives its machine in {} up and has one made", zone(id)),
            ),
            GatewayFact::MachineBuilt { balancer, zone: id } => {
                (balancer, format!("a new machine of it is there in {}", zone(id)))
            }
            GatewayFact::MemberDown { balancer, node: id } => {
                (balancer, format!("its health monitor finds {} down", node(id)))
            }
            GatewayFact::MemberUp { balancer, node: id } => {
                (balancer, format!("its health monitor finds {} well again", node(id)))
            }
            GatewayFact::Led { balancer, member_count, silent_count } => (
                balancer,
                format!("it leads to {member_count} nodes, of which {silent_count} do not answer"),
            ),
        };
        let spec = &self.blueprint.balancers[balancer.index()];
        (format!("load balancer {}: {text}", spec.name), Some(spec.origin.object))
    }
}

impl<E> Story<'_, E> {
    fn gateway_place(&self, gateway: model_api::ServiceId) -> Option<SourceRef> {
        let found = self.blueprint.gateways.iter().find(|it| it.service == gateway)?;
        Some(found.origin.object)
    }
}

/// What the wait for a fact was spent on.
pub(super) fn part(fact: &GatewayFact) -> Part {
    match fact {
        GatewayFact::MachineLost { .. }
        | GatewayFact::MemberDown { .. }
        | GatewayFact::MemberUp { .. }
        | GatewayFact::PodJudged { .. }
        | GatewayFact::RecordJudged { .. }
        | GatewayFact::MachineGivenUp { .. } => Part::Detect,
        GatewayFact::MachineActive { .. } | GatewayFact::Led { .. } | GatewayFact::Knows { .. } => {
            Part::Act
        }
        GatewayFact::MachineBuilt { .. } => Part::Provision,
    }
}
