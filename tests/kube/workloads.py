"""What the controllers of workloads do once one is written: make pods and claims, set statuses."""

import copy

from tests.kube import children, events
from tests.kube import resources as kinds
from tests.kube.names import digest

ORDER = "deployment.kubernetes.io/revision"


def follow(store, resource: kinds.Resource, obj: dict):
    """Bring everything that depends on `obj` to where its controller would."""
    controller = _CONTROLLERS.get(resource)
    if controller and "deletionTimestamp" not in obj["metadata"]:
        controller(store, obj)


def _deployment(store, deployment):
    current = _replica_set_of(store, deployment)
    rolled_out = current["status"]["readyReplicas"] == deployment["spec"]["replicas"]
    # A rollout that gets nowhere leaves the pods of the last good one.
    if rolled_out:
        for replica_set in children.owned(store, kinds.REPLICA_SETS, deployment):
            if replica_set["metadata"]["uid"] != current["metadata"]["uid"]:
                _scale(store, replica_set, 0)
    every = [rs["status"] for rs in children.owned(store, kinds.REPLICA_SETS, deployment)]
    status = _deployment_status(deployment, current["status"], every, rolled_out)
    store.set_status(kinds.DEPLOYMENTS, deployment, status)


def _deployment_status(deployment, current, every, rolled_out):
    wanted = deployment["spec"]["replicas"]
    ready = sum(status["readyReplicas"] for status in every)
    progress = "NewReplicaSetAvailable" if rolled_out else "ReplicaSetUpdated"
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": sum(status["replicas"] for status in every),
        "updatedReplicas": current["replicas"],
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, wanted - ready),
        "conditions": [
            _condition("Available", ready >= wanted, "MinimumReplicas"),
            _condition("Progressing", True, progress),
        ],
    }


