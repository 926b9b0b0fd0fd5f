//! Images: which ones a node has, and registries that give it the others.
//!
//! # Modelled
//! A cache on every node, one pull at a time a node, `imagePullPolicy`, registries that do not
//! answer and the kubelet's back-off (`ImagePullBackOff`). A registry that runs in this cluster (an
//! Ingress has its host) answers while every Service that a pull stands on has a living endpoint
//! ([`Registry`]: gateways, what the Service asks, the primaries of its databases): the cluster that
//! feeds on it cannot start what it needs to bring it back.
//! # Not modelled
//! Sizes and shared layers, mirrors, limits of registries, what a registry of our own needs and nobody
//! stated. Which images a kubelet deletes when its disk fills: of those that nobody uses a
//! sum is stated ([`super::node_pressure`]), and what was pulled stays.
//! # Defaults and their sources
//! `pkg/kubelet/images/image_manager.go`, `pkg/kubelet/kubelet.go` (`imageBackOffPeriod` 10 s,
//! `MaxImageBackOff` 300 s), Kubernetes 1.36.
//! # Invariants
//! A node that has an image under `IfNotPresent` never asks a registry for it.
//! # Checked against
//! Timelines worked out by hand.

use model_api::kube::{Container, registry_host};
use model_api::{Blueprint, NodeId, Observation, PodId, Registry, ServiceId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime};

use super::pod::{Pull, Step};
use super::templates::{TemplateId, TemplateTable};
use super::{Cluster, KubeEvent, drawn};
use crate::rare;

const PULL: Purpose = Purpose::new("image pull");
const PULL_REQUEUE: Purpose = Purpose::new("image pull requeue");

/// First wait after a failed pull (`imageBackOffPeriod`).
const BACKOFF_LEAST: SimSpan = SimSpan::from_secs(10);
/// Longest one (`MaxImageBackOff`).
const BACKOFF_MOST: SimSpan = SimSpan::from_secs(300);
/// The pod worker comes late to a back-off by up to this.
const REQUEUE_MOST: SimSpan = SimSpan::from_secs(30);

/// How long the kubelet waits after the n-th failed pull of an image in a row, from 1.
fn pull_backoff(failure_count: u32) -> SimSpan {
    let doublings = failure_count.saturating_sub(1).min(5);
    (BACKOFF_LEAST * (1 << doublings)).min(BACKOFF_MOST)
}

/// Where images come from.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageTables {
    /// By image: the number of its registry.
    registry_by_image: Vec<usize>,
    /// By registry: its host.
    hosts: Vec<String>,
    /// By registry: Services of this cluster that it stands on.
    services: Vec<Vec<ServiceId>>,
    /// By template: images that are asked for at every start.
    always_pulled: Vec<Vec<u32>>,
}

impl ImageTables {
    /// `names` are the images by number.
    pub(super) fn of(blueprint: &Blueprint, templates: &[TemplateTable], names: &[String]) -> Self {
        let mut tables = Self::default();
        for name in names {
            let host = registry_host(name);
            let known = tables.hosts.iter().position(|known| known == host);
            let registry = known.unwrap_or_else(|| {
                tables.hosts.push(host.to_owned());
                tables.services.push(Registry::of(blueprint, host).services.into_iter().collect());
                tables.hosts.len() - 1
            });
            tables.registry_by_image.push(registry);
        }
        for table in templates {
            let spec = &table.template.spec;
            let containers = spec.init_containers.iter().chain(&spec.containers);
            let always = containers.filter(|container| container.always_pulls);
            let number = |container: &Container| {
                let found = names.iter().position(|name| *name == container.image);
                found.and_then(|idx| u32::try_from(idx).ok())
            };
            tables.always_pulled.push(always.filter_map(number).collect());
        }
        tables
    }
}

impl Cluster {
    /// Lets registries answer or not: the one of that host, or all. How many there are.
    pub fn set_registry_available<E, R>(
        &mut self,
        host: Option<&str>,
        is_available: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = self.tables.clone();
        let now = ctx.now();
        let mut count = 0;
        for (registry, known) in tables.registries.hosts.iter().enumerate() {
            if host.is_some_and(|host| host != known) {
                continue;
            }
            count += 1;
            self.silent_registries.retain(|silent| *silent != registry);
            if is_available {
                continue;
            }
            self.silent_registries.push(registry);
            // What is being pulled breaks off.
            let breaks = |image: u32, at: SimTime| {
                at > now && tables.registries.registry_by_image[image as usize] == registry
            };
            for node in &mut self.nodes {
                node.drop_images(breaks);
            }
        }
        count
    }

