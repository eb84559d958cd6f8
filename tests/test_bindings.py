"""Bindings: where facts and values get to in a chart's values."""

import pytest

from caelus.errors import Conflict
from tests.values_made import SECRET, USER_TAKES_ANYTHING, final


def bound(template, **more):
    """What a binding of `template` to /x puts there; None where it puts nothing there."""
    return final({"/x": template}, **more).get("x")


def test_the_bindings_of_the_contract_give_what_it_says():
    bindings = {
        "/ingress/hosts/0/host": "${domainname}",
        "/app/url": "https://${domainname}",
        "/app/replicas": "${values.user.replicas}",
    }
    assert final(bindings, {"replicas": 3}, schema=USER_TAKES_ANYTHING) == {
        "user": {"replicas": 3},
        "ingress": {"hosts": [{"host": "ada.example.org"}]},
        "app": {"url": "https://ada.example.org", "replicas": 3},
    }


@pytest.mark.parametrize("value", [3, 2.5, True, None, "x", ["a", 1], {"a": {"b": 1}}])
def test_a_single_reference_keeps_the_type_of_its_value(value):
    result = final({"/x": "${values.user.v}"}, {"v": value}, schema=USER_TAKES_ANYTHING)
    assert result["x"] == value
    assert type(result["x"]) is type(value)


def test_a_bound_object_is_a_copy():
    result = final({"/x": "${values.user.v}"}, {"v": {"a": 1}}, schema=USER_TAKES_ANYTHING)
    result["x"]["a"] = 2
    assert result["user"] == {"v": {"a": 1}}


def test_a_value_that_the_user_left_out_binds_nothing():
    given = {"defaults": {"x": "default"}, "user_values": {"other": 1}}
    assert final({"/x": "${values.user.v}"}, **given)["x"] == "default"
    assert final({"/y/z": "${values.user.v}"}, **given).keys() == {"x", "user"}


def test_a_text_with_a_value_that_the_user_left_out_binds_nothing():
    assert bound("size ${values.user.v}", defaults={"x": "default"}) == "default"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${deployment_uid}.${domainname}", "notes-ada-abc123.ada.example.org"),
        ("mailto:${user.email}", "mailto:ada@example.org"),
        ("no ${user.id} of ${product.name}", "no 7 of Notes"),
        ("${values.user.n}/${values.user.f}", "3/0.5"),
        ("on: ${values.user.b}", "on: true"),
        ("list ${values.user.l}", 'list [1,"ä"]'),
        ("$$", "$"),
        ("$$$$", "$$"),
        ("$${domainname}", "${domainname}"),
        ("cost $$${values.user.n}", "cost $3"),
    ],
)
def test_references_inside_a_text_become_text(template, text):
    user_values = {"n": 3, "f": 0.5, "b": True, "l": [1, "ä"]}
    assert bound(template, user_values=user_values, schema=USER_TAKES_ANYTHING) == text


def test_default_values_can_be_referred_to_too():
    defaults = {"db": {"hosts": ["one", "two"]}}
    assert bound("${values.db.hosts.1}", defaults=defaults) == "two"
    assert bound("${values.db.hosts.2}", defaults=defaults) is None
    assert bound("${values.db.hosts.01}", defaults=defaults) is None


@pytest.mark.parametrize(
    ("pointer", "result"),
    [
        ("/a~1b", {"a/b": "v"}),
        ("/a~0b", {"a~b": "v"}),
        ("/a~01", {"a~1": "v"}),
        ("/", {"": "v"}),
        ("//x", {"": {"x": "v"}}),
        ("/a.b/c d", {"a.b": {"c d": "v"}}),
        ("/hosts/0", {"hosts": ["v"]}),
        ("/hosts/-", {"hosts": ["v"]}),
        ("/hosts/0/0/name", {"hosts": [[{"name": "v"}]]}),
        ("/ports/80", {"ports": {"80": "v"}}),
    ],
)
def test_a_pointer_makes_what_is_missing_on_its_way(pointer, result):
    assert final({pointer: "v"}) == result


@pytest.mark.parametrize(
    ("pointer", "hosts"),
    [
        ("/hosts/0/host", [{"host": "v", "path": "/"}, 2]),
        ("/hosts/1", [{"path": "/"}, "v"]),
        ("/hosts/2", [{"path": "/"}, 2, "v"]),
        ("/hosts/-", [{"path": "/"}, 2, "v"]),
        ("/hosts/-/host", [{"path": "/"}, 2, {"host": "v"}]),
    ],
)
def test_a_pointer_into_a_list_changes_that_item_alone(pointer, hosts):
    defaults = {"hosts": [{"path": "/"}, 2]}
    assert final({pointer: "v"}, defaults=defaults)["hosts"] == hosts
    assert defaults == {"hosts": [{"path": "/"}, 2]}


def test_null_in_the_way_counts_as_missing():
    assert final({"/a/b": "v"}, defaults={"a": None}) == {"a": {"b": "v"}}


def test_bindings_apply_one_after_the_other():
    assert final({"/a": "${values.base}", "/a/b": "v"}, defaults={"base": {"c": 1}}) == {
        "base": {"c": 1},
        "a": {"c": 1, "b": "v"},
    }


def test_a_binding_wins_over_user_values():
    result = final({"/user/size": "fixed"}, {"size": "mine"}, schema=USER_TAKES_ANYTHING)
    assert result == {"user": {"size": "fixed"}}


def test_a_user_value_in_the_way_of_a_binding_is_refused():
    with pytest.raises(Conflict, match="^binding /user/a/b can never resolve: there is a plain"):
        final({"/user/a/b": "v"}, {"a": SECRET}, schema=USER_TAKES_ANYTHING)
