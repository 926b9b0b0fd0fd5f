//! Everything is destroyed and restored from a base backup and an archive: experiment i.

use model_api::parameters::Range;
use model_api::{SimSpan, SimTime};
use model_postgres::archive::Archive;
use model_postgres::recovery::{Rates, Recovery};
use sim_kernel::{EntityKey, Purpose, Streams};

use super::experiment::{bytes, span};
use super::figures::Figures;
use crate::amounts::whole;
use crate::tree::Tree;

const MACHINE: EntityKey = EntityKey::of("recorder/machine");
const COPYING: Purpose = Purpose::new("recorder copy rate");
const REPLAYING: Purpose = Purpose::new("recorder replay rate");
const STARTING: Purpose = Purpose::new("recorder start of postgres");
const ENDING: Purpose = Purpose::new("recorder end of recovery");
const DELETING: Purpose = Purpose::new("recorder deletion");
const LOADING: Purpose = Purpose::new("recorder load before the fault");
const CLIENT: Purpose = Purpose::new("recorder client after a restore");

/// Rows of the client per second.
const ROWS_PER_SECOND: f64 = 50.0;
/// WAL of these rows per second. **Assumption.**
const WAL_OF_ROWS: u64 = 12_500;

/// From the base backup to the fault, if nothing says it.
const SINCE_BASE_SECS: f64 = 60.0;
/// Base backup of a database with the rows of the client alone.
const EMPTY_BYTES: f64 = 40_000_000.0;

/// A restore that was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Restore {
    archive_timeout: SimSpan,
    segment_bytes: u64,
    base_bytes: u64,
    wal_bytes: u64,
    is_on_disk: bool,
    /// From the end of the base backup to the fault.
    since_base: SimSpan,
    /// So long much was written, beginning during the base backup or after it.
    load: SimSpan,
    /// Length of the base backup.
    backup: SimSpan,
}

/// Whether a repetition is one.
pub(super) fn is_restore(node: Tree<'_>) -> bool {
    // A title may tell of a member that was restored.
    node.field("base_backup_bytes").is_given()
        || node.field("restore_time_s").is_given()
        || node.field("experiment").text() == "i"
}

/// Reads a repetition.
///
/// # Errors
/// Says which number is none that a restore can have.
pub(super) fn read(node: Tree<'_>) -> Result<Restore, String> {
    let number = |name: &str, default: f64| node.at(name).number().unwrap_or(default);
    let span_or = |name: &str, default: f64| span(name, number(name, default));
    let bytes_or = |name: &str, default: f64| bytes(name, number(name, default));
    let since_base = span_or("seconds_from_base_backup_to_fault", SINCE_BASE_SECS)?;
    // A log without the lines of the replay is one of a small database: rows alone were replayed.
    let wal_of_rows = since_base.as_secs_f64() * WAL_OF_ROWS as f64;
    let base_bytes = bytes_or("base_backup_bytes", number("database_bytes", EMPTY_BYTES))?;
    let segment_mb = node.at("settings.wal_segment_mb").number().unwrap_or(16.0);
    Ok(Restore {
        archive_timeout: span_or("settings.archive_timeout", 60.0)?,
        segment_bytes: bytes("settings.wal_segment_mb", segment_mb * 1_048_576.0)?,
        base_bytes,
        wal_bytes: bytes_or("wal_replayed_bytes", wal_of_rows)?,
        is_on_disk: node.field("storage").text().contains("disk"),
        since_base,
        load: span_or("pgbench_load_s", 0.0)?,
        backup: span_or("base_backup_s", 0.0)?,
    })
}

/// The figures of the run with that luck.
pub(super) fn simulated(restore: &Restore, number: u64) -> Figures {
    let streams = Streams::new(0x5EED, number);
    let rates = rates(restore, streams);
    let deleting =
        if restore.is_on_disk { Range::millis(200, 20_000) } else { Range::millis(50, 3_000) };
    let destroyed = streams.draw(MACHINE, DELETING, 0).span_between(deleting.least, deleting.most);
    let recovery = Recovery::new(restore.base_bytes, restore.wal_bytes, &rates);
    let start = destroyed;
    let copied = start + recovery.copy;
    let redo_starts = copied + recovery.start;
    let redo_done = redo_starts + recovery.replay;
    let ready = redo_done + recovery.end;
    // The client tries all the time; under load one attempt takes up to a second.
    let tries = streams.draw(MACHINE, CLIENT, 0).span_between(SimSpan::ZERO, SimSpan::from_secs(1));
    let client = streams.draw(MACHINE, CLIENT, 1);
    let first_failed = client.span_between(SimSpan::ZERO, SimSpan::from_millis(60));
    let recovered = ready + tries;
    let (rpo, age) = loss(restore, streams);
    let mut figures = Figures::new();
    let secs = |span: SimSpan| span.as_secs_f64();
    figures.insert("phases.destroyed_s", secs(destroyed));
    figures.insert("phases.restore_starts_s", secs(start));
    figures.insert("phases.base_copied_s", secs(copied));
    figures.insert("phases.redo_starts_s", secs(redo_starts));
    figures.insert("phases.redo_done_s", secs(redo_done));
    figures.insert("phases.first_connection_s", secs(ready));
    figures.insert("phases.recovered_s", secs(recovered));
    figures.insert("rto_s", secs(recovered.saturating_sub(first_failed)));
    figures.insert("restore_time_s", secs(ready - start));
    figures.insert("rpo_s", secs(rpo));
    figures.insert("last_archived_segment_age_s", secs(age));
    figures.insert("lost_acknowledged", (secs(rpo) * ROWS_PER_SECOND).floor());
    figures.insert("holes_before_last_kept", 0.0);
    figures
}

