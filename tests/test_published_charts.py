"""What is looked at of a chart when a template is made of it."""

import contextlib
import gzip
import io
import random
import tarfile
from dataclasses import replace

import pytest

from caelus import archives, causes, charts, database
from caelus.charts import Chart, DigestMismatch, PullError, resolve
from caelus.errors import ReconcileError
from caelus.process import ToolError
from tests.chart_scenes import (
    RED,
    SCHEMA,
    SOURCES,
    WRONG,
    add,
    archive,
    color,
    pinned,
    store,
    take_away,
)
from tests.chart_scenes import helm as helm
from tests.chart_scenes import no_helm as no_helm
from tests.chart_scenes import registry as registry
from tests.chart_scenes import serve as serve
from tests.chart_scenes import stub as stub
from tests.chart_scenes import tools as tools
from tests.registry import digest_of

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
