//! Every code there is: what it means, why it matters, what to do.

use std::fmt;

use super::Severity;

/// The long text of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// What it is, in a line.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub what_to_do: &'static str,
}

macro_rules! codes {
    ($( $code:ident $title:literal $why:literal $what:literal )*) => {
        /// Number of a diagnostic: `E` is an error, `W` a warning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each is explained in its `Explanation`")]
        pub enum Code { $( $code, )* }

        impl Code {
            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$code => stringify!($code), )* }
            }
        }

        const EXPLANATIONS: &[Explanation] = &[
            $( Explanation { code: Code::$code, title: $title, why: $why, what_to_do: $what }, )*
        ];
    };
}

impl Code {
    /// How bad it is.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The explanation of a code, written in any case.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    EXPLANATIONS.iter().find(|known| known.code.as_str().eq_ignore_ascii_case(code.trim()))
}

/// All explanations, in the order of their codes.
pub fn explanations() -> &'static [Explanation] {
    EXPLANATIONS
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}\n\n{}\n\nWhat to do: {}\n",
            self.code, self.title, self.why, self.what_to_do
        )
    }
}

codes! {
    E0001 "a file cannot be read"
        "The file or directory does not exist, may not be read, or was named by another file that stands elsewhere: paths inside a file are relative to that file."
        "Check the spelling and where the path starts. A shipped scenario or platform is found by its bare name."
    E0002 "a file is too large"
        "Files are read up to 16 MiB. A larger one is hardly a manifest."
        "Pass the manifests alone, or split the file into a directory."
    E0003 "a file is no text"
        "YAML and JSON are UTF-8 text. The file holds a NUL byte, a broken character, or is UTF-16."
        "Save it as UTF-8. A packed chart (.tgz) must be rendered first: helm template."
    E0004 "this is not YAML"
        "The text breaks off or does not follow the grammar of YAML. What follows the place is not read."
        "The place is where reading stopped; the mistake is there or a little before: a quote or bracket that is not closed, a tab as indentation, a colon without a space."
    E0005 "nested too deeply"
        "Sequences and mappings are read 64 levels deep. Kubernetes objects need about 20."
        "Look for a template that ran away."
    E0006 "too many values in one file"
        "A file holds at most 2 000 000 values and 20 000 documents, where an alias counts as all that it stands for. A short file that expands beyond that is a YAML bomb."
        "Write the values out instead of nesting aliases, or split the file."
    E0007 "a key is there twice"
        "Kubernetes keeps the last one and drops the other without a word, so one of the two settings has no effect."
        "Delete the wrong one."
    E0008 "an alias contains itself"
        "The alias stands inside the value that it stands for, so the value has no end."
        "Anchor a part that does not contain the alias."
    E0009 "nothing in it"
        "The file holds no document, or only comments."
        "Check that the command that made it did not fail: an empty pipe is the usual reason."
    E0010 "a directory without manifests"
        "No file in the directory or below it ends in .yaml, .yml or .json."
        "Check the path."
    E0011 "something else was expected here"
        "A mapping, a list or a text stands where another of them belongs."
        "Compare with the schema: eidp-sim schema."
    E0012 "an unknown key"
        "Unknown keys are refused, because a misspelt setting that is silently ignored is the worst kind."
        "Take the suggested name, or one of the listed ones."
    E0013 "a key is missing"
        "Without it there is nothing to run."
        "Add it; eidp-sim schema describes each key."
    E0014 "a value that cannot be read"
        "Durations need a unit (90s, 1h 30m), shares a percent sign (99.9%), rates are per second unless they say otherwise (7200/min), amounts follow Kubernetes (500m, 16Gi). Negative values make no sense anywhere."
        "Write the value with its unit."
    E0015 "an unknown kind"
        "The document is not of a kind or version that belongs here."
        "Our own documents are apiVersion: eidp-sim/v1, kind: Scenario or Platform. Manifests go into a file of their own."
    E0016 "an unknown name"
        "A zone, node, Service, workload, database or fault of this name does not exist in the input."
        "Objects are named namespace/name. Take the suggested one, or add the manifest that defines it."
    E0017 "keys that do not go together"
        "Of some keys exactly one must be there, such as at, within and when of a fault."
        "Keep one."
    E0018 "a name is used twice"
        "Reports, conditions and placements refer to things by name."
        "Rename one of them."
    E0019 "a guarantee that cannot be read"
        "The sentence does not follow the guarantee language: a promise, its limit, and optionally `for 99% of runs`."
        "Examples: availability(shop/web) >= 99.9% for 99% of runs; availability(shop/web, 1h) >= 99%; availability(shop/web, tenant: acme) >= 99.9%; budget_burn(shop/web, 99.9%, 30d) <= 10%; alert(*, 99.9%) <= 5m; rto(shop/web) <= 60s; rpo(shop/db) == 0s; latency(shop/web, p99) <= 300ms; latency(shop/web, p99, zone: az-a) <= 300ms; never two_writable_primaries; always within_region('EU'); returns(goodput(shop/web), 95%, 10m); completes(new version) <= 10m; completes(job/shop/migrate) <= 1h. Of data sets and a disaster (zone, region, account, logical, ransomware): rpo(shop/db, zone) <= 24h; rto(shop/db, region) <= 4h; restorable(shop/db, account); retention(etcd) >= 30d; residency(*, 'EU'). Anything else is an expression, {cel: \"services['shop/web'].lostRequests < 100\"}, over the figures of services (availability, outageSeconds, outageCount, lostRequests) and databases (lostSeconds, lostCommits, unknownCommits, failoverCount, writeOutageSeconds)."
    E0020 "a circle"
        "Services that call each other in a circle would never answer, faults that wait for each other would never start."
        "Break the circle at one place."
    E0021 "out of range"
        "The value is of the right form, but cannot be meant: an event after the end of the run, a window that ends before it begins, no run at all."
        "The message says which limits hold."
    E0022 "an object that the Kubernetes API would refuse"
        "A field has the wrong type or a value that validation does not let through, so this object would never exist."
        "Correct the field; kubectl apply --dry-run=server says the same."
    E0023 "an unknown field of a Kubernetes object"
        "The API server drops fields that it does not know (or refuses them, with strict validation), so the setting has no effect: the classic is replica: 3."
        "Take the suggested name. Kinds are read as of Kubernetes 1.36."
    E0024 "an object is there twice"
        "Two manifests define the same object differently. In a cluster the one applied last would win, and which one that is nobody knows."
        "Delete one of them, or use --set to change the other."
    E0025 "an override that cannot be applied"
        "--set names an object or field that does not exist, or its value is no YAML."
        "Write KIND/NAMESPACE/NAME:PATH=VALUE, such as deployment/shop/frontend:spec.replicas=3. Keys with dots stand in brackets: metadata.annotations[example.com/x]=y."
    E0026 "a document that does not belong here"
        "A Scenario or Platform stands among the manifests, or a scenario file holds something else."
        "Keep scenario, platform and manifests in files of their own."
    E0027 "a platform without substance"
        "Without a zone, a control-plane member or a worker node nothing could run."
        "Add what is missing."
    E0028 "an action that this kind does not know"
        "Only Deployments, StatefulSets and DaemonSets move their pods to a new template; only Deployments have a progress deadline; DaemonSets and bare pods have no replicas to change."
        "Name another workload."
    E0029 "versions that must not run together"
        "A kubelet (and a kube-proxy) is never newer than an API server and at most three minor versions older; API servers beside each other differ by one at most, so that an upgrade skips none and goes back to none (kubernetes.io, Version Skew Policy)."
        "Upgrade the control plane one minor version at a time, and the nodes before they fall more than three behind."
    E0040 "two canaries of one Deployment or Service"
        "Flagger runs each of them by itself: both size the same Deployment or divide the same requests, and neither knows of the other."
        "Delete one of them."
    E0041 "a target whose pods cannot be told from those of its primary"
        "Flagger gives the pods of the primary another value of one label: the first of app, name and app.kubernetes.io/name that the selector of the Deployment has. Without any it refuses the canary."
        "Add one of these labels to the selector and to the pod template."
    E0042 "requests for the Service of a canary"
        "The Service NAME-canary gets the share of the requests for NAME that its canary is given. Stated by itself it would get others beside these."
        "Name the Service that clients ask: NAME."
    E0043 "an unknown time zone"
        "A schedule is read by the clocks of a time zone of the IANA database. The API server refuses a name that is not in it, letter by letter, and Velero and CloudNativePG never make a backup by such a schedule."
        "Write a name of the database: Europe/Berlin."
    E0047 "a flood without requests"
        "A flood is so many requests of so many clients, each of which takes some time at an API server. Without any of these there is none."
        "Leave the key out, or state more than nothing."
    E0048 "writes that no API server waits for"
        "An API server gives a request up after a minute (--request-timeout). Writes that take longer all fail, as if no API server answered."
        "State less than 60s, or play an apiOutage."
    E0050 "a soft threshold without a grace period"
        "A kubelet does not start with evictionSoft for a signal and no evictionSoftGracePeriod for it."
        "State evictionSoftGracePeriod: how long less than the threshold is available until pods are evicted."
    E0055 "zones of clients that are not all clients"
        "`from` says which share of the clients is nearest to which zone. The shares have to sum to 100 %, because every request comes from somewhere."
        "Correct the shares, or leave `from` away: then it is not said where clients are."
    E0056 "clients that no load has"
        "A promise names a tenant or a zone of clients, and no load of the Service says that its requests come from there, so there would be nothing to judge."
        "Name the clients in a load: {service: shop/web, rate: 100, tenant: acme, from: {az-a: 60%, az-b: 40%}}; or correct the promise."
    E0060 "a volume that would not grow"
        "Kubernetes makes volumes larger, never smaller (the API refuses a smaller request)."
        "State a size above the present one."
    E0061 "a database whose volumes nobody looks at"
        "How full a volume is follows from the write-ahead log of a Cluster of CloudNativePG that states storage.size or walStorage.size. Volumes of other databases never fill."
        "Name such a Cluster, or state its size."
    E0062 "a volume that cannot grow"
        "A StorageClass without allowVolumeExpansion: true refuses every larger size, so that nobody can help a full database in this way."
        "Add allowVolumeExpansion: true to the StorageClass, if its driver can."
    E0063 "a switchover without a standby"
        "A database of one instance has nobody to hand over to: moving it is a restart."
        "Run two instances or more, or restart the pod: podCrash, evict."
    E0064 "a fence around something that has none"
        "Fencing is an annotation of Clusters of CloudNativePG; Patroni knows none."
        "Name such a Cluster."

    W0101 "a Service selects no pods"
        "No workload of its namespace carries the labels that the selector asks for, so the Service has no endpoints and every request to it fails."
        "Compare the selector with the labels of the pod template, letter by letter."
    W0102 "a disruption budget selects no pods"
        "The budget protects nothing: drains and upgrades take all pods at once."
        "Compare the selector with the labels of the pod template."
    W0103 "an affinity or anti-affinity term selects no pods"
        "A term that matches no pod has no effect. An anti-affinity that was meant to keep replicas apart then lets them share a node or a zone, and nobody notices until that node is lost."
        "Select the labels of the pods themselves; app.kubernetes.io/instance changes with the release name, app.kubernetes.io/name does not."
    W0104 "a spread constraint does not select its own pods"
        "Only pods that the selector matches are counted. If the workload's own pods are not among them, the constraint always holds and spreads nothing."
        "Use the workload's own labels."
    W0105 "a disruption budget can never allow an eviction"
        "With minAvailable equal to the replicas, or maxUnavailable 0, every drain waits for ever: nodes cannot be upgraded without force."
        "Leave room for one: maxUnavailable: 1."
    W0106 "two disruption budgets select the same pods"
        "The eviction API refuses to evict a pod that more than one budget selects (it answers 500), so the pods cannot be drained at all."
        "Keep one budget for each set of pods."
    W0107 "a request that no node can hold"
        "The pods ask for more than any node has, so they stay Pending for ever."
        "Lower the request, or give the platform a larger node pool."
    W0108 "a topology key that no node has"
        "Nodes without the label take no part: with DoNotSchedule or a required term nothing is scheduled, with a preferred one nothing is spread."
        "The usual keys are kubernetes.io/hostname and topology.kubernetes.io/zone."
    W0109 "no node fits the pod's node selector, affinity or taints"
        "The pods stay Pending for ever."
        "Compare with the labels and taints of the node pools."
    W0110 "one replica behind a Service"
        "Whatever takes this one pod takes the Service: a node crash costs about six minutes with the default tolerations, a drain the time to start a new pod."
        "Run two or more replicas and spread them over zones."
    W0111 "all replicas may stand in one zone"
        "Nothing spreads the replicas over zones: a preference for different hosts is content with three hosts of one zone, so losing that zone takes all of them."
        "Add a topologySpreadConstraint on topology.kubernetes.io/zone, DoNotSchedule when it must hold."
    W0112 "no readiness probe behind a Service"
        "Without one a container counts as ready the moment it runs, so requests reach it before it can answer, at each rollout and each restart."
        "Add a readinessProbe."
    W0113 "the liveness probe is as strict as the readiness probe"
        "Under overload both fail together: instead of being taken out of the Service for a while, the container is killed, which makes the overload worse for the others."
        "Give liveness another endpoint, or a larger failureThreshold times periodSeconds."
    W0114 "no resource requests"
        "The scheduler takes such a pod for nearly free and may put all of them on one node; when memory runs short they go first."
        "State requests for cpu and memory."
    W0115 "an object is there twice, word for word"
        "Harmless, but the next edit will change only one of them."
        "Delete one."
    W0116 "an autoscaler without its target"
        "The HorizontalPodAutoscaler or VerticalPodAutoscaler names a workload that is not in the input, so it does nothing."
        "Correct scaleTargetRef (targetRef), or pass the manifest of the target."
    W0117 "an unknown priority class"
        "Admission refuses pods whose priority class does not exist."
        "Add the PriorityClass, or correct the name."
    W0118 "replicas share a claim that one node can mount"
        "A ReadWriteOnce volume is mounted on one node at a time: replicas on other nodes stay in ContainerCreating, and after a zone loss the survivors cannot take it over."
        "Use a StatefulSet with volumeClaimTemplates, or a shared file system."
    W0119 "a database that stops writing when one instance is lost"
        "With dataDurability: required, commits wait until the stated number of standbys confirms. When losing one instance leaves fewer standbys than that, all writes stop."
        "Run at least number + 2 instances, or choose dataDurability: preferred and accept its risk."
    W0120 "a database without a standby"
        "One instance cannot fail over: the outage lasts until its node and volume are back."
        "Run three instances, one in each zone."
    W0121 "a schedule with the wrong number of fields"
        "CloudNativePG's ScheduledBackup counts seconds first and wants six fields, Velero and CronJob want five. With one field too few, `0 3 * * *` runs at other times than meant, or not at all."
        "Write six fields for a ScheduledBackup: 0 0 3 * * *."
    W0122 "an Ingress leads to a Service that does not exist"
        "The gateway answers 503 on this route."
        "Correct the name; the Service must stand in the namespace of the Ingress."
    W0123 "a target port that no container names"
        "The Service's targetPort is a name, and the pods it selects have no port of that name, so it gets no endpoints."
        "Name the container port, or use its number."
    W0124 "objects without a namespace"
        "They are read as if they stood in `default`, while others of the same input name theirs. helm template does not write the namespace that --namespace gives."
        "Name the namespace in the manifests."
    W0125 "a claim that does not exist"
        "The pods wait for a PersistentVolumeClaim that nobody makes."
        "Add the claim, or correct its name."
    W0126 "a storage class that does not exist"
        "The claim stays Pending, and so do its pods."
        "Add the StorageClass to the platform's manifests, or correct the name."
    W0127 "a Service that nobody asks"
        "The Service is exposed, but no load reaches it, so no guarantee about `*` judges it."
        "Add it to load, or add an entry with service: '*'."
    W0128 "a required anti-affinity that leaves no room"
        "More replicas than places: with a required term per topology domain, the replicas beyond the number of domains stay Pending. With as many replicas as domains, a lost domain cannot be made up for and a rollout with maxUnavailable 0 cannot move."
        "Use a spread constraint with maxSkew, which allows several replicas per domain."
    W0129 "a fault that nothing can notice"
        "The fault multiplies a load that nobody sends, or waits for the end of one that does not end."
        "Name a Service that carries load; give the other fault a duration."
    W0130 "an autoscaler that cannot measure its pods"
        "Utilization is in percent of the request. When one container states none (or the named container does not exist), the metric fails, and with it every scale-down."
        "State the request of that resource in every container, or use ContainerResource for the one that matters, or averageValue."
    W0131 "two autoscalers of one target"
        "The controller refuses to act for pods that more than one HorizontalPodAutoscaler selects (AmbiguousSelector): neither scales anything."
        "Put all metrics into one HorizontalPodAutoscaler; the highest proposal wins."
    W0132 "an autoscaler of a kind without a scale"
        "DaemonSets, Jobs and bare pods have no scale subresource, so there is nothing that an autoscaler could change."
        "Scale a Deployment or a StatefulSet."

    W0133 "every copy is lost with one zone"
        "The copies stand in one zone, or beside the volumes that they were taken of. When that zone burns (Strasbourg, March 2021) the original may go with it, and then there is nothing."
        "Give the place more zones, or add `copies` in a place of another region. Snapshots have to be moved: snapshotMoveData: true."
    W0134 "a key is kept only in what it encrypts"
        "When the data is lost, so is the key, and the copies cannot be read. They look fine until then."
        "Keep the key in a place of its own: a KMS in another region, a safe."
    W0135 "copies are deleted before a loss is found"
        "A bad migration or a deletion that is noticed after the retention has run out finds only copies of what is already destroyed."
        "Keep copies longer than losses go unnoticed, or notice them sooner."
    W0136 "a restore that nobody ever tries"
        "Backups fail in silence: a changed key, a missing volume, an empty dump. GitLab found out in January 2017 that none of five kinds of backup worked. A test is what ends such a failure before it matters."
        "Restore regularly and say how often: restoreTest: 30d."
    W0137 "a data set without a backup"
        "Nothing makes copies of it: losing its live copies loses everything."
        "Add a policy, or leave the data set out if it can be made anew."
    W0138 "an archive that leads on from nothing"
        "A write-ahead log is replayed from a base backup on. Without one, the archive restores nothing."
        "Add a policy with method: base."
    W0139 "a backup that never ends in time"
        "A run takes longer than it may, so that each one fails."
        "Raise the time-out, or move fewer bytes."
    W0140 "a webhook whose Service is not in the input"
        "Whether it answers cannot be known, so it is taken to answer always: a webhook with failurePolicy Fail is what keeps a cluster from coming back."
        "Pass the manifests of its Service and Deployment."
    W0141 "pods that need each other to start"
        "After a full stop, or once the last of them is gone, none of them comes back by itself: each waits for another one. As long as some of them run, nobody notices."
        "Take the step by hand that the message names, and write it into the runbook (`eidp-sim check --black-start` prints it among all that starts before and after); better, break the circle for good: exclude the namespace from the webhook, mirror the images to a registry elsewhere."
    W0142 "off-peak hours and an autoscaler that undo each other"
        "A HorizontalPodAutoscaler raises a workload to minReplicas as long as it wants a pod at all. The downscaler makes it small again at its next look, all night, and takes what it found for the size to come back to in the morning."
        "Let downscaler/downtime-replicas be 0, or at least minReplicas."
    W0143 "recommendations that are not applied"
        "The VerticalPodAutoscaler changes the requests of new pods, and of running ones by evicting them or in place. A run takes requests as they are written and tells what is recommended; the evictions and the other requests are not played."
        "Read the recommendations in the result, write them into the manifest and run again; or state updateMode: Off, as recommendations only are meant to be."
    W0145 "kubelets that are too old for an upgrade"
        "API servers take kubelets that are up to three minor versions older. kubeadm refuses to upgrade a control plane beyond that unless it is forced, and what a forced one does is not supported."
        "Upgrade the nodes first: nodeUpgrade."
    W0150 "a connection that a network policy denies"
        "Requests need it, and no policy that selects the pods allows it. Packets are dropped, so that callers wait for their timeout instead of being refused."
        "Allow it in a policy of the namespace, on both sides: egress of the caller and ingress of what it calls. What only a failover needs has to be allowed as well."
    W0151 "a network policy that leaves pods without DNS"
        "A policy of egress denies all that it does not list, DNS too. Pods that call a Service by its name then find none, which looks like an outage of that Service."
        "Allow UDP and TCP port 53 to the pods of the cluster's DNS."
    W0152 "a network policy that allows everything"
        "An empty rule allows every peer at every port, and policies add up: whatever else is written for these pods restricts nothing. A list without a rule denies everything."
        "Name the peers. Write `ingress: []` to deny all."

    W0161 "a backup of something that is not there"
        "The object names a database, namespace, store or location that is not in the input, so nothing is copied, or nobody knows where to."
        "Correct the name, or pass the manifest of what it names."
    W0162 "a bucket that stands nobody knows where"
        "A manifest says what a bucket is called, and not in which zones, region and account it is. Until that is stated it is taken to stand in this region and account and to be lost with any of its zones, so that no promise is held by an assumption."
        "State the place under `backups` of the Platform: places: [{name: 's3://backups', region: eu-north, account: vault}], with `zones` or `zonesNeeded` when it stands in this region."

    W0170 "a canary without its target"
        "The Canary names a Deployment or an autoscaler that is not in the input, so nothing is tried."
        "Correct targetRef or autoscalerRef, or pass the manifest of what it names."
    W0171 "a canary that is left out"
        "Canaries of DaemonSets and of Services, and A/B tests by header, are not simulated. The target rolls as if there were no canary."
        "Do not judge releases of this workload by the result."
    W0172 "a disruption budget that forgets the primary"
        "Flagger runs what answers requests as NAME-primary, with pods that bear another label. A budget that selects the label of the target protects pods that are there only while a version is tried: a drain may take all pods of the primary at once."
        "Select the primary: app: NAME-primary."
    W0173 "a canary that is never promoted"
        "The analysis cannot come to its end: no step is stated, or its metrics look at requests that the canary never gets (blue/green sends it none before it has passed). Each version is rolled back, or tried for ever."
        "State stepWeight, stepWeights or iterations; for blue/green add a webhook that sends requests to NAME-canary, or mirror: true."

    W0174 "a schedule at a time that clocks skip or repeat"
        "When clocks are set forward an hour of that night does not exist, and what was due in it does not happen until the next day: a nightly backup is 24 hours late. When they are set back an hour comes twice, and so does what is due in it. Neither Kubernetes nor Velero makes up for it."
        "Choose an hour that no change of clocks touches (in Europe not from 1:00 to 4:00), or the hours of UTC."
    W0178 "a flood that no priority level limits"
        "Requests of the group system:masters are exempt: they take the seats that other levels lend and leave these what they keep. What they cost in CPU, memory and disk of the API servers is not modelled, so that a run shows less harm than there would be."
        "Judge by the flood of another level, such as workload-high; or play slowApi beside it."
    W0180 "a container that is killed as soon as it runs"
        "It uses more memory at once than its limit allows, so that the kernel kills it (OOMKilled) at every start and the kubelet waits ever longer in between (CrashLoopBackOff)."
        "Raise the limit, or correct the base."
    W0181 "memory that grows without a limit"
        "A container without a limit of memory takes what its node has. Then the kubelet evicts pods, of which those that use more than they request go first, the neighbors of this one among them; where it is too late, the kernel kills."
        "Set resources.limits.memory: what grows beyond it is killed alone."
    W0183 "a threshold of memory above what a node has"
        "Eviction thresholds and what is to be reclaimed beyond them are compared with what is available on a node. A node that has less than that in all stays short of memory once it is: its kubelet evicts pods one after the other, takes no new ones of BestEffort, and its taint never goes."
        "State less than the smallest node has."
    W0185 "a CPU limit that its workers cannot use"
        "A worker is a thread, and a thread runs on one core at a time. With fewer workers than cores in the limit the rest of the limit is never used, and a pod answers no more than its workers do."
        "State as many workers as the limit has cores, or lower the limit."
    W0190 "a limit for replication slots that never acts"
        "max_slot_wal_keep_size drops the slot of a standby that is away before the volume is full. Above what the volume can hold, the volume is full first, and then the primary stops."
        "Lower max_slot_wal_keep_size below the free part of the volume, or make the volume larger."
    W0191 "a volume that ordinary write-ahead log fills"
        "PostgreSQL lets its log grow to max_wal_size between checkpoints, and keeps wal_keep_size in any case. A volume that holds less fills without any fault."
        "Make walStorage several times as large as max_wal_size, or lower max_wal_size."
    W0192 "a database that no drain gets past"
        "The operator makes a disruption budget of one primary (enablePDB). With a single instance nobody can take over, so that the eviction API refuses its pod for ever, and the node is never drained."
        "Run more instances, or state enablePDB: false and accept the restart."
    W0193 "an annotation that switches a database off"
        "Somebody has fenced instances, hibernated the cluster or stopped its operator, and left the annotation in the manifest. A run begins in good order and does not read it."
        "Remove the annotation, or play it: fence for instances; for the operator a `scale` of its Deployment to 0."
}
