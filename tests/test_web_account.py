"""An owner's tokens."""

import datetime
import re

import falcon.testing
import pytest

from caelus.api import create_app
from caelus.models import Token, now
from tests.owner import Browser, text_of
from tests.owner import ada as ada

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_account_says_who_i_am_and_how_to_log_in(ada):
    page = text_of(ada.page("/ui/account"))
    assert "ada@example.org" in page
    assert "user: has apps of their own" in page
    assert "caelus login http://127.0.0.1:8000" in page
    assert "admin: may do everything" in Browser(3).page("/ui/account")


def test_a_token_is_shown_once_and_works(ada):
    answer = ada.post("/ui/account", name="laptop", expires_in_days="30")
    text = re.search('value="(caelus_[^"]+)"', answer.text)[1]
    assert answer.headers["cache-control"] == "no-store"
    page = ada.page("/ui/account")
    assert "laptop" in page and text not in page
    lasts = Token.get(Token.name == "laptop").expires_at - now()
    assert datetime.timedelta(days=29) < lasts <= datetime.timedelta(days=30)
    client = falcon.testing.TestClient(create_app(), headers={"Authorization": f"Bearer {text}"})
    assert client.simulate_get("/me", headers={"Host": "localhost"}).json["id"] == 1


@pytest.mark.parametrize("days", ["0", "x", "99999", "-1"])
def test_a_refused_token_says_why_and_keeps_what_was_typed(ada, days):
    answer = ada.post("/ui/account", name="laptop", expires_in_days=days)
    assert answer.status_code == 422
    assert 'id="expires_in_days-error">must be' in answer.text
    assert f'value="{days}"' in answer.text and 'value="laptop"' in answer.text
    assert Token.select().where(Token.user == 1).count() == 0


def test_a_token_is_deleted_after_a_question(ada):
    ada.post("/ui/account", name="laptop", expires_in_days="")
    token = Token.get(Token.name == "laptop")
    path = f"/ui/account/tokens/{token.id}/delete"
    assert path in ada.page("/ui/account")
    assert "Delete the token laptop?" in ada.page(path)
    assert Browser(2).get(path).status_code == 404
    assert Browser(2).post(path).status_code == 404
    assert ada.post(path).headers["location"] == "/ui/account?done=deleted"
    assert Token.get_by_id(token.id).deleted_at is not None
    assert ada.get(path).status_code == 404
