"""Products: families of applications, each with one template that is its canonical one."""

import peewee

from caelus import events, icons
from caelus.database import is_postgres, locked, page, unique
from caelus.errors import Conflict, Invalid, NotFound
from caelus.models import KEEP, Deployment, Icon, Product, Template, alive, now
from caelus.prepared import insert, prepared
from caelus.users import refuse_in_use


def create(
    *,
    name: str,
    description: str | None = None,
    template_id: int | None = None,
    icon: str | None = None,
) -> Product:
    """With an icon as `icons` has it; none, or an empty text, is no icon."""
    if template_id is not None:
        _refuse_foreign(None, template_id)
    product = Product(name=name, description=description)
    uri = _iconed(product, icon)
    with unique(f"a product named {name!r} exists already"):
        product.save()
    _keep_icon(product, uri)
    events.record(None, "product_created", f"product {product.id} ({name}) created")
    return get(product_id=product.id)


def ids_named(text: str) -> list[int]:
    """The ids of those with `text`, which is casefolded, in their name; the deleted ones' too.

    Compared here: SQLite itself knows only the case of ASCII letters.
    """
    rows = Product.select(Product.id, Product.name).tuples()
    return [id for id, name in rows if text in name.casefold()]


def find(*, limit: int | None = None, after: int | None = None) -> list[Product]:
    return _page.all(limit=limit, after=after)


def get(*, product_id: int) -> Product:
    """The live product, its canonical template as `.canonical`, its icon as `.icon`, or None."""
    return _found(_whole.first(id=product_id), product_id)


def get_locked(product_id: int) -> Product:
    """The live product, locked until the transaction ends.

    This one lock guards a product and all its templates: alone for who changes them, shared (by
    `keep_of`) by who is going to use them.
    """
    return _found(_live_alone.first(id=product_id), product_id)


def keep_of(template_id: int) -> None:
    """Keep the template's product from being changed until the transaction ends."""
    if is_postgres():  # SQLite has one writer anyway
        _shared_of.first(template_id=template_id)


def update(*, product_id: int, template_id=KEEP, description=KEEP, icon=KEEP) -> Product:
    """Change what is given; an icon that is None or empty takes it away."""
    if template_id is KEEP and description is KEEP and icon is KEEP:
        raise Invalid(("template_id", "or description or icon must be given"))
    product = get_locked(product_id)
    if template_id is not KEEP:
        if template_id is not None:
            _refuse_foreign(product, template_id)
        product.template_id = template_id
    if description is not KEEP:
        product.description = description
    if icon is not KEEP:
        _keep_icon(product, _iconed(product, icon))
    product.save()
    now_has = f"with template {product.template_id}" if product.template_id else "without template"
    if icon is not KEEP:
        now_has += " and a new icon" if icon else " and without icon"
    told = f"product {product_id} ({product.name}) changed, {now_has}"
    events.record(None, "product_updated", told)
    return get(product_id=product_id)


def delete(*, product_id: int) -> Product:
    """Delete the product and its templates; it answers as it last was."""
    get_locked(product_id)
    product = get(product_id=product_id)
    mine = Template.select(Template.id).where(Template.product == product_id)
    refuse_in_use(f"product {product_id}", Deployment.desired_template.in_(mine))
    at = now()
    live = Template.deleted_at.is_null()
    Template.update(deleted_at=at).where(Template.product == product_id, live).execute()
    Product.update(deleted_at=at).where(Product.id == product_id).execute()
    told = f"product {product_id} ({product.name}) deleted with its templates"
    events.record(None, "product_deleted", told)
    return product


@prepared
def _page(limit, after):
    return page(_with_template(), limit, after)


@prepared
def _whole(id):
    found = _with_template().select_extend(Icon).where(Product.id == id)
    on = Icon.product == Product.id
    return found.join_from(Product, Icon, peewee.JOIN.LEFT_OUTER, on=on, attr="icon")


@prepared
def _live_alone(id):
    return locked(alive(Product).where(Product.id == id))


@prepared
def _shared_of(template_id):
    its = Template.select(Template.product).where(Template.id == template_id)
    return locked(Product.select(Product.id).where(Product.id == its), share=True)


def _with_template():
    on = (Product.template_id == Template.id) & Template.deleted_at.is_null()
    return (
        alive(Product)
        .select(Product, Template)
        .join(Template, peewee.JOIN.LEFT_OUTER, on=on, attr="canonical")
    )


def _iconed(product: Product, icon: str | None) -> str | None:
    """The icon as it is to be kept, None for none; its digest is put into the product."""
    uri = icons.checked(icon) if icon else None
    product.icon_digest = uri and icons.digest(uri)
    return uri


def _keep_icon(product: Product, uri: str | None) -> None:
    Icon.delete().where(Icon.product == product.id).execute()
    if uri is not None:
        insert(Icon(product=product.id, uri=uri))


def _refuse_foreign(product: Product | None, template_id: int) -> None:
    template = alive(Template).where(Template.id == template_id).first()
    if template is None:
        raise NotFound(f"template {template_id} not found")
    if product is None or template.product_id != product.id:
        raise Conflict(
            f"template {template_id} belongs to product {template.product_id}; "
            "a product's canonical template must be one of its own"
        )


def _found(product: Product | None, product_id: int) -> Product:
    if product is None:
        raise NotFound(f"product {product_id} not found")
    return product
