"""What Caelus may do in the cluster: an account of its own, its role, and how to use it.

Pure. The rules are what helm and kubectl ask for; tests/test_rbac.py holds them to it.
"""

NAME = "caelus"
_RBAC = "rbac.authorization.k8s.io"
GUIDE = """\
The account of Caelus in the cluster, with what it needs and no more. As the cluster's admin:

  caelus kube-rbac | kubectl apply --filename -

Then make a kubeconfig for Caelus out of the admin's own:

  umask 077
  kubectl wait -n caelus secret/caelus --for=jsonpath='{.data.token}' --timeout=60s
  kubectl get -n caelus secret/caelus --output=jsonpath='{.data.token}' | base64 -d >caelus.token
  kubectl config view --raw --minify --flatten >caelus.kubeconfig
  kubectl config --kubeconfig=caelus.kubeconfig unset users
  kubectl config --kubeconfig=caelus.kubeconfig set users.caelus.tokenFile "$PWD/caelus.token"
  kubectl config --kubeconfig=caelus.kubeconfig set-context --current --user=caelus
  KUBECONFIG=$PWD/caelus.kubeconfig caelus serve

Charts may hold the kinds that are listed here. For others, such as those of an operator, bind one
more ClusterRole with the same verbs to the account; CRDs and cluster-wide objects are for the
cluster's admin to install. A chart's Role can grant only what Caelus itself may do.

Charts go to namespaces that do not exist yet, so these rights are for all namespaces. Who can make
pods and read secrets everywhere is an admin in all but name: guard the token as you do an admin's.
"""
_ALL = ("create", "delete", "get", "list", "patch", "watch")
# (API group, resources, verbs)
_RULES = (
    ("", ("namespaces",), _ALL),
    # The fence around each.
    ("", ("limitranges", "resourcequotas"), ("create", "delete", "list", "patch")),
    # What charts hold; helm keeps its releases in secrets.
    ("", ("secrets",), (*_ALL, "update")),
    ("", ("configmaps", "persistentvolumeclaims", "pods", "serviceaccounts", "services"), _ALL),
    ("apps", ("daemonsets", "deployments", "statefulsets"), _ALL),
    ("autoscaling", ("horizontalpodautoscalers",), _ALL),
    ("batch", ("cronjobs", "jobs"), _ALL),
    ("networking.k8s.io", ("ingresses", "networkpolicies"), _ALL),
    ("policy", ("poddisruptionbudgets",), _ALL),
    (_RBAC, ("rolebindings", "roles"), _ALL),
    # Why something is not healthy.
    ("", ("events",), ("list",)),
    ("", ("pods/log",), ("get",)),
    ("apps", ("replicasets",), ("list",)),
    # What the site offers, for `caelus doctor`.
    ("networking.k8s.io", ("ingressclasses",), ("list",)),
    ("storage.k8s.io", ("storageclasses",), ("list",)),
)


def permissions() -> list[tuple[str, str, str]]:
    """All that the role allows, each as (API group, resource, verb)."""
    return [
        (group, resource, verb)
        for group, resources, verbs in _RULES
        for resource in resources
        for verb in verbs
    ]


def objects() -> list[dict]:
    """The namespace, account, token, role and binding, in the order to apply them in."""
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAME}
    rules = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
        for group, resources, verbs in _RULES
    ]
    token = {"kubernetes.io/service-account.name": NAME}
    return [
        _object("Namespace", "v1", None),
        _object("ServiceAccount", "v1"),
        _object("Secret", "v1", NAME, token) | {"type": "kubernetes.io/service-account-token"},
        _object("ClusterRole", f"{_RBAC}/v1", None) | {"rules": rules},
        _object("ClusterRoleBinding", f"{_RBAC}/v1", None)
        | {
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": NAME},
            "subjects": [account],
        },
    ]


def _object(kind: str, api: str, namespace: str | None = NAME, notes: dict | None = None) -> dict:
    metadata = {"name": NAME, "namespace": namespace, "annotations": notes}
    given = {name: value for name, value in metadata.items() if value is not None}
    return {"apiVersion": api, "kind": kind, "metadata": given}
