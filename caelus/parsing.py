"""What the text of each setting means. All raise ConfigError for one that can't be used."""

import binascii
import os
import pathlib
import re

from caelus.errors import ConfigError
from caelus.settings import PRIVATE_RANGES

KEY_BYTES = 32
LOG_LEVELS, LOG_FORMATS = ("DEBUG", "INFO", "WARNING", "ERROR"), ("text", "json")
WIDEST = {4: 8, 6: 16}  # the shortest prefix of a range of proxies; all take in less than two such
NO_AUTH_HEADERS = (  # their meaning is another
    "authorization cookie host origin sec-fetch-site content-type content-length forwarded "
    "x-forwarded-for x-forwarded-proto"
).split()


def keys_in(text: str) -> list[bytes]:
    """The keys in `text`, with commas or white space between. Raises ValueError."""
    keys = [binascii.a2b_base64(word, strict_mode=True) for word in text.replace(",", " ").split()]
    if any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("a key of another length")
    return keys


def whole_number(name: str, text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most:
        return int(text)
    raise ConfigError(f"{name} must be a whole number from 0 to {most}, not {text!r}")


def flag(name: str, text: str) -> bool:
    return whole_number(name, text, 1) == 1


def some(name: str, text: str, most: int) -> int:
    count = whole_number(name, text, most)
    if count == 0:
        raise ConfigError(f"{name} must be 1 at least")
    return count


def seconds(name: str, text: str) -> int:
    """The length of time in `text`, as `24h`."""
    found = re.fullmatch("([1-9][0-9]{0,4})([mhd])", text)
    if found is None:
        raise ConfigError(f"{name} must be a time such as 30m, 24h or 7d, not {text[:100]!r}")
    return int(found[1]) * {"m": 60, "h": 3600, "d": 86_400}[found[2]]


def directory(text: str) -> pathlib.Path | None:
    return pathlib.Path(os.path.abspath(text)) if text else None


def json_object(name: str, text: str):
    if not text:
        return {}
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{name} must be a JSON object, not {text[:100]!r}") from None


def namespaces(text: str) -> tuple[str, ...]:
    if not _listed(text):
        raise ConfigError("CAELUS_INGRESS_NAMESPACES must name one namespace at least")
    for name in _listed(text):
        if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            raise ConfigError(f"CAELUS_INGRESS_NAMESPACES: {name[:100]!r} can't name a namespace")
    return _listed(text)


def ranges(text: str) -> tuple[str, ...]:
    if text == PRIVATE_RANGES:
        return _listed(text)
    import ipaddress  # costs every start some ms

    try:
        return tuple(str(ipaddress.ip_network(part)) for part in _listed(text))
    except ValueError as e:
        raise ConfigError(f"CAELUS_PRIVATE_RANGES: {e}") from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\s]+", text) if part)


def choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text in choices:
        return text
    raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {text!r}")


def public_url(text: str) -> str | None:
    if not text:
        return None
    if re.fullmatch(r"https?://[^/?#@\s]+/?", text):
        return text.rstrip("/")
    raise ConfigError(
        f"CAELUS_PUBLIC_URL must be like https://caelus.example.org, without a path, not {text!r}"
    )


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def host_names(text: str):
    for name in _items(text):
        if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", name):
            raise ConfigError(
                f"CAELUS_ALLOWED_HOSTS must name hosts without port, not {name!r}; "
                "such as caelus.example.org or *.example.org"
            )
        yield name.lower()


def auth_header(name: str, proxies: str) -> str | None:
    if not name:
        return None
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) or name.lower() in NO_AUTH_HEADERS:
        raise ConfigError(f"CAELUS_AUTH_HEADER can't be {name!r}; use one such as Remote-Email")
    if not _items(proxies):
        raise ConfigError(
            f"CAELUS_AUTH_HEADER is {name}, but CAELUS_TRUSTED_PROXIES names nobody "
            "to believe it of"
        )
    return name


def networks(name: str, text: str):
    if not _items(text):
        return
    import ipaddress  # most commands have no need of it

    for item in _items(text):
        try:
            yield _unmapped(ipaddress.ip_network(item))
        except ValueError as e:
            raise ConfigError(f"{name}: {e}") from None


def proxies(text: str):
    if not _items(text):
        return
    import ipaddress

    found = {4: [], 6: []}
    for network in networks("CAELUS_TRUSTED_PROXIES", text):
        found[network.version].append(network)
    for version, widest in WIDEST.items():
        merged = list(ipaddress.collapse_addresses(found[version]))
        for network in merged:
            if network.prefixlen < widest:
                raise _too_wide(str(network))
        if sum(2.0 ** (widest - network.prefixlen) for network in merged) >= 2:
            raise _too_wide("all of it together")
        yield from merged


def _unmapped(network):
    """A network of IPv4 addresses inside IPv6 as what it is."""
    import ipaddress

    first = getattr(network.network_address, "ipv4_mapped", None)
    if first is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((first, network.prefixlen - 96))


def _too_wide(what: str) -> ConfigError:
    return ConfigError(
        f"CAELUS_TRUSTED_PROXIES: {what} takes in too much of the internet; "
        "name the proxies' own addresses"
    )
