"""Icons on the pages: where they stand, how an admin gives and takes them, how they are served."""

import base64
import html.parser
import re

import falcon.testing
import pytest

from caelus import demo_icons, icons
from tests.admins import Pages, after, text_of
from tests.test_icons import BOMB, DRAWN, PLAIN, PNG, SVG, icon_of, uri
from tests.test_overview import deploy

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BOUND = "--a-boundary"
ADDRESS = "/ui/products/1/icon"
NEW, EDIT = "/ui/admin/products/new", "/ui/admin/products/1"


class Images(html.parser.HTMLParser):
    """The images of a page, and its letter tiles."""

    def __init__(self, answer):
        super().__init__()
        self.found: list[dict] = []
        self.letters = 0
        self.feed(answer.text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "img":
            self.found.append(given)
        elif tag == "span" and "tile" in given.get("class", "").split():
            self.letters += 1


def multipart(*parts: tuple[str, str | bytes]) -> bytes:
    """A form as browsers send it; bytes are a file's content."""
    lines = []
    for name, value in parts:
        named = f'Content-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            named += '; filename="x.png"\r\nContent-Type: application/octet-stream'
        content = value if isinstance(value, bytes) else value.encode()
        lines += [f"--{BOUND}\r\n{named}\r\n\r\n".encode(), content, b"\r\n"]
    return b"".join(lines) + f"--{BOUND}--\r\n".encode()


class Admin(Pages):
    """An admin's browser, which can send files, too."""

    def send_parts(
        self, path: str, *parts, kind=f"multipart/form-data; boundary={BOUND}", body=b""
    ):
        headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": kind}
        return self.send("POST", path, headers, body=body or multipart(*parts))

    def save(self, *parts):
        return self.send_parts(EDIT, ("action", "save"), ("description", "Short"), *parts)


@pytest.fixture
def admin(shop):
    """An admin; product 1 is offered, its icon is an SVG, and user 1 has two of it."""
    assert shop("update-product", product_id=1, template_id=1, icon=DRAWN).ok
    deploy(2)
    return Admin(0)


def icon_url(shop) -> str:
    return shop("get-product", product_id=1).document["icon_url"]


# Where they stand


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/ui", 2),
        ("/ui/products", 1),
        ("/ui/products/1/create", 1),
        ("/ui/users/1/deployments/1", 1),
        ("/ui/admin/deployments", 2),
        ("/ui/admin/products", 1),
        ("/ui/admin/users/1", 2),
    ],
)
def test_an_icon_stands_beside_the_name_and_the_letter_where_there_is_none(
    admin, shop, path, count
):
    browser = Pages(1) if "admin" not in path else admin
    page = Images(browser.send("GET", path))
    assert [image["src"] for image in page.found] == [icon_url(shop)] * count
    assert {image["alt"] for image in page.found} == {""}
    assert page.letters == 0
    assert shop("update-product", product_id=1, icon=None).ok
    page = Images(browser.send("GET", path))
    assert (page.found, page.letters) == ([], count)


# How they are served


def test_an_icon_is_served_such_that_it_can_do_nothing(admin, shop):
    answer = admin.send("GET", ADDRESS)
    assert (answer.status_code, answer.content) == (200, SVG)
    assert answer.headers["content-type"] == icons.SVG
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers["cache-control"] == "private, no-cache"
    shop("update-product", product_id=1, icon=PLAIN)
    answer = admin.send("GET", ADDRESS)
    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")


def test_an_icon_by_its_own_address_is_kept_and_another_has_another(admin, shop):
    first = icon_url(shop)
    path, _, query = first.partition("?")
    answer = admin.send("GET", path, query_string=query)
    assert answer.headers["cache-control"] == "private, max-age=86400"
    shop("update-product", product_id=1, icon=PLAIN)
    assert icon_url(shop) != first
    answer = admin.send("GET", path, query_string=query)
    assert (answer.content, answer.headers["cache-control"]) == (PNG, "private, no-cache")


