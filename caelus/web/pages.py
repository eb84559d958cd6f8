"""What every page has in common: who asks, the operations it calls, the form that is sent, HTML.

A page calls operations by `ask`, so that it can do what REST can, and no more.
"""

import functools
import hashlib
import io
import json
import pathlib
import urllib.parse
import zipfile

import falcon
import jinja2
from falcon.media import MultipartFormHandler

from caelus import __version__, jsontext
from caelus.config import Config
from caelus.dispatch import dispatch
from caelus.errors import CaelusError, Malformed, TooLarge, Unauthorized, UnsupportedMediaType
from caelus.operations import BY_COMMAND
from caelus.web import lists, words

PREFIX = "/ui"
HERE = pathlib.Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAX_FIELDS = 10_000
NO_TEXT = "the form is not in UTF-8"
DONE, DONE_SECONDS = "caelus_done", 60  # a cookie
PAGE_ROWS = 50


class Page:
    """A page, or a part of one; each subclass answers GET, POST or both."""

    def __init__(self, settings: Config):
        self.settings = settings

    def __init_subclass__(cls):
        if hasattr(cls, "on_get"):
            cls.on_head = cls.on_get

    def ask(self, req, command: str, dry_run: bool = False, nulls=(), **arguments):
        """The document of an operation, asked for by who looks at the page. Raises CaelusError.

        Of the arguments, ids are given as whole numbers or text, and those that are None are not
        given at all, but for those named in `nulls`. With `dry_run` nothing stays changed.
        """
        operation = BY_COMMAND[command]
        given = {n: value for n, value in arguments.items() if value is not None or n in nulls}
        given |= {name: str(given[name]) for name in operation.ids}
        return dispatch(operation, req.context.actor, given, dry_run)

    def rows(self, req, command: str, **arguments) -> tuple[list, int | None]:
        """One page of a list, and the id after which (or before which) the next one begins."""
        operation = BY_COMMAND[command]
        turn = "before" if "before" in operation.input["properties"] else "after"
        at = whole(req.params.get(turn))
        found = self.ask(req, command, limit=PAGE_ROWS + 1, **{turn: at}, **arguments)
        more = found[PAGE_ROWS - 1]["id"] if len(found) > PAGE_ROWS else None
        return found[:PAGE_ROWS], more

    def listed(self, req, command: str, *filters: str, **arguments) -> dict:
        """The context of a page with a list, filtered by the parameters of these names."""

        def find():
            return self.rows(req, command, **lists.asked(req, command, *filters), **arguments)

        return lists.shown(req, filters, find)

    def show(self, req, resp, template: str, status: int = 200, **context) -> None:
        """Answer with a page; the same again is 304 to who has it already."""
        text = render(template, req, self.settings, context)
        if _done(req):
            resp.unset_cookie(DONE, path=PREFIX)
        resp.set_header("Content-Security-Policy", POLICY)
        if req.method == "POST":  # what was typed is in it, maybe a secret
            never_kept(resp)
        else:
            resp.cache_control = ["private", "no-cache"]
            etag = hashlib.sha256(text.encode()).hexdigest()[:32]
            if status == 200 and not_modified(req, resp, etag):
                return
        resp.status, resp.text, resp.content_type = status, text, falcon.MEDIA_HTML

    def show_once(self, req, resp, template: str, **context) -> None:
        """Answer with a page that holds a secret: no cache keeps it."""
        self.show(req, resp, template, **context)
        never_kept(resp)


def not_modified(req, resp, etag: str) -> bool:
    """Whether the browser has it already; it is told so, and what it has now."""
    resp.etag = etag
    if etag not in (req.if_none_match or ()):
        return False
    resp.status = 304
    return True


def never_kept(resp) -> None:
    """Let no cache keep an answer that holds a secret."""
    resp.cache_control = ["no-store"]
    resp.delete_header("ETag")


def render(template: str, req, settings: Config, context: dict) -> str:
    actor = getattr(req.context, "actor", None)
    return (
        _environment()
        .get_template(template)
        .render(
            me=actor,
            path=req.path,
            done=words.DONE.get(_done(req)),
            paged=bool({"after", "before"} & req.params.keys()),
            simulated=settings.simulate,
            version=__version__,
            **context,
        )
    )


