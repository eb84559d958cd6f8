"""Workers hear at once of what another process queued."""

import subprocess
import sys
import threading

from caelus import notices
from caelus.jobs import wakeup
from tests.program import wait_until

NEW = ["--user-id=1", "--desired-template-id=1", "--domainname=a.example.org"]


def test_a_job_of_another_process_wakes_this_one(shop):
    """SQLite's change counter and Postgres' NOTIFY, whichever the database has."""
    stop = threading.Event()
    thread = threading.Thread(target=notices.listen, args=(stop,))
    before = wakeup.count()
    thread.start()
    try:
        wait_until(lambda: wakeup.count() > before)  # it listens
        seen = wakeup.count()
        command = [sys.executable, "-m", "caelus", "create-deployment", *NEW]
        subprocess.run(command, check=True, capture_output=True)
        wait_until(lambda: wakeup.count() > seen)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
