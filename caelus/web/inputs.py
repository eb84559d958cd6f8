"""What a browser can check by itself: the kind of an input and its attributes.

Never stricter than the schema: what the API would take can be typed. (But `maxlength` counts
characters beyond U+FFFF twice.)
"""

import json
import math
import re

from caelus import validation
from caelus.errors import Conflict
from caelus.web.shapes import Shape, is_secret

_INPUTS = {  # by format: the kind of input, and the values that browsers leave as they are
    "date": ("date", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")),
    "email": ("email", re.compile(r"[!-?A-~]+@[a-zA-Z0-9.-]+")),
    "uri": ("url", re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[!-~]+")),
}
_SAMPLES = {  # by format: a text of it, where its name does not say how it is written
    "date-time": "2030-01-31T12:30:00Z",
    "time": "12:30:00Z",
    "duration": "P1DT12H",
    "email": "ada@example.org",
    "hostname": "cloud.example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}
USUAL, LONGEST = 24, 1000  # characters of a secret that the browser makes
_LONG_TEXTS = ("textarea", "multiline", "markdown", "yaml", "json")
# The expressions that mean the same to Python's `regex` and, with the flag v, to JavaScript.
_ATOM = r"(?:[a-zA-Z0-9_ @:,=%#;!~\"'<>&/-]|\\[.*+?()\[\]{}|/^$\\]|\.|\[\^?(?:SAFE)+-?\])"
_SAFE = r"[a-zA-Z0-9]-[a-zA-Z0-9]|[a-zA-Z0-9_ .:,;=%#!~@+*?$]|\\[-.\[\]\\/()]"
_TIMES = r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})?\??"
_PIECE = _ATOM.replace("SAFE", _SAFE) + _TIMES
_SAME = re.compile(rf"(?:{_PIECE}|\((?:\?[:=!])?|\)|\){_TIMES}|\|)*")
_ANYTHING = r"[\s\S]*"
_DOUBLED = re.compile(r"([!#%,:;<=>@~&*+.?$])\1")


def kind_of(found: Shape, value: str) -> str:
    """The kind of input for a text or number that is now `value`."""
    wanted = found.rules.get("format")
    if is_secret(found.rules):
        return "textarea" if "\n" in value else "password"
    if found.kind in ("number", "integer"):
        return "number" if not value or _is_number(value) else "text"
    if "\n" in value or wanted in _LONG_TEXTS:
        return "textarea"
    kind, kept = _INPUTS.get(wanted, ("text", None))
    return kind if kept is None or not value or kept.fullmatch(value) else "text"


def sample(found: Shape) -> str:
    """What is shown in an empty field of a format, in words."""
    text = _SAMPLES.get(found.rules.get("format")) if found.kind == "text" else None
    return f"such as {text}" if text else ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][-+]?[0-9]+)?", text) is not None


def attributes(found: Shape, kind: str, value: str) -> dict[str, str]:
    if kind == "number":
        return _of_number(found)
    rules, given = found.rules, {}
    secret = is_secret(rules)  # a mask need not keep the rules for what it stands for
    for keyword, attribute in (("minLength", "minlength"), ("maxLength", "maxlength")):
        if found.kind == "text" and keyword in rules and not secret:
            given[attribute] = str(int(rules[keyword]))
    patterns = rules.get("patterns", ())
    if kind != "textarea" and len(patterns) == 1 and not secret:
        if pattern := as_javascript(patterns[0]):
            given["pattern"] = pattern
    return given


def made_length(found: Shape) -> int | None:
    """How many letters and digits a browser draws for a secret; None where it can't make one that
    the schema takes."""
    rules = found.rules
    length = min(max(USUAL, rules.get("minLength", 0)), rules.get("maxLength", math.inf))
    if found.kind != "text" or found.options or not 0 < length <= LONGEST:
        return None
    # What the pattern takes of all these it takes of nearly all that is drawn.
    drawn = ("aA0zZ9"[n:] + "aA0zZ9" * int(length) for n in range(6))
    fits = all(_matches(rules.get("patterns", ()), text[: int(length)]) for text in drawn)
    return int(length) if fits else None


def _matches(patterns, text: str) -> bool:
    try:
        return all(validation.BoundedPatterns.search(pattern, text) for pattern in patterns)
    except (Conflict, validation.ImpossiblePattern):
        return False


def length_told(found: Shape) -> str:
    """How long a secret must be, in words: the browser does not say it of one."""
    least, most = (found.rules.get(keyword) for keyword in ("minLength", "maxLength"))
    if found.kind != "text" or least == most is None:
        return ""
    if least is None or most is None:
        return f"At least {least} characters." if most is None else f"At most {most} characters."
    return f"{least} to {most} characters." if least != most else f"{most} characters."


def _of_number(found: Shape) -> dict[str, str]:
    rules, whole = found.rules, found.kind == "integer"
    least, most = rules.get("minimum"), rules.get("maximum")
    if whole:
        least = _whole(least, rules.get("exclusiveMinimum"), math.ceil, 1, max)
        most = _whole(most, rules.get("exclusiveMaximum"), math.floor, -1, min)
    bounds = {"min": least, "max": most}
    given = {name: json.dumps(bound) for name, bound in bounds.items() if bound is not None}
    return given | {"step": _step(rules.get("multipleOf"), least, whole)}


def _whole(bound, exclusive, rounded, step: int, choose):
    """The outermost integer that is allowed."""
    found = [] if bound is None else [rounded(bound)]
    if exclusive is not None:
        other = {math.ceil: math.floor, math.floor: math.ceil}[rounded]
        found.append(other(exclusive) + step)
    return choose(found) if found else None


def _step(multiple, least, whole: bool) -> str:
    """Browsers count steps from the least, JSON Schema from zero."""
    even = isinstance(multiple, int) and (least is None or least % multiple == 0)
    return str(multiple) if even and multiple > 0 else "1" if whole else "any"


def as_javascript(pattern: str) -> str | None:
    """The pattern for a whole text, or None where JavaScript might take it for another.

    \\d is any digit to Python, \\w any letter; `regex` has more besides.
    """
    start, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    inner = pattern[start : len(pattern) - end]
    if not _SAME.fullmatch(inner) or _DOUBLED.search(inner):
        return None
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    if (start or end) and "|" in _outer(inner):
        return None
    inner = re.sub(r"(?<!\\)-\]", r"\\-]", inner)  # the flag v wants it escaped
    return f"{'' if start else _ANYTHING}(?:{inner}){'' if end else _ANYTHING}"


def _outer(pattern: str) -> str:
    """What is in no group and no class."""
    before, pattern = None, re.sub(r"\\.|\[[^\]]*\]", "", pattern)
    while before != pattern:
        before, pattern = pattern, re.sub(r"\([^()]*\)", "", pattern)
    return pattern


def text_of_default(found: Shape, default) -> str:
    """A default as its field is filled in with it; nothing if it is none for the field."""
    if found.kind == "text":
        return default if isinstance(default, str) else ""
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    return json.dumps(default) if number else ""
