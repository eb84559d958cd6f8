"""What holds for every request and every answer, before and after the resource that is asked for:
which host, from which page, by whom, and what browsers are told.
"""

import functools
import ipaddress
import json
import logging
import re

from caelus import events, login_pages, metrics, peers, tracing
from caelus.arrivals import Arrivals
from caelus.config import Config
from caelus.errors import BadCredentials, CaelusError, Forbidden, TooMany, Unseen
from caelus.identity import identify
from caelus.naming import printable
from caelus.refusals import Refusals
from caelus.web import pages, routes

log = logging.getLogger("caelus.guard")
PROBLEM = "application/problem+json"
ASSETS = ("/docs/assets/swagger_bundle.js", "/docs/assets/swagger_style.css")
OPEN = ("/", "/healthz", "/readyz", "/docs", "/docs/start.js", *ASSETS, "/logout")  # to everybody
PROBES = ("/healthz", "/readyz")  # a kubelet asks by address
SAFE = ("GET", "HEAD", "OPTIONS")
HOSTS = 64  # that are known to be allowed or not; each may be as long as a header
PORT = re.compile(r":\d*$")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers then hide the Origin of forms, too.
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


SIMULATED = "Caelus-Simulated"


class Guard:
    def __init__(self, settings: Config):
        self._settings = settings
        self._headers = headers(settings)
        self._refusals = Refusals()
        self._arrivals = Arrivals()
        own = functools.partial(_is_own_host, tuple(_allowed_hosts(settings)))
        self._is_own_host = functools.lru_cache(HOSTS)(own)

    def process_request(self, req, resp):
        req.context.actor = None
        peer = req.context.peer
        if req.path not in PROBES:
            self._refusals.settle()
            self._check_host(req)
        proven = _is_own_page(req, peer)
        if not (is_open(req.path) or self._is_reader(req, peer)):
            req.context.actor = identify(req, peer, self._settings, self._arrivals)
        if not proven and req.get_header("Authorization") is None:
            raise Forbidden("a change by a browser must say that it comes from Caelus' own page")

    def _is_reader(self, req, peer: peers.Peer) -> bool:
        """Whether the figures may be read from there by nobody in particular."""
        return req.path == metrics.PATH and peers.is_among(peer, self._settings.metrics_readers)

    def process_response(self, req, resp, resource, req_succeeded):
        for name, value in self._headers.items():
            if resp.get_header(name) is None:
                resp.set_header(name, value)
        if resp.cache_control is None:
            resp.set_header("Cache-Control", "no-store")

    def refuse(self, req, resp, error: CaelusError, params) -> None:
        """Answer an error; what was not for who asked, and bad credentials, are on record."""
        if isinstance(error, BadCredentials | Forbidden | Unseen):
            error = self._noted(req, error)
        if error.status >= 500:
            log.warning("%s %s: %s", req.method, shown_path(req), error.detail)
        resp.status = error.status
        for name, value in error.headers.items():
            resp.set_header(name, value)
        if req.path.startswith(login_pages.PREFIX):
            login_pages.show_error(req, resp, error, self._settings)
        elif is_page(req.path):
            pages.show_error(req, resp, error, self._settings)
        else:
            resp.content_type = PROBLEM
            trace = {"request_id": tracing.present().request_id} if error.status >= 500 else {}
            resp.text = json.dumps(error.document() | trace, ensure_ascii=False)

    def _noted(self, req, error: CaelusError) -> CaelusError:
        actor = req.context.actor
        author = events.Author("nobody", address=req.context.peer.address)
        if actor is not None:
            author = events.Author(str(actor), actor.token, actor.address)
        many = self._refusals.note(author, f"{req.method} {shown_path(req)}: {error.detail}")
        if many and isinstance(error, BadCredentials):
            return TooMany("too many failed attempts from this address; try again in a minute")
        return error

    def _check_host(self, req) -> None:
        host = req.get_header("Host", default="localhost")
        if not self._is_own_host(host):
            # A name that was made to point here: its pages would be of the same origin.
            raise Forbidden(
                f"requests to the host {printable(host)} are refused; "
                "use localhost, or name it in CAELUS_ALLOWED_HOSTS"
            )


def headers(settings: Config) -> dict[str, str]:
    """What every answer says, if it says nothing else there."""
    return HEADERS | ({SIMULATED: "true"} if settings.simulate else {})


def is_open(path: str) -> bool:
    """Whether nobody need say who they are to get what is at `path`."""
    return path in OPEN or path.startswith(login_pages.PREFIX) or routes.is_open(path)


def is_page(path: str) -> bool:
    """Whether a person in a browser is answered, with HTML."""
    return path == pages.PREFIX or path.startswith(f"{pages.PREFIX}/")


def shown_path(req) -> str:
    """The path without what is secret in it."""
    is_login = req.path.startswith(login_pages.PREFIX)
    return f"{login_pages.PREFIX}..." if is_login else printable(req.path)


def _is_own_page(req, peer: peers.Peer) -> bool:
    """Whether the browser says so of the page that asks; False where it says nothing.

    Raises Forbidden for a change that a page of another site asks for.
    """
    if req.method in SAFE:
        return True
    site, origin = req.get_header("Sec-Fetch-Site"), req.get_header("Origin")
    if site in ("same-origin", "none"):
        return True
    if site is None and origin in (None, f"{peer.scheme}://{req.get_header('Host')}"):
        return origin is not None
    raise Forbidden(f"requests from pages of {printable(origin or 'another site')} are refused")


def _allowed_hosts(settings: Config):
    yield from ("localhost", "loopback", settings.host.lower(), *settings.allowed_hosts)
    yield PORT.sub("", settings.base_url.partition("://")[2]).lower()
    if settings.host in ("0.0.0.0", "::"):
        yield "address"


def _is_own_host(allowed: tuple[str, ...], host: str) -> bool:
    name = PORT.sub("", host).lower()
    return any(_fits(name, one) for one in allowed)


def _fits(name: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return name.endswith(allowed[1:])
    if allowed in ("loopback", "address"):
        address = _address(name)
        # No site can make its own name of an address: there is nothing to rebind.
        return address is not None and (allowed == "address" or address.is_loopback)
    return name.strip("[]") == allowed.strip("[]")


def _address(name: str):
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
