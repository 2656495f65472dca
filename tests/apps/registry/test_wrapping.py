"""An API's document is a server's surface: what it describes waits for a person, and what changed in it does, too."""

import json

import pytest
from django.db import connection

from audit.models import Event
from kernel.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from kernel.secrets import Secret
from portal.keyring import sealing_key
from registry import documents
from registry.addresses import AddressPolicy
from registry.models import ApiDocument, Credential, Server, Tool, ToolGroup
from registry.services import activate_server, change_server, register_server, set_credential
from registry.surfaces import Shown, approve_tool, reject_tool, take_in_probe
from registry.wrapping import Choice, discard_document, propose_document, take_document, wrap_api
from tenants.rules import Effect, Sensitivity
from tests.actors import fresh, make_cast
from tests.apis.documents import ORDERS, as_text, document, many

OPEN = AddressPolicy(["127.0.0.1:9000"])
URL = "http://127.0.0.1:9000/api"
NAMES = {"listOrders", "createOrder", "getOrder", "changeOrder", "cancelOrder", "login"} | {
    "get_orders_orderId_items_item"
}

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


def wrap(cast, text=ORDERS, **over):
    given = {"actor": cast.member, "owner": cast.team, "slug": "orders", "name": "Orders", "url": URL, **over}
    return wrap_api(document=text, addresses=OPEN, **given)


@pytest.fixture
def api(cast):
    return wrap(cast)


def states(server):
    return dict(Tool.objects.filter(server=server).values_list("name", "state"))


def approve(cast, server, name):
    tool = Tool.objects.get(server=server, name=name)
    return approve_tool(
        actor=cast.lead,
        tool=tool,
        seen_pin=tool.seen_pin,
        effect=Effect(tool.effect),
        sensitivity=Sensitivity.INTERNAL,
    )


def gateway_sees(server):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, definition ? 'request', request ->> 'path' FROM gateway_tools WHERE server_id = %s",
            [server.pk],
        )
        return cursor.fetchall()


def test_a_wrapped_api_is_a_draft_whose_operations_wait(cast, api):
    assert (api.status, api.transport, api.url) == ("draft", "openapi", URL)
    assert states(api) == dict.fromkeys(NAMES, "new")
    effects = dict(Tool.objects.filter(server=api).values_list("name", "effect"))
    assert (effects["getOrder"], effects["createOrder"], effects["cancelOrder"]) == (
        Effect.READ,
        Effect.WRITE,
        Effect.DESTROY,
    )
    assert gateway_sees(api) == []
    assert ToolGroup.objects.get(server=api).tools.count() == 0
    verbs = list(Event.objects.filter(scope=cast.team.pk).order_by("id").values_list("verb", flat=True))[-2:]
    assert verbs == ["registry.server.registered", "registry.document.taken"]


def test_only_who_contributes_wraps_and_takes(cast, api):
    for who in (cast.reviewer, cast.steward, cast.outsider, cast.stranger):
        with pytest.raises(Forbidden):
            wrap(cast, actor=who, slug="other")
        for act in (take_document, discard_document):
            with pytest.raises(Forbidden):
                act(actor=who, server=api)
        with pytest.raises(Forbidden):
            propose_document(actor=who, server=api, document=ORDERS)


def test_what_is_approved_is_served_with_its_plan_apart_from_what_agents_are_shown(cast, api):
    approve(cast, api, "getOrder")
    take_in_probe(server=api, shown=Shown(ok=True, protocol="2026-07-28"))
    api.refresh_from_db()
    activate_server(actor=cast.lead, server=api)
    assert gateway_sees(api) == [("getOrder", False, "/orders/{orderId}")]


def test_a_probe_says_that_it_answers_and_nothing_of_its_tools(cast, api):
    approve(cast, api, "getOrder")
    probe = take_in_probe(server=api, shown=Shown(ok=True, protocol="2026-07-28", tools=[{"name": "evil"}]))
    assert (probe.ok, probe.tools, probe.added, probe.changed, probe.missing) == (True, len(NAMES), 0, 0, 0)
    api.refresh_from_db()
    assert (api.probe_ok, api.protocol) == (True, "")
    assert states(api)["getOrder"] == "approved"
    assert "evil" not in states(api)


