"""The pages for admins: all at a glance, and everybody's deployments, jobs and events."""

import functools

from caelus.errors import CaelusError, Invalid, NotFound, Unseen
from caelus.findings import span
from caelus.models import DEPLOYMENT_STATUSES, JOB_STATUSES
from caelus.naming import printable
from caelus.web import lists
from caelus.web.pages import PAGE_ROWS, PREFIX, Page, go, sent, whole
from caelus.web.refused import by_field

HERE = f"{PREFIX}/admin"
LAST_ID = 2**63 - 1
# The chart of the last day, in the units of its viewBox.
BAR, GAP, HIGH = 16, 4, 100


class AdminPage(Page):
    """A page for admins; for others it is as if there were none."""

    def __init_subclass__(cls):
        for name in ("on_get", "on_post"):
            if name in vars(cls):
                setattr(cls, name, _for_admins(vars(cls)[name]))
        super().__init_subclass__()


def _for_admins(responder):
    @functools.wraps(responder)
    def checked(self, req, resp, **ids):
        if not req.context.actor.is_admin:
            raise Unseen(f"{req.method} {printable(req.path)} does not exist")
        responder(self, req, resp, **ids)

    return checked


class ActionPage(AdminPage):
    """A page about one thing, each of whose buttons does something to it.

    `actions` has what each does, by the buttons' value: it leads on to a page, or gives what this
    one is to show once. `context` is what the page shows in any case. `file` is the field that a
    file may come in.
    """

    template = ""
    file: str | None = None
    actions: dict = {}

    def on_get(self, req, resp, **ids):
        self.show(req, resp, self.template, **self.context(req, **ids))

    def on_post(self, req, resp, **ids):
        fields = dict(sent(req, self.file))
        try:
            once = self._action(fields)(self, req, fields, **ids)
        except CaelusError as e:
            refused = {"error": e, "errors": by_field(e), "fields": fields}
            context = self.context(req, **ids) | refused
            self.show(req, resp, self.template, e.status, **context)
            return
        self.show_once(req, resp, self.template, **self.context(req, **ids) | once)

    def context(self, req, **ids) -> dict:
        raise NotImplementedError

    def _action(self, fields: dict):
        named = fields.get("action", "nothing")
        if named not in self.actions:
            known = ", ".join(self.actions)
            raise Invalid(("action", f"must be one of {known}, not {printable(named)}"))
        return self.actions[named]


class Dashboard(AdminPage):
    def on_get(self, req, resp):
        seen = self.ask(req, "overview")
        context = {"overview": seen, "bars": bars(seen["hours"]), "step": None}
        if not any(seen["deployments"].values()):
            context |= self._first_steps(req)
        waits = span(seen["queue_age_sec"])
        self.show(req, resp, "admin.html", waits=waits, **context)

    def _first_steps(self, req) -> dict:
        """Which of the three steps to a first app is next, and of which product."""
        products = self.ask(req, "list-products", limit=PAGE_ROWS)
        offered = next((p for p in products if p["template"]), None)
        product = offered or next(iter(products), None)
        return {"step": 3 if offered else 2 if product else 1, "product": product}


def bars(hours: list[dict]) -> list[dict]:
    """The chart of the last day: for each hour two bars, one on the other."""
    most = max(1, *(hour["done"] + hour["failed"] for hour in hours))
    shown = []
    for number, hour in enumerate(hours):
        done, failed = (round(HIGH * hour[kind] / most, 1) for kind in ("done", "failed"))
        x = number * (BAR + GAP)
        shown.append(hour | {"x": x, "done_high": done, "failed_high": failed})
    return shown


class Deployments(AdminPage):
    """Everybody's, with filters."""

    def on_get(self, req, resp):
        context = self.listed(req, "list-all-deployments", "status", "product_id", "search")
        context |= {"products": self.ask(req, "list-products"), "statuses": DEPLOYMENT_STATUSES}
        self.show(req, resp, "admin_deployments.html", **context)


class Deployment(AdminPage):
    """Leads on to the page of a deployment of which only the id is known."""

    def on_get(self, req, resp, deployment_id):
        id = whole(deployment_id) or 0
        for status in (None, "deleted"):
            only = {"status": status, "after": max(0, id - 1), "limit": 1}
            found = self.ask(req, "list-all-deployments", **only)
            if found and found[0]["id"] == id:
                go(f"{PREFIX}/users/{found[0]['user_id']}/deployments/{id}")
        raise NotFound(f"deployment {printable(deployment_id)} not found")


class Jobs(AdminPage):
    """Those of one status, newest first; at first those that are open."""

    def on_get(self, req, resp):
        find = functools.partial(self._found, req)
        context = lists.shown(req, ("status", "deployment_id"), find)
        choices = ("open", *JOB_STATUSES, "all")
        self.show(req, resp, "admin_jobs.html", choices=choices, **context)

    def _found(self, req) -> tuple[list, int | None]:
        before = whole(req.params.get("before")) or LAST_ID
        only = {"before": before, "limit": PAGE_ROWS + 1}
        only |= lists.asked(req, "list-jobs", "deployment_id")
        status = lists.text(req, "status") or "open"
        states = {"open": ("running", "queued"), "all": (None,)}.get(status, (status,))
        found = [
            job for state in states for job in self.ask(req, "list-jobs", status=state, **only)
        ]
        found = sorted(found, key=lambda job: -job["id"])[: PAGE_ROWS + 1]
        return found[:PAGE_ROWS], found[PAGE_ROWS - 1]["id"] if len(found) > PAGE_ROWS else None


class Events(AdminPage):
    """Who did what, from where and when."""

    def on_get(self, req, resp):
        context = self.listed(req, "list-all-events", "type", "deployment_id", "search")
        self.show(req, resp, "admin_events.html", **context)


PAGES = {
    "/admin": Dashboard,
    "/admin/deployments": Deployments,
    "/admin/deployments/{deployment_id}": Deployment,
    "/admin/jobs": Jobs,
    "/admin/events": Events,
}
