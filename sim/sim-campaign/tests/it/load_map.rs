//! Maps of load: regions, the edges between them, and what cannot be mapped.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use model_api::fault::{FaultKind, FaultPlan};
use model_api::{Blueprint, SimSpan, WorkloadId};
use platform::Fidelity;
use report_data::{LoadEdge, LoadMap, LoadRegion};
use sim_campaign::{LoadMapping, MapError, MapProgress};

use crate::town;

fn mapping<'a>(town: &'a (Blueprint, FaultPlan), loads_ppm: Vec<u32>) -> LoadMapping<'a> {
    LoadMapping {
        blueprint: &town.0,
        trigger: &town.1,
        horizon: SimSpan::from_mins(20),
        fidelity: Fidelity::Flow,
        root_seed: 1,
        run_count: 2,
        thread_count: Some(2),
        loads_ppm,
        lengths_ppm: vec![100_000, 1_000_000],
        share_ppm: 950_000,
        within: SimSpan::from_mins(10),
    }
}

fn percents(from: u32, to: u32, step: usize) -> Vec<u32> {
    (from..=to).step_by(step).map(|percent| percent * 10_000).collect()
}

fn regions(map: &LoadMap) -> Vec<LoadRegion> {
    map.columns.iter().map(|column| column.region).collect()
}

#[test]
fn clients_that_ask_again_make_load_vulnerable_before_it_is_too_much() {
    let town = town::crowded();
    // Six pods answer 250 requests a second each: 1667 % of the 90 that are asked for.
    let map = mapping(&town, percents(200, 2000, 300)).draw("town", |_| ()).expect("two threads");
    let found = regions(&map);
    assert!(found.is_sorted(), "more load is never better: {found:?}");
    for region in [LoadRegion::Stable, LoadRegion::Vulnerable, LoadRegion::Overloaded] {
        assert!(found.contains(&region), "{region:?} is among {found:?}");
    }
    let capacity = map.borne_up_to.up_to_ppm.expect("some load is borne");
    assert!((15_000_000..=16_670_000).contains(&capacity), "{capacity}");

    // The edges are what they say: the same loads on their own map lie on either side of them.
    for (edge, region) in
        [(map.stable_up_to, LoadRegion::Stable), (map.borne_up_to, LoadRegion::Vulnerable)]
    {
        let beside = vec![edge.up_to_ppm.expect("within"), edge.below_ppm.expect("beyond")];
        assert!(beside[1] - beside[0] <= 10_000, "an edge is found to a hundredth: {edge:?}");
        let found = regions(&mapping(&town, beside).draw("town", |_| ()).expect("two threads"));
        assert!(found[0] <= region && found[1] > region, "{edge:?}: {found:?}");
    }
}

/// Loads between two columns that are looked at on the way to an edge.
fn halved((mut low, mut high): (u32, u32), edge: LoadEdge) -> BTreeSet<u32> {
    let edge = edge.up_to_ppm.expect("it is between the columns");
    let mut middles = BTreeSet::new();
    while high - low > 10_000 {
        let middle = low + (high - low).div_ceil(10_000) / 2 * 10_000;
        middles.insert(middle);
        if middle <= edge { low = middle } else { high = middle }
    }
    middles
}

/// Both edges lie in the only gap; with requests that are not repeated they are the same one.
#[test]
fn nothing_is_tried_twice_or_for_nothing() {
    for retries in [0, 3] {
        let mut town = town::crowded();
        town.0.loads[0].client.retries = retries;
        let (low, high) = (2_000_000, 20_000_000);
        let mapping = mapping(&town, vec![low, high]);
        let planned = AtomicU64::new(0);
        let count = |step| {
            if let MapProgress::Planned(count) = step {
                planned.fetch_add(count, Ordering::Relaxed);
            }
        };
        let map = mapping.draw("town", count).expect("two threads");
        let stable = halved((low, high), map.stable_up_to);
        let alone = &stable | &halved((low, high), map.borne_up_to);
        let borne = map.borne_up_to.up_to_ppm.expect("some load is borne");
        let triggered = stable.iter().filter(|load_ppm| **load_ppm <= borne).count();
        // Each column alone, the low one and what is borne with both lengths, two runs of each.
        let cells = 2 + 2 + alone.len() + 2 * triggered;
        assert_eq!(planned.into_inner(), 2 * cells as u64, "{retries} retries");
    }
}

#[test]
fn what_a_map_may_take_counts_the_way_to_the_edges() {
    let town = town::crowded();
    // A hundredth of 180 is found in eight steps.
    let mapping = mapping(&town, vec![200_000, 2_000_000]);
    let columns = (200_000 + 2_000_000) * 3;
    let halvings = 8 * 2_000_000 * 4;
    assert_eq!(mapping.load_ppm_max(), 2 * (columns + halvings));
}

#[test]
fn a_trigger_that_takes_no_time_has_one_row() {
    let mut town = town::crowded();
    let trigger = &mut town.1.faults[0];
    trigger.kind = FaultKind::PodCrash { workload: WorkloadId(0), count: Some(1) };
    trigger.duration = None;
    let mapping = mapping(&town, vec![1_000_000]);
    assert!(mapping.is_momentary());
    let map = mapping.draw("town", |_| ()).expect("two threads");
    assert_eq!(map.rows.iter().map(|row| row.length_ppm).collect::<Vec<_>>(), [1_000_000]);
    assert_eq!(map.rows[0].cells.len(), 1);
}

#[test]
fn a_map_does_not_depend_on_threads() {
    let town = town::crowded();
    let map = |thread_count| {
        let mapping = mapping(&town, percents(500, 1700, 600));
        LoadMapping { thread_count: Some(thread_count), ..mapping }.draw("town", |_| ())
    };
    assert_eq!(map(1).expect("a thread"), map(3).expect("three threads"));
}

#[test]
fn what_has_no_trigger_that_ends_has_no_map() {
    let with = |change: &dyn Fn(&mut Blueprint, &mut FaultPlan)| {
        let mut town = town::crowded();
        change(&mut town.0, &mut town.1);
        mapping(&town, percents(100, 100, 1)).check()
    };
    assert_eq!(with(&|_, _| ()), Ok(()));
    assert_eq!(with(&|town, _| town.loads.clear()), Err(MapError::NoLoad));
    assert_eq!(with(&|_, faults| faults.faults.clear()), Err(MapError::NoTrigger));
    let endless = with(&|_, faults| faults.faults[0].duration = None);
    assert_eq!(endless, Err(MapError::Endless("spike".to_owned())));
    let century = |_: &mut Blueprint, faults: &mut FaultPlan| {
        faults.faults[0].duration = Some(SimSpan::from_days(36_500));
    };
    assert_eq!(with(&century), Err(MapError::TooLong));
    let town = town::crowded();
    let within = SimSpan::MAX;
    let patient = LoadMapping { within, ..mapping(&town, percents(100, 100, 1)) };
    assert_eq!(patient.check(), Err(MapError::TooLong));
}
