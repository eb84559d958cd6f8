"""Browsers: login links, the first admin, sessions, and what other sites can't do with them."""

import datetime
import re
import threading

import falcon.testing
import pytest

from caelus import logins, sessions
from caelus.api import create_app
from caelus.database import session, transaction
from caelus.models import Event, LoginLink, Session, User, now
from tests.program import Program

OWN = {"Sec-Fetch-Site": "same-origin"}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = datetime.timedelta(days=1)


class Browser:
    """Keeps the cookie, and says of each request that Caelus' own page sends it."""

    def __init__(self, **headers):
        self.client = falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})
        self.headers = headers
        self.cookie = None

    def send(self, method: str, path: str, headers=OWN, **extra):
        cookie = {"Cookie": f"caelus_session={self.cookie}"} if self.cookie else {}
        sent = {**self.headers, **cookie, **headers}
        result = self.client.simulate_request(method, path, headers=sent, **extra)
        if "caelus_session" in result.cookies:
            self.cookie = result.cookies["caelus_session"].value
        return result


@pytest.fixture
def browser(settings):
    return Browser()


@pytest.fixture
def link(cli):
    """The path of a login link of user 1, a plain one; user 2 is an admin."""
    assert cli("create-user", email="ada@example.org").ok
    assert cli("create-user", email="root@example.org", is_admin=True).ok
    url = cli("create-login-link", user_id=1).document["url"]
    assert url.startswith("http://127.0.0.1:8000/login/")
    return url.removeprefix("http://127.0.0.1:8000")


@pytest.fixture
def first(settings):
    """The path of the link that makes the first admin."""
    with session(), transaction():
        return f"/login/{logins.create_first().code}"


# Links


def test_a_link_logs_in_by_its_button(browser, link):
    page = browser.send("GET", link)
    assert page.status_code == 200
    assert "ada@example.org" in page.text
    assert '<form method="post">' in page.text
    assert browser.cookie is None
    answer = browser.send("POST", link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui")
    assert browser.send("GET", "/me").json["email"] == "ada@example.org"
    event = Event.select().order_by(Event.id.desc()).first()
    assert (event.type, event.actor) == ("logged_in", "ada@example.org")


def test_looking_at_a_link_does_not_use_it_up(browser, link):
    for _ in range(3):
        for method in ("GET", "HEAD"):
            assert Browser().send(method, link).status_code == 200
    assert browser.send("POST", link).status_code == 303


def test_a_link_works_once(browser, link):
    assert browser.send("POST", link).status_code == 303
    for method in ("GET", "POST"):
        again = Browser()
        answer = again.send(method, link)
        assert answer.status_code == 401
        assert "unknown, used or expired" in answer.text
        assert again.cookie is None


def test_of_many_that_use_a_link_at_once_one_is_logged_in(link):
    statuses = []

    def use() -> None:
        statuses.append(Browser().send("POST", link).status_code)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303] + [401] * 5
    assert Session.select().count() == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: LoginLink.update(expires_at=now()).execute(),
        lambda: User.update(deleted_at=now()).where(User.id == 1).execute(),
    ],
    ids=["expired", "of a deleted user"],
)
def test_a_dead_link_logs_nobody_in(browser, link, spoil):
    spoil()
    assert browser.send("POST", link).status_code == 401
    assert Session.select().count() == 0


def test_a_link_lasts_half_an_hour(link):
    lasts = LoginLink.get().expires_at - now()
    assert datetime.timedelta(minutes=29) < lasts <= datetime.timedelta(minutes=30)


@pytest.mark.parametrize("code", ["x", "x" * 5000, "%00", "%ff", "é", "..", "<script>"])
def test_an_odd_link_is_no_link(browser, code):
    for method in ("GET", "POST"):
        answer = browser.send(method, f"/login/{code}")
        assert answer.status_code == 401
        assert "<script" not in answer.text


def test_the_code_is_nowhere_but_in_the_link(browser, link, caplog):
    code = link.rpartition("/")[2]
    browser.send("POST", link)
    browser.send("POST", link)
    browser.send("DELETE", link)
    stored = [*LoginLink.select().tuples(), *Session.select().tuples(), *Event.select().tuples()]
    assert code not in str(stored)
    assert browser.cookie not in str(stored)
    assert code not in caplog.text


def test_the_pages_to_log_in_look_like_the_others_and_need_no_script(browser, link):
    for path in (link, "/login/x"):
        page = browser.send("GET", path)
        assert '<link rel="stylesheet" href="/ui/assets/app.css">' in page.text
        assert "style-src 'self'" in page.headers["content-security-policy"]
        assert "<script" not in page.text
        assert browser.send("GET", "/ui/assets/app.css").status_code == 200


# The first admin


