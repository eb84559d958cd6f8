"""What an owner's pages do with secrets, and with what is odd."""

import re

import pytest

from caelus.models import Event, Product, now
from tests.owner import HERE, NEWER, SECRET, creation, newer
from tests.owner import ada as ada
from tests.owner import cluster as cluster
from tests.owner import one as one

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# Secrets


def test_no_page_shows_a_secret_but_the_answer_to_reveal(cluster, rest):
    newer(rest, values_schema_json=NEWER)
    generated = rest("reveal-secrets", user_id=1, deployment_id=1).document["secrets"]["/user/key"]
    ends = (
        "",
        "/live",
        "/edit",
        "/upgrade",
        "/domain",
        "/delete",
        "/secrets",
        "/resources",
        "/logs",
    )
    for path in ("/ui", *(HERE + end for end in ends)):
        page = cluster.page(path)
        assert SECRET not in page and generated not in page
    count = Event.select().where(Event.type == "secrets_revealed").count()
    answer = cluster.post(f"{HERE}/secrets")
    assert SECRET in answer.text and generated in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert Event.select().where(Event.type == "secrets_revealed").count() == count + 1


# What is odd


POSTS = [
    *("/ui/products/1/create", "/ui/products/1/create/check", "/ui/account"),
    *(f"{HERE}/{end}" for end in ("edit", "domain", "domain/check", "upgrade", "retry", "delete")),
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {"domainname": "\0", "name": "\0", "user/title": "\0", "expires_in_days": "\0"},
        {"template_id": "9" * 40, "generation": "x", "do": "😀"},
        {"template_id": "-1", "user/size": "1e999", "user:json": "[" * 5000},
        {"user/title": "x" * 100_000, "domainname": "x" * 100_000, "name": "x" * 100_000},
        {"asks": "1", "user/tags:item": "a", "_add": "nowhere", "_remove": "user/tags/999"},
    ],
)
def test_an_odd_post_gets_a_page_with_a_sentence(one, rest, path, pairs):
    newer(rest)
    answer = one.post(path, pairs)
    assert answer.status_code < 500
    if answer.status_code != 303:
        assert answer.headers["content-type"].startswith("text/html")
        assert "</" in answer.text or path.endswith("/check")


@pytest.mark.parametrize("path", ["/ui/products/1/create", f"{HERE}/edit"])
def test_too_large_a_form_is_refused_in_a_sentence(one, path):
    answer = one.post(path, domainname="x" * 2**21)
    assert answer.status_code == 413
    assert "<html" in answer.text and "is over" in answer.text


@pytest.mark.parametrize("typed", ["%ff", "\xff"])
def test_a_form_that_is_no_utf_8_is_refused_in_a_sentence(one, typed):
    answer = one.send(f"{HERE}/domain", f"domainname={typed}.example.org".encode("latin-1"))
    assert answer.status_code == 400
    assert "The form is not in UTF-8" in answer.text


def test_an_asset_is_304_to_who_has_it(ada):
    for name in ("app.css", "app.js", "htmx.min.js"):
        etag = ada.get(f"/ui/assets/{name}").headers["etag"]
        again = ada.get(f"/ui/assets/{name}", headers={"If-None-Match": etag})
        assert again.status_code == 304


@pytest.mark.parametrize("end", ["?after=x", "?after=-1", "?after=%00", "?after=1&after=2"])
def test_an_odd_place_in_a_list_is_its_beginning(one, end):
    assert "n1.example.org" in one.page(f"/ui{end}")
    one.page(f"{HERE}{end.replace('after', 'before')}")


@pytest.mark.parametrize("path", ["/ui/products/x/create", "/ui/users/1/deployments/%00", "/ui/no"])
def test_what_is_not_there_is_a_page(ada, path):
    answer = ada.get(path)
    assert answer.status_code == 404
    assert "<html" in answer.text


def test_no_page_has_script_or_style_inside(one, rest):
    newer(rest, values_schema_json=NEWER)
    ends = ("", "/edit", "/upgrade", "/domain", "/delete", "/secrets", "/retry")
    paths = ["/ui", "/ui/products", "/ui/products/1/create", "/ui/account"]
    for path in [*paths, *(HERE + end for end in ends)]:
        page = one.page(path)
        assert not re.search(r"<style|style=|<script>|\son[a-z]+=", page), path
        labels = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
        shown = re.findall(r"<(?:input|select|textarea)(?![^>]*hidden)[^>]*>", page)
        for control in shown:
            name = re.search(r' id="([^"]+)"', control)
            assert name is None or name[1] in labels or 'type="checkbox"' in control, control


def test_a_product_that_is_gone_meanwhile_is_told(ada, rest):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine")
    Product.update(deleted_at=now()).execute()
    answer = ada.post("/ui/products/1/create", sent)
    assert answer.status_code == 404
    assert "Product 1 not found" in answer.text


@pytest.mark.parametrize("path", ["/ui", "/ui/nothing", "/login/x"])
def test_a_word_that_is_there_twice_is_a_page_like_any(ada, path):
    once, twice = ada.get(path), ada.get(path, query_string="done=created&done=updated")
    assert twice.status_code == once.status_code
    assert "<main" in twice.text


def test_no_cache_keeps_a_form_with_what_was_typed(one):
    typed = {"user/mail": SECRET, "user/size": "99", "user/title": "x", "template_id": "1"}
    for path in (f"{HERE}/edit", "/ui/products/1/create", "/ui/products/1/create/check"):
        answer = one.post(path, typed)
        assert answer.headers["cache-control"] == "no-store", path
        assert "etag" not in answer.headers
    assert SECRET in one.post(f"{HERE}/edit", typed).text
