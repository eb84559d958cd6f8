"""YAML for people: documents on stdout, and files of values as helm would read them."""

import json
import re

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Loader(_Loader):
    """JSON's types only. Unlike YAML 1.1, as helm: no dates, and 22:30 is not 1350."""


_DIFFERENT = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "int", "float")}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DIFFERENT]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*\.[\d_]*([eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d[\d_]*)$"),
    list("-+0123456789."),
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(0b[01_]+|0[0-7_]*|[1-9][\d_]*|0x[\da-fA-F_]+)$"),
    list("-+0123456789"),
)


class Dumper(_Dumper):
    """No anchors: a part that stands twice is written twice."""

    def ignore_aliases(self, data):
        return True


def load(text: str):
    """The document in `text`, YAML or JSON. Raises ValueError with one sentence."""
    try:
        return _json_types(yaml.load(text, Loader))
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"not YAML: {e.problem}{place}") from None
    except yaml.YAMLError as e:
        raise ValueError(f"not YAML: {str(e).partition(chr(10))[0]}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dump(document, stream) -> None:
    stream.write(
        yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)
    )
    stream.flush()


def _json_types(root):
    """`root` with every key a string. Raises ValueError for what JSON does not have."""
    seen, stack = {}, [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue  # an alias: the same object again
        seen[id(node)] = node
        if isinstance(node, dict):
            for key in [key for key in node if not isinstance(key, str)]:
                node[_key(key)] = node.pop(key)
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif not isinstance(node, str | int | float | bool | None):
            raise ValueError(f"a {type(node).__name__} has no place in JSON")
    return root


def _key(key) -> str:
    if isinstance(key, int | float | bool | None):
        return json.dumps(key)
    raise ValueError("a key of an object must be a plain value")
