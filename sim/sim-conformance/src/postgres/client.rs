//! The client of the recorded experiments: 20 connections, one row every 20 ms, and what becomes of
//! each row.

use model_api::{SimSpan, SimTime};

/// Connections.
pub(super) const CONNECTION_COUNT: usize = 20;
/// From one row to the next.
pub(super) const ROW_PERIOD: SimSpan = SimSpan::from_millis(20);
/// Of a connection to a member, and of a statement.
pub(super) const LIMIT: SimSpan = SimSpan::from_secs(1);
/// A row succeeds for good when so many of a window of this length do.
const WINDOW: SimSpan = SimSpan::from_secs(30);
/// Of a thousand attempts in a window, so many must succeed.
const SUCCESSES_OF_THOUSAND: usize = 990;

/// What became of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing yet.
    #[default]
    Open,
    /// Acknowledged.
    Acknowledged,
    /// It had no effect for sure.
    Failed,
    /// Sent, and never answered.
    Unknown,
    /// Its connection was busy.
    Skipped,
}

/// One row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) sent: SimTime,
    pub(super) ended: SimTime,
    pub(super) outcome: Outcome,
    /// Where and when it was committed, if it was.
    pub(super) committed: Option<(u8, SimTime)>,
    /// It was acknowledged after a standby had confirmed it.
    pub(super) is_confirmed: bool,
    /// What it was committed to is gone.
    pub(super) is_gone: bool,
}

impl Row {
    pub(super) fn is_present(&self) -> bool {
        self.committed.is_some() && !self.is_gone
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.outcome == Outcome::Acknowledged
    }
}

/// What a connection does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// There is none.
    #[default]
    Closed,
    /// It stands, to that member.
    Open(u8),
    /// Tries the candidate of that number.
    Connecting(usize),
    /// Sent a statement to that member, which has not committed it.
    Sent(u8),
    /// The member has committed it, and its answer is on the way.
    Confirming(u8),
    /// The member waits for others before it answers.
    Waiting(u8),
}

impl State {
    /// The member it is connected to.
    pub(super) fn member(self) -> Option<u8> {
        match self {
            Self::Open(member)
            | Self::Sent(member)
            | Self::Confirming(member)
            | Self::Waiting(member) => Some(member),
            Self::Closed | Self::Connecting(_) => None,
        }
    }
}

/// One connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    pub(super) state: State,
    /// Tells timers of an earlier statement from those of this one.
    pub(super) count: u32,
    /// The row it is busy with.
    pub(super) row: usize,
    /// The member it was last connected to.
    pub(super) last_good: u8,
    /// When its next row is due.
    pub(super) due: SimTime,
    /// A row that is due and waits until the connection is free.
    pub(super) queued: Option<usize>,
    /// From the commit to the answer of the statement that is sent.
    pub(super) answer: SimSpan,
    /// Members in the order in which they are tried.
    pub(super) candidates: [u8; 3],
    /// It was cut while idle: the next statement finds out.
    pub(super) is_cut: bool,
}

/// An outage as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// The first attempt that ended after the fault without success was sent then.
    pub(super) first_failed_sent: SimTime,
    /// The first success that was followed by a good window was acknowledged then.
    pub(super) recovered: Option<SimTime>,
}

/// Where an outage begins and ends, by the formula of the recorder; `None` when there is none.
pub(super) fn outage(rows: &[Row], fault: SimTime) -> Option<Outage> {
    let fails = |row: &&Row| {
        !matches!(row.outcome, Outcome::Acknowledged | Outcome::Open) && row.ended > fault
    };
    let first = rows.iter().filter(fails).map(|row| row.sent).min()?;
    let mut attempts: Vec<&Row> = rows.iter().filter(|row| row.outcome != Outcome::Open).collect();
    attempts.sort_by_key(|row| row.sent);
    let from = attempts.partition_point(|row| row.sent < first);
    let (mut until, mut successes) = (from, 0);
    for idx in from..attempts.len() {
        let start = attempts[idx].sent;
        while until < attempts.len() && attempts[until].sent < start + WINDOW {
            successes += usize::from(attempts[until].is_acknowledged());
            until += 1;
        }
        let is_good = successes * 1000 >= (until - idx) * SUCCESSES_OF_THOUSAND;
        if attempts[idx].is_acknowledged() {
            if is_good {
                let recovered = Some(attempts[idx].ended);
                return Some(Outage { first_failed_sent: first, recovered });
            }
            successes -= 1;
        }
    }
    Some(Outage { first_failed_sent: first, recovered: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(outcomes: &[(Outcome, u64)]) -> Vec<Row> {
        let mut rows = Vec::new();
        for &(outcome, count) in outcomes {
            for _ in 0..count {
                let sent = SimTime::from_millis(20 * rows.len() as u64);
                let ended = sent + SimSpan::from_millis(5);
                rows.push(Row { sent, ended, outcome, ..Row::default() });
            }
        }
        rows
    }

    #[test]
    fn an_outage_ends_with_the_first_good_window() {
        use Outcome::{Acknowledged, Failed, Unknown};
        let fault = SimTime::from_secs(1);
        let of = |outcomes: &[(Outcome, u64)]| outage(&rows(outcomes), fault);
        assert_eq!(of(&[(Acknowledged, 2000)]), None);
        let found = of(&[(Acknowledged, 100), (Unknown, 20), (Failed, 80), (Acknowledged, 2000)]);
        let found = found.expect("there is an outage");
        assert_eq!(found.first_failed_sent, SimTime::from_secs(2));
        assert_eq!(found.recovered, Some(SimTime::from_millis(4_005)));
        // Sixteen failures in the window of the first success are too many.
        let found = of(&[
            (Acknowledged, 100),
            (Failed, 100),
            (Acknowledged, 100),
            (Failed, 16),
            (Acknowledged, 2000),
        ]);
        let recovered = found.and_then(|it| it.recovered).expect("it recovers");
        assert_eq!(recovered, SimTime::from_millis(20 * 316 + 5));
        // Whatever comes after it, an outage that does not end has no end.
        let found = of(&[(Acknowledged, 100), (Failed, 3000)]).expect("there is an outage");
        assert_eq!(found.recovered, None);
    }

    #[test]
    fn what_fails_before_the_fault_is_no_outage() {
        let rows = rows(&[(Outcome::Failed, 10), (Outcome::Acknowledged, 2000)]);
        assert_eq!(outage(&rows, SimTime::from_secs(5)), None);
    }
}
