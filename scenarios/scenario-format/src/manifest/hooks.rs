//! Helm hooks: objects that Helm runs once, and does not install.
//!
//! # Defaults and their sources
//! Helm 3.19 and 4.0: `pkg/release/util/manifest_sorter.go` (`sortManifests`: what has the annotation is
//! no part of the release, whatever it says), `pkg/action/hooks.go` (`execHook`,
//! `hookHasDeletePolicy`). What a hook of an installation or an upgrade creates stays, unless it is to
//! be deleted when it succeeded; a Pod or Job of it has ended by then.

use super::Object;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::yaml::{Entry, Node};

/// The annotation, a list of events.
const HOOK: &str = "helm.sh/hook";
/// When the object of a hook is deleted.
const DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// Events of an installation and of an upgrade.
const DEPLOYING: [&str; 5] =
    ["pre-install", "post-install", "pre-upgrade", "post-upgrade", "crd-install"];
/// Hooks that a warning names.
const NAMED_MAX: usize = 8;

/// Objects without the hooks that do not stand in the cluster, which one warning names.
pub(super) fn without_hooks(
    objects: Vec<Object>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Object> {
    let mut kept = Vec::with_capacity(objects.len());
    let mut left_out: Vec<(Span, String)> = Vec::new();
    for object in objects {
        match passing_hook(&object) {
            Some(entry) => {
                let events = entry.value.text().unwrap_or_default();
                left_out.push((entry.key_span, format!("{} ({events})", object.title())));
            }
            None => kept.push(object),
        }
    }
    if let Some((span, _)) = left_out.first() {
        diagnostics.push(warning(*span, &left_out));
    }
    kept
}

/// Namespace and name of the Secrets that Jobs make, by what `kube-webhook-certgen` and its like are told
/// (`cmd/create.go` of ingress-nginx' `images/kube-webhook-certgen`: `--secret-name`).
pub(super) fn secrets_of_jobs(objects: &[Object]) -> Vec<(String, String)> {
    const FLAG: &str = "--secret-name";
    let mut made = Vec::new();
    for object in objects.iter().filter(|object| object.key.kind == "Job") {
        let pod = object.node.at(&["spec", "template", "spec"]);
        let containers = pod.and_then(|it| it.get("containers")?.items()).unwrap_or_default();
        for container in containers {
            let args = container.get("args").and_then(Node::items).unwrap_or_default();
            let args: Vec<&str> = args.iter().filter_map(Node::text).collect();
            let joined = args.iter().filter_map(|arg| arg.strip_prefix(FLAG)?.strip_prefix('='));
            let apart = args.windows(2).filter(|pair| pair[0] == FLAG).map(|pair| pair[1]);
            let names = joined.chain(apart);
            made.extend(names.map(|name| (object.key.namespace.clone(), name.to_owned())));
        }
    }
    made
}

fn warning(span: Span, left_out: &[(Span, String)]) -> Diagnostic {
    let names = left_out.iter().take(NAMED_MAX).map(|(_, name)| name.as_str());
    let mut list = names.collect::<Vec<_>>().join(", ");
    if left_out.len() > NAMED_MAX {
        list = format!("{list} and {} more", left_out.len() - NAMED_MAX);
    }
    let what = if left_out.len() == 1 { "is a Helm hook" } else { "are Helm hooks" };
    let message = format!("{list} {what}, not part of what runs: left out");
    Diagnostic::new(Code::W0395, span, message)
}

/// The annotation of an object that is a hook and is not there when its release is deployed.
fn passing_hook(object: &Object) -> Option<&Entry> {
    let annotations = object.node.at(&["metadata", "annotations"])?;
    let hook = annotations.entry(HOOK)?;
    let is_deploying = words(&hook.value).any(|event| DEPLOYING.contains(&event.as_str()));
    let is_deleted = annotations
        .get(DELETE_POLICY)
        .is_some_and(|policy| words(policy).any(|it| it == "hook-succeeded"));
    let ends = matches!(object.key.kind.as_str(), "Job" | "Pod");
    (!is_deploying || is_deleted || ends).then_some(hook)
}

fn words(list: &Node) -> impl Iterator<Item = String> {
    let words = list.text().unwrap_or_default().split(',');
    words.map(|word| word.trim().to_ascii_lowercase())
}
