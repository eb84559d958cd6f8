"""The suite's own Kubernetes API, as real helm 3 and 4 see it."""

import json

from tests.kube import ApiError
from tests.kube_scenes import CHART, claim, config_map, job, names, workload
from tests.kube_scenes import namespace as namespace
from tests.kube_scenes import shell as shell


def container(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]


def condition(obj, type_):
    return next(c for c in obj["status"]["conditions"] if c["type"] == type_)


# The life of a release


def test_an_install_that_waits_ends_with_running_pods(shell, kube):
    shell.upgrade({"replicas": 2}, "--wait", "--timeout", "20s")
    assert shell.release()["info"]["status"] == "deployed"
    (deployment,) = kube.objects("apps/v1", "deployments", "apps")
    assert deployment["status"]["availableReplicas"] == 2
    pods = kube.objects("v1", "pods", "apps")
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in pods)


def test_pods_are_owned_by_a_replica_set_and_that_by_its_deployment(shell, kube):
    shell.upgrade()
    (deployment,) = kube.objects("apps/v1", "deployments")
    (replica_set,) = kube.objects("apps/v1", "replicasets")
    (pod,) = kube.objects("v1", "pods")
    for owned, owner in [(pod, replica_set), (replica_set, deployment)]:
        (reference,) = owned["metadata"]["ownerReferences"]
        assert reference["uid"] == owner["metadata"]["uid"] and reference["controller"]


def test_an_upgrade_with_values_on_stdin_changes_the_objects(shell, kube):
    shell.upgrade({"message": "one"})
    shell.upgrade({"message": "two 🙂"}, "--wait", "--timeout", "20s")
    (settings,) = [m for m in kube.objects("v1", "configmaps") if m["metadata"]["name"] == "web"]
    assert settings["data"] == {"index.html": "two 🙂"}
    assert json.loads(shell.helm("get", "values", "web", "-o", "json")) == {"message": "two 🙂"}
    assert len(kube.objects("v1", "pods")) == 1, "the new pod takes the old one's place"


def test_an_upgrade_takes_away_dropped_objects_and_list_items(shell, kube):
    hosts = [{"host": "a.example.org"}, {"host": "b.example.org"}]
    more = {"persistence": {"enabled": True}, "ingress": {"enabled": True, "hosts": hosts}}
    shell.upgrade(more)
    (deployment,) = kube.objects("apps/v1", "deployments")
    assert [m["name"] for m in container(deployment)["volumeMounts"]] == ["www", "data"]
    shell.upgrade({"ingress": {"enabled": True, "hosts": hosts[1:]}})
    (deployment,) = kube.objects("apps/v1", "deployments")
    assert [m["name"] for m in container(deployment)["volumeMounts"]] == ["www"]
    assert [v["name"] for v in deployment["spec"]["template"]["spec"]["volumes"]] == ["www"]
    (ingress,) = kube.objects("networking.k8s.io/v1", "ingresses")
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["b.example.org"]
    assert kube.objects("v1", "persistentvolumeclaims") == []


def test_an_upgrade_takes_away_dropped_fields(shell, kube):
    shell.upgrade({"ingress": {"enabled": True, "className": "nginx"}})
    (ingress,) = kube.objects("networking.k8s.io/v1", "ingresses")
    assert ingress["spec"]["ingressClassName"] == "nginx"
    shell.upgrade({"ingress": {"enabled": True}})
    (ingress,) = kube.objects("networking.k8s.io/v1", "ingresses")
    assert "ingressClassName" not in ingress["spec"]


def test_a_rollback_brings_the_earlier_objects_back(shell, kube):
    shell.upgrade({"replicas": 1})
    shell.upgrade({"replicas": 3})
    shell.helm("rollback", "web", "1", "--wait", "--timeout", "20s")
    (deployment,) = kube.objects("apps/v1", "deployments")
    assert deployment["spec"]["replicas"] == 1
    assert [r["status"] for r in shell.revisions()] == ["superseded", "superseded", "deployed"]


def test_list_shows_releases_of_every_namespace(shell):
    shell.upgrade()
    (release,) = json.loads(shell("helm", "list", "-A", "-o", "json"))
    assert release["name"] == "web" and release["namespace"] == "apps"
    assert release["chart"] == "app-1.0.0" and str(release["revision"]) == "1"


