"""The queue: who gets which job, when, and never two the same."""

import datetime
import subprocess
import sys
import threading
from collections import Counter

import pytest

from caelus import jobs
from caelus.database import database, session, transaction
from caelus.models import Deployment, Job, now

CLAIM_ALL = """
import sys
from caelus import config, jobs, startup
from caelus.database import session
from caelus.models import now
startup.open_database(config.load())
with session():
    while job := jobs.claim(sys.argv[1], now()):
        print(job.id)
        assert jobs.finish(job)
"""


def deployments_with_jobs(count: int) -> None:
    """`count` deployments of user 1, each with a job that is due."""
    with session(), transaction():
        for number in range(count):
            deployment = Deployment.create(
                user=1,
                desired_template=1,
                domainname=f"d{number}.example.org",
                deployment_uid=f"d{number}",
                status="provisioning",
            )
            Job.create(deployment=deployment, reason="create")


@pytest.fixture
def queue(shop):
    return deployments_with_jobs


def later(**span):
    return now() + datetime.timedelta(**span)


def test_the_oldest_due_job_comes_first(queue):
    queue(3)
    Job.update(run_after=later(hours=-2)).where(Job.id == 2).execute()
    Job.update(run_after=later(hours=1)).where(Job.id == 1).execute()
    assert [jobs.claim("w", now()).id for _ in range(2)] == [2, 3]
    assert jobs.claim("w", now()) is None
    assert jobs.claim("w", later(hours=2)).id == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_next_job_is_found_in_the_index_of_due_ones(queue):
    sql, values = jobs._oldest.query(now(), None).sql()
    plan = [row[-1] for row in database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert plan == ["SEARCH t1 USING INDEX jobs_due (run_after<?)"], "and nothing is sorted"


def test_a_claimed_job_says_who_holds_it(queue):
    queue(1)
    job = jobs.claim("host:1:1", now())
    assert (job.status, job.attempt, job.locked_by) == ("running", 1, "host:1:1")
    assert job.locked_at is not None


def test_a_finished_job_is_closed(queue):
    queue(1)
    job = jobs.claim("w", now())
    assert jobs.finish(job)
    job = Job.get_by_id(job.id)
    assert (job.status, job.locked_by, job.locked_at) == ("done", None, None)


def test_a_worker_that_lost_its_job_can_not_close_it(queue):
    queue(1)
    job = jobs.claim("w", now())
    Job.update(status="queued", locked_by=None).execute()
    assert not jobs.finish(job)
    assert not jobs.fail(job, "boom")
    second = jobs.claim("w", now())
    assert not jobs.finish(job)
    assert jobs.finish(second)


def test_a_postponed_job_is_due_after_its_pause(queue):
    queue(1)
    job = jobs.claim("w", now())
    assert jobs.postpone(job, "boom")
    assert jobs.claim("w", now()) is None
    again = jobs.claim("w", later(seconds=13))
    assert (again.id, again.attempt, again.last_error) == (job.id, 2, "boom")


def test_a_job_handed_back_is_as_before(queue):
    queue(1)
    assert jobs.hand_back(jobs.claim("w", now()))
    job = Job.get()
    assert (job.status, job.attempt, job.locked_by) == ("queued", 0, None)


def test_pauses_double_up_to_a_cap():
    for attempt, least in ((1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (100, 600)):
        assert least <= jobs.pause(attempt).total_seconds() <= least * 1.2


def test_there_is_one_open_job_per_deployment_and_the_index_says_so(queue):
    import peewee

    queue(1)
    with pytest.raises(peewee.IntegrityError):
        Job.create(deployment=1, reason="update")


def test_jobs_are_listed_by_status_and_deployment(queue, surface):
    queue(3)
    jobs.claim("w", now())

    def ids(**filters):
        return [job["id"] for job in surface("list-jobs", **filters).document]

    assert ids() == [1, 2, 3]
    assert ids(status="running") == [1]
    assert ids(deployment_id=2) == [2]
    assert ids(status="queued", limit=1, after=2) == [3]
    assert surface("list-jobs", status="odd").code in (422, 1)


@pytest.mark.slow
def test_threads_and_processes_claim_each_of_2000_jobs_once(queue, database_url):
    """8 threads here and 4 processes beside them, all on one queue."""
    queue(2000)
    claimed = []

    def claim_all(number):
        with session():
            while job := jobs.claim(f"thread-{number}", now()):
                claimed.append(job.id)
                assert jobs.finish(job)
        database.close()

    command = [sys.executable, "-c", CLAIM_ALL]
    children = [
        subprocess.Popen([*command, f"process-{n}"], stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    threads = [threading.Thread(target=claim_all, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0
        claimed += map(int, out.split())
    assert len(claimed) == 2000
    assert set(Counter(claimed).values()) == {1}
    assert Job.select().where(Job.status == "done", Job.attempt == 1).count() == 2000


@pytest.mark.slow
def test_parallel_writers_lose_nothing_that_was_acknowledged(settings, rest):
    """8 clients write at once; every 201 is there afterwards and no other answer came."""
    answers = []

    def write(number):
        for turn in range(25):
            answers.append(rest("create-user", email=f"u{turn}@{number}.example.org"))
            answers.append(rest("create-product", name=f"p{turn} of {number}"))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert Counter(answer.code for answer in answers) == {201: 400}
    users = {user["email"] for user in rest("list-users", after=0).document}
    assert len(users) == 200
    assert len(rest("list-products").document) == 200
