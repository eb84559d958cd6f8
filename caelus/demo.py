"""What a demo shows: sample products, users and deployments, and what befalls them.

All of it by the operations of the table, as anybody would, and by accidents in the simulated
cluster, as somebody else would. The states arise by the reconciler alone.
"""

import itertools
import logging
import sqlite3
import threading

from caelus import actors, demo_icons, simulated_helm, simulated_pods
from caelus.config import Config
from caelus.database import session
from caelus.dispatch import dispatch
from caelus.errors import CaelusError
from caelus.fence import NAME
from caelus.models import READY, Deployment, Product, User
from caelus.operations import BY_COMMAND
from caelus.simulated_cluster import Cluster, changing

log = logging.getLogger("caelus.demo")
USERS = ("ada@example.org", "bob@example.org", "eve@example.org")  # the first is the admin
ACCIDENT_SECONDS = 30
LOOK_SECONDS = 0.5
PASSWORD = {"type": "string", "writeOnly": True, "generate": {"length": 24}}
BINDINGS = {
    "/ingress/host": "${domainname}",
    "/mail": "${user.email}",
    "/replicaCount": "${values.user.replicas}",
}
REPLICAS = {
    "type": "integer",
    "title": "Replicas",
    "description": "How many pods share the work.",
    "minimum": 1,
    "maximum": 3,
    "default": 1,
}
PRODUCTS = (
    (
        "Nextcloud",
        "Files, calendars and contacts, shared with whom you like",
        ("30.0.4", "31.0.1"),
        {
            "replicas": REPLICAS,
            "storage": {
                "type": "string",
                "title": "Storage",
                "description": "Room for files.",
                "enum": ["10Gi", "50Gi", "200Gi"],
                "default": "10Gi",
            },
            "language": {
                "type": "string",
                "title": "Language",
                "enum": ["de", "en", "es", "fr"],
                "default": "en",
            },
        },
    ),
    (
        "Vaultwarden",
        "Passwords of a whole family, in one place",
        ("1.32.7",),
        {
            "signups": {
                "type": "boolean",
                "title": "Open for new accounts",
                "description": "Whether anybody who finds the page may create an account.",
                "default": False,
            },
            "admin_token": PASSWORD | {"title": "Admin token"},
        },
    ),
    (
        "Gitea",
        "Git repositories, issues and reviews",
        ("1.22.6", "1.23.0-missing"),
        {
            "name": {
                "type": "string",
                "title": "Name of the site",
                "maxLength": 60,
                "default": "Gitea",
            },
            "private": {"type": "boolean", "title": "Only for who is logged in", "default": True},
        },
    ),
)
# User, template, domain, what the user chose. Templates are numbered as they are made above.
OLD, NEW, VAULT, GITEA, BROKEN_GITEA = range(1, 6)
DEPLOYMENTS = (
    (1, NEW, "cloud.ada.example.org", {"storage": "50Gi", "replicas": 2}),
    (2, OLD, "files.bob.example.org", {"language": "fr"}),
    (3, VAULT, "vault.eve.example.org", {"signups": False}),
    (2, VAULT, "crash.bob.example.org", {"signups": True}),
    (3, GITEA, "git.eve.example.org", {"name": "Eve's code"}),
    (1, GITEA, "missing.ada.example.org", {}),
    (2, GITEA, "slow.bob.example.org", {"private": False}),
    (3, NEW, "stuck.eve.example.org", {"storage": "10Gi"}),
)
UPGRADED, DELETED = 5, 8  # which of them are changed once they are ready


def make() -> None:
    """Make the samples, unless the database has something in it already."""
    with session():
        if User.select().exists() or Product.select().exists():
            return
    for number, email in enumerate(USERS):
        _do("create-user", email=email, is_admin=number == 0)
    for number, product in enumerate(PRODUCTS, 1):
        _publish(number, *product)
    for user, template, domain, chosen in DEPLOYMENTS:
        _do(
            "create-deployment",
            user_id=str(user),
            desired_template_id=template,
            domainname=domain,
            user_values_json=chosen,
        )


def known_users() -> list[int]:
    """The ids of an admin and of a plain user, of those that there are."""
    alive = User.select().where(User.deleted_at.is_null()).order_by(User.id)
    admins, others = ([u.id for u in alive if u.is_admin == flag] for flag in (True, False))
    return [*admins[:1], *others[:1]]


