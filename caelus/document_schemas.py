"""JSON Schemas of the documents: for OpenAPI, and for what a request body may repeat."""

from caelus.models import DEPLOYMENT_STATUSES
from caelus.schemas import JOB_STATUS, STATUS


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
    icon_url=_nullable("string")
    | {"description": "Where Caelus serves its icon, null without one; another icon has another."},
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
    "Product": _object(
        **_PRODUCT["properties"],
        template=_nullable_ref("Template"),
        icon=_nullable("string") | {"description": "A data: URI; lists have icon_url alone."},
    ),
    "ListedProduct": _object(**_PRODUCT["properties"], template=_nullable_ref("Template")),
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
