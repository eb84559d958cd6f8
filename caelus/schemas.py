"""The shapes that REST and CLI show: what goes in, what comes out, how rows become documents."""

import datetime

from caelus import config
from caelus.models import (
    DEPLOYMENT_STATUSES,
    JOB_STATUSES,
    Deployment,
    Event,
    Job,
    LoginLink,
    Product,
    Template,
    Token,
    User,
)
from caelus.orphans import Orphan

# Input: JSON Schemas of a request's body or query, one field a constant

ID = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
OPTIONAL_ID = ID | {"type": ["integer", "null"]}
TEXT = {"type": "string", "maxLength": 10_000}
OPTIONAL_TEXT = TEXT | {"type": ["string", "null"]}
WORD = {"type": "string", "minLength": 1, "format": "word"}
OPTIONAL_OBJECT = {"type": ["object", "null"]}
EMAIL = {"type": "string", "format": "email"}
DOMAIN = {"type": "string", "format": "hostname"}
# At most 53 characters, which is Helm's limit for the release of the same name.
NAMESPACE = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 53}
NAME = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"}
DIGEST = {"type": ["string", "null"], "pattern": "^sha256:[0-9a-f]{64}$", "maxLength": 71}
DAYS = {"type": ["integer", "null"], "minimum": 1, "maximum": 3650}
LABEL = {"type": ["string", "null"], "minLength": 1, "maxLength": 100}
SECONDS = {"type": ["integer", "null"], "minimum": 1, "maximum": 86_400}
STATUS = {"type": "string", "enum": list(DEPLOYMENT_STATUSES)}
JOB_STATUS = {"type": "string", "enum": list(JOB_STATUSES)}
LINES = {"type": "integer", "minimum": 1, "maximum": 5000}
MOMENT = {"type": "string", "format": "word", "maxLength": 40}
POD = {"type": "string", "format": "pod"}
FLAG = {"type": "boolean"}
SEARCH = {"type": "string", "minLength": 1, "maxLength": 254}
NEWEST_FIRST = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "before": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
}
PAGE = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "after": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
}


