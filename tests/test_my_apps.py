"""My apps: found by search and status, those in trouble told of first; by every surface."""

import html
import re

import pytest

from caelus.models import Deployment, Product, Template
from tests.admins import Pages, Read, text_of
from tests.conftest import counted
from tests.test_overview import deploy, queries

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ERROR_LINK = 'href="/ui?status=error"'


@pytest.fixture
def ada(shop):
    """User 1 in her browser; user 2 is eve."""
    assert shop("create-user", email="eve@example.org").ok
    return Pages(1)


def page(browser, query: str = "", status: int = 200):
    answer = browser.send("GET", "/ui", query_string=query)
    assert answer.status_code == status, answer.text
    return answer


def apps(answer) -> list[str]:
    return re.findall(r"<h2><a [^>]*>(.*?)</a>", answer.text)


def domains(surface, **filters) -> list[str]:
    found = surface("list-deployments", user_id=1, **filters)
    return [deployment["domainname"] for deployment in found.document]


def other_product(name: str) -> int:
    """A template of another product."""
    product = Product.create(name=name)
    return Template.create(product=product, chart_ref="x", chart_version="1").id


# The operation


def test_apps_are_found_by_domain_product_and_status(shop, cli):
    mail = other_product("Mäil & Co")
    deploy(2)
    deploy(1, desired_template=mail, status="error")
    deploy(1, status="deleted")
    everything = ["d0.example.org", "d1.example.org", "d2.example.org"]
    for surface in (shop, cli):
        assert domains(surface) == everything
        assert domains(surface, search="D1.EX") == ["d1.example.org"]
        assert domains(surface, search="MÄIL") == ["d2.example.org"]
        assert domains(surface, search="notes") == everything[:2]
        assert domains(surface, search="notes", status="error") == []
        assert domains(surface, status="error") == ["d2.example.org"]
        assert domains(surface, status="deleted") == ["d3.example.org"]
        assert domains(surface, search="example", limit=1, after=1) == ["d1.example.org"]
        for nothing in ("%", "_", "'", "ada@example.org"):
            assert domains(surface, search=nothing) == []


@on_sqlite
def test_nobody_finds_what_is_anothers(ada, shop):
    deploy(2)
    deploy(1, user=2)
    assert domains(shop, search="example") == ["d0.example.org", "d1.example.org"]
    assert "d2.example.org" not in page(ada, "search=example").text


@on_sqlite
def test_a_search_takes_one_statement_more_however_much_there_is(shop):
    deploy(2)
    shop("get-user", user_id=1)  # once a minute the use of a token is noted
    for number, few in ((0, 3), (1, 4)):
        found = {"search": "d"} if number else {}
        with counted() as statements:
            domains(shop, **found)
        assert len(statements) == few
    deploy(300)
    for number in range(30):
        other_product(f"P{number}")
    with counted() as statements:
        assert len(domains(shop, search="d")) == 302
    assert len(statements) == 4


# The page


@on_sqlite
def test_spaces_around_what_is_searched_for_do_not_count(ada):
    deploy(2)
    for query in ("search=%20d1.example.org+", "search=d1.&status=%20"):
        assert apps(page(ada, query)) == ["d1.example.org"]
    assert len(apps(page(ada, "search=+"))) == 2


def test_with_nothing_there_is_nothing_to_search(ada):
    shown = page(ada)
    assert "Nothing runs yet" in shown.text
    assert 'type="search"' not in shown.text


@on_sqlite
def test_the_form_works_by_itself_and_keeps_what_was_asked(ada):
    deploy(2)
    deploy(1, status="error", last_error="It broke")
    shown = page(ada, "search=D2&status=error")
    assert apps(shown) == ["d2.example.org"]
    read = Read(shown)
    assert read.with_id("search")["value"] == "D2"
    assert ("option", {"value": "error", "selected": ""}) in read.elements
    (form,) = (found for tag, found in read.elements if found.get("role") == "search")
    assert "method" not in form and "action" not in form
    assert '<a class="button" href="/ui">Clear</a>' in shown.text
    assert apps(page(ada, "search=&status=")) == [
        "d0.example.org",
        "d1.example.org",
        "d2.example.org",
    ]


@on_sqlite
def test_how_many_are_in_error_is_told_on_top_with_a_link_to_them(ada):
    deploy(3)
    assert ERROR_LINK not in page(ada).text
    deploy(1, status="error")
    assert "1 app is in error: see why" in text_of(page(ada)).replace(" :", ":")
    deploy(2, status="error")
    deploy(5, status="error", user=2)
    shown = page(ada)
    assert "3 apps are in error" in text_of(shown)
    assert shown.text.index(ERROR_LINK) < shown.text.index("d0.example.org")
    assert ERROR_LINK in page(ada, "search=d1").text
    failed = page(ada, "status=error")
    assert apps(failed) == ["d3.example.org", "d4.example.org", "d5.example.org"]
    assert ERROR_LINK not in failed.text
    deploy(50, status="error")
    assert "More than 20 apps are in error" in text_of(page(ada))


@on_sqlite
def test_500_apps_are_gone_through_with_the_filters_kept(ada):
    deploy(400)
    deploy(100, status="error")
    query, seen = "search=example&status=error", []
    while query:
        shown = page(ada, query)
        seen += apps(shown)
        following = re.search(r'href="/ui\?(after=[^"]*)"', shown.text)
        query = following and html.unescape(following[1])
    assert seen == [f"d{number}.example.org" for number in range(400, 500)]
    assert 'href="/ui?search=example&amp;status=error">First page' in shown.text
    beyond = page(ada, "after=9999&status=error")
    assert "There is nothing further" in beyond.text
    assert 'href="/ui?status=error">First page' in beyond.text


@on_sqlite
@pytest.mark.parametrize("query", ["", "search=d", "status=ready", "search=notes&status=error"])
def test_the_page_takes_as_many_queries_with_many_as_with_few(ada, query):
    deploy(2)
    deploy(1, status="error")
    few = queries(lambda: page(ada, query))
    deploy(400)
    deploy(100, status="error")
    assert queries(lambda: page(ada, query)) == few < 12


@on_sqlite
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("search=nothing", "Search for a shorter part of the domain or of the app's name."),
        ("search=nothing&status=error", "Search with another status"),
        ("status=error", "Nothing is in error: all is well."),
        ("status=deleting", "Choose another status."),
    ],
)
def test_where_nothing_is_found_the_page_says_what_to_do(ada, query, sentence):
    deploy(1)
    shown = page(ada, query)
    assert "None of your apps is like that" in shown.text
    assert sentence in text_of(shown)
    assert '<a class="button" href="/ui">Show all your apps</a>' in shown.text


@on_sqlite
@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("status=odd", "status", "status must be one of"),
        ("status=error&status=ready", "status", "status is given more than once"),
        ("search=" + "x" * 300, "search", "search must have at most 254 characters"),
        ("search=%00", "search", "search must not hold a NUL character"),
    ],
)
def test_an_odd_filter_is_told_of_beside_its_field(ada, query, field, sentence):
    deploy(1)
    shown = page(ada, query, 422)
    told = re.search(rf'id="{field}-error">([^<]*)<', shown.text)[1]
    assert told.startswith(sentence)
    assert Read(shown).with_id(field)["aria-describedby"] == f"{field}-error"
    assert apps(shown) == []


@on_sqlite
def test_what_was_searched_for_is_shown_as_text(ada):
    deploy(1)
    shown = page(ada, "search=%22%3E%3Cb%3E")
    assert Read(shown).with_id("search")["value"] == '"><b>'
    assert Deployment.select().count() == 1
