"""Operations of an HTTP API as tools: the same steps as for any tool, and nothing of the plan that an argument could bend."""

import json
from datetime import UTC, datetime

import psycopg
import pytest

from registry.sealing import seal
from tests.gateway.api import Api, described
from tests.gateway.estate import add_delegation, add_server, add_tool, insert
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
