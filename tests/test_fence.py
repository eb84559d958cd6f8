"""The fence around each deployment: what it is made of, and that it is there before the chart."""

import itertools
import json

import pytest

from caelus import config, drift, fence
from caelus.errors import ConfigError
from caelus.models import Deployment, Job
from caelus.process import Tools
from tests.drifting import deploy, one_database, open_jobs, publish, scene, told
from tests.kube import ApiError
from tests.made_charts import POD, make_chart, of_pods
from tests.test_end_to_end import CHART

__all__ = ["scene"]  # the fixture
UID = "notes-ada-x1y2z3"
ENFORCE = "pod-security.kubernetes.io/enforce"
EVERYWHERE = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}
QUOTA = {"memory": "1Gi", "requests.cpu": "1000m"}
LIMITS = {"default": {"memory": "512Mi"}, "max": {"cpu": 2}}
NODE = {"name": "host", "hostPath": {"path": "/"}}
PRIVILEGED = {"name": "app", "image": "busybox", "securityContext": {"privileged": True}}


def fenced(isolation: dict | None = None, **settings: str) -> dict[str, dict]:
    """The objects of a fence by their kind."""
    site = config.load({f"CAELUS_{name}": value for name, value in settings.items()})
    found = fence.objects(UID, isolation and {"isolation": isolation}, site)
    assert found[0]["kind"] == "Namespace"
    return {obj["kind"]: obj for obj in found}


# What a fence is made of


