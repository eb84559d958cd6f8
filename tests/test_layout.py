"""The tree's own rules: who imports whom, who alone uses what, what a start costs."""

import ast
import json
import pathlib
import subprocess
import sys

import pytest

from tests.program import ROOT, Program

FLOORS = [
    "errors settings parsing config tracing logs isolation supervision findings",
    "lasting naming jsontext fitting formats patterns rule_words validation references pool database models prepared migrate process"
    " charts archives"
    " helm kubectl keyring marks yamltext recovery releases wording evidence symptoms causes"
    " readonly presence patience copies"
    " simulator simulated_cluster simulated_pods simulated_helm simulated_charts simulated_kubectl",
    "users icons rasters products templates values bindings policies deployments jobs events redact leases"
    " notices reconcile attempts outcomes"
    " drift manifests secretvalues rotation fence rbac"
    " actors audit credentials tokens logins sessions refusals arrivals"
    " tallies glances resources podlogs overview"
    " tool_checks cluster_checks database_checks machine_checks queue_checks doctor cluster_mark"
    " backups restores restored orphans sightings",
    "schemas documents document_schemas operation user_rows product_rows deployment_rows cluster_rows site_rows orphan_rows operations"
    " access dispatch openapi",
    "api observer guard identity login_pages peers metrics server worker"
    " cli startup machine serve_commands database_commands cluster_commands service_commands"
    " doctor_commands demo demo_icons demo_commands backup_commands"
    " client_commands remote servers waiting following completion manual helptext"
    " web.merging web.shapes web.entries web.posted web.fields web.inputs web.forms"
    " web.words web.lists web.pages web.routes web.refused web.userform web.owner web.creation web.preview"
    " web.deployment web.running web.progress web.changes web.differences web.account"
    " web.admin web.admin_users web.admin_products web.admin_templates web.editor web.checkup",
]
FLOOR = {module: number for number, line in enumerate(FLOORS) for module in line.split()}
ONLY_IN = {
    "falcon": {"api", "identity", "login_pages", "peers", "web.pages", "web.routes"},
    "waitress": {"server"},
    "docopt": {"cli"},
    "peewee_migrate": {"migrate"},
    "jsonschema": {"references", "validation"},
    "jsonschema_specifications": {"references", "validation"},
    "referencing": {"references", "validation"},
    "plumbum": {"process"},
    "yaml": {"yamltext"},
    "nacl": {"keyring"},
    "prometheus_client": {"metrics"},
    "os.environ": {"config", "process"},
    "os.getenv": set(),
    "print": {"cli"},
}
TREES = {
    prefix + path.stem: ast.parse(path.read_text())
    for prefix, part in (("", "caelus"), ("web.", "caelus/web"))
    for path in sorted((ROOT / part).glob("*.py"))
    if path.stem not in ("__init__", "__main__")
}
SOURCES = [
    path
    for part in (".", "caelus", "caelus/web", "migrations")
    for path in sorted((ROOT / part).glob("*.py"))
]


def imported(tree: ast.Module) -> set[str]:
    """The names of all modules that are imported anywhere; our own without `caelus.`"""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in ("caelus", "caelus.web"):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return {name.removeprefix("caelus.") for name in names}


def used(tree: ast.Module) -> set[str]:
    """The packages that are imported, and the names of `os` and of Python itself that are used."""
    names = {name.partition(".")[0] for name in imported(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            names.add(ast.unparse(node.func))
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_each_module_has_its_floor():
    assert set(FLOOR) == set(TREES)


@pytest.mark.parametrize("module", FLOOR)
def test_a_module_imports_from_lower_floors_or_its_own(module):
    above = {name for name in imported(TREES[module]) if FLOOR.get(name, 0) > FLOOR[module]}
    assert above == set()


@pytest.mark.parametrize("name", ONLY_IN)
def test_what_is_one_modules_own_is_used_by_it_alone(name):
    assert {module for module, tree in TREES.items() if name in used(tree)} == ONLY_IN[name]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_in_lines_that_fit(path: pathlib.Path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert [number for number, line in enumerate(text.split("\n"), 1) if len(line) > 100] == []


# What a start costs


def modules_of(*argv: str) -> set[str]:
    """The modules that are loaded once `caelus` has done this command."""
    script = (
        "import json, sys; from caelus.cli import main; assert main(sys.argv[1:]) == 0; "
        "print(json.dumps([name for name, module in sys.modules.items() if module]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], env=Program().env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_version_is_told_without_any_ado():
    assert modules_of("--version") & {"peewee", "docopt", "yaml", "sqlite3"} == set()


def test_a_list_loads_no_more_than_it_needs(tmp_path):
    modules_of("list-users")  # makes the schema, which takes peewee_migrate
    heavy = {"falcon", "waitress", "jsonschema", "plumbum", "psycopg", "psycopg2", "peewee_migrate"}
    heavy |= {
        "playhouse.pool",
        "http.server",
        "nacl",
        "secrets",
        "http.client",
        "ssl",
        "prometheus_client",
    }
    assert modules_of("list-users") & heavy == set()
