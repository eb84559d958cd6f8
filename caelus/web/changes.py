"""What is done to a deployment by a form: values, domain, upgrade, retry, secrets, deletion."""

from caelus.errors import CaelusError, Conflict, Forbidden, NotFound, Unseen
from caelus.models import KEEP
from caelus.web import differences, userform
from caelus.web.deployment import OfDeployment
from caelus.web.owner import page_of
from caelus.web.pages import go, never_kept, sent, whole
from caelus.web.refused import about_values, by_field, is_about_domain


class Change(OfDeployment):
    """A form that changes the deployment; one that is refused is shown again, as it was sent."""

    template: str

    def on_get(self, req, resp, user_id, deployment_id):
        deployment = self.found(req, user_id, deployment_id)
        self.show_of(req, resp, self.template, deployment, **self.blank(req, deployment))

    def on_post(self, req, resp, user_id, deployment_id):
        deployment, pairs = self.found(req, user_id, deployment_id), sent(req)
        error = None
        try:
            if done := self.change(req, deployment, pairs):
                go(page_of(deployment), done)
        except (Forbidden, Unseen):
            raise  # it goes on record
        except CaelusError as e:
            error = e
        again = self.again(req, deployment, pairs, error)
        status = error.status if error else 200
        self.show_of(req, resp, self.template, deployment, status, **again)

    def blank(self, req, deployment: dict) -> dict:
        """What the template is given before anything was sent."""
        return _refusal(None)

    def again(self, req, deployment: dict, pairs: list, error: CaelusError | None) -> dict:
        """What it is given after a refusal, or when there is more to fill in."""
        return _refusal(error)

    def change(self, req, deployment: dict, pairs: list) -> str | None:
        """Make the change; gives what was done, None if there is more to fill in.

        Raises CaelusError.
        """
        raise NotImplementedError

    def update(self, req, deployment: dict, dry_run: bool = False, **fields) -> dict:
        return self.ask(req, "update-deployment", dry_run, **_ids(deployment), **fields)


def _refusal(error: CaelusError | None) -> dict:
    is_beside = bool(by_field(error) or about_values(error))
    return {"error": error, "errors": by_field(error), "is_beside": is_beside}


def _ids(deployment: dict) -> dict:
    return {"user_id": deployment["user_id"], "deployment_id": deployment["id"]}


def _check_seen(deployment: dict, pairs: list) -> None:
    """Refuse a form that was made from an older state: it would undo somebody's change."""
    seen = whole(dict(pairs).get("generation"))
    if seen is not None and seen != deployment["generation"]:
        raise Conflict(
            "the deployment was changed since this form was opened; "
            "look at what it is now, then send the form again"
        )


class Edit(Change):
    """Other values, of the same template."""

    template = "edit.html"

    def blank(self, req, deployment):
        form = userform.filled(deployment["desired_template"], deployment["user_values_json"])
        return super().blank(req, deployment) | {"form": form}

    def again(self, req, deployment, pairs, error):
        form = userform.again(deployment["desired_template"], pairs, about_values(error))
        return super().again(req, deployment, pairs, error) | {"form": form}

    def change(self, req, deployment, pairs):
        template = deployment["desired_template"]
        if userform.is_growing(template, pairs):
            return None
        _check_seen(deployment, pairs)
        user_values = userform.read(template, pairs)
        if user_values is KEEP:
            raise Conflict("this version has nothing that its user sets")
        if user_values == (deployment["user_values_json"] or {}):
            return "nothing"
        self.update(req, deployment, user_values_json=user_values)
        return "updated"


class Domain(Change):
    template = "domain.html"

    def blank(self, req, deployment):
        return super().blank(req, deployment) | {"domainname": deployment["domainname"]}

    def again(self, req, deployment, pairs, error):
        return super().again(req, deployment, pairs, error) | {"domainname": _domain(pairs)}

    def change(self, req, deployment, pairs):
        if _domain(pairs).lower() == deployment["domainname"]:
            return "nothing"
        self.update(req, deployment, domainname=_domain(pairs))
        return "updated"


class DomainCheck(Change):
    """Whether the domain that is being typed is free."""

    on_get = on_head = None

    def on_post(self, req, resp, user_id, deployment_id):
        deployment, domainname = self.found(req, user_id, deployment_id), _domain(sent(req))
        error = None
        if domainname.lower() != deployment["domainname"]:
            try:
                self.update(req, deployment, dry_run=True, domainname=domainname)
            except CaelusError as e:
                error = e
        context = _refusal(error) | {"is_domain": is_about_domain(error)}
        self.show(req, resp, "domain_check.html", domainname=domainname, **context)


def _domain(pairs: list) -> str:
    return dict(pairs).get("domainname", "").strip()


