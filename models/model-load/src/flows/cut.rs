//! Requests in pods that die: their connections are reset.
//!
//! A pod that dies takes with it what is in it: its part of all requests in the pods of its Service.
//! Whoever made them gets an error at once and tries again if it does that. One that has time left
//! finishes what does not take longer: as if each request took as long as the mean, and those inside had
//! come evenly.
//!
//! Simplified: they are taken from what the Service answers after the death, for as long as a request
//! is in a pod in the mean, not from what it was asked before. So as many are lost, by as much later, and
//! requests of which nobody but the figures has to hear cost no event.

use std::sync::Arc;

use model_api::{Observation, ServiceId};
use sim_kernel::{Context, Recorder, SimSpan};

use super::{Flows, Input, LoadEvent, PRIORITY};

const WHOLE: u64 = 1_000_000;

/// Errors of the answers of pods: those that faulty ones give, and those in place of pods that died.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    /// Of a million answers of a Service, those that are errors.
    failing: Vec<(ServiceId, u32)>,
    /// By number: of whose answers how many of a million are not lost, while any are.
    all: Vec<Option<(ServiceId, u64)>>,
}

impl Cuts {
    pub(super) fn set_failing(&mut self, service: ServiceId, failing_ppm: u32) {
        match self.failing.iter_mut().find(|(other, _)| *other == service) {
            Some((_, known)) => *known = failing_ppm,
            None if failing_ppm > 0 => self.failing.push((service, failing_ppm)),
            None => {}
        }
    }

    /// Of a million answers of a Service, those that are errors or lost.
    pub(super) fn failing_ppm(&self, service: ServiceId) -> u32 {
        let faulty = self.failing.iter().find(|(other, _)| *other == service);
        let well = WHOLE - faulty.map_or(0, |(_, ppm)| u64::from(*ppm));
        let kept = self.all.iter().flatten().filter(|(other, _)| *other == service);
        let well = kept.fold(well, |well, (_, kept)| well * kept / WHOLE);
        u32::try_from(WHOLE - well).expect("a part of a million")
    }

    pub(super) fn begin(&mut self, service: ServiceId, kept_ppm: u64) -> u32 {
        let free = self.all.iter().position(Option::is_none);
        let number = free.unwrap_or(self.all.len());
        if free.is_none() {
            self.all.push(None);
        }
        self.all[number] = Some((service, kept_ppm));
        u32::try_from(number).expect("pods are limited far below 2^32")
    }

    /// Returns whose answers are not lost any more.
    pub(super) fn end(&mut self, number: u32) -> Option<ServiceId> {
        self.all[number as usize].take().map(|(service, _)| service)
    }
}

impl Flows {
    /// Tells how many of a million answers of the pods behind a Service are errors.
    pub fn set_failing(&mut self, service: ServiceId, failing_ppm: u32) {
        self.cuts.set_failing(service, failing_ppm.min(1_000_000));
        self.tell_failing(service);
    }

    pub(super) fn tell_failing(&mut self, service: ServiceId) {
        if let Some((part, node)) = self.plan.place_of(service) {
            let failing_ppm = self.cuts.failing_ppm(service);
            let plan = Arc::clone(&self.plan);
            for node in plan.parts[part].nodes_of(&node) {
                self.tell(part, Input::Failing(*node, failing_ppm));
            }
        }
    }

    /// Tells that so many of the live pods of a Service died at this moment, each with what was in it and
    /// is not done within this time; to be told besides what [stands behind it](Self::set_endpoints) from now on.
    pub fn lose_requests<E, R>(
        &mut self,
        service: ServiceId,
        died: &[SimSpan],
        live_count: u32,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<LoadEvent>,
        R: Recorder<Observation>,
    {
        let Some((part, node)) = self.plan.place_of(service) else { return };
        let cost = self.plan.cpu_per_request(service);
        let flow = self.parts[part].cpu_flow(&self.plan.parts[part], node, cost);
        if flow.answered_millirps == 0 || died.is_empty() {
            return;
        }
        let inside = u128::from(flow.inside_milli) * 1_000_000_000;
        let nanos = inside / u128::from(flow.answered_millirps);
        let span = SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if span.is_zero() {
            return;
        }
        let lost_ppm = |left: &SimSpan| {
            let done = u128::from(left.as_nanos().min(span.as_nanos()));
            let done_ppm = done * u128::from(WHOLE) / u128::from(span.as_nanos());
            WHOLE - u64::try_from(done_ppm).expect("a part of a million")
        };
        let lost_ppm: u64 = died.iter().map(lost_ppm).sum();
        if lost_ppm == 0 {
            return;
        }
        let live_count = u64::from(live_count.max(1));
        let kept_ppm = (live_count * WHOLE).saturating_sub(lost_ppm) / live_count;
        let cut = self.cuts.begin(service, kept_ppm);
        ctx.schedule_in(span, PRIORITY, LoadEvent::CutOver { cut });
        self.tell_failing(service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_comes_on_top_of_errors_and_ends() {
        let (web, stock) = (ServiceId(0), ServiceId(1));
        let mut cuts = Cuts::default();
        assert_eq!(cuts.failing_ppm(web), 0);
        cuts.set_failing(web, 100_000);
        let first = cuts.begin(web, 750_000);
        let second = cuts.begin(web, 500_000);
        assert_eq!(cuts.failing_ppm(web), 1_000_000 - 337_500);
        assert_eq!(cuts.failing_ppm(stock), 0);
        assert_eq!(cuts.end(first), Some(web));
        assert_eq!(cuts.failing_ppm(web), 550_000);
        cuts.set_failing(web, 0);
        assert_eq!(cuts.begin(stock, 0), first, "numbers are used again");
        assert_eq!((cuts.end(second), cuts.end(second)), (Some(web), None));
        assert_eq!((cuts.failing_ppm(web), cuts.failing_ppm(stock)), (0, 1_000_000));
    }
}
