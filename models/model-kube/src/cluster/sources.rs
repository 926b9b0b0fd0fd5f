//! What containers are configured from: Secrets, ConfigMaps and vaults, and pods that wait for them.
//!
//! # Modelled
//! A Secret or ConfigMap that was deleted: containers that start and name it in their environment wait
//! in `CreateContainerConfigError`, pods that mount it in `FailedMount`, until it is there again and the
//! kubelet tries. One that External Secrets or Sealed Secrets made is made anew, as soon as what it is
//! read from answers and a pod of its controller runs. A vault that is stated: while it is sealed, or
//! none of its pods is there, pods that start wait for what its agent injects or the Secrets Store CSI
//! Driver mounts. Its pods start sealed where people unseal it. What runs keeps what it read.
//! # Not modelled
//! Leases of credentials that run out, and rotation. The lease of External Secrets' own replicas (its
//! chart has one, without an election). Raft among the pods of a vault. Keys of a Secret.
//! Simplified: a vault answers while one of its pods is there and unsealed; a try that finds the vault
//! there succeeds, even if it is away again when the try is made; pods that are there when a run begins
//! are unsealed.
//! # Defaults and their sources
//! [`crate::configuration`] for the tries. `pkg/kubelet/kuberuntime/kuberuntime_container.go`
//! (`generateContainerConfig`: after the image is pulled, at each start of a container) and
//! `pkg/volume/secret/secret.go` (`SetUpAt`: at each start of a pod), Kubernetes 1.36. External Secrets 2
//! `pkg/controllers/externalsecret/externalsecret_controller.go` watches the Secrets that it owns. Vault 1.21
//! `docs/concepts/seal`: a vault starts sealed; annotations of its injector, and of that of OpenBao.
//! # Invariants
//! Where nothing is deleted and no vault is stated nothing is looked at, and nothing kept.
//! # Checked against
//! `tests/it/sources.rs`.

use std::collections::BTreeMap;

use model_api::kube::{ConfigurationSource, SecretMaker, SecretStore, SourceKind, is_injected};
use model_api::observation::ConfigurationWay;
use model_api::{Blueprint, Observation, PodId, ServiceId, WorkloadId};
use sim_kernel::{Context, Purpose, Recorder, SimTime, Timer};

use super::history::Change;
use super::pod::{PodPhase, Step};
use super::{Cluster, KubeEvent, Notice, priority};
use crate::configuration::try_at_or_after;
use crate::rare;

const TRY: Purpose = Purpose::new("configuration tried again");

/// A Secret or ConfigMap.
pub(super) type Named = (SourceKind, String, String);

/// What is missing, and who waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// Each as often as it was deleted.
    deleted: Vec<Named>,
    /// By vault: how often it is sealed.
    sealed: Vec<u32>,
    /// Workloads whose pods make Secrets that are made.
    makers: Vec<WorkloadId>,
    /// Pods that wait, since when and for what.
    waiting: BTreeMap<PodId, (SimTime, ConfigurationWay)>,
    /// When a pod of a vault is unsealed that somebody waits for.
    unsealed: Timer,
    /// Something happened to what they wait for, or may have.
    is_dirty: bool,
}

impl Sources {
    pub(super) fn at_start(blueprint: &Blueprint) -> Self {
        let made = &blueprint.made_secrets;
        let workloads = blueprint.workloads.iter().enumerate();
        let makers = workloads.filter(|(_, it)| made.iter().any(|made| made.maker.is_run_by(it)));
        Self {
            sealed: vec![0; blueprint.vaults.len()],
            makers: makers.map(|(idx, _)| WorkloadId::from_index(idx)).collect(),
            ..Self::default()
        }
    }

    /// Takes note of what happened to a pod of a workload, or to the API.
    pub(super) fn note(&mut self, notice: Notice, workload: Option<WorkloadId>) {
        self.is_dirty |= match notice {
            Notice::ApiChanged(_) => true,
            Notice::PodStarted(_) => workload.is_some_and(|it| self.makers.contains(&it)),
            _ => false,
        };
    }

    /// Takes note that machines, or what lies between them and the API, changed.
    pub(super) fn note_network(&mut self) {
        self.is_dirty = true;
    }

    /// How often an object was deleted and not made anew.
    fn count_of(&self, named: &Named) -> usize {
        self.deleted.iter().filter(|it| *it == named).count()
    }

    fn is_used(&self) -> bool {
        !self.deleted.is_empty() || !self.sealed.is_empty()
    }
}

/// Commands.
impl Cluster {
    /// Seals a vault of the blueprint, or unseals it.
    pub fn set_vault_sealed<E, R>(
        &mut self,
        vault: usize,
        is_sealed: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let count = &mut self.sources.sealed[vault];
        *count = if is_sealed { *count + 1 } else { count.saturating_sub(1) };
        self.review_sources(ctx);
        self.settle(ctx);
    }

