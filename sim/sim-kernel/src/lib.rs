//! The discrete-event kernel: virtual time, an agenda of events, named random
//! streams, and a journal in which everything knows its cause.
//!
//! A simulation is a [`Model`] (all state, one closed `enum` of events, one
//! `match`) driven by a [`Simulation`] (clock and agenda). While an event is
//! handled, the model sees the world outside itself only through its
//! [`Context`]: it reads the time, schedules and cancels, and tells the
//! [`Recorder`] what it saw. Chance comes from [`Streams`] and from nowhere else.
//!
//! What holds for every run:
//!
//! - Events are handled in the order `(time, priority, sequence)`; see [`Priority`].
//! - The same model, seed and version handle the same events and so have the same
//!   [`digest`](Simulation::digest), on every machine and in every thread.
//! - A simulation is a value: [`Clone`] is a snapshot, [`Simulation::branch`] a fork.
//! - Every loop has a limit ([`Limits`]) and reaching it is an [`Outcome`], not a hang.
//! - With [`NoRecorder`], recording and causes cost neither time nor memory.
//!
//! The kernel knows nothing of any platform, reads no clock, no file, no environment,
//! and starts no thread. Start reading at [`Simulation`], then [`Context`].
//!
//! ```
//! use sim_kernel::{Context, Journal, Limits, Model, Outcome, Priority, Recorder};
//! use sim_kernel::{SimSpan, SimTime, Simulation};
//!
//! /// A door that closes itself one second after it was opened.
//! #[derive(Clone, Default)]
//! struct Door { is_open: bool }
//!
//! #[derive(Clone, Copy, Debug, Hash)]
//! enum DoorEvent { Opened, CloseDue }
//!
//! impl Model for Door {
//!     type Event = DoorEvent;
//!     type Observation = &'static str;
//!
//!     fn handle<R: Recorder<&'static str>>(
//!         &mut self,
//!         event: DoorEvent,
//!         ctx: &mut Context<'_, DoorEvent, R>,
//!     ) {
//!         match event {
//!             DoorEvent::Opened => {
//!                 self.is_open = true;
//!                 ctx.schedule_in(SimSpan::from_secs(1), Priority::NORMAL, DoorEvent::CloseDue);
//!             }
//!             DoorEvent::CloseDue => {
//!                 self.is_open = false;
//!                 ctx.observe(|| "closed");
//!             }
//!         }
//!     }
//! }
//!
//! let mut sim = Simulation::new(Door::default(), Journal::new(), Limits::default());
//! sim.schedule_at(SimTime::from_secs(5), Priority::NORMAL, DoorEvent::Opened);
//! assert!(matches!(sim.run(), Outcome::Exhausted { .. }));
//!
//! let closed = &sim.recorder().observations()[0];
//! assert_eq!(closed.at, SimTime::from_secs(6));
//! let chain = sim.recorder().chain(closed.cause);
//! assert!(matches!(chain[0].event, DoorEvent::Opened));
//! ```

mod agenda;
mod digest;
mod journal;
mod limits;
mod lockstep;
mod probe;
mod simulation;
mod streams;
mod time;

pub use agenda::{EventId, Priority, TieBreak, Timer};
pub use digest::StableHasher;
pub use journal::{
    Causes, EventRecord, EventRecorder, Journal, Link, NoRecorder, ObservationRecord, Recorder,
};
pub use limits::{Limits, Outcome};
pub use lockstep::{Divergence, lockstep};
pub use probe::{Probe, ProbeCounter, ProbeHits};
pub use simulation::{Context, EVENT_BYTES_MAX, Model, RecorderFor, Simulation, Stats, Stepped};
pub use streams::{Draw, EntityKey, Purpose, Stream, Streams};
pub use time::{SimSpan, SimTime};
