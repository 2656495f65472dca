"""An assertion says one thing, once: whatever is bent, it says nothing."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OKPKey

from kernel.errors import Unauthenticated
from registry.assertions import SECONDS, Assertion, Caller, Checker, sign

KEY = Ed25519PrivateKey.generate()
CALLER = Caller(sub="person", act="agent", dlg="delegation", team="ledger", cap=2, tool="context.search")
BODY = b'{"query":"x"}'


def said(**over):
    return Assertion(**{"call": "call-1", "server": "server", "issued": 1000.0, "caller": CALLER} | over)


def check(text, *, checker=None, server="server", body=BODY, now=1001.0):
    checker = checker or Checker(KEY.public_key(), began=0.0)
    return checker.check(text, server=server, body=body, now=now)


def test_what_was_signed_is_what_is_said():
    assert check(sign(KEY, said(), BODY)) == said()
    assert check(sign(KEY, said(caller=None), BODY)).caller is None


@given(st.data())
def test_no_bent_byte_says_anything(data):
    text = bytearray(sign(KEY, said(), BODY))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    try:
        bent = check(bytes(text))
    except Unauthenticated:
        return
    # base64 leaves two bits of its last digit unread: the same statement in another writing, and still believed once.
    assert bent == said()


@given(st.binary(max_size=300))
def test_no_other_text_says_anything(text):
    with pytest.raises(Unauthenticated):
        check(text)


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"server": "other"}, "assertion_of_another"),
        ({"body": BODY + b" "}, "assertion_of_another"),
        ({"now": 1000.0 + SECONDS + 0.1}, "assertion_expired"),
        ({"now": 998.0}, "assertion_expired"),
        ({"checker": Checker(KEY.public_key(), began=1000.5)}, "assertion_expired"),
        ({"checker": Checker(Ed25519PrivateKey.generate().public_key(), began=0.0)}, "assertion_invalid"),
    ],
)
def test_it_is_for_one_server_one_body_and_some_seconds(over, code):
    with pytest.raises(Unauthenticated) as refused:
        check(sign(KEY, said(), BODY), **over)
    assert refused.value.error_code == code


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 60)), max_size=40))
def test_each_call_is_believed_once_however_they_come(steps):
    checker, believed, now = Checker(KEY.public_key(), began=0.0), set(), 1000.0
    for number, wait in sorted(steps, key=lambda step: step[1]):
        now = 1000.0 + wait
        try:
            check(sign(KEY, said(call=f"call-{number}"), BODY), checker=checker, now=now)
        except Unauthenticated:
            continue
        assert number not in believed
        believed.add(number)


def test_any_library_reads_it():
    key = OKPKey.import_key(KEY.public_key())
    read = jws.deserialize_compact(sign(KEY, said(), BODY), key, algorithms=["Ed25519"])
    assert read.protected["typ"] == "hanse-call+jwt"
