//! What the operator does when a primary fails.

use model_api::Observation;
use model_api::observation::FailoverBlock;
use sim_kernel::{Purpose, Timer};

use crate::cluster::{Cluster, Port, Stage, Target};
use crate::databases::{PgNotice, StopKind};
use crate::decision::{Candidate, QuorumView, failover_candidate, may_promote};
use crate::event::PgEvent;
use crate::instance::{Process, REWIND, Role};
use crate::rare;

/// TTL of a primary lease that was released: 1 s (`spec.primaryLease`, 1.30).
const RELEASED_LEASE: sim_kernel::SimSpan = sim_kernel::SimSpan::from_secs(1);

const NOTICING: Purpose = Purpose::new("postgres operator notices");
const PROMOTING: Purpose = Purpose::new("postgres promotion");
const REWINDING: Purpose = Purpose::new("postgres rewind");

impl Cluster {
    /// Whether the operator takes the primary for failed: its pod is not Ready and it does not
    /// report itself as a primary that works. One whose volume is full is not replaced, nor is one that is
    /// fenced, nor one that is made again for an update.
    fn has_failed(&self, port: &impl Port) -> bool {
        let primary = self.at(self.current);
        let is_frozen = self.is_frozen(self.current);
        let is_isolated = port.is_isolated(primary.zone);
        // Whoever waits for its sessions to end lets nobody in, probes and the operator as little as others.
        let is_ending = primary.is_open && primary.is_closing;
        let is_ready = primary.is_ready && (is_isolated || !is_ending);
        let is_reporting = primary.is_open && !is_frozen && !is_ending && !is_isolated;
        let is_excused = primary.is_fenced
            || primary.is_excused
            || self.update.awaits_primary
            || self.is_stopped_by_volume();
        (!is_ready || primary.is_empty) && !is_reporting && !is_excused
    }

    /// Moves a failover on as far as it goes.
    pub(crate) fn review_failover(&mut self, port: &mut impl Port) {
        match self.stage {
            Stage::Calm | Stage::Blocked | Stage::Delay if !self.has_failed(port) => {
                if port.is_pending(self.stage_timer) {
                    port.hit(&rare::PRIMARY_RECOVERED);
                }
                port.cancel(self.stage_timer);
                self.enter(Stage::Calm, Timer::NONE);
            }
            Stage::Calm => self.notice_failure(port),
            Stage::Blocked if !self.has_operator(port) => self.block(port, FailoverBlock::Operator),
            Stage::Blocked if self.blocked == Some(FailoverBlock::Operator) => {
                self.notice_failure(port);
            }
            Stage::Blocked => self.decide(port),
            Stage::Delay => {
                if !self.has_operator(port) {
                    port.cancel(self.stage_timer);
                    self.block(port, FailoverBlock::Operator);
                }
            }
            Stage::Receivers => self.review_receivers(port),
            Stage::Lease => self.review_lease(port),
            Stage::Promoting => {
                if let Target::Instance(candidate) = self.target
                    && !self.at(candidate).is_running()
                {
                    port.hit(&rare::PROMOTION_BROKEN);
                    port.cancel(self.stage_timer);
                    self.enter(Stage::Lease, Timer::NONE);
                }
            }
        }
    }

    fn enter(&mut self, stage: Stage, timer: Timer) {
        self.stage = stage;
        self.stage_timer = timer;
        if stage != Stage::Blocked {
            self.blocked = None;
        }
    }

    fn block(&mut self, port: &mut impl Port, reason: FailoverBlock) {
        if self.blocked != Some(reason) {
            port.hit(match reason {
                FailoverBlock::NoCandidate => &rare::NO_CANDIDATE,
                FailoverBlock::Quorum => &rare::QUORUM_REFUSED,
                FailoverBlock::Operator => &rare::OPERATOR_AWAY,
                FailoverBlock::WalVolume => &rare::VOLUME_FULL,
            });
            let database = self.setup.id;
            port.observe(Observation::FailoverBlocked { database, reason });
        }
        self.stage = Stage::Blocked;
        self.stage_timer = Timer::NONE;
        self.blocked = Some(reason);
    }

