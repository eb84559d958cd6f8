"""The table of all operations. REST, CLI, OpenAPI and `--help` are read from it.

A new operation is its service function and one row here.
"""

from caelus import deployments, events, jobs, products, schemas, templates, users
from caelus.dispatch import Operation
from caelus.schemas import NEWEST_FIRST, PAGE, fields

PRODUCT_FIELDS = {"template_id": schemas.OPTIONAL_ID, "description": schemas.OPTIONAL_TEXT}
DEPLOYMENT_FIELDS = {
    "desired_template_id": schemas.ID,
    "domainname": schemas.DOMAIN,
    "user_values_json": schemas.OPTIONAL_OBJECT,
}

OPERATIONS = (
    Operation(
        command="create-user",
        route="POST /users",
        service=users.create,
        shows="User",
        status=201,
        input=fields("email", email=schemas.EMAIL, is_admin={"type": "boolean"}),
        words={"--admin": "is_admin"},
        usage="""Create a user.

Usage:
  caelus create-user EMAIL [--admin]

Options:
  --admin  An admin: for the access control that is to come.

Example:
  caelus create-user ada@example.org
""",
    ),
    Operation(
        command="list-users",
        route="GET /users",
        service=users.find,
        shows="User",
        many=True,
        input=fields(**PAGE),
        usage="""List the users, in order of their ids.

Usage:
  caelus list-users [--limit=N] [--after=ID]

Options:
  --limit=N   List at most N.
  --after=ID  Those with a greater id: the last one of the page before.
""",
    ),
    Operation(
        command="get-user",
        route="GET /users/{user_id}",
        service=users.get,
        shows="User",
        words={"ID": "user_id"},
        usage="""Show a user.

Usage:
  caelus get-user ID
""",
    ),
    Operation(
        command="delete-user",
        route="DELETE /users/{user_id}",
        service=users.delete,
        shows="User",
        status=204,
        words={"ID": "user_id"},
        usage="""Delete a user who has no deployments.

Usage:
  caelus delete-user ID
""",
    ),
    Operation(
        command="create-product",
        route="POST /products",
        service=products.create,
        shows="Product",
        status=201,
        input=fields("name", name=schemas.NAME, **PRODUCT_FIELDS),
        usage="""Create a product.

Usage:
  caelus create-product NAME [DESCRIPTION] [--template-id=ID]

Options:
  --template-id=ID  The canonical template. It must be one of the product's own, so a new
                    product gets it later, by update-product.

Example:
  caelus create-product Nextcloud 'Files, calendar and contacts'
""",
    ),
    Operation(
        command="list-products",
        route="GET /products",
        service=products.find,
        shows="Product",
        many=True,
        input=fields(**PAGE),
        usage="""List the products, in order of their ids.

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
        service=products.update,
        shows="Product",
        input=fields(**PRODUCT_FIELDS),
        words={"ID": "product_id"},
        usage="""Change a product's canonical template or its description.

Usage:
  caelus update-product ID [--template-id=ID] [--description=TEXT]

Options:
  --template-id=ID    The canonical template, one of the product's own.
  --description=TEXT  The new description.

Example:
  caelus update-product 1 --template-id=2
""",
    ),
    Operation(
        command="delete-product",
        route="DELETE /products/{product_id}",
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
  --capabilities-json=TEXT    What Caelus does with the values: {"bindings": {POINTER: TEMPLATE}},
                              with what others change, "drift": "correct", "warn" or "off", and
                              with what was upgraded in vain, "on_upgrade_failure": "rollback" or
                              "keep"; and what fences it, "isolation": {"pod_security": LEVEL,
                              "network": "isolated" or "open", "quota": {}, "limits": {}}.
  --capabilities-file=PATH    The same from a file.

Example:
  caelus create-template --product-id=1 --chart-version=6.7.0 --chart-ref=oci://ghcr.io/x/podinfo
""",
    ),
    Operation(
        command="list-templates",
        route="GET /products/{product_id}/templates",
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
        service=templates.delete,
        shows="Template",
        status=204,
        words={"PRODUCT": "product_id", "ID": "template_id"},
        usage="""Delete a template that no deployment uses.

Usage:
  caelus delete-template PRODUCT ID
""",
    ),
    Operation(
        command="create-deployment",
        route="POST /users/{user_id}/deployments",
        service=deployments.create,
        shows="Deployment",
        status=201,
        input=fields("desired_template_id domainname", **DEPLOYMENT_FIELDS),
        usage="""Give a user an instance of a template. It becomes ready in the background.

Usage:
  caelus create-deployment --user-id=ID --desired-template-id=ID --domainname=NAME
         [--user-values-json=TEXT | --user-values-file=PATH]

Options:
  --user-id=ID              The user whose deployment it is.
  --desired-template-id=ID  The template.
  --domainname=NAME         The host name, which no other deployment has.
  --user-values-json=TEXT   What the user sets, a JSON object.
  --user-values-file=PATH   The same from a YAML or JSON file; - is standard input.

Example:
  caelus create-deployment --user-id=1 --desired-template-id=1 --domainname=ada.example.org
""",
    ),
    Operation(
        command="list-deployments",
        route="GET /users/{user_id}/deployments",
        service=deployments.find,
        shows="Deployment",
        many=True,
        input=fields(**PAGE),
        words={"USER": "user_id"},
        usage="""List the deployments of a user, in order of their ids.

Usage:
  caelus list-deployments USER [--limit=N] [--after=ID]

Options:
  --limit=N   List at most N.
  --after=ID  Those with a greater id: the last one of the page before.
""",
    ),
    Operation(
        command="get-deployment",
        route="GET /users/{user_id}/deployments/{deployment_id}",
        service=deployments.get,
        shows="Deployment",
        words={"USER": "user_id", "ID": "deployment_id"},
        usage="""Show a deployment, a deleted one too.

Usage:
  caelus get-deployment USER ID
""",
    ),
    Operation(
        command="update-deployment",
        route="PUT /users/{user_id}/deployments/{deployment_id}",
        service=deployments.update,
        shows="Deployment",
        input=fields(**DEPLOYMENT_FIELDS),
        usage="""Upgrade a deployment to a newer template, or change its values or domain.

Usage:
  caelus update-deployment --user-id=ID --deployment-id=ID [--desired-template-id=ID]
         [--domainname=NAME] [--user-values-json=TEXT | --user-values-file=PATH]

Options:
  --user-id=ID              The user whose deployment it is.
  --deployment-id=ID        The deployment.
  --desired-template-id=ID  A newer template of the same product.
  --domainname=NAME         A new host name.
  --user-values-json=TEXT   What the user sets, a JSON object, in place of what was set before.
  --user-values-file=PATH   The same from a YAML or JSON file; - is standard input.

Example:
  caelus update-deployment --user-id=1 --deployment-id=1 --desired-template-id=2
""",
    ),
    Operation(
        command="delete-deployment",
        route="DELETE /users/{user_id}/deployments/{deployment_id}",
        service=deployments.delete,
        shows="Deployment",
        status=204,
        words={"USER": "user_id", "ID": "deployment_id"},
        usage="""Remove a deployment with all its data, in the background.

Usage:
  caelus delete-deployment USER ID
""",
    ),
    Operation(
        command="retry-deployment",
        route="POST /users/{user_id}/deployments/{deployment_id}/retry",
        service=deployments.retry,
        shows="Deployment",
        status=202,
        words={"USER": "user_id", "ID": "deployment_id"},
        usage="""Try a failed deployment again now.

Usage:
  caelus retry-deployment USER ID
""",
    ),
    Operation(
        command="forget-deployment",
        route="POST /users/{user_id}/deployments/{deployment_id}/forget",
        service=deployments.forget,
        shows="Deployment",
        words={"USER": "user_id", "ID": "deployment_id"},
        usage="""Close the record of a deployment whose cluster no longer exists.

The cluster is not touched: a release that still runs there goes on, and Caelus knows it no more.

Usage:
  caelus forget-deployment USER ID
""",
    ),
    Operation(
        command="reveal-secrets",
        route="POST /users/{user_id}/deployments/{deployment_id}/reveal-secrets",
        service=deployments.reveal_secrets,
        shows="Secrets",
        words={"USER": "user_id", "DEPLOYMENT": "deployment_id"},
        usage="""Show the secrets of a deployment, generated ones too; an event tells of it.

Usage:
  caelus reveal-secrets USER DEPLOYMENT
""",
    ),
    Operation(
        command="list-events",
        route="GET /users/{user_id}/deployments/{deployment_id}/events",
        service=deployments.find_events,
        shows="Event",
        many=True,
        input=fields(**NEWEST_FIRST),
        words={"USER": "user_id", "ID": "deployment_id"},
        usage="""List what happened to a deployment, newest first.

Usage:
  caelus list-events USER ID [--limit=N] [--before=ID]

Options:
  --limit=N    List at most N.
  --before=ID  Those with a smaller id: the last one of the page before.
""",
    ),
    Operation(
        command="list-all-events",
        route="GET /events",
        service=events.find,
        shows="Event",
        many=True,
        input=fields(**NEWEST_FIRST),
        usage="""List what happened to all deployments, newest first.

Usage:
  caelus list-all-events [--limit=N] [--before=ID]

Options:
  --limit=N    List at most N.
  --before=ID  Those with a smaller id: the last one of the page before.
""",
    ),
    Operation(
        command="list-all-deployments",
        route="GET /deployments",
        service=deployments.find_all,
        shows="Deployment",
        many=True,
        input=fields(status=schemas.STATUS, product_id=schemas.ID, **PAGE),
        usage="""List the deployments of all users, in order of their ids.

Usage:
  caelus list-all-deployments [--status=S] [--product-id=ID] [--limit=N] [--after=ID]

Options:
  --status=S       provisioning, ready, error, deleting, or deleted (left out otherwise).
  --product-id=ID  Those of one product.
  --limit=N        List at most N.
  --after=ID       Those with a greater id: the last one of the page before.

Example:
  caelus list-all-deployments --status=error
""",
    ),
    Operation(
        command="list-jobs",
        route="GET /jobs",
        service=jobs.find,
        shows="Job",
        many=True,
        input=fields(status=schemas.JOB_STATUS, deployment_id=schemas.ID, **PAGE),
        usage="""List the jobs of the reconcile queue, in order of their ids.

Usage:
  caelus list-jobs [--status=S] [--deployment-id=ID] [--limit=N] [--after=ID]

Options:
  --status=S          queued, running, done or failed.
  --deployment-id=ID  Those of one deployment.
  --limit=N           List at most N.
  --after=ID          Those with a greater id: the last one of the page before.
""",
    ),
)
BY_COMMAND = {operation.command: operation for operation in OPERATIONS}
