//! Rolling update: a change that needs a restart comes to one instance after the other.
//!
//! Another image, or another pod template, needs new pods; a change of parameters that PostgreSQL reads at its
//! start needs a restart. Standbys come first, each by a new pod, whichever it is, and only while
//! all instances are ready. The primary is last: it restarts in its pod where that is enough, or its pod
//! is made again while nobody takes over, or a standby takes over first and it follows as a standby, or
//! somebody has to say so.
//!
//! A pod that is deleted, and a restart, begin with a smart shutdown: no session may begin, those that
//! there are go on. Applications and poolers keep their sessions, so that a primary writes on until
//! `smartShutdownTimeout` is over, and is then shut down fast.
//!
//! Source: CloudNativePG 1.30, `rolloutRequiredInstances` and `updatePrimaryPod` of
//! `internal/controller/cluster_upgrade.go`; `handleSwitchover` of `cluster_controller.go`, which leaves a
//! primary alone in phase `PhaseInplaceDeletePrimaryRestart` until all instances are ready;
//! `TryShuttingDownSmartFast` of `pkg/management/postgres/instance.go`.
//!
//! Simplified: the operator does not pause between clusters or instances (`CLUSTERS_ROLLOUT_DELAY`,
//! `INSTANCES_ROLLOUT_DELAY`, both zero by default); nobody reads from standbys when those shut down.

use model_api::Observation;
use model_api::blueprint::PrimaryUpdate;
use model_api::observation::InstanceUpdate;
use sim_kernel::{Purpose, Timer};

use crate::cluster::{Cluster, Port, Stage, Target};
use crate::databases::{PgNotice, StopKind};
use crate::event::PgEvent;
use crate::rare;

const LOOKING: Purpose = Purpose::new("postgres operator looks at an update");

/// What an instance needs to be as its cluster says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lack {
    /// Nothing.
    #[default]
    Nothing,
    /// PostgreSQL needs a restart, which a primary may have in its pod.
    Restart,
    /// Its pod has to be made again.
    Pod,
}

/// How far the update of a cluster is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Update {
    /// The pod of the primary is made again: nobody is promoted until all instances are ready.
    pub(crate) awaits_primary: bool,
    /// It was told that somebody has to hand over.
    is_user_told: bool,
    timer: Timer,
    restart: Timer,
    count: u32,
}

/// An instance as the operator looks at it for an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateView {
    /// Its number in the cluster.
    pub ordinal: u8,
    /// It needs a restart or a new pod.
    pub is_outdated: bool,
    /// PostgreSQL is kept off on purpose: it is left out.
    pub is_fenced: bool,
    /// How far it has received; larger is more.
    pub received: u64,
    /// It streams from the primary.
    pub is_streaming: bool,
}

/// What the operator does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateStep {
    /// The pod of this instance is deleted.
    Replace(u8),
    /// PostgreSQL of the primary restarts in its pod.
    RestartInPlace,
    /// This standby takes over first.
    HandOver(u8),
    /// Whoever would take over does not stream: it looks again later.
    WaitForStream,
    /// Somebody has to hand over.
    WaitForUser,
}

/// The next step of an update, of a cluster whose instances are all ready; `None` when nothing is left.
/// A restart is all that the primary needs where it `is_in_place`.
///
/// Standbys: the one that received least first, of equals the last by name.
pub fn next_update(
    primary: UpdateView,
    standbys: &[UpdateView],
    policy: PrimaryUpdate,
    is_in_place: bool,
) -> Option<UpdateStep> {
    let outdated = standbys.iter().filter(|it| it.is_outdated && !it.is_fenced);
    let order = |it: &&UpdateView| (std::cmp::Reverse(it.received), it.ordinal);
    if let Some(standby) = outdated.max_by_key(order) {
        return Some(UpdateStep::Replace(standby.ordinal));
    }
    if !primary.is_outdated || primary.is_fenced {
        return None;
    }
    if policy.is_supervised {
        return Some(UpdateStep::WaitForUser);
    }
    if !policy.hands_over {
        let replace = UpdateStep::Replace(primary.ordinal);
        return Some(if is_in_place { UpdateStep::RestartInPlace } else { replace });
    }
    Some(match standbys.iter().min_by_key(order) {
        None => UpdateStep::Replace(primary.ordinal),
        Some(first) if first.is_streaming => UpdateStep::HandOver(first.ordinal),
        Some(_) => UpdateStep::WaitForStream,
    })
}

