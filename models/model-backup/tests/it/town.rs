//! A world that holds nothing but backups, and platforms made at random.

use std::sync::Arc;

use model_api::backup::{
    Archive, BackupPolicy, CopyRule, DataSet, DataSetKind, Key, Location, Method, Place,
    Protection, Recovery, Retention, Schedule,
};
use model_api::blueprint::Zone;
use model_api::observation::{BackupFact, PoolIo};
use model_api::{
    Blueprint, DataSetId, KeyId, Observation, Origin, PlaceId, PolicyId, PoolId, SimSpan, SimTime,
    WorkloadId, ZoneId,
};
use model_backup::{BackupEvent, BackupNotice, Backups, Breakage, Cost, Disaster};
use proptest::prelude::*;
use sim_kernel::{
    Causes, Context, EventId, EventRecorder, Limits, Model, Priority, Recorder, Simulation, Streams,
};

/// What a test does to a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    /// A zone is down, or up again.
    ZoneDown(u32, bool),
    /// A policy breaks, silently or not, or is mended.
    Policy(u32, Option<bool>),
    /// An archive breaks, silently or not, or is mended.
    Archive(u32, Option<bool>),
    /// A place is gone.
    PlaceLost(u32),
    /// A storage pool waits, stops or goes on.
    PoolIo(u32, PoolIo),
    /// It lost data.
    PoolLost(u32),
    /// A place can be read and written so fast.
    Rates(u32, u64, u64),
    /// A key is gone.
    KeyLost(u32),
    /// A key cannot be used, or can again.
    KeyDisabled(u32, bool),
    /// A place takes nothing more, or does again.
    Full(u32, bool),
    /// The server that makes the backups of a policy is there, or away.
    Server(u32, bool),
    /// A database takes no writes, or does again.
    Writing(u32, bool),
    /// Its primary runs, or does not.
    Running(u32, bool),
    /// It is written to at another rate, in parts per million.
    Rate(u32, u32),
    /// A standby took over from an instance.
    Fork(u32, u8),
    /// That instance is back.
    HandIn(u32, u8),
    /// Asks what a strike of this number would cost, and strikes.
    Strike(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TownEvent {
    Deed(Deed),
    Backup(BackupEvent),
}

impl From<BackupEvent> for TownEvent {
    fn from(event: BackupEvent) -> Self {
        Self::Backup(event)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Town {
    pub(crate) backups: Backups,
    /// What the strike was to cost each data set; `None` where it does not strike.
    pub(crate) asked: Vec<Option<Cost>>,
    pub(crate) notices: Vec<BackupNotice>,
    pub(crate) policy_count: u32,
    /// How long a logical loss of each data set goes unnoticed.
    pub(crate) discovery: Vec<SimSpan>,
}

impl Model for Town {
    type Event = TownEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: TownEvent,
        ctx: &mut Context<'_, TownEvent, R>,
    ) {
        match event {
            TownEvent::Backup(event) => self.backups.handle(event, ctx, &mut self.notices),
            TownEvent::Deed(deed) => self.deed(deed, ctx),
        }
    }
}

fn breakage(is_silent: bool) -> Breakage {
    if is_silent { Breakage::Silent } else { Breakage::Visible }
}

impl Town {
    fn deed<R: Recorder<Observation>>(&mut self, deed: Deed, ctx: &mut Context<'_, TownEvent, R>) {
        let backups = &mut self.backups;
        match deed {
            Deed::ZoneDown(zone, is_down) => backups.set_zone_down(ZoneId(zone), is_down, ctx),
            Deed::Policy(policy, how) => {
                // 60 is a multiple of every number of policies that a random platform has.
                if let Some(policy) = policy.checked_rem(self.policy_count) {
                    backups.set_policy_fault(PolicyId(policy), how.map(breakage), ctx);
                }
            }
            Deed::Archive(data_set, how) => {
                backups.set_archive_fault(DataSetId(data_set), how.map(breakage), ctx);
            }
            Deed::PlaceLost(place) => {
                backups.lose_place(PlaceId(place), ctx);
            }
            Deed::PoolIo(pool, io) => backups.set_pool_io(PoolId(pool), io, ctx),
            Deed::PoolLost(pool) => {
                backups.lose_pool(PoolId(pool), ctx);
            }
            Deed::Rates(place, read, write) => {
                backups.set_place_rates(PlaceId(place), (read, write), ctx);
            }
            Deed::KeyLost(key) => {
                backups.lose_key(KeyId(key), ctx);
            }
            Deed::KeyDisabled(key, is_disabled) => {
                backups.set_key_disabled(KeyId(key), is_disabled, ctx);
            }
            Deed::Full(place, is_full) => {
                backups.set_full(PlaceId(place), is_full, ctx);
            }
            Deed::Server(policy, is_up) => {
                if let Some(policy) = policy.checked_rem(self.policy_count) {
                    backups.set_server_up(&[PolicyId(policy)], is_up, ctx);
                }
            }
            Deed::Writing(data_set, is_writing) => {
                backups.set_writing(DataSetId(data_set), is_writing, ctx);
            }
            Deed::Running(data_set, is_running) => {
                backups.set_running(DataSetId(data_set), is_running, ctx);
            }
            Deed::Rate(data_set, ppm) => backups.set_rate(DataSetId(data_set), ppm, ctx),
            Deed::Fork(data_set, old) => backups.fork_log(DataSetId(data_set), old, ctx),
            Deed::HandIn(data_set, old) => backups.hand_in_log(DataSetId(data_set), old, ctx),
            Deed::Strike(number) => self.strike(number, ctx),
        }
    }

    fn strike<R: Recorder<Observation>>(
        &mut self,
        number: u8,
        ctx: &mut Context<'_, TownEvent, R>,
    ) {
        let disaster = disaster(number);
        let now = ctx.now();
        for idx in 0..self.asked.len() {
            self.asked[idx] = self.backups.cost_now(DataSetId::from_index(idx), disaster, now);
        }
        // What is imagined of a loss in the content is that of one data set.
        let only = target(number).filter(|id| id.index() < self.asked.len());
        if let Some(data_set) = only {
            let dwell = self.discovery[data_set.index()];
            let deletes = disaster == Disaster::Ransomware;
            self.backups.corrupt(data_set, dwell, deletes, ctx);
        } else if disaster == Disaster::Node {
            self.backups.lose_nodes(ctx);
        } else if target(number).is_none() {
            self.backups.strike(disaster, ctx);
        }
        for (idx, asked) in self.asked.iter_mut().enumerate() {
            let id = DataSetId::from_index(idx);
            if !self.backups.is_lost(id) || only.is_some_and(|only| only != id) {
                *asked = None;
            }
        }
    }
}

/// How long a logical loss goes unnoticed where a test does not say.
pub(crate) const DISCOVERY: SimSpan = SimSpan::from_hours(5);

/// The disasters that are tried, by number.
pub(crate) const DISASTER_COUNT: u8 = 7;

/// More: the second zone, and the third.
pub(crate) const SECOND_ZONE: u8 = DISASTER_COUNT;
const THIRD_ZONE: u8 = DISASTER_COUNT + 1;

/// And the nodes under live copies.
pub(crate) const NODES: u8 = DISASTER_COUNT + 2;

pub(crate) fn disaster(number: u8) -> Disaster {
    match number {
        NODES => Disaster::Node,
        0 => Disaster::Zone(ZoneId(0)),
        SECOND_ZONE => Disaster::Zone(ZoneId(1)),
        THIRD_ZONE => Disaster::Zone(ZoneId(2)),
        1 => Disaster::Region,
        2 => Disaster::Account(0),
        3 | 4 => Disaster::Logical,
        _ => Disaster::Ransomware,
    }
}

/// The data set whose content a disaster destroys, of one that destroys content.
fn target(number: u8) -> Option<DataSetId> {
    let number = number.checked_sub(3).filter(|_| number < DISASTER_COUNT)?;
    Some(DataSetId(u32::from(number) % 2))
}

/// Facts of a run, with their times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts(pub(crate) Vec<(SimTime, BackupFact)>);

impl Causes for Facts {
    type Link = ();
}

impl Recorder<Observation> for Facts {
    const RECORDS: bool = true;

    fn observe(&mut self, at: SimTime, _cause: EventId, observation: Observation) {
        if let Observation::Backup(fact) = observation {
            self.0.push((at, fact));
        }
    }
}

impl<E> EventRecorder<E> for Facts {}

/// A run to `end` with these deeds, each before anything else of its moment.
pub(crate) fn run(
    blueprint: &Arc<Blueprint>,
    seed: u64,
    deeds: &[(SimTime, Deed)],
    end: SimTime,
) -> (Town, Facts) {
    let mut simulation = simulation(blueprint, seed);
    for (at, deed) in deeds {
        simulation.schedule_at(*at, Priority::new(1), TownEvent::Deed(*deed));
    }
    assert!(simulation.run_until(end).is_complete());
    simulation.apply(|town, ctx| town.backups.finish(ctx));
    simulation.into_parts()
}

/// A run that has begun.
pub(crate) fn simulation(blueprint: &Arc<Blueprint>, seed: u64) -> Simulation<Town, Facts> {
    let streams = Streams::new(seed, 0);
    let town = Town {
        backups: Backups::new(blueprint, streams),
        asked: vec![None; blueprint.protection.data_sets.len()],
        notices: Vec::new(),
        policy_count: u32::try_from(blueprint.protection.policies.len()).expect("few"),
        discovery: blueprint.protection.data_sets.iter().map(|set| set.discovery).collect(),
    };
    let mut simulation = Simulation::new(town, Facts::default(), Limits::default());
    simulation.apply(|town, ctx| town.backups.begin(ctx));
    simulation
}

pub(crate) fn blueprint(protection: Protection) -> Arc<Blueprint> {
    let zone = |name: &str| Zone { name: name.to_owned(), ..Zone::default() };
    Arc::new(Blueprint {
        zones: ["a", "b", "c"].map(zone).to_vec(),
        protection,
        ..Blueprint::default()
    })
}

pub(crate) fn data_set(name: &str, zones: &[u32]) -> DataSet {
    DataSet {
        name: name.to_owned(),
        kind: DataSetKind::Other,
        zones: zones.iter().copied().map(ZoneId).collect(),
        is_replicated: true,
        is_on_nodes: false,
        pools: Vec::new(),
        volume_bytes_per_second: None,
        account: "platform".to_owned(),
        size_bytes: 100 << 30,
        written_bytes_per_second: 1 << 20,
        live_lag: SimSpan::ZERO,
        restored_after: Vec::new(),
        discovery: DISCOVERY,
        origin: Origin::default(),
    }
}

pub(crate) fn place(name: &str, zones: &[u32], region: Option<&str>, account: &str) -> Place {
    Place {
        name: name.to_owned(),
        location: Location {
            zones: zones.iter().copied().map(ZoneId).collect(),
            zones_needed: 1,
            zones_needed_to_serve: 1,
            pool: None,
            region: region.map(str::to_owned),
            beside: None,
            account: account.to_owned(),
            jurisdiction: "EU".to_owned(),
        },
        has_snapshots: false,
        lock: None,
        read_bytes_per_second: 100 << 20,
        write_bytes_per_second: 100 << 20,
        origin: Origin::default(),
    }
}

pub(crate) fn policy(name: &str, data_set: u32, method: Method, to: u32) -> BackupPolicy {
    BackupPolicy {
        name: name.to_owned(),
        data_set: DataSetId(data_set),
        method,
        schedule: Schedule::Every(SimSpan::from_days(1)),
        is_paused: false,
        to: PlaceId(to),
        copies: Vec::new(),
        retention: Retention::For(SimSpan::from_days(30)),
        key: None,
        lane: None,
        server: None,
        overhead: SimSpan::from_mins(5),
        moved_bytes: 10 << 30,
        timeout: None,
        failure_ppm: 0,
        silent_failure_ppm: 0,
        tested_every: None,
        restore_overhead: SimSpan::ZERO,
        hook: None,
        origin: Origin::default(),
    }
}

pub(crate) fn archive(data_set: u32, to: u32) -> Archive {
    Archive {
        data_set: DataSetId(data_set),
        to: PlaceId(to),
        copies: Vec::new(),
        key: None,
        segment_bytes: 16 << 20,
        timeout: SimSpan::from_mins(5),
        overhead: SimSpan::from_secs(2),
        parallel: 1,
        origin: Origin::default(),
    }
}

/// Two places (one in zone a, one in another region and account), a key of each, data sets with
/// policies of every shape.
pub(crate) fn any_protection() -> impl Strategy<Value = Protection> {
    let policies = prop::collection::vec(any_policy(), 0..5);
    let locks = (prop::option::of(1_u64..40), prop::option::of(1_u64..40));
    let archives = prop::collection::vec(
        prop::option::of((0_u32..2, prop::option::of(1_u64..60), 1_u64..40)),
        2,
    );
    let discovery = prop::collection::vec(1_u64..40, 2);
    let kept_in = prop::collection::vec(prop::option::of(0_u32..2), 2);
    let others = (locks, archives, discovery, kept_in);
    (policies, others).prop_map(|(mut policies, (locks, archives, discovery, kept_in))| {
        for (idx, policy) in policies.iter_mut().enumerate() {
            policy.name = format!("policy {idx}");
        }
        let mut places =
            vec![place("near", &[0], None, "platform"), place("far", &[], Some("west"), "vault")];
        places[0].lock = locks.0.map(SimSpan::from_days);
        places[1].lock = locks.1.map(SimSpan::from_days);
        let archives = archives.into_iter().zip(0_u32..).filter_map(|(spec, data_set)| {
            let (to, copy_mins, overhead) = spec?;
            let lag = copy_mins.map(SimSpan::from_mins);
            Some(Archive {
                copies: lag.map(|lag| CopyRule { to: PlaceId(1 - to), lag }).into_iter().collect(),
                overhead: SimSpan::from_secs(overhead),
                ..archive(data_set, to)
            })
        });
        let key = |name: &str, place: &Place, kept_in: Option<u32>| Key {
            name: name.to_owned(),
            kept_at: vec![place.location.clone()],
            kept_in: kept_in.into_iter().map(DataSetId).collect(),
            origin: Origin::default(),
        };
        let mut data_sets = vec![data_set("first", &[0]), data_set("second", &[0, 1])];
        for (set, hours) in data_sets.iter_mut().zip(discovery) {
            set.discovery = SimSpan::from_hours(hours);
        }
        Protection {
            data_sets,
            keys: vec![key("near", &places[0], kept_in[0]), key("far", &places[1], kept_in[1])],
            places,
            policies,
            archives: archives.collect(),
            account: "platform".to_owned(),
            recovery: Recovery { parallel: 100, ..Recovery::default() },
            history: SimSpan::from_days(60),
        }
    })
}

fn any_policy() -> impl Strategy<Value = BackupPolicy> {
    let method = prop_oneof![Just(Method::Snapshot), Just(Method::Files), Just(Method::Base)];
    let retention = prop_oneof![
        (1_u64..20).prop_map(|days| Retention::For(SimSpan::from_days(days))),
        (1_u64..20).prop_map(|days| Retention::Window(SimSpan::from_days(days))),
        (1_u32..6).prop_map(Retention::Last),
    ];
    let luck = (prop_oneof![Just(0_u32), Just(200_000)], prop_oneof![Just(0_u32), Just(100_000)]);
    let tested = prop::option::of((1_u64..15).prop_map(SimSpan::from_days));
    let copy = prop::option::of(1_u64..300);
    let lane = prop::option::of(Just(1_u32));
    let key = prop::option::of((0_u32..2).prop_map(KeyId));
    ((0_u32..2, 0_u32..2, method, retention), (1_u64..50, lane, key), (luck, tested, copy))
        .prop_map(
            |(
                (data_set, to, method, retention),
                (hours, lane, key),
                (luck, tested_every, copy),
            )| {
                let lag = copy.map(SimSpan::from_mins);
                BackupPolicy {
                    schedule: Schedule::Every(SimSpan::from_hours(hours)),
                    copies: lag
                        .map(|lag| CopyRule { to: PlaceId(1 - to), lag })
                        .into_iter()
                        .collect(),
                    retention,
                    key,
                    lane,
                    // Whoever makes several of them is part of the platform.
                    server: lane.map(|_| WorkloadId(0)),
                    failure_ppm: luck.0,
                    silent_failure_ppm: luck.1,
                    tested_every,
                    ..policy("", data_set, method, to)
                }
            },
        )
}

/// Things that go wrong before the strike.
pub(crate) fn any_deeds(within_hours: u64) -> impl Strategy<Value = Vec<(SimTime, Deed)>> {
    let how = prop::option::of(any::<bool>());
    let deed = prop_oneof![
        (1_u32..3, any::<bool>()).prop_map(|(zone, is_down)| Deed::ZoneDown(zone, is_down)),
        (0_u32..2, how.clone()).prop_map(|(data_set, how)| Deed::Archive(data_set, how)),
        (0_u32..2, any::<bool>()).prop_map(|(data_set, on)| Deed::Writing(data_set, on)),
        (0_u32..2, any::<bool>()).prop_map(|(data_set, on)| Deed::Running(data_set, on)),
        (0_u32..2, prop_oneof![Just(0_u32), 1_000_u32..4_000_000])
            .prop_map(|(data_set, ppm)| Deed::Rate(data_set, ppm)),
        (0_u32..2, 0_u8..2).prop_map(|(data_set, old)| Deed::Fork(data_set, old)),
        (0_u32..2, 0_u8..2).prop_map(|(data_set, old)| Deed::HandIn(data_set, old)),
        (0_u32..60, how).prop_map(|(policy, how)| Deed::Policy(policy, how)),
        (0_u32..2, any::<bool>()).prop_map(|(place, is_full)| Deed::Full(place, is_full)),
        (0_u32..60, any::<bool>()).prop_map(|(policy, is_up)| Deed::Server(policy, is_up)),
        (0_u32..2).prop_map(Deed::PlaceLost),
        (0_u32..2).prop_map(Deed::KeyLost),
        (0..DISASTER_COUNT).prop_map(Deed::Strike),
    ];
    let at = (0..within_hours * 3600).prop_map(SimTime::from_secs);
    prop::collection::vec((at, deed), 0..10)
}
