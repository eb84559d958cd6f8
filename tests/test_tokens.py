"""API tokens: shown once, kept as a hash, dead when they should be."""

import datetime
import hashlib
import re

import pytest

from caelus.models import Token, now

DAY = datetime.timedelta(days=1)


@pytest.fixture
def ada(rest):
    assert rest("create-user", email="ada@example.org").ok
    return rest


def ask(rest, text: str):
    """The answer to who has this token."""
    return rest.client.simulate_get("/me", headers={"Authorization": f"Bearer {text}"})


def test_a_token_lets_its_user_in_and_is_shown_once(ada, surface):
    made = surface("create-token", user_id=1, name="laptop").document
    assert re.fullmatch(r"caelus_[0-9A-Za-z]{43}", made["token"])
    assert made["name"] == "laptop"
    assert made["expires_at"] is None
    (listed,) = surface("list-tokens", user_id=1).document
    assert listed == {key: value for key, value in made.items() if key != "token"}
    assert ask(ada, made["token"]).json["email"] == "ada@example.org"


def test_only_a_hash_is_kept(ada, surface):
    text = surface("create-token", user_id=1).document["token"]
    assert text not in str(list(Token.select().tuples()))
    assert Token.get_by_id(1).hash == hashlib.sha256(text.encode()).hexdigest()


def test_a_token_without_a_name_gets_one(ada, surface):
    assert surface("create-token", user_id=1).document["name"] == "token-1"


def test_a_token_expires(ada, surface):
    made = surface("create-token", user_id=1, expires_in_days=3).document
    lasts = Token.get_by_id(1).expires_at - now()
    assert 2 * DAY < lasts <= 3 * DAY
    assert ask(ada, made["token"]).status_code == 200
    Token.update(expires_at=now()).where(Token.id == 1).execute()
    assert ask(ada, made["token"]).status_code == 401
    assert len(surface("list-tokens", user_id=1).document) == 1


def test_a_deleted_token_is_dead(ada, surface):
    text = surface("create-token", user_id=1).document["token"]
    assert surface("delete-token", user_id=1, token_id=1).ok
    assert ask(ada, text).status_code == 401
    assert surface("list-tokens", user_id=1).document == []
    assert surface("delete-token", user_id=1, token_id=1).sentence == "token 1 not found"


def test_a_token_is_deleted_through_its_user_alone(ada, surface):
    ada("create-user", email="eve@example.org")
    surface("create-token", user_id=1)
    assert surface("delete-token", user_id=2, token_id=1).code in (404, 1)
    assert len(surface("list-tokens", user_id=1).document) == 1


def test_a_deleted_users_tokens_are_dead_and_another_user_does_not_get_them(ada, surface):
    text = surface("create-token", user_id=1).document["token"]
    assert surface("delete-user", user_id=1).ok
    assert ask(ada, text).status_code == 401
    assert surface("create-user", email="ada@example.org").ok
    assert ask(ada, text).status_code == 401
    assert surface("create-token", user_id=1).code in (404, 1)


def test_all_bad_tokens_get_one_sentence(ada):
    text = ada("create-token", user_id=1).document["token"]
    ada("delete-token", user_id=1, token_id=1)
    answers = {ask(ada, bad).text for bad in (text, "caelus_x", text[:-1], text.upper())}
    assert len(answers) == 1


def test_its_use_is_noted_once_a_minute(ada):
    text = ada("create-token", user_id=1).document["token"]
    assert Token.get_by_id(1).last_used_at is None
    ask(ada, text)
    used = Token.get_by_id(1).last_used_at
    assert now() - used < datetime.timedelta(seconds=10)
    ask(ada, text)
    assert Token.get_by_id(1).last_used_at == used
    Token.update(last_used_at=now() - datetime.timedelta(seconds=61)).execute()
    ask(ada, text)
    assert Token.get_by_id(1).last_used_at > used


@pytest.mark.parametrize(
    "odd", [{"expires_in_days": 0}, {"expires_in_days": 3651}, {"name": "x" * 101}, {"name": ""}]
)
def test_an_odd_token_is_refused(ada, surface, odd):
    assert surface("create-token", user_id=1, **odd).code in (422, 1)
    assert not Token.select().where(Token.id > 0).exists()


def test_the_scheme_is_known_in_any_case(ada):
    text = ada("create-token", user_id=1).document["token"]
    for scheme in ("bearer", "BEARER", "Bearer "):
        answer = ada.client.simulate_get("/me", headers={"Authorization": f"{scheme} {text}"})
        assert answer.status_code == 200
