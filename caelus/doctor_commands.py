"""The command `doctor`: the page of checkups, for people and for machines."""

import json
import sys

DOCTOR = """Tell what is well and what is not, each with the next step.

Looks at the tools, the cluster, the database, the machine and the queue. Changes nothing, and works
beside a running Caelus. Exit code 1 if anything has failed; warnings are no failure.

Usage:
  caelus doctor [--json]

Options:
  --json  One JSON document: {"ok": ..., "checks": [{section, name, status, detail, next_step}]}

Examples:
  caelus doctor
  caelus doctor --json | jq -r '.checks[] | select(.status != "ok") | .next_step'
"""
COLOURS = {"ok": "32", "warning": "33", "failed": "31"}


def doctor(words: dict) -> int:
    found = _found()
    good = all(check.status != "failed" for check in found)
    if words["--json"]:
        document = {"ok": good, "checks": [check._asdict() for check in found]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write(_page(found))
    sys.stdout.flush()
    return 0 if good else 1


def _found() -> list:
    from caelus import config, logs, startup
    from caelus.errors import ConfigError

    logs.configure("WARNING")  # the programs that it runs are not what is asked for
    startup.keep_postgres_drivers_out()
    from caelus import doctor, machine_checks
    from caelus.process import Tools

    try:
        settings = config.load()
    except ConfigError as e:
        return [machine_checks.unusable(e)]
    return doctor.checks(settings, Tools(settings._replace(data_dir=doctor.NOWHERE)))


def _page(found: list) -> str:
    lines, section = [], ""
    width = max(len(check.name) for check in found)
    for check in found:
        if check.section != section:
            lines += [""] * bool(section) + [check.section]
            section = check.section
        lines += _lines(check, width)
    return "\n".join([*lines, "", _sum(found), ""])


def _lines(check, width: int) -> list[str]:
    from caelus.logs import one_line

    word = _coloured(check.status, f"{check.status:<9}")
    shown = [f"  {word}{check.name:<{width}}  {one_line(check.detail)}"]
    return shown + [f"{'':<{width + 13}}{one_line(check.next_step)}"] * bool(check.next_step)


def _coloured(status: str, text: str) -> str:
    from caelus import config

    if sys.stdout.isatty() and not config.no_color():
        return f"\x1b[{COLOURS[status]}m{text}\x1b[0m"
    return text


def _sum(found: list) -> str:
    counts = {status: sum(check.status == status for check in found) for status in COLOURS}
    if counts["failed"]:
        return f"{counts['failed']} failed, {counts['warning']} warnings, {counts['ok']} ok"
    return f"nothing failed: {counts['warning']} warnings, {counts['ok']} ok"


COMMANDS = {"doctor": (DOCTOR, doctor)}
