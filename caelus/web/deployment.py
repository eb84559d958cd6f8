"""The page of one deployment, and the parts of it that are loaded after it or again and again."""

import functools

from caelus.web import progress, userform
from caelus.web.owner import page_of
from caelus.web.pages import Page, whole

EVENTS = 20


class OfDeployment(Page):
    """A page about one deployment, which `show_of` shows."""

    def found(self, req, user_id: str, deployment_id: str) -> dict:
        return self.ask(req, "get-deployment", user_id=user_id, deployment_id=deployment_id)

    def show_of(self, req, resp, template: str, deployment: dict, status: int = 200, **context):
        context = {
            "deployment": deployment,
            "page": page_of(deployment),
            "is_mine": deployment["user_id"] == req.context.actor.user_id,
            "can": progress.can(deployment),
            **context,
        }
        self.show(req, resp, template, status, **context)


class Deployment(OfDeployment):
    template = "deployment.html"

    def on_get(self, req, resp, user_id, deployment_id):
        deployment = self.found(req, user_id, deployment_id)
        ids = {"user_id": user_id, "deployment_id": deployment_id}
        before = whole(req.params.get("before"))
        events = self.ask(req, "list-events", limit=EVENTS + 1, before=before, **ids)
        self.show_of(
            req,
            resp,
            self.template,
            deployment,
            events=events[:EVENTS],
            more=events[EVENTS - 1]["id"] if len(events) > EVENTS else None,
            is_past=before is not None,
            settings=functools.partial(userform.settings, deployment),  # not for `Live`
            looks=progress.LOOKS,
            stage=progress.stage(deployment),
            doing=progress.DOING,
            is_failure_past=progress.is_failure_past(deployment),
            sentence=progress.sentence(deployment),
            remedies=progress.remedies(deployment),
            pause=progress.pause(deployment) if before is None else None,
            is_busy=progress.is_busy(deployment),
            scheme=self.settings.base_url.partition("://")[0],
        )


class Live(Deployment):
    """What changes while one looks at it."""

    template = "live.html"
