"""Each input that is refused: its status, its number, its stable code; and that nothing goes upstream for it."""

import json

import pytest

from tests.gateway.wire_client import META, VERSION, modern, modern_headers


@pytest.fixture(autouse=True)
def nothing_goes_upstream(upstream):
    upstream.reset()
    yield
    assert upstream.seen == []


CALL = modern("tools/call", {"name": "books__echo", "arguments": {}})


def body_of(**changes):
    message = {**CALL, **changes}
    return json.dumps({key: value for key, value in message.items() if value is not ...}).encode()


def with_meta(**changes):
    meta = {key: value for key, value in {**META, **changes}.items() if value is not ...}
    return body_of(params={**CALL["params"], "_meta": meta})


NESTED = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"books__echo","arguments":{"a":%s%s}}}'
KEY_VERSION, KEY_CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"

BODIES = {
    "not json": (b"{", 400, -32700, "json_invalid"),
    "empty": (b"", 400, -32700, "json_invalid"),
    "byte order mark": (b"\xef\xbb\xbf" + body_of(), 400, -32700, "json_invalid"),
    "not utf-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', 400, -32700, "json_invalid"),
    "NaN": (b'{"jsonrpc":"2.0","id":NaN,"method":"x"}', 400, -32700, "json_invalid"),
    "lone surrogate": (b'{"jsonrpc":"2.0","id":"\\ud800","method":"x"}', 400, -32700, "json_invalid"),
    "lone surrogate beside a long number": (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800","arguments":{"a":%s}}}'
        % (b"1" * 30),
        400,
        -32700,
        "json_invalid",
    ),
    "infinite number beside a long number": (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1e999,%s]}}}'
        % (b"1" * 30),
        400,
        -32700,
        "json_invalid",
    ),
    "endless number": (b'{"jsonrpc":"2.0","id":' + b"9" * 9000 + b',"method":"x"}', 400, -32700, "json_invalid"),
    "duplicate key": (body_of()[:-1] + b', "id": 2}', 400, -32700, "json_duplicate_key"),
    "duplicate key deep inside": (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"a":1,"a":2}}}',
        400,
        -32700,
        "json_duplicate_key",
    ),
    "duplicate key behind an escape": (
        b'{"jsonrpc":"2.0","id":1,"\\u003a":"\\u003a:","method":"x","params":{"a":1,"\\u0061":2}}',
        400,
        -32700,
        "json_duplicate_key",
    ),
    "duplicate key hidden by an escaped colon": (
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\\u003a","a":1}}',
        400,
        -32700,
        "json_duplicate_key",
    ),
    "too deep": (NESTED % (b"[" * 100, b"]" * 100), 400, -32600, "json_too_deep"),
    "far too deep": (NESTED % (b"[" * 100_000, b"]" * 100_000), 400, -32700, "json_invalid"),
    "batch": (b"[" + body_of() + b"]", 400, -32600, "batch_refused"),
    "empty batch": (b"[]", 400, -32600, "batch_refused"),
    "not an object": (b'"tools/call"', 400, -32600, "message_malformed"),
    "no version of JSON-RPC": (body_of(jsonrpc=...), 400, -32600, "message_malformed"),
    "wrong version of JSON-RPC": (body_of(jsonrpc="1.0"), 400, -32600, "message_malformed"),
    "no method": (body_of(method=...), 400, -32600, "message_malformed"),
    "a response": (b'{"jsonrpc":"2.0","id":1,"result":{}}', 400, -32600, "message_malformed"),
    "null id": (body_of(id=None), 400, -32600, "id_malformed"),
    "boolean id": (body_of(id=True), 400, -32600, "id_malformed"),
    "fraction as id": (body_of(id=1.5), 400, -32600, "id_malformed"),
    "object as id": (body_of(id={}), 400, -32600, "id_malformed"),
    "very long id": (body_of(id="x" * 1000), 400, -32600, "id_malformed"),
    "params as list": (body_of(params=[]), 400, -32602, "params_malformed"),
    "params as null": (body_of(params=None), 400, -32602, "params_malformed"),
    "no _meta": (body_of(params={"name": "books__echo"}), 400, -32602, "meta_missing"),
    "no version in _meta": (with_meta(**{KEY_VERSION: ...}), 400, -32602, "meta_missing"),
    "no capabilities in _meta": (with_meta(**{KEY_CAPABILITIES: ...}), 400, -32602, "meta_missing"),
    "capabilities that are no object": (with_meta(**{KEY_CAPABILITIES: []}), 400, -32602, "meta_missing"),
    "another version in _meta": (with_meta(**{KEY_VERSION: "2025-11-25"}), 400, -32020, "header_mismatch"),
    "null version in _meta": (with_meta(**{KEY_VERSION: None}), 400, -32020, "header_mismatch"),
    "another method": (body_of(method="tools/list"), 400, -32020, "header_mismatch"),
    "another name": (body_of(params={**CALL["params"], "name": "books__write"}), 400, -32020, "header_mismatch"),
    "no name": (body_of(params={"_meta": META}), 400, -32020, "header_mismatch"),
    "arguments as list": (body_of(params={**CALL["params"], "arguments": []}), 400, -32602, "params_malformed"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_breaks_a_rule_is_refused(client, case):
    body, status, number, code = BODIES[case]
    got = client.send(body, [*client.headers(), *modern_headers(CALL).items()])
    assert (got.status, got.error["code"], got.error["data"]["code"]) == (status, number, code)
    assert got.headers["content-type"] == "application/json"


def without(*names):
    return {name: value for name, value in modern_headers(CALL).items() if name not in names}


HEADERS = {
    "no Mcp-Method": (without("Mcp-Method"), 400, -32020, "header_mismatch"),
    "no Mcp-Name": (without("Mcp-Name"), 400, -32020, "header_mismatch"),
    "no version": (without("MCP-Protocol-Version"), 400, -32020, "header_mismatch"),
    "a handshake version": (
        {**modern_headers(CALL), "MCP-Protocol-Version": "2025-11-25"},
        400,
        -32020,
        "header_mismatch",
    ),
    "broken base64": ({**modern_headers(CALL), "Mcp-Name": "=?base64?!!!?="}, 400, -32020, "header_mismatch"),
    "loose base64": (
        {**modern_headers(CALL), "Mcp-Name": "=?base64?Ym9va3NfX2VjaG9=?="},
        400,
        -32020,
        "header_mismatch",
    ),
    "other case": ({**modern_headers(CALL), "Mcp-Name": "Books__Echo"}, 400, -32020, "header_mismatch"),
    "wrong origin": ({**modern_headers(CALL), "Origin": "https://evil.example"}, 403, -32600, "origin_refused"),
    "null origin": ({**modern_headers(CALL), "Origin": "null"}, 403, -32600, "origin_refused"),
    "compressed": ({**modern_headers(CALL), "Content-Encoding": "gzip"}, 415, -32600, "content_encoding_refused"),
    "accepts only a stream": ({**modern_headers(CALL), "Accept": "text/event-stream"}, 406, -32600, "not_acceptable"),
    "many headers": ({f"X-{i}": "1" for i in range(80)}, 431, -32600, "headers_too_large"),
    "long headers": ({"X-Long": "x" * 20_000}, 431, -32600, "headers_too_large"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_break_a_rule_are_refused(client, case):
    headers, status, number, code = HEADERS[case]
    got = client.send(json.dumps(CALL).encode(), [*client.headers(), *headers.items()])
    assert (got.status, got.error["code"], got.error["data"]["code"]) == (status, number, code)


@pytest.mark.parametrize("name", ["Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "Authorization", "Content-Type"])
def test_a_second_copy_of_a_header_that_decides_is_refused(client, name):
    headers = [*client.headers(), *modern_headers(CALL).items()]
    headers.append(next(pair for pair in headers if pair[0] == name))
    got = client.send(json.dumps(CALL).encode(), headers)
    assert (got.status, got.error["code"], got.error["data"]["code"]) == (400, -32020, "header_duplicate")


def test_a_revision_that_is_not_spoken_names_the_one_that_is(client):
    message = json.loads(json.dumps(CALL).replace(VERSION, "2031-01-01"))
    headers = {**modern_headers(CALL), "MCP-Protocol-Version": "2031-01-01"}
    got = client.send(json.dumps(message).encode(), [*client.headers(), *headers.items()])
    assert (got.status, got.error["code"]) == (400, -32022)
    assert got.error["data"]["supported"] == [VERSION]
    assert got.error["data"]["requested"] == "2031-01-01"


@pytest.mark.parametrize("method", ["ping", "initialize", "prompts/list", "tools/call/x", "logging/setLevel"])
def test_a_method_that_is_not_there_is_404(client, method):
    got = client.ask(method)
    assert (got.status, got.error["code"]) == (404, -32601)
    assert got.json["id"] == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "PATCH", "OPTIONS"])
def test_only_post_carries_messages(client, method):
    got = client.send(b"", client.headers(), method=method)
    assert got.status == 405
    assert got.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/mcp", "/mcp/", "/mcp/a/b/c", "/mcp/Ledger", "/mcp/ledger/", "/mcp/led%20ger", "/mcp/.."]
)
def test_addresses_have_one_shape(client, path):
    got = client.send(json.dumps(CALL).encode(), [*client.headers(), *modern_headers(CALL).items()], path=path)
    assert (got.status, got.error["data"]["code"]) == (404, "address_unknown")


def test_a_host_that_is_not_ours_is_refused(client):
    headers = [("Host", "evil.example"), *client.headers(), *modern_headers(CALL).items()]
    got = client.send(json.dumps(CALL).encode(), headers)
    assert (got.status, got.error["data"]["code"]) == (421, "host_refused")


def test_a_body_of_another_type_is_refused(client):
    headers = [("Authorization", f"Bearer {client.token}"), ("Content-Type", "text/plain")]
    assert client.send(json.dumps(CALL).encode(), headers).status == 415


def test_a_body_over_the_limit_is_refused_unread(client, limits):
    headers = [*client.headers(), *modern_headers(CALL).items(), ("Content-Length", str(100 << 20))]
    got = client.send(b"{", headers)
    assert (got.status, got.error["data"]["code"]) == (413, "request_too_large")


def test_a_body_over_the_limit_that_does_not_say_so_is_refused(client, limits):
    big = json.dumps({**CALL, "params": {**CALL["params"], "arguments": {"text": "x" * limits.body_bytes}}}).encode()
    got = client.send(big, [*client.headers(), *modern_headers(CALL).items()])
    assert (got.status, got.error["data"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("query", ["?access_token=x", "?a=1&Access_Token=x", "?%61ccess_token=x", "?token="])
def test_a_token_in_the_address_is_refused(client, query):
    got = client.send(
        json.dumps(CALL).encode(), [*client.headers(), *modern_headers(CALL).items()], path=client.path + query
    )
    assert (got.status, got.error["data"]["code"]) == (400, "token_in_query")


def test_a_cursor_is_never_ours(client):
    got = client.ask("tools/list", {"cursor": "x"})
    assert (got.status, got.error["code"]) == (400, -32602)


def test_a_notification_is_accepted_and_dropped(client):
    body = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled"}).encode()
    got = client.send(body, [*client.headers(), ("MCP-Protocol-Version", VERSION)])
    assert (got.status, got.body) == (202, b"")


def test_a_tool_is_not_called_by_a_notification(client):
    message = {key: value for key, value in CALL.items() if key != "id"}
    got = client.send(json.dumps(message).encode(), [*client.headers(), *modern_headers(CALL).items()])
    assert got.status == 400


def test_white_space_around_routing_headers_is_no_difference(client, upstream):
    headers = {name: f"  {value}\t " for name, value in modern_headers(CALL).items()}
    message = {**CALL, "method": "tools/list", "params": {"_meta": META}}
    headers["Mcp-Method"] = " tools/list  "
    del headers["Mcp-Name"]
    assert client.send(json.dumps(message).encode(), [*client.headers(), *headers.items()]).status == 200


class TestLegacy:
    """The handshake revisions, each request on its own."""

    @pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
    def test_initialize_answers_with_the_version_asked_for_and_no_session(self, client, version):
        got = client.ask_legacy("initialize", {"protocolVersion": version}, version=None)
        assert got.result["protocolVersion"] == version
        assert "mcp-session-id" not in got.headers

    @pytest.mark.parametrize("version", ["2024-11-05", "2026-07-28", "x"])
    def test_initialize_offers_its_newest_for_any_other(self, client, version):
        got = client.ask_legacy("initialize", {"protocolVersion": version}, version=None)
        assert got.result["protocolVersion"] == "2025-11-25"

    @pytest.mark.parametrize("version", [None, "2025-03-26", "2025-06-18", "2025-11-25"])
    def test_tools_are_listed_without_the_words_of_the_new_revision(self, client, version):
        got = client.ask_legacy("tools/list", version=version)
        assert set(got.result) == {"tools"}

    def test_ping_is_answered(self, client):
        assert client.ask_legacy("ping").result == {}

    def test_a_notification_is_accepted(self, client):
        assert client.ask_legacy("notifications/initialized", id=None).status == 202

    def test_a_batch_is_refused(self, client):
        body = b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'
        assert client.send(body, client.headers()).status == 400

    @pytest.mark.parametrize("method", ["server/discover", "prompts/list", "nothing"])
    def test_a_method_that_is_not_there_is_an_error_in_the_body(self, client, method):
        got = client.ask_legacy(method)
        assert (got.status, got.error["code"]) == (200, -32601)


def test_discovery_says_what_is_spoken(client):
    got = client.ask("server/discover")
    assert got.result["supportedVersions"] == [VERSION]
    assert got.result["resultType"] == "complete"
    assert got.result["cacheScope"] == "private"


@pytest.mark.parametrize("words", ["%0d%0aX-Evil:%20yes", "%22,%20evil=%22", "%00", "%C3%A4"])
def test_a_stranger_s_words_stand_in_no_header(client, words):
    client.token = None
    got = client.send(b"{}", client.headers(), path=f"/-/upstream/{words}")
    assert got.status == 401
    assert got.headers["www-authenticate"] == "Bearer"
    assert "x-evil" not in got.headers