def test_a_fence_is_a_namespace_with_a_level_and_a_policy():
    found = fenced()
    assert set(found) == {"Namespace", "NetworkPolicy"}
    assert found["Namespace"]["metadata"] == {
        "name": UID,
        "labels": {
            "app.kubernetes.io/managed-by": "caelus",
            ENFORCE: "baseline",
            "pod-security.kubernetes.io/warn": "baseline",
        },
    }
    metadata = found["NetworkPolicy"]["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("caelus-fence", UID)


def test_a_policy_lets_only_the_needed_through():
    spec = fenced(INGRESS_NAMESPACES="edge", PRIVATE_RANGES="10.0.0.0/8")["NetworkPolicy"]["spec"]

    def namespace(name):
        label = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [name]}
        return {"namespaceSelector": {"matchExpressions": [label]}}

    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"from": [{"podSelector": {}}, namespace("edge")]}]
    inside, dns, web, internet = spec["egress"]
    assert inside == {"to": [{"podSelector": {}}]}
    assert dns["to"] == [namespace("kube-system")]
    assert [(p["protocol"], p["port"]) for p in dns["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert web["to"] == [namespace("edge")]
    assert {port["port"] for port in web["ports"]} == {80, 443, 8000, 8443}
    assert internet == {"to": [{"ipBlock": EVERYWHERE}, {"ipBlock": {"cidr": "::/0"}}]}


@pytest.mark.parametrize(
    ("ranges", "families"),
    [
        ("10.0.0.0/8 fc00::/7", ["0.0.0.0/0", "::/0"]),
        ("::/0,10.0.0.0/8", ["0.0.0.0/0"]),
        ("0.0.0.0/0,::/0", None),
    ],
)
def test_a_family_that_is_private_as_a_whole_is_not_let_out_to(ranges, families):
    rules = fenced(PRIVATE_RANGES=ranges)["NetworkPolicy"]["spec"]["egress"]
    assert all(rule["to"] for rule in rules), "an empty list would let everything out"
    blocks = [[peer["ipBlock"]["cidr"] for peer in r["to"] if "ipBlock" in peer] for r in rules]
    assert [block for block in blocks if block] == ([families] if families else [])


def test_a_template_may_say_more_or_less_than_the_site():
    site = {"POD_SECURITY": "restricted", "QUOTA": '{"pods": 5}', "LIMITS": json.dumps(LIMITS)}
    assert set(fenced(**site)) == {"Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange"}
    own = {"pod_security": "privileged", "network": "open", "quota": QUOTA, "limits": {}}
    found = fenced(own, **site)
    assert set(found) == {"Namespace", "ResourceQuota"}
    assert found["Namespace"]["metadata"]["labels"][ENFORCE] == "privileged"
    assert found["ResourceQuota"]["spec"] == {"hard": QUOTA}


def test_limits_are_those_of_containers():
    item = {"type": "Container", "default": {"memory": "512Mi"}, "max": {"cpu": "2"}}
    limits = LIMITS | {"min": {}}
    assert fenced({"limits": limits})["LimitRange"]["spec"] == {"limits": [item]}


# What may be said of it


@pytest.mark.parametrize(
    ("isolation", "place"),
    [
        ("baseline", "/isolation must be an object"),
        ({"pod_security": "high"}, "/isolation/pod_security must be one of privileged, baseline,"),
        ({"pod_security": None}, "/isolation/pod_security must be one of"),
        ({"network": True}, "/isolation/network must be one of isolated, open"),
        ({"newtork": "open"}, "/isolation/newtork is not known; there are pod_security, network,"),
        ({"quota": []}, "/isolation/quota must be an object of quantities"),
        ({"quota": {"memory": "4 Gi"}}, "/isolation/quota/memory must be a quantity"),
        ({"quota": {"memory": "4gb"}}, "/isolation/quota/memory must be a quantity"),
        ({"quota": {"memory": "-1"}}, "/isolation/quota/memory must be a quantity"),
        ({"quota": {"memory": -1}}, "/isolation/quota/memory must be a quantity"),
        ({"quota": {"pods": True}}, "/isolation/quota/pods must be a quantity"),
        ({"quota": {"cpus": 1}}, "/isolation/quota/cpus is no resource; there are"),
        ({"limits": {"memory": "1Gi"}}, "/isolation/limits/memory is not known; there are min"),
        ({"limits": {"max": {"pods": 1}}}, "/isolation/limits/max/pods is no resource; there are"),
        ({"limits": {"max": {"cpu": "1 core"}}}, "/isolation/limits/max/cpu must be a quantity"),
        ({"limits": {"max": "1"}}, "/isolation/limits/max must be an object of quantities"),
        ({"quota": {"pods": "500m"}}, "/isolation/quota/pods must be a whole number"),
        ({"quota": {"count/jobs.batch": 1.5}}, "/isolation/quota/count~1jobs.batch must be a whol"),
        ({"quota": {"cpu": "0.0001"}}, "/isolation/quota/cpu must be a multiple of 1m"),
        ({"quota": {"cpu": "1n"}}, "/isolation/quota/cpu must be a multiple of 1m"),
        ({"limits": {"min": {"cpu": "1500u"}}}, "/isolation/limits/min/cpu must be a multiple of"),
        *(
            ({"quota": {name: 1}}, f"/isolation/quota/{name.replace('/', '~1')} is no resource")
            for name in (
                "a_b/c",
                "A/b",
                "a/-b",
                "a./b",
                "a/b/c",
                "/b",
                "a/",
                "hugepages-_",
            )
        ),
        (
            {"limits": {"max": {"requests.nvidia.com/gpu": 1}}},
            "/isolation/limits/max/requests.nvidia.com~1gpu is no resource",
        ),
        *(
            ({"limits": {low: {"cpu": "1001m"}, high: {"cpu": 1}}}, f"/isolation/limits/{low}/cpu")
            for low, high in itertools.combinations(("min", "defaultRequest", "default", "max"), 2)
        ),
        *(
            (
                {"limits": {"defaultRequest": {name: 1}, high: {name: 2}}},
                f"/isolation/limits/defaultRequest/{name.replace('/', '~1')} must be as much",
            )
            for name in ("nvidia.com/gpu", "hugepages-2Mi")
            for high in ("default", "max")
        ),
    ],
)
@one_database
def test_a_template_that_says_nonsense_is_refused_with_the_place(surface, isolation, place):
    surface("create-product", name="Notes")
    answer = surface(
        "create-template",
        product_id=1,
        chart_ref=str(CHART),
        chart_version="1",
        capabilities_json={"isolation": isolation},
    )
    assert not answer.ok
    assert answer.sentence.startswith(f"capabilities: {place}")


@one_database
def test_every_way_to_write_an_amount_is_taken(rest):
    amounts = {"cpu": 1.5, "memory": "1e9", "requests.cpu": "100m", "limits.memory": "0.5Ti"}
    others = {"count/jobs.batch": "2000m", "requests.nvidia.com/gpu": 0, "hugepages-2Mi": "4Mi"}
    more = {"pods": "1k", "secrets": 5.0, "requests.memory": "5.", "ephemeral-storage": "1E"}
    limits = {
        "min": {"cpu": "1e-1", "nvidia.com/gpu": 0},
        "defaultRequest": {"cpu": ".5", "memory": "0.5Gi", "hugepages-2Mi": "2Mi"},
        "default": {"cpu": "500m", "memory": "512Mi", "nvidia.com/gpu": 1},
        "max": {"memory": "1e9"},
    }
    publish(rest, isolation={"quota": amounts | others | more, "limits": limits})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POD_SECURITY", "high", "CAELUS_POD_SECURITY must be one of privileged, baseline, restr"),
        ("NETWORK", "closed", "CAELUS_NETWORK must be one of isolated, open"),
        ("INGRESS_NAMESPACES", ",", "CAELUS_INGRESS_NAMESPACES must name one namespace at least"),
        ("INGRESS_NAMESPACES", "edge,Traefik", "CAELUS_INGRESS_NAMESPACES: 'Traefik' can't name a"),
        ("PRIVATE_RANGES", "10.0.0.1/8", "CAELUS_PRIVATE_RANGES: 10.0.0.1/8 has host bits set"),
        ("PRIVATE_RANGES", "home", "CAELUS_PRIVATE_RANGES: 'home' does not appear to be an IPv4"),
        ("QUOTA", "4Gi", "CAELUS_QUOTA must be a JSON object, not '4Gi'"),
        ("QUOTA", "[" * 100_000, "CAELUS_QUOTA must be a JSON object, not '[["),
        ("QUOTA", "[4]", "CAELUS_QUOTA must be an object of quantities"),
        ("QUOTA", '{"pods": NaN}', "CAELUS_QUOTA: /pods must be a quantity"),
        ("LIMITS", '{"max": {"cpu": "x"}}', "CAELUS_LIMITS: /max/cpu must be a quantity"),
        ("LIMITS", "null", "CAELUS_LIMITS must be an object"),
        ("LIMITS", '{"min": {"cpu": 2}, "max": {"cpu": 1}}', "CAELUS_LIMITS: /min/cpu must not be"),
    ],
)
def test_a_site_that_says_nonsense_does_not_start(name, value, said):
    with pytest.raises(ConfigError) as caught:
        config.load({f"CAELUS_{name}": value})
    assert caught.value.detail.startswith(said)


