//! What would be lost with a part of a platform although a live copy is left elsewhere.

use sim_kernel::{SimSpan, SimTime};

/// How a loss changes with the moment of the strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slope {
    /// Not at all.
    Level,
    /// As fast as time goes.
    Rises,
    /// By that part of the time that goes by: so many nanoseconds in so many.
    RisesBy(u64, u64),
    /// The same, less and less.
    FallsBy(u64, u64),
}

/// A straight piece of a loss as a function of the moment of the strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first moment of it; it ends where the next one begins.
    pub from: SimTime,
    /// What is lost by a strike at that moment: the time from the oldest acknowledged write that is gone
    /// to the newest.
    pub loss: SimSpan,
    /// How that goes on.
    pub slope: Slope,
    /// So much less may be lost, and no less than that: nothing where it is known who goes on.
    pub slack: SimSpan,
}

impl Piece {
    /// What a strike at a moment costs.
    pub fn at(&self, at: SimTime) -> SimSpan {
        let elapsed = at.saturating_since(self.from);
        let part = |gained: u64, of: u64| {
            let nanos = u128::from(elapsed.as_nanos()) * u128::from(gained) / u128::from(of.max(1));
            SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        match self.slope {
            Slope::Level => self.loss,
            Slope::Rises => self.loss.saturating_add(elapsed),
            Slope::RisesBy(gained, of) => self.loss.saturating_add(part(gained, of)),
            Slope::FallsBy(gained, of) => self.loss.saturating_sub(part(gained, of)),
        }
    }
}

/// A loss as a function of the moment of the strike, while nothing else changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stake {
    /// In the order of time; what comes before the first counts as its beginning. Nothing is lost when
    /// there are none.
    pub pieces: Vec<Piece>,
    /// Who would go on is not known yet, as where every copy that is left is down: no more than this is lost,
    /// and as much less as a piece says.
    pub is_bound: bool,
}

impl Stake {
    /// The same whenever it strikes.
    pub fn constant(loss: SimSpan) -> Self {
        let slack = SimSpan::ZERO;
        let piece = Piece { from: SimTime::ZERO, loss, slope: Slope::Level, slack };
        Self { pieces: vec![piece], is_bound: false }
    }

    /// What a strike at a moment costs at least.
    pub fn least_at(&self, at: SimTime) -> SimSpan {
        let idx = self.pieces.partition_point(|piece| piece.from <= at).saturating_sub(1);
        let least = |piece: &Piece| piece.at(at).saturating_sub(piece.slack);
        self.pieces.get(idx).map_or(SimSpan::ZERO, least)
    }

    /// What a strike at a moment costs.
    pub fn at(&self, at: SimTime) -> SimSpan {
        let idx = self.pieces.partition_point(|piece| piece.from <= at).saturating_sub(1);
        self.pieces.get(idx).map_or(SimSpan::ZERO, |piece| piece.at(at))
    }
}

/// What is at stake with every zone, and with a node, of one database. None where no other copy is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stakes {
    /// By zone.
    pub zones: Vec<Option<Stake>>,
    /// With each node that holds a copy: whichever it is, the most of these is lost. None where the
    /// node takes the only copy with it.
    pub node: Option<Vec<Stake>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_follows_its_pieces() {
        let secs = SimSpan::from_secs;
        let piece = |from, loss, slope| Piece {
            from: SimTime::from_secs(from),
            loss: secs(loss),
            slope,
            slack: SimSpan::ZERO,
        };
        let pieces = vec![
            piece(10, 0, Slope::Rises),
            piece(20, 10, Slope::Level),
            piece(30, 10, Slope::FallsBy(1, 1)),
            piece(35, 5, Slope::RisesBy(1, 4)),
        ];
        let stake = Stake { pieces, is_bound: false };
        for (at, loss) in [(3, 0), (10, 0), (14, 4), (20, 10), (29, 10), (33, 7), (43, 7)] {
            assert_eq!(stake.at(SimTime::from_secs(at)), secs(loss), "{at}");
        }
        assert_eq!(Stake::default().at(SimTime::from_secs(5)), SimSpan::ZERO);
    }
}
