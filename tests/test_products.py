"""The rules of products and of their canonical templates, on both surfaces and both databases."""

from caelus import database
from caelus.models import Deployment, Product
from tests.conftest import TEMPLATE
from tests.test_templates import CHART, NEW, refused
from tests.test_templates import product as product

# Products


def test_a_new_product_is_shown_with_what_was_asked_for(surface):
    document = surface("create-product", name="Notes", description="To write down").document
    assert document.pop("created_at").endswith("Z")
    assert document == {
        "id": 1,
        "name": "Notes",
        "description": "To write down",
        "template_id": None,
        "template": None,
        "icon": None,
        "icon_url": None,
    }
    assert surface("get-product", product_id=1).document["name"] == "Notes"


def test_what_is_no_name_is_refused(surface):
    for name in ("", " ", "\n", "a\nb", "a\x1b[2J", "x" * 201):
        assert refused(surface("create-product", name=name), 422).startswith("name must ")
    assert surface("list-products").document == []


def test_a_name_is_kept_as_it_is(surface):
    names = ["x" * 200, "Böse  Wörter 日本 😀", "007", "null", "yes", " x", "👩\u200d💻"]
    for name in names:
        assert surface("create-product", name=name).document["name"] == name
    assert [product["name"] for product in surface("list-products").document] == names


def test_a_product_of_before_with_a_name_of_two_lines_is_there_and_can_be_deleted(product):
    with database.session():
        Product.update(name="a\nb").execute()
    assert product("get-product", product_id=1).document["name"] == "a\nb"
    assert product("update-product", product_id=1, description="x").document["name"] == "a\nb"
    assert product("delete-product", product_id=1).ok
    assert product("list-products").document == []


def test_a_name_is_taken_until_its_product_is_deleted(product):
    sentence = refused(product("create-product", name="Notes"), 409)
    assert sentence == "a product named 'Notes' exists already"
    assert product("create-product", name="notes").ok
    assert product("delete-product", product_id=1).ok
    assert product("create-product", name="Notes").document["id"] > 2


def test_a_deleted_product_is_gone(product):
    assert product("delete-product", product_id=1).ok
    for answer in (
        product("get-product", product_id=1),
        product("delete-product", product_id=1),
        product("update-product", product_id=1, description="x"),
        product("list-templates", product_id=1),
        product("create-template", product_id=1, **CHART),
    ):
        assert refused(answer, 404) == "product 1 not found"
    assert product("list-products").document == []


def test_deleting_a_product_deletes_its_templates(shop, surface):
    assert surface("create-product", name="Other").ok
    assert surface("create-template", product_id=2, **TEMPLATE).document["id"] == 3
    assert surface("delete-product", product_id=1).ok
    sentence = refused(surface("create-deployment", **NEW), 404)
    assert sentence == "template 1 not found"
    assert refused(surface("get-template", product_id=1, template_id=1), 404)
    assert surface("get-template", product_id=2, template_id=3).ok


def test_a_product_in_use_is_not_deleted(shop, surface):
    for number, uses in ((1, "1 deployment uses"), (2, "2 deployments use")):
        shop("create-deployment", **NEW | {"domainname": f"{number}.example.org"})
        sentence = refused(surface("delete-product", product_id=1), 409)
        assert sentence == f"cannot delete product 1: {uses} it; delete those first"
    assert surface("get-product", product_id=1).ok
    assert len(surface("list-templates", product_id=1).document) == 2


def test_a_product_whose_deployments_are_deleted_can_be_deleted(shop, surface):
    shop("create-deployment", **NEW)
    Deployment.update(status="deleted").execute()
    assert surface("delete-product", product_id=1).ok


def test_a_description_can_be_changed_and_the_rest_stays(product):
    before = product("get-product", product_id=1).document
    after = product("update-product", product_id=1, description="New").document
    assert after == before | {"description": "New"}
    assert product("get-product", product_id=1).document == after


def test_an_update_of_nothing_is_refused(product):
    assert "template_id" in refused(product("update-product", product_id=1), 422)


def test_null_takes_description_and_canonical_template_away(shop):
    shop("update-product", product_id=1, description="x", template_id=1)
    document = shop("update-product", product_id=1, description=None, template_id=None).document
    assert (document["description"], document["template"]) == (None, None)


def test_a_product_never_changes_its_name(shop):
    document = shop("update-product", product_id=1, name="Other", description="x").document
    assert document["name"] == "Notes"
    assert document["description"] == "x"


# The canonical template


def test_the_canonical_template_is_shown_whole(shop, surface):
    template = surface("get-template", product_id=1, template_id=2).document
    product = surface("update-product", product_id=1, template_id=2).document
    assert product["template_id"] == 2
    assert product["template"] == template | {
        "product": {k: value for k, value in product.items() if k not in ("template", "icon")}
    }
    assert surface("get-product", product_id=1).document == product
    del product["icon"]
    assert surface("list-products").document == [product]


def test_a_new_product_can_not_have_a_canonical_template_yet(shop, surface):
    sentence = refused(surface("create-product", name="Other", template_id=1), 409)
    assert sentence == (
        "template 1 belongs to product 1; a product's canonical template must be one of its own"
    )
    assert refused(surface("create-product", name="Other", template_id=99), 404) == (
        "template 99 not found"
    )
    assert len(surface("list-products").document) == 1


def test_the_canonical_template_must_be_a_live_one_of_the_product(shop, surface):
    surface("create-product", name="Other")
    surface("delete-template", product_id=1, template_id=2)
    assert "belongs to product 1" in refused(
        surface("update-product", product_id=2, template_id=1), 409
    )
    for missing in (2, 99):
        sentence = refused(surface("update-product", product_id=1, template_id=missing), 404)
        assert sentence == f"template {missing} not found"
    assert surface("get-product", product_id=1).document["template"] is None


def test_a_product_whose_canonical_template_is_deleted_is_left_without(shop, surface):
    surface("update-product", product_id=1, template_id=1)
    assert surface("delete-template", product_id=1, template_id=1).ok
    product = surface("get-product", product_id=1).document
    assert (product["template_id"], product["template"]) == (None, None)
