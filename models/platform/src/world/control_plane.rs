//! Faults of the control plane and of registries: how they strike and end.

use model_api::control_plane::MemberPart;
use model_api::fault::{ControlPlaneFault, Fault, FaultKind, Leading, MemberPick};
use model_api::{FaultId, Observation};
use model_kube::cluster::Component;
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;
use crate::fault::{MemberSet, Struck, pick_some, pick_zone};
use crate::rare;

impl World {
    /// Lets a fault strike; what it struck, and how many things that were.
    pub(super) fn strike_control_plane<R: Recorder<Observation>>(
        &mut self,
        id: FaultId,
        fault: &Fault,
        kind: &ControlPlaneFault,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        match kind {
            ControlPlaneFault::MemberLoss { zone, count } => {
                let zone = zone.map(|pick| pick_zone(fault, pick, &self.blueprint, self.streams));
                let members = 0..self.cluster.member_count().min(MemberSet::LEN_MAX);
                let is_in = |member: &usize| {
                    zone.is_none_or(|zone| zone == self.cluster.zone_of_member(*member))
                };
                let members: Vec<usize> = members.filter(is_in).collect();
                let picked = pick_some(fault, &members, *count, self.streams);
                let running = picked.iter().filter(|member| self.cluster.is_member_up(**member));
                let targets = u32::try_from(running.count()).expect("members are few");
                for member in &picked {
                    self.cluster.set_member_power(*member, false, ctx);
                }
                (Struck::Members(MemberSet::of(&picked)), targets)
            }
            ControlPlaneFault::MemberDown { part, pick } => {
                let picked = self.pick_members(fault, *part, *pick);
                let running = picked.iter().filter(|it| self.cluster.is_part_up(**it, *part));
                let targets = u32::try_from(running.count()).expect("members are few");
                for member in &picked {
                    self.cluster.set_part(*member, *part, false, ctx);
                }
                (Struck::Parts(*part, MemberSet::of(&picked)), targets)
            }
            ControlPlaneFault::SlowDisk { pick, latency } => {
                let picked = self.pick_members(fault, MemberPart::Etcd, *pick);
                for member in &picked {
                    let others = self.book.flush_of(&self.plan, *member);
                    self.cluster.set_flush(*member, others + *latency, ctx);
                }
                let targets = u32::try_from(picked.len()).expect("members are few");
                (Struck::Flushes(id, MemberSet::of(&picked)), targets)
            }
            ControlPlaneFault::ApiBalancerOutage => {
                let is_there = self.cluster.set_api_balancer(false, ctx);
                (Struck::ApiBalancer, u32::from(is_there))
            }
            ControlPlaneFault::LeaderKill(leading) => {
                let was_led = match leading {
                    Leading::ControllerManager => {
                        self.cluster.kill_leader(Component::ControllerManager, ctx)
                    }
                    Leading::Scheduler => self.cluster.kill_leader(Component::Scheduler, ctx),
                    Leading::Etcd => self.cluster.kill_etcd_leader(ctx),
                };
                (Struck::Nothing, u32::from(was_led))
            }
            ControlPlaneFault::ApiOutage => {
                let targets = u32::from(self.cluster.is_api_available());
                self.cluster.set_api_available(false, ctx);
                (Struck::Api, targets)
            }
            ControlPlaneFault::CloudApiOutage => {
                (Struck::Cloud, u32::from(self.set_cloud_available(false, ctx)))
            }
            ControlPlaneFault::ApiFlood(flood) => {
                let targets = u32::from(self.cluster.is_api_available());
                (Struck::Strain(self.cluster.start_flood(*flood, ctx)), targets)
            }
            ControlPlaneFault::SlowApi { latency } => {
                let targets = u32::from(self.cluster.is_api_available());
                (Struck::Strain(self.cluster.slow_api(*latency, ctx)), targets)
            }
            ControlPlaneFault::WebhookOutage { name } => {
                (Struck::Webhook(id), self.cluster.set_webhook_answers(name, false, ctx))
            }
            ControlPlaneFault::VaultSealed { vault } => {
                self.cluster.set_vault_sealed(*vault, true, ctx);
                (Struck::Vault(*vault), 1)
            }
            ControlPlaneFault::ConfigurationDeleted { kind, namespace, name } => {
                let named = (*kind, namespace.as_str(), name.as_str());
                let targets = self.cluster.set_configuration(named, false, ctx);
                (Struck::Configuration(id), targets)
            }
            ControlPlaneFault::RegistryOutage { host } => {
                let targets = self.cluster.set_registry_available(host.as_deref(), false, ctx);
                (Struck::Registries(id), targets)
            }
        }
    }

