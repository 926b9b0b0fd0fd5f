//! Which adapter answers a case.

use scenario_format::yaml::Node;

use crate::case::{Case, Judged, Outcome};
use crate::tree::Tree;
use crate::{cluster_autoscaler, controllers, hpa, scheduling, vpa};

/// An area of cases: what tells them, who answers, which expectations only say how to compare.
struct Area {
    /// Any of these in `given`.
    marks: &'static [&'static str],
    check: fn(&mut Case<'_>) -> Judged,
    silent: &'static [&'static str],
}

/// Areas in the order in which they are tried.
const AREAS: &[Area] = &[
    Area { marks: &["controller"], check: controllers::check, silent: controllers::SILENT },
    Area { marks: &["horizontalPodAutoscaler"], check: hpa::check, silent: &[] },
    Area {
        marks: &["decision"],
        check: cluster_autoscaler::check,
        silent: cluster_autoscaler::SILENT,
    },
    Area { marks: &["computation"], check: vpa::check, silent: vpa::SILENT },
    // Cases of whole placements name no plugin, but a pod to be placed.
    Area {
        marks: &["plugin", "schedulerConfiguration", "pod"],
        check: scheduling::check,
        silent: &[],
    },
];

/// Puts a case to the model.
pub fn check(case: &Node) -> Outcome {
    let mut case = Case::new(Tree::of(case));
    let given = case.given;
    let area = AREAS.iter().find(|area| area.marks.iter().any(|mark| given.field(mark).is_given()));
    let Some(area) = area else {
        return Outcome::NotSupported("it does not say what decides".to_owned());
    };
    let judged = (area.check)(&mut case);
    case.outcome(judged, area.silent)
}
