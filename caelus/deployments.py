"""Deployments: what each user wants to run. Only intent is written here; `reconcile` acts on it."""

import functools
import operator
import re
import string

import peewee

from caelus import config, events, jobs, products, secretvalues, templates, users, values
from caelus.database import locked, page, unique
from caelus.errors import Busy, Conflict, Invalid, NotFound
from caelus.models import (
    DELETED,
    DELETING,
    ERROR,
    KEEP,
    PROVISIONING,
    RUNNING,
    Deployment,
    Event,
    Job,
    Product,
    Template,
    User,
    now,
)
from caelus.prepared import insert, prepared

_TAIL = string.digits + string.ascii_lowercase
Desired = Template.alias("desired")
Applied = Template.alias("applied")


def create(
    *,
    user_id: int,
    desired_template_id: int,
    domainname: str,
    user_values_json: dict | None = None,
) -> Deployment:
    user = users.get_locked(user_id)
    template = templates.get_locked(desired_template_id)
    deployment = Deployment(
        user=user,
        desired_template=template,
        domainname=domain(domainname),
        deployment_uid=new_uid(template.product.name, user.email),
        status=PROVISIONING,
    )
    secretvalues.assign(deployment, user_values_json)
    with _free(deployment.domainname):
        insert(deployment)
    check_values(deployment)
    deployment.open_job = jobs.first(deployment.id)
    events.record(deployment.id, "created", f"created from template {template.id}")
    return deployment


def find(
    *,
    user_id: int,
    status: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    after: int | None = None,
) -> list[Deployment]:
    """Those of one user; the deleted ones only where `status` asks for them.

    With `search` in the domain or the product's name, whatever its case.
    """
    users.get(user_id=user_id)
    wanted = {"user_id": user_id, "status": status, "product_id": None}
    wanted |= {"limit": limit, "after": after}
    if search is None:
        return _page.all(**wanted)
    text = search.casefold()
    named = Product.id.in_(products.ids_named(text))
    return list(_page.query(**wanted).where(Deployment.domainname.contains(text) | named))


def find_all(
    *,
    status: str | None = None,
    product_id: int | None = None,
    search: str | None = None,
    limit: int | None = None,
    after: int | None = None,
) -> list[Deployment]:
    """Those of all users; the deleted ones only where `status` asks for them.

    With `search` in the domain, the uid or the owner's e-mail, whatever its case.
    """
    wanted = {"user_id": None, "status": status, "product_id": product_id}
    wanted |= {"limit": limit, "after": after}
    if search is None:
        return _page.all(**wanted)
    return list(_page.query(**wanted).where(_has(search.casefold())))


def _has(text: str):
    """All three columns are in one case."""
    columns = (Deployment.domainname, Deployment.deployment_uid, User.email_key)
    return functools.reduce(operator.or_, (column.contains(text) for column in columns))


def get(*, user_id: int, deployment_id: int) -> Deployment:
    """The user's deployment, a deleted one too, with its user and templates loaded."""
    return _found(_one.first(id=deployment_id, user_id=user_id), deployment_id)


def get_any(deployment_id: int) -> Deployment:
    """The deployment, whoever's it is, with its user and templates loaded."""
    return _found(_one.first(id=deployment_id, user_id=None), deployment_id)


def lock(deployment_id: int, user_id: int | None = None) -> None:
    """Keep the deployment, and so its jobs, from being changed until the transaction ends.

    With `user_id`, only that user's is found.
    """
    _found(_locked.first(id=deployment_id, user_id=user_id), deployment_id)


