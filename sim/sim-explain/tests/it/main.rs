//! Questions about manifests in memory, and the figures that come out.

use model_api::SimSpan;
use model_kube::vertical_pod_autoscaler::OomKill;
use report_data::{Datum, DecisionReport, Program};
use scenario_format::files::{RawFile, ReadError};
use scenario_format::{ClusterRequest, Files, load_cluster};
use sim_explain::{
    AutoscalerQuestion, EvictionQuestion, HpaQuestion, PdbQuestion, Refusal, RolloutQuestion,
    Samples, ScheduleQuestion, VpaQuestion, read_samples,
};

const MANIFESTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: web:1, resources: {requests: {cpu: 500m, memory: 64Mi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}]
      containers:
        - {name: db, image: db:1, resources: {requests: {cpu: 100, memory: 64Mi}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 3, selector: {matchLabels: {app: web}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 20
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
";

const ELASTIC: &str = "\
apiVersion: eidp-sim/v1
kind: Platform
metadata: {name: elastic}
spec:
  region: {name: eu-central, jurisdiction: EU}
  zones: [{name: az-a}, {name: az-b}]
  controlPlane: {zones: [az-a, az-b]}
  nodePools:
    - {name: base, zones: [az-a, az-b], countPerZone: 1, cpu: 4, memory: 16Gi}
    - name: burst
      zones: [az-a, az-b]
      countPerZone: 0
      autoscaling: {minPerZone: 0, maxPerZone: 3}
      cpu: 4
      memory: 16Gi
  clusterAutoscaler: {balanceSimilarNodeGroups: true}
  manifests: [elastic]
";

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: web:1, resources: {requests: {cpu: 500m, memory: 64Mi}}}
";

const WRONG: &str = "\
- name: web
  usage: [{from: soon, until: 1h, every: 1m, memroy: 1Mi}]
- usage: []
- name: web
  usage: [{from: 0s, until: 192h, every: 3600us}]
- {name: a, usage: [{from: 2h, until: 1h, every: 1m}]}
- {name: b, usage: [{from: 0s, until: 1h, every: 0s}]}
";

struct Texts;

impl Files for Texts {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        let text = match path {
            "all.yaml" => MANIFESTS,
            "samples.yaml" => {
                "- name: web\n  usage: [{from: 0s, until: 192h, every: 1m, cpu: 100m, memory: 200Mi}]\n"
            }
            "elastic.yaml" => ELASTIC,
            "elastic" => WEB,
            "wrong.yaml" => WRONG,
            _ => return Err(ReadError::Missing),
        };
        Ok(vec![RawFile { name: path.to_owned(), bytes: text.as_bytes().to_vec() }])
    }

    fn is_file(&self, path: &str) -> bool {
        self.read(path).is_ok()
    }
}

type Asked = Result<DecisionReport, Refusal>;

fn ask(question: impl FnOnce(&model_api::Blueprint, &Program) -> Asked) -> Asked {
    ask_files(&Texts, question)
}

/// Files of which one is in memory.
struct One<'a>(&'a str);

impl Files for One<'_> {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        match path {
            "all.yaml" => Ok(vec![RawFile { name: path.to_owned(), bytes: self.0.into() }]),
            _ => Texts.read(path),
        }
    }

    fn is_file(&self, path: &str) -> bool {
        Texts.is_file(path)
    }
}

fn ask_of(
    manifests: &str,
    question: impl FnOnce(&model_api::Blueprint, &Program) -> Asked,
) -> Asked {
    ask_files(&One(manifests), question)
}

fn ask_files(
    files: &dyn Files,
    question: impl FnOnce(&model_api::Blueprint, &Program) -> Asked,
) -> Asked {
    let request =
        ClusterRequest { manifests: vec!["all.yaml".to_owned()], ..ClusterRequest::default() };
    let loaded = load_cluster(&request, files);
    assert!(!loaded.has_errors(), "{}", loaded.render(false));
    let blueprint = loaded.resolved.expect("nothing is wrong with it").blueprint;
    let program = Program { name: "eidp-sim".to_owned(), version: "0".to_owned() };
    question(&blueprint, &program)
}

fn number(report: &DecisionReport, name: &str) -> i64 {
    match report.figures.get(name) {
        Some(Datum::Number(number)) => *number,
        other => panic!("{name} is {other:?} in {:?}", report.figures),
    }
}

fn place(report: &DecisionReport, what: &str) -> (String, u32) {
    let step = report.steps.iter().find(|step| step.what == what).expect("it is said");
    let position = step.position.as_ref().expect("it has a place");
    (position.file.clone(), position.line)
}

