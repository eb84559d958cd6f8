"""The words of pages: causes, the editor's fields, times in the reader's zone."""

import html
import re

import pytest

from caelus import causes
from caelus.web import editor, words
from tests.admins import EDITOR, Pages, text_of
from tests.test_overview import deploy
from tests.test_web_editor import FILLED

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark = on_sqlite
LINE = {"time": "2026-01-31T23:30:05.000000Z", "pod": "web-0", "container": "app", "line": "hi"}


def test_each_cause_has_words(settings):
    assert words.CAUSES.keys() == causes.CODES.keys() | {"unknown"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("product 1 not found", "Product 1 not found."),
        ("there is no room; make some.", "There is no room; make some."),
        ("ada@example.org is a user already", "ada@example.org is a user already."),
        ("chart_ref is needed", "chart_ref is needed."),
    ],
)
def test_a_refusal_is_a_sentence_but_names_stay_as_they_are(settings, said, shown):
    assert words.sentence(said) == shown


def test_the_overview_says_in_words_what_fails(shop):
    deploy(2, status="error", cause={"code": "image_pull"})
    deploy(1, status="error", cause={"code": "of_tomorrow"})
    deploy(1, status="error")
    text = text_of(Pages(0).get())
    assert "An image can't be pulled image_pull 2" in text
    assert "of_tomorrow of_tomorrow 1" in text
    assert "It is not known why unknown 1" in text


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("chart_ref", "", "Chart: is missing"),
        ("health_timeout_sec", "x", "Seconds until it must be healthy: must be of type integer"),
        ("default_values_json", "- 1", "Default values: must hold a YAML or JSON object"),
        (
            "default_values_json",
            '{"a": {"b": "\\u0000"}}',
            "Default values: a.b must not hold a NUL",
        ),
        ("version_label", "x" * 10_001, "What users see as the version: must have at most"),
    ],
)
def test_a_refusal_in_the_editor_names_the_field_as_its_label_does(shop, field, typed, sentence):
    answer = Pages(0).post(EDITOR, **FILLED | {field: typed})
    assert answer.status_code == 422
    told = html.unescape(re.search(rf'id="error-{field}">([^<]*)<', answer.text)[1])
    assert told.startswith(sentence)
    label = re.search(rf'<label for="{field}">([^<]*)<', answer.text)[1]
    assert told.startswith(f"{label}: ") and label == editor.LABELS[field]


def test_the_time_of_a_line_says_all_to_the_browser(settings):
    assert str(words.clock(LINE["time"])) == (
        '<time class="clock" datetime="2026-01-31T23:30:05.000000Z" '
        'title="2026-01-31 23:30:05 UTC">23:30:05</time>'
    )
