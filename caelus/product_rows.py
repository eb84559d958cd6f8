"""The rows of the table of operations that are about products and their templates."""

from caelus import products, schemas, templates
from caelus.operation import Access, Operation
from caelus.schemas import PAGE, fields

PRODUCT_FIELDS = {
    "template_id": schemas.OPTIONAL_ID,
    "description": schemas.OPTIONAL_TEXT,
    "icon": schemas.ICON,
}

ROWS = (
    Operation(
        command="create-product",
        route="POST /products",
        access=Access.ADMIN,
        service=products.create,
        shows="Product",
        status=201,
        input=fields("name", name=schemas.NAME, **PRODUCT_FIELDS),
        usage="""Create a product.

Usage:
  caelus create-product NAME [DESCRIPTION] [--template-id=ID] [--icon=URI | --icon-file=PATH]

Options:
  --template-id=ID  The canonical template. It must be one of the product's own, so a new
                    product gets it later, by update-product.
  --icon=URI        Its icon, at most 32 KiB: data:image/png;base64,...
  --icon-file=PATH  The same from a PNG, JPEG, WebP, GIF or SVG file; - is standard input.

Example:
  caelus create-product Nextcloud 'Files, calendar and contacts' --icon-file=nextcloud.svg
""",
    ),
    Operation(
        command="list-products",
        route="GET /products",
        access=Access.USER,
        service=products.find,
        shows="ListedProduct",
        many=True,
        input=fields(**PAGE),
        usage="""List the products, in order of their ids; get-product shows an icon, too.

Usage:
  caelus list-products [--limit=N] [--after=ID]

Options:
  --limit=N   List at most N.
  --after=ID  Those with a greater id: the last one of the page before.
""",
    ),
    Operation(
        command="get-product",
        route="GET /products/{product_id}",
        access=Access.USER,
        service=products.get,
        shows="Product",
        words={"ID": "product_id"},
        usage="""Show a product with its canonical template.

Usage:
  caelus get-product ID
""",
    ),
    Operation(
        command="update-product",
        route="PUT /products/{product_id}",
        access=Access.ADMIN,
        service=products.update,
        shows="Product",
        input=fields(**PRODUCT_FIELDS),
        words={"ID": "product_id"},
        usage="""Change a product's canonical template, its description or its icon.

Usage:
  caelus update-product ID [--template-id=ID] [--description=TEXT] [--icon=URI | --icon-file=PATH]

Options:
  --template-id=ID    The canonical template, one of the product's own.
  --description=TEXT  The new description.
  --icon=URI          The new icon, at most 32 KiB: data:image/png;base64,...; empty for none.
  --icon-file=PATH    The same from a PNG, JPEG, WebP, GIF or SVG file; - is standard input.

Example:
  caelus update-product 1 --template-id=2
""",
    ),
    Operation(
        command="delete-product",
        route="DELETE /products/{product_id}",
        access=Access.ADMIN,
        service=products.delete,
        shows="Product",
        status=204,
        words={"ID": "product_id"},
        usage="""Delete a product and its templates, of which no deployment is left.

Usage:
  caelus delete-product ID
""",
    ),
    Operation(
        command="create-template",
        route="POST /products/{product_id}/templates",
        access=Access.ADMIN,
        service=templates.create,
        before=templates.resolved,
        shows="Template",
        status=201,
        input=fields(
            "chart_ref chart_version",
            chart_ref=schemas.WORD,
            chart_version=schemas.WORD,
            chart_digest=schemas.DIGEST,
            version_label=schemas.OPTIONAL_TEXT,
            default_values_json=schemas.OPTIONAL_OBJECT,
            values_schema_json=schemas.OPTIONAL_OBJECT,
            capabilities_json=schemas.OPTIONAL_OBJECT,
            health_timeout_sec=schemas.SECONDS,
            resolve={
                "type": "boolean",
                "description": "Pull the chart now, and take from it what is not given: its "
                "chart_digest, default_values_json and values_schema_json.",
            },
        ),
        usage="""Add a template, an immutable version of a product: a chart and how to use it.

Usage:
  caelus create-template --product-id=ID --chart-ref=REF --chart-version=V
         [--chart-digest=D] [--resolve] [--version-label=L] [--health-timeout-sec=N]
         [--default-values-json=TEXT | --default-values-file=PATH]
         [--values-schema-json=TEXT | --values-schema-file=PATH]
         [--capabilities-json=TEXT | --capabilities-file=PATH]

Options:
  --product-id=ID             The product.
  --chart-ref=REF             oci://REGISTRY/CHART, https://REPOSITORY/CHART, or a path or URL of
                              a chart's archive.
  --chart-version=V           The chart's version.
  --chart-digest=D            sha256:... of the chart; anything else is refused when it is applied.
  --resolve                   Pull the chart now, and take from it what is not given: its digest,
                              default values and values schema.
  --version-label=L           What users see as the version.
  --health-timeout-sec=N      How long a release may take to become healthy; 300 if not given.
  --default-values-json=TEXT  Values for every deployment, a JSON object.
  --default-values-file=PATH  The same from a YAML or JSON file; - is standard input.
  --values-schema-json=TEXT   JSON Schema of the values; users may set what is under
                              properties.user.
  --values-schema-file=PATH   The same from a file.
  --capabilities-json=TEXT    What Caelus does with the chart: {"bindings": {POINTER: TEMPLATE}}
                              and more: see caelus help templates.
  --capabilities-file=PATH    The same from a file.

Example:
  caelus create-template --product-id=1 --chart-version=6.7.0 --chart-ref=oci://ghcr.io/x/podinfo
""",
    ),
    Operation(
        command="list-templates",
        route="GET /products/{product_id}/templates",
        access=Access.USER,
        service=templates.find,
        shows="Template",
        many=True,
        input=fields(**PAGE),
        words={"PRODUCT": "product_id"},
        usage="""List the templates of a product, in order of their ids.

Usage:
  caelus list-templates PRODUCT [--limit=N] [--after=ID]

Options:
  --limit=N   List at most N.
  --after=ID  Those with a greater id: the last one of the page before.
""",
    ),
    Operation(
        command="get-template",
        route="GET /products/{product_id}/templates/{template_id}",
        access=Access.USER,
        service=templates.get,
        shows="Template",
        words={"PRODUCT": "product_id", "ID": "template_id"},
        usage="""Show a template.

Usage:
  caelus get-template PRODUCT ID
""",
    ),
    Operation(
        command="delete-template",
        route="DELETE /products/{product_id}/templates/{template_id}",
        access=Access.ADMIN,
        service=templates.delete,
        shows="Template",
        status=204,
        words={"PRODUCT": "product_id", "ID": "template_id"},
        usage="""Delete a template that no deployment uses.

Usage:
  caelus delete-template PRODUCT ID
""",
    ),
)
