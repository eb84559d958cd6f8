"""Charts stay what they were: pinned, kept, checked; real helm pulls them from loopback."""

import contextlib
import gzip
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace

import pytest

from caelus import archives, causes, charts, config, database, reconcile
from caelus.charts import Chart, DigestMismatch, PullError, located, resolve
from caelus.errors import ReconcileError
from caelus.models import Deployment, Job, Template, User
from caelus.process import ToolError, Tools
from tests.program import wait_until
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
BLUE = archive({"app/values.yaml": "color: blue\n"})
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


def cause_of(error: ReconcileError) -> causes.Cause:
    """The cause, of which the error alone must say enough."""
    return causes.diagnose(error, [])


def store(tools: Tools) -> pathlib.Path:
    return tools.config.data_dir / "charts"


def kept(tools: Tools) -> pathlib.Path:
    """The one archive in the store; nothing half-done is beside it."""
    assert not list(store(tools).glob(".*"))
    (file,) = store(tools).glob("*.tgz")
    return file


def color(tools: Tools, chart: Chart) -> str:
    """What helm makes of the chart where it is located."""
    return tools.helm("template", "x", *located(tools, chart), timeout=30).split('"')[1]


# Of whom it is


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("source", ["repository", "file"])
def test_what_root_keeps_is_for_the_owner_of_the_data_directory(tools, serve, source):
    directory, owner = tools.config.data_dir, 65534
    directory.mkdir()
    os.chown(directory, owner, owner)
    resolve(tools, serve(tools, source))
    assert store(tools).stat().st_uid == kept(tools).stat().st_uid == owner
    of_root = {path for path in directory.rglob("*") if path.stat().st_uid == 0}
    assert {path.relative_to(directory).parts[0] for path in of_root} <= {"root"}


# Without a digest


@pytest.mark.parametrize(
    ("ref", "plain_http", "arguments"),
    [
        ("oci://example.org/x/app", False, ["oci://example.org/x/app", "--version", "1"]),
        (
            "oci://example.org/app",
            True,
            ["oci://example.org/app", "--version", "1", "--plain-http"],
        ),
        (
            "https://example.org/charts/app",
            False,
            ["app", "--repo", "https://example.org/charts", "--version", "1"],
        ),
        (
            "http://example.org/charts/app/",
            True,
            ["app", "--repo", "http://example.org/charts", "--version", "1"],
        ),
        ("https://example.org/a-1.tgz", False, ["https://example.org/a-1.tgz", "--version", "1"]),
        ("charts/app", False, ["charts/app", "--version", "1"]),
    ],
)
def test_helm_itself_gets_a_chart_without_a_digest(no_helm, ref, plain_http, arguments):
    assert located(no_helm, Chart(ref, "1", plain_http=plain_http)) == arguments
    assert not store(no_helm).exists()


def test_a_name_that_helm_would_take_for_an_option_is_refused(no_helm):
    with pytest.raises(ReconcileError, match="no name"):
        located(no_helm, Chart("https://example.org/--post-renderer=x", "1"))


# Plain http


@pytest.mark.parametrize("call", [located, resolve])
@pytest.mark.parametrize("digest", [None, WRONG])
@pytest.mark.parametrize(
    "ref",
    [
        "http://HOST/charts/app",
        "HTTP://HOST/charts/app-1.0.0.tgz",
        "oci://HOST/x/app",
        "OCI://HOST/x/app",
        "oci://localhost:PORT/x/app",
        "oci://[::1]:PORT/x/app",
        "oci://[::ffff:127.0.0.1]:PORT/x/app",
    ],
)
def test_plain_http_is_refused_before_anything_is_sent(registry, no_helm, ref, digest, call):
    ref = ref.replace("HOST", registry.host).replace("PORT", str(registry.server_port))
    with pytest.raises(ReconcileError, match="plain http") as caught:
        call(no_helm, Chart(ref, "1.0.0", digest))
    assert not cause_of(caught.value).heals
    assert registry.connections == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("capability", [True, False, None])
