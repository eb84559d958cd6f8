"""How large a PNG, JPEG, GIF or WebP image says that it is: its header is read, no more."""

import binascii
import re
import struct

Size = tuple[int, int]  # width and height in pixels
SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a frame's header
_BARE = {0x01, *range(0xD0, 0xD8)}  # its markers that no segment follows


def kind_of(content: bytes) -> str | None:
    """The media type, by the signature alone."""
    return next((kind for kind, magic in SIGNATURES.items() if magic.match(content)), None)


def size_of(kind: str, content: bytes) -> Size | None:
    """Width and height as the header has them, None where that is not well formed."""
    try:
        return _READERS[kind](content)
    except (struct.error, IndexError):  # it is cut off
        return None


def _png(content: bytes) -> Size | None:
    length, name, width, height, depth, colour, *ways, check = struct.unpack_from(
        ">I4sIIBBBBBI", content, 8
    )
    is_known = depth in (1, 2, 4, 8, 16) and colour in (0, 2, 3, 4, 6) and ways < [0, 0, 2]
    is_whole = (length, name) == (13, b"IHDR") and binascii.crc32(content[12:29]) == check
    return (width, height) if is_known and is_whole else None


def _gif(content: bytes) -> Size | None:
    width, height, *_ = struct.unpack_from("<HHBBB", content, 6)
    return width, height


def _webp(content: bytes) -> Size | None:
    chunk, start = content[12:16], content[20:]
    if chunk == b"VP8 " and start[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", start, 6)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L" and start[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", start, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X" and len(start) >= 10:
        return tuple(int.from_bytes(start[at : at + 3], "little") + 1 for at in (4, 7))
    return None


def _jpeg(content: bytes) -> Size | None:
    """By the first frame's header, which comes after segments of other kinds."""
    at = 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _FRAMES:
            _, _, height, width = struct.unpack_from(">HBHH", content, at + 2)
            return width, height
        if marker == 0xFF:  # one may be filled up with these
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


_READERS = {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
