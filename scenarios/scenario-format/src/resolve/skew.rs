//! Versions of Kubernetes that must not run together: E0029.

use model_api::action::{Action, ControlPlaneUpgrade};
use model_api::fault::{Fault, FaultKind, Start};
use model_api::kube::{Skew, Version};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{ControlPlaneUpgradeSpec, FaultSpec, MinorVersion, PlatformSpec};
use crate::source::Spanned;

/// Refuses pools whose kubelets must not talk to this control plane.
pub(super) fn refuse_pools(spec: &PlatformSpec, diagnostics: &mut Vec<Diagnostic>) {
    let control_plane = spec.control_plane.version;
    for pool in &spec.node_pools {
        let Some(version) = &pool.version else { continue };
        let Some(api_server) = control_plane else {
            let message = "without `controlPlane.version` nothing can be said of this version";
            diagnostics.push(Diagnostic::new(Code::E0017, version.span, message));
            continue;
        };
        let (own, theirs) = (version.value.0, api_server.value.0);
        let Some(skew) = own.kubelet_skew(theirs) else { continue };
        let message = match skew {
            Skew::TooNew => format!("kubelets of {own} are newer than the API servers of {theirs}"),
            Skew::TooOld => {
                format!("kubelets of {own} are more than three versions older than {theirs}")
            }
        };
        let diagnostic = Diagnostic::new(Code::E0029, version.span, message);
        diagnostics.push(diagnostic.related(api_server.span, "the control plane"));
    }
}

impl Resolver<'_> {
    pub(super) fn control_plane_upgrade(
        &mut self,
        spec: &ControlPlaneUpgradeSpec,
    ) -> Option<Action> {
        if let (Some(stated), None) = (&spec.to, self.blueprint.control_plane.version) {
            let message = "`to` needs `controlPlane.version` of the platform, which is not stated";
            self.report(Code::E0017, stated.span, message);
        }
        Some(Action::ControlPlaneUpgrade(ControlPlaneUpgrade {
            to: spec.to.map(|version| version.value.0),
            reboots: spec.reboots.unwrap_or(false),
            forces: spec.force.unwrap_or(false),
        }))
    }

    /// Looks at the upgrades of a control plane in the order of their times; at those that follow something
    /// else, of which nobody knows when it comes, where they are written.
    pub(super) fn check_upgrades(&mut self, faults: &[Fault], specs: &[FaultSpec]) {
        let mut version = self.blueprint.control_plane.version;
        let mut upgrades_nodes = false;
        let mut in_order: Vec<(&Fault, &FaultSpec)> = faults.iter().zip(specs).collect();
        if faults.iter().all(|fault| !matches!(fault.start, Start::When { .. })) {
            in_order.sort_by_key(|(fault, _)| match fault.start {
                Start::At(at) | Start::Within(at, _) => Some(at),
                Start::When { .. } => None,
            });
        }
        for (fault, spec) in in_order {
            match (&fault.kind, spec) {
                (FaultKind::Action(Action::NodeUpgrade(_)), _) => upgrades_nodes = true,
                (_, FaultSpec::ControlPlaneUpgrade(spec)) => {
                    let (Some(from), Some(stated)) = (version, &spec.to) else { continue };
                    self.check_upgrade(from, stated, upgrades_nodes);
                    version = Some(stated.value.0);
                }
                _ => {}
            }
        }
    }

    /// A version that cannot follow, and kubelets that would be too old for it; of these nothing is
    /// said once something upgrades nodes.
    fn check_upgrade(
        &mut self,
        from: Version,
        stated: &Spanned<MinorVersion>,
        upgrades_nodes: bool,
    ) {
        let to = stated.value.0;
        if !from.may_become(to) {
            let message = format!("a control plane of {from} does not become one of {to}");
            let help = "no minor version is skipped, and none goes back";
            self.diagnostics.push(Diagnostic::new(Code::E0029, stated.span, message).help(help));
            return;
        }
        let is_old = |version: Version| version.kubelet_skew(to) == Some(Skew::TooOld);
        let mut nodes = self.blueprint.nodes.iter();
        let old = nodes.find_map(|node| Some((node, node.version.filter(|it| is_old(*it))?)));
        let Some((node, version)) = old.filter(|_| !upgrades_nodes) else { return };
        let name = &node.node.name;
        let message =
            format!("the kubelet of {name} is of {version}, too old for API servers of {to}");
        let help =
            "upgrade the nodes first (nodeUpgrade): without `force` the upgrade does not begin";
        self.diagnostics.push(Diagnostic::new(Code::W0145, stated.span, message).help(help));
    }
}
