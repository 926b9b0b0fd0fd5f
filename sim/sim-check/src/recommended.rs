//! What vertical autoscalers recommended.

use std::collections::BTreeMap;

use model_api::{Observation, VerticalAutoscalerId};

/// The CPU that is recommended for one container, in millicores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuRecommendation {
    /// `target`.
    pub target_millis: i64,
    /// `lowerBound`.
    pub lower_millis: i64,
    /// `upperBound`.
    pub upper_millis: i64,
    /// `uncappedTarget`.
    pub uncapped_millis: i64,
}

/// By autoscaler and position of the container.
pub type Recommended = BTreeMap<(VerticalAutoscalerId, u32), CpuRecommendation>;

/// Takes notice of an observation about recommendations.
pub(crate) fn fold(recommended: &mut Recommended, observation: &Observation) {
    if let Observation::CpuRecommended {
        autoscaler,
        container,
        target_millis,
        lower_millis,
        upper_millis,
        uncapped_millis,
    } = *observation
    {
        let recommendation =
            CpuRecommendation { target_millis, lower_millis, upper_millis, uncapped_millis };
        recommended.insert((autoscaler, container), recommendation);
    }
}
