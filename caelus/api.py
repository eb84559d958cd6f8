"""REST: a Falcon app over the table of operations, and the waitress server that carries it."""

import functools
import importlib.util
import ipaddress
import json
import logging
import pathlib
import re
import socket
import time

import falcon
import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from caelus import database, migrate, openapi, validation
from caelus.dispatch import dispatch
from caelus.errors import (
    CaelusError,
    ConfigError,
    Forbidden,
    Invalid,
    Malformed,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from caelus.operation import Operation
from caelus.operations import OPERATIONS
from caelus.schemas import DOCUMENTS

log = logging.getLogger("caelus.api")
PROBLEM = "application/problem+json"
PORT = re.compile(r":\d*$")
DRAIN_SECONDS = 10  # for requests that run when the server is told to stop
DOCS_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Caelus API</title>
<link rel="stylesheet" href="/docs/assets/swagger_style.css">
<link rel="icon" href="data:,">
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger_bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
DOCS_SCRIPT = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true});\n'
DOCS_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


# The app


def create_app() -> falcon.App:
    app = falcon.App(middleware=[Guard()])
    app.req_options.keep_blank_qs_values = False
    app.set_error_serializer(_serialize_error)
    app.add_error_handler(CaelusError, _refuse)
    app.add_error_handler(Exception, _fail)
    for path in dict.fromkeys(operation.path for operation in OPERATIONS):
        app.add_route(path, Resource([o for o in OPERATIONS if o.path == path]))
    app.add_route("/", Redirect())
    app.add_route("/healthz", Alive())
    app.add_route("/readyz", Ready())
    app.add_route("/openapi.json", Document())
    app.add_route("/docs", Page(DOCS_PAGE, falcon.MEDIA_HTML))
    app.add_route("/docs/start.js", Page(DOCS_SCRIPT, falcon.MEDIA_JS))
    # Found, not imported: the package reads 9 MB when it is.
    assets = importlib.util.find_spec("offapi").submodule_search_locations[0]
    app.add_static_route("/docs/assets", str(pathlib.Path(assets).absolute()))
    return app


class Guard:
    """What holds for every request and answer."""

    def process_request(self, req, resp):
        host = req.get_header("Host", default="localhost")
        if not _is_loopback(PORT.sub("", host)):
            # A name that was made to point here: its pages would be of the same origin.
            shown = validation.printable(host)
            raise Forbidden(f"requests to the host {shown} are refused; use localhost")
        origin = req.get_header("Origin")
        if origin and req.method not in ("GET", "HEAD") and origin != f"{req.scheme}://{host}":
            # A page of another site that the browser shows must not steer Caelus.
            raise Forbidden(f"requests from pages of {validation.printable(origin)} are refused")

    def process_response(self, req, resp, resource, req_succeeded):
        resp.set_header("X-Content-Type-Options", "nosniff")
        if resource is not None:  # static files have their own
            resp.set_header("Cache-Control", "no-store")


class Resource:
    """One path of the table: a responder for each of its operations."""

    def __init__(self, operations: list[Operation]):
        for operation in operations:
            responder = functools.partial(_respond, operation)
            setattr(self, f"on_{operation.method.lower()}", responder)
            if operation.method == "GET":
                self.on_head = responder


