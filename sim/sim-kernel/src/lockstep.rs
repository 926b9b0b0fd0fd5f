//! Two simulations in step, to find the first event that differs.
//!
//! Promise: when two runs that should be equal are not, the answer is one event with
//! its time, on both sides, and not two different results at the end.

use std::fmt;

use crate::limits::Outcome;
use crate::simulation::{Model, RecorderFor, Simulation, Stepped};
use crate::time::SimTime;

/// Where two simulations parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence<E> {
    /// How many events were handled alike before.
    pub equal_count: u64,
    /// What the first simulation did next: an event, or the end of its run.
    pub first: Result<Stepped<E>, Outcome>,
    /// What the second simulation did next.
    pub second: Result<Stepped<E>, Outcome>,
}

impl<E: fmt::Debug> fmt::Display for Divergence<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |f: &mut fmt::Formatter<'_>, next: &Result<Stepped<E>, Outcome>| match next {
            Ok(Stepped { id, at, priority, event }) => {
                write!(f, "{at} {id} priority {} {event:?}", priority.level())
            }
            Err(outcome) => write!(f, "{outcome}"),
        };
        write!(f, "after {} equal events the first did: ", self.equal_count)?;
        side(f, &self.first)?;
        f.write_str("; the second did: ")?;
        side(f, &self.second)
    }
}

impl<E: fmt::Debug> std::error::Error for Divergence<E> {}

/// Runs two simulations that should do the same to `horizon`, one event at a time, and
/// stops at the first event in which they differ by id, time, priority or content. That
/// event has then been handled on both sides, so models and journals can be compared.
/// The clocks stay at the last event.
///
/// Equal events do not prove equal state; but a state that differs and never leads to
/// another event has led to nothing.
///
/// # Errors
/// The first [`Divergence`].
pub fn lockstep<M: Model, R1: RecorderFor<M>, R2: RecorderFor<M>>(
    first: &mut Simulation<M, R1>,
    second: &mut Simulation<M, R2>,
    horizon: SimTime,
) -> Result<Outcome, Divergence<M::Event>> {
    let mut equal_count = 0;
    loop {
        let results = (first.handle_next(horizon), second.handle_next(horizon));
        match results {
            (Ok(a), Ok(b)) if is_same(&a, &b) && first.digest() == second.digest() => {
                equal_count += 1;
            }
            (Err(a), Err(b)) if a == b => return Ok(a),
            (first, second) => return Err(Divergence { equal_count, first, second }),
        }
    }
}

/// All that can be compared without `Eq`; the digest compares the events themselves.
fn is_same<E>(a: &Stepped<E>, b: &Stepped<E>) -> bool {
    a.id == b.id && a.at == b.at && a.priority == b.priority
}
