"""Which field of a form a refusal is about, so that its sentence can stand beside it."""

from caelus.errors import CaelusError, Invalid


def beside(error: CaelusError | None) -> dict[str, str]:
    """The sentences of a refusal by the names of the API's fields; empty where it names none."""
    if isinstance(error, Invalid):
        return {field: message for field, message in error.errors}
    if is_about_domain(error):
        return {"domainname": error.detail}
    return {}


def is_about_domain(error: CaelusError | None) -> bool:
    if isinstance(error, Invalid):
        return any(field == "domainname" for field, _ in error.errors)
    return error is not None and error.detail.startswith("the domain ")
