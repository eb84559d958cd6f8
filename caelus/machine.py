"""The commands about the machine: serve, reconcile, migrate, ...; and how every command starts.

Written by hand, because they are not "document in, document out".
"""

import logging
import signal
import sys
import time

log = logging.getLogger("caelus.cli")
PATIENCE_SECONDS = 120  # for a namespace to go, of a command that somebody waits for

SERVE = """Serve the REST API, and reconcile, until told to stop.

Usage:
  caelus serve [--host=HOST] [--port=PORT] [--workers=N]

Options:
  --host=HOST  Address to listen on. [CAELUS_HOST, 127.0.0.1]
  --port=PORT  Port to listen on; 0 takes a free one. [CAELUS_PORT, 8000]
  --workers=N  Reconciler threads; 0 serves the API alone. [CAELUS_WORKERS, 2]

Example:
  caelus serve --port=8080
"""
RECONCILE = """Make the cluster agree with the database.

Without an id, work off every due job once and end.

Usage:
  caelus reconcile
  caelus reconcile DEPLOYMENT_ID
  caelus reconcile --watch

Options:
  --watch  Stay and work until told to stop; CAELUS_WORKERS jobs at a time.

Examples:
  caelus reconcile          work off what is due
  caelus reconcile 3        reconcile deployment 3 now; exit code 1 if that fails
  caelus reconcile --watch  be a worker beside `caelus serve --workers=0`
"""
MIGRATE = """Bring the database's schema up to date.

Usage:
  caelus migrate
"""
ROTATE_KEY = """Encrypt all secrets by a new key, and drop the old one.

With CAELUS_SECRET_KEY=NEW,OLD no key is made: all is encrypted by the first one, after which the
others can be taken out. Killed at any moment, it can be run again.

Usage:
  caelus rotate-key
"""
KUBE_RBAC = """Print the account that Caelus needs in the cluster, and how to use it.

Usage:
  caelus kube-rbac

Example:
  caelus kube-rbac | kubectl apply --filename -
"""
VERIFY_AUDIT = """Check that no event was changed or removed: each one is chained to the one before.

Exit code 1 if the chain is broken; `fault` then says where.

Usage:
  caelus verify-audit
"""
WELCOME = """There is no admin yet. Whoever opens this link within 30 minutes is the first:

  {url}

"""
EXPOSED = (
    "listening on %s without https: tokens can be read on the way. Put a proxy with TLS in front, "
    "and name it in CAELUS_TRUSTED_PROXIES or CAELUS_PUBLIC_URL"
)


def configure(**flags: str | None):
    """Settings and log of this process. The first thing that every command does."""
    from caelus import config, logs

    settings = config.load(**flags)
    logs.configure(settings.log_level)
    for warning in settings.warnings:
        log.warning(warning)
    return settings


def keep_postgres_drivers_out() -> None:
    """Importing peewee takes three times as long where it finds drivers that nobody needs."""
    from caelus import config

    if "peewee" not in sys.modules and config.database_url().startswith("sqlite:"):
        sys.modules.update(psycopg=None, psycopg2=None)


def open_database(config) -> None:
    """Connect; a new database gets its schema, any other must have this program's."""
    from caelus import migrate

    with _connected(config):
        migrate.require_current(config)


def upgrade_database(config) -> list[str]:
    """Connect, and bring the schema up to date; gives the migrations that were applied."""
    from caelus import migrate

    with _connected(config):
        return migrate.run(config)


def _connected(config):
    keep_postgres_drivers_out()
    from caelus import database

    database.make_directory(config.data_dir)
    database.connect(config)
    return database.session()


class Stop:
    """Set by SIGTERM and SIGINT, the second of which kills.

    Takes no lock: a signal may come while the very thread that it interrupts holds one.
    """

    def __init__(self):
        self._set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number, frame) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._set = True

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float = float("inf")) -> bool:
        """Sleep until set, at most `seconds`; gives whether it is set."""
        deadline = time.monotonic() + seconds
        while not self._set and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return self._set


