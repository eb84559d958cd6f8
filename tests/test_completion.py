"""Completion scripts, asked as real shells ask them."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from caelus import completion
from caelus.cli import main
from caelus.operations import BY_COMMAND, OPERATIONS

# As bash does on Tab, where the script asks it.
BASH_ASK = """
source "$1"
COMP_WORDBREAKS=$3 COMP_LINE=$2 COMP_POINT=${#2}
compopt() { options+="$* "; }
_caelus
printf '%s\\n' "${COMPREPLY[@]}"
printf '(%s)\\n' "${options% }"
"""
ZSH_START = """
PS1=READY; autoload -U compinit && compinit -u -D; source {script}
zstyle ':completion:*' list-separator ' -- '; setopt no_beep; LISTMAX=1000
"""
COMMANDS = {*(o.command for o in OPERATIONS), "serve", "migrate", "login", "help", "completion"}


def shell(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"no {name} here")


@pytest.fixture
def script(tmp_path, capsys):
    """script(shell): the file of what `caelus completion` prints for it."""

    def write(name: str):
        assert main(["completion", name]) == 0
        path = tmp_path / f"caelus.{name}"
        path.write_text(capsys.readouterr().out)
        return path

    return write


def ask_bash(script, line: str, breaks: str = " \t\n\"'><=;|&(:") -> list[str]:
    command = [shell("bash"), "--norc", "-c", BASH_ASK, "bash", str(script), line, breaks]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_bash_completes_commands(script):
    path = script("bash")
    *found, _ = ask_bash(path, "caelus ")
    assert {*found} > COMMANDS
    assert ask_bash(path, "caelus list-all-d") == ["list-all-deployments", "()"]
    assert ask_bash(path, "caelus --server=https://a:8000 list-all-d")[0] == "list-all-deployments"
    assert ask_bash(path, "caelus --server https://a list-all-d")[0] == "list-all-deployments"
    assert ask_bash(path, "caelus --se") == ["--server=", "(-o nospace)"]


def test_bash_completes_options_and_what_they_may_be(script, tmp_path):
    path = script("bash")
    assert ask_bash(path, "caelus list-jobs --")[:-1] == [
        *("--status=", "--deployment-id=", "--limit=", "--after=", "--before=", "--help")
    ]
    assert ask_bash(path, "caelus list-jobs --limit=1 --st") == ["--status=", "(-o nospace)"]
    assert ask_bash(path, "caelus list-jobs --status=") == [
        *("queued", "running", "done", "failed", "()")
    ]
    assert ask_bash(path, "caelus list-jobs --status=d") == ["done", "()"]
    assert ask_bash(path, "caelus list-jobs --status=d", " \t\n") == ["--status=done", "()"]
    assert ask_bash(path, "caelus list-jobs --limit=") == ["", "()"]
    assert ask_bash(path, "caelus update-user 1 --is-admin=t") == ["true", "()"]
    assert ask_bash(path, "caelus completion z") == ["zsh", "()"]
    (tmp_path / "my values.yaml").touch()
    file = f"caelus create-deployment --user-values-file={tmp_path}/my"
    there = [f"{tmp_path}/my values.yaml", "(-o filenames)"]
    assert ask_bash(path, file) == there
    assert ask_bash(path, f"caelus restore {tmp_path}/my") == there
    assert ask_bash(path, f"caelus serve --backup-dir={tmp_path}/my") == there
    assert ask_bash(path, "caelus restore --y") == ["--yes", "()"]


def test_bash_is_told_of_every_option_of_every_command(script):
    path = script("bash")
    for operation in OPERATIONS:
        options = {*re.findall(r"--[a-z-]+=?", operation.usage.partition("Example")[0])}
        assert {*ask_bash(path, f"caelus {operation.command} --")[:-1]} == options | {"--help"}


def test_fish_completes_commands_options_and_values(script):
    def ask(line: str) -> dict[str, str]:
        code = f"source {path}; complete --do-complete '{line}'"
        done = subprocess.run([program, "--no-config", "-c", code], capture_output=True, text=True)
        assert done.stderr == ""
        return dict(line.partition("\t")[::2] for line in done.stdout.splitlines())

    program, path = shell("fish"), script("fish")
    assert ask("caelus ").keys() > COMMANDS
    assert ask("caelus list-j") == {"list-jobs": BY_COMMAND["list-jobs"].summary}
    assert ask("caelus --server=http://localhost list-j").keys() == {"list-jobs"}
    assert ask("caelus list-jobs --st") == {"--status": "queued, running, done or failed"}
    assert ask("caelus list-jobs --status=d").keys() == {"--status=done"}
    assert ask("caelus completion z").keys() == {"zsh"}
    file = ask(f"caelus create-deployment --user-values-file={path}")
    assert file.keys() == {f"--user-values-file={path}"}
    assert ask(f"caelus restore {path}").keys() == {str(path)}


def test_zsh_completes_commands_options_and_values(script, tmp_path):
    program, path = shell("zsh"), script("zsh")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(program, [program, "-f", "-i"], os.environ | {"TERM": "dumb", "HOME": "/"})
    try:
        for line in ZSH_START.format(script=path).strip().splitlines():
            os.write(terminal, f"{line}\n".encode())
        read(terminal, r"READY[^D]*$")
        for typed, completed in (
            ("caelus list-all-d\t", "caelus list-all-deployments "),
            ("caelus list-jobs --st\tdo\t", "caelus list-jobs --status=done "),
            ("caelus --server=http://a list-jobs --st\t", "list-jobs --status="),
            ("caelus update-user 1 --is\tt\t", "caelus update-user 1 --is-admin=true "),
            ("caelus delete-deployment 1 1 --w\t", "caelus delete-deployment 1 1 --wait "),
            ("caelus completion z\t", "caelus completion zsh "),
            (f"caelus create-deployment --user-values-file={tmp_path}/caelus.z\t", "caelus.zsh "),
            (f"caelus restore {tmp_path}/caelus.z\t", "caelus.zsh "),
        ):
            os.write(terminal, typed.encode())
            read(terminal, re.escape(completed) + "$")
            os.write(terminal, b"\x15")  # Ctrl-U
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def read(terminal: int, ending: str, seconds: float = 20) -> None:
    """Read until what is shown ends so."""
    shown, deadline = "", time.monotonic() + seconds
    while not re.search(ending, shown):
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, shown
        shown = re.sub("[^\b]\b", "", shown + os.read(terminal, 10_000).decode())


def test_an_option_is_explained_by_its_first_sentence():
    (deployment,) = (c for c in completion.commands() if c.name == "create-deployment")
    told = {option.name: option.text for option in deployment.options}
    assert told["--wait"] == "Stay until it is ready, or it is known why not (exit code 1)"
    assert told["--timeout"] == "Wait no longer than that"
    for command in completion.commands():
        assert command.text
        assert [option.name for option in command.options if not option.text] == []


def test_an_unknown_shell_is_wrong_usage(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "(bash | zsh | fish)" in capsys.readouterr().err
