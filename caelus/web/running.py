"""What runs of a deployment, and what it prints: asked of the cluster, which may take seconds.

So a deployment's page loads these as parts of it, after it; each is a page of its own, too.
"""

from caelus.errors import CaelusError, Forbidden, NotFound
from caelus.web.deployment import OfDeployment

TAIL = 200


class Running(OfDeployment):
    """Asks `command`; `part` is what stands on the deployment's page, `template` the whole page."""

    command: str
    template: str
    part: str
    arguments: dict = {}  # never changed

    def on_get(self, req, resp, user_id, deployment_id):
        is_part = req.path.endswith("/part")
        deployment = self.found(req, user_id, deployment_id)
        found = error = None
        ids = {"user_id": user_id, "deployment_id": deployment_id}
        try:
            found = self.ask(req, self.command, **ids, **self.arguments)
        except (Forbidden, NotFound):
            raise
        except CaelusError as e:
            error = e
        # A part is swapped in whatever it says: htmx leaves out what is no success.
        status = error.status if error and not is_part else 200
        template = self.part if is_part else self.template
        self.show_of(req, resp, template, deployment, status, found=found, error=error)


class Resources(Running):
    command, template, part = "resources", "resources.html", "resources_part.html"


class Logs(Running):
    command, template, part = "logs", "logs.html", "logs_part.html"
    arguments = {"tail": TAIL}
