"""The waitress server that carries the app, within bounds that slow clients can't stretch."""

import json
import logging
import math
import resource
import socket
import time

import waitress
from waitress import wasyncore
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask

from caelus import database, jsontext, observer, supervision, tracing
from caelus.api import create_app
from caelus.config import Config
from caelus.errors import ConfigError
from caelus.guard import PROBLEM, headers

log = logging.getLogger("caelus.server")
DRAIN_SECONDS = 10  # for requests that run when the server is told to stop
MAX_CONNECTIONS = 500
FILES = 4096  # that this process may have open, where the system lets it
OTHER_FILES = 100  # the database's, those of helm and kubectl, and so on
ROOM = 50  # connections that are ended at once when there are that many
MAX_HEADER_BYTES = 32 * 1024
MAX_DROPPED_BYTES = 64 * jsontext.MAX_BYTES  # of a body that is too large; then the line is cut
SEND_BYTES = 64 * 1024  # of an answer that is sent while more of it is made
ARRIVE_SECONDS = 60  # for a whole request to arrive, and for a kept connection to be used again
SEND_SECONDS = 120  # for a client to take its answer


class ProblemTask(ErrorTask):
    """Waitress' own refusals (broken HTTP, too large a body) as problem documents."""

    def execute(self):
        error = self.request.error
        detail = f"{error.reason}: {error.body}"
        problem = {"title": error.reason, "status": error.code, "detail": detail}
        body = json.dumps(problem).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", PROBLEM), ("Cache-Control", "no-store")]
        self.response_headers += self.channel.headers.items()
        self.response_headers.append((observer.HEADER, tracing.new_id()))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Task(WSGITask):
    """Sends a small answer at once; waitress would send its head first, and then its body."""

    def finish(self):
        super().finish()
        with self.channel.outbuf_lock:
            self.channel._flush_exception(self.channel._flush_some, do_close=False)


class Body(OverflowableBuffer):
    """Keeps no more of a body than shows that it is too large; the rest is read and dropped,
    because a client reads the refusal only once it has sent everything."""

    def append(self, data):
        if len(self) <= jsontext.MAX_BYTES:
            super().append(data)


class Parser(HTTPRequestParser):
    def parse_header(self, header_plus):
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = Body(self.adj.inbuf_overflow)


class Channel(HTTPChannel):
    """A connection, which knows since when its client keeps others waiting.

    Of requests that a client sends without waiting for answers only the first is answered: no
    thread may hang on a client that asks for more and more, and takes none of it.
    """

    error_task_class = ProblemTask
    task_class = Task
    parser_class = Parser
    headers: dict[str, str]  # of every answer

    def __init__(self, *arguments, **options):
        self._since, self._is_last = time.monotonic(), False
        super().__init__(*arguments, **options)

    def received(self, data):
        before = self.request
        done = super().received(data)
        with self.requests_lock:
            if len(self.requests) > 1:
                del self.requests[1:]
                self._is_last = True
        if self.request is not before:  # a request has begun to arrive, or has arrived
            self._since = time.monotonic()
        return done

    def service(self):
        self._since = math.inf  # until the answer is whole, nobody keeps anybody waiting
        super().service()
        if self._is_last:
            self.close_when_flushed = True
            self.server.pull_trigger()
        self._since = time.monotonic()  # now the client is to take it, or to ask again

    def waits(self) -> float:
        """Seconds since it has been the client's turn; 0 while it is ours."""
        return 0.0 if self.requests else max(0.0, time.monotonic() - self._since)

    def patience(self) -> float:
        return SEND_SECONDS if self.total_outbufs_len else ARRIVE_SECONDS


class Server:
    """The app at one address.

    It steps waitress 3.0's own loop, to end it cleanly and to drop slow clients: `Task`, `Body`,
    `Parser`, `Channel`, `_step`, `_drain` and `_busy` are what another version may want otherwise.
    """

    def __init__(self, settings: Config):
        host = settings.host
        listening = _listen(host, settings.port)
        shown = f"[{host}]" if ":" in host else host
        self.port = listening.getsockname()[1]
        self.url = f"http://{shown}:{self.port}"
        self._room = _room()
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            create_app(settings),
            sockets=[listening],
            threads=database.HTTP_THREADS,
            connection_limit=self._most() + 2,  # the server's own two sockets count
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=MAX_DROPPED_BYTES,
            ident=None,
            outbuf_high_watermark=2**40,  # a whole answer: its thread does not wait for the client
            clear_untrusted_proxy_headers=False,  # the app does, of all that it believes
        )
        self._server.adj.send_bytes = SEND_BYTES  # not given above, which would warn of it
        own = {"headers": headers(settings)}
        self._server.channel_class = type("Channel", (Channel,), own)
        self._next_look = 0.0

    def run(self, stop) -> None:
        """Serve until `stop` is set (a threading.Event, or alike)."""
        watchdog = supervision.Watchdog()
        while not stop.is_set():
            self._step(0.5)
            watchdog.beat()
            self._drop_slow_clients()
        log.info("stopping")
        supervision.tell("STOPPING=1")
        self._drain()

    def _most(self) -> int:
        return min(MAX_CONNECTIONS, self._room)

    def _step(self, seconds: float) -> None:
        loop = self._server.asyncore.loop
        loop(timeout=seconds, use_poll=True, map=self._server._map, count=1)

    def _drop_slow_clients(self) -> None:
        """End connections whose client takes too long; of a crowd also those that wait longest."""
        channels = list(self._server.active_channels.values())
        crowded = len(channels) >= self._most()
        if time.monotonic() < self._next_look and not crowded:
            return
        self._next_look = time.monotonic() + 0.5
        room = min(ROOM, self._most() // 2)
        waiting = sorted((c for c in channels if c.waits()), key=Channel.waits, reverse=True)
        for number, channel in enumerate(waiting):
            if channel.waits() > channel.patience() or (crowded and number < room):
                channel.will_close = True

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


def _room() -> int:
    """How many connections there are files for: each is one, and what is sent by it another."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unbounded = resource.RLIM_INFINITY
    if soft != unbounded and soft < FILES:  # often 1024, for the sake of programs that use select
        soft = FILES if hard == unbounded else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return FILES if soft == unbounded else max(10, (soft - OTHER_FILES) // 2)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError for what can't be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as e:
        text = getattr(e, "strerror", None) or e
        raise ConfigError(f"cannot listen on {host} port {port}: {text}") from None
