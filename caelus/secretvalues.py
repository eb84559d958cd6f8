"""Secrets among the values: masked in what everybody reads, encrypted in a column of their own.

What `marks` finds is moved out of `user_values_json` and `default_values_json`, which keep MASK in
its place, into `secrets`. What Caelus generated is there alone.
"""

import json
import string
from typing import NamedTuple

import peewee

from caelus import bindings, keyring, marks, values
from caelus.database import forget_what_was, lock_tables
from caelus.errors import BadValues, Conflict, SecretKeyError
from caelus.jsontext import compact, copied
from caelus.models import DELETED, READY, Deployment, Template
from caelus.naming import field_in

MASK = marks.MASK
IN_USE = {Deployment: Deployment.status != DELETED, Template: Template.deleted_at.is_null()}
MOST_REPLACED = 20  # values that are remembered
_LETTERS = string.ascii_letters + string.digits


class Secrets(NamedTuple):
    """A deployment's: by their places in the values what its user gave and what Caelus made, and
    values that were replaced since it was ready, which the cluster may still know."""

    given: dict[str, object]
    generated: dict[str, str]
    replaced: list


class Revealed(NamedTuple):
    deployment_id: int
    secrets: dict[str, object]


def assign(deployment: Deployment, sent: dict | None) -> None:
    """Make `sent` the deployment's user values, split as its desired template wants it.

    A mask in it stands for what is stored at that place; what was a secret stays one until its
    user sends another value for it. What the template wants generated, and never was, is made.
    Raises Conflict for a mask that stands for nothing.
    """
    schema = deployment.desired_template.values_schema_json
    old = secrets_of(deployment)
    shown, stored = _rooted(deployment.user_values_json), old.generated | old.given
    kept = {}
    whole = _unmasked(_rooted(sent), shown, stored, kept)
    places = marks.outermost(marks.secret_places(schema, whole) | kept.keys())
    given = {}
    masked = _hidden(whole, places, given)
    generated = old.generated | _made(schema, whole, old.generated)
    secrets = Secrets(given, generated, _replaced(deployment, old, given))
    if deployment.id is not None and given.keys() - old.given.keys():
        forget_what_was()  # it may have been stored as plain text so far
    deployment.user_values_json = masked.get("user")
    deployment.secrets = _sealed(deployment, secrets._asdict() if any(secrets) else None)


def adopt(deployment: Deployment, has: dict) -> None:
    """As `assign`, of the values that a release has: what was generated stays as it is."""
    schema = deployment.desired_template.values_schema_json
    made = {
        place: found
        for place in marks.generated_places(schema)
        if (found := bindings.look_up(has, marks.tokens(place))) is not bindings.MISSING
    }
    deployment.secrets = _sealed(deployment, Secrets({}, made, [])._asdict()) if made else None
    user = _without(has.get("user"), made, "/user") if values.takes_user_values(schema) else None
    assign(deployment, user)


def hide_defaults(template: Template) -> None:
    """Move what the template's own schema marks out of its default values.

    Raises Conflict for a mask in the place of a secret.
    """
    defaults, secrets = template.default_values_json, {}
    places = marks.secret_places(template.values_schema_json, defaults)
    template.default_values_json = _hidden(defaults, places, secrets)
    for place, value in secrets.items():
        if compact(MASK) in compact(value):
            raise Conflict(f"default values: {place} is the mask {MASK}; send the value itself")
    template.secrets = _sealed(template, secrets or None)


def plain_values(deployment: Deployment) -> tuple[dict, dict | None]:
    """The default values with what was generated, and the user's values, secrets and all.

    Raises SecretKeyError.
    """
    template, secrets = deployment.desired_template, secrets_of(deployment)
    generated = marks.with_generated(_fitting(template.values_schema_json, secrets.generated))
    defaults = template.default_values_json or {}
    if own := opened(template):
        defaults = _restored(defaults, own)
    user = _restored(_rooted(deployment.user_values_json), secrets.given).get("user")
    if user is not None:
        user = values.merge(generated.get("user", {}), user)
    return values.merge(defaults, generated), user


def secrets_of(deployment: Deployment) -> Secrets:
    """Raises SecretKeyError."""
    return Secrets(**(opened(deployment) or {"given": {}, "generated": {}, "replaced": []}))


def everything_secret(deployment: Deployment) -> list:
    """The values of all secrets that helm and the cluster may know of it.

    Raises SecretKeyError.
    """
    secrets = secrets_of(deployment)
    templates = filter(None, (deployment.desired_template, deployment.applied_template))
    defaults = [value for t in templates for value in (opened(t) or {}).values()]
    return [*secrets.given.values(), *secrets.generated.values(), *secrets.replaced, *defaults]


def _replaced(deployment: Deployment, old: Secrets, given: dict) -> list:
    before = [] if deployment.status == READY else old.replaced
    return [*before, *(v for p, v in old.given.items() if given.get(p) != v)][-MOST_REPLACED:]


# Generated


def _made(schema: dict | None, whole: dict, already: dict) -> dict[str, str]:
    """What the schema wants generated, but for what is there already or came from the user."""
    import secrets  # it loads OpenSSL, which only this needs

    return {
        place: "".join(secrets.choice(_LETTERS) for _ in range(length))
        for place, length in marks.generated_places(schema).items()
        if place not in already and bindings.look_up(whole, marks.tokens(place)) is bindings.MISSING
    }