fn named(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_pod_goes_to_the_emptiest_node_or_waits() {
    let of = |pod: &str| {
        let question = ScheduleQuestion { pod: named(pod), ..ScheduleQuestion::default() };
        ask(|blueprint, program| sim_explain::schedule(blueprint, program, &question))
    };
    let web = of("shop/web").expect("there is such a workload");
    assert_eq!((number(&web, "nodesPassing"), number(&web, "nodes")), (12, 15));
    assert_eq!(place(&web, "requests"), ("all.yaml".to_owned(), 11));
    let scores = &web.tables[0];
    assert_eq!((scores.name.as_str(), scores.rows.len()), ("scores", 12));
    let refused = &web.tables[1].rows;
    assert!(refused.iter().all(|row| row["filter"] == Datum::from("TaintToleration")));
    // 100 cores: no node has them, and there is nobody to preempt.
    let db = of("db-1").expect("a pod is known by the name of its set");
    assert_eq!(number(&db, "nodesPassing"), 0);
    assert!(db.answer.contains("Pending"), "{}", db.answer);
    let typo = of("shop/wbe").expect_err("there is no such pod").to_string();
    assert_eq!(typo, "there is no pod or workload `shop/wbe`; did you mean `shop/web`?");
}

#[test]
fn an_autoscaler_says_how_it_counts() {
    let of = |flags: &[&str], recommended: &[&str], ready: Option<u32>, missing: u32| {
        let question = HpaQuestion {
            readings: flags.iter().map(|it| it.parse().expect("a reading")).collect(),
            recommended: recommended.iter().map(|it| it.parse().expect("a past")).collect(),
            ready,
            missing,
            ..HpaQuestion::default()
        };
        ask(|blueprint, program| sim_explain::hpa(blueprint, program, &question))
    };
    let desired = |flags: &[&str], recommended: &[&str]| {
        number(&of(flags, recommended, None, 0).expect("it is known"), "desired")
    };
    assert_eq!(desired(&["cpu=90%"], &[]), 6);
    assert_eq!(desired(&["cpu=65%"], &[]), 4, "within the tolerance");
    assert_eq!(desired(&["cpu=600%"], &[]), 8, "at most twice as many");
    assert_eq!(desired(&["cpu=30%"], &[]), 2);
    assert_eq!(desired(&["cpu=30%"], &["4@2m"]), 4, "stabilized");
    assert_eq!(desired(&[], &[]), 4, "nothing is known");
    // Three measured at 90 %, one that just started counts as idle: 67 %.
    let starting = of(&["cpu=90%"], &[], Some(3), 0).expect("it is known");
    assert_eq!(number(&starting, "desired"), 5);
    let said = |report: &DecisionReport, what: &str| {
        report.steps.iter().find(|step| step.what == what).expect("it is said").result.clone()
    };
    assert_eq!(
        said(&starting, "metric cpu"),
        "target 60 % of the request, measured 90 %: ratio 1.500 becomes 1.117 with the pods that are \
         not ready or have no sample counted as idle, outside the tolerance of 0.1; proposes 5"
    );
    assert_eq!(said(&starting, "rate"), "no behavior: at most 2 times 4, or 4: 8");
    let missing = of(&["cpu=30%"], &[], None, 1).expect("it is known");
    assert_eq!(number(&missing, "desired"), 4, "a pod without a sample counts as its request");
    let typo = of(&["cpus=1"], &[], None, 0).expect_err("there is no such metric").to_string();
    assert_eq!(typo, "it has no metric `cpus`; did you mean `cpu`?");
    let many = of(&["cpu=90%"], &[], Some(9), 0).expect_err("there are four").to_string();
    assert!(many.contains("more than the 4"), "{many}");
}

#[test]
fn a_budget_says_what_evictions_are_answered() {
    let of = |healthy| {
        let question = PdbQuestion { name: None, healthy };
        ask(|blueprint, program| sim_explain::pdb(blueprint, program, &question))
    };
    let report = of(None).expect("there is one budget");
    assert_eq!(number(&report, "disruptionsAllowed"), 1);
    assert_eq!(place(&report, "desired"), ("all.yaml".to_owned(), 30));
    let short = of(Some(2)).expect("two of four");
    let answers: Vec<&Datum> = short.tables[0].rows.iter().map(|row| &row["httpStatus"]).collect();
    // Ready, not ready (the budget is not met), Pending.
    assert_eq!(answers, [&Datum::Number(429), &Datum::Number(429), &Datum::Number(201)]);
    assert!(of(Some(9)).is_err());
}

#[test]
fn a_budget_counts_what_its_controllers_say() {
    let container = "containers: [{name: c, image: c:1}]";
    let pods: String = ["one", "two"]
        .iter()
        .map(|name| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: x}}}}\nspec: {{{container}}}\n"
            )
        })
        .collect();
    let template = |more: &str| {
        format!("template: {{metadata: {{labels: {{app: x}}}}, spec: {{{more}{container}}}}}")
    };
    let job = format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: batch, namespace: shop}}\nspec: {{parallelism: 2, completions: 2, {}}}\n",
        template("restartPolicy: Never, ")
    );
    let daemons = format!(
        "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: agent, namespace: shop}}\nspec: {{selector: {{matchLabels: {{app: x}}}}, {}}}\n",
        template("")
    );
    // (input, demand, expected, desired, allowed, what is selected)
    let rows = [
        (&pods, "maxUnavailable: 1", 0, 0, 0, "pod shop/one (1), pod shop/two (1)"),
        (&pods, "minAvailable: 1", 2, 1, 1, "pod shop/one (1), pod shop/two (1)"),
        (&job, "maxUnavailable: 1", 0, 0, 0, "job shop/batch (2)"),
        (&job, "minAvailable: 1", 2, 1, 1, "job shop/batch (2)"),
        (&daemons, "minAvailable: 50%", 0, 0, 0, "daemonset shop/agent (12)"),
        (&daemons, "minAvailable: 2", 12, 2, 10, "daemonset shop/agent (12)"),
    ];
    for (input, demand, expected, desired, allowed, selects) in rows {
        let budget = format!(
            "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: x, namespace: shop}}\nspec: {{{demand}, selector: {{matchLabels: {{app: x}}}}}}\n"
        );
        let question = PdbQuestion::default();
        let report = ask_of(&format!("{input}{budget}"), |blueprint, program| {
            sim_explain::pdb(blueprint, program, &question)
        })
        .expect("there is one budget");
        let figures = ["expectedPods", "desiredHealthy", "disruptionsAllowed"];
        let got = figures.map(|name| number(&report, name));
        assert_eq!(got, [expected, desired, allowed], "{selects} {demand}: {}", report.answer);
        let step = report.steps.iter().find(|step| step.what == "selects").expect("it is said");
        assert_eq!(step.result.to_lowercase(), selects);
    }
}

