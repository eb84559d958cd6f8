"""Icons of products, in a table of their own: a product is read with each of its deployments."""

from caelus.migrate import id_column

TABLE = """CREATE TABLE icons (
    id {id},
    created_at {time} NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products (id),
    uri TEXT NOT NULL
)"""


def migrate(migrator, database, fake=False, **kwargs):
    migrator.sql("ALTER TABLE products ADD COLUMN icon_digest TEXT")
    migrator.sql(TABLE.format(**id_column(database)))
    migrator.sql("CREATE UNIQUE INDEX icons_product_id ON icons (product_id)")
