"""The key of secrets: where it is kept, what is refused, and its rotation with kills in between."""

import base64
import concurrent.futures
import os
import stat
import subprocess
import sys

import pytest

from caelus import keyring, redact, rotation, secretvalues, startup
from caelus.database import database, session, transaction
from caelus.deployments import check_values, get_any
from caelus.errors import ConfigError, SecretKeyError
from caelus.models import Audit, Deployment, Job, Template, now
from caelus.process import Tools
from caelus.reconcile import run_due
from tests.program import Program

CANARY = "canary-hunter2"
KEY = base64.b64encode(b"k" * 32).decode()
VALUES_SCHEMA = {
    "properties": {
        "user": {"properties": {"password": {"writeOnly": True}}},
        "db": {"type": "string", "writeOnly": True, "generate": {"length": 16}},
        "smtp": {"writeOnly": True},
    }
}


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "data" / "secret.key"


@pytest.fixture
def shop(rest):
    """User 1, template 1 with a secret, deployment 1 with two."""
    rest("create-user", email="ada@example.org")
    rest("create-product", name="Notes")
    template = {
        "chart_ref": "oci://registry.example.org/notes",
        "chart_version": "1.0.0",
        "values_schema_json": VALUES_SCHEMA,
        "default_values_json": {"smtp": CANARY},
    }
    assert rest("create-template", product_id=1, **template).ok
    assert deploy(rest).ok
    return rest


def deploy(surface, domain: str = "a.example.org"):
    values = {"user_values_json": {"password": CANARY}}
    deployment = {"desired_template_id": 1, "domainname": domain}
    return surface("create-deployment", user_id=1, **deployment, **values)


def final(deployment_id: int = 1) -> dict:
    with session():
        return check_values(get_any(deployment_id))


def key_ids() -> set[str]:
    """The ids of the keys that rows are encrypted by."""
    rows = [*secretvalues.sealed_rows(Template), *secretvalues.sealed_rows(Deployment)]
    return {row.secrets.split(".")[1] for row in rows}


# The key


def test_the_key_file_is_made_at_first_need_and_its_owners_alone(rest, key_file):
    rest("create-user", email="ada@example.org")
    assert not key_file.exists()
    token = keyring.seal(CANARY, "somebody")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.glob("secret*")] == ["secret.key"]
    assert keyring.unseal(token, "somebody") == CANARY
    assert keyring.seal(CANARY, "somebody") != token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_use_is_refused(shop, key_file, mode):
    key_file.chmod(mode)
    answer = shop("reveal-secrets", user_id=1, deployment_id=1)
    assert answer.code == 503
    assert answer.sentence.endswith(f"run: chmod 600 {key_file}")
    key_file.chmod(0o600)
    assert shop("reveal-secrets", user_id=1, deployment_id=1).ok


@pytest.mark.parametrize("text", ["", "nonsense", base64.b64encode(b"short").decode()])
def test_a_damaged_key_file_is_told(shop, key_file, text):
    key_file.write_text(text)
    answer = shop("reveal-secrets", user_id=1, deployment_id=1)
    assert answer.code == 503
    assert f"the key file {key_file} is " in answer.sentence


def test_processes_that_need_the_first_key_at_once_make_one(settings, key_file):
    script = "from caelus import keyring; print(keyring.seal('x', 'o').split('.')[1])"
    command = [sys.executable, "-c", script]

    def ask(_):
        done = subprocess.run(command, env=Program().env, capture_output=True, text=True)
        return done.stdout.strip()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(ask, range(8)))
    assert seen == set(keyring.fingerprints())
    assert len(seen) == 1


@pytest.mark.parametrize("text", ["xyz", "c2hvcnQ=", "é" * 44, f"{KEY},xyz", KEY[:-1]])
def test_a_setting_that_is_no_key_is_refused_at_the_start_and_not_repeated(cli, monkeypatch, text):
    monkeypatch.setenv("CAELUS_SECRET_KEY", text)
    answer = cli.run("list-users")
    assert answer.code == 1
    assert answer.sentence.startswith("CAELUS_SECRET_KEY must be 32 bytes in base64")
    assert text not in answer.sentence