#[test]
fn volumes_on_a_node_keep_it_and_expendable_pods_do_not() {
    let of = |annotations: &str, more: &str, volume: &str| {
        let input = format!(
            "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: spare}}\nvalue: -11\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}, annotations: {{{annotations}}}}}\n    spec: {{{more}containers: [{{name: c, image: c:1}}], volumes: [{{name: scratch, {volume}}}]}}\n"
        );
        let question = AutoscalerQuestion::default();
        let report = ask_of(&input, |blueprint, program| {
            sim_explain::autoscaler(blueprint, program, &question)
        });
        let report = report.expect("nothing is asked for");
        let table =
            report.tables.iter().find(|table| table.name == "scaleDown").expect("it has one");
        let kept = Datum::from("LocalStorageRequested: shop/web");
        table.rows.iter().filter(|row| row["answer"] == kept).count()
    };
    let safe = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
    let rows = [
        ("", "", "emptyDir: {}", 1),
        ("", "", "emptyDir: {medium: Memory}", 0),
        ("", "", "emptyDir: {medium: HugePages}", 1),
        ("", "", "hostPath: {path: /var}", 1),
        ("", "", "configMap: {name: x}", 0),
        (&format!("{safe}: 'other,scratch'"), "", "emptyDir: {}", 0),
        (&format!("{safe}: other"), "", "emptyDir: {}", 1),
        ("", "priorityClassName: spare, ", "emptyDir: {}", 0),
    ];
    for (annotations, more, volume, expected) in rows {
        assert_eq!(of(annotations, more, volume), expected, "{annotations} {more} {volume}");
    }
}

