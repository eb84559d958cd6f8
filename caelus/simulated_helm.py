"""A stand-in for helm 4, for the commands that Caelus runs, on a simulated cluster.

Every chart is taken to be there. Values are not kept: what `simulated_charts` makes of them is.
"""

import base64
import gzip
import hashlib
import json
import pathlib
import time
from collections.abc import Iterator

from caelus import simulated_charts, simulated_pods
from caelus.simulated_cluster import STUCK, Cluster, Refused, merged, moment, stamp

VERSION = "v4.0.0+simulated"
HOPELESS_SECONDS = 8  # until the wait for what never comes is given up, if it is not over before
STEP_SECONDS = 0.1
NOT_FOUND = "Error: release: not found\n"
BUSY = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n"
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")


def version(call) -> str:
    return VERSION


def upgrade(call) -> str:
    """Install or upgrade: the objects at once, then the wait for their pods."""
    release, reference = call.words
    values = json.loads(call.stdin)
    with call.changing() as cluster:
        _require_namespace(cluster, release)
        past = _revisions(cluster, release)
        if past and past[-1]["info"]["status"] in PENDING:
            raise Refused(BUSY)
        number = past[-1]["version"] + 1 if past else 1
        objects = simulated_charts.render(
            release, reference, call.flags.get("--version", "0.0.0"), values
        )
        chart = {
            "name": simulated_charts.name_of(reference),
            "version": call.flags.get("--version", "0.0.0"),
        }
        status = "pending-upgrade" if past else "pending-install"
        _put(cluster, release, number, status, chart, objects)
        _apply(cluster, release, objects, _objects(past[-1]) if past else [])
    what = "UPGRADE" if past else "INSTALLATION"
    described = f"{'Upgrade' if past else 'Install'} complete"
    _settle(call, release, number, described, what)
    info = {"status": "deployed", "description": described}
    return json.dumps({"name": release, "namespace": release, "version": number, "info": info})


def rollback(call) -> str:
    release, wanted = call.words
    with call.changing() as cluster:
        past = _revisions(cluster, release)
        old = next((one for one in past if str(one["version"]) == wanted), None)
        if old is None:
            raise Refused(f"Error: release has no {wanted} version\n" if past else NOT_FOUND)
        number, objects = past[-1]["version"] + 1, _objects(old)
        _put(cluster, release, number, "pending-rollback", old["chart"]["metadata"], objects)
        _apply(cluster, release, objects, _objects(past[-1]))
    _settle(call, release, number, f"Rollback to {wanted}", "ROLLBACK")
    return "Rollback was a success! Happy Helming!\n"


def uninstall(call) -> str:
    (release,) = call.words
    with call.changing() as cluster:
        if not take_away(cluster, release) and "--ignore-not-found" not in call.flags:
            raise Refused(NOT_FOUND)
    return f'release "{release}" uninstalled\n'


def take_away(cluster: Cluster, release: str) -> bool:
    """Delete a release, and all that its revisions made; whether there was one."""
    past = _revisions(cluster, release)
    mark_stuck(cluster, release)
    for one in past:
        _apply(cluster, release, [], _objects(one))
        cluster.remove("Secret", release, secret_name(release, one["version"]))
    return bool(past)


def mark_stuck(cluster: Cluster, namespace: str) -> None:
    """Let the namespace take its time to go, where an app in it asks for that."""
    found = cluster.find("Namespace", "", namespace)
    deployments = cluster.every("Deployment", namespace)
    if found and any(simulated_pods.behaviour(d) == simulated_pods.STUCK for d in deployments):
        cluster.put(merged(found, {"metadata": {"annotations": {STUCK: "true"}}}))


# Looking


def listed(call) -> str:
    with call.reading() as cluster:
        rows = [_row(one) | {"revision": str(one["version"])} for one in _newest(cluster)]
    for row in rows:
        row["updated"] = f"{moment(row['updated']):%Y-%m-%d %H:%M:%S.%f} +0000 UTC"
    return json.dumps(rows)


def history(call) -> str:
    return json.dumps([_row(one) for one in _found(call)])


def metadata(call) -> str:
    newest = _found(call)[-1]
    chart = newest["chart"]["metadata"]
    told = {"chart": chart["name"], "version": chart["version"], "applyMethod": "ssa"}
    return json.dumps(_row(newest) | told)


def values(call) -> str:
    """None of any release: they are not kept."""
    _found(call)
    return "{}"


def manifest(call) -> str:
    return _found(call)[-1]["manifest"]


def pull(call) -> str:
    """Write an archive as there might be one; it is the same for the same reference."""
    reference, *_ = call.words
    known = call.flags.get("--version", "0.0.0")
    name = simulated_charts.name_of(reference)
    target = pathlib.Path(call.flags["--destination"]) / f"{name}-{known}.tgz"
    target.write_bytes(simulated_charts.archive(name, known))
    digest = hashlib.sha256(f"{reference} {known}".encode()).hexdigest()
    return f"Pulled: {reference}:{known}\nDigest: sha256:{digest}\n"


def _row(one: dict) -> dict:
    chart = one["chart"]["metadata"]
    return {
        "name": one["name"],
        "namespace": one["namespace"],
        "revision": one["version"],
        "updated": one["info"]["last_deployed"],
        "status": one["info"]["status"],
        "chart": f"{chart['name']}-{chart['version']}",
        "app_version": chart["version"],
        "description": one["info"]["description"],
    }


def _found(call) -> list[dict]:
    with call.reading() as cluster:
        revisions = _revisions(cluster, call.words[0])
    if not revisions:
        raise Refused(NOT_FOUND)
    return revisions


