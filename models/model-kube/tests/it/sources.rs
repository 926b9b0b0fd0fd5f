//! Pods that wait for what configures them.

use model_api::kube::{
    ConfigurationSource, MadeSecret, SecretMaker, SecretProvider, SecretStore, SourceKind, Vault,
};
use model_api::{Observation, Origin, ServiceId, SimSpan};

use crate::world::{Run, World};

const TOWN: &str = "
    nodes 3 per zone a b c
    members a b c
    deployment vault 1 spread
    service vault
    deployment web 3 spread probe=5
    service web";

/// How a pod of `web` is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Environment,
    Mount,
    Provider,
    Agent,
    Nothing,
}

fn world(by: By, unseal: u64, script: &str) -> World {
    let mut world = World::read(&format!("{TOWN}\n{script}"));
    let vault = ServiceId(0);
    let web = world.workload("web");
    let namespace = world.blueprint.workloads[web.index()].namespace.clone();
    let template = &mut world.blueprint.workloads[web.index()].template;
    let source = |is_mounted| ConfigurationSource {
        kind: SourceKind::Secret,
        name: "session".to_owned(),
        is_mounted,
    };
    match by {
        By::Environment => template.spec.sources = vec![source(false)],
        By::Mount => template.spec.sources = vec![source(true)],
        By::Provider => template.spec.secret_providers = vec!["class".to_owned()],
        By::Agent => {
            let key = "vault.hashicorp.com/agent-inject".to_owned();
            template.annotations.insert(key, "true".to_owned());
        }
        By::Nothing => {}
    }
    world.blueprint.secret_providers.push(SecretProvider {
        namespace,
        name: "class".to_owned(),
        provider: "vault".to_owned(),
        store: SecretStore::Behind(vault),
        origin: Origin::default(),
    });
    let unseal = SimSpan::from_secs(unseal);
    world.blueprint.vaults.push(Vault { service: vault, unseal, origin: Origin::default() });
    world
}

fn missed(run: &Run) -> usize {
    run.times(|it| matches!(it, Observation::PodConfigurationMissing { .. })).len()
}

/// When pods of `web` ran again, after a moment.
fn started(run: &Run, after: f64) -> Vec<f64> {
    let workloads = &run.cluster().blueprint().workloads;
    let web = workloads.iter().position(|it| it.name == "web").expect("the town has it");
    let times = run.times(
        |it| matches!(it, Observation::PodStarted { workload, .. } if workload.index() == web),
    );
    times.into_iter().filter(|at| *at > after).collect()
}

#[test]
fn containers_that_start_wait_for_their_environment() {
    for seed in 0..10 {
        let script = "at 100 secret gone\nat 200 crash web\nat 400 secret there";
        let run = world(By::Environment, 0, script).run(seed, 600);
        assert_eq!(missed(&run), 3, "seed {seed}");
        let back = started(&run, 200.0);
        assert_eq!(back.len(), 3, "seed {seed}");
        // The pod worker looks every 10 to 15 s.
        assert!(back.iter().all(|at| (400.0..416.0).contains(at)), "seed {seed}: {back:?}");
    }
}

#[test]
fn what_is_mounted_stays_for_containers_and_is_missed_by_new_pods() {
    for seed in 0..10 {
        let crashed = "at 100 secret gone\nat 200 crash web";
        let run = world(By::Mount, 0, crashed).run(seed, 400);
        assert_eq!((missed(&run), started(&run, 200.0).len()), (0, 3), "seed {seed}");
        let scaled = "at 100 secret gone\nat 200 scale web 4\nat 300 secret there";
        let run = world(By::Mount, 0, scaled).run(seed, 600);
        let back = started(&run, 200.0);
        assert_eq!((missed(&run), back.len()), (1, 1), "seed {seed}");
        // Tries half a second after the first, then ever more slowly: 64 s at most by then.
        assert!((300.0..366.0).contains(&back[0]), "seed {seed}: {back:?}");
    }
}

#[test]
fn pods_that_start_wait_for_a_sealed_vault_and_for_one_that_is_away() {
    let sealed = "at 100 vault sealed\nat 200 scale web 4\nat 300 vault unsealed";
    let away = "at 100 scale vault 0\nat 200 scale web 4\nat 300 scale vault 1";
    for (by, waits) in
        [(By::Provider, true), (By::Agent, true), (By::Environment, false), (By::Nothing, false)]
    {
        for script in [sealed, away] {
            let run = world(by, 0, script).run(1, 900);
            let back = started(&run, 200.0);
            assert_eq!(missed(&run), usize::from(waits), "{by:?} {script}");
            assert_eq!(back.len(), 1, "{by:?} {script}");
            assert_eq!(back[0] > 300.0, waits, "{by:?} {script}: {back:?}");
        }
    }
}

