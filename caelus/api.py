"""REST: a Falcon app over the table of operations, and the documentation of it."""

import functools
import importlib.util
import json
import logging
import pathlib
import re

import falcon

from caelus import (
    access,
    config,
    database,
    jsontext,
    login_pages,
    migrate,
    naming,
    openapi,
    validation,
)
from caelus.dispatch import dispatch
from caelus.document_schemas import DOCUMENTS
from caelus.errors import (
    CaelusError,
    Invalid,
    Malformed,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from caelus.guard import ASSETS, PROBLEM, Guard, is_page, shown_path
from caelus.metrics import Metrics
from caelus.observer import Observer
from caelus.operation import Operation
from caelus.operations import BY_COMMAND, OPERATIONS
from caelus.web import pages, routes

log = logging.getLogger("caelus.api")
# RFC 7240: what is deleted can be had with the answer; a GET before it might show another state.
REPRESENTATION = re.compile(
    r'(?:^|,)\s*return\s*=\s*("?)representation\1\s*(?:$|[,;])', re.IGNORECASE
)
DOCS_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Caelus API</title>
<link rel="stylesheet" href="/docs/assets/swagger_style.css">
<link rel="icon" href="data:,">
{banner}<div id="swagger-ui"></div>
<script src="/docs/assets/swagger_bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
DOCS_SCRIPT = """const place = document.getElementById("swagger-ui");
fetch("/openapi.json").then(async (answer) => {
  const spec = await answer.json();
  if (answer.ok) SwaggerUIBundle({spec, domNode: place, deepLinking: true});
  else place.textContent = "This page shows the API to those who are logged in: " + spec.detail;
});
"""
DOCS_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)


# The app


def create_app(settings: config.Config | None = None) -> falcon.App:
    settings = settings or config.load()
    guard, metrics = Guard(settings), Metrics()
    docs = DOCS_PAGE.format(banner=login_pages.banner(settings))
    app = falcon.App(middleware=[Observer(settings, metrics), guard])
    app.req_options.keep_blank_qs_values = False
    app.set_error_serializer(functools.partial(_serialize_error, settings))
    app.add_error_handler(CaelusError, guard.refuse)
    app.add_error_handler(Exception, functools.partial(_fail, guard))
    for path in dict.fromkeys(operation.path for operation in OPERATIONS):
        app.add_route(path, Resource([o for o in OPERATIONS if o.path == path]))
    app.add_route("/", Redirect())
    app.add_route("/healthz", Alive())
    app.add_route("/readyz", Ready())
    app.add_route("/me", Me())
    app.add_route("/metrics", metrics)
    app.add_route("/openapi.json", Document())
    app.add_route("/login/{code}", login_pages.Login(settings))
    app.add_route("/logout", login_pages.Logout(settings))
    app.add_route("/docs", Page(docs, falcon.MEDIA_HTML))
    app.add_route("/docs/start.js", Page(DOCS_SCRIPT, falcon.MEDIA_JS))
    for path in ASSETS:
        app.add_route(path, Asset(path))
    routes.add(app, settings)
    return app


class Resource:
    """One path of the table: a responder for each of its operations."""

    def __init__(self, operations: list[Operation]):
        for operation in operations:
            responder = functools.partial(_respond, operation)
            setattr(self, f"on_{operation.method.lower()}", responder)
            if operation.method == "GET":
                self.on_head = responder


