"""What a chart's archive says of itself, read in memory and bounded; nothing in it is trusted."""

import gzip
import pathlib
import posixpath
import tarfile
import zlib

from caelus import jsontext, naming, yamltext
from caelus.errors import CaelusError

MAX_FILE = 1024 * 1024
MAX_UNPACKED = 100 * 1024 * 1024  # as helm's own bound
MAX_MEMBERS = 10_000
_CHART, _VALUES, _SCHEMA = "Chart.yaml", "values.yaml", "values.schema.json"


def read(archive: pathlib.Path) -> dict:
    """`name`, `version`, `default_values` ({} if none) and `values_schema` (None if none).

    Raises ValueError with what is wrong with the archive.
    """
    files = _unpacked(archive)
    about = _document(files, _CHART, yamltext.load)
    if not (about and about.get("name") and about.get("version")):
        raise ValueError(f"it has no {_CHART} with a name and a version")
    return {
        "name": str(about["name"]),
        "version": str(about["version"]),
        "default_values": _document(files, _VALUES, yamltext.load) or {},
        "values_schema": _document(files, _SCHEMA, jsontext.parse),
    }


def _unpacked(archive: pathlib.Path) -> dict[str, bytes]:
    try:
        with gzip.open(archive) as packed:
            return _files(_Bounded(packed))
    except (tarfile.TarError, zlib.error, OSError, EOFError, RecursionError) as e:
        raise ValueError(f"it is no archive that can be read: {e}") from None


def _files(stream) -> dict[str, bytes]:
    """The three files of the chart itself; those of its subcharts are deeper."""
    found = {}
    with tarfile.open(fileobj=stream, mode="r|") as members:
        for number, member in enumerate(members):
            if number == MAX_MEMBERS:
                raise ValueError(f"it has more than {MAX_MEMBERS} files")
            name = _inner_name(member.name)
            if name in (_CHART, _VALUES, _SCHEMA) and member.isreg():
                if name in found:
                    raise ValueError(f"it has two files {name}")
                found[name] = _content(members, member, name)
    return found


def _inner_name(path: str) -> str:
    """The name below the chart's directory, as helm takes it."""
    parts = path.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts:
        raise ValueError(f"it has a file outside of its directory, {naming.printable(path)}")
    return posixpath.normpath("/".join(parts[1:]))


def _content(members: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> bytes:
    if member.size > MAX_FILE:
        raise ValueError(f"its {name} has more than {MAX_FILE} bytes")
    return members.extractfile(member).read(MAX_FILE)


def _document(files: dict[str, bytes], name: str, load) -> dict | None:
    if name not in files:
        return None
    try:
        document = load(files[name].decode("utf-8-sig"))
        jsontext.check(document)
    except (ValueError, CaelusError) as e:
        raise ValueError(f"its {name} cannot be read: {e}") from None
    if document is not None and not isinstance(document, dict):
        raise ValueError(f"its {name} is no mapping")
    return document


class _Bounded:
    """A file to read, with an error after MAX_UNPACKED bytes, and for going on at its end.

    To skip what a header merely claims to be there, tarfile would read there for ever.
    """

    def __init__(self, file):
        self._file = file
        self._left = MAX_UNPACKED
        self._ended = False

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {MAX_UNPACKED} bytes")
        if self._ended:
            raise EOFError("it ends too early")
        self._ended = not content
        return content
