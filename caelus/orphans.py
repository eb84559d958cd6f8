"""Namespaces of Caelus that its database does not know, as after a restore of an older one: they
are listed, and can be adopted. Nothing here changes the cluster, and nothing deletes them.
"""

import datetime
from typing import NamedTuple

from caelus import deployments, events, secretvalues, templates, users, validation
from caelus.database import locked, unique
from caelus.errors import Conflict
from caelus.models import DELETED, ERROR, READY, Deployment, Template, now

_TAKEN = (
    "the domain {domain} or the namespace {uid} is another deployment's; delete that one first if "
    "it is gone from the cluster, or give another domain (--domainname)"
)
_HOST = {"type": "string", "format": "hostname"}


class Orphan(NamedTuple):
    """What the cluster tells of a namespace, each None where it does not: its release, and what
    Caelus has noted there of the deployment that it once was."""

    namespace: str
    phase: str
    created_at: datetime.datetime | None
    release_status: str | None
    revision: int | None
    chart: str | None
    deployment_id: int | None
    generation: int | None
    template_id: int | None
    domainname: str | None
    user_email: str | None


class Found(NamedTuple):
    """An orphan that is to be adopted: `values` are those of its release, secrets and all."""

    orphan: Orphan
    chart: str
    version: str
    values: dict


def listed() -> dict:
    """What `find` takes: all that Caelus has fenced. No transaction may be open."""
    from caelus import sightings  # most commands have no need of helm and kubectl

    return {"seen": sightings.every()}


def find(*, seen: list[Orphan]) -> list[Orphan]:
    """Those whose deployment is not in the database, or is closed there."""
    live = Deployment.select(Deployment.deployment_uid).where(Deployment.status != DELETED)
    known = {uid for (uid,) in live.tuples()}
    return sorted(orphan for orphan in seen if orphan.namespace not in known)


def looked_at(*, namespace: str, **fields) -> dict:
    """What `adopt` takes: `fields`, and what the cluster has. No transaction may be open.

    Raises NotFound for a namespace that is not Caelus's, Conflict for one without a release.
    """
    from caelus import sightings

    return fields | {"found": sightings.of(namespace)}


def adopt(
    *, found: Found, user_id: int, template_id: int, domainname: str | None = None
) -> Deployment:
    """Make a deployment of what runs there, without disturbing it.

    A record that was closed is opened again. Raises Conflict for a template that it can't be.
    """
    uid = found.orphan.namespace
    if found.orphan.phase == "Terminating":
        raise Conflict(f"namespace {uid} is being deleted: there is nothing to adopt")
    user, template = users.get_locked(user_id), templates.get_locked(template_id)
    _check_chart(found, template)
    deployment = _record(uid)
    deployment.user, deployment.desired_template = user, template
    deployment.domainname = deployments.domain(domainname or _domain(found.orphan))
    deployment.generation = max(deployment.generation, found.orphan.generation or 1)
    secretvalues.adopt(deployment, found.values)
    wanted = deployments.check_values(deployment)
    _set_state(deployment, found.orphan)
    with unique(_TAKEN.format(domain=deployment.domainname, uid=uid)):
        deployment.save(force_insert=deployment.id is None)
    events.record(deployment.id, "adopted", _told(uid, template, found.values, wanted))
    return deployments.get(user_id=user_id, deployment_id=deployment.id)


def _record(uid: str) -> Deployment:
    # Locked: of two who adopt it at once, one is to be refused.
    known = locked(Deployment.select().where(Deployment.deployment_uid == uid)).first()
    if known is None:
        return Deployment(deployment_uid=uid)
    if known.status != DELETED:
        raise Conflict(f"namespace {uid} is that of deployment {known.id}")
    known.user_values_json = known.secrets = known.deleted_at = None
    return known


def _set_state(deployment: Deployment, orphan: Orphan) -> None:
    is_well = orphan.release_status == "deployed"
    deployment.status = READY if is_well else ERROR
    deployment.applied_template = deployment.desired_template if is_well else None
    deployment.applied_revision = orphan.revision if is_well else None
    fault = f"the release was {orphan.release_status} when it was adopted"
    deployment.last_error = None if is_well else fault
    deployment.cause = deployment.acting_revision = deployment.restored_generation = None
    deployment.last_reconcile_at = now()


def _domain(orphan: Orphan) -> str:
    name = orphan.domainname or ""
    if validation.input_errors({"properties": {"domain": _HOST}}, {"domain": name}):
        uid = orphan.namespace
        raise Conflict(f"namespace {uid} does not say its domain; give it (--domainname)")
    return name


def _check_chart(found: Found, template: Template) -> None:
    """The next update would put another chart in its place, or an older one. (What is in a path
    on this machine, only helm knows.)"""
    ref, version = template.chart_ref, template.chart_version
    name = ref.rstrip("/").rpartition("/")[2]
    is_archive = name.endswith((".tgz", ".gz"))
    same = found.chart in name if is_archive else found.chart == name
    if "://" in ref and not (same and found.version.lstrip("v") == version.lstrip("v")):
        raise Conflict(
            f"release {found.orphan.namespace} is of chart {found.chart} {found.version}, "
            f"template {template.id} of {ref} {version}; name the template of what runs"
        )


def _told(uid: str, template: Template, has: dict, wanted: dict) -> str:
    told = f"adopted from namespace {uid} as template {template.id}"
    place = _difference(wanted, has)
    return told if place is None else f"{told}; the next update will change {place or '/'}"


def _difference(wanted, has, place: str = "") -> str | None:
    """The first place at which two documents differ."""
    if not (isinstance(wanted, dict) and isinstance(has, dict)):
        return None if wanted == has else place
    for key in [*wanted, *(key for key in has if key not in wanted)]:
        at = f"{place}/{key}"
        if key not in wanted or key not in has:
            return at
        if (below := _difference(wanted[key], has[key], at)) is not None:
            return below
    return None
