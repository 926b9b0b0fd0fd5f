//! Where names lead clients to, and when these learn of it.

use model_api::dns::{Answers, DnsFault, DnsName, RecordCheck};
use model_api::kube::Service;
use model_api::{Blueprint, Origin, ServiceId};
use model_gateway::Answer;
use sim_kernel::SimSpan;

use crate::world::{Act, World};

const fn secs(secs: u64) -> SimSpan {
    SimSpan::from_secs(secs)
}

fn run(check: Option<RecordCheck>, script: &[(u64, Act)]) -> Vec<(f64, Answer)> {
    let service = |name: &str| Service { name: name.to_owned(), ..Service::default() };
    let name = DnsName {
        name: "shop.example".to_owned(),
        records: vec![ServiceId(0), ServiceId(1)],
        answers: Answers::All,
        ttl: secs(300),
        negative_ttl: secs(5),
        keeping_ppm: 0,
        kept_for: None,
        check,
        origin: Origin::default(),
    };
    let services = vec![service("one"), service("other")];
    let blueprint = Blueprint { services, names: vec![name], ..Blueprint::default() };
    World::play(blueprint, 5, script).answers
}

/// What was told: when, weights, share that finds it, and within how many seconds.
fn lines(seen: &[(f64, Answer)]) -> Vec<(f64, Vec<u64>, u64, u64)> {
    let line = |(at, it): &(f64, Answer)| {
        (*at, it.weights_milli.clone(), it.found_milli, it.within.as_nanos() / 1_000_000_000)
    };
    seen.iter().map(line).collect()
}

const NOTHING: (u64, Act) = (0, Act::NameFault(None));

#[test]
fn a_lost_entrance_is_taken_out_when_its_checks_failed_and_comes_back() {
    let script = [NOTHING, (100, Act::Record(1, false)), (1_000, Act::Record(1, true))];
    let seen = lines(&run(Some(RecordCheck::default()), &script));
    let [first, out, back] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(*first, (0.0, vec![500, 500], 1000, 0));
    // The third check, from 100 s on, and the ten seconds that it waits.
    assert!((170.0..=200.0).contains(&out.0), "{seen:?}");
    assert_eq!((&out.1, out.3), (&vec![1000, 0], 300));
    assert!((1_060.0..=1_090.0).contains(&back.0), "{seen:?}");
    assert_eq!(back.1, [500, 500]);
}

#[test]
fn nobody_looks_without_a_check_and_a_short_loss_is_not_noticed() {
    let script = [NOTHING, (100, Act::Record(1, false)), (1_000, Act::Record(1, true))];
    assert_eq!(run(None, &script).len(), 1);
    let short = [NOTHING, (100, Act::Record(1, false)), (150, Act::Record(1, true))];
    assert_eq!(run(Some(RecordCheck::default()), &short).len(), 1);
}

#[test]
fn without_name_servers_records_stay_and_names_are_lost_when_nobody_keeps_them() {
    let script = [
        NOTHING,
        (100, Act::NameFault(Some(DnsFault::Outage))),
        (110, Act::Record(1, false)),
        (900, Act::NameFault(None)),
    ];
    let seen = lines(&run(Some(RecordCheck::default()), &script));
    let told: Vec<_> = seen[1..].iter().map(|it| (it.0, it.1.clone(), it.2, it.3)).collect();
    // The entrance that was lost meanwhile is out when they are back, and failures are kept for 5 s.
    assert_eq!(told, [(100.0, vec![500, 500], 0, 300), (900.0, vec![1000, 0], 1000, 5)]);
}

#[test]
fn a_wrong_record_is_kept_as_long_as_a_right_one() {
    let script =
        [NOTHING, (100, Act::NameFault(Some(DnsFault::WrongRecord))), (200, Act::NameFault(None))];
    let seen = run(None, &script);
    assert_eq!(
        lines(&seen)[1..],
        [(100.0, vec![500, 500], 0, 300), (200.0, vec![500, 500], 1000, 300)]
    );
    assert!(seen[1].1.is_silent && seen[2].1.is_silent);
}
