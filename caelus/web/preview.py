"""What will happen when a deployment is created or changed, told before it does."""

from caelus import bindings, marks
from caelus.config import Config

RANDOM = 6  # characters at the end of a name, drawn anew each time
_LEVELS = {
    "privileged": "its pods may do anything on their machine",
    "baseline": "its pods get no known way to more rights",
    "restricted": "its pods run with the least rights",
}


def of(deployment: dict, settings: Config) -> dict:
    """From the document that a dry run gave."""
    template = deployment["desired_template"]
    return {
        "namespace": f"{deployment['deployment_uid'][:-RANDOM]}{'x' * RANDOM}",
        "domain": deployment["domainname"],
        "template": template,
        "generated": generated(template["values_schema_json"], deployment["user_values_json"]),
        "isolation": isolation(template["capabilities_json"], settings),
    }


def generated(schema: dict | None, user_values: dict | None) -> list[str]:
    """The names of the secrets that Caelus makes, where the user gives none."""
    given = {"user": user_values or {}}
    return [
        " ".join(path[1:] if path[0] == "user" else path)
        for path in map(marks.tokens, marks.generated_places(schema))
        if bindings.look_up(given, path) is bindings.MISSING
    ]


def isolation(capabilities: dict | None, settings: Config) -> str:
    """How it is kept apart from others, in a sentence or two."""
    said = settings.isolation | ((capabilities or {}).get("isolation") or {})
    network = "It may reach, and be reached by, everything in the cluster"
    if said["network"] == "isolated":
        network = "No other app reaches it, and of networks it reaches the internet only"
    quota = ", ".join(f"{amount} {name}" for name, amount in said["quota"].items())
    limit = f" All of it together gets at most {quota}." if quota else ""
    return f"{network}; {_LEVELS[said['pod_security']]}.{limit}"
