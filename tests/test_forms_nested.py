"""A form from a JSON Schema: lists, groups, errors, and the page of it."""

import pytest

from caelus import values
from caelus.errors import CaelusError, Conflict, Invalid
from caelus.web.forms import again, form, humanised
from caelus.web.inputs import as_javascript
from caelus.web.posted import pairs_of, posted
from tests.form_parts import TEXT, field, of, page, typed
from tests.markup import Page, rendered

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": TEXT,
                "left": {"$ref": "#/$defs/node"},
                "others": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
        }
    },
    "properties": {"user": {"$ref": "#/$defs/node"}},
}
TARGET = {
    "oneOf": [
        {
            "title": "A bucket",
            "type": "object",
            "properties": {"kind": {"const": "s3"}, "bucket": TEXT},
            "required": ["kind", "bucket"],
        },
        {
            "type": "object",
            "properties": {"kind": {"const": "disk"}, "path": TEXT},
            "required": ["kind"],
        },
    ]
}


def press(schema, document, name, value):
    """The page after one of its own buttons."""
    result = posted(schema, [*page(schema, document).pairs(), (name, value)])
    assert result.again
    return Page(rendered(again(schema, result.pairs)))


# Lists and maps


def test_rows_are_added_and_removed_by_buttons_and_keep_what_is_typed():
    schema = of(hosts={"type": "array", "items": TEXT})
    shown = press(schema, {"hosts": ["a", "b", "c"]}, "_remove", "user/hosts/1")
    assert [text for name, text in shown.pairs() if name.startswith("user/hosts/")] == ["a", "c"]
    result = posted(schema, [*shown.pairs(**{"user/hosts/2": "C"}), ("_add", "user/hosts")])
    shown = Page(rendered(again(schema, result.pairs)))
    result = posted(schema, shown.pairs(**{"user/hosts/3": "d"}))
    assert result.document == {"hosts": ["a", "C", "d"]}


def test_rows_that_say_nothing_are_dropped_and_errors_stay_beside_the_others():
    schema = of(ports={"type": "array", "items": {"type": "integer"}})
    pairs = [("user/ports:item", n) for n in "012"]
    pairs += [("user/ports/0", "80"), ("user/ports/1", ""), ("user/ports/2", "https")]
    result = posted(schema, pairs)
    assert result.errors == [("user_values_json.ports.1", "must be a whole number")]
    root = again(schema, result.pairs, result.errors)
    assert [(f.value, f.errors) for f in field(root, "user/ports").fields] == [
        *(("80", ()), ("https", ("must be a whole number",)))
    ]


def test_a_full_list_has_no_button_to_add():
    schema = of(hosts={"type": "array", "items": TEXT, "maxItems": 1})
    assert not field(form(schema, {"hosts": ["a"]}), "user/hosts").may_add


def test_a_map_is_rows_of_names_and_values():
    schema = of(env={"type": "object", "additionalProperties": TEXT})
    shown = press(schema, {"env": {"A.b/c": "", "B": "2"}}, "_add", "user/env")
    texts = {"user/env/2:key": "Ü[0]", "user/env/2": "new"}
    result = posted(schema, shown.pairs(**texts))
    assert result.document == {"env": {"A.b/c": "", "B": "2", "Ü[0]": "new"}}


@pytest.mark.parametrize(
    "rows, error",
    [
        ([("A", "1"), ("A", "2")], ("user_values_json.env.A", "is there twice")),
        ([("", "1")], ("user_values_json.env", "has a value without a name")),
        ([("A", "")], ("user_values_json.env.A", "needs a value")),
    ],
)
def test_rows_of_a_map_that_make_no_object_are_told_and_kept(rows, error):
    schema = of(env={"type": "object", "additionalProperties": {"type": "integer"}})
    pairs = [("user/env:item", str(n)) for n in range(len(rows))]
    for n, (key, value) in enumerate(rows):
        pairs += [(f"user/env/{n}:key", key), (f"user/env/{n}", value)]
    result = posted(schema, pairs)
    assert result.errors == [error]
    assert set(pairs) <= set(Page(rendered(again(schema, result.pairs))).pairs())


