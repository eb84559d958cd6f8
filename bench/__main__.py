"""Measures Caelus, and prints tables in Markdown: python -m bench.

Usage:
  bench [--quick] [--binary=PATH] [--zipapp=PATH] [SECTION...]

Sections: startup, api, queue, reconciles, scale; all of them where none is named.

Options:
  --quick        Fewer rounds, and no large databases: to see that it works.
  --binary=PATH  What `pyinstaller build.spec` has made.
  --zipapp=PATH  What `shiv` has made.
"""

import functools
import os
import platform
import sqlite3
import sys

import docopt

from bench import api, queue, reconciles, report, scale, startup


def main() -> None:
    words = docopt.docopt(__doc__)
    built = {way: words[f"--{way}"] for way in ("zipapp", "binary") if words[f"--{way}"]}
    sections = {
        "startup": functools.partial(startup.measure, built=built),
        "api": api.measure,
        "queue": queue.measure,
        "reconciles": reconciles.measure,
        "scale": scale.measure,
    }
    if unknown := set(words["SECTION"]) - set(sections):
        sys.exit(f"unknown section {min(unknown)!r}; there are {', '.join(sections)}")
    print(_machine(), flush=True)
    for name in words["SECTION"] or sections:
        print(f"measuring: {name}", file=sys.stderr)
        for title, rows in sections[name](words["--quick"]).items():
            print(report.table(title, rows), flush=True)


def _machine() -> str:
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n"
    )


if __name__ == "__main__":
    main()
