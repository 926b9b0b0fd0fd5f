//! The control plane of a platform: its load balancer, and what is odd about its members.

use model_api::blueprint::ApiBalancer;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::PlatformSpec;
use crate::source::{Span, Spanned};

/// The load balancer before the API servers, if one is stated.
pub(super) fn balancer(
    spec: &PlatformSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ApiBalancer> {
    let stated = spec.control_plane.load_balancer.as_ref()?;
    let default = ApiBalancer::default();
    let mut refuse = |is_wrong: bool, span: Span, message: &str| {
        if is_wrong {
            diagnostics.push(Diagnostic::new(Code::E0097, span, message));
        }
    };
    for span in [stated.interval, stated.timeout].into_iter().flatten() {
        refuse(span.value.is_zero(), span.span, "a check needs some time");
    }
    for count in [stated.fall, stated.rise].into_iter().flatten() {
        refuse(count.value == 0, count.span, "one check at least decides about a server");
    }
    let count = |stated: Option<Spanned<u32>>, default: u32| stated.map_or(default, |it| it.value);
    Some(ApiBalancer {
        interval: stated.interval.map_or(default.interval, |it| it.value),
        timeout: stated.timeout.map_or(default.timeout, |it| it.value),
        fall: count(stated.fall, default.fall),
        rise: count(stated.rise, default.rise),
    })
}
