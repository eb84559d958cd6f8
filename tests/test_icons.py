"""Icons of products: which images are taken, how they come in, and where they are shown."""

import base64
import binascii
import struct

import pytest

from caelus import icons, rasters
from caelus.models import Event, Icon
from tests.conftest import TEMPLATE, counted

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>'
DOCTYPE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
    b'"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n' + SVG
)
BOMB = (
    b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text></svg>'
)
# Images of 3 by 2 pixels; of the JPEG no more than its header.
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xff\xc2\0\x0b\x08\0\2\0\3\1\1\x11\0"
GIF = base64.b64decode("R0lGODdhAwACAIEAAP8AAAAAAAAAAAAAACwAAAAAAwACAAAIBgABCBwYEAA7")
LOSSY = base64.b64decode(
    "UklGRjwAAABXRUJQVlA4IDAAAADQAQCdASoDAAIAAUAmJaACdLoB+AADsAD+8ut//NgVzXPv9//S4P0uD9Lg/9KQAAA="
)
LOSSLESS = base64.b64decode("UklGRhwAAABXRUJQVlA4TA8AAAAvAkAAAAcQ/Y/+ByKi/wEA")
EXTENDED = LOSSY[:12] + b"VP8X\x0a\0\0\0\0\0\0\0\2\0\0\1\0\0" + LOSSY[12:]
GOOD = {
    "PNG": ("image/png", PNG),
    "JPEG": ("image/jpeg", JPEG),
    "GIF": ("image/gif", GIF),
    "WebP": ("image/webp", LOSSY),
    "a WebP without loss": ("image/webp", LOSSLESS),
    "a WebP that is extended": ("image/webp", EXTENDED),
    "SVG": (icons.SVG, SVG),
    "an SVG with a prefix": (icons.SVG, b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>'),
    "an SVG with a DOCTYPE": (icons.SVG, DOCTYPE),
    "an SVG in UTF-16": (icons.SVG, SVG.decode().encode("utf-16")),
    "one just as large as may be": ("image/png", PNG.ljust(icons.MAX_BYTES, b"\0")),
}


def uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def png(width: int, height: int) -> bytes:
    """The header of one."""
    header = b"IHDR" + struct.pack(">II5B", width, height, 8, 6, 0, 0, 0)
    return PNG[:12] + header + struct.pack(">I", binascii.crc32(header))


PLAIN = uri(PNG)
DRAWN = uri(SVG, icons.SVG)
NO_IMAGE = "must be a PNG, JPEG, WebP, GIF or SVG image"
CUT = "must be a whole image; this {} is cut off or broken".format
NO_BASE64 = "must hold an image in base64"
BAD = {
    "an address": ("https://example.org/x.png", "must be a URI that begins with data:image/png"),
    "a path": ("logo.png", "must be a URI that begins with data:"),
    "not base64": ("data:image/png,%89PNG", "must be a URI that begins with data:"),
    "a parameter": (f"data:image/svg+xml;charset=utf-8;base64,{PLAIN}", "must be a URI"),
    "nothing in it": ("data:image/png;base64,", NO_BASE64),
    "other letters": (PLAIN.replace("iVBOR", "iV-OR"), NO_BASE64),
    "a break": (PLAIN[:40] + "\n" + PLAIN[40:], NO_BASE64),
    "no padding": (PLAIN.rstrip("="), NO_BASE64),
    "bits left over": ("data:image/gif;base64,R0lGODlhAR==", NO_BASE64),
    "letters beyond ASCII": ("data:image/png;base64,ÄÄÄÄ", NO_BASE64),
    "another type": (uri(PNG, "image/jpeg"), "says that it is image/jpeg, but holds image/png"),
    "no image's type": (uri(PNG, "text/html"), "says that it is another type, but holds image/png"),
    "HTML as an SVG": (uri(b"<html><body/></html>", icons.SVG), "is XML, but no SVG"),
    "an SVG of no namespace": (uri(b"<svg/>", icons.SVG), "is XML, but no SVG"),
    "broken XML": (uri(b"<svg", icons.SVG), NO_IMAGE),
    "text": (uri(b"hello", icons.SVG), NO_IMAGE),
    "an odd encoding": (
        uri(b'<?xml version="1.0" encoding="nonsense"?>' + SVG, icons.SVG),
        NO_IMAGE,
    ),
    "an encoding of many bytes": (
        uri(b'<?xml version="1.0" encoding="big5"?>' + SVG, icons.SVG),
        NO_IMAGE,
    ),
    "entities": (uri(BOMB, icons.SVG), "must not declare XML entities"),
    "a file of the machine": (
        uri(b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>', icons.SVG),
        "must not declare XML entities",
    ),
    "too large": (
        uri(PNG.ljust(icons.MAX_BYTES + 1, b"\0")),
        "must be an image of at most 32 KiB, not 33",
    ),
    "a PNG's signature": (uri(PNG[:8]), CUT("image/png")),
    "a PNG with a broken header": (uri(PNG[:19] + b"\2" + PNG[20:]), CUT("image/png")),
    "a PNG of no pixels": (uri(png(0, 1)), CUT("image/png")),
    "a PNG of very many": (uri(png(4096, 4097)), "must have at most 4096 pixels"),
    "a JPEG without a frame": (uri(JPEG[:20] + b"\xff\xd9", "image/jpeg"), CUT("image/jpeg")),
    "a GIF without height": (uri(GIF[:8] + b"\0" * 5, "image/gif"), CUT("image/gif")),
    "a WebP of no known kind": (uri(LOSSY[:12], "image/webp"), CUT("image/webp")),
    "deep": (uri(b"<a>" * 9000, icons.SVG), NO_IMAGE),
}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def icon_of(surface, product_id: int = 1):
    return surface("get-product", product_id=product_id).document["icon"]


# Which are taken


@on_sqlite
@pytest.mark.parametrize("name", GOOD)
def test_an_image_is_kept_as_it_is(rest, name):
    kind, content = GOOD[name]
    assert rest("create-product", name="Notes", icon=uri(content, kind)).code == 201
    assert icons.opened(icon_of(rest)) == (kind, content)


@on_sqlite
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_icon_is_refused_and_nothing_is_changed(rest, name):
    rest("create-product", name="Notes", icon=PLAIN)
    text, sentence = BAD[name]
    refused = rest("update-product", product_id=1, description="x", icon=text)
    assert refused.code == 422
    assert refused.sentence.startswith(f"icon {sentence}")
    assert len(refused.sentence) < 200
    found = rest("get-product", product_id=1).document
    assert (found["icon"], found["description"]) == (PLAIN, None)
    assert rest("create-product", name="Other", icon=text).code == 422
    assert len(rest("list-products").document) == 1


IMAGES = {"PNG": PNG, "JPEG": JPEG, "GIF": GIF, "VP8": LOSSY, "VP8L": LOSSLESS, "VP8X": EXTENDED}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_tells_its_size_or_none_wherever_it_is_cut_off(name):
    content = IMAGES[name]
    size = (1, 1) if content is PNG else (3, 2)
    kind = rasters.kind_of(content)
    found = [rasters.size_of(kind, content[:end]) for end in range(len(content) + 1)]
    assert (found[0], found[-1]) == (None, size)
    assert set(found) == {None, size}


# Setting it, and taking it away


def test_an_icon_is_given_changed_and_taken_away(surface):
    assert surface("create-product", name="Notes", icon=PLAIN).document["icon"] == PLAIN
    first = surface("get-product", product_id=1).document["icon_url"]
    changed = surface("update-product", product_id=1, icon=DRAWN).document
    assert changed["icon"] == DRAWN
    assert changed["icon_url"] != first
    assert surface("update-product", product_id=1, description="x").document["icon"] == DRAWN
    gone = surface("update-product", product_id=1, icon="").document
    assert (gone["icon"], gone["icon_url"]) == (None, None)
    assert Icon.select().count() == 0


@on_sqlite
def test_null_takes_it_away_too(rest):
    rest("create-product", name="Notes", icon=PLAIN)
    assert rest("update-product", product_id=1, icon=None).document["icon"] is None
    assert rest("create-product", name="Other", icon=None).document["icon"] is None


@on_sqlite
def test_a_document_can_be_sent_back_as_it_was_shown(rest):
    made = rest("create-product", name="Notes", icon=DRAWN).document
    assert rest("update-product", **made | {"product_id": 1}).document == made


@on_sqlite
def test_two_products_have_icons_of_their_own(rest):
    rest("create-product", name="Notes", icon=PLAIN)
    rest("create-product", name="Other", icon=DRAWN)
    rest("update-product", product_id=1, icon="")
    assert (icon_of(rest, 1), icon_of(rest, 2)) == (None, DRAWN)


@on_sqlite
def test_a_change_of_the_icon_is_on_record(rest):
    rest("create-product", name="Notes")
    rest("update-product", product_id=1, icon=PLAIN)
    rest("update-product", product_id=1, icon="")
    told = [event.message for event in Event.select().where(Event.type == "product_updated")]
    begin = "product 1 (Notes) changed, without template and"
    assert told == [f"{begin} a new icon", f"{begin} without icon"]


# From files


@pytest.mark.parametrize("content", [PNG, SVG], ids=["PNG", "SVG"])
@on_sqlite
def test_the_command_line_reads_a_file(cli, tmp_path, content):
    path = tmp_path / "file of no type"
    path.write_bytes(content)
    assert cli.run("create-product", "Notes", f"--icon-file={path}").document["icon_url"]
    assert icons.opened(icon_of(cli))[1] == content
    assert cli.run("update-product", "1", "--icon=").document["icon"] is None
    assert cli.run("update-product", "1", f"--icon-file={path}").ok
    assert icons.opened(icon_of(cli))[1] == content


@on_sqlite
def test_a_remote_command_line_reads_a_file_of_its_own_machine(remote_cli, tmp_path):
    path = tmp_path / "icon.png"
    path.write_bytes(PNG)
    made = remote_cli.run("create-product", "Notes", f"--icon-file={path}")
    assert made.document["icon"] == PLAIN


@on_sqlite
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", f"icon {NO_IMAGE}"),
        (b"\xff\xfe\0", f"icon {NO_IMAGE}"),
        (BOMB, "icon must not declare XML entities"),
        (PNG.ljust(100_000), "icon must be an image of at most 32 KiB, not 98"),
        (PNG.ljust(2_000_000), "/"),  # PATH is over 1048576 bytes
    ],
)
def test_a_file_that_is_no_icon_is_refused(cli, tmp_path, content, sentence):
    path = tmp_path / "icon.png"
    path.write_bytes(content)
    refused = cli.run("create-product", "Notes", f"--icon-file={path}")
    assert (refused.code, refused.sentence.startswith(sentence)) == (1, True), refused.sentence
    assert cli("list-products").document == []


