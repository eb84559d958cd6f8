"""What a kind of object is called in paths, bodies and messages; the kinds at the start."""

from typing import NamedTuple


class Resource(NamedTuple):
    group_version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.group_version.rpartition("/")[2]

    @property
    def title(self) -> str:
        """The name that error messages and conditions use: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_CLUSTER = False
_RBAC = "rbac.authorization.k8s.io/v1"

NAMESPACES = Resource("v1", "namespaces", "Namespace", _CLUSTER, ("ns",))
SECRETS = Resource("v1", "secrets", "Secret")
SERVICES = Resource("v1", "services", "Service", short_names=("svc",))
PODS = Resource("v1", "pods", "Pod", short_names=("po",))
EVENTS = Resource("v1", "events", "Event", short_names=("ev",))
CLAIMS = Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim", short_names=("pvc",))
QUOTAS = Resource("v1", "resourcequotas", "ResourceQuota", short_names=("quota",))
DEPLOYMENTS = Resource("apps/v1", "deployments", "Deployment", short_names=("deploy",))
REPLICA_SETS = Resource("apps/v1", "replicasets", "ReplicaSet", short_names=("rs",))
STATEFUL_SETS = Resource("apps/v1", "statefulsets", "StatefulSet", short_names=("sts",))
DAEMON_SETS = Resource("apps/v1", "daemonsets", "DaemonSet", short_names=("ds",))
JOBS = Resource("batch/v1", "jobs", "Job")
CRON_JOBS = Resource("batch/v1", "cronjobs", "CronJob", short_names=("cj",))
INGRESSES = Resource("networking.k8s.io/v1", "ingresses", "Ingress", short_names=("ing",))
INGRESS_CLASSES = Resource("networking.k8s.io/v1", "ingressclasses", "IngressClass", _CLUSTER)
STORAGE_CLASSES = Resource("storage.k8s.io/v1", "storageclasses", "StorageClass", _CLUSTER, ("sc",))
ROLES = Resource(_RBAC, "roles", "Role")
CLUSTER_ROLES = Resource(_RBAC, "clusterroles", "ClusterRole", _CLUSTER)
BINDINGS = Resource(_RBAC, "clusterrolebindings", "ClusterRoleBinding", _CLUSTER)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", _CLUSTER
)
DEFINITIONS = Resource(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    _CLUSTER,
    ("crd", "crds"),
)

BUILT_IN = (
    NAMESPACES,
    SECRETS,
    SERVICES,
    PODS,
    EVENTS,
    CLAIMS,
    QUOTAS,
    Resource("v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Resource("v1", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
    Resource("v1", "limitranges", "LimitRange", short_names=("limits",)),
    Resource("v1", "persistentvolumes", "PersistentVolume", _CLUSTER, ("pv",)),
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    Resource(
        "autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True, ("hpa",)
    ),
    INGRESSES,
    INGRESS_CLASSES,
    Resource("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", short_names=("netpol",)),
    Resource("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", short_names=("pdb",)),
    STORAGE_CLASSES,
    ROLES,
    Resource(_RBAC, "rolebindings", "RoleBinding"),
    CLUSTER_ROLES,
    BINDINGS,
    ACCESS_REVIEWS,
    DEFINITIONS,
)

# What `kubectl get all` shows.
IN_ALL = {
    PODS,
    SERVICES,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
}


def served_by(definition: dict) -> list[Resource]:
    """The kinds that a CustomResourceDefinition brings in, one for each version served."""
    spec = definition["spec"]
    names = spec["names"]
    return [
        Resource(
            f"{spec['group']}/{version['name']}",
            names["plural"],
            names["kind"],
            spec["scope"] == "Namespaced",
            tuple(names.get("shortNames") or ()),
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]