def test_a_template_says_whether_plain_http_may_be_used(settings, no_helm, monkeypatch, capability):
    used = []
    monkeypatch.setattr(reconcile.helm, "upgrade", lambda tools, uid, chart, *_: used.append(chart))
    monkeypatch.setattr(reconcile.releases, "history", lambda *_: [])
    monkeypatch.setattr(reconcile.kubectl, "apply_fence", lambda *_: None)
    monkeypatch.setattr(reconcile.deployments, "check_values", lambda _: {})
    template = Template(
        chart_ref="http://example.org/app",
        chart_version="1",
        capabilities_json=None if capability is None else {"plain_http": capability},
    )
    user = User(email="ada@example.org")
    deployment = Deployment(id=1, deployment_uid="x", desired_template=template, user=user)
    attempt = reconcile.Attempt(Job(reason="create", attempt=1), deployment, no_helm, 2)
    assert attempt.run() is None
    assert used == [Chart("http://example.org/app", "1", plain_http=capability is True)]


@pytest.mark.parametrize("ref", ["https://HOST/charts/app", "oci://example.invalid/x/app"])
def test_what_is_not_plain_http_never_speaks_it(registry, tools, ref):
    chart = Chart(ref.replace("HOST", registry.host), "1.0.0")
    with pytest.raises(PullError) as caught:
        located(tools, replace(chart, digest=WRONG))
    assert caught.value.code == "registry_unreachable"
    assert registry.requests == []


# With a digest


@pytest.mark.parametrize("source", SOURCES)
def test_a_pinned_chart_is_kept_and_used_when_its_source_is_gone(registry, tools, serve, source):
    chart = pinned(registry, serve(tools, source))
    assert color(tools, chart) == "red"
    take_away(registry, chart)
    assert color(tools, chart) == "red"
    assert kept(tools).name == f"{chart.digest.replace(':', '-')}.tgz"
    assert kept(tools).read_bytes() == RED
    assert store(tools).stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in store(tools).iterdir()} == {0o600}


@pytest.mark.parametrize("source", ["repository", "url", "file"])
def test_an_archive_that_is_not_the_pinned_one_is_refused(registry, tools, serve, source):
    chart = pinned(registry, serve(tools, source, BLUE), RED)
    with pytest.raises(DigestMismatch) as caught:
        located(tools, chart)
    assert digest_of(RED) in caught.value.detail and digest_of(BLUE) in caught.value.detail
    assert cause_of(caught.value).code == "chart_digest_mismatch"
    assert list(store(tools).iterdir()) == []


@pytest.mark.parametrize("part", ["manifest", "archive"])
def test_a_registry_that_gives_other_content_is_refused(registry, tools, serve, part):
    chart = pinned(registry, serve(tools, "oci"))
    parts = registry.manifests if part == "manifest" else registry.blobs
    key = ("x/app", chart.digest) if part == "manifest" else digest_of(RED)
    parts[key] = parts[key][:-1] + b" "
    with pytest.raises(DigestMismatch) as caught:
        located(tools, chart)
    assert chart.digest in caught.value.detail and digest_of(parts[key]) in caught.value.detail
    assert list(store(tools).iterdir()) == []


@pytest.mark.parametrize("tag", ["", ":1.0.0", f":1.0.0@{WRONG}"])
def test_a_tag_that_was_moved_still_gives_the_pinned_chart(registry, tools, serve, tag):
    chart = pinned(registry, serve(tools, "oci", RED))
    serve(tools, "oci", BLUE)
    assert pinned(registry, chart).digest != chart.digest
    assert color(tools, replace(chart, ref=chart.ref + tag)) == "red"


@pytest.mark.parametrize("source", ["repository", "oci"])
@pytest.mark.parametrize("damage", [b"", RED[:-1], BLUE])
def test_a_damaged_kept_chart_is_fetched_anew(registry, tools, serve, source, damage):
    chart = pinned(registry, serve(tools, source))
    located(tools, chart)
    kept(tools).write_bytes(damage)
    assert color(tools, chart) == "red"
    assert kept(tools).read_bytes() == RED


@pytest.mark.parametrize("damage", [None, b"", b"\xff", WRONG.encode()])
def test_an_oci_chart_without_its_checksum_is_fetched_anew(registry, tools, serve, damage):
    chart = pinned(registry, serve(tools, "oci"))
    located(tools, chart)
    checksum = kept(tools).with_suffix(".tgz.sha256")
    assert checksum.read_text() == digest_of(RED)
    checksum.unlink() if damage is None else checksum.write_bytes(damage)
    registry.requests.clear()
    assert color(tools, chart) == "red"
    assert registry.requests and checksum.read_text() == digest_of(RED)


