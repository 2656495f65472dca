"""What an API answered becomes a result: never more of it than was asked for, and no secret in what is cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials import Opened
from gateway.egress import Reply
from gateway.upstream import Answer
from gateway.wire import Era
from gateway.wrapped.answer import MAX_ERROR_TEXT, read_result
from kernel.secrets import Secret
from registry.scrub import patterns_for

NOTHING = Opened((), patterns_for([]))
KEY = b"s3cr3t-key-of-the-orders"
HELD = Opened(((b"x-key", Secret(KEY)),), patterns_for([KEY]))


def read(status=200, body=b"", kind=b"application/json", opened=NOTHING):
    headers = [(b"content-type", kind)] if kind else []
    said, result, raw = read_result(Reply(status, headers, body), opened)
    assert json.loads(raw) == result
    return said, result


def text_of(result):
    (block,) = result["content"]
    assert block["type"] == "text"
    return block["text"]


@pytest.mark.parametrize(
    ("body", "structured"),
    [
        (b'{"a":1}', {"a": 1}),
        (b"[1,2]", {"result": [1, 2]}),
        (b"7", {"result": 7}),
        (b"null", {"result": None}),
        (b'{"n":123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
    ],
)
def test_json_is_given_as_text_and_as_structure(body, structured):
    kind, result = read(body=body, kind=b"application/problem+json; charset=utf-8")
    assert kind == "ok"
    assert text_of(result) == body.decode()
    assert result["structuredContent"] == structured
    assert json.loads(Answer(kind, result).result_for(Era.LEGACY))["structuredContent"] == structured


@pytest.mark.parametrize(
    "body", [b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"[" * 100 + b"]" * 100, b'{"a":1e999}', b"[" * 100_000]
)
def test_json_that_is_none_as_we_read_it_is_only_text(body):
    kind, result = read(body=body)
    assert (kind, text_of(result)) == ("ok", body.decode())
    assert "structuredContent" not in result


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("grün".encode(), b"text/plain", "grün"),
        ("grün".encode("latin-1"), b"text/plain; charset=ISO-8859-1", "grün"),
        (b"<a/>", b"application/xml", "<a/>"),
        (b"plain", b"", "plain"),
        (b"", b"application/json", "HTTP 200 OK, without a body."),
        (b"\x89PNG", b"image/png", "HTTP 200 OK: 4 bytes of image/png, which are not shown."),
        (b"\xff\xff", b"text/plain", "HTTP 200 OK: 2 bytes of text/plain, which are not shown."),
        (b"a\0b", b"", "HTTP 200 OK: 3 bytes of an unnamed type, which are not shown."),
        (
            "x".encode("utf-16"),
            b"text/plain; charset=utf-16",
            "HTTP 200 OK: 4 bytes of text/plain, which are not shown.",
        ),
        (b"x", b"a/\xff\x01", "HTTP 200 OK: 1 bytes of an unnamed type, which are not shown."),
    ],
)
def test_other_bodies_are_text_or_a_note(body, kind, text):
    assert read(body=body, kind=kind) == ("ok", {"resultType": "complete", "content": [{"type": "text", "text": text}]})


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 429, 500, 503, 599])
def test_a_refusal_is_a_failure_of_the_tool_with_its_status(status):
    kind, result = read(status, b'{"detail":"the reason"}')
    assert (kind, result["isError"]) == ("tool_error", True)
    assert text_of(result).startswith(f"HTTP {status}")
    assert ("the reason" in text_of(result)) == (status >= 400)
    assert "structuredContent" not in result


@given(st.integers(0, 60), st.integers(0, 40))
def test_a_body_that_is_cut_holds_no_half_of_a_secret(before, after):
    body = b"x" * (MAX_ERROR_TEXT - before) + KEY + b"y" * after
    _, result = read(500, body, b"text/plain", HELD)
    said = text_of(result)
    assert len(said) <= MAX_ERROR_TEXT + 60
    assert not any(KEY[:size].decode() in said for size in range(6, len(KEY) + 1))


@given(
    st.integers(100, 599), st.binary(max_size=200), st.sampled_from([b"", b"application/json", b"text/html", b"x/y"])
)
def test_any_answer_makes_a_result_that_can_be_written(status, body, kind):
    said, result = read(status, body, kind, HELD)
    assert said in {"ok", "tool_error"}
    clean, _ = Answer(said, result).scrubbed(HELD.patterns)
    for era in Era:
        assert json.loads(clean.result_for(era))["content"]
