"""What comes out: how rows become the documents that REST and CLI show.

A row that a query has not loaded is never touched: no query per row.
"""

import datetime

from caelus import config
from caelus.models import Deployment, Event, Job, LoginLink, Product, Template, Token, User
from caelus.orphans import Orphan


def user(row: User) -> dict:
    return {
        "id": row.id,
        "email": row.email,
        "is_admin": row.is_admin,
        "created_at": time(row.created_at),
    }


def product(row: Product) -> dict:
    return listed_product(row) | {"icon": row.icon and row.icon.uri}


def listed_product(row: Product) -> dict:
    """Without its icon: those of 500 would be 20 MB."""
    canonical = getattr(row, "canonical", None)
    return _product(row) | {"template": canonical and _template(canonical, row)}


def template(row: Template) -> dict:
    return _template(row, row.product)


def deployment(row: Deployment) -> dict:
    product = row.desired_template.product
    applied = row.applied_template
    return {
        "id": row.id,
        "user_id": row.user_id,
        "desired_template_id": row.desired_template_id,
        "applied_template_id": row.applied_template_id,
        "applied_revision": row.applied_revision,
        "domainname": row.domainname,
        "user_values_json": row.user_values_json,
        "deployment_uid": row.deployment_uid,
        "status": row.status,
        "generation": row.generation,
        "last_error": row.last_error,
        "cause": row.cause,
        "open_job": _open_job(getattr(row, "open_job", None)),
        "last_reconcile_at": time(row.last_reconcile_at),
        "created_at": time(row.created_at),
        "deleted_at": time(row.deleted_at),
        "user": user(row.user),
        "desired_template": _template(row.desired_template, product),
        "applied_template": applied and _template(applied, product),
    }


def _open_job(row: Job | None) -> dict | None:
    """What a deployment's owner sees of its job."""
    return row and {
        "reason": row.reason,
        "status": row.status,
        "attempt": row.attempt,
        "run_after": time(row.run_after),
    }


def job(row: Job) -> dict:
    return {
        "id": row.id,
        "deployment_id": row.deployment_id,
        "deployment": {
            "id": row.deployment_id,
            "user_id": row.deployment.user_id,
            "domainname": row.deployment.domainname,
            "status": row.deployment.status,
        },
        "reason": row.reason,
        "status": row.status,
        "run_after": time(row.run_after),
        "attempt": row.attempt,
        "locked_by": row.locked_by,
        "locked_at": time(row.locked_at),
        "lease_until": time(row.lease_until),
        "last_error": row.last_error,
        "cause": row.cause,
        "request_id": row.request_id,
        "created_at": time(row.created_at),
        "updated_at": time(row.updated_at),
    }


def event(row: Event) -> dict:
    return {
        "id": row.id,
        "deployment_id": row.deployment_id,
        "type": row.type,
        "actor": row.actor,
        "message": row.message,
        "cause": row.cause,
        "created_at": time(row.created_at),
    }


def secrets(row) -> dict:
    """Of a deployment; `row` has `deployment_id` and the values by their places."""
    values = dict(sorted(row.secrets.items()))
    return {"id": row.deployment_id, "deployment_id": row.deployment_id, "secrets": values}


def audit_event(row: Event) -> dict:
    """What admins see of an event."""
    return event(row) | {"token": row.token, "address": row.address, "hash": row.hash}


def token(row: Token) -> dict:
    return {
        "id": row.id,
        "user_id": row.user_id,
        "name": row.name,
        "created_at": time(row.created_at),
        "last_used_at": time(row.last_used_at),
        "expires_at": time(row.expires_at),
    }


def new_token(row: Token) -> dict:
    """A token with its text, which is never shown again."""
    return token(row) | {"token": row.text}


def login_link(row: LoginLink) -> dict:
    return {
        "id": row.id,
        "user_id": row.user_id,
        "url": f"{config.load().base_url}/login/{row.code}",
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
    }


def resources(row) -> dict:
    """Of a deployment; `row` is a `resources.Resources`."""
    parts = {
        name: [_told(one) for one in getattr(row, name)]
        for name in ("pods", "claims", "services", "ingresses")
    }
    for pod in parts["pods"]:
        pod["containers"] = [container._asdict() for container in pod["containers"]]
    return {"id": row.deployment_id} | row._asdict() | parts


def _told(row) -> dict:
    return row._asdict() | {"created_at": time(row.created_at)}


def logs(row) -> dict:
    """Of a deployment; `row` is a `podlogs.Logs`."""
    lines = [line._asdict() | {"time": time(line.time)} for line in row.lines]
    return {"id": row.deployment_id} | row._asdict() | {"lines": lines}


def overview(row) -> dict:
    """Of all that there is; `row` is an `overview.Overview`."""
    return {
        "users": row.users,
        "products": row.products,
        "templates": row.templates,
        "deployments": row.deployments,
        "jobs": row.jobs,
        "queue_age_sec": round(row.queue_age),
        "causes": [{"code": code, "count": count} for code, count in row.causes.items()],
        "hours": [
            {"begins_at": time(begin), "done": done, "failed": failed}
            for begin, done, failed in row.hours
        ],
    }


def orphan(row: Orphan) -> dict:
    """A namespace that no deployment in the database is of."""
    return row._asdict() | {"created_at": time(row.created_at)}


def outcome(row: Deployment) -> dict:
    """What `reconcile` prints of a deployment."""
    return {
        "deployment_id": row.id,
        "status": row.status,
        "applied_template_id": row.applied_template_id,
        "last_error": row.last_error,
        "last_reconcile_at": time(row.last_reconcile_at),
    }


def time(value: datetime.datetime | None) -> str | None:
    """ISO 8601 in UTC, with Z; microseconds always, so that it sorts as text."""
    # isoformat takes three times as long.
    return value and "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % (
        *(value.year, value.month, value.day),
        *(value.hour, value.minute, value.second, value.microsecond),
    )


def _product(row: Product) -> dict:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "template_id": row.template_id,
        "created_at": time(row.created_at),
        "icon_url": row.icon_digest and f"/ui/products/{row.id}/icon?v={row.icon_digest}",
    }


def _template(row: Template, product: Product) -> dict:
    return {
        "id": row.id,
        "product_id": row.product_id,
        "chart_ref": row.chart_ref,
        "chart_version": row.chart_version,
        "chart_digest": row.chart_digest,
        "version_label": row.version_label,
        "default_values_json": row.default_values_json,
        "values_schema_json": row.values_schema_json,
        "capabilities_json": row.capabilities_json,
        "health_timeout_sec": row.health_timeout_sec,
        "created_at": time(row.created_at),
        "product": _product(product),
    }


SHOWN = {
    "User": user,
    "Product": product,
    "ListedProduct": listed_product,
    "Template": template,
    "Deployment": deployment,
    "Job": job,
    "Event": event,
    "Secrets": secrets,
    "Resources": resources,
    "Logs": logs,
    "AuditEvent": audit_event,
    "Token": token,
    "NewToken": new_token,
    "LoginLink": login_link,
    "Overview": overview,
    "Orphan": orphan,
}
