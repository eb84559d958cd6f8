"""A short look into a deployment's namespace, while somebody waits for the answer.

No transaction is open meanwhile, and what a request can take of the API's few threads is bounded:
how long it takes, and how many look at a time.
"""

import contextlib
import threading

from caelus import config, deployments, redact, tracing
from caelus.database import session
from caelus.errors import ClusterUnavailable
from caelus.models import Deployment
from caelus.process import ToolError, Tools

MOST, PATIENCE_SECONDS = 2, 1  # who look at a time, and what the next one waits for that
_room = threading.BoundedSemaphore(MOST)


def subject(user_id: int, deployment_id: int) -> Deployment:
    """The deployment that is to be looked at."""
    with session():
        found = deployments.get(user_id=user_id, deployment_id=deployment_id)
    tracing.note(deployment=found.deployment_uid)
    return found


@contextlib.contextmanager
def into(deployment: Deployment):
    """The tools to look with. Raises ClusterUnavailable where they fail."""
    if not _room.acquire(timeout=PATIENCE_SECONDS):
        raise ClusterUnavailable(
            "others are looking at the cluster, which takes its time; try again"
        )
    try:
        yield Tools(config.load())
    except ToolError as e:
        with session():
            detail = redact.scrub(e.detail, deployment)
        raise ClusterUnavailable(detail) from None
    finally:
        _room.release()