# What is missing of it


def test_a_fence_as_the_server_writes_it_is_no_difference():
    quota = {"memory": "1024Mi", "requests.cpu": "1000m", "cpu": 0.5, "count/jobs.batch": "1e3"}
    wanted = list(fenced({"quota": quota, "limits": LIMITS}).values())
    live = json.loads(json.dumps(wanted))
    namespace, _, quota, limits = live
    namespace |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    namespace["metadata"]["labels"]["added"] = "by somebody"
    canonical = {"memory": "1Gi", "requests.cpu": "1", "cpu": "500m", "count/jobs.batch": "1k"}
    quota["spec"]["hard"] = canonical
    (item,) = limits["spec"]["limits"]
    item["default"]["cpu"] = "2"
    item["defaultRequest"] = {"cpu": "2", "memory": "512Mi"}
    assert fence.difference(wanted, live) is None


def changed(obj: dict, path: str, value) -> dict:
    """A copy of `obj` with another value at the path."""
    copy = json.loads(json.dumps(obj))
    *way, last = path.split("/")
    place = copy
    for name in way:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("kind", "path", "value", "said"),
    [
        (
            "Namespace",
            f"metadata/labels/{ENFORCE.replace('/', '~')}",
            "privileged",
            f"namespace {UID} differs at metadata.labels.{ENFORCE}",
        ),
        ("NetworkPolicy", "spec/egress", [{}], "{} differs at spec.egress"),
        ("NetworkPolicy", "spec/podSelector", {"matchLabels": {}}, "{} differs at spec.podSel"),
        ("NetworkPolicy", "spec/policyTypes", ["Ingress"], "{} differs at spec.policyTypes"),
        ("ResourceQuota", "spec/hard/memory", "2Gi", "{} differs at spec.hard.memory"),
        (
            "LimitRange",
            "spec/limits/0/max",
            {"cpu": "3"},
            "{} differs at spec.limits.Container.max.cpu",
        ),
    ],
)
def test_what_somebody_changed_is_named(kind, path, value, said):
    wanted = fenced({"quota": QUOTA, "limits": LIMITS})
    live = json.loads(json.dumps(wanted).replace("kubernetes.io/enforce", "kubernetes.io~enforce"))
    live[kind] = changed(live[kind], path, value)
    live = json.loads(json.dumps(live).replace("kubernetes.io~enforce", "kubernetes.io/enforce"))
    found = fence.difference(list(wanted.values()), list(live.values()))
    assert found.startswith(said.format(f"{kind} caelus-fence of namespace {UID}"))


