"""Which cause is found in what programs say and in what Kubernetes 1.30 and later shows."""

import json

import pytest

from caelus.causes import CODES, Cause, diagnose
from caelus.errors import Conflict, ReconcileError
from caelus.process import ToolError, ToolTimeout

EARLY, LATE = "2026-01-01T10:00:00Z", "2026-01-01T10:30:00Z"
HELM3_TIMEOUT = "Error: UPGRADE FAILED: context deadline exceeded\n"
HELM4_TIMEOUT = (
    "Error: resource Deployment/hello-abc/hello-abc not ready. status: InProgress, "
    "message: Available: 0/1\ncontext deadline exceeded\n"
)
HELM3_HOOK = "Error: failed post-install: 1 error occurred:\n\t* job hello-hook failed: Backoff\n"
HELM3_HOOK_TIMEOUT = (
    "Error: failed post-install: 1 error occurred:\n\t* timed out waiting for the condition\n\n"
)
HELM4_HOOK = (
    "Error: post-upgrade hooks failed: resource Job/hello-abc/hello-hook not ready. "
    "status: Failed, message: Job Failed. failed: 1/1\n"
)


def failed(stderr=HELM3_TIMEOUT):
    """The error that running helm ends with."""
    return ToolError("helm failed with exit code 1", stderr)


# Objects, as kubectl gives them


def made(kind, name, created=EARLY, owner=None, notes=None, **fields):
    references = [{"kind": o["kind"], "controller": True, **o["metadata"]} for o in [owner] if o]
    metadata = {"name": name, "namespace": "hello-abc", "uid": f"{kind}-{name}"}
    metadata |= {"creationTimestamp": created, "ownerReferences": references}
    return {"kind": kind, "metadata": metadata | {"annotations": notes or {}}, **fields}


def container(state=None, last=None, image="docker.io/none:1", **fields):
    fields = {"name": "app", "image": image, "ready": False, "restartCount": 0} | fields
    return {"state": state or {"running": {}}, "lastState": last or {}, **fields}


def waiting(reason, message="", **fields):
    return container({"waiting": {"reason": reason, "message": message}}, **fields)


def ended(code, reason="Error", message=""):
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def pod(*containers, name="hello-abc-1", conditions=(), phase="Pending", volumes=(), **fields):
    status = {"phase": phase, "conditions": list(conditions), "containerStatuses": [*containers]}
    spec = {"volumes": [{"persistentVolumeClaim": {"claimName": name}} for name in volumes]}
    return made("Pod", name, status=status, spec=spec, **fields)


def unscheduled(message):
    reason = {"reason": "Unschedulable", "message": message}
    return {"type": "PodScheduled", "status": "False", **reason}


def ready_pod(name="hello-abc-0", **fields):
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]
    running = container(ready=True, last=ended(1), restartCount=2)
    return pod(running, name=name, conditions=conditions, phase="Running", **fields)


def event(about, reason, message, seen=EARLY, uid=None):
    involved = {"kind": about["kind"], "name": about["metadata"]["name"]}
    involved |= {"uid": uid or about["metadata"]["uid"]}
    name = f"{involved['name']}.{reason}.{seen}"
    fields = {"reason": reason, "message": message, "lastTimestamp": seen}
    return made("Event", name, involvedObject=involved, **fields)


def claim(name="data", phase="Pending"):
    return made("PersistentVolumeClaim", name, status={"phase": phase})


def replica_set(name="hello-abc-5f", revision=1, replicas=1, present=0, owner=None):
    notes = {"deployment.kubernetes.io/revision": str(revision)}
    spec, status = {"replicas": replicas}, {"replicas": present}
    return made("ReplicaSet", name, notes=notes, owner=owner, spec=spec, status=status)


def job(name="hello-hook", failed=True, created=EARLY):
    condition = {"type": "Failed", "status": str(failed), "reason": "BackoffLimitExceeded"}
    status = {"failed": 1, "conditions": [condition]} if failed else {"active": 1}
    return made("Job", name, created, spec={}, status=status)