#[test]
fn an_annotation_keeps_a_node() {
    let node = |name: &str, more: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}{more}}}\nstatus: {{allocatable: {{cpu: 2, memory: 4Gi, pods: 10}}}}\n"
        )
    };
    let kept = ", annotations: {cluster-autoscaler.kubernetes.io/scale-down-disabled: 'true'}";
    let input = format!("{}{}", node("n1", ""), node("n2", kept));
    let question = AutoscalerQuestion::default();
    let report =
        ask_of(&input, |blueprint, program| sim_explain::autoscaler(blueprint, program, &question));
    let report = report.expect("nothing is asked for");
    let answers: Vec<&Datum> = report.tables[0].rows.iter().map(|row| &row["answer"]).collect();
    let expected = ["not needed", "ScaleDownDisabledAnnotation"].map(Datum::from);
    assert_eq!(answers, expected.iter().collect::<Vec<_>>());
}

/// One workload of the namespace `shop`, with a pod spec of one container.
fn workload_of(kind: &str, head: &str, spec: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\nspec:\n  {head}\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{{spec}containers: [{{name: web, image: c:1, resources: {{requests: {{cpu: 500m, memory: 64Mi}}}}}}]}}\n"
    )
}

fn said(report: &DecisionReport, what: &str) -> Vec<String> {
    report.steps.iter().filter(|it| it.what == what).map(|it| it.result.clone()).collect()
}

#[test]
fn a_gated_pod_is_not_tried_and_a_daemon_keeps_to_its_node() {
    let of = |input: &str, replica| {
        let question = ScheduleQuestion { replica, ..ScheduleQuestion::default() };
        ask_of(input, |blueprint, program| sim_explain::schedule(blueprint, program, &question))
    };
    let gated = workload_of("Deployment", "replicas: 1", "schedulingGates: [{name: a/quota}], ");
    let report = of(&gated, None).expect("one pod");
    assert!(
        report.answer.starts_with(
            "it stays Pending (SchedulingGated) until somebody removes a/quota; then "
        ),
        "{}",
        report.answer
    );
    assert_eq!(said(&report, "scheduling gates").len(), 1);
    let daemons = workload_of("DaemonSet", "minReadySeconds: 0", "");
    let (first, last) =
        (of(&daemons, Some(1)).expect("one"), of(&daemons, None).expect("the last"));
    for report in [&first, &last] {
        assert_eq!(number(report, "nodesPassing"), 1, "{}", report.answer);
        let Some(Datum::Text(node)) = report.figures.get("node") else { panic!("it has a node") };
        assert!(said(report, "node")[0].starts_with(node.as_str()));
    }
    assert_ne!(first.figures["node"], last.figures["node"]);
    assert!(of(&daemons, Some(13)).is_err(), "there are twelve workers");
}

#[test]
fn a_stated_limit_of_a_set_is_said_not_to_count() {
    let of = |more: &str| {
        let head = format!("replicas: 3\n  updateStrategy: {{rollingUpdate: {{{more}}}}}");
        let input = workload_of("StatefulSet", &head, "");
        let question = RolloutQuestion::default();
        let report = ask_of(&input, |blueprint, program| {
            sim_explain::rollout(blueprint, program, &question)
        });
        said(&report.expect("one set"), "maxUnavailable").len()
    };
    assert_eq!([of("partition: 0"), of("maxUnavailable: 2")], [0, 1]);
}

#[test]
fn a_bare_number_that_was_meant_as_percent_is_pointed_out() {
    let of = |cpu: &str| {
        let reading = format!("cpu={cpu}").parse().expect("a reading");
        let question = HpaQuestion { readings: vec![reading], ..HpaQuestion::default() };
        let report = ask(|blueprint, program| sim_explain::hpa(blueprint, program, &question));
        said(&report.expect("one autoscaler"), "warning")
    };
    let text = "cpu 90 means 90 cores for each pod; if it is percent of the request, write 90%";
    assert_eq!(of("90"), [text]);
    for fine in ["90%", "450m", "1", "5"] {
        assert_eq!(of(fine), [""; 0], "{fine}");
    }
}

#[test]
fn policies_of_an_autoscaler_bound_what_is_recommended() {
    let of = |policy: &str| {
        let vpa = format!(
            "---\napiVersion: autoscaling.k8s.io/v1\nkind: VerticalPodAutoscaler\nmetadata: {{name: web, namespace: shop}}\nspec:\n  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n  resourcePolicy: {{containerPolicies: [{{containerName: web, {policy}}}]}}\n"
        );
        let input = format!("{}{vpa}", workload_of("Deployment", "replicas: 1", ""));
        let samples = read_samples("samples.yaml", &Texts).0;
        let question = VpaQuestion { name: None, samples };
        ask_of(&input, |blueprint, program| sim_explain::vpa(blueprint, program, &question))
            .expect("there are samples")
    };
    let least = of("minAllowed: {cpu: 2}");
    assert_eq!(number(&least, "web.cpuMillis"), 2000);
    assert_eq!(said(&least, "policy").len(), 1);
    assert_eq!(number(&of("maxAllowed: {memory: 100Mi}"), "web.memoryBytes"), 100 << 20);
    let memory_only = of("controlledResources: [memory]");
    assert!(!memory_only.figures.contains_key("web.cpuMillis"));
    let off = of("mode: 'Off'");
    assert!(off.answer.contains("switches every sampled container off"), "{}", off.answer);
}