def serve(words: dict) -> int:
    stop = Stop()
    config = configure(host=words["--host"], port=words["--port"], workers=words["--workers"])
    upgrade_database(config)
    from caelus.process import Tools
    from caelus.server import Server, is_exposed
    from caelus.worker import Workers

    server = Server(config)
    workers = Workers(config.workers, Tools(config, stop))
    workers.start()
    if is_exposed(config):
        log.warning(EXPOSED, config.host)
    _welcome(config, server.url)
    log.info("serving %s with %d reconciler threads", server.url, config.workers)
    server.run(stop)
    workers.stop()
    log.info("stopped")
    return 0


def _welcome(config, url: str) -> None:
    """Without an admin, print the link that makes the first one; never to the log."""
    from caelus import logins
    from caelus.database import session, transaction

    with session(), transaction():
        link = logins.create_first()
    if link is not None:
        sys.stdout.write(WELCOME.format(url=f"{config.public_url or url}/login/{link.code}"))
        sys.stdout.flush()


def reconcile(words: dict) -> int:
    stop = Stop()
    config = configure()
    open_database(config)
    from caelus.process import Tools

    tools = Tools(config, stop)
    if words["--watch"]:
        return _watch(config, tools)
    if words["DEPLOYMENT_ID"] is None:
        return _reconcile_due(tools)
    return _reconcile_one(words["DEPLOYMENT_ID"], tools)


def _watch(config, tools) -> int:
    from caelus.worker import Workers

    workers = Workers(max(1, config.workers), tools)
    workers.start()
    log.info("reconciling with %d threads", max(1, config.workers))
    tools.cancel.wait()
    workers.stop()
    return 0


def _reconcile_due(tools) -> int:
    from caelus import leases, schemas, yamltext
    from caelus import reconcile as reconciler
    from caelus.database import clock, session

    leases.recover()
    with session():
        started, outcomes = clock(), []
    while not tools.cancel.is_set():
        deployment = reconciler.run_due(leases.worker_name(), tools, started, PATIENCE_SECONDS)
        if deployment is None:
            break
        outcomes.append(schemas.outcome(deployment))
    yamltext.dump(outcomes, sys.stdout)
    return 0


def _reconcile_one(text: str, tools) -> int:
    from caelus import leases, schemas, yamltext
    from caelus import reconcile as reconciler
    from caelus.models import ERROR
    from caelus.operation import whole_id

    leases.recover()
    deployment_id = whole_id("deployment", text)
    deployment = reconciler.run_now(leases.worker_name(), tools, deployment_id, PATIENCE_SECONDS)
    yamltext.dump(schemas.outcome(deployment), sys.stdout)
    return 1 if deployment.status == ERROR or tools.cancel.is_set() else 0


def migrate(words: dict) -> int:
    from caelus import yamltext

    applied = upgrade_database(configure())
    from caelus.migrate import newest

    yamltext.dump({"schema": newest()[-1], "applied": applied}, sys.stdout)
    return 0


def rotate_key(words: dict) -> int:
    open_database(configure())
    from caelus import rotation, yamltext

    yamltext.dump(rotation.rotate(), sys.stdout)
    return 0


def kube_rbac(words: dict) -> int:
    configure()
    from caelus import rbac, yamltext

    sys.stdout.write("".join(f"# {line}".rstrip() + "\n" for line in rbac.GUIDE.splitlines()))
    for obj in rbac.objects():
        sys.stdout.write("---\n")
        yamltext.dump(obj, sys.stdout)
    return 0


def verify_audit(words: dict) -> int:
    open_database(configure())
    from caelus import audit, yamltext
    from caelus.database import session, transaction

    with session(), transaction():
        found = audit.verify()
    yamltext.dump(found, sys.stdout)
    return 0 if found["ok"] else 1


COMMANDS = {
    "serve": (SERVE, serve),
    "reconcile": (RECONCILE, reconcile),
    "migrate": (MIGRATE, migrate),
    "rotate-key": (ROTATE_KEY, rotate_key),
    "kube-rbac": (KUBE_RBAC, kube_rbac),
    "verify-audit": (VERIFY_AUDIT, verify_audit),
}
