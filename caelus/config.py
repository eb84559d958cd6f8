"""The settings: where each comes from, its default, and what is wrong with a bad one."""

import binascii
import functools
import os
import pathlib
import re
from typing import NamedTuple  # a dataclass costs every start 5 ms

from caelus import isolation
from caelus.errors import ConfigError

K3S_KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
KEY_BYTES = 32
INGRESS_NAMESPACES = "kube-system,ingress-nginx,traefik"  # the first is where k3s has its traefik
# RFC 1918, carriers' NAT (RFC 6598), link-local with the clouds' metadata; the same of IPv6.
PRIVATE_RANGES = (
    "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,169.254.0.0/16,fc00::/7,fe80::/10"
)
LOG_LEVELS, LOG_FORMATS = ("DEBUG", "INFO", "WARNING", "ERROR"), ("text", "json")
WIDEST = {4: 8, 6: 16}  # the shortest prefix of a range of proxies; all take in less than two such
NO_AUTH_HEADERS = (  # their meaning is another
    "authorization cookie host origin sec-fetch-site content-type content-length forwarded "
    "x-forwarded-for x-forwarded-proto"
).split()

_OTHERS = ("DATABASE_URL",)  # settings of a common name
SETTINGS = {  # name: (default, meaning); the README's table is tested against this one
    "CAELUS_DATABASE_URL": (
        "`caelus.db` in the data directory",
        "`sqlite:////path/file.db` or `postgresql://user:password@host/name`; "
        "`DATABASE_URL` is read too",
    ),
    "CAELUS_DATA_DIR": (
        "`/var/lib/caelus` for root, else `~/.local/share/caelus`",
        "the database, the key of secrets, the charts kept by digest and helm's caches",
    ),
    "CAELUS_SECRET_KEY": (
        "`secret.key` in the data directory, made when it is needed",
        "32 bytes in base64 that encrypt secrets (`openssl rand -base64 32`); several with "
        "commas between: the first encrypts, all decrypt",
    ),
    "CAELUS_HOST": ("`127.0.0.1`", "address to listen on (`serve --host`)"),
    "CAELUS_PORT": ("`8000`", "port to listen on; 0 takes a free one (`serve --port`)"),
    "CAELUS_PUBLIC_URL": (
        "`http://HOST:PORT`",
        "where browsers find Caelus, such as `https://caelus.example.org`; "
        "login links begin with it",
    ),
    "CAELUS_ALLOWED_HOSTS": (
        "none",
        "more host names that requests may be for, with commas; `*.example.org` takes in all below",
    ),
    "CAELUS_AUTH_HEADER": (
        "none",
        "header with the user's e-mail that an authenticating proxy sets, "
        "such as `X-Auth-Request-Email`",
    ),
    "CAELUS_TRUSTED_PROXIES": (
        "none",
        "addresses or CIDR ranges of proxies, with commas; "
        "`X-Forwarded-For` and `-Proto` are believed from them alone",
    ),
    "CAELUS_AUTO_CREATE_USERS": ("`0`", "`1` makes a user of each new e-mail in that header"),
    "CAELUS_WORKERS": ("`2`", "reconciler threads; 0 serves the API alone (`serve --workers`)"),
    "CAELUS_SIMULATE": (
        "`0`",
        "`1` simulates the cluster, helm and kubectl (`serve --simulate`): `caelus help demo`",
    ),
    "CAELUS_HELM": ("`helm`", "the helm program, version 3 or 4"),
    "CAELUS_KUBECTL": ("`kubectl`", "the kubectl program"),
    "CAELUS_DRIFT_INTERVAL": (
        "`600`",
        "seconds between sweeps for releases and namespaces that somebody changed; 0 is never",
    ),
    "CAELUS_DRIFT_DEEP_INTERVAL": (
        "`21600`",
        "seconds within which every object is compared once, too; 0 is never",
    ),
    "CAELUS_POD_SECURITY": (
        "`baseline`",
        "Pod Security level of deployments' namespaces: `privileged`, `baseline` or `restricted`",
    ),
    "CAELUS_NETWORK": (
        "`isolated`",
        "what deployments reach and are reached by: `isolated` or `open`",
    ),
    "CAELUS_INGRESS_NAMESPACES": (
        f"`{INGRESS_NAMESPACES}`",
        "namespaces of what forwards requests to deployments",
    ),
    "CAELUS_PRIVATE_RANGES": (
        f"`{PRIVATE_RANGES}`",
        "networks that isolated deployments may not reach",
    ),
    "CAELUS_QUOTA": ("none", 'ResourceQuota of each deployment, as JSON: `{"memory": "4Gi"}`'),
    "CAELUS_LIMITS": (
        "none",
        'LimitRange of its containers: `{"default": {"memory": "512Mi"}}`',
    ),
    "CAELUS_BACKUP_DIR": (
        "none",
        "where to back the SQLite database up, by and by (`serve --backup-dir`)",
    ),
    "CAELUS_BACKUP_EVERY": (
        "`24h`",
        "how old the newest backup there may become: `30m`, `24h`, `7d` (`serve --every`)",
    ),
    "CAELUS_BACKUP_KEEP": ("`14`", "how many of them are kept (`serve --keep`)"),
    "CAELUS_LOG_LEVEL": ("`INFO`", "`DEBUG`, `INFO`, `WARNING` or `ERROR`"),
    "CAELUS_LOG_FORMAT": ("`text`", "`text`, or `json` for one object a line"),
    "CAELUS_METRICS_READERS": (
        "none",
        "addresses or CIDR ranges, with commas, that read `/metrics` without a token",
    ),
    "CAELUS_SERVER": (
        "this machine's database",
        "URL of the Caelus that operations are asked of (`caelus --server`)",
    ),
    "CAELUS_TOKEN": ("what `caelus login` stored", "token for that server"),
    "KUBECONFIG": (
        f"`{K3S_KUBECONFIG}` if readable, else kubectl's own",
        "which cluster, as kubectl reads it",
    ),
    "NO_COLOR": ("unset", "no colours in the log on a terminal"),
}