def fields(required: str = "", **properties) -> dict:
    """An input schema: an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


ONLY_EMAIL = fields(email=EMAIL)

# Output: documents. A row that a query has not loaded is never touched: no query per row.


def user(row: User) -> dict:
    return {
        "id": row.id,
        "email": row.email,
        "is_admin": row.is_admin,
        "created_at": time(row.created_at),
    }


def product(row: Product) -> dict:
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


# Output: JSON Schemas of the documents, for OpenAPI and for what a request body may repeat


def _object(**properties) -> dict:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(**properties) -> dict:
    return {"type": "array", "items": _object(**properties)}


def _nullable(kind: str) -> dict:
    return {"type": [kind, "null"]}


def _nullable_ref(name: str) -> dict:
    return {"anyOf": [{"$ref": f"#/components/schemas/{name}"}, {"type": "null"}]}


_TIME = {"type": "string", "format": "date-time"}
_OPTIONAL_TIME = _TIME | {"type": ["string", "null"]}
_INTEGER = {"type": "integer"}
_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
_BOOLEAN = {"type": "boolean"}
_CAUSE = {
    "type": ["object", "null"],
    "description": "Why it failed: a stable code, the object, a sentence, the next step.",
    "properties": {
        "code": _STRING,
        "object": _nullable("string"),
        "message": _STRING,
        "hint": _STRING,
    },
}
_JOB_REASON = {"type": "string", "enum": ["create", "update", "delete", "drift"]}
_OPEN_JOB = _object(reason=_JOB_REASON, status=JOB_STATUS, attempt=_INTEGER, run_after=_TIME) | {
    "type": ["object", "null"],
    "description": "What is being done, or waits to be done; `attempt` is how often it was begun.",
}
_PRODUCT = _object(
    id=_INTEGER,
    name=_STRING,
    description=_nullable("string"),
    template_id=_nullable("integer"),
    created_at=_TIME,
)
_EVENT = _object(
    id=_INTEGER,
    deployment_id=_nullable("integer"),
    type=_STRING,
    actor=_STRING,
    message=_STRING,
    cause=_CAUSE,
    created_at=_TIME,
)
_TOKEN = _object(
    id=_INTEGER,
    user_id=_INTEGER,
    name=_STRING,
    created_at=_TIME,
    last_used_at=_OPTIONAL_TIME,
    expires_at=_OPTIONAL_TIME,
)
DOCUMENTS = {
    "User": _object(id=_INTEGER, email=_STRING, is_admin={"type": "boolean"}, created_at=_TIME),
    "Product": _object(**_PRODUCT["properties"], template=_nullable_ref("Template")),
    "Template": _object(
        id=_INTEGER,
        product_id=_INTEGER,
        chart_ref=_STRING,
        chart_version=_STRING,
        chart_digest=_nullable("string"),
        version_label=_nullable("string"),
        default_values_json=_nullable("object"),
        values_schema_json=_nullable("object"),
        capabilities_json=_nullable("object"),
        health_timeout_sec=_nullable("integer"),
        created_at=_TIME,
        product=_PRODUCT,
    ),
    "Deployment": _object(
        id=_INTEGER,
        user_id=_INTEGER,
        desired_template_id=_INTEGER,
        applied_template_id=_nullable("integer"),
        applied_revision=_nullable("integer"),
        domainname=_STRING,
        user_values_json=_nullable("object"),
        deployment_uid=_STRING,
        status=STATUS,
        generation=_INTEGER,
        last_error=_nullable("string"),
        cause=_CAUSE,
        open_job=_OPEN_JOB,
        last_reconcile_at=_OPTIONAL_TIME,
        created_at=_TIME,
        deleted_at=_OPTIONAL_TIME,
        user={"$ref": "#/components/schemas/User"},
        desired_template={"$ref": "#/components/schemas/Template"},
        applied_template=_nullable_ref("Template"),
    ),
    "Job": _object(
        id=_INTEGER,
        deployment_id=_INTEGER,
        deployment=_object(id=_INTEGER, user_id=_INTEGER, domainname=_STRING, status=STATUS),
        reason=_JOB_REASON,
        status=JOB_STATUS,
        run_after=_TIME,
        attempt=_INTEGER,
        locked_by=_nullable("string"),
        locked_at=_OPTIONAL_TIME,
        lease_until=_OPTIONAL_TIME,
        last_error=_nullable("string"),
        cause=_CAUSE,
        request_id=_nullable("string"),
        created_at=_TIME,
        updated_at=_TIME,
    ),
    "Event": _EVENT,
    "AuditEvent": _object(
        **_EVENT["properties"],
        token=_nullable("string"),
        address=_nullable("string"),
        hash=_nullable("string"),
    ),
    "Token": _TOKEN,
    "NewToken": _object(**_TOKEN["properties"], token=_STRING),
    "LoginLink": _object(
        id=_INTEGER, user_id=_INTEGER, url=_STRING, created_at=_TIME, expires_at=_TIME
    ),
    "Secrets": _object(
        id=_INTEGER,
        deployment_id=_INTEGER,
        secrets={
            "type": "object",
            "description": "The values of the secrets, by JSON Pointers into the chart's values.",
        },
    ),
    "Resources": _object(
        id=_INTEGER,
        deployment_id=_INTEGER,
        status=STATUS,
        namespace=_STRING,
        message=_nullable("string"),
        pods=_list(
            name=_STRING,
            phase=_STRING,
            ready=_BOOLEAN,
            restarts=_INTEGER,
            reason=_nullable("string"),
            created_at=_OPTIONAL_TIME,
            containers=_list(
                name=_STRING,
                state={"type": "string", "enum": ["waiting", "running", "terminated"]},
                ready=_BOOLEAN,
                restarts=_INTEGER,
                reason=_nullable("string"),
                exit_code=_nullable("integer"),
            ),
        ),
        claims=_list(
            name=_STRING,
            phase=_STRING,
            size=_nullable("string"),
            storage_class=_nullable("string"),
            created_at=_OPTIONAL_TIME,
        ),
        services=_list(
            name=_STRING,
            type=_STRING,
            cluster_ip=_nullable("string"),
            ports=_STRINGS,
            created_at=_OPTIONAL_TIME,
        ),
        ingresses=_list(
            name=_STRING,
            ingress_class=_nullable("string"),
            hosts=_STRINGS,
            tls=_STRINGS,
            addresses=_STRINGS,
            created_at=_OPTIONAL_TIME,
        ),
    ),
    "Logs": _object(
        id=_INTEGER,
        deployment_id=_INTEGER,
        status=STATUS,
        message=_nullable("string"),
        truncated={"type": "boolean", "description": "Whether lines are left out."},
        lines=_list(time=_TIME, pod=_STRING, container=_STRING, line=_STRING),
    ),
    "Overview": _object(
        users=_INTEGER,
        products=_INTEGER,
        templates=_INTEGER,
        deployments=_object(**dict.fromkeys(DEPLOYMENT_STATUSES[:-1], _INTEGER)),
        jobs=_object(queued=_INTEGER, running=_INTEGER),
        queue_age_sec=_INTEGER
        | {"description": "For how long the job that has been due longest has waited."},
        causes={"type": "array", "items": _object(code=_STRING, count=_INTEGER)},
        hours={
            "type": "array",
            "description": "The reconciles of the last 24 hours, by the hour in which they ended.",
            "items": _object(begins_at=_TIME, done=_INTEGER, failed=_INTEGER),
        },
    ),
    "Orphan": _object(
        namespace=_STRING,
        phase=_STRING,
        created_at=_OPTIONAL_TIME,
        release_status=_nullable("string"),
        revision=_nullable("integer"),
        chart=_nullable("string"),
        deployment_id=_nullable("integer"),
        generation=_nullable("integer"),
        template_id=_nullable("integer"),
        domainname=_nullable("string"),
        user_email=_nullable("string"),
    ),
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "title": _STRING,
            "status": _INTEGER,
            "detail": _STRING,
            "request_id": _STRING | {"description": "Of a fault: its lines in the log have it."},
            "errors": {"type": "array", "items": _object(field=_STRING, message=_STRING)},
        },
        "required": ["title", "status", "detail"],
    },
}
SHOWN = {
    "User": user,
    "Product": product,
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
