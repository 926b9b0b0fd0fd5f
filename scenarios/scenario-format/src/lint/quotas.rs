//! Quotas that the stated replicas exceed: W0397.

use model_api::kube::QuotaResource;

use super::Lint;
use super::placement::{amount_text, request_of};
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    /// W0397. Jobs come and go; limits are left to the run.
    pub(super) fn quotas(&mut self) {
        let manifests = self.manifests;
        for sourced in &manifests.quotas {
            let (quota, object) = (&sourced.value, manifests.object(sourced));
            for (resource, hard) in &quota.hard {
                let here = self.workloads().filter(|(it, _)| it.namespace == quota.namespace);
                let mut wanted = 0_i64;
                for (workload, _) in here {
                    let of_one = match resource {
                        QuotaResource::Pods | QuotaResource::AllPods => 1,
                        QuotaResource::Requests(name) => {
                            request_of(&workload.template.spec).get(name).copied().unwrap_or(0)
                        }
                        QuotaResource::Limits(_) => 0,
                    };
                    wanted = wanted.saturating_add(of_one.saturating_mul(self.pod_count(workload)));
                }
                if wanted <= *hard {
                    continue;
                }
                let name = match resource {
                    QuotaResource::Requests(name) => name.as_str(),
                    _ => "pods",
                };
                let message = format!(
                    "{}: its workloads want {} of {}, and {} is allowed: pods are missing",
                    object.title(),
                    amount_text(name, wanted),
                    resource.key(),
                    amount_text(name, *hard)
                );
                let span = object.span("spec.hard");
                self.push(object, Diagnostic::new(Code::W0397, span, message));
            }
        }
    }
}
