//! Progressive delivery in time: the looks of Flagger that find something to do.
//!
//! # Modelled
//! What [`crate::delivery`] decides, once an interval while a revision is tried: the target of a
//! `Canary` starts beside its primary, requests are divided, checks look at what was measured, the
//! primary gets the template, or all goes back to it. A revision that the primary has already is not
//! tried again (`hasSpecChanged` of `pkg/canary/spec.go`).
//! # Not modelled
//! Flagger as a workload that may itself be away: it looks whenever the API answers. Gates and other
//! webhooks: they pass. Changes of ConfigMaps and Secrets. A restored API keeps how far a trial was.
//! # Defaults and their sources
//! Flagger 1.x of 2025: `pkg/controller/{job,scheduler}.go`, `pkg/canary/deployment_{controller,ready}.go`,
//! `pkg/canary/{spec,status}.go`. The phase of each ticker is drawn.
//! # Invariants
//! Nothing happens but while a revision is tried, or after the target's template was changed.
//! # Checked against
//! Timelines worked out by hand, and conservation of what is lost, in both engines (`canaries.rs` among
//! the tests of `platform`).
//!
//! Simplified: whoever deploys changes the template and leaves the size of the target to Flagger. Pods
//! are counted as they are, not as their ReplicaSets told it last; that too few are available is
//! known since the look that found it.

use model_api::canary::Metric;
use model_api::observation::{CanaryFact, CanaryFailure};
use model_api::{Blueprint, CanaryId, Observation, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::templates::{TemplateHealth, TemplateId};
use super::{Cluster, KubeEvent, Notice, priority};
use crate::delivery::{
    Delivery, Effect, Phase, Readiness, Routes, Seen, advance, is_under_way, passes,
};

const TICK: Purpose = Purpose::new("phase of a canary's ticker");

/// How far the trial of a revision is.
#[derive(Clone, Debug)]
pub(super) struct DeliveryState {
    delivery: Delivery,
    /// `status.lastAppliedSpec`: the revision that was seen last.
    applied: TemplateId,
    /// `status.lastPromotedSpec`: the one that the primary has.
    promoted: TemplateId,
    is_look_pending: bool,
    /// Since when too few pods of the primary are available.
    primary_lacks_since: Option<SimTime>,
    /// And of the target.
    target_lacks_since: Option<SimTime>,
    /// What the metrics are at the look that is due, in their order.
    values: Vec<Option<i64>>,
}

impl DeliveryState {
    pub(super) fn all(blueprint: &Blueprint) -> Vec<Self> {
        let state = |target: WorkloadId| Self {
            delivery: Delivery { phase: Phase::Initialized, ..Delivery::default() },
            applied: TemplateId::at_start(target),
            promoted: TemplateId::at_start(target),
            is_look_pending: false,
            primary_lacks_since: None,
            target_lacks_since: None,
            values: Vec::new(),
        };
        blueprint.canaries.iter().map(|canary| state(canary.target)).collect()
    }
}

/// Whether the pods of a Deployment are as it asks for.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// All are of its template, and as many available as must be (`isDeploymentReady`).
    is_ready: bool,
    /// Condition `Available`.
    is_available: bool,
}

impl Cluster {
    /// Where requests to the Service of a canary go.
    pub fn canary_routes(&self, canary: CanaryId) -> Routes {
        self.deliveries[canary.index()].delivery.routes
    }

    /// Tells what the metrics of a canary are now, in the order in which they are stated, before its
    /// [`KubeEvent::DeliveryDue`] is handled.
    pub fn set_canary_values(&mut self, canary: CanaryId, values: Vec<Option<i64>>) {
        self.deliveries[canary.index()].values = values;
    }

    /// Of a million answers of a pod's template, how many are errors.
    pub fn failing_ppm(&self, pod: model_api::PodId) -> u32 {
        match self.tables.template_of(&self.pods[pod.index()]).health {
            TemplateHealth::Failing { ppm } => ppm,
            TemplateHealth::Good | TemplateHealth::NeverReady => 0,
        }
    }

    /// Whether a workload is the target of a canary.
    pub(super) fn canary_of(&self, workload: WorkloadId) -> Option<CanaryId> {
        let position = self.blueprint.canaries.iter().position(|it| it.target == workload)?;
        Some(CanaryId::from_index(position))
    }

