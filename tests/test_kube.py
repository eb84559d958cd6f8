"""The tests' own Kubernetes API, as real helm 3 and 4 and real kubectl see it."""

import json
import os
import pathlib
import subprocess

import pytest

from tests.kube import ApiError, KubeServer
from tests.tools import HELM_MAJORS, ToolsUnavailable, tool_directory

CHART = pathlib.Path(__file__).with_name("charts") / "app"


class Shell:
    """Runs helm and kubectl against one server and checks how they end."""

    def __init__(self, tools, kube, home):
        self.tools = tools
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": kube.kubeconfig(home / "kubeconfig"),
        }

    def __call__(self, program, *arguments, stdin=None, code=0):
        """What the program printed on stdout, or on stderr too if it was to fail."""
        done = subprocess.run(
            [self.tools / program, *arguments],
            check=False,
            env=self.env,
            input=stdin if isinstance(stdin, str | None) else json.dumps(stdin, ensure_ascii=False),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr if code else done.stdout

    def kubectl(self, *arguments, **options):
        return self("kubectl", *arguments, **options)

    def helm(self, *arguments, **options):
        return self("helm", *arguments, "--namespace", "apps", **options)

    def upgrade(self, values=None, *arguments, code=0):
        """Install or upgrade the release `web`, with exactly these values."""
        command = ["upgrade", "--install", "web", CHART, "--create-namespace", "--reset-values"]
        return self.helm(*command, "-f", "-", *arguments, stdin=values or {}, code=code)

    def release(self):
        return json.loads(self.helm("status", "web", "-o", "json"))

    def revisions(self):
        return json.loads(self.helm("history", "web", "-o", "json"))

    def apply(self, *objects, **options):
        # kubectl 1.31 takes text that begins with a brace for JSON alone, without `---`.
        stdin = "".join(f"---\n{json.dumps(obj)}\n" for obj in objects)
        return self.kubectl("apply", "-f", "-", stdin=stdin, **options)

    def get(self, *arguments):
        """The items that `kubectl get` finds."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))["items"]


@pytest.fixture(params=HELM_MAJORS, ids="helm{}".format)
def tools(request):
    try:
        return tool_directory(request.param)
    except ToolsUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def kube():
    with KubeServer() as server:
        yield server


@pytest.fixture
def shell(tools, kube, tmp_path):
    return Shell(tools, kube, tmp_path)


@pytest.fixture
def namespace(shell):
    """An empty namespace to work in with kubectl."""
    shell.kubectl("create", "namespace", "team")
    return "team"


def config_map(name="settings", namespace="team", labels=None, **data):
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def claim(name="disk", finalizers=()):
    metadata = {"name": name, "namespace": "team", "finalizers": list(finalizers)}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return {**kind, "metadata": metadata, "spec": spec}


def workload(kind, image="busybox:1", namespace="team", **spec):
    labels = {"app": kind.lower()}
    containers = [{"name": "main", "image": image}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": kind.lower(), "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def job(image="busybox:1"):
    made = workload("Job", image)
    del made["spec"]["selector"]
    made["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    return made


def names(objects):
    return [obj["metadata"]["name"] for obj in objects]


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


# kubectl


def test_apply_creates_changes_and_leaves_alone(shell, kube, namespace):
    assert "created" in shell.apply(config_map(a="1", b="2"))
    assert "unchanged" in shell.apply(config_map(a="1", b="2"))
    assert "configured" in shell.apply(config_map(a="3"))
    (settings,) = kube.objects("v1", "configmaps", namespace)
    assert settings["data"] == {"a": "3"}


def test_a_server_side_apply_drops_only_what_the_same_manager_set(shell, kube, namespace):
    apply = ["apply", "--server-side", "-f", "-", "--field-manager"]
    shell.kubectl(*apply, "one", stdin=config_map(a="1", b="2", labels={"x": "y"}))
    shell.kubectl(*apply, "two", stdin=config_map(c="3"))
    shell.kubectl(*apply, "one", stdin=config_map(a="4"))
    (settings,) = kube.objects("v1", "configmaps", namespace)
    assert settings["data"] == {"a": "4", "c": "3"}
    assert not settings["metadata"].get("labels")


@pytest.mark.parametrize("how", ["--server-side=false", "--server-side"])
def test_a_diff_shows_the_change_and_makes_none(how, shell, kube, namespace):
    shell.kubectl("apply", how, "-f", "-", stdin=config_map(a="1"))
    assert shell.kubectl("diff", how, "-f", "-", stdin=config_map(a="1")) == ""
    before = kube.objects("v1", "configmaps")
    changed = shell.kubectl("diff", how, "-f", "-", stdin=config_map(a="2"), code=1)
    assert '-  a: "1"' in changed and '+  a: "2"' in changed
    assert kube.objects("v1", "configmaps") == before


def test_a_diff_of_a_new_workload_makes_no_pods(shell, kube, namespace):
    shell.kubectl("diff", "-f", "-", stdin=workload("Deployment"), code=1)
    assert kube.objects("apps/v1", "deployments") == kube.objects("v1", "pods") == []


def test_get_selects_by_labels(shell, namespace):
    shell.apply(*(config_map(name=name, labels={"app": name}) for name in "abc"))
    shell.kubectl("label", "configmap", "c", "-n", namespace, "extra=yes")
    for selector, expected in {
        "app=a": "a",
        "app!=a": "bc",
        "app in (a, b)": "ab",
        "app notin (a,b)": "c",
        "extra": "c",
        "!extra,app=b": "b",
    }.items():
        found = shell.get("configmaps", "-n", namespace, "-l", selector)
        assert names(found) == list(expected), selector


def test_a_watch_tells_of_the_selected_objects_only(shell, namespace):
    shell.apply(*(config_map(name=name, labels={"app": name}) for name in "ab"))
    query = "watch=true&resourceVersion=1&timeoutSeconds=1&labelSelector=app%3Da"
    events = shell.kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/configmaps?{query}")
    (event,) = [json.loads(line) for line in events.splitlines()]
    assert event["type"] == "ADDED" and event["object"]["metadata"]["name"] == "a"


def test_get_takes_several_kinds_and_all(shell, namespace):
    shell.apply(workload("Deployment"), job())
    found = shell.get("deploy,rs,pods,jobs", "-n", namespace)
    kinds = {obj["kind"] for obj in found}
    assert kinds == {"Deployment", "ReplicaSet", "Pod", "Job"}
    assert {obj["kind"] for obj in shell.get("all", "-A")} == kinds


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_workload_is_rolled_out_unless_its_image_never_comes(kind, shell, namespace):
    where = [f"{kind.lower()}/{kind.lower()}", "-n", namespace]
    shell.apply(workload(kind))
    shell.kubectl("rollout", "status", *where, "--timeout=10s")
    shell.kubectl("set", "image", *where, "main=never:1")
    assert "Waiting" in shell.kubectl("rollout", "status", *where, "--watch=false")
    shell.kubectl("set", "image", *where, "main=busybox:2")
    shell.kubectl("rollout", "status", *where, "--timeout=10s")


@pytest.mark.parametrize(("image", "outcome"), [("busybox:1", "Complete"), ("fail:1", "Failed")])
def test_a_job_ends_as_its_image_says(image, outcome, shell, namespace):
    shell.apply(job(image))
    wait = ["wait", "job/job", "-n", namespace, "--timeout=10s"]
    shell.kubectl(*wait, f"--for=condition={outcome}")


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", {"data": {"a": None, "b": "2"}}),
        ("strategic", {"data": {"a": None, "b": "2"}}),
        (
            "json",
            [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}],
        ),
    ],
)
def test_patch_takes_every_type(kind, patch, shell, kube, namespace):
    shell.apply(config_map(a="1"))
    what = ["patch", "configmap", "settings", "-n", namespace]
    shell.kubectl(*what, f"--type={kind}", "-p", json.dumps(patch))
    assert kube.objects("v1", "configmaps", namespace)[0]["data"] == {"b": "2"}


def test_a_strategic_patch_merges_containers_by_name(shell, kube, namespace):
    shell.apply(workload("Deployment"))
    second = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "b:1"}]}}}}
    shell.kubectl("patch", "deploy", "deployment", "-n", namespace, "-p", json.dumps(second))
    (deployment,) = kube.objects("apps/v1", "deployments")
    containers = deployment["spec"]["template"]["spec"]["containers"]
    assert sorted(c["name"] for c in containers) == ["main", "side"]


def test_a_strategic_patch_adds_to_finalizers_and_takes_from_them(shell, kube, namespace):
    shell.apply(claim(finalizers=["example.org/a"]))
    for change, left in [
        ({"finalizers": ["example.org/b"]}, ["example.org/a", "example.org/b"]),
        ({"$deleteFromPrimitiveList/finalizers": ["example.org/a"]}, ["example.org/b"]),
    ]:
        patch = json.dumps({"metadata": change})
        shell.kubectl("patch", "pvc", "disk", "-n", namespace, "-p", patch)
        (disk,) = kube.objects("v1", "persistentvolumeclaims")
        assert disk["metadata"]["finalizers"] == left


def test_a_write_that_is_based_on_an_older_version_is_refused(shell, namespace):
    shell.apply(config_map(a="1"))
    (old,) = shell.get("configmaps", "-n", namespace)
    shell.apply(config_map(a="2"))
    assert "has been modified" in shell.kubectl("replace", "-f", "-", stdin=old, code=1)


def test_a_wrong_name_and_a_missing_namespace_are_refused(shell):
    assert "Invalid value" in shell.kubectl("create", "namespace", "Bad_Name", code=1)
    assert "(NotFound)" in shell.apply(config_map(namespace="nowhere"), code=1)
    assert "(NotFound)" in shell.kubectl("get", "namespace", "nowhere", code=1)


def test_secrets_are_kept_encoded_however_they_are_written(shell, kube, namespace):
    create = ["create", "secret", "generic", "one", "-n", namespace]
    shell.kubectl(*create, "--from-literal=word=hush")
    metadata = {"name": "two", "namespace": namespace}
    shell.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"word": "hush"}}
    )
    secrets = kube.objects("v1", "secrets", namespace)
    assert [secret["data"] for secret in secrets] == [{"word": "aHVzaA=="}] * 2
    assert not any("stringData" in secret for secret in secrets)


def test_a_pods_log_can_be_read(shell, namespace):
    shell.apply(workload("Deployment"), job())
    assert "hello from deployment-" in shell.kubectl("logs", "deploy/deployment", "-n", namespace)
    assert "hello from job-" in shell.kubectl("logs", "job/job", "-n", namespace)


def test_everything_is_allowed_to_the_only_user(shell):
    assert shell.kubectl("auth", "can-i", "create", "deployments.apps").strip() == "yes"


def test_other_kinds_are_there_to_be_listed(shell):
    kinds = "resourcequotas,limitranges,networkpolicies,ingresses,ingressclasses,storageclasses"
    more = "horizontalpodautoscalers,poddisruptionbudgets,events,serviceaccounts,rolebindings"
    found = shell.get(f"{kinds},{more}", "-A")
    assert names(found) == ["nginx", "standard"], "what a new cluster has"


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
