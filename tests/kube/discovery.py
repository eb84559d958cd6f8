"""How clients learn which kinds there are: /version, /api, /apis and the OpenAPI documents."""

from tests.kube.resources import ACCESS_REVIEWS, IN_ALL

VERSION = "v1.33.0"
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def answer(path: str, resources: list) -> dict | None:
    """The discovery document at this path, or None for any other path."""
    if path == "/version":
        major, minor, _ = VERSION.removeprefix("v").split(".")
        return {"major": major, "minor": minor, "gitVersion": VERSION, "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return _groups(resources)
    if path == "/openapi/v3":
        paths = {_root(r.group_version) for r in resources}
        return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}"} for p in sorted(paths)}}
    for group_version in {r.group_version for r in resources}:
        ours = [r for r in resources if r.group_version == group_version]
        if path == f"/{_root(group_version)}":
            return _resource_list(group_version, ours)
        if path == f"/openapi/v3/{_root(group_version)}":
            return _openapi(ours)
    return None


def _root(group_version):
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def _groups(resources):
    versions = {}
    for resource in resources:
        if resource.group:
            versions.setdefault(resource.group, {})[resource.version] = {
                "groupVersion": resource.group_version,
                "version": resource.version,
            }
    groups = [
        {
            "name": group,
            "versions": list(served.values()),
            "preferredVersion": next(iter(served.values())),
        }
        for group, served in versions.items()
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _resource_list(group_version, resources):
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": [_resource(r) for r in resources],
    }


def _resource(resource):
    return {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create"] if resource == ACCESS_REVIEWS else _VERBS,
        "shortNames": list(resource.short_names),
        "categories": ["all"] if resource in IN_ALL else [],
    }


def _openapi(resources):
    # That PATCH knows `fieldValidation` makes helm and kubectl leave validation to the server;
    # without it they ask for the OpenAPI v2 document in protobuf.
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    paths = {
        f"/{r.plural}": {
            "patch": {
                "parameters": parameters,
                "responses": {},
                "x-kubernetes-group-version-kind": {
                    "group": r.group,
                    "version": r.version,
                    "kind": r.kind,
                },
            }
        }
        for r in resources
    }
    return {"openapi": "3.0.0", "info": {"title": "kube", "version": VERSION}, "paths": paths}
