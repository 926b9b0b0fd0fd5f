//! API servers that run and are flooded or slow, in words.

use model_api::Observation;
use model_api::fault::Leading;

use super::Story;

impl<E> Story<'_, E> {
    /// A fact about requests that the API servers do not let through, or late.
    pub(super) fn strained_sentence(&self, observation: &Observation) -> String {
        match *observation {
            Observation::ApiOverloaded { level, crowded_ppm, refused_ppm, wait_ns } => {
                let percent = |ppm: u32| f64::from(ppm) / 10_000.0;
                let whose = match crowded_ppm {
                    1_000_000 => String::new(),
                    ppm => format!(" of {:.1} % of its flows", percent(ppm)),
                };
                format!(
                    "API servers refuse {:.1} % of the requests of level {}{whose}, and let the rest wait for {} ms",
                    percent(refused_ppm),
                    level.name(),
                    wait_ns / 1_000_000
                )
            }
            Observation::ApiSlowed { latency_ns: 0 } => "the API stores as fast as ever".to_owned(),
            Observation::ApiSlowed { latency_ns } => {
                format!("each write to the API takes {} ms longer", latency_ns / 1_000_000)
            }
            Observation::ApiRelieved => "API servers let all requests through again".to_owned(),
            Observation::LeaderStalled { of } => {
                let of = match of {
                    Leading::ControllerManager => "controller manager",
                    Leading::Scheduler => "scheduler",
                    Leading::Etcd => "etcd",
                };
                format!("the leading {of} cannot renew its lease at the API servers")
            }
            Observation::LeaseStalled { node } => {
                let name = &self.blueprint.nodes[node.index()].node.name;
                format!("the kubelet of {name} cannot renew its lease at the API servers")
            }
            _ => String::new(),
        }
    }
}
