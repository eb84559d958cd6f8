"""A proxy that has authenticated the user: believed where it is trusted, and nowhere else."""

import concurrent.futures

import falcon.testing
import pytest

from caelus import arrivals, config, sessions
from caelus.api import create_app
from caelus.arrivals import Arrivals
from caelus.database import session, transaction
from caelus.errors import ConfigError
from caelus.models import Audit, Event, User

PROXY, OTHER = "10.1.2.3", "192.0.2.9"
HEADER = "X-Auth-Request-Email"
EVERY_SECOND = ",".join(f"{n}.0.0.0/8" for n in range(0, 256, 2))
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def behind(cli, monkeypatch):
    """behind(**settings) gives the app behind a proxy; Ada (1) is a user, Root (2) an admin."""
    assert cli("create-user", email="ada@example.org").ok
    assert cli("create-user", email="root@example.org", is_admin=True).ok

    def app(**settings):
        settings = {
            "CAELUS_AUTH_HEADER": HEADER,
            "CAELUS_TRUSTED_PROXIES": "10.1.2.0/24, 2001:db8::/64",
        } | settings
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})

    return app


def me(client, email, peer=PROXY, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.simulate_get("/me", headers={HEADER: email} | headers, remote_addr=peer)


@pytest.mark.parametrize("email", ["ada@example.org", "ADA@Example.org"])
@pytest.mark.parametrize("peer", [PROXY, "2001:db8::7", "::ffff:10.1.2.3"])
def test_the_proxys_word_is_taken(behind, email, peer):
    assert me(behind(), email, peer).json["id"] == 1


def test_whom_the_proxy_names_may_what_that_user_may(behind):
    client = behind()
    for email, status in (("ada@example.org", 404), ("root@example.org", 200)):
        answer = client.simulate_get("/users", headers={HEADER: email}, remote_addr=PROXY)
        assert answer.status_code == status


@pytest.mark.parametrize("peer", [OTHER, "10.1.3.1", "127.0.0.1", "::1", "x", ""])
def test_nobody_elses_word_is(behind, peer):
    assert me(behind(), "root@example.org", peer).status_code == 401


def test_without_the_setting_nobody_is_believed(behind, monkeypatch):
    assert me(behind(CAELUS_AUTH_HEADER=""), "root@example.org").status_code == 401


@pytest.mark.parametrize(
    "email",
    [
        "root@example.org, ada@example.org",
        "root@example.org,ada@example.org",
        "root",
        "@",
        "\xff@x",
        "x" * 5000,
    ],
)
def test_what_is_no_one_email_is_refused(behind, email):
    assert me(behind(), email).status_code == 403


def test_an_address_is_read_as_utf_8_and_none_that_only_looks_like_one(behind, cli):
    assert cli("create-user", email="müller@example.org").ok
    assert cli("create-user", email="strasse@example.org").ok
    client = behind(CAELUS_AUTO_CREATE_USERS="1")
    assert me(client, "müller@example.org".encode().decode("latin-1")).json["id"] == 3
    for email in ("straße@example.org", "\u212aate@example.org"):
        assert me(client, email.encode().decode("latin-1")).status_code == 403
    assert User.select().count() == 4


def test_strangers_are_refused(behind):
    answer = me(behind(), "eve@example.org")
    assert answer.status_code == 403
    assert answer.json["detail"] == "eve@example.org is no user here; an admin can create the user"
    assert User.select().count() == 2


def test_strangers_become_users_where_that_is_wanted(behind):
    client = behind(CAELUS_AUTO_CREATE_USERS="1")
    answer = me(client, "eve@example.org", X_Forwarded_For="198.51.100.7")
    assert answer.json == me(client, "eve@example.org").json
    assert answer.json["is_admin"] is False
    created = Event.select().where(Event.type == "user_created").order_by(Event.id.desc()).first()
    assert (created.actor, created.address) == ("proxy", "198.51.100.7")


def test_a_token_comes_before_the_header(behind, cli):
    client = behind()
    token = cli("create-token", user_id=1).document["token"]
    answer = me(client, "root@example.org", Authorization=f"Bearer {token}")
    assert answer.json["email"] == "ada@example.org"
    assert me(client, "root@example.org", Authorization="Bearer x").status_code == 401


def test_a_session_that_is_over_does_not_keep_the_proxys_users_out(behind):
    answer = me(behind(), "ada@example.org", Cookie="caelus_session=old")
    assert answer.status_code == 200


def test_the_proxys_word_comes_before_a_session(behind, settings):
    client = behind()
    with session(), transaction():
        cookie = f"caelus_session={sessions.create(User.get_by_id(2))}"
    assert me(client, "ada@example.org", Cookie=cookie).json["email"] == "ada@example.org"
    assert me(client, "eve@example.org", Cookie=cookie).status_code == 403
    assert me(client, "ada@example.org", OTHER, Cookie=cookie).json["email"] == "root@example.org"


def logins() -> list[tuple]:
    found = Event.select().where(Event.type == "logged_in").order_by(Event.id)
    return [(event.actor, event.address) for event in found]


def test_a_first_request_from_an_address_is_a_login(behind):
    client = behind()
    for address in ("198.51.100.7", "198.51.100.7", "198.51.100.8", "198.51.100.7"):
        me(client, "ada@example.org", X_Forwarded_For=address)
    me(client, "root@example.org", X_Forwarded_For="198.51.100.7")
    me(client, "eve@example.org")  # refused
    assert logins() == [
        ("ada@example.org", "198.51.100.7"),
        ("ada@example.org", "198.51.100.8"),
        ("root@example.org", "198.51.100.7"),
    ]
    message = Event.get(Event.type == "logged_in").message
    assert message == "ada@example.org logged in by the proxy"


def test_many_requests_at_once_are_one_login(behind):
    client = behind()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: me(client, "ada@example.org").status_code, range(8))
        assert set(answers) == {200}
    assert len(logins()) == 1


