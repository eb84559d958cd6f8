"""Charts that a test makes of the objects that it needs."""

import json
import pathlib

POD = {"containers": [{"name": "app", "image": "busybox"}]}
LABELS = {"app": "{{ .Release.Name }}"}


def make_chart(directory: pathlib.Path, *objects: dict) -> str:
    """A chart of these objects; `{{ .Release.Name }}` and the like may stand in them."""
    templates = directory / "templates"
    templates.mkdir(parents=True)
    about = {"apiVersion": "v2", "name": directory.name, "version": "1.0.0"}
    (directory / "Chart.yaml").write_text(json.dumps(about))
    text = "\n---\n".join(json.dumps(obj) for obj in objects)
    (templates / "objects.yaml").write_text(text)
    return str(directory)


def of_pods(kind: str, pod: dict = POD, api: str = "apps/v1", **spec) -> dict:
    """A workload named as its release, of pods like `pod`."""
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    spec = {"selector": {"matchLabels": LABELS}, "template": template} | spec
    return named(kind, api, spec=spec)


def named(kind: str, api: str = "v1", **fields) -> dict:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "{{ .Release.Name }}"}} | fields
