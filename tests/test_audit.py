"""The audit: every change, login and refusal is an event, and no event can be changed unseen."""

import datetime
import re
import threading

import falcon.testing
import pytest

from caelus import audit, database, events, worker
from caelus.api import create_app
from caelus.cli import main
from caelus.database import session, transaction
from caelus.migrate import MIGRATIONS
from caelus.models import Audit, Deployment, Event, Job, User, now
from caelus.operations import OPERATIONS
from tests import admin, test_access

DAY = datetime.timedelta(days=1)
world = test_access.world


@pytest.fixture
def chain(settings):
    """Five events."""
    for number in range(1, 6):
        with transaction(), events.by("ada@example.org", "laptop", "192.0.2.1"):
            events.record(None, "told", f"message {number}", {"code": "x", "object": None})


def verify() -> dict:
    with session(), transaction():
        return audit.verify()


def newest() -> Event:
    return Event.select().order_by(Event.id.desc()).first()


# The chain


def test_an_untouched_chain_is_whole(chain, cli):
    answer = cli.run("verify-audit")
    assert answer.document == {"ok": True, "events": 5, "first_id": 1, "last_id": 5}
    assert answer.code == 0


def test_an_empty_chain_is_whole(settings):
    assert verify() == {"ok": True, "events": 0, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    "change",
    [
        {"message": "another"},
        {"actor": "eve@example.org"},
        {"token": None},
        {"address": "192.0.2.2"},
        {"type": "other"},
        {"cause": {"code": "y", "object": None}},
        {"created_at": now()},
        {"hash": "0" * 64},
        {"hash": None},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_changed_event_is_found(chain, capsys, change, number):
    Event.update(**change).where(Event.id == number).execute()
    assert main(["verify-audit"]) == 1
    told = capsys.readouterr().out
    assert "ok: false" in told
    assert f"event {number} does not follow from event {number - 1}" in told


@pytest.mark.parametrize("number", [2, 5])
def test_an_event_that_was_changed_with_its_hash_is_found(chain, number):
    event, before = Event.get_by_id(number), Event.get_by_id(number - 1)
    event.message = "another"
    event.hash = audit.digest(before.hash, event)
    event.save()
    assert re.search(rf"event {number}\b", verify()["fault"])


@pytest.mark.parametrize(
    ("gone", "fault"),
    [
        ([1], "event 1 is gone, or event 2 was changed"),
        ([3], "event 3 is gone, or event 4 was changed"),
        ([2, 3, 4], "events 2 to 4 are gone, or event 5 was changed"),
        ([5], "event 5 is gone"),
        ([4, 5], "events 4 to 5 are gone"),
        ([1, 2, 3, 4, 5], "events 1 to 5 are gone"),
    ],
)
def test_a_missing_event_is_found(chain, gone, fault):
    Event.delete().where(Event.id.in_(gone)).execute()
    assert verify()["fault"] == fault


def test_an_event_that_was_slipped_in_is_found(chain):
    Event.create(id=6, type="told", actor="x", message="x", hash="0" * 64)
    assert "event 6 does not follow" in verify()["fault"]
    with transaction():
        events.record(None, "told", "work goes on")
    assert newest().id == 7
    assert "event 6 does not follow" in verify()["fault"]


def test_without_the_ends_of_the_chain_nothing_is_changed_and_the_way_out_is_told(
    chain, surface, capsys
):
    Audit.delete().execute()
    refused = surface("create-user", email="ada@example.org")
    assert refused.code == (503 if surface.name == "rest" else 1)
    assert "caelus verify-audit says how to go on" in refused.sentence
    assert User.select().where(User.id > 0).count() == 0
    capsys.readouterr()
    assert main(["verify-audit"]) == 1
    told = capsys.readouterr().out
    assert "the row of the table audit is gone; restore the database from a backup" in told
    database.database.execute_sql(re.search("INSERT .* LIMIT 1", told)[0])
    assert surface("create-user", email="ada@example.org").ok
    assert verify() == {"ok": True, "events": 6, "first_id": 1, "last_id": 6}


def test_without_the_ends_of_the_chain_a_pruned_past_counts_as_missing(chain):
    Event.delete().where(Event.id <= 2).execute()
    Audit.delete().execute()
    database.database.execute_sql(audit.GO_ON)
    assert verify()["fault"] == "events 1 to 2 are gone, or event 3 was changed"
    Event.update(created_at=now() - 91 * DAY).where(Event.id == 3).execute()
    with transaction():
        audit.prune(now())
    assert verify() == {"ok": True, "events": 2, "first_id": 4, "last_id": 5}


def test_old_events_are_pruned_and_the_rest_stays_whole(chain):
    old = [(2, 100), (3, 99), (1, 98), (5, 97)]  # 4 is young: what comes after it stays, too
    for number, days in old:
        Event.update(created_at=now() - days * DAY).where(Event.id == number).execute()
    rechain()
    with transaction():
        assert audit.prune(now()) == 3
    assert verify() == {"ok": True, "events": 2, "first_id": 4, "last_id": 5}
    Event.delete().where(Event.id == 4).execute()
    assert verify()["fault"] == "event 4 is gone, or event 5 was changed"


def test_a_chain_of_which_nothing_is_left_goes_on(chain, settings):
    Event.update(created_at=now() - 91 * DAY).execute()
    rechain()
    worker._prune()
    assert verify()["events"] == 0
    with transaction():
        events.record(None, "told", "again")
    assert verify() == {"ok": True, "events": 1, "first_id": 6, "last_id": 6}


def rechain() -> None:
    """What the rows would be had they been made as they are now."""
    previous = ""
    for event in Event.select().order_by(Event.id):
        event.hash = previous = audit.digest(previous, event)
        event.save()
    Audit.update(newest_hash=previous).execute()


def test_what_is_rolled_back_leaves_no_gap(chain):
    with pytest.raises(ZeroDivisionError), transaction():
        events.record(None, "told", "never")
        raise ZeroDivisionError
    with transaction():
        with pytest.raises(ZeroDivisionError), transaction():
            events.record(None, "told", "never")
            raise ZeroDivisionError
        with transaction():
            events.record(None, "told", "inner")
        events.record(None, "told", "outer")
    assert [event.message for event in Event.select().where(Event.id > 5)] == ["inner", "outer"]
    assert verify()["events"] == 7


def test_threads_that_record_at_once_make_one_chain(shop, settings):
    """Each holds a lock of its own meanwhile, as real changes do."""
    shop("create-deployment", user_id=1, desired_template_id=1, domainname="a.example.org")
    before, faults = newest().id, []

    def change(number: int) -> None:
        try:
            for turn in range(10):
                with session(), transaction(), events.by(f"thread {number}"):
                    events.record(1, "told", f"{turn}")
                    Deployment.update(last_error=f"{number}").where(Deployment.id == 1).execute()
        except Exception as e:
            faults.append(e)

    threads = [threading.Thread(target=change, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert newest().id == before + 40
    assert verify()["ok"]


def test_events_from_before_the_chain_are_chained_by_the_migration(settings):
    """Down to the schema before, by hand, and up again."""
    execute = database.database.execute_sql
    for table in ("sessions", "login_links", "tokens", "audit"):
        execute(f"DROP TABLE {table}")
    for column in ("token", "address", "hash"):
        execute(f"ALTER TABLE events DROP COLUMN {column}")
    execute("DELETE FROM migratehistory WHERE name = '004_access'")
    for number, cause in ((3, "NULL"), (7, """'{"code":"x","object":null,"message":"ä"}'""")):
        execute(
            "INSERT INTO events (id, created_at, type, actor, message, cause) "
            f"VALUES ({number}, '2026-01-0{number} 10:00:00.00000{number}', 't', 'a', 'm', {cause})"
        )
    assert (MIGRATIONS / "004_access.py").exists()
    assert main(["migrate"]) == 0
    assert verify()["events"] == 2
    Event.update(message="another").where(Event.id == 7).execute()
    assert not verify()["ok"]


# What is on record


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.changes], ids=lambda o: o.command)
def test_every_change_is_on_record_with_who_and_from_where(world, operation):
    before = newest().id
    ids = test_access.UNUSED.get(operation.command, {})
    assert world.ask_as("root", operation, **ids).status_code == operation.status
    added = list(Event.select().where(Event.id > before))
    assert len(added) == 1
    who = ("root@example.org", "tests", "192.0.2.7")
    assert (added[0].actor, added[0].token, added[0].address) == who
    assert verify()["ok"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_refusals_are_on_record(world):
    by_command = {operation.command: operation for operation in OPERATIONS}
    world.ask_as("ada", by_command["create-product"])
    refused = newest()
    assert (refused.type, refused.actor, refused.token) == ("refused", "ada@example.org", "ada")
    assert refused.message == "POST /products: POST /products is for admins only"
    world.ask(by_command["list-jobs"], {"Authorization": "Bearer caelus_forged"})
    refused = newest()
    assert (refused.actor, refused.token, refused.address) == ("nobody", None, "192.0.2.7")
    assert "caelus_forged" not in refused.message
    last = refused.id
    world.ask(by_command["list-jobs"], {})  # nobody who shows nothing
    assert newest().id == last
    world.ask_as("ada", by_command["list-jobs"])  # 404: what she may not see
    assert (newest().actor, newest().type) == ("ada@example.org", "refused")


def test_one_persons_refusals_do_not_hide_anothers(world):
    by_command = {operation.command: operation for operation in OPERATIONS}
    for _ in range(20):
        world.ask_as("eve", by_command["list-jobs"])
    world.ask_as("ada", by_command["create-product"])
    assert newest().actor == "ada@example.org"


def test_admins_see_where_from_and_the_owner_does_not(shop):
    shop("create-deployment", user_id=1, desired_template_id=1, domainname="a.example.org")
    (mine,) = shop("list-events", user_id=1, deployment_id=1).document
    everything = shop("list-all-events").document
    assert "address" not in mine
    assert everything[0]["address"] == "127.0.0.1"
    assert everything[0]["token"] == "tests"
    assert re.fullmatch("[0-9a-f]{64}", everything[0]["hash"])


def test_no_secret_is_in_any_event(shop, settings, capsys):
    secrets = [
        shop("create-token", user_id=1).document["token"],
        shop("create-login-link", user_id=1).document["url"].rpartition("/")[2],
    ]
    client = falcon.testing.TestClient(create_app(), headers={"Host": "localhost"})
    client.simulate_post(f"/login/{secrets[1]}", headers={"Origin": "http://evil.example.org"})
    own = {"Sec-Fetch-Site": "same-origin"}
    cookie = client.simulate_post(f"/login/{secrets[1]}", headers=own).cookies["caelus_session"]
    secrets.append(cookie.value)
    client.simulate_post(f"/login/{secrets[1]}", headers=own)
    client.simulate_get("/users", headers={"Authorization": f"Bearer {secrets[0]}"})
    client.simulate_get("/users", headers={"Authorization": f"Bearer {secrets[0]}x"})
    told = str(list(Event.select().tuples())) + str(capsys.readouterr())
    assert "login link" in told
    for secret in [*secrets, admin.TOKEN]:
        assert len(secret) > 10
        assert secret not in told
    assert Job.select().count() == 0
