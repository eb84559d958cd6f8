"""The settings as they are: where each comes from, and its default."""

import functools
import os
import pathlib
from typing import NamedTuple  # a dataclass costs every start 5 ms

from caelus import isolation, parsing
from caelus.errors import ConfigError
from caelus.settings import INGRESS_NAMESPACES, K3S_KUBECONFIG, OTHERS, PRIVATE_RANGES, SETTINGS


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
        return parsing.whole_number(f"CAELUS_{name}", setting(name, default), 365 * 86_400)

    secret_keys(environ)  # what is wrong with one is told at the start
    simulate = parsing.flag("CAELUS_SIMULATE", setting("SIMULATE", "0"))
    return Config(
        database_url=database_url(environ),
        data_dir=data_dir(environ),
        host=setting("HOST", "127.0.0.1"),
        port=parsing.whole_number("port", setting("PORT", "8000"), 65535),
        workers=parsing.whole_number("workers", setting("WORKERS", "2"), 64),
        drift_interval=seconds("DRIFT_INTERVAL", "600"),
        drift_deep_interval=seconds("DRIFT_DEEP_INTERVAL", "21600"),
        helm="simulated helm" if simulate else setting("HELM", "helm"),
        kubectl="simulated kubectl" if simulate else setting("KUBECTL", "kubectl"),
        kubeconfig=environ.get("KUBECONFIG") or _k3s_kubeconfig(),
        isolation=_isolation(setting),
        ingress_namespaces=parsing.namespaces(setting("INGRESS_NAMESPACES", INGRESS_NAMESPACES)),
        private_ranges=parsing.ranges(setting("PRIVATE_RANGES", PRIVATE_RANGES)),
        log_level=parsing.choice(
            "CAELUS_LOG_LEVEL", setting("LOG_LEVEL", "INFO").upper(), parsing.LOG_LEVELS
        ),
        log_format=parsing.choice(
            "CAELUS_LOG_FORMAT", setting("LOG_FORMAT", "text"), parsing.LOG_FORMATS
        ),
        metrics_readers=tuple(
            parsing.networks("CAELUS_METRICS_READERS", setting("METRICS_READERS", ""))
        ),
        public_url=parsing.public_url(setting("PUBLIC_URL", "")),
        allowed_hosts=tuple(parsing.host_names(setting("ALLOWED_HOSTS", ""))),
        auth_header=parsing.auth_header(setting("AUTH_HEADER", ""), setting("TRUSTED_PROXIES", "")),
        trusted_proxies=tuple(parsing.proxies(setting("TRUSTED_PROXIES", ""))),
        auto_create_users=parsing.flag(
            "CAELUS_AUTO_CREATE_USERS", setting("AUTO_CREATE_USERS", "0")
        ),
        backup_dir=parsing.directory(setting("BACKUP_DIR", "")),
        backup_every=parsing.seconds("CAELUS_BACKUP_EVERY", setting("BACKUP_EVERY", "24h")),
        backup_keep=parsing.some("CAELUS_BACKUP_KEEP", setting("BACKUP_KEEP", "14"), 10_000),
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
    for name in [n for n in environ if n.startswith("CAELUS_") or n in SETTINGS or n in OTHERS]:
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
        return parsing.keys_in(environ.get("CAELUS_SECRET_KEY") or "")
    except ValueError:
        raise ConfigError(
            "CAELUS_SECRET_KEY must be 32 bytes in base64, or several of that with commas between; "
            "make one with: openssl rand -base64 32"
        ) from None


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


def _isolation(setting) -> dict:
    said = {
        "pod_security": setting("POD_SECURITY", "baseline"),
        "network": setting("NETWORK", "isolated"),
        "quota": parsing.json_object("CAELUS_QUOTA", setting("QUOTA", "")),
        "limits": parsing.json_object("CAELUS_LIMITS", setting("LIMITS", "")),
    }
    if wrong := isolation.problem(said):
        key, *path = wrong.path
        place = "".join(f"/{part}" for part in path)
        raise ConfigError(f"CAELUS_{key.upper()}{place and ': '}{place} {wrong.text}")
    return said


def _unknown(environ):
    for name in sorted(environ):
        known = name in SETTINGS or name.startswith("CAELUS_TEST_")
        if name.startswith("CAELUS_") and not known:
            import difflib

            near = difflib.get_close_matches(name, SETTINGS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"unknown setting {name} is ignored{hint}"
