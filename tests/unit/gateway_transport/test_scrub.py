"""The secret never survives: not in any encoding, at any place, however the reply is cut into pieces."""

import base64
import html
import json
import urllib.parse

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.scrub import MIN_TRANSFORMED, StreamScrubber, patterns_for, scrub, scrub_headers

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=", min_size=8, max_size=48)
AWKWARD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=32)
# A secret of digits only may stand as a bare JSON number, which the docstring of scrub excepts.
SECRET = st.one_of(TOKEN, AWKWARD).filter(lambda secret: not secret.isdigit())
NOISE = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode))


def json_in_json(secret):
    return json.dumps(json.dumps({"a": secret}))


def percent_all(secret):
    return "".join(f"%{byte:02x}" for byte in secret.encode())


def unicode_all(secret):
    return "".join(f"\\u{ord(character):04X}" for character in secret)


def mixed(secret):
    forms = (str, percent_all, unicode_all)
    return "".join(forms[position % 3](character) for position, character in enumerate(secret))


def shifted_base64(shift, encode=base64.b64encode):
    return lambda secret: encode(b"x" * shift + secret.encode() + b"tail")


ENCODINGS = {
    "raw": str,
    "json": json.dumps,
    "json slash": lambda s: json.dumps(s).replace("/", "\\/"),
    "json in json": json_in_json,
    "json html": lambda s: json.dumps(s).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
    "json all escapes": unicode_all,
    "url": lambda s: urllib.parse.quote(s, safe=""),
    "url path": urllib.parse.quote,
    "url plus": urllib.parse.quote_plus,
    "url lower": percent_all,
    "url upper": lambda s: percent_all(s).upper(),
    "mixed": mixed,
    "hex": lambda s: s.encode().hex(),
    "hex upper": lambda s: s.encode().hex().upper(),
    "base64 0": shifted_base64(0),
    "base64 1": shifted_base64(1),
    "base64 2": shifted_base64(2),
    "base64url 0": shifted_base64(0, base64.urlsafe_b64encode),
    "base64url 1": shifted_base64(1, base64.urlsafe_b64encode),
    "base64url 2": shifted_base64(2, base64.urlsafe_b64encode),
    "base64 in json": lambda s: json.dumps(base64.b64encode(s.encode()).decode()).replace("/", "\\/"),
    "base64 in url": lambda s: urllib.parse.quote(base64.b64encode(s.encode()).decode(), safe=""),
    "utf-16le": lambda s: s.encode("utf-16-le"),
    "utf-16be": lambda s: s.encode("utf-16-be"),
    "utf-16 in json": lambda s: json.dumps(s.encode("utf-16-le").decode("latin-1")),
    "swapped": str.swapcase,
    "lower": str.lower,
    "upper": str.upper,
    "reversed": lambda s: s[::-1],
}


def reflect(name, secret):
    form = ENCODINGS[name](secret)
    return form.encode() if isinstance(form, str) else form