def test_a_login_that_could_not_be_recorded_is_recorded_with_the_next_request(behind):
    client = behind()
    with session(), transaction():
        ends = Audit.get()
        Audit.delete().execute()
    assert me(client, "ada@example.org").status_code == 503
    with session(), transaction():
        ends.save(force_insert=True)
    assert [me(client, "ada@example.org").status_code for _ in range(2)] == [200, 200]
    assert len(logins()) == 1


def test_who_comes_again_the_next_day_logs_in_again(behind):
    clock = [1000.0]
    seen = Arrivals(lambda: clock[0])
    for hours in (0, 23, 25):
        clock[0] = 1000.0 + 3600 * hours
        seen.note(User.get_by_id(1), "192.0.2.1")
    assert len(logins()) == 2


def test_no_number_of_addresses_takes_all_memory(behind, monkeypatch):
    monkeypatch.setattr(arrivals, "REMEMBERED", 3)
    seen = Arrivals()
    for number in (1, 2, 3, 4, 4, 1):
        seen.note(User.get_by_id(1), f"192.0.2.{number}")
    for number in range(5):  # of one network
        seen.note(User.get_by_id(1), f"2001:db8::{number}")
    assert len(seen._seen) == 3
    assert len(logins()) == 6


def test_changes_need_the_word_of_caelus_own_page(behind):
    client = behind()
    for headers, status in (({}, 403), ({"Sec-Fetch-Site": "same-origin"}, 201)):
        headers |= {HEADER: "ada@example.org"}
        answer = client.simulate_post("/users/1/tokens", headers=headers, remote_addr=PROXY)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (PROXY, "198.51.100.7", "198.51.100.7"),
        (PROXY, "203.0.113.5, 198.51.100.7", "198.51.100.7"),
        (PROXY, "203.0.113.5, 198.51.100.7, 10.1.2.9", "198.51.100.7"),
        (PROXY, "10.1.2.9", "10.1.2.9"),
        (PROXY, "198.51.100.7, nonsense", PROXY),
        (PROXY, "198.51.100.7:5678", "198.51.100.7"),
        (PROXY, "198.51.100.7:1, 10.1.2.9:80, [2001:db8::9]:443", "198.51.100.7"),
        (PROXY, "[2001:db8:1::7]:80", "2001:db8:1::7"),
        (PROXY, "[2001:db8:1::7]", "2001:db8:1::7"),
        (PROXY, "2001:db8:1::7", "2001:db8:1::7"),
        (PROXY, "198.51.100.7:http", PROXY),
        (PROXY, "[]:80", PROXY),
        (PROXY, "", PROXY),
        (OTHER, "198.51.100.7", OTHER),
    ],
)
def test_events_say_where_the_client_is(behind, peer, forwarded, address):
    headers = {"Authorization": "Bearer x", "X-Forwarded-For": forwarded}
    behind().simulate_get("/users", headers=headers, remote_addr=peer)
    assert Event.select().order_by(Event.id.desc()).first().address == address


