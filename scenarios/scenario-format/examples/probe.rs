//! probe
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let r = scenario_format::Request {
        scenario: a[0].clone(),
        manifests: a[1..].iter().filter(|x| !x.contains('=')).cloned().collect(),
        overrides: a[1..].iter().filter(|x| x.contains('=')).cloned().collect(),
    };
    let l = scenario_format::load(&r, &scenario_format::Disk::default());
    eprint!("{}", l.render(false));
    if let Some(x) = l.resolved {
        println!(
            "{} {} zones {} nodes {} workloads {} services {} loads {} profiles {} db {} faults {} guarantees {}",
            x.name,
            x.horizon,
            x.blueprint.zones.len(),
            x.blueprint.nodes.len(),
            x.blueprint.workloads.len(),
            x.blueprint.services.len(),
            x.blueprint.loads.len(),
            x.blueprint.profiles.len(),
            x.blueprint.databases.len(),
            x.faults.faults.len(),
            x.guarantees.len()
        );
        for g in &x.guarantees {
            println!("{} : {}", g.name, g.text)
        }
        for a in &x.blueprint.assumptions {
            println!("assume {}", a.text)
        }
        for u in &x.coverage.uses {
            println!(
                "{:12} {} {} x{} {}",
                u.fidelity.as_str(),
                u.kind,
                u.field,
                u.places.len(),
                u.note
            )
        }
    }
}
