"""Wrapped APIs over REST: the same services, whole documents, and nothing taken that somebody else changed meanwhile."""

import pytest

from registry.models import Tool
from tests.apis.documents import ORDERS, as_text, document, many

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def wraps():
    return True


def body(**over):
    return {
        "owner": "ledger",
        "slug": "stock",
        "name": "Stock",
        "url": "http://127.0.0.1:9/api",
        "document": ORDERS,
        **over,
    }


def test_an_api_is_wrapped_read_previewed_and_changed(call):
    made = call("member", "POST", "apis", body(tags=["orders"]))
    assert (made.status_code, made.json()["transport"], made["Location"]) == (201, "openapi", "/api/v1/servers/stock")
    read = call("member", "GET", "servers/stock/document")
    operations = {row["key"]: row for row in read.json()["operations"]}
    assert operations["GET /orders"]["taken"] is True
    assert operations["POST /login"]["taken"] is False
    assert "multipart" in operations["POST /orders/{orderId}/label"]["left_out"]
    assert read.json()["credentials"][0]["header"] == "X-Orders-Key"
    after = ORDERS.replace("Read one order", "Read an order")
    seen = call("member", "POST", "servers/stock/document/preview", {"document": after})
    assert [row["name"] for row in seen.json()["changed"]] == ["getOrder"]
    assert seen.json()["changed"][0]["fields_changed"] == ["title", "description"]
    assert call("member", "PUT", "servers/stock/document", {"document": after}).status_code == 428
    put = call("member", "PUT", "servers/stock/document", {"operations": ["GET /orders"]}, If_Match=read["ETag"])
    assert put.status_code == 200
    again = call("member", "PUT", "servers/stock/document", {"document": after}, If_Match=read["ETag"])
    assert again.status_code == 412
    states = set(Tool.objects.filter(server__slug="stock").values_list("state", flat=True))
    assert states == {"missing", "new"}


@pytest.mark.parametrize(
    ("over", "field", "said"),
    [
        ({"document": "["}, "document", "neither JSON nor YAML"),
        ({"document": as_text(many(900))}, "operations", "at most 100"),
        ({"document": as_text(document({"/a": {"$ref": "x.yaml"}}))}, "document", "#/paths/~1a refers to x.yaml"),
        ({"operations": ["GET /nothing"]}, "operations", "no operation GET /nothing"),
        ({"operations": ["HEAD /health"]}, "operations", "cannot be a tool"),
        ({"url": "http://10.0.0.1/"}, "url", "private"),
    ],
)
def test_a_bad_document_is_a_fault_of_its_field(call, over, field, said):
    answer = call("member", "POST", "apis", body(**over))
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == f"/{field}"
    assert said in fault["detail"]


def test_a_document_may_be_longer_than_other_bodies_and_has_an_end(call):
    long = ORDERS + "\n#" + "x" * 300_000
    assert call("member", "POST", "apis", body(document=long)).status_code == 201
    assert call("member", "POST", "servers", {"owner": "ledger", "summary": long}).status_code == 413
    assert call("member", "POST", "apis", body(slug="more", document="x" * 10_000_000)).status_code == 413