class Upgrade(Change):
    """A newer template, with other values where the present ones do not fit it."""

    template = "upgrade.html"

    def on_get(self, req, resp, user_id, deployment_id):
        deployment = self.found(req, user_id, deployment_id)
        target = self._target(req, deployment, req.params.get("template_id"))
        problem = target and self._problem(req, deployment, target)
        context = self._context(req, deployment, target)
        context["asks"] = problem is not None or "values" in req.params
        context["problem"] = problem
        if target:
            user_values = deployment["user_values_json"]
            context["form"] = userform.filled(target, user_values, about_values(problem))
        self.show_of(req, resp, self.template, deployment, **context)

    def again(self, req, deployment, pairs, error):
        fields = dict(pairs)
        target = self._target(req, deployment, fields.get("template_id"))
        context = self._context(req, deployment, target)
        context |= _refusal(error) | {"asks": "asks" in fields}
        if target:
            context["form"] = userform.again(target, pairs, about_values(error))
        return context

    def change(self, req, deployment, pairs):
        fields = dict(pairs)
        target = self._target(req, deployment, fields.get("template_id"))
        if target is None:
            raise Conflict("there is no newer version to upgrade to")
        if userform.is_growing(target, pairs):
            return None
        _check_seen(deployment, pairs)
        given = {}
        if "asks" in fields and (user_values := userform.read(target, pairs)) is not KEEP:
            given["user_values_json"] = user_values
        self.update(req, deployment, desired_template_id=target["id"], **given)
        return "upgraded"

    def _context(self, req, deployment: dict, target: dict | None) -> dict:
        context = _refusal(None) | {"problem": None, "asks": False, "form": None}
        present = deployment["desired_template"]
        changes = differences.of(present, target) if target else None
        versions = self._newer(req, deployment)
        return context | {"target": target, "versions": versions, "changes": changes}

    def _newer(self, req, deployment: dict) -> list[dict]:
        present = deployment["desired_template"]
        found = self.ask(
            req, "list-templates", product_id=present["product_id"], after=present["id"]
        )
        return found[::-1]

    def _target(self, req, deployment: dict, text: str | None) -> dict | None:
        """The version that is asked for, else the product's own, else the newest."""
        newer = {template["id"]: template for template in self._newer(req, deployment)}
        if text:
            if whole(text) not in newer:
                raise NotFound("this version is gone, or is not newer; choose another one")
            return newer[whole(text)]
        canonical = deployment["desired_template"]["product"]["template_id"]
        return newer.get(canonical) or next(iter(newer.values()), None)

    def _problem(self, req, deployment: dict, target: dict) -> CaelusError | None:
        """Why the present values do not fit the newer version, None where they do."""
        try:
            self.update(req, deployment, dry_run=True, desired_template_id=target["id"])
        except Conflict as e:
            return e if e.title == Conflict.title else None
        return None


class Retry(Change):
    """Only a button: what it says when it is refused is a page of its own."""

    template = "retry.html"

    def change(self, req, deployment, pairs):
        self.ask(req, "retry-deployment", **_ids(deployment))
        return "retried"


class Delete(Change):
    template = "delete.html"

    def again(self, req, deployment, pairs, error):
        typed = dict(pairs).get("name", "")
        return super().again(req, deployment, pairs, error) | {"typed": typed}

    def blank(self, req, deployment):
        return super().blank(req, deployment) | {"typed": ""}

    def change(self, req, deployment, pairs):
        _check_name(deployment, pairs)
        self.ask(req, "delete-deployment", **_ids(deployment))
        return "deleting"


class Forget(Delete):
    """For admins: the record is closed, the cluster is not touched."""

    template = "forget.html"

    def blank(self, req, deployment):
        if not req.context.actor.is_admin:
            raise Forbidden("to forget a deployment is for admins only")
        return super().blank(req, deployment)

    def change(self, req, deployment, pairs):
        _check_name(deployment, pairs)
        self.ask(req, "forget-deployment", **_ids(deployment))
        return "forgotten"


def _check_name(deployment: dict, pairs: list) -> None:
    if dict(pairs).get("name", "").strip().lower() != deployment["domainname"]:
        raise Conflict(f"type {deployment['domainname']} to say that it is the one you mean")


class Secrets(OfDeployment):
    """They are asked for by a button, shown in its answer, and nowhere else."""

    def on_get(self, req, resp, user_id, deployment_id):
        deployment = self.found(req, user_id, deployment_id)
        self.show_of(req, resp, "secrets.html", deployment, secrets=None)

    def on_post(self, req, resp, user_id, deployment_id):
        deployment = self.found(req, user_id, deployment_id)
        shown = self.ask(req, "reveal-secrets", **_ids(deployment))
        self.show_of(req, resp, "secrets.html", deployment, secrets=shown["secrets"])
        never_kept(resp)
