//! What a run reports: facts, each at a time and with a cause.
//!
//! The judge knows a run only through these. Every variant is a past fact; figures are integers.

mod backup;
mod canary;
mod database;
mod flow;
mod gateway;
mod reason;
mod storage;

pub use backup::{BackupFact, ExposureStretch, Lack, RecoveryParts};
pub use canary::{CanaryFact, CanaryFailure};
pub use database::{FailoverBlock, InstanceFact, InstanceUpdate};
pub use flow::{Counted, FlowSegment, LossReason, Throttling, WAIT_SHAPE_EXPONENTIAL, WaitLaw};
pub use gateway::GatewayFact;
pub use reason::{
    ConfigurationWay, DeletionReason, DrainFailure, EvictionReason, KillReason, PendingWrite,
    RefusedNodes, UnreadyReason, UnschedulableReason,
};
pub use storage::{PoolIo, StorageFact};

use sim_kernel::SimTime;

use crate::control_plane::MemberPart;
use crate::fault::{Leading, PriorityLevel};
use crate::ids::{
    AutoscalerId, DatabaseId, FaultId, LoadId, NodeId, PodId, PoolerId, ServiceId,
    VerticalAutoscalerId, WorkloadId, ZoneId,
};
use crate::kube::JobEnd;
use crate::session::SessionsSeen;
use crate::usage::NodeResource;