def with_events(obj, *events):
    return [obj, *(event(obj, *one) for one in events)]


# What each cause looks like

CRASHED = pod(waiting("CrashLoopBackOff", "back-off 40s restarting failed", last=ended(1)))
RUNNING = pod(container(), phase="Running")
RESTARTED = pod(container(last=ended(137)), phase="Running")
NO_CLASS = 'storageclass.storage.k8s.io "nope" not found'
NO_DEFAULT = "no persistent volumes available for this claim and no storage class is set"
UNBOUND = (
    "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
NO_CPU = (
    "0/1 nodes are available: 1 Insufficient cpu. "
    "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)
NOT_PULLED = (
    'failed to pull and unpack image "docker.io/none:1": failed to resolve reference '
    '"docker.io/none:1": docker.io/none:1: '
)
QUOTA = (
    'pods "hello-abc-5f-x2x7q" is forbidden: exceeded quota: small, '
    "requested: limits.cpu=2, used: limits.cpu=1, limited: limits.cpu=2"
)
POD_SECURITY = (
    'pods "hello-abc-5f-x2x7q" is forbidden: violates PodSecurity "restricted:latest": '
    'runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true)'
)
SHOWN = {
    "a missing image, in the kubelet's newer words": (
        [pod(waiting("ImagePullBackOff", f"Back-off: ErrImagePull: {NOT_PULLED}not found"))],
        "image_pull: Pod hello-abc-1: image docker.io/none:1 can't be pulled (not found)",
    ),
    "a missing image, in its older words": (
        with_events(
            pod(waiting("ImagePullBackOff", 'Back-off pulling image "docker.io/none:1"')),
            ("Failed", f'Failed to pull image "docker.io/none:1": {NOT_PULLED}not found'),
            ("Failed", "Error: ImagePullBackOff", LATE),
        ),
        "image_pull: Pod hello-abc-1: image docker.io/none:1 can't be pulled (not found)",
    ),
    "an image without access": (
        [pod(waiting("ErrImagePull", f"{NOT_PULLED}unexpected status: 403 Forbidden"))],
        "image_pull: Pod hello-abc-1: image docker.io/none:1 can't be pulled (no access)",
    ),
    "a dead image registry": (
        [pod(waiting("ErrImagePull", f"{NOT_PULLED}dial tcp 192.0.2.1:443: i/o timeout"))],
        "image_pull: Pod hello-abc-1: image docker.io/none:1 can't be pulled "
        "(its registry can't be reached)",
    ),
    "an impossible image name": (
        [pod(waiting("InvalidImageName", "couldn't parse image name", image="A:b:c"))],
        "image_pull: Pod hello-abc-1: image A:b:c can't be pulled (not a valid image name)",
    ),
    "a crash loop": (
        [CRASHED],
        "crash_loop: Pod hello-abc-1: container app exited with code 1: panic: no database",
    ),
    "a crash between two starts": (
        [pod(container(last=ended(2), restartCount=1), phase="Running")],
        "crash_loop: Pod hello-abc-1: container app exited with code 2: panic: no database",
    ),
    "too little memory": (
        [pod(waiting("CrashLoopBackOff", last=ended(137, "OOMKilled")))],
        "crash_loop: Pod hello-abc-1: container app used more memory than its limit (OOMKilled): "
        "panic: no database",
    ),
    "a wrong command": (
        [
            pod(
                waiting(
                    "RunContainerError",
                    "failed to create containerd task: error during container init: "
                    'exec: "serve": executable file not found in $PATH: unknown',
                )
            )
        ],
        "crash_loop: Pod hello-abc-1: container app can't be started "
        '(exec: "serve": executable file not found in $PATH)',
    ),
    "a Secret that is not there": (
        [pod(waiting("CreateContainerConfigError", 'secret "db" not found'))],
        'crash_loop: Pod hello-abc-1: container app can\'t be started (secret "db" not found)',
    ),
    "a volume of a Secret that is not there": (
        with_events(
            pod(waiting("ContainerCreating")),
            ("FailedMount", 'MountVolume.SetUp failed for volume "tls" : secret "t" not found'),
        ),
        'crash_loop: Pod hello-abc-1: volume tls can\'t be mounted (secret "t" not found)',
    ),
    "a disk that is attached elsewhere": (
        with_events(
            pod(waiting("ContainerCreating")),
            ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used'),
        ),
        "pvc_unbound: Pod hello-abc-1: volume pvc-1 can't be mounted",
    ),
    "a readiness probe": (
        with_events(
            RUNNING, ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        ),
        "probe_failing: Pod hello-abc-1: its readiness probe fails (statuscode: 503)",
    ),
    "a liveness probe that makes restarts": (
        with_events(
            RESTARTED,
            ("Unhealthy", 'Liveness probe failed: Get "http://10.1.1.1": connection refused'),
            ("Killing", "Container app failed liveness probe, will be restarted"),
            ("Unhealthy", "Readiness probe failed: command timed out", LATE),
        ),
        "probe_failing: Pod hello-abc-1: its liveness probe fails (connection refused)",
    ),
    "no room": (
        [pod(conditions=[unscheduled(NO_CPU)])],
        "unschedulable: Pod hello-abc-1 can't be scheduled: "
        "0/1 nodes are available: 1 Insufficient cpu.",
    ),
    "no room, as an event": (
        with_events(pod(), ("FailedScheduling", NO_CPU)),
        "unschedulable: Pod hello-abc-1 can't be scheduled: "
        "0/1 nodes are available: 1 Insufficient cpu.",
    ),
    "no such storage class": (
        [
            pod(conditions=[unscheduled(UNBOUND)], volumes=["data"]),
            *with_events(claim(), ("ProvisioningFailed", NO_CLASS)),
        ],
        f"pvc_unbound: PersistentVolumeClaim data is not bound: {NO_CLASS}",
    ),
    "no storage class at all, and no pod that uses the claim": (
        with_events(claim(), ("FailedBinding", NO_DEFAULT)),
        f"pvc_unbound: PersistentVolumeClaim data is not bound: {NO_DEFAULT}",
    ),
    "a claim that is not there": (
        [
            pod(
                conditions=[
                    unscheduled(
                        '0/1 nodes are available: persistentvolumeclaim "data" not found. '
                        "preemption: 0/1 nodes are available: 1 Preemption is not helpful."
                    )
                ],
            )
        ],
        "pvc_unbound: PersistentVolumeClaim data, which Pod hello-abc-1 needs, not found",
    ),
    "a quota for pods": (
        with_events(replica_set(), ("FailedCreate", f"Error creating: {QUOTA}")),
        "quota_exceeded: ReplicaSet hello-abc-5f exceeds the quota small, "
        "requested: limits.cpu=2, used: limits.cpu=1, limited: limits.cpu=2",
    ),
    "Pod Security": (
        with_events(replica_set(), ("FailedCreate", f"Error creating: {POD_SECURITY}")),
        "admission_denied: ReplicaSet hello-abc-5f is forbidden: violates PodSecurity "
        '"restricted:latest": runAsNonRoot != true (pod or container "app" must set '
        "securityContext.runAsNonRoot=true)",
    ),
    "a Service without an address": (
        [
            made("Service", "web", spec={"type": "ClusterIP"}, status={"loadBalancer": {}}),
            made("Service", "edge", spec={"type": "LoadBalancer"}, status={"loadBalancer": {}}),
        ],
        "load_balancer_pending: Service edge of type LoadBalancer has no address yet",
    ),
    "only that it takes long": (
        [pod(waiting("ContainerCreating"))],
        "timeout: Pod hello-abc-1 is not ready in time (ContainerCreating)",
    ),
}


def said(cause: Cause) -> str:
    return f"{cause.code}: {cause.message}"


@pytest.mark.parametrize("stderr", [HELM3_TIMEOUT, HELM4_TIMEOUT], ids=["helm3", "helm4"])
@pytest.mark.parametrize(("objects", "expected"), SHOWN.values(), ids=SHOWN)
def test_a_wait_in_vain_has_the_cause_that_the_cluster_shows(stderr, objects, expected):
    cause = diagnose(failed(stderr), [ready_pod(), *objects], "starting\npanic: no database\n\n")
    assert said(cause) == expected
    assert cause.object == " ".join(cause.message.split()[:2]).rstrip(":,")


@pytest.mark.parametrize("stderr", [HELM3_HOOK, HELM3_HOOK_TIMEOUT, HELM4_HOOK])
def test_a_failed_hook_says_what_its_pod_said_last(stderr):
    hook = job()
    dead = pod(container(ended(3)), name="hello-hook-x", phase="Failed", owner=hook, created=LATE)
    cause = diagnose(failed(stderr), [job("older"), hook, dead][1:], "migrating\nno such table\n")
    assert said(cause) == (
        "hook_failed: Job hello-hook, which the chart runs as a hook, failed: "
        "container app exited with code 3: no such table"
    )
    assert cause.object == "Job hello-hook"


def test_a_hook_that_is_gone_is_still_named():
    assert diagnose(failed(HELM4_HOOK), []).object == "hook hello-hook"
    assert diagnose(failed(HELM3_HOOK_TIMEOUT), []).code == "hook_failed"


def test_a_hook_that_could_not_run_has_that_cause():
    hook = job(failed=False)
    stuck = pod(waiting("ErrImagePull", "not found"), name="hello-hook-x", owner=hook)
    assert diagnose(failed(HELM3_HOOK_TIMEOUT), [hook, stuck]).code == "image_pull"
    assert "did not end in time" in diagnose(failed(HELM3_HOOK_TIMEOUT), [hook]).message


def test_a_namespace_that_is_being_deleted_says_what_holds_it():
    message = "Some content has finalizers remaining: example.org/held in 1 resource instances"
    conditions = [
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": message},
    ]
    namespace = made("Namespace", "hello-abc", status={"conditions": conditions})
    namespace["metadata"]["deletionTimestamp"] = LATE
    cause = diagnose(ToolTimeout("kubectl took longer than 150 s"), [namespace])
    assert said(cause) == (
        f"namespace_terminating: Namespace hello-abc is still being deleted: {message}"
    )


# Which of several causes


BAD_IMAGE = pod(waiting("ErrImagePull", "not found"), name="hello-abc-2")


@pytest.mark.parametrize(
    ("objects", "code"),
    [
        ([CRASHED, BAD_IMAGE], "image_pull"),  # the other waits for what can't be pulled
        ([*with_events(RUNNING, ("Unhealthy", "Readiness probe failed")), CRASHED], "crash_loop"),
        (with_events(CRASHED, ("Unhealthy", "Readiness probe failed: EOF", LATE)), "crash_loop"),
        ([pod(conditions=[unscheduled(UNBOUND)], volumes=["data"]), claim()], "pvc_unbound"),
        ([pod(conditions=[unscheduled(NO_CPU)], volumes=["data"]), claim()], "unschedulable"),
        (
            [*with_events(replica_set(), ("FailedCreate", QUOTA)), CRASHED],
            "quota_exceeded",
        ),
        (
            with_events(
                pod(waiting("CrashLoopBackOff", last=ended(137, "OOMKilled"))),
                ("Killing", "Container app failed liveness probe, will be restarted"),
            ),
            "crash_loop",
        ),
        (
            with_events(claim(), ("WaitForFirstConsumer", "waiting for first consumer")),
            "pvc_unbound",
        ),
        ([made("Service", "s", spec={"type": "LoadBalancer"}), CRASHED], "crash_loop"),
    ],
)
def test_the_cause_is_named_and_not_its_effect(objects, code):
    assert diagnose(failed(), objects).code == code


def test_a_quota_that_was_in_the_way_once_is_not_the_cause():
    events = with_events(replica_set(present=1), ("FailedCreate", QUOTA))
    assert diagnose(failed(), [*events, CRASHED]).code == "crash_loop"


def test_the_newest_event_wins():
    old = ("Unhealthy", "Startup probe failed: connection refused", EARLY)
    new = ("Unhealthy", "Readiness probe failed: statuscode: 500", LATE)
    for events in ([old, new], [new, old]):
        assert "readiness" in diagnose(failed(), with_events(RUNNING, *events)).message


def test_an_event_of_an_earlier_pod_of_that_name_is_not_heeded():
    old = event(RUNNING, "Unhealthy", "Readiness probe failed", uid="another")
    assert diagnose(failed(), [RUNNING, old]).code == "timeout"


def test_the_newest_pod_wins():
    new = pod(waiting("CrashLoopBackOff"), name="hello-abc-9", created=LATE)
    for objects in ([CRASHED, new], [new, CRASHED]):
        assert diagnose(failed(), objects).object == "Pod hello-abc-9"


def test_pods_of_a_former_revision_are_not_to_blame():
    owner = made("Deployment", "hello-abc")
    sets = [replica_set("new", 12, present=1, owner=owner), replica_set("old", 9, owner=owner)]
    old = pod(waiting("ErrImagePull"), name="hello-abc-2", owner=sets[1], created=LATE)
    new = pod(waiting("CrashLoopBackOff"), owner=sets[0])
    refused = event(sets[1], "FailedCreate", QUOTA)
    assert diagnose(failed(), [*sets, old, new, refused]).object == "Pod hello-abc-1"


@pytest.mark.parametrize("reason", ["Evicted", None])
def test_pods_that_are_over_are_not_to_blame(reason):
    over = pod(container(ended(1)), name="hello-abc-3", phase="Failed", created=LATE)
    over["status"]["reason"] = reason
    if not reason:
        over["metadata"]["deletionTimestamp"] = LATE
    assert diagnose(failed(), [over, BAD_IMAGE]).code == "image_pull"


def test_a_job_that_is_no_hook_is_the_cause_only_if_nothing_else_is():
    nightly = pod(container(ended(1)), name="nightly-x", owner=job("nightly"), created=LATE)
    assert diagnose(failed(), [nightly, CRASHED]).object == "Pod hello-abc-1"
    assert diagnose(failed(), [nightly]).object == "Pod nightly-x"


def test_a_log_of_another_pod_is_not_quoted():
    nightly = pod(container(ended(1)), name="nightly-x", owner=job("nightly"), created=LATE)
    assert "no database" not in diagnose(failed(), [nightly, CRASHED], "no database").message


# Without evidence


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failed(), "timeout: the release is not ready in time"),
        (failed(HELM4_TIMEOUT), "timeout: Deployment hello-abc is not ready in time"),
        (
            ToolTimeout("helm took longer than 360 s"),
            "timeout: the release is not ready after 360 s",
        ),
        (
            ToolError("chart x 1 did not become healthy within 30 s (timed out waiting)"),
            "timeout: the release is not ready after 30 s",
        ),
        (
            failed('Error: Get "https://10.0.0.1:6443/api": context deadline exceeded'),
            "cluster_unreachable: cluster 10.0.0.1:6443 can't be reached (no answer in time)",
        ),
        (
            ToolTimeout("kubectl took longer than 60 s"),
            "cluster_unreachable: the cluster can't be reached (no answer in time)",
        ),
        (ZeroDivisionError("7"), "internal: an internal error of Caelus"),
        (ReconcileError("chart x is odd"), "internal: chart x is odd"),
        (
            failed('Error: UPGRADE FAILED: "hello" has no deployed releases'),
            "internal: helm failed with exit code 1: UPGRADE FAILED: ... has no deployed releases",
        ),
        (Conflict("/user/replicas must be at least 1"), "values_rejected: /user/replicas must be"),
    ],
)
def test_an_error_that_nothing_explains_still_says_what_is_known(error, expected):
    assert said(diagnose(error, [])).startswith(expected)


