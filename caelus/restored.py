"""After a restore of an older database: what the cluster knows better is left as it is there.

Each deployment is marked, and before anything is done about it compared with the cluster. One that
the cluster has a newer generation of, or has no more, waits for a person's word.
"""

import logging

from caelus import deployments, events, fence, jobs, kubectl, releases
from caelus.causes import CODES, Cause
from caelus.database import database, is_postgres, session, transaction
from caelus.errors import Cancelled
from caelus.models import (
    DELETED,
    ERROR,
    MODELS,
    QUEUED,
    READY,
    Audit,
    Deployment,
    Event,
    LoginLink,
    Session,
    now,
)
from caelus.process import ToolError, Tools, reason
from caelus.releases import Release

log = logging.getLogger("caelus.restored")
NEWER, GONE = HELD = ("newer_in_cluster", "gone_from_cluster")  # codes of causes
SKIPPED_IDS = 1000  # which the lost database may have given out since the backup


def mark(told: str) -> int:
    """Make this a restored database; gives how many deployments are to be compared.

    The caller's transaction does all, or nothing. Who was logged in by a browser is so no more:
    they may have logged out since the backup.
    """
    marked = Deployment.update(restored_generation=Deployment.generation)
    count = marked.where(Deployment.status != DELETED).execute()
    Session.delete().execute()
    LoginLink.delete().execute()
    _skip_ids()
    events.record(None, "restored", told)
    return count


def _skip_ids() -> None:
    """Let no new row have the id of one that was lost: namespaces and people still know that."""
    for model in MODELS:
        if model in (Event, Audit):  # the chain knows no gap
            continue
        table = model._meta.table_name
        if is_postgres():
            sequence = f"pg_get_serial_sequence('{table}', 'id')"
            database.execute_sql(f"SELECT setval({sequence}, nextval({sequence}) + {SKIPPED_IDS})")
            continue
        query = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = ?"
        (last,) = database.execute_sql(query, (table,)).fetchone()
        database.execute_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        database.execute_sql(
            "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last + SKIPPED_IDS)
        )


def is_held(deployment: Deployment) -> bool:
    """Whether it waits for a person's word: an update, a retry or a deletion."""
    cause = deployment.cause
    return deployment.status == ERROR and cause is not None and cause["code"] in HELD


def verdict(deployment: Deployment, live: dict | None, release: Release | None) -> Cause | None:
    """Why nothing may be done about a marked deployment, or None if its work can go on.

    `live` is its namespace, None where there is none.
    """
    uid = deployment.deployment_uid
    ran = deployment.deleted_at is None and deployment.applied_template_id is not None
    if ran and (what := _gone(uid, live, release)):
        return _cause(GONE, uid, f"{what}, where it ran when the backup was made")
    if live is not None and _is_newer(deployment, live, release):
        return _newer(uid)
    return None


def _newer(uid: str) -> Cause:
    return _cause(NEWER, uid, f"the cluster has a newer state of {uid} than the database")


def _gone(uid: str, live: dict | None, release: Release | None) -> str | None:
    if live is None:
        return f"namespace {uid} is gone"
    if live["status"]["phase"] == "Terminating":
        return f"namespace {uid} is being deleted"
    if release is None:
        return f"release {uid} is gone"
    return f"release {uid} is being uninstalled" if release.status == "uninstalling" else None


def _is_newer(deployment: Deployment, live: dict, release: Release | None) -> bool:
    generation = fence.generation(live)
    if generation is not None:
        return generation > deployment.restored_generation
    # Fenced by an older Caelus, which left no generation there: then revisions must do.
    ours = max(deployment.applied_revision or 0, deployment.acting_revision or 0)
    return release is not None and (release.revision or 0) > ours


def _cause(code: str, uid: str, message: str) -> Cause:
    return Cause(code, f"Namespace {uid}", message, CODES[code][1].format(object=uid))


def tend(tools: Tools) -> bool:
    """As `settle`; False where the cluster can't be asked, which is logged."""
    try:
        settle(tools)
    except Cancelled:
        return True
    except ToolError as e:
        told = f"{e.detail}: {reason(e)}" if e.output else e.detail
        log.warning("what was restored can't be compared with the cluster yet: %s", told)
        return False
    return True


def settle(tools: Tools) -> int:
    """Compare all marked deployments with the cluster; gives how many are held for a person.

    By one helm and one kubectl, however many there are. Raises ToolError, and then all stay marked.
    """
    with session():
        marked = list(Deployment.select().where(Deployment.restored_generation.is_null(False)))
    if not marked:
        return 0
    found, fences = look(tools)
    held = 0
    for d in marked:
        uid = d.deployment_uid
        live = fences[uid][0] if uid in fences else None
        held += _settle_one(d.id, live, found.get(f"{uid}/{uid}"))
    log.info("%d deployments were compared after a restore, %d are held", len(marked), held)
    return held


def look(tools: Tools) -> tuple[dict[str, Release], dict[str, list[dict]]]:
    """All releases by `namespace/name`, and all fenced namespaces by name. Raises ToolError."""
    try:
        return releases.every(tools), kubectl.fences(tools)
    except (ValueError, KeyError, TypeError):
        raise ToolError("an answer of helm or kubectl can't be read") from None


def _settle_one(deployment_id: int, live: dict | None, release: Release | None) -> bool:
    with session(), transaction():
        deployments.lock(deployment_id)
        d = deployments.get_any(deployment_id)
        if d.restored_generation is None:  # another worker was quicker
            return False
        if cause := verdict(d, live, release):
            _hold(d, cause, live)
        elif d.status == READY and release and d.generation == d.restored_generation:
            # The same generation, that was applied once more since.
            Deployment.update(applied_revision=release.revision).where(
                Deployment.id == d.id, Deployment.applied_revision.is_null(False)
            ).execute()
        Deployment.update(restored_generation=None).where(Deployment.id == d.id).execute()
    return cause is not None


def hold_if_ahead(seen: Deployment, live: dict | None) -> bool:
    """Hold a deployment of which the cluster has a newer generation, as after a restore that nobody
    has told of; gives whether it has."""
    if live is None or (fence.generation(live) or 0) <= seen.generation:
        return False
    with session(), transaction():
        deployments.lock(seen.id)
        d = deployments.get_any(seen.id)
        if d.generation == seen.generation and jobs.open_job(d.id) is None:
            _hold(d, _newer(d.deployment_uid), live)
    return True


def _hold(d: Deployment, cause: Cause, live: dict | None) -> None:
    job = jobs.open_job(d.id)
    if job is not None and job.status == QUEUED:  # who runs one finds out by itself
        jobs.close(job)
    # What a person then asks for is newer than all that the cluster has.
    generation = max(d.generation, (live and fence.generation(live)) or 0)
    Deployment.update(
        status=ERROR,
        last_error=cause.message,
        cause=cause.document(),
        generation=generation,
        last_reconcile_at=now(),
    ).where(Deployment.id == d.id).execute()
    events.record(d.id, "failed", cause.message, cause.document())
    log.warning("deployment %d (%s): %s", d.id, d.deployment_uid, cause.message)
