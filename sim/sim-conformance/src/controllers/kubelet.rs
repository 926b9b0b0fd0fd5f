//! Probe workers, restart back-off, graceful node shutdown.

use std::collections::BTreeMap;

use model_api::kube::{Probe, RestartPolicy};
use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::crash_loop::{Backoff, BackoffConfig, BackoffGates};
use model_kube::node_shutdown::{GroupPeriod, grace, group_periods, groups};
use model_kube::probes::{ContainerStatus, PodStatus, ProbeKind, ProbeWorker, Verdict};
use model_kube::restart_policy::{self, RestartRule};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    match case.operation() {
        "probeWorkerTicks" => check_ticks(case),
        "probeTimeline" => check_timeline(case),
        "backoffCalls" => check_backoff(case),
        "crashLoop" => check_crash_loop(case),
        "gracefulNodeShutdown" => check_shutdown(case),
        _ => None,
    }
}

fn kind(case: &Case<'_>) -> Option<(ProbeKind, &'static str)> {
    match case.given.at("probeType").text() {
        "liveness" => Some((ProbeKind::Liveness, "livenessProbe")),
        "readiness" => Some((ProbeKind::Readiness, "readinessProbe")),
        "startup" => Some((ProbeKind::Startup, "startupProbe")),
        _ => None,
    }
}

fn verdict(tree: Tree<'_>) -> Option<Verdict> {
    match tree.text() {
        "Success" => Some(Verdict::Success),
        "Failure" => Some(Verdict::Failure),
        "Unknown" => Some(Verdict::Unknown),
        _ => None,
    }
}

/// The probe of a pod's container; the defaults when nothing says otherwise.
fn probe_of(pod: Tree<'_>, container: &str, field: &str) -> Probe {
    object::probe(named(pod, &["spec.containers", "spec.initContainers"], container).at(field))
}

/// What bears a name in the first of some lists that has it.
fn named<'a>(pod: Tree<'a>, lists: &[&str], name: &str) -> Tree<'a> {
    let mut all = lists.iter().flat_map(|list| pod.at(list).items());
    all.find(|it| it.at("name").text() == name).unwrap_or(Tree::NULL)
}

fn restart_policy(tree: Tree<'_>) -> Option<RestartPolicy> {
    match tree.text() {
        "Always" => Some(RestartPolicy::Always),
        "OnFailure" => Some(RestartPolicy::OnFailure),
        "Never" => Some(RestartPolicy::Never),
        _ => None,
    }
}

/// Whether the kubelet starts a container again that ended with an exit code.
fn restarts(pod: Tree<'_>, name: &str, exit_code: i32) -> bool {
    let container = named(pod, &["spec.containers", "spec.initContainers"], name);
    let rule = |rule: Tree<'_>| RestartRule {
        is_in: rule.at("exitCodes.operator").text() == "In",
        exit_codes: rule.at("exitCodes.values").items().map(Tree::int32).collect(),
    };
    let rules: Vec<RestartRule> = container.at("restartPolicyRules").items().map(rule).collect();
    let of_pod = restart_policy(pod.at("spec.restartPolicy")).unwrap_or_default();
    restart_policy::restarts(
        of_pod,
        restart_policy(container.at("restartPolicy")),
        &rules,
        exit_code,
    )
}

/// Containers by id, numbered in the order in which they appear.
#[derive(Default)]
struct Containers(Vec<String>);

impl Containers {
    fn number(&mut self, id: &str) -> u64 {
        let found = self.0.iter().position(|known| known == id);
        let place = found.unwrap_or_else(|| {
            self.0.push(id.to_owned());
            self.0.len() - 1
        });
        place as u64
    }

    fn status(&mut self, pod: Tree<'_>, name: &str) -> PodStatus {
        // A status without an id counts as none (doProbe).
        let lists = ["status.containerStatuses", "status.initContainerStatuses"];
        let found = lists
            .iter()
            .map(|list| named(pod, &[list], name))
            .find(|it| !it.at("containerID").text().is_empty());
        let exit_code = found.map_or(0, |it| it.at("state.terminated.exitCode").int32());
        let container = found.map(|container| {
            let id = container.at("containerID").text();
            ContainerStatus {
                id: (!id.is_empty()).then(|| self.number(id)),
                running_since: container.at("state.running.startedAt").time(),
                is_terminated: container.at("state.terminated").is_given(),
                is_started: container.at("started").is_true(),
            }
        });
        PodStatus {
            is_finished: object::is_finished(pod),
            is_terminating: object::is_terminating(pod),
            restarts: restarts(pod, name, exit_code),
            container,
        }
    }
}

