"""Locks on a release: one that a killed helm of Caelus left is removed, a live helm's is not."""

import datetime
import signal
import subprocess

import pytest

from caelus.models import Deployment, Job, now
from caelus.recovery import is_held
from tests.program import wait_until
from tests.test_drift import UNHEALTHY_SECONDS, one_database, told
from tests.test_drift import scene as scene  # the fixture
from tests.test_end_to_end import CHART

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
PATH = {"user_id": 1, "deployment_id": 1}
ROLLED_BACK = "went back to revision 1, the last good one"


def ago(minutes: float) -> datetime.datetime:
    return NOON - datetime.timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("since", "ours", "held"),
    [
        (ago(5), None, True),
        (ago(61), None, False),  # nobody waits for so long
        (ago(5), ago(6), False),  # it came after an attempt of ours began
        (ago(5), ago(5) + datetime.timedelta(milliseconds=900), False),  # helm tells seconds only
        (ago(5), ago(4), True),  # it was there before
        (None, None, False),
    ],
)
def test_whose_a_lock_is_is_told_by_its_time(since, ours, held):
    assert is_held(since, ours, NOON) == held


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
    assert (deployment.status, deployment.acting_since) == ("ready", None)
    return deployment.deployment_uid


def helm_by_hand(scene, uid: str) -> subprocess.Popen:
    """Somebody's own upgrade, which waits for a pod that never comes."""
    program = str(scene.calls_file.parent / "helm")
    words = ("upgrade", uid, str(CHART), "--namespace", uid, "--set", "image=never:1", "--wait")
    child = subprocess.Popen([program, *words], env=scene.env, start_new_session=True)
    wait_until(lambda: status(scene, uid) == "pending-upgrade")
    return child


def status(scene, uid: str) -> str:
    secrets = [
        secret
        for secret in scene.api.objects("v1", "secrets", uid)
        if secret["type"] == "helm.sh/release.v1"
    ]
    newest = max(secrets, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    return newest["metadata"]["labels"]["status"]


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
    Deployment.update(acting_since=now()).execute()  # as the attempt did that was killed
    helm_by_hand(scene, uid).kill()
    rest("update-deployment", **PATH, desired_template_id=2)
    assert scene.reconcile().status == "ready"
    assert told("unlocked") == ["revision 2 was pending-upgrade with no helm at it: marked failed"]
    assert Deployment.get().acting_since is None


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
