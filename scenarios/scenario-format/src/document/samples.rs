//! Samples of usage, from which resources are recommended.

use model_api::SimSpan;

use crate::decode::record;
use crate::source::Spanned;
use crate::units::{Bytes, Cpu};

record! {
    /// How a container was used.
    pub struct ContainerSamplesSpec("samples of a container") {
        /// Name of the container.
        name: Spanned<String>,
        /// What it used.
        usage: Vec<UsageSpec>,
        /// When its memory ran out.
        oom_kills: Vec<OomKillSpec>,
    }
}

record! {
    /// Samples that are alike.
    pub struct UsageSpec("usage") {
        /// The first sample, since the start.
        from: Spanned<SimSpan>,
        /// All samples are before this.
        until: Spanned<SimSpan>,
        /// From one to the next.
        every: Spanned<SimSpan>,
        /// CPU; none when left out.
        cpu: Option<Spanned<Cpu>>,
        /// Memory; none when left out.
        memory: Option<Spanned<Bytes>>,
    }
}

record! {
    /// A container was killed because its memory ran out.
    pub struct OomKillSpec("an OOM kill") {
        /// When, since the start.
        at: Spanned<SimSpan>,
        /// What it requested then.
        memory_request: Spanned<Bytes>,
    }
}