    /// Deletes a Secret or ConfigMap, or lets it be there again. How many pods name it.
    pub fn set_configuration<E, R>(
        &mut self,
        (kind, namespace, name): (SourceKind, &str, &str),
        is_there: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let named = (kind, namespace.to_owned(), name.to_owned());
        let found = self.sources.deleted.iter().position(|it| *it == named);
        if self.history.is_some() {
            let count = self.sources.count_of(&named);
            self.note_change(Change::Configuration(named.clone(), count), ctx.now());
        }
        match (is_there, found) {
            (false, _) => self.sources.deleted.push(named),
            (true, Some(idx)) => _ = self.sources.deleted.remove(idx),
            (true, None) => {}
        }
        self.review_sources(ctx);
        self.settle(ctx);
        u32::try_from(self.pods_naming(kind, namespace, name).count()).expect("pods are few")
    }

    /// Pods that name a Secret or ConfigMap.
    fn pods_naming(
        &self,
        kind: SourceKind,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = PodId> {
        let names = move |id: &PodId| {
            let pod = &self.pods[id.index()];
            let namespace_of = &self.blueprint.workloads[pod.workload.index()].namespace;
            let mut sources = self.tables.template_of(pod).template.spec.sources.iter();
            let is_it = |it: &ConfigurationSource| it.kind == kind && it.name == name;
            pod.exists() && namespace_of == namespace && sources.any(is_it)
        };
        (0..self.pods.len()).map(PodId::from_index).filter(names)
    }

    /// Puts a Secret or ConfigMap back to what a snapshot says: deleted so often and not made anew.
    pub(super) fn restore_configuration<E, R>(
        &mut self,
        named: Named,
        then: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = self.sources.count_of(&named);
        self.sources.deleted.retain(|it| *it != named);
        self.sources.deleted.extend(std::iter::repeat_n(named.clone(), then));
        self.sources.is_dirty = true;
        let is_there = then == 0;
        if is_there != (now == 0) {
            ctx.hit(&rare::CONFIGURATION_REVERTED);
            let pods = self.pods_naming(named.0, &named.1, &named.2);
            let mut workloads: Vec<WorkloadId> =
                pods.map(|pod| self.pods[pod.index()].workload).collect();
            workloads.sort_unstable();
            workloads.dedup();
            for workload in workloads {
                ctx.observe(|| Observation::ConfigurationReverted { workload, is_there });
            }
        }
    }
}

/// Who waits.
impl Cluster {
    /// Has the images of a pod ready at `from` or as soon as they are there, once its volumes are filled.
    pub(super) fn expect_mounts<E, R>(
        &mut self,
        id: PodId,
        from: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        match self.missing_mount(id, ctx.now()) {
            Some(way) => self.wait_for_source(id, from, way, ctx),
            None => self.expect_images(id, from, ctx),
        }
    }

    /// Whether a container has to wait for what its environment names; it does from now on.
    pub(super) fn waits_for_environment<E, R>(
        &mut self,
        id: PodId,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let waits = self.sources.is_used() && self.lacks_object(id, false, ctx.now());
        if waits {
            self.wait_for_source(id, ctx.now(), ConfigurationWay::Environment, ctx);
        }
        waits
    }

    /// A pod does not wait any more: its processes or the whole of it ended.
    pub(super) fn forget_sources(&mut self, id: PodId) {
        self.sources.waiting.remove(&id);
    }

    fn wait_for_source<E, R>(
        &mut self,
        id: PodId,
        from: SimTime,
        way: ConfigurationWay,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::CONFIGURATION_MISSING);
        self.sources.waiting.insert(id, (from, way));
        let workload = self.pods[id.index()].workload;
        ctx.observe(|| Observation::PodConfigurationMissing { pod: id, workload, way });
        self.expect_unsealed(ctx);
    }

    /// The routes of these Services were worked out anew.
    pub(super) fn note_vaults_behind(&mut self, changed: &[ServiceId]) {
        let is_changed = |service: ServiceId| changed.binary_search(&service).is_ok();
        let mut vaults = self.blueprint.vaults.iter();
        self.sources.is_dirty |= vaults.any(|vault| is_changed(vault.service));
    }

    /// Looks at who waits anew, when something happened in the call that runs.
    pub(super) fn settle_sources<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if std::mem::take(&mut self.sources.is_dirty) {
            self.review_sources(ctx);
        }
    }

    /// Something may be there that pods wait for.
    pub(super) fn review_sources<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.sources.waiting.is_empty() {
            return;
        }
        let now = ctx.now();
        let waiting: Vec<(PodId, (SimTime, ConfigurationWay))> =
            self.sources.waiting.iter().map(|(id, it)| (*id, *it)).collect();
        for (id, (since, way)) in waiting {
            let pod = &self.pods[id.index()];
            let starts = matches!(pod.phase, PodPhase::Creating | PodPhase::Waiting);
            if !pod.exists() || !starts {
                self.sources.waiting.remove(&id);
                continue;
            }
            let lacks = match way {
                ConfigurationWay::Environment => self.lacks_object(id, false, now),
                _ => self.missing_mount(id, now).is_some(),
            };
            if lacks {
                continue;
            }
            self.sources.waiting.remove(&id);
            let key = self.pods[id.index()].key;
            // Fewer tries than that are made while one start of a container waits.
            let first = u64::from(self.pods[id.index()].restart_count) << 32;
            let at = try_at_or_after(way, since, now, |nth| self.draw(key, TRY, first + nth));
            if way == ConfigurationWay::Environment {
                self.set_step(id, Step::Pulled, at, ctx);
            } else {
                self.expect_images(id, at, ctx);
            }
        }
        self.expect_unsealed(ctx);
    }

    /// Works out when the next pod of a vault is unsealed, while somebody waits.
    fn expect_unsealed<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.cancel(self.sources.unsealed);
        self.sources.unsealed = Timer::NONE;
        if self.sources.waiting.is_empty() {
            return;
        }
        let vaults = 0..self.blueprint.vaults.len();
        let moments = vaults.flat_map(|vault| self.unsealed_pods(vault));
        if let Some(at) = moments.filter(|at| *at > ctx.now()).min() {
            let event = KubeEvent::VaultUnsealed;
            self.sources.unsealed = ctx.timer_at(at, priority::KUBELET, event);
        }
    }
}

