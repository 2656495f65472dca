"""Input schemas come from servers that nobody trusts: none reaches out, none runs without end, none is read loosely."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.rules import faults_of
from registry.schemas import MAX_EXPANSIONS, Unusable, compile_schema


def doubling(levels: int, how: str) -> dict:
    """Returns a small schema that is looked at 2 to the power of `levels` times."""
    parts = {f"a{level}": {how: [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)}
    return {"type": "object", "$ref": "#/$defs/a0", "$defs": {**parts, f"a{levels}": {"type": "object"}}}


def anchored(levels: int) -> dict:
    parts = {
        f"a{level}": {"$anchor": f"a{level}", "anyOf": [{"$ref": f"#a{level + 1}"}] * 2} for level in range(levels)
    }
    last = {f"a{levels}": {"$anchor": f"a{levels}", "type": "object"}}
    return {"type": "object", "$ref": "#a0", "$defs": {**parts, **last}}


CLOSED = {
    "reaches out": {"$ref": "https://elsewhere.example/x"},
    "reads a file": {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
    "leads nowhere": {"$ref": "#/$defs/nothing"},
    "not a schema": {"type": "wat"},
    "of an unknown draft": {"$schema": "https://elsewhere.example/draft"},
    "another schema inside": {"properties": {"a": {"$id": "https://elsewhere.example/x"}}},
    "a slow pattern that forbids": {"not": {"properties": {"a": {"pattern": "(?=x)"}}}},
    "a slow pattern for names": {"patternProperties": {"(?=x)": {}}},
    "a chain without end": {
        "$ref": "#/$defs/a0",
        "$defs": {f"a{level}": {"$ref": f"#/$defs/a{level + 1}"} for level in range(3_000)},
    },
    **{f"doubles by {how}": doubling(40, how) for how in ("allOf", "anyOf", "oneOf")},
    "doubles by anchors": anchored(40),
}


@pytest.mark.parametrize("case", CLOSED)
def test_it_is_not_used(case):
    with pytest.raises(Unusable):
        compile_schema(CLOSED[case])


@pytest.mark.parametrize("case", ["reaches out", "not a schema", "doubles by anyOf"])
def test_who_approves_tools_is_told(case):
    faults = faults_of({"name": "x", "inputSchema": {**CLOSED[case], "type": CLOSED[case].get("type", "object")}})
    assert any(fault.startswith("inputSchema: ") for fault in faults)


def test_a_pattern_runs_in_linear_time():
    shape = compile_schema({"properties": {"a": {"pattern": "^(a+)+$"}}})
    assert shape.fault({"a": "a" * 100_000}) is None
    assert shape.fault({"a": "a" * 100_000 + "b"}) == 'at /a: "pattern": "^(a+)+$"'


@pytest.mark.parametrize("pattern", [r"^(?!\.)x", r"(a)\1", "(?=a)b", "(?<=a)b", "a{1000}{1000}"])
def test_a_pattern_that_cannot_is_left_to_the_server_and_nothing_else_is(pattern):
    shape = compile_schema(
        {"properties": {"pattern": {"anyOf": [{"type": "string", "pattern": pattern, "maxLength": 3}]}}}
    )
    assert shape.fault({"pattern": "zzz"}) is None
    assert shape.fault({"pattern": "zzzz"}) == 'at /pattern: "anyOf"'


def test_what_contains_itself_ends():
    branch = {"properties": {"c": {"$ref": "#/$defs/n"}}}
    schema = {
        "$ref": "#/$defs/n",
        "$defs": {"n": {"anyOf": [{**branch, "required": ["x"]}, {**branch, "required": ["y"]}]}},
    }
    value: dict = {}
    for _ in range(60):
        value = {"c": value}
    assert compile_schema(schema).fault(value) == "it is too involved to say where"


def test_drafts_differ_as_they_say():
    tuples = {"properties": {"a": {"items": [{"type": "string"}]}}}
    assert compile_schema({"$schema": "http://json-schema.org/draft-07/schema#", **tuples}).fault({"a": [1]})
    with pytest.raises(Unusable):
        compile_schema(tuples)


def test_a_fault_is_short_and_quotes_no_value():
    shape = compile_schema({"properties": {"a": {"enum": ["x" * 1_000]}}, "additionalProperties": {"type": "null"}})
    for value in ({"a": "my-secret"}, {"k" * 10_000: "my-secret"}):
        fault = shape.fault(value)
        assert fault is not None
        assert len(fault) < 500
        assert "my-secret" not in fault


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
keywords = st.sampled_from(
    ["type", "properties", "items", "$ref", "allOf", "anyOf", "not", "pattern", "required", "$id", "$anchor", "enum"]
)


@given(
    st.dictionaries(keywords, json_values, max_size=5), st.dictionaries(st.text(max_size=5), json_values, max_size=3)
)
def test_any_schema_is_used_or_refused_and_any_arguments_pass_or_fail(schema, arguments):
    try:
        shape = compile_schema(schema)
    except Unusable:
        return
    fault = shape.fault(arguments)
    assert fault is None or fault


def test_the_limit_leaves_room_for_what_is_real():
    wide = {"type": "object", "properties": {f"p{n}": {"type": "string", "enum": ["a", "b"]} for n in range(500)}}
    assert compile_schema(wide).fault({"p7": "c"}) == 'at /p7: "enum": ["a", "b"]'
    assert MAX_EXPANSIONS >= 20_000
