"""The first schema: users, products, templates, deployments, jobs, events; rules as indexes."""

from caelus.migrate import id_column

TABLES = """
CREATE TABLE users (
    id {id},
    created_at {time} NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    deleted_at {time}
);
CREATE UNIQUE INDEX users_email_alive ON users (email_key) WHERE deleted_at IS NULL;

CREATE TABLE products (
    id {id},
    created_at {time} NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    template_id INTEGER,
    deleted_at {time}
);
CREATE UNIQUE INDEX products_name_alive ON products (name) WHERE deleted_at IS NULL;

CREATE TABLE templates (
    id {id},
    created_at {time} NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products (id),
    chart_ref TEXT NOT NULL,
    chart_version TEXT NOT NULL,
    chart_digest TEXT,
    version_label TEXT,
    default_values_json TEXT,
    values_schema_json TEXT,
    capabilities_json TEXT,
    health_timeout_sec INTEGER,
    deleted_at {time}
);
CREATE INDEX template_product_id ON templates (product_id);
CREATE UNIQUE INDEX templates_chart_alive ON templates (product_id, chart_ref, chart_version)
    WHERE deleted_at IS NULL;

CREATE TABLE deployments (
    id {id},
    created_at {time} NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users (id),
    desired_template_id INTEGER NOT NULL REFERENCES templates (id),
    applied_template_id INTEGER REFERENCES templates (id),
    domainname TEXT NOT NULL,
    user_values_json TEXT,
    deployment_uid TEXT NOT NULL,
    status TEXT NOT NULL,
    generation INTEGER NOT NULL,
    last_error TEXT,
    last_reconcile_at {time},
    deleted_at {time},
    cause TEXT,
    applied_revision INTEGER,
    compared_at {time}
);
CREATE INDEX deployment_user_id ON deployments (user_id);
CREATE INDEX deployment_desired_template_id ON deployments (desired_template_id);
CREATE INDEX deployment_applied_template_id ON deployments (applied_template_id);
CREATE UNIQUE INDEX deployments_uid ON deployments (deployment_uid);
CREATE UNIQUE INDEX deployments_domain_alive ON deployments (domainname) WHERE status <> 'deleted';

CREATE TABLE jobs (
    id {id},
    created_at {time} NOT NULL,
    deployment_id INTEGER NOT NULL REFERENCES deployments (id),
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    run_after {time} NOT NULL,
    attempt INTEGER NOT NULL,
    locked_by TEXT,
    locked_at {time},
    lease_until {time},
    last_error TEXT,
    updated_at {time} NOT NULL,
    cause TEXT
);
CREATE INDEX job_deployment_id ON jobs (deployment_id);
CREATE INDEX jobs_due ON jobs (run_after, id) WHERE status = 'queued';
CREATE INDEX jobs_running ON jobs (id) WHERE status = 'running';
CREATE UNIQUE INDEX jobs_one_open ON jobs (deployment_id) WHERE status IN ('queued', 'running');

CREATE TABLE events (
    id {id},
    created_at {time} NOT NULL,
    deployment_id INTEGER REFERENCES deployments (id),
    type TEXT NOT NULL,
    actor TEXT NOT NULL,
    message TEXT NOT NULL,
    cause TEXT
);
CREATE INDEX event_deployment_id ON events (deployment_id);
CREATE INDEX events_age ON events (created_at);

CREATE TABLE sweeps (
    id {id},
    created_at {time} NOT NULL,
    name TEXT NOT NULL,
    started_at {time} NOT NULL
);
CREATE UNIQUE INDEX sweeps_name ON sweeps (name)
"""


def migrate(migrator, database, fake=False, **kwargs):
    for statement in TABLES.format(**id_column(database)).split(";"):
        migrator.sql(statement)
