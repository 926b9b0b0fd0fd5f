//! Voluntary disruption: what a budget allows and what the eviction API answers.
//!
//! # Modelled
//! `minAvailable`, `maxUnavailable` (counts and percentages), `unhealthyPodEvictionPolicy`, the
//! order of the eviction API's checks.
//! # Not modelled
//! Conflicts of concurrent evictions (upstream retries them); more than 2000 evictions in flight.
//! # Defaults and their sources
//! `pkg/controller/disruption/disruption.go`, `pkg/registry/core/pod/storage/eviction.go`,
//! Kubernetes 1.36.
//! # Invariants
//! A charged eviction leaves at least `desired_healthy` healthy pods.
//! # Checked against
//! `conformance/nodes-pdb.yaml`.

use model_api::kube::{IntOrPercent, UnhealthyPodEvictionPolicy, WorkloadKind};
use sim_kernel::{SimSpan, SimTime};

/// What a budget asks for: one of the two fields of its spec at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// `minAvailable`.
    MinAvailable(IntOrPercent),
    /// `maxUnavailable`.
    MaxUnavailable(IntOrPercent),
    /// Neither. The API server takes such a budget, and its controller expects no pods: it allows no
    /// eviction, ever.
    Nothing,
}

impl Demand {
    /// The demand of a budget.
    pub fn of(budget: &model_api::kube::PodDisruptionBudget) -> Self {
        match (budget.min_available, budget.max_unavailable) {
            (Some(value), _) => Self::MinAvailable(value),
            (None, Some(value)) => Self::MaxUnavailable(value),
            (None, None) => Self::Nothing,
        }
    }

    /// Whether the expected count is the controllers' scale rather than the number of pods.
    pub fn counts_scale(self) -> bool {
        !matches!(self, Self::MinAvailable(IntOrPercent::Int(_)) | Self::Nothing)
    }
}

/// `status` of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    /// `currentHealthy`.
    pub current_healthy: i32,
    /// `desiredHealthy`.
    pub desired_healthy: i32,
    /// `expectedPods`.
    pub expected_pods: i32,
    /// `disruptionsAllowed`.
    pub disruptions_allowed: i32,
}

/// Rounds a share of `total` up; counts are as they are.
fn scaled_up(value: IntOrPercent, total: i32) -> i32 {
    match value {
        IntOrPercent::Int(count) => count,
        IntOrPercent::Percent(percent) => {
            let hundredfold = i64::from(percent) * i64::from(total);
            let rounded = hundredfold.div_euclid(100) + i64::from(hundredfold.rem_euclid(100) > 0);
            i32::try_from(rounded).unwrap_or(i32::MAX)
        }
    }
}

/// The status of a budget (`getExpectedPodCount`, `updatePdbStatus`).
///
/// `pod_count` are all matching pods, terminating and finished ones included; `scale` is the sum over the
/// distinct controllers of those pods; `healthy_count` are Ready ones that are neither terminating
/// nor entered as disrupted.
pub fn status(demand: Demand, pod_count: i32, scale: i32, healthy_count: i32) -> BudgetStatus {
    let expected_pods = match demand {
        Demand::Nothing => 0,
        _ if demand.counts_scale() => scale,
        _ => pod_count,
    };
    let desired_healthy = match demand {
        Demand::MinAvailable(value) => scaled_up(value, expected_pods),
        Demand::MaxUnavailable(value) => (expected_pods - scaled_up(value, expected_pods)).max(0),
        Demand::Nothing => 0,
    };
    let disruptions_allowed = if expected_pods == 0 || healthy_count < desired_healthy {
        0
    } else {
        healthy_count - desired_healthy
    };
    BudgetStatus {
        current_healthy: healthy_count,
        desired_healthy,
        expected_pods,
        disruptions_allowed,
    }
}

