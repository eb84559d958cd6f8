"""Charts in a registry, and pods that would run of them."""

import io
import json
import pathlib
import tarfile
from dataclasses import replace

import pytest

from caelus import config
from caelus.charts import Chart, located
from caelus.process import Tools
from tests.registry import Registry, digest_of, running, stop
from tests.tools import HELM_MAJORS, ToolsUnavailable, tool_directory

SCHEMA = {"type": "object", "properties": {"color": {"type": "string"}}}
SOURCES = ("repository", "url", "file", "oci")


def archive(files: dict[str, bytes | str], version: str = "1.0.0") -> bytes:
    """A chart's archive: `files` by their whole names, besides a Chart.yaml and a template."""
    about = f"apiVersion: v2\nname: app\nversion: {version}\n"
    shown = "kind: ConfigMap\nmetadata: {name: x}\ndata: {color: {{ .Values.color | quote }}}\n"
    whole = {"app/Chart.yaml": about, "app/templates/x.yaml": shown} | files
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in whole.items():
            add(tar, name, content.encode() if isinstance(content, str) else content)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **attributes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    tar.addfile(member, io.BytesIO(content))


RED = archive({"app/values.yaml": "color: red\n", "app/values.schema.json": json.dumps(SCHEMA)})
WRONG = f"sha256:{'0' * 64}"


@pytest.fixture(params=HELM_MAJORS, ids=lambda major: f"helm{major}")
def helm(request) -> pathlib.Path:
    try:
        return tool_directory(request.param) / "helm"
    except ToolsUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def tools(helm, monkeypatch) -> Tools:
    monkeypatch.setenv("CAELUS_HELM", str(helm))
    return Tools(config.load())


@pytest.fixture
def no_helm(monkeypatch) -> Tools:
    """For what must not need a program at all."""
    monkeypatch.setenv("CAELUS_HELM", "/nonexistent/helm")
    return Tools(config.load())


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """stub(script) gives tools whose helm is this shell script; $d is where a pull belongs."""

    def tools(script: str) -> Tools:
        path = tmp_path / "helm"
        path.write_text(f'#!/bin/sh\nfor d; do :; done\ncd "{tmp_path}"\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setenv("CAELUS_HELM", str(path))
        return Tools(config.load())

    return tools


@pytest.fixture
def registry():
    with running(Registry()) as server:
        yield server


@pytest.fixture
def serve(registry, tmp_path):
    """serve(tools, source, archive) gives an unpinned chart, there to be had."""

    def chart(tools: Tools, source: str, content: bytes = RED) -> Chart:
        file = tmp_path / "app-1.0.0.tgz"
        file.write_bytes(content)
        registry.add_chart("app", "1.0.0", content)
        if source == "oci":
            tools.helm("push", str(file), f"oci://{registry.host}/x", "--plain-http", timeout=30)
        refs = {
            "repository": f"http://{registry.host}/charts/app",
            "url": f"http://{registry.host}/charts/app-1.0.0.tgz",
            "file": str(file),
            "oci": f"oci://{registry.host}/x/app",
        }
        return Chart(refs[source], "1.0.0", plain_http=True)

    return chart


def pinned(registry: Registry, chart: Chart, content: bytes = RED) -> Chart:
    manifest = registry.manifests.get(("x/app", "1.0.0"))
    return replace(chart, digest=digest_of(manifest if chart.is_oci else content))


def take_away(registry: Registry, chart: Chart) -> None:
    stop(registry)
    pathlib.Path(chart.ref).unlink(missing_ok=True)


def store(tools: Tools) -> pathlib.Path:
    return tools.config.data_dir / "charts"


def color(tools: Tools, chart: Chart) -> str:
    """What helm makes of the chart where it is located."""
    return tools.helm("template", "x", *located(tools, chart), timeout=30).split('"')[1]
