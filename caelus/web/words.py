"""The words of the pages: what a status means, what was done, how long ago."""

import datetime

import markupsafe

from caelus.models import now

# Of a deployment: the word, what it means, and how it is coloured.
STATUS = {
    "provisioning": ("Provisioning", "being set up", "busy"),
    "ready": ("Ready", "runs as it should", "good"),
    "error": ("Error", "something failed", "bad"),
    "deleting": ("Deleting", "being removed", "busy"),
    "deleted": ("Deleted", "removed", "idle"),
}
# After a form: what the next page says was done.
DONE = {
    "created": "Created. It is being set up now.",
    "updated": "Saved. The change is being made now.",
    "upgraded": "The upgrade has begun.",
    "retried": "It is tried again now.",
    "deleting": "It is being deleted now.",
    "deleted": "Deleted.",
    "saved": "Saved.",
    "nothing": "Nothing was changed.",
    "forgotten": "Its record is closed. The cluster was not touched.",
    "product": "The product is there. Next: its first template says which Helm chart it is.",
    "template": "The template is there. Users get it once it is the one that is offered.",
    "offered": "Published: users find it in the catalogue.",
    "user": "The user is there. Make a login link for them, and send it.",
    "admin": "This user is an admin now.",
    "plain": "This user is no admin any more.",
    "token-deleted": "The token is deleted: it lets nobody in any more.",
}
# Of events: what stands there for what a reconcile records of a job that is done.
TOLD = {
    "create done": "Set up: it runs as it should",
    "update done": "The change is made: it runs as it should",
    "drift done": "Put right: it runs as it should",
    "delete done": "Deleted, with all that it had",
}
# Why apps fail, by the codes of `causes`.
CAUSES = {
    "image_pull": "An image can't be pulled",
    "crash_loop": "A container exits again and again",
    "probe_failing": "It starts, but does not answer as healthy",
    "unschedulable": "The cluster has no room for it",
    "pvc_unbound": "A volume is not there",
    "quota_exceeded": "It wants more than its quota",
    "admission_denied": "The cluster forbids what it wants",
    "hook_failed": "A hook of the chart failed",
    "load_balancer_pending": "No load balancer gives it an address",
    "immutable_field": "The change is one that can't be made in place",
    "apply_conflict": "Something else manages the same object",
    "chart_not_found": "The chart is not found",
    "chart_digest_mismatch": "The chart is not what it was",
    "chart_unusable": "The chart can't be used",
    "release_busy": "Another helm is at work on it",
    "registry_auth": "The chart's source does not let Caelus in",
    "values_rejected": "The chart does not take the values",
    "fence_rejected": "The cluster does not take its isolation",
    "secret_key": "The key of its secrets is missing",
    "cluster_unreachable": "The cluster does not answer",
    "namespace_terminating": "Its namespace does not go away",
    "tool_missing": "helm or kubectl is missing",
    "timeout": "It was not ready in time",
    "newer_in_cluster": "The cluster has it newer than the restored database",
    "gone_from_cluster": "It is gone from the cluster",
    "internal": "A fault of Caelus",
    "unknown": "It is not known why",
}
UNITS = (
    ("year", 31_536_000),
    ("month", 2_592_000),
    ("day", 86_400),
    ("hour", 3600),
    ("minute", 60),
)


def moment(text: str | None):
    """A time of a document: in UTC, until the page's script has put it into the reader's zone."""
    if text is None:
        return "never"
    shown = f"{text[:10]} {text[11:16]} UTC"
    return markupsafe.Markup('<time datetime="{}">{}</time>').format(text, shown)


def clock(text: str):
    """The time of day of a line of a log; as `moment`, with the whole time on hovering."""
    markup = '<time class="clock" datetime="{}" title="{} UTC">{}</time>'
    return markupsafe.Markup(markup).format(text, text[:19].replace("T", " "), text[11:19])


def age(text: str | None):
    """How long ago a time of a document was, in its largest unit; the time itself on hovering."""
    if text is None:
        return "never"
    seconds = (now() - datetime.datetime.fromisoformat(text)).total_seconds()
    exact = f"{text[:16].replace('T', ' ')} UTC"
    markup = '<time class="age" datetime="{}" title="{}">{}</time>'
    return markupsafe.Markup(markup).format(text, exact, _ago(seconds))


def status(name: str):
    """The badge of a status: a word, and a colour beside it."""
    word, meaning, look = STATUS.get(name, (name, "", "idle"))
    markup = '<span class="status {}" title="{}">{}</span>'
    return markupsafe.Markup(markup).format(look, meaning, word)


def told(event: dict) -> str:
    return TOLD.get(event["message"]) or _capital(event["message"])


def sentence(text: str) -> str:
    """What the API says, as it stands by itself on a page."""
    return _capital(text) + ("" if text.endswith((".", "!", "?")) else ".")


def _capital(text: str) -> str:
    # Not of a name, such as ada@example.org, default_values_json or cloud.example.org.
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def reason(code: str) -> str:
    """What the code of a cause says, in words."""
    return CAUSES.get(code, code)


def about(text: str, deployment: dict) -> str:
    """A sentence of the cluster's on the page of the deployment, which needs no number there."""
    said = text.replace(f"deployment {deployment['id']}", "it")
    return said[:1].upper() + said[1:]


def who(actor: str) -> str:
    """Whose an event is; which of its workers it was says nothing to an owner."""
    is_person = "@" in actor or actor in ("operator", "nobody")
    return actor if is_person else "Caelus"


def version(template: dict) -> str:
    """What users see as the version of a template."""
    return template["version_label"] or template["chart_version"]


def tile(product: dict, size: str = ""):
    """The sign of a product, beside its name: its icon, or its first letter on a colour."""
    name = product["name"]
    if product["icon_url"]:
        markup = '<img class="tile icon {}" src="{}" alt="" width="40" height="40">'
        return markupsafe.Markup(markup).format(size, product["icon_url"])
    letter = next((c for c in name if c.isalnum()), "?").upper()
    colour = sum(name.encode()) % 8
    markup = '<span class="tile tile-{} {}" aria-hidden="true">{}</span>'
    return markupsafe.Markup(markup).format(colour, size, letter)


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _ago(seconds: float) -> str:
    for unit, size in UNITS:
        if abs(seconds) >= size:
            return (
                f"{plural(int(abs(seconds) // size), unit)} {'ago' if seconds > 0 else 'from now'}"
            )
    # Not counted: a page would be another one each second.
    return "just now" if seconds >= 0 else "in a moment"


FILTERS = {
    "moment": moment,
    "age": age,
    "status": status,
    "version": version,
    "tile": tile,
    "plural": plural,
    "told": told,
    "sentence": sentence,
    "reason": reason,
    "clock": clock,
    "about": about,
    "who": who,
}
