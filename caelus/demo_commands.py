"""The command `demo`: Caelus with samples and a simulated cluster, in a throw-away directory."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import sys
import tempfile

from caelus.errors import UsageError
from caelus.startup import Stop, configure, prepare_database

DEMO = """Show Caelus at work, with sample data and no cluster: it is simulated.

Serves on this machine alone, out of a new directory that is removed at the end,
and touches nothing else. Products, users and deployments in all states are
made; failures have causes, and now and then somebody meddles with the cluster.
Ctrl-C ends it.

Usage:
  caelus demo [--port=PORT] [--data-dir=DIR] [--keep]

Options:
  --port=PORT     Port to listen on. [8000, or a free one]
  --data-dir=DIR  Keep the data in this directory, and go on with those that are
                  there from the last time.
  --keep          Leave the new directory where it is at the end.

Example:
  caelus demo
"""
WELCOME = """\
This is Caelus with a simulated cluster: nothing that it shows runs anywhere.

{links}

Each link logs one browser in, once, within 30 minutes. What to look at:

- Eight deployments come up, one of them slowly. Three get an error, each with its cause: one of
  these was an upgrade, which is rolled back. One takes its time to go; one has an update waiting.
- Now and then somebody meddles with the cluster. Caelus finds the drift, tells of it, corrects it.
- Create one: a word in its domain decides how it goes, as in crash.example.org,
  missing.example.org, unschedulable.example.org or slow.example.org (caelus help demo).
- The same on the command line, in another terminal: caelus list-all-deployments, list-all-events,
  create-token 1, doctor. For that:

  export CAELUS_DATA_DIR={directory} CAELUS_PORT={port} CAELUS_SIMULATE=1

{end}
"""
PORT = 8000


def demo(words: dict) -> int:
    stop = Stop(*_hangup())
    with _directory(words["--data-dir"], words["--keep"]) as directory:
        config = _settle_in(directory, words["--port"] or str(PORT))
        from caelus import demo as samples
        from caelus import serve_commands

        server, config = _listen(config, may_move=words["--port"] is None)
        samples.make()
        play = samples.Play(config, stop)
        play.start()
        is_kept = words["--keep"] or words["--data-dir"] is not None
        end = "Ctrl-C ends it" + ("." if is_kept else ", and removes that directory.")
        code = serve_commands.run(config, stop, server, lambda: _welcome(config, end))
        play.join()  # before what it works on is removed
        return code


WORKERS = 4  # for a slow one not to keep the others waiting
INTERVALS = {"drift_interval": 10, "drift_deep_interval": 30}  # seconds


def _hangup() -> list[signal.Signals]:
    """SIGHUP, of a terminal that is closed, unless whoever started us wants us to outlive it."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [] if ignored else [signal.SIGHUP]


@contextlib.contextmanager
def _directory(chosen: str | None, keep: bool):
    """The data directory: the chosen one, or a new one that is removed at the end."""
    if chosen == "":  # as of a variable that is not set: not the working directory
        raise UsageError("--data-dir needs a directory")
    if chosen is not None:
        yield pathlib.Path(os.path.abspath(chosen))
        return
    made = pathlib.Path(tempfile.mkdtemp(prefix="caelus-demo-"))
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(made, ignore_errors=True)


def _settle_in(directory: pathlib.Path, port: str):
    """Have this process know the demo alone, whatever its environment says; gives its settings."""
    from caelus import config

    place = {"CAELUS_DATA_DIR": str(directory), "CAELUS_PORT": port}
    config.begin_anew(**place, CAELUS_SIMULATE="1")
    if not config.is_set("CAELUS_LOG_LEVEL"):
        config.assume(CAELUS_LOG_LEVEL="ERROR")  # so that the links stay in sight
    settings = configure()._replace(workers=WORKERS, **INTERVALS)
    prepare_database(settings)
    return settings


def _listen(config, may_move: bool):
    """The server, at another port than `config` says if that is taken; and `config` with its port.

    Raises ConfigError where it can't listen.
    """
    from caelus import config as settings
    from caelus.errors import ConfigError
    from caelus.server import Server

    try:
        server = Server(config)
    except ConfigError:
        if not may_move:
            raise
        server = Server(config._replace(port=0))
    port = server.url.rpartition(":")[2]
    settings.assume(CAELUS_PORT=port)  # login links go by it
    return server, config._replace(port=int(port))


def _welcome(config, end: str) -> None:
    from caelus import demo, logins
    from caelus.database import session, transaction

    with session(), transaction():
        new = [logins.create_first(), *(logins.create(user_id=id) for id in demo.known_users())]
        links = "\n".join(_shown(link, config) for link in new if link is not None)
    place = {"directory": shlex.quote(str(config.data_dir)), "port": config.port, "end": end}
    sys.stdout.write(WELCOME.format(links=links, **place))
    sys.stdout.flush()


def _shown(link, config) -> str:
    who = "the first admin"  # where a directory from elsewhere has none
    if link.user is not None:
        who = f"the {'admin' if link.user.is_admin else 'user'} {link.user.email}"
    return f"  as {who:<26}  {config.base_url}/login/{link.code}"


COMMANDS = {"demo": (DEMO, demo)}
