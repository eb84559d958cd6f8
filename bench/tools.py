"""helm and kubectl: the real ones, and ones that do nothing but say what Caelus asks for."""

import json
import pathlib

from caelus import fence
from caelus.config import Config
from tests.tools import ToolsUnavailable, tool_directory

HELM = """#!/bin/sh
case "$1" in
    version) echo v3.17.3 ;;
    upgrade) {pause} echo '{{"version": 1}}' ;;
    history) echo '[]' ;;
    list) cat {directory}/releases.json ;;
esac
"""
KUBECTL = """#!/bin/sh
case "$1" in
    get) cat {directory}/fences.json ;;
esac
"""


def real(major: str) -> dict[str, str] | None:
    """The settings for real helm and kubectl, None where they can't be had."""
    try:
        directory = tool_directory(major)
    except ToolsUnavailable:
        return None
    return {"CAELUS_HELM": str(directory / "helm"), "CAELUS_KUBECTL": str(directory / "kubectl")}


def idle(directory: pathlib.Path, pause: str = "") -> dict[str, str]:
    """The settings for tools that do nothing, written into `directory`."""
    found = {}
    for name, script in (("helm", HELM), ("kubectl", KUBECTL)):
        path = directory / name
        path.write_text(script.format(directory=directory, pause=pause))
        path.chmod(0o755)
        found[f"CAELUS_{name.upper()}"] = str(path)
    return found


def show(directory: pathlib.Path, deployments, site: Config) -> None:
    """Let the tools that do nothing say that all these deployments run as Caelus applied them."""
    rows = [
        {"namespace": d.deployment_uid, "name": d.deployment_uid, "revision": "1"}
        | {"status": "deployed", "updated": "2026-01-01 00:00:00.0 +0000 UTC"}
        for d in deployments
    ]
    items = []
    for d in deployments:
        objects = fence.objects(d.deployment_uid, d.desired_template.capabilities_json, site)
        objects[0]["status"] = {"phase": "Active"}
        items += objects
    (directory / "releases.json").write_text(json.dumps(rows))
    (directory / "fences.json").write_text(json.dumps({"items": items}))
