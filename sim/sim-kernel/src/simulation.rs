//! One simulation: a model, its agenda, its recorder, and the loop that drives them.
//!
//! Promises: events are handled one at a time in the order of the agenda; the clock
//! never goes back; a simulation is a value, so a clone is a snapshot that continues
//! exactly as the original does; every run ends with an [`Outcome`].

use std::fmt::Debug;
use std::hash::Hash;

use crate::agenda::{Agenda, EventId, Priority, TieBreak, Timer};
use crate::digest::Digest;
use crate::journal::{Causes, EventRecord, EventRecorder, Link, Recorder};
use crate::limits::{Limits, Outcome};
use crate::probe::Probe;
use crate::time::{SimSpan, SimTime};

/// Largest size of an event that fits one half cache line together with its key.
///
/// A model asserts it at compile time:
/// `const _: () = assert!(size_of::<WorldEvent>() <= sim_kernel::EVENT_BYTES_MAX);`.
/// Larger events work and cost a little more; refer to a table of the model instead.
pub const EVENT_BYTES_MAX: usize = 16;

/// A world: all its state, the closed set of its events, and what each event does.
pub trait Model: Clone {
    /// Everything that can happen: one `enum`, best at most [`EVENT_BYTES_MAX`] bytes.
    type Event: Copy + Debug + Hash;
    /// What the world tells about itself.
    type Observation;

    /// Lets one event happen now.
    ///
    /// Must depend on nothing but `self`, `event` and `ctx`: no clock, no global, no
    /// order of a hash map.
    fn handle<R: Recorder<Self::Observation>>(
        &mut self,
        event: Self::Event,
        ctx: &mut Context<'_, Self::Event, R>,
    );
}

/// Every recorder a model can be run with; implemented by itself.
pub trait RecorderFor<M: Model>: Recorder<M::Observation> + EventRecorder<M::Event> {}

impl<M: Model, R: Recorder<M::Observation> + EventRecorder<M::Event>> RecorderFor<M> for R {}

/// What a model sees of the world outside itself while it handles one event.
///
/// Knows the type of events `E` and of the recorder `R`, not the model: a part of a
/// model takes `&mut Context<'_, E, R>` for any `E: From<PartEvent>`, and schedules its
/// own events without knowing the whole.
#[derive(Debug)]
pub struct Context<'a, E, R: Causes> {
    agenda: &'a mut Agenda<E, R::Link>,
    recorder: &'a mut R,
    current: EventId,
    cause: EventId,
}

impl<E: Copy, R: Causes> Context<'_, E, R> {
    /// The current virtual time.
    #[inline]
    pub fn now(&self) -> SimTime {
        self.agenda.now()
    }

    /// The event being handled; [`EventId::NONE`] in [`Simulation::apply`].
    #[inline]
    pub fn current(&self) -> EventId {
        self.current
    }

    /// What is recorded as the cause of whatever is done with this context: the current
    /// event, or the one named by [`Context::because`].
    #[inline]
    pub fn cause(&self) -> EventId {
        self.cause
    }

    /// The same context, recording another cause than the current event. For effects that
    /// are carried out now but were decided by something earlier.
    #[inline]
    pub fn because(&mut self, cause: EventId) -> Context<'_, E, R> {
        Context { agenda: self.agenda, recorder: self.recorder, current: self.current, cause }
    }

    /// Schedules an event for the moment `at`. It cannot be cancelled.
    ///
    /// Returns its number, or [`EventId::NONE`] when [`Limits::pending_count_max`] is
    /// reached, which ends the run. Panics when `at` is in the past.
    #[inline]
    pub fn schedule_at(&mut self, at: SimTime, priority: Priority, event: impl Into<E>) -> EventId {
        self.agenda.schedule(at, priority, R::Link::new(self.cause), event.into())
    }

    /// Schedules an event for `span` from now; see [`Context::schedule_at`].
    /// Panics when that lies beyond the end of virtual time.
    #[inline]
    pub fn schedule_in(
        &mut self,
        span: SimSpan,
        priority: Priority,
        event: impl Into<E>,
    ) -> EventId {
        self.schedule_at(self.now() + span, priority, event)
    }

    /// Schedules an event for the moment `at` that can be cancelled until it fires.
    ///
    /// Returns [`Timer::NONE`] when [`Limits::pending_count_max`] is reached, which ends
    /// the run. Panics when `at` is in the past.
    #[inline]
    pub fn timer_at(&mut self, at: SimTime, priority: Priority, event: impl Into<E>) -> Timer {
        self.agenda.start_timer(at, priority, R::Link::new(self.cause), event.into())
    }

    /// Schedules a timer for `span` from now; see [`Context::timer_at`].
    /// Panics when that lies beyond the end of virtual time.
    #[inline]
    pub fn timer_in(&mut self, span: SimSpan, priority: Priority, event: impl Into<E>) -> Timer {
        self.timer_at(self.now() + span, priority, event)
    }

    /// Cancels a timer. True exactly when this prevented it; false when it has fired
    /// (also when it is the event being handled) or was cancelled before.
    #[inline]
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.agenda.cancel(timer)
    }

    /// Whether a timer is still to fire.
    #[inline]
    pub fn is_pending(&self, timer: Timer) -> bool {
        self.agenda.is_pending(timer)
    }

    /// Counts that a rare branch was reached, when the recorder counts that.
    #[inline]
    pub fn hit(&mut self, probe: &'static Probe) {
        self.recorder.hit(probe);
    }

    /// Tells the recorder what was seen. `observation` is called only when it listens.
    #[inline]
    pub fn observe<O>(&mut self, observation: impl FnOnce() -> O)
    where
        R: Recorder<O>,
    {
        self.observe_because(self.cause, observation);
    }

    /// Tells the recorder what was seen and which event is to blame for it.
    #[inline]
    pub fn observe_because<O>(&mut self, cause: EventId, observation: impl FnOnce() -> O)
    where
        R: Recorder<O>,
    {
        if R::RECORDS {
            self.recorder.observe(self.agenda.now(), cause, observation());
        }
    }
}

