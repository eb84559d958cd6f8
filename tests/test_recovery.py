"""The recovery table, row by row."""

import datetime
import itertools

import pytest

from caelus.recovery import (
    STATUSES,
    Action,
    Revision,
    Wanted,
    decide,
    is_held,
    last_good,
    made,
    status_of,
)

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
TABLE = {
    # status: what is done to apply, to delete, and to restore what once was healthy
    "none": (Action.INSTALL, Action.DELETE_NAMESPACE, Action.KEEP),
    "deployed": (Action.UPGRADE, Action.UNINSTALL, Action.KEEP),
    "failed": (Action.UPGRADE, Action.UNINSTALL, Action.ROLLBACK),
    "superseded": (Action.UPGRADE, Action.UNINSTALL, Action.ROLLBACK),
    "pending-install": (Action.UNLOCK, Action.UNINSTALL, Action.ROLLBACK),
    "pending-upgrade": (Action.UNLOCK, Action.UNINSTALL, Action.ROLLBACK),
    "pending-rollback": (Action.UNLOCK, Action.UNINSTALL, Action.ROLLBACK),
    "uninstalling": (Action.UNLOCK, Action.UNINSTALL, Action.KEEP),
    "unknown": (Action.UNLOCK, Action.UNINSTALL, Action.KEEP),
}


def test_the_table_has_every_status():
    assert set(TABLE) == set(STATUSES)


@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_exactly_one_action(status, healthy):
    apply, delete, restore = TABLE[status]
    assert decide(status, Wanted.APPLY, healthy) == apply
    assert decide(status, Wanted.DELETE, healthy) == delete
    # A failed first install is retried in place: undoing it would take its volumes along.
    assert decide(status, Wanted.RESTORE, healthy) == (restore if healthy else Action.KEEP)


def test_nothing_is_taken_away_that_should_live():
    taking_away = {Action.UNINSTALL, Action.DELETE_NAMESPACE}
    for status, wanted, healthy in itertools.product(STATUSES, Wanted, (True, False)):
        assert wanted == Wanted.DELETE or decide(status, wanted, healthy) not in taking_away


def revisions(*statuses: str) -> list[Revision]:
    return [Revision(n, status) for n, status in enumerate(statuses, 1)]


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
    history = revisions(*statuses)
    assert status_of(history) == status
    assert status_of(history[::-1]) == status


@pytest.mark.parametrize(
    ("statuses", "applied", "good"),
    [
        (["deployed", "failed"], 1, 1),
        (["superseded", "superseded", "deployed", "failed"], 2, 3),
        # A kill at the end of a rollback: the old one is superseded, the new one not yet deployed.
        (["superseded", "failed", "failed"], 1, 1),
        (["superseded", "superseded", "failed"], 1, 1),
        # Helm 4 leaves a failed one superseded where a rollback from it fails.
        (["superseded", "superseded", "failed"], None, None),
        (["superseded", "failed"], 7, None),
        (["failed", "failed"], None, None),
        (["failed"], 1, None),
        ([], 1, None),
    ],
)
def test_what_is_gone_back_to_was_once_healthy(statuses, applied, good):
    assert last_good(revisions(*statuses), applied) == good


def ago(minutes: float) -> datetime.datetime:
    return NOON - datetime.timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("since", "begun", "ended", "held"),
    [
        (ago(5), None, None, True),
        (ago(61), None, None, False),  # nobody waits for so long
        (ago(5), ago(6), None, False),  # made by an attempt that was killed,
        (ago(5), ago(6), ago(4), False),  # or that ended with the cluster gone
        (ago(5), ago(4), None, True),  # it was there before,
        (ago(5), ago(9), ago(6), True),  # or came after
        (None, None, None, False),
    ],
)
def test_whose_a_lock_is_is_told_by_its_time(since, begun, ended, held):
    assert is_held(since, begun, ended, NOON) == held


@pytest.mark.parametrize(
    ("ages", "expected", "number"),
    [
        ([9, 2], 2, 2),  # as was thought
        ([9, 2, 1], 2, 2),  # somebody else came after
        ([9, 7, 2], 2, 3),  # somebody else had made that one before
        ([2], 7, 1),  # it had been uninstalled meanwhile
        ([9, 7], 3, None),  # killed before it made any
        ([9, None], 2, 2),
        ([], 1, None),
    ],
)
def test_which_revision_a_killed_helm_made_is_told_by_its_time(ages, expected, number):
    history = [Revision(n, "superseded", age and ago(age)) for n, age in enumerate(ages, 1)]
    assert made(history, expected, begun=ago(5)) == number
