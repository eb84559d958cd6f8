"""Clients that are slow, many, large or wrong: the others are still answered."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import resource
import socket
import threading
import time
import urllib.parse

import pytest

from caelus import config, database, server, templates
from caelus.errors import Conflict
from caelus.events import Author
from caelus.models import Event
from caelus.refusals import ADDRESSES, RECORDED, TOLERATED, WINDOW_SECONDS, Refusals
from tests import admin
from tests.program import Program, wait_until

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GOOD = {"Authorization": admin.BEARER}
BAD = {"Authorization": "Bearer caelus_bad"}
BEGUN = b"GET /products HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def address(rest, monkeypatch):
    """Where a server of this process listens, which has little patience."""
    monkeypatch.setenv("CAELUS_PORT", "0")
    monkeypatch.setattr(server, "ARRIVE_SECONDS", 1)
    stop = threading.Event()
    running = server.Server(config.load())
    thread = threading.Thread(target=running.run, args=[stop])
    thread.start()
    yield "127.0.0.1", urllib.parse.urlsplit(running.url).port
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def connect(address, first: bytes = b"") -> socket.socket:
    connection = socket.create_connection(address, timeout=20)
    connection.sendall(first)
    return connection


def ask(address, path="/products", method="GET", headers=GOOD, body=None):
    """Status and document of a request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


# Slow


def test_a_request_that_does_not_arrive_is_dropped_however_alive_it_looks(address):
    slow, begun = connect(address, BEGUN), time.monotonic()
    with pytest.raises(OSError):  # reset or a broken pipe
        while time.monotonic() < begun + 15:
            slow.sendall(b"X")
            time.sleep(0.1)
    assert 1 <= time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"G",
        BEGUN,
        b"POST /products HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /products HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "a letter", "headers", "a body", "chunks"],
)
def test_a_client_that_falls_silent_is_dropped(address, first):
    begun = time.monotonic()
    assert connect(address, first).recv(100) == b""
    assert 1 <= time.monotonic() - begun < 5


def test_a_client_that_does_not_take_its_answer_is_dropped(address, monkeypatch):
    monkeypatch.setattr(server, "SEND_SECONDS", 1)
    bundle = b"/docs/assets/swagger_bundle.js"
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(address)
    slow.settimeout(20)
    slow.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % bundle * 10)  # 15 MB
    time.sleep(4)
    with contextlib.suppress(ConnectionResetError):
        assert sum(map(len, iter(lambda: slow.recv(65536), b""))) < 12_000_000


def test_a_connection_that_is_used_stays(address):
    connection = http.client.HTTPConnection(*address, timeout=20)
    for _ in range(4):
        connection.request("GET", "/products", headers=GOOD)
        assert connection.getresponse().read() == b"[]"
        port = connection.sock.getsockname()[1]
        time.sleep(0.5)
    assert connection.sock.getsockname()[1] == port


def test_a_small_answer_is_sent_in_one_piece(address, monkeypatch):
    sent, send = [], server.Channel.send
    monkeypatch.setattr(
        server.Channel,
        "send",
        lambda self, *given, **o: sent.append(given) or send(self, *given, **o),
    )
    assert [ask(address, path)[0] for path in ("/products", "/nowhere")] == [200, 404]
    assert len(sent) == 2


def test_a_handler_that_takes_long_is_not_dropped(address, monkeypatch):
    """It is not the client who is slow."""
    find = database.page
    monkeypatch.setattr("caelus.products.page", lambda *a: time.sleep(3) or find(*a))
    assert ask(address) == (200, [])


def test_among_200_slow_connections_a_good_client_is_answered(address):
    slow = [connect(address, BEGUN) for _ in range(200)]
    begun = time.monotonic()
    assert ask(address) == (200, [])
    assert time.monotonic() - begun < 2
    assert all(connection.recv(100) == b"" for connection in slow)


