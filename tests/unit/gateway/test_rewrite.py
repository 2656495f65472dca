"""JSON in and out: nothing lost, nothing hidden."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rewrite import decode_header, encode_header, last_event, open_response, read_json, write_json
from gateway.wire import Refusal

DEPTH = 64
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [":", '":', "\\u003a", '"', "\\"]
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**40), 10**40)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
spellings = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 1}, {"ensure_ascii": False}])


def exactly(value):
    """1, 1.0 and True are equal in Python and three things in JSON."""
    return json.dumps(value, sort_keys=True)


@given(values, spellings)
def test_what_is_read_and_written_again_is_the_same(value, spelling):
    body = json.dumps(value, **spelling).encode()
    read, exact = read_json(body, depth=DEPTH)
    assert exactly(json.loads(write_json(read, exact=exact))) == exactly(value)


@given(st.dictionaries(texts, values, min_size=1, max_size=4), st.data(), spellings, st.booleans())
def test_a_key_that_comes_twice_is_refused_wherever_it_is(value, data, spelling, escaped):
    key = data.draw(st.sampled_from(sorted(value)))
    again = json.dumps(data.draw(values), **spelling)
    name = (
        '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in key) + '"' if escaped else json.dumps(key)
    )
    inner = json.dumps(value, **spelling).rstrip()[:-1] + f",{name}:{again}" + "}"
    for body in (inner, f'{{"a":[{inner}]}}', f'[1,{{"x\\u003a":":"}},{inner}]'):
        with pytest.raises(Refusal) as caught:
            read_json(body.encode(), depth=DEPTH)
        assert caught.value.error_code == "json_duplicate_key"


@pytest.mark.parametrize(("depth", "fits"), [(1, True), (63, True), (64, True), (65, False), (200, False)])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded_exactly(depth, fits, opening, closing):
    body = (opening * depth + "1" + closing * depth).encode()
    if fits:
        read_json(body, depth=DEPTH)
    else:
        with pytest.raises(Refusal):
            read_json(body, depth=DEPTH)


def test_many_brackets_side_by_side_are_not_deep():
    assert read_json(b"[" + b"[]," * 1000 + b"[]]", depth=DEPTH)[0] == [[]] * 1001


@given(
    st.dictionaries(texts, values, max_size=4),
    st.integers(1, 2**40),
    spellings,
    st.permutations(["jsonrpc", "id", "result"]),
)
def test_a_result_is_found_whole_in_any_spelling(result, sent, spelling, order):
    members = {"jsonrpc": "2.0", "id": sent, "result": result}
    body = json.dumps({name: members[name] for name in order}, **spelling).encode()
    response, raw = open_response(body, str(sent).encode())
    found = json.loads(raw) if raw is not None else response["result"]
    assert exactly(found) == exactly(result)


@given(st.dictionaries(texts, values, max_size=3), st.binary(max_size=20))
def test_what_follows_a_result_never_passes_as_part_of_it(result, tail):
    body = b'{"jsonrpc":"2.0","id":7,"result":' + json.dumps(result).encode() + b"," + tail + b"}"
    try:
        response, raw = open_response(body, b"7")
    except ValueError:
        return
    assert raw is None or json.loads(raw) == response["result"]


@pytest.mark.parametrize("id_", ["8", "true", "null", '"7"', "7.5", "[7]"])
def test_a_response_to_something_else_is_refused(id_):
    for body in (f'{{"jsonrpc":"2.0","id":{id_},"result":{{}}}}', f'{{"result":{{}},"jsonrpc":"2.0","id":{id_}}}'):
        with pytest.raises(ValueError):
            open_response(body.encode(), b"7")


@given(texts)
def test_a_header_says_what_was_put_in(value):
    encoded = encode_header(value)
    assert decode_header(b"  " + encoded + b"\t") == value
    assert all(0x20 <= byte <= 0x7E for byte in encoded)


@pytest.mark.parametrize(
    "value", ["=?base64?!?=", "=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?=", "=?base64? YQ==?="]
)
def test_a_broken_encoding_says_nothing(value):
    assert decode_header(value.encode()) is None


def test_our_header_codec_agrees_with_the_official_one():
    from mcp.shared import inbound

    for value in ["", "a", "a b", " a", "é", "\U0001f600", "=?base64?YQ==?=", "x\ny", "=?base64?x"]:
        assert encode_header(value).decode() == inbound.encode_header_value(value)
        assert inbound.decode_header_value(encode_header(value).decode()) == value


def test_the_last_event_that_answers_is_the_answer():
    stream = b'data: {"method":"x"}\n\ndata: {"id":1,\ndata: "result":{}}\n\ndata: {"id":2,"result":{}}\n\n'
    assert json.loads(last_event(stream, b"1")) == {"id": 1, "result": {}}
    assert last_event(stream, b"3") == b""
