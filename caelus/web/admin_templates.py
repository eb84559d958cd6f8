"""The pages about templates, for admins: the editor with its check and preview, and each one."""

from caelus.errors import CaelusError, Invalid, NotFound
from caelus.web import editor, forms
from caelus.web.admin import ActionPage, AdminPage
from caelus.web.admin_products import page_of
from caelus.web.pages import go, sent, whole

# In the place of what is not filled in yet, so that the rest can be checked.
ANY_CHART = {"chart_ref": "oci://example.org/chart", "chart_version": "0"}


class Editing(AdminPage):
    """What the pages of the editor have in common."""

    def check(self, req, product_id, fields: dict) -> dict:
        """What is wrong with the template so far, by fields, and the form that users would see.

        The chart is not pulled for it, and nothing is kept.
        """
        found = {"errors": {}, "unknown": False, "deaf": False, "preview": None}
        try:
            given = editor.arguments(fields)
            wanted = given | {n: given[n] or chart for n, chart in ANY_CHART.items()}
            self.ask(req, "create-template", dry_run=True, product_id=product_id, **wanted)
            found["preview"] = preview(given)
            found["deaf"] = not editor.binds_domain(given)
        except NotFound:
            raise
        except CaelusError as e:
            found["errors"] = editor.by_field(e)
        # With `resolve` the chart brings what is not here, which a binding may refer to.
        left = not fields["default_values_json"].strip() or not fields["values_schema_json"].strip()
        found["unknown"] = bool(fields["resolve"] and left)
        return found


def preview(given: dict):
    """The form that users would see; None where there is no schema to make it of."""
    defaults = (given["default_values_json"] or {}).get("user")
    schema = given["values_schema_json"]
    return schema and forms.form(schema, defaults=defaults if isinstance(defaults, dict) else None)


class NewTemplate(Editing):
    def on_get(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        fields = editor.example() if "example" in req.params else editor.blank()
        if (former := whole(req.params.get("from"))) is not None:
            of = {"product_id": product_id, "template_id": former}
            fields = editor.of_template(self.ask(req, "get-template", **of))
        self._show(req, resp, product, fields)

    def on_post(self, req, resp, product_id):
        product = self.ask(req, "get-product", product_id=product_id)
        pairs = sent(req)
        fields, action = editor.filled_in(pairs), dict(pairs).get("action", "create")
        if action == "check":
            checked = self.check(req, product_id, fields)
            status = 422 if checked["errors"] else 200
            self._show(req, resp, product, fields, status, checked=checked)
            return
        try:
            if action == "fill":
                filled = self._filled(req, product_id, fields)
                self._show(
                    req, resp, product, filled, note="This is what the chart says of itself."
                )
                return
            if action != "create":
                raise Invalid(("action", "must be one of check, fill, create"))
            self._create(req, product_id, fields)
        except CaelusError as e:
            self._show(req, resp, product, fields, e.status, errors=editor.by_field(e), error=e)

    def _show(self, req, resp, product, fields, status=200, **context) -> None:
        nothing = {"errors": {}, "error": None, "checked": None, "note": None}
        context = nothing | {"product": product, "fields": fields} | context
        if context["checked"]:
            context["errors"] = context["checked"]["errors"]
        context |= {"example": editor.EXAMPLE, "labels": editor.LABELS}
        self.show(req, resp, "admin_editor.html", status, **context)

    def _filled(self, req, product_id, fields: dict) -> dict:
        given = editor.arguments(fields) | {"product_id": product_id, "resolve": True}
        return editor.filled(fields, self.ask(req, "create-template", dry_run=True, **given))

    def _create(self, req, product_id, fields: dict) -> None:
        given = editor.arguments(fields)
        resolve = True if fields["resolve"] else None
        ids = {"product_id": product_id}
        made = self.ask(req, "create-template", **ids, **given, resolve=resolve)
        if not fields["offer"]:
            go(page_of(product_id), "template")
        self.ask(req, "update-product", **ids, template_id=made["id"])
        go(page_of(product_id), "offered")


class CheckTemplate(Editing):
    """The part of the editor that is asked for again while somebody types."""

    def on_post(self, req, resp, product_id):
        fields = editor.filled_in(sent(req))
        checked = self.check(req, product_id, fields)
        slots = (*editor.WORDS, *editor.DOCUMENTS)
        self.show(req, resp, "admin_editor_check.html", checked=checked, slots=slots)


class Template(ActionPage):
    template = "admin_template.html"

    def context(self, req, **ids) -> dict:
        row = self.ask(req, "get-template", **ids)
        written = {name: editor.written(row[name]) for name in editor.DOCUMENTS}
        deaf = not editor.binds_domain(row)
        return {"row": row, "written": written, "deaf": deaf, "error": None}

    def _delete(self, req, fields, **ids):
        self.ask(req, "delete-template", **ids)
        go(page_of(ids["product_id"]), "deleted")

    actions = {"delete": _delete}


PAGES = {
    "/admin/products/{product_id}/templates/new": NewTemplate,
    "/admin/products/{product_id}/templates/check": CheckTemplate,
    "/admin/products/{product_id}/templates/{template_id}": Template,
}
