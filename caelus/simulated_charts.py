"""What any chart makes in a simulated cluster: one web app.

Of the values it takes an image, a number, host names and a word; nothing else of them is kept.
"""

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator

from caelus.simulated_pods import BEHAVIOUR, WORDS

MOST = 1000  # replicas; a simulation must not grow without end
_IMAGE = re.compile(r"[a-z0-9][\w.:/@-]{0,200}", re.IGNORECASE)
_HOSTS = {"host", "hosts", "hostname", "hostnames", "domain", "domainname"}
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")


def render(release: str, reference: str, version: str, values: dict) -> list[dict]:
    """The objects of any chart: of the values it takes an image, a number, hosts and words."""
    known = dict(_walk(values))
    name = name_of(reference)
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [_container(name, version, values, known)]},
    }
    if word := _word(known.values()):
        template["metadata"]["annotations"] = {BEHAVIOUR: word}
    counts = [n for path, n in known.items() if path[-1] in ("replicas", "replicaCount")]
    count = next((n for n in counts if type(n) is int and 0 <= n <= MOST), 1)
    spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    hosts = [text for path, text in known.items() if _HOSTS & {*path} and _is_host(text)]
    made = [
        ("apps/v1", "Deployment", release, spec),
        ("v1", "Service", release, {"selector": labels, "ports": [{"port": 80}]}),
        ("v1", "PersistentVolumeClaim", f"{release}-data", _CLAIM),
    ]
    if hosts:
        rules = [{"host": host, "http": _paths(release)} for host in dict.fromkeys(hosts)]
        made.append(("networking.k8s.io/v1", "Ingress", release, {"rules": rules}))
    managed = labels | {"app.kubernetes.io/managed-by": "Helm"}
    return [_object(*one, release, managed) for one in made]


_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def _object(api: str, kind: str, name: str, spec: dict, namespace: str, labels: dict) -> dict:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def _paths(release: str) -> dict:
    service = {"name": release, "port": {"number": 80}}
    return {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": service}}]}


def _container(name: str, version: str, values: dict, known: dict) -> dict:
    image = values.get("image")
    if isinstance(image, dict):
        image = f"{image.get('repository') or name}:{image.get('tag') or version}"
    chosen = image if isinstance(image, str) and _IMAGE.fullmatch(image) else f"{name}:{version}"
    return {"name": "app", "image": chosen, "ports": [{"containerPort": 8080}]}


def _walk(value, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """The leaves of the values, with where they are."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in below:
        if isinstance(part, dict | list):
            yield from _walk(part, (*path, key))
        else:
            yield (*path, key), part


def _word(leaves) -> str | None:
    """The behaviour that an image or a host name asks for, or any other text of one word."""
    texts = [text for text in leaves if isinstance(text, str) and not re.search(r"\s", text)]
    said = {part for text in texts for part in re.split(r"[^a-z0-9]+", text[:253].lower())}
    return next((word for word in WORDS if word in said), None)


def _is_host(text) -> bool:
    return isinstance(text, str) and _HOST.fullmatch(text) is not None


def name_of(reference: str) -> str:
    """The last part of a reference or path, as a name."""
    last = reference.rstrip("/").rpartition("/")[2]
    bare = re.sub(r"(-\d[\w.+-]*)?\.tgz$|[@:].*$", "", last)
    return re.sub("[^a-z0-9]+", "-", bare.lower()).strip("-")[:40] or "app"


def archive(name: str, version: str) -> bytes:
    image = {"repository": f"registry.example.org/{name}", "tag": version}
    files = {
        "Chart.yaml": {"apiVersion": "v2", "name": name, "version": version},
        "values.yaml": {"image": image, "replicaCount": 1, "ingress": {"hosts": []}},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as written:
        for path, document in files.items():
            content = json.dumps(document).encode()  # JSON is YAML, too
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