def test_what_is_missing_comes_first_and_what_is_too_much_last():
    wanted, more = fenced({"quota": QUOTA}), fenced({"quota": QUOTA, "limits": LIMITS})
    live = [obj for kind, obj in more.items() if kind != "ResourceQuota"]
    live[1] = changed(live[1], "spec/egress", [])
    title = f"caelus-fence of namespace {UID}"
    asked = list(wanted.values())
    assert fence.difference(asked, live) == f"ResourceQuota {title} is missing"
    live.append(wanted["ResourceQuota"])
    assert fence.difference(asked, live) == f"NetworkPolicy {title} differs at spec.egress"
    live[1] = wanted["NetworkPolicy"]
    assert fence.difference(asked, live) == f"LimitRange {title} is no part of its fence"


# On a cluster


def another_template(rest, chart=str(CHART), values=None, **capabilities) -> int:
    answer = rest(
        "create-template",
        product_id=1,
        chart_ref=chart,
        chart_version=f"2.{len(rest('list-templates', product_id=1).document)}",
        default_values_json=values,
        capabilities_json=capabilities,
        health_timeout_sec=2,
    )
    return answer.document["id"]


def update(rest, scene, template_id: int) -> Deployment:
    changed = rest("update-deployment", user_id=1, deployment_id=1, desired_template_id=template_id)
    assert changed.ok, changed.sentence
    return scene.reconcile()


def live_kinds(scene, uid: str) -> set[str]:
    plurals = "networkpolicies,resourcequotas,limitranges"
    return {obj["kind"] for obj in scene.document(plurals, "--namespace", uid)["items"]}


@one_database
def test_the_fence_is_there_before_the_chart(rest, scene):
    publish(rest, isolation={"quota": QUOTA, "limits": LIMITS})
    uid = deploy(rest, scene)
    made = [path for method, path in scene.api.requests if method in ("PATCH", "POST")]
    mine = [path for path in made if f"/namespaces/{uid}" in path]
    assert [path.rpartition("/")[2] for path in mine[:4]] == [uid] + ["caelus-fence"] * 3
    assert live_kinds(scene, uid) == {"NetworkPolicy", "ResourceQuota", "LimitRange"}
    labels = scene.document("namespace", uid)["metadata"]["labels"]
    assert labels[ENFORCE] == "baseline"


@one_database
def test_what_a_newer_template_does_not_ask_for_goes(rest, scene):
    publish(rest, isolation={"quota": QUOTA, "limits": LIMITS})
    uid = deploy(rest, scene)
    bare = another_template(rest, isolation={"network": "open", "pod_security": "restricted"})
    assert update(rest, scene, bare).status == "ready"
    assert live_kinds(scene, uid) == set()
    assert scene.document("namespace", uid)["metadata"]["labels"][ENFORCE] == "restricted"
    assert drift.sweep(scene.tools) == 0


def refused(rest, scene, place: str, error: ApiError):
    """A new deployment, after the cluster has answered so to what has `place` in its path."""
    scene.api.intercept = lambda method, path, query: error if place in path else None
    rest("create-deployment", user_id=1, desired_template_id=1, domainname="a.example.org")
    return scene.reconcile()


