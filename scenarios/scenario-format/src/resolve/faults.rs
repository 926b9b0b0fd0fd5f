//! Faults: what they hit and when they start.

mod control_plane;
mod freeze;
mod instance;
mod paused;

use std::collections::BTreeMap;

use model_api::backup::DataSetKind;
use model_api::blueprint::NodeSpec;
use model_api::dns::DnsFault;
use model_api::fault::{Condition, DataFault, Fault, FaultKind, NodePick, Start, ZonePick};
use model_api::machines::ShutdownGrace;
use model_api::{DataSetId, FaultId, NodeId, ServiceId, SimSpan, ZoneId};

use super::Resolver;
use super::nodes::unknown_zone;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    ConditionSpec, EtcdDataLossSpec, FaultSpec, LoadSpikeSpec, LogicalLossSpec, NodeCrashSpec,
    StartKeys,
};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};

pub(super) use freeze::freeze;

impl Resolver<'_> {
    pub(super) fn faults(&mut self, specs: &[FaultSpec]) -> Vec<Fault> {
        let names = self.fault_names(specs);
        self.names.faults.clone_from(&names);
        let mut faults = Vec::new();
        for (idx, spec) in specs.iter().enumerate() {
            let keys = spec.start_keys();
            let kind = self.fault_kind(spec);
            self.question_fault(spec);
            if let (Some(duration), Some(why)) = (keys.duration, spec.why_endless()) {
                self.refuse_end(spec, duration, why);
            }
            let start = self.start(spec, keys, &names);
            let (Some(kind), Some(start)) = (kind, start) else { continue };
            let duration = keys.duration.map(|duration| duration.value);
            let origin = spec.span().origin();
            faults.push(Fault { name: names[idx].clone(), kind, start, duration, origin });
        }
        if faults.len() == specs.len() {
            self.refuse_circular_waits(&faults, specs);
            self.check_upgrades(&faults, specs);
            self.question_paused_rollouts(&faults, specs);
        }
        faults
    }

    /// Where no control plane is frozen, `for` of what takes a moment says nothing.
    pub(super) fn refuse_ends_of_moments(&mut self, specs: &[FaultSpec]) {
        for spec in specs {
            if let (Some(duration), Some(why)) = (spec.start_keys().duration, spec.why_momentary())
            {
                self.refuse_end(spec, duration, why);
            }
        }
    }

    fn refuse_end(&mut self, spec: &FaultSpec, duration: &Spanned<SimSpan>, why: &str) {
        let message = format!("{} does not end: {why}", spec.kind());
        let diagnostic = Diagnostic::new(Code::E0017, duration.span, message);
        self.diagnostics.push(diagnostic.help("leave `for` out"));
    }

    fn fault_names(&mut self, specs: &[FaultSpec]) -> Vec<String> {
        let mut first: BTreeMap<String, Span> = BTreeMap::new();
        let mut names = Vec::new();
        for (idx, spec) in specs.iter().enumerate() {
            let (name, span) = match spec.start_keys().name {
                Some(name) => (name.value.clone(), name.span),
                None => (format!("{} {}", spec.kind(), idx + 1), spec.span()),
            };
            if let Some(earlier) = first.insert(name.clone(), span) {
                let message = format!("there is a fault `{name}` already");
                let diagnostic = Diagnostic::new(Code::E0018, span, message);
                self.diagnostics.push(diagnostic.related(earlier, "first here"));
            }
            names.push(name);
        }
        names
    }

    fn fault_kind(&mut self, spec: &FaultSpec) -> Option<FaultKind> {
        Some(match spec {
            FaultSpec::ZonePowerLoss(spec) => {
                FaultKind::ZonePowerLoss { zone: self.zone_pick(&spec.zone)? }
            }
            FaultSpec::ZoneIsolation(spec) => {
                FaultKind::ZoneIsolation { zone: self.zone_pick(&spec.zone)? }
            }
            FaultSpec::NodeCrash(spec) => FaultKind::NodeCrash { node: self.node_pick(spec)? },
            FaultSpec::NodeShutdown(spec) => {
                let node = self.node_pick(spec)?;
                self.check_shutdown(spec, node);
                FaultKind::NodeShutdown { node }
            }
            FaultSpec::PodCrash(spec) => FaultKind::PodCrash {
                workload: self.workload(&spec.workload)?,
                count: spec.count.map(|count| count.value),
            },
            FaultSpec::MemoryLeak(spec) => self.memory_leak(spec)?,
            FaultSpec::DiskLeak(spec) => self.disk_leak(spec)?,
            FaultSpec::ProcessLeak(spec) => self.process_leak(spec)?,
            FaultSpec::NoCapacity(spec) => {
                let zone = self.zone_pick(&spec.zone)?;
                if self.blueprint.node_groups.is_empty() {
                    let message = "no node pool has `autoscaling`, so nobody asks for machines";
                    self.report(Code::W0129, spec.zone.span, message);
                }
                FaultKind::NoCapacity { zone, is_refused: spec.refuses.unwrap_or(false) }
            }
            FaultSpec::LoadSpike(spec) => self.load_spike(spec)?,
            FaultSpec::BalancerMachineLoss(spec) => self.machine_loss(spec)?,
            FaultSpec::DnsOutage(spec) => self.name_fault(&spec.host, DnsFault::Outage)?,
            FaultSpec::WrongRecord(spec) => self.name_fault(&spec.host, DnsFault::WrongRecord)?,
            FaultSpec::SlowDns(spec) => self.slow_dns(spec)?,
            FaultSpec::CacheCold(spec) => self.cache_cold(spec)?,
            FaultSpec::ControlPlaneMemberLoss(spec) => self.member_loss(spec)?,
            FaultSpec::EtcdMemberDown(spec) => self.etcd_member(spec)?,
            FaultSpec::EtcdSlowDisk(spec) => self.etcd_disk(spec)?,
            FaultSpec::ApiServerDown(spec) => self.api_server(spec)?,
            FaultSpec::ApiBalancerOutage(spec) => self.api_balancer(spec),
            FaultSpec::LeaderKill(spec) => self.leader_kill(spec),
            FaultSpec::ApiOutage(spec) => Self::api_outage(spec),
            FaultSpec::CloudApiOutage(spec) => self.cloud_api_outage(spec),
            FaultSpec::ApiFlood(spec) => self.api_flood(spec),
            FaultSpec::SlowApi(spec) => self.slow_api(spec),
            FaultSpec::WebhookOutage(spec) => self.webhook_outage(spec),
            FaultSpec::RegistryOutage(spec) => self.registry_outage(spec),
            FaultSpec::VaultSealed(spec) => self.vault_sealed(spec)?,
            FaultSpec::ConfigurationDeleted(spec) => self.configuration_deleted(spec)?,
            FaultSpec::Rollout(_)
            | FaultSpec::BadRollout(_)
            | FaultSpec::Scale(_)
            | FaultSpec::Suspend(_)
            | FaultSpec::Resume(_)
            | FaultSpec::LiftGates(_)
            | FaultSpec::SetAutoscaler(_)
            | FaultSpec::DeleteAutoscaler(_)
            | FaultSpec::Drain(_)
            | FaultSpec::NodeUpgrade(_)
            | FaultSpec::ControlPlaneUpgrade(_)
            | FaultSpec::DeleteNode(_)
            | FaultSpec::OutOfServiceTaint(_)
            | FaultSpec::Evict(_)
            | FaultSpec::GrowStorage(_)
            | FaultSpec::Switchover(_)
            | FaultSpec::PausePooler(_)
            | FaultSpec::Fence(_) => FaultKind::Action(self.action(spec)?),
            FaultSpec::DestroyInstance(spec) => self.destroy_instance(spec)?,
            FaultSpec::FreezePrimary(spec) => self.freeze_primary(spec)?,
            FaultSpec::HoldStandby(spec) => self.hold_standby(spec)?,
            FaultSpec::DiskLoss(spec) => FaultKind::Storage(self.disk_loss(spec)?),
            FaultSpec::Throttle(spec) => FaultKind::Storage(self.throttle(spec)?),
            FaultSpec::SetMinSize(spec) => FaultKind::Storage(self.set_min_size(spec)?),
            other => FaultKind::Data(self.data_fault(other)?),
        })
    }

    /// Faults of data and its copies.
    fn data_fault(&mut self, spec: &FaultSpec) -> Option<DataFault> {
        if spec.needs_backups() && self.blueprint.protection.data_sets.is_empty() {
            let message = format!("{} needs `backups`, and there are none", spec.kind());
            let help = "add `backups` to the scenario or the platform";
            self.diagnostics.push(Diagnostic::new(Code::E0013, spec.span(), message).help(help));
            return None;
        }
        Some(match spec {
            FaultSpec::ZoneDestroyed(spec) => {
                DataFault::ZoneDestroyed { zone: self.zone_pick(&spec.zone)? }
            }
            FaultSpec::RegionLoss(_) => DataFault::RegionLoss,
            FaultSpec::AccountLoss(spec) => {
                DataFault::AccountLoss { account: self.account(spec.account.as_ref())? }
            }
            FaultSpec::LogicalLoss(inner) | FaultSpec::BadMigration(inner) => {
                self.logical_loss(inner, false)?
            }
            FaultSpec::Ransomware(inner) => self.logical_loss(inner, true)?,
            FaultSpec::EtcdDataLoss(spec) => self.etcd_data_loss(spec)?,
            FaultSpec::BackupTargetLoss(spec) => {
                DataFault::BackupTargetLoss { place: self.place_named(&spec.place)? }
            }
            FaultSpec::BucketFull(spec) => {
                DataFault::BucketFull { place: self.place_named(&spec.place)? }
            }
            FaultSpec::KeyLoss(spec) => DataFault::KeyLoss { key: self.key_named(&spec.key)? },
            FaultSpec::KeyDisabled(spec) => {
                DataFault::KeyDisabled { key: self.key_named(&spec.key)? }
            }
            FaultSpec::BackupsBroken(spec) => DataFault::BackupsBroken {
                policies: self.policies_named(&spec.policy)?,
                is_silent: spec.silent.unwrap_or(false),
            },
            FaultSpec::ArchiveBroken(spec) => {
                let data_set = self.data_set_named(&spec.data_set)?;
                if self.blueprint.protection.archive_of(data_set).is_none() {
                    let message = format!("`{}` has no archive", spec.data_set.value);
                    self.report(Code::W0129, spec.data_set.span, message);
                }
                DataFault::ArchiveBroken { data_set, is_silent: spec.silent.unwrap_or(false) }
            }
            FaultSpec::ZonePowerLoss(_)
            | FaultSpec::ZoneIsolation(_)
            | FaultSpec::NodeCrash(_)
            | FaultSpec::NodeShutdown(_)
            | FaultSpec::PodCrash(_)
            | FaultSpec::MemoryLeak(_)
            | FaultSpec::DiskLeak(_)
            | FaultSpec::ProcessLeak(_)
            | FaultSpec::NoCapacity(_)
            | FaultSpec::LoadSpike(_)
            | FaultSpec::BalancerMachineLoss(_)
            | FaultSpec::DnsOutage(_)
            | FaultSpec::WrongRecord(_)
            | FaultSpec::SlowDns(_)
            | FaultSpec::CacheCold(_)
            | FaultSpec::ControlPlaneMemberLoss(_)
            | FaultSpec::EtcdMemberDown(_)
            | FaultSpec::EtcdSlowDisk(_)
            | FaultSpec::ApiServerDown(_)
            | FaultSpec::ApiBalancerOutage(_)
            | FaultSpec::LeaderKill(_)
            | FaultSpec::ApiOutage(_)
            | FaultSpec::CloudApiOutage(_)
            | FaultSpec::ApiFlood(_)
            | FaultSpec::SlowApi(_)
            | FaultSpec::WebhookOutage(_)
            | FaultSpec::RegistryOutage(_)
            | FaultSpec::VaultSealed(_)
            | FaultSpec::ConfigurationDeleted(_)
            | FaultSpec::DestroyInstance(_)
            | FaultSpec::FreezePrimary(_)
            | FaultSpec::HoldStandby(_)
            | FaultSpec::DiskLoss(_)
            | FaultSpec::Throttle(_)
            | FaultSpec::SetMinSize(_)
            | FaultSpec::Rollout(_)
            | FaultSpec::BadRollout(_)
            | FaultSpec::Scale(_)
            | FaultSpec::Suspend(_)
            | FaultSpec::Resume(_)
            | FaultSpec::LiftGates(_)
            | FaultSpec::SetAutoscaler(_)
            | FaultSpec::DeleteAutoscaler(_)
            | FaultSpec::Drain(_)
            | FaultSpec::NodeUpgrade(_)
            | FaultSpec::ControlPlaneUpgrade(_)
            | FaultSpec::DeleteNode(_)
            | FaultSpec::OutOfServiceTaint(_)
            | FaultSpec::Evict(_)
            | FaultSpec::GrowStorage(_)
            | FaultSpec::Switchover(_)
            | FaultSpec::PausePooler(_)
            | FaultSpec::Fence(_) => return None,
        })
    }

    fn logical_loss(&mut self, spec: &LogicalLossSpec, deletes_copies: bool) -> Option<DataFault> {
        let data_set = self.data_set_named(&spec.data_set)?;
        let assumed = self.blueprint.protection.data_sets[data_set.index()].discovery;
        let discovered_after = spec.discovered_after.map_or(assumed, |it| it.value);
        Some(DataFault::LogicalLoss { data_set, discovered_after, deletes_copies })
    }

    /// The loss of the data set that is the state of the Kubernetes API.
    fn etcd_data_loss(&mut self, spec: &EtcdDataLossSpec) -> Option<DataFault> {
        let sets = &self.blueprint.protection.data_sets;
        let Some(position) = sets.iter().position(|set| set.kind == DataSetKind::Etcd) else {
            let message = "none of the data sets of `backups` is etcd, so nothing restores it";
            let help = "a policy with `of: etcd` makes snapshots of it";
            self.diagnostics.push(Diagnostic::new(Code::E0013, spec.span, message).help(help));
            return None;
        };
        let discovered_after =
            spec.discovered_after.map_or(sets[position].discovery, |it| it.value);
        let data_set = DataSetId::from_index(position);
        Some(DataFault::LogicalLoss { data_set, discovered_after, deletes_copies: false })
    }

    fn account(&mut self, name: Option<&Spanned<String>>) -> Option<String> {
        let Some(name) = name else { return Some(self.blueprint.protection.account.clone()) };
        let idx = super::look_up("account", name, &self.names.backups.accounts, self.diagnostics)?;
        Some(self.names.backups.accounts[idx].clone())
    }

    pub(super) fn zone_named(&mut self, name: &Spanned<String>) -> Option<ZoneId> {
        let found = self.blueprint.zone_named(&name.value);
        if found.is_none() {
            let names: Vec<String> =
                self.blueprint.zones.iter().map(|zone| zone.name.clone()).collect();
            let mut diagnostic = unknown_zone(name, &names);
            if name.value == "random" {
                diagnostic.message =
                    "`random` is any zone for faults that strike; here a zone is named".to_owned();
            }
            self.diagnostics.push(diagnostic);
        }
        found
    }

    pub(super) fn zone_pick(&mut self, name: &Spanned<String>) -> Option<ZonePick> {
        if name.value == "random" {
            return Some(ZonePick::Random);
        }
        self.zone_named(name).map(ZonePick::Zone)
    }

    /// W0254.
    fn check_shutdown(&mut self, spec: &NodeCrashSpec, pick: NodePick) {
        let may_be = |idx: usize, node: &NodeSpec| match pick {
            NodePick::Node(id) => id.index() == idx,
            NodePick::Random { zone } => {
                !node.is_control_plane && zone.is_none_or(|zone| zone == node.zone)
            }
            NodePick::Of(_) => !node.is_control_plane,
        };
        let mut nodes = self.blueprint.nodes.iter().enumerate();
        if nodes
            .any(|(idx, node)| may_be(idx, node) && node.shutdown_grace != ShutdownGrace::default())
        {
            return;
        }
        let message =
            "no kubelet there ends its pods in order: they are gone at once, as in a nodeCrash";
        let help = "state `kubelet: {shutdownGracePeriod: 60s}` for the node pool, if it is so";
        self.diagnostics.push(Diagnostic::new(Code::W0254, spec.span, message).help(help));
    }

    fn node_pick(&mut self, spec: &NodeCrashSpec) -> Option<NodePick> {
        let given = [spec.node.as_ref(), spec.zone.as_ref(), spec.of.as_ref()];
        let mut stated = given.iter().flatten();
        if let (Some(first), Some(second)) = (stated.next(), stated.next()) {
            let message = "of `node`, `zone` and `of` one says which node";
            let diagnostic = Diagnostic::new(Code::E0017, second.span, message);
            self.diagnostics.push(diagnostic.related(first.span, "besides this"));
            return None;
        }
        if let Some(name) = &spec.node {
            return self.node_named(name).map(NodePick::Node);
        }
        if let Some(name) = &spec.of {
            return self.workload(name).map(NodePick::Of);
        }
        match &spec.zone {
            Some(name) if name.value != "random" => {
                let zone = Some(self.zone_named(name)?);
                Some(NodePick::Random { zone })
            }
            _ => Some(NodePick::Random { zone: None }),
        }
    }

    pub(super) fn node_named(&mut self, name: &Spanned<String>) -> Option<NodeId> {
        let nodes = &self.blueprint.nodes;
        let found = nodes.iter().position(|node| node.node.name == name.value);
        if found.is_none() {
            let names: Vec<&str> = nodes.iter().map(|node| node.node.name.as_str()).collect();
            let message = format!("there is no node `{}`", name.value);
            let help = suggestion(&name.value, names)
                .unwrap_or_else(|| "nodes are called <pool>-<zone>-<number from 1>".to_owned());
            self.diagnostics.push(Diagnostic::new(Code::E0016, name.span, message).help(help));
        }
        found.map(NodeId::from_index)
    }

    fn load_spike(&mut self, spec: &LoadSpikeSpec) -> Option<FaultKind> {
        let mut services: Vec<ServiceId> = Vec::new();
        for name in &spec.services {
            let service = self.service(name)?;
            if !self.blueprint.loads.iter().any(|load| load.service == service) {
                let message =
                    format!("no load reaches `{}`, so the spike multiplies nothing", name.value);
                self.report(Code::W0129, name.span, message);
            }
            let loads = self.blueprint.loads.iter().filter(|load| load.service == service);
            let too_many =
                loads.filter_map(|load| Self::too_many_users(load, spec.factor.value.milli)).next();
            if let Some(message) = too_many {
                self.report(Code::E0021, spec.factor.span, message);
            }
            services.push(service);
        }
        if spec.factor.value.milli == 0 {
            self.report(Code::E0021, spec.factor.span, "a factor of 0 takes all load away");
        }
        if let Some(tenant) = &spec.tenant {
            self.asking_tenant(tenant, &services)?;
        }
        Some(FaultKind::LoadSpike {
            services,
            tenant: spec.tenant.as_ref().map(|name| name.value.clone()),
            factor_milli: spec.factor.value.milli,
            ramp: spec.ramp.map_or(SimSpan::ZERO, |ramp| ramp.value),
        })
    }

    fn start(&mut self, spec: &FaultSpec, keys: StartKeys<'_>, names: &[String]) -> Option<Start> {
        let choices = [
            keys.at.map(|at| at.span),
            keys.within.map(|within| within.from.span),
            keys.when.map(|when| condition_span(when).unwrap_or_else(|| spec.span())),
        ];
        let mut stated = choices.iter().flatten();
        match (stated.next(), stated.next()) {
            (None, _) => {
                let message = format!("{} needs one of `at`, `within` and `when`", spec.kind());
                self.report(Code::E0017, spec.span(), message);
                return None;
            }
            (Some(first), Some(second)) => {
                let message = "of `at`, `within` and `when` one says when it starts";
                let diagnostic = Diagnostic::new(Code::E0017, *second, message);
                self.diagnostics.push(diagnostic.related(*first, "besides this"));
                return None;
            }
            (Some(_), None) => {}
        }
        if let (Some(after), None) = (keys.after, keys.when) {
            let message = "`after` counts from the condition of `when`, and there is none";
            self.report(Code::E0017, after.span, message);
        }
        if let Some(at) = keys.at {
            self.check_reached(at.value, at.span);
            return Some(Start::At(at.value));
        }
        if let Some(window) = keys.within {
            if window.until.value < window.from.value {
                let diagnostic = Diagnostic::new(
                    Code::E0021,
                    window.until.span,
                    "the window ends before it begins",
                );
                self.diagnostics.push(diagnostic.related(window.from.span, "it begins here"));
            }
            self.check_reached(window.from.value, window.from.span);
            return Some(Start::Within(window.from.value, window.until.value));
        }
        let condition = self.condition(keys.when?, names)?;
        let delay = keys.after.map_or(SimSpan::ZERO, |after| after.value);
        Some(Start::When { condition, delay })
    }

    fn check_reached(&mut self, at: model_api::SimTime, span: Span) {
        if at >= self.end() {
            let message =
                format!("the run ends after {}, so this fault cannot strike", self.horizon);
            self.report(Code::E0021, span, message);
        }
    }

    fn condition(&mut self, spec: &ConditionSpec, names: &[String]) -> Option<Condition> {
        Some(match spec {
            ConditionSpec::FaultStarted(name) => {
                Condition::FaultStarted(self.fault_named(name, names)?)
            }
            ConditionSpec::FaultEnded(name) => {
                Condition::FaultEnded(self.fault_named(name, names)?)
            }
            ConditionSpec::EndpointsBelow(spec) => {
                Condition::EndpointsBelow(self.service(&spec.service)?, spec.count.value)
            }
            ConditionSpec::PodUnschedulable(_) => Condition::PodUnschedulable,
            ConditionSpec::FailoverStarted(_) => Condition::FailoverStarted,
            ConditionSpec::WalVolumeAbove(spec) => {
                let database = self.database_with_volume(&spec.database)?;
                Condition::WalVolumeAbove(database, spec.share.value.ppm)
            }
        })
    }

    pub(super) fn fault_named(
        &mut self,
        name: &Spanned<String>,
        names: &[String],
    ) -> Option<FaultId> {
        let found = names.iter().position(|known| *known == name.value);
        if found.is_none() {
            let candidates: Vec<&str> = names.iter().map(String::as_str).collect();
            let message = format!("there is no fault `{}`", name.value);
            let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
            self.diagnostics.push(diagnostic.help_if(suggestion(&name.value, candidates)));
        }
        found.map(FaultId::from_index)
    }

    /// Faults that wait for each other, or for the end of one that never ends.
    fn refuse_circular_waits(&mut self, faults: &[Fault], specs: &[FaultSpec]) {
        for (idx, fault) in faults.iter().enumerate() {
            if let Start::When { condition: Condition::FaultEnded(other), .. } = fault.start
                && faults[other.index()].duration.is_none()
            {
                let message = format!(
                    "`{}` waits for the end of `{}`, which does not end",
                    fault.name,
                    faults[other.index()].name
                );
                self.report(Code::W0129, specs[idx].span(), message);
            }
            let mut at = idx;
            for _ in 0..faults.len() {
                let Some(next) = waits_for(&faults[at]) else { break };
                at = next.index();
                if at == idx {
                    let message = format!("`{}` waits for itself", fault.name);
                    self.report(Code::E0020, specs[idx].span(), message);
                    break;
                }
            }
        }
    }
}

fn waits_for(fault: &Fault) -> Option<FaultId> {
    match fault.start {
        Start::When {
            condition: Condition::FaultStarted(id) | Condition::FaultEnded(id), ..
        } => Some(id),
        _ => None,
    }
}

fn condition_span(condition: &ConditionSpec) -> Option<Span> {
    match condition {
        ConditionSpec::FaultStarted(name) | ConditionSpec::FaultEnded(name) => Some(name.span),
        ConditionSpec::EndpointsBelow(spec) => Some(spec.span),
        ConditionSpec::WalVolumeAbove(spec) => Some(spec.span),
        ConditionSpec::PodUnschedulable(_) | ConditionSpec::FailoverStarted(_) => None,
    }
}