# The settings


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "0.0.0.0/0 takes in too much"),
        ({"TRUSTED_PROXIES": "::/0"}, "::/0 takes in too much"),
        ({"TRUSTED_PROXIES": "0.0.0.0/1, 128.0.0.0/1"}, "0.0.0.0/0 takes in too much"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,11.0.0.0/8"}, "10.0.0.0/7 takes in too much"),
        ({"TRUSTED_PROXIES": "2000::/3"}, "2000::/3 takes in too much"),
        ({"TRUSTED_PROXIES": EVERY_SECOND}, "all of it together takes in too much"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,12.0.0.0/8"}, "all of it together takes in too much"),
        ({"TRUSTED_PROXIES": "2001::/16 ,2003::/16"}, "all of it together takes in too much"),
        ({"TRUSTED_PROXIES": "::ffff:0:0/96"}, "0.0.0.0/0 takes in too much"),
        ({"TRUSTED_PROXIES": "::ffff:0.0.0.0/97,128.0.0.0/1"}, "0.0.0.0/0 takes in too much"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "10.0.0.1/8 has host bits set"),
        ({"TRUSTED_PROXIES": "proxy"}, "'proxy' does not appear to be"),
        ({"AUTH_HEADER": "Remote-Email"}, "CAELUS_TRUSTED_PROXIES names nobody"),
        ({"AUTH_HEADER": "a b", "TRUSTED_PROXIES": "10.0.0.1"}, "can't be 'a b'"),
        ({"AUTH_HEADER": "Cookie", "TRUSTED_PROXIES": "10.0.0.1"}, "can't be 'Cookie'"),
        ({"AUTO_CREATE_USERS": "yes"}, "must be a whole number from 0 to 1"),
        ({"PUBLIC_URL": "caelus.example.org"}, "must be like https://"),
        ({"PUBLIC_URL": "https://caelus.example.org/path"}, "must be like https://"),
        ({"ALLOWED_HOSTS": "caelus.example.org:80"}, "must name hosts without port"),
        ({"ALLOWED_HOSTS": "*"}, "must name hosts without port"),
    ],
)
def test_a_setting_that_would_open_the_door_is_refused(database_url, setting, told):
    with pytest.raises(ConfigError) as refused:
        config.load({f"CAELUS_{name}": value for name, value in setting.items()})
    assert told in refused.value.detail


def test_narrow_ranges_are_taken(database_url):
    private = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10"
    ranges = f"{private}, 192.0.2.1,2001:db8::/32 , ::1, ::ffff:198.51.100.0/120"
    loaded = config.load({"CAELUS_TRUSTED_PROXIES": ranges})
    assert [str(network) for network in loaded.trusted_proxies] == [
        "10.0.0.0/8",
        "100.64.0.0/10",
        "172.16.0.0/12",
        "192.0.2.1/32",
        "192.168.0.0/16",
        "198.51.100.0/24",
        "::1/128",
        "2001:db8::/32",
    ]