    /// Says whether the control plane of the cloud answers from now on; returns whether it did.
    fn set_cloud_available<R: Recorder<Observation>>(
        &mut self,
        is_available: bool,
        ctx: &mut Context<'_, Event, R>,
    ) -> bool {
        let was_available = self.cluster.set_cloud_available(is_available, ctx);
        self.gateways.balancers.set_cloud_available(is_available, ctx);
        // Which nodes are members is written by the controller of the cloud.
        self.tell_balancers_nodes(ctx);
        was_available
    }

    /// The members that a fault about one of their processes hits.
    fn pick_members(&self, fault: &Fault, part: MemberPart, pick: MemberPick) -> Vec<usize> {
        let zone = pick.zone.map(|zone| pick_zone(fault, zone, &self.blueprint, self.streams));
        let leader = self.cluster.etcd_leader();
        let is_in = |member: &usize| {
            self.cluster.has_part(*member, part)
                && zone.is_none_or(|zone| zone == self.cluster.zone_of_member(*member))
                && pick.leads.is_none_or(|leads| leads == (leader == Some(*member)))
        };
        let members = 0..self.cluster.member_count().min(MemberSet::LEN_MAX);
        let members: Vec<usize> = members.filter(is_in).collect();
        pick_some(fault, &members, Some(pick.count), self.streams)
    }

    /// Undoes what a fault did, unless another one that is not over does the same (`is_struck`).
    pub(super) fn mend_control_plane<R: Recorder<Observation>>(
        &mut self,
        struck: Struck,
        is_struck: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        match struck {
            Struck::Members(members) => {
                for member in members.iter() {
                    if self.book.is_held(self.cluster.node_of_member(member), Some(member)) {
                        ctx.hit(&rare::OVERLAPPED);
                    } else {
                        self.cluster.set_member_power(member, true, ctx);
                    }
                }
            }
            Struck::Parts(part, members) => {
                for member in members.iter() {
                    if self.book.is_part_held(part, member) {
                        ctx.hit(&rare::OVERLAPPED);
                    } else {
                        self.cluster.set_part(member, part, true, ctx);
                    }
                }
            }
            Struck::Flushes(_, members) => {
                for member in members.iter() {
                    let others = self.book.flush_of(&self.plan, member);
                    self.cluster.set_flush(member, others, ctx);
                }
            }
            Struck::Api | Struck::ApiBalancer | Struck::Cloud if is_struck => {
                ctx.hit(&rare::OVERLAPPED)
            }
            Struck::ApiBalancer => {
                self.cluster.set_api_balancer(true, ctx);
            }
            Struck::Api => self.cluster.set_api_available(true, ctx),
            Struck::Cloud => {
                self.set_cloud_available(true, ctx);
            }
            Struck::Strain(strain) => self.cluster.end_strain(strain, ctx),
            Struck::Vault(vault) => self.cluster.set_vault_sealed(vault, false, ctx),
            Struck::Configuration(fault) => self.give_configuration_back(fault, ctx),
            Struck::Registries(fault) | Struck::Webhook(fault) => {
                self.set_answers_of(fault, true, ctx);
                let others = self.book.struck.iter().flatten().copied();
                let others: Vec<Struck> = others.collect();
                for other in others {
                    if let Struck::Registries(other) | Struck::Webhook(other) = other {
                        self.set_answers_of(other, false, ctx);
                    }
                }
            }
            _ => {}
        }
    }

    fn give_configuration_back<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let plan = self.plan.clone();
        if let FaultKind::ControlPlane(ControlPlaneFault::ConfigurationDeleted {
            kind,
            namespace,
            name,
        }) = &plan.faults[fault.index()].kind
        {
            self.cluster.set_configuration((*kind, namespace, name), true, ctx);
        }
    }

    fn set_answers_of<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        is_available: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let plan = self.plan.clone();
        match &plan.faults[fault.index()].kind {
            FaultKind::ControlPlane(ControlPlaneFault::RegistryOutage { host }) => {
                self.cluster.set_registry_available(host.as_deref(), is_available, ctx);
            }
            FaultKind::ControlPlane(ControlPlaneFault::WebhookOutage { name }) => {
                self.cluster.set_webhook_answers(name, is_available, ctx);
            }
            _ => {}
        }
    }
}
