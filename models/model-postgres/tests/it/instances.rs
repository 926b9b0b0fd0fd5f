//! Faults of single instances: a volume that is gone, processes that stand still, a standby that nothing reaches.

use model_api::Parameters;
use model_api::blueprint::Patroni;
use model_api::parameters::Range;
use model_postgres::Leadership;

use crate::world::{Act, Case, Run, any, fixed, patroni};

fn run(case: &Case, script: &[(u64, Act)]) -> Run {
    Case { parameters: fixed(), ..case.clone() }.run(script, 900_000)
}

#[track_caller]
fn check(run: &Run, expected: &str) {
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = run.text();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "\n{text}");
}

#[test]
fn an_empty_standby_copies_the_primary() {
    // A checkpoint that nobody hurries, 270 s, and 10 GB at 100 MB/s.
    let run = run(&Case::default(), &[(100_000, Act::Destroy(1)), (130_000, Act::Start(1))]);
    check(
        &run,
        "130.000 clones 1 for 370
         500.000 cloned 1",
    );
    assert!(run.is_whole);
}

#[test]
fn a_primary_whose_volume_is_gone_is_replaced_and_copies_its_successor() {
    let run = run(&Case::default(), &[(100_000, Act::Destroy(0)), (130_000, Act::Start(0))]);
    check(
        &run,
        "100.000 writes stop
         100.000 writable 0
         100.000 fails over 0
         105.000 promoted 1
         105.000 lost 50 ms, 10 commits, 50000 bytes
         105.000 writable 1
         111.000 writes resume
         130.000 clones 0 for 370
         500.000 cloned 0",
    );
    // What it had closed and not archived is gone with its volume.
    assert_eq!(run.log(), ["stopped", "forked 0", "runs"]);
}

#[test]
fn nothing_is_lost_with_the_volume_of_a_synchronous_primary() {
    let case = Case { synchronous: any(1, true, false), ..Case::default() };
    assert_eq!(run(&case, &[(100_000, Act::Destroy(0))]).lost(), 0);
}

#[test]
fn a_copy_begins_anew_when_its_primary_goes() {
    let run = run(
        &Case::default(),
        &[(100_000, Act::Destroy(1)), (130_000, Act::Start(1)), (200_000, Act::Crash(0))],
    );
    check(
        &run,
        "130.000 clones 1 for 370
         200.000 writes stop
         200.000 writable 0
         200.000 fails over 0
         205.000 promoted 2
         205.000 clones 1 for 370
         205.000 lost 50 ms, 10 commits, 50000 bytes
         205.000 writable 1
         211.000 writes resume
         575.000 cloned 1",
    );
}

/// An empty instance is not promoted, however long nobody else is there.
#[test]
fn nobody_promotes_an_empty_instance() {
    let case = Case { instances: 2, ..Case::default() };
    let script = [
        (100_000, Act::Destroy(1)),
        (130_000, Act::Start(1)),
        (200_000, Act::Crash(0)),
        (600_000, Act::Start(0)),
    ];
    let run = run(&case, &script);
    assert_eq!(run.promotion_count(), 0, "{}", run.text());
    assert!(run.text().contains("609.000 writes resume"), "{}", run.text());
}

#[test]
fn a_primary_that_stands_still_for_a_moment_goes_on() {
    let script = [(100_000, Act::Pause(0, true)), (120_000, Act::Pause(0, false))];
    check(
        &run(&Case::default(), &script),
        "100.000 writes stop
         100.000 writable 0
         120.000 writes resume
         120.000 writable 1",
    );
}

/// A second passes from whatever happens to whoever watches.
fn slow_watch() -> Case {
    let watch_latency = Range::millis(1_000, 1_000);
    Case { parameters: Parameters { watch_latency, ..fixed() }, ..Case::default() }
}

const STANDS_STILL: (u64, Act) = (100_000, Act::Pause(0, true));

#[test]
fn a_primary_that_goes_on_acknowledges_until_it_reads_that_it_was_replaced() {
    let script = [STANDS_STILL, (160_000, Act::Pause(0, false))];
    check(
        &slow_watch().run(&script, 900_000),
        "100.000 writes stop
         100.000 writable 0
         131.000 fails over 0
         150.000 promoted 1
         150.000 writable 1
         157.000 writes resume
         160.000 writable 2
         161.000 lost 61050 ms, 110 commits, 550000 bytes
         161.000 writable 1",
    );
}

