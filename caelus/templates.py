"""Templates: the immutable versions of a product, each a chart with its values and rules."""

import re
import threading

from caelus import config, events, policies, products, secretvalues, values
from caelus.database import page, session, unique
from caelus.errors import Conflict, Invalid, NotFound, ReconcileError
from caelus.models import Deployment, Product, Template, now
from caelus.prepared import insert, prepared
from caelus.users import refuse_in_use

PASSWORD_IN_URL = re.compile(r"[^/]*://[^/]*@")
FLAG = re.compile("(^|/)-")  # a part of it becomes an argument of helm's
_resolving = threading.Lock()  # it takes a thread of the API's few for minutes: one at most
LONGEST = 500  # of what is told about a chart that can't be had
RANGE = re.compile(r"[\^~<>=*|,]|(^|\.)[xX](\.|$)")


def create(*, product_id: int, chart_ref: str, chart_version: str, **fields) -> Template:
    """`fields`: the other columns of a template, as in the contract.

    Raises Conflict for a schema, default values or bindings that could never work.
    """
    _check_chart(chart_ref, chart_version)
    product = products.get_locked(product_id)
    values.check_template(
        fields.get("default_values_json"),
        fields.get("values_schema_json"),
        fields.get("capabilities_json"),
    )
    template = Template(product=product, chart_ref=chart_ref, chart_version=chart_version, **fields)
    secretvalues.hide_defaults(template)
    taken = f"product {product_id} has a template of {chart_ref} {chart_version} already"
    with unique(taken):
        insert(template)
    events.record(None, "template_created", _told(template, "created"))
    return template


def resolved(*, resolve: bool = False, **fields) -> dict:
    """What `create` takes: with `resolve`, the digest of the chart, which is pulled and kept, and
    the chart's own default values and schema where none are given.

    Takes minutes at worst: no transaction may be open. Raises Conflict if the chart can't be used.
    """
    if not resolve:
        return fields
    if not _resolving.acquire(blocking=False):
        raise Conflict("another chart is being resolved; try again when that is done")
    try:
        return _resolve(fields)
    finally:
        _resolving.release()


def _resolve(fields: dict) -> dict:
    _check_chart(fields["chart_ref"], fields["chart_version"])
    plain_http = policies.takes_plain_http(fields.get("capabilities_json"))
    with session():
        products.get(product_id=fields["product_id"])
    from caelus import charts, process, wording  # most commands have no need of them

    chart = charts.Chart(
        fields["chart_ref"], fields["chart_version"], fields.get("chart_digest"), plain_http
    )
    try:
        found = charts.resolve(process.Tools(config.load()), chart)
    except ReconcileError as e:
        raise Conflict(wording.one_line(e.detail, LONGEST)) from None
    own = {
        "chart_digest": found.digest,
        "default_values_json": found.default_values,
        "values_schema_json": found.values_schema,
    }
    if _plain(found.version) != _plain(chart.version):
        raise Conflict(f"chart {chart} says of itself that it is version {found.version}")
    whole = own | {name: value for name, value in fields.items() if value is not None}
    values.check_chart(
        found.values_schema, whole["values_schema_json"], whole.get("capabilities_json")
    )
    return whole


def find(*, product_id: int, limit: int | None = None, after: int | None = None) -> list[Template]:
    products.get(product_id=product_id)
    return _page.all(product_id=product_id, limit=limit, after=after)


def get(*, product_id: int, template_id: int) -> Template:
    return _found(_live_of.first(id=template_id, product_id=product_id), template_id)


def get_locked(template_id: int) -> Template:
    """The live template of a live product, kept from being deleted until the transaction ends."""
    products.keep_of(template_id)
    return _found(_live.first(id=template_id), template_id)


def delete(*, product_id: int, template_id: int) -> Template:
    """Delete the template; a product whose canonical one it was is left without."""
    products.get_locked(product_id)
    template = get(product_id=product_id, template_id=template_id)
    in_use = (Deployment.desired_template == template) | (Deployment.applied_template == template)
    refuse_in_use(f"template {template_id}", in_use)
    Template.update(deleted_at=now()).where(Template.id == template_id).execute()
    canonical = Product.template_id == template_id
    Product.update(template_id=None).where(Product.id == product_id, canonical).execute()
    events.record(None, "template_deleted", _told(template, "deleted"))
    return template


def _told(template: Template, done: str) -> str:
    chart = f"{template.chart_ref} {template.chart_version}"
    return f"template {template.id} of product {template.product_id} ({chart}) {done}"


def _check_chart(ref: str, version: str) -> None:
    if PASSWORD_IN_URL.match(ref):
        raise Invalid(("chart_ref", "must not carry a user name or password"))
    if FLAG.search(ref):
        raise Invalid(("chart_ref", "must have no part that begins with a hyphen"))
    if RANGE.search(version):
        raise Invalid(
            ("chart_version", "must be one version, not a range: a template is immutable")
        )


def _plain(version: str) -> str:
    """As helm compares versions: with or without a v; a tag can have no plus."""
    return version.removeprefix("v").replace("_", "+")


@prepared
def _page(product_id, limit, after):
    return page(_alive().where(Template.product == product_id), limit, after)


@prepared
def _live_of(id, product_id):
    return _alive().where(Template.id == id, Template.product == product_id)


@prepared
def _live(id):
    return _alive().where(Template.id == id)


def _alive():
    live = Template.deleted_at.is_null() & Product.deleted_at.is_null()
    return Template.select(Template, Product).join(Product).where(live)


def _found(template: Template | None, template_id: int) -> Template:
    if template is None:
        raise NotFound(f"template {template_id} not found")
    return template
