//! What vertical autoscalers recommended.

use std::collections::BTreeMap;

use model_api::{Observation, VerticalAutoscalerId};

/// What is recommended of one resource for one container: millicores or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// `target`.
    pub target: i64,
    /// `lowerBound`.
    pub lower: i64,
    /// `upperBound`.
    pub upper: i64,
    /// `uncappedTarget`.
    pub uncapped: i64,
}

/// What is recommended for one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerAmounts {
    /// In millicores.
    pub cpu: Option<Amounts>,
    /// In bytes.
    pub memory: Option<Amounts>,
}

/// By autoscaler and position of the container.
pub type Recommended = BTreeMap<(VerticalAutoscalerId, u32), ContainerAmounts>;

/// Takes notice of an observation about recommendations.
pub(crate) fn fold(recommended: &mut Recommended, observation: &Observation) {
    match *observation {
        Observation::CpuRecommended {
            autoscaler,
            container,
            target_millis: target,
            lower_millis: lower,
            upper_millis: upper,
            uncapped_millis: uncapped,
        } => {
            let amounts = Amounts { target, lower, upper, uncapped };
            recommended.entry((autoscaler, container)).or_default().cpu = Some(amounts);
        }
        Observation::MemoryRecommended {
            autoscaler,
            container,
            target_bytes: target,
            lower_bytes: lower,
            upper_bytes: upper,
            uncapped_bytes: uncapped,
        } => {
            let amounts = Amounts { target, lower, upper, uncapped };
            recommended.entry((autoscaler, container)).or_default().memory = Some(amounts);
        }
        _ => {}
    }
}
