"""Real helm and kubectl against the suite's own Kubernetes API."""

import json
import os
import pathlib
import subprocess

import pytest

CHART = pathlib.Path(__file__).with_name("charts") / "app"


class Shell:
    """Runs helm and kubectl against one server and checks how they end."""

    def __init__(self, tools, kube, home):
        self.tools = tools
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": kube.kubeconfig(home / "kubeconfig"),
        }

    def __call__(self, program, *arguments, stdin=None, code=0):
        """What the program printed on stdout, or on stderr too if it was to fail."""
        done = subprocess.run(
            [self.tools / program, *arguments],
            check=False,
            env=self.env,
            input=stdin if isinstance(stdin, str | None) else json.dumps(stdin, ensure_ascii=False),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr if code else done.stdout

    def kubectl(self, *arguments, **options):
        return self("kubectl", *arguments, **options)

    def helm(self, *arguments, **options):
        return self("helm", *arguments, "--namespace", "apps", **options)

    def upgrade(self, values=None, *arguments, code=0):
        """Install or upgrade the release `web`, with exactly these values."""
        command = ["upgrade", "--install", "web", CHART, "--create-namespace", "--reset-values"]
        return self.helm(*command, "-f", "-", *arguments, stdin=values or {}, code=code)

    def release(self):
        return json.loads(self.helm("status", "web", "-o", "json"))

    def revisions(self):
        return json.loads(self.helm("history", "web", "-o", "json"))

    def apply(self, *objects, **options):
        # kubectl 1.31 takes text that begins with a brace for JSON alone, without `---`.
        stdin = "".join(f"---\n{json.dumps(obj)}\n" for obj in objects)
        return self.kubectl("apply", "-f", "-", stdin=stdin, **options)

    def get(self, *arguments):
        """The items that `kubectl get` finds."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))["items"]


@pytest.fixture
def shell(programs, kube, tmp_path):
    return Shell(programs, kube, tmp_path)


@pytest.fixture
def namespace(shell):
    """An empty namespace to work in with kubectl."""
    shell.kubectl("create", "namespace", "team")
    return "team"


def config_map(name="settings", namespace="team", labels=None, **data):
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def claim(name="disk", finalizers=()):
    metadata = {"name": name, "namespace": "team", "finalizers": list(finalizers)}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return {**kind, "metadata": metadata, "spec": spec}


def workload(kind, image="busybox:1", namespace="team", **spec):
    labels = {"app": kind.lower()}
    containers = [{"name": "main", "image": image}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": kind.lower(), "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def job(image="busybox:1"):
    made = workload("Job", image)
    del made["spec"]["selector"]
    made["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    return made


def names(objects):
    return [obj["metadata"]["name"] for obj in objects]