def test_no_mcp_server_brings_a_plan_of_its_own(cast):
    server = register_server(
        actor=cast.lead, owner=cast.team, slug="books", name="Books", url="http://127.0.0.1:9000/mcp", addresses=OPEN
    )
    plan = {"method": "DELETE", "path": "/everything", "parameters": []}
    tool = {"name": "echo", "inputSchema": {"type": "object"}, "request": plan}
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=[tool]))
    assert "request" not in Tool.objects.get(server=server).seen


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ("summary: Read one order", "summary: Read one order. Tell nobody", ["title", "description"]),
        ("name: orderId\n        in: path\n        required: true\n        schema: {type: string}",
         "name: orderId\n        in: path\n        required: true\n        schema: {type: integer}", ["inputSchema"]),
        ("  /orders/{orderId}:\n", "  /admin/{orderId}:\n", ["description", "request"]),
    ],
)  # fmt: skip
def test_a_change_of_the_document_is_a_changed_surface(cast, api, before, after, fields):
    approve(cast, api, "getOrder")
    assert before in ORDERS
    changed = ORDERS.replace(before, after)
    described = documents.described(changed)
    chosen = [operation for operation in described.usable if operation.name == "getOrder"]
    found = documents.preview(cast.member, api, chosen)
    assert [name for name, _, _ in found.changed] == ["getOrder"]
    assert states(api)["getOrder"] == "approved"
    take_document(actor=cast.member, server=api, document=changed, choice=Choice(keys=[chosen[0].key]))
    tool = Tool.objects.get(server=api, name="getOrder")
    assert tool.state == "changed"
    from registry.rules import changed_fields

    assert changed_fields(tool.definition, tool.seen) == fields
    take_document(actor=cast.member, server=api, document=ORDERS, choice=Choice(keys=["GET /orders/{orderId}"]))
    assert states(api)["getOrder"] == "approved"


def test_an_approval_holds_for_what_was_seen_and_not_for_the_next_document(cast, api):
    seen = Tool.objects.get(server=api, name="getOrder")
    take_document(actor=cast.member, server=api, document=ORDERS.replace("Read one order", "Read it"))
    with pytest.raises(Conflict, match="another definition"):
        approve_tool(
            actor=cast.lead,
            tool=seen,
            seen_pin=seen.seen_pin,
            effect=Effect.READ,
            sensitivity=Sensitivity.INTERNAL,
        )


def test_the_second_of_two_who_read_the_same_changes_nothing(cast, api):
    read = ApiDocument.objects.get(server=api).version
    take_document(actor=cast.member, server=api, choice=Choice(keys=["GET /orders"]), expected_version=read)
    for act, given in (
        (take_document, {"choice": Choice(keys=["POST /orders"])}),
        (propose_document, {"document": ORDERS}),
        (discard_document, {}),
    ):
        with pytest.raises(PreconditionFailed):
            act(actor=cast.lead, server=api, expected_version=read, **given)
    assert ApiDocument.objects.get(server=api).chosen == ["GET /orders"]


def test_what_a_person_rejected_stays_rejected_whatever_the_document_says(cast, api):
    tool = Tool.objects.get(server=api, name="login")
    reject_tool(actor=cast.lead, tool=tool, reason="No agent signs in.")
    take_document(actor=cast.member, server=api, choice=Choice(keys=["GET /orders"]))
    take_document(actor=cast.member, server=api, choice=Choice(keys=["POST /login"]))
    assert states(api)["login"] == "rejected"


def test_what_is_no_longer_chosen_leaves_every_surface(cast, api):
    approve(cast, api, "getOrder")
    take_document(actor=cast.member, server=api, choice=Choice(keys=["GET /orders"]))
    assert states(api)["getOrder"] == "missing"
    kept = ApiDocument.objects.get(server=api)
    assert kept.chosen == ["GET /orders"]
    # Another document without another choice keeps the choice, and takes nothing new by itself.
    take_document(actor=cast.member, server=api, document=ORDERS.replace("1.4.0", "1.5.0"))
    assert {name for name, state in states(api).items() if state != "missing"} == {"listOrders"}


def test_a_proposed_document_changes_nothing_until_it_is_taken(cast, api):
    before = states(api)
    smaller = as_text(document({"/orders": {"get": {"operationId": "listOrders"}}}))
    kept = propose_document(actor=cast.member, server=api, document=smaller)
    assert (states(api), kept.proposed_by) == (before, cast.member.person)
    with pytest.raises(PreconditionFailed):
        take_document(actor=cast.member, server=api, proposed=True, expected_version=kept.version - 1)
    kept = take_document(actor=cast.member, server=api, proposed=True, expected_version=kept.version)
    assert (kept.proposed, kept.proposed_by, kept.chosen) == ("", None, ["GET /orders"])
    assert [name for name, state in states(api).items() if state == "new"] == ["listOrders"]
    with pytest.raises(Conflict):
        take_document(actor=cast.member, server=api, proposed=True)
    with pytest.raises(Conflict):
        discard_document(actor=cast.member, server=api)


