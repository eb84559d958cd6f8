"""The pages about products, for admins: what is published, and by which template."""

from caelus import icons
from caelus.errors import CaelusError
from caelus.web import editor
from caelus.web.admin import HERE, ActionPage, AdminPage
from caelus.web.pages import go, sent, whole


def page_of(product_id) -> str:
    return f"{HERE}/products/{product_id}"


ICON = "icon"  # the field of the file


def icon_in(fields: dict) -> str | None:
    """The icon in the file that was chosen, None for none. Raises Invalid."""
    content = fields.get(ICON)
    return icons.of_file(content) if isinstance(content, bytes) and content else None


class Products(AdminPage):
    def on_get(self, req, resp):
        found, more = self.rows(req, "list-products")
        self.show(req, resp, "admin_products.html", products=found, more=more)


class NewProduct(AdminPage):
    def on_get(self, req, resp):
        self.show(req, resp, "admin_new_product.html", fields={}, error=None)

    def on_post(self, req, resp):
        fields = dict(sent(req, ICON))
        name, description = (fields.get(field, "").strip() for field in ("name", "description"))
        try:
            given = {"name": name, "description": description or None, "icon": icon_in(fields)}
            made = self.ask(req, "create-product", **given)
        except CaelusError as e:
            self.show(req, resp, "admin_new_product.html", e.status, fields=fields, error=e)
            return
        go(f"{page_of(made['id'])}/templates/new", "product")


class Product(ActionPage):
    """One product: what it says of itself, its templates, and the one that users get."""

    template, file = "admin_product.html", ICON

    def context(self, req, product_id) -> dict:
        product = self.ask(req, "get-product", product_id=product_id)
        templates = self.ask(req, "list-templates", product_id=product_id)
        deaf = {row["id"] for row in templates if not editor.binds_domain(row)}
        found = {"product": product, "templates": templates[::-1], "deaf": deaf}
        return found | {"error": None, "fields": {}}

    def _save(self, req, fields, product_id):
        given = {"product_id": product_id, "description": fields.get("description", "").strip()}
        # Not in a form of before the first template: what is offered since then stays.
        if (chosen := fields.get("template_id")) is not None:
            given["template_id"] = None if chosen == "" else whole(chosen) or 0
        given["icon"] = icon_in(fields) or ("" if "remove_icon" in fields else None)
        nulls = ("template_id",) if "template_id" in given else ()
        self.ask(req, "update-product", nulls=nulls, **given)
        go(page_of(product_id), "saved")

    def _offer(self, req, fields, product_id):
        template_id = whole(fields.get("template_id")) or 0
        self.ask(req, "update-product", product_id=product_id, template_id=template_id)
        go(page_of(product_id), "offered")

    def _delete(self, req, fields, product_id):
        self.ask(req, "delete-product", product_id=product_id)
        go(f"{HERE}/products", "deleted")

    actions = {"save": _save, "offer": _offer, "delete": _delete}


PAGES = {
    "/admin/products": Products,
    "/admin/products/new": NewProduct,
    "/admin/products/{product_id}": Product,
}
