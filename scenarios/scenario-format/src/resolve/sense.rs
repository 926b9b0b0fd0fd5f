//! What can be run and says nothing: promises that hold or break whatever happens (W0236), or that
//! the end of a run leaves open (W0235), faults that last no time (W0237), a control plane that nobody
//! runs (W0238 to W0240), and machines that hold nothing, which are refused (E0021).
//!
//! What ships is not complained about: who runs it cannot change it.

use model_api::blueprint::Assumption;
use model_api::control_plane::EndpointReconciler;
use model_api::fault::{Fault, Start};
use model_api::guarantee::figure::{DATABASES, POOLS, SERVICES, WORKLOADS};
use model_api::guarantee::{Comparison, Guarantee, Limit, Promise, Subject};
use model_api::{Origin, Parameters, ServiceId, SimSpan, SimTime, ZoneId};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{FaultSpec, MinorVersion, NodePoolSpec, PlatformSpec};
use crate::library;
use crate::manifest::Tier;
use crate::sentence::{PromiseSpec, Sentence};
use crate::source::{Span, Spanned};

/// The minor version that the models follow.
const MINOR_MODELED: u16 = 36;
/// Older than anybody runs: 1.19 was the first release with a year of support.
const MINOR_MIN: u16 = 19;
/// Less memory than a kubelet itself takes.
const MEMORY_BYTES_MIN: u64 = 64 << 20;
/// More than any machine has; the scheduler scores hundreds of it in 64 bits.
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// More than any machine has: a million cores.
const CPU_MILLIS_MAX: u64 = 1_000_000_000;

/// Says why no pod can stand on a node of a pool, if so.
pub(super) fn refuse_empty_pool(pool: &NodePoolSpec, diagnostics: &mut Vec<Diagnostic>) {
    let mut refuse = |span: Span, message: String, help: Option<String>| {
        diagnostics.push(Diagnostic::new(Code::E0021, span, message).help_if(help));
    };
    if pool.cpu.value.millis == 0 {
        refuse(pool.cpu.span, "a node without cpu runs nothing".to_owned(), None);
    }
    if pool.pods.is_some_and(|pods| pods.value == 0) {
        let span = pool.pods.map_or(pool.span, |pods| pods.span);
        refuse(span, "a node that holds 0 pods runs nothing".to_owned(), None);
    }
    if pool.cpu.value.millis > CPU_MILLIS_MAX {
        let message = format!("a node has at most {} cores", CPU_MILLIS_MAX / 1000);
        refuse(pool.cpu.span, message, None);
    }
    let bytes = pool.memory.value.count;
    if bytes > MEMORY_BYTES_MAX {
        refuse(pool.memory.span, "a node has at most 1 PiB of memory".to_owned(), None);
    }
    if bytes < MEMORY_BYTES_MIN {
        let what = if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
        let message = format!("a node with {what} of memory runs nothing");
        refuse(pool.memory.span, message, Some("memory has a unit: 16Gi".to_owned()));
    }
}

