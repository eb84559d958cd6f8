"""JSON documents and JSON Schema: what is safe to store, and what breaks a schema.

With `references` the only user of jsonschema. It never fetches a `$ref`, and its messages name
the place and the rule but never the value, which may be a secret.
"""

import contextlib
import functools
import itertools
import json
import re

from caelus import fitting, patterns
from caelus.errors import Conflict, Invalid, TooLarge
from caelus.lasting import known

NEWEST_DRAFT = fitting.NEWEST_DRAFT
# What many charts say: whichever draft is the newest.
UNSAID_DRAFT = "json-schema.org/schema"
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 1_000_000
MAX_ERRORS = 10
PATTERN_SECONDS = 0.5
Errors = list[tuple[tuple, str]]  # [(path, message)], a path being keys and indexes


def parse_json(text: str | bytes):
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


def from_text(schema: dict, text: str):
    """What `text` of a query or command line means: a number or boolean if `schema` wants it."""
    wants = schema.get("type", "string")
    if "integer" in wants and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if wants == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def check_document(document) -> None:
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


def dotted(path: tuple) -> str:
    """A path as a field's name: `user.hosts.0`."""
    return ".".join(printable(str(part)) for part in path) or "document"


def field_in(document: str, path: tuple) -> str:
    """The name for errors of what is at `path` in the document that this field holds."""
    return f"{document}.{dotted(path)}" if path else document


def pointer(path: tuple) -> str:
    """A path as a JSON Pointer (RFC 6901): `/user/hosts/0`."""
    parts = (printable(str(part)).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts)


def printable(text: str, most: int = 100) -> str:
    """`text` cut to `most` characters, and such that UTF-8 can carry it."""
    safe = text.encode("utf-8", "backslashreplace").decode()
    return safe if len(safe) <= most else f"{safe[:most]}..."


@functools.lru_cache(maxsize=1)
def input_formats():
    """The formats of Caelus's own input schemas, for jsonschema."""
    import jsonschema

    checker = jsonschema.FormatChecker(formats=())
    for name, matches in fitting.FORMATS.items():
        checker.checks(name)(matches)
    return checker


def input_errors(schema: dict, document) -> Errors:
    """What is wrong with a request against one of Caelus's own input schemas."""
    if fitting.fits_input(schema, document):
        return []
    return _collect(_input_validator(schema).iter_errors(document))


_made: dict[int, tuple[dict, object]] = {}  # with the schema, so that its id stays its own


def _input_validator(schema: dict):
    """Made once: Caelus's own schemas are there for as long as the process, and never change."""
    if id(schema) not in _made:
        import jsonschema

        _bound_patterns()
        validator = jsonschema.Draft202012Validator(schema, format_checker=input_formats())
        _made[id(schema)] = schema, validator
    return _made[id(schema)][1]


def schema_errors(schema: dict, document, within=(), rules=None) -> Errors:
    """What is wrong with `document` against the part of a template's schema at path `within`.

    Only of the kinds (JSON Schema keywords) in `rules`, if given. Raises Conflict where the
    schema can't be evaluated.
    """
    part = functools.reduce(lambda node, key: node[key], within, schema)
    if fitting.fits(part, document):
        return []
    from referencing.exceptions import NoSuchResource, Unresolvable

    validator = known(schema, _validator)
    try:
        # Not descend for the top: it would go by `$schema` again.
        errors = validator.descend(document, part) if within else validator.iter_errors(document)
        return _collect(e for e in errors if rules is None or e.validator in rules)
    except RecursionError:
        raise Conflict("the values schema refers to itself without end") from None
    except (NoSuchResource, Unresolvable) as e:
        raise Conflict(f"the values schema has a $ref that leads nowhere: {e.ref}") from None
    except ImpossiblePattern as e:  # jsonschema joins those of patternProperties into one
        raise Conflict(f"the values schema has patterns that don't go together: {e}") from None


class ImpossiblePattern(ValueError):
    """A regular expression that can't be compiled."""


class BoundedPatterns:
    """In the place of `re` in jsonschema, which has no hook for it: patterns that give up.

    `re` can search for years, and holds the whole program meanwhile; `regex` lets the other
    threads run and keeps the deadline.
    """

    @staticmethod
    def search(pattern: str, text: str):
        import regex

        try:
            meant = patterns.meant(pattern)
            return regex.search(meant, text, timeout=PATTERN_SECONDS, concurrent=True)
        except TimeoutError:
            shown = printable(pattern)
            raise Conflict(f"the pattern {shown} takes too long; it must be simpler") from None
        except (regex.error, OverflowError, RecursionError, MemoryError) as e:
            raise ImpossiblePattern(str(e)) from None


@functools.lru_cache(maxsize=1)
def _bound_patterns() -> None:
    from jsonschema import _keywords, _legacy_keywords, _utils

    for module in (_keywords, _legacy_keywords, _utils):
        module.re = BoundedPatterns


def _validator(schema: dict):
    from jsonschema_specifications import REGISTRY  # the drafts' own; it has no way to fetch more

    _bound_patterns()
    draft = draft_of(schema)
    return _quick(draft)(schema, registry=REGISTRY, format_checker=_formats(draft))