def update(
    *,
    user_id: int,
    deployment_id: int,
    desired_template_id: int | None = None,
    domainname: str | None = None,
    user_values_json=KEEP,
) -> Deployment:
    if desired_template_id is None and domainname is None and user_values_json is KEEP:
        raise Invalid(("desired_template_id", "or domainname or user_values_json must be given"))
    lock(deployment_id, user_id)
    deployment = get(user_id=user_id, deployment_id=deployment_id)
    if deployment.deleted_at is not None:
        state = "deleted" if deployment.status == DELETED else "being deleted"
        raise Conflict(f"deployment {deployment_id} is {state}: it can't be updated")
    if desired_template_id is not None:
        deployment.desired_template = _upgrade(deployment, desired_template_id)
    if domainname is not None:
        deployment.domainname = domain(domainname)
    if user_values_json is KEEP:
        user_values_json = deployment.user_values_json
    secretvalues.assign(deployment, user_values_json)
    deployment.status = PROVISIONING
    deployment.generation += 1
    deployment.last_error = deployment.cause = None
    with _free(deployment.domainname):
        deployment.save()
    check_values(deployment)  # after the domain: who types one is told of it first
    jobs.enqueue(deployment_id, "update")
    events.record(deployment_id, "updated", f"changed to generation {deployment.generation}")
    return get(user_id=user_id, deployment_id=deployment_id)


def delete(*, user_id: int, deployment_id: int) -> Deployment:
    """Ask for the deployment to be removed; once asked, asking again changes nothing."""
    lock(deployment_id, user_id)
    deployment = get(user_id=user_id, deployment_id=deployment_id)
    if deployment.deleted_at is not None:
        return deployment
    jobs.enqueue(deployment_id, "delete")
    events.record(deployment_id, "delete_requested", "asked to be deleted")
    deployment.status = DELETING
    deployment.deleted_at = now()
    deployment.generation += 1
    deployment.save()
    return get(user_id=user_id, deployment_id=deployment_id)


def retry(*, user_id: int, deployment_id: int) -> Deployment:
    """Let a failed deployment be tried again at once. Raises Conflict where nothing failed."""
    lock(deployment_id, user_id)
    deployment = get(user_id=user_id, deployment_id=deployment_id)
    job = jobs.open_job(deployment_id)
    if job is not None and jobs.waits_for_retry(job):
        jobs.hurry(job)
    elif job is None and deployment.status != ERROR:
        raise Conflict(f"deployment {deployment_id} is {deployment.status}: nothing to retry")
    else:
        jobs.enqueue(deployment_id, reason_to_run(deployment))
    deployment.status = PROVISIONING if deployment.deleted_at is None else DELETING
    deployment.save()
    events.record(deployment_id, "retry_requested", "asked to be tried again now")
    return get(user_id=user_id, deployment_id=deployment_id)


def forget(*, user_id: int, deployment_id: int) -> Deployment:
    """Close the record of a deployment whose cluster is gone; nothing is done to any cluster.

    Raises Busy while a job is running.
    """
    lock(deployment_id, user_id)
    deployment = get(user_id=user_id, deployment_id=deployment_id)
    if deployment.status == DELETED:
        return deployment
    job = jobs.open_job(deployment_id)
    if job is not None and job.status == RUNNING:
        raise Busy()
    if job is not None:
        jobs.close(job)
    deployment.status = DELETED
    deployment.deleted_at = deployment.deleted_at or now()
    deployment.save()
    events.record(deployment_id, "forgotten", "closed without touching the cluster")
    return get(user_id=user_id, deployment_id=deployment_id)


def find_events(
    *,
    user_id: int,
    deployment_id: int,
    type: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    before: int | None = None,
) -> list[Event]:
    """What happened to the deployment, newest first; see events.find."""
    get(user_id=user_id, deployment_id=deployment_id)
    return events.find(deployment_id, type=type, search=search, limit=limit, before=before)


def reveal_secrets(*, user_id: int, deployment_id: int) -> secretvalues.Revealed:
    """The deployment's own secrets, not those of its template, which are for all alike."""
    deployment = get(user_id=user_id, deployment_id=deployment_id)
    secrets = secretvalues.secrets_of(deployment)
    events.record(deployment_id, "secrets_revealed", "the deployment's secrets were shown")
    return secretvalues.Revealed(deployment_id, secrets.generated | secrets.given)


