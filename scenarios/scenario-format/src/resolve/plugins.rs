//! Plugins of Kong: `KongPlugin`, `KongClusterPlugin`, and who they are for.

use model_api::limiter::{LimitBy, Period, Store};
use model_api::{ServiceId, SimSpan};

use super::Resolver;
use super::calls::named_service;
use super::kong::annotation;
use super::limits::Written;
use crate::decode::FromText;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{LimitByName, LimitPolicy};
use crate::manifest::Object;
use crate::nearest::suggestion;
use crate::source::Spanned;
use crate::yaml::Node;

const PLUGIN: &str = "KongPlugin";
const CLUSTER_PLUGIN: &str = "KongClusterPlugin";
const CONSUMER: &str = "KongConsumer";
/// The one that is simulated.
const RATE_LIMITING: &str = "rate-limiting";
/// `redis.port` of the plugin.
const REDIS_PORT: &str = "6379";

/// A plugin, and whose requests meet it.
struct Attached<'o> {
    plugin: &'o Object,
    service: Option<ServiceId>,
    tenant: Option<String>,
}

fn text<'o>(object: &'o Object, path: &[&str]) -> Option<&'o str> {
    object.node.at(path).and_then(Node::text)
}

fn plugin_name(object: &Object) -> &str {
    text(object, &["plugin"]).unwrap_or_default()
}

fn is_plugin(object: &Object) -> bool {
    [PLUGIN, CLUSTER_PLUGIN].contains(&object.key.kind.as_str())
}

impl<'a> Resolver<'a> {
    /// The rate limits that manifests bring, the most particular kind of attachment first: consumers, then
    /// routes (Ingresses, HTTPRoutes), then Services, then those for all requests.
    pub(super) fn plugin_limits(&mut self) -> Vec<Written> {
        let mut all = Vec::new();
        for Attached { plugin, service, tenant } in self.attached_plugins() {
            let is_off = text(plugin, &["disabled"]) == Some("true");
            if plugin_name(plugin) != RATE_LIMITING || is_off {
                continue;
            }
            if let Some(written) = self.plugin_limit(plugin) {
                let written = Written { service, tenant, ..written };
                all.push(written);
            }
        }
        all
    }