    /// The operator sees the failure, or somebody would if it were there.
    fn notice_failure(&mut self, port: &mut impl Port) {
        if !self.has_operator(port) {
            self.block(port, FailoverBlock::Operator);
            return;
        }
        let range = port.parameters().watch_latency;
        let noticing = port.draw(self.setup.key, NOTICING, self.failover_count, range);
        let span = noticing.saturating_add(self.setup.failover_delay);
        let timer = port.timer_in(span, PgEvent::FailoverDue { database: self.setup.id });
        self.enter(Stage::Delay, timer);
    }

    /// The delay is over.
    pub(crate) fn failover_due(&mut self, port: &mut impl Port) {
        self.decide(port);
        self.refresh(port);
    }

    /// Begins a failover if there is somebody to promote, and if that is safe where it must be.
    fn decide(&mut self, port: &mut impl Port) {
        if self.candidate(port).is_none() {
            self.block(port, FailoverBlock::NoCandidate);
            return;
        }
        let needs_quorum = self.setup.synchronous.is_some_and(|wish| wish.failover_quorum);
        if needs_quorum && !may_promote(self.quorum_view(port)) {
            self.block(port, FailoverBlock::Quorum);
            return;
        }
        self.target = Target::Pending;
        self.failover_count += 1;
        if let Some(from) = self.at(self.current).pod {
            port.observe(Observation::FailoverStarted { database: self.setup.id, from });
        }
        self.wait_for_receivers(port);
    }

    pub(crate) fn wait_for_receivers(&mut self, port: &mut impl Port) {
        let at = self.receivers_down_at.max(port.now());
        let timer = port.timer_at(at, PgEvent::ReceiversDown { database: self.setup.id });
        self.enter(Stage::Receivers, timer);
    }

    /// The instances other than the primary as the operator sees them.
    fn candidates(&self, port: &impl Port) -> Vec<Candidate> {
        let others = self.ordinals().filter(|&ordinal| ordinal != self.current);
        others
            .map(|ordinal| {
                let instance = self.at(ordinal);
                Candidate {
                    ordinal,
                    is_reporting: instance.is_running()
                        && instance.role == Role::Standby
                        && !instance.is_stalled
                        && !self.is_frozen(ordinal)
                        && !port.is_isolated(instance.zone),
                    is_ready: instance.is_ready,
                    received: self.received_of(port, ordinal),
                }
            })
            .collect()
    }

    /// How far a standby is: as far as its primary while it streams from one that lives.
    pub(crate) fn received_of(&self, port: &impl Port, ordinal: u8) -> u64 {
        let streams = self.at(ordinal).streams_from(self.current);
        let source = if streams { self.at(self.current) } else { self.at(ordinal) };
        source.mark(port.now()).position_ns
    }

    pub(crate) fn candidate(&self, port: &impl Port) -> Option<u8> {
        failover_candidate(&self.candidates(port))
    }

    /// Simplified: `synchronous_standby_names` lists all instances but the primary.
    pub(crate) fn quorum_view(&self, port: &impl Port) -> QuorumView {
        let candidates = self.candidates(port);
        let promotable = candidates.iter().filter(|one| one.is_reporting && one.is_ready).count();
        let count = |count: usize| u32::try_from(count).expect("at most 255 instances");
        QuorumView {
            promotable_count: count(promotable),
            confirming_count: self.at(self.current).applied_number,
            listed_count: count(candidates.len()),
        }
    }

    /// Waits for the last receiver; without a candidate, for one to come or for the old primary.
    fn review_receivers(&mut self, port: &mut impl Port) {
        let has_candidate = self.candidate(port).is_some();
        let current = self.at(self.current);
        let is_back = current.is_running() && !current.is_open;
        if !has_candidate && is_back && self.hears(port, self.current) {
            port.hit(&rare::PRIMARY_RECOVERED);
            // Simplified: an old primary that returns while nobody else can be promoted goes on.
            port.cancel(self.stage_timer);
            self.target = Target::Current;
            self.heir = None;
            self.set_role(port, self.current, Role::Primary);
            self.enter(Stage::Calm, Timer::NONE);
            return;
        }
        // An heir that was named promotes itself.
        if !self.has_operator(port) && self.heir.is_none() {
            port.cancel(self.stage_timer);
            self.stage_timer = Timer::NONE;
            self.tell_waiting(port, FailoverBlock::Operator);
        } else if !port.is_pending(self.stage_timer) && has_candidate && !self.still_sends() {
            self.wait_for_receivers(port);
        }
    }

