"""`caelus restored`: a database, of either kind, that was restored by other tools."""

import concurrent.futures

import pytest

from caelus import audit, database, orphans
from caelus.errors import Conflict
from caelus.models import DELETED, Deployment, Job, LoginLink, Session, now
from caelus.orphans import Found, Orphan
from tests.conftest import Cli
from tests.program import wait_until


def test_caelus_can_be_told_of_a_restore(shop, capsys):
    for name in ("a", "b"):
        new = {"desired_template_id": 1, "domainname": f"{name}.example.org"}
        assert shop("create-deployment", user_id=1, **new).ok
    Deployment.update(status=DELETED).where(Deployment.id == 2).execute()
    Session.create(user=1, hash="x", expires_at=now(), last_seen_at=now())
    shop("create-login-link", user_id=1)
    assert Cli(capsys).run("restored").document == {"deployments_to_compare": 1}
    marked = Deployment.select().where(Deployment.restored_generation.is_null(False))
    assert [(d.id, d.restored_generation) for d in marked] == [(1, 1)]
    assert (Session.select().count(), LoginLink.select().count()) == (0, 0)
    for command, ids in (("create-user", {"email": "eve@example.org"}), ("create-product", {})):
        document = shop(command, **ids or {"name": "Other"}).document
        assert document["id"] > 1000
    new = {"desired_template_id": 1, "domainname": "c.example.org"}
    assert shop("create-deployment", user_id=1, **new).document["id"] > 1000
    assert Job.select().order_by(Job.id.desc()).first().id > 1000
    types = [event["type"] for event in shop("list-all-events").document]
    assert "restored" in types
    assert audit.verify()["ok"]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)  # SQLite has one writer
def test_of_two_who_adopt_one_namespace_at_once_one_is_refused(shop):
    shop("create-user", email="eve@example.org")
    new = {"desired_template_id": 1, "domainname": "a.example.org"}
    uid = shop("create-deployment", user_id=1, **new).document["deployment_uid"]
    Deployment.update(status=DELETED, deleted_at=now()).execute()
    known = {"namespace": uid, "phase": "Active", "release_status": "deployed", "revision": 1}
    orphan = Orphan(**dict.fromkeys(Orphan._fields) | known | {"domainname": "a.example.org"})

    def adopt(user_id: int) -> None:
        with database.transaction():
            found = Found(orphan, "notes", "1.0.0", {})
            orphans.adopt(found=found, user_id=user_id, template_id=1)

    def adopt_beside() -> None:
        with database.session():
            adopt(2)

    def is_waited_for() -> bool:
        query = "SELECT 1 FROM pg_locks WHERE NOT granted"
        return database.database.execute_sql(query).fetchone() is not None

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with database.transaction():
            adopt(1)
            second = pool.submit(adopt_beside)
            wait_until(is_waited_for)
        with pytest.raises(Conflict, match=f"namespace {uid} is that of deployment 1"):
            second.result(30)
    assert Deployment.get().user_id == 1
