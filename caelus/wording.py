"""What helm 3 and 4, kubectl and Kubernetes say when they refuse, and which cause it means.

The sentences made of it hold names, numbers and known words, but nothing of the values.
"""

import re

# (code, object, message)
Finding = tuple[str, str | None, str]

LONGEST = 200
READ = 1000  # of a line; patterns take quadratic time on what somebody else wrote
_COLOURS = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@|\b(?:Bearer|Basic) [\w.~+/=-]{6,}")
_SOUNDS_SECRET = (  # but not the `secrets=5` of a quota
    r"[\w-]*(?:pass|pwd|secret(?!s=)|token|credential|(?:api|access|private|signing)[_-]?key)[\w-]*"
)
_ASSIGNED = re.compile(
    rf"""(--{_SOUNDS_SECRET}\s+|{_SOUNDS_SECRET}["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;]+)""",
    re.IGNORECASE,
)


def one_line(text: str, longest: int = LONGEST) -> str:
    """`text` printable, on one line of at most `longest`, and no URL with a password."""
    plain = "".join(c if c.isprintable() else " " for c in _COLOURS.sub("", text[:READ]))
    masked = _CREDENTIALS.sub("***", " ".join(plain.split()))
    return masked if len(masked) <= longest else f"{masked[: longest - 3]}..."


def quoted(text: str, longest: int = LONGEST) -> str:
    """One line of somebody else's, without what looks like a secret."""
    return one_line(_ASSIGNED.sub(r"\1***", one_line(text, READ)), longest)


def told(text: str, named: str | None = None) -> Finding | None:
    """The cause that `text`, all that a program said, settles by itself.

    `named` is the object, where it is known better than from the text.
    """
    if _SCHEMA in text:
        return _schema(text)
    for code, pattern, sentence in _WORDS:
        if found := pattern.search(text):
            return _finding(code, sentence, text, named, **found.groupdict())
    return None


def unanswered(text: str) -> Finding | None:
    """A request that ran into a deadline: the cluster's fault only if it does not answer at all."""
    found = re.search(rf'"{_CLUSTER}": context deadline exceeded', text)
    return found and ("cluster_unreachable", *_no_answer(f"cluster {found['cluster']}"))


def hook(text: str) -> str | None:
    """The name of the Job or Pod that is the failed hook, "" if it is not named."""
    # Of an uninstall both majors say no more than that a Job failed: only hooks have it wait.
    if not re.search(
        r"failed (?:pre|post)-[a-z]+|(?:pre|post)-[a-z]+ hooks failed"
        r"|cannot uninstall \S+: .*(?:job \S+ failed|resource (?:Job|Pod)/\S+ not ready)",
        text,
    ):
        return None
    named = re.search(r"(?:job|pod) (\S+) failed|resource (?:Job|Pod)/[^/\s]+/(\S+) not", text)
    return (named[1] or named[2]) if named else ""


def waited_for(text: str) -> str | None:
    """`Kind name` of what helm 4 says is not ready."""
    found = re.search(r"resource (\w+)/[^/\s]+/(\S+) not ready", text)
    return found and f"{found[1]} {found[2]}"


def chart(text: str) -> str | None:
    found = re.search(r"chart (\S+) ", text)
    return found and f"chart {found[1]}"


def release(text: str) -> str | None:
    found = re.search(r"the release (\S+)$", text)
    return found and f"release {found[1]}"


def gist(text: str) -> str:
    """The error line of what nobody has foreseen, without whatever it quotes."""
    lines = [line for line in text.splitlines() if line.lower().startswith("error: ")]
    said = (lines or text.splitlines() or [""])[-1]
    return quoted(_VALUES.sub("...", said.partition(": ")[2]))


_VALUES = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[{[].*[]}]|(?<=nvalid value: )[^:]+')


# The chart's schema: helm 3 writes `- a.b: rule`, helm 4 `- at '/a/b': rule`, with the value itself
# in some rules. So only what these patterns take of a rule is repeated.

