"""The commands about the machine; each module imports what is heavy when a command is run.

Written by hand, because they are not "document in, document out": a name, its usage text, and the
function that takes docopt's words and gives an exit code.
"""

from caelus import (
    backup_commands,
    cluster_commands,
    database_commands,
    demo_commands,
    doctor_commands,
    serve_commands,
    service_commands,
)

COMMANDS = {
    **serve_commands.COMMANDS,
    **demo_commands.COMMANDS,
    **doctor_commands.COMMANDS,
    **database_commands.COMMANDS,
    **backup_commands.COMMANDS,
    **cluster_commands.COMMANDS,
    **service_commands.COMMANDS,
}