/// What is there.
impl Cluster {
    /// Since when each pod of a vault that is there is unsealed, or from when on.
    fn unsealed_pods(&self, vault: usize) -> impl Iterator<Item = SimTime> {
        let vault = &self.blueprint.vaults[vault];
        let unseal = vault.unseal;
        let pods = self.routes(vault.service).iter().map(|route| route.pod);
        let there = pods.filter(|pod| self.view(*pod).is_live);
        there.map(move |pod| {
            let at = self.pods[pod.index()].plan.answers_at;
            if at == SimTime::ZERO { at } else { at + unseal }
        })
    }

    fn vault_answers(&self, vault: usize, now: SimTime) -> bool {
        self.sources.sealed[vault] == 0 && self.unsealed_pods(vault).any(|at| at <= now)
    }

    /// Whether a store gives what it has, as far as its vault is stated.
    fn store_answers(&self, store: SecretStore, now: SimTime) -> bool {
        let vaults = self.blueprint.vaults.iter().enumerate();
        let mut of_store = vaults.filter(|(_, vault)| vault.is_of(store, &self.blueprint));
        of_store.all(|(idx, _)| self.vault_answers(idx, now))
    }

    /// Whether an object is missing and nothing has made it anew.
    fn is_missing(&self, kind: SourceKind, namespace: &str, name: &str, now: SimTime) -> bool {
        let is_it = |it: &Named| it.0 == kind && it.1 == namespace && it.2 == name;
        if !self.sources.deleted.iter().any(is_it) {
            return false;
        }
        let mut made = self.blueprint.made_secrets.iter();
        let found = made
            .find(|it| kind == SourceKind::Secret && it.namespace == namespace && it.name == name);
        let Some(made) = found else { return true };
        let is_given = match made.maker {
            SecretMaker::ExternalSecrets { store, .. } => self.store_answers(store, now),
            SecretMaker::SealedSecrets => true,
        };
        !is_given || !self.maker_runs(&made.maker)
    }

    /// Whether a controller that makes Secrets runs and reaches the API; one that is not in the input does.
    fn maker_runs(&self, maker: &SecretMaker) -> bool {
        let workloads = &self.blueprint.workloads;
        let makers = self.sources.makers.iter().copied();
        let mut makers = makers.filter(|it| maker.is_run_by(&workloads[it.index()])).peekable();
        let works = |id: PodId| self.pods[id.index()].answers && self.is_beside_api(id);
        let is_elsewhere = makers.peek().is_none();
        let mut pods = makers.flat_map(|it| self.pods_of(it));
        self.is_api_available() && (is_elsewhere || pods.any(|id| works(*id)))
    }

    fn lacks_object(&self, id: PodId, is_mounted: bool, now: SimTime) -> bool {
        let pod = &self.pods[id.index()];
        let namespace = &self.blueprint.workloads[pod.workload.index()].namespace;
        let sources = self.tables.template_of(pod).template.spec.sources.iter();
        let mut of_way = sources.filter(|it| it.is_mounted == is_mounted);
        of_way.any(|it| self.is_missing(it.kind, namespace, &it.name, now))
    }

    /// The way of what a pod that starts has to wait for before its containers are made.
    fn missing_mount(&self, id: PodId, now: SimTime) -> Option<ConfigurationWay> {
        if !self.sources.is_used() {
            return None;
        }
        let pod = &self.pods[id.index()];
        let template = &self.tables.template_of(pod).template;
        let namespace = &self.blueprint.workloads[pod.workload.index()].namespace;
        let mut providers = self.blueprint.secret_providers.iter();
        let is_unserved = providers.any(|it| {
            let is_mounted =
                it.namespace == *namespace && template.spec.secret_providers.contains(&it.name);
            is_mounted && !self.store_answers(it.store, now)
        });
        if is_unserved || self.lacks_object(id, true, now) {
            return Some(ConfigurationWay::Volume);
        }
        let lacks =
            is_injected(&template.annotations) && !self.store_answers(SecretStore::AnyVault, now);
        lacks.then_some(ConfigurationWay::Agent)
    }
}
