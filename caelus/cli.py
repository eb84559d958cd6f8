"""The command line: argv in, one operation or command of the machine, an exit code out.

Heavy modules are imported where they are used: a command that lists users starts in a moment.
"""

import contextlib
import gc
import logging
import os
import re
import sys

from caelus import __version__, startup, tracing
from caelus.errors import CaelusError, Invalid, Malformed, TooLarge, UsageError

log = logging.getLogger("caelus.cli")
ABOUT_THE_MACHINE = (
    "caelus {command} is about the machine that it runs on, not about the server {server}; "
    "for this machine, say: caelus --server= {command}"
)
OURS = ("--wait", "--timeout", "--follow")  # are no arguments of the operation


def main(argv: list[str]) -> int:
    """Run one command; gives its exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    return tracing.carried(_main)(argv)


def _main(argv: list[str]) -> int:
    tracing.start(tracing.new_id())
    try:
        if argv == ["--version"]:
            print(f"caelus {__version__}", flush=True)
            return 0
        return _run(argv)
    except CaelusError as e:
        return _complain(e.detail, e.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        return _without_output("")
    except OSError as e:
        return _without_output(f"cannot go on: {e.strerror or e}")
    except Exception as e:
        log.error("unforeseen error", exc_info=e)
        return _complain("an internal error of Caelus; the log above says more", 1)


def run() -> None:
    """The command `caelus`."""
    gc.disable()  # a twentieth of a short command's time, and it ends before there is garbage
    os.umask(0o077)  # what Caelus and its tools write is the business of this user alone
    if sys.stdout is None or sys.stderr is None:  # closed by the caller
        sys.exit(1)
    sys.exit(main(sys.argv[1:]))


def _without_output(sentence: str) -> int:
    """End with what may be left in stdout's buffer dropped: writing it would fail once more."""
    if sentence:
        _complain(sentence, 1)
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _complain(sentence: str, exit_code: int) -> int:
    from caelus import logs

    text = sentence if exit_code == 2 else logs.one_line(sentence)
    print(logs.coloured(text, "ERROR"), file=sys.stderr)
    return exit_code


def _run(argv: list[str]) -> int:
    from caelus import client_commands, machine

    server, argv = _server(argv)
    command, arguments = (argv[0], argv[1:]) if argv else ("--help", [])
    if command in ("--help", "-h", "help"):
        return _help([word for word in arguments if word not in ("--help", "-h")])
    if command in client_commands.COMMANDS:
        return _act(command, client_commands.COMMANDS[command], arguments)
    if command in machine.COMMANDS:
        if server and not {"--help", "-h"} & {*arguments}:
            raise UsageError(ABOUT_THE_MACHINE.format(command=command, server=server))
        return _act(command, machine.COMMANDS[command], arguments)
    operation = _operation(command)
    words = _parse(command, operation.usage, arguments)
    return 0 if words is None else _operate(operation, words, server)


def _server(argv: list[str]) -> tuple[str, list[str]]:
    """The server that is named before the command, or else in the environment; "" for none."""
    from caelus import config

    option, given, url = (argv[0] if argv else "").partition("=")
    if option != "--server":
        return config.server(), argv
    if not given and len(argv) < 2:
        raise UsageError("--server needs a URL, such as --server=https://caelus.example.org")
    return (url, argv[1:]) if given else (argv[1], argv[2:])


def _act(command: str, entry: tuple, arguments: list[str]) -> int:
    gc.enable()
    usage, action = entry
    words = _parse(command, usage, arguments)
    return 0 if words is None else action(words)


def _operation(command: str):
    startup.keep_postgres_drivers_out()
    from caelus.operations import BY_COMMAND

    if command not in BY_COMMAND:
        from caelus import helptext

        raise UsageError(helptext.unknown(command, helptext.usages()))
    return BY_COMMAND[command]


def _help(subjects: list[str]) -> int:
    startup.keep_postgres_drivers_out()
    from caelus import helptext

    print(helptext.about(subjects[0]) if subjects else helptext.overview(), end="", flush=True)
    return 0