class Config(NamedTuple):
    database_url: str
    data_dir: pathlib.Path
    host: str
    port: int
    workers: int
    drift_interval: int  # seconds, as the next
    drift_deep_interval: int
    helm: str
    kubectl: str
    kubeconfig: str | None
    isolation: dict  # of templates that say nothing else; all keys that `isolation` knows
    ingress_namespaces: tuple[str, ...]
    private_ranges: tuple[str, ...]
    log_level: str
    log_format: str
    metrics_readers: tuple  # of ipaddress networks
    public_url: str | None
    allowed_hosts: tuple[str, ...]
    auth_header: str | None
    trusted_proxies: tuple  # of ipaddress networks
    auto_create_users: bool
    backup_dir: pathlib.Path | None
    backup_every: int  # seconds
    backup_keep: int
    warnings: tuple[str, ...]
    simulate: bool  # there is no cluster: helm and kubectl are stood in for
    simulated_cluster: pathlib.Path  # the file of it

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")

    @property
    def base_url(self) -> str:
        """Where browsers find Caelus, without a slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        shown = f"[{host}]" if ":" in host else host
        return self.public_url or f"http://{shown}:{self.port}"

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach it, and nothing says that https is in front."""
        import ipaddress  # costs every start some ms

        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            loopback = self.host.lower() == "localhost"
        return not (loopback or self.trusted_proxies or self.base_url.startswith("https:"))


def load(environ=os.environ, **flags: str | None) -> Config:
    """Read the settings; `flags` (host, port, workers, backup_dir...) win over the environment.

    Raises ConfigError for a value that can't be used.
    """

    def setting(name: str, default: str) -> str:
        flag = flags.get(name.lower())
        return flag if flag is not None else environ.get(f"CAELUS_{name}") or default

    def seconds(name: str, default: str) -> int:
        return _whole_number(f"CAELUS_{name}", setting(name, default), 365 * 86_400)

    secret_keys(environ)  # what is wrong with one is told at the start
    simulate = _whole_number("CAELUS_SIMULATE", setting("SIMULATE", "0"), 1) == 1
    return Config(
        database_url=database_url(environ),
        data_dir=data_dir(environ),
        host=setting("HOST", "127.0.0.1"),
        port=_whole_number("port", setting("PORT", "8000"), 65535),
        workers=_whole_number("workers", setting("WORKERS", "2"), 64),
        drift_interval=seconds("DRIFT_INTERVAL", "600"),
        drift_deep_interval=seconds("DRIFT_DEEP_INTERVAL", "21600"),
        helm="simulated helm" if simulate else setting("HELM", "helm"),
        kubectl="simulated kubectl" if simulate else setting("KUBECTL", "kubectl"),
        kubeconfig=environ.get("KUBECONFIG") or _k3s_kubeconfig(),
        isolation=_isolation(setting),
        ingress_namespaces=_names(setting("INGRESS_NAMESPACES", INGRESS_NAMESPACES)),
        private_ranges=_ranges(setting("PRIVATE_RANGES", PRIVATE_RANGES)),
        log_level=_choice("CAELUS_LOG_LEVEL", setting("LOG_LEVEL", "INFO").upper(), LOG_LEVELS),
        log_format=_choice("CAELUS_LOG_FORMAT", setting("LOG_FORMAT", "text"), LOG_FORMATS),
        metrics_readers=tuple(_networks("CAELUS_METRICS_READERS", setting("METRICS_READERS", ""))),
        public_url=_public_url(setting("PUBLIC_URL", "")),
        allowed_hosts=tuple(_host_names(setting("ALLOWED_HOSTS", ""))),
        auth_header=_auth_header(setting("AUTH_HEADER", ""), setting("TRUSTED_PROXIES", "")),
        trusted_proxies=tuple(_proxies(setting("TRUSTED_PROXIES", ""))),
        auto_create_users=_whole_number(
            "CAELUS_AUTO_CREATE_USERS", setting("AUTO_CREATE_USERS", "0"), 1
        )
        == 1,
        backup_dir=_directory(setting("BACKUP_DIR", "")),
        backup_every=_seconds("CAELUS_BACKUP_EVERY", setting("BACKUP_EVERY", "24h")),
        backup_keep=_some("CAELUS_BACKUP_KEEP", setting("BACKUP_KEEP", "14"), 10_000),
        warnings=tuple(_unknown(environ)),
        simulate=simulate,
        simulated_cluster=data_dir(environ) / "simulated" / "cluster.db",
    )