def _publish(number: int, name: str, description: str, versions: tuple, fields: dict) -> None:
    icon = demo_icons.of(name)
    _do("create-product", name=name, description=description, icon=icon)
    for version in versions:
        made = _do(
            "create-template",
            product_id=str(number),
            chart_ref=f"oci://registry.example.org/charts/{name.lower()}",
            chart_version=version.removesuffix("-missing"),
            version_label=version.removesuffix("-missing"),
            default_values_json=_defaults(name, version),
            values_schema_json=_schema(fields),
            capabilities_json={"bindings": _bindings(fields)},
        )
    _do("update-product", product_id=str(number), template_id=made["id"])


def _defaults(name: str, version: str) -> dict:
    """`missing` in a tag has the simulated cluster not find the image."""
    image = {"repository": f"registry.example.org/{name.lower()}", "tag": version}
    return {"image": image, "replicaCount": 1, "database": {}}


def _schema(fields: dict) -> dict:
    user = {"type": "object", "properties": fields, "additionalProperties": False}
    database = {"type": "object", "properties": {"password": PASSWORD}}
    return {"type": "object", "properties": {"user": user, "database": database}}


def _bindings(fields: dict) -> dict:
    return {k: v for k, v in BINDINGS.items() if "replicas" in fields or "replicas" not in v}


def _do(command: str, **arguments):
    return dispatch(BY_COMMAND[command], actors.OPERATOR, arguments)


# What befalls them


class Play(threading.Thread):
    """What is done to the samples once they are there, until `stop` is set."""

    def __init__(self, config: Config, stop):
        super().__init__(name="demo", daemon=True)
        self._file, self._stop_flag = config.simulated_cluster, stop
        self._steps = {UPGRADED: _upgrade, DELETED: _delete}
        self._looks = 0

    def run(self) -> None:
        accidents = itertools.cycle((lose_release, scale_down, lose_fence))
        while not self._stop_flag.wait(LOOK_SECONDS):
            try:
                self._change()
                self._looks += 1
                if self._looks % int(ACCIDENT_SECONDS / LOOK_SECONDS) == 0:
                    self._have(next(accidents))
            except (CaelusError, OSError, sqlite3.Error) as e:  # such as a job that was quicker
                log.info("the demo goes on: %s", e)

    def _change(self) -> None:
        with session():
            ready = {d.id: d.user_id for d in Deployment.select() if _is_ready_sample(d)}
        for deployment_id in [found for found in self._steps if found in ready]:
            self._steps.pop(deployment_id)(ready[deployment_id], deployment_id)

    def _have(self, accident) -> None:
        """An accident to the one that has been at rest the longest."""
        with session():
            ready = Deployment.select().where(Deployment.status == READY)
            victim = ready.order_by(Deployment.last_reconcile_at).first()
        if victim is not None:
            with changing(self._file) as cluster:
                accident(cluster, victim.deployment_uid)


def _is_ready_sample(deployment: Deployment) -> bool:
    """Not one that somebody has made: the directory may be from `serve --simulate`."""
    samples = {(number, domain) for number, (_, _, domain, _) in enumerate(DEPLOYMENTS, 1)}
    known = (deployment.id, deployment.domainname) in samples
    return known and deployment.status == READY


def _upgrade(user_id: int, deployment_id: int) -> None:
    """To the version whose image is missing; on a demo that goes on it is that already."""
    with session():
        if Deployment.get_by_id(deployment_id).desired_template_id != GITEA:
            return
    ids = {"user_id": str(user_id), "deployment_id": str(deployment_id)}
    _do("update-deployment", **ids, desired_template_id=BROKEN_GITEA)


def _delete(user_id: int, deployment_id: int) -> None:
    _do("delete-deployment", user_id=str(user_id), deployment_id=str(deployment_id))


def scale_down(cluster: Cluster, uid: str) -> None:
    """As `kubectl scale --replicas=0` by somebody."""
    found = cluster.find("Deployment", uid, uid)
    if found is not None:
        found["spec"]["replicas"] = 0
        simulated_pods.roll(cluster, cluster.put(found))


def lose_release(cluster: Cluster, uid: str) -> None:
    """As `helm uninstall` by somebody."""
    simulated_helm.take_away(cluster, uid)


def lose_fence(cluster: Cluster, uid: str) -> None:
    """As `kubectl delete networkpolicy` by somebody."""
    cluster.remove("NetworkPolicy", uid, NAME)
