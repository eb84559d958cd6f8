"""Where a chart comes from, with its digest or without."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from caelus import attempts, causes, charts
from caelus.charts import Chart, DigestMismatch, PullError, located, resolve
from caelus.errors import ReconcileError
from caelus.models import Deployment, Job, Template, User
from caelus.process import ToolError, Tools
from tests.chart_scenes import RED, SOURCES, WRONG, archive, color, pinned, store, take_away
from tests.chart_scenes import helm as helm
from tests.chart_scenes import no_helm as no_helm
from tests.chart_scenes import registry as registry
from tests.chart_scenes import serve as serve
from tests.chart_scenes import stub as stub
from tests.chart_scenes import tools as tools
from tests.program import wait_until
from tests.registry import digest_of, stop

BLUE = archive({"app/values.yaml": "color: blue\n"})


def cause_of(error: ReconcileError) -> causes.Cause:
    """The cause, of which the error alone must say enough."""
    return causes.diagnose(error, [])


def kept(tools: Tools) -> pathlib.Path:
    """The one archive in the store; nothing half-done is beside it."""
    assert not list(store(tools).glob(".*"))
    (file,) = store(tools).glob("*.tgz")
    return file


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
    monkeypatch.setattr(attempts.helm, "upgrade", lambda tools, uid, chart, *_: used.append(chart))
    monkeypatch.setattr(attempts.releases, "history", lambda *_: [])
    monkeypatch.setattr(attempts.kubectl, "apply_fence", lambda *_: None)
    monkeypatch.setattr(attempts.deployments, "check_values", lambda _: {})
    template = Template(
        chart_ref="http://example.org/app",
        chart_version="1",
        capabilities_json=None if capability is None else {"plain_http": capability},
    )
    user = User(email="ada@example.org")
    deployment = Deployment(id=1, deployment_uid="x", desired_template=template, user=user)
    attempt = attempts.Attempt(Job(reason="create", attempt=1), deployment, no_helm, 2)
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
