//! Exit codes: the contract with scripts. One code for each cause, all of them here.

use std::process::ExitCode;

/// How the program ends.
///
/// Two more belong to the system: 101 is a bug of ours (a panic), 130 and 143 are Ctrl-C and
/// SIGTERM. A reader who closes the pipe early (`eidp-sim run … | head`) has what they wanted, and
/// changes no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything ran and every guarantee held. For `diff`: nothing differs. For `conformance`: every
    /// case passed; with `--traces`: enough figures are covered.
    Held = 0,
    /// A guarantee is violated, or could not have been kept by any design. For `diff`: something
    /// differs. For `conformance`: a case failed or is not supported; with
    /// `--traces`: fewer than 95 % of the figures are covered.
    Violated = 1,
    /// The input or the command line is wrong. Nothing was judged.
    BadInput = 2,
    /// A guarantee was neither proven nor refuted: its interval straddles the limit, or what it
    /// speaks of never happened, or is not modelled. For `diff`: nothing differs, but what was
    /// changed is, in part at least, not modelled. `--inconclusive=pass` and
    /// `--inconclusive=fail` map the first of these to 0 or 1.
    Inconclusive = 3,
    /// No scenario was selected, or no case.
    NothingSelected = 4,
    /// Runs are missing: some stopped at a limit before the end of their scenario.
    Incomplete = 5,
    /// Two executions of one run differ: the result cannot be trusted.
    NonDeterministic = 6,
}

impl Exit {
    /// Of two ways to end, the one that a script must hear of: no trust before no result, no
    /// result before a bad one, a bad one before an uncertain one.
    pub(crate) fn worse(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::NothingSelected => 1,
            Self::Inconclusive => 2,
            Self::Violated => 3,
            Self::Incomplete => 4,
            Self::NonDeterministic => 5,
            Self::BadInput => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table for the end of `--help` and for the manual.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  held: every guarantee held (diff: nothing differs; conformance: all passed)
  1  violated, or no design could have kept it (diff: a difference; conformance: not all passed)
  2  bad input or usage; nothing was judged
  3  inconclusive, vacuous or not modelled (diff: only what is not modelled differs)
  4  nothing selected: no scenario or case there
  5  incomplete: runs stopped at a limit
  6  non-deterministic: two executions of one run differ";

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Exit; 7] = [
        Exit::Held,
        Exit::Violated,
        Exit::BadInput,
        Exit::Inconclusive,
        Exit::NothingSelected,
        Exit::Incomplete,
        Exit::NonDeterministic,
    ];

    #[test]
    fn the_numbers_are_the_contract() {
        assert_eq!(ALL.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5, 6]);
        for (code, line) in (0..7).zip(TABLE.lines().skip(1)) {
            assert!(line.starts_with(&format!("  {code}  ")), "{line}");
        }
    }

    #[test]
    fn worse_is_an_order() {
        for a in ALL {
            assert_eq!(a.worse(a), a);
            assert_eq!(a.worse(Exit::Held), a, "anything is worse than held");
            for b in ALL {
                assert_eq!(a.worse(b), b.worse(a));
            }
        }
    }
}
