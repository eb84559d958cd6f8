"""The commands that go on working: serve, reconcile."""

import logging
import sys

from caelus import tracing
from caelus.startup import (
    Stop,
    claim_database,
    configure,
    open_database,
    prepare_database,
    require_whole_database,
)

log = logging.getLogger("caelus.cli")
PATIENCE_SECONDS = 120  # for a namespace to go, of a command that somebody waits for

SERVE = """Serve the REST API, and reconcile, until told to stop.

Usage:
  caelus serve [--host=HOST] [--port=PORT] [--workers=N] [--simulate]
         [--backup-dir=DIR] [--every=TIME] [--keep=N]

Options:
  --host=HOST       Address to listen on. [CAELUS_HOST, 127.0.0.1]
  --port=PORT       Port to listen on; 0 takes a free one. [CAELUS_PORT, 8000]
  --workers=N       Reconciler threads; 0 serves the API alone. [CAELUS_WORKERS, 2]
  --simulate        Simulate the cluster; for a new database. [CAELUS_SIMULATE]
  --backup-dir=DIR  Back the SQLite database up there, by and by. [CAELUS_BACKUP_DIR]
  --every=TIME      Once in 30m, 24h, 7d. [CAELUS_BACKUP_EVERY, 24h]
  --keep=N          Keep that many backups. [CAELUS_BACKUP_KEEP, 14]

Examples:
  caelus serve --port=8080
  caelus serve --backup-dir=/var/backups/caelus --every=12h --keep=28
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
WELCOME = """There is no admin yet. Whoever opens this link within 30 minutes is the first:

  {url}

"""
EXPOSED = (
    "listening on %s without https: tokens can be read on the way. Put a proxy with TLS in front, "
    "and name it in CAELUS_TRUSTED_PROXIES or CAELUS_PUBLIC_URL"
)


def serve(words: dict) -> int:
    from caelus import config as settings

    stop = Stop()
    flags = {name: words[f"--{name}"] for name in ("host", "port", "workers", "backup-dir")}
    flags |= {"backup_every": words["--every"], "backup_keep": words["--keep"]}
    flags["backup_dir"] = flags.pop("backup-dir")
    if words["--simulate"]:
        settings.assume(CAELUS_SIMULATE="1")  # so that all that reads settings knows
    config = configure(**flags)
    _refuse_backups_of_postgres(config)
    prepare_database(config)
    _warn_of_lost_key()
    from caelus.server import Server

    server = Server(config)
    # Login links are made by them, and may be asked for by a page.
    settings.assume(CAELUS_HOST=config.host, CAELUS_PORT=str(server.port))
    return run(config, stop, server, lambda: _welcome(config, server.url))


def run(config, stop, server, welcome) -> int:
    """Serve and reconcile until `stop` is set; `welcome()` is called once all is there."""
    tracing.start(None)  # what is done from now on is not for this command
    from caelus import database, supervision
    from caelus.process import Tools
    from caelus.worker import Workers

    workers = Workers(config.workers, Tools(config, stop))
    _settle()
    workers.start()
    try:
        if config.is_exposed:
            log.warning(EXPOSED, config.host)
        if config.simulate:
            log.warning("the cluster is simulated: what is deployed runs nowhere")
        welcome()
        log.info("serving %s with %d reconciler threads", server.url, config.workers)
        supervision.tell("READY=1", f"STATUS=serving {server.url}")
        server.run(stop)
    finally:  # where it can't so much as greet: what the workers do is ended well, too
        stop.set()
        workers.stop()
        database.end()
    log.info("stopped")
    return 0


def _settle() -> None:
    """Do now what requests would else wait for: loading jsonschema, going through all garbage."""
    import gc

    from caelus import validation

    validation.input_formats()
    gc.collect()
    gc.freeze()  # what is there by now stays: it need not be looked through again


def _refuse_backups_of_postgres(config) -> None:
    if config.backup_dir and not config.is_sqlite:
        from caelus.errors import ConfigError

        raise ConfigError(
            "CAELUS_BACKUP_DIR is for SQLite; have pg_dump back Postgres up (caelus help backup)"
        )


def _warn_of_lost_key() -> None:
    """Only that: what has no secrets goes on, and what has some can be deleted."""
    from caelus import secretvalues
    from caelus.database import session
    from caelus.errors import SecretKeyError

    try:
        with session():
            secretvalues.check_keys()
    except SecretKeyError as e:
        log.warning("%s; no secret is stored meanwhile", e.detail)


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
    if words["--watch"]:
        _refuse_backups_of_postgres(config)
    open_database(config)
    require_whole_database()
    claim_database(config)
    _warn_of_lost_key()
    from caelus.process import Tools

    tools = Tools(config, stop)
    if words["--watch"]:
        return _watch(config, tools)
    if words["DEPLOYMENT_ID"] is None:
        return _reconcile_due(tools)
    return _reconcile_one(words["DEPLOYMENT_ID"], tools)


def _watch(config, tools) -> int:
    from caelus.worker import Workers

    tracing.start(None)
    workers = Workers(max(1, config.workers), tools)
    workers.start()
    log.info("reconciling with %d threads", max(1, config.workers))
    tools.cancel.wait()
    workers.stop()
    return 0


def _reconcile_due(tools) -> int:
    from caelus import documents, leases, yamltext
    from caelus import reconcile as reconciler
    from caelus.database import clock, session

    leases.recover()
    with session():
        started, outcomes = clock(), []
    while not tools.cancel.is_set():
        run_due = tracing.carried(reconciler.run_due)
        deployment = run_due(leases.worker_name(), tools, started, PATIENCE_SECONDS)
        if deployment is None:
            break
        outcomes.append(documents.outcome(deployment))
    yamltext.dump(outcomes, sys.stdout)
    return 0


def _reconcile_one(text: str, tools) -> int:
    from caelus import documents, leases, yamltext
    from caelus import reconcile as reconciler
    from caelus.models import ERROR
    from caelus.operation import whole_id

    leases.recover()
    deployment_id = whole_id("deployment", text)
    deployment = reconciler.run_now(leases.worker_name(), tools, deployment_id, PATIENCE_SECONDS)
    yamltext.dump(documents.outcome(deployment), sys.stdout)
    return 1 if deployment.status == ERROR or tools.cancel.is_set() else 0


COMMANDS = {"serve": (SERVE, serve), "reconcile": (RECONCILE, reconcile)}
