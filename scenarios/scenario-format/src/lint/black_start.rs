//! Circles among pods that need each other to start: W0141.

use super::Lint;
use crate::black_start::vicious_circles;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    pub(super) fn black_start(&mut self) {
        for circle in vicious_circles(self.blueprint) {
            let message = format!("nothing starts these again: {}", circle.because.join(", "));
            let sourced = &self.manifests.workloads[circle.first];
            let object = self.manifests.object(sourced);
            let steps = circle.steps.join("; then ");
            let diagnostic = Diagnostic::new(Code::W0141, object.name_span, message)
                .help(format!("the smallest step that breaks it: {steps}"));
            self.push(object, diagnostic);
        }
    }
}