_SCHEMA = "values don't meet the specifications of the schema"
_REFUSALS = re.compile(
    r"- (?:at '(?P<pointer>[^']*)'|(?P<dotted>[^\s:]+)): "
    r"(?P<rule>.*?)(?=\s+- (?:at '|[^\s:]+: )|\Z)",
    re.DOTALL,
)
_TYPES = r"(?:(?:array|boolean|integer|null|number|object|string)(?: or |, ?|\b))+"
_RULES = re.compile(
    rf"got {_TYPES}, want {_TYPES}|Invalid type\. Expected: \[?{_TYPES}\]?, given: {_TYPES}"
    r"|(?<= )want [\d.,e+-]+|[Mm]ust be (?:greater|less) than (?:or equal to )?\S+"
    r"|[Mm]ust be a multiple of \S+|(?:String length|Array) must .*|missing propert.*"
    r"|\S+ is required|[Aa]dditional propert.*|must be one of .*|value must be .*"
    r"|[Dd]oes not match (?:pattern|format) \S+|is not valid [\w-]+|must be unique|are equal"
)
_LIMIT = re.compile(r"(\w+): got \S+, (?=want )")
_USER = re.compile(r"[Aa]dditional propert.*\buser\b")
_VALUE = re.compile(r"'.*'(?= does not match| is not valid)", re.DOTALL)


def _schema(text: str) -> Finding:
    refused = [
        (_pointer(found), _rule(found["rule"]))
        for found in _REFUSALS.finditer(text.partition(_SCHEMA)[2])
    ]
    # Both majors give them in a random order.
    place, rule = min(refused, key=lambda one: (not one[1], one), default=(None, ""))
    sentence = f"the chart's schema refuses {place or 'the values'}"
    if place == "/" and _USER.search(rule):
        rule += '; "user_values": "bindings_only" in the template keeps what users set from it'
    return "values_rejected", place, f"{sentence}: {rule}" if rule else sentence


def _pointer(refusal: re.Match) -> str:
    if refusal["dotted"] is None:
        return refusal["pointer"] or "/"
    return "/" if refusal["dotted"] == "(root)" else f"/{refusal['dotted'].replace('.', '/')}"


def _rule(text: str) -> str:
    """What of a rule can be told; "" if it is not one of those known."""
    rule = _VALUE.sub("", text).partition("\n")[0]
    limit, known = _LIMIT.match(rule), _RULES.search(rule)
    if not known:
        return ""
    return f"{limit[1]}, {known[0]}" if limit else known[0]


# Everything else, the first that matches. A group says what the object is: `registry` is "registry
# X". With `by` it is the Kubernetes object that the text names, if any; `why` is never the object.

_HOST = r'https?://(?:[^/@\s]*@)?(?P<%s>[^/"\\\s]+)[^"\s]*'
_REGISTRY, _CLUSTER = _HOST % "registry", _HOST % "cluster"
NET = (
    r"connection refused|connection reset|no such host|no route to host|network is unreachable"
    r"|i/o timeout|TLS handshake|tls: [\w ]+|x509: [\w ]+|Client\.Timeout|http2: [\w ]+|\bEOF"
    r"|server gave HTTP response"
)
_OFFLINE = rf"(?P<why>{NET}|deadline exceeded|$)"
_FETCHING = r'(?:cannot be reached|FetchReference" on source|failed to do request|token): \w+'
_TEMPLATE = r"(?P<template>[\w./-]+/templates/[^\s:)]+(?::\d+)?)"
_DENIED = "{object} refuses access ({why})"
_REFUSED = "{object} does not give the chart ({why})"
_NO_ANSWER = "{object} can't be reached ({why})"
_NO_CLUSTER = "the cluster can't be reached ({why})"
_MISSING = "{object} does not exist"
_NO_PATH = (
    "{object} is not there, or Caelus may not read it; its service sees no /root and no /home"
)
_UNREADABLE = "{object} is not what helm can read ({why})"
_UNLIKE = "{subject} is not what the cluster can read"
_UNRENDERED = "{object} can't be rendered with these values"
_SHAPE = "{subject}: the cluster does not take it as it is ({why})"
_SHARED = "{subject} is not this release's alone: {why}"

