"""Where the sentences of a refusal stand: beside a field, in the form of values, or on top."""

from caelus.errors import CaelusError

OWN = ("domainname", "desired_template_id", "name", "expires_in_days")  # no values of a user's
PLAINER = {"expires_in_days": "must be a whole number from 1 to 3650"}  # than the schema's words


def by_field(error: CaelusError | None) -> dict[str, str]:
    """The sentences by the names of the API's fields; empty where the refusal names none."""
    if is_about_domain(error) and not hasattr(error, "errors"):
        return {"domainname": error.detail}
    return {field: PLAINER.get(field, message) for field, message in _errors(error) if field in OWN}


def about_values(error: CaelusError | None) -> list[tuple[str, str]]:
    """Those that are for the form of values."""
    return [(field, message) for field, message in _errors(error) if field not in OWN]


def is_about_domain(error: CaelusError | None) -> bool:
    if any(field == "domainname" for field, _ in _errors(error)):
        return True
    return error is not None and error.detail.startswith("the domain ")


def _errors(error: CaelusError | None) -> list[tuple[str, str]]:
    return list(getattr(error, "errors", ()))
