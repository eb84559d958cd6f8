"""The rows of the table of operations that look at what runs of a deployment."""

from caelus import podlogs, resources, schemas
from caelus.operation import Access, Operation
from caelus.schemas import fields

WORDS = {"USER": "user_id", "DEPLOYMENT": "deployment_id"}

ROWS = (
    Operation(
        command="resources",
        route="GET /users/{user_id}/deployments/{deployment_id}/resources",
        access=Access.OWNER,
        before=resources.look,
        service=resources.Resources,
        shows="Resources",
        words=WORDS,
        usage="""Show what runs of a deployment: pods, claims, services and ingresses.

Usage:
  caelus resources USER DEPLOYMENT
""",
    ),
    Operation(
        command="logs",
        route="GET /users/{user_id}/deployments/{deployment_id}/logs",
        access=Access.OWNER,
        before=podlogs.look,
        service=podlogs.Logs,
        shows="Logs",
        input=fields(
            tail=schemas.LINES, since=schemas.MOMENT, previous=schemas.FLAG, pod=schemas.POD
        ),
        words=WORDS,
        follows=True,
        usage="""Show what a deployment has printed, without its secrets.

Usage:
  caelus logs USER DEPLOYMENT [--tail=N] [--since=TIME] [--pod=NAME] [--previous | --follow]

Options:
  --tail=N      At most the newest N lines: 100 if left out, 5000 at most.
  --since=TIME  Those after that time, such as 2026-01-31T12:00:00Z.
  --pod=NAME    Those of one pod.
  --previous    Of the containers before their last restart.
  --follow      Print lines as they come, until Ctrl-C; also of what does not run yet.

Example:
  caelus logs 1 3 --follow
""",
    ),
)
