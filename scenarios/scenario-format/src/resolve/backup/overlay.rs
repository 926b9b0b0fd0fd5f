//! What a document says beside a manifest: it adds to it. What the author of a manifest wrote it may
//! repeat and not change; of what is estimated (lanes, hooks, bytes that move, time that a restore takes
//! besides) its word counts.

use super::made::MadePolicy;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{ArchiveSpec, BackupPolicySpec, HookSpec};
use crate::source::{Span, Spanned};

/// A policy of a manifest with what is stated besides.
pub(super) fn overlaid(
    made: &MadePolicy,
    stated: &BackupPolicySpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> BackupPolicySpec {
    let mut over = Overlay { maker: &made.maker, diagnostics };
    let made = &made.spec;
    BackupPolicySpec {
        name: made.name.clone(),
        of: over.one("of", made.of.as_ref(), stated.of.as_ref()),
        method: over.one("method", made.method.as_ref(), stated.method.as_ref()),
        schedule: over.one("schedule", made.schedule.as_ref(), stated.schedule.as_ref()),
        to: over.one("to", made.to.as_ref(), stated.to.as_ref()),
        keep: over.one("keep", made.keep.as_ref(), stated.keep.as_ref()),
        window: over.one("window", made.window.as_ref(), stated.window.as_ref()),
        last: over.one("last", made.last.as_ref(), stated.last.as_ref()),
        timeout: over.one("timeout", made.timeout.as_ref(), stated.timeout.as_ref()),
        paused: made.paused.or(stated.paused),
        copies: stated.copies.clone(),
        key: stated.key.clone(),
        lane: stated.lane.or(made.lane),
        server: over.one("server", made.server.as_ref(), stated.server.as_ref()),
        overhead: stated.overhead,
        hook: hook(made.hook.as_ref(), stated.hook.as_ref()),
        moves: stated.moves.or(made.moves),
        failures: stated.failures,
        silent_failures: stated.silent_failures,
        restore_test: stated.restore_test,
        restore_overhead: stated.restore_overhead.or(made.restore_overhead),
        span: stated.span,
    }
}

/// An archive of a manifest with what is stated besides.
pub(super) fn archive(
    made: &ArchiveSpec,
    stated: &ArchiveSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> ArchiveSpec {
    let mut over = Overlay { maker: &made.of.value, diagnostics };
    let to = over.one("to", Some(&made.to), Some(&stated.to));
    ArchiveSpec {
        of: made.of.clone(),
        to: to.unwrap_or_else(|| made.to.clone()),
        copies: stated.copies.clone(),
        key: stated.key.clone(),
        segment: over.one("segment", made.segment.as_ref(), stated.segment.as_ref()),
        timeout: over.one("timeout", made.timeout.as_ref(), stated.timeout.as_ref()),
        overhead: stated.overhead,
        parallel: over.one("parallel", made.parallel.as_ref(), stated.parallel.as_ref()),
        span: stated.span,
    }
}

/// A hook of a manifest, and how often it fails, which no manifest says.
fn hook(made: Option<&HookSpec>, stated: Option<&HookSpec>) -> Option<HookSpec> {
    let (Some(made), Some(stated)) = (made, stated) else { return stated.or(made).cloned() };
    Some(HookSpec {
        takes: stated.takes.or(made.takes),
        after: stated.after.or(made.after),
        failures: stated.failures.or(made.failures),
        on_error: stated.on_error.or(made.on_error),
        span: stated.span,
    })
}

struct Overlay<'a> {
    maker: &'a str,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Overlay<'_> {
    /// What the manifest says, which a document may repeat but not change.
    fn one<T: Clone + PartialEq>(
        &mut self,
        key: &str,
        made: Option<&Spanned<T>>,
        stated: Option<&Spanned<T>>,
    ) -> Option<Spanned<T>> {
        if let (Some(made), Some(stated)) = (made, stated)
            && made.value != stated.value
        {
            self.differs(key, made.span, stated.span);
        }
        made.or(stated).cloned()
    }

    fn differs(&mut self, key: &str, made: Span, stated: Span) {
        let message = format!("`{key}` is not what the manifest of {} says", self.maker);
        let help = "leave it out here, or change the manifest";
        let diagnostic = Diagnostic::new(Code::E0017, stated, message).help(help);
        self.diagnostics.push(diagnostic.related(made, "which is made from this"));
    }
}
