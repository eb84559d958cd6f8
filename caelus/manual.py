"""The topics of `caelus help`: the pages of docs/ as text for a terminal, and the settings."""

import pathlib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator

from caelus import config, settings

_package = pathlib.Path(__file__).parent
# Beside the package in a checkout, inside it once installed.
_places = (_package / "docs", _package.parent / "docs")
DOCS = next((place for place in _places if place.is_dir()), None)
LONGEST_LINE, INDENT = 100, 4
CONFIGURATION = """# Configuration

Settings are environment variables; some have a flag of `caelus serve`, too.
An unknown `CAELUS_*` is warned of.

| variable | default | meaning |
|---|---|---|
{rows}
"""
_LINK = re.compile(r"\[([^]]+)\]\(([^)\s]+)\)")
_CELL = re.compile(r"(?<!\\)\|")


def topics() -> list[str]:
    pages = DOCS.glob("*.md") if DOCS else ()
    return sorted({"configuration", *(path.stem for path in pages)})


def page(topic: str) -> str:
    """A topic as text, as wide as the terminal; with bold headings where there may be some."""
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if terminal else 80
    bold = "\x1b[1m{}\x1b[0m" if terminal and not config.no_color() else "{}"
    return rendered(source(topic), min(columns, LONGEST_LINE), bold)


def source(topic: str) -> str:
    """A topic in Markdown."""
    if topic != "configuration":
        return (DOCS / f"{topic}.md").read_text()
    rows = (f"| {name} | {told[0]} | {told[1]} |" for name, told in settings.SETTINGS.items())
    return CONFIGURATION.format(rows="\n".join(rows))


def rendered(markdown: str, width: int, bold: str = "{}") -> str:
    """Markdown as text: of it headings, paragraphs, lists, tables, code and links, as docs/ has."""
    blocks = (_block(lines, width, bold) for lines in _blocks(markdown.split("\n")))
    return "\n\n".join(blocks) + "\n"


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """The lines of each block; code with its fences, blank lines and all."""
    block, fence = [], ""
    for line in lines:
        starts = not fence and line.startswith("```")
        if (starts or line.startswith("#") or not line.strip()) and not fence:
            if block:
                yield block
            block = []
        if line.strip() or fence:
            block.append(line)
        if starts:
            fence = line
        elif (fence and line == "```") or (block and not fence and line.startswith("#")):
            yield block
            block, fence = [], ""
    if block:
        yield block


def _block(lines: list[str], width: int, bold: str) -> str:
    first = lines[0]
    if first.startswith("#"):
        return bold.format(_plain(first.lstrip("# ")).upper())
    if first.startswith("```"):
        return textwrap.indent("\n".join(lines[1:-1]), " " * 2 * INDENT)
    if first.startswith("|"):
        return _table([_cells(line) for line in lines], width, bold)
    items = re.split(r"^(?=(?:-|\d+\.) )", "\n".join(lines), flags=re.MULTILINE)
    return "\n".join(_filled(item, width) for item in items if item)


def _filled(text: str, width: int, indent: int = INDENT) -> str:
    marker = re.match(r"(?:-|\d+\.) |", text)[0]
    hanging = " " * (indent + len(marker))
    return textwrap.fill(
        _plain(" ".join(text.split())),
        width,
        initial_indent=" " * indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _CELL.split(line.strip("|"))]


def _table(rows: list[list[str]], width: int, bold: str) -> str:
    """Each row as its first cell with the others below; named by their column, if more than one."""
    header, _, *rows = rows
    shown = []
    for first, *others in rows:
        lines = [bold.format(_filled(first, width))] * bool(first)
        for name, cell in zip(header[1:], others, strict=True):
            text = f"{name}: {cell}" if len(header) > 2 and name else cell
            lines += [_filled(text, width, 2 * INDENT)] * bool(cell)
        shown.append("\n".join(lines))
    return "\n".join(shown)


def _plain(text: str) -> str:
    """A line without marks of links and emphasis; code keeps its backticks."""
    text = _LINK.sub(_link, text)
    return re.sub(r"\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"\1\2", text)


def _link(found: re.Match) -> str:
    text, target = found.groups()
    if "://" in target:
        return text if text in target else f"{text} <{target}>"
    topic = pathlib.PurePath(target.partition("#")[0]).stem
    return f"{text} (caelus help {topic})" if target.partition("#")[0].endswith(".md") else text
