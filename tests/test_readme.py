"""The README says what is: its walk is walked, its table is the program's."""

import pathlib
import re

from caelus import settings
from tests.program import ROOT
from tests.shell import shell, steps, typed

README = (ROOT / "README.md").read_text()


def walk() -> list[tuple[str, str]]:
    """The commands of the walk, each with the output that the README shows."""
    return steps(re.search(r"<!-- walk -->\n```console\n(.*?)```", README, re.DOTALL)[1])


def alike(output: str) -> str:
    """An output without what differs from run to run: times, random names, places."""
    output = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", output)
    output = re.sub(r"(org)-[0-9a-z]{6}\b", r"\1-RANDOM", output)
    return re.sub(r"/\S+/tests/charts", "TREE/tests/charts", output)


def test_the_walk_gives_what_the_readme_shows(tmp_path):
    commands, outputs = zip(*walk(), strict=True)
    # PATH is the shell's own here: there is no .venv in the tree that is tested.
    commands = [c.replace("PATH=$PWD/.venv/bin:$PATH ", "") for c in commands]
    with shell(tmp_path) as program, program.serve():
        printed = typed(program, commands, ROOT)
    assert [alike(part) for part in printed] == [alike(output) for output in outputs]


def test_the_table_of_settings_is_the_programs():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \| (.*) \|$", README, re.MULTILINE)
    assert {name: (default, meaning) for name, default, meaning in rows} == settings.SETTINGS


def test_every_module_is_in_the_readme():
    for module in pathlib.Path(ROOT, "caelus").glob("[a-z]*.py"):
        assert f"`{module.stem}`" in README or f"`caelus/{module.stem}`" in README


def test_ci_runs_the_readmes_test_command():
    (command,) = re.findall(r"^python3 -m venv .*pytest.*$", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text()
