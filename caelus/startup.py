"""How every command starts: its settings, its log, its database, and what tells it to stop."""

import logging
import signal
import sys
import time

log = logging.getLogger("caelus.cli")


def configure(**flags: str | None):
    """Settings and log of this process. The first thing that every command does."""
    from caelus import config, logs

    settings = config.load(**flags)
    logs.configure(settings.log_level, settings.log_format)
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
    if config.simulate:  # nothing simulated gets into what is not
        claim_database(config)


def upgrade_database(config) -> list[str]:
    """Connect, and bring the schema up to date; gives the migrations that were applied."""
    from caelus import migrate

    with _connected(config):
        return migrate.run(config)


def prepare_database(config) -> None:
    """As `upgrade_database`, for what will ask the cluster: not if another kind is meant."""
    from caelus import cluster_mark

    with _connected(config):
        cluster_mark.refuse_other(config)  # before its schema is another
    upgrade_database(config)
    require_whole_database()
    claim_database(config)


def require_whole_database() -> None:
    """Before a process that stays: see that nobody took a column or an index away."""
    from caelus import database, migrate

    with database.session():
        migrate.require_whole()


def claim_database(config) -> None:
    """Before anything asks the cluster: see that the database is about that kind of cluster."""
    from caelus import cluster_mark

    cluster_mark.claim(config)


def _connected(config):
    keep_postgres_drivers_out()
    from caelus import database

    database.make_directory(config.data_dir)
    database.connect(config)
    return database.session()


class Stop:
    """Set by SIGTERM, SIGINT and `others`, the second of which kills.

    Takes no lock: a signal may come while the very thread that it interrupts holds one.
    """

    def __init__(self, *others: signal.Signals):
        from caelus import supervision

        self._set = False
        for number in (signal.SIGTERM, signal.SIGINT, *others):
            signal.signal(number, self._handle)
        supervision.end_with_loader()

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
