//! Pools as a world of their own.

use model_api::storage::{FailureDomain, Redundancy};
use sim_kernel::{Journal, Limits, Model, Simulation};

use super::*;

const POOL: PoolId = PoolId(0);
const COPIES: Redundancy = Redundancy::Replicated { size: 3 };

/// What is done to the pool, or what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Happens {
    Storage(StorageEvent),
    /// A step of the script, by number.
    Step(usize),
}

impl From<StorageEvent> for Happens {
    fn from(event: StorageEvent) -> Self {
        Self::Storage(event)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Down(u32),
    Back(u32),
    /// Machines are away.
    Away(u32),
    /// Machines are destroyed.
    Gone(u32),
    /// All disks of a zone are away.
    AllOf(u32),
    /// What was away first is back.
    Returned,
}

/// Pools, what is done to them, and what they had to tell.
#[derive(Clone, Debug)]
struct World {
    pools: Pools,
    notices: Vec<StorageNotice>,
    script: Vec<Step>,
    losses: Vec<Loss>,
}

impl Model for World {
    type Event = Happens;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: Happens,
        ctx: &mut Context<'_, Happens, R>,
    ) {
        let (pools, notices) = (&mut self.pools, &mut self.notices);
        let hosts = |count| DiskPick { zone: None, count: DiskCount::Hosts(count) };
        let step = match event {
            Happens::Storage(event) => return pools.handle(event, ctx, notices),
            Happens::Step(number) => self.script[number],
        };
        match step {
            Step::Down(zone) => pools.set_zone_down(ZoneId(zone), true, ctx, notices),
            Step::Back(zone) => pools.set_zone_down(ZoneId(zone), false, ctx, notices),
            Step::Away(count) => {
                self.losses.push(pools.lose_disks(POOL, hosts(count), false, ctx, notices).0);
            }
            Step::AllOf(zone) => {
                let pick = DiskPick { zone: Some(ZoneId(zone)), count: DiskCount::All };
                self.losses.push(pools.lose_disks(POOL, pick, false, ctx, notices).0);
            }
            Step::Gone(count) => {
                pools.lose_disks(POOL, hosts(count), true, ctx, notices);
            }
            Step::Returned => pools.return_disks(self.losses[0], ctx, notices),
        }
    }
}

type Sim = Simulation<World, Journal<Happens, Observation>>;

fn spec(redundancy: Redundancy, failure_domain: FailureDomain) -> Pool {
    let zones: Vec<ZoneId> = (0..3).map(ZoneId).collect();
    Pool {
        name: "p".to_owned(),
        monitor_zones: zones.clone(),
        zones,
        hosts_per_zone: 4,
        osds_per_host: 2,
        redundancy,
        min_size: redundancy.min_size_default(),
        failure_domain,
        stored_bytes: 48_000_000_000,
        group_count: 96,
        rebuild_bytes_per_second: 20_000_000,
        ..Pool::default()
    }
}

/// A pool to which that is done, each at its second.
fn world(pool: Pool, run: u64, script: &[(u64, Step)]) -> Sim {
    let blueprint = Arc::new(Blueprint { pools: vec![pool], ..Blueprint::default() });
    let pools = Pools::new(&blueprint, Streams::new(1, run));
    let steps = script.iter().map(|(_, step)| *step).collect();
    let world = World { pools, notices: Vec::new(), script: steps, losses: Vec::new() };
    let mut sim = Simulation::new(world, Journal::new(), Limits::default());
    for (number, (at, _)) in script.iter().enumerate() {
        sim.schedule_at(SimTime::from_secs(*at), Priority::new(1), Happens::Step(number));
    }
    sim
}

fn until(sim: &mut Sim, secs: u64) -> PoolIo {
    assert!(sim.run_until(SimTime::from_secs(secs)).is_complete());
    sim.model().pools.io(POOL)
}

fn facts(sim: &Sim) -> Vec<(u64, StorageFact)> {
    let records = sim.recorder().observations().iter();
    let facts = records.filter_map(|record| match record.observation {
        Observation::Storage(fact) => Some((record.at.as_secs(), fact)),
        _ => None,
    });
    facts.collect()
}

#[test]
fn a_zone_pauses_three_copies_and_stops_a_code_that_is_too_thin() {
    let cases = [
        (COPIES, PoolIo::Runs),
        (Redundancy::Erasure { k: 3, m: 3 }, PoolIo::Runs),
        (Redundancy::Erasure { k: 4, m: 2 }, PoolIo::BelowMinSize),
    ];
    for (redundancy, expected) in cases {
        for run in 0..20 {
            let script = [(100, Step::Down(1)), (100_000, Step::Back(1))];
            let mut sim = world(spec(redundancy, FailureDomain::Zone), run, &script);
            assert_eq!(until(&mut sim, 99), PoolIo::Runs);
            // OS-2: 20 to 35 s.
            assert_eq!(until(&mut sim, 120), PoolIo::Pauses);
            assert_eq!(until(&mut sim, 136), expected, "{redundancy:?}");
            assert_eq!(until(&mut sim, 99_999), expected, "{redundancy:?}: nothing heals");
            assert_eq!(until(&mut sim, 100_010), PoolIo::Runs);
            assert_eq!(sim.next_at(), None);
        }
    }
}

#[test]
fn a_zone_that_is_back_before_anybody_misses_it_pauses_no_longer_than_peering() {
    for run in 0..20 {
        let script = [(100, Step::Down(1)), (105, Step::Back(1))];
        let mut sim = world(spec(COPIES, FailureDomain::Zone), run, &script);
        assert_eq!(until(&mut sim, 104), PoolIo::Pauses);
        assert_eq!(until(&mut sim, 115), PoolIo::Runs, "run {run}");
        assert_eq!(sim.next_at(), None);
    }
}