def test_a_damaged_chart_is_not_used_when_its_source_is_gone(no_helm, registry, serve):
    chart = pinned(registry, serve(no_helm, "file"))
    located(no_helm, chart)
    kept(no_helm).write_bytes(BLUE)
    take_away(registry, chart)
    with pytest.raises(PullError, match="no such file"):
        located(no_helm, chart)


def test_a_manifests_digest_is_not_taken_for_an_archives(registry, tools, serve):
    chart = pinned(registry, serve(tools, "oci"))
    located(tools, chart)
    other = replace(serve(tools, "file"), digest=chart.digest)
    with pytest.raises(DigestMismatch):
        located(tools, other)
    assert color(tools, chart) == "red"


@pytest.mark.parametrize("call", [located, resolve])
def test_a_directory_has_no_digest(no_helm, tmp_path, call):
    with pytest.raises(ReconcileError, match="is a directory, which has no digest") as caught:
        call(no_helm, Chart(str(tmp_path), "1", WRONG))
    assert cause_of(caught.value).code == "chart_unusable"


@pytest.mark.parametrize("source", ["repository", "oci"])
def test_eight_at_once_get_the_same_chart(registry, tools, serve, source):
    chart, results = pinned(registry, serve(tools, source)), []
    threads = [
        threading.Thread(target=lambda: results.append(located(tools, chart))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[str(kept(tools))]] * 8
    assert kept(tools).read_bytes() == RED


# What may happen to a pull


def test_a_pull_that_fails_halfway_leaves_nothing(stub, tmp_path):
    (tmp_path / "red.tgz").write_bytes(RED)
    tools = stub('head -c 99 red.tgz >"$d/app-1.0.0.tgz"; echo "Error: broken pipe" >&2; exit 1')
    chart = Chart("https://example.org/app", "1.0.0", digest_of(RED))
    with pytest.raises(ToolError, match="cannot pull chart .* broken pipe"):
        located(tools, chart)
    assert list(store(tools).iterdir()) == []
    stub('cp red.tgz "$d/app-1.0.0.tgz"')
    assert located(tools, chart) == [str(kept(tools))]


def test_only_a_rename_makes_a_chart_appear(no_helm, registry, serve, monkeypatch):
    chart = pinned(registry, serve(no_helm, "file"))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        located(no_helm, chart)
    assert list(store(no_helm).iterdir()) == []


def test_a_kill_leaves_no_half_chart_and_its_rest_is_swept(stub, tmp_path):
    (tmp_path / "red.tgz").write_bytes(RED)
    tools = stub('head -c 99 red.tgz >"$d/app-1.0.0.tgz"; touch started; exec sleep 3')
    chart = Chart("https://example.org/app", "1.0.0", digest_of(RED))
    program = (
        "from caelus.config import load; from caelus.process import Tools; "
        f"from caelus.charts import Chart, located; located(Tools(load()), {chart!r})"
    )
    root = pathlib.Path(charts.__file__).parents[1]
    child = subprocess.Popen([sys.executable, "-c", program], cwd=root)
    wait_until((tmp_path / "started").exists)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (left,) = store(tools).iterdir()
    assert left.name.startswith(".pull-")
    os.utime(left, (0, time.time() - 4000))
    stub('cp red.tgz "$d/app-1.0.0.tgz"')
    assert located(tools, chart) == [str(kept(tools))]


def test_a_pull_that_hangs_is_ended(stub, monkeypatch):
    monkeypatch.setattr(charts, "PULL_SECONDS", 0.2)
    with pytest.raises(PullError) as caught:
        located(stub("exec sleep 60"), Chart("oci://example.org/app", "1", WRONG))
    assert caught.value.code == "registry_unreachable"
    assert "helm took longer than" in caught.value.detail


@pytest.mark.parametrize("script", ["true", 'touch "$d/a" "$d/b"'])
def test_a_pull_that_gives_not_one_file_is_refused(stub, script):
    with pytest.raises(ToolError, match="files instead of one"):
        located(stub(script), Chart("https://example.org/app", "1", WRONG))


def test_a_missing_helm_is_told_as_such(no_helm):
    with pytest.raises(ToolError, match="^cannot run /nonexistent/helm"):
        located(no_helm, Chart("https://example.org/app", "1", WRONG))


def test_a_store_that_cannot_be_written_is_told_with_its_path(no_helm, registry, serve):
    chart = pinned(registry, serve(no_helm, "file"))
    no_helm.config.data_dir.mkdir()
    store(no_helm).write_text("in the way")
    with pytest.raises(ReconcileError, match=f"{store(no_helm)}: File exists") as caught:
        located(no_helm, chart)
    cause = cause_of(caught.value)
    assert (cause.code, cause.heals, cause.message) == ("internal", True, caught.value.detail)


@pytest.mark.parametrize("source", ["repository", "url", "oci"])
@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (401, "registry_auth"),
        (403, "registry_auth"),
        (404, "chart_not_found"),
        ("Basic", "registry_auth"),
        ("stopped", "registry_unreachable"),
    ],
)
def test_what_keeps_a_chart_away_is_told(registry, tools, serve, source, trouble, code):
    chart = pinned(registry, serve(tools, source))
    if trouble == "stopped":
        stop(registry)
    elif trouble == "Basic":
        registry.refusal, registry.challenge = 401, 'Basic realm="x"'
    else:
        registry.refusal = trouble
    with pytest.raises(PullError) as caught:
        located(tools, chart)
    assert caught.value.code == code
    assert causes.diagnose(caught.value, []).heals
    assert caught.value.detail.startswith(f"cannot pull chart {chart}: its source ")
    assert "\n" not in caught.value.detail


