//! Which rare branches a campaign reached.

use report_data::ScenarioResult;
use sim_campaign::{Campaign, Naming};

use crate::town;

fn result(zones: &[u32], thread_count: usize) -> ScenarioResult {
    let plan = town::losing(zones);
    let campaign = Campaign {
        plan: &plan,
        guarantees: &[],
        root_seed: 1,
        run_count: 40,
        thread_count: Some(thread_count),
        is_paranoid: false,
    };
    campaign.run(&Naming::default(), || ()).expect("a campaign of a small platform runs")
}

#[test]
fn what_no_run_reached_is_named_and_nothing_else() {
    const QUORUM_LOST: &str = "model-kube: etcd lost its quorum";
    const STRUCK_NOTHING: &str = "platform: a fault struck and hit nothing";
    const OVERLOAD: &str = "model-load: a Service was asked for more than its pods can answer";
    let cases: [(&[u32], &[&str], &[&str]); 3] = [
        (&[], &[], &[QUORUM_LOST, STRUCK_NOTHING, OVERLOAD]),
        (&[0], &[], &[QUORUM_LOST, STRUCK_NOTHING, OVERLOAD]),
        (&[0, 1], &[QUORUM_LOST], &[STRUCK_NOTHING, OVERLOAD]),
    ];
    let mut counts = Vec::new();
    for (zones, hit, never_hit) in cases {
        let named = result(zones, 2).probes_never_hit;
        for probe in hit {
            assert!(!named.iter().any(|name| name == probe), "{zones:?}: {probe}: {named:?}");
        }
        for probe in never_hit {
            assert!(named.iter().any(|name| name == probe), "{zones:?}: {probe}: {named:?}");
        }
        assert!(!named.iter().any(|name| name.contains("postgres")), "there is no database");
        counts.push(named.len());
    }
    assert!(counts.is_sorted_by(|more, fewer| more > fewer), "worse faults reach more: {counts:?}");
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let expected = result(&[0, 2], 1);
    for thread_count in [2, 3, 7] {
        assert_eq!(result(&[0, 2], thread_count), expected, "{thread_count} threads");
    }
}