@pytest.mark.parametrize(
    "schema, why",
    [
        ({"type": "array", "prefixItems": [TEXT]}, "not all of one kind"),
        ({"type": "array"}, "does not say of what"),
        ({"type": "object"}, "does not say what is in it"),
        ({"type": ["string", "integer"]}, 'a text (in "quotes") or a whole number'),
        ({"oneOf": [TEXT, {"type": "number"}]}, 'a number or a text (in "quotes")'),
        ({"oneOf": [{"type": "array", "items": TEXT}, {}]}, "several forms"),
        ({"not": {"type": "string"}}, "of what type"),
        ({"if": {}, "then": {"properties": {"a": TEXT}}, "type": "object"}, "conditions"),
    ],
)
def test_what_is_not_plain_is_json_and_says_why(schema, why):
    shown = form(of(x=schema)).fields[0]
    assert shown.kind == "json"
    assert why in shown.why
    assert posted(of(x=schema), [("user/x:json", "[1, {}]")]).document == {"x": [1, {}]}


def test_json_that_is_none_is_told_with_its_line():
    result = posted(of(x={}), [("user/x:json", "{\r\nnull")])
    assert result.errors[0][1].startswith("is not JSON: ")
    assert "line 2" in result.errors[0][1]
    assert again(of(x={}), result.pairs).fields[0].value == "{\r\nnull"


# Groups


def test_what_no_field_holds_is_kept_beside_them():
    schema = of(a=TEXT)
    shown = form(schema, {"a": "x", "other": {"b": [1]}})
    assert shown.fields[-1].label == "Further properties"
    assert typed(schema, {"a": "x", "other": {"b": [1]}}).document == {
        "a": "x",
        "other": {"b": [1]},
    }


def test_a_further_property_can_not_hide_a_field():
    pairs = [("user/a", "x"), ("user:rest:json", '{"a": 1}')]
    assert "take away one" in posted(of(a=TEXT), pairs).errors[0][1]


def test_an_optional_group_is_there_only_if_something_in_it_is_said():
    mail = {"type": "object", "properties": {"host": TEXT, "tls": {"type": "boolean"}}}
    mail["required"] = ["host", "tls"]
    assert typed(of(mail=mail)).document == {}
    assert typed(of("mail", mail=mail), **{"mail/host": "x"}).document["mail"]["host"] == "x"
    controls = page(of(mail=mail)).controls
    assert not any("required" in control for control in controls)  # else nobody could send it


def test_parts_of_all_of_are_one_group():
    one = {"properties": {"a": TEXT}, "required": ["a"]}
    two = {"properties": {"b": TEXT, "a": {"minLength": 3}}}
    shown = form({"properties": {"user": {"allOf": [one, two]}}})
    assert [(f.name, f.required, f.attributes) for f in shown.fields] == [
        *(("user/a", True, {"minlength": "3"}), ("user/b", False, {}))
    ]


def test_a_choice_shows_the_fields_of_what_is_chosen():
    schema = of(target=TARGET)
    document = {"target": {"kind": "disk", "path": "/x"}}
    shown = field(form(schema, document), "user/target")
    assert [(o.label, o.chosen) for o in shown.options] == [
        *(("not set", False), ("A bucket", False), ("kind: disk", True))
    ]
    pairs = [pair for pair in page(schema, document).pairs() if pair[0] != "user/target:choice"]
    other = posted(schema, [*pairs, ("user/target:choice", "0")])
    assert other.again
    shown = Page(rendered(again(schema, other.pairs)))
    result = posted(schema, shown.pairs(**{"user/target/bucket": "b"}))
    assert result.document == {"target": {"kind": "s3", "bucket": "b"}}


def test_alternatives_that_only_forbid_do_not_hide_the_fields():
    user = of(a=TEXT, b=TEXT)["properties"]["user"]
    user["anyOf"] = [{"required": ["a"]}, {"required": ["b"]}]
    assert len(form({"properties": {"user": user}}).fields) == 2


