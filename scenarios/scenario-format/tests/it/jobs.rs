//! Jobs and CronJobs: what is filled in, what the user says of them, what is refused.

use model_api::action::Action;
use model_api::fault::FaultKind;
use model_api::guarantee::Promise;
use model_api::kube::{ConcurrencyPolicy, FailureAction, Job, JobSpec, WorkloadKind};
use model_api::{SimSpan, SimTime};

use crate::support::{load_all, said, web};

const TEMPLATE: &str = "{metadata: {labels: {app: m}}, spec: {restartPolicy: Never, containers: [{name: m, image: 'm:1'}]}}";

fn job(spec: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate, namespace: shop}}\nspec:\n  template: {TEMPLATE}\n{spec}"
    )
}

fn cron_job(spec: &str, of_job: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly, namespace: shop}}\nspec:\n{spec}  jobTemplate:\n    spec:\n      template: {TEMPLATE}\n{of_job}"
    )
}

/// The Job of a manifest beside a scenario with more keys.
fn read(manifest: &str, more: &str) -> Job {
    let files = web(more).with("j.yaml", manifest);
    let loaded = load_all(&files, &["web.yaml", "j.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let kinds = resolved.blueprint.workloads.iter().map(|it| it.kind.clone());
    let mut found = kinds.filter_map(|kind| match kind {
        WorkloadKind::Job(job) => Some(*job),
        _ => None,
    });
    found.next_back().expect("a Job")
}

#[test]
fn defaults_are_those_of_the_api_server() {
    let plain = read(&job(""), "");
    assert_eq!(plain.spec, JobSpec::default());
    assert_eq!((plain.cron, plain.starts_at), (None, SimTime::ZERO));
    assert_eq!(plain.work.median, SimSpan::from_mins(5));
    let queue = read(&job("  parallelism: 3\n"), "").spec;
    assert_eq!((queue.parallelism, queue.completions), (3, None));
    let fixed = read(&job("  completions: 3\n"), "").spec;
    assert_eq!((fixed.parallelism, fixed.completions), (1, Some(3)));
    let indexed = "  completions: 3\n  completionMode: Indexed\n  backoffLimitPerIndex: 1\n";
    let indexed = read(&job(indexed), "").spec;
    assert_eq!((indexed.is_indexed, indexed.backoff_limit_per_index), (true, Some(1)));
    assert_eq!(indexed.backoff_limit, i32::MAX.unsigned_abs());
    let policy = "  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}\n";
    let policy = read(&job(policy), "").spec;
    assert_eq!(policy.failure_rules[0].action, FailureAction::Ignore);
    assert!(policy.replaces_failed_only, "with a policy a pod is replaced once it has failed");
}

#[test]
fn a_cron_job_is_its_jobs_and_when_they_are_made() {
    let spec =
        "  schedule: '0 2 * * *'\n  concurrencyPolicy: Forbid\n  startingDeadlineSeconds: 60\n";
    let found = read(&cron_job(spec, "      activeDeadlineSeconds: 1800\n"), "");
    let cron = found.cron.expect("a schedule");
    assert_eq!(cron.concurrency, ConcurrencyPolicy::Forbid);
    assert_eq!(cron.starting_deadline, Some(SimSpan::from_secs(60)));
    assert_eq!((cron.kept_complete, cron.kept_failed), (3, 1));
    assert_eq!(found.spec.active_deadline, Some(SimSpan::from_secs(1800)));
}

#[test]
fn what_pods_do_is_said_beside_the_manifest() {
    let more = "  jobs:\n    - {job: shop/migrate, at: 10m, work: {median: 2m, p95: 4m}, failures: 10%, exitCode: 42}\n";
    let found = read(&job(""), more);
    assert_eq!(found.starts_at, SimTime::from_secs(600));
    let work = found.work;
    assert_eq!((work.median, work.p95), (SimSpan::from_mins(2), SimSpan::from_mins(4)));
    assert_eq!((work.failure_ppm, work.exit_code), (100_000, 42));
}

#[test]
fn a_cron_job_goes_by_the_clocks_of_its_time_zone() {
    let read = |hour: u32, more: &str| {
        let manifest = cron_job(&format!("  schedule: '30 {hour} * * *'\n{more}"), "");
        let files = web("").with("j.yaml", &manifest);
        let lines = said(&load_all(&files, &["web.yaml", "j.yaml"], &[]));
        let of_it = |line: &String| line.starts_with("j.yaml:") && !line.contains("W0114");
        (manifest, lines.into_iter().filter(of_it).collect::<Vec<_>>())
    };
    let (manifest, said) = read(7, "  timeZone: Europe/Berlin\n");
    assert_eq!(said, Vec::<String>::new());
    let schedule = self::read(&manifest, "").cron.expect("a schedule").schedule;
    assert_eq!(schedule.next_after(0, 0), Some(6 * 3_600_000_000_000 + 1_800_000_000_000));
    for (hour, more, expected) in [
        (
            2,
            "  timeZone: Europe/Berlin\n",
            &["W0174: CronJob shop/nightly: 2026-03-29 02:30:00 is skipped"][..],
        ),
        (2, "  timeZone: Etc/UTC\n", &[]),
        (
            1,
            "  timeZone: America/New_York\n",
            &["W0174: CronJob shop/nightly: 2026-11-01 01:30:00 comes twice"],
        ),
        (
            7,
            "  timeZone: Europe/Berln\n",
            &["E0043: CronJob shop/nightly: `Europe/Berln` is no time zone"],
        ),
        (7, "  timeZone: Local\n", &["E0043: CronJob shop/nightly: `Local` is no time zone"]),
        (
            7,
            "  timeZone: ''\n",
            &["E0022: CronJob shop/nightly: `spec.timeZone` must not be empty"],
        ),
    ] {
        let (_, said) = read(hour, more);
        assert_eq!(said.len(), expected.len(), "{more}: {said:#?}");
        for (line, part) in said.iter().zip(expected) {
            assert!(line.contains(part), "{more}: {line}");
        }
    }
    let within = cron_job("  schedule: 'CRON_TZ=Europe/Berlin 30 7 * * *'\n", "");
    let files = web("").with("j.yaml", &within);
    let lines = crate::support::said(&load_all(&files, &["web.yaml", "j.yaml"], &[]));
    let expected = "j.yaml:5:13: E0022: CronJob shop/nightly: `spec.schedule` names a time zone";
    assert!(lines.iter().any(|line| line.starts_with(expected)), "{lines:#?}");
}

#[test]
fn a_success_policy_names_indexes_or_a_number_of_them() {
    let with = |rules: &str| {
        job(&format!(
            "  completions: 9\n  completionMode: Indexed\n  successPolicy: {{rules: [{rules}]}}\n"
        ))
    };
    let manifest = with("{succeededIndexes: '0,2-4,8', succeededCount: 2}, {succeededCount: 9}");
    let rules = read(&manifest, "").spec.success_rules;
    assert_eq!(rules[0].indexes, Some(vec![(0, 0), (2, 4), (8, 8)]));
    assert_eq!((rules[0].count, rules[1].count), (Some(2), Some(9)));
    assert_eq!(
        read(&with("{succeededIndexes: ''}"), "").spec.success_rules[0].indexes,
        Some(vec![])
    );
    for (rules, expected) in [
        ("", "has 0 rules"),
        ("{}", "needs succeededCount or succeededIndexes"),
        ("{succeededIndexes: '0-2-3'}", "has `2-3` for an index"),
        ("{succeededIndexes: '0,x'}", "has `x` for an index"),
        ("{succeededIndexes: '3-9'}", "names 9, where indexes end before 9"),
        ("{succeededIndexes: '3,3'}", "is not in increasing order at `3`"),
        ("{succeededIndexes: '4-2'}", "is not in increasing order at `4-2`"),
        ("{succeededCount: -1}", "must not be negative"),
        ("{succeededCount: 10}", "is 10 of 9 indexes"),
        ("{succeededIndexes: '1-2', succeededCount: 3}", "is 3 of 2 indexes"),
    ] {
        let files = web("").with("j.yaml", with(rules));
        let says = said(&load_all(&files, &["web.yaml", "j.yaml"], &[]));
        let found = |line: &String| line.starts_with("j.yaml:8:") && line.contains(expected);
        assert!(says.iter().any(found), "{expected} among {says:#?}");
    }
}

#[test]
fn a_guarantee_names_a_job() {
    let more = "  guarantees:\n    done: completes(job/shop/migrate) <= 1h\n";
    let files = web(more).with("j.yaml", job(""));
    let loaded = load_all(&files, &["web.yaml", "j.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let promise = &resolved.guarantees[0].promise;
    assert!(matches!(promise, Promise::JobCompletes { .. }), "{promise:?}");
}

#[test]
fn what_cannot_be_is_refused_at_its_place() {
    let in_scenario = [
        (
            "  jobs: [{job: shop/web}]\n",
            "s.yaml:7:16: E0016: `shop/web` is a Deployment and no Job",
        ),
        ("  jobs: [{job: shop/migrat}]\n", "s.yaml:7:16: E0016: there is no workload"),
        ("  jobs: [{job: migrate, at: 2h}]\n", "s.yaml:7:29: E0021: is after the end of the run"),
        ("  jobs: [{job: migrate, exitCode: 0}]\n", "s.yaml:7:"),
        ("  jobs: [{job: migrate, work: {median: 9m, p95: 3m}}]\n", "s.yaml:7:"),
        ("  jobs: [{job: migrate}, {job: migrate}]\n", "s.yaml:7:"),
        ("  guarantees: {x: completes(job/shop/web) <= 1m}\n", "s.yaml:7:"),
    ];
    let in_manifest = [
        ("  parallelism: -1\n", "j.yaml:6:"),
        ("  completionMode: Indxed\n  completions: 1\n", "j.yaml:6:"),
        ("  backoffLimitPerIndex: 1\n", "j.yaml:6:"),
        ("  podFailurePolicy: {rules: [{action: Ignore}]}\n", "j.yaml:6:"),
        ("  maxFailedIndexes: 1\n", "j.yaml:6:"),
        ("  successPolicy: {rules: [{succeededCount: 1}]}\n", "j.yaml:6:18: E0022"),
        (
            "  completionMode: Indexed\n  completions: 2\n  podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [3]}}]}\n",
            "j.yaml:8:",
        ),
    ];
    let scenarios = in_scenario.iter().map(|(more, expected)| (*more, job(""), *expected));
    let manifests = in_manifest.iter().map(|(spec, expected)| ("", job(spec), *expected));
    let wrong = cron_job("  schedule: '0 25 * * *'\n", "");
    let crons = [("", wrong, "j.yaml:5:")];
    for (more, manifest, expected) in scenarios.chain(manifests).chain(crons) {
        let files = web(more).with("j.yaml", &manifest);
        let loaded = load_all(&files, &["web.yaml", "j.yaml"], &[]);
        let says = said(&loaded);
        assert!(says.iter().any(|line| line.starts_with(expected)), "{expected} among {says:#?}");
        assert!(loaded.resolved.is_none(), "{manifest}");
    }
}

#[test]
fn what_can_be_held_is_suspended_and_resumed() {
    let faults = "  faults:\n    - suspend: {workload: shop/web, at: 5m, for: 1m}\n    - resume: {workload: shop/migrate, at: 6m}\n";
    let files = web(faults).with("j.yaml", job("  suspend: true\n"));
    let loaded = load_all(&files, &["web.yaml", "j.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let held: Vec<(usize, bool)> = resolved
        .faults
        .faults
        .iter()
        .filter_map(|fault| match &fault.kind {
            FaultKind::Action(Action::Hold { workload, is_held }) => {
                Some((workload.index(), *is_held))
            }
            _ => None,
        })
        .collect();
    assert_eq!(held, [(0, true), (1, false)]);
    let of = |idx: usize| resolved.blueprint.workloads[idx].kind.is_held();
    assert_eq!((of(0), of(1)), (Some(false), Some(true)));
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: shop}\nspec: {containers: [{name: m, image: 'm:1'}]}\n";
    let faults = "  faults: [{suspend: {workload: shop/one, at: 5m}}]\n";
    let files = web(faults).with("p.yaml", pod);
    let lines = said(&load_all(&files, &["web.yaml", "p.yaml"], &[]));
    let expected = "E0070: a Pod cannot be suspended";
    assert!(lines.iter().any(|line| line.contains(expected)), "{lines:?}");
}

#[test]
fn gates_are_lifted_from_pods_that_have_some() {
    let gate = "schedulingGates: [{name: a.b/c}], restartPolicy:";
    let gated = job("").replace("restartPolicy:", gate);
    let of = |workload: &str| {
        let faults = format!("  faults: [{{liftGates: {{workload: {workload}, at: 5m}}}}]\n");
        said(&load_all(&web(&faults).with("j.yaml", &gated), &["web.yaml", "j.yaml"], &[]))
    };
    let has = |lines: &[String], code: &str| lines.iter().any(|line| line.contains(code));
    assert!(!has(&of("shop/migrate"), "W0253"), "{:?}", of("shop/migrate"));
    assert!(has(&of("shop/web"), "E0091"), "{:?}", of("shop/web"));
    let nobody = said(&load_all(&web("").with("j.yaml", &gated), &["web.yaml", "j.yaml"], &[]));
    assert!(has(&nobody, "W0253"), "{nobody:?}");
}
