"""One operation, whoever asks: REST and CLI both come through `dispatch`.

It checks who asks and the input, does what must come before a transaction, opens the transaction,
calls the service and shows what it gives.
"""

import contextlib
import logging

from caelus import access, documents, events, jobs, jsontext, naming, tracing, validation
from caelus.actors import Actor
from caelus.database import give_back, session, transaction
from caelus.errors import Invalid
from caelus.operation import Operation, whole_id

log = logging.getLogger("caelus.dispatch")


class Undone(Exception):
    """Ends the transaction of a dry run."""


def dispatch(operation: Operation, actor: Actor, arguments: dict, dry_run: bool = False):
    """Do `operation` for `actor`; gives the document to show.

    `arguments` are the path's ids, as text, with the fields of the body or query. In a dry run all
    is checked and done, shown, and undone. Raises CaelusError.
    """
    access.admit(operation, actor, arguments)
    given = dict(arguments)
    ids = {name: whole_id(name.removesuffix("_id"), given.pop(name)) for name in operation.ids}
    _check(operation, given)
    if operation.before is not dict:
        give_back()  # what may take long needs no connection
    ready = operation.before(**ids, **given)
    with session():
        if not operation.changes:
            return _show(operation, operation.service(**ready))
        with contextlib.suppress(Undone), transaction(), _author(actor):
            document = _show(operation, operation.service(**ready))
            if dry_run:
                raise Undone
    if dry_run:
        return document
    tracing.note(deployment=document.get("deployment_uid"))
    # Only now: a worker that is woken earlier would not see the job.
    jobs.wakeup.call()
    log.info("%s: %s %d, by %s", operation.command, operation.shows, document["id"], actor)
    return document


def _author(actor: Actor):
    return events.by(str(actor), actor.token, actor.address)


def _show(operation: Operation, result):
    shown = documents.SHOWN[operation.shows]
    return [shown(row) for row in result] if operation.many else shown(result)


def _check(operation: Operation, given: dict) -> None:
    if not given and not operation.input["required"]:
        return  # most requests: jsonschema need not be imported for them
    jsontext.check(given)
    errors = validation.input_errors(operation.input, given)
    if errors:
        raise Invalid(*((naming.dotted(path), message) for path, message in errors))