    /// A primary that waits for its sessions to end sends its log to whoever streams from it until then.
    fn still_sends(&self) -> bool {
        let primary = self.at(self.current);
        let receives = |ordinal: u8| self.at(ordinal).streams_from(self.current);
        primary.is_open && primary.is_closing && self.ordinals().any(receives)
    }

    /// Tells why a failover that has begun does not go on.
    fn tell_waiting(&mut self, port: &mut impl Port, reason: FailoverBlock) {
        if self.blocked != Some(reason) {
            port.hit(&rare::FAILOVER_STALLED);
            self.blocked = Some(reason);
            let database = self.setup.id;
            port.observe(Observation::FailoverBlocked { database, reason });
        }
    }

    /// No receiver is active any more: the target is chosen.
    pub(crate) fn receivers_down(&mut self, port: &mut impl Port) {
        if port.now() < self.receivers_down_at {
            self.wait_for_receivers(port);
        } else if self.still_sends() {
            self.stage_timer = Timer::NONE;
        } else if let Some(candidate) = self.next_primary(port) {
            self.target = Target::Instance(candidate);
            self.enter(Stage::Lease, Timer::NONE);
        } else {
            self.stage_timer = Timer::NONE;
            self.tell_waiting(port, FailoverBlock::NoCandidate);
        }
        self.refresh(port);
    }

    /// The candidate watches the lease: a released one for a second, an abandoned one for its
    /// whole duration, from when it first looks.
    fn review_lease(&mut self, port: &mut impl Port) {
        let Target::Instance(candidate) = self.target else { return };
        let instance = self.at(candidate);
        if !instance.is_running() || port.is_isolated(instance.zone) {
            port.cancel(self.stage_timer);
            self.stage_timer = Timer::NONE;
            // Whose volumes are gone comes back by another name, whatever its pod says.
            let instance = self.at(candidate);
            let is_gone = !instance.is_ready || instance.is_empty;
            if is_gone && self.has_operator(port) {
                port.hit(&rare::CANDIDATE_DIED);
                self.target = Target::Pending;
                self.wait_for_receivers(port);
            }
        } else if !port.is_api_available() {
            port.cancel(self.stage_timer);
            self.stage_timer = Timer::NONE;
        } else if !port.is_pending(self.stage_timer) {
            let whole = self.setup.lease_duration;
            if !self.is_lease_released {
                port.hit(&rare::LEASE_ABANDONED);
            }
            let span = if self.is_lease_released { RELEASED_LEASE.min(whole) } else { whole };
            self.stage_timer = port.timer_in(span, PgEvent::LeaseFree { database: self.setup.id });
        }
    }

    /// The candidate holds the lease.
    pub(crate) fn lease_free(&mut self, port: &mut impl Port) {
        let range = port.parameters().promotion;
        let span = port.draw(self.setup.key, PROMOTING, self.failover_count, range);
        let timer = port.timer_in(span, PgEvent::PromotionDone { database: self.setup.id });
        self.enter(Stage::Promoting, timer);
        self.refresh(port);
    }

    /// The candidate is primary.
    pub(crate) fn promotion_done(&mut self, port: &mut impl Port) {
        let Target::Instance(promoted) = self.target else { return };
        self.enter(Stage::Calm, Timer::NONE);
        self.heir = None;
        self.replace(port, promoted);
        if let Some(pod) = self.at(promoted).pod {
            port.observe(Observation::PrimaryPromoted { database: self.setup.id, pod });
        }
        self.refresh(port);
    }

