"""The servers that this user talks to: what their URLs may be, and the tokens stored for them."""

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import urllib.parse

from caelus import config
from caelus.errors import ConfigError, UsageError
from caelus.naming import printable

TOKEN = re.compile(r"[!-~]{1,200}")  # as the server takes it
PORTS = {"http": 80, "https": 443}
FILE = "servers.json"  # {URL: {"token": TEXT, "plain_http": BOOL}}
PLAIN = (
    "{url} is plain http: a token could be read on the way. Use https, or a tunnel (ssh -L "
    "8000:localhost:8000 {host}), or allow it by: caelus login --plain-http {url}"
)


def checked(text: str) -> str:
    """The URL of a server in its one spelling. Raises UsageError."""
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError:
        parts = urllib.parse.urlsplit("")
    odd = parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in PORTS or not _is_host(parts.hostname or "") or odd:
        shown = printable(re.sub(r"//[^/@]*@", "//...@", text))
        raise UsageError(
            f"a server is named like https://caelus.example.org, without a path, not {shown!r}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown_port = "" if port in (None, PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}"


def _is_host(name: str) -> bool:
    return _address(name) is not None or re.fullmatch(r"[a-z0-9._-]{1,253}", name) is not None


def _address(name: str):
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name)


def host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname


def is_loopback(url: str) -> bool:
    """Whether what is sent there does not leave this machine."""
    address = _address(host(url))
    return host(url) == "localhost" if address is None else address.is_loopback


def refuse_plain(url: str, allowed: bool) -> None:
    """Raise ConfigError if a token sent there could be read on the way, unless that is allowed."""
    if url.startswith("http:") and not is_loopback(url) and not allowed:
        raise ConfigError(PLAIN.format(url=url, host=host(url)))


def token_of(url: str) -> str:
    """The token for a server, from the environment or as stored. Raises ConfigError."""
    stored = _read().get(url, {})
    token = config.token() or stored.get("token")
    if not token:
        raise ConfigError(f"no token for {url}; run: caelus login {url}, or set CAELUS_TOKEN")
    if not TOKEN.fullmatch(token):
        raise ConfigError("CAELUS_TOKEN must be a token of Caelus, one word of letters and digits")
    refuse_plain(url, stored.get("plain_http") is True)
    return token


def store(url: str, token: str, plain_http: bool) -> None:
    with _changing() as stored:
        stored[url] = {"token": token, "plain_http": plain_http}


def forget(url: str) -> bool:
    """Remove the token of a server; False where there is none."""
    if url not in _read():
        return False
    with _changing() as stored:
        return stored.pop(url, None) is not None


def _read() -> dict:
    path = config.config_dir() / FILE
    try:
        stored = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as e:
        raise ConfigError(f"cannot read {path}: {getattr(e, 'strerror', None) or e}") from None
    if isinstance(stored, dict) and all(isinstance(entry, dict) for entry in stored.values()):
        return stored
    raise ConfigError(f"{path} is not as `caelus login` writes it; remove it and log in again")


@contextlib.contextmanager
def _changing():
    """What is stored, to be changed in the block by one process at a time; the file is replaced."""
    folder = config.config_dir()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = os.open(folder, os.O_RDONLY)
    except OSError as e:
        raise ConfigError(f"cannot use {folder}: {e.strerror}") from None
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        os.fchmod(place, 0o700)
        stored = _read()
        yield stored
        _write(folder, json.dumps(stored, indent=2))
        os.fsync(place)
    except OSError as e:
        raise ConfigError(f"cannot write {folder / FILE}: {e.strerror}") from None
    finally:
        os.close(place)


def _write(folder, text: str) -> None:
    new = folder / f"{FILE}.new"
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / FILE)
