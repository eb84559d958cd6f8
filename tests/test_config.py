"""Settings and the log: where they come from, and how they show."""

import contextlib
import logging
import os
import pathlib
import re

import pytest

from caelus import config, logs, settings
from caelus.cli import main
from caelus.errors import ConfigError

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| (\S+) +\| (caelus\.\w+) \| (.*)"


# Where settings come from


def test_without_settings_there_are_defaults(monkeypatch):
    monkeypatch.setattr(config, "K3S_KUBECONFIG", "/nowhere")
    loaded = config.load({})
    assert (loaded.host, loaded.port, loaded.workers) == ("127.0.0.1", 8000, 2)
    assert (loaded.helm, loaded.kubectl, loaded.kubeconfig) == ("helm", "kubectl", None)
    assert (loaded.log_level, loaded.warnings) == ("INFO", ())
    assert loaded.database_url == f"sqlite:///{loaded.data_dir}/caelus.db"
    assert loaded.is_sqlite


@pytest.mark.parametrize("name", ["host", "port", "workers"])
def test_a_flag_wins_over_the_environment_and_that_over_the_default(name):
    environ = {f"CAELUS_{name.upper()}": "61"}
    assert str(getattr(config.load(environ), name)) == "61"
    assert str(getattr(config.load(environ, **{name: "62"}), name)) == "62"
    assert getattr(config.load(environ, **{name: None}), name) == getattr(
        config.load(environ), name
    )


def test_an_empty_setting_is_none_at_all():
    empty = dict.fromkeys(settings.SETTINGS, "") | {"DATABASE_URL": "", "XDG_DATA_HOME": ""}
    assert config.load(empty) == config.load({})
    assert not config.no_color(empty)


def test_caelus_own_database_url_wins_over_the_common_one():
    urls = {"DATABASE_URL": "postgresql://a", "CAELUS_DATABASE_URL": "postgresql://b"}
    assert config.load(urls).database_url == "postgresql://b"
    del urls["CAELUS_DATABASE_URL"]
    assert config.load(urls).database_url == "postgresql://a"
    assert not config.load(urls).is_sqlite


@pytest.mark.parametrize(
    ("user", "environ", "expected"),
    [
        (0, {}, "/var/lib/caelus"),
        (0, {"XDG_DATA_HOME": "/x"}, "/var/lib/caelus"),
        (1000, {}, "/home/ada/.local/share/caelus"),
        (1000, {"XDG_DATA_HOME": "/x"}, "/x/caelus"),
        (1000, {"CAELUS_DATA_DIR": "/srv/c", "XDG_DATA_HOME": "/x"}, "/srv/c"),
        (0, {"CAELUS_DATA_DIR": "/srv/c"}, "/srv/c"),
    ],
)
def test_the_data_are_where_such_a_user_expects_them(monkeypatch, user, environ, expected):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("HOME", "/home/ada")
    loaded = config.load(environ)
    assert loaded.data_dir == pathlib.Path(expected)
    assert loaded.database_url == f"sqlite:///{expected}/caelus.db"


def test_a_relative_data_directory_is_below_the_present_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    loaded = config.load({"CAELUS_DATA_DIR": "here"})
    assert loaded.database_url == f"sqlite:///{tmp_path}/here/caelus.db"


def test_the_cluster_is_kubeconfigs_or_else_that_of_k3s(monkeypatch, tmp_path):
    k3s = tmp_path / "k3s.yaml"
    monkeypatch.setattr(config, "K3S_KUBECONFIG", str(k3s))
    assert config.load({}).kubeconfig is None
    k3s.touch()
    assert config.load({}).kubeconfig == str(k3s)
    assert config.load({"KUBECONFIG": "/a:/b"}).kubeconfig == "/a:/b"


# Settings that make no sense


@pytest.mark.parametrize("text", ["x", "-1", "65536", "1.0", "1e3", "１", " 1", "9" * 5000])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        config.load({"CAELUS_PORT": text})
    assert caught.value.detail == f"port must be a whole number from 0 to 65535, not {text!r}"


@pytest.mark.parametrize("text", ["two", "65", "-1", ""])
def test_a_number_of_workers_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="^workers must be a whole number from 0 to 64, not '"):
        config.load({}, workers=text)


def test_a_log_level_may_be_of_any_case_but_must_be_one(monkeypatch, capsys):
    assert config.load({"CAELUS_LOG_LEVEL": "debug"}).log_level == "DEBUG"
    monkeypatch.setenv("CAELUS_LOG_LEVEL", "LOUD")
    assert main(["list-users"]) == 1
    assert capsys.readouterr() == (
        "",
        "CAELUS_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'LOUD'\n",
    )


