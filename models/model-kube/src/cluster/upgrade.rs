//! The control plane is upgraded: one member after the other.
//!
//! # Modelled
//! As kubeadm does it, with static pods on each machine: etcd of a member starts anew, then its API
//! server, then its controller manager and scheduler; the next member follows when that API server
//! answers. None is touched while a member of etcd or an API server is down; whoever upgrades begins again
//! when all are back. The one that leads etcd comes last, and its restart costs an election. Until then the
//! others carry etcd's quorum alone: what is lost beside them stops every write. Controllers on machines of
//! their own follow when all API servers are new (the version skew policy has them no newer). A scheduler that
//! ends lets its lease go; a controller manager does not, and somebody has to wait until that runs
//! out. Where machines are replaced instead, a member is away for as long as one boots. Kubelets that
//! are too old for the new version stop an upgrade before it begins, unless it is forced.
//! # Not modelled
//! An etcd on machines of its own (kubeadm leaves it alone). Kubelets of the control plane's own
//! machines. Migrations of stored objects, removed
//! APIs, a version that fails. A downgrade: nothing supports it.
//! # Defaults and their sources
//! `cmd/kubeadm/app/phases/upgrade/staticpods.go` (order of a machine's pods), `policy.go`
//! (`EnforceVersionPolicies`: no minor version is skipped, kubelets that are too old need `--force`),
//! `health.go` (`ControlPlaneNodesReady`) and `performEtcdStaticPodUpgrade` (etcd has to be healthy first),
//! 1.36; etcd documentation, "Upgrade etcd": one member at a time. `cmd/kube-scheduler/app/server.go`
//! (`ReleaseOnCancel`).
//! # Invariants
//! At most one member is away because of an upgrade.
//! # Checked against
//! Timelines worked out by hand.

use model_api::action::ControlPlaneUpgrade;
use model_api::control_plane::MemberPart;
use model_api::kube::{Skew, Version};
use model_api::{NodeId, Observation};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::{Cluster, KubeEvent, Notice, priority};
use crate::rare;

const ETCD_START: Purpose = Purpose::new("etcd starts");

/// From the end of etcd's old process until the new one has read its data and follows.
///
/// Simplified: etcd starts within 2 to 10 s (**Assumption**), drawn; it grows with the database.
const ETCD_START_LEAST: SimSpan = SimSpan::from_secs(2);
const ETCD_START_MOST: SimSpan = SimSpan::from_secs(10);

/// What the member that an upgrade is at waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its machine.
    Machine,
    /// Its etcd.
    Etcd,
    /// Its API server.
    Api,
    /// Its etcd or API server, which somebody else keeps down.
    Answer,
    /// Other members: none is touched while one of them does not answer.
    Others,
}

/// An upgrade that is on.
#[derive(Clone, Debug)]
pub(super) struct Upgrade {
    spec: ControlPlaneUpgrade,
    left: Vec<usize>,
    member: usize,
    phase: Phase,
    /// Its machine was rebooted for the upgrade.
    is_rebooted: bool,
    timer: Timer,
}

/// Versions, as far as they are stated.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    members: Vec<Option<Version>>,
    nodes: Vec<Option<Version>>,
}

impl Versions {
    pub(super) fn of(blueprint: &model_api::Blueprint) -> Self {
        let control_plane = &blueprint.control_plane;
        Self {
            members: (0..control_plane.zones().count())
                .map(|member| control_plane.version.filter(|_| control_plane.has_server(member)))
                .collect(),
            nodes: blueprint.nodes.iter().map(|node| node.version).collect(),
        }
    }

    /// The oldest API server.
    fn oldest(&self) -> Option<Version> {
        self.members.iter().flatten().min().copied()
    }
}

impl Cluster {
    /// Upgrades the control plane, member by member. Ends with [`Notice::UpgradeEnded`].
    /// Whether it began: it must not when another one is on, when the control plane is somebody
    /// else's, or when versions do not go together.
    pub fn upgrade_control_plane<E, R>(
        &mut self,
        spec: ControlPlaneUpgrade,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.member_count() == 0 || self.upgrade.is_some() || !self.may_become(spec.to) {
            return false;
        }
        if let Some(node) = self.node_behind(spec.to).filter(|_| !spec.forces) {
            ctx.hit(&rare::UPGRADE_REFUSED);
            ctx.observe(|| Observation::UpgradeRefused { node });
            return false;
        }
        self.upgrade = Some(Upgrade {
            spec,
            left: (0..self.member_count())
                .filter(|it| self.has_part(*it, MemberPart::ApiServer) || self.is_apart(*it))
                .collect(),
            member: 0,
            phase: Phase::Machine,
            is_rebooted: false,
            timer: Timer::NONE,
        });
        self.upgrade_next_member(ctx);
        self.settle(ctx);
        true
    }

    /// Whether a member runs a controller manager or a scheduler and nothing else.
    fn is_apart(&self, member: usize) -> bool {
        let table = &self.tables.members[member];
        !table.has_server && table.runs.contains(&true)
    }

    /// Whether all members may go to a version.
    fn may_become(&self, to: Option<Version>) -> bool {
        to.is_none_or(|to| self.versions.oldest().is_none_or(|from| from.may_become(to)))
    }

    /// A node whose kubelet is too old for API servers of a version.
    fn node_behind(&self, to: Option<Version>) -> Option<NodeId> {
        let to = to?;
        let is_too_old = |node: &NodeId| {
            let version = self.versions.nodes[node.index()];
            let skew = version.and_then(|it| it.kubelet_skew(to));
            self.node_exists(*node) && skew == Some(Skew::TooOld)
        };
        (0..self.nodes.len()).map(NodeId::from_index).find(is_too_old)
    }