def test_a_request_that_ended_with_the_wait_is_no_dead_cluster():
    stderr = 'Error: Get "https://10.0.0.1:6443/api": context deadline exceeded'
    assert diagnose(failed(stderr), [ready_pod()]).code == "timeout"


@pytest.mark.parametrize("code", ["registry_auth", "chart_digest_mismatch", "registry_unreachable"])
def test_an_error_that_knows_its_code_keeps_it(code):
    error = ReconcileError("cannot pull chart oci://x/y 1: its source does not answer (dial tcp)")
    error.code = code
    cause = diagnose(error, [CRASHED])
    assert cause.code == code.replace("registry_unreachable", "chart_not_found")
    assert cause.message == "cannot pull chart oci://x/y 1: its source does not answer"
    assert cause.object == "chart oci://x/y"


# What is never told


def test_no_secret_is_told():
    logs = [
        "postgres://app:hunter2@db/app refused",
        "DB_PASSWORD=hunter2 is wrong",
        '{"level": "error", "api_key": "hunter2"}',
        "Authorization: Bearer hunter2hunter2",
        "run --admin-password hunter2",
        "\x1b[31mpassword: 'hunter2 hunter2'\x1b[0m",
    ]
    for line in logs:
        told = json.dumps(diagnose(failed(), [CRASHED], line).document())
        assert "hunter2" not in told and "***" in told and "\\u001b" not in told


