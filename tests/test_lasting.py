"""What is found out about a template's documents is found out once, and changes nothing."""

import io

from caelus import yamltext
from caelus.database import session
from caelus.lasting import Lasting, known
from caelus.models import Template
from tests.conftest import TEMPLATE


def test_what_is_lasting_is_looked_at_once():
    looks = []
    document = Lasting({"a": 1})
    assert known(document, lambda it: 0) == 0
    for _ in range(2):
        assert known(document, looks.append) is None
    assert looks == [{"a": 1}]


def test_what_may_change_is_looked_at_each_time():
    looks = []
    for document in ({"a": 1}, {"a": 1}, None):
        known(document, looks.append)
    assert looks == [{"a": 1}, {"a": 1}, None]


def test_a_lasting_document_is_printed_as_any_other():
    shown = io.StringIO()
    yamltext.dump({"a": Lasting({"b": [Lasting({})]})}, shown)
    assert shown.getvalue() == "a:\n  b:\n  - {}\n"


def test_the_documents_of_a_template_last_and_others_do_not(shop):
    shop("create-product", name="App")
    shop("create-template", product_id=1, **TEMPLATE)
    with session():
        one, other = Template.get_by_id(1), Template.get_by_id(1)
    assert one.values_schema_json is other.values_schema_json
    assert isinstance(one.values_schema_json, Lasting)