/// Half of the clients waited for the old one, and do not commit on the other side too.
#[test]
fn clients_commit_on_one_side_each() {
    let script = [STANDS_STILL, (160_000, Act::ResumeToEnd(0)), (340_000, Act::Crash(0))];
    let run = slow_watch().run(&script, 900_000);
    // Until 100 s all of them, from 157 s to 340 s half of them, then all again; the other half of them from
    // 160 s to 340 s, which is lost.
    let [readable, lost] = [run.readable_ns, run.lost_ns()].map(|nanos| nanos / 1_000_000);
    assert!((100_000 + 91_500 + 560_000_u64).abs_diff(readable) < 100, "{readable}");
    assert!(90_000_u64.abs_diff(lost) < 100, "{lost}");
    // Before anybody is led elsewhere all of them are there again, and nowhere else.
    let script = [STANDS_STILL, (150_500, Act::ResumeToEnd(0)), (340_000, Act::Crash(0))];
    let lost = slow_watch().run(&script, 900_000).lost_ns() / 1_000_000;
    assert!(189_550_u64.abs_diff(lost) < 100, "{lost}");
}

/// The kubelet has sent TERM meanwhile, so that its sessions have the time of a smart shutdown.
#[test]
fn a_primary_that_was_told_to_end_reads_nothing_else_first() {
    let script = [STANDS_STILL, (160_000, Act::ResumeToEnd(0)), (340_000, Act::Crash(0))];
    let run = slow_watch().run(&script, 900_000);
    let text = run.text();
    assert!(text.contains("160.000 writable 2\n340.000 lost 240050 ms, 18010 commits"), "{text}");
}

#[test]
fn commits_wait_for_standbys_that_nothing_reaches() {
    let script = |is| [1, 2].map(|standby| Act::Starve(standby, is));
    let [first, second] = script(true);
    let [third, fourth] = script(false);
    let script = [(100_000, first), (100_000, second), (200_000, third), (200_000, fourth)];
    let case = Case { synchronous: any(1, true, false), ..Case::default() };
    let outages = run(&case, &script).outages();
    let [(from, until)] = outages[..] else { panic!("{outages:?}") };
    assert_eq!(from.as_secs(), 100);
    assert!((201..211).contains(&until.as_secs()), "{until:?}");
    // One of two is enough.
    assert_eq!(run(&case, &script[..1]).outages(), []);
    // Nobody waits where nobody confirms, and what they lack is lost with the primary.
    let lost = [&script[..2], &[(190_000, Act::Crash(0))]].concat();
    let text = run(&Case::default(), &lost).text();
    assert!(text.contains("lost 90050 ms, 18010 commits"), "{text}");
}

#[test]
fn a_leader_with_an_empty_data_directory_gives_its_key_away() {
    let in_api = Patroni { has_rewind: true, ..Patroni::default() };
    for run in 0..20 {
        let case = Case { run, ..patroni(in_api) };
        let script = [(100_000, Act::Destroy(0)), (103_000, Act::Start(0))];
        let run = case.run(&script, 1_200_000);
        let gone = run.moment(Leadership::KeyGone).expect("it gives its key away");
        assert!((103_000..103_500).contains(&gone.as_millis()), "{}", run.text());
        assert!(run.text().contains("clones 0"), "{}", run.text());
        assert!(run.is_whole && run.pending_count == 0, "{}", run.text());
    }
}

#[test]
fn a_member_that_lags_too_much_does_not_race() {
    let in_api = Patroni { has_rewind: true, ..Patroni::default() };
    // 1 MB/s: a second more than 1 MiB is too much.
    let starved = [1, 2].map(|standby| (100_000, Act::Starve(standby, true)));
    let script = [&starved[..], &[(130_000, Act::Power(0))]].concat();
    let run = patroni(in_api).run(&script, 600_000);
    assert_eq!(run.promotion_count(), 0, "{}", run.text());
}