def test_no_value_that_a_refusal_repeats_is_told():
    for stderr in (
        'Error: Deployment.apps "x" is invalid: spec.a: Invalid value: "hunter2": must be b',
        'Error: Deployment.apps "x" is invalid: spec.a: Invalid value: {"b":"hunter2"}: immutable',
        "Error: execution error at (app/templates/x.yaml:1:3): bad password hunter2",
        'Error: something new: "hunter2" and {"a": "hunter2"} and \'hunter2\'',
    ):
        assert "hunter2" not in json.dumps(diagnose(failed(stderr), []).document())


def test_a_rule_about_a_password_is_told():
    refused = "values don't meet the specifications of the schema(s) in the following chart(s):\n"
    for rule in (
        "- auth.password: String length must be greater than or equal to 8",
        "- at '/auth/password': minLength: got 7, want 8",
    ):
        told = diagnose(failed(f"Error: {refused}app:\n{rule}\n"), []).message
        assert "/auth/password: " in told and told.endswith("8") and "7" not in told


def test_a_cause_is_short_and_of_one_line():
    for stderr in (
        f'Error: admission webhook "v.example.org" denied the request: {"no way " * 300}',
        f'Error: pods "x" is forbidden: {"no " * 300}',
        f"Error: {'odd ' * 30000}",
        "Error: " + "x" * 99999 + "\n- x" * 9999,
    ):
        told = diagnose(failed(stderr), []).document()
        assert all(len(text) <= 500 and "\n" not in text for text in told.values() if text)
    assert len(diagnose(failed(), [CRASHED], "x" * 9999).message) < 300


def test_each_code_says_whether_it_heals_and_what_to_do():
    heals = {code for code, (heals, _) in CODES.items() if heals}
    assert heals.isdisjoint({"values_rejected", "admission_denied", "immutable_field"})
    assert heals.isdisjoint({"crash_loop", "hook_failed", "chart_digest_mismatch"})
    assert "chart_unusable" in CODES and "chart_unusable" not in heals
    assert heals >= {"timeout", "cluster_unreachable", "image_pull", "chart_not_found"}
    cause = diagnose(failed(), [CRASHED])
    assert not cause.heals and "Pod hello-abc-1" in cause.hint
    assert set(cause.document()) == {"code", "object", "message", "hint"}
