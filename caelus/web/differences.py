"""What changes from one template to another, in short: settings, default values, the rest."""

from caelus.jsontext import compact
from caelus.naming import printable

MOST = 30  # of each kind; what is more is counted
LONGEST = 60
_UNTOLD = {"title", "description", "$comment", "examples"}
_MISSING = object()


def of(old: dict, new: dict) -> dict:
    """Lists of (what, kind, text); `settings` are those that a user sets."""
    return {
        "facts": _facts(old, new),
        "settings": _compared(_settings(old), _settings(new), _rules),
        "defaults": _compared(_defaults(old), _defaults(new), _values),
    }


def _facts(old: dict, new: dict) -> list[tuple]:
    found = []
    for name, title in (
        ("chart_ref", "Chart"),
        ("chart_version", "Chart version"),
        ("health_timeout_sec", "Seconds to become healthy"),
        ("capabilities_json", "Capabilities"),
    ):
        if old[name] != new[name]:
            found.append((title, "changed", f"{_shown(old[name])} → {_shown(new[name])}"))
    return found


def _settings(template: dict) -> dict[str, dict]:
    schema = template["values_schema_json"] or {}
    return _leaves((schema.get("properties") or {}).get("user"), "")


def _leaves(schema, place: str) -> dict[str, dict]:
    """The settings of a schema by their dotted names; what is in lists belongs to the list."""
    inner = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(inner, dict):
        return {place: schema} if place else {}
    required, found = schema.get("required") or [], {}
    for name, part in inner.items():
        known = part if isinstance(part, dict) else {"allowed": part}
        marked = known | {"required": True} if name in required else known
        found |= _leaves(marked, f"{place}.{name}" if place else name)
    return found


def _defaults(template: dict) -> dict[str, object]:
    return _flat(template["default_values_json"] or {}, "")


def _flat(document, place: str) -> dict[str, object]:
    if not isinstance(document, dict) or not document:
        return {place: document} if place else {}
    found = {}
    for key, value in document.items():
        found |= _flat(value, f"{place}.{key}" if place else key)
    return found


def _compared(old: dict, new: dict, told) -> dict:
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        if before is _MISSING:
            found.append((printable(name), "new", told(None, after)))
        elif after is _MISSING:
            found.append((printable(name), "removed", ""))
        elif text := before != after and told(before, after):
            found.append((printable(name), "changed", text))
    return {"shown": found[:MOST], "more": max(0, len(found) - MOST)}


def _rules(old: dict | None, new: dict) -> str:
    """The rules of a setting: of a new one which they are, else which have changed."""
    if old is None:
        said = [f"{key}: {_shown(new[key])}" for key in ("type", "default") if key in new]
        return ", ".join([*said, "must be set"] if new.get("required") is True else said)
    names = [key for key in sorted(old.keys() | new.keys()) if key not in _UNTOLD]
    changed = [key for key in names if old.get(key, _MISSING) != new.get(key, _MISSING)]
    return "; ".join(f"{key}: {_from_to(old, new, key)}" for key in changed)


def _from_to(old: dict, new: dict, key: str) -> str:
    before = _shown(old[key]) if key in old else "none"
    return f"{before} → {_shown(new[key]) if key in new else 'none'}"


def _values(old, new) -> str:
    return _shown(new) if old is None else f"{_shown(old)} → {_shown(new)}"


def _shown(value) -> str:
    if value is None:
        return "none"
    return printable(value if isinstance(value, str) else compact(value), LONGEST)
