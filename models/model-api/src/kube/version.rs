//! Versions of Kubernetes, and which of them may run together.
//!
//! Source: kubernetes.io, "Version Skew Policy" (1.36).

use std::fmt;

/// A minor version of Kubernetes 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The 36 of 1.36.
    pub minor: u16,
}

/// How many minor versions a kubelet, and a kube-proxy, may be older than any API server.
pub const KUBELET_BEHIND_MAX: u16 = 3;

/// Why two components of these versions must not run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skew {
    /// It is newer than the API server.
    TooNew,
    /// It is older than the API server lets it be.
    TooOld,
}

impl Version {
    /// Version 1.`minor`.
    pub const fn new(minor: u16) -> Self {
        Self { minor }
    }

    /// Reads `1.36`, `v1.36` or `1.36.2`; the patch does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next());
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_good = major == "1" && is_number(minor) && patch.is_none_or(is_number);
        (is_good && parts.next().is_none()).then(|| minor.parse().ok().map(Self::new))?
    }

    /// What is wrong with a kubelet, or a kube-proxy, of this version beside an API server.
    pub fn kubelet_skew(self, api_server: Self) -> Option<Skew> {
        if self > api_server {
            Some(Skew::TooNew)
        } else {
            (api_server.minor - self.minor > KUBELET_BEHIND_MAX).then_some(Skew::TooOld)
        }
    }

    /// Whether API servers of a control plane may go from this version to another: API servers beside
    /// each other differ by one minor version at most, none is skipped, and none goes back.
    pub fn may_become(self, next: Self) -> bool {
        next >= self && next.minor - self.minor <= 1
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let minor = |text| Version::parse(text).map(|it| it.minor);
        assert_eq!(["1.36", "v1.36", "1.36.2", "v1.9.0"].map(minor), [36, 36, 36, 9].map(Some));
        for bad in
            ["", "1", "2.1", "1.x", "1.36.x", "1.36.2.1", "1.-1", "1.99999999", "1.+3", "vv1.3"]
        {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    /// The examples of the policy.
    #[test]
    fn kubelets_are_never_newer_and_three_older_at_most() {
        let at = |kubelet: u16, api: u16| Version::new(kubelet).kubelet_skew(Version::new(api));
        let skews = [33, 34, 35, 36, 37].map(|kubelet| at(kubelet, 36));
        assert_eq!(skews, [None, None, None, None, Some(Skew::TooNew)]);
        assert_eq!(at(32, 36), Some(Skew::TooOld));
    }

    #[test]
    fn api_servers_skip_no_version_and_never_go_back() {
        let may = |next: u16| Version::new(36).may_become(Version::new(next));
        assert_eq!([35, 36, 37, 38].map(may), [false, true, true, false]);
    }
}
