"""The four ways to change an object by PATCH, as pure functions from a live object to a new one.

Which lists merge by key is known by the lists' names: there are no schemas here.
"""

import copy

from tests.kube.errors import ApiError

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_SETS = {"finalizers"}


def merge_patch(live, patch):
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(live: dict, operations: list) -> dict:
    """JSON patch (RFC 6902) with add, replace, remove and test."""
    document = copy.deepcopy(live)
    for operation in operations:
        try:
            _change(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError(422, "Invalid", f"JSON patch failed at {operation}") from error
    return document


def _change(document, operation):
    *path, last = operation["path"].split("/")[1:]
    parent = document
    for part in path:
        parent = parent[_index(parent, part)]
    at = _index(parent, last)
    name, value = operation["op"], operation.get("value")
    if name == "add" and isinstance(parent, list):
        parent.insert(at, value)
    elif name == "add":
        parent[at] = value
    else:
        _change_existing(name, parent, at, value)


def _change_existing(name, parent, at, value):
    present = parent[at]
    if name == "remove":
        del parent[at]
    elif name == "replace":
        parent[at] = value
    elif name != "test" or present != value:
        raise ValueError(name)


def _index(parent, part):
    if isinstance(parent, list):
        return len(parent) if part == "-" else int(part)
    return part.replace("~1", "/").replace("~0", "~")


def strategic_merge(live, patch):
    """Kubernetes' strategic merge patch, with the directives that kubectl and helm write."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    merged = dict(live) if isinstance(live, dict) else {}
    if "$retainKeys" in patch:
        merged = {name: merged[name] for name in merged if name in patch["$retainKeys"]}
    for name, value in patch.items():
        directive, _, field = name.partition("/")
        if directive == "$deleteFromPrimitiveList":
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
        elif directive.startswith("$"):
            continue
        elif value is None:
            merged.pop(name, None)
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{name}") or []
            merged[name] = _merge_list(name, merged.get(name) or [], value, order)
        else:
            merged[name] = strategic_merge(merged.get(name), value)
    return merged


def _merge_list(name, live, patch, order):
    if name in _SETS:
        return live + [item for item in patch if item not in live]
    key = _merge_key(name, live + patch)
    if key is None:
        return patch
    items = {item[key]: item for item in live}
    for change in patch:
        if change.get("$patch") == "delete":
            items.pop(change[key], None)
        else:
            items[change[key]] = strategic_merge(items.get(change[key]), change)
    rank = {item[key]: place for place, item in enumerate(order)}
    return sorted(items.values(), key=lambda item: rank.get(item[key], len(rank)))


def _merge_key(name, items):
    """What identifies an item of this list, or None if the list is replaced as a whole."""
    if not all(isinstance(item, dict) for item in items):
        return None
    candidates = ("containerPort", "port") if name == "ports" else (_MERGE_KEYS.get(name),)
    return next((key for key in candidates if all(key in item for item in items)), None)


def apply(live: dict, config: dict, before: dict) -> dict:
    """Server-side apply: `config`, without what the same manager applied `before` and dropped."""
    return strategic_merge(_prune(live, before, config), config)


def _prune(live, before, config):
    kept = {}
    for name, value in live.items():
        if name in before:
            value = _prune_field(name, value, before[name], config.get(name))
        if value or name in config or name not in before:
            kept[name] = value
    return kept


def _prune_field(name, live, before, config):
    if isinstance(live, dict) and isinstance(before, dict):
        return _prune(live, before, config if isinstance(config, dict) else {})
    if isinstance(live, list) and isinstance(before, list):
        return _prune_list(name, live, before, config if isinstance(config, list) else [])
    return live if config is not None else None


def _prune_list(name, live, before, config):
    if name in _SETS:
        return [item for item in live if item in config or item not in before]
    key = _merge_key(name, live + before + config)
    if key is None:
        return config
    earlier, wanted = ({item[key]: item for item in items} for items in (before, config))
    return [
        _prune(item, earlier.get(item[key], {}), wanted[item[key]]) if item[key] in wanted else item
        for item in live
        if item[key] in wanted or item[key] not in earlier
    ]
