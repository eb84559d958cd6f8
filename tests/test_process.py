"""Child processes: what goes in, what comes out, and how they are brought to an end."""

import logging
import os
import pathlib
import re
import threading
import time

import pytest

from caelus import config, process
from caelus.errors import Cancelled
from caelus.process import ToolError, Tools, ToolTimeout
from tests.program import wait_until

SECRET = "correct-horse-battery"


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """stub(script) gives tools whose helm is this shell script; it runs in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def tools(script: str) -> Tools:
        path = tmp_path / "bin" / "helm"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CAELUS_HELM", str(path))
        return Tools(config.load())

    return tools


# In and out


def test_stdout_is_given_and_stderr_is_not(stub):
    tools = stub('echo "$1 and $2"; echo noise >&2')
    assert tools.helm("one", "two words", timeout=10) == "one and two words\n"


def test_kubectl_is_run_as_helm_is(tmp_path, monkeypatch):
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "$0"; cat\n')
    program.chmod(0o755)
    monkeypatch.setenv("CAELUS_KUBECTL", str(program))
    tools = Tools(config.load())
    assert tools.kubectl("get", stdin="in", timeout=10) == f"{program}\nin"


def test_a_program_runs_though_the_working_directory_is_gone(stub, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert stub("pwd").helm("list", timeout=10) == "/\n"


def test_of_megabytes_that_a_program_says_the_ends_are_kept():
    """They may repeat a user's value, over which patterns would take minutes."""
    assert process.bounded("a\nb\n") == "a\nb\n"
    kept = process.bounded("x" * 1_000_000 + "\n" + "line\n" * 100_000 + "last")
    assert kept.startswith("xxx") and kept.endswith("last")
    assert len(kept) < 2 * process.LINES * 10 + process.LONG


def test_a_failure_carries_the_exit_code_and_what_was_said(stub):
    tools = stub("echo out; echo Error: no such chart >&2; exit 3")
    with pytest.raises(ToolError) as caught:
        tools.helm("get", timeout=10)
    assert caught.value.detail == "helm failed with exit code 3"
    assert caught.value.output == "Error: no such chart\n"


def test_megabytes_go_in_and_come_out_at_the_same_time(stub):
    text = "é4567" * 700_000  # over 4 MiB
    assert stub("cat; echo >&2").helm(stdin=text, timeout=30) == text


def test_megabytes_that_nobody_reads_do_no_harm(stub):
    assert stub("echo done").helm(stdin="x" * 4 * 1024 * 1024, timeout=30) == "done\n"


def test_without_input_stdin_is_empty(stub):
    assert stub("cat; echo end").helm(timeout=10) == "end\n"


def test_output_that_is_no_utf8_is_made_so(stub):
    tools = stub(r"printf 'a\377b'; printf 'c\376d' >&2; exit $1")
    assert tools.helm("0", timeout=10) == "a\ufffdb"
    with pytest.raises(ToolError) as caught:
        tools.helm("1", timeout=10)
    assert caught.value.output == "c\ufffdd"


def test_threads_do_not_mix_up_their_programs(stub):
    tools = stub('echo "$1" >&2; cat; exit 1')
    said = {}

    def run(number: int) -> None:
        with pytest.raises(ToolError) as caught:
            tools.helm(str(number), stdin=f"in {number}", timeout=30)
        said[number] = caught.value.output

    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: f"{number}\n" for number in range(16)}


def test_nothing_stays_open_afterwards(stub):
    tools = stub("cat")
    tools.helm(timeout=10)
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        tools.helm(stdin="x", timeout=10)
    assert len(os.listdir("/dev/fd")) < before + 20  # other tests' leftovers come and go


# The environment


def environment(tools: Tools) -> dict[str, str]:
    lines = tools.helm(timeout=10).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_settings_and_the_databases_password_stay_with_caelus(stub, monkeypatch):
    for name in ("CAELUS_DATABASE_URL", "DATABASE_URL", "PGPASSWORD", "CAELUS_LOG_LEVEL"):
        monkeypatch.setenv(name, "INFO")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org")
    seen = environment(stub("env"))
    assert [name for name in seen if name.startswith(("CAELUS_", "DATABASE", "PG"))] == []
    assert seen["HTTPS_PROXY"] == "http://proxy.example.org"
    assert seen["PATH"] == os.environ["PATH"]


def test_helm_has_homes_of_its_own(stub, monkeypatch, tmp_path):
    monkeypatch.setenv("HELM_CONFIG_HOME", "/home/ada/.config/helm")
    seen = environment(stub("env"))
    homes = {name: seen[f"HELM_{name}_HOME"] for name in ("CACHE", "CONFIG", "DATA")}
    assert homes == {name: f"{tmp_path}/data/helm/{name.lower()}" for name in homes}
    assert (seen["HELM_NO_PLUGINS"], seen["NO_COLOR"]) == ("1", "1")


def test_the_cluster_is_the_one_that_kubeconfig_names(stub, monkeypatch):
    monkeypatch.setattr(config, "K3S_KUBECONFIG", "/nowhere")
    assert "KUBECONFIG" not in environment(stub("env"))
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    assert environment(stub("env"))["KUBECONFIG"] == "/a:/b"


def test_the_cluster_is_k3s_where_there_is_one(stub, monkeypatch, tmp_path):
    (tmp_path / "k3s.yaml").touch()
    monkeypatch.setattr(config, "K3S_KUBECONFIG", str(tmp_path / "k3s.yaml"))
    assert environment(stub("env"))["KUBECONFIG"] == str(tmp_path / "k3s.yaml")