    /// A primary that reads in the Cluster object that it is to be replaced shuts down and goes on
    /// as a standby; one that was replaced rewinds what nobody else has.
    pub(crate) fn demote_superseded(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let is_rightful = self.current == ordinal && self.target == Target::Current;
            let instance = self.at(ordinal);
            if is_rightful || !self.hears(port, ordinal) {
                continue;
            }
            if instance.is_open {
                self.demote(port, ordinal);
            } else if instance.is_running() && self.is_superseded(ordinal) {
                // It has recovered in the meantime, and learns only now that it must rewind.
                self.rewind(port, ordinal);
            }
        }
    }

    fn demote(&mut self, port: &mut impl Port, ordinal: u8) {
        let is_replaced = self.current != ordinal;
        let mut span = self.shutdown_span(port, ordinal);
        let kind = if is_replaced { StopKind::Process } else { StopKind::Shutdown };
        if !is_replaced {
            self.store_rest(port, ordinal, self.setup.switchover_delay);
        }
        self.close(port, ordinal, kind);
        if is_replaced {
            port.hit(&rare::REWOUND);
            span += self.work_span(port, ordinal, REWINDING, REWIND);
        } else {
            self.receivers_down_at = self.receivers_down_at.max(port.now() + span);
        }
        self.set_role(port, ordinal, Role::Standby);
        self.work(port, ordinal, span);
    }

    /// Whether an instance that was primary is to follow another one.
    pub(crate) fn is_superseded(&self, ordinal: u8) -> bool {
        self.at(ordinal).role == Role::Primary
            && (self.current != ordinal || matches!(self.target, Target::Instance(_)))
    }

    pub(crate) fn rewind(&mut self, port: &mut impl Port, ordinal: u8) {
        port.hit(&rare::REWOUND);
        let span = self.work_span(port, ordinal, REWINDING, REWIND);
        self.set_role(port, ordinal, Role::Standby);
        self.work(port, ordinal, span);
    }

    /// The rightful primary takes writes as soon as it runs and has made sure, through the API
    /// server, that it holds the lease.
    pub(crate) fn open_current(&mut self, port: &mut impl Port) {
        let (ordinal, primary) = (self.current, self.at(self.current));
        let is_due = self.target == Target::Current
            && primary.is_running()
            && primary.role == Role::Primary
            && !primary.is_open
            && self.hears(port, self.current);
        if is_due {
            let (mark, acknowledged) = (primary.received, primary.acknowledged);
            self.tell_unwritten(port, ordinal);
            self.open(port, ordinal, mark, acknowledged);
            self.is_lease_released = false;
        }
    }

    /// Starts and ends the countdown of primaries that are cut off. The liveness check fails when
    /// neither the API server nor every other instance answers: CloudNativePG 1.27, `pinger.go`
    /// (`ensureInstancesAreReachable`), whatever its documentation says of any one instance.
    pub(crate) fn check_isolation(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let instance = *self.at(ordinal);
            if instance.is_open && instance.is_closing {
                // Nothing takes a shutdown back.
                continue;
            }
            if !instance.is_open || self.is_frozen(ordinal) {
                port.cancel(instance.isolation);
                continue;
            }
            let answers = |other: u8| {
                let peer = self.at(other);
                other == ordinal
                    || peer.pod.is_none()
                    || peer.process != Process::Down
                        && !self.is_frozen(other)
                        && port.is_reachable(instance.zone, peer.zone)
            };
            let is_cut_off = self.setup.has_isolation_check
                && self.instances.len() > 1
                && !port.is_api_reachable(instance.zone)
                && !self.ordinals().all(answers);
            if !is_cut_off {
                port.cancel(instance.isolation);
            } else if !port.is_pending(instance.isolation) {
                let event = PgEvent::IsolationDue { database: self.setup.id, ordinal };
                let span = self.setup.isolation_stop;
                self.at_mut(ordinal).isolation = port.timer_in(span, event);
            }
        }
    }

    /// The liveness probe of an isolated primary failed often enough: its kubelet tells it to end. Sessions go on
    /// for `smartShutdownTimeout`, whatever is cut off or back, because the manager looks at nothing else until
    /// then (`TryShuttingDownSmartFast` of CloudNativePG 1.30, its issue 11280). Its manager starts again
    /// afterwards and waits for the API server.
    pub(crate) fn isolation_due(&mut self, port: &mut impl Port, ordinal: u8) {
        let smart = self.setup.smart_shutdown;
        if !self.at(ordinal).is_closing && !smart.is_zero() {
            port.hit(&rare::ISOLATED_SHUT_DOWN_SMARTLY);
            let event = PgEvent::IsolationDue { database: self.setup.id, ordinal };
            let timer = port.timer_in(smart, event);
            let instance = self.at_mut(ordinal);
            (instance.is_closing, instance.isolation) = (true, timer);
            self.refresh(port);
            return;
        }
        if self.is_frozen(ordinal) {
            // Its manager sees what time it is when it goes on.
            return;
        }
        port.hit(&rare::PRIMARY_STOPPED_ITSELF);
        self.close(port, ordinal, StopKind::Power);
        let instance = self.at_mut(ordinal);
        instance.process = Process::Waiting;
        instance.is_closing = false;
        if let Some(pod) = instance.pod {
            let database = self.setup.id;
            port.notice(PgNotice::InstanceHalted { database, ordinal, pod });
        }
        self.refresh(port);
    }
}
