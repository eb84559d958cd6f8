"""What there is to have, and what I have."""

from caelus import icons
from caelus.errors import NotFound
from caelus.models import DEPLOYMENT_STATUSES, ERROR
from caelus.naming import printable
from caelus.web.pages import PREFIX, Page, not_modified

ICON_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
DAY = 86_400  # seconds
MOST_COUNTED = 20


def page_of(deployment: dict) -> str:
    """Where a deployment's page is."""
    return f"{PREFIX}/users/{deployment['user_id']}/deployments/{deployment['id']}"


class Home(Page):
    """My deployments, in an order that stays; those in error are counted on top."""

    def on_get(self, req, resp):
        mine = {"user_id": req.context.actor.user_id}
        context = self.listed(req, "list-deployments", "search", "status", **mine)
        if context["chosen"]["status"] != ERROR:
            some = {"status": ERROR, "limit": MOST_COUNTED + 1}
            context["failed"] = len(self.ask(req, "list-deployments", **mine, **some))
        scheme = self.settings.base_url.partition("://")[0]
        context |= {"scheme": scheme, "statuses": DEPLOYMENT_STATUSES, "most": MOST_COUNTED}
        self.show(req, resp, "home.html", **{"failed": 0} | context)


class Catalogue(Page):
    """What one can have."""

    def on_get(self, req, resp):
        found, more = self.rows(req, "list-products")
        is_later = "after" in req.params
        self.show(req, resp, "catalogue.html", products=found, more=more, is_later=is_later)


class Icon(Page):
    """A product's icon as an image; opened by itself, even an SVG runs and loads nothing."""

    def on_get(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        if product["icon"] is None:
            raise NotFound(f"product {printable(product_id)} has no icon")
        resp.set_header("Content-Security-Policy", ICON_POLICY)
        version = product["icon_url"].partition("?v=")[2]
        # What the address names never changes; another icon has another.
        is_named = req.params.get("v") == version
        resp.cache_control = ["private", f"max-age={DAY}" if is_named else "no-cache"]
        if not not_modified(req, resp, version):
            resp.content_type, resp.data = icons.opened(product["icon"])
