"""What Caelus may do in the cluster: an account of its own, its roles, and how to use it.

Pure. The rules are what helm and kubectl ask for, to which tests/test_rbac.py holds them, and what
charts give their own pods: Kubernetes lets nobody grant what they may not do themselves.
"""

NAME = "caelus"
CHARTS = "caelus-charts"
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
cluster's admin to install.

A chart's Role can grant its pods only what Caelus itself may do. The ClusterRole caelus-charts has
what ordinary Roles grant, such as those for leader election; without such charts, leave it out.
A Role with more (pods/exec, say, or a verb or resource "*") is refused, and the deployment's error
names the rule: bind one more ClusterRole with that very rule to the account.

Charts go to namespaces that do not exist yet, so these rights are for all namespaces. Who can make
pods and read secrets everywhere is an admin in all but name: guard the token as you do an admin's.
"""
_READ = ("get", "list", "watch")
_ALL = ("create", "delete", *_READ, "patch")
_EVERY = (*_ALL, "deletecollection", "update")  # more verbs, no more power
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
_OF_CHARTS = (
    ("", ("configmaps", "persistentvolumeclaims", "pods", "secrets"), _EVERY),
    ("", ("events", "serviceaccounts", "services"), _EVERY),
    ("", ("endpoints", "pods/log", "pods/status"), _READ),
    ("apps", ("daemonsets", "deployments", "replicasets", "statefulsets"), _EVERY),
    ("autoscaling", ("horizontalpodautoscalers",), _EVERY),
    ("batch", ("cronjobs", "jobs"), _EVERY),
    ("coordination.k8s.io", ("leases",), _EVERY),
    ("discovery.k8s.io", ("endpointslices",), _READ),
    ("events.k8s.io", ("events",), _EVERY),
    ("networking.k8s.io", ("ingresses", "networkpolicies"), _EVERY),
    ("policy", ("poddisruptionbudgets",), _EVERY),
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
    """The namespace, account, token, roles and bindings, in the order to apply them in."""
    token = {"kubernetes.io/service-account.name": NAME}
    return [
        _object("Namespace", "v1", None),
        _object("ServiceAccount", "v1"),
        _object("Secret", "v1", NAME, token) | {"type": "kubernetes.io/service-account-token"},
        *_granted(NAME, _RULES),
        *_granted(CHARTS, _OF_CHARTS),
    ]


def _granted(name: str, rules: tuple) -> list[dict]:
    """A ClusterRole of this name, and its binding to the account."""
    spelled = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
        for group, resources, verbs in rules
    ]
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAME}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    return [
        _object("ClusterRole", f"{_RBAC}/v1", None, name=name) | {"rules": spelled},
        _object("ClusterRoleBinding", f"{_RBAC}/v1", None, name=name)
        | {"roleRef": role, "subjects": [account]},
    ]


def _object(
    kind: str, api: str, namespace: str | None = NAME, notes: dict | None = None, name: str = NAME
) -> dict:
    metadata = {"name": name, "namespace": namespace, "annotations": notes}
    given = {key: value for key, value in metadata.items() if value is not None}
    return {"apiVersion": api, "kind": kind, "metadata": given}