def test_of_several_keys_the_first_encrypts_and_all_decrypt(monkeypatch, settings, key_file):
    old, new = new_key(), new_key()
    monkeypatch.setenv("CAELUS_SECRET_KEY", old)
    token = keyring.seal(CANARY, "o")
    monkeypatch.setenv("CAELUS_SECRET_KEY", f"{new}, {old}")
    assert keyring.unseal(token, "o") == CANARY
    newer = keyring.seal(CANARY, "o")
    monkeypatch.setenv("CAELUS_SECRET_KEY", new)
    assert keyring.unseal(newer, "o") == CANARY
    with pytest.raises(SecretKeyError, match=f"key {token.split('.')[1]}, which CAELUS_SECRET_KEY"):
        keyring.unseal(token, "o")
    assert not key_file.exists()


def test_what_is_in_the_key_file_can_be_put_into_the_setting(shop, monkeypatch, key_file):
    monkeypatch.setenv("CAELUS_SECRET_KEY", key_file.read_text())
    key_file.unlink()
    assert final()["smtp"] == CANARY


def test_a_ciphertext_is_of_use_in_its_own_row_alone(shop, cli):
    deploy(shop, "b.example.org")
    first, second = (Deployment.get_by_id(n) for n in (1, 2))
    Deployment.update(secrets=first.secrets).where(Deployment.id == second.id).execute()
    answer = cli.run("reveal-secrets", "1", "2")
    assert answer.code == 1
    assert "can't be decrypted with key" in answer.sentence
    assert second.deployment_uid in answer.sentence


@pytest.mark.parametrize("token", ["", "x", "1.2", "1..", "1.abc.x"])
def test_a_damaged_token_is_told(settings, token):
    keyring.seal("x", "o")
    with pytest.raises(SecretKeyError):
        keyring.unseal(token.replace("abc", keyring.fingerprints()[0]), "the owner")


# Without the right key


def test_a_lost_key_is_told_by_its_id_and_no_other_is_made(shop, cli, key_file):
    (lost,) = keyring.fingerprints()
    kept = key_file.read_text()
    key_file.unlink()
    for answer in (
        shop("reveal-secrets", user_id=1, deployment_id=1),
        cli.run("reveal-secrets", "1", "1"),
        deploy(shop, "b.example.org"),
        cli.run("rotate-key"),
    ):
        assert not answer.ok
        assert f"are encrypted with key {lost}, which {key_file} does not hold" in answer.sentence
    assert not key_file.exists()
    assert shop("get-deployment", user_id=1, deployment_id=1).ok
    key_file.touch(0o600)
    key_file.write_text(kept)
    assert deploy(shop, "b.example.org").ok


def test_another_key_does_not_come_into_use_beside_a_lost_one(shop, cli, key_file):
    """Not even for what has nothing to do with what the lost one encrypted."""
    (lost,) = keyring.fingerprints()
    other = {"chart_ref": "oci://registry.example.org/other", "chart_version": "1.0.0"}
    secret = other | {"values_schema_json": VALUES_SCHEMA, "default_values_json": {"smtp": "x"}}
    for text in (new_key(), None):
        key_file.unlink()
        if text:
            key_file.touch(0o600)
            key_file.write_text(text)
        answer = shop("create-template", product_id=1, **secret)
        assert answer.code == 503
        assert f"with key {lost}, which {key_file} does not hold; put that key" in answer.sentence
        assert shop("create-template", product_id=1, **other).code == (201 if text else 409)
    assert not key_file.exists()


def test_once_nothing_needs_a_lost_key_any_more_another_is_made(shop, cli, key_file):
    (lost,) = keyring.fingerprints()
    key_file.unlink()
    Job.update(status="done").execute()
    assert shop("forget-deployment", user_id=1, deployment_id=1).ok
    assert shop("delete-template", product_id=1, template_id=1).ok
    fields = {"chart_ref": "oci://registry.example.org/notes", "chart_version": "1.0.0"}
    schema = {"values_schema_json": VALUES_SCHEMA}
    assert shop("create-template", product_id=1, **fields, **schema).ok
    assert shop(
        "create-deployment", user_id=1, desired_template_id=2, domainname="b.example.org"
    ).ok
    assert keyring.fingerprints() != [lost]
    answer = cli.run("rotate-key").document
    assert (answer["templates"], answer["deployments"]) == (0, 1)


