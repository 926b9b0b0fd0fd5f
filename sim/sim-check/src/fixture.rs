//! What the tests of this crate feed it.

use model_api::backup::{DataSet, DataSetKind};
use model_api::observation::{FlowSegment, LossReason, WAIT_SHAPE_EXPONENTIAL, WaitLaw};
use model_api::{Origin, ServiceId};
use sim_kernel::{SimSpan, SimTime};

/// A stretch of the first Service's requests, which do not wait; rates at its start and its end, in
/// requests per 1000 s.
pub(crate) fn segment(
    (from, until): (SimTime, SimTime),
    offered: [u64; 2],
    served: [u64; 2],
) -> FlowSegment {
    FlowSegment {
        service: ServiceId(0),
        from,
        until,
        offered_from_millirps: offered[0],
        offered_until_millirps: offered[1],
        served_from_millirps: served[0],
        served_until_millirps: served[1],
        limited_from_millirps: 0,
        limited_until_millirps: 0,
        base_latency_ns: 0,
        wait_probability_ppm: 0,
        wait_mean_ns: 0,
        wait_law: WaitLaw::Gamma,
        wait_shape_milli: WAIT_SHAPE_EXPONENTIAL,
        late_ppm: 0,
        late_by_ns: 0,
        late_again_ppm: 0,
        late_times: 1,
        is_piled_up: false,
        loss: if served == offered { LossReason::None } else { LossReason::NoEndpoints },
        counted: None,
    }
}

/// Some data that is kept once.
pub(crate) fn data_set() -> DataSet {
    DataSet {
        name: String::new(),
        kind: DataSetKind::Other,
        zones: Vec::new(),
        is_replicated: false,
        pools: Vec::new(),
        is_on_nodes: false,
        account: String::new(),
        size_bytes: 0,
        written_bytes_per_second: 0,
        volume_bytes_per_second: None,
        live_lag: SimSpan::ZERO,
        restored_after: Vec::new(),
        discovery: SimSpan::ZERO,
        origin: Origin::default(),
    }
}