@on_sqlite
def test_a_file_that_is_not_there_is_refused(cli, tmp_path):
    refused = cli.run("create-product", "Notes", f"--icon-file={tmp_path}/none")
    assert refused.sentence == f"cannot read {tmp_path}/none: No such file or directory"


# Where it is shown


def test_lists_and_what_holds_a_product_tell_where_its_icon_is_and_no_more(shop):
    shop("update-product", product_id=1, icon=PLAIN, template_id=1)
    new = {"desired_template_id": 1, "domainname": "a.example.org"}
    assert shop("create-deployment", user_id=1, **new).ok
    url = shop("get-product", product_id=1).document["icon_url"]
    assert url.startswith("/ui/products/1/icon?v=")
    (product,) = shop("list-products").document
    (deployment,) = shop("list-deployments", user_id=1).document
    template = shop("get-template", product_id=1, template_id=1).document
    for shown in (product, template["product"], deployment["desired_template"]["product"]):
        assert shown["icon_url"] == url
        assert "icon" not in shown


@on_sqlite
def test_a_list_does_not_read_the_icons(shop):
    large = uri(PNG.ljust(icons.MAX_BYTES, b"\0"))
    for number in range(20):
        assert shop("create-product", name=f"P{number}", icon=large).ok
    shop("get-user", user_id=1)  # once a minute the use of a token is noted
    with counted() as statements:
        listed = shop("list-products").document
    assert len(listed) == 21
    assert len(statements) == 2
    assert not any("icons" in sql for sql in statements)


@on_sqlite
def test_one_product_comes_with_its_icon_in_one_query(shop):
    shop("update-product", product_id=1, icon=PLAIN)
    assert shop("create-template", product_id=1, **TEMPLATE | {"chart_version": "3.0.0"}).ok
    with counted() as statements:
        assert icon_of(shop) == PLAIN
    assert len(statements) == 2  # with that of the token
