"""A helm and a kubectl to whom each name is that of an orphan, for tests of other things."""

import json
import pathlib

UID = "notes-lost-example-org-x1y2z3"
NAMESPACE = {
    "kind": "Namespace",
    "metadata": {
        "name": UID,
        "creationTimestamp": "2026-11-27T12:00:00Z",
        "labels": {"app.kubernetes.io/managed-by": "caelus"},
        "annotations": {"caelus/domain": "lost.example.org"},
    },
    "status": {"phase": "Active"},
}
METADATA = {"chart": "notes", "version": "1.1.0", "revision": 1, "status": "deployed"}
RELEASE = {"name": UID, "namespace": UID, "revision": "1", "status": "deployed"}
HELM = """#!/bin/sh
case "$1 $2" in
"version "*) echo v4.3.1;;
"list "*) echo '{list}';;
"get metadata") echo '{metadata}';;
"get values") echo '{{"replicas": 1, "host": "lost.example.org"}}';;
esac
"""
KUBECTL = """#!/bin/sh
case "$2" in
namespace) echo '{namespace}' | sed "s/{uid}/$3/";;
namespaces*) echo '{{"items": [{namespace}]}}';;
*) echo '{{"items": []}}';;
esac
"""


def settings(directory: pathlib.Path) -> dict[str, str]:
    """What makes Caelus use them."""
    scripts = {
        "helm": HELM.format(list=json.dumps([RELEASE]), metadata=json.dumps(METADATA)),
        "kubectl": KUBECTL.format(namespace=json.dumps(NAMESPACE), uid=UID),
    }
    found = {}
    for tool, script in scripts.items():
        path = directory / f"{tool}-of-an-orphan"
        path.write_text(script)
        path.chmod(0o755)
        found[f"CAELUS_{tool.upper()}"] = str(path)
    return found
