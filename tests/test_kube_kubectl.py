"""The suite's own Kubernetes API, as real kubectl sees it."""

import json

import pytest

from tests.kube_scenes import claim, config_map, job, names, workload
from tests.kube_scenes import namespace as namespace
from tests.kube_scenes import shell as shell


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
