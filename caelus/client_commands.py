"""The commands about the command line itself: the servers it knows, its version, its completion."""

import sys

from caelus.errors import CaelusError, Malformed

LOGIN = """Keep the token for a server, so that `caelus --server=URL COMMAND` works.

The token is read from standard input, or asked for on a terminal; it is checked, and kept in
~/.config/caelus (XDG_CONFIG_HOME), readable by you alone. `caelus create-token` makes one.

Usage:
  caelus login [--plain-http] URL

Options:
  --plain-http  Send the token without TLS, also to another machine.

Example:
  caelus login https://caelus.example.org
"""
LOGOUT = """Forget the token for a server. It still works: `caelus delete-token` ends it.

Usage:
  caelus logout URL
"""
COMPLETION = """Print a script that completes commands and options in a shell.

Usage:
  caelus completion (bash | zsh | fish)

Examples:
  source <(caelus completion bash)                                    in ~/.bashrc
  source <(caelus completion zsh)                                     in ~/.zshrc, after compinit
  caelus completion fish >~/.config/fish/completions/caelus.fish
"""
VERSION = """Show the version of Caelus, and of what it runs on.

Usage:
  caelus version [--json]

Options:
  --json  As JSON.
"""


def login(words: dict) -> int:
    from caelus import remote, servers, startup, yamltext

    startup.configure()
    url = servers.checked(words["URL"])
    servers.refuse_plain(url, words["--plain-http"])
    token = _read_token(url)
    if not servers.TOKEN.fullmatch(token):
        raise Malformed("a token is one word of letters and digits; nothing was stored")
    user = remote.Remote(url, token).whoami()
    servers.store(url, token, words["--plain-http"])
    shown = {"server": url, "email": user.get("email"), "is_admin": user.get("is_admin")}
    yamltext.dump(shown, sys.stdout)
    return 0


def _read_token(url: str) -> str:
    if sys.stdin is None:
        raise Malformed("cannot read the token: standard input is closed")
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline(1000).decode("ascii", "replace").strip()
    import getpass

    try:
        return getpass.getpass(f"Token for {url}: ", stream=sys.stderr).strip()
    except EOFError:
        raise Malformed("no token was given") from None


def logout(words: dict) -> int:
    from caelus import servers, yamltext

    url = servers.checked(words["URL"])
    if not servers.forget(url):
        raise CaelusError(f"no token for {url} is stored")
    yamltext.dump({"server": url}, sys.stdout)
    return 0


def completion(words: dict) -> int:
    from caelus import completion

    shell = next(name for name in completion.SCRIPTS if words[name])
    sys.stdout.write(completion.SCRIPTS[shell]())
    sys.stdout.flush()
    return 0


def version(words: dict) -> int:
    import json
    import platform
    import sqlite3

    from caelus import __version__, migrate, supervision, yamltext

    shown = {
        "version": __version__,
        "schema": migrate.newest()[-1],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.platform(),
        "frozen": supervision.IS_ONE_FILE,
    }
    if words["--json"]:
        sys.stdout.write(json.dumps(shown) + "\n")
        sys.stdout.flush()
    else:
        yamltext.dump(shown, sys.stdout)
    return 0


COMMANDS = {
    "login": (LOGIN, login),
    "logout": (LOGOUT, logout),
    "completion": (COMPLETION, completion),
    "version": (VERSION, version),
}
