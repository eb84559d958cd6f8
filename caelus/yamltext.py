"""YAML for people: documents on stdout, and files of values as helm would read them."""

import functools
import json
import re

import yaml

from caelus.jsontext import MAX_DEPTH, MAX_NODES
from caelus.lasting import Lasting

TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# What PyYAML would name may be a password that is not in quotes, such as !hunter2 or *hunter2.
_NAMED = re.compile(r"\b(alias|anchor|tag|handle) .*", re.DOTALL)


class Loader(_Loader):
    """JSON's types only. Unlike YAML 1.1, as helm: no dates, and 22:30 is not 1350."""


def _scalar(construct, loader, node):
    """What PyYAML makes of a number or boolean; it crashes on `!!bool x` and the like."""
    try:
        return construct(loader, node)
    except (ValueError, LookupError):
        problem = f"no {node.tag.rpartition(':')[2]} that can be read"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


_TAG = "tag:yaml.org,2002:"
Loader.yaml_constructors = {
    tag: _Loader.yaml_constructors[tag]
    for tag in (None, *(_TAG + name for name in ("null", "str", "seq", "map")))
} | {
    _TAG + name: functools.partial(_scalar, _Loader.yaml_constructors[_TAG + name])
    for name in ("bool", "int", "float")
}
_DIFFERENT = {_TAG + name for name in ("timestamp", "value", "int", "float")}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DIFFERENT]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_NUMBERS = (
    ("int", r"[-+]?(0b_*[01][01_]*|0[0-7_]*|[1-9][\d_]*|0x_*[\da-fA-F][\da-fA-F_]*)$"),
    ("float", r"[-+]?(\d[\d_]*\.[\d_]*([eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d[\d_]*)$"),
)


class Dumper(_Dumper):
    """No anchors: a part that stands twice is written twice."""

    def ignore_aliases(self, data):
        return True


Dumper.add_representer(Lasting, Dumper.represent_dict)

for _name, _pattern in _NUMBERS:
    for _class in (Loader, Dumper):  # the Dumper quotes a text that would read as a number
        _class.add_implicit_resolver(_TAG + _name, re.compile(_pattern, re.ASCII), "-+0123456789.")


def load(text: str):
    """The document in `text`, YAML or JSON. Raises ValueError with one sentence."""
    try:
        _refuse_bombs(text)
        return _string_keys(yaml.load(text, Loader))
    except yaml.MarkedYAMLError as e:
        if "nesting depth" in e.problem:  # libyaml's own limit, from PyYAML 6.0.4 on
            raise ValueError(TOO_DEEP) from None
        mark = e.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = _NAMED.sub(r"\1", e.problem or "it can't be read")
        raise ValueError(f"not YAML: {problem}{place}") from None
    except yaml.YAMLError as e:
        raise ValueError(f"not YAML: {str(e).partition(chr(10))[0]}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def refuse_repeated(text: str) -> None:
    """Raise ValueError where a key stands twice, of a document that `load` takes, as helm does."""
    seen, stack = {}, [yaml.compose(text, Loader)]
    while stack:
        node = stack.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen[id(node)] = node
        if isinstance(node, yaml.MappingNode):
            _refuse_twice([key for key, _ in node.value])
            stack.extend(value for _, value in node.value)
        else:
            stack.extend(node.value)


def _refuse_twice(keys: list) -> None:
    names = set()
    for key in keys:
        if key.value in names and key.value != "<<":
            line = key.start_mark.line + 1
            raise ValueError(f"the key {key.value!r} stands twice, again at line {line}")
        names.add(key.value)


def dump(document, stream) -> None:
    readable = (stream.encoding or "utf-8").lower().startswith("utf")
    stream.write(
        yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=readable, width=1000)
    )
    stream.flush()


def _refuse_bombs(text: str) -> None:
    """Bound the depth and the size, an alias counting as much as what it stands for.

    Composing recurses in C, where depth kills the process, and merge keys (`<<`) multiply.
    """
    sizes, way = {}, [[None, 0]]
    for event in yaml.parse(text, Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes[event.anchor] = MAX_NODES + 1  # until it ends: what holds itself is endless
            way.append([event.anchor, 1])
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = way.pop()
            sizes[anchor] = size
            way[-1][1] += size
        elif isinstance(event, yaml.AliasEvent):
            way[-1][1] += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor] = 1
            way[-1][1] += 1
        if len(way) - 1 > MAX_DEPTH:
            raise ValueError(TOO_DEEP)
        if way[-1][1] > MAX_NODES:
            raise ValueError(f"the document has more than {MAX_NODES} parts")


def _string_keys(root):
    """`root` with every key a string."""
    seen, stack = {}, [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue  # an alias: the same object again
        seen[id(node)] = node
        if isinstance(node, dict):
            for key in [key for key in node if not isinstance(key, str)]:
                node[json.dumps(key)] = node.pop(key)
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return root