def test_an_uninstall_leaves_nothing(shell, kube):
    shell.upgrade({"persistence": {"enabled": True}})
    shell.helm("uninstall", "web", "--wait", "--timeout", "20s")
    assert kube.objects("apps/v1", "deployments") == kube.objects("apps/v1", "replicasets") == []
    assert kube.objects("v1", "pods") == kube.objects("v1", "secrets") == []
    assert kube.objects("v1", "persistentvolumeclaims") == []
    assert "not found" in shell.helm("status", "web", code=1)


def test_a_hook_is_run_and_deleted(shell, kube):
    shell.upgrade()
    written = {method for method, path in kube.requests if "/jobs" in path}
    assert written & {"POST", "PATCH"}
    assert kube.objects("batch/v1", "jobs") == []


def test_a_chart_brings_custom_resources_along(shell, kube, tmp_path):
    chart = tmp_path / "custom"
    for name, content in CUSTOM_CHART.items():
        (chart / name).parent.mkdir(parents=True, exist_ok=True)
        (chart / name).write_text(content)
    for color, labels in [("red", ["a", "b"]), ("blue", ["b"])]:
        values = {"color": color, "labels": labels}
        command = ["upgrade", "--install", "paint", chart, "--create-namespace", "--wait"]
        shell.helm(*command, "--reset-values", "-f", "-", stdin=values)
        (paint,) = kube.objects("example.org/v1", "paints", "apps")
        assert paint["spec"] == {"color": color, "labels": labels}


CUSTOM_CHART = {
    "Chart.yaml": "{apiVersion: v2, name: custom, version: 1.0.0}",
    "crds/paints.yaml": """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: paints.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Paint, plural: paints, singular: paint, shortNames: [pt]}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
""",
    "templates/paint.yaml": """
apiVersion: example.org/v1
kind: Paint
metadata: {name: wall}
spec: {color: {{ .Values.color }}, labels: {{ .Values.labels | toJson }}}
""",
}


def test_helm_itself_refuses_values_against_the_charts_schema(shell, kube):
    assert "replicas" in shell.upgrade({"replicas": "two"}, code=1)
    assert not kube.objects("apps/v1", "deployments")


def test_the_chart_is_free_of_lint_with_everything_switched_on(shell):
    everything = {"persistence": {"enabled": True}, "ingress": {"enabled": True}}
    shell.helm("lint", "--strict", CHART, "-f", "-", stdin=everything)


# Releases that fail


def test_an_image_that_never_comes_fails_the_release_and_a_good_one_heals_it(shell, kube):
    shell.upgrade({"image": "never:1"}, "--wait", "--timeout", "1s", code=1)
    assert shell.release()["info"]["status"] == "failed"
    shell.upgrade({}, "--wait", "--timeout", "20s")
    assert shell.release()["info"]["status"] == "deployed"
    (pod,) = kube.objects("v1", "pods", "apps")
    assert pod["status"]["phase"] == "Running"


def test_a_pod_whose_image_never_comes_says_so(shell, kube):
    shell.upgrade({"image": "never:1"})
    (pod,) = kube.objects("v1", "pods", "apps")
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert pod["status"]["phase"] == "Pending" and waiting["reason"] == "ImagePullBackOff"
    selector = f"involvedObject.name={pod['metadata']['name']},type!=Normal"
    events = shell.get("events", "-n", "apps", "--field-selector", selector)
    assert {event["reason"] for event in events} == {"Failed", "BackOff"}
    assert "waiting to start" in shell.kubectl("logs", "deploy/web", "-n", "apps", code=1)


def test_a_rollout_that_gets_nowhere_leaves_the_old_pods_running(shell, kube):
    shell.upgrade()
    shell.upgrade({"image": "never:2"}, "--wait", "--timeout", "1s", code=1)
    assert sorted(p["status"]["phase"] for p in kube.objects("v1", "pods")) == [
        "Pending",
        "Running",
    ]
    assert [r["status"] for r in shell.revisions()] == ["deployed", "failed"]


def test_a_container_that_exits_is_seen_crashing(shell, kube):
    shell.upgrade({"image": "fail:1"})
    (pod,) = kube.objects("v1", "pods")
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert condition(pod, "Ready")["status"] == "False"


def test_a_failing_hook_fails_the_release_and_stays(shell, kube):
    shell.upgrade({"hook": {"image": "fail:1"}}, "--timeout", "5s", code=1)
    assert shell.release()["info"]["status"] == "failed"
    (hook,) = kube.objects("batch/v1", "jobs")
    assert condition(hook, "Failed")["reason"] == "BackoffLimitExceeded"
    shell.upgrade({}, "--timeout", "20s")
    assert shell.release()["info"]["status"] == "deployed"