def test_an_unknown_setting_is_warned_of_with_what_was_meant(monkeypatch, capsys):
    monkeypatch.setenv("CAELUS_DATABSE_URL", "x")
    monkeypatch.setenv("CAELUS_COLOUR_OF_THE_SKY", "x")
    monkeypatch.setenv("CAELUS_TEST_SOMETHING", "x")
    assert main(["list-users"]) == 0
    told = re.sub(r" \[[0-9a-f]{16}\]$", "", capsys.readouterr().err, flags=re.MULTILINE)
    lines = [re.fullmatch(LINE, line).groups() for line in told.splitlines()]
    assert [line for line in lines if line[0] == "WARNING"] == [
        ("WARNING", "caelus.cli", "unknown setting CAELUS_COLOUR_OF_THE_SKY is ignored"),
        (
            *("WARNING", "caelus.cli"),
            "unknown setting CAELUS_DATABSE_URL is ignored; did you mean CAELUS_DATABASE_URL?",
        ),
    ]


# The log


def test_the_log_is_lines_on_stderr_and_the_document_alone_on_stdout(capsys):
    assert main(["migrate"]) == 0
    capsys.readouterr()
    assert main(["create-user", "ada@example.org"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("id: 1\n")
    assert [re.fullmatch(LINE, line)[1] for line in err.splitlines()] == ["INFO"]
    assert "\x1b" not in err


@pytest.mark.parametrize(("level", "lines"), [("ERROR", 0), ("WARNING", 1), ("info", 2)])
def test_the_level_says_what_is_logged(monkeypatch, capsys, level, lines):
    assert main(["migrate"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("CAELUS_LOG_LEVEL", level)
    monkeypatch.setenv("CAELUS_UNKNOWN", "x")
    assert main(["create-user", "ada@example.org"]) == 0
    assert capsys.readouterr().err.count("\n") == lines


def shown_on_a_terminal(monkeypatch, *argv: str) -> str:
    """What a command that is refused writes to stderr, which is a terminal."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stderr, monkeypatch.context() as meanwhile:
        meanwhile.setattr("sys.stderr", stderr)
        assert main(list(argv)) == 1
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while chunk := terminal.read(4096):  # until EIO: the other end is closed
            shown += chunk
    return shown.decode()


def test_on_a_terminal_levels_and_errors_are_coloured(monkeypatch):
    monkeypatch.setenv("CAELUS_UNKNOWN", "x")
    warning, info, *_, error = shown_on_a_terminal(monkeypatch, "get-user", "7").splitlines()
    assert " | \x1b[33mWARNING \x1b[0m | caelus.cli | unknown setting" in warning
    assert " | \x1b[32mINFO    \x1b[0m | caelus.migrate | applied" in info
    assert error == "\x1b[31muser 7 not found\x1b[0m"


def test_with_no_color_there_is_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = shown_on_a_terminal(monkeypatch, "get-user", "7")
    assert "user 7 not found" in shown
    assert "\x1b" not in shown


def test_a_message_stays_on_its_line_and_does_not_drive_the_terminal(capsys):
    logs.configure("INFO")
    logging.getLogger("caelus.test").warning("a\nb\r\tc\x1b[2Jd\x7f\x9b1m %s", "é😀\x00")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r" | caelus.test | a\x0ab\x0d\x09c\x1b[2Jd\x7f\x9b1m é😀\x00")


def test_a_sentence_stays_on_its_line_too(capsys):
    assert main(["get-user", "7\n\x1b[2J"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        r"user 7\x0a\x1b[2J not found: an id is a whole number"
    )


def test_what_can_not_be_encoded_is_logged_all_the_same(tmp_path, monkeypatch):
    with open(tmp_path / "log", "w", encoding="ascii", errors="backslashreplace") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        logs.configure("INFO")
        logging.getLogger("caelus.test").error("lone \ud800")
    assert (tmp_path / "log").read_text().endswith("| caelus.test | lone \\ud800\n")


def test_other_libraries_speak_only_of_trouble(capsys):
    logs.configure("DEBUG")
    logging.getLogger("peewee").debug("SELECT secret")
    logging.getLogger("plumbum.local").info("running")
    logging.getLogger("anything").warning("trouble")
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()] == ["trouble"]
