//! One fault each, with every timer fixed: the timeline is the test.

use model_api::Parameters;
use model_api::blueprint::{CommitWait, Synchronous, WalVolume};
use model_api::parameters::Range;
use sim_kernel::SimSpan;

use crate::world::{Act, Case, any, fixed};

#[track_caller]
fn check(case: &Case, script: &[(u64, Act)], expected: &str) {
    check_for(900, case, script, expected);
}

#[track_caller]
fn check_for(secs: u64, case: &Case, script: &[(u64, Act)], expected: &str) {
    let run = Case { parameters: fixed(), ..case.clone() }.run(script, secs * 1000);
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = run.text();
    let found: Vec<&str> = text.lines().collect();
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn the_loss_of_an_asynchronous_primary_costs_its_lag() {
    // 50 s to see it, 15 s to watch the lease, 4 s to promote, 1 + 5 s until clients are back.
    check(
        &Case::default(),
        &[(100_000, Act::Power(0))],
        "100.000 writes stop
         100.000 writable 0
         150.000 fails over 0
         169.000 promoted 1
         169.000 lost 50 ms, 10 commits, 50000 bytes
         169.000 writable 1
         175.000 writes resume",
    );
}

#[test]
fn more_is_lost_when_more_is_written() {
    check(
        &Case::default(),
        &[(90_000, Act::Load(3_000_000)), (100_000, Act::Power(0))],
        "100.000 writes stop
         100.000 writable 0
         150.000 fails over 0
         169.000 promoted 1
         169.000 lost 50 ms, 30 commits, 150000 bytes
         169.000 writable 1
         175.000 writes resume",
    );
}

/// Twice as much is written: 20 ms that were not answered are 20 ms, not 40.
#[test]
fn the_last_answer_is_dated_by_the_rate_that_was_written_at() {
    let parameters = Parameters { commit_round_trip: Range::millis(40, 40), ..fixed() };
    let case = Case { parameters, ..Case::default() };
    let script = [(90_000, Act::Load(2_000_000)), (100_000, Act::Power(0))];
    let text = case.run(&script, 900_000).text();
    let lost = text.lines().find(|it| it.contains("lost")).map(str::trim);
    assert_eq!(lost, Some("169.000 lost 30 ms, 12 commits, 60000 bytes"));
}

#[test]
fn what_was_under_way_is_unknown() {
    // 20 ms of commits were not answered, 20 ms more did not arrive. The standby lacks 50 ms.
    let parameters = Parameters { commit_round_trip: Range::millis(40, 40), ..fixed() };
    let case = Case { parameters, ..Case::default() };
    let text = |script: &[(u64, Act)]| case.run(script, 900_000).text();
    let told =
        |text: &str| text.lines().filter(|it| it.contains("lost")).collect::<Vec<_>>().join("; ");
    assert_eq!(
        told(&text(&[(100_000, Act::Power(0))])),
        "169.000 lost 30 ms, 6 commits, 30000 bytes; 169.000 unknown: 0 kept, 8 lost, 0 open"
    );
    // It recovers what it had on its disk before anybody is promoted.
    assert_eq!(
        told(&text(&[(100_000, Act::Power(0)), (103_000, Act::Start(0))])),
        "900.000 unknown: 4 kept, 4 lost, 0 open"
    );
}

#[test]
fn a_crash_is_seen_at_once_and_its_lease_is_released() {
    check(
        &Case::default(),
        &[(100_000, Act::Crash(0)), (103_000, Act::Start(0))],
        "100.000 writes stop
         100.000 writable 0
         100.000 fails over 0
         105.000 promoted 1
         105.000 lost 50 ms, 10 commits, 50000 bytes
         105.000 writable 1
         111.000 writes resume",
    );
}

#[test]
fn failover_delay_gives_a_crashed_primary_time_to_return() {
    // It recovers in 4 s, and clients come back to the same address.
    let case = Case { failover_delay: SimSpan::from_secs(30), ..Case::default() };
    check(
        &case,
        &[(100_000, Act::Crash(0)), (103_000, Act::Start(0))],
        "100.000 writes stop
         100.000 writable 0
         107.000 writable 1
         112.000 writes resume",
    );
}

#[test]
fn a_single_instance_waits_for_its_machine() {
    check(
        &Case { instances: 1, ..Case::default() },
        &[(100_000, Act::Power(0)), (400_000, Act::Start(0))],
        "100.000 writes stop
         100.000 writable 0
         150.000 blocked NoCandidate
         404.000 writable 1
         409.000 writes resume",
    );
}

#[test]
fn without_an_operator_nothing_is_decided() {
    check(
        &Case::default(),
        &[
            (100_000, Act::Operator(false)),
            (100_000, Act::Power(0)),
            (500_000, Act::Operator(true)),
        ],
        "100.000 writes stop
         100.000 writable 0
         150.000 blocked Operator
         500.000 fails over 0
         519.000 promoted 1
         519.000 lost 50 ms, 10 commits, 50000 bytes
         519.000 writable 1
         525.000 writes resume",
    );
}

#[test]
fn the_api_is_needed_for_the_lease_too() {
    check(
        &Case::default(),
        &[(100_000, Act::Power(0)), (155_000, Act::Api(false)), (300_000, Act::Api(true))],
        "100.000 writes stop
         100.000 writable 0
         150.000 fails over 0
         319.000 promoted 1
         319.000 lost 50 ms, 10 commits, 50000 bytes
         319.000 writable 1
         325.000 writes resume",
    );
}

#[test]
fn two_instances_with_required_durability_stop_with_their_standby() {
    check(
        &Case { instances: 2, synchronous: any(1, true, false), ..Case::default() },
        &[(100_000, Act::Power(1)), (400_000, Act::Start(1))],
        "100.000 writes stop
         100.000 writable 0
         404.744 writes resume
         404.744 writable 1",
    );
}

#[test]
fn preferred_durability_shrinks_when_the_operator_sees_it() {
    check(
        &Case { instances: 2, synchronous: any(1, false, false), ..Case::default() },
        &[(100_000, Act::Power(1))],
        "100.000 writes stop
         100.000 writable 0
         150.000 writes resume
         150.000 writable 1",
    );
}

#[test]
fn priority_waits_for_the_time_out_of_a_silent_standby() {
    let first = Synchronous { number: 1, is_any: false, is_required: true, failover_quorum: false };
    check(
        &Case { synchronous: Some(first), ..Case::default() },
        &[(100_000, Act::Power(1)), (500_000, Act::Power(2))],
        "100.000 writes stop
         100.000 writable 0
         105.000 writes resume
         105.000 writable 1
         500.000 writes stop
         500.000 writable 0",
    );
    // `any` does not, while another standby confirms.
    check(
        &Case { synchronous: any(1, true, false), ..Case::default() },
        &[(100_000, Act::Power(1))],
        "",
    );
}

#[test]
fn synchronous_commits_survive_and_wait_for_the_second_standby() {
    check(
        &Case { synchronous: any(1, true, true), ..Case::default() },
        &[(100_000, Act::Power(0))],
        "100.000 writes stop
         100.000 writable 0
         150.000 fails over 0
         169.000 promoted 1
         169.000 kept
         169.000 unknown: 0 kept, 10 lost, 0 open
         176.705 writes resume
         176.705 writable 1",
    );
}

/// Up to 600 ms are not on disk: with `off` and 50 ms of lag on top that are 650 ms at most.
#[test]
fn commits_that_wait_for_nobody_are_lost_whatever_is_asked_of_standbys() {
    // What commits wait for, the least and most that a failover loses, and a crash alone.
    let unwritten = SimSpan::from_millis(600);
    let cases = [
        (CommitWait::Standbys, (0, 0), (0, 0)),
        (CommitWait::Disk, (50, 50), (0, 0)),
        (CommitWait::Nothing { unwritten }, (50, 650), (1, 600)),
    ];
    for (commit_wait, by_failover, by_crash) in cases {
        let case = Case {
            synchronous: any(1, true, false),
            commit_wait,
            parameters: fixed(),
            ..Case::default()
        };
        let failover = case.run(&[(100_000, Act::Power(0))], 900_000).lost_ns() / 1_000_000;
        assert!((by_failover.0..=by_failover.1).contains(&failover), "{commit_wait:?}: {failover}");
        // The operator is away, so that the primary goes on from its own disk.
        let script =
            [(90_000, Act::Operator(false)), (100_000, Act::Crash(0)), (110_000, Act::Start(0))];
        let crash = case.run(&script, 900_000).lost_ns() / 1_000_000;
        assert!((by_crash.0..=by_crash.1).contains(&crash), "{commit_wait:?}: {crash}");
        // Asked to end, it writes all.
        let script =
            [(90_000, Act::Operator(false)), (100_000, Act::Delete(0)), (110_000, Act::Start(0))];
        assert_eq!(case.run(&script, 900_000).lost_ns(), 0, "{commit_wait:?}");
    }
    // Nobody waits for a standby that is gone.
    let case = Case { instances: 2, synchronous: any(1, true, false), ..Case::default() };
    let text = |commit_wait| {
        let case = Case { commit_wait, parameters: fixed(), ..case.clone() };
        case.run(&[(100_000, Act::Power(1))], 900_000).text()
    };
    assert!(text(CommitWait::Standbys).contains("writes stop"));
    assert_eq!(text(CommitWait::Disk), "");
}

#[test]
fn the_quorum_refuses_what_may_lose_commits() {
    check(
        &Case { synchronous: any(1, true, true), ..Case::default() },
        &[(90_000, Act::Power(2)), (100_000, Act::Power(0)), (300_000, Act::Start(0))],
        "100.000 writes stop
         100.000 writable 0
         150.000 blocked Quorum
         308.028 writable 1
         309.000 writes resume
         900.000 unknown: 10 kept, 0 lost, 0 open",
    );
}

#[test]
fn an_isolated_primary_stops_before_another_is_promoted() {
    // Without a smart shutdown. Cut at 100 s, stops at 130 s, replaced at 169 s: never two. What its own zone wrote is lost:
    // 30 s at a third of the rate, and the lag.
    check(
        &Case { smart_shutdown: SimSpan::ZERO, ..Case::default() },
        &[(100_000, Act::Isolate(0)), (400_000, Act::Rejoin(0))],
        "100.000 writes stop
         130.000 writable 0
         150.000 fails over 0
         169.000 promoted 1
         169.000 lost 30050 ms, 2009 commits, 10049990 bytes
         169.000 writable 1
         175.000 writes resume",
    );
}

/// Sessions beside it go on for 180 s after it was told to end at 130 s, whether the zone is back or not.
#[test]
fn sessions_of_an_isolated_primary_outlive_its_check() {
    for rejoined in [250_000, 400_000] {
        let script = [(100_000, Act::Isolate(0)), (rejoined, Act::Rejoin(0))];
        check(
            &Case::default(),
            &script,
            "100.000 writes stop
             150.000 fails over 0
             169.000 promoted 1
             169.000 writable 2
             175.000 writes resume
             310.000 lost 210050 ms, 14009 commits, 70049930 bytes
             310.000 writable 1",
        );
    }
}

/// It lets nobody in, so that the operator replaces it once it can hear of that.
#[test]
fn a_primary_that_was_told_to_end_is_replaced_although_its_zone_is_back() {
    check(
        &Case::default(),
        &[(100_000, Act::Isolate(0)), (135_000, Act::Rejoin(0))],
        "100.000 writes stop
         135.000 fails over 0
         154.000 promoted 1
         154.000 writable 2
         160.000 writes resume
         310.000 lost 210050 ms, 14009 commits, 70049930 bytes
         310.000 writable 1",
    );
}

#[test]
fn a_short_isolation_changes_nobody() {
    check(
        &Case::default(),
        &[(100_000, Act::Isolate(0)), (120_000, Act::Rejoin(0))],
        "100.000 writes stop
         125.000 writes resume",
    );
}

#[test]
fn a_long_liveness_threshold_makes_two_primaries() {
    let mut parameters = fixed();
    parameters.isolation_stop = SimSpan::from_secs(300);
    let case = Case { parameters, ..Case::default() };
    let run = case.run(&[(100_000, Act::Isolate(0)), (200_000, Act::Rejoin(0))], 900_000);
    assert_eq!(
        run.text().lines().collect::<Vec<_>>(),
        [
            "100.000 writes stop",
            "150.000 fails over 0",
            "169.000 promoted 1",
            "169.000 writable 2",
            "175.000 writes resume",
            "200.000 lost 100050 ms, 6676 commits, 33383300 bytes",
            "200.000 writable 1",
        ]
    );
}

/// What its manifest says goes before what is said of all.
#[test]
fn each_cluster_may_have_a_threshold_and_a_lease_of_its_own() {
    let secs = SimSpan::from_secs;
    let isolate = [(100_000, Act::Isolate(0)), (400_000, Act::Rejoin(0))];
    for (isolation_stop, stops) in
        [(None, "130.000 writable 0"), (Some(secs(60)), "160.000 writable 0")]
    {
        for (lease_duration, promotes) in
            [(None, "169.000 promoted 1"), (Some(secs(40)), "194.000 promoted 1")]
        {
            let parameters = fixed();
            let smart_shutdown = SimSpan::ZERO;
            let case = Case {
                isolation_stop,
                lease_duration,
                smart_shutdown,
                parameters,
                ..Case::default()
            };
            let text = case.run(&isolate, 900_000).text();
            assert!(text.contains(stops) && text.contains(promotes), "{text}");
        }
    }
}

#[test]
fn an_isolated_primary_acknowledges_nothing_that_needs_a_standby_elsewhere() {
    check(
        &Case { synchronous: any(1, true, false), ..Case::default() },
        &[(100_000, Act::Isolate(0))],
        "100.000 writes stop
         100.000 writable 0
         150.000 fails over 0
         169.000 promoted 1
         176.705 writes resume
         176.705 writable 1
         310.000 kept
         310.000 unknown: 0 kept, 110 lost, 0 open",
    );
}

#[test]
fn a_primary_without_api_and_with_a_dead_standby_stops_itself() {
    // The liveness check asks every instance it knows when the API server does not answer.
    check(
        &Case { smart_shutdown: SimSpan::ZERO, ..Case::default() },
        &[(100_000, Act::Power(2)), (101_000, Act::Api(false)), (200_000, Act::Api(true))],
        "131.000 writes stop
         131.000 writable 0
         229.205 writable 1
         234.205 writes resume",
    );
    // With all standbys alive it goes on.
    check(&Case::default(), &[(101_000, Act::Api(false)), (300_000, Act::Api(true))], "");
}

#[test]
fn a_candidate_that_dies_is_replaced_by_the_next() {
    check(
        &Case::default(),
        &[(100_000, Act::Power(0)), (160_000, Act::Power(1))],
        "100.000 writes stop
         100.000 writable 0
         150.000 fails over 0
         229.000 promoted 2
         229.000 lost 50 ms, 10 commits, 50000 bytes
         229.000 writable 1
         235.000 writes resume",
    );
}

#[test]
fn an_old_primary_returns_as_a_standby_and_counts_again() {
    // Required, two instances: the old primary must rewind and stream before commits go on.
    let run = Case {
        instances: 2,
        synchronous: any(1, true, false),
        parameters: fixed(),
        ..Case::default()
    }
    .run(&[(100_000, Act::Power(0)), (300_000, Act::Start(0))], 900_000);
    let outages = run.outages();
    assert_eq!(outages.len(), 1);
    let end = outages[0].1.as_secs_f64();
    // Recovery 4 s, rewind 2 to 15 s, attach 1 to 10 s.
    assert!((307.0..=329.0).contains(&end), "{}", run.text());
    assert_eq!(run.lost(), 0);
}

#[test]
fn a_working_primary_whose_pod_is_not_ready_stays() {
    check(&Case::default(), &[(100_000, Act::Ready(0, false)), (200_000, Act::Ready(0, true))], "");
    // An unready standby is not promoted, nor is another one while it reports and has as much.
    let unready = [(90_000, Act::Ready(1, false)), (100_000, Act::Power(0))];
    let waiting = "
         100.000 writes stop
         100.000 writable 0
         150.000 blocked NoCandidate";
    check(&Case::default(), &unready, waiting);
    let text =
        told(&Case::default(), &[unready[0], unready[1], (200_000, Act::Ready(1, true))], 900);
    assert!(text.contains("200.000 fails over 0\n219.000 promoted 1"), "{text}");
    let text = told(&Case::default(), &[unready[0], unready[1], (200_000, Act::Crash(1))], 900);
    assert!(text.contains("200.000 fails over 0\n219.000 promoted 2"), "{text}");
    // One that has less is not waited for.
    let text = told(&Case::default(), &[(90_000, Act::Ready(2, false)), unready[1]], 900);
    assert!(text.contains("150.000 fails over 0\n169.000 promoted 1"), "{text}");
}

#[test]
fn a_primary_that_recovers_inside_an_isolated_zone_does_not_open() {
    // It cannot make sure of its lease. Found by a property: it took writes beside its successor.
    check(
        &Case::default(),
        &[(100_000, Act::Crash(0)), (100_000, Act::Start(0)), (100_000, Act::Isolate(0))],
        "100.000 writes stop
         100.000 writable 0
         100.000 fails over 0
         105.000 promoted 1
         105.000 lost 50 ms, 10 commits, 50000 bytes
         105.000 writable 1
         111.000 writes resume",
    );
}

#[test]
fn a_primary_that_recovered_before_its_successor_was_chosen_rewinds() {
    // Found by a property: nobody told it to follow, and commits waited for it for ever.
    let case = Case { synchronous: any(2, true, false), parameters: fixed(), ..Case::default() };
    let run = case.run(
        &[
            (100_000, Act::Power(0)),
            (100_000, Act::Power(2)),
            (150_001, Act::Power(1)),
            (201_000, Act::Start(0)),
            (203_000, Act::Start(1)),
            (300_000, Act::Start(2)),
        ],
        900_000,
    );
    assert_eq!((run.outages().len(), run.lost()), (1, 0), "{}", run.text());
}

#[test]
fn what_was_not_acknowledged_before_a_restart_is_not_lost_after_it() {
    // Found by a property. The primary loses both standbys, stops itself without the API, comes
    // back alone, and dies for good: its last 50 ms were never acknowledged.
    let case = Case { synchronous: any(1, true, false), parameters: fixed(), ..Case::default() };
    let run = case.run(
        &[
            (100_000, Act::Power(1)),
            (100_000, Act::Power(2)),
            (110_000, Act::Crash(0)),
            (120_000, Act::Start(0)),
            (200_000, Act::Power(0)),
            (210_000, Act::Start(1)),
        ],
        900_000,
    );
    assert_eq!((run.promotion_count(), run.lost()), (1, 0), "{}", run.text());
}

#[test]
fn a_healthy_cluster_has_no_events() {
    for synchronous in [None, any(1, true, true), any(1, false, false)] {
        let run = Case { synchronous, ..Case::default() }.run(&[], 30 * 86_400_000);
        assert_eq!((run.text().as_str(), run.pending_count), ("", 0));
    }
}

/// A gigabyte for the log, of which 1 MB/s is written in segments of 10 MB.
fn volume(kept_bytes: Option<u64>) -> Case {
    let wal = WalVolume {
        size_bytes: 1_500_000_000,
        data_bytes: 490_000_000,
        segment_bytes: 10_000_000,
        switch_after: None,
        least_bytes: 0,
        kept_bytes,
        kept_for: None,
    };
    Case { wal: Some(wal), ..Case::default() }
}

fn told(case: &Case, script: &[(u64, Act)], secs: u64) -> String {
    Case { parameters: fixed(), ..case.clone() }.run(script, secs * 1000).text()
}

#[test]
fn an_archive_that_fails_fills_the_volume_and_nobody_fails_over() {
    // A thousand seconds of log; then the pod is not ready, and the archive is back in vain.
    let script = [(100_000, Act::Archive(false)), (1_500_000, Act::Archive(true))];
    check_for(
        90_000,
        &volume(None),
        &script,
        "
    1100.000 volume full 0
    1100.000 blocked WalVolume
    1100.000 writes stop
    1100.000 writable 0
    ",
    );
}

#[test]
fn a_primary_that_is_deleted_stores_what_its_archive_lacks() {
    // 20 segments wait; each takes a second, and the primary is replaced before all are stored.
    let told = |act: fn(u8) -> Act| {
        let script =
            [(100_000, Act::Archive(false)), (300_000, Act::Archive(true)), (301_000, act(0))];
        Case { parameters: fixed(), ..volume(None) }.run(&script, 900_000).log()
    };
    assert_eq!(told(Act::Delete), ["forked 0", "handed in 0"]);
    // One that crashes leaves them on its disk.
    assert_eq!(told(Act::Crash), ["stopped", "forked 0", "runs"]);
}

#[test]
fn a_larger_volume_is_found_at_the_next_start_of_the_container() {
    let script = [
        (100_000, Act::Archive(false)),
        (1_100_500, Act::Ready(0, false)),
        (2_000_000, Act::Grow(3_000)),
    ];
    let text = told(&volume(None), &script, 4_000);
    let lines: Vec<&str> = text.lines().skip(4).collect();
    let grown: u64 = lines[0].split('.').next().and_then(|it| it.parse().ok()).expect("a time");
    assert!((2_005..=2_060).contains(&grown), "{text}");
    // Starts at 1100 s and then 10, 30, 70, 150, 310, 610, 910, 1210 s later; recovery 4 s, clients
    // 5 s. Then there is room for 1500 s more of log.
    assert_eq!(
        lines[1..],
        [
            "2314.000 writable 1",
            "2319.000 writes resume",
            "3819.000 volume full 0",
            "3819.000 blocked WalVolume",
            "3819.000 writes stop",
            "3819.000 writable 0"
        ],
        "{text}"
    );
}

#[test]
fn a_standby_that_is_away_fills_the_volume_through_its_slot() {
    let away = [(100_000, Act::Power(2)), (900_000, Act::Start(2))];
    // It returns in time.
    check_for(90_000, &volume(None), &away, "");
    let gone = [(100_000, Act::Power(2))];
    check_for(
        90_000,
        &volume(None),
        &gone,
        "
    1100.000 volume full 0
    1100.000 blocked WalVolume
    1100.000 writes stop
    1100.000 writable 0
    ",
    );
    // With a limit it loses its slot instead, and needs the archive to come back.
    check_for(90_000, &volume(Some(600_000_000)), &gone, "700.000 outrun 2");
}

#[test]
fn a_standby_that_was_outrun_comes_back_through_the_archive_or_not_at_all() {
    let synchronous =
        Synchronous { number: 2, is_any: true, is_required: true, failover_quorum: false };
    let case = Case { synchronous: Some(synchronous), ..volume(Some(600_000_000)) };
    // Nothing is written while it is away, so nothing outruns it.
    let away = [(100_000, Act::Power(2)), (900_000, Act::Start(2))];
    let text = told(&case, &away, 2_000);
    assert!(!text.contains("outrun"), "{text}");
    let case = volume(Some(600_000_000));
    let two = |archives| {
        let script = [
            (90_000, Act::Archive(archives)),
            (100_000, Act::Power(2)),
            (900_000, Act::Start(2)),
            (1_000_000, Act::Power(0)),
            (1_000_500, Act::Power(1)),
        ];
        told(&case, &script, 1_300)
    };
    // The one that caught up is promoted; the one that did not lost all since it left.
    assert!(two(true).contains("lost 50 ms"), "{}", two(true));
    assert!(two(false).contains("lost 900050 ms"), "{}", two(false));
}

#[test]
fn a_primary_on_a_node_that_takes_no_pods_hands_over_and_loses_nothing() {
    // Shuts down in 0.5 to 5 s, 1 s to take the lease, 4 s to promote, 1 + 5 s until clients are back.
    let text = told(&Case::default(), &[(100_000, Act::Cordon(0, true))], 900);
    let facts: Vec<&str> =
        text.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
    let expected = [
        "hands over 0",
        "writes stop",
        "writable 0",
        "promoted 1",
        "kept",
        "writable 1",
        "writes resume",
    ];
    assert_eq!(facts, expected, "{text}");
    let end: f64 =
        text.lines().last().and_then(|it| it.split(' ').next()?.parse().ok()).expect("a time");
    assert!((111.5..=116.0).contains(&end), "{text}");
}

#[test]
fn the_operator_moves_a_primary_only_where_every_other_instance_may_stay() {
    let cases: [&[(u64, Act)]; 4] = [
        &[(90_000, Act::Cordon(1, true)), (100_000, Act::Cordon(0, true))],
        &[(90_000, Act::Ready(2, false)), (100_000, Act::Cordon(0, true))],
        &[(90_000, Act::Operator(false)), (100_000, Act::Cordon(0, true))],
        &[(100_000, Act::Cordon(0, true)), (100_000, Act::Cordon(0, false))],
    ];
    let parameters = Parameters { watch_latency: Range::millis(50, 50), ..fixed() };
    let case = Case { parameters, ..Case::default() };
    for script in cases {
        assert_eq!(case.run(script, 900_000).text(), "", "{script:?}");
    }
    // It does once that has changed.
    let script = [
        (90_000, Act::Ready(2, false)),
        (100_000, Act::Cordon(0, true)),
        (200_000, Act::Ready(2, true)),
    ];
    assert!(case.run(&script, 900_000).text().starts_with("200.050 hands over 0"));
}

#[test]
fn a_switchover_goes_to_whom_it_names_or_to_nobody() {
    let promoted = |to, script: &[(u64, Act)]| {
        let mut script = script.to_vec();
        script.push((100_000, Act::SwitchOver(to)));
        let text = told(&Case::default(), &script, 900);
        let line = text.lines().find(|line| line.contains("promoted") || line.contains("blocked"));
        line.and_then(|line| line.split_once(' ')).expect("something").1.to_owned()
    };
    assert_eq!(promoted(Some(2), &[]), "promoted 2");
    assert_eq!(promoted(None, &[]), "promoted 1");
    assert_eq!(promoted(Some(0), &[]), "blocked NoCandidate");
    assert_eq!(promoted(Some(1), &[(50_000, Act::Power(1))]), "blocked NoCandidate");
}

#[test]
fn a_primary_that_shuts_down_stores_what_its_archive_lacks() {
    // 500 segments of 10 MB wait, a second each; another one every 10 s meanwhile.
    let script = [
        (100_000, Act::Archive(false)),
        (5_100_000, Act::Archive(true)),
        (5_100_000, Act::SwitchOver(None)),
    ];
    let case = |millis| {
        let mut case = volume(None);
        let wal = case.wal.as_mut().expect("it has one");
        wal.size_bytes = 1 << 40;
        case.switchover_delay = SimSpan::from_millis(millis);
        told(&case, &script, 9_000)
    };
    let promoted = |text: &str| {
        let line = text.lines().find(|line| line.contains("promoted")).expect("it is");
        line.split(' ').next().and_then(|it| it.parse::<f64>().ok()).expect("a time")
    };
    let (patient, hasty) = (case(3_600_000), case(30_000));
    assert!((5_605.0..=5_611.0).contains(&promoted(&patient)), "{patient}");
    assert!((5_134.9..=5_135.1).contains(&promoted(&hasty)), "{hasty}");
    assert!(patient.contains("kept") && hasty.contains("kept"), "{patient} {hasty}");
}

/// Two primaries in a split, each with standbys that fall silent: the one waits, the other does not.
#[test]
fn a_silent_standby_is_waited_for_by_its_own_primary_only() {
    let first = Synchronous { number: 1, is_any: false, is_required: true, failover_quorum: false };
    let case = Case {
        instances: 5,
        synchronous: Some(first),
        has_isolation_check: false,
        ..Case::default()
    };
    // Zone 0 has instances 0 and 3. What 0 commits there is confirmed by 3, and is gone once it is
    // superseded, whatever falls silent elsewhere just before it stops.
    let mut script = vec![(100_000, Act::Isolate(0)), (299_000, Act::Power(0))];
    let lost = |script: &[(u64, Act)]| {
        let text = told(&case, script, 900);
        text.lines().find(|line| line.contains("lost")).expect("something is").to_owned()
    };
    let expected = lost(&script);
    script.insert(1, (298_500, Act::Power(2)));
    assert_eq!(lost(&script), expected);
}

#[test]
fn a_fenced_primary_is_not_replaced_and_comes_back_with_everything() {
    let script = [
        (100_000, Act::Fence(0, true)),
        (130_000, Act::Ready(0, false)),
        (500_000, Act::Fence(0, false)),
    ];
    check(
        &Case::default(),
        &script,
        "100.000 fenced 0
         100.000 writes stop
         100.000 writable 0
         504.000 writable 1
         509.000 writes resume",
    );
    // One that cannot read the annotation goes on; a standby costs nothing unless it is needed.
    let cut = [(90_000, Act::Api(false)), (100_000, Act::Fence(0, true))];
    assert_eq!(told(&Case::default(), &cut, 900), "");
    let standby = [(100_000, Act::Fence(1, true))];
    assert_eq!(told(&Case::default(), &standby, 900), "100.000 fenced 1\n");
    let two = Case { synchronous: any(2, true, false), ..Case::default() };
    assert!(told(&two, &standby, 900).contains("writes stop"));
}

/// The operator is cut off with the primary, so that nobody is promoted meanwhile. Published measurements have
/// it back 8 s after the network, and a stale standby promoted 16 s later unless the primary was back first.
#[test]
fn an_operator_that_is_back_before_the_primary_promotes_a_standby_that_lacks_what_was_acknowledged()
{
    let after = |millis: u64| {
        let script = [
            (100_000, Act::Isolate(0)),
            (100_000, Act::Operator(false)),
            (400_000, Act::Rejoin(0)),
            (400_000 + millis, Act::Operator(true)),
        ];
        told(&Case::default(), &script, 1_200)
    };
    // Told to end 30 s after the cut, sessions for 180 s; then tries of 30 s with 1, 3 and 9 s in between:
    // 310, 341, 374, and 413 s, when the network is back. What was committed in its zone is at stake.
    let stale = after(8_000);
    for part in ["408.000 fails over 0\n", "427.000 promoted 1\n", "lost 210050 ms, 14009 commits"]
    {
        assert!(stale.contains(part), "{stale}");
    }
    let back = after(30_000);
    assert!(!back.contains("promoted") && !back.contains("lost"), "{back}");
    let open = back.lines().find(|line| line.contains("writable 1") && line.starts_with('4'));
    let at: f64 = open.and_then(|line| line.split(' ').next()?.parse().ok()).expect("a time");
    assert!((417.2..=418.6).contains(&at), "{back}");
}

#[test]
fn a_manager_that_waits_for_the_api_tries_again_after_growing_pauses() {
    // Refused at once: tries 0, 1, 4, 13 and 40 s after its start, and then those of the next container.
    let opened = |secs: u64| {
        let script = [
            (100_000, Act::Crash(0)),
            (100_000, Act::Api(false)),
            (101_000, Act::Start(0)),
            (101_000 + 1_000 * secs, Act::Api(true)),
            (101_000 + 1_000 * secs, Act::Operator(false)),
        ];
        let text = told(
            &Case { failover_delay: SimSpan::from_mins(30), ..Case::default() },
            &script,
            1_200,
        );
        let line = text.lines().find(|line| line.contains("writable 1"));
        let line = line.unwrap_or_else(|| panic!("{text}"));
        line.split(' ').next().and_then(|at| at.parse::<f64>().ok()).expect("a time") - 105.0
    };
    for (secs, least, most) in [(2, 4.0, 4.5), (5, 13.0, 14.5), (20, 40.0, 45.0), (48, 50.0, 55.0)]
    {
        let at = opened(secs);
        assert!((least..=most).contains(&at), "{secs}: {at}");
    }
}
