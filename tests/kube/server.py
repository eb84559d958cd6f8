"""The HTTP server on loopback, and what tests see of it."""

import base64
import contextlib
import copy
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


class KubeServer:
    """A Kubernetes API for real clients, without schemas, quotas or conflicts.

    With `tls` it speaks HTTPS, without which no client sends a token.

    requests   (method, path) of every request, in order
    asked      what those who bear a ServiceAccount's token have done, as RBAC names it
    intercept  None, or a function of (method, path, query) that may return (or raise) the
               ApiError to answer with; it may also just wait
    """

    def __init__(self, tls: bool = False):
        self.requests: list[tuple[str, str]] = []
        self.asked: set[access.Asked] = set()
        self.intercept: Callable[[str, str, dict], ApiError | None] | None = None
        self._store = Store()
        self._http = _HttpServer(("127.0.0.1", 0), _Exchange)
        self._http.kube = self
        self._authority = _secure(self._http) if tls else None

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        with self._store.changed:
            self._store.close()
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

    def objects(self, group_version: str, plural: str, namespace: str = "") -> list[dict]:
        """Copies of the objects of a kind in one namespace, or in all, in order of name.

        Raises KeyError for a kind that the server doesn't have.
        """
        with self._store.changed:
            resource = self._store.resources[group_version, plural]
            return copy.deepcopy(self._store.select(resource, namespace))

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
        self.requests.append((request.method, request.path))
        intercept = self.intercept  # a test may take it away meanwhile
        error = intercept and intercept(request.method, request.path, request.query)
        if error:
            raise error
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
    kube: KubeServer

    def handle_error(self, request, client_address):
        # Clients hang up on watches once they have seen enough.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Exchange(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def _serve(self):
        try:
            code, content = self.server.kube.answer(self._request())
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
