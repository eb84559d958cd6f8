"""The form of the template editor: what its fields hold, and to which a refusal belongs.

Pure: what a browser sends in, arguments of create-template out, and back.
"""

import io

from caelus import yamltext
from caelus.errors import CaelusError, Invalid
from caelus.jsontext import compact, parse
from caelus.schemas import SECONDS
from caelus.secretvalues import MASK
from caelus.validation import from_text

WORDS = ("chart_ref", "chart_version", "chart_digest", "version_label", "health_timeout_sec")
DOCUMENTS = ("default_values_json", "values_schema_json", "capabilities_json")
TICKS = ("resolve", "offer")
# What the form calls its fields; refusals name them so, too.
LABELS = {
    "chart_ref": "Chart",
    "chart_version": "Version",
    "chart_digest": "Digest",
    "version_label": "What users see as the version",
    "health_timeout_sec": "Seconds until it must be healthy",
    "default_values_json": "Default values",
    "values_schema_json": "Values schema",
    "capabilities_json": "Capabilities",
}
DOMAIN = "${domainname}"
# How the sentences of refusals begin that are about one field.
ABOUT = {
    "values schema": "values_schema_json",
    "the values schema": "values_schema_json",
    "the pattern": "values_schema_json",
    "default values": "default_values_json",
    "capabilities": "capabilities_json",
    "binding ": "capabilities_json",
    "product ": "chart_version",
    "cannot copy chart": "chart_ref",
    "cannot pull chart": "chart_ref",
    "chart ": "chart_ref",
}
# A whole one, of a public chart: it can be published as it stands.
EXAMPLE = {
    "chart_ref": "oci://ghcr.io/stefanprodan/charts/podinfo",
    "chart_version": "6.7.0",
    "version_label": "6.7",
    "default_values_json": """ingress:
  enabled: true
  hosts:
    - host: ""
      paths:
        - path: /
          pathType: Prefix
""",
    "values_schema_json": """properties:
  user:
    type: object
    properties:
      message:
        title: Greeting
        description: What the page says to its visitors.
        type: string
        default: Hello
        maxLength: 60
      replicas:
        title: Copies
        description: How many run side by side.
        type: integer
        default: 1
        minimum: 1
        maximum: 3
    additionalProperties: false
""",
    "capabilities_json": """bindings:
  /ingress/hosts/0/host: ${domainname}
  /ui/message: ${values.user.message}
  /replicaCount: ${values.user.replicas}
""",
}


def blank() -> dict[str, str]:
    return dict.fromkeys((*WORDS, *DOCUMENTS), "") | dict.fromkeys(TICKS, "on")


def example() -> dict[str, str]:
    return blank() | EXAMPLE


def filled_in(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The fields as they were filled in; ticks that are not sent are not set."""
    sent = dict(pairs)
    return {name: sent.get(name, "") for name in (*WORDS, *DOCUMENTS, *TICKS)}


def of_template(template: dict) -> dict[str, str]:
    """The fields that would make the template once more; a new version has a digest of its own."""
    fields = {name: str(template[name] or "") for name in WORDS}
    documents = {name: written(template[name]) for name in DOCUMENTS}
    return fields | documents | {"chart_digest": "", "resolve": "", "offer": "on"}


def filled(fields: dict[str, str], template: dict) -> dict[str, str]:
    """`fields`, those that are empty with what the chart says of itself.

    Not with default values that have secrets: the document has masks for them.
    """
    own = of_template(template) | {"chart_digest": template["chart_digest"] or ""}
    if MASK in compact(template["default_values_json"]):
        own["default_values_json"] = ""
    return {name: text if text.strip() else own.get(name, "") for name, text in fields.items()}


def written(document: dict | None) -> str:
    """A document as YAML, for people to read and change."""
    if document is None:
        return ""
    text = io.StringIO()
    yamltext.dump(document, text)
    return text.getvalue()


def binds_domain(template: dict) -> bool:
    """Whether the chart learns the domain of the app."""
    bindings = (template["capabilities_json"] or {}).get("bindings")
    return DOMAIN in compact(bindings)


def arguments(fields: dict[str, str]) -> dict:
    """What create-template takes. Raises Invalid where a text is no document."""
    given = {name: fields[name].strip() or None for name in WORDS}
    if seconds := given["health_timeout_sec"]:
        given["health_timeout_sec"] = from_text(SECONDS, seconds)
    wrong = []
    for name in DOCUMENTS:
        try:
            given[name] = document(fields[name])
        except ValueError as e:
            wrong.append((name, str(e)))
    if wrong:
        raise Invalid(*wrong)
    return given


def document(text: str) -> dict | None:
    """The object in `text`, JSON or YAML; None for none. Raises ValueError with a sentence."""
    if not text.strip():
        return None
    found = _read(text)
    if not isinstance(found, dict):
        raise ValueError("must hold a YAML or JSON object")
    return found


def _read(text: str):
    if not text.lstrip().startswith("{"):
        found = yamltext.load(text)
        yamltext.refuse_repeated(text)  # of which one would be lost, without a word
        return found
    try:
        return parse(text)
    except ValueError as e:
        try:
            return yamltext.load(text)  # which has braces, too
        except ValueError:
            raise e from None


def by_field(error: CaelusError) -> dict[str, str]:
    """The sentences of a refusal by the fields that they are about; "" is the form as a whole."""
    if isinstance(error, Invalid):
        return {_field(name): f"{_labelled(name)} {message}" for name, message in error.errors}
    about = (field for start, field in ABOUT.items() if error.detail.startswith(start))
    return {next(about, ""): error.detail}


def _labelled(name: str) -> str:
    """How a sentence about the place `name` begins: `Default values: a.b`."""
    field, _, within = name.partition(".")
    return f"{LABELS[field]}: {within}".rstrip() if field in LABELS else name


def _field(name: str) -> str:
    """The field of a place such as `default_values_json.a.b`."""
    first = name.partition(".")[0]
    return first if first in (*WORDS, *DOCUMENTS) else ""
