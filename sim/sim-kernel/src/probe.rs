//! Probes: proof that a campaign reached the rare branches.
//!
//! Promises: a probe never changes a result; it is counted exactly, over all threads;
//! the probes of a crate are one declared list, so those never hit can be named.
//!
//! ```
//! sim_kernel::declare_probes! {
//!     /// Rare branches of this crate.
//!     pub mod probes {
//!         /// An eviction met a budget with nothing left to give.
//!         BUDGET_BLOCKED = "budget blocked an eviction",
//!         /// Two nodes had the same score.
//!         SCORE_TIED = "two nodes scored alike",
//!     }
//! }
//! use sim_kernel::probe;
//!
//! probe!(probes::BUDGET_BLOCKED);
//! let score = (7, 7);
//! probe!(probes::SCORE_TIED, score.0 == score.1);
//!
//! let never_hit: Vec<_> = probes::ALL.iter().filter(|probe| probe.hit_count() == 0).collect();
//! assert!(never_hit.is_empty());
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

/// A named rare branch and how often it was taken since the process started.
#[derive(Debug)]
pub struct Probe {
    module: &'static str,
    description: &'static str,
    hit_count: AtomicU64,
}

impl Probe {
    /// A probe that was never hit. Made by [`declare_probes!`](crate::declare_probes).
    pub const fn new(module: &'static str, description: &'static str) -> Self {
        Probe { module, description, hit_count: AtomicU64::new(0) }
    }

    /// The module that declares it, such as `model_kube::probes`.
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// What happens in that branch, as a past fact.
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// Counts one hit. Relaxed: a sum has no order to keep.
    pub fn hit(&self) {
        self.hit_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Hits since the process started, over all threads.
    pub fn hit_count(&self) -> u64 {
        self.hit_count.load(Ordering::Relaxed)
    }
}

/// Declares the probes of a crate as one module with a list `ALL` of them.
/// See the [`Probe`] type and the `probe!` macro.
#[macro_export]
macro_rules! declare_probes {
    ($(#[$module_doc:meta])* $vis:vis mod $module:ident {
        $($(#[$doc:meta])* $name:ident = $description:literal),* $(,)?
    }) => {
        $(#[$module_doc])*
        $vis mod $module {
            $($(#[$doc])* pub static $name: $crate::Probe =
                $crate::Probe::new(module_path!(), $description);)*
            /// Every probe declared here, in the order of declaration.
            pub static ALL: &[&$crate::Probe] = &[$(&$name),*];
        }
    };
}

/// Counts that this rare branch was reached: `probe!(probes::NAME)`, or
/// `probe!(probes::NAME, condition)` to count only when the condition holds.
#[macro_export]
macro_rules! probe {
    ($probe:path) => {
        $probe.hit()
    };
    ($probe:path, $condition:expr) => {
        if $condition {
            $probe.hit();
        }
    };
}
