"""Checkups of what Caelus runs: helm, kubectl, and the kubeconfig that both read."""

import json
import os
import pathlib
import re
import stat
from collections.abc import Iterator

from caelus import config as settings
from caelus.config import Config
from caelus.findings import Check, Section
from caelus.process import ToolError, Tools, reason

LEAST_HELM = (3, 17)
NEWEST_HELM = 4
SECONDS = 5  # for a program that asks nobody
ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token")  # of a pod
OWN_KUBECONFIG = (
    "set KUBECONFIG to a file that this user can read; caelus kube-rbac tells how to make one"
)
_section = Section("tools")
ok, warning, failed = _section.ok, _section.warning, _section.failed


def look(tools: Tools) -> Iterator[Check]:
    yield _helm(tools)
    kubectl = _kubectl(tools)
    yield kubectl
    if tools.config.simulate:
        yield ok("kubeconfig", "none is needed: the cluster is simulated")
        return
    files = list(_files(tools.config))
    yield from files
    usable = all(check.status != "failed" for check in (kubectl, *files))
    if usable and not _is_of_pod(tools.config):
        yield _context(tools)


def minor(version: str) -> tuple[int, int] | None:
    """The first two numbers of a version such as `v1.33.0+k3s1`; None where it has none."""
    found = re.match(r"v?(\d+)\.(\d+)", version.strip())
    return found and (int(found[1]), int(found[2]))


# The programs


def _helm(tools: Tools) -> Check:
    program = tools.config.helm
    try:
        text = tools.helm("version", "--template", "{{.Version}}", timeout=SECONDS).strip()
    except ToolError as e:
        return _broken("helm", e, "https://helm.sh/docs/intro/install")
    version = minor(text)
    if version is None:
        step = "set CAELUS_HELM to helm itself"
        return failed("helm", f"{program} gives no version, but {text[:40]!r}", step)
    if version < LEAST_HELM:
        step = "install helm 3.17 or newer, or 4: https://helm.sh/docs/intro/install"
        return failed("helm", f"{text} is too old", step)
    if version[0] > NEWEST_HELM:
        step = "if deployments fail, set CAELUS_HELM to a helm 4"
        return warning("helm", f"{text} is newer than what this Caelus was tried with", step)
    return ok("helm", text)


def _kubectl(tools: Tools) -> Check:
    try:
        text = tools.kubectl("version", "--client", "--output", "json", timeout=SECONDS)
        return ok("kubectl", json.loads(text)["clientVersion"]["gitVersion"])
    except ToolError as e:
        return _broken("kubectl", e, "https://kubernetes.io/docs/tasks/tools")
    except (ValueError, KeyError, TypeError):
        program = tools.config.kubectl
        step = "set CAELUS_KUBECTL to kubectl itself"
        return failed("kubectl", f"{program} does not tell its version", step)


def _broken(name: str, error: ToolError, place: str) -> Check:
    detail, _, step = error.detail.partition("; ")
    said = "" if reason(error) == error.detail else f": {reason(error)}"
    step = step or f"see what it says: {name} version; or install it anew"
    return failed(name, f"{detail}{said}", f"{step}: {place}")


# The kubeconfig


def paths(config: Config) -> list[pathlib.Path]:
    """The files that kubectl reads, there or not."""
    named = (config.kubeconfig or "").split(os.pathsep)
    found = [pathlib.Path(name) for name in named if name]
    return found or [pathlib.Path.home() / ".kube" / "config"]


def _is_of_pod(config: Config) -> bool:
    """Whether kubectl goes by the account of the pod that it runs in."""
    return not config.kubeconfig and not paths(config)[0].exists() and ACCOUNT.exists()


def _files(config: Config) -> Iterator[Check]:
    if _is_of_pod(config):
        yield ok("kubeconfig", "none: this pod's own account")
        return
    there = [path for path in paths(config) if os.path.lexists(path)]
    for path in there:
        yield _file(path)
    if not there:
        yield _missing(config)


def _missing(config: Config) -> Check:
    if not config.kubeconfig and os.path.exists(settings.K3S_KUBECONFIG):
        detail = f"k3s's {settings.K3S_KUBECONFIG} can't be read by this user"
        return failed("kubeconfig", detail, f"be root, or {OWN_KUBECONFIG}")
    names = ", ".join(map(str, paths(config)))
    return failed("kubeconfig", f"there is no {names}", OWN_KUBECONFIG)


def _file(path: pathlib.Path) -> Check:
    try:
        with open(path, "rb") as file:
            file.read(1)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as e:
        return failed("kubeconfig", f"cannot read {path}: {e.strerror}", OWN_KUBECONFIG)
    if mode & 0o044:
        whose = "everybody" if mode & 0o004 else "its group"
        detail = f"{path} can be read by {whose}, and holds what lets one into the cluster"
        return warning("kubeconfig", detail, f"chmod 600 {path}")
    return ok("kubeconfig", str(path))


def _context(tools: Tools) -> Check:
    """kubectl's own reading of all the files together; it leaves credentials out."""
    try:
        view = json.loads(tools.kubectl("config", "view", "--output", "json", timeout=SECONDS))
        contexts = {each["name"]: each["context"] for each in view.get("contexts") or []}
        clusters = {each["name"]: each["cluster"] for each in view.get("clusters") or []}
    except ToolError as e:
        return failed("context", reason(e), OWN_KUBECONFIG)
    except (ValueError, KeyError, TypeError, AttributeError):
        return failed("context", "the kubeconfig can't be read", OWN_KUBECONFIG)
    return _chosen(view.get("current-context") or "", contexts, clusters)


def _chosen(current: str, contexts: dict, clusters: dict) -> Check:
    names = ", ".join(contexts)
    step = f"kubectl config use-context NAME, of: {names}" if contexts else OWN_KUBECONFIG
    if not current:
        return failed("context", "the kubeconfig names no current context", step)
    if current not in contexts:
        return failed("context", f"the current context {current} is not in the kubeconfig", step)
    cluster = clusters.get(contexts[current].get("cluster")) or {}
    if not cluster.get("server"):
        detail = f"the context {current} has no cluster with a server"
        return failed("context", detail, OWN_KUBECONFIG)
    place = cluster["server"].partition("://")[2].partition("/")[0]
    return ok("context", f"{current}, at {place.rpartition('@')[2]}")