@pytest.mark.parametrize("command", [["serve", "--port=0"], ["reconcile"]])
def test_a_lost_key_is_told_at_the_start(shop, key_file, tmp_path, command):
    (lost,) = keyring.fingerprints()
    Job.update(status="done").execute()
    key_file.write_text(new_key())
    program = Program(CAELUS_HELM="/nowhere", CAELUS_KUBECTL="/nowhere")
    if command == ["reconcile"]:
        told = program.run(*command).stderr
    else:
        with program.serve() as server:
            assert server.ask("GET", "/users")[0] == 200
        told = "\n".join(server.log)
    assert told.count("WARNING") == 1
    assert f"are encrypted with key {lost}, which {key_file} does not hold" in told


def test_the_right_key_is_not_told_of(shop):
    secretvalues.check_keys()
    assert deploy(shop, "b.example.org").ok


def test_a_reconcile_without_the_key_fails_with_its_cause_and_heals(shop, key_file, settings):
    away = key_file.with_name("away")
    key_file.rename(away)
    failed = run_due("worker", Tools(settings), now())
    assert failed.status == "error"
    assert failed.cause["code"] == "secret_key"
    assert f"which {key_file} does not hold" in failed.last_error
    job = Job.get()
    assert (job.status, job.attempt) == ("queued", 1), "it is tried again by itself"
    away.rename(key_file)
    assert final()["smtp"] == CANARY


def test_a_deployment_can_be_deleted_without_the_key(shop, key_file):
    key_file.unlink()
    Job.update(status="done").execute()
    assert shop("delete-deployment", user_id=1, deployment_id=1).ok


# Rotation


def test_rotation_encrypts_everything_anew_and_drops_the_old_key(shop, cli, key_file):
    (old,), values, before = keyring.fingerprints(), final(), key_file.read_text()
    answer = cli.run("rotate-key")
    (new,) = keyring.fingerprints()
    assert answer.document == {
        "key": new,
        "source": str(key_file),
        "dropped": [old],
        "templates": 1,
        "deployments": 1,
    }
    assert new != old
    assert key_ids() == {new}
    assert before.strip() not in key_file.read_text()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert final() == values
    assert shop("reveal-secrets", user_id=1, deployment_id=1).ok, "the API goes by the new key"


def test_rotation_on_a_machine_without_secrets_makes_a_key(cli):
    answer = cli.run("rotate-key").document
    assert (answer["dropped"], answer["templates"], answer["deployments"]) == ([], 0, 0)
    assert keyring.fingerprints() == [answer["key"]]


def test_a_job_goes_on_though_the_key_is_rotated_meanwhile(shop):
    with session():
        deployment = get_any(1)
    check_values(deployment)
    rotation.rotate()
    assert redact.scrub(f"helm said {CANARY}", deployment) == "helm said ***"