def test_a_version_that_a_repository_does_not_have_is_told(registry, tools, serve):
    chart = replace(serve(tools, "repository"), version="2.0.500")
    with pytest.raises(PullError, match='"2.0.500" not found') as caught:
        resolve(tools, chart)
    assert caught.value.code == "chart_not_found"


# Resolving


@pytest.mark.parametrize("source", SOURCES)
def test_resolving_pins_keeps_and_reads_a_chart(registry, tools, serve, source):
    chart = serve(tools, source)
    found = resolve(tools, chart)
    assert found.digest == pinned(registry, chart).digest
    assert (found.values_schema, found.default_values) == (SCHEMA, {"color": "red"})
    assert (found.name, found.version) == ("app", "1.0.0")
    take_away(registry, chart)
    assert resolve(tools, replace(chart, digest=found.digest)) == found
    assert color(tools, replace(chart, digest=found.digest)) == "red"


def test_resolving_checks_a_digest_that_was_given(no_helm, registry, serve):
    chart = replace(serve(no_helm, "file"), digest=WRONG)
    with pytest.raises(DigestMismatch, match=digest_of(RED)):
        resolve(no_helm, chart)


@pytest.mark.parametrize(
    "said",
    ["", f"digest: {WRONG}", "Digest: sha256:0", f"Digest: {WRONG}\nDigest: {digest_of(RED)}"],
)
def test_no_digest_is_guessed_from_what_helm_says(stub, said):
    with pytest.raises(ToolError, match="digests of chart"):
        resolve(stub(f"echo '{said}'"), Chart("oci://example.org/app", "1"))


def test_a_digest_that_helm_says_is_not_believed_but_pulled(stub):
    missing = "case $* in *@sha256*) echo 'Error: app: not found' >&2; exit 1; esac"
    tools = stub(f"{missing}; echo 'Digest: {WRONG}'")
    with pytest.raises(PullError) as caught:
        resolve(tools, Chart("oci://example.org/app", "1"))
    assert caught.value.code == "chart_not_found"


# At publication


def described(chart: Chart, **given) -> dict:
    """The arguments of create-template for `chart`, of product 1."""
    return {
        "product_id": 1,
        "chart_ref": chart.ref,
        "chart_version": chart.version,
        "capabilities_json": {"plain_http": chart.plain_http},
        "resolve": True,
    } | given


def refused(answer, status: int) -> str:
    assert answer.code in (status, 1)
    return answer.sentence


@pytest.fixture
def product(surface):
    """The surface, with a product (1)."""
    assert surface("create-product", name="Notes").ok
    return surface


@pytest.mark.parametrize("source", ["repository", "oci"])
def test_a_template_takes_from_its_chart_what_is_not_given(registry, tools, serve, product, source):
    chart = serve(tools, source)
    shown = product("create-template", **described(chart)).document
    assert shown["chart_digest"] == pinned(registry, chart).digest
    assert (shown["values_schema_json"], shown["default_values_json"]) == (SCHEMA, {"color": "red"})
    assert "resolve" not in shown
    assert product("get-template", product_id=1, template_id=shown["id"]).document == shown
    take_away(registry, chart)
    assert color(tools, replace(chart, digest=shown["chart_digest"])) == "red"


