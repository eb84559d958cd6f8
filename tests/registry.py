"""A chart repository and an OCI registry on loopback: as much of both as helm pull and push use.

It remembers each request and counts the connections, also those that never spoke HTTP.
"""

import contextlib
import hashlib
import http.server
import json
import re
import sys
import threading
import uuid
from urllib.parse import parse_qs, urlsplit

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_BLOB = "application/octet-stream"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry(http.server.ThreadingHTTPServer):
    """`files` are what the chart repository serves, by path; the rest is the OCI registry's."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], bytes] = {}  # by (repository, tag or digest)
        self.uploads: dict[str, bytes] = {}
        self.refusal: int | None = None  # the status of every answer, if set
        self.challenge = ""  # the WWW-Authenticate of a refusal
        self.requests: list[str] = []
        self.connections = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def verify_request(self, request, client_address) -> bool:
        self.connections += 1
        return True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # helm hangs up on a wrong digest
            super().handle_error(request, client_address)

    def add_chart(self, name: str, version: str, archive: bytes) -> None:
        """Serve `archive` as `charts/{name}-{version}.tgz`, and an index of it alone."""
        path = f"{name}-{version}.tgz"
        entry = {"apiVersion": "v2", "name": name, "version": version, "urls": [path]}
        index = {"apiVersion": "v1", "entries": {name: [entry]}}
        self.files[f"/charts/{path}"] = archive
        self.files["/charts/index.yaml"] = json.dumps(index).encode()


@contextlib.contextmanager
def running(server: Registry):
    """`server` at work; on leaving, its port refuses connections."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stop(server)
        thread.join()


def stop(server: Registry) -> None:
    server.shutdown()
    server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(f"{self.command} {address.path}")
        if self.server.refusal:
            return self._answer(self.server.refusal, WWW_Authenticate=self.server.challenge)
        if address.path.startswith("/v2/"):
            return self._registry(address.path, parse_qs(address.query), body)
        content = self.server.files.get(address.path)
        return self._answer(404 if content is None else 200, content or b"")

    do_HEAD = do_POST = do_PATCH = do_PUT = do_GET

    def _registry(self, path: str, query: dict, body: bytes) -> None:
        if path == "/v2/":
            self._answer(200)
        elif match := re.fullmatch("/v2/(.+)/manifests/(.+)", path):
            self._manifest(match[1], match[2], body)
        elif match := re.fullmatch("/v2/.+/blobs/(sha256:.+)", path):
            self._found(self.server.blobs.get(match[1]), _BLOB)
        elif match := re.fullmatch("/v2/(.+)/blobs/uploads/(.*)", path):
            self._upload(match[1], match[2], query, body)
        else:
            self._answer(404)

    def _manifest(self, repository: str, reference: str, body: bytes) -> None:
        if self.command != "PUT":
            return self._found(self.server.manifests.get((repository, reference)), _MANIFEST)
        self.server.manifests[repository, reference] = body
        self.server.manifests[repository, digest_of(body)] = body
        return self._answer(201, Docker_Content_Digest=digest_of(body))

    def _upload(self, repository: str, upload: str, query: dict, body: bytes) -> None:
        """POST begins an upload, PATCH adds to it, PUT ends it and names its digest."""
        content = self.server.uploads.pop(upload, b"") + body
        if self.command == "PUT":
            self.server.blobs[query["digest"][0]] = content
            return self._answer(201, Docker_Content_Digest=digest_of(content))
        name = upload or uuid.uuid4().hex
        self.server.uploads[name] = content
        return self._answer(202, Location=f"/v2/{repository}/blobs/uploads/{name}")

    def _found(self, content: bytes | None, kind: str) -> None:
        if content is None:
            return self._answer(404)
        return self._answer(
            200, content, Content_Type=kind, Docker_Content_Digest=digest_of(content)
        )

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass
