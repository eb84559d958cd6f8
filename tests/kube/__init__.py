"""A small Kubernetes API in this process that real helm and kubectl accept.

    with KubeServer() as kube:
        environment["KUBECONFIG"] = kube.kubeconfig(directory / "kubeconfig")

Not here: tables, exec, scale, conflicts; schemas, so no `kubectl apply` of a List; and no
`kubectl create` of most kinds, which newer ones send in protobuf.
"""

from tests.kube.errors import ApiError
from tests.kube.server import KubeServer

__all__ = ["ApiError", "KubeServer"]