def test_a_schema_inside_itself_ends_as_json_and_shows_what_there_is():
    shown = form(TREE)
    assert field(shown, "user/left:json").why.startswith("It may hold more")
    document = {"name": "a", "left": {"left": {"name": "b"}}, "others": [{"others": [{}]}]}
    assert typed(TREE, document).document == document


def test_references_that_multiply_do_not_make_a_form_without_end():
    defs = {
        f"d{n}": {
            "type": "object",
            "properties": {k: {"$ref": f"#/$defs/d{n + 1}"} for k in "abcdefgh"},
        }
        for n in range(6)
    } | {"d6": TEXT}
    html = rendered(form({"$defs": defs, "properties": {"user": {"$ref": "#/$defs/d0"}}}))
    assert len(html) < 6_000_000


def test_deep_documents_end_as_json_and_come_back():
    node, document = TEXT, "x"
    for _ in range(40):
        node, document = {"type": "object", "properties": {"a": node}}, {"a": document}
    assert typed({"properties": {"user": node}}, document).document == document


def test_two_hundred_properties_and_their_values():
    schema = of(**{f"p{n}": {"type": "integer"} for n in range(200)})
    document = {f"p{n}": n for n in range(200)}
    assert typed(schema, document).document == document


def test_false_allows_nothing_and_true_anything():
    shown = form(of(no=False, yes=True))
    assert [f.name for f in shown.fields] == ["user/yes:json"]
    assert typed(of(no=False), {"no": 1}).document == {"no": 1}


def test_posted_names_that_lead_deep_or_nowhere_are_nothing():
    deep = "user" + "/left" * 5000 + "/name"
    pairs = [(deep, "x"), ("user/zz", "1"), ("other", "2"), ("user/others:item", "-1"), ("", "")]
    assert posted(TREE, pairs).document == {}


# Errors


def test_errors_stand_beside_their_fields_and_the_rest_at_the_top():
    schema = of(
        hosts={"type": "array", "items": of(name=TEXT)["properties"]["user"]},
        free={"type": "object"},
    )
    document = {"hosts": [{"name": "a"}, {"name": "b"}], "free": {"x": {"y": 1}}}
    errors = [
        {"field": "user_values_json.hosts.1.name", "message": "is odd"},
        {"field": "user_values_json.free.x.y", "message": "is odd"},
        {"field": "user_values_json.hosts", "message": "are too many"},
        {"field": "values.ingress", "message": "is missing"},
    ]
    root = form(schema, document, errors)
    assert field(root, "user/hosts/1/name").errors == ("is odd",)
    assert field(root, "user/free:json").errors == ("x.y is odd",)
    assert field(root, "user/hosts").errors == ("are too many",)
    assert root.errors == ("values.ingress is missing",)


def test_the_services_refusals_stand_beside_the_fields():
    schema = of("name", name=TEXT, size={"type": "integer", "maximum": 3})
    for refused, check in (
        ({"size": 9}, lambda document: values.check_user_values(schema, document)),
        ({"name": "a\nb"}, lambda document: values.check_user_text({}, document)),
    ):
        with pytest.raises(Conflict) as told:
            check(refused)
        root = form(schema, refused, pairs_of(told.value))
        assert not root.errors
        assert all(name in told.value.detail for name in refused)
        assert all(field(root, f"user/{name}").errors for name in refused)


def test_any_error_can_be_shown():
    assert pairs_of(Invalid(("user_values_json.a", "is bad"))) == [("user_values_json.a", "is bad")]
    assert pairs_of(CaelusError("it broke")) == [("", "it broke")]
    assert form(of(a=TEXT), {}, CaelusError("it broke")).errors == ("it broke",)
    assert form(None, None, CaelusError("it broke")).errors == ("it broke",)


def test_an_error_opens_the_groups_around_it():
    inner = {"type": "object", "properties": {"b": TEXT}}
    schema = of(**{f"g{n}": inner for n in range(9)})
    root = form(schema, {}, [("user_values_json.g3.b", "is missing")])
    assert [f.name for f in root.fields if not f.folded] == ["user/g3"]


# The page


