"""How sentences name what came from outside: places in documents, and texts."""


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
