//! What a vertical autoscaler recommends for the memory that pods use in a run.

use model_api::fault::{Fault, FaultKind, FaultPlan, Start};
use model_api::kube::{ContainerResourcePolicy, ScaleTarget, UpdateMode, VerticalPodAutoscaler};
use model_api::memory::{Growth, MemoryProfile};
use model_api::{Observation, Origin, SimSpan, SimTime, WorkloadId};
use platform::{Event, Plan};
use sim_kernel::Journal;

use crate::small;

const MIB: i64 = 1 << 20;

/// Target in MiB of pods that use 150 MiB of the 256 that they request and are limited to, and how
/// many were killed; `leak` is in MiB a day, from the start.
fn target(leak: Option<u64>, policies: Vec<ContainerResourcePolicy>) -> (Option<i64>, usize) {
    let mut blueprint = small();
    blueprint.vertical_autoscalers.push(VerticalPodAutoscaler {
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        target: ScaleTarget { kind: "Deployment".to_owned(), name: "web".to_owned() },
        update_mode: UpdateMode::Off,
        policies,
        origin: Origin::default(),
    });
    blueprint.memory.push(MemoryProfile {
        workload: WorkloadId(0),
        base_bytes: 150 << 20,
        ..MemoryProfile::default()
    });
    let faults = leak.map(|mebibytes| Fault {
        name: "leak".to_owned(),
        kind: FaultKind::MemoryLeak {
            workload: WorkloadId(0),
            count: None,
            growth: Growth { bytes_per_day: mebibytes << 20 },
        },
        start: Start::At(SimTime::from_secs(1)),
        duration: None,
        origin: Origin::default(),
    });
    let faults = FaultPlan { faults: faults.into_iter().collect() };
    let plan = Plan::new(blueprint, faults, SimSpan::from_days(4)).expect("no circle");
    let journal: Journal<Event, Observation> = Journal::new();
    let (journal, _) = plan.run(1, 0, journal);
    let records = journal.observations().iter();
    let mut found = records.clone().filter_map(|record| match record.observation {
        Observation::MemoryRecommended { target_bytes, .. } => Some(target_bytes / MIB),
        _ => None,
    });
    let is_killed = |it: &Observation| matches!(it, Observation::ContainersKilled { .. });
    let kills = records.filter(|record| is_killed(&record.observation)).count();
    (found.next_back(), kills)
}

fn policy() -> ContainerResourcePolicy {
    ContainerResourcePolicy {
        container_name: "*".to_owned(),
        is_off: false,
        cpu_millis_min: None,
        cpu_millis_max: None,
        memory_bytes_min: None,
        memory_bytes_max: None,
        controls_cpu: true,
        controls_memory: true,
    }
}

#[test]
fn steady_use_gets_the_least_of_a_pod_and_bounds_hold() {
    // 150 MiB and 15 % are less than the 250 MiB that any pod gets.
    assert_eq!(target(None, Vec::new()), (Some(250), 0));
    let most = ContainerResourcePolicy { memory_bytes_max: Some(200 * MIB), ..policy() };
    assert_eq!(target(None, vec![most]), (Some(200), 0));
    let cpu_only = ContainerResourcePolicy { controls_memory: false, ..policy() };
    assert_eq!(target(None, vec![cpu_only]), (None, 0));
}

#[test]
fn peaks_count_and_a_kill_asks_for_100_mib_more() {
    // 20 MiB a day: 230 at the end, of which the peaks of days are most, and 15 % more.
    let (Some(grown), 0) = target(Some(20), Vec::new()) else { panic!("nobody is killed") };
    assert!((225 * 115 / 100 - 10..260 * 115 / 100).contains(&grown), "{grown}");
    // 60 MiB a day: killed at 256 after less than two days, which makes 356.
    let (Some(killed), kills) = target(Some(60), Vec::new()) else { panic!("no target") };
    assert!(kills > 0);
    assert!((356 * 115 / 100..390 * 115 / 100).contains(&killed), "{killed}");
}
