"""A real cluster as the tests' own: `kubectl proxy`, and before it a relay that obeys the tests.

kubectl sees to TLS and credentials; the relay writes down, delays and refuses what is asked.
"""

import http.client
import json
import re
import subprocess

from tests.kube.server import Exchange, Listener
from tests.program import wait_until
from tests.tools import tool_directory

_NAMESPACE = re.compile("/api/v1/namespaces/([^/]+)")
_OF_A_CONNECTION = ("connection", "host", "transfer-encoding")
_WATCH_SECONDS = 900  # clients end their watches themselves, after 10 minutes at most
_REMOVAL_SECONDS = 120


class RealCluster(Listener):
    """The cluster of a kubeconfig file, for clients that come by here.

    Tests see only the namespaces that were made here, by `kubectl apply --server-side` as
    Caelus does it, and what is in them. At the end these namespaces are removed. Meanwhile
    whoever is on this machine can act on the cluster by here: it is to be one for tests.
    """

    def __init__(self, kubeconfig: str):
        super().__init__(_Relay)
        self._kubeconfig = kubeconfig
        self._made: set[str] = set()

    def __enter__(self):
        kubectl = tool_directory("4") / "kubectl"
        self._proxy = subprocess.Popen(
            [kubectl, "proxy", "--port=0", "--kubeconfig", self._kubeconfig],
            stdout=subprocess.PIPE,
            text=True,
        )
        started = re.search(r"127\.0\.0\.1:(\d+)", self._proxy.stdout.readline())
        assert started, "kubectl proxy did not start"
        self._port = int(started[1])
        return super().__enter__()

    def __exit__(self, *_):
        super().__exit__()
        try:
            self._remove_namespaces()
        finally:
            self._proxy.terminate()
            self._proxy.communicate()

    def objects(self, group_version: str, plural: str, namespace: str = "") -> list[dict]:
        """As KubeServer's."""
        root = "/api/v1" if group_version == "v1" else f"/apis/{group_version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        with self.forward("GET", f"{root}{where}/{plural}") as response:
            if response.status == 404:
                raise KeyError((group_version, plural))
            found = json.load(response)["items"]
        places = [o["metadata"].get("namespace", o["metadata"]["name"]) for o in found]
        return [o for o, place in zip(found, places, strict=True) if place in self._made]

    def forward(self, method, target, body=b"", headers=()) -> http.client.HTTPResponse:
        """The cluster's answer, whose body may take its time."""
        upstream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WATCH_SECONDS)
        upstream.request(method, target, body or None, {**dict(headers), "Connection": "close"})
        return upstream.getresponse()

    def note(self, method: str, path: str, code: int) -> None:
        """Remember a namespace that a client has made."""
        found = _NAMESPACE.fullmatch(path)
        if found and (method, code) == ("PATCH", 201):
            self._made.add(found[1])

    def _remove_namespaces(self):
        for name in self._made:
            self.forward("DELETE", f"/api/v1/namespaces/{name}").close()

        def are_gone():
            return not self.objects("v1", "namespaces")

        wait_until(are_gone, _REMOVAL_SECONDS)


class _Relay(Exchange):
    def _answer(self):
        request, kube = self._request(), self.server.kube
        kube.admit(request)
        response = kube.forward(
            request.method, self.path, request.body, _end_to_end(self.headers.items())
        )
        kube.note(request.method, request.path, response.status)
        return response.status, response

    def _stream(self, code, response):
        """Pass on what comes as it comes; where its length is not told, the connection's end is."""
        with response:
            self.send_response_only(code)
            for name, value in _end_to_end(response.getheaders()):
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.flush()
            while part := response.read1():
                self.wfile.write(part)
                self.wfile.flush()


def _end_to_end(headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_A_CONNECTION]
