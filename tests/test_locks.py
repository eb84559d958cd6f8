"""Locks on a release: one that a killed helm of Caelus left is removed, a live helm's is not."""

import contextlib
import signal
import subprocess

from caelus.models import Deployment, Job, Template, now
from tests.drifting import UNHEALTHY_SECONDS, one_database, told
from tests.drifting import scene as scene  # the fixture
from tests.kube import ApiError
from tests.program import wait_until
from tests.test_end_to_end import CHART

PATH = {"user_id": 1, "deployment_id": 1}
ROLLED_BACK = "went back to revision 1, the last good one"


def publish(rest, *images: str) -> None:
    """A template for each image, the first of user 1's deployment."""
    rest("create-user", email="ada@example.org")
    rest("create-product", name="App")
    for number, image in enumerate(images, 1):
        answer = rest(
            "create-template",
            product_id=1,
            chart_ref=str(CHART),
            chart_version=str(number),
            default_values_json={"image": image},
            health_timeout_sec=UNHEALTHY_SECONDS,
        )
        assert answer.ok


def deploy(rest, scene) -> str:
    rest("create-deployment", user_id=1, desired_template_id=1, domainname="a.example.org")
    deployment = scene.reconcile()
    assert (deployment.status, deployment.acting_revision) == ("ready", 1)
    return deployment.deployment_uid


def helm_by_hand(scene, uid: str) -> subprocess.Popen:
    """Somebody's own upgrade, which waits for a pod that never comes."""
    program = str(scene.calls_file.parent / "helm")
    words = ("upgrade", uid, str(CHART), "--namespace", uid, "--set", "image=never:1", "--wait")
    child = subprocess.Popen([program, *words], env=scene.env, start_new_session=True)
    wait_until(lambda: status(scene, uid) == "pending-upgrade")
    return child


def status(scene, uid: str) -> str:
    return statuses(scene, uid)[-1]


def statuses(scene, uid: str) -> list[str]:
    """Of all revisions that helm keeps, the newest last."""
    labels = [
        secret["metadata"]["labels"]
        for secret in scene.api.objects("v1", "secrets", uid)
        if secret["type"] == "helm.sh/release.v1"
    ]
    return [of["status"] for of in sorted(labels, key=lambda of: int(of["version"]))]


def as_if_killed_at(revision: int, since=None) -> None:
    """What an attempt leaves on record whose helm was killed, along with Caelus."""
    left = {"acting_revision": revision, "acting_since": since or now(), "acting_until": None}
    Deployment.update(left).execute()


def due_at_once() -> None:
    Job.update(run_after=now()).execute()


@one_database
def test_a_helm_that_somebody_else_runs_is_left_alone(rest, scene):
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    other = helm_by_hand(scene, uid)
    rest("update-deployment", **PATH, desired_template_id=2)
    failed = scene.reconcile()
    assert (failed.status, failed.cause["code"]) == ("error", "release_busy")
    assert failed.cause["object"] == f"release {uid}"
    assert other.poll() is None
    assert status(scene, uid) == "pending-upgrade"
    assert (told("unlocked"), told("rolled_back")) == ([], [])
    other.send_signal(signal.SIGTERM)
    assert other.wait(30)
    due_at_once()
    assert scene.reconcile().status == "ready"


@one_database
def test_a_lock_that_a_killed_attempt_left_is_removed_at_once(rest, scene):
    """Also if the owner changed the deployment since, so that it is another job."""
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    as_if_killed_at(revision=2)
    helm_by_hand(scene, uid).kill()
    rest("update-deployment", **PATH, desired_template_id=2)
    assert scene.reconcile().status == "ready"
    assert told("unlocked") == ["revision 2 was pending-upgrade with no helm at it: marked failed"]


def failing_update(rest, scene) -> None:
    """An update that fails by itself, and now waits for its retry."""
    rest("update-deployment", **PATH, desired_template_id=2)
    assert scene.reconcile().status == "error"
    due_at_once()


@one_database
def test_a_helm_that_repairs_what_failed_is_left_alone(rest, scene):
    """Also while Caelus tries again: that its own helm has ended is known."""
    publish(rest, "busybox", "fail:1")
    uid = deploy(rest, scene)
    failing_update(rest, scene)
    other = helm_by_hand(scene, uid)
    assert scene.reconcile().cause["code"] == "release_busy"
    assert (other.poll(), told("unlocked")) == (None, [])
    other.kill()
    due_at_once()
    assert scene.reconcile().cause["code"] == "release_busy"  # nobody can know that it is dead


@one_database
def test_an_attempt_that_fails_before_its_helm_makes_nobody_elses_lock_its_own(rest, scene):
    publish(rest, "busybox", "fail:1")
    uid = deploy(rest, scene)
    failing_update(rest, scene)
    other = helm_by_hand(scene, uid)
    for _ in range(2):
        assert scene.reconcile().cause["code"] == "release_busy"
        due_at_once()
    assert (other.poll(), told("unlocked")) == (None, [])
    other.kill()


