"""From an HTTP request to what it reads or changes in the store."""

import base64
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.kube import access, discovery, merge, podlogs, protobuf
from tests.kube.errors import ApiError
from tests.kube.resources import ACCESS_REVIEWS, PODS, SECRETS, Resource
from tests.kube.selectors import matches
from tests.kube.store import Store
from tests.kube.watch import watch

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    # The status of a namespace is not a kind inside of it.
    r"(?:/namespaces/(?P<namespace>[^/]+)(?!/status$))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?"
)


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: bytes
    token: str = ""

    @property
    def dry_run(self) -> bool:
        return "dryRun" in self.query


class Target(NamedTuple):
    resource: Resource
    namespace: str
    name: str
    part: str


class Answer(NamedTuple):
    """`content` is a JSON document, text, or the endless documents of a watch."""

    code: int
    content: dict | str | Iterator[dict]


def answer(store: Store, request: Request, asked: set[access.Asked]) -> Answer:
    """Carry out a request while holding `store.changed`; ApiError if it is refused.

    What accounts with a token ask for is added to `asked`.
    """
    if request.path in ("/healthz", "/livez", "/readyz"):
        return Answer(200, "ok")
    document = discovery.answer(request.path, list(store.resources.values()))
    if document is not None:
        return Answer(200, document)
    target = _locate(store, request.path)
    verb = _VERBS.get((request.method, bool(target.name)))
    if verb is None:
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method here")
    if request.token:
        asked |= access.check(store, request, target)
    return verb(store, target, request)


def _locate(store, path):
    found = _PATH.fullmatch(path)
    if found:
        group, version, namespace, plural, name, part = found.groups(default="")
        group_version = f"{group}/{version}" if group else version
        resource = store.resources.get((group_version, plural))
        if resource and part in ("", "status", "log"):
            return Target(resource, namespace, name, part)
    raise ApiError(404, "NotFound", "the server could not find the requested resource")


def _read(store, target, request):
    found = store.find(target.resource, target.namespace, target.name)
    wants_log = target.resource == PODS and target.part == "log"
    return Answer(200, podlogs.read(found, store.printed, request.query) if wants_log else found)


def _list(store, target, request):
    if request.query.get("watch") in ("true", "1"):
        return Answer(200, watch(store, target.resource, target.namespace, request.query))
    return Answer(
        200,
        {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.group_version,
            "metadata": {"resourceVersion": str(store.revision)},
            "items": _selected(store, target, request),
        },
    )


def _selected(store, target, request):
    found = store.select(target.resource, target.namespace)
    return [obj for obj in found if matches(obj, request.query)]


def _create(store, target, request):
    obj = _decode(target, request)
    if target.resource == ACCESS_REVIEWS:
        return Answer(201, obj | {"status": access.review(store, request, obj)})
    return Answer(201, store.create(target.resource, target.namespace, obj, request.dry_run))


def _replace(store, target, request):
    old = store.find(target.resource, target.namespace, target.name)
    new = _decode(target, request)
    return Answer(200, store.update(target.resource, old, new, request.dry_run))


def _patch(store, target, request):
    patch = _decode(target, request)
    media_type = request.content_type.partition(";")[0]
    if media_type == "application/apply-patch+yaml":
        return _apply(store, target, request, patch)
    if media_type not in _PATCHES:
        raise ApiError(415, "UnsupportedMediaType", f"no patch is of type {media_type}")
    old = store.find(target.resource, target.namespace, target.name)
    new = _PATCHES[media_type](old, patch)
    return Answer(200, store.update(target.resource, old, new, request.dry_run))


def _apply(store, target, request, config):
    resource, namespace, name, _ = target
    code = 200 if store.lookup(resource, namespace, name) else 201
    config.setdefault("metadata", {})["name"] = name
    manager = request.query.get("fieldManager", "")
    return Answer(code, store.apply(resource, namespace, config, manager, request.dry_run))


def _delete(store, target, request):
    resource, namespace, name, _ = target
    if _has_dry_run_option(request):
        return Answer(200, store.find(resource, namespace, name))
    obj = store.delete(resource, namespace, name)
    kept = store.lookup(resource, namespace, name)
    details = {"name": name, "kind": resource.plural, "uid": obj["metadata"]["uid"]}
    gone = {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": details}
    return Answer(200, kept or gone)


def _has_dry_run_option(request):
    """DELETE says so in its body, other methods in the query."""
    return "json" in request.content_type and bool(json.loads(request.body or "{}").get("dryRun"))


def _delete_selected(store, target, request):
    for obj in _selected(store, target, request):
        store.delete(target.resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    return Answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})


def _decode(target, request):
    if "protobuf" in request.content_type:
        obj = protobuf.decode(request.body)
    else:
        try:
            # helm and kubectl write apply patches as JSON too, though they call them YAML.
            obj = json.loads(request.body)
        except ValueError as error:
            raise ApiError(400, "BadRequest", f"the body is not JSON: {error}") from error
    if target.resource == SECRETS and isinstance(obj, dict) and "stringData" in obj:
        text = obj.pop("stringData") or {}
        encoded = {name: base64.b64encode(text[name].encode()).decode() for name in text}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    return obj


_VERBS = {
    ("GET", True): _read,
    ("GET", False): _list,
    ("POST", False): _create,
    ("PUT", True): _replace,
    ("PATCH", True): _patch,
    ("DELETE", True): _delete,
    ("DELETE", False): _delete_selected,
}
_PATCHES = {
    "application/strategic-merge-patch+json": merge.strategic_merge,
    "application/merge-patch+json": merge.merge_patch,
    "application/json-patch+json": merge.json_patch,
}