impl Resolver<'_> {
    /// Warns, unless the place ships with the program.
    fn question(&mut self, code: Code, span: Span, message: impl Into<String>, help: &str) {
        let file = self.blueprint.files.get(span.at.file_idx as usize);
        if file.is_some_and(|file| file.starts_with(library::PREFIX)) {
            return;
        }
        let help = Some(help.to_owned()).filter(|help| !help.is_empty());
        self.diagnostics.push(Diagnostic::new(code, span, message).help_if(help));
    }

    /// W0235 and W0236 of a sentence.
    pub(super) fn question_sentence(&mut self, sentence: &Sentence, span: Span, faults: &[Fault]) {
        if sentence.share.is_some_and(|share| share.ppm == 0) {
            let message = "`for 0% of runs` holds whatever happens";
            self.question(Code::W0236, span, message, "write `for 99% of runs`, or leave it away");
        }
        if let Some(message) = decided(&sentence.promise, self.horizon) {
            self.question(Code::W0236, span, message, "");
        }
        let Some((needed, what)) = needs_after_faults(&sentence.promise) else { return };
        let counts_from_end =
            matches!(sentence.promise, PromiseSpec::Returns { after_end: true, .. });
        let counted = |fault: &Fault| {
            let lasts = fault.duration.filter(|_| counts_from_end).unwrap_or(SimSpan::ZERO);
            latest(fault)?.checked_add(lasts)
        };
        let struck = faults.iter().filter_map(|fault| Some((fault, counted(fault)?)));
        let Some((fault, at)) = struck.max_by_key(|(_, at)| *at) else { return };
        if at < self.end() && at.saturating_add(needed) > self.end() {
            let message = format!(
                "the run ends after {}, and `{}` may {} at {}: {what} of {needed} cannot be told \
                 from a longer one then",
                self.horizon,
                fault.name,
                if counts_from_end && fault.duration.is_some() { "end" } else { "strike" },
                at.saturating_since(SimTime::ZERO),
            );
            let help = "let the run last longer, or the fault strike earlier";
            self.question(Code::W0235, span, message, help);
        }
    }

    /// W0236 of an expression.
    pub(super) fn question_expression(&mut self, source: &Spanned<String>) {
        let names = [SERVICES, DATABASES, POOLS, WORKLOADS];
        if !names.iter().any(|name| source.value.contains(name)) {
            let message = "this expression looks at no figure of a run";
            let help =
                "there are `services` and `databases`: services['shop/web'].lostRequests < 100";
            self.question(Code::W0236, source.span, message, help);
        }
    }

    /// W0237, and W0235 of a window that reaches past the end of the run.
    pub(super) fn question_fault(&mut self, spec: &FaultSpec) {
        if let Some(until) = spec.start_keys().within.map(|window| window.until)
            && until.value >= self.end()
        {
            let message = format!(
                "the window reaches past the end of the run, {}: in some runs nothing strikes",
                self.horizon
            );
            self.question(Code::W0235, until.span, message, "let the run last longer");
        }
        let Some(duration) = spec.start_keys().duration else { return };
        if duration.value.is_zero() {
            let message = format!("{} lasts no time, so it changes nothing", spec.kind());
            self.question(Code::W0237, duration.span, message, "say how long, such as for: 10m");
        } else if let FaultSpec::LoadSpike(spike) = spec
            && let Some(ramp) = spike.ramp.filter(|ramp| ramp.value > duration.value)
        {
            let message = format!(
                "the ramp of {} is longer than the spike, {}: its factor is never reached",
                ramp.value, duration.value
            );
            self.question(Code::W0237, ramp.span, message, "shorten the ramp");
        }
    }

    /// Who brings Services and names no load and no promise for them gets verdicts of others only, which
    /// is said beside them.
    pub(super) fn name_the_unjudged(&mut self, guarantees: &[Guarantee]) {
        let mut unjudged: Vec<(String, Origin)> = Vec::new();
        for (idx, sourced) in self.manifests.services.iter().enumerate() {
            let object = self.manifests.object(sourced);
            let id = ServiceId::from_index(idx);
            if object.tier != Tier::CommandLine || sourced.value.selector.is_empty() {
                continue;
            }
            let is_called = self.blueprint.profiles.iter().any(|it| it.depends_on.contains(&id))
                || self.blueprint.loads.iter().any(|load| load.via == Some(id));
            let is_asked = self.blueprint.loads.iter().any(|load| load.service == id);
            let is_promised = guarantees.iter().any(|it| looks_at(&it.promise, id));
            let is_judged = is_called || (is_asked && is_promised);
            if !is_judged {
                unjudged.push((self.names.services[idx].clone(), sourced.value.origin.clone()));
            }
        }
        let Some((_, origin)) = unjudged.first().cloned() else { return };
        const NAMED_MAX: usize = 5;
        let names: Vec<&str> =
            unjudged.iter().take(NAMED_MAX).map(|(name, _)| name.as_str()).collect();
        let more = match unjudged.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let text = format!(
            "nothing is judged of Services of -f that get no load or no guarantee: {}{more}",
            names.join(", ")
        );
        self.blueprint.assumptions.insert(0, Assumption { text, origin, is_about_nodes: false });
    }

    /// W0238 to W0240.
    pub(super) fn question_platform(&mut self, spec: &PlatformSpec, voter_zones: &[ZoneId]) {
        self.question_quorum(spec, voter_zones);
        self.question_controllers(spec);
        let pools = spec.node_pools.iter().filter_map(|pool| pool.version);
        for version in spec.control_plane.version.into_iter().chain(pools) {
            self.question_version(&version);
        }
        let older =
            spec.control_plane.version.filter(|version| version.value.0.minor < MINOR_MODELED);
        if let Some(version) = older {
            let text = format!(
                "Kubernetes 1.{} decides as 1.{MINOR_MODELED} does; of defaults that differ, \
                 nodeMonitorGracePeriod is that of its version",
                version.value.0.minor
            );
            self.assume(text, &version.span.origin());
        }
        let Some(given) = &spec.parameters else { return };
        let Some(grace) = given.node_monitor_grace_period else { return };
        // A kubelet renews its lease at a quarter of its length (pkg/kubelet/kubelet.go,
        // `renewIntervalFraction`): 10 s of 40 s.
        let default = Parameters::default().lease_renew_period;
        let renewal = given.lease_renew_period.map_or(default, |renewal| renewal.value);
        if grace.value <= renewal {
            let message = format!(
                "a kubelet renews its lease every {renewal}; who gives up after {} finds every node \
                 silent again and again",
                grace.value
            );
            let help = "the default is 50s; kube-controller-manager wants several renewals";
            self.question(Code::W0240, grace.span, message, help);
        }
    }

    /// W0360: all replicas of a controller go with one zone, or there is one only. W0361: an endpoint
    /// reconciler that takes no address away.
    fn question_controllers(&mut self, spec: &PlatformSpec) {
        let control_plane = &spec.control_plane;
        let stated = [
            ("controller manager", &control_plane.controller_manager),
            ("scheduler", &control_plane.scheduler),
        ];
        for (what, stated) in stated {
            let Some(first) = stated.as_ref().and_then(|it| it.zones.first()) else { continue };
            let zones = &stated.as_ref().expect("it has a first zone").zones;
            let is_in_one = zones.iter().all(|zone| zone.value == first.value);
            if is_in_one && spec.zones.len() > 1 {
                let message = format!(
                    "with zone {} every {what} is gone: while it is away nothing of what it does is done",
                    first.value
                );
                self.question(Code::W0360, first.span, message, "put replicas into two zones");
            }
        }
        let reconciler = control_plane.endpoint_reconciler_type;
        if let Some(none) = reconciler.filter(|it| it.value == EndpointReconciler::None) {
            let message =
                "nothing takes the address of a dead API server out of the Service kubernetes";
            self.question(Code::W0361, none.span, message, "write `lease`, the default");
        }
    }

    /// W0205: a member of etcd that adds no tolerance. W0238: whichever zone is lost takes the quorum
    /// with it.
    fn question_quorum(&mut self, spec: &PlatformSpec, voter_zones: &[ZoneId]) {
        let etcd = spec.control_plane.etcd.as_ref();
        let stated = etcd.map_or(&spec.control_plane.zones, |etcd| &etcd.zones);
        let span = stated.first().map_or(spec.span, |zone| zone.span);
        let mut zones = voter_zones.to_vec();
        zones.sort();
        zones.dedup();
        let count_in = |zone: &ZoneId| voter_zones.iter().filter(|it| *it == zone).count();
        let takes_quorum = |zone: &ZoneId| 2 * count_in(zone) >= voter_zones.len();
        if zones.len() > 1 && zones.iter().all(takes_quorum) {
            let message = format!(
                "{} members of etcd in {} zones: whichever zone is lost, etcd loses its majority",
                voter_zones.len(),
                zones.len()
            );
            self.question(Code::W0238, span, message, "put one member into each of three zones");
        } else if etcd.is_some() && voter_zones.len() > 1 && voter_zones.len().is_multiple_of(2) {
            let message = format!(
                "{} members of etcd outlive the loss of {}, and so do {}",
                voter_zones.len(),
                voter_zones.len() / 2 - 1,
                voter_zones.len() - 1
            );
            let help = "an odd number of members: one less, or one more";
            self.question(Code::W0205, span, message, help);
        }
    }

    /// W0239.
    fn question_version(&mut self, version: &Spanned<MinorVersion>) {
        let minor = version.value.0.minor;
        if minor < MINOR_MIN {
            let help = match minor {
                2 | 3 => format!("was \"1.{minor}0\" meant? Without quotes YAML drops the zero"),
                _ => String::new(),
            };
            let message = format!("nobody runs Kubernetes 1.{minor} any more");
            self.question(Code::W0239, version.span, message, &help);
        } else if minor > MINOR_MODELED {
            let message = format!("the models follow Kubernetes 1.{MINOR_MODELED}, not 1.{minor}");
            self.question(Code::W0239, version.span, message, "");
        }
    }
}

