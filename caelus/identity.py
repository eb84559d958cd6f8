"""Who sends a request: by API token, by what a trusted proxy says, or by session cookie.

In this order, and what is no good there is not made good by the rest.
"""

import re
import unicodedata

import falcon

from caelus import actors, naming, sessions, tokens, users, validation
from caelus.actors import Actor
from caelus.arrivals import Arrivals
from caelus.config import Config
from caelus.database import session, transaction
from caelus.errors import BadCredentials, Conflict, Forbidden, Unauthorized
from caelus.events import by
from caelus.models import Session, User
from caelus.peers import Peer
from caelus.schemas import ONLY_EMAIL

COOKIE = "caelus_session"
# No app of a tenant, though a sibling domain, can set a cookie with this prefix for us.
SECURE_COOKIE = f"__Host-{COOKIE}"
BEARER = re.compile(r"bearer +([!-~]{1,200})", re.IGNORECASE)
HOW = "log in with a link (caelus create-login-link) or send Authorization: Bearer TOKEN"


def identify(req: falcon.Request, peer: Peer, settings: Config, arrivals: Arrivals) -> Actor:
    """The actor of this request. Raises Unauthorized, or Forbidden for the proxy's strangers."""
    authorization = req.get_header("Authorization")
    with session():
        if authorization is not None:
            return _by_token(authorization, peer)
        email = settings.auth_header and peer.is_proxy and req.get_header(settings.auth_header)
        if email:
            user = _by_proxy(email, settings, peer)
            arrivals.note(user, peer.address)
            return actors.of(user, peer.address)
        if found := of_cookie(req, peer, settings):
            return actors.of(found.user, peer.address)
    if req.get_cookie_values(cookie_name(peer, settings)):
        raise BadCredentials()
    raise Unauthorized(HOW)


def is_secure(peer: Peer, settings: Config) -> bool:
    """Whether the browser comes by https, as it says or as the site is set up."""
    return peer.scheme == "https" or settings.base_url.startswith("https:")


def cookie_name(peer: Peer, settings: Config) -> str:
    name = SECURE_COOKIE if is_secure(peer, settings) else COOKIE
    # Browsers keep one cookie for all ports of a host: a demo must not log one out of the real one.
    return f"{name}_simulated" if settings.simulate else name


def of_cookie(req: falcon.Request, peer: Peer, settings: Config) -> Session | None:
    """The browser's session; of two cookies one may be put there by another site: then none."""
    found = all_of_cookies(req, peer, settings)
    return found[0] if len(found) == 1 else None


def all_of_cookies(req: falcon.Request, peer: Peer, settings: Config) -> list[Session | None]:
    """The session of each cookie that the browser shows, None for one that is of none."""
    texts = req.get_cookie_values(cookie_name(peer, settings)) or []
    return [sessions.shown(text) for text in texts]


def _by_token(authorization: str, peer: Peer) -> Actor:
    bearer = BEARER.fullmatch(authorization)
    token = tokens.shown(bearer[1]) if bearer else None
    if token is None:
        raise BadCredentials()
    return actors.of(token.user, peer.address, token.name)


def _by_proxy(email: str, settings: Config, peer: Peer) -> User:
    email = _decoded(email)
    shown = naming.printable(email)
    if validation.input_errors(ONLY_EMAIL, {"email": email}):
        raise Forbidden(f"the proxy names {shown}, which is no e-mail address")
    user = users.find_by_email(email)
    if user is None and not settings.auto_create_users:
        raise Forbidden(f"{shown} is no user here; an admin can create the user")
    return user or _created(email, peer)


def _decoded(header: str) -> str:
    """The e-mail in a header: UTF-8, which WSGI hands on as Latin-1.

    Raises Forbidden for one that only looks like another: whose letters fold into others.
    """
    try:
        email = header.encode("latin-1").decode()
    except UnicodeError:
        raise Forbidden("the proxy names no e-mail address in UTF-8") from None
    if unicodedata.normalize("NFKC", email) != email or email.casefold() != email.lower():
        raise Forbidden(f"the proxy names {naming.printable(email)}, which is ambiguous")
    return email


def _created(email: str, peer: Peer) -> User:
    try:
        with transaction(), by("proxy", address=peer.address):
            return users.create(email=email)
    except Conflict:  # by another request of the same person, just now
        return users.find_by_email(email)
