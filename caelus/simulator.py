"""helm and kubectl stood in for: what `process` runs where the cluster is simulated.

Only what Caelus itself calls is answered, by the same arguments; anything else is an error.
"""

import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import NamedTuple

from caelus import simulated_helm, simulated_kubectl
from caelus.simulated_cluster import Refused, changing, reading


class Outcome(NamedTuple):
    """As of a child process; `is_stopped` if it was told to end before it was done."""

    code: int
    stdout: str = ""
    stderr: str = ""
    is_stopped: bool = False


class Stopped(Exception):
    """The simulated program was told to end."""


class Call:
    """One run of a program: its words and flags, its standard input, the cluster it works on."""

    def __init__(self, file: pathlib.Path, words: list[str], flags: dict, stdin: str, stop):
        self.words, self.flags, self.stdin = words, flags, stdin
        self._file, self._stop = file, stop

    def changing(self):
        return changing(self._file)

    def reading(self):
        return reading(self._file)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises Stopped once the program is to end."""
        if self._stop():
            raise Stopped
        time.sleep(seconds)


class Command(NamedTuple):
    """`flags` are those that it knows, with `=` if they take a value; `words` how many it takes."""

    act: Callable[[Call], str]
    flags: str = ""
    words: range = range(0, 1)


NONE, ONE, TWO, ANY, SOME = range(0, 1), range(1, 2), range(2, 3), range(0, 99), range(1, 99)
HELM = {
    "version": Command(simulated_helm.version, "--template="),
    "upgrade": Command(
        simulated_helm.upgrade,
        "--install --namespace= --values= --reset-values --history-max= --wait --timeout="
        " --output= --force-conflicts --version= --repo= --plain-http",
        TWO,
    ),
    "rollback": Command(simulated_helm.rollback, "--namespace= --wait --timeout=", TWO),
    "uninstall": Command(
        simulated_helm.uninstall, "--namespace= --ignore-not-found --timeout=", ONE
    ),
    "list": Command(simulated_helm.listed, "--all-namespaces --max= --output="),
    "history": Command(simulated_helm.history, "--namespace= --output= --max=", ONE),
    "get metadata": Command(simulated_helm.metadata, "--namespace= --output=", ONE),
    "get values": Command(simulated_helm.values, "--namespace= --output=", ONE),
    "get manifest": Command(simulated_helm.manifest, "--namespace=", ONE),
    "pull": Command(simulated_helm.pull, "--version= --repo= --plain-http --destination=", ONE),
}
KUBECTL = {
    "version": Command(simulated_kubectl.version, "--client --output= --request-timeout="),
    "create": Command(
        simulated_kubectl.create, "--filename= --validate= --output= --request-timeout="
    ),
    "apply": Command(
        simulated_kubectl.apply,
        "--server-side --force-conflicts --field-manager= --filename= --request-timeout="
        " --dry-run= --namespace= --output=",
    ),
    "replace": Command(simulated_kubectl.replace, "--namespace= --filename="),
    "delete": Command(
        simulated_kubectl.delete,
        "--namespace= --ignore-not-found --wait= --timeout= --request-timeout=",
        SOME,
    ),
    "get": Command(
        simulated_kubectl.get,
        "--namespace= --all-namespaces --selector= --field-selector= --ignore-not-found"
        " --filename= --output= --request-timeout=",
        ANY,
    ),
    "logs": Command(
        simulated_kubectl.logs,
        "--namespace= --container= --selector= --all-containers --prefix --timestamps"
        " --ignore-errors --tail= --limit-bytes= --since-time= --previous --request-timeout="
        " --max-log-requests=",
        range(0, 2),
    ),
}
PROGRAMS = {"helm": HELM, "kubectl": KUBECTL}


def run(
    program: str, arguments: tuple[str, ...], stdin: str, file: pathlib.Path, stop: Callable
) -> Outcome:
    """Run `helm` or `kubectl` on the cluster in `file`, until it is done or `stop()` is true."""
    try:
        command, words, flags = _read(program, arguments)
        return Outcome(0, command.act(Call(file, words, flags, stdin, stop)))
    except Refused as e:
        return Outcome(1, "", str(e))
    except (OSError, sqlite3.Error) as e:
        return Outcome(1, "", f"Error: the simulated cluster, {file}, can't be used: {e}\n")
    except Stopped:
        return Outcome(1, "", "Error: interrupted\n", is_stopped=True)


def _read(program: str, arguments: tuple[str, ...]) -> tuple[Command, list[str], dict]:
    """The command, its words and its flags. Raises Refused for what Caelus never asks."""
    commands, given = PROGRAMS[program], list(arguments)
    name = next((n for n in (" ".join(given[:2]), " ".join(given[:1])) if n in commands), None)
    if name is None:
        shown = " ".join(given[:2])
        raise Refused(f'Error: unknown command "{shown}" for the simulated {program}\n')
    known = commands[name].flags.split()
    rest, words, flags = given[len(name.split()) :], [], {}
    while rest:
        word = rest.pop(0)
        flag, has_value, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif f"{flag}=" in known and (has_value or rest):
            flags[flag] = value if has_value else rest.pop(0)
        elif flag in known and not has_value:
            flags[flag] = ""
        else:
            raise Refused(f"Error: unknown flag {word} for the simulated {program} {name}\n")
    if len(words) not in commands[name].words:
        told = f"Error: the simulated {program} {name} takes no such arguments: "
        raise Refused(f"{told}{' '.join(words)}\n")
    return commands[name], words, flags