@functools.lru_cache
def _quick(draft):
    """`draft` without a comparison of each item with each other: thousands take minutes."""
    import jsonschema

    def unique_items(validator, wanted, instance, schema):
        if wanted and validator.is_type(instance, "array"):
            texts = {json.dumps(comparable(item), sort_keys=True) for item in instance}
            if len(texts) < len(instance):
                yield jsonschema.ValidationError("has items that are equal")

    return jsonschema.validators.extend(draft, {"uniqueItems": unique_items})


def comparable(value):
    """`value` such that equal numbers are one: 1.0 is 1 (but true is not)."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def draft_of(schema: dict):
    """The class for the draft that `$schema` names. Raises Conflict for one that is not known."""
    import jsonschema

    name, draft = schema.get("$schema", NEWEST_DRAFT), None
    with contextlib.suppress(ValueError):  # no address
        for address in _addresses(name) if isinstance(name, str) else ():
            draft = draft or jsonschema.validators.validator_for({"$schema": address}, default=None)
    if draft in (None, jsonschema.Draft3Validator):  # 3 is another language: `required: true`
        raise Conflict(f"values schema: $schema {printable(str(name))} is not known")
    return draft


def _addresses(name: str) -> list[str]:
    """Those of a draft: charts write http for https and the other way round, and helm takes it."""
    scheme, _, rest = name.rpartition("://")
    if scheme not in ("http", "https"):
        return [name]
    if rest.removesuffix("#") == UNSAID_DRAFT:
        return [NEWEST_DRAFT]
    return [f"http://{rest}", f"https://{rest}"]


@functools.lru_cache
def _formats(draft):
    """Those of values, in this draft."""
    from caelus import formats  # its expressions take a while to compile

    checker = formats_of_schemas()
    checker.checkers |= formats.checkers(draft.FORMAT_CHECKER.checkers)
    return checker


def formats_of_schemas():
    """An expression that Python can't compile is no `regex`; no other format matters to them."""
    import jsonschema

    checker = jsonschema.FormatChecker(formats=())
    checker.checks("regex", raises=ImpossiblePattern)(_compiles)
    return checker


def _compiles(value) -> bool:
    return not isinstance(value, str) or BoundedPatterns.search(value, "") or True


def _collect(errors) -> Errors:
    found = {}
    for error in itertools.islice(errors, MAX_ERRORS):
        for path in _places(error):
            found.setdefault(path, worded(error))
    return list(found.items())


def _places(error):
    path = tuple(error.absolute_path)
    if error.validator == "required":
        return [(*path, name) for name in error.validator_value if name not in error.instance]
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        extra = (
            key
            for key in error.instance
            if key not in known and not any(BoundedPatterns.search(p, key) for p in patterns)
        )
        return [(*path, key) for key in itertools.islice(extra, MAX_ERRORS)]
    return [path]


def worded(error) -> str:
    """Which rule jsonschema's error says is broken, without the value that broke it."""
    place, keyword = (None, None, None, *error.absolute_schema_path)[-3:-1]
    about = "has a name that " if keyword == "propertyNames" and place != "properties" else ""
    return about + _worded(error)


def _worded(error) -> str:
    rule, value = error.validator, error.validator_value
    if rule == "minLength" and value == 1:
        return "must not be empty"
    shown = printable(json.dumps(value, ensure_ascii=False), 300)
    if rule == "type":
        shown = " or ".join([value] if isinstance(value, str) else value)
    if rule == "format" and (words := _worded_format(value)):
        return f"must be {words}"
    return MESSAGES.get(rule, "breaks the rule {rule}: {shown}").format(rule=rule, shown=shown)


def _worded_format(name: str) -> str | None:
    from caelus import formats

    return (WORDED_FORMATS | formats.WORDED).get(name)


WORDED_FORMATS = {
    "hostname": "a host name (RFC 1123), such as cloud.example.org",
    "email": "an e-mail address, such as ada@example.org",
    "line": "one line without control characters",
    "word": "one word of at most 1000 bytes that does not begin with a hyphen",
}
MESSAGES = {
    "type": "must be of type {shown}",
    "required": "is missing",
    "additionalProperties": "is not a known field",
    "unevaluatedProperties": "has a field that is not known",
    "enum": "must be one of {shown}",
    "const": "must be {shown}",
    "minimum": "must be at least {shown}",
    "maximum": "must be at most {shown}",
    "exclusiveMinimum": "must be greater than {shown}",
    "exclusiveMaximum": "must be less than {shown}",
    "multipleOf": "must be a multiple of {shown}",
    "minLength": "must have at least {shown} characters",
    "maxLength": "must have at most {shown} characters",
    "pattern": "must match the pattern {shown}",
    "format": "must be of format {shown}",
    "minItems": "must have at least {shown} items",
    "maxItems": "must have at most {shown} items",
    "uniqueItems": "must not repeat an item",
    "dependentRequired": "lacks a field that goes with another: {shown}",
    "minProperties": "must have at least {shown} fields",
    "maxProperties": "must have at most {shown} fields",
    "anyOf": "fits none of the forms that the schema allows",
    "oneOf": "must fit exactly one of the forms that the schema allows",
    "not": "is what the schema forbids",
    None: "holds what is not allowed",  # jsonschema does not say under which key
}
