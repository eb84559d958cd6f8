"""Who is at the other end of a connection: a client, or a proxy that speaks for one."""

import functools
import ipaddress
import re
from typing import NamedTuple

import falcon

from caelus.config import Config

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5}")
KNOWN = 256  # addresses that are kept as read


class Peer(NamedTuple):
    address: str  # the client's, as far as it is known
    scheme: str  # http or https, as the client sees it
    is_proxy: bool  # a trusted one: its headers are believed
    is_relaying: bool = False  # some proxy of which is not known for whom it speaks


def of(req: falcon.Request, settings: Config) -> Peer:
    """The peer of this request; headers that only a trusted proxy may send are gone afterwards."""
    direct = _address(req.env.get("REMOTE_ADDR"))
    if not _is_trusted(direct, settings):
        is_relaying = any(key in req.env for key in FORWARDED)
        _strip(req, settings)
        return Peer(str(direct or "unknown"), req.scheme, False, is_relaying)
    scheme = (req.get_header("X-Forwarded-Proto") or "").strip().lower()
    if scheme not in ("http", "https"):
        scheme = req.scheme
    client = _client(req, direct, settings)
    return Peer(str(client), scheme, True, _is_trusted(client, settings))


def is_among(peer: Peer, networks: tuple) -> bool:
    """Whether it is the client itself that has an address in one of these networks."""
    address = _address(peer.address)
    if address is None or peer.is_relaying:
        return False
    return any(address in network for network in networks)


def _client(req: falcon.Request, direct, settings: Config):
    """The last address in X-Forwarded-For that no trusted proxy has: before it anybody may lie."""
    for text in reversed((req.get_header("X-Forwarded-For") or "").split(",")):
        address = _address(_without_port(text.strip()))
        if address is None:
            return direct
        if not _is_trusted(address, settings):
            return address
        direct = address
    return direct


def _without_port(text: str) -> str:
    """Some proxies write `192.0.2.1:5678`, or `[2001:db8::1]:5678`."""
    found = _WITH_PORT.fullmatch(text)
    return (found[1] or found[2] or "") if found else text


def _is_trusted(address, settings: Config) -> bool:
    return address is not None and any(address in net for net in settings.trusted_proxies)


@functools.lru_cache(KNOWN)
def _address(text: str | None):
    """The IP address in `text`, an IPv4 one inside IPv6 as itself; None where there is none."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _strip(req: falcon.Request, settings: Config) -> None:
    for key in FORWARDED:
        req.env.pop(key, None)
    if settings.auth_header:
        req.env.pop(_key(settings.auth_header), None)


def _key(header: str) -> str:
    """Under what WSGI has a header."""
    return "HTTP_" + header.upper().replace("-", "_")


FORWARDED = tuple(
    map(_key, ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"))
)
