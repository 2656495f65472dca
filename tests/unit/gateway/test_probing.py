"""A probe looks and calls nothing, whoever reads its message."""

import json

import pytest

from gateway.probing import METHODS, _read_look
from gateway.wire import Refusal


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","METHOD":"tools/call"}',
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]',
        b'{"jsonrpc":"2.0","id":1,"method":["tools/list"]}',
        b'{"jsonrpc":"2.0","id":1}',
        b"{",
    ],
)
def test_no_reading_of_a_look_is_a_call(body):
    with pytest.raises(Refusal):
        _read_look(body, {}, 64)


def test_a_header_that_says_something_else_is_refused():
    with pytest.raises(Refusal):
        _read_look(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {b"mcp-method": b"tools/call"}, 64)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_look_goes_through_as_it_was_meant(method):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"cursor": "ä"}}
    assert json.loads(_read_look(json.dumps(message).encode(), {b"mcp-method": method.encode()}, 64)) == message
