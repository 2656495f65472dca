"""`./manage.py call` where something else answers than a gateway: one line, no traceback."""

import httpx2
import pytest

from kernel.errors import Unavailable
from portal.calling import read_body

PORTAL = httpx2.Request("POST", "http://localhost:8000/mcp/checkout")


@pytest.mark.parametrize("body", [b"<html>Not found</html>", b"", b"[]", b"null"])
def test_what_is_no_gateway_is_named(body):
    with pytest.raises(Unavailable, match="http://localhost:8000/mcp/checkout"):
        read_body(httpx2.Response(404, content=body, request=PORTAL))


def test_an_error_of_the_gateway_is_an_answer():
    answer = httpx2.Response(400, content=b'{"error": {"code": -32602}}', request=PORTAL)
    assert read_body(answer) == {"error": {"code": -32602}}