@one_database
def test_a_helm_that_starts_while_ours_looks_for_its_chart_is_left_alone(rest, scene):
    publish(rest, "busybox", "busybox:2")
    Template.update(chart_ref="/nonexistent/chart").where(Template.id == 2).execute()
    uid = deploy(rest, scene)
    rest("update-deployment", **PATH, desired_template_id=2)
    with somebody_starts_helm_at_the_look(scene, uid) as other:
        assert scene.reconcile().cause["code"] == "chart_not_found"
    assert (other[0].poll(), told("rolled_back")) == (None, [])
    assert status(scene, uid) == "pending-upgrade"
    Deployment.update(acting_until=now()).execute()  # as if that had taken so long
    due_at_once()
    assert scene.reconcile().cause["code"] == "release_busy"
    assert (other[0].poll(), told("unlocked"), told("rolled_back")) == (None, [], [])
    other[0].kill()


@one_database
def test_a_helm_that_dies_alone_is_cleaned_up_after_in_the_same_attempt(rest, scene, tmp_path):
    """Killed for want of memory, say: it was our own, so its lock is."""
    publish(rest, "busybox", "never:1")
    uid = deploy(rest, scene)
    rest("update-deployment", **PATH, desired_template_id=2)

    def kill_helm(method, path, query):
        if method == "GET" and path.endswith("/replicasets"):  # it waits for pods by now
            scene.api.intercept = None
            subprocess.run(["pkill", "-KILL", "-f", f"helm upgrade --install {uid} "], check=True)

    scene.api.intercept = kill_helm
    assert scene.reconcile().status == "error"
    assert scene.api.intercept is None
    assert told("rolled_back") == [ROLLED_BACK]
    assert statuses(scene, uid)[-1] == "deployed"


@one_database
def test_a_fence_that_was_tightened_for_nothing_is_put_back(rest, scene):
    publish(rest, "busybox", "busybox:2")
    tight = {"isolation": {"pod_security": "restricted"}}
    missing = {"chart_ref": "/nonexistent/chart", "capabilities_json": tight}
    Template.update(missing).where(Template.id == 2).execute()
    uid = deploy(rest, scene)
    rest("update-deployment", **PATH, desired_template_id=2)
    assert scene.reconcile().cause["code"] == "chart_not_found"
    labels = scene.document("namespace", uid)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"


@contextlib.contextmanager
def somebody_starts_helm_at_the_look(scene, uid: str):
    """Somebody's own upgrade begins once Caelus has failed, and looks at the release."""
    started = []
    scene.calls()

    def intercept(method, path, query):
        looks = [line for line in scene.all_calls() if line.startswith("helm history")]
        if looks and not started:
            scene.api.intercept = None
            started.append(helm_by_hand(scene, uid))

    scene.api.intercept = intercept
    yield started
    assert started


@one_database
def test_a_kill_at_the_end_of_a_rollback_does_not_lose_the_good_revision(rest, scene):
    """Revision 1 is superseded by then, and the rollback's own not yet deployed."""
    publish(rest, "busybox", "never:1")
    uid = deploy(rest, scene)
    failing_update(rest, scene)
    assert told("rolled_back") == [ROLLED_BACK]
    words = (str(scene.calls_file.parent / "helm"), "rollback", uid, "1", "--namespace", uid)
    began, other = now(), subprocess.Popen(words, env=scene.env)

    def kill_before_it_is_deployed(method, path, query):
        if method == "PUT" and path.endswith(".v4"):
            other.kill()
            return ApiError(503, "ServiceUnavailable", "too late")
        return None

    scene.api.intercept = kill_before_it_is_deployed
    other.wait(30)
    scene.api.intercept = None
    assert "deployed" not in statuses(scene, uid)
    as_if_killed_at(revision=4, since=began)
    assert scene.reconcile().cause["code"] == "image_pull"
    assert told("rolled_back")[1:] == ["went back to revision 3, the last good one"]
    assert statuses(scene, uid)[-1] == "deployed"


@one_database
def test_only_attempts_that_could_not_help_are_counted(rest, scene):
    """A dead worker and a registry that was down cost none of the three."""
    publish(rest, "busybox", "fail:1")
    deploy(rest, scene)
    rest("update-deployment", **PATH, desired_template_id=2)
    Job.update(attempt=7).where(Job.status == "queued").execute()
    for futile in (1, 2):
        assert scene.reconcile().cause["code"] == "crash_loop"
        job = Job.select().order_by(Job.id.desc()).get()
        assert (job.status, job.futile) == ("queued", futile)
        due_at_once()
    scene.reconcile()
    job = Job.select().order_by(Job.id.desc()).get()
    assert (job.status, job.attempt) == ("failed", 10)
    assert told("rolled_back")[0] == ROLLED_BACK