/// A controller that has pods which a budget selects, or a bare pod, as far as its status looks at
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered<'a> {
    /// What it is.
    pub kind: &'a WorkloadKind,
    /// `spec.replicas`.
    pub replicas: u32,
    /// Its pods that match, terminating and finished ones included (`getPodsForPdb`).
    pub pod_count: u32,
    /// Those that are Ready and not terminating.
    pub healthy_count: u32,
}

impl Covered<'_> {
    /// What it adds to the expected count: a bare pod nothing; `None` without a `/scale`.
    fn scale(&self) -> Option<u32> {
        match self.kind {
            WorkloadKind::DaemonSet { .. } | WorkloadKind::Job(_) => None,
            WorkloadKind::Pod => Some(0),
            _ => Some(self.replicas),
        }
    }
}

/// A budget counts the scale of a controller that has none, so that its sync fails and it allows
/// nothing (`getExpectedScale`, `failSafe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoScale {
    /// Position of the first such controller.
    pub place: usize,
}

/// The status of a budget from the controllers whose pods it selects (`trySync`).
///
/// # Errors
/// When it counts the scale of a DaemonSet or a Job.
pub fn status_of(demand: Demand, covered: &[Covered<'_>]) -> Result<BudgetStatus, NoScale> {
    let has_none = |it: &Covered<'_>| it.scale().is_none();
    if demand.counts_scale()
        && let Some(place) = covered.iter().position(has_none)
    {
        return Err(NoScale { place });
    }
    let sum = |count: fn(&Covered<'_>) -> u32| {
        let total = covered.iter().map(count).fold(0, u32::saturating_add);
        i32::try_from(total).unwrap_or(i32::MAX)
    };
    let scale = sum(|it| it.scale().unwrap_or(0));
    Ok(status(demand, sum(|it| it.pod_count), scale, sum(|it| it.healthy_count)))
}

/// For how long a pod that the eviction API let go counts as disrupted while it is still there
/// without a deletionTimestamp (`DeletionTimeout`).
pub const DISRUPTED_FOR: SimSpan = SimSpan::from_secs(120);

/// What becomes of an entry of `status.disruptedPods` whose pod exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It stays; whether its pod counts as gone already.
    Kept {
        /// The pod is no healthy one.
        is_gone: bool,
    },
    /// It goes, as the pod is being deleted.
    Done,
    /// It goes, as the pod should have been deleted long ago: event `NotDeleted`.
    Stale,
}

/// Looks at an entry (`buildDisruptedPodMap`, `countHealthyPods`). At the very end of its time an
/// entry is still kept, but its pod is healthy again.
pub fn entry(entered_at: SimTime, is_terminating: bool, now: SimTime) -> Entry {
    let ends_at = entered_at.saturating_add(DISRUPTED_FOR);
    if is_terminating {
        Entry::Done
    } else if now > ends_at {
        Entry::Stale
    } else {
        Entry::Kept { is_gone: now < ends_at }
    }
}

/// What the eviction API looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionRequest {
    /// Pending, finished or already being deleted.
    pub ignores_budgets: bool,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// Budgets that select the pod.
    pub budget_count: usize,
    /// Pods in `status.disruptedPods` of the budget.
    pub disrupted_count: usize,
}

/// Most pods that the eviction API enters in a budget (`MaxDisruptedPodSize`).
const DISRUPTED_MAX: usize = 2000;

/// What the eviction API answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The pod is deleted; no budget is charged.
    Free,
    /// The pod is deleted and the budget has one disruption less.
    Charged,
    /// 429: nothing is left of the budget, or its status is not current.
    TooManyRequests,
    /// 403: the status is not one the API works with.
    Forbidden,
    /// 500: more than one budget selects the pod.
    SeveralBudgets,
}

impl Admission {
    /// HTTP status of the answer.
    pub const fn code(self) -> u16 {
        match self {
            Self::Free | Self::Charged => 201,
            Self::TooManyRequests => 429,
            Self::Forbidden => 403,
            Self::SeveralBudgets => 500,
        }
    }
}

