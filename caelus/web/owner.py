"""The pages of who has deployments: what there is, what is mine, and each one."""

from caelus.errors import CaelusError
from caelus.web.pages import PREFIX, Page, go, sent, whole


def place(deployment: dict) -> str:
    """Where a deployment's page is."""
    return f"{PREFIX}/users/{deployment['user_id']}/deployments/{deployment['id']}"


class Home(Page):
    """My deployments."""

    def on_get(self, req, resp):
        found, more = self.rows(req, "list-deployments", user_id=req.context.actor.user_id)
        self.show(req, resp, "home.html", deployments=found, more=more)


class Catalogue(Page):
    """What one can have."""

    def on_get(self, req, resp):
        found, more = self.rows(req, "list-products")
        self.show(req, resp, "catalogue.html", products=found, more=more)


class Create(Page):
    def on_get(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        self.show(req, resp, "create.html", product=product, domainname="", error=None)

    def on_post(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        fields = dict(sent(req))
        domainname = fields.get("domainname", "").strip()
        try:
            made = self.ask(
                req,
                "create-deployment",
                user_id=req.context.actor.user_id,
                desired_template_id=whole(fields.get("template_id")) or product["template_id"],
                domainname=domainname,
            )
        except CaelusError as e:
            self.show(
                req,
                resp,
                "create.html",
                e.status,
                product=product,
                domainname=domainname,
                error=e,
            )
            return
        go(place(made), "created")


class Deployment(Page):
    def on_get(self, req, resp, user_id, deployment_id):
        ids = {"user_id": user_id, "deployment_id": deployment_id}
        found = self.ask(req, "get-deployment", **ids)
        events = self.ask(req, "list-events", limit=50, **ids)
        self.show(req, resp, "deployment.html", deployment=found, events=events)