def _respond(operation: Operation, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
    access.admit(operation, req.context.actor, ids)  # before a look at what is sent
    given = _body(operation, req) if operation.changes else _query(operation, req)
    document = dispatch(operation, req.context.actor, given | ids)
    resp.status = operation.status
    if operation.status == 204 and REPRESENTATION.search(req.get_header("Prefer") or ""):
        resp.status = 200
        resp.set_header("Preference-Applied", "return=representation")
    if resp.status != 204:
        resp.text = jsontext.compact(document)


def _query(operation: Operation, req: falcon.Request) -> dict:
    properties = operation.input["properties"]
    given = {}
    for name, text in req.params.items():
        if isinstance(text, list):
            raise Invalid((naming.printable(name), "is given more than once"))
        given[name] = validation.from_text(properties.get(name, {}), text)
    return given


def _body(operation: Operation, req: falcon.Request) -> dict:
    """The fields of the body, without those that a document has but a request can't set."""
    properties = operation.input["properties"]
    if (req.content_length or 0) > jsontext.MAX_BYTES:
        raise TooLarge(f"the body is over {jsontext.MAX_BYTES} bytes")
    text = req.bounded_stream.read()
    if not properties or not text:
        return {}
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site can send other types without being asked first by the browser.
        raise UnsupportedMediaType("send the body as Content-Type: application/json")
    try:
        document = jsontext.parse(text)
    except ValueError as e:
        raise Malformed(f"the body is {e}") from None
    if not isinstance(document, dict):
        raise Invalid(("body", "must be a JSON object"))
    shown = DOCUMENTS[operation.shows]["properties"]
    return {n: value for n, value in document.items() if n in properties or n not in shown}


class Redirect:
    def on_get(self, req, resp):
        raise falcon.HTTPFound("/docs")

    on_head = on_get


class Alive:
    def on_get(self, req, resp):
        resp.media = {"status": "ok"}

    on_head = on_get


class Ready:
    """A newer schema than this program's is well, too: who upgrades a machine after the other has
    one for a while, and each migration leaves what the release before it needs."""

    def on_get(self, req, resp):
        with database.session():
            missing = set(migrate.newest()) - set(migrate.applied())
        if missing:
            raise Unavailable("the database's schema is not this program's; run: caelus migrate")
        resp.media = {"status": "ready"}

    on_head = on_get


class Me:
    """Who asks, as a user; the operator of the command line is none."""

    def on_get(self, req, resp):
        _respond(BY_COMMAND["get-user"], req, resp, user_id=str(req.context.actor.user_id))

    on_head = on_get


class Document:
    def on_get(self, req, resp):
        resp.media = openapi.document()

    on_head = on_get


class Page:
    def __init__(self, text: str, content_type: str):
        self.text, self.content_type = text, content_type

    def on_get(self, req, resp):
        resp.content_type = self.content_type
        resp.text = self.text
        resp.set_header("Content-Security-Policy", DOCS_POLICY)

    on_head = on_get


class Asset:
    """A file of the package that holds Swagger UI; browsers ask each time whether it changed."""

    def __init__(self, path: str):
        # Found, not imported: the package reads 9 MB when it is.
        directory = importlib.util.find_spec("offapi").submodule_search_locations[0]
        self._file = pathlib.Path(directory) / path.rpartition("/")[2]
        self._type = falcon.MEDIA_JS if path.endswith(".js") else "text/css"

    def on_get(self, req, resp):
        if size := self._size_if_new(req, resp):
            resp.set_stream(self._file.open("rb"), size)

    def on_head(self, req, resp):
        resp.content_length = self._size_if_new(req, resp)

    def _size_if_new(self, req, resp) -> int | None:
        """The file's size, None where the browser has it already; with the headers of either."""
        found = self._file.stat()
        etag = f"{int(found.st_mtime):x}-{found.st_size:x}"
        resp.etag, resp.cache_control = etag, ["no-cache"]
        if any(known in ("*", etag) for known in req.if_none_match or ()):
            resp.status = falcon.HTTP_304
            return None
        resp.content_type = self._type
        return found.st_size


# Errors


def _fail(guard: Guard, req, resp, error: Exception, params) -> None:
    if isinstance(error, falcon.HTTPStatus | falcon.HTTPError):
        raise error
    log.error("%s %s: unforeseen error", req.method, shown_path(req), exc_info=error)
    guard.refuse(req, resp, CaelusError("an internal error of Caelus; its log says more"), params)


def _serialize_error(settings, req, resp, error: falcon.HTTPError) -> None:
    """Falcon's own refusals: no such path, method not allowed, ..."""
    where = f"{req.method} {shown_path(req)}"
    known = isinstance(error, falcon.HTTPMethodNotAllowed)
    detail = error.description or f"{where} {'is not allowed' if known else 'does not exist'}"
    title = (error.title.partition(" ")[2] or error.title).capitalize()
    if is_page(req.path):
        pages.show_problem(req, resp, title, detail, settings)
        return
    problem = {"title": title, "status": error.status_code, "detail": detail}
    resp.content_type = PROBLEM
    resp.text = json.dumps(problem, ensure_ascii=False)
