//! A small world that uses everything the kernel offers: ties, zero delays, priorities,
//! timers, random draws, observations, parts that know only their own events.

use sim_kernel::{
    Context, EVENT_BYTES_MAX, EntityKey, Limits, Model, Priority, Purpose, Recorder, RecorderFor,
    SimSpan, SimTime, Simulation, Streams, Timer,
};

pub(crate) const PATIENCE: Purpose = Purpose::new("patience");
const FIRST: Priority = Priority::FIRST;

/// What can happen to one server; the part of the world that is generic over the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ServerEvent {
    RequestArrived { server: u32 },
    RequestAnswered { server: u32 },
    PatienceLost { server: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WorldEvent {
    Server(ServerEvent),
    ZoneLost,
    Looped,
    Flooded { count: u32 },
}

const _: () = assert!(size_of::<WorldEvent>() <= EVENT_BYTES_MAX);

impl From<ServerEvent> for WorldEvent {
    fn from(event: ServerEvent) -> Self {
        WorldEvent::Server(event)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Answered { server: u32 },
    GaveUp { server: u32 },
    ZoneLost { lost_count: u32 },
}

#[derive(Clone, Debug)]
struct Server {
    is_up: bool,
    patience: Timer,
    request_count: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    streams: Streams,
    servers: Vec<Server>,
}

impl World {
    pub(crate) fn new(server_count: usize, run: u64) -> Self {
        let server = Server { is_up: true, patience: Timer::NONE, request_count: 0 };
        World { streams: Streams::new(42, run), servers: vec![server; server_count] }
    }

    fn handle_server<E: From<ServerEvent> + Copy, R: Recorder<Seen>>(
        &mut self,
        event: ServerEvent,
        ctx: &mut Context<'_, E, R>,
    ) {
        match event {
            ServerEvent::RequestArrived { server } => self.serve(server, ctx),
            ServerEvent::RequestAnswered { server } => {
                let state = &mut self.servers[server as usize];
                if ctx.cancel(state.patience) {
                    ctx.observe(|| Seen::Answered { server });
                    // The next request comes at once: a chain of zero delays.
                    ctx.schedule_in(
                        SimSpan::ZERO,
                        Priority::NORMAL,
                        ServerEvent::RequestArrived { server },
                    );
                }
            }
            ServerEvent::PatienceLost { server } => {
                ctx.observe(|| Seen::GaveUp { server });
                let arrival = ServerEvent::RequestArrived { server };
                ctx.schedule_in(SimSpan::from_secs(1), Priority::NORMAL, arrival);
            }
        }
    }

    fn serve<E: From<ServerEvent> + Copy, R: Recorder<Seen>>(
        &mut self,
        server: u32,
        ctx: &mut Context<'_, E, R>,
    ) {
        let state = &mut self.servers[server as usize];
        let key = EntityKey::of("server").part(u64::from(server));
        let draw = self.streams.draw(key, PATIENCE, state.request_count);
        state.request_count += 1;
        // Whole multiples of 100 ms, so that servers tie.
        let service = SimSpan::from_millis(100 * draw.range_inclusive(1, 20));
        let patience = SimSpan::from_millis(1_500);
        state.patience =
            ctx.timer_in(patience, Priority::LAST, ServerEvent::PatienceLost { server });
        if state.is_up {
            ctx.schedule_in(service, Priority::NORMAL, ServerEvent::RequestAnswered { server });
        }
    }
}

impl Model for World {
    type Event = WorldEvent;
    type Observation = Seen;

    fn handle<R: Recorder<Seen>>(
        &mut self,
        event: WorldEvent,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        match event {
            WorldEvent::Server(event) => self.handle_server(event, ctx),
            WorldEvent::ZoneLost => {
                let half = self.servers.len() / 2;
                self.servers[..half].iter_mut().for_each(|server| server.is_up = false);
                let lost_count = u32::try_from(half).expect("a world has few servers");
                ctx.observe(|| Seen::ZoneLost { lost_count });
            }
            WorldEvent::Looped => {
                ctx.schedule_in(SimSpan::ZERO, FIRST, WorldEvent::Looped);
            }
            WorldEvent::Flooded { count } => {
                for _ in 0..count {
                    ctx.schedule_in(SimSpan::from_hours(1), FIRST, WorldEvent::ZoneLost);
                }
            }
        }
    }
}

/// A world of 20 servers whose zone is lost after 30 s, not started yet.
pub(crate) fn simulation<R: RecorderFor<World>>(run: u64, recorder: R) -> Simulation<World, R> {
    let mut sim = Simulation::new(World::new(20, run), recorder, Limits::default());
    start(&mut sim);
    sim
}

pub(crate) fn start<R: RecorderFor<World>>(sim: &mut Simulation<World, R>) {
    for server in 0..20 {
        let arrival = ServerEvent::RequestArrived { server };
        sim.schedule_at(SimTime::ZERO, Priority::NORMAL, arrival);
    }
    sim.schedule_at(SimTime::from_secs(30), FIRST, WorldEvent::ZoneLost);
}