def _parse(command: str, usage: str, arguments: list[str]) -> dict | None:
    """The words of a command line; None once help was asked for and given."""
    if "--help" in arguments or "-h" in arguments:
        print(usage, end="", flush=True)
        return None
    import docopt

    try:
        return docopt.docopt(usage, [command, *arguments], default_help=False)
    except docopt.DocoptExit:
        from caelus import helptext

        known = re.findall(r"--[a-z-]+", usage)
        options = (a.partition("=")[0] for a in arguments if a.startswith("--"))
        wrong = [o for o in options if not any(k.startswith(o) for k in known)]
        first = helptext.unknown(wrong[0], known) if wrong else f"wrong usage of {command}"
        if "--server" in wrong:
            first = f"--server goes before the command: caelus --server=URL {command}"
        shown = usage[usage.index("Usage:") :].partition("\n\n")[0].rstrip()
        raise UsageError(f"{first}\n{shown}\nsee: caelus {command} --help") from None


# Operations of the table


def _operate(operation, words: dict, server: str) -> int:
    from caelus import yamltext

    arguments = _arguments(operation, words)
    patience = _patience(operation, words)
    ask = _remote(server) if server else _local()
    if operation.follows and words["--follow"]:
        from caelus import following

        gc.enable()
        return following.follow(ask, operation, arguments)
    document, failure = ask(operation, arguments), None
    if patience is not None:
        from caelus import waiting

        gc.enable()
        document, failure = waiting.until_settled(ask, document, patience)
    yamltext.dump(document, sys.stdout)
    return _complain(failure, 1) if failure else 0


def _local():
    """What does an operation with this machine's database."""
    from caelus.actors import OPERATOR
    from caelus.dispatch import dispatch

    startup.open_database(startup.configure())
    return lambda operation, arguments: dispatch(operation, OPERATOR, arguments)


def _remote(server: str):
    """What asks a server for an operation; nothing of this machine is touched."""
    from caelus import remote, servers

    startup.configure()
    url = servers.checked(server)
    return remote.Remote(url, servers.token_of(url)).request


def _patience(operation, words: dict) -> float | None:
    """How many seconds to wait for what is begun; None not to wait."""
    if not operation.waits or not (words["--wait"] or words["--timeout"]):
        return None
    if not words["--wait"]:
        raise UsageError("--timeout goes with --wait")
    from caelus import waiting

    return waiting.seconds(words["--timeout"])


def _arguments(operation, words: dict) -> dict:
    """The operation's arguments out of docopt's words; those not given are left out."""
    from caelus import validation

    if list(words.values()).count("-") > 1:
        raise UsageError("only one option can read standard input")
    given = {}
    for word, value in words.items():
        name = operation.words.get(word) or word.lstrip("-").lower().replace("-", "_")
        if value is None or value is False or word == operation.command:
            continue
        if word in OURS and (operation.waits or operation.follows):
            continue
        if value == "" and name in operation.input["properties"] and not operation.changes:
            continue  # as an empty parameter of a query
        if word == "--icon-file":
            given["icon"] = _icon(value)
        elif word.endswith("-file"):
            given[name.removesuffix("_file") + "_json"] = _object(word, _read(value), yaml=True)
        elif word.endswith("-json"):
            given[name] = _object(word, value)
        elif value is True or name in operation.ids:
            given[name] = value
        else:
            given[name] = validation.from_text(operation.input["properties"].get(name, {}), value)
    return given


def _icon(path: str) -> str:
    from caelus import icons

    return icons.of_file(_content(path))


def _read(path: str) -> str:
    try:
        return _content(path).decode()
    except ValueError:
        raise Malformed(f"cannot read {path}: it is not UTF-8 text") from None


def _content(path: str) -> bytes:
    from caelus.jsontext import MAX_BYTES

    if path == "-" and sys.stdin is None:
        raise Malformed("cannot read -: standard input is closed")
    try:
        with open(sys.stdin.fileno() if path == "-" else path, "rb", closefd=path != "-") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise TooLarge(f"{path} is over {MAX_BYTES} bytes")
        return content
    except (OSError, ValueError) as e:  # a NUL in a path is a ValueError
        text = getattr(e, "strerror", None) or "there is no such file"
        raise Malformed(f"cannot read {path}: {text}") from None


def _object(option: str, text: str, yaml: bool = False) -> dict:
    from caelus import jsontext

    try:
        if yaml:
            from caelus import yamltext

            document = yamltext.load(text)
        else:
            document = jsontext.parse(text)
    except ValueError as e:
        raise Malformed(f"{option}: {e}") from None
    if not isinstance(document, dict):
        kind = "a YAML or JSON object" if yaml else "a JSON object"
        raise Invalid((option, f"must hold {kind}"))
    return document
