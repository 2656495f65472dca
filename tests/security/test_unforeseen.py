"""What nobody foresaw: the caller learns that it happened, the operator where, and nobody what was in it."""

import asyncio
import json
import logging
from pathlib import Path

from gateway.app import Gateway, Settings

CANARY = "canary-in-an-exception-5d1f"


def ask(gateway):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"{}", "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/mcp/ledger", "query_string": b"", "headers": [(b"host", b"h")]}
    asyncio.run(gateway(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_an_unforeseen_error_shows_nothing_of_itself_to_anybody(monkeypatch, caplog):
    settings = Settings("http://h", "http://h", "", Path("none"), Path("none"), Path("none"), ("h",))
    gateway = Gateway(settings)

    def fail(_headers):
        raise ValueError(CANARY)

    monkeypatch.setattr(gateway, "_check_host", fail)
    with caplog.at_level(logging.ERROR):
        status, body = ask(gateway)
    assert status == 500
    assert json.loads(body)["error"]["data"] == {"code": "internal"}
    assert "unforeseen ValueError at test_unforeseen.py:" in caplog.text
    assert "app.py:" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in body.decode()
