"""The table of all operations. REST, CLI, OpenAPI and `--help` are read from it.

A new operation is its service function and one row in the module of its noun.
"""

from caelus import cluster_rows, deployment_rows, orphan_rows, product_rows, site_rows, user_rows

GROUPS = {
    "Users": user_rows.ROWS,
    "Products and templates": product_rows.ROWS,
    "Deployments": (*deployment_rows.ROWS, *orphan_rows.ROWS),
    "What runs": cluster_rows.ROWS,
    "The whole": site_rows.ROWS,
}
OPERATIONS = tuple(row for rows in GROUPS.values() for row in rows)
BY_COMMAND = {operation.command: operation for operation in OPERATIONS}
