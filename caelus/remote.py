"""A Caelus on another machine, asked over HTTP by the rows of the table.

`Remote.request` is to the command line what `dispatch` is on the machine itself: an operation and
its arguments in, the document out, the same CaelusError where it is refused.
"""

import http.client
import json
import os
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

from caelus import __version__, config, jsontext, naming, servers
from caelus.document_schemas import DOCUMENTS
from caelus.errors import CaelusError, Unreachable
from caelus.operation import Operation, whole_id

CONNECT_SECONDS = 10
ANSWER_SECONDS = 300  # a chart may be pulled meanwhile
JSON = ("application/json", "application/problem+json")
# Where the big distributions have them, should OpenSSL look elsewhere, as a binary's may.
CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Remote:
    def __init__(self, url: str, token: str):
        self.url = url
        self._token = token
        self._opener = _opener(url)

    def request(self, operation: Operation, arguments: dict):
        """Ask for the operation; gives its document.

        `arguments` are as `dispatch` has them. Raises CaelusError, Unreachable where no Caelus
        answers.
        """
        given = dict(arguments)
        ids = {n: whole_id(n.removesuffix("_id"), given.pop(n)) for n in operation.ids}
        jsontext.check(given)  # what no query can carry
        path = operation.path.format(**ids)
        if given and not operation.changes:
            asked = {name: _spelled(value) for name, value in given.items()}
            path, given = f"{path}?{urllib.parse.urlencode(asked)}", {}
        document = self._ask(operation.method, path, given)
        first = DOCUMENTS[operation.shows]["required"][0]
        _check_shape(self.url, document, list if operation.many else dict, first)
        return document

    def whoami(self) -> dict:
        """The user whose token it is."""
        document = self._ask("GET", "/me")
        _check_shape(self.url, document, dict)
        return document

    def _ask(self, method: str, path: str, body: dict | None = None):
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": ", ".join(JSON),
            "Prefer": "return=representation",
            "User-Agent": f"caelus/{__version__}",
        }
        content = json.dumps(body).encode() if body else None
        if content:
            headers["Content-Type"] = "application/json"
        asked = urllib.request.Request(self.url + path, content, headers, method=method)
        try:
            with self._opener.open(asked, timeout=CONNECT_SECONDS) as answer:
                return _document(self.url, f"{method} {path.partition('?')[0]}", answer)
        except (OSError, http.client.HTTPException) as e:
            raise Unreachable(_unreachable(self.url, e, method != "GET")) from None


def _spelled(value):
    """A value as a query has it."""
    return json.dumps(value) if isinstance(value, bool) else value


# The connection


class _Connection(http.client.HTTPConnection):
    """One that may take long to answer, but not to be made."""

    def connect(self):
        super().connect()
        self.sock.settimeout(ANSWER_SECONDS)


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self):
        super().connect()
        self.sock.settimeout(ANSWER_SECONDS)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req):
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req):
        return self.do_open(_SecureConnection, req, context=_context())


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Opens what is asked for and nothing else: a redirect would carry the token elsewhere."""
    opener = urllib.request.OpenerDirector()
    proxies = {} if servers.is_loopback(url) else _proxies()
    for handler in (urllib.request.ProxyHandler(proxies), _Http(), _Https()):
        opener.add_handler(handler)
    return opener


def _proxies() -> dict[str, str]:
    """The proxies by scheme, by the variables that curl reads."""
    named = urllib.request.getproxies_environment()
    if everything := named.get("all"):
        return {"http": everything, "https": everything} | named
    return named


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()  # those of SSL_CERT_FILE and SSL_CERT_DIR first
    if paths.cafile is None and not (paths.capath and os.listdir(paths.capath)):
        for path in filter(os.path.exists, CA_FILES):
            context.load_verify_locations(path)
            break
    return context


def _unreachable(url: str, error: Exception, changes: bool) -> str:
    """One sentence: where, why, and what to do."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    where = f"{url}{_by_proxy(url)}"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"{where} can't be trusted: {reason.verify_message}; "
            "if its certificate is of your own CA, name that in SSL_CERT_FILE"
        )
    if isinstance(reason, ssl.SSLError):
        return f"{where} does not speak TLS as expected: {reason.reason or reason}; is it http?"
    if isinstance(reason, socket.gaierror):
        return f"{where} can't be reached: {reason.strerror}; check the name and the network"
    if isinstance(error, urllib.error.URLError):  # nothing was sent
        text = getattr(reason, "strerror", None) or reason
        return f"{where} can't be reached: {text}; check that `caelus serve` runs there"
    doubt = "it may have been done all the same, so look first" if changes else "try again"
    if isinstance(error, TimeoutError):
        return f"{where} has not answered within {ANSWER_SECONDS} s; {doubt}"
    return f"{where} has not answered to the end: {error or type(error).__name__}; {doubt}"


def _by_proxy(url: str) -> str:
    """Which proxy was asked, without what is secret in its URL."""
    scheme, host = url.partition(":")[0], servers.host(url)
    proxy = "" if servers.is_loopback(url) else _proxies().get(scheme, "")
    if not proxy or urllib.request.proxy_bypass(host):
        return ""
    return f" (by the proxy {proxy.rpartition('@')[2].rpartition('//')[2].rstrip('/')})"


# The answer


def _document(url: str, what: str, answer):
    """The document in an answer. Raises CaelusError in the words of a problem document."""
    kind = answer.headers.get_content_type()
    if 300 <= answer.status < 400:
        to = naming.printable(answer.headers.get("Location") or "nowhere")
        raise Unreachable(f"{url} leads on to {to}; if that is Caelus, name it: --server=URL")
    if answer.status == 204:
        raise CaelusError(f"{url} did it, but shows no document: it is another version of Caelus")
    if kind not in JSON or answer.status in (502, 504):
        raise Unreachable(
            f"{url} answers {answer.status} with {naming.printable(kind)}, not as Caelus does; "
            "check the URL, and that `caelus serve` runs behind it"
        )
    try:
        document = jsontext.parse(answer.read())
    except ValueError as e:
        raise Unreachable(f"what {url} answers is {e}; check the URL") from None
    if answer.status < 300:
        return document
    raise _problem(url, what, answer.status, document)


def _problem(url: str, what: str, status: int, document) -> CaelusError:
    detail = document.get("detail") if isinstance(document, dict) else None
    if not isinstance(detail, str):
        return Unreachable(f"{url} answers {status} and no reason; check that it is Caelus")
    if status == 401:
        way = "set another CAELUS_TOKEN" if config.token() else f"run: caelus login {url}"
        detail = f"{url}: {detail}; {way}"
    elif detail in (f"{what} does not exist", f"{what} is not allowed"):
        detail += f" for you at {url}, or that is another version of Caelus than {__version__}"
    if isinstance(document.get("request_id"), str) and status == 500:
        detail += f" (there, at the request {naming.printable(document['request_id'])})"
    error = CaelusError(detail)
    error.status = status
    return error


def _check_shape(url: str, document, kind: type, first: str = "id") -> None:
    """`first` is a field that the document has, if it is one and not a list of them."""
    if not isinstance(document, kind) or (kind is dict and first not in document):
        raise Unreachable(f"{url} answers, but not as Caelus does; check the URL")
