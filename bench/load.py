"""A client that asks as fast as it is answered, in a process of its own."""

import concurrent.futures
import multiprocessing
import socket
import statistics
import threading
import time
import urllib.parse
from typing import NamedTuple

from bench import place
from tests import admin

TURNS = 5


class Pace(NamedTuple):
    """`p50` and `p99` are milliseconds, `cpu` those that the server computed for a request."""

    per_second: float
    p50: float
    p99: float
    cpu: float = 0


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request by the admin, as it goes over the line."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: {admin.BEARER}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def pace(url: str, requests: list[bytes], connections: int) -> Pace:
    """Send the requests over so many kept connections. Raises RuntimeError for a refusal."""
    with _client() as client:
        return client.submit(_pace, url, requests, connections).result()


def in_turns(servers: list[tuple], requests: list[bytes], connections: int) -> list[Pace]:
    """The pace of each server (its URL and pid); they take turns, so that what else the machine
    does is for all."""
    with _client() as client:
        rounds = [
            [_turn(client, *server, requests[n::TURNS], connections) for server in servers]
            for n in range(TURNS)
        ]
    return [_middle(paces) for paces in zip(*rounds, strict=True)]


def _client() -> concurrent.futures.ProcessPoolExecutor:
    return concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    )


def _turn(client, url: str, pid: int, requests: list[bytes], connections: int) -> Pace:
    before = place.computed(pid)
    found = client.submit(_pace, url, requests, connections).result()
    return found._replace(cpu=(place.computed(pid) - before) / len(requests))


def _middle(paces: tuple[Pace, ...]) -> Pace:
    return Pace(*(statistics.median(figures) for figures in zip(*paces, strict=True)))


def _pace(url: str, requests: list[bytes], connections: int) -> Pace:
    took: list[float] = []
    wrong: list[bytes] = []
    server = urllib.parse.urlsplit(url)
    threads = [
        threading.Thread(
            target=_converse,
            args=(server.hostname, server.port, requests[n::connections], took, wrong),
        )
        for n in range(connections)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if wrong:
        raise RuntimeError(f"the server answered {wrong[0][:200]!r}")
    cuts = statistics.quantiles(took, n=100)
    return Pace(len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000)


def _converse(host: str, port: int, requests: list[bytes], took: list, wrong: list) -> None:
    with socket.create_connection((host, port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for sent in requests:
            started = time.perf_counter()
            line.sendall(sent)
            head, body = _answer(line)
            took.append(time.perf_counter() - started)
            if not head.startswith(b"HTTP/1.1 20"):
                wrong.append(head + body)
                return


def _answer(line: socket.socket) -> tuple[bytes, bytes]:
    got = b""
    while b"\r\n\r\n" not in got:
        got += line.recv(65536) or _closed()
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    parts, left = [body], length - len(body)
    while left > 0:
        part = line.recv(65536) or _closed()
        parts.append(part)
        left -= len(part)
    return head, b"".join(parts)


def _closed():
    raise ConnectionError("the server closed the connection")