_WORDS = [
    ("tool_missing", r"cannot run (?P<program>\S+): (?:.*; )?install ", "{object} can't be run"),
    (
        "namespace_terminating",
        r"namespace (?P<Namespace>\S+) (?:because it is being terminated|is still terminating)",
        "{object} is still being deleted",
    ),
    ("values_rejected", rf"(?:error (?:at|on) \(?|template: ){_TEMPLATE}", _UNRENDERED),
    ("values_rejected", rf"{_TEMPLATE}:\d+\s+executing ", _UNRENDERED),
    (
        "values_rejected",
        r"chart requires kubeVersion: (?P<why>.+?) which is incompatible",
        "the chart needs Kubernetes {why}, which the cluster is not",
    ),
    (
        "values_rejected",
        r'no matches for (?P<by>kind "[^"]+") in version "(?P<why>[^"]+)"',
        "the chart needs {by} of {why}, which the cluster does not have",
    ),
    (
        "cluster_unreachable",
        r'failed calling (?P<by>webhook "[^"]+")',
        "{by}, which the cluster asks, does not answer",
    ),
    ("registry_auth", rf"(?:fetch|request to) {_REGISTRY} ?: (?P<why>40[13] \w+)", _DENIED),
    ("registry_auth", rf'"{_REGISTRY}": response status code (?P<why>40[13])', _DENIED),
    ("registry_auth", rf'"{_REGISTRY}": (?P<why>basic credential not found)', _DENIED),
    ("registry_auth", r"(?P<why>pull access denied|no basic auth credentials)", _DENIED),
    ("chart_not_found", rf"(?:fetch|request to) {_REGISTRY} ?: (?P<why>[45]\d\d)", _REFUSED),
    ("chart_not_found", rf'"{_REGISTRY}": response status code (?P<why>\d+)', _REFUSED),
    ("chart_not_found", rf'{_FETCHING} "{_REGISTRY}".*?{_OFFLINE}', _NO_ANSWER),
    ("chart_not_found", rf'"{_REGISTRY}(?<=\.tgz)".*?{_OFFLINE}', _NO_ANSWER),
    ("chart_not_found", r'path "(?P<chart>[^"\s]+)" not found', _NO_PATH),
    ("chart_not_found", r'repo (?P<chart>[^"\s]+)"? not found', _MISSING),
    ("chart_not_found", r'chart "(?P<chart>[^"]+)" (?:version|matching) .*not found', _MISSING),
    ("chart_not_found", r"(?<!\S)(?P<chart>[\w.:-]+/\S+[:@]\S+): not found", _MISSING),
    (
        "chart_not_found",
        r"(?P<why>Chart\.yaml file is missing|unable to detect chart|missing in charts/ directory"
        r"|not appear to be a gzipped archive|could not locate a version)",
        _UNREADABLE,
    ),
    ("cluster_unreachable", rf'"{_CLUSTER}\\?": .*?(?P<why>{NET})', _NO_ANSWER),
    ("cluster_unreachable", r"server (?P<cluster>\S+) was (?P<why>refused)", _NO_ANSWER),
    (
        "cluster_unreachable",
        r"kubectl took longer than|cannot read the release \S+: helm took longer than",
        "the cluster can't be reached (no answer in time)",
    ),
    (
        "cluster_unreachable",
        r"provide credentials|must be logged in|reading input for (?:Username|Password)",
        "the cluster does not take the credentials of Caelus",
    ),
    ("cluster_unreachable", rf"(?P<why>{NET})", _NO_CLUSTER),
    (
        "cluster_unreachable",
        r"(?i:(?P<why>currently unable to handle|too many requests|etcdserver: [\w ]+"
        r"|apiserver is shutting down)"
        r"|unable to connect to the server|cluster unreachable|cannot reach the cluster)",
        _NO_CLUSTER,
    ),
    ("quota_exceeded", r"exceeded quota: (?P<why>.+)", "{subject} exceeds the quota {why}"),
    (  # for a moment, while a new quota has not been counted yet
        "quota_exceeded",
        r"status unknown for quota: (?P<why>.+)",
        "{subject} may not be made before the quota {why} is counted",
    ),
    (
        "admission_denied",
        r'(?P<by>admission webhook "[^"]+"|Validating\w+Policy \S+).*?denied (?:the )?request'
        r"(?:: (?P<why>.+))?",
        "{subject} is denied by {by}: {why}",
    ),
    (
        "immutable_field",
        r"(?P<why>[\w.[\]/-]+): (?:Invalid value|Forbidden)\b.*?"
        r"(?:immutable|may not (?:be )?change|for fields other than|can ?not be less than)",
        "{subject}: {why} can't be changed in place",
    ),
    (
        "immutable_field",
        r"field is immutable|cannot change roleRef|must support resize",
        "{subject} can't be changed in place",
    ),
    ("values_rejected", r'" is invalid: \[?(?:\s*\* )?(?P<why>[\w.[\]/-]+): ', _SHAPE),
    ("values_rejected", r"(?P<why>\.[\w.[\]]+): (?:expected|field not declared)", _SHAPE),
    ("values_rejected", r'(?P<why>unknown field "[^"]+"|cannot unmarshal \w+ into)', _SHAPE),
    ("values_rejected", r'(?P<by>\w+) in version "[^"]+" cannot be handled as a', _UNLIKE),
    ("values_rejected", r"unable to convert unstructured object|quantities must match", _UNLIKE),
    (
        "admission_denied",
        r"attempting to grant RBAC permissions not currently held:\s+(?P<why>.+)",
        "{subject} grants what Caelus itself may not do: {why}",
    ),
    ("admission_denied", r" is forbidden: (?P<why>.+)", "{subject} is forbidden: {why}"),
    ("apply_conflict", r'(?P<why>conflicts? with "[^"]+".*)', _SHARED),
    (
        "apply_conflict",
        r"(?P<why>the object has been modified|already exists|exists and cannot be imported"
        r"|another operation .*is in progress)",
        _SHARED,
    ),
]
_WORDS = [(code, re.compile(pattern, re.MULTILINE), said) for code, pattern, said in _WORDS]


