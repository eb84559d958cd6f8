"""Keeping secrets out of sentences: what a program said may repeat the values it was given."""

import base64
import functools
import json
import re
import urllib.parse

from caelus import secretvalues
from caelus.errors import SecretKeyError
from caelus.jsontext import compact
from caelus.logs import one_line
from caelus.models import Deployment

MASK = "***"
CUT = "..."  # where other modules shorten a text
LONGEST = 600
_SECRET_KEY = re.compile(
    r"pass|pwd|secret|token|credential|(api|access|private|encryption|signing)[-_]?key",
    re.IGNORECASE,
)
_SHORTEST = 4  # anything shorter says nothing, and would mask half of every sentence
_LONG = 8  # anything longer is no part of another word by chance
# Words of our own sentences: a value that is one of them, and no secret, need not be hidden.
_OURS = frozenset(
    "address being bound can't cluster container crash deleted exceeds exit failed fails hook "
    "image line mounted namespace needs pulled quota ready refused release scheduled seconds "
    "started still takes type volume waits".split()
)
_HTML = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}  # as Go writes them in JSON


def scrub(sentence: str, deployment: Deployment, thing: str | None = None) -> str:
    """`sentence` without secrets, the user's values and what the defaults call a secret.

    The name of the `thing` that it is about stays. It comes out as one line of at most LONGEST
    characters. Where the secrets can't be known, that is told in its place.
    """
    template = deployment.desired_template
    try:
        secret = set(_leaves(secretvalues.everything_secret(deployment)))
    except SecretKeyError as e:
        return e.detail
    found = secret | set(_leaves(deployment.user_values_json or {})) - _OURS
    found |= set(_secrets(template.default_values_json or {}))
    spoken = {deployment.domainname, deployment.deployment_uid, deployment.user.email}
    spoken |= {template.chart_ref, template.chart_version, *(thing or "").split()} - secret
    spellings = {s for text in found - spoken for s in _spellings(text)}
    masked = {s for s in spellings - spoken if len(s) >= _SHORTEST and s in sentence}
    longest_first = sorted(spoken | masked, key=len, reverse=True)
    pattern = "|".join(map(_as_a_word, longest_first))
    text = re.sub(pattern, lambda match: match[0] if match[0] in spoken else MASK, sentence)
    text = _without_beginnings(text, secret - spoken)
    # Only now: half a secret, or one with other blanks, would not have been recognised.
    return shortened(text)


def shortened(text: str) -> str:
    """`text` as one line of at most LONGEST characters."""
    text = one_line(" ".join(text.split()))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def secrets_of(deployment: Deployment) -> set[str]:
    """What is secret of a deployment, by its mark or by its name. Raises SecretKeyError."""
    templates = filter(None, (deployment.desired_template, deployment.applied_template))
    documents = [deployment.user_values_json, *(t.default_values_json for t in templates)]
    named = [text for document in documents for text in _secrets(document or {})]
    return {*named, *_leaves(secretvalues.everything_secret(deployment))}


def masking(secrets: set[str], text: str):
    """What masks these secrets in a part of `text`, however programs spell them."""
    spelled = {s for secret in secrets for s in _spellings(secret)}
    found = [s for s in spelled if len(s) >= _SHORTEST and s in text]
    pattern = re.compile("|".join(map(_as_a_word, sorted(found, key=len, reverse=True))))
    return functools.partial(pattern.sub, MASK) if found else str


def _without_beginnings(text: str, secret: set[str]) -> str:
    """`text` without what is left of a secret where something was cut: `hunt...`."""
    said, *rest = text.split(CUT)
    for following in rest:
        cut = [n for s in secret for n in range(_SHORTEST, len(s)) if said.endswith(s[:n])]
        said = (said[: -max(cut)] + MASK if cut else said) + CUT + following
    return said


def _as_a_word(text: str) -> str:
    """A pattern for `text`; for a short one not where it is a part of a longer word."""
    if len(text) >= _LONG:
        return re.escape(text)
    before = r"(?<!\w)" if re.match(r"\w", text) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", text) else ""
    return before + re.escape(text) + after


def _spellings(text: str) -> set[str]:
    """`text` as programs repeat it: plain, a line of it, quoted once or twice, encoded."""
    quoted = compact(text)[1:-1]
    plain = {text, " ".join(text.split()), *(line.strip() for line in text.splitlines())}
    once = {quoted, quoted.translate(_HTML), json.dumps(text)[1:-1]}
    twice = {compact(spelling)[1:-1] for spelling in once}
    encoded = {base64.b64encode(text.encode()).decode(), urllib.parse.quote(text, safe="")}
    return plain | once | twice | encoded


def _leaves(document):
    if isinstance(document, dict | list):
        items = document.values() if isinstance(document, dict) else document
        for item in items:
            yield from _leaves(item)
    elif isinstance(document, str):
        yield document
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield compact(document)


def _secrets(document):
    """The leaves under a key that sounds secret, or of `{name: DB_PASSWORD, value: ...}`."""
    if isinstance(document, list):
        for item in document:
            yield from _secrets(item)
    elif isinstance(document, dict):
        named = _SECRET_KEY.search(str(document.get("name")))
        for key, item in document.items():
            secret = _SECRET_KEY.search(key) or (named and key == "value")
            yield from _leaves(item) if secret else _secrets(item)
