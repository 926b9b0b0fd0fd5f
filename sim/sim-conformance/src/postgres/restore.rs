//! Everything is destroyed and restored from a base backup and an archive: experiment i.

use model_api::parameters::Range;
use model_api::{SimSpan, SimTime};
use model_postgres::archive::Archive;
use model_postgres::recovery::{Rates, Recovery};
use sim_kernel::{EntityKey, Purpose, Streams};

use super::client::{CONNECTION_COUNT, ROW_PERIOD};
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
const SECOND: Purpose = Purpose::new("phase of the wall clock's second");
const WAKING: Purpose = Purpose::new("recorder checkpointer wakes");
const BACKUP_END: Purpose = Purpose::new("recorder end of the base backup");
const IN_FLIGHT: Purpose = Purpose::new("recorder rows in flight at the fault");

/// Rows that are sent and not answered at most: one for each connection.
const IN_FLIGHT_MOST: f64 = CONNECTION_COUNT as f64;
/// How late a process of an overloaded machine wakes, at most. **Assumption.**
const WAKE_LATE_SECS: f64 = 0.5;
/// From the end of the transfer until `pg_basebackup` has synced a small backup and ends, at most.
/// **Assumption.**
const SYNC_SECS: f64 = 1.0;
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
    /// WAL comes with the base backup, over a connection of its own.
    is_streamed: bool,
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
        is_streamed: ["-X stream", "-X s", "-Xs", "wal-method=stream"]
            .iter()
            .any(|option| node.at("settings.base_backup").text().contains(option)),
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
    let Loss { rpo, age, rows } = loss(restore, streams);
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
    figures.insert("lost_acknowledged", rows);
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

/// What is lost with the segments that were not archived.
struct Loss {
    /// From the acknowledgement of the last row that survives to the fault.
    rpo: SimSpan,
    /// How long ago the last segment was archived.
    age: SimSpan,
    /// Rows that were acknowledged and are gone.
    rows: f64,
}

fn loss(restore: &Restore, streams: Streams) -> Loss {
    // One `cp` of a segment, under load.
    let copied = streams.draw(MACHINE, COPYING, 1).unit();
    let upload = SimSpan::from_millis(20) + SimSpan::from_secs_f64_rounded(copied * copied * 2.0);
    // The base backup closes a segment, at time zero here, and ends a while later.
    let ended = SimTime::ZERO + backup_end(restore, upload, streams);
    let fault = ended + restore.since_base;
    let mut archive = Archive::new(restore.segment_bytes, None, upload);
    write_and_close(restore, ended, fault, &mut archive, streams);
    let lost_from = archive.archived_until(fault);
    // The last row before it was acknowledged up to a period earlier.
    let row = streams.draw(MACHINE, CLIENT, 2).span_between(SimSpan::ZERO, ROW_PERIOD);
    let rpo = fault.saturating_since(lost_from) + row;
    // Rows that wait for their answer at the fault are not acknowledged; few do at most times.
    let unit = streams.draw(MACHINE, IN_FLIGHT, 0).unit();
    let in_flight = (unit * unit * unit * IN_FLIGHT_MOST).floor();
    let rows = (rpo.as_secs_f64() / ROW_PERIOD.as_secs_f64()).floor() - in_flight;
    let age = fault.saturating_since(lost_from).saturating_sub(upload);
    Loss { rpo, age, rows: rows.max(0.0) }
}

/// From the segment that a base backup closes to its end. Unless WAL is streamed, the server looks once
/// a second whether that segment and the file that describes the backup are archived
/// (`do_pg_backup_stop`, PostgreSQL 15 `src/backend/access/transam/xlog.c`); then the files are synced.
fn backup_end(restore: &Restore, upload: SimSpan, streams: Streams) -> SimSpan {
    let looks = (upload * 2).as_secs_f64().ceil().max(1.0);
    let waited = if restore.is_streamed { 0.0 } else { looks };
    // On a disk much of what was copied may still have to be written.
    let half = restore.backup.as_secs_f64() / 2.0;
    let sync = if restore.is_on_disk { half.max(SYNC_SECS) } else { SYNC_SECS };
    let unit = streams.draw(MACHINE, BACKUP_END, 0).unit();
    let end = SimSpan::from_secs_f64_rounded(waited + unit * unit * sync);
    // All of it happened within the base backup, whose length is rounded.
    let most = restore.backup.max(SimSpan::from_secs(2));
    if restore.backup.is_zero() { end } else { end.min(most) }
}

