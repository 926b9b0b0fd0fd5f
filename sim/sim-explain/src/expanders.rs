//! How the chain of expanders ranks what node groups would do.

use model_api::machines::{ExpanderKind, PriorityRank};
use model_kube::cluster_autoscaler::{Expander, ExpansionOption, Rank, narrowed};

use crate::amount;
use crate::draft::{Draft, Row, row};
use crate::refusal::Refusal;

/// The field of the ConfigMap that ranks node groups.
const RANKING_FIELD: &str = "data.priorities";

/// A chain as the flag states it.
pub(crate) fn chain(
    names: &str,
    ranking: Option<&[PriorityRank]>,
) -> Result<Vec<Expander>, Refusal> {
    let known = ExpanderKind::ALL.map(ExpanderKind::name).join(", ");
    let named = |name: &str| match ExpanderKind::named(name.trim()) {
        Some(kind) => Ok(Expander::of(kind, ranking)),
        None => Err(Refusal {
            message: format!("there is no expander `{name}` to be explained"),
            help: Some(format!("there are {known}")),
        }),
    };
    names.split(',').map(named).collect()
}

/// Says what each expander makes of each option, and which are left.
pub(crate) fn ranks(draft: &mut Draft<'_>, expanders: &[Expander], offers: &[ExpansionOption]) {
    let steps = narrowed(expanders, offers);
    let asked = &expanders[..steps.len()];
    let all: Vec<usize> = (0..offers.len()).collect();
    let names: Vec<&str> = asked.iter().map(Expander::name).collect();
    let left = steps.last().unwrap_or(&all);
    let of = amount::count(offers.len() as i64, "option");
    let mut text = format!("{} leaves {} of {of}", names.join(", then "), left.len());
    let idle: Vec<&str> = expanders[asked.len()..].iter().map(Expander::name).collect();
    if !idle.is_empty() {
        text = format!("{text}; {} is not asked any more", idle.join(", then "));
    }
    draft.step("expander", text);
    if asked.iter().any(|expander| matches!(expander, Expander::Priority(_))) {
        ranking(draft);
    }
    if offers.is_empty() {
        return;
    }
    let mut columns = vec![("group", "node group")];
    columns.extend(asked.iter().flat_map(columns_of));
    columns.push(("answer", "answer"));
    let rows = offers.iter().enumerate().map(|(idx, offer)| {
        let mut cells = row([("group", offer.group.clone().into())]);
        // An expander sees what the one before it leaves.
        let seen = asked.iter().zip(std::iter::once(&all).chain(&steps));
        for (expander, _) in seen.filter(|(_, seen)| seen.contains(&idx)) {
            cells.extend(cells_of(expander, offer));
        }
        let out = asked.iter().zip(&steps).find(|(_, left)| !left.contains(&idx));
        let answer = match out {
            Some((expander, _)) => format!("out by {}", expander.name()),
            None if left.len() == 1 => "grows".to_owned(),
            None => format!("drawn, 1 of {}", left.len()),
        };
        cells.insert("answer".to_owned(), answer.into());
        cells
    });
    let rows: Vec<Row> = rows.collect();
    draft.table("expanders", "how the expanders rank these options", &columns, rows);
}

/// Columns of an expander: names for programs and headings for people.
fn columns_of(expander: &Expander) -> Vec<(&'static str, &'static str)> {
    match expander {
        Expander::Random => Vec::new(),
        Expander::MostPods => vec![("mostPods", "pods (most)")],
        Expander::LeastNodes => vec![("leastNodes", "nodes (least)")],
        Expander::LeastWaste => vec![
            ("wastedCpu", "CPU unused"),
            ("wastedMemory", "memory unused"),
            ("leastWaste", "waste (least)"),
        ],
        Expander::Priority(_) => {
            vec![("priority", "priority (highest)"), ("pattern", "by pattern")]
        }
    }
}

fn cells_of(expander: &Expander, offer: &ExpansionOption) -> Row {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    match expander.rank(offer) {
        Rank::Any => Row::new(),
        Rank::Pods(count) => row([("mostPods", count.into())]),
        Rank::Nodes(count) => row([("leastNodes", count.into())]),
        Rank::Waste { cpu, memory } => row([
            ("wastedCpu", percent(cpu).into()),
            ("wastedMemory", percent(memory).into()),
            ("leastWaste", percent(cpu + memory).into()),
        ]),
        Rank::Priority { rank, pattern } => {
            row([("priority", rank.into()), ("pattern", pattern.to_owned().into())])
        }
        Rank::Unranked => row([("priority", "none".to_owned().into())]),
    }
}

/// The ranking of names, and where it is written.
fn ranking(draft: &mut Draft<'_>) {
    let spec = draft.blueprint.cluster_autoscaler.as_ref();
    let ranked = spec.and_then(|spec| Some((spec, spec.priorities.as_ref()?)));
    let Some((spec, ranks)) = ranked else {
        let text = "no ConfigMap cluster-autoscaler-priority-expander that can be read: all pass";
        draft.step("priority", text);
        return;
    };
    let mut ranks: Vec<&PriorityRank> = ranks.iter().collect();
    ranks.sort_by_key(|it| std::cmp::Reverse(it.rank));
    let texts = ranks.iter().map(|it| {
        let never = if it.rank < 0 { " (below 0, so never)" } else { "" };
        format!("{}{never}: {}", it.rank, it.patterns.join(", "))
    });
    let text = texts.collect::<Vec<_>>().join("; ");
    draft.step_at("priority", text, &spec.priorities_origin, RANKING_FIELD);
}
