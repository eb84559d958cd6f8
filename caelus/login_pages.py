"""The small pages behind login links: a button, a field, no script; and logging out.

Looking at a link does not use it up; only the button does.
"""

import falcon

from caelus import jsontext, logins, naming, sessions, validation
from caelus.config import Config
from caelus.database import session, transaction
from caelus.errors import BadCredentials, CaelusError, Invalid
from caelus.events import by, record
from caelus.identity import all_of_cookies, cookie_name, is_secure
from caelus.schemas import ONLY_EMAIL
from caelus.web import pages

PREFIX = "/login/"
SIMULATION = "This is a simulation: there is no cluster, and nothing that is shown here runs."
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Login:
    """`/login/{code}`"""

    def __init__(self, settings: Config):
        self._settings = settings

    def on_get(self, req, resp, code):
        with session():
            link = logins.find(code)
            email = link.user and link.user.email
        _show(req, resp, self._settings, "Log in", email=email)

    on_head = on_get

    def on_post(self, req, resp, code):
        email = _email(req)
        with session(), transaction(), by("nobody", address=req.context.peer.address):
            _, text = logins.use(code, email)
        peer = req.context.peer
        resp.set_cookie(
            cookie_name(peer, self._settings),
            text,
            max_age=int(sessions.LASTS.total_seconds()),
            path="/",
            secure=is_secure(peer, self._settings),
            http_only=True,
            same_site="Lax",
        )
        raise falcon.HTTPSeeOther("/ui")


class Logout:
    """`/logout`"""

    def __init__(self, settings: Config):
        self._settings = settings

    def on_get(self, req, resp):
        """Log nobody out, for any page may lead here; a person is shown what does."""
        if req.client_prefers((falcon.MEDIA_JSON, falcon.MEDIA_HTML)) == falcon.MEDIA_HTML:
            raise falcon.HTTPFound("/ui")
        raise falcon.HTTPMethodNotAllowed(["POST"])

    on_head = on_get

    def on_post(self, req, resp):
        peer = req.context.peer
        with session(), transaction():
            for found in filter(None, all_of_cookies(req, peer, self._settings)):
                sessions.end(found)
                with by(found.user.email, address=peer.address):
                    record(None, "logged_out", f"{found.user.email} logged out")
        name, secure = cookie_name(peer, self._settings), is_secure(peer, self._settings)
        resp.set_cookie(name, "", max_age=0, path="/", secure=secure, same_site="Lax")
        raise falcon.HTTPSeeOther("/ui")


def show_error(req: falcon.Request, resp: falcon.Response, error: CaelusError, settings: Config):
    title, sentence, is_dead = error.title, error.detail, isinstance(error, BadCredentials)
    if is_dead:
        title = "This link logs nobody in"
        sentence = "This link is unknown, used or expired; ask for a new one."
    _show(req, resp, settings, title, sentence=sentence, is_dead=is_dead)


def banner(settings: Config) -> str:
    """What a page says first where the cluster is simulated."""
    return f"<p><strong>{SIMULATION}</strong></p>\n" if settings.simulate else ""


def _show(req, resp, settings: Config, title: str, email=None, sentence=None, is_dead=False):
    context = {"title": title, "email": email, "sentence": sentence, "is_dead": is_dead}
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", POLICY)
    resp.text = pages.render("login.html", req, settings, context)


def _email(req: falcon.Request) -> str | None:
    """The e-mail in the form; None where it has none. Raises Invalid."""
    text = req.bounded_stream.read(jsontext.MAX_BYTES).decode("utf-8", "replace")
    email = falcon.uri.parse_query_string(text).get("email")
    if email is None:
        return None
    errors = validation.input_errors(ONLY_EMAIL, {"email": email})
    if errors:
        raise Invalid(*((naming.dotted(path), message) for path, message in errors))
    return email
