"""The page on publishing a chart is walked, with charts of ours in the place of the public ones."""

import json
import re
import subprocess

import pytest

from tests.program import ROOT
from tests.shell import shell, steps, typed
from tests.tools import tool_directory

PAGE = (ROOT / "docs" / "publishing.md").read_text()
# Charts of ours whose values have the same shape, as far as the page goes.
STAND_INS = {"podinfo": "greeting", "vaultwarden": "vault"}
PUBLIC = re.compile(r"--chart-ref=\S+/(\w+) --chart-version=(\S+)")
DIFFERS = [r"\d{4}-\d\d-\d\dT[\d:.]+Z", r"(?<=org-)[0-9a-z]{6}\b"]


def walk() -> list[tuple[str, str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [step for block in blocks for step in steps(block)]


def write_files(directory) -> None:
    """Those that the page shows, under the names in their first lines."""
    for name, text in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        (directory / name).write_text(text)


def stand_in(command: str, directory, major: str) -> str:
    """The command with an archive of ours, of the version that it asks for."""
    if not (public := PUBLIC.search(command)):
        return command
    name, version = STAND_INS[public[1]], public[2]
    helm = [str(tool_directory(major) / "helm"), "package", str(ROOT / "tests" / "charts" / name)]
    subprocess.run([*helm, f"--version={version}"], cwd=directory, check=True, capture_output=True)
    own = f"--chart-ref={directory}/{name}-{version}.tgz --chart-version={version}"
    return command.replace(public[0], own)


def shows(output: str, printed: str) -> bool:
    """Whether `printed` is `output` but for what differs each time; `...` is anything."""
    for pattern in DIFFERS:
        output, printed = (re.sub(pattern, "DIFFERS", text) for text in (output, printed))
    parts = (re.escape(part) for part in re.split(r"\.\.\.", output))
    return (
        re.fullmatch("(?s:.*)".join(parts), printed + "\n" * (output[-4:] == "...\n")) is not None
    )


OBJECTS = "kubectl get ingresses,deployments --all-namespaces --output=json"


@pytest.mark.parametrize("major", ["4", pytest.param("3", marks=pytest.mark.slow)])
def test_the_walk_gives_what_the_page_shows(tmp_path, major):
    write_files(tmp_path)
    commands, outputs = zip(*walk(), strict=True)
    commands = [stand_in(command, tmp_path, major) for command in commands]
    with shell(tmp_path, major) as program, program.serve() as server:
        commands = [command.replace("http://127.0.0.1:8000", server.url) for command in commands]
        program.env["CAELUS_LOG_LEVEL"] = "ERROR"
        *printed, objects = typed(program, [*commands, OBJECTS], tmp_path)
    wrong = [step for step in zip(commands, outputs, printed, strict=True) if not shows(*step[1:])]
    assert wrong == []
    ingress, workload = (item["spec"] for item in json.loads(objects)["items"])
    assert [ingress["rules"][0]["host"], *ingress["tls"][0]["hosts"]] == ["ada.example.org"] * 2
    env = workload["template"]["spec"]["containers"][0]["env"]
    assert (workload["replicas"], env[1]) == (2, {"name": "MESSAGE", "value": "Hello"})