@one_database
def test_a_fence_that_cannot_be_applied_stops_the_install(rest, scene):
    publish(rest)
    refusal = 'networkpolicies "caelus-fence" is forbidden: no policies here'
    failed = refused(rest, scene, "networkpolicies/", ApiError(403, "Forbidden", refusal))
    assert (failed.status, failed.cause["code"]) == ("error", "admission_denied")
    assert failed.cause["object"] == "NetworkPolicy caelus-fence"
    assert "no policies here" in failed.last_error
    assert not any(call.startswith("helm") for call in scene.calls())


INVALID = 'LimitRange "caelus-fence" is invalid: '
TOO_MUCH = (
    "spec.limits[0].default[cpu]: Invalid value: resource.Quantity{i:resource.int64Amount{value:1, "
    'scale:0}, s:"1", Format:"DecimalSI"}: default value 2 is greater than max value 1'
)


@one_database
@pytest.mark.parametrize("said", [INVALID + TOO_MUCH, f"{INVALID}[{TOO_MUCH}, {TOO_MUCH}]"])
@pytest.mark.parametrize("scene", ["4"], indirect=True)
def test_a_fence_that_the_cluster_does_not_take_as_it_is_has_a_cause_of_its_own(rest, scene, said):
    """Where a newer Kubernetes has one rule more, say."""
    publish(rest, isolation={"limits": LIMITS})
    failed = refused(rest, scene, "limitranges/", ApiError(422, "Invalid", said))
    assert (failed.status, failed.cause["code"]) == ("error", "fence_rejected")
    assert failed.cause["object"] == "LimitRange caelus-fence"
    assert failed.last_error == (
        "LimitRange caelus-fence: the cluster does not take it as it is "
        "(spec.limits[0].default[cpu])"
    )


@one_database
@pytest.mark.parametrize(
    ("harm", "difference"),
    [
        (
            ("delete", "networkpolicy", "caelus-fence", "--namespace={uid}"),
            "NetworkPolicy caelus-fence of namespace {uid} is missing",
        ),
        (
            *[("label", "namespace", "{uid}", f"{ENFORCE}=privileged", "--overwrite")],
            f"namespace {{uid}} differs at metadata.labels.{ENFORCE}",
        ),
        (
            (
                *("patch", "networkpolicy", "caelus-fence", "--namespace={uid}"),
                *("--type=merge", '--patch={{"spec": {{"egress": [{{}}]}}}}'),
            ),
            "NetworkPolicy caelus-fence of namespace {uid} differs at spec.egress",
        ),
    ],
    ids=["deleted", "relabelled", "opened"],
)
def test_a_fence_with_a_hole_is_found_and_mended(rest, scene, harm, difference):
    publish(rest)
    uid = deploy(rest, scene)
    scene.run("kubectl", *(word.format(uid=uid) for word in harm))
    scene.calls()
    assert drift.sweep(scene.tools) == 1
    assert len(scene.calls()) == 2
    assert (open_jobs(), told()) == ([(1, "drift")], [difference.format(uid=uid)])
    assert scene.reconcile().status == "ready"
    assert drift.sweep(scene.tools) == 0


@one_database
@pytest.mark.parametrize("scene", ["4"], indirect=True)
def test_another_rule_of_the_site_reaches_those_that_are_there(rest, scene):
    publish(rest)
    uid = deploy(rest, scene)
    scene.tools = Tools(config.load(scene.env | {"CAELUS_QUOTA": '{"pods": 9}'}))
    assert drift.sweep(scene.tools) == 1
    assert scene.reconcile().status == "ready"
    assert live_kinds(scene, uid) == {"NetworkPolicy", "ResourceQuota"}
    assert drift.sweep(scene.tools) == 0


# Pods that are not let in