    fn answers_pulls(&self, image: u32) -> bool {
        let registries = &self.tables.registries;
        let registry = registries.registry_by_image[image as usize];
        let mut services = registries.services[registry].iter();
        !self.silent_registries.contains(&registry)
            && services.all(|service| self.endpoint_counts(*service).1 > 0)
    }

    fn is_always_pulled(&self, template: TemplateId, image: u32) -> bool {
        self.tables.registries.always_pulled[template.index()].contains(&image)
    }

    /// Has the images of a pod ready at `from` or as soon as they are there.
    pub(super) fn expect_images<E, R>(
        &mut self,
        id: PodId,
        from: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let node = &self.nodes[pod.node.expect("containers run on nodes").index()];
        let mut there_at = Some(from);
        for image in &self.tables.template_of(pod).images {
            let known = node.image_at(*image);
            let known = known.filter(|_| !self.is_always_pulled(pod.template, *image));
            there_at = there_at.zip(known).map(|(a, b)| a.max(b));
        }
        match there_at {
            Some(at) => self.set_step(id, Step::Pulled, at, ctx),
            None => self.set_step(id, Step::PullDue, from, ctx),
        }
    }

    /// Whether the node of a pod has all its images now.
    pub(super) fn has_images(&self, id: PodId, now: SimTime) -> bool {
        let pod = &self.pods[id.index()];
        let node = &self.nodes[pod.node.expect("containers run on nodes").index()];
        let mut images = self.tables.template_of(pod).images.iter();
        images.all(|image| node.image_at(*image).is_some_and(|at| at <= now))
    }

    /// The kubelet asks registries for what is missing, one image at a time
    /// (`serializeImagePulls`), each once.
    pub(super) fn on_pull_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let template = pod.template;
        let node = pod.node.expect("containers run on nodes");
        let tables = self.tables.clone();
        let mut at = ctx.now();
        for image in &tables.template_of(&self.pods[id.index()]).images {
            let known = self.nodes[node.index()].image_at(*image);
            let asks = known.is_none() || self.is_always_pulled(template, *image);
            if asks && !self.answers_pulls(*image) {
                self.back_off_from_pull(id, ctx);
                return;
            }
            let there_at = known.unwrap_or_else(|| self.pull(node, *image, at, ctx));
            at = at.max(there_at);
        }
        self.pods[id.index()].pull = Pull::default();
        self.set_step(id, Step::Pulled, at, ctx);
    }

    fn pull<E, R>(
        &mut self,
        node_id: NodeId,
        image: u32,
        from: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) -> SimTime
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let key = self.tables.node_keys[node_id.index()].child(self.tables.image_name(image));
        // Simplified: a pull that broke off takes as long again.
        let span = drawn(self.draw(key, PULL, 0), self.blueprint.parameters.image_pull);
        let node = &mut self.nodes[node_id.index()];
        if node.pull_free_at > from {
            ctx.hit(&rare::PULL_QUEUED);
        }
        let there_at = node.pull_free_at.max(from) + span;
        node.pull_free_at = there_at;
        node.add_image(image, there_at);
        there_at
    }

    fn back_off_from_pull<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::PULL_FAILED);
        let pod = &mut self.pods[id.index()];
        let (workload, is_first) = (pod.workload, pod.pull.failure_count == 0);
        pod.pull.failure_count += 1;
        pod.pull.wait_count += 1;
        let backoff = pull_backoff(pod.pull.failure_count);
        let (key, occurrence) = (pod.key, u64::from(pod.pull.wait_count));
        let late_most = (backoff / 2).min(REQUEUE_MOST);
        let late = self.draw(key, PULL_REQUEUE, occurrence).span_between(SimSpan::ZERO, late_most);
        if is_first {
            ctx.observe(|| Observation::PodImagePullFailed { pod: id, workload });
        }
        self.set_step(id, Step::PullDue, ctx.now() + backoff + late, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_back_off_to_five_minutes() {
        let waits: Vec<u64> = (1..=7).map(|count| pull_backoff(count).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }
}
