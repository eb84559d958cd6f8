"""The table of all operations. REST, CLI, OpenAPI and `--help` are read from it.

A new operation is its service function and one row in the module of its noun.
"""

from caelus import deployment_rows, product_rows, user_rows

OPERATIONS = user_rows.ROWS + product_rows.ROWS + deployment_rows.ROWS
BY_COMMAND = {operation.command: operation for operation in OPERATIONS}
