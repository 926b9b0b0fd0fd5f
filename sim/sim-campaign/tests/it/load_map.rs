//! Maps of load: regions, the edges between them, and what cannot be mapped.

use model_api::fault::FaultPlan;
use model_api::{Blueprint, SimSpan};
use platform::Fidelity;
use report_data::{LoadMap, LoadRegion};
use sim_campaign::{LoadMapping, MapError};

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