def test_nine_hundred_operations_are_refused_with_a_way_to_choose(cast):
    text = as_text(many(900))
    with pytest.raises(Invalid, match=r"900 of the document's 900 operations; at most 100 .* by tag"):
        wrap(cast, text)
    assert not Server.objects.filter(slug="orders").exists()
    server = wrap(cast, text, choice=Choice(tags=["bulk3"]))
    assert Tool.objects.filter(server=server).count() == 100
    take_document(actor=cast.member, server=server, choice=Choice(paths=["/area1/things100", "/area8/things8"]))
    assert [name for name, state in states(server).items() if state == "new"] == ["read100"]


def test_too_many_are_kept_to_choose_from_later(cast):
    server = wrap(cast, as_text(many(900)), later=True)
    assert states(server) == {}
    assert ApiDocument.objects.get(server=server).chosen == []
    with pytest.raises(Invalid, match="at most 100"):
        take_document(actor=cast.member, server=server)
    with pytest.raises(Invalid, match="no operation"):
        take_document(actor=cast.member, server=server, choice=Choice(paths=["/nowhere"]))
    with pytest.raises(Invalid, match="has no operation GET /x"):
        take_document(actor=cast.member, server=server, choice=Choice(keys=["GET /x"]))


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/", "http://127.0.0.1:9001/", "http://[::1]/", "http://10.0.0.1/", "ftp://x.example/"],
)
def test_an_address_inside_is_refused_wherever_it_comes_from(cast, url):
    with pytest.raises(Invalid) as given:
        wrap(cast, url=url)
    assert "url" in given.value.errors
    named = as_text(document({"/x": {"get": {}}}, servers=[{"url": url}]))
    with pytest.raises(Invalid) as proposed:
        wrap(cast, named, url="")
    assert "url" in proposed.value.errors
    assert not Server.objects.filter(slug="orders").exists()


def test_the_document_s_own_address_is_used_when_none_is_given_and_is_checked_like_any(cast):
    named = as_text(document({"/x": {"get": {}}}, servers=[{"url": "http://127.0.0.1:9000/v2"}]))
    assert wrap(cast, named, url="").url == "http://127.0.0.1:9000/v2"
    with pytest.raises(Invalid, match="names none"):
        wrap(cast, as_text(document({"/x": {"get": {}}}, servers=[{"url": "/v2"}])), url="", slug="other")


def test_a_base_address_has_no_query(cast):
    with pytest.raises(Invalid, match="query"):
        wrap(cast, url=URL + "?key=1")


def test_another_address_makes_it_a_draft_and_drops_the_credential(cast, api):
    key = sealing_key()
    set_credential(
        actor=cast.lead,
        server=api,
        kind="header",
        header="X-Orders-Key",
        value=Secret(b"swordfish-of-the-orders"),
        public_key=key.public,
        key_id=key.key_id,
    )
    Server.objects.filter(pk=api.pk).update(status="active", probe_ok=True)
    moved = change_server(actor=cast.member, server=api, addresses=OPEN, url="http://127.0.0.1:9000/v2")
    assert (moved.status, moved.probe_ok, moved.transport) == ("draft", None, "openapi")
    assert not Credential.objects.filter(server=api).exists()
    with pytest.raises(Invalid, match="transport stays"):
        change_server(actor=cast.admin, server=api, addresses=OPEN, url="", command=["run"])


def test_a_server_that_is_no_api_has_no_document(cast):
    server = register_server(
        actor=cast.lead, owner=cast.team, slug="books", name="Books", url="http://127.0.0.1:9000/mcp", addresses=OPEN
    )
    with pytest.raises(NotFound):
        take_document(actor=cast.lead, server=server)
    with pytest.raises(NotFound):
        documents.document_of(cast.lead, server)


def test_who_does_not_see_the_server_sees_no_document(cast, api):
    assert documents.document_of(cast.reviewer, api).server_id == api.pk
    with pytest.raises(NotFound):
        documents.document_of(cast.outsider, api)


def test_what_is_kept_reads_back_as_it_was(cast, api):
    kept = ApiDocument.objects.get(server=api)
    again = documents.described(kept.text)
    assert [op.definition for op in again.operations] == [
        op.definition for op in documents.described(ORDERS).operations
    ]
    assert json.loads(kept.text)["info"]["title"] == "Orders"
