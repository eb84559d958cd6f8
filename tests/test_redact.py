"""What may not be told of a failure, and what must."""

import base64
import json

import pytest

from caelus.models import Deployment, Template, User
from caelus.redact import scrub

SECRET = "hunter2"


def deployment(user_values=None, defaults=None) -> Deployment:
    return Deployment(
        user=User(email="ada@example.org"),
        desired_template=Template(
            chart_ref="oci://registry.example.org/notes",
            chart_version="1.0.0",
            default_values_json=defaults,
        ),
        domainname="notes.example.org",
        deployment_uid="notes-ada-example-org-x1y2z3",
        user_values_json=user_values,
    )


@pytest.mark.parametrize(
    ("values", "said", "told"),
    [
        ({"password": SECRET}, "cannot use hunter2 here", "cannot use *** here"),
        ({"a": [{"b": SECRET}]}, 'bad value "hunter2"', 'bad value "***"'),
        ({"pin": 1234567}, "got 1234567, want string", "got ***, want string"),
        ({"ratio": 0.12345}, "got 0.12345", "got ***"),
        ({"a": "long", "b": "long word"}, "a long word of long", "a *** of ***"),
        ({"a": "$tr@nge!"}, "x$tr@nge!x", "x***x"),
        ({"a": "correct-horse-battery"}, "keycorrect-horse-battery1", "key***1"),
    ],
    ids=["plain", "nested", "integer", "float", "longest first", "signs", "inside a word"],
)
def test_the_users_values_are_not_told(values, said, told):
    assert scrub(said, deployment(values)) == told


def test_our_own_words_and_the_object_are_told_whatever_the_values_are():
    values = {"name": "webshop", "kind": "image", "title": "pulled"}
    said = "Pod webshop-a575: image webshop can't be pulled"
    told = scrub(said, deployment(values), "Pod webshop-a575")
    assert told == "Pod webshop-a575: image *** can't be pulled"


@pytest.mark.parametrize("secret", ['say "hunter2"', "a<b>&c", "back\\slash", "tab\there", "é 😀é"])
def test_a_value_is_known_however_it_is_quoted(secret):
    once = json.dumps(secret, ensure_ascii=False)
    in_go = once.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    twice, in_go_twice = (json.dumps(text, ensure_ascii=False) for text in (once, in_go))
    encoded = base64.b64encode(secret.encode()).decode()
    for said in (secret, once, in_go, twice, in_go_twice, encoded):
        told = scrub(f"error in {said} of the chart", deployment({"a": secret}))
        assert told.replace('"', "").replace("\\", "") == "error in *** of the chart"


def test_no_line_of_a_value_is_told():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQ\n"
    for said in (key, "yaml: line 2: kqhkiG9w0BAQ", "bad -----BEGIN KEY----- MIIEvQIBADANBg"):
        told = scrub(said, deployment({"key": key}))
        assert not any(part in told for part in ("BEGIN", "MIIE", "kqhk"))


@pytest.mark.parametrize(
    "defaults",
    [
        {"adminPassword": SECRET},
        {"db": {"auth": {"user_pass": SECRET}}},
        {"secrets": {"any": ["thing", SECRET]}},
        {"api-key": SECRET},
        {"accessKey": SECRET},
        {"list": [{"token": SECRET}]},
        {"env": [{"name": "DB_PASSWORD", "value": SECRET}]},
    ],
)
def test_what_the_defaults_call_a_secret_is_not_told(defaults):
    assert scrub("cannot use hunter2", deployment(defaults=defaults)) == "cannot use ***"


def test_other_defaults_are_told():
    defaults = {"image": "busybox", "env": [{"name": "MODE", "value": "busybox"}]}
    assert scrub("no busybox there", deployment(defaults=defaults)) == "no busybox there"


def test_what_a_user_may_see_anyway_stays():
    said = (
        "chart oci://registry.example.org/notes 1.0.0 of notes-ada-example-org-x1y2z3 for "
        "ada@example.org at notes.example.org"
    )
    values = {"title": "notes", "zone": "example", "domain": "notes.example.org", "v": "1.0.0"}
    assert scrub(said, deployment(values)) == said


def test_a_secret_next_to_the_domain_is_not_told():
    values = {"url": "https://notes.example.org/?key=hunter2"}
    told = scrub("cannot open https://notes.example.org/?key=hunter2 now", deployment(values))
    assert told == "cannot open *** now"


def test_short_values_and_parts_of_words_leave_the_sentence_readable():
    values = {"a": "on", "b": True, "c": 3, "d": None, "e": "form", "f": ""}
    said = "information on 3 forms is not true"
    assert scrub(said, deployment(values)) == said


def test_it_is_one_line_without_control_characters():
    assert scrub("a\tb\r\n c\x1b[31md\0", deployment()) == r"a b c\x1b[31md\x00"


def test_long_noise_is_cut_but_never_through_a_secret():
    said = "x" * 590 + " correct-horse-battery-staple " + "y" * 10_000
    told = scrub(said, deployment({"password": "correct-horse-battery-staple"}))
    assert told.startswith("x" * 590 + " *** yyy")
    assert told.endswith("y...")
    assert len(told) == 603
