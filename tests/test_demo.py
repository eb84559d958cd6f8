"""`caelus demo` and `serve --simulate` as processes; real and simulated states stay apart."""

import contextlib
import http.cookiejar
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from caelus import cluster_mark, login_pages, migrate
from caelus.database import database, session
from tests.program import Program, wait_until

STATES = {"ready", "provisioning", "error", "deleting"}
# What the machine's own Caelus may have; a demo must not touch it.
FOREIGN = {"CAELUS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "CAELUS_HOST": "0.0.0.0"}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Demo:
    """A running `caelus demo`, with what it printed."""

    def __init__(self, tmp_path: pathlib.Path, *options: str, **settings: str):
        self.temporary = tmp_path / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.begun = time.monotonic()
        self.program = Program(TMPDIR=str(self.temporary), **FOREIGN | settings)
        self.process = subprocess.Popen(
            [*self.program.command, "demo", *options],
            env=self.program.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed = ""
        self._whole = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.printed += line
            if line.startswith("Ctrl-C"):
                self._whole.set()
        self._whole.set()

    def wait(self) -> "Demo":
        assert self._whole.wait(30)
        assert self.process.poll() is None, self.process.stderr.read()
        self.links = re.findall(r"(http://127\.0\.0\.1:\d+)(/login/\S+)", self.printed)
        self.url = self.links[0][0]
        self.env = dict(re.findall(r"(CAELUS_\w+)=(\S+)", self.printed))
        return self

    def log_in(self, link: tuple[str, str]):
        """A browser's `open`, logged in by a link."""
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        browser = urllib.request.build_opener(jar)
        request = urllib.request.Request("".join(link), data=b"", method="POST")
        request.add_header("Sec-Fetch-Site", "same-origin")
        browser.open(request, timeout=10)
        return lambda path: json.load(browser.open(self.url + path, timeout=10))

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(40)

    def left(self) -> list[pathlib.Path]:
        return list(self.temporary.glob("caelus-demo-*"))


@pytest.fixture
def demo(tmp_path):
    """demo(*options, **settings) starts one; those that still run are ended."""
    with contextlib.ExitStack() as running:

        def start(*options: str, **settings: str) -> Demo:
            started = Demo(tmp_path, *options, **settings)
            running.callback(started.end)
            return started

        yield start


# The demo


def test_a_demo_shows_deployments_in_all_states_within_a_minute(demo):
    shown = demo().wait()
    as_admin, as_user = map(shown.log_in, shown.links)
    assert as_admin("/me")["is_admin"] and not as_user("/me")["is_admin"]
    assert len({product["icon_url"] for product in as_user("/products")} - {None}) == 3

    def states():
        found = {d["id"]: d["status"] for d in as_admin("/deployments")}
        is_over = found[4] == found[5] == found[6] == "error" and found[8] == "deleting"
        return found if is_over else None

    found = wait_until(states, 40)
    assert time.monotonic() < shown.begun + 60
    assert {*found.values()} == STATES
    causes = {d["id"]: d["cause"] and d["cause"]["code"] for d in as_admin("/deployments")}
    assert (causes[4], causes[5], causes[6]) == ("crash_loop", "image_pull", "image_pull")
    rolled_back = as_admin("/users/3/deployments/5")
    assert rolled_back["applied_template_id"] < rolled_back["desired_template_id"]
    behind = as_user("/users/2/deployments/2")
    product = as_user(f"/products/{behind['desired_template']['product_id']}")
    assert behind["desired_template_id"] < product["template_id"]
    for schema in (t["values_schema_json"] for t in as_user("/products/1/templates")):
        assert all(field["title"] for field in schema["properties"]["user"]["properties"].values())

    # The command line sees the same, by what the demo says to type.
    (row,) = Program(**shown.env).yaml("list-all-deployments", "--status=deleting")
    assert row["id"] == 8
    checkup = json.loads(Program(**shown.env).run("doctor", "--json").stdout)
    assert [c for c in checkup["checks"] if c["status"] == "failed"] == []

    (directory,) = shown.left()
    assert shown.env["CAELUS_DATA_DIR"] == str(directory)
    assert shown.end() == 0
    assert shown.left() == []
    assert "Traceback" not in shown.process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ends_of_a_demo_are_clean_too(demo, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{signal.Signals(number).name} is ignored here, as by nohup")
    shown = demo().wait()
    assert (shown.end(number), shown.left()) == (0, [])


def test_a_killed_demo_leaves_a_directory_and_nothing_else(demo, tmp_path):
    shown = demo(HOME=str(tmp_path / "home"), XDG_DATA_HOME=str(tmp_path / "home")).wait()
    shown.end(signal.SIGKILL)
    assert len(shown.left()) == 1
    assert not (tmp_path / "home").exists()
    assert not pathlib.Path(os.environ["CAELUS_DATA_DIR"]).exists()


def test_a_kept_demo_goes_on_from_where_it_was(demo, tmp_path):
    shown = demo("--keep").wait()
    assert shown.end() == 0
    (directory,) = shown.left()
    again = demo(f"--data-dir={directory}").wait()
    assert len(again.log_in(again.links[0])("/users")) == 3
    assert again.end() == 0
    assert directory.exists()


def test_a_taken_port_is_not_taken_again(demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = demo(f"--port={port}")
        assert shown.end(0) == 1
        told = shown.process.stderr.read()
    assert told.startswith(f"cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert shown.left() == []


def test_without_a_port_another_one_is_found(demo):
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", 8000)):
        assert not demo().wait().url.endswith(":8000")


@on_sqlite
def test_a_demo_keeps_off_a_directory_that_is_in_use(demo, cli, tmp_path):
    (tmp_path / "data").mkdir(exist_ok=True)
    make_deployment(cli)
    copy_of(tmp_path / "caelus.db", tmp_path / "data" / "caelus.db")
    shown = demo(f"--data-dir={tmp_path / 'data'}")
    assert shown.end(0) == 1
    assert shown.process.stderr.read() == f"{cluster_mark.REAL}\n"


def copy_of(database: pathlib.Path, copy: pathlib.Path) -> None:
    """A backup, as SQLite makes one."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))


def test_a_demo_goes_on_with_a_simulation_of_ones_own(demo, tmp_path):
    own = {"CAELUS_DATA_DIR": str(tmp_path / "own data"), "CAELUS_SIMULATE": "1"}
    program = Program(**own, CAELUS_DATABASE_URL="")
    program.yaml("migrate")
    program.yaml("create-user", "me@example.org", "--admin")
    program.yaml("create-product", "Notes")
    chart = ("--chart-ref=oci://registry.example.org/notes", "--chart-version=1.0.0")
    program.yaml("create-template", "--product-id=1", *chart)
    for number in range(1, 13):  # the last ones come up after the eighth
        new = f"--domainname=d{number}.example.org"
        program.yaml("create-deployment", "--user-id=1", "--desired-template-id=1", new)
    shown = demo(f"--data-dir={tmp_path / 'own data'}").wait()
    assert len(shown.links) == 1
    assert shown.printed.count(f"CAELUS_DATA_DIR='{tmp_path}/own data'") == 1
    as_admin = shown.log_in(shown.links[0])

    def states():
        return {d["status"] for d in as_admin("/deployments")} == {"ready"}

    wait_until(states, 40)
    assert shown.end() == 0
    events = program.yaml("list-all-events", "--limit=500")
    assert not [e for e in events if e["type"] in ("delete_requested", "updated")]


def test_a_demo_logs_as_one_wants_it(demo):
    shown = demo(CAELUS_LOG_FORMAT="json", CAELUS_LOG_LEVEL="INFO").wait()
    assert shown.end() == 0
    assert all(map(json.loads, shown.process.stderr.read().splitlines()))


def test_a_demo_is_not_kept_where_no_directory_is_named(demo):
    shown = demo("--data-dir=")
    assert shown.end(0) == 2
    assert shown.process.stderr.read().startswith("--data-dir needs a directory\n")


# Every answer and every page says so


def answer(url: str, method: str = "GET", **headers: str):
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return found.headers, found.read().decode()
    except urllib.error.HTTPError as e:
        return e.headers, e.read().decode()


@on_sqlite
def test_every_answer_says_that_it_is_a_simulation(database_url):
    with Program().serve("--simulate", "--workers=0") as server:
        paths = ("/healthz", "/", "/docs", "/users", "/nowhere", "/login/x", "/openapi.json")
        for path in (*paths, "/docs/assets/swagger_style.css"):
            headers, page = answer(server.url + path)
            assert headers["Caelus-Simulated"] == "true", path
            if path in ("/docs", "/login/x"):
                assert login_pages.SIMULATION in page
        headers, _ = answer(f"{server.url}/users", **{"X-Long": "x" * 40_000})
        assert headers["Caelus-Simulated"] == "true"
        assert any("the cluster is simulated" in line for line in server.log)
    with Program(
        CAELUS_DATA_DIR="real", CAELUS_DATABASE_URL=f"{database_url}.real"
    ).serve() as real:
        headers, page = answer(f"{real.url}/docs")
        assert "Caelus-Simulated" not in headers and login_pages.SIMULATION not in page


# Real and simulated states stay apart


def make_deployment(run) -> None:
    assert run("create-user", email="ada@example.org").ok
    assert run("create-product", name="Notes").ok
    chart = {"chart_ref": "oci://registry.example.org/notes", "chart_version": "1.0.0"}
    assert run("create-template", product_id=1, **chart).ok
    new = {"desired_template_id": 1, "domainname": "a.example.org"}
    assert run("create-deployment", user_id=1, **new).ok


COMMANDS = [("serve", "--port=0"), ("reconcile",), ("reconcile", "1"), ("reconcile", "--watch")]


@on_sqlite
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_may_be_real_is_not_simulated(cli, command):
    make_deployment(cli)
    done = Program(CAELUS_SIMULATE="1").run(*command, timeout=30)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, cluster_mark.REAL)
    assert cli("get-deployment", user_id=1, deployment_id=1).document["status"] == "provisioning"


@on_sqlite
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_simulated_is_not_taken_for_real(settings, command):
    simulated = Program(CAELUS_SIMULATE="1")
    assert simulated.yaml("reconcile") == []
    done = Program().run(*command, timeout=30)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, cluster_mark.SIMULATED)
    assert simulated.yaml("reconcile") == []


@on_sqlite
def test_what_is_refused_keeps_its_older_schema(settings):
    with Program().serve():
        pass
    newest = migrate.newest()[-1]
    with session():
        database.execute_sql("DELETE FROM migratehistory WHERE name = ?", (newest,))
    assert Program().run("serve", "--simulate", timeout=30).returncode == 1
    with session():
        assert newest not in migrate.applied()


@on_sqlite
def test_a_serve_that_cannot_greet_ends_cleanly(settings):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*Program().command, "serve", "--port=0"],
            env=Program().env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_served_database_stays_real_though_nothing_is_in_it(settings):
    with Program().serve():
        pass
    done = Program().run("serve", "--simulate", timeout=30)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, cluster_mark.REAL)


@on_sqlite
def test_the_mark_goes_along_with_a_backup(settings, tmp_path):
    assert Program(CAELUS_SIMULATE="1").yaml("reconcile") == []
    copy_of(tmp_path / "caelus.db", tmp_path / "copy.db")
    copy = {"CAELUS_DATABASE_URL": f"sqlite:///{tmp_path / 'copy.db'}"}
    assert Program(**copy).run("reconcile").stderr.endswith(f"{cluster_mark.SIMULATED}\n")


@on_sqlite
def test_the_doctor_tells_the_kinds_apart(settings):
    def found(**settings: str) -> dict:
        checks = json.loads(Program(**settings).run("doctor", "--json").stdout)["checks"]
        return next((c for c in checks if c["name"] == "kind of cluster"), {})

    assert found() == {}
    assert Program(CAELUS_SIMULATE="1").yaml("reconcile") == []
    assert found(CAELUS_SIMULATE="1")["status"] == "ok"
    assert found()["status"] == "failed"
    assert found()["next_step"].startswith("go on with CAELUS_SIMULATE=1")
