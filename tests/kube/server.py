"""The HTTP server on loopback, and what tests see of it."""

import base64
import contextlib
import copy
import datetime
import http.client
import http.server
import json
import ssl
import sys
import threading
import traceback
import urllib.parse
from collections.abc import Callable

import trustme

from tests.kube import access, api, namespaces
from tests.kube.errors import ApiError
from tests.kube.store import Store


class Listener:
    """An HTTP server of one Kubernetes API.

    requests   (method, path) of every request, in order
    intercept  None, or a function of (method, path, query) that may return (or raise) the
               ApiError to answer with; it may also just wait
    """

    def __init__(self, exchange: type["Exchange"], tls: bool = False):
        self.requests: list[tuple[str, str]] = []
        self.intercept: Callable[[str, str, dict], ApiError | None] | None = None
        self._http = _HttpServer(("127.0.0.1", 0), exchange)
        self._http.kube = self
        self._authority = _secure(self._http) if tls else None

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        scheme = "https" if self._authority else "http"
        return f"{scheme}://127.0.0.1:{self._http.server_port}"

    def kubeconfig(self, path) -> str:
        """Write a kubeconfig file for this server and return its path.

        Clients cache what kinds there are below HOME, by host and port: give each server's
        clients a HOME of their own.
        """
        cluster, user = {"server": self.url}, {}
        if self._authority:
            cluster["certificate-authority-data"] = self._authority
            user = {"username": "admin", "password": "any"}  # else kubectl would ask for them
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        with open(path, "w") as file:
            json.dump(config, file)
        return str(path)

    def admit(self, request: api.Request) -> None:
        """Write the request down; raises the ApiError that a test wants for it."""
        self.requests.append((request.method, request.path))
        intercept = self.intercept  # a test may take it away meanwhile
        error = intercept and intercept(request.method, request.path, request.query)
        if error:
            raise error


class KubeServer(Listener):
    """A Kubernetes API for real clients, without schemas, quotas or conflicts.

    With `tls` it speaks HTTPS, without which no client sends a token. `asked` is what those who
    bear a ServiceAccount's token have done, as RBAC names it.
    """

    def __init__(self, tls: bool = False):
        super().__init__(Exchange, tls)
        self._store = Store()
        self.asked: set[access.Asked] = set()

    def __exit__(self, *_):
        with self._store.changed:
            self._store.close()
        super().__exit__()

    def objects(self, group_version: str, plural: str, namespace: str = "") -> list[dict]:
        """Copies of the objects of a kind in one namespace, or in all, in order of name.

        Raises KeyError for a kind that the server doesn't have.
        """
        with self._store.changed:
            resource = self._store.resources[group_version, plural]
            return copy.deepcopy(self._store.select(resource, namespace))

    def print(self, pod: dict, *lines: str, container: str = "app", at=None) -> None:
        """Have a container print lines, now or all at one moment."""
        metadata = pod["metadata"]
        key = (metadata["namespace"], metadata["name"], container)
        with self._store.changed:
            known = self._store.printed.setdefault(key, [])
            for line in lines:
                moment = at or datetime.datetime.now(datetime.UTC)
                known.append((f"{moment:%Y-%m-%dT%H:%M:%S.%f}789Z", line))  # to the nanosecond

    @contextlib.contextmanager
    def hold_namespaces(self, finalizer: str = "example.org/held"):
        """Meanwhile a deleted namespace is emptied but stays Terminating, as if for `finalizer`.

        At the end those that wait are gone. A finalizer in the metadata of an object, or of the
        namespace, does the same for one namespace until a client takes it away.
        """
        with self._store.changed:
            namespaces.hold(self._store, finalizer)
        try:
            yield
        finally:
            with self._store.changed:
                namespaces.hold(self._store, "")

    def answer(self, request: api.Request) -> api.Answer:
        """Carry out one request; an ApiError is raised for the client to see."""
        self.admit(request)
        with self._store.changed:
            return api.answer(self._store, request, self.asked)


def _secure(server) -> str:
    """Let the server speak TLS; gives its authority's certificate as base64.

    Clients send tokens in no other way.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    # Each handshake in its connection's own thread, not in the one that accepts.
    server.socket = context.wrap_socket(server.socket, True, do_handshake_on_connect=False)
    return base64.b64encode(authority.cert_pem.bytes()).decode()


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    kube: Listener

    def handle_error(self, request, client_address):
        # Clients hang up on watches once they have seen enough; a real cluster's end with us.
        hung_up = (ConnectionError, ssl.SSLError, http.client.IncompleteRead)
        if not isinstance(sys.exc_info()[1], hung_up):
            super().handle_error(request, client_address)


class Exchange(http.server.BaseHTTPRequestHandler):
    """A request and its answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def _serve(self):
        try:
            code, content = self._answer()
        except ApiError as error:
            code, content = error.code, error.status()
        except Exception as error:  # noqa: BLE001 - a bug here must fail the client, not hang it
            traceback.print_exc()
            code, content = 500, ApiError(500, "InternalError", repr(error)).status()
        if isinstance(content, dict):
            self._send(code, "application/json", json.dumps(content).encode())
        elif isinstance(content, str):
            self._send(code, "text/plain", content.encode())
        else:
            self._stream(code, content)

    def _answer(self):
        return self.server.kube.answer(self._request())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _request(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content_type = self.headers.get("Content-Type") or ""
        path = urllib.parse.unquote(url.path)
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        token = token if scheme == "Bearer" else ""
        return api.Request(self.command, path, query, content_type, body, token)

    def _send(self, code, content_type, content):
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, code, documents):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for document in documents:
            line = json.dumps(document).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
