//! What would be lost with a part of a platform although a live copy is left elsewhere.

use sim_kernel::{SimSpan, SimTime};

/// A loss as a function of the moment of the strike: it grows from a moment on, as fast as time goes or
/// more slowly, until it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Since when it grows.
    pub from: SimTime,
    /// Time that is lost by a strike at that moment.
    pub loss: SimSpan,
    /// Nanoseconds by which that grows in a million.
    pub growth_ppm: u32,
}

/// As fast as time goes.
const FULL_GROWTH_PPM: u32 = 1_000_000;

impl Stake {
    /// The same whenever it strikes.
    pub const fn constant(loss: SimSpan) -> Self {
        Self { from: SimTime::ZERO, loss, growth_ppm: 0 }
    }

    /// Everything that was committed after a moment, by a primary that goes on.
    pub const fn since(kept_until: SimTime) -> Self {
        Self { from: kept_until, loss: SimSpan::ZERO, growth_ppm: FULL_GROWTH_PPM }
    }

    /// What a strike at a moment costs.
    pub fn at(&self, at: SimTime) -> SimSpan {
        let elapsed = u128::from(at.saturating_since(self.from).as_nanos());
        let grown = (elapsed * u128::from(self.growth_ppm)).div_ceil(u128::from(FULL_GROWTH_PPM));
        self.loss.saturating_add(SimSpan::from_nanos(u64::try_from(grown).unwrap_or(u64::MAX)))
    }
}

/// What is at stake with every zone, and with a node, of one database: the most of these is lost. None
/// where no other copy is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stakes {
    /// By zone.
    pub zones: Vec<Option<Vec<Stake>>>,
    /// With the node under any one copy.
    pub node: Option<Vec<Stake>>,
}
