//! Estimates of node groups: upstream's own table, and what holds in all of them.

use model_api::PodId;
use model_api::kube::{
    Affinity, Container, ContainerPort, LabelSelector, Labels, Node, PodAffinityTerm, PodSpec,
    PodTemplate, ResourceList, TopologySpreadConstraint, UnsatisfiableAction,
};
use model_api::{NodeId, SimSpan, SimTime};
use model_kube::cluster_autoscaler::{
    Actions, Autoscaler, Deletions, Estimate, Expander, GroupReadiness, GroupSize, MovablePod,
    NodeGroup, NodeLimit, NodeTemplate, Options, PendingGroup, Removal, ScaleUp, SeenNode, Sight,
    TemplateFacts, UnremovableReason, WaitingPods, balance, estimate, scale_up, unneeded_nodes,
};
use model_kube::scheduling::{PodDescription, SchedulerCache};
use proptest::prelude::*;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";
const MIB: i64 = 1024 * 1024;

fn resources(amounts: &[(&str, i64)]) -> ResourceList {
    ResourceList(amounts.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn node(name: &str, zone: &str, cpu: i64, memory_mib: i64) -> Node {
    Node {
        name: name.to_owned(),
        labels: labels(&[(HOST, name), (ZONE, zone)]),
        allocatable: resources(&[("cpu", cpu), ("memory", memory_mib * MIB), ("pods", 10)]),
        ..Node::default()
    }
}

fn pod(app: &str, cpu: i64, memory: i64) -> PodTemplate {
    let container = Container {
        requests: resources(&[("cpu", cpu), ("memory", memory)]),
        ..Container::default()
    };
    PodTemplate {
        labels: labels(&[("app", app)]),
        spec: PodSpec { containers: vec![container], ..PodSpec::default() },
        ..PodTemplate::default()
    }
}

fn selecting(app: &str) -> Option<LabelSelector> {
    let match_labels = labels(&[("app", app)]);
    Some(LabelSelector { match_labels, ..LabelSelector::default() })
}

fn spread(mut pod: PodTemplate, key: &str, max_skew: i32, min_domains: i32) -> PodTemplate {
    pod.spec.topology_spread_constraints = vec![TopologySpreadConstraint {
        max_skew,
        topology_key: key.to_owned(),
        when_unsatisfiable: UnsatisfiableAction::DoNotSchedule,
        label_selector: selecting(&pod.labels["app"]),
        min_domains: Some(min_domains),
        honors_node_affinity: true,
        honors_node_taints: false,
        match_label_keys: Vec::new(),
    }];
    pod
}

fn apart(mut pod: PodTemplate, key: &str) -> PodTemplate {
    pod.spec.affinity = Affinity {
        pod_anti_required: vec![PodAffinityTerm {
            label_selector: selecting(&pod.labels["app"]),
            namespaces: Vec::new(),
            namespace_selector: None,
            topology_key: key.to_owned(),
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
        }],
        ..Affinity::default()
    };
    pod
}

fn with_host_port(mut pod: PodTemplate) -> PodTemplate {
    let port = ContainerPort { host_port: Some(5555), container_port: 5555, ..Default::default() };
    pod.spec.containers[0].ports = vec![ContainerPort { protocol: "TCP".to_owned(), ..port }];
    pod
}

/// An estimate for a template in a zone of its own, beside a small node in another.
fn estimated(template: &Node, groups: &[(PodTemplate, usize)], limit: NodeLimit) -> Estimate {
    let mut cache = SchedulerCache::new();
    cache.add_node(NodeId(0), &node("oldnode", "zone-jupiter", 100, 100));
    let groups: Vec<PendingGroup> = groups
        .iter()
        .map(|(template_of, count)| {
            let description = PodDescription {
                namespace: "universe",
                template: template_of,
                default_selector: None,
            };
            let shape = cache.compile(description);
            PendingGroup::new(shape, *count, &template_of.spec, template)
        })
        .collect();
    estimate(&cache, NodeTemplate { node: template, daemon_set_pods: &[] }, &groups, limit)
}

/// TestBinpackingEstimate of `estimator/binpacking_estimator_test.go`: nodes and pods.
#[test]
fn estimates_are_those_of_upstream() {
    let plain = |cpu, memory, count| vec![(pod("estimatee", cpu, memory), count)];
    let of = |cpu, memory, groups: Vec<(PodTemplate, usize)>, limit| {
        let got = estimated(&node("template", "zone-mars", cpu, memory), &groups, limit);
        (got.node_count, got.scheduled_count())
    };
    let (any, five) = (NodeLimit::None, NodeLimit::AtMost(5));
    assert_eq!(of(1000, 2000, plain(350, 1000, 10), any), (5, 10));
    assert_eq!(of(10_000, 20_000, plain(10, 100, 20), any), (2, 20), "pods per node");
    let ports = vec![(with_host_port(pod("estimatee", 200, 1000)), 8)];
    assert_eq!(of(1000, 5000, ports, any), (8, 8));
    assert_eq!(of(1000, 5000, plain(500, 1000, 20), five), (5, 10), "the limit cuts it");
    let two = vec![(pod("estimatee", 50, 1000), 10), (pod("estimatee", 500, 1000), 10)];
    let template = node("template", "zone-mars", 1000, 5000);
    assert_eq!(estimated(&template, &two, five).scheduled, [0, 10], "the larger ones go first");
    let hosts = |skew, domains, cpu, count| {
        vec![(spread(pod("estimatee", cpu, 200), HOST, skew, domains), count)]
    };
    assert_eq!(of(1000, 5000, hosts(2, 1, 200, 8), any), (4, 8));
    assert_eq!(of(1000, 5000, hosts(1, 3, 20, 12), any), (3, 12));
    let zones = vec![(spread(pod("estimatee", 20, 100), ZONE, 2, 1), 8)];
    assert_eq!(of(1000, 5000, zones, any), (1, 2), "all new nodes are in one zone");
}

/// TestBinpackingEstimatePlacementOnAddedNodes, without the fast path, which is off by default.
#[test]
fn later_groups_fill_what_is_there() {
    let template = node("template", "zone-mars", 1000, 1000);
    let big = || (pod("big", 600, 100), 2);
    let of = |groups: Vec<(PodTemplate, usize)>| {
        let got = estimated(&template, &groups, NodeLimit::None);
        (got.node_count, got.scheduled_count())
    };
    let small = |app: &str, cpu| (pod(app, cpu, 100), 1);
    assert_eq!(of(vec![big(), small("a", 150), small("b", 120), small("c", 100)]), (2, 5));
    assert_eq!(of(vec![big(), small("medium", 400), small("small", 300)]), (2, 4));
    assert_eq!(of(vec![big(), (with_host_port(pod("hostport", 200, 100)), 2)]), (2, 4));
    assert_eq!(of(vec![big(), (apart(pod("spread", 200, 100), HOST), 2)]), (2, 4));
    let zonal = || (apart(pod("zonal", 600, 100), ZONE), 2);
    assert_eq!(of(vec![zonal(), small("small", 300)]), (1, 2));
    assert_eq!(of(vec![zonal(), small("medium", 500)]), (2, 2));
}

fn pods() -> impl Strategy<Value = (PodTemplate, usize)> {
    let kind = prop::sample::select(vec!["plain", "hosts", "zones", "apart", "port"]);
    (0..3_usize, 1..1200_i64, 1..1200_i64, 1..9_usize, kind).prop_map(
        |(app, cpu, memory, count, kind)| {
            let pod = pod(["a", "b", "c"][app], cpu, memory * MIB);
            let pod = match kind {
                "hosts" => spread(pod, HOST, 1, 1),
                "zones" => spread(pod, ZONE, 2, 1),
                "apart" => apart(pod, HOST),
                "port" => with_host_port(pod),
                _ => pod,
            };
            (pod, count)
        },
    )
}

proptest! {
    #[test]
    fn estimates_keep_their_bounds(
        groups in prop::collection::vec(pods(), 0..5),
        limit in 0..6_usize,
    ) {
        let template = node("template", "zone-mars", 1000, 1000);
        let bounded = estimated(&template, &groups, NodeLimit::AtMost(limit));
        // The node that was there before counts as needed when a pod went to it.
        prop_assert!(bounded.node_count <= limit + 1);
        for (taken, (_, count)) in bounded.scheduled.iter().zip(&groups) {
            prop_assert!(taken <= count);
        }
        let free = estimated(&template, &groups, NodeLimit::None);
        prop_assert!(free.node_count <= free.scheduled_count());
        prop_assert!(bounded.node_count <= free.node_count + 1);
        let cpu = |got: &Estimate| -> i64 {
            let groups = got.scheduled.iter().zip(&groups);
            groups.map(|(taken, (pod, _))| {
                *taken as i64 * pod.spec.containers[0].requests.cpu_millis().unwrap_or(0)
            }).sum()
        };
        prop_assert!(cpu(&free) <= 1000 * free.node_count as i64);
    }

    #[test]
    fn balancing_keeps_its_bounds(
        sizes in prop::collection::vec((0..9_usize, 0..9_usize), 1..7),
        new_nodes in 0..30_usize,
    ) {
        let groups: Vec<GroupSize> = sizes
            .iter()
            .map(|(target, room)| GroupSize { min: 0, max: target + room, target: *target })
            .collect();
        let targets = balance(&groups, new_nodes);
        let added: usize = targets.iter().zip(&groups).map(|(now, group)| now - group.target).sum();
        let room: usize = sizes.iter().map(|(_, room)| room).sum();
        prop_assert_eq!(added, new_nodes.min(room));
        for (target, group) in targets.iter().zip(&groups) {
            prop_assert!(*target <= group.max);
            // No group that grew is larger by more than one than a group that could have.
            if *target > group.target {
                let grown = targets.iter().zip(&groups);
                let starved = grown.filter(|(now, other)| **now < other.max);
                for (now, _) in starved {
                    prop_assert!(*target <= now + 1);
                }
            }
        }
    }
}

/// Three groups, one per zone, with one node each, and pods that wait.
fn grown(
    zones: [(&str, bool, usize); 3],
    options: &Options,
    waiting: &PodTemplate,
) -> Option<ScaleUp> {
    let mut cache = SchedulerCache::new();
    let mut groups = Vec::new();
    for (idx, (zone, may_grow, target)) in zones.into_iter().enumerate() {
        let template = node(&format!("node-{zone}"), zone, 1000, 1000);
        for nth in 0..target {
            let name = format!("node-{zone}-{nth}");
            let full = Node { name: name.clone(), unschedulable: true, ..template.clone() };
            cache.add_node(NodeId::from_index(10 * idx + nth), &full);
        }
        let facts = TemplateFacts {
            labels: template.labels.clone(),
            capacity: template.allocatable.clone(),
            allocatable: template.allocatable.clone(),
            requested: ResourceList::default(),
        };
        groups.push(NodeGroup {
            name: zone.to_owned(),
            size: GroupSize { min: 0, max: 5, target },
            template,
            facts,
            daemon_set_pods: Vec::new(),
            may_grow,
        });
    }
    let description = PodDescription { namespace: "x", template: waiting, default_selector: None };
    let shape = cache.compile(description);
    let waiting =
        [WaitingPods { shape, spec: &waiting.spec, count: 4, zone: None, delay: SimSpan::ZERO }];
    scale_up(&cache, &groups, &waiting, options, |_| 0)
}

#[test]
fn one_group_grows_unless_similar_groups_share() {
    let zones = [("a", true, 1), ("b", true, 1), ("c", true, 3)];
    let waiting = pod("web", 500, 100);
    let alone = Options { expanders: vec![Expander::Random], ..Options::default() };
    let grown_alone = grown(zones, &alone, &waiting).expect("a group helps");
    assert_eq!(grown_alone.new_targets, [(0, 3)], "two pods a node, in one zone");
    assert_eq!(grown_alone.helped, [4]);
    let shared = Options { balances_similar_groups: true, ..alone.clone() };
    let shared = grown(zones, &shared, &waiting).expect("a group helps");
    assert_eq!(shared.new_targets, [(0, 2), (1, 2)]);
    let lost = [("a", false, 1), ("b", true, 5), ("c", true, 3)];
    let rest = grown(lost, &alone, &waiting).expect("a group helps");
    assert_eq!(rest.new_targets, [(2, 5)], "one is backed off, one is full");
    assert_eq!(grown(zones, &alone, &pod("huge", 2000, 100)), None, "no node would take it");
    let bounded = Options { max_nodes_total: 6, ..alone };
    let bounded = grown(zones, &bounded, &waiting).expect("there is room for one");
    assert_eq!((bounded.new_targets, bounded.helped), (vec![(0, 2)], vec![2]));
}

#[test]
fn pods_of_a_node_that_goes_take_room_elsewhere() {
    let mut cache = SchedulerCache::new();
    for idx in 0..4 {
        cache.add_node(NodeId(idx), &node(&format!("n{idx}"), "a", 1000, 1000));
    }
    let template = pod("web", 400, 100);
    let description =
        PodDescription { namespace: "x", template: &template, default_selector: None };
    let shape = cache.compile(description);
    // Nodes 0, 1 and 2 run one pod each, node 3 none.
    for idx in 0..3 {
        cache.add_pod(PodId(idx), shape, NodeId(idx));
    }
    let removal = |idx: u32| Removal {
        node: NodeId(idx),
        to_move: (idx < 3)
            .then(|| MovablePod { pod: PodId(idx), shape, zone: None, budgets: vec![0] })
            .into_iter()
            .collect(),
    };
    let candidates: Vec<Removal> = (0..4).map(removal).collect();
    let needs = unneeded_nodes(&cache, &candidates, &[9]);
    // The empty one goes first; one more fits beside another, the third finds no place.
    assert_eq!(needs.unneeded, [3, 0]);
    let stays = UnremovableReason::NoPlaceToMovePods;
    assert!(needs.needed.contains(&(1, stays)) || needs.needed.contains(&(2, stays)));
    let kept = unneeded_nodes(&cache, &candidates, &[0]);
    assert_eq!(kept.unneeded, [3]);
    assert_eq!(kept.needed.len(), 3);
    assert!(kept.needed.iter().all(|(_, reason)| *reason == UnremovableReason::BlockedByPod));
}

/// Two groups of one zone each, whose nodes run at most one pod, and an autoscaler that looks when
/// it says so.
struct Toy {
    autoscaler: Autoscaler,
    now: SimTime,
    /// By group: target, and which of its nodes are there with or without a pod.
    groups: Vec<(usize, Vec<bool>)>,
    waiting: usize,
    /// When pods that wait were created; the rest was at the start.
    created_at: Vec<u64>,
    delay: SimSpan,
}

impl Toy {
    fn new(groups: &[&[bool]], waiting: usize) -> Self {
        let options = Options {
            expanders: vec![Expander::Random],
            frequent_loops: false,
            ..Options::default()
        };
        Self {
            autoscaler: Autoscaler::new(options, SimTime::ZERO),
            now: SimTime::ZERO,
            groups: groups.iter().map(|nodes| (nodes.len(), nodes.to_vec())).collect(),
            waiting,
            created_at: Vec::new(),
            delay: SimSpan::ZERO,
        }
    }

    /// One look; returns what it does.
    fn look(&mut self, at_secs: u64) -> Actions {
        self.now = SimTime::from_secs(at_secs);
        assert_eq!(self.autoscaler.next_look(self.now), self.now, "{at_secs} s is no look");
        let mut cache = SchedulerCache::new();
        let large = pod("web", 800, 100);
        let description =
            PodDescription { namespace: "x", template: &large, default_selector: None };
        let shape = cache.compile(description);
        let (mut seen, mut groups, mut readiness) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (target, nodes)) in self.groups.iter().enumerate() {
            let template = node(&format!("g{place}"), ["a", "b"][place], 1000, 1000);
            for (nth, has_pod) in nodes.iter().enumerate() {
                let id = NodeId::from_index(10 * place + nth);
                cache.add_node(id, &Node { name: format!("g{place}-{nth}"), ..template.clone() });
                let pod = PodId(id.0);
                if *has_pod {
                    cache.add_pod(pod, shape, id);
                }
                let moved = MovablePod { pod, shape, zone: None, budgets: Vec::new() };
                seen.push(SeenNode {
                    node: id,
                    group: Some(place),
                    is_ready: true,
                    is_kept_by_annotation: false,
                    ineligible: None,
                    to_move: Some(has_pod.then_some(moved).into_iter().collect()),
                });
            }
            let size = GroupSize { min: 1, max: 5, target: *target };
            let facts =
                TemplateFacts { capacity: template.allocatable.clone(), ..Default::default() };
            let (name, daemon_set_pods) = (format!("g{place}"), Vec::new());
            groups.push(NodeGroup { name, size, template, facts, daemon_set_pods, may_grow: true });
            let growing_by = target - nodes.len();
            readiness.push(GroupReadiness {
                target: *target,
                growing_by,
                ready: nodes.len(),
                ..GroupReadiness::default()
            });
        }
        let waiting = [WaitingPods {
            shape,
            spec: &large.spec,
            count: self.waiting,
            zone: None,
            delay: self.delay,
        }];
        let stated = self.created_at.iter().chain(std::iter::repeat(&0));
        let created_at = stated.take(self.waiting).map(|at| SimTime::from_secs(*at)).collect();
        let sight = Sight {
            cluster: &cache,
            groups: &groups,
            readiness: &readiness,
            unready_and_all: (0, seen.len()),
            waiting: &waiting,
            created_at: &[created_at],
            nodes: &seen,
            disruptions_allowed: &[],
            running: Deletions::default(),
            running_by_group: &[0, 0],
        };
        let actions = self.autoscaler.scan(&sight, self.now, |_| 0);
        for (group, target) in &actions.grow {
            self.groups[*group].0 = *target;
        }
        for group in &actions.give_up {
            self.groups[*group].0 = self.groups[*group].1.len();
        }
        actions
    }
}

#[test]
fn nodes_that_do_not_come_are_given_up_and_another_group_tries() {
    let mut toy = Toy::new(&[&[true], &[true]], 2);
    let first = toy.look(0);
    assert_eq!((first.grow, first.next_look), (vec![], Some(SimTime::from_secs(10))), "too new");
    let second = toy.look(10);
    assert_eq!(second.grow, [(0, 3)]);
    assert_eq!(second.next_look, Some(SimTime::from_secs(920)), "needed nodes are so again");
    let third = toy.look(920);
    assert_eq!((third.give_up, third.next_look), (vec![0], Some(SimTime::from_secs(930))));
    assert_eq!(toy.look(930).grow, [(1, 3)], "the first group is left alone");
    toy.groups[1].1.extend([true, true]);
    toy.waiting = 0;
    let quiet = toy.look(1100);
    assert_eq!((quiet.grow, quiet.delete), (vec![], vec![]));
}

#[test]
fn a_pod_counts_once_it_is_older_than_the_delay() {
    let mut toy = Toy::new(&[&[true], &[true]], 2);
    let options = Options {
        expanders: vec![Expander::Random],
        frequent_loops: false,
        new_pod_scale_up_delay: SimSpan::from_secs(60),
        ..Options::default()
    };
    toy.autoscaler = Autoscaler::new(options, SimTime::ZERO);
    toy.created_at = vec![0, 35];
    let early = toy.look(60);
    assert_eq!((early.grow, early.next_look), (vec![], Some(SimTime::from_secs(70))));
    let first = toy.look(70);
    assert_eq!(first.grow, [(0, 2)], "one of the two is old enough");
    assert_eq!(first.next_look, Some(SimTime::from_secs(100)), "more than 95 s");
    assert_eq!(toy.look(100).grow, [(0, 3)]);
}

/// Of the flag and the annotation the longer one counts (`filterOutYoungPods`).
#[test]
fn pods_may_ask_for_a_longer_delay() {
    let grown_at = |flag_secs, asked_secs| {
        let mut toy = Toy::new(&[&[true], &[true]], 1);
        let new_pod_scale_up_delay = SimSpan::from_secs(flag_secs);
        let options = Options { new_pod_scale_up_delay, ..Options::default() };
        toy.autoscaler = Autoscaler::new(options, SimTime::ZERO);
        toy.delay = SimSpan::from_secs(asked_secs);
        (1..20).map(|look| look * 10).find(|at| !toy.look(*at).grow.is_empty())
    };
    assert_eq!(grown_at(0, 0), Some(10));
    assert_eq!(grown_at(0, 95), Some(100));
    assert_eq!(grown_at(30, 95), Some(100));
    assert_eq!(grown_at(30, 20), Some(40));
}

#[test]
fn very_new_pods_stop_deletions_and_not_the_clock_of_unneeded_nodes() {
    let mut toy = Toy::new(&[&[true, false], &[true]], 3);
    toy.created_at = vec![599; 3];
    let new = toy.look(600);
    assert_eq!((new.grow, new.delete), (vec![], vec![]));
    toy.waiting = 0;
    assert_eq!(toy.look(610).delete, []);
    assert_eq!(toy.look(1210).delete, [NodeId(1)], "unneeded since 600 s, not 610 s");
}

#[test]
fn unneeded_nodes_go_after_their_time_without_a_look_between() {
    let mut toy = Toy::new(&[&[true, false, false], &[true]], 0);
    let found = toy.look(600);
    assert_eq!(found.delete, []);
    assert_eq!(found.next_look, Some(SimTime::from_secs(1210)), "ten minutes must be exceeded");
    let ripe = toy.look(1210);
    assert_eq!(ripe.delete, [NodeId(1), NodeId(2)], "the group keeps its minimum");
    // A new node stops deletions for ten minutes.
    let mut busy = Toy::new(&[&[true, false], &[true]], 0);
    busy.look(600);
    busy.waiting = 2;
    assert_eq!(busy.look(1200).grow, [(0, 3)], "one of them fits on the empty node");
    busy.groups[0].1 = vec![true, false, false];
    busy.waiting = 0;
    let cooling = busy.look(1210);
    assert_eq!((cooling.delete, cooling.next_look), (vec![], Some(SimTime::from_secs(1500))));
    assert_eq!(busy.look(1810).delete.len(), 1, "only one of them has waited long enough");
    assert_eq!(
        toy.autoscaler.next_look(SimTime::from_secs(1211)) - SimTime::from_secs(1220),
        SimSpan::ZERO
    );
}
