//! Loads that change over time: what their curves are, and what cannot be meant.

use model_api::load::{BurstKind, LoadPoint};
use model_api::{SimSpan, SimTime};

use crate::support::{Memory, load_all, said, web};

/// The points of the only load, in minutes and requests per second.
fn points(load: &str, horizon: &str, files: impl FnOnce(Memory) -> Memory) -> Vec<(f64, f64)> {
    let memory = web(&format!("  load: [{{service: shop/web, {load}}}]\n"));
    let text = String::from_utf8(memory.bytes("s.yaml")).expect("it is ours");
    let memory = memory.with("s.yaml", text.replace("horizon: 1h", &format!("horizon: {horizon}")));
    let loaded = load_all(&files(memory), &["web.yaml"], &[]);
    let resolved =
        loaded.resolved.as_ref().unwrap_or_else(|| panic!("{load}: {:?}", said(&loaded)));
    let load = &resolved.blueprint.loads[0];
    let minutes =
        |point: &LoadPoint| (point.at.as_secs_f64() / 60.0, point.rate_millirps as f64 / 1000.0);
    load.points.iter().map(minutes).collect()
}

fn plain(load: &str, horizon: &str) -> Vec<(f64, f64)> {
    points(load, horizon, |memory| memory)
}

#[test]
fn curves_are_products() {
    assert_eq!(plain("rate: 100", "1h"), [(0.0, 100.0)], "a constant costs one point");
    let spike = "rate: 100, spikes: [{at: 10m, factor: 3, rise: 5m, hold: 10m, fall: 5m}]";
    assert_eq!(
        plain(spike, "1h"),
        [(0.0, 100.0), (10.0, 100.0), (15.0, 300.0), (25.0, 300.0), (30.0, 100.0), (60.0, 100.0)]
    );
    let step = "rate: 100, spikes: [{at: 10m, factor: 3, hold: 10m}], \
                seasons: [{from: 15m, until: 45m, factor: 2}]";
    let found = plain(step, "1h");
    let expected = [
        (0.0, 100.0),
        (10.0, 100.0),
        (10.0, 300.0),
        (15.0, 300.0),
        (15.0, 600.0),
        (20.0, 600.0),
        (20.0, 200.0),
        (45.0, 200.0),
        (45.0, 100.0),
        (60.0, 100.0),
    ];
    assert_eq!(found, expected);
    let decay =
        plain("rate: 100, spikes: [{at: 0, factor: 65, fall: 12m, decay: exponential}]", "1h");
    let at = |minute: f64| decay.iter().rfind(|it| it.0 == minute).expect("a knot").1;
    assert_eq!((at(0.0), at(2.0).round(), at(12.0)), (6500.0, 3300.0, 100.0));
}

#[test]
fn days_and_weeks_repeat() {
    let daily = "rate: 100, daily: [{at: 6h, factor: 1}, {at: 18h, factor: 3}]";
    let found = plain(daily, "48h");
    let at = |hour: f64| found.iter().find(|it| it.0 == hour * 60.0).map(|it| it.1);
    assert_eq!([6.0, 18.0, 30.0, 42.0].map(at), [100.0, 300.0, 100.0, 300.0].map(Some));
    assert_eq!(found[0], (0.0, 200.0), "half way from the evening to the morning");
    let weekly = plain("rate: 100, weekly: {sat: 0.5, sun: 0.25}", "8d");
    let after = |day: f64| weekly.iter().rfind(|it| it.0 == day * 1440.0).map(|it| it.1);
    assert_eq!([5.0, 6.0, 7.0].map(after), [50.0, 25.0, 100.0].map(Some));
}

#[test]
fn traces_are_played() {
    let csv = "time,rate\n# a comment\n0,10\n60,20\n2m,1200/min\n";
    let with = |memory: Memory| memory.with("t.csv", csv);
    let found = points("trace: {file: t.csv}", "1h", with);
    assert_eq!(found, [(0.0, 10.0), (1.0, 20.0), (2.0, 20.0)]);
    let found = points("trace: {file: t.csv, steps: true, scale: 2, speed: 2}", "1h", with);
    assert_eq!(found, [(0.0, 20.0), (0.5, 20.0), (0.5, 40.0), (1.0, 40.0), (1.0, 40.0)]);
}

#[test]
fn what_is_random_is_named() {
    let load = "rate: 9, bursts: {factor: 4, calm: 10m, burst: 1m}, \
                selfSimilar: {on: 10s, off: 30s, hurst: 80%}";
    let files = web(&format!("  load: [{{service: shop/web, {load}}}]\n"));
    let loaded = load_all(&files, &["web.yaml"], &[]);
    let bursts = loaded.resolved.expect("valid").blueprint.bursts;
    let kind = BurstKind::Markov {
        factor_milli: 4000,
        calm: SimSpan::from_mins(10),
        burst: SimSpan::from_mins(1),
    };
    assert_eq!((bursts.len(), bursts[0].kind, bursts[0].load), (2, kind, 0));
    assert_eq!(bursts[0].until, SimTime::ZERO + SimSpan::from_hours(1));
}