    fn attached_plugins(&mut self) -> Vec<Attached<'a>> {
        let manifests = self.manifests;
        let objects = &manifests.objects;
        let mut all: Vec<Attached<'a>> = Vec::new();
        let mut unknown: Vec<Diagnostic> = Vec::new();
        let mut named = |object: &Object| plugins_of(objects, object, &mut unknown);
        for consumer in objects.iter().filter(|it| it.key.kind == CONSUMER) {
            let name = text(consumer, &["username"]).unwrap_or(&consumer.key.name).to_owned();
            all.extend(named(consumer).into_iter().map(|plugin| Attached {
                plugin,
                service: None,
                tenant: Some(name.clone()),
            }));
        }
        let services = || self.blueprint.services.iter().enumerate();
        for ingress in &manifests.ingresses {
            let its = &ingress.value;
            let is_its = |(_, it): &(usize, &model_api::kube::Service)| {
                it.namespace == its.namespace && it.name == its.service_name
            };
            let Some((service, _)) = services().find(is_its) else { continue };
            let service = Some(ServiceId::from_index(service));
            for plugin in named(manifests.object(ingress)) {
                let is_known =
                    |it: &Attached<'_>| it.service == service && it.plugin.key == plugin.key;
                if !all.iter().any(is_known) {
                    all.push(Attached { plugin, service, tenant: None });
                }
            }
        }
        for (service, sourced) in manifests.services.iter().enumerate() {
            let service = Some(ServiceId::from_index(service));
            let plugins = named(manifests.object(sourced)).into_iter();
            all.extend(plugins.map(|plugin| Attached { plugin, service, tenant: None }));
        }
        let is_global = |object: &&Object| {
            object.key.kind == CLUSTER_PLUGIN
                && text(object, &["metadata", "labels", "global"]) == Some("true")
        };
        let global = objects.iter().filter(is_global);
        all.extend(global.map(|plugin| Attached { plugin, service: None, tenant: None }));
        let mine = unknown.into_iter().filter(|it| it.span.is_none_or(|span| self.is_mine(span)));
        let mine: Vec<Diagnostic> = mine.collect();
        self.diagnostics.extend(mine);
        all
    }

    /// The limits of a plugin, for everybody.
    fn plugin_limit(&mut self, plugin: &Object) -> Option<Written> {
        let manifests = self.manifests;
        let config = |path: &[&str]| {
            let whole: Vec<&str> = std::iter::once("config").chain(path.iter().copied()).collect();
            plugin.node.at(&whole)
        };
        let mut is_wrong = false;
        let mut limits = Vec::new();
        for period in Period::ALL {
            let Some(node) = config(&[period.name()]) else { continue };
            match node.text().and_then(|text| text.parse::<u64>().ok()) {
                Some(value) => limits.push((period, Spanned { value, span: node.span })),
                None => {
                    is_wrong = self.refuse_plugin(plugin, node, "a whole number is wanted here")
                }
            }
        }
        let by = match config(&["limit_by"]) {
            None => LimitBy::default(),
            Some(node) => match LimitByName::from_text(node.text().unwrap_or_default()) {
                Ok(LimitByName(by)) => by,
                Err(reason) => {
                    is_wrong = self.refuse_plugin(plugin, node, &format!("`limit_by` {reason}"));
                    LimitBy::default()
                }
            },
        };
        let policy = match config(&["policy"]) {
            None => Spanned { value: LimitPolicy::Local, span: plugin.name_span },
            Some(node) => match LimitPolicy::from_text(node.text().unwrap_or_default()) {
                Ok(value) => Spanned { value, span: node.span },
                Err(reason) => {
                    is_wrong = self.refuse_plugin(plugin, node, &format!("`policy` {reason}"));
                    Spanned { value: LimitPolicy::Local, span: node.span }
                }
            },
        };
        // The names of Kong 3.8 and later, then the older ones.
        let either = |new: &str, old: &str| config(&["redis", new]).or_else(|| config(&[old]));
        let host = either("host", "redis_host").and_then(Node::text);
        let port = either("port", "redis_port").and_then(Node::text).unwrap_or(REDIS_PORT);
        let store = host.filter(|_| policy.value == LimitPolicy::Redis).and_then(|host| {
            let namespace = &plugin.key.namespace;
            named_service(manifests, namespace, &format!("{host}:{port}")).map(Store::Service)
        });
        let millis = |node: &Node| node.text()?.parse().ok().map(SimSpan::from_millis);
        let seconds = |node: &Node| {
            let secs: f64 = node.text()?.parse().ok()?;
            (secs > 0.0).then(|| SimSpan::from_secs_f64_rounded(secs))
        };
        let written = Written {
            name: plugin.key.name.clone(),
            service: None,
            tenant: None,
            limits,
            by,
            policy,
            store,
            timeout: either("timeout", "redis_timeout").and_then(millis),
            sync_every: config(&["sync_rate"]).and_then(seconds),
            connecting_ppm: 0,
            is_fault_tolerant: config(&["fault_tolerant"]).and_then(Node::text) != Some("false"),
            span: plugin.name_span,
            origin: plugin.origin.clone(),
        };
        (!is_wrong).then_some(written)
    }

    fn refuse_plugin(&mut self, plugin: &Object, node: &Node, what: &str) -> bool {
        self.report(Code::E0100, node.span, format!("{}: {what}", plugin.title()));
        true
    }

    /// Warns of plugins that are not simulated, and of limits where no gateway is.
    pub(super) fn check_plugins(&mut self, has_gateways: bool) {
        let manifests = self.manifests;
        for object in manifests.objects.iter().filter(|object| is_plugin(object)) {
            if !self.is_mine(object.name_span) || text(object, &["disabled"]) == Some("true") {
                continue;
            }
            let name = plugin_name(object);
            let (message, help) = match name {
                RATE_LIMITING if object.node.get("configFrom").is_some() => (
                    "what its Secret says is not known, so that it limits nothing".to_owned(),
                    "write its settings under `config`",
                ),
                RATE_LIMITING if has_gateways => continue,
                RATE_LIMITING => (
                    "it limits nothing, because no gateway is simulated that keeps it".to_owned(),
                    "add gateways: [{service: namespace/name}], and name it as `via` of a load",
                ),
                "rate-limiting-advanced" => (
                    "`rate-limiting-advanced` of Kong Enterprise is not simulated: it limits nothing"
                        .to_owned(),
                    "state `rateLimits` of the gateway that come close to it",
                ),
                _ => (
                    format!("what `{name}` does to requests is not simulated"),
                    "state what it costs or refuses as `cpuPerRequest` and `rateLimits`",
                ),
            };
            let message = format!("{}: {message}", object.title());
            let diagnostic = Diagnostic::new(Code::W0213, object.name_span, message);
            self.diagnostics.push(diagnostic.help(help));
        }
    }
}

/// The plugins that an object names, in the order written: `name`, or `namespace:name`.
fn plugins_of<'o>(
    objects: &'o [Object],
    object: &Object,
    unknown: &mut Vec<Diagnostic>,
) -> Vec<&'o Object> {
    let Some(names) = annotation(object, "plugins") else { return Vec::new() };
    let mut found = Vec::new();
    for name in names.value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let (namespace, name) = name.split_once(':').unwrap_or((&object.key.namespace, name));
        let is_here = |it: &&Object| {
            is_plugin(it) && (it.key.kind == CLUSTER_PLUGIN || it.key.namespace == namespace)
        };
        let here = || objects.iter().filter(is_here);
        // One of the namespace goes before one of the cluster.
        let named = here().filter(|it| it.key.name == name);
        match named.min_by_key(|it| it.key.kind == CLUSTER_PLUGIN) {
            Some(plugin) => found.push(plugin),
            None => {
                let message = format!(
                    "{}: there is no {PLUGIN} `{name}` in `{namespace}`, so that it does nothing",
                    object.title()
                );
                let diagnostic = Diagnostic::new(Code::W0213, names.span, message);
                let known: Vec<&str> = here().map(|it| it.key.name.as_str()).collect();
                unknown.push(diagnostic.help_if(suggestion(name, known)));
            }
        }
    }
    found
}
