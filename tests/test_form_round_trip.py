"""What a form posts untouched is the document that it shows, for whatever schema and document."""

import json

from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from caelus import validation
from caelus.web.forms import again, form
from caelus.web.merging import canonical
from caelus.web.posted import posted
from tests.browser import Page, rendered

few = bounded(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
NAMES = TEXTS | st.sampled_from(["", ".", "a/b", "a.b", "[0]", "a:json", "%2F", "é ü", "a\nb", "0"])
NUMBERS = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2)
)
FORMATS = st.sampled_from(["password", "date", "email", "uri", "textarea", "hostname", None])


def of(schema: dict, values: st.SearchStrategy) -> st.SearchStrategy:
    """A strategy of (schema, strategy of values that fit it)."""
    return st.just((schema, values))


@st.composite
def annotated(draw, inner):
    """The schema with what changes nothing about its documents."""
    schema, values = draw(inner)
    extra = draw(st.fixed_dictionaries({}, optional={"title": TEXTS, "description": TEXTS}))
    if draw(st.booleans()):
        extra["default"] = draw(values)
    return schema | extra, values


@st.composite
def leaves(draw):
    kind = draw(st.sampled_from(["text", "number", "integer", "boolean", "enum", "any", "const"]))
    if kind == "text":
        said = draw(FORMATS)
        texts = TEXTS | st.sampled_from(["2020-01-31", "a@b.example", "https://a.example/ ", "\n"])
        return {"type": "string"} | ({"format": said} if said else {}), texts
    if kind == "enum":
        listed = draw(st.lists(ANYTHING, min_size=1, max_size=4, unique_by=canonical))
        return {"enum": listed}, st.sampled_from(listed)
    if kind == "const":
        listed = draw(st.lists(SCALARS, min_size=1, max_size=3, unique_by=canonical))
        choices = [{"const": value, "title": str(value)} for value in listed]
        return {draw(st.sampled_from(["oneOf", "anyOf"])): choices}, st.sampled_from(listed)
    known = {
        "number": ({"type": "number"}, NUMBERS),
        "integer": ({"type": "integer"}, st.integers(-(2**62), 2**62) | st.just(3.0)),
        "boolean": ({"type": "boolean"}, st.booleans()),
        "any": (draw(st.sampled_from([{}, {"title": "t"}])), ANYTHING),
    }
    return known[kind]


@st.composite
def nullable(draw, inner):
    schema, values = draw(inner)
    if isinstance(schema.get("type"), str) and draw(st.booleans()):
        return schema | {"type": [schema["type"], "null"]}, values | st.none()
    return {"anyOf": [schema, {"type": "null"}]}, values | st.none()


@st.composite
def lists(draw, inner):
    schema, values = draw(inner)
    return {"type": "array", "items": schema}, st.lists(values, max_size=3)


@st.composite
def maps(draw, inner):
    schema, values = draw(inner)
    found = {"type": "object", "additionalProperties": schema}
    return found, st.dictionaries(NAMES, values, max_size=3)


@st.composite
def groups(draw, inner):
    properties = draw(st.dictionaries(NAMES, inner, max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    schema = {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in properties.items()},
        "required": required,
    }
    fixed = {name: properties[name][1] for name in required}
    maybe = {name: values for name, (_, values) in properties.items() if name not in required}
    values = st.fixed_dictionaries(fixed, optional=maybe)
    if draw(st.booleans()):
        return schema | {"additionalProperties": False}, values
    rest = ANYTHING
    if draw(st.booleans()):
        schema["additionalProperties"], rest = draw(inner)
    more = st.dictionaries(NAMES.filter(lambda name: name not in properties), rest, max_size=2)
    return schema, st.builds(lambda extra, own: {**extra, **own}, more, values)


@st.composite
def choices(draw, inner):
    branches = draw(st.lists(groups(inner), min_size=2, max_size=3))
    schemas, values = zip(*branches, strict=True)
    return {"anyOf": list(schemas)}, st.one_of(*values)


@st.composite
def merged(draw, inner):
    one, of_one = draw(groups(inner))
    two, of_two = draw(groups(inner))
    for schema in (one, two):
        schema.pop("additionalProperties", None)
    return {"allOf": [one, two]}, st.builds(lambda a, b: b | a, of_one, of_two)


def bigger(inner):
    made = (lists, maps, groups, choices, merged, nullable, annotated)
    return st.one_of(*(make(inner) for make in made))


SCHEMAS = st.recursive(leaves(), bigger, max_leaves=8)


@st.composite
def cases(draw):
    """A template's schema and a document that fits its `properties.user`."""
    user, values = draw(st.one_of(groups(SCHEMAS), maps(SCHEMAS), choices(SCHEMAS)))
    schema = {"properties": {"user": user}}
    document = draw(values)
    if validation.schema_errors(schema, document, ("properties", "user")):
        return schema, {}  # parts of allOf that exclude each other
    return schema, document


def same(one, other) -> bool:
    return canonical(one) == canonical(other)


def valid(schema: dict, document) -> bool:
    return not validation.schema_errors(schema, document, ("properties", "user"))


@few
@given(cases())
def test_a_form_that_is_not_touched_posts_what_it_shows(case):
    schema, document = case
    if not valid(schema, document):
        return
    page = Page(rendered(form(schema, document)))
    result = posted(schema, page.pairs())
    assert (result.errors, result.again) == ([], False)
    assert same(result.document, document), (document, result.document)


@few
@given(cases())
def test_a_form_that_is_shown_again_posts_the_same(case):
    schema, document = case
    first = posted(schema, Page(rendered(form(schema, document))).pairs())
    second = posted(schema, Page(rendered(again(schema, first.pairs))).pairs())
    assert same(first.document, second.document), (first, second)


@few
@given(cases(), cases())
def test_any_pairs_for_any_schema_give_a_document(case, other):
    schema, document = case
    pairs = Page(rendered(form(*other))).pairs()
    result = posted(schema, pairs)
    json.dumps(result.document)
    rendered(again(schema, result.pairs, result.errors))
