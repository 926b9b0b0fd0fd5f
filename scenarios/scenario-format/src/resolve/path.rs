//! How requests are served, called and limited on their way.

use model_api::SimSpan;
use model_api::path::{
    Balancing, Breaker, CallPolicy, Discipline, RateLimit, Readiness, Serving, WarmUp,
};

use super::Resolver;
use crate::diagnostic::Code;
use crate::document::{
    BreakerSpec, InFlight, PolicySpec, RateLimitSpec, ReadinessSpec, ServiceSpec, SessionState,
    WarmUpSpec,
};

/// Most attempts of one call: more would only be a slow way to write "for ever".
const RETRIES_MAX: u32 = 100;
/// Most workers of a pod, and requests waiting in it.
const WORKERS_MAX: u32 = 10_000;
/// Most calls that a breaker looks at.
const WINDOW_MAX: u32 = 100_000;
/// `cpuCFSQuotaPeriod` of a kubelet: `ValidateKubeletConfiguration`
/// (pkg/kubelet/apis/config/validation/validation.go, Kubernetes 1.36).
const QUOTA_PERIOD_MIN: SimSpan = SimSpan::from_millis(1);
const QUOTA_PERIOD_MAX: SimSpan = SimSpan::from_secs(1);

impl Resolver<'_> {
    /// How a pod of a Service serves.
    pub(super) fn serving(&mut self, spec: &ServiceSpec) -> Serving {
        let default = Serving::default();
        let workers = spec.workers.map_or(default.workers, |it| it.value);
        if let Some(stated) = spec.workers
            && !(1..=WORKERS_MAX).contains(&stated.value)
        {
            let message = format!("a pod has between 1 and {WORKERS_MAX} workers");
            self.report(Code::E0021, stated.span, message);
        }
        Serving {
            workers: workers.clamp(1, WORKERS_MAX),
            discipline: spec.discipline.map_or(default.discipline, |it| it.value),
            queue_limit: spec.queue_limit.map(|it| it.value),
            balancing: self.balancing(spec),
            work: spec.work.map_or(default.work, |it| it.value),
            rate_limit: spec.rate_limit.as_ref().map(|limit| self.rate_limit(limit)),
            cores_max: spec.workers.map(|_| workers.clamp(1, WORKERS_MAX)),
            warm_up: spec.warm_up.as_ref().map(|warm_up| self.warm_up(warm_up)),
            quota_period: self.quota_period(spec),
            loses_requests: spec.in_flight.is_none_or(|it| it.value == InFlight::Lost),
            reconnect: None,
            loses_sessions: spec.session_state.is_some_and(|it| it.value == SessionState::InPods),
        }
    }

    /// Which pod gets a request.
    fn balancing(&mut self, spec: &ServiceSpec) -> Balancing {
        let Some(stated) = spec.balancing else { return Balancing::default() };
        if spec.quota_period.is_some() && stated.value == Balancing::Shared {
            let message =
                "pods whose quota stops all their threads have a queue each: no queue is shared";
            self.report(Code::E0155, stated.span, message);
        }
        stated.value
    }

    fn quota_period(&mut self, spec: &ServiceSpec) -> Option<SimSpan> {
        let stated = spec.quota_period?;
        if !(QUOTA_PERIOD_MIN..=QUOTA_PERIOD_MAX).contains(&stated.value) {
            let message = "a quota period lies between 1 ms and 1 s";
            self.report(Code::E0075, stated.span, message);
            return None;
        }
        if let Some(discipline) = spec.discipline
            && discipline.value == Discipline::Sharing
        {
            let message =
                "with `discipline: sharing` it is not known how many threads use the quota";
            self.report(Code::E0076, discipline.span, message);
            return None;
        }
        Some(stated.value)
    }

    fn warm_up(&mut self, spec: &WarmUpSpec) -> WarmUp {
        if spec.r#for.value.is_zero() {
            self.report(Code::E0021, spec.r#for.span, "a warm-up takes some time");
        }
        if spec.factor.value.milli <= 1_000 {
            let message = "a cold pod is slower than a warm one: the factor is more than 1";
            self.report(Code::E0021, spec.factor.span, message);
        }
        WarmUp {
            span: spec.r#for.value.max(SimSpan::from_nanos(1)),
            factor_milli: spec.factor.value.milli.max(1_000),
        }
    }

    fn rate_limit(&mut self, spec: &RateLimitSpec) -> RateLimit {
        if spec.window.value.is_zero() {
            self.report(Code::E0021, spec.window.span, "a window has some length");
        }
        RateLimit {
            limit: spec.limit.value,
            window: spec.window.value.max(SimSpan::from_nanos(1)),
            counts: spec.counts.map(|it| it.value).unwrap_or_default(),
        }
    }

    /// What the readiness probe of a Service asks for.
    pub(super) fn readiness(&mut self, spec: Option<&ReadinessSpec>) -> Readiness {
        let default = Readiness::default();
        let Some(spec) = spec else { return default };
        Readiness {
            needs: spec.needs.iter().filter_map(|name| self.database(name)).collect(),
            fails_after: spec.fails_after.map_or(default.fails_after, |it| it.value),
            returns_after: spec.returns_after.map_or(default.returns_after, |it| it.value),
        }
    }

    /// How a call is made.
    pub(super) fn policy(&mut self, spec: Option<&PolicySpec>) -> CallPolicy {
        let Some(spec) = spec else { return CallPolicy::default() };
        if let Some(timeout) = spec.timeout
            && timeout.value.is_zero()
        {
            self.report(Code::E0021, timeout.span, "a call that waits for nothing always fails");
        }
        if let Some(retries) = spec.retries
            && retries.value > RETRIES_MAX
        {
            let message = format!("there are at most {RETRIES_MAX} retries");
            self.report(Code::E0021, retries.span, message);
        }
        CallPolicy {
            timeout: spec.timeout.map(|it| it.value.max(SimSpan::from_nanos(1))),
            retries: spec.retries.map_or(0, |it| it.value.min(RETRIES_MAX)),
            backoff: spec.backoff.map_or(SimSpan::ZERO, |it| it.value),
            retry_budget_ppm: spec.retry_budget.map(|it| it.value.ppm),
            breaker: spec.breaker.as_ref().map(|breaker| self.breaker(breaker)),
            is_parallel: false,
            cache: None,
        }
    }

    fn breaker(&mut self, spec: &BreakerSpec) -> Breaker {
        let default = Breaker::default();
        for stated in [spec.window, spec.trials].into_iter().flatten() {
            if !(1..=WINDOW_MAX).contains(&stated.value) {
                let message = format!("a breaker looks at between 1 and {WINDOW_MAX} calls");
                self.report(Code::E0021, stated.span, message);
            }
        }
        if let Some(failures) = spec.failures
            && failures.value.ppm == 0
        {
            self.report(Code::E0021, failures.span, "a breaker that opens without a failure");
        }
        let count = |stated: u32| stated.clamp(1, WINDOW_MAX);
        Breaker {
            failures_ppm: spec.failures.map_or(default.failures_ppm, |it| it.value.ppm.max(1)),
            window: spec.window.map_or(default.window, |it| count(it.value)),
            open_for: spec.open_for.map_or(default.open_for, |it| it.value),
            trials: spec.trials.map_or(default.trials, |it| count(it.value)),
        }
    }
}
