"""What is noted of every request, whatever becomes of it: its id, its peer, how long it took."""

import time

from caelus import database, peers, tracing
from caelus.config import Config
from caelus.metrics import Metrics

HEADER = "X-Request-Id"


class Observer:
    """Comes before everything else that looks at a request."""

    def __init__(self, settings: Config, metrics: Metrics):
        self._settings = settings
        self._metrics = metrics

    def process_request(self, req, resp):
        req.context.begun = time.perf_counter()
        req.context.peer = peer = peers.of(req, self._settings)
        tracing.start(_request_id(req, peer))
        database.hold()

    def process_response(self, req, resp, resource, req_succeeded):
        resp.set_header(HEADER, tracing.present().request_id)
        seconds = time.perf_counter() - req.context.begun
        self._metrics.count(req.method, req.uri_template, resp.status_code, seconds)
        database.give_back()
        tracing.start(None)  # this thread's next lines are another's


def _request_id(req, peer: peers.Peer) -> str:
    """A trusted proxy's id for the request, or a new one."""
    given = req.get_header(HEADER)
    return given if peer.is_proxy and tracing.is_well_formed(given) else tracing.new_id()
