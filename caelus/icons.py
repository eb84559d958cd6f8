"""Icons of products: small images as `data:` URIs, of few kinds, and what they say they are.

Only checked, never drawn: an SVG is looked through by expat, which fetches nothing, and is refused
where it declares entities, which could make much out of little.
"""

import base64
import hashlib
import re
from xml.parsers import expat

from caelus import rasters
from caelus.errors import Invalid

MAX_BYTES = 32 * 1024
SVG = "image/svg+xml"
MAX_PIXELS = 4096  # in width and in height: a browser makes room for all of them
KINDS = (*rasters.SIGNATURES, SVG)
SVG_ROOT = "http://www.w3.org/2000/svg svg"
_URI = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)


def checked(uri: str) -> str:
    """The URI of an icon that can be kept. Raises Invalid."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise _refused("must be a URI that begins with data:image/png;base64, or as other kinds do")
    content = _decoded(found[2])
    if (kind := kind_of(content)) != found[1]:
        said = found[1] if found[1] in KINDS else "another type"
        raise _refused(f"says that it is {said}, but holds {kind}")
    return uri


def of_file(content: bytes) -> str:
    """A file as the URI of an icon. Raises Invalid."""
    return f"data:{kind_of(content)};base64,{base64.b64encode(content).decode()}"


def opened(uri: str) -> tuple[str, bytes]:
    """Media type and content of a URI that was checked."""
    kind, text = _URI.fullmatch(uri).groups()
    return kind, base64.b64decode(text)


def digest(uri: str) -> str:
    """What tells this icon from others."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]


def kind_of(content: bytes) -> str:
    """The media type of an image. Raises Invalid for what is none of these, or too large."""
    if len(content) > MAX_BYTES:
        have = -(-len(content) // 1024)
        raise _refused(f"must be an image of at most {MAX_BYTES // 1024} KiB, not {have}")
    kind = rasters.kind_of(content)
    if kind is None:
        _check_svg(content)
        return SVG
    _check_size(rasters.size_of(kind, content), kind)
    return kind


def _decoded(text: str) -> bytes:
    """Of base64 as RFC 4648 wants it: no other letters, padded, no bits left over."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        content = b""
    if base64.b64encode(content).decode() != text or not content:
        raise _refused("must hold an image in base64 after the comma, without breaks")
    return content


def _check_size(size: tuple[int, int] | None, kind: str) -> None:
    if size is None or 0 in size:
        raise _refused(f"must be a whole image; this {kind} is cut off or broken")
    if max(size) > MAX_PIXELS:
        raise _refused(f"must have at most {MAX_PIXELS} pixels in width and height")


def _check_svg(content: bytes) -> None:
    try:
        root = _root(content)
    except (expat.ExpatError, ValueError, LookupError):  # the latter of odd encodings
        raise _refused("must be a PNG, JPEG, WebP, GIF or SVG image") from None
    if root != SVG_ROOT:
        raise _refused(
            'is XML, but no SVG: it must begin with <svg xmlns="http://www.w3.org/2000/svg">'
        )


def _root(content: bytes) -> str:
    """The name of the root of an XML document, after its namespace and a space."""
    names: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _: names or names.append(name)
    parser.EntityDeclHandler = _refuse_entity
    parser.Parse(content, True)
    return names[0]


def _refuse_entity(*_) -> None:
    raise _refused("must not declare XML entities; save it as plain or optimised SVG")


def _refused(message: str) -> Invalid:
    return Invalid(("icon", message))
