"""My apps, the catalogue and the form that makes one."""

import re

import pytest

from caelus import config, database, events
from caelus.database import session, transaction
from caelus.models import Deployment, Event, Job, now
from tests.owner import HERE, NEWER, Browser, Form, creation, deploy, fail, newer, settle, text_of
from tests.owner import ada as ada
from tests.owner import one as one

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def statements(do) -> int:
    """How many statements `do` sends to the database."""
    count = 0
    execute = database.database.obj.execute_sql

    def counted(*args, **kwargs):
        nonlocal count
        count += 1
        return execute(*args, **kwargs)

    database.database.obj.execute_sql = counted
    try:
        do()
    finally:
        del database.database.obj.execute_sql
    return count


# My apps


def test_the_address_may_end_with_a_slash(ada):
    answer = ada.get("/ui/")
    assert answer.status_code == 301
    assert answer.headers["location"] == "/ui"


def test_who_has_nothing_is_told_what_to_do(ada):
    page = ada.page("/ui")
    assert "Nothing runs yet" in page
    assert 'href="/ui/products"' in page


def test_my_apps_say_how_they_are_in_words(ada, rest):
    deploy(rest)
    assert "Provisioning" in ada.page("/ui")
    settle()
    page = text_of(ada.page("/ui"))
    assert "Ready" in page
    assert "Notes 1.0.0 · created just now" in page


def test_only_a_ready_app_is_linked_to(ada, rest):
    deploy(rest)
    assert "http://n1.example.org" not in ada.page("/ui")
    assert "http://n1.example.org" not in ada.page(HERE)
    settle()
    assert 'href="http://n1.example.org"' in ada.page("/ui")
    assert 'href="http://n1.example.org"' in ada.page(HERE)


def test_apps_are_linked_to_by_the_sites_own_scheme(one, monkeypatch):
    monkeypatch.setenv("CAELUS_PUBLIC_URL", "https://caelus.example.org")
    settings = config.load()._replace(public_url=None)
    assert "http://n1.example.org" in Browser(1, settings).page("/ui")
    page = one.page  # the cookie of an https site has another name
    assert page("/ui")


def test_what_failed_is_not_told_of_an_app_that_is_being_deleted(one):
    fail("crash_loop")
    assert "bad-text" in one.page("/ui")
    settle("deleting")
    assert "bad-text" not in one.page("/ui")


def test_a_newer_version_is_told_of(one, rest):
    assert "Update available" not in one.page("/ui")
    newer(rest)
    assert "Update available" in one.page("/ui")
    assert "Update available" in one.page(HERE)


def test_500_apps_come_in_pages_of_50(ada):
    template = Deployment(desired_template=1, user=1, status="ready")
    rows = [
        {"domainname": f"d{n}.example.org", "deployment_uid": f"d-{n}", "created_at": now()}
        | {"user": template.user_id, "desired_template": 1, "status": "ready"}
        for n in range(500)
    ]
    with session(), transaction():
        Deployment.insert_many(rows).execute()
    path, seen = "/ui", []
    while path:
        page = ada.page(path)
        seen += re.findall(r"<h2><a [^>]*>(.*?)</a>", page)
        following = re.search(r'href="(/ui\?after=\d+)"', page)
        path = following and following[1]
    assert seen == [f"d{n}.example.org" for n in range(500)]
    assert "nothing further" in ada.page("/ui?after=999999")


@pytest.mark.parametrize("path", ["/ui", "/ui/products"])
def test_a_list_takes_as_many_queries_for_60_as_for_3(ada, rest, path):
    for number in range(3):
        deploy(rest, number)
        rest("create-product", name=f"App {number}")
    few = statements(lambda: ada.page(path))
    for number in range(3, 60):
        deploy(rest, number)
        rest("create-product", name=f"App {number}")
    assert statements(lambda: ada.page(path)) == few


def test_one_app_takes_as_many_queries_for_60_events_as_for_1(one):
    few = statements(lambda: one.page(HERE))
    for number in range(60):
        with session(), transaction():
            events.record(1, "updated", f"change {number}")
    assert statements(lambda: one.page(HERE)) == few


# Catalogue and creation


def test_the_catalogue_shows_products_with_their_versions(ada, rest):
    rest("create-product", name="Bare")
    page = text_of(ada.page("/ui/products"))
    assert "Lists &amp; moreVersion 1.0.0 Create a Notes" in page
    assert "Bare No version can be installed yet" in page


def test_a_product_without_a_template_says_so(ada, rest):
    rest("create-product", name="Bare")
    page = ada.page("/ui/products/2/create")
    assert "can't be created yet" in page
    assert "<input" not in page
    assert ada.post("/ui/products/2/create", domainname="a.example.org").status_code == 404


def test_create_posts_what_the_api_accepts(ada, rest):
    form = creation(ada)
    sent = form.with_(domainname=" N1.example.org ", user__title="Mine", user__size="4")
    answer = ada.post("/ui/products/1/create", sent)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=created")
    made = rest("get-deployment", user_id=1, deployment_id=1).document
    assert made["domainname"] == "n1.example.org"
    assert made["user_values_json"] == {"title": "Mine", "size": 4}