def assume(environ=os.environ, **settings: str) -> None:
    """Make this process and its programs find `settings`, as if they had been given to it."""
    environ.update(settings)


def is_set(name: str, environ=os.environ) -> bool:
    return bool(environ.get(name))


def begin_anew(environ=os.environ, **settings: str) -> None:
    """Make `settings` the only ones of this process, but for how it logs.

    For a demo, which has nothing to do with the Caelus that the environment is about.
    """
    kept = ("CAELUS_LOG_LEVEL", "CAELUS_LOG_FORMAT", "NO_COLOR")
    for name in [n for n in environ if n.startswith("CAELUS_") or n in SETTINGS or n in _OTHERS]:
        if name not in kept:
            del environ[name]
    assume(environ, **settings)


def own_hosts(environ=os.environ) -> frozenset[str]:
    """The names by which browsers find Caelus itself, and no app of a deployment may be found."""
    names = ("CAELUS_HOST", "CAELUS_PORT", "CAELUS_PUBLIC_URL", "CAELUS_ALLOWED_HOSTS")
    return _own_hosts(tuple((name, environ.get(name, "")) for name in names))


@functools.lru_cache(maxsize=8)
def _own_hosts(said: tuple[tuple[str, str], ...]) -> frozenset[str]:
    from urllib.parse import urlsplit  # most commands have no need of it

    settings = load({"CAELUS_DATA_DIR": "/", **dict(said)})
    return frozenset(("localhost", urlsplit(settings.base_url).hostname, *settings.allowed_hosts))


def database_url(environ=os.environ) -> str:
    url = environ.get("CAELUS_DATABASE_URL") or environ.get("DATABASE_URL")
    return url or f"sqlite:///{data_dir(environ) / 'caelus.db'}"


def secret_keys(environ=os.environ) -> list[bytes]:
    """The keys of CAELUS_SECRET_KEY, none where it is not set."""
    try:
        return keys_in(environ.get("CAELUS_SECRET_KEY") or "")
    except ValueError:
        raise ConfigError(
            "CAELUS_SECRET_KEY must be 32 bytes in base64, or several of that with commas between; "
            "make one with: openssl rand -base64 32"
        ) from None


def keys_in(text: str) -> list[bytes]:
    """The keys in `text`, with commas or white space between. Raises ValueError."""
    keys = [binascii.a2b_base64(word, strict_mode=True) for word in text.replace(",", " ").split()]
    if any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("a key of another length")
    return keys


def notify_socket(environ=os.environ) -> str:
    """Where a service manager listens (sd_notify(3)); empty where none does."""
    return environ.get("NOTIFY_SOCKET", "")


def watchdog_seconds(environ=os.environ) -> float:
    """How long the service manager waits to hear from Caelus; 0 where it does not."""
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() else 0


def no_color(environ=os.environ) -> bool:
    return bool(environ.get("NO_COLOR")) or environ.get("CAELUS_LOG_FORMAT") == "json"


def data_dir(environ=os.environ) -> pathlib.Path:
    chosen = environ.get("CAELUS_DATA_DIR") or _default_data_dir(environ)
    return pathlib.Path(os.path.abspath(chosen))


