//! Off-peak hours of workloads, by annotations.

use crate::support::{WEB, load_all, said, web};

/// How many workloads opted in, and what was assumed of them.
fn read(annotations: &str) -> (usize, Vec<String>) {
    let manifest = WEB.replacen(
        "metadata: {name: web, namespace: shop}",
        &format!("metadata: {{name: web, namespace: shop, annotations: {{{annotations}}}}}"),
        1,
    );
    let files = web("").with("web.yaml", manifest);
    let loaded = load_all(&files, &["web.yaml"], &[]);
    let resolved = loaded.resolved.as_ref().unwrap_or_else(|| panic!("{:?}", said(&loaded)));
    let assumed = resolved.blueprint.assumptions.iter().map(|it| it.text.clone());
    let assumed = assumed.filter(|text| text.contains("keeps its size")).collect();
    (resolved.blueprint.off_peak.len(), assumed)
}

#[test]
fn hours_are_read_and_what_cannot_be_read_is_told() {
    assert_eq!(read(""), (0, vec![]));
    assert_eq!(read("downscaler/uptime: Mon-Fri 07:00-20:00 UTC"), (1, vec![]));
    let excluded = "downscaler/uptime: never, downscaler/exclude: 'true'";
    assert_eq!(read(excluded), (0, vec![]));
    assert_eq!(read("downscaler/uptime: Mon-Fri 07:00-20:00 europe/Berlin"), (1, vec![]));
    let (count, assumed) = read("downscaler/uptime: Mon-Fri 07:00-20:00 Europe/Berln");
    assert_eq!((count, assumed.len()), (0, 1));
    assert!(assumed[0].contains("did you mean `Europe/Berlin`?"), "{assumed:?}");
    let (count, assumed) = read("downscaler/downtime: at night");
    assert_eq!((count, assumed.len()), (0, 1));
    assert!(assumed[0].contains("`at night`"), "{assumed:?}");
}