    /// The template of a workload was changed: whoever tries its revisions finds that at its next look.
    pub(super) fn expect_delivery_look<E, R>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if let Some(id) = self.canary_of(workload)
            && !self.blueprint.canaries[id.index()].is_suspended
            && !self.deliveries[id.index()].is_look_pending
        {
            self.look_from(id, ctx.now(), ctx);
        }
    }

    fn look_from<E, R>(&mut self, id: CanaryId, from: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let at = self.next_look(id, from);
        self.deliveries[id.index()].is_look_pending = true;
        ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::DeliveryDue(id));
    }

    /// The first tick of a canary at or after a moment.
    fn next_look(&self, id: CanaryId, from: SimTime) -> SimTime {
        let canary = &self.blueprint.canaries[id.index()];
        let key = EntityKey::of("Canary").child(&canary.namespace).child(&canary.name);
        let interval = canary.analysis.effective_interval();
        let phase = self.draw(key, TICK, 0).span_between(SimSpan::ZERO, interval);
        from.next_tick(interval, phase)
    }

    /// Flagger looks at a canary (`advanceCanary`).
    pub(super) fn on_delivery_due<E, R>(&mut self, id: CanaryId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        if self.next_look(id, now) != now {
            // It waited for the API; the tick that met none is over.
            return self.look_from(id, now, ctx);
        }
        self.deliveries[id.index()].is_look_pending = false;
        let blueprint = self.blueprint.clone();
        let canary = &blueprint.canaries[id.index()];
        let values = std::mem::take(&mut self.deliveries[id.index()].values);
        let value = |idx: usize| values.get(idx).copied().flatten();
        let failed = (canary.analysis.metrics.iter().enumerate())
            .map(|(idx, metric)| (metric, value(idx)))
            .find(|(metric, value)| !passes(metric.check, *value));
        let seen = self.sight(id, failed.is_none(), now);
        let before = self.deliveries[id.index()].delivery;
        let (after, effects) = advance(&canary.analysis, before, seen);
        self.deliveries[id.index()].delivery = after;
        self.note_revision(id, before.phase, seen.is_target_changed);
        self.tell_delivery(id, (before, after), failed, seen, ctx);
        for effect in effects {
            self.apply_delivery(id, effect, ctx);
        }
        if after.routes != before.routes {
            self.notify(Notice::RoutesShifted(id));
        }
        if after.phase == Phase::Succeeded && before.phase != Phase::Succeeded {
            let state = &mut self.deliveries[id.index()];
            state.promoted = state.applied;
            let workload = canary.target;
            ctx.observe(|| Observation::RolloutCompleted { workload });
            self.notify(Notice::RolloutCompleted(workload));
        }
        if is_under_way(after.phase) || self.is_target_changed(id) {
            self.look_from(id, now + SimSpan::from_nanos(1), ctx);
        }
    }

    fn is_target_changed(&self, id: CanaryId) -> bool {
        let state = &self.deliveries[id.index()];
        let template = self.template(self.blueprint.canaries[id.index()].target);
        template != state.promoted && template != state.applied
    }

    /// Writes down which revision was seen: where a trial begins, begins anew, or has failed
    /// (`SyncStatus`).
    fn note_revision(&mut self, id: CanaryId, before: Phase, was_changed: bool) {
        let after = self.deliveries[id.index()].delivery.phase;
        let begins = was_changed && after == Phase::Progressing;
        if begins || before == Phase::Failed || after == Phase::Failed {
            let template = self.template(self.blueprint.canaries[id.index()].target);
            self.deliveries[id.index()].applied = template;
        }
    }

    /// What a look finds.
    fn sight(&mut self, id: CanaryId, checks_pass: bool, now: SimTime) -> Seen {
        let blueprint = self.blueprint.clone();
        let canary = &blueprint.canaries[id.index()];
        let analysis = &canary.analysis;
        let state = &self.deliveries[id.index()];
        let (primary_since, target_since) = (state.primary_lacks_since, state.target_lacks_since);
        let (deadline, percent) = (analysis.progress_deadline, analysis.primary_ready_percent);
        let (primary, primary_since) =
            self.side(canary.primary, percent, (primary_since, deadline), now);
        let percent = analysis.canary_ready_percent;
        let (target, target_since) =
            self.side(canary.target, percent, (target_since, deadline), now);
        let state = &mut self.deliveries[id.index()];
        (state.primary_lacks_since, state.target_lacks_since) = (primary_since, target_since);
        Seen {
            is_suspended: canary.is_suspended,
            is_target_changed: self.is_target_changed(id),
            primary,
            canary: target,
            checks_pass,
            may_start: true,
            may_increase: true,
            may_promote: true,
            wants_rollback: false,
        }
    }

    /// Whether the pods of a Deployment are ready, and since when too few of them are available, which
    /// may last until a deadline. A Deployment of no pod is ready: `IsPrimaryReady` means to halt then,
    /// but compares addresses.
    fn side(
        &self,
        id: WorkloadId,
        percent: u32,
        (lacks_since, deadline): (Option<SimTime>, SimSpan),
        now: SimTime,
    ) -> (Readiness, Option<SimTime>) {
        let standing = self.standing(id, percent, now);
        let lacks_since = (!standing.is_available).then(|| lacks_since.unwrap_or(now));
        let is_late = lacks_since.is_some_and(|since| since.saturating_add(deadline) < now);
        let readiness = if self.is_rollout_late(id) {
            Readiness::DeadlineExceeded
        } else if standing.is_ready {
            Readiness::Ready
        } else if is_late {
            Readiness::DeadlineExceeded
        } else {
            Readiness::NotYet
        };
        (readiness, lacks_since)
    }

    fn standing(&self, id: WorkloadId, percent: u32, now: SimTime) -> Standing {
        let state = &self.workloads[id.index()];
        let min_ready = self.blueprint.workloads[id.index()].min_ready;
        let (mut all, mut updated, mut available) = (0_u32, 0_u32, 0_u32);
        for pod in &state.pods {
            let view = &self.pods[pod.index()];
            if view.is_active() && view.created_at <= now {
                all += 1;
                updated += u32::from(view.template == state.template);
                available += u32::from(self.is_available(*pod, min_ready, now));
            }
        }
        let wanted = updated * percent.min(100) / 100;
        let least = u32::try_from(self.min_available(id)).unwrap_or(0);
        Standing {
            is_ready: updated >= state.replicas && all <= updated && available >= wanted,
            is_available: available >= least,
        }
    }

    fn apply_delivery<E, R>(&mut self, id: CanaryId, effect: Effect, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let canary = &self.blueprint.canaries[id.index()];
        let (target, primary, is_scaled) =
            (canary.target, canary.primary, canary.replicas.is_some());
        match effect {
            Effect::ScaleCanaryUp => {
                // `ScaleFromZero`.
                let wanted = canary.replicas.unwrap_or_else(|| self.replicas(primary)).max(1);
                let has_some = self.replicas(target) > 0;
                let replicas = if has_some { self.replicas(target) } else { wanted };
                self.deliveries[id.index()].target_lacks_since = Some(ctx.now());
                self.scale(target, replicas, ctx);
            }
            Effect::ScaleCanaryToZero => self.scale(target, 0, ctx),
            Effect::CopyToPrimary => {
                let template = self.tables.primary_templates[&self.template(target)];
                self.patch_template(template, ctx);
                if !is_scaled {
                    // No autoscaler has a say (`Promote`, since fluxcd/flagger#1106).
                    self.scale(primary, self.replicas(target), ctx);
                }
            }
        }
    }

    fn tell_delivery<E, R>(
        &self,
        id: CanaryId,
        (before, after): (Delivery, Delivery),
        failed: Option<(&Metric, Option<i64>)>,
        seen: Seen,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.blueprint.canaries[id.index()].target;
        let mut tell = |fact| ctx.observe(|| Observation::Canary { workload, fact });
        let is_tried = |phase| matches!(phase, Phase::Progressing | Phase::WaitingPromotion);
        if after.phase == Phase::Progressing && seen.is_target_changed {
            let is_anew = is_tried(before.phase);
            tell(if is_anew { CanaryFact::Restarted } else { CanaryFact::Started });
        }
        if after.failed_checks > before.failed_checks
            && let Some((Metric { kind: metric, .. }, value)) = failed
        {
            let (metric, failed_count) = (*metric, after.failed_checks);
            tell(CanaryFact::CheckFailed { metric, value, failed_count });
        }
        if after.phase != before.phase {
            match after.phase {
                Phase::Promoting => tell(CanaryFact::Promoted),
                Phase::Succeeded => {
                    if before.phase != Phase::Finalising {
                        tell(CanaryFact::Promoted);
                    }
                    tell(CanaryFact::Succeeded);
                }
                Phase::Failed => {
                    let reason = if seen.canary == Readiness::DeadlineExceeded {
                        CanaryFailure::ProgressDeadline
                    } else if seen.primary == Readiness::DeadlineExceeded {
                        CanaryFailure::PrimaryDeadline
                    } else {
                        CanaryFailure::Checks
                    };
                    tell(CanaryFact::RolledBack { reason });
                }
                _ => {}
            }
        }
        if after.routes != before.routes {
            let Routes { canary: weight, mirrored: is_mirrored, .. } = after.routes;
            tell(CanaryFact::Routed { weight, is_mirrored });
        }
    }
}