def config_dir(environ=os.environ) -> pathlib.Path:
    """Where this user keeps what is theirs alone, such as the tokens of servers."""
    home = environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config"
    return pathlib.Path(home) / "caelus"


def server(environ=os.environ) -> str:
    return environ.get("CAELUS_SERVER") or ""


def token(environ=os.environ) -> str:
    return environ.get("CAELUS_TOKEN") or ""


def _default_data_dir(environ) -> str:
    if os.geteuid() == 0:
        return "/var/lib/caelus"
    home = environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local" / "share"
    return str(pathlib.Path(home) / "caelus")


def _k3s_kubeconfig() -> str | None:
    return K3S_KUBECONFIG if os.access(K3S_KUBECONFIG, os.R_OK) else None


def _whole_number(name: str, text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most:
        return int(text)
    raise ConfigError(f"{name} must be a whole number from 0 to {most}, not {text!r}")


def _some(name: str, text: str, most: int) -> int:
    count = _whole_number(name, text, most)
    if count == 0:
        raise ConfigError(f"{name} must be 1 at least")
    return count


def _seconds(name: str, text: str) -> int:
    """The length of time in `text`, as `24h`."""
    found = re.fullmatch("([1-9][0-9]{0,4})([mhd])", text)
    if found is None:
        raise ConfigError(f"{name} must be a time such as 30m, 24h or 7d, not {text[:100]!r}")
    return int(found[1]) * {"m": 60, "h": 3600, "d": 86_400}[found[2]]


def _directory(text: str) -> pathlib.Path | None:
    return pathlib.Path(os.path.abspath(text)) if text else None


def _isolation(setting) -> dict:
    said = {
        "pod_security": setting("POD_SECURITY", "baseline"),
        "network": setting("NETWORK", "isolated"),
        "quota": _object("CAELUS_QUOTA", setting("QUOTA", "")),
        "limits": _object("CAELUS_LIMITS", setting("LIMITS", "")),
    }
    if wrong := isolation.problem(said):
        key, *path = wrong.path
        place = "".join(f"/{part}" for part in path)
        raise ConfigError(f"CAELUS_{key.upper()}{place and ': '}{place} {wrong.text}")
    return said


def _object(name: str, text: str):
    if not text:
        return {}
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{name} must be a JSON object, not {text[:100]!r}") from None


def _names(text: str) -> tuple[str, ...]:
    if not _listed(text):
        raise ConfigError("CAELUS_INGRESS_NAMESPACES must name one namespace at least")
    for name in _listed(text):
        if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            raise ConfigError(f"CAELUS_INGRESS_NAMESPACES: {name[:100]!r} can't name a namespace")
    return _listed(text)


def _ranges(text: str) -> tuple[str, ...]:
    if text == PRIVATE_RANGES:
        return _listed(text)
    import ipaddress  # costs every start some ms

    try:
        return tuple(str(ipaddress.ip_network(part)) for part in _listed(text))
    except ValueError as e:
        raise ConfigError(f"CAELUS_PRIVATE_RANGES: {e}") from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\s]+", text) if part)


def _choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text in choices:
        return text
    raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {text!r}")


def _public_url(text: str) -> str | None:
    if not text:
        return None
    if re.fullmatch(r"https?://[^/?#@\s]+/?", text):
        return text.rstrip("/")
    raise ConfigError(
        f"CAELUS_PUBLIC_URL must be like https://caelus.example.org, without a path, not {text!r}"
    )


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _host_names(text: str):
    for name in _items(text):
        if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", name):
            raise ConfigError(
                f"CAELUS_ALLOWED_HOSTS must name hosts without port, not {name!r}; "
                "such as caelus.example.org or *.example.org"
            )
        yield name.lower()


def _auth_header(name: str, proxies: str) -> str | None:
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


def _networks(name: str, text: str):
    if not _items(text):
        return
    import ipaddress  # most commands have no need of it

    for item in _items(text):
        try:
            yield _unmapped(ipaddress.ip_network(item))
        except ValueError as e:
            raise ConfigError(f"{name}: {e}") from None


def _proxies(text: str):
    if not _items(text):
        return
    import ipaddress

    networks = {4: [], 6: []}
    for network in _networks("CAELUS_TRUSTED_PROXIES", text):
        networks[network.version].append(network)
    for version, widest in WIDEST.items():
        merged = list(ipaddress.collapse_addresses(networks[version]))
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


def _unknown(environ):
    for name in sorted(environ):
        known = name in SETTINGS or name.startswith("CAELUS_TEST_")
        if name.startswith("CAELUS_") and not known:
            import difflib

            near = difflib.get_close_matches(name, SETTINGS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"unknown setting {name} is ignored{hint}"