def test_what_was_done_is_told_once_and_never_by_a_link_alone(ada):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine")
    answer = ada.post("/ui/products/1/create", sent)
    cookie = answer.cookies["caelus_done"]
    assert (cookie.value, cookie.path, cookie.http_only) == ("created", "/ui", True)
    told = "Created. It is being set up now."
    assert told in ada.follow(answer)
    place = answer.headers["location"]
    assert told not in ada.page(place)  # as to who is sent the address
    headers = {"Cookie": f"{ada.cookie}; caelus_done=created"}
    assert ada.get(place, headers=headers).cookies["caelus_done"].value == ""
    assert "caelus_done" not in ada.get(f"{HERE}/live", headers=headers).cookies
    forged = f"{ada.cookie}; caelus_done=nonsense"
    assert ada.get(f"{HERE}?done=nonsense", headers={"Cookie": forged}).status_code == 200


def test_what_the_api_refuses_stands_beside_its_field_and_nothing_is_lost(ada):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine", user__size="44")
    answer = ada.post("/ui/products/1/create", sent)
    assert answer.status_code == 409
    assert re.search(r'id="user/size:errors">must be at most 10<', answer.text)
    assert "see what is marked below" in answer.text
    again = dict(Form(answer.text, "/create").pairs)
    assert (again["user/size"], again["domainname"]) == ("44", "n1.example.org")
    assert Deployment.select().count() == 0


def test_a_domain_that_is_taken_is_told_beside_it(one):
    sent = creation(one).with_(domainname="n1.example.org", user__title="Mine")
    answer = one.post("/ui/products/1/create", sent)
    assert answer.status_code == 409
    sentence = "the domain n1.example.org is taken by another deployment"
    assert f'id="domainname-error">{sentence}<' in answer.text
    assert 'aria-describedby="domainname-error' in answer.text


def test_a_preview_says_what_will_happen_and_does_nothing(ada):
    sent = creation(ada).with_(domainname="n1.example.org", user__title="Mine", do="preview")
    answer = ada.post("/ui/products/1/create", sent)
    page = text_of(answer.text)
    assert answer.status_code == 200
    assert re.search("notes-ada-example-org-xxxxxx", page)
    assert "Caelus makes: key." in page
    assert "oci://registry.example.org/notes 1.0.0" in page
    assert "No other app reaches it" in page
    assert (Deployment.select().count(), Job.select().count()) == (0, 0)
    assert Event.select().where(Event.type == "created").count() == 0


def test_a_preview_leaves_no_job_in_the_log(ada, caplog):
    caplog.set_level("INFO")
    typed = creation(ada).with_(domainname="n1.example.org", user__title="Mine")
    ada.post("/ui/products/1/create", [*typed, ("do", "preview")])
    assert "queued" not in caplog.text
    ada.post("/ui/products/1/create", typed)
    assert "job 1 (create) of deployment 1 queued" in caplog.text


def test_a_secret_that_is_given_is_not_made(ada):
    typed = {"domainname": "n1.example.org", "user__title": "Mine", "user__key": "k" * 20}
    answer = ada.post("/ui/products/1/create", creation(ada).with_(**typed, do="preview"))
    assert "Caelus has none to make." in answer.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("free.example.org", "free.example.org is free."),
        ("N1.example.org", "the domain n1.example.org is taken by another deployment"),
        ("no host", "The domain name must be a host name"),
        ("localhost", "the domain localhost is Caelus&#39; own"),
        ("", ""),
    ],
)
def test_a_domain_is_checked_while_it_is_typed_though_the_rest_is_missing(one, typed, said):
    for path in ("/ui/products/1/create/check", f"{HERE}/domain/check"):
        if typed.lower() == "n1.example.org" and path.startswith(HERE):
            continue  # it is its own
        answer = one.post(path, domainname=typed)
        assert answer.status_code == 200
        assert said in answer.text
        assert "<html" not in answer.text
    assert Deployment.select().count() == 1


def test_a_version_can_be_chosen_where_there_are_several(ada, rest):
    assert "<select" not in ada.page("/ui/products/1/create")
    newer(rest, values_schema_json=NEWER)
    page = ada.page("/ui/products/1/create")
    assert "1.1.0 (recommended)" in page
    assert 'name="user/language"' in page
    page = ada.page("/ui/products/1/create?template_id=1")
    assert 'name="user/language"' not in page
    assert dict(Form(page, "/create").pairs)["template_id"] == "1"
    assert ada.get("/ui/products/1/create?template_id=77").status_code == 404


def test_a_row_is_added_without_javascript_and_nothing_is_created(ada):
    sent = [
        *creation(ada).with_(domainname="n1.example.org", user__title="M"),
        ("_add", "user/tags"),
    ]
    answer = ada.post("/ui/products/1/create", sent)
    assert answer.status_code == 200
    again = dict(Form(answer.text, "/create").pairs)
    assert "user/tags/0" in again
    assert again["domainname"] == "n1.example.org"
    assert Deployment.select().count() == 0