def test_what_is_given_is_not_taken_from_the_chart(no_helm, serve, product):
    chart = serve(no_helm, "file")
    given = {"default_values_json": {}, "values_schema_json": {"type": "object"}}
    shown = product("create-template", **described(chart, **given)).document
    assert {name: shown[name] for name in given} == given
    assert shown["chart_digest"] == digest_of(RED)


def test_a_chart_without_a_schema_gives_none(no_helm, serve, product):
    chart = serve(no_helm, "file", archive({}))
    shown = product("create-template", **described(chart)).document
    assert (shown["values_schema_json"], shown["default_values_json"]) == (None, {})


@pytest.mark.parametrize(
    ("own", "asked", "taken"),
    [
        ("1.0.0", "1.0.1", False),
        ("1.0.0", "v1.0.0", True),
        ("v1.0.0", "1.0.0", True),
        ("1.0.0+2", "1.0.0_2", True),
    ],
)
def test_a_chart_of_another_version_makes_no_template(no_helm, serve, product, own, asked, taken):
    chart = replace(serve(no_helm, "file", archive({}, own)), version=asked)
    answer = product("create-template", **described(chart))
    assert answer.ok is taken
    if not taken:
        assert f"{asked} says of itself that it is version {own}" in refused(answer, 409)


def test_a_chart_that_refuses_what_users_set_makes_no_template(no_helm, serve, product):
    files = {"app/values.schema.json": '{"additionalProperties": false, "properties": {}}'}
    chart = serve(no_helm, "file", archive(files))
    asked = described(chart, values_schema_json={"properties": {"user": {"type": "object"}}})
    sentence = refused(product("create-template", **asked), 409)
    assert sentence.startswith("the chart's own schema does not allow user; with the capability")
    asked["capabilities_json"] = {"user_values": "bindings_only"}
    assert product("create-template", **asked).document["id"] == 1


def test_without_resolve_nothing_is_pulled(no_helm, serve, product):
    chart = serve(no_helm, "file")
    shown = product("create-template", **described(chart, resolve=False)).document
    assert [shown[name] for name in ("chart_digest", "values_schema_json")] == [None, None]
    assert not store(no_helm).exists()


def test_a_chart_that_cannot_be_had_makes_no_template(no_helm, registry, serve, product, tmp_path):
    chart = serve(no_helm, "file")
    absent = replace(chart, ref=str(tmp_path / "absent.tgz"))
    remote = Chart(f"http://{registry.host}/charts/app", "1.0.0")
    for arguments, sentence in (
        (described(chart, chart_digest=WRONG), f"has the digest {digest_of(RED)}, but"),
        (described(absent), "there is no such file"),
        (described(remote), "would come over plain http"),
        (described(replace(remote, plain_http=True)), "cannot run /nonexistent/helm"),
        (described(chart, capabilities_json={"plain_http": 1}), "/plain_http must be true or"),
    ):
        assert sentence in refused(product("create-template", **arguments), 409)
    assert product("list-templates", product_id=1).document == []
    assert registry.connections == 0


def test_what_is_refused_anyway_is_refused_before_a_pull(monkeypatch, serve, no_helm, product):
    monkeypatch.setattr(charts, "resolve", None)
    chart = serve(no_helm, "file")
    assert "product 9" in refused(product("create-template", **described(chart, product_id=9)), 404)
    for given, field in (
        ({"chart_ref": "https://me:secret@example.org/app"}, "chart_ref"),
        ({"chart_ref": "https://example.org/--post-renderer=x"}, "chart_ref"),
        ({"chart_version": ">1"}, "chart_version"),
    ):
        sentence = refused(product("create-template", **described(chart, **given)), 422)
        assert sentence.startswith(field)


def test_a_chart_is_pulled_with_no_transaction_open(monkeypatch, serve, no_helm, product):
    open_then = []

    def watched(*arguments):
        open_then.append(database.database.in_transaction())
        return resolve(*arguments)

    monkeypatch.setattr(charts, "resolve", watched)
    assert product("create-template", **described(serve(no_helm, "file"))).ok
    assert open_then == [False]


# What is in an archive


def read(tmp_path, content: bytes) -> dict:
    file = tmp_path / "chart.tgz"
    file.write_bytes(content)
    return archives.read(file)


def test_a_chart_without_values_or_schema_is_fine(tmp_path):
    found = read(tmp_path, archive({"app/charts/sub/values.yaml": "a: 1"}))
    assert (found["default_values"], found["values_schema"]) == ({}, None)


