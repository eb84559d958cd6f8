"""What a release's manifest asks for against the objects that the cluster has.

The cluster itself says, by a dry run, what applying the manifest would change: so no default that
it fills in, and nothing that a webhook rewrites, counts as a change. Nothing here tells a value.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from caelus import releases, yamltext
from caelus.process import Tools

MANAGER = "helm"  # as both majors call themselves when they write, whatever the program's name
SECONDS = 60
NAMED = 3  # differences named in a sentence
# Most of these can't be changed, or grow by themselves: they are there, or they are not.
_UNCOMPARED = ("PersistentVolumeClaim", "Job", "Pod")
_SERVERS_OWN = {"status"} | {
    f"metadata.{name}"
    for name in ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
}
# What tells the items of a list apart, in lists that are merged item by item.
_KEYS = (
    *(("name",), ("containerPort", "protocol"), ("port", "protocol"), ("port",), ("mountPath",)),
    *(("devicePath",), ("topologyKey",), ("ip",), ("uid",), ("type",)),
)


class Name(NamedTuple):
    group: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Difference(NamedTuple):
    object: Name
    path: str  # empty where the whole object is missing

    def __str__(self) -> str:
        return f"{self.object} differs at {self.path}" if self.path else f"{self.object} is missing"


class Part(NamedTuple):
    """A document of a manifest, as written and as read."""

    text: str
    object: dict


def difference(tools: Tools, release: str) -> str | None:
    """What of the release's objects is not as its manifest says, as one sentence, or None.

    Raises ToolError where the cluster can't tell, ValueError for an answer that can't be read.
    """
    found = parts(releases.manifest(tools, release), release)
    if not found:
        return None
    live = _ask(tools, release, found, "get", "--ignore-not-found")
    missing = [p for p in found if name_of(p.object) not in live and not _passes(p.object)]
    differences = [Difference(name_of(part.object), "") for part in missing]
    compared = [part for part in found if name_of(part.object) in live and _is_compared(part)]
    if compared:
        dry_run = ("--server-side", "--dry-run=server", "--force-conflicts")
        wanted = _ask(tools, release, compared, "apply", *dry_run, f"--field-manager={MANAGER}")
        differences += differing([part.object for part in compared], wanted, live)
    if any(found.path == "spec.replicas" for found in differences):
        scaled = _scaled(tools, release)
        differences = [d for d in differences if not _is_scaled(d, scaled)]
    return sentence(differences)


def sentence(differences: list[Difference]) -> str | None:
    if not differences:
        return None
    more = len(differences) - NAMED
    named = "; ".join(map(str, differences[:NAMED]))
    return f"{named}; and {more} more" if more > 0 else named


def parts(manifest: str, release: str) -> list[Part]:
    """The objects of a manifest in the release's own namespace, or in none."""
    found = []
    for text in re.split(r"^---(?:[ \t].*)?$", manifest, flags=re.MULTILINE):
        try:
            document = yamltext.load(text)
        except ValueError:
            continue  # this one is not looked at; helm could read it
        if _is_object(document) and document["metadata"].get("namespace") in (None, "", release):
            found.append(Part(text, document))
    return found


def name_of(obj: dict) -> Name:
    group, slash, _ = obj["apiVersion"].partition("/")
    return Name(group if slash else "", obj["kind"], obj["metadata"]["name"])


def differing(named: list[dict], wanted: dict, live: dict) -> list[Difference]:
    """Where the `live` objects are not as `wanted`, of the fields that `named` has.

    `wanted` and `live`: objects by their Name, as the same cluster gives them.
    """
    return [
        Difference(name, path)
        for name, obj in ((name_of(obj), obj) for obj in named)
        if name in wanted and name in live
        for path in _walk(_stored(obj), wanted[name], live[name], "")
    ]


def _is_object(document) -> bool:
    if not isinstance(document, dict):
        return False
    metadata, strings = document.get("metadata"), (document.get("apiVersion"), document.get("kind"))
    named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str)
    return named and all(isinstance(text, str) for text in strings)