def show_error(req, resp, error: CaelusError, settings: Config) -> None:
    """A refusal as a page: its sentence, and where to go on."""
    _show_refusal(req, resp, settings, error.title, error.detail, isinstance(error, Unauthorized))


def show_problem(req, resp, title: str, detail: str, settings: Config) -> None:
    """The same for what Falcon refuses."""
    _show_refusal(req, resp, settings, title, detail, False)


def _show_refusal(req, resp, settings, title: str, detail: str, is_login: bool) -> None:
    said = detail.removeprefix(f"{req.method} ")  # a reader has asked for a page, not by a method
    context = {"title": title, "detail": said, "is_login": is_login}
    resp.content_type = falcon.MEDIA_HTML
    resp.set_header("Content-Security-Policy", POLICY)
    resp.text = render("error.html", req, settings, context)


def sent(req, file: str | None = None) -> list[tuple[str, str | bytes]]:
    """The fields of the form that was sent, in order. Raises CaelusError.

    Where `file` names a field, the form may come as multipart/form-data, too, and that field holds
    a file's content, which is bytes: empty where none was chosen.
    """
    if (req.content_length or 0) > jsontext.MAX_BYTES:
        raise TooLarge(f"the form is over {jsontext.MAX_BYTES} bytes")
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    text = req.bounded_stream.read()
    if file and kind == falcon.MEDIA_MULTIPART:
        return _parts(req.content_type, text, file)
    if text and kind != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("send the form as application/x-www-form-urlencoded")
    try:
        return urllib.parse.parse_qsl(
            _text(text), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except UnicodeDecodeError:
        raise Malformed(NO_TEXT) from None
    except ValueError:
        raise TooLarge(f"the form has over {MAX_FIELDS} fields") from None


def _parts(kind: str, text: bytes, file: str) -> list[tuple[str, str | bytes]]:
    try:
        form = MultipartFormHandler().deserialize(io.BytesIO(text), kind, len(text))
        found = [(part.name or "", part.filename, part.get_data()) for part in form]
    except (falcon.HTTPError, ValueError) as e:  # the latter of headers that are no text
        why = getattr(e, "description", None) or "its headers are broken"
        raise Malformed(f"the form can't be read: {why}") from None
    return [
        (name, content if name == file and filename is not None else _text(content))
        for name, filename, content in found
    ]


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Malformed(NO_TEXT) from None


def go(url: str, done: str | None = None):
    """End a POST: the browser goes on to `url`, which says what was `done`, once."""
    raise Done(url, done) if done else falcon.HTTPSeeOther(url)


class Done(falcon.HTTPSeeOther):
    def __init__(self, url: str, done: str):
        super().__init__(f"{url}?done={done}")
        self.done = done


def remember(req, resp, status: Done, params) -> None:
    """Answer what `go` has raised."""
    resp.status = status.status
    resp.set_header("Location", status.headers["location"])
    lasts = {"max_age": DONE_SECONDS, "path": PREFIX}
    resp.set_cookie(DONE, status.done, **lasts, secure=False, http_only=True, same_site="Lax")


def _done(req) -> str | None:
    """What the form before this page has done, for the first look at it: both the address, which
    may be kept or sent to others, and the cookie, which a part that polls would use up, say so."""
    said = req.params.get("done")
    is_new = isinstance(said, str) and said in (req.get_cookie_values(DONE) or ())
    return said if req.method == "GET" and is_new else None


def whole(text) -> int | None:
    """The number in a parameter, None where there is none that could be an id."""
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 19 else None


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=_templates(),
        auto_reload=False,  # an upgrade may put newer templates under an older program
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= words.FILTERS
    environment.filters["pretty"] = _pretty
    environment.globals["ui"] = PREFIX
    return environment


def _templates() -> jinja2.BaseLoader:
    packed = HERE / "templates.zip"  # in the one-file program, which unpacks itself at each start
    if not packed.exists():
        return jinja2.FileSystemLoader(HERE / "templates")
    with zipfile.ZipFile(packed) as files:
        return jinja2.DictLoader({name: files.read(name).decode() for name in files.namelist()})


def _pretty(document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
