//! Webhooks that fail, in words.

use model_api::kube::Write;
use model_api::{Observation, SourceRef};

use super::Story;

impl<E> Story<'_, E> {
    /// A webhook that is asked about more than new pods fails, or answers again.
    pub(super) fn webhook_sentence(
        &self,
        observation: &Observation,
    ) -> (String, Option<SourceRef>) {
        let Observation::WebhookTurned { webhook, is_failing } = *observation else {
            return (String::new(), None);
        };
        let spec = &self.blueprint.webhooks[webhook as usize];
        let place = Some(spec.origin.object);
        if !is_failing {
            return (format!("the webhook {} answers again", spec.name), place);
        }
        let mut what: Vec<&str> = spec.asked.iter().map(named).collect();
        what.dedup();
        let verb = if spec.fails_closed { "refused" } else { "late" };
        (format!("the webhook {} fails: {} are {verb}", spec.name, what.join(", ")), place)
    }
}

fn named(write: &Write) -> &'static str {
    match write {
        Write::NodeLease => "leases of nodes",
        Write::LeaderLease => "leases of leaders",
        Write::NodeStatus | Write::NodeTaints => "writes of nodes",
        Write::PodStatus(_) | Write::PodMark(_) => "statuses of pods",
        Write::PodDeletion(_) | Write::PodRemoval(_) => "deletions of pods",
        Write::PodBinding(_) => "bindings",
        Write::PodEviction(_) => "evictions",
        Write::Revision(_) => "ReplicaSets",
        Write::Scale(_) => "scales",
        Write::Update(_) => "changes of workloads",
        Write::JobCreation(_) => "Jobs",
        Write::EndpointSlices(_) => "endpoint slices",
    }
}
