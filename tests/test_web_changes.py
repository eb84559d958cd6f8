"""What an owner changes of a deployment, by forms."""

import pytest

from caelus.models import Deployment, now
from tests.owner import HERE, NEWER, SECRET, VALUES, Browser, Form, deploy, newer, settle, text_of
from tests.owner import ada as ada
from tests.owner import one as one

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_an_edit_shows_the_values_and_keeps_the_mask(one, rest):
    form = Form(one.page(f"{HERE}/edit"))
    assert dict(form.pairs)["user/mail"] == "********"
    answer = one.post(f"{HERE}/edit", form.with_(user__size="5"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=updated")
    after = rest("get-deployment", user_id=1, deployment_id=1).document["user_values_json"]
    assert after == {"title": "Notes of Ada", "size": 5, "mail": "********"}
    shown = rest("reveal-secrets", user_id=1, deployment_id=1).document["secrets"]
    assert shown["/user/mail"] == SECRET


def test_an_edit_that_changes_nothing_does_nothing(one):
    answer = one.post(f"{HERE}/edit", Form(one.page(f"{HERE}/edit")).pairs)
    assert answer.headers["location"] == f"{HERE}?done=nothing"
    assert Deployment.get().generation == 1


def test_a_refused_edit_says_why_and_loses_nothing(one):
    form = Form(one.page(f"{HERE}/edit"))
    answer = one.post(f"{HERE}/edit", form.with_(user__title="x" * 21))
    assert answer.status_code == 409
    assert "must have at most 20 characters" in answer.text
    assert dict(Form(answer.text).pairs)["user/title"] == "x" * 21


def test_an_edit_while_a_job_runs_is_refused_with_its_sentence(ada, rest):
    deploy(rest)
    answer = ada.post(f"{HERE}/edit", Form(ada.page(f"{HERE}/edit")).with_(user__size="5"))
    assert answer.status_code == 409
    assert "A deployment job is already queued or running; try again when it ends" in answer.text
    assert dict(Form(answer.text).pairs)["user/size"] == "5"


def test_an_edit_from_an_older_state_is_refused_once(one):
    form = Form(one.page(f"{HERE}/edit"))
    Deployment.update(generation=2).execute()
    answer = one.post(f"{HERE}/edit", form.with_(user__size="5"))
    assert answer.status_code == 409
    assert "changed since this form was opened" in answer.text
    assert one.post(f"{HERE}/edit", Form(answer.text).pairs).status_code == 303


def test_the_domain_is_changed(one):
    assert (
        one.post(f"{HERE}/domain", domainname="n1.example.org")
        .headers["location"]
        .endswith("done=nothing")
    )
    answer = one.post(f"{HERE}/domain", domainname="no host")
    assert answer.status_code == 422
    assert 'value="no host"' in answer.text
    assert "must be a host name" in answer.text
    assert one.post(f"{HERE}/domain", domainname="new.example.org").status_code == 303
    assert Deployment.get().domainname == "new.example.org"


def test_without_a_newer_version_there_is_nothing_to_upgrade(one):
    assert "It is up to date" in one.page(f"{HERE}/upgrade")
    assert one.post(f"{HERE}/upgrade").status_code == 409


def test_an_upgrade_shows_what_changes(one, rest):
    newer(
        rest,
        values_schema_json=NEWER,
        default_values_json={"replicas": 2, "cache": {"on": True}},
    )
    page = text_of(one.page(f"{HERE}/upgrade"))
    assert "Chart version1.0.0 → 1.1.0" in page
    assert "new language type: string, must be set" in page
    assert "changed size maximum: 10 → 20" in page
    assert "new cache.on true" in page
    assert "changed replicas 1 → 2" in page


def test_an_upgrade_that_fits_is_one_button(one, rest):
    newer(rest)
    page = one.page(f"{HERE}/upgrade")
    assert 'name="user/title"' not in page
    answer = one.post(f"{HERE}/upgrade", Form(page).pairs)
    assert answer.headers["location"] == f"{HERE}?done=upgraded"
    assert Deployment.get().desired_template_id == 2


def test_an_upgrade_that_does_not_fit_asks_for_what_is_missing(one, rest):
    newer(rest, values_schema_json=NEWER)
    page = one.page(f"{HERE}/upgrade")
    assert "The present settings do not fit the new version." in page
    assert 'id="user/language:errors">is missing<' in page
    form = Form(page)
    assert one.post(f"{HERE}/upgrade", form.pairs).status_code == 409
    assert one.post(f"{HERE}/upgrade", form.with_(user__language="en")).status_code == 303
    after = Deployment.get()
    assert (after.desired_template_id, after.user_values_json["language"]) == (2, "en")
    assert after.user_values_json["mail"] == "********"


def test_an_upgrade_from_an_older_state_does_not_undo_a_change(one, rest):
    newer(rest)
    form = Form(one.page(f"{HERE}/upgrade?values=1"))
    rest("update-deployment", user_id=1, deployment_id=1, user_values_json=VALUES | {"size": 4})
    settle()
    answer = one.post(f"{HERE}/upgrade", form.pairs)
    assert answer.status_code == 409
    assert "changed since this form was opened" in answer.text
    assert Deployment.get().user_values_json["size"] == 4


def test_a_deletion_says_what_is_lost_and_wants_the_name(one):
    page = one.page(f"{HERE}/delete")
    for lost in (Deployment.get().deployment_uid, "its volumes", "the domain n1.example.org"):
        assert lost in page
    for typed in ("", "n2.example.org", "\0"):
        answer = one.post(f"{HERE}/delete", name=typed)
        assert answer.status_code == 409
        assert "Type n1.example.org to say that" in answer.text
    assert one.post(f"{HERE}/delete").status_code == 409
    assert Deployment.get().status == "ready"
    answer = one.post(f"{HERE}/delete", name=" N1.example.org ")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=deleting")
    assert Deployment.get().status == "deleting"


def test_only_a_wrong_name_is_marked_as_wrong(ada, rest):
    deploy(rest)
    for typed, count in (("n2.example.org", 1), ("n1.example.org", 0)):
        answer = ada.post(f"{HERE}/delete", name=typed)
        assert (answer.status_code, answer.text.count("aria-invalid")) == (409, count)
    assert "already queued or running" in answer.text


def test_a_deleted_app_still_has_its_page_but_no_changes(one):
    settle(status="deleted")
    Deployment.update(deleted_at=now()).execute()
    page = one.page(HERE)
    assert "It was deleted." in page
    for end in ("/edit", "/domain", "/delete", "/upgrade", "/secrets", "/resources/part"):
        assert f'"{HERE}{end}"' not in page
        if end != "/resources/part":
            one.page(HERE + end)
    answer = one.post(f"{HERE}/domain", domainname="x.example.org")
    assert "is deleted: it can&#39;t be updated" in answer.text


def test_an_admin_can_forget_what_others_cannot(one):
    chief = Browser(3)
    assert f"{HERE}/forget" not in one.page(HERE)
    assert one.get(f"{HERE}/forget").status_code == 403
    assert one.post(f"{HERE}/forget", name="n1.example.org").status_code == 403
    assert f"{HERE}/forget" in chief.page(HERE)
    assert chief.post(f"{HERE}/forget").status_code == 409
    assert chief.post(f"{HERE}/forget", name="n1.example.org").status_code == 303
    assert Deployment.get().status == "deleted"