def test_every_control_has_a_label_and_what_is_said_of_it():
    schema = of(
        "name",
        name=TEXT | {"description": "Who <b>you</b> are", "examples": ["Ada"]},
        env={"type": "object", "additionalProperties": TEXT},
        on={"type": "boolean", "default": True, "description": "Whether"},
        target=TARGET,
        key=TEXT | {"format": "password"},
    )
    document = {"name": "x", "env": {"A": "1"}, "target": {"kind": "disk"}}
    shown = page(schema, document, errors=[("user_values_json.name", "is bad")])
    ids = [tag["id"] for tag in shown.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    labelled = {tag["for"] for tag in shown.tags if tag["tag"] == "label" and "for" in tag}
    for control in shown.controls:
        if control.get("type") not in ("hidden", "checkbox"):
            assert control["id"] in labelled
        for described in control.get("aria-describedby", "").split():
            assert described in ids
    name = shown.named("user/name")
    assert (name["aria-invalid"], name["placeholder"], "required" in name) == ("true", "Ada", True)
    assert "Who <b>you</b> are" in shown.words


def test_nothing_in_the_page_runs_or_styles_by_itself():
    evil = '"><script>alert(1)</script>'
    schema = of(**{evil: TEXT | {"title": evil, "description": evil, "examples": [evil]}})
    html = rendered(form(schema, {evil: evil, "more" + evil: evil}, [("", evil)]))
    assert not any(tag["tag"] in ("script", "style") for tag in Page(html).tags)
    assert not any(key == "style" or key.startswith("on") for tag in Page(html).tags for key in tag)
    assert typed(schema, {evil: evil}).document == {evil: evil}


def test_the_enter_key_means_to_save():
    shown = page(of(hosts={"type": "array", "items": TEXT}), {"hosts": ["a"]})
    assert "name" not in shown.buttons[0]
    assert all("formnovalidate" in button for button in shown.buttons[1:])


def test_what_is_read_only_is_posted_as_it_is():
    schema = of(
        a=TEXT | {"readOnly": True},
        b={"enum": ["x", "y"], "readOnly": True},
        c={"type": "boolean", "default": False, "readOnly": True},
        d={"type": "array", "items": TEXT, "readOnly": True},
    )
    document = {"a": "1", "b": "y", "c": True, "d": ["z"]}
    assert typed(schema, document).document == document
    assert len(page(schema, document).buttons) == 1


@pytest.mark.parametrize(
    "name, label",
    [
        ("storageClass", "Storage class"),
        ("db_host", "Db host"),
        ("TLSMode", "TLS mode"),
        ("größe", "Größe"),
        ("", "(no name)"),
        ("//", "//"),
    ],
)
def test_a_property_without_a_title_has_a_readable_label(name, label):
    assert humanised(name) == label


@pytest.mark.parametrize(
    "pattern, same",
    [
        ("^[a-z0-9-]+$", r"(?:[a-z0-9\-]+)"),
        ("^(a|b)$", "(?:(a|b))"),
        ("b{2}", r"[\s\S]*(?:b{2})[\s\S]*"),
        ("^a|b$", None),
        (r"^\d+$", None),
        (r"^\w$", None),
        ("^[^a&&b]$", None),
        (r"(?<=x)y", None),
        ("(", None),
        (r"^\p{L}$", None),
        (r"^x\$", r"(?:x\$)[\s\S]*"),
    ],
)
def test_a_pattern_is_for_the_browser_only_where_it_means_the_same(pattern, same):
    assert as_javascript(pattern) == same


@pytest.mark.parametrize(
    "schema, attributes",
    [
        ({"type": "integer", "minimum": 0.5, "exclusiveMaximum": 5}, {"min": "1", "max": "4"}),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}, {"max": "1.5"}),
        ({"type": "integer", "minimum": 3, "multipleOf": 5}, {"min": "3"}),
        ({"type": "integer", "minimum": 5, "multipleOf": 5}, {"min": "5", "step": "5"}),
    ],
)
def test_bounds_are_for_the_browser_where_it_counts_alike(schema, attributes):
    step = {"step": "1" if schema["type"] == "integer" else "any"}
    assert form(of(x=schema)).fields[0].attributes == step | attributes