    /// The version of the kubelet of a node, if it was stated.
    pub fn kubelet_version(&self, node: NodeId) -> Option<Version> {
        self.versions.nodes[node.index()]
    }

    /// A node boots with the kubelet that fits the control plane.
    pub(super) fn note_new_kubelet(&mut self, node: NodeId) {
        if self.versions.nodes[node.index()].is_some() {
            self.versions.nodes[node.index()] = self.versions.oldest();
        }
    }

    /// Goes on with the next member: followers of etcd first, in order.
    fn upgrade_next_member<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let leader = self.etcd_leader();
        let tables = self.tables.clone();
        let unwell = (0..self.member_count()).find(|member| !self.is_member_well(*member));
        let Some(upgrade) = &mut self.upgrade else { return };
        if let Some(unwell) = unwell.filter(|_| !upgrade.left.is_empty()) {
            if std::mem::replace(&mut upgrade.phase, Phase::Others) != Phase::Others {
                ctx.hit(&rare::UPGRADE_WAITED);
                let member = u32::try_from(unwell).expect("members are few");
                ctx.observe(|| Observation::UpgradeWaits { member });
            }
            return;
        }
        let is_server = |member: &usize| tables.members[*member].has_server;
        let server_count = upgrade.left.iter().filter(|it| is_server(it)).count();
        let mut next = upgrade.left.iter().take(server_count.max(1));
        let follower = next.position(|member| Some(*member) != leader);
        if upgrade.left.is_empty() {
            self.upgrade = None;
            self.notify(Notice::UpgradeEnded);
            return;
        }
        upgrade.member = upgrade.left.remove(follower.unwrap_or(0));
        (upgrade.phase, upgrade.is_rebooted) = (Phase::Machine, false);
        let (member, reboots) = (upgrade.member, upgrade.spec.reboots);
        let number = u32::try_from(member).expect("members are few");
        ctx.observe(|| Observation::MemberUpgradeStarted { member: number });
        // One that is down already is upgraded when it is back.
        if reboots && self.control_plane.is_up(member) {
            self.upgrade.as_mut().expect("it is on").is_rebooted = true;
            self.leave_for_boot(member, ctx);
        }
        self.go_on_with_upgrade(ctx);
    }

    /// The machine of a member may be there again.
    pub(super) fn note_members_for_upgrade<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(upgrade) = &self.upgrade else { return };
        match upgrade.phase {
            Phase::Machine => self.go_on_with_upgrade(ctx),
            Phase::Answer if self.is_member_well(upgrade.member) => self.go_on_with_upgrade(ctx),
            Phase::Others => self.upgrade_next_member(ctx),
            Phase::Answer | Phase::Etcd | Phase::Api => {}
        }
    }

    /// Whether all of a member answers that has a part in the API: its etcd and its server.
    fn is_member_well(&self, member: usize) -> bool {
        [MemberPart::Etcd, MemberPart::ApiServer]
            .into_iter()
            .all(|part| !self.has_part(member, part) || self.is_part_up(member, part))
    }

    /// Takes the next step with the member that the upgrade is at, if its machine runs.
    fn go_on_with_upgrade<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(upgrade) = &mut self.upgrade else { return };
        let member = upgrade.member;
        if !self.control_plane.is_up(member) {
            upgrade.phase = Phase::Machine;
            return;
        }
        let is_new = upgrade.is_rebooted;
        if upgrade.phase == Phase::Machine && !is_new {
            upgrade.phase = Phase::Etcd;
            let (key, occurrence) = self.start_of(member);
            let draw = self.draw(key, ETCD_START, occurrence);
            let is_apart = self.is_apart(member);
            let span = if is_apart {
                SimSpan::ZERO
            } else {
                draw.span_between(ETCD_START_LEAST, ETCD_START_MOST)
            };
            self.stop_processes(member, ctx);
            self.await_upgrade(ctx.now() + span, ctx);
            return;
        }
        // A machine that booted has started everything anew.
        if upgrade.phase == Phase::Etcd {
            self.start_processes(member, ctx);
        }
        let ready_at = self.control_plane.api_ready_at(member).max(ctx.now());
        self.upgrade.as_mut().expect("it is on").phase = Phase::Api;
        self.await_upgrade(ready_at, ctx);
    }

    fn await_upgrade<E, R>(&mut self, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(upgrade) = &mut self.upgrade else { return };
        ctx.cancel(upgrade.timer);
        upgrade.timer = ctx.timer_at(at, priority::CONTROL_PLANE, KubeEvent::UpgradeDue);
    }

    pub(super) fn on_upgrade_due<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(upgrade) = &self.upgrade else { return };
        let (member, spec) = (upgrade.member, upgrade.spec);
        let is_well = self.is_member_well(member);
        let Some(upgrade) = &mut self.upgrade else { return };
        match upgrade.phase {
            // Its machine stopped meanwhile.
            Phase::Machine | Phase::Answer | Phase::Others => {}
            Phase::Etcd => self.go_on_with_upgrade(ctx),
            Phase::Api if !self.control_plane.is_up(member) => upgrade.phase = Phase::Machine,
            // It was started anew meanwhile.
            Phase::Api if self.control_plane.api_ready_at(member) > ctx.now() => {
                let at = self.control_plane.api_ready_at(member);
                self.await_upgrade(at, ctx);
            }
            Phase::Api if !is_well => upgrade.phase = Phase::Answer,
            Phase::Api => {
                let number = u32::try_from(member).expect("members are few");
                ctx.observe(|| Observation::MemberUpgraded { member: number });
                if spec.to.is_some() && self.versions.members[member].is_some() {
                    self.versions.members[member] = spec.to;
                }
                self.upgrade_next_member(ctx);
            }
        }
    }
}