def _is_compared(part: Part) -> bool:
    """What a chart asks helm to keep is its user's once it is there."""
    annotations = part.object["metadata"].get("annotations") or {}
    kept = annotations.get("helm.sh/resource-policy") == "keep"
    return not kept and part.object["kind"] not in _UNCOMPARED


def _passes(obj: dict) -> bool:
    """Whether the object goes by itself when its work is done."""
    return obj["kind"] == "Job" and "ttlSecondsAfterFinished" in (obj.get("spec") or {})


def _stored(obj: dict) -> dict:
    """The fields that an object will have: a Secret's stringData becomes data."""
    if obj["kind"] != "Secret" or not isinstance(obj.get("stringData"), dict):
        return obj
    return obj | {"data": (obj.get("data") or {}) | obj["stringData"]}


def _walk(named, wanted, live, path: str) -> Iterator[str]:
    if path in _SERVERS_OWN or path.endswith("caBundle"):  # cert-manager, for one, fills it in
        return
    kinds = {type(named), type(wanted), type(live)}
    if kinds == {dict}:
        for key, below in named.items():
            yield from _walk(below, wanted.get(key), live.get(key), path + _step(key, path))
    elif kinds == {list} and (keys := _keys_of(named, wanted, live)):
        ours, theirs = _by(keys, wanted), _by(keys, live)
        for key, below in _by(keys, named).items():
            place = f"{path}[{'/'.join(str(part) for part in key if part is not None)}]"
            yield from _walk(below, ours.get(key), theirs.get(key), place)
    elif (wanted or None) != (live or None):  # an empty map is often dropped
        yield path


def _step(key: str, path: str) -> str:
    if re.fullmatch(r"[\w-]+", key):
        return f".{key}" if path else key
    return f"[{json.dumps(key)}]"


def _keys_of(*lists: list) -> tuple | None:
    """What tells the items of each of these lists apart; None where they are one value."""
    if not all(isinstance(item, dict) for items in lists for item in items):
        return None
    for keys in _KEYS:
        known = all(keys[0] in item for items in lists for item in items)
        if known and all(len(_by(keys, items)) == len(items) for items in lists):
            return keys
    return None


def _by(keys: tuple, items: list[dict]) -> dict[tuple, dict]:
    """The items by their key fields; a protocol left out is TCP."""
    return {
        tuple(str(item.get(key, "TCP" if key == "protocol" else None)) for key in keys): item
        for item in items
    }


# The cluster's part


def _ask(tools: Tools, namespace: str, found: list[Part], *arguments: str) -> dict[Name, dict]:
    """What kubectl answers about these objects. They go as written: kubectl reads YAML as helm."""
    flags = ("--namespace", namespace, "--filename", "-", "--output", "json")
    text = tools.kubectl(
        *(*arguments, *flags, f"--request-timeout={SECONDS - 10}s"),
        stdin="\n---\n".join(part.text for part in found),
        timeout=SECONDS,
    )
    return {name_of(obj): obj for obj in _objects(text)}


def _objects(text: str) -> list[dict]:
    """One object is answered as itself, several as a List, none as nothing."""
    document = json.loads(text) if text.strip() else {"items": []}
    return document.get("items", [document])


def _scaled(tools: Tools, namespace: str) -> set[tuple[str, str]]:
    """Kind and name of what a HorizontalPodAutoscaler scales, in the namespace."""
    text = tools.kubectl(
        *("get", "horizontalpodautoscalers", "--namespace", namespace, "--output", "json"),
        timeout=SECONDS,
    )
    targets = [item["spec"]["scaleTargetRef"] for item in _objects(text)]
    return {(target["kind"], target["name"]) for target in targets}


def _is_scaled(found: Difference, scaled: set[tuple[str, str]]) -> bool:
    return found.path == "spec.replicas" and (found.object.kind, found.object.name) in scaled