/// Answers an eviction (`EvictionREST.Create`). `status` is that of the one budget, if there is
/// one; `is_current` says that its controller has seen the newest spec.
pub fn admit(
    request: EvictionRequest,
    policy: UnhealthyPodEvictionPolicy,
    status: Option<&BudgetStatus>,
    is_current: bool,
) -> Admission {
    if request.ignores_budgets {
        return Admission::Free;
    }
    if request.budget_count > 1 {
        return Admission::SeveralBudgets;
    }
    let Some(status) = status else { return Admission::Free };
    if !request.is_ready {
        let is_met = status.current_healthy >= status.desired_healthy && status.desired_healthy > 0;
        if policy == UnhealthyPodEvictionPolicy::AlwaysAllow || is_met {
            return Admission::Free;
        }
    }
    if !is_current {
        Admission::TooManyRequests
    } else if status.disruptions_allowed < 0 || request.disrupted_count > DISRUPTED_MAX {
        Admission::Forbidden
    } else if status.disruptions_allowed == 0 {
        Admission::TooManyRequests
    } else {
        Admission::Charged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up_both_ways() {
        let half = IntOrPercent::Percent(50);
        let of = |demand| {
            let status = status(demand, 5, 5, 5);
            (status.desired_healthy, status.disruptions_allowed)
        };
        assert_eq!(of(Demand::MinAvailable(half)), (3, 2));
        assert_eq!(of(Demand::MaxUnavailable(half)), (2, 3));
        assert_eq!(of(Demand::MaxUnavailable(IntOrPercent::Int(9))), (0, 5));
    }

    #[test]
    fn a_share_without_a_rest_is_not_rounded() {
        let half = Demand::MinAvailable(IntOrPercent::Percent(50));
        assert_eq!(status(half, 4, 4, 4).desired_healthy, 2);
        let none = Demand::MinAvailable(IntOrPercent::Percent(0));
        assert_eq!(status(none, 4, 4, 4).desired_healthy, 0);
    }

    #[test]
    fn a_budget_that_expects_no_pods_allows_nothing() {
        let none = Demand::MinAvailable(IntOrPercent::Percent(50));
        let bare = status(none, 2, 0, 2);
        assert_eq!((bare.expected_pods, bare.disruptions_allowed), (0, 0));
    }

    #[test]
    fn a_status_that_is_old_or_full_refuses() {
        let request = |disrupted_count| EvictionRequest {
            ignores_budgets: false,
            is_ready: true,
            budget_count: 1,
            disrupted_count,
        };
        let policy = UnhealthyPodEvictionPolicy::IfHealthyBudget;
        let free = status(Demand::MaxUnavailable(IntOrPercent::Int(2)), 4, 4, 4);
        for (disrupted_count, is_current, answer) in [
            (0, true, Admission::Charged),
            (0, false, Admission::TooManyRequests),
            (2000, true, Admission::Charged),
            (2001, true, Admission::Forbidden),
            (2001, false, Admission::TooManyRequests),
        ] {
            let found = admit(request(disrupted_count), policy, Some(&free), is_current);
            assert_eq!(found, answer, "{disrupted_count} {is_current}");
        }
    }

    #[test]
    fn an_unready_pod_goes_free_while_the_budget_is_met() {
        let request = EvictionRequest {
            ignores_budgets: false,
            is_ready: false,
            budget_count: 1,
            disrupted_count: 0,
        };
        let policy = UnhealthyPodEvictionPolicy::IfHealthyBudget;
        let demand = Demand::MinAvailable(IntOrPercent::Int(3));
        let met = status(demand, 4, 4, 3);
        assert_eq!(admit(request, policy, Some(&met), true), Admission::Free);
        let short = status(demand, 4, 4, 2);
        assert_eq!(admit(request, policy, Some(&short), true), Admission::TooManyRequests);
        let always = UnhealthyPodEvictionPolicy::AlwaysAllow;
        assert_eq!(admit(request, always, Some(&short), true), Admission::Free);
    }
}
