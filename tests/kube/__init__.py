"""A small Kubernetes API in this process that real helm and kubectl accept.

    with KubeServer() as kube:
        environment["KUBECONFIG"] = kube.kubeconfig(directory / "kubeconfig")

With kubernetes() in its place, a test runs on a real cluster where there is one.

Not here: tables, exec, scale, conflicts; schemas, so no `kubectl apply` of a List; and no
`kubectl create` of most kinds, which newer ones send in protobuf.
"""

import os

from tests.kube.errors import ApiError
from tests.kube.real import RealCluster
from tests.kube.server import KubeServer

__all__ = ["REAL", "ApiError", "KubeServer", "RealCluster", "kubernetes"]
REAL = os.environ.get("CAELUS_TEST_KUBECONFIG")


def kubernetes() -> KubeServer | RealCluster:
    """The cluster that CAELUS_TEST_KUBECONFIG names, or else the suite's own.

    Where a test's image is `fail:...`, or a version that there is not, the cluster's kubelet must
    treat images as pods.py does, which print as in podlogs.py; `never:...` can be pulled nowhere.
    """
    return RealCluster(REAL) if REAL else KubeServer()