#[test]
fn profiles_that_cannot_be_meant() {
    let cases = [
        ("rate: 1, trace: {file: t.csv}", "s.yaml:7:10: E0017"),
        ("trace: {file: u.csv}", "s.yaml:7:44: E0001"),
        ("trace: {file: empty.csv}", "s.yaml:7:44: E0009"),
        ("trace: {file: bad.csv}", "bad.csv:3:3: E0014"),
        ("trace: {file: bad.csv}", "bad.csv:4:1: E0014"),
        ("trace: {file: bad.csv}", "bad.csv:6:1: E0021"),
        ("trace: {file: bad.csv}", "bad.csv:7:1: E0014"),
        ("rate: 1, daily: [{at: 7h, factor: 1}, {at: 6h, factor: 1}]", "s.yaml:7:73: E0021"),
        ("rate: 1, daily: [{at: 25h, factor: 1}]", "s.yaml:7:52: E0021"),
        ("rate: 1, weekly: {son: 1}", "s.yaml:7:48: E0012"),
        ("rate: 1, spikes: [{at: 1m, factor: 2, decay: slow}]", "s.yaml:7:75: E0014"),
        ("rate: 1, seasons: [{from: 2m, until: 1m, factor: 2}]", "s.yaml:7:67: E0021"),
        ("rate: 1, seasons: [{from: 0, until: 9m, factor: 2, every: 5m}]", "s.yaml:7:88: E0021"),
        ("rate: 1, seasons: [{from: 0, until: 1ms, factor: 2, every: 2ms}]", "s.yaml:7:89: E0021"),
        ("rate: 1, bursts: {factor: 2, calm: 0s, burst: 1m}", "s.yaml:7:65: E0021"),
        ("rate: 1, bursts: {factor: 2, calm: 1ms, burst: 1ms}", "s.yaml:7:47: E0021"),
        ("users: {count: 9, think: 0s}", "s.yaml:7:55: E0021"),
        ("users: {count: 0, think: 1s}", "s.yaml:7:45: E0021"),
        ("users: {count: 9, think: 1s, law: normal}", "s.yaml:7:64: E0014"),
        ("users: {count: 9}", "s.yaml:7:37: E0013"),
        (
            "users: {count: 60000, think: 1s}, daily: [{at: 1h, factor: 2}]",
            "s.yaml:7:10: E0021: a load has at most 100000 users, and 120000 come of this",
        ),
        ("rate: 1, users: {count: 9, think: 1s}", "s.yaml:7:10: E0017"),
        ("rate: 1, selfSimilar: {on: 1m, off: 1m, hurst: 40%}", "s.yaml:7:77: E0021"),
    ];
    for (load, expected) in cases {
        let files = web(&format!("  load: [{{service: shop/web, {load}}}]\n"))
            .with("empty.csv", "time,rate\n")
            .with("bad.csv", "0,1\n1,2\n2,x\nlater\n9,1\n3,1\n-4,1\n");
        let says = said(&load_all(&files, &["web.yaml"], &[]));
        assert!(says.iter().any(|line| line.starts_with(expected)), "{load}: {expected}: {says:?}");
    }
}