def test_an_icon_that_the_browser_has_is_not_sent_again(admin, shop):
    etag = admin.send("GET", ADDRESS).headers["etag"]
    again = admin.send("GET", ADDRESS, {"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    shop("update-product", product_id=1, icon=PLAIN)
    assert admin.send("GET", ADDRESS, {"If-None-Match": etag}).status_code == 200


def test_a_product_without_icon_has_none_to_serve(admin, shop):
    shop("update-product", product_id=1, icon="")
    answer = admin.send("GET", ADDRESS)
    assert answer.status_code == 404
    assert "Product 1 has no icon." in text_of(answer)
    for odd in ("2", "x", "9" * 30):
        assert admin.send("GET", f"/ui/products/{odd}/icon").status_code == 404


def test_only_who_is_logged_in_gets_an_icon(admin):
    stranger = falcon.testing.TestClient(admin.client.app, headers={"Host": "localhost"})
    assert stranger.simulate_get(ADDRESS).status_code == 401
    assert Pages(1).send("GET", ADDRESS).status_code == 200


# The form


def test_a_product_is_made_with_an_icon(admin, shop):
    place = after(admin.send_parts(NEW, ("name", "Mäil"), ("description", ""), ("icon", PNG)))
    assert place == "/ui/admin/products/2/templates/new?done=product"
    made = shop("get-product", product_id=2).document
    assert (made["name"], made["description"], made["icon"]) == ("Mäil", None, PLAIN)


def test_the_form_knows_how_large_a_file_may_be(admin):
    for path in (NEW, EDIT):
        page = admin.send("GET", path).text
        assert f'data-most="{icons.MAX_BYTES}"' in page
        assert f"at most {icons.MAX_BYTES // 1024} KiB" in page


def test_a_form_without_a_file_leaves_the_icon_alone(admin, shop):
    after(admin.save(("icon", b""), ("template_id", "2")))
    found = shop("get-product", product_id=1).document
    assert (found["icon"], found["description"], found["template_id"]) == (DRAWN, "Short", 2)


def test_an_icon_is_changed_and_taken_away_on_its_page(admin, shop):
    after(admin.save(("icon", PNG)))
    assert icon_of(shop) == PLAIN
    after(admin.save(("icon", b""), ("remove_icon", "on")))
    assert icon_of(shop) is None
    assert "remove_icon" not in admin.send("GET", EDIT).text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello", "icon must be a PNG, JPEG, WebP, GIF or SVG image"),
        (BOMB, "icon must not declare XML entities"),
        (PNG.ljust(99_999), "icon must be an image of at most 32 KiB, not 98"),
    ],
)
@pytest.mark.parametrize("path", [NEW, EDIT])
def test_a_file_that_is_no_icon_is_refused_beside_its_field(admin, shop, path, content, sentence):
    fields = (("action", "save"), ("name", "Mail"), ("description", "Kept"), ("icon", content))
    answer = admin.send_parts(path, *fields)
    assert answer.status_code == 422
    beside = re.search(r'id="icon-error">([^<]*)<', answer.text)[1]
    assert beside.startswith(sentence)
    assert 'aria-describedby="icon-hint icon-error" aria-invalid="true"' in answer.text
    assert text_of(answer).lower().count(sentence.lower()) == 1, "not on top, too"
    assert "Kept" in answer.text
    assert "Choose the file again" in answer.text
    assert icon_of(shop) == DRAWN
    assert len(shop("list-products").document) == 1


def test_a_file_too_large_to_be_looked_at_is_refused(admin):
    answer = admin.save(("icon", PNG.ljust(1_100_000)))
    assert answer.status_code == 413
    assert "The form is over 1048576 bytes" in text_of(answer)


def test_a_form_as_programs_send_it_still_works(admin, shop):
    after(admin.post("/products/1", action="save", description="Plain", icon="x"))
    found = shop("get-product", product_id=1).document
    assert (found["description"], found["icon"]) == ("Plain", DRAWN)


KIND = f"multipart/form-data; boundary={BOUND}"
FIELD = f"--{BOUND}\r\nContent-Disposition: form-data; name=".encode()
BROKEN = {
    "no boundary": ("multipart/form-data", b"x"),
    "an empty boundary": ("multipart/form-data; boundary=", b"x"),
    "a long boundary": ("multipart/form-data; boundary=" + "x" * 9000, b"x"),
    "an odd boundary": ("multipart/form-data; boundary=\xe4", b"x"),
    "not what it says": (KIND, b"action=save"),
    "no end": (KIND, FIELD + b"action\r\n\r\nsave"),
    "no headers": (KIND, f"--{BOUND}\r\n".encode()),
    "headers that are no text": (KIND, FIELD + b"\xff\r\n\r\nx\r\n" + f"--{BOUND}--".encode()),
    "long headers": (KIND, FIELD + b"x" * 20_000),
    "many parts": (KIND, (FIELD + b"a\r\n\r\nx\r\n") * 1000 + f"--{BOUND}--".encode()),
    "an odd name of the file": (
        KIND,
        FIELD + b"icon; filename*=nonsense''%ff\r\n\r\nx\r\n" + f"--{BOUND}--".encode(),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("path", [NEW, EDIT])
def test_a_broken_form_is_refused_with_a_sentence(admin, shop, caplog, path, name):
    kind, body = BROKEN[name]
    answer = admin.send_parts(path, kind=kind, body=body)
    assert answer.status_code == 400
    assert "The form can't be read: " in text_of(answer)
    assert not [r for r in caplog.records if r.levelname == "ERROR"]
    assert icon_of(shop) == DRAWN


def test_parts_without_a_name_or_with_odd_text_are_taken_as_forms_are(admin, shop):
    body = multipart(("action", "save"), ("description", "x"))
    nameless = f"--{BOUND}\r\nContent-Type: text/plain\r\n\r\nx\r\n".encode()
    after(admin.send_parts(EDIT, body=nameless + body))
    assert shop("get-product", product_id=1).document["description"] == "x"
    for odd, status in ((b"\0", 422), (b"\xff", 400)):
        refused = admin.send_parts(EDIT, body=body.replace(b"\r\nx\r\n", b"\r\n%b\r\n" % odd))
        assert refused.status_code == status


def test_other_forms_take_no_files(admin):
    answer = admin.send_parts("/ui/admin/users/new", ("email", "x@example.org"))
    assert answer.status_code == 415


# The demo's


def test_each_of_the_demos_products_has_an_icon_of_its_own(settings):
    drawn = {demo_icons.of(name) for name in ("Nextcloud", "Vaultwarden", "Gitea")}
    assert len(drawn) == 3
    for one in drawn:
        assert icons.checked(one) == one
        assert len(icons.opened(one)[1]) < 1000
        assert uri(base64.b64decode(one.partition(",")[2]), icons.SVG) == one