def _replica_set_of(store, deployment):
    """The ReplicaSet of the Deployment's present template, at the wanted scale."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    template_hash = digest(spec["template"])
    name = f"{metadata['name']}-{template_hash}"
    found = store.lookup(kinds.REPLICA_SETS, metadata["namespace"], name)
    revision = _next_revision(store, deployment, found)
    if found:
        annotations = {**found["metadata"].get("annotations", {}), ORDER: revision}
        found = {**found, "metadata": {**found["metadata"], "annotations": annotations}}
        _scale(store, found, spec["replicas"])
    else:
        template = children.labelled(spec["template"], {"pod-template-hash": template_hash})
        labels = template["metadata"]["labels"]
        new = {
            "metadata": {
                **children.metadata(deployment, name),
                "labels": labels,
                "annotations": {ORDER: revision},
            },
            "spec": {
                "replicas": spec["replicas"],
                "selector": {"matchLabels": labels},
                "template": template,
            },
        }
        store.create(kinds.REPLICA_SETS, metadata["namespace"], new)
    return store.find(kinds.REPLICA_SETS, metadata["namespace"], name)


def _next_revision(store, deployment, current):
    """The number of the present template: which ReplicaSet is the newest, within a second too."""
    sets = children.owned(store, kinds.REPLICA_SETS, deployment)
    newest = max((_revision(one) for one in sets), default=0)
    is_newest = current and _revision(current) == newest
    return str(newest if is_newest else newest + 1)


def _revision(replica_set):
    return int(replica_set["metadata"].get("annotations", {}).get(ORDER, 0))


def _scale(store, replica_set, replicas):
    spec = {**replica_set["spec"], "replicas": replicas}
    store.update(kinds.REPLICA_SETS, replica_set, {**replica_set, "spec": spec})


def _replica_set(store, replica_set):
    metadata, spec = replica_set["metadata"], replica_set["spec"]
    names = [
        f"{metadata['name']}-{digest([metadata['uid'], number])[:5]}"
        for number in range(spec["replicas"])
    ]
    total, ready = children.keep_pods(store, replica_set, names, spec["template"])
    store.set_status(
        kinds.REPLICA_SETS,
        replica_set,
        {
            "observedGeneration": metadata["generation"],
            "replicas": total,
            "fullyLabeledReplicas": total,
            "readyReplicas": ready,
            "availableReplicas": ready,
        },
    )


def _stateful_set(store, stateful_set):
    metadata, spec = stateful_set["metadata"], stateful_set["spec"]
    names = [f"{metadata['name']}-{number}" for number in range(spec["replicas"])]
    for claim in spec.get("volumeClaimTemplates") or []:
        for name in names:
            _make_claim(store, metadata["namespace"], claim, name)
    revision = digest(spec["template"])
    template = children.labelled(spec["template"], {children.REVISION_LABEL: revision})
    total, ready = children.keep_pods(store, stateful_set, names, template)
    store.set_status(
        kinds.STATEFUL_SETS,
        stateful_set,
        {
            "observedGeneration": metadata["generation"],
            "replicas": total,
            "currentReplicas": total,
            "updatedReplicas": total,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentRevision": f"{metadata['name']}-{revision}",
            "updateRevision": f"{metadata['name']}-{revision}",
        },
    )


def _make_claim(store, namespace, claim, pod_name):
    """A claim outlives its StatefulSet, so nothing owns it."""
    name = f"{claim['metadata']['name']}-{pod_name}"
    if not store.lookup(kinds.CLAIMS, namespace, name):
        new = {"metadata": {"name": name}, "spec": copy.deepcopy(claim["spec"])}
        store.create(kinds.CLAIMS, namespace, new)


def _daemon_set(store, daemon_set):
    metadata, template = daemon_set["metadata"], daemon_set["spec"]["template"]
    name = f"{metadata['name']}-{digest(metadata['uid'])[:5]}"
    template = children.labelled(template, {children.REVISION_LABEL: digest(template)})
    total, ready = children.keep_pods(store, daemon_set, [name], template)
    store.set_status(
        kinds.DAEMON_SETS,
        daemon_set,
        {
            "observedGeneration": metadata["generation"],
            "desiredNumberScheduled": total,
            "currentNumberScheduled": total,
            "updatedNumberScheduled": total,
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
        },
    )


def _job(store, job):
    metadata = job["metadata"]
    name = f"{metadata['name']}-{digest(metadata['uid'])[:5]}"
    children.keep_pods(store, job, [name], job["spec"]["template"])
    pod = store.lookup(kinds.PODS, metadata["namespace"], name)
    status = {"startTime": metadata["creationTimestamp"]}
    match pod and pod["status"]["phase"]:
        case "Succeeded":
            done = {"succeeded": 1, "completionTime": metadata["creationTimestamp"]}
            status |= done | {"conditions": [_condition("Complete", True, "CompletionsReached")]}
        case "Failed":
            failed = _condition("Failed", True, "BackoffLimitExceeded")
            failed["message"] = "Job has reached the specified backoff limit"
            status |= {"failed": 1, "conditions": [failed]}
        case None:
            status |= {"active": 0}
        case _:
            status |= {"active": 1, "ready": 0}
    store.set_status(kinds.JOBS, job, status)


def _namespace(store, namespace):
    """Controllers go on trying: labels that have changed may let pods in."""
    workloads = [kind for kind in _CONTROLLERS if kind not in (kinds.NAMESPACES, kinds.PODS)]
    for kind in reversed(workloads):  # those of pods before those of them
        for obj in store.select(kind, namespace["metadata"]["name"]):
            follow(store, kind, obj)


def _condition(type_, holds, reason):
    return {"type": type_, "status": str(holds), "reason": reason}


_CONTROLLERS = {
    kinds.NAMESPACES: _namespace,
    kinds.PODS: events.warn,
    kinds.DEPLOYMENTS: _deployment,
    kinds.REPLICA_SETS: _replica_set,
    kinds.STATEFUL_SETS: _stateful_set,
    kinds.DAEMON_SETS: _daemon_set,
    kinds.JOBS: _job,
}