def stays(name, secret, clean):
    """Whether the stable heart of the encoding is still to be read."""
    if name.startswith("base64") and "in" not in name:
        shift = int(name[-1])
        encode = base64.urlsafe_b64encode if "url" in name else base64.b64encode
        whole = encode(b"x" * shift + secret.encode())
        return whole[(0, 2, 3)[shift] : (shift + len(secret)) * 8 // 6] in clean
    return reflect(name, secret).strip(b'"') in clean


@pytest.mark.parametrize("name", ENCODINGS)
@settings(max_examples=60, deadline=None)
@given(secret=SECRET, before=NOISE, after=NOISE)
def test_no_encoding_survives_at_any_place(name, secret, before, after):
    clean, count = scrub(before + reflect(name, secret) + after, patterns_for([secret.encode()]))
    assert count >= 1
    assert not stays(name, secret, clean)


@pytest.mark.parametrize("name", ENCODINGS)
@settings(max_examples=40, deadline=None)
@given(secret=SECRET, before=NOISE, after=NOISE, data=st.data())
def test_no_encoding_survives_any_split(name, secret, before, after, data):
    body = before + reflect(name, secret) + after
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    scrubber = StreamScrubber(patterns_for([secret.encode()]))
    pieces = [scrubber.feed(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    clean = b"".join([*pieces, scrubber.finish()])
    assert scrubber.count >= 1
    assert not stays(name, secret, clean)


@settings(max_examples=200, deadline=None)
@given(secret=SECRET, body=st.binary(max_size=300), size=st.integers(1, 50))
def test_a_stream_without_secret_passes_unchanged(secret, body, size):
    patterns = patterns_for([secret.encode()])
    if scrub(body, patterns)[1]:
        return
    scrubber = StreamScrubber(patterns)
    pieces = [scrubber.feed(body[start : start + size]) for start in range(0, len(body), size)]
    assert b"".join([*pieces, scrubber.finish()]) == body
    assert scrubber.count == 0


@settings(max_examples=200, deadline=None)
@given(secret=st.text("ab", min_size=6, max_size=12), body=st.text("ab", max_size=200), size=st.integers(1, 9))
def test_overlapping_places_leave_nothing_in_streams(secret, body, size):
    patterns = patterns_for([secret.encode()])
    scrubber = StreamScrubber(patterns)
    text = body.encode()
    pieces = [scrubber.feed(text[start : start + size]) for start in range(0, len(text), size)]
    clean = b"".join([*pieces, scrubber.finish()])
    assert secret.encode() not in clean
    assert secret.encode() not in scrub(text, patterns)[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    secret=SECRET,
    around=JSON,
    prefix=st.text('\\"nu0041/x', max_size=6),
    suffix=st.text('\\"nu0041/x', max_size=6),
    escape=st.booleans(),
    size=st.integers(1, 64),
)
def test_json_stays_json(secret, around, prefix, suffix, escape, size):
    body = json.dumps({"a": around, "b": prefix + secret + suffix}, ensure_ascii=escape).encode()
    patterns = patterns_for([secret.encode()])
    clean, count = scrub(body, patterns)
    assert count >= 1
    assert secret not in json.loads(clean)["b"]
    scrubber = StreamScrubber(patterns)
    pieces = [scrubber.feed(body[start : start + size]) for start in range(0, len(body), size)]
    assert secret not in json.loads(b"".join([*pieces, scrubber.finish()]))["b"]


@settings(max_examples=300, deadline=None)
@given(text=st.text('\\"nrtu0041abcdef/', max_size=60), secret=st.text("nrtu0041abcdef", min_size=6, max_size=10))
def test_a_chance_hit_inside_an_escape_keeps_json_valid(text, secret):
    clean, _ = scrub(json.dumps({"b": text}).encode(), patterns_for([secret.encode()]))
    assert isinstance(orjson.loads(clean)["b"], str)


def test_a_header_value_also_loses_its_bare_token():
    patterns = patterns_for([b"Bearer abcdef-123456"])
    for form in (b"Bearer abcdef-123456", b"abcdef-123456", b"bearer ABCDEF-123456", b"YWJjZGVmLTEyMzQ1N"):
        clean, count = scrub(b"<" + form + b">", patterns)
        assert (count, b"123456" in clean) == (1, False)


def test_basic_loses_the_pair_and_the_password():
    patterns = patterns_for([b"Basic " + base64.b64encode(b"robot:hunter2hunter2")])
    for form in (b"robot:hunter2hunter2", b"hunter2hunter2", base64.b64encode(b"robot:hunter2hunter2")):
        assert scrub(b"<" + form + b">", patterns) == (b"<[secret removed]>", 1)


def test_a_short_secret_is_removed_only_as_it_is():
    secret = b"k9!"
    assert len(secret) < MIN_TRANSFORMED
    assert scrub(b"x k9! y 6b3921", patterns_for([secret])) == (b"x [secret removed] y 6b3921", 1)


@pytest.mark.parametrize("secret", [b"secret", b"removed", b"remove", b"[removed]", b"***", b"[", b"e"])
def test_the_mark_never_contains_the_secret(secret):
    clean, count = scrub(b"before " + secret + b" after", patterns_for([secret]))
    assert count >= 1
    assert secret not in clean


def test_no_secret_means_no_work():
    patterns = patterns_for([])
    assert scrub(b"anything", patterns) == (b"anything", 0)
    assert patterns_for([b""]).needles == ()
    assert StreamScrubber(patterns).feed(b"x") == b"x"


def test_several_secrets_and_places_are_counted():
    patterns = patterns_for([b"first-secret", b"second-secret"])
    clean, count = scrub(b"first-secret, second-secret, first-secret", patterns)
    assert (clean.count(b"[secret removed]"), count) == (3, 3)


def test_headers_are_scrubbed_too():
    headers = [(b"location", b"https://x/?key=abc%2Ddef%2D123"), (b"x-abc-def-123", b"1"), (b"date", b"now")]
    clean, count = scrub_headers(headers, patterns_for([b"abc-def-123"]))
    assert count == 2
    assert clean == [
        (b"location", b"https://x/?key=[secret removed]"),
        (b"x-[secret removed]", b"1"),
        (b"date", b"now"),
    ]


def test_patterns_do_not_print_the_secret():
    assert "abcdef" not in repr(patterns_for([b"abcdef-123456"]))


@settings(max_examples=100, deadline=None)
@given(secret=st.binary(min_size=6, max_size=24))
def test_any_bytes_can_be_a_secret(secret):
    patterns = patterns_for([secret])
    for form in (
        secret,
        secret.hex().encode(),
        base64.b64encode(secret),
        json.dumps(secret.decode("latin-1")).encode(),
    ):
        clean, count = scrub(b"<" + form + b">", patterns)
        assert count >= 1
        assert secret not in clean


def test_html_is_not_claimed():
    """Entities are not in the list of stable encodings; a secret without special characters is still found."""
    assert scrub(html.escape("abc-def-123").encode(), patterns_for([b"abc-def-123"]))[1] == 1
