"""A document from a stranger: what is wrong is said with its place, and nothing unfolds, recurses or is fetched."""

import json
import socket
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.errors import Invalid
from registry.openapi import reading
from registry.openapi.apis import read_api
from registry.openapi.reading import MAX_BYTES, MAX_DEPTH, read_document
from tests.apis.documents import as_text, document

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "empty", "no document"),
        ("[]", "not_object", "not an object"),
        ("just words", "not_object", "not an object"),
        ('{"openapi": }', "not_json", "line 1, column 13"),
        ('{"a": 1, "a": 2}', "duplicate_key", "“a” twice"),
        ("a: 1\na: 2\n", "duplicate_key", "line 2"),
        ('{"a": NaN}', "number", "NaN"),
        ('{"a": 1e999}', "number", "#/a"),
        ("a: 1e999", "number", "line 1"),
        ('{"a": ' + "9" * 31 + "}", "number", "30 digits"),
        ("a: " + "9" * 31, "number", "30 digits"),
        ('{"a": "\\u0000"}', "text", "#/a"),
        ('{"a": "\\ud800"}', "text", "#/a"),
        ('{"\\u0000": 1}', "text", "cannot be kept"),
        ("a: [1\nb: 2", "not_yaml", "line 2"),
        ("a: \x01", "not_yaml", "neither JSON nor YAML"),
        (LAUGHS, "alias", "line 1"),
        ("a: !!python/object/apply:os.system [id]", "tag", "line 1"),
        ("{[1]: 2}", "not_json", "line 1"),
        ("? [1]\n: 2", "key", "line 1"),
        ("a: 1\n---\nb: 2", "second", "line 2"),
        ("[" * 200, "too_deep", str(MAX_DEPTH)),
        ('{"a":' * 200 + "1" + "}" * 200, "too_deep", str(MAX_DEPTH)),
        ('{"a":' * 100_000, "too_deep", str(MAX_DEPTH)),
        (b"\xff\xfe", "not_text", "byte 0"),
        (b" " * (MAX_BYTES + 1), "too_large", "2,000,001 bytes"),
        (b"x" * 10_000_000, "too_large", "10,000,000 bytes; at most 2,000,000"),
    ],
)
def test_what_cannot_be_read_says_why_and_where(text, code, said):
    with pytest.raises(Invalid) as refused:
        read_document(text)
    assert refused.value.error_code == f"document_{code}"
    assert said in refused.value.message
    assert refused.value.errors == {"document": [refused.value.message]}


@pytest.mark.parametrize("dump", [json.dumps, lambda it: "\n".join(f"k{n}: 1" for n in range(len(it)))])
def test_values_are_counted(dump, monkeypatch):
    monkeypatch.setattr(reading, "MAX_VALUES", 50)
    with pytest.raises(Invalid, match="more than 50 values"):
        read_document(dump({f"k{n}": 1 for n in range(60)}))


def test_json_and_yaml_say_the_same():
    text = "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: 'no', x: no, y: ~, z: 1.5}\n"
    said = {"description": "no", "x": "no", "y": None, "z": 1.5}
    tree = {"openapi": "3.0.3", "paths": {"/a": {"get": {"responses": {"200": said}}}}}
    assert read_document(text) == tree == read_document(json.dumps(tree))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), JSON, max_size=4))
def test_any_json_object_is_read_as_it_is(tree):
    assert read_document(json.dumps(tree)) == tree


@given(st.binary(max_size=300) | st.text(max_size=300))
@settings(max_examples=300)
def test_nothing_else_than_a_refusal_comes_of_anything(text):
    with suppress(Invalid):
        assert isinstance(read_document(text), dict)


REMOTE = ["other.yaml#/Pet", "https://evil.example/x.json", "file:///etc/passwd", "//evil.example/x", "../x.json"]


@pytest.mark.parametrize("ref", REMOTE)
@pytest.mark.parametrize("place", ["schema", "parameter", "path", "component"])
def test_what_refers_outside_is_refused_with_its_place_and_never_fetched(ref, place, monkeypatch):
    def forbidden(*_):
        raise AssertionError("something was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    operation = {
        "schema": {"requestBody": {"content": {"application/json": {"schema": {"$ref": ref}}}}},
        "parameter": {"parameters": [{"$ref": ref}]},
    }.get(place, {})
    tree = document({"/a": {"$ref": ref} if place == "path" else {"post": operation}})
    if place == "component":
        tree["components"] = {"schemas": {"Pet": {"properties": {"x": {"$ref": ref}}}}}
    with pytest.raises(Invalid) as refused:
        read_api(read_document(as_text(tree)))
    assert refused.value.error_code == "document_remote"
    assert ref[:40] in refused.value.message
    where = {"component": "#/components/schemas/Pet/properties/x", "path": "#/paths/~1a "}
    assert where.get(place, "#/paths/~1a/post/") in refused.value.message


def test_the_word_in_an_example_is_no_reference():
    operation = {"requestBody": {"content": {"application/json": {"example": {"$ref": "x.json"}, "schema": {}}}}}
    (found,) = read_api(document({"/a": {"post": operation}})).operations
    assert found.left_out == ""


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ({"swagger": "2.0", "paths": {}}, "version"),
        ({"openapi": "4.0.0", "paths": {}}, "version"),
        ({"openapi": 3.1, "paths": {}}, "version"),
        ({"openapi": "3.1.0"}, "paths"),
        ({"openapi": "3.1.0", "paths": []}, "paths"),
        (document({"/a": {"$ref": "#/nowhere"}}), "path"),
        (document({"/a": {"$ref": "#/paths/~1a"}}), "path"),
        (document({f"/a{n}": {"get": {}} for n in range(2_001)}), "operations"),
    ],
)
def test_what_is_no_document_of_openapi_is_refused(tree, code):
    with pytest.raises(Invalid) as refused:
        read_api(tree)
    assert refused.value.error_code == f"document_{code}"
