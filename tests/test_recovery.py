"""The recovery table, row by row."""

import itertools

import pytest

from caelus.recovery import STATUSES, Action, Revision, Wanted, after_failure, decide, status_of

TABLE = {
    # status: (what is wanted is apply, what is wanted is delete)
    "none": (Action.INSTALL, Action.DELETE_NAMESPACE),
    "deployed": (Action.UPGRADE, Action.UNINSTALL),
    "failed": (Action.UPGRADE, Action.UNINSTALL),
    "superseded": (Action.UPGRADE, Action.UNINSTALL),
    "pending-install": (Action.UNLOCK, Action.UNINSTALL),
    "pending-upgrade": (Action.UNLOCK, Action.UNINSTALL),
    "pending-rollback": (Action.UNLOCK, Action.UNINSTALL),
    "uninstalling": (Action.UNLOCK, Action.UNINSTALL),
    "unknown": (Action.UNLOCK, Action.UNINSTALL),
}


def test_the_table_has_every_status():
    assert set(TABLE) == set(STATUSES)


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_exactly_one_action(status):
    apply, delete = TABLE[status]
    assert decide(status, Wanted.APPLY) == apply
    assert decide(status, Wanted.DELETE) == delete


def test_nothing_is_taken_away_that_should_live():
    taking_away = {Action.UNINSTALL, Action.DELETE_NAMESPACE}
    assert not taking_away & {decide(status, Wanted.APPLY) for status in STATUSES}
    for history, healthy, keep in itertools.product(
        ([], [Revision(1, "failed")], [Revision(1, "deployed"), Revision(2, "failed")]),
        (True, False),
        (True, False),
    ):
        assert after_failure(history, healthy, keep) not in taking_away


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([], "none"),
        (["superseded", "deployed"], "deployed"),
        (["deployed", "pending-upgrade"], "pending-upgrade"),
        (["odd"], "unknown"),
    ],
)
def test_the_newest_revision_is_the_releases_status(statuses, status):
    history = [Revision(n, s) for n, s in enumerate(statuses, 1)]
    assert status_of(history) == status
    assert status_of(history[::-1]) == status


@pytest.mark.parametrize(
    ("statuses", "was_healthy", "keep", "action"),
    [
        (["deployed", "failed"], True, False, Action.ROLLBACK),
        (["deployed", "failed"], True, True, Action.KEEP),
        (["deployed", "failed"], False, False, Action.KEEP),
        (["failed", "failed"], True, False, Action.KEEP),
        (["deployed"], True, False, Action.KEEP),
        ([], True, False, Action.KEEP),
    ],
)
def test_only_a_failed_upgrade_of_what_was_healthy_is_rolled_back(
    statuses, was_healthy, keep, action
):
    history = [Revision(n, s) for n, s in enumerate(statuses, 1)]
    assert after_failure(history, was_healthy, keep) == action