def _respond(operation: Operation, req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
    given = _body(operation, req) if operation.changes else _query(operation, req)
    document = dispatch(operation, req.remote_addr, given | ids)
    resp.status = operation.status
    if operation.status != 204:
        resp.text = json.dumps(document, ensure_ascii=False)


def _query(operation: Operation, req: falcon.Request) -> dict:
    properties = operation.input["properties"]
    given = {}
    for name, text in req.params.items():
        if isinstance(text, list):
            raise Invalid((validation.printable(name), "is given more than once"))
        given[name] = validation.from_text(properties.get(name, {}), text)
    return given


def _body(operation: Operation, req: falcon.Request) -> dict:
    """The fields of the body, without those that a document has but a request can't set."""
    properties = operation.input["properties"]
    if (req.content_length or 0) > validation.MAX_BYTES:
        raise TooLarge(f"the body is over {validation.MAX_BYTES} bytes")
    text = req.bounded_stream.read()
    if not properties or not text:
        return {}
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site can send other types without being asked first by the browser.
        raise UnsupportedMediaType("send the body as Content-Type: application/json")
    try:
        document = validation.parse_json(text)
    except ValueError as e:
        raise Malformed(f"the body is {e}") from None
    if not isinstance(document, dict):
        raise Invalid(("body", "must be a JSON object"))
    ignored = set(DOCUMENTS[operation.shows]["properties"]) - set(properties)
    return {name: value for name, value in document.items() if name not in ignored}


class Redirect:
    def on_get(self, req, resp):
        raise falcon.HTTPFound("/docs")


class Alive:
    def on_get(self, req, resp):
        resp.media = {"status": "ok"}

    on_head = on_get


class Ready:
    def on_get(self, req, resp):
        with database.session():
            missing = set(migrate.newest()) ^ set(migrate.applied())
        if missing:
            raise Unavailable("the database's schema is not this program's; run: caelus migrate")
        resp.media = {"status": "ready"}

    on_head = on_get


class Document:
    def on_get(self, req, resp):
        resp.media = openapi.document()


class Page:
    def __init__(self, text: str, content_type: str):
        self.text, self.content_type = text, content_type

    def on_get(self, req, resp):
        resp.content_type = self.content_type
        resp.text = self.text
        resp.set_header("Content-Security-Policy", DOCS_POLICY)


# Errors


def _refuse(req, resp, error: CaelusError, params) -> None:
    if error.status >= 500:
        log.warning("%s %s: %s", req.method, req.path, error.detail)
    resp.status = error.status
    resp.content_type = PROBLEM
    resp.text = json.dumps(error.document(), ensure_ascii=False)


def _fail(req, resp, error: Exception, params) -> None:
    if isinstance(error, falcon.HTTPStatus | falcon.HTTPError):
        raise error
    log.error("%s %s: unforeseen error", req.method, req.path, exc_info=error)
    _refuse(req, resp, CaelusError("an internal error of Caelus; its log says more"), params)


def _serialize_error(req, resp, error: falcon.HTTPError) -> None:
    """Falcon's own refusals: no such path, method not allowed, ..."""
    where = f"{req.method} {validation.printable(req.path)}"
    known = isinstance(error, falcon.HTTPMethodNotAllowed)
    detail = error.description or f"{where} {'is not allowed' if known else 'does not exist'}"
    title = error.title.partition(" ")[2] or error.title
    problem = {"title": title, "status": error.status_code, "detail": detail}
    resp.content_type = PROBLEM
    resp.text = json.dumps(problem, ensure_ascii=False)


# The server


class ProblemTask(ErrorTask):
    """Waitress' own refusals (broken HTTP, too large a body) as problem documents."""

    def execute(self):
        error = self.request.error
        detail = f"{error.reason}: {error.body}"
        problem = {"title": error.reason, "status": error.code, "detail": detail}
        body = json.dumps(problem).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", PROBLEM))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):
    error_task_class = ProblemTask


class Server:
    """The app on one loopback address.

    It steps waitress 3.0's own loop, to end it cleanly: `_step`, `_drain` and `_busy` are what
    another version may want otherwise.
    """

    def __init__(self, host: str, port: int):
        listening = _listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listening.getsockname()[1]}"
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            create_app(),
            sockets=[listening],
            threads=database.HTTP_THREADS,
            connection_limit=1000,
            # More than is accepted: a client reads the refusal only once it has sent everything.
            max_request_body_size=64 * validation.MAX_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        self._server.channel_class = Channel

    def run(self, stop) -> None:
        """Serve until `stop` is set (a threading.Event, or alike)."""
        while not stop.is_set():
            self._step(0.5)
        log.info("stopping")
        self._drain()

    def _step(self, seconds: float) -> None:
        self._server.asyncore.loop(timeout=seconds, map=self._server._map, count=1)

    def _drain(self) -> None:
        """Take no new connection; answer the requests that have begun."""
        wasyncore.dispatcher.close(self._server)
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline and self._busy():
            self._step(0.1)
        self._server.task_dispatcher.shutdown(timeout=1)

    def _busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(c.request or c.requests or c.total_outbufs_len for c in channels)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError for what is not loopback, or taken."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not _is_loopback(address[0].partition("%")[0]):
            raise ConfigError(
                f"refusing to listen on {host}: Caelus has no access control yet, so it serves "
                "loopback addresses only; use --host=127.0.0.1"
            )
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as e:
        text = getattr(e, "strerror", None) or e
        raise ConfigError(f"cannot listen on {host} port {port}: {text}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
