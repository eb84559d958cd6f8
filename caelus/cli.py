"""The command line: argv in, one operation or command of the machine, an exit code out.

Heavy modules are imported where they are used: a command that lists users starts in a moment.
"""

import contextlib
import gc
import logging
import os
import re
import sys

from caelus import __version__, machine, startup
from caelus.errors import CaelusError, Invalid, Malformed, TooLarge, UsageError

log = logging.getLogger("caelus.cli")

TOP = """Caelus gives people their own instances of web apps on a small Kubernetes.

Usage:
  caelus COMMAND [ARGUMENT...]
  caelus COMMAND --help
  caelus --help | --version

Commands:
{commands}

Settings are environment variables, such as CAELUS_DATABASE_URL; the README lists them.
"""


def main(argv: list[str]) -> int:
    """Run one command; gives its exit code: 0 done, 1 refused or failed, 2 wrong usage."""
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
    command, arguments = (argv[0], argv[1:]) if argv else ("--help", [])
    if command in ("--help", "-h", "help"):
        command, arguments = (arguments[0], ["--help"]) if arguments else ("--help", [])
    if command in machine.COMMANDS:
        gc.enable()
        usage, action = machine.COMMANDS[command]
        words = _parse(command, usage, arguments)
        return 0 if words is None else action(words)
    startup.keep_postgres_drivers_out()
    from caelus.operations import BY_COMMAND

    if command == "--help":
        return _show_commands(BY_COMMAND)
    if command not in BY_COMMAND:
        raise UsageError(_unknown(command, [*BY_COMMAND, *machine.COMMANDS]))
    operation = BY_COMMAND[command]
    words = _parse(command, operation.usage, arguments)
    return 0 if words is None else _operate(operation, words)


def _show_commands(operations) -> int:
    summaries = {name: operation.summary for name, operation in operations.items()}
    summaries |= {name: usage.partition("\n")[0] for name, (usage, _) in machine.COMMANDS.items()}
    lines = (f"  {name:<22}{summary}" for name, summary in summaries.items())
    print(TOP.format(commands="\n".join(lines)), end="", flush=True)
    return 0


def _unknown(word: str, known) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see: caelus --help"
    kind = "option" if word.startswith("-") else "command"
    return f"unknown {kind} {word!r}; {hint}"


def _parse(command: str, usage: str, arguments: list[str]) -> dict | None:
    """The words of a command line; None once help was asked for and given."""
    if "--help" in arguments or "-h" in arguments:
        print(usage, end="", flush=True)
        return None
    import docopt

    try:
        return docopt.docopt(usage, [command, *arguments], default_help=False)
    except docopt.DocoptExit:
        known = re.findall(r"--[a-z-]+", usage)
        options = (a.partition("=")[0] for a in arguments if a.startswith("--"))
        wrong = [o for o in options if not any(k.startswith(o) for k in known)]
        first = _unknown(wrong[0], known) if wrong else f"wrong usage of {command}"
        shown = usage[usage.index("Usage:") :].partition("\n\n")[0].rstrip()
        raise UsageError(f"{first}\n{shown}\nsee: caelus {command} --help") from None


# Operations of the table


def _operate(operation, words: dict) -> int:
    from caelus import yamltext
    from caelus.actors import OPERATOR
    from caelus.dispatch import dispatch

    arguments = _arguments(operation, words)
    startup.open_database(startup.configure())
    yamltext.dump(dispatch(operation, OPERATOR, arguments), sys.stdout)
    return 0


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
        if value == "" and name in operation.input["properties"] and not operation.changes:
            continue  # as an empty parameter of a query
        if word.endswith("-file"):
            given[name.removesuffix("_file") + "_json"] = _object(word, _read(value), yaml=True)
        elif word.endswith("-json"):
            given[name] = _object(word, value)
        elif value is True or name in operation.ids:
            given[name] = value
        else:
            given[name] = validation.from_text(operation.input["properties"].get(name, {}), value)
    return given


def _read(path: str) -> str:
    from caelus.validation import MAX_BYTES

    if path == "-" and sys.stdin is None:
        raise Malformed("cannot read -: standard input is closed")
    try:
        with open(sys.stdin.fileno() if path == "-" else path, "rb", closefd=path != "-") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise TooLarge(f"{path} is over {MAX_BYTES} bytes")
        return content.decode()
    except (OSError, ValueError) as e:
        text = getattr(e, "strerror", None) or "it is not UTF-8 text"
        raise Malformed(f"cannot read {path}: {text}") from None


def _object(option: str, text: str, yaml: bool = False) -> dict:
    from caelus import validation

    try:
        if yaml:
            from caelus import yamltext

            document = yamltext.load(text)
        else:
            document = validation.parse_json(text)
    except ValueError as e:
        raise Malformed(f"{option}: {e}") from None
    if not isinstance(document, dict):
        kind = "a YAML or JSON object" if yaml else "a JSON object"
        raise Invalid((option, f"must hold {kind}"))
    return document
