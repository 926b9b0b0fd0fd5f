//! What the crate promises about every run.

use proptest::prelude::*;
use sim_kernel::{
    Causes, Context, Draw, EntityKey, EventId, EventRecord, EventRecorder, Journal, Limits,
    NoRecorder, Outcome, Priority, Purpose, Recorder, SimSpan, SimTime, Simulation, Streams,
    TieBreak, lockstep,
};

use crate::world::{PATIENCE, Seen, ServerEvent, World, WorldEvent, simulation, start};

const END: SimTime = SimTime::from_secs(120);

fn journal(run: u64) -> Simulation<World, Journal<WorldEvent, Seen>> {
    simulation(run, Journal::new())
}

#[test]
fn the_same_run_is_the_same_and_another_is_another() {
    let digest = |run| {
        let mut sim = simulation(run, NoRecorder);
        assert_eq!(sim.run_until(END), Outcome::HorizonReached { at: END });
        (sim.digest(), sim.stats())
    };
    assert_eq!(digest(0), digest(0));
    assert_ne!(digest(0).0, digest(1).0);
    let stats = digest(0).1;
    assert!(stats.handled_count > 1_000 && stats.cancelled_count > 100);
    let settled = stats.handled_count + stats.cancelled_count + stats.pending_count as u64;
    assert_eq!(stats.scheduled_count, settled, "every event is handled, cancelled or pending");
}

#[test]
fn digests_are_pinned() {
    // The same on every machine and in every build. A change here is a change of results.
    let mut sim = simulation(0, NoRecorder);
    sim.run_until(END);
    assert_eq!(format!("{:016x}", sim.digest()), "d63f78f1ee7bb391");
}

#[test]
fn recording_changes_nothing() {
    let mut silent = simulation(3, NoRecorder);
    let mut recorded = journal(3);
    assert_eq!(silent.run_until(END), recorded.run_until(END));
    assert_eq!(silent.digest(), recorded.digest());
    assert_eq!(silent.stats(), recorded.stats());
    assert_eq!(recorded.recorder().events().len() as u64, recorded.stats().handled_count);
}