impl Cluster {
    /// The template of the instances is another one.
    pub(crate) const fn begin_update(&mut self) {
        self.update.is_user_told = false;
    }

    /// What the pod of an instance is short of by the newest template.
    pub(crate) fn set_lack(&mut self, port: &mut impl Port, ordinal: u8, lack: Lack) {
        if self.patroni.is_none() && self.at(ordinal).lack != lack {
            self.at_mut(ordinal).lack = lack;
            self.refresh(port);
        }
    }

    /// The operator goes on with an update while a primary takes writes, nobody is to replace it and all
    /// instances are ready.
    fn may_update(&self, port: &impl Port) -> bool {
        let is_settled = |ordinal: u8| {
            let instance = self.at(ordinal);
            instance.is_ready
                && !instance.is_leaving
                && (instance.is_running() || instance.is_fenced)
                && self.hears(port, ordinal)
        };
        self.stage == Stage::Calm
            && self.target == Target::Current
            && self.has_operator(port)
            && self.ordinals().all(is_settled)
    }

    fn update_view(&self, port: &impl Port, ordinal: u8) -> UpdateView {
        let instance = self.at(ordinal);
        UpdateView {
            ordinal,
            is_outdated: instance.lack != Lack::Nothing,
            is_fenced: instance.is_fenced,
            received: self.received_of(port, ordinal),
            is_streaming: instance.streams_from(self.current),
        }
    }

    fn next_step(&self, port: &impl Port) -> Option<UpdateStep> {
        let others = self.ordinals().filter(|&ordinal| ordinal != self.current);
        let standbys: Vec<UpdateView> =
            others.map(|ordinal| self.update_view(port, ordinal)).collect();
        let primary = self.update_view(port, self.current);
        let is_in_place = self.at(self.current).lack != Lack::Pod;
        next_update(primary, &standbys, self.setup.primary_update, is_in_place)
    }

    /// Has the operator look at what is left of an update.
    pub(crate) fn review_update(&mut self, port: &mut impl Port) {
        if self.update.awaits_primary
            && self.instances.iter().all(|it| it.is_ready && !it.is_leaving)
            && self.at(self.current).is_running()
        {
            self.update.awaits_primary = false;
        }
        let is_due = self.instances.iter().any(|instance| instance.lack != Lack::Nothing)
            && !port.is_pending(self.update.restart)
            && self.may_update(port);
        if !is_due {
            port.cancel(self.update.timer);
        } else if !port.is_pending(self.update.timer) {
            let range = port.parameters().watch_latency;
            let span = port.draw(self.setup.key, LOOKING, self.update.count, range);
            self.update.count += 1;
            let event = PgEvent::UpdateDue { database: self.setup.id };
            self.update.timer = port.timer_in(span, event);
        }
    }

    /// The operator looks at what is left of an update.
    pub(crate) fn update_due(&mut self, port: &mut impl Port) {
        self.update.timer = Timer::NONE;
        if !self.may_update(port) {
            self.refresh(port);
            return;
        }
        match self.next_step(port) {
            // Whatever changes next, it looks again.
            None | Some(UpdateStep::WaitForStream) => return,
            Some(UpdateStep::Replace(ordinal)) => self.replace_pod(port, ordinal),
            Some(UpdateStep::RestartInPlace) => {
                port.hit(&rare::PRIMARY_RESTARTED);
                self.tell_update(port, self.current, InstanceUpdate::PrimaryRestarted);
                let event = PgEvent::RestartDue { database: self.setup.id };
                self.update.restart = port.timer_in(self.setup.smart_shutdown, event);
            }
            Some(UpdateStep::HandOver(heir)) => self.hand_over(port, Some(heir)),
            Some(UpdateStep::WaitForUser) => {
                if !std::mem::replace(&mut self.update.is_user_told, true) {
                    port.hit(&rare::UPDATE_WAITS);
                    self.tell_update(port, self.current, InstanceUpdate::WaitsForUser);
                }
                return;
            }
        }
        self.refresh(port);
    }

