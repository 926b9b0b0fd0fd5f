//! Actions: what they are done to.

use model_api::action::{Action, Fenced, NodeWork};
use model_api::blueprint::{Database, DatabaseManager, NodeSpec, Pooler};
use model_api::kube::{PodTemplate, WorkloadKind};
use model_api::{AutoscalerId, DatabaseId, NodeId, PoolerId, WorkloadId};

use super::nodes::pool_of;
use super::{Resolver, look_up};
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    BadRolloutSpec, DrainSpec, FaultSpec, FenceSpec, GrowStorageSpec, HoldSpec, LiftGatesSpec,
    NodesSpec, PausePoolerSpec, PodCrashSpec, RolloutSpec, ScaleSpec, SetAutoscalerSpec,
    SwitchoverSpec,
};
use crate::manifest::PODS_MAX;
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};

/// The annotation by which `kubectl rollout restart` makes a template another one.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Which nodes: the keys that say so.
type Nodes<'a> = [Option<&'a Spanned<String>>; 3];

impl Resolver<'_> {
    /// What is done on purpose; `None` for a fault.
    pub(super) fn action(&mut self, spec: &FaultSpec) -> Option<Action> {
        Some(match spec {
            FaultSpec::Rollout(spec) => self.rollout(spec)?,
            FaultSpec::BadRollout(spec) => self.bad_rollout(spec)?,
            FaultSpec::Scale(spec) => self.scale(spec)?,
            FaultSpec::Suspend(spec) => self.hold(spec, true)?,
            FaultSpec::Resume(spec) => self.hold(spec, false)?,
            FaultSpec::LiftGates(spec) => self.lift_gates(spec)?,
            FaultSpec::SetAutoscaler(spec) => self.set_autoscaler(spec)?,
            FaultSpec::DeleteAutoscaler(spec) => {
                Action::DeleteAutoscaler { autoscaler: self.autoscaler(&spec.autoscaler)? }
            }
            FaultSpec::Drain(nodes) => Action::Drain(self.node_work(spec.kind(), nodes)?),
            FaultSpec::NodeUpgrade(nodes) => {
                Action::NodeUpgrade(self.node_work(spec.kind(), nodes)?)
            }
            FaultSpec::ControlPlaneUpgrade(spec) => self.control_plane_upgrade(spec)?,
            FaultSpec::DeleteNode(nodes) => Action::DeleteNodes(self.nodes_of(spec.kind(), nodes)?),
            FaultSpec::OutOfServiceTaint(nodes) => {
                Action::OutOfServiceTaint(self.nodes_of(spec.kind(), nodes)?)
            }
            FaultSpec::Evict(spec) => self.evict(spec)?,
            FaultSpec::GrowStorage(spec) => self.grow_storage(spec)?,
            FaultSpec::Switchover(spec) => self.switchover(spec)?,
            FaultSpec::Fence(spec) => self.fence(spec)?,
            FaultSpec::PausePooler(spec) => self.pause_pooler(spec)?,
            _ => return None,
        })
    }

    fn rollout(&mut self, spec: &RolloutSpec) -> Option<Action> {
        let (workload, template) =
            self.new_template(&spec.workload, spec.image.as_ref(), spec.container.as_ref())?;
        Some(Action::Rollout {
            workload,
            template: Box::new(template),
            is_broken: false,
            failing_ppm: 0,
            is_undone_when_stalled: false,
        })
    }

    fn bad_rollout(&mut self, spec: &BadRolloutSpec) -> Option<Action> {
        let (workload, template) =
            self.new_template(&spec.workload, spec.image.as_ref(), spec.container.as_ref())?;
        if let Some(share) = spec.failing.filter(|share| share.value.ppm == 0) {
            self.report(
                Code::E0021,
                share.span,
                "a faulty version answers some requests with errors",
            );
        }
        let is_undone_when_stalled = spec.undone_when_stalled.unwrap_or(false);
        let kind = &self.blueprint.workloads[workload.index()].kind;
        if is_undone_when_stalled && !matches!(kind, WorkloadKind::Deployment { .. }) {
            let message = format!(
                "a {} has no progress deadline, so nobody finds that it stalled",
                kind.name()
            );
            self.report(Code::E0028, spec.workload.span, message);
        }
        Some(Action::Rollout {
            workload,
            template: Box::new(template),
            is_broken: spec.failing.is_none(),
            failing_ppm: spec.failing.map_or(0, |share| share.value.ppm),
            is_undone_when_stalled,
        })
    }

    /// The template of a workload with another image, or marked as restarted.
    fn new_template(
        &mut self,
        name: &Spanned<String>,
        image: Option<&Spanned<String>>,
        container: Option<&Spanned<String>>,
    ) -> Option<(WorkloadId, PodTemplate)> {
        let id = self.workload(name)?;
        let workload = &self.blueprint.workloads[id.index()];
        let is_cloud_native = |database: &Database| {
            database.workload == id && database.manager == DatabaseManager::CloudNativePg
        };
        let rolls = match workload.kind {
            WorkloadKind::Deployment { .. }
            | WorkloadKind::StatefulSet { .. }
            | WorkloadKind::DaemonSet { .. } => true,
            WorkloadKind::DatabaseInstances => self.blueprint.databases.iter().any(is_cloud_native),
            _ => false,
        };
        if !rolls {
            let message = match workload.kind {
                WorkloadKind::DatabaseInstances => {
                    "rollouts by the operator of Zalando are not simulated".to_owned()
                }
                ref kind => format!("a {} has no rollout", kind.name()),
            };
            let help =
                "Deployments, StatefulSets, DaemonSets and Clusters of CloudNativePG have one";
            self.diagnostics.push(Diagnostic::new(Code::E0028, name.span, message).help(help));
            return None;
        }
        let mut template = workload.template.clone();
        let Some(image) = image else {
            template.annotations.insert(RESTARTED_AT.to_owned(), "during the run".to_owned());
            return Some((id, template));
        };
        let containers = &mut template.spec.containers;
        let position = match container {
            None => Some(0),
            Some(wanted) => containers.iter().position(|it| it.name == wanted.value),
        };
        if let Some(found) = position.and_then(|position| containers.get_mut(position)) {
            found.image.clone_from(&image.value);
            return Some((id, template));
        }
        let wanted = container.unwrap_or(name);
        let names = containers.iter().map(|it| it.name.as_str());
        let help = suggestion(&wanted.value, names);
        let message = format!("there is no container `{}`", wanted.value);
        self.diagnostics.push(Diagnostic::new(Code::E0016, wanted.span, message).help_if(help));
        None
    }

    fn scale(&mut self, spec: &ScaleSpec) -> Option<Action> {
        let workload = self.workload(&spec.workload)?;
        let kind = &self.blueprint.workloads[workload.index()].kind;
        if matches!(kind, WorkloadKind::DaemonSet { .. } | WorkloadKind::Pod) {
            let message = format!("a {} has no replicas to change", kind.name());
            self.report(Code::E0028, spec.workload.span, message);
            return None;
        }
        if spec.replicas.value > PODS_MAX {
            let message = format!("at most {PODS_MAX} pods of a workload are simulated");
            self.report(Code::E0021, spec.replicas.span, message);
        }
        Some(Action::Scale { workload, replicas: spec.replicas.value })
    }

    fn autoscaler(&mut self, name: &Spanned<String>) -> Option<AutoscalerId> {
        let autoscalers = self.blueprint.autoscalers.iter();
        let names: Vec<String> =
            autoscalers.map(|it| format!("{}/{}", it.namespace, it.name)).collect();
        let idx = look_up("HorizontalPodAutoscaler", name, &names, self.diagnostics)?;
        Some(AutoscalerId::from_index(idx))
    }

    fn set_autoscaler(&mut self, spec: &SetAutoscalerSpec) -> Option<Action> {
        let autoscaler = self.autoscaler(&spec.autoscaler)?;
        let former = &self.blueprint.autoscalers[autoscaler.index()];
        let (was_min, was_max) = (former.min_replicas, former.max_replicas);
        let limit = |stated: Option<Spanned<u32>>| {
            stated.map(|it| i32::try_from(it.value).unwrap_or(i32::MAX))
        };
        let (min, max) = (limit(spec.min_replicas), limit(spec.max_replicas));
        let place = spec.min_replicas.or(spec.max_replicas).map_or(spec.span, |it| it.span);
        let (least, most) = (min.unwrap_or(was_min), max.unwrap_or(was_max));
        let message = if min.is_none() && max.is_none() {
            "neither `minReplicas` nor `maxReplicas` is changed".to_owned()
        } else if least < 1 || least > most {
            format!("an autoscaler from {least} to {most} replicas is refused by the API")
        } else if most > i32::try_from(PODS_MAX).unwrap_or(i32::MAX) {
            format!("at most {PODS_MAX} pods of a workload are simulated")
        } else {
            return Some(Action::SetAutoscaler { autoscaler, min, max });
        };
        self.report(Code::E0150, place, message);
        None
    }

    fn hold(&mut self, spec: &HoldSpec, is_held: bool) -> Option<Action> {
        let workload = self.workload(&spec.workload)?;
        let kind = &self.blueprint.workloads[workload.index()].kind;
        if kind.is_held().is_none() {
            let verb = if is_held { "suspended" } else { "resumed" };
            let message = format!("a {} cannot be {verb}", kind.name());
            let help = "Deployments are paused, Jobs and CronJobs are suspended";
            let span = spec.workload.span;
            self.diagnostics.push(Diagnostic::new(Code::E0070, span, message).help(help));
            return None;
        }
        Some(Action::Hold { workload, is_held })
    }

    fn lift_gates(&mut self, spec: &LiftGatesSpec) -> Option<Action> {
        let workload = self.workload(&spec.workload)?;
        let template = &self.blueprint.workloads[workload.index()].template;
        if template.spec.scheduling_gates.is_empty() {
            let message = format!("pods of `{}` have no scheduling gates", spec.workload.value);
            self.report(Code::E0091, spec.workload.span, message);
            return None;
        }
        Some(Action::LiftGates { workload })
    }

    /// A database of which it is known how full the volume of its log is.
    pub(super) fn database_with_volume(&mut self, name: &Spanned<String>) -> Option<DatabaseId> {
        let database = self.database(name)?;
        if self.blueprint.databases[database.index()].wal.is_none() {
            let message = format!("how full the volumes of `{}` are is not simulated", name.value);
            let help = "it is for Clusters of CloudNativePG that state the size of their storage";
            self.diagnostics.push(Diagnostic::new(Code::E0061, name.span, message).help(help));
            return None;
        }
        Some(database)
    }

    fn switchover(&mut self, spec: &SwitchoverSpec) -> Option<Action> {
        let database = self.database(&spec.database)?;
        if self.blueprint.databases[database.index()].instances < 2 {
            let message = format!("`{}` has no standby to hand over to", spec.database.value);
            self.report(Code::E0063, spec.database.span, message);
            return None;
        }
        let to = match &spec.to {
            None => None,
            Some(to) => Some(self.instance_named(database, to)?),
        };
        Some(Action::Switchover { database, to })
    }

    /// An instance by its name, counted from zero.
    pub(super) fn instance_named(
        &mut self,
        database: DatabaseId,
        name: &Spanned<String>,
    ) -> Option<u8> {
        let spec = &self.blueprint.databases[database.index()];
        let names: Vec<String> =
            (1..=spec.instances).map(|number| format!("{}-{number}", spec.name)).collect();
        let found = names.iter().position(|known| *known == name.value);
        if found.is_none() {
            let help = suggestion(&name.value, names.iter().map(String::as_str));
            let message = format!("there is no instance `{}`", name.value);
            let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
            self.diagnostics.push(diagnostic.help_if(help));
        }
        Some(u8::try_from(found?).expect("the reader refuses more than 100 instances"))
    }

    fn fence(&mut self, spec: &FenceSpec) -> Option<Action> {
        let database = self.database(&spec.database)?;
        let manager = self.blueprint.databases[database.index()].manager;
        if manager != DatabaseManager::CloudNativePg {
            let message = format!("`{}` is not a Cluster of CloudNativePG", spec.database.value);
            self.report(Code::E0064, spec.database.span, message);
            return None;
        }
        let whom = match &spec.instance {
            None => Fenced::Primary,
            Some(name) if name.value == "*" => Fenced::All,
            Some(name) => Fenced::Instance(self.instance_named(database, name)?),
        };
        Some(Action::Fence { database, whom })
    }

    fn pause_pooler(&mut self, spec: &PausePoolerSpec) -> Option<Action> {
        let full = |it: &Pooler| format!("{}/{}", it.namespace, it.name);
        let names: Vec<String> = self.blueprint.poolers.iter().map(full).collect();
        let idx = look_up("Pooler", &spec.pooler, &names, self.diagnostics)?;
        if self.blueprint.poolers[idx].lends_sessions {
            let message = format!(
                "`{}` lends connections for sessions, and a pause waits for all of them to end",
                spec.pooler.value
            );
            self.report(Code::W0381, spec.pooler.span, message);
        }
        Some(Action::PausePooler { pooler: PoolerId::from_index(idx) })
    }

    fn grow_storage(&mut self, spec: &GrowStorageSpec) -> Option<Action> {
        let database = self.database_with_volume(&spec.database)?;
        let wal = self.blueprint.databases[database.index()].wal?;
        let size_bytes = spec.size.value.count;
        if size_bytes <= wal.size_bytes {
            let gibibytes = wal.size_bytes >> 30;
            let message =
                format!("the volume has {gibibytes}Gi already, and none can be made smaller");
            self.report(Code::E0060, spec.size.span, message);
        }
        let log = self.manifests.clusters[database.index()].value.log.as_ref()?;
        let classes = &self.blueprint.storage_classes;
        let class = match &log.storage_class {
            Some(name) => classes.iter().find(|class| class.name == *name),
            None => classes.iter().find(|class| class.is_default),
        };
        if let Some(class) = class.filter(|class| !class.is_growable) {
            let message = format!("StorageClass {} does not let volumes grow", class.name);
            let help = "add `allowVolumeExpansion: true` to it";
            let diagnostic = Diagnostic::new(Code::E0062, spec.database.span, message);
            self.diagnostics.push(diagnostic.help(help));
        }
        Some(Action::GrowStorage { database, size_bytes })
    }

    fn evict(&mut self, spec: &PodCrashSpec) -> Option<Action> {
        let workload = self.workload(&spec.workload)?;
        Some(Action::Evict { workload, count: spec.count.map(|count| count.value) })
    }

    fn node_work(&mut self, what: &str, spec: &DrainSpec) -> Option<NodeWork> {
        let keys = [spec.node.as_ref(), spec.pool.as_ref(), spec.zone.as_ref()];
        Some(NodeWork {
            nodes: self.chosen_nodes(what, keys, spec.span)?,
            timeout: spec.timeout.map(|timeout| timeout.value),
            forces: spec.force.unwrap_or(false),
            goes_on: spec.goes_on.unwrap_or(false),
        })
    }

    fn nodes_of(&mut self, what: &str, spec: &NodesSpec) -> Option<Vec<NodeId>> {
        let keys = [spec.node.as_ref(), spec.pool.as_ref(), spec.zone.as_ref()];
        self.chosen_nodes(what, keys, spec.span)
    }

    /// The node of a name, or the workers of a pool, of a zone or of both.
    fn chosen_nodes(
        &mut self,
        what: &str,
        [node, pool, zone]: Nodes<'_>,
        span: Span,
    ) -> Option<Vec<NodeId>> {
        if let Some(name) = node {
            if let Some(other) = pool.or(zone) {
                let message = "`node` says which node; `pool` and `zone` would say it again";
                let diagnostic = Diagnostic::new(Code::E0017, other.span, message);
                self.diagnostics.push(diagnostic.related(name.span, "besides this"));
                return None;
            }
            return self.node_named(name).map(|node| vec![node]);
        }
        let Some(stated) = pool.or(zone) else {
            let message = format!("{what} needs one of `node`, `pool` and `zone`");
            self.report(Code::E0017, span, message);
            return None;
        };
        let zone = match zone {
            Some(name) => Some(self.zone_named(name)?),
            None => None,
        };
        let pool = match pool {
            Some(name) => Some(self.pool_named(name)?),
            None => None,
        };
        let nodes = self.blueprint.nodes.iter().enumerate().filter(|(_, spec)| {
            !spec.is_control_plane
                && zone.is_none_or(|zone| zone == spec.zone)
                && pool.as_deref().is_none_or(|pool| self.pool(spec) == Some(pool))
        });
        let nodes: Vec<NodeId> = nodes.map(|(idx, _)| NodeId::from_index(idx)).collect();
        if nodes.is_empty() {
            self.report(Code::E0016, stated.span, "there is no such node");
            return None;
        }
        Some(nodes)
    }

    fn pool<'a>(&self, spec: &'a NodeSpec) -> Option<&'a str> {
        pool_of(&spec.node.name, &self.blueprint.zones[spec.zone.index()].name)
    }

    fn pool_named(&mut self, name: &Spanned<String>) -> Option<String> {
        let nodes = self.blueprint.nodes.iter().filter(|spec| !spec.is_control_plane);
        let mut pools: Vec<&str> = nodes.filter_map(|spec| self.pool(spec)).collect();
        pools.dedup();
        if pools.contains(&name.value.as_str()) {
            return Some(name.value.clone());
        }
        let help = suggestion(&name.value, pools);
        let message = format!("there is no node pool `{}`", name.value);
        self.diagnostics.push(Diagnostic::new(Code::E0016, name.span, message).help_if(help));
        None
    }
}
