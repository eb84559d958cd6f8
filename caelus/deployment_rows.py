"""The rows of the table of operations that are about deployments, their events and jobs."""

from caelus import deployments, events, jobs, schemas
from caelus.operation import Access, Operation
from caelus.schemas import NEWEST_FIRST, PAGE, fields

DEPLOYMENT_FIELDS = {
    "desired_template_id": schemas.ID,
    "domainname": schemas.DOMAIN,
    "user_values_json": schemas.OPTIONAL_OBJECT,
}
EVENT_FILTERS = {"type": schemas.TYPE, "search": schemas.SEARCH}

ROWS = (
    Operation(
        command="create-deployment",
        route="POST /users/{user_id}/deployments",
        access=Access.OWNER,
        service=deployments.create,
        shows="Deployment",
        status=201,
        input=fields("desired_template_id domainname", **DEPLOYMENT_FIELDS),
        waits=True,
        usage="""Give a user an instance of a template. It becomes ready in the background.

Usage:
  caelus create-deployment --user-id=ID --desired-template-id=ID --domainname=NAME
         [--user-values-json=TEXT | --user-values-file=PATH]
         [--wait [--timeout=SECONDS]]

Options:
  --user-id=ID              The user whose deployment it is.
  --desired-template-id=ID  The template.
  --domainname=NAME         The host name, which no other deployment has.
  --user-values-json=TEXT   What the user sets, a JSON object.
  --user-values-file=PATH   The same from a YAML or JSON file; - is standard input.
  --wait                    Stay until it is ready, or it is known why not (exit code 1).
  --timeout=SECONDS         Wait no longer than that; without end if left out.

Example:
  caelus create-deployment --user-id=1 --desired-template-id=1 --domainname=ada.example.org
""",
    ),
    Operation(
        command="list-deployments",
        route="GET /users/{user_id}/deployments",
        access=Access.OWNER,
        service=deployments.find,
        shows="Deployment",
        many=True,
        input=fields(status=schemas.STATUS, search=schemas.SEARCH, **PAGE),
        words={"USER": "user_id"},
        usage="""List the deployments of a user, in order of their ids.

Usage:
  caelus list-deployments USER [--status=S] [--search=TEXT] [--limit=N] [--after=ID]

Options:
  --status=S     provisioning, ready, error, deleting, or deleted (left out otherwise).
  --search=TEXT  Those with it in their domain or their product's name.
  --limit=N      List at most N.
  --after=ID     Those with a greater id: the last one of the page before.

Example:
  caelus list-deployments 1 --status=error
""",
    ),
    Operation(
        command="get-deployment",
        route="GET /users/{user_id}/deployments/{deployment_id}",
        access=Access.OWNER,
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
        access=Access.OWNER,
        service=deployments.update,
        shows="Deployment",
        input=fields(**DEPLOYMENT_FIELDS),
        waits=True,
        usage="""Upgrade a deployment to a newer template, or change its values or domain.

Usage:
  caelus update-deployment --user-id=ID --deployment-id=ID [--desired-template-id=ID]
         [--domainname=NAME] [--user-values-json=TEXT | --user-values-file=PATH]
         [--wait [--timeout=SECONDS]]

Options:
  --user-id=ID              The user whose deployment it is.
  --deployment-id=ID        The deployment.
  --desired-template-id=ID  A newer template of the same product.
  --domainname=NAME         A new host name.
  --user-values-json=TEXT   What the user sets, a JSON object, in place of what was set before.
  --user-values-file=PATH   The same from a YAML or JSON file; - is standard input.
  --wait                    Stay until it is ready, or it is known why not (exit code 1).
  --timeout=SECONDS         Wait no longer than that; without end if left out.

Example:
  caelus update-deployment --user-id=1 --deployment-id=1 --desired-template-id=2
""",
    ),
    Operation(
        command="delete-deployment",
        route="DELETE /users/{user_id}/deployments/{deployment_id}",
        access=Access.OWNER,
        service=deployments.delete,
        shows="Deployment",
        status=204,
        words={"USER": "user_id", "ID": "deployment_id"},
        waits=True,
        usage="""Remove a deployment with all its data, in the background.

Usage:
  caelus delete-deployment USER ID [--wait [--timeout=SECONDS]]

Options:
  --wait             Stay until it is gone, or it is known why not (exit code 1).
  --timeout=SECONDS  Wait no longer than that; without end if left out.
""",
    ),
    Operation(
        command="retry-deployment",
        route="POST /users/{user_id}/deployments/{deployment_id}/retry",
        access=Access.OWNER,
        service=deployments.retry,
        shows="Deployment",
        status=202,
        words={"USER": "user_id", "ID": "deployment_id"},
        waits=True,
        usage="""Try a failed deployment again now.

Usage:
  caelus retry-deployment USER ID [--wait [--timeout=SECONDS]]

Options:
  --wait             Stay until it has succeeded, or it is known why not (exit code 1).
  --timeout=SECONDS  Wait no longer than that; without end if left out.
""",
    ),
    Operation(
        command="forget-deployment",
        route="POST /users/{user_id}/deployments/{deployment_id}/forget",
        access=Access.ADMIN,
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
        access=Access.OWNER,
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
        access=Access.OWNER,
        service=deployments.find_events,
        shows="Event",
        many=True,
        input=fields(**EVENT_FILTERS, **NEWEST_FIRST),
        words={"USER": "user_id", "ID": "deployment_id"},
        usage="""List what happened to a deployment, newest first.

Usage:
  caelus list-events USER ID [--type=TYPE] [--search=TEXT] [--limit=N] [--before=ID]

Options:
  --type=TYPE    Those of one type, such as failed.
  --search=TEXT  Those with it in their message.
  --limit=N      List at most N.
  --before=ID    Those with a smaller id: the last one of the page before.
""",
    ),
    Operation(
        command="list-all-events",
        route="GET /events",
        access=Access.ADMIN,
        service=events.find,
        shows="AuditEvent",
        many=True,
        input=fields(deployment_id=schemas.ID, **EVENT_FILTERS, **NEWEST_FIRST),
        usage="""List all that happened, by whom and from where, newest first.

Usage:
  caelus list-all-events [--type=TYPE] [--deployment-id=ID] [--search=TEXT]
         [--limit=N] [--before=ID]

Options:
  --type=TYPE         Those of one type, such as refused or logged_in.
  --deployment-id=ID  Those of one deployment.
  --search=TEXT       Those with it in their message.
  --limit=N           List at most N.
  --before=ID         Those with a smaller id: the last one of the page before.
""",
    ),
    Operation(
        command="list-all-deployments",
        route="GET /deployments",
        access=Access.ADMIN,
        service=deployments.find_all,
        shows="Deployment",
        many=True,
        input=fields(status=schemas.STATUS, product_id=schemas.ID, search=schemas.SEARCH, **PAGE),
        usage="""List the deployments of all users, in order of their ids.

Usage:
  caelus list-all-deployments [--status=S] [--product-id=ID] [--search=TEXT]
         [--limit=N] [--after=ID]

Options:
  --status=S       provisioning, ready, error, deleting, or deleted (left out otherwise).
  --product-id=ID  Those of one product.
  --search=TEXT    Those with it in their domain, their deployment_uid or their user's e-mail.
  --limit=N        List at most N.
  --after=ID       Those with a greater id: the last one of the page before.

Example:
  caelus list-all-deployments --status=error
""",
    ),
    Operation(
        command="list-jobs",
        route="GET /jobs",
        access=Access.ADMIN,
        service=jobs.find,
        shows="Job",
        many=True,
        input=fields(
            status=schemas.JOB_STATUS,
            deployment_id=schemas.ID,
            before=schemas.NEWEST_FIRST["before"],
            **PAGE,
        ),
        usage="""List the jobs of the reconcile queue, in order of their ids.

Usage:
  caelus list-jobs [--status=S] [--deployment-id=ID] [--limit=N] [--after=ID] [--before=ID]

Options:
  --status=S          queued, running, done or failed.
  --deployment-id=ID  Those of one deployment.
  --limit=N           List at most N.
  --after=ID          Those with a greater id: the last one of the page before.
  --before=ID         Those with a smaller id, newest first.
""",
    ),
)
