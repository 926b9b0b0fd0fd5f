//! Keys of custom resources that nobody reads: W0396.

use super::Lint;
use crate::coverage::misspelt;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    /// W0396.
    pub(super) fn misspelt(&mut self) {
        let manifests = self.manifests;
        for object in &manifests.objects {
            for one in misspelt(object) {
                let message = format!("{}: nothing reads `{}`", object.title(), one.path);
                let help = format!("did you mean `{}`?", one.meant);
                self.push(object, Diagnostic::new(Code::W0396, one.span, message).help(help));
            }
        }
    }
}
