"""The objects of a simulated cluster, in a SQLite file in the data directory.

So the next start finds the same cluster, other processes see it, and a kill leaves no half of a
change. Values are not kept: of them only what `simulated_charts` makes of them.
"""

import contextlib
import copy
import datetime
import json
import os
import pathlib
import sqlite3
import uuid
from collections.abc import Iterator

SCHEMA = """CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
)"""
WAIT_SECONDS = 30
GOING_SECONDS = 2.5  # from a namespace's deletion to its end
STUCK_SECONDS = 120  # where something in it is stuck
STUCK = "simulator/stuck"  # an annotation of a namespace
HELD = {
    "type": "NamespaceFinalizersRemaining",
    "status": "True",
    "message": "Some content in the namespace has finalizers remaining: "
    "simulator/stuck in 1 resource instances",
}


class Refused(Exception):
    """What is asked can't be done; its text is what helm or kubectl says."""


class Cluster:
    """What is in the file, within one transaction, at one moment."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        self.at = datetime.datetime.now(datetime.UTC)
        self._over = {n["metadata"]["name"] for n in self._rows("Namespace") if self._is_over(n)}

    def every(self, kind: str, namespace: str | None = None) -> list[dict]:
        """Those in `namespace`, or in all."""
        found = self._rows(kind, namespace)
        return [obj for obj in found if _home(*_key(obj)) not in self._over]

    def find(self, kind: str, namespace: str, name: str) -> dict | None:
        if _home(kind, namespace, name) in self._over:
            return None
        query = "SELECT document FROM objects WHERE kind = ? AND namespace = ? AND name = ?"
        row = self._connection.execute(query, (kind, namespace, name)).fetchone()
        return row and json.loads(row[0])

    def put(self, obj: dict) -> dict:
        """Write `obj`, with what a server gives to each; gives it as it is then."""
        metadata = obj["metadata"]
        was = self.find(*_key(obj)) or {"metadata": {}}
        version = int(was["metadata"].get("resourceVersion", "0")) + 1
        own = {
            "uid": was["metadata"].get("uid") or str(uuid.uuid4()),
            "creationTimestamp": was["metadata"].get("creationTimestamp") or stamp(self.at),
            "resourceVersion": str(version),
        }
        stored = obj | {"metadata": metadata | own}
        query = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)"
        self._connection.execute(query, (*_key(obj), json.dumps(stored)))
        return stored

    def remove(self, kind: str, namespace: str, name: str) -> bool:
        """Whether there was such an object."""
        if kind == "Namespace":
            return self._end_namespace(name)
        query = "DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?"
        return self._connection.execute(query, (kind, namespace, name)).rowcount > 0

    def _end_namespace(self, name: str) -> bool:
        namespace = self.find("Namespace", "", name)
        if namespace is None:
            return False
        if "deletionTimestamp" not in namespace["metadata"]:
            self._connection.execute("DELETE FROM objects WHERE namespace = ?", (name,))
            namespace["metadata"]["deletionTimestamp"] = stamp(self.at)
            is_stuck = STUCK in (namespace["metadata"].get("annotations") or {})
            held = [HELD] if is_stuck else []
            self.put(namespace | {"status": {"phase": "Terminating", "conditions": held}})
        return True

    def sweep(self) -> None:
        """Drop the namespaces whose end has come."""
        for name in self._over:
            query = "DELETE FROM objects WHERE namespace = ? OR (kind = 'Namespace' AND name = ?)"
            self._connection.execute(query, (name, name))
        self._over = set()

    def _rows(self, kind: str, namespace: str | None = None) -> list[dict]:
        query, given = "SELECT document FROM objects WHERE kind = ?", [kind]
        if namespace is not None:
            query, given = f"{query} AND namespace = ?", [kind, namespace]
        rows = self._connection.execute(f"{query} ORDER BY namespace, name", given)
        return [json.loads(document) for (document,) in rows.fetchall()]

    def _is_over(self, namespace: dict) -> bool:
        begun = namespace["metadata"].get("deletionTimestamp")
        held = (namespace.get("status") or {}).get("conditions")
        seconds = STUCK_SECONDS if held else GOING_SECONDS
        return begun is not None and age(begun, self.at) > seconds


def _home(kind: str, namespace: str, name: str) -> str:
    """The namespace that an object is in, or is."""
    return name if kind == "Namespace" else namespace


def _key(obj: dict) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


@contextlib.contextmanager
def changing(file: pathlib.Path) -> Iterator[Cluster]:
    """The cluster in `file`, to be changed: all of it or nothing. Made where there is none."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():  # to close it ends the locks that SQLite has on it in this process
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    with contextlib.closing(_connected(str(file))) as connection:
        connection.execute("BEGIN IMMEDIATE")  # what is not committed goes with the connection
        connection.execute(SCHEMA)
        cluster = Cluster(connection)
        cluster.sweep()
        yield cluster
        connection.execute("COMMIT")


@contextlib.contextmanager
def reading(file: pathlib.Path) -> Iterator[Cluster]:
    """The same, not to be changed; an empty one where there is none."""
    # rw, not ro: what a kill left half-done must be undone before it can be read.
    place = f"{file.absolute().as_uri()}?mode=rw" if file.exists() else ":memory:"
    with contextlib.ExitStack() as open_ones:
        connection = open_ones.enter_context(contextlib.closing(_connected(place)))
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            connection = open_ones.enter_context(contextlib.closing(_connected(":memory:")))
            connection.execute(SCHEMA)
        connection.execute("BEGIN")
        yield Cluster(connection)


def _connected(place: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        place, timeout=WAIT_SECONDS, isolation_level=None, uri=place.startswith("file:")
    )
    connection.execute("PRAGMA secure_delete = 1")
    return connection


# Words that every module of the simulation needs


def stamp(at: datetime.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def age(text: str, at: datetime.datetime) -> float:
    """Seconds since a time stamp."""
    return (at - moment(text)).total_seconds()


def merged(below, above):
    """`above` laid over `below`: maps by key, anything else replaces."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
