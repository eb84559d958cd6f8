"""The rows of the table of operations that are about users."""

from caelus import schemas, users
from caelus.operation import Operation
from caelus.schemas import PAGE, fields

ROWS = (
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
)
