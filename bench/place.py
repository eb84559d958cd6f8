"""Where it is measured: throw-away databases of both kinds, filled, and programs beside them."""

import contextlib
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

from caelus import config, database, startup
from caelus.models import READY, Deployment, Job, Product, Template, User
from tests import admin
from tests.postgres import find_postgres, private_postgres

ROOT = pathlib.Path(__file__).parent.parent
MADE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
CHUNK = 500  # rows in one INSERT: SQLite takes 32,766 parameters
OWN = 50  # deployments of the user whose list is measured
OWNER = 1
SCHEMA = {"properties": {"user": {"properties": {"size": {"type": "integer", "default": 1}}}}}
DEFAULTS = {"ingress": {"enabled": True, "hosts": [{"host": "", "paths": [{"path": "/"}]}]}}
CAPABILITIES = {"bindings": {"/ingress/hosts/0/host": "${domainname}"}}


@contextlib.contextmanager
def databases(*kinds: str):
    """URLs of new, empty databases, by kind; Postgres only where the machine has it."""
    with tempfile.TemporaryDirectory(prefix="caelus-bench-") as home, contextlib.ExitStack() as up:
        urls = {}
        if "sqlite" in kinds:
            urls["sqlite"] = f"sqlite:///{home}/caelus.db"
        if "postgres" in kinds and find_postgres():
            urls["postgres"] = up.enter_context(private_postgres())
        yield urls


@contextlib.contextmanager
def settings(url: str, **more: str):
    """This process set up for a database with its schema; the settings are the environment's."""
    with tempfile.TemporaryDirectory(prefix="caelus-bench-") as home:
        given = {"CAELUS_DATABASE_URL": url, "CAELUS_DATA_DIR": home, "CAELUS_LOG_LEVEL": "ERROR"}
        os.environ.update(given | more)
        loaded = config.load()
        startup.upgrade_database(loaded)
        with database.session():
            for row in admin.ROWS:
                database.database.execute_sql(row)
        yield loaded
        with database.session():
            database.database.close()


def fill(count: int) -> None:
    """`count` users and ready deployments with a closed job each, of 20 products."""
    with database.session(), database.transaction():
        _insert(User, ((f"user{n}@example.org",) * 2 for n in range(1, count + 1)))
        for n in range(1, 21):
            product = Product.create(name=f"Product {n}", description="One of twenty")
            template = Template.create(
                product=product,
                chart_ref="oci://registry.example.org/charts/app",
                chart_version="1.0.0",
                default_values_json=DEFAULTS,
                values_schema_json=SCHEMA,
                capabilities_json=CAPABILITIES,
            )
            product.template_id = template.id
            product.save()
        _insert(Deployment, (_deployment(n) for n in range(1, count + 1)))
        _insert(Job, ((n, "create", "done", MADE, 1, MADE) for n in range(1, count + 1)))


def _deployment(n: int) -> tuple:
    owner = OWNER if n <= OWN else n
    uid, template = f"product-user{n}-abc{n % 1000:03}", n % 20 + 1
    return owner, template, template, f"d{n}.example.org", {"size": 2}, uid, READY, 1, MADE, MADE


FIELDS = {
    User: (User.email, User.email_key),
    Deployment: (
        Deployment.user,
        Deployment.desired_template,
        Deployment.applied_template,
        Deployment.domainname,
        Deployment.user_values_json,
        Deployment.deployment_uid,
        Deployment.status,
        Deployment.applied_revision,
        Deployment.last_reconcile_at,
        Deployment.compared_at,
    ),
    Job: (Job.deployment, Job.reason, Job.status, Job.run_after, Job.attempt, Job.updated_at),
}


def _insert(model, rows) -> None:
    rows = list(rows)
    for start in range(0, len(rows), CHUNK):
        model.insert_many(rows[start : start + CHUNK], fields=FIELDS[model]).execute()


@contextlib.contextmanager
def serving(*argv: str):
    """A child process that says `serving URL`, with the settings of this one; gives URL and pid."""
    child = subprocess.Popen(
        [sys.executable, "-m", *argv],
        env=os.environ | {"CAELUS_LOG_LEVEL": "INFO", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield _url(child), child.pid
    finally:
        child.terminate()
        child.wait(40)


def _url(child: subprocess.Popen) -> str:
    for line in child.stderr:
        if "serving http" in line:
            # What it goes on to say must not fill the pipe.
            threading.Thread(target=child.stderr.read, daemon=True).start()
            return line.partition("serving ")[2].split()[0]
    raise RuntimeError("the server did not start")


def computed(pid: int) -> float:
    """Milliseconds that the threads of a process have computed so far; 0 where none can say."""
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6


def resident(pid: int) -> float:
    """MB of memory that a process has resident."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000