#[test]
fn a_rollout_lists_its_steps() {
    let of = |name: &str, never_available| {
        let question = RolloutQuestion { name: named(name), never_available };
        ask(|blueprint, program| sim_explain::rollout(blueprint, program, &question))
            .expect("there is such a workload")
    };
    let web = of("web", false);
    assert_eq!((number(&web, "maxSurge"), number(&web, "maxUnavailable")), (1, 1));
    let surge = web.steps.iter().find(|step| step.what == "maxSurge").expect("it is said");
    let is_default = surge.result.ends_with("(default: no spec.strategy.rollingUpdate.maxSurge)");
    assert!(is_default && surge.position.is_none(), "{surge:?}");
    assert_eq!(place(&web, "replicas"), ("all.yaml".to_owned(), 5));
    let last = web.tables[0].rows.last().expect("it has steps");
    assert_eq!((&last["old"], &last["new"]), (&Datum::Number(0), &Datum::Number(4)));
    let broken = of("web", true);
    assert_eq!(broken.figures["isDone"], Datum::Truth(false));
    let db = of("db", false);
    assert_eq!((number(&db, "replaced"), db.tables[0].rows.len()), (2, 4));
    let stuck = of("db", true);
    assert_eq!((number(&stuck, "replaced"), stuck.tables[0].rows.len()), (1, 2));
    assert_eq!(stuck.figures["isDone"], Datum::Truth(false));
}