def test_what_was_read_before_a_rotation_can_be_decrypted_after_it(shop):
    with session():
        deployment = get_any(1)
    rotation.rotate()
    assert check_values(deployment) == final()


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("point", ["sync", "add", "sealed_rows", "reencrypt", "drop_old"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_rotation_killed_at_any_step_can_be_run_again(
    shop, cli, monkeypatch, key_file, point, done
):
    values, (old,) = final(), keyring.fingerprints()
    owner = secretvalues if point in ("sealed_rows", "reencrypt") else keyring
    step = getattr(owner, point)

    def killed(*arguments):
        if done:
            step(*arguments)
        raise Killed

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(owner, point, killed)
        with pytest.raises(Killed):
            rotation.rotate()
    assert final() == values
    assert deploy(shop, "b.example.org").ok, "life goes on meanwhile"
    assert cli.run("rotate-key").ok
    assert len(keyring.fingerprints()) == 1
    assert keyring.fingerprints() != [old]
    assert key_ids() == set(keyring.fingerprints())
    assert final() == values
    assert final(2)["user"] == values["user"]
    assert [path.name for path in key_file.parent.glob("secret*")] == ["secret.key"]


def test_rotation_with_the_setting_goes_over_to_its_first_key(shop, cli, monkeypatch, key_file):
    values, old, new = final(), key_file.read_text().strip(), new_key()
    monkeypatch.setenv("CAELUS_SECRET_KEY", f"{new},{old}")
    answer = cli.run("rotate-key").document
    assert answer["source"] == "CAELUS_SECRET_KEY"
    assert (answer["templates"], answer["deployments"]) == (1, 1)
    assert key_file.read_text().strip() == old, "the file is left alone"
    monkeypatch.setenv("CAELUS_SECRET_KEY", new)
    assert key_ids() == {answer["key"]}
    assert final() == values


def test_rotation_beside_writers_leaves_every_secret_readable(shop):
    """Deployments are made all the while: each by the old key in time, or by the new one."""
    program = Program()
    with program.serve("--workers=0") as server, concurrent.futures.ThreadPoolExecutor(4) as pool:

        def make(n: int) -> int:
            body = {"desired_template_id": 1, "domainname": f"d{n}.example.org"}
            body["user_values_json"] = {"password": f"{CANARY}-{n}"}
            return server.ask("POST", "/users/1/deployments", body)[0]

        writers = [pool.submit(make, n) for n in range(40)]
        for _ in range(3):
            program.yaml("rotate-key")
        assert {writer.result() for writer in writers} == {201}
    assert key_ids() == set(keyring.fingerprints())
    for row in Deployment.select().order_by(Deployment.id):
        assert final(row.id)["user"]["password"].startswith(CANARY)


def test_a_key_file_elsewhere_stays_there(shop, cli, key_file, tmp_path):
    kept = tmp_path / "mounted" / "key"
    kept.parent.mkdir()
    key_file.rename(kept)
    key_file.symlink_to(kept)
    values, before = final(), kept.read_text()
    assert cli.run("rotate-key").ok
    assert key_file.readlink() == kept
    assert kept.read_text() not in ("", before)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["key"]
    assert final() == values


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_does_leaves_the_key_to_the_owner_of_the_data(rest, cli, key_file):
    os.chown(key_file.parent, 65534, 65534)
    assert cli.run("rotate-key").ok
    assert (key_file.stat().st_uid, key_file.stat().st_gid) == (65534, 65534)
    os.chown(key_file, 65533, 65533)
    assert cli.run("rotate-key").ok
    assert (key_file.stat().st_uid, key_file.stat().st_gid) == (65533, 65533)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_no_key_is_dropped_where_that_cannot_be_put_on_record(shop, cli, key_file):
    values, (old,) = final(), keyring.fingerprints()
    with session():
        Audit.delete().execute()
    answer = cli.run("rotate-key")
    assert "nothing is done" in answer.sentence
    assert key_ids() == {old}
    assert old in keyring.fingerprints()
    assert final() == values


def test_nothing_is_changed_where_a_secret_cannot_be_decrypted(shop, cli, key_file):
    before = key_file.read_text()
    Template.update(secrets="1.0badc0de.x").execute()
    answer = cli.run("rotate-key")
    assert answer.code == 1
    assert "key 0badc0de" in answer.sentence
    assert key_file.read_text() == before


def test_a_writer_waits_for_a_rotation_before_it_reads_the_key(settings, shop):
    """On Postgres, where many write at once: the order of the locks decides."""
    if settings.is_sqlite:
        pytest.skip("SQLite has one writer")
    from caelus.database import lock_tables

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with session(), transaction():
            lock_tables(Deployment, Template, alone=True)
            with keyring.locked():
                writer = pool.submit(deploy, shop, "b.example.org")
                with pytest.raises(concurrent.futures.TimeoutError):
                    writer.result(1)
                keyring.add()
        assert writer.result(20).ok
    assert Deployment.get_by_id(2).secrets.split(".")[1] == keyring.fingerprints()[0]
    database.close()


def test_the_setting_is_told_of_at_the_start(monkeypatch):
    monkeypatch.setenv("CAELUS_SECRET_KEY", "x")
    with pytest.raises(ConfigError, match="openssl rand -base64 32"):
        startup.configure()
