"""The formats of texts among values that are checked, the same ones wherever Caelus runs.

By itself jsonschema checks as many as there are other packages that happen to be installed.
"""

import datetime
import re
from collections.abc import Callable

_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_PART = r"(?:[a-zA-Z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9a-fA-F]{2})*"
_URI = re.compile(rf"[a-zA-Z][a-zA-Z0-9+.-]*:{_PART}(#{_PART})?")
_ZONE = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_CLOCK = rf"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?{_ZONE}"
_TIME = re.compile(_CLOCK, re.IGNORECASE | re.ASCII)
_MOMENT = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})T{_CLOCK}", re.IGNORECASE | re.ASCII)
# RFC 3339, appendix A: no part is left out between two others.
_HOURS = r"T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
_DAYS = r"([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
_DURATION = re.compile(rf"P({_DAYS}({_HOURS})?|{_HOURS}|[0-9]+W)")


def _is_moment(text: str) -> bool:
    found = _MOMENT.fullmatch(text)
    try:
        return found is not None and bool(datetime.date.fromisoformat(found[1]))
    except ValueError:  # the 30th of February
        return False


_OF_JSONSCHEMA = ("email", "idn-email", "ipv4", "ipv6", "date", "uuid")
# With one of those that came with the same draft: to older ones the name may mean anything.
_OWN: dict[str, tuple[Callable, str]] = {
    "hostname": (_HOSTNAME.fullmatch, "email"),
    "uri": (_URI.fullmatch, "email"),
    "date-time": (_is_moment, "email"),
    "time": (_TIME.fullmatch, "date"),
    "duration": (_DURATION.fullmatch, "uuid"),
}


def checkers(known: dict) -> dict:
    """What a draft's checker checks, as jsonschema has it, given what it has there: `known`."""
    own = {name: (_of_text(fits), ()) for name, (fits, peer) in _OWN.items() if peer in known}
    return {name: known[name] for name in _OF_JSONSCHEMA if name in known} | own


def _of_text(fits: Callable) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or bool(fits(value))
