"""A shop to be asked for odd things, and what its answers must be like."""

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as bounded

from tests import orphan_stub
from tests.conftest import TEMPLATE

MEGABYTE = 1024 * 1024
few = bounded(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def orphan(tmp_path, monkeypatch):
    """A cluster that has one, for what is well formed."""
    for name, value in orphan_stub.settings(tmp_path).items():
        monkeypatch.setenv(name, value)


FULL = {
    "create-user": {"email": "x@example.org"},
    "update-user": {"is_admin": True},
    "create-token": {"name": "x"},
    "create-product": {"name": "X"},
    "update-product": {"description": "X", "icon": None},
    "create-template": TEMPLATE | {"chart_version": "9"},
    "create-deployment": {"desired_template_id": 1, "domainname": "x.example.org"},
    "update-deployment": {"domainname": "x.example.org"},
    "adopt": {"namespace": orphan_stub.UID, "user_id": 1, "template_id": 2},
}
