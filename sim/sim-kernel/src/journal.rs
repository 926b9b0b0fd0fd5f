//! Recording what happens: who may listen, what it costs, and the complete journal.
//!
//! Promises: whether and what is recorded is decided by a type, so a run that does not
//! record pays nothing; an observation is built only when somebody wants it; recording
//! never changes what happens.

use crate::agenda::{EventId, Priority};
use crate::probe::Probe;
use crate::time::SimTime;

/// What each pending event remembers of the event that scheduled it: nothing (`()`,
/// zero bytes) or its [`EventId`].
pub trait Link: Copy + std::fmt::Debug {
    /// Remembers `cause`, as far as this link can.
    fn new(cause: EventId) -> Self;
    /// The cause, or [`EventId::NONE`] when it was not remembered.
    fn cause(self) -> EventId;
}

impl Link for () {
    fn new(_cause: EventId) -> Self {}
    fn cause(self) -> EventId {
        EventId::NONE
    }
}

impl Link for EventId {
    fn new(cause: EventId) -> Self {
        cause
    }
    fn cause(self) -> EventId {
        self
    }
}

/// Whether causes are kept, and who counts rare branches; the part of a recorder that does
/// not depend on what is observed.
pub trait Causes {
    /// `()` when causes are off, [`EventId`] when they are on.
    type Link: Link;

    /// Notes that a rare branch was reached; see [`Probe`]. Most recorders do not count:
    /// [`ProbeCounter`](crate::ProbeCounter) does it for them.
    #[inline]
    fn hit(&mut self, probe: &'static Probe) {
        let _ = probe;
    }
}

/// Listens to the observations `O` of a model.
pub trait Recorder<O>: Causes {
    /// Whether observations are wanted at all. When false, they are not even built.
    const RECORDS: bool;

    /// Takes one observation, made at `at` and caused by the event `cause`.
    fn observe(&mut self, at: SimTime, cause: EventId, observation: O);
}

/// Listens to the events `E` themselves. Most recorders do not and leave the body empty:
/// `impl<E> EventRecorder<E> for Monitor {}`.
pub trait EventRecorder<E>: Causes {
    /// Takes one event, just before the model handles it.
    fn event(&mut self, record: EventRecord<E>) {
        let _ = record;
    }
}

/// One event that was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventRecord<E> {
    /// Which event.
    pub id: EventId,
    /// The event that caused it, or [`EventId::NONE`] when it came from outside (or
    /// the recorder keeps no causes).
    pub parent: EventId,
    /// When it was handled.
    pub at: SimTime,
    /// In which turn of that instant.
    pub priority: Priority,
    /// The event itself.
    pub event: E,
}

/// One observation of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObservationRecord<O> {
    /// When it was made.
    pub at: SimTime,
    /// The event that caused it.
    pub cause: EventId,
    /// What was seen.
    pub observation: O,
}

/// Records nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Causes for NoRecorder {
    type Link = ();
}

impl<O> Recorder<O> for NoRecorder {
    const RECORDS: bool = false;
    fn observe(&mut self, _at: SimTime, _cause: EventId, _observation: O) {}
}

impl<E> EventRecorder<E> for NoRecorder {}

/// Keeps every event with its parent and every observation with its cause.
///
/// Memory: about 48 bytes per event handled, 4 per event scheduled, and what the
/// observations take. Above [`Journal::RECORD_COUNT_MAX`] records nothing more is kept
/// and [`Journal::is_truncated`] says so.
#[derive(Clone, Debug)]
pub struct Journal<E, O> {
    events: Vec<EventRecord<E>>,
    observations: Vec<ObservationRecord<O>>,
    /// Position in `events` plus one, by event id; zero for events not handled (yet).
    position_by_id: Vec<u32>,
    record_count_max: usize,
    is_truncated: bool,
}

impl<E, O> Journal<E, O> {
    /// Most records of either kind in a journal made by [`Journal::new`]: 50 million,
    /// a few gigabytes.
    pub const RECORD_COUNT_MAX: usize = 50_000_000;

    /// An empty journal.
    pub fn new() -> Self {
        Self::with_limit(Self::RECORD_COUNT_MAX)
    }

    /// An empty journal that keeps at most so many events and so many observations,
    /// and never more than [`Journal::RECORD_COUNT_MAX`].
    pub fn with_limit(record_count_max: usize) -> Self {
        Journal {
            events: Vec::new(),
            observations: Vec::new(),
            position_by_id: Vec::new(),
            record_count_max: record_count_max.min(Self::RECORD_COUNT_MAX),
            is_truncated: false,
        }
    }

    /// Every event in the order of handling.
    pub fn events(&self) -> &[EventRecord<E>] {
        &self.events
    }

    /// Every observation in the order of making.
    pub fn observations(&self) -> &[ObservationRecord<O>] {
        &self.observations
    }

    /// Whether the limit was reached and later records are missing.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// The event of that id, if it was handled.
    pub fn event(&self, id: EventId) -> Option<&EventRecord<E>> {
        let idx = usize::try_from(id.value()).ok()?;
        let position = *self.position_by_id.get(idx)?;
        self.events.get((position as usize).checked_sub(1)?)
    }

    /// How it came to this: the chain of causes from the first event (which came from
    /// outside) to the event `id` itself. Empty when `id` is not in the journal.
    pub fn chain(&self, id: EventId) -> Vec<&EventRecord<E>> {
        let mut chain = Vec::new();
        let mut next = self.event(id);
        while let Some(record) = next {
            chain.push(record);
            // A cause is always handled before its effect, so this loop ends.
            next = self.event(record.parent);
        }
        chain.reverse();
        chain
    }

    /// Forgets everything and keeps the memory for the next run.
    pub fn clear(&mut self) {
        self.events.clear();
        self.observations.clear();
        self.position_by_id.clear();
        self.is_truncated = false;
    }
}

impl<E, O> Default for Journal<E, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E, O> Causes for Journal<E, O> {
    type Link = EventId;
}

impl<E, O> Recorder<O> for Journal<E, O> {
    const RECORDS: bool = true;

    fn observe(&mut self, at: SimTime, cause: EventId, observation: O) {
        if self.observations.len() < self.record_count_max {
            self.observations.push(ObservationRecord { at, cause, observation });
        } else {
            self.is_truncated = true;
        }
    }
}

impl<E, O> EventRecorder<E> for Journal<E, O> {
    fn event(&mut self, record: EventRecord<E>) {
        if self.events.len() >= self.record_count_max {
            self.is_truncated = true;
            return;
        }
        let idx = usize::try_from(record.id.value()).expect("a journal of 2^32 ids fits memory");
        self.events.push(record);
        if self.position_by_id.len() <= idx {
            self.position_by_id.resize(idx + 1, 0);
        }
        self.position_by_id[idx] =
            u32::try_from(self.events.len()).expect("RECORD_COUNT_MAX is below 2^32");
    }
}
