//! Switchover: a primary hands over on purpose.
//!
//! Somebody names another primary (`kubectl cnpg promote`), or the operator finds the primary on a node
//! that takes no pods any more and every other instance on one that does. The primary is shut down, so
//! that its standbys have everything, and the rest goes as in a failover.
//!
//! Source: CloudNativePG 1.30, `triggerSwitchoverToSchedulableNodes` of `internal/controller/replicas.go`;
//! `tryShuttingDownFastImmediate` of `pkg/management/postgres/instance.go` (`switchoverDelay`).

use model_api::Observation;
use model_api::observation::FailoverBlock;
use sim_kernel::{Purpose, SimSpan};

use crate::cluster::{Cluster, Port, Stage, Target};
use crate::decision::may_promote;
use crate::event::PgEvent;
use crate::instance::{FAST_SHUTDOWN, Role};
use crate::rare;

const SHUTDOWN: Purpose = Purpose::new("postgres fast shutdown");
const SEEING: Purpose = Purpose::new("postgres operator sees a cordon");

impl Cluster {
    /// Somebody wants another primary: that one, or whoever has most.
    ///
    /// Simplified: a standby that does not stream is refused, although upstream would promote it without
    /// what it lacks; so is everything while the primary cannot be told.
    pub(crate) fn request_switchover(&mut self, port: &mut impl Port, candidate: Option<u8>) {
        let is_told = self.hears(port, self.current);
        let can_be = |ordinal: &u8| {
            is_told
                && self.at(*ordinal).streams_from(self.current)
                && self.is_reporting(port, *ordinal)
        };
        let heir = match candidate {
            Some(ordinal) => Some(ordinal).filter(can_be),
            None => self.candidate(port).filter(can_be),
        };
        match heir {
            Some(heir) if self.is_calm() => self.hand_over(port, Some(heir)),
            _ => {
                port.hit(&rare::HANDOVER_REFUSED);
                let (database, reason) = (self.setup.id, FailoverBlock::NoCandidate);
                port.observe(Observation::FailoverBlocked { database, reason });
            }
        }
        self.refresh(port);
    }

    /// The node under an instance takes no pods any more, or does again.
    pub(crate) fn set_cordoned(&mut self, port: &mut impl Port, ordinal: u8, is_cordoned: bool) {
        if self.at(ordinal).is_cordoned != is_cordoned {
            self.at_mut(ordinal).is_cordoned = is_cordoned;
            self.refresh(port);
        }
    }

    /// Whether a primary takes writes and nobody is to replace it.
    fn is_calm(&self) -> bool {
        self.stage == Stage::Calm && self.target == Target::Current && self.at(self.current).is_open
    }

    /// Whether an instance is a standby that answers the operator.
    fn is_reporting(&self, port: &impl Port, ordinal: u8) -> bool {
        let instance = self.at(ordinal);
        instance.is_running()
            && instance.role == Role::Standby
            && !instance.is_outrun
            && !self.is_frozen(ordinal)
            && !port.is_isolated(instance.zone)
    }

    /// Whether the operator would move the primary off a node that takes no pods: once all instances
    /// are ready and every other one stands on a node that does.
    fn is_to_move(&self, port: &impl Port) -> bool {
        let mut others = self.ordinals().filter(|&ordinal| ordinal != self.current);
        let needs_quorum = self.setup.synchronous.is_some_and(|wish| wish.failover_quorum);
        self.patroni.is_none()
            && self.instances.len() > 1
            && self.at(self.current).is_cordoned
            && self.is_calm()
            && self.has_operator(port)
            && self.hears(port, self.current)
            && self.instances.iter().all(|instance| instance.is_ready)
            && others.all(|other| !self.at(other).is_cordoned)
            && (!needs_quorum || may_promote(self.quorum_view(port)))
    }

    /// Has the operator look at the node of the primary.
    pub(crate) fn review_switchover(&mut self, port: &mut impl Port) {
        if !self.is_to_move(port) {
            port.cancel(self.move_timer);
        } else if !port.is_pending(self.move_timer) {
            let range = port.parameters().watch_latency;
            let span = port.draw(self.setup.key, SEEING, self.failover_count, range);
            let event = PgEvent::SwitchoverDue { database: self.setup.id };
            self.move_timer = port.timer_in(span, event);
        }
    }

    /// The operator has seen that the primary is to move.
    pub(crate) fn switchover_due(&mut self, port: &mut impl Port) {
        if self.is_to_move(port) && self.candidate(port).is_some() {
            self.hand_over(port, None);
        }
        self.refresh(port);
    }

    /// Without an heir the operator chooses one once no standby receives any more.
    pub(crate) fn hand_over(&mut self, port: &mut impl Port, heir: Option<u8>) {
        port.hit(&rare::HANDED_OVER);
        self.heir = heir;
        self.target = Target::Pending;
        self.failover_count += 1;
        let (database, storing_ns) = (self.setup.id, self.time_to_store().as_nanos());
        if let Some(from) = self.at(self.current).pod {
            port.observe(Observation::SwitchoverStarted { database, from, storing_ns });
        }
        self.wait_for_receivers(port);
    }

    /// Who is to be promoted: whoever was named, while it can be; else whoever has most.
    pub(crate) fn next_primary(&self, port: &impl Port) -> Option<u8> {
        let named = self.heir.filter(|&heir| self.is_reporting(port, heir));
        named.or_else(|| self.candidate(port))
    }

    /// How long a primary takes to shut down: its archiver stores what it has, and `switchoverDelay` is
    /// the most that anybody waits.
    pub(crate) fn shutdown_span(&self, port: &impl Port, ordinal: u8) -> SimSpan {
        let span = self.work_span(port, ordinal, SHUTDOWN, FAST_SHUTDOWN);
        let storing = if ordinal == self.current { self.time_to_store() } else { SimSpan::ZERO };
        span.saturating_add(storing).min(self.setup.switchover_delay)
    }

    fn time_to_store(&self) -> SimSpan {
        let storing = self.wal.as_ref().map_or(SimSpan::ZERO, super::wal::Wal::time_to_store);
        storing.min(self.setup.switchover_delay)
    }
}