/// Tenant, zone and rate in requests per second of each load.
fn clients_of(loads: &str) -> Vec<(Option<String>, Option<u32>, f64)> {
    let loaded = load_all(&web(&format!("  load: [{loads}]\n")), &["web.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let of = |load: &model_api::load::Load| {
        let zone = load.clients.zone.map(|zone| zone.0);
        (load.clients.tenant.clone(), zone, load.points[0].rate_millirps as f64 / 1000.0)
    };
    resolved.blueprint.loads.iter().map(of).collect()
}

#[test]
fn loads_are_those_of_tenants_and_of_zones() {
    let found = clients_of(
        "{service: shop/web, rate: 30}, {service: shop/web, tenant: acme, rate: 100, \
         from: {az-b: 33.3%, az-a: 66.7%}}, {service: shop/web, tenant: b, rate: 1}",
    );
    let acme = || Some("acme".to_owned());
    let expected = [
        (None, None, 30.0),
        (acme(), Some(1), 33.3),
        (acme(), Some(0), 66.7),
        (Some("b".to_owned()), None, 1.0),
    ];
    assert_eq!(found, expected);
    let bursts = "{service: shop/web, rate: 9, from: {az-a: 50%, az-b: 50%}, \
                  bursts: {factor: 4, calm: 10m, burst: 1m}}";
    let loaded = load_all(&web(&format!("  load: [{bursts}]\n")), &["web.yaml"], &[]);
    let resolved = loaded.resolved.expect("nothing is wrong");
    let of: Vec<usize> = resolved.blueprint.bursts.iter().map(|bursts| bursts.load).collect();
    assert_eq!(of, [0, 1], "clients of all zones burst");
}

/// In the request engine each is one, and both engines have to mean the same.
#[test]
fn users_of_zones_are_whole() {
    for (count, from, expected) in [
        (10, "az-a: 33.3333%, az-b: 66.6667%", [3.0, 7.0]),
        (1, "az-a: 60%, az-b: 40%", [0.0, 1.0]),
    ] {
        let load = format!(
            "{{service: shop/web, users: {{count: {count}, think: 1s}}, from: {{{from}}}}}"
        );
        let found: Vec<f64> = clients_of(&load).into_iter().map(|(.., users)| users).collect();
        assert_eq!(found, expected, "{from}");
    }
}

#[test]
fn a_scenario_says_anew_who_asks_for_a_service() {
    let files = web("  load: [{service: shop/web, tenant: new, rate: 5}]\n");
    let platform = String::from_utf8(files.bytes("small.yaml")).expect("it is ours");
    let loads =
        "  load: [{service: shop/web, tenant: old, rate: 1}, {service: shop/web, rate: 2}]\n";
    let files = files.with("small.yaml", platform + loads);
    let loaded = load_all(&files, &["web.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let tenants: Vec<Option<&str>> =
        resolved.blueprint.loads.iter().map(|load| load.clients.tenant.as_deref()).collect();
    assert_eq!(tenants, [Some("new")]);
}

/// A promise about clients has a colon in it, which YAML takes for a mapping.
#[test]
fn a_promise_without_quotes_is_told_to_have_some() {
    let promise = "  guarantees: {g: availability(shop/web, tenant: acme) >= 99%}\n";
    let block = "  guarantees:\n    g: availability(shop/web, tenant: acme) >= 99%\n";
    let of = |text: &str| load_all(&web(text), &["web.yaml"], &[]);
    let loaded = of(block);
    let help = loaded.diagnostics[0].help.as_deref().unwrap_or_default();
    assert!(help.contains("in quotes"), "{:?}", said(&loaded));
    assert!(of(promise).resolved.is_none());
}

#[test]
fn mistakes_about_clients_have_their_place() {
    let load = |more: &str| format!("  load: [{{service: shop/web, rate: 1, {more}}}]\n");
    let promise = |text: &str| {
        format!("{}  guarantees: {{g: '{text}'}}\n", load("tenant: acme, from: {az-a: 100%}"))
    };
    let twice = "  load: [{service: shop/web, rate: 1, tenant: a}, \
                 {service: shop/web, rate: 1, tenant: a}]\n";
    let cases = [
        (load("from: {az-a: 60%, az-b: 30%}"), "s.yaml:7:63: E0055", "90 %"),
        (load("from: {az-a: 60%, az-b: 50%}"), "s.yaml:7:63: E0055", "110 %"),
        (load("from: {az-x: 100%}"), "s.yaml:7:46: E0016", "az-x"),
        (load("from: [az-a]"), "s.yaml:7:45: E0011", "expected a mapping"),
        (load("from: {az-a: 1}"), "s.yaml:7:52: E0014", "is not a share"),
        (load("tenant: ''"), "s.yaml:7:47: E0014", "is not text"),
        (load("tenants: a"), "s.yaml:7:39: E0012", "no key `tenants`"),
        (twice.to_owned(), "s.yaml:7:61: E0018", "of tenant `a` already"),
        (
            promise("availability(shop/web, tenant: acne) >= 99%"),
            "s.yaml:8:51: E0056",
            "tenant: acne",
        ),
        (promise("availability(*, tenant: zebra) >= 99%"), "E0056", "tenant: zebra"),
        (promise("latency(shop/web, p99, zone: az-b) <= 1s"), "E0056", "zone: az-b"),
        (promise("availability(shop/web, served_in: az-b) >= 99%"), "E0051", "carry no hints"),
        (promise("latency(shop/web, p99, zone: az-q) <= 1s"), "E0016", "az-q"),
    ];
    let mut wrong = String::new();
    for (more, place, part) in cases {
        let says = said(&load_all(&web(&more), &["web.yaml"], &[]));
        let is_it = |line: &String| line.contains(place) && line.contains(part);
        if !says.iter().any(is_it) {
            wrong += &format!("{more}: {place}: {part}: {says:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_promise_to_all_is_one_to_each_service_that_the_clients_ask() {
    let more = "  load: [{service: shop/web, rate: 1, tenant: acme}]\n  guarantees: \
                {g: 'availability(*, tenant: acme) >= 99%', h: 'availability(*) >= 99%'}\n";
    let loaded = load_all(&web(more), &["web.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let names: Vec<&str> = resolved.guarantees.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["g [shop/web]", "h [shop/web]"]);
}