/// One fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// A fault struck; `targets` says how many things it changed (0: it hit nothing).
    FaultStruck {
        /// Which.
        fault: FaultId,
        /// Machines, pods or load curves it changed.
        targets: u32,
    },
    /// A fault is over.
    FaultEnded {
        /// Which.
        fault: FaultId,
    },

    /// An action that takes its time has done all that it was for.
    ActionCompleted {
        /// Which.
        fault: FaultId,
    },
    /// A zone lost power or contact.
    ZoneLost {
        /// Which.
        zone: ZoneId,
        /// It still runs, but cut off.
        is_isolated: bool,
    },
    /// A zone is back.
    ZoneRestored {
        /// Which.
        zone: ZoneId,
    },
    /// A node stopped or was cut off, whether anybody noticed or not.
    NodeLost {
        /// Which.
        node: NodeId,
    },
    /// A node runs, again or for the first time, and is reachable.
    NodeRestored {
        /// Which.
        node: NodeId,
    },
    /// The control plane set the node's Ready condition to Unknown or False.
    NodeBecameNotReady {
        /// Which.
        node: NodeId,
    },
    /// The node's Ready condition is True again.
    NodeBecameReady {
        /// Which.
        node: NodeId,
    },
    /// A kubelet finds that something runs out on its node.
    NodePressureStarted {
        /// Which.
        node: NodeId,
        /// What.
        resource: NodeResource,
    },
    /// It found enough for as long as it waits before it believes that.
    NodePressureEnded {
        /// Which.
        node: NodeId,
        /// Of what.
        resource: NodeResource,
    },
    /// A kubelet deletes images that no container uses, because its disk fills.
    ImagesCollected {
        /// The node.
        node: NodeId,
        /// What they took.
        bytes: u64,
    },
    /// The cluster autoscaler asked the provider for nodes.
    NodesRequested {
        /// Where.
        zone: ZoneId,
        /// How many.
        count: u32,
    },
    /// The provider refused them: its quota, or no capacity.
    NodesRefused {
        /// Where.
        zone: ZoneId,
        /// How many.
        count: u32,
    },
    /// They did not come in time, and the autoscaler gave them up.
    NodesGivenUp {
        /// Where.
        zone: ZoneId,
        /// How many.
        count: u32,
    },
    /// The cluster autoscaler deleted a node that was not needed.
    NodeRemoved {
        /// Which.
        node: NodeId,
    },
    /// An autoscaler changed how many replicas a workload shall have.
    Rescaled {
        /// Which.
        workload: WorkloadId,
        /// There were to be.
        from: u32,
        /// There are to be.
        to: u32,
    },
    /// What a vertical autoscaler recommends for a container at the end of a run.
    CpuRecommended {
        /// Which autoscaler.
        autoscaler: VerticalAutoscalerId,
        /// Position of the container in the pod template of its target.
        container: u32,
        /// `target`, in millicores.
        target_millis: i64,
        /// `lowerBound`, in millicores.
        lower_millis: i64,
        /// `upperBound`, in millicores.
        upper_millis: i64,
        /// `uncappedTarget`, in millicores.
        uncapped_millis: i64,
    },
    /// The same of memory, in bytes.
    MemoryRecommended {
        /// Which autoscaler.
        autoscaler: VerticalAutoscalerId,
        /// Position of the container in the pod template of its target.
        container: u32,
        /// `target`.
        target_bytes: i64,
        /// `lowerBound`.
        lower_bytes: i64,
        /// `upperBound`.
        upper_bytes: i64,
        /// `uncappedTarget`.
        uncapped_bytes: i64,
    },
    /// The downscaler made a workload small for its downtime, or brought it back.
    OffPeakResized {
        /// Which.
        workload: WorkloadId,
        /// There were to be.
        from: u32,
        /// There are to be.
        to: u32,
    },
    /// A workload got another pod template.
    RolloutStarted {
        /// Which.
        workload: WorkloadId,
    },
    /// A ReplicaSet of a Deployment got another size.
    ReplicaSetScaled {
        /// The Deployment.
        workload: WorkloadId,
        /// Which ReplicaSet, in the order of creation; 0 is the one of the start.
        revision: u32,
        /// `spec.replicas` from now on.
        replicas: u32,
    },
    /// A Job was created.
    JobCreated {
        /// The Job, or the CronJob that made it.
        workload: WorkloadId,
        /// Which of its Jobs, counted from 0.
        job: u32,
        /// When it was to be.
        due_at: SimTime,
    },
    /// A Job is complete, or has failed.
    JobEnded {
        /// The Job, or the CronJob that made it.
        workload: WorkloadId,
        /// Which of its Jobs.
        job: u32,
        /// How.
        end: JobEnd,
    },
    /// A CronJob deleted a Job that was not finished, to start the next one.
    JobReplaced {
        /// The CronJob.
        workload: WorkloadId,
        /// Which of its Jobs.
        job: u32,
    },
    /// A CronJob made no Job at a time of its schedule, and will not make it later.
    JobMissed {
        /// The CronJob.
        workload: WorkloadId,
        /// The time.
        due_at: SimTime,
    },
    /// All pods of a workload are of its newest template and available.
    RolloutCompleted {
        /// Which.
        workload: WorkloadId,
    },
    /// A Deployment's rollout made no progress within `progressDeadlineSeconds`:
    /// `ProgressDeadlineExceeded`.
    RolloutStalled {
        /// Which.
        workload: WorkloadId,
    },
    /// New pods are kept off a node.
    NodeCordoned {
        /// Which.
        node: NodeId,
    },
    /// New pods are let onto a node again.
    NodeUncordoned {
        /// Which.
        node: NodeId,
    },
    /// All pods that had to go are gone from a node.
    NodeDrained {
        /// Which.
        node: NodeId,
    },
    /// A drain gave a node up.
    DrainFailed {
        /// Which.
        node: NodeId,
        /// Why.
        reason: DrainFailure,
    },
    /// The eviction API refused an eviction.
    EvictionRefused {
        /// Of which pod.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// HTTP status of the answer: 429 for a budget, 500 for several, 403 for one that is invalid.
        code: u16,
    },
    /// The NoExecute taint was set: evictions from the node are due.
    NodeTaintedNoExecute {
        /// Which.
        node: NodeId,
    },
    /// The NoExecute taint was removed.
    NodeUntainted {
        /// Which.
        node: NodeId,
    },
    /// Nothing is evicted any more, because every zone is lost.
    MasterDisruptionStarted,

    /// etcd lost its quorum: nothing can be written.
    QuorumLost,
    /// etcd has a quorum and a leader again.
    QuorumRegained,
    /// The leader of the controller manager (and scheduler) changed; its memory is empty.
    LeaderChanged,
    /// An operator could not renew its lease and ends, or another process of it takes over.
    OperatorTurned {
        /// Which pod.
        pod: PodId,
        /// Of which workload.
        workload: WorkloadId,
        /// It takes over.
        leads: bool,
    },
    /// No API server answers: what runs goes on, and nothing changes any more.
    ApiLost,
    /// The API answers again; what waited goes on.
    ApiRegained,
    /// A process of a member of the control plane ends, or answers again.
    MemberTurned {
        /// Number of the member, from zero.
        member: u32,
        /// Which process.
        part: MemberPart,
        /// It answers again.
        is_up: bool,
    },
    /// The API server of a member answers nobody any more, or its etcd takes no part, for reasons of its own;
    /// or it does again. That the whole API is away, as without a quorum, is not told of each.
    MemberServes {
        /// Number of the member, from zero.
        member: u32,
        /// Which process.
        part: MemberPart,
        /// It does again.
        is_up: bool,
        /// How long it takes from now on until it does, in nanoseconds: a server has to start.
        after_ns: u64,
    },
    /// A connection is led to an API server that does not answer.
    DialedInVain {
        /// The member it runs on, from zero.
        member: u32,
    },
    /// A member leads etcd after an election.
    EtcdLed {
        /// Its number, from zero.
        member: u32,
    },
    /// The load balancer before the API servers takes one out, or in again.
    ApiServerPooled {
        /// The member it runs on, from zero.
        member: u32,
        /// It is in.
        is_in: bool,
        /// How long that took since it ceased to answer, or began to, in nanoseconds.
        after_ns: u64,
        /// The share of new connections that were sent to it meanwhile, in parts per million.
        share_ppm: u32,
    },
    /// The Service `kubernetes` leads to an API server no more, or again.
    ApiServerListed {
        /// The member it runs on, from zero.
        member: u32,
        /// Pods are led to it.
        is_listed: bool,
        /// How long that took since it ceased to answer, or began to, in nanoseconds.
        after_ns: u64,
        /// The share of connections of pods that were led to it meanwhile, in parts per million.
        share_ppm: u32,
    },
    /// A pod that asks the API through the Service `kubernetes` has a connection that leads to nobody, or
    /// one that leads somewhere again.
    ApiClientTurned {
        /// The pod.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// It gets no answers.
        is_cut: bool,
    },
    /// A controller manager or a scheduler apart from API servers has a connection that leads to nobody, or
    /// one that leads somewhere again.
    ControllerTurned {
        /// The member it runs on, from zero.
        member: u32,
        /// It gets no answers.
        is_cut: bool,
    },
    /// Nobody gets through the load balancer before the API servers, or everybody again.
    ApiBalancerTurned {
        /// It lets through.
        is_up: bool,
    },
    /// A member of the control plane is upgraded: its processes end.
    MemberUpgradeStarted {
        /// Its number, from zero.
        member: u32,
    },
    /// The upgrade of a member is done: its API server answers.
    MemberUpgraded {
        /// Its number, from zero.
        member: u32,
    },
    /// An upgrade of the control plane goes on when a member answers that is down.
    UpgradeWaits {
        /// Which.
        member: u32,
    },
    /// An upgrade of the control plane does not begin: a kubelet is too old for the new version.
    UpgradeRefused {
        /// The node it runs on.
        node: NodeId,
    },
    /// The API answers again, and so many kubelets and proxies list anew that they have to queue.
    RelistsQueued {
        /// How many they are.
        clients: u64,
        /// Requests that are refused at first (429).
        refused: u64,
        /// How much later the last one is answered for it, in nanoseconds.
        span_ns: u64,
    },
    /// From now on requests of a priority level wait or are refused at the API servers.
    ApiOverloaded {
        /// The level.
        level: PriorityLevel,
        /// Flows that share all their queues with the flood, in parts per million of all.
        crowded_ppm: u32,
        /// How many tries of such a flow are refused, in parts per million.
        refused_ppm: u32,
        /// How long one that gets through waits, in nanoseconds.
        wait_ns: u64,
    },
    /// Each write takes so much longer from now on, in nanoseconds.
    ApiSlowed {
        /// How much longer.
        latency_ns: u64,
    },
    /// Requests are let through as ever.
    ApiRelieved,
    /// A leader cannot renew its lease at the API servers that run.
    LeaderStalled {
        /// What it leads.
        of: Leading,
    },
    /// A kubelet cannot renew the lease of its node at the API servers that run.
    LeaseStalled {
        /// Which.
        node: NodeId,
    },
    /// Every copy of etcd's data is lost: no API server answers until it is restored.
    ApiStateLost,
    /// The state of the API is that of a snapshot.
    ApiStateRestored {
        /// How old the snapshot is, in nanoseconds.
        lost_ns: u64,
    },
    /// A workload has the spec of a snapshot again.
    WorkloadReverted {
        /// Which.
        workload: WorkloadId,
        /// Its size before.
        from: u32,
        /// Its size in the snapshot.
        to: u32,
        /// Its pod template is an older one, too.
        is_older_template: bool,
    },
    /// An autoscaler is as a snapshot has it.
    AutoscalerReverted {
        /// Which.
        autoscaler: AutoscalerId,
        /// Its least size.
        min: i32,
        /// Its largest size.
        max: i32,
        /// The snapshot has it.
        exists: bool,
    },
    /// A Secret or ConfigMap that pods of a workload name is as a snapshot has it.
    ConfigurationReverted {
        /// Whose pods.
        workload: WorkloadId,
        /// The snapshot has it.
        is_there: bool,
    },
    /// A snapshot has no claim for volumes that were made since: nobody knows them any more.
    VolumeOrphaned {
        /// Of which workload's pods.
        workload: WorkloadId,
        /// Of which of them.
        ordinal: u32,
    },
    /// A snapshot has a claim whose volumes are no more.
    ClaimLost {
        /// Of which workload's pods.
        workload: WorkloadId,
        /// Of which of them.
        ordinal: u32,
    },
    /// The volumes of a pod will be attached to its node.
    PodVolumesExpected {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// When, in nanoseconds of the run.
        at_ns: u64,
        /// A silent node had them, from which they are taken by force.
        is_forced: bool,
    },
    /// A pod that starts has claims whose volumes are no more: it waits until somebody deletes them.
    PodVolumeMissing {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// A snapshot has no object of a pod whose containers run.
    PodOrphaned {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// A snapshot has a pod that was deleted since.
    PodReturned {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// The node it was on.
        node: NodeId,
    },
    /// A snapshot has no object of a node.
    NodeForgotten {
        /// Which.
        node: NodeId,
    },
    /// A snapshot has a node that was deleted since.
    NodeReturned {
        /// Which.
        node: NodeId,
    },
    /// Something that should be written to the API has to wait: it does not answer, or whoever writes
    /// it has no leader. Each write is told once in an outage.
    WriteWaits {
        /// What.
        write: PendingWrite,
    },
    /// Kubelets whose API server vanished without a word hang on dead connections.
    KubeletsHung {
        /// How many.
        count: u32,
    },
    /// Proxies that hear nothing of endpoints go by some that have changed since.
    ProxiesBehind {
        /// On how many nodes that clients reach.
        count: u32,
    },
    /// Proxies of which that was told know again what there is.
    ProxiesCaughtUp,

    /// A webhook that is asked about more than the creation of pods fails, or answers again.
    WebhookTurned {
        /// Its position in the blueprint.
        webhook: u32,
        /// It fails.
        is_failing: bool,
    },
    /// A webhook that does not answer keeps a workload's controller from creating a pod.
    PodCreationRefused {
        /// Its workload.
        workload: WorkloadId,
    },
    /// A ResourceQuota keeps a workload's controller from creating a pod (`FailedCreate`).
    PodOverQuota {
        /// Its workload.
        workload: WorkloadId,
        /// Position of the quota in the blueprint.
        quota: u32,
    },
    /// A pod object was created.
    PodCreated {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// A pod was bound to a node.
    PodBound {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// The node.
        node: NodeId,
    },
    /// No node fits the pod.
    PodBecameUnschedulable {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// The filter that says most of why: see [`RefusedNodes`].
        reason: UnschedulableReason,
        /// How many nodes which filter refused.
        refused: RefusedNodes,
    },
    /// A registry did not answer; the kubelet waits for its back-off (`ImagePullBackOff`).
    PodImagePullFailed {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// A Secret, a ConfigMap or what a vault has is not there: the kubelet waits and tries again.
    PodConfigurationMissing {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// It was to be mounted (`FailedMount`) or is in the environment (`CreateContainerConfigError`), or a
        /// vault was to inject it.
        way: ConfigurationWay,
    },
    /// A volume of the pod is still attached to another node (`Multi-Attach error`).
    PodVolumeHeld {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// That node.
        holder: NodeId,
        /// When it is detached by force; [`SimTime::MAX`] while a pod there needs it.
        free_at: SimTime,
    },
    /// The image is on the node.
    PodImagePulled {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// The containers run.
    PodStarted {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// The containers are ended by force; they start again after their back-off.
    ContainersKilled {
        /// Of which pod.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// Why.
        reason: KillReason,
    },
    /// A kubelet evicts a pod.
    PodEvicted {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// The node.
        node: NodeId,
        /// Why.
        reason: EvictionReason,
    },
    /// A kubelet does not take a pod that was bound to its node, because something runs out there.
    PodRefused {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// The node.
        node: NodeId,
        /// What runs out. Disk and inodes are one condition of a node: the disk stands for both.
        resource: NodeResource,
    },
    /// A pod that names its node is not taken by the kubelet there, and has failed (`OutOfcpu`,
    /// `NodeAffinity`, `TaintToleration` and the like).
    PodNotAdmitted {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// The node.
        node: NodeId,
        /// The check that it fails.
        check: UnschedulableReason,
    },
    /// The pod's Ready condition became True.
    PodBecameReady {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },
    /// The pod's Ready condition became False.
    PodBecameUnready {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// Why.
        reason: UnreadyReason,
    },
    /// The pod got a deletionTimestamp.
    PodDeletionRequested {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// Why.
        reason: DeletionReason,
    },
    /// A pod that is being deleted already would have been deleted for this as well: the reason of its
    /// condition `DisruptionTarget` is this from now on.
    PodDisrupted {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
        /// Why.
        reason: DeletionReason,
    },
    /// The pod object is gone.
    PodGone {
        /// Which.
        pod: PodId,
        /// Its workload.
        workload: WorkloadId,
    },

    /// What the proxies of a Service route to changed.
    EndpointsChanged {
        /// Which Service.
        service: ServiceId,
        /// Endpoints that get traffic.
        ready_count: u32,
        /// Of these, how many can answer.
        live_count: u32,
    },

    /// Requests to a Service over a stretch of time. Rates are linear in between, and the stretches
    /// of one Service follow each other without a gap.
    Flow(FlowSegment),
    /// So many requests of the run were answered within this time, and not sooner than those of the
    /// same Service told before. Told at the end of a run, by engines that know every latency; then
    /// these count, and not what the segments say of waiting.
    Answered {
        /// Which Service.
        service: ServiceId,
        /// Longest of these latencies, in nanoseconds, with a thousandth of rounding.
        within_ns: u64,
        /// Requests.
        count: u64,
    },
    /// The requests of one load over a stretch of time, told where its clients are counted by
    /// themselves. They are part of what [`Observation::Flow`] tells of their Service.
    ClientFlow {
        /// Which load.
        load: LoadId,
        /// As its clients see them.
        segment: FlowSegment,
    },
    /// The same as [`Observation::Answered`] of the requests of one load.
    ClientAnswered {
        /// Which load.
        load: LoadId,
        /// Longest of these latencies, in nanoseconds, with a thousandth of rounding.
        within_ns: u64,
        /// Requests.
        count: u64,
    },

    /// What CPU quotas did to the pods of a Service, over the whole run.
    Throttled {
        /// Which Service.
        service: ServiceId,
        /// What.
        seen: Throttling,
    },

    /// What became of the sessions of a Service whose clients stay with a pod, over the whole run.
    Sessions {
        /// Which Service.
        service: ServiceId,
        /// What.
        seen: SessionsSeen,
    },

    /// Requests that endpoints of a Service in one zone got over a stretch of time, each attempt
    /// counted, and what these endpoints did with them. Told where hints divide the requests of the
    /// Service by zone; they are part of what [`Observation::Flow`] tells of it.
    ServedFlow {
        /// Where the endpoints are.
        zone: ZoneId,
        /// As the endpoints see them: whoever gives up waiting is answered all the same.
        segment: FlowSegment,
        /// Of a million of the requests, how many came from another zone.
        crossing_ppm: u32,
    },
    /// The same as [`Observation::Answered`] of the endpoints in one zone.
    ServedAnswered {
        /// Which Service.
        service: ServiceId,
        /// Where the endpoints are.
        zone: ZoneId,
        /// Longest of these latencies, in nanoseconds, with a thousandth of rounding.
        within_ns: u64,
        /// Requests.
        count: u64,
    },

    /// The operator gives a primary up and begins to replace it.
    FailoverStarted {
        /// Which database.
        database: DatabaseId,
        /// The pod of the primary that is given up.
        from: PodId,
    },
    /// Something about one instance of a database.
    Instance {
        /// Which database.
        database: DatabaseId,
        /// The pod of the instance.
        pod: PodId,
        /// What.
        fact: InstanceFact,
    },
    /// The operator brings a change to an instance, or waits until somebody does.
    InstanceUpdated {
        /// Which database.
        database: DatabaseId,
        /// The pod of the instance.
        pod: PodId,
        /// What it does.
        how: InstanceUpdate,
    },
    /// Pods of a pooler lost their connections to the primary, or have some again.
    PoolerFails {
        /// Which pooler.
        pooler: PoolerId,
        /// Of a million requests, how many it cannot pass on.
        failing_ppm: u32,
    },
    /// A primary begins to hand over on purpose.
    SwitchoverStarted {
        /// Which database.
        database: DatabaseId,
        /// The pod of the primary that hands over.
        from: PodId,
        /// How long it stores what waits for the archive before it ends, in nanoseconds.
        storing_ns: u64,
    },
    /// A database has a new primary.
    PrimaryPromoted {
        /// Which database.
        database: DatabaseId,
        /// The pod that is primary now.
        pod: PodId,
    },
    /// A primary stopped accepting writes (died, was cut off, demoted, or waits for standbys).
    WritesStopped {
        /// Which database.
        database: DatabaseId,
    },
    /// A primary accepts writes again.
    WritesResumed {
        /// Which database.
        database: DatabaseId,
    },
    /// How many instances take writes right now, whether clients reach them or not.
    WritablePrimaries {
        /// Which database.
        database: DatabaseId,
        /// How many; 2 is split brain.
        count: u32,
    },
    /// Committed and acknowledged writes are not in the database that goes on.
    CommitsLost {
        /// Which database.
        database: DatabaseId,
        /// From the oldest acknowledged commit that is gone to the newest, in nanoseconds.
        span_ns: u64,
        /// Commits.
        commit_count: u64,
        /// WAL in bytes.
        wal_bytes: u64,
    },
    /// What a run was for a database as a whole; told at its end, of those of which any of it is more than
    /// nothing.
    DatabaseTallied {
        /// Which database.
        database: DatabaseId,
        /// How often commits waited for a standby, for a volume, or for ever.
        stall_count: u32,
        /// How long they did, in nanoseconds.
        stalled_ns: u64,
        /// How long fewer standbys followed its primary than it has, in nanoseconds.
        thin_ns: u64,
        /// Most log that waited for the archive, in bytes.
        backlog_bytes_max: u64,
        /// The least that was free on the volume of the log, in bytes; `u64::MAX` where nobody looks.
        free_bytes_min: u64,
    },
    /// A failover kept every acknowledged commit (so that "nothing lost" was really exercised).
    CommitsKept {
        /// Which database.
        database: DatabaseId,
    },
    /// Connections broke between commit and answer: nobody was told how these commits ended. Tells of
    /// them once it is known, or at the end of a run.
    CommitsUnknown {
        /// Which database.
        database: DatabaseId,
        /// They are in the database that goes on.
        durable_count: u64,
        /// They are not.
        lost_count: u64,
        /// The run ended before it was known.
        undecided_count: u64,
    },
    /// Nothing can be promoted until somebody or something returns.
    FailoverBlocked {
        /// Which database.
        database: DatabaseId,
        /// Why.
        reason: FailoverBlock,
    },
    /// The write-ahead log has filled its volume: PostgreSQL has stopped, and starts again once there
    /// is room.
    WalVolumeFull {
        /// Which database.
        database: DatabaseId,
        /// The pod of its primary.
        pod: PodId,
    },
    /// The volumes of a database are larger.
    VolumeGrown {
        /// Which database.
        database: DatabaseId,
    },
    /// A standby was away for so long that its primary does not have what it lacks any more.
    StandbyOutrun {
        /// Which database.
        database: DatabaseId,
        /// The pod of the standby.
        pod: PodId,
    },
    /// Backups, losses that they are for, and restores.
    Backup(BackupFact),
    /// Storage pools.
    Storage(StorageFact),
    /// What stands between clients and Services.
    Gateway(GatewayFact),
    /// Something about the trial of a revision.
    Canary {
        /// The workload that has the revision.
        workload: WorkloadId,
        /// What.
        fact: CanaryFact,
    },
}