    fn replace_pod(&mut self, port: &mut impl Port, ordinal: u8) {
        let Some(pod) = self.at(ordinal).pod else { return };
        let is_primary = ordinal == self.current;
        self.at_mut(ordinal).is_leaving = true;
        let how = if is_primary {
            port.hit(&rare::PRIMARY_REPLACED);
            self.update.awaits_primary = true;
            InstanceUpdate::PrimaryReplaced
        } else {
            InstanceUpdate::StandbyReplaced
        };
        self.tell_update(port, ordinal, how);
        port.notice(PgNotice::ReplacePod { database: self.setup.id, ordinal, pod });
    }

    fn tell_update(&self, port: &mut impl Port, ordinal: u8, how: InstanceUpdate) {
        if let Some(pod) = self.at(ordinal).pod {
            port.observe(Observation::InstanceUpdated { database: self.setup.id, pod, how });
        }
    }

    /// The sessions of a primary that restarts in its pod had their time: it is shut down fast, and
    /// starts again. What has begun goes on when the template changes once more; the pod is then still
    /// outdated, and made again after that.
    pub(crate) fn restart_due(&mut self, port: &mut impl Port) {
        self.update.restart = Timer::NONE;
        let ordinal = self.current;
        // What happened meanwhile may have ended or replaced it; then it is looked at anew.
        let lack = self.at(ordinal).lack;
        if self.at(ordinal).is_open && lack != Lack::Nothing && self.hears(port, ordinal) {
            let span = self.shutdown_span(port, ordinal);
            let start = self.recovery_span(port, ordinal);
            self.close(port, ordinal, StopKind::Shutdown);
            self.work(port, ordinal, span.saturating_add(start));
            let instance = self.at_mut(ordinal);
            instance.is_excused = true;
            if lack == Lack::Restart {
                instance.lack = Lack::Nothing;
            }
            if let Some(pod) = instance.pod.filter(|_| lack == Lack::Restart) {
                let database = self.setup.id;
                port.notice(PgNotice::InstanceRestarted { database, ordinal, pod });
            }
        }
        self.refresh(port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instance 0 is primary. Of each instance: outdated, fenced, received, streams.
    fn step(
        instances: &[(bool, bool, u64, bool)],
        (is_supervised, hands_over): (bool, bool),
        is_in_place: bool,
    ) -> Option<UpdateStep> {
        let view = |(ordinal, &(is_outdated, is_fenced, received, is_streaming))| UpdateView {
            ordinal,
            is_outdated,
            is_fenced,
            received,
            is_streaming,
        };
        let views: Vec<UpdateView> = (0..).zip(instances).map(view).collect();
        let policy = PrimaryUpdate { is_supervised, hands_over };
        next_update(views[0], &views[1..], policy, is_in_place)
    }

    #[test]
    fn standbys_come_first_and_the_primary_as_its_policy_says() {
        use UpdateStep::{HandOver, Replace, RestartInPlace, WaitForStream, WaitForUser};
        let (old, new) = ((true, false, 9, true), (false, false, 9, true));
        let (behind, fenced) = ((true, false, 7, true), (true, true, 9, true));
        let cut_off = (false, false, 9, false);
        let (restart, switchover, supervised) = ((false, false), (false, true), (true, true));
        let cases: &[(&[_], _, bool, Option<UpdateStep>)] = &[
            (&[new, new, new], restart, false, None),
            (&[old, old, old], restart, false, Some(Replace(2))),
            (&[old, behind, old], restart, false, Some(Replace(1))),
            (&[old, old, new], supervised, true, Some(Replace(1))),
            (&[old, new, fenced], restart, false, Some(Replace(0))),
            (&[old, new, new], restart, true, Some(RestartInPlace)),
            (&[old, new, new], switchover, true, Some(HandOver(1))),
            (&[old, cut_off, cut_off], switchover, true, Some(WaitForStream)),
            (&[old, new, new], supervised, false, Some(WaitForUser)),
            (&[old], switchover, true, Some(Replace(0))),
            (&[fenced, new, new], restart, false, None),
        ];
        for (instances, policy, is_in_place, expected) in cases {
            assert_eq!(step(instances, *policy, *is_in_place), *expected, "{instances:?}");
        }
    }
}