def reason_to_run(deployment: Deployment) -> str:
    """The reason for a job that no change of the deployment calls for."""
    if deployment.deleted_at is not None:
        return "delete"
    return "create" if deployment.applied_template_id is None else "update"


def check_values(deployment: Deployment) -> dict:
    """The final values for helm, secrets and all.

    Raises Conflict where the template does not take them, SecretKeyError.
    """
    template = deployment.desired_template
    defaults, user_values = secretvalues.plain_values(deployment)
    values.check_user_values(template.values_schema_json, user_values)
    values.check_user_text(template.capabilities_json, user_values)
    facts = {
        "domainname": deployment.domainname,
        "deployment_uid": deployment.deployment_uid,
        "user": {"email": deployment.user.email, "id": deployment.user.id},
        "product": {"name": template.product.name},
    }
    return values.final_values(
        defaults, template.values_schema_json, template.capabilities_json, user_values, facts
    )


def domain(name: str) -> str:
    """The domain in lower case. Raises Conflict for Caelus' own, whose cookies it would get."""
    lower = name.lower()
    if lower in config.own_hosts():
        raise Conflict(f"the domain {lower} is Caelus' own")
    return lower


def new_uid(product_name: str, email: str) -> str:
    """A new name for release and namespace: at most 53 characters, which is Helm's limit."""
    import secrets  # it loads OpenSSL, which only this needs

    slugs = "-".join(filter(None, (_slug(product_name), _slug(email))))
    number = secrets.randbelow(len(_TAIL) ** 6)  # at once: each is a call of the system
    tail = "".join(_TAIL[number // len(_TAIL) ** place % len(_TAIL)] for place in range(6))
    return f"{slugs[:46].rstrip('-') or 'dep'}-{tail}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _free(domainname: str):
    return unique(f"the domain {domainname} is taken by another deployment")


def _upgrade(deployment: Deployment, template_id: int) -> Template:
    present = deployment.desired_template
    template = templates.get_locked(template_id)
    if template.product_id != present.product_id:
        raise Conflict(
            f"template {template_id} belongs to product {template.product_id}, "
            f"the deployment to product {present.product_id}"
        )
    if template_id <= present.id:
        raise Conflict(
            f"template {template_id} is not newer than the deployment's template {present.id}; "
            "leave it out to change the values or the domain"
        )
    return template


def _of(query, user_id):
    return query if user_id is None else query.where(Deployment.user == user_id)


@prepared
def _locked(id, user_id):
    return locked(_of(Deployment.select(Deployment.id).where(Deployment.id == id), user_id))


@prepared
def _one(id, user_id):
    return _of(_whole().where(Deployment.id == id), user_id)


@prepared
def _page(user_id, status, product_id, limit, after):
    wanted = Deployment.status != DELETED if status is None else Deployment.status == status
    query = _of(_whole().where(wanted), user_id)
    if product_id is not None:
        query = query.where(Product.id == product_id)
    return page(query, limit, after)


def _whole():
    """Deployments with user, templates, product and open job in one query."""
    is_open = (Job.deployment == Deployment.id) & Job.status.in_(jobs.OPEN)
    job = (Job.reason, Job.status, Job.attempt, Job.run_after)
    return (
        Deployment.select(Deployment, User, Desired, Applied, Product, *job)
        .join_from(Deployment, User)
        .join_from(Deployment, Desired, on=Deployment.desired_template, attr="desired_template")
        .join_from(Desired, Product, on=Desired.product, attr="product")
        .join_from(
            Deployment,
            Applied,
            peewee.JOIN.LEFT_OUTER,
            on=Deployment.applied_template,
            attr="applied_template",
        )
        .join_from(Deployment, Job, peewee.JOIN.LEFT_OUTER, on=is_open, attr="open_job")
    )


def _found(deployment: Deployment | None, deployment_id: int) -> Deployment:
    if deployment is None:
        raise NotFound(f"deployment {deployment_id} not found")
    return deployment