#[test]
fn a_canary_is_explained_by_its_schedule_of_weights() {
    let of = |analysis: &str, never_available| {
        let canary = format!(
            "---\napiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: web, namespace: shop}}\nspec:\n  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n  progressDeadlineSeconds: 120\n  service: {{port: 80}}\n  analysis: {analysis}\n"
        );
        let question = RolloutQuestion { name: named("web"), never_available };
        let manifests = format!("{MANIFESTS}{canary}");
        ask_of(&manifests, |blueprint, program| sim_explain::rollout(blueprint, program, &question))
            .expect("there is such a workload")
    };
    let told = |report: &DecisionReport| -> Vec<(String, String)> {
        let text = |datum: &Datum| match datum {
            Datum::Text(text) => text.clone(),
            Datum::Number(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        let rows = report.tables[0].rows.iter();
        rows.map(|row| (text(&row["after"]), text(&row["weight"]))).collect()
    };
    let pair = |(after, weight): (&str, &str)| (after.to_owned(), weight.to_owned());
    let steps = of("{interval: 1m, threshold: 2, stepWeight: 20, maxWeight: 40}", false);
    let wanted = [("0s", "0"), ("60s", "20"), ("2m", "40"), ("3m", "40"), ("4m", "0"), ("5m", "0")];
    assert_eq!(told(&steps), wanted.map(pair));
    assert_eq!(steps.figures["isDone"], Datum::Truth(true));
    let shift = of("{interval: 30s, iterations: 2}", false);
    let weights: Vec<String> = told(&shift).into_iter().map(|it| it.1).collect();
    assert_eq!(weights, ["0", "0", "0", "100", "100", "0", "0"]);
    let broken = of("{interval: 1m, stepWeights: [1, 50]}", true);
    assert_eq!(told(&broken), [("0s", "0"), ("3m", "0")].map(pair));
    assert_eq!(broken.answer, "rolled back 3m after the first look, having got no request");
    let long = of("{interval: 1m, iterations: 1500}", false);
    assert!(
        long.answer.starts_with("promoted 1502m") || long.answer.starts_with("promoted 25"),
        "{}",
        long.answer
    );
    let endless = of("{interval: 1m, threshold: 3}", false);
    assert!(endless.answer.starts_with("never promoted"), "{}", endless.answer);
}

#[test]
fn the_cluster_autoscaler_says_who_waits_and_who_is_not_needed() {
    let of = |pods: &[&str], expander: Option<&str>| {
        let question = AutoscalerQuestion {
            pods: pods.iter().map(|it| it.parse().expect("a count")).collect(),
            expander: expander.map(str::to_owned),
            max_new_nodes: None,
        };
        ask(|blueprint, program| sim_explain::autoscaler(blueprint, program, &question))
    };
    let report = of(&["web=200"], None).expect("both are known");
    // The set's two pods fit no node; 192 pods of half a core fit twelve nodes of 8.
    assert_eq!(number(&report, "podsWaiting"), 2 + 12);
    assert_eq!(number(&report, "newNodes"), 1);
    let calm = of(&[], None).expect("it is known");
    assert_eq!((number(&calm, "podsWaiting"), number(&calm, "newNodes")), (2, 0));
    // Eight empty nodes, and one of four with a pod: the budget lets one pod go.
    assert_eq!(number(&calm, "nodesUnneeded"), 9);
    let expander = of(&[], Some("price")).expect_err("it has no prices").to_string();
    assert!(expander.contains("least-waste"), "{expander}");
}

#[test]
fn usage_becomes_a_recommendation() {
    let of = |path: &str| read_samples(path, &Texts);
    let (samples, diagnostics, _) = of("samples.yaml");
    assert_eq!(diagnostics.len(), 0);
    let ask_with = |samples: Samples| {
        let question = VpaQuestion { name: named("shop/web"), samples };
        ask(|blueprint, program| sim_explain::vpa(blueprint, program, &question))
    };
    let report = ask_with(samples).expect("there are samples");
    // The upper edge of the bucket and 15 %.
    let cpu = number(&report, "web.cpuMillis");
    assert!((115..=127).contains(&cpu), "{cpu}");
    for nothing in [Samples::new(), [(String::new(), (vec![], vec![]))].into()] {
        assert!(ask_with(nothing).is_err_and(|it| it.to_string().contains("--usage")));
    }
    // What a pod was killed with counts without any measurement: 20 % more, the upper edge, 15 %.
    let kill = OomKill { at: SimSpan::ZERO, request_bytes: 1 << 30 };
    let killed = ask_with([("web".to_owned(), (vec![], vec![kill]))].into()).expect("a kill");
    assert_eq!(number(&killed, "web.memoryBytes"), 1_555_165_137);
    let (_, diagnostics, sources) = of("wrong.yaml");
    let said: Vec<String> = diagnostics.iter().map(|it| it.one_line(&sources)).collect();
    let expected = [
        "wrong.yaml:2:46: E0012: usage has no key `memroy`",
        "wrong.yaml:2:18: E0014: `soon` is not a duration",
        "wrong.yaml:3:3: E0013: samples of a container needs the key `name`",
        "wrong.yaml:4:9: E0018: there are samples of `web` already",
        "wrong.yaml:5:11: E0021: these are 192000000 samples, more than 144000",
        "wrong.yaml:6:11: E0021: the usage ends before it begins",
        "wrong.yaml:7:11: E0021: samples are some time apart",
    ];
    for (line, expected) in said.iter().zip(expected) {
        let place = expected.split(':').take(2).collect::<Vec<_>>().join(":");
        let text = expected.splitn(4, ':').nth(3).expect("a text");
        assert!(line.starts_with(&place) && line.contains(text), "{line} is not {expected}");
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn pods_leave_after_silence_taint_and_toleration() {
    let of = |pod: &str, zones: &[&str], nodes: &[&str]| {
        let question = EvictionQuestion {
            pod: named(pod),
            zone: zones.first().map(|it| (*it).to_owned()),
            nodes: nodes.iter().map(|it| (*it).to_owned()).collect(),
        };
        ask(|blueprint, program| sim_explain::eviction(blueprint, program, &question))
    };
    let report = of("web", &["az-a"], &[]).expect("there is such a zone");
    // 39.7 s until they are found at the earliest, 10 s after the node of the control plane, which
    // is tainted first, then 300 s.
    assert_eq!(number(&report, "pods"), 2);
    assert_eq!(number(&report, "deletedAfterMillisEarliest") / 1000, 349);
    assert_eq!(report.tables[0].rows.len(), 5);
    let all = ["az-a", "az-b", "az-c"];
    let nodes: Vec<String> = all
        .iter()
        .flat_map(|zone| (1..=4).map(move |number| format!("worker-{zone}-{number}")))
        .chain(all.iter().map(|zone| format!("control-plane-{zone}-1")))
        .collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let dark = of("web", &[], &nodes).expect("these are all nodes");
    assert!(dark.answer.contains("never"), "{}", dark.answer);
    let wrong = of("web", &["az-d"], &[]).expect_err("there are three").to_string();
    assert!(wrong.starts_with("there is no zone `az-d`; did you mean"), "{wrong}");
    assert!(of("web", &[], &[]).is_err());
}

/// A platform with one node that stays in each zone, and none to four more in each.
#[test]
fn places_for_nodes_to_come_are_no_nodes() {
    let request = ClusterRequest { platform: named("elastic.yaml"), ..ClusterRequest::default() };
    let loaded = load_cluster(&request, &Texts);
    assert!(!loaded.has_errors(), "{}", loaded.render(false));
    let blueprint = loaded.resolved.expect("nothing is wrong with it").blueprint;
    let program = Program { name: "eidp-sim".to_owned(), version: "0".to_owned() };
    let of = |pods: &[&str], expander: Option<&str>| {
        let question = AutoscalerQuestion {
            pods: pods.iter().map(|it| it.parse().expect("a count")).collect(),
            expander: expander.map(str::to_owned),
            max_new_nodes: None,
        };
        sim_explain::autoscaler(&blueprint, &program, &question).expect("the pods are known")
    };
    let calm = of(&[], None);
    assert_eq!(calm.subject, "of 4 nodes", "two that stay, two of the control plane");
    assert_eq!(number(&calm, "nodesUnneeded"), 0);
    let rows = &calm.tables.last().expect("scale-down").rows;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["answer"] == Datum::from("NotAutoscaled")), "{rows:?}");
    // Pods of half a core: 100 more need 13 nodes, and the groups have room for six.
    let busy = of(&["web=100"], None);
    assert_eq!(number(&busy, "newNodes"), 6, "{}", busy.answer);
    let balanced = "3 in burst-az-a, 3 in burst-az-b; no node could go";
    assert!(busy.answer.ends_with(balanced), "{}", busy.answer);
    let schedule = ScheduleQuestion { pod: named("web"), ..ScheduleQuestion::default() };
    let report = sim_explain::schedule(&blueprint, &program, &schedule).expect("a pod");
    assert_eq!(number(&report, "nodes"), 4);
    let lost = EvictionQuestion { pod: named("web"), zone: named("az-b"), nodes: Vec::new() };
    let report = sim_explain::eviction(&blueprint, &program, &lost).expect("a zone");
    assert_eq!(report.tables[0].rows.len(), 2, "a node, and one of the control plane");
}

/// A platform whose node groups a ConfigMap ranks.
struct Ranked {
    platform: String,
    manifests: String,
}

impl Files for Ranked {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        let text = match path {
            "elastic.yaml" => &self.platform,
            "elastic" => &self.manifests,
            _ => return Err(ReadError::Missing),
        };
        Ok(vec![RawFile { name: path.to_owned(), bytes: text.clone().into_bytes() }])
    }

    fn is_file(&self, path: &str) -> bool {
        self.read(path).is_ok()
    }
}

#[test]
fn expanders_say_how_they_rank_each_option() {
    let of = |chain: &str, ranking: &str| {
        let head = "metadata: {name: cluster-autoscaler-priority-expander, namespace: kube-system}";
        let files = Ranked {
            platform: ELASTIC.replace("balanceSimilarNodeGroups: true", chain),
            manifests: format!(
                "{WEB}---\napiVersion: v1\nkind: ConfigMap\n{head}\ndata:\n  priorities: |\n    {ranking}\n"
            ),
        };
        let request =
            ClusterRequest { platform: named("elastic.yaml"), ..ClusterRequest::default() };
        let loaded = load_cluster(&request, &files);
        assert!(!loaded.has_errors(), "{}", loaded.render(false));
        let blueprint = loaded.resolved.expect("nothing is wrong with it").blueprint;
        let program = Program { name: "eidp-sim".to_owned(), version: "0".to_owned() };
        let pods = vec!["web=14".parse().expect("a count")];
        let question = AutoscalerQuestion { pods, ..AutoscalerQuestion::default() };
        sim_explain::autoscaler(&blueprint, &program, &question).expect("it is known")
    };
    let cell = |report: &DecisionReport, name: &str| -> Vec<String> {
        let table = report.tables.iter().find(|table| table.name == "expanders");
        let rows = &table.expect("pods wait").rows;
        let text = |datum: Option<&Datum>| match datum {
            Some(Datum::Text(text)) => text.clone(),
            Some(Datum::Number(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        rows.iter().map(|row| text(row.get(name))).collect()
    };
    let chain = "expanders: [priority, least-waste, most-pods]";
    // Both groups bear the higher rank, waste as much and take as many.
    let tied = of(chain, r#"{10: [az-a], 20: ["^burst"]}"#);
    assert_eq!(cell(&tied, "priority"), ["20", "20"]);
    assert_eq!(cell(&tied, "pattern"), ["^burst", "^burst"]);
    assert_eq!(cell(&tied, "answer"), ["drawn, 1 of 2", "drawn, 1 of 2"]);
    // One pod of half a core and 64 MiB on a node of 4 cores and 16 GiB.
    assert_eq!(cell(&tied, "wastedCpu"), ["87.5 %", "87.5 %"]);
    assert_eq!(cell(&tied, "leastWaste"), ["187.1 %", "187.1 %"]);
    assert_eq!(cell(&tied, "mostPods"), ["1", "1"]);
    let (file, line) = place(&tied, "priority");
    assert_eq!((file.as_str(), line > 10), ("elastic", true));
    // The chain ends where one is left.
    let single = of(chain, "{10: [az-a], 20: [az-b]}");
    assert_eq!(cell(&single, "answer"), ["out by priority", "grows"]);
    let said = single.steps.iter().find(|step| step.what == "expander").expect("it is said");
    let expected =
        "priority leaves 1 of 2 options; least-waste, then most-pods is not asked any more";
    assert_eq!(said.result, expected);
    let strangers = of("expanders: [priority]", "{10: [other]}");
    assert_eq!(cell(&strangers, "priority"), ["none", "none"]);
}

#[test]
fn a_daemon_set_rolls_as_far_as_its_strategy_lets_it() {
    let of = |strategy: &str, never_available| {
        let head = format!("updateStrategy: {strategy}");
        let input = workload_of("DaemonSet", &head, "");
        let question = RolloutQuestion { never_available, ..RolloutQuestion::default() };
        let report = ask_of(&input, |blueprint, program| {
            sim_explain::rollout(blueprint, program, &question)
        });
        let report = report.expect("one set");
        (number(&report, "nodes"), number(&report, "steps"), report.figures["isDone"].clone())
    };
    let done = |steps| (12, steps, Datum::from(true));
    assert_eq!(of("{type: RollingUpdate}", false), done(12));
    assert_eq!(of("{rollingUpdate: {maxUnavailable: 25%}}", false), done(4));
    // Each step but the first and the last ends one old pod and adds one new one.
    assert_eq!(of("{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", false), done(13));
    assert_eq!(of("{type: RollingUpdate}", true), (12, 1, Datum::from(false)));
}

/// The scheduler never sees a pod that names its node; its kubelet looks at less.
#[test]
fn a_pod_that_names_its_node_is_bound_already() {
    let node = |name: &str, taint: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, topology.kubernetes.io/zone: za}}}}\nspec: {{taints: [{{key: dedicated, value: db, effect: {taint}}}]}}\nstatus: {{allocatable: {{cpu: '1', memory: 8Gi, pods: '110'}}}}\n"
        )
    };
    let nodes = format!("{}{}", node("n1", "NoSchedule"), node("n2", "NoExecute"));
    let answer = |name: &str, replicas: u32| {
        let head = format!("replicas: {replicas}");
        let input = workload_of("Deployment", &head, &format!("nodeName: {name}, "));
        let question = ScheduleQuestion::default();
        let asked = ask_of(&format!("{input}{nodes}"), |blueprint, program| {
            sim_explain::schedule(blueprint, program, &question)
        });
        asked.expect("there is a pod").answer
    };
    assert!(answer("n1", 2).starts_with("n1 takes it"), "{}", answer("n1", 2));
    assert!(answer("n1", 3).contains("(NodeResourcesFit)"), "{}", answer("n1", 3));
    assert!(answer("n2", 1).contains("(TaintToleration)"), "{}", answer("n2", 1));
}

#[test]
fn a_minimum_over_too_few_domains_counts_as_zero() {
    let spread = |domains: u32| {
        let constraint = format!(
            "topologySpreadConstraints: [{{maxSkew: 1, minDomains: {domains}, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{app: web}}}}}}], "
        );
        let input = workload_of("Deployment", "replicas: 4", &constraint);
        let question = ScheduleQuestion::default();
        let asked = ask_of(&input, |blueprint, program| {
            sim_explain::schedule(blueprint, program, &question)
        });
        said(&asked.expect("there is a pod"), "spread").remove(0)
    };
    assert!(spread(9).contains("counts as 0: minDomains 9, and there are 3"), "{}", spread(9));
    assert!(!spread(3).contains("counts as 0"), "{}", spread(3));
}
