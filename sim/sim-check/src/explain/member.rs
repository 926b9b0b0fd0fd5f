//! Single members of the control plane and what leads to them, in words.

use model_api::Observation;
use model_api::control_plane::MemberPart;

use super::Story;

impl<E> Story<'_, E> {
    /// A fact about a process of a member, or about the load balancer before the API servers.
    pub(super) fn member_sentence(&self, observation: &Observation) -> String {
        match *observation {
            Observation::MemberTurned { member, part, is_up } => {
                let what = match part {
                    MemberPart::Etcd => "the member of etcd",
                    MemberPart::ApiServer => "the API server",
                };
                let (zone, verb) =
                    (self.member_zone(member), if is_up { "is back" } else { "ends" });
                format!("{what} in {zone} {verb}")
            }
            Observation::EtcdLed { member } => {
                format!("etcd elects its member in {}", self.member_zone(member))
            }
            Observation::ApiServerPooled { member, is_in, after_ns, share_ppm } => {
                let (zone, secs) = (self.member_zone(member), after_ns / 1_000_000_000);
                if is_in {
                    return format!(
                        "the load balancer sends connections to the API server in {zone} again, \
                         {secs} s after it answered"
                    );
                }
                format!(
                    "the load balancer takes the API server in {zone} out, {secs} s after it ceased to \
                     answer: {:.0} % of new connections went there",
                    f64::from(share_ppm) / 10_000.0
                )
            }
            Observation::ApiServerListed { member, is_listed, after_ns, share_ppm } => {
                let (zone, secs) = (self.member_zone(member), after_ns / 1_000_000_000);
                if is_listed {
                    return format!(
                        "the Service kubernetes leads to the API server in {zone} again"
                    );
                }
                format!(
                    "the Service kubernetes leads to the API server in {zone} no more, {secs} s after it \
                     ceased to answer: {:.0} % of connections of pods were led there",
                    f64::from(share_ppm) / 10_000.0
                )
            }
            Observation::ApiClientTurned { workload, is_cut: true, .. } => {
                format!(
                    "a pod of {} is connected to an API server that does not answer",
                    self.blueprint.workload_name(workload)
                )
            }
            Observation::ApiClientTurned { workload, is_cut: false, .. } => {
                format!(
                    "a pod of {} is connected to an API server that answers",
                    self.blueprint.workload_name(workload)
                )
            }
            Observation::ControllerTurned { member, is_cut } => {
                let control_plane = &self.blueprint.control_plane;
                let is_scheduler = control_plane.runs_scheduler(member as usize);
                let what = if is_scheduler { "scheduler" } else { "controller manager" };
                let ends = if is_cut { "does not answer" } else { "answers" };
                let zone = self.member_zone(member);
                format!("the {what} in {zone} is connected to an API server that {ends}")
            }
            Observation::ApiBalancerTurned { is_up: false } => {
                "nobody gets through the load balancer before the API servers".to_owned()
            }
            Observation::ApiBalancerTurned { is_up: true } => {
                "the load balancer before the API servers lets through again".to_owned()
            }
            _ => String::new(),
        }
    }
}
