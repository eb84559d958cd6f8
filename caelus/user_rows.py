"""The rows of the table of operations that are about users and how they log in."""

from caelus import logins, schemas, tokens, users
from caelus.operation import Access, Operation
from caelus.schemas import PAGE, fields

ROWS = (
    Operation(
        command="create-user",
        route="POST /users",
        access=Access.ADMIN,
        service=users.create,
        shows="User",
        status=201,
        input=fields("email", email=schemas.EMAIL, is_admin={"type": "boolean"}),
        words={"--admin": "is_admin"},
        usage="""Create a user.

Usage:
  caelus create-user EMAIL [--admin]

Options:
  --admin  An admin, who may do everything.

Example:
  caelus create-user ada@example.org
""",
    ),
    Operation(
        command="list-users",
        route="GET /users",
        access=Access.ADMIN,
        service=users.find,
        shows="User",
        many=True,
        input=fields(search=schemas.SEARCH, **PAGE),
        usage="""List the users, in order of their ids.

Usage:
  caelus list-users [--search=TEXT] [--limit=N] [--after=ID]

Options:
  --search=TEXT  Those with it in their e-mail.
  --limit=N      List at most N.
  --after=ID     Those with a greater id: the last one of the page before.
""",
    ),
    Operation(
        command="get-user",
        route="GET /users/{user_id}",
        access=Access.OWNER,
        service=users.get,
        shows="User",
        words={"ID": "user_id"},
        usage="""Show a user.

Usage:
  caelus get-user ID
""",
    ),
    Operation(
        command="update-user",
        route="PUT /users/{user_id}",
        access=Access.ADMIN,
        service=users.update,
        shows="User",
        input=fields("is_admin", is_admin={"type": "boolean"}),
        words={"ID": "user_id"},
        usage="""Make a user an admin, or no longer.

Usage:
  caelus update-user ID --is-admin=BOOL

Options:
  --is-admin=BOOL  true or false. There is always one admin left.

Example:
  caelus update-user 2 --is-admin=true
""",
    ),
    Operation(
        command="delete-user",
        route="DELETE /users/{user_id}",
        access=Access.ADMIN,
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
        command="create-token",
        route="POST /users/{user_id}/tokens",
        access=Access.OWNER,
        service=tokens.create,
        shows="NewToken",
        status=201,
        input=fields(name=schemas.LABEL, expires_in_days=schemas.DAYS),
        words={"USER": "user_id"},
        usage="""Give a user a token for the REST API. It is shown this once.

Usage:
  caelus create-token USER [--name=N] [--expires-in-days=D]

Options:
  --name=N             To tell it from others, in lists and events.
  --expires-in-days=D  It works for so long; for ever if left out.

Example:
  caelus create-token 1 --name=laptop --expires-in-days=90
""",
    ),
    Operation(
        command="list-tokens",
        route="GET /users/{user_id}/tokens",
        access=Access.OWNER,
        service=tokens.find,
        shows="Token",
        many=True,
        input=fields(**PAGE),
        words={"USER": "user_id"},
        usage="""List the tokens of a user, in order of their ids.

Usage:
  caelus list-tokens USER [--limit=N] [--after=ID]

Options:
  --limit=N   List at most N.
  --after=ID  Those with a greater id: the last one of the page before.
""",
    ),
    Operation(
        command="delete-token",
        route="DELETE /users/{user_id}/tokens/{token_id}",
        access=Access.OWNER,
        service=tokens.delete,
        shows="Token",
        status=204,
        words={"USER": "user_id", "ID": "token_id"},
        usage="""Delete a token: from now on it lets nobody in.

Usage:
  caelus delete-token USER ID
""",
    ),
    Operation(
        command="create-login-link",
        route="POST /users/{user_id}/login-links",
        access=Access.ADMIN,
        service=logins.create,
        shows="LoginLink",
        status=201,
        words={"USER": "user_id"},
        usage="""Make a link that logs a user's browser in, once and within 30 minutes.

Usage:
  caelus create-login-link USER
""",
    ),
)