def test_an_injected_refusal_reaches_helm_until_it_is_taken_away(shell, kube):
    shell.upgrade()

    def refuse(method, path, _):
        if method in ("PATCH", "PUT") and "/deployments/" in path:
            return ApiError(403, "Forbidden", "deployments.apps is forbidden: not today")
        return None

    kube.intercept = refuse
    assert "not today" in shell.upgrade({"replicas": 2}, code=1)
    kube.intercept = None
    shell.upgrade({"replicas": 2})
    assert kube.objects("apps/v1", "deployments")[0]["spec"]["replicas"] == 2


# Deletion, claims and namespaces


def test_deleting_an_owner_takes_what_it_owns_along(shell, kube, namespace):
    shell.apply(workload("Deployment", replicas=2))
    assert len(kube.objects("v1", "pods")) == 2
    delete = ["delete", "deployment", "deployment", "-n", namespace]
    shell.kubectl(*delete, "--dry-run=server")
    assert len(kube.objects("v1", "pods")) == 2
    shell.kubectl(*delete)
    assert kube.objects("apps/v1", "replicasets") == kube.objects("v1", "pods") == []


def test_a_deleted_namespace_takes_everything_in_it_along(shell, kube, namespace):
    shell.apply(workload("Deployment"), job(), config_map(), claim())
    shell.kubectl("delete", "namespace", namespace, "--wait", "--timeout=10s")
    assert names(kube.objects("v1", "namespaces")) == ["default"]
    for group_version, plural in [("apps/v1", "deployments"), ("v1", "pods"), ("v1", "configmaps")]:
        assert kube.objects(group_version, plural) == []
    shell.kubectl("delete", "namespace", namespace, "--ignore-not-found")
    assert "(NotFound)" in shell.kubectl("delete", "namespace", namespace, code=1)


def test_a_held_namespace_stays_terminating_until_it_is_released(shell, kube, namespace):
    shell.apply(config_map())
    with kube.hold_namespaces("example.org/slow-disk"):
        delete = ["delete", "namespace", namespace, "--wait", "--timeout=1s"]
        assert "timed out" in shell.kubectl(*delete, code=1)
        held = kube.objects("v1", "namespaces")[-1]
        assert held["status"]["phase"] == "Terminating"
        assert held["spec"]["finalizers"] == ["kubernetes"]
        assert condition(held, "NamespaceContentRemaining")["status"] == "True"
        remaining = condition(held, "NamespaceFinalizersRemaining")
        assert "example.org/slow-disk in 1 resource" in remaining["message"]
        assert kube.objects("v1", "configmaps") == []
        assert "being terminated" in shell.apply(config_map(), code=1)
    assert names(kube.objects("v1", "namespaces")) == ["default"]


def test_a_finalizer_keeps_an_object_and_its_namespace(shell, kube, namespace):
    shell.apply(claim(finalizers=["example.org/backup"]))
    shell.kubectl("delete", "namespace", namespace, "--wait=false")
    (disk,) = kube.objects("v1", "persistentvolumeclaims")
    assert disk["metadata"]["deletionTimestamp"]
    held = kube.objects("v1", "namespaces")[-1]
    message = condition(held, "NamespaceContentRemaining")["message"]
    assert "persistentvolumeclaims. has 1 resource instances" in message
    what = ["patch", "pvc", "disk", "-n", namespace, "--type=merge"]
    shell.kubectl(*what, "-p", '{"metadata": {"finalizers": null}}')
    assert names(kube.objects("v1", "namespaces")) == ["default"]


def test_a_claim_is_bound_with_what_it_asked_for(shell, namespace):
    shell.apply(claim())
    (disk,) = shell.get("pvc", "-n", namespace)
    assert disk["status"]["phase"] == "Bound"
    assert disk["status"]["capacity"] == {"storage": "1Gi"}
    (default,) = shell.get("storageclasses")
    assert disk["spec"]["storageClassName"] == default["metadata"]["name"]


def test_the_claims_of_a_stateful_set_outlive_it(shell, kube, namespace):
    disk = {key: value for key, value in claim().items() if key in ("metadata", "spec")}
    del disk["metadata"]["namespace"]
    shell.apply(workload("StatefulSet", replicas=2, volumeClaimTemplates=[disk]))
    shell.kubectl("delete", "statefulset", "statefulset", "-n", namespace)
    left = kube.objects("v1", "persistentvolumeclaims")
    assert names(left) == ["disk-statefulset-0", "disk-statefulset-1"]
