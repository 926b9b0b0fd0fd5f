//! How it came to a figure that an expression did not allow.

use model_api::guarantee::figure::{DatabaseFigure, PoolFigure, ServiceFigure, WorkloadFigure};
use model_api::observation::{EvictionReason, KillReason, LossReason, StorageFact};
use model_api::usage::NodeResource;
use model_api::{Observation, PoolId, ServiceId};
use report_data::{Explanation, Step};
use sim_kernel::SimTime;

use super::Story;
use crate::blame::Blamed;
use crate::measures::RunMeasures;

impl<E> Story<'_, E> {
    /// Explains a figure of a run that ends at `end`; `None` when nothing happened to it.
    pub fn figure(
        &self,
        run: u64,
        blamed: Blamed,
        measures: &RunMeasures,
        end: SimTime,
    ) -> Option<Explanation> {
        use Observation as O;
        match blamed {
            Blamed::Service(service, ServiceFigure::LostRequests | ServiceFigure::Availability) => {
                match measures.services[service.index()].longest_outage() {
                    Some(outage) => Some(self.outage(run, service, outage)),
                    None => self.first_loss(run, service),
                }
            }
            Blamed::Service(service, _) => {
                let outage = measures.services[service.index()].longest_outage()?;
                Some(self.outage(run, service, outage))
            }
            Blamed::Database(wanted, figure) => match figure {
                DatabaseFigure::WriteOutageSeconds => self.write_outage(run, wanted, end),
                DatabaseFigure::LostSeconds | DatabaseFigure::LostCommits => self.first(
                    run,
                    |seen| matches!(seen, O::CommitsLost { database, .. } if *database == wanted),
                ),
                DatabaseFigure::UnknownCommits => self.first(
                    run,
                    |seen| matches!(seen, O::CommitsUnknown { database, .. } if *database == wanted),
                ),
                DatabaseFigure::StallCount | DatabaseFigure::StalledSeconds => self.first(
                    run,
                    |seen| matches!(seen, O::WritesStopped { database } if *database == wanted),
                ),
                DatabaseFigure::ReducedRedundancySeconds => self.first(run, |seen| {
                    matches!(
                        seen,
                        O::PrimaryPromoted { database, .. }
                        | O::StandbyOutrun { database, .. }
                        | O::WritesStopped { database } if *database == wanted
                    )
                }),
                DatabaseFigure::ArchiveBacklogBytes | DatabaseFigure::LogFreeBytes => self.first(
                    run,
                    |seen| matches!(seen, O::WalVolumeFull { database, .. } if *database == wanted),
                ),
                DatabaseFigure::FailoverCount => self.first(
                    run,
                    |seen| matches!(seen, O::PrimaryPromoted { database, .. } if *database == wanted),
                ),
            },
            Blamed::Workload(wanted, WorkloadFigure::MemoryKills) => self.first(run, |seen| {
                matches!(
                    seen,
                    O::ContainersKilled {
                        workload,
                        reason: KillReason::MemoryLimit | KillReason::NodeMemory,
                        ..
                    } if *workload == wanted
                )
            }),
            Blamed::Workload(wanted, WorkloadFigure::MemoryEvictions) => self.first(run, |seen| {
                matches!(
                    seen,
                    O::PodEvicted {
                        workload,
                        reason: EvictionReason::Pressure(NodeResource::Memory),
                        ..
                    } if *workload == wanted
                )
            }),
            Blamed::Pool(wanted, figure) => self.first(
                run,
                |seen| matches!(seen, O::Storage(fact) if counts(figure, fact, wanted)),
            ),
        }
    }

    /// Explains the first requests that were lost, of a Service that had no outage.
    fn first_loss(&self, run: u64, service: ServiceId) -> Option<Explanation> {
        let mut flows = self.flows(service);
        let (_, _, segment) = flows.find(|(_, _, segment)| segment.loss != LossReason::None)?;
        let mut steps = self.steps(self.cause_at(service, segment.from));
        steps.push(Step {
            at_ns: segment.from.as_nanos(),
            text: format!(
                "requests for {} fail: {}",
                self.blueprint.service_name(service),
                self.loss(segment.loss)
            ),
            position: self.position(self.blueprint.services[service.index()].origin.object),
        });
        Some(Explanation { run, steps, outage_parts: Vec::new() })
    }
}

/// Whether a fact is what a figure of a pool counts.
fn counts(figure: PoolFigure, fact: &StorageFact, wanted: PoolId) -> bool {
    match (figure, *fact) {
        (PoolFigure::StoppedSeconds, StorageFact::Io { pool, io }) => {
            pool == wanted && io.is_stopped()
        }
        (PoolFigure::LostBytes, StorageFact::DataLost { pool, .. })
        | (PoolFigure::RebuildSeconds, StorageFact::RebuildStarted { pool, .. })
        | (
            PoolFigure::BelowSizeSeconds | PoolFigure::AtOneBytes,
            StorageFact::OsdsLost { pool, .. },
        ) => pool == wanted,
        _ => false,
    }
}
