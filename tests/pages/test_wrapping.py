"""Wrapping an API on pages: from a document to tools that wait, and from the next document to what changes."""

from dataclasses import replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings as overridden
from django.urls import reverse

from registry.models import ApiDocument, Server, Tool
from tests.apis.documents import ORDERS, as_text, document, many
from tests.pages.estate import make_api

URL = "http://127.0.0.1:9/api"


@pytest.fixture(autouse=True)
def allowed(plain_settings, installation):
    """The address of the tests is one that an administrator listed."""
    with overridden(HANSE=replace(installation, upstream_allow=("127.0.0.1:9",))):
        yield


def fields(**over):
    return {"owner": "ledger", "name": "Stock", "slug": "stock", "url": URL, "document": ORDERS, **over}


def file(content):
    return SimpleUploadedFile("openapi.yaml", content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def api(standing, db):
    return make_api(standing[0])


def page(client, name, *args, **query):
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_document_becomes_a_draft_with_its_operations(browse):
    client = browse("member")
    done = client.post(reverse("server_wrap"), fields(document="", file=file(ORDERS)))
    assert (done.status_code, done.url) == (302, "/servers/stock/operations/")
    text = page(client, "server_tab", "stock", "operations")
    assert "GET /orders/{orderId}" in text
    assert "its body is multipart" in text
    assert "Choose again" not in text
    tools = page(client, "server", "stock")
    assert "createOrder" in tools
    assert "Waits for who keeps" in tools
    assert "asks for a key in the header X-Orders-Key" in page(browse("lead"), "server_tab", "stock", "credential")
    assert "no harmless request" in page(client, "server_tab", "stock", "probes")


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"document": ""}, "Choose a file, or paste its text"),
        ({"document": "a: &x 1"}, "Anchors and aliases"),
        (
            {"document": as_text(document({"/a": {"get": {"parameters": [{"$ref": "https://x.example/p"}]}}}))},
            "Bundle it",
        ),
        ({"document": '{"swagger": "2.0"}'}, "Swagger 2.0"),
        ({"url": "http://169.254.169.254/"}, "metadata"),
        ({"url": "", "document": as_text(document({"/a": {"get": {}}}))}, "names none"),
        ({"file": file(b"x" * 10_000_000)}, "10,000,000 bytes; at most 2,000,000"),
        ({"file": file(b"\xff\xfe")}, "not UTF-8"),
        ({"file": file(b""), "document": ""}, "no document"),
        ({"slug": "accounts"}, "already"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_registered(browse, over, said):
    before = Server.objects.count()
    response = browse("lead").post(reverse("server_wrap"), fields(**over))
    assert response.status_code == 422
    assert said in response.content.decode()
    assert Server.objects.count() == before


def test_a_pasted_document_beyond_all_limits_is_refused_before_it_is_read(browse):
    response = browse("lead").post(reverse("server_wrap"), fields(document="x" * 10_000_000))
    assert response.status_code in {400, 413}
    assert not Server.objects.filter(slug="stock").exists()


def test_nine_hundred_operations_are_chosen_by_tag_or_path(browse):
    client = browse("lead")
    assert client.post(reverse("server_wrap"), fields(document=as_text(many(900)))).status_code == 302
    text = page(client, "server_tab", "stock", "operations")
    assert "900 usable operations; at most 100" in text
    assert "600 more are not shown" in text
    assert "GET /area3/things307" in page(client, "server_tab", "stock", "operations", tag="bulk3")
    place = reverse("operations_preview", args=["stock"])
    refused = client.post(place, {"paths": "/area1 /area2"})
    assert refused.status_code == 422
    assert "That is 200 of the document&#x27;s 900 operations; at most 100" in refused.content.decode()
    shown = client.post(place, {"tags": "bulk4", "paths": ""})
    assert shown.status_code == 200
    assert "Take 100 operations" in shown.content.decode()
    assert not Tool.objects.filter(server__slug="stock").exists(), "looking takes nothing"


def test_the_next_document_is_looked_at_and_then_taken(browse, api):
    client = browse("member")
    text = page(client, "server_tab", "orders", "operations")
    assert "A new document is here to be looked at" in text
    chosen = ["GET /orders/{orderId}", "POST /sessions"]
    shown = client.post(reverse("operations_preview", args=["orders"]), {"take": chosen}).content.decode()
    assert "with its lines" in shown
    assert "Leave every surface" in shown
    assert "New, and wait" not in shown, "the name of the operation stayed, so it is a changed tool"
    assert Tool.objects.get(server=api, name="getOrder").state == "new"
    kept = ApiDocument.objects.get(server=api)
    stale = client.post(reverse("operations_take", args=["orders"]), {"take": chosen, "version": kept.version - 1})
    assert stale.status_code == 412
    form = {"take": chosen, "version": kept.version, "proposed": "1"}
    assert client.post(reverse("operations_take", args=["orders"]), form).status_code == 302
    kept.refresh_from_db()
    assert (sorted(kept.chosen), kept.proposed) == (sorted(chosen), "")
    assert Tool.objects.get(server=api, name="listOrders").state == "missing"


@pytest.mark.parametrize("act", ["operations_preview", "operations_take"])
def test_nothing_ticked_is_not_everything(browse, api, act):
    before = ApiDocument.objects.get(server=api).chosen
    response = browse("member").post(reverse(act, args=["orders"]), {"tags": "", "paths": " "})
    assert response.status_code == 422
    assert "Tick at least one operation" in response.content.decode()
    assert ApiDocument.objects.get(server=api).chosen == before


def test_a_proposal_that_is_wrong_leaves_the_one_before(browse, api):
    client = browse("member")
    before = ApiDocument.objects.get(server=api).proposed_digest
    response = client.post(reverse("document_propose", args=["orders"]), {"document": "{"})
    assert response.status_code == 422
    assert "This is not JSON" in response.content.decode()
    assert ApiDocument.objects.get(server=api).proposed_digest == before
    assert client.post(reverse("document_discard", args=["orders"])).status_code == 302
    assert ApiDocument.objects.get(server=api).proposed == ""
    assert client.post(reverse("document_discard", args=["orders"])).status_code == 409


def test_who_only_reads_sees_the_operations_and_no_way_to_take_them(browse, api):
    text = page(browse("reviewer"), "server_tab", "orders", "operations")
    assert "GET /orders" in text
    assert "Look at what changes" not in text
    assert "Discard it" not in text


def test_a_server_that_is_no_api_has_no_such_tab(browse):
    client = browse("lead")
    assert client.get(reverse("server_tab", args=["accounts", "operations"])).status_code == 404
    assert "/servers/accounts/operations/" not in page(client, "server", "accounts")


def test_words_of_a_document_are_text_on_the_page(browse):
    hostile = ORDERS.replace("Read one order", "<script>alert(1)</script>").replace("title: Orders", "title: <b>x</b>")
    client = browse("lead")
    client.post(reverse("server_wrap"), fields(document=hostile))
    text = page(client, "server_tab", "stock", "operations") + page(client, "server", "stock")
    assert "<script>alert" not in text
    assert "<b>x</b>" not in text
