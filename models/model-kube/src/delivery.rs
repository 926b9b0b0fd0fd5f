//! Progressive delivery: canary and blue/green with rollback, one step per interval.
//!
//! # Modelled
//! A new revision starts beside the primary and is analyzed once per interval; traffic shifts by
//! equal steps, by listed weights, by mirroring, or at once after so many iterations (blue/green);
//! gates that people or tests open; failed checks up to a threshold; the progress deadline; rollback;
//! a newer revision in the middle; promotion, at once or in steps, only after the primary runs the
//! new revision; suspension.
//! # Not modelled
//! A/B tests by header, session affinity, alerts and events.
//! # Defaults and their sources
//! Flagger 1.x of 2025, the controller used with Flux: `pkg/apis/flagger/v1beta1/canary.go`
//! (interval 60 s and never under 10 s, progress deadline 600 s, threshold 1, total weight 100),
//! `pkg/controller/scheduler.go` (order of steps, [`advance`]; a primary past its deadline rolls back
//! since fluxcd/flagger#1603). [`Analysis`] holds them. What drives it in time is
//! `cluster/deliveries.rs`.
//! # Invariants
//! Weights add up to the total. The weight of the canary never falls while it is analyzed, but to
//! nothing. Weight is only ever given to a side whose pods are ready, or back to the primary, which
//! keeps its old revision until the analysis has passed. Whatever fails ends with all traffic on the
//! primary; before promotion, with the primary unchanged.
//! # Checked against
//! `scheduler_deployment_test.go` of Flagger, retold as tests; property tests.

mod analysis;
mod weights;

pub use analysis::passes;
pub use weights::{max_weight, next_step};

use model_api::canary::{Analysis, TOTAL_WEIGHT};

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are Flagger's")]
pub enum Phase {
    #[default]
    Initializing,
    Initialized,
    Waiting,
    Progressing,
    WaitingPromotion,
    Promoting,
    Finalising,
    Succeeded,
    Failed,
}

/// Where requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    /// Weight of the primary.
    pub primary: u32,
    /// Weight of the canary.
    pub canary: u32,
    /// Requests to the primary are copied to the canary.
    pub mirrored: bool,
}

impl Routes {
    /// All to the primary.
    pub const PRIMARY: Self = Self { primary: TOTAL_WEIGHT, canary: 0, mirrored: false };
    /// All to the canary.
    pub const CANARY: Self = Self { primary: 0, canary: TOTAL_WEIGHT, mirrored: false };
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where in the order of steps.
    pub phase: Phase,
    /// Where requests go.
    pub routes: Routes,
    /// How many checks failed.
    pub failed_checks: u32,
    /// How many checks of a blue/green delivery passed.
    pub iterations: u32,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            phase: Phase::Initializing,
            routes: Routes::PRIMARY,
            failed_checks: 0,
            iterations: 0,
        }
    }
}

/// Whether the pods of a side are ready (`isDeploymentReady`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All of them.
    Ready,
    /// Not yet.
    NotYet,
    /// Not yet, and the progress deadline is over.
    DeadlineExceeded,
}

/// What a step sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `spec.suspend`.
    pub is_suspended: bool,
    /// The target differs from the revision that was seen last.
    pub is_target_changed: bool,
    /// Whether the primary runs its whole revision and is ready.
    pub primary: Readiness,
    /// Whether the canary does and is.
    pub canary: Readiness,
    /// All metrics and external checks passed over the last interval; see [`passes`].
    pub checks_pass: bool,
    /// Hooks `confirm-rollout` and `pre-rollout` passed.
    pub may_start: bool,
    /// Hooks `confirm-traffic-increase` passed.
    pub may_increase: bool,
    /// Hooks `confirm-promotion` passed.
    pub may_promote: bool,
    /// A hook `rollback` asks for it.
    pub wants_rollback: bool,
}

/// What a step does beside the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The canary starts, with the revision of the target.
    ScaleCanaryUp,
    /// The canary stops.
    ScaleCanaryToZero,
    /// The primary gets the canary's template and begins to roll.
    CopyToPrimary,
}

/// One step (`advanceCanary`): the delivery after it, and what is to be done. Meant to be called
/// once per [`Analysis::effective_interval`] while [`is_under_way`] or the target has changed.
pub fn advance(analysis: &Analysis, delivery: Delivery, seen: Seen) -> (Delivery, Vec<Effect>) {
    let mut step = Step { analysis, delivery, effects: Vec::new() };
    if !seen.is_suspended {
        step.take(seen);
    }
    (step.delivery, step.effects)
}

/// Whether steps are due even when nothing changes.
pub fn is_under_way(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Initializing
            | Phase::Waiting
            | Phase::Progressing
            | Phase::WaitingPromotion
            | Phase::Promoting
            | Phase::Finalising
    )
}

struct Step<'a> {
    analysis: &'a Analysis,
    delivery: Delivery,
    effects: Vec<Effect>,
}

