"""Which kind of cluster a database's states are about: a real one or a simulated one, never both.

The mark is in the database, so a backup takes it along.
"""

from caelus.config import Config
from caelus.database import alone, database, session, transaction
from caelus.errors import ConfigError
from caelus.models import ClusterMark, Deployment

REAL = (
    "the database was used with a real cluster, and a simulation would write false states into it; "
    "set CAELUS_DATA_DIR to a new directory (and no CAELUS_DATABASE_URL), or run: caelus demo"
)
SIMULATED = (
    "the cluster of this database is simulated: its deployments run nowhere; go on with "
    "CAELUS_SIMULATE=1, or set CAELUS_DATA_DIR to another directory (and no CAELUS_DATABASE_URL)"
)


def refuse_other(config: Config) -> None:
    """Raise ConfigError where the database is bound to another kind of cluster than `config` says.

    Only reads, in the caller's session, a schema that may be older than this program's.
    """
    tables = database.get_tables()
    mark = ClusterMark.get_or_none() if ClusterMark._meta.table_name in tables else None
    used = "deployments" in tables and Deployment.select(Deployment.id).exists()
    if mark is not None and mark.is_simulated != config.simulate:
        raise ConfigError(SIMULATED if mark.is_simulated else REAL)
    if mark is None and config.simulate and used:
        raise ConfigError(REAL)  # made before there were marks, or only intended so far


def claim(config: Config) -> None:
    """Bind the database to the kind of cluster that `config` says, once and for all.

    Before anything asks that cluster. Raises ConfigError where it is bound to the other kind.
    """
    with session(), transaction():
        alone("cluster mark")
        refuse_other(config)
        if not ClusterMark.select().exists():
            ClusterMark.create(is_simulated=config.simulate)
