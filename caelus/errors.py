"""Every error that Caelus tells somebody: its HTTP status, exit code and sentence.

The class attributes are the table; `api`, `cli` and `worker` only read them.
"""


class CaelusError(Exception):
    """Something expected went wrong; `detail` is one sentence for a person."""

    status = 500
    title = "Internal error"
    exit_code = 1
    headers: dict[str, str] = {}  # of the HTTP answer; never changed

    def __init__(self, detail: str):
        super().__init__(detail)
        self.detail = detail

    def document(self) -> dict:
        """The RFC 9457 problem document."""
        return {"title": self.title, "status": self.status, "detail": self.detail}


class UsageError(CaelusError):
    """The command line itself is wrong."""

    exit_code = 2


class ConfigError(CaelusError):
    """A setting, the data directory or the schema keeps Caelus from starting."""


class Malformed(CaelusError):
    """The input can't be read at all."""

    status = 400
    title = "Malformed request"


class Invalid(CaelusError):
    """Input of the wrong shape; `errors` is a list of (field, message)."""

    status = 422
    title = "Invalid input"

    def __init__(self, *errors: tuple[str, str]):
        super().__init__("; ".join(f"{field} {message}" for field, message in errors))
        self.errors = errors

    def document(self) -> dict:
        return super().document() | {"errors": _listed(self.errors)}


def _listed(errors) -> list[dict]:
    return [{"field": field, "message": message} for field, message in errors]


class NotFound(CaelusError):
    status = 404
    title = "Not found"


class Unseen(NotFound):
    """There may be such a thing, but not for who asks; the answer is the same as for none."""


class Conflict(CaelusError):
    """The input is well formed but breaks a rule."""

    status = 409
    title = "Conflict"


class BadValues(Conflict):
    """Values that their template does not take; `errors` as Invalid has them, for a form."""

    def __init__(self, detail: str, errors: list[tuple[str, str]]):
        super().__init__(detail)
        self.errors = errors

    def document(self) -> dict:
        return super().document() | {"errors": _listed(self.errors)}


class Busy(Conflict):
    """Refused because a job is open."""

    title = "Job already open"

    def __init__(self):
        super().__init__("a deployment job is already queued or running; try again when it ends")


class TooLarge(CaelusError):
    status = 413
    title = "Too large"


class UnsupportedMediaType(CaelusError):
    status = 415
    title = "Unsupported media type"


class Unauthorized(CaelusError):
    """Nobody who is known asks."""

    status = 401
    title = "Unauthorized"
    headers = {"WWW-Authenticate": "Bearer"}


class BadCredentials(Unauthorized):
    """Somebody shows what lets nobody in; one sentence, whatever is wrong with it."""

    def __init__(self):
        super().__init__("the credentials are unknown, expired or revoked")


class TooMany(CaelusError):
    """Too many failed attempts from one address."""

    status = 429
    title = "Too many requests"
    headers = {"Retry-After": "60"}


class Forbidden(CaelusError):
    status = 403
    title = "Forbidden"


class Unavailable(CaelusError):
    """The database can't be reached or is not ready."""

    status = 503
    title = "Database unavailable"
    headers = {"Retry-After": "5"}


class ClusterUnavailable(CaelusError):
    """The cluster can't be asked now, or does not answer in time."""

    status = 503
    title = "Cluster unavailable"


class Unreachable(Unavailable):
    """A remote Caelus can't be asked now, or what answers is none."""


class SecretKeyError(CaelusError):
    """Secrets can't be read or kept, for want of the right key; it heals when that comes back."""

    status = 503
    title = "Secret key unusable"
    code = "secret_key"


class ReconcileError(CaelusError):
    """A reconcile failed; `causes` tells whether another attempt can help."""

    title = "Reconcile failed"


class Cancelled(CaelusError):
    """A child process was ended because Caelus is stopping."""


class LeftAlone(CaelusError):
    """Somebody stopped waiting for what goes on by itself."""

    exit_code = 130  # as shells have it for SIGINT
