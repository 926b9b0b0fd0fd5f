//! Circles among pods that need each other to start: W0141.

use model_api::black_start::{StartCircle, StartFrom};

use super::Lint;
use crate::black_start::start_circles;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    pub(super) fn black_start(&mut self) {
        let of_nodes = start_circles(self.blueprint, StartFrom::Nodes);
        for circle in start_circles(self.blueprint, StartFrom::Etcd) {
            let StartCircle { members, because, steps, is_smallest } = &circle;
            // Pods that only nobody can create come back from a power cut by themselves.
            let is_always =
                of_nodes.iter().any(|it| it.members.iter().all(|one| members.contains(one)));
            let begin = if is_always {
                "nothing starts these again"
            } else {
                "once their pods or nodes are gone, nothing starts these again"
            };
            let message = format!("{begin}: {}", because.join(", "));
            // The way around may be shorter than the circle is large.
            let names = members.iter().map(|id| self.blueprint.workload_name(*id));
            let others: Vec<String> = names
                .filter(|name| !because.iter().any(|why| why.starts_with(&format!("{name} needs"))))
                .collect();
            let message = match others.as_slice() {
                [] => message,
                others => format!("{message}; with them {}", others.join(", ")),
            };
            let sourced = &self.manifests.workloads[members[0].index()];
            let object = self.manifests.object(sourced);
            let what = if *is_smallest { "the smallest step" } else { "a step" };
            let help = format!("{what} that breaks it: {}", steps.join("; then "));
            let diagnostic = Diagnostic::new(Code::W0141, object.name_span, message).help(help);
            self.push(object, diagnostic);
        }
    }
}