fn check_ticks(case: &mut Case<'_>) -> Option<()> {
    let (kind, field) = kind(case)?;
    let container = case.given.at("container").text().to_owned();
    let now = case.given.at("now").time()?;
    let ticks = case.given.at("ticks").items();
    let first = ticks.clone().map(|tick| tick.at("pod")).find(|pod| pod.is_given());
    let probe = probe_of(first.unwrap_or(Tree::NULL), &container, field);
    let mut containers = Containers::default();
    let before = verdict(case.given.at("resultBefore"));
    let mut worker = match (before, first) {
        (Some(stored), Some(pod)) => {
            let known = containers.status(pod, &container).container.and_then(|it| it.id);
            ProbeWorker::resume(kind, probe, known.unwrap_or(0), stored)
        }
        _ => ProbeWorker::new(kind, probe),
    };
    let mut status = None;
    let expected = case.expect.at("ticks").items();
    case.compare("ticks", expected.len(), ticks.len());
    for (nth, (tick, expected)) in ticks.zip(expected).enumerate() {
        if tick.at("podStatusKnown").bool() == Some(false) {
            status = None;
        } else if tick.at("pod").is_given() {
            status = Some(containers.status(tick.at("pod"), &container));
        }
        let goes_on = worker.tick(status.as_ref(), now, || verdict(tick.at("probeResult")));
        let what = |name: &str| format!("ticks.{nth}.{name}");
        case.compare(&what("continue"), expected.at("continue").is_true(), goes_on);
        case.compare(&what("result"), verdict(expected.at("result")), worker.stored());
        if expected.at("resultRun").is_given() {
            case.compare(&what("run"), expected.at("resultRun").count(), worker.run_count());
        }
    }
    Some(())
}

fn check_timeline(case: &mut Case<'_>) -> Option<()> {
    let (kind, field) = kind(case)?;
    let started_at = case.given.at("containerStartedAt").time()?;
    let pods = case.objects("Pod");
    let pod = *pods.first()?;
    let container = pod.at("spec.containers").items().next()?.at("name").text().to_owned();
    let probe = probe_of(pod, &container, field);
    let mut worker = ProbeWorker::new(kind, probe);
    let status = PodStatus {
        is_finished: false,
        is_terminating: false,
        restarts: true,
        container: Some(ContainerStatus {
            id: Some(1),
            running_since: Some(started_at),
            is_terminated: false,
            is_started: kind != ProbeKind::Startup,
        }),
    };
    let delay =
        if case.given.at("failuresAreTimeouts").is_true() { probe.timeout } else { SimSpan::ZERO };
    let results = case.given.at("probeResults").items();
    // A worker that never probed shows the initial verdict, which is no change yet.
    let (mut last, mut changes, mut killed_at) = (None, Vec::new(), None);
    for tick in case.given.at("probeTicksAtSeconds").items() {
        let at = started_at + tick.duration()?;
        let result = results
            .clone()
            .find(|it| it.at("tick").number() == tick.number())
            .map(|it| it.at("result"));
        worker.tick(Some(&status), at, || result.and_then(verdict));
        let stored = worker.stored();
        let was_probed = worker.run_count() > 0 || stored == Some(Verdict::Failure);
        if was_probed && stored != last {
            let is_failure = stored == Some(Verdict::Failure);
            let seen_at = at - started_at + if is_failure { delay } else { SimSpan::ZERO };
            changes.push((seen_at, stored));
            last = stored;
            if is_failure && kind != ProbeKind::Readiness {
                killed_at.get_or_insert(seen_at);
            }
        }
    }
    let read = |tree: Tree<'_>| -> Vec<(SimSpan, Option<Verdict>)> {
        let change =
            |it: Tree<'_>| Some((it.at("atSeconds").duration()?, verdict(it.at("result"))));
        tree.items().filter_map(change).collect()
    };
    case.compare_if_given("resultChanges", read, changes);
    case.compare_if_given("containerKilledAtSeconds", Tree::duration, killed_at);
    Some(())
}

/// What a call on a back-off entry answers.
#[derive(Debug, PartialEq)]
enum Answer {
    Seconds(f64),
    Yes(bool),
}