/// Why a promise holds, or breaks, whatever happens.
fn decided(promise: &PromiseSpec, horizon: SimSpan) -> Option<String> {
    let of_share = |limit: &Limit<u32>| match (limit.comparison, limit.value) {
        (Comparison::GreaterOrEqual, 0) => {
            Some("an availability of 0 % holds whatever happens".to_owned())
        }
        (Comparison::Greater, 1_000_000) => {
            Some("no availability is more than 100 %, so this breaks whatever happens".to_owned())
        }
        _ => None,
    };
    match promise {
        PromiseSpec::Availability { limit, .. } => of_share(limit),
        PromiseSpec::AvailabilityIn { window, .. } if *window > horizon => Some(format!(
            "a window of {window} does not fit into a run of {horizon}, so nothing is judged"
        )),
        PromiseSpec::AvailabilityIn { limit, .. } => of_share(limit),
        PromiseSpec::Latency { limit, .. } if limit.value.is_zero() => {
            Some("every answer takes some time, so this breaks whatever happens".to_owned())
        }
        PromiseSpec::Rto { limit, .. } | PromiseSpec::Rpo { limit, .. }
            if limit.value.is_zero() && limit.comparison == Comparison::Less =>
        {
            Some("nothing takes less than no time, so this breaks whatever happens".to_owned())
        }
        _ => None,
    }
}

/// How much time a promise needs after the last fault to be told kept from broken, and of what.
fn needs_after_faults(promise: &PromiseSpec) -> Option<(SimSpan, &'static str)> {
    match promise {
        PromiseSpec::Rto { limit, .. } => Some((limit.value, "an outage")),
        PromiseSpec::Returns { within, .. } => Some((*within, "a return")),
        _ => None,
    }
}

/// The last moment at which a fault may strike, where its time is stated.
fn latest(fault: &Fault) -> Option<SimTime> {
    match fault.start {
        Start::At(at) => Some(at),
        Start::Within(_, until) => Some(until),
        Start::When { .. } => None,
    }
}

/// Whether a promise is about a Service; an expression may be about any.
fn looks_at(promise: &Promise, id: ServiceId) -> bool {
    match promise {
        Promise::Availability { service, .. }
        | Promise::AvailabilityIn { service, .. }
        | Promise::BudgetBurn { service, .. }
        | Promise::Alert { service, .. }
        | Promise::Latency { service, .. }
        | Promise::Returns { service, .. }
        | Promise::StaticallyStable { service, .. }
        | Promise::Rto { subject: Subject::Service(service), .. } => *service == id,
        Promise::Cel { .. } => true,
        _ => false,
    }
}
