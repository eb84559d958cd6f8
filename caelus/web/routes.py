"""Which page is where, and the files that pages are made of."""

import functools
import hashlib
import importlib.util
import pathlib

import falcon

from caelus.config import Config
from caelus.web import (
    account,
    admin,
    admin_products,
    admin_templates,
    admin_users,
    changes,
    checkup,
    creation,
    deployment,
    owner,
    running,
)
from caelus.web.pages import HERE, PREFIX, Done, not_modified, remember

ONE = "/users/{user_id}/deployments/{deployment_id}"
PAGES = {
    "": owner.Home,
    "/products": owner.Catalogue,
    "/products/{product_id}/icon": owner.Icon,
    "/products/{product_id}/create": creation.Create,
    "/products/{product_id}/create/check": creation.Check,
    ONE: deployment.Deployment,
    f"{ONE}/live": deployment.Live,
    f"{ONE}/resources": running.Resources,
    f"{ONE}/resources/part": running.Resources,
    f"{ONE}/logs": running.Logs,
    f"{ONE}/logs/part": running.Logs,
    f"{ONE}/edit": changes.Edit,
    f"{ONE}/domain": changes.Domain,
    f"{ONE}/domain/check": changes.DomainCheck,
    f"{ONE}/upgrade": changes.Upgrade,
    f"{ONE}/retry": changes.Retry,
    f"{ONE}/secrets": changes.Secrets,
    f"{ONE}/delete": changes.Delete,
    f"{ONE}/forget": changes.Forget,
    "/account": account.Account,
    "/account/tokens/{token_id}/delete": account.DeleteToken,
    **admin.PAGES,
    **admin_users.PAGES,
    **admin_products.PAGES,
    **admin_templates.PAGES,
    **checkup.PAGES,
}
ASSETS = ("app.css", "app.js", "fields.css", "fields.js", "htmx.min.js")


def add(app: falcon.App, settings: Config) -> None:
    app.add_error_handler(Done, remember)
    for path, page in PAGES.items():
        app.add_route(PREFIX + path, page(settings))
    app.add_route(f"{PREFIX}/", Start())
    for name in ASSETS:
        app.add_route(f"{PREFIX}/assets/{name}", Asset(name))


def is_open(path: str) -> bool:
    """Whether nobody need say who they are to get what is at `path`."""
    return path.startswith(f"{PREFIX}/assets/")


class Start:
    """The address as people write it who end it with a slash."""

    def on_get(self, req, resp):
        raise falcon.HTTPMovedPermanently(PREFIX)

    on_head = on_get


class Asset:
    """A file of ours, or htmx; browsers ask each time whether it changed."""

    def __init__(self, name: str):
        self._name = name
        self._type = falcon.MEDIA_JS if name.endswith(".js") else "text/css; charset=utf-8"

    def on_get(self, req, resp):
        content = _content(self._name)
        etag = hashlib.sha256(content).hexdigest()[:32]
        resp.cache_control = ["no-cache"]
        if not not_modified(req, resp, etag):
            resp.content_type, resp.data = self._type, content

    on_head = on_get


@functools.cache
def _content(name: str) -> bytes:
    own = HERE / "assets" / name
    return (own if own.exists() else _of_htmx(name)).read_bytes()


def _of_htmx(name: str) -> pathlib.Path:
    # Found, not imported: the package is made for Django.
    directory = importlib.util.find_spec("js_lib_htmx").submodule_search_locations[0]
    return pathlib.Path(directory) / "static" / "htmx" / name
