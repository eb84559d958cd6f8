"""What `--help` and `help` show: all commands in their groups, one command, or a topic."""

from caelus import client_commands, machine, manual
from caelus.errors import UsageError
from caelus.operations import GROUPS, OPERATIONS

TOP = """Caelus gives people their own instances of web apps on a small Kubernetes.

Usage:
  caelus [--server=URL] COMMAND [ARGUMENT...]
  caelus COMMAND --help
  caelus help [COMMAND | TOPIC]
  caelus --help | --version

Options:
  --server=URL  Ask the Caelus there, not the one of this machine (see: caelus help remote).
                [CAELUS_SERVER]

{commands}
Topics of caelus help: {topics}.
Settings are environment variables: caelus help configuration.
"""
OTHERS = {"This machine": machine.COMMANDS, "The command line": client_commands.COMMANDS}


def overview() -> str:
    """All commands, and the topics."""
    lines = []
    for heading, summaries in _groups().items():
        lines += [f"{heading}:", *(f"  {name:<22}{text}" for name, text in summaries.items()), ""]
    return TOP.format(commands="\n".join(lines), topics=", ".join(manual.topics()))


def about(subject: str) -> str:
    """A command's usage text, the topic of that name, or one after the other."""
    usage, is_topic = usages().get(subject), subject in manual.topics()
    if usage is None and not is_topic:
        raise UsageError(unknown(subject, [*usages(), *manual.topics()], "command or topic"))
    return "\n".join(filter(None, (usage, is_topic and manual.page(subject))))


def usages() -> dict[str, str]:
    """The usage texts of all commands, by name."""
    others = {n: usage for group in OTHERS.values() for n, (usage, _) in group.items()}
    return {operation.command: operation.usage for operation in OPERATIONS} | others


def unknown(word: str, known, kind: str = "command") -> str:
    """What to say of a command that there is not; of an option, if it looks like one."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see: caelus --help"
    return f"unknown {'option' if word.startswith('-') else kind} {word!r}; {hint}"


def _groups() -> dict[str, dict[str, str]]:
    """The commands' summaries by name, by heading."""
    groups = {title: {row.command: row.summary for row in rows} for title, rows in GROUPS.items()}
    for title, commands in OTHERS.items():
        groups[title] = {name: text.partition("\n")[0] for name, (text, _) in commands.items()}
    return groups