#[test]
fn what_is_away_already_is_not_lost_once_more() {
    let pool = spec(COPIES, FailureDomain::Zone);
    let mut sim = world(pool, 1, &[(100, Step::Down(1)), (500, Step::AllOf(1))]);
    assert_eq!(until(&mut sim, 499), PoolIo::Runs);
    let before = facts(&sim);
    assert_eq!(until(&mut sim, 501), PoolIo::Runs);
    assert_eq!(facts(&sim), before);
}

#[test]
fn a_further_machine_stops_copies_that_lack_a_zone() {
    // A machine in each of the zones that are left, or two in one of them: some copy is one of theirs.
    let script = [(10, Step::Down(0)), (100, Step::Away(9)), (150, Step::Returned)];
    let mut sim = world(spec(COPIES, FailureDomain::Zone), 0, &script);
    assert_eq!(until(&mut sim, 99), PoolIo::Runs);
    assert_eq!(until(&mut sim, 149), PoolIo::BelowMinSize);
    assert_eq!(until(&mut sim, 160), PoolIo::Runs);
    assert_eq!(until(&mut sim, 5_000), PoolIo::Runs);
    let is_out = |fact: &StorageFact| matches!(fact, StorageFact::OsdsOut { .. });
    assert!(!facts(&sim).iter().any(|(_, fact)| is_out(fact)));
}

#[test]
fn a_machine_that_stays_away_is_made_good() {
    let script = [(100, Step::Away(1)), (90_000, Step::Returned)];
    let mut sim = world(spec(COPIES, FailureDomain::Zone), 0, &script);
    assert_eq!(until(&mut sim, 100_000), PoolIo::Runs);
    let told = facts(&sim);
    let at = |is: fn(&StorageFact) -> bool| {
        told.iter().find(|(_, fact)| is(fact)).map(|(at, _)| *at).expect("it was told")
    };
    assert_eq!(at(|fact| matches!(fact, StorageFact::OsdsOut { .. })), 700);
    assert_eq!(at(|fact| matches!(fact, StorageFact::RebuildStarted { .. })), 700);
    let whole = |fact: &StorageFact| matches!(fact, StorageFact::Redundancy { below_ppm: 0, .. });
    assert_eq!(at(whole), at(|fact| matches!(fact, StorageFact::RebuildEnded { .. })));
    assert!(at(whole) < 1_000);
}

#[test]
fn monitors_without_a_quorum_stop_all() {
    let mut pool = spec(Redundancy::Replicated { size: 4 }, FailureDomain::Zone);
    pool.zones.pop();
    pool.monitor_zones = vec![ZoneId(0), ZoneId(0), ZoneId(1)];
    let script = [(10, Step::Down(1)), (110, Step::Back(1)), (200, Step::Down(0))];
    let mut sim = world(pool, 0, &script);
    assert_eq!(until(&mut sim, 100), PoolIo::Runs);
    assert_eq!(until(&mut sim, 199), PoolIo::Runs);
    assert_eq!(until(&mut sim, 300), PoolIo::NoQuorum);
}

#[test]
fn what_is_lost_while_it_is_made_anew_depends_on_how_many_copies_there_are() {
    let lost = |size: u32, second_at: u64| {
        let of_run = |run| {
            let redundancy = Redundancy::Replicated { size };
            let script = [(10, Step::Gone(1)), (second_at, Step::Gone(1))];
            let mut sim = world(spec(redundancy, FailureDomain::Host), run, &script);
            until(&mut sim, 100_000);
            let lost = |(_, fact)| match fact {
                StorageFact::DataLost { bytes, .. } => bytes,
                _ => 0,
            };
            facts(&sim).into_iter().map(lost).sum::<u64>()
        };
        (0..20).map(of_run).sum::<u64>()
    };
    // Before it is given up, and long after it was made good. One of 66 groups has both copies on the
    // two machines, which are 29 of 20 × 96 groups of 500 MB.
    let both = lost(2, 300) / 500_000_000;
    assert!((12..55).contains(&both), "{both}");
    assert_eq!(lost(2, 50_000), 0);
    assert_eq!(lost(3, 300), 0);
}

#[test]
fn a_rebuild_takes_bytes_over_the_rate_of_all_disks() {
    let mut sim = world(spec(COPIES, FailureDomain::Host), 3, &[(0, Step::Gone(1))]);
    until(&mut sim, 100_000);
    let (mut started, mut ended) = (None, None);
    for (at, fact) in facts(&sim) {
        match fact {
            StorageFact::RebuildStarted { bytes, slowdown_milli, .. } => {
                started = Some((at, bytes));
                assert!((1_500..=3_000).contains(&slowdown_milli));
            }
            StorageFact::RebuildEnded { .. } => ended = Some(at),
            _ => {}
        }
    }
    let ((from, bytes), until) = (started.expect("it began"), ended.expect("it ended"));
    // 22 disks are left, each with 20 MB/s.
    let expected = bytes / (22 * 20_000_000);
    assert!(from == 600 && (until - from).abs_diff(expected) <= 1, "{from} {until} {expected}");
    // A twelfth of three copies of 48 GB.
    assert!((8_000_000_000..16_000_000_000).contains(&bytes), "{bytes}");
    assert_eq!(sim.next_at(), None);
}

#[test]
fn nothing_happens_to_a_pool_that_nobody_touches() {
    let mut sim = world(spec(COPIES, FailureDomain::Zone), 0, &[(5, Step::Down(7))]);
    until(&mut sim, 100);
    assert!(sim.model().pools.states[0].groups.is_empty());
    assert_eq!((sim.next_at(), facts(&sim).len()), (None, 0));
}
