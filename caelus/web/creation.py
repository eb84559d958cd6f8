"""Making a deployment: the form, what is told while it is filled in, the preview."""

from typing import NamedTuple

from caelus.errors import CaelusError, Forbidden, NotFound, Unseen
from caelus.models import KEEP
from caelus.web import preview, userform
from caelus.web.owner import page_of
from caelus.web.pages import Page, go, sent, whole
from caelus.web.refused import about_values, by_field, is_about_domain


class Draft(NamedTuple):
    """A form that was sent: `template` is the version that was chosen."""

    template: dict
    pairs: list
    domainname: str

    @property
    def is_preview(self) -> bool:
        return dict(self.pairs).get("do") == "preview"


class Create(Page):
    def on_get(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        versions = self._versions(req, product)
        template = _chosen(product, versions, req.params.get("template_id"))
        if template is None:
            self.show(req, resp, "unpublished.html", product=product)
            return
        form = userform.filled(template, None)
        draft = Draft(template, [], "")
        self._show(req, resp, product, versions, draft, form)

    def on_post(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        versions = self._versions(req, product)
        draft = self._sent(req, product, versions)
        made = error = None
        if not userform.is_growing(draft.template, draft.pairs):
            try:
                made = self.make(req, draft, dry_run=draft.is_preview)
            except (Forbidden, Unseen):
                raise  # it goes on record
            except CaelusError as e:
                error = e
        if made and not draft.is_preview:
            go(page_of(made), "created")
        form = userform.again(draft.template, draft.pairs, about_values(error))
        self._show(req, resp, product, versions, draft, form, error, made)

    def make(self, req, draft: Draft, dry_run: bool) -> dict:
        """Create the deployment that the form asks for. Raises CaelusError."""
        user_values = userform.read(draft.template, draft.pairs)
        return self.ask(
            req,
            "create-deployment",
            dry_run,
            user_id=req.context.actor.user_id,
            desired_template_id=draft.template["id"],
            domainname=draft.domainname,
            user_values_json=None if user_values is KEEP else user_values,
        )

    def _versions(self, req, product: dict) -> list[dict]:
        """Newest first."""
        return self.ask(req, "list-templates", product_id=product["id"])[::-1]

    def _sent(self, req, product: dict, versions: list) -> Draft:
        pairs = sent(req)
        fields = dict(pairs)
        template = _chosen(product, versions, fields.get("template_id"))
        if template is None:
            raise NotFound(f"{product['name']} has no version that can be installed")
        return Draft(template, pairs, fields.get("domainname", "").strip())

    def _show(self, req, resp, product, versions, draft, form, error=None, made=None):
        self.show(
            req,
            resp,
            "create.html",
            error.status if error else 200,
            product=product,
            versions=versions,
            chosen=draft.template,
            domainname=draft.domainname,
            form=form,
            error=error,
            errors=by_field(error),
            is_beside=bool(by_field(error) or about_values(error)),
            preview=made and preview.of(made, self.settings),
        )


class Check(Create):
    """What the form would come to, while it is filled in: of its domain, and of all of it."""

    on_get = on_head = None

    def on_post(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        draft = self._sent(req, product, self._versions(req, product))
        made = error = None
        try:
            made = self.make(req, draft, dry_run=True)
        except CaelusError as e:
            error = e
        self.show(
            req,
            resp,
            "create_check.html",
            domainname=draft.domainname,
            error=error,
            is_domain=is_about_domain(error),
            errors=by_field(error),
            preview=made and preview.of(made, self.settings),
        )


def _chosen(product: dict, versions: list[dict], text: str | None) -> dict | None:
    """The version that is asked for, else the product's own; None where there is none.

    Raises NotFound for one that is not there.
    """
    if not text:
        return product["template"]
    found = [template for template in versions if template["id"] == whole(text)]
    if not found:
        raise NotFound(f"this version of {product['name']} is gone; choose another one")
    return found[0]
