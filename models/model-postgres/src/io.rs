//! What a cluster sees of the event that it handles.

use model_api::parameters::Range;
use model_api::{Observation, Parameters, ZoneId};
use sim_kernel::{
    Context, EntityKey, EventId, Priority, Probe, Purpose, Recorder, SimSpan, SimTime, Streams,
    Timer,
};

use crate::cluster::Port;
use crate::databases::PgNotice;
use crate::event::PgEvent;
use crate::pace::Pace;

/// After machines and pods have changed at the same instant.
const PRIORITY: Priority = Priority::NORMAL;

/// An even draw of a range.
pub(crate) fn draw(
    streams: Streams,
    entity: EntityKey,
    purpose: Purpose,
    occurrence: u32,
    range: Range,
) -> SimSpan {
    let draw = streams.draw(entity, purpose, u64::from(occurrence));
    draw.span_between(range.least, range.most)
}

/// One of which small values are likelier: see [`Port::draw_skewed`].
pub(crate) fn draw_skewed(
    streams: Streams,
    entity: EntityKey,
    purpose: Purpose,
    occurrence: u32,
    range: Range,
) -> SimSpan {
    let unit = streams.draw(entity, purpose, u64::from(occurrence)).unit();
    let width = range.most.saturating_sub(range.least);
    let part = SimSpan::from_secs_f64_rounded(width.as_secs_f64() * unit * unit * unit);
    range.least.saturating_add(part)
}

/// The context of an event, as a cluster sees it.
pub(crate) struct Io<'a, 'c, E, R: Recorder<Observation>> {
    pub(crate) ctx: &'a mut Context<'c, E, R>,
    pub(crate) notices: &'a mut Vec<PgNotice>,
    pub(crate) parameters: &'a Parameters,
    pub(crate) streams: Streams,
    pub(crate) is_isolated: &'a [bool],
    pub(crate) is_api_available: bool,
    pub(crate) pace: Pace,
}

impl<E, R> Port for Io<'_, '_, E, R>
where
    E: Copy + From<PgEvent>,
    R: Recorder<Observation>,
{
    fn now(&self) -> SimTime {
        self.ctx.now()
    }

    fn observe(&mut self, observation: Observation) {
        self.ctx.observe(|| observation);
    }

    fn notice(&mut self, notice: PgNotice) {
        self.notices.push(notice);
    }

    fn hit(&mut self, probe: &'static Probe) {
        self.ctx.hit(probe);
    }

    fn timer_at(&mut self, at: SimTime, event: PgEvent) -> Timer {
        self.ctx.timer_at(at, PRIORITY, event)
    }

    fn timer_because(&mut self, cause: EventId, at: SimTime, event: PgEvent) -> Timer {
        self.ctx.because(cause).timer_at(at, PRIORITY, event)
    }

    fn cause(&self) -> EventId {
        self.ctx.cause()
    }

    fn cancel(&mut self, timer: Timer) {
        self.ctx.cancel(timer);
    }

    fn is_pending(&self, timer: Timer) -> bool {
        self.ctx.is_pending(timer)
    }

    fn parameters(&self) -> &Parameters {
        self.parameters
    }

    fn draw(&self, entity: EntityKey, purpose: Purpose, occurrence: u32, range: Range) -> SimSpan {
        draw(self.streams, entity, purpose, occurrence, range)
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn draw_skewed(
        &self,
        entity: EntityKey,
        purpose: Purpose,
        occurrence: u32,
        range: Range,
    ) -> SimSpan {
        draw_skewed(self.streams, entity, purpose, occurrence, range)
    }

    fn is_api_available(&self) -> bool {
        self.is_api_available
    }

    fn is_isolated(&self, zone: ZoneId) -> bool {
        self.is_isolated[zone.index()]
    }
}
