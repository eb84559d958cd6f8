"""Keeping secrets out of sentences: what a program said may repeat the values it was given."""

import re

from caelus.models import Deployment
from caelus.validation import compact

MASK = "***"
_SECRET_KEY = re.compile(r"pass|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_SHORTEST = 4  # anything shorter says nothing, and would mask half of every sentence


def scrub(sentence: str, deployment: Deployment) -> str:
    """`sentence` without the user's values and without what the defaults call a secret."""
    template = deployment.desired_template
    found = set(_leaves(deployment.user_values_json or {}))
    found |= set(_secrets(template.default_values_json or {}))
    spoken = {deployment.domainname, deployment.deployment_uid, deployment.user.email}
    texts = {text for text in found - spoken if len(text) >= _SHORTEST}
    for text in sorted(texts, key=len, reverse=True):
        sentence = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", MASK, sentence)
    return sentence


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
    items = document.items() if isinstance(document, dict) else ()
    for key, item in items:
        yield from _leaves(item) if _SECRET_KEY.search(key) else _secrets(item)
    for item in document if isinstance(document, list) else ():
        yield from _secrets(item)
