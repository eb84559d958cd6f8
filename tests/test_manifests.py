"""Comparing an object as it is with what was asked for."""

import pytest

from caelus import manifests


def config_map(**data) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": data}


def workload(**spec) -> dict:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}} | {
        "spec": spec
    }


def containers(*items) -> dict:
    return workload(template={"spec": {"containers": list(items)}})


def env(value: str) -> dict:
    return {"name": "app", "env": [{"name": "PORT", "value": value}], "imagePullPolicy": "Always"}


DEFAULTED = {"name": "app", "image": "busybox", "imagePullPolicy": "Always"}


@pytest.mark.parametrize(
    ("named", "wanted", "live", "paths"),
    [
        (config_map(a="1"), config_map(a="1"), config_map(a="1"), []),
        (config_map(a="1"), config_map(a="1"), config_map(a="2"), ["data.a"]),
        (config_map(a="1"), config_map(a="1"), config_map(), ["data.a"]),
        (config_map(a="1"), config_map(a="1", b="2"), config_map(a="1", b="3"), []),
        (config_map(**{"a.b": "1"}), config_map(**{"a.b": "1"}), config_map(), ['data["a.b"]']),
        (config_map() | {"data": {}}, config_map() | {"data": None}, config_map(), []),
        (workload(replicas=1), workload(replicas=1), workload(replicas=3), ["spec.replicas"]),
        # What the server writes otherwise, or fills in, is the same on both sides.
        (workload(cpu="1000m"), workload(cpu="1"), workload(cpu="1"), []),
        (containers({"name": "app"}), containers(DEFAULTED), containers(DEFAULTED), []),
        # A container that somebody added is nothing that the manifest names.
        (
            containers({"name": "app"}),
            containers({"name": "side"}, DEFAULTED),
            containers(DEFAULTED, {"name": "side"}),
            [],
        ),
        (
            containers(env("80")),
            containers(env("80")),
            containers(env("90")),
            ["spec.template.spec.containers[app].env[PORT].value"],
        ),
        (
            workload(args=["a"]),
            workload(args=["a"]),
            workload(args=["a", "b"]),
            ["spec.args"],
        ),
        (workload(caBundle=""), workload(caBundle=""), workload(caBundle="Q0E="), []),
    ],
)
def test_only_what_the_manifest_names_is_compared(named, wanted, live, paths):
    name = manifests.name_of(named)
    found = manifests.differing([named], {name: wanted}, {name: live})
    assert [difference.path for difference in found] == paths


def test_a_secrets_text_is_compared_and_never_told():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app"}}
    named = secret | {"stringData": {"password": "hunter2"}}
    wanted = secret | {"data": {"password": "aHVudGVyMg=="}}
    live = secret | {"data": {"password": "b3RoZXI="}}
    name = manifests.name_of(named)
    found = manifests.differing([named], {name: wanted}, {name: live})
    assert manifests.sentence(found) == "Secret app differs at data.password"


def test_a_sentence_names_three_differences():
    name = manifests.Name("", "ConfigMap", "app")
    found = [manifests.Difference(name, f"data.{key}") for key in "abcde"]
    assert manifests.sentence(found).endswith("ConfigMap app differs at data.c; and 2 more")


def test_objects_of_other_namespaces_are_not_looked_at():
    texts = ("", "# Source: x", "kind: [", "apiVersion: v1\nkind: X\nmetadata: {name: own}")
    other = "apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: other}"
    manifest = "\n---\n".join((*texts, other))
    assert [part.object["metadata"]["name"] for part in manifests.parts(manifest, "x")] == ["own"]
