"""Leases: who holds a job while it runs, and who gets it when its worker dies."""

import datetime
import os
import subprocess
import sys

import pytest

from caelus import jobs, leases, process
from caelus.errors import Cancelled
from caelus.models import Event, Job, now
from caelus.process import Tools
from tests.program import wait_until

NEW = {"user_id": 1, "desired_template_id": 1, "domainname": "a.example.org"}


def later(**span):
    return now() + datetime.timedelta(**span)


@pytest.fixture
def claimed(shop):
    """A job that this process has claimed."""
    shop("create-deployment", **NEW)
    return jobs.claim(leases.worker_name(1), now())


def name_of(pid: int, start: int) -> str:
    host, machine, _, number = leases.worker_name(1).rsplit(":", 3)
    return f"{host}:{machine}:{pid}-{start}:{number}"


def a_dead_worker() -> str:
    """The name of a worker whose process has ended."""
    code = "from caelus import leases; print(leases.worker_name(1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_live_worker_keeps_its_job(claimed):
    assert leases.recover(now()) == 0
    assert Job.get().status == "running"


def test_a_renewed_lease_lasts_longer(claimed):
    before = Job.get().lease_until
    assert jobs.renew(claimed, later(seconds=5))
    assert Job.get().lease_until > before


def test_a_lease_that_ran_out_frees_the_job(claimed):
    assert leases.recover(later(seconds=46)) == 1
    job = Job.get()
    assert (job.status, job.locked_by, job.lease_until) == ("queued", None, None)
    assert "was lost" in Event.get(Event.type == "interrupted").message
    assert not jobs.renew(claimed, now())
    assert not jobs.finish(claimed)


def test_a_worker_seen_to_be_dead_loses_its_job_at_once(claimed):
    Job.update(locked_by=a_dead_worker()).execute()
    assert leases.recover(now()) == 1
    assert jobs.claim("another", now()).attempt == 2


def test_a_job_whose_worker_came_back_as_another_process_is_free(claimed):
    """The same process id, but it is not the process that claimed the job."""
    assert leases.is_dead(name_of(os.getpid(), 1))
    assert not leases.is_dead(leases.worker_name(7))


@pytest.mark.parametrize("name", ["w", "host:unseen-machine:1-1:1", "a:b:c", ""])
def test_a_worker_out_of_sight_is_not_said_to_be_dead(name):
    assert not leases.is_dead(name)


def test_a_lost_lease_ends_what_runs(claimed, settings, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.05)
    with leases.kept(claimed, Tools(settings)) as held:
        assert not held.cancel.is_set()
        Job.update(locked_by="another").execute()
        wait_until(held.cancel.is_set, 10)
        with pytest.raises(Cancelled):
            held.cancel.confirm()


def test_a_lease_that_nobody_can_renew_is_given_up_in_time(claimed, settings, monkeypatch):
    """By the clock alone, before another may take the job: who renews may hang."""
    with leases.kept(claimed, Tools(settings)) as held:
        assert not held.cancel.is_set()
        monkeypatch.setattr(leases, "GIVE_UP_SECONDS", 0)
        assert held.cancel.is_set()


def test_a_job_that_was_renewed_meanwhile_is_not_taken_over(claimed):
    seen = Job.get()
    assert jobs.renew(claimed, later(seconds=5))
    assert not jobs.take_over(seen, "another")
    assert Job.get().locked_by == claimed.locked_by


def test_a_lease_that_is_over_is_not_renewed(claimed):
    assert not jobs.renew(claimed, later(seconds=46))


def test_a_lease_begins_when_the_job_is_taken(shop):
    """Not when the round of work began that takes it: that may be an hour ago."""
    shop("create-deployment", **NEW)
    Job.update(run_after=later(hours=-2)).execute()
    assert jobs.claim("w", later(hours=-1)).lease_until > now()


def test_a_kept_lease_is_renewed(claimed, settings, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.05)
    before = Job.get().lease_until
    with leases.kept(claimed, Tools(settings)) as held:
        wait_until(lambda: Job.get().lease_until > before, 10)
        assert not held.cancel.is_set()


def test_what_a_dead_worker_left_running_is_ended(claimed, settings):
    worker = a_dead_worker()
    env = os.environ | {process.OWNER: f"{worker}/{claimed.id}/{claimed.attempt}"}
    orphan = subprocess.Popen(["sleep", "600"], env=env)
    other = subprocess.Popen(["sleep", "600"], env=os.environ | {process.OWNER: "another"})
    try:
        Job.update(locked_by=worker).execute()
        assert leases.recover(now()) == 1
        assert orphan.wait(10) == -15
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_child_dies_with_its_worker(settings, tmp_path):
    """SIGKILL of the parent: the child gets SIGTERM and may clean up."""
    script = tmp_path / "helm"
    script.write_text(
        f"#!/bin/sh\ntrap 'echo > {tmp_path}/ended; exit 1' TERM\necho > {tmp_path}/started\n"
        "while :; do sleep 0.05; done\n"
    )
    script.chmod(0o755)
    code = (
        "from caelus import config, process;"
        f"c = config.load()._replace(helm={str(script)!r});"
        "process.Tools(c).helm('upgrade', timeout=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until((tmp_path / "started").exists)
    parent.kill()
    parent.wait()
    wait_until((tmp_path / "ended").exists)