def _finding(
    code: str, sentence: str, text: str, named: str | None, why="", by="", **own: str
) -> Finding:
    why = quoted(why or "").partition(" * ")[0]  # helm 3 lists several errors like that
    by = by.replace('"', "")
    known = named or next((f"{kind} {name}" for kind, name in own.items()), None) or _named(text)
    thing = known or by or _chart_of(code, text)
    subject = known or "an object of the release"
    words = {"object": thing or "the chart", "subject": subject, "by": by, "why": why}
    return code, thing, sentence.format(**words).replace(" ()", "").removesuffix(": ")


def _no_answer(thing: str) -> tuple[str, str]:
    return thing, _NO_ANSWER.format(object=thing, why="no answer in time")


def _chart_of(code: str, text: str) -> str | None:
    return chart(text) if code in ("chart_not_found", "registry_auth") else None


_NAMES = [  # of what could not be written, as helm 4, helm 3 and Kubernetes give it
    re.compile(r"object \(?[^/\s]+/(?P<name>[^\s;]+);? \S*, Kind=(?P<kind>\w+)"),
    re.compile(r'"(?P<name>[^"]+)" with kind (?P<kind>\w+)'),
    re.compile(r'(?P<kind>\w+)(?:\.[\w.]+)? "(?P<name>[^"]+)" (?:is |already |in namespace )'),
]
_KINDS = {
    "configmaps": "ConfigMap",
    "cronjobs": "CronJob",
    "daemonsets": "DaemonSet",
    "ingresses": "Ingress",
    "networkpolicies": "NetworkPolicy",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "replicasets": "ReplicaSet",
    "serviceaccounts": "ServiceAccount",
    "statefulsets": "StatefulSet",
}


def _named(text: str) -> str | None:
    """`Kind name` of the object that could not be written."""
    for pattern in _NAMES:
        if found := pattern.search(text):
            return f"{_kind(found['kind'])} {found['name']}"
    return None


def _kind(word: str) -> str:
    """`Pod` for `pods`; `Pod` stays."""
    plain = word.removesuffix("s").capitalize() if word.islower() else word
    return _KINDS.get(word, plain)