impl Step<'_> {
    fn take(&mut self, seen: Seen) {
        if self.delivery.phase == Phase::Initializing {
            if !self.analysis.is_skipped && !self.has_primary(seen) {
                return;
            }
            self.delivery = Delivery { phase: Phase::Initialized, ..Delivery::default() };
        }
        if !seen.is_target_changed && !is_under_way(self.delivery.phase) {
            return;
        }
        if !self.analysis.is_skipped && !self.has_primary(seen) {
            return;
        }
        if !matches!(
            self.delivery.phase,
            Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising
        ) {
            self.start(seen);
            return;
        }
        let is_analyzed =
            matches!(self.delivery.phase, Phase::Progressing | Phase::WaitingPromotion);
        if is_analyzed && seen.is_target_changed {
            // A newer revision: the canary rolls to it, and everything begins again.
            self.delivery = Delivery { phase: Phase::Progressing, ..Delivery::default() };
            return;
        }
        match seen.canary {
            Readiness::Ready => {}
            Readiness::NotYet => return,
            Readiness::DeadlineExceeded => return self.roll_back(),
        }
        if self.analysis.is_skipped {
            self.skip();
            return;
        }
        if is_analyzed && seen.wants_rollback {
            self.roll_back();
            return;
        }
        match self.delivery.phase {
            Phase::Promoting => self.shift_to_primary(),
            Phase::Finalising => {
                self.effects.push(Effect::ScaleCanaryToZero);
                self.delivery.phase = Phase::Succeeded;
            }
            _ => self.analyze(seen),
        }
    }

    /// Whether the primary is ready; once its deadline is over, the trial is too.
    fn has_primary(&mut self, seen: Seen) -> bool {
        if seen.primary == Readiness::DeadlineExceeded {
            self.roll_back();
        }
        seen.primary == Readiness::Ready
    }

    /// `checkCanaryStatus`: a new revision is let in.
    fn start(&mut self, seen: Seen) {
        if !seen.may_start {
            self.delivery.phase = Phase::Waiting;
            return;
        }
        self.effects.push(Effect::ScaleCanaryUp);
        self.delivery = Delivery { phase: Phase::Progressing, ..Delivery::default() };
    }

    /// `shouldSkipAnalysis`: promotion without questions, once the canary has proved to start.
    fn skip(&mut self) {
        self.delivery.routes = Routes::PRIMARY;
        self.effects.extend([Effect::CopyToPrimary, Effect::ScaleCanaryToZero]);
        self.delivery.phase = Phase::Succeeded;
    }

    fn analyze(&mut self, seen: Seen) {
        if self.delivery.failed_checks >= self.analysis.effective_threshold() {
            self.roll_back();
            return;
        }
        let routes = self.delivery.routes;
        let is_first = routes.canary == 0 && self.delivery.iterations == 0 && !routes.mirrored;
        let passes = if is_first { seen.may_start } else { seen.checks_pass };
        if !passes {
            self.delivery.failed_checks += 1;
            return;
        }
        if self.analysis.effective_iterations() > 0 {
            self.blue_green(seen);
        } else if next_step(self.analysis, routes.canary) > 0
            && (routes.mirrored
                || self.delivery.phase == Phase::WaitingPromotion
                || seen.may_increase)
        {
            self.canary(seen);
        }
    }

    /// `runBlueGreen`.
    fn blue_green(&mut self, seen: Seen) {
        let wanted = self.analysis.effective_iterations();
        if self.delivery.iterations < wanted {
            if self.analysis.mirrors && self.analysis.can_mirror() {
                self.delivery.routes = Routes { mirrored: true, ..Routes::PRIMARY };
            }
            self.delivery.iterations += 1;
            return;
        }
        if !seen.may_promote {
            // `setStatusPhase`: one more check before it asks again.
            self.delivery.iterations = wanted - 1;
            self.delivery.phase = Phase::WaitingPromotion;
            return;
        }
        if self.delivery.iterations == wanted {
            if self.analysis.splits_traffic() {
                self.delivery.routes = Routes::CANARY;
            }
            self.delivery.iterations += 1;
            return;
        }
        self.promote();
    }

    /// `runCanary`.
    fn canary(&mut self, seen: Seen) {
        let routes = self.delivery.routes;
        if routes.canary >= max_weight(self.analysis) {
            if seen.may_promote {
                self.promote();
            } else {
                self.delivery.phase = Phase::WaitingPromotion;
            }
            return;
        }
        if self.analysis.mirrors && routes.canary == 0 && !routes.mirrored {
            // Where nothing can mirror, this is tried again at every look.
            let mirrored = self.analysis.can_mirror();
            self.delivery.routes = Routes { mirrored, ..Routes::PRIMARY };
            return;
        }
        let step = next_step(self.analysis, routes.canary);
        let canary = (routes.canary + step).min(TOTAL_WEIGHT);
        self.delivery.routes = Routes { primary: TOTAL_WEIGHT - canary, canary, mirrored: false };
    }

    fn promote(&mut self) {
        self.effects.push(Effect::CopyToPrimary);
        self.delivery.phase = Phase::Promoting;
    }

    /// `runPromotionTrafficShift`: the primary runs the new revision and takes over.
    fn shift_to_primary(&mut self) {
        let step = self.analysis.step_weight_promotion;
        if !self.analysis.splits_traffic() || step == 0 {
            self.delivery.routes = Routes::PRIMARY;
        } else {
            let canary = self.delivery.routes.canary.saturating_sub(step);
            self.delivery.routes =
                Routes { primary: TOTAL_WEIGHT - canary, canary, mirrored: false };
        }
        if self.delivery.routes == Routes::PRIMARY {
            self.delivery.phase = Phase::Finalising;
        }
    }

    /// `rollback`.
    fn roll_back(&mut self) {
        self.effects.push(Effect::ScaleCanaryToZero);
        self.delivery = Delivery { phase: Phase::Failed, ..Delivery::default() };
    }
}

#[cfg(test)]
mod tests;
