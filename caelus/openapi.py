"""The OpenAPI 3.1 document, made from the table of operations."""

import functools
import http

from caelus import __version__
from caelus.document_schemas import DOCUMENTS
from caelus.operation import Operation
from caelus.operations import BY_COMMAND, OPERATIONS
from caelus.schemas import ID

REFUSALS = {
    "400": "The body is not JSON.",
    "401": "No credentials, or such as let nobody in.",
    "403": "For admins only; or another host is asked for, or a page of another site asks.",
    "404": "Not found.",
    "409": "A rule forbids it, or a job is open.",
    "413": "The body is over 1 MiB.",
    "415": "The body is not declared as application/json.",
    "422": "A field is missing, unknown or of the wrong shape.",
    "429": "Too many failed attempts from this address.",
    "500": "A fault of Caelus.",
    "503": "The database can't be reached, or the key of the secrets is missing; or the "
    "cluster does not answer.",
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "With `return=representation` (RFC 7240) the answer shows what was deleted.",
    "schema": {"type": "string"},
}
SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "From `caelus create-token`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "caelus_session",
        "description": "From a login link (`caelus create-login-link`).",
    },
}


@functools.lru_cache(maxsize=1)
def document() -> dict:
    paths = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    paths["/me"] = {"get": _me()}
    paths["/healthz"] = {"get": _check("healthz", "Is the process alive?")}
    paths["/readyz"] = {"get": _check("readyz", "Is the database reachable, its schema current?")}
    paths["/readyz"]["get"]["responses"]["503"] = _problem("Not ready.")
    paths["/metrics"] = {"get": _metrics()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Caelus",
            "version": __version__,
            "description": "Instances of web apps for users, on a small Kubernetes, by Helm.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": DOCUMENTS, "securitySchemes": SECURITY},
        "security": [{name: []} for name in SECURITY],
    }


def _operation(operation: Operation) -> dict:
    described = {
        "operationId": operation.command.replace("-", "_"),
        "summary": operation.summary,
        "description": f"On the command line: `caelus {operation.command}`",
        "tags": [operation.shows],
        "parameters": [_parameter(name, "path", ID) for name in operation.ids],
        "responses": _responses(operation),
    }
    if operation.status == 204:
        described["parameters"].append(PREFER)
    properties = operation.input["properties"]
    if operation.method == "GET":
        described["parameters"] += [_parameter(n, "query", s) for n, s in properties.items()]
    elif properties:
        content = {"application/json": {"schema": operation.input}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameter(name: str, place: str, schema: dict) -> dict:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _responses(operation: Operation) -> dict:
    schema = _reference(operation.shows)
    if operation.many:
        schema = {"type": "array", "items": schema}
    phrase = http.HTTPStatus(operation.status).phrase
    done = {str(operation.status): _answer(phrase, schema)}
    if operation.status == 204:
        done = {"200": _answer("What was deleted.", schema), "204": {"description": phrase}}
    refusals = ["401", "403", "404", "429"]
    refusals += ["409", "413"] if operation.changes else ["422"]
    if operation.changes and operation.input["properties"]:
        refusals += ["400", "415", "422"]
    problems = {code: _problem(REFUSALS[code]) for code in [*sorted(refusals), "500", "503"]}
    return done | problems


def _problem(text: str) -> dict:
    schema = _reference("Problem")
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _answer(text: str, schema: dict) -> dict:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _reference(name: str) -> dict:
    return {"$ref": f"#/components/schemas/{name}"}


def _me() -> dict:
    described = _operation(BY_COMMAND["get-user"])
    told = {"operationId": "get_me", "summary": "Show the user who asks.", "parameters": []}
    return described | told | {"description": "The local command line is nobody's."}


def _metrics() -> dict:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "get_metrics",
        "summary": "Show figures in the text format of Prometheus.",
        "description": "For admins, and for addresses in CAELUS_METRICS_READERS.",
        "tags": ["Health"],
        "responses": {"200": {"description": "The figures.", "content": text}}
        | {code: _problem(REFUSALS[code]) for code in ("401", "404", "429", "503")},
    }


def _check(name: str, summary: str) -> dict:
    schema = {"type": "object", "properties": {"status": {"type": "string"}}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["Health"],
        "security": [],
        "responses": {"200": _answer("Yes.", schema)},
    }
