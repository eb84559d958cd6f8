"""Forms that would hold a thread for seconds: what is too much is JSON, and nothing is lost."""

import time

import pytest

from caelus.web.entries import MOST_FIELDS
from caelus.web.fields import Field
from caelus.web.forms import again, form
from caelus.web.posted import posted
from tests.markup import Page, rendered

TEXT = {"type": "string"}


def of(**properties) -> dict:
    return {"properties": {"user": {"type": "object", "properties": properties}}}


def texts(number: int) -> dict:
    return {f"p{i}": TEXT for i in range(number)}


def closed(number: int) -> dict:
    properties = {"kind": {"const": number}} | texts(1_500 + number)
    return {"type": "object", "properties": properties, "required": ["kind"]}


FLAT = of(**texts(9_800))
GROUPS = of(**{f"g{i}": {"type": "object", "properties": texts(100)} for i in range(98)})
LONG = of(list={"type": "array", "items": TEXT}, map={"additionalProperties": TEXT})
CHOICE = of(a={"oneOf": [closed(1), closed(2)]}, b={"oneOf": [closed(1), closed(2)]})
NUMBERS = of(list={"type": "array", "items": {"enum": [*range(1_000)]}})
ROWS = of(rows={"type": "array", "items": {"type": "object", "properties": texts(200)}})


def count(field: Field) -> int:
    return (field.kind != "row") + sum(map(count, field.fields))


@pytest.mark.parametrize(
    "schema, document",
    [
        (FLAT, {}),
        (FLAT, {"p77": "x"}),
        (FLAT, {f"p{i}": "x" for i in range(9_800)}),
        (GROUPS, {}),
        (GROUPS, {f"g{i}": {f"p{j}": "x" for j in range(100)} for i in range(98)}),
        (LONG, {"list": ["x"] * 50_000, "map": {str(i): "x" for i in range(3_000)}}),
        (CHOICE, {"a": {"kind": 1, "p7": "x"}, "b": {"kind": 2, "p8": "x"}}),
        (ROWS, {"rows": [{"p1": "x"}] * 300}),
    ],
)
def test_a_form_has_no_more_fields_than_a_page_can_show_and_keeps_what_there_is(schema, document):
    shown = form(schema, document)
    assert count(shown) <= MOST_FIELDS
    assert posted(schema, Page(rendered(shown)).pairs()).document == document


def test_rows_of_many_options_are_json_before_a_page_is_made_of_them():
    document = {"list": [*range(900)]}
    shown = form(NUMBERS, document)
    assert shown.fields[0].kind == "json"
    page = rendered(shown)
    assert len(page) < 100_000  # it would be 30 MB
    assert posted(NUMBERS, Page(page).pairs()).document == document
    few = form(NUMBERS, {"list": [1, 2, 3]})
    assert [row.kind for row in few.fields[0].fields] == ["select"] * 3


def test_a_group_beyond_that_says_why_it_is_json():
    shown = form(FLAT)
    assert (shown.kind, shown.why) == ("json", "The form would have more than 2000 fields.")


def test_fields_that_were_posted_to_too_long_a_form_come_back_as_json():
    pairs = [(f"user/p{i}", "x") for i in range(9_800)]
    shown = again(FLAT, pairs)
    assert shown.kind == "json"
    assert posted(FLAT, Page(rendered(shown)).pairs()).document == posted(FLAT, pairs).document


def test_a_group_that_still_fits_has_fields():
    assert form(of(**texts(1_900))).kind == "group"


def test_a_choice_among_thousands_of_numbers_is_made_in_a_moment():
    schema = of(port={"enum": [*range(20_000, 26_000)]})
    began = time.process_time()
    shown = form(schema, {"port": 20_007})
    assert time.process_time() - began < 5  # it was a minute when each was compared with each
    assert [o.label for o in shown.fields[0].options if o.chosen] == ["20007"]
