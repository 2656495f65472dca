"""Where the credential stands, no argument stands; and nothing goes anywhere but to the server's own address."""

import asyncio

from gateway.credentials import Opened
from gateway.egress import Reply
from gateway.snapshot import Server, Tool
from gateway.surface import Route
from gateway.upstream import Upstream
from gateway.wire import Limits
from gateway.wrapped.request import Request
from kernel.secrets import Secret
from registry.scrub import patterns_for

KEY = b"s3cr3t-key-of-the-orders"
SERVER = Server(1, "u", "orders", "Orders", 1, "", "https://a.example", "a.example", 443, "/api", True, wrapped=True)


class Recording:
    """Stands where the egress stands and keeps what it is told."""

    async def post(self, target, headers, body, **told):
        self.target, self.headers, self.body, self.told = target, headers, body, told
        return Reply(200, [(b"content-type", b"application/json")], b"{}")


def send(request, *secrets):
    egress = Recording()
    upstream = Upstream(egress, None, Limits(), "/nowhere")
    tool = Tool("t", "x", "orders__x", "", SERVER, None, b"{}", b"{}")
    opened = Opened(tuple((name, Secret(value)) for name, value in secrets), patterns_for([KEY]))
    call = "01890000-0000-7000-8000-000000000000"
    answer = asyncio.run(upstream.send(Route(tool, b"", b"", (), None), call, request, opened))
    assert answer.kind == "ok"
    return egress


def test_an_argument_does_not_take_the_place_of_the_credential():
    given = Request(b"GET", "/api/x", ((b"x-key", b"mine"), (b"x-other", b"1")), b"")
    sent = send(given, (b"x-key", KEY)).headers
    assert [value for name, value in sent if name == b"x-key"] == [KEY]
    assert [value for name, value in sent if name == b"x-other"] == [b"1"]


def test_the_request_goes_to_the_server_s_address_with_its_own_path():
    sent = send(Request(b"DELETE", "/api/x?y=1", (), b""))
    assert (sent.target.origin, sent.target.host, sent.target.port, sent.target.uds) == (
        "https://a.example",
        "a.example",
        443,
        None,
    )
    assert (sent.told["verb"], sent.told["path"], sent.told["partition"]) == (b"DELETE", "/api/x?y=1", "u")
    assert [name for name, _ in sent.headers] == [b"traceparent"]