/// Writes up to the fault, and closes segments for their age.
///
/// The checkpointer counts in whole seconds of the wall clock. It sleeps until the last segment is
/// `archive_timeout` old, closes the open one if it still is, and sleeps again
/// (`CheckpointerMain` and `CheckArchiveTimeout`, PostgreSQL 15
/// `src/backend/postmaster/checkpointer.c`). So a segment is closed up to a second before or after the
/// time-out, depending on where in a second the process wakes; what it wakes too late adds up, and costs
/// a second when the next one has begun.
fn write_and_close(
    restore: &Restore,
    ended: SimTime,
    fault: SimTime,
    archive: &mut Archive,
    streams: Streams,
) {
    let timeout = restore.archive_timeout.as_secs_f64().floor();
    let mut rates = rates_of_writing(restore, ended, streams).into_iter().peekable();
    let mut advance = |archive: &mut Archive, to: SimTime| {
        while let Some((at, rate)) = rates.next_if(|(at, _)| *at <= to) {
            archive.set_rate(rate, at);
        }
    };
    let second =
        streams.draw(MACHINE, SECOND, 0).span_between(SimSpan::ZERO, SimSpan::from_secs(1));
    let clock = |at: SimTime| (at + second).saturating_since(SimTime::ZERO).as_secs_f64().floor();
    let waking = |nth| streams.draw(MACHINE, WAKING, nth).unit();
    let late = |nth| waking(nth).powi(3) * WAKE_LATE_SECS;
    let mut closed_at = clock(SimTime::ZERO);
    let first = closed_at + timeout + waking(0) - second.as_secs_f64();
    let mut wakes_at = SimTime::ZERO + SimSpan::from_secs_f64_rounded(first.max(0.0));
    let mut nth = 1;
    while timeout >= 1.0 && wakes_at <= fault {
        advance(archive, wakes_at);
        closed_at = clock(archive.opened_at(wakes_at)).max(closed_at);
        if clock(wakes_at) - closed_at >= timeout {
            archive.switch(wakes_at);
            closed_at = clock(wakes_at);
        }
        let slept = (timeout - (clock(wakes_at) - closed_at)).max(1.0) + late(nth);
        wakes_at += SimSpan::from_secs_f64_rounded(slept);
        nth += 1;
    }
    advance(archive, fault);
}

/// Bytes of WAL a second, each from a moment on: rows alone, and much while the load ran.
fn rates_of_writing(restore: &Restore, ended: SimTime, streams: Streams) -> Vec<(SimTime, u64)> {
    let idle = restore.since_base.saturating_sub(restore.load);
    let most = idle.saturating_add(restore.backup);
    let begun = streams.draw(MACHINE, LOADING, 0).span_between(SimSpan::ZERO, most);
    let from = ended + begun.saturating_sub(restore.backup);
    let until = ended + (begun + restore.load).saturating_sub(restore.backup);
    let of_load = whole(restore.wal_bytes as f64 / restore.load.as_secs_f64().max(1.0));
    let mut rates = vec![(SimTime::ZERO, WAL_OF_ROWS)];
    if until > from {
        rates.extend([(from, of_load), (until, WAL_OF_ROWS)]);
    }
    rates
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

    /// Whole seconds of the wall clock, the end of the base backup and rows in flight leave a loss open
    /// by seconds, and not by more than they can.
    #[test]
    fn a_loss_is_as_open_as_the_clocks_make_it() {
        // From the base backup to the fault: least and most seconds that are lost.
        let cases = [(45, (45.0, 48.1)), (121, (0.0, 64.0)), (90, (27.0, 35.0))];
        for (secs, (least, most)) in cases {
            let text = format!(
                "{{experiment: i, storage: memory, base_backup_s: 3, settings: {{archive_timeout: \
                 60}}, seconds_from_base_backup_to_fault: {secs}}}"
            );
            let (documents, _) = scenario_format::yaml::parse(0, &text);
            let restore = read(Tree::of(&documents[0])).expect("it is one");
            let runs: Vec<Figures> = (0..1000).map(|run| simulated(&restore, run)).collect();
            let of = |name: &str| {
                let mut values: Vec<f64> = runs.iter().map(|run| run[name]).collect();
                values.sort_by(f64::total_cmp);
                (values[0], values[values.len() - 1])
            };
            let rpo = of("rpo_s");
            assert!(rpo.0 >= least && rpo.1 <= most && rpo.1 - rpo.0 > 1.0, "{secs}: {rpo:?}");
            let rows = of("lost_acknowledged");
            assert!(rows.0 <= rpo.0 * 50.0 && rows.1 <= rpo.1 * 50.0, "{secs}: {rows:?}");
            assert!(rows.1 - rows.0 > 50.0, "{secs}: {rows:?}");
        }
    }
}