def _fitting(schema: dict | None, generated: dict) -> dict[str, str]:
    """Those that the schema has room for: a newer one may have done away with a property."""
    return {
        place: value
        for place, value in generated.items()
        if bindings.may_hold(schema, marks.tokens(place))
        and (values.takes_user_values(schema) or not place.startswith("/user/"))
    }


def _without(document, places, place: str):
    """`document` without what is at these places."""
    if not isinstance(document, dict):
        return document
    below = {key: f"{place}/{marks.escaped(key)}" for key in document}
    return {
        key: _without(item, places, below[key])
        for key, item in document.items()
        if below[key] not in places
    }


# The column


def sealed_rows(model) -> list:
    """The rows of Deployment or Template that have secrets.

    Without those that are deleted, and whose key is lost for good.
    """
    known = IN_USE[model] | (_key_of(model) << keyring.prefixes())
    return list(model.select().where(model.secrets.is_null(False), known).order_by(model.id))


def opened(row: Deployment | Template) -> dict | None:
    """What the row keeps, decrypted. Raises SecretKeyError.

    Once for each row that was read: a job goes on though the key is rotated meanwhile.
    """
    if row.secrets is None:
        return None
    token, document = getattr(row, "_opened", (None, None))
    if token != row.secrets:
        document = json.loads(_unsealed(row))
        row._opened = row.secrets, document
    return document


def require_readable(row: Deployment | Template) -> None:
    """Raises SecretKeyError unless what the row keeps, as it was read, can be decrypted."""
    keyring.unseal(row.secrets, _owner(row))


def _unsealed(row: Deployment | Template) -> str:
    try:
        return keyring.unseal(row.secrets, _owner(row))
    except SecretKeyError:
        model = type(row)
        now = model.select(model.secrets).where(model.id == row.id).scalar()
        if now in (None, row.secrets):
            raise
        row.secrets = now  # it was read before a rotation that has ended since
        return keyring.unseal(now, _owner(row))


def reencrypt(row: Deployment | Template, document: dict) -> None:
    """Encrypt `document`, what the row keeps, by the key that is now the first."""
    model, token = type(row), keyring.seal(compact(document), _owner(row))
    model.update(secrets=token).where(model.id == row.id).execute()


def _sealed(row: Deployment | Template, document: dict | None) -> str | None:
    if document is None:
        return None
    # Before the key is read: who changes it locks the tables alone first, and so either sees this
    # row or has its new key seen here.
    lock_tables(type(row), alone=False)
    check_keys()
    return keyring.seal(compact(document), _owner(row))


def _owner(row: Deployment | Template) -> str:
    """What the row was called before it had an id, and always will be."""
    if isinstance(row, Deployment):
        return f"deployment {row.deployment_uid}"
    return f"template {row.chart_ref} {row.chart_version} of product {row.product_id}"


def check_keys() -> None:
    """Raise SecretKeyError where no key at hand has encrypted what is still of use.

    Another key must not come into use beside one that is lost: its file would be in the way of
    the lost one's, once that is found.
    """
    held = keyring.prefixes()
    for model, in_use in IN_USE.items():
        lost = model.secrets.is_null(False) & ~(_key_of(model) << held)
        row = model.select().where(in_use, lost).first()
        if row is not None:
            raise keyring.missing(keyring.key_of(row.secrets), _owner(row))


def _key_of(model):
    return peewee.fn.SUBSTR(model.secrets, 1, keyring.PREFIX_LENGTH)


# Masks


def _rooted(user_values: dict | None) -> dict:
    return {} if user_values is None else {"user": user_values}


def _unmasked(sent, shown, stored: dict, kept: dict, place: str = ""):
    """`sent` with what is stored in the place of masks; those values also go to `kept`."""
    if sent == MASK:
        if place not in stored:
            text = (
                f"is the mask {MASK}, and no stored value is known for it; send the value itself "
                "(for all of a list that changes)"
            )
            field = field_in("user_values_json", marks.tokens(place)[1:])
            shown_place = place.removeprefix("/user")
            raise BadValues(f"user values: {shown_place} {text}", [(field, text)])
        kept[place] = stored[place]
        return stored[place]
    if isinstance(sent, dict):
        below = shown if isinstance(shown, dict) else {}
        return {
            key: _unmasked(item, below.get(key), stored, kept, f"{place}/{marks.escaped(key)}")
            for key, item in sent.items()
        }
    if isinstance(sent, list):
        # In a list that changes nobody can tell which item a mask belonged to.
        known = stored if sent == shown else {}
        return [_unmasked(x, x, known, kept, f"{place}/{n}") for n, x in enumerate(sent)]
    return sent


def _hidden(document, places: set[str], secrets: dict, place: str = ""):
    """`document` with MASK at these places; what was there goes to `secrets`."""
    if place in places:
        secrets[place] = document
        return MASK
    if isinstance(document, dict):
        return {
            key: _hidden(item, places, secrets, f"{place}/{marks.escaped(key)}")
            for key, item in document.items()
        }
    if isinstance(document, list):
        return [_hidden(x, places, secrets, f"{place}/{n}") for n, x in enumerate(document)]
    return document


def _restored(document, secrets: dict, place: str = ""):
    """`document` with these secrets at their places: the opposite of `_hidden`."""
    if place in secrets:
        return copied(secrets[place])
    if isinstance(document, dict):
        return {
            key: _restored(item, secrets, f"{place}/{marks.escaped(key)}")
            for key, item in document.items()
        }
    if isinstance(document, list):
        return [_restored(x, secrets, f"{place}/{n}") for n, x in enumerate(document)]
    return document