@one_database
@pytest.mark.parametrize(
    ("kind", "spec"),
    [("Deployment", {"replicas": 1}), ("StatefulSet", {"replicas": 1, "serviceName": "x"})],
)
def test_a_privileged_pod_is_refused_and_named(rest, scene, tmp_path, kind, spec):
    publish(rest)
    pod = POD | {"containers": [PRIVILEGED], "volumes": [NODE]}
    chart = make_chart(tmp_path / "node", of_pods(kind, pod, **spec))
    template = another_template(rest, chart)
    rest("create-deployment", user_id=1, desired_template_id=template, domainname="a.example.org")
    failed = scene.reconcile()
    assert (failed.status, failed.cause["code"]) == ("error", "admission_denied")
    owner = "ReplicaSet" if kind == "Deployment" else kind
    assert failed.cause["object"].startswith(f"{owner} {failed.deployment_uid}")
    assert failed.last_error.endswith(
        'violates PodSecurity "baseline:latest": hostPath volumes (volume "host"), privileged '
        '(container "app" must not set securityContext.privileged=true)'
    )
    let_in = another_template(rest, chart, isolation={"pod_security": "privileged"})
    assert update(rest, scene, let_in).status == "ready"


@one_database
def test_a_hook_that_is_not_let_in_is_named(rest, scene, tmp_path):
    publish(rest)
    pod = POD | {"containers": [PRIVILEGED], "restartPolicy": "Never"}
    hook = of_pods("Job", pod, "batch/v1")
    del hook["spec"]["selector"]
    hook["metadata"]["annotations"] = {"helm.sh/hook": "pre-install"}
    template = another_template(rest, make_chart(tmp_path / "node", hook))
    rest("create-deployment", user_id=1, desired_template_id=template, domainname="a.example.org")
    failed = scene.reconcile()
    assert failed.cause["code"] == "admission_denied"
    assert failed.cause["object"] == f"Job {failed.deployment_uid}"


@one_database
def test_a_rollback_finds_the_fence_that_its_pods_need(rest, scene, tmp_path):
    publish(rest)
    privileged = POD | {"containers": [PRIVILEGED]}
    chart = make_chart(tmp_path / "node", of_pods("Deployment", privileged, replicas=1))
    needed = {"pod_security": "privileged", "network": "open"}
    first = another_template(rest, chart, isolation=needed)
    tighter = another_template(rest, values={"image": "never:1"}, isolation={"quota": QUOTA})
    rest("create-deployment", user_id=1, desired_template_id=first, domainname="a.example.org")
    uid = scene.reconcile().deployment_uid
    failed = update(rest, scene, tighter)
    assert (failed.status, failed.cause["code"]) == ("error", "image_pull")
    assert [told("rolled_back"), told("rollback_failed")] == [
        ["went back to revision 1, the last good one"],
        [],
    ]
    assert live_kinds(scene, uid) == set()
    assert scene.document("namespace", uid)["metadata"]["labels"][ENFORCE] == "privileged"
    (pod,) = scene.document("pods", "--namespace", uid)["items"]
    assert pod["spec"]["containers"][0]["securityContext"] == {"privileged": True}
    Job.update(status="failed").execute()
    assert drift.sweep(scene.tools) == 0, "a failed deployment has the fence of what runs"


@one_database
@pytest.mark.parametrize("scene", ["4"], indirect=True)
def test_the_fence_of_what_failed_is_looked_at_too(rest, scene):
    publish(rest)
    uid = deploy(rest, scene)
    failing = another_template(rest, values={"image": "never:1"}, isolation={"quota": QUOTA})
    assert update(rest, scene, failing).status == "error"
    Job.update(status="failed").execute()
    scene.run("kubectl", "delete", "networkpolicy", "caelus-fence", "--namespace", uid)
    assert drift.sweep(scene.tools) == 1
    assert told() == [f"NetworkPolicy caelus-fence of namespace {uid} is missing"]
    assert scene.reconcile().status == "error"
    assert live_kinds(scene, uid) == {"NetworkPolicy"}, "the former one, as before the update"
    Job.update(status="failed").execute()
    assert drift.sweep(scene.tools) == 0
    kept = another_template(
        rest, values={"image": "never:1"}, isolation={"quota": QUOTA}, on_upgrade_failure="keep"
    )
    assert update(rest, scene, kept).status == "error"
    Job.update(status="failed").execute()
    assert live_kinds(scene, uid) == {"NetworkPolicy", "ResourceQuota"}
    assert drift.sweep(scene.tools) == 0, "nobody has changed the newer one"
