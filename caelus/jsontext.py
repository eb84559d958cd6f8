"""JSON documents: out of text, into text, and what is safe to store of them."""

import json

from caelus.errors import Invalid, TooLarge
from caelus.naming import dotted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 1_000_000


def parse(text: str | bytes):
    """The document in `text`. Raises ValueError with one sentence for what is not plain JSON."""
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return _decode(text)
    except json.JSONDecodeError as e:
        raise ValueError(f"not JSON: {e.msg} at line {e.lineno}, column {e.colno}") from None
    except UnicodeDecodeError:
        raise ValueError("not JSON: the text is not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as e:  # Python refuses integers of thousands of digits
        raise ValueError(f"not JSON: {str(e).partition(';')[0]}") from None


def _refuse_constant(name: str):
    raise ValueError(f"{name} is no JSON number")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode  # json.loads makes one each time


def check(document) -> None:
    """Refuse what no database, YAML or Go program could carry unharmed.

    Raises Invalid for NUL and lone surrogates, for numbers beyond 64 bits and for deep nesting,
    TooLarge for too many parts (YAML aliases make large ones out of little text).
    """
    stack, seen = [((), document)], 0
    while stack:
        path, value = stack.pop()
        seen += 1
        if seen > MAX_NODES:
            raise TooLarge(f"the document has more than {MAX_NODES} parts")
        if len(path) > MAX_DEPTH:
            raise Invalid((dotted(path[:3]), f"is nested deeper than {MAX_DEPTH} levels"))
        if message := _unstorable(value):
            raise Invalid((dotted(path), message))
        if isinstance(value, dict):
            for key, item in value.items():
                if _unstorable(key):
                    raise Invalid((dotted(path), "has a key with a NUL or a lone surrogate"))
                stack.append(((*path, key), item))
        elif isinstance(value, list):
            stack.extend(((*path, index), item) for index, item in enumerate(value))


def _unstorable(value) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "must not hold a NUL character"
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            return "must not hold a lone surrogate"
    elif isinstance(value, int) and abs(value) >= 2**63:
        return "must fit into 64 bits"
    elif isinstance(value, float) and value - value != 0:
        return "must be a finite number"
    return None


def compact(document) -> str:
    """A document as JSON text, in real UTF-8: Go programs refuse surrogate escapes."""
    return _compact(document)


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def copied(document):
    """A copy that shares nothing with the document: copy.deepcopy takes ten times as long."""
    if isinstance(document, dict):
        return {key: copied(item) for key, item in document.items()}
    if isinstance(document, list):
        return [copied(item) for item in document]
    return document