def test_the_first_link_makes_the_first_admin(browser, first):
    page = browser.send("GET", first)
    assert 'name="email"' in page.text
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.send("POST", first, OWN | form, body="email=ada%40example.org")
    assert answer.status_code == 303
    assert browser.send("GET", "/me").json["is_admin"] is True
    assert browser.send("GET", "/users").json[0]["email"] == "ada@example.org"
    types = [event.type for event in Event.select().order_by(Event.id)]
    assert types == ["login_link_created", "user_created", "logged_in"]


@pytest.mark.parametrize("body", ["", "email=", "email=x", "email=a@b&email=c@d", "%ff", "é=1"])
def test_without_a_right_email_there_is_no_admin_and_the_link_is_left(browser, first, body):
    answer = browser.send("POST", first, body=body)
    assert answer.status_code in (409, 422)
    assert '<a class="button" href="">Try again</a>' in answer.text
    assert not User.select().exists()
    assert browser.send("POST", first, body="email=ada@example.org").status_code == 303


def test_a_user_who_is_there_already_becomes_the_admin(browser, first, cli):
    assert cli("create-user", email="ada@example.org").ok
    assert browser.send("POST", first, body="email=Ada@example.org").status_code == 303
    assert browser.send("GET", "/me").json == cli("get-user", user_id=1).document
    assert User.get_by_id(1).is_admin


def test_the_first_link_is_dead_once_there_is_an_admin(browser, first, cli):
    assert cli("create-user", email="root@example.org", is_admin=True).ok
    for method in ("GET", "POST"):
        assert browser.send(method, first, body="email=eve@example.org").status_code == 401
    assert User.select().count() == 1
    assert logins.create_first() is None


def test_of_two_first_links_one_makes_an_admin(settings):
    with session(), transaction():
        paths = [f"/login/{logins.create_first().code}" for _ in range(2)]
    statuses = []

    def use(path: str, name: str) -> None:
        body = f"email={name}@example.org"
        statuses.append(Browser().send("POST", path, body=body).status_code)

    pairs = zip(paths, ("ada", "eve"), strict=True)
    threads = [threading.Thread(target=use, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303, 401]
    assert User.select().count() == 1


def test_serve_prints_the_link_until_there_is_an_admin(tmp_path, capfd):
    program = Program(CAELUS_DATA_DIR=str(tmp_path / "data"))
    with program.serve("--workers=0") as server:
        server.stop()
    url, code = re.search(r"^  (http:\S+)/login/(\w{43})$", capfd.readouterr().out, re.M).groups()
    assert url == server.url
    assert code not in "\n".join(server.log)
    with program.serve("--workers=0") as server:  # the tests' admin is there now
        server.stop()
    assert "/login/" not in capfd.readouterr().out


# Sessions


@pytest.fixture
def ada(browser, link):
    """Ada's browser, logged in."""
    assert browser.send("POST", link).status_code == 303
    return browser


@pytest.mark.parametrize("secure", [False, True])
def test_the_cookie_is_for_this_site_and_no_script(link, secure, monkeypatch):
    monkeypatch.setenv("CAELUS_TRUSTED_PROXIES", "192.0.2.1")
    proxied = {"X-Forwarded-Proto": "https"} if secure else {}
    browser = Browser(**proxied)
    name = "__Host-caelus_session" if secure else "caelus_session"
    cookie = browser.send("POST", link, remote_addr="192.0.2.1").cookies[name]
    assert cookie.http_only
    assert bool(cookie.secure) == secure
    assert cookie.same_site == "Lax"
    assert cookie.path == "/"
    assert cookie.max_age == 30 * 86400
    assert len(cookie.value) == 43


def test_where_the_site_has_https_the_cookie_is_secure_whatever_the_proxy_says(link, monkeypatch):
    monkeypatch.setenv("CAELUS_PUBLIC_URL", "https://caelus.example.org")
    assert Browser().send("POST", link).cookies["__Host-caelus_session"].secure


def test_logging_out_ends_every_session_that_is_shown(ada):
    """Another site can put a cookie of its own beside ours."""
    forged = {"Cookie": f"caelus_session=x; caelus_session={ada.cookie}"}
    assert ada.send("POST", "/logout", headers={**OWN, **forged}).status_code == 303
    assert Session.select().count() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": now() - DAY},
        {"last_seen_at": now() - 8 * DAY},
    ],
    ids=["expired", "idle"],
)
def test_a_session_ends(ada, change):
    Session.update(**change).execute()
    assert ada.send("GET", "/me").status_code == 401
    sessions.prune(now())
    assert Session.select().count() == 0


def test_a_session_that_is_used_stays(ada):
    Session.update(last_seen_at=now() - 6 * DAY).execute()
    assert ada.send("GET", "/me").status_code == 200
    assert Session.get().last_seen_at > now() - DAY
    sessions.prune(now())
    assert ada.send("GET", "/me").status_code == 200


