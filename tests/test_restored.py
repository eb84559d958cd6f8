"""`caelus restored`: a database, of either kind, that was restored by other tools."""

from caelus import audit
from caelus.models import DELETED, Deployment, Job, LoginLink, Session, now
from tests.conftest import Cli


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
