"""The tables as Peewee models; `migrations/` makes them, indexes and all."""

import datetime
import functools
import json

import peewee

from caelus.database import database
from caelus.jsontext import compact
from caelus.lasting import Lasting

PROVISIONING, READY, ERROR, DELETING, DELETED = DEPLOYMENT_STATUSES = (
    "provisioning",
    "ready",
    "error",
    "deleting",
    "deleted",
)
QUEUED, RUNNING, DONE, FAILED = JOB_STATUSES = ("queued", "running", "done", "failed")
LARGE = 20_000  # characters of a document that is not kept in memory
KEEP = object()  # an argument that was left out: null is a value


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Id(peewee.AutoField):
    """An id that never comes back: SQLite alone would give the newest deleted one again."""

    def ddl(self, ctx):
        nodes = super().ddl(ctx)
        if isinstance(database.obj, peewee.SqliteDatabase):
            nodes.nodes.append(peewee.SQL("AUTOINCREMENT"))
        return nodes


class Utc(peewee.DateTimeField):
    """An aware UTC time; naive in the column, because the two databases differ on time zones."""

    def db_value(self, value):
        return value and value.astimezone(datetime.UTC).replace(tzinfo=None)

    def python_value(self, value):
        if isinstance(value, str):  # SQLite's; five times as fast as parsed without the zone
            return datetime.datetime.fromisoformat(f"{value}+00:00")
        return value and value.replace(tzinfo=datetime.UTC)


class Json(peewee.TextField):
    """A JSON document as text, so that it reads back the same from both databases."""

    def db_value(self, value):
        return None if value is None else compact(value)

    def python_value(self, value):
        return None if value is None else json.loads(value)


class Shared(Json):
    """A document that nobody changes: rows that have the same text have the same object."""

    def python_value(self, value):
        if value is None or len(value) > LARGE:
            return super().python_value(value)
        return _shared(value)


@functools.lru_cache(maxsize=64)
def _shared(text: str):
    document = json.loads(text)
    return Lasting(document) if isinstance(document, dict) else document


class Row(peewee.Model):
    id = Id()
    created_at = Utc(default=now)

    class Meta:
        database = database
        legacy_table_names = False


class User(Row):
    email = peewee.TextField()
    email_key = peewee.TextField()  # what makes it unique: folded to one case
    is_admin = peewee.BooleanField(default=False)
    deleted_at = Utc(null=True)

    class Meta:
        table_name = "users"


class Product(Row):
    name = peewee.TextField()
    description = peewee.TextField(null=True)
    template_id = peewee.IntegerField(null=True)  # no constraint: the tables would be a circle
    deleted_at = Utc(null=True)
    icon_digest = peewee.TextField(null=True)  # of its icon, null without one

    class Meta:
        table_name = "products"


class Icon(Row):
    """A product's icon: a row of its own, for products are read with each deployment."""

    product = peewee.ForeignKeyField(Product, unique=True)
    uri = peewee.TextField()

    class Meta:
        table_name = "icons"


class Template(Row):
    product = peewee.ForeignKeyField(Product)
    chart_ref = peewee.TextField()
    chart_version = peewee.TextField()
    chart_digest = peewee.TextField(null=True)
    version_label = peewee.TextField(null=True)
    default_values_json = Shared(null=True)
    values_schema_json = Shared(null=True)
    capabilities_json = Shared(null=True)
    health_timeout_sec = peewee.IntegerField(null=True)
    deleted_at = Utc(null=True)
    secrets = peewee.TextField(null=True)  # encrypted: of the default values, by JSON Pointer

    class Meta:
        table_name = "templates"


class Deployment(Row):
    user = peewee.ForeignKeyField(User)
    desired_template = peewee.ForeignKeyField(Template)
    applied_template = peewee.ForeignKeyField(Template, null=True)
    domainname = peewee.TextField()
    user_values_json = Json(null=True)
    deployment_uid = peewee.TextField()
    status = peewee.TextField()
    generation = peewee.IntegerField(default=1)
    last_error = peewee.TextField(null=True)
    last_reconcile_at = Utc(null=True)
    deleted_at = Utc(null=True)
    cause = Json(null=True)  # of last_error: {code, object, message, hint}
    applied_revision = peewee.IntegerField(null=True)  # helm's, of what Caelus applied last
    compared_at = Utc(null=True)  # when its manifest was last compared with the live objects
    # The revision that our own helm made last, from when, and until when (null: it was killed, or
    # goes on): a lock of that revision and time is ours. By the clock of who ran that helm.
    acting_revision = peewee.IntegerField(null=True)
    acting_since = Utc(null=True)
    acting_until = Utc(null=True)
    secrets = peewee.TextField(null=True)  # encrypted: of the user, and what was generated
    fence = peewee.TextField(null=True)  # the digest of what fences its namespace, null: unknown
    # Its generation in the backup that was restored, until it was compared with the cluster.
    restored_generation = peewee.IntegerField(null=True)

    class Meta:
        table_name = "deployments"