fn check_backoff(case: &mut Case<'_>) -> Option<()> {
    let config = case.given.at("config");
    let longest = config.at("maxSeconds").duration()?;
    let config = BackoffConfig {
        initial: config.at("initialSeconds").duration()?,
        longest,
        // client-go/util/flowcontrol/backoff.go, hasExpired.
        reset_after: config
            .at("expireAfterSeconds")
            .duration()
            .unwrap_or_else(|| longest.saturating_mul(2)),
    };
    let mut backoff = Backoff::default();
    let mut results: Vec<Answer> = Vec::new();
    // Backs off from a start that is not the origin of time, where an entry would be fresh.
    let base = SimTime::from_days(1);
    for call in case.given.at("calls").items() {
        let at = base + call.at("at").duration()?;
        match call.at("op").text() {
            "next" => backoff.next(at, at, &config),
            "get" => results.push(Answer::Seconds(backoff.delay().as_secs_f64())),
            "inBackoffSince" => {
                let event = base + call.at("event").duration()?;
                results.push(Answer::Yes(backoff.is_waiting(event, at, &config)));
            }
            _ => return None,
        }
    }
    let read = |it: Tree<'_>| match it.number() {
        Some(secs) => Answer::Seconds(secs),
        None => Answer::Yes(it.is_true()),
    };
    let expected: Vec<Answer> = case.expect.at("results").items().map(read).collect();
    case.compare("results", expected, results);
    Some(())
}

fn check_crash_loop(case: &mut Case<'_>) -> Option<()> {
    let settings = case.objects("KubeletConfiguration");
    let settings = *settings.first()?;
    let gate =
        |name: &str, default| settings.at("featureGates").field(name).bool().unwrap_or(default);
    let config = BackoffConfig::of_gates(&BackoffGates {
        is_max_configurable: gate("KubeletCrashLoopBackOffMax", true),
        max_restart_period: settings.at("crashLoopBackOff.maxContainerRestartPeriod").duration(),
        is_decay_reduced: gate("ReduceDefaultCrashLoopBackOffDecay", false),
    });
    let mut backoff = Backoff::default();
    let mut now = SimTime::from_days(1);
    let mut delays = Vec::new();
    for ran in case.given.at("containerRunSeconds").items() {
        let ended_at = now + ran.duration()?;
        now = backoff.restart_at(ended_at, &config);
        delays.push(now - ended_at);
    }
    let read = |tree: Tree<'_>| tree.items().filter_map(Tree::duration).collect::<Vec<_>>();
    case.compare_if_given("restartDelaysSeconds", read, delays);
    Some(())
}

fn check_shutdown(case: &mut Case<'_>) -> Option<()> {
    let settings = case.objects("KubeletConfiguration");
    let settings = *settings.first()?;
    let by_priority = settings.at("shutdownGracePeriodByPodPriority").items();
    let mut periods: Vec<GroupPeriod> = by_priority
        .filter_map(|it| {
            let period = it.at("shutdownGracePeriodSeconds").duration()?;
            Some(GroupPeriod { priority: it.at("priority").int32(), period })
        })
        .collect();
    if periods.is_empty() {
        let period = |name: &str| settings.at(name).duration().unwrap_or(SimSpan::ZERO);
        let critical = period("shutdownGracePeriodCriticalPods");
        periods = group_periods(period("shutdownGracePeriod"), critical);
    }
    let is_on = !periods.is_empty();
    case.compare_if_given("shutdownManagerEnabled", Tree::is_true, is_on);
    let pods = case.objects("Pod");
    let priorities: Vec<i32> = pods.iter().map(|pod| pod.at("spec.priority").int32()).collect();
    let groups = groups(&periods, &priorities);
    let mut graces = BTreeMap::new();
    let mut got = Vec::new();
    for group in &groups {
        for pod in &group.pods {
            // Without a period of its own a pod has what the API fills in.
            let own = pods[*pod].at("spec.terminationGracePeriodSeconds").duration();
            let own = own.unwrap_or(group.period.period);
            graces.insert(object::name(pods[*pod]), grace(group, own).as_secs());
        }
        let names: Vec<String> = group.pods.iter().map(|pod| object::name(pods[*pod])).collect();
        got.push((group.period.priority, group.period.period.as_secs(), names));
    }
    let read = |tree: Tree<'_>| -> Vec<(i32, u64, Vec<String>)> {
        let group = |it: Tree<'_>| {
            (it.at("priority").int32(), u64::from(it.at("seconds").count()), it.at("pods").texts())
        };
        tree.items().map(group).collect()
    };
    case.compare_if_given("groups", read, got);
    let read = |tree: Tree<'_>| -> BTreeMap<String, u64> {
        tree.fields().map(|(name, it)| (name.to_owned(), u64::from(it.count()))).collect()
    };
    case.compare_if_given("gracePeriodSeconds", read, graces);
    Some(())
}