def test_when_there_is_no_room_those_who_wait_longest_give_way(address, monkeypatch):
    monkeypatch.setattr(server, "ARRIVE_SECONDS", 60)
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 100)
    monkeypatch.setattr(server, "ROOM", 10)
    slow = [connect(address, BEGUN) for _ in range(130)]
    for _ in range(5):
        assert ask(address) == (200, [])
    assert slow[0].recv(100) == b""
    slow[-1].sendall(b"Authorization: %s\r\n\r\n" % admin.BEARER.encode())
    assert slow[-1].recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("limits", "room", "raised"),
    [
        ((1024, 20_000), 1998, (4096, 20_000)),
        ((1024, -1), 1998, (4096, -1)),
        ((1024, 1024), 462, (1024, 1024)),
        ((256, 300), 100, (300, 300)),
        ((50, 50), 10, (50, 50)),
        ((-1, -1), 4096, None),
        ((65_536, 65_536), 32_718, None),
    ],
)
def test_there_are_never_more_connections_than_files(
    database_url, monkeypatch, limits, room, raised
):
    asked = []
    monkeypatch.setattr(server.resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(server.resource, "setrlimit", lambda _, wanted: asked.append(wanted))
    assert server._room() == room
    assert asked == ([raised] if raised else [])


def test_bodies_in_files_of_their_own_do_not_use_up_all_files(tmp_path, database_url):
    """300 that arrive slowly, in a shell that lets a process open 256 unless it asks for more."""
    program = Program(CAELUS_DATA_DIR=str(tmp_path / "data"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(program.serve("--workers=0"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        address = "127.0.0.1", urllib.parse.urlsplit(running.url).port
        begun = b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
        for _ in range(300):
            stack.enter_context(connect(address, begun + b"a" * 600_000))
        started = time.monotonic()
        assert ask(address) == (200, [])
        assert time.monotonic() - started < 5
        assert not any("ERROR" in line for line in running.log)


def test_clients_that_ask_for_more_and_more_and_take_nothing_hold_no_thread(address):
    """As many as there are threads, and each answer larger than what a socket keeps."""
    many = b"GET /docs/assets/swagger_bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
    greedy = []
    for _ in range(8):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address)
        connection.sendall(many)
        greedy.append(connection)
    for _ in range(5):
        assert ask(address)[0] == 200
    for connection in greedy:
        connection.close()


def test_of_requests_sent_at_once_the_first_is_answered(address):
    connection = connect(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
    with connection, connection.makefile("rb") as answer:
        assert answer.read().count(b"HTTP/1.1 200 OK") == 1


def test_one_chart_is_resolved_at_a_time(rest):
    """Or a few would take all threads of the API."""
    with templates._resolving, pytest.raises(Conflict, match="another chart is being resolved"):
        templates.resolved(resolve=True, chart_ref="x", chart_version="1", product_id=1)
    with pytest.raises(Exception, match="product 1 not found"):
        templates.resolved(resolve=True, chart_ref="x", chart_version="1", product_id=1)
    assert not templates._resolving.locked()


# Large


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 10_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body_is_refused_and_not_kept(address, size, chunked):
    body = b" " * size
    headers = GOOD | {"Content-Type": "application/json"}
    if chunked:
        body = iter([body[n : n + 65536] for n in range(0, size, 65536)])
    status, problem = ask(address, "/products", "POST", headers, body)
    assert (status, problem["detail"]) == (413, "the body is over 1048576 bytes")


def test_no_more_of_a_large_body_is_kept_than_tells(database_url):
    body = server.Body(10_000_000)
    for _ in range(100):
        body.append(b"x" * 65536)
    assert 1024 * 1024 < len(body) <= 1024 * 1024 + 65536


def test_too_large_headers_are_refused(address):
    status, _ = ask(address, headers=GOOD | {"X-Large": "x" * 40_000})
    assert status == 431


def test_a_body_without_end_is_cut(address, monkeypatch):
    endless = connect(address, b"POST /products HTTP/1.1\r\nHost: localhost\r\n")
    endless.sendall(b"Content-Length: 99999999999\r\n\r\n")
    assert b" 413 " in endless.recv(1000)


# Wrong


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counted(settings):
    """Refusals with a clock that stands still."""
    refusals = Refusals(Clock())
    refusals.refuse = lambda address: refusals.note(Author("nobody", address=address), "bad")
    return refusals


def recorded(address: str) -> list[str]:
    mine = Event.select().where(Event.address == address).order_by(Event.id)
    return [event.message for event in mine]


def test_the_first_refusals_are_recorded_and_of_the_rest_the_number(counted):
    for number in range(1000):
        assert counted.refuse("192.0.2.1") == (number >= TOLERATED)
    assert not counted.refuse("192.0.2.2")
    assert recorded("192.0.2.1") == ["bad"] * RECORDED
    counted._clock.now += WINDOW_SECONDS
    counted.settle()
    assert recorded("192.0.2.1")[RECORDED:] == [f"{1000 - RECORDED} more were refused within 60 s"]
    assert recorded("192.0.2.2") == ["bad"]
    assert not counted.refuse("192.0.2.1")


def test_an_ipv6_client_does_not_get_away_by_changing_its_address(counted):
    outcomes = [counted.refuse(f"2001:db8::{number:x}") for number in range(TOLERATED + 1)]
    assert outcomes[-1]
    assert not counted.refuse("2001:db8:0:1::1")


def test_no_number_of_addresses_takes_all_memory(counted, monkeypatch):
    monkeypatch.setattr("caelus.refusals._record", lambda *_: None)
    for number in range(ADDRESSES + 5000):
        counted.refuse(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(counted._counts) <= ADDRESSES


def test_failed_attempts_are_limited_and_a_good_token_always_works(address):
    statuses = [ask(address, headers=BAD)[0] for _ in range(TOLERATED + 20)]
    assert statuses == [401] * TOLERATED + [429] * 20
    assert ask(address) == (200, [])
    connection = http.client.HTTPConnection(*address)
    connection.request("GET", "/products", headers=BAD)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    assert Event.select().where(Event.type == "refused").count() == RECORDED


@pytest.mark.slow
def test_200_slow_connections_and_10_000_bad_logins_starve_nobody(tmp_path, database_url):
    program = Program(CAELUS_DATA_DIR=str(tmp_path / "data"))
    with program.serve("--workers=0") as running:
        address = "127.0.0.1", urllib.parse.urlsplit(running.url).port
        slow = [connect(address, BEGUN) for _ in range(200)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            bad = [pool.submit(ask, address, headers=BAD) for _ in range(10_000)]
            times = []
            while not all(attempt.done() for attempt in bad):
                begun = time.monotonic()
                assert ask(address) == (200, [])
                times.append(time.monotonic() - begun)
            assert {attempt.result()[0] for attempt in bad} <= {401, 429}
        assert len(times) > 10
        assert max(times) < 3
        for connection in slow:
            connection.close()
        files = f"/proc/{running.process.pid}/fd"
        wait_until(lambda: len(os.listdir(files)) < 100)
        assert len([line for line in running.log if "nobody" in line]) < 50
