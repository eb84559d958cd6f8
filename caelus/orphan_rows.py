"""The rows of the table of operations that are about what runs and is not in the database."""

from caelus import orphans, schemas
from caelus.operation import Access, Operation
from caelus.schemas import fields

ROWS = (
    Operation(
        command="orphans",
        route="GET /orphans",
        access=Access.ADMIN,
        service=orphans.find,
        shows="Orphan",
        many=True,
        before=orphans.listed,
        usage="""List the namespaces of Caelus that are not in its database, as after a restore.

Caelus deletes none of them; how to by hand is told by: caelus help backup

Usage:
  caelus orphans
""",
    ),
    Operation(
        command="adopt",
        route="POST /orphans",
        access=Access.ADMIN,
        service=orphans.adopt,
        shows="Deployment",
        status=201,
        input=fields(
            "namespace user_id template_id",
            namespace=schemas.NAMESPACE,
            user_id=schemas.ID,
            template_id=schemas.ID,
            domainname=schemas.DOMAIN,
        ),
        before=orphans.looked_at,
        usage="""Make a deployment of a namespace that is not in the database. It runs on.

Its values are read from the release, its domain from the namespace where that says it.

Usage:
  caelus adopt NAMESPACE --user-id=ID --template-id=ID [--domainname=NAME]

Options:
  --user-id=ID       The user whose deployment it becomes.
  --template-id=ID   The template of the chart and version that runs there.
  --domainname=NAME  Its host name.

Example:
  caelus adopt notes-ada-example-org-x1y2z3 --user-id=1 --template-id=2
""",
    ),
)
