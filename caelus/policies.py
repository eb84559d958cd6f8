"""What a template may say in its capabilities, beside its bindings."""

from caelus import isolation, jsontext, naming
from caelus.errors import Conflict

POLICIES = {  # the first is the default
    "drift": ("correct", "warn", "off"),
    "on_upgrade_failure": ("rollback", "keep"),
    "user_text": ("line", "any"),
    "user_values": ("pass", "bindings_only"),
}


def policy(capabilities: dict | None, name: str) -> str:
    """What the template says of `drift` or another of the `POLICIES`."""
    return (capabilities or {}).get(name) or POLICIES[name][0]


def check(capabilities: dict | None) -> None:
    """Raise Conflict for what can't be meant."""
    takes_plain_http(capabilities)
    _check_choices(capabilities or {})
    said = (capabilities or {}).get("isolation")
    if said is not None and (wrong := isolation.problem(said)):
        place = naming.pointer(("isolation", *wrong.path))
        raise Conflict(f"capabilities: {place} {wrong.text}")


def _check_choices(capabilities: dict) -> None:
    for name, choices in POLICIES.items():
        value = capabilities.get(name)
        if value is not None and value not in choices:
            quote = '; in YAML, put "off" in quotes' if value is False else ""
            raise Conflict(
                f"capabilities: /{name} must be one of {', '.join(choices)}, "
                f"not {jsontext.compact(value)[:100]}{quote}"
            )


def takes_plain_http(capabilities: dict | None) -> bool:
    """Whether the chart may come over plain http. Raises Conflict for what is no boolean."""
    said = (capabilities or {}).get("plain_http", False)
    if not isinstance(said, bool):
        raise Conflict("capabilities: /plain_http must be true or false")
    return said