#[test]
fn a_vault_that_starts_is_sealed_until_people_have_come() {
    let script = "at 100 crash vault\nat 200 scale web 4";
    for (unseal, waits) in [(0, false), (600, true)] {
        let run = world(By::Agent, unseal, script).run(2, 1500);
        let back = started(&run, 200.0);
        assert_eq!(back.len(), 1, "{unseal}: {back:?}");
        assert_eq!(back[0] > 700.0, waits, "{unseal}: {back:?}");
        assert!(back[0] < 1100.0, "{unseal}: {back:?}");
    }
}

#[test]
fn a_secret_that_is_made_of_a_vault_is_made_anew_when_that_answers() {
    for (is_sealed, waits) in [(false, false), (true, true)] {
        let seal = if is_sealed { "at 90 vault sealed" } else { "" };
        let script = format!("{seal}\nat 100 secret gone\nat 200 crash web\nat 400 vault unsealed");
        let mut world = world(By::Environment, 0, &script);
        let web = world.workload("web");
        world.blueprint.made_secrets.push(MadeSecret {
            namespace: world.blueprint.workloads[web.index()].namespace.clone(),
            name: "session".to_owned(),
            maker: SecretMaker::ExternalSecrets {
                store: SecretStore::Behind(ServiceId(0)),
                refresh: SimSpan::from_hours(1),
            },
            origin: Origin::default(),
        });
        let run = world.run(3, 600);
        let back = started(&run, 200.0);
        assert_eq!((missed(&run), back.len()), (if waits { 3 } else { 0 }, 3), "{is_sealed}");
        assert!(back.iter().all(|at| (*at > 400.0) == waits), "{is_sealed}: {back:?}");
    }
}

#[test]
fn nothing_is_made_anew_while_the_controller_that_makes_it_is_away() {
    for (is_there, waits) in [(true, false), (false, true)] {
        let away = if is_there { "" } else { "at 90 scale maker 0" };
        let script = format!("{away}\nat 100 secret gone\nat 200 crash web\nat 400 scale maker 1");
        let mut world = world(By::Environment, 0, &format!("deployment maker 1\n{script}"));
        let maker = world.workload("maker");
        let labels = &mut world.blueprint.workloads[maker.index()].template.labels;
        labels.insert("app.kubernetes.io/name".to_owned(), "external-secrets".to_owned());
        world.blueprint.made_secrets.push(MadeSecret {
            namespace: "shop".to_owned(),
            name: "session".to_owned(),
            maker: SecretMaker::ExternalSecrets {
                store: SecretStore::Elsewhere,
                refresh: SimSpan::from_hours(1),
            },
            origin: Origin::default(),
        });
        let back = started(&world.run(5, 700), 200.0);
        assert_eq!(back.len(), 3, "{is_there}");
        assert!(back.iter().all(|at| (*at > 400.0) == waits), "{is_there}: {back:?}");
    }
}

#[test]
fn the_controller_of_sealed_secrets_is_known_by_its_name_too() {
    for (is_there, waits) in [(true, false), (false, true)] {
        let name = "sealed-secrets-controller";
        let away = if is_there { "" } else { "at 90 scale sealed-secrets-controller 0" };
        let script = format!(
            "deployment {name} 1\n{away}\nat 100 secret gone\nat 200 crash web\nat 400 scale {name} 1"
        );
        let mut world = world(By::Environment, 0, &script);
        world.blueprint.made_secrets.push(MadeSecret {
            namespace: "shop".to_owned(),
            name: "session".to_owned(),
            maker: SecretMaker::SealedSecrets,
            origin: Origin::default(),
        });
        let back = started(&world.run(5, 700), 200.0);
        assert_eq!(back.len(), 3, "{is_there}");
        assert!(back.iter().all(|at| (*at > 400.0) == waits), "{is_there}: {back:?}");
    }
}

#[test]
fn who_runs_notices_nothing() {
    let script = "at 100 vault sealed\nat 100 secret gone";
    for by in [By::Environment, By::Mount, By::Provider, By::Agent] {
        let run = world(by, 0, script).run(4, 900);
        assert_eq!(missed(&run), 0, "{by:?}");
        let unready = run.times(|it| matches!(it, Observation::PodBecameUnready { .. }));
        assert!(unready.is_empty(), "{by:?}");
    }
}
