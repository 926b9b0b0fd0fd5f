//! Recovery as people do it: what has to pass before data flows, and after.
//!
//! # Modelled
//! Detection, paging, decision, steps of a runbook that can go wrong and are then done again, what has
//! to be built to restore to, checks at the end: each a draw of its own, keyed by the data set and the
//! number of the recovery, so that another data set changes none of them.
//! # Not modelled
//! Shifts, and people who tire or are needed twice at the same time; steps of a runbook that nobody
//! wrote down.
//! # Defaults and their sources
//! [`Recovery::default`](model_api::backup::Recovery): assumptions, all of them.
//! # Invariants
//! The parts are what the whole is made of: it has no time of its own.
//! # Checked against
//! `tests/it/recovery.rs`.

use model_api::backup::Recovery;
use model_api::parameters::Range;
use sim_kernel::{EntityKey, Purpose, SimSpan, Streams};

const DETECT: Purpose = Purpose::new("recovery: detect");
const RESPOND: Purpose = Purpose::new("recovery: respond");
const DECIDE: Purpose = Purpose::new("recovery: decide");
const STEP: Purpose = Purpose::new("recovery: step");
const STEP_FAILS: Purpose = Purpose::new("recovery: step goes wrong");
const STEP_UNDONE: Purpose = Purpose::new("recovery: step undone");
const REBUILD: Purpose = Purpose::new("recovery: rebuild");
const PROVISION: Purpose = Purpose::new("recovery: provision");
const VERIFY: Purpose = Purpose::new("recovery: verify");
/// How often a step is tried: with an error of 100 % it would never end.
const TRIES_MAX: u64 = 20;

/// What a recovery takes besides moving data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Until the loss is known.
    pub detect: SimSpan,
    /// Until somebody looks.
    pub respond: SimSpan,
    /// Until it is decided what to do.
    pub decide: SimSpan,
    /// Steps of the runbook, mistakes included.
    pub act: SimSpan,
    /// Until there is something to restore to.
    pub provision: SimSpan,
    /// From the end of the restore until the service is led to it.
    pub verify: SimSpan,
}

impl Work {
    /// From the strike until a restore begins to read.
    pub fn lead(&self) -> SimSpan {
        [self.respond, self.decide, self.act, self.provision]
            .into_iter()
            .fold(self.detect, SimSpan::saturating_add)
    }
}

/// The luck of a recovery: of this data set, for the time of this number. A logical loss is noticed
/// after `dwell`; a site that is gone has to be rebuilt first.
pub(crate) fn work(
    recovery: &Recovery,
    streams: Streams,
    data_set: EntityKey,
    number: u32,
    dwell: Option<SimSpan>,
    is_site_gone: bool,
) -> Work {
    let draw = |purpose, delay: Range| {
        let draw = streams.draw(data_set, purpose, u64::from(number));
        draw.span_between(delay.least, delay.most)
    };
    let provision = draw(PROVISION, recovery.provision);
    let rebuild = if is_site_gone { draw(REBUILD, recovery.rebuild) } else { SimSpan::ZERO };
    Work {
        detect: dwell.unwrap_or_else(|| draw(DETECT, recovery.detect)),
        respond: draw(RESPOND, recovery.respond),
        decide: draw(DECIDE, recovery.decide),
        act: steps(recovery, streams, data_set, number),
        provision: rebuild.saturating_add(provision),
        verify: draw(VERIFY, recovery.verify),
    }
}

fn steps(recovery: &Recovery, streams: Streams, data_set: EntityKey, number: u32) -> SimSpan {
    let mut all = SimSpan::ZERO;
    for step in &recovery.steps {
        let key = data_set.child(&step.name).part(u64::from(number));
        for attempt in 0..TRIES_MAX {
            let span = |purpose, delay: Range| {
                streams.draw(key, purpose, attempt).span_between(delay.least, delay.most)
            };
            all = all.saturating_add(span(STEP, step.takes));
            let luck = streams.draw(key, STEP_FAILS, attempt).below(1_000_000);
            if luck >= u64::from(step.error_ppm) {
                break;
            }
            all = all.saturating_add(span(STEP_UNDONE, step.error_takes));
        }
    }
    all
}