# The end

# Each keeps a write end of the pipe open for as long as it lives.
DEAF_CHILD = "exec 3>alive; trap '' TERM; sleep 60 & sleep 60"
DEAF_GRANDCHILD = "exec 3>alive; (trap '' TERM; sleep 60) & trap 'exit 1' TERM; wait"


@pytest.fixture
def alive(tmp_path):
    """Is any process left of a script that opened the pipe `alive`?"""
    os.mkfifo(tmp_path / "alive")
    pipe = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)

    def somebody() -> bool:
        try:
            return os.read(pipe, 1) != b""
        except BlockingIOError:
            return True

    yield somebody
    os.close(pipe)


@pytest.mark.parametrize("script", [DEAF_CHILD, DEAF_GRANDCHILD])
def test_after_the_deadline_nobody_is_left_not_even_the_deaf(stub, alive, monkeypatch, script):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(ToolTimeout, match="^helm took longer than 1 s$"):
        stub(script).helm(timeout=1)
    assert time.monotonic() - started < 10

    def all_gone():
        return not alive()

    wait_until(all_gone, 10)


def test_what_was_said_before_the_deadline_is_not_lost(stub):
    with pytest.raises(ToolTimeout) as caught:
        stub("echo waiting for pods >&2; sleep 60").helm(timeout=0.5)
    assert caught.value.output == "waiting for pods\n"


def run_until_cancelled(tools: Tools, started: pathlib.Path) -> tuple[Exception, float]:
    """The error of a program that is cancelled once the file is there, and how long that took."""
    ended = []

    def run() -> None:
        try:
            tools.helm("upgrade", timeout=60)
        except ToolError as e:
            ended.append(e)
        except Cancelled as e:
            ended.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(started.exists)
    before = time.monotonic()
    tools.cancel.set()
    thread.join(30)
    return ended[0], time.monotonic() - before


def test_cancel_ends_the_program_gently_and_at_once(stub, tmp_path):
    tools = stub("trap 'echo asked >asked; exit 1' TERM; touch started; sleep 60 & wait")
    error, seconds = run_until_cancelled(tools, tmp_path / "started")
    assert isinstance(error, Cancelled)
    assert error.detail == "helm was stopped because Caelus is stopping"
    assert (tmp_path / "asked").read_text() == "asked\n"
    assert seconds < 2  # it is seen within 0.1 s; the rest is for a busy machine


def test_a_program_that_ignores_cancel_is_killed(stub, tmp_path, alive, monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    tools = stub("touch started; " + DEAF_CHILD)
    error, _ = run_until_cancelled(tools, tmp_path / "started")
    assert isinstance(error, Cancelled)
    wait_until(lambda: not alive(), 10)


def test_once_cancelled_nothing_is_started(stub, tmp_path):
    tools = stub("touch started")
    tools.cancel.set()
    with pytest.raises(Cancelled):
        tools.helm(timeout=10)
    assert not (tmp_path / "started").exists()


# Programs that can't be run


@pytest.mark.parametrize("name", ["helm", "kubectl"])
def test_a_program_that_is_missing_is_told_with_what_to_do(monkeypatch, name):
    monkeypatch.setenv(f"CAELUS_{name.upper()}", "caelus-test-no-such-program")
    with pytest.raises(ToolError) as caught:
        getattr(Tools(config.load()), name)(timeout=10)
    assert caught.value.detail == (
        "cannot run caelus-test-no-such-program: not found; "
        f"install {name} on the PATH or set CAELUS_{name.upper()}"
    )


def test_a_program_that_may_not_be_run_is_told_with_the_reason(stub, tmp_path):
    tools = stub("true")
    (tmp_path / "bin" / "helm").chmod(0o644)
    with pytest.raises(ToolError) as caught:
        tools.helm(timeout=10)
    assert caught.value.detail == (
        f"cannot run {tmp_path}/bin/helm: Permission denied; "
        "install helm on the PATH or set CAELUS_HELM"
    )


def test_a_program_of_another_name_is_still_helm(tmp_path, monkeypatch):
    monkeypatch.setenv("CAELUS_HELM", str(tmp_path / "helm-4.1"))
    with pytest.raises(ToolError, match="install helm on the PATH or set CAELUS_HELM$"):
        Tools(config.load()).helm(timeout=10)


# The log


def test_each_program_is_one_line_of_the_log(stub, caplog):
    tools = stub("exit $1")
    with caplog.at_level(logging.INFO, "caelus"), pytest.raises(ToolError):
        tools.helm("7", "two words", timeout=10)
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("INFO", "caelus.process")
    assert re.fullmatch(r"helm 7 'two words': exit 7 after \d+\.\d s", record.getMessage())


@pytest.mark.parametrize("script", ["exit 1", "sleep 60", "cat >&2; exit 1"])
def test_nothing_of_stdin_gets_anywhere_else(stub, caplog, script):
    tools = stub(f'echo "$@" >argv; env >env; {script}')
    with caplog.at_level(logging.DEBUG), pytest.raises(ToolError) as caught:
        tools.helm("upgrade", stdin=SECRET, timeout=0.5)
    shown = [str(caught.value), repr(caught.value), caplog.text]
    written = [pathlib.Path(name).read_text() for name in ("argv", "env")]
    assert not any(SECRET in text for text in shown + written)
