"""What there is to have, and what I have."""

from caelus.web.pages import PREFIX, Page


def place(deployment: dict) -> str:
    """Where a deployment's page is."""
    return f"{PREFIX}/users/{deployment['user_id']}/deployments/{deployment['id']}"


class Home(Page):
    """My deployments."""

    def on_get(self, req, resp):
        found, more = self.rows(req, "list-deployments", user_id=req.context.actor.user_id)
        scheme = self.settings.base_url.partition("://")[0]
        is_later = "after" in req.params
        self.show(
            req, resp, "home.html", deployments=found, more=more, scheme=scheme, is_later=is_later
        )


class Catalogue(Page):
    """What one can have."""

    def on_get(self, req, resp):
        found, more = self.rows(req, "list-products")
        is_later = "after" in req.params
        self.show(req, resp, "catalogue.html", products=found, more=more, is_later=is_later)