def test_a_byte_order_mark_is_skipped_as_helm_does(tmp_path):
    files = {"app/values.yaml": "\ufeffa: 1", "app/values.schema.json": "\ufeff{}"}
    found = read(tmp_path, archive(files))
    assert (found["default_values"], found["values_schema"]) == ({"a": 1}, {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n"])
def test_values_that_say_nothing_are_empty(tmp_path, text):
    assert read(tmp_path, archive({"app/values.yaml": text}))["default_values"] == {}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"app/Chart.yaml": "version: 1.0.0"}, "no Chart.yaml with a name and a version"),
        ({"app/Chart.yaml": "- 1"}, "Chart.yaml is no mapping"),
        ({"../evil": ""}, "outside of its directory, ../evil"),
        ({"app/../../evil": ""}, "outside of its directory"),
        ({"/etc/evil": ""}, "outside of its directory, /etc/evil"),
        ({"app\\..\\..\\evil": ""}, "outside of its directory"),
        ({"app/values.yaml": "", "app/./values.yaml": "a: 1"}, "two files values.yaml"),
        ({"app/values.yaml": "a: " + "x" * 2**20}, "values.yaml has more than 1048576 bytes"),
        ({"app/values.schema.json": b" " * (2**20 + 1)}, "values.schema.json has more than"),
        ({"app/values.yaml": "a: [1"}, "values.yaml cannot be read: not YAML"),
        ({"app/values.yaml": b"a: \xff"}, "values.yaml cannot be read"),
        ({"app/values.yaml": 'a: "\\0"'}, "values.yaml cannot be read: a must not hold a NUL"),
        ({"app/values.yaml": "a: " + "[" * 5000}, "nested"),
        ({"app/values.yaml": "- 1"}, "values.yaml is no mapping"),
        ({"app/values.schema.json": "{"}, "values.schema.json cannot be read: not JSON"),
        ({"app/values.schema.json": "true"}, "values.schema.json is no mapping"),
        ({f"app/{n}": "" for n in range(10_001)}, "more than 10000 files"),
        ({"app/bomb": bytes(archives.MAX_UNPACKED)}, "unpacks to more than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_that_tricks_or_overflows_is_refused(tmp_path, files, sentence):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, archive(files))
    assert sentence in str(caught.value)


def test_a_link_is_not_followed(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        add(tar, "app/Chart.yaml", b"name: app\nversion: 1.0.0\n")
        add(tar, "app/secret", b"a: 1")
        add(tar, "app/values.yaml", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "app/values.schema.json", type=tarfile.LNKTYPE, linkname="app/secret")
    found = read(tmp_path, buffer.getvalue())
    assert (found["default_values"], found["values_schema"]) == ({}, None)


def test_headers_that_nest_without_end_are_refused(tmp_path):
    header = tarfile.TarInfo("x")
    header.type = tarfile.GNUTYPE_LONGNAME
    content = gzip.compress(header.tobuf() * 5000)
    with pytest.raises(ValueError, match="no archive that can be read"):
        read(tmp_path, content)


def test_a_file_that_claims_to_be_endless_is_refused(tmp_path):
    header = tarfile.TarInfo("app/README.md")
    header.size = 2**80
    with pytest.raises(ValueError, match="it ends too early"):
        read(tmp_path, gzip.compress(header.tobuf(tarfile.GNU_FORMAT)))


def test_whatever_is_broken_in_an_archive_gives_a_sentence(tmp_path):
    draw, plain = random.Random(1), gzip.decompress(RED)
    for _ in range(400):
        broken = bytearray(plain[: draw.choice([len(plain), draw.randrange(1, len(plain))])])
        for _ in range(draw.randrange(6)):
            broken[draw.randrange(min(3072, len(broken)))] = draw.randrange(256)
        packed = bytearray(gzip.compress(broken, 1))
        if draw.random() < 0.3:
            packed[draw.randrange(len(packed))] ^= 1 << draw.randrange(8)
        with contextlib.suppress(ValueError):
            assert read(tmp_path, bytes(packed))["name"]


def test_what_cannot_be_used_is_told_with_the_charts_name(no_helm, registry, serve):
    chart = serve(no_helm, "file", b"no archive")
    with pytest.raises(ReconcileError) as caught:
        resolve(no_helm, chart)
    assert caught.value.detail.startswith(f"chart {chart} cannot be used: it is no archive")
    assert not causes.diagnose(caught.value, []).heals
