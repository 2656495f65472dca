"""Operations of an HTTP API as tools: the same steps as for any tool, and nothing of the plan that an argument could bend."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

import httpx2
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from mcp import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from registry.looking import look
from registry.probe import _reason
from registry.sealing import seal
from tests.apis.documents import described
from tests.gateway.api import Api
from tests.gateway.estate import add_delegation, add_server, add_tool, insert
from tests.gateway.servers import reply
from tests.gateway.wire_client import Client, wait_until

KEY = "s3cr3t-key-of-the-orders"
EFFECTS = {"GET": 0, "DELETE": 2}


@pytest.fixture(scope="module")
def api():
    with Api() as served:
        yield served


@pytest.fixture(autouse=True)
def fresh(api):
    api.reset()


@pytest.fixture(scope="module")
def delegation(api, gateway_database, estate, gateway, tokens):
    """Returns a delegation for the wrapped orders API, whose tools are served by now."""
    operations = described("orders.yaml").usable
    with psycopg.connect(gateway_database("superuser")) as connection:
        add_server(connection, estate, "orders", "team", f"{api.url}/api/", transport="openapi", protocol="")
        for operation in operations:
            add_tool(
                connection,
                estate,
                "orders",
                operation.name,
                EFFECTS.get(operation.method, 1),
                definition=operation.definition,
            )
        _seal(connection, estate, api)
        _, uid = add_delegation(connection, estate, tool_groups=["orders"], effect_ceiling=2)
    asking = Client(gateway.url, f"/mcp/{estate.team}", tokens.mint(dlg=uid))
    wait_until(lambda: "orders__getOrder" in _names(asking), "the API is not served")
    return uid


def _names(asking: Client) -> list[str]:
    return [tool["name"] for tool in asking.ask("tools/list").result["tools"]]


def _seal(connection, estate, api) -> None:
    insert(
        connection,
        "registry_credential",
        server_id=estate.ids["server:orders"],
        owner_id=estate.ids["team"],
        kind="header",
        header="x-orders-key",
        sealed=seal(
            KEY.encode(),
            estate.opening.public_key(),
            server_uid=estate.uids["server:orders"],
            origin=api.url,
            header="x-orders-key",
        ),
        origin=api.url,
        key_id="test",
        created_at=datetime.now(UTC),
    )


@pytest.fixture
def agent(gateway, estate, tokens, delegation) -> Client:
    return Client(gateway.url, f"/mcp/{estate.team}/orders", tokens.mint(dlg=delegation))


def test_an_operation_is_called_with_the_credential_and_stands_in_the_log(agent, api, events, estate):
    got = agent.call("getOrder", {"orderId": "A 7"})
    assert got.result["structuredContent"] == {"state": "open", "total": 12.5}
    assert json.loads(got.result["content"][0]["text"]) == {"state": "open", "total": 12.5}
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.query, asked.body) == ("GET", "/api/orders/A%207", "", b"")
    assert asked.header("x-orders-key") == KEY
    assert not {"authorization", "cookie", "mcp-method", "mcp-name"} & {name for name, _ in asked.headers}
    intent, outcome = events()
    assert (intent["kind"], outcome["kind"], outcome["result"]) == ("intent", "outcome", "ok")
    assert intent["object"] == "orders/getOrder"
    assert (intent["person"], intent["agent"]) == (estate.uids["person"], estate.uids["agent"])
    assert json.loads(intent["body"]) == {"orderId": "A 7"}
    assert KEY not in json.dumps(events())


def test_agents_are_shown_the_operation_and_never_its_plan(agent):
    tools = {tool["name"]: tool for tool in agent.ask("tools/list").result["tools"]}
    assert {"listOrders", "createOrder", "getOrder", "login"} <= tools.keys()
    assert "cancelOrder" not in tools, "what destroys is not for this profile, as with any other tool"
    assert all("request" not in tool for tool in tools.values())
    assert KEY not in json.dumps(tools)


def test_every_place_of_a_request_is_filled(agent, api):
    arguments = {
        "limit": 7,
        "status": ["open", "paid"],
        "filter": {"customer": "a&b=c", "since": "2026-01-01"},
        "X-Request-Reason": "monthly close",
    }
    assert agent.call("listOrders", arguments).status == 200
    body = {"customer": "Ünal", "lines": [{"sku": "x", "count": 12345678901234567890123}]}
    assert agent.call("createOrder", {"body": body}).status == 200
    assert agent.call("login", {"body": {"user": "a b&c", "scopes": ["r", "w"]}}).status == 200
    listed, made, logged_in = api.asked
    assert parse_qsl(listed.query, strict_parsing=True) == [
        ("limit", "7"),
        ("status", "open"),
        ("status", "paid"),
        ("filter[customer]", "a&b=c"),
        ("filter[since]", "2026-01-01"),
    ]
    assert listed.header("x-request-reason") == "monthly close"
    assert (made.method, json.loads(made.body), made.header("content-type")) == ("POST", body, "application/json")
    assert logged_in.body == b"user=a%20b%26c&scopes=r&scopes=w"
    assert logged_in.header("content-type") == "application/x-www-form-urlencoded"


WILD = st.text(max_size=20) | st.sampled_from(
    ["../admin", "%2e%2e", "a/b", "x?y", "x#y", "a\r\nHost: evil", "\\", "//", "a;b"]
)


@given(order=WILD, item=st.integers() | WILD)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_argument_changes_where_a_call_goes(agent, api, order, item):
    api.reset()
    got = agent.call("get_orders_orderId_items_item", {"orderId": order, "item": item})
    if not api.asked:
        assert got.result["isError"] is True
        return
    (asked,) = api.asked
    assert asked.method == "GET"
    assert (asked.query, asked.body) == ("", b"")
    assert asked.path.split("/")[:3] == ["", "api", "orders"]
    for path in (asked.path, unquote(asked.path)):
        assert len(path.split("/")) == 6
    assert unquote(asked.path.split("/")[3]) == order
    assert asked.header("host") == api.url.removeprefix("http://")
    names = [name for name, _ in asked.headers]
    assert sorted(names) == ["accept", "accept-encoding", "content-length", "host", "traceparent", "x-orders-key"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("getOrder", {}, "required"),
        ("getOrder", {"orderId": 7}, "type"),
        ("getOrder", {"orderId": "a/../b"}, "one segment of the path"),
        ("getOrder", {"orderId": "a", "x-orders-key": "mine"}, "additionalProperties"),
        ("listOrders", {"limit": 101}, "maximum"),
        ("listOrders", {"X-Request-Reason": "a\r\nhost: evil"}, "goes into a header"),
        ("createOrder", {"body": {"customer": "c"}}, "too involved to say where"),
    ],
)
def test_arguments_that_do_not_fit_never_leave_and_are_recorded(agent, api, events, name, arguments, said):
    got = agent.call(name, arguments)
    assert got.result["isError"] is True
    assert said in got.result["content"][0]["text"]
    assert api.asked == []
    (denied,) = events()
    assert (denied["kind"], denied["object"]) == ("denied", f"orders/{name}")
    assert denied["leaf"]["reasons"] == ["arguments.invalid"]


def test_a_tool_that_may_not_be_called_is_unknown_and_recorded_with_its_reason(agent, api, events):
    got = agent.call("cancelOrder", {"orderId": "7"})
    assert got.error["message"] == "Unknown tool: cancelOrder"
    assert api.asked == []
    (denied,) = events()
    assert denied["object"] == "orders/cancelOrder"
    assert denied["leaf"]["reasons"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(agent, api, events, status):
    async def away(asked, send):
        headers = [(b"location", f"{api.url}/elsewhere?key={KEY}".encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    api.answer = away
    got = agent.call("getOrder", {"orderId": "7"})
    assert got.result["isError"] is True
    assert f"HTTP {status}" in got.result["content"][0]["text"]
    assert "elsewhere" not in got.body.decode()
    assert len(api.asked) == 1
    assert events()[-1]["result"] == "tool_error"


@pytest.mark.parametrize("status", [200, 201, 400, 401, 500])
@pytest.mark.parametrize("kind", [b"application/json", b"text/plain", b"application/octet-stream"])
def test_a_reflected_secret_never_comes_back(agent, api, events, status, kind):
    async def reflect(asked, send):
        said = json.dumps({"key": asked.header("x-orders-key"), "again": KEY[::-1]}).encode()
        await reply(send, said, status=status, kind=kind)

    api.answer = reflect
    got = agent.call("getOrder", {"orderId": "7"})
    assert got.status == 200
    assert api.asked[0].header("x-orders-key") == KEY
    for text in (got.body.decode(), json.dumps(events())):
        assert KEY not in text
        assert KEY[::-1] not in text


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"x" * (1 << 21), "upstream_too_large"),
        (None, "upstream_closed"),
    ],
)
def test_an_answer_beyond_the_limits_is_a_failure_with_its_record(agent, api, events, answer, code):
    async def hostile(asked, send):
        if answer is None:
            raise RuntimeError("it hangs up")
        await reply(send, answer, kind=b"text/plain")

    async def broken(asked, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"ab"})

    api.answer = broken if answer is None else hostile
    got = agent.call("createOrder", {"body": {"customer": "c", "lines": [{"sku": "a", "count": 1}]}})
    assert got.error["data"] == {"code": code, "sent": True}
    intent, outcome = events()
    assert (intent["kind"], outcome["result"]) == ("intent", code.removeprefix("upstream_"))
    assert len(api.asked) == 1, "nothing is sent twice"


def test_without_a_log_nothing_reaches_the_api(agent, api, admin, events):
    order = {"body": {"customer": "c", "lines": [{"sku": "a", "count": 1}]}}
    function = "FUNCTION audit_append(jsonb)"
    admin.execute(f"REVOKE EXECUTE ON {function} FROM hanse_gateway")
    try:
        got = agent.call("createOrder", order)
        assert (got.status, got.error["data"]["code"]) == (503, "audit_unavailable")
        assert api.asked == []
        assert events() == []
    finally:
        admin.execute(f"GRANT EXECUTE ON {function} TO hanse_gateway")
    wait_until(lambda: agent.call("createOrder", order).status == 200, "the gateway does not recover")


def test_a_slow_answer_ends_at_the_deadline(agent, api, events):
    held = asyncio.Event()

    async def never(asked, send):
        await asyncio.wait_for(held.wait(), 10)

    api.answer = never
    got = agent.call("getOrder", {"orderId": "7"})
    assert got.error["data"]["code"] == "upstream_timeout"
    assert events()[-1]["result"] == "timeout"


def test_another_address_gets_no_credential(agent, api, admin, estate, upstream, gateway):
    """The credential is bound to its origin: an API that moved is not called with it."""
    upstream.reset()
    server = estate.ids["server:orders"]
    try:
        admin.execute("UPDATE registry_server SET url = %s WHERE id = %s", (f"{upstream.url}/api", server))
        wait_until(lambda: agent.call("getOrder", {"orderId": "1"}).status == 503, "the new address is not known")
    finally:
        admin.execute("UPDATE registry_server SET url = %s WHERE id = %s", (f"{api.url}/api/", server))
    assert upstream.seen == []
    wait_until(lambda: agent.call("getOrder", {"orderId": "1"}).status == 200, "the old address is not back")


def test_a_plan_that_was_tampered_with_calls_nothing(agent, api, admin, estate):
    tool = estate.ids["tool:orders/getOrder"]
    before = admin.execute("SELECT definition FROM registry_tool WHERE id = %s", (tool,)).fetchone()[0]
    bent = {**before, "request": {**before["request"], "path": "//evil.example/{orderId}"}}
    change = "UPDATE registry_tool SET definition = %s WHERE id = %s"
    try:
        admin.execute(change, (json.dumps(bent), tool))
        wait_until(lambda: _is_error(agent.call("getOrder", {"orderId": "1"})), "the bent plan is not known")
        api.reset()
        assert "plan" in agent.call("getOrder", {"orderId": "1"}).result["content"][0]["text"]
        assert api.asked == []
    finally:
        admin.execute(change, (json.dumps(before), tool))
    wait_until(lambda: not _is_error(agent.call("getOrder", {"orderId": "1"})), "the plan is not back")


def _is_error(got) -> bool:
    return got.result.get("isError", False)


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_the_sdk_client_lists_and_calls_an_operation(gateway, estate, tokens, delegation, api, mode):
    async def run():
        headers = {"Authorization": f"Bearer {tokens.mint(dlg=delegation)}"}
        url = f"{gateway.url}/mcp/{estate.team}"
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            SdkClient(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            listed = await client.list_tools()
            answer = await client.call_tool("orders__getOrder", {"orderId": "7"})
            api.answer = _not_found
            return (
                [tool.name for tool in listed.tools],
                answer,
                await client.call_tool("orders__getOrder", {"orderId": "8"}),
            )

    names, answer, failed = asyncio.run(asyncio.wait_for(run(), 30))
    assert "orders__getOrder" in names
    assert answer.structured_content == {"state": "open", "total": 12.5}
    assert not answer.is_error
    assert failed.is_error
    assert "HTTP 404 Not Found" in failed.content[0].text


async def _not_found(asked, send):
    await reply(send, b'{"detail":"no such order"}', status=404)


@pytest.fixture
def probe(gateway, estate, tokens, delegation):
    """Returns a function that looks at a server as the registry does, with a token for nothing else."""

    def run(uid: str):
        claims = tokens.claims(aud=f"{gateway.url}/-/upstream/{uid}", sub=None, act=None, dlg=None, jti=None)
        header = {"alg": "Ed25519", "typ": "probe+jwt", "kid": estate.signing.kid}
        token = jwt.encode(header, claims, estate.signing, algorithms=["Ed25519"])

        async def asking():
            headers = {"authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
                return await look(streamable_http_client(f"{gateway.url}/-/upstream/{uid}", http_client=http))

        return asyncio.run(asking())

    return run


@pytest.mark.parametrize("status", [200, 204, 401, 404, 405, 500])
def test_a_probe_is_good_when_anything_answers_and_shows_no_credential(probe, api, estate, status):
    async def answer(asked, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    api.answer = answer
    shown = probe(estate.uids["server:orders"])
    assert (shown.ok, list(shown.tools)) == (True, [])
    assert {(asked.method, asked.path) for asked in api.asked} == {("OPTIONS", "/api/")}
    assert all(asked.header("x-orders-key") is None for asked in api.asked)


def test_a_probe_of_an_address_where_nothing_is_fails(probe, admin, estate):
    add_server(admin, estate, "closed", "team", "http://127.0.0.1:1/api", transport="openapi", protocol="")

    def fails() -> bool:
        try:
            probe(estate.uids["server:closed"])
        except (ExceptionGroup, MCPError) as error:
            return "No connection to 127.0.0.1:1" in _reason(error)
        return False

    wait_until(fails, "the probe of a closed port does not fail for that reason")
