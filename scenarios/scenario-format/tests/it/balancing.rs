//! Which pod gets a request: what nobody states, and what is said where all pods are one pool.

use model_api::path::Balancing;

use crate::support::{Memory, PLATFORM, WEB, load_all, scenario};

/// How pods of the shop are chosen, and what is said of its being one pool, at so many requests per second of the
/// 200 that its two pods do.
fn read(more: &str, rate: u32) -> (Option<Balancing>, Vec<String>) {
    let limited = WEB.replacen("resources: {", "resources: {limits: {cpu: 100m}, ", 1);
    let files = Memory::default()
        .with("s.yaml", scenario(&format!("  load: [{{service: shop/web, rate: {rate}}}]\n")))
        .with("small.yaml", format!("{PLATFORM}{more}"))
        .with("m.yaml", limited);
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let blueprint = loaded.resolved.expect("it is read").blueprint;
    let texts = blueprint.assumptions.into_iter().map(|it| it.text);
    (
        blueprint.profiles.first().map(|it| it.serving.balancing),
        texts.filter(|text| text.contains("one queue")).collect(),
    )
}

#[test]
fn a_parameter_is_for_services_that_say_nothing() {
    let shared = "  parameters: {balancing: shared}\n";
    let stated = "  services: [{service: shop/web, balancing: leastRequests}]\n";
    for (more, wanted) in [
        (String::new(), Balancing::Random),
        (shared.to_owned(), Balancing::Shared),
        (stated.to_owned(), Balancing::LeastRequests),
        (format!("{shared}{stated}"), Balancing::LeastRequests),
        (stated.replace("shop/web", "web"), Balancing::LeastRequests),
    ] {
        assert_eq!(read(&more, 10).0, Some(wanted), "{more}");
    }
}

#[test]
fn one_pool_that_is_busy_is_told_of() {
    let shared = "  parameters: {balancing: shared}\n";
    let told = read(shared, 150).1;
    let [text] = &told[..] else { panic!("{told:?}") };
    assert!(text.starts_with("shop/web: 2 pods that are 75 % busy at the peak"), "{text}");
    assert!(read(shared, 130).1.is_empty(), "65 %");
    assert!(read("", 150).1.is_empty(), "by chance");
    let called = "  services: [{service: shop/web, balancing: roundRobin}]\n";
    assert!(read(called, 150).1.is_empty());
}
