//! What is noted of a run: observations as they come, and steps of what objects show.

use std::collections::BTreeMap;

use model_api::{
    AutoscalerId, BudgetId, NodeId, Observation, PodId, ServiceId, SimTime, WorkloadId,
};
use model_kube::cluster::Component;
use sim_kernel::{Causes, EventId, EventRecorder, Recorder};

/// Observations with their times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    pub(crate) observations: Vec<(SimTime, Observation)>,
}

impl Causes for Tape {
    type Link = ();
}

impl Recorder<Observation> for Tape {
    const RECORDS: bool = true;

    fn observe(&mut self, at: SimTime, _: EventId, observation: Observation) {
        self.observations.push((at, observation));
    }
}

impl<E> EventRecorder<E> for Tape {}

/// A value that objects show and that changes in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    /// Ready endpoints of a Service.
    Ready(ServiceId),
    /// Of these, on nodes that are not down.
    Live(ServiceId),
    /// `status` of a budget: healthy pods.
    Healthy(BudgetId),
    /// Pods that it wants healthy.
    HealthyWanted(BudgetId),
    /// Disruptions that it allows.
    Allowed(BudgetId),
    /// `status.currentReplicas` of an autoscaler.
    Current(AutoscalerId),
    /// `status.desiredReplicas`.
    Desired(AutoscalerId),
    /// Average utilization in percent, −1 for none.
    Utilization(AutoscalerId),
    /// `status.availableReplicas` of a Deployment or StatefulSet.
    Available(WorkloadId),
    /// `status.replicas`: pods without a deletionTimestamp.
    Replicas(WorkloadId),
}

/// What the rig notes by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    steps: BTreeMap<Series, Vec<(SimTime, i64)>>,
    /// What was done to nodes, under the name that a summary gives it.
    pub(crate) node_changes: Vec<(SimTime, NodeId, &'static str)>,
    /// Leaders that were killed, and Leases that another replica took over.
    pub(crate) killed_leaders: Vec<(SimTime, Component)>,
    pub(crate) takeovers: Vec<(SimTime, Component)>,
    /// Pods for which others were preempted, since when each.
    pub(crate) nominated: BTreeMap<PodId, SimTime>,
}

impl Notes {
    /// Notes a value, when it is not what it was.
    pub(crate) fn step(&mut self, series: Series, at: SimTime, value: i64) {
        let steps = self.steps.entry(series).or_default();
        match steps.last_mut() {
            Some((_, last)) if *last == value => {}
            Some((last_at, last)) if *last_at == at => *last = value,
            _ => steps.push((at, value)),
        }
    }

    /// The steps of a series.
    pub(crate) fn steps_of(&self, series: Series) -> &[(SimTime, i64)] {
        self.steps.get(&series).map_or(&[], Vec::as_slice)
    }

    /// The value at a moment; nought before the first step.
    pub(crate) fn value_at(&self, series: Series, at: SimTime) -> i64 {
        let steps = self.steps_of(series);
        let behind = steps.partition_point(|(from, _)| *from <= at);
        behind.checked_sub(1).map_or(0, |idx| steps[idx].1)
    }
}
