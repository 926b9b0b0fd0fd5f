//! Against failovers of a real cluster (Patroni), where it is comparable: what comes after the
//! decision, and what is lost. How a failure is detected is Patroni's own and not compared.

use std::fs;
use std::path::Path;

use crate::world::{Act, Case, any};

/// The recorded repetitions, as blocks of text; `None` where they are not at hand.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn recorded() -> Option<Vec<String>> {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/traces-postgres/results.yaml"
    ));
    #[expect(clippy::disallowed_methods, reason = "a test may ask whether it runs in CI")]
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    match fs::read_to_string(path) {
        Ok(text) => Some(text.split("\n- id: ").skip(1).map(str::to_owned).collect()),
        Err(error) if is_ci => panic!("failed to read the recorded failovers: {error}"),
        Err(_) => {
            println!("skipped: no recorded failovers beside the workspace");
            None
        }
    }
}

/// The number after `key: ` in a block.
fn number(block: &str, key: &str) -> Option<f64> {
    let after = block.split_once(&format!("{key}: "))?.1;
    let end = after.find([',', '}', '\n']).unwrap_or(after.len());
    after[..end].trim().parse().ok()
}

#[test]
fn promotion_and_reconnection_of_a_real_cluster_are_within_the_model() {
    let Some(blocks) = recorded() else { return };
    let parameters = model_api::Parameters::default();
    let mut compared_count = 0;
    for block in blocks.iter().filter(|block| block.starts_with('a') || block.starts_with('b')) {
        let request = number(block, "pg_promote_request_s").expect("every failover promotes");
        let promoted = number(block, "pg_promoted_s").expect("every failover promotes");
        let recovered = number(block, "recovered_s").expect("every failover recovers");
        assert!(promoted - request <= parameters.promotion.most.as_secs_f64(), "{block}");
        let reconnect = parameters.client_reconnect.most.as_secs_f64();
        assert!(recovered - promoted <= reconnect, "{block}");
        compared_count += 1;
    }
    assert!(compared_count >= 2, "zone losses with and without synchronous replication");
}

#[test]
fn what_is_lost_agrees_with_a_real_cluster() {
    let Some(blocks) = recorded() else { return };
    for block in &blocks {
        let Some(lost) = number(block, "lost_acknowledged") else { continue };
        let (case, limit) = match &block[..1] {
            // 50 rows per second and at most 100 ms of lag: a handful.
            "a" => (Case::default(), 20.0),
            "b" => (Case { synchronous: any(1, false, false), ..Case::default() }, 0.0),
            _ => continue,
        };
        assert!(lost <= limit, "{block}");
        let run = case.run(&[(60_000, Act::Power(0))], 600_000);
        assert!(run.lost() as f64 <= limit, "{}", run.text());
    }
}
