"""`caelus help`: topics are the pages of docs/ and lose nothing; commands are in groups."""

import re

import pytest

from caelus import manual, policies, settings
from caelus.cli import main
from caelus.operations import GROUPS, OPERATIONS
from tests.program import ROOT

TOPICS = sorted({path.stem for path in (ROOT / "docs").glob("*.md")} | {"configuration"})


def shown(capsys, *argv: str) -> str:
    assert main(list(argv)) == 0
    return capsys.readouterr().out


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_has_every_word_of_its_page_and_fits(topic, capsys):
    page, source = shown(capsys, "help", topic), manual.source(topic)
    markup = r"```\w+|\]\([^)]*\)|^\|.*\|(?=\n\|---)"  # where columns are, their heads may go
    assert {*words(re.sub(markup, "", source, flags=re.MULTILINE))} <= {*words(page)}
    assert "](" not in page
    code = "".join(re.findall(r"```\w*\n(.*?)```", source, re.DOTALL))
    for line in page.splitlines():
        # An example or a long address is not broken.
        assert len(line) <= 80 or line.strip() in code or " " not in line.strip()


def test_the_configuration_is_every_setting(capsys):
    page = " ".join(shown(capsys, "help", "configuration").split())
    for name, (default, meaning) in settings.SETTINGS.items():
        assert f"{name} default: {default} meaning: {meaning}" in page


def test_the_page_on_templates_knows_the_capabilities():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", manual.source("templates"), re.MULTILINE))
    assert rows.keys() == {"bindings", "isolation", "plain_http", *policies.POLICIES}
    for name, choices in policies.POLICIES.items():
        assert {*re.findall(r"`(\w+)`", rows[name])} == {*choices}


def test_the_page_on_afar_names_what_waits():
    (sentence,) = re.findall(r"^(`create-deployment`.*) come back", manual.source("remote"), re.M)
    assert {*re.findall(r"`([\w-]+)`", sentence)} == {o.command for o in OPERATIONS if o.waits}


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# A *b* `c`", "A B `C`\n"),
        ("one **two**\nthree", "    one two three\n"),
        ("- a\n  b\n- c", "    - a b\n    - c\n"),
        ("1. a\n2. b", "    1. a\n    2. b\n"),
        ("a\n```sh\nb\n\n# c\n```\nd", "    a\n\n        b\n\n        # c\n\n    d\n"),
        ("| x | y |\n|---|---|\n| a | b \\| c |", "    a\n        b | c\n"),
        ("| x | y | z |\n|---|---|---|\n| a |  | c |", "    a\n        z: c\n"),
        (
            "[a](recovery.md#x) [b](https://e.org) [e.org](https://e.org) [c](d)",
            "    a (caelus help recovery) b <https://e.org> e.org c\n",
        ),
        ('**a** *b* `"****"`', '    a b `"****"`\n'),
    ],
)
def test_markdown_becomes_text(markdown, text):
    assert manual.rendered(markdown, 80) == text


def test_headings_are_bold_where_they_may_be():
    assert manual.rendered("# A\nb", 80, "<{}>") == "<A>\n\n    b\n"


# Commands


def test_the_overview_has_every_command_in_its_group_and_the_topics(capsys):
    text = shown(capsys, "--help")
    assert shown(capsys, "help") == shown(capsys) == shown(capsys, "help", "--help") == text
    for heading, rows in GROUPS.items():
        part = text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in part.splitlines()] == [row.command for row in rows]
    assert f"Topics of caelus help: {', '.join(TOPICS)}." in text


def test_help_shows_a_command_as_its_own_help_does(capsys):
    assert shown(capsys, "help", "list-jobs") == shown(capsys, "list-jobs", "--help")
    assert shown(capsys, "--help", "login") == shown(capsys, "login", "--help")


def test_a_command_with_a_page_of_its_name_has_both(capsys, monkeypatch, tmp_path):
    (tmp_path / "serve.md").write_text("# All about serving")
    monkeypatch.setattr(manual, "DOCS", tmp_path)
    usage = shown(capsys, "serve", "--help")
    assert shown(capsys, "help", "serve") == f"{usage}\nALL ABOUT SERVING\n"


def test_an_unknown_subject_is_guessed(capsys):
    assert main(["help", "isolatoin"]) == 2
    told = capsys.readouterr().err
    assert told == "unknown command or topic 'isolatoin'; did you mean isolation?\n"