class Job(Row):
    deployment = peewee.ForeignKeyField(Deployment)
    reason = peewee.TextField()
    status = peewee.TextField(default=QUEUED)
    run_after = Utc(default=now)
    attempt = peewee.IntegerField(default=0)  # how often it was started
    futile = peewee.IntegerField(default=0)  # how often it failed where only a change can help
    locked_by = peewee.TextField(null=True)
    locked_at = Utc(null=True)
    lease_until = Utc(null=True)  # until then the job is its worker's
    last_error = peewee.TextField(null=True)
    updated_at = Utc(default=now)
    cause = Json(null=True)
    request_id = peewee.TextField(null=True)  # of the request that asked for it

    class Meta:
        table_name = "jobs"


class Event(Row):
    """What happened; rows are only added (see `audit`), and pruned when they are old."""

    deployment = peewee.ForeignKeyField(Deployment, null=True)
    type = peewee.TextField()
    actor = peewee.TextField()
    message = peewee.TextField()
    cause = Json(null=True)
    token = peewee.TextField(null=True)  # the name of the one that the actor used
    address = peewee.TextField(null=True)  # where the request came from
    hash = peewee.TextField(null=True)  # over this row and the hash of the one before

    class Meta:
        table_name = "events"


class Audit(Row):
    """The one row that remembers where the chain of events begins and ends."""

    pruned_id = peewee.IntegerField(default=0)  # the last event that was pruned
    pruned_hash = peewee.TextField(default="")
    newest_id = peewee.IntegerField(default=0)
    newest_hash = peewee.TextField(default="")

    class Meta:
        table_name = "audit"


class Token(Row):
    """An API token; its text is nowhere."""

    user = peewee.ForeignKeyField(User)
    name = peewee.TextField()
    hash = peewee.TextField()
    last_used_at = Utc(null=True)
    expires_at = Utc(null=True)
    deleted_at = Utc(null=True)

    class Meta:
        table_name = "tokens"


class LoginLink(Row):
    """A link that logs a browser in once; without a user, the one that makes the first admin."""

    user = peewee.ForeignKeyField(User, null=True)
    hash = peewee.TextField()
    expires_at = Utc()
    used_at = Utc(null=True)

    class Meta:
        table_name = "login_links"


class Session(Row):
    """A browser that is logged in."""

    user = peewee.ForeignKeyField(User)
    hash = peewee.TextField()
    expires_at = Utc()
    last_seen_at = Utc()

    class Meta:
        table_name = "sessions"


class Sweep(Row):
    """When what one process does for all was last begun, so that only one does it at a time."""

    name = peewee.TextField()
    started_at = Utc()

    class Meta:
        table_name = "sweeps"


class Tally(Row):
    """How often something was done; see `tallies`."""

    what = peewee.TextField()
    reason = peewee.TextField()
    cause = peewee.TextField()
    upto = peewee.IntegerField()  # the bound of a histogram, in seconds
    count = peewee.IntegerField()
    seconds = peewee.DoubleField()

    class Meta:
        table_name = "tallies"


class ClusterMark(Row):
    """The one row that says which kind of cluster the states are about, once there are any."""

    is_simulated = peewee.BooleanField()

    class Meta:
        table_name = "cluster_marks"


MODELS = (
    User,
    Product,
    Icon,
    Template,
    Deployment,
    Job,
    Event,
    Sweep,
    Audit,
    Token,
    LoginLink,
    Session,
    Tally,
    ClusterMark,
)
# The indexes without which two rows could have what only one may have.
UNIQUE = frozenset(
    (
        "users_email_alive",
        "products_name_alive",
        "icons_product_id",
        "templates_chart_alive",
        "deployments_uid",
        "deployments_domain_alive",
        "jobs_one_open",
        "tokens_hash",
        "login_links_hash",
        "sessions_hash",
        "sweeps_name",
        "tallies_row",
    )
)


def alive(model):
    """Those rows of a model that are not deleted."""
    return model.select().where(model.deleted_at.is_null())
