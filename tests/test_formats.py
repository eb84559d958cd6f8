"""Which formats of texts are checked among values, and what fits them."""

import pytest

from caelus import references, validation
from tests.conftest import TEMPLATE

GOOD = {
    "hostname": ["a", "cloud.example.org", "A-1.b", "1.2.3.4", "a" * 63, ".".join(["a" * 62] * 4)],
    "uri": ["https://example.org/", "urn:isbn:1", "mailto:a@b", "x://[::1]:80/%C3%A4?a=b#c", "a:"],
    "duration": ["P1D", "P1DT12H", "PT36H", "P4W", "P1Y2M3DT4H5M6S", "P1M", "PT1M", "PT0S"],
    "date-time": [
        "2030-01-31T12:30:00Z",
        "2028-02-29t23:59:60.123456789z",
        "1990-12-31T15:59:59-08:00",
    ],
    "time": ["12:30:00Z", "00:00:00.5+23:59", "23:59:60z"],
    "date": ["2030-01-31"],
    "email": ["ada@example.org"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
}
BAD = {
    "hostname": ["", "-a", "a-", "a..b", "a.", ".a", "a_b", "a b", "ä.org", "a\n", "a:80", "a/b"]
    + ["a" * 64, ".".join(["a" * 63] * 4)],
    "uri": ["", "example.org", "/x", "//example.org", "1a:b", "http://a b", "a:ä", "a:%zz", "a:b\n"]
    + ["a:#b#c"],
    "duration": ["", "P", "PT", "1D", "P1", "P1DT", "P1Y3D", "PT1H3S", "P1W2D", "P1D2M", "P-1D"]
    + ["P1.5D", "PT1D", "P1H", "P١D", "P1D\n", "1h30m"],
    "date-time": ["", "2030-01-31", "2030-01-31T12:30:00", "2030-02-30T12:30:00Z", "2030-1-31T0:0Z"]
    + ["2030-01-31 12:30:00Z", "2030-01-31T24:00:00Z", "2030-01-31T12:30:00+24:00", "٢030-01-31"],
    "time": ["", "12:30", "12:30:00", "24:00:00Z", "12:60:00Z", "12:30:00.Z", "12:30:00Z\n"],
    "date": ["", "tomorrow", "2030-02-30"],
    "email": ["ada"],
    "uuid": ["x"],
}


def fits(name: str, value, draft: str = validation.NEWEST_DRAFT) -> bool:
    return not validation.schema_errors({"$schema": draft, "format": name}, value)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_written_as_its_format_wants_is_taken(name):
    assert [value for value in [*GOOD[name], None, 7, ["x"]] if not fits(name, value)] == []


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_is_refused_in_words(name):
    assert [value for value in BAD[name] if fits(name, value)] == []
    ((_, message),) = validation.schema_errors({"format": name}, BAD[name][0])
    assert message.startswith("must be ")


@pytest.mark.parametrize("name", ["password", "idn-hostname", "iri", "uri-template", "textarea"])
def test_any_other_format_is_for_forms_alone(name):
    """Whichever packages are installed beside jsonschema."""
    assert fits(name, "\n-{")


@pytest.mark.parametrize(
    ("draft", "unknown"),
    [("04", {"time", "date", "duration", "uuid"}), ("07", {"duration", "uuid"})],
)
def test_a_format_is_none_to_a_draft_that_is_older(draft, unknown):
    address = f"http://json-schema.org/draft-{draft}/schema#"
    assert {name for name in BAD if fits(name, BAD[name][0], address)} == unknown


def test_a_schema_itself_is_not_held_to_formats():
    """Charts have such ids, which its draft wants to be URIs, and helm takes them."""
    references.check_schema({"$schema": "http://json-schema.org/draft-04/schema#", "id": "values"})


def test_both_surfaces_refuse_a_value_of_another_format(surface):
    user = {"properties": {"host": {"type": "string", "format": "hostname"}}}
    schema = {"properties": {"user": user}}
    surface("create-user", email="ada@example.org")
    surface("create-product", name="Notes")
    template = TEMPLATE | {"values_schema_json": schema, "default_values_json": {}}
    assert surface("create-template", product_id=1, **template).ok
    new = {"user_id": 1, "desired_template_id": 1, "domainname": "a.example.org"}
    refused = surface("create-deployment", **new, user_values_json={"host": "a b"})
    assert refused.sentence == (
        "user values are not valid: /host must be a host name (RFC 1123), such as cloud.example.org"
    )
    assert surface("create-deployment", **new, user_values_json={"host": "a.b"}).ok
