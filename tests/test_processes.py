"""How many programs a reconcile runs, and that an upgrade without a look is as safe as one with."""

import base64
import gzip
import json
import subprocess

import pytest

from caelus import drift
from caelus.fence import NAME
from caelus.models import Deployment, Template
from tests.drifting import one_database, open_jobs, told
from tests.drifting import scene as scene  # the fixture
from tests.test_end_to_end import CHART
from tests.test_locks import (
    PATH,
    as_if_killed_at,
    deploy,
    helm_by_hand,
    publish,
    status,
)

pytestmark = one_database
one_helm = pytest.mark.parametrize("scene", ["4"], indirect=True)
FENCE, UPGRADE, LOOK = ("kubectl", "apply"), ("helm", "upgrade"), ("helm", "history")


def calls(scene) -> list[tuple]:
    return [tuple(call.split()[:2]) for call in scene.calls()]


def update(rest, scene, **changes) -> Deployment:
    assert rest("update-deployment", **PATH, **changes).ok
    scene.calls()
    return scene.reconcile()


def by_hand(scene, uid: str, *words: str) -> None:
    scene.run("helm", *words[:1], uid, *words[1:], "--namespace", uid)


def test_creates_and_upgrades_run_two_programs(rest, scene):
    publish(rest, "busybox", "busybox:2")
    deploy(rest, scene)
    assert calls(scene)[-2:] == [FENCE, UPGRADE]
    for changes in ({"domainname": "b.example.org"}, {"desired_template_id": 2}):
        assert update(rest, scene, **changes).status == "ready"
        assert calls(scene) == [FENCE, UPGRADE]


@one_helm
def test_what_failed_is_looked_at_before_it_is_tried_again(rest, scene):
    publish(rest, "busybox", "fail:1", "busybox:2")
    deploy(rest, scene)
    Template.update(capabilities_json={"on_upgrade_failure": "keep"}).execute()
    assert update(rest, scene, desired_template_id=2).status == "error"
    assert update(rest, scene, desired_template_id=3).status == "ready"
    assert calls(scene) == [LOOK, FENCE, UPGRADE]


@one_helm
def test_another_fence_is_put_up_after_a_look_and_the_old_ones_surplus_goes(rest, scene):
    publish(rest, "busybox", "busybox:2")
    quota = {"isolation": {"quota": {"pods": 9}}}
    Template.update(capabilities_json=quota).where(Template.id == 1).execute()
    uid = deploy(rest, scene)
    assert scene.document("resourcequota", NAME, "--namespace", uid)
    assert update(rest, scene, desired_template_id=2).status == "ready"
    assert calls(scene) == [LOOK, FENCE, ("kubectl", "delete"), UPGRADE]
    assert scene.document("resourcequota", "--namespace", uid)["items"] == []
    assert update(rest, scene, domainname="b.example.org").status == "ready"
    assert calls(scene) == [FENCE, UPGRADE]


@one_helm
def test_a_fence_that_may_be_half_changed_is_not_taken_for_the_one_or_the_other(rest, scene):
    publish(rest, "busybox", "busybox:2", "busybox:3")
    quota = {"isolation": {"quota": {"pods": 9}}}
    Template.update(capabilities_json=quota).where(Template.id == 2).execute()
    uid = deploy(rest, scene)
    known = Deployment.get_by_id(1).fence
    Deployment.update(fence=None).execute()  # as it is while a fence is changed
    done = update(rest, scene, domainname="b.example.org")
    assert (done.status, done.fence) == ("ready", known)
    assert calls(scene) == [LOOK, FENCE, ("kubectl", "delete"), UPGRADE]
    assert scene.document("networkpolicy", NAME, "--namespace", uid)


@one_helm
def test_revisions_that_somebody_made_meanwhile_are_gone_on_from(rest, scene):
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    for _ in range(2):
        by_hand(scene, uid, "upgrade", str(CHART))
    done = update(rest, scene, desired_template_id=2)
    assert (done.status, done.applied_revision) == ("ready", 4)
    assert calls(scene) == [FENCE, UPGRADE]
    # What is known of the release is now what helm said, not what was thought: look again.
    assert update(rest, scene, domainname="b.example.org").applied_revision == 5
    assert calls(scene) == [LOOK, FENCE, UPGRADE]


@one_helm
def test_a_release_that_somebody_uninstalled_is_installed_again(rest, scene):
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    by_hand(scene, uid, "uninstall")
    done = update(rest, scene, desired_template_id=2)
    assert (done.status, done.applied_revision) == ("ready", 1)


def test_an_uninstall_that_somebody_left_half_done_is_seen_and_gone_over(rest, scene):
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    leave_uninstalling(scene, uid)
    done = update(rest, scene, desired_template_id=2)
    assert (done.status, done.last_error) == ("ready", None)
    assert calls(scene)[:3] == [FENCE, UPGRADE, LOOK]
    assert told("unlocked") == ["revision 1 was uninstalling with no helm at it: marked failed"]


def leave_uninstalling(scene, uid: str) -> None:
    """As an uninstall does that was killed two hours ago."""
    (secret,) = scene.document("secret", "--selector=owner=helm", "--namespace", uid)["items"]
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    release = json.loads(gzip.decompress(packed))
    release["info"] |= {"status": "uninstalling", "deleted": "2026-01-01T00:00:00Z"}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode())))
    secret["data"]["release"] = packed.decode()
    secret["metadata"]["labels"]["status"] = "uninstalling"
    command = [str(scene.calls_file.parent / "kubectl"), "replace", "--filename=-"]
    subprocess.run(command, input=json.dumps(secret), env=scene.env, text=True, check=True)


def test_a_lock_of_a_killed_helm_is_ours_although_somebody_had_made_revisions(rest, scene):
    """Caelus thought that its helm would make revision 2."""
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    by_hand(scene, uid, "upgrade", str(CHART))
    as_if_killed_at(revision=2)
    helm_by_hand(scene, uid).kill()
    assert update(rest, scene, desired_template_id=2).status == "ready"
    assert told("unlocked") == ["revision 3 was pending-upgrade with no helm at it: marked failed"]


def test_a_helm_that_somebody_else_runs_keeps_its_lock_after_ours_was_refused(rest, scene):
    publish(rest, "busybox", "busybox:2")
    uid = deploy(rest, scene)
    other = helm_by_hand(scene, uid)
    assert update(rest, scene, desired_template_id=2).cause["code"] == "release_busy"
    assert calls(scene)[:3] == [FENCE, UPGRADE, LOOK]
    assert Deployment.get_by_id(1).acting_revision is None
    assert (other.poll(), status(scene, uid), told("unlocked")) == (None, "pending-upgrade", [])
    other.kill()


@one_helm
def test_what_is_in_order_makes_no_job_and_no_program_but_the_sweeps(rest, scene):
    publish(rest, "busybox")
    deploy(rest, scene)
    scene.calls()
    assert drift.sweep(scene.tools) == 0
    assert calls(scene) == [("helm", "list"), ("kubectl", "get")]
    assert (open_jobs(), scene.reconcile()) == ([], None)
