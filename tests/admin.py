"""The admin that the tests are over HTTP.

His id is 0, so that those of the tests' own users begin with 1; lists show him unless `after=0`.
"""

import hashlib

TOKEN = "caelus_tests"
BEARER = f"Bearer {TOKEN}"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
ROWS = (
    "INSERT INTO users (id, created_at, email, email_key, is_admin) "
    "VALUES (0, '2026-01-01 00:00:00', 'root@example.org', 'root@example.org', true) "
    "ON CONFLICT DO NOTHING",
    "INSERT INTO tokens (id, created_at, user_id, name, hash) "
    f"VALUES (0, '2026-01-01 00:00:00', 0, 'tests', '{DIGEST}') ON CONFLICT DO NOTHING",
)
