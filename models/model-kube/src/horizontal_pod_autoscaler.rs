//! How many replicas a HorizontalPodAutoscaler wants.
//!
//! # Modelled
//! One whole reconcile: every kind of metric ([`replica_calculator`]), the highest of several
//! proposals, invalid metrics, scaling to and from zero, then stabilization, rates and limits with
//! `behavior` and without ([`limits`], [`history`]), conditions and events ([`mod@reconcile`]).
//! # Not modelled
//! Texts of conditions; conflicts when the scale is written (upstream retries them).
//! # Defaults and their sources
//! [`Settings`]: kube-controller-manager 1.36, `pkg/controller/podautoscaler/config/v1alpha1/
//! defaults.go`. Everything else: `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go`
//! and `metrics/utilization.go`, 1.36. Gate HPAConfigurableTolerance is on (since 1.35),
//! HPAScaleToZero off.
//! # Invariants
//! The same inputs give the same decision. A rescale stays within `minReplicas` and `maxReplicas`
//! where the target was within them.
//! # Checked against
//! `conformance/hpa-replica-calculator.yaml`, `hpa-behavior.yaml`, `hpa-controller.yaml`; upstream's
//! test tables.

pub mod history;
pub mod limits;
pub mod reconcile;
pub mod replica_calculator;
pub mod request;

pub use history::{History, Recommendation, ScaleEvent};
pub use reconcile::{Condition, Decision, Event, Selector, Target, reconcile};
pub use replica_calculator::{
    ConditionStatus, Measurement, MetricError, PodFacts, PodPhase, Proposal, ReadyCondition,
    Requests, Sample,
};
pub use request::request_of;

use std::cmp::Ordering;

use model_api::kube::{HorizontalPodAutoscaler, ScalingBehavior};
use sim_kernel::SimSpan;

/// Flags of kube-controller-manager and gates that the autoscalers read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `--horizontal-pod-autoscaler-sync-period`: 15 s.
    pub sync_period: SimSpan,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`: 5 min.
    pub downscale_stabilization: SimSpan,
    /// `--horizontal-pod-autoscaler-tolerance`: 0.1.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`: 5 min.
    pub cpu_initialization_period: SimSpan,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`: 30 s.
    pub initial_readiness_delay: SimSpan,
    /// Gate HPAScaleToZero: off.
    pub scales_to_zero: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync_period: SimSpan::from_secs(15),
            downscale_stabilization: SimSpan::from_mins(5),
            tolerance: 0.1,
            cpu_initialization_period: SimSpan::from_mins(5),
            initial_readiness_delay: SimSpan::from_secs(30),
            scales_to_zero: false,
        }
    }
}

/// How far a ratio may be from 1 without a change, in each direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Upwards.
    pub up: f64,
    /// Downwards.
    pub down: f64,
}

impl Tolerances {
    /// Those of an autoscaler: its own, else the flag (`tolerancesForHpa`).
    pub fn of(autoscaler: &HorizontalPodAutoscaler, settings: &Settings) -> Self {
        let own = |read: fn(&ScalingBehavior) -> Option<f64>| {
            autoscaler.behavior.as_ref().and_then(read).unwrap_or(settings.tolerance)
        };
        Self { up: own(|it| it.scale_up.tolerance), down: own(|it| it.scale_down.tolerance) }
    }

    /// Whether a ratio is close enough to 1, both ends included.
    pub fn hold(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }

    /// On which side of 1, and of the tolerances, a ratio is.
    pub fn side(self, ratio: f64) -> (Option<Ordering>, bool) {
        (ratio.partial_cmp(&1.0), self.hold(ratio))
    }
}

/// Go's conversion of a float to `int32` as its compiler does it on amd64: cut to 64 bits (all that
/// do not fit become the least number), of which the low 32 stay.
#[expect(clippy::cast_possible_truncation, reason = "it is what upstream does")]
fn to_int32(value: f64) -> i32 {
    // 2^63 is exact as a float.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let wide = if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN };
    wide as i32
}

/// The same for `int64`.
#[expect(clippy::cast_possible_truncation, reason = "it is what upstream does")]
fn to_int64(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}