#[test]
fn a_reset_simulation_is_as_good_as_new() {
    let mut sim = simulation(1, NoRecorder);
    sim.run_until(SimTime::from_secs(45));
    sim.reset(World::new(20, 2), NoRecorder);
    assert_eq!((sim.now(), sim.next_at()), (SimTime::ZERO, None));
    start(&mut sim);
    sim.run_until(END);

    let mut fresh = simulation(2, NoRecorder);
    fresh.run_until(END);
    assert_eq!((sim.digest(), sim.stats()), (fresh.digest(), fresh.stats()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A snapshot continues as the original does, a branch without a recorder too, and
    /// stopping at horizons changes nothing.
    #[test]
    fn snapshots_and_stops_change_nothing(
        run: u64,
        stops_millis in prop::collection::vec(0_u64..100_000, 0..4),
        step_count in 0_usize..50,
    ) {
        let mut whole = journal(run);
        whole.run_until(END);

        let mut sim = journal(run);
        let mut stops_millis = stops_millis;
        stops_millis.sort_unstable();
        for stop in stops_millis {
            sim.run_until(SimTime::from_millis(stop));
            prop_assert_eq!(sim.now(), SimTime::from_millis(stop));
            let copy = sim.clone();
            sim.run_until(END);
            prop_assert_eq!(sim.digest(), whole.digest());
            sim = copy;
        }
        for _ in 0..step_count {
            sim.step();
        }
        let mut branch = sim.branch(NoRecorder);
        branch.run_until(END);
        sim.run_until(END);
        prop_assert_eq!(sim.digest(), whole.digest());
        prop_assert_eq!(branch.digest(), whole.digest());
        prop_assert_eq!(sim.recorder().events(), whole.recorder().events());
        prop_assert_eq!(sim.recorder().observations(), whole.recorder().observations());
    }

    /// Each observation leads back to an event from outside, through events that were
    /// handled one before the other.
    #[test]
    fn every_observation_knows_its_causes(run: u64) {
        let mut sim = journal(run);
        sim.run_until(SimTime::from_secs(40));
        let journal = sim.recorder();
        for observation in journal.observations() {
            let chain = journal.chain(observation.cause);
            prop_assert_eq!(chain[0].parent, EventId::NONE);
            prop_assert_eq!(chain.last().unwrap().at, observation.at);
            for pair in chain.windows(2) {
                prop_assert_eq!(pair[1].parent, pair[0].id);
                prop_assert!(pair[0].at <= pair[1].at && pair[0].id < pair[1].id);
            }
        }
    }
}

#[test]
fn shuffled_ties_are_reproducible_and_keep_priorities() {
    let run = |tie_break| {
        let mut sim = Simulation::new(World::new(20, 0), Journal::new(), Limits::default())
            .with_tie_break(tie_break);
        start(&mut sim);
        sim.run_until(END);
        sim
    };
    let fifo = run(TieBreak::Fifo);
    let shuffled = run(TieBreak::Shuffled(7));
    assert_eq!(shuffled.digest(), run(TieBreak::Shuffled(7)).digest());
    assert_ne!(shuffled.digest(), fifo.digest());
    // This world does not rest on the order of ties: the same things happen to each
    // server, in another order within an instant.
    let told = |sim: &Simulation<World, Journal<WorldEvent, Seen>>| {
        let mut told: Vec<_> = sim
            .recorder()
            .observations()
            .iter()
            .map(|record| (record.at, format!("{:?}", record.observation)))
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&fifo), told(&shuffled));
}

#[test]
fn an_event_scheduled_for_now_with_a_lower_level_runs_next() {
    #[derive(Clone, Default)]
    struct Order(Vec<u8>);
    impl sim_kernel::Model for Order {
        type Event = u8;
        type Observation = ();
        fn handle<R: Recorder<()>>(&mut self, event: u8, ctx: &mut Context<'_, u8, R>) {
            self.0.push(event);
            if event == 1 {
                ctx.schedule_in(SimSpan::ZERO, Priority::LAST, 4);
                ctx.schedule_in(SimSpan::ZERO, Priority::NORMAL, 3);
                ctx.schedule_in(SimSpan::ZERO, Priority::FIRST, 9);
            }
        }
    }
    let mut sim = Simulation::new(Order::default(), NoRecorder, Limits::default());
    sim.schedule_at(SimTime::from_secs(1), Priority::NORMAL, 1);
    sim.schedule_at(SimTime::from_secs(1), Priority::NORMAL, 2);
    sim.run();
    assert_eq!(sim.model().0, [1, 9, 2, 3, 4]);
}

#[test]
fn clocks_stop_where_the_run_does() {
    let mut sim = Simulation::new(World::new(0, 0), NoRecorder, Limits::default());
    assert_eq!(sim.run_until(END), Outcome::Exhausted { at: SimTime::ZERO });
    assert_eq!(sim.now(), END, "nothing happening is no reason to stop the clock");
    sim.schedule_at(SimTime::from_secs(130), Priority::NORMAL, WorldEvent::ZoneLost);
    let horizon = SimTime::from_secs(60);
    assert_eq!(sim.run_until(horizon), Outcome::HorizonReached { at: horizon });
    assert_eq!(sim.now(), END, "a clock never goes back");
    assert_eq!(sim.run(), Outcome::Exhausted { at: SimTime::from_secs(130) });
    assert_eq!(sim.now(), SimTime::from_secs(130));
    assert_eq!(sim.step(), None);
}

#[test]
fn events_at_the_horizon_are_handled() {
    let mut sim = Simulation::new(World::new(0, 0), NoRecorder, Limits::default());
    sim.schedule_at(END, Priority::LAST, WorldEvent::ZoneLost);
    assert_eq!(sim.run_until(END), Outcome::Exhausted { at: END });
    assert_eq!(sim.stats().handled_count, 1);
}

fn limited(limits: Limits, event: WorldEvent) -> (Outcome, u64) {
    let mut sim = Simulation::new(World::new(2, 0), NoRecorder, limits);
    sim.schedule_at(SimTime::from_secs(1), Priority::NORMAL, event);
    let outcome = sim.run_until(END);
    assert_eq!(sim.run_until(END), outcome, "a limit stays reached");
    (outcome, sim.stats().handled_count)
}

#[test]
fn each_limit_ends_the_run_under_its_own_name() {
    let at = SimTime::from_secs(1);
    let limits = Limits { instant_count_max: 1_000, ..Limits::default() };
    assert_eq!(limited(limits, WorldEvent::Looped), (Outcome::InstantLimit { at }, 1_000));

    let limits = Limits { event_count_max: 500, ..Limits::default() };
    assert_eq!(limited(limits, WorldEvent::Looped), (Outcome::EventLimit { at }, 500));

    let limits = Limits { pending_count_max: 50, ..Limits::default() };
    let flood = WorldEvent::Flooded { count: 51 };
    assert_eq!(limited(limits, flood), (Outcome::PendingLimit { at }, 1));
    let flood = WorldEvent::Flooded { count: 50 };
    assert_eq!(limited(limits, flood), (Outcome::HorizonReached { at: END }, 1));
}

#[test]
fn a_limit_that_is_just_met_is_not_reached() {
    let limits = Limits { event_count_max: 1, instant_count_max: 1, ..Limits::default() };
    let mut sim = Simulation::new(World::new(2, 0), NoRecorder, limits);
    sim.schedule_at(SimTime::from_secs(1), Priority::NORMAL, WorldEvent::ZoneLost);
    assert_eq!(sim.run(), Outcome::Exhausted { at: SimTime::from_secs(1) });
}

#[test]
fn a_cause_can_be_named() {
    let mut sim = Simulation::new(World::new(0, 0), Journal::new(), Limits::default());
    let decision = sim.schedule_at(END, Priority::NORMAL, WorldEvent::ZoneLost);
    sim.apply(|_, ctx| {
        assert_eq!((ctx.current(), ctx.cause()), (EventId::NONE, EventId::NONE));
        let mut ctx = ctx.because(decision);
        ctx.schedule_in(SimSpan::from_secs(200), Priority::NORMAL, WorldEvent::ZoneLost);
        ctx.observe(|| Seen::GaveUp { server: 7 });
        ctx.observe_because(EventId::NONE, || Seen::GaveUp { server: 8 });
    });
    sim.run_until(SimTime::from_secs(200));
    let last = sim.recorder().events().last().unwrap();
    assert_eq!((last.parent, last.event), (decision, WorldEvent::ZoneLost));
    assert_eq!(sim.recorder().chain(last.id).len(), 2);
    assert_eq!(sim.recorder().observations()[0].cause, decision);
    assert_eq!(sim.recorder().observations()[1].cause, EventId::NONE);
    assert!(sim.recorder().chain(EventId::NONE).is_empty());
    assert!(sim.recorder().chain(EventId::new(u64::MAX)).is_empty());
}

#[test]
fn a_full_journal_says_so() {
    let mut sim = simulation(0, Journal::with_limit(100));
    sim.run_until(END);
    assert_eq!((sim.recorder().events().len(), sim.recorder().observations().len()), (100, 100));
    assert!(sim.recorder().is_truncated());
    sim.recorder_mut().clear();
    assert!(sim.recorder().events().is_empty() && !sim.recorder().is_truncated());
}

/// A recorder as a judge writes one: it watches and keeps no causes.
#[derive(Clone, Default)]
struct GaveUpCount(u32);

impl Causes for GaveUpCount {
    type Link = ();
}

impl Recorder<Seen> for GaveUpCount {
    const RECORDS: bool = true;
    fn observe(&mut self, _at: SimTime, cause: EventId, seen: Seen) {
        assert!(!cause.is_none(), "the current event is known even without links");
        self.0 += u32::from(matches!(seen, Seen::GaveUp { .. }));
    }
}

impl EventRecorder<WorldEvent> for GaveUpCount {}

#[test]
fn a_monitor_watches_without_causes() {
    let mut sim = simulation(0, GaveUpCount::default());
    sim.run_until(END);
    let mut full = journal(0);
    full.run_until(END);
    let seen = full.recorder().observations().iter();
    let expected = seen.filter(|record| matches!(record.observation, Seen::GaveUp { .. })).count();
    assert_eq!(sim.recorder().0 as usize, expected);
    assert!(expected > 0);
}

#[test]
fn lockstep_names_the_first_difference() {
    let (mut first, mut second) = (simulation(0, NoRecorder), journal(0));
    assert_eq!(lockstep(&mut first, &mut second, END), Ok(Outcome::HorizonReached { at: END }));

    let (mut first, mut second) = (simulation(0, NoRecorder), simulation(0, NoRecorder));
    first.run_until(SimTime::from_secs(20));
    second.run_until(SimTime::from_secs(20));
    let arrival = |server| ServerEvent::RequestArrived { server };
    first.schedule_at(SimTime::from_secs(25), Priority::FIRST, arrival(1));
    second.schedule_at(SimTime::from_secs(25), Priority::FIRST, arrival(2));
    let divergence = lockstep(&mut first, &mut second, END).unwrap_err();
    let stepped = divergence.first.unwrap();
    assert_eq!((stepped.at, stepped.event), (SimTime::from_secs(25), arrival(1).into()));
    assert_eq!(divergence.second.unwrap().event, arrival(2).into());
    let text = divergence.to_string();
    assert!(text.contains("00:00:25.000") && text.contains("server: 2"), "{text}");

    let (mut first, mut second) = (simulation(0, NoRecorder), simulation(0, NoRecorder));
    second.schedule_at(SimTime::ZERO, Priority::LAST, WorldEvent::ZoneLost);
    first.run_until(END);
    second.run_until(SimTime::ZERO);
    let divergence = lockstep(&mut first, &mut second, END).unwrap_err();
    assert_eq!((divergence.equal_count, divergence.first.is_err()), (0, true));
}

#[test]
fn what_an_event_recorder_is_told_is_what_happened() {
    let mut sim = journal(0);
    let stepped = sim.step().unwrap();
    let EventRecord { id, parent, at, priority, event } = sim.recorder().events()[0];
    assert_eq!(
        (id, at, priority, event),
        (stepped.id, stepped.at, stepped.priority, stepped.event)
    );
    assert_eq!(parent, EventId::NONE);
}

/// The first draws of known streams, computed by an independent program. A change here changes every result ever printed.
#[test]
fn draws_are_pinned() {
    let streams = Streams::new(42, 0);
    let server = EntityKey::of("server");
    let draw = |occurrence| streams.draw(server, PATIENCE, occurrence);
    let second = SimSpan::from_secs(1);
    let words: Vec<u64> = (0..4).map(|occurrence| draw(occurrence).word()).collect();
    assert_eq!(
        words,
        [
            3_209_338_594_158_676_634,
            10_501_307_353_790_872_193,
            17_930_829_962_795_270_591,
            15_910_853_242_490_556_508
        ]
    );
    assert_eq!(Streams::new(42, 1).draw(server, PATIENCE, 0).word(), 527_612_507_960_934_390);
    assert_eq!(streams.draw(server.part(1), PATIENCE, 0).word(), 15_315_468_369_042_720_738);
    assert_eq!(streams.draw(server.child("disk"), PATIENCE, 0).word(), 6_399_708_404_737_842_393);
    assert_eq!(streams.branch(1).draw(server, PATIENCE, 0).word(), 7_894_213_551_656_010_991);
    assert_eq!(streams.draw(server, Purpose::new("other"), 0).word(), 11_365_684_263_369_570_292);

    assert_eq!(draw(0).unit().to_bits(), 4_595_436_259_732_251_588);
    assert_eq!(
        (0..8).map(|occurrence| draw(occurrence).below(10)).collect::<Vec<_>>(),
        [1, 5, 9, 8, 0, 9, 9, 4]
    );
    assert_eq!(draw(0).jitter(second, 0.5).as_nanos(), 1_086_989_296);
    assert_eq!(draw(0).exponential(second).as_nanos(), 191_134_590);
    assert_eq!(draw(0).weibull(second, 2.0).as_nanos(), 437_189_422);
    assert_eq!(draw(0).normal(second, second / 5).as_nanos(), 1_098_412_385);
    assert_eq!(draw(0).lognormal(second, 0.5).as_nanos(), 1_278_939_173);

    let mut stream = streams.stream(server, PATIENCE);
    let words: [u64; 3] = std::array::from_fn(|_| stream.next_u64());
    assert_eq!(
        words,
        [6_604_719_481_196_514_927, 10_425_535_008_464_691_213, 7_999_582_910_896_639_278]
    );
    assert_eq!(stream.draw().pick(&["a", "b", "c"]), Some(&"b"));
}

#[test]
fn drawing_elsewhere_changes_no_draw_here() {
    let streams = Streams::new(42, 0);
    let server = EntityKey::of("server").part(3);
    let before: Vec<u64> = (0..10).map(|k| streams.draw(server, PATIENCE, k).word()).collect();
    let _: u64 = (0..10)
        .map(|k| streams.draw(EntityKey::of("new"), PATIENCE, k))
        .map(Draw::word)
        .fold(0, u64::max);
    let after: Vec<u64> = (0..10).rev().map(|k| streams.draw(server, PATIENCE, k).word()).collect();
    assert!(before.iter().eq(after.iter().rev()));
    assert_eq!(size_of::<Streams>(), 16);
}
