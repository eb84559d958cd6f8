"""The small pages behind login links: plain HTML, a button, a field; and logging out.

Looking at a link does not use it up; only the button does.
"""

import html

import falcon

from caelus import logins, sessions, validation
from caelus.config import Config
from caelus.database import session, transaction
from caelus.errors import BadCredentials, CaelusError, Invalid
from caelus.events import by, record
from caelus.identity import all_of_cookies, cookie_name, is_secure
from caelus.schemas import ONLY_EMAIL

PREFIX = "/login/"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Caelus: log in</title>
<link rel="icon" href="data:,">
<h1>Caelus</h1>
{banner}{content}
</html>
"""
SIMULATION = "This is a simulation: there is no cluster, and nothing that is shown here runs."
BUTTON = '<form method="post"><p>{text}</p>{field}<p><button>{label}</button></p></form>'
FIELD = '<p><label>E-mail <input name="email" type="email" required autofocus></label></p>'
POLICY = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; img-src data:"


class Login:
    """`/login/{code}`"""

    def __init__(self, settings: Config):
        self._settings = settings

    def on_get(self, req, resp, code):
        with session():
            link = logins.find(code)
            email = link.user and link.user.email
        if email:
            form = BUTTON.format(text=html.escape(email), field="", label="Log in")
        else:
            text = "You are the first here: you will be the admin."
            form = BUTTON.format(text=text, field=FIELD, label="Create the admin and log in")
        _show(resp, form, self._settings)

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


def show_error(resp: falcon.Response, error: CaelusError, settings: Config) -> None:
    sentence = error.detail
    if isinstance(error, BadCredentials):
        sentence = "This link is unknown, used or expired; ask for a new one."
    _show(resp, f"<p>{html.escape(sentence)}</p>", settings)


def banner(settings: Config) -> str:
    """What a page says first where the cluster is simulated."""
    return f"<p><strong>{SIMULATION}</strong></p>\n" if settings.simulate else ""


def _show(resp: falcon.Response, content: str, settings: Config) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", POLICY)
    resp.text = PAGE.format(content=content, banner=banner(settings))


def _email(req: falcon.Request) -> str | None:
    """The e-mail in the form; None where it has none. Raises Invalid."""
    text = req.bounded_stream.read(validation.MAX_BYTES).decode("utf-8", "replace")
    email = falcon.uri.parse_query_string(text).get("email")
    if email is None:
        return None
    errors = validation.input_errors(ONLY_EMAIL, {"email": email})
    if errors:
        raise Invalid(*((validation.dotted(path), message) for path, message in errors))
    return email
