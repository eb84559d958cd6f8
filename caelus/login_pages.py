"""The small pages behind login links: plain HTML, a button, a field; and logging out.

Looking at a link does not use it up; only the button does.
"""

import html

import falcon

from caelus import logins, sessions, validation
from caelus.database import session, transaction
from caelus.errors import BadCredentials, CaelusError, Invalid
from caelus.events import by, record
from caelus.identity import COOKIE, of_cookie
from caelus.schemas import EMAIL, fields

PREFIX = "/login/"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Caelus: log in</title>
<link rel="icon" href="data:,">
<h1>Caelus</h1>
{content}
</html>
"""
BUTTON = '<form method="post"><p>{text}</p>{field}<p><button>{label}</button></p></form>'
FIELD = '<p><label>E-mail <input name="email" type="email" required autofocus></label></p>'
POLICY = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; img-src data:"


class Login:
    """`/login/{code}`"""

    def on_get(self, req, resp, code):
        with session():
            link = logins.find(code)
            email = link.user and link.user.email
        if email:
            form = BUTTON.format(text=html.escape(email), field="", label="Log in")
        else:
            text = "You are the first here: you will be the admin."
            form = BUTTON.format(text=text, field=FIELD, label="Create the admin and log in")
        _show(resp, form)

    on_head = on_get

    def on_post(self, req, resp, code):
        email = _email(req)
        with session(), transaction(), by("nobody", address=req.context.peer.address):
            _, text = logins.use(code, email)
        resp.set_cookie(
            COOKIE,
            text,
            max_age=int(sessions.LASTS.total_seconds()),
            path="/",
            secure=req.context.peer.scheme == "https",
            http_only=True,
            same_site="Lax",
        )
        raise falcon.HTTPSeeOther("/")


class Logout:
    """`/logout`"""

    def on_post(self, req, resp):
        with session(), transaction():
            found = of_cookie(req)
            if found is not None:
                sessions.end(found)
                with by(found.user.email, address=req.context.peer.address):
                    record(None, "logged_out", f"{found.user.email} logged out")
        resp.unset_cookie(COOKIE, path="/", same_site="Lax")
        raise falcon.HTTPSeeOther("/")


def show_error(resp: falcon.Response, error: CaelusError) -> None:
    sentence = error.detail
    if isinstance(error, BadCredentials):
        sentence = "This link is unknown, used or expired; ask for a new one."
    _show(resp, f"<p>{html.escape(sentence)}</p>")


def _show(resp: falcon.Response, content: str) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", POLICY)
    resp.text = PAGE.format(content=content)


def _email(req: falcon.Request) -> str | None:
    """The e-mail in the form; None where it has none. Raises Invalid."""
    text = req.bounded_stream.read(validation.MAX_BYTES).decode("utf-8", "replace")
    email = falcon.uri.parse_query_string(text).get("email")
    if email is None:
        return None
    errors = validation.input_errors(fields(email=EMAIL), {"email": email})
    if errors:
        raise Invalid(*((validation.dotted(path), message) for path, message in errors))
    return email
