"""Who sends a request: by API token, by session cookie, or by what a trusted proxy says.

In this order, and a token that is no good is not made good by the rest.
"""

import re

import falcon

from caelus import actors, sessions, tokens, users, validation
from caelus.actors import Actor
from caelus.config import Config
from caelus.database import session, transaction
from caelus.errors import BadCredentials, Conflict, Forbidden, Unauthorized
from caelus.events import by
from caelus.models import Session, User
from caelus.peers import Peer
from caelus.schemas import EMAIL, fields

COOKIE = "caelus_session"
BEARER = re.compile(r"bearer +([!-~]{1,200})", re.IGNORECASE)
HOW = "log in with a link (caelus create-login-link) or send Authorization: Bearer TOKEN"


def identify(req: falcon.Request, peer: Peer, settings: Config) -> Actor:
    """The actor of this request. Raises Unauthorized, or Forbidden for the proxy's strangers."""
    authorization = req.get_header("Authorization")
    with session():
        if authorization is not None:
            return _by_token(authorization, peer)
        if found := of_cookie(req):
            return actors.of(found.user, peer.address)
        email = settings.auth_header and peer.is_proxy and req.get_header(settings.auth_header)
        if email:
            return actors.of(_by_proxy(email, settings, peer), peer.address)
    if req.get_cookie_values(COOKIE):
        raise BadCredentials()
    raise Unauthorized(HOW)


def of_cookie(req: falcon.Request) -> Session | None:
    """The browser's session; of two cookies one may be put there by another site: then none."""
    texts = req.get_cookie_values(COOKIE) or []
    return sessions.shown(texts[0]) if len(texts) == 1 else None


def _by_token(authorization: str, peer: Peer) -> Actor:
    bearer = BEARER.fullmatch(authorization)
    token = tokens.shown(bearer[1]) if bearer else None
    if token is None:
        raise BadCredentials()
    return actors.of(token.user, peer.address, token.name)


def _by_proxy(email: str, settings: Config, peer: Peer) -> User:
    shown = validation.printable(email)
    if validation.input_errors(fields(email=EMAIL), {"email": email}):
        raise Forbidden(f"the proxy names {shown}, which is no e-mail address")
    user = users.find_by_email(email)
    if user is None and not settings.auto_create_users:
        raise Forbidden(f"{shown} is no user here; an admin can create the user")
    return user or _created(email, peer)


def _created(email: str, peer: Peer) -> User:
    try:
        with transaction(), by("proxy", address=peer.address):
            return users.create(email=email)
    except Conflict:  # by another request of the same person, just now
        return users.find_by_email(email)