def test_logging_out_ends_the_session(ada):
    cookie = ada.cookie
    answer = ada.send("POST", "/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui")
    ada.cookie = cookie
    assert ada.send("GET", "/me").status_code == 401
    assert Event.select().where(Event.type == "logged_out").get().actor == "ada@example.org"


def test_nobody_can_log_out_without_harm(browser):
    assert browser.send("POST", "/logout").status_code == 303
    assert browser.send("GET", "/logout").status_code == 405


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_only_looks_at_the_address_stays_logged_in(ada, method):
    accept = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    led = ada.send(method, "/logout", {**OWN, **accept})
    assert (led.status_code, led.headers["location"]) == (302, "/ui")
    told = ada.send(method, "/logout", {**OWN, "Accept": "*/*"})
    assert (told.status_code, told.headers["allow"]) == (405, "POST")
    assert told.headers["content-type"] == "application/problem+json"
    assert ada.send("GET", "/me").status_code == 200


def test_two_cookies_are_none(ada):
    """One may be from another site below the same domain."""
    ada.headers = {"Cookie": f"caelus_session={ada.cookie}; caelus_session=x"}
    ada.cookie = None
    assert ada.send("GET", "/me").status_code == 401


def test_a_token_that_is_no_good_is_not_made_good_by_a_session(ada):
    answer = ada.send("GET", "/me", {"Authorization": "Bearer caelus_x"})
    assert answer.status_code == 401


# Other sites


PROOFS = [  # (headers, whether they show that Caelus' own page asks)
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": "http://localhost"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, True),
    ({}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
    ({"Origin": "https://localhost"}, False),
    ({"Origin": "http://localhost:81"}, False),
    ({"Origin": "http://evil.example.org"}, False),
    ({"Origin": "null"}, False),
    ({"Referer": "http://localhost/"}, False),
]


@on_sqlite
@pytest.mark.parametrize(("headers", "own"), PROOFS)
def test_only_caelus_own_pages_change_things_by_a_cookie(ada, headers, own):
    answer = ada.send("POST", "/users/1/tokens", headers, json={})
    assert answer.status_code == (201 if own else 403)
    assert ada.send("GET", "/users/1/tokens", headers).status_code == 200


@on_sqlite
@pytest.mark.parametrize(("headers", "own"), PROOFS)
def test_only_caelus_own_pages_log_in_and_out(browser, link, headers, own):
    answer = browser.send("POST", link, headers)
    assert answer.status_code == (303 if own else 403)
    browser.send("POST", link)
    assert browser.send("POST", "/logout", headers).status_code == (303 if own else 403)


def test_a_program_with_a_token_need_not_prove_it(shop):
    assert shop("create-token", user_id=1).ok


@on_sqlite
@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("127.9.9.9", 200),
        ("[::1]:8000", 200),
        ("caelus.example.org", 200),
        ("a.b.example.net:443", 200),
        ("public.example.com", 200),
        ("evil.example.org", 403),
        ("example.net", 403),
        ("evilexample.net", 403),
        ("localhost.evil.example.org", 403),
        ("127.0.0.1.evil.example.org", 403),
        ("192.0.2.1", 403),
        ("", 403),
        ("localhost, evil.example.org", 403),
    ],
)
def test_requests_to_hosts_that_are_not_ours_are_refused(settings, monkeypatch, host, answer):
    monkeypatch.setenv("CAELUS_ALLOWED_HOSTS", "caelus.example.org, *.example.net")
    monkeypatch.setenv("CAELUS_PUBLIC_URL", "https://public.example.com")
    client = falcon.testing.TestClient(create_app(), headers={"Host": host})
    assert client.simulate_get("/docs").status_code == answer
    assert client.simulate_get("/healthz").status_code == 200  # a probe asks by any address
    assert client.simulate_get("/readyz").status_code == 200


def test_on_all_addresses_any_address_is_a_host(settings, monkeypatch):
    monkeypatch.setenv("CAELUS_HOST", "0.0.0.0")
    hosts = (("192.0.2.1:8000", 200), ("[2001:db8::1]", 200), ("evil.example.org", 403))
    for host, answer in hosts:
        client = falcon.testing.TestClient(create_app(), headers={"Host": host})
        assert client.simulate_get("/docs").status_code == answer


def test_browsers_are_told_to_be_careful_with_every_answer(browser, link):
    paths = ["/", "/me", "/nothing", "/healthz", "/docs", "/docs/start.js", link, "/login/x"]
    for path in [*paths, "/docs/assets/swagger_style.css"]:
        headers = browser.send("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert path == "/docs/assets/swagger_style.css" or headers["cache-control"] == "no-store"
        if path.startswith(("/me", "/login")):
            assert policy.startswith("default-src 'none'")


def test_no_page_has_a_script_inside(browser, link):
    for path in (link, "/login/x", "/docs"):
        text = browser.send("GET", path).text
        assert re.findall(r"<script(?! src=)|\son\w+=|javascript:|<style", text) == []