/// One event that [`Simulation::step`] handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped<E> {
    /// Which event.
    pub id: EventId,
    /// When.
    pub at: SimTime,
    /// In which turn of that instant.
    pub priority: Priority,
    /// The event itself.
    pub event: E,
}

/// What a simulation did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events handled.
    pub handled_count: u64,
    /// Events scheduled, timers included.
    pub scheduled_count: u64,
    /// Timers cancelled before they fired.
    pub cancelled_count: u64,
    /// Events pending now.
    pub pending_count: usize,
    /// Most events that were ever pending at once.
    pub pending_count_peak: usize,
}

/// A model with its agenda, clock and recorder, ready to run.
#[derive(Debug)]
pub struct Simulation<M: Model, R: Causes> {
    model: M,
    recorder: R,
    agenda: Agenda<M::Event, R::Link>,
    limits: Limits,
    digest: Digest,
    handled_count: u64,
    /// Events handled at the current instant.
    instant_count: u64,
    /// When the last event was handled; the clock may be later, at a horizon.
    last_event_at: SimTime,
}

impl<M: Model, R: RecorderFor<M>> Simulation<M, R> {
    /// A simulation at time zero with nothing pending.
    pub fn new(model: M, recorder: R, limits: Limits) -> Self {
        Simulation {
            model,
            recorder,
            agenda: Agenda::new(limits.pending_count_max, TieBreak::Fifo),
            limits,
            digest: Digest::default(),
            handled_count: 0,
            instant_count: 0,
            last_event_at: SimTime::ZERO,
        }
    }

    /// Chooses the order of ties. Panics once anything was scheduled.
    #[must_use]
    pub fn with_tie_break(mut self, tie_break: TieBreak) -> Self {
        self.agenda.set_tie_break(tie_break);
        self
    }

    /// Starts over at time zero with another model and recorder, keeping limits, order of
    /// ties and the memory of the agenda; returns the old model and recorder.
    pub fn reset(&mut self, model: M, recorder: R) -> (M, R) {
        self.agenda.reset();
        self.digest = Digest::default();
        self.handled_count = 0;
        self.instant_count = 0;
        self.last_event_at = SimTime::ZERO;
        (std::mem::replace(&mut self.model, model), std::mem::replace(&mut self.recorder, recorder))
    }

    /// Schedules an event from outside; see [`Context::schedule_at`].
    pub fn schedule_at(
        &mut self,
        at: SimTime,
        priority: Priority,
        event: impl Into<M::Event>,
    ) -> EventId {
        self.agenda.schedule(at, priority, R::Link::new(EventId::NONE), event.into())
    }

