//! Backups that surely do not do what they are there for: W0133 to W0139, W0199.

use model_api::backup::{BackupPolicy, Location, Method, Protection, Retention, Schedule};
use model_api::{DataSetId, SimSpan};

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::units::span_of_secs;

/// Where things were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackupSpans {
    pub(crate) data_sets: Vec<Span>,
    pub(crate) policies: Vec<Span>,
    pub(crate) archives: Vec<Span>,
}

/// Runs the rules; `is_mine` says whether a place is the user's to change.
pub(crate) fn check(
    protection: &Protection,
    spans: &BackupSpans,
    is_mine: impl Fn(Span) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut found = Vec::new();
    for (policy, span) in protection.policies.iter().zip(&spans.policies) {
        policy_rules(protection, policy, *span, &mut found);
    }
    for (idx, span) in spans.data_sets.iter().enumerate() {
        data_set_rules(protection, DataSetId::from_index(idx), *span, &mut found);
    }
    for (archive, span) in protection.archives.iter().zip(&spans.archives) {
        let mut policies = protection.policies_of(archive.data_set);
        let has_base = policies.any(|id| protection.policies[id.index()].method == Method::Base);
        if !has_base {
            let name = &protection.data_sets[archive.data_set.index()].name;
            let message = format!("the log of {name} is archived, and nothing leads on to it");
            let help = "add a policy with `method: base`";
            found.push(Diagnostic::new(Code::W0138, *span, message).help(help));
        }
    }
    // Of many policies that one object makes, the first says it for all.
    let mut said: Vec<(Code, Option<Span>)> = Vec::new();
    found.retain(|it| {
        let is_new = !said.contains(&(it.code, it.span));
        said.push((it.code, it.span));
        is_new && it.span.is_none_or(&is_mine)
    });
    diagnostics.extend(found);
}

fn policy_rules(
    protection: &Protection,
    policy: &BackupPolicy,
    span: Span,
    found: &mut Vec<Diagnostic>,
) {
    let data_set = &protection.data_sets[policy.data_set.index()];
    if let Some(key) = policy.key.map(|key| &protection.keys[key.index()])
        && key.kept_at.is_empty()
        && key.kept_in.iter().all(|kept_in| *kept_in == policy.data_set)
    {
        let message = format!(
            "{} is encrypted with {}, which is kept nowhere but in {}",
            policy.name, key.name, data_set.name
        );
        found.push(
            Diagnostic::new(Code::W0134, span, message)
                .help("keep the key in another place: `region` or `zones` of the key"),
        );
    }
    if let Some(kept) = kept_at_least(policy)
        && kept < data_set.discovery
    {
        let message = format!(
            "{} keeps copies for {kept}, and a logical loss of {} goes unnoticed for {}",
            policy.name, data_set.name, data_set.discovery
        );
        found.push(Diagnostic::new(Code::W0135, span, message));
    }
    if policy.tested_every.is_none() && !policy.is_paused {
        let message = format!("nobody ever tries to restore what {} makes", policy.name);
        let help = "state how often a restore is tried: `restoreTest: 30d`";
        found.push(Diagnostic::new(Code::W0136, span, message).help(help));
    }
    let place = &protection.places[policy.to.index()];
    let moving = policy.moved_bytes / place.write_bytes_per_second;
    let needed = policy.overhead.saturating_add(span_of_secs(moving));
    if let Some(timeout) = policy.timeout.filter(|timeout| needed > *timeout) {
        let message =
            format!("a run of {} takes {needed}, and is ended after {timeout}", policy.name);
        found.push(Diagnostic::new(Code::W0139, span, message));
    }
}

/// The least time for which a policy keeps a copy, as far as its schedule says.
fn kept_at_least(policy: &BackupPolicy) -> Option<SimSpan> {
    match (policy.retention, &policy.schedule) {
        (Retention::For(span) | Retention::Window(span), _) => Some(span),
        (Retention::Last(count), Schedule::Every(period)) => {
            Some(period.saturating_mul(u64::from(count.saturating_sub(1))))
        }
        (Retention::Last(_), Schedule::Cron(_)) => None,
    }
}

fn data_set_rules(protection: &Protection, id: DataSetId, span: Span, found: &mut Vec<Diagnostic>) {
    let name = &protection.data_sets[id.index()].name;
    let locations = locations(protection, id);
    if locations.is_empty() {
        let message = format!("nothing makes copies of {name}");
        found.push(Diagnostic::new(Code::W0137, span, message));
        return;
    }
    let pools = &protection.data_sets[id.index()].pools;
    let is_with_volumes =
        |location: &&Location| location.pool.is_some_and(|it| pools.contains(&it));
    if locations.iter().all(is_with_volumes) {
        let message = format!("every copy of {name} is gone with the storage pool of its volumes");
        let help = "move snapshots to a place on another pool or in another region, or add a policy that does";
        found.push(Diagnostic::new(Code::W0199, span, message).help(help));
        return;
    }
    let only_zone = |location: &&Location| match (location.zones.as_slice(), &location.region) {
        ([zone], None) if location.beside.is_none() => Some(*zone),
        _ => None,
    };
    let first = locations.first().and_then(only_zone);
    let is_one_zone = first.is_some() && locations.iter().all(|it| only_zone(it) == first);
    if is_one_zone || locations.iter().all(|location| location.beside == Some(id)) {
        let message = if is_one_zone {
            format!("every copy of {name} stands in one zone")
        } else {
            format!("every copy of {name} stands beside the original")
        };
        let help = "copy them to a place in other zones or another region: `copies`";
        found.push(Diagnostic::new(Code::W0133, span, message).help(help));
    }
}

/// Where copies of a data set go.
fn locations(protection: &Protection, id: DataSetId) -> Vec<&Location> {
    let mut places = Vec::new();
    for policy in protection.policies_of(id) {
        let policy = &protection.policies[policy.index()];
        places.push(policy.to);
        places.extend(policy.copies.iter().map(|copy| copy.to));
    }
    if let Some(archive) = protection.archive_of(id) {
        places.push(archive.to);
        places.extend(archive.copies.iter().map(|copy| copy.to));
    }
    places.into_iter().map(|place| &protection.places[place.index()].location).collect()
}
