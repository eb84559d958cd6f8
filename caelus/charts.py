"""Where a chart comes from, and that it stays what it was.

A chart with a digest is kept under it in the data directory and used from there, so that an
upgrade works with its registry gone. Helm downloads; deployments and the database are unknown here.
"""

import contextlib
import hashlib
import ipaddress
import os
import pathlib
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from caelus import archives
from caelus.errors import ReconcileError
from caelus.presence import give_away
from caelus.process import ToolError, Tools, ToolTimeout, reason

PULL_SECONDS = 120
_SCRATCH = ".pull-"
_LEFT_BY_A_KILL = 3600  # seconds; no pull takes so long
_NO_SCHEME = "; in a registry it begins with oci://, in a repository with https://"
_DIGEST_LINE = re.compile("^Digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)
_OTHER_CONTENT = re.compile(
    "unexpected commit digest|digest mismatch|mismatched digest", re.IGNORECASE
)
_UNREACHABLE = re.compile(
    r"dial tcp|connection (refused|reset)|no such host|timeout|deadline exceeded|\bEOF$|tls: |x509:"
    r"|HTTP response to HTTPS|\b429:? too|\b5\d\d:? (internal|bad|service|gateway)",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\b401:? unauth|\b403:? forbid|\bdenied\b|unauthorized:|credentials? not found", re.IGNORECASE
)
_MISSING = re.compile("not found|could not locate a version", re.IGNORECASE)


@dataclass(frozen=True)
class Chart:
    """`ref` is an `oci://` reference, a path, an archive's URL, or an `https://` repository's URL
    with the chart's name at its end.

    `digest` is `sha256:...` or None: of the manifest for `oci://`, of the archive otherwise.
    """

    ref: str
    version: str
    digest: str | None = None
    plain_http: bool = False

    def __str__(self) -> str:
        return f"{self.ref} {self.version}"

    @property
    def is_oci(self) -> bool:
        return self.ref.lower().startswith("oci://")


@dataclass(frozen=True)
class Resolved:
    """What a chart says of itself. A chart without a schema has None, without values {}."""

    digest: str
    values_schema: dict | None
    default_values: dict
    name: str
    version: str


class DigestMismatch(ReconcileError):
    """The chart is not the one that was pinned; `detail` names both digests."""

    code = "chart_digest_mismatch"


class UnusableChart(ReconcileError):
    """Only another template can help."""

    code = "chart_unusable"


class StoreError(ReconcileError):
    """The data directory does not take the chart."""

    code = "internal"


class PullError(ToolError):
    """The chart can't be had; `code` says why, `output` is helm's stderr."""

    def __init__(self, code: str, detail: str, output: str = ""):
        super().__init__(detail, output)
        self.code = code


def located(tools: Tools, chart: Chart) -> list[str]:
    """Helm's arguments for `chart`: the kept archive if it has a digest.

    Fetches and keeps it on its first use. Raises DigestMismatch, PullError, StoreError, ToolError,
    and UnusableChart: for plain http that was not asked for, before anything is sent.
    """
    _check(chart)
    if chart.digest is None or tools.config.simulate:  # which takes every chart to be there
        return _asked(tools, chart)
    return [str(_archive(tools, chart))]


def resolve(tools: Tools, chart: Chart) -> Resolved:
    """Pin `chart`, if it has no digest yet, keep it, and read what it says of itself.

    Raises as `located` does, and UnusableChart for an archive that is no chart.
    """
    _check(chart)
    pinned = chart if chart.digest else _pin(tools, chart)
    try:
        return Resolved(digest=pinned.digest, **archives.read(_archive(tools, pinned)))
    except ValueError as e:
        raise UnusableChart(f"chart {chart} cannot be used: {e}") from None


# What helm is told


def _check(chart: Chart) -> None:
    if not chart.plain_http and _is_plain_http(chart):
        raise UnusableChart(
            f"chart {chart} would come over plain http, which only a template with the capability "
            "plain_http: true may use"
        )
    if _arguments(chart)[0].startswith("-"):
        raise UnusableChart(f"chart {chart} has no name that helm takes")


def _is_plain_http(chart: Chart) -> bool:
    """Whether helm would speak it: helm 3.17 does so by itself to an OCI registry on loopback."""
    scheme = chart.ref.partition("://")[0].lower()
    return scheme == "http" or (chart.is_oci and _is_loopback(chart.ref))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _asked(tools: Tools, chart: Chart) -> list[str]:
    """Its arguments where helm itself fetches it: a simulation knows versions, but no digests."""
    return _arguments(replace(chart, digest=None) if tools.config.simulate else chart)


def _arguments(chart: Chart) -> list[str]:
    if chart.is_oci:
        flags = ["--plain-http"] if chart.plain_http else []
        if chart.digest is None:
            return [chart.ref, "--version", chart.version, *flags]
        # Without a tag or a version: by these helm 3 pulls, and leaves the digest unheeded.
        untagged = re.sub(r"(:[^/:@]*)?(@[^/]*)?$", "", chart.ref)
        return [f"{untagged}@{chart.digest}", *flags]
    if not re.match("https?://", chart.ref, re.IGNORECASE) or chart.ref.endswith((".tgz", ".gz")):
        return [chart.ref, "--version", chart.version]
    repository, _, name = chart.ref.rstrip("/").rpartition("/")
    return [name, "--repo", repository, "--version", chart.version]


# The store: `charts/sha256-<hex>.tgz`, for OCI with the archive's own hash in a file beside it


def _archive(tools: Tools, chart: Chart) -> pathlib.Path:
    """The kept archive of the pinned `chart`, hashed now; fetched if it is not there or damaged."""
    kept = _kept(tools, chart)
    if not _is_whole(kept, chart):
        with _scratch(tools, chart) as scratch:
            archive = _fetched(tools, chart, scratch)
            found = _hash(archive)
            if not (chart.is_oci or found == chart.digest or tools.config.simulate):
                raise DigestMismatch(
                    f"chart {chart} has the digest {found}, but the template pins {chart.digest}"
                )
            _keep(archive, kept, chart)
    return kept


def _store(tools: Tools) -> pathlib.Path:
    if tools.config.simulate:  # what is no real chart is not to be taken for one, ever
        return tools.config.simulated_cluster.parent / "charts"
    return tools.config.data_dir.absolute() / "charts"


def _kept(tools: Tools, chart: Chart) -> pathlib.Path:
    return _store(tools) / f"{chart.digest.replace(':', '-')}.tgz"


def _is_whole(kept: pathlib.Path, chart: Chart) -> bool:
    try:
        return _hash(kept) == (_beside(kept).read_text() if chart.is_oci else chart.digest)
    except (OSError, ValueError):
        return False


def _beside(kept: pathlib.Path) -> pathlib.Path:
    return kept.with_suffix(".tgz.sha256")


def _hash(file: pathlib.Path) -> str:
    with open(file, "rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _keep(archive: pathlib.Path, kept: pathlib.Path, chart: Chart) -> None:
    if chart.is_oci:
        note = archive.with_name("sha256")
        note.write_text(_hash(archive))
        _publish(note, _beside(kept))
    _publish(archive, kept)


def _publish(file: pathlib.Path, name: pathlib.Path) -> None:
    """Make `file` appear as `name` at once and whole, whatever is killed when."""
    file.chmod(0o600)
    _give(file, name.parent)
    with open(file, "rb") as written:
        os.fsync(written.fileno())
    os.replace(file, name)


def _give(path: pathlib.Path, like: pathlib.Path) -> None:
    """As root, leave a file or directory to the owner of `like`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        give_away(descriptor, like)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _scratch(tools: Tools, chart: Chart):
    """A new directory in the store, so that what it gets can be renamed into place."""
    store = _store(tools)
    try:
        for directory in (store.parent, store):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give(store, store.parent)  # also one that root once kept
        _sweep(store)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=store) as scratch:
            yield pathlib.Path(scratch)
    except OSError as e:
        raise StoreError(f"cannot keep chart {chart}: {e.filename}: {e.strerror}") from None


def _sweep(store: pathlib.Path) -> None:
    for left in store.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_BY_A_KILL:
                shutil.rmtree(left)


# Fetching


def _pin(tools: Tools, chart: Chart) -> Chart:
    """`chart` with the digest that it has now.

    Of an OCI chart helm tells the manifest's digest only in a line for people. That line is not
    believed: it is pulled by next, which makes helm check it.
    """
    with _scratch(tools, chart) as scratch:
        if chart.is_oci:
            said = _DIGEST_LINE.findall(_pull(tools, chart, scratch, with_stderr=True))
            if len(said) != 1:
                told = f"helm told {len(said)} digests of chart {chart}: give its own"
                raise PullError("internal", told)
            return replace(chart, digest=said[0])
        archive = _fetched(tools, chart, scratch)
        pinned = replace(chart, digest=_hash(archive))
        _keep(archive, _kept(tools, pinned), pinned)
        return pinned


def _fetched(tools: Tools, chart: Chart, scratch: pathlib.Path) -> pathlib.Path:
    """The chart's archive in `scratch`, not checked against its digest unless it is OCI."""
    if "://" not in chart.ref:
        return _copied(chart, scratch)
    _pull(tools, chart, scratch)
    files = list(scratch.iterdir())
    if len(files) != 1:
        told = f"cannot pull chart {chart}: helm wrote {len(files)} files instead of one"
        raise PullError("internal", told)
    return files[0]


def _copied(chart: Chart, scratch: pathlib.Path) -> pathlib.Path:
    source = pathlib.Path(chart.ref)
    if source.is_dir():
        raise UnusableChart(
            f"chart {chart} is a directory, which has no digest: make an archive by helm package"
        )
    if not source.is_file():
        hint = "" if chart.ref.startswith(("/", ".")) else _NO_SCHEME
        told = f"cannot copy chart {chart}: there is no such file{hint}"
        raise PullError("chart_not_found", told)
    return shutil.copyfile(source, scratch / "chart.tgz")


def _pull(tools: Tools, chart: Chart, scratch: pathlib.Path, **streams) -> str:
    arguments = (*_asked(tools, chart), "--destination", str(scratch))
    try:
        return tools.helm("pull", *arguments, timeout=PULL_SECONDS, **streams)
    except ToolError as e:
        raise _explained(e, chart) from None


def _explained(error: ToolError, chart: Chart) -> ToolError | DigestMismatch:
    why = reason(error)
    if chart.digest and _OTHER_CONTENT.search(why):
        return DigestMismatch(f"chart {chart} is not what the digest {chart.digest} pins ({why})")
    if isinstance(error, ToolTimeout) or _UNREACHABLE.search(why):
        code, meaning = "registry_unreachable", "its source does not answer"
    elif not error.output:
        return error  # helm could not be run at all
    elif _REFUSED.search(why):
        code, meaning = "registry_auth", "its source refuses access"
    elif _MISSING.search(why):
        code, meaning = "chart_not_found", "its source does not have it"
    else:
        return PullError("internal", f"cannot pull chart {chart}: {why}", error.output)
    return PullError(code, f"cannot pull chart {chart}: {meaning} ({why})", error.output)