# What helm stores: a Secret for each revision


def secret_name(release: str, number: int) -> str:
    return f"sh.helm.release.v1.{release}.v{number}"


def _put(cluster: Cluster, release: str, number: int, status: str, chart: dict, objects) -> None:
    at = stamp(cluster.at)
    info = {"first_deployed": at, "last_deployed": at, "deleted": "", "status": status}
    texts = (json.dumps(obj, indent=1) for obj in objects)
    document = {
        "name": release,
        "namespace": release,
        "version": number,
        "info": info | {"description": status},
        "chart": {"metadata": chart},
        "manifest": "".join(f"---\n{text}\n" for text in texts),
    }
    _store(cluster, document)


def _store(cluster: Cluster, document: dict) -> None:
    release, number = document["name"], document["version"]
    packed = base64.b64encode(gzip.compress(json.dumps(document).encode()))
    labels = {"owner": "helm", "name": release, "version": str(number)}
    labels["status"] = document["info"]["status"]
    name = {"name": secret_name(release, number), "namespace": release, "labels": labels}
    data = {"release": base64.b64encode(packed).decode()}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1"}
    cluster.put(kind | {"metadata": name, "data": data})


def _revisions(cluster: Cluster, release: str) -> list[dict]:
    """Those of a release, the oldest first."""
    found = [_opened(secret) for secret in cluster.every("Secret", release) if _is_helms(secret)]
    return sorted(found, key=lambda one: one["version"])


def _newest(cluster: Cluster) -> Iterator[dict]:
    newest: dict[str, dict] = {}
    for secret in filter(_is_helms, cluster.every("Secret")):
        labels = secret["metadata"]["labels"]
        before = newest.get(labels["name"])
        if before is None or int(before["metadata"]["labels"]["version"]) < int(labels["version"]):
            newest[labels["name"]] = secret
    return map(_opened, newest.values())


def _is_helms(secret: dict) -> bool:
    return secret["metadata"]["labels"].get("owner") == "helm"


def _opened(secret: dict) -> dict:
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    return json.loads(gzip.decompress(packed))


def _objects(revision: dict) -> list[dict]:
    return [json.loads(text) for text in revision["manifest"].split("---\n") if text]


# The work


def _require_namespace(cluster: Cluster, name: str) -> None:
    found = cluster.find("Namespace", "", name)
    if found is None:
        raise Refused(f'Error: create: failed to create: namespaces "{name}" not found\n')
    if "deletionTimestamp" in found["metadata"]:
        raise Refused(
            f'Error: secrets "{name}" is forbidden: unable to create new content in '
            f"namespace {name} because it is being terminated\n"
        )


def _apply(cluster: Cluster, namespace: str, objects: list[dict], former: list[dict]) -> None:
    """Make the `objects`, and remove what only the `former` ones had."""
    kept = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    for obj in former:
        name = obj["metadata"]["name"]
        if (obj["kind"], name) not in kept:
            remove(cluster, obj["kind"], namespace, name)
    for obj in objects:
        stored = cluster.put(obj)
        if obj["kind"] == "Deployment":
            simulated_pods.roll(cluster, stored)


def remove(cluster: Cluster, kind: str, namespace: str, name: str) -> bool:
    """Delete an object, and what belongs to it; whether there was one."""
    obj = cluster.find(kind, namespace, name)
    if obj is not None and kind == "Deployment":
        for one in simulated_pods.replica_sets(cluster, obj):
            cluster.remove("ReplicaSet", namespace, one["metadata"]["name"])
    return cluster.remove(kind, namespace, name)


def _settle(call, release: str, number: int, described: str, what: str) -> None:
    """Wait for the pods, and write down how it ended; also where helm is told to stop."""
    try:
        fault = _wait(call, release, float(call.flags["--timeout"].removesuffix("s")))
    except BaseException:
        _finish(call, release, number, "failed", f"{what.capitalize()} was stopped")
        raise
    if fault:
        _finish(call, release, number, "failed", f"{what.capitalize()} failed: {fault}")
        raise Refused(f"Error: {what} FAILED: {fault}\ncontext deadline exceeded\n")
    _finish(call, release, number, "deployed", described)


def _wait(call, namespace: str, seconds: float) -> str:
    """Until all is ready: "", or what is not when the time is over."""
    begun = time.monotonic()
    while True:
        with call.reading() as cluster:
            lacking = simulated_pods.unready(cluster, namespace)
        if lacking is None:
            return ""
        deployment, is_hopeless = lacking
        most = min(seconds, HOPELESS_SECONDS) if is_hopeless else seconds
        if time.monotonic() >= begun + most:
            name = f"Deployment/{namespace}/{deployment['metadata']['name']}"
            return f"resource {name} not ready. status: InProgress, message: Available: 0"
        call.sleep(STEP_SECONDS)


def _finish(call, release: str, number: int, status: str, described: str) -> None:
    """Write the outcome of a revision, unless somebody has taken it away meanwhile."""
    most = int(call.flags.get("--history-max", "10"))
    with call.changing() as cluster:
        revisions = _revisions(cluster, release)
        for one in revisions:
            if one["version"] == number:
                one["info"] |= {"status": status, "description": described}
                _store(cluster, one)
            elif status == "deployed" and one["info"]["status"] == "deployed":
                one["info"]["status"] = "superseded"
                _store(cluster, one)
        # As helm does: the one to go back to stays, however old it is.
        for one in (r for r in revisions[:-most] if r["info"]["status"] != "deployed"):
            cluster.remove("Secret", release, secret_name(release, one["version"]))
