"""Who comes in: each way in which a token can be wrong, and what is answered."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey

from tests.gateway.wire_client import Client


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.reset()


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


NOW = time.time

CLAIMS = {
    "no person": ({"sub": None}, "token_claims"),
    "empty person": ({"sub": ""}, "token_claims"),
    "no actor": ({"act": None}, "token_claims"),
    "actor without a subject": ({"act": {}}, "token_claims"),
    "actor as text": ({"act": "builder"}, "token_claims"),
    "no delegation": ({"dlg": None}, "token_claims"),
    "no id": ({"jti": None}, "token_claims"),
    "no end": ({"exp": None}, "token_claims"),
    "end as text": ({"exp": "2099"}, "token_claims"),
    "no beginning": ({"nbf": None}, "token_claims"),
    "no issue time": ({"iat": None}, "token_claims"),
    "tools as text": ({"tools": "books__echo"}, "token_claims"),
    "no audience": ({"aud": None}, "token_claims"),
    "audience list": ({"aud": ["a", "b"]}, "token_claims"),
    "other issuer": ({"iss": "https://other.example"}, "token_issuer"),
    "no issuer": ({"iss": None}, "token_issuer"),
    "other team": ({"aud": "http://127.0.0.1/mcp/rival"}, "token_audience"),
    "audience with a slash": ({"aud": ...}, "token_audience"),
    "expired": ({"exp": -1}, "token_expired"),
    "not yet valid": ({"nbf": 600}, "token_not_yet_valid"),
    "issued in the future": ({"iat": 600}, "token_not_yet_valid"),
    "unknown person": ({"sub": "00000000-0000-7000-8000-000000000000"}, "token_unknown"),
    "unknown agent": ({"act": {"sub": "00000000-0000-7000-8000-000000000000"}}, "token_unknown"),
    "unknown delegation": ({"dlg": "00000000-0000-7000-8000-000000000000"}, "token_unknown"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_token_that_does_not_say_the_right_things_is_refused(client, tokens, upstream, events, case):
    changes, code = CLAIMS[case]
    changes = {
        name: tokens.claims()["aud"] + "/" if value is ... else int(NOW() + value) if isinstance(value, int) else value
        for name, value in changes.items()
    }
    client.token = tokens.mint(**changes)
    got = client.call("books__echo")
    assert (got.status, got.error["data"]["code"]) == (401, code)
    challenge = got.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="invalid_token"')
    assert f'resource_metadata="{client.base}/.well-known/oauth-protected-resource/mcp/ledger"' in challenge
    assert upstream.seen == []
    # Whose token it was is known once its signature holds and it says all that it must: then it is recorded.
    known = code not in {"token_claims", "token_issuer"}
    assert [event["leaf"]["reasons"] for event in events()] == ([[code]] if known else [])


def test_a_little_clock_skew_is_forgiven(client, tokens):
    client.token = tokens.mint(nbf=int(NOW() + 20), iat=int(NOW() + 20))
    assert client.ask("tools/list").status == 200


def hostile_tokens(tokens):
    claims = tokens.claims()
    good = tokens.mint()
    head, body, signature = good.split(".")
    public = json.loads((tokens.estate.keys / "token.jwks.json").read_text())["keys"][0]
    raw_public = base64.urlsafe_b64decode(public["x"] + "==")
    kid = public["kid"]

    def signed(header: dict, sign) -> str:
        text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{text}.{b64(sign(text.encode()))}"

    yield "no signature", f"{head}.{body}."
    yield "alg none", signed({"alg": "none", "kid": kid}, lambda _: b"")
    for secret in (raw_public, public["x"].encode(), json.dumps(public).encode()):
        yield (
            "public key as HMAC secret",
            signed({"alg": "HS256", "kid": kid}, lambda text, key=secret: hmac.new(key, text, hashlib.sha256).digest()),
        )
    yield (
        "another key under our id",
        jwt.encode(
            {"alg": "Ed25519", "kid": kid, "typ": "at+jwt"},
            claims,
            OKPKey.generate_key("Ed25519"),
            algorithms=["Ed25519"],
        ),
    )
    own = OKPKey.generate_key("Ed25519")
    yield (
        "key brought along",
        jwt.encode(
            {"alg": "Ed25519", "kid": kid, "jwk": own.as_dict(private=False)}, claims, own, algorithms=["Ed25519"]
        ),
    )
    yield "another curve", jwt.encode({"alg": "ES256", "kid": kid}, claims, ECKey.generate_key("P-256"))
    yield "shared secret", jwt.encode({"alg": "HS256", "kid": kid}, claims, OctKey.generate_key(256))
    yield "unknown key id", tokens.mint(header={"kid": "other"})
    yield "no key id", tokens.mint(header={"kid": ""})
    yield "another type", tokens.mint(header={"typ": "oauth-id-jag+jwt"})
    yield "changed body", f"{head}.{b64(json.dumps({**claims, 'sub': 'x'}).encode())}.{signature}"
    yield "changed signature", f"{head}.{body}.{b64(bytes(64))}"
    yield "cut", good[:-10]
    yield "two parts", f"{head}.{body}"
    yield "five parts", f"{good}.a.b"
    yield "not base64", "!!!.###.$$$"
    yield "empty parts", ".."
    yield "very long", "a" * 10_000
    yield "claims that are no object", jwt_of_list(tokens)


def jwt_of_list(tokens) -> str:
    from joserfc import jws

    header = {"alg": "Ed25519", "kid": tokens.estate.signing.kid}
    return jws.serialize_compact(header, b"[1]", tokens.estate.signing, algorithms=["Ed25519"])


def test_no_forged_token_comes_in(client, tokens, upstream):
    tried = 0
    for name, token in hostile_tokens(tokens):
        client.token = token
        got = client.call("books__echo")
        assert got.status == 401, name
        assert 'error="invalid_token"' in got.headers["www-authenticate"], name
        tried += 1
    assert tried >= 20
    assert upstream.seen == []


@pytest.mark.parametrize("value", ["", "Basic YTpi", "Bearer", "Bearer ", "token x"])
def test_another_scheme_is_no_token(client, value):
    client.token = None
    headers = [*client.headers(), ("Authorization", value)]
    assert client.send(b"{}", headers).status == 401


def test_who_shows_no_token_is_told_where_to_get_one_and_of_no_error(gateway, estate):
    got = Client(gateway.url, f"/mcp/{estate.team}", None).call("books__echo")
    assert got.status == 401
    where = f"{gateway.url}/.well-known/oauth-protected-resource/mcp/{estate.team}"
    assert got.headers["www-authenticate"] == f'Bearer resource_metadata="{where}"'


def test_the_challenge_does_not_tell_which_teams_exist(gateway):
    answers = [Client(gateway.url, f"/mcp/{team}", None).call("x") for team in ("ledger", "nobody")]
    assert answers[0].body == answers[1].body
    assert answers[0].headers["www-authenticate"].replace("ledger", "nobody") == answers[1].headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/mcp/ledger", "/mcp/ledger/books", "/mcp/nobody"])
def test_metadata_names_the_exact_resource(gateway, path):
    got = Client(gateway.url, "", None).send(b"", [], method="GET", path=f"/.well-known/oauth-protected-resource{path}")
    assert got.status == 200
    assert got.json["resource"] == gateway.url + path
    assert got.json["authorization_servers"] == [gateway.url]
    assert got.json["bearer_methods_supported"] == ["header"]
    assert got.headers["access-control-allow-origin"] == "*"


def test_a_server_s_token_does_not_open_the_team(client, tokens, estate):
    client.token = tokens.mint(aud=f"{tokens.base}/mcp/{estate.team}/books")
    assert client.ask("tools/list").status == 401
    client.path = f"/mcp/{estate.team}/theirs"
    assert client.ask("tools/list").status == 401


def test_a_token_may_name_fewer_tools(client, tokens, upstream, events):
    client.token = tokens.mint(tools=["books__write", "theirs__echo"])
    assert [tool["name"] for tool in client.ask("tools/list").result["tools"]] == ["books__write"]
    assert client.call("books__echo").error["message"] == "Unknown tool: books__echo"
    assert upstream.seen == []
    assert events()[-1]["leaf"]["reasons"] == ["token.tool_not_named"]


def test_two_calls_on_one_connection_are_two_callers(gateway, estate, tokens, client):
    import http.client
    from urllib.parse import urlsplit

    from tests.gateway.wire_client import modern, modern_headers

    place = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(place.hostname, place.port)
    message = modern("tools/list")
    seen = []
    for token in (tokens.mint(), tokens.mint(tools=["books__echo"]), tokens.mint()):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **modern_headers(message)}
        connection.request("POST", client.path, json.dumps(message), headers)
        seen.append([tool["name"] for tool in json.loads(connection.getresponse().read())["result"]["tools"]])
    connection.close()
    both = ["books__echo", "books__write"]
    assert seen == [both, ["books__echo"], both]


def test_a_key_that_is_taken_away_closes_the_door(client, tokens, estate):
    path = estate.keys / "token.jwks.json"
    kept = path.read_bytes()
    assert client.ask("tools/list").status == 200
    try:
        path.write_text('{"keys": []}')
        until = time.monotonic() + 10
        while client.ask("tools/list").status != 401:
            assert time.monotonic() < until, "the old key still opens"
    finally:
        path.write_bytes(kept)
    until = time.monotonic() + 10
    while client.ask("tools/list").status != 200:
        assert time.monotonic() < until, "the key does not come back"
