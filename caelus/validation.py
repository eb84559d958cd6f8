"""JSON Schema: what of a document breaks it.

With `references` the only user of jsonschema. It never fetches a `$ref`, and its messages name
the place and the rule but never the value, which may be a secret.
"""

import contextlib
import functools
import itertools
import json
import re

from caelus import fitting, patterns
from caelus.errors import Conflict
from caelus.lasting import known
from caelus.naming import printable
from caelus.rule_words import worded

NEWEST_DRAFT = fitting.NEWEST_DRAFT
# What many charts say: whichever draft is the newest.
UNSAID_DRAFT = "json-schema.org/schema"
MAX_ERRORS = 10
PATTERN_SECONDS = 0.5
Errors = list[tuple[tuple, str]]  # [(path, message)], a path being keys and indexes


def from_text(schema: dict, text: str):
    """What `text` of a query or command line means: a number or boolean if `schema` wants it."""
    wants = schema.get("type", "string")
    if "integer" in wants and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if wants == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


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
