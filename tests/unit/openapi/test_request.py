"""No argument changes what a plan says: method, host, path segments, names of the query and of headers stay the plan's."""

from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.egress import Target, _encode_request
from gateway.wrapped.request import MAX_TARGET, Unfit, build_request, pattern_of
from registry.openapi.plans import FORM_BODY, JSON_BODY, Body, Part, Plan

PLAIN = (
    st.text(max_size=30)
    | st.sampled_from(
        ["..", ".", "a/b", "a%2Fb", "%2e%2e", "x?y=1", "x#y", "a&b=c", "a\r\nx: y", "a;b", "//e", "\\", "%00"]
    )
    | st.integers()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.none() | PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=8), PLAIN, max_size=3)
PLAN = Plan(
    "PUT",
    "/shelf/{shelf}/book-{book}/pages",
    (
        Part("shelf", "path", "shelf"),
        Part("book", "path", "book", "comma"),
        Part("q", "query", "q", "plain"),
        Part("tags", "query", "tags[]", "repeat"),
        Part("ids", "query", "i&d=s", "comma"),
        Part("filter", "query", "filter", "deep"),
        Part("where", "query", "where", "json"),
        Part("reason", "header", "X-Reason"),
    ),
    Body("body", "application/json", JSON_BODY),
)
NAMES = {part.argument for part in PLAN.parts} | {"body"}
TARGET = Target("http://api.example", "api.example", 80, "/base", tls=False)


def pattern(plan=PLAN, base="/base/"):
    return pattern_of(orjson.dumps(plan.as_json()), base)


def sent(request):
    """Returns the bytes as they leave, apart: an independent reading of them."""
    raw = _encode_request(request.verb, TARGET, request.headers, request.body, b"", request.path)
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line.split(b" "), [header.split(b": ", 1)[0] for header in headers], body


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)))
def test_whatever_the_arguments_the_request_is_the_plan_s(arguments):
    try:
        request = build_request(pattern(), arguments, exact=True)
    except Unfit:
        return
    (verb, target, version), headers, body = sent(request)
    assert (verb, version) == (b"PUT", b"HTTP/1.1")
    parts = urlsplit(target.decode())
    assert (parts.scheme, parts.netloc, parts.fragment) == ("", "", "")
    for path in (parts.path, unquote(parts.path), unquote(unquote(parts.path))):
        segments = path.split("/")
        assert len(segments) == 6, "a router that decodes first finds the same segments"
        assert (segments[:3], segments[5]) == (["", "base", "shelf"], "pages")
        assert segments[4].startswith("book-")
        assert not {"", ".", ".."} & set(segments[1:])
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))]
    plain = {"q", "tags[]", "i&d=s", "where"}
    assert all(
        name in plain or (name.startswith("filter[") and name.count("[") == name.count("]") == 1) for name in names
    )
    allowed = {b"host", b"accept-encoding", b"accept", b"x-reason", b"content-type", b"content-length"}
    assert set(headers) <= allowed
    assert len(headers) == len(set(headers))
    if "body" in arguments:
        assert orjson.loads(body) == pytest.approx(arguments["body"], nan_ok=False) or body
    else:
        assert body == b""


@given(st.text(min_size=1, max_size=40), st.text(max_size=40), st.lists(st.text(max_size=10), max_size=4))
def test_what_is_sent_reads_back_as_what_was_said(shelf, q, tags):
    arguments = {"shelf": shelf, "book": 1, "q": q, "tags": tags}
    try:
        request = build_request(pattern(), arguments, exact=False)
    except Unfit:
        assume(False)
    path, _, query = request.path.partition("?")
    assert unquote(path.split("/")[3]) == shelf
    assert parse_qsl(query, keep_blank_values=True) == [("q", q), *(("tags[]", tag) for tag in tags)]


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "a/b", "/", "\\", "%2F", "%252f", "%2e%2E", "a\x00", "a\r\nb", "\x7f", None, [], ["a", ""], {}],
)
def test_a_part_of_the_path_stays_one_segment(value):
    with pytest.raises(Unfit, match="shelf"):
        build_request(pattern(), {"shelf": value, "book": "1"}, exact=False)


@pytest.mark.parametrize(("x", "y"), [(".", "."), ("a", "."), (".", "a"), ("%2e", "."), ("", "..")])
def test_dots_that_could_meet_are_no_values_either(x, y):
    plan = Plan("GET", "/a/{x}{y}/.{z}", tuple(Part(name, "path", name) for name in "xyz"))
    with pytest.raises(Unfit):
        build_request(pattern(plan), {"x": x, "y": y, "z": "b"}, exact=False)
    with pytest.raises(Unfit):
        build_request(pattern(plan), {"x": "a", "y": "b", "z": "."}, exact=False)
    assert build_request(pattern(plan), {"x": "a", "y": ".b", "z": "c"}, exact=False).path == "/base/a/a.b/.c"


@pytest.mark.parametrize("value", ["", " a", "a ", "a\nb", "a\r\nhost: x", "ü", "\t", "a" * 5_000, {"a": 1}, [["a"]]])
def test_a_header_takes_printable_ascii_only(value):
    with pytest.raises(Unfit):
        build_request(pattern(), {"shelf": "a", "book": "b", "reason": value}, exact=False)


@pytest.mark.parametrize("key", ["", "a]", "[", "a][admin"])
def test_a_key_cannot_close_its_bracket(key):
    with pytest.raises(Unfit, match="filter"):
        build_request(pattern(), {"shelf": "a", "book": "b", "filter": {key: "x"}}, exact=False)


def test_an_address_has_an_end():
    with pytest.raises(Unfit, match=str(MAX_TARGET)):
        build_request(pattern(), {"shelf": "a", "book": "b", "q": "x" * MAX_TARGET}, exact=False)


@given(st.dictionaries(st.text(min_size=1, max_size=10), PLAIN | st.lists(PLAIN, max_size=3), max_size=5))
def test_a_form_reads_back_with_the_fields_it_had(fields):
    plan = Plan("POST", "/f", (), Body("body", "application/x-www-form-urlencoded", FORM_BODY))
    request = build_request(pattern(plan), {"body": fields}, exact=True)
    found = parse_qsl(request.body.decode(), keep_blank_values=True)
    listed = [(key, item) for key, value in fields.items() for item in (value if isinstance(value, list) else [value])]
    assert [key for key, _ in found] == [key for key, _ in listed]
    assert [text for _, text in found if isinstance(text, str)] == [
        item if isinstance(item, str) else orjson.dumps(item).decode() if isinstance(item, bool) else text
        for (_, item), (_, text) in zip(listed, found, strict=True)
    ]


@pytest.mark.parametrize("request_", [b"", b"{", b"null", b"[]", b'{"method":"GET"}'])
def test_without_a_usable_plan_nothing_is_called(request_):
    with pytest.raises(Unfit, match="plan"):
        build_request(pattern_of(request_, "/"), {}, exact=False)


def test_numbers_of_any_size_arrive_as_they_were_said():
    request = build_request(pattern(), {"shelf": 10**30, "book": True, "q": 1.5, "body": {"n": 10**30}}, exact=True)
    assert request.path == f"/base/shelf/{10**30}/book-true/pages?q=1.5"
    assert request.body == b'{"n":1000000000000000000000000000000}'