    /// Acts on the model from outside, between two events: to set it up, to inject what no
    /// event does. The context has no current event. Not part of the digest.
    pub fn apply<T>(
        &mut self,
        action: impl FnOnce(&mut M, &mut Context<'_, M::Event, R>) -> T,
    ) -> T {
        let mut ctx = Context {
            agenda: &mut self.agenda,
            recorder: &mut self.recorder,
            current: EventId::NONE,
            cause: EventId::NONE,
        };
        action(&mut self.model, &mut ctx)
    }

    /// Handles every event up to and including `horizon`, then moves the clock there,
    /// also when nothing is left to happen; a limit stops both where it is met. A horizon
    /// that lies before now handles nothing and leaves the clock alone.
    pub fn run_until(&mut self, horizon: SimTime) -> Outcome {
        let outcome = self.handle_all(horizon);
        if outcome.is_complete() && horizon > self.now() {
            self.agenda.advance_to(horizon);
        }
        outcome
    }

    /// Handles events until none is left; the clock stays at the last one.
    pub fn run(&mut self) -> Outcome {
        self.handle_all(SimTime::MAX)
    }

    /// Handles the next event; `None` when there is none or a limit is reached.
    pub fn step(&mut self) -> Option<Stepped<M::Event>> {
        self.handle_next(SimTime::MAX).ok()
    }

    fn handle_all(&mut self, horizon: SimTime) -> Outcome {
        loop {
            if let Err(outcome) = self.handle_next(horizon) {
                return outcome;
            }
        }
    }

    /// Handles one event, or says why none can be.
    #[inline]
    pub(crate) fn handle_next(&mut self, horizon: SimTime) -> Result<Stepped<M::Event>, Outcome> {
        if self.agenda.is_refusing()
            || self.handled_count >= self.limits.event_count_max
            || self.instant_count >= self.limits.instant_count_max
        {
            self.check_limits(horizon)?;
        }
        let before = self.agenda.now();
        let Some(due) = self.agenda.pop(horizon) else { return Err(self.nothing_due(horizon)) };
        let at = self.agenda.now();
        self.instant_count = if at == before { self.instant_count + 1 } else { 1 };
        self.handled_count += 1;
        self.last_event_at = at;
        self.digest.absorb(at, due.priority, &due.event);

        let (id, priority, event) = (due.id, due.priority, due.event);
        self.recorder.event(EventRecord { id, parent: due.link.cause(), at, priority, event });
        let mut ctx = Context {
            agenda: &mut self.agenda,
            recorder: &mut self.recorder,
            current: id,
            cause: id,
        };
        self.model.handle(event, &mut ctx);
        Ok(Stepped { id, at, priority, event })
    }

    /// A limit is reached; whether it forbids what is due next.
    #[cold]
    fn check_limits(&self, horizon: SimTime) -> Result<(), Outcome> {
        let at = self.last_event_at;
        if self.agenda.is_refusing() {
            return Err(Outcome::PendingLimit { at });
        }
        let Some(next_at) = self.agenda.next_time().filter(|next_at| *next_at <= horizon) else {
            return Ok(());
        };
        if self.handled_count >= self.limits.event_count_max {
            return Err(Outcome::EventLimit { at });
        }
        if self.instant_count >= self.limits.instant_count_max && next_at == self.now() {
            return Err(Outcome::InstantLimit { at: next_at });
        }
        Ok(())
    }

    #[cold]
    fn nothing_due(&self, horizon: SimTime) -> Outcome {
        if self.agenda.pending_count() == 0 {
            Outcome::Exhausted { at: self.last_event_at }
        } else {
            Outcome::HorizonReached { at: horizon }
        }
    }

    /// A copy of this very moment with another recorder. Causes of what is pending are
    /// kept as far as both recorders keep causes.
    pub fn branch<R2: RecorderFor<M>>(&self, recorder: R2) -> Simulation<M, R2> {
        Simulation {
            model: self.model.clone(),
            recorder,
            agenda: self.agenda.with_links(),
            limits: self.limits,
            digest: self.digest,
            handled_count: self.handled_count,
            instant_count: self.instant_count,
            last_event_at: self.last_event_at,
        }
    }

    /// The current virtual time: of the last event, or the horizon that was reached.
    pub fn now(&self) -> SimTime {
        self.agenda.now()
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<SimTime> {
        self.agenda.next_time()
    }

    /// The rolling digest of every event handled: its time, priority and content. Equal
    /// for equal runs on any machine, whatever is recorded.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let agenda = self.agenda.stats();
        Stats {
            handled_count: self.handled_count,
            scheduled_count: self.agenda.scheduled_count(),
            cancelled_count: agenda.cancelled,
            pending_count: self.agenda.pending_count(),
            pending_count_peak: agenda.pending_peak,
        }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model, to be changed from outside. To schedule as well, use [`Simulation::apply`].
    pub fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    /// The recorder.
    pub fn recorder(&self) -> &R {
        &self.recorder
    }

    /// The recorder, to be changed from outside.
    pub fn recorder_mut(&mut self) -> &mut R {
        &mut self.recorder
    }

    /// The model and the recorder, without the rest.
    pub fn into_parts(self) -> (M, R) {
        (self.model, self.recorder)
    }
}

/// A snapshot.
impl<M: Model, R: RecorderFor<M> + Clone> Clone for Simulation<M, R> {
    fn clone(&self) -> Self {
        self.branch(self.recorder.clone())
    }
}
