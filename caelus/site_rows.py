"""The row of the table of operations that is about everything at once."""

from caelus import overview
from caelus.operation import Access, Operation

ROWS = (
    Operation(
        command="overview",
        route="GET /overview",
        access=Access.ADMIN,
        service=overview.look,
        shows="Overview",
        usage="""Show how many of what there are, what waits, and what failed and why.

`hours` has the reconciles of the last day, by the hour in which they ended.

Usage:
  caelus overview
""",
    ),
)