/// What the recorder's machine can do: its notes give 26 to 200 MB/s for copies on the shared disk;
/// a memory file system is bound by one core. Replay includes one copy a segment.
fn rates(restore: &Restore, streams: Streams) -> Rates {
    let (copy, replay) = if restore.is_on_disk {
        ((26.0, 200.0), (3.0, 100.0))
    } else {
        ((150.0, 2500.0), (10.0, 400.0))
    };
    let skewed = |purpose, (least, most): (f64, f64)| {
        let unit = streams.draw(MACHINE, purpose, 0).unit();
        // Evenly in the square root: slow is likelier than fast.
        let rate = least + (most - least) * unit * unit;
        whole(rate * 1e6)
    };
    let spans = |purpose, most_ms: u64| {
        let unit = streams.draw(MACHINE, purpose, 0).unit();
        SimSpan::from_millis(100)
            + SimSpan::from_secs_f64_rounded(unit * unit * most_ms as f64 / 1e3)
    };
    let slow = if restore.is_on_disk { 20_000 } else { 5_000 };
    Rates {
        copy_bytes_per_second: skewed(COPYING, copy),
        replay_bytes_per_second: skewed(REPLAYING, replay),
        start: spans(STARTING, slow),
        end: spans(ENDING, slow),
    }
}

/// What was acknowledged after the last archived segment ended, and how long ago that one was
/// archived.
fn loss(restore: &Restore, streams: Streams) -> (SimSpan, SimSpan) {
    // One `cp` of a segment, under load.
    let copied = streams.draw(MACHINE, COPYING, 1).unit();
    let upload = SimSpan::from_millis(20) + SimSpan::from_secs_f64_rounded(copied * copied * 2.0);
    let mut archive = Archive::new(restore.segment_bytes, Some(restore.archive_timeout), upload);
    // The base backup ends with a segment, at time zero here.
    let idle = restore.since_base.saturating_sub(restore.load);
    let most = idle.saturating_add(restore.backup);
    let begun = streams.draw(MACHINE, LOADING, 0).span_between(SimSpan::ZERO, most);
    let fault = SimTime::ZERO + restore.since_base;
    let from = SimTime::ZERO + begun.saturating_sub(restore.backup);
    let until = SimTime::ZERO + (begun + restore.load).saturating_sub(restore.backup);
    let of_load = whole(restore.wal_bytes as f64 / restore.load.as_secs_f64().max(1.0));
    archive.set_rate(WAL_OF_ROWS, SimTime::ZERO);
    if until > from {
        archive.set_rate(of_load, from);
        archive.set_rate(WAL_OF_ROWS, until.min(fault));
    }
    let rpo = fault.saturating_since(archive.archived_until(fault));
    (rpo, rpo.saturating_sub(upload))
}

/// What is compared, in the order in which it is told.
pub(super) const NAMES: &[&str] = &[
    "rto_s",
    "rpo_s",
    "restore_time_s",
    "lost_acknowledged",
    "last_archived_segment_age_s",
    "holes_before_last_kept",
    "phases.destroyed_s",
    "phases.restore_starts_s",
    "phases.base_copied_s",
    "phases.redo_starts_s",
    "phases.redo_done_s",
    "phases.first_connection_s",
    "phases.recovered_s",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restore_does_not_say_is_that_of_a_small_database() {
        let cases = [
            ("experiment: i", true),
            ("experiment: i, wal_replayed_bytes: null, base_backup_bytes: 40000000", true),
            ("experiment: h, title: the old member is restored", false),
            ("title: restored from backup, restore_time_s: 12", true),
        ];
        for (text, expected) in cases {
            let (documents, diagnostics) = scenario_format::yaml::parse(0, &format!("{{{text}}}"));
            assert_eq!(diagnostics, []);
            let node = Tree::of(&documents[0]);
            assert_eq!(is_restore(node), expected, "{text}");
            assert!(!expected || read(node).is_ok_and(|it| it.wal_bytes > 0), "{text}");
        }
        let (documents, _) = scenario_format::yaml::parse(0, "{base_backup_bytes: -1}");
        assert!(read(Tree::of(&documents[0])).is_err());
    }
}
