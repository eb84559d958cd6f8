"""The pages say what is: their links lead somewhere, what they name exists and is spelt right."""

import re
import shlex

import docopt
import pytest

from caelus import causes, helptext, manual, rbac, settings
from tests.program import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
USAGES = helptext.usages()
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
LINK = re.compile(r"\[[^]]+\]\(([^)\s]+)\)")
# A command ends where the shell's own words begin; `--server=` and the like come before it. After
# `-n` it is a namespace.
COMMAND = re.compile(r"(?:^|(?<!-n)[^\w./-])caelus ((?:[^|>#;&)'\"\n]|'[^']*'|\"[^\"]*\")+)")
OF_THE_TESTS = {"CAELUS_TEST_KUBECONFIG"}


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request):
    return request.param


def blocks(text: str) -> str:
    """What is to be typed, each command on one line."""
    folded = [(kind, body.replace("\\\n", " ")) for kind, body in FENCED.findall(text)]
    typed = [body for kind, body in folded if kind == "sh"]
    for kind, body in folded:
        typed += re.findall(r"^\$ (.*)$", body, re.MULTILINE) if kind == "console" else []
    return "\n".join(typed)


def inline(text: str) -> list[str]:
    return [" ".join(code.split()) for code in INLINE.findall(FENCED.sub("", text))]


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> list[list[str]]:
    found = (shlex.split(command) for command in COMMAND.findall(text))
    words = ([w for w in parts if not w.startswith("--server=")] for parts in found)
    return [parts for parts in words if parts and re.match("[a-z]", parts[0])]


def assert_known(name: str, arguments: list[str]) -> None:
    """docopt takes an option's beginning for the whole; a page should have it whole."""
    assert name in {*USAGES, "help"}
    for word in arguments:
        option = re.match("--[a-z-]+", word)
        known = re.findall("--[a-z-]+", USAGES.get(name, "")) + ["--help"]
        assert option is None or option[0] in known, f"caelus {name} has no {option[0]}"


def test_links_lead_to_a_page_and_a_heading_that_there_are(page):
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), target


def test_commands_to_be_typed_are_taken_as_they_are(page):
    for name, *arguments in commands(blocks(page.read_text())):
        if name == "help" or arguments == ["--help"]:
            continue
        assert_known(name, arguments)
        try:
            docopt.docopt(USAGES[name], [name, *arguments], default_help=False)
        except docopt.DocoptExit:
            pytest.fail(f"wrong usage: caelus {shlex.join([name, *arguments])}")


def test_commands_and_options_that_are_named_exist(page):
    codes = inline(page.read_text())
    named = [parts for code in codes for parts in commands(code)]
    named += [code.split() for code in codes if code.split()[0] in USAGES]
    for name, *arguments in named:
        assert_known(name, arguments)


def test_topics_that_are_named_exist(page):
    for topic in re.findall(r"`caelus help ([a-z]\w*)`", page.read_text()):
        assert topic in {*manual.topics(), *USAGES}


def test_settings_that_are_named_exist(page):
    for name in re.findall(r"\bCAELUS_[A-Z_]+[A-Z]\b", page.read_text()):
        assert name in settings.SETTINGS or name in OF_THE_TESTS


def test_the_page_on_installing_makes_the_kubeconfig_as_the_accounts_own_guide_does():
    lines = [line.strip() for line in rbac.GUIDE.splitlines() if line.startswith("  ")]
    *made, started = lines
    assert started.endswith("caelus serve")
    typed = blocks(manual.source("install")).splitlines()
    assert [line for line in typed if line in made] == made


def test_the_page_on_publishing_knows_the_causes():
    table = manual.source("publishing").partition("by its cause:")[2]
    codes = [c for row in re.findall(r"^\| (`.*?`) \|", table, re.M) for c in row.split(", ")]
    assert len(codes) > 5
    assert {code.strip("`") for code in codes} <= causes.CODES.keys()
